"""Module-level constants: ``EPS = 1e-5``, ``HALF_PI = pi / 2`` (LANGUAGE 35).

Takes a constant's definition; gives its value as a Python number, evaluated once, or reports E0209. No function runs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from lem.diagnostics.codes import E0209
from lem.names import Definition, ModuleScope, unknown_name
from lem.syntax import ast
from lem.types.context import Session
from lem.types.convert import CONSTANTS

Value = int | float | bool

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip
_LARGEST_SHIFT = 64


class _NotConstant(Exception):
    def __init__(self, node: ast.Expr, label: str) -> None:
        super().__init__(label)
        self.node = node
        self.label = label


class _Running:
    """Stands for the value of a constant while it is evaluated."""


_RUNNING = _Running()


class _Reported(Exception):
    """The constant rests on something that was reported already."""


def value_of(session: Session, found: Definition) -> Value | None:
    """The value of a constant; None when it was reported as wrong."""
    assert isinstance(found.node, ast.Constant)
    key = id(found.node)
    if key not in session.constants:
        session.constants[key] = _RUNNING  # a constant that needs itself finds this and stops
        is_read = not session.is_misread(found.node)
        session.constants[key] = _evaluate(session, found.scope, found.node.value) if is_read else None
    value: Value | None = session.constants[key]
    return value


def _evaluate(session: Session, scope: ModuleScope, node: ast.Expr) -> Value | None:
    try:
        return _value(session, scope, node)
    except _NotConstant as e:
        session.diags.error(
            E0209, e.node.span, e.label, help="a constant is made of literals, `pi`, `inf`, `nan` and other constants"
        )
    except _Reported:
        pass
    return None


def _value(session: Session, scope: ModuleScope, node: ast.Expr) -> Value:
    match node:
        case ast.Number() | ast.Bool():
            return node.value
        case ast.Name():
            return _named(session, scope, node)
        case ast.Unary(op="-"):
            return -_number(session, scope, node.operand)
        case ast.Unary(op="+"):
            return _number(session, scope, node.operand)
        case ast.Binary() if node.op in _OPERATORS:
            return _binary(session, scope, node)
    raise _NotConstant(node, f"`{node.span.text}` is not known before the program runs")


def _number(session: Session, scope: ModuleScope, node: ast.Expr) -> int | float:
    value = _value(session, scope, node)
    if isinstance(value, bool):
        raise _NotConstant(node, "a bool has no arithmetic")
    return value


def _named(session: Session, scope: ModuleScope, node: ast.Name) -> Value:
    near = scope.own.get(node.id) or scope.imported.get(node.id)
    if near is None and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    found = near or scope.find(node.id)
    if found is None:
        unknown_name(session.diags, scope, node.span, node.id, CONSTANTS)
        raise _Reported
    if found.original in CONSTANTS:
        return CONSTANTS[found.original]
    if found.kind == "broken":
        raise _Reported
    if found.kind != "constant":
        raise _NotConstant(node, f"`{node.id}` is not a constant")
    if session.constants.get(id(found.node)) is _RUNNING:
        raise _NotConstant(node, f"the value of `{node.id}` would need itself")
    value = value_of(session, found)
    if value is None:
        raise _Reported
    return value


def _binary(session: Session, scope: ModuleScope, node: ast.Binary) -> Value:
    a, b = _number(session, scope, node.left), _number(session, scope, node.right)
    if node.op == "/" and isinstance(a, int) and isinstance(b, int):
        raise _NotConstant(node, "`/` on two integers: write `//`, or one side as a float")
    if node.op in ("<<", ">>", "**") and isinstance(b, int) and abs(b) > _LARGEST_SHIFT * 16:
        raise _NotConstant(node, "this number is too large")
    try:
        value = _OPERATORS[node.op](a, b)
    except (ZeroDivisionError, OverflowError, TypeError, ValueError) as e:
        raise _NotConstant(node, f"this has no value ({e})") from None
    if isinstance(value, complex) or (isinstance(value, int) and abs(value) >= 1 << 64):
        raise _NotConstant(node, "this is no number that a type of lem holds")
    result: Value = value
    return result
