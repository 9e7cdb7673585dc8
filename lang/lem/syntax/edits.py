"""Changes to a text, made all at once, that remember where each character came from.

Takes a text and replacements that do not overlap; gives the new text, and for a place in it the place in the old one, so
that what is said about the new text can be shown in the old.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field, replace

from lem.diagnostics import Diagnostic
from lem.source import SourceFile, Span
from lem_runtime.abi.records import dataclass


@dataclass(slots=True)
class Edits:
    """Replacements in `source`; of several insertions at one place, the first one made stands first."""

    source: SourceFile
    items: list[tuple[int, int, str]] = field(default_factory=list)

    def replace(self, start: int, end: int, text: str) -> None:
        self.items.append((start, end, text))

    def insert(self, at: int, text: str) -> None:
        self.items.append((at, at, text))

    def apply(self, name: str) -> Edited:
        """The new text, as a file of that name."""
        old = self.source.text
        parts: list[str] = []
        starts, origins = [0], [0]
        at = length = 0
        for start, end, text in sorted(self.items, key=lambda item: item[0]):
            parts += (old[at:start], text)
            starts += (length + start - at, length + start - at + len(text))
            origins += (start, end)
            length += start - at + len(text)
            at = end
        parts.append(old[at:])
        return Edited(self.source, SourceFile(name, "".join(parts)), starts, origins)


@dataclass(frozen=True, slots=True)
class Edited:
    """`new` is `old` with edits. Piece i of the new text begins at ``starts[i]`` and came from ``origins[i]`` of the old."""

    old: SourceFile
    new: SourceFile
    starts: list[int]
    origins: list[int]

    def origin(self, offset: int) -> int:
        """Where the character at `offset` of the new text stood; what was inserted stands where it was put."""
        i = bisect_right(self.starts, offset) - 1
        end = self.origins[i + 1] if i + 1 < len(self.origins) else len(self.old.text)
        return min(self.origins[i] + offset - self.starts[i], end)

    def span(self, span: Span) -> Span:
        start = self.origin(span.start)
        # By its last character: what stood behind that one may be gone.
        end = self.origin(span.end - 1) + 1 if span.end > span.start else start
        return Span(self.old, start, max(start, min(end, len(self.old.text))))

    def moved(self, report: Diagnostic) -> Diagnostic:
        """A report about the new text as one about the old."""
        span = None if report.span is None else self.span(report.span)
        return replace(report, span=span, also=tuple((self.span(at), label) for at, label in report.also))
