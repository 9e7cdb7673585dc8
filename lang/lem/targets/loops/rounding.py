"""Rounding of floats to whole numbers where the processor has no instruction for it (x86 before SSE4.1).

Takes and gives loop IR expressions. Adding and subtracting 2^23 (2^52) rounds to nearest even; the other directions are
one step away. Larger numbers are whole already, and NaN stays.
"""

from __future__ import annotations

from lem.targets.loops import build as lb
from lem.targets.loops.core import Expr
from lem.targets.loops.narrow import Let
from lem_runtime.abi.dtypes import F32


def rounded(kind: str, x: Expr, let: Let) -> Expr:
    """floor, ceil, trunc or round (to nearest even) of an f32 or f64."""
    t = x.type.dtype
    limit = lb.const(2.0**23 if t == F32 else 2.0**52, t)
    one = lb.const(1.0, t)
    size = let(lb.unary("abs", x))
    near = let(lb.sub(lb.add(size, limit), limit))
    if kind == "trunc":
        near = let(lb.select(lb.compare("gt", near, size), lb.sub(near, one), near))
    signed = let(lb.binary("copysign", near, x))
    if kind == "floor":
        signed = let(lb.select(lb.compare("gt", signed, x), lb.sub(signed, one), signed))
    if kind == "ceil":
        signed = let(lb.select(lb.compare("lt", signed, x), lb.add(signed, one), signed))
    whole = lb.binary("copysign", signed, x)
    return lb.select(lb.compare("lt", size, limit), whole, x)
