"""`%` and `//` are exact on every level of processor: of floats, also without FMA, and of integers, which go through f64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.targets import cpu
from lem_runtime import facts_of, run
from lem_runtime.abi.source import Facts
from lem_runtime.machine import LEVELS, detect, detect_with
from tests.support.run import program

TEXT = """
kernel f[N](x: {0}[N], y: {0}[N], r: out {0}[N], q: out {0}[N]):
    for i in grid(N):
        r[i] = x[i] % y[i]
        q[i] = x[i] // y[i]
"""
SPECIAL = ["0", "-0.0", "1", "-1", "inf", "-inf", "nan", "3", "0.1", "-7.5"]


def numbers(dtype: str, n: int) -> tuple[Any, Any]:
    """All bit patterns; half of the pairs with a quotient that is not lost in the exponent; and special values."""
    rng = np.random.default_rng(3)
    bits = np.uint32 if dtype == "f4" else np.uint64
    x, y = (rng.integers(0, np.iinfo(bits).max, n, dtype=bits, endpoint=True).view(dtype).copy() for _ in range(2))
    with np.errstate(all="ignore"):
        y[: n // 2] = (x[: n // 2] * np.exp(rng.uniform(-60, 1, n // 2))).astype(dtype)
    limits = np.finfo(dtype)
    special = np.array([*map(float, SPECIAL), limits.max, -limits.max, limits.tiny, limits.smallest_subnormal], dtype)
    x[: special.size**2], y[: special.size**2] = np.repeat(special, special.size), np.tile(special, special.size)
    return x, y


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("level", list(LEVELS))
def test_remainders_and_floors_are_exact(level: str, dtype: str) -> None:
    machine = detect_with(level)
    if machine.cpu != level:
        pytest.skip(f"this processor is no {level}: {detect().cpu}")
    x, y = numbers(dtype, 40_000)
    made = program(TEXT.format("f32" if dtype == "f4" else "f64"))
    arrays = {"x": x, "y": y, "r": np.zeros_like(x), "q": np.zeros_like(x)}
    s = made.typed.functions["f"].signature
    artifact = pipeline.compile_function(made, "f", facts_of(s, arrays, {"N": x.size}), machine, cpu.TARGET)
    run(artifact, arrays, {})
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(arrays["r"], np.mod(x, y))
        np.testing.assert_array_equal(arrays["q"], np.floor_divide(x, y))


WHOLE = """
kernel each[N](x: {0}[N], y: {0}[N], r: out {0}[N], q: out {0}[N]):
    for i in grid(N):
        r[i] = x[i] % y[i]
        q[i] = x[i] // y[i]

kernel by[N](x: {0}[N], y: {0}, r: out {0}[N], q: out {0}[N]):
    for i in grid(N):
        r[i] = x[i] % y
        q[i] = x[i] // y

kernel by_ten[N](x: {0}[N], y: {0}, r: out {0}[N], q: out {0}[N]):
    for i in grid(N):
        r[i] = x[i] % 10
        q[i] = x[i] // 10

kernel some[N](x: {0}[N], y: {0}[N], r: out {0}[N], q: out {0}[N]):
    for i in grid(N):
        if y[i] != 0:
            r[i] = x[i] % y[i]
            q[i] = x[i] // y[i]
"""


def whole_numbers(dtype: Any) -> Any:
    """Around powers of two, where f64 and 64-bit integers part; those far up that as signed numbers are small ones; and
    of any size."""
    limits = np.iinfo(dtype)
    near = [s * (1 << n) + e for n in range(limits.bits) for e in (-1, 0, 1) for s in (1, -1)]
    near += [(1 << limits.bits) - (1 << n) + e for n in range(limits.bits) for e in (-1, 0, 1)]
    rng = np.random.default_rng(7)
    more = [
        int(a) >> int(b)
        for a, b in zip(rng.integers(limits.min, limits.max, 60, dtype), rng.integers(0, 60, 60), strict=True)
    ]
    return np.array([n for n in (*near, *more, 3, 7, 10) if limits.min <= n <= limits.max], dtype)


def floored(x: Any, y: Any) -> tuple[Any, Any]:
    """`%` and `//` to the floor, of Python's integers, wrapped into the type."""
    pairs = [(int(a), int(b)) for a, b in zip(x, y, strict=True)]
    mask, signed = (1 << x.itemsize * 8) - 1, x.dtype.kind == "i"
    raw = np.uint32 if x.itemsize == 4 else np.uint64
    quotients = np.array([(a // b) & mask if b else 0 for a, b in pairs], raw)
    rests = np.array([(a % b) & mask if b else 0 for a, b in pairs], raw)
    return (rests.view(x.dtype), quotients.view(x.dtype)) if signed else (rests, quotients)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("level", list(LEVELS))
def test_whole_numbers_are_divided_to_the_floor(level: str, dtype: str) -> None:
    machine = detect_with(level)
    if machine.cpu != level:
        pytest.skip(f"this processor is no {level}: {detect().cpu}")
    made = program(WHOLE.format(dtype.replace("uint", "u").replace("int", "i")))
    values = whole_numbers(dtype)
    x, y = (a.ravel().copy() for a in np.meshgrid(values, values))
    artifacts: dict[str, Any] = {}

    def check(name: str, x: Any, y: Any) -> None:
        arrays = {"x": x, "y": y, "r": np.zeros_like(x), "q": np.zeros_like(x)}
        scalars = {} if name in ("each", "some") else {"y": int(y[0])}
        given = {n: a for n, a in arrays.items() if n not in scalars}
        if name not in artifacts:
            facts = facts_of(made.typed.functions[name].signature, given, {"N": x.size})
            artifacts[name] = pipeline.compile_function(made, name, facts, machine, cpu.TARGET)
        run(artifacts[name], given, scalars)
        r, q = floored(x, y)
        np.testing.assert_array_equal(given["r"], r)
        np.testing.assert_array_equal(given["q"], q)

    check("some", x, y)
    check("each", x[y != 0], y[y != 0])
    for d in values[values != 0]:
        check("by", values, np.full_like(values, d))
    check("by_ten", values, np.full_like(values, 10))


def test_vectors_of_whole_numbers_are_divided_as_vectors() -> None:
    """A divisor that all lanes share, and a literal of 64-bit numbers."""
    module = pipeline.optimised(program(WHOLE.format("i64")), "by")
    ll = cpu.show(module, "by", Facts(("inner",) * 3), detect(), "ll")
    lanes = [line for line in ll.splitlines() if "srem <" in line or "sdiv <" in line]
    helpers = [line for line in ll.splitlines() if line.startswith("define") and "@lem.mod.i64x" in line]
    assert helpers and all(".shared" in line for line in helpers)
    assert len(lanes) <= 3 * len(helpers)  # those of vectors with a large number, and nothing else
