"""One way to write each program: text in, the same program with lem's layout out.

Takes a :class:`SourceFile`; gives the text that ``lem fmt`` writes, or None and reports where it does not parse. Works
on tokens, so nothing is lost: brackets, the way numbers and strings are written, every comment. What it wrote is parsed
again and must be the same tree with the same comments, so a mistake in here can never change a program.

- Four blanks for each block, one statement on each line, lines of at most 100 characters where they can be cut
  (`wrap.py`); a line that was cut by hand is joined if it fits, unless a last comma says "one part each".
- Two empty lines around kernels, tasks, fns, structs and tests, one after the text at the top; elsewhere one or none,
  as it was, and none where a block begins.
- Comments keep their text. On lines of their own they move with their block; behind code they stand two blanks
  after it, and where several lines in a row had theirs in one column they keep to one column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field

from lem.diagnostics import Diagnostics, InternalError
from lem.source import SourceFile
from lem.syntax import ast
from lem.syntax.driver import parse_tokens
from lem.syntax.lexer import CLOSER, COLON, DEDENT, INDENT, NAME, NEWLINE, SOFT_WORDS, STRING, Tokens, tokenize
from lem.syntax.tables import tables
from lem.syntax.wrap import INDENT as STEP
from lem.syntax.wrap import WIDTH, Comment, Leaf, Row, wrapped
from lem_runtime.abi.records import dataclass

MAX_ROUNDS = 5
_KIND = tables().literals
_BLOCKS = frozenset(_KIND[word] for word in "kernel task fn struct test @".split())
_HEADERS = frozenset(_KIND[word] for word in "if elif else while for kernel task fn struct test".split())
_SOFT_KINDS = frozenset(_KIND[word] for word in SOFT_WORDS)
_NAMED_RESULTS = frozenset((_KIND["kernel"], _KIND["task"]))


def format_source(source: SourceFile, diags: Diagnostics) -> str | None:
    """The text of a program in lem's layout; None when `diags` got an error."""
    n_errors = diags.n_errors
    source = with_plain_line_ends(source)
    tokens, tree = _read(source, diags)
    if diags.n_errors > n_errors:
        return None
    return _settled(layout(tokens), lambda text: _read_again(source, tree, text))


def _settled(text: str, read: Callable[[str], Tokens]) -> str:
    """A text that would be written again as it is. A comment in the middle of an expression moves to the end or the
    start of a part, and then the part may fit its line: so what was written is laid out until nothing changes."""
    for _ in range(MAX_ROUNDS):
        again = layout(read(text))
        if again == text:
            return text
        text = again
    raise InternalError("format", f"the layout still changes after {MAX_ROUNDS} rounds", text)


def _read(source: SourceFile, diags: Diagnostics) -> tuple[Tokens, ast.Module]:
    tokens = tokenize(source, diags)
    tree: ast.Module = parse_tokens(tokens, diags, "module")  # also tells keywords from names, in `tokens`
    return tokens, tree


def _read_again(source: SourceFile, tree: ast.Module, text: str) -> Tokens:
    """The tokens of what was written, which must mean what was read."""
    diags = Diagnostics()
    tokens, again = _read(SourceFile(source.name, text), diags)
    if diags.has_errors:
        raise InternalError("format", f"the result does not parse: {diags.items[0].label}", text)
    if not ast.same(tree, again):
        raise InternalError("format", "the result is another program", text)
    if Counter(c.rstrip() for _, c in tree.comments) != Counter(c for _, c in again.comments):
        raise InternalError("format", "the result has other comments", text)
    return tokens


def format_python(source: SourceFile, diags: Diagnostics) -> str | None:
    """The Python spelling of a program (see `to_python.py`) in the same layout."""
    n_errors = diags.n_errors
    tokens = python_tokens(source, diags)
    if diags.n_errors > n_errors:
        return None
    return _settled(layout(tokens), lambda text: python_tokens(SourceFile(source.name, text), Diagnostics()))


def python_tokens(source: SourceFile, diags: Diagnostics) -> Tokens:
    """The tokens of a Python text, where lem's own words are names."""
    tokens = tokenize(source, diags)
    tokens.kinds[:] = [NAME if kind in _SOFT_KINDS else kind for kind in tokens.kinds]
    return tokens


def with_plain_line_ends(source: SourceFile) -> SourceFile:
    """The same text with ``\\n`` for every line end: which one a file has is not lem's affair."""
    return SourceFile(source.name, source.text.replace("\r\n", "\n")) if "\r\n" in source.text else source


