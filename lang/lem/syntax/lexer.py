"""Text to tokens: one master expression, indentation as tokens, and lem's own words told from names by what follows them.

Takes a :class:`SourceFile` and a range of it; gives :class:`Tokens`, parallel lists that the driver walks. Mistakes in
single tokens (numbers, characters, quotes, indentation, brackets) are reported here, once; what could not be read
becomes a BROKEN token, and the driver stays silent about the line.

Two passes only happen in wrong programs: a bracket that is never closed is noticed at the end of the text, and the text
is read again with the bracket closed where a statement seems to begin.
"""

from __future__ import annotations

import re
from dataclasses import field

from lem.diagnostics import Code, Diagnostics
from lem.diagnostics.codes import E0101, E0102, E0103, E0104, E0106, E0107
from lem.source import SourceFile, Span
from lem.syntax.patterns import Pattern
from lem.syntax.tables import tables
from lem_runtime.abi.records import dataclass

LONG_LINE = 80  # tokens; a shorter line cannot make a tree that is too deep
MANY_INDENTS = 40
MAX_GUESSES = 20  # brackets that are found open only at the end of the text; each one costs a reading of what follows

# Words that Python reserves stay reserved, because bodies parse as Python; those lem has no use for are refused by name.
PYTHON_WORDS = frozenset("None async await class def del except finally global lambda nonlocal raise try with yield".split())

# lem's words, by what must follow for the lexer to take them for the keyword. The driver takes a keyword back to NAME
# (and a NAME to the other words: on, near, priority, within, where) when only that can be meant.
_BEFORE_NAME = frozenset("kernel fn task struct spawn out inout".split())
_BEFORE_STRING = frozenset(("test", "fails"))
SOFT_WORDS = _BEFORE_NAME | _BEFORE_STRING | {"reduce", "sync", "check", "on", "near", "priority", "within", "where"}

_SPACE = Pattern(r"[ \t]*")
_NAME_FOLLOWS = Pattern(r"(?:[ \t]|\\\r?\n)+(?!(?:if|else|and|or|in|is|not|for|as|import)\b)[^\W\d]")
_STRING_FOLLOWS = Pattern(r"[ \t]*[rRfF]{0,2}[\"']")
_PAREN_FOLLOWS = Pattern(r"[ \t]*\(")
_CHECKED_FOLLOWS = Pattern(r"[ \t]+(?!(?:if|else|and|or|in|is|for|as|not[ \t]+in)\b)(?:[\w\"']|\.\d|~|[-+](?=[\w(.]))")

_NUMBER = (
    r"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+"
    r"|(?:[0-9](?:_?[0-9])*\.(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?|[0-9](?:_?[0-9])*[eE][+-]?[0-9](?:_?[0-9])*"
    r"|0(?:_?0)*|[1-9](?:_?[0-9])*"
)
_PREFIX = r"(?:[rR][fF]?|[fF][rR]?)?"
_EXTRA_OPERATORS = (":=", "...", ";", "{", "}", "<>", "!", "?", "$", "`")  # not lem's, but messages want them whole


def _master() -> str:
    """Each alternative is one group; `lastindex` then says what was found."""
    operators = [text for text in tables().literals if not (text[0].isalpha() or text[0] == "_")]
    operators = sorted({*operators, *_EXTRA_OPERATORS}, key=len, reverse=True)
    return (
        r"[ \t\f]*(?:"
        r"([^\W\d]\w*(?![\"'\w]))"  # 1 name
        rf"|({'|'.join(map(re.escape, operators))})(?<!\.(?=[0-9]))"  # 2 operator, but not the point of `.5`
        rf"|((?:{_NUMBER})(?![\w.]))"  # 3 number
        r"|\r?\n([ \t\f]*)"  # 4 line end, with the next line's indentation
        rf"|({_PREFIX}(?:\"\"\"(?:[^\\\"]|\\.|\"(?!\"\"))*\"\"\"|'''(?:[^\\']|\\.|'(?!''))*'''"
        r"|\"(?!\"\")(?:[^\"\\\n\r]|\\\r?.)*\"|'(?!'')(?:[^'\\\n\r]|\\\r?.)*'))"  # 5 string
        r"|(\#[^\n\r]*)"  # 6 comment
        r"|(\\\r?\n)"  # 7 continuation
        r"|([^\W\d]\w*)"  # 8 name before a quote
        r"|((?:[0-9]|\.[0-9])(?:[eE][+-](?=[0-9])|[\w.])*)"  # 9 bad number
        r"|(\"\"\"|'''|\"|')"  # 10 open string
        r"|(\Z)"  # 11 end
        r"|([\s\S])"  # 12 anything else
        r")"
    )


