"""`check`, the assertion of tests (LANGUAGE 32, 38).

Takes ``check a == b within 1e-6`` and ``check fails "E0601": call``; gives typed statements.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0301, E0313, E0319
from lem.names import Definition
from lem.syntax import ast
from lem.types import calls, expressions, kernel_calls, parts, typed
from lem.types.array_data import check_let
from lem.types.context import Ctx
from lem.types.convert import Literal, agree, is_error
from lem.types.scope import Array, Local


def check_check(ctx: Ctx, node: ast.Check) -> list[typed.Stmt]:
    if ctx.kind != "test":
        ctx.diags.error(
            E0319, node.span, f"`check` belongs to tests, and this is a {ctx.kind}", help="`assert` states what must hold"
        )
        return []
    if node.fails is not None:
        return _check_fails(ctx, node)
    within = _within(ctx, node)
    before: list[typed.Stmt] = []
    if isinstance(node.cond, ast.Compare) and node.cond.ops == ("==",):
        left = _side(ctx, node.cond.left, before)
        right = _side(ctx, node.cond.rights[0], before)
        return _check_equal(ctx, node, left, right, within, before)
    if node.within is not None:
        ctx.diags.error(E0319, node.within.span, "`within` needs two sides to compare", help="write `check a == b within t`")
        return []
    cond = expressions.check_condition(ctx, node.cond, "`check`")
    return [] if is_error(cond) else [typed.Check(node.span, cond, None, None)]


def _within(ctx: Ctx, node: ast.Check) -> float | None:
    if node.within is None:
        return None
    x = ctx.expr(node.within)
    if isinstance(x, Literal):
        return float(x.value)
    if not is_error(x):
        ctx.diags.error(E0301, node.within.span, "a tolerance is a literal or a constant")
    return None


def _side(ctx: Ctx, node: ast.Expr, before: list[typed.Stmt]) -> typed.Expr | typed.ArrayVar | None:
    """One side: a whole array, a kernel's result, array data, or a value."""
    if isinstance(node, ast.Name):
        entity = ctx.find(node.id)
        if isinstance(entity, Array):
            return entity.var
    if parts.is_part(ctx, node):
        assert isinstance(node, ast.Subscript)
        part = parts.check_part(ctx, node, before)
        return None if part is None else part.var
    if isinstance(node, ast.Call):
        name = ast.Name(node.span, f"check{len(ctx.scopes.stack[-1])}")
        stmts = check_let(ctx, name, node, node.span)
        if stmts is None:
            found = _kernel(ctx, node)
            if found is not None:
                stmts = kernel_calls.check_statement(ctx, node, found, (name,), node.span)
        if stmts is not None:
            before.extend(stmts)
            return _named(ctx, name)
    x = ctx.expr(node)
    return None if is_error(x) else x


def _named(ctx: Ctx, name: ast.Name) -> typed.Expr | typed.ArrayVar | None:
    entity = ctx.find(name.id)
    if isinstance(entity, Array):
        return entity.var
    return expressions.read_local(ctx, name.span, entity) if isinstance(entity, Local) else None


def _kernel(ctx: Ctx, node: ast.Call) -> Definition | None:
    func = node.func
    found = None
    if isinstance(func, ast.Name) and ctx.find(func.id) is None:
        found = ctx.module.own.get(func.id) or ctx.module.imported.get(func.id)
    elif isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id != "random":
        found = calls.definition_of_attribute(ctx, func)
    return found if found and isinstance(found.node, ast.Function) and found.node.kind != "fn" else None


def _check_equal(
    ctx: Ctx,
    node: ast.Check,
    left: typed.Expr | typed.ArrayVar | None,
    right: typed.Expr | typed.ArrayVar | None,
    within: float | None,
    before: list[typed.Stmt],
) -> list[typed.Stmt]:
    if left is None or right is None:
        return []
    if isinstance(left, typed.ArrayVar) and isinstance(right, typed.ArrayVar):
        if left.dtype != right.dtype:
            ctx.diags.error(E0301, node.cond.span, f"arrays of {left.dtype} and {right.dtype} are never equal")
            return []
        if len(left.shape) != len(right.shape):
            n, m = len(left.shape), len(right.shape)
            ctx.diags.error(E0313, node.cond.span, f"arrays with {n} and {m} axes are never equal")
            return []
        return [*before, typed.Check(node.span, left, right, within)]
    if isinstance(left, typed.ArrayVar) or isinstance(right, typed.ArrayVar):
        ctx.diags.error(E0301, node.cond.span, "one side is a whole array, the other one value")
        return []
    if left.type.dtype.is_bool and right.type.dtype.is_bool:
        return [*before, typed.Check(node.span, left, right, within)]
    both = agree(ctx.diags, node.cond.span, left, right, "`==`")
    return [] if both is None else [*before, typed.Check(node.span, both[0], both[1], within)]


def _check_fails(ctx: Ctx, node: ast.Check) -> list[typed.Stmt]:
    """``check fails "E0601": call``."""
    found = _kernel(ctx, node.cond) if isinstance(node.cond, ast.Call) else None
    if found is None or not isinstance(node.cond, ast.Call):
        ctx.diags.error(E0319, node.cond.span, "`check fails` needs the call of a kernel or task")
        return []
    ctx.expects_fault = True
    with ctx.not_ahead():
        stmts = kernel_calls.check_statement(ctx, node.cond, found, (), node.span)
    ctx.expects_fault = False
    call = next((s for s in stmts if isinstance(s, typed.CallKernel)), None)
    if call is None:
        return []
    before = tuple(stmts[: stmts.index(call)])  # views that leave their array fail too
    return [typed.Check(node.span, None, None, None, node.fails, call, before)]
