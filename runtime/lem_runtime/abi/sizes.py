"""Size expressions and conditions as plain data, so that a call can be checked without the compiler.

An expression is an int, a str (the name of a dimension or an ``int`` parameter), or a tuple ``(op, a[, b])`` with
op in ``+ - * // % min max`` (integers), ``== != < <= > >=`` (conditions), ``and or not``. Division and remainder floor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Size = int | str | tuple[Any, ...]


class SizeError(Exception):
    """A size expression divides by zero or names something unknown."""


_BINARY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "min": min,
    "max": max,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    ">": lambda a, b: int(a > b),
    ">=": lambda a, b: int(a >= b),
}
_PRECEDENCE = {"or": 1, "and": 2, "not": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4}
_PRECEDENCE |= {"+": 5, "-": 5, "*": 6, "//": 6, "%": 6}


def evaluate(expr: Size, names: Mapping[str, int]) -> int:
    """Value of `expr`; conditions give 0 or 1. Raises :class:`SizeError`."""
    if isinstance(expr, int):
        return expr
    if isinstance(expr, str):
        if expr not in names:
            raise SizeError(f"`{expr}` is not known here")
        return names[expr]
    op = expr[0]
    if op == "and":
        return int(bool(evaluate(expr[1], names)) and bool(evaluate(expr[2], names)))
    if op == "or":
        return int(bool(evaluate(expr[1], names)) or bool(evaluate(expr[2], names)))
    if op == "not":
        return int(not evaluate(expr[1], names))
    a, b = evaluate(expr[1], names), evaluate(expr[2], names)
    if op in ("//", "%"):
        if b == 0:
            raise SizeError(f"`{show(expr)}` divides by zero")
        return a // b if op == "//" else a % b
    return _BINARY[op](a, b)


def names_in(expr: Size) -> set[str]:
    """Names that `expr` mentions."""
    if isinstance(expr, str):
        return {expr}
    if isinstance(expr, tuple):
        return set().union(*(names_in(e) for e in expr[1:]))
    return set()


def show(expr: Size, outer: int = 0) -> str:
    """`expr` as lem source."""
    if not isinstance(expr, tuple):
        return str(expr)
    op, args = expr[0], expr[1:]
    if op in ("min", "max"):
        return f"{op}({show(args[0])}, {show(args[1])})"
    level = _PRECEDENCE[op]
    if op == "not":
        text = f"not {show(args[0], level)}"
    else:
        text = f"{show(args[0], level)} {op} {show(args[1], level + 1)}"
    return f"({text})" if level < outer else text


def from_json(value: Any) -> Size:
    """The tuple form of an expression that went through JSON (lists become tuples)."""
    return tuple(from_json(v) for v in value) if isinstance(value, list) else value
