"""Questions asked of tile IR: how much work a step is, what a grid reads and writes, what a contraction looks like.

Takes a function; gives plain data over size expressions (``abi.sizes``), which travel in the artifact: the runtime
predicts, splits and moves data without the compiler. Everything here is an estimate from above or exact, except that
the length of a ragged axis is taken at the middle of the elements it depends on, and a `while` counts as one turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lem.ir import ops
from lem.ir.constants import TILES_BLOCK
from lem.ir.core import Affine, Array, Axis, Block, Function, Module, Op, Value, walk_ops
from lem.ir.sizing import add, ceil_div, floor_div, larger, mod, mul, smaller, sub, substitute
from lem_runtime.abi.artifact import Work
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.sizes import Size, names_in


@dataclass(frozen=True, slots=True)
class Extent:
    """Where an access lies on one axis of its array: from ``sum(coef * index) + lo`` up to, excluding, the same + hi.
    The indices are those of the grid's axes."""

    terms: tuple[tuple[int, Axis], ...]
    lo: Size
    hi: Size


@dataclass(frozen=True, slots=True)
class Touch:
    """kind: "read" | "write" | "update". region: per axis of the array; None where it may be anywhere."""

    array: Array
    kind: str
    region: tuple[Extent | None, ...]


@dataclass(frozen=True, slots=True)
class GridInfo:
    """A parallel step: its axes with (lo, hi, step), None where a bound is computed; what each element touches."""

    grid: ops.Grid
    bounds: tuple[tuple[Size | None, Size | None, int], ...]
    touches: tuple[Touch, ...]


@dataclass(frozen=True, slots=True)
class ContractionInfo:
    """A sum of products. Axes with their lengths (None: not known): of x alone, of y alone, of both, and summed."""

    op: ops.Contract
    grid: ops.Grid | None
    x_free: tuple[tuple[Axis, Size | None], ...]
    y_free: tuple[tuple[Axis, Size | None], ...]
    shared: tuple[tuple[Axis, Size | None], ...]
    length: Size | None


def work(fn: Function, module: Module | None = None) -> tuple[Work, ...]:
    """Flops and bytes of each step of `fn`: a grid, a call (whose cost is known with its module), and what sequential
    code computes itself. Bytes count each element of an array once per step. None where unknown."""
    return _work_of(fn, module, ())


def _work_of(fn: Function, module: Module | None, around: tuple[str, ...]) -> tuple[Work, ...]:
    """`around`: functions whose work is being added up; what calls itself costs nobody knows what."""
    facts = FunctionFacts(fn)
    found: list[Work] = []
    rest = facts.cost([o for o in fn.body.ops if not isinstance(o, ops.Grid | ops.Call)], 1, skip=True)
    for o, times in facts.steps(fn.body, 1):
        if isinstance(o, ops.Grid):
            label = o.label or f"{fn.name}({', '.join(a.name for a in o.axes)})"
            found.append(_work(label, facts.cost([o], times)))
        elif isinstance(o, ops.Call):
            found.append(_call_work(facts, o, times, module, (*around, fn.name)))
    return (*found, _work(fn.name, rest)) if rest.counts else tuple(found)


def grids(fn: Function) -> tuple[GridInfo, ...]:
    """All grids of a function with their read and write sets, in order."""
    facts = FunctionFacts(fn)
    return tuple(
        GridInfo(
            o,
            tuple((facts.size(lo), facts.size(hi), s) for lo, hi, s in zip(o.lo, o.hi, o.step, strict=True)),
            facts.touches(o),
        )
        for o in walk_ops(fn.body)
        if isinstance(o, ops.Grid)
    )


def contractions(fn: Function) -> tuple[ContractionInfo, ...]:
    """All contractions of a function, in order."""
    facts = FunctionFacts(fn)
    return tuple(facts.contraction(o, g) for o, g in _within(fn.body, None) if isinstance(o, ops.Contract))


def _within(block: Block, grid: ops.Grid | None) -> Iterator[tuple[Op, ops.Grid | None]]:
    for o in block.ops:
        yield o, grid
        for b in o.blocks:
            yield from _within(b, o if isinstance(o, ops.Grid) else grid)


# ---------------------------------------------------------------- what is known about a function


