"""Code for one element, or for a vector of neighbouring elements: tile IR values become loop IR where they are needed.

An :class:`Element` walks the ops of a block in order. Ops without effects only become known; their code is written when
something asks for the value (:meth:`eval`), in the outermost scope that has all it needs (see ``weave``). An axis is
*bound* while a loop over it is open, by a scalar index or by a vector of neighbouring ones; at most one axis is a vector
at a time. A value with an axis that is not bound has no code yet: whoever closes the axis (a reduction, a store) opens a
loop over it and asks for the value there, so no intermediate array is made.

Reads of arrays that the code at hand also writes keep their place: they are written when their op is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from lem import ir
from lem.diagnostics import InternalError
from lem.ir import ops
from lem.ir.core import Array, Axis, Block, Value
from lem.targets.cpu.context import ArrayRef, Context
from lem.targets.cpu.pure import PURE_OPS, pure
from lem.targets.cpu.weave import Scope, Weaver
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Buffer, Const, Expr
from lem_runtime.abi.dtypes import I32, I64, DType
from lem_runtime.abi.records import dataclass

_STACK_BYTES = 1 << 14  # what one buffer may take of a worker's stack


@dataclass(slots=True, eq=False)
class Binding:
    """An open loop over `axis`. `base` is the index of lane 0 (a vector only where the axis is ragged by lane); lanes
    are `step` apart. `position` counts from the start of the axis' domain, for lane 0."""

    axis: Axis
    base: Expr
    lanes: int
    step: int
    position: Expr
    level: int


@dataclass(slots=True, eq=False)
class Domain:
    """Where an axis ranges, as values still to be computed, or as expressions. valid: bounds that hold for the element
    inside of it (blocks of a `tiles` loop), None where the domain itself is exact."""

    lo: Value | Expr
    hi: Value | Expr
    step: int = 1
    valid_lo: Expr | None = None
    valid_hi: Expr | None = None
    capacity: Expr | None = None  # positions there can be at most, where that is known further out than their number


@dataclass(slots=True, eq=False)
class Known:
    """How a value is made. floor: level of the branch it stands in: its code does not leave that. checked: level of the
    scope whose checks say that a load may read what it reads; 0 where none do."""

    op: ir.Op
    floor: int
    checked: int = 0


@dataclass(slots=True, eq=False)
class Kept:
    """A value with open axes that lies in memory: positions along `axes`, then lanes (none: one)."""

    buffer: Buffer
    axes: tuple[Axis, ...]
    strides: tuple[Expr, ...]  # in elements, lanes included
    lanes: int
    level: int = 0


@dataclass(slots=True, eq=False)
class LocalRef:
    """A small array that every element has for itself: element (i, j), lane l at ((i * n + j) * lanes + l)."""

    buffer: Buffer
    sizes: tuple[Expr, ...]
    strides: tuple[Expr, ...]  # in places, lanes not included
    lanes: int
    level: int


@dataclass(slots=True, eq=False)
class Tables:
    """What to do for ops other than elementwise ones: `demand` when a value is asked for, `effects` in order."""

    demand: dict[type[ir.Op], Callable[[Element, Any], None]] = field(default_factory=dict)
    effects: dict[type[ir.Op], Callable[[Element, Any], None]] = field(default_factory=dict)


