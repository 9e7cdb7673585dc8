"""Diagnostics as values: what is wrong, where, the other half of the conflict, and what the reader can do.

Stages report into a :class:`Diagnostics`; ``text.py`` and ``as_json.py`` turn the same value into text or JSON.
Headlines belong to the code (``codes.py``); the label says why *here*.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from lem.diagnostics.codes import CODES, Code
from lem.source import Span
from lem_runtime.abi.records import dataclass

__all__ = ["CODES", "Code", "Diagnostic", "Diagnostics", "InternalError", "Refused"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One report. `span` is None only when there is no source to point at (a missing file, a bad option)."""

    code: Code
    span: Span | None
    label: str
    also: tuple[tuple[Span, str], ...] = ()
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    severity: str = "error"  # "error" | "warning"


@dataclass(slots=True)
class Diagnostics:
    """Collects reports in the order they are found; at most `limit` errors are kept, the rest are counted."""

    limit: int = 50
    items: list[Diagnostic] = field(default_factory=list)
    n_dropped: int = 0
    n_errors: int = 0

    def error(
        self,
        code: Code,
        span: Span | None,
        label: str,
        *,
        also: Iterable[tuple[Span, str]] = (),
        note: str | Iterable[str] = (),
        help: str | Iterable[str] = (),
    ) -> None:
        self.n_errors += 1
        self._add(code, span, label, also, note, help, "error")

    def warning(
        self,
        code: Code,
        span: Span | None,
        label: str,
        *,
        also: Iterable[tuple[Span, str]] = (),
        note: str | Iterable[str] = (),
        help: str | Iterable[str] = (),
    ) -> None:
        self._add(code, span, label, also, note, help, "warning")

    def _add(
        self,
        code: Code,
        span: Span | None,
        label: str,
        also: Iterable[tuple[Span, str]],
        note: str | Iterable[str],
        help: str | Iterable[str],
        severity: str,
    ) -> None:
        if len(self.items) >= self.limit:
            self.n_dropped += 1
            return
        notes = (note,) if isinstance(note, str) else tuple(note)
        helps = (help,) if isinstance(help, str) else tuple(help)
        item = Diagnostic(code, span, label, tuple(also), notes, helps, severity)
        if item not in self.items:
            self.items.append(item)

    @property
    def has_errors(self) -> bool:
        return self.n_errors > 0


class Refused(Exception):
    """A target cannot run a program that is right. Carries the report."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.label)
        self.diagnostic = diagnostic


class InternalError(Exception):
    """The compiler is wrong, not the program. Names the stage and keeps what it was working on."""

    def __init__(self, stage: str, message: str, ir: str = "") -> None:
        super().__init__(f"internal error in {stage}: {message}")
        self.stage = stage
        self.message = message
        self.ir = ir
