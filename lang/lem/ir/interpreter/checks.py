"""What checked runs look for besides the meaning: reads of elements nobody wrote, and elements that meet in a grid.

Beside each array stand arrays of the same shape: whether an element was written; in a grid, which element (by its
flattened number) wrote it, which one read it and which one updated it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Any

import numpy as np

from lem.ir.core import Array
from lem.ir.interpreter.formats import Data
from lem.ir.interpreter.frame import GridState, Report
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Place

_NOBODY, _SEVERAL = -1, -2
_LIMIT = 100  # reports kept


@dataclass(slots=True)
class Shadows:
    """By identity of the array; `keep` holds the arrays so that identities stay theirs."""

    reports: list[Report]
    written: dict[int, Data] = field(default_factory=dict)
    writer: dict[int, Data] = field(default_factory=dict)
    reader: dict[int, Data] = field(default_factory=dict)
    updater: dict[int, Data] = field(default_factory=dict)
    keep: list[Data] = field(default_factory=list)
    grid: GridState | None = None  # around the access at hand
    loc: Place | None = None  # of the access at hand

    def uninitialised(self, array: Data) -> None:
        self.keep.append(array)
        self.written[id(array)] = np.zeros(array.shape, bool)

    def view(self, view: Data, base: Data, places: tuple[Any, ...]) -> None:
        """`view` is ``base[places]``: what is written there is written in both."""
        if id(base) in self.written:
            self.keep.append(view)
            self.written[id(view)] = self.written[id(base)][places]

    def enter_grid(self, arrays: Iterable[Data]) -> None:
        """A grid that stores to `arrays` or updates them begins: its elements have met nobody yet."""
        held = list(arrays)
        self.writer, self.reader, self.updater = (
            {id(a): np.full(a.shape, _NOBODY, np.int64) for a in held} for _ in range(3)
        )

    def leave_grid(self) -> None:
        self.writer, self.reader, self.updater = {}, {}, {}

    def access(
        self, kernel: str, name: Array, data: Data, at: tuple[Data, ...], who: Data, *, writes: bool, reads: bool,
        grid: GridState | None, loc: Place | None,
    ) -> None:  # fmt: skip
        """Elements `who` of `grid` write or read (or update: neither) the places `at`."""
        self.grid, self.loc = grid, loc
        written = self.written.get(id(data))
        if written is not None:
            missing = ~written[at] & (reads and not writes)
            self._report("uninitialised", kernel, name, data, at, missing, who)
            if writes or not reads:
                written[at] = True
        if name.kind != "local" and id(data) in self.writer:
            self._meet(kernel, name, data, at, who, writes=writes, updates=not reads)

    def _meet(
        self, kernel: str, name: Array, data: Data, at: tuple[Data, ...], who: Data, *, writes: bool, updates: bool
    ) -> None:
        """Updates of one place by many are no race; any other two accesses are, if one of them changes the place."""
        writer, reader, updater = self.writer[id(data)], self.reader[id(data)], self.updater[id(data)]
        others = [writer] + ([reader] if writes or updates else []) + ([] if updates else [updater])
        for other in others:
            before = other[at]
            self._report("race", kernel, name, data, at, (before != _NOBODY) & (before != who), before, who)
        if not writes:
            _note(updater if updates else reader, at, who)
            return
        writer[at] = who
        last = writer[at]
        self._report("race", kernel, name, data, at, last != who, who, last)

    def _report(self, kind: str, kernel: str, name: Array, data: Data, at: tuple[Data, ...], bad: Data, *who: Data) -> None:
        bad = np.broadcast_to(bad, who[-1].shape)
        if not bad.any():
            return
        first = int(np.argmax(bad))
        own = len(name.axes)
        place = tuple(int(np.broadcast_to(i, bad.shape)[first]) for i in at[own:])
        elements = tuple(self.grid.indices(int(w[first])) for w in who if self.grid is not None and w[first] >= 0)
        report = Report(kind, kernel, name.name, place, elements, self.loc)
        if len(self.reports) < _LIMIT and report not in self.reports:
            self.reports.append(report)


def _note(shadow: Data, at: tuple[Data, ...], who: Data) -> None:
    """Elements `who` were at the places `at`; a place where several were says just that."""
    before = shadow[at]
    shadow[at] = np.where((before == _NOBODY) | (before == who), who, _SEVERAL)
    crowd = (shadow[at] != who) & (shadow[at] != _SEVERAL)
    shadow[tuple(i[crowd] for i in at)] = _SEVERAL
