"""Declarations: ``m: f32 = -inf``, ``acc: f32[D] = 0``, ``t: reduce(+) f32[K] = 0``.

Takes a declaration; gives a local with its axes, a temporary of sequential code, or an element's own small array
(LANGUAGE 10, 13, 16).
"""

from __future__ import annotations

from lem.diagnostics.codes import E0205, E0305, E0310, E0320, E0331
from lem.syntax import ast
from lem.types import expressions, flow, integers, rebinding, structs, subscripts, type_exprs, typed
from lem.types.context import Ctx
from lem.types.convert import coerce, is_error
from lem.types.linear import Lin
from lem.types.locals import report_axes, set_local
from lem.types.prove import classify_ge0
from lem.types.scope import Array, Broken, Local
from lem_runtime.abi.dtypes import DType


def check_declare(ctx: Ctx, node: ast.Declare) -> list[typed.Stmt]:
    """``m: f32 = -inf``, ``acc: f32[D] = 0``, ``t: reduce(+) f32[K] = 0``."""
    taken = ctx.find(node.name.id)
    if taken is not None and not isinstance(taken, Broken):
        ctx.diags.error(
            E0205, node.name.span, f"`{node.name.id}` is already declared",
            also=[(taken.span, f"`{node.name.id}` is declared here")], help="assign it, or take another name",
        )  # fmt: skip
        if node.value is not None:
            ctx.expr(node.value)
        return []
    dtype = type_exprs.dtype_of(ctx, node.type)
    value = ctx.expr(node.value) if node.value is not None else None
    if dtype is None:
        ctx.scopes.add(Broken(node.name.id, node.name.span))
        return []
    if node.effect == "reduce" and isinstance(dtype, typed.StructType):
        structs.refuse_reduce(ctx, node.type, node.reduce_op, dtype)
    if node.type.sizes is None:
        if node.effect:
            ctx.diags.error(E0305, node.type.span, "`reduce` is an effect of arrays, and this is one value")
        return _declare_value(ctx, node, typed.ValueType(dtype), value)
    if ctx.in_sequence or _is_subscripted(ctx, node.name.id):
        return _declare_array(ctx, node, dtype, node.type.sizes, value)
    if node.type.suffixes:
        ctx.diags.error(E0331, node.type.suffixes[0].span, "a value with axes has no layout: no memory is meant")
    axes = _declared_axes(ctx, node.type.sizes)
    if axes is None:
        ctx.scopes.add(Broken(node.name.id, node.name.span))
        return []
    return _declare_value(ctx, node, typed.ValueType(dtype, axes), value)


def _is_subscripted(ctx: Ctx, name: str) -> bool:
    if ctx.subscripted is None:
        ctx.subscripted = flow.subscripted_names(ctx.owner.body) if ctx.owner else set()
    return name in ctx.subscripted


def _declare_value(ctx: Ctx, node: ast.Declare, ty: typed.ValueType, value: typed.Expr | None) -> list[typed.Stmt]:
    var = typed.LocalVar(node.name.id, ty, node.name.span)
    local = Local(var, id(node.name), ctx.grid, None, ctx.axes, is_annotated=True)
    ctx.scopes.add(local)
    ctx.infos[var] = local
    if value is None:
        return []
    made = set_local(ctx, node.name, value)
    return [] if made is None else [typed.SetLocal(node.span, var, made[1])]


def _declared_axes(ctx: Ctx, sizes: tuple[ast.Expr, ...]) -> frozenset[typed.ValueAxis] | None:
    axes: set[typed.ValueAxis] = set()
    for node in sizes:
        axis = subscripts.axis_of_size(ctx, node)
        if axis is None:
            x = expressions.check_int(ctx, node, "a size")
            if not is_error(x):
                ctx.diags.error(
                    E0310, node.span, "an axis of a local has the size of a dimension",
                    help="subscript the local to make it a small array",
                )  # fmt: skip
            return None
        if axis in axes:
            ctx.diags.error(E0310, node.span, f"the local already has the axis `{axis.name}`")
            return None
        axes.add(axis)
    return frozenset(axes)


def _check_layout(ctx: Ctx, node: ast.TypeExpr, kind: str) -> None:
    """Report a layout that an array made here cannot have."""
    layout = type_exprs.layout_of(node)
    if layout == "aos":
        ctx.diags.error(
            E0331, node.span, "the fields of an array made here lie apart", help="leave out `.aos`: it is for parameters"
        )
    elif layout == "col" and kind == "local":
        ctx.diags.error(E0331, node.span, "an element's own array has no layout", help="leave out `.col`")


def _declare_array(
    ctx: Ctx, node: ast.Declare, dtype: DType, sizes: tuple[ast.Expr, ...], value: typed.Expr | None
) -> list[typed.Stmt]:
    """A temporary of sequential code, or an element's own small array."""
    shapes = [type_exprs.size_of(ctx, s) for s in sizes]
    exprs = [expressions.check_int(ctx, s, "a size") for s in sizes]
    kind = "temp" if ctx.in_sequence else "local"
    _check_layout(ctx, node.type, kind)
    if is_error(*exprs):
        ctx.scopes.add(Broken(node.name.id, node.name.span))
        return []
    forms: list[Lin | None] = [integers.linear(ctx, e) for e in exprs]
    for form, size in zip(forms, sizes, strict=True):
        verdict = classify_ge0(ctx.facts, form)
        if verdict.kind == "error":
            ctx.diags.error(E0320, size.span, f"`{size.span.text}` is negative, and this is a size")
    var = typed.ArrayVar(
        node.name.id, dtype, tuple(shapes), kind, "reduce" if node.effect == "reduce" else "inout", node.name.span,
        node.reduce_op, type_exprs.layout_of(node.type),
    )  # fmt: skip
    fill: typed.Expr | None = None
    if value is not None:
        fill = coerce(ctx.diags, value, dtype, f", and `{var.name}` holds {dtype}", (node.name.span, "declared here"))
        if not is_error(fill) and fill.type.axes:
            report_axes(ctx, fill, "a declaration fills all elements alike", node.name.span)
            fill = None
    array = Array(var, tuple(forms))
    ctx.arrays[var] = array.sizes
    ctx.assign(var)
    changes = rebinding.is_rebound(ctx, var.name)
    named = rebinding.bind(ctx, node.span, (node.name,), (array,)) if changes else []
    if not changes:
        ctx.scopes.add(array)
    if node.value is not None and (fill is None or is_error(fill)):
        return []
    return [typed.MakeArray(node.span, var, tuple(exprs), fill), *named]
