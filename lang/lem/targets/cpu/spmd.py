"""The spmd strategy: loops over a grid's elements, vectors along one of its axes, threads over the others.

Takes a Grid and its plan; appends loop IR. Settings (``schedule.GridPlan``):

    vector  name of the grid axis that vectors run along; "" = elements are scalar, what is inside them uses vectors
    lanes   elements per vector of the main loop (several registers hide latency)
    rest    elements per vector for what the main loop leaves; the last one is masked
    joined  name of the axis in front of the vector axis, where the two run as one line; absent: they do not
    tile    (rows, columns) that are done together, where an array is read or written across them; absent: whole rows
    cost    elementwise operations per element, for cutting the work: a literal, or 0 for "estimate"

Units are rows (or blocks of rows): all other axes flattened, times blocks of the vector axis where rows are few. Which
piece an element falls into never changes its bits: tails run the same operations as the main loop, under a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lem import ir
from lem.ir import ops
from lem.ir.core import Axis, Value
from lem.ir.faults import faults_in_turns
from lem.ir.updates import shared_updates
from lem.schedule.core import GridPlan
from lem.schedule.joined import joined_places
from lem.targets.cpu import control, partial, places, reduce, scan
from lem.targets.cpu.context import ArrayRef
from lem.targets.cpu.cost import cost_of
from lem.targets.cpu.element import Domain, Element, Tables, first_lanes, written_arrays
from lem.targets.cpu.guards import Guard, find_guard, span_of, value_of
from lem.targets.cpu.interior import Interior, bounded_loads, find_interior
from lem.targets.cpu.shared import shared_values
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Const, Expr
from lem_runtime.abi.records import dataclass

_PIECES = 128  # blocks that few rows are cut into, at most
_BLOCK_COST = 1 << 15  # elementwise operations that a block of columns should have at least
_PIECE_COST = 1 << 19  # and a piece of work for one thread: neighbouring rows share what they read
_DIRECT_COST = 1 << 16  # below this a grid stays on the calling thread

TABLES = Tables()
places.register(TABLES)
control.register(TABLES)
reduce.register(TABLES)
scan.register(TABLES)


@dataclass(slots=True, eq=False)
class _Shape:
    """Extent of a grid, in sequential code. rows: numbers of the axes that make rows; vector: that of the vector axis;
    height: rows that are done together; units: blocks of rows times blocks of columns. line: the vector axis and the one
    in front of it, where they may be one; then `rows` are without the latter, and a block is one of the line's."""

    counts: list[Expr]
    rows: list[int]
    vector: int | None
    height: int
    n_blocks: Expr
    block: Expr
    units: Expr
    line: _Line | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """Two axes that may be one, cut in blocks of `height` times `width` elements, `across` of which stand side by side.
    gapless: whether they are one, in memory and in blocks."""

    gapless: Expr
    height: Expr
    width: Expr
    across: Expr


def lower(outer: Element, grid: ops.Grid, plan: GridPlan) -> None:
    """Append the code of one grid to sequential code."""
    cx = outer.cx
    lo = [outer.fix(outer.eval(v), "lo") for v in grid.lo]
    hi = [outer.fix(outer.eval(v), "hi") for v in grid.hi]
    counts = [outer.count(a, b, s) for a, b, s in zip(lo, hi, grid.step, strict=True)]
    cost = outer.fix(cost_of(outer, grid, plan), "cost")
    shared = shared_updates(grid)
    if shared:
        _lower_parts(outer, grid, plan, lo, counts, cost, shared)
        return
    guard = _guard(outer, grid, plan)
    # Without vectors too the last axis is a loop of its own: what does not depend on it is computed once per row.
    inner = plan.name("vector") or (grid.axes[-1].name if len(grid.axes) > 1 else "")
    make_shape = _joined_shape if plan.name("joined") else _shape
    shape = make_shape(outer, grid, plan, inner, counts, cost)
    size = lb.mul(shape.block, shape.height) if shape.line is None else lb.mul(shape.line.height, shape.line.width)
    per_unit = outer.fix(lb.mul(size, cost), "unit_cost")
    chunk, direct = _pieces(outer, shape.units, per_unit)
    cx.values = dict(outer.memo)
    with cx.parallel(grid.label, shape.units, chunk, None if _prints(grid) else direct) as (first, last):
        _Body(outer, grid, plan, lo, shape, guard).write(first, last)
    cx.values = {}


