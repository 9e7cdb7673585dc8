"""Cut what is nested too deeply, so that the stages after this one can walk trees by plain recursion.

Takes a finished tree and the places where the lexer saw very long lines or very deep blocks (nothing else can be too
deep, so ordinary programs are not walked at all); deep parts are reported as E0108 and become error nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0108
from lem.syntax import ast

# Together with the frames of a caller both stay far inside Python's limit of 1,000, at three frames per level.
MAX_EXPRESSION = 100
MAX_BLOCKS = 50
_BLOCK_COST, _ELIF_COST = 2, 1  # an `elif` is an If in the tree, but reads as the same level

_HELP_EXPRESSION = "give a part of it a name, on a line of its own"
_HELP_BLOCK = "move the inner blocks into an `fn`"


def cut_deep_parts(root: ast.Node, suspects: Sequence[int], diags: Diagnostics) -> None:
    """Cut below the items of a module that hold one of the offsets `suspects`."""
    items = root.items if isinstance(root, ast.Module) else (root,)
    for item in items:
        if any(item.span.start <= offset <= item.span.end for offset in suspects):
            cut_deep(item, diags)


def cut_deep(root: ast.Node, diags: Diagnostics) -> None:
    """Replace all that stands too deep below `root`; one report for each statement (or block) that is cut."""
    stack: list[tuple[ast.Node, int, int]] = [(root, 0, 0)]  # node, cost of the blocks around it, depth of expression
    while stack:
        node, blocks, depth = stack.pop()
        for f in fields(node):
            value = getattr(node, f.name)
            if isinstance(value, ast.Node):
                if _is_too_deep(value, blocks, depth, diags):
                    setattr(node, f.name, ast.ErrorExpr(value.span))
                else:
                    stack.append(_entered(node, value, blocks, depth))
            elif isinstance(value, tuple) and value and isinstance(value[0], ast.Node):
                kept = [_cut(item, blocks, depth, diags) for item in value]
                if any(new is not old for new, old in zip(kept, value, strict=True)):
                    setattr(node, f.name, tuple(kept))
                stack.extend(_entered(node, item, blocks, depth) for item in kept)


def _entered(parent: ast.Node, node: ast.Node, blocks: int, depth: int) -> tuple[ast.Node, int, int]:
    if not isinstance(node, ast.Stmt):
        return node, blocks, depth + 1 + _length(parent)
    is_elif = isinstance(parent, ast.If) and isinstance(node, ast.If) and parent.orelse == (node,)
    return node, blocks + (_ELIF_COST if is_elif else _BLOCK_COST), 0


def _length(node: ast.Node) -> int:
    """Levels that a chain has beyond its own: one node here, it becomes a nest of pairs in the stages that follow."""
    if isinstance(node, ast.Logic):
        return len(node.operands) - 2
    return len(node.ops) - 1 if isinstance(node, ast.Compare) else 0


def _is_too_deep(node: ast.Node, blocks: int, depth: int, diags: Diagnostics) -> bool:
    if next(ast.children(node), None) is None:
        return False  # nothing below it: its parent was let through, so may it be
    if isinstance(node, ast.Stmt):
        if blocks < MAX_BLOCKS * _BLOCK_COST:
            return False
        diags.error(E0108, node.span, f"this stands in more than {MAX_BLOCKS} blocks", help=_HELP_BLOCK)
        return True
    if depth + _length(node) < MAX_EXPRESSION or not isinstance(node, ast.Expr):
        return False
    diags.error(E0108, node.span, f"this stands more than {MAX_EXPRESSION} levels deep", help=_HELP_EXPRESSION)
    return True


def _cut(node: ast.Node, blocks: int, depth: int, diags: Diagnostics) -> ast.Node:
    if not _is_too_deep(node, blocks, depth, diags):
        return node
    return ast.ErrorStmt(node.span) if isinstance(node, ast.Stmt) else ast.ErrorExpr(node.span)
