"""Copies of the arrays that elements of a grid update together, one per part of the grid (see ``lem.ir.updates``).

Takes a grid and the arrays it shares, in sequential code; gives :class:`Parts`: how many parts there are, and inside of the
parallel step the memory that a part updates. When the step has ended the copies are combined, in order. One part needs no
copy: it updates the array itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lem import ir
from lem.ir import ops
from lem.ir.constants import UPDATE_PARTS
from lem.ir.updates import neutral
from lem.targets.cpu import places
from lem.targets.cpu.context import ArrayRef
from lem.targets.cpu.element import Element
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Buffer, Const, Expr
from lem_runtime.abi.records import dataclass

_BLOCK = 4096  # places of the last axis that one unit of combining has, at most


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """One array. `copies`: those of parts 1, 2, ... one after the other, each `size` elements, row by row."""

    array: ir.Array
    kind: str
    ref: ArrayRef
    size: Expr
    strides: tuple[Expr, ...]  # of a copy
    copies: Buffer


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """`count` parts of `length` elements each (the last one may have fewer)."""

    count: Expr
    length: Expr
    shared: tuple[_Shared, ...]

    @contextmanager
    def use(self, w: Element, part: Expr) -> Iterator[None]:
        """Code for part number `part`: updates go to what it owns."""
        outer = dict(w.cx.refs)
        first = w.fix(lb.compare("eq", part, 0), "first")
        for s in self.shared:
            offset = w.fix(lb.mul(lb.maximum(lb.sub(part, 1), 0), s.size), "offset")
            own = w.b.view(s.copies, offset)
            _fill(w, s, own, first)
            picked = w.b.pick(first, s.ref.buffer, own, s.array.name)
            w.levels[picked.uid] = w.level
            pairs = zip(s.ref.strides, s.strides, strict=True)
            strides = tuple(a if _same(a, b) else w.fix(lb.select(first, a, b), "stride") for a, b in pairs)
            w.cx.refs[s.array] = ArrayRef(picked, s.ref.sizes, strides)
        try:
            yield
        finally:
            w.cx.refs.clear()
            w.cx.refs.update(outer)


def _same(a: Expr, b: Expr) -> bool:
    return isinstance(a, Const) and isinstance(b, Const) and a.value == b.value


def _fill(w: Element, s: _Shared, own: Buffer, first: Expr) -> None:
    """A copy starts with what leaves every value as it is. Fresh memory is zero."""
    value = neutral(s.kind, s.array.dtype)
    if value == 0 and str(value) in ("0", "False"):
        return
    lanes = w.lanes_along(s.array.dtype)
    filler = lb.const(value, s.array.dtype)
    with w.branch(lb.not_(first)):
        whole = w.put(lb.mul(lb.floordiv(s.size, lanes), lanes))
        with w.loop("place", 0, whole, lanes) as n:
            w.b.store(own, n, lb.splat(filler, lanes))
        with w.loop("place", whole, s.size) as n:
            w.b.store(own, n, filler)


@contextmanager
def copies(w: Element, grid: ops.Grid, shared: Sequence[ir.Array], total: Expr) -> Iterator[Parts]:
    """Parts of a grid of `total` elements; what they leave is combined at the end."""
    kinds = {o.array: o.kind for o in ir.walk_ops(grid.body) if isinstance(o, ops.Update)}
    refs: dict[ir.Array, tuple[ArrayRef, Expr, tuple[Expr, ...]]] = {}
    everywhere: Expr = lb.const(0)
    for array in shared:
        ref = w.ref(array)
        assert isinstance(ref, ArrayRef)
        strides: list[Expr] = []
        size: Expr = lb.const(1)
        for n in reversed(ref.sizes):
            strides.insert(0, size)
            size = w.put(lb.mul(size, n), "places")
        refs[array] = ref, size, tuple(strides)
        everywhere = w.put(lb.add(everywhere, size), "everywhere")
    possible = lb.binary("floordiv", total, lb.maximum(everywhere, 1))
    count = w.fix(lb.maximum(lb.minimum(possible, UPDATE_PARTS), 1), "parts")
    length = w.fix(lb.binary("floordiv", lb.sub(lb.add(total, count), 1), count), "length")
    made: list[_Shared] = []
    for array, (ref, size, strides_of) in refs.items():
        buffer = Buffer(array.name, array.dtype, "temp")
        room = w.fix(lb.maximum(lb.mul(lb.sub(count, 1), size), 1), "room")
        w.b.add(lp.Alloc(buffer, room, w.cx.no_memory_site()))
        w.levels[buffer.uid] = w.level
        made.append(_Shared(array, kinds[array], ref, w.fix(size, "size"), strides_of, buffer))
    yield Parts(count, length, tuple(made))
    for s in made:
        _combine(w, s, count)
        w.b.add(lp.Free(s.copies))


def _combine(w: Element, s: _Shared, count: Expr) -> None:
    """Add the copies to the array, in order; rows in pieces side by side."""
    last = s.ref.sizes[-1] if s.ref.sizes else lb.const(1)
    blocks = w.fix(lb.maximum(lb.ceildiv(last, _BLOCK), 1), "blocks")
    rows = w.fix(lb.binary("floordiv", s.size, lb.maximum(last, 1)), "rows")
    units = w.fix(lb.select(lb.compare("gt", count, 1), lb.mul(rows, blocks), lb.const(0)), "units")
    slice_, w.cx.slice = w.cx.slice, None
    direct = w.fix(lb.compare("le", s.size, _BLOCK), "direct")
    with w.cx.parallel(f"combine_{s.array.name}", units, lb.const(1), direct) as (lo, hi):
        inner = Element(w.cx, w.tables, w)
        with inner.loop("unit", lo, hi) as unit:
            row = inner.fix(lb.binary("floordiv", unit, blocks), "row")
            begin = inner.fix(lb.mul(lb.sub(unit, lb.mul(row, blocks)), _BLOCK), "begin")
            end = inner.fix(lb.minimum(lb.add(begin, _BLOCK), last), "end")
            target, copy = _row(inner, s, row), inner.b.view(s.copies, inner.fix(lb.mul(row, last)))
            with inner.loop("part", 1, count) as part:
                own = inner.b.view(copy, inner.fix(lb.mul(lb.sub(part, 1), s.size)))
                with inner.loop("place", begin, end) as n:
                    at = inner.fix(lb.mul(n, s.ref.strides[-1] if s.ref.strides else 0))
                    old, new = inner.fix(lb.load(target, at)), inner.fix(lb.load(own, n))
                    inner.b.store(target, at, places.combined(s.kind, old, new))
    w.cx.slice = slice_


def _row(w: Element, s: _Shared, row: Expr) -> Buffer:
    """The array's last axis at the row of this number."""
    offset: Expr = lb.const(0)
    rest = row
    axes = range(len(s.ref.sizes) - 1)
    for n in reversed(axes):
        size = s.ref.sizes[n]
        above = w.fix(lb.binary("floordiv", rest, lb.maximum(size, 1)) if n else lb.const(0))
        here = w.fix(lb.sub(rest, lb.mul(above, size)))
        offset = w.fix(lb.add(offset, lb.mul(here, s.ref.strides[n])))
        rest = above
    return w.b.view(s.ref.buffer, offset)
