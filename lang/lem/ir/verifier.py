"""Is this tile IR well formed? Takes a function or module, gives a list of complaints; run after every stage.

An op's own rules stand in its ``verify``; here is what needs the surroundings: names in scope, axes open, grids only in
sequential code, arrays and sites known, effects kept.

Rules about axes: Range opens its axis from there to the end of its block, Grid and Tiles in their bodies. A value is
used only where all its axes are open, so no axis escapes its scope. Of axes opened outside, a grid's body sees whole
ones only. What is reduced or scanned over a ragged axis has the axes that the axis' bounds have, else its result could
not differ by element. A local array has the axes of the grid it is made in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from lem.diagnostics import InternalError
from lem.ir import ops
from lem.ir.core import Affine, Array, Axis, Block, Function, Module, Op, Value, op_fields, union_axes
from lem.ir.printer import print_function, value_names
from lem_runtime.abi import layout
from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.records import dataclass


def verify(fn: Function, module: Module | None = None) -> list[str]:
    """What is wrong with `fn`; calls are checked when its module is given."""
    v = _Verifier(fn, module)
    if fn.body.args or fn.body.yields:
        v.say("the body of a function has no arguments and yields nothing")
    for a in fn.arrays:
        if a.kind != "param":
            v.say(f"{a} is among the parameters, but of kind {a.kind}")
    v.block(fn.body)
    return _as_printed(fn, v.found) if v.found else []


def _as_printed(fn: Function, found: list[str]) -> list[str]:
    """Complaints that name values as the text of the function does (ops know only their numbers)."""
    names = {repr(v): name for v, name in value_names(fn).items() if not v.name}
    return [re.sub(r"%\d+\b", lambda m: names.get(m.group(), m.group()), text) for text in found]


def verify_module(m: Module) -> list[str]:
    return [f"{name}: {text}" for name, fn in m.functions.items() for text in verify(fn, m)]


def check(fn: Function, stage: str, module: Module | None = None) -> None:
    """Raise InternalError, naming `stage` as the culprit, when `fn` is not well formed."""
    found = verify(fn, module)
    if found:
        raise InternalError(stage, f"{fn.name}: " + "; ".join(found[:5]), print_function(fn))


@dataclass(slots=True)
class _Verifier:
    fn: Function
    module: Module | None
    found: list[str] = field(default_factory=list)
    visible: set[Value] = field(default_factory=set)
    defined: set[Value] = field(default_factory=set)
    open: dict[Axis, frozenset[Axis]] = field(default_factory=dict)  # axis -> axes of its bounds
    arrays: set[Array] = field(default_factory=set)
    grid: frozenset[Axis] | None = None  # axes of the grid we are in
    divergent: bool = False  # under a condition or bound that has axes
    at: Op | None = None  # what is being checked

    def __post_init__(self) -> None:
        self.arrays = set(self.fn.arrays)

    def say(self, text: str) -> None:
        where = "" if self.at is None else self.at.opname + "".join(f" {r}" for r in self.at.results[:1])
        self.found.append(f"{where}: {text}" if where else text)

    # --- blocks and scopes

    def block(self, b: Block) -> None:
        visible, open_axes, arrays = set(self.visible), dict(self.open), set(self.arrays)
        for a in b.args:
            self._define(a)
        for o in b.ops:
            self._op(o)
        for v in b.yields:
            self._use(v, "yield")
        self.visible, self.open, self.arrays = visible, open_axes, arrays

    @contextmanager
    def inside(self, opens: Iterable[Axis] = (), bounds: Iterable[Value] = (), cond: bool = False) -> Iterator[None]:
        """Code nested in an op that opens axes, with bounds or a condition that may have axes."""
        saved, divergent = dict(self.open), self.divergent
        for axis in opens:
            self._open(axis, union_axes(bounds))
        self.divergent = divergent or cond
        yield
        self.open, self.divergent = saved, divergent

    def _define(self, v: Value) -> None:
        if v in self.defined:
            self.say(f"{v} is defined twice")
        self.defined.add(v)
        self.visible.add(v)
        for axis in v.axes:
            if axis not in self.open:
                self.say(f"{v} has axis {axis.name}, which is not open here")

    def _use(self, v: Value, what: str) -> None:
        if v not in self.visible:
            self.say(f"{what} {v} is not defined here")
        elif not v.axes <= self.open.keys():
            names = ", ".join(a.name for a in v.axes if a not in self.open)
            self.say(f"{what} {v} has axes that are not open here: {names}")

    def _open(self, axis: Axis, ragged: frozenset[Axis]) -> None:
        if axis in self.open and (axis.kind != "whole" or self.open[axis] != ragged):
            self.say(f"axis {axis.name} is opened again while it is open")
        if axis in ragged:
            self.say(f"axis {axis.name} is bounded by itself")
        self.open[axis] = ragged

    # --- ops

    def _op(self, o: Op) -> None:
        outer, self.at = self.at, o
        for v in o.operands:
            self._use(v, "operand")
        if isinstance(o, _ON_ARRAYS):
            if isinstance(o, ops.Alloc):
                self._alloc(o)
            elif isinstance(o, ops.View):
                self._view(o)
            elif isinstance(o, ops.Name):
                self._name(o)
            for name in op_fields(type(o)):
                self._attr(getattr(o, name))
        complaints = list(o.verify())
        for text in complaints:
            self.say(text)
        checker = _CHECKS.get(type(o))
        if checker is not None:
            checker(self, o)
        elif isinstance(o, ops.Range):
            self._range(o)
        elif o.block_names:
            self._nested(o)
        if not complaints:
            self._results(o)
        for r in o.results:
            self._define(r)
        self.at = outer

    def _results(self, o: Op) -> None:
        wanted, got = o.result_types(), tuple(r.type for r in o.results)
        if wanted != got:
            self.say(f"results are {_types(got)}, but {_types(wanted)} follows from the operands")

    def _attr(self, v: object) -> None:
        if isinstance(v, Array):
            if v not in self.arrays:
                self.say(f"array {v} is not known here")
        elif isinstance(v, Affine):
            for value in v.values:
                self._typed(value, I64, "subscript")
        elif isinstance(v, tuple):
            for item in v:
                self._attr(item)

    def _typed(self, v: Value, dtype: DType, what: str) -> None:
        if v.dtype != dtype:
            self.say(f"{what} {v} is {v.dtype}, not {dtype}")

    def _flat(self, v: Value, what: str) -> None:
        if v.axes:
            self.say(f"{what} {v} has axes: {v.type}")

    def _alloc(self, o: ops.Alloc) -> None:
        a = o.array
        if a in self.arrays:
            self.say(f"array {a} is made twice")
        self.arrays.add(a)
        if a.kind != ("temp" if self.grid is None else "local"):
            self.say(f"{a} is a {a.kind}, made {'outside' if self.grid is None else 'inside'} a grid")
        if a.axes != (self.grid or frozenset()):
            self.say(f"{a} has element axes {_names(a.axes)}, the grid has {_names(self.grid or ())}")
        if len(o.sizes) != a.rank:
            self.say(f"{a} has {a.rank} axes, {len(o.sizes)} sizes")
        for v in o.sizes:
            self._typed(v, I64, "size")
            self._flat(v, "size")
        if o.fill is not None:
            self._typed(o.fill, a.dtype, "fill")
            if not o.fill.axes <= a.axes:
                self.say(f"fill {o.fill} has axes that {a} does not have")

    def _name(self, o: ops.Name) -> None:
        if self.grid is not None:
            self.say("names belong to sequential code")
        if o.array in self.arrays or o.array.kind != "name":
            self.say(f"{o.array} is a {o.array.kind}, or declared twice")
        self.arrays.add(o.array)

    def _view(self, o: ops.View) -> None:
        if self.grid is not None:
            self.say("views are made in sequential code")
        if o.array in self.arrays or o.array.kind != "view":
            self.say(f"{o.array} is a {o.array.kind}, or made twice")
        self.arrays.add(o.array)
        for v in (*o.starts, *(s for s in o.sizes if s is not None)):
            self._typed(v, I64, "place")
            self._flat(v, "place")

    def _range(self, o: ops.Range) -> None:
        for v in (o.lo, o.hi):
            self._typed(v, I64, "bound")
        if o.step <= 0:
            self.say(f"step is {o.step}")
        if o.axis.kind not in ("range", "whole"):
            self.say(f"range opens a {o.axis.kind} axis")
        self._open(o.axis, union_axes((o.lo, o.hi)))

    def _nested(self, o: Op) -> None:
        if isinstance(o, ops.Grid):
            self._grid(o)
        elif isinstance(o, ops.Tiles):
            self._tiles(o)
        elif isinstance(o, ops.If):
            for b in (o.then, o.orelse):
                self._arity(b, 0, len(o.results))
                with self.inside(cond=bool(o.cond.axes)):
                    self.block(b)
        elif isinstance(o, ops.For):
            self._for(o)
        elif isinstance(o, ops.While):
            self._while(o)
        elif isinstance(o, ops.Scan):
            _within(self, o.axis, o.xs)
            with self.inside(cond=bool(o.results[0].axes)):
                self.block(o.body)
        else:
            for b in o.blocks:
                self.block(b)

    def _arity(self, b: Block, n_args: int, n_yields: int) -> None:
        if (len(b.args), len(b.yields)) != (n_args, n_yields):
            self.say(f"block has {len(b.args)} arguments and {len(b.yields)} yields, not {n_args} and {n_yields}")

    def _grid(self, o: ops.Grid) -> None:
        n = len(o.axes)
        if self.grid is not None:
            self.say("grids do not nest")
        if self.divergent:
            self.say("a grid stands under a condition that has axes")
        if not n or not len(o.lo) == len(o.hi) == len(o.step) == len(o.body.args) == n or len(o.tile) not in (0, n):
            self.say("bounds, steps, arguments and axes differ in number")
        self._arity(o.body, n, 0)
        for v in (*o.lo, *o.hi):
            self._typed(v, I64, "bound")
            self._flat(v, "bound")
        for axis, arg in zip(o.axes, o.body.args, strict=False):
            if arg.dtype != I64 or arg.axes != {axis}:
                self.say(f"index {arg} is {arg.type}")
            if axis.kind != "grid":
                self.say(f"grid opens a {axis.kind} axis")
        if any(s <= 0 for s in o.step):
            self.say(f"steps are {o.step}")
        outer_grid, outer_open = self.grid, self.open
        self.open = {axis: ragged for axis, ragged in self.open.items() if axis.kind == "whole" and not ragged}
        self.grid = frozenset(o.axes)
        with self.inside(opens=o.axes):
            self.block(o.body)
        self.grid, self.open = outer_grid, outer_open

    def _tiles(self, o: ops.Tiles) -> None:
        if o.axis.kind != "tiles":
            self.say(f"tiles opens a {o.axis.kind} axis")
        for v in (o.lo, o.hi):
            self._typed(v, I64, "bound")
        if o.block is not None:
            self._typed(o.block, I64, "block")
            self._flat(o.block, "block")
        self._arity(o.body, len(o.init) + 1, len(o.init))
        bounds = union_axes((o.lo, o.hi))
        self._index(o.body, {o.axis}, {o.axis} | bounds)
        with self.inside(opens=(o.axis,), bounds=(o.lo, o.hi), cond=bool(bounds)):
            self.block(o.body)

    def _index(self, body: Block, least: AbstractSet[Axis], most: AbstractSet[Axis]) -> None:
        index = body.args[0] if body.args else None
        if index is None or index.dtype != I64 or not least <= index.axes <= most:
            self.say(f"the first argument of the body is an i64 index with axes {_names(least)}")

    def _for(self, o: ops.For) -> None:
        bounds = union_axes((o.lo, o.hi))
        for v in (o.lo, o.hi):
            self._typed(v, I64, "bound")
        if o.step == 0:
            self.say("step is 0")
        self._arity(o.body, len(o.init) + 1, len(o.init))
        self._index(o.body, o.lo.axes, bounds)
        with self.inside(cond=bool(bounds)):
            self.block(o.body)

    def _while(self, o: ops.While) -> None:
        self._arity(o.test, len(o.init), 1)
        self._arity(o.body, len(o.init), len(o.init))
        if _types(a.type for a in o.test.args) != _types(a.type for a in o.body.args):
            self.say("test and body take different values")
        for v in o.test.yields:
            self._typed(v, BOOL, "test")
        with self.inside(cond=any(v.axes for v in o.test.yields)):
            self.block(o.test)
            self.block(o.body)


def _load(v: _Verifier, o: ops.Load) -> None:
    if o.array.effect == "reduce" and o.array.kind == "param":
        v.say(f"reads {o.array}, which is only updated")


def _store(v: _Verifier, o: ops.Store) -> None:
    if o.array.effect == "read" or (o.array.effect == "reduce" and o.array.kind == "param"):
        v.say(f"stores to {o.array}, which is declared {o.array.effect}")


def _update(v: _Verifier, o: ops.Update) -> None:
    if o.array.effect != "reduce" and not o.array.reduce_op:
        v.say(f"updates {o.array}, which is declared {o.array.effect}")


def _site(v: _Verifier, o: ops.Assert | ops.Print) -> None:
    if not 0 <= o.site < len(v.fn.sites):
        v.say(f"site {o.site} of {len(v.fn.sites)}")
    if isinstance(o, ops.Assert):
        v._typed(o.cond, BOOL, "condition")
    most = layout.FAULT_MAX_VALUES if isinstance(o, ops.Assert) else layout.PRINT_MAX_VALUES
    if len(o.values) > most:
        v.say(f"records {len(o.values)} values, of at most {most}")


def _within(v: _Verifier, axis: Axis, xs: Iterable[Value]) -> None:
    missing = v.open.get(axis, frozenset()) - union_axes(xs)
    if missing:
        v.say(f"the domain of axis {axis.name} depends on {_names(missing)}, no operand does")


def _ragged(v: _Verifier, o: ops.Reduce | ops.Contract) -> None:
    xs = o.xs if isinstance(o, ops.Reduce) else (o.x, o.y)
    _within(v, o.axis, xs)
    narrow = isinstance(o, ops.Contract) or o.acc.name in ("sum", "prod", "dot")
    if narrow and any(x.dtype.compute != x.dtype.name for x in xs):
        v.say(f"adds values of {xs[0].dtype}, which computes in {xs[0].dtype.compute}")


def _arithmetic(v: _Verifier, o: ops.Unary | ops.Binary | ops.Fma) -> None:
    kind = "fma" if isinstance(o, ops.Fma) else o.kind
    if o.x.dtype.compute != o.x.dtype.name and kind not in _ANY_WIDTH:
        v.say(f"{kind} on {o.x.dtype}, which computes in {o.x.dtype.compute}")
    if isinstance(o, ops.Fma) and not (o.x.dtype == o.y.dtype == o.z.dtype and o.x.dtype.is_float):
        v.say(f"operands are {o.x.dtype}, {o.y.dtype} and {o.z.dtype}")


_ANY_WIDTH = ("max", "min", "isnan", "isinf")  # comparing and selecting keep the type (LANGUAGE 24)


def _name(v: _Verifier, o: ops.Dim | ops.Scalar) -> None:
    if isinstance(o, ops.Dim):
        if o.name not in v.fn.dims:
            v.say(f"no dimension {o.name}")
    elif (o.name, o.dtype) not in v.fn.scalars:
        v.say(f"no scalar {o.name} of type {o.dtype}")


def _const(v: _Verifier, o: ops.Const) -> None:
    fits = {
        "bool": isinstance(o.value, bool),
        "float": isinstance(o.value, int | float) and not isinstance(o.value, bool),
    }.get(o.dtype.kind, isinstance(o.value, int) and not isinstance(o.value, bool))
    if not fits or (o.dtype.is_int and not o.dtype.min_int <= o.value <= o.dtype.max_int):
        v.say(f"{o.value!r} is no {o.dtype}")


def _call(v: _Verifier, o: ops.Call) -> None:
    if v.grid is not None:
        v.say("calls stand in sequential code")
    if not 0 <= o.site < len(v.fn.sites):
        v.say(f"site {o.site} of {len(v.fn.sites)}")
    if v.module is None:
        return
    callee = v.module.functions.get(o.callee)
    if callee is None:
        v.say(f"no function {o.callee} in the module")
        return
    want = [a.dtype for a in callee.arrays] + [t for _, t in callee.scalars] + [I64 for _ in callee.dims]
    got = [a.dtype for a in o.arrays] + [s.dtype for s in o.scalars] + [d.dtype for d in o.dims]
    if want != got or (len(callee.arrays), len(callee.dims)) != (len(o.arrays), len(o.dims)):
        v.say(f"{o.callee} takes {want}, not {got}")
        return
    for mine, its in zip(o.arrays, callee.arrays, strict=True):
        if mine.rank != its.rank:
            v.say(f"{its} of {o.callee} has {its.rank} axes, {mine} has {mine.rank}")
        if its.effect != "read" and mine.effect == "read":
            v.say(f"{o.callee} writes {its}, but {mine} is read-only")
    for s in (*o.scalars, *o.dims):
        v._flat(s, "argument")
    if not o.is_spawned and (o.on or o.near or o.priority or o.objective):
        v.say("only a spawned call says where and how it runs")
    if o.priority is not None:
        v._typed(o.priority, I64, "priority")
        v._flat(o.priority, "priority")
    if o.objective not in ("", "energy", "time"):
        v.say(f"no objective is called {o.objective}")


_ON_ARRAYS = (  # have arrays or subscripts among their fields
    ops.Load, ops.Store, ops.Update, ops.Alloc, ops.View, ops.Name, ops.Bind, ops.Size, ops.Same, ops.Call,
)  # fmt: skip
_CHECKS: dict[type[Op], Callable[[_Verifier, Any], None]] = {
    ops.Load: _load, ops.Store: _store, ops.Update: _update, ops.Assert: _site, ops.Print: _site,
    ops.Reduce: _ragged, ops.Contract: _ragged, ops.Unary: _arithmetic, ops.Binary: _arithmetic,
    ops.Fma: _arithmetic, ops.Dim: _name, ops.Scalar: _name, ops.Const: _const, ops.Call: _call,
}  # fmt: skip


def _types(types: Iterable[object]) -> str:
    return "(" + ", ".join(map(str, types)) + ")"


def _names(axes: Iterable[Axis]) -> str:
    return "{" + ", ".join(sorted(a.name for a in axes)) + "}"
