"""Functions that are always there and cannot be written in lem: one table, read by the checker, hover and the reference."""

from __future__ import annotations

from lem.types.builtins import elementwise, randoms, reductions, scans
from lem.types.context import Builtin

ENTRIES = (*elementwise.ENTRIES, *randoms.ENTRIES, *reductions.ENTRIES, *scans.ENTRIES)
TABLE: dict[str, Builtin] = {b.name: b for b in ENTRIES}
