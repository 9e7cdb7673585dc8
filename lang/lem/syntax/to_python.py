"""A `.lem` text as a Python module with ``@lem.kernel`` functions: ``lem fmt --to python``. `to_lem.py` is the way back.

Takes a :class:`SourceFile`; gives Python text, or None and reports. Bodies keep their statements; around them::

    kernel f[M, N](a: f32[M, N], c: out f32[N]):    @lem.kernel
                                                    def f(a: lem.f32[M, N], c: lem.out[lem.f32[N]]):
    fn g(x: f32) -> (f32, f32):                     @lem.fn
                                                    def g(x: lem.f32) -> tuple[lem.f32, lem.f32]:
    kernel h[N](x: f32[2 * N]) -> s: f32:           @lem.kernel("[N](x: f32[2 * N]) -> s: f32")
                                                    def h(x):
    @on(cpu)                                        @lem.on(lem.cpu)
    @variant(of=f, when=n > 3)                      @lem.variant(of=f, when="n > 3")  (n: a parameter)
    struct Body:    x: f32                          @lem.struct  class Body:    x: lem.f32
    test "it works":                                @lem.test("it works")  def test_it_works():
    y = spawn f(x) on gpu for energy                y = spawn(f(x), on=gpu, objective="energy")
    check a == b within t                           check(a == b, within=t)
    check fails "E0601": f(x)                       check(f(x), fails="E0601")
    t: reduce(+) f32[K] = 0                         t: reduce["+", f32[K]] = 0
    from math import exp                            from lem_stdlib.math import exp

A signature becomes annotations where all its types are type expressions (a name, or a name and dimensions); otherwise
it stays lem, as text. Dimensions are imported from ``lem.dims``: those that a signature names are its own, in the order
of that import. The result is turned back and must be the same program, so nothing is lost without a report.
"""

from __future__ import annotations

import ast as python_ast
import re
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0111
from lem.source import SourceFile, Span
from lem.syntax import ast
from lem.syntax.driver import parse_tokens
from lem.syntax.edits import Edits
from lem.syntax.format import format_python, with_plain_line_ends
from lem.syntax.lexer import CHECK, CLOSER, NEWLINE, Tokens, tokenize
from lem.syntax.tables import tables
from lem.syntax.to_lem import TARGETS, implied_dims, text_to_lem
from lem.syntax.wrap import Group, Leaf, grouped, on_one_line

IsLibrary = Callable[[str], bool]  # whether a module is one of lem's own library

_KIND = tables().literals
_TAILS = {_KIND["on"]: "on", _KIND["near"]: "near", _KIND["priority"]: "priority"}
_PYTHON_TYPES = ("int", "float", "bool")  # scalars of these names are written as Python writes them
_CONSTANTS = ("inf", "nan", "pi")
_TEXT_WIDTH = 84  # of one piece of a signature in a string


def to_python(source: SourceFile, diags: Diagnostics, is_library: IsLibrary) -> str | None:
    """The Python spelling of a program; None when `diags` got an error."""
    n_errors = diags.n_errors
    source = with_plain_line_ends(source)
    tokens = tokenize(source, diags)
    tree: ast.Module = parse_tokens(tokens, diags, "module")
    if diags.n_errors > n_errors:
        return None
    edits = _Writer(tokens, tree, diags, is_library).edits()
    if diags.n_errors > n_errors:
        return None
    edited = edits.apply(source.name)
    if (wrong := _python_error(edited.new.text)) is not None:
        offset, message = wrong
        at = edited.origin(offset)
        diags.error(E0111, Span(source, at, at), f"Python cannot read this: {message}")
        return None
    text = format_python(edited.new, diags)
    if text is None or not _is_the_same(source, tree, text, diags):
        return None
    return text


