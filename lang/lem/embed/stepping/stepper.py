"""Calculates what the shadow of a function asks for: one statement lowered to tile IR, interpreted for one element.

A :class:`Stepper` runs a call of a kernel or task: a state of the lowering and a frame of the interpreter, kept in step.
Locals have one IR value each, in which their value of the moment stands. A grid is walked element by element: each is a
chunk of the interpreter's with a single element in it. Functions that are called step in shadows of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, cast

from lem import ir
from lem.embed.stepping import values
from lem.embed.stepping.shadow import Shadow
from lem.embed.stepping.unit import Piece, Unit
from lem.ir import ops
from lem.ir.core import Block, TileType, Value
from lem.ir.interpreter.formats import show
from lem.ir.interpreter.frame import MEANINGS, Frame, Report, RunFault, Stopped
from lem.ir.interpreter.tile import Tile
from lem.lower import flow
from lem.lower.state import State, arrays_of, flat_scalars
from lem.lower.statements import Statements
from lem.types import typed
from lem_runtime import element_text, fill_text
from lem_runtime.abi import signature
from lem_runtime.abi.artifact import Site
from lem_runtime.abi.dtypes import I64, DType
from lem_runtime.abi.records import dataclass


class Found(Exception):
    """A race, or a read of what nobody wrote."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


class Wrong(Exception):
    """A fault, with the site that it comes from: sites are made while stepping."""

    def __init__(self, fault: RunFault, site: Site) -> None:
        super().__init__(fill_text(fault.text, fault.values, site.kinds))
        self.fault, self.site = fault, site


@dataclass(eq=False, slots=True)
class _Enter:
    """Stands among ops for a call of an fn: its shadow runs there."""

    unit: Unit
    args: tuple[tuple[typed.LocalVar, Value], ...]  # a parameter, and what it is given
    results: tuple[Value, ...]


class Session:
    """What the frames of one run share. surroundings: names that a debugger knows besides the locals, by file."""

    def __init__(self, program: typed.Module, surroundings: Mapping[str, Mapping[str, Any]], stop: Any) -> None:
        self.program, self.surroundings, self.stop = program, surroundings, stop
        self.tracer: Any = None  # of the debugger, while it must not see us
        self._shadows: dict[typed.Function | typed.FnInstance, Shadow] = {}

    def shadow(self, fn: typed.Function | typed.FnInstance, params: Sequence[str]) -> Shadow:
        found = self._shadows.get(fn)
        if found is None:
            name = fn.name.partition("[")[0]
            found = self._shadows[fn] = Shadow(name, params, fn.body, fn.span)
        return found


