"""Random well-formed kernels in tile IR with arguments to run them on, as a Hypothesis strategy.

``programs()`` gives :class:`Generated` values: they verify, never leave their arrays, end, race nowhere, and use every
kind of op. Two ways of running one must agree: exactly, since the order of every sum is fixed. Left out is what IEEE
leaves open: the sign of max(-0.0, 0.0) never reaches a divisor, bits of NaNs are never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lem.ir import ops
from lem.ir.accumulators import accumulator
from lem.ir.core import Affine, Array, Axis, Block, Builder, Function, Module, Op, TileType, Value
from lem.ir.printer import derived_arrays, derived_scalars, print_module
from lem_runtime.abi.artifact import Site
from lem_runtime.abi.dtypes import BF16, BOOL, F16, F32, F64, I16, I32, I64, U8, U32, DType
from lem_runtime.abi.signature import DimRule, Param, Signature

NUMBERS = (F32, F64, I32, I64)  # what arithmetic is done in
NARROW = (BF16, F16, I16, U8, U32)  # only cast to and from, compared, selected
SIGNATURE = Signature(
    "f", "kernel", ("M", "N", "K"),
    (
        Param("x", "f32", ("M", "K"), "read"), Param("y", "f32", ("K", "N"), "read"),
        Param("w", "i32", ("N",), "read"), Param("idx", "i64", ("M",), "read"), Param("s", "f32", None, "read"),
        Param("c", "f32", ("M", "N"), "inout"), Param("d", "f64", ("M", "N"), "out"),
        Param("e", "i32", ("M", "N"), "out"), Param("g", "bf16", ("M", "N"), "out"),
        Param("h", "i64", (4,), "reduce", reduce_op="add"), Param("total", "f32", None, "result"),
    ),
    (DimRule("M", "x", 0), DimRule("K", "x", 1), DimRule("N", "y", 1)),
)  # fmt: skip
_SHOWN = 20_000
_SITE = Site("E0603", "f", "values {0} {1}", None, ("i64", "i64"), ("i", "j"))


@dataclass(frozen=True)
class Generated:
    """A kernel `f` and what to call it with. `arrays()` gives new copies each time."""

    module: Module
    held: dict[str, Any]
    scalars: dict[str, float]

    def arrays(self) -> dict[str, Any]:
        return {n: a.copy() for n, a in self.held.items()}

    def __repr__(self) -> str:
        """The module and the sizes; of a very long module the beginning, which Hypothesis insists on."""
        shapes = {n: a.shape for n, a in self.held.items()}
        text = print_module(self.module)
        return f"{shapes} {self.scalars}\n{text if len(text) < _SHOWN else text[:_SHOWN] + '...'}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis asks first; its own way goes through the fields, which are whole trees."""
        printer.text(repr(self))


@st.composite
def programs(draw: st.DrawFn, *, faults: bool = False, max_ops: int = 12) -> Generated:
    """Kernels over small sizes. faults: some have an Assert that may fail."""
    fn = _Generator(draw, faults, max_ops).function()
    m, n, k = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 3, 31, 33, 300]))
    seed = np.random.default_rng(draw(st.integers(0, 99)))

    def floats(*shape: int) -> Any:
        return seed.integers(-8, 9, shape).astype(np.float32) / np.float32(3)

    held = {
        "x": floats(m, k), "y": floats(k, n), "w": seed.integers(-50, 50, n).astype(np.int32),
        "idx": seed.integers(-9, 9, m), "c": floats(m, n), "d": np.zeros((m, n)), "e": np.zeros((m, n), np.int32),
        "g": np.zeros((m, n), np.uint16), "h": np.zeros(4, np.int64), "total": np.zeros((), np.float32),
    }  # fmt: skip
    return Generated(Module({"f": fn}), held, {"s": float(draw(st.sampled_from([0.5, -2.0, 0.0])))})


