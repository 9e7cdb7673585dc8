"""Branches, loops and blocks of one element (or vector of elements) as loop IR.

A condition that is the same for all lanes is a branch. One that differs becomes a mask: code runs when any lane is
active, results are chosen lane by lane, loops go on while any lane does. Carried values with axes of their own live in
memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lem import ir
from lem.ir import ops
from lem.ir.constants import TILES_BLOCK
from lem.ir.core import Block, Value
from lem.targets.cpu.element import Domain, Element, Kept, Tables, fold_lanes
from lem.targets.cpu.pure import PURE_OPS
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Const, Expr, Var
from lem_runtime.abi.dtypes import BOOL

_CHEAP_OPS = 12  # a branch with no more elementwise ops than this is not worth a jump
_POLL = 1024  # turns of a loop between looks at the cancel flag

# ---- branches ----------------------------------------------------------------------------------------------------


def effect_if(w: Element, o: ops.If) -> None:
    """An If with effects: where its condition has open axes, in loops over them."""
    axes = w.open_axes(o.cond.axes)
    w.over_all(axes, None, 0, lambda: emit_if(w, o))


def emit_if(w: Element, o: ops.If) -> None:
    cond = w.eval(o.cond)
    if isinstance(cond, Const):
        side = o.then if cond.value else o.orelse
        w.run(side)
        for r, y in zip(o.results, side.yields, strict=True):
            if not w.open_axes(r.axes):
                w.memo[r] = w.fix(w.eval(y), r.name or "t")
    elif not cond.type.lanes:
        _branch(w, o, cond)
    elif _is_cheap(o.then) and _is_cheap(o.orelse):
        _choose(w, o, cond)
    else:
        _masked(w, o, cond)


def _is_cheap(block: Block) -> bool:
    pure = all(type(o) in PURE_OPS or isinstance(o, ops.Dim | ops.Scalar) for o in block.ops)
    return pure and len(block.ops) <= _CHEAP_OPS


def _closed(w: Element, o: ops.If) -> list[tuple[Value, Value, Value]]:
    """(result, then, else) of the results that have code here; others are asked for again where their axes are bound."""
    rows = zip(o.results, o.then.yields, o.orelse.yields, strict=True)
    return [row for row in rows if not w.open_axes(row[0].axes)]


def _choose(w: Element, o: ops.If, cond: Expr) -> None:
    """Both sides, then a choice lane by lane."""
    w.run(o.then)
    w.run(o.orelse)
    for r, a, b in _closed(w, o):
        chosen = lb.select(cond, w.eval(a), w.eval(b))
        w.memo[r] = w.put(chosen, r.name or "t", w.barrier(w.level))


def _result_vars(w: Element, results: Sequence[Value]) -> list[Var]:
    return [w.var(lb.const(0, r.dtype, w.lanes_for(r)), r.name or "t") for r in results]


def _branch(w: Element, o: ops.If, cond: Expr) -> None:
    rows = _closed(w, o)
    results = _result_vars(w, [r for r, _, _ in rows])
    node = lp.If(cond, lp.Block(), lp.Block())
    for n, (block, side) in enumerate(((node.then, o.then), (node.orelse, o.orelse))):
        with w.scope("branch", block):
            w.run(side)
            for var, row in zip(results, rows, strict=True):
                w.b.set(var, w.eval(row[n + 1]))
    w.b.add(node)
    _name_results(w, rows, results)


def _name_results(w: Element, rows: Sequence[tuple[Value, Value, Value]], results: Sequence[Var]) -> None:
    for (r, _, _), var in zip(rows, results, strict=True):
        w.memo[r] = w.fix(var, r.name or "t")


def _masked(w: Element, o: ops.If, cond: Expr) -> None:
    """Each side runs if any of its lanes is active, a cheap one in any case; the second keeps the first one's lanes."""
    rows = _closed(w, o)
    results = _result_vars(w, [r for r, _, _ in rows])
    yes = w.fix(lb.and_(w.mask, cond) if w.mask is not None else cond, "yes")
    no = w.fix(lb.and_(w.mask, lb.not_(cond)) if w.mask is not None else lb.not_(cond), "no")
    if o.then.ops or results:
        with _side(w, o.then, yes):
            for var, (_, a, _) in zip(results, rows, strict=True):
                w.b.set(var, lb.splat(w.eval(a), var.type.lanes))
    if o.orelse.ops or results:
        with _side(w, o.orelse, no):
            for var, (_, _, b) in zip(results, rows, strict=True):
                w.b.set(var, lb.select(cond, var, lb.splat(w.eval(b), var.type.lanes)))
    _name_results(w, rows, results)