class Stepper:
    """One call of a kernel or task. frame: of the call, with its arrays, scalars and dimensions."""

    def __init__(self, session: Session, fn: typed.Function, frame: Frame) -> None:
        self.session, self.frame, self.fn = session, frame, fn
        self.st = State(fn)
        by_name = {a.name: data for a, data in frame.arrays.items()}
        for a in fn.arrays:
            self.st.arrays[a] = arrays_of(a, a.kind, a.effect)
            frame.arrays.update({part: by_name[part.name] for part in self.st.arrays[a]})
        self.lowering = Statements(self.st)
        self.lowering.ex.inline = lambda _, callee, args: self._enter(callee, args)
        self.stable: dict[typed.LocalVar, Value] = {}  # of locals that are assigned: where their value stands
        self._homes: dict[typed.LocalVar, Value] = {}  # the same of all that ever were

    def home(self, local: typed.LocalVar, like: TileType) -> Value:
        """Where the value of a local stands, from now on."""
        found = self._homes.get(local)
        if found is None:
            found = self._homes[local] = Value(like, local.name)
        self.stable[local] = found
        return found

    def run(self) -> None:
        """Runs the body. Raises :class:`Wrong`, :class:`Found`."""
        params = [a for a in self.fn.arrays if a.effect != "result"]
        names = [p.name for p in params] + [n for n, _ in self.fn.scalars]
        unit = Unit(self, self.session.shadow(self.fn, names))
        given = [self.array(p) for p in params]
        given += [self._scalar(name, t) for name, t in self.fn.scalars]
        self.lowering.take_apart(self.fn.body)
        self.do(self.piece(self._part_locals), is_new=True)
        self.in_debugger(lambda: unit.function(*given))
        self.lowering.take_apart(self.fn.body)
        for s in self.fn.at_end:
            self.do(self.piece(lambda s=s: self.lowered(s)), is_new=True)  # type: ignore[misc]

    def _part_locals(self) -> tuple[Value, ...]:
        """Locals that say which part a name stands for have a value from the start."""
        for part in flow.parts_bound(self.fn.body):
            self.st.env.update((local, self.st.const(1, I64)) for local in part.locals())
        return ()

    def in_debugger(self, call: Callable[[], Any]) -> Any:
        """Lets the debugger see what is called, and looks away again after it."""
        sys.settrace(self.session.tracer)
        try:
            return call()
        finally:
            self.session.tracer = sys.gettrace()
            sys.settrace(None)

    def _scalar(self, name: str, dtype: DType) -> Any:
        parts = [show(self.frame.scalars[n], t) for n, t in flat_scalars(((name, dtype),))]
        return values.joined(dtype, parts)

    def array(self, a: typed.ArrayVar) -> Any:
        parts = []
        for part in self.st.arrays[a]:
            data = self.frame.arrays[part]
            own = len(part.axes)
            view = data.reshape(data.shape[own:])
            parts.append(view if view.ndim else view[()])
        return values.joined(a.dtype, parts)

    # ------------------------------------------------------------ lowering
    def piece(self, make: Callable[[], Sequence[Value]]) -> Piece:
        """What `make` lowers, where every local has the value it has in the frame."""
        st = self.st
        before = len(st.prologue.ops)
        with st.nested() as b:
            st.env = dict(self.stable)
            block = b.block(yields=tuple(make()))
            sets = tuple((v, x) for v, x in st.env.items() if self.stable.get(v) is not x)
        self.frame.fn = replace(self.frame.fn, sites=tuple(st.sites))
        return Piece(tuple(st.prologue.ops[before:]), block, sets)

    def lowered(self, s: typed.Stmt) -> tuple[Value, ...]:
        """A statement as :meth:`piece` wants it: it yields nothing."""
        self.lowering.run((s,))
        return ()

    def do(self, piece: Piece, *, is_new: bool) -> tuple[Tile, ...]:
        """Runs a piece. Raises :class:`Wrong`, :class:`Found`."""
        frame = self.frame
        if is_new:
            frame.block(Block((), piece.prologue))
        for o in piece.block.ops:
            if isinstance(o, ops.Call):
                self._call(o)
                continue
            try:
                frame.block(Block((), (o,)))
            except Stopped as e:
                self._wrong(e.fault)
        for local, value in piece.sets:
            frame.values[self.home(local, value.type)] = frame.values[value]
        self._look()
        return tuple(frame.get(piece.block.yields))

    def _look(self) -> None:
        """Prints what was printed, and stops where something went wrong."""
        run, grid = self.frame.run, self.frame.grid
        for line in run.prints:
            site = self.frame.fn.sites[line.site]
            where = dict(zip(site.axes, grid.indices(line.order), strict=True)) if grid is not None else {}
            text = fill_text(site.text, line.values, _kinds(site))
            self.in_debugger(lambda text=text, where=where, site=site: print(  # type: ignore[misc]
                f"{element_text(site.kernel, where)}: {text}" if where else text))  # fmt: skip
        run.prints.clear()
        if run.reports:
            raise Found(run.reports[0])
        if self.frame.fault is not None:
            self._wrong(self.frame.fault)

    def _wrong(self, fault: RunFault) -> NoReturn:
        raise Wrong(fault, self.frame.fn.sites[fault.site])

    # ------------------------------------------------------------ calls
    def _call(self, o: ops.Call) -> None:
        """A kernel or task that is called steps like the first one."""
        f, callee = self.frame, self.session.program.functions[o.callee]
        names = [part.name for a in callee.arrays for part in arrays_of(a, a.kind, a.effect)]
        held = dict(zip(names, (f.arrays[a] for a in o.arrays), strict=True))
        kinds = flat_scalars(callee.scalars)
        scalars = {n: f[v].data for (n, _), v in zip(kinds, o.scalars, strict=True)}
        dims = {n: int(f[v].data) for n, v in zip(callee.dims, o.dims, strict=True)}
        try:
            numbers = {n: show(scalars[n], t) for n, t in kinds}
            signature.bind(callee.signature, {n: d.shape for n, d in held.items()}, numbers, dims)
        except signature.CallError as e:
            self._wrong(RunFault(e.code, f.fn.name, o.site, e.message, (), (), -1))
        depth = f.depth + (callee.kind == "task")
        Stepper(self.session, callee, frame_of(f.run, callee, held, scalars, dims, depth)).run()

    def _enter(
        self, fn: typed.FnInstance, args: Sequence[typed.Expr | typed.ArrayVar]
    ) -> tuple[Value, ...]:  # fmt: skip
        """A call of an fn: stepped into, unless it is meant for each position of an axis."""
        if any(isinstance(a, typed.Expr) and a.type.axes for a in args):
            return self.lowering.inline(fn, args)
        given: list[tuple[typed.LocalVar, Value]] = []
        st = self.st
        for p, a in zip(fn.params, args, strict=True):
            if isinstance(p, typed.LocalVar):
                assert isinstance(a, typed.Expr)
                made = self.lowering.ex.values(a)
                if any(not v.axes <= st.element_axes for v in made):  # an axis that its type does not tell
                    return self.lowering.inline(fn, args)
                given += zip(st.parts(p), made, strict=True)
        for p, a in zip(fn.params, args, strict=True):
            if isinstance(p, typed.ArrayVar):
                assert isinstance(a, typed.ArrayVar)
                sizes = tuple(st.axis_size(a, n) for n in range(len(a.shape)))
                st.arrays[p], st.array_sizes[p] = st.arrays[a], sizes
        names = [p.name for p in fn.params]
        types = [leaf for r in fn.results for _, leaf in typed.leaves(r.dtype)]
        results = tuple(Value(TileType(t, st.element_axes)) for t in types)
        enter = _Enter(Unit(self, self.session.shadow(fn, names), fn), tuple(given), results)
        return st.do(cast(Any, enter))


def _meaning_of_enter(f: Frame, o: Any) -> tuple[Tile, ...]:
    made: tuple[Tile, ...] = o.unit.enter(o.args)
    return made


MEANINGS[cast(Any, _Enter)] = _meaning_of_enter


def frame_of(
    run: Any, fn: typed.Function, arrays: Mapping[str, Any], scalars: Mapping[str, Any], dims: Mapping[str, int], depth: int
) -> Frame:
    """A frame for a call of a typed function, which is not lowered as a whole."""
    parts = tuple(part for a in fn.arrays for part in arrays_of(a, a.kind, a.effect))
    made = ir.Function(fn.name, fn.kind, fn.signature, parts, tuple(flat_scalars(fn.scalars)), Block((), ()), (), {})
    return Frame(run, made, {a: arrays[a.name] for a in parts}, scalars, dims, depth=depth)


def _kinds(site: Site) -> tuple[str, ...]:
    return site.kinds
