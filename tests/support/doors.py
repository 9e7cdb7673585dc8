"""The two spellings of a program: turned and turned back, in one call each."""

from __future__ import annotations

import ast as python_ast

from lem import texts
from lem.diagnostics import Diagnostic, Diagnostics
from lem.source import SourceFile
from lem.syntax.to_lem import to_lem
from lem.syntax.to_python import to_python


def python_of(text: str) -> tuple[str | None, list[Diagnostic]]:
    """A lem text as Python, or the reports why not. What comes is valid Python."""
    diags = Diagnostics()
    made = to_python(SourceFile("made.lem", text), diags, lambda module: texts.library_source(module) is not None)
    if made is not None:
        python_ast.parse(made)
    assert (made is None) == diags.has_errors
    return made, diags.items


def lem_of(text: str) -> tuple[str | None, list[Diagnostic]]:
    """A Python text as lem, or the reports why not."""
    diags = Diagnostics()
    made = to_lem(SourceFile("made.py", text), diags)
    assert (made is None) == diags.has_errors
    return made, diags.items