def _python_error(text: str) -> tuple[int, str] | None:
    """Where and why a text is no Python; what was written here mostly is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks about `x is 3` and the like
            python_ast.parse(text)
    except SyntaxError as e:
        starts = SourceFile("", text).line_starts
        line = min(e.lineno or 1, len(starts))
        return starts[line - 1] + max(0, (e.offset or 1) - 1), e.msg
    return None


def _is_the_same(source: SourceFile, tree: ast.Module, text: str, diags: Diagnostics) -> bool:
    """Turn the result back: each item must be what it was. Reports the first that is not."""
    found = Diagnostics()
    back = text_to_lem(SourceFile(source.name, text), found)
    again = ast.Module(tree.span, None, ()) if back is None else _tree(back)
    if ast.same(tree, again):
        return True
    pairs = zip(tree.items, again.items, strict=False)
    differing = next((item for item, other in pairs if not ast.same(item, other)), tree.items[0] if tree.items else tree)
    line_end = source.text.find("\n", differing.span.start)
    head = Span(source, differing.span.start, line_end if line_end >= 0 else len(source.text))
    why = f" ({found.items[0].label})" if found.items else ""
    diags.error(E0111, head, f"something in here would mean something else in Python{why}")
    return False


def _tree(text: str) -> ast.Module:
    source, diags = SourceFile("", text), Diagnostics()
    tree: ast.Module = parse_tokens(tokenize(source, diags), diags, "module")
    return tree


class _Writer:
    """Collects the edits that turn one text into Python."""

    def __init__(self, tokens: Tokens, tree: ast.Module, diags: Diagnostics, is_library: IsLibrary) -> None:
        self.tokens = tokens
        self.tree = tree
        self.diags = diags
        self.is_library = is_library
        self.made = Edits(tokens.source)
        self.defined = dict(_defined(tree.items))
        self.functions = [item for item in tree.items if isinstance(item, ast.Function)]
        self.dims, self.ordered = _ordered_dims(self.functions, set(self.defined))
        self.test_names = set(self.defined)

    def edits(self) -> Edits:
        for name, span in self.defined.items():
            if name in ("lem", "lem_stdlib"):
                self.refuse(span, f"`{name}` is the name of lem's package there", "give it another name")
        self._imports()
        for item in self.tree.items:
            match item:
                case ast.Import():
                    self._import(item)
                case ast.Struct():
                    self._struct(item)
                case ast.Test():
                    self._test(item)
                case ast.Function():
                    self._function(item)
        return self.made

    def refuse(self, span: Span, label: str, help: str) -> None:
        self.diags.error(E0111, span, label, help=help)

    # ------------------------------------------------------------ places
    def token_at(self, offset: int) -> int:
        """The number of the first token that begins at `offset` or later (layout tokens are empty)."""
        i = bisect_left(self.tokens.starts, offset)
        while self.tokens.starts[i] == self.tokens.ends[i]:
            i += 1
        return i

    def comments_in(self, start: int, end: int) -> str:
        """The comments of a range that is going to be replaced, as lines of their own."""
        return "".join(f"{text}\n" for offset, text in self.tree.comments if start <= offset < end)

    # ------------------------------------------------------------ the top
    def _imports(self) -> None:
        """``import lem``, the dimensions, and the constants of lem that Python reads before any kernel runs."""
        lines = ["import lem"]
        used = {n.id for node in self._read_at_import() for n in ast.walk(node) if isinstance(n, ast.Name)}
        constants = [name for name in _CONSTANTS if name in used and name not in self.defined]
        if constants:
            lines.append(f"from lem import {', '.join(constants)}")
        if self.dims:
            lines.append(f"from lem.dims import {', '.join(self.dims)}")
        text = "\n".join(lines) + "\n"
        if self.tree.doc is not None:
            end = self.tokens.ends[self.tokens.kinds.index(NEWLINE)]
            line_end = self.tokens.source.text.find("\n", end)
            self.made.insert(line_end if line_end >= 0 else len(self.tokens.source.text), f"\n\n{text}")
        else:
            self.made.insert(self._start_of_items(), f"{text}\n")

    def _start_of_items(self) -> int:
        """Where the first item begins, with the comments directly above it."""
        if not self.tree.items:
            return 0
        text = self.tokens.source.text
        at = self.tokens.starts[self.token_at(0)]
        while at:
            above = text.rfind("\n", 0, at - 1) + 1
            if not text.startswith("#", above) or text.startswith("#!", above):
                break
            at = above
        return at

    def _read_at_import(self) -> Iterator[ast.Node]:
        for item in self.tree.items:
            if isinstance(item, ast.Constant):
                yield item.value
            elif isinstance(item, ast.Function):
                yield from item.decorators
                yield from (param.default for param in item.params if param.default is not None)

    def _import(self, item: ast.Import) -> None:
        if item.module.split(".")[0] in ("lem", "lem_stdlib"):
            self.refuse(item.span, f"`{item.module}` is a package of Python's there", "give the module another name")
        elif self.is_library(item.module):
            # Python has a `math` and a `random` of its own.
            word = self.token_at(item.span.start)
            if item.names:
                self.made.insert(self.tokens.starts[word + 1], "lem_stdlib.")
            else:
                self.made.replace(self.tokens.starts[word], self.tokens.ends[word], "from lem_stdlib import")

    def _struct(self, item: ast.Struct) -> None:
        word = self.token_at(item.span.start)
        self.made.replace(self.tokens.starts[word], self.tokens.ends[word], "@lem.struct\nclass")
        for field in item.fields:
            self._annotate(field.type, "", frozenset())

    def _test(self, item: ast.Test) -> None:
        word = self.token_at(item.span.start)
        title = self.tokens.text(word + 1)
        text = f"@lem.test({title})\ndef {self._test_name(item.title)}()"
        self.made.replace(self.tokens.starts[word], self.tokens.ends[word + 1], text)
        self._body(item)

    def _test_name(self, title: str) -> str:
        words = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:60].rstrip("_")
        base = name = f"test_{words}" if words else "test"
        n = 1
        while name in self.test_names:
            n += 1
            name = f"{base}_{n}"
        self.test_names.add(name)
        return name

    # ------------------------------------------------------------ functions
    def _function(self, item: ast.Function) -> None:
        for decorator in item.decorators:
            self._decorator(decorator, item)
        if _has_annotations(item, self.dims, self.ordered):
            self._annotated_head(item)
        else:
            self._head_as_text(item)
        self._body(item)

    def _decorator(self, decorator: ast.Decorator, item: ast.Function) -> None:
        """Python runs it: names of targets are lem's, and a condition on parameters is text."""
        self.made.insert(self.tokens.starts[self.token_at(decorator.span.start) + 1], "lem.")
        for node in (n for part in (*decorator.args, *decorator.keywords) for n in ast.walk(part)):
            if isinstance(node, ast.Name) and node.id in TARGETS:
                self.made.insert(node.span.start, "lem.")
        for keyword in decorator.keywords:
            names = [n for n in ast.walk(keyword.value) if isinstance(n, ast.Name)]
            if keyword.name == "when" and any(n.id in {p.name.id for p in item.params} for n in names):
                self.made.insert(keyword.value.span.start, '"')
                self.made.insert(keyword.value.span.end, '"')
            for n in names if keyword.name == "of" else ():
                if n.id in self.defined and self.defined[n.id].start > item.span.start:
                    self.refuse(n.span, f"`{n.id}` is defined below, and Python reads this first", "move it above")

    def _annotated_head(self, item: ast.Function) -> None:
        tokens = self.tokens
        name = self.token_at(item.name.span.start)
        opener = next(i for i in range(name, len(tokens.kinds)) if tokens.text(i) == "(")
        closer = self._closer(opener)
        colon = item.head_span.end - 1
        moved = self.comments_in(item.head_span.start, tokens.starts[opener]) + self.comments_in(tokens.ends[closer], colon)
        self.made.replace(item.head_span.start, item.name.span.start, f"{moved}@lem.{item.kind}\ndef ")
        self.made.replace(item.name.span.end, tokens.starts[opener], "")
        generics = frozenset(g.name for g in item.generics)
        for param in item.params:
            if param.type is not None:
                self._annotate(param.type, param.effect, generics)
        results = [self._prefix(result.type, generics) + self._spelled(result.type) for result in item.results]
        result = results[0] if len(results) == 1 else f"tuple[{', '.join(results)}]"
        self.made.replace(tokens.ends[closer], colon, f" -> {result}" if results else "")

    def _spelled(self, type: ast.TypeExpr) -> str:
        """A result's type, which moves: comments in it move by themselves."""
        text = type.span.text
        if self.comments_in(type.span.start, type.span.end):
            tokens = self.tokens
            inside = range(self.token_at(type.span.start), self.token_at(type.span.end))
            text = on_one_line(grouped([Leaf(tokens.text(i), tokens.kinds[i]) for i in inside]))
        return "bool_" + text.removeprefix("bool") if _is_array_of_bools(type) else text

    def _head_as_text(self, item: ast.Function) -> None:
        tokens = self.tokens
        first, colon = self.token_at(item.head_span.start), item.head_span.end - 1
        leaves = [Leaf(tokens.text(i), tokens.kinds[i]) for i in range(first, self.token_at(colon))]
        _, _, *signature = grouped(leaves)
        params = next(node for node in signature if isinstance(node, Group) and node.role == "call")
        dims = implied_dims(_names_in_sizes(item), [p.name.id for p in item.params], self.dims)
        is_short = not (item.results or item.where) and item in self.ordered and params.items
        if is_short and dims == [g.name for g in item.generics]:
            text = on_one_line([params])[1:-1]
        else:
            text = on_one_line(signature)
        names = ", ".join(param.name.id for param in item.params)
        moved = self.comments_in(item.head_span.start, colon)
        head = f"{moved}@lem.{item.kind}({_quoted(text)})\ndef {item.name.id}({names})"
        self.made.replace(item.head_span.start, colon, head)

    def _closer(self, opener: int) -> int:
        depth = 0
        for i in range(opener, len(self.tokens.kinds)):
            text = self.tokens.text(i)
            depth += (text in CLOSER) - (text in (")", "]", "}"))
            if depth == 0:
                return i
        raise AssertionError("the lexer closes every bracket")

    def _annotate(self, type: ast.TypeExpr, effect: str, generics: Iterable[str]) -> None:
        prefix = self._prefix(type, generics)
        if effect:
            word = self.token_at(type.span.start) - 1
            self.made.replace(self.tokens.starts[word], self.tokens.ends[word], f"lem.{effect}[")
            self.made.insert(type.span.end, "]")
        self.made.insert(type.span.start, prefix)
        if _is_array_of_bools(type):
            self.made.insert(type.span.start + len("bool"), "_")

    def _prefix(self, type: ast.TypeExpr, generics: Iterable[str]) -> str:
        """``lem.``, for the types that are lem's."""
        is_pythons = type.name in _PYTHON_TYPES and type.sizes is None
        is_own = type.name in self.defined or type.name in generics or "." in type.name
        return "" if is_pythons or is_own else "lem."

    # ------------------------------------------------------------ bodies
    def _body(self, item: ast.Function | ast.Test) -> None:
        in_test = isinstance(item, ast.Test)
        for node in ast.walk(item):
            match node:
                case ast.Spawn():
                    self._spawn(node)
                case ast.Check():
                    self._check(node, in_test)
                case ast.Declare(effect="reduce"):
                    self._reduce(node)
                case (
                    ast.ExprStmt(value=ast.Call(func=ast.Name(id="spawn")))
                    | ast.Assign(value=ast.Call(func=ast.Name(id="spawn")))
                ):
                    self.refuse(node.span, "`spawn(...)` is the statement there, here it is a call", "rename `spawn`")

    def _spawn(self, node: ast.Spawn) -> None:
        tokens, first = self.tokens, self.token_at(node.span.start)
        self.made.replace(tokens.starts[first], tokens.starts[first + 1], "spawn(")
        for i in self._outermost(first + 1, node.span.end):
            if tokens.kinds[i] in _TAILS:
                self.made.replace(tokens.starts[i], tokens.ends[i], f", {_TAILS[tokens.kinds[i]]}=")
            elif tokens.kinds[i] == _KIND["for"]:
                self.made.replace(tokens.starts[i], tokens.ends[i + 1], f', objective="{tokens.text(i + 1)}"')
        self.made.insert(node.span.end, ")")

    def _check(self, node: ast.Check, in_test: bool) -> None:
        tokens, first = self.tokens, self.token_at(node.span.start)
        if tokens.kinds[first] != CHECK:
            return  # it is the call already
        if not in_test:
            self.refuse(node.span, "outside a test `check(...)` is a call there", "`check` stands in tests only")
            return
        self.made.replace(tokens.starts[first], tokens.ends[first], "check(")
        tail = ")"
        for i in self._outermost(first + 1, node.span.end):
            if tokens.kinds[i] == _KIND["within"]:
                self.made.replace(tokens.starts[i], tokens.ends[i], ", within=")
            elif tokens.kinds[i] == _KIND["fails"]:
                self.made.replace(tokens.starts[i], tokens.ends[i + 2], "")
                tail = f", fails={tokens.text(i + 1)})"
        self.made.insert(node.span.end, tail)

    def _reduce(self, node: ast.Declare) -> None:
        tokens, opener = self.tokens, self.token_at(node.name.span.end) + 2
        for i, text in enumerate(("[", f'"{tokens.text(opener + 1)}"', ",")):
            self.made.replace(tokens.starts[opener + i], tokens.ends[opener + i], text)
        self.made.insert(node.type.span.end, "]")

    def _outermost(self, first: int, end: int) -> Iterator[int]:
        """The tokens from `first` to the offset `end` that stand in no brackets."""
        depth = 0
        while self.tokens.starts[first] < end:
            text = self.tokens.text(first)
            depth += (text in CLOSER) - (text in (")", "]", "}"))
            if not depth:
                yield first
            first += 1


