"""Control flow per element and per function, checks, prints, calls.

Conditions and bounds may have axes: then only the elements for which they hold are active in the block (masked on CPU
and SPU, branches on SIMT). Inactive elements neither fault nor store, and keep their old values where a loop carries
them. ``break``, ``continue`` and early ``return`` have already become flags.
"""

from __future__ import annotations

from collections.abc import Iterator

from lem.ir.core import Array, Axis, Block, Effect, Op, TileType, Value, op, union_axes
from lem_runtime.abi.dtypes import BOOL, I64


@op("tile.if")
class If(Op):
    """Two blocks without arguments; results are what the taken one yields, per element."""

    effect = Effect.CONTROL
    cond: Value
    then: Block
    orelse: Block

    def result_types(self) -> tuple[TileType, ...]:
        pairs = zip(self.then.yields, self.orelse.yields, strict=True)
        return tuple(TileType(a.dtype, union_axes((self.cond, a, b))) for a, b in pairs)

    def verify(self) -> Iterator[str]:
        if len(self.then.yields) != len(self.orelse.yields):
            yield f"branches yield {len(self.then.yields)} and {len(self.orelse.yields)} values"
            return
        if self.cond.dtype != BOOL:
            yield f"condition is {self.cond.dtype}"
        for a, b in zip(self.then.yields, self.orelse.yields, strict=True):
            if a.dtype != b.dtype:
                yield f"branches yield {a.dtype} and {b.dtype}"


@op("tile.for")
class For(Op):
    """``for t in range(lo, hi, step)``: sequential. Body arguments: t, then the carried values; it yields the carried
    values. `step` is a positive or negative literal. Carried block arguments have the type of the results: `init` is
    broadcast to it."""

    effect = Effect.CONTROL
    lo: Value
    hi: Value
    step: int
    init: tuple[Value, ...]
    body: Block

    def result_types(self) -> tuple[TileType, ...]:
        return tuple(v.type for v in self.body.args[1:])

    def verify(self) -> Iterator[str]:
        yield from _verify_carried(self.init, self.body.args[1:], self.body.yields)


@op("tile.while")
class While(Op):
    """Test block and body block both take the carried values; `test` yields one bool, `body` the next values."""

    effect = Effect.CONTROL
    init: tuple[Value, ...]
    test: Block
    body: Block

    def result_types(self) -> tuple[TileType, ...]:
        return tuple(v.type for v in self.body.args)

    def verify(self) -> Iterator[str]:
        yield from _verify_carried(self.init, self.body.args, self.body.yields)
        if len(self.test.yields) != 1:
            yield "the test yields one bool"


@op("tile.tiles")
class Tiles(Op):
    """A sequential loop over blocks of `axis`, which ranges over lo .. hi (these may have element axes: element e takes
    part in positions lo[e] <= index < hi[e] only). Body arguments: the index (with the axis), then the carried values,
    which never have the axis. block: None = the language's constant (``constants.TILES_BLOCK``).
    choices: what a tuner may take instead of `block`. pipeline: how many blocks are under way at once, as written: loading
    the next ones while one is computed; 1 where nothing was written.

    Blocks start at lo where lo is the same for all elements, else at the multiples of the block size: so what is in a
    block never depends on which elements are computed together. An element with no position in a block is inactive
    there. What is reduced over the axis must have the axes of lo and hi, or it could not differ by element."""

    effect = Effect.CONTROL
    axis: Axis
    lo: Value
    hi: Value
    block: Value | None
    init: tuple[Value, ...]
    body: Block
    choices: tuple[int, ...] = ()
    pipeline: int = 1

    def result_types(self) -> tuple[TileType, ...]:
        return tuple(v.type for v in self.body.args[1:])

    def verify(self) -> Iterator[str]:
        yield from _verify_carried(self.init, self.body.args[1:], self.body.yields)
        for v in self.body.yields:
            if self.axis in v.axes:
                yield f"{v} carries the block's axis {self.axis}"


@op("tile.grid")
class Grid(Op):
    """A parallel step. Body arguments: one i64 index per axis. `lo`, `hi` have no axes; steps are positive literals.
    `tile`: hints as written, None where the compiler chooses; () when nothing was written. `choices`:
    what a tuner may take instead, per axis; () where there is none. `by_target`: hints that differ by target, as choices;
    they become `tile` and `choices` where the target is known."""

    effect = Effect.CONTROL
    axes: tuple[Axis, ...]
    lo: tuple[Value, ...]
    hi: tuple[Value, ...]
    step: tuple[int, ...]
    body: Block
    tile: tuple[int | None, ...] = ()
    label: str = ""
    choices: tuple[tuple[int, ...], ...] = ()
    by_target: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = ()


@op("tile.assert")
class Assert(Op):
    """Fault at `site` with `values` recorded (at most four) for active elements where `cond` is false."""

    effect = Effect.FAULT
    cond: Value
    site: int
    values: tuple[Value, ...]


@op("tile.print")
class Print(Op):
    effect = Effect.FAULT
    site: int
    values: tuple[Value, ...]


@op("tile.call")
class Call(Op):
    """Call another function of the module from sequential code, whole arrays by reference. `arrays`, `scalars`, `dims`
    in the order of the callee's arrays, scalars and dims.

    A spawned call may run later, in any order that the callee's effects on the elements of `arrays` allow: what it means is
    that it runs here. Its results lie in arrays, so that a load of one waits for it, and a load that only feeds another
    spawned call is a dependence. on: targets it is meant for (none: any). near: an array to run close to. objective:
    "energy", "time" or "" (as always)."""

    effect = Effect.WRITE
    callee: str
    arrays: tuple[Array, ...]
    scalars: tuple[Value, ...]
    dims: tuple[Value, ...]
    site: int
    is_spawned: bool = False
    on: tuple[str, ...] = ()
    near: Array | None = None
    priority: Value | None = None
    objective: str = ""


@op("tile.depth")
class Depth(Op):
    """How many calls of tasks stand around this one, an i64: 0 in the entry."""

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(I64),)


@op("tile.sync")
class Sync(Op):
    """Wait for all that this task has spawned. A task ends when what it spawned has ended."""

    effect = Effect.FAULT


def _verify_carried(init: tuple[Value, ...], args: tuple[Value, ...], yields: tuple[Value, ...]) -> Iterator[str]:
    if not len(init) == len(args) == len(yields):
        yield f"{len(init)} initial values, {len(args)} arguments, {len(yields)} yields"
        return
    for i, a, y in zip(init, args, yields, strict=True):
        if not i.dtype == a.dtype == y.dtype:
            yield f"carried value is {i.dtype}, {a.dtype}, {y.dtype}"
        if not (i.axes <= a.axes and y.axes <= a.axes):
            yield f"carried value {a} has axes {a.type}, but starts as {i.type} and continues as {y.type}"


__all__ = ["Assert", "Axis", "Call", "Depth", "For", "Grid", "If", "Print", "Sync", "Tiles", "While"]