@contextmanager
def _side(w: Element, block: Block, active: Expr) -> Iterator[None]:
    """The code of one side, and after it what is written inside."""
    if _is_cheap(block):
        w.run(block)
        yield
        return
    with w.branch(lb.any_lane(active), active):
        w.run(block)
        yield


# ---- carried values ----------------------------------------------------------------------------------------------


class Carried:
    """The values that a loop carries: variables, or memory for those with open axes."""

    def __init__(self, w: Element, init: Sequence[Value], args: Sequence[Value], results: Sequence[Value]) -> None:
        self.w = w
        self.args, self.results = args, results
        self.vars: list[Var | Kept] = []
        for i, a in zip(init, args, strict=True):
            axes = w.open_axes(a.axes)
            if axes:
                kept = w.keep(axes, a.dtype, w.lanes_for(a), a.name or "carried")
                vector = axes[-1] if w.vec is None and not w.wants_scalar(i, frozenset(axes)) else None
                w.over_all(axes, vector, w.lanes_along(a.dtype), lambda i=i, k=kept: w.store_kept(k, w.eval(i)))  # type: ignore[misc]
                self.vars.append(kept)
            else:
                self.vars.append(w.var(lb.splat(w.eval(i), w.lanes_for(a)), a.name or "carried"))

    def enter(self, args: Sequence[Value]) -> None:
        """At the start of a turn: the block's arguments are what is carried now."""
        w = self.w
        for a, var in zip(args, self.vars, strict=True):
            if isinstance(var, Kept):
                w.kept[a] = Kept(var.buffer, var.axes, var.strides, var.lanes, w.level)
            else:
                w.memo[a] = w.fix(var, a.name or "carried")

    def leave(self, args: Sequence[Value], yields: Sequence[Value], active: Expr | None) -> None:
        """At the end of a turn: carry the new values, in lanes that are active."""
        w = self.w
        new = [None if isinstance(v, Kept) else w.eval(y) for v, y in zip(self.vars, yields, strict=True)]
        self._leave_kept(args, yields)
        for var, value, arg, result in zip(self.vars, new, args, self.results, strict=True):
            if isinstance(var, Kept) or value is None:
                continue
            # Lanes that have left may hold anything if nobody reads what they leave behind.
            if active is not None and result in w.used:
                value = lb.select(active, lb.splat(value, var.type.lanes), w.memo[arg])
            w.b.set(var, value)

    def _leave_kept(self, args: Sequence[Value], yields: Sequence[Value]) -> None:
        """Values in memory: all new ones are complete before an old one that somebody still reads goes."""
        w = self.w
        rows = zip(self.vars, args, yields, strict=True)
        todo = [(k, a, y) for k, a, y in rows if isinstance(k, Kept) and a is not y]
        copies: list[tuple[Kept, Kept]] = []
        for kept, arg, y in todo:
            others = [b for _, b, _ in todo if b is not arg]
            target = kept
            if _reads(w, y, arg, through_axes=True) or any(_reads(w, z, arg) for _, b, z in todo if b in others):
                target = w.keep(kept.axes, arg.dtype, kept.lanes, f"{arg.name or 'carried'}_next")
                copies.append((kept, target))
            self._fill(kept.axes, target, y)
        for kept, fresh in copies:
            w.over_all(kept.axes, kept.axes[-1] if w.vec is None else None, w.lanes_along(kept.buffer.dtype),
                       lambda k=kept, f=fresh: w.store_kept(k, w.load_kept(f)))  # type: ignore[misc]  # fmt: skip

    def _fill(self, axes: Sequence[ir.Axis], target: Kept, y: Value) -> None:
        w = self.w
        vector = axes[-1] if w.vec is None and not w.wants_scalar(y, frozenset(axes)) else None
        w.over_all(axes, vector, w.lanes_along(target.buffer.dtype), lambda: w.store_kept(target, w.eval(y)))

    def done(self) -> None:
        """After the loop: its results."""
        w = self.w
        for r, var in zip(self.results, self.vars, strict=True):
            if isinstance(var, Kept):
                w.kept[r] = Kept(var.buffer, var.axes, var.strides, var.lanes, w.level)
            else:
                w.memo[r] = w.fix(var, r.name or "t")


