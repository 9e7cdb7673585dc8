"""`fma` rounds once on every level of processor, also on those that have no such instruction; `math` keeps its bits so."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.targets import cpu
from lem_runtime import facts_of, run
from lem_runtime.machine import LEVELS, detect_with
from tests.support.run import program

TEXT = """
kernel f[N](x: {0}[N], y: {0}[N], z: {0}[N], r: out {0}[N]):
    for i in {1}(N):
        r[i] = fma(x[i], y[i], z[i])
"""
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 3.0, 0.1, 1 / 3]
N_CASES = 6_000


def cases(dtype: str) -> tuple[Any, Any, Any]:
    """Any bits; z near to -x * y, far below it and far above; results that are subnormal or too large; special values."""
    rng = np.random.default_rng(3)
    bits, limits = np.uint32 if dtype == "f4" else np.uint64, np.finfo(dtype)
    x, y, z = (rng.integers(0, np.iinfo(bits).max, N_CASES, dtype=bits, endpoint=True).view(dtype) for _ in range(3))
    near, small = rng.uniform(-2, 2, (3, N_CASES)), rng.uniform(-4, 4, (2, N_CASES))
    power = rng.integers(2 * limits.minexp // 3, limits.maxexp // 3, N_CASES)
    with np.errstate(all="ignore"):
        a, b = near[0].astype(dtype), np.ldexp(near[1], power).astype(dtype)
        apart = np.ldexp(1.0, rng.integers(-2 * limits.nmant - 4, 2 * limits.nmant + 4, N_CASES))
        cancels = (-(a * b)).astype(dtype) * rng.choice([1.0, 1.0, 1.0 + limits.eps], N_CASES).astype(dtype)
        root = np.sqrt(limits.tiny)
        low = [(small[0] * root).astype(dtype), (small[1] * root).astype(dtype), (near[2] * limits.tiny).astype(dtype)]
        whole = [rng.integers(1, 1 << 13, N_CASES).astype(dtype) for _ in range(2)]
        ties = (whole[0] * limits.eps / 2, whole[1], np.ones(N_CASES, dtype))
        parts = [(x, y, z), (a, b, (a * b * apart).astype(dtype)), (a, b, cancels), low, ties]
    special = np.array([*SPECIAL, limits.max, -limits.max, limits.tiny, limits.smallest_subnormal], dtype)
    parts.append(np.stack(np.meshgrid(special, special, special)).reshape(3, -1))
    found = (np.concatenate([np.asarray(p[n], dtype) for p in parts]) for n in range(3))
    return tuple(found)  # type: ignore[return-value]


def exact(x: Any, y: Any, z: Any, dtype: str) -> Any:
    """x * y + z in fractions, rounded once to nearest even."""
    limits = np.finfo(dtype)
    with np.errstate(all="ignore"):
        plain = (x * y).astype(dtype) + z
    if not (np.isfinite(x) and np.isfinite(y)) or not np.isfinite(z):
        return plain if not (np.isfinite(x) and np.isfinite(y)) else z
    value = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
    if value == 0:
        return plain
    size = abs(value)
    e = size.numerator.bit_length() - size.denominator.bit_length()
    e -= size < Fraction(2) ** e
    unit = Fraction(2) ** max(e - limits.nmant, limits.minexp - limits.nmant)
    found = round(size / unit) * unit
    found = float(found) if found <= Fraction(float(limits.max)) else np.inf
    return np.copysign(np.dtype(dtype).type(found), -1.0 if value < 0 else 1.0).astype(dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_fma_rounds_once(dtype: str) -> None:
    x, y, z = cases(dtype)
    want = np.array([exact(*v, dtype) for v in zip(x, y, z, strict=True)], dtype)
    for loop in ("grid", "range"):
        text = TEXT.format("f32" if dtype == "f4" else "f64", loop)
        for level in LEVELS:
            got = run_at(level, text, x=x, y=y, z=z, r=np.empty_like(x))["r"]
            wrong = ~((got == want) & (np.signbit(got) == np.signbit(want)) | np.isnan(got) & np.isnan(want))
            n = int(np.argmax(wrong))
            assert not wrong.any(), (
                f"{level}: fma({x[n]!r}, {y[n]!r}, {z[n]!r}) is {got[n]!r}, not {want[n]!r}; {wrong.sum()}"
            )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", ["exp", "sin", "pow", "erfc"])
def test_functions_keep_their_accuracy_without_fma(name: str, dtype: str) -> None:
    x = np.random.default_rng(1).uniform(-20, 20, 3000).astype(dtype)
    args = {"x": np.abs(x), "y": x[::-1].copy()} if name == "pow" else {"x": x}
    kind = "f32" if dtype == "f4" else "f64"
    head, call = (", ".join(form.format(n, kind) for n in args) for form in ("{}: {}[N]", "{}[i]"))
    text = f"kernel f[N]({head}, r: out {kind}[N]):\n    for i in grid(N):\n        r[i] = {name}({call})\n"
    new, old = (run_at(level, text, **args, r=np.empty_like(x))["r"] for level in ("x86-64-v3", "x86-64"))
    assert np.array_equal(new, old, equal_nan=True)


def run_at(level: str, text: str, **arrays: Any) -> Any:
    made = program(text)
    layouts = facts_of(made.typed.functions["f"].signature, arrays, {"N": arrays["x"].size})
    machine = detect_with(level)
    return run(pipeline.compile_function(made, "f", layouts, machine, cpu.TARGET), arrays, {}, {}).outputs
