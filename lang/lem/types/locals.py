"""Locals and scalar results: what an assigned name is, which type it has, whether a value may be kept in it.

Takes a name and a typed value; gives typed assignments (LANGUAGE 10, 23, 36). A local without annotation has the common
type of all it is assigned: see ``passes.py``.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0205, E0301, E0302, E0310, E0315, E0401, E0407
from lem.source import Span
from lem.syntax import ast
from lem.types import integers, numbers, subscripts, typed
from lem.types.context import Ctx, LocalType
from lem.types.convert import adapt, adapts, cast, coerce, error, is_error
from lem.types.numbers import ERROR
from lem.types.scope import Array, Broken, Dim, Index, Local, ScalarParam
from lem_runtime.abi.dtypes import F64, I64, DType


def assign_name(ctx: Ctx, span: Span, target: ast.Name, value: typed.Expr) -> list[typed.Stmt]:
    """``name = value`` for a local or a scalar result."""
    entity = ctx.find(target.id)
    if isinstance(entity, Array):
        return _assign_array(ctx, span, target, entity, value)
    made = set_local(ctx, target, value)
    return [] if made is None else [typed.SetLocal(span, made[0].var, made[1])]


def check_array_target(ctx: Ctx, target: ast.Name) -> bool:
    """Report a whole array left of ``=``; scalar results and futures are arrays without axes, and fine."""
    array = ctx.find(target.id)
    if not isinstance(array, Array):
        return True
    if not array.var.shape and (array.var.effect == "result" or array.var.kind == "temp"):
        return True
    if ctx.kind in ("task", "test"):
        ctx.diags.error(
            E0315, target.span, f"`{array.name}` is an array, and this is none", also=[(array.span, "declared here")],
            help="take another name",
        )  # fmt: skip
        return False
    colons = ", ".join(":" for _ in array.var.shape)
    ctx.diags.error(
        E0315, target.span, f"`{array.name}` is a whole array", also=[(array.span, "declared here")],
        help=f"write an element, or all of them: `{array.name}[{colons}] = ...`",
    )  # fmt: skip
    return False


def _assign_array(ctx: Ctx, span: Span, target: ast.Name, array: Array, value: typed.Expr) -> list[typed.Stmt]:
    var = array.var
    if not check_array_target(ctx, target):
        return []
    if ctx.grid is not None:
        report_scalar_in_grid(ctx, target, array.span)
        return []
    ctx.assign(var)
    value = coerce(ctx.diags, value, var.dtype, f", and `{array.name}` is {var.dtype}", (array.span, "declared here"))
    if is_error(value):
        return []
    if value.type.axes:
        report_axes(ctx, value, f"`{array.name}` is one number", array.span)
        return []
    subscripts.touch(ctx, "write", subscripts.scalar_place(array, span))
    return [typed.Store(span, var, (), value)]


def report_scalar_in_grid(ctx: Ctx, target: ast.Name, declared: Span) -> None:
    ctx.diags.error(
        E0407, target.span, f"the kernel has one `{target.id}`, and every element would assign it",
        also=[(declared, f"`{target.id}` belongs to the kernel")],
        help="reduce over a dimension outside the grid, or give the local another name",
    )  # fmt: skip
    ctx.scopes.add_broken(Broken(target.id, target.span))  # in this grid it is what nobody knows


def report_axes(ctx: Ctx, value: typed.Expr, place: str, declared: Span) -> None:
    names = ", ".join(f"`{a.name}`" for a in sorted(value.type.axes, key=lambda a: a.name))
    one = "axis" if len(value.type.axes) == 1 else "axes"
    ctx.diags.error(
        E0310, value.span, f"the value has the {one} {names}, but {place}", also=[(declared, "declared here")],
        help="reduce it, for example with `sum(..., over=...)`, or keep it in a place that has the axis",
    )  # fmt: skip


def set_local(ctx: Ctx, target: ast.Name, value: typed.Expr) -> tuple[Local, typed.Expr] | None:
    """The local that `target` names, made where it is new, and the value as its type. None when reported."""
    entity = ctx.find(target.id)
    if isinstance(entity, Local) and not entity.is_param:
        local = entity
        if local.grid is None and ctx.grid is not None:
            report_scalar_in_grid(ctx, target, local.span)
            return None
    elif entity is None or isinstance(entity, Broken):
        local = _new_local(ctx, target, value)
    else:
        _refuse_name(ctx, target, entity)
        return None
    ctx.assign(local)
    local.overwritten = local.counts = None
    if is_error(value):
        local.var.type = typed.ValueType(ERROR) if not local.is_annotated else local.var.type
        return None
    ready = _for_annotated(ctx, local, value) if local.is_annotated else _joined(ctx, local, value)
    if is_error(ready) or not _axes_fit(ctx, local, value):
        return None
    local.value = integers.held(ctx, ready)
    return local, ready


def _refuse_name(ctx: Ctx, target: ast.Name, entity: object) -> None:
    match entity:
        case Local() | ScalarParam():
            ctx.diags.error(
                E0401, target.span, f"`{target.id}` is a parameter and keeps its value",
                also=[(entity.span, "declared here")], help="take another name for the local",
            )  # fmt: skip
        case Dim():
            ctx.diags.error(
                E0205, target.span, f"`{target.id}` is a dimension", also=[(entity.span, "declared here")],
                help="take another name",
            )  # fmt: skip
        case Index():
            ctx.diags.error(
                E0205, target.span, f"`{target.id}` is an index variable in use here",
                also=[(entity.span, f"`{target.id}` is bound here")], help="take another name",
            )  # fmt: skip
        case _:
            ctx.diags.error(E0205, target.span, f"`{target.id}` has another meaning here", help="take another name")


def _new_local(ctx: Ctx, target: ast.Name, value: typed.Expr) -> Local:
    known = ctx.local_types.get(id(target))
    if known is not None:
        ty, soft = known.type, known.adapts
    else:
        soft = ("float" if value.type.dtype.is_float else "int") if adapts(value) else ""
        ty = typed.ValueType(value.type.dtype, value.type.axes | ctx.mask)
    var = typed.LocalVar(target.id, _live_axes(ctx, ty), target.span)
    local = Local(var, id(target), ctx.grid, None, ctx.axes, soft)
    if known is None and not is_error(value):
        ctx.local_types[id(target)] = LocalType(ty, soft, value.span)
    ctx.scopes.add_local(local)
    ctx.infos[var] = local
    return local


def _live_axes(ctx: Ctx, ty: typed.ValueType) -> typed.ValueType:
    """Axes are made anew in each pass; those of an earlier pass are found again by name."""
    if not ty.axes:
        return ty
    here = {a.name: a for a in ctx.axes} | {a.name: a for a in ctx.wholes.values()}
    return typed.ValueType(ty.dtype, frozenset(here[a.name] for a in ty.axes if a.name in here))


def _for_annotated(ctx: Ctx, local: Local, value: typed.Expr) -> typed.Expr:
    dtype = local.var.type.dtype
    return coerce(ctx.diags, value, dtype, f", and `{local.name}` is {dtype}", (local.span, f"`{local.name}` is {dtype}"))


def _joined(ctx: Ctx, local: Local, value: typed.Expr) -> typed.Expr:
    """The value as the local's type, which widens where it has to (then the body is checked again)."""
    have, new = local.var.type.dtype, value.type.dtype
    if have is ERROR:
        local.var.type = typed.ValueType(new, value.type.axes)
        have = new
    merged, soft = _merged_type(ctx, local, value)
    if merged is None:
        first = ctx.local_types[local.key].span if local.key in ctx.local_types else local.span
        odd_bool = have.is_bool or new.is_bool
        ctx.diags.error(
            E0301 if odd_bool else E0302, value.span, f"`{local.name}` is {have}, and this is {new}",
            also=[(first, f"`{local.name}` is {have} here")], help="a local has one type: convert, or take another name",
        )  # fmt: skip
        local.var.type = typed.ValueType(ERROR)  # what follows from either type is no further mistake
        return error(value.span)
    axes = local.var.type.axes | value.type.axes | ctx.mask
    if merged != have or soft != local.adapts or axes != local.var.type.axes:
        ctx.needs_restart = True
        local.adapts = soft
        local.var.type = typed.ValueType(merged, axes)
        ctx.local_types[local.key] = LocalType(local.var.type, soft, value.span)
    return adapt(ctx.diags, value, merged) if adapts(value) else cast(value, merged)


