"""Tile IR and schedules to loop IR: functions, sequential code, calls; grids are handed to their strategies.

Takes a module (a function and all it calls) with a schedule for each function; gives a loop IR module, the sites of the
artifact and, for a function that is one grid, how many units it has. Everything outside of grids is the code of one
element without axes (``element``), written where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lem import ir
from lem.diagnostics import InternalError
from lem.ir import ops
from lem.ir.overwritten import overwritten
from lem.schedule.core import GridPlan, Schedule
from lem.targets.cpu import control, places, reduce, scan, spmd
from lem.targets.cpu.context import ArrayRef, Context
from lem.targets.cpu.element import Element, Tables, written_arrays
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Buffer, Const, Expr
from lem_runtime.abi import layout
from lem_runtime.abi.artifact import Site
from lem_runtime.abi.dtypes import DTYPES, I64
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.sizes import Size
from lem_runtime.abi.source import Facts, known_dims

Strategy = Callable[[Context, ops.Grid, GridPlan], None]


def _contraction() -> Strategy:
    from lem.targets.cpu import contraction

    return contraction.lower


def _tiled() -> Strategy:
    from lem.targets.cpu import tiled

    return tiled.lower


# Strategies other than "spmd": they get the context, with what sequential code knows in `cx.values`. Most kernels have no
# products, and what these need is a tenth of the compiler: it is loaded by the first grid that asks for it.
STRATEGIES: dict[str, Callable[[], Strategy]] = {"contraction": _contraction, "tiled": _tiled}


@dataclass(frozen=True, slots=True)
class Lowered:
    """units: of the entry when it consists of one grid, else None."""

    module: lp.Module
    sites: tuple[Site, ...]
    units: Size | None


def symbol(name: str) -> str:
    """Name of a function in the object."""
    return "lem_" + "".join(c if c.isalnum() else "_" for c in name)


def lower_module(module: ir.Module, name: str, facts: Facts, machine: Machine, schedules: Mapping[str, Schedule]) -> Lowered:
    """`name` and all it calls; `facts` hold for `name`, what it calls gets those of its callers."""
    layouts = _layouts(module, name, facts)
    everything = [o for f in module.functions.values() for o in ir.walk_ops(f.body)]
    is_called = any(isinstance(o, ops.Call) and o.callee == name for o in everything)
    is_deep = any(isinstance(o, ops.Depth) for o in everything)
    sites: list[Site] = []
    funcs: list[lp.Func] = []
    units: Size | None = None
    for n, fn in module.functions.items():
        # What is known of the entry's sizes holds for its first call only, where it is also called from inside.
        known = Facts(layouts[n], facts.dims if n == name and not is_called else (), facts.dtypes)
        base = len(sites)
        sites.extend(fn.sites)
        cx = Context(
            fn, module, known, machine, sites, site_base=base, prefix=symbol(n), overwritten=overwritten(fn, module)
        )
        funcs.append(_Function(cx, schedules[n], is_entry=n == name, is_deep=is_deep).lower())
        units = cx.units
    return Lowered(lp.Module(funcs), tuple(sites), units)


def _layouts(module: ir.Module, name: str, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Of each function's array parameters: "inner" where every caller passes such an array."""
    known: dict[str, tuple[str, ...]] = {}
    order = list(module.functions)
    for n in order:
        known[n] = ("inner",) * sum(p.is_array for p in module.functions[n].signature.params)
    known[name] = facts.layouts or ("any",) * len(known[name])
    before: dict[str, tuple[str, ...]] = {}
    while before != known:  # once, and again where tasks call each other in circles: layouts are only lost
        before = dict(known)
        _join_callers(module, order, known)
    return known


def _join_callers(module: ir.Module, order: list[str], known: dict[str, tuple[str, ...]]) -> None:
    """Take into account what each function passes on, callers first."""
    for n in reversed(order):
        fn = module.functions[n]
        arrays = {a.name: a for a in fn.arrays}
        names = [p.name for p in fn.signature.params if p.is_array]
        mine = {arrays[name]: layout for name, layout in zip(names, known[n], strict=True)}
        _follow_parts(fn, mine)
        for o in ir.walk_ops(fn.body):
            if isinstance(o, ops.Call):
                known[o.callee] = _joined(module.functions[o.callee], o, mine, known[o.callee])


