"""A Python module with ``@lem.kernel`` functions as a `.lem` text: ``lem fmt --to lem``. `to_python.py` shows both forms.

Takes the Python text as a :class:`SourceFile`; gives lem text, or None and reports whose places are in the Python text.
lem's own lexer reads it: statements and expressions are the same in both, so only what stands around them is rewritten,
and lem's parser judges the result. A module that is to become a `.lem` file holds imports, constants and what stands
under a decorator of lem's; ``lem.`` before a name is optional everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0111
from lem.source import SourceFile, Span
from lem.syntax import ast, strings
from lem.syntax.driver import parse_tokens
from lem.syntax.edits import Edits
from lem.syntax.format import format_source, python_tokens, with_plain_line_ends
from lem.syntax.lexer import CLOSER, DEDENT, END, FSTRING, INDENT, NAME, NEWLINE, NUMBER, STRING, tokenize
from lem_runtime.abi.records import dataclass

# Kinds and targets (LANGUAGE 42): in decorators, which Python runs, they are names of lem's package.
TARGETS = frozenset(("cpu", "gpu", "spu", "cuda", "opencl", "interp"))

_FUNCTIONS = ("kernel", "task", "fn")
_EFFECTS = ("out", "inout")
_TAILS = {"on": "on", "near": "near", "priority": "priority", "objective": "for"}
_HEADERS = ("if", "elif", "else", "while", "for")
_ONLY_THESE = "a .lem file holds imports, constants, kernels, tasks, fns, structs and tests"


def to_lem(source: SourceFile, diags: Diagnostics) -> str | None:
    """The lem spelling of a Python module, laid out; None when `diags` got an error."""
    text = text_to_lem(with_plain_line_ends(source), diags)
    return None if text is None else format_source(SourceFile(source.name, text), diags)


def text_to_lem(source: SourceFile, diags: Diagnostics) -> str | None:
    """The same with whatever layout comes of it: a text that parses."""
    n_errors = diags.n_errors
    reader = _Reader(source, diags)
    if diags.n_errors == n_errors:
        reader.module()
    if diags.n_errors > n_errors:
        return None
    edited = reader.made.apply(source.name)
    found = Diagnostics()
    tree: ast.Module = parse_tokens(tokenize(edited.new, found), found, "module")
    for report in map(edited.moved, found.items):
        diags.error(report.code, report.span, report.label, also=report.also, note=report.notes, help=report.help)
    if not found.has_errors:
        reader.compare_parameters(tree)
    return edited.new.text if diags.n_errors == n_errors else None


def implied_dims(names: Iterable[str], params: Sequence[str], dims: Sequence[str]) -> list[str]:
    """The dimensions of a signature that does not list them: those that it names, in the order of the module."""
    return sorted({name for name in names if name in dims and name not in params}, key=list(dims).index)


@dataclass(slots=True)
class _Decorator:
    """``@lem.name(...)``: tokens first..last-1; `opener`: that of its brackets, if it has some."""

    first: int
    last: int
    name: str
    opener: int | None


class _Reader:
    """Collects the edits that turn Python into lem."""

    def __init__(self, source: SourceFile, diags: Diagnostics) -> None:
        self.source = source
        self.diags = diags
        self.made = Edits(source)
        self.tokens = python_tokens(source, diags)
        self.kinds, self.starts, self.ends = self.tokens.kinds, self.tokens.starts, self.tokens.ends
        self.dims: list[str] = []  # of the module, in order
        self.params: list[tuple[list[str], Span]] = []  # of each function, as its `def` names them

    def module(self) -> None:
        at = self._line_end(0) + 1 if self.kinds[0] == STRING else 0
        while self.kinds[at] != END:
            at = self._item(at)

    def compare_parameters(self, tree: ast.Module) -> None:
        """Where the signature is a text, it names the parameters of its function."""
        functions = [item for item in tree.items if isinstance(item, ast.Function)]
        for function, (params, span) in zip(functions, self.params, strict=True):
            expected = [param.name.id for param in function.params]
            if params != expected:
                label = f"expected ({', '.join(expected)}), the parameters in the decorator's text"
                self.diags.error(E0111, span, label, help="give both the same names")

    # ------------------------------------------------------------ tokens
    def text(self, i: int) -> str:
        return self.tokens.text(i)

    def skip_lem(self, i: int) -> int:
        """The token behind ``lem.``, if that stands here."""
        return i + 2 if self.text(i) == "lem" and self.text(i + 1) == "." else i

    def _line_end(self, i: int) -> int:
        while self.kinds[i] not in (NEWLINE, END):
            i += 1
        return i

    def _block_end(self, newline: int) -> int:
        """The first token behind a line and the block that it may open."""
        at, depth = newline + 1, 0
        while self.kinds[at] == INDENT or depth:
            depth += (self.kinds[at] == INDENT) - (self.kinds[at] == DEDENT)
            at += 1
            while depth and self.kinds[at] not in (INDENT, DEDENT):
                at += 1
        return at

    def _match(self, opener: int) -> int:
        depth = 0
        for i in range(opener, len(self.kinds)):
            depth += (self.text(i) in CLOSER) - (self.text(i) in (")", "]", "}"))
            if depth == 0:
                return i
        raise AssertionError("the lexer closes every bracket")

    def _outermost(self, first: int, last: int) -> Iterator[int]:
        """The tokens first..last-1 that stand in no brackets; an opening one does not, a closing one does."""
        depth = 0
        for i in range(first, last):
            depth -= self.text(i) in (")", "]", "}")
            if not depth:
                yield i
            depth += self.text(i) in CLOSER

    def _find(self, text: str, first: int, last: int) -> int | None:
        return next((i for i in self._outermost(first, last) if self.text(i) == text), None)

    def _parts(self, first: int, last: int) -> list[tuple[int, int]]:
        """What commas divide, as ranges of tokens."""
        bounds = [first - 1, *(i for i in self._outermost(first, last) if self.text(i) == ","), last]
        return [(a + 1, b) for a, b in zip(bounds, bounds[1:], strict=False) if a + 1 < b]

    def span(self, first: int, last: int) -> Span:
        return Span(self.source, self.starts[first], self.ends[max(first, last - 1)])

    def refuse(self, first: int, last: int, label: str, help: str) -> None:
        self.diags.error(E0111, self.span(first, last), label, help=help)

    # ------------------------------------------------------------ edits
    def put(self, i: int, text: str) -> None:
        """Token `i` becomes `text`."""
        self.made.replace(self.starts[i], self.ends[i], text)

    def drop(self, first: int, last: int) -> None:
        for i in range(first, last):
            self.put(i, "")

    def cut(self, start: int, end: int, text: str = "") -> None:
        """A range of the text becomes `text`; comments in it move to a line of their own before it."""
        moved = "".join(f"{comment}\n" for offset, comment in self.tokens.comments if start <= offset < end)
        self.made.replace(start, end, moved + text)

    def strip(self, first: int, last: int) -> None:
        """Leave out ``lem.``, which Python needs before names that lem's programs have anyway."""
        for i in range(first, last - 1):
            if self.kinds[i] == NAME and self.skip_lem(i) > i and (i == 0 or self.text(i - 1) != "."):
                self.drop(i, i + 2)
                if self.text(i + 2) == "bool_":  # Python's own `bool` takes no sizes
                    self.put(i + 2, "bool")

    def join(self, first: int, last: int) -> None:
        """Put tokens that lose their brackets on one line; comments among them move above it."""
        line_start = self.source.text.rfind("\n", 0, self.starts[first]) + 1
        line = self.source.text[line_start : self.starts[first]]
        indent = line[: len(line) - len(line.lstrip())]
        for i in range(first, last - 1):
            start, end = self.ends[i], self.starts[i + 1]
            if "\n" in self.source.text[start:end]:
                self.made.replace(start, end, " ")
                for offset, comment in self.tokens.comments:
                    if start <= offset < end:
                        self.made.insert(line_start, f"{indent}{comment}\n")

    # ------------------------------------------------------------ the top
    def _item(self, first: int) -> int:
        """Rewrite what begins at token `first`; the first token behind it."""
        newline = self._line_end(first)
        end = self._block_end(newline)
        word = self.text(first)
        if word in ("import", "from"):
            self._import(first, newline)
        elif word == "@":
            return self._decorated(first)
        elif word == "class" and self._is_dim(first):
            self.dims.append(self.text(first + 1))
            self.cut(self.starts[first], self.ends[end - 1])
        elif (equals := self._find("=", first, newline)) is not None and self._makes_dims(equals + 1):
            self.dims += [self.text(i) for i in range(first, equals) if self.kinds[i] == NAME]
            self.cut(self.starts[first], self.ends[newline])
        elif self.kinds[first] == NAME and equals == first + 1:
            self.strip(first, newline)
        else:
            self.refuse(first, newline, "this is not part of a lem program", _ONLY_THESE)
        return end

    def _is_dim(self, first: int) -> bool:
        return self.text(first + 2) == "(" and self.text(self.skip_lem(first + 3)) == "Dim"

    def _makes_dims(self, i: int) -> bool:
        return self.text(self.skip_lem(i)) == "dims" and self.text(self.skip_lem(i) + 1) == "("

    def _import(self, first: int, newline: int) -> None:
        module = self.text(first + 1)
        word = self._find("import", first, newline)
        if self.text(first) == "import" and module == "lem" and "as" in map(self.text, range(first, newline)):
            self.refuse(first, newline, "lem has another name here", "write `import lem`")
        elif module in ("lem", "__future__"):
            if word is not None and [self.text(i) for i in range(first, word)] == ["from", "lem", ".", "dims"]:
                self.dims += [self.text(last - 1) for _, last in self._parts(*self._imported(word, newline))]
            self.cut(self.starts[first], self.ends[newline])
        elif module == "lem_stdlib" and self.text(first + 2) == ".":
            self.drop(first + 1, first + 3)
        elif module == "lem_stdlib" and word is not None:
            names = [self._plain(a, b) for a, b in self._parts(*self._imported(word, newline))]
            self.cut(self.starts[first], self.ends[newline], "\n".join(f"import {name}" for name in names))

    def _imported(self, word: int, newline: int) -> tuple[int, int]:
        """The imported names behind the token `word`."""
        return (word + 2, newline - 1) if self.text(word + 1) == "(" else (word + 1, newline)

    def _plain(self, first: int, last: int) -> str:
        return " ".join(self.text(i) for i in range(first, last))

    # ------------------------------------------------------------ what has a decorator
    def _decorated(self, first: int) -> int:
        decorators: list[_Decorator] = []
        at = first
        while self.text(at) == "@":
            newline = self._line_end(at)
            name = self.skip_lem(at + 1)
            decorators.append(_Decorator(at, newline, self.text(name), name + 1 if self.text(name + 1) == "(" else None))
            at = newline + 1
        newline = self._line_end(at)
        end = self._block_end(newline)
        own = decorators[-1]
        if self.text(at) == "def" and own.name in _FUNCTIONS:
            self._function(own, at, newline, end)
        elif self.text(at) == "def" and own.name == "test":
            self._test(own, at, newline, end)
        elif self.text(at) == "class" and own.name == "struct":
            self.cut(self.starts[own.first], self.ends[at], "struct")
            self.strip(at, end)
        else:
            help = "`@lem.kernel`, `task`, `fn` or `test` stands before `def`, `@lem.struct` before `class`"
            self.refuse(own.first, own.last, "this decorator is none of lem's for what follows", help)
        for other in decorators[:-1]:
            self.strip(other.first, other.last)
            self._condition(other)
        return end

    def _condition(self, decorator: _Decorator) -> None:
        """``when="n > 3"`` without its quotes."""
        for i in range(decorator.first, decorator.last - 2):
            if self.text(i) == "when" and self.text(i + 1) == "=" and self.kinds[i + 2] == STRING:
                self.put(i + 2, strings.value_of(self.span(i + 2, i + 2), self.diags))

    def _test(self, own: _Decorator, at: int, newline: int, end: int) -> None:
        opener = at + 2
        colon = self._find(":", at, newline)
        if colon is None or own.opener is None or own.last - own.opener != 3 or self.kinds[own.opener + 1] != STRING:
            self.refuse(own.first, own.last, "expected the name of the test", 'write `@lem.test("what it shows")`')
        elif colon != opener + 2:
            self.refuse(opener, colon, "a test has no parameters", "make what it needs in its body")
        else:
            self.cut(self.starts[own.first], self.starts[colon], f"test {self.text(own.opener + 1)}")
            self._body(colon + 1, end, in_test=True)

    def _function(self, own: _Decorator, at: int, newline: int, end: int) -> None:
        opener = at + 2
        closer = self._match(opener) if self.text(opener) == "(" else opener
        colon = self._find(":", closer + 1, newline)
        if colon is None:
            self.refuse(at, newline, "expected `def name(...):`", _ONLY_THESE)
            return
        params = [self.text(first) for first, _ in self._parts(opener + 1, closer)]
        self.params.append((params, self.span(opener, closer + 1)))
        self.cut(self.starts[own.first], self.ends[at], own.name)
        if own.opener is None or own.opener + 2 == own.last:
            self._annotated(opener, closer, colon)
        elif all(self.kinds[i] == STRING for i in range(own.opener + 1, own.last - 1)):
            signature = "".join(strings.value_of(self.span(i, i), self.diags) for i in range(own.opener + 1, own.last - 1))
            self.cut(self.ends[at + 1], self.starts[colon], self._full(signature))
        else:
            label = "expected the signature as a string"
            self.refuse(own.first, own.last, label, f'write `@lem.{own.name}("x: f32[2 * N], y: out f32[N]")`')
        self._body(colon + 1, end, in_test=False)

    # ------------------------------------------------------------ signatures
    def _full(self, signature: str) -> str:
        """A signature's text with its brackets: short ones are only the parameters."""
        if signature.lstrip()[:1] in ("[", "(", ""):
            return signature or "()"
        inner = _Reader(SourceFile(self.source.name, signature), Diagnostics())
        parts = inner._parts(0, inner._line_end(0))
        names = [name for first, last in parts for name in inner._names_in_type(first, last)]
        dims = implied_dims(names, [inner.text(first) for first, _ in parts], self.dims)
        return f"{_listed(dims)}({signature})"

    def _annotated(self, opener: int, closer: int, colon: int) -> None:
        """A signature whose types are annotations."""
        parts = self._parts(opener + 1, closer)
        names = [name for first, last in parts for name in self._names_in_type(first, last)]
        names += self._names_in_type(closer + 1, colon)
        dims = implied_dims(names, [self.text(first) for first, _ in parts], self.dims)
        self.made.insert(self.starts[opener], _listed(dims))
        for first, last in parts:
            equals = self._find("=", first, last) or last
            if self.text(first + 1) == ":":
                self._annotation(first + 2, equals)
            self.strip(equals, last)
        if self.text(closer - 1) == ",":
            self.put(closer - 1, "")  # it asked for one parameter on each line, of a longer form
        self._result(closer + 1, colon)

    def _names_in_type(self, first: int, last: int) -> list[str]:
        """The names in the brackets of a parameter's type, its default left out."""
        last = self._find("=", first, last) or last
        outer = set(self._outermost(first, last))
        return [self.text(i) for i in range(first, last) if self.kinds[i] == NAME and i not in outer]

    def _annotation(self, first: int, last: int) -> None:
        word = self.skip_lem(first)
        if self.text(word) in _EFFECTS and self.text(word + 1) == "[" and self._match(word + 1) == last - 1:
            self.join(word, word + 3)
            self.put(word + 1, " ")
            self.put(last - 1, "")
        self._reduce(word)
        self.strip(first, last)

    def _reduce(self, word: int) -> None:
        """``reduce["+", T]`` as ``reduce(+) T``, if that stands here."""
        if self.text(word) == "reduce" and self.text(word + 1) == "[" and self.kinds[word + 2] == STRING:
            closer = self._match(word + 1)
            self.join(word, closer + 1)
            self.put(word + 1, "(")
            self.put(word + 2, strings.value_of(self.span(word + 2, word + 2), self.diags))
            self.put(word + 3, ") ")
            self.drop(closer - (self.text(closer - 1) == ","), closer + 1)

    def _result(self, arrow: int, colon: int) -> None:
        if self.text(arrow + 1) == "None":
            self.drop(arrow, arrow + 2)
        elif self.text(arrow + 1) == "tuple" and self.text(arrow + 2) == "[":
            self.put(arrow + 1, "(")
            self.put(arrow + 2, "")
            self.put(self._match(arrow + 2), ")")
        self.strip(arrow, colon)

    # ------------------------------------------------------------ bodies
    def _body(self, first: int, end: int, *, in_test: bool) -> None:
        while first < end:
            if self.kinds[first] in (NEWLINE, INDENT, DEDENT):
                first += 1
                continue
            newline = self._line_end(first)
            if self.text(first) in _HEADERS:
                colon = self._find(":", first, newline)
                colon = newline - 1 if colon is None else colon
                self.strip(first, colon)
                first = colon + 1
            self._statement(first, newline, in_test)
            first = newline

    def _statement(self, first: int, last: int, in_test: bool) -> None:
        if first >= last:
            return
        self.strip(first, last)
        equals = self._find("=", first, last)
        call = self.skip_lem(first if equals is None else equals + 1)
        is_call = call + 1 < last and self.text(call + 1) == "(" and self._match(call + 1) == last - 1
        if is_call and self.text(call) == "spawn":
            self._spawn(first, call + 1, last - 1)
        elif is_call and self.text(call) == "check" and in_test and equals is None:
            self._check(first, call + 1, last - 1)
        elif self.text(first + 1) == ":":
            self._reduce(self.skip_lem(first + 2))

    def _spawn(self, first: int, opener: int, closer: int) -> None:
        self.join(first, closer + 1)
        self.put(opener, " ")
        self.put(closer, "")
        for comma in self._outermost(opener + 1, closer):
            if self.text(comma) != ",":
                continue
            word = self._keyword(comma + 1)
            if comma + 1 == closer:
                self.put(comma, "")
            elif word in _TAILS:
                self.put(comma, " ")
                self.put(comma + 1, _TAILS[word])
                self.put(comma + 2, " ")
                if word == "objective" and self.kinds[comma + 3] == STRING:
                    self.put(comma + 3, strings.value_of(self.span(comma + 3, comma + 3), self.diags))

    def _keyword(self, i: int) -> str:
        return self.text(i) if self.text(i + 1) == "=" else ""

    def _check(self, first: int, opener: int, closer: int) -> None:
        """``check cond within t`` and ``check fails "E0601": call``; what is none of these stays a call."""
        parts = self._parts(opener + 1, closer)
        if not 1 <= len(parts) <= 2 or self._keyword(parts[0][0]) or self._find("for", *parts[0]) is not None:
            return
        word, tail = "", (closer, closer)
        if len(parts) == 2:
            word, tail = self._keyword(parts[1][0]), parts[1]
        is_failure = word == "fails" and tail[1] - tail[0] == 3 and self.kinds[tail[0] + 2] == STRING
        is_plain = (word == "within" or len(parts) == 1) and self._can_follow_check(*parts[0])
        if not is_failure and not is_plain:
            return
        self.join(first, closer + 1)
        self.put(opener, f" fails {self.text(tail[0] + 2)}: " if is_failure else " ")
        self.drop(parts[0][1], tail[1] if is_failure else tail[0])
        if word == "within":
            self.put(tail[0], " within")
            self.put(tail[0] + 1, " ")
        self.drop(tail[1], closer + 1)

    def _can_follow_check(self, first: int, last: int) -> bool:
        """Whether `check` before these tokens is the statement, and not a call or a subscript (see `lexer.py`)."""
        if self.text(first) == "(":
            behind = self._match(first) + 1
            return behind < last and self.text(behind) not in (".", "[")
        is_sign = self.text(first) in ("-", "+") and self.ends[first] == self.starts[first + 1]
        is_word = self.text(first) in ("not", "~", "True", "False")
        return self.kinds[first] in (NAME, NUMBER, STRING, FSTRING) or is_sign or is_word


def _listed(dims: Sequence[str]) -> str:
    return f"[{', '.join(dims)}]" if dims else ""
