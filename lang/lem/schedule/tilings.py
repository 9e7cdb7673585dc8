"""Which grids can run a block of elements at a time, with products inside: attention and its kin.

Takes a grid of tile IR, gives a :class:`Tiling` or None. One grid axis becomes the *row axis*: rows of every product in the
body. Elements of a block of rows run together, op by op: a value is a number, a column (rows), a line (one inner axis)
or a tile (rows by one inner axis). The other grid axes are loops outside. Asked by the cost model and by the strategy
``tiled``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from lem import ir
from lem.ir import ops
from lem.ir.constants import CHAIN_CHUNK, LANES_CHUNK, TILES_BLOCK
from lem.ir.core import Axis, union_axes
from lem.ir.faults import faults_in_turns
from lem.schedule.products import Defs, Side, below, defs_of, is_simple
from lem_runtime.abi.dtypes import F32, F64, DType
from lem_runtime.abi.records import dataclass

_OTHERS = (ops.Dim, ops.Scalar, ops.Range, ops.Contract, ops.Reduce, ops.Store, ops.Tiles, ops.Assert)


@dataclass(frozen=True, slots=True)
class Tiling:
    """row: the row axis; batch: the other grid axes; ranges: inner axes that ranges open; dtype: of the products."""

    grid: ops.Grid
    defs: Defs
    dtype: DType
    row: Side
    batch: tuple[Side, ...]
    ranges: dict[Axis, Side] = field(default_factory=dict)

    def tile_axes(self, v: ir.Value) -> frozenset[Axis]:
        """Axes of a value without those that are loops outside."""
        return v.axes - {s.axis for s in self.batch}


def find_tiling(fn: ir.Function, grid: ops.Grid) -> Tiling | None:
    """How to run a grid of `fn` by blocks of rows, or None where that does not fit."""
    body = list(ir.walk_ops(grid.body))
    contracts = [op for op in body if isinstance(op, ops.Contract)]
    if not contracts or not all(is_simple(op) or isinstance(op, _OTHERS) for op in body):
        return None
    dtype = contracts[0].dtype
    if dtype not in (F32, F64) or any(c.dtype != dtype for c in contracts):
        return None
    if not _reads_what_stays(fn, body) or faults_in_turns(grid.body):
        return None
    defs = defs_of(fn.body)
    can_fault = any(isinstance(op, ops.Assert) for op in body)
    # Rows of other axes than the last one run in another order than the elements, the first of which is to fault.
    for n in reversed(range(len(grid.axes) - 1 if can_fault else 0, len(grid.axes))):
        sides = [Side(a, (v,), lo, hi, s) for a, v, lo, hi, s in zip(
            grid.axes, grid.body.args, grid.lo, grid.hi, grid.step, strict=True)]  # fmt: skip
        row = sides.pop(n)
        made = Tiling(grid, defs, dtype, row, tuple(sides), _ranges(fn, body))
        if all(_fits(made, op) for op in body):
            return made
    return None


def _reads_what_stays(fn: ir.Function, body: list[ir.Op]) -> bool:
    """No array is both read and written, and nothing with axes was read before the grid."""
    written = {op.array for op in body if isinstance(op, ops.Store)}
    if any(isinstance(op, ops.Load) and op.array in written for op in body):
        return False
    return not any(isinstance(op, ops.Load) and op.result.axes for op in fn.body.ops)


def _ranges(fn: ir.Function, body: list[ir.Op]) -> dict[Axis, Side]:
    out: dict[Axis, Side] = {}
    for op in (*fn.body.ops, *body):
        if isinstance(op, ops.Range):
            known = out.get(op.axis)
            indices = (op.result,) if known is None else (*known.indices, op.result)
            out[op.axis] = Side(op.axis, indices, op.lo, op.hi, op.step)
    return out


def _fits(t: Tiling, op: ir.Op) -> bool:
    row = t.row.axis
    match op:
        case ops.Contract():
            x, y = t.tile_axes(op.x), t.tile_axes(op.y)
            if row in y:
                x, y = y, x
            return x == {row, op.axis} and len(y) == 2 and row not in y and op.axis in y
        case ops.Reduce():
            axes = frozenset().union(*(t.tile_axes(x) for x in op.xs))
            return axes <= {row, op.axis} and len(op.acc.state) == 1 and _is_short(t, op)
        case ops.Range():
            return _is_plain(t, op.lo) and _is_plain(t, op.hi)
        case ops.Tiles():
            bounds = t.tile_axes(op.lo) | t.tile_axes(op.hi)
            plain = op.block is None or _is_plain(t, op.block)
            return bounds <= {row} and plain and all(_is_small(t, v) for v in op.body.args[1:])
        case ops.Store():
            place = union_axes(v for s in op.subs for v in s.values)
            return place.issuperset(t.grid.axes) and len(place - set(t.grid.axes)) <= 1
        case ops.Assert():
            return all(t.tile_axes(v) <= {row} for v in (op.cond, *op.values))
    return True


def _is_small(t: Tiling, v: ir.Value) -> bool:
    """A number, a column, a line or a tile."""
    return len(t.tile_axes(v) - {t.row.axis}) <= 1


def _is_plain(t: Tiling, v: ir.Value) -> bool:
    """The same for all elements, and known before the grid: no memory is read for it."""
    inside = {a for op in ir.walk_ops(t.grid.body) for b in op.blocks for a in b.args} | set(t.grid.body.args)
    for op in below([v], t.defs):
        if isinstance(op, ops.Load) or not (is_simple(op) or isinstance(op, ops.Dim | ops.Scalar)):
            return False
        if inside.intersection(op.operands):
            return False
    return not v.axes and v not in inside


def _is_short(t: Tiling, op: ops.Reduce) -> bool:
    """All positions lie in one chunk, or their order does not matter."""
    if op.order is ops.Order.ANY:
        return True
    limit = LANES_CHUNK if op.order is ops.Order.LANES else CHAIN_CHUNK
    longest = _longest(t, op.axis)
    return longest is not None and longest <= limit


def _longest(t: Tiling, axis: Axis) -> int | None:
    """Positions of an axis at most, where that is known when code is made."""
    for op in ir.walk_ops(t.grid.body):
        if isinstance(op, ops.Tiles) and op.axis is axis:
            return TILES_BLOCK if op.block is None else _literal(t, op.block)
    side = t.ranges.get(axis)
    lo, hi = (_literal(t, side.lo), _literal(t, side.hi)) if side is not None else (None, None)
    return None if lo is None or hi is None else hi - lo


def _literal(t: Tiling, v: ir.Value) -> int | None:
    op = t.defs.get(v)
    return int(op.value) if isinstance(op, ops.Const) else None


def tiles_of(block: ir.Block) -> Iterator[ops.Tiles]:
    """Loops over blocks below, outermost first."""
    return (op for op in ir.walk_ops(block) if isinstance(op, ops.Tiles))
