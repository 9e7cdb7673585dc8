"""Typed statements to ops: assignments to values, early exits to flags, loops to carried values.

An exit (`break`, `continue`, `return`) sets a flag; what follows it runs under `not flag`. Where a branch always exits,
what follows the `if` moves into the other branch, so most programs need no flag at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass

from lem import ir
from lem.ir import ops
from lem.ir.core import Axis, Block, TileType, Value
from lem.lower.expressions import Expressions
from lem.lower.state import State, place_of
from lem.source import Span
from lem.types import typed
from lem_runtime.abi.dtypes import BOOL, I64

Stmts = Sequence[typed.Stmt]


class _Exits:
    """Flags of the constructs around us. A flag is a hidden local that exists from the start of its construct."""

    def __init__(self, outer: _Exits | None, brk: typed.LocalVar | None, cont: typed.LocalVar | None) -> None:
        self.brk, self.cont = brk, cont
        self.ret: typed.LocalVar | None = outer.ret if outer else None
        self.results: tuple[typed.LocalVar, ...] = outer.results if outer else ()


class Statements:
    def __init__(self, state: State) -> None:
        self.st = state
        self.ex = Expressions(state, lambda _, fn, args: self.inline(fn, args))
        self.exits = _Exits(None, None, None)
        self._refs: dict[typed.LocalVar, int] = {}

    # ------------------------------------------------------------ sequences
    def run(self, stmts: Stmts) -> None:
        """Lower statements in order; what follows a possible exit runs only where none was taken."""
        for n, s in enumerate(stmts):
            rest = stmts[n + 1 :]
            if isinstance(s, typed.If) and rest:
                if always_exits(s.then):
                    self._if(typed.If(s.span, s.cond, s.then, (*s.orelse, *rest)))
                    return
                if always_exits(s.orelse):
                    self._if(typed.If(s.span, s.cond, (*s.then, *rest), s.orelse))
                    return
            self._statement(s)
            if isinstance(s, (typed.Break, typed.Continue, typed.Return)):
                return
            flags = self._flags_set_by(s)
            if flags and rest:
                self._guarded(flags, rest)
                return

    def _guarded(self, flags: list[typed.LocalVar], rest: Stmts) -> None:
        gone = self.st.env[flags[0]]
        for f in flags[1:]:
            gone = self.st.emit(ops.Binary("or", gone, self.st.env[f]))
        live = self.st.emit(ops.Unary("not", gone))
        self._choose(live, lambda: self.run(rest), lambda: None, _all_locals(rest), rest)

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
        self.st.env[s.local] = self._named(self.ex.value(s.value), s.local)

    def _named(self, value: Value, local: typed.LocalVar) -> Value:
        """A local declared with axes has them, whatever it was assigned (`acc: f32[D] = 0`)."""
        missing = self.st.ir_axes(local.type.axes) - value.axes
        if not missing:
            return value
        for axis in local.type.axes:
            if self.st.axes[axis] in missing:
                index = self.st.axis_index[axis]
                value = self.st.spread(value, index)
        return value

    def _SetLocals(self, s: typed.SetLocals) -> None:
        values = [self.ex.value(v) for v in s.values]
        for local, v in zip(s.locals, values, strict=True):
            self.st.env[local] = self._named(v, local)

    def _CallFnStmt(self, s: typed.CallFnStmt) -> None:
        for local, v in zip(s.locals, self.inline(s.fn, s.args), strict=True):
            if local is not None:
                self.st.env[local] = v

    def _MakeArray(self, s: typed.MakeArray) -> None:
        a = s.array
        axes = self.st.element_axes if a.kind == "local" else frozenset()
        array = self.st.arrays[a] = ir.Array(a.name, a.dtype, a.shape, a.kind, "inout", a.reduce_op, axes)
        sizes = tuple(self.ex.value(e) for e in s.sizes)
        self.st.array_sizes[a] = sizes
        fill = self.ex.value(s.fill) if s.fill is not None else None
        for n, (size, e) in enumerate(zip(sizes, s.sizes, strict=True)):
            if not isinstance(e, (typed.Const, typed.DimSize)):
                ok = self.st.emit(ops.Compare("ge", size, self.st.const(0, I64)))
                self.st.require(ok, "E0615", f"axis {n} of `{a.name}` would have size {{0}}", e.span, (size,))
        self.st.do(ops.Alloc(array, sizes, fill, loc=place_of(s.span)))

    def _Store(self, s: typed.Store) -> None:
        value = self.ex.value(s.value)
        subs = self.ex.subscripts(s.array, s.subs)
        self.st.do(ops.Store(self.st.arrays[s.array], subs, value, loc=place_of(s.span)))

    def _Update(self, s: typed.Update) -> None:
        value = self.ex.value(s.value)
        subs = self.ex.subscripts(s.array, s.subs)
        self.st.do(ops.Update(s.op, self.st.arrays[s.array], subs, value, loc=place_of(s.span)))

    # ------------------------------------------------------------ branches
    def _If(self, s: typed.If) -> None:
        self._if(s)

    def _if(self, s: typed.If) -> None:
        cond = self.ex.value(s.cond)
        inside = (*s.then, *s.orelse)
        self._choose(cond, lambda: self.run(s.then), lambda: self.run(s.orelse), _all_locals(inside), inside)

    def _choose(self, cond: Value, then, orelse, locals_: set[typed.LocalVar], inside: Stmts) -> None:  # type: ignore[no-untyped-def]
        """An If op; locals that a side sets and that are known outside become its results."""
        before = dict(self.st.env)
        flags = {f for f in (self.exits.brk, self.exits.cont, self.exits.ret) if f} | set(self.exits.results)
        ends: list[tuple[dict[typed.LocalVar, Value], ir.Builder]] = []
        for side in (then, orelse):
            with self.st.nested() as b:
                side()
                ends.append((dict(self.st.env), b))
        (env_a, a), (env_b, b) = ends
        changed = [
            v for v in (*locals_, *flags)
            if (env_a.get(v) is not before.get(v) or env_b.get(v) is not before.get(v)) and self._outlives(v, inside)
        ]  # fmt: skip
        changed = list(dict.fromkeys(changed))
        yields_a = tuple(self._known(v, env_a) for v in changed)
        yields_b = tuple(self._known(v, env_b) for v in changed)
        made = ops.If(cond, a.block(yields=yields_a), b.block(yields=yields_b))
        for v, r in zip(changed, self.st.do(made), strict=True):
            self.st.env[v] = r

    def _known(self, local: typed.LocalVar, env: dict[typed.LocalVar, Value]) -> Value:
        # A local that one side leaves unassigned is never read after (LANGUAGE 36): any value will do.
        found = env.get(local)
        return found if found is not None else self.st.const(_zero(local), local.type.dtype)

    def _outlives(self, local: typed.LocalVar, inside: Stmts) -> bool:
        if local in self.st.env or local.span is None:
            return True
        return self._refs.get(local, 0) > _count_refs(inside).get(local, 0)

    # ------------------------------------------------------------ loops
    def _ForRange(self, s: typed.ForRange) -> None:
        if typed.Break in exits_in_loop(s.body) or (typed.Return in exits_of(s) and self.exits.ret is not None):
            self._for_as_while(s)
            return
        lo, hi = self.ex.bounds(s.domain)
        t = Value(TileType(I64, lo.axes), s.var.name)
        carried = self._carried(s.body)
        exits = self._enter_loop(None, _flag("continue", s.body, typed.Continue))
        block, args = self._loop_body(s.body, carried, {s.var: t}, exits)
        init = tuple(self._known(v, self.st.env) for v in carried)
        body = Block((t, *args), block.ops, block.yields)
        loop = ops.For(lo, hi, s.domain.step, init, body, loc=place_of(s.span))
        self._bind(carried, self.st.do(loop))

    def _for_as_while(self, s: typed.ForRange) -> None:
        """A range loop that may end early: the counter is carried, so that it is one value per element."""
        lo, hi = self.ex.bounds(s.domain)
        counter = _hidden(s.var.name, I64)
        self.st.env[counter] = lo
        step = s.domain.step

        def test() -> Value:
            return self.st.emit(ops.Compare("lt" if step > 0 else "gt", self.st.env[counter], hi))

        def head() -> None:
            self.st.indices[s.var] = self.st.env[counter]

        def tail() -> None:
            now = self.st.env[counter]
            self.st.env[counter] = self.st.emit(ops.Binary("add", now, self.st.const(step, I64)))

        self._while(s.body, test, head, tail, [counter], s.span)

    def _While(self, s: typed.While) -> None:
        self._while(s.body, lambda: self.ex.value(s.cond), lambda: None, lambda: None, [], s.span)

    def _while(self, stmts: Stmts, test, head, tail, extra: list[typed.LocalVar], span: Span) -> None:  # type: ignore[no-untyped-def]
        exits = self._enter_loop(_flag("break", stmts, typed.Break), _flag("continue", stmts, typed.Continue))
        outer = self.exits
        stops = [f for f in (exits.brk,) if f is not None]
        if exits.ret is not None and any(typed.Return in exits_of(s) for s in stmts):
            stops.append(exits.ret)
        if exits.brk is not None:
            self.st.env[exits.brk] = self.st.const(False, BOOL)
        carried = list(dict.fromkeys([*extra, *stops, *self._carried(stmts)]))
        args = tuple(Value(self.st.carried_type(v), v.name) for v in carried)
        init = tuple(self._known(v, self.st.env) for v in carried)
        with self.st.nested() as b:
            self._bind(carried, args)
            ok = self._unless(stops, test)
            test_block = b.block(args, (ok,))
        body_args = tuple(Value(a.type, a.name) for a in args)
        with self.st.nested() as b:
            self._bind(carried, body_args)
            head()
            self.exits = exits
            if exits.cont is not None:
                self.st.env[exits.cont] = self.st.const(False, BOOL)
            self.run(stmts)
            tail()
            body = b.block(body_args, tuple(self.st.env[v] for v in carried))
            self.exits = outer
        self._bind(carried, self.st.do(ops.While(init, test_block, body, loc=place_of(span))))

    def _unless(self, stops: list[typed.LocalVar], test) -> Value:  # type: ignore[no-untyped-def]
        if not stops:
            return test()  # type: ignore[no-any-return]
        gone = self.st.env[stops[0]]
        for f in stops[1:]:
            gone = self.st.emit(ops.Binary("or", gone, self.st.env[f]))
        return self.ex.branch(gone, lambda: self.st.const(False, BOOL), test)

    def _ForTiles(self, s: typed.ForTiles) -> None:
        lo, hi = self.ex.bounds(s.domain)
        block_size = self.ex.value(s.block) if s.block is not None else None
        assert s.var.axis is not None
        axis = self.st.axes[s.var.axis] = Axis(s.var.name, "tiles")
        # The index does not take on the axes of `hi`, so that what is read along the block keeps only its own axes and
        # products in a causal block are still contractions; reductions and checks put them back (`State.within`).
        index = Value(TileType(I64, frozenset({axis}) | lo.axes), s.var.name)
        self.st.ragged[axis] = hi
        self.st.axis_index[s.var.axis] = index
        exits = self._enter_loop(_flag("break", s.body, typed.Break), _flag("continue", s.body, typed.Continue))
        carried = self._carried(s.body)
        if exits.brk is not None:
            self.st.env[exits.brk] = self.st.const(False, BOOL)
            carried.append(exits.brk)
        block, args = self._loop_body(s.body, carried, {s.var: index}, exits, resume=True)
        init = tuple(self._known(v, self.st.env) for v in carried)
        body = Block((index, *args), block.ops, block.yields)
        loop = ops.Tiles(axis, lo, hi, block_size, init, body, loc=place_of(s.span))
        self._bind(carried, self.st.do(loop))

    def _enter_loop(self, brk: typed.LocalVar | None, cont: typed.LocalVar | None) -> _Exits:
        return _Exits(self.exits, brk, cont)

    def _loop_body(
        self,
        stmts: Stmts,
        carried: list[typed.LocalVar],
        indices: dict[typed.IndexVar, Value],
        exits: _Exits,
        resume: bool = False,
    ) -> tuple[Block, tuple[Value, ...]]:
        """A loop's body over fresh arguments for the carried locals. With `resume` the loop has no test of its own:
        elements that left it earlier skip the body."""
        args = tuple(Value(self.st.carried_type(v), v.name) for v in carried)
        outer = self.exits
        with self.st.nested() as b:
            self._bind(carried, args)
            self.st.indices.update(indices)
            self.exits = exits
            if exits.cont is not None:
                self.st.env[exits.cont] = self.st.const(False, BOOL)
            gone = [f for f in (exits.brk, exits.ret) if f in carried and f is not None] if resume else []
            if gone:
                self._guarded(gone, stmts)
            else:
                self.run(stmts)
            self.exits = outer
            return b.block(args, tuple(self.st.env[v] for v in carried)), args

    def _carried(self, stmts: Stmts) -> list[typed.LocalVar]:
        """Locals that a loop's body sets and that exist before it or are read after it; and the flags it may set."""
        out = [v for v in _all_locals(stmts) if self._outlives(v, stmts)]
        kinds = set().union(*(exits_of(s) for s in stmts)) if stmts else set()
        if self.exits.ret is not None and (typed.Return in kinds):
            out += [self.exits.ret, *self.exits.results]
        return list(dict.fromkeys(out))

    def _bind(self, locals_: Iterable[typed.LocalVar], values: Iterable[Value]) -> None:
        for v, value in zip(locals_, values, strict=True):
            self.st.env[v] = value

    # ------------------------------------------------------------ grids
    def _ForGrid(self, s: typed.ForGrid) -> None:
        bounds = [self.ex.bounds(d) for d in s.domains]
        axes = tuple(Axis(v.name, "grid") for v in s.vars)
        args = tuple(Value(TileType(I64, frozenset({a})), a.name) for a in axes)
        outer_env, outer_exits = dict(self.st.env), self.exits
        self.st.grid, self.st.element_axes = s, frozenset(axes)
        with self.st.nested() as b:
            self.st.indices.update(zip(s.vars, args, strict=True))
            self.exits = _Exits(None, None, None)
            self.exits.ret = _hidden("done", BOOL)
            self.st.env[self.exits.ret] = self.st.const(False, BOOL)
            self.run(s.body)
            body = b.block(args)
        self.st.grid, self.st.element_axes, self.st.env, self.exits = None, frozenset(), outer_env, outer_exits
        steps = tuple(d.step for d in s.domains)
        lo, hi = tuple(b[0] for b in bounds), tuple(b[1] for b in bounds)
        self.st.do(ops.Grid(axes, lo, hi, steps, body, s.tile, self.st.fn.name, loc=place_of(s.span)))

    # ------------------------------------------------------------ exits
    def _Break(self, s: typed.Break) -> None:
        assert self.exits.brk is not None
        self.st.env[self.exits.brk] = self.st.const(True, BOOL)

    def _Continue(self, s: typed.Continue) -> None:
        flag = self.exits.cont or self.exits.ret
        assert flag is not None
        self.st.env[flag] = self.st.const(True, BOOL)

    def _Return(self, s: typed.Return) -> None:
        for local, e in zip(self.exits.results, s.values, strict=True):
            self.st.env[local] = self.ex.value(e)
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
        self.st.do(ops.Print(number, values, loc=place_of(s.span)))

    def _CallKernel(self, s: typed.CallKernel) -> None:
        for cond, text in s.conditions:
            self.st.require(self.ex.value(cond), "E0605", text, s.span)
        scalars = tuple(self.ex.value(v) for v in s.scalars)
        dims = tuple(self.ex.value(v) for v in s.dims)
        arrays = tuple(self.st.arrays[a] for a in s.arrays)
        number = self.st.site("", f"call of {s.callee}", s.span)
        self.st.do(ops.Call(s.callee, arrays, scalars, dims, number, loc=place_of(s.span)))

    # ------------------------------------------------------------ fns
    def inline(self, fn: typed.FnInstance, args: Sequence[typed.Expr | typed.ArrayVar]) -> tuple[Value, ...]:
        """The results of a call, its body lowered in place."""
        st = self.st
        values: list[tuple[typed.LocalVar, Value]] = []
        arrays: list[tuple[typed.ArrayVar, typed.ArrayVar]] = []
        for p, a in zip(fn.params, args, strict=True):
            if isinstance(p, typed.ArrayVar):
                assert isinstance(a, typed.ArrayVar)
                arrays.append((p, a))
            else:
                assert isinstance(p, typed.LocalVar) and isinstance(a, typed.Expr)
                values.append((p, self.ex.value(a)))
        # Only now: evaluating an argument may have inlined this same fn with other arrays.
        for formal, actual in arrays:
            sizes = tuple(st.axis_size(actual, n) for n in range(len(actual.shape)))
            st.arrays[formal], st.array_sizes[formal] = st.arrays[actual], sizes
        outer_exits, outer_axes, env = self.exits, st.fn_axes, st.env
        refs, self._refs = self._refs, _count_refs(fn.body)
        st.fn_axes = outer_axes | frozenset().union(*(v.axes for _, v in values)) - st.element_axes
        results = tuple(_hidden(f"result{n}", r.dtype) for n, r in enumerate(fn.results))
        self.exits = _Exits(None, None, None)
        self.exits.ret, self.exits.results = _hidden("returned", BOOL), results
        st.env = dict(values)
        st.env[self.exits.ret] = st.const(False, BOOL)
        for r in results:
            st.env[r] = st.const(_zero(r), r.type.dtype)
        self.run(fn.body)
        out = tuple(st.env[r] for r in results)
        st.env, self.exits, st.fn_axes, self._refs = env, outer_exits, outer_axes, refs
        return out

    def whole_function(self, stmts: Stmts) -> None:
        """Lower the body of the function itself; a `return` in sequential code skips what follows."""
        self._refs = _count_refs(stmts)
        self.exits = _Exits(None, None, None)
        if any(typed.Return in exits_of(s) for s in stmts):
            self.exits.ret = _hidden("returned", BOOL)
            self.st.env[self.exits.ret] = self.st.const(False, BOOL)
        self.run(stmts)


