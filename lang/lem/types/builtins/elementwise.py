"""Builtins that work element by element, and conversions of bits.

One entry each: name, signature, what it does, an example, how a call is checked. What can be said with these is a library
function in ``math.lem`` instead.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0301, E0307, E0317
from lem.syntax import ast
from lem.types import claims, numbers, structs, typed
from lem.types.context import Builtin, Ctx
from lem.types.convert import (
    Literal,
    agree,
    axes_of,
    cast,
    choose,
    error,
    is_error,
    literal,
    loosen,
    settle,
    with_axes,
)  # fmt: skip
from lem_runtime.abi.dtypes import BOOL, F64, DType


def values(ctx: Ctx, node: ast.Call, n: int, name: str) -> list[typed.Expr] | None:
    """Exactly `n` arguments, by position. None when reported."""
    if node.keywords or len(node.args) != n:
        ctx.diags.error(
            E0307, node.span, f"`{name}` takes {n} {'value' if n == 1 else 'values'}, found {len(node.args)}"
            if not node.keywords else f"`{name}` takes no named arguments",
        )  # fmt: skip
        return None
    out = [ctx.expr(a) for a in node.args]
    return None if is_error(*out) else out


def _real(ctx: Ctx, x: typed.Expr, name: str) -> typed.Expr:
    """A float to compute with; integers are not converted silently."""
    if isinstance(x, Literal):
        return typed.Const(x.span, typed.ValueType(F64), float(x.value))
    x = settle(x)
    if x.type.dtype.is_float:
        return cast(x, numbers.compute_type(x.type.dtype))
    if structs.refuse_struct(ctx, f"`{name}`", x):
        return error(x.span)
    ctx.diags.error(
        E0301, x.span, f"`{name}` takes floats, and this is {x.type.dtype}", help=f"convert it: `f32({x.span.text})`"
    )
    return error(x.span)


def _unary_real(op: str, result: DType | None = None) -> Builtin:
    texts = {
        "sqrt": "Square root, correctly rounded; nan below 0.",
        "floor": "The largest whole number that is not above x.",
        "ceil": "The smallest whole number that is not below x.",
        "trunc": "x without its fraction.",
        "round": "The nearest whole number; ties to even.",
        "isnan": "Whether x is not a number.",
        "isinf": "Whether x is +inf or -inf.",
    }

    def check(ctx: Ctx, node: ast.Call) -> typed.Expr:
        args = values(ctx, node, 1, op)
        x = _real(ctx, args[0], op) if args else error(node.span)
        if is_error(x):
            return error(node.span)
        return typed.Unary(node.span, typed.ValueType(result or x.type.dtype, x.type.axes), op, x)

    shown = f"{op}(x: T) -> {result or 'T'}, T: float"
    return Builtin(op, shown, texts[op], f"y[i] = {op}(x[i])" if result is None else f"if {op}(x[i]):", check)


def _check_abs(ctx: Ctx, node: ast.Call) -> typed.Expr:
    args = values(ctx, node, 1, "abs")
    if args is None:
        return error(node.span)
    x = args[0]
    if isinstance(x, Literal):
        return literal(node.span, abs(x.value))
    dtype = x.type.dtype
    if not (dtype.is_int or dtype.is_float):
        ctx.diags.error(E0317, node.span, f"`abs` does not take {dtype}")
        return error(node.span)
    wide = cast(x, numbers.compute_type(dtype))
    return loosen(typed.Unary(node.span, wide.type, "abs", wide), x)


def check_extreme(ctx: Ctx, node: ast.Call, op: str) -> typed.Expr:
    """``max(a, b, ...)`` of values: choosing keeps the type."""
    args = [ctx.expr(a) for a in node.args]
    if is_error(*args):
        return error(node.span)
    if structs.refuse_struct(ctx, f"`{op}`", *args):
        return error(node.span)
    for x in args:
        if x.type.dtype.is_bool:
            ctx.diags.error(E0317, x.span, f"`{op}` does not take bool", help="use `or`, `and`")
            return error(node.span)
    out = args[0]
    for x in args[1:]:
        both = agree(ctx.diags, node.span, out, x, f"`{op}`")
        if both is None:
            return error(node.span)
        a, b, dtype = both
        wide = numbers.compute_type(dtype)
        made = typed.Binary(node.span, with_axes(wide, a, b), op, cast(a, wide), cast(b, wide))
        out = loosen(cast(made, dtype), out, x)
    return out


def _check_where(ctx: Ctx, node: ast.Call) -> typed.Expr:
    args = values(ctx, node, 3, "where")
    if args is None:
        return error(node.span)
    cond, x, y = args
    if not cond.type.dtype.is_bool:
        ctx.diags.error(E0301, cond.span, f"`where` takes a bool first, and this is {cond.type.dtype}")
        return error(node.span)
    both = choose(ctx.diags, node.span, x, y)
    if both is None:
        return error(node.span)
    made = typed.Select(node.span, with_axes(both[2], cond, x, y), cond, both[0], both[1])
    return loosen(made, x, y)


def _check_fma(ctx: Ctx, node: ast.Call) -> typed.Expr:
    args = values(ctx, node, 3, "fma")
    if args is None:
        return error(node.span)
    first = agree(ctx.diags, node.span, args[0], args[1], "`fma`", wide=True)
    both = agree(ctx.diags, node.span, first[0], args[2], "`fma`", wide=True) if first else None
    if first is None or both is None:
        return error(node.span)
    dtype = both[2]
    if not dtype.is_float:
        ctx.diags.error(E0317, node.span, f"`fma` takes floats, and these are {dtype}")
        return error(node.span)
    x, y, z = cast(first[0], dtype), cast(first[1], dtype), both[1]
    if isinstance(args[0], Literal) or isinstance(args[1], Literal):
        pairs = [agree(ctx.diags, node.span, a, z, "`fma`", wide=True) for a in args[:2]]
        if any(p is None for p in pairs):
            return error(node.span)
        x, y = (p[0] for p in pairs if p)
    return typed.Fma(node.span, typed.ValueType(dtype, axes_of(x, y, z)), x, y, z)


def _check_copysign(ctx: Ctx, node: ast.Call) -> typed.Expr:
    args = values(ctx, node, 2, "copysign")
    both = agree(ctx.diags, node.span, args[0], args[1], "`copysign`", wide=True) if args else None
    if both is None:
        return error(node.span)
    if not both[2].is_float:
        ctx.diags.error(E0317, node.span, f"`copysign` takes floats, and these are {both[2]}")
        return error(node.span)
    return typed.Binary(node.span, with_axes(both[2], both[0], both[1]), "copysign", both[0], both[1])


def _target_type(ctx: Ctx, node: ast.Expr) -> DType | None:
    if isinstance(node, ast.Name):
        dtype = getattr(ctx.find(node.id), "dtype", None) or numbers.dtype_named(node.id)
        if dtype is not None:
            return dtype
    ctx.diags.error(E0301, node.span, "expected the name of a type")
    return None


def _check_bits(ctx: Ctx, node: ast.Call) -> typed.Expr:
    """``bits(x, u32)``: the same bits, read as another type."""
    return _rebits(ctx, node, "bits", (0, 1))


def _check_from_bits(ctx: Ctx, node: ast.Call) -> typed.Expr:
    """``from_bits(f32, n)``: the value with these bits."""
    return _rebits(ctx, node, "from_bits", (1, 0))


def _rebits(ctx: Ctx, node: ast.Call, name: str, order: tuple[int, int]) -> typed.Expr:
    if node.keywords or not 1 <= len(node.args) <= 2:
        ctx.diags.error(E0307, node.span, f"`{name}` takes a value, and a type if it is not the plain one")
        return error(node.span)
    x = ctx.expr(node.args[order[0] if len(node.args) == 2 else 0])
    if structs.refuse_struct(ctx, f"`{name}`", x):
        return error(node.span)
    if len(node.args) == 2:
        to = _target_type(ctx, node.args[order[1]])
    else:
        to = numbers.dtype_named(f"{'u' if name == 'bits' else 'f'}{x.type.dtype.bits}")
    if to is None or is_error(x):
        return error(node.span)
    if isinstance(x, Literal):
        same = numbers.dtype_named(f"u{to.bits}" if isinstance(x.value, int) else f"f{to.bits}")
        both = agree(ctx.diags, node.span, x, typed.Const(x.span, typed.ValueType(same or to), 0), f"`{name}`")
        if both is None:
            return error(node.span)
        x = both[0]
    x = settle(x)
    if x.type.dtype.bits != to.bits or BOOL in (x.type.dtype, to):
        ctx.diags.error(E0301, x.span, f"{x.type.dtype} and {to} differ in width, so bits cannot be kept")
        return error(node.span)
    return typed.Bits(node.span, typed.ValueType(to, x.type.axes), x)


def _not_alone(ctx: Ctx, node: ast.Call) -> typed.Expr:
    assert isinstance(node.func, ast.Name)
    ctx.diags.error(E0307, node.span, f"`{node.func.id}` stands before subscripts", help=f"write `{node.span.text}[i]`")
    return error(node.span)


ENTRIES = (
    Builtin("abs", "abs(x: T) -> T, T: number", "Distance from 0; the least integer stays as it is.",
            "y[i] = abs(x[i])", _check_abs),
    *(_unary_real(op) for op in ("sqrt", "floor", "ceil", "trunc", "round")),
    *(_unary_real(op, BOOL) for op in ("isnan", "isinf")),
    Builtin("copysign", "copysign(x: T, sign: T) -> T, T: float", "x with the sign of the second.",
            "y[i] = copysign(1.0, x[i])", _check_copysign),
    Builtin("fma", "fma(x: T, y: T, z: T) -> T, T: float", "x * y + z, rounded once.",
            "y[i] = fma(a, x[i], y[i])", _check_fma),
    Builtin("where", "where(c: bool, a: T, b: T) -> T", "a where c holds, else b; both are evaluated.",
            "y[i] = where(x[i] > 0, x[i], 0)", _check_where),
    Builtin("bits", "bits(x), bits(x, T)", "The bits of x as an unsigned integer, or as a T of the same width.",
            "n = bits(x[i])", _check_bits),
    Builtin("from_bits", "from_bits(n), from_bits(T, n)", "The float, or the T, that has these bits.",
            "y[i] = from_bits(n)", _check_from_bits),
    Builtin("clamp", "clamp(x)[...]", "Subscripts outside of x take the nearest element.",
            "y[i] = clamp(x)[i - 1]", _not_alone),
    Builtin("wrap", "wrap(x)[...]", "Subscripts outside of x go round.", "y[i] = wrap(x)[i - 1]", _not_alone),
    Builtin("fill", "fill(x, v)[...]", "Subscripts outside of x give v.", "y[i] = fill(x, 0)[i - 1]", _not_alone),
    Builtin("unique", "unique(idx)[...]", "Claims that all elements of idx differ; tested before the grid runs.",
            "y[unique(idx)[i]] = x[i]", claims.refuse_bare),
)  # fmt: skip
