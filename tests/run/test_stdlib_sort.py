"""`sort.lem` sorts as NumPy does: any length, any number type, nan last, equal elements in their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.stdlib import Array, call, check_examples

LENGTHS = [0, 1, 2, 3, 7, 64, 100, 257]
DTYPES = [np.float32, np.float64, np.int32, np.uint8]


def numbers(*shape: int, dtype: Any) -> Array:
    """Few enough values that some are equal."""
    return np.random.default_rng(sum(shape)).integers(0, 50, shape).astype(dtype)


def test_examples() -> None:
    check_examples("sort")


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows(dtype: Any) -> None:
    for k in LENGTHS:
        x = numbers(5, k, dtype=dtype)
        assert np.array_equal(call("sort", "sort_rows", x=x)["x"], np.sort(x, axis=1))
        assert np.array_equal(call("sort", "argsort_rows", x=x)["index"], np.argsort(x, axis=1, kind="stable"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors(dtype: Any) -> None:
    for n in LENGTHS:
        x = numbers(n, dtype=dtype)
        assert np.array_equal(call("sort", "merge_sort", x=x)["x"], np.sort(x))
        assert call("sort", "is_sorted", x=np.sort(x))["ok"]
        assert call("sort", "is_sorted", x=x)["ok"] == np.array_equal(x, np.sort(x))


def test_nan_and_infinities() -> None:
    x = np.array([[np.nan, 1.0, -np.inf, np.inf, np.nan, -0.0, 0.0, 2.0]])
    assert np.array_equal(call("sort", "sort_rows", x=x)["x"], np.sort(x), equal_nan=True)
    assert np.array_equal(call("sort", "merge_sort", x=x[0])["x"], np.sort(x[0]), equal_nan=True)
    assert np.array_equal(call("sort", "argsort_rows", x=x)["index"], np.argsort(x, axis=1, kind="stable"))
    assert np.signbit(call("sort", "sort_rows", x=x)["x"]).sum() == 2