_T = tables()
_MASTER = Pattern(_master, re.DOTALL)
NAME, NUMBER, STRING, FSTRING = (_T.number[n] for n in ("NAME", "NUMBER", "STRING", "FSTRING"))
NEWLINE, INDENT, DEDENT, END = (_T.number[n] for n in ("_NEWLINE", "_INDENT", "_DEDENT", "$END"))
BROKEN, BROKEN_LINE, COLON, CHECK = (_T.number[n] for n in ("BROKEN", "BROKEN_LINE", "COLON", "CHECK"))
UNKNOWN = -1  # a token the grammar has no place for: the driver stops at it, `mistakes.py` knows what to say
_SOFT = -2  # in `_WORDS`: look at what follows
_WORDS: dict[str, int] = {
    **{text: number for text, number in _T.literals.items() if text[0].isalpha()},
    **dict.fromkeys(PYTHON_WORDS, UNKNOWN),
    **dict.fromkeys(SOFT_WORDS, _SOFT),
}
_OPERATORS: dict[str, int] = {
    **{text: number for text, number in _T.literals.items() if not text[0].isalpha()},
    **{text: UNKNOWN for text in _EXTRA_OPERATORS if text not in _T.literals},
}
CLOSER = {"(": ")", "[": "]", "{": "}"}
_BRACKETS = frozenset("()[]{}")


@dataclass(slots=True)
class Tokens:
    """Token i is ``text[starts[i]:ends[i]]`` of kind `kinds[i]`; layout tokens are empty and lie at the last real token.

    The lists end with an END token. `reported`: offsets of what was complained about: one report
    per line is enough.
    """

    source: SourceFile
    kinds: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    comments: list[tuple[int, str]] = field(default_factory=list)
    reported: list[int] = field(default_factory=list)
    is_part: bool = False  # a range of the source, read as an expression
    deep: list[int] = field(default_factory=list)  # offsets of lines whose tree might be too deep for those who walk it

    def text(self, i: int) -> str:
        return self.source.text[self.starts[i] : self.ends[i]]

    def span(self, first: int, last: int | None = None) -> Span:
        """From token `first` to token `last` (both included)."""
        return Span(self.source, self.starts[first], self.ends[first if last is None else last])


def tokenize(source: SourceFile, diags: Diagnostics, start: int = 0, end: int | None = None) -> Tokens:
    """Tokens of ``source.text[start:end]``. A range given by `end` is read as an expression: line ends do not count."""
    lexer = _Lexer(source, diags, start, end)
    lexer.run()
    return lexer.tokens


@dataclass(slots=True)
class _Resume:
    """A place where an open bracket might have been meant to end: a line begins that looks like a statement."""

    at: int  # offset of the line end before it
    n_tokens: int
    n_comments: int
    n_reported: int
    brackets: list[tuple[str, int]]