@dataclass(slots=True)
class _Cost:
    """Flops, and bytes by array; None once something unknown was met. counts: whether there is anything at all."""

    flops: Size | None = 0
    read: Size | None = 0
    written: Size | None = 0
    counts: bool = False


def _work(label: str, c: _Cost) -> Work:
    return Work(label, c.flops, c.read, c.written)


class FunctionFacts:
    """Who defines each value, and how long each axis is."""

    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self.made: dict[Value, Op] = {}
        self.loop: dict[Value, ops.For] = {}
        self.bounds: dict[Axis, tuple[Value, Value, int]] = {}
        self.index: dict[Value, Axis] = {}
        self.sizes: dict[Array, tuple[Value, ...]] = {}
        for o in walk_ops(fn.body):
            self._note(o)

    def _note(self, o: Op) -> None:
        self.made.update((r, o) for r in o.results)
        if isinstance(o, ops.Range):
            self.bounds[o.axis], self.index[o.result] = (o.lo, o.hi, o.step), o.axis
        elif isinstance(o, ops.Tiles):
            self.bounds[o.axis], self.index[o.body.args[0]] = (o.lo, o.hi, 1), o.axis
        elif isinstance(o, ops.Grid):
            for axis, lo, hi, step, arg in zip(o.axes, o.lo, o.hi, o.step, o.body.args, strict=True):
                self.bounds[axis], self.index[arg] = (lo, hi, step), axis
        elif isinstance(o, ops.For):
            self.loop[o.body.args[0]] = o
        elif isinstance(o, ops.Alloc):
            self.sizes[o.array] = o.sizes
        elif isinstance(o, ops.View):
            self.sizes[o.array] = tuple(s for s in o.sizes if s is not None)

    # --- values as sizes

    def size(self, v: Value, middle: bool = False) -> Size | None:
        """An i64 value as a size expression; None when it depends on data or on an index (`middle`: then the index is
        taken at the middle of its range)."""
        o = self.made.get(v)
        if isinstance(o, ops.Const):
            return int(o.value)
        if isinstance(o, ops.Dim):
            return o.name
        if isinstance(o, ops.Scalar) and o.dtype.is_int:
            return o.name
        if isinstance(o, ops.Cast) and o.x.dtype.is_int and o.to.is_int:
            return self.size(o.x, middle)
        if isinstance(o, ops.Binary) and o.kind in _AS_SIZES:
            a, b = self.size(o.x, middle), self.size(o.y, middle)
            return None if a is None or b is None else _AS_SIZES[o.kind](a, b)
        return self._middle(v) if middle else None

    def _middle(self, v: Value) -> Size | None:
        axis = self.index.get(v)
        loop = self.loop.get(v)
        bounds = self.bounds[axis][:2] if axis is not None else (loop.lo, loop.hi) if loop is not None else None
        if bounds is None:
            return None
        lo, hi = self.size(bounds[0], True), self.size(bounds[1], True)
        return None if lo is None or hi is None else floor_div(add(lo, hi), 2)

    def length(self, axis: Axis) -> Size | None:
        """How many positions an axis has (of a ragged one: in the middle)."""
        if axis not in self.bounds:
            return None
        lo, hi, step = self.bounds[axis]
        a, b = self.size(lo, True), self.size(hi, True)
        return None if a is None or b is None else ceil_div(sub(b, a), step)

    def volume(self, axes: Iterable[Axis]) -> Size | None:
        total: Size = 1
        for a in sorted(axes, key=lambda a: a.uid):
            n = self.length(a)
            if n is None:
                return None
            total = mul(total, n)
        return total

    # --- costs

    def steps(self, block: Block, times: Size | None) -> Iterator[tuple[Op, Size | None]]:
        """Grids and calls with how often they run."""
        for o in block.ops:
            if isinstance(o, ops.Grid | ops.Call):
                yield o, times
            else:
                for b in o.blocks:
                    yield from self.steps(b, _times(times, self.turns(o)))

    def turns(self, o: Op) -> Size | None:
        """How often the blocks of an op run; None where only running it tells."""
        if isinstance(o, ops.While):
            return None
        if isinstance(o, ops.For):
            lo, hi = self.size(o.lo, True), self.size(o.hi, True)
            if lo is None or hi is None:
                return None
            return ceil_div(sub(hi, lo), o.step) if o.step > 0 else ceil_div(sub(lo, hi), -o.step)
        return self.length(o.axis) if isinstance(o, ops.Scan) else 1

    def cost(self, code: Iterable[Op], times: Size | None, skip: bool = False) -> _Cost:
        """Of ops that run `times` times; `skip`: without the grids and calls in them."""
        total = _Cost()
        places: dict[tuple[str, Array], Size | None] = {}
        for o in code:
            self._add(total, places, o, times, times, skip)
        for (kind, array), n in places.items():
            n_bytes = _times(_times(n, times), array.dtype.size_bytes)
            if kind != "write":
                total.read = _plus(total.read, n_bytes)
            if kind != "read":
                total.written = _plus(total.written, n_bytes)
        total.counts = total.flops != 0 or bool(places)
        return total

    def _add(
        self, c: _Cost, places: dict[tuple[str, Array], Size | None], o: Op, times: Size | None, outer: Size | None,
        skip: bool,
    ) -> None:  # fmt: skip
        if skip and isinstance(o, ops.Grid | ops.Call):
            return
        per, axes = _flops(o)
        if per:
            c.flops = _plus(c.flops, _times(_times(self.volume(axes), per), times))
        if isinstance(o, ops.Load | ops.Store | ops.Update) and o.array.kind != "local":
            kind = {"tile.load": "read", "tile.store": "write", "tile.update": "update"}[o.opname]
            n = self._touched(o)
            old = places.get((kind, o.array), 0)
            places[kind, o.array] = None if n is None or old is None else n if old == 0 else larger(old, n)
        for b in o.blocks:
            inner = _times(times, self.turns(o))
            for inside in b.ops:
                turns = self._blocks(o) if isinstance(o, ops.Tiles) and o.axis not in _axes_of(inside) else 1
                self._add(c, places, inside, _times(inner, turns), outer, skip)

    def _blocks(self, o: ops.Tiles) -> Size | None:
        n = self.length(o.axis)
        block = self.size(o.block) if o.block is not None else TILES_BLOCK
        return None if n is None or not isinstance(block, int) else ceil_div(n, block)

    def _touched(self, o: ops.Load | ops.Store | ops.Update) -> Size | None:
        """How many elements of its array an op touches, at most."""
        total: Size = 1
        for n, sub_ in enumerate(o.subs):
            whole = self._axis_size(o.array, n)
            along = self._along(sub_)
            if along is None or along == whole:
                along = whole
            elif whole is not None and not (isinstance(along, int) and along == 1):
                along = smaller(along, whole)
            if along is None:
                return None
            total = mul(total, along)
        return total

    def _axis_size(self, array: Array, n: int) -> Size | None:
        known = array.shape[n]
        if known is None and array in self.sizes:
            return self.size(self.sizes[array][n])
        return known

    def _along(self, s: Affine) -> Size | None:
        """How many places a subscript takes over all its indices, at most."""
        spread: Size = 1
        for coef, v in s.terms:
            axis = self.index.get(v)
            if axis is None and v not in self.loop and not v.axes:
                continue  # one number, though it may not be known
            n = self.turns(self.loop[v]) if v in self.loop else None
            if axis is not None and self._is_fixed(axis):
                n = self.length(axis)
            if n is None:
                return None
            if len(s.terms) == 1 and abs(coef) >= 1:
                return n
            spread = add(spread, mul(abs(coef), sub(n, 1)))
        return spread

    def _is_fixed(self, axis: Axis) -> bool:
        lo, hi, _ = self.bounds[axis]
        return not lo.axes and not hi.axes

    # --- regions

    def touches(self, grid: ops.Grid) -> tuple[Touch, ...]:
        """What one element touches, without repetitions."""
        found: dict[Touch, None] = {}
        for o in walk_ops(grid.body):
            if isinstance(o, ops.Load | ops.Store | ops.Update) and o.array.kind != "local":
                kind = {"tile.load": "read", "tile.store": "write", "tile.update": "update"}[o.opname]
                wraps = isinstance(o, ops.Load) and o.boundary == "wrap"
                region = tuple(None if wraps else self._span(s, frozenset(grid.axes)) for s in o.subs)
                found[Touch(o.array, kind, region)] = None
        return tuple(found)

    def _span(self, s: Affine, grid: frozenset[Axis]) -> Extent | None:
        terms: dict[Axis, int] = {}
        lo: Size = s.const
        hi: Size = s.const
        for coef, v in s.terms:
            axis = self.index.get(v)
            if axis in grid and axis is not None:
                terms[axis] = terms.get(axis, 0) + coef
                continue
            first = last = self.size(v)
            if axis is not None:
                # Positions lo .. hi - 1; bounds that depend on indices could be anywhere.
                first, end = self.size(self.bounds[axis][0]), self.size(self.bounds[axis][1])
                last = None if end is None else sub(end, 1)
            if first is None or last is None:
                return None
            low, high = (first, last) if coef > 0 else (last, first)
            lo, hi = add(lo, mul(coef, low)), add(hi, mul(coef, high))
        return Extent(tuple((c, a) for a, c in terms.items() if c), lo, add(hi, 1))

    def contraction(self, o: ops.Contract, grid: ops.Grid | None) -> ContractionInfo:
        def sized(axes: frozenset[Axis]) -> tuple[tuple[Axis, Size | None], ...]:
            return tuple((a, self.length(a)) for a in sorted(axes - {o.axis}, key=lambda a: a.uid))

        x, y = o.x.axes, o.y.axes
        return ContractionInfo(o, grid, sized(x - y), sized(y - x), sized(x & y), self.length(o.axis))


