"""``x ** y``: powers with a small literal exponent become multiplications, all others call the library's ``pow``.

Takes the two operands; gives a typed expression. The operand of a power is evaluated once: the multiplications stand in
an fn of their own, which is inlined like any other.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0317
from lem.source import Span
from lem.types import fns, numbers, typed
from lem.types.context import Ctx
from lem.types.convert import Literal, agree, cast, const, error, loosen, settle
from lem_runtime.abi.dtypes import DType

LARGEST_EXPANDED = 64  # beyond it a chain of multiplications is neither fast nor exact


def power(ctx: Ctx, span: Span, x: typed.Expr, y: typed.Expr) -> typed.Expr:
    """``x ** y``."""
    for side in (x, y):
        if not (side.type.dtype.is_int or side.type.dtype.is_float):
            ctx.diags.error(E0317, side.span, f"`**` does not take {side.type.dtype}")
            return error(span)
    whole = y.value if isinstance(y, Literal) and isinstance(y.value, int) else None
    if whole is not None and 0 <= whole <= LARGEST_EXPANDED:
        return loosen(_expanded(ctx, span, x, whole), x, y)
    if x.type.dtype.is_int and y.type.dtype.is_int:
        ctx.diags.error(
            E0317, span, "`**` of two integers needs a literal exponent from 0 to 64",
            help=f"convert both: `f32({x.span.text}) ** f32({y.span.text})`, or multiply in a loop",
        )  # fmt: skip
        return error(span)
    both = agree(ctx.diags, span, x, y, "`**`", wide=True)
    return error(span) if both is None else fns.call_library(ctx, span, "math", "pow", both[:2])


def _expanded(ctx: Ctx, span: Span, x: typed.Expr, exponent: int) -> typed.Expr:
    dtype = numbers.compute_type(x.type.dtype)
    base = cast(settle(x), dtype)
    if exponent == 0:
        return const(span, 1, dtype)
    if exponent == 1:
        return base
    key = ("pow", dtype, exponent)
    fn = ctx.session.fns.get(key)
    if fn is None:
        fn = ctx.session.fns[key] = _make_fn(span, dtype, exponent)
    return typed.CallFn(span, typed.ValueType(dtype, base.type.axes), fn, (base,))


def _make_fn(span: Span, dtype: DType, exponent: int) -> typed.FnInstance:
    """Square and multiply, from the exponent's highest bit down."""
    ty = typed.ValueType(dtype)
    x = typed.LocalVar("x", ty, span)
    r = typed.LocalVar("r", ty, span)
    read_x, read_r = typed.LocalRef(span, ty, x), typed.LocalRef(span, ty, r)
    body: list[typed.Stmt] = [typed.SetLocal(span, r, read_x)]
    for bit in bin(exponent)[3:]:
        body.append(typed.SetLocal(span, r, typed.Binary(span, ty, "mul", read_r, read_r)))
        if bit == "1":
            body.append(typed.SetLocal(span, r, typed.Binary(span, ty, "mul", read_r, read_x)))
    body.append(typed.Return(span, (read_r,)))
    return typed.FnInstance(f"pow{exponent}", (x,), (ty,), tuple(body), span)
