"""The head of a Python function that is given as text: ``@lem.kernel("a: f32[2 * M, 3], c: out f32[M]")``.

Takes the text and the function below it; gives the head as the grammar of ``.lem`` files reads it. Its places are those of
the text in the Python file, where a person wrote it; text that a program made has none there and is shown by itself.
"""

from __future__ import annotations

import ast as python
import io
import tokenize
from collections.abc import Iterator
from dataclasses import fields, replace

from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.codes import E0307
from lem.embed.text import Written
from lem.source import SourceFile, Span
from lem.syntax import ast, parse


def read_text(written: Written, text: str, kind: str, diags: Diagnostics) -> ast.Function | None:
    """Parameters, results and a ``where`` clause, as the head of a function without a body; generic names may stand before
    them, in brackets: ``[T: float, N](x: T[N], y: out T[N])``. None where that was no head, which is reported."""
    head, origin = _completed(f"{kind} {written.node.name}", text)
    source = SourceFile(f"signature of {written.node.name}", f"{head}:\n    pass\n")
    found = Diagnostics()
    tree = parse(source, found)
    item = tree.items[0] if tree.items else None
    function = item if isinstance(item, ast.Function) else None
    lies = _characters(written, text)
    if lies is not None:
        places = _Places(written.source, [lies[at] if at is not None else None for at in origin])
        for node in ast.walk(tree):
            places.move(node)
        found.items = [places.moved(d) for d in found.items]
    diags.items += found.items
    diags.n_errors += found.n_errors
    if function is not None:
        _check_names(written, function, diags)
    return function


def _completed(start: str, text: str) -> tuple[str, list[int | None]]:
    """The text as a whole head in one line; and of each of its characters, which one of the text it is."""
    words: list[tuple[str, int | None]] = []
    for at, c in enumerate(text):
        if not c.isspace():
            words.append((c, at))
        elif words and words[-1][0] != " ":
            words.append((" ", at))
    while words and words[-1][0] == " ":
        words.pop()
    if not words or words[0][0] not in "[(":
        line = "".join(c for c, _ in words)
        arrow, where = line.find("->"), line.find(" where ")
        end = arrow if arrow >= 0 else where if where >= 0 else len(words)
        words[end:end] = [(")", None), (" ", None)] if end < len(words) else [(")", None)]
        words.insert(0, ("(", None))
    head = [*((c, None) for c in start), *words]
    return "".join(c for c, _ in head), [at for _, at in head]


def _characters(written: Written, text: str) -> list[int] | None:
    """Where each character of the text stands in the file; None where it is not written out there."""
    for call in written.node.decorator_list:
        for node in call.args if isinstance(call, python.Call) else ():
            if isinstance(node, python.Constant) and node.value == text:
                span = written.file.span(node)
                found = list(_inside(span))
                return found if "".join(span.source.text[at] for at in found) == text else None
    return None


def _inside(span: Span) -> Iterator[int]:
    """Places of the characters between the quotes of a literal, which may have several parts."""
    lines = SourceFile("", f"({span.text})").line_starts  # in brackets, parts may stand on lines of their own
    for token in tokenize.generate_tokens(io.StringIO(f"({span.text})").readline):
        if token.type == tokenize.STRING:
            prefix = len(token.string) - len(token.string.lstrip("rRuU"))
            quote = 3 if token.string[prefix:].startswith(('"""', "'''")) else 1
            start = span.start - 1 + lines[token.start[0] - 1] + token.start[1]
            yield from range(start + prefix + quote, start + len(token.string) - quote)


class _Places:
    """Turns spans of the head that was read into those of the file."""

    def __init__(self, source: SourceFile, at: list[int | None]) -> None:
        self._source = source
        known = [n for n in at if n is not None]
        self._at, self._last = at, known[-1] if known else 0

    def span(self, span: Span) -> Span:
        inside = [n for n in self._at[span.start : max(span.end, span.start + 1)] if n is not None]
        if not inside:  # what was added, and what is missing behind the end
            return Span(self._source, self._last, self._last + 1)
        return Span(self._source, inside[0], inside[-1] + 1)

    def move(self, node: ast.Node) -> None:
        for f in fields(node):
            value = getattr(node, f.name)
            if isinstance(value, Span):
                setattr(node, f.name, self.span(value))

    def moved(self, d: Diagnostic) -> Diagnostic:
        also = tuple((self.span(span), label) for span, label in d.also)
        return replace(d, span=self.span(d.span) if d.span is not None else None, also=also)


def _check_names(written: Written, function: ast.Function, diags: Diagnostics) -> None:
    """The function itself, which editors and `help` show, takes what the text says that it takes."""
    args = written.node.args
    has = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    wanted = [p.name.id for p in function.params]
    if has != wanted and not diags.has_errors:
        start = written.file.offset(written.node.lineno, written.node.col_offset) + len("def")
        at = written.source.text.index(written.node.name, start)
        span = Span(written.source, at, at + len(written.node.name))
        diags.error(
            E0307, span, f"the text declares {_listed(wanted)}, and the function takes {_listed(has)}",
            help=f"write `def {written.node.name}({', '.join(wanted)}):`",
        )  # fmt: skip


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{n}`" for n in names) or "nothing"
