"""Looks for a kind of statement in typed statements, and in the fns that they call."""

from __future__ import annotations

from collections.abc import Iterable

from lem.types import typed


def has(tree: object, kind: type[typed.Stmt]) -> bool:
    """Whether there is a `kind` below `tree`: statements, expressions, or a tuple of them."""
    seen: set[int] = set()
    stack: list[object] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, kind):
            return True
        if isinstance(node, (tuple, list)):
            stack.extend(node)
        elif isinstance(node, _NODES) and id(node) not in seen:
            seen.add(id(node))
            stack.extend(getattr(node, name) for name in _slots(type(node)))
    return False


_NODES = (typed.Expr, typed.Stmt, typed.FnInstance, typed.At, typed.Clause, typed.Domain, typed.Cut)


def _slots(cls: type) -> Iterable[str]:
    return (name for c in cls.__mro__ for name in getattr(c, "__slots__", ()))
