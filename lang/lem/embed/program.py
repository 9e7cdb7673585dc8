"""The module of a decorated function: its own item, and the items of all that it uses, as if they stood in one file.

Takes functions made by the decorators; gives a checked program. Other functions of lem become items under the names that
the body uses for them, captured numbers become constants.
"""

from __future__ import annotations

import ast as python
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from lem import pipeline, texts
from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.codes import E0104, E0201, E0610
from lem.embed import capture, errors, head, spelling, text, warned
from lem.embed.around import plain_number, surroundings
from lem.embed.function import Decorated, Function
from lem.embed.structs import StructType
from lem.source import SourceFile, Span
from lem.syntax import ast


def analysed(function: Decorated) -> pipeline.Program:
    """The checked program of a decorated function, with all that it calls. Raises :class:`errors.CompileError`."""
    diags = Diagnostics()
    try:
        gathered = _Gathered(diags)
        gathered.add(function)
    except text.NoText as e:
        raise errors.CompileError([Diagnostic(E0610, None, str(e), (), (), (e.help,) if e.help else ())]) from None
    if diags.has_errors:  # a head without its types would be reported once more
        raise errors.CompileError(diags.items)
    items = tuple(gathered.items.values())
    source = text.find(function.function).source
    tree = ast.Module(Span(source, 0, len(source.text)), None, (*gathered.imports, *items))
    program = pipeline.analyse_tree(source, tree, diags, gathered.loader(source))
    if program is None:
        raise errors.CompileError(gathered.explained(d) for d in diags.items)
    warned.reported(diags.items, function.function.__module__)
    return program


def item_of(function: Decorated, diags: Diagnostics) -> tuple[ast.Function | ast.Test, capture.Captured]:
    """The tree of one function, and what that needs from around it. Raises :class:`text.NoText`."""
    plain = function.function
    written = text.find(plain)
    around = surroundings(plain)

    def meaning(node: python.expr) -> Any:
        code = compile(python.Expression(node), "<annotation>", "eval")
        return eval(code, dict(around))  # a name of a type, as Python itself would read it there

    is_test = function.kind == "test"
    found = head.read_head(written, None if is_test else function.signature, meaning, function.kind, diags)
    body, doc = text.body_of(written, diags)
    decorators = head.read_decorators(written, meaning, diags)
    used = capture.Captured()
    if function.signature is None:
        found.generics = tuple(_dims(found.generics, around, used))
    capture.capture_types((*found.params, *found.results), around, used)
    params = {p.name.id for p in found.params} | {r.name.id for r in found.results if r.name is not None}
    params |= {g.name for g in found.generics}
    capture.capture(body, params, around, used, decorators)
    body = spelling.respell(body, diags, in_test=is_test)
    whole = written.file.span(written.node)
    if is_test:
        return ast.Test(whole, function.signature or plain.__name__, body), used
    extra = tuple(ast.GenericParam(span, name, None) for name, span in used.dims.items())
    at = whole.source.text.index(plain.__name__, whole.start + len("def"))  # `f` is also a part of `def`
    name = ast.Name(Span(whole.source, at, at + len(plain.__name__)), plain.__name__)
    generics = (*found.generics, *extra)
    made = ast.Function(
        whole, function.kind, name, generics, found.params, found.results, found.where, body, doc, decorators, name.span
    )
    return made, used


def _dims(
    names: tuple[ast.GenericParam, ...], around: Mapping[str, Any], used: capture.Captured
) -> Iterator[ast.GenericParam]:
    """Names in the sizes of annotations that are dimensions: one that is a whole number in Python is this number."""
    for name in names:
        value = plain_number(around.get(name.name))
        if isinstance(value, int) and not isinstance(value, bool):
            used.constants[name.name] = (value, name.span)
        else:
            yield name


def struct_item(struct: StructType, diags: Diagnostics) -> tuple[ast.Struct, capture.Captured]:
    """The tree of a struct, and what its fields need from around it. Raises :class:`text.NoText`."""
    module, inner = struct.lem_names
    file, node = text.find_class(struct.__name__, struct.lem_place, struct.lem_lines)
    types = head.TypeReader(
        file, lambda e: eval(compile(python.Expression(e), "", "eval"), dict(module), dict(inner)), diags
    )
    fields = []
    for part in node.body:
        if isinstance(part, python.AnnAssign) and isinstance(part.target, python.Name) and part.value is None:
            name = ast.Name(file.span(part.target), part.target.id)
            fields.append(ast.StructField(file.span(part), name, types.type(part.annotation)))
        elif not isinstance(part, python.Pass) and not (
            isinstance(part, python.Expr) and isinstance(part.value, python.Constant)
        ):
            diags.error(E0104, file.span(part), "a struct has fields, one `name: type` per line, and nothing else")
    used = capture.Captured()
    capture.capture_types(fields, {**module, **inner}, used)
    at = file.source.text.index(struct.__name__, file.offset(node.lineno, node.col_offset) + len("class"))
    place = Span(file.source, at, at + len(struct.__name__))
    return ast.Struct(place, ast.Name(place, struct.__name__), tuple(fields), struct.__doc__), used


