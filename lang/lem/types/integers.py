"""What typed expressions say about integers: linear forms of values, facts of conditions.

Takes typed expressions right after they were checked (a local's form is its value *now*); gives :class:`Lin` forms and
extended fact sets for the prover (LANGUAGE 1, 2). Bridges ``typed`` and ``linear``/``prove``.
"""

from __future__ import annotations

from lem.types import convert, numbers, typed
from lem.types.context import Ctx
from lem.types.linear import Lin, compare_facts
from lem.types.prove import Context
from lem.types.scope import Held
from lem_runtime.abi.dtypes import I64, DType

_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_NEGATED = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}


def linear(ctx: Ctx, e: typed.Expr) -> Lin | None:
    """The value of an integer expression as a form; what is not linear becomes an unknown within its dtype's range.
    None for anything but integers."""
    if isinstance(e, convert.Adaptable):
        return linear(ctx, e.x)
    dtype = e.type.dtype
    if not dtype.is_int:
        return None
    found = _linear(ctx, e)
    return found if found is not None else unknown(ctx, e.span.text, dtype)


def held(ctx: Ctx, e: typed.Expr) -> Held:
    """What an expression's value is to proofs: a form, or the forms of a struct's fields."""
    if not isinstance(e.type.dtype, typed.StructType):
        return linear(ctx, e)
    match e:
        case typed.MakeStruct():
            return tuple(held(ctx, v) for v in e.values)
        case typed.LocalRef() if (info := ctx.infos.get(e.local)) is not None:
            return info.value
        case typed.ScalarRef():
            known = ctx.struct_params.get(e.name)
            if known is None:
                known = ctx.struct_params[e.name] = anything(ctx, e.name, e.type.dtype)
            return known
        case typed.Field():
            return _field(ctx, e)
    return anything(ctx, e.span.text, e.type.dtype)


def _field(ctx: Ctx, e: typed.Field) -> Held:
    whole = held(ctx, e.x)
    return whole[e.index] if isinstance(whole, tuple) else None


def anything(ctx: Ctx, name: str, dtype: DType) -> Held:
    """Some value of a type."""
    if isinstance(dtype, typed.StructType):
        return tuple(anything(ctx, f"{name}.{field}", inner) for field, inner in dtype.fields)
    return unknown(ctx, name, dtype) if dtype.is_int else None


def joined(ctx: Ctx, name: str, dtype: DType, x: Held, y: Held) -> Held:
    """What is known of a value that is either `x` or `y`."""
    if x == y:
        return x
    if isinstance(dtype, typed.StructType) and isinstance(x, tuple) and isinstance(y, tuple):
        parts = zip(dtype.fields, x, y, strict=True)
        return tuple(joined(ctx, f"{name}.{field}", inner, a, b) for (field, inner), a, b in parts)
    return anything(ctx, name, dtype)


def unknown(ctx: Ctx, name: str, dtype: DType) -> Lin:
    """A value of which only the dtype is known; u64 and i64 say nothing that a proof could use."""
    if dtype.bits == 64:
        return ctx.symbols.unknown(name, 0 if dtype.kind == "uint" else None).lin
    return ctx.symbols.unknown(name, dtype.min_int, dtype.max_int).lin


def _linear(ctx: Ctx, e: typed.Expr) -> Lin | None:
    match e:
        case typed.Const():
            return Lin.of(int(e.value))
        case typed.DimSize():
            return ctx.dim_values.get(e.dim)
        case typed.ArraySize():
            known = ctx.arrays.get(e.array)
            return None if known is None else known[e.axis]
        case typed.ScalarRef():
            return ctx.scalar_values.get(e.name)
        case typed.LocalRef():
            info = ctx.infos.get(e.local)
            return info.form if info else None
        case typed.Field():
            field = _field(ctx, e)
            return field if isinstance(field, Lin) else None
        case typed.IndexRef():
            return ctx.index_values.get(e.var)
        case typed.Cast():
            have = e.x.type.dtype
            if have.is_int and numbers.holds(e.type.dtype, have):
                return linear(ctx, e.x)
            return _wrapped(ctx, e, e.x) if have.bits == e.type.dtype.bits else None
        case typed.Load():
            return ctx.elements.get(e)
        case typed.Unary(op="neg") if e.type.dtype == I64:
            x = linear(ctx, e.x)
            return None if x is None else -x
        case typed.Binary() if e.type.dtype == I64:  # narrower arithmetic wraps, and then no equation holds
            x, y = linear(ctx, e.x), linear(ctx, e.y)
            return None if x is None or y is None else _binary(ctx, e.op, x, y)
    return None


def _wrapped(ctx: Ctx, e: typed.Cast, x: typed.Expr) -> Lin | None:
    """u64 as i64: another value, but different ones stay different, and a claim that they are stands."""
    form = linear(ctx, x) if x.type.dtype.is_int else None
    claim = ctx.claims.get(form.only_sym) if form is not None and form.only_sym is not None else None
    if claim is None:
        return None
    made = unknown(ctx, e.span.text, e.type.dtype)
    assert made.only_sym is not None
    ctx.claims[made.only_sym] = claim
    return made


def _binary(ctx: Ctx, op: str, x: Lin, y: Lin) -> Lin | None:
    match op:
        case "add":
            return x + y
        case "sub":
            return x - y
        case "mul":
            return ctx.symbols.mul(x, y)
        case "floordiv":
            return ctx.symbols.quotient(x, y)
        case "mod":
            return ctx.symbols.mod(x, y)
        case "min":
            return ctx.symbols.min(x, y)
        case "max":
            return ctx.symbols.max(x, y)
    return None


def assume(ctx: Ctx, facts: Context, cond: typed.Expr, truth: bool = True) -> Context:
    """`facts` with a condition that holds (or does not)."""
    match cond:
        case typed.Const():
            return facts
        case typed.Unary(op="not"):
            return assume(ctx, facts, cond.x, not truth)
        case typed.Logic():
            if (cond.op == "and") == truth:
                return assume(ctx, assume(ctx, facts, cond.x, truth), cond.y, truth)
            return facts.under_unknown()
        case typed.Compare() if cond.x.type.dtype.is_int:
            x, y = linear(ctx, cond.x), linear(ctx, cond.y)
            if x is None or y is None:
                return facts.under_unknown()
            op = cond.op if truth else _NEGATED[cond.op]
            if op == "ne":
                return facts.assume_ne(x, y)
            return facts.assume(*compare_facts(_COMPARE[op], x, y))
    return facts.under_unknown()
