"""Values of a grid's body at one place, or at several neighbouring ones: elementwise tile IR to loop IR, without masks.

For strategies that cut a grid into tiles (``contraction``, ``tiled``): they loop over places themselves, bind each axis
to an index, and ask :class:`Points` for values. Everything here is pure and in range wherever it is asked for;
``products.is_simple`` says which ops qualify. A vector runs along at most one axis. Values that a strategy has stored in
scratch are `kept`: they are read back by position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from lem import ir
from lem.diagnostics import InternalError
from lem.ir import ops
from lem.ir.core import Axis
from lem.schedule.products import Defs, Side, below, is_simple
from lem.targets.cpu.context import ArrayRef, Context
from lem.targets.cpu.pure import PURE_OPS, pure
from lem.targets.loops import build as lb
from lem.targets.loops.core import Buffer, Const, Expr
from lem_runtime.abi.dtypes import I64
from lem_runtime.abi.records import dataclass


def outside(cx: Context, grid: ops.Grid) -> dict[ir.Value, Expr]:
    """What a grid's body finds outside of itself, and the sizes and parameters that it names."""
    env = dict(cx.values)
    for op in ir.walk_ops(grid.body):
        if isinstance(op, ops.Dim | ops.Scalar):
            env[op.result] = cx.named(op)
    return env


@dataclass(frozen=True, slots=True)
class Span:
    """Positions first .. first + count of an axis: position p has index start + p * step.

    `indices` are the values that stand for the index. `split` overrides all that where one position stands for several
    axes: it binds them (then vectors cannot run along the span).
    """

    axis: Axis | None
    indices: tuple[ir.Value, ...]
    start: Expr
    step: int
    first: Expr
    count: Expr
    split: Callable[[Points, Expr], None] | None = None


@dataclass(frozen=True, slots=True)
class Along:
    """What vectors run along: lane l has index base + l * step and lies l positions behind `position`."""

    axis: Axis
    indices: tuple[ir.Value, ...]
    base: Expr
    step: int
    lanes: int
    position: Expr


@dataclass(frozen=True, slots=True)
class Kept:
    """A value in memory: at the sum of position times stride over `axes`."""

    buffer: Buffer
    axes: tuple[Axis, ...]
    strides: tuple[Expr, ...]


Term = tuple[int, ir.Value, Expr]  # coefficient, value, stride of the array's axis