class _Gathered:
    """The items of one module: a function and all that it uses, each under one name.

    Functions of several files may use the same name for different things: all but the first get another, which no program
    can write.
    """

    def __init__(self, diags: Diagnostics) -> None:
        self.items: dict[str, ast.Item] = {}
        self.imports: list[ast.Import] = []
        self._diags = diags
        self._names: dict[Any, str] = {}  # of what is there: of a function, of a name with its value
        self._programs: dict[str, pipeline.Program] = {}  # of `.lem` files, by the name under which they are imported
        self._todo: list[tuple[str, Decorated]] = []
        self._others: dict[Span, str] = {}

    def explained(self, d: Diagnostic) -> Diagnostic:
        """A report of an unknown name, with what Python knows by it."""
        help = self._others.get(d.span) if d.span is not None and d.code is E0201 else None
        return d if help is None else replace(d, help=(help,))

    def add(self, first: Decorated) -> None:
        """A function and what it uses. Raises :class:`text.NoText`."""
        self._todo.append((self._name(first.function, first.function.__name__), first))
        while self._todo:
            name, function = self._todo.pop()
            self._add_one(name, function)

    def _add_one(self, name: str, function: Decorated) -> None:
        item, used = item_of(function, self._diags)
        if isinstance(item, ast.Function):
            item.name.id = name
        self._rename(item, used)
        self.items[name] = item
        for variant in function.variants:
            if variant.function not in self._names:
                self._todo.append((self._name(variant.function, variant.function.__name__), variant))

    def _rename(self, item: ast.Item, used: capture.Captured) -> None:
        """Give what an item uses its one name, here and there."""
        self._others |= used.others
        called = {word: self._function(word, thing, item.span) for word, thing in used.functions.items()}
        for word, (value, span) in used.constants.items():
            called[word] = self._constant(word, value, span)
        structs = {word: self._struct(thing, item.span) for word, thing in used.structs.items()}
        called |= structs
        for node in ast.walk(item):
            if isinstance(node, ast.Name):
                node.id = called.get(node.id, node.id)
            elif isinstance(node, ast.TypeExpr):
                node.name = structs.get(node.name, node.name)

    def _struct(self, thing: StructType, span: Span) -> str:
        is_new = thing not in self._names
        name = self._name(thing, thing.__name__)
        if is_new and thing.lem_program is not None:
            self._import(thing.lem_program, thing.__name__, name, span)
        elif is_new:
            item, used = struct_item(thing, self._diags)
            self._rename(item, used)
            item.name.id = name
            self.items[name] = item
        return name

    def _name(self, key: Any, wanted: str) -> str:
        """The one name of a thing."""
        if key not in self._names:
            taken = set(self._names.values())
            others = (f"{wanted}~{n}" for n in itertools.count(2))
            self._names[key] = next(n for n in itertools.chain((wanted,), others) if n not in taken)
        return self._names[key]

    def _constant(self, word: str, value: int | float | bool, span: Span) -> str:
        name = self._name((word, type(value), repr(value)), word)
        self.items.setdefault(name, ast.Constant(span, ast.Name(span, name), _literal(span, value)))
        return name

    def _function(self, word: str, thing: Function, span: Span) -> str:
        if thing.decorated is not None:
            is_new = thing.decorated.function not in self._names
            name = self._name(thing.decorated.function, word)
            if is_new:
                self._todo.append((name, thing.decorated))
            return name
        is_new = thing not in self._names
        name = self._name(thing, word)
        if is_new:
            self._import(thing.engine.compiler.program, thing.__name__, name, span)
        return name

    def _import(self, program: pipeline.Program, wanted: str, name: str, span: Span) -> None:
        """Something of a file, under the name that it has here."""
        self.imports.append(ast.Import(span, self._module(program), (ast.ImportName(span, wanted, name),), None))

    def _module(self, program: pipeline.Program) -> str:
        """The name under which the file of a program is imported."""
        for n in itertools.count(1):
            name = f"{program.bound.name}.lem" if n == 1 else f"{program.bound.name}.lem~{n}"
            known = self._programs.setdefault(name, program)
            if known.source is program.source:
                return name
        raise AssertionError

    def loader(self, source: SourceFile) -> Callable[[str], SourceFile | None]:
        """Finds the files of what was captured, and what those import; else as for any file."""
        beside = texts.module_loader(source)

        def load(name: str) -> SourceFile | None:
            if name in self._programs:
                return self._programs[name].source
            inner = (p.bound.modules[name] for p in self._programs.values() if name in p.bound.modules)
            scope = next(inner, None)
            return scope.tree.span.source if scope is not None else beside(name)

        return load


def _literal(span: Span, value: int | float | bool) -> ast.Expr:
    """A captured number as it would be written."""
    if isinstance(value, bool):
        return ast.Bool(span, value)
    if value != value or value in (float("inf"), float("-inf")):
        made: ast.Expr = ast.Name(span, "nan" if value != value else "inf")
    else:
        made = ast.Number(span, repr(abs(value)), abs(value))
    return ast.Unary(span, "-", made) if value < 0 else made


__all__ = ["analysed", "item_of"]
