"""How many elements of a grid the CPU code visits: runs the integer arithmetic of loop IR, and counts what stores cover.

Takes loop IR and the argument block as numbers; gives the lanes of every store that is reached, masks not asked. What
depends on memory is unknown, and must not decide how often a loop runs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from lem import pipeline
from lem.targets import cpu
from lem.targets.cpu.lower import lower_module
from lem.targets.loops import core as lp
from lem_runtime import detect
from lem_runtime.abi.source import Facts
from tests.support.run import entry_of, program

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "floordiv": operator.floordiv, "mod": operator.mod,
    "min": min, "max": max, "and": operator.and_, "or": operator.or_, "shr": operator.rshift, "shl": operator.lshift,
}  # fmt: skip


def visits(text: str, dims: Mapping[str, int], scalars: Mapping[str, int] | None = None) -> int:
    """Lanes of all stores of the only kernel in `text`, for plain arrays of these sizes."""
    made = program(text)
    name = entry_of(made)
    module = pipeline.optimised(made, name, cpu.TARGET.name)
    sig = module.functions[name].signature
    facts = Facts(("inner",) * sum(p.is_array for p in sig.params))
    lowered = lower_module(module, name, facts, detect(), cpu.propose(module, facts, detect()))
    slots: list[int] = []
    for p in sig.params:
        if p.shape is None:
            slots.append((scalars or {})[p.name])
            continue
        sizes = [dims[s] if isinstance(s, str) else s for s in p.shape]
        assert all(isinstance(s, int) for s in sizes)
        slots += [0, *sizes, *(0 for _ in sizes)]  # type: ignore[list-item]
    counter = _Counter([*slots, *(dims[d] for d in sig.dims)])
    counter.block(lowered.module.functions[-1].body)
    return counter.count


class _Counter:
    def __init__(self, slots: list[int]) -> None:
        self.slots, self.count = slots, 0
        self.values: dict[int, Any] = {}

    def block(self, block: lp.Block) -> None:
        for s in block.stmts:
            match s:
                case lp.Let() | lp.Set():
                    self.values[s.var.uid] = self.value(s.value)
                case lp.For():
                    lo, hi = self.value(s.lo), self.value(s.hi)
                    assert lo is not None and hi is not None, "how often a loop runs depends on memory"
                    for n in range(lo, hi, s.step):
                        self.values[s.var.uid] = n
                        self.block(s.body)
                case lp.ParallelFor():
                    self.values[s.lo.uid], self.values[s.hi.uid] = 0, self.value(s.n_units)
                    self.block(s.body)
                case lp.If():
                    cond = self.value(s.cond)
                    if cond is None or cond:
                        self.block(s.then)
                    if cond is None or not cond:
                        self.block(s.orelse)
                case lp.Store():
                    self.count += max(1, s.value.type.lanes)
                case lp.While() | lp.Attempt() | lp.Scatter():
                    raise NotImplementedError(type(s).__name__)

    def value(self, e: lp.Expr) -> Any:
        """A scalar as a number; None for vectors and for what memory decides."""
        if e.type.lanes:
            return None
        match e:
            case lp.Const():
                return e.value
            case lp.Var():
                return self.values.get(e.uid)
            case lp.Slot():
                return self.slots[e.index]
            case lp.CtxField():
                return 1
            case lp.Binary():
                x, y = self.value(e.x), self.value(e.y)
                return None if x is None or y is None else _BINARY[e.kind](x, y)
            case lp.Compare():
                x, y = self.value(e.x), self.value(e.y)
                return None if x is None or y is None else getattr(operator, e.kind)(x, y)
            case lp.Select():
                cond = self.value(e.cond)
                return None if cond is None else self.value(e.x if cond else e.y)
            case lp.Unary(kind="not"):
                x = self.value(e.x)
                return None if x is None else not x
            case lp.Cast():
                return self.value(e.x)
        return None
