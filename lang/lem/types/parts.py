"""Which part of an array an expression names: a view, a block, or the array itself (LANGUAGE 19, 21).

Takes an argument, what stands before brackets, or the first argument of `blocks`; gives an :class:`Array`. Views stand in
``views.py``, blocks in ``blocks.py``.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0307
from lem.syntax import ast
from lem.types import blocks, calls, rebinding, subscripts, typed, views
from lem.types.context import Ctx
from lem.types.scope import Array, Blocks, Broken


def is_part(ctx: Ctx, node: ast.Expr) -> bool:
    """Whether an expression names a part of an array: brackets with a slice in them, or one of its blocks."""
    if not isinstance(node, ast.Subscript):
        return False
    of_blocks = isinstance(node.value, ast.Name) and isinstance(ctx.find(node.value.id), Blocks)
    return of_blocks or any(isinstance(i, ast.Slice) for i in node.items)


def check_part(ctx: Ctx, node: ast.Subscript, out: list[typed.Stmt]) -> Array | None:
    """A part of an array; what makes it is added to `out`. None when anything was reported."""
    cut = ctx.find(node.value.id) if isinstance(node.value, ast.Name) else None
    if isinstance(cut, Blocks):
        return blocks.check_block(ctx, node, cut, out)
    base = array_of(ctx, node.value, out)
    return None if base is None else views.check_cuts(ctx, base, node, out)


def array_of(ctx: Ctx, node: ast.Expr, out: list[typed.Stmt]) -> Array | None:
    """The array that an expression names, whole or in part."""
    if is_part(ctx, node) and isinstance(node, ast.Subscript):
        return check_part(ctx, node, out)
    return subscripts.array_named(ctx, node)


def check_assigned(ctx: Ctx, node: ast.Assign) -> list[typed.Stmt] | None:
    """``u = a``, ``v = a[lo:hi, j]`` and ``a, b = b, a`` for arrays in tasks; None when something else is assigned."""
    if ctx.kind not in ("task", "test") or isinstance(node.value, ast.Spawn):
        return None
    values = node.value.items if isinstance(node.value, ast.TupleExpr) else (node.value,)
    targets = [t for t in node.targets if isinstance(t, ast.Name)]
    if not all(_names_array(ctx, v) for v in values) or not len(targets) == len(node.targets) == len(values):
        return None
    out: list[typed.Stmt] = []
    arrays = [array_of(ctx, v, out) for v in values]
    made = [a for a in arrays if a is not None]
    if len(made) < len(arrays):
        for target in targets:
            if ctx.find(target.id) is None:
                ctx.scopes.add(Broken(target.id, target.span))
        return []
    changes = rebinding.is_rebound(ctx, targets[0].id) or made[0].var.root.kind == "name"
    if len(targets) > 1 or changes or not isinstance(ctx.find(targets[0].id), Broken | None):
        return [*out, *rebinding.bind(ctx, node.span, targets, made)]
    ctx.scopes.add(made[0], targets[0].id)  # one more name, which stays
    return out


def _names_array(ctx: Ctx, node: ast.Expr) -> bool:
    entity = ctx.find(node.id) if isinstance(node, ast.Name) else None
    return is_part(ctx, node) or (isinstance(entity, Array) and bool(entity.var.shape))


def check_call(ctx: Ctx, node: ast.Call) -> typed.Expr:
    """A call as a value, which blocks of an array are not."""
    return blocks.refuse(ctx, node) if blocks.is_blocks(ctx, node) else calls.check_call(ctx, node)


def check_blocks(ctx: Ctx, node: ast.Call, target: ast.Name) -> list[typed.Stmt]:
    """``t = blocks(a, n0, n1)``."""
    out: list[typed.Stmt] = []
    if not node.args or node.keywords:
        ctx.diags.error(E0307, node.span, "`blocks` takes an array and one size per axis", help="write `blocks(a, n0, n1)`")
        base = None
    else:
        base = array_of(ctx, node.args[0], out)
    if base is not None:
        base = rebinding.held(ctx, node.span, f"{target.id}.array", base, out)
        return blocks.check_blocks(ctx, base, node, target, out)
    if ctx.find(target.id) is None:
        ctx.scopes.add(Broken(target.id, target.span))
    return []
