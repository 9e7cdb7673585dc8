"""Which grids are matrix products: finds rows, columns and batches in a grid around contractions.

Takes a grid of tile IR, gives a :class:`Form` or None. Used by the cost model, which asks whether the strategy
``contraction`` fits, and by that strategy. A product fits when the body is straight: operands (anything elementwise of
loads), contractions of them, elementwise code on the results, stores; a guard over the grid's indices may stand around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from lem import ir
from lem.ir import ops
from lem.ir.core import Axis, union_axes
from lem_runtime.abi.dtypes import F32, F64, I32, I64, U32, U64
from lem_runtime.abi.records import dataclass

Defs = Mapping[ir.Value, ir.Op]


@dataclass(frozen=True, slots=True)
class Side:
    """An axis with its bounds and the values that are its index."""

    axis: Axis
    indices: tuple[ir.Value, ...]
    lo: ir.Value
    hi: ir.Value
    step: int


@dataclass(frozen=True, slots=True)
class Product:
    """One contraction. rows: the operand that has the rows' axes; columns: the one with the columns' axis."""

    op: ops.Contract
    rows: ir.Value
    columns: ir.Value
    k: Side


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition of the grid's indices around the whole body: `cond`, or where it does not hold, results are stored."""

    cond: ir.Value
    holds: bool


@dataclass(frozen=True, slots=True)
class Form:
    """A grid as products: each has rows `m` (several axes count as one) and columns `n`, once per place of `batch`. guard:
    which results are wanted, None for all."""

    grid: ops.Grid
    defs: Defs
    products: tuple[Product, ...]
    stores: tuple[ops.Store, ...]
    m: tuple[Side, ...]
    n: Side
    batch: tuple[Side, ...]
    guard: Guard | None = None


_PURE = (ops.Const, ops.Unary, ops.Binary, ops.Compare, ops.Fma, ops.Select, ops.Cast, ops.Bits)
_DTYPES = (F32, F64, I32, I64, U32, U64)


def find_form(fn: ir.Function, grid: ops.Grid) -> Form | None:
    """A grid of `fn` as products, or None where it is something else."""
    body, guard = _unguarded(grid.body.ops)
    if any(op.blocks or not _is_allowed(op) for op in body):
        return None
    contracts = [op for op in body if isinstance(op, ops.Contract)]
    stores = tuple(op for op in body if isinstance(op, ops.Store))
    if not contracts or not stores or len({c.dtype for c in contracts}) > 1 or contracts[0].dtype not in _DTYPES:
        return None
    defs = defs_of(fn.body)
    sides = sides_of(fn, grid, body)
    if guard is not None and not (_asks_indices(guard, defs) and all(_is_inside(o, sides, defs) for o in body)):
        return None
    places = {s: union_axes(v for sub in s.subs for v in sub.values) for s in stores}
    space = places[stores[0]]
    if any(p != space for p in places.values()) or not space.issuperset(grid.axes) or not space <= sides.keys():
        return None
    if not _is_straight(contracts, stores, defs) or not _are_bounds_plain(sides, defs):
        return None
    if any(isinstance(op, ops.Load) and op.result.axes for op in fn.body.ops):
        return None  # read before the grid: their arrays may have changed
    form = _assign(grid, defs, contracts, stores, sides, space)
    return None if form is None else replace(form, guard=guard)


def _unguarded(body: Sequence[ir.Op]) -> tuple[Sequence[ir.Op], Guard | None]:
    """A body without the guard around all of it: what can be done for all elements, and which of them are wanted."""
    choice = body[-1] if body else None
    if not isinstance(choice, ops.If) or choice.results:
        return body, None
    sides = [b.ops for b in choice.blocks if b.ops]
    if len(sides) != 1:
        return body, None
    return (*body[:-1], *sides[0]), Guard(choice.cond, bool(choice.then.ops))


def _asks_indices(guard: Guard, defs: Defs) -> bool:
    """Whether a guard reads no memory."""
    return all(isinstance(o, (*_PURE, ops.Dim, ops.Scalar, ops.Range)) for o in below([guard.cond], defs))


def _is_inside(op: ir.Op, sides: Mapping[Axis, Side], defs: Defs) -> bool:
    """Whether a load is in range for elements that the guard leaves out too: each subscript is the index of an axis that
    runs over all of the array's."""
    if not isinstance(op, ops.Load):
        return True
    known = {v: side for side in sides.values() for v in side.indices}
    for sub, size in zip(op.subs, op.array.shape, strict=True):
        side = known.get(sub.terms[0][1]) if len(sub.terms) == 1 and sub.terms[0][0] == 1 and not sub.const else None
        if side is None or size is None or _size_of(side.lo, defs) != 0 or _size_of(side.hi, defs) != size:
            return False
    return True


def _size_of(v: ir.Value, defs: Defs) -> int | str | None:
    op = defs.get(v)
    if isinstance(op, ops.Const):
        return int(op.value)
    return op.name if isinstance(op, ops.Dim) else None


