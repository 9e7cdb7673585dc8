"""``%load_ext lem`` in a notebook: cells that begin with ``%%lem`` hold lem, and define what is in them.

Takes the text of a cell; its kernels, tasks, fns and constants become names of the notebook, or of one module where the
line gives a name (``%%lem blur``). What is wrong is shown below the cell, with its lines. Knows IPython only by what it is
handed.
"""

from __future__ import annotations

import itertools
import linecache
import warnings
from typing import Any

from lem import pipeline
from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.codes import E0620
from lem.diagnostics.text import render_all
from lem.embed import errors, module
from lem.embed.mistakes import LemWarning
from lem.source import SourceFile

_numbers = itertools.count(1)


def load_ipython_extension(shell: Any) -> None:
    """What IPython calls for ``%load_ext lem``."""
    shell.register_magic_function(lambda line, cell: run_cell(shell.user_ns, line, cell), "cell", "lem")


def unload_ipython_extension(shell: Any) -> None:
    """What IPython calls for ``%unload_ext lem``."""
    shell.magics_manager.magics["cell"].pop("lem", None)


def run_cell(names: dict[str, Any], line: str, cell: str) -> None:
    """Define in `names` what a cell defines. Raises :class:`errors.CompileError`."""
    into = line.strip()
    if into and not into.isidentifier():
        label = "`%%lem` takes one name, which the cell's module gets, or none"
        raise errors.CompileError([Diagnostic(E0620, None, label, (), (), ())])
    source = _source(cell)
    diags = Diagnostics()
    program = pipeline.analyse(source, diags)
    if program is None:
        raise errors.CompileError(diags.items)
    if diags.items:
        warnings.warn("\n" + render_all(diags).rstrip("\n"), LemWarning, stacklevel=2)
    made = module.LemModule(into or "__main__")
    defined = module.define(made, program)
    names.update({into: made} if into else {name: getattr(made, name) for name in defined})


def _source(cell: str) -> SourceFile:
    """The cell's text, with a line for the magic's own, and known to tracebacks and debuggers."""
    name = f"<lem cell {next(_numbers)}>"
    text = "\n" + cell
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return SourceFile(name, text)


__all__ = ["load_ipython_extension", "run_cell", "unload_ipython_extension"]
