"""Assignments: which of the many things an ``=`` can mean is meant.

Takes ``a = e``, ``a, b = x, y``, ``c[i, j] = e``, ``y = kernel(x)``; gives typed statements. Locals stand in
``locals.py``, stores in ``stores.py``, calls of kernels in ``kernel_calls.py``.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0307, E0315
from lem.names import Definition
from lem.syntax import ast
from lem.types import array_data, blocks, fns, kernel_calls, parts, shapes, spawns, stores, subscripts, typed
from lem.types.context import Ctx
from lem.types.convert import error, is_error, settle
from lem.types.locals import assign_name, check_array_target, set_local
from lem.types.scope import Array
from lem.types.stores import refuse_target


def check_assign(ctx: Ctx, node: ast.Assign) -> list[typed.Stmt]:
    if isinstance(node.value, ast.Spawn):
        return spawns.check_spawn(ctx, node.value, node.targets, node.span)
    if blocks.is_blocks(ctx, node.value) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        assert isinstance(node.value, ast.Call)
        return parts.check_blocks(ctx, node.value, node.targets[0])
    special = parts.check_assigned(ctx, node)
    if special is None:
        special = _assigned_call(ctx, node, node.value)
    if special is not None:
        return special
    if len(node.targets) > 1:
        return _check_several(ctx, node, node.value)
    target = node.targets[0]
    if isinstance(target, ast.Subscript):
        return stores.check_store(ctx, node.span, target, node.value)
    if isinstance(target, ast.Name):
        if not check_array_target(ctx, target):
            return []
        value = ctx.expr(node.value)
        return assign_name(ctx, node.span, target, value)
    refuse_target(ctx, target)
    ctx.expr(node.value)
    return []


def _assigned_call(ctx: Ctx, node: ast.Assign, value: ast.Expr) -> list[typed.Stmt] | None:
    """Right-hand sides that are statements themselves: kernel calls, fns with several results, array data of tests."""
    if not isinstance(value, ast.Call):
        return None
    if ctx.kind == "test" and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        made = array_data.check_let(ctx, node.targets[0], value, node.span)
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


# ---------------------------------------------------------------- several targets
def _check_several(ctx: Ctx, node: ast.Assign, value: ast.Expr) -> list[typed.Stmt]:
    """``a, b = x, y``: all right-hand sides first."""
    if shapes.is_shape(ctx, value):
        assert isinstance(value, ast.Attribute)
        return _check_shape(ctx, node, value)
    if not isinstance(value, ast.TupleExpr) or len(value.items) != len(node.targets):
        n = len(value.items) if isinstance(value, ast.TupleExpr) else 1
        if isinstance(value, ast.TupleExpr) or not is_error(ctx.expr(value)):
            ctx.diags.error(E0307, value.span, f"expected {len(node.targets)} values, found {n}")
        for t in node.targets:
            if isinstance(t, ast.Name) and ctx.find(t.id) is None:
                set_local(ctx, t, error(t.span))
        return []
    named = [(t, ctx.find(t.id)) for t in node.targets if isinstance(t, ast.Name)]
    arrays = [t for t, found in named if isinstance(found, Array) and found.sizes]
    if arrays and ctx.kind in ("task", "test"):
        ctx.diags.error(
            E0315, node.span, f"`{arrays[0].id}` is an array, and not all of these are",
            help="swap arrays by their names: `a, b = b, a`",
        )  # fmt: skip
        return []
    values = [ctx.expr(v) for v in value.items]
    if all(isinstance(t, ast.Name) and not isinstance(ctx.find(t.id), Array) for t in node.targets):
        made = [set_local(ctx, t, v) for t, v in zip(node.targets, values, strict=True) if isinstance(t, ast.Name)]
        pairs = [m for m in made if m is not None]
        if len(pairs) < len(values):
            return []
        return [typed.SetLocals(node.span, tuple(p[0].var for p in pairs), tuple(p[1] for p in pairs))]
    return _several_places(ctx, node, values)


def _check_shape(ctx: Ctx, node: ast.Assign, value: ast.Attribute) -> list[typed.Stmt]:
    """``m, n = a.shape``."""
    sizes = shapes.sizes_of(ctx, value)
    if sizes is None:
        return []
    if len(sizes) != len(node.targets):
        ctx.diags.error(E0307, value.span, f"expected {len(node.targets)} values, found {len(sizes)} axes")
        return []
    return _several_places(ctx, node, sizes)


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
                out.extend(stores.store(ctx, node.span, array, target, ref))
        else:
            refuse_target(ctx, target)
    return out


def _check_fn_results(ctx: Ctx, node: ast.Assign, call: ast.Call, found: Definition) -> list[typed.Stmt]:
    """``a, b = f(x)``."""
    before: list[typed.Stmt] = []
    made = fns.instantiate_call(ctx, call, found, before)
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
        for t in node.targets:
            if isinstance(t, ast.Name):
                set_local(ctx, t, error(t.span))
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
                after.extend(stores.store(ctx, node.span, array, target, ref))
        else:
            refuse_target(ctx, target)
    return [*before, typed.CallFnStmt(node.span, tuple(targets), instance, args), *after]
