"""Between which numbers the integers of loop code lie: what makes a floor division a plain one.

Takes expressions in the order in which they are printed, so that a variable is known before it is used; gives intervals,
ends included. What may wrap around is anything its type can hold.
"""

from __future__ import annotations

from lem.targets.loops import core as lp
from lem.targets.loops.core import Expr, Var
from lem_runtime.abi.dtypes import DType

Interval = tuple[int, int]
_MOST_WORKERS = 1 << 20


class Bounds:
    """Intervals of the immutable scalar variables met so far."""

    def __init__(self) -> None:
        self._known: dict[int, Interval] = {}

    def note(self, var: Var, interval: Interval) -> None:
        """From here on, `var` is the variable whose values lie in `interval`."""
        if not var.mutable:
            self._known[var.uid] = interval

    def note_let(self, var: Var, value: Expr) -> None:
        """The same, for a variable that names `value`."""
        if var.type.dtype.is_int and not var.type.lanes and not var.mutable:
            self._known[var.uid] = self.of(value)

    def note_for(self, s: lp.For) -> None:
        """The same, for the variable of a loop; it is one of these only where the loop has turns."""
        (lo, lo_most), (hi_least, hi) = self.of(s.lo), self.of(s.hi)
        self._known[s.var.uid] = (lo, max(lo, hi - 1)) if s.step > 0 else (min(lo_most, hi_least + 1), lo_most)

    def of(self, x: Expr) -> Interval:
        """Where the values of a scalar integer expression lie."""
        dtype = x.type.dtype
        if not dtype.is_int or x.type.lanes:
            return _all(dtype)
        match x:
            case lp.Const(value=value):
                return int(value), int(value)
            case Var(uid=uid):
                return self._known.get(uid, _all(dtype))
            case lp.CtxField(name=name):
                return (1, _MOST_WORKERS) if name == "n_workers" else (0, _all(dtype)[1])
            case lp.Binary(kind=kind, x=a, y=b):
                found = _binary(kind, self.of(a), self.of(b))
            case lp.Select(x=a, y=b):
                found = _hull(self.of(a), self.of(b))
            case lp.Cast(x=a) if a.type.dtype.is_int and not a.type.lanes:
                found = self.of(a)
            case _:
                return _all(dtype)
        least, most = _all(dtype)
        return found if found is not None and least <= found[0] and found[1] <= most else (least, most)


def _all(dtype: DType) -> Interval:
    if not dtype.is_int:
        return (0, 1) if dtype.is_bool else (-(1 << 64), 1 << 64)
    return (-(1 << (dtype.bits - 1)), (1 << (dtype.bits - 1)) - 1) if dtype.is_signed else (0, (1 << dtype.bits) - 1)


def _hull(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])


def _binary(kind: str, a: Interval, b: Interval) -> Interval | None:
    match kind:
        case "add":
            return a[0] + b[0], a[1] + b[1]
        case "sub":
            return a[0] - b[1], a[1] - b[0]
        case "mul":
            products = [p * q for p in a for q in b]
            return min(products), max(products)
        case "max":
            return max(a[0], b[0]), max(a[1], b[1])
        case "min":
            return min(a[0], b[0]), min(a[1], b[1])
        case "floordiv" if b[0] > 0:
            quotients = [p // q for p in a for q in b]
            return min(quotients), max(quotients)
        case "mod" if b[0] > 0:
            return 0, min(b[1] - 1, a[1]) if a[0] >= 0 else b[1] - 1
        case _:
            return None


__all__ = ["Bounds", "Interval"]
