"""What to say about a syntax error: mistakes that people make, each recognised by what stands around the bad token.

Takes a :class:`Spot` (the first token that does not fit, its line, what could have come); gives a :class:`Mistake` with
code, place and words, and, where the meaning is clear, the :class:`Edit` that lets the parser go on as if it had been
written. `MISTAKES` is the table, with an example for each; the first that recognises the spot speaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lem.diagnostics import Code
from lem.diagnostics.codes import E0101, E0102, E0104, E0105, E0109, E0110
from lem.diagnostics.suggest import nearest
from lem.source import Span
from lem.syntax.lexer import (
    BROKEN_LINE,
    COLON,
    DEDENT,
    END,
    FSTRING,
    INDENT,
    NAME,
    NEWLINE,
    NUMBER,
    STRING,
    UNKNOWN,
    Tokens,
)
from lem.syntax.tables import tables
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.records import dataclass

_KIND = tables().literals
_TEXT = {number: text for text, number in _KIND.items()}
_HEADS = frozenset(("if", "elif", "else", "while", "for", "kernel", "fn", "task", "struct", "test", "check"))
_ITEM_WORDS = frozenset(("kernel", "fn", "task", "struct"))
_CONDITION_WORDS = frozenset(("if", "elif", "while", "assert", "check"))
_STATEMENT_WORDS = frozenset(
    ("if", "while", "for", "return", "assert", "pass", "break", "continue", "check", "sync", "spawn")
)


class Edit(NamedTuple):
    """Tokens first..last-1 are to become tokens of `kinds`."""

    first: int
    last: int
    kinds: tuple[int, ...]
    matching_dedent: bool = False  # an INDENT goes: its DEDENT goes as well


@dataclass(frozen=True, slots=True)
class Mistake:
    code: Code
    span: Span
    label: str
    help: tuple[str, ...] = ()
    note: tuple[str, ...] = ()
    also: tuple[tuple[Span, str], ...] = ()
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """Token `at` does not fit; its line is first..last (`last` is the NEWLINE); `expected` would have."""

    tokens: Tokens
    at: int
    first: int
    last: int
    expected: frozenset[int]

    @property
    def kind(self) -> int:
        return self.tokens.kinds[self.at]

    @property
    def found(self) -> str:
        return self.tokens.text(self.at)

    @property
    def head(self) -> str:
        """The first word of the line."""
        return self.tokens.text(self.first)

    def text(self, i: int) -> str:
        return self.tokens.text(i) if 0 <= i < len(self.tokens.kinds) else ""

    def span(self, first: int | None = None, last: int | None = None) -> Span:
        return self.tokens.span(self.at if first is None else first, last)

    def expects(self, *texts: str) -> bool:
        return all(_KIND[text] in self.expected for text in texts)

    def opener(self) -> int | None:
        """The innermost bracket of the line that is open at the spot."""
        open_ones: list[int] = []
        for i in range(self.first, self.at):
            if self.text(i) in ("(", "[", "{"):
                open_ones.append(i)
            elif self.text(i) in (")", "]", "}") and open_ones:
                open_ones.pop()
        return open_ones[-1] if open_ones else None

    def before(self, *texts: str) -> int | None:
        """The last token with one of these texts on the line, outside brackets, before the spot."""
        depth = 0
        for i in range(self.at - 1, self.first - 1, -1):
            text = self.text(i)
            depth += (text in (")", "]", "}")) - (text in ("(", "[", "{"))
            if depth == 0 and text in texts:
                return i
        return None

    def mistake(self, code: Code, label: str, *, help: str = "", note: str = "", edit: Edit | None = None) -> Mistake:
        """A mistake that is shown at the token itself."""
        return Mistake(code, self.span(), label, (help,) if help else (), (note,) if note else (), (), edit)


def diagnose(spot: Spot) -> Mistake:
    """What is wrong at a spot."""
    for entry in MISTAKES:
        mistake = entry.recognise(spot)
        if mistake is not None:
            return mistake
    return spot.mistake(E0101, f"expected {expectation(spot)}, found {finding(spot)}")


# ---------------------------------------------------------------- words for tokens
def finding(spot: Spot) -> str:
    """The token at the spot, as a reader would call it."""
    layout = {
        NEWLINE: _end_of_line(spot),
        INDENT: "an indented line",
        DEDENT: "the end of the block",
        END: "the end of the text",
        STRING: "a string",
        FSTRING: "an f-string",
    }
    return layout.get(spot.kind) or f"`{spot.found}`"


def _end_of_line(spot: Spot) -> str:
    return "the end of the expression" if spot.tokens.is_part else "the end of the line"


def expectation(spot: Spot) -> str:
    """What could have come, in few words: the most telling of the expected tokens."""
    expected = spot.expected
    if expected >= {NAME, NUMBER}:
        if _KIND["if"] in expected and NAME in expected and _KIND["return"] in expected:
            return "a statement"
        return "an expression"
    if _KIND["kernel"] in expected:
        return "a kernel, fn, task" + (", struct, test, import or constant" if _KIND["struct"] in expected else "")
    if expected == {INDENT}:
        return "an indented block"
    if expected >= {_KIND["+"], _KIND["|"], NAME}:
        return "`+`, `max`, `min`, `|` or `&`"
    if NAME in expected:
        return "a name" if _KIND["out"] not in expected else "a type"
    if _KIND["else"] in expected:
        return "`else`"
    if spot.head == "for" and spot.opener() is None and COLON not in expected and _KIND["in"] in expected:
        return "`in`"
    if spot.opener() is None and (NEWLINE in expected or COLON in expected):
        return _end_of_line(spot) if NEWLINE in expected else "`:`"
    closers = [f"`{c}`" for c in (",", ")", "]", "}") if _KIND[c] in expected]
    if closers:
        return _alternatives((["`:`"] if _is_header(spot) else []) + closers)
    for texts in (("=", ":"), (":",), ("(",), ("=",), ("import",), ("in",)):
        if all(_KIND[t] in expected for t in texts) and NEWLINE not in expected:
            return _alternatives([f"`{t}`" for t in texts])
    if NEWLINE in expected:
        return _end_of_line(spot)
    return _alternatives(sorted(f"`{_TEXT[kind]}`" for kind in expected if kind in _TEXT)[:4]) or "something else"


def _is_header(spot: Spot) -> bool:
    return spot.head in _ITEM_WORDS and _KIND[":"] in spot.expected


def _alternatives(words: list[str]) -> str:
    return words[-1] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else ""


# ---------------------------------------------------------------- layout
def _unexpected_indent(spot: Spot) -> Mistake | None:
    if spot.kind != INDENT:
        return None
    label = "expected the indentation of the line before, which opens no block"
    if spot.expects("kernel"):  # statements between items: keep them together as one broken item
        edit = Edit(spot.at, spot.at + 1, (BROKEN_LINE, COLON, NEWLINE, INDENT))
    else:
        edit = Edit(spot.at, spot.at + 1, (), matching_dedent=True)
    return Mistake(E0102, spot.span(spot.at + 1), label, edit=edit)


def _empty_block(spot: Spot) -> Mistake | None:
    if spot.expected != {INDENT} or spot.at == 0:
        return None
    colon = spot.at - 2
    edit = Edit(spot.at, spot.at, (INDENT, BROKEN_LINE, NEWLINE, DEDENT))
    help = "indent the lines of the block, or write `pass`"
    return Mistake(E0110, spot.span(colon), "expected an indented block after this colon", (help,), edit=edit)


def _missing_colon(spot: Spot) -> Mistake | None:
    if spot.kind != NEWLINE or not spot.expects(":") or spot.head not in _HEADS:
        return None
    edit = Edit(spot.at, spot.at, (COLON,))
    return spot.mistake(E0105, "expected `:` at the end of this line", edit=edit)


def _else_if(spot: Spot) -> Mistake | None:
    if spot.head != "else" or spot.at != spot.first + 1 or spot.found != "if":
        return None
    edit = Edit(spot.first, spot.at + 1, (_KIND["elif"],))
    return Mistake(E0101, spot.span(spot.first, spot.at), "found `else if`", ("write `elif`",), edit=edit)


def _stray_else(spot: Spot) -> Mistake | None:
    if spot.at != spot.first or spot.found not in ("else", "elif"):
        return None
    before = _statement_before(spot)
    if spot.found == "else" and before is not None and spot.text(before) in ("for", "while"):
        label = f"found an `else` of a `{spot.text(before)}`"
        return spot.mistake(E0104, label, help="set a bool in the loop and test it after the loop")
    return spot.mistake(E0101, f"found `{spot.found}` without an `if` before it")


def _statement_before(spot: Spot) -> int | None:
    """The first token of the statement before the line, in the same block."""
    kinds = spot.tokens.kinds
    i = spot.first - 1
    depth = 0
    while i >= 0:
        depth += (kinds[i] == DEDENT) - (kinds[i] == INDENT)
        if depth < 0:
            return None
        if depth == 0 and kinds[i] == NEWLINE:
            break
        i -= 1
    while i > 0 and kinds[i - 1] not in (NEWLINE, INDENT, DEDENT):
        i -= 1
    return i if i >= 0 else None


def is_shadow(spot: Spot) -> bool:
    """Whether the error follows from one that was reported: an `else` whose `if` could not be read."""
    if spot.head not in ("else", "elif") or spot.at != spot.first:
        return False
    before = _statement_before(spot)
    return before is not None and spot.tokens.kinds[before] == BROKEN_LINE


# ---------------------------------------------------------------- Python that lem has not
_REFUSED = {
    "lambda": ("a lambda", "define an `fn`"),
    "def": ("a `def`", "write `fn`, `kernel` or `task`"),
    "class": ("a class", "write `struct` and give its fields"),
    "try": ("a `try`", "errors end the run: check with `if` before they can happen"),
    "except": ("an `except`", "errors end the run: check with `if` before they can happen"),
    "finally": ("a `finally`", "errors end the run: what follows is not needed"),
    "raise": ("a `raise`", "write `assert condition, \"text\"`"),
    "with": ("a `with`", "arrays are freed when they end"),
    "async": ("an `async`", "write `spawn f(x)`"),
    "await": ("an `await`", "use the value, or write `sync`"),
    "yield": ("a `yield`", "write the values into an `out` array"),
    "del": ("a `del`", "values end with their block"),
    "global": ("a `global`", "pass it as a parameter"),
    "nonlocal": ("a `nonlocal`", "pass it as a parameter"),
    "None": ("`None`", "every name has a value of its type"),
    ":=": ("a `:=`", "assign on a line of its own"),
    ";": ("a `;`", "write one statement per line"),
    "...": ("`...`", "write `pass` for a body that does nothing"),
}  # fmt: skip


def _refused_word(spot: Spot) -> Mistake | None:
    if spot.kind != UNKNOWN or spot.found not in _REFUSED:
        return None
    what, help = _REFUSED[spot.found]
    if spot.found == "..." and spot.text(spot.opener() or spot.at) == "[":
        help = "a whole axis is written `:`, one for each"
    if spot.found == "None" and spot.text(spot.opener() or spot.at) == "[":
        help = "axes are matched by name, so none is ever inserted: write `v[j]`"
    if spot.found == "def" and _is_in_body(spot):
        what, help = "a function inside a body", "define it at the top level, as an `fn`"
    return spot.mistake(E0104, f"found {what}", help=help)


def _match_statement(spot: Spot) -> Mistake | None:
    if spot.head not in ("match", "case") or spot.at != spot.first + 1 or spot.kind not in (NAME, NUMBER, STRING):
        return None
    return Mistake(E0104, spot.span(spot.first), f"found a `{spot.head}`", ("write `if` and `elif`",))


def _print_statement(spot: Spot) -> Mistake | None:
    if spot.head != "print" or spot.at != spot.first + 1 or spot.kind not in (STRING, FSTRING, NAME, NUMBER):
        return None
    return spot.mistake(E0101, f"expected `(` after `print`, found {finding(spot)}", help="write `print(...)`")


_DECLARING = {"const", "constexpr", "let", "var", "val", "auto", "final", "float", "double", "int", "long", "size_t"}


def _declaring_word(spot: Spot) -> Mistake | None:
    name, sign = spot.text(spot.first + 1), spot.text(spot.first + 2)
    if spot.head not in _DECLARING or spot.at > spot.first + 1 or not name.isidentifier() or sign not in ("=", ":"):
        return None
    help = f"drop it: a name is there once it has a value, `{name} = ...`"
    at_word = spot.at == spot.first  # else the parser has taken it for a name
    edit = Edit(spot.first, spot.first + 1, ()) if at_word else None
    label = f"found `{spot.head}` in front of a name"
    return Mistake(E0101, spot.span(spot.first), label, (help,), (), (), edit)


def _foreign_comment(spot: Spot) -> Mistake | None:
    if spot.found != "//" or spot.at != spot.first:
        return None
    return spot.mistake(E0101, "found `//` at the beginning of a line", help="a comment begins with `#`")


_OPERATORS_ELSEWHERE = {"!": "not", "<>": "!=", "?": "a if c else b", "$": "", "`": ""}


def _foreign_operator(spot: Spot) -> Mistake | None:
    if spot.kind == UNKNOWN and spot.found in _OPERATORS_ELSEWHERE:
        meant = _OPERATORS_ELSEWHERE[spot.found]
        return spot.mistake(
            E0101, f"found {_quoted(spot.found)}, which is no operator", help=f"write `{meant}`" if meant else ""
        )
    previous = spot.text(spot.at - 1)
    is_close = spot.at > 0 and spot.tokens.ends[spot.at - 1] == spot.tokens.starts[spot.at]
    if is_close and spot.found == previous and spot.found in ("&", "|"):
        word = "and" if spot.found == "&" else "or"
        edit = Edit(spot.at - 1, spot.at + 1, (_KIND[word],))
        label = f"found `{spot.found * 2}`"
        return Mistake(E0101, spot.span(spot.at - 1, spot.at), label, (f"write `{word}`",), edit=edit)
    if previous in ("+", "-") and spot.text(spot.at - 2) == previous and spot.kind == NEWLINE:
        label = f"found `{previous * 2}`"
        help = f"write `{spot.head} {previous}= 1`" if spot.at - 3 == spot.first else ""
        return Mistake(E0101, spot.span(spot.at - 2, spot.at - 1), label, (help,) if help else ())
    return None


def _quoted(text: str) -> str:
    return "a backquote" if text == "`" else f"`{text}`"


def _brace(spot: Spot) -> Mistake | None:
    if spot.found not in ("{", "}"):
        return None
    if spot.found == "{" and COLON in spot.expected and spot.head in _HEADS:
        return spot.mistake(E0101, "expected `:`, found `{`", help="a body is what stands indented below the line")
    is_dict = any(spot.text(i) == ":" for i in range(spot.at, spot.last - 1))
    what = "a dict" if is_dict else "a set" if spot.found == "{" else "a `}`"
    return spot.mistake(E0104, f"found {what}", help="use an array, or an `fn` that chooses")


def _starred(spot: Spot) -> Mistake | None:
    if spot.found not in ("*", "**") or NAME not in spot.expected:
        return None
    if spot.head == "from":
        return spot.mistake(E0104, "found an import of everything", help="import the module, or name what you need")
    where = "parameter" if spot.head in _ITEM_WORDS else "argument"
    return spot.mistake(E0104, f"found a starred {where}", help="write each of them")


def _bracketed_comprehension(spot: Spot) -> Mistake | None:
    opener = spot.opener()
    if spot.found != "for" or opener is None:
        return None
    if spot.text(opener) == "[" and spot.text(opener - 1) in ("", "=", "(", ",", "in", "return"):
        return Mistake(E0104, spot.span(opener, spot.at), "found a list comprehension", (
            "write the elements in a `grid`, or reduce them: `sum(x[k] for k in K)`",))  # fmt: skip
    if spot.text(opener) == "(":
        return spot.mistake(E0101, "expected no `for` here", note=_SOLE)
    return None


_SOLE = "a comprehension is the only argument of its call: `sum(x[k] for k in K)`"


def _comprehension_and_more(spot: Spot) -> Mistake | None:
    opener = spot.opener()
    if spot.found != "," or opener is None or not spot.expects(")"):
        return None
    begins = [i for i in range(opener, spot.at) if spot.text(i) == "for"]
    if not begins:
        return None
    return spot.mistake(E0101, "expected `)` after the comprehension, found `,`", note=_SOLE)


# ---------------------------------------------------------------- assignments
def _equals_in_condition(spot: Spot) -> Mistake | None:
    if spot.found != "=" or not spot.expects("=="):
        return None
    is_condition = spot.head in _CONDITION_WORDS or spot.before("where") is not None
    if not is_condition or spot.opener() is not None and spot.text(spot.opener() or 0) != "(":
        return None
    edit = Edit(spot.at, spot.at + 1, (_KIND["=="],))
    return spot.mistake(E0109, "expected a comparison, found `=`", help="write `==`", edit=edit)


def _chained_assignment(spot: Spot) -> Mistake | None:
    if spot.found != "=" or spot.opener() is not None or spot.before("=") in (None, spot.at - 1):
        return None
    return spot.mistake(E0104, "found a second `=`: assignments are not chained", help="write one assignment per line")


def _declared_element(spot: Spot) -> Mistake | None:
    if spot.found != ":" or spot.opener() is not None or spot.at == spot.first or not spot.expects("="):
        return None
    target = spot.span(spot.first, spot.at - 1)
    if not spot.expects("+=") and spot.before("=") is not None:
        return None
    return Mistake(E0101, target, "expected a name to declare, found an expression", ("declare the array, then assign",))


# ---------------------------------------------------------------- items
def _is_in_body(spot: Spot) -> bool:
    kinds = spot.tokens.kinds[: spot.first]
    return kinds.count(INDENT) > kinds.count(DEDENT)


def _item_in_body(spot: Spot) -> Mistake | None:
    """The word was taken for a name, so the error shows at what follows."""
    if spot.head in ("import", "from") and spot.at == spot.first:
        return spot.mistake(E0101, "found an import inside a body", help="import at the top of the file")
    if spot.head == "@" and spot.at == spot.first and _is_in_body(spot):
        return spot.mistake(E0104, "found a decorator inside a body", help="decorate kernels, fns and tasks")
    if spot.at != spot.first + 1 or not _is_in_body(spot):
        return None
    if spot.head in _ITEM_WORDS and spot.kind == NAME or spot.head == "test" and spot.kind == STRING:
        label = f"found {'an' if spot.head == 'fn' else 'a'} {spot.head} inside a body"
        return Mistake(E0104, spot.span(spot.first, spot.at), label, ("define it at the top level",))
    return None


def _decorator_on_other(spot: Spot) -> Mistake | None:
    if spot.at not in (spot.first, spot.first + 1) or spot.first < 2:
        return None
    before = spot.first - 2
    while before > 0 and spot.tokens.kinds[before - 1] not in (NEWLINE, INDENT, DEDENT):
        before -= 1
    if spot.text(before) != "@" or not spot.expects("kernel") or spot.expects("struct"):
        return None
    label = f"expected a kernel, fn or task after a decorator, found {finding(spot)}"
    return Mistake(E0104, spot.span(), label, also=((spot.span(before, before + 1), "the decorator"),))


def _statement_at_top(spot: Spot) -> Mistake | None:
    if _is_in_body(spot):
        return None
    is_word = spot.at == spot.first and spot.head in _STATEMENT_WORDS
    is_other = spot.at == spot.first + 1 and spot.text(spot.first).isidentifier() and spot.expected == {_KIND["="]}
    if not (is_word or is_other):
        return None
    if spot.found == ":" and spot.head == "test":
        return spot.mistake(E0101, "expected the name of the test, found `:`", help='write `test "what it shows":`')
    if spot.found == ":" and is_other:
        note = "a constant has no type of its own"
        return spot.mistake(E0101, "expected `=`, found `:`", help=f"write `{spot.head} = ...`", note=note)
    first = spot.span(spot.first)
    note = "statements stand in the body of a kernel, fn, task or test"
    label = f"expected a kernel, fn, task, struct, test, import or constant, found `{first.text}`"
    guess = nearest(first.text, (*_ITEM_WORDS, "test", "import", "from")) if spot.kind in (NAME, STRING) else None
    return Mistake(E0101, first, label, (f"did you mean `{guess}`?",) if guess else (), (note,) if not guess else ())


def _import_list(spot: Spot) -> Mistake | None:
    if spot.head == "import" and spot.found == ",":
        return spot.mistake(E0104, "found a second module", help="write one `import` per line")
    if spot.head == "from" and spot.found in (".", "...") and spot.at == spot.first + 1:
        return spot.mistake(E0104, "found a relative import", help="modules are found beside the file: write their name")
    return None


# ---------------------------------------------------------------- signatures
def _result_without_name(spot: Spot) -> Mistake | None:
    arrow = spot.before("->") if spot.opener() is None else (spot.opener() or 0) - 1
    if spot.head not in ("kernel", "task") or arrow is None or spot.text(arrow) != "->":
        return None
    if spot.at == arrow + 3 and spot.kind == NEWLINE or spot.at == arrow + 2 and spot.expects(":"):
        at = arrow + 1
    elif spot.opener() is not None and spot.text(spot.at - 2) in ("(", ",") and spot.expects(":"):
        at = spot.at - 1
    else:
        return None
    name = spot.span(at)
    help = f"name the result and assign it: `-> y: {name.text}`"
    return Mistake(E0101, name, "expected a name and a type for the result, found one of them", (help,))


def _fn_result_with_name(spot: Spot) -> Mistake | None:
    if spot.head != "fn":
        return None
    arrow = next((i for i in range(spot.first, spot.at) if spot.text(i) == "->"), None)
    if arrow is None:
        return None
    if spot.text(arrow + 1) == "(":
        is_named = spot.found == ":" and spot.opener() is not None
    else:
        is_named = spot.text(arrow + 2) == ":" and spot.text(spot.last - 1) == ":" and spot.last - 1 > arrow + 2
    if not is_named:
        return None
    at = spot.at - 1 if spot.text(arrow + 1) == "(" else arrow + 1
    help = "give the type only, and `return` the value"
    return Mistake(E0101, spot.span(at), "expected a type, found a name: the results of an fn have none", (help,))


def _effect_before_name(spot: Spot) -> Mistake | None:
    word = spot.text(spot.at - 1)
    if spot.head not in _ITEM_WORDS or word not in ("out", "inout", "reduce") or spot.kind != NAME:
        return None
    label = f"expected `{word}` after the colon"
    return Mistake(E0101, spot.span(spot.at - 1), label, (f"write `{spot.found}: {word} ...`",))


def _axes_without_sizes(spot: Spot) -> Mistake | None:
    """`f32[]`, `f32[:]`, `f32[M, :]` of a parameter."""
    opener = spot.opener()
    is_type = opener is not None and spot.text(opener - 1) in DTYPES
    if spot.head not in _ITEM_WORDS or not is_type or spot.found not in ("]", ":") or NUMBER not in spot.expected:
        return None
    label = f"expected the size of an axis, found `{spot.found}`"
    return spot.mistake(E0101, label, help="name it: `kernel k[N](x: f32[N])`; one number is `x: f32`")


def _spawn_inside(spot: Spot) -> Mistake | None:
    if spot.text(spot.at - 1) != "spawn" or spot.kind != NAME:
        return None
    label = "expected `spawn` alone or right of `=`, found it inside an expression"
    return Mistake(E0101, spot.span(spot.at - 1), label, (f"write `y = spawn {spot.found}(...)` on a line before",))


def _fstring_as_title(spot: Spot) -> Mistake | None:
    if spot.kind != FSTRING or STRING not in spot.expected or FSTRING in spot.expected:
        return None
    help = "leave out the `f`: nothing runs here whose value a field could show"
    edit = Edit(spot.at, spot.at + 1, (STRING,))
    return spot.mistake(E0101, "expected plain text, found an f-string", help=help, edit=edit)


def _word_as_name(spot: Spot) -> Mistake | None:
    if not spot.found.isidentifier() or spot.kind in (NAME, UNKNOWN) or NAME not in spot.expected:
        return None
    if NUMBER in spot.expected and spot.text(spot.at + 1) not in ("=", ":", ")", ",", "]", ""):
        return None
    what = "an expression" if NUMBER in spot.expected else "a name"
    return spot.mistake(E0101, f"expected {what}, found the keyword `{spot.found}`")


class Entry(NamedTuple):
    example: str  # a program with this mistake and no other
    recognise: Callable[[Spot], Mistake | None]


MISTAKES: tuple[Entry, ...] = (
    Entry("kernel k():\n    x = 1\n        y = 2\n", _unexpected_indent),
    Entry("kernel k():\n    if c:\n    y = 2\n", _empty_block),
    Entry("kernel k():\n    if c\n        y = 2\n", _missing_colon),
    Entry("kernel k():\n    if c:\n        pass\n    else if d:\n        pass\n", _else_if),
    Entry("kernel k():\n    for i in range(3):\n        pass\n    else:\n        pass\n", _stray_else),
    Entry("kernel k():\n    y = lambda x: x\n", _refused_word),
    Entry("kernel k():\n    print 'text'\n", _print_statement),
    Entry("kernel k():\n    let x = 1\n", _declaring_word),
    Entry("// text\n", _foreign_comment),
    Entry("kernel k():\n    match n:\n        pass\n", _match_statement),
    Entry("kernel k():\n    y = a && b\n", _foreign_operator),
    Entry("kernel k():\n    y = {1: 2}\n", _brace),
    Entry("kernel k():\n    y = f(*a)\n", _starred),
    Entry("kernel k():\n    y = [x for x in N]\n", _bracketed_comprehension),
    Entry("kernel k():\n    y = f(x for k in K, 2)\n", _comprehension_and_more),
    Entry("kernel k():\n    fn f(x):\n        return x\n", _item_in_body),
    Entry("@on(cpu)\nstruct S:\n    x: f32\n", _decorator_on_other),
    Entry("for i in grid(N):\n    x = i\n", _statement_at_top),
    Entry("import a, b\n", _import_list),
    Entry("kernel k():\n    if a = b:\n        pass\n", _equals_in_condition),
    Entry("kernel k():\n    a = b = 1\n", _chained_assignment),
    Entry("kernel k():\n    a[i]: f32 = 1\n", _declared_element),
    Entry("kernel k(x: f32) -> f32:\n    pass\n", _result_without_name),
    Entry("fn f(x) -> y: f32:\n    return x\n", _fn_result_with_name),
    Entry("kernel k(out y: f32[3]):\n    pass\n", _effect_before_name),
    Entry("kernel k(x: f32[:]):\n    pass\n", _axes_without_sizes),
    Entry("task t():\n    y = f(spawn g(1))\n", _spawn_inside),
    Entry('test f"{a}":\n    pass\n', _fstring_as_title),
    Entry("kernel k():\n    in = 3\n", _word_as_name),
)
