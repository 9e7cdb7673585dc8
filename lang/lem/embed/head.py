"""The head of a Python function as lem's: parameters, types, effects, results.

Takes the written function and what its names mean where it is defined; gives the nodes of an :class:`ast.Function`. An
annotation says ``lem.out[lem.f32[M, N]]`` where a ``.lem`` file says ``out f32[M, N]``; results are
``-> Annotated[lem.f32[M], "y"]``, or a tuple of such. What is no type expression to Python is given as text, read by the
same grammar: ``@lem.kernel("a: f32[2 * M, 3], c: out f32[M]")``.
"""

from __future__ import annotations

import ast as python
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0104, E0305
from lem.embed import annotations as an
from lem.embed import structs
from lem.embed.decorators import DECORATORS
from lem.embed.head_text import read_text
from lem.embed.text import File, Written
from lem.source import Span
from lem.syntax import ast, parse_range
from lem_runtime.abi.records import dataclass

Meaning = Callable[[python.expr], Any]  # what an expression of the head is, in Python; raises NameError


@dataclass(slots=True)
class Head:
    """What stands before the body. `dims`: names of its dimensions, in the order of their first use."""

    params: tuple[ast.Param, ...]
    results: tuple[ast.Result, ...]
    where: ast.Expr | None
    generics: tuple[ast.GenericParam, ...]


def read_head(written: Written, text: str | None, meaning: Meaning, kind: str, diags: Diagnostics) -> Head:
    """The head of a function; `text`: its parameters as text."""
    if text is not None:
        return _from_text(written, text, kind, diags)
    reader = _Reader(written, meaning, diags)
    params = tuple(reader.params(kind))
    results = tuple(reader.results(kind))
    return Head(params, results, None, tuple(ast.GenericParam(span, name, None) for name, span in reader.dims.items()))


def read_decorators(written: Written, meaning: Meaning, diags: Diagnostics) -> tuple[ast.Decorator, ...]:
    """What stands above ``@lem.kernel``, as ``.lem`` files have it."""
    reader = _Reader(written, meaning, diags)
    calls = [node for node in written.node.decorator_list if isinstance(node, python.Call)]
    named = ((node, DECORATORS.get(reader.named(node.func))) for node in calls)
    return tuple(reader.decorator(node, name) for node, name in named if name is not None)


# ---------------------------------------------------------------- as text
def _from_text(written: Written, text: str, kind: str, diags: Diagnostics) -> Head:
    item = read_text(written, text, kind, diags)
    if item is None:
        return Head((), (), None, ())
    return Head(item.params, item.results, item.where, item.generics or tuple(_dims_of(item)))


def _dims_of(fn: ast.Function) -> Iterator[ast.GenericParam]:
    """Names in sizes that are no `int` parameters are dimensions."""
    seen = {p.name.id for p in fn.params if p.type is not None and p.type.sizes is None}
    for t in (*(p.type for p in fn.params), *(r.type for r in fn.results)):
        for size in (t.sizes or ()) if t is not None else ():
            for node in ast.walk(size):
                if isinstance(node, ast.Name) and node.id not in seen:
                    seen.add(node.id)
                    yield ast.GenericParam(node.span, node.id, None)


# ---------------------------------------------------------------- as annotations
class TypeReader:
    """Reads types where Python's annotations stand. `dims`: names in sizes."""

    def __init__(self, file: File, meaning: Meaning, diags: Diagnostics) -> None:
        self.file, self.meaning, self.diags = file, meaning, diags
        self.dims: dict[str, Span] = {}

    def effect(self, node: python.expr) -> tuple[str, str, ast.TypeExpr]:
        """``lem.out[T]`` as (effect, operator of a reduce, T)."""
        node = self.unquoted(node)
        if isinstance(node, python.Subscript):
            about = self.named(node.value)
            found = next((m for m in get_args(about)[1:] if isinstance(m, an.Effect)), None)
            if get_origin(about) is Annotated and found is not None:
                return found.name, found.op, self.type(node.slice)
        return "", "", self.type(node)

    def type(self, node: python.expr) -> ast.TypeExpr:
        """``lem.f32``, ``lem.f32[M, N]``, ``Body[N].aos`` or ``lem.aos[Body, N]``."""
        node = self.unquoted(node)
        span = self.file.span(node)
        suffixes: tuple[ast.TypeSuffix, ...] = ()
        if isinstance(node, python.Attribute) and isinstance(node.value, python.Subscript):
            end = span.end - len(node.attr)
            suffixes = (ast.TypeSuffix(Span(span.source, end, span.end), node.attr, ()),)
            node = node.value
        head = node.value if isinstance(node, python.Subscript) else node
        parts = _parts(node) if isinstance(node, python.Subscript) else None
        layout = structs.LAYOUTS.get(self.named(head))
        if layout is not None and parts and not suffixes:
            suffixes = (ast.TypeSuffix(self.file.span(head), layout, ()),) if layout else ()
            head, parts = parts[0], parts[1:]
        name = self._name_of(head)
        if name is None:
            self.diags.error(
                E0305, self.file.span(head), f"`{self.file.span(head).text}` is no type of lem",
                help="write `lem.f32[M, N]`, or give the signature as text: `@lem.kernel(\"a: f32[2 * M]\")`",
            )  # fmt: skip
            return ast.TypeExpr(span, "", None, ())
        return ast.TypeExpr(span, name, None if parts is None else tuple(map(self.size, parts)), suffixes)

    def _name_of(self, node: python.expr) -> str | None:
        """The name of an element type in lem, or of a struct as it is written here."""
        meant = self.named(self.unquoted(node))
        return self.file.span(node).text if isinstance(meant, structs.StructType) else an.DTYPES.get(meant)

    def size(self, node: python.expr) -> ast.Expr:
        made = self.expr(node)
        for inner in ast.walk(made):
            if isinstance(inner, ast.Name):
                self.dims.setdefault(inner.id, inner.span)
        return made

    def expr(self, node: python.expr) -> ast.Expr:
        span = self.file.span(node)
        return parse_range(span.source, span.start, span.end, self.diags)

    def text(self, node: python.expr) -> ast.Expr:
        """The same, or in quotes what Python cannot evaluate."""
        span = self.file.span(node)
        if isinstance(node, python.Constant) and isinstance(node.value, str) and len(node.value) == len(span.text) - 2:
            return parse_range(span.source, span.start + 1, span.end - 1, self.diags)
        return self.expr(node)

    def named(self, node: python.expr) -> Any:
        """What a name of the head means in Python; None where it means nothing."""
        try:
            found = self.meaning(node)
            hash(found)
        except (NameError, AttributeError, TypeError):
            return None
        return found

    def unquoted(self, node: python.expr) -> python.expr:
        """An annotation in quotes, as the expression in them; as it stands where that is none of Python."""
        if not (isinstance(node, python.Constant) and isinstance(node.value, str)):
            return node
        try:
            inner = python.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError):
            return node
        for part in python.walk(inner):
            if isinstance(part, python.expr):
                part.lineno = part.end_lineno = node.lineno
                part.col_offset += node.col_offset + 1
                assert part.end_col_offset is not None
                part.end_col_offset += node.col_offset + 1
        return inner


