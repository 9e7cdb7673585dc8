"""`%` and `//` of floats are exact on every level of processor, also on those without FMA, whose products are rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.targets import cpu
from lem_runtime import facts_of, run
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
