"""What string literals mean: escapes, and the parts of f-strings with their places.

Takes the text between quotes and where it stands; gives values, or reports what is wrong with an escape or a field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0101, E0103, E0107
from lem.source import SourceFile, Span
from lem.syntax import ast
from lem.syntax.patterns import Pattern
from lem_runtime.abi.records import dataclass

_ESCAPE = Pattern(
    r"\\(?:\r?\n|[\\'\"abfnrtv]|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|(?P<bad>[\s\S]|\Z))"
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": "", "\r": ""}
_LITERAL = Pattern(r"([a-zA-Z]*)(\"\"\"|'''|\"|')")
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_FORMAT_END = Pattern(r"!([a-zA-Z]*)(?=[:}])")

ParsePart = Callable[[int, int], ast.Expr]  # the expression in source.text[start:end]


@dataclass(slots=True)
class Literal:
    """A string literal in its source: ``source.text[start:end]`` is what stands between the quotes."""

    source: SourceFile
    start: int
    end: int
    is_raw: bool

    @classmethod
    def at(cls, span: Span) -> Literal:
        m = _LITERAL.match(span.source.text, span.start)
        assert m is not None
        return cls(span.source, m.end(), span.end - len(m[2]), "r" in m[1].lower())


def value_of(span: Span, diags: Diagnostics) -> str:
    """The value of the plain string literal at `span`."""
    literal = Literal.at(span)
    return unescape(literal, literal.start, literal.end, diags)


def unescape(literal: Literal, start: int, end: int, diags: Diagnostics) -> str:
    """The text between two offsets of a literal with its escapes resolved and its line ends as ``\\n``."""
    text = literal.source.text[start:end].replace("\r\n", "\n")
    if literal.is_raw or "\\" not in text:
        return text

    def replace(m: re.Match[str]) -> str:
        body = m[0][1:]
        if m["bad"] is not None:
            at = literal.source.text.find(m[0], start, end)
            label = f"`{m[0]}` is not an escape"
            diags.error(E0101, Span(literal.source, at, at + len(m[0])), label, help="write `\\\\` for a backslash")
            return m[0]
        if body[0] in "01234567":
            return chr(int(body, 8))
        if body[0] in "xuU":
            return _character(literal, m[0], start, end, diags)
        return _SIMPLE.get(body[0], body[0])

    return _ESCAPE.sub(replace, text)


def _character(literal: Literal, escape: str, start: int, end: int, diags: Diagnostics) -> str:
    number = int(escape[2:], 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        at = literal.source.text.find(escape, start, end)
        diags.error(E0107, Span(literal.source, at, at + len(escape)), f"U+{number:04X} is not a character")
        return "\ufffd"
    return chr(number)


def parts_of(span: Span, parse: ParsePart, diags: Diagnostics) -> tuple[ast.Expr, ...]:
    """The texts and fields of the f-string at `span`, in order."""
    literal = Literal.at(span)
    text = span.source.text
    parts: list[ast.Expr] = []
    at = begin = literal.start
    while at < literal.end:
        c = text[at]
        if c == "\\" and not literal.is_raw:
            at += 2
        elif c not in "{}":
            at += 1
        elif text[at + 1 : at + 2] == c and at + 1 < literal.end:
            _add_text(parts, literal, begin, at + 1, diags)
            at = begin = at + 2
        elif c == "}":
            diags.error(E0101, Span(span.source, at, at + 1), "found a single `}`", help="write `}}` for the character")
            at += 1
        else:
            _add_text(parts, literal, begin, at, diags)
            at = begin = _field(parts, literal, at, parse, diags)
    _add_text(parts, literal, begin, literal.end, diags)
    return joined(parts)


def joined(parts: Iterable[ast.Expr]) -> tuple[ast.Expr, ...]:
    """`parts` with texts that follow each other made one."""
    out: list[ast.Expr] = []
    for part in parts:
        last = out[-1] if out else None
        if isinstance(part, ast.String) and isinstance(last, ast.String):
            out[-1] = ast.String(last.span.to(part.span), last.value + part.value)
        else:
            out.append(part)
    return tuple(out)


def _add_text(parts: list[ast.Expr], literal: Literal, start: int, end: int, diags: Diagnostics) -> None:
    """A :class:`String` part; a doubled brace has its first half in the span and its value."""
    if end > start:
        parts.append(ast.String(Span(literal.source, start, end), unescape(literal, start, end, diags)))


def _field(parts: list[ast.Expr], literal: Literal, at: int, parse: ParsePart, diags: Diagnostics) -> int:
    """Read ``{value=!r:format}`` at `at`; the offset behind it."""
    text = literal.source.text
    value_end = _end_of_value(text, at + 1, literal.end)
    close = text.find("}", value_end, literal.end)
    if close < 0:
        diags.error(E0103, Span(literal.source, at, at + 1), "expected `}` to close this `{`")
        return literal.end
    is_debug = text[value_end - 1] == "=" and text[value_end - 2] not in "=!<>"
    value = parse(at + 1, value_end - is_debug)
    if is_debug:
        parts.append(ast.String(Span(literal.source, at + 1, value_end), text[at + 1 : value_end]))
    conversion, format_at = "", value_end
    if m := _FORMAT_END.match(text, value_end):
        conversion, format_at = m[1], m.end()
        if conversion not in ("r", "s"):
            label = f"expected `!r` or `!s`, found `!{conversion}`"
            diags.error(E0101, Span(literal.source, value_end, m.end()), label)
            conversion = ""
    format = text[format_at + 1 : close] if text[format_at] == ":" else ""
    if "{" in format:
        diags.error(E0101, Span(literal.source, format_at + 1, close), "expected a plain format, found a field in it")
        close = min(literal.end - 1, close + 1)
    parts.append(ast.FormatField(Span(literal.source, at, close + 1), value, format, conversion))
    return close + 1


def _end_of_value(text: str, at: int, end: int) -> int:
    """Where the expression of a field ends: at ``!r``, ``:`` or ``}`` outside brackets and strings."""
    closers: list[str] = []
    while at < end:
        c = text[at]
        if c in _CLOSES:
            closers.append(_CLOSES[c])
        elif closers and c == closers[-1]:
            closers.pop()
        elif c in "'\"":
            closing = text.find(c, at + 1, end)
            at = end if closing < 0 else closing
        elif not closers and (c in ":}" or c == "!" and text[at + 1 : at + 2] != "="):
            return at
        at += 1
    return end
