"""Number formats in NumPy: storage types, conversions between all of them, and FMA rounded once.

bf16, f8e4m3 and f8e5m2 have no NumPy type: they are stored as their bits in uint16 and uint8 arrays. All conversions
round once, to nearest even. f8e5m2 overflows to infinity; f8e4m3 is OCP's E4M3 (no infinities): what rounds beyond 448
becomes NaN, as in ml_dtypes' ``float8_e4m3fn``.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lem_runtime.abi.dtypes import BOOL, DType

Data = npt.NDArray[Any]

_NAMES = {
    "bool": "bool", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "u8": "uint8", "u16": "uint16",
    "u32": "uint32", "u64": "uint64", "f16": "float16", "f32": "float32", "f64": "float64",
    "bf16": "uint16", "f8e4m3": "uint8", "f8e5m2": "uint8",
}  # fmt: skip
_FIELDS = {"bf16": (8, 7), "f8e4m3": (4, 3), "f8e5m2": (5, 2)}  # bits of exponent and fraction


def storage(t: DType) -> np.dtype[Any]:
    """NumPy type that holds values of `t`."""
    if t.name not in _NAMES:
        raise ValueError(f"the interpreter does not hold {t} values")
    return np.dtype(_NAMES[t.name])


def wide(x: Data, t: DType) -> Data:
    """Values of type `t` as NumPy can compare them: bits of bf16 and f8 become float32."""
    return np.asarray(_table(t.name)[x].astype(np.float32)) if t.name in _FIELDS else x


def narrow(x: Data, t: DType) -> Data:
    """The inverse of :func:`wide`, rounding where it must."""
    if t.name in _FIELDS:
        return _encode(x.astype(np.float64), t.name)
    return np.asarray(x).astype(storage(t), copy=False)


def literal(value: int | float | bool, t: DType) -> Data:
    """A constant of type `t`, as an array without axes."""
    with np.errstate(over="ignore"):  # what is too large is inf
        return narrow(np.asarray(value, np.float64), t) if t.name in _FIELDS else np.asarray(value, storage(t))


def cast(x: Data, t: DType, to: DType) -> Data:
    """Conversion by value (LANGUAGE 26)."""
    if t == to:
        return x
    x = wide(x, t)
    if to == BOOL:
        return np.not_equal(x, 0)
    if to.is_int:
        return _to_int(x, to) if t.is_float else x.astype(storage(to))
    if to.name in _FIELDS:
        return _encode(_exact64(x), to.name)
    if to.name == "f16" and x.dtype.kind in "iu":
        return x.astype(np.float64).astype(np.float16)  # all integers that f16 tells apart are exact in f64
    return x.astype(storage(to))


def _to_int(x: Data, to: DType) -> Data:
    """Truncate, saturate, NaN gives 0. The bounds are powers of two (or 0), so exact in f64."""
    v = np.trunc(x.astype(np.float64))
    low, end = float(to.min_int), float(to.max_int + 1)
    inside = (v >= low) & (v < end)
    out = np.where(inside, v, 0.0).astype(storage(to))
    out = np.where(v >= end, np.asarray(to.max_int, storage(to)), out)
    return np.where(v < low, np.asarray(to.min_int, storage(to)), out)


def _exact64(x: Data) -> Data:
    """`x` in f64, where what does not fit is rounded to odd: rounding once more then gives what rounding once would."""
    if x.dtype.kind not in "iu" or x.dtype.itemsize < 8:
        return x.astype(np.float64)
    high, low = x >> 11, x & 0x7FF
    sticky = (high | (low != 0)).astype(np.float64) * 2048.0
    small = x < (1 << 53) if x.dtype.kind == "u" else np.abs(x.astype(np.float64)) < 2.0**53
    return np.where(small, x.astype(np.float64), sticky)


@cache
def _table(name: str) -> Data:
    """Value of every bit pattern of a format, in f64."""
    e_bits, f_bits = _FIELDS[name]
    code = np.arange(1 << (1 + e_bits + f_bits))
    fraction, exponent = code & ((1 << f_bits) - 1), (code >> f_bits) & ((1 << e_bits) - 1)
    bias = (1 << (e_bits - 1)) - 1
    value = np.ldexp((fraction + np.where(exponent > 0, 1 << f_bits, 0)).astype(np.float64),
                     np.maximum(exponent, 1) - bias - f_bits)  # fmt: skip
    top = exponent == (1 << e_bits) - 1
    if name == "f8e4m3":
        value = np.where(top & (fraction == 7), np.nan, value)
    else:
        value = np.where(top, np.where(fraction == 0, np.inf, np.nan), value)
    return np.asarray(np.where(code >> (e_bits + f_bits), -value, value))


@cache
def _midpoints(name: str) -> Data:
    """Halves between neighbours among the finite values from 0 up; the last one leads to the first code beyond."""
    values = _table(name)
    finite = values[: len(values) // 2][np.isfinite(values[: len(values) // 2])]
    beyond = 2 * finite[-1] - finite[-2]
    above = np.append(finite[1:], beyond)
    return finite + (above - finite) / 2


def _encode(x: Data, name: str) -> Data:
    """Bits of f64 values in a format without a NumPy type: the nearest value, the even code of two."""
    middle = _midpoints(name)
    size = np.abs(x)
    code = np.searchsorted(middle, size)  # number of midpoints below
    tie = (code < len(middle)) & (middle[np.minimum(code, len(middle) - 1)] == size)
    code = code + (tie & (code & 1 == 1))
    nan = 0x7F if name == "f8e4m3" else len(middle) + 1 + (1 << (_FIELDS[name][1] - 1)) - 1
    code = np.where(np.isnan(x), nan, code)  # beyond the last value stands infinity, or f8e4m3's NaN
    sign = np.signbit(x).astype(np.int64) << sum(_FIELDS[name])
    return np.asarray((code | sign).astype(_NAMES[name]))


def show(x: Any, t: DType) -> int | float | bool:
    """One stored number as a Python number."""
    value: int | float | bool = wide(np.asarray(x), t).item()
    return value


# ---------------------------------------------------------------- FMA


def fma(x: Data, y: Data, z: Data) -> Data:
    """``x * y + z`` rounded once, for f32 and f64."""
    if x.dtype == np.float32:
        product = x.astype(np.float64) * y.astype(np.float64)  # 24 + 24 bits: exact
        return np.asarray(_add_to_odd(product, z.astype(np.float64)).astype(np.float32))
    return _fma64(x, y, z)


def _two_sum(a: Data, b: Data) -> tuple[Data, Data]:
    """Knuth: a + b rounded, and the error."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _add_to_odd(a: Data, b: Data) -> Data:
    """a + b, where an inexact sum becomes the neighbour with an odd last bit (Boldo and Melquiond 2008): rounding that
    to a format with at least two bits less rounds the exact sum."""
    s, error = _two_sum(a, b)
    even = (np.asarray(s).view(np.int64) & 1) == 0
    off = (error != 0) & even & np.isfinite(s) & np.isfinite(error)
    return np.where(off, np.nextafter(s, np.where(error > 0, np.inf, -np.inf)), s)


