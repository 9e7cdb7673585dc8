"""Scans: ``cumsum(v, over=k)`` and ``scan(f, v, over=k, start=e)``, running results along an axis in scope (LANGUAGE 29).

The result keeps the axis. Position after position, it is `f` of the result before and of the value; before the first one
stands `start`. Several values go together as a struct. `f` is said to be associative, so that a target may cut the axis;
the CPU and the interpreter do not.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0301, E0307, E0310, E0316
from lem.syntax import ast
from lem.types import calls, fns, numbers, structs, typed
from lem.types.builtins import reductions
from lem.types.context import Builtin, Ctx
from lem.types.convert import cast, coerce, const, error, is_error, settle
from lem_runtime.abi.dtypes import I64, DType

_CUMSUM = "cumsum(v, over=k)"
_SCAN = "scan(f, v, over=k, start=e)"


def _check_cumsum(ctx: Ctx, node: ast.Call) -> typed.Expr:
    given = _arguments(ctx, node, 1, ("over", "reverse"), _CUMSUM)
    if given is None:
        return error(node.span)
    value = _value(ctx, node.args[0], "cumsum")
    axis = None if is_error(value) else _axis(ctx, given["over"], value, "cumsum")
    reverse = _reverse(ctx, given)
    if axis is None or reverse is None:
        return error(node.span)
    dtype = value.type.dtype
    state, item = _locals(node, dtype)
    before, here = (typed.LocalRef(node.span, local.type, local) for local in (state, item))
    total = typed.Binary(node.span, typed.ValueType(dtype), "add", before, here)
    start = const(node.span, 0, dtype)
    return typed.Scan(node.span, typed.ValueType(dtype, value.type.axes), value, axis, start, state, item, total, reverse)


def _check_scan(ctx: Ctx, node: ast.Call) -> typed.Expr:
    given = _arguments(ctx, node, 2, ("over", "start", "reverse"), _SCAN)
    if given is None:
        return error(node.span)
    value = _value(ctx, node.args[1], "scan")
    start = ctx.expr(given["start"])
    axis = None if is_error(value) else _axis(ctx, given["over"], value, "scan")
    reverse = _reverse(ctx, given)
    if axis is None or reverse is None or is_error(start):
        return error(node.span)
    dtype = value.type.dtype
    start = coerce(ctx.diags, start, dtype, f", and the scan is over {dtype}", (value.span, f"this is {dtype}"))
    if is_error(start):
        return error(node.span)
    if axis in start.type.axes:
        ctx.diags.error(
            E0310, start.span, f"the start has the axis `{axis.name}`, along which the scan runs",
            help="it is one value, before the first position",
        )  # fmt: skip
        return error(node.span)
    state, item = _locals(node, dtype)
    combine = _combined(ctx, node, dtype, state, item)
    if is_error(combine):
        return error(node.span)
    ty = typed.ValueType(dtype, value.type.axes | start.type.axes)
    return typed.Scan(node.span, ty, value, axis, start, state, item, combine, reverse)


def _arguments(ctx: Ctx, node: ast.Call, n: int, names: tuple[str, ...], how: str) -> dict[str, ast.Expr] | None:
    """The named arguments; all but `reverse` are needed."""
    given = {k.name: k.value for k in node.keywords}
    fits = len(node.args) == n and len(given) == len(node.keywords) and given.keys() <= set(names)
    if fits and set(names) - {"reverse"} <= given.keys() and not isinstance(node.args[-1], ast.Comprehension):
        return given
    more = ", and `reverse=True` to start from the end"
    missing = [f"`{name}=`" for name in names if name not in given and name != "reverse"]
    is_short = len(node.args) == n and given.keys() <= set(names) and missing
    what = f"needs {' and '.join(missing)}" if is_short else "goes along an axis in scope"
    ctx.diags.error(E0307, node.span, f"`{how[: how.index('(')]}` {what}", help=f"write `{how}`{more}")
    return None


def _value(ctx: Ctx, node: ast.Expr, kind: str) -> typed.Expr:
    """The value in the type that the scan is done in: narrow ones compute wide, bools count."""
    x = settle(ctx.expr(node))
    if is_error(x):
        return x
    dtype = x.type.dtype
    if dtype.is_bool and kind == "cumsum":
        return cast(x, I64)
    if isinstance(dtype, typed.StructType) and kind == "scan":
        return x
    if structs.refuse_struct(ctx, f"`{kind}`", x):
        return error(x.span)
    if not (dtype.is_int or dtype.is_float):
        ctx.diags.error(E0301, x.span, f"`{kind}` takes numbers, and this is {dtype}")
        return error(x.span)
    return cast(x, numbers.compute_type(dtype))


def _axis(ctx: Ctx, node: ast.Expr, value: typed.Expr, kind: str) -> typed.ValueAxis | None:
    if isinstance(node, ast.TupleExpr):
        ctx.diags.error(E0316, node.span, f"`{kind}` goes along one axis")
        return None
    help = f"take the whole axis as a value: `{kind}(x[:], over=K)`, or bind it by a comprehension"
    axis = reductions.axis_named(ctx, node, value, help)
    if axis is not None and axis in ctx.mask:
        ctx.diags.error(
            E0310, node.span, f"the condition around differs along `{axis.name}`, so not all positions are there",
            help="scan before the condition, and choose afterwards",
        )  # fmt: skip
        return None
    return axis


def _reverse(ctx: Ctx, given: dict[str, ast.Expr]) -> bool | None:
    node = given.get("reverse")
    if node is None or isinstance(node, ast.Bool):
        return node is not None and node.value
    ctx.diags.error(E0307, node.span, "`reverse` is `True` or `False`, decided where it is written")
    return None


def _locals(node: ast.Call, dtype: DType) -> tuple[typed.LocalVar, typed.LocalVar]:
    ty = typed.ValueType(dtype)
    return typed.LocalVar("state", ty, node.span), typed.LocalVar("item", ty, node.span)


def _combined(ctx: Ctx, node: ast.Call, dtype: DType, state: typed.LocalVar, item: typed.LocalVar) -> typed.Expr:
    """`f` of the result before and of the value here."""
    func = node.args[0]
    found = calls.fn_named(ctx, func)
    if found is None:
        return error(func.span)
    assert isinstance(found.node, ast.Function)
    plain = typed.ValueType(dtype)
    args: list[fns.Arg] = [typed.LocalRef(func.span, plain, state), typed.LocalRef(func.span, plain, item)]
    if len(found.node.params) != 2:
        n = len(found.node.params)
        ctx.diags.error(
            E0307, func.span, f"`scan` needs an fn of two values, and `{found.name}` takes {n}",
            also=[(found.span, "defined here")],
        )  # fmt: skip
        return error(func.span)
    made = fns.instance(ctx, func.span, found, found.node, args)
    if made is None:
        return error(func.span)
    if len(made[0].results) != 1 or made[0].results[0].dtype != dtype:
        gives = " and ".join(str(r.dtype) for r in made[0].results)
        ctx.diags.error(
            E0301, func.span, f"`{found.name}` gives {gives}, and the scan is over {dtype}",
            also=[(found.span, "defined here")],
        )  # fmt: skip
        return error(func.span)
    return typed.CallFn(func.span, plain, *made)


ENTRIES = (
    Builtin("cumsum", "cumsum(v, over=k, reverse=False)", "Running sums along an axis, each with its own position's value.",
            "y[:] = cumsum(x[:], over=N)", _check_cumsum),
    Builtin("scan", "scan(f, v, over=k, start=e, reverse=False)",
            "Running results of an associative fn along an axis, the first one from start.",
            "y[:] = scan(larger, x[:], over=N, start=-inf)", _check_scan),
)  # fmt: skip
