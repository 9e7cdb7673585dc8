"""Tokens of the IR's text form, and what reads them: names, numbers, lists, size expressions.

Takes text; gives :class:`Lexed`, a list of tokens with a place in it. ``reader`` builds functions on top.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from lem_runtime.abi.sizes import Size


class IRSyntaxError(Exception):
    """Text that is not tile IR. `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


class Token(NamedTuple):
    kind: str  # "number" "string" "value" "axis" "array" "word" "end", or the mark itself
    text: str
    line: int


_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|;[^\n]*)|(?P<newline>\n)
    |(?P<number>(?:\d+\.\d*|\d+)(?:[eE][+-]?\d+)?)|(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<value>%[A-Za-z0-9_][\w.]*)|(?P<axis>\#[\w.]+)|(?P<array>@[\w.]+)|(?P<word>[A-Za-z_][\w.]*)
    |(?P<mark>//|<=|>=|==|!=|[-+*%<>=,:?^(){}\[\]])""",
    re.VERBOSE | re.ASCII,
)
_COMPARE = ("==", "!=", "<", "<=", ">", ">=")


def _tokens(text: str) -> list[Token]:
    out: list[Token] = []
    at, line = 0, 1
    while at < len(text):
        m = _TOKEN.match(text, at)
        if m is None:
            raise IRSyntaxError(line, f"unexpected {text[at]!r}")
        kind = m.lastgroup or ""
        if kind == "newline":
            line += 1
        elif kind != "skip":
            out.append(Token(m.group() if kind == "mark" else kind, m.group(), line))
        at = m.end()
    out.append(Token("end", "end of text", line))
    return out


class Lexed:
    """A list of tokens with a place in it."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.i = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.i]

    def fail(self, message: str) -> NoReturn:
        raise IRSyntaxError(self.next.line, message)

    def at(self, kind: str, text: str | None = None) -> bool:
        t = self.next
        return t.kind == kind and (text is None or t.text == text)

    def accept(self, kind: str, text: str | None = None) -> bool:
        if self.at(kind, text):
            self.i += 1
            return True
        return False

    def take(self, kind: str) -> str:
        if not self.at(kind):
            self.fail(f"expected {kind}, found {self.next.text}")
        self.i += 1
        return self.tokens[self.i - 1].text

    def name(self) -> str:
        """A bare word, or a quoted name."""
        return str(json.loads(self.take("string"))) if self.at("string") else self.take("word")

    def integer(self) -> int:
        sign = -1 if self.accept("-") else 1
        text = self.take("number")
        if not text.isdigit():
            self.fail(f"expected an integer, found {text}")
        return sign * int(text)

    def listed(self, close: str, item: Callable[[], Any]) -> list[Any]:
        """Items with commas between, up to and with the closing bracket."""
        out: list[Any] = []
        while not self.accept(close):
            if out:
                self.take(",")
            out.append(item())
        return out

    # --- size expressions, with the precedence of sizes.show

    def size(self, level: int = 1) -> Size:
        if level == 3 and self.accept("word", "not"):
            return ("not", self.size(3))
        if level == 7:
            return self._size_atom()
        left = self.size(level + 1)
        operators = {1: ("or",), 2: ("and",), 3: (), 4: _COMPARE, 5: ("+", "-"), 6: ("*", "//", "%")}[level]
        while self.next.text in operators and self.next.kind != "string":
            op = self.next.text
            self.i += 1
            left = (op, left, self.size(level + 1))
        return left

    def _size_atom(self) -> Size:
        if self.accept("("):
            inner = self.size()
            self.take(")")
            return inner
        if self.at("number") or self.at("-"):
            return self.integer()
        name = self.take("word")
        if name in ("min", "max") and self.accept("("):
            a = self.size()
            self.take(",")
            b = self.size()
            self.take(")")
            return (name, a, b)
        return name
