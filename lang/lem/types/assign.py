"""Assignments: locals with their types, stores into arrays, updates of `reduce` arrays, declarations.

Takes ``a = e``, ``c[i, j] = e``, ``y[k] += e``, ``acc: f32[D] = 0``; gives typed statements (LANGUAGE 10, 13, 14, 16, 23).
"""

from __future__ import annotations

from lem.diagnostics.codes import (
    E0205,
    E0301,
    E0302,
    E0305,
    E0307,
    E0310,
    E0315,
    E0317,
    E0319,
    E0320,
    E0401,
    E0405,
    E0407,
    E0409,
)  # fmt: skip
from lem.names import Definition
from lem.source import Span
from lem.syntax import ast
from lem.types import (
    expressions,
    flow,
    fns,
    integers,
    kernel_calls,
    numbers,
    statements,
    subscripts,
    test_data,
    type_exprs,
    typed,
)  # fmt: skip
from lem.types.context import Ctx, LocalType, NotYet
from lem.types.convert import adapt, adapts, cast, coerce, error, is_error, settle
from lem.types.linear import Lin
from lem.types.numbers import ERROR
from lem.types.prove import classify_ge0
from lem.types.scope import Array, Broken, Dim, Index, Local, ScalarParam
from lem_runtime.abi.dtypes import F64, I64, DType

_UPDATES = {"+": "add", "|": "or", "&": "and"}
REDUCE_OPS = {"+": "add", "|": "or", "&": "and", "max": "max", "min": "min"}


def check_assign(ctx: Ctx, node: ast.Assign) -> list[typed.Stmt]:
    if isinstance(node.value, ast.Spawn):
        return statements.refuse_spawn(ctx, node.value)
    special = _assigned_call(ctx, node, node.value)
    if special is not None:
        return special
    if len(node.targets) > 1:
        return _check_several(ctx, node, node.value)
    target = node.targets[0]
    if isinstance(target, ast.Subscript):
        return _check_store(ctx, node.span, target, node.value)
    if isinstance(target, ast.Name):
        value = ctx.expr(node.value)
        return assign_name(ctx, node.span, target, value)
    _refuse_target(ctx, target)
    ctx.expr(node.value)
    return []


def _refuse_target(ctx: Ctx, target: ast.Expr) -> None:
    ctx.diags.error(E0319, target.span, "this cannot be assigned", help="assign a name or an element: `y[i] = ...`")


def _assigned_call(ctx: Ctx, node: ast.Assign, value: ast.Expr) -> list[typed.Stmt] | None:
    """Right-hand sides that are statements themselves: kernel calls, fns with several results, array data of tests."""
    if not isinstance(value, ast.Call):
        return None
    if ctx.kind == "test" and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        made = test_data.check_let(ctx, node.targets[0], value, node.span)
        if made is not None:
            return made
    if not isinstance(value.func, ast.Name | ast.Attribute):
        return None
    if isinstance(value.func, ast.Name):
        if ctx.find(value.func.id) is not None:
            return None
        found = ctx.module.own.get(value.func.id) or ctx.module.imported.get(value.func.id)
        if found is None and (value.func.id in ctx.session.handlers.builtins or len(node.targets) == 1):
            return None
        found = found or ctx.module.find(value.func.id)
    else:
        if not isinstance(value.func.value, ast.Name) or ctx.find(value.func.value.id) is not None:
            return None
        module = ctx.module.find(value.func.value.id)
        found = module.module.own.get(value.func.name) if module is not None and module.module else None
    if found is None or not isinstance(found.node, ast.Function):
        return None
    if found.node.kind == "fn":
        return _check_fn_results(ctx, node, value, found) if len(node.targets) > 1 else None
    return kernel_calls.check_statement(ctx, value, found, node.targets, node.span)


# ---------------------------------------------------------------- locals
def assign_name(ctx: Ctx, span: Span, target: ast.Name, value: typed.Expr) -> list[typed.Stmt]:
    """``name = value`` for a local or a scalar result."""
    entity = ctx.find(target.id)
    if isinstance(entity, Array):
        return _assign_array(ctx, span, target, entity, value)
    made = set_local(ctx, target, value)
    return [] if made is None else [typed.SetLocal(span, made[0].var, made[1])]


