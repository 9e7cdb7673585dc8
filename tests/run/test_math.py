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

from lem_runtime import numpy_dtype
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

HALF_PI = (  # times 2**1200
    "1921fb54442d18469898cc51701b839a252049c1114cf98e804177d4c76273644a29410f31c6809bbdf2a33679a748636605"
    "614dbe4be286e9fc26adadaa3848bc90b6aecc4bcfd8de89885d34c6fdad617feb96de80d6fdbdc70d7f6b5133f4b5d3e482"
    "2f8963fcc9250cca3d9c8b67b8400f97142c77e0b31b4906c38aba734d22c7f51fa499ebf06caba47b9475b2c38c5e6ac410"
    "a"
)
COS_OF_HUGE = [-4.687165924254628e-19, 0.523214785395139, 0.9872460775989135, -0.9999876894265599]
SIN_OF_HUGE = [1.0, -0.8522008497671888, -0.15920170308624243, 0.004961954789184062]


@dataclass(frozen=True)
class Case:
    """`dense`: the range of |x| that gets most points, for f32 and f64; `hot`: where the error is largest."""

    exact: Callable[[Any], Any]
    dense: dict[str, tuple[float, float]]
    hot: float = 1.0


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
    "expm1": Case(np.expm1, ranges((1e-10, 90), (1e-18, 712)), hot=0.35),
    "log": Case(np.log, ranges((0.5, 2), (0.5, 2)), hot=0.707),
    "log2": Case(np.log2, ranges((0.5, 2), (0.5, 2)), hot=1.41),
    "log10": Case(np.log10, ranges((0.5, 2), (0.5, 2)), hot=1.33),
    "log1p": Case(np.log1p, ranges((1e-9, 10), (1e-17, 10)), hot=-0.293),
    "sin": Case(np.sin, ranges((1e-6, 1e7), (1e-9, 1e14)), hot=3.9),
    "cos": Case(np.cos, ranges((1e-6, 1e7), (1e-9, 1e14)), hot=-0.81),
    "tan": Case(np.tan, ranges((1e-6, 1e7), (1e-9, 1e14)), hot=3.92),
    "asin": Case(np.arcsin, ranges((1e-9, 1), (1e-9, 1)), hot=0.53),
    "acos": Case(np.arccos, ranges((1e-9, 1), (1e-9, 1)), hot=0.55),
    "atan": Case(np.arctan, ranges((1e-5, 20), (1e-9, 20)), hot=1.04),
    "sinh": Case(np.sinh, ranges((1e-5, 90), (1e-9, 712)), hot=1.44),
    "cosh": Case(np.cosh, ranges((1e-5, 90), (1e-9, 712)), hot=5.2),
    "tanh": Case(np.tanh, ranges((1e-5, 10), (1e-9, 21)), hot=0.76),
    "erf": Case(exact_erf, ranges((1e-5, 4.2), (1e-9, 6.2)), hot=1.06),
    "erfc": Case(exact_erfc, ranges((1e-3, 10.3), (1e-3, 27)), hot=0.51),
    "cbrt": Case(np.cbrt, ranges((1e-38, 1e30), (1e-308, 1e200))),
    "rsqrt": Case(lambda x: 1 / np.sqrt(x), ranges((1e-30, 1e30), (1e-200, 1e200))),
}
ROUNDING = {"floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint}  # exact, -0.0 where it rounds to 0
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


def points(dtype: str, dense: tuple[float, float], hot: float = 1.0) -> Array:
    rng = np.random.default_rng(7)
    lo, hi = dense
    spread = np.concatenate([np.exp(rng.uniform(np.log(lo), np.log(hi), N_POINTS)), rng.uniform(lo, hi, N_POINTS)])
    signed = np.where(rng.random(spread.size) < 0.5, spread, -spread)
    with np.errstate(over="ignore", under="ignore"):
        return np.concatenate([signed, hot * rng.uniform(0.95, 1.05, N_POINTS), SPECIAL]).astype(DTYPES[dtype])


def widened(exact: Callable[..., Any], *args: Array) -> Array:
    """`exact` at the points, in more digits than they have."""
    more = np.float64 if args[0].dtype == np.float32 and exact is not np.power else WIDE
    with np.errstate(all="ignore"):
        return np.asarray(exact(*(a.astype(more) for a in args))).astype(WIDE)


def assert_within(name: str, dtype: str, got: Array, exact: Array, args: tuple[Array, ...], bound: Any) -> None:
    errors = ulp_errors(got, exact)
    if name == "hypot":  # its docstring's exception: scaled into the subnormal numbers, a result is rounded twice
        bound = np.where(np.abs(exact) < np.finfo(got.dtype).tiny, 0.75, bound)
    worst = int(np.argmax(errors - bound))
    at = ", ".join(repr(a[worst]) for a in args)
    assert np.all(errors <= bound), f"{name}({at}) is {got[worst]!r}, not {exact[worst]!r}: {errors[worst]:.3f} ulp"
    with np.errstate(all="ignore"):
        zeros = (got == 0) & (exact == 0)
        assert np.array_equal(np.signbit(got[zeros]), np.signbit(exact[zeros].astype(got.dtype))), f"{name}: sign of zero"


def needs_long_double(dtype: str) -> None:
    if dtype == "f64" and np.finfo(WIDE).nmant <= 52:
        pytest.skip("long double has no more digits than f64 here, so f64 has no reference")


# ---------------------------------------------------------------- tests


def apply(name: str, dtype: str, *args: Array, target: str = "cpu", loop: str = "grid") -> Array:
    """`name` at each element, through a kernel: vectors where `loop` is "grid", one number at a time where "range"."""
    names = ("x", "y")[: len(args)]
    params = ", ".join(f"{n}: {dtype}[N]" for n in names)
    call = ", ".join(f"{n}[i]" for n in names)
    text = f"kernel f[N]({params}, result: out {dtype}[N]):\n    for i in {loop}(N):\n        result[i] = {name}({call})\n"
    given: dict[str, Any] = dict(zip(names, args, strict=True))
    return np.asarray(run_kernel(text, target=target, **given)["result"])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", UNARY)
def test_error_is_at_most_what_the_docstring_says(name: str, dtype: str) -> None:
    case = UNARY[name]
    needs_long_double(dtype)
    x = np.concatenate([points(dtype, case.dense[dtype], case.hot), any_bits(np.random.default_rng(11), dtype)])
    got = apply(name, dtype, x)
    assert_within(name, dtype, got, widened(case.exact, x), (x,), stated_errors()[name][dtype])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", ["atan2", "hypot"])
def test_error_of_two_arguments(name: str, dtype: str) -> None:
    needs_long_double(dtype)
    rng = np.random.default_rng(13)
    tiny = rng.uniform(-4, 4, N_POINTS).astype(DTYPES[dtype]) * np.finfo(DTYPES[dtype]).tiny
    x = np.concatenate([points(dtype, (1e-3, 1e3)), any_bits(rng, dtype)])
    x, y = (np.concatenate([part, rng.permutation(tiny)]) for part in (x, rng.permutation(x)))
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


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_near_multiples_of_a_quarter_turn(name: str) -> None:
    # For each exponent the numbers that come closest to a multiple of pi/2.
    for dtype in DTYPES:
        needs_long_double(dtype)
        x = np.array(nearest_to_quarter_turns(np.finfo(DTYPES[dtype]))).astype(DTYPES[dtype])
        x = np.concatenate([x, -x])
        exact = widened(UNARY[name].exact, x)
        assert_within(name, dtype, apply(name, dtype, x), exact, (x,), stated_errors()[name][dtype])


def nearest_to_quarter_turns(info: Any) -> list[float]:
    """Of each exponent: the convergents of pi/2 over it, by continued fractions (Muller, Elementary Functions, 11.3)."""
    half_pi = int(HALF_PI, 16)  # scaled by 2**1200
    found = []
    for e in range(-info.nmant, info.maxexp - info.nmant):
        x, y = half_pi, 1 << (1200 + e) if e > 0 else 1 << 1200
        x = x << -e if e < 0 else x
        before, m = 0, 1
        while y and m < 2 ** (info.nmant + 1):
            found.append(float(m) * 2.0**e)
            before, m = m, (x // y) * m + before
            x, y = y, x % y
    return found


def test_huge_angles() -> None:
    # The f64 number whose cosine is nearest to 0; references by an arithmetic of 1,200 digits.
    x = np.array([6381956970095103 * 2.0**797, 1e22, 2.0**1000, np.finfo(np.float64).max])
    exact = {"cos": COS_OF_HUGE, "sin": SIN_OF_HUGE}
    for name, values in exact.items():
        got = apply(name, "f64", x)
        assert np.all(ulp_errors(got, np.array(values, WIDE)) < 1.0), f"{name}: {got}"


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_interpreter_gives_the_same_bits(name: str, dtype: str) -> None:
    x = np.array([*SPECIAL, 0.25, 0.75, 1.5, 7.0, 33.3, 1e5, 1e7], np.float64)
    with np.errstate(over="ignore", under="ignore"):
        x = x.astype(DTYPES[dtype])
    args = with_special_pairs(x, x[::-1]) if name in BINARY else (x,)
    assert same_bits(apply(name, dtype, *args, target="interp"), apply(name, dtype, *args))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", [*UNARY, *BINARY, *ROUNDING, "sqrt"])
def test_scalar_code_gives_the_same_bits_as_vectors(name: str, dtype: str) -> None:
    x = np.concatenate([any_bits(np.random.default_rng(5), dtype)[:3000], points(dtype, (1e-3, 40))[::20]])
    args = (x, x[::-1].copy()) if name in BINARY else (x,)
    assert same_bits(apply(name, dtype, *args, loop="range"), apply(name, dtype, *args))


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "f64"])
@pytest.mark.parametrize("name", ROUNDING)
def test_rounding_to_whole_numbers_is_exact(name: str, dtype: str) -> None:
    kind = np.float64 if dtype == "f64" else np.float32
    halves = np.arange(-600, 601) * 0.25
    edges = [2.0**p + d for p in (22, 23, 24, 31, 51, 52, 53, 63) for d in (-1.5, -0.5, 0.0, 0.5, 1.5)]
    below_half = np.nextafter(kind(0.5), kind(0))
    x = np.concatenate([halves, edges, np.negative(edges), SPECIAL, [below_half, -below_half]])
    with np.errstate(all="ignore"):
        x = np.concatenate([x.astype(kind), any_bits(np.random.default_rng(3), "f64" if dtype == "f64" else "f32")])
        x = x.astype(np.float16) if dtype == "f16" else x
        given = (x.view(np.uint32) >> 16).astype(numpy_dtype("bf16")) if dtype == "bf16" else x
        exact = ROUNDING[name](bf16_values(given) if dtype == "bf16" else x)
    text = f"kernel f[N](x: {dtype}[N], y: out {dtype}[N]):\n    for i in grid(N):\n        y[i] = {name}(x[i])\n"
    for target in ("cpu", "interp"):
        got = np.asarray(run_kernel(text, target=target, x=given)["y"])
        assert same_bits(bf16_values(got) if dtype == "bf16" else got, exact), target


def bf16_values(bits: Array) -> Array:
    return (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_sqrt_is_correctly_rounded(dtype: str) -> None:
    needs_long_double(dtype)
    x = np.concatenate([points(dtype, (1e-3, 1e3)), any_bits(np.random.default_rng(19), dtype)])
    assert_within("sqrt", dtype, apply("sqrt", dtype, x), widened(np.sqrt, x), (x,), 0.5)


def same_bits(a: Array, b: Array) -> bool:
    """All bits, but for those of a NaN."""
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))


def test_narrow_types_are_computed_in_f32() -> None:
    x = np.linspace(-4, 4, 101).astype(np.float16)
    text = "kernel f[N](x: f16[N], y: out f16[N]):\n    for i in grid(N):\n        y[i] = exp(x[i])\n"
    assert np.array_equal(run_kernel(text, x=x)["y"], np.exp(x.astype(np.float32)).astype(np.float16))


def test_every_function_states_its_error() -> None:
    assert set(stated_errors()) == {*UNARY, *BINARY}
