"""What Python spells otherwise than a ``.lem`` file (LANGUAGE 22): ``y = spawn(f(x), on=gpu)`` is ``y = spawn f(x) on gpu``,
``check(a == b, within=t)`` is ``check a == b within t``.

Takes the statements of a body, in which names are lem's already; rewrites them in place.
"""

from __future__ import annotations

from dataclasses import fields

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0104
from lem.syntax import ast

_WORDS = ("on", "near", "priority", "objective")


def respell(body: tuple[ast.Stmt, ...], diags: Diagnostics, *, in_test: bool = False) -> tuple[ast.Stmt, ...]:
    """Turn calls of ``spawn``, and of ``check`` in tests, into what they mean; reports those that say something else."""
    for stmt in body:
        for node in ast.walk(stmt):
            if isinstance(node, (ast.ExprStmt, ast.Assign)) and _is_call(node.value, "spawn"):
                assert isinstance(node.value, ast.Call)
                node.value = _spawn(node.value, diags)
            elif isinstance(node, ast.Declare):
                _reduce(node)
    return _checked(body, diags) if in_test else body


def _checked(body: tuple[ast.Stmt, ...], diags: Diagnostics) -> tuple[ast.Stmt, ...]:
    """Statements with each ``check(...)`` as lem's statement, in the blocks of others too."""
    for stmt in body:
        for f in fields(stmt):
            inner = getattr(stmt, f.name)
            if isinstance(inner, tuple) and inner and all(isinstance(s, ast.Stmt) for s in inner):
                setattr(stmt, f.name, _checked(inner, diags))
    return tuple(_check(s, s.value, diags) if _is_check(s) else s for s in body)  # type: ignore[attr-defined]


def _is_check(node: ast.Stmt) -> bool:
    return isinstance(node, ast.ExprStmt) and _is_call(node.value, "check")


def _check(stmt: ast.Stmt, call: ast.Call, diags: Diagnostics) -> ast.Stmt:
    given = {k.name: k.value for k in call.keywords}
    fails = given.get("fails")
    if len(call.args) != 1 or not given.keys() <= {"within", "fails"} or not isinstance(fails, (ast.String, type(None))):
        odd = next((k.name_span for k in call.keywords if k.name not in ("within", "fails")), call.span)
        diags.error(
            E0104, odd, "`check` takes one condition or call, and what is allowed of it",
            help='write `check(a == b)`, `check(a == b, within=1e-6)` or `check(f(x), fails="E0601")`',
        )  # fmt: skip
        return stmt
    return ast.Check(stmt.span, call.args[0], given.get("within"), fails.value if fails is not None else None)


def _reduce(node: ast.Declare) -> None:
    """``t: reduce["+", f32[K]] = 0`` is ``t: reduce(+) f32[K] = 0``."""
    op, inner = node.type.sizes if node.type.sizes is not None and len(node.type.sizes) == 2 else (None, None)
    if node.type.name == "reduce" and isinstance(op, ast.String) and isinstance(inner, ast.Subscript):
        node.effect, node.reduce_op = "reduce", op.value
        node.type = ast.TypeExpr(inner.span, inner.value.span.text, inner.items, ())


def _is_call(node: ast.Node, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


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
