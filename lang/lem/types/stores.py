"""Stores into arrays and updates of `reduce` arrays.

Takes ``c[i, j] = e``, ``y[k] += e``, ``y[k] = max(y[k], e)``; gives typed statements (LANGUAGE 10, 13, 14).
"""

from __future__ import annotations

from lem.diagnostics.codes import E0310, E0317, E0319, E0401, E0405, E0409, E0411
from lem.source import Span
from lem.syntax import ast
from lem.types import claims, expressions, structs, subscripts, typed
from lem.types.context import Ctx
from lem.types.convert import coerce, is_error
from lem.types.locals import assign_name, report_axes, report_scalar_in_grid
from lem.types.scope import Array, Local

_UPDATES = {"+": "add", "|": "or", "&": "and"}
REDUCE_OPS = {"+": "add", "|": "or", "&": "and", "max": "max", "min": "min"}


def check_store(ctx: Ctx, span: Span, target: ast.Subscript, value: ast.Expr) -> list[typed.Stmt]:
    if _is_claim(ctx, target.value):
        return []
    if ctx.kind in ("task", "test"):
        refuse_element(ctx, target.span)
        ctx.expr(value)
        return []
    array = subscripts.array_named(ctx, target.value)
    if array is None:
        ctx.expr(value)
        return []
    if array.var.effect == "reduce":
        return _reduce_store(ctx, span, array, target, value)
    return store(ctx, span, array, target, ctx.expr(value))


def _is_claim(ctx: Ctx, node: ast.Expr) -> bool:
    """Report ``unique(idx)[i] = v``."""
    if not claims.is_claim(node):
        return False
    text = node.span.text
    ctx.diags.error(
        E0411, node.span, "`unique` says something of indices, and nothing is stored into it",
        help=f"store into the array that they name places of: `y[{text}[i]] = ...`",
    )  # fmt: skip
    return True


def may_write(ctx: Ctx, array: Array, target: ast.Subscript) -> bool:
    """Whether this code may write the array at all."""
    if ctx.kind == "fn":
        ctx.diags.error(
            E0319, target.span, "an fn stores nothing", help="return the value, and store it in the kernel"
        ) if array.var.kind != "local" else None
        return array.var.kind == "local"
    if ctx.kind in ("task", "test"):
        refuse_element(ctx, target.span)
        return False
    if array.var.effect == "read":
        ctx.diags.error(
            E0401, target.span, f"`{array.name}` is only read, and this writes it",
            also=[(array.span, f"`{array.name}` is declared without an effect")],
            help=f"declare it `{array.name}: out ...`, or `inout` if it is also read",
        )  # fmt: skip
        return False
    return True


def refuse_element(ctx: Ctx, span: Span) -> None:
    """Report a store in a task or a test."""
    ctx.diags.error(E0409, span, f"a {ctx.kind} stores no elements", help="write a kernel that does, and call it")


def store(ctx: Ctx, span: Span, array: Array, target: ast.Subscript, value: typed.Expr) -> list[typed.Stmt]:
    """``array[...] = value``."""
    allowed = may_write(ctx, array, target)
    place = subscripts.check_place(ctx, array, target, is_store=True)
    if place is None or not allowed:
        return []
    return store_at(ctx, span, place, value)


def store_at(ctx: Ctx, span: Span, place: subscripts.Place, value: typed.Expr) -> list[typed.Stmt]:
    var = place.array.var
    if is_error(value):
        subscripts.touch(ctx, "write", place)
        return []
    declared = (var.span, f"`{var.name}` is {var.dtype}")
    ready = coerce(ctx.diags, value, var.dtype, f", and `{var.name}` holds {var.dtype}", declared)
    subscripts.touch(ctx, "write", place)
    if is_error(ready) or not _store_axes_fit(ctx, place, value):
        return []
    return [typed.Store(span, var, place.subs, ready)]


def _store_axes_fit(ctx: Ctx, place: subscripts.Place, value: typed.Expr) -> bool:
    extra = value.type.axes - place.axes
    if not ctx.axes_match(value.span, value.type.axes | place.axes):
        return False
    if extra:
        report_axes(ctx, value, f"`{place.span.text}` is a place without it", place.array.span)
        return False
    masked = ctx.mask - place.axes
    if masked:
        name = min(a.name for a in masked)
        ctx.diags.error(
            E0310, place.span, f"the condition around differs along `{name}`, and this place does not",
            help="reduce the condition, or store to a place that has the axis",
        )  # fmt: skip
        return False
    return True


