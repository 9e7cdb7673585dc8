"""What lowering one function knows while it walks: the open block, values of locals, axes, arrays and fault sites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from lem import ir
from lem.ir import ops
from lem.ir.core import Affine, Axis, Builder, TileType, Value
from lem.source import Span
from lem.types import typed
from lem_runtime.abi.artifact import Site
from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.signature import Place, axis_order
from lem_runtime.abi.sizes import Size

Row = tuple[Value, Value, Value]  # first place, how many, how far apart
Box = tuple[Row, ...]  # per axis
Cut = tuple[Affine, int]  # first place on an axis of the array, and how far apart they are; 0: an axis the part has not


class State:
    """One function being lowered. `env` maps locals to their value *here*; branches work on copies of it.

    Structs end here: a local that holds one is a local per field (:meth:`parts`), an array of them an array per field.
    """

    def __init__(self, fn: typed.Function) -> None:
        self.fn = fn
        self.builder = Builder()
        self.prologue = Builder()  # values that hold in the whole function: whole axes, sizes
        self.env: dict[typed.LocalVar, Value] = {}
        self.arrays: dict[typed.ArrayVar, tuple[ir.Array, ...]] = {}  # one, or one per field
        self.array_sizes: dict[typed.ArrayVar, tuple[Value, ...]] = {}
        self.cuts: dict[typed.ArrayVar, tuple[Cut, ...]] = {}  # of parts that each element names
        self.boxes: dict[typed.ArrayVar, Box] = {}  # of views
        self.kept: dict[typed.ArrayVar, tuple[int | Value, ...]] = {}  # of views: axes of the root that they have
        self.indices: dict[typed.IndexVar, Value] = {}
        self.axes: dict[typed.ValueAxis, Axis] = {}
        self.axis_index: dict[typed.ValueAxis, Value] = {}
        self.index_of: dict[Axis, Value] = {}
        self.rows: dict[tuple[typed.ArrayVar, int], Value] = {}  # indices of axes of temporaries whose size is computed
        self.start_of: dict[Axis, Value] = {}  # of axes whose index may be below 0
        self.clauses: list[Axis] = []  # of the comprehensions around what is lowered now, the innermost last
        self.loops: list[tuple[frozenset[Value], int]] = []  # around, in a grid: what changes by turn; depth of the body
        self.depth = 0  # of blocks
        self.domains: dict[typed.IndexVar, typed.Domain] = {}  # of the variables of comprehensions and loops
        self.ragged: dict[Axis, Value] = {}  # bounds of blocks that end elsewhere for each element
        self.element_axes: frozenset[Axis] = frozenset()  # of the grid we are in
        self.fn_axes: frozenset[Axis] = frozenset()  # of the arguments of the fn being inlined
        self.grid: typed.ForGrid | None = None
        self.defs: dict[Value, ir.Op] = {}
        self.sites: list[Site] = []
        self._constants: dict[tuple[str, str], Value] = {}
        self._sizes: dict[Size, Value] = {}
        self._scalars: dict[str, Value] = {}
        self._scalar_types = dict(flat_scalars(fn.scalars))
        self._parts: dict[typed.LocalVar, tuple[typed.LocalVar, ...]] = {}
        self._places: dict[Span, Place] = {}

    # ------------------------------------------------------------ building
    def emit(self, op: ir.Op) -> Value:
        """Append an op with one result to the open block."""
        self.builder.add(op)
        self.defs[op.result] = op
        return op.result

    def do(self, op: ir.Op) -> tuple[Value, ...]:
        """Append an op with any number of results."""
        self.builder.add(op)
        for r in op.results:
            self.defs[r] = op
        return op.results

    def const(self, value: int | float | bool, dtype: DType) -> Value:
        """A literal; made once, in the prologue."""
        if dtype.is_float:
            value = float(value)
        key = (repr(value), dtype.name)  # repr keeps -0.0, 0.0 and nan apart
        found = self._constants.get(key)
        if found is None:
            found = self._constants[key] = self._early(ops.Const(value, dtype))
        return found

    def zero(self, dtype: DType) -> Value:
        return self.const(False if dtype == BOOL else 0, dtype)

    def scalar(self, name: str) -> Value:
        """A scalar parameter."""
        found = self._scalars.get(name)
        if found is None:
            found = self._scalars[name] = self._early(ops.Scalar(name, self._scalar_types[name]))
        return found

    def _early(self, op: ir.Op) -> Value:
        self.prologue.add(op)
        self.defs[op.result] = op
        return op.result

    @contextmanager
    def nested(self) -> Iterator[Builder]:
        """Collect ops into a block of their own, on a copy of `env` that ends with it."""
        builder, env = self.builder, self.env
        self.builder, self.env = Builder(), dict(env)
        self.depth += 1
        try:
            yield self.builder
        finally:
            self.builder, self.env = builder, env
            self.depth -= 1

    @contextmanager
    def turns(self, changing: Iterable[Value], certain: bool = False) -> Iterator[None]:
        """Lower the body of a loop. changing: what it hands to each turn; certain: it has one."""
        if self.grid is None or certain:  # sequential code computes everything where it stands
            yield
            return
        self.loops.append((frozenset(changing), self.depth + 1))
        try:
            yield
        finally:
            self.loops.pop()

    # ------------------------------------------------------------ structs
    def parts(self, local: typed.LocalVar) -> tuple[typed.LocalVar, ...]:
        """The local itself, or the locals that hold the fields of a struct."""
        if not isinstance(local.type.dtype, typed.StructType):
            return (local,)
        found = self._parts.get(local)
        if found is None:
            found = self._parts[local] = tuple(
                typed.LocalVar(f"{local.name}.{path}", typed.ValueType(leaf, local.type.axes), local.span)
                for path, leaf in typed.leaves(local.type.dtype)
            )
        return found

    def all_parts(self, locals_: Iterable[typed.LocalVar]) -> list[typed.LocalVar]:
        return [part for local in locals_ for part in self.parts(local)]

    def is_known(self, local: typed.LocalVar) -> bool:
        """Whether the local has a value here."""
        return all(part in self.env for part in self.parts(local))

    def place(self, span: Span) -> Place:
        """A span as plain data, for artifacts."""
        found = self._places.get(span)
        if found is None:
            line, col = span.source.place_of(span.start)
            end_line, end_col = span.source.place_of(span.end)
            found = self._places[span] = Place(span.source.name, line, col, end_line, end_col, span.start, span.end)
        return found

    # ------------------------------------------------------------ sizes and axes
    def size(self, size: Size) -> Value:
        """A size expression over dimensions and int parameters as an i64 value, in the prologue."""
        found = self._sizes.get(size)
        if found is None:
            found = self._sizes[size] = self._made_size(size)
        return found

    def _made_size(self, size: Size) -> Value:
        if isinstance(size, int):
            return self.const(size, I64)
        if isinstance(size, str):
            if size in self.fn.dims:
                return self._early(ops.Dim(size))
            value = self.scalar(size)
            return value if value.dtype == I64 else self._early(ops.Cast(value, I64))
        op, a, b = size
        kind = {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod"}.get(str(op), str(op))
        return self._early(ops.Binary(kind, self.size(a), self.size(b)))

    def axis_size(self, array: typed.ArrayVar, n: int) -> Value:
        """Size of axis `n` of an array."""
        if array in self.array_sizes:
            return self.array_sizes[array][n]
        size = array.shape[n]
        if size is None and array.kind == "name":
            return self.emit(ops.Size(self.arrays[array][0], n))
        assert size is not None
        return self.size(size)

    def box(self, array: typed.ArrayVar) -> Box:
        """Which places of its root an array names, per axis of the root."""
        if array.part is not None:
            part = array.part
            return tuple(
                (self.env[first], self.env[count], self.env[step])
                for first, count, step in zip(part.firsts, part.counts, part.steps, strict=True)
            )
        found = self.boxes.get(array)
        if found is None:
            zero, one = self.const(0, I64), self.const(1, I64)
            found = tuple((zero, self.axis_size(array, n), one) for n in range(len(array.shape)))
        return found

    def kept_axes(self, array: typed.ArrayVar) -> tuple[int | Value, ...]:
        """Axes of its root that an array has: numbers, or values where they change."""
        if array.part is not None:
            return tuple(k if isinstance(k, int) else self.env[k] for k in array.part.kept)
        return self.kept.get(array, tuple(range(len(array.shape))))

    def whole(self, axis: typed.ValueAxis) -> Value:
        """Index of a whole axis; opened on first use, for the whole function."""
        if axis not in self.axis_index:
            if axis.size is None:
                return self._whole_of(axis)
            made = self.axes[axis] = Axis(axis.name, "whole")
            zero, size = self.const(0, I64), self.size(axis.size)
            self.axis_index[axis] = self._early(ops.Range(made, zero, size))
            self.index_of[made] = self.axis_index[axis]
        return self.axis_index[axis]

    def _whole_of(self, axis: typed.ValueAxis) -> Value:
        """The same of an axis that has the size of an array."""
        assert axis.of is not None
        index = self.rows.get(axis.of)
        if index is None:  # an array that was there before this function
            made, size = Axis(axis.name, "whole"), self.array_sizes[axis.of[0]][axis.of[1]]
            index = self._early(ops.Range(made, self.const(0, I64), size))
            self.index_of[made] = index
        self.axis_index[axis], self.axes[axis] = index, next(iter(index.axes))
        return index

    def open_rows(self, array: typed.ArrayVar) -> None:
        """Make the indices of a temporary's axes of computed size, where the temporary is made."""
        for n, size in enumerate(array.shape):
            if size is None:
                axis = Axis(f"{array.name}.{n}", "whole")
                index = self.emit(ops.Range(axis, self.const(0, I64), self.array_sizes[array][n]))
                self.rows[array, n] = self.index_of[axis] = index

    def open(self, var: typed.IndexVar, axis: Axis, index: Value, lo: Value, domain: typed.Domain) -> None:
        """Note the axis that a comprehension or tiles loop opens, and its index."""
        assert var.axis is not None
        self.axes[var.axis] = axis
        self.indices[var] = self.axis_index[var.axis] = self.index_of[axis] = index
        self.domains[var] = domain
        is_dim = domain.dim is not None or domain.size is not None
        if not is_dim and not (isinstance(domain.lo, typed.Const) and domain.lo.value >= 0):
            self.start_of[axis] = lo

    def ordered(self, axes: Iterable[typed.ValueAxis]) -> list[typed.ValueAxis]:
        """Axes in the order in which they were opened; whole axes are opened where they are not yet."""
        for a in axes:
            if a.kind == "whole":
                self.whole(a)
        return sorted(axes, key=lambda a: self.axes[a].uid)

    def ir_axes(self, axes: Iterable[typed.ValueAxis]) -> frozenset[Axis]:
        return frozenset(self.axes[a] for a in self.ordered(axes))

    def carried_type(self, local: typed.LocalVar) -> TileType:
        """Type of a local that a loop carries: in a grid it has all of the element's axes."""
        return TileType(local.type.dtype, self.element_axes | self.fn_axes | self.ir_axes(local.type.axes))

    def within(self, axis: Axis, value: Value) -> Value:
        """`value` with the axes on which the extent of `axis` depends, so that positions outside take no part."""
        bound = self.ragged.get(axis)
        return value if bound is None or bound.axes <= value.axes else self.spread(value, bound)

    def spread(self, value: Value, over: Value) -> Value:
        """`value` repeated along the axes of `over`."""
        always = self.emit(ops.Compare("eq", over, over))
        return self.emit(ops.Select(always, value, value))

    # ------------------------------------------------------------ subscripts
    def affine(self, value: Value) -> Affine:
        """`value` as a linear form: sums, differences and constant multiples are seen through."""
        terms: dict[Value, int] = {}
        const = self._linear(value, 1, terms)
        form = Affine(tuple((c, v) for v, c in terms.items() if c), const)
        return form if form.fits else Affine(((1, value),))

    def _linear(self, value: Value, coef: int, terms: dict[Value, int]) -> int:
        op = self.defs.get(value)
        if isinstance(op, ops.Const):
            return coef * int(op.value)
        if isinstance(op, ops.Binary) and value.dtype == I64:
            if op.kind in ("add", "sub"):
                sign = coef if op.kind == "add" else -coef
                return self._linear(op.x, coef, terms) + self._linear(op.y, sign, terms)
            if op.kind == "mul":
                for factor, rest in ((op.x, op.y), (op.y, op.x)):
                    known = self.defs.get(factor)
                    if isinstance(known, ops.Const):
                        return self._linear(rest, coef * int(known.value), terms)
        terms[value] = terms.get(value, 0) + coef
        return 0

    # ------------------------------------------------------------ faults
    def site(self, code: str, text: str, span: Span, values: Sequence[Value] = ()) -> int:
        """Number of a new fault, print or call site; inside a grid it carries the names and bounds of the element."""
        axes: tuple[str, ...] = ()
        bounds: tuple[tuple[Size, Size, int], ...] | None = None
        if self.grid is not None:
            axes = tuple(v.name for v in self.grid.vars)
            sized = [(size_of(d.lo), size_of(d.hi), d.step) for d in self.grid.domains]
            if all(lo is not None and hi is not None for lo, hi, _ in sized):
                bounds = tuple((lo, hi, step) for lo, hi, step in sized if lo is not None and hi is not None)
        kinds = tuple(_record_kind(v.dtype) for v in values)
        self.sites.append(Site(code, self.fn.name, text, self.place(span), kinds, axes, bounds))
        return len(self.sites) - 1

    def require(self, cond: Value, code: str, text: str, span: Span, values: Sequence[Value] = ()) -> None:
        """Fault for active elements where `cond` is false."""
        for axis in self.clauses:
            cond = self._if_any(axis, cond)
        for axis in sorted(cond.axes, key=lambda a: a.uid):
            cond = self.within(axis, cond)
        number = self.site(code, text, span, values)
        self.do(ops.Assert(cond, number, tuple(values), loc=self.place(span)))

    def _if_any(self, axis: Axis, cond: Value) -> Value:
        """A check inside a comprehension is one for each turn: where there is none, it holds."""
        o = self.defs[self.index_of[axis]]
        if axis in cond.axes or not isinstance(o, ops.Range) or self.has_turn(o.lo, o.hi, o.step):
            return cond
        none = self.emit(ops.Compare("ge" if o.step > 0 else "le", o.lo, o.hi))
        return self.emit(ops.Binary("or", cond, none))

    def has_turn(self, lo: Value, hi: Value, step: int) -> bool:
        """Has a loop from `lo` to `hi` a turn, whatever is called?"""
        a, b = self.defs.get(lo), self.defs.get(hi)
        return isinstance(a, ops.Const) and isinstance(b, ops.Const) and (b.value - a.value) * step > 0

    def may_be_idle(self, array: ir.Array, subs: Iterable[Affine]) -> bool:
        """May code read `array[subs]` although no turn of a comprehension, or of a loop in a grid, asks for it? What
        depends on none is computed once for all turns, in front of them. What elements write is read where they say."""
        values = [v for s in subs for v in s.values]
        axes = frozenset().union(*(v.axes for v in values))
        for axis in self.clauses:
            o = self.defs[self.index_of[axis]]
            if axis not in axes and isinstance(o, ops.Range) and not self.has_turn(o.lo, o.hi, o.step):
                return True
        if array.kind == "local":
            return False
        inner = [args for args, depth in self.loops if (self.clauses or self.depth > depth)]
        return any(not self._depends(values, args) for args in inner)

    def _depends(self, values: Iterable[Value], on: frozenset[Value]) -> bool:
        seen: set[Value] = set()
        stack = list(values)
        while stack:
            v = stack.pop()
            if v in on:
                return True
            op = self.defs.get(v)
            if v in seen or op is None:
                continue
            seen.add(v)
            stack.extend(op.operands)
            for block in op.blocks:
                stack.extend(block.yields)
                for inner in ir.walk_ops(block):
                    stack.extend(inner.operands)
        return False

    def always_fits(self, s: typed.At, size: Size | None) -> bool:
        """Is a place on an axis there wherever code may read it? So is an index over all of it, or over a part."""
        if s.check or size is None or not isinstance(s.index, typed.IndexRef):
            return False
        domain = self.domains.get(s.index.var)
        if domain is None and self.grid is not None:
            domain = dict(zip(self.grid.vars, self.grid.domains, strict=True)).get(s.index.var)
        if domain is None or domain.step < 0:
            return False
        lo, hi = size_of(domain.lo), size_of(domain.hi)
        shorter = isinstance(hi, tuple) and hi[:2] == ("-", size) and isinstance(hi[2], int) and hi[2] >= 0
        return isinstance(lo, int) and lo >= 0 and (hi == size or shorter)

    def is_inside(self, index: Value, size: Value) -> Value:
        low = self.emit(ops.Compare("ge", index, self.const(0, I64)))
        high = self.emit(ops.Compare("lt", index, size))
        return self.emit(ops.Binary("and", low, high))

    def require_index(self, index: Value, size: Value, array: str, axis: int, span: Span) -> None:
        ok = self.is_inside(index, size)
        text = f"index {{0}} is outside axis {axis} of `{array}`, which has size {{1}}"
        self.require(ok, "E0601", text, span, (index, size))

    def require_some(self, size: Value, array: str, axis: int, boundary: str, span: Span) -> None:
        """An axis has elements that `clamp` or `wrap` can give."""
        ok = self.emit(ops.Compare("ge", size, self.const(1, I64)))
        self.require(ok, "E0601", f"axis {axis} of `{array}` is empty, so `{boundary}` has nothing to give", span, ())

    def require_bound(self, bound: Value, size: Value, text: str, span: Span) -> None:
        """A bound of a range may be one behind the last place."""
        low = self.emit(ops.Compare("ge", bound, self.const(0, I64)))
        high = self.emit(ops.Compare("le", bound, size))
        ok = self.emit(ops.Binary("and", low, high))
        self.require(ok, "E0601", text, span, (bound, size))


