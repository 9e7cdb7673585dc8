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


@pytest.mark.parametrize("n", [65, 255, 4096, 4097, 20000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_vectors_of_many_runs(n: int, dtype: Any) -> None:
    x = np.random.default_rng(n).integers(-(2**40), 2**40, n).astype(dtype)
    if dtype is not np.int64:
        x[[3, 7, n - 1]] = [np.nan, np.inf, -np.inf]
    for given in (x, np.sort(x), np.sort(x)[::-1].copy(), np.zeros_like(x)):
        assert np.array_equal(call("sort", "merge_sort", x=given)["x"], np.sort(given), equal_nan=True)


@pytest.mark.parametrize("size", [(0, 5), (1, 2048), (17, 129), (3, 2049), (40, 31)])
def test_rows_of_many_sizes(size: tuple[int, int]) -> None:
    x = np.random.default_rng(size).standard_normal(size)
    x[:, 1::9] = np.nan
    x[1:2, :] = np.nan
    assert np.array_equal(call("sort", "sort_rows", x=x)["x"], np.sort(x), equal_nan=True)


def test_the_largest_numbers_there_are() -> None:
    for dtype in (np.int8, np.uint8, np.int64):
        x = np.array([np.iinfo(dtype).max, 0, np.iinfo(dtype).max, np.iinfo(dtype).min] * 10, dtype)
        assert np.array_equal(call("sort", "merge_sort", x=x)["x"], np.sort(x))


def test_nan_and_infinities() -> None:
    x = np.array([[np.nan, 1.0, -np.inf, np.inf, np.nan, -0.0, 0.0, 2.0]])
    assert np.array_equal(call("sort", "sort_rows", x=x)["x"], np.sort(x), equal_nan=True)
    assert np.array_equal(call("sort", "merge_sort", x=x[0])["x"], np.sort(x[0]), equal_nan=True)
    assert np.array_equal(call("sort", "argsort_rows", x=x)["index"], np.argsort(x, axis=1, kind="stable"))
    assert np.signbit(call("sort", "sort_rows", x=x)["x"]).sum() == 2
