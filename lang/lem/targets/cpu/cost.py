"""How much work one element of a grid is, in elementwise operations, as an expression of sequential code.

Only used to cut work into pieces; a factor of two does not matter.
"""

from __future__ import annotations

from lem import ir
from lem.ir import ops
from lem.ir.core import Axis
from lem.schedule.core import GridPlan
from lem.targets.cpu.element import Element
from lem.targets.loops import build as lb
from lem.targets.loops.core import Const, Expr

_UNKNOWN = 16  # turns of a loop, positions of an axis of which nothing is known
_WEIGHTS = {"div": 4, "sqrt": 6, "mod": 10, "floordiv": 10}
_LIMIT = 1 << 40


def cost_of(w: Element, grid: ops.Grid, plan: GridPlan) -> Expr:
    """Operations per element."""
    if plan.number("cost"):
        return lb.const(plan.number("cost"))
    lengths: dict[Axis, Expr] = {}
    for o in ir.walk_ops(grid.body):
        if isinstance(o, ops.Range):
            lengths[o.axis] = _length(w, o)
        elif isinstance(o, ops.Tiles):
            lengths[o.axis] = lb.const(_UNKNOWN * 4)
    for axis, domain in w.domains.items():
        if axis not in lengths and not isinstance(domain.hi, Expr) and not isinstance(domain.lo, Expr):
            lengths[axis] = _between(w, domain.lo, domain.hi)
    return _block_cost(w, grid.body, frozenset(grid.axes), lengths)


def _length(w: Element, o: ops.Range) -> Expr:
    return _between(w, o.lo, o.hi)


def _between(w: Element, lo: ir.Value, hi: ir.Value) -> Expr:
    a, b = _uniform(w, lo), _uniform(w, hi)
    if a is None or b is None:
        return lb.const(_UNKNOWN)
    return w.put(lb.minimum(lb.maximum(lb.sub(b, a), 1), _LIMIT))


def _uniform(w: Element, v: ir.Value) -> Expr | None:
    """A value that sequential code knows, or a literal inside the grid."""
    found = w.find(v)
    if found is not None:
        return found
    known = w.known.get(v)
    if known is not None and isinstance(known.op, ops.Const | ops.Dim):
        return w.eval(v)
    return None


def _block_cost(w: Element, block: ir.Block, bound: frozenset[Axis], lengths: dict[Axis, Expr]) -> Expr:
    by_axes: dict[frozenset[Axis], int] = {}
    nested: Expr = lb.const(0)
    for o in block.ops:
        for b in o.blocks:
            inner = _block_cost(w, b, bound, lengths)
            turns: Expr = lb.const(_UNKNOWN if isinstance(o, ops.For | ops.While | ops.Tiles) else 1)
            if isinstance(o, ops.Scan):
                turns = lengths.get(o.axis, lb.const(_UNKNOWN))
            nested = w.put(lb.minimum(lb.add(nested, lb.mul(inner, turns)), _LIMIT))
        axes = frozenset().union(*(v.axes for v in (*o.operands, *o.results))) - bound
        if not isinstance(o, ops.Const | ops.Dim | ops.Scalar | ops.Range):
            by_axes[axes] = by_axes.get(axes, 0) + _weight(o)
    total = nested
    for axes, n in by_axes.items():
        part: Expr = lb.const(n)
        for axis in sorted(axes, key=lambda a: a.name):  # a set has no order, and code must not differ from run to run
            part = lb.mul(part, lengths.get(axis, lb.const(_UNKNOWN)))
        total = w.put(lb.minimum(lb.add(total, part), _LIMIT))
    return total


def _weight(o: ir.Op) -> int:
    return _WEIGHTS.get(getattr(o, "kind", ""), 2 if isinstance(o, ops.Load | ops.Store) else 1)


__all__ = ["Const", "cost_of"]