def _merged_type(ctx: Ctx, local: Local, value: typed.Expr) -> tuple[DType | None, str]:
    have, new = local.var.type.dtype, value.type.dtype
    if local.adapts and adapts(value):
        real = have.is_float or new.is_float
        return (F64 if real else I64), ("float" if real else "int")
    if local.adapts:
        return (None if local.adapts == "float" and not new.is_float else None if new.is_bool else new), ""
    if adapts(value):
        return (None if not (have.is_int or have.is_float) or (new.is_float and have.is_int) else have), ""
    return numbers.common(have, new), ""


def _axes_fit(ctx: Ctx, local: Local, value: typed.Expr) -> bool:
    """A value's axes must be the local's, and must not end before it does (LANGUAGE 10)."""
    escaping = [a for a in value.type.axes if a.kind != "whole" and a not in local.outer_axes]
    if escaping:
        ctx.diags.error(
            E0310, value.span, f"the axis `{escaping[0].name}` ends with its loop, and `{local.name}` goes on",
            also=[(local.span, f"`{local.name}` begins here")],
            help=f"reduce over it: `sum(..., over={escaping[0].name})`",
        )  # fmt: skip
        return False
    if not local.is_annotated:
        return True
    missing = sorted((value.type.axes | ctx.mask) - local.var.type.axes, key=lambda a: a.name)
    if not missing:
        return True
    if missing[0] in value.type.axes:
        has = f"the value has the axis `{missing[0].name}`"
    else:
        has = f"the condition around differs along `{missing[0].name}`"
    ctx.diags.error(
        E0310, value.span, f"{has}, and `{local.name}` is declared without it",
        also=[(local.span, "declared here")],
        help=f"declare it as `{local.name}: {local.var.type.dtype}[{missing[0].name}]`",
    )  # fmt: skip
    return False