class _Lexer:
    def __init__(self, source: SourceFile, diags: Diagnostics, start: int, end: int | None) -> None:
        self.source = source
        self.text = source.text
        self.diags = diags
        self.tokens = Tokens(source, is_part=end is not None)
        self.at = start
        self.end = len(source.text) if end is None else end
        self.is_part = end is not None
        self.brackets: list[tuple[str, int]] = []  # open ones: the character and the number of its token
        self.indents = [0]
        self.alt_indents = [0]  # the same columns with tabs as one space: both must agree
        self.odd_columns: set[tuple[int, int]] = set()  # (depth, column) that lie between two blocks, reported
        self.line_first = 0  # number of the line's first token
        self.resume: _Resume | None = None  # for the outermost open bracket
        self.n_guesses = 0
        self.again = True
        self.check_calls: list[int] = []  # tokens `check` before "(": keyword or call, known when the line is complete

    def run(self) -> None:
        if not self.is_part:
            self._start_of_text()
        while self.again:
            self.again = False
            self._scan()
        self._end_of_text()
        self._settle_checks()

    def report(
        self, code: Code, start: int, end: int, label: str, *, help: str = "", also: tuple[tuple[Span, str], ...] = ()
    ) -> None:
        """Report one mistake per line: a second one is mostly the first one's shadow."""
        tokens = self.tokens
        line_start = tokens.starts[self.line_first] if self.line_first < len(tokens.starts) else start
        if not tokens.reported or tokens.reported[-1] < line_start:
            self.diags.error(code, Span(self.source, start, end), label, help=help or (), also=also)
        tokens.reported.append(start)

    # ------------------------------------------------------------ the hot loop
    def _scan(self) -> None:
        """Read on from `self.at`. Sets `again` when reading stops early and must begin anew, at another place."""
        kinds, starts, ends = self.tokens.kinds, self.tokens.starts, self.tokens.ends
        add_kind, add_start, add_end = kinds.append, starts.append, ends.append
        words, operators, name_kind = _WORDS, _OPERATORS, NAME
        brackets = self.brackets
        for m in _MASTER.finditer(self.text, self.at, self.end):
            group = m.lastindex
            if group == 1:
                start, end = m.span(1)
                kind = words.get(m[1], name_kind)
                if kind == _SOFT:
                    kind = self._soft(m[1], start, end)
                elif kind == name_kind and not m[1].isascii():
                    kind = self._odd_name(m[1], start, end)
                add_kind(kind)
                add_start(start)
                add_end(end)
            elif group == 2:
                start, end = m.span(2)
                text = m[2]
                if text in _BRACKETS and not self._bracket(text, start):
                    continue
                add_kind(operators[text])
                add_start(start)
                add_end(end)
            elif group == 3:
                start, end = m.span(3)
                add_kind(NUMBER)
                add_start(start)
                add_end(end)
            elif group == 4:
                if brackets:
                    self._line_end_in_brackets(m)
                    if self.again:
                        break
                elif not self.is_part:
                    self._line_end(m)
            elif group == 5:
                start, end = m.span(5)
                prefix = m[5][:2].lower()
                add_kind(FSTRING if prefix[0] == "f" or prefix == "rf" else STRING)
                add_start(start)
                add_end(end)
            elif group == 6:
                self.tokens.comments.append((m.start(6), m[6]))
            elif group == 11:
                break
            elif group != 7:
                self._odd(m, group or 12)
                if self.again:
                    break
        if brackets and not self.again:
            self._close_by_guess()

    # ------------------------------------------------------------ words
    def _soft(self, word: str, start: int, end: int) -> int:
        """Keyword or name? Decided by what follows, here; corrected by the driver where the other one must be meant."""
        text = self.text
        if word in _BEFORE_NAME:
            is_keyword = _NAME_FOLLOWS.match(text, end) is not None
        elif word in _BEFORE_STRING:
            is_keyword = _STRING_FOLLOWS.match(text, end) is not None
        elif word == "reduce":
            is_type = self._last_kind() == COLON or self.is_part and not self.tokens.kinds
            is_keyword = is_type and _PAREN_FOLLOWS.match(text, end) is not None
        elif word == "sync":
            after = _SPACE.match(text, end).end()  # type: ignore[union-attr]
            is_keyword = self._begins_statement() and (after >= self.end or text[after] in "\r\n#;")
        elif word == "check":
            is_keyword = self._begins_statement() and _CHECKED_FOLLOWS.match(text, end) is not None
            if self._begins_statement() and not is_keyword and _PAREN_FOLLOWS.match(text, end):
                self.check_calls.append(len(self.tokens.kinds))
        else:
            is_keyword = False
        return _T.literals[word] if is_keyword else NAME

    def _last_kind(self) -> int:
        return self.tokens.kinds[-1] if self.tokens.kinds else NEWLINE

    def _begins_statement(self) -> bool:
        return not self.brackets and self._last_kind() in (NEWLINE, INDENT, DEDENT, COLON)

    def _settle_checks(self) -> None:
        """``check (a + b) * 2 == c`` is the statement, ``check(a == b, within=t)`` a call: does the bracket end the line?"""
        tokens = self.tokens
        for first in self.check_calls:
            depth, i = 0, first + 1
            while i < len(tokens.kinds) - 1:
                text = tokens.text(i)
                depth += text in ("(", "[", "{")
                depth -= text in (")", "]", "}")
                if depth == 0:
                    break
                i += 1
            following = tokens.text(i + 1) if i + 1 < len(tokens.kinds) else ""
            if following not in ("", ";", "=", ".", "[", ":"):
                tokens.kinds[first] = CHECK

    def _odd_name(self, word: str, start: int, end: int) -> int:
        if word.isidentifier():
            return NAME
        bad = next(c for c in word if not ("a" + c).isidentifier() or c == word[0] and not c.isidentifier())
        at = start + word.index(bad)
        self.report(E0107, at, at + 1, f"{_shown(bad)} cannot be part of a name")
        return BROKEN

    # ------------------------------------------------------------ brackets
    def _bracket(self, text: str, start: int) -> bool:
        """Keep account of an opening or closing bracket; False if the token is to be left out."""
        if text in CLOSER:
            if not self.brackets:
                self.resume = None
            self.brackets.append((text, len(self.tokens.kinds)))
            return True
        if self.brackets and CLOSER[self.brackets[-1][0]] == text:
            self.brackets.pop()
            return True
        if any(CLOSER[opener] == text for opener, _ in self.brackets):
            while CLOSER[self.brackets[-1][0]] != text:
                self._report_open(self.brackets[-1])
                self._add_closer(start)
            self.brackets.pop()
            return True
        if self.brackets:
            opener, i = self.brackets[-1]
            label = f"expected `{CLOSER[opener]}`, found `{text}`"
            self.report(E0103, start, start + 1, label, also=((self.tokens.span(i), f"to close this `{opener}`"),))
        else:
            self.report(E0101, start, start + 1, f"found `{text}` without an opening bracket")
        return False

    def _add_closer(self, at: int) -> None:
        """The bracket that is missing, as an empty token."""
        opener, _ = self.brackets.pop()
        self._add(_OPERATORS[CLOSER[opener]], at, at)

    def _report_open(self, bracket: tuple[str, int]) -> None:
        opener, i = bracket
        at = self.tokens.starts[i]
        self.report(E0103, at, at + 1, f"expected `{CLOSER[opener]}` to close this `{opener}`")

    def _line_end_in_brackets(self, m: re.Match[str]) -> None:
        if self.resume is None and not self.is_part and self._looks_like_statement(m.end()):
            sizes = (len(self.tokens.kinds), len(self.tokens.comments), len(self.tokens.reported))
            self.resume = _Resume(m.start(), *sizes, list(self.brackets))
        is_hopeless = self.n_guesses > MAX_GUESSES and self.resume is not None
        if is_hopeless or _NO_EXPRESSION.match(self.text, m.end(), self.end) and not self.is_part:
            self._close_by_guess()

    def _looks_like_statement(self, at: int) -> bool:
        """Whether the line at `at` would be a new statement, if one knew that the bracket was forgotten."""
        line_end = self.text.find("\n", at)
        line = self.text[at : self.end if line_end < 0 else min(line_end, self.end)]
        if not line.strip() or line[0] in ")]}#":
            return False
        column = at - (self.text.rfind("\n", 0, at) + 1)
        is_outside = column <= self.indents[-1]
        return _STATEMENT.match(line) is not None or (is_outside and _BEGINNING.match(line) is not None)

    def _close_by_guess(self) -> None:
        """A bracket was forgotten: close it where a statement seems to begin, and read again from there."""
        resume = self.resume
        if resume is None:
            self._report_open(self.brackets[0])
            while self.brackets:
                self._add_closer(self.tokens.ends[-1])
            return
        tokens = self.tokens
        for items in (tokens.kinds, tokens.starts, tokens.ends):
            del items[resume.n_tokens :]
        del tokens.comments[resume.n_comments :]
        del tokens.reported[resume.n_reported :]
        self.check_calls = [i for i in self.check_calls if i < resume.n_tokens]
        self.brackets[:] = resume.brackets
        self._report_open(self.brackets[0])
        last = tokens.ends[-1]
        ends_header = tokens.kinds[-1] == COLON and self.brackets[-1][0] == "("
        if ends_header:  # `for i in grid(N:` means the bracket before the colon
            for items in (tokens.kinds, tokens.starts, tokens.ends):
                items.pop()
        while self.brackets:
            self._add_closer(tokens.ends[-1])
        if ends_header:
            self._add(COLON, last - 1, last)
        self.at, self.resume, self.again = resume.at, None, True
        self.n_guesses += 1

    # ------------------------------------------------------------ lines
    def _add(self, kind: int, start: int, end: int) -> None:
        self.tokens.kinds.append(kind)
        self.tokens.starts.append(start)
        self.tokens.ends.append(end)

    def _start_of_text(self) -> None:
        if self.text.startswith("\ufeff", self.at):
            self.at += 1
        m = _SPACE.match(self.text, self.at)
        assert m is not None
        if m.end() > self.at and not self._is_blank(m.end()):
            self.report(E0102, self.at, m.end(), "expected no indentation at the start of the text")
            self.tokens.reported[-1] = m.end()  # nothing more is said about this line
        self.at = m.end()

    def _is_blank(self, at: int) -> bool:
        return at >= self.end or self.text[at] in "\n#" or self.text.startswith("\r\n", at)

    def _close_line(self) -> None:
        """NEWLINE after the line's tokens, if it has any."""
        n = len(self.tokens.kinds)
        if n > self.line_first:
            last = self.tokens.ends[-1]
            self._add(NEWLINE, last, last)
            if n - self.line_first > LONG_LINE:
                self.tokens.deep.append(self.tokens.starts[self.line_first])
            self.line_first = n + 1

    def _line_end(self, m: re.Match[str]) -> None:
        self._close_line()
        at = m.end()
        if self._is_blank(at):
            return
        indent = m[4]
        column = len(indent) if indent.isspace() and "\t" not in indent and "\f" not in indent else _column(indent, 8)
        if column == self.indents[-1] and "\t" not in indent:
            return
        alt_column = _column(indent, 1)
        self._indentation(column, alt_column, at - len(indent), at)
        self.line_first = len(self.tokens.kinds)

    def _indentation(self, column: int, alt_column: int, start: int, end: int) -> None:
        here = self.tokens.ends[-1] if self.tokens.ends else start
        if column > self.indents[-1]:
            if alt_column <= self.alt_indents[-1]:
                self.report(E0102, start, end, "tabs and spaces are mixed", help=_TABS)
                self.tokens.reported[-1] = end
                if len(self.tokens.kinds) > 1 and self.tokens.kinds[-2] != COLON:
                    return  # no block begins here: the line belongs to the one before it
            elif len(self.indents) > MANY_INDENTS:
                self.tokens.deep.append(end)
            self.indents.append(column)
            self.alt_indents.append(alt_column)
            self._add(INDENT, here, here)
            return
        while column < self.indents[-1] and column <= self.indents[-2]:
            self.indents.pop()
            self.alt_indents.pop()
            self._add(DEDENT, here, here)
        if column != self.indents[-1]:
            # Between two blocks: taken for the inner one; a whole block shifted this way is one mistake.
            if (len(self.indents), column) not in self.odd_columns:
                self.odd_columns.add((len(self.indents), column))
                self.report(E0102, start, end, "expected the indentation of an enclosing block", help=_DEDENT_HELP)
                self.tokens.reported[-1] = end
        elif alt_column != self.alt_indents[-1]:
            self.report(E0102, start, end, "tabs and spaces are mixed", help=_TABS)
            self.tokens.reported[-1] = end

    def _end_of_text(self) -> None:
        if self.is_part:
            last = self.tokens.ends[-1] if self.tokens.ends else self.end
            self._add(NEWLINE, last, last)
        else:
            self._close_line()
        last = self.tokens.ends[-1] if self.tokens.ends else self.at
        for _ in self.indents[1:]:
            self._add(DEDENT, last, last)
        self._add(END, last, last)

    # ------------------------------------------------------------ what does not belong
    def _odd(self, m: re.Match[str], group: int) -> None:
        """A token that is wrong in itself: report it and put something in its place."""
        start, end = m.span(group)
        if group == 8:
            self._before_quote(m[8], start, end)
        elif group == 9:
            self.report(E0106, start, end, _about_number(m[9]))
            self._add(BROKEN, start, end)
        elif group == 10:
            self._open_string(m[10], start)
        else:
            self._odd_character(m[12], start)

    def _before_quote(self, word: str, start: int, end: int) -> None:
        """A name directly before a quote: ``b"..."``, or two things that stand close (then the driver judges)."""
        if word.lower() in ("b", "br", "rb", "u"):
            self.report(E0104, start, end, f"found a string with the prefix `{word}`", help="write a plain string")
        elif word.lower() not in ("r", "f", "rf", "fr"):  # those stand before a string that is not closed
            kind = _WORDS.get(word, NAME)
            self._add(self._soft(word, start, end) if kind == _SOFT else kind, start, end)

    def _open_string(self, quote: str, start: int) -> None:
        """A string without an end: a short one ends with its line, a long one takes all that follows."""
        if len(quote) == 3:
            self.report(E0103, start, start + 3, f"expected `{quote}` to close this string, found the end of the text")
            self.at = self.end
        else:
            self.report(E0103, start, start + 1, f"expected `{quote}` before the end of the line")
            line_end = self.text.find("\n", start, self.end)
            self.at = self.end if line_end < 0 else line_end
        self._add(BROKEN, start, max(start + 1, start + len(self.text[start : self.at].rstrip("\r\n"))))
        self.again = True

    def _odd_character(self, c: str, start: int) -> None:
        """A character that no token begins with; it is left out."""
        if c == "\\":
            self.report(E0107, start, start + 1, "expected the end of the line after `\\`")
            return
        meant = _LOOKALIKES.get(c)
        help = f"write `{meant}`" if meant else "delete it"
        if c == "\r":
            help = "lines end with a line feed, or a carriage return before one"
        elif c.isspace() and not meant:
            help = "write a plain space"
        self.report(E0107, start, start + 1, f"found {_shown(c)}", help=help)


