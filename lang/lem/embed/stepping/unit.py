"""One function as its shadow sees it: what the calls in the shadow's code do.

A :class:`Unit` belongs to a call that a :class:`~lem.embed.stepping.stepper.Stepper` runs. It takes numbers of nodes and the
locals of the moment; gives values to show, tests of branches, indices of loops. While it works no debugger sees anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lem import ir
from lem.embed.stepping import values
from lem.embed.stepping.shadow import LEM, LOCALS, Shadow, variables_set
from lem.ir import ops
from lem.ir.constants import TILES_BLOCK
from lem.ir.core import Axis, Block, TileType, Value, walk_ops
from lem.ir.interpreter.frame import GridState
from lem.ir.interpreter.memory import apply_pending
from lem.ir.interpreter.tile import OpenAxis, Space, Tile
from lem.types import typed
from lem_runtime.abi.dtypes import I64
from lem_runtime.abi.records import dataclass

if TYPE_CHECKING:
    from lem.embed.stepping.stepper import Stepper

Tracer = Any


@dataclass(slots=True)
class Element(GridState):
    """A grid while one element of it runs."""

    number: int = 0

    def numbers(self, axes: Sequence[Axis], space: Space) -> np.ndarray[Any, Any]:
        return np.full([1] * len(axes), self.number)


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement in IR. sets: locals and the value that each has after it."""

    prologue: tuple[ir.Op, ...]
    block: Block
    sets: tuple[tuple[typed.LocalVar, Value], ...]


