"""What lem warns of in Python: by Python's own warnings, at the line that they are about."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

from lem.diagnostics import Diagnostic
from lem.diagnostics.text import render
from lem.embed.mistakes import LemWarning
from lem_runtime.abi.records import dataclass

_registries: dict[str, dict[Any, Any]] = {}  # by file: what Python has shown of it


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """A ``breakpoint()`` in the body of a function, and where. module: the name that filters of warnings know."""

    function: str
    file: str
    line: int
    module: str


def passed_by(found: Iterable[Breakpoint]) -> None:
    """Warn of each that compiled code passes by. Raises LemWarning where the filters say so."""
    for b in found:
        text = (
            f"compiled code passes by the `breakpoint()` in `{b.function}`; it stops in calls under `with lem.interpret():`"
        )
        _warn(text, b.file, b.line, b.module)


def in_code(code: CodeType, module: str) -> Iterator[Breakpoint]:
    """Those that the code of a Python function has."""
    if "breakpoint" not in code.co_names:
        return
    import dis

    for i in dis.get_instructions(code):
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME") and i.argval == "breakpoint":
            line = (i.positions.lineno if i.positions is not None else None) or code.co_firstlineno
            yield Breakpoint(code.co_name, code.co_filename, line, module)


def reported(items: Iterable[Diagnostic], module: str) -> None:
    """Warn of what the compiler found in a program that is correct."""
    for d in items:
        file = d.span.source.name if d.span is not None else ""
        line = d.span.source.line_of(d.span.start) if d.span is not None else 0
        _warn("\n" + render(d).rstrip("\n"), file, line, module)


def _warn(text: str, file: str, line: int, module: str) -> None:
    registry = _registries.setdefault(file, {})
    warnings.warn_explicit(text, LemWarning, file, line, module, registry)


__all__ = ["Breakpoint", "in_code", "passed_by", "reported"]
