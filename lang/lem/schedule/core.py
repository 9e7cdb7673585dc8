"""The schedule as a value: everything the compiler decides about *how* one function runs. It never changes the meaning.

Proposed by ``propose``, searched over by the tuner, printed and read by ``text``, checked by ``legality``. A target's
lowering takes it and decides nothing by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lem_runtime.abi.records import dataclass

Setting = int | str | tuple[int, ...]

MAX_LANES = 64  # lanes of one vector value in loop IR, over all its registers


@dataclass(frozen=True, slots=True)
class GridPlan:
    """How one parallel step (the `index`-th Grid of the function, in order) runs.

    axes:     names of the grid's axes, outermost first: for the reader, and to notice a plan made for other code.
    strategy: "spmd" (loops over elements, vectors along one axis) or the name of another strategy of the target.
    settings: what the strategy decides, sorted by name; see the strategy for their meaning. Shared names:
              vector (name of the axis that vectors run along, "" for none), lanes, interleave (vectors in flight),
              chunk (units per piece of work; 0: from the sizes at run time), outer (number of leading axes that make up
              the units). What the source says is kept beside them: tune_AXIS (sizes that it lets a tuner choose among),
              asked (tile sizes by axis), pipeline_AXIS (blocks under way at once).
    """

    index: int
    axes: tuple[str, ...]
    strategy: str
    settings: tuple[tuple[str, Setting], ...] = ()

    def number(self, name: str, default: int = 0) -> int:
        """An integer setting."""
        value = dict(self.settings).get(name, default)
        return value if isinstance(value, int) else default

    def name(self, name: str, default: str = "") -> str:
        """A setting that is a word."""
        value = dict(self.settings).get(name, default)
        return value if isinstance(value, str) else default

    def numbers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A setting that is a list of integers."""
        value = dict(self.settings).get(name, default)
        return value if isinstance(value, tuple) else default

    def with_(self, **settings: Setting) -> GridPlan:
        """The same plan with settings changed or added."""
        return replace(self, settings=_over(dict(self.settings), settings))

    def as_spmd(self, settings: Mapping[str, Setting]) -> GridPlan:
        """The grid run as plain loops over elements, with `settings` over what the plan already says about them."""
        kept = dict(self.settings) if self.strategy == "spmd" else {}
        return replace(self, strategy="spmd", settings=_over(kept, settings))


def _over(kept: dict[str, Setting], settings: Mapping[str, Setting]) -> tuple[tuple[str, Setting], ...]:
    """`settings` over those that are `kept`."""
    if not settings.keys().isdisjoint({"vector", "tile"}):
        kept.pop("joined", None)  # was said of other vectors
    return tuple(sorted({**kept, **settings}.items()))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Plans for all grids of one function on one kind of processor."""

    function: str
    target: str
    grids: tuple[GridPlan, ...]

    def grid(self, index: int) -> GridPlan:
        return next(g for g in self.grids if g.index == index)