class _Generator:
    def __init__(self, draw: st.DrawFn, faults: bool, max_ops: int) -> None:
        self.draw = draw
        self.faults = faults
        self.max_ops = max_ops
        self.out = Builder()
        self.pool: list[Value] = []  # values in scope
        self.open: dict[Axis, Value] = {}  # value axes in scope, with their index
        self.grid: tuple[Axis, ...] = ()
        self.arrays = {a.name: a for a in derived_arrays(SIGNATURE)}
        self.locals: list[Array] = []
        self.fixed: dict[str, Value] = {}

    # --- choices

    def one(self, options: Sequence[Any]) -> Any:
        return options[self.draw(st.integers(0, len(options) - 1))]

    def flip(self) -> bool:
        return self.draw(st.booleans())

    def emit(self, o: Op) -> Value:
        self.pool.append(self.out(o))
        return self.pool[-1]

    def const(self, value: float, t: DType) -> Value:
        return self.out(ops.Const(value, t))

    def value(self, t: DType, within: frozenset[Axis] | None = None) -> Value:
        """A value in scope of type `t` (whose axes are `within` some), or a new constant."""
        fitting = [v for v in self.pool if v.dtype == t and (within is None or v.axes <= within)]
        reuse: int = self.draw(st.integers(0, 7))
        if fitting and reuse:
            back: int = self.draw(st.integers(0, len(fitting) - 1))
            return fitting[-1 - back]  # shrinks to the newest
        if t == BOOL:
            return self.const(self.flip(), t)
        choices = [0, 1, 2, 3] + ([-1, -7] if t.is_signed or t.is_float else []) + ([0.5, -1.25] if t.is_float else [])
        return self.const(float(self.one(choices)) if t.is_float else self.one(choices), t)

    def small(self, n: int, within: frozenset[Axis] | None = None) -> Value:
        """An i64 in 0 .. n - 1."""
        return self.emit(ops.Binary("mod", self.value(I64, within), self.const(n, I64)))

    # --- the function

    def function(self) -> Function:
        self.fixed = {n: self.emit(ops.Dim(n)) for n in SIGNATURE.dims}
        self.fixed["0"] = self.emit(ops.Const(0, I64))
        self.emit(ops.Scalar("s", F32))
        if self.flip():
            self._whole()
        self._grid()
        if self.flip():
            self._grid()
        k = Axis("r", "range")
        index = self.out(ops.Range(k, self.fixed["0"], self.fixed["K"]))
        line = self.out(ops.Load(self.arrays["x"], (Affine(()), Affine(((1, index),)))))
        total = self.out(ops.Reduce((line,), k, accumulator("sum", F32), self.one(list(ops.Order)[1:])))
        self.out.add(ops.Store(self.arrays["total"], (), total))
        scalars = derived_scalars(SIGNATURE)
        return Function("f", "kernel", SIGNATURE, tuple(self.arrays.values()), scalars, self.out.block(), (_SITE,))

    def _whole(self) -> None:
        axis = Axis("K", "whole")
        self.open[axis] = self.emit(ops.Range(axis, self.fixed["0"], self.fixed["K"]))

    def _grid(self) -> None:
        axes = Axis("i", "grid"), Axis("j", "grid")
        args = tuple(Value(TileType(I64, frozenset({a})), a.name) for a in axes)
        zero = self.fixed["0"]
        self.grid = axes
        with self.nested() as b:
            self.pool += args
            self.fixed |= {"i": args[0], "j": args[1]}
            self.statements(depth=0)
            here = tuple(Affine(((1, a),)) for a in args)
            for name in ("c", "d", "e", "g"):
                if name == "c" or self.flip():
                    array = self.arrays[name]
                    value = self.value(array.dtype, frozenset(axes))
                    b.add(ops.Store(array, here, value))
            body = b.block(args)
        self.grid = ()
        bounds = (self.fixed["M"], self.fixed["N"])
        self.out.add(ops.Grid(axes, (zero, zero), bounds, (1, self.one([1, 1, 2])), body))

    @contextmanager
    def nested(self) -> Iterator[Builder]:
        saved = self.out, list(self.pool), dict(self.open), list(self.locals)
        self.out = Builder()
        yield self.out
        self.out, self.pool, self.open, self.locals = saved

    def statements(self, depth: int) -> None:
        for _ in range(self.draw(st.integers(1, self.max_ops if depth == 0 else 4))):
            options = _STRAIGHT if depth >= 2 else _STRAIGHT + _NESTED
            self.one(options)(self, depth)

    def everywhere(self) -> frozenset[Axis]:
        return frozenset(self.grid)


# ---------------------------------------------------------------- straight-line code


def _binary(g: _Generator, depth: int) -> None:
    t = g.one(NUMBERS)
    x, y = g.value(t), g.value(t)
    kinds = ["add", "sub", "mul", "max", "min"]
    kind = g.one(kinds + ["div", "floordiv", "mod"] if t.is_float else [*kinds, "and", "or", "xor", "shl", "shr",
                                                                         "floordiv", "mod"])  # fmt: skip
    if kind in ("shl", "shr"):
        y = g.emit(ops.Binary("and", y, g.const(63, t)))
    elif kind in ("floordiv", "mod", "div"):
        one = g.const(1, t)
        y = g.emit(ops.Fma(y, y, one) if t.is_float else ops.Binary("or", y, one))  # never 0
    g.emit(ops.Binary(kind, x, y))


def _unary(g: _Generator, depth: int) -> None:
    t = g.one((*NUMBERS, BOOL))
    kinds = ["neg", "abs", "sqrt", "floor", "ceil", "trunc", "round", "isnan", "isinf"]
    kind = g.one(kinds if t.is_float else ["not"] if t.is_bool else ["neg", "abs", "not"])
    g.emit(ops.Unary(kind, g.value(t)))


