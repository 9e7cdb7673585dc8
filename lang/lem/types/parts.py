"""Which part of an array an expression names: a view, a block, or the array itself (LANGUAGE 19, 21).

Takes an argument, what stands before brackets, or the first argument of `blocks`; gives an :class:`Array`. Views stand in
``views.py``, blocks in ``blocks.py``.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0205, E0307
from lem.syntax import ast
from lem.types import blocks, calls, rebinding, subscripts, typed, views
from lem.types.context import Ctx, NotYet
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


def check_named(ctx: Ctx, node: ast.Assign) -> list[typed.Stmt] | None:
    """``v = a[lo:hi, j]`` in a task; None when something else is assigned."""
    value, target = node.value, node.targets[0]
    if ctx.kind not in ("task", "test") or not isinstance(value, ast.Subscript) or not is_part(ctx, value):
        return None
    if len(node.targets) > 1 or not isinstance(target, ast.Name):
        return None
    out: list[typed.Stmt] = []
    array = check_part(ctx, value, out)
    taken = ctx.find(target.id)
    if array is None:
        if taken is None:
            ctx.scopes.add(Broken(target.id, target.span))
        return []
    if rebinding.is_rebound(ctx, target.id) or array.var.root.kind == "name":
        raise NotYet("names that change, for parts of arrays", node.span)
    if taken is not None and not isinstance(taken, Broken):
        ctx.diags.error(
            E0205, target.span, f"`{target.id}` has another meaning here", also=[(taken.span, "declared here")],
            help="take another name for the view",
        )  # fmt: skip
        return []
    ctx.scopes.add(array, target.id)
    return out


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
