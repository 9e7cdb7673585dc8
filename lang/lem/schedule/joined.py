"""Which grids may run their last two axes as one line: colours of pixels, coordinates of points, short rows.

Takes a grid; answers whether nothing in it tells row from column: both indices are only ever a place (..., j + r, c) in
arrays. Where such arrays have no gaps between their rows, which a call tells, the elements (j, c), (j + 1, c), ... lie side
by side in memory, and vectors run through the rows as if they were one.

Rules: BOTH      each place with one of the indices has both, as its last two subscripts, with nothing else by element
       ONLY      they are used nowhere else: not as numbers, not in checks, boundaries or shared updates
       INSIDE    under a boundary policy the last subscript is known to be in range, so that only rows have a boundary
"""

from __future__ import annotations

from collections.abc import Iterator

from lem import ir
from lem.ir import ops
from lem.ir.core import Value

_APART = ops.Assert | ops.Print | ops.Update | ops.Call  # of an element that is told by its index, or by its order

Place = ops.Load | ops.Store


def can_join(grid: ops.Grid) -> bool:
    """May the last two axes of a grid be run as one?"""
    if len(grid.axes) < 2 or grid.step[-2:] != (1, 1) or any(n is not None for n in grid.tile):
        return False
    indices = grid.body.args[-2:]
    if any(isinstance(o, _APART) or not set(_used(o)).isdisjoint(indices) for o in ir.walk_ops(grid.body)):
        return False  # ONLY
    found = joined_places(grid)
    return bool(found) and all(_is_row_and_column(o, grid) and _is_inside(o, grid) for o in found)


def joined_places(grid: ops.Grid) -> list[Place]:
    """What is read and written at places that the last two axes tell."""
    axes = set(grid.axes[-2:])
    places = [o for o in ir.walk_ops(grid.body) if isinstance(o, Place)]
    return [o for o in places if any(not axes.isdisjoint(s.axes) for s in o.subs)]


def _used(o: ir.Op) -> Iterator[Value]:
    """Values that an op, or what its blocks hand back, uses other than as subscripts."""
    if isinstance(o, ops.Load):
        yield from (o.fill,) if o.fill is not None else ()
    elif isinstance(o, ops.Store):
        yield o.value
    else:
        yield from o.operands
    for b in o.blocks:
        yield from b.yields


def _is_row_and_column(o: Place, grid: ops.Grid) -> bool:
    """BOTH"""
    row, column = grid.body.args[-2:]
    axes = set(grid.axes[-2:])
    if o.array.kind == "local" or o.array.layout == "col" or o.array.rank < 2:
        return False
    if o.subs[-1].terms != ((1, column),) or o.subs[-2].coef_of(row) != 1:
        return False
    others = [v for s in o.subs[:-1] for v in s.values if v is not row]
    return all(axes.isdisjoint(v.axes) for v in others) and all(row not in s.values for s in o.subs[:-2])


def _is_inside(o: Place, grid: ops.Grid) -> bool:
    """INSIDE: an array with the same last size is read or written there without a policy, by every element."""
    if isinstance(o, ops.Store) or not (o.boundary or o.idle):
        return True
    proven = [p for p in grid.body.ops if isinstance(p, Place) and not (isinstance(p, ops.Load) and (p.boundary or p.idle))]
    same = [p for p in proven if p.subs and p.subs[-1] == o.subs[-1] and o.subs[-1].const == 0]
    size = o.array.shape[-1]
    return not o.idle and size is not None and any(p.array.shape[-1] == size for p in same)