def _follow_parts(fn: ir.Function, mine: dict[ir.Array, str]) -> None:
    """Add what is known of views, and of names, which are bound in loops too: until nothing more is lost."""
    before: dict[ir.Array, str] = {}
    while before != mine:
        before = dict(mine)
        for o in ir.walk_ops(fn.body):
            if isinstance(o, ops.View):
                mine[o.array] = _part_layout(o, mine.get(o.base, "inner"))
            elif isinstance(o, ops.Bind):
                for name, array in zip(o.names, o.arrays, strict=True):
                    if mine.get(array, "inner") == "any" or array.inner_axis != name.inner_axis:
                        mine[name] = "any"


def _part_layout(o: ops.View, base: str) -> str:
    """A part has neighbours along its inner axis when that is the inner one of its array, without gaps."""
    inner = o.base.inner_axis
    is_kept = inner in o.kept and o.kept.index(inner) == o.array.inner_axis and o.steps[inner] == 1
    return "inner" if base == "inner" and is_kept else "any"


def _joined(callee: ir.Function, o: ops.Call, mine: Mapping[ir.Array, str], known: tuple[str, ...]) -> tuple[str, ...]:
    passed = {
        p.name: mine.get(a, "inner") if a.inner_axis == p.inner_axis else "any"
        for p, a in zip(callee.arrays, o.arrays, strict=True)
    }
    names = [p.name for p in callee.signature.params if p.is_array]
    return tuple("inner" if k == "inner" and passed.get(n) == "inner" else "any" for n, k in zip(names, known, strict=True))


