"""Opening an axis and closing it again: ranges, reductions, contractions."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from lem.ir.accumulators import Accumulator
from lem.ir.core import Axis, Op, TileType, Value, op, union_axes
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