_AS_SIZES: dict[str, Callable[[Size, Size], Size]] = {
    "add": add, "sub": sub, "mul": mul, "floordiv": floor_div, "mod": mod, "min": smaller, "max": larger,
}  # fmt: skip


def _plus(a: Size | None, b: Size | None) -> Size | None:
    return None if a is None or b is None else add(a, b)


def _times(a: Size | None, b: Size | None) -> Size | None:
    return None if a is None or b is None else mul(a, b)


def _flops(o: Op) -> tuple[int, frozenset[Axis]]:
    """Floating-point operations per element of the axes given."""
    if isinstance(o, ops.Contract):
        return 2 * o.dtype.is_float, o.x.axes | o.y.axes
    if isinstance(o, ops.Reduce):
        per = 2 if o.acc.name == "dot" else 1
        axes = frozenset().union(*(x.axes for x in o.xs))
        return per * o.xs[0].dtype.is_float, axes
    if isinstance(o, ops.Fma):
        return 2, o.result.axes
    if isinstance(o, ops.Binary) or (isinstance(o, ops.Unary) and o.kind not in ("not", "isnan", "isinf")):
        return int(o.x.dtype.is_float), o.result.axes
    return 0, frozenset()


def _axes_of(o: Op) -> frozenset[Axis]:
    """Axes that an op's own results and operands have."""
    return frozenset().union(*(v.axes for v in (*o.results, *o.operands)))