def _reads(w: Element, v: Value, arg: Value, through_axes: bool = False) -> bool:
    """Does code for `v` read `arg`? through_axes: only count reads at other positions (inside a reduction)."""
    seen: set[tuple[Value, bool]] = set()
    stack = [(v, not through_axes)]
    while stack:
        x, counts = stack.pop()
        if (x, counts) in seen:
            continue
        seen.add((x, counts))
        if x is arg and counts:
            return True
        known = w.known.get(x)
        if known is None or x in w.memo:
            continue
        counts = counts or bool(known.op.blocks) or isinstance(known.op, ops.Reduce | ops.Contract | ops.Scan)
        stack.extend((p, counts) for p in known.op.operands)
        for b in known.op.blocks:
            stack.extend((p, counts) for p in b.yields)
            stack.extend((p, counts) for q in ir.walk_ops(b) for p in q.operands)
    return False


# ---- loops -------------------------------------------------------------------------------------------------------


def emit_while(w: Element, o: ops.While) -> None:
    carried = Carried(w, o.init, o.test.args, o.results)
    (go,) = o.test.yields
    if w.vec is not None and w.vec.axis in _test_axes(o):
        _while_masked(w, o, carried)
    else:
        test, body = lp.Block(), lp.Block()
        with w.scope("turns", test):
            carried.enter(o.test.args)
            w.run(o.test)
            cond = w.eval(go)
        with w.scope("turns", body):
            _turn(w, o, carried, None)
        w.b.add(lp.While(test, cond, body))
    carried.done()


def _test_axes(o: ops.While) -> frozenset[ir.Axis]:
    return o.test.yields[0].axes


def _turn(w: Element, o: ops.While, carried: Carried, active: Expr | None) -> None:
    w.b.add(lp.Poll(_POLL))
    carried.enter(o.body.args)
    w.run(o.body)
    carried.leave(o.body.args, o.body.yields, active)


def _while_masked(w: Element, o: ops.While, carried: Carried) -> None:
    assert w.vec is not None
    going = w.var(w.mask if w.mask is not None else lb.true(w.vec.lanes), "going")
    test, body = lp.Block(), lp.Block()
    with w.scope("turns", test):
        active = w.fix(going, "active")
        with w.scope("masked", test, active):
            carried.enter(o.test.args)
            w.run(o.test)
            now = w.fix(lb.and_(active, lb.splat(w.eval(o.test.yields[0]), w.vec.lanes)), "now")
            w.b.set(going, now)
    with w.scope("turns", body):
        active = w.fix(going, "active")
        with w.scope("masked", body, active):
            _turn(w, o, carried, active)
    w.b.add(lp.While(test, lb.any_lane(going), body))


def emit_for(w: Element, o: ops.For) -> None:
    carried = Carried(w, o.init, o.body.args[1:], o.results)
    lo, hi = w.eval(o.lo), w.eval(o.hi)
    if lo.type.lanes or hi.type.lanes:
        _for_ragged(w, o, carried, lo, hi)
    else:
        with w.loop(o.body.args[0].name or "t", lo, hi, o.step) as t:
            _for_turn(w, o, carried, t, None)
    carried.done()


def _for_turn(w: Element, o: ops.For, carried: Carried, t: Expr, active: Expr | None) -> None:
    w.b.add(lp.Poll(_POLL))
    w.memo[o.body.args[0]] = t
    carried.enter(o.body.args[1:])
    w.run(o.body)
    carried.leave(o.body.args[1:], o.body.yields, active)


def _for_ragged(w: Element, o: ops.For, carried: Carried, lo: Expr, hi: Expr) -> None:
    """Bounds that differ by lane: as many turns as the longest lane needs."""
    span = lb.sub(hi, lo) if o.step > 0 else lb.sub(lo, hi)
    counts = w.put(lb.maximum(lb.ceildiv(span, abs(o.step)), 0), "counts")
    if w.mask is not None:
        counts = w.put(lb.select(w.mask, counts, lb.const(0)))
    longest = w.fix(fold_lanes("max", counts, w.put), "longest")
    with w.loop("turn", 0, longest) as n:
        active = w.fix(lb.compare("lt", n, counts), "active")
        with w.scope("masked", w.b.here, active):
            _for_turn(w, o, carried, w.put(lb.add(lo, lb.mul(n, o.step))), active)


def emit_tiles(w: Element, o: ops.Tiles) -> None:
    """Block after block; the axis ranges over the block, for each element over its own part of it."""
    carried = Carried(w, o.init, o.body.args[1:], o.results)
    lo, hi = w.eval(o.lo), w.eval(o.hi)
    size: Expr = w.eval(o.block) if o.block is not None else lb.const(TILES_BLOCK)
    size = w.put(lb.maximum(size, 1), "block")
    start, end = _extent(w, lo, hi)
    if o.lo.axes:
        start = w.put(lb.mul(lb.binary("floordiv", start, size), size), "start")
    n_blocks = w.put(lb.binary("floordiv", lb.sub(lb.add(w.put(lb.sub(end, start)), size), 1), size), "n_blocks")
    with w.loop("block", 0, n_blocks) as n:
        begin = w.put(lb.add(start, lb.mul(n, size)), "begin")
        stop = w.put(lb.minimum(lb.add(begin, size), end), "stop")
        valid = (lo if o.lo.axes else None, hi if hi.type.lanes else None)
        w.domains[o.axis] = Domain(begin, stop, 1, *valid, size)
        w.index_of[o.body.args[0]] = o.axis
        active = _block_active(w, lo, hi, begin, stop)
        if active is None:
            _tiles_turn(w, o, carried, None)
        else:
            with w.branch(lb.any_lane(active), active):
                _tiles_turn(w, o, carried, active)
    carried.done()


