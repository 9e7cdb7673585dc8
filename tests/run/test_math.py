"""Accuracy of `math.lem`: each function keeps to the error that its own docstring states, special values included.

References have more digits than what they judge: NumPy's f64 for f32, long double for f64. The points
are drawn with fixed seeds: dense where a function is interesting, and all bit patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from tests.support.run import run_kernel

Array = np.ndarray[Any, Any]
N_POINTS = 30_000  # of each kind: spread by size, spread evenly, any bits
WIDE = np.longdouble
DTYPES = {"f32": np.float32, "f64": np.float64}
SPECIAL = [
    0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1e-45, -1e-45, 1e-40, 1.1754942e-38,
    3.4028235e38, -3.4028235e38, 1e-310, 5e-324, 1.7e308, 88.7, 89.0, 89.5, -87.4, -103.9, -104.1, 709.7, 710.4, -745.1,
    -746.0, 128.0, 127.99, -126.0, -149.0, -150.0, 1023.5, -1074.0, -1075.5, 10.0, 0.6, 0.92, 27.0, 1e10,
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """`dense`: the range of |x| that gets most points, for f32 and f64."""

    exact: Callable[[Any], Any]
    dense: dict[str, tuple[float, float]]
    f64_below: float = np.inf  # the docstring promises nothing for f64 beyond


def ranges(f32: tuple[float, float], f64: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return {"f32": f32, "f64": f64}


def exact_erf(x: Any) -> Any:
    """erf in the digits of x: 2/sqrt(pi) * exp(-x**2) * sum of 2**n x**(2 n + 1) / (2 n + 1)!!, all terms of one sign."""
    a = np.clip(x, -7, 7)
    term = total = a
    for n in range(1, 220):
        term = term * (2 * a * a) / (2 * n + 1)
        total = total + term
    return np.where(np.abs(x) < 7, total * gauss(a), np.sign(x) + 0 * np.clip(x, -1, 1))


def exact_erfc(x: Any) -> Any:
    """1 - erf(x) below 2, above it exp(-x**2) over the continued fraction x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...)))."""
    a = np.clip(x, 2, 110)
    fraction = a
    for n in range(200, 0, -1):
        fraction = a + n / (2 * fraction)
    return np.where(x < 2, 1 - exact_erf(x), gauss(a) / (2 * fraction) + 0 * np.clip(x, -1, 1))


def gauss(a: Any) -> Any:
    """2/sqrt(pi) * exp(-a**2); the rounding error of a**2 would show in the last digits."""
    top = a.astype(np.float32).astype(a.dtype)
    root_of_pi = np.sqrt(4 * np.arctan(np.ones((), a.dtype)))
    return 2 / root_of_pi * np.exp(-top * top) * np.exp((top - a) * (top + a))


UNARY = {
    "exp": Case(np.exp, ranges((1e-10, 110), (1e-18, 750))),
    "exp2": Case(np.exp2, ranges((1e-10, 151), (1e-18, 1080))),
    "expm1": Case(np.expm1, ranges((1e-10, 90), (1e-18, 712))),
    "log": Case(np.log, ranges((0.5, 2), (0.5, 2))),
    "log2": Case(np.log2, ranges((0.5, 2), (0.5, 2))),
    "log10": Case(np.log10, ranges((0.5, 2), (0.5, 2))),
    "log1p": Case(np.log1p, ranges((1e-9, 10), (1e-17, 10))),
    "sin": Case(np.sin, ranges((1e-6, 1e7), (1e-9, 1e14)), f64_below=2.0**48),
    "cos": Case(np.cos, ranges((1e-6, 1e7), (1e-9, 1e14)), f64_below=2.0**48),
    "tan": Case(np.tan, ranges((1e-6, 1e7), (1e-9, 1e14)), f64_below=2.0**48),
    "asin": Case(np.arcsin, ranges((1e-9, 1), (1e-9, 1))),
    "acos": Case(np.arccos, ranges((1e-9, 1), (1e-9, 1))),
    "atan": Case(np.arctan, ranges((1e-5, 20), (1e-9, 20))),
    "sinh": Case(np.sinh, ranges((1e-5, 90), (1e-9, 712))),
    "cosh": Case(np.cosh, ranges((1e-5, 90), (1e-9, 712))),
    "tanh": Case(np.tanh, ranges((1e-5, 10), (1e-9, 21))),
    "erf": Case(exact_erf, ranges((1e-5, 4.2), (1e-9, 6.2))),
    "erfc": Case(exact_erfc, ranges((1e-3, 10.3), (1e-3, 27))),
    "cbrt": Case(np.cbrt, ranges((1e-30, 1e30), (1e-200, 1e200))),
    "rsqrt": Case(lambda x: 1 / np.sqrt(x), ranges((1e-30, 1e30), (1e-200, 1e200))),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {"atan2": np.arctan2, "hypot": np.hypot, "pow": np.power}


@cache
def stated_errors() -> dict[str, dict[str, float]]:
    """What the docstrings promise, in ulp: ``{"exp": {"f32": 0.87, "f64": 0.9}, ...}``."""
    text = (files("lem_stdlib") / "math.lem").read_text()
    head = r'^fn (\w+)\[T: float\]\([^)]*\) -> T:\n    """[^"]*?'
    found = re.findall(head + r"Error: ([\d.]+) ulp in f32, ([\d.]+) in f64", text, flags=re.M)
    return {name: {"f32": float(a), "f64": float(b)} for name, a, b in found}


# ---------------------------------------------------------------- measuring


def ulp_errors(got: Array, exact: Array) -> Array:
    """|got - exact| in units of the last place of the rounded `exact`; inf where only one of them is finite."""
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        size = np.abs(np.where(np.isfinite(rounded), rounded, info.max)).astype(WIDE)
        ulp = np.ldexp(WIDE(1), np.frexp(np.maximum(size, WIDE(info.tiny)))[1] - 1 - info.nmant)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        finite = np.isfinite(got) & np.isfinite(exact)
        return np.where(finite, np.abs(got.astype(WIDE) - exact) / ulp, np.where(same, 0.0, np.inf))


def any_bits(rng: np.random.Generator, dtype: str) -> Array:
    width = np.uint32 if dtype == "f32" else np.uint64
    return rng.integers(0, np.iinfo(width).max, N_POINTS, dtype=width, endpoint=True).view(DTYPES[dtype])


def points(dtype: str, dense: tuple[float, float]) -> Array:
    rng = np.random.default_rng(7)
    lo, hi = dense
    spread = np.concatenate([np.exp(rng.uniform(np.log(lo), np.log(hi), N_POINTS)), rng.uniform(lo, hi, N_POINTS)])
    signed = np.where(rng.random(spread.size) < 0.5, spread, -spread)
    with np.errstate(over="ignore", under="ignore"):
        return np.concatenate([signed, SPECIAL]).astype(DTYPES[dtype])


def widened(exact: Callable[..., Any], *args: Array) -> Array:
    """`exact` at the points, in more digits than they have."""
    more = np.float64 if args[0].dtype == np.float32 and exact is not np.power else WIDE
    with np.errstate(all="ignore"):
        return np.asarray(exact(*(a.astype(more) for a in args))).astype(WIDE)


def assert_within(name: str, dtype: str, got: Array, exact: Array, args: tuple[Array, ...], bound: float) -> None:
    errors = ulp_errors(got, exact)
    worst = int(np.argmax(errors))
    at = ", ".join(repr(a[worst]) for a in args)
    assert errors[worst] <= bound, f"{name}({at}) is {got[worst]!r}, not {exact[worst]!r}: {errors[worst]:.3f} ulp"
    with np.errstate(all="ignore"):
        zeros = (got == 0) & (exact == 0)
        assert np.array_equal(np.signbit(got[zeros]), np.signbit(exact[zeros].astype(got.dtype))), f"{name}: sign of zero"


def needs_long_double(dtype: str) -> None:
    if dtype == "f64" and np.finfo(WIDE).nmant <= 52:
        pytest.skip("long double has no more digits than f64 here, so f64 has no reference")


# ---------------------------------------------------------------- tests


def apply(name: str, dtype: str, *args: Array, target: str = "cpu") -> Array:
    """`name` at each element, through a kernel."""
    names = ("x", "y")[: len(args)]
    params = ", ".join(f"{n}: {dtype}[N]" for n in names)
    call = ", ".join(f"{n}[i]" for n in names)
    text = f"kernel f[N]({params}, result: out {dtype}[N]):\n    for i in grid(N):\n        result[i] = {name}({call})\n"
    given: dict[str, Any] = dict(zip(names, args, strict=True))
    return np.asarray(run_kernel(text, target=target, **given)["result"])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", UNARY)
def test_error_is_at_most_what_the_docstring_says(name: str, dtype: str) -> None:
    case = UNARY[name]
    needs_long_double(dtype)
    x = np.concatenate([points(dtype, case.dense[dtype]), any_bits(np.random.default_rng(11), dtype)])
    if dtype == "f64":
        x = x[~(np.abs(x) >= case.f64_below) | np.isinf(x)]
    got = apply(name, dtype, x)
    assert_within(name, dtype, got, widened(case.exact, x), (x,), stated_errors()[name][dtype])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", ["atan2", "hypot"])
def test_error_of_two_arguments(name: str, dtype: str) -> None:
    needs_long_double(dtype)
    rng = np.random.default_rng(13)
    x = np.concatenate([points(dtype, (1e-3, 1e3)), any_bits(rng, dtype)])
    y = rng.permutation(x)
    x, y = with_special_pairs(x, y)
    assert_within(name, dtype, apply(name, dtype, x, y), widened(BINARY[name], x, y), (x, y), stated_errors()[name][dtype])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_error_of_pow(dtype: str) -> None:
    if np.finfo(WIDE).nmant <= 52:
        pytest.skip("long double has no more digits than f64 here, so pow has no reference")
    rng = np.random.default_rng(17)
    largest = float(np.log(np.finfo(DTYPES[dtype]).max))
    log_x = np.concatenate([rng.uniform(-largest, largest, N_POINTS), rng.uniform(-0.7, 0.7, N_POINTS)])
    y = rng.uniform(-1.05, 1.05, log_x.size) * largest / np.maximum(np.abs(log_x), 1e-4)
    negative, whole = -rng.uniform(0.1, 9.0, 1000), rng.integers(-30, 30, 1000)
    with np.errstate(over="ignore"):
        x = np.concatenate([np.exp(log_x), negative]).astype(DTYPES[dtype])
    x, y = with_special_pairs(x, np.concatenate([y, whole]).astype(DTYPES[dtype]))
    exact = widened(BINARY["pow"], x, y)
    assert_within("pow", dtype, apply("pow", dtype, x, y), exact, (x, y), stated_errors()["pow"][dtype])


def with_special_pairs(x: Array, y: Array) -> tuple[Array, Array]:
    """The points, and each special value with each other one."""
    values = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 1e-45, 3.4e38, 1.5]
    a, b = np.meshgrid(np.array(values).astype(x.dtype), np.array(values).astype(x.dtype))
    return np.concatenate([x, a.ravel()]), np.concatenate([y, b.ravel()])