_TABS = "indent with spaces only"
_DEDENT_HELP = "line this up with the block it belongs to"
_STATEMENT = Pattern(
    r"[ \t]*(?:(?:return|pass|break|continue|while|import|from|assert|def|class|elif)\b|(?:kernel|fn|task|struct)[ \t]+\w"
    r"|(?:test|check)[ \t]+[\w\"']|spawn[ \t]+\w|@\w|(?:for|if|else|with|try)\b.*:[ \t]*(?:\#.*)?\r?$"
    r"|[^\W\d]\w*(?:\[[^\]]*\])?[ \t]+(?:[-+*/%&|^@]|\*\*|//|<<|>>)?=[ \t])"
)
_NO_EXPRESSION = Pattern(  # no line inside brackets begins so: a bracket before it was forgotten
    r"(?:return|pass|break|continue|while|import|assert|def|class|elif)\b"
    r"|(?:kernel|fn|task|struct)[ \t]+[^\W\d]\w*[ \t]*[\[(:]|test[ \t]+[\"']"
)
_BEGINNING = Pattern(r"[ \t]*[^\W\d]\w*")
_LOOKALIKES = {
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2018": "'", "\u2019": "'", "\u2212": "-", "\u2013": "-",
    "\u2014": "-", "\u00d7": "*", "\u00f7": "/", "\u2264": "<=", "\u2265": ">=", "\u2260": "!=", "\u2192": "->",
    "\u221e": "inf", "\uff08": "(", "\uff09": ")", "\uff0c": ",", "\uff1a": ":", "\u037e": ";", "\u00b2": "**2",
    "\u00b3": "**3",
}  # fmt: skip


def _column(indent: str, tab: int) -> int:
    column = 0
    for c in indent:
        column = 0 if c == "\f" else (column // tab + 1) * tab if c == "\t" else column + 1
    return column


def _shown(c: str) -> str:
    """A character as a reader can recognise it."""
    return f"`{c}` (U+{ord(c):04X})" if c.isprintable() else f"the invisible character U+{ord(c):04X}"


def _about_number(text: str) -> str:
    """Why `text`, which begins like a number, is none."""
    lower = text.lower()
    if lower[:2] in ("0x", "0o", "0b"):
        base = {"x": "hexadecimal", "o": "octal", "b": "binary"}[lower[1]]
        return f"`{text}` is not a {base} number"
    if "__" in text or text.endswith("_"):
        return "expected a digit after each `_`"
    if text.count(".") > 1:
        return f"`{text}` has more than one point"
    if text.isdigit() or text.replace("_", "").isdigit() and text[0] == "0":
        return f"`{text}` begins with 0; write `{text.lstrip('0_') or '0'}`, or `0o...` for an octal number"
    if lower.endswith("j"):
        return "lem has no complex literals"
    if lower.endswith("e"):
        return "expected digits after the exponent's `e`"
    return f"`{text}` is neither a number nor a name"