def _extent(w: Element, lo: Expr, hi: Expr) -> tuple[Expr, Expr]:
    """From the first to the last position that any lane has; an empty range ends where it starts."""
    if not lo.type.lanes and not hi.type.lanes:
        return lo, w.put(lb.maximum(hi, lo), "end")
    lanes = max(lo.type.lanes, hi.type.lanes)
    some = lb.compare("lt", lo, hi)
    if w.mask is not None:
        some = lb.and_(some, w.mask)
    some = w.put(lb.splat(some, lanes))
    first = w.put(lb.select(some, lo, lb.const((1 << 63) - 1)))
    last = w.put(lb.select(some, hi, lb.const(-(1 << 63))))
    start = w.fix(fold_lanes("min", first, w.put), "start")
    end = w.fix(fold_lanes("max", last, w.put), "end")
    none = w.put(lb.compare("gt", start, end))
    return w.put(lb.select(none, lb.const(0), start)), w.put(lb.select(none, lb.const(0), end))


def _block_active(w: Element, lo: Expr, hi: Expr, begin: Expr, stop: Expr) -> Expr | None:
    if not lo.type.lanes and not hi.type.lanes:
        return None
    some = lb.compare("lt", lb.maximum(lo, begin), lb.minimum(hi, stop))
    return w.fix(lb.and_(some, w.mask) if w.mask is not None else some, "active")


def _tiles_turn(w: Element, o: ops.Tiles, carried: Carried, active: Expr | None) -> None:
    w.b.add(lp.Poll())
    carried.enter(o.body.args[1:])
    w.run(o.body)
    carried.leave(o.body.args[1:], o.body.yields, active)


# ---- checks, lines -----------------------------------------------------------------------------------------------


def effect_assert(w: Element, o: ops.Assert) -> None:
    axes = w.open_axes(o.cond.axes)
    vector = axes[-1] if axes and w.vec is None and not w.wants_scalar(o.cond, frozenset(axes)) else None

    def check() -> None:
        cond = w.eval(o.cond)
        if isinstance(cond, Const) and cond.value:
            return
        bad = lb.not_(cond)
        if w.mask is not None and (cond.type.lanes or w.mask.type.lanes):
            bad = lb.and_(w.mask, bad)
        values = tuple(w.eval(v) for v in o.values)
        step = w.order_step if w.vec is not None and w.vec.axis.kind == "grid" else None
        w.b.add(lp.Fault(w.fix(bad, "bad"), w.cx.site_base + o.site, w.order, values, step))

    w.over_all(axes, vector, w.lanes_along(o.values[0].dtype if o.values else BOOL), check)


def effect_print(w: Element, o: ops.Print) -> None:
    axes = w.open_axes(frozenset().union(*(v.axes for v in o.values)) if o.values else ())

    def line() -> None:
        values = [w.eval(v) for v in o.values]
        lanes = w.vec.lanes if w.vec is not None else 0
        if not lanes:
            w.b.add(lp.Print(w.cx.site_base + o.site, w.order, tuple(values)))
        for lane in range(lanes):
            one = tuple(lb.extract(v, lane) if v.type.lanes else v for v in values)
            order = lb.add(w.order, lb.mul(w.order_step, lane))
            cond = lb.extract(w.mask, lane) if w.mask is not None else None
            w.b.add(lp.Print(w.cx.site_base + o.site, order, one, cond))

    w.over_all(axes, None, 0, line)


def register(tables: Tables) -> None:
    tables.demand[ops.If] = emit_if
    tables.demand[ops.While] = emit_while
    tables.demand[ops.For] = emit_for
    tables.demand[ops.Tiles] = emit_tiles
    tables.effects[ops.If] = effect_if
    tables.effects[ops.While] = emit_while
    tables.effects[ops.For] = emit_for
    tables.effects[ops.Tiles] = emit_tiles
    tables.effects[ops.Assert] = effect_assert
    tables.effects[ops.Print] = effect_print
