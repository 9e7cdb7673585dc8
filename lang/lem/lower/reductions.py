"""Reductions: clauses become opened axes, filters become neutral elements, sums of products become contractions.

The order of a sum is decided here, from the typed program alone (LANGUAGE 30): which of its operands have the axis last,
and whether both factors of a product have a free axis of their own.
"""

from __future__ import annotations

from lem import ir
from lem.ir import ops
from lem.ir.accumulators import accumulator
from lem.ir.core import Affine, Axis, Block, Value
from lem.lower.state import State, place_of
from lem_runtime.abi.dtypes import I64, DType


def reduce_value(st: State, kind: str, value: Value, index: Value, axis: Axis, dtype: DType) -> Value:
    """Reduce `value` over `axis`; `index` is the axis' own index. `dtype` is the result's (mean: of the quotient)."""
    if axis not in value.axes:
        value = st.spread(value, index)
    value = st.within(axis, value)
    if kind == "mean":
        raise AssertionError("mean is a sum and a count, see expressions")
    if kind in ("argmax", "argmin"):
        acc = accumulator(kind, value.dtype)
        return st.emit(ops.Reduce((value, index), axis, acc, ops.Order.ANY))
    if kind == "sum":
        return _sum(st, value, axis)
    acc = accumulator(kind, value.dtype)
    return st.emit(ops.Reduce((value,), axis, acc, ops.Order.ANY if acc.exact else order_of(st, (value,), axis)))


def _sum(st: State, value: Value, axis: Axis) -> Value:
    product = st.defs.get(value)
    if isinstance(product, ops.Binary) and product.kind == "mul":
        x, y = product.x, product.y
        if _has_free_axis(x, y, axis) and _has_free_axis(y, x, axis):
            return st.emit(ops.Contract(x, y, axis, value.dtype, loc=product.loc))
    acc = accumulator("sum", value.dtype)
    order = ops.Order.ANY if acc.exact else order_of(st, (value,), axis)
    return st.emit(ops.Reduce((value,), axis, acc, order))


def _has_free_axis(x: Value, y: Value, axis: Axis) -> bool:
    return axis in x.axes and axis in y.axes and bool(x.axes - y.axes)


def order_of(st: State, values: tuple[Value, ...], axis: Axis) -> ops.Order:
    """LANES when every array read along `axis` has it in its last subscript alone, as it is; else CHAIN.

    What another reduction gave has no layout of its own: the arrays it read do not count.
    """
    seen: set[Value] = set()
    stack = [v for v in values if axis in v.axes]
    while stack:
        value = stack.pop()
        if value in seen:
            continue
        seen.add(value)
        op = st.defs.get(value)
        if op is None or isinstance(op, (ops.Reduce, ops.Contract)):
            continue
        if isinstance(op, ops.Load) and not _is_last(st, op, axis):
            return ops.Order.CHAIN
        below = list(op.operands) if not isinstance(op, ops.Load) else []
        for b in op.blocks:
            if not _block_is_last(st, b, axis):
                return ops.Order.CHAIN
            below.extend(b.yields)
        stack.extend(v for v in below if axis in v.axes)
    return ops.Order.LANES


def _block_is_last(st: State, block: Block, axis: Axis) -> bool:
    loads = (o for o in ir.walk_ops(block) if isinstance(o, ops.Load))
    return all(_is_last(st, o, axis) for o in loads)


def _is_last(st: State, load: ops.Load, axis: Axis) -> bool:
    if not any(axis in s.axes for s in load.subs):
        return True
    if any(axis in s.axes for s in load.subs[:-1]):
        return False
    return _is_plain(st, load.subs[-1], axis)


def _is_plain(st: State, sub: Affine, axis: Axis) -> bool:
    """Whether a subscript is the axis' index (plus what does not depend on the axis)."""
    along = [(c, v) for c, v in sub.terms if axis in v.axes]
    return len(along) == 1 and along[0][0] == 1 and isinstance(_opener(st, along[0][1]), (ops.Range, type(None)))


def _opener(st: State, value: Value) -> ir.Op | None:
    return st.defs.get(value)


def count_of(st: State, lo: Value, hi: Value, step: int) -> Value:
    """max(0, ceil((hi - lo) / step)) as an i64."""
    span = st.emit(ops.Binary("sub", hi, lo))
    if step != 1:
        span = st.emit(ops.Binary("add", span, st.const(step - 1, I64)))
        span = st.emit(ops.Binary("floordiv", span, st.const(step, I64)))
    return st.emit(ops.Binary("max", span, st.const(0, I64)))


__all__ = ["count_of", "order_of", "place_of", "reduce_value"]
