"""Typed expressions to values."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lem.ir import ops
from lem.ir.accumulators import greatest, least
from lem.ir.core import Affine, Axis, TileType, Value, union_axes
from lem.lower import reductions, views
from lem.lower.state import State, flat_scalars
from lem.types import typed
from lem_runtime.abi.dtypes import BOOL, I64, DType

Perform = Callable[[typed.Stmt], None]
Inline = Callable[[State, typed.FnInstance, tuple[typed.Expr | typed.ArrayVar, ...]], tuple[Value, ...]]


class Expressions:
    """Lowers expressions into `state`. `inline` lowers a call of an fn, `perform` a statement (they need statements, which
    need expressions)."""

    def __init__(self, state: State, inline: Inline, perform: Perform) -> None:
        self.st = state
        self.inline = inline
        self.perform = perform

    def value(self, e: typed.Expr) -> Value:
        """The value of an expression that is one number."""
        (value,) = self.values(e)
        return value

    def values(self, e: typed.Expr) -> tuple[Value, ...]:
        """The value of an expression; of a struct the values of its fields, in the order of ``typed.leaves``."""
        made = getattr(self, "_" + type(e).__name__)(e)
        return made if isinstance(made, tuple) else (made,)

    # ------------------------------------------------------------ leaves
    def _Const(self, e: typed.Const) -> Value:
        return self.st.const(e.value, e.type.dtype)

    def _DimSize(self, e: typed.DimSize) -> Value:
        return self.st.size(e.dim)

    def _Depth(self, e: typed.Depth) -> Value:
        return self.st.emit(ops.Depth())

    def _ArraySize(self, e: typed.ArraySize) -> Value:
        return self.st.axis_size(e.array, e.axis)

    def _PartOf(self, e: typed.PartOf) -> Value:
        return views.part_of(self.st, e)

    def _ScalarRef(self, e: typed.ScalarRef) -> tuple[Value, ...]:
        return tuple(self.st.scalar(name) for name, _ in flat_scalars(((e.name, e.type.dtype),)))

    def _LocalRef(self, e: typed.LocalRef) -> tuple[Value, ...]:
        return tuple(self.st.env[part] for part in self.st.parts(e.local))

    def _IndexRef(self, e: typed.IndexRef) -> Value:
        return self.st.indices[e.var]

    # ------------------------------------------------------------ structs
    def _MakeStruct(self, e: typed.MakeStruct) -> tuple[Value, ...]:
        return tuple(part for v in e.values for part in self.values(v))

    def _Field(self, e: typed.Field) -> tuple[Value, ...]:
        whole, first, last = _within(e)
        if isinstance(whole, typed.Load):
            return self._loads(whole, slice(first, last))
        return self.values(whole)[first:last]

    def _TargetIs(self, e: typed.TargetIs) -> Value:
        return self.st.emit(ops.TargetIs(e.targets, loc=self.st.place(e.span)))

    # ------------------------------------------------------------ element by element
    def _Unary(self, e: typed.Unary) -> Value:
        return self.st.emit(ops.Unary(e.op, self.value(e.x), loc=self.st.place(e.span)))

    def _Binary(self, e: typed.Binary) -> Value:
        x, y = self.value(e.x), self.value(e.y)
        if e.check:
            self._check_operand(e, y)
        y = self._count(y, x.dtype) if y.dtype != x.dtype else y
        return self.st.emit(ops.Binary(e.op, x, y, loc=self.st.place(e.span)))

    def _check_operand(self, e: typed.Binary, y: Value) -> None:
        zero = self.st.const(0, y.dtype)
        if e.op in ("floordiv", "mod"):
            ok = self.st.emit(ops.Compare("ne", y, zero))
            self.st.require(ok, "E0602", "the divisor is 0", e.y.span)
        else:
            ok = self.st.emit(ops.Compare("ge", y, zero))
            self.st.require(ok, "E0604", "shift by {0}", e.y.span, (y,))

    def _count(self, y: Value, dtype: DType) -> Value:
        """The count of a shift as the type of what is shifted, where all counts from the width on are alike."""
        if y.dtype.max_int > dtype.max_int:
            y = self.st.emit(ops.Binary("min", y, self.st.const(dtype.bits, y.dtype)))
        return self.st.emit(ops.Cast(y, dtype))

    def _Compare(self, e: typed.Compare) -> Value:
        return self.st.emit(ops.Compare(e.op, self.value(e.x), self.value(e.y), loc=self.st.place(e.span)))

    def _Select(self, e: typed.Select) -> tuple[Value, ...]:
        cond, xs, ys = self.value(e.cond), self.values(e.x), self.values(e.y)
        return tuple(self.st.emit(ops.Select(cond, x, y)) for x, y in zip(xs, ys, strict=True))

    def _Fma(self, e: typed.Fma) -> Value:
        return self.st.emit(ops.Fma(self.value(e.x), self.value(e.y), self.value(e.z), exact=True))

    def _Cast(self, e: typed.Cast) -> Value:
        x = self.value(e.x)
        return x if x.dtype == e.type.dtype else self.st.emit(ops.Cast(x, e.type.dtype))

    def _Bits(self, e: typed.Bits) -> Value:
        x = self.value(e.x)
        return x if x.dtype == e.type.dtype else self.st.emit(ops.Bits(x, e.type.dtype))

    # ------------------------------------------------------------ guarded evaluation
    def _Logic(self, e: typed.Logic) -> Value:
        x = self.value(e.x)
        by_target = _asks_target(e.x)  # then a branch: it is gone once the target is known
        if e.op == "and":
            return self._and_then(x, e.y, by_target)
        if is_plain(e.y) and not by_target:
            return self.st.emit(ops.Binary("or", x, self.value(e.y)))
        return self.branch(x, lambda: self.st.const(True, BOOL), lambda: self.value(e.y))

    def _and_then(self, x: Value, y: typed.Expr, branch: bool = False) -> Value:
        """`x and y`, with `y` asked only where `x` holds."""
        if is_plain(y) and not branch:
            return self.st.emit(ops.Binary("and", x, self.value(y)))
        return self.branch(x, lambda: self.value(y), lambda: self.st.const(False, BOOL))

    def _IfExpr(self, e: typed.IfExpr) -> tuple[Value, ...]:
        cond = self.value(e.cond)
        if is_plain(e.then) and is_plain(e.orelse):
            xs, ys = self.values(e.then), self.values(e.orelse)
            return tuple(self.st.emit(ops.Select(cond, x, y)) for x, y in zip(xs, ys, strict=True))
        return self._branches(cond, lambda: self.values(e.then), lambda: self.values(e.orelse))

    def branch(self, cond: Value, then: Callable[[], Value], orelse: Callable[[], Value]) -> Value:
        """A choice in which each side is evaluated for its own elements only."""
        (value,) = self._branches(cond, lambda: (then(),), lambda: (orelse(),))
        return value

    def _branches(
        self, cond: Value, then: Callable[[], tuple[Value, ...]], orelse: Callable[[], tuple[Value, ...]]
    ) -> tuple[Value, ...]:
        with self.st.nested() as b:
            then_block = b.block(yields=then())
        with self.st.nested() as b:
            else_block = b.block(yields=orelse())
        return self.st.do(ops.If(cond, then_block, else_block))

    # ------------------------------------------------------------ arrays
    def _Load(self, e: typed.Load) -> tuple[Value, ...]:
        return self._loads(e, slice(None))

    def _loads(self, e: typed.Load, wanted: slice) -> tuple[Value, ...]:
        """The wanted fields of an element (of an array of numbers: the element)."""
        if e.boundary and self.st.cuts.get(e.array):
            return self._loads_of_part(e, wanted)
        subs = views.in_array(self.st, e.array, self.subscripts(e.array, e.subs, e.boundary))
        arrays = self.st.arrays[e.array]
        fills: tuple[Value | None, ...] = self.values(e.fill) if e.fill is not None else (None,) * len(arrays)
        idle = self.st.may_be_idle(arrays[0], subs) and not self._always_there(e)
        place = self.st.place(e.span)
        return tuple(
            self.st.emit(ops.Load(array, subs, e.boundary, fill, idle, loc=place))
            for array, fill in zip(arrays[wanted], fills[wanted], strict=True)
        )

    def _always_there(self, e: typed.Load) -> bool:
        """Is the place there wherever code may read it? Conditions of a call and checks hold for turns that there are."""
        if e.boundary:
            return e.boundary == "fill"
        if self.st.cuts.get(e.array):
            return False
        places = [(s, size) for s, size in zip(e.subs, e.array.shape, strict=True) if isinstance(s, typed.At)]
        return all(self.st.always_fits(s, size) for s, size in places)

    def subscripts(
        self, array: typed.ArrayVar, subs: Iterable[typed.At | typed.Whole], boundary: str = ""
    ) -> tuple[Affine, ...]:
        """Subscripts as affine forms, with the tests that a gather needs, or a policy for what lies outside."""
        out = []
        for n, s in enumerate(subs):
            if isinstance(s, typed.Whole):
                out.append(Affine(((1, self.st.whole(s.axis)),)))
                continue
            index = self.value(s.index)
            if s.check and boundary:
                self.st.require_some(self.st.axis_size(array, n), array.name, n, boundary, s.span)
            elif s.check:
                self.st.require_index(index, self.st.axis_size(array, n), array.name, n, s.span)
            out.append(self.st.affine(index))
        return tuple(out)

    def _loads_of_part(self, e: typed.Load, wanted: slice) -> tuple[Value, ...]:
        """The same of a part that each element names: what lies outside of it may lie inside of the array."""
        arrays, place = self.st.arrays[e.array][wanted], self.st.place(e.span)
        inside = self.st.const(True, BOOL)
        subs: list[Affine] = []
        for n, s in enumerate(e.subs):
            if isinstance(s, typed.Whole):
                subs.append(Affine(((1, self.st.whole(s.axis)),)))
                continue
            index, size = self.value(s.index), self.st.axis_size(e.array, n)
            if s.check:
                self.st.require_some(size, e.array.name, n, e.boundary, s.span)
            if e.boundary == "fill":
                inside = self.st.emit(ops.Binary("and", inside, self.st.is_inside(index, size)))
            subs.append(self.st.affine(self._moved(index, size, e.boundary)))
        at = views.in_array(self.st, e.array, tuple(subs))

        idle = self.st.may_be_idle(arrays[0], at)

        def load() -> tuple[Value, ...]:
            return tuple(self.st.emit(ops.Load(a, at, idle=idle, loc=place)) for a in arrays)

        if e.fill is None:
            return load()
        fills = self.values(e.fill)
        return self._branches(inside, load, lambda: fills[wanted])

    def _moved(self, index: Value, size: Value, boundary: str) -> Value:
        """The place that a policy gives for `index`."""
        st = self.st
        if boundary == "wrap":
            return st.emit(ops.Binary("mod", index, size))
        if boundary == "clamp":
            last = st.emit(ops.Binary("sub", size, st.const(1, I64)))
            return st.emit(ops.Binary("max", st.emit(ops.Binary("min", index, last)), st.const(0, I64)))
        return index

    def _Having(self, e: typed.Having) -> tuple[Value, ...]:
        for s in e.stmts:
            self.perform(s)
        return self.values(e.x)

    # ------------------------------------------------------------ calls
    def _CallFn(self, e: typed.CallFn) -> tuple[Value, ...]:
        return self.inline(self.st, e.fn, e.args)

    # ------------------------------------------------------------ reductions
    def _ReduceOver(self, e: typed.ReduceOver) -> Value:
        if e.axis.kind == "whole":
            self.st.whole(e.axis)
        return self._reduced(e, self.value(e.value), [self.st.axes[e.axis]], None)

    def _Scan(self, e: typed.Scan) -> tuple[Value, ...]:
        if e.axis.kind == "whole":
            self.st.whole(e.axis)
        axis = self.st.axes[e.axis]
        xs = tuple(reductions.along(self.st, x, axis) for x in self.values(e.value))
        starts = self.values(e.start)
        # Each field of a state is made of all fields of the state before, so all of them have all axes.
        everywhere = union_axes((*xs, *starts)) - {axis}
        states = tuple(Value(TileType(v.dtype, everywhere), e.state.name) for v in starts)
        items = tuple(Value(TileType(x.dtype, x.axes - {axis}), e.item.name) for x in xs)
        with self.st.nested() as b:
            self.st.env.update(zip(self.st.parts(e.state), states, strict=True))
            self.st.env.update(zip(self.st.parts(e.item), items, strict=True))
            body = b.block((*states, *items), self.values(e.combine))
        return self.st.do(ops.Scan(xs, axis, starts, e.reverse, body, loc=self.st.place(e.span)))

    def _Reduce(self, e: typed.Reduce) -> Value:
        opened: list[Axis] = []
        for c in e.clauses:
            opened.append(self._open(c))
            self.st.clauses.append(opened[-1])
        cond = self._all_of(e.conds)
        value = self._kept(cond, lambda: self.value(e.value), _neutral(e.kind, e.value), e.value.type.dtype)
        del self.st.clauses[len(self.st.clauses) - len(opened) :]
        return self._reduced(e, value, opened, cond)

    def _open(self, clause: typed.Clause) -> Axis:
        d = clause.domain
        lo, hi = self.bounds(d)
        axis = Axis(clause.var.name, "range")
        index = self.st.emit(ops.Range(axis, lo, hi, d.step, loc=self.st.place(d.span)))
        self.st.open(clause.var, axis, index, lo, d)
        return axis

    def _all_of(self, conds: tuple[typed.Expr, ...]) -> Value | None:
        """Whether all conditions hold; each is asked only where those before it do."""
        if not conds:
            return None
        out = self.value(conds[0])
        for cond in conds[1:]:
            out = self._and_then(out, cond)
        return out

    def _kept(self, cond: Value | None, make: Callable[[], Value], otherwise: int | float | bool, dtype: DType) -> Value:
        """`make()` where the condition holds, else a constant."""
        return make() if cond is None else self.branch(cond, make, lambda: self.st.const(otherwise, dtype))

    def _reduced(self, e: typed.Reduce | typed.ReduceOver, value: Value, axes: list[Axis], cond: Value | None) -> Value:
        """`value` reduced over `axes`, the innermost first. `cond`: which positions count."""
        if e.kind in ("argmax", "argmin"):
            return self._where(e, value, axes[0], cond)
        for axis in reversed(axes):
            value = reductions.reduce_value(self.st, "sum" if e.kind == "mean" else e.kind, value, axis)
        if e.kind != "mean":
            return value
        count = reductions.count(self.st, axes, cond)
        return self.st.emit(ops.Binary("div", value, self.st.emit(ops.Cast(count, e.type.dtype))))

    def _where(self, e: typed.Reduce | typed.ReduceOver, value: Value, axis: Axis, cond: Value | None) -> Value:
        """The index of the greatest or least value; a fault where there is none."""
        index, start, minus_one = self.st.index_of[axis], self.st.start_of.get(axis), self.st.const(-1, I64)
        # The accumulator takes indices from 0 and skips negative ones: domains that may start below 0 are shifted.
        place = self.st.emit(ops.Binary("sub", index, start)) if start is not None else index
        if cond is not None:
            place = self.st.emit(ops.Select(cond, place, minus_one))
        found = reductions.reduce_place(self.st, e.kind, value, place, axis)
        some = self.st.emit(ops.Compare("gt", found, minus_one))
        self.st.require(some, "E0616", f"`{e.kind}` over nothing", e.span)
        return found if start is None else self.st.emit(ops.Binary("add", found, start))

    # ------------------------------------------------------------ domains
    def bounds(self, d: typed.Domain) -> tuple[Value, Value]:
        """lo and hi of a domain, tested against the dimension where they are not proven inside it."""
        lo, hi = self.value(d.lo), self.value(d.hi)
        for which, value, e in (("lo", lo, d.lo), ("hi", hi, d.hi)):
            if which in d.checks and d.size is not None:
                name = f"0..{d.dim}, which is {{1}}" if d.dim is not None else "0..{1}"
                self.st.require_bound(value, self.value(d.size), f"bound {{0}} is outside {name}", e.span)
        return lo, hi

    def step(self, by: typed.Expr, is_tested: bool) -> Value:
        """The step of a range loop, tested to be above 0 where that is not proven."""
        step = self.value(by)
        if is_tested:
            ok = self.st.emit(ops.Compare("ge", step, self.st.const(1, I64)))
            self.st.require(ok, "E0630", "the step is {0}", by.span, (step,))
        return step

    def turns(self, lo: Value, hi: Value, step: Value) -> Value:
        """How often a loop from lo to hi by a step above 0 runs; 0 or less where it does not."""
        one = self.st.const(1, I64)
        length = self.st.emit(ops.Binary("sub", hi, lo))
        before_last = self.st.emit(ops.Binary("floordiv", self.st.emit(ops.Binary("sub", length, one)), step))
        return self.st.emit(ops.Binary("add", before_last, one))

    def stepped(self, lo: Value, turn: Value, step: Value) -> Value:
        return self.st.emit(ops.Binary("add", lo, self.st.emit(ops.Binary("mul", turn, step))))


def _within(e: typed.Field) -> tuple[typed.Expr, int, int]:
    """The value that a (field of a) field belongs to, and which of that value's numbers it is: first and behind last."""
    whole: typed.Expr = e
    first, n = 0, sum(1 for _ in typed.leaves(e.type.dtype))
    while isinstance(whole, typed.Field):
        struct = whole.x.type.dtype
        assert isinstance(struct, typed.StructType)
        first += sum(1 for _, before in struct.fields[: whole.index] for _ in typed.leaves(before))
        whole = whole.x
    return whole, first, first + n


def _neutral(kind: str, value: typed.Expr) -> int | float | bool:
    dtype = value.type.dtype
    table: dict[str, int | float | bool] = {"sum": 0, "mean": 0, "prod": 1, "any": False, "all": True}
    if kind in table:
        return table[kind]
    return least(dtype) if kind in ("max", "argmax") else greatest(dtype)


def _asks_target(e: typed.Expr) -> bool:
    return isinstance(e, typed.TargetIs) or (isinstance(e, typed.Unary) and _asks_target(e.x))


def is_plain(e: typed.Expr) -> bool:
    """Whether evaluating `e` for inactive elements is harmless and cheap: no loads, checks, loops or reductions."""
    if isinstance(e, (typed.Load, typed.Having, typed.CallFn, typed.Reduce, typed.ReduceOver, typed.Scan)):
        return False
    if isinstance(e, typed.Binary) and e.check:
        return False
    if isinstance(e, typed.MakeStruct):
        return all(is_plain(v) for v in e.values)
    parts = (getattr(e, name, None) for name in ("x", "y", "z", "cond", "then", "orelse"))
    return all(is_plain(p) for p in parts if isinstance(p, typed.Expr))
