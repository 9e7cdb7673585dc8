"""Accumulators as data: how a reduction starts, steps, merges partial results and finishes.

Expressions are nested tuples ``(op, a, b, ...)`` over names: ``s0 s1`` the state, ``x0 x1`` the step's inputs, ``a0
b0`` two partial states. Ops are those of ``ops/elementwise.py`` plus ``fma``. Targets and the interpreter evaluate them
alike.
"""

from __future__ import annotations

import math
from typing import Any

from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.records import dataclass

Expr = Any  # str | int | float | bool | tuple[str, Expr, ...]


@dataclass(frozen=True, slots=True)
class Accumulator:
    """name: "sum" "prod" "max" "min" "any" "all" "dot" "argmax" "argmin". `inputs`: number of values per step.

    exact: any order gives the same result (integers, min/max, bools): targets may reorder freely.
    """

    name: str
    dtype: DType  # of the result
    inputs: int
    state: tuple[DType, ...]
    init: tuple[Expr, ...]
    step: tuple[Expr, ...]
    merge: tuple[Expr, ...]
    finish: Expr
    exact: bool

    def __str__(self) -> str:
        return f"{self.name}.{self.state[0]}"


def least(t: DType) -> int | float | bool:
    """The least value of a type (-inf for floats): what max over nothing gives."""
    return -math.inf if t.is_float else (False if t.is_bool else t.min_int)


def greatest(t: DType) -> int | float | bool:
    return math.inf if t.is_float else (True if t.is_bool else t.max_int)


def accumulator(name: str, t: DType) -> Accumulator:
    """The accumulator `name` over inputs of type `t` (already the type arithmetic is done in).

    argmax/argmin take (value, i64 index) and give the first index; equal values keep the smaller index in merges.
    """
    s, a, b, x = ("s0",), "a0", "b0", "x0"
    exact = not t.is_float
    if name == "dot":
        add = ("add", a, b)
        step: Expr = ("fma", "x0", "x1", "s0") if t.is_float else ("add", "s0", ("mul", "x0", "x1"))
        return Accumulator("dot", t, 2, (t,), (0,), (step,), (add,), "s0", exact)
    if name in ("argmax", "argmin"):
        return _arg(name, t)
    table: dict[str, tuple[str, Any]] = {
        "sum": ("add", 0),
        "prod": ("mul", 1),
        "max": ("max", least(t)),
        "min": ("min", greatest(t)),
        "any": ("or", False),
        "all": ("and", True),
    }
    fn, init = table[name]
    exact = exact or name in ("max", "min")
    dtype = BOOL if name in ("any", "all") else t
    return Accumulator(name, dtype, 1, (dtype,), (init,), ((fn, *s, x),), ((fn, a, b),), "s0", exact)


def _arg(name: str, t: DType) -> Accumulator:
    # The state is (value, index); index -1 means nothing seen yet. NaN wins and stays (as NumPy's argmax does).
    better = "gt" if name == "argmax" else "lt"

    def wins(v: str, i: str, v0: str, i0: str) -> Expr:
        bigger: Expr = (better, v, v0)
        if t.is_float:
            bigger = ("or", bigger, ("and", ("isnan", v), ("not", ("isnan", v0))))
        tied: Expr = ("and", ("eq", v, v0), ("lt", i, i0))
        if t.is_float:
            both = ("and", ("isnan", v), ("isnan", v0))
            tied = ("or", tied, ("and", both, ("lt", i, i0)))
        return ("and", ("ge", i, 0), ("or", ("lt", i0, 0), ("or", bigger, tied)))

    step_wins = wins("x0", "x1", "s0", "s1")
    merge_wins = wins("b0", "b1", "a0", "a1")
    start = least(t) if name == "argmax" else greatest(t)
    return Accumulator(
        name, I64, 2, (t, I64), (start, -1),
        (("select", step_wins, "x0", "s0"), ("select", step_wins, "x1", "s1")),
        (("select", merge_wins, "b0", "a0"), ("select", merge_wins, "b1", "a1")),
        "s1", True,
    )  # fmt: skip
