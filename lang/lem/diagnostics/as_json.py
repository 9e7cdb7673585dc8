"""Diagnostics as plain data for programs: ``--json``, editors, logs.

Takes a :class:`Diagnostic`; gives dictionaries of strings, numbers, lists and None. The same value as ``text.py``,
nothing left out and nothing added. Lines and columns count from 1 and columns count characters, offsets count from 0;
ends are exclusive.
"""

from __future__ import annotations

from lem.diagnostics import Diagnostic, Diagnostics
from lem.source import SourceFile, Span

__all__ = ["Json", "all_to_json", "to_json"]

Json = dict[str, object]


def to_json(diag: Diagnostic) -> Json:
    """One diagnostic: code, headline, severity, label, file, range, also, notes, help.

    `file` and `range` are None when there is no source to point at.
    """
    return {
        "code": diag.code.id,
        "headline": diag.code.headline,
        "severity": diag.severity,
        "label": diag.label,
        "file": None if diag.span is None else diag.span.source.name,
        "range": None if diag.span is None else _range(diag.span),
        "also": [{"file": span.source.name, "range": _range(span), "label": label} for span, label in diag.also],
        "notes": list(diag.notes),
        "help": list(diag.help),
    }


def all_to_json(diags: Diagnostics) -> Json:
    """A whole collection: its diagnostics in order, and how many were counted but not kept."""
    return {"diagnostics": [to_json(diag) for diag in diags.items], "dropped": diags.n_dropped}


def _range(span: Span) -> Json:
    return {"start": _place(span.source, span.start), "end": _place(span.source, span.end)}


def _place(source: SourceFile, offset: int) -> Json:
    line, column = source.place_of(offset)
    return {"line": line, "column": column, "offset": offset}
