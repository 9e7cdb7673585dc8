"""Element by element: ops of the tile IR without effects as loop IR expressions, and accumulators likewise.

Takes an op and the expressions of its operands; gives the expression of its result. Shared by all strategies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lem import ir
from lem.ir import ops
from lem.targets.loops import build as lb
from lem.targets.loops.core import Expr
from lem_runtime.abi.dtypes import DType

_PURE: dict[type[ir.Op], Callable[[Any, Sequence[Expr]], Expr]] = {
    ops.Const: lambda o, a: lb.const(o.value, o.dtype),
    ops.Unary: lambda o, a: lb.unary(o.kind, a[0]),
    ops.Binary: lambda o, a: lb.binary(o.kind, a[0], a[1]),
    ops.Compare: lambda o, a: lb.compare(o.kind, a[0], a[1]),
    ops.Fma: lambda o, a: lb.fma(a[0], a[1], a[2], exact=o.exact),
    ops.Select: lambda o, a: lb.select(a[0], a[1], a[2]),
    ops.Cast: lambda o, a: lb.cast(a[0], o.to),
    ops.Bits: lambda o, a: lb.bits(a[0], o.to),
}
PURE_OPS = frozenset(_PURE)


def pure(op: ir.Op, operands: Sequence[Expr]) -> Expr:
    """The result of a pure elementwise op (one of ``PURE_OPS``)."""
    return _PURE[type(op)](op, operands)


def accumulate(formula: Any, names: Mapping[str, Expr], dtype: DType) -> Expr:
    """Value of an accumulator's formula (``ir/accumulators.py``). dtype: of a bare literal."""
    if isinstance(formula, str):
        return names[formula]
    if not isinstance(formula, tuple):
        return lb.const(formula, dtype)
    kind, *parts = formula
    known = next((_dtype(p, names) for p in parts if _dtype(p, names) is not None), None) or dtype
    args = [accumulate(p, names, known) for p in parts]
    if kind == "fma":
        return lb.fma(*args)
    if kind == "select":
        return lb.select(*args)
    if kind in ops.COMPARISONS:
        return lb.compare(kind, args[0], args[1])
    if kind in ops.UNARY:
        return lb.unary(kind, args[0])
    return lb.binary(kind, args[0], args[1])


def _dtype(part: Any, names: Mapping[str, Expr]) -> DType | None:
    """Type of a name; None for literals and nested formulas."""
    return names[part].type.dtype if isinstance(part, str) else None
