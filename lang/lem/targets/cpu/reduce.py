"""Reductions in the order that LANGUAGE 30 fixes, whatever the vectors and loops around them are.

LANES (30b): chunks of 4,096 positions; position p of a chunk goes to partial result p % 32; partial results meet as a
    fixed tree. Along a vector axis of its own this is 32 lanes of vectors; where another axis is the vector, the 32
    partial results lie in memory.
CHAIN (30c): chunks of 256, each one ascending chain.  Chunk results of both are merged pairwise by their number, like the
    carries of a binary counter: a result waits at level n until its partner is complete.
ANY: exact, any order: like LANES without chunks, or one chain.
Contractions (30a): chunks of 256, each one ascending chain of FMAs from zero, added ascending.
A domain that is a literal and small is written out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lem.ir import ops
from lem.ir.accumulators import Accumulator, accumulator
from lem.ir.constants import CHAIN_CHUNK, CONTRACT_CHUNK, LANES, LANES_CHUNK
from lem.ir.core import Axis, Value
from lem.targets.cpu.element import Element, Tables, fold_lanes
from lem.targets.cpu.pure import accumulate
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Buffer, Const, Expr, Var

State = list[Expr]
_WRITTEN_OUT = 32  # literal domains of at most so many positions have no loop
_LEVELS = 56  # of the binary counter: more chunks than 64-bit sizes allow


def demand_reduce(w: Element, o: ops.Reduce) -> None:
    r = _Reduction(w, o.acc, o.xs, o.axis, o.result, o.order)
    w.memo[o.result] = w.fix(r.value(), o.result.name or "t")


def demand_contract(w: Element, o: ops.Contract) -> None:
    r = _Reduction(w, accumulator("dot", o.dtype), (o.x, o.y), o.axis, o.result, None)
    w.memo[o.result] = w.fix(r.value(), o.result.name or "t")


class _Reduction:
    """One reduction while it is written. order None: that of a contraction."""

    def __init__(
        self, w: Element, acc: Accumulator, xs: Sequence[Value], axis: Axis, result: Value, order: ops.Order | None
    ) -> None:
        self.w, self.acc, self.xs, self.axis, self.order = w, acc, xs, axis, order
        self.lo, self.hi, self.step = w.domain(axis)
        self.ragged = bool(self.lo.type.lanes or self.hi.type.lanes)
        self.lanes = w.lanes_for(result)  # of the result
        self.name = result.name or acc.name
        self.mask = w.mask  # what is inactive from the start may hold anything

    # -- choice of a form
    def value(self) -> Expr:
        n = None if self.ragged else self.w.count(self.lo, self.hi, self.step)
        exact = self.acc.exact
        if n is not None and isinstance(n, Const) and int(n.value) <= _WRITTEN_OUT and self.is_plain():
            state = self.written_out(int(n.value))
        elif n is not None and self.w.vec is None and self.can_use_lanes():
            state = self.in_lanes(n)
        elif self.order is ops.Order.LANES and not exact:
            state = self.partials_in_memory(n)
        elif self.order is None:
            state = self.contraction(n)
        elif exact:
            state = self.one_chain(n)
        else:
            state = self.chains(n)
        return accumulate(self.acc.finish, {f"s{i}": s for i, s in enumerate(state)}, self.acc.dtype)

    def is_plain(self) -> bool:
        """Are all positions the element's own?"""
        d = self.w.domains[self.axis]
        return d.valid_lo is None and d.valid_hi is None

    def can_use_lanes(self) -> bool:
        """Vectors along the reduced axis: where the order is that of lanes or free, and nothing inside needs them."""
        if self.order not in (ops.Order.LANES, ops.Order.ANY) or not self.w.vectors_ok:
            return False
        return not any(self.w.wants_scalar(x, frozenset({self.axis})) for x in self.xs)

    # -- steps
    def begin(self, lanes: int) -> State:
        return [lb.const(i, t, lanes) for i, t in zip(self.acc.init, self.acc.state, strict=True)]

    def step_(self, state: Sequence[Expr]) -> State:
        """The state after the position that is bound now; lanes that are not active keep theirs."""
        w = self.w
        names: dict[str, Expr] = {f"s{i}": s for i, s in enumerate(state)}
        names |= {f"x{i}": w.eval(x) for i, x in enumerate(self.xs)}
        new = [accumulate(e, names, t) for e, t in zip(self.acc.step, self.acc.state, strict=True)]
        if w.mask is not None and w.mask is not self.mask and state[0].type.lanes:
            new = [lb.select(w.mask, a, s) for a, s in zip(new, state, strict=True)]
        return new

    def merge(self, a: Sequence[Expr], b: Sequence[Expr]) -> State:
        names = {f"a{i}": s for i, s in enumerate(a)} | {f"b{i}": s for i, s in enumerate(b)}
        return [self.w.fix(accumulate(e, names, t)) for e, t in zip(self.acc.merge, self.acc.state, strict=True)]

    def vars(self, lanes: int) -> list[Var]:
        return [self.w.var(i, f"{self.name}_{n}" if n else self.name) for n, i in enumerate(self.begin(lanes))]

    def advance(self, state: Sequence[Var]) -> None:
        """One step, in place."""
        new = [self.w.fix(s) for s in self.step_([self.w.fix(v, v.name) for v in state])]
        self.set(state, new)

    def set(self, state: Sequence[Var], new: Sequence[Expr]) -> None:
        for var, value in zip(state, new, strict=True):
            self.w.b.set(var, value)

    def read(self, state: Sequence[Var]) -> State:
        return [self.w.fix(v, v.name) for v in state]

    # -- written out
    def written_out(self, n: int) -> State:
        """Small literal domains: no loop. In the order of lanes each position is a partial result of its own."""
        w = self.w
        if self.order is ops.Order.LANES and not self.acc.exact:
            parts: list[State | None] = [None] * LANES
            for p in range(n):
                parts[p] = self.at_position(p, self.begin(self.lanes))
            return self.tree(parts)
        state = self.begin(self.lanes)
        for p in range(n):
            state = self.at_position(p, state)
        return [lb.splat(s, self.lanes) if not isinstance(s, Const) else w.put(s) for s in state]

    def at_position(self, p: int, state: State) -> State:
        w = self.w
        base = w.put(lb.add(self.lo, lb.const(p * self.step)))
        with w.bind(self.axis, base, lb.const(p), 0, self.step):
            return [w.put(s, floor=w.barrier(w.level)) for s in self.step_(state)]

    def tree(self, parts: list[State | None]) -> State:
        """Partial results met as halves. Absent ones are neutral: merging them changes nothing."""
        n = len(parts)
        while n > 1:
            n //= 2
            for p in range(n):
                a, b = parts[p], parts[p + n]
                parts[p] = self.merge(a, b) if a is not None and b is not None else a or b
        return parts[0] or self.begin(self.lanes)

    # -- along lanes
    def in_lanes(self, n: Expr) -> State:
        if self.order is ops.Order.ANY:
            return self.lane_chunk(lb.const(0), n)
        return self.pairwise(n, LANES_CHUNK, 0, self.lane_chunk)

    def lane_chunk(self, first: Expr, n: Expr) -> State:
        """Positions first .. first + n in 32 lanes, and the lanes merged."""
        w = self.w
        state = self.vars(LANES)
        whole = w.put(lb.mul(lb.floordiv(n, LANES), lb.const(LANES)), "whole")

        def base_of(p: Expr) -> Expr:
            return w.put(lb.add(self.lo, lb.mul(lb.add(first, p), self.step)))

        d = w.domains[self.axis]
        with w.guarded_loop(self.axis.name, 0, whole, LANES) as p:
            base = base_of(p)
            with w.valid_only(d, base, LANES, self.step):
                with w.bind(self.axis, base, w.put(lb.add(first, p)), LANES, self.step):
                    self.advance(state)
        rest = w.put(lb.sub(n, whole), "rest")
        last = lb.add(first, whole)
        w.over_rest(self.axis, rest, last, base_of(whole), LANES, self.step, lambda: self.advance(state))
        return self.fold(self.read(state))

    def fold(self, state: State) -> State:
        """Lanes met as halves."""
        n = LANES
        while n > 1:
            n //= 2
            low = [self.w.fix(lb.lanes_of(s, 0, n)) for s in state]
            high = [self.w.fix(lb.lanes_of(s, n, n)) for s in state]
            state = self.merge(low, high)
        return [self.w.fix(lb.extract(s, 0)) for s in state]

    # -- one position after the other
    def one_chain(self, n: Expr | None) -> State:
        w = self.w
        state = self.vars(self.lanes)
        w.over(self.axis, lambda: self.advance(state))
        return self.read(state)

    def chain(self, first: Expr, n: Expr) -> State:
        """Positions first .. first + n as one ascending chain."""
        state = self.vars(self.lanes)
        self.positions(first, n, lambda: self.advance(state))
        return self.read(state)

    def positions(self, first: Expr, n: Expr, body: Callable[[], None]) -> None:
        """A loop over positions first .. first + n; lanes that have fewer are masked."""
        w = self.w
        if self.ragged:
            with w.guarded_loop(self.axis.name, first, w.put(lb.add(first, n))) as p:
                base = w.put(lb.add(self.lo, lb.mul(p, self.step)))
                active = w.fix(lb.compare("lt", base, self.hi), "active")
                mask = w.fix(lb.and_(w.mask, active) if w.mask is not None else active)
                with w.scope("masked", w.b.here, mask), w.bind(self.axis, base, p, 0, self.step):
                    body()
            return
        d = w.domains[self.axis]
        start = w.put(lb.add(self.lo, lb.mul(first, self.step)))
        end = w.put(lb.add(start, lb.mul(n, self.step)))
        with w.guarded_loop(self.axis.name, start, end, self.step) as k:
            position = lb.sub(k, self.lo)
            if self.step != 1:
                position = lb.floordiv(position, self.step)
            with w.valid_only(d, k), w.bind(self.axis, k, position, 0, self.step):
                body()

    def total(self, n: Expr | None) -> Expr:
        """Positions of the longest lane."""
        if n is not None:
            return n
        w = self.w
        counts = w.put(lb.maximum(lb.ceildiv(lb.sub(self.hi, self.lo), self.step), 0), "counts")
        if w.mask is not None:
            counts = w.put(lb.select(w.mask, counts, lb.const(0)))
        return w.fix(fold_lanes("max", counts, w.put), "longest")

    def chains(self, n: Expr | None) -> State:
        total = self.total(n)
        return self.pairwise(total, CHAIN_CHUNK, self.lanes, self.chain)

    def contraction(self, n: Expr | None) -> State:
        """Chunk results added ascending, the first one as it is."""
        w = self.w
        total = self.total(n)
        if isinstance(total, Const) and int(total.value) <= CONTRACT_CHUNK:
            return self.chain(lb.const(0), total)
        sums = self.vars(self.lanes)
        with w.loop("chunk", 0, total, CONTRACT_CHUNK) as first:
            part = self.chain(first, w.put(lb.minimum(lb.sub(total, first), CONTRACT_CHUNK)))
            is_first = w.put(lb.compare("eq", first, 0))
            merged = self.merge(self.read(sums), part)
            self.set(sums, [lb.select(is_first, p, m) for p, m in zip(part, merged, strict=True)])
        return self.read(sums)

    # -- partial results in memory
    def partials_in_memory(self, n: Expr | None) -> State:
        total = self.total(n)
        return self.pairwise(total, LANES_CHUNK, self.lanes, self.memory_chunk)

    def memory_chunk(self, first: Expr, n: Expr) -> State:
        """The order of lanes where another axis is the vector: 32 partial results per lane, in memory. Few positions have
        as many partial results, and the others, which would be neutral, are left out."""
        w = self.w
        width = max(self.lanes, 1)
        buffers = [w.buffer(f"partial{i}", t, lb.const(LANES * width)) for i, t in enumerate(self.acc.state)]
        used = w.put(lb.maximum(lb.minimum(n, LANES), 1), "used")
        with w.loop("p", 0, used) as p:
            self.put_at(buffers, p, self.begin(self.lanes))

        def turn() -> None:
            p = w.put(lb.binary("mod", w.bound[self.axis].position, LANES), "p")
            state = self.get_at(buffers, p)
            self.put_at(buffers, p, self.step_(state))

        self.positions(first, n, turn)
        half = LANES
        while half > 1:
            half //= 2
            with w.loop("p", 0, w.put(lb.minimum(lb.sub(used, half), half))) as p:
                low, high = self.get_at(buffers, p), self.get_at(buffers, w.put(lb.add(p, half)))
                self.put_at(buffers, p, self.merge(low, high))
        return self.get_at(buffers, lb.const(0))

    def get_at(self, buffers: Sequence[Buffer], n: Expr) -> State:
        at = self.w.put(lb.mul(n, max(self.lanes, 1)))
        return [self.w.fix(lb.load(b, at, self.lanes)) for b in buffers]

    def put_at(self, buffers: Sequence[Buffer], n: Expr, state: Sequence[Expr]) -> None:
        at = self.w.put(lb.mul(n, max(self.lanes, 1)))
        for b, s in zip(buffers, state, strict=True):
            self.w.b.store(b, at, s)

    # -- chunks merged pairwise
    def pairwise(self, total: Expr, size: int, lanes: int, chunk: Callable[[Expr, Expr], State]) -> State:
        """Results of chunks of `size` positions, merged as a binary tree over their numbers."""
        w = self.w
        if isinstance(total, Const) and int(total.value) <= size:
            return chunk(lb.const(0), total)
        result = self.vars(lanes)
        many = w.put(lb.compare("gt", total, size), "many")
        waiting = [w.buffer(f"waiting{i}", t, lb.const(_LEVELS * max(lanes, 1))) for i, t in enumerate(self.acc.state)]
        with w.loop("chunk", 0, total, size) as first:
            self.set(result, chunk(first, w.put(lb.minimum(lb.sub(total, first), size))))
            with w.branch(many, likely=False):
                self.carry(result, waiting, lanes, w.put(lb.floordiv(first, size)))
        with w.branch(many, likely=False):
            self.sum_waiting(result, waiting, lanes, w.put(lb.ceildiv(total, size)))
        return self.read(result)

    def carry(self, result: Sequence[Var], waiting: Sequence[Buffer], lanes: int, number: Expr) -> None:
        """Chunk `number` is complete: merge it with the partners that wait for it, then let it wait."""
        w = self.w
        left, level = w.var(number, "left"), w.var(lb.const(0), "level")
        test, body = lp.Block(), lp.Block()
        with w.scope("turns", body):
            earlier = self.waiting_at(waiting, level, lanes)
            self.set(result, self.merge(earlier, self.read(result)))
            w.b.set(level, lb.add(level, 1))
            w.b.set(left, lb.floordiv(left, 2))
        w.b.add(lp.While(test, lb.compare("eq", lb.binary("and", left, lb.const(1)), 1), body))
        at = w.fix(lb.mul(level, max(lanes, 1)))
        for buffer, var in zip(waiting, result, strict=True):
            w.b.store(buffer, at, var)

    def waiting_at(self, waiting: Sequence[Buffer], level: Var, lanes: int) -> State:
        at = self.w.fix(lb.mul(level, max(lanes, 1)))
        return [self.w.fix(lb.load(b, at, lanes)) for b in waiting]

    def sum_waiting(self, result: Sequence[Var], waiting: Sequence[Buffer], lanes: int, count: Expr) -> None:
        """What still waits, from the latest to the earliest."""
        w = self.w
        left, level, none = w.var(count, "left"), w.var(lb.const(0), "level"), w.var(lb.true(), "none")
        body = lp.Block()
        with w.scope("turns", body):
            with w.branch(lb.compare("eq", lb.binary("and", left, lb.const(1)), 1)):
                earlier = self.waiting_at(waiting, level, lanes)
                merged = self.merge(earlier, self.read(result))
                self.set(result, [lb.select(none, a, b) for a, b in zip(earlier, merged, strict=True)])
                w.b.set(none, lb.const(False, lp.TRUTH.dtype))
            w.b.set(level, lb.add(level, 1))
            w.b.set(left, lb.floordiv(left, 2))
        w.b.add(lp.While(lp.Block(), lb.compare("gt", left, 0), body))


def register(tables: Tables) -> None:
    tables.demand[ops.Reduce] = demand_reduce
    tables.demand[ops.Contract] = demand_contract