def _hidden(name: str, dtype) -> typed.LocalVar:  # type: ignore[no-untyped-def]
    return typed.LocalVar(name, typed.ValueType(dtype), None)  # type: ignore[arg-type]


def _flag(name: str, stmts: Stmts, kind: type[typed.Stmt]) -> typed.LocalVar | None:
    return _hidden(name, BOOL) if kind in exits_in_loop(stmts) else None


def _zero(local: typed.LocalVar) -> int | float | bool:
    return False if local.type.dtype == BOOL else 0


def always_exits(stmts: Stmts) -> bool:
    """Whether every path through `stmts` ends in break, continue or return."""
    for s in stmts:
        if isinstance(s, (typed.Break, typed.Continue, typed.Return)):
            return True
        if isinstance(s, typed.If) and always_exits(s.then) and always_exits(s.orelse):
            return True
    return False


def exits_in_loop(stmts: Stmts) -> set[type[typed.Stmt]]:
    """Exits that belong to the loop whose body this is (and returns)."""
    return set().union(*(exits_of(s) for s in stmts)) if stmts else set()


def exits_of(s: typed.Stmt) -> set[type[typed.Stmt]]:
    """Kinds of exit that leave `s` for a construct around it."""
    if isinstance(s, (typed.Break, typed.Continue, typed.Return)):
        return {type(s)}
    if isinstance(s, typed.If):
        return exits_in_loop((*s.then, *s.orelse))
    if isinstance(s, (typed.While, typed.ForRange, typed.ForTiles)):
        return exits_in_loop(s.body) - {typed.Break, typed.Continue}
    return set()  # a grid keeps its exits to itself


