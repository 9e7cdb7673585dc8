"""Arithmetic on NumPy arrays by the name of its op, for ``tile.unary``, ``tile.binary``, ``tile.compare`` and
accumulators alike. Arrays hold what ``formats.wide`` gives; inactive elements may hold anything, nothing faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lem.ir.accumulators import Expr
from lem.ir.interpreter.formats import Data, fma


def _shl(x: Data, y: Data) -> Data:
    bits = x.dtype.itemsize * 8
    return np.asarray(np.where((y >= bits) | (y < 0), x.dtype.type(0), x << np.clip(y, 0, bits - 1)))


def _shr(x: Data, y: Data) -> Data:
    bits = x.dtype.itemsize * 8
    far = x >> (bits - 1) if x.dtype.kind == "i" else x.dtype.type(0)  # -1 for negative values
    return np.where((y >= bits) | (y < 0), far, x >> np.clip(y, 0, bits - 1))


UNARY: Mapping[str, Callable[[Data], Data]] = {
    "neg": np.negative,
    "abs": np.abs,
    "not": np.invert,  # logical for bools, bitwise for integers
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "isnan": np.isnan,
    "isinf": np.isinf,
}

BINARY: Mapping[str, Callable[[Data, Data], Data]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "floordiv": np.floor_divide,  # floats: as Python's, from the exact remainder
    "mod": np.mod,
    "max": np.maximum,
    "min": np.minimum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": _shl,
    "shr": _shr,
    "copysign": np.copysign,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def evaluate(expr: Expr, names: Mapping[str, Data]) -> Data:
    """Value of an accumulator's expression. Literals take the other operand's type."""
    if isinstance(expr, str):
        return names[expr]
    if not isinstance(expr, tuple):
        return expr  # type: ignore[no-any-return]  # a Python number, which NumPy converts
    kind, args = expr[0], [evaluate(e, names) for e in expr[1:]]
    if kind == "fma":
        return fma(*args)
    if kind == "select":
        return np.where(*args)
    return UNARY[kind](*args) if len(args) == 1 else BINARY[kind](*args)
