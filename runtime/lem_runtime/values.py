"""Element types of arrays and single values, between NumPy and lem.

Takes dtype names of ``abi/dtypes.py``; gives NumPy dtypes, the bytes of a scalar argument, and a scalar from bytes.
NumPy has no bf16 or f8: such arrays are held as u16 and u8, and the types of ml_dtypes are known by their names, so
that this module need not import that package.
"""

from __future__ import annotations

import functools
import math
import struct
from typing import Any, Final

import numpy as np

from lem_runtime.abi.dtypes import DTYPES, DType
from lem_runtime.abi.signature import Scalar

_NUMPY: Final = {
    "bool": "bool", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "f16": "float16", "f32": "float32", "f64": "float64",
    "bf16": "uint16", "f8e4m3": "uint8", "f8e5m2": "uint8", "pal8": "uint8", "pal16": "uint16",
}  # fmt: skip
_ML: Final = {"bf16": "bfloat16", "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2"}
_LEM: Final = {numpy: lem for lem, numpy in (*reversed(_NUMPY.items()), *_ML.items())}
_STRUCT: Final = {
    "bool": "?", "i8": "b", "i16": "h", "i32": "i", "i64": "q", "u8": "B", "u16": "H", "u32": "I", "u64": "Q",
    "f16": "e", "f32": "f", "f64": "d",
}  # fmt: skip


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype that holds a lem dtype."""
    return np.dtype(_NUMPY[name])


def lem_dtype(dtype: np.dtype[Any]) -> str | None:
    """The lem dtype of a NumPy dtype (plain ones and those of ml_dtypes), None when there is none."""
    return _LEM.get(dtype.name)


def holds(dtype: np.dtype[Any], name: str) -> bool:
    """Can an array of `dtype` be passed where lem's `name` is expected? (u16 holds bf16, and so on.)"""
    return _LEM.get(dtype.name) == name or dtype.name == _NUMPY[name]


def conversion(text: str, dtype: np.dtype[Any], name: str) -> tuple[str, str]:
    """An expression that makes lem's `name` of `text`, an array of `dtype`, and what it takes the elements for; ("", why)
    where none does."""
    to = f".astype({_NUMPY[name]!r})"
    if name in _ML:  # as a number: the one in `_NUMPY` holds its bits
        to = f".astype(ml_dtypes.{_ML[name]})"
    match dtype.kind:
        case "U" | "S" | "T":
            return f"np.unique({text}, return_inverse=True)[1]{to}", "text is no number; this numbers the different ones"
        case "M":
            return f"(({text} - np.datetime64('2000-01-01')) / np.timedelta64(1, 'D')){to}", "days since a day"
        case "m":
            return f"({text} / np.timedelta64(1, 's')){to}", "a length of time in seconds"
        case "c":
            return f"{text}.real{to}", "the imaginary part is another array: `.imag`"
        case "O" | "V":
            return "", "make an array of numbers of it"
    return f"{text}{to}", f"`ml_dtypes` is a package; {_NUMPY[name]} arrays hold the bits" if name in _ML else ""


def numbers_of(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """The elements of an array of lem's dtype `name` as numbers that NumPy can count with: bf16 and f8 become f32."""
    if name == "bf16":
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    if name in ("f8e4m3", "f8e5m2"):
        return np.take(np.array(_f8_values(name), np.float32), array.view(np.uint8))
    return array


def encode(value: Scalar, name: str) -> bytes:
    """A scalar in 8 bytes, zero-extended. Raises OverflowError or TypeError when it is none of that type."""
    t = DTYPES[name]
    if t.is_bool:
        if not isinstance(value, bool):
            raise TypeError
        return struct.pack("<?7x", value)
    if isinstance(value, bool) or not isinstance(value, int if t.is_int else (int, float)):
        raise TypeError
    if t.is_int:
        if not t.min_int <= value <= t.max_int:
            raise OverflowError
        return struct.pack(f"<{_STRUCT[name]}", value).ljust(8, b"\0")
    return _encode_float(float(value), t).ljust(8, b"\0")


def decode(raw: bytes, name: str) -> Scalar:
    """The scalar in the first bytes of `raw`."""
    t = DTYPES[name]
    if name in _STRUCT:
        value: Scalar = struct.unpack_from(f"<{_STRUCT[name]}", raw)[0]
        return value
    if name == "bf16":
        return float(struct.unpack("<f", b"\0\0" + raw[:2])[0])
    if name in ("f8e4m3", "f8e5m2"):
        return _f8_values(name)[raw[0]]
    return int.from_bytes(raw[: t.size_bytes], "little")


def rounded(value: Scalar, name: str) -> Scalar:
    """What a scalar of that type holds for `value`. Raises as :func:`encode`."""
    return decode(encode(value, name), name)


def _encode_float(x: float, t: DType) -> bytes:
    if t.name in ("f16", "f32", "f64"):
        try:
            return struct.pack(f"<{_STRUCT[t.name]}", x)
        except OverflowError:  # beyond the largest: infinity, as rounding to nearest says
            return struct.pack(f"<{_STRUCT[t.name]}", math.copysign(math.inf, x))
    if t.name == "bf16":
        return _bf16(x)
    if t.name in ("f8e4m3", "f8e5m2"):
        return bytes([_nearest_f8(x, t.name)])
    raise TypeError


def _bf16(x: float) -> bytes:
    """Rounded once, to nearest even: the integer of f64 is cut at bf16's last bit (f32 between would round twice)."""
    if x != x:
        return b"\xc0\x7f"
    if x == 0 or math.isinf(x):
        return struct.pack("<f", x)[2:]
    exponent = max(math.frexp(x)[1] - 8, -133)  # weight of the last bit; -133 for subnormals
    rounded = round(math.ldexp(x, -exponent))
    try:
        return struct.pack("<f", math.ldexp(rounded, exponent))[2:]
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, x))[2:]


@functools.cache
def _f8_values(name: str) -> tuple[float, ...]:
    """Value of each byte (OCP 8-bit floating point, OFP8): e4m3 has no infinities, e5m2 is IEEE."""
    n_mantissa = 3 if name == "f8e4m3" else 2
    bias, top = (7, 15) if name == "f8e4m3" else (15, 31)
    out = []
    for byte in range(256):
        sign = -1.0 if byte & 0x80 else 1.0
        exponent, mantissa = (byte & 0x7F) >> n_mantissa, byte & ((1 << n_mantissa) - 1)
        if exponent == top and name == "f8e5m2":
            value = math.nan if mantissa else math.inf
        elif exponent == top and mantissa == 7:
            value = math.nan
        elif exponent:
            value = math.ldexp(1 + mantissa / (1 << n_mantissa), exponent - bias)
        else:
            value = math.ldexp(mantissa / (1 << n_mantissa), 1 - bias)
        out.append(sign * value)
    return tuple(out)


def _nearest_f8(x: float, name: str) -> int:
    """Nearest byte, ties to even; beyond the largest: nan for e4m3, infinity for e5m2 (LANGUAGE 24)."""
    values = _f8_values(name)
    sign = 0x80 if math.copysign(1.0, x) < 0 else 0
    if x != x:
        return sign | 0x7F
    finite = [b for b in range(128) if math.isfinite(values[b])]
    largest = values[finite[-1]]
    step = largest - values[finite[-2]]
    if abs(x) > largest + step / 2 or (abs(x) == largest + step / 2 and finite[-1] & 1):
        return sign | (0x7F if name == "f8e4m3" else 0x7C)
    return sign | min(finite, key=lambda b: (abs(values[b] - abs(x)), b & 1))