def _assign_array(ctx: Ctx, span: Span, target: ast.Name, array: Array, value: typed.Expr) -> list[typed.Stmt]:
    var = array.var
    if var.shape or var.effect != "result":
        colons = ", ".join(":" for _ in var.shape)
        if ctx.kind in ("task", "test"):
            raise NotYet("rebinding names of arrays", span)
        ctx.diags.error(
            E0315, target.span, f"`{array.name}` is a whole array", also=[(array.span, "declared here")],
            help=f"write an element, or all of them: `{array.name}[{colons}] = ...`",
        )  # fmt: skip
        return []
    if ctx.grid is not None:
        _report_scalar_in_grid(ctx, target, array.span)
        return []
    ctx.assign(var)
    value = coerce(ctx.diags, value, var.dtype, f", and `{array.name}` is {var.dtype}", (array.span, "declared here"))
    if is_error(value):
        return []
    if value.type.axes:
        _report_axes(ctx, value, f"`{array.name}` is one number", array.span)
        return []
    subscripts.touch(ctx, "write", subscripts.scalar_place(array, span))
    return [typed.Store(span, var, (), value)]


def _report_scalar_in_grid(ctx: Ctx, target: ast.Name, declared: Span) -> None:
    ctx.diags.error(
        E0407, target.span, f"the kernel has one `{target.id}`, and every element would assign it",
        also=[(declared, f"`{target.id}` belongs to the kernel")],
        help="reduce over a dimension outside the grid, or give the local another name",
    )  # fmt: skip


def _report_axes(ctx: Ctx, value: typed.Expr, place: str, declared: Span) -> None:
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
            _report_scalar_in_grid(ctx, target, local.span)
            return None
    elif entity is None or isinstance(entity, Broken):
        local = _new_local(ctx, target, value)
    else:
        _refuse_name(ctx, target, entity)
        return None
    ctx.assign(local)
    local.overwritten = None
    if is_error(value):
        local.var.type = typed.ValueType(ERROR) if not local.is_annotated else local.var.type
        return None
    ready = _for_annotated(ctx, local, value) if local.is_annotated else _joined(ctx, local, value)
    if is_error(ready) or not _axes_fit(ctx, local, value):
        return None
    local.value = integers.linear(ctx, ready)
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
    ctx.scopes.add(local)
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
        return (None if have.is_bool or (new.is_float and have.is_int) else have), ""
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
        also=[(local.span, "declared here")], help=f"declare it as `{local.name}: {local.var.type.dtype}[{missing[0].name}]`",
    )  # fmt: skip
    return False


# ---------------------------------------------------------------- several targets
def _check_several(ctx: Ctx, node: ast.Assign, value: ast.Expr) -> list[typed.Stmt]:
    """``a, b = x, y``: all right-hand sides first."""
    if not isinstance(value, ast.TupleExpr) or len(value.items) != len(node.targets):
        n = len(value.items) if isinstance(value, ast.TupleExpr) else 1
        ctx.diags.error(E0307, value.span, f"expected {len(node.targets)} values, found {n}")
        if not isinstance(value, ast.TupleExpr):
            ctx.expr(value)
        return []
    arrays = [t for t in node.targets if isinstance(t, ast.Name) and isinstance(ctx.find(t.id), Array)]
    if arrays and ctx.kind in ("task", "test"):
        raise NotYet("rebinding names of arrays", node.span)
    values = [ctx.expr(v) for v in value.items]
    if all(isinstance(t, ast.Name) for t in node.targets):
        made = [set_local(ctx, t, v) for t, v in zip(node.targets, values, strict=True) if isinstance(t, ast.Name)]
        pairs = [m for m in made if m is not None]
        if len(pairs) < len(values):
            return []
        return [typed.SetLocals(node.span, tuple(p[0].var for p in pairs), tuple(p[1] for p in pairs))]
    return _several_places(ctx, node, values)


def _several_places(ctx: Ctx, node: ast.Assign, values: list[typed.Expr]) -> list[typed.Stmt]:
    """With elements among the targets (``x[i], x[j] = x[j], x[i]``): values go through locals of their own."""
    if is_error(*values):
        return []
    values = [settle(v) for v in values]
    held = tuple(typed.LocalVar(f"value{n}", v.type, v.span) for n, v in enumerate(values))
    out: list[typed.Stmt] = [typed.SetLocals(node.span, held, tuple(values))]
    for target, local in zip(node.targets, held, strict=True):
        ref = typed.LocalRef(local.span, local.type, local)
        if isinstance(target, ast.Name):
            out.extend(assign_name(ctx, node.span, target, ref))
        elif isinstance(target, ast.Subscript):
            array = subscripts.array_named(ctx, target.value)
            if array is not None:
                out.extend(store(ctx, node.span, array, target, ref))
        else:
            _refuse_target(ctx, target)
    return out


