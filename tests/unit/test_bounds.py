"""Intervals of loop code's integers hold every value that the code can give, also where it wraps around."""

from __future__ import annotations

import random

from lem.targets.loops import core as lp
from lem.targets.loops.bounds import Bounds
from lem.targets.loops.core import Expr, Var, VType
from lem_runtime.abi.dtypes import DTYPES

KINDS = ("add", "sub", "mul", "max", "min", "floordiv", "mod", "shl")


def wrapped(value: int, name: str) -> int:
    """As a number of the type `name`."""
    bits = DTYPES[name].bits
    value &= (1 << bits) - 1
    return value - (1 << bits) if DTYPES[name].is_signed and value >> (bits - 1) else value


def made(rng: random.Random, depth: int, name: str, values: dict[int, int], bounds: Bounds) -> tuple[Expr, int]:
    """An expression and what it gives, where that is certain in the type `name`."""
    t = VType(DTYPES[name])
    choice = rng.random()
    if depth == 0 or choice < 0.2:
        value = wrapped(rng.choice((0, 1, 2, 3, 7, 64, 127, 4681, 1 << 31, -1, -5, 1 << 62)), name)
        if rng.random() < 0.5:
            return lp.Const(t, value), value
        var = Var(t, "v")
        if rng.random() < 0.5:
            low, high = value - rng.choice((0, 1, 9)), value + rng.choice((0, 1, 9))
            bounds.note(var, (max(low, value if low != wrapped(low, name) else low), max(value, wrapped(high, name))))
        values[var.uid] = value
        return var, value
    if choice < 0.3:
        other = rng.choice(("i64", "i32", "u8", "i16", "u64"))
        x, value = made(rng, depth - 1, other, values, bounds)
        return lp.Cast(t, x), wrapped(value, name)
    if choice < 0.4:
        (x, a), (y, b) = (made(rng, depth - 1, name, values, bounds) for _ in range(2))
        cond = rng.random() < 0.5
        return lp.Select(t, lp.Const(lp.TRUTH, cond), x, y), a if cond else b
    if choice < 0.5:
        x, value = made(rng, depth - 1, name, values, bounds)
        var = Var(t, "named")
        bounds.note_let(var, x)
        return var, value
    kind = rng.choice(KINDS)
    (x, a), (y, b) = (made(rng, depth - 1, name, values, bounds) for _ in range(2))
    match kind:
        case "floordiv" | "mod":
            value = (a // b if kind == "floordiv" else a % b) if b else 0
        case "max" | "min":
            value = max(a, b) if kind == "max" else min(a, b)
        case "shl":
            value = a << b if 0 <= b < DTYPES[name].bits else 0
        case _:
            value = {"add": a + b, "sub": a - b, "mul": a * b}[kind]
    return lp.Binary(t, kind, x, y), wrapped(value, name)


def test_intervals_hold_what_code_gives() -> None:
    rng = random.Random(7)
    tight = 0
    for _ in range(20_000):
        name = rng.choice(("i64", "i32", "u8", "i16", "u64"))
        bounds = Bounds()
        x, value = made(rng, rng.randrange(1, 5), name, {}, bounds)
        least, most = bounds.of(x)
        assert least <= value <= most, (x, value, (least, most))
        tight += most - least < 1 << DTYPES[name].bits - 1
    assert tight > 4000  # or it would hold by saying nothing


def test_variables_of_loops_lie_between_their_ends() -> None:
    index = lp.INDEX
    n, i, j = (Var(index, name) for name in "nij")
    bounds = Bounds()
    bounds.note(n, (0, 100))
    bounds.note_for(lp.For(i, lp.Const(index, 2), n, 3, lp.Block([])))
    assert bounds.of(i) == (2, 99)
    bounds.note_for(lp.For(j, n, lp.Const(index, -1), -1, lp.Block([])))
    assert bounds.of(j) == (0, 100)
    assert bounds.of(lp.Binary(index, "floordiv", i, lp.Const(index, 4))) == (0, 24)
    assert bounds.of(lp.Binary(index, "mod", j, lp.Const(index, 8))) == (0, 7)
    mutable = Var(index, "m", True)
    bounds.note_let(mutable, lp.Const(index, 3))
    assert bounds.of(mutable)[0] < 0  # a Set may come
