"""Strategy "contraction": matrix products at the top of a grid, in register tiles over packed panels.

Takes a grid that ``products.find_form`` knows, gives loop IR. The space of results is cut into units of `mb` rows by `nb`
columns; a piece of work is a run of units below each other. For each chunk of 256 along k (which is both LANGUAGE 30a's
chunk and the depth of a panel)::

    pack 256 x nb of the columns' operand        panels of nr columns, in L2 or L3   (or read it in place)
    for each mc rows:
        pack mc x 256 of the rows' operand       rows along k, in L2                 (or read it in place)
        for each panel, for each mr rows:
            register tile = one FMA chain per element (``microkernel``)
            add it to the running result; after the last chunk: epilogue and store

What is computed while packing is the operands' prologue; the epilogue runs on a tile in L1. Sizes decide how the space is
cut and whether a panel is packed, never in which order anything is added.

Settings: mb, nb, mc as above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field

from lem import ir
from lem.ir import ops
from lem.ir.constants import CONTRACT_CHUNK
from lem.schedule.core import GridPlan
from lem.schedule.products import Form, Product, Side, below, find_form
from lem.schedule.register_tiles import contraction_settings, register_tile, row_counts
from lem.targets.cpu import microkernel, wanted
from lem.targets.cpu.context import Context
from lem.targets.cpu.packing import lanes_below, pack_across, pack_along
from lem.targets.cpu.points import Points, Span, outside, stride_along, unit_stride
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Buffer, Const, Expr
from lem_runtime.abi.records import dataclass

_ROW = CONTRACT_CHUNK + 16  # elements between packed rows: not a multiple of 4 KiB, so that rows keep apart in caches
_SMALL_WORK = 1 << 17  # products of one thread
_FEW_ROWS = 48  # so many rows use each packed column too seldom
_FEW_COLUMNS = 128
_PIECES = 2  # per worker: some balance, while columns are packed few times
_UNEVEN_PIECES = 5  # the same, where a guard leaves some with little to do


def lower(cx: Context, grid: ops.Grid, plan: GridPlan) -> None:
    """Append the grid to `cx.b`."""
    form = find_form(cx.fn, grid)
    assert form is not None, "the plan was made for another grid"
    defaults = contraction_settings(form.products[0].op.dtype, cx.machine)
    chosen = {name: plan.number(name, int(str(value))) for name, value in defaults.items()}
    _Lowering(cx, outside(cx, grid), form, chosen["mb"], chosen["nb"], chosen["mc"]).run()


@dataclass(slots=True)
class _Extent:
    """A side with its bounds as scalars."""

    side: Side
    lo: Expr
    n: Expr

    def span(self, first: Expr, count: Expr) -> Span:
        return Span(self.side.axis, self.side.indices, self.lo, self.side.step, first, count)


@dataclass(slots=True)
class _Operand:
    """How one operand is read: packed as `mode` says, or in place when it is a plain load."""

    value: ir.Value
    mode: str  # "along" | "across"
    plain: ops.Load | None  # can be read in place
    stride: Expr  # from row to row (rows' operand) or from step to step (columns'), in place


@dataclass(slots=True)
class _Panels:
    """Scratch of one piece of work."""

    rows: Buffer
    columns: Buffer
    tile: Buffer
    totals: dict[Product, Buffer] = field(default_factory=dict)


@dataclass(slots=True)
class _Region:
    """Rows r0 .. r1, columns c0 .. c1 of the results."""

    r0: Expr
    r1: Expr
    c0: Expr
    c1: Expr
    n_rows: Expr
    n_columns: Expr


@dataclass(slots=True)
class _Chunk:
    """A chunk along k of one product."""

    product: Product
    rows: _Operand
    columns: _Operand
    k0: Expr
    n: Expr
    is_first: Expr
    is_last: Expr
    rows_in_place: Expr
    columns_in_place: Expr


class _Lowering:
    def __init__(self, cx: Context, env: dict[ir.Value, Expr], form: Form, mb: int, nb: int, mc: int) -> None:
        self.cx = cx
        self.env = env
        self.b = cx.b
        self.form = form
        self.mb, self.nb, self.mc = mb, nb, mc
        self.tiles = {p: register_tile(p.op.dtype, cx.machine) for p in form.products}
        self.last = form.products[-1]
        self.extents: dict[Side, _Extent] = {}
        self.in_place = self._stores_in_place()

    # -- once per grid, in sequential code
    def run(self) -> None:
        b = self.b
        at = Points(b, self.form.defs, self.cx.refs, self.env)
        for side in (*self.form.m, self.form.n, *self.form.batch, *(p.k for p in self.form.products)):
            self._extent(at, side)
        self.m_total = b.let(_product_of([self.extents[s].n for s in self.form.m]), "m")
        self.n_total = self.extents[self.form.n].n
        n_batches = b.let(_product_of([self.extents[s].n for s in self.form.batch]), "batches")
        self.m_blocks = b.let(lb.ceildiv(self.m_total, self.mb), "m_blocks")
        self.n_blocks = b.let(lb.ceildiv(self.n_total, self.nb), "n_blocks")
        units = b.let(lb.mul(lb.mul(n_batches, self.n_blocks), self.m_blocks), "units")
        workers = b.let(lp.CtxField(lp.INDEX, "n_workers"), "workers")
        pieces = b.let(lb.mul(workers, _PIECES if self.form.guard is None else _UNEVEN_PIECES), "pieces")
        chunk = lb.binary("floordiv", lb.add(units, lb.sub(pieces, 1)), pieces)
        chunk = b.let(lb.maximum(chunk, 1), "chunk")
        work = lb.mul(lb.mul(self.m_total, self.n_total), n_batches)
        for p in self.form.products:
            work = lb.mul(work, lb.maximum(self.extents[p.k].n, 1))
        small = b.let(lb.compare("lt", work, _SMALL_WORK), "small")
        with self.cx.parallel(self.form.grid.label, units, chunk, small) as (lo, hi):
            self.piece(lo, hi)

    def _extent(self, at: Points, side: Side) -> None:
        if side in self.extents:
            return
        lo, hi = at.value(side.lo), at.value(side.hi)
        n = self.b.let(lb.maximum(lb.ceildiv(lb.sub(hi, lo), side.step), 0), "n")
        self.extents[side] = _Extent(side, lo, n)

    def _stores_in_place(self) -> bool:
        """Can the array that is stored to hold the running results?"""
        if len(self.form.products) > 1 or len(self.form.stores) > 1:
            return False
        store, n = self.form.stores[0], self.form.n
        if store.value is not self.last.op.result or store.array.kind == "local":
            return False
        return unit_stride(store, n, self.cx.refs[store.array])

    # -- one piece of work
    def piece(self, lo: Expr, hi: Expr) -> None:
        b = self.b
        at = Points(b, self.form.defs, self.cx.refs, self.env)
        panels = self._scratch(lo, hi)
        unit = b.var(lo, "unit")
        with b.while_(lambda: lb.compare("lt", unit, hi)), at.scope():
            u = b.let(unit, "u")
            m_block = b.let(lb.binary("mod", u, self.m_blocks), "m_block")
            rest = b.let(lb.binary("floordiv", u, self.m_blocks), "rest")
            run = b.let(lb.minimum(lb.sub(hi, u), lb.minimum(lb.sub(self.m_blocks, m_block), self.longest_run)), "run")
            n_block = b.let(lb.binary("mod", rest, self.n_blocks), "n_block")
            self._go_to_batch(at, b.let(lb.binary("floordiv", rest, self.n_blocks), "batch"))
            r0, c0 = b.let(lb.mul(m_block, self.mb), "r0"), b.let(lb.mul(n_block, self.nb), "c0")
            r1 = b.let(lb.minimum(lb.add(r0, lb.mul(run, self.mb)), self.m_total), "r1")
            c1 = b.let(lb.minimum(lb.add(c0, self.nb), self.n_total), "c1")
            self.region(at, panels, _Region(r0, r1, c0, c1, b.let(lb.sub(r1, r0)), b.let(lb.sub(c1, c0))))
            b.set(unit, lb.add(u, run))

    def _scratch(self, lo: Expr, hi: Expr) -> _Panels:
        """Room for the panels, for one register tile and, where the stored array cannot hold them, running results."""
        b = self.b
        dtype = self.last.op.dtype
        widest = max((t.nr for t in self.tiles.values()), default=1)
        lanes = max(t.lanes for t in self.tiles.values())
        kept = b.stack("tile", dtype, max(t.mr * t.nr for t in self.tiles.values()))
        panels = _Panels(Buffer("ap", dtype, "scratch"), Buffer("bp", dtype, "scratch"), kept)
        rows = lb.const((self.mc + lanes) * _ROW)
        columns = lb.const(-(-self.nb // widest) * widest * CONTRACT_CHUNK + lanes * widest)
        self.longest_run = b.let(lb.const(max(1, 1024 // self.mb)))
        buffers: list[Buffer] = [panels.rows, panels.columns]
        counts: list[Expr] = [rows, columns]
        if not self.in_place:
            height = b.let(lb.mul(lb.minimum(lb.minimum(lb.sub(hi, lo), self.m_blocks), self.longest_run), self.mb))
            for p in self.form.products:
                panels.totals[p] = Buffer("totals", dtype, "scratch")
                buffers.append(panels.totals[p])
                counts.append(b.let(lb.mul(lb.add(height, self.tiles[p].mr), self.nb + widest), "room"))
        b.add(lp.Scratch(tuple(buffers), tuple(counts), self.cx.no_memory_site()))
        return panels

    def _go_to_batch(self, at: Points, batch: Expr) -> None:
        self._split(at, batch, [self.extents[s] for s in self.form.batch])

    def _split(self, at: Points, number: Expr, extents: Sequence[_Extent]) -> None:
        """Let `at` know the indices that a flattened number stands for, the last axis fastest."""
        b = self.b
        for k, e in reversed(list(enumerate(extents))):
            here = number
            if k:
                here = b.let(lb.binary("mod", number, e.n), "here")
                number = b.let(lb.binary("floordiv", number, e.n), "rest")
            at.bind(e.side.axis, e.side.indices, lb.add(e.lo, lb.mul(here, e.side.step)), here)

    def rows_span(self, first: Expr, count: Expr) -> Span:
        extents = [self.extents[s] for s in self.form.m]
        if len(extents) == 1:
            return extents[0].span(first, count)
        return Span(None, (), lb.const(0), 1, first, count, lambda at, row: self._split(at, row, extents))

    # -- chunks
    def region(self, at: Points, panels: _Panels, region: _Region) -> None:
        b = self.b
        for p in self.form.products:
            depth = self.extents[p.k].n
            with b.for_("k0", 0, b.let(lb.maximum(depth, 1), "depth"), CONTRACT_CHUNK) as k0, at.scope():
                n = b.let(lb.minimum(lb.sub(depth, k0), CONTRACT_CHUNK), "kc")
                is_last = b.let(lb.compare("ge", lb.add(k0, CONTRACT_CHUNK), depth), "is_last")
                rows, columns = self._operands(p)
                chunk = _Chunk(
                    p, rows, columns, k0, n, b.let(lb.compare("eq", k0, 0), "is_first"), is_last,
                    self._flag(rows, lb.compare("le", region.n_columns, _FEW_COLUMNS)),
                    self._flag(columns, lb.compare("le", region.n_rows, _FEW_ROWS)),
                )  # fmt: skip
                self.chunk(at, panels, region, chunk)

    def _flag(self, operand: _Operand, cond: Expr) -> Expr:
        return self.b.let(cond, "in_place") if operand.plain is not None else lb.const(False, lp.TRUTH.dtype)

    def _operands(self, p: Product) -> tuple[_Operand, _Operand]:
        k, n = p.k, self.form.n
        m = self.form.m[0] if len(self.form.m) == 1 else None
        rows = self._operand(p.rows, k, m)
        columns = self._operand(p.columns, n, k)
        return rows, columns

    def _operand(self, value: ir.Value, inner: Side, outer: Side | None) -> _Operand:
        """inner: the side that must be contiguous in a panel; outer: the other one, None where it is several axes."""
        defs, refs = self.form.defs, self.cx.refs
        loads = [op for op in below([value], defs) if isinstance(op, ops.Load)]
        fits = [unit_stride(op, inner, refs[op.array]) for op in loads]
        turned = outer is not None and any(unit_stride(op, outer, refs[op.array]) for op in loads)
        mode = "across" if turned and not any(fits) else "along"
        op = defs.get(value)
        if outer is None or not isinstance(op, ops.Load) or not all(fits):
            return _Operand(value, mode, None, lb.const(0))
        stride = stride_along(op, outer, refs[op.array])
        if stride is None:
            return _Operand(value, mode, None, lb.const(0))
        return _Operand(value, mode, op, self.b.let(stride, "stride"))

    def chunk(self, at: Points, panels: _Panels, region: _Region, chunk: _Chunk) -> None:
        b, tile = self.b, self.tiles[chunk.product]
        k = self.extents[chunk.product.k].span(chunk.k0, chunk.n)
        with b.if_(lb.compare("gt", chunk.n, 0)):
            # Read in place, only the last columns are packed: there a register tile would reach over the edge.
            edge = lb.mul(lb.floordiv(region.n_columns, tile.nr), tile.nr)
            start = b.let(lb.select(chunk.columns_in_place, edge, lb.const(0)), "start")
            with b.for_("c", start, region.n_columns, tile.nr) as c, at.scope():
                count = b.let(lb.minimum(lb.sub(region.n_columns, c), tile.nr), "count")
                n = self.extents[self.form.n].span(b.let(lb.add(region.c0, c)), count)
                panel = b.view(panels.columns, lb.mul(c, CONTRACT_CHUNK), "panel")
                with self._if_wanted(at, region, n):
                    self._pack(at, chunk.columns, k, n, panel, lb.const(tile.nr), tile.lanes)
        with b.for_("r", 0, region.n_rows, self.mc) as r, at.scope():
            b.add(lp.Poll())
            first = b.let(lb.add(region.r0, r), "first")
            n_rows = b.let(lb.minimum(lb.sub(region.n_rows, r), self.mc), "rows")
            with b.if_(_both(chunk.n, chunk.rows_in_place)), at.scope():
                self._pack(at, chunk.rows, self.rows_span(first, n_rows), k, panels.rows, lb.const(_ROW), tile.lanes)
            self.block(at, panels, region, chunk, first, n_rows)

    @contextmanager
    def _if_wanted(self, at: Points, region: _Region, columns: Span) -> Iterator[None]:
        """Only where some row of the region wants some of these columns."""
        guard = self.form.guard
        if guard is None:
            yield
            return
        with at.scope():
            rows = self.rows_span(region.r0, region.n_rows)
            some, _ = wanted.of_tile(at, self.form, guard, rows, region.n_rows, columns)
        with self.b.if_(some), at.scope():
            yield

    def _pack(self, at: Points, operand: _Operand, outer: Span, inner: Span, into: Buffer, ld: Expr, lanes: int) -> None:
        pack = pack_across if operand.mode == "across" else pack_along
        pack(at, operand.value, outer, inner, into, ld, lanes)

    # -- register tiles
    def block(self, at: Points, panels: _Panels, region: _Region, chunk: _Chunk, first: Expr, n_rows: Expr) -> None:
        """All columns of the region for `n_rows` packed rows."""
        b, tile = self.b, self.tiles[chunk.product]
        with b.for_("c", 0, region.n_columns, tile.nr) as c, at.scope():
            n_columns = b.let(lb.minimum(lb.sub(region.n_columns, c), tile.nr), "cols")
            column = b.let(lb.add(region.c0, c), "column")
            columns, step = self._columns_at(at, panels, chunk, c, column, n_columns)
            with b.for_("r", 0, n_rows, tile.mr) as r, at.scope():
                rows, row_step = self._rows_at(at, panels, chunk, r, b.let(lb.add(first, r)))
                height = b.let(lb.minimum(lb.sub(n_rows, r), tile.mr), "height")
                row = b.let(lb.add(first, r), "row")
                part = _Part(rows, row_step, columns, step, row, height, column, n_columns, c)
                self.tile(at, panels, region, chunk, part)

    def _columns_at(
        self, at: Points, panels: _Panels, chunk: _Chunk, c: Expr, column: Expr, n_columns: Expr
    ) -> tuple[Buffer, Expr]:
        b, tile = self.b, self.tiles[chunk.product]
        panel = b.view(panels.columns, lb.mul(c, CONTRACT_CHUNK), "panel")
        plain = chunk.columns.plain
        if plain is None:
            return panel, lb.const(tile.nr)
        # The last columns are read from the panel, which has room for a whole register tile.
        whole = b.let(lb.and_(chunk.columns_in_place, lb.compare("eq", n_columns, tile.nr)), "whole")
        with at.scope():
            at.go_to(self.extents[self.form.n].span(column, n_columns), lb.const(0))
            at.go_to(self.extents[chunk.product.k].span(chunk.k0, chunk.n), lb.const(0))
            here = b.view(self.cx.refs[plain.array].buffer, at.index_of(plain), "here")
        return b.pick(whole, here, panel, "columns"), b.let(lb.select(whole, chunk.columns.stride, lb.const(tile.nr)))

    def _rows_at(self, at: Points, panels: _Panels, chunk: _Chunk, r: Expr, row: Expr) -> tuple[Buffer, Expr]:
        b = self.b
        panel = b.view(panels.rows, lb.mul(r, _ROW), "panel")
        plain = chunk.rows.plain
        if plain is None:
            return panel, lb.const(_ROW)
        with at.scope():
            at.go_to(self.rows_span(row, lb.const(1)), lb.const(0))
            at.go_to(self.extents[chunk.product.k].span(chunk.k0, chunk.n), lb.const(0))
            here = b.view(self.cx.refs[plain.array].buffer, at.index_of(plain), "here")
        there = chunk.rows_in_place
        return b.pick(there, here, panel, "rows"), b.let(lb.select(there, chunk.rows.stride, lb.const(_ROW)))

    def tile(self, at: Points, panels: _Panels, region: _Region, chunk: _Chunk, part: _Part) -> None:
        """One register tile: a fast path for whole tiles that go straight to the array, else by way of L1."""
        guard = self.form.guard
        if guard is None:
            self._wanted_tile(at, panels, region, chunk, part, lb.const(True, lp.TRUTH.dtype))
            return
        with at.scope():
            rows, columns = self.rows_span(part.row, part.height), self._columns_of(part)
            some, every = wanted.of_tile(at, self.form, guard, rows, part.height, columns)
        with self.b.if_(some), at.scope():
            self._wanted_tile(at, panels, region, chunk, part, every)

    def _columns_of(self, part: _Part) -> Span:
        return self.extents[self.form.n].span(part.column, part.n_columns)

    def _wanted_tile(self, at: Points, panels: _Panels, region: _Region, chunk: _Chunk, part: _Part, every: Expr) -> None:
        """One that some results are wanted of. every: all of them are."""
        b, tile = self.b, self.tiles[chunk.product]
        if not self.in_place:
            self._small_tile(at, panels, region, chunk, part)
            return
        whole = lb.and_(lb.compare("eq", part.height, tile.mr), lb.compare("eq", part.n_columns, tile.nr))
        with b.if_(lb.and_(whole, every), likely=True) as node:
            starts = [self._place_of(at, part.row, r, part.column) for r in range(tile.mr)]
            array = self.cx.refs[self.form.stores[0].array].buffer
            for start in starts:  # they are needed after the chains, and come from far
                b.add(lp.Prefetch(array, start))
                b.add(lp.Prefetch(array, lb.add(start, tile.nr - 1)))
            sums = self._sums(chunk, part, tile.mr, 2, lb.not_(chunk.rows_in_place))
            self._add_in_place(chunk, array, starts, sums)
        with b.orelse(node):
            self._small_tile(at, panels, region, chunk, part)

    def _sums(self, chunk: _Chunk, part: _Part, rows: int, unroll: int, packed: Expr | None = None) -> list[list[lp.Var]]:
        return microkernel.product(
            self.b, self.tiles[chunk.product], rows, part.rows, part.row_step, part.columns, part.step, chunk.n,
            part.height, unroll, packed, _ROW,
        )  # fmt: skip

    def _add_in_place(self, chunk: _Chunk, array: Buffer, starts: Sequence[Expr], sums: Sequence[Sequence[Expr]]) -> None:
        b, lanes = self.b, self.tiles[chunk.product].lanes

        def write(change: Callable[[Expr, Expr], Expr]) -> None:
            for start, row in zip(starts, sums, strict=True):
                for v, x in enumerate(row):
                    place = b.let(lb.add(start, v * lanes), "place")
                    b.store(array, place, change(place, x))

        with b.if_(chunk.is_first) as node:
            write(lambda place, x: x)
        with b.orelse(node):
            write(lambda place, x: lb.add(b.let(lb.load(array, place, lanes)), x))

    def _place_of(self, at: Points, row: Expr, r: int | Expr, column: Expr) -> Expr:
        """Where the store puts the result of a row and column."""
        store = self.form.stores[0]
        with at.scope():
            at.go_to(self.rows_span(row, lb.const(1)), lb.as_expr(r))
            at.go_to(self.extents[self.form.n].span(column, lb.const(1)), lb.const(0))
            return at.place_of(store)

    def _small_tile(self, at: Points, panels: _Panels, region: _Region, chunk: _Chunk, part: _Part) -> None:
        """A register tile of any height, kept in L1 and added row by row."""
        b, tile = self.b, self.tiles[chunk.product]

        def choose(heights: Sequence[int]) -> None:
            rows, rest = heights[0], heights[1:]
            if not rest:
                microkernel.keep(b, self._sums(chunk, part, rows, 1), panels.tile, tile.nr)
                return
            with b.if_(lb.compare("gt", part.height, rest[0])) as node:
                microkernel.keep(b, self._sums(chunk, part, rows, 1), panels.tile, tile.nr)
            with b.orelse(node):
                choose(rest)

        choose(row_counts(tile))
        with b.for_("y", 0, part.height) as y, at.scope():
            at.go_to(self.rows_span(part.row, part.height), y)
            self._finish_row(at, panels, region, chunk, part, y)

    def _finish_row(self, at: Points, panels: _Panels, region: _Region, chunk: _Chunk, part: _Part, y: Expr) -> None:
        b, lanes = self.b, self.tiles[chunk.product].lanes
        whole = b.let(lb.mul(lb.floordiv(part.n_columns, lanes), lanes), "whole")
        with b.for_("x", 0, whole, lanes) as x:
            self._finish(at, panels, region, chunk, part, y, x, self._asked(at, part, x, None, lanes))
        with b.if_(lb.compare("lt", whole, part.n_columns)):
            mask = lanes_below(b, lb.sub(part.n_columns, whole), lanes)
            self._finish(at, panels, region, chunk, part, y, whole, self._asked(at, part, whole, mask, lanes))

    def _asked(self, at: Points, part: _Part, x: Expr, mask: Expr | None, lanes: int) -> Expr | None:
        """Lanes that exist and that the guard wants; None for all."""
        if self.form.guard is None:
            return mask
        asked = wanted.of_vector(at, self.form.guard, self._columns_of(part), x, lanes)
        return asked if mask is None else self.b.let(lb.and_(mask, asked), "mask")

    def _finish(
        self, at: Points, panels: _Panels, region: _Region, chunk: _Chunk, part: _Part, y: Expr, x: Expr,
        mask: Expr | None,
    ) -> None:  # fmt: skip
        """Add one vector of a register tile to what earlier chunks gave; after the last chunk run the epilogue."""
        b, tile, p = self.b, self.tiles[chunk.product], chunk.product
        total = b.var(lb.load(panels.tile, lb.add(lb.mul(y, tile.nr), x), tile.lanes), "total")
        if self.in_place:
            array = self.cx.refs[self.form.stores[0].array].buffer
            place = b.let(lb.add(self._place_of(at, part.row, y, part.column), x), "place")
            with b.if_(lb.not_(chunk.is_first)):
                b.set(total, lb.add(b.let(lb.load(array, place, tile.lanes, mask=mask)), total))
            b.store(array, place, total, mask=mask)
            return
        kept = panels.totals[p]
        row = lb.add(lb.sub(part.row, region.r0), y)
        place = b.let(lb.add(lb.mul(row, self.nb + tile.nr), lb.add(part.c, x)), "place")
        with b.if_(lb.not_(chunk.is_first)):
            b.set(total, lb.add(b.let(lb.load(kept, place, tile.lanes)), total))
        if p is not self.last:
            b.store(kept, place, total)
            return
        with b.if_(chunk.is_last) as node:
            self._epilogue(at, panels, part, x, place, b.let(total), mask)
        with b.orelse(node):
            b.store(kept, place, total)

    def _epilogue(
        self, at: Points, panels: _Panels, part: _Part, x: Expr, place: Expr, total: Expr, mask: Expr | None
    ) -> None:
        b, lanes = self.b, self.tiles[self.last].lanes
        with at.scope():
            values = [v for s in self.form.stores for v in (s.value, *(t for sub in s.subs for t in sub.values))]
            at.hoist(values)
            at.run_along(self.extents[self.form.n].span(part.column, lb.const(1)), x, lanes, mask)
            for p in self.form.products:
                at.env[p.op.result] = total if p is self.last else b.let(lb.load(panels.totals[p], place, lanes))
            ready = [at.vector(store.value, lanes) for store in self.form.stores]
            for store, value in zip(self.form.stores, ready, strict=True):
                at.store(store, value, mask)


@dataclass(slots=True)
class _Part:
    """Where one register tile stands: its operands, its first row and column, and how much of it exists."""

    rows: Buffer
    row_step: Expr
    columns: Buffer
    step: Expr
    row: Expr
    height: Expr
    column: Expr
    n_columns: Expr
    c: Expr  # column from the start of the region


def _product_of(xs: Sequence[Expr]) -> Expr:
    total: Expr = lb.const(1)
    for x in xs:
        total = lb.mul(total, x)
    return total


def _both(n: Expr, in_place: Expr) -> Expr:
    """There is something to pack, and it is not read in place."""
    some = lb.compare("gt", n, 0)
    if isinstance(in_place, Const):
        return some
    return lb.and_(some, lb.not_(in_place))


__all__ = ["lower"]