def _compare(g: _Generator, depth: int) -> None:
    t = g.one((*NUMBERS, *NARROW))
    g.emit(ops.Compare(g.one(["lt", "le", "gt", "ge", "eq", "ne"]), g.value(t), g.value(t)))


def _logic(g: _Generator, depth: int) -> None:
    g.emit(ops.Binary(g.one(["and", "or", "xor"]), g.value(BOOL), g.value(BOOL)))


def _select(g: _Generator, depth: int) -> None:
    t = g.one((*NUMBERS, BOOL, *NARROW))
    g.emit(ops.Select(g.value(BOOL), g.value(t), g.value(t)))


def _cast(g: _Generator, depth: int) -> None:
    every = (*NUMBERS, BOOL, *NARROW)
    g.emit(ops.Cast(g.value(g.one(every)), g.one(every)))


def _bits(g: _Generator, depth: int) -> None:
    g.emit(ops.Bits(g.value(I32), F32))


def _fma(g: _Generator, depth: int) -> None:
    t = g.one((F32, F64))
    g.emit(ops.Fma(g.value(t), g.value(t), g.value(t)))


def _load(g: _Generator, depth: int) -> None:
    array = g.arrays[g.one(["x", "y", "w", "idx"])]
    if g.flip():
        g.emit(ops.Load(array, tuple(Affine(((1, _index(g, str(n))),)) for n in array.shape)))
        return
    subs = tuple(Affine(((g.one([1, 1, -1, 2]), g.value(I64)),), g.one([0, 1, -2])) for _ in array.shape)
    boundary = g.one(["clamp", "wrap", "fill"])
    fill = g.value(array.dtype) if boundary == "fill" else None
    g.emit(ops.Load(array, subs, boundary, fill))


def _index(g: _Generator, dim: str) -> Value:
    """An index that lies in the dimension."""
    if dim == "K":
        return g.one(list(g.open.values())) if g.open else _range(g, False)
    return g.fixed[{"M": "i", "N": "j"}[dim]]


def _range(g: _Generator, ragged: bool) -> Value:
    lo, hi = g.fixed["0"], g.fixed["K"]
    if ragged:
        own = g.everywhere()
        lo = g.emit(ops.Binary("min", g.small(3, own), hi)) if g.flip() else lo
        hi = g.emit(ops.Binary("min", g.small(40, own), hi))
    axis = Axis(g.one(["k", "l"]), "range")
    g.open[axis] = g.emit(ops.Range(axis, lo, hi, g.one([1, 1, 3])))
    return g.open[axis]


def _open(g: _Generator, depth: int) -> None:
    _range(g, g.flip())


def _with_axis(g: _Generator, t: DType, index: Value) -> Value:
    """A value that has all axes of `index`."""
    x = g.value(t)
    if index.axes <= x.axes:
        return x
    return g.emit(ops.Select(g.out(ops.Compare("eq", index, index)), x, x))


def _reduce(g: _Generator, depth: int) -> None:
    if not g.open or g.flip():
        _range(g, g.flip())
    axis, index = g.one(list(g.open.items()))
    name = g.one(["sum", "dot", "max", "min", "argmax", "argmin", "any", "all"])
    t = BOOL if name in ("any", "all") else g.one(NUMBERS)
    acc = accumulator(name, t)
    xs = (_with_axis(g, t, index), index if acc.inputs == 2 and t != acc.state[-1] else _with_axis(g, t, index))
    if name in ("argmax", "argmin"):
        xs = (xs[0], index)
    order = ops.Order.ANY if acc.exact else g.one([ops.Order.LANES, ops.Order.CHAIN])
    g.emit(ops.Reduce(xs[: acc.inputs], axis, acc, order))


def _scan(g: _Generator, depth: int) -> None:
    if not g.open or g.flip():
        _range(g, g.flip())
    axis, index = g.one(list(g.open.items()))
    t = g.one(NUMBERS)
    x = _with_axis(g, t, index)
    start = g.value(t, g.everywhere())
    others = x.axes - {axis}
    state = Value(TileType(t, others | start.axes), "state")
    item = Value(TileType(t, others), "item")
    with g.nested() as b:
        new = b(ops.Binary(g.one(["add", "max", "sub"]), state, item))
        body = b.block((state, item), (new,))
    g.emit(ops.Scan((x,), axis, (start,), g.flip(), body))


def _contract(g: _Generator, depth: int) -> None:
    if not g.open or g.flip():
        _range(g, g.flip())
    axis, index = g.one(list(g.open.items()))
    t = g.one(NUMBERS)
    g.emit(ops.Contract(_with_axis(g, t, index), _with_axis(g, t, index), axis, t))


