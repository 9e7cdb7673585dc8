"""How LLVM's text spells loop IR's types and literals."""

from __future__ import annotations

import math
import struct

from lem.targets.loops import narrow
from lem.targets.loops.core import VType
from lem_runtime.abi.dtypes import F32, F64, DType

_SCALARS = {"bool": "i1", "f32": "float", "f64": "double", "f16": "i16", "bf16": "i16", "f8e4m3": "i8", "f8e5m2": "i8"}


def llvm_scalar(t: DType) -> str:
    """LLVM type of one value in a register. Narrow floats are their bits."""
    return _SCALARS.get(t.name) or f"i{t.bits}"


def llvm_memory(t: DType) -> str:
    """LLVM type of one element in memory."""
    return "i8" if t.is_bool else llvm_scalar(t)


def llvm_type(t: VType) -> str:
    scalar = llvm_scalar(t.dtype)
    return f"<{t.lanes} x {scalar}>" if t.lanes else scalar


def suffix(t: VType) -> str:
    """How intrinsic names spell a type: v8f32."""
    letter = "f" if t.dtype in (F32, F64) else "i"
    bits = 1 if t.dtype.is_bool else t.dtype.bits
    return f"v{t.lanes}{letter}{bits}" if t.lanes else f"{letter}{bits}"


def literal(value: int | float | bool, t: DType) -> str:
    """Text of a scalar constant."""
    if t.is_bool:
        return "true" if value else "false"
    if narrow.is_narrow(t):
        return str(narrow.bits_of(float(value), t))
    if t.is_float:
        number = float(value)
        if t == F32 and math.isfinite(number):
            number = struct.unpack("<f", struct.pack("<f", number))[0]
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    wrapped = int(value) & ((1 << t.bits) - 1)
    return str(wrapped - (1 << t.bits) if t.is_signed and wrapped >> (t.bits - 1) else wrapped)
