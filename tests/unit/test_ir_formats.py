"""Number formats of the interpreter: each conversion rounds once, FMA too, integers wrap and saturate."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from lem.ir.interpreter.elementary import BINARY, UNARY
from lem.ir.interpreter.formats import cast, fma, literal, narrow, show, wide
from lem_runtime.abi.dtypes import BF16, BOOL, DTYPES, F8E4M3, F8E5M2, F16, F32, F64, I8, I32, I64, U8, U64, DType

F8 = [F8E4M3, F8E5M2]


def _random(dtype: Any, n: int, seed: int) -> Any:
    bits = np.random.default_rng(seed).integers(0, 2 ** (np.dtype(dtype).itemsize * 8), n, dtype=np.uint64)
    return bits.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fma_rounds_once(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    x, y = (rng.standard_normal(300).astype(dtype) for _ in range(2))
    near = (-x * y * (1 + rng.integers(-3, 3, 300) * np.finfo(dtype).eps)).astype(dtype)  # cancels almost all
    z = np.concatenate([near[:100], rng.standard_normal(100).astype(dtype), near[200:] * dtype(2.0**-50)])
    x, y, z = (np.append(a, _random(dtype, 300, s)) for a, s in ((x, 1), (y, 2), (z, 3)))  # any bits at all
    ends = np.array([0, np.inf, -np.inf, np.nan, np.finfo(dtype).max, -np.finfo(dtype).max, 1], dtype)
    x, y, z = (np.append(a, e) for a, e in zip((x, y, z), np.meshgrid(ends, ends, ends), strict=True))
    with np.errstate(all="ignore"):
        got = fma(x, y, z)
        plain = x * y + z
    for a, b, c, r, p in zip(x.tolist(), y.tolist(), z.tolist(), got.tolist(), plain.tolist(), strict=True):
        if not np.isfinite([a, b, c]).all():
            want = c if np.isfinite([a, b]).all() else p  # a product that is too large is finite all the same
            assert r == want or (np.isnan(r) and np.isnan(want)), (a, b, c)
            continue
        assert r == _nearest(Fraction(a) * Fraction(b) + Fraction(c), dtype), (a, b, c)


def _nearest(exact: Fraction, dtype: Any) -> float:
    if dtype is np.float64:
        try:
            return float(exact)
        except OverflowError:
            return float("inf") if exact > 0 else float("-inf")
    with np.errstate(all="ignore"):
        guess = np.float32(float(exact)) if abs(exact) < 2**200 else np.float32(np.inf if exact > 0 else -np.inf)
        around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    if not np.isfinite(guess):
        return float("inf") if exact > 0 else float("-inf")
    finite = [float(c) for c in around if np.isfinite(c)]
    return min(finite, key=lambda c: (abs(Fraction(c) - exact), struct.unpack("<I", struct.pack("<f", c))[0] & 1))


def test_bf16_rounds_the_top_half_of_f32_to_even() -> None:
    x = _random(np.float32, 2000, 5)
    x = x[np.isfinite(x)]
    bits = x.view(np.uint32).astype(np.uint64)
    want = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    assert np.array_equal(narrow(x, BF16), want)
    assert np.array_equal(wide(want, BF16).view(np.uint32), want.astype(np.uint32) << 16)


def test_conversion_from_f64_does_not_round_twice() -> None:
    # Just above the middle of two bf16 neighbours, by less than f32 can tell.
    x = np.array([1 + 2.0**-8 + 2.0**-40])
    assert show(cast(x, F64, BF16)[0], BF16) == 1 + 2.0**-7
    n = np.array([2**62 + 2**54 + 1, -(2**62) - 2**54 - 1])
    assert [show(v, BF16) for v in cast(n, I64, BF16)] == [2.0**62 + 2.0**55, -(2.0**62) - 2.0**55]


@pytest.mark.parametrize("t", [BF16, *F8])
def test_every_code_survives_its_value(t: DType) -> None:
    codes = np.arange(1 << t.bits).astype(f"u{t.size_bytes}")
    values = wide(codes, t)
    kept = ~np.isnan(values)
    assert np.array_equal(narrow(values, t)[kept], codes[kept])
    assert np.isnan(wide(narrow(values, t), t)[~kept]).all()


@pytest.mark.parametrize(
    ("t", "value", "want"),
    [
        (F8E4M3, 448.0, 448.0), (F8E4M3, 464.0, 448.0), (F8E4M3, 465.0, np.nan), (F8E4M3, np.inf, np.nan),
        (F8E4M3, 2.0**-10, 0.0), (F8E4M3, 3 * 2.0**-11, 2.0**-9), (F8E4M3, -17.0, -16.0), (F8E4M3, 19.0, 20.0),
        (F8E5M2, 57344.0, 57344.0), (F8E5M2, 61439.0, 57344.0), (F8E5M2, 61440.0, np.inf), (F8E5M2, -np.inf, -np.inf),
        (F8E5M2, 1.125, 1.0), (F8E5M2, 1.375, 1.5), (BF16, 3.4e38, np.inf), (BF16, np.nan, np.nan),
    ],
)  # fmt: skip
def test_narrow_formats_round_and_overflow(t: DType, value: float, want: float) -> None:
    got = show(cast(np.array([value]), F64, t)[0], t)
    assert got == want or (np.isnan(got) and np.isnan(want))


@pytest.mark.parametrize(
    ("value", "to", "want"),
    [
        (3.9, I32, 3), (-3.9, I32, -3), (np.nan, I32, 0), (3e9, I32, 2**31 - 1), (-3e9, I32, -(2**31)),
        (np.inf, I64, 2**63 - 1), (-1e30, I64, -(2**63)), (2.0**63, U64, 2**63), (1e30, U64, 2**64 - 1),
        (-0.5, U8, 0), (-1.0, U8, 0), (300.0, U8, 255), (127.5, I8, 127), (0.0, BOOL, False), (np.nan, BOOL, True),
        (70000.0, F16, np.inf), (1e-30, F32, np.float32(1e-30)),
    ],
)  # fmt: skip
def test_conversions_of_floats(value: float, to: DType, want: float) -> None:
    with np.errstate(all="ignore"):
        assert cast(np.array(value), F64, to) == want


@pytest.mark.parametrize(("t", "value", "to", "want"), [(I32, -1, U8, 255), (I64, 2**31, I32, -(2**31)), (U8, 200, I8, -56)])
def test_integers_wrap(t: DType, value: int, to: DType, want: int) -> None:
    assert cast(literal(value, t), t, to) == want


def test_shifts_floor_division_and_wrapping() -> None:
    def binary(kind: str, x: int, y: int, t: DType = I32) -> Any:
        with np.errstate(all="ignore"):
            return BINARY[kind](literal(x, t).reshape(1), literal(y, t).reshape(1))[0]

    assert [binary("shl", 3, n) for n in (0, 31, 32, 99)] == [3, -(2**31), 0, 0]
    assert [binary("shr", -8, n) for n in (1, 31, 32, 99)] == [-4, -1, -1, -1]
    assert [binary("shr", 8, n, U8) for n in (3, 8)] == [1, 0]
    assert [binary("floordiv", -7, 2), binary("mod", -7, 2), binary("mod", 7, -2)] == [-4, 1, -1]
    assert binary("add", 2**31 - 1, 1) == -(2**31)
    assert binary("floordiv", -(2**31), -1) == -(2**31) and binary("mod", -(2**31), -1) == 0
    assert np.isnan(BINARY["max"](np.array([np.nan]), np.array([1.0]))[0])
    assert UNARY["round"](np.array([0.5, 1.5, 2.5])).tolist() == [0, 2, 2]
    assert UNARY["not"](np.array([True])).tolist() == [False] and UNARY["not"](np.array([5])).tolist() == [-6]


def test_quantised_types_are_refused() -> None:
    with pytest.raises(ValueError, match="does not hold pal8"):
        literal(1, DTYPES["pal8"])
