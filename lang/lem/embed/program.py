"""The module of a decorated function: its own item, and the items of all that it uses, as if they stood in one file.

Takes functions made by the decorators; gives a checked program. Other functions of lem become items under the names that
the body uses for them, captured numbers become constants.
"""

from __future__ import annotations

import ast as python
from typing import Any

from lem import pipeline, texts
from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.codes import E0101
from lem.embed import capture, errors, head, text
from lem.embed.around import surroundings
from lem.embed.function import Decorated
from lem.source import Span
from lem.syntax import ast


def analysed(function: Decorated) -> pipeline.Program:
    """The checked program of a decorated function, with all that it calls. Raises :class:`errors.CompileError`."""
    diags = Diagnostics()
    try:
        items = _with_callees(function, diags)
    except text.NoText as e:
        raise errors.CompileError([Diagnostic(E0101, None, str(e), (), (), ())]) from None
    if diags.has_errors:  # a head without its types would be reported once more
        raise errors.CompileError(diags.items)
    source = items[0].span.source
    tree = ast.Module(Span(source, 0, len(source.text)), None, items)
    program = pipeline.analyse_tree(source, tree, diags, texts.module_loader(source))
    if program is None:
        raise errors.CompileError(diags.items)
    return program


def item_of(function: Decorated, diags: Diagnostics) -> tuple[ast.Function, capture.Captured]:
    """The tree of one function, and what that needs from around it. Raises :class:`text.NoText`."""
    plain = function.function
    written = text.find(plain)
    around = surroundings(plain)

    def meaning(node: python.expr) -> Any:
        code = compile(python.Expression(node), "<annotation>", "eval")
        return eval(code, dict(around))  # a name of a type, as Python itself would read it there

    found = head.read_head(written, function.signature, meaning, function.kind, diags)
    body, doc = text.body_of(written, diags)
    params = {p.name.id for p in found.params} | {r.name.id for r in found.results if r.name is not None}
    params |= {g.name for g in found.generics}
    used = capture.capture(body, params, around)
    extra = tuple(ast.GenericParam(span, name, None) for name, span in used.dims.items())
    whole = written.span(written.node)
    at = whole.source.text.index(plain.__name__, whole.start)
    name = ast.Name(Span(whole.source, at, at + len(plain.__name__)), plain.__name__)
    generics = (*found.generics, *extra)
    made = ast.Function(
        whole, function.kind, name, generics, found.params, found.results, found.where, body, doc, (), name.span
    )
    return made, used


def _with_callees(first: Decorated, diags: Diagnostics) -> tuple[ast.Item, ...]:
    """The function's item, then all that it uses, by the names that it uses for them."""
    items: dict[str, ast.Item] = {}
    todo: list[tuple[str, Decorated]] = [(first.function.__name__, first)]
    while todo:
        name, function = todo.pop()
        if name in items:
            continue
        item, used = item_of(function, diags)
        item.name.id = name
        items[name] = item
        for constant, (value, span) in used.constants.items():
            items.setdefault(constant, ast.Constant(span, ast.Name(span, constant), _literal(span, value)))
        todo += [(name, f.decorated) for name, f in used.functions.items() if f.decorated is not None]
    return tuple(items.values())


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