class Unit:
    """One function of a stepper, as its shadow sees it: the methods that its code calls."""

    def __init__(self, stepper: Stepper, shadow: Shadow, fn: typed.FnInstance | None = None) -> None:
        self.stepper, self.fn = stepper, fn
        self.left = False  # the element returned from inside a loop
        self.results: tuple[Tile, ...] = ()
        self._nodes = shadow.nodes
        self._body = (fn or stepper.fn).body
        self._pieces: dict[int, Piece] = {}
        self._opened: dict[typed.ForTiles, tuple[Axis, Value]] = {}
        self._shown: dict[str, Any] = {}  # what a person saw last, by name
        span = (fn or stepper.fn).span
        space = dict(stepper.session.surroundings.get(span.source.name, {}))
        space.update({LEM: self, LOCALS: locals, "breakpoint": stepper.session.stop})
        exec(shadow.code(), space)
        self.function: Callable[..., Any] = space[(fn or stepper.fn).name.partition("[")[0]]

    # -- what the code calls: none of it is the debugger's business
    def run(self, n: int, names: dict[str, Any]) -> Any:
        __tracebackhide__ = __debuggerskip__ = True  # noqa: F841  # for IPython's debugger
        tracer = self._off()
        try:
            s = self._nodes[n]
            assert isinstance(s, typed.Stmt)
            self._take(names)
            self._do(n, lambda: self.stepper.lowered(s))
            return self._show(variables_set(s))
        finally:
            sys.settrace(tracer)

    def test(self, n: int, names: dict[str, Any]) -> bool:
        __tracebackhide__ = __debuggerskip__ = True  # noqa: F841
        tracer = self._off()
        try:
            s = self._nodes[n]
            assert isinstance(s, (typed.If, typed.While))
            self._take(names)
            (cond,) = self._do(n, lambda: (self.stepper.lowering.ex.value(s.cond),))
            return bool(cond.data.all())
        finally:
            sys.settrace(tracer)

    def give(self, n: int, names: dict[str, Any]) -> Any:
        __tracebackhide__ = __debuggerskip__ = True  # noqa: F841
        tracer = self._off()
        try:
            s = self._nodes[n]
            assert isinstance(s, typed.Return)
            self._take(names)
            ex = self.stepper.lowering.ex
            self.results = self._do(n, lambda: tuple(v for e in s.values for v in ex.values(e)))
            return self._given(s)
        finally:
            sys.settrace(tracer)

    def leave(self, n: int, names: dict[str, Any]) -> None:
        self.left = True

    def span(self, n: int, names: dict[str, Any]) -> Iterator[int]:
        tracer = self._off()
        s = self._nodes[n]
        assert isinstance(s, typed.ForRange)
        self._take(names)
        lo, hi, *by = self._do(n, lambda: self._range(s.domain))
        step = int(by[0].data.item()) if by else s.domain.step
        index = self.stepper.st.indices.setdefault(s.var, Value(TileType(I64), s.var.name))
        for i in range(int(lo.data.item()), int(hi.data.item()), step):
            self.stepper.frame.values[index] = Tile((), np.asarray(i))
            sys.settrace(tracer)
            yield i
            tracer = self._off()
        sys.settrace(tracer)

    def tiles(self, n: int, names: dict[str, Any]) -> Iterator[Any]:
        tracer = self._off()
        s = self._nodes[n]
        assert isinstance(s, typed.ForTiles)
        self._take(names)
        lo, hi = self._bounds(n, s.domain)
        size = self._block_size(s)
        start, end = int(lo.data.item()), int(hi.data.item())
        axis, index = self._open(s, lo)
        first = start if not lo.axes else start // size * size
        for begin in range(first, end, size):
            places = np.arange(max(begin, start), min(begin + size, end))
            self.stepper.frame.space.open(axis, OpenAxis(len(places)))
            self.stepper.frame.values[index] = Tile((axis,), places)
            sys.settrace(tracer)
            yield places
            tracer = self._off()
        sys.settrace(tracer)

    def grid(self, n: int, names: dict[str, Any]) -> Iterator[Any]:
        tracer = self._off()
        s = self._nodes[n]
        assert isinstance(s, typed.ForGrid)
        self._take(names)
        grid, state = self._enter_grid(n, s)
        frame, st = self.stepper.frame, self.stepper.st
        known = dict(self.stepper.stable)
        try:
            for number in range(int(np.prod(state.lengths, dtype=np.int64))):
                indices = state.indices(number)
                frame.grid = replace(state, number=number)
                frame.dead = frame.fault = None
                self.left = False
                for axis, var, i in zip(grid.axes, s.vars, indices, strict=True):
                    frame.values[st.indices[var]] = Tile((axis,), np.asarray([i]))
                sys.settrace(tracer)
                yield indices[0] if len(indices) == 1 else indices
                tracer = self._off()
                self.stepper.stable = dict(known)  # locals of an element are its own
            if frame.run.pending:
                apply_pending(frame, grid, int(np.prod(state.lengths, dtype=np.int64)))
        finally:
            frame.grid = frame.dead = st.grid = None
            st.element_axes = frozenset()
            if frame.run.shadows is not None:
                frame.run.shadows.leave_grid()
            frame.run.pending.clear()
            sys.settrace(tracer)

    # -- parts of them
    def _off(self) -> Tracer:
        """No debugger from here on; gives the one that there was."""
        self.stepper.session.tracer = tracer = sys.gettrace()
        sys.settrace(None)
        return tracer

    def _do(self, n: int, make: Callable[[], Sequence[Value]]) -> tuple[Tile, ...]:
        self.stepper.lowering.take_apart(self._body)
        piece, is_new = self._pieces.get(n), False
        if piece is None:
            piece, is_new = self._pieces.setdefault(n, self.stepper.piece(make)), True
        return self.stepper.do(piece, is_new=is_new)

    def _bounds(self, n: int, domain: typed.Domain) -> tuple[Tile, ...]:
        return self._do(n, lambda: self.stepper.lowering.ex.bounds(domain))

    def _range(self, domain: typed.Domain) -> tuple[Value, ...]:
        """Bounds, and the step where it is no literal."""
        ex = self.stepper.lowering.ex
        lo, hi = ex.bounds(domain)
        return (lo, hi) if domain.by is None else (lo, hi, ex.step(domain.by, "step" in domain.checks))

    def _block_size(self, s: typed.ForTiles) -> int:
        if s.block is None:
            return TILES_BLOCK
        block = s.block
        piece = self.stepper.piece(lambda: (self.stepper.lowering.ex.value(block),))
        return max(1, int(self.stepper.do(piece, is_new=True)[0].data.item()))

    def _open(self, s: typed.ForTiles, lo: Tile) -> tuple[Axis, Value]:
        st = self.stepper.st
        if s not in self._opened:
            axis = Axis(s.var.name, "tiles")
            index = Value(TileType(I64, frozenset({axis}) | frozenset(lo.axes)), s.var.name)
            start = Value(TileType(I64, frozenset(lo.axes)))
            st.open(s.var, axis, index, start, s.domain)
            if axis in st.start_of:
                self.stepper.frame.values[start] = lo
            self._opened[s] = axis, index
        return self._opened[s]

    def _enter_grid(self, n: int, s: typed.ForGrid) -> tuple[ops.Grid, Element]:
        """The grid as an op, and where its elements lie."""
        stepper, frame, st = self.stepper, self.stepper.frame, self.stepper.st
        stepper.lowering.ex.inline = lambda _, fn, args: stepper.lowering.inline(fn, args)
        stepper.lowering.take_apart(self._body)
        whole = stepper.piece(lambda: stepper.lowered(s))
        stepper.lowering.ex.inline = lambda _, fn, args: stepper._enter(fn, args)
        grid = whole.block.ops[-1]
        assert isinstance(grid, ops.Grid)
        stepper.do(Piece(whole.prologue, Block((), whole.block.ops[:-1]), ()), is_new=True)
        lo, hi = ([int(frame[v].data.item()) for v in bounds] for bounds in (grid.lo, grid.hi))
        lengths = tuple(max(0, -((a - b) // step)) for a, b, step in zip(lo, hi, grid.step, strict=True))
        if frame.run.shadows is not None:
            changed = {o.array for o in walk_ops(grid.body) if isinstance(o, ops.Store | ops.Update)}
            frame.run.shadows.enter_grid(frame.arrays[a] for a in changed if a in frame.arrays)
        for axis, var in zip(grid.axes, s.vars, strict=True):
            frame.space.open(axis, OpenAxis(1))
            st.indices[var] = Value(TileType(I64, frozenset({axis})), axis.name)
        st.grid, st.element_axes = s, frozenset(grid.axes)
        self._opened.clear()
        self._pieces.clear()  # what was lowered for another round of this grid speaks of its axes
        return grid, Element(grid.axes, tuple(lo), grid.step, lengths, 0)

    def _show(self, variables: Sequence[typed.LocalVar | typed.ArrayVar]) -> Any:
        """Values of names for a person: one, or a tuple."""
        seen = [self._value(v) for v in variables]
        self._shown.update(zip((v.name for v in variables), seen, strict=True))
        return seen[0] if len(seen) == 1 else tuple(seen) if seen else None

    def _value(self, v: typed.LocalVar | typed.ArrayVar) -> Any:
        st, frame = self.stepper.st, self.stepper.frame
        if isinstance(v, typed.ArrayVar):
            return self.stepper.array(v)
        parts = st.parts(v)
        if any(p not in self.stepper.stable for p in parts):
            return None  # not assigned on this way
        seen = [values.shown(frame[self.stepper.stable[p]], p.type.dtype, st.element_axes) for p in parts]
        return values.joined(v.type.dtype, seen)

    def _given(self, s: typed.Return) -> Any:
        axes = self.stepper.st.element_axes
        leaves = [leaf for e in s.values for _, leaf in typed.leaves(e.type.dtype)]
        seen = [values.shown(t, leaf, axes) for t, leaf in zip(self.results, leaves, strict=True)]
        return seen[0] if len(seen) == 1 else tuple(seen)

    def _take(self, names: Mapping[str, Any]) -> None:
        """What a person assigned in the debugger since they last saw it."""
        for local, at in self.stepper.stable.items():
            was = self._shown.get(local.name)
            if local.name in self._shown and local.name in names and names[local.name] is not was:
                made = values.changed(names[local.name], self.stepper.frame[at], local.type.dtype)
                if made is not None:
                    self.stepper.frame.values[at] = made
                    self._shown[local.name] = names[local.name]

    # -- of an fn
    def enter(self, args: Sequence[tuple[typed.LocalVar, Value]]) -> tuple[Tile, ...]:
        assert self.fn is not None
        stepper, frame = self.stepper, self.stepper.frame
        for local, value in args:
            frame.values[stepper.home(local, value.type)] = frame.values[value]
        seen = [self._value(p) for p in self.fn.params]
        self._shown.update(zip((p.name for p in self.fn.params), seen, strict=True))
        stepper.in_debugger(lambda: self.function(*seen))
        return self.results