def flat_scalars(scalars: Iterable[tuple[str, DType]]) -> list[tuple[str, DType]]:
    """Scalar parameters as the IR has them: a struct is its fields."""
    return [(f"{name}.{path}" if path else name, leaf) for name, t in scalars for path, leaf in typed.leaves(t)]


def arrays_of(a: typed.ArrayVar, kind: str, effect: str, axes: frozenset[Axis] = frozenset()) -> tuple[ir.Array, ...]:
    """The arrays that hold `a`: one, or one per field of a struct."""
    order = axis_order(a.layout)
    return tuple(
        ir.Array(f"{a.name}.{path}" if path else a.name, leaf, a.shape, kind, effect, a.reduce_op, axes, order)
        for path, leaf in typed.leaves(a.dtype)
    )


def _record_kind(dtype: DType) -> str:
    if dtype == BOOL:
        return "bool"
    if dtype.is_float:
        return "f64"
    return "u64" if dtype.kind == "uint" else "i64"


_SIZE_OPS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%", "min": "min", "max": "max"}


def size_of(e: typed.Expr) -> Size | None:
    """A typed expression as a size expression, when it speaks only of dimensions, parameters and literals."""
    if isinstance(e, typed.Const) and isinstance(e.value, int):
        return int(e.value)
    if isinstance(e, typed.DimSize):
        return e.dim
    if isinstance(e, typed.ScalarRef) and e.type.dtype.is_int:
        return e.name
    if isinstance(e, typed.Cast) and e.type.dtype == I64 and e.x.type.dtype.is_int:
        return size_of(e.x)
    if isinstance(e, typed.Binary) and e.op in _SIZE_OPS:
        a, b = size_of(e.x), size_of(e.y)
        return None if a is None or b is None else (_SIZE_OPS[e.op], a, b)
    return None


__all__ = ["State", "arrays_of", "flat_scalars", "size_of"]
