"""Source text to syntax tree: the first stage.

:func:`parse` takes a file and always returns a tree; mistakes are reported and leave error nodes behind.
:func:`parse_expr` and :func:`parse_type` read a single expression or type: values on the command line, signatures as text.

The language is what `lem.lark` says; `build_tables.py` turns it into `tables.json` (when lem is built, with lark); the
lexer, the driver and the actions run those tables; `mistakes.py` finds the words for what went wrong.
"""

from __future__ import annotations

from dataclasses import replace

from lem.diagnostics import Diagnostics
from lem.source import SourceFile
from lem.syntax import ast
from lem.syntax.driver import parse_part, parse_tokens
from lem.syntax.lexer import tokenize

__all__ = ["ast", "parse", "parse_blanked", "parse_expr", "parse_range", "parse_type"]


def parse(source: SourceFile, diags: Diagnostics) -> ast.Module:
    """The tree of a whole file."""
    n_before = len(diags.items)
    tokens = tokenize(source, diags)
    module: ast.Module = parse_tokens(tokens, diags, "module")
    # The lexer ran first, but a reader wants the reports in the order of the text.
    diags.items[n_before:] = sorted(diags.items[n_before:], key=lambda item: item.span.start if item.span else 0)
    return module


def parse_expr(source: SourceFile, diags: Diagnostics) -> ast.Expr:
    """The tree of a text that is one expression (a tuple may stand without brackets)."""
    expr: ast.Expr = parse_part(source, diags, 0, len(source.text))
    return expr


def parse_type(source: SourceFile, diags: Diagnostics) -> tuple[str, str, ast.TypeExpr]:
    """The effect (``""``, ``out``, ``inout``, ``reduce``), the operation of a ``reduce`` and the type a text gives."""
    typed: tuple[str, str, ast.TypeExpr] = parse_part(source, diags, 0, len(source.text), "type_text")
    return typed


def parse_blanked(source: SourceFile, shown: str, diags: Diagnostics) -> ast.Item | None:
    """The one item in `shown`, which is the text of `source` with everything else blanked out: its spans are those of
    `source`. None when there is no item."""
    assert len(shown) == len(source.text)
    mine = Diagnostics()
    tokens = tokenize(SourceFile(source.name, shown), mine)
    for item in mine.items:
        diags.items.append(replace(item, span=item.span and item.span._replace(source=source)))
    tokens.source = source
    module: ast.Module = parse_tokens(tokens, diags, "module")
    return module.items[0] if module.items else None


def parse_range(source: SourceFile, start: int, end: int, diags: Diagnostics) -> ast.Expr:
    """The expression in ``source.text[start:end]``."""
    expr: ast.Expr = parse_part(source, diags, start, end)
    return expr
