"""Narrow floats (f16, bf16, f8) to and from f32 and f64 as integer code, rounded once to nearest even.

Takes and gives loop IR expressions; ``let`` names what is used twice. Used by every target whose hardware lacks a
conversion: calls into a compiler's runtime library (``__truncsfbf2``) are not available everywhere. The method (magic
addition for subnormal results, exponent shift by multiplication the other way) is F. Giesen's "Half to float done
quick" (2012).

f8e4m3 has no infinity: overflow gives NaN (OCP 8-bit floating point specification, 2023, without saturation).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from lem.targets.loops import build as lb
from lem.targets.loops.core import Expr
from lem_runtime.abi.dtypes import BF16, F32, F64, I32, I64, DType
from lem_runtime.abi.records import dataclass

Let = Callable[[Expr], Expr]


@dataclass(frozen=True, slots=True)
class Format:
    """Bits of mantissa and exponent of a narrow float; codes of infinity (what overflow gives) and NaN, sign apart."""

    mantissa: int
    exponent: int
    infinity: int
    nan: int

    @property
    def bias(self) -> int:
        return (1 << (self.exponent - 1)) - 1


FORMATS = {
    "f16": Format(10, 5, 0x7C00, 0x7E00),
    "bf16": Format(7, 8, 0x7F80, 0x7FC0),
    "f8e4m3": Format(3, 4, 0x7F, 0x7F),
    "f8e5m2": Format(2, 5, 0x7C, 0x7E),
}


def is_narrow(t: DType) -> bool:
    """Does this float only move, compare and convert?"""
    return t.name in FORMATS


def bits_of(value: float, t: DType) -> int:
    """The code of a literal, rounded to nearest even."""
    f = FORMATS[t.name]
    sign = (1 << (t.bits - 1)) if math.copysign(1.0, value) < 0 else 0
    if math.isnan(value):
        return f.nan
    if math.isinf(value):
        return sign | f.infinity
    size = abs(value)
    if size == 0.0:
        return sign
    exponent = max(math.frexp(size)[1] - 1, 1 - f.bias)
    scaled = round(math.ldexp(size, f.mantissa - exponent))  # below 2^mantissa: subnormal
    return sign | min(scaled + ((exponent + f.bias - 1) << f.mantissa), f.infinity)


def widen(x: Expr, code: Expr, let: Let) -> Expr:
    """f32 of a narrow float `x`; `code` holds its bits, zero-extended to i32."""
    t, f = x.type.dtype, FORMATS[x.type.dtype.name]
    shift = 23 - f.mantissa
    if t == BF16:
        return lb.bits(lb.binary("shl", code, _c(16)), F32)
    size = let(lb.and_(code, _c((1 << (t.bits - 1)) - 1)))
    sign = lb.binary("shl", lb.and_(code, _c(1 << (t.bits - 1))), _c(32 - t.bits))
    scaled = lb.mul(lb.bits(lb.binary("shl", size, _c(shift)), F32), lb.const(2.0 ** (127 - f.bias), F32))
    special = lb.compare("ge", size, _c(f.infinity))
    inf = lb.or_(lb.binary("shl", size, _c(shift)), _c(0x7F800000))
    wide = lb.select(special, inf, lb.bits(scaled, I32))
    return lb.bits(lb.or_(wide, sign), F32)


def narrow(x: Expr, t: DType, let: Let) -> Expr:
    """Code (in the low bits of an i32) of an f32 rounded to `t`."""
    f = FORMATS[t.name]
    raw = let(lb.bits(x, I32))
    size = let(lb.and_(raw, _c(0x7FFFFFFF)))
    sign = lb.binary("shr", lb.and_(raw, _c(-(1 << 31))), _c(32 - t.bits))
    sign = lb.and_(sign, _c(1 << (t.bits - 1)))
    shift = 23 - f.mantissa
    rebased = let(lb.sub(size, _c((127 - f.bias) << 23)))
    odd = lb.and_(lb.binary("shr", rebased, _c(shift)), _c(1))
    normal = let(lb.binary("shr", lb.add(lb.add(rebased, _c((1 << (shift - 1)) - 1)), odd), _c(shift)))
    code: Expr = lb.select(lb.compare("ge", normal, _c(f.infinity)), _c(f.infinity), normal)
    if t != BF16:  # bf16 has f32's exponents: its subnormals round like all others
        magic = (127 - f.bias + shift + 1) << 23
        tiny = lb.add(lb.bits(size, F32), lb.bits(_c(magic), F32))
        small = lb.sub(lb.bits(tiny, I32), _c(magic))
        code = lb.select(lb.compare("lt", size, _c((127 - f.bias + 1) << 23)), small, code)
    code = lb.select(lb.compare("gt", size, _c(0x7F800000)), _c(f.nan), code)
    return lb.or_(code, sign)


def to_odd(x: Expr, let: Let) -> Expr:
    """f64 to f32 rounded to odd: a second rounding to a narrower format then gives what one rounding would."""
    near = let(lb.cast(x, F32))
    back = let(lb.cast(near, F64))
    raw = let(lb.bits(near, I32))
    even = lb.compare("eq", lb.and_(raw, _c(1)), _c(0))
    move = lb.and_(let(lb.compare("ne", back, x)), lb.and_(even, lb.compare("eq", x, x)))
    up = lb.compare("lt", lb.unary("abs", back), lb.unary("abs", x))
    step = lb.select(up, _c(1), _c(-1))
    return lb.bits(lb.select(move, lb.add(raw, step), raw), F32)


def int_to_f64_odd(x: Expr, let: Let) -> Expr:
    """i64 (or u64, read as such) to f64 such that a later rounding to a narrow format is right."""
    t = x.type.dtype
    eleven = lb.const(11, t)
    high = lb.binary("shr", x, eleven)
    low = lb.and_(x, lb.const(0x7FF, t))
    sticky = lb.or_(high, lb.cast(lb.compare("ne", low, lb.const(0, t)), t))
    folded = lb.binary("shl", sticky, eleven)
    limit = lb.const(1 << 53, t)
    big = lb.compare("gt", x, limit)
    if t == I64:
        big = lb.or_(big, lb.compare("lt", x, lb.const(-(1 << 53), t)))
    return lb.cast(lb.select(let(big), folded, x), F64)


def _c(value: int) -> Expr:
    return lb.const(value, I32)