def _guard(outer: Element, grid: ops.Grid, plan: GridPlan) -> Guard | None:
    """The guard around the whole body, as bounds of the innermost loop over elements: along the vector axis, else along
    the last one, element by element."""
    if not plan.name("vector") and len(grid.axes) < 2:
        return None  # its elements are pieces of their own
    if plan.name("joined"):
        return None
    axis = next((a for a in grid.axes if a.name == plan.name("vector")), grid.axes[-1])
    return find_guard(grid, axis, {v: k.op for v, k in outer.known.items()})


def _shape(outer: Element, grid: ops.Grid, plan: GridPlan, inner: str, counts: list[Expr], cost: Expr) -> _Shape:
    names = [a.name for a in grid.axes]
    vector = names.index(inner) if inner in names else None
    rows = [n for n in range(len(names)) if n != vector]
    height, width = (*plan.numbers("tile"), 0, 0)[:2]
    height = height if rows and vector is not None and height > 1 else 1
    n_rows: Expr = lb.const(1)
    for n in rows:
        blocks = counts[n] if n != rows[-1] else lb.ceildiv(counts[n], height)
        n_rows = outer.put(lb.mul(n_rows, blocks), "rows")
    if vector is None:
        return _Shape(counts, rows, None, 1, lb.const(1), lb.const(1), n_rows)
    length = counts[vector]
    least = outer.put(lb.binary("floordiv", lb.const(_BLOCK_COST), lb.maximum(cost, 1)), "least")
    whole = 64 if plan.name("vector") else 1
    least = outer.put(lb.maximum(least, plan.number("lanes", 8) if whole > 1 else 1), "least")
    wanted = lb.binary("floordiv", lb.const(_PIECES), lb.maximum(n_rows, 1))
    possible = lb.binary("floordiv", length, least)
    if width:
        wanted = possible = lb.ceildiv(length, width)
    blocks = outer.put(lb.maximum(lb.minimum(wanted, possible), 1), "blocks")
    size = outer.put(lb.binary("floordiv", lb.sub(lb.add(length, blocks), 1), blocks))
    block = outer.put(lb.mul(lb.ceildiv(size, whole), whole), "block")
    some = lb.compare("gt", length, 0)
    units = outer.fix(lb.select(some, lb.mul(n_rows, blocks), lb.const(0)), "units")
    return _Shape(counts, rows, vector, height, blocks, block, units)