def test_huge_angles_near_multiples_of_a_quarter_turn() -> None:
    # The f32 numbers that come closest to a multiple of pi/2 for their size.
    x = np.ldexp(np.array([16367173.0, 13000173.0, 15928401.0], np.float64), [72, 56, 84]).astype(np.float32)
    exact = np.sin(x.astype(np.float64))
    assert_within("sin", "f32", apply("sin", "f32", x), exact.astype(WIDE), (x,), 1.0)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_interpreter_gives_the_same_bits(name: str, dtype: str) -> None:
    x = np.array([*SPECIAL, 0.25, 0.75, 1.5, 7.0, 33.3, 1e5, 1e7], np.float64)
    with np.errstate(over="ignore", under="ignore"):
        x = x.astype(DTYPES[dtype])
    args = with_special_pairs(x, x[::-1]) if name in BINARY else (x,)
    assert same_bits(apply(name, dtype, *args, target="interp"), apply(name, dtype, *args))


def same_bits(a: Array, b: Array) -> bool:
    """All bits, but for those of a NaN."""
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))


def test_narrow_types_are_computed_in_f32() -> None:
    x = np.linspace(-4, 4, 101).astype(np.float16)
    text = "kernel f[N](x: f16[N], y: out f16[N]):\n    for i in grid(N):\n        y[i] = exp(x[i])\n"
    assert np.array_equal(run_kernel(text, x=x)["y"], np.exp(x.astype(np.float32)).astype(np.float16))


def test_every_function_states_its_error() -> None:
    assert set(stated_errors()) == {*UNARY, *BINARY}