class Points:
    """Evaluates values where the builder stands; names each once per scope."""

    def __init__(self, b: lb.Build, defs: Defs, refs: Mapping[ir.Array, ArrayRef], env: Mapping[ir.Value, Expr]) -> None:
        self.b = b
        self.defs = defs
        self.refs = refs
        self.env: dict[ir.Value, Expr] = dict(env)
        self.kept: dict[ir.Value, Kept] = {}
        self.bound: dict[Axis, Expr] = {}  # axes with one index, and the position that it has
        self.along: Along | None = None
        self.mask: Expr | None = None  # lanes that may touch memory
        self._bases: dict[ir.Op, tuple[Expr, tuple[Term, ...]]] = {}

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is named inside is forgotten at the end: open one for each block."""
        saved = self.env, self.bound, self.along, self.mask, self._bases
        self.env, self.bound, self._bases = dict(self.env), dict(self.bound), dict(self._bases)
        try:
            yield
        finally:
            self.env, self.bound, self.along, self.mask, self._bases = saved

    def fork(self) -> Points:
        """A copy that goes its own way from here."""
        made = Points(self.b, self.defs, self.refs, self.env)
        made.kept, made.bound = self.kept, dict(self.bound)
        made.along, made.mask, made._bases = self.along, self.mask, dict(self._bases)
        return made

    # -- axes
    def bind(self, axis: Axis, indices: Iterable[ir.Value], index: Expr, position: Expr) -> None:
        """One index of an axis, which stands at `position` in what is kept."""
        index = self.b.let(index, axis.name)
        for v in indices:
            self.env[v] = index
        self.bound[axis] = self.b.let(position, "p")

    def go_to(self, span: Span, position: Expr) -> None:
        """Bind the axis of a span, `position` steps behind its first one."""
        where = self.b.let(lb.add(span.first, position), "p")
        if span.split is not None:
            span.split(self, where)
            return
        assert span.axis is not None
        self.bind(span.axis, span.indices, lb.add(span.start, lb.mul(where, span.step)), where)

    def run_along(self, span: Span, position: Expr, lanes: int, mask: Expr | None = None) -> None:
        """Let vectors run along a span from there on; `mask`: lanes that may touch memory."""
        assert span.axis is not None
        where = self.b.let(lb.add(span.first, position), "p")
        base = self.b.let(lb.add(span.start, lb.mul(where, span.step)), "at")
        for index in span.indices:
            self.env.pop(index, None)
        self.bound.pop(span.axis, None)
        self.along = Along(span.axis, span.indices, base, span.step, lanes, where)
        self.mask = mask

    # -- what can be known where
    def is_known(self, v: ir.Value) -> bool:
        """Has `v` one value here?"""
        return v.axes <= self.bound.keys()

    def varies(self, v: ir.Value) -> bool:
        """Does `v` differ from lane to lane?"""
        return self.along is not None and self.along.axis in v.axes

    def hoist(self, roots: Iterable[ir.Value]) -> None:
        """Compute now all that `roots` need and that is known here, before a loop is opened."""
        roots = list(roots)
        for op in below(roots, self.defs, (*self.env, *self.kept)):
            if not is_simple(op):
                continue
            if self.is_known(op.result):
                self.value(op.result)
            elif isinstance(op, ops.Load):
                self._bases[op] = self._advance(op)
        for v in roots:
            if v in self.kept and self.is_known(v):
                self.value(v)

    def _advance(self, op: ops.Load) -> tuple[Expr, tuple[Term, ...]]:
        """The known part of a load's index, and the terms still missing."""
        found = self._bases.get(op)
        if found is None:
            ref = self.refs[op.array]
            base: Expr = lb.const(0)
            terms: list[Term] = []
            for sub, stride in zip(op.subs, ref.strides, strict=True):
                base = lb.add(base, lb.mul(stride, sub.const)) if sub.const else base
                terms += [(c, v, stride) for c, v in sub.terms]
        else:
            base, terms = found[0], list(found[1])
        left = []
        for c, v, stride in terms:
            if self.is_known(v):
                base = lb.add(base, lb.mul(lb.mul(self.value(v), c), stride))
            else:
                left.append((c, v, stride))
        return self.b.let(base, "base"), tuple(left)

    def index_of(self, op: ops.Load) -> Expr:
        """Element number of a load whose indices are all known as scalars."""
        base, left = self._advance(op)
        if left:
            raise InternalError("cpu", f"an index of {op.array!r} is not known where it is needed")
        return base

    # -- values
    def value(self, v: ir.Value) -> Expr:
        """A scalar where `v` does not vary along the vectors, else a vector."""
        found = self.env.get(v)
        if found is not None:
            return found
        if self.along is not None and v in self.along.indices:
            made = self._vector_index(self.along)
        elif v in self.kept:
            made = self._read(self.kept[v])
        else:
            op = self.defs.get(v)
            if op is None:
                raise InternalError("cpu", f"{v!r} is not known where it is needed")
            made = self._op(op)
        self.env[v] = named = self.b.let(made, v.name or "t")
        return named

    def _read(self, kept: Kept) -> Expr:
        """A value that lies in memory."""
        index: Expr = lb.const(0)
        stride: Expr | None = None
        for axis, step in zip(kept.axes, kept.strides, strict=True):
            if self.along is not None and axis is self.along.axis:
                index, stride = lb.add(index, lb.mul(self.along.position, step)), step
            else:
                index = lb.add(index, lb.mul(self.bound[axis], step))
        if stride is None:
            return lb.load(kept.buffer, index)
        assert self.along is not None
        return lb.load(kept.buffer, index, self.along.lanes, stride=stride)

    def vector(self, v: ir.Value, lanes: int) -> Expr:
        return lb.splat(self.value(v), lanes)

    def _vector_index(self, along: Along) -> Expr:
        step = lb.mul(lb.iota(along.lanes), lb.const(along.step, I64, along.lanes))
        return lb.add(lb.splat(along.base, along.lanes), step)

    def _op(self, op: ir.Op) -> Expr:
        if isinstance(op, ops.Load):
            return self._load(op)
        if type(op) not in PURE_OPS:
            raise InternalError("cpu", f"{op.opname} is not known where it is needed")
        return pure(op, [self.value(v) for v in op.operands])

    def _load(self, op: ops.Load) -> Expr:
        ref = self.refs[op.array]
        base, terms = self._advance(op)
        if not terms:
            return lb.load(ref.buffer, base)
        along = self.along
        if along is None:
            raise InternalError("cpu", f"an index of {op.array!r} is not known where it is needed")
        base, stride, lanes = self._address(base, terms, along)
        if lanes is not None:
            return lb.gather(ref.buffer, lb.add(lb.splat(base, along.lanes), lanes), mask=self.mask)
        return lb.load(ref.buffer, base, along.lanes, stride=stride, mask=self.mask)

    def _address(self, base: Expr, terms: Iterable[Term], along: Along) -> tuple[Expr, Expr, Expr | None]:
        """First index, stride from lane to lane, and what else differs by lane (None: nothing)."""
        stride: Expr = lb.const(0)
        lanes: Expr | None = None
        for c, v, axis_stride in terms:
            if v in along.indices:
                base = lb.add(base, lb.mul(lb.mul(along.base, c), axis_stride))
                stride = lb.add(stride, lb.mul(axis_stride, c * along.step))
                continue
            more = lb.mul(lb.mul(self.value(v), c), axis_stride)
            lanes = more if lanes is None else lb.add(lanes, more)
        if lanes is not None:
            lanes = lb.add(lanes, lb.mul(lb.iota(along.lanes), lb.splat(stride, along.lanes)))
        return self.b.let(base, "at"), self.b.let(stride, "stride"), lanes

    # -- storing
    def place_of(self, op: ops.Store) -> Expr:
        """Element number of a store whose indices are all known as scalars."""
        ref = self.refs[op.array]
        subs = []
        for sub in op.subs:
            total: Expr = lb.const(sub.const)
            for c, v in sub.terms:
                total = lb.add(total, lb.mul(self.value(v), c))
            subs.append(total)
        return self.b.let(ref.index(subs), "place")

    def store(self, op: ops.Store, value: Expr, mask: Expr | None = None) -> None:
        """Write `value` to the op's place. Along the vectors the place must be linear."""
        ref = self.refs[op.array]
        base: Expr = lb.const(0)
        left: list[Term] = []
        for sub, axis_stride in zip(op.subs, ref.strides, strict=True):
            base = lb.add(base, lb.mul(axis_stride, sub.const)) if sub.const else base
            for c, v in sub.terms:
                if self.varies(v):
                    left.append((c, v, axis_stride))
                else:
                    base = lb.add(base, lb.mul(lb.mul(self.value(v), c), axis_stride))
        if self.along is None or not left:
            self.b.store(ref.buffer, base, value)
            return
        at, stride, lanes = self._address(base, left, self.along)
        value = lb.splat(value, self.along.lanes)
        if lanes is not None:
            self.b.scatter(ref.buffer, lb.add(lb.splat(at, self.along.lanes), lanes), value, mask)
        else:
            self.b.store(ref.buffer, at, value, stride=stride, mask=mask)


def unit_stride(op: ops.Load | ops.Store, side: Side, ref: ArrayRef) -> bool:
    """Do neighbours along an axis lie side by side in memory, as far as is known when code is made?"""
    stride = stride_along(op, side, ref)
    return isinstance(stride, Const) and stride.value == 1


def stride_along(op: ops.Load | ops.Store, side: Side, ref: ArrayRef) -> Expr | None:
    """Distance in memory between neighbours along an axis; None where it is not the same everywhere."""
    total: Expr = lb.const(0)
    for sub, stride in zip(op.subs, ref.strides, strict=True):
        for c, v in sub.terms:
            if v in side.indices:
                total = lb.add(total, lb.mul(stride, c * side.step))
            elif side.axis in v.axes:
                return None
    return total
