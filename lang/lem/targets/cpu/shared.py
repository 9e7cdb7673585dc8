"""Which intermediate values are worth memory: asked for by several loops, and not cheap to compute twice.

Takes the body of a grid; gives values that lowering computes once per element, into worker-local memory, before the
first loop that needs them (the exponentials of a softmax, the scores of an attention block).
"""

from __future__ import annotations

from lem import ir
from lem.ir import ops
from lem.ir.core import Axis, Value
from lem.targets.cpu.pure import PURE_OPS

_WORTH = 10  # elementwise operations; loading and storing cost about two
_NESTED = 32  # what a reduction or a loop inside of a value counts

Closers = frozenset[object]


def shared_values(grid: ops.Grid) -> set[Value]:
    """Values with axes of their own that are kept rather than computed in every loop that reads them."""
    return _Sharing(grid).find()


class _Sharing:
    def __init__(self, grid: ops.Grid) -> None:
        self.grid_axes = frozenset(grid.axes)
        self.users: dict[Value, list[object]] = {}
        self.defs: dict[Value, ir.Op] = {}
        self.closing: dict[Value, Closers] = {}
        for o in ir.walk_ops(grid.body):
            for r in o.results:
                self.defs[r] = o
            for v in o.operands:
                self.users.setdefault(v, []).append(o)
            for b in o.blocks:
                for y in b.yields:
                    self.users.setdefault(y, []).append(b)

    def find(self) -> set[Value]:
        out: set[Value] = set()
        for v, o in self.defs.items():
            if not self.open(v) or isinstance(o, ops.Range) or o.blocks:
                continue
            mine = self.closers(v)
            if len(mine) >= 2 and self.is_last_common(v, mine) and self.cost(v, out) >= _WORTH:
                out.add(v)
        return out

    def open(self, v: Value) -> frozenset[Axis]:
        return v.axes - self.grid_axes

    def closers(self, v: Value) -> Closers:
        """Loops that will ask for `v`: the ops that close its axes."""
        found = self.closing.get(v)
        if found is not None:
            return found
        out: set[object] = set()
        for u in self.users.get(v, ()):
            if isinstance(u, ir.Op) and type(u) in PURE_OPS:
                out |= self.closers(u.result)
            else:
                out.add(u)
        self.closing[v] = frozenset(out)
        return self.closing[v]

    def is_last_common(self, v: Value, mine: Closers) -> bool:
        """Does no single elementwise user serve the same loops?"""
        users = [u for u in self.users.get(v, ()) if isinstance(u, ir.Op) and type(u) in PURE_OPS]
        return not any(self.closers(u.result) == mine and self.open(u.result) == self.open(v) for u in users)

    def cost(self, v: Value, kept: set[Value]) -> int:
        """Operations to compute one position of `v` again."""
        total = 0
        seen: set[Value] = set()
        stack = [v]
        while stack:
            x = stack.pop()
            o = self.defs.get(x)
            if x in seen or o is None or not self.open(x) or (x in kept and x is not v):
                continue
            seen.add(x)
            if isinstance(o, ops.Reduce | ops.Contract) or o.blocks:
                total += _NESTED
                continue
            total += 0 if isinstance(o, ops.Range) else 1
            stack.extend(o.operands)
        return total