# ---------------------------------------------------------------- dimensions
def _ordered_dims(functions: Sequence[ast.Function], taken: set[str]) -> tuple[list[str], set[ast.Function]]:
    """All dimensions of a module in an order, and the functions whose own order agrees with it."""
    before: dict[str, set[str]] = {}
    agreeing: set[ast.Function] = set()
    for function in functions:
        names = [g.name for g in function.generics]
        longer = {name: set(others) for name, others in before.items()}
        for i, name in enumerate(names):
            longer.setdefault(name, set()).update(names[max(0, i - 1) : i])
        is_plain = all(g.bound is None for g in function.generics) and taken.isdisjoint(names)
        if is_plain and len(set(names)) == len(names) and _in_order(longer) is not None:
            before = longer
            agreeing.add(function)
    others = [g.name for f in functions for g in f.generics if g.bound is None and g.name not in taken]
    return list(dict.fromkeys([*(_in_order(before) or ()), *others])), agreeing


def _in_order(before: dict[str, set[str]]) -> list[str] | None:
    """The keys of a graph, each behind those it names, early ones first; None when they go round in a circle."""
    sorter = TopologicalSorter(before)
    try:
        sorter.prepare()
    except CycleError:
        return None
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=list(before).index)
        order.append(ready.pop(0))
        sorter.done(order[-1])
    return order


