"""Random expressions of lem as text: every builtin, dtype, way to index and way to reduce, well typed by construction.

:class:`Expressions` holds what is in scope and makes the parameters that an expression asks for. ``program_gen`` builds
statements and kernels on it. Every choice puts what is simple first, so that Hypothesis shrinks to short programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from lem_runtime.abi.dtypes import DTYPES
from tests.support import program_data as data

FLOATS = ("f32", "f64")
WIDE_INTS = ("i64", "i32", "u32", "u64")
NUMBERS = ("f32", "i64", "i32", "f64", "u32", "u64")  # what arithmetic is done in
NARROW_FLOATS = ("f16", "bf16", "f8e4m3", "f8e5m2")
NARROW_INTS = ("i8", "u8", "i16", "u16")
NARROW = NARROW_FLOATS + NARROW_INTS
STORED = NUMBERS + NARROW + ("bool",)
WIDENS = {
    "f32": ("f16", "bf16", "i8", "u8", "i16", "u16"), "f64": ("f32", "i32", "u32", "f16", "i8"),
    "i32": NARROW_INTS, "i64": ("i32", "u32", "i8", "u16"), "u32": ("u8", "u16"), "u64": ("u32", "u8"),
}  # fmt: skip
DIMS = ("N", "M", "K", "R")
MOST_POINTS = 60_000  # elements of a grid times what each of them reduces over
SLOW_MATHS = ("exp", "tanh", "log", "sin", "erf", "rsqrt", "cbrt", "atan", "log2", "exp2")

Dim = str | int  # of an array: a dimension, an expression of dimensions, or a number


@dataclass(frozen=True, slots=True)
class Index:
    """A variable that ranges over a part of `dim`: its first `low` and last `high` places are left out, at least."""

    name: str
    dim: Dim
    low: int = 0
    high: int = 0
    is_tile: bool = False


@dataclass(frozen=True, slots=True)
class Local:
    """axes: the dimensions and variables of `tiles` that it carries. length: of an element-local array."""

    name: str
    dtype: str
    axes: frozenset[Dim] = frozenset()
    length: int = 0


@dataclass(slots=True)
class Param:
    """A parameter, result or temporary. place: the only subscripts that the grid at hand may read (it writes there)."""

    name: str
    dtype: str
    shape: tuple[Dim, ...] | None
    effect: str = ""
    value: Any = None
    place: str | None = None
    place_whole: Dim | None = None  # the axis that `place` has whole
    is_temporary: bool = False
    points_into: Dim | None = None  # its elements are indices of this dimension

    @property
    def text(self) -> str:
        sizes = "" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.name}: {self.effect + ' ' if self.effect else ''}{self.dtype}{sizes}"


@dataclass(slots=True)
class Kernel:
    """A kernel in the making: the dimensions it uses, its parameters, its text."""

    name: str
    dims: list[str] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    results: list[Param] = field(default_factory=list)
    temporaries: list[Param] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Fn:
    """An fn with parameters and result of one type; `dtype` None: of any float."""

    name: str
    dtype: str | None
    arity: int


class Expressions:
    """Draws expressions. faults: some subscripts, divisors and shifts are not guarded."""

    def __init__(self, draw: st.DrawFn, faults: bool) -> None:
        self.draw = draw
        self.faults = faults
        self.kernel = Kernel("main")
        self.sizes: dict[str, int] = {}  # of the dimensions, in the one call that is made
        self.indices: list[Index] = []
        self.locals: list[Local] = []
        self.fns: list[Fn] = []
        self.whole: Dim | None = None  # the dimension whose whole axis the value at hand has
        self.hidden: frozenset[str] = frozenset()  # variables of `tiles` that the value at hand must not carry
        self.points = 1
        self.n_subscripts = 0  # subscripts around the expression at hand
        self.n_named = 0
        self.in_fn = False  # no arrays and no dimensions here

    # ------------------------------------------------------------ choices
    def one(self, options: Sequence[Any]) -> Any:
        return options[self.draw(st.integers(0, len(options) - 1))]

    def some(self, most: int, least: int = 0) -> int:
        return self.draw(st.integers(least, most))

    def flip(self) -> bool:
        return self.draw(st.booleans())

    def rarely(self, n: int) -> bool:
        """One time in `n`; shrinks to never."""
        return self.draw(st.integers(0, n - 1)) == n - 1

    def name(self, stem: str) -> str:
        self.n_named += 1
        return f"{stem}{self.n_named}"

    # ------------------------------------------------------------ sizes and parameters
    def size(self, dim: Dim) -> int:
        """How long the axis is in the one call that is made."""
        return dim if isinstance(dim, int) else int(eval(dim, {}, self.sizes))

    def dim(self) -> str:
        """A dimension, new or used before."""
        name: str = self.one(DIMS)
        if name not in self.sizes:
            self.sizes[name] = self.one(data.SIZES)
        if name not in self.kernel.dims:
            self.kernel.dims.append(name)
        return name

    def affordable(self, dim: Dim) -> bool:
        return self.points * max(1, self.size(dim)) <= MOST_POINTS

    @contextmanager
    def open(self, index: Index, size: int) -> Iterator[Index]:
        """`index` is in scope; `size`: how many values it takes."""
        points, self.points = self.points, self.points * max(1, size)
        self.indices.append(index)
        yield index
        self.indices.pop()
        self.points = points

    @contextmanager
    def carrying(self, whole: Dim | None, hidden: frozenset[str]) -> Iterator[None]:
        """Values built here have the whole axis, and not the axes of the `hidden` variables."""
        saved = self.whole, self.hidden
        self.whole, self.hidden = whole, hidden
        yield
        self.whole, self.hidden = saved

    def array(self, dtype: str, shape: tuple[Dim, ...]) -> Param:
        """An array that may be read anywhere."""
        known = [
            p for p in (*self.kernel.params, *self.kernel.temporaries)
            if (p.dtype, p.shape, p.place, p.points_into) == (dtype, shape, None, None)
            and p.effect in ("", "inout")
        ]  # fmt: skip
        if known and not self.rarely(4):
            return self.one(known)
        value = data.values(dtype, [self.size(d) for d in shape], self.one(data.MODES), self.some(9))
        return self.add(Param(self.name("x"), dtype, shape, "", value))

    def add(self, p: Param) -> Param:
        self.kernel.params.append(p)
        return p

    def pointers(self, into: Dim, shape: tuple[Dim, ...]) -> Param:
        """An array of indices into a dimension."""
        known = [p for p in self.kernel.params if (p.points_into, p.shape) == (into, shape)]
        if known:
            return known[0]
        dtype = self.one(("i64", "i32", "u8") if self.size(into) <= 256 else ("i64", "i32"))
        value = data.indices(dtype, [self.size(d) for d in shape], self.size(into), self.some(9))
        return self.add(Param(self.name("p"), dtype, shape, "", value, points_into=into))

    def scalar(self, dtype: str) -> str:
        known = [p for p in self.kernel.params if p.shape is None and p.dtype == dtype]
        if known:
            return known[0].name
        value = data.values(dtype, (), self.one(("small", "special")), self.some(9))
        return self.add(Param(self.name("a"), dtype, None, "", value.item())).name

    # ------------------------------------------------------------ what is in scope
    def visible(self) -> list[Index]:
        return [i for i in self.indices if i.name not in self.hidden]

    def readable(self) -> list[Local]:
        """Locals whose axes the value at hand may have."""
        may_have = {i.name for i in self.visible()} | ({self.whole} if self.whole is not None else set())
        return [v for v in self.locals if not v.length and v.axes <= may_have]

    def subscript(self, dim: Dim) -> str | None:
        """A subscript that is known to lie in the dimension; None where nothing is at hand."""
        size = self.size(dim)
        is_plain = self.n_subscripts > 1  # what stands in a subscript of a subscript is an index or a number
        options: list[Callable[[], str | None]] = []
        for i in reversed(self.visible()):
            if i.dim == dim:
                options += [lambda i=i: i.name] + ([] if is_plain else [lambda i=i: self._shifted(i, dim)])
        if isinstance(dim, int) and dim > 0:
            options.append(lambda: str(self.some(dim - 1)))
        if dim == self.whole:
            options = [lambda: ":", *options]
        elif size > 0 and not options and not is_plain:
            options.append(lambda: self._gathered(dim))
        return self.one(options)() if options else None

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """An expression inside of a subscript."""
        self.n_subscripts += 1
        yield
        self.n_subscripts -= 1

    def _shifted(self, i: Index, dim: Dim) -> str:
        options = [f"{i.name} - {n}" for n in range(1, i.low + 1)] + [f"{i.name} + {n}" for n in range(1, i.high + 1)]
        last = f"{dim} - 1" if isinstance(dim, str) else str(dim - 1)
        return self.one([*options, f"{last} - {i.name}", *([self._gathered(dim)] if self.size(dim) else [])])

    def _gathered(self, dim: Dim) -> str:
        """A subscript that is checked where it runs, and right."""
        outer = [i for i in self.visible() if self.size(i.dim)]
        if outer and not self.rarely(3):
            i = self.one(outer)
            return f"{self.pointers(dim, (i.dim,)).name}[{i.name}]"
        with self.deeper():
            return f"{self.expr('i64', 1)} % {dim}"

    def load(self, dtype: str) -> str | None:
        """An element (or with a whole axis in the making, maybe all along it) of an array of this type."""
        if self.in_fn:
            return None
        own = [
            p for p in self.kernel.params + self.kernel.temporaries
            if p.place is not None and p.dtype == dtype and p.place_whole in (None, self.whole) and p.effect != "out"
        ]  # fmt: skip
        if own and self.rarely(3):
            p = self.one(own)
            return f"{p.name}[{p.place}]"
        visible = self.visible()
        dims = list(dict.fromkeys(i.dim for i in reversed(visible)))
        if self.whole is not None:
            dims = [self.whole, *(d for d in dims if d != self.whole)]
        if not dims or self.rarely(6):
            dims = [self.dim(), *dims]
        shape = tuple(self.one(dims) for _ in range(self.some(2, least=1)))
        if self.whole is not None and shape.count(self.whole) > 1:
            shape = shape[:1]
        if self.rarely(8):
            shape = (*shape, self.some(3, least=1))
        if self.rarely(5) and self.n_subscripts < 2:
            return self._bounded(dtype, shape)
        subscripts = [self.subscript(d) for d in shape]
        if None in subscripts:
            return None
        if self.faults and self.rarely(4):
            with self.deeper():
                subscripts[0] = self.expr("i64", 1)
        return f"{self.array(dtype, shape).name}[{', '.join(map(str, subscripts))}]"

    def _bounded(self, dtype: str, shape: tuple[Dim, ...]) -> str:
        """A read that says what lies outside, or that a condition guards."""
        with self.deeper():
            return self._bounded_inside(dtype, shape)

    def _bounded_inside(self, dtype: str, shape: tuple[Dim, ...]) -> str:
        name = self.array(dtype, shape).name
        inside = [i for i in self.visible() if i.dim == shape[0]]
        if inside and len(shape) == 1 and self.flip():
            i = self.one(inside)
            n = self.some(2, least=1)
            test, at = self.one([(f"{i.name} >= {n}", f"- {n}"), (f"{i.name} + {n} < {shape[0]}", f"+ {n}")])
            return f"({name}[{i.name} {at}] if {test} else {self.expr(dtype, 0)})"
        kinds = ["fill"] + (["clamp", "wrap"] if all(self.size(d) for d in shape) or self.faults else [])
        kind = self.one(kinds)
        subscripts = []
        for d in shape:
            here = [i.name for i in self.visible() if i.dim == d] or ["0"]
            near = f"{self.one([1, 2, -1])} * {self.one(here)} + {self.some(9) - 4}"
            subscripts.append(self.one([near, self.subscript(d) or near, f"{self.expr('i64', 1)} % 50"]))
        subscripts = [near if s == ":" else s for s in subscripts]
        reader = f"fill({name}, {self.literal(dtype)})" if kind == "fill" else f"{kind}({name})"
        return f"{reader}[{', '.join(subscripts)}]"

    # ------------------------------------------------------------ expressions
    def literal(self, dtype: str) -> str:
        t = DTYPES[dtype]
        if t.is_bool:
            return self.one(["True", "False"])
        if t.is_int:
            return f"{dtype}({self.one([1, 0, 2, 7, 100, *([-1, -5] if t.is_signed else [])])})"
        return f"{dtype}({self.one(['1', '0.0', '0.5', '-1.25', '0.1', '3.0', '-0.0', 'inf'])})"

    def expr(self, dtype: str, depth: int) -> str:
        """An expression of exactly this type."""
        if self.n_subscripts > 1:
            depth = 0
        if depth <= 0 or self.rarely(5):
            return self.leaf(dtype)
        if dtype == "bool":
            kinds = _BOOL
        elif dtype in NARROW:
            kinds = _NARROW
        else:
            kinds = _FLOAT if dtype in FLOATS else _INT
        return self.one(kinds)(self, dtype, depth - 1)

    def leaf(self, dtype: str) -> str:
        found = [v for v in reversed(self.readable()) if v.dtype == dtype]
        if found and self.flip():
            return self.one(found).name
        options: list[Callable[[], str | None]] = [lambda: self.load(dtype), lambda: self.literal(dtype)]
        if dtype != "bool" and self.visible():
            options.append(lambda: self._of_index(dtype))
        arrays = [v for v in self.locals if v.dtype == dtype and v.length]
        if arrays:
            options.append(lambda: self._local_element(self.one(arrays)))
        if self.rarely(6) and dtype in NUMBERS and not self.in_fn:
            return self.scalar(dtype)
        return self.one(options)() or self.literal(dtype)

    def _of_index(self, dtype: str) -> str:
        i = self.one(self.visible()).name
        return i if dtype == "i64" else f"{dtype}({i})"

    def _local_element(self, v: Local) -> str:
        return f"{v.name}[{self.some(v.length - 1)}]" if self.flip() else f"{v.name}[{self.expr('i64', 0)} % {v.length}]"

    def operand(self, dtype: str, depth: int) -> str:
        """An operand that widens to this type."""
        if self.rarely(4):
            return self.expr(self.one(WIDENS[dtype]), min(depth, 1))
        return self.expr(dtype, depth)

    # ------------------------------------------------------------ reductions
    def reduction(self, kind: str, dtype: str, depth: int) -> str:
        """``kind(value for ... if ...)`` or ``kind(value, over=...)`` over values of this type."""
        tiles = [i for i in self.visible() if i.is_tile]
        if self.whole is not None and self.rarely(3):
            return f"{kind}({self.with_whole(dtype, depth)}, over={self.whole})"
        if tiles and self.flip():
            value = f"where({tiles[-1].name} >= 0, {self.expr(dtype, depth)}, {self.literal(dtype)})"
            return f"{kind}({value}, over={tiles[-1].name})"
        more = not kind.startswith("arg") and self.rarely(4)
        return self._comprehension(kind, dtype, depth, more)

    def with_whole(self, dtype: str, depth: int) -> str:
        """A value that certainly has the whole axis in the making."""
        assert self.whole is not None
        there = f"{self.array(dtype, (self.whole,)).name}[:] == {self.literal(dtype)}"
        return f"where({there}, {self.literal(dtype)}, {self.expr(dtype, depth)})"

    def _comprehension(self, kind: str, dtype: str, depth: int, more: bool) -> str:
        text, index, size = self.domain(must_be_some=kind in ("argmax", "argmin") and not self.faults)
        with self.open(index, size):
            clause = f"for {index.name} in {text}"
            if more and self.points < MOST_POINTS // 20:
                inner, second, n = self.domain()
                with self.open(second, n):
                    clause += f" for {second.name} in {inner}"
                    value, filters = self._value_and_filters(kind, dtype, depth)
            else:
                value, filters = self._value_and_filters(kind, dtype, depth)
        return f"{kind}({value} {clause}{filters})"

    def _value_and_filters(self, kind: str, dtype: str, depth: int) -> tuple[str, str]:
        value = self.expr(dtype, depth)
        if kind.startswith("arg") or not self.rarely(4):
            return value, ""
        return value, "".join(f" if {self.expr('bool', 1)}" for _ in range(self.some(2, least=1)))

    def domain(self, must_be_some: bool = False) -> tuple[str, Index, int]:
        """What a comprehension runs over: its text, its variable, and at most how many values that takes."""
        name = self.name("k")
        if self.in_fn:
            return self._small_range(name, 1 if must_be_some else 0)
        options: list[Callable[[], tuple[str, Index, int] | None]] = [
            lambda: self._small_range(name, 1 if must_be_some else 0),
            lambda: self._over_dim(name, must_be_some),
            lambda: self._over_dim(name, must_be_some),
        ]
        if not must_be_some:
            options += [lambda: self._slice(name), lambda: self._sparse_row(name), lambda: self._triangle(name)]
        return self.one(options)() or (f"range({self.some(3, least=1)})", Index(name, 3, 0, 0), 3)

    def _small_range(self, name: str, least: int) -> tuple[str, Index, int]:
        if self.flip():
            n = self.some(4, least=least)
            return f"range({n})", Index(name, max(n, 1)), n
        text = f"{self.expr('i64', 1)} % {self.some(6, least=1)}"
        return f"range({text}{' + 1' if least else ''})", Index(name, 7), 7

    def _over_dim(self, name: str, must_be_some: bool) -> tuple[str, Index, int] | None:
        d = self.dim()
        if not self.affordable(d) or d == self.whole or (must_be_some and not self.size(d)):
            return None
        return self.one([d, d, f"range({d})"]), Index(name, d), self.size(d)

    def _slice(self, name: str) -> tuple[str, Index, int] | None:
        d = self.dim()
        if not self.affordable(d) or d == self.whole:
            return None
        low, high = self.some(2), self.some(2)
        text = f"{d}[{low or ''}:{-high if high else ''}{self.one(['', '', ':2', ':3'])}]"
        return text, Index(name, d, low, high), self.size(d)

    def _triangle(self, name: str) -> tuple[str, Index, int] | None:
        """A slice that ends or begins at a variable of the grid."""
        ranges = [i for i in self.visible() if isinstance(i.dim, str) and not i.is_tile and i.name[0] in "ij"]
        if not ranges:
            return None
        i = self.one(ranges)
        if not self.affordable(i.dim) or i.dim == self.whole:
            return None
        text = self.one([f"{i.dim}[:{i.name} + 1]", f"{i.dim}[:{i.name}]", f"{i.dim}[{i.name}:]", f"{i.dim}[{i.name} + 1:]"])
        return text, Index(name, i.dim), self.size(i.dim)

    def _sparse_row(self, name: str) -> tuple[str, Index, int] | None:
        rows = [i for i in self.visible() if isinstance(i.dim, str) and i.dim in DIMS]
        d = self.dim()
        if not rows or not self.affordable(d) or d == self.whole:
            return None
        i = self.one(rows)
        starts = [p for p in self.kernel.params if p.shape == (f"{i.dim} + 1",) and p.points_into == f"{d} + 1"]
        if not starts:
            value = data.row_starts(self.size(i.dim), self.size(d), self.some(9))
            starts = [self.add(Param(self.name("p"), "i64", (f"{i.dim} + 1",), "", value, points_into=f"{d} + 1"))]
        p = starts[0].name
        return f"{d}[{p}[{i.name}]:{p}[{i.name} + 1]]", Index(name, d), self.size(d)

    # ------------------------------------------------------------ products
    def product(self, dtype: str) -> str:
        """A sum of products in one of the forms that people write, which may be a contraction."""
        outer = [i for i in self.visible() if not i.is_tile]
        if len(outer) < 2 or self.in_fn:
            return self.leaf(dtype)
        d = self.dim()
        if not self.affordable(d) or d == self.whole:
            return self.leaf(dtype)
        i, j = outer[-2], outer[-1]
        with self.open(Index(self.name("k"), d), self.size(d)) as k:
            a, b = self._factor(dtype, i, k), self._factor(dtype, k, j)
            value = self.one([f"{a} * {b}", f"{b} * {a}", f"{self.leaf(dtype)} * {a} * {b}"])
            if self.rarely(4):
                value = f"{value} + {self._factor(dtype, i, k)} * {self._factor(dtype, k, j)}"
            filters = f" if {self.expr('bool', 1)}" if self.rarely(6) else ""
            domain = self.one([d, d, f"{d}[1:]", f"{d}[:-1]"]) if k.low == 0 else d
        total = f"sum({value} for {k.name} in {domain}{filters})"
        ends = [total, total, f"({total} + {self.leaf(dtype)})", f"max({total}, {self.literal(dtype)})"]
        return self.one(ends)

    def _factor(self, dtype: str, i: Index, k: Index) -> str:
        """A factor that depends on both variables: an element, converted, moved or scaled."""
        stored = self.one((dtype, dtype, *WIDENS[dtype]))
        a = self.array(stored, (i.dim, k.dim)).name
        plain = f"{a}[{i.name}, {k.name}]"
        turned = f"{self.array(stored, (k.dim, i.dim)).name}[{k.name}, {i.name}]"
        text = self.one([plain, turned])
        text = text if stored == dtype else f"{dtype}({text})"
        return self.one([text, text, f"({text} + {self.literal(dtype)})", f"({text} * {self.leaf(dtype)})"])


# ---------------------------------------------------------------- one function per form, by the type that it gives
Form = Callable[[Expressions, str, int], str]


def _leaf(g: Expressions, t: str, depth: int) -> str:
    return g.leaf(t)


def _arithmetic(g: Expressions, t: str, depth: int) -> str:
    return f"({g.expr(t, depth)} {g.one('+*-')} {g.operand(t, depth)})"


def _divide(g: Expressions, t: str, depth: int) -> str:
    x, y = g.expr(t, depth), g.expr(t, depth)
    if t in FLOATS:
        return f"({x} {g.one(['/', '//', '%'])} {y})"
    return f"({x} {g.one(['//', '%'])} {y if g.faults and g.rarely(3) else f'({y} | 1)'})"


def _extreme(g: Expressions, t: str, depth: int) -> str:
    return f"{g.one(['max', 'min'])}({g.expr(t, depth)}, {g.expr(t, depth)})"


def _choice(g: Expressions, t: str, depth: int) -> str:
    cond, a, b = g.expr("bool", depth), g.expr(t, depth), g.expr(t, depth)
    return g.one([f"({a} if {cond} else {b})", f"where({cond}, {a}, {b})"])


def _cast(g: Expressions, t: str, depth: int) -> str:
    return f"{t}({g.expr(g.one([s for s in STORED if s != t]), depth)})"


def _unary(g: Expressions, t: str, depth: int) -> str:
    if t in FLOATS:
        return g.one(["abs({})", "(-{})", "sqrt({})", "floor({})", "ceil({})", "trunc({})", "round({})"]).format(
            g.expr(t, depth)
        )
    signed = ["abs({})", "(-{})"] if t[0] == "i" else []
    return g.one(["(~{})", *signed]).format(g.expr(t, depth))


def _maths(g: Expressions, t: str, depth: int) -> str:
    if g.rarely(3):
        return f"{g.one(SLOW_MATHS)}({g.expr(t, min(depth, 1))})"
    if g.flip():
        return f"({g.expr(t, depth)} ** {g.some(4)})"
    return f"fma({g.expr(t, depth)}, {g.expr(t, depth)}, {g.expr(t, depth)})"


def _bits(g: Expressions, t: str, depth: int) -> str:
    x, y = g.expr(t, depth), g.expr(t, depth)
    op = g.one(["&", "|", "^", "<<", ">>"])
    if op in ("<<", ">>") and not (g.faults and g.rarely(3)):
        y = f"({y} & {g.one([7, 31, 127])})"
    return f"({x} {op} {y})"


def _reduce(g: Expressions, t: str, depth: int) -> str:
    kinds = ["sum", "sum", "max", "min", "prod", *(["mean"] if t in FLOATS else [])]
    return g.reduction(g.one(kinds), t, depth)


def _count(g: Expressions, t: str, depth: int) -> str:
    """What reduces to an i64: counts and places."""
    if g.flip():
        text = g.reduction("sum", "bool", depth)
    else:
        text = g.reduction(g.one(["argmax", "argmin"]), g.one(NUMBERS + NARROW_INTS), depth)
    return text if t == "i64" else f"{t}({text})"


def _product(g: Expressions, t: str, depth: int) -> str:
    return g.product(t)


def _call(g: Expressions, t: str, depth: int) -> str:
    fits = [f for f in g.fns if f.dtype == t or (f.dtype is None and t in FLOATS)]
    if not fits:
        return g.leaf(t)
    f = g.one(fits)
    return f"{f.name}({', '.join(g.expr(t, depth) for _ in range(f.arity))})"


def _compare(g: Expressions, t: str, depth: int) -> str:
    of = g.one(NUMBERS + NARROW)
    op = g.one(["<", "<=", ">", ">=", "==", "!="])
    if g.rarely(5):
        return f"({g.expr(of, depth)} {op} {g.expr(of, depth)} {g.one(['<', '<='])} {g.expr(of, depth)})"
    return f"({g.expr(of, depth)} {op} {g.expr(of, depth)})"


def _logic(g: Expressions, t: str, depth: int) -> str:
    return f"({g.expr(t, depth)} {g.one(['and', 'or', '&', '|', '^'])} {g.expr(t, depth)})"


def _not(g: Expressions, t: str, depth: int) -> str:
    return f"(not {g.expr(t, depth)})"


def _quantified(g: Expressions, t: str, depth: int) -> str:
    return g.reduction(g.one(["any", "all"]), "bool", depth)


def _class(g: Expressions, t: str, depth: int) -> str:
    return f"{g.one(['isnan', 'isinf'])}({g.expr(g.one(FLOATS), depth)})"


def _narrow_extreme(g: Expressions, t: str, depth: int) -> str:
    return g.reduction(g.one(["max", "min"]), t, depth)


_FLOAT: tuple[Form, ...] = (
    _leaf, _arithmetic, _arithmetic, _divide, _extreme, _choice, _cast, _unary, _maths, _reduce, _reduce, _product, _call,
)  # fmt: skip
_INT: tuple[Form, ...] = (
    _leaf, _arithmetic, _arithmetic, _divide, _bits, _extreme, _choice, _cast, _unary, _reduce, _reduce, _count, _product,
    _call,
)  # fmt: skip
_NARROW: tuple[Form, ...] = (_leaf, _cast, _cast, _choice, _extreme, _narrow_extreme)
_BOOL: tuple[Form, ...] = (_compare, _compare, _logic, _not, _choice, _quantified, _class)