def _check_fn_results(ctx: Ctx, node: ast.Assign, call: ast.Call, found: Definition) -> list[typed.Stmt]:
    """``a, b = f(x)``."""
    made = fns.instantiate_call(ctx, call, found)
    if made is None:
        for t in node.targets:
            if isinstance(t, ast.Name):
                set_local(ctx, t, error(t.span))
        return []
    instance, args = made
    if len(instance.results) != len(node.targets):
        ctx.diags.error(
            E0307, node.span, f"`{found.name}` returns {len(instance.results)} values, and {len(node.targets)} are assigned"
        )
        return []
    targets: list[typed.LocalVar | None] = []
    after: list[typed.Stmt] = []
    for n, target in enumerate(node.targets):
        ty = fns.result_type(instance, n, args)
        held = typed.LocalVar(target.id if isinstance(target, ast.Name) else f"value{n}", ty, target.span)
        ref = typed.LocalRef(target.span, ty, held)
        targets.append(held)
        if isinstance(target, ast.Name):
            if target.id != "_":
                after.extend(assign_name(ctx, node.span, target, ref))
        elif isinstance(target, ast.Subscript):
            array = subscripts.array_named(ctx, target.value)
            if array is not None:
                after.extend(store(ctx, node.span, array, target, ref))
        else:
            _refuse_target(ctx, target)
    return [typed.CallFnStmt(node.span, tuple(targets), instance, args), *after]


# ---------------------------------------------------------------- stores
def _check_store(ctx: Ctx, span: Span, target: ast.Subscript, value: ast.Expr) -> list[typed.Stmt]:
    if _is_unique_or_view(target.value):
        raise NotYet("`unique`", target.value.span)
    array = subscripts.array_named(ctx, target.value)
    if array is None:
        ctx.expr(value)
        return []
    if array.var.effect == "reduce":
        return _reduce_store(ctx, span, array, target, value)
    return store(ctx, span, array, target, ctx.expr(value))