def _local(g: _Generator, depth: int) -> None:
    if not g.locals or g.flip():
        t = g.one((F32, I64, BF16))
        array = Array("v", t, (3,), "local", "inout", axes=g.everywhere())
        g.out.add(ops.Alloc(array, (g.const(3, I64),), g.value(t, g.everywhere())))
        g.locals.append(array)
    array = g.one(g.locals)
    at = (Affine(((1, g.small(3, g.everywhere())),)),)
    if g.flip():
        g.out.add(ops.Store(array, at, g.value(array.dtype, g.everywhere())))
    g.emit(ops.Load(array, at))


def _update(g: _Generator, depth: int) -> None:
    g.out.add(ops.Update("add", g.arrays["h"], (Affine(((1, g.small(4)),)),), g.value(I64)))


def _assert(g: _Generator, depth: int) -> None:
    if g.faults:
        g.out.add(ops.Assert(g.value(BOOL, g.everywhere()), 0, (g.value(I64, g.everywhere()), g.fixed["i"])))


# ---------------------------------------------------------------- nested code


def _if(g: _Generator, depth: int) -> None:
    cond, types = g.value(BOOL), [g.one((*NUMBERS, BOOL)) for _ in range(g.draw(st.integers(0, 2)))]
    blocks = []
    for _ in range(2):
        visible = frozenset({*g.grid, *g.open})
        with g.nested() as b:
            g.statements(depth + 1)
            blocks.append(b.block((), [g.value(t, visible) for t in types]))
    o = ops.If(cond, blocks[0], blocks[1])
    g.out.add(o)
    g.pool += o.results


def _carried(g: _Generator, extra: Sequence[Value] = ()) -> tuple[tuple[Value, ...], tuple[DType, ...]]:
    types = tuple(g.one(NUMBERS) for _ in range(g.draw(st.integers(1, 2))))
    return (*extra, *(g.value(t, g.everywhere()) for t in types)), types


def _loop_body(
    g: _Generator, depth: int, args: Sequence[Value], types: Sequence[DType], more: Callable[[], list[Value]]
) -> Block:
    with g.nested() as b:
        g.pool += args
        g.statements(depth + 1)
        return b.block(args, [*more(), *(g.value(t, g.everywhere()) for t in types)])


def _arg(g: _Generator, t: DType) -> Value:
    return Value(TileType(t, g.everywhere()))


def _for(g: _Generator, depth: int) -> None:
    init, types = _carried(g)
    lo, hi = g.small(3, g.everywhere()), g.small(5, g.everywhere())
    step = g.one([1, 2, -1])
    index = Value(TileType(I64, lo.axes))
    body = _loop_body(g, depth, (index, *(_arg(g, t) for t in types)), types, list)
    o = ops.For(lo, hi, step, init, body)
    g.out.add(o)
    g.pool += o.results


def _while(g: _Generator, depth: int) -> None:
    init, types = _carried(g, (g.fixed["0"],))
    limit = g.small(5, g.everywhere())
    test_args = tuple(_arg(g, t) for t in (I64, *types))
    with g.nested() as b:
        g.pool += test_args
        more = g.emit(ops.Compare("lt", test_args[0], limit))
        test = b.block(test_args, [g.emit(ops.Binary("and", more, g.value(BOOL, g.everywhere())))])
    args = tuple(_arg(g, t) for t in (I64, *types))
    body = _loop_body(g, depth, args, types, lambda: [g.emit(ops.Binary("add", args[0], g.const(1, I64)))])
    o = ops.While(init, test, body)
    g.out.add(o)
    g.pool += o.results


def _tiles(g: _Generator, depth: int) -> None:
    init, types = _carried(g)
    own = g.everywhere()
    lo = g.emit(ops.Binary("min", g.small(3, own), g.fixed["K"])) if g.flip() else g.fixed["0"]
    hi = g.emit(ops.Binary("min", g.small(200, own), g.fixed["K"])) if g.flip() else g.fixed["K"]
    axis = Axis("t", "tiles")
    index = Value(TileType(I64, frozenset({axis}) | lo.axes | hi.axes), "t")
    block = g.const(g.one([1, 7, 64]), I64) if g.flip() else None
    outer = dict(g.open)
    g.open[axis] = index
    body = _loop_body(g, depth, (index, *(_arg(g, t) for t in types)), types, list)
    g.open = outer
    o = ops.Tiles(axis, lo, hi, block, init, body)
    g.out.add(o)
    g.pool += o.results


_STRAIGHT: list[Callable[[_Generator, int], None]] = [
    _binary, _unary, _compare, _logic, _select, _cast, _bits, _fma, _load, _load, _open, _reduce, _scan, _contract, _local,
    _update, _assert,
]  # fmt: skip
_NESTED: list[Callable[[_Generator, int], None]] = [_if, _for, _while, _tiles]
