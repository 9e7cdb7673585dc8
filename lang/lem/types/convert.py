"""Conversions of typed expressions: literals that take the type of what they meet, exact widening, agreeing on a type.

Takes typed expressions, gives typed expressions with explicit casts (LANGUAGE 23, 24), or reports why there is none.
The rules about dtypes alone stand in ``numbers.py``.
"""

from __future__ import annotations

import math

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0301, E0302, E0303, E0309
from lem.source import Span
from lem.types import numbers, typed
from lem.types.numbers import ERROR
from lem_runtime.abi.dtypes import BOOL, F64, I64, DType
from lem_runtime.abi.records import dataclass

CONSTANTS = {"inf": math.inf, "nan": math.nan, "pi": math.pi}  # always there (LANGUAGE 35)
NO_AXES: frozenset[typed.ValueAxis] = frozenset()


@dataclass(eq=False, slots=True)
class Literal(typed.Const):
    """A number as written, or a constant: it takes the type of the other side. Never leaves the checker as such: its
    dtype is i64 or f64, which is what it becomes when nothing asks for another."""


@dataclass(eq=False, slots=True)
class Adaptable(typed.Cast):
    """An expression of literals and dimensions, or a local that only literals were assigned: takes the type of the
    other side. `x` is the expression itself; :func:`settle` unwraps it."""


def literal(span: Span, value: int | float) -> typed.Expr:
    """A literal; an integer beyond i64 is kept and reported when its type is known."""
    return Literal(span, typed.ValueType(I64 if isinstance(value, int) else F64), value)


def const(span: Span, value: int | float | bool, dtype: DType) -> typed.Const:
    return typed.Const(span, typed.ValueType(dtype), value)


def error(span: Span) -> typed.Expr:
    """What stands for an expression that was reported: it absorbs all that follows."""
    return typed.Const(span, typed.ValueType(ERROR), 0)


def is_error(*exprs: typed.Expr) -> bool:
    return any(e.type.dtype is ERROR for e in exprs)


def axes_of(*exprs: typed.Expr) -> frozenset[typed.ValueAxis]:
    return NO_AXES.union(*(e.type.axes for e in exprs))


def with_axes(dtype: DType, *exprs: typed.Expr) -> typed.ValueType:
    """Type of an elementwise result: `dtype`, with all axes of the operands."""
    return typed.ValueType(dtype, axes_of(*exprs))


def adapts(e: typed.Expr) -> bool:
    """Whether `e` takes the type of the other side."""
    return isinstance(e, Literal | Adaptable)


def settle(e: typed.Expr) -> typed.Expr:
    """`e` with its own type: what an adaptable expression is when nothing asks for another."""
    if isinstance(e, Adaptable):
        return e.x
    if isinstance(e, Literal):
        return typed.Const(e.span, e.type, e.value)
    return e


def cast(e: typed.Expr, dtype: DType) -> typed.Expr:
    """A written or exact conversion: always possible."""
    e = settle(e)
    if e.type.dtype == dtype or is_error(e):
        return e
    return typed.Cast(e.span, typed.ValueType(dtype, e.type.axes), e)


def adapt(
    diags: Diagnostics, e: typed.Expr, dtype: DType, because: str = "", also: tuple[Span, str] | None = None
) -> typed.Expr:
    """An adaptable expression as a `dtype`; E0303 when it does not fit, E0301 when it never could."""
    assert adapts(e)
    if dtype is ERROR:
        return error(e.span)
    other = [also] if also else []
    if isinstance(dtype, typed.StructType):
        diags.error(E0301, e.span, f"expected {_described(dtype)}, found a number{because}", also=other)
        return error(e.span)
    if isinstance(e, Literal):
        value = e.value
        if dtype.is_bool or (dtype.is_int and isinstance(value, float)):
            diags.error(
                E0301, e.span, f"expected {dtype}, found a {'float' if isinstance(value, float) else 'number'}{because}",
                also=other, help=_help_literal(e, dtype),
            )  # fmt: skip
            return error(e.span)
        if not numbers.fits(value, dtype):
            limits = f"{dtype.min_int} to {dtype.max_int}" if dtype.is_int else f"up to {numbers.largest(dtype):g}"
            diags.error(E0303, e.span, f"`{e.span.text}` is not {_article(dtype)} {dtype} ({limits})", also=other)
            return error(e.span)
        return typed.Const(e.span, typed.ValueType(dtype, e.type.axes), numbers.rounded(value, dtype))
    if dtype.is_bool or (dtype.is_int and e.type.dtype.is_float):
        diags.error(E0301, e.span, f"expected {dtype}, found {e.type.dtype}{because}", also=other)
        return error(e.span)
    return cast(e, dtype)


