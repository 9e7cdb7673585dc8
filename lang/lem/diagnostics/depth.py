"""The net below the stages that walk trees by recursion.

What one statement nests is bounded when it is parsed (``syntax/depth.py``). What calls add to it (fns inlined in fns,
kernels, constants that use constants) is bounded here: work that runs out of Python's stack is reported at its item.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0108
from lem.source import Span

_HELP = "let fewer definitions build on each other, or split the longest one"


@contextmanager
def bounded(diags: Diagnostics, name: str, span: Span) -> Iterator[None]:
    """Report E0108 at `span`, the definition of `name`, when what is done inside nests too deeply."""
    try:
        yield
    except RecursionError:
        diags.error(E0108, span, f"`{name}` and what it uses nest more deeply than lem can follow", help=_HELP)
