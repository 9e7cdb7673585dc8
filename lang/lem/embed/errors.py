"""What Python code gets when something is wrong: a small hierarchy of exceptions whose message is the rendered report."""

from __future__ import annotations

from collections.abc import Iterable

from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.text import render_all


class Error(Exception):
    """Base of all. code: ``"E0312"`` of the first report."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        self.code = next((d.code.id for d in self.diagnostics), "")
        shown = Diagnostics()
        shown.items.extend(self.diagnostics)
        super().__init__("\n" + render_all(shown).rstrip("\n"))


class CompileError(Error):
    """A function is no lem: types, shapes, races, names."""


class CallError(Error):
    """Arguments do not fit the signature of what is called."""


class Fault(Error):
    """A kernel stopped while it ran.

    kernel: its name. indices: the grid's variables with the values of the element that faulted, the smallest one.
    values: what the check recorded.
    """

    def __init__(
        self, diagnostics: Iterable[Diagnostic], kernel: str, indices: dict[str, int], values: tuple[int | float | bool, ...]
    ) -> None:
        super().__init__(diagnostics)
        self.kernel, self.indices, self.values = kernel, indices, values
