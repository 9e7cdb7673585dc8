"""Reductions: clauses become opened axes, filters become neutral elements, sums of products become contractions.

The order of a sum is decided here, from the typed program alone (LANGUAGE 30): which of its operands have the axis last,
and whether both factors of a product have a free axis of their own.
"""

from __future__ import annotations

from lem import ir
from lem.ir import ops
from lem.ir.accumulators import accumulator
from lem.ir.core import Axis, Value
from lem.lower.state import State
from lem_runtime.abi.dtypes import I64


def reduce_value(st: State, kind: str, value: Value, axis: Axis) -> Value:
    """Reduce `value` over `axis`: sum prod max min any all."""
    value = along(st, value, axis)
    acc = accumulator(kind, value.dtype)
    if kind == "sum":
        product = st.defs.get(value)
        if isinstance(product, ops.Binary) and product.kind == "mul" and _is_contraction(product, axis):
            return st.emit(ops.Contract(product.x, product.y, axis, value.dtype, loc=product.loc))
    return st.emit(ops.Reduce((value,), axis, acc, ops.Order.ANY if acc.exact else order_of(st, value, axis)))


def reduce_place(st: State, kind: str, value: Value, place: Value, axis: Axis) -> Value:
    """argmax or argmin: the `place` of the first greatest or least value, of those with a place >= 0; else -1."""
    return st.emit(ops.Reduce((along(st, value, axis), place), axis, accumulator(kind, value.dtype), ops.Order.ANY))


def count(st: State, axes: list[Axis], cond: Value | None) -> Value:
    """How many positions `axes` have together (`cond`: of those for which it holds), as an i64. Later axes may depend
    on earlier ones."""
    n = st.emit(ops.Cast(cond, I64)) if cond is not None else None
    for axis in reversed(axes):
        extent = st.defs.get(st.index_of[axis])
        if not isinstance(extent, ops.Range) or (n is not None and axis in n.axes):
            n = reduce_value(st, "sum", n if n is not None else st.const(1, I64), axis)
        else:
            here = _extent(st, extent)
            n = here if n is None else st.emit(ops.Binary("mul", n, here))
    assert n is not None
    return n


def _extent(st: State, o: ops.Range) -> Value:
    """max(0, ceil((hi - lo) / step)) as an i64."""
    span = st.emit(ops.Binary("sub", o.hi, o.lo))
    if o.step != 1:
        span = st.emit(ops.Binary("add", span, st.const(o.step - 1, I64)))
        span = st.emit(ops.Binary("floordiv", span, st.const(o.step, I64)))
    return st.emit(ops.Binary("max", span, st.const(0, I64)))


def along(st: State, value: Value, axis: Axis) -> Value:
    """`value` with `axis`, and with the axes on which the extent of `axis` depends."""
    if axis not in value.axes:
        value = st.spread(value, st.index_of[axis])
    return st.within(axis, value)


def _is_contraction(product: ops.Binary, axis: Axis) -> bool:
    return _has_free_axis(product.x, product.y, axis) and _has_free_axis(product.y, product.x, axis)


def _has_free_axis(x: Value, y: Value, axis: Axis) -> bool:
    return axis in x.axes and axis in y.axes and bool(x.axes - y.axes)


def order_of(st: State, value: Value, axis: Axis) -> ops.Order:
    """LANES when every array read along `axis` has it in its last subscript alone, as it is (in the first one of an array
    whose type says `.col`: the subscript along which neighbours lie side by side); else CHAIN.

    What another reduction or a scan gave has no layout of its own: the arrays it read do not count.
    """
    seen: set[Value] = set()
    stack = [value]
    while stack:
        value = stack.pop()
        if value in seen or axis not in value.axes:
            continue
        seen.add(value)
        op = st.defs.get(value)
        if op is None or isinstance(op, (ops.Reduce, ops.Contract, ops.Scan)):
            continue
        if isinstance(op, ops.Load):
            if not _is_last(st, op, axis):
                return ops.Order.CHAIN
            continue
        stack.extend(op.operands)
        for b in op.blocks:
            if not all(_is_last(st, o, axis) for o in ir.walk_ops(b) if isinstance(o, ops.Load)):
                return ops.Order.CHAIN
            stack.extend(b.yields)
    return ops.Order.LANES


def _is_last(st: State, load: ops.Load, axis: Axis) -> bool:
    """Whether `axis` is read along the inner subscript (plus what does not depend on it), or not at all."""
    along = [(n, c, v) for n, s in enumerate(load.subs) for c, v in s.terms if axis in v.axes]
    return not along or along == [(load.array.inner_axis, 1, st.index_of[axis])]
