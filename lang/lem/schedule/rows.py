"""Loops over rows of which each element of a grid has its own: the rows of a sparse matrix, the lists of neighbours.

Takes a grid and an axis of it; answers whether elements are better run one after the other. Side by side, each of them is
at another place of its row: every read of a row becomes a gather, and all wait for the longest row. One at a time they
read their rows from front to back. Where much is computed per step, vectors win all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from lem import ir
from lem.ir import ops
from lem.ir.core import Axis, Block, Value

_MUCH = 12  # operations of a step, less what it reads and checks


def reads_own_rows(grid: ops.Grid, axis: Axis, defs: Mapping[Value, ir.Op]) -> bool:
    """Do elements along `axis` spend their time on rows that begin where another array says?"""
    loops = [
        o for o in ir.walk_ops(grid.body)
        if isinstance(o, ops.For | ops.Range) and axis in o.lo.axes and _is_read(o.lo, defs)
    ]  # fmt: skip
    places = {o.body.args[0] if isinstance(o, ops.For) else o.result for o in loops}
    along = [o for o in ir.walk_ops(grid.body) if isinstance(o, ops.Load) and _runs(o, places)]
    return bool(along) and all(_work(o, grid.body) <= _MUCH for o in loops)


def _is_read(value: Value, defs: Mapping[Value, ir.Op]) -> bool:
    maker = defs.get(value)
    while isinstance(maker, ops.Cast):
        maker = defs.get(maker.x)
    return isinstance(maker, ops.Load)


def _runs(load: ops.Load, places: set[Value]) -> bool:
    inner = load.array.inner_axis
    return bool(load.subs) and any(c == 1 and v in places for c, v in load.subs[inner].terms)


def _work(loop: ops.For | ops.Range, body: Block) -> int:
    """What a step of a loop computes: not what it loads, nor the comparisons that its checks make."""
    if isinstance(loop, ops.For):
        inside = list(ir.walk_ops(loop.body))
    else:
        inside = [o for o in ir.walk_ops(body) if any(loop.axis in v.axes for v in o.operands)]
    checks = {o.cond for o in inside if isinstance(o, ops.Assert)}
    free = ops.Load | ops.Cast | ops.Assert | ops.Compare
    return sum(not isinstance(o, free) and checks.isdisjoint(o.results) for o in inside)