class _Function:
    """One function while it is lowered."""

    def __init__(self, cx: Context, schedule: Schedule, is_entry: bool, is_deep: bool) -> None:
        self.cx, self.schedule, self.is_entry, self.is_deep = cx, schedule, is_entry, is_deep
        self.lo, self.hi = lp.Var(lp.INDEX, "lo"), lp.Var(lp.INDEX, "hi")
        grids = [o for o in ir.walk_ops(cx.fn.body) if isinstance(o, ops.Grid)]
        self.plans = {grid: schedule.grid(n) for n, grid in enumerate(grids)}

    def lower(self) -> lp.Func:
        cx = self.cx
        self.arguments()
        if self.is_deep and cx.fn.kind == "task":
            self.watch_stack()
        w = Element(cx, self.tables())
        w.used = _used(cx.fn)
        # What a loop of sequential code reads must not move out of it where the loop writes, be it through a grid or a call.
        w.written = written_arrays(cx.fn.body)
        if self.is_entry and is_single_grid(cx.fn):
            cx.slice = (self.lo, self.hi)
        w.run(cx.fn.body)
        return lp.Func(symbol(cx.fn.name), self.lo, self.hi, cx.b.root)

    def watch_stack(self) -> None:
        """A task gets its depth and the end of its stack from its caller; the first one of a call finds the end itself."""
        cx = self.cx
        frame = cx.b.let(lp.CtxField(lp.INDEX, "frame"), "frame")
        first = lb.compare("eq", self.hi, -1)
        cx.depth = self.lo
        cx.stack_end = cx.b.let(lb.select(first, lb.sub(frame, layout.TASK_STACK_BYTES), self.hi), "stack_end")
        if any(isinstance(o, ops.Depth) for o in cx.fn.body.ops):
            cx.b.add(lp.Fault(lb.compare("lt", frame, cx.stack_end), cx.no_stack_site(), lb.const(-1), (self.lo,)))

    def tables(self) -> Tables:
        out = Tables()
        for part in (places, control, reduce, scan):
            part.register(out)
        out.effects[ops.Alloc] = effect_temp
        out.effects[ops.View] = effect_view
        out.effects[ops.Name] = effect_name
        out.effects[ops.Bind] = effect_bind
        out.demand[ops.Size] = demand_size
        out.demand[ops.Same] = demand_same
        out.effects[ops.Call] = effect_call
        out.effects[ops.Sync] = lambda w, o: None  # every call has ended when the next op runs
        out.effects[ops.Grid] = self.grid
        return out

    def grid(self, w: Element, o: ops.Grid) -> None:
        plan = self.plans[o]
        if plan.strategy == "spmd":
            spmd.lower(w, o, plan)
            return
        if plan.strategy not in STRATEGIES:
            raise InternalError("cpu lower", f"no strategy is called {plan.strategy}")
        for v in (*o.lo, *o.hi):
            w.memo[v] = w.fix(w.eval(v), "bound")
        self.cx.values = dict(w.memo)
        STRATEGIES[plan.strategy]()(self.cx, o, plan)
        self.cx.values = {}

    # -- the argument block
    def arguments(self) -> None:
        cx = self.cx
        arrays = {a.name: a for a in cx.fn.arrays}
        layouts = iter(cx.facts.layouts)
        slot = 0
        for p in cx.fn.signature.params:
            if p.is_array:
                rank = len(p.shape or ())
                self.array(arrays[p.name], slot, rank, next(layouts, "any") == "inner")
                slot += 1 + 2 * rank
            elif p.name in arrays:
                self.array(arrays[p.name], slot, 0, True)
                slot += 1
            else:
                cx.scalars[p.name] = cx.b.let(lp.Slot(lp.VType(DTYPES[p.dtype]), slot), p.name)
                slot += 1
        known = known_dims(cx.fn.signature.dims, cx.facts)
        for dim in cx.fn.signature.dims:
            cx.dims[dim] = lb.const(known[dim]) if dim in known else cx.b.let(lp.Slot(lp.INDEX, slot), dim)
            slot += 1

    def array(self, array: ir.Array, slot: int, rank: int, inner: bool) -> None:
        cx = self.cx
        buffer = Buffer(array.name, array.dtype, "arg")
        cx.b.add(lp.ArgPointer(buffer, slot))
        sizes = [cx.b.let(lp.Slot(lp.INDEX, slot + 1 + n), f"{array.name}_size{n}") for n in range(rank)]
        strides = [cx.b.let(lp.Slot(lp.INDEX, slot + 1 + rank + n), f"{array.name}_stride{n}") for n in range(rank)]
        if inner and rank:
            strides[array.inner_axis] = lb.const(1)
        cx.refs[array] = ArrayRef(buffer, tuple(sizes), tuple(strides))


def is_single_grid(fn: ir.Function) -> bool:
    """Does a function consist of one grid whose size follows from its dimensions and scalars?"""
    return False


def _used(fn: ir.Function) -> set[ir.Value]:
    """Values that something reads."""
    out: set[ir.Value] = set(fn.body.yields)
    for o in ir.walk_ops(fn.body):
        out.update(o.operands)
        for b in o.blocks:
            out.update(b.yields)
    return out


# ---- sequential code ---------------------------------------------------------------------------------------------


def effect_temp(w: Element, o: ops.Alloc) -> None:
    """A temporary of the function, freed when its block ends or the function does."""
    cx = w.cx
    sizes = [w.fix(w.eval(s), "size") for s in o.sizes]
    strides: list[Expr] = [lb.const(1)] * len(sizes)
    count: Expr = lb.const(1)
    axes = range(len(sizes))
    for axis in axes if o.array.layout == "col" else reversed(axes):
        strides[axis] = count
        count = w.put(lb.mul(count, sizes[axis]), "count")
    buffer = Buffer(o.array.name, o.array.dtype, "temp")
    fill = w.eval(o.fill) if o.fill is not None else None
    is_zero = isinstance(fill, Const) and not fill.value
    zeroed = is_zero or o not in cx.overwritten
    w.b.add(lp.Alloc(buffer, count, cx.no_memory_site(f"the temporary `{o.array.name}`"), cx.has_names, zeroed))
    w.levels[buffer.uid] = w.level
    cx.refs[o.array] = ArrayRef(buffer, tuple(sizes), tuple(strides))
    w.temps.append(buffer)
    if fill is None or is_zero:
        return  # what has a value is zero
    with w.loop("n", 0, count) as n:
        w.b.store(buffer, n, fill)


