"""The text of a Python function, and the tree of its body: read by lem's own parser, where it stands in its file.

Takes a function object; gives its :class:`Written`. Every offset is one of the whole Python file, so that reports show the
user's own lines. Bodies are lem as they are: only the head is Python's.
"""

from __future__ import annotations

import ast as python
from types import FunctionType

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0104
from lem.embed import around
from lem.source import SourceFile, Span
from lem.syntax import ast, parse_blanked
from lem_runtime.abi.records import dataclass

_HEAD = "fn f()"  # stands for the head of the function while its body is read: no longer than any `def`


class NoText(Exception):
    """A function whose text cannot be found: typed into a plain prompt, or made by ``exec``. help: what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, slots=True)
class File:
    """A file of Python. `lines`: offset of the start of each line."""

    source: SourceFile
    tree: python.Module
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


@dataclass(frozen=True, slots=True)
class Written:
    """A function as it stands in its file."""

    file: File
    node: python.FunctionDef

    @property
    def source(self) -> SourceFile:
        return self.file.source


_HOW = (
    "put it into a file or a cell of a notebook; text that a program makes is a module by `lem.load` of a `.lem` file, or is"
    " known once `linecache.cache[name] = (len(text), None, text.splitlines(True), name)` and `compile(text, name, 'exec')`"
    " give it a name"
)
_files: dict[str, File] = {}


def find(function: FunctionType) -> Written:
    """Where a function is written. Raises :class:`NoText`."""
    code = function.__code__
    file = _file(code.co_filename, around.text_around(function), function.__name__, code.co_firstlineno)
    for node in python.walk(file.tree):
        is_named = isinstance(node, python.FunctionDef) and node.name == function.__name__
        if isinstance(node, python.FunctionDef) and is_named and _first_line(node) == code.co_firstlineno:
            return Written(file, node)
    raise _changed(code.co_filename, function.__name__)


def find_class(name: str, place: tuple[str, int], lines: list[str]) -> tuple[File, python.ClassDef]:
    """Where a class is written: one of this name around a line of a file with these lines. Raises
    :class:`NoText`."""
    file = _file(place[0], lines, name, place[1])
    for node in python.walk(file.tree):
        if (
            isinstance(node, python.ClassDef)
            and node.name == name
            and _first_line(node) <= place[1] <= (node.end_lineno or 0)
        ):
            return file, node
    raise _changed(place[0], name)


def _changed(path: str, name: str) -> NoText:
    return NoText(f"`{path}` has changed since `{name}` was imported", "import it again, or start Python anew")


def _file(path: str, lines: list[str], wanted: str, line: int) -> File:
    """A file with these lines, parsed once as long as it does not change. Raises :class:`NoText`."""
    text = "".join(lines)
    if not text:
        raise NoText(f"Python does not know the text of `{wanted}` (line {line} of `{path}`), and lem reads it", _HOW)
    known = _files.get(path)
    if known is None or known.source.text != text:
        try:
            tree = python.parse(text)
        except SyntaxError:
            raise _changed(path, wanted) from None
        source = SourceFile(path, text)
        known = _files[path] = File(source, tree, tuple(source.line_starts))
    return known


def _first_line(node: python.FunctionDef | python.ClassDef) -> int:
    return node.decorator_list[0].lineno if node.decorator_list else node.lineno


def body_of(written: Written, diags: Diagnostics) -> tuple[tuple[ast.Stmt, ...], str | None]:
    """The statements of a function and its documentation; reports what lem's grammar does not know."""
    file, node, text = written.file, written.node, written.source.text
    assert node.end_lineno is not None
    start = file.offset(node.lineno, node.col_offset)
    end = file.lines[node.end_lineno] if node.end_lineno < len(file.lines) else len(text)
    first = file.offset(node.body[0].lineno, node.body[0].col_offset)
    colon = _colon(written, start)
    shown = [c if c == "\n" else " " for c in text]
    shown[colon + 1 : end] = text[colon + 1 : end]
    head = file.lines[node.lineno - 1]
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


def _colon(written: Written, start: int) -> int:
    """Where the head of a function ends: the first colon behind all that it holds, comments left out."""
    args, file, text = written.node.args, written.file, written.source.text
    known = [*args.posonlyargs, *args.args, *args.kwonlyargs, *args.defaults, args.vararg, args.kwarg, written.node.returns]
    known += [*args.kw_defaults, *getattr(written.node, "type_params", ())]
    at = max((file.span(node).end for node in known if node is not None), default=start)
    while text[at] != ":":
        at = text.index("\n", at) if text[at] == "#" else at + 1
    return at
