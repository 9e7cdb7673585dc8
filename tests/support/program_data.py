"""Arrays to call generated programs with: ragged sizes, ordinary numbers, and the values that arithmetic trips over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lem_runtime import numpy_dtype
from lem_runtime.abi.dtypes import DTYPES

Array = np.ndarray[Any, Any]

SIZES = (3, 1, 2, 0, 7, 16, 5, 33, 17, 64, 300)  # what a dimension may be; the first is the one to shrink to
MODES = ("small", "normal", "special", "wild")
_SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0, 5e-324, 1e-40, 3.4028235e38, 1.7976931348623157e308, 0.1)


def values(dtype: str, shape: Sequence[int], mode: str, seed: int) -> Array:
    """small: few different numbers near 0. normal: any. special: limits, zeros, infinities, nan. wild: any bits."""
    rng, t, shape = np.random.default_rng(seed), DTYPES[dtype], tuple(shape)
    if t.is_bool:
        return rng.random(shape) < 0.5
    if t.is_int:
        return _integers(rng, dtype, shape, mode)
    if mode == "wild":
        bits = rng.integers(0, 1 << t.bits, shape, np.uint64, endpoint=False) if t.bits < 64 else rng.integers(
            0, (1 << 64) - 1, shape, np.uint64, endpoint=True
        )  # fmt: skip
        return bits.astype(f"u{t.bits // 8}").view(numpy_dtype(dtype))
    if mode == "small":
        reals = rng.integers(-12, 13, shape) / 4.0
    elif mode == "normal":
        reals = rng.standard_normal(shape) * 10.0 ** rng.integers(-2, 3, shape)
    else:
        reals = rng.choice(_SPECIAL, shape)
    return stored(reals, dtype)


def _integers(rng: np.random.Generator, dtype: str, shape: tuple[int, ...], mode: str) -> Array:
    t = DTYPES[dtype]
    numpy = numpy_dtype(dtype)
    if mode == "small":
        return rng.integers(-5 if t.is_signed else 0, 10, shape).astype(numpy)
    if mode == "special":
        limits = [t.min_int, t.max_int, 0, 1, t.max_int - 1, 2, t.min_int + 1]
        return np.array(limits, numpy)[rng.integers(0, len(limits), shape)]
    return rng.integers(t.min_int, t.max_int, shape, numpy, endpoint=True)


def stored(reals: Array, dtype: str) -> Array:
    """Numbers as an array of a float type holds them, rounded towards zero where NumPy has no such type."""
    with np.errstate(over="ignore"):
        single = np.asarray(reals, np.float64).astype(np.float32)
        if dtype == "bf16":
            return (single.view(np.uint32) >> 16).astype(np.uint16)
        if dtype == "f8e5m2":
            return (single.astype(np.float16).view(np.uint16) >> 8).astype(np.uint8)
        if dtype == "f8e4m3":  # bias 7 instead of f32's 127; 448 is the largest, all ones are nan
            sign = (single.view(np.uint32) >> 24).astype(np.uint8) & 0x80
            size = np.abs(single)
            code = ((np.clip(size, 2.0**-6, 448.0).view(np.uint32) >> 20) - (120 << 3)).astype(np.uint8)
            code = np.where(np.isnan(size), 0x7F, np.where(size < 2.0**-6, 0, code)).astype(np.uint8)
            return sign | code
        return np.asarray(reals, np.float64).astype(numpy_dtype(dtype))


def indices(dtype: str, shape: Sequence[int], size: int, seed: int) -> Array:
    """Indices of an axis of `size` elements (zeros where it has none)."""
    return np.random.default_rng(seed).integers(0, max(size, 1), tuple(shape)).astype(numpy_dtype(dtype))


def row_starts(rows: int, size: int, seed: int) -> Array:
    """Where the rows of a sparse matrix begin: ascending, from 0 to at most `size`."""
    return np.sort(np.random.default_rng(seed).integers(0, size + 1, rows + 1)).astype(np.int64)


def distinct(size: int, seed: int) -> Array:
    """All indices of an axis, in disorder."""
    return np.random.default_rng(seed).permutation(size).astype(np.int64)
