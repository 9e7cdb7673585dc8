"""Which schedules may run: checks a plan against the function it is for. Every complaint says why.

A schedule never changes the meaning, so legality is about what code can be made, not about results.
"""

from __future__ import annotations

from collections.abc import Iterator

from lem import ir
from lem.ir import ops
from lem.ir.faults import run_one_by_one
from lem.schedule.core import MAX_LANES, GridPlan, Schedule
from lem.schedule.joined import can_join
from lem.schedule.products import find_form
from lem.schedule.tilings import find_tiling

_SETTINGS = {
    "spmd": {"vector", "lanes", "rest", "cost", "tile", "joined"},
    "contraction": {"mb", "nb", "mc"},
    "tiled": {"rows"},
}
_MAX_BLOCK = 1 << 16


def check(schedule: Schedule, fn: ir.Function, strategies: frozenset[str] = frozenset({"spmd"})) -> list[str]:
    """Why `schedule` cannot be used for `fn`; empty when it can."""
    grids = [o for o in ir.walk_ops(fn.body) if isinstance(o, ops.Grid)]
    out = []
    if schedule.function != fn.name:
        out.append(f"the schedule is for `{schedule.function}`, not for `{fn.name}`")
    if [g.index for g in schedule.grids] != list(range(len(grids))):
        out.append(f"`{fn.name}` has {len(grids)} grids, the schedule plans {len(schedule.grids)}")
        return out
    for grid, plan in zip(grids, schedule.grids, strict=True):
        out.extend(f"grid {plan.index}: {why}" for why in _check_grid(fn, grid, plan, strategies))
    return out


def _check_grid(fn: ir.Function, grid: ops.Grid, plan: GridPlan, strategies: frozenset[str]) -> Iterator[str]:
    names = tuple(a.name for a in grid.axes)
    if plan.axes != names:
        yield f"its axes are ({', '.join(names)}), the plan is for ({', '.join(plan.axes)})"
    if plan.strategy not in strategies:
        yield f"no strategy is called `{plan.strategy}`; there are {', '.join(sorted(strategies))}"
        return
    known = _SETTINGS.get(plan.strategy)
    settings = [(name, value) for name, value in plan.settings if not _is_hint(name)]
    for name, _ in settings:
        if known is not None and name not in known:
            yield f"`{plan.strategy}` has no setting `{name}`; it has {', '.join(sorted(known))}"
    if plan.strategy == "spmd":
        yield from _check_spmd(grid, plan)
    if plan.strategy == "contraction":
        if find_form(fn, grid) is None:
            yield "it is not a matrix product, so `contraction` cannot run it"
    if plan.strategy == "tiled" and find_tiling(fn, grid) is None:
        yield "it holds no matrix product that `tiled` can run"
    if plan.strategy in ("contraction", "tiled"):
        for name, value in settings:
            if not isinstance(value, int) or not 0 < value <= _MAX_BLOCK:
                yield f"`{name}={value}`: must be a number from 1 to {_MAX_BLOCK}"


def _is_hint(name: str) -> bool:
    """Whether a setting only keeps what the source says: for a tuner, for other targets, for a reader."""
    return name == "asked" or name.startswith(("tune_", "pipeline_"))


def _check_spmd(grid: ops.Grid, plan: GridPlan) -> Iterator[str]:
    vector = plan.name("vector")
    names = [a.name for a in grid.axes]
    if vector and vector not in names:
        yield f"`vector={vector}` is not an axis of this grid"
    for name in ("lanes", "rest"):
        n = plan.number(name, 8)
        if n < 2 or n > MAX_LANES or n & (n - 1):
            yield f"`{name}={n}`: must be a power of two from 2 to {MAX_LANES}"
    if plan.number("rest", 2) > plan.number("lanes", MAX_LANES):
        yield "`rest` must not be larger than `lanes`"
    if any(n < 1 for n in plan.numbers("tile")) or len(plan.numbers("tile")) not in (0, 2):
        yield "`tile` is two positive numbers: rows and columns"
    joined = plan.name("joined")
    if joined and (names[-2:] != [joined, vector] or plan.numbers("tile") or not can_join(grid)):
        yield f"`joined={joined}` is not an axis that runs as one line with the vector axis behind it"
    can_fault = any(isinstance(o, ops.Assert) for o in ir.walk_ops(grid.body))
    if vector and run_one_by_one(grid.body):
        yield "elements change what later checks read, or print, so they must run one by one: the first fault is reported"
    if can_fault and (plan.numbers("tile") or vector and vector != names[-1]):
        yield "its elements can fault, so they must run in order, vectors along the last axis: the first fault is reported"


__all__ = ["check"]
