"""Which results of a register tile the guard around a product wants (``if j <= i:`` leaves a triangle).

Takes the guard of a :class:`Form` and the place of a tile; says for the whole tile whether some or all of its results are
wanted, and for one vector of it which lanes.

CORNERS  a linear inequality in a row and a column that holds in the four corners of a tile holds in all of it, and one that
         holds in none of them holds nowhere in it. For other guards nothing is known of a whole tile: each vector asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from lem import ir
from lem.ir import ops
from lem.schedule.products import Form, Guard
from lem.targets.cpu.points import Points, Span
from lem.targets.loops import build as lb
from lem.targets.loops.core import Expr
from lem_runtime.abi.dtypes import BOOL, I64

_SMALL = 1 << 31  # coefficients and literals below this never make a sum of indices and sizes wrap
_ORDERED = ("lt", "le", "gt", "ge")


def of_tile(at: Points, form: Form, guard: Guard, rows: Span, height: Expr, columns: Span) -> tuple[Expr, Expr]:
    """Whether some and whether all results are wanted of `height` rows and of the columns, as far as that is known."""
    parts = _inequalities(guard, form) if len(form.m) == 1 else []
    if not parts:
        return lb.const(True, BOOL), lb.const(False, BOOL)
    b = at.b
    some: Expr = lb.const(True, BOOL)
    every: Expr = lb.const(True, BOOL)
    ends = [(lb.const(0), b.let(lb.sub(n, 1), "last")) for n in (height, columns.count)]
    for part in parts:
        corners: list[Expr] = []
        for row, column in product(*ends):
            with at.scope():
                at.go_to(rows, row)
                at.go_to(columns, column)
                corners.append(_wanted(at, part, guard.holds))
        all_of = any_of = corners[0]
        for corner in corners[1:]:
            all_of, any_of = lb.and_(all_of, corner), lb.or_(any_of, corner)
        some, every = lb.and_(some, any_of), lb.and_(every, all_of)
    return b.let(some, "some"), b.let(every, "every")


def of_vector(at: Points, guard: Guard, columns: Span, x: Expr, lanes: int) -> Expr:
    """Which lanes are wanted of the vector at column `x`, in the row that is bound."""
    with at.scope():
        at.run_along(columns, x, lanes)
        return at.b.let(lb.splat(_wanted(at, guard.cond, guard.holds), lanes), "wanted")


def _wanted(at: Points, cond: ir.Value, holds: bool) -> Expr:
    value = at.value(cond)
    return value if holds else lb.not_(value)


# ---------------------------------------------------------------- what the guard is made of
def _inequalities(guard: Guard, form: Form) -> list[ir.Value]:
    """The parts of a guard, where all of them are inequalities that are linear in the indices; else none."""
    parts = list(_conjuncts(guard.cond, form)) if guard.holds else [guard.cond]
    indices = {v for side in (*form.m, form.n, *form.batch) for v in side.indices}
    return parts if all(_is_inequality(part, form, indices) for part in parts) else []


def _conjuncts(cond: ir.Value, form: Form) -> Iterator[ir.Value]:
    op = form.defs.get(cond)
    if isinstance(op, ops.Binary) and op.kind == "and":
        yield from _conjuncts(op.x, form)
        yield from _conjuncts(op.y, form)
    else:
        yield cond


def _is_inequality(v: ir.Value, form: Form, indices: set[ir.Value]) -> bool:
    op = form.defs.get(v)
    if not isinstance(op, ops.Compare) or op.kind not in _ORDERED or op.x.dtype != I64:
        return False
    return _is_linear(op.x, form, indices) and _is_linear(op.y, form, indices)


def _is_linear(v: ir.Value, form: Form, indices: set[ir.Value]) -> bool:
    op = form.defs.get(v)
    if v in indices or isinstance(op, ops.Dim):
        return True
    if isinstance(op, ops.Const):
        return abs(op.value) < _SMALL
    if not isinstance(op, ops.Binary):
        return False
    if op.kind == "mul":
        factors = ((op.x, op.y), (op.y, op.x))
        return any(x in indices and isinstance(form.defs.get(y), ops.Const) and _is_linear(y, form, indices)
                   for x, y in factors)  # fmt: skip
    return op.kind in ("add", "sub") and _is_linear(op.x, form, indices) and _is_linear(op.y, form, indices)