def _call_work(
    facts: FunctionFacts, o: ops.Call, times: Size | None, module: Module | None, around: tuple[str, ...]
) -> Work:
    """The cost of a call in the caller's sizes: the sum over the callee's steps."""
    callee = module.functions.get(o.callee) if module is not None else None
    if callee is None or o.callee in around:
        return Work(o.callee, None, None, None)
    given: dict[str, Size | None] = {n: facts.size(v) for n, v in zip(callee.dims, o.dims, strict=True)}
    given |= {n: facts.size(v) for (n, _), v in zip(callee.scalars, o.scalars, strict=True)}
    inner = _work_of(callee, module, around)

    known = {n: v for n, v in given.items() if v is not None}

    def total(parts: Iterable[Size | None]) -> Size | None:
        amount: Size | None = 0
        for p in parts:
            unknown = p is None or not names_in(p) <= known.keys()
            amount = _plus(amount, None if p is None or unknown else substitute(p, known))
        return _times(amount, times)

    return Work(
        o.callee, total(w.flops for w in inner), total(w.bytes_read for w in inner),
        total(w.bytes_written for w in inner),
    )  # fmt: skip


def has_tiles(module: Module, name: str) -> bool:
    """Does a function, or one that it calls, have a loop over blocks?"""
    functions = module.closure(name).functions.values()
    return any(isinstance(o, ops.Tiles) for f in functions for o in walk_ops(f.body))
