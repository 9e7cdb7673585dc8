"""Typed expressions to values."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lem.ir import ops
from lem.ir.accumulators import greatest, least
from lem.ir.core import Affine, Axis, Value
from lem.lower import reductions
from lem.lower.state import State, place_of
from lem.types import typed
from lem_runtime.abi.dtypes import BOOL, I64

Inline = Callable[[State, typed.FnInstance, tuple[typed.Expr | typed.ArrayVar, ...]], tuple[Value, ...]]


class Expressions:
    """Lowers expressions into `state`. `inline` lowers a call of an fn (it needs statements, which need expressions)."""

    def __init__(self, state: State, inline: Inline) -> None:
        self.st = state
        self.inline = inline

    def value(self, e: typed.Expr) -> Value:
        return getattr(self, "_" + type(e).__name__)(e)  # type: ignore[no-any-return]

    # ------------------------------------------------------------ leaves
    def _Const(self, e: typed.Const) -> Value:
        return self.st.const(e.value, e.type.dtype)

    def _DimSize(self, e: typed.DimSize) -> Value:
        return self.st.dim(e.dim)

    def _ScalarRef(self, e: typed.ScalarRef) -> Value:
        return self.st.emit(ops.Scalar(e.name, dict(self.st.fn.scalars)[e.name]))

    def _LocalRef(self, e: typed.LocalRef) -> Value:
        return self.st.env[e.local]

    def _IndexRef(self, e: typed.IndexRef) -> Value:
        return self.st.indices[e.var]

    # ------------------------------------------------------------ element by element
    def _Unary(self, e: typed.Unary) -> Value:
        return self.st.emit(ops.Unary(e.op, self.value(e.x), loc=place_of(e.span)))

    def _Binary(self, e: typed.Binary) -> Value:
        x, y = self.value(e.x), self.value(e.y)
        if e.check:
            self._check_operand(e, y)
        return self.st.emit(ops.Binary(e.op, x, y, loc=place_of(e.span)))

    def _check_operand(self, e: typed.Binary, y: Value) -> None:
        zero = self.st.const(0, y.dtype)
        if e.op in ("floordiv", "mod"):
            ok = self.st.emit(ops.Compare("ne", y, zero))
            self.st.require(ok, "E0602", "the divisor is 0", e.y.span)
        else:
            ok = self.st.emit(ops.Compare("ge", y, zero))
            self.st.require(ok, "E0604", "shift by {0}", e.y.span, (y,))

    def _Compare(self, e: typed.Compare) -> Value:
        return self.st.emit(ops.Compare(e.op, self.value(e.x), self.value(e.y), loc=place_of(e.span)))

    def _Select(self, e: typed.Select) -> Value:
        return self.st.emit(ops.Select(self.value(e.cond), self.value(e.x), self.value(e.y)))

    def _Fma(self, e: typed.Fma) -> Value:
        return self.st.emit(ops.Fma(self.value(e.x), self.value(e.y), self.value(e.z)))

    def _Cast(self, e: typed.Cast) -> Value:
        x = self.value(e.x)
        return x if x.dtype == e.type.dtype else self.st.emit(ops.Cast(x, e.type.dtype))

    def _Bits(self, e: typed.Bits) -> Value:
        x = self.value(e.x)
        return x if x.dtype == e.type.dtype else self.st.emit(ops.Bits(x, e.type.dtype))

    # ------------------------------------------------------------ guarded evaluation
    def _Logic(self, e: typed.Logic) -> Value:
        x = self.value(e.x)
        if is_plain(e.y):
            return self.st.emit(ops.Binary(e.op, x, self.value(e.y)))
        constant = self.st.const(e.op == "or", BOOL)
        if e.op == "and":
            return self.branch(x, lambda: self.value(e.y), lambda: constant)
        return self.branch(x, lambda: constant, lambda: self.value(e.y))

    def _IfExpr(self, e: typed.IfExpr) -> Value:
        cond = self.value(e.cond)
        if is_plain(e.then) and is_plain(e.orelse):
            return self.st.emit(ops.Select(cond, self.value(e.then), self.value(e.orelse)))
        return self.branch(cond, lambda: self.value(e.then), lambda: self.value(e.orelse))

    def branch(self, cond: Value, then: Callable[[], Value], orelse: Callable[[], Value]) -> Value:
        """A choice in which each side is evaluated for its own elements only."""
        with self.st.nested() as b:
            yes = then()
            then_block = b.block(yields=(yes,))
        with self.st.nested() as b:
            no = orelse()
            else_block = b.block(yields=(no,))
        return self.st.emit(ops.If(cond, then_block, else_block))

    # ------------------------------------------------------------ arrays
    def _Load(self, e: typed.Load) -> Value:
        subs = self.subscripts(e.array, e.subs)
        fill = self.value(e.fill) if e.fill is not None else None
        load = ops.Load(self.st.arrays[e.array], subs, e.boundary, fill, loc=place_of(e.span))
        return self.st.emit(load)

    def subscripts(self, array: typed.ArrayVar, subs: Iterable[typed.At | typed.Whole]) -> tuple[Affine, ...]:
        """Subscripts as affine forms, with the tests that a gather needs."""
        out = []
        for n, s in enumerate(subs):
            if isinstance(s, typed.Whole):
                out.append(Affine(((1, self.st.whole(s.axis)),)))
                continue
            index = self.value(s.index)
            if s.check:
                self.st.require_index(index, self.st.axis_size(array, n), array.name, n, s.span)
            out.append(self.st.affine(index))
        return tuple(out)

    # ------------------------------------------------------------ calls
    def _CallFn(self, e: typed.CallFn) -> Value:
        (value,) = self.inline(self.st, e.fn, e.args)
        return value

    # ------------------------------------------------------------ reductions
    def _ReduceOver(self, e: typed.ReduceOver) -> Value:
        value = self.value(e.value)
        if e.axis.kind == "whole":
            self.st.whole(e.axis)
        axis, index = self.st.axes[e.axis], self.st.axis_index[e.axis]
        if e.kind == "mean":
            return self._mean(e, value, ((axis, index),), None)
        return reductions.reduce_value(self.st, e.kind, value, index, axis, e.type.dtype)

    def _Reduce(self, e: typed.Reduce) -> Value:
        opened = [self._open(c) for c in e.clauses]
        if e.kind == "mean":
            return self._mean_of(e, opened)
        neutral = _neutral(e.kind, e.value)
        value = self._filtered(e, lambda: self.value(e.value), neutral)
        return self._close(e.kind, value, opened, e)

    def _open(self, clause: typed.Clause) -> tuple[Axis, Value]:
        lo, hi = self.bounds(clause.domain)
        assert clause.var.axis is not None
        axis = self.st.axes[clause.var.axis] = Axis(clause.var.name, "range")
        index = self.st.emit(ops.Range(axis, lo, hi, clause.domain.step, loc=place_of(clause.domain.span)))
        self.st.indices[clause.var] = self.st.axis_index[clause.var.axis] = index
        return axis, index

    def _filtered(self, e: typed.Reduce, make: Callable[[], Value], neutral: int | float | bool) -> Value:
        """`make()` where all conditions hold, else the neutral element."""
        if not e.conds:
            return make()
        cond = self.value(e.conds[0])
        for more in e.conds[1:]:
            x, y = cond, more
            cond = self.branch(x, lambda y=y: self.value(y), lambda: self.st.const(False, BOOL))  # type: ignore[misc]
        return self.branch(cond, make, lambda: self.st.const(neutral, e.value.type.dtype))

    def _close(self, kind: str, value: Value, opened: list[tuple[Axis, Value]], e: typed.Expr) -> Value:
        for axis, index in reversed(opened):
            value = reductions.reduce_value(self.st, kind, value, index, axis, e.type.dtype)
        return value

    def _mean_of(self, e: typed.Reduce, opened: list[tuple[Axis, Value]]) -> Value:
        value = self._filtered(e, lambda: self.value(e.value), 0)
        counted: Value | None = None
        if e.conds:
            counted = self._filtered_count(e)
        return self._mean(e, value, tuple(opened), counted)

    def _filtered_count(self, e: typed.Reduce) -> Value:
        cond = self.value(e.conds[0])
        for more in e.conds[1:]:
            cond = self.branch(cond, lambda m=more: self.value(m), lambda: self.st.const(False, BOOL))  # type: ignore[misc]
        return self.st.emit(ops.Cast(cond, I64))

    def _mean(
        self,
        e: typed.Reduce | typed.ReduceOver,
        value: Value,
        opened: tuple[tuple[Axis, Value], ...],
        counted: Value | None,
    ) -> Value:
        dtype = e.type.dtype
        if value.dtype != dtype:
            value = self.st.emit(ops.Cast(value, dtype))
        ones = counted if counted is not None else self.st.const(1, I64)
        for axis, index in reversed(opened):
            value = reductions.reduce_value(self.st, "sum", value, index, axis, dtype)
            ones = reductions.reduce_value(self.st, "sum", ones, index, axis, I64)
        return self.st.emit(ops.Binary("div", value, self.st.emit(ops.Cast(ones, dtype))))

    # ------------------------------------------------------------ domains
    def bounds(self, d: typed.Domain) -> tuple[Value, Value]:
        """lo and hi of a domain, tested against the dimension where they are not proven inside it."""
        lo, hi = self.value(d.lo), self.value(d.hi)
        for which, value, e in (("lo", lo, d.lo), ("hi", hi, d.hi)):
            if which in d.checks and d.dim is not None:
                size = self.st.dim(d.dim)
                low = self.st.emit(ops.Compare("ge", value, self.st.const(0, I64)))
                high = self.st.emit(ops.Compare("le", value, size))
                ok = self.st.emit(ops.Binary("and", low, high))
                text = f"bound {{0}} is outside 0..{d.dim}, which is {{1}}"
                self.st.require(ok, "E0601", text, e.span, (value, size))
        return lo, hi


def _neutral(kind: str, value: typed.Expr) -> int | float | bool:
    dtype = value.type.dtype
    table: dict[str, int | float | bool] = {"sum": 0, "prod": 1, "any": False, "all": True}
    if kind in table:
        return table[kind]
    return least(dtype) if kind in ("max", "argmax") else greatest(dtype)


def is_plain(e: typed.Expr) -> bool:
    """Whether evaluating `e` for inactive elements is harmless and cheap: no loads, checks, loops or reductions."""
    if isinstance(e, (typed.Load, typed.CallFn, typed.Reduce, typed.ReduceOver)):
        return False
    if isinstance(e, typed.Binary) and e.check:
        return False
    parts = (getattr(e, name, None) for name in ("x", "y", "z", "cond", "then", "orelse"))
    return all(is_plain(p) for p in parts if isinstance(p, typed.Expr))
