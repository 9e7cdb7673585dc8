"""Numbers that stand in a tree, as Python has them."""

from __future__ import annotations

from typing import Any

from lem.syntax import ast


def value_of(node: ast.Expr) -> Any:
    """A literal's value; the text of anything else."""
    match node:
        case ast.Number(value=value) | ast.Bool(value=value):
            return value
        case ast.Unary(op="-", operand=ast.Number(value=value)):
            return -value
        case ast.Name(id="inf" | "nan"):
            return float(node.id)
        case ast.Unary(op="-", operand=ast.Name(id="inf")):
            return float("-inf")
    return node.span.text