def _all_locals(stmts: Stmts) -> set[typed.LocalVar]:
    """Locals assigned anywhere below (grids keep theirs)."""
    out: dict[typed.LocalVar, None] = {}

    def visit(s: typed.Stmt) -> None:
        if isinstance(s, typed.SetLocal):
            out[s.local] = None
        elif isinstance(s, (typed.SetLocals, typed.CallFnStmt)):
            out.update((v, None) for v in s.locals if v is not None)
        elif isinstance(s, typed.If):
            for x in (*s.then, *s.orelse):
                visit(x)
        elif isinstance(s, (typed.While, typed.ForRange, typed.ForTiles)):
            for x in s.body:
                visit(x)

    for s in stmts:
        visit(s)
    return out.keys()  # type: ignore[return-value]


def _count_refs(tree: object) -> dict[typed.LocalVar, int]:
    """How often each local is read below `tree` (not inside fns that it calls)."""
    counts: dict[typed.LocalVar, int] = {}
    stack: list[object] = [tree]
    while stack:
        x = stack.pop()
        if isinstance(x, typed.LocalRef):
            counts[x.local] = counts.get(x.local, 0) + 1
        elif isinstance(x, tuple):
            stack.extend(x)
        elif isinstance(x, list):
            stack.extend(x)
        elif is_dataclass(x) and isinstance(x, (typed.Expr, typed.Stmt, typed.At, typed.Clause, typed.Domain)):
            stack.extend(getattr(x, f.name) for f in fields(x))
    return counts
