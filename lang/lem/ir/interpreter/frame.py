"""One call of a function while it is interpreted: values, arrays, open axes, who is active, what went wrong.

`meaning` registers what an op means; ``Frame.block`` runs a block. Elements of a grid run together, a chunk of its first
axis at a time: a value is one array over all of them, and `active` says which of them take part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np

from lem.ir.core import Affine, Array, Axis, Block, Function, Module, Op, Value
from lem.ir.interpreter.formats import Data, show
from lem.ir.interpreter.tile import Space, Tile
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Place

if TYPE_CHECKING:
    from lem.ir.interpreter.checks import Shadows

Number = int | float | bool


class InterpreterError(Exception):
    """The IR broke a promise (a subscript that was said to be proven is out of range): a fault of the compiler."""


@dataclass(frozen=True, slots=True)
class RunFault:
    """The program stopped: like ``abi``'s fault record, with the element's indices added.

    order: flattened number of the element in its grid, -1 in sequential code. values: what the site records.
    """

    code: str
    kernel: str
    site: int
    text: str
    values: tuple[Number, ...]
    indices: tuple[int, ...]
    order: int


@dataclass(frozen=True, slots=True)
class Printed:
    """One line that the program printed."""

    kernel: str
    site: int
    text: str
    values: tuple[Number, ...]
    order: int


@dataclass(frozen=True, slots=True)
class Report:
    """What checked runs find. kind: "uninitialised" | "race". `elements`: indices of the elements at odds, none in
    sequential code. loc: the access that found it, where the IR says from which source it came."""

    kind: str
    kernel: str
    array: str
    place: tuple[int, ...]
    elements: tuple[tuple[int, ...], ...]
    loc: Place | None = None

    def __str__(self) -> str:
        where = f"{self.array}[{', '.join(map(str, self.place))}] in {self.kernel}"
        who = ", ".join(str(e[0]) if len(e) == 1 else str(e) for e in self.elements)
        if self.kind == "race":
            meet = f"elements {who} meet" if len(self.elements) > 1 else f"element {who} and others meet"
            return f"{meet} at {where}, and one of them writes"
        return f"{where} is read before it is written" + (f" (element {who})" if who else "")


class Stopped(Exception):
    def __init__(self, fault: RunFault) -> None:
        super().__init__(fault.text)
        self.fault = fault


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """Updates of `array` (in `data`) by elements of the grid that is running: who, where, with what."""

    array: Array
    kind: str
    data: Data
    elements: Data
    index: tuple[Data, ...]
    values: Data


@dataclass(slots=True)
class Run:
    """What all frames of one run share. `undo`: how to take back the stores of the chunk that is running; `pending`:
    updates that are applied when the grid ends."""

    module: Module
    block_sizes: int | Mapping[str, int] | None
    shadows: Shadows | None
    prints: list[Printed] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    undo: list[tuple[Data, Any, Data]] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)


@dataclass(slots=True)
class GridState:
    """The chunk of a grid that runs: `starts` and `sizes` in positions, per axis; the whole grid has `lengths`."""

    axes: tuple[Axis, ...]
    lo: tuple[int, ...]
    step: tuple[int, ...]
    lengths: tuple[int, ...]
    start: int  # of the first axis

    def numbers(self, axes: Sequence[Axis], space: Space) -> Data:
        """Flattened number of each element, as an array that broadcasts over `axes` (a superset of the grid's)."""
        total = np.zeros([1] * len(axes), np.int64)
        stride = 1
        for n in reversed(range(len(self.axes))):
            place = np.arange(space.domains[self.axes[n]].n) + (self.start if n == 0 else 0)
            shape = [1] * len(axes)
            shape[axes.index(self.axes[n])] = -1
            total = total + place.reshape(shape) * stride
            stride *= self.lengths[n]
        return total

    def indices(self, number: int) -> tuple[int, ...]:
        where = np.unravel_index(number, self.lengths)
        return tuple(lo + int(p) * step for lo, p, step in zip(self.lo, where, self.step, strict=True))


Meaning = Callable[["Frame", Any], Tile | tuple[Tile, ...] | None]
MEANINGS: dict[type[Op], Meaning] = {}


def meaning(*classes: type[Op]) -> Callable[[Meaning], Meaning]:
    """Decorator: what ops of these classes mean. Gives the result, a tuple of results, or None."""

    def register(fn: Meaning) -> Meaning:
        for cls in classes:
            MEANINGS[cls] = fn
        return fn

    return register


@dataclass(slots=True)
class Frame:
    run: Run
    fn: Function
    arrays: dict[Array, Data]
    scalars: Mapping[str, Data]
    dims: Mapping[str, int]
    space: Space = field(default_factory=Space)
    values: dict[Value, Tile] = field(default_factory=dict)
    active: Tile | None = None
    dead: Tile | None = None  # elements that faulted
    fault: RunFault | None = None  # of the smallest element that faulted in this chunk
    grid: GridState | None = None
    depth: int = 0  # calls of tasks around this one
    wholes: dict[Array, Data] = field(default_factory=dict)  # what views and names are parts of

    # --- running

    def block(self, b: Block, *args: Tile) -> tuple[Tile, ...]:
        self.values.update(zip(b.args, args, strict=True))
        for o in b.ops:
            made = MEANINGS[type(o)](self, o)
            if isinstance(made, Tile):
                self.values[o.results[0]] = made
            elif made is not None:
                self.values.update(zip(o.results, made, strict=True))
        return tuple(self.values[v] for v in b.yields)

    def __getitem__(self, v: Value) -> Tile:
        return self.values[v]

    def whole(self, array: Array) -> Data:
        """What an array is a part of; itself where it is no part."""
        found = self.wholes.get(array)
        return self.arrays[array] if found is None else found

    def get(self, values: Iterable[Value]) -> list[Tile]:
        return [self.values[v] for v in values]

    def lift(self, fn: Callable[..., Data], *tiles: Tile) -> Tile:
        """`fn` element by element."""
        axes, arrays = self.space.align(*tiles)
        self.space.check_axes(axes)
        return Tile(axes, np.asarray(fn(*arrays)))

    def affine(self, sub: Affine) -> Tile:
        if not sub.terms:
            return Tile((), np.asarray(sub.const, np.int64))
        return self.lift(lambda *vs: sum(c * v for (c, _), v in zip(sub.terms, vs, strict=True)) + sub.const,
                         *self.get(v for _, v in sub.terms))  # fmt: skip

    # --- who takes part

    @contextmanager
    def masked(self, cond: Tile | None) -> Iterator[None]:
        """Only elements for which `cond` holds take part."""
        outer = self.active
        if cond is not None:
            self.active = cond if outer is None else self.lift(np.logical_and, outer, cond)
        try:
            yield
        finally:
            self.active = outer

    def mask(self, axes: Iterable[Axis] = ()) -> Tile | None:
        """Who takes part, among elements and positions of the open axes `axes`; None: all do."""
        parts = [self.active] if self.active is not None else []
        if self.dead is not None:
            parts.append(Tile(self.dead.axes, ~self.dead.data))
        wanted = {a for p in parts for a in p.axes} | set(axes)
        while True:
            bounds = {a: m for a in wanted if (m := self.space.domains[a].mask) is not None}
            more = {b for m in bounds.values() for b in m.axes} - wanted
            if not more:
                break
            wanted |= more
        parts += bounds.values()
        return self.lift(lambda *ms: np.logical_and.reduce(np.broadcast_arrays(*ms)), *parts) if parts else None

    def any_active(self, cond: Tile | None = None) -> bool:
        """Whether anybody takes part, of those for whom `cond` holds."""
        with self.masked(cond):
            mask = self.mask(() if cond is None else cond.axes)
        return mask is None or bool(mask.data.any())

    def over_active(self, tile: Tile, pick: Callable[[Data], Any], default: int) -> int:
        """`pick` (np.max or np.min) of the elements that take part."""
        mask = self.mask(tile.axes)
        data = tile.data
        if mask is not None:
            _, (data, kept) = self.space.align(tile, mask)
            data = np.broadcast_to(data, np.broadcast_shapes(data.shape, kept.shape))[
                np.broadcast_to(kept, np.broadcast_shapes(data.shape, kept.shape))
            ]
        return int(pick(data)) if data.size else default

    def choose(self, cond: Tile, x: Tile, y: Tile) -> Tile:
        return self.lift(np.where, cond, x, y)

    # --- faults and lines

    def lanes(self, axes: Sequence[Axis], tile: Tile) -> Data:
        """`tile` over all of `axes`, in full."""
        return np.broadcast_to(tile.spread(axes), self.space.lengths(axes))

    def whole_of(self, v: Value, tile: Tile) -> Tile:
        """`tile` with all axes that `v` has by its type. It may have fewer where nothing differs along an axis; but where
        the axis has no positions, nothing is to be done for any."""
        axes = self.space.sort(v.axes)
        if axes == tile.axes:
            return tile
        self.space.check_axes(axes)
        return Tile(axes, self.lanes(axes, tile))

    def records(self, values: Sequence[Value], axes: Sequence[Axis], at: tuple[Any, ...]) -> tuple[Number, ...]:
        """Values at one place of the space of `axes`."""
        return tuple(show(self.lanes(axes, self[v])[at], v.dtype) for v in values)

    def element_axes(self, *tiles: Tile) -> tuple[Axis, ...]:
        """Axes of the grid and of `tiles`."""
        own = self.grid.axes if self.grid else ()
        return self.space.sort({*own, *(a for t in tiles for a in t.axes)})