def check_aug_assign(ctx: Ctx, node: ast.AugAssign) -> list[typed.Stmt]:
    """``a += e``, ``y[i] += e``."""
    target = node.target
    if node.op == "@":
        expressions.refuse_product(ctx, node.span, node.span, target, node.value)
        return []
    if isinstance(target, ast.Name):
        entity = ctx.find(target.id)
        if isinstance(entity, Local) and entity.grid is None and ctx.grid is not None:
            ctx.expr(node.value)
            report_scalar_in_grid(ctx, target, entity.span)
            return []
        if not expressions.is_known(ctx, target.id):
            ctx.expr(node.value)
            expressions.report_unknown(ctx, target, f"give it a value first: `{target.id} = 0`")
            return []
        old = ctx.expr(target)
        value = expressions.binary(ctx, node.span, node.op, node.span, old, ctx.expr(node.value))
        if is_error(old):
            return []
        return assign_name(ctx, node.span, target, value)
    if not isinstance(target, ast.Subscript):
        refuse_target(ctx, target)
        return []
    if _is_claim(ctx, target.value):
        return []
    array = subscripts.array_named(ctx, target.value)
    value = ctx.expr(node.value)
    if array is None:
        return []
    if array.var.effect == "reduce":
        return _update(ctx, node.span, array, target, _UPDATES.get(node.op, node.op), value)
    allowed = may_write(ctx, array, target)
    place = subscripts.check_place(ctx, array, target, is_store=True)
    if place is None or not allowed:
        return []
    old = subscripts.load(ctx, target.span, place)
    return store_at(ctx, node.span, place, expressions.binary(ctx, node.span, node.op, node.span, old, value))


def _reduce_store(ctx: Ctx, span: Span, array: Array, target: ast.Subscript, value: ast.Expr) -> list[typed.Stmt]:
    """``y[k] = max(y[k], v)`` is an update; any other store into a `reduce` array is wrong."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("max", "min"):
        own = [a for a in value.args if ast.same(a, target)]
        rest = [a for a in value.args if not ast.same(a, target)]
        if len(own) == 1 and len(rest) == 1 and not value.keywords:
            return _update(ctx, span, array, target, value.func.id, ctx.expr(rest[0]))
    _wrong_update(ctx, span, array, "this stores into it")
    return []


def _wrong_update(ctx: Ctx, span: Span, array: Array, label: str) -> None:
    op = array.var.reduce_op
    how = f"{array.name}[k] {op}= v" if op in "+|&" else f"{array.name}[k] = {op}({array.name}[k], v)"
    ctx.diags.error(
        E0405, span, f"`{array.name}` is `reduce({op})`, and {label}", also=[(array.span, "declared here")],
        help=f"update it: `{how}`",
    )  # fmt: skip


def _update(ctx: Ctx, span: Span, array: Array, target: ast.Subscript, op: str, value: typed.Expr) -> list[typed.Stmt]:
    wanted = REDUCE_OPS.get(array.var.reduce_op)
    if op != wanted:
        _wrong_update(ctx, span, array, "this is another operation")
        return []
    if ctx.kind in ("task", "test", "fn"):
        may_write(ctx, array, target)
        return []
    place = subscripts.check_place(ctx, array, target, is_store=True)
    if place is None or is_error(value):
        return []
    dtype = array.var.dtype
    if op in ("or", "and") and dtype.is_float:
        ctx.diags.error(E0317, span, f"`{array.var.reduce_op}` does not take {dtype}")
        return []
    subscripts.touch(ctx, "update", place)
    # The sum is formed in the array's own type: `h[k] += 1` on u8 wraps as u8.
    declared = (array.span, f"`{array.name}` is {dtype}")
    ready = coerce(ctx.diags, value, dtype, f", and `{array.name}` holds {dtype}", declared)
    # An update may have more axes than its place: all positions of them are combined.
    if not ctx.axes_match(span, place.axes | value.type.axes | ctx.mask):
        return []
    return [] if is_error(ready) else [typed.Update(span, op, array.var, place.subs, ready)]


def refuse_target(ctx: Ctx, target: ast.Expr) -> None:
    """Report something that cannot stand left of ``=``."""
    if isinstance(target, ast.Attribute):
        structs.refuse_field_target(ctx, target)
        return
    ctx.diags.error(E0319, target.span, "this cannot be assigned", help="assign a name or an element: `y[i] = ...`")