def _is_allowed(op: ir.Op) -> bool:
    return is_simple(op) or isinstance(op, ops.Dim | ops.Scalar | ops.Range | ops.Contract | ops.Store)


def sides_of(fn: ir.Function, grid: ops.Grid, body: Sequence[ir.Op] | None = None) -> dict[Axis, Side]:
    """The grid's axes, and those that ranges open in its body or in the function around it."""
    out: dict[Axis, Side] = {}
    for axis, index, lo, hi, step in zip(grid.axes, grid.body.args, grid.lo, grid.hi, grid.step, strict=True):
        out[axis] = Side(axis, (index,), lo, hi, step)
    for op in (*fn.body.ops, *(grid.body.ops if body is None else body)):
        if isinstance(op, ops.Range):
            known = out.get(op.axis)
            if known is None:
                out[op.axis] = Side(op.axis, (op.result,), op.lo, op.hi, op.step)
            else:
                out[op.axis] = Side(op.axis, (*known.indices, op.result), known.lo, known.hi, known.step)
    return out


def _are_bounds_plain(sides: dict[Axis, Side], defs: Defs) -> bool:
    """Bounds are the same for all elements and read no memory."""
    for side in sides.values():
        for v in (side.lo, side.hi):
            if v.axes or any(isinstance(op, ops.Load) for op in below([v], defs)):
                return False
    return True


def _is_straight(contracts: list[ops.Contract], stores: tuple[ops.Store, ...], defs: Defs) -> bool:
    """Nothing is contracted twice, and nothing stored is read but by the element that stores it, before it does."""
    written = {s.array: s for s in stores}
    if len(written) != len(stores):
        return False
    for c in contracts:
        for op in below([c.x, c.y], defs):
            if isinstance(op, ops.Contract) or (isinstance(op, ops.Load) and op.array in written):
                return False
    roots = [v for s in stores for v in (s.value, *(t for sub in s.subs for t in sub.values))]
    return all(
        _is_same_place(op, written[op.array]) and len(stores) == 1
        for op in below(roots, defs)
        if isinstance(op, ops.Load) and op.array in written
    )


def _is_same_place(load: ops.Load, store: ops.Store) -> bool:
    return all(a.const == b.const and a.terms == b.terms for a, b in zip(load.subs, store.subs, strict=True))


def _assign(
    grid: ops.Grid,
    defs: Defs,
    contracts: list[ops.Contract],
    stores: tuple[ops.Store, ...],
    sides: dict[Axis, Side],
    space: frozenset[Axis],
) -> Form | None:
    """Give each axis its part. Columns: the axis along which results lie side by side, where that can be."""
    order = [a for a in sides if a in space]
    last = stores[0].subs[stores[0].array.inner_axis].axes if stores[0].subs else frozenset()
    for n in sorted(reversed(order), key=lambda a: a not in last):
        products = [_product(c, n, sides) for c in contracts]
        found = [p for p in products if p is not None]
        if len(found) != len(contracts):
            continue
        rows = reduce(frozenset.intersection, (p.rows.axes - p.columns.axes for p in found))
        if not rows or any(p.op.axis in space for p in found):
            continue
        m = tuple(sides[a] for a in order if a in rows)
        batch = tuple(sides[a] for a in order if a not in rows and a is not n)
        return Form(grid, defs, tuple(found), stores, m, sides[n], batch)
    return None


def _product(c: ops.Contract, n: Axis, sides: dict[Axis, Side]) -> Product | None:
    k = sides.get(c.axis)
    if k is None or not _axes_open((c.x, c.y), sides):
        return None
    if n in c.y.axes and n not in c.x.axes:
        return Product(c, c.x, c.y, k)
    if n in c.x.axes and n not in c.y.axes:
        return Product(c, c.y, c.x, k)
    return None


def _axes_open(values: Iterable[ir.Value], sides: dict[Axis, Side]) -> bool:
    return all(a in sides for v in values for a in v.axes)


def is_simple(op: ir.Op) -> bool:
    """Is this op done element by element, with no choice of what to touch?"""
    if isinstance(op, ops.Load):
        return op.boundary == "" and not op.idle and op.array.kind != "local"
    return isinstance(op, _PURE)


def defs_of(block: ir.Block) -> dict[ir.Value, ir.Op]:
    """Which op of a block, or of what is nested in it, makes which value."""
    return {r: op for op in ir.walk_ops(block) for r in op.results}


def below(roots: Iterable[ir.Value], defs: Defs, stop: Iterable[ir.Value] = ()) -> list[ir.Op]:
    """Ops that `roots` are computed from, operands first; values in `stop` and all below them are left out."""
    seen: set[ir.Value] = set(stop)
    out: list[ir.Op] = []

    def visit(v: ir.Value) -> None:
        if v in seen:
            return
        seen.add(v)
        op = defs.get(v)
        if op is None:
            return
        for x in op.operands:
            visit(x)
        out.append(op)

    for root in roots:
        visit(root)
    return out
