"""Systems of linear inequalities over the integers: elimination of variables, and small solutions.

Takes rows ``sum(coef * x) + const >= 0`` over numbered columns; tells whether no integers satisfy them, projects columns
away, and finds a sample. Serves `prove` alone; knows no symbols.

Fourier-Motzkin elimination with integer tightening: a row is divided by the gcd of its coefficients and its constant
rounded down; equalities are solved first, by unimodular changes of columns where no coefficient is 1 (W. Pugh, "The
Omega test", 1991, without its dark shadow). A contradiction found is one over the integers. The projection contains all
integer solutions; it is `exact` when each of its integer points has one behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

Row = tuple[int, ...]

# Proofs of real programs need a few dozen rows; beyond this the answer is "unknown", so that a check stays fast.
MAX_ROWS = 160

# How a column went away, for finding a sample: ("eq" | "lower and upper", ...) in order of elimination.
_Bounds = list[tuple[Row, int]]
_Step = tuple[str, int, _Bounds, _Bounds] | tuple[str, int, dict[int, int]]


class System:
    """A conjunction of rows. After :meth:`project` one of: `infeasible`, `gave_up`, or the remaining rows."""

    __slots__ = ("rows", "infeasible", "gave_up", "exact", "_equalities", "_trail", "_given")

    def __init__(self) -> None:
        self.rows: dict[Row, int] = {}  # coefficients to constant: of parallel rows only the strongest is kept
        self.infeasible = False
        self.gave_up = False
        self.exact = True
        self._equalities: list[Row] = []
        self._trail: list[_Step] = []
        self._given: _Bounds = []

    def require(self, coefs: Row, const: int) -> None:
        """Add a row as given; a sample is checked against these."""
        self._given.append((coefs, const))
        self._add(coefs, const)

    def _add(self, coefs: Row, const: int) -> None:
        g = gcd(*coefs)
        if g == 0:
            if const < 0:
                self.infeasible = True
            return
        if g > 1:
            coefs = tuple([c // g for c in coefs])
            const //= g
        old = self.rows.get(coefs)
        if old is not None and old <= const:
            return
        self.rows[coefs] = const
        opposite = self.rows.get(tuple([-c for c in coefs]))
        if opposite is not None:
            if const + opposite < 0:
                self.infeasible = True
            elif const + opposite == 0:
                self._equalities.append(coefs)

    def project(self, columns: Iterable[int]) -> None:
        """Eliminate `columns`: what remains holds of the others wherever the system has a solution."""
        todo = set(columns)
        while todo and not self.infeasible:
            equality = self._next_equality(todo)
            if equality is not None:
                self._solve(equality, todo)
                continue
            col, n_rows = self._cheapest(todo)
            if n_rows > MAX_ROWS:
                self.gave_up = True
                self.exact = False
                return
            self._combine(col)
            todo.discard(col)

    # ------------------------------------------------------------ equalities

    def _next_equality(self, todo: set[int]) -> Row | None:
        waiting: list[Row] = []
        found = None
        while self._equalities and found is None:
            row = self._equalities.pop()
            const, opposite = self.rows.get(row), self.rows.get(tuple([-c for c in row]))
            if const is None or opposite is None:
                continue
            if any(row[c] for c in todo):
                found = row
            else:
                waiting.append(row)
        self._equalities += waiting
        return found

    def _solve(self, row: Row, todo: set[int]) -> None:
        """Eliminate one column of `todo` by the equality `row`."""
        const = self.rows.pop(row)
        del self.rows[tuple([-c for c in row])]
        while True:
            cols = [c for c in todo if row[c]]
            pivot = min(cols, key=lambda c: (abs(row[c]), c))
            if abs(row[pivot]) == 1 or len(cols) == 1:
                break
            # x_pivot = x' - sum(factor * x): a change of variables that makes the other coefficients smaller (Euclid).
            change = {c: row[c] // row[pivot] for c in cols if c != pivot}
            self._change(pivot, change)
            row = _changed(row, pivot, change)
        a = row[pivot]
        if abs(a) > 1:
            self.exact = False
        self._trail.append(("eq", pivot, [(row, const)], []))
        old, self.rows = self.rows, {}
        for coefs, k in old.items():
            b = coefs[pivot]
            if b:
                f = b if a > 0 else -b
                m = abs(a)
                coefs = tuple([m * x - f * y for x, y in zip(coefs, row, strict=True)])
                k = m * k - f * const
            self._add(coefs, k)
        todo.discard(pivot)

    def _change(self, pivot: int, change: dict[int, int]) -> None:
        self._trail.append(("change", pivot, change))
        old, self.rows, self._equalities = self.rows, {}, []
        for coefs, k in old.items():
            self._add(_changed(coefs, pivot, change), k)

    # ------------------------------------------------------------ inequalities

    def _cheapest(self, todo: set[int]) -> tuple[int, int]:
        """The column whose elimination leaves fewest rows, and how many."""
        best, best_rows = -1, 0
        for col in todo:
            n_lower = n_upper = 0
            for coefs in self.rows:
                c = coefs[col]
                if c > 0:
                    n_lower += 1
                elif c < 0:
                    n_upper += 1
            n_rows = len(self.rows) - n_lower - n_upper + n_lower * n_upper
            if best < 0 or n_rows < best_rows:
                best, best_rows = col, n_rows
        return best, best_rows

    def _combine(self, col: int) -> None:
        lower = [(r, k) for r, k in self.rows.items() if r[col] > 0]
        upper = [(r, k) for r, k in self.rows.items() if r[col] < 0]
        self._trail.append(("fm", col, lower, upper))
        for r, _ in (*lower, *upper):
            del self.rows[r]
        for r, k in lower:
            for s, m in upper:
                a, b = r[col], -s[col]
                if a > 1 and b > 1:
                    self.exact = False
                self._add(tuple([b * x + a * y for x, y in zip(r, s, strict=True)]), b * k + a * m)
                if self.infeasible:
                    return

    # ------------------------------------------------------------ samples

    def sample(self) -> dict[int, int] | None:
        """Small integers for all columns that satisfy every row; None when none were found. Needs that all columns have
        been projected away."""
        if self.infeasible or self.gave_up:
            return None
        values: dict[int, int] = {}
        for step in reversed(self._trail):
            if len(step) == 3:
                _, pivot, change = step
                values[pivot] = values.get(pivot, 0) - sum(f * values.get(c, 0) for c, f in change.items())
                continue
            kind, col, lower, upper = step
            values[col] = 0
            value = _exact_value(lower[0], col, values) if kind == "eq" else _small_value(lower, upper, col, values)
            if value is None:
                return None
            values[col] = value
        fits = all(_eval(r, k, values) >= 0 for r, k in self._given)
        return values if fits else None


def _changed(row: Row, pivot: int, change: dict[int, int]) -> Row:
    if not row[pivot]:
        return row
    out = list(row)
    for c, f in change.items():
        out[c] -= row[pivot] * f
    return tuple(out)


def _eval(row: Row, const: int, values: dict[int, int]) -> int:
    return const + sum(c * values.get(i, 0) for i, c in enumerate(row) if c)


def _exact_value(equality: tuple[Row, int], col: int, values: dict[int, int]) -> int | None:
    row, const = equality
    rest = -_eval(row, const, values)
    return rest // row[col] if rest % row[col] == 0 else None


def _small_value(lower: _Bounds, upper: _Bounds, col: int, values: dict[int, int]) -> int | None:
    """The value nearest to 0 within the bounds. `values[col]` must be 0 on entry."""
    lo = max((-(_eval(r, k, values) // r[col]) for r, k in lower), default=None)
    hi = min((_eval(r, k, values) // -r[col] for r, k in upper), default=None)
    if lo is not None and hi is not None and lo > hi:
        return None
    if lo is not None and lo > 0:
        return lo
    return hi if hi is not None and hi < 0 else 0
