"""Diagnostics as text: headline, place, source lines with marks, notes and help.

Takes a :class:`Diagnostic` (or a whole :class:`Diagnostics`); gives plain text, or the same text in pieces that each
name a style. Colours belong to the caller: ``lem/cli`` maps style names to its own theme. Stands after ``source`` only.

Marks on one line follow one picture: underlines stand directly below the source, a label stands right of its underline
where it fits, and every other label hangs below on its own row, rightmost first::

    6  |     c[i, j] = a[i, k] * b[k, j]
       |               -------   ^ axis 0 of `b` has size N
       |               |
       |               has axes i and k
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from unicodedata import category, combining, east_asian_width

from lem.diagnostics import Diagnostic, Diagnostics
from lem.source import SourceFile, Span
from lem_runtime.abi.records import dataclass

__all__ = ["Piece", "layout", "render", "render_all", "summary"]

#: A stretch of text and the name of its style: "error", "warning", "headline", "gutter", "place", "source", "primary",
#: "secondary", "note", "help" or "" (no style).
Piece = tuple[str, str]
_Row = list[Piece]

_MIN_GUTTER = 2  # so that the arrow keeps its place in files of up to 99 lines
_TAB = 4
_CUT = "..."
_LONGEST_LABEL = 400  # characters; a label may quote a name of any length
_LONGEST_LINE = 2000  # characters on each side of the mark that are looked at: far more than a terminal shows
_FULL_SPAN_LINES = 4  # a span over more lines shows its first and its last one

_ANSI = {
    "error": "1;31",
    "warning": "1;33",
    "headline": "1",
    "gutter": "1;34",
    "primary": "1;31",
    "secondary": "1;34",
    "note": "1;32",
    "help": "1;36",
}


def render(diag: Diagnostic, *, styled: bool = False, width: int = 100) -> str:
    """The full message, without a line end at its end; `styled` adds ANSI colours; `width` in terminal columns."""
    return "".join(_ansi(piece) if styled else piece[0] for piece in layout(diag, width=width))


def render_all(diags: Diagnostics, *, styled: bool = False, width: int = 100) -> str:
    """All messages with an empty line between them, then a line that counts them; "" when there is nothing to say."""
    if not diags.items and not diags.n_dropped:
        return ""
    parts = [render(diag, styled=styled, width=width) for diag in diags.items]
    return "\n\n".join([*parts, summary(diags)]) + "\n"


def summary(diags: Diagnostics) -> str:
    """The closing line: ``2 errors, 1 warning``, and how many reports were not kept."""
    n_errors = sum(diag.severity == "error" for diag in diags.items)
    counts = [(n_errors, "error"), (len(diags.items) - n_errors, "warning")]
    shown = ", ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in counts if n)
    if not diags.n_dropped:
        return shown
    return f"{shown}, {diags.n_dropped} more not shown" if shown else f"{diags.n_dropped} not shown"


def layout(diag: Diagnostic, *, width: int = 100) -> list[Piece]:
    """The message of :func:`render` as pieces of text with style names; joining the texts gives the plain message."""
    rows = [_headline(diag)]
    blocks = _blocks(diag)
    last_lines = [line for _, marks in blocks for line in marks]
    pad = max([_MIN_GUTTER, *(len(str(line)) for line in last_lines)])
    for n, (place, marks) in enumerate(blocks):
        if n:
            rows.append(_gutter(pad, "|"))
        rows.append(_place(place, pad, "-->" if n == 0 else ":::"))
        rows.append(_gutter(pad, "|"))
        rows.extend(_source_rows(place.source, marks, pad, width))
    if blocks and (diag.notes or diag.help):
        rows.append(_gutter(pad, "|"))
    rows.extend(_remarks("note", diag.notes))
    rows.extend(_remarks("help", diag.help))
    return _joined(rows)


# ---------------------------------------------------------------- rows around the source
def _headline(diag: Diagnostic) -> _Row:
    # Without a place there is nothing to hang the label on, so it completes the headline.
    tail = f": {_short(diag.label)}" if diag.span is None and diag.label else ""
    return [(f"{diag.severity}[{diag.code.id}]", diag.severity), (f": {diag.code.headline}{tail}", "headline")]


def _place(span: Span, pad: int, arrow: str) -> _Row:
    line, column = span.source.place_of(span.start)
    return [(" " * pad + arrow + " ", "gutter"), (f"{span.source.name}:{line}:{column}", "place")]


def _gutter(pad: int, sign: str, line: int | None = None) -> _Row:
    number = "" if line is None else str(line)
    return [(f"{number:<{pad}} {sign}", "gutter")]


def _remarks(word: str, texts: Sequence[str]) -> Iterator[_Row]:
    for text in texts:
        first, *rest = _short(text).split("\n")
        yield [(f"{word}:", word), (f" {first}", "")]
        yield from ([(" " * (len(word) + 2) + line, "")] for line in rest)


def _joined(rows: list[_Row]) -> list[Piece]:
    pieces: list[Piece] = []
    for n, row in enumerate(rows):
        if n:
            pieces.append(("\n", ""))
        while row and not row[-1][0].rstrip():
            row = row[:-1]
        if row:
            row = [*row[:-1], (row[-1][0].rstrip(), row[-1][1])]
        pieces.extend((_visible(text), style) for text, style in row if text)
    return pieces


def _visible(text: str) -> str:
    """Names of files and what stands in them come from outside: their control characters must not reach a terminal."""
    return text if text.isprintable() else "".join(f"\\x{ord(c):02x}" if category(c) == "Cc" else c for c in text)


def _ansi(piece: Piece) -> str:
    text, style = piece
    return f"\x1b[{_ANSI[style]}m{text}\x1b[0m" if style in _ANSI else text


# ---------------------------------------------------------------- which lines carry which marks
@dataclass(frozen=True, slots=True)
class _Mark:
    """An underline on one line: characters (later terminal columns) `start` to `end`, from 0; it may be empty."""

    start: int
    end: int
    label: str
    primary: bool

    @property
    def style(self) -> str:
        return "primary" if self.primary else "secondary"

    @property
    def stop(self) -> int:
        """First column after the drawn underline; an empty mark is drawn one column wide."""
        return max(self.end, self.start + 1)


_Block = tuple[Span, dict[int, list[_Mark]]]  # the span that names the place, and the marks of each line


def _blocks(diag: Diagnostic) -> list[_Block]:
    """One block per file, the file of the primary span first."""
    labelled: list[tuple[Span, str, bool]] = [] if diag.span is None else [(diag.span, diag.label, True)]
    labelled += [(span, label, False) for span, label in diag.also]
    blocks: list[_Block] = []
    for raw, label, primary in labelled:
        span = _within_text(raw)
        block = next((b for b in blocks if b[0].source is span.source), None)
        if block is None:
            block = (span, {})
            blocks.append(block)
        for line, mark in _marks(span, " ".join(_short(label).split("\n")), primary):
            block[1].setdefault(line, []).append(mark)
    return blocks


def _within_text(span: Span) -> Span:
    """`span` moved into its text, so that a careless one still shows something; blanks at its end do not count."""
    n_chars = len(span.source.text)
    start = min(max(span.start, 0), n_chars)
    end = min(max(span.end, start), n_chars)
    return Span(span.source, start, start + len(span.source.text[start:end].rstrip()))


def _marks(span: Span, label: str, primary: bool) -> Iterator[tuple[int, _Mark]]:
    """The pieces of a span, line by line; the label stands at the last one."""
    source = span.source
    first, last = source.line_of(span.start), source.line_of(max(span.start, span.end - 1))
    short = last - first < _FULL_SPAN_LINES
    for line in range(first, last + 1) if short else (first, last):
        text, at = source.line_text(line), source.line_starts[line - 1]
        start = span.start - at if line == first else len(text) - len(text.lstrip())
        end = span.end - at if line == last else len(text.rstrip())
        if line != last and end <= start:
            continue  # an empty line inside the span
        start = min(start, len(text))
        yield line, _Mark(start, max(start, min(end, len(text))), label if line == last else "", primary)


# ---------------------------------------------------------------- source lines and the rows below them
def _source_rows(source: SourceFile, marks: dict[int, list[_Mark]], pad: int, width: int) -> Iterator[_Row]:
    before: int | None = None
    for line in sorted(marks):
        if before is not None and line != before + 1:
            yield _gutter(pad, ":")
        before = line
        text, near = _near_marks(source.line_text(line), marks[line])
        text, placed = _window(_expand(text), near, max(20, width - pad - 3))
        yield [*_gutter(pad, "|", line), (" " + text, "source")]
        yield from ([*_gutter(pad, "|"), (" ", ""), *row] for row in _mark_rows(placed))


def _near_marks(text: str, marks: list[_Mark]) -> tuple[str, list[_Mark]]:
    """A line without what is far from the mark that matters most: lines may be megabytes long."""
    if len(text) <= 2 * _LONGEST_LINE:
        return text, marks
    middle = next((m for m in marks if m.primary), marks[0]).start
    lo = max(0, middle - _LONGEST_LINE)
    hi = min(len(text), middle + _LONGEST_LINE)
    inside = [replace(m, start=min(max(m.start, lo), hi) - lo, end=min(max(m.end, lo), hi) - lo) for m in marks]
    return text[lo:hi], inside


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - len(_CUT)] + _CUT


@dataclass(frozen=True, slots=True)
class _Cells:
    """A line as terminal columns: `cells[c]` is what column c shows ("" under the right half of a wide character)."""

    cells: list[str]
    column_of: list[int]  # of each character, and of the end of the line


def _expand(text: str) -> _Cells:
    cells: list[str] = []
    columns: list[int] = []
    for char in text:
        columns.append(len(cells))
        if char == "\t":
            cells.extend(" " * (_TAB - len(cells) % _TAB))
        elif combining(char) or category(char) in ("Mn", "Me", "Cf"):
            # It takes no column: it is drawn with the character before it.
            columns[-1] = max(0, len(cells) - 1)
            if cells:
                cells[-1] += char
        elif category(char) == "Cc":
            cells.append("\N{REPLACEMENT CHARACTER}")  # a control character would move the cursor
        else:
            cells.append(char)
            if east_asian_width(char) in "WF":
                cells.append("")
    columns.append(len(cells))
    return _Cells(cells, columns)


def _window(line: _Cells, marks: list[_Mark], room: int) -> tuple[str, list[_Mark]]:
    """The text of a line and its marks in columns; a line longer than `room` columns is cut around its marks."""
    placed = [replace(m, start=line.column_of[m.start], end=line.column_of[m.end]) for m in marks]
    n_columns = len(line.cells)
    if n_columns <= room:
        return "".join(line.cells), placed
    room -= 2 * len(_CUT)
    lo, hi = min(m.start for m in placed), max(m.stop for m in placed)
    if hi - lo > room:  # not all marks fit: stay with the one that matters most
        lo = next((m for m in placed if m.primary), placed[0]).start
        hi = min(lo + room, n_columns)
    start = max(0, min(lo - (room - (hi - lo)) // 2, n_columns - room))
    stop = min(n_columns, start + room)
    cells = line.cells[start:stop]
    # Half of a wide character cannot be shown: a blank keeps its column.
    if cells[0] == "":
        cells[0] = " "
    if stop < n_columns and line.cells[stop] == "":
        cells[-1] = " "
    left = _CUT if start else ""
    text = left + "".join(cells) + (_CUT if stop < n_columns else "")
    shift = len(left) - start

    def moved(column: int) -> int:
        # What lies outside is marked under the dots.
        return min(max(column, start - len(left)), stop + len(_CUT)) + shift

    return text, [replace(m, start=moved(m.start), end=moved(m.end)) for m in placed]


def _mark_rows(marks: list[_Mark]) -> Iterator[_Row]:
    """The underlines with the labels that fit beside them, then the other labels hanging below."""
    marks = sorted(marks, key=lambda m: (m.start, m.stop, m.primary))
    beside = [m for n, m in enumerate(marks) if m.label and _fits_beside(n, marks)]
    hanging = [m for m in marks if m.label and m not in beside]
    row: dict[int, Piece] = {}
    for mark in sorted(marks, key=lambda m: m.primary):  # the primary mark is drawn last, so it stays whole
        _paint(row, mark.start, ("^" if mark.primary else "-") * (mark.stop - mark.start), mark.style)
    for mark in beside:
        _paint(row, mark.stop + 1, mark.label, mark.style)
    yield _flat(row)
    if hanging:
        yield _flat({m.start: ("|", m.style) for m in hanging})
    while hanging:
        mark = hanging.pop()
        row = {m.start: ("|", m.style) for m in hanging}
        _paint(row, mark.start, mark.label, mark.style)
        yield _flat(row)


def _fits_beside(n: int, marks: list[_Mark]) -> bool:
    """Whether the label of ``marks[n]`` can stand right of its underline without touching another mark."""
    mark = marks[n]
    needed = mark.stop + 1 + len(_expand(mark.label).cells) + 2
    for other_n, other in enumerate(marks):
        if other.stop > mark.stop and other.start < needed:
            return False
        if other.stop == mark.stop and other_n > n and other.label:
            return False
    return True


def _paint(row: dict[int, Piece], column: int, text: str, style: str) -> None:
    for n, cell in enumerate(_expand(text).cells):
        row[column + n] = (cell, style)


def _flat(row: dict[int, Piece]) -> _Row:
    """Painted columns as text, neighbours of one style joined."""
    pieces: _Row = []
    column = 0
    for at in sorted(row):
        text, style = row[at]
        if at > column:
            pieces.append((" " * (at - column), ""))
        if pieces and pieces[-1][1] == style:
            pieces[-1] = (pieces[-1][0] + text, style)
        else:
            pieces.append((text, style))
        column = at + 1
    return pieces
