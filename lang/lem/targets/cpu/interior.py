"""Where boundary policies cannot matter: the part of the vector axis in which all subscripts are in range.

Takes the loads of a grid with `clamp`, `wrap` or `fill` and a row; gives the positions of the vector axis between which
they may be read as plain contiguous vectors. A subscript qualifies when it is ``c * index + rest``, c > 0, and the rest
has known least and greatest values for the row: those of loops and reductions come from their bounds.

Interval arithmetic must not wrap around, or a subscript far outside would count as inside: a row in which a number that
it relies on is larger than any array's index has no interior.
"""

from __future__ import annotations

from lem import ir
from lem.ir import ops
from lem.ir.core import Affine, Axis, Value
from lem.targets.cpu.context import ArrayRef
from lem.targets.cpu.element import Element
from lem.targets.loops import build as lb
from lem.targets.loops.core import Const, Expr
from lem_runtime.abi.dtypes import I64
from lem_runtime.abi.records import dataclass

_LARGE = 1 << 48  # no index is larger
_FACTOR = 1 << 28  # what is multiplied is smaller: products fit, and sums of a few
_DEEP = 32  # operations that an interval is followed through

_Interval = tuple[Expr, Expr]  # least and greatest value


@dataclass(slots=True, eq=False)
class Interior:
    """Index values first <= index < last of the vector axis in which `loads` are in range."""

    loads: set[ops.Load]
    first: Expr
    last: Expr


def bounded_loads(block: ir.Block) -> list[ops.Load]:
    return [o for o in ir.walk_ops(block) if isinstance(o, ops.Load) and (o.boundary or o.idle)]


def find_interior(w: Element, block: ir.Block, axis: Axis) -> Interior | None:
    """None when no load gains from it. Runs where the row is known; the vector axis is not bound yet."""
    out = Interior(set(), lb.const(-(1 << 62)), lb.const(1 << 62))
    intervals = _Intervals(w, block, axis)
    for load in bounded_loads(block):
        ref = w.ref(load.array) if load.array.kind != "local" else None
        if not isinstance(ref, ArrayRef):
            continue
        along = [(s, n) for s, n in zip(load.subs, ref.sizes, strict=True) if axis in s.axes]
        limits = [intervals.limits(s, n) for s, n in along]
        if not limits or any(found is None for found in limits):
            continue
        out.loads.add(load)
        for found in limits:
            assert found is not None
            out.first = w.put(lb.maximum(out.first, found[0]))
            out.last = w.put(lb.minimum(out.last, found[1]))
    out.last = w.put(lb.select(intervals.small, out.last, out.first))
    return out if out.loads else None


class _Intervals:
    """Least and greatest values in a row, as scalars known there. small: what they rely on, besides."""

    def __init__(self, w: Element, block: ir.Block, axis: Axis) -> None:
        self.w, self.axis = w, axis
        self.small: Expr = lb.true()
        self.tested: set[tuple[Expr, int]] = set()
        self.defs = {v: known.op for v, known in w.known.items()}
        self.defs |= {r: o for o in ir.walk_ops(block) for r in o.results}
        self.turns = {o.body.args[0]: o for o in ir.walk_ops(block) if isinstance(o, ops.For)}

    def limits(self, sub: Affine, size: Expr) -> _Interval | None:
        """Index values between which 0 <= sub < size."""
        w, coef = self.w, 0
        self.test(lb.const(sub.const))
        low: Expr = lb.const(sub.const)
        high: Expr = lb.const(sub.const)
        for c, v in sub.terms:
            if w.index_of.get(v) is self.axis:
                coef += c
                continue
            found = self.of(v, _DEEP)
            if found is None:
                return None
            a, b = found if c == 1 else self.scaled(found, c)
            low = w.put(lb.add(low, a))
            high = w.put(lb.add(high, b))
        if coef <= 0:
            return None
        first = w.put(lb.ceildiv(lb.sub(0, low), coef))
        last = w.put(lb.add(lb.floordiv(lb.sub(lb.sub(size, 1), high), coef), 1))
        return first, last

    def of(self, v: Value, depth: int) -> _Interval | None:
        w, o = self.w, self.defs.get(v)
        if self.axis in v.axes or v.dtype != I64 or not depth:
            return None
        if isinstance(o, ops.Range):
            return self.positions(o.lo, o.hi, 1, depth)
        if v in self.turns:
            return self.positions(self.turns[v].lo, self.turns[v].hi, self.turns[v].step, depth)
        if isinstance(o, ops.Const | ops.Dim | ops.Scalar):
            return self.given(lb.const(o.value) if isinstance(o, ops.Const) else w.cx.named(o))
        if w.find(v) is not None or w.index_of.get(v) in w.bound:
            return self.given(w.eval(v))
        if isinstance(o, ops.Unary) and o.kind == "neg":
            x = self.of(o.x, depth - 1)
            return x and self.scaled(x, -1)
        return self.calculated(o, depth - 1) if isinstance(o, ops.Binary) else None

    def given(self, x: Expr) -> _Interval:
        self.test(x)
        return x, x

    def test(self, x: Expr, limit: int = _LARGE) -> None:
        """Rely on `x` being small."""
        if (x, limit) in self.tested or (isinstance(x, Const) and -limit < x.value < limit):
            return
        self.tested.add((x, limit))
        ok = lb.and_(lb.compare("gt", x, -limit), lb.compare("lt", x, limit))
        self.small = self.w.put(lb.and_(self.small, ok))

    def positions(self, lo: Value, hi: Value, step: int, depth: int) -> _Interval | None:
        """Of a loop from `lo` to in front of `hi`, or down to it."""
        a, b = self.of(lo, depth - 1), self.of(hi, depth - 1)
        if a is None or b is None:
            return None
        return (a[0], self.w.put(lb.sub(b[1], 1))) if step > 0 else (self.w.put(lb.add(b[0], 1)), a[1])

    def calculated(self, o: ops.Binary, depth: int) -> _Interval | None:
        w, a, b = self.w, self.of(o.x, depth), self.of(o.y, depth)
        if a is None or b is None:
            return None
        if o.kind == "add":
            return w.put(lb.add(a[0], b[0])), w.put(lb.add(a[1], b[1]))
        if o.kind == "sub":
            return w.put(lb.sub(a[0], b[1])), w.put(lb.sub(a[1], b[0]))
        if o.kind in ("min", "max"):
            return w.put(lb.binary(o.kind, a[0], b[0])), w.put(lb.binary(o.kind, a[1], b[1]))
        if o.kind == "mul":
            return self.product(a, b)
        if o.kind == "floordiv" and isinstance(b[0], Const) and b[0].value > 0:
            return w.put(lb.floordiv(a[0], int(b[0].value))), w.put(lb.floordiv(a[1], int(b[0].value)))
        return None

    def scaled(self, a: _Interval, c: int) -> _Interval:
        if c == -1:
            return self.w.put(lb.sub(0, a[1])), self.w.put(lb.sub(0, a[0]))
        coef = lb.const(c)
        return self.product(a, (coef, coef))

    def product(self, a: _Interval, b: _Interval) -> _Interval:
        """Ends of intervals times each other: the least and the greatest of them."""
        w = self.w
        for x in (*a, *b):
            self.test(x, _FACTOR)
        ends = [w.put(lb.mul(x, y)) for x in dict.fromkeys(a) for y in dict.fromkeys(b)]
        low = high = ends[0]
        for end in ends[1:]:
            low, high = w.put(lb.minimum(low, end)), w.put(lb.maximum(high, end))
        return low, high