def _joined_shape(outer: Element, grid: ops.Grid, plan: GridPlan, inner: str, counts: list[Expr], cost: Expr) -> _Shape:
    """Blocks of whole rows of the last two axes; of parts of them where there are few."""
    put = outer.put
    n_rows: Expr = lb.const(1)
    for n in counts[:-2]:
        n_rows = put(lb.mul(n_rows, n), "rows")
    length, width = counts[-2:]
    least = put(lb.maximum(lb.binary("floordiv", lb.const(_BLOCK_COST), lb.maximum(cost, 1)), 1), "least")
    wanted = put(lb.binary("floordiv", lb.const(_PIECES), lb.maximum(n_rows, 1)), "wanted")
    least_rows = lb.maximum(lb.binary("floordiv", least, lb.maximum(width, 1)), 1)
    down = put(lb.maximum(lb.minimum(wanted, lb.binary("floordiv", length, put(least_rows))), 1), "down")
    more = lb.minimum(lb.binary("floordiv", wanted, lb.maximum(length, 1)), lb.binary("floordiv", width, least))
    across = put(lb.maximum(more, 1), "across")
    gapless: Expr = lb.compare("eq", across, 1)
    for o in joined_places(grid):
        ref = outer.ref(o.array)
        assert isinstance(ref, ArrayRef)
        step = ref.strides[-1]  # not 1 in every array: a view in a task lies as the array of its caller
        gapless = put(lb.and_(gapless, lb.compare("eq", ref.strides[-2], lb.mul(width, step))))
    block = [put(lb.binary("floordiv", lb.sub(lb.add(n, k), 1), k), "block") for n, k in ((length, down), (width, across))]
    line = _Line(outer.fix(gapless, "gapless"), block[0], block[1], across)
    some = lb.and_(lb.compare("gt", length, 0), lb.compare("gt", width, 0))
    n_blocks = put(lb.mul(down, across), "blocks")
    units = outer.fix(lb.select(some, lb.mul(n_rows, n_blocks), lb.const(0)), "units")
    return _Shape(counts, list(range(len(counts) - 2)), len(counts) - 1, 1, n_blocks, lb.const(1), units, line)


def _pieces(outer: Element, units: Expr, per_unit: Expr) -> tuple[Expr, Expr]:
    """Units per piece, and when the grid is too small to share."""
    workers = outer.fix(lp.CtxField(lp.INDEX, "n_workers"), "workers")
    share = lb.binary("floordiv", units, outer.put(lb.mul(workers, 4)))
    chunk = lb.binary("floordiv", lb.const(_PIECE_COST), lb.maximum(per_unit, 1))
    chunk = outer.put(lb.maximum(lb.minimum(chunk, share), 1), "chunk")
    # Compared without multiplying: the product of sizes may not fit.
    limit = lb.binary("floordiv", lb.const(_DIRECT_COST), lb.maximum(per_unit, 1))
    return chunk, outer.put(lb.compare("le", units, limit), "direct")


def _prints(grid: ops.Grid) -> bool:
    """Lines are put in order by the grid they come from, and only grids that the pool knows of are told apart."""
    return any(isinstance(o, ops.Print) for o in ir.walk_ops(grid.body))


def _lower_parts(
    outer: Element, grid: ops.Grid, plan: GridPlan, lo: list[Expr], counts: list[Expr], cost: Expr,
    shared: Sequence[ir.Array],
) -> None:  # fmt: skip
    """A grid whose elements update places that they share: each of a fixed number of parts has copies of its own."""
    cx = outer.cx
    total: Expr = lb.const(1)
    for n in counts:
        total = outer.put(lb.mul(total, n), "elements")
    with partial.copies(outer, grid, shared, total) as parts:
        # Elements of a row, one by one too, are found without dividing their number.
        vector = len(counts) - 1 if plan.name("vector") or len(counts) > 1 else None
        rows = [n for n in range(len(counts)) if n != vector]
        length = lb.const(1) if vector is None else counts[vector]
        shape = _Shape(counts, rows, vector, 1, lb.const(1), length, total)
        limit = lb.binary("floordiv", lb.const(_DIRECT_COST), lb.maximum(cost, 1))
        direct = outer.put(lb.compare("le", total, limit), "direct")
        cx.values = dict(outer.memo)
        # What a part reads before its first element is only there where there are elements.
        count = outer.put(lb.select(lb.compare("gt", total, 0), parts.count, lb.const(0)), "parts")
        with cx.parallel(grid.label, count, lb.const(1), None if _prints(grid) else direct) as (first, last):
            _Part(outer, grid, plan, lo, shape, parts).write(first, last)
        cx.values = {}


