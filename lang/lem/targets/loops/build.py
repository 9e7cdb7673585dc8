"""Makes loop IR: expression functions that find types and fold constants, and a builder for statements.

    b = Build()
    with b.for_("i", const(0), n, 8) as i:
        x = b.let(load(src, i, 8), "x")
        b.store(dst, i, mul(x, x))

Folding is only what keeps text and code small (index arithmetic); the optimiser does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lem.targets.loops import core as lp
from lem.targets.loops.core import INDEX, TRUTH, Block, Buffer, Const, Expr, Var, VType
from lem_runtime.abi.dtypes import BOOL, I64, DType

# ---- expressions -------------------------------------------------------------------------------------------------


def const(value: int | float | bool, dtype: DType = I64, lanes: int = 0) -> Const:
    return Const(VType(dtype, lanes), value)


def true(lanes: int = 0) -> Const:
    return Const(VType(BOOL, lanes), True)


def as_expr(x: Expr | int) -> Expr:
    """Python ints stand for i64 scalars."""
    return x if isinstance(x, Expr) else Const(INDEX, x)


def splat(x: Expr, lanes: int) -> Expr:
    """`x` with `lanes` lanes; vectors are left as they are."""
    if not lanes or x.type.lanes:
        return x
    if isinstance(x, Const):
        return Const(VType(x.type.dtype, lanes), x.value)
    return lp.Splat(VType(x.type.dtype, lanes), x)


def _match(*xs: Expr) -> tuple[Expr, ...]:
    lanes = max(x.type.lanes for x in xs)
    return tuple(splat(x, lanes) for x in xs) if lanes else xs


def _is(x: Expr, value: int) -> bool:
    return isinstance(x, Const) and x.type.dtype.is_int and x.value == value


def binary(kind: str, x: Expr | int, y: Expr | int) -> Expr:
    """Any op of ``ARITHMETIC``; a scalar operand is splatted to meet a vector."""
    x, y = as_expr(x), as_expr(y)
    folded = _fold(kind, x, y)
    if folded is not None:
        return folded
    x, y = _match(x, y)
    return lp.Binary(x.type, kind, x, y)


def _fold(kind: str, x: Expr, y: Expr) -> Expr | None:
    if x.type.dtype is I64 and isinstance(x, Const) and isinstance(y, Const) and kind in _FOLDS:
        if kind == "floordiv" and y.value <= 0:
            return None
        value = _FOLDS[kind](int(x.value), int(y.value))
        if -(1 << 63) <= value < 1 << 63:
            return Const(VType(I64, max(x.type.lanes, y.type.lanes)), value)
        return None
    x_stays, y_stays = x.type.lanes >= y.type.lanes, y.type.lanes >= x.type.lanes
    if kind in ("add", "sub") and _is(y, 0) and x_stays:
        return x
    if kind == "add" and _is(x, 0) and y_stays:
        return y
    if kind == "mul" and (_is(y, 1) and x_stays or _is(x, 0) and not y.type.lanes):
        return x
    if kind == "mul" and (_is(x, 1) and y_stays or _is(y, 0) and not x.type.lanes):
        return y
    if kind == "floordiv" and _is(y, 1) and x_stays:
        return x
    if kind in ("and", "or") and x.type.dtype.is_bool:
        return _fold_bool(kind, x, y)
    return None


def _fold_bool(kind: str, x: Expr, y: Expr) -> Expr | None:
    lanes = max(x.type.lanes, y.type.lanes)
    for a, b in ((x, y), (y, x)):
        if isinstance(a, Const):
            return splat(b if bool(a.value) == (kind == "and") else a, lanes)
    return None


_FOLDS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "max": max,
    "min": min,
    "floordiv": lambda a, b: a // b,
}


def add(x: Expr | int, y: Expr | int) -> Expr:
    return binary("add", x, y)


def sub(x: Expr | int, y: Expr | int) -> Expr:
    return binary("sub", x, y)


def mul(x: Expr | int, y: Expr | int) -> Expr:
    return binary("mul", x, y)


def minimum(x: Expr | int, y: Expr | int) -> Expr:
    return binary("min", x, y)


def maximum(x: Expr | int, y: Expr | int) -> Expr:
    return binary("max", x, y)


def and_(x: Expr, y: Expr) -> Expr:
    return binary("and", x, y)


def or_(x: Expr, y: Expr) -> Expr:
    return binary("or", x, y)


def not_(x: Expr) -> Expr:
    return lp.Unary(x.type, "not", x)


def floordiv(x: Expr | int, y: int) -> Expr:
    """Division by a positive literal, towards minus infinity."""
    return as_expr(x) if y == 1 else binary("floordiv", x, y)


def ceildiv(x: Expr | int, y: int) -> Expr:
    return floordiv(add(x, y - 1), y)


def unary(kind: str, x: Expr) -> Expr:
    return lp.Unary(x.type.of(BOOL) if kind in ("isnan", "isinf") else x.type, kind, x)


def compare(kind: str, x: Expr | int, y: Expr | int) -> Expr:
    x, y = _match(as_expr(x), as_expr(y))
    return lp.Compare(x.type.of(BOOL), kind, x, y)


def fma(x: Expr, y: Expr, z: Expr, *, exact: bool = False) -> Expr:
    x, y, z = _match(x, y, z)
    return lp.Fma(x.type, x, y, z, exact)


def select(cond: Expr, x: Expr, y: Expr) -> Expr:
    if isinstance(cond, Const):
        return splat(x if cond.value else y, max(x.type.lanes, y.type.lanes, cond.type.lanes))
    lanes = max(x.type.lanes, y.type.lanes, cond.type.lanes)
    return lp.Select(VType(x.type.dtype, lanes), cond, splat(x, lanes), splat(y, lanes))


def cast(x: Expr, to: DType) -> Expr:
    return x if x.type.dtype == to else lp.Cast(x.type.of(to), x)


def bits(x: Expr, to: DType) -> Expr:
    return x if x.type.dtype == to else lp.Bits(x.type.of(to), x)


def iota(lanes: int, dtype: DType = I64) -> Expr:
    return lp.Iota(VType(dtype, lanes))


def extract(x: Expr, lane: Expr | int) -> Expr:
    return lp.Extract(x.type.scalar, x, lane)


def insert(x: Expr, lane: Expr | int, value: Expr) -> Expr:
    return lp.Insert(x.type, x, lane, value)


def shuffle(x: Expr, y: Expr, lanes: Sequence[int]) -> Expr:
    return lp.Shuffle(VType(x.type.dtype, len(lanes)), x, y, tuple(lanes))


def lanes_of(x: Expr, start: int, n: int) -> Expr:
    """`n` neighbouring lanes of a vector."""
    return shuffle(x, x, range(start, start + n))


def concat(x: Expr, y: Expr) -> Expr:
    """The lanes of `x`, then those of `y` (both of one type)."""
    return shuffle(x, y, range(2 * x.type.lanes))


def any_lane(x: Expr) -> Expr:
    return lp.TestLanes(TRUTH, "any", x) if x.type.lanes else x


def all_lanes(x: Expr) -> Expr:
    return lp.TestLanes(TRUTH, "all", x) if x.type.lanes else x


def load(
    buffer: Buffer,
    index: Expr | int,
    lanes: int = 0,
    *,
    stride: Expr | None = None,
    mask: Expr | None = None,
    other: Expr | None = None,
) -> Expr:
    if isinstance(mask, Const) and mask.value:
        mask = None
    if stride is not None and _is(stride, 1):
        stride = None
    return lp.Load(VType(buffer.dtype, lanes), buffer, as_expr(index), stride, mask, other)


def gather(buffer: Buffer, indices: Expr, *, mask: Expr | None = None, other: Expr | None = None) -> Expr:
    if isinstance(mask, Const) and mask.value:
        mask = None
    return lp.Gather(indices.type.of(buffer.dtype), buffer, indices, mask, other)


# ---- statements --------------------------------------------------------------------------------------------------


class Build:
    """Appends statements to the innermost open block."""

    def __init__(self, block: Block | None = None) -> None:
        self.root = block or Block()
        self._open = [self.root]

    def add(self, stmt: lp.Stmt) -> None:
        self._open[-1].stmts.append(stmt)

    @property
    def here(self) -> Block:
        """The innermost open block."""
        return self._open[-1]

    @contextmanager
    def into(self, block: Block) -> Iterator[Block]:
        """Append to `block` meanwhile."""
        self._open.append(block)
        try:
            yield block
        finally:
            self._open.pop()

    # -- values
    def let(self, value: Expr | int, name: str = "t") -> Expr:
        """Name `value`, so that it is computed once; constants and immutable variables need no name."""
        value = as_expr(value)
        if isinstance(value, Const) or (isinstance(value, Var) and not value.mutable):
            return value
        var = Var(value.type, name)
        self.add(lp.Let(var, value))
        return var

    def var(self, value: Expr | int, name: str = "v") -> Var:
        """A mutable variable with a first value."""
        value = as_expr(value)
        var = Var(value.type, name, True)
        self.add(lp.Let(var, value))
        return var

    def set(self, var: Var, value: Expr | int) -> None:
        self.add(lp.Set(var, splat(as_expr(value), var.type.lanes)))

    # -- memory
    def stack(self, name: str, dtype: DType, count: int) -> Buffer:
        buffer = Buffer(name, dtype, "stack")
        self.add(lp.StackBuffer(buffer, count))
        return buffer

    def view(self, base: Buffer, offset: Expr | int, name: str = "") -> Buffer:
        buffer = Buffer(name or base.name, base.dtype, "arg" if base.space == "name" else base.space)
        self.add(lp.View(buffer, base, as_expr(offset)))
        return buffer

    def pick(self, cond: Expr, x: Buffer, y: Buffer, name: str = "") -> Buffer:
        """`x` where `cond` holds, else `y`."""
        buffer = Buffer(name or x.name, x.dtype, x.space)
        self.add(lp.Pick(buffer, cond, x, y))
        return buffer

    def store(
        self,
        buffer: Buffer,
        index: Expr | int,
        value: Expr,
        *,
        stride: Expr | None = None,
        mask: Expr | None = None,
    ) -> None:
        if isinstance(mask, Const) and mask.value:
            mask = None
        if stride is not None and _is(stride, 1):
            stride = None
        self.add(lp.Store(buffer, as_expr(index), value, stride, mask))

    def scatter(self, buffer: Buffer, indices: Expr, value: Expr, mask: Expr | None = None) -> None:
        if isinstance(mask, Const) and mask.value:
            mask = None
        self.add(lp.Scatter(buffer, indices, splat(value, indices.type.lanes), mask))

    # -- control
    @contextmanager
    def for_(self, name: str, lo: Expr | int, hi: Expr | int, step: int = 1, unroll: int = 1) -> Iterator[Var]:
        var, body = Var(INDEX, name), Block()
        self.add(lp.For(var, as_expr(lo), as_expr(hi), step, body, unroll))
        with self.into(body):
            yield var

    @contextmanager
    def if_(self, cond: Expr, likely: bool | None = None) -> Iterator[lp.If]:
        """Open the branch taken when `cond` holds; ``with b.orelse(node)`` opens the other one."""
        node = lp.If(cond, Block(), Block(), likely)
        self.add(node)
        with self.into(node.then):
            yield node

    @contextmanager
    def orelse(self, node: lp.If) -> Iterator[None]:
        with self.into(node.orelse):
            yield

    @contextmanager
    def while_(self, cond: Callable[[], Expr]) -> Iterator[None]:
        """``cond`` is called once to append the test; the loop goes on while what it gives holds."""
        test, body = Block(), Block()
        with self.into(test):
            truth = cond()
        self.add(lp.While(test, truth, body))
        with self.into(body):
            yield

    @contextmanager
    def parallel(
        self, name: str, n_units: Expr | int, chunk: Expr | int = 1, direct: Expr | None = None
    ) -> Iterator[tuple[Var, Var]]:
        lo, hi, body = Var(INDEX, "unit_lo"), Var(INDEX, "unit_hi"), Block()
        self.add(lp.ParallelFor(name, lo, hi, as_expr(n_units), as_expr(chunk), body, direct))
        with self.into(body):
            yield lo, hi