class Element(Weaver):
    """See the module. `lanes`: elements of the widest vector to use along axes that are not the grid's."""

    def __init__(self, cx: Context, tables: Tables, outer: Element | None = None, lanes: int = 8) -> None:
        super().__init__(cx)
        self.tables = tables
        self.lanes = lanes
        self.memo: dict[Value, Expr] = {}
        self.known: dict[Value, Known] = dict(outer.known) if outer else {}
        self.domains: dict[Axis, Domain] = dict(outer.domains) if outer else {}
        self.index_of: dict[Value, Axis] = dict(outer.index_of) if outer else {}
        self.kept: dict[Value, Kept] = dict(outer.kept) if outer else {}
        self.bound: dict[Axis, Binding] = {}
        self.vec: Binding | None = None
        self.locals: dict[Array, LocalRef] = {}
        self.written: set[Array] = set()
        self.unsettled: dict[Value, frozenset[Array]] = {}  # values still to be written that read arrays written here
        self.running: list[tuple[Block, int]] = []  # blocks being walked, and the op they are at
        self.shared: set[Value] = set()  # values with open axes to compute once, into memory
        self.interior: set[ops.Load] = set()  # loads whose boundary cannot be reached in the loop being written
        self.scratch: list[tuple[Buffer, Expr]] = []
        self.views: dict[Any, Buffer] = {}
        self.temps: list[Buffer] = []  # of sequential code, those of the innermost block last
        self.order: Expr = lb.const(-1)
        self.order_step: Expr = lb.const(0)
        self.vectors_ok = True
        self.eager = outer is None  # sequential code: every op where it stands
        self.in_grid = outer is not None
        self.used: set[Value] = outer.used if outer else set()

    # -- what is known where
    def on_close(self, scope: Scope) -> None:
        gone = [v for v, e in self.memo.items() if self.level_of(e) > self.level]
        for v in gone:
            del self.memo[v]
        for v in [v for v, k in self.kept.items() if k.level >= scope.level]:
            del self.kept[v]

    def hide(self, level: int) -> Any:
        inner = {v: e for v, e in self.memo.items() if self.level_of(e) > level}
        kept = {v: k for v, k in self.kept.items() if k.level > level}
        bound, vec = dict(self.bound), self.vec
        for v in inner:
            del self.memo[v]
        for v in kept:
            del self.kept[v]
        self.bound = {a: b for a, b in bound.items() if b.level <= level}
        if vec is not None and vec.level > level:
            self.vec = None
        return inner, kept, bound, vec

    def unhide(self, hidden: Any) -> None:
        inner, kept, self.bound, self.vec = hidden
        for v, e in inner.items():
            self.memo.setdefault(v, e)
        for v, k in kept.items():
            self.kept.setdefault(v, k)

    def open_axes(self, axes: Iterable[Axis]) -> list[Axis]:
        """Those that no loop binds, in order of their making."""
        return sorted((a for a in axes if a not in self.bound), key=lambda a: a.uid)

    def lanes_for(self, v: Value) -> int:
        """Lanes that a value has here."""
        return self.vec.lanes if self.vec is not None and self.vec.axis in v.axes else 0

    # -- blocks
    def run(self, block: Block) -> None:
        """Make the ops of a block known; write those that have effects."""
        floor, n_temps = self.barrier(self.level), len(self.temps)
        self.running.append((block, 0))
        for o in ir.walk_ops(block):  # written once more (full vectors, then what is left): nothing waits yet
            for r in o.results:
                self.unsettled.pop(r, None)
        checks: set[Value] = set()  # what the checks so far speak of
        of_numbers = False  # one speaks of sizes and numbers: that an axis is not empty
        for n, o in enumerate(block.ops):
            self.running[-1] = (block, n)
            if isinstance(o, ops.Assert):
                # The first value of a checked subscript is the subscript; sizes it is compared with say nothing of it.
                origins = self.origins([o.cond])
                speaks_of = {v for v in origins if not self.is_size(v)} | self.origins(o.values[:1])
                checks |= speaks_of
                of_numbers |= not speaks_of or not (o.values or speaks_of >= origins)
            guarded = False
            if isinstance(o, ops.Load) and (checks or of_numbers):
                place = self.origins(_needs(o))
                by_size = not place or o.boundary in ("clamp", "wrap") or any(map(self.is_size, place))
                guarded = not checks.isdisjoint(place) or (of_numbers and by_size)
            for r in o.results:
                self.known[r] = Known(o, floor, self.level if guarded else 0)
            if isinstance(o, ops.Range):
                self.domains[o.axis] = Domain(o.lo, o.hi, o.step)
                self.index_of[o.result] = o.axis
            elif self.has_effect(o):
                self.settle_before(o)
                self.tables.effects[type(o)](self, o)
            elif o.results:
                reads = self.reads_unsettled(o)
                if self.keeps_place(o, reads):
                    self.demand_now(o)
                elif self.vec is None and o.results[0] in self.shared and self.can_keep(o.results[0]):
                    self.materialise(o.results[0])
                elif self.would_repeat(o):
                    self.tables.demand[type(o)](self, o)
                elif reads:
                    self.unsettled.update((r, reads) for r in o.results)
        self.running.pop()
        while len(self.temps) > n_temps and self.level > 0:
            self.b.add(lp.Free(self.temps.pop()))

    def origins(self, values: Iterable[Value]) -> set[Value]:
        """What values are made of that no op of this code calculates: loads, indices, sizes, scalars, and what loops and
        grids hand in."""
        out: set[Value] = set()
        seen: set[Value] = set()
        stack = list(values)
        while stack:
            v = stack.pop()
            known = self.known.get(v)
            if v in seen or (known is not None and isinstance(known.op, ops.Const)):
                continue
            seen.add(v)
            if known is None or known.op.blocks or isinstance(known.op, ops.Load | ops.Range | ops.Dim | ops.Scalar):
                out.add(v)
            if known is not None and not known.op.blocks and not isinstance(known.op, ops.Load):
                stack.extend(_needs(known.op))
        return out

    def is_size(self, v: Value) -> bool:
        known = self.known.get(v)
        return known is not None and isinstance(known.op, ops.Dim)

    def would_repeat(self, o: ir.Op) -> bool:
        """Would a loop that carries a line of values (those of an attention) be run once per place of the line, with all
        that it sums up for the whole line? It is run once, and the line lies in memory."""
        if not isinstance(o, ops.For | ops.Tiles):
            return False
        axes = set(self.open_axes(frozenset().union(*(r.axes for r in o.results))))
        sums = [p for p in ir.walk_ops(o.body) if isinstance(p, ops.Reduce | ops.Contract)]
        return bool(axes) and any(axes.isdisjoint(p.result.axes) for p in sums) and all(map(self.can_keep, o.results))

    def keeps_place(self, o: ir.Op, reads: frozenset[Array]) -> bool:
        """Must the op's code stand here, rather than where its value is first needed?"""
        if any(self.open_axes(r.axes) for r in o.results):
            return False
        return self.eager or bool(reads) or self.reads_written(o)

    def reads_unsettled(self, o: ir.Op) -> frozenset[Array]:
        """Arrays written here that the code of an op would read when it is written later."""
        out: frozenset[Array] = frozenset()
        for v in _needs(o):
            out |= self.unsettled.get(v, frozenset())
        if self.reads_written(o):
            out |= {p.array for p in (o, *(q for b in o.blocks for q in ir.walk_ops(b))) if isinstance(p, ops.Load)}
        return out & (self.written | frozenset(a for a in out if a.kind == "local"))

    def settle_before(self, o: ir.Op) -> None:
        """Code inside of `o`, or what it calls, may change arrays: what was read from them is computed in front of it,
        since a later place could be a second turn of a loop, or one side of a branch."""
        changed = set(o.arrays) if isinstance(o, ops.Call) else set().union(*(written_arrays(b) for b in o.blocks))
        for array in sorted(changed & self.written, key=lambda a: a.name):
            self.settle(array, None, set(_needs(o)))

    def settle(self, array: Array, own: Value | None, used: Iterable[Value] = ()) -> None:
        """`array` is about to change: values read from it that are used later (or are among `used`) are computed now.
        own: the value that is stored, which the caller sees to."""
        waiting = [v for v, arrays in self.unsettled.items() if array in arrays and v is not own and v not in self.memo]
        if not waiting:
            return
        later = set(used)
        for block, n in self.running:
            for o in block.ops[n + 1 :]:
                later.update(_needs(o))
            later.update(block.yields)
        for v in waiting:
            if v in later and v not in self.kept:
                self.materialise(v)
                self.unsettled.pop(v)

    def demand_now(self, o: ir.Op) -> None:
        for r in o.results:
            self.memo[r] = self.fix(self.eval(r), r.name or "t")

    def has_effect(self, o: ir.Op) -> bool:
        if o.effect in (ir.Effect.WRITE, ir.Effect.FAULT) or isinstance(o, ops.Grid | ops.Scan):
            return True  # a scan is computed once, where it stands
        return any(self.has_effect(p) for b in o.blocks for p in b.ops)

    def reads_written(self, o: ir.Op) -> bool:
        if isinstance(o, ops.Load):
            return o.array in self.written or o.array.kind in ("local", "view", "name")
        if isinstance(o, ops.Size | ops.Same):
            return True
        return any(self.reads_written(p) for b in o.blocks for p in b.ops)

    # -- values
    def eval(self, v: Value) -> Expr:
        """Code for a value at the innermost open scope (or further out); all its axes must be bound."""
        found = self.find(v)
        if found is not None:
            return found
        stack = [v]  # elementwise code can be deep: no recursion there
        while stack:
            top = stack[-1]
            if self.find(top) is not None:
                stack.pop()
                continue
            known = self.known.get(top)
            if known is None or top in self.kept or type(known.op) not in PURE_OPS:
                self.memo[top] = self.demand(top, known)
                stack.pop()
                continue
            missing = [p for p in known.op.operands if self.find(p) is None]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            operands = [self.find(p) for p in known.op.operands]
            self.memo[top] = self.put(pure(known.op, operands), top.name or "t", known.floor)  # type: ignore[arg-type]
        return self.memo[v]

    def find(self, v: Value) -> Expr | None:
        e = self.memo.get(v)
        if e is not None and self.level_of(e) <= self.level:
            return e
        return self.cx.values.get(v)

    def demand(self, v: Value, known: Known | None) -> Expr:
        """Code for a value that is not elementwise."""
        if v in self.kept:
            return self.load_kept(self.kept[v])
        if v in self.index_of:
            return self.index(self.index_of[v])
        if known is None:
            raise InternalError("cpu lower", f"{v} is used before it is known")
        if isinstance(known.op, ops.Dim | ops.Scalar | ops.Depth):
            return self.cx.named(known.op)
        # In front of a loop that may have no turn, or of the check that stands in it, nothing may be read.
        floor = max(known.floor, self.load_floor()) if isinstance(known.op, ops.Load) else known.floor
        with self.at(max(self.depth(known.op), floor, self.bound_level(known.op))):
            self.tables.demand[type(known.op)](self, known.op)
            return self.memo[v]

    def bound_level(self, o: ir.Op, closed: frozenset[Axis] = frozenset()) -> int:
        """Where the axes of an op's results are bound, those in `closed` left out. Its subscripts may be known further
        out, but what may be read is known here only: the scope of the innermost of them masks positions that some lanes
        do not have."""
        axes: set[Axis] = set().union(*(r.axes for r in o.results)) - closed
        return max((self.bound[a].level for a in axes if a in self.bound), default=0)

    def index(self, axis: Axis) -> Expr:
        """The index of a bound axis as a number."""
        at = self.bound.get(axis)
        if at is None:
            raise InternalError("cpu lower", f"axis {axis} is not bound here")
        if not at.lanes:
            return at.base
        return self.put(lb.add(at.base, lb.mul(lb.iota(at.lanes), lb.const(at.step))), axis.name)

    def depth(self, o: ir.Op) -> int:
        """Level at which all that an op needs is known, without writing any code. What it reads of arrays that are
        written here keeps it where it is, and so does a branch or loop with checks: those speak of the element at hand."""
        if self.stays(o):
            return self.level
        level = max((self.known[r].checked for r in o.results if r in self.known), default=0)
        seen: set[tuple[Value, frozenset[Axis]]] = set()
        stack = [(v, axes_closed(o)) for v in _needs(o)]
        while stack:
            v, inside = stack.pop()
            if (v, inside) in seen:
                continue
            seen.add((v, inside))
            found = self.find(v) if not v.axes & inside else None
            known = self.known.get(v)
            if found is not None:
                level = max(level, self.level_of(found))
            elif v in self.index_of:
                level = max(level, self._index_depth(self.index_of[v], inside, stack))
            elif v in self.kept:
                kept = self.kept[v]
                bound = [self.bound[a].level for a in kept.axes if a in self.bound and a not in inside]
                level = max(level, kept.level, *bound)
            elif known is not None:
                if self.stays(known.op):
                    return self.level
                level = max(level, known.checked)
                if known.op.blocks:  # what a loop carries has the axes that its type says, needed or not
                    level = max(level, self.bound_level(known.op, inside))
                closed = inside | axes_closed(known.op)
                stack.extend((n, closed) for n in _needs(known.op))
        return min(level, self.level)

    def stays(self, o: ir.Op) -> bool:
        return self.reads_written(o) or any(self.has_effect(p) for b in o.blocks for p in b.ops)

    def _index_depth(self, axis: Axis, inside: frozenset[Axis], stack: list[tuple[Value, frozenset[Axis]]]) -> int:
        """Of an index: the loop that binds it, or what the bounds of the loop to come need."""
        at = self.bound.get(axis)
        if at is not None and axis not in inside:
            return at.level
        domain = self.domains.get(axis)
        if domain is None:
            return 0
        parts = (domain.lo, domain.hi, domain.valid_lo, domain.valid_hi)
        stack.extend((b, inside) for b in parts if isinstance(b, Value))
        return max((self.level_of(b) for b in parts if isinstance(b, Expr)), default=0)

    # -- loops over axes
    def domain(self, axis: Axis) -> tuple[Expr, Expr, int]:
        """Bounds of an axis here: scalars, or vectors where they differ by lane."""
        d = self.domains.get(axis)
        if d is None:
            raise InternalError("cpu lower", f"axis {axis} has no range")
        lo = self.eval(d.lo) if isinstance(d.lo, Value) else d.lo
        hi = self.eval(d.hi) if isinstance(d.hi, Value) else d.hi
        return lo, hi, d.step

    def count(self, lo: Expr, hi: Expr, step: int) -> Expr:
        """Number of positions from lo to hi, not below 0."""
        if isinstance(lo, Const) and isinstance(hi, Const):
            return lb.const(max(0, -((int(lo.value) - int(hi.value)) // step)))
        return self.put(lb.maximum(lb.ceildiv(lb.sub(hi, lo), step), 0), "n")

    @contextmanager
    def bind(self, axis: Axis, base: Expr, position: Expr, lanes: int = 0, step: int = 1) -> Iterator[Binding]:
        """Bind an axis in the innermost scope. One that is bound already is another one inside: a branch that depends on
        an axis may reduce over it."""
        outer, vec = self.bound.get(axis), self.vec
        inner = {}
        if outer is not None:
            inner = {v: e for v, e in self.memo.items() if axis in v.axes}
            for v in inner:
                del self.memo[v]
        made = Binding(axis, base, lanes, step, position, self.level)
        self.bound[axis] = made
        if lanes:
            self.vec = made
        top, mask = self.top, self.mask
        if not lanes and vec is not None and vec.axis is axis:
            # One position at a time here, whatever lanes are around; some of them are active, or nothing would run.
            self.vec = top.mask = None
        try:
            yield made
        finally:
            self.vec, top.mask = vec, mask
            for v in [v for v in self.memo if axis in v.axes]:
                del self.memo[v]
            self.memo.update(inner)
            if outer is None:
                del self.bound[axis]
            else:
                self.bound[axis] = outer

    def over(self, axis: Axis, body: Callable[[], None], lanes: int = 0) -> None:
        """Write `body` in a loop over all positions of an axis: by vectors of `lanes` and a masked rest, or one by one."""
        lo, hi, step = self.domain(axis)
        if lo.type.lanes or hi.type.lanes:
            self.over_ragged(axis, lo, hi, step, body)
            return
        d = self.domains[axis]
        if not lanes:
            with self.guarded_loop(axis.name, lo, hi, step) as k:
                position = lb.sub(k, lo) if step == 1 else lb.floordiv(lb.sub(k, lo), step)
                with self.valid_only(d, k), self.bind(axis, k, position):
                    body()
            return
        n = self.count(lo, hi, step)
        whole = self.put(lb.mul(lb.floordiv(n, lanes), lb.const(lanes)), "whole")
        with self.guarded_loop(axis.name, 0, whole, lanes) as p:
            base = self.put(lb.add(lo, lb.mul(p, step)))
            with self.valid_only(d, base, lanes, step), self.bind(axis, base, p, lanes, step):
                body()
        rest = self.put(lb.sub(n, whole), "rest")
        self.over_rest(axis, rest, whole, lb.add(lo, lb.mul(whole, step)), lanes, step, body)

    def over_rest(
        self, axis: Axis, rest: Expr, position: Expr, base: Expr, lanes: int, step: int, body: Callable[[], None]
    ) -> None:
        """The last `rest` positions as one masked vector, if there are any."""
        if isinstance(rest, Const) and rest.value == 0:
            return
        with self.branch(lb.compare("gt", rest, 0)):
            base = self.put(base, "base")
            mask = self.put(first_lanes(rest, lanes), "active")
            with self.scope("masked", self.b.here, mask), self.valid_only(self.domains[axis], base, lanes, step):
                with self.bind(axis, base, position, lanes, step):
                    body()

    def over_ragged(self, axis: Axis, lo: Expr, hi: Expr, step: int, body: Callable[[], None]) -> None:
        """A loop as long as the longest lane needs; others are masked out when they are done."""
        counts = self.put(lb.maximum(lb.ceildiv(lb.sub(hi, lo), step), 0), "counts")
        if self.mask is not None:
            counts = self.put(lb.select(self.mask, counts, lb.const(0)), "counts")
        longest = self.fix(fold_lanes("max", counts, self.put), "longest")
        with self.guarded_loop(axis.name, 0, longest) as p:
            active = self.fix(lb.compare("lt", p, counts), "active")
            mask = lb.and_(self.mask, active) if self.mask is not None else active
            base = self.put(lb.add(lo, lb.mul(p, step)), axis.name)
            with self.scope("masked", self.b.here, self.fix(mask)), self.bind(axis, base, p, 0, step):
                body()

    @contextmanager
    def valid_only(self, d: Domain, base: Expr, lanes: int = 0, step: int = 1) -> Iterator[None]:
        """Mask out positions outside of the element's own part of a block."""
        if d.valid_lo is None and d.valid_hi is None:
            yield
            return
        index = lb.add(base, lb.mul(lb.iota(lanes), lb.const(step))) if lanes else base
        ok: Expr = lb.true()
        if d.valid_lo is not None:
            ok = lb.and_(ok, lb.compare("ge", index, d.valid_lo))
        if d.valid_hi is not None:
            ok = lb.and_(ok, lb.compare("lt", index, d.valid_hi))
        ok = self.fix(ok, "valid")
        if ok.type.lanes:
            mask = self.fix(lb.and_(self.mask, ok) if self.mask is not None else ok, "active")
            with self.scope("masked", self.b.here, mask):
                yield
        else:
            with self.branch(ok):
                yield

    def over_all(self, axes: Iterable[Axis], vector: Axis | None, lanes: int, body: Callable[[], None]) -> None:
        """Nested loops over axes, the vector one innermost."""
        rest = list(axes)
        if not rest:
            body()
            return
        axis = next(a for a in rest if a is not vector or len(rest) == 1)
        rest.remove(axis)
        self.over(axis, lambda: self.over_all(rest, vector, lanes, body), lanes if axis is vector else 0)

    # -- memory that only this code knows
    def buffer(self, name: str, dtype: DType, count: Expr) -> Buffer:
        """Room for `count` elements: on the stack where that is known to be small, else worker-local."""
        if isinstance(count, Const) and int(count.value) * dtype.size_bytes <= _STACK_BYTES:
            made = Buffer(name, dtype, "stack")
            self.scopes[0].block.stmts.insert(0, lp.StackBuffer(made, max(1, int(count.value))))
            return made
        if not self.in_grid or self.level_of(count) > 0:  # in a grid: a size that differs by element
            made = Buffer(name, dtype, "temp")
            self.b.add(lp.Alloc(made, count, self.cx.no_memory_site(), zeroed=False))
            self.levels[made.uid] = self.level
            return made
        made = Buffer(name, dtype, "scratch")
        self.scratch.append((made, count))
        return made

    def load_kept(self, kept: Kept) -> Expr:
        """A kept value at the positions that are bound now."""
        return self.fix(self.kept_place(kept, lambda i, n, s, m: lb.load(kept.buffer, i, n, stride=s, mask=m)), "kept")

    def store_kept(self, kept: Kept, value: Expr) -> None:
        def store(index: Expr, lanes: int, stride: Expr | None, mask: Expr | None) -> Expr:
            self.b.store(kept.buffer, index, lb.splat(value, lanes), stride=stride, mask=mask)
            return value

        self.kept_place(kept, store)

    def kept_place(self, kept: Kept, use: Callable[[Expr, int, Expr | None, Expr | None], Expr]) -> Expr:
        index: Expr = lb.const(0)
        stride: Expr | None = None
        for axis, scale in zip(kept.axes, kept.strides, strict=True):
            at = self.bound[axis]
            index = self.put(lb.add(index, lb.mul(at.position, scale)))
            if at.lanes:
                stride = scale
        if stride is not None:
            assert self.vec is not None
            return use(index, self.vec.lanes, stride, self.mask)
        return use(index, kept.lanes, None, None)

    def keep(self, v_axes: Iterable[Axis], dtype: DType, lanes: int, name: str) -> Kept:
        """Room for one value per position of `v_axes` (and per lane)."""
        axes = tuple(v_axes)
        strides: list[Expr] = []
        count: Expr = lb.const(max(lanes, 1))
        for axis in reversed(axes):
            strides.insert(0, count)
            count = self.put(lb.mul(count, self.capacity(axis)), "count")
        return Kept(self.buffer(name, dtype, count), axes, tuple(strides), lanes, self.level)

    def capacity(self, axis: Axis) -> Expr:
        """Positions of an axis that memory must have room for."""
        limit = self.domains[axis].capacity
        lo, hi, step = self.domain(axis)
        return limit if limit is not None else self.count(lo, hi, step)

    def can_keep(self, v: Value) -> bool:
        """Is the room that `v` needs the same for all elements?"""
        for axis in self.open_axes(v.axes):
            d = self.domains.get(axis)
            if d is None:
                return False
            bounds = [b if isinstance(b, Value) else None for b in (d.lo, d.hi)]
            if d.capacity is None and any(b is None or self.open_axes(b.axes) or self.value_depth(b) > 0 for b in bounds):
                return False
        return True

    def value_depth(self, v: Value) -> int:
        """Level at which a value can be known."""
        found = self.find(v)
        if found is not None:
            return self.level_of(found)
        known = self.known.get(v)
        return self.depth(known.op) if known is not None else 0

    def materialise(self, v: Value) -> None:
        """Compute a value at all positions of its open axes now, and read it from memory from here on."""
        axes = self.open_axes(v.axes)
        if not axes:
            self.memo[v] = self.fix(self.eval(v), v.name or "t")
            return
        kept = self.keep(axes, v.dtype, self.lanes_for(v), v.name or "kept")
        vector = axes[-1] if self.vec is None and not self.wants_scalar(v, frozenset(axes)) else None
        self.over_all(axes, vector, self.lanes_along(v.dtype), lambda: self.store_kept(kept, self.eval(v)))
        self.kept[v] = kept

    # -- vectors along other axes than the grid's
    def lanes_along(self, dtype: DType) -> int:
        """Lanes for a loop over a value axis: two registers of the type."""
        return 2 * self.cx.machine.vector_bits // max(32, dtype.bits)

    def wants_scalar(self, v: Value, axes: frozenset[Axis]) -> bool:
        """Does `v` need, for each position of `axes`, a reduction that wants the vectors for itself?"""
        seen: set[Value] = set()
        stack = [v]
        while stack:
            x = stack.pop()
            known = self.known.get(x)
            if x in seen or known is None or x in self.kept or not x.axes & axes:
                continue
            seen.add(x)
            if is_lanes(known.op):
                return True
            stack.extend(known.op.operands)
            for b in known.op.blocks:
                stack.extend(b.yields)
        return False

    def first_active(self) -> Expr:
        """Number of the first active lane."""
        assert self.mask is not None
        n = self.mask.type.lanes
        numbers = lb.select(self.mask, lb.iota(n, I32), lb.const(n - 1, I32))
        return self.put(lb.cast(fold_lanes("min", numbers, self.put), I64))

    # -- arrays
    def ref(self, array: Array) -> ArrayRef | LocalRef:
        return self.locals.get(array) or self.cx.refs[array]


def is_lanes(o: ir.Op) -> bool:
    """A reduction in 32 interleaved partial results, whose order is not free."""
    return isinstance(o, ops.Reduce) and o.order is ops.Order.LANES and not o.acc.exact


def first_lanes(count: Expr, lanes: int) -> Expr:
    """The mask of the first `count` lanes (`count` <= lanes)."""
    return lb.compare("lt", lb.iota(lanes, I32), lb.cast(count, I32))


def fold_lanes(kind: str, x: Expr, put: Callable[..., Expr]) -> Expr:
    """All lanes combined, halves first."""
    n = x.type.lanes
    while n > 1:
        n //= 2
        x = put(lb.binary(kind, lb.lanes_of(x, 0, n), lb.lanes_of(x, n, n)))
    return lb.extract(x, 0)


def written_arrays(block: Block) -> set[Array]:
    """Arrays that code of a block stores to, or passes on, whole, in part or by a name: what is called may store to them."""
    stored = {o.array for o in ir.walk_ops(block) if isinstance(o, ops.Store | ops.Update)}
    passed = {a for o in ir.walk_ops(block) if isinstance(o, ops.Call) for a in o.arrays}
    passed |= {o.base for o in ir.walk_ops(block) if isinstance(o, ops.View)}
    passed |= {a for o in ir.walk_ops(block) if isinstance(o, ops.Bind) for a in o.arrays}
    return stored | {a for a in passed if a.effect != "read"}


def _needs(o: ir.Op) -> Iterator[Value]:
    """Values that an op uses, those that its blocks use from outside included."""
    yield from o.operands
    if o.blocks:
        inside: set[Value] = set()
        for b in o.blocks:
            inside |= ir.core.defined_in(b)
        for b in o.blocks:
            for p in ir.walk_ops(b):
                yield from (v for v in p.operands if v not in inside)
                for inner in p.blocks:
                    yield from (v for v in inner.yields if v not in inside)
            yield from (v for v in b.yields if v not in inside)


def axes_closed(o: ir.Op) -> frozenset[Axis]:
    """Axes that an op opens loops over by itself."""
    if isinstance(o, ops.Reduce | ops.Contract | ops.Scan | ops.Tiles):
        return frozenset({o.axis})
    out: frozenset[Axis] = frozenset()
    for b in o.blocks:
        for p in b.ops:
            out |= axes_closed(p)
    return out