class _Body:
    """The body of the parallel step: rows, and in each row the vector axis."""

    def __init__(
        self, outer: Element, grid: ops.Grid, plan: GridPlan, lo: list[Expr], shape: _Shape, guard: Guard | None = None
    ) -> None:  # fmt: skip
        self.grid, self.plan, self.lo, self.shape, self.guard = guard.grid if guard else grid, plan, lo, shape, guard
        self.folds = guard is not None and guard.is_slanted and _may_fold(grid, shape)
        self.w = Element(outer.cx, TABLES, outer)
        self.w.written = written_arrays(grid.body)
        self.w.shared = shared_values(grid)
        for arg, axis in zip(grid.body.args, grid.axes, strict=True):
            self.w.index_of[arg] = axis
        self.strides: list[Expr] = []
        self.vector_at: lp.Var | None = None  # start of the vector at hand, kept where its elements may be asked again

    def write(self, first: Expr, last: Expr) -> None:
        w = self.w
        w.b.add(lp.Poll())
        stride: Expr = lb.const(1)
        for n in reversed(range(len(self.grid.axes))):
            self.strides.insert(0, stride)
            stride = w.put(lb.mul(stride, self.shape.counts[n]))
        self.units(first, last)
        if w.scratch:
            parts = tuple(zip(*w.scratch, strict=True))
            scratch = lp.Scratch(parts[0], parts[1], w.cx.no_memory_site())
            w.scopes[0].block.stmts.insert(-1, scratch)

    def units(self, first: Expr, last: Expr) -> None:
        with self.w.loop("unit", first, last, kind="loop") as unit:
            self.row(unit)

    def row(self, unit: Expr) -> None:
        """Recover the row's indices from its number."""
        w, shape = self.w, self.shape
        start: Expr = lb.const(0)
        rest: Expr
        if not (isinstance(shape.n_blocks, Const) and shape.n_blocks.value == 1):
            row = w.put(lb.binary("floordiv", unit, shape.n_blocks), "row")
            start = w.put(lb.mul(lb.sub(unit, lb.mul(row, shape.n_blocks)), shape.block), "start")
            unit = row
        if self.folds:
            # The longest row goes with the shortest one, and so on: every piece of the work has as much to do.
            half = w.put(lb.floordiv(unit, 2), "half")
            even = w.put(lb.compare("eq", lb.sub(unit, lb.mul(half, 2)), 0))
            final = lb.sub(w.put(lb.binary("floordiv", shape.units, shape.n_blocks)), 1)
            unit = w.put(lb.select(even, half, lb.sub(final, half)), "row")
        positions: dict[int, Expr] = {}
        for n in reversed(shape.rows[1:]):
            count = shape.counts[n] if n != shape.rows[-1] else lb.ceildiv(shape.counts[n], shape.height)
            rest = w.put(lb.binary("floordiv", unit, count), "rest")
            positions[n] = w.put(lb.sub(unit, lb.mul(rest, count)), "position")
            unit = rest
        if shape.rows:
            positions[shape.rows[0]] = unit
        if shape.height == 1:
            self.at_row(positions, start)
            return
        last = shape.rows[-1]
        begin = w.put(lb.mul(positions[last], shape.height))
        end = w.put(lb.minimum(lb.add(begin, shape.height), shape.counts[last]))
        with w.loop(self.grid.axes[last].name, begin, end, kind="loop") as position:
            self.at_row({**positions, last: position}, start)

    def at_row(self, positions: dict[int, Expr], start: Expr) -> None:
        order: Expr = lb.const(0)
        for n in self.shape.rows:
            order = self.w.put(lb.add(order, lb.mul(positions[n], self.strides[n])))
        self.with_rows(list(self.shape.rows), positions, lambda: self.columns(start, order))

    def with_rows(self, rows: list[int], positions: dict[int, Expr], body: Callable[[], None]) -> None:
        if not rows:
            body()
            return
        n = rows[0]
        index = self.w.put(lb.add(self.lo[n], lb.mul(positions[n], self.grid.step[n])), self.grid.axes[n].name)
        with self.w.bind(self.grid.axes[n], index, positions[n]):
            self.with_rows(rows[1:], positions, body)

    # -- along the vector axis
    def columns(self, start: Expr, order: Expr) -> None:
        w, shape = self.w, self.shape
        w.order = order
        if shape.vector is None:
            w.run(self.grid.body)
            return
        if shape.line is not None:
            self.lines(shape.line, start, order)
            return
        end = w.put(lb.minimum(lb.add(start, shape.block), shape.counts[shape.vector]), "end")
        if self.guard is not None:
            with self.in_guard(self.guard):
                first, last = self.guarded(self.guard, start, end)
                # What is read for all elements of a row is there only where it has one.
                with w.if_any(lb.compare("lt", first, last)):
                    self.between(first, last, order)
            return
        self.between(start, end, order)

    def lines(self, line: _Line, block: Expr, order: Expr) -> None:
        """A block of the last two axes. Rows that reach no boundary are one line where they have no gaps; else, and in
        front of and behind it, each is a line of its own. The code stands there once."""
        w, n = self.w, len(self.shape.counts) - 2
        axis, (length, width) = self.grid.axes[n], self.shape.counts[n:]
        down = w.put(lb.binary("floordiv", block, line.across), "down")
        start = w.put(lb.mul(down, line.height), "start")
        end = w.put(lb.minimum(lb.add(start, line.height), length), "end")
        left = w.put(lb.mul(lb.sub(block, lb.mul(down, line.across)), line.width), "left")
        right = w.put(lb.minimum(lb.add(left, line.width), width), "right")
        first, last = self.one_line(line, start, end)
        with w.loop("part", 0, 3, kind="loop") as part:
            front, middle = w.put(lb.compare("eq", part, 0)), w.put(lb.compare("eq", part, 1))
            begin = w.put(lb.select(front, start, lb.select(middle, first, last)), "begin")
            one = lb.minimum(lb.add(first, 1), last)
            close = w.put(lb.select(front, first, lb.select(middle, one, end)), "close")
            stop = w.put(lb.select(middle, lb.mul(lb.sub(last, first), width), right), "stop")
            with w.loop(axis.name, begin, close, kind="loop") as p:
                with w.bind(axis, w.put(lb.add(self.lo[n], p), axis.name), p):
                    self.segment(left, stop, w.put(lb.add(order, lb.mul(p, self.strides[n]))))
        w.interior = set()

    def one_line(self, line: _Line, start: Expr, end: Expr) -> tuple[Expr, Expr]:
        """Of the rows start .. end those that are one line: none, if need be."""
        w, n, gapless = self.w, len(self.shape.counts) - 2, line.gapless
        bounded = {o for o in joined_places(self.grid) if isinstance(o, ops.Load) and o.boundary}
        w.interior = bounded  # their last subscript is in range, and the one before is one number
        first, last = start, end
        found = find_interior(w, self.grid.body, self.grid.axes[n]) if bounded else None
        if found is not None and bounded <= found.loads:
            first = w.put(lb.maximum(start, lb.minimum(lb.sub(found.first, self.lo[n]), end)), "inner")
            last = w.put(lb.maximum(first, lb.minimum(lb.sub(found.last, self.lo[n]), end)), "inner_end")
        elif bounded:
            gapless = lb.const(False, lp.TRUTH.dtype)
        return first, w.put(lb.select(gapless, last, first), "inner_end")

    @contextmanager
    def in_guard(self, guard: Guard) -> Iterator[None]:
        """Only in rows of which the guard lets something through."""
        w = self.w
        ok: Expr = lb.true()
        for v in guard.rows:
            ok = w.put(lb.and_(ok, value_of(w, guard, v)))
        if isinstance(ok, Const) and ok.value:
            yield
            return
        with w.branch(ok):
            yield

    def guarded(self, guard: Guard, start: Expr, end: Expr) -> tuple[Expr, Expr]:
        """Of the positions start .. end those between the guard's bounds."""
        w, n = self.w, self.shape.vector
        assert n is not None
        lo, step = self.lo[n], self.grid.step[n]
        after = w.put(lb.add(lo, lb.mul(self.shape.counts[n], step)))
        first, last = span_of(w, guard, lo, after)
        begin = w.put(lb.maximum(start, lb.ceildiv(lb.sub(first, lo), step)), "first")
        return begin, w.put(lb.minimum(end, lb.ceildiv(lb.sub(last, lo), step)), "end")

    def between(self, start: Expr, end: Expr, order: Expr) -> None:
        """Positions start .. end of the vector axis, if there are any."""
        w = self.w
        if not self.plan.name("vector"):
            self.one_by_one(start, end, order)
            return
        found = find_interior(w, self.grid.body, self.axis) if bounded_loads(self.grid.body) else None

        def body() -> None:
            if found is None:
                self.segment(start, end, order)
            else:
                self.around(found, start, end, order)

        self.attempt(body, order)

    def one_by_one(self, start: Expr, end: Expr, order: Expr) -> None:
        with self.w.loop(self.axis.name, start, end, kind="loop") as p:
            self.vector(p, 0, order)

    def attempt(self, body: Callable[[], None], order: Expr) -> None:
        """The vectors that `body` writes; when one of them faults, the elements before the faulty lane are asked again,
        one by one: one of them may fault at a later point, and it is the smaller one."""
        w = self.w
        if not faults_in_turns(self.grid.body):
            body()
            return
        self.vector_at = w.var(lb.const(0), "vector_at")
        lane = w.var(lb.const(0), "lane")
        node = lp.Attempt(lp.Block(), lane, lp.Block())
        with w.scope("loop", node.body):
            body()
        with w.scope("branch", node.again):
            begin = w.fix(self.vector_at, "begin")
            with w.loop(self.axis.name, begin, w.fix(lb.add(begin, lane), "end"), kind="loop") as p:
                self.vector(p, 0, order)
        self.vector_at = None
        w.b.add(node)

    def around(self, found: Interior, start: Expr, end: Expr, order: Expr) -> None:
        """The interior in whole vectors, what lies left and right of it in masked ones that look at the boundary. In the
        order of the elements, since the smallest one that faults is to be found first; the masked code stands there once."""
        w, n = self.w, self.shape.vector
        assert n is not None
        step = self.grid.step[n]
        first = lb.ceildiv(lb.sub(found.first, self.lo[n]), step)
        last = lb.ceildiv(lb.sub(found.last, self.lo[n]), step)
        first = w.put(lb.maximum(start, lb.minimum(first, end)), "inner")
        last = w.put(lb.maximum(first, lb.minimum(last, end)), "inner_end")
        lanes = self.plan.number("lanes", 8)
        rest = self.plan.number("rest", lanes)
        inner = []
        stop: Expr = first
        for width in dict.fromkeys((lanes, rest)):
            begin, stop = stop, self.after_whole_vectors(stop, last, width)
            inner.append((begin, stop, width))
        with w.loop("side", 0, 2, kind="loop") as side:
            left = w.put(lb.compare("eq", side, 0), "left")
            begin = w.put(lb.select(left, start, stop), "begin")
            close = w.put(lb.select(left, first, end), "close")
            with w.loop(self.axis.name, begin, close, rest, kind="loop") as p:
                mask = w.put(first_lanes(lb.minimum(lb.sub(close, p), rest), rest), "active")
                with w.scope("masked", w.b.here, mask):
                    self.vector(p, rest, order)
            w.interior = found.loads
            for begin, end_, width in inner:
                with w.loop(self.axis.name, begin, w.put(lb.select(left, end_, begin)), width, kind="loop") as p:
                    self.vector(p, width, order)
            w.interior = set()

    def segment(self, start: Expr, end: Expr, order: Expr) -> None:
        """Positions start .. end: vectors, smaller vectors, a masked rest."""
        lanes = self.plan.number("lanes", 8)
        rest = self.plan.number("rest", lanes)
        for width in dict.fromkeys((lanes, rest)):
            start = self.whole_vectors(start, end, width, order)
        w = self.w
        left = w.put(lb.sub(end, start), "left")
        if isinstance(left, Const) and left.value == 0:
            return
        with w.branch(lb.compare("gt", left, 0)):
            mask = w.put(first_lanes(left, rest), "active")
            with w.scope("masked", w.b.here, mask):
                self.vector(start, rest, order)

    def whole_vectors(self, start: Expr, end: Expr, lanes: int, order: Expr) -> Expr:
        """A loop of full vectors; gives the position where it ends."""
        stop = self.after_whole_vectors(start, end, lanes)
        with self.w.loop(self.axis.name, start, stop, lanes, kind="loop") as p:
            self.vector(p, lanes, order)
        return stop

    def after_whole_vectors(self, start: Expr, end: Expr, lanes: int) -> Expr:
        n = lb.floordiv(lb.maximum(lb.sub(end, start), 0), lanes)
        return self.w.put(lb.add(start, lb.mul(n, lanes)), "stop")

    @property
    def axis(self) -> Axis:
        assert self.shape.vector is not None
        return self.grid.axes[self.shape.vector]

    def vector(self, position: Expr, lanes: int, order: Expr) -> None:
        w, n = self.w, self.shape.vector
        assert n is not None
        step = self.grid.step[n]
        base = w.put(lb.add(self.lo[n], lb.mul(position, step)), self.axis.name)
        stride = self.strides[n]
        w.order = w.put(lb.add(order, lb.mul(position, stride)), "order")
        w.order_step = stride
        if self.vector_at is not None:
            w.b.set(self.vector_at, position)
        with w.bind(self.axis, base, position, lanes, step):
            w.run(self.grid.body)


