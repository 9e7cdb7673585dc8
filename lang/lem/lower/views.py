"""Views of arrays to ops, and the test that two arguments of a call share no element (LANGUAGE 15, 19).

Two parts of one array have a common element exactly when on each of its axes they have a common place. A part's places
on an axis are first, first + step, ...: two such rows meet where a common place of the endless rows (found by the
remainder theorem: the steps are literals) lies in both.
"""

from __future__ import annotations

from math import gcd

from lem.ir import ops
from lem.ir.core import Value
from lem.lower.expressions import Expressions
from lem.lower.state import State, arrays_of
from lem.source import Span
from lem.types import typed
from lem_runtime.abi.dtypes import I64

Row = tuple[Value, Value, int]


def make(st: State, ex: Expressions, s: typed.MakeView) -> None:
    """``a[lo:hi, j]``: bounds tested where they are not proven, then named."""
    view, base = s.array, s.array.base
    assert base is not None
    starts: list[Value] = []
    sizes: list[Value | None] = []
    steps: list[int] = []
    for n, part in enumerate(s.parts):
        if isinstance(part, typed.At):
            index = ex.value(part.index)
            if part.check:
                st.require_index(index, st.axis_size(base, n), base.name, n, part.span)
            starts.append(index)
            sizes.append(None)
            steps.append(1)
        else:
            lo, size = _cut(st, ex, base, n, part)
            starts.append(lo)
            sizes.append(size)
            steps.append(part.step)
    st.arrays[view] = arrays_of(view, "view", view.effect)
    st.array_sizes[view] = tuple(size for size in sizes if size is not None)
    for made, whole in zip(st.arrays[view], st.arrays[base], strict=True):
        st.do(ops.View(made, whole, tuple(starts), tuple(sizes), tuple(steps), loc=st.place(s.span)))
    _note_box(st, view, base, starts, sizes, steps)


def _cut(st: State, ex: Expressions, base: typed.ArrayVar, axis: int, cut: typed.Cut) -> tuple[Value, Value]:
    """Where a cut begins, and how many places it has."""
    lo, hi = ex.value(cut.lo), ex.value(cut.hi)
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
        first, _, apart = box[axis]
        by = start if apart == 1 else st.emit(ops.Binary("mul", start, st.const(apart, I64)))
        box[axis] = st.emit(ops.Binary("add", first, by)), st.const(1, I64) if size is None else size, apart * step
    st.boxes[view] = tuple(box)
    st.kept[view] = tuple(axis for axis, size in zip(kept, sizes, strict=True) if size is not None)


# ---------------------------------------------------------------- shared elements
def require_apart(st: State, a: typed.ArrayVar, b: typed.ArrayVar, text: str, span: Span) -> None:
    """Fault where two arrays share an element."""
    meets = [_rows_meet(st, x, y) for x, y in zip(st.box(a), st.box(b), strict=True)]
    if a.root is not b.root:  # two names, or a name and what it may stand for
        meets.append(st.emit(ops.Same(st.arrays[a.root][0], st.arrays[b.root][0])))
    shared = meets[0]
    for more in meets[1:]:
        shared = st.emit(ops.Binary("and", shared, more))
    st.require(st.emit(ops.Unary("not", shared)), "E0619", text, span)


def _rows_meet(st: State, a: Row, b: Row) -> Value:
    """Whether two rows of places have one in common."""
    (first_a, n_a, step_a), (first_b, n_b, step_b) = a, b
    start = _binary(st, "max", first_a, first_b)
    end = _binary(st, "min", _end(st, a), _end(st, b))
    common = gcd(step_a, step_b)
    place, fits = start, None
    if step_a > 1 or step_b > 1:
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
    inside = _compare(st, "lt", place, end)
    some = _binary(st, "and", _compare(st, "gt", n_a, 0), _compare(st, "gt", n_b, 0))
    out = _binary(st, "and", inside, some)
    return out if fits is None else _binary(st, "and", out, fits)


def _end(st: State, row: Row) -> Value:
    """One behind the last place of a row."""
    first, n, step = row
    last = _binary(st, "mul", _binary(st, "sub", n, 1), step)
    return _binary(st, "add", _binary(st, "add", first, last), 1)


def _binary(st: State, kind: str, x: Value, y: Value | int) -> Value:
    return st.emit(ops.Binary(kind, x, st.const(y, I64) if isinstance(y, int) else y))


def _compare(st: State, kind: str, x: Value, y: Value | int) -> Value:
    return st.emit(ops.Compare(kind, x, st.const(y, I64) if isinstance(y, int) else y))
