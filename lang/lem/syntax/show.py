"""A syntax tree as text: what ``lem build --emit ast`` prints and golden tests compare.

A node that fits on a line is ``(Class part part ...)``: names, numbers and strings stand for themselves, tuples are in
square brackets, an absent part is ``-``. Longer nodes give each part a line of its own, after the name of its field.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lem.source import Span
from lem.syntax import ast

_BLOCKS = (ast.Function, ast.Struct, ast.Test, ast.If, ast.While, ast.ForStmt, ast.Module)
_PLAIN = frozenset(("name", "kind", "op", "doc", "title", "value", "func", "left"))  # clear without their names
_HIDDEN = frozenset(("span", "op_span", "name_span", "head_span", "comments"))


def show(node: ast.Node, *, spans: bool = False, width: int = 100) -> str:
    """`node` and all below it; with `spans`, each node is followed by its place ``@line:column-line:column``."""
    lines: list[str] = []
    _Show(spans, width, lines).node(node, "", 0)
    return "\n".join(lines) + "\n"


class _Show:
    def __init__(self, spans: bool, width: int, lines: list[str]) -> None:
        self.spans = spans
        self.width = width
        self.lines = lines

    def node(self, node: ast.Node, label: str, depth: int) -> None:
        """Add the lines of `node`, on one line if it is no block and fits."""
        indent = "  " * depth
        if not isinstance(node, _BLOCKS):
            line = f"{indent}{label}{self.flat(node)}"
            if len(line) <= self.width or not any(True for _ in ast.children(node)):
                self.lines.append(line)
                return
        words = [type(node).__name__ + self.place(node)]
        parts: list[tuple[str, ast.Node | tuple[Any, ...]]] = []
        for name in _shown_fields(node):
            value = getattr(node, name)
            if isinstance(value, ast.Node) and not isinstance(value, ast.Name):
                parts.append((name, value))
            elif isinstance(value, tuple) and value:
                parts.append((name, value))
            elif value is not None and value != "" and value != ():
                words.append(("" if name in _PLAIN else f"{name}=") + self.flat(value))
        self.lines.append(f"{indent}{label}{' '.join(words)}")
        for name, value in parts:
            self.part(name, value, depth + 1)

    def part(self, name: str, value: ast.Node | tuple[Any, ...], depth: int) -> None:
        if isinstance(value, ast.Node):
            self.node(value, f"{name}: ", depth)
            return
        indent = "  " * depth
        line = f"{indent}{name}: {self.flat(value)}"
        if len(line) <= self.width and not any(isinstance(item, (ast.Stmt, ast.Item, ast.Param)) for item in value):
            self.lines.append(line)
            return
        self.lines.append(f"{indent}{name}:")
        for item in value:
            if isinstance(item, ast.Node):
                self.node(item, "", depth + 1)
            else:
                self.lines.append(f"{indent}  {self.flat(item)}")

    def flat(self, value: Any) -> str:
        """Any value of a field on one line."""
        if isinstance(value, ast.Name):
            return value.id + self.place(value)
        if isinstance(value, ast.Number):
            return value.text + self.place(value)
        if isinstance(value, ast.Bool):
            return str(value.value) + self.place(value)
        if isinstance(value, ast.String):
            return repr(value.value) + self.place(value)
        if isinstance(value, ast.Node):
            parts = [self.flat(getattr(value, name)) for name in _shown_fields(value)]
            while parts and parts[-1] in ("-", "[]", "''"):
                parts.pop()
            return f"({' '.join([type(value).__name__ + self.place(value), *parts])})"
        if isinstance(value, tuple):
            return f"[{' '.join(map(self.flat, value))}]"
        if value is None:
            return "-"
        return value if isinstance(value, str) and value and not set(value) & set(" '\"\n\\()[]") else repr(value)

    def place(self, node: ast.Node) -> str:
        if not self.spans:
            return ""
        source = node.span.source
        (line, column), (end_line, end_column) = source.place_of(node.span.start), source.place_of(node.span.end)
        return f"@{line}:{column}-{end_line}:{end_column}"


def _shown_fields(node: ast.Node) -> list[str]:
    """The fields of a node that say what it is; spans are shown with `place`."""
    return [f.name for f in fields(node) if f.name not in _HIDDEN and not isinstance(getattr(node, f.name), Span)]
