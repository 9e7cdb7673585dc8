"""How much a call has to do in all, as a size expression: what the runtime needs to tell a moment from a while.

Takes a function and its module; counts every operation of every element, whole numbers and memory included, a ragged axis
by its middle. None where only running it tells: a `while`, a loop over a length that was loaded, tasks that call each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lem.ir import ops
from lem.ir.core import Axis, Block, Function, Module, Op
from lem.ir.queries import FunctionFacts
from lem.ir.sizing import add, larger, mul, substitute
from lem_runtime.abi.sizes import Size, names_in

_GATHER: Final = 20  # operations that an access at a loaded place stands for: its line of memory is likely elsewhere
_FREE: Final = (ops.Const, ops.Dim, ops.Scalar, ops.Range, ops.TargetIs, ops.Size, ops.View, ops.Name, ops.Bind, ops.Sync)


def effort(fn: Function, module: Module) -> Size | None:
    """Operations of one call of `fn`."""
    counts = _effort(fn, module, ())
    if counts is None:
        return None
    total: Size = 0
    for size, n in counts.items():
        total = add(total, mul(n, size))
    return total


_Counts = dict[Size, int]  # how often each number of elements is worked on: sizes repeat from op to op


class _Unknown(Exception):
    """Nobody knows before it has run."""


def _effort(fn: Function, module: Module, around: tuple[str, ...]) -> _Counts | None:
    try:
        return _Counter(fn, module, (*around, fn.name)).block(fn.body, 1, {})
    except _Unknown:
        return None


class _Counter:
    def __init__(self, fn: Function, module: Module, around: tuple[str, ...]) -> None:
        self.facts, self.module, self.around = FunctionFacts(fn), module, around

    def block(self, block: Block, times: Size, counts: _Counts) -> _Counts:
        for o in block.ops:
            self.op(o, times, counts)
        return counts

    def op(self, o: Op, times: Size, counts: _Counts) -> None:
        if isinstance(o, ops.Call):
            self.call(o, times, counts)
        elif isinstance(o, ops.Alloc):
            self.whole(o, times, counts)
        elif not isinstance(o, _FREE) and not o.blocks:
            self.count(_axes(o), self.weight(o), times, counts)
        for inner in o.blocks:
            self.block(inner, mul(times, self.known(self.facts.turns(o))), counts)

    def count(self, axes: Iterable[Axis], weight: int, times: Size, counts: _Counts) -> None:
        size = times
        for a in sorted(axes, key=lambda a: a.uid):
            size = mul(size, self.known(self.facts.length(a)))
        counts[size] = counts.get(size, 0) + weight

    def whole(self, o: ops.Alloc, times: Size, counts: _Counts) -> None:
        size = times
        for n in o.sizes:
            size = mul(size, self.known(self.facts.size(n)))
        counts[size] = counts.get(size, 0) + 1

    def call(self, o: ops.Call, times: Size, counts: _Counts) -> None:
        callee = self.module.functions.get(o.callee)
        inner = None if callee is None or o.callee in self.around else _effort(callee, self.module, self.around)
        if callee is None or inner is None:
            raise _Unknown
        given = {n: self.facts.size(v) for n, v in zip(callee.dims, o.dims, strict=True)}
        given |= {n: self.facts.size(v) for (n, _), v in zip(callee.scalars, o.scalars, strict=True)}
        for size, n in inner.items():
            here = mul(times, _in_terms_of(size, given))
            counts[here] = counts.get(here, 0) + n

    def weight(self, o: Op) -> int:
        places = o.subs if isinstance(o, ops.Load | ops.Store | ops.Update) else ()
        computed = (v for s in places for v in s.values if v.axes and v not in self.facts.index)
        return 1 if next(computed, None) is None else _GATHER

    def known(self, size: Size | None) -> Size:
        """A length, which is none where it would be negative: one loop must not make up for another one."""
        if size is None:
            raise _Unknown
        return size if size in self.facts.fn.dims else larger(size, 0)


def _in_terms_of(size: Size, given: Mapping[str, Size | None]) -> Size:
    known = {n: v for n, v in given.items() if v is not None}
    if not names_in(size) <= known.keys():
        raise _Unknown
    return substitute(size, known)


def _axes(o: Op) -> frozenset[Axis]:
    """Axes over whose positions an op runs."""
    return frozenset().union(*(v.axes for v in (*o.results, *o.operands)))