def coerce(
    diags: Diagnostics, e: typed.Expr, dtype: DType, because: str = "", also: tuple[Span, str] | None = None
) -> typed.Expr:
    """`e` as a `dtype` for a place that has that type: literals adapt, exact widening is silent, the rest is reported
    (E0301, E0309). `because` ends the label: "for `y`, which is f32"."""
    have = e.type.dtype
    if is_error(e) or dtype is ERROR:
        return error(e.span)
    if adapts(e):
        return adapt(diags, e, dtype, because, also)
    if have == dtype:
        return e
    if numbers.accepts_store(dtype, have):
        return cast(e, dtype)
    other = [also] if also else []
    if isinstance(have, typed.StructType) or isinstance(dtype, typed.StructType):
        diags.error(E0301, e.span, f"expected {_described(dtype)}, found {_described(have)}{because}", also=other)
    elif BOOL in (have, dtype):
        how = f"`{e.span.text} != 0`" if dtype == BOOL else f"`{dtype}({_short(e)})`"
        diags.error(E0301, e.span, f"expected {dtype}, found {have}{because}", also=other, help=f"write {how}")
    else:
        diags.error(
            E0309, e.span, f"this is {have}, and {dtype} cannot hold all of its values{because}", also=other,
            help=f"write `{dtype}({_short(_before_conversion(e))})`",
        )  # fmt: skip
    return error(e.span)


def _before_conversion(e: typed.Expr) -> typed.Expr:
    """What a written `int(x)` converts: another conversion takes its place."""
    is_written = isinstance(e, typed.Cast) and e.x.span != e.span and e.span.text.endswith(")")
    return e.x if is_written and isinstance(e, typed.Cast) else e


def agree(
    diags: Diagnostics, span: Span, a: typed.Expr, b: typed.Expr, what: str = "", wide: bool = False
) -> tuple[typed.Expr, typed.Expr, DType] | None:
    """Both sides as one type: the common one, or with `wide` the one that arithmetic is done in. None when reported."""
    if is_error(a, b):
        return None
    dtype = common_type(a, b, wide)
    ta, tb = a.type.dtype, b.type.dtype
    if dtype is None and (isinstance(ta, typed.StructType) or isinstance(tb, typed.StructType)):
        also = [(a.span, f"this is {_described(ta)}"), (b.span, f"this is {_described(tb)}")]
        diags.error(E0302, span, f"{what or 'the two sides'}: a struct agrees with its own kind alone", also=also)
        return None
    if dtype is None:
        target = ta if ta.is_float and not tb.is_float else tb if tb.is_float else I64
        side = b if target == ta else a
        diags.error(
            E0302, span, f"{what or 'the two sides'}: {ta} and {tb} have no common type",
            also=[(a.span, f"this is {ta}"), (b.span, f"this is {tb}")],
            help=f"convert one of them, for example `{target}({_short(side)})`",
        )  # fmt: skip
        return None
    x = _meet(diags, a, b, dtype)
    y = _meet(diags, b, a, dtype)
    return None if is_error(x, y) else (x, y, dtype)


def _meet(diags: Diagnostics, e: typed.Expr, other: typed.Expr, dtype: DType) -> typed.Expr:
    """`e` as `dtype`, where a literal has to fit the type of the other side even if both are then computed wide."""
    if not adapts(e):
        return cast(e, dtype)
    narrow = other.type.dtype
    if isinstance(e, Literal) and not adapts(other) and narrow.is_int and narrow != dtype:
        if is_error(adapt(diags, e, narrow, also=(other.span, f"this is {narrow}"))):
            return error(e.span)
    return adapt(diags, e, dtype)


def choose(diags: Diagnostics, span: Span, a: typed.Expr, b: typed.Expr) -> tuple[typed.Expr, typed.Expr, DType] | None:
    """Two alternatives as one type; bools only with bools. None when reported."""
    bools = a.type.dtype.is_bool, b.type.dtype.is_bool
    if not any(bools) or is_error(a, b):
        return agree(diags, span, a, b, "the two sides")
    if all(bools):
        return a, b, BOOL
    odd = b if bools[0] else a
    diags.error(E0301, odd.span, f"expected bool like the other side, found {odd.type.dtype}")
    return None


def common_type(a: typed.Expr, b: typed.Expr, wide: bool) -> DType | None:
    """The type both sides meet in; literals and dimensions take the other side's."""
    ta, tb = a.type.dtype, b.type.dtype
    if adapts(a) and adapts(b):
        t: DType | None = F64 if F64 in (ta, tb) else I64
    elif adapts(a) or adapts(b):
        soft, hard = (ta, tb) if adapts(a) else (tb, ta)
        # `n + 0.5` with an integer n is not the literal's fault alone: there is no common type.
        t = None if soft.is_float and hard.is_int else hard
    else:
        t = numbers.common(ta, tb)
    if t is None or not wide:
        return t
    return numbers.compute_type(t)


def loosen(whole: typed.Expr, *parts: typed.Expr) -> typed.Expr:
    """`whole`, adaptable when all of its parts are."""
    if is_error(whole) or not all(adapts(p) for p in parts):
        return whole
    if isinstance(whole, typed.Const) and not isinstance(whole.value, bool):
        return Literal(whole.span, whole.type, whole.value)
    return Adaptable(whole.span, whole.type, whole)


def _described(dtype: DType) -> str:
    return f"the struct {dtype}" if isinstance(dtype, typed.StructType) else str(dtype)


def _article(dtype: DType) -> str:
    return "an" if dtype.name[0] in "if" else "a"  # an i32, an f32; a u8, a bool


def _short(e: typed.Expr) -> str:
    text = " ".join(e.span.text.split())
    return text if len(text) <= 40 else "..."


def _help_literal(e: Literal, dtype: DType) -> str | tuple[()]:
    if dtype.is_bool:
        return "write `True` or `False`"
    if isinstance(e.value, float) and math.isfinite(e.value):
        return f"write `{int(e.value)}`, or convert with `{dtype}(...)`"
    return ()