class _Reader(TypeReader):
    def __init__(self, written: Written, meaning: Meaning, diags: Diagnostics) -> None:
        super().__init__(written.file, meaning, diags)
        self.node = written.node

    def decorator(self, node: python.Call, name: str) -> ast.Decorator:
        keywords = []
        for k in node.keywords:
            start = self.file.offset(k.lineno, k.col_offset)
            value = self.text(k.value) if k.arg == "when" else self.expr(k.value)
            keywords.append(ast.Keyword(value.span, k.arg or "**", value, Span(value.span.source, start, value.span.start)))
        return ast.Decorator(self.file.span(node), name, tuple(map(self.expr, node.args)), tuple(keywords))

    def params(self, kind: str) -> Iterator[ast.Param]:
        args = self.node.args
        for odd in (args.vararg, args.kwarg, *args.posonlyargs):
            if odd is not None:
                self.diags.error(E0104, self.file.span(odd), "a parameter of lem has a name and one value")
        plain = [*args.args, *args.kwonlyargs]
        defaults: list[python.expr | None] = [None] * (len(args.args) - len(args.defaults))
        for arg, default in zip(plain, [*defaults, *args.defaults, *args.kw_defaults], strict=True):
            if arg.annotation is None and kind in ("kernel", "task"):
                self.diags.error(
                    E0305, self.file.span(arg), f"`{arg.arg}` has no type, and this is a {kind}",
                    help=f'write `{arg.arg}: lem.f32[N]`, or give the signature as text: `@lem.{kind}("{arg.arg}: f32[N]")`',
                )  # fmt: skip
            else:
                yield self.param(arg, default)

    def param(self, arg: python.arg, default: python.expr | None) -> ast.Param:
        span = self.file.span(arg)
        name = ast.Name(Span(span.source, span.start, span.start + len(arg.arg)), arg.arg)
        effect, op, ty = self.effect(arg.annotation) if arg.annotation is not None else ("", "", None)
        value = None if default is None else self.expr(default)
        return ast.Param(span, name, effect, op, ty, value)

    def results(self, kind: str) -> Iterator[ast.Result]:
        node = self.node.returns
        node = self.unquoted(node) if node is not None else None
        if node is None or (isinstance(node, python.Constant) and node.value is None):
            return
        several = isinstance(node, python.Subscript) and self.named(node.value) is tuple
        for part in _parts(node) if several and isinstance(node, python.Subscript) else [node]:
            yield self.result(part, kind)

    def result(self, node: python.expr, kind: str) -> ast.Result:
        span = self.file.span(node)
        if isinstance(node, python.Subscript) and self.named(node.value) is Annotated and len(_parts(node)) == 2:
            inner, name = _parts(node)
            if isinstance(name, python.Constant) and isinstance(name.value, str):
                place = self.file.span(name)
                return ast.Result(span, ast.Name(place, name.value), self.type(inner))
        if kind != "fn":
            self.diags.error(
                E0305, span, "a result has a name, which the body assigns to",
                help=f'write `Annotated[{span.text}, "y"]`',
            )  # fmt: skip
            return ast.Result(span, ast.Name(span, "result"), self.type(node))
        return ast.Result(span, None, self.type(node))


def _parts(node: python.expr) -> list[python.expr]:
    inside = node.slice if isinstance(node, python.Subscript) else node
    return list(inside.elts) if isinstance(inside, python.Tuple) else [inside]
