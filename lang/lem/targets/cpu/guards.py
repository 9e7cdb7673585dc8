"""Guards around a whole grid body: ``if j <= i:`` makes a triangle, and only the triangle is visited (LANGUAGE 5).

Takes a grid and the axis that loops run along; gives the body without the parts of the guard that a loop's bounds can say,
and these bounds. A comparison becomes a bound

ALONE   where the index stands alone on one side: the other side is computed as it is written, wrapping included;
LINEAR  where both sides are sums of indices, sizes and small literals, which cannot wrap: what is left is divided by the
        coefficient of the index.

Comparisons that are the same for a whole row decide about the row; the rest of the guard stays in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lem import ir
from lem.ir import ops
from lem.ir.core import Affine, Axis, Block, Value
from lem.targets.cpu.element import Element
from lem.targets.cpu.pure import PURE_OPS, pure
from lem.targets.loops import build as lb
from lem.targets.loops.core import Expr
from lem_runtime.abi.dtypes import BOOL, I64
from lem_runtime.abi.records import dataclass

Defs = Mapping[Value, ir.Op]
_SMALL = 1 << 31  # literals and coefficients below this never make a sum of indices and sizes wrap
_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
_NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}


@dataclass(frozen=True, slots=True)
class Bound:
    """index KIND limit, or index KIND floor(limit / divisor) for a linear form: kind lt, le, gt, ge or eq."""

    kind: str
    limit: Value | Affine
    divisor: int = 1


@dataclass(frozen=True, slots=True)
class Guard:
    """A grid whose body runs where `bounds` hold for the index along the axis, in rows in which all of `rows` hold."""

    grid: ops.Grid
    axis: Axis
    own: Defs  # ops of the body, by their results
    bounds: tuple[Bound, ...]
    rows: tuple[Value, ...]

    @property
    def is_slanted(self) -> bool:
        """Do rows differ in length?"""
        limits = (b.limit for b in self.bounds)
        return any(x.axes for x in limits)


def find_guard(grid: ops.Grid, axis: Axis, outer: Defs) -> Guard | None:
    """None where no loop gets shorter. outer: who defines what sequential code knows."""
    choice = grid.body.ops[-1] if grid.body.ops else None
    before = grid.body.ops[:-1]
    if not isinstance(choice, ops.If) or choice.results or any(_has_effect(o) for o in before):
        return None
    made = list(before)
    own = {r: o for o in before for r in o.results}
    cond, body = choice.cond, choice.then
    if not choice.then.ops:
        made.append(ops.Unary("not", cond))
        cond, body = made[-1].result, choice.orelse
        own[cond] = made[-1]
    elif choice.orelse.ops:
        return None
    index = dict(zip(grid.axes, grid.body.args, strict=True))[axis]
    found = _Guards(index, frozenset(grid.body.args), {**outer, **own}, own)
    left = [p for p in _conjuncts(cond, found.defs) if not found.take(p)]
    if not found.bounds and not found.rows:
        return None
    for p in left[1:]:
        made.append(ops.Binary("and", left[0], p))
        left[0] = made[-1].result
    made += [ops.If(left[0], body, Block((), ()), loc=choice.loc)] if left else body.ops
    shorter = replace(grid, body=Block(grid.body.args, tuple(made)))
    return Guard(shorter, axis, own, tuple(found.bounds), tuple(found.rows))


def _has_effect(o: ir.Op) -> bool:
    mine = o.effect in (ir.Effect.WRITE, ir.Effect.FAULT)
    return mine or any(_has_effect(p) for b in o.blocks for p in b.ops)


def _conjuncts(cond: Value, defs: Defs) -> list[Value]:
    """The parts of an ``and``."""
    o = defs.get(cond)
    if isinstance(o, ops.Binary) and o.kind == "and" and cond.dtype == BOOL:
        return [*_conjuncts(o.x, defs), *_conjuncts(o.y, defs)]
    return [cond]


class _Guards:
    """Sorts the parts of a guard: bounds of `index`, conditions of the row, neither."""

    def __init__(self, index: Value, indices: frozenset[Value], defs: Defs, own: Defs) -> None:
        self.index, self.indices, self.defs, self.own = index, indices, defs, own
        self.bounds: list[Bound] = []
        self.rows: list[Value] = []

    def take(self, part: Value) -> bool:
        o = self.compared(part)
        if not isinstance(o, ops.Compare) or o.x.dtype != I64 or o.kind == "ne":
            return False
        if self.index not in self.leaves(o.x) | self.leaves(o.y):
            if self.is_known(part):
                self.rows.append(part)
            return self.is_known(part)
        found = self.alone(o) or self.linear(o)
        if found is not None:
            self.bounds.append(found)
        return found is not None

    def compared(self, part: Value) -> ir.Op | None:
        """What makes a part; ``not`` of a comparison is the opposite one."""
        o = self.defs.get(part)
        turned = self.defs.get(o.x) if isinstance(o, ops.Unary) and o.kind == "not" else None
        if isinstance(turned, ops.Compare) and turned.x.dtype == I64:
            return ops.Compare(_NEGATED[turned.kind], turned.x, turned.y)
        return o

    def alone(self, o: ops.Compare) -> Bound | None:
        """ALONE"""
        for kind, x, y in ((o.kind, o.x, o.y), (_TURNED[o.kind], o.y, o.x)):
            if x is self.index and self.index not in self.leaves(y) and self.is_known(y):
                return Bound(kind, y)
        return None

    def linear(self, o: ops.Compare) -> Bound | None:
        """LINEAR"""
        terms: dict[Value, int] = {}
        x, y = self.sum(o.x, 1, terms), self.sum(o.y, -1, terms)
        if x is None or y is None or o.kind == "eq":
            return None
        # sum + const >= 0, after its sign and what `<` asks for
        sign = 1 if o.kind in ("gt", "ge") else -1
        const = sign * (x + y) - (o.kind in ("gt", "lt"))
        coef = sign * terms.pop(self.index, 0)
        if coef == 0 or abs(const) >= _SMALL or any(abs(c) >= _SMALL for c in (coef, *terms.values())):
            return None
        if coef > 0:  # index >= ceil(-rest / coef), which is -floor(rest / coef)
            return Bound("ge", Affine(tuple((-sign * c, v) for v, c in terms.items() if c), -const + coef - 1), coef)
        return Bound("le", Affine(tuple((sign * c, v) for v, c in terms.items() if c), const), -coef)

    def sum(self, v: Value, coef: int, terms: dict[Value, int]) -> int | None:
        """Add `coef * v` to the terms; gives the constant part, None for what is no sum of indices, sizes and literals."""
        o = self.defs.get(v)
        if v in self.indices or isinstance(o, ops.Dim):
            terms[v] = terms.get(v, 0) + coef
            return 0
        if isinstance(o, ops.Const):
            return coef * int(o.value)
        if not isinstance(o, ops.Binary) or o.kind not in ("add", "sub", "mul"):
            return None
        if o.kind == "mul":
            for factor, other in ((o.x, o.y), (o.y, o.x)):
                known = self.defs.get(factor)
                if isinstance(known, ops.Const) and abs(int(known.value)) < _SMALL:
                    return self.sum(other, coef * int(known.value), terms)
            return None
        a, b = self.sum(o.x, coef, terms), self.sum(o.y, coef if o.kind == "add" else -coef, terms)
        return None if a is None or b is None else a + b

    def leaves(self, v: Value) -> set[Value]:
        """What `v` is computed from: indices, and values that are no elementwise ops."""
        o = self.defs.get(v)
        if v in self.indices or o is None or type(o) not in PURE_OPS:
            return {v}
        return set().union(*(self.leaves(p) for p in o.operands))

    def is_known(self, v: Value) -> bool:
        """Can `v` be computed before the body runs: from indices and what sequential code knows?"""
        leaves = self.leaves(v) - self.indices
        return all(not x.axes and (x not in self.own or isinstance(self.own[x], ops.Dim | ops.Scalar)) for x in leaves)


# ---------------------------------------------------------------- as code


def value_of(w: Element, guard: Guard, v: Value) -> Expr:
    """A value that depends on bound indices and sequential code alone."""
    o = guard.own.get(v)
    if isinstance(o, ops.Dim | ops.Scalar):
        return w.cx.named(o)
    if o is None:
        return w.eval(v)
    return w.put(pure(o, [value_of(w, guard, p) for p in o.operands]))


def span_of(w: Element, guard: Guard, lo: Expr, last: Expr) -> tuple[Expr, Expr]:
    """Index values first .. end of the axis, of those in lo .. last, for which the bounds hold."""
    first, end = lo, last
    before, final = w.put(lb.sub(lo, 1)), w.put(lb.sub(last, 1))
    for b in guard.bounds:
        e = value_of(w, guard, b.limit) if isinstance(b.limit, Value) else _form(w, guard, b.limit, b.divisor)

        def within(low: Expr, high: Expr, e: Expr = e) -> Expr:
            return w.put(lb.maximum(lb.minimum(e, high), low))

        if b.kind == "ge" or b.kind == "eq":
            first = w.put(lb.maximum(first, within(lo, last)))
        if b.kind == "gt":
            first = w.put(lb.maximum(first, lb.add(within(before, final), 1)))
        if b.kind == "lt":
            end = w.put(lb.minimum(end, within(lo, last)))
        if b.kind == "le" or b.kind == "eq":
            end = w.put(lb.minimum(end, lb.add(within(before, final), 1)))
    return first, end


def _form(w: Element, guard: Guard, form: Affine, divisor: int) -> Expr:
    total: Expr = lb.const(form.const)
    for c, v in form.terms:
        total = w.put(lb.add(total, lb.mul(value_of(w, guard, v), c)))
    return total if divisor == 1 else w.put(lb.floordiv(total, divisor))
