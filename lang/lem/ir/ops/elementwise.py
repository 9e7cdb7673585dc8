"""Numbers: constants, sizes, scalar parameters, and everything that is done element by element.

All are pure. The result has the union of the operands' axes. Operands have the same dtype unless an op says otherwise:
``lower`` has made conversions explicit. f16, bf16, f8 never meet arithmetic (they are cast to f32 before); i8, i16, u8,
u16 neither (cast to i32).
"""

from __future__ import annotations

from collections.abc import Iterator

from lem.ir.core import Op, TileType, Value, op, union_axes
from lem_runtime.abi.dtypes import BOOL, I64, DType

# add sub mul: floats round once, integers wrap. div: floats only. floordiv, mod: floor, floats too; integer divisors
# are asserted non-zero by a separate Assert before. pow: floats as C pow is a library fn; integer powers are expanded.
# max, min: NaN propagates. and or xor: bools and integers. shl, shr: counts >= width give 0 (-1 for negative values
# of shr); counts are asserted non-negative before. copysign: floats.
ARITHMETIC = ("add", "sub", "mul", "div", "floordiv", "mod", "max", "min", "and", "or", "xor", "shl", "shr", "copysign")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")  # ordered: NaN compares false, except ne
# neg, abs: integers wrap. not: bools and integers (bitwise). sqrt floor ceil trunc round: floats, round to nearest
# even. isnan, isinf: floats to bool. rsqrt etc. are library functions.
UNARY = ("neg", "abs", "not", "sqrt", "floor", "ceil", "trunc", "round", "isnan", "isinf")


@op("tile.const")
class Const(Op):
    """A literal of type `dtype`: int, float (inf and nan allowed) or bool; floats are already rounded to `dtype`."""

    value: int | float | bool
    dtype: DType

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.dtype),)


@op("tile.dim")
class Dim(Op):
    """Size of a dimension of the function, an i64."""

    name: str

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(I64),)


@op("tile.target_is")
class TargetIs(Op):
    """Whether code is made for one of these targets: a bool that ``passes.choose_target`` knows."""

    targets: tuple[str, ...]

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(BOOL),)


@op("tile.scalar")
class Scalar(Op):
    """A scalar parameter."""

    name: str
    dtype: DType

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.dtype),)


@op("tile.unary")
class Unary(Op):
    kind: str
    x: Value

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(BOOL if self.kind in ("isnan", "isinf") else self.x.dtype, self.x.axes),)

    def verify(self) -> Iterator[str]:
        if self.kind not in UNARY:
            yield f"unknown unary op {self.kind}"
        if self.kind in ("sqrt", "floor", "ceil", "trunc", "round", "isnan", "isinf") and not self.x.dtype.is_float:
            yield f"{self.kind} takes floats, not {self.x.dtype}"


@op("tile.binary")
class Binary(Op):
    kind: str
    x: Value
    y: Value

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.x.dtype, union_axes((self.x, self.y))),)

    def verify(self) -> Iterator[str]:
        if self.kind not in ARITHMETIC:
            yield f"unknown binary op {self.kind}"
        if self.x.dtype != self.y.dtype:
            yield f"operands are {self.x.dtype} and {self.y.dtype}"
        if self.kind in ("div", "copysign") and not self.x.dtype.is_float:
            yield f"{self.kind} takes floats, not {self.x.dtype}"


@op("tile.compare")
class Compare(Op):
    kind: str
    x: Value
    y: Value

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(BOOL, union_axes((self.x, self.y))),)

    def verify(self) -> Iterator[str]:
        if self.kind not in COMPARISONS:
            yield f"unknown comparison {self.kind}"
        if self.x.dtype != self.y.dtype:
            yield f"operands are {self.x.dtype} and {self.y.dtype}"


@op("tile.fma")
class Fma(Op):
    """``x * y + z`` rounded once; floats (f32, f64). exact: the program says so, not the compiler, so it holds on a
    processor without FMA too."""

    x: Value
    y: Value
    z: Value
    exact: bool = False

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.x.dtype, union_axes((self.x, self.y, self.z))),)


@op("tile.select")
class Select(Op):
    """``where(cond, x, y)``: both sides are evaluated."""

    cond: Value
    x: Value
    y: Value

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.x.dtype, union_axes((self.cond, self.x, self.y))),)

    def verify(self) -> Iterator[str]:
        if self.cond.dtype != BOOL:
            yield f"condition is {self.cond.dtype}"
        if self.x.dtype != self.y.dtype:
            yield f"sides are {self.x.dtype} and {self.y.dtype}"


@op("tile.cast")
class Cast(Op):
    """Conversion by value (LANGUAGE 26): float to integer truncates, saturates, NaN gives 0; integer to integer wraps;
    to float rounds to nearest even; bool to number 0 or 1; number to bool: != 0."""

    x: Value
    to: DType

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.to, self.x.axes),)


@op("tile.bits")
class Bits(Op):
    """The same bits read as another type of the same width."""

    x: Value
    to: DType

    def result_types(self) -> tuple[TileType, ...]:
        return (TileType(self.to, self.x.axes),)

    def verify(self) -> Iterator[str]:
        if self.x.dtype.bits != self.to.bits:
            yield f"{self.x.dtype} and {self.to} differ in width"