def layout(tokens: Tokens) -> str:
    """Tokens that were read without an error, as text."""
    rows = [row for rows in _pieces(list(_Reader(tokens).lines())) for row in rows]
    _align_comments(rows)
    return "".join(["\n" * row.blanks + _row_text(row) + "\n" for row in rows])


# ---------------------------------------------------------------- logical lines
@dataclass(slots=True)
class _Line:
    """A logical line, or a comment on a line of its own (then `leaves` is empty). `blanks`: empty lines before it."""

    depth: int
    blanks: int
    leaves: list[Leaf] = field(default_factory=list)
    comment: str = ""
    opens_block: bool = False

    @property
    def kind(self) -> str:
        """What it is at the outermost level."""
        if self.depth or not self.leaves:
            return "inside" if self.depth else "comment"
        first = self.leaves[0]
        if first.kind in _BLOCKS or first.text in ("def", "class"):
            return "block"
        if first.kind in (_KIND["import"], _KIND["from"]):
            return "import"
        return "text" if first.kind == STRING else "constant"


class _Reader:
    """Cuts tokens into logical lines and gives each comment its place."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.text = tokens.source.text
        self.n_comments = 0  # so many comments have their place
        self.at = 0  # end of what was read so far
        self.depth = 0  # of the last line
        self.columns = [0]  # where the blocks around the last line began

    def lines(self) -> Iterator[_Line]:
        depth, first = 0, 0  # of the line that is being read: its depth and its first token
        for i, kind in enumerate(self.tokens.kinds):
            if kind in (INDENT, DEDENT):
                depth += 1 if kind == INDENT else -1
                first = i + 1
            elif kind == NEWLINE:
                yield from self._comments_before(self.tokens.starts[first], depth)
                yield from self._logical_line(first, i, depth)
                first = i + 1
        yield from self._comments_before(len(self.text), 0)

    def _logical_line(self, first: int, last: int, depth: int) -> Iterator[_Line]:
        """The line of tokens first..last-1; two lines, where a statement stands behind the colon of a block."""
        start = self.tokens.starts[first]
        opens = depth > self.depth
        blanks = self._blanks_before(start)
        self.depth = depth
        self.columns[depth:] = [self._column(start)]
        leaves = self._leaves(first, last)
        cut = self._end_of_header(first, last) - first
        yield _Line(depth, blanks, leaves[:cut], opens_block=opens)
        if leaves[cut:]:
            yield _Line(depth + 1, 0, leaves[cut:], opens_block=True)

    def _end_of_header(self, first: int, last: int) -> int:
        """The token behind the colon that opens a block; `last` where none does."""
        tokens = self.tokens
        head = tokens.kinds[first]
        if head not in _HEADERS and tokens.text(first) not in ("def", "class"):
            return last
        n_brackets, skip = 0, False
        for i in range(first, last):
            text = tokens.text(i)
            n_brackets += (text in CLOSER) - (text in (")", "]", "}"))
            if n_brackets:
                continue
            if text == "->" and head in _NAMED_RESULTS:
                skip = tokens.text(i + 1) != "("  # the first colon is that of `-> y: f32`
            elif tokens.kinds[i] == COLON and skip:
                skip = False
            elif tokens.kinds[i] == COLON:
                return i + 1
        return last

    # ------------------------------------------------------------ comments
    def _leaves(self, first: int, last: int) -> list[Leaf]:
        """The tokens of a line, with the comments among them and the one behind them."""
        tokens = self.tokens
        leaves: list[Leaf] = []
        above: list[Comment] = []
        for i in range(first, last):
            while (found := self._comment_until(tokens.starts[i])) is not None:
                comment, is_alone = found
                (above if is_alone or not leaves else leaves[-1].after).append(comment)
            starts_line = "\n" in self.text[tokens.ends[i - 1] : tokens.starts[i]] if leaves else True
            leaves.append(Leaf(tokens.text(i), tokens.kinds[i], above, starts_line=starts_line))
            above = []
            self.at = tokens.ends[i]
        line_end = self.text.find("\n", self.at)
        while (found := self._comment_until(len(self.text) if line_end < 0 else line_end)) is not None:
            leaves[-1].after.append(found[0])
        return leaves

    def _comment_until(self, end: int) -> tuple[Comment, bool] | None:
        """The next comment before `end`, and whether it has its line for itself."""
        comments = self.tokens.comments
        if self.n_comments == len(comments) or comments[self.n_comments][0] >= end:
            return None
        offset, text = comments[self.n_comments]
        self.n_comments += 1
        line_start = self.text.rfind("\n", 0, offset) + 1
        is_alone = not self.text[line_start:offset].strip()
        self.at = offset + len(text)
        return Comment(text.rstrip(), self._column(offset)), is_alone

    def _comments_before(self, end: int, depth: int) -> Iterator[_Line]:
        """Comments on lines of their own between the last line and one at `depth` that begins at `end`.

        Where a block ends, a comment belongs to the innermost block that it is not left of.
        """
        while self.n_comments < len(self.tokens.comments) and self.tokens.comments[self.n_comments][0] < end:
            blanks = self._blanks_before(self.tokens.comments[self.n_comments][0])
            found = self._comment_until(end)
            assert found is not None
            comment, _ = found
            opens = depth > self.depth
            while self.depth > depth and comment.column < self.columns[self.depth]:
                self.depth -= 1
            self.depth = max(self.depth, depth)
            yield _Line(self.depth, blanks, comment=comment.text, opens_block=opens)

    def _blanks_before(self, offset: int) -> int:
        """Empty lines between what was read and `offset`."""
        return max(0, self.text.count("\n", self.at, offset) - 1)

    def _column(self, offset: int) -> int:
        line_start = self.text.rfind("\n", 0, offset) + 1
        return len(self.text[line_start:offset].expandtabs(8))


# ---------------------------------------------------------------- empty lines
def _pieces(lines: Sequence[_Line]) -> Iterator[list[Row]]:
    """The rows of each logical line, with the empty lines before them."""
    before, in_test = "", False
    for n, line in enumerate(lines):
        kind = _kind_with_comments(lines, n)
        if line.leaves:
            in_test = in_test if line.depth else line.leaves[0].kind == _KIND["test"]
            rows = wrapped(line.leaves, STEP * line.depth, in_test=in_test)
        else:
            rows = [Row(STEP * line.depth, line.comment)]
        rows[0].blanks = _blanks(before, kind, line, lines[n - 1] if n else None)
        yield rows
        before = kind if kind != "inside" else before


def _kind_with_comments(lines: Sequence[_Line], n: int) -> str:
    """The kind of line `n`; a comment directly above something is part of it."""
    while lines[n].kind == "comment" and n + 1 < len(lines) and not lines[n + 1].blanks and not lines[n + 1].depth:
        n += 1
    return lines[n].kind


def _blanks(before: str, kind: str, line: _Line, last: _Line | None) -> int:
    """Empty lines before a line. `before`, `kind`: of the thing that ended and the one that begins, at depth 0."""
    if last is None:
        return 0
    if line.depth:
        return 0 if line.opens_block else min(line.blanks, 1)
    if not last.depth and _continues(last, line):
        return 0
    if "block" in (before, kind):
        return 2
    if before == "text" or (before == "import" and kind not in ("import", "comment")):
        return max(1, min(line.blanks, 1 if before == "text" else 2))
    return min(line.blanks, 1 if kind == "import" else 2)


def _continues(last: _Line, line: _Line) -> bool:
    """Whether two lines at depth 0 are one thing: a comment and what it stands above, a decorator and what follows."""
    if last.leaves:
        return last.leaves[0].text == "@"
    return not line.blanks


# ---------------------------------------------------------------- rows to text
def _row_text(row: Row) -> str:
    text = " " * row.indent + row.text
    return f"{text}  {row.comment.text}" if row.comment else text


def _align_comments(rows: Sequence[Row]) -> None:
    """Comments behind lines that follow each other, in one column before, are in one column again."""
    run: list[Row] = []
    for row in [*rows, None]:
        comment = row.comment if row else None
        if run and not (row and comment and not row.blanks and comment.column == _column_of(run[-1])):
            _align(run)
            run = []
        if row and comment and "\n" not in row.text:
            run.append(row)


def _column_of(row: Row) -> int:
    assert row.comment is not None
    return row.comment.column


def _align(run: Sequence[Row]) -> None:
    widths = [row.indent + len(row.text) for row in run]
    texts = [row.comment.text for row in run if row.comment]
    if all(max(widths) + 2 + len(text) <= WIDTH for text in texts):
        for row, width in zip(run, widths, strict=True):
            row.text += " " * (max(widths) - width)
