"""The text of a Python function, and the tree of its body: read by lem's own parser, where it stands in its file.

Takes a function object; gives its :class:`Written`. Every offset is one of the whole Python file, so that reports show the
user's own lines. Bodies are lem as they are: only the head is Python's.
"""

from __future__ import annotations

import ast as python
import linecache
from types import FunctionType

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0104
from lem.source import SourceFile, Span
from lem.syntax import ast, parse_blanked
from lem_runtime.abi.records import dataclass

_HEAD = "fn f()"  # stands for the head of the function while its body is read: no longer than any `def`


class NoText(Exception):
    """A function whose text cannot be found: typed into a plain prompt, or made by ``exec``."""


@dataclass(frozen=True, slots=True)
class Written:
    """A function as it stands in its file. `lines`: offset of the start of each line of the file."""

    source: SourceFile
    node: python.FunctionDef
    lines: tuple[int, ...]

    def offset(self, line: int, column: int) -> int:
        """Of a place as Python's tree counts it: lines from 1, columns in bytes of UTF-8."""
        start = self.lines[line - 1]
        text = self.source.text[start : start + column]
        if not text.isascii():
            end = self.lines[line] if line < len(self.lines) else len(self.source.text)
            text = self.source.text[start:end].encode()[:column].decode(errors="ignore")
        return start + len(text)

    def span(self, node: python.expr | python.stmt | python.arg) -> Span:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return Span(
            self.source, self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)
        )


_files: dict[str, tuple[str, SourceFile, python.Module]] = {}


def find(function: FunctionType) -> Written:
    """Where a function is written. Raises :class:`NoText`."""
    code = function.__code__
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    if not text:
        raise NoText(f"the text of `{function.__name__}` cannot be found: lem reads what is written in a file or notebook")
    known = _files.get(code.co_filename)
    if known is None or known[0] != text:
        try:
            tree = python.parse(text)
        except SyntaxError:
            raise NoText(f"`{code.co_filename}` has changed since `{function.__name__}` was imported") from None
        known = _files[code.co_filename] = (text, SourceFile(code.co_filename, text), tree)
    source = known[1]
    for node in python.walk(known[2]):
        is_named = isinstance(node, python.FunctionDef) and node.name == function.__name__
        if isinstance(node, python.FunctionDef) and is_named and _first_line(node) == code.co_firstlineno:
            return Written(source, node, tuple(source.line_starts))
    raise NoText(f"`{code.co_filename}` has changed since `{function.__name__}` was imported")


def _first_line(node: python.FunctionDef) -> int:
    return node.decorator_list[0].lineno if node.decorator_list else node.lineno


def body_of(written: Written, diags: Diagnostics) -> tuple[tuple[ast.Stmt, ...], str | None]:
    """The statements of a function and its documentation; reports what lem's grammar does not know."""
    node, text = written.node, written.source.text
    assert node.end_lineno is not None
    start = written.offset(node.lineno, node.col_offset)
    end = written.lines[node.end_lineno] if node.end_lineno < len(written.lines) else len(text)
    first = written.offset(node.body[0].lineno, node.body[0].col_offset)
    colon = text.rindex(":", start, first)
    shown = [c if c == "\n" else " " for c in text]
    shown[colon + 1 : end] = text[colon + 1 : end]
    head = written.lines[node.lineno - 1]
    shown[head : head + len(_HEAD)] = _HEAD
    if "\n" in text[start:colon] and "\n" not in text[colon:first]:
        diags.error(
            E0104, Span(written.source, colon, first), "a body that starts on the last line of a long head",
            help="start it on a line of its own",
        )  # fmt: skip
        return (), None
    shown[colon if "\n" not in text[start:first] else head + len(_HEAD)] = ":"
    item = parse_blanked(written.source, "".join(shown), diags)
    return (item.body, item.doc) if isinstance(item, ast.Function) else ((), None)