_SPLIT = 2.0**27 + 1


def _two_product(x: Data, y: Data) -> tuple[Data, Data]:
    """Dekker: x * y rounded, and the error (Veltkamp's splitting in halves of 26 bits)."""
    p = x * y
    cx, cy = _SPLIT * x, _SPLIT * y
    xh, yh = cx - (cx - x), cy - (cy - y)
    xl, yl = x - xh, y - yh
    return p, ((xh * yh - p) + xh * yl + xl * yh) + xl * yl


def _fma64(x: Data, y: Data, z: Data) -> Data:
    """Boldo and Melquiond's FMA from error-free transformations; numbers near the ends of the range go the slow way."""
    x, y, z = np.broadcast_arrays(x, y, z)
    high, low = _two_product(x, y)
    th, tl = _two_sum(z, low)
    vh, vl = _two_sum(high, th)
    out = vh + _add_to_odd(tl, vl)
    p, plain = np.abs(x * y), np.where(np.isfinite(x) & np.isfinite(y) & ~np.isfinite(z), z, x * y + z)
    safe = (np.abs(x) < 1e290) & (np.abs(y) < 1e290) & (p < 1e290) & (p > 1e-270) & (np.abs(z) < 1e290)
    safe &= (np.abs(out) > 1e-270) & ((np.abs(z) > 1e-270) | (z == 0))
    exact = (x == 0) | (y == 0) | ~np.isfinite(x) | ~np.isfinite(y) | ~np.isfinite(z)
    out = np.where(safe, out, plain)
    for i in np.argwhere(~safe & ~exact):
        at = tuple(i)
        out[at] = _slow_fma(float(x[at]), float(y[at]), float(z[at]))
    return out


def _slow_fma(x: float, y: float, z: float) -> float:
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    if exact == 0:
        return x * y + z  # the signs of zeros follow IEEE addition; nothing is rounded
    try:
        value = float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")
    return value if value or exact > 0 else -0.0


__all__ = ["Data", "cast", "fma", "literal", "narrow", "show", "storage", "wide"]
