"""Typed statements to ops: assignments to values, early exits to flags, loops to carried values.

An exit (`break`, `continue`, `return`) sets a flag; what follows it runs under `not flag`. Where a branch always exits,
what follows the `if` moves into the other branch, so most programs need no flag at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lem import ir
from lem.ir import ops
from lem.ir.core import Affine, Axis, Block, TileType, Value
from lem.lower import claims, flow, views
from lem.lower.expressions import Expressions, is_plain
from lem.lower.flow import Stmts, always_exits, exits_in, exits_of
from lem.lower.state import State, arrays_of
from lem.source import SourceFile, Span
from lem.types import typed
from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.records import dataclass

Make = Callable[[], None]
Place = Callable[[Value], Value]
_NOWHERE = Span(SourceFile("", ""), 0, 0)


@dataclass(frozen=True, slots=True)
class _Counter:
    """The variable of a range loop that has become a while loop; `place` gives it for what is counted."""

    var: typed.IndexVar
    local: typed.LocalVar
    step: int
    place: Place


class _Exits:
    """Flags of the constructs around us. A flag is a hidden local that exists from the start of its construct."""

    def __init__(
        self, ret: typed.LocalVar | None, results: tuple[typed.LocalVar, ...] = (), body: Stmts | None = None
    ) -> None:
        self.ret, self.results = ret, results
        kinds = exits_in(body) if body is not None else frozenset()
        self.brk = _hidden("break", BOOL) if typed.Break in kinds else None
        self.cont = _hidden("continue", BOOL) if typed.Continue in kinds else None

    def flags(self) -> list[typed.LocalVar]:
        """All hidden locals that code under these exits may set."""
        return [*(f for f in (self.brk, self.cont, self.ret) if f is not None), *self.results]

    def of_loop(self, body: Stmts) -> _Exits:
        """The exits of a loop inside."""
        return _Exits(self.ret, self.results, body)


class Statements:
    def __init__(self, state: State) -> None:
        self.st = state
        self.ex = Expressions(state, lambda _, fn, args: self.inline(fn, args), self._statement)
        self.exits = _Exits(None)
        self._reads = flow.Reads()
        self._body: Stmts = ()  # of the kernel or fn that we are in

    def take_apart(self, body: Stmts) -> None:
        """What is lowered from now on are single statements of `body`, the body of a function."""
        self._body = body

    # ------------------------------------------------------------ sequences
    def run(self, stmts: Stmts) -> None:
        """Lower statements in order; what follows a possible exit runs only where none was taken."""
        for n, s in enumerate(stmts):
            rest = stmts[n + 1 :]
            if isinstance(s, typed.If) and rest:
                if always_exits(s.then):
                    self._If(typed.If(s.span, s.cond, s.then, (*s.orelse, *rest)))
                    return
                if always_exits(s.orelse):
                    self._If(typed.If(s.span, s.cond, (*s.then, *rest), s.orelse))
                    return
            self._statement(s)
            if isinstance(s, (typed.Break, typed.Continue, typed.Return)):
                return
            flags = self._flags_set_by(s)
            if flags and rest:
                self._guarded(flags, rest)
                return

    def _guarded(self, flags: Sequence[typed.LocalVar], rest: Stmts) -> None:
        live = self.st.emit(ops.Unary("not", self._one_of(flags)))
        self._choose(live, lambda: self.run(rest), lambda: None, rest)

    def _one_of(self, flags: Sequence[typed.LocalVar]) -> Value:
        """Whether one of the flags is set."""
        out = self.st.env[flags[0]]
        for f in flags[1:]:
            out = self.st.emit(ops.Binary("or", out, self.st.env[f]))
        return out

    def _flags_set_by(self, s: typed.Stmt) -> list[typed.LocalVar]:
        kinds = exits_of(s)
        out = []
        if typed.Break in kinds and self.exits.brk is not None:
            out.append(self.exits.brk)
        if typed.Continue in kinds:
            flag = self.exits.cont or self.exits.ret
            if flag is not None:
                out.append(flag)
        if typed.Return in kinds and self.exits.ret is not None:
            out.append(self.exits.ret)
        return out

    def _statement(self, s: typed.Stmt) -> None:
        getattr(self, "_" + type(s).__name__)(s)

    # ------------------------------------------------------------ assignments
    def _SetLocal(self, s: typed.SetLocal) -> None:
        self._assign((s.local,), self.ex.values(s.value))

    def _SetLocals(self, s: typed.SetLocals) -> None:
        self._assign(s.locals, tuple(part for v in s.values for part in self.ex.values(v)))

    def _CallFnStmt(self, s: typed.CallFnStmt) -> None:
        # A result that nobody wants still takes its place among the others.
        targets = [local or _hidden("unused", r.dtype) for local, r in zip(s.locals, s.fn.results, strict=True)]
        self._assign(targets, self.inline(s.fn, s.args))

    def _assign(self, locals_: Iterable[typed.LocalVar], values: Iterable[Value]) -> None:
        """`values`: of each local one, or one per field."""
        for local, value in zip(self.st.all_parts(locals_), values, strict=True):
            self.st.env[local] = self._with_axes(value, local)

    def _with_axes(self, value: Value, local: typed.LocalVar) -> Value:
        """A local declared with axes has them, whatever it was assigned (`acc: f32[D] = 0`)."""
        for axis in self.st.ordered(local.type.axes):
            if self.st.axes[axis] not in value.axes:
                value = self.st.spread(value, self.st.axis_index[axis])
        return value

    def _MakeArray(self, s: typed.MakeArray) -> None:
        a = s.array
        axes = self.st.element_axes if a.kind == "local" else frozenset()
        arrays = self.st.arrays[a] = arrays_of(a, a.kind, "inout", axes)
        sizes = tuple(self.ex.value(e) for e in s.sizes)
        self.st.array_sizes[a] = sizes
        fills: tuple[Value | None, ...] = self.ex.values(s.fill) if s.fill is not None else (None,) * len(arrays)
        for n, (size, e) in enumerate(zip(sizes, s.sizes, strict=True)):
            if not isinstance(e, (typed.Const, typed.DimSize)):
                ok = self.st.emit(ops.Compare("ge", size, self.st.const(0, I64)))
                self.st.require(ok, "E0615", f"axis {n} of `{a.name}` would have size {{0}}", e.span, (size,))
        for array, fill in zip(arrays, fills, strict=True):
            self.st.do(ops.Alloc(array, sizes, fill, loc=self.st.place(s.span)))
        if a.kind == "temp":
            self.st.open_rows(a)

    def _Bind(self, s: typed.Bind) -> None:
        for name in s.names:
            if name not in self.st.arrays:
                self.st.arrays[name] = arrays_of(name, "name", name.effect)
                for part in self.st.arrays[name]:
                    self.st.prologue.add(ops.Name(part))
        names = tuple(part for name in s.names for part in self.st.arrays[name])
        arrays = tuple(part for a in s.arrays for part in self.st.arrays[a])
        self.st.do(ops.Bind(names, arrays, loc=self.st.place(s.span)))

    def _MakeView(self, s: typed.MakeView) -> None:
        views.make(self.st, self.ex.value, s)

    def _Store(self, s: typed.Store) -> None:
        values = self.ex.values(s.value)
        subs = self.ex.subscripts(s.array, s.subs)
        for array, value in zip(self.st.arrays[s.array], values, strict=True):
            self.st.do(ops.Store(array, subs, value, loc=self.st.place(s.span)))

    def _Fill(self, s: typed.Fill) -> None:
        arrays, sources = self.st.arrays[s.array], self.st.arrays[s.source]
        other = self.st.emit(ops.Unary("not", self.st.emit(ops.Same(arrays[0], sources[0]))))
        with self.st.nested() as then:
            zero = self.st.const(0, I64)
            axes = [Axis(f"{s.array.name}.{n}", "whole") for n in range(len(s.array.shape))]
            sizes = [self.st.axis_size(s.array, n) for n in range(len(axes))]
            index = [self.st.emit(ops.Range(a, zero, size)) for a, size in zip(axes, sizes, strict=True)]
            subs = tuple(Affine(((1, i),)) for i in index)
            place = self.st.place(s.span)
            for array, source in zip(arrays, sources, strict=True):
                self.st.do(ops.Store(array, subs, self.st.emit(ops.Load(source, subs, loc=place)), loc=place))
        self.st.do(ops.If(other, then.block(), Block((), ())))

    def _Update(self, s: typed.Update) -> None:
        value = self.ex.value(s.value)
        subs = self.ex.subscripts(s.array, s.subs)
        (array,) = self.st.arrays[s.array]
        self.st.do(ops.Update(s.op, array, subs, value, loc=self.st.place(s.span)))

    def _CheckUnique(self, s: typed.CheckUnique) -> None:
        claims.require_unique(self.st, s)

    # ------------------------------------------------------------ branches
    def _If(self, s: typed.If) -> None:
        cond = self.ex.value(s.cond)
        self._choose(cond, lambda: self.run(s.then), lambda: self.run(s.orelse), (*s.then, *s.orelse))

    def _choose(self, cond: Value, then: Make, orelse: Make, inside: Stmts) -> None:
        """An If op; locals that a side sets and that are known outside become its results. `inside`: what the sides run."""
        before = self.st.env
        ends: list[tuple[dict[typed.LocalVar, Value], ir.Builder]] = []
        for side in (then, orelse):
            with self.st.nested() as b:
                side()
                ends.append((self.st.env, b))
        (env_a, a), (env_b, b) = ends
        candidates = [*self._outliving(inside), *self.exits.flags()]
        changed = [v for v in candidates if env_a.get(v) is not before.get(v) or env_b.get(v) is not before.get(v)]
        yields_a = tuple(self._known(v, env_a) for v in changed)
        yields_b = tuple(self._known(v, env_b) for v in changed)
        made = ops.If(cond, a.block(yields=yields_a), b.block(yields=yields_b))
        self._bind(changed, self.st.do(made))

    def _known(self, local: typed.LocalVar, env: dict[typed.LocalVar, Value]) -> Value:
        # A local that one side leaves unassigned is never read after (LANGUAGE 36): any value will do.
        found = env.get(local)
        return found if found is not None else self.st.zero(local.type.dtype)

    def _outliving(self, inside: Stmts) -> list[typed.LocalVar]:
        """Locals that `inside` sets and that exist before it or are read elsewhere."""
        found = flow.locals_set(inside)
        if all(self.st.is_known(v) for v in found):
            return self.st.all_parts(found)
        here, everywhere = self._reads.of(inside), self._reads.of(self._body)
        return self.st.all_parts(v for v in found if self.st.is_known(v) or everywhere.get(v, 0) > here.get(v, 0))

    # ------------------------------------------------------------ loops
    def _ForRange(self, s: typed.ForRange) -> None:
        lo, hi, place = self._turns(s.domain)
        self.st.domains[s.var] = s.domain
        if not exits_of(s) and typed.Break not in exits_in(s.body):
            t = Value(TileType(I64, lo.axes), s.var.name)
            carried, exits = self._carried(s.body), self.exits.of_loop(s.body)
            init = self._start(carried)
            args = self._arguments(carried)
            with self.st.turns((t, *args), certain=self.st.has_turn(lo, hi, s.domain.step)):
                body = self._loop_body(s.body, carried, args, exits, lambda: self._count(s.var, place(t)))
            loop = ops.For(lo, hi, s.domain.step, init, Block((t, *args), body.ops, body.yields), loc=self.st.place(s.span))
            self._bind(carried, self.st.do(loop))
            return
        # A loop that may end early: the counter is carried, so that it is one value per element.
        counter = _hidden(s.var.name, I64)
        self.st.env[counter] = lo
        compare = "lt" if s.domain.step > 0 else "gt"

        def test() -> Value:
            return self.st.emit(ops.Compare(compare, self.st.env[counter], hi))

        self._while(s.body, test, True, s.span, _Counter(s.var, counter, s.domain.step, place))

    def _turns(self, d: typed.Domain) -> tuple[Value, Value, Place]:
        """What a range loop counts, from and to, and the place of its variable for what is counted. With a step that is a
        literal it counts places. Else it counts turns: the step may be so large that a place beyond the last has no i64."""
        lo, hi = self.ex.bounds(d)
        if d.by is None:
            return lo, hi, lambda at: at
        step = self.ex.step(d.by, "step" in d.checks)
        return self.st.const(0, I64), self.ex.turns(lo, hi, step), lambda turn: self.ex.stepped(lo, turn, step)

    def _count(self, var: typed.IndexVar, at: Value) -> None:
        self.st.indices[var] = at

    def _While(self, s: typed.While) -> None:
        self._while(s.body, lambda: self.ex.value(s.cond), is_plain(s.cond), s.span)

    def _while(
        self, stmts: Stmts, test: Callable[[], Value], plain: bool, span: Span, counter: _Counter | None = None
    ) -> None:  # fmt: skip
        exits = self.exits.of_loop(stmts)
        stops = self._stops(stmts, exits)
        own = [counter.local] if counter else []
        carried = [*own, *(f for f in stops if f is exits.brk), *self._carried(stmts)]
        init = self._start(carried)
        args, body_args = self._arguments(carried), self._arguments(carried)
        with self.st.nested() as b:
            self._bind(carried, args)
            test_block = b.block(args, (self._unless(stops, test, plain),))
        with self.st.turns(body_args):
            body = self._loop_body(stmts, carried, body_args, exits, counter=counter)
        self._bind(carried, self.st.do(ops.While(init, test_block, body, loc=self.st.place(span))))

    def _stops(self, stmts: Stmts, exits: _Exits) -> list[typed.LocalVar]:
        """Flags that end a loop with this body; a break's own flag is not set yet."""
        out = []
        if exits.brk is not None:
            self.st.env[exits.brk] = self.st.const(False, BOOL)
            out.append(exits.brk)
        if exits.ret is not None and typed.Return in exits_in(stmts):
            out.append(exits.ret)
        return out

    def _unless(self, stops: list[typed.LocalVar], test: Callable[[], Value], plain: bool) -> Value:
        """Whether the loop goes on: no flag is set, and only then the test is asked."""
        if not stops:
            return test()
        gone = self._one_of(stops)
        if plain:
            return self.st.emit(ops.Binary("and", self.st.emit(ops.Unary("not", gone)), test()))
        return self.ex.branch(gone, lambda: self.st.const(False, BOOL), test)

    def _ForTiles(self, s: typed.ForTiles) -> None:
        lo, hi = self.ex.bounds(s.domain)
        block_size = self.ex.value(s.block) if s.block is not None else None
        axis = Axis(s.var.name, "tiles")
        # The index does not take on the axes of `hi`, so that what is read along the block keeps only its own axes and
        # products in a causal block are still contractions; reductions and checks put them back (`State.within`).
        index = Value(TileType(I64, frozenset({axis}) | lo.axes), s.var.name)
        self.st.ragged[axis] = hi
        self.st.open(s.var, axis, index, lo, s.domain)
        exits = self.exits.of_loop(s.body)
        stops = self._stops(s.body, exits)
        carried = [*(f for f in stops if f is exits.brk), *self._carried(s.body)]
        init = self._start(carried)
        args = self._arguments(carried)
        # A tiles loop has no test of its own: elements that left it earlier skip the body.
        with self.st.turns((index, *args)):
            body = self._loop_body(s.body, carried, args, exits, skip=stops)
        whole = Block((index, *args), body.ops, body.yields)
        loop = ops.Tiles(axis, lo, hi, block_size, init, whole, s.choices, s.pipeline, loc=self.st.place(s.span))
        self._bind(carried, self.st.do(loop))

    def _loop_body(
        self, stmts: Stmts, carried: list[typed.LocalVar], args: tuple[Value, ...], exits: _Exits,
        start: Make = lambda: None, counter: _Counter | None = None, skip: Sequence[typed.LocalVar] = (),
    ) -> Block:  # fmt: skip
        """A loop's body over fresh arguments for the carried locals. `start` makes what it begins with."""
        outer = self.exits
        with self.st.nested() as b:
            self._bind(carried, args)
            if counter:
                self._count(counter.var, counter.place(self.st.env[counter.local]))
            start()
            self.exits = exits
            if exits.cont is not None:
                self.st.env[exits.cont] = self.st.const(False, BOOL)
            if skip:
                self._guarded(skip, stmts)
            else:
                self.run(stmts)
            if counter:
                step = self.st.const(counter.step, I64)
                self.st.env[counter.local] = self.st.emit(ops.Binary("add", self.st.env[counter.local], step))
            self.exits = outer
            return b.block(args, tuple(self.st.env[v] for v in carried))

    def _carried(self, stmts: Stmts) -> list[typed.LocalVar]:
        """Locals that a loop's body sets and that exist before it or are read after it; and the flags it may set."""
        out = self._outliving(stmts)
        if self.exits.ret is not None and typed.Return in exits_in(stmts):
            out += [self.exits.ret, *self.exits.results]
        return out

    def _start(self, carried: list[typed.LocalVar]) -> tuple[Value, ...]:
        return tuple(self._known(v, self.st.env) for v in carried)

    def _arguments(self, carried: list[typed.LocalVar]) -> tuple[Value, ...]:
        return tuple(Value(self.st.carried_type(v), v.name) for v in carried)

    def _bind(self, locals_: Iterable[typed.LocalVar], values: Iterable[Value]) -> None:
        for v, value in zip(locals_, values, strict=True):
            self.st.env[v] = value

    # ------------------------------------------------------------ grids
    def _ForGrid(self, s: typed.ForGrid) -> None:
        bounds = [self.ex.bounds(d) for d in s.domains]
        axes = tuple(Axis(v.name, "grid") for v in s.vars)
        args = tuple(Value(TileType(I64, frozenset({a})), a.name) for a in axes)
        outer, done = self.exits, _hidden("done", BOOL)
        self.st.grid, self.st.element_axes = s, frozenset(axes)
        with self.st.nested() as b:
            self.st.indices.update(zip(s.vars, args, strict=True))
            self.exits = _Exits(done)
            self.st.env[done] = self.st.const(False, BOOL)
            self.run(s.body)
            body = b.block(args)
        self.st.grid, self.st.element_axes, self.exits = None, frozenset(), outer
        steps = tuple(d.step for d in s.domains)
        lo, hi = tuple(b[0] for b in bounds), tuple(b[1] for b in bounds)
        loc, hints = self.st.place(s.span), (s.choices, s.by_target)
        self.st.do(ops.Grid(axes, lo, hi, steps, body, s.tile, self.st.fn.name, *hints, loc=loc))

    # ------------------------------------------------------------ exits
    def _Break(self, s: typed.Break) -> None:
        assert self.exits.brk is not None
        self.st.env[self.exits.brk] = self.st.const(True, BOOL)

    def _Continue(self, s: typed.Continue) -> None:
        flag = self.exits.cont or self.exits.ret
        assert flag is not None
        self.st.env[flag] = self.st.const(True, BOOL)

    def _Return(self, s: typed.Return) -> None:
        values = [part for e in s.values for part in self.ex.values(e)]
        self.st.env.update(zip(self.exits.results, values, strict=True))
        if self.exits.ret is not None:
            self.st.env[self.exits.ret] = self.st.const(True, BOOL)

    # ------------------------------------------------------------ the rest
    def _Assert(self, s: typed.Assert) -> None:
        cond = self.ex.value(s.cond)
        values = tuple(self.ex.value(v) for v in s.values)
        self.st.require(cond, "E0603", s.message, s.span, values)

    def _Print(self, s: typed.Print) -> None:
        values = tuple(self.ex.value(v) for v in s.values)
        number = self.st.site("", s.text, s.span, values)
        self.st.do(ops.Print(number, values, loc=self.st.place(s.span)))

    def _Breakpoint(self, s: typed.Breakpoint) -> None:
        """Stops nobody: who steps walks the typed tree."""

    def _CallKernel(self, s: typed.CallKernel) -> None:
        for cond, text in s.conditions:
            self.st.require(self.ex.value(cond), "E0605", text, s.span)
        for a, b, text in s.apart:
            views.require_apart(self.st, a, b, text, s.span)
        scalars = tuple(part for v in s.scalars for part in self.ex.values(v))
        dims = tuple(self.ex.value(v) for v in s.dims)
        arrays = tuple(part for a in s.arrays for part in self.st.arrays[a])
        number = self.st.site("", f"call of {s.callee}", s.span)
        loc = self.st.place(s.span)
        if s.spawn is None:
            self.st.do(ops.Call(s.callee, arrays, scalars, dims, number, loc=loc))
            return
        how = s.spawn
        near = self.st.arrays[how.near][0] if how.near is not None else None
        priority = self.ex.value(how.priority) if how.priority is not None else None
        self.st.do(ops.Call(s.callee, arrays, scalars, dims, number, True, how.on, near, priority, how.objective, loc=loc))

    def _Sync(self, s: typed.Sync) -> None:
        self.st.do(ops.Sync(loc=self.st.place(s.span)))

    def _Require(self, s: typed.Require) -> None:
        self.st.require(self.ex.value(s.cond), s.code, s.text, s.span, tuple(self.ex.value(v) for v in s.values))

    # ------------------------------------------------------------ fns
    def inline(self, fn: typed.FnInstance, args: Sequence[typed.Expr | typed.ArrayVar]) -> tuple[Value, ...]:
        """The results of a call, its body lowered in place."""
        st = self.st
        values: dict[typed.LocalVar, Value] = {}
        arrays: list[tuple[typed.ArrayVar, typed.ArrayVar]] = []
        for p, a in zip(fn.params, args, strict=True):
            if isinstance(p, typed.ArrayVar):
                assert isinstance(a, typed.ArrayVar)
                arrays.append((p, a))
            else:
                assert isinstance(p, typed.LocalVar) and isinstance(a, typed.Expr)
                values.update(zip(st.parts(p), self.ex.values(a), strict=True))
        # Only now: evaluating an argument may have inlined this same fn with other arrays.
        for formal, actual in arrays:
            sizes = tuple(st.axis_size(actual, n) for n in range(len(actual.shape)))
            st.arrays[formal], st.array_sizes[formal] = st.arrays[actual], sizes
            st.cuts[formal] = st.cuts.get(actual, ())
        outer = self.exits, st.fn_axes, st.env, self._body
        self._body = fn.body
        axes = (*(v.axes for v in values.values()), *(views.axes_of(st, formal) for formal, _ in arrays))
        st.fn_axes = st.fn_axes | frozenset().union(*axes) - st.element_axes
        returned = _hidden("returned", BOOL)
        results = tuple(st.all_parts(_hidden(f"result{n}", r.dtype) for n, r in enumerate(fn.results)))
        self.exits = _Exits(returned, results)
        st.env = {**values, returned: st.const(False, BOOL), **{r: st.zero(r.type.dtype) for r in results}}
        self.run(fn.body)
        out = tuple(st.env[r] for r in results)
        self.exits, st.fn_axes, st.env, self._body = outer
        return out

    def whole_function(self, stmts: Stmts, at_end: Stmts) -> None:
        """Lower the body of the function itself; a `return` in sequential code skips what follows, but for what is done
        `at_end`."""
        self._body = stmts
        self.exits = _Exits(None)
        for part in flow.parts_bound(stmts):
            self.st.env.update((local, self.st.const(1, I64)) for local in part.locals())
        if typed.Return in exits_in(stmts):
            returned = _hidden("returned", BOOL)
            self.exits = _Exits(returned)
            self.st.env[returned] = self.st.const(False, BOOL)
        self.run(stmts)
        self.run(at_end)


def _hidden(name: str, dtype: DType) -> typed.LocalVar:
    """A local that no source names: it belongs to no span."""
    return typed.LocalVar(name, typed.ValueType(dtype), _NOWHERE)