def _names_in_sizes(item: ast.Function) -> list[str]:
    types = [p.type for p in item.params if p.type is not None] + [r.type for r in item.results]
    return [node.id for type in types for node in ast.walk(type) if isinstance(node, ast.Name)]


# ---------------------------------------------------------------- signatures
def _has_annotations(item: ast.Function, dims: Sequence[str], ordered: set[ast.Function]) -> bool:
    """Whether a signature can be written as annotations that Python's type checkers take for types."""
    generics = [g.name for g in item.generics]
    if item.where is not None or item not in ordered or item.kind != "fn" and item.results:
        return False
    if implied_dims(_names_in_sizes(item), [p.name.id for p in item.params], dims) != generics:
        return False
    defaults = [param.default is not None for param in item.params]
    types = [p.type for p in item.params if p.type is not None] + [r.type for r in item.results]
    has_reduce = any(param.effect == "reduce" for param in item.params)
    return defaults == sorted(defaults) and not has_reduce and all(_is_type_expression(t, generics) for t in types)


def _is_array_of_bools(type: ast.TypeExpr) -> bool:
    """``bool[N]``, which Python has no ``bool`` for: lem's is ``lem.bool_[N]``."""
    return type.name == "bool" and type.sizes is not None


def _is_type_expression(type: ast.TypeExpr, generics: Sequence[str]) -> bool:
    sizes = type.sizes or ()
    return not type.suffixes and all(isinstance(size, ast.Name) and size.id in generics for size in sizes)


def _quoted(text: str) -> str:
    """Text as Python strings that stand behind each other."""
    pieces = [""]
    for word in re.split(r"(?<=, )", text):
        if pieces[-1] and len(pieces[-1]) + len(word) > _TEXT_WIDTH:
            pieces.append("")
        pieces[-1] += word
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    return " ".join('"' + "".join(escapes.get(c, c) for c in piece) + '"' for piece in pieces)


def _defined(items: Sequence[ast.Item]) -> Iterator[tuple[str, Span]]:
    """The names that a module has, with their places."""
    for item in items:
        match item:
            case ast.Import() if item.names:
                yield from ((name.alias or name.name, name.span) for name in item.names)
            case ast.Import():
                yield item.alias or item.module.split(".")[0], item.span
            case ast.Constant() | ast.Function() | ast.Struct():
                yield item.name.id, item.name.span
