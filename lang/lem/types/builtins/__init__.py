"""Functions that are always there and cannot be written in lem: one table, read by the checker, hover and the reference."""

from __future__ import annotations

from lem.types.builtins import elementwise, reductions, scans
from lem.types.context import Builtin

TABLE: dict[str, Builtin] = {b.name: b for b in (*elementwise.ENTRIES, *reductions.ENTRIES, *scans.ENTRIES)}
