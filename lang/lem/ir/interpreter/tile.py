"""A value while it is interpreted: an array whose sides are axes. Operands meet by axis, never by position.

Sides are always in one order (`Space.rank`: the grid's axes first, then the others as they were opened), so aligning
two tiles only inserts sides of length 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from lem.ir.core import Axis
from lem.ir.interpreter.formats import Data
from lem_runtime.abi.records import dataclass

LIMIT_BYTES = 64 * 1024 * 1024  # no intermediate is larger, where a grid can be cut further


class TooLarge(Exception):
    """An intermediate would pass the limit: the grid runs fewer elements at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """`data` has one side per axis, in the order of `axes`."""

    axes: tuple[Axis, ...]
    data: Data

    def spread(self, axes: Sequence[Axis]) -> Data:
        """`data` with a side of length 1 for each of `axes` that the tile lacks (`axes`: a superset, in order)."""
        if len(axes) == len(self.axes):
            return self.data
        sizes = dict(zip(self.axes, self.data.shape, strict=True))
        return self.data.reshape([sizes.get(a, 1) for a in axes])


def scalar(value: Any) -> Tile:
    return Tile((), np.asarray(value))


@dataclass(slots=True)
class OpenAxis:
    """An open axis: its length, and which positions take part (None: all), with the axes this depends on."""

    n: int
    mask: Tile | None = None


@dataclass(slots=True)
class Space:
    """The open axes."""

    rank: dict[Axis, tuple[int, int]] = field(default_factory=dict)
    domains: dict[Axis, OpenAxis] = field(default_factory=dict)
    can_split: bool = False  # a grid runs more than one row of elements

    def open(self, axis: Axis, domain: OpenAxis) -> None:
        self.rank.setdefault(axis, (0 if axis.kind == "grid" else 1, len(self.rank)))
        self.domains[axis] = domain

    def sort(self, axes: Iterable[Axis]) -> tuple[Axis, ...]:
        return tuple(sorted(axes, key=self.rank.__getitem__))

    def align(self, *tiles: Tile) -> tuple[tuple[Axis, ...], list[Data]]:
        """The union of the axes, and each tile's data so that the arrays broadcast together."""
        first = tiles[0].axes
        if all(t.axes == first for t in tiles):
            return first, [t.data for t in tiles]
        axes = self.sort({a for t in tiles for a in t.axes})
        return axes, [t.spread(axes) for t in tiles]

    def lengths(self, axes: Sequence[Axis]) -> tuple[int, ...]:
        return tuple(self.domains[a].n for a in axes)

    def fits(self, n_items: float, item_bytes: int = 8) -> None:
        """Raise TooLarge where an array of this size can be avoided."""
        if self.can_split and n_items * item_bytes > LIMIT_BYTES:
            raise TooLarge

    def check_axes(self, axes: Sequence[Axis]) -> None:
        n = 1.0
        for a in axes:
            n *= self.domains[a].n
        self.fits(n)
