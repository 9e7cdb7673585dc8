"""Views of arrays to ops, and the test that two arguments of a call share no element (LANGUAGE 15, 19).

Two parts of one array have a common element exactly when on each of its axes they have a common place. A part's places
on an axis are first, first + step, ...: two such rows meet where a common place of the endless rows (found by the
remainder theorem where the steps are literals) lies in both. Names carry along which part they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

from lem.ir import ops
from lem.ir.core import Affine, Axis, TileType, Value
from lem.lower.state import Box, Cut, Row, State, arrays_of
from lem.source import Span
from lem.types import typed
from lem_runtime.abi.dtypes import BOOL, I64

Evaluate = Callable[[typed.Expr], Value]


def make(st: State, value: Evaluate, s: typed.MakeView) -> None:
    """``a[lo:hi, j]``: bounds tested where they are not proven, then named."""
    view, base = s.array, s.array.base
    assert base is not None
    starts: list[Value] = []
    sizes: list[Value | None] = []
    steps: list[int] = []
    for n, part in enumerate(s.parts):
        if isinstance(part, typed.At):
            index = value(part.index)
            if part.check:
                st.require_index(index, st.axis_size(base, n), base.name, n, part.span)
            starts.append(index)
            sizes.append(None)
            steps.append(1)
        else:
            lo, size = _cut(st, value, base, n, part)
            starts.append(lo)
            sizes.append(size)
            steps.append(part.step)
    st.array_sizes[view] = tuple(size for size in sizes if size is not None)
    if s.by_element or any(v.axes for v in (*starts, *sizes) if v is not None):  # of a comprehension's variables
        st.arrays[view] = st.arrays[base]
        cuts = tuple((st.affine(at), 0 if n is None else step) for at, n, step in zip(starts, sizes, steps, strict=True))
        st.cuts[view] = _composed(st.cuts[base], cuts) if st.cuts.get(base) else cuts
        return
    st.arrays[view] = arrays_of(view, "view", view.effect)
    for made, whole in zip(st.arrays[view], st.arrays[base], strict=True):
        st.do(ops.View(made, whole, tuple(starts), tuple(sizes), tuple(steps), loc=st.place(s.span)))
    _note_box(st, view, base, starts, sizes, steps)


def _composed(outer: tuple[Cut, ...], inner: tuple[Cut, ...]) -> tuple[Cut, ...]:
    """A part of a part, as a part of the array."""
    rest = iter(inner)
    return tuple((first, 0) if not apart else _further(first, apart, *next(rest)) for first, apart in outer)


def _further(first: Affine, apart: int, start: Affine, step: int) -> Cut:
    return first.plus(start, apart), apart * step


def in_array(st: State, array: typed.ArrayVar, subs: tuple[Affine, ...]) -> tuple[Affine, ...]:
    """Subscripts of an array, or of a part that each element names, as those of the array that holds the elements."""
    cuts = st.cuts.get(array)
    if not cuts:
        return subs
    rest = iter(subs)
    return tuple(first.plus(next(rest), apart) if apart else first for first, apart in cuts)


def axes_of(st: State, array: typed.ArrayVar) -> frozenset[Axis]:
    """Axes on which it depends which part an array is."""
    sizes = (v.axes for v in st.array_sizes[array]) if st.cuts.get(array) else ()
    return frozenset().union(*sizes, *(first.axes for first, _ in st.cuts.get(array, ())))


def _cut(st: State, value: Evaluate, base: typed.ArrayVar, axis: int, cut: typed.Cut) -> tuple[Value, Value]:
    """Where a cut begins, and how many places it has."""
    lo, hi = value(cut.lo), value(cut.hi)
    of_axis = st.axis_size(base, axis)
    for which, bound, e in (("lo", lo, cut.lo), ("hi", hi, cut.hi)):
        if which in cut.checks:
            text = f"bound {{0}} of a view is outside 0..{{1}}, axis {axis} of `{base.name}`"
            st.require_bound(bound, of_axis, text, e.span)
    length = st.emit(ops.Binary("sub", hi, lo))
    if cut.step > 1:
        up = st.emit(ops.Binary("add", length, st.const(cut.step - 1, I64)))
        length = st.emit(ops.Binary("floordiv", up, st.const(cut.step, I64)))
    return lo, st.emit(ops.Binary("max", length, st.const(0, I64)))


def _note_box(
    st: State, view: typed.ArrayVar, base: typed.ArrayVar, starts: list[Value], sizes: list[Value | None], steps: list[int]
) -> None:
    """Which places of the root the view names: those of the base, cut once more."""
    box = list(st.box(base))
    kept = st.kept_axes(base)
    for axis, start, size, step in zip(kept, starts, sizes, steps, strict=True):
        if isinstance(axis, int):
            box[axis] = _cut_row(st, box[axis], start, size, step)
            continue
        for n, row in enumerate(box):  # one of them is the axis
            here = _compare(st, "eq", axis, n)
            new = _cut_row(st, row, start, size, step)
            first, count, apart = (st.emit(ops.Select(here, x, y)) for x, y in zip(new, row, strict=True))
            box[n] = first, count, apart
    st.boxes[view] = tuple(box)
    st.kept[view] = tuple(axis for axis, size in zip(kept, sizes, strict=True) if size is not None)


def _cut_row(st: State, row: Row, start: Value, size: Value | None, step: int) -> Row:
    """The places of a row from its `start`-th on."""
    first, _, apart = row
    place = _binary(st, "add", first, _binary(st, "mul", start, apart))
    return place, st.const(1, I64) if size is None else size, _binary(st, "mul", apart, step)


# ---------------------------------------------------------------- shared elements
def require_apart(st: State, a: typed.ArrayVar, b: typed.ArrayVar, text: str, span: Span) -> None:
    """Fault where two arrays share an element."""
    box_a, box_b = st.box(a), st.box(b)
    rank = max(len(box_a), len(box_b))  # of names of parts: the most axes that their arrays have
    meets = [_rows_meet(st, x, y) for x, y in zip(padded(st, box_a, rank), padded(st, box_b, rank), strict=True)]
    if a.root is not b.root:  # two names, or a name and what it may stand for
        meets.append(st.emit(ops.Same(st.arrays[a][0], st.arrays[b][0])))
    shared = meets[0]
    for more in meets[1:]:
        shared = st.emit(ops.Binary("and", shared, more))
    st.require(st.emit(ops.Unary("not", shared)), "E0619", text, span)


def part_of(st: State, e: typed.PartOf) -> Value:
    """Where an array lies in the one whose elements it names."""
    if e.what == "kept":
        axis = st.kept_axes(e.array)[e.axis]
        return st.const(axis, I64) if isinstance(axis, int) else axis
    row = padded(st, st.box(e.array), e.axis + 1)[e.axis]
    return row[("first", "count", "step").index(e.what)]


def padded(st: State, box: Box, rank: int) -> Box:
    zero, one = st.const(0, I64), st.const(1, I64)
    return (*box, *[(zero, one, one)] * (rank - len(box)))


def _rows_meet(st: State, a: Row, b: Row) -> Value:
    """Whether two rows of places have one in common."""
    (first_a, n_a, step_a), (first_b, n_b, step_b) = a, b
    start = _binary(st, "max", first_a, first_b)
    end = _binary(st, "min", _end(st, a), _end(st, b))
    fixed = [_literal(st, step) for step in (step_a, step_b)]
    if fixed == [1, 1]:
        meeting = _compare(st, "lt", start, end)
    elif fixed[0] is not None and fixed[1] is not None:
        meeting = _meet_at_steps(st, first_a, first_b, fixed[0], fixed[1], start, end)
    else:
        meeting = _meet_somewhere(st, a, b, start, end)
    some = _binary(st, "and", _compare(st, "gt", n_a, 0), _compare(st, "gt", n_b, 0))
    return _binary(st, "and", meeting, some)


def _meet_at_steps(
    st: State, first_a: Value, first_b: Value, step_a: int, step_b: int, start: Value, end: Value
) -> Value:  # fmt: skip
    common = gcd(step_a, step_b)
    # first_a + step_a * i == first_b + step_b * j: i is `apart` / common times the inverse, modulo step_b / common.
    apart = _binary(st, "sub", first_b, first_a)
    fits = _compare(st, "eq", _binary(st, "mod", apart, common), 0)
    turns = _binary(st, "floordiv", apart, common)
    inverse = pow(step_a // common, -1, step_b // common) if step_b > common else 0
    i = _binary(st, "mod", _binary(st, "mul", turns, inverse), step_b // common)
    meeting = _binary(st, "add", first_a, _binary(st, "mul", i, step_a))
    period = step_a * step_b // common
    behind = _binary(st, "mod", _binary(st, "sub", meeting, start), period)
    place = _binary(st, "add", start, behind)  # the first meeting from `start` on
    return _binary(st, "and", _compare(st, "lt", place, end), fits)


def _meet_somewhere(st: State, a: Row, b: Row, start: Value, end: Value) -> Value:
    """The same for steps that are known when it runs: one place of `a` after the other, from `start` on. After as many of
    them as `b` has steps, remainders repeat."""
    (first_a, _, step_a), (first_b, _, step_b) = a, b
    ahead = _binary(st, "sub", start, first_a)
    up = _binary(st, "add", ahead, _binary(st, "sub", step_a, 1))
    first = _binary(st, "add", first_a, _binary(st, "mul", _binary(st, "floordiv", up, step_a), step_a))
    number, found = Value(TileType(I64), "n"), Value(TileType(BOOL), "meet")
    with st.nested() as body:
        place = _binary(st, "add", first, _binary(st, "mul", number, step_a))
        on_b = _compare(st, "eq", _binary(st, "mod", _binary(st, "sub", place, first_b), step_b), 0)
        here = _binary(st, "and", _compare(st, "lt", place, end), on_b)
        block = body.block((number, found), (_binary(st, "or", found, here),))
    (out,) = st.do(ops.For(st.const(0, I64), step_b, 1, (st.const(False, BOOL),), block))
    return out


def _literal(st: State, value: Value) -> int | None:
    op = st.defs.get(value)
    return int(op.value) if isinstance(op, ops.Const) else None


def _end(st: State, row: Row) -> Value:
    """One behind the last place of a row."""
    first, n, step = row
    last = _binary(st, "mul", _binary(st, "sub", n, 1), step)
    return _binary(st, "add", _binary(st, "add", first, last), 1)


def _binary(st: State, kind: str, x: Value, y: Value | int) -> Value:
    known = _literal(st, x), y if isinstance(y, int) else _literal(st, y)
    if kind == "mul" and known[1] == 1:
        return x
    if kind == "mul" and known[0] is not None and known[1] is not None:
        return st.const(known[0] * known[1], I64)
    return st.emit(ops.Binary(kind, x, st.const(y, I64) if isinstance(y, int) else y))


def _compare(st: State, kind: str, x: Value, y: Value | int) -> Value:
    return st.emit(ops.Compare(kind, x, st.const(y, I64) if isinstance(y, int) else y))
