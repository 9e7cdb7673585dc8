"""Strategy "tiled": a block of elements at a time, op by op, with matrix products inside. Flash attention and its kin.

Takes a grid that ``tilings.find_tiling`` knows, gives loop IR. A unit of work is one place of the batch axes and `rows`
neighbouring positions of the row axis. In it each op of the body runs for all rows before the next one does: products
as register tiles over panels (``microkernel``), elementwise code in loops along the contiguous inner axis, reductions
row by row in the order of LANGUAGE 30. Values that several ops read, or that a product or a reduction made, are kept in
scratch; all others are computed where they are read (``points``).

Ragged blocks (``tiles(S[:i + 1])``): each row knows which positions of the block are its own. Loops along the block stay
between them, a product's chains too, and a row without any keeps what it carries. So blocks on the diagonal cost what
they hold, and whole ones pay two loads per row.

Settings: rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lem import ir
from lem.ir import ops
from lem.ir.constants import CONTRACT_CHUNK, LANES, TILES_BLOCK
from lem.ir.core import Axis
from lem.schedule.core import GridPlan
from lem.schedule.products import Side, below
from lem.schedule.register_tiles import register_tile, tiled_settings
from lem.schedule.tilings import Tiling, find_tiling
from lem.targets.cpu import microkernel, tiled_plan
from lem.targets.cpu.context import Context
from lem.targets.cpu.packing import lanes_below, pack_across, pack_along
from lem.targets.cpu.points import Kept, Points, Span, outside, stride_along, unit_stride
from lem.targets.cpu.pure import accumulate
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Buffer, Expr
from lem_runtime.abi.dtypes import I64, DType
from lem_runtime.abi.records import dataclass


def lower(cx: Context, grid: ops.Grid, plan: GridPlan) -> None:
    """Append the grid to `cx.b`."""
    tiling = find_tiling(cx.fn, grid)
    assert tiling is not None, "the plan was made for another grid"
    rows = plan.number("rows", int(str(tiled_settings(tiling.dtype, cx.machine)["rows"])))
    _Tiled(cx, tiling, rows).run()


@dataclass(frozen=True, slots=True)
class _Domain:
    """Positions of an open axis: 0 .. span.count for all rows, or lo .. hi row by row (lo None: 0)."""

    span: Span
    lo: Kept | None = None
    hi: Kept | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """An operand of a product in memory: element (0, 0) at `base`, then `stride` per row of it."""

    buffer: Buffer
    base: Expr
    stride: Expr


class _Tiled:
    def __init__(self, cx: Context, t: Tiling, rows: int) -> None:
        self.cx, self.b, self.t = cx, cx.b, t
        self.tile = register_tile(t.dtype, cx.machine)
        self.lanes = self.tile.lanes
        step = self.tile.mr
        self.rows = -(-rows // step) * step  # whole register tiles
        self.at = Points(self.b, t.defs, cx.refs, outside(cx, t.grid))
        self.domains: dict[Axis, _Domain] = {}
        self.lengths: dict[Axis, Expr] = {}  # positions of inner axes at most, known before the grid runs
        self.rooms: dict[Axis, Expr] = {}
        self.scratch: list[tuple[Buffer, Expr]] = []
        self.panels: dict[ir.Value, Buffer] = {}
        self.is_active: Kept | None = None  # rows that take part in the block at hand; None: all

    # -- once per grid, in sequential code
    def run(self) -> None:
        b, t = self.b, self.t
        self.lo, self.n_rows_total = self._extent(t.row)
        batch = [(side, *self._extent(side)) for side in t.batch]
        for axis, side in t.ranges.items():
            lo, n = self._extent(side)
            self.lengths[axis] = n
            self.domains[axis] = _Domain(Span(axis, side.indices, lo, side.step, lb.const(0), n))
        for op in ir.walk_ops(t.grid.body):
            if isinstance(op, ops.Tiles):
                size = lb.const(TILES_BLOCK) if op.block is None else lb.maximum(self.at.value(op.block), 1)
                self.lengths[op.axis] = b.let(size, "size")
        nr = self.tile.nr
        for axis, length in self.lengths.items():
            self.rooms[axis] = b.let(lb.add(lb.mul(lb.ceildiv(length, nr), nr), self.lanes), "room")
        n_blocks = b.let(lb.ceildiv(self.n_rows_total, self.rows), "n_blocks")
        total: Expr = n_blocks
        for _, _, n in batch:
            total = b.let(lb.mul(total, n), "units")
        workers = b.let(lp.CtxField(lp.INDEX, "n_workers"), "workers")
        chunk = b.let(lb.maximum(lb.binary("floordiv", total, b.let(lb.mul(workers, 16))), 1), "chunk")
        alone = b.let(lb.compare("le", total, 1), "alone")
        with self.cx.parallel(t.grid.label, total, chunk, alone) as (lo, hi):
            self.piece(lo, hi, n_blocks, batch)

    def _extent(self, side: Side) -> tuple[Expr, Expr]:
        lo, hi = self.at.value(side.lo), self.at.value(side.hi)
        return lo, self.b.let(lb.maximum(lb.ceildiv(lb.sub(hi, lo), side.step), 0), "n")

    def piece(self, lo: Expr, hi: Expr, n_blocks: Expr, batch: Sequence[tuple[Side, Expr, Expr]]) -> None:
        b, at, row = self.b, self.at, self.t.row
        here, spot = b.here, len(b.here.stmts)
        with b.for_("unit", lo, hi) as unit, at.scope():
            b.add(lp.Poll())
            number = b.let(lb.binary("floordiv", unit, n_blocks), "number")
            order: Expr = number
            for n, (side, start, length) in reversed(list(enumerate(batch))):
                p = b.let(lb.binary("mod", number, length), "p") if n else number
                number = b.let(lb.binary("floordiv", number, length), "number") if n else number
                at.bind(side.axis, side.indices, lb.add(start, lb.mul(p, side.step)), p)
            first = b.let(lb.mul(lb.binary("mod", unit, n_blocks), self.rows), "first")
            self.n_rows = b.let(lb.minimum(lb.sub(self.n_rows_total, first), self.rows), "rows")
            begin = b.let(lb.add(self.lo, lb.mul(first, row.step)), "begin")
            self.row_span = Span(row.axis, row.indices, begin, row.step, lb.const(0), self.n_rows)
            self.first_order = b.let(lb.add(lb.mul(order, self.n_rows_total), first), "order")
            self.block(self.t.grid.body)
        buffers = tuple(buffer for buffer, _ in self.scratch)
        counts = tuple(count for _, count in self.scratch)
        here.stmts.insert(spot, lp.Scratch(buffers, counts, self.cx.no_memory_site()))

    # -- memory
    def new(self, name: str, dtype: DType, count: Expr) -> Buffer:
        buffer = Buffer(name, dtype, "scratch")
        self.scratch.append((buffer, count))
        return buffer

    def room(self, axis: Axis) -> Expr:
        """Elements between rows of a tile along `axis`: room for whole register tiles, and not a power of two."""
        return self.rooms[axis]

    def new_kept(self, v: ir.Value, name: str = "") -> Kept:
        """Memory for a number, column, line or tile."""
        row = self.t.row.axis
        axes = self.t.tile_axes(v)
        inner = sorted(axes - {row}, key=lambda a: a.uid)
        assert len(inner) <= 1, "a value with two inner axes is never kept"
        name = name or v.name or "kept"
        pad = lb.const(self.lanes)
        if not inner:
            buffer = self.new(name, v.dtype, lb.const(self.rows + self.lanes if axes else 1))
            return Kept(buffer, (row,) if axes else (), (lb.const(1),) if axes else ())
        room = self.room(inner[0])
        if row not in axes:
            return Kept(self.new(name, v.dtype, lb.add(room, pad)), (inner[0],), (lb.const(1),))
        count = lb.add(lb.mul(room, self.rows + 1), pad)
        return Kept(self.new(name, v.dtype, count), (row, inner[0]), (room, lb.const(1)))

    # -- loops
    @contextmanager
    def each_row(self) -> Iterator[Expr]:
        """A loop over the rows at hand, one by one."""
        with self.b.for_("r", 0, self.n_rows) as r, self.at.scope():
            self.at.go_to(self.row_span, r)
            yield r

    @contextmanager
    def if_active(self, r: Expr) -> Iterator[None]:
        if self.is_active is None:
            yield
            return
        with self.b.if_(lb.compare("ne", lb.load(self.is_active.buffer, r), 0)), self.at.scope():
            yield

    def limits(self, axis: Axis) -> tuple[Expr, Expr]:
        """First and last position along `axis` of the row that is bound (or of all)."""
        d, b = self.domains[axis], self.b
        r = self.at.bound.get(self.t.row.axis)
        if d.hi is None or r is None:
            return lb.const(0), d.span.count
        lo = lb.const(0) if d.lo is None else b.let(lb.load(d.lo.buffer, r), "lo")
        return lo, b.let(lb.load(d.hi.buffer, r), "hi")

    def along(self, span: Span, lo: Expr, hi: Expr, body: Callable[[Expr, Expr | None], None]) -> None:
        """``body(position, mask)`` for vectors along a span from `lo` to `hi`."""
        b, at, lanes = self.b, self.at, self.lanes
        whole = b.let(lb.add(lo, lb.mul(lb.floordiv(lb.sub(hi, lo), lanes), lanes)), "whole")
        with b.for_("x", lo, whole, lanes) as x, at.scope():
            at.run_along(span, x, lanes)
            body(x, None)
        with b.if_(lb.compare("lt", whole, hi)), at.scope():
            mask = lanes_below(b, lb.sub(hi, whole), lanes)
            at.run_along(span, whole, lanes, mask)
            body(whole, mask)

    # -- statements
    def block(self, block: ir.Block) -> None:
        keep = tiled_plan.to_keep(self.t, block)
        for op in block.ops:
            match op:
                case ops.Contract():
                    self.contract(op)
                case ops.Reduce():
                    self.reduce(op)
                case ops.Tiles():
                    self.tiles(op)
                case ops.Store():
                    self.store(op)
                case ops.Assert():
                    self.check(op)
                case _ if op.results and op.result in keep:
                    self.at.kept[op.result] = self.keep(op.result)

    def keep(self, v: ir.Value, into: Kept | None = None, only_active: bool = False) -> Kept:
        """Compute a value for all rows and store it."""
        at, b, axes = self.at, self.b, self.t.tile_axes(v)
        kept = into or self.new_kept(v)
        inner = [a for a in kept.axes if a is not self.t.row.axis]
        if not inner:
            self.keep_column(v, kept, only_active)
            return kept
        span = self.domains[inner[0]].span

        def line(row: Expr) -> None:
            at.hoist([v])
            lo, hi = self.limits(inner[0])
            self.along(span, lo, hi, lambda x, mask: b.store(kept.buffer, lb.add(row, x), at.vector(v, self.lanes)))

        if self.t.row.axis not in kept.axes:
            assert self.t.row.axis not in axes
            with at.scope():
                line(lb.const(0))
            return kept
        with self.each_row() as r:
            if only_active:
                with self.if_active(r):
                    line(b.let(lb.mul(r, kept.strides[0]), "row"))
            else:
                line(b.let(lb.mul(r, kept.strides[0]), "row"))
        return kept

    def keep_column(self, v: ir.Value, kept: Kept, only_active: bool) -> None:
        """A number, or a column by vectors along the rows."""
        at, b, lanes = self.at, self.b, self.lanes
        if not kept.axes:
            with at.scope():
                b.store(kept.buffer, 0, at.value(v))
            return

        def part(x: Expr, mask: Expr | None) -> None:
            value = at.vector(v, lanes)
            if only_active and self.is_active is not None:
                going = lb.compare("ne", lb.load(self.is_active.buffer, x, lanes), lb.const(0, I64, lanes))
                value = lb.select(b.let(going), value, b.let(lb.load(kept.buffer, x, lanes)))
            b.store(kept.buffer, x, value)

        with at.scope():
            at.hoist([v])
            self.along(self.row_span, lb.const(0), self.n_rows, part)

    def store(self, op: ops.Store) -> None:
        at, row = self.at, self.t.row.axis
        place = frozenset().union(*(s.axes for s in op.subs))
        inner = [a for a in place if a in self.domains and a is not row]
        values = [op.value, *(v for s in op.subs for v in s.values)]
        with self.each_row() as r, self.if_active(r):
            at.hoist(values)
            if not inner:
                at.store(op, at.value(op.value))
                return
            lo, hi = self.limits(inner[0])
            span = self.domains[inner[0]].span
            self.along(span, lo, hi, lambda x, mask: at.store(op, at.vector(op.value, self.lanes), mask))

    def check(self, op: ops.Assert) -> None:
        """Fault with the first row for which the condition fails."""
        at, b = self.at, self.b
        with at.scope():
            varies = self.t.row.axis in op.cond.axes
            likely_fine = lb.const(True, lp.TRUTH.dtype) if varies else lb.not_(at.value(op.cond))
            with b.if_(likely_fine), self.each_row() as r, self.if_active(r):
                values = tuple(at.value(v) for v in op.values)
                fails = b.let(lb.not_(at.value(op.cond)), "fails")
                b.add(lp.Fault(fails, self.cx.site_base + op.site, b.let(lb.add(self.first_order, r)), values))

    # -- reductions
    def reduce(self, op: ops.Reduce) -> None:
        row = self.t.row.axis
        kept = self.new_kept(op.result, op.acc.name)
        if any(row in x.axes for x in op.xs):
            with self.each_row() as r:
                self.b.store(kept.buffer, r, self.reduced(op))
        else:
            with self.at.scope():
                self.b.store(kept.buffer, 0, self.reduced(op))
        self.at.kept[op.result] = kept

    def reduced(self, op: ops.Reduce) -> Expr:
        """The result for the row that is bound."""
        self.at.hoist(op.xs)
        lo, hi = self.limits(op.axis)
        chain = op.order is ops.Order.CHAIN
        state = self.chain(op, lo, hi) if chain else self.interleaved(op, lo, hi)
        return accumulate(op.acc.finish, {"s0": state}, op.acc.dtype)

    def chain(self, op: ops.Reduce, lo: Expr, hi: Expr) -> Expr:
        b, at = self.b, self.at
        state = b.var(lb.const(op.acc.init[0], op.acc.state[0]), "state")
        with b.for_("x", lo, hi) as x, at.scope():
            at.go_to(self.domains[op.axis].span, x)
            b.set(state, self.stepped(op, b.let(state), [at.value(v) for v in op.xs]))
        return b.let(state)

    def stepped(self, op: ops.Reduce, state: Expr, xs: Sequence[Expr]) -> Expr:
        names = {"s0": state, **{f"x{n}": x for n, x in enumerate(xs)}}
        return accumulate(op.acc.step[0], names, op.acc.state[0])

    def merged(self, op: ops.Reduce, x: Expr, y: Expr) -> Expr:
        return self.b.let(accumulate(op.acc.merge[0], {"a0": x, "b0": y}, op.acc.state[0]), "m")

    def interleaved(self, op: ops.Reduce, lo: Expr, hi: Expr) -> Expr:
        """32 partial results: position p goes to number p % 32; then halves are merged until one is left."""
        b, lanes = self.b, self.lanes
        start = lb.const(op.acc.init[0], op.acc.state[0], lanes)
        states = [b.var(start, "state") for _ in range(LANES // lanes)]
        is_aligned = isinstance(lo, lp.Const)
        first = lo if is_aligned else b.let(lb.mul(lb.floordiv(lo, LANES), LANES), "first")
        whole = b.let(lb.mul(lb.floordiv(hi, LANES), LANES), "whole") if is_aligned else first
        if is_aligned:
            with b.for_("x", first, whole, LANES) as x:
                for n, state in enumerate(states):
                    self.step_vector(op, state, lb.add(x, n * lanes), None)
        with b.for_("x", whole, hi, LANES) as x:
            for n, state in enumerate(states):
                at_lane = b.let(lb.add(x, n * lanes), "p")
                with b.if_(lb.compare("lt", at_lane, hi)):
                    mask = lanes_below(b, lb.minimum(lb.sub(hi, at_lane), lanes), lanes)
                    if not is_aligned:
                        before = lanes_below(b, lb.maximum(lb.sub(lo, at_lane), 0), lanes)
                        mask = b.let(lb.and_(mask, lb.not_(before)), "mask")
                    self.step_vector(op, state, at_lane, mask)
        parts = [b.let(s) for s in states]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [self.merged(op, parts[n], parts[n + half]) for n in range(half)]
        whole_vector = parts[0]
        while (n := whole_vector.type.lanes) > 2:
            low, high = lb.lanes_of(whole_vector, 0, n // 2), lb.lanes_of(whole_vector, n // 2, n // 2)
            whole_vector = self.merged(op, b.let(low), b.let(high))
        return self.merged(op, b.let(lb.extract(whole_vector, 0)), b.let(lb.extract(whole_vector, 1)))

    def step_vector(self, op: ops.Reduce, state: lp.Var, x: Expr, mask: Expr | None) -> None:
        b, at, lanes = self.b, self.at, self.lanes
        with at.scope():
            at.run_along(self.domains[op.axis].span, x, lanes, mask)
            old = b.let(state)
            new = self.stepped(op, old, [at.vector(v, lanes) for v in op.xs])
            b.set(state, new if mask is None else lb.select(mask, new, old))

    # -- products
    def contract(self, op: ops.Contract) -> None:
        row = self.t.row.axis
        rows, columns = (op.x, op.y) if row in op.x.axes else (op.y, op.x)
        (n_axis,) = self.t.tile_axes(columns) - {op.axis}
        kept = self.new_kept(op.result, "product")
        x = self.rows_source(rows, op.axis)
        self.pack_columns(columns, op.axis, n_axis)
        k, n = self.domains[op.axis], self.domains[n_axis]
        longest = self.lengths[op.axis]
        if isinstance(longest, lp.Const) and longest.value <= CONTRACT_CHUNK:
            self.tiles_of_product(op, kept, x, columns, n, k, lb.const(0))
        else:
            with self.b.for_("k0", 0, self.b.let(lb.maximum(k.span.count, 1)), CONTRACT_CHUNK) as k0:
                self.tiles_of_product(op, kept, x, columns, n, k, k0)
        self.at.kept[op.result] = kept

    def plain(self, v: ir.Value, inner: Side | Span, outer: Side | Span) -> tuple[ops.Load, Expr] | None:
        """A load that can be read in place: contiguous along `inner`; its distance along `outer`."""
        op = self.t.defs.get(v)
        if not isinstance(op, ops.Load) or op.array not in self.cx.refs:
            return None
        ref = self.cx.refs[op.array]
        if not unit_stride(op, _as_side(inner), ref):
            return None
        stride = stride_along(op, _as_side(outer), ref)
        return None if stride is None else (op, stride)

    def rows_source(self, v: ir.Value, k: Axis) -> _Source:
        """The rows' operand: where it is kept, in place, or kept now."""
        at, b, row = self.at, self.b, self.t.row.axis
        kept = at.kept.get(v)
        found = None if kept is not None else self.plain(v, self.domains[k].span, self.row_span)
        if found is not None:
            with at.scope():
                at.go_to(self.row_span, lb.const(0))
                at.go_to(self.domains[k].span, lb.const(0))
                return _Source(self.cx.refs[found[0].array].buffer, at.index_of(found[0]), b.let(found[1]))
        if kept is None:
            kept = at.kept[v] = self.pack_rows(v, k)
        assert kept.axes[0] is row
        return _Source(kept.buffer, lb.const(0), kept.strides[0])

    def pack_rows(self, v: ir.Value, k: Axis) -> Kept:
        kept = self.new_kept(v)
        pack = pack_across if self.is_turned(v, self.domains[k].span, self.row_span) else None
        if pack is None or self.domains[k].hi is not None:
            return self.keep(v, kept)
        with self.at.scope():
            pack(self.at, v, self.row_span, self.domains[k].span, kept.buffer, kept.strides[0], self.lanes)
        return kept

    def is_turned(self, v: ir.Value, inner: Span, outer: Span) -> bool:
        """Is what `v` reads contiguous along `outer` rather than along `inner`?"""
        loads = [op for op in below([v], self.t.defs, self.at.kept) if isinstance(op, ops.Load)]
        refs = self.cx.refs
        if any(unit_stride(op, _as_side(inner), refs[op.array]) for op in loads):
            return False
        return any(unit_stride(op, _as_side(outer), refs[op.array]) for op in loads)

    def pack_columns(self, v: ir.Value, k: Axis, n: Axis) -> None:
        """Panels of the columns' operand: all of them, or the last one where it is read in place."""
        b, at, tile = self.b, self.at, self.tile
        if v in self.panels:
            return
        k_span, n_span = self.domains[k].span, self.domains[n].span
        room = lb.add(lb.mul(self.room(n), lb.add(self.lengths[k], self.lanes)), tile.nr * self.lanes)
        panels = self.panels[v] = self.new("panels", v.dtype, room)
        in_place = self.plain(v, n_span, k_span) is not None
        start = b.let(lb.mul(lb.floordiv(n_span.count, tile.nr), tile.nr)) if in_place else lb.const(0)
        pack = pack_across if self.is_turned(v, n_span, k_span) else pack_along
        with b.if_(lb.compare("gt", k_span.count, 0)), b.for_("c", start, n_span.count, tile.nr) as c, at.scope():
            count = b.let(lb.minimum(lb.sub(n_span.count, c), tile.nr), "count")
            part = Span(n_span.axis, n_span.indices, n_span.start, n_span.step, c, count)
            panel = b.view(panels, self.panel_at(k, c), "panel")
            pack(at, v, k_span, part, panel, lb.const(tile.nr), self.lanes)

    def panel_at(self, k: Axis, c: Expr) -> Expr:
        """Where the panel of columns from `c` on starts; a panel has room for whole squares."""
        return lb.mul(c, lb.add(self.lengths[k], self.lanes))

    def columns_source(self, v: ir.Value, k: Axis, n: Axis, c: Expr) -> _Source:
        b, at, tile = self.b, self.at, self.tile
        k_span, n_span = self.domains[k].span, self.domains[n].span
        panel = _Source(self.panels[v], b.let(self.panel_at(k, c)), lb.const(tile.nr))
        found = self.plain(v, n_span, k_span)
        if found is None:
            return panel
        whole = b.let(lb.compare("le", lb.add(c, tile.nr), n_span.count), "whole")
        with at.scope():
            at.go_to(n_span, c)
            at.go_to(k_span, lb.const(0))
            base = at.index_of(found[0])
        there = b.pick(whole, self.cx.refs[found[0].array].buffer, panel.buffer, "columns")
        stride = b.let(lb.select(whole, found[1], panel.stride))
        return _Source(there, b.let(lb.select(whole, base, panel.base)), stride)

    def tiles_of_product(
        self, op: ops.Contract, kept: Kept, x: _Source, columns: ir.Value, n: _Domain, k: _Domain, k0: Expr
    ) -> None:
        """All register tiles of a product, for one chunk along k."""
        b, tile = self.b, self.tile
        assert n.span.axis is not None and k.span.axis is not None
        depth = b.let(lb.minimum(lb.sub(k.span.count, k0), CONTRACT_CHUNK), "depth")
        with b.for_("c", 0, n.span.count, tile.nr) as c:
            y = self.columns_source(columns, k.span.axis, n.span.axis, c)
            ys = b.view(y.buffer, lb.add(y.base, lb.mul(k0, y.stride)), "ys")
            with b.for_("r", 0, self.n_rows, tile.mr) as r:
                height = b.let(lb.minimum(lb.sub(self.n_rows, r), tile.mr), "height")
                with self.unless_outside(n, r, height, c):
                    xs = b.view(x.buffer, lb.add(x.base, lb.add(lb.mul(r, x.stride), k0)), "xs")
                    sums = self.sums(k, k0, depth, xs, x.stride, ys, y.stride, r, height)
                    self.put(kept, sums, r, c, k0)

    def sums(
        self, k: _Domain, k0: Expr, depth: Expr, xs: Buffer, x_stride: Expr, ys: Buffer, y_stride: Expr, r: Expr,
        height: Expr,
    ) -> list[list[lp.Var]]:  # fmt: skip
        b, tile = self.b, self.tile
        if k.hi is None:
            return microkernel.product(b, tile, tile.mr, xs, x_stride, ys, y_stride, depth, height, 2)
        highs = self.row_bounds(k.hi, r, height, k0, depth)
        lows = None if k.lo is None else self.row_bounds(k.lo, r, height, k0, depth)
        return microkernel.ragged_product(b, tile, tile.mr, xs, x_stride, ys, y_stride, height, lows, highs)

    def row_bounds(self, kept: Kept, r: Expr, height: Expr, k0: Expr, depth: Expr) -> list[Expr]:
        """Bounds of the rows of a register tile within a chunk; the last row stands in for rows that do not exist."""
        b = self.b
        last = b.let(lb.sub(height, 1), "last")
        out = []
        for n in range(self.tile.mr):
            bound = lb.load(kept.buffer, lb.add(r, lb.minimum(last, n) if n else lb.const(0)))
            out.append(b.let(lb.minimum(lb.maximum(lb.sub(bound, k0), 0), depth), "bound"))
        return out

    @contextmanager
    def unless_outside(self, n: _Domain, r: Expr, height: Expr, c: Expr) -> Iterator[None]:
        """Leave out register tiles in which no row has a position."""
        b = self.b
        if n.hi is None:
            yield
            return
        zero, far = lb.const(0), lb.const(1 << 40)
        end: Expr = zero
        for bound in self.row_bounds(n.hi, r, height, zero, far):
            end = b.let(lb.maximum(end, bound), "end")
        with b.if_(lb.compare("gt", end, c)):
            yield

    def put(self, kept: Kept, sums: list[list[lp.Var]], r: Expr, c: Expr, k0: Expr) -> None:
        """Store a register tile, or add it to what earlier chunks gave."""
        b, lanes = self.b, self.lanes
        places = [b.let(lb.add(lb.mul(lb.add(r, y), kept.strides[0]), c)) for y in range(len(sums))]
        if isinstance(k0, lp.Const):
            for place, line in zip(places, sums, strict=True):
                for v, x in enumerate(line):
                    b.store(kept.buffer, lb.add(place, v * lanes), x)
            return
        is_first = b.let(lb.compare("eq", k0, 0), "is_first")
        for place, line in zip(places, sums, strict=True):
            for v, x in enumerate(line):
                there = b.let(lb.add(place, v * lanes))
                with b.if_(lb.not_(is_first)):
                    b.set(x, lb.add(b.let(lb.load(kept.buffer, there, lanes)), x))
                b.store(kept.buffer, there, x)

    # -- loops over blocks
    def tiles(self, op: ops.Tiles) -> None:
        at, row = self.at, self.t.row.axis
        carried = []
        for init, arg in zip(op.init, op.body.args[1:], strict=True):
            kept = self.new_kept(arg)
            self.keep(init, kept)
            carried.append(kept)
        for arg, kept in zip(op.body.args[1:], carried, strict=True):
            at.kept[arg] = kept
        self.prepare(op.body)
        if row in op.lo.axes or row in op.hi.axes:
            self.ragged(op, carried)
        else:
            with at.scope():
                self.straight(op, carried, at.value(op.lo), at.value(op.hi))
        for result, kept in zip(op.results, carried, strict=True):
            at.kept[result] = kept

    def prepare(self, body: ir.Block) -> None:
        """Operands of products that are the same in every turn are packed before the loop."""
        if any(isinstance(op, ops.Assert) for op in ir.walk_ops(body)):
            return  # what is read may depend on what is checked there
        row = self.t.row.axis
        for op in body.ops:
            if not isinstance(op, ops.Contract):
                continue
            for v in (op.x, op.y):
                others = self.t.tile_axes(v) - {row, op.axis}
                if not tiled_plan.is_invariant(self.t, v, body) or op.axis not in self.domains:
                    continue
                if row in v.axes:
                    self.rows_source(v, op.axis)
                elif others <= self.domains.keys():
                    self.pack_columns(v, op.axis, next(iter(others)))

    def straight(self, op: ops.Tiles, carried: Sequence[Kept], lo: Expr, hi: Expr) -> None:
        """Bounds that are the same for all rows."""
        b, size = self.b, self.lengths[op.axis]
        turns = b.let(self.turns(lo, hi, size), "turns")
        with b.for_("n", 0, turns) as n, self.at.scope():
            begin = b.let(lb.add(lo, lb.mul(n, size)), "begin")
            count = b.let(lb.minimum(lb.sub(hi, begin), size), "count")
            self.turn(op, carried, _Domain(Span(op.axis, op.body.args[:1], begin, 1, lb.const(0), count)))

    def turns(self, lo: Expr, hi: Expr, size: Expr) -> Expr:
        n = lb.sub(lb.add(lb.sub(hi, lo), size), 1)
        return lb.maximum(lb.binary("floordiv", n, size), 0)

    def ragged(self, op: ops.Tiles, carried: Sequence[Kept]) -> None:
        """Bounds that differ by row: from the first block that any row needs to the last one."""
        b, at, row, size = self.b, self.at, self.t.row.axis, self.lengths[op.axis]
        bounds = [self._bound(v) for v in (op.lo, op.hi)]
        low, high = b.var(lb.const(2**62), "low"), b.var(lb.const(-(2**62)), "high")
        with self.each_row() as r:
            lo, hi = (b.let(lb.load(k.buffer, r)) for k in bounds)
            with b.if_(lb.compare("lt", lo, hi)):
                b.set(low, lb.minimum(low, lo))
                b.set(high, lb.maximum(high, hi))
        with b.if_(lb.compare("lt", b.let(low), b.let(high))), at.scope():
            first, end = b.let(low, "first"), b.let(high, "end")
            if row in op.lo.axes:
                first = b.let(lb.mul(lb.binary("floordiv", first, size), size), "first")
            turns = b.let(self.turns(first, end, size), "turns")
            outer = self.is_active
            mine_lo, mine_hi, active = (self._column(name) for name in ("from", "to", "active"))
            with b.for_("n", 0, turns) as n, at.scope():
                begin = b.let(lb.add(first, lb.mul(n, size)), "begin")
                count = b.let(lb.minimum(lb.sub(end, begin), size), "count")
                some = self._find_rows(bounds, (mine_lo, mine_hi, active), begin, count)
                with b.if_(some), at.scope():
                    self.is_active = active
                    span = Span(op.axis, op.body.args[:1], begin, 1, lb.const(0), count)
                    self.turn(op, carried, _Domain(span, mine_lo if row in op.lo.axes else None, mine_hi))
                    self.is_active = outer

    def _column(self, name: str) -> Kept:
        return Kept(self.new(name, I64, lb.const(self.rows + self.lanes)), (self.t.row.axis,), (lb.const(1),))

    def _bound(self, v: ir.Value) -> Kept:
        kept = self._column("bound")
        self.keep_column(v, kept, False)
        return kept

    def _find_rows(self, bounds: Sequence[Kept], into: Sequence[Kept], begin: Expr, count: Expr) -> Expr:
        """Each row's positions in a block, and whether it has any; gives whether some row has."""
        b = self.b
        some = b.var(lb.const(0), "some")
        with self.each_row() as r:
            lo = b.let(lb.maximum(lb.sub(lb.load(bounds[0].buffer, r), begin), 0))
            hi = b.let(lb.maximum(lb.minimum(lb.sub(lb.load(bounds[1].buffer, r), begin), count), 0))
            going = b.let(lb.cast(lb.compare("lt", lo, hi), I64))
            b.store(into[0].buffer, r, lb.minimum(lo, hi))
            b.store(into[1].buffer, r, hi)
            b.store(into[2].buffer, r, going)
            b.set(some, lb.or_(some, going))
        return b.let(lb.compare("ne", b.let(some), 0), "some")

    def turn(self, op: ops.Tiles, carried: Sequence[Kept], domain: _Domain) -> None:
        """The body for one block, and what it hands to the next one."""
        self.domains[op.axis] = domain
        before = dict(self.panels)
        self.block(op.body)
        self.panels = before
        self.carry(op, carried)

    def carry(self, op: ops.Tiles, carried: Sequence[Kept]) -> None:
        """Next values: first all that others may still read the old one of, then the rest in place, then copies."""
        args = op.body.args[1:]
        copies: list[tuple[Kept, Kept, ir.Value]] = []
        in_place: list[tuple[ir.Value, Kept]] = []
        for value, arg, kept in zip(op.body.yields, args, carried, strict=True):
            if value is arg:
                continue
            others = {a for a in args if a is not arg}
            is_tile = len(kept.axes) == 2
            read = tiled_plan.leaves(self.t, value, self.at.kept)
            if is_tile and not any(len(self.at.kept[a].axes) == 2 for a in read & others):
                in_place.append((value, kept))
                continue
            temp = self.new_kept(arg, "next")
            self.keep(value, temp)
            copies.append((temp, kept, arg))
        for value, kept in in_place:
            self.keep(value, kept, only_active=True)
        for temp, kept, arg in copies:
            self.copy(temp, kept, arg)

    def copy(self, source: Kept, into: Kept, arg: ir.Value) -> None:
        """`into` becomes what `source` holds, for active rows."""
        saved = self.at.kept[arg]
        self.at.kept[arg] = source
        self.keep(arg, into, only_active=True)
        self.at.kept[arg] = saved


def _as_side(x: Side | Span) -> Side:
    """What stride questions need to know of a span."""
    if isinstance(x, Side):
        return x
    assert x.axis is not None
    return Side(x.axis, x.indices, x.indices[0], x.indices[0], x.step)


__all__ = ["lower"]
