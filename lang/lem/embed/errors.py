"""What Python code gets when something is wrong: a small hierarchy of exceptions whose message is the rendered report."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from typing import Any

import lem
import lem_runtime
from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.text import render_all
from lem.embed.mistakes import Error


class Reported(Error):
    """An error with its reports, which its text shows."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        self.code = next((d.code.id for d in self.diagnostics), "")
        shown = Diagnostics()
        shown.items.extend(self.diagnostics)
        super().__init__("\n" + render_all(shown).rstrip("\n"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel from one process to another, such as those of a pool."""
        return type(self), (self.diagnostics,)

    def __repr__(self) -> str:
        first = next(iter(self.diagnostics), None)
        place = f" at {first.span!r}" if first is not None and first.span is not None else ""
        return (
            f"<lem.{type(self).__name__} {self.code}: {first.code.headline}{place}>" if first is not None else "<lem.Error>"
        )

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the report, and the lines of the user's own that led here."""
        frames = [f for f in traceback.extract_tb(self.__traceback__) if not _is_ours(f.filename)]
        led = traceback.format_list(frames[-3:]) if frames else []
        return [*"".join(led).rstrip().splitlines(), f"lem.{type(self).__name__}: {self}"]


def _is_ours(file: str) -> bool:
    """Whether a file is lem's, or IPython's own."""
    return file.startswith(_OURS) or f"{os.sep}IPython{os.sep}" in file


_OURS = tuple(os.path.dirname(os.path.abspath(m.__file__ or "")) + os.sep for m in (lem, lem_runtime))


class CompileError(Reported):
    """A function is no lem: types, shapes, races, names."""


class CallError(Reported):
    """Arguments do not fit the signature of what is called."""


class Fault(Reported):
    """A kernel stopped while it ran.

    kernel: its name. indices: the grid's variables with the values of the element that faulted, the smallest one.
    values: what the check recorded.
    """

    def __init__(
        self, diagnostics: Iterable[Diagnostic], kernel: str, indices: dict[str, int], values: tuple[int | float | bool, ...]
    ) -> None:
        super().__init__(diagnostics)
        self.kernel, self.indices, self.values = kernel, indices, values

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.diagnostics, self.kernel, self.indices, self.values)


for _public in (CompileError, CallError, Fault):
    _public.__module__ = "lem"  # as people write them, and as tracebacks show them
