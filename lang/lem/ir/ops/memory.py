"""Arrays: making them, loading, storing, updating.

Subscripts are one :class:`~lem.ir.core.Affine` per axis of the array, in elements of that axis: regions, halos and
coalescing are read off them. Every subscript is in range where its op is active: proven, checked at the call, or by an
Assert before it; except under a boundary policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from lem.ir.core import Affine, Array, Axis, Effect, Op, TileType, Value, op, union_axes
from lem_runtime.abi.dtypes import BOOL, I64


def subscript_axes(subs: tuple[Affine, ...]) -> frozenset[Axis]:
    """Axes that subscripts depend on."""
    return union_axes(v for s in subs for v in s.values)


def place_axes(array: Array, subs: tuple[Affine, ...]) -> frozenset[Axis]:
    """Axes that a place depends on: those of the subscripts, and of the element that owns a local array."""
    return subscript_axes(subs) | array.axes


def _verify_rank(array: Array, subs: tuple[Affine, ...]) -> Iterator[str]:
    if len(subs) != array.rank:
        yield f"{array} has {array.rank} axes, {len(subs)} subscripts"


@op("tile.alloc")
class Alloc(Op):
    """Make `array`: a temporary of the function (lives until the enclosing block of sequential code ends), or one small
    array per element inside a grid. `sizes`: one i64 value per axis. `fill`: the value all elements get, or None:
    uninitialised."""

    effect = Effect.WRITE
    array: Array
    sizes: tuple[Value, ...]
    fill: Value | None


@op("tile.view")
class View(Op):
    """Name a part of `base` in sequential code, without copying: per axis of the base `sizes` places from `starts` on,
    `steps` apart, or one place of it, an axis that the view does not have (size None). All places are in range."""

    effect = Effect.WRITE
    array: Array
    base: Array
    starts: tuple[Value, ...]
    sizes: tuple[Value | None, ...]
    steps: tuple[int, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        """Axes of the base that the view has."""
        return tuple(n for n, size in enumerate(self.sizes) if size is not None)

    def verify(self) -> Iterator[str]:
        if not len(self.starts) == len(self.sizes) == len(self.steps) == self.base.rank:
            yield f"{self.base} has {self.base.rank} axes"
        if len(self.kept) != self.array.rank or self.array.dtype != self.base.dtype:
            yield f"{self.array} is no part of {self.base} with the axes {self.kept}"
        if any(step < 1 for step in self.steps):
            yield f"steps are {self.steps}"


@op("tile.name")
class Name(Op):
    """Declare `array`, a name that Bind lets stand for one array after the other."""

    effect = Effect.WRITE
    array: Array


@op("tile.bind")
class Bind(Op):
    """Let names stand for other arrays or for parts of them, all at once: ``a, b = b, a[1:]``. A name keeps the whole array
    whose part it stands for; what no name and no view stands for ends."""

    effect = Effect.WRITE
    names: tuple[Array, ...]
    arrays: tuple[Array, ...]

    def verify(self) -> Iterator[str]:
        if len(self.names) != len(self.arrays):
            yield f"{len(self.names)} names for {len(self.arrays)} arrays"
        for name, array in zip(self.names, self.arrays, strict=False):
            if name.kind != "name":
                yield f"{name} is a {name.kind}"
            if name.dtype != array.dtype or name.rank != array.rank:
                yield f"{name} cannot stand for {array}"


@op("tile.size")
class Size(Op):
    """Size of one axis of an array as it is now, an i64."""

    effect = Effect.READ
    array: Array
    axis: int

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(I64),)


@op("tile.same")
class Same(Op):
    """Whether two arrays are, or are parts of, one."""

    effect = Effect.READ
    x: Array
    y: Array

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(BOOL),)


@op("tile.load")
class Load(Op):
    """``array[subs]``. boundary: "" | "clamp" | "wrap" | "fill" (then `fill` is the value outside).

    idle: it stands in a comprehension or loop that may have no turn, and depends on none. Where there is no turn nobody
    uses it, and the place need not be there: what lies outside is not read, and is 0.
    """

    effect = Effect.READ
    array: Array
    subs: tuple[Affine, ...]
    boundary: str = ""
    fill: Value | None = None
    idle: bool = False

    def result_types(self) -> tuple[TileType, ...]:
        axes = place_axes(self.array, self.subs)
        return (TileType(self.array.dtype, axes | self.fill.axes if self.fill else axes),)

    def verify(self) -> Iterator[str]:
        yield from _verify_rank(self.array, self.subs)
        if self.boundary not in ("", "clamp", "wrap", "fill"):
            yield f"unknown boundary {self.boundary}"
        if (self.boundary == "fill") != (self.fill is not None):
            yield "boundary `fill`, and nothing else, has a value"
        if self.fill is not None and self.fill.dtype != self.array.dtype:
            yield f"fills {self.array.dtype} with {self.fill.dtype}"


@op("tile.store")
class Store(Op):
    """``array[subs] = value``, for active elements. The place has all axes of the value (it may have more)."""

    effect = Effect.WRITE
    array: Array
    subs: tuple[Affine, ...]
    value: Value

    def verify(self) -> Iterator[str]:
        yield from _verify_rank(self.array, self.subs)
        if self.value.dtype != self.array.dtype:
            yield f"stores {self.value.dtype} into {self.array.dtype}"
        for axis in self.value.axes - place_axes(self.array, self.subs):
            yield f"{self.value} has axis {axis.name}, the place in {self.array} does not"


@op("tile.update")
class Update(Op):
    """``array[subs] = array[subs] OP value`` for an array declared ``reduce(OP)``: kind add, max, min, or, and."""

    effect = Effect.WRITE
    kind: str
    array: Array
    subs: tuple[Affine, ...]
    value: Value

    def verify(self) -> Iterator[str]:
        yield from _verify_rank(self.array, self.subs)
        if self.kind not in ("add", "max", "min", "or", "and"):
            yield f"unknown update {self.kind}"
        if self.value.dtype != self.array.dtype:
            yield f"updates {self.array.dtype} with {self.value.dtype}"
