"""Do two elements of one grid meet in an array? (LANGUAGE 12, 14)

Takes the accesses in a grid's body with the facts at each; gives the conflicts that cannot be excluded, and whether the
writes of a function cover an array. Undecided counts as a conflict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lem.source import Span
from lem.types.linear import Lin, Sym, Symbols
from lem.types.prove import Context


class Whole:
    """A subscript that takes the whole axis (``:``)."""


WHOLE = Whole()


@dataclass(frozen=True, slots=True)
class UniqueOf:
    """``unique(idx)[subs]``: equal only where all of `subs` are. `array` identifies `idx`."""

    array: object
    subs: tuple[Lin, ...]


SubForm = Lin | Whole | UniqueOf | None  # None: anything (a gather)


@dataclass(frozen=True, slots=True, eq=False)
class Access:
    """One place in a grid's body that reads, writes or updates an array.

    array: identifies the array (compared with ``is``); `name` is for messages.
    kind:  "write", "read" or "update" (of a `reduce` array; updates never conflict with each other).
    ctx:   facts where it stands: domains of the grid's and all inner variables, conditions around it.
    """

    array: object
    name: str
    kind: str
    subs: tuple[SubForm, ...]
    ctx: Context
    span: Span


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two different elements meet. kind: "write-write" or "write-read" (then `first` is the write).

    example: "elements `i = 0` and `i = 1` both write `c[0]`", or None when undecided.
    """

    kind: str
    first: Access
    second: Access
    example: str | None = None


def find_conflicts(
    symbols: Symbols, outer: Context, grid: Sequence[Sym], accesses: Sequence[Access]
) -> list[Conflict]:
    """Conflicts between different elements of the grid over `grid`, at most one per array, certain ones first.

    `outer`: the context of the grid statement, without its variables. Symbols made before the grid's own have the same
    value in all elements; all later ones (comprehension variables, array elements) are each element's own.
    """
    raise NotImplementedError


def covers_whole_array(
    symbols: Symbols, outer: Context, shape: Sequence[Lin | None], writes: Sequence[Access]
) -> bool:
    """True when `writes` (of one or several grids, or sequential code; all to one array) together reach every element
    of an array of this shape. `outer`: context at the start of the function: facts about sizes only."""
    raise NotImplementedError
