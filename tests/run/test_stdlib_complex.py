"""`complex.lem` computes what NumPy computes, on complex arrays as they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.cli import lem
from tests.support.rules import run_both
from tests.support.run import run_kernel
from tests.support.stdlib import Array, check_examples

PAIRS = [("C64", np.complex64, 3e-6), ("C128", np.complex128, 1e-14)]
UNARY: dict[str, Any] = {
    "neg(z)": np.negative, "conj(z)": np.conj, "recip(z)": np.reciprocal, "exp(z)": np.exp, "log(z)": np.log,
    "sqrt(z)": np.sqrt, "power(z, 5)": lambda z: z**5, "power(z, -2)": lambda z: z**-2,
}  # fmt: skip
BINARY: dict[str, Any] = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
REAL: dict[str, Any] = {"abs": np.abs, "arg": np.angle, "abs2": lambda z: z.real**2 + z.imag**2}


def numbers(n: int, dtype: Any, seed: int = 0) -> Array:
    rng = np.random.default_rng([n, seed])
    return (rng.standard_normal(n) + 1j * rng.standard_normal(n)).astype(dtype)


def kernel(t: str, result: str, value: str) -> str:
    return f"""
import complex
from complex import {t}

kernel main[N](z: {t}[N], w: {t}[N], y: out {result}[N]):
    for i in grid(N):
        y[i] = {value}
"""


def assert_close(got: Array, want: Array, within: float) -> None:
    assert np.abs(got - want).max(initial=0) <= within * max(1, np.abs(want).max(initial=0))


def complex_of(fields: dict[str, Array]) -> Array:
    return fields["re"] + 1j * fields["im"]


def test_examples() -> None:
    check_examples("complex")


@pytest.mark.parametrize(("t", "dtype", "within"), PAIRS, ids=["C64", "C128"])
@pytest.mark.parametrize("value", UNARY)
def test_functions_of_one(value: str, t: str, dtype: Any, within: float) -> None:
    z = numbers(50, dtype)
    text = kernel(t, t, f"complex.{value.replace('z', 'z[i]', 1)}")
    got = complex_of(run_both(text, z=z, w=z)["y"])
    assert_close(got, UNARY[value](z.astype(np.complex128)), within)


@pytest.mark.parametrize(("t", "dtype", "within"), PAIRS, ids=["C64", "C128"])
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two(name: str, t: str, dtype: Any, within: float) -> None:
    z, w = numbers(50, dtype), numbers(50, dtype, 1)
    got = complex_of(run_both(kernel(t, t, f"complex.{name}(z[i], w[i])"), z=z, w=w)["y"])
    assert_close(got, BINARY[name](z.astype(np.complex128), w), within)


@pytest.mark.parametrize(("t", "dtype", "within"), PAIRS, ids=["C64", "C128"])
@pytest.mark.parametrize("name", REAL)
def test_real_results(name: str, t: str, dtype: Any, within: float) -> None:
    z = numbers(50, dtype)
    got = run_both(kernel(t, "f32" if t == "C64" else "f64", f"complex.{name}(z[i])"), z=z, w=z)["y"]
    assert_close(got, REAL[name](z.astype(np.complex128)), within)


@pytest.mark.parametrize(("t", "dtype", "within"), PAIRS, ids=["C64", "C128"])
def test_polar(t: str, dtype: Any, within: float) -> None:
    z = numbers(50, dtype)
    polar = f"complex.polar{t[1:]}(complex.abs(z[i]), complex.arg(z[i]))"
    assert_close(complex_of(run_both(kernel(t, t, polar), z=z, w=z)["y"]), z, within)


NEAR_ZERO = [0, -0.0, complex(-0.0, -0.0), 1, -1, 1j, -1j, complex(-4, -0.0)]
EDGES = np.array([*NEAR_ZERO, 1e300, 1e300j, 1e-300 + 1e-300j, 3e307 + 1e308j])


def test_sizes_that_overflow_on_the_way_do_not() -> None:
    z = EDGES
    for name, want in (("abs(z[i])", np.abs(z)), ("arg(z[i])", np.angle(z))):
        got = run_both(kernel("C128", "f64", f"complex.{name}"), z=z, w=z)["y"]
        np.testing.assert_allclose(got, want, rtol=1e-15)
    root = run_both(kernel("C128", "C128", "complex.sqrt(z[i])"), z=z, w=z)["y"]
    np.testing.assert_allclose(complex_of(root), np.sqrt(z), rtol=1e-15)
    assert np.array_equal(np.signbit(root["im"]), np.signbit(np.sqrt(z).imag))
    w = np.roll(z, 1)
    w[w == 0] = 2
    got = complex_of(run_both(kernel("C128", "C128", "complex.div(z[i], w[i])"), z=w, w=w)["y"])
    np.testing.assert_allclose(got, np.ones_like(w), rtol=1e-15)


def test_dividing_by_zero_is_no_fault() -> None:
    z, zero = np.array([1 + 1j, -1, 0]), np.zeros(3, complex)
    got = run_both(kernel("C128", "C128", "complex.div(z[i], w[i])"), z=z, w=zero)["y"]
    assert got["re"][:2].tolist() == [np.inf, -np.inf] and np.isnan(got["re"][2])


ROTATE = """
import complex
from complex import C64

kernel rotate[N](z: inout C64[N], by: f32):
    for i in grid(N):
        z[i] = complex.mul(z[i], complex.polar64(1.0, by))
"""


def test_complex_arrays_are_changed_where_they_are() -> None:
    wide = numbers(20, np.complex64)
    before, z = wide.copy(), wide[::2]
    assert run_kernel(ROTATE, z=z, by=0.5, copied=False)["z"] is z
    assert_close(z, before[::2] * np.exp(0.5j), 1e-6)
    assert np.array_equal(wide[1::2], before[1::2])


def test_complex_files(tmp_path: Path) -> None:
    (tmp_path / "rotate.lem").write_text(ROTATE)
    z = numbers(9, np.complex64)
    np.save(tmp_path / "z.npy", z)
    assert lem("run", "rotate.lem", "z=z.npy", "by=1.0", "-o", "z=out.npy", cwd=tmp_path).code == 0
    assert_close(np.load(tmp_path / "out.npy").view(np.complex64), z * np.exp(1j), 1e-6)
    np.save(tmp_path / "z.npy", z.astype(np.complex128))
    said = lem("run", "rotate.lem", "z=z.npy", "by=1.0", cwd=tmp_path)
    assert said.code != 0 and "field `re` of `z` is f32, found f64" in said.err
    assert "`z.npy` holds (re: f64, im: f64)[9]" in said.err
