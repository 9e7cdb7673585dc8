"""Opening an axis, going along it, closing it again: ranges, scans, reductions, contractions."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from lem.ir.accumulators import Accumulator
from lem.ir.core import Axis, Block, Effect, Op, TileType, Value, op, union_axes
from lem_runtime.abi.dtypes import I64, DType


class Order(Enum):
    """In which order a reduction combines (LANGUAGE 30); fixed by the typed program, never by sizes or schedules."""

    ANY = "any"  # the accumulator is exact: every order gives the same result
    LANES = "lanes"  # 30b: chunks of 4,096, inside 32 interleaved partials merged as a tree; chunks merged pairwise
    CHAIN = "chain"  # 30c: chunks of 256, each one ascending chain; chunks merged pairwise


@op("tile.range")
class Range(Op):
    """Open `axis` over ``lo, lo + step, ... < hi``; the result is the index as an i64 with that axis.

    `lo` and `hi` may depend on other axes (a CSR row, a triangle): then the axis is ragged. lo >= hi is empty.
    step > 0.
    """

    axis: Axis
    lo: Value
    hi: Value
    step: int = 1

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(I64, frozenset({self.axis}) | union_axes((self.lo, self.hi))),)


@op("tile.reduce")
class Reduce(Op):
    """Combine values along one axis: ``sum(x, over=k)``.

    Axes:    each of `xs` may have `axis`; the result has their other axes.
    Numbers: in the order that `order` names; `acc` says how partial results start, step, merge and finish.
    Masks:   positions of a ragged axis outside its domain take no part. A comprehension's `if` has already become a
             choice between the value and the accumulator's neutral element.
    """

    xs: tuple[Value, ...]
    axis: Axis
    acc: Accumulator
    order: Order

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.acc.dtype, union_axes(self.xs) - {self.axis}),)

    def verify(self) -> Iterator[str]:
        if self.axis not in union_axes(self.xs):
            yield f"no operand has axis {self.axis}"
        if len(self.xs) != self.acc.inputs:
            yield f"{self.acc} takes {self.acc.inputs} values, not {len(self.xs)}"


@op("tile.scan")
class Scan(Op):
    """Running results along one axis: ``cumsum(x, over=k)``. Position after position, in ascending order (`reverse`: in
    descending order), the body makes the next state of the last one and of the operands there; a result is the state after
    its position.

    Axes:    the body's arguments are the states, which have all axes of the results but `axis`, and the operands at one
             position. What it yields are the next states.
    Numbers: one chain, always in this order.
    Masks:   positions of a ragged axis outside its domain take no part.
    """

    effect = Effect.CONTROL
    xs: tuple[Value, ...]
    axis: Axis
    init: tuple[Value, ...]
    reverse: bool
    body: Block

    def result_types(self) -> tuple[TileType, ...]:
        return tuple(TileType(v.dtype, v.axes | {self.axis}) for v in self.body.args[: len(self.init)])

    def verify(self) -> Iterator[str]:
        n, yields = len(self.init), self.body.yields
        if not n or len(self.body.args) != n + len(self.xs) or len(yields) != n:
            yield f"{n} states and {len(self.xs)} operands, {len(self.body.args)} arguments and {len(yields)} yields"
            return
        if self.axis not in union_axes(self.xs):
            yield f"no operand has axis {self.axis}"
        axes = union_axes((*self.init, *self.xs, *yields)) - {self.axis}
        for s, i, y in zip(self.body.args, self.init, yields, strict=False):
            if not s.dtype == i.dtype == y.dtype:
                yield f"state is {i.dtype}, {s.dtype}, {y.dtype}"
            if self.axis in i.axes | s.axes | y.axes or not axes <= s.axes:
                yield f"state {s} is {s.type}, but starts as {i.type} and goes on as {y.type}"
        for a, x in zip(self.body.args[n:], self.xs, strict=True):
            if a.type != TileType(x.dtype, x.axes - {self.axis}):
                yield f"operand {x} is {x.type}, and {a.type} at one position"


@op("tile.contract")
class Contract(Op):
    """A sum of products over `axis` in which `x` and `y` each have a free axis that the other lacks (30a): chunks of
    256 from the start of the axis, each one ascending chain of FMAs from zero, added ascending. The one canonical form
    of matrix products, whatever way they were written: what is folded into x and y stands before it, the epilogue
    after. Integers: the same sum, wrapping."""

    x: Value
    y: Value
    axis: Axis
    dtype: DType

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.dtype, union_axes((self.x, self.y)) - {self.axis}),)

    def verify(self) -> Iterator[str]:
        if self.axis not in self.x.axes or self.axis not in self.y.axes:
            yield f"both operands need axis {self.axis}"
        if self.x.dtype != self.dtype or self.y.dtype != self.dtype:
            yield f"operands are {self.x.dtype} and {self.y.dtype}, result {self.dtype}"
