"""What Python spells otherwise than a ``.lem`` file (LANGUAGE 22): ``y = spawn(f(x), on=gpu)`` is ``y = spawn f(x) on gpu``.

Takes the statements of a body, in which names are lem's already; rewrites them in place.
"""

from __future__ import annotations

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0104
from lem.syntax import ast

_WORDS = ("on", "near", "priority", "objective")


def respell(body: tuple[ast.Stmt, ...], diags: Diagnostics) -> None:
    """Turn calls of ``spawn`` into what they mean; reports those that say something else."""
    for stmt in body:
        for node in ast.walk(stmt):
            if isinstance(node, (ast.ExprStmt, ast.Assign)) and _is_spawn(node.value):
                assert isinstance(node.value, ast.Call)
                node.value = _spawn(node.value, diags)


def _is_spawn(node: ast.Node) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "spawn"


def _spawn(node: ast.Call, diags: Diagnostics) -> ast.Expr | ast.Spawn:
    given = {k.name: k.value for k in node.keywords}
    odd = next((k for k in node.keywords if k.name not in _WORDS), None)
    objective = given.get("objective")
    is_text = objective is None or isinstance(objective, ast.String)
    if odd is not None or len(node.args) != 1 or not is_text:
        diags.error(
            E0104, odd.name_span if odd is not None else node.span, "`spawn` takes one call, and says how to run it",
            help='write `spawn(f(x))`, or `spawn(f(x), on=gpu, near=a, priority=2, objective="energy")`',
        )  # fmt: skip
        return node
    text = objective.value if isinstance(objective, ast.String) else ""
    return ast.Spawn(node.span, node.args[0], given.get("on"), given.get("near"), given.get("priority"), text)


__all__ = ["respell"]