def _may_fold(grid: ops.Grid, shape: _Shape) -> bool:
    """May rows be done in another order? Of elements that fault the smallest one is to be found first."""
    return shape.height == 1 and not any(isinstance(o, ops.Assert) for o in ir.walk_ops(grid.body))


class _Part(_Body):
    """The elements of one part after the other, in order: the flattened grid from `begin` to `end`."""

    def __init__(
        self, outer: Element, grid: ops.Grid, plan: GridPlan, lo: list[Expr], shape: _Shape, parts: partial.Parts
    ) -> None:  # fmt: skip
        super().__init__(outer, grid, plan, lo, shape)
        self.parts = parts
        self.begin: Expr = lb.const(0)
        self.end: Expr = lb.const(0)

    def units(self, first: Expr, last: Expr) -> None:
        w, length = self.w, self.shape.block
        with w.loop("part", first, last, kind="turns") as part:
            self.begin = w.put(lb.mul(part, self.parts.length), "begin")
            self.end = w.put(lb.minimum(lb.add(self.begin, self.parts.length), self.shape.units), "end")
            with self.parts.use(w, part):
                rows = w.put(lb.maximum(length, 1))
                above = lb.binary("floordiv", lb.sub(lb.add(self.end, rows), 1), rows)
                with w.loop("row", lb.binary("floordiv", self.begin, rows), w.put(above), kind="loop") as row:
                    self.row(row)

    def columns(self, start: Expr, order: Expr) -> None:
        w = self.w
        w.order = order
        if self.shape.vector is None:
            w.run(self.grid.body)
            return
        start = w.put(lb.maximum(lb.sub(self.begin, order), 0), "start")
        end = w.put(lb.minimum(lb.sub(self.end, order), self.shape.block), "end")
        if self.plan.name("vector"):
            self.attempt(lambda: self.segment(start, end, order), order)
        else:
            self.one_by_one(start, end, order)


__all__ = ["TABLES", "Domain", "Value", "lower"]
