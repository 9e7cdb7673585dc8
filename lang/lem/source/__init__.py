"""Source text and places in it: where every stage's spans come from, and line/column arithmetic for whoever shows them.

Takes text (already decoded); gives :class:`SourceFile` and :class:`Span`. Stands before every other stage.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple


class SourceFile:
    """One text with a name. Compared by identity; lines are found on demand."""

    __slots__ = ("name", "text", "_starts")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._starts: list[int] | None = None

    def __repr__(self) -> str:
        return f"SourceFile({self.name!r}, {len(self.text)} characters)"

    @property
    def line_starts(self) -> list[int]:
        """Offset of the first character of each line (lines end with ``\\n``; ``\\r`` stays part of its line)."""
        if self._starts is None:
            starts = [0]
            at = self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts = starts
        return self._starts

    def line_of(self, offset: int) -> int:
        """Line number, from 1, of a character offset."""
        return bisect_right(self.line_starts, offset)

    def place_of(self, offset: int) -> tuple[int, int]:
        """``(line, column)``, both from 1, of a character offset; columns count characters."""
        line = self.line_of(offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """Text of line number `line` (from 1) without its line end."""
        starts = self.line_starts
        end = starts[line] if line < len(starts) else len(self.text)
        return self.text[starts[line - 1] : end].rstrip("\r\n")


class Span(NamedTuple):
    """The characters ``source.text[start:end]``."""

    source: SourceFile
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of `other` (same source)."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    def __repr__(self) -> str:
        line, col = self.source.place_of(self.start)
        return f"{self.source.name}:{line}:{col}"


def library_name(module: str) -> str:
    """What the source of a library module is called, wherever it lies on this machine."""
    return f"lem_stdlib/{module}.lem"