def _is_unique_or_view(node: ast.Expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "unique"


def may_write(ctx: Ctx, array: Array, target: ast.Subscript) -> bool:
    """Whether this code may write the array at all."""
    if ctx.kind == "fn":
        ctx.diags.error(
            E0319, target.span, "an fn stores nothing", help="return the value, and store it in the kernel"
        ) if array.var.kind != "local" else None
        return array.var.kind == "local"
    if ctx.kind in ("task", "test"):
        ctx.diags.error(
            E0409, target.span, f"a {ctx.kind} stores no elements", help="write a kernel that does, and call it"
        )
        return False
    if array.var.effect == "read":
        ctx.diags.error(
            E0401, target.span, f"`{array.name}` is only read, and this writes it",
            also=[(array.span, f"`{array.name}` has no effect written here")],
            help=f"declare it `{array.name}: out ...`, or `inout` if it is also read",
        )  # fmt: skip
        return False
    return True


def store(ctx: Ctx, span: Span, array: Array, target: ast.Subscript, value: typed.Expr) -> list[typed.Stmt]:
    """``array[...] = value``."""
    allowed = may_write(ctx, array, target)
    place = subscripts.check_place(ctx, array, target)
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
    if extra:
        _report_axes(ctx, value, f"`{place.span.text}` is a place without it", place.array.span)
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
    if isinstance(target, ast.Name):
        entity = ctx.find(target.id)
        if isinstance(entity, Local) and entity.grid is None and ctx.grid is not None:
            ctx.expr(node.value)
            _report_scalar_in_grid(ctx, target, entity.span)
            return []
        old = ctx.expr(target)
        value = expressions.binary(ctx, node.span, node.op, node.span, old, ctx.expr(node.value))
        if is_error(old):
            return []
        return assign_name(ctx, node.span, target, value)
    if not isinstance(target, ast.Subscript):
        _refuse_target(ctx, target)
        return []
    if _is_unique_or_view(target.value):
        raise NotYet("`unique`", target.value.span)
    array = subscripts.array_named(ctx, target.value)
    value = ctx.expr(node.value)
    if array is None:
        return []
    if array.var.effect == "reduce":
        return _update(ctx, node.span, array, target, _UPDATES.get(node.op, node.op), value)
    allowed = may_write(ctx, array, target)
    place = subscripts.check_place(ctx, array, target)
    if place is None or not allowed:
        return []
    old = subscripts.load(ctx, target.span, place)
    return store_at(ctx, node.span, place, expressions.binary(ctx, node.span, node.op, node.span, old, value))


def _reduce_store(
    ctx: Ctx, span: Span, array: Array, target: ast.Subscript, value: ast.Expr
) -> list[typed.Stmt]:
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


def _update(
    ctx: Ctx, span: Span, array: Array, target: ast.Subscript, op: str, value: typed.Expr
) -> list[typed.Stmt]:
    wanted = REDUCE_OPS.get(array.var.reduce_op)
    if op != wanted:
        _wrong_update(ctx, span, array, "this is another operation")
        return []
    if ctx.kind in ("task", "test", "fn"):
        may_write(ctx, array, target)
        return []
    place = subscripts.check_place(ctx, array, target)
    if place is None or is_error(value):
        return []
    dtype = array.var.dtype
    if op in ("or", "and") and dtype.is_float:
        ctx.diags.error(E0317, span, f"`{array.var.reduce_op}` does not take {dtype}")
        return []
    subscripts.touch(ctx, "update", place)
    # The sum is formed in the array's own type: `h[k] += 1` on u8 wraps as u8.
    ready = coerce(ctx.diags, value, dtype, f", and `{array.name}` holds {dtype}", (array.span, f"`{array.name}` is {dtype}"))
    # An update may have more axes than its place: all positions of them are combined.
    return [] if is_error(ready) else [typed.Update(span, op, array.var, place.subs, ready)]


# ---------------------------------------------------------------- declarations
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
    if node.type.sizes is None:
        if node.effect:
            ctx.diags.error(E0305, node.type.span, "`reduce` is an effect of arrays, and this is one value")
        return _declare_value(ctx, node, typed.ValueType(dtype), value)
    if ctx.in_sequence or _is_subscripted(ctx, node.name.id):
        return _declare_array(ctx, node, dtype, node.type.sizes, value)
    axes = _declared_axes(ctx, node.type.sizes)
    if axes is None:
        ctx.scopes.add(Broken(node.name.id, node.name.span))
        return []
    return _declare_value(ctx, node, typed.ValueType(dtype, axes), value)


def _is_subscripted(ctx: Ctx, name: str) -> bool:
    if ctx.subscripted is None:
        ctx.subscripted = flow.subscripted_names(ctx.owner.body) if ctx.owner else set()
    return name in ctx.subscripted


def _declare_value(
    ctx: Ctx, node: ast.Declare, ty: typed.ValueType, value: typed.Expr | None
) -> list[typed.Stmt]:
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
        size = type_exprs.size_of(ctx, node)
        if size is None:
            x = expressions.check_int(ctx, node, "a size")
            if not is_error(x):
                ctx.diags.error(
                    E0310, node.span, "an axis of a local has the size of a dimension",
                    help="subscript the local to make it a small array",
                )  # fmt: skip
            return None
        axis = ctx.whole_axis(size, node.span.text, size)
        if axis in axes:
            ctx.diags.error(E0310, node.span, f"the local already has the axis `{axis.name}`")
            return None
        axes.add(axis)
    return frozenset(axes)


def _declare_array(
    ctx: Ctx, node: ast.Declare, dtype: DType, sizes: tuple[ast.Expr, ...], value: typed.Expr | None
) -> list[typed.Stmt]:
    """A temporary of sequential code, or an element's own small array."""
    shapes = [type_exprs.size_of(ctx, s) for s in sizes]
    exprs = [expressions.check_int(ctx, s, "a size") for s in sizes]
    kind = "temp" if ctx.in_sequence else "local"
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
        node.reduce_op,
    )  # fmt: skip
    fill: typed.Expr | None = None
    if value is not None:
        fill = coerce(ctx.diags, value, dtype, f", and `{var.name}` holds {dtype}", (node.name.span, "declared here"))
        if not is_error(fill) and fill.type.axes:
            _report_axes(ctx, fill, "a declaration fills all elements alike", node.name.span)
            fill = None
    array = Array(var, tuple(forms))
    ctx.scopes.add(array)
    ctx.arrays[var] = array.sizes
    if node.value is not None and (fill is None or is_error(fill)):
        return []
    return [typed.MakeArray(node.span, var, tuple(exprs), fill)]

