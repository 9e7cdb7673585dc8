"""Where boundary policies cannot matter: the part of the vector axis in which all subscripts are in range.

Takes the loads of a grid with `clamp`, `wrap` or `fill` and a row; gives the positions of the vector axis between which
they may be read as plain contiguous vectors. A subscript qualifies when it is ``c * index + rest``, c > 0, and the rest
has known least and greatest values for the row.
"""

from __future__ import annotations

from lem import ir
from lem.ir import ops
from lem.ir.core import Affine, Axis, Value
from lem.targets.cpu.context import ArrayRef
from lem.targets.cpu.element import Element
from lem.targets.loops import build as lb
from lem.targets.loops.core import Expr
from lem_runtime.abi.records import dataclass


@dataclass(slots=True, eq=False)
class Interior:
    """Index values first <= index < last of the vector axis in which `loads` are in range."""

    loads: set[ops.Load]
    first: Expr
    last: Expr


def bounded_loads(block: ir.Block) -> list[ops.Load]:
    return [o for o in ir.walk_ops(block) if isinstance(o, ops.Load) and o.boundary]


def find_interior(w: Element, block: ir.Block, axis: Axis) -> Interior | None:
    """None when no load gains from it. Runs where the row is known; the vector axis is not bound yet."""
    ranges = {o.result: o for o in ir.walk_ops(block) if isinstance(o, ops.Range)}
    defs = {r: o for o in ir.walk_ops(block) for r in o.results}
    out = Interior(set(), lb.const(-(1 << 62)), lb.const(1 << 62))
    for load in bounded_loads(block):
        ref = w.ref(load.array) if load.array.kind != "local" else None
        if not isinstance(ref, ArrayRef):
            continue
        along = [(s, n) for s, n in zip(load.subs, ref.sizes, strict=True) if axis in s.axes]
        limits = [_limits(w, s, n, axis, ranges, defs) for s, n in along]
        if not limits or any(found is None for found in limits):
            continue
        out.loads.add(load)
        for found in limits:
            assert found is not None
            out.first = w.put(lb.maximum(out.first, found[0]))
            out.last = w.put(lb.minimum(out.last, found[1]))
    return out if out.loads else None


def _limits(
    w: Element, sub: Affine, size: Expr, axis: Axis, ranges: dict[Value, ops.Range], defs: dict[Value, ir.Op]
) -> tuple[Expr, Expr] | None:
    """Index values between which 0 <= sub < size."""
    coef = 0
    low: Expr = lb.const(sub.const)
    high: Expr = lb.const(sub.const)
    for c, v in sub.terms:
        if w.index_of.get(v) is axis:
            coef += c
            continue
        found = _interval(w, v, axis, ranges, defs)
        if found is None:
            return None
        a, b = found if c >= 0 else (found[1], found[0])
        low = w.put(lb.add(low, lb.mul(a, c)))
        high = w.put(lb.add(high, lb.mul(b, c)))
    if coef <= 0:
        return None
    first = w.put(lb.ceildiv(lb.sub(0, low), coef))
    last = w.put(lb.add(lb.floordiv(lb.sub(lb.sub(size, 1), high), coef), 1))
    return first, last


def _interval(
    w: Element, v: Value, axis: Axis, ranges: dict[Value, ops.Range], defs: dict[Value, ir.Op]
) -> tuple[Expr, Expr] | None:
    """Least and greatest value that `v` takes in a row, as scalars known there."""
    if axis in v.axes:
        return None
    opened = ranges.get(v)
    if opened is not None:
        lo, hi = (_interval(w, b, axis, ranges, defs) for b in (opened.lo, opened.hi))
        return None if lo is None or hi is None else (lo[0], w.put(lb.sub(hi[1], 1)))
    if w.find(v) is not None or (w.index_of.get(v) in w.bound):
        x = w.eval(v)
        return (x, x)
    o = defs.get(v)
    if isinstance(o, ops.Const | ops.Dim | ops.Scalar):
        x = lb.const(o.value) if isinstance(o, ops.Const) else w.cx.named(o)
        return (x, x)
    if isinstance(o, ops.Binary) and o.kind in ("add", "sub"):
        a, b = (_interval(w, x, axis, ranges, defs) for x in (o.x, o.y))
        if a is None or b is None:
            return None
        if o.kind == "add":
            return w.put(lb.add(a[0], b[0])), w.put(lb.add(a[1], b[1]))
        return w.put(lb.sub(a[0], b[1])), w.put(lb.sub(a[1], b[0]))
    return None
