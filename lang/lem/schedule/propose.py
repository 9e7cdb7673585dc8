"""Proposes a schedule: a cost model over accesses, no search.

Takes a function, facts and a machine; gives a :class:`Schedule`. A target adds its own strategies as functions that look
at a grid and answer with settings or None; what none of them wants runs as "spmd". Vectors go along the axis that most
accesses are contiguous in, weighted by how often they run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lem import ir
from lem.ir import ops
from lem.ir.core import Affine, Axis, Value
from lem.ir.faults import run_one_by_one
from lem.ir.updates import shared_updates
from lem.schedule.core import MAX_LANES, GridPlan, Schedule, Setting
from lem.schedule.joined import can_join, joined_places
from lem.schedule.rows import reads_own_rows
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.source import Facts

Special = Callable[[ir.Function, ops.Grid, Facts, Machine], tuple[str, Mapping[str, Setting]] | None]

_INNER_LOOP = 8  # an access inside a reduction counts so much more than one outside
_SHORT = 8  # literal axes shorter than this are no place for vectors
_CONTIGUOUS, _STRIDED, _GATHERED, _WRONG_AXIS = 4, -2, -2, -4
_PARTIALS = -8  # a reduction in the order of lanes whose 32 partial results lie in memory
_CROSSING_TILE = (32, 64)  # rows and columns whose cache lines stay in L1 when arrays are read across


def propose(fn: ir.Function, facts: Facts, machine: Machine, target: str, special: Sequence[Special] = ()) -> Schedule:
    """How to run every grid of `fn`."""
    grids = [o for o in ir.walk_ops(fn.body) if isinstance(o, ops.Grid)]
    literals = {o.result: o.value for o in ir.walk_ops(fn.body) if isinstance(o, ops.Const)}
    indices = {o.result: o.axis for o in ir.walk_ops(fn.body) if isinstance(o, ops.Range)}
    defs = {r: o for o in ir.walk_ops(fn.body) for r in o.results}
    plans = []
    for n, grid in enumerate(grids):
        names = tuple(a.name for a in grid.axes)
        plan = None
        for look in special:
            found = look(fn, grid, facts, machine)
            if found is not None:
                plan = GridPlan(n, names, found[0], tuple(sorted(found[1].items())))
                break
        plan = plan or _Spmd(grid, indices, defs, literals, _strided(fn, facts), machine).plan(n)
        plans.append(plan.with_(**tunable(grid), **hints(grid)))
    return Schedule(fn.name, target, tuple(plans))


def tunable(grid: ops.Grid) -> dict[str, Setting]:
    """What the source leaves to a tuner: `tune_AXIS` with the sizes to choose among."""
    own = zip(grid.axes, grid.choices, strict=False)
    inner = [(o.axis, o.choices) for o in ir.walk_ops(grid.body) if isinstance(o, ops.Tiles)]
    return {f"tune_{axis.name}": sizes for axis, sizes in (*own, *inner) if len(sizes) > 1}


def hints(grid: ops.Grid) -> dict[str, Setting]:
    """What the source says of how to cut and to overlap: `asked`, the tile sizes by axis, and `pipeline_AXIS`."""
    out: dict[str, Setting] = {}
    if grid.tile and None not in grid.tile:
        out["asked"] = tuple(n for n in grid.tile if n is not None)
    loops = [o for o in ir.walk_ops(grid.body) if isinstance(o, ops.Tiles) and o.pipeline > 1]
    return out | {f"pipeline_{o.axis.name}": o.pipeline for o in loops}


def asked(grid: ops.Grid, axis: Axis) -> int | None:
    """The tile size that the source gives for an axis."""
    return dict(zip(grid.axes, grid.tile, strict=False)).get(axis)


def _strided(fn: ir.Function, facts: Facts) -> frozenset[ir.Array]:
    """Arrays whose inner axis may not be contiguous."""
    names = [p.name for p in fn.signature.params if p.is_array]
    layouts = facts.layouts or ("any",) * len(names)
    odd = {n for n, layout in zip(names, layouts, strict=True) if layout != "inner"}
    return frozenset(a for a in fn.arrays if a.name in odd)


@dataclass(slots=True)
class _Access:
    """subs of a load, store or update; weight: how often it runs, relative to the element."""

    array: ir.Array
    subs: tuple[Affine, ...]
    weight: int


class _Spmd:
    def __init__(
        self, grid: ops.Grid, indices: Mapping[Value, Axis], defs: Mapping[Value, ir.Op],
        literals: Mapping[Value, int | float | bool], strided: frozenset[ir.Array], machine: Machine,
    ) -> None:  # fmt: skip
        self.grid, self.defs, self.literals, self.strided, self.machine = grid, defs, literals, strided, machine
        self.indices = {**indices, **dict(zip(grid.body.args, grid.axes, strict=True))}
        self.all = list(ir.walk_ops(grid.body))
        for o in self.all:
            if isinstance(o, ops.Tiles):
                self.indices[o.body.args[0]] = o.axis
        self.tiny = {a for a in set(self.indices.values()) if self._literal_length(a) <= 32}
        self.joins = can_join(grid) and not any(o.array in strided for o in joined_places(grid))

    def plan(self, n: int) -> GridPlan:
        vector = self.vector()
        settings: dict[str, Setting] = {"vector": vector.name if vector else "", "cost": 0}
        if vector is not None:
            base = self.machine.vector_bits // self.widest()
            lanes = min(base * self.registers(), MAX_LANES)
            settings |= {"lanes": lanes, "rest": min(lanes, base)}
            if self.joins and vector is self.grid.axes[-1]:
                settings["joined"] = self.grid.axes[-2].name
            tile = self.tile(vector)
            if tile is not None:
                settings["tile"] = tile
        names = tuple(a.name for a in self.grid.axes)
        return GridPlan(n, names, "spmd", tuple(sorted(settings.items())))

    def tile(self, vector: Axis) -> tuple[int, int] | None:
        """(rows, columns) that are done together: what the source asks for, else where arrays are read across."""
        columns = asked(self.grid, vector)
        if columns is not None and not any(isinstance(o, ops.Assert) for o in self.all):
            rows = [a for a in self.grid.axes if a is not vector]
            return (asked(self.grid, rows[-1]) if rows else None) or 1, columns
        return _CROSSING_TILE if self.crosses(vector) else None

    def crosses(self, vector: Axis) -> bool:
        """Does some array run along the rows where others run along the columns (a transpose)?"""
        rows = [a for a in self.grid.axes if a is not vector]
        if not rows or any(isinstance(o, ops.Assert) for o in self.all):
            return False
        return any(self.along(a, vector) == _WRONG_AXIS and self.along(a, rows[-1]) == _CONTIGUOUS for a in self.accesses())

    # -- lanes
    def widest(self) -> int:
        """Bits of the widest type that arithmetic is done in; 64-bit integers are mostly indices and counters."""
        floats = [r.dtype.bits for o in self.all for r in o.results if r.dtype.is_float]
        if floats:
            return max(32, *floats)
        kinds = [o.result.dtype.bits for o in self.all if isinstance(o, ops.Load)]
        kinds += [o.value.dtype.bits for o in self.all if isinstance(o, ops.Store)]
        return max(32, *kinds) if kinds else 64

    def registers(self) -> int:
        """Registers per vector: enough independent work to hide latency, few enough to fit."""
        cost = len(self.all)
        if any(isinstance(o, ops.While) for o in self.all):
            return 2
        if any(isinstance(o, ops.If | ops.For | ops.Tiles | ops.Alloc) for o in self.all):
            return 1
        if any(self.is_chain(o) for o in self.all):
            return 8 if cost <= 16 else 4
        return 4 if cost <= 10 else 2 if cost <= 60 else 1

    def is_chain(self, o: ir.Op) -> bool:
        return isinstance(o, ops.Reduce | ops.Contract | ops.Scan) and o.axis not in self.tiny

    # -- the vector axis
    def vector(self) -> Axis | None:
        """The best axis; None when vectors are better used inside the elements."""
        choices = list(self.grid.axes)
        shared = shared_updates(self.grid)
        if any(not self._by_lanes(a) for a in shared) or run_one_by_one(self.grid.body):
            return None
        if shared or any(isinstance(o, ops.Assert) for o in self.all):
            choices = choices[-1:]
        if shared and self._literal_length(choices[0]) < _SHORT:
            return None  # lanes that update one after the other gain nothing by standing side by side
        if self.joins:  # the last two are one line, which goes by the name of the last
            del choices[-2]
        long = [a for a in choices if self._literal_length(a) >= _SHORT or (self.joins and a is choices[-1])]
        choices = long or choices
        best = max(reversed(choices), key=lambda a: (self.flows(a), self.score(a)))
        if self.flows(best):
            return best
        inner = self.inner_score()
        if reads_own_rows(self.grid, best, self.defs) or (inner is not None and inner > self.score(best)):
            return None
        return best

    def _by_lanes(self, array: ir.Array) -> bool:
        """May all lanes of a vector update the array before the next op does? Sums of floats keep the elements' order."""
        updates = [o for o in self.all if isinstance(o, ops.Update) and o.array is array]
        if updates[0].kind != "add" or not array.dtype.is_float:
            return True
        loops = [o for o in self.all if isinstance(o, ops.For | ops.While | ops.Tiles)]
        again = any(o is u for loop in loops for b in loop.blocks for o in ir.walk_ops(b) for u in updates)
        places = {a for u in updates for a in (*u.value.axes, *(x for s in u.subs for x in s.axes))}
        return len(updates) == 1 and not again and places <= set(self.grid.axes)

    def _literal_length(self, axis: Axis) -> float:
        if axis in self.grid.axes:
            n = self.grid.axes.index(axis)
            return self._length(self.grid.lo[n], self.grid.hi[n])
        for o in self.defs.values():
            if isinstance(o, ops.Range) and o.axis is axis:
                return self._length(o.lo, o.hi)
        return float("inf")

    def _length(self, lo: Value, hi: Value) -> float:
        if lo in self.literals and hi in self.literals:
            return float(self.literals[hi]) - float(self.literals[lo])
        return float("inf")

    def accesses(self) -> list[_Access]:
        out = []
        for o in self.all:
            if isinstance(o, ops.Load | ops.Store | ops.Update) and o.array.kind != "local":
                axes = frozenset().union(*(s.axes for s in o.subs)) if o.subs else frozenset()
                long = [a for a in axes if a not in self.grid.axes and a not in self.tiny]
                out.append(_Access(o.array, o.subs, _INNER_LOOP if long else 1))
        return out

    def score(self, axis: Axis) -> int:
        """How well vectors along a grid axis read and write."""
        total = sum(a.weight * self.along(a, axis) for a in self.accesses())
        for o in self.all:
            if isinstance(o, ops.Reduce) and o.order is ops.Order.LANES and not o.acc.exact:
                if o.axis not in self.tiny and axis in o.result.axes:
                    total += _PARTIALS
        return total

    def flows(self, axis: Axis) -> bool:
        """Does everything that elements along `axis` reduce come in whole vectors, or is the same for all of them? Then
        reductions in the order of lanes lose little by it, and nothing where they are short (the window of a filter) or
        where their order is free."""
        kinds = [self.along(a, axis) for a in self.accesses()]
        return (
            bool(kinds)
            and min(kinds) >= 0
            and max(kinds) == _CONTIGUOUS
            and any(isinstance(o, ops.Reduce) and o.order is not ops.Order.CHAIN for o in self.all)
        )

    def inner_score(self) -> int | None:
        """The same for vectors along the axes inside of elements; None when there are none."""
        inner = [a for a in set(self.indices.values()) if a not in self.grid.axes and a not in self.tiny]
        closing = [o for o in self.all if isinstance(o, ops.Reduce) and o.order is not ops.Order.CHAIN]
        used = {o.axis for o in closing}
        used |= {a for o in self.all if isinstance(o, ops.Store) for s in o.subs for a in s.axes}
        inner = [a for a in inner if a in used]
        if not inner:
            return None
        total = 0
        for a in self.accesses():
            # One axis wants this access, another does not: it is the one that has vectors. (A set has no order to tell.)
            total += a.weight * max((self.along(a, axis) for axis in inner), key=lambda n: (abs(n), n), default=0)
        return total

    def along(self, a: _Access, axis: Axis) -> int:
        if not any(axis in s.axes for s in a.subs):
            return 0
        inner = a.array.inner_axis
        if any(axis in s.axes for n, s in enumerate(a.subs) if n != inner):
            return _WRONG_AXIS
        terms = [(c, v) for c, v in a.subs[inner].terms if axis in v.axes]
        if any(self.indices.get(v) is not axis for _, v in terms):
            return _GATHERED
        return _CONTIGUOUS if terms[0][0] == 1 and a.array not in self.strided else _STRIDED