def effect_name(w: Element, o: ops.Name) -> None:
    """A name is a base, sizes and strides that change."""
    buffer = Buffer(o.array.name, o.array.dtype, "name")
    w.b.add(lp.NameBuffer(buffer))
    w.levels[buffer.uid] = w.level
    rank = o.array.rank
    sizes = tuple(w.var(lb.const(0), f"{o.array.name}_size{n}") for n in range(rank))
    strides = tuple(w.var(lb.const(0), f"{o.array.name}_stride{n}") for n in range(rank))
    w.cx.refs[o.array] = ArrayRef(buffer, sizes, strides)


def effect_bind(w: Element, o: ops.Bind) -> None:
    """All sources are read before any name changes."""
    refs = [w.ref(a) for a in o.arrays]
    held = [[w.fix(x, "held") for x in (*r.sizes, *r.strides)] for r in refs if isinstance(r, ArrayRef)]
    names = [w.cx.refs[name] for name in o.names]
    wholes = tuple(w.cx.whole(a) for a in o.arrays)
    w.b.add(lp.Rebind(tuple(n.buffer for n in names), tuple(r.buffer for r in refs), wholes))
    for name, values in zip(names, held, strict=True):
        for var, value in zip((*name.sizes, *name.strides), values, strict=True):
            assert isinstance(var, lp.Var)
            w.b.set(var, value)


def demand_size(w: Element, o: ops.Size) -> None:
    ref = w.ref(o.array)
    assert isinstance(ref, ArrayRef)
    w.memo[o.result] = w.fix(ref.sizes[o.axis], "size")


def demand_same(w: Element, o: ops.Same) -> None:
    w.memo[o.result] = w.fix(lp.SameBuffer(lp.TRUTH, w.cx.whole(o.x), w.cx.whole(o.y)), "same")


def effect_view(w: Element, o: ops.View) -> None:
    """A part of an array is a base further in, with sizes and strides of its own."""
    base = w.ref(o.base)
    assert isinstance(base, ArrayRef)
    starts = [w.eval(v) for v in o.starts]
    buffer = w.b.view(base.buffer, w.fix(base.index(starts), "start"), o.array.name)
    sizes = tuple(w.fix(w.eval(size), "size") for size in o.sizes if size is not None)
    strides = tuple(w.fix(lb.mul(base.strides[n], o.steps[n]), "stride") for n in o.kept)
    w.levels[buffer.uid] = w.level
    w.cx.wholes[o.array] = w.cx.whole(o.base)
    w.cx.refs[o.array] = ArrayRef(buffer, sizes, strides)


def effect_call(w: Element, o: ops.Call) -> None:
    cx = w.cx
    callee = cx.module.functions[o.callee]
    arrays = dict(zip((a.name for a in callee.arrays), o.arrays, strict=True))
    scalars = dict(zip((n for n, _ in callee.scalars), o.scalars, strict=True))
    args: list[Expr | tuple[Buffer, Expr]] = []
    for p in callee.signature.params:
        if p.name not in arrays:
            args.append(w.fix(w.eval(scalars[p.name]), p.name))
            continue
        ref = w.ref(arrays[p.name])
        assert isinstance(ref, ArrayRef)
        args.append((ref.buffer, lb.const(0)))
        args.extend((*ref.sizes, *ref.strides))
    args.extend(w.fix(w.eval(v), "dim") for v in o.dims)
    w.b.add(lp.Mark(cx.site_base + o.site, 0))
    lo, hi = (lb.add(cx.depth, 1), cx.stack_end) if callee.kind == "task" else (lb.const(0), lb.const(-1))
    w.b.add(lp.Call(symbol(o.callee), tuple(args), w.fix(lo, "depth"), hi))
    w.b.add(lp.Mark(cx.site_base + o.site, 1))


__all__ = ["I64", "Lowered", "lower_module", "symbol"]
