"""Floats to integers (LANGUAGE 26) on every level of processor: truncated, saturated, NaN as 0, in vectors as in scalars."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lem import pipeline
from lem.targets import cpu
from lem_runtime import facts_of, run
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.source import Facts
from lem_runtime.machine import LEVELS, detect, detect_with
from tests.support.run import program

WHOLE = {f"{s}{n}": np.dtype(f"{s}{n // 8}") for s in "iu" for n in (8, 16, 32, 64)}
TEXT = "kernel f[N](x: {0}[N], " + ", ".join(f"to_{t}: out {t}[N]" for t in WHOLE) + "):\n    for i in grid(N):\n"
TEXT += "".join(f"        to_{t}[i] = {t}(x[i])\n" for t in WHOLE)
SHORT = """
kernel f[N](x: f32[N], y: out u8[N]):
    for i in grid(N):
        y[i] = u8(x[i])
"""


def at_level(level: str) -> Machine:
    machine = detect_with(level)
    if machine.cpu != level:
        pytest.skip(f"this processor is no {level}: {detect().cpu}")
    return machine


def numbers(dtype: str) -> np.ndarray:
    """Around all limits, and any others."""
    limits = np.array([s * n for n in (0, *(2.0**b for b in (7, 8, 15, 16, 31, 32, 63, 64))) for s in (1, -1)], dtype)
    near = np.concatenate([limits + np.array(d, dtype) for d in (-1, -0.5, 0, 0.5, 1)])
    beside = [np.nextafter(limits, np.array(to, dtype)) for to in (-np.inf, np.inf)]
    rng = np.random.default_rng(1)
    some = rng.normal(size=300) * 10.0 ** rng.integers(-2, 25, 300)
    return np.concatenate([near, *beside, some, [np.nan, np.inf, -np.inf, np.finfo(dtype).max]]).astype(dtype)


def truncated(x: float, to: np.dtype) -> int:
    limits = np.iinfo(to)
    if math.isnan(x):
        return 0
    return int(limits.max) if x >= limits.max else int(limits.min) if x <= limits.min else math.trunc(x)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("level", list(LEVELS))
def test_all_floats_become_integers(level: str, dtype: str) -> None:
    machine = at_level(level)
    x = numbers("f4" if dtype == "f32" else "f8")
    made = program(TEXT.format(dtype))
    arrays = {"x": x} | {f"to_{t}": np.zeros(x.size, d) for t, d in WHOLE.items()}
    facts = facts_of(made.typed.functions["f"].signature, arrays, {"N": x.size})
    run(pipeline.compile_function(made, "f", facts, machine, cpu.TARGET), arrays, {})
    for t, d in WHOLE.items():
        want = np.array([truncated(float(n), d) for n in x], d)
        np.testing.assert_array_equal(arrays[f"to_{t}"], want, t)


def test_vectors_are_converted_whole() -> None:
    text = cpu.show(pipeline.optimised(program(SHORT), "f"), "f", Facts(("inner", "inner")), at_level("x86-64-v3"), "asm")
    assert "vcvttps2dq" in text and "vcvttss2si" not in text
