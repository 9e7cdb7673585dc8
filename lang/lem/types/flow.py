"""Control flow and what survives it: branches, loops, which locals change inside a piece of code.

Takes statements and a :class:`Ctx`; keeps the values of locals (as forms) sound where paths meet. Used by
``statements.py`` and ``loops.py``.
"""

from __future__ import annotations

from collections.abc import Iterable

from lem.syntax import ast
from lem.types import integers
from lem.types.context import Ctx
from lem.types.scope import Held, Local


def assigned_names(stmts: Iterable[ast.Stmt]) -> set[str]:
    """Names that the statements assign, nested ones included."""
    out: set[str] = set()
    for stmt in stmts:
        for node in ast.walk(stmt):
            match node:
                case ast.Assign():
                    out.update(t.id for t in node.targets if isinstance(t, ast.Name))
                case ast.AugAssign(target=ast.Name(id=name)) | ast.Declare(name=ast.Name(id=name)):
                    out.add(name)
    return out


def subscripted_names(stmts: Iterable[ast.Stmt]) -> set[str]:
    """Names that stand before brackets, or alone as an argument (then an fn may subscript them)."""
    out: set[str] = set()
    for stmt in stmts:
        for node in ast.walk(stmt):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                out.add(node.value.id)
    return out


def can_leave(stmts: Iterable[ast.Stmt]) -> bool:
    """Whether the statements hold a `break` or `return`: then later iterations may not happen."""
    return any(isinstance(node, ast.Break | ast.Return) for stmt in stmts for node in ast.walk(stmt))


def locals_of(ctx: Ctx, names: Iterable[str]) -> list[Local]:
    """Those of the names that are locals here."""
    found = (ctx.find(name) for name in sorted(names))
    return [entity for entity in found if isinstance(entity, Local)]


def forget(ctx: Ctx, changed: Iterable[Local]) -> None:
    """The locals hold some new value each: what was known of the old ones no longer speaks of them."""
    for local in changed:
        local.value = integers.anything(ctx, local.name, local.var.type.dtype)


def values(locals: Iterable[Local]) -> dict[Local, Held]:
    return {local: local.value for local in locals}


def merge(
    ctx: Ctx, changed: Iterable[Local], a: dict[Local, Held], a_live: bool, b: dict[Local, Held], b_live: bool
) -> None:
    """Where two branches meet: a value known to be the same in both is kept, any other becomes a new unknown."""
    for local in changed:
        x, y = a.get(local), b.get(local)
        if not a_live:
            local.value = y
        elif not b_live:
            local.value = x
        else:
            local.value = integers.joined(ctx, local.name, local.var.type.dtype, x, y)
