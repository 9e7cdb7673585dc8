"""Which dtype an operation has: the smallest common type, what widens exactly, what narrow types compute in.

Takes dtypes, gives dtypes (LANGUAGE 23, 24). Knows nothing of expressions; ``convert.py`` applies these rules to them.
"""

from __future__ import annotations

import math
import struct

from lem_runtime.abi.dtypes import BOOL, DTYPES, F64, I64, DType

# Stands for the type of what was already reported: it agrees with everything and is never shown.
ERROR = DType("<error>", "error", 0, 0, "<error>")

BOUNDS = {
    "float": tuple(t for t in DTYPES.values() if t.is_float),
    "int": tuple(t for t in DTYPES.values() if t.is_int),
    "number": tuple(t for t in DTYPES.values() if t.is_float or t.is_int),
    "any": tuple(DTYPES.values()),
}
REPRESENTATIVE = {"float": DTYPES["f32"], "int": DTYPES["i32"], "number": DTYPES["f32"], "any": DTYPES["f32"]}
ALIASES = {"int": I64, "float": F64}  # as names of types: what untyped numbers become

_INTEGERS = tuple(DTYPES[n] for n in ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"))


def dtype_named(name: str) -> DType | None:
    """The dtype a name stands for: its own name, or ``int`` and ``float``."""
    return DTYPES.get(name) or ALIASES.get(name)


def compute_type(t: DType) -> DType:
    """What arithmetic on `t` is done in."""
    return DTYPES.get(t.compute, t)


def holds(dst: DType, src: DType) -> bool:
    """Whether `dst` has every value of `src`, so that the conversion is exact."""
    if dst == src:
        return True
    if src.is_int and dst.is_int:
        return dst.min_int <= src.min_int and dst.max_int >= src.max_int
    if src.is_int and dst.is_float:
        return dst.digits >= src.digits and _range(dst) >= src.digits
    if src.is_float and dst.is_float:
        return dst.digits >= src.digits and _range(dst) >= _range(src)
    return False


def common(a: DType, b: DType) -> DType | None:
    """The smallest type that holds every value of both, for moving and choosing: narrow types stay narrow."""
    if holds(a, b):
        return a
    if holds(b, a):
        return b
    if a.is_int and b.is_int:
        return next((t for t in _INTEGERS if holds(t, a) and holds(t, b)), None)
    if a.is_float and b.is_float:
        return next((DTYPES[n] for n in ("f32", "f64") if holds(DTYPES[n], a) and holds(DTYPES[n], b)), None)
    if a.is_float or b.is_float:
        # The float side names the precision: i16 with bf16 meets in f32, i32 with f32 nowhere.
        real, whole = (a, b) if a.is_float else (b, a)
        wide = compute_type(real)
        return wide if whole.is_int and holds(wide, whole) else None
    return None


def arithmetic(a: DType, b: DType) -> DType | None:
    """The type of ``a op b``: the common type, computed wide."""
    t = common(a, b)
    if t is None or t == BOOL:
        return None
    wide = compute_type(t)
    return wide if t.is_int or t.is_float else None


def accepts_store(dst: DType, src: DType) -> bool:
    """Whether a value of `src` may be stored into `dst` without a written conversion: exact widening, or the one
    rounding of a store into a narrow float (LANGUAGE 24), of any float."""
    if holds(dst, src):
        return True
    is_narrow = dst.is_float and compute_type(dst) != dst
    return is_narrow and (src.is_float or holds(compute_type(dst), src))


def fits(value: int | float, t: DType) -> bool:
    """Whether a literal can be a `t`: integers must be in range; floats are rounded, but a finite one stays finite."""
    if t.is_int:
        return isinstance(value, int) and t.min_int <= value <= t.max_int
    if t.is_float:
        is_special = isinstance(value, float) and not math.isfinite(value)  # `math` takes no integer beyond f64
        return is_special or abs(value) <= largest(t)
    return False


def rounded(value: int | float, t: DType) -> int | float:
    """A literal as a `t` holds it. f16, bf16 and f8 stay as they are: arithmetic never sees them, a cast rounds them."""
    if t.is_int:
        return int(value)
    if t.is_float:
        try:
            real = float(value)
        except OverflowError:  # an int beyond f64; `fits` has refused it
            return math.inf
        return struct.unpack("<f", struct.pack("<f", real))[0] if t.name == "f32" and math.isfinite(real) else real
    return value


def _range(t: DType) -> int:
    """Largest binary exponent of a float type."""
    return {"f16": 16, "bf16": 128, "f8e4m3": 9, "f8e5m2": 16, "f32": 128, "f64": 1024}[t.name]


def largest(t: DType) -> float:
    """The largest finite value of a float type."""
    if t.name == "f64":
        return 1.7976931348623157e308
    if t.name == "f8e4m3":
        return 448.0
    return float((2.0 - 2.0 ** (1 - t.digits)) * 2.0 ** (_range(t) - 1))
