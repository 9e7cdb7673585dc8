"""`stats.lem` computes what NumPy computes in f64, at ragged, round and degenerate sizes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tests.support.stdlib import Array, call, check_examples, uniform

SIZES = [(1, 1), (2, 3), (7, 1), (64, 5), (100, 33)]
FLOATS = [np.float32, np.float64]


def run(item: str, **given: Any) -> Any:
    """The one result of an item."""
    (result,) = call("stats", item, **given).values()
    return result


def close(got: Array, exact: Array, dtype: Any) -> None:
    np.testing.assert_allclose(got, exact, rtol=200 * np.finfo(dtype).eps, atol=50 * np.finfo(dtype).eps)


def test_examples() -> None:
    check_examples("stats")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_columns(size: tuple[int, int], dtype: Any) -> None:
    x = uniform(*size, dtype=dtype) + dtype(2)
    wide = x.astype(np.float64)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # one observation has no sample variance
        close(run("means", x=x), wide.mean(0), dtype)
        close(run("variances", x=x, ddof=1), wide.var(0, ddof=1), dtype)
        close(run("deviations", x=x), wide.std(0), dtype)
        close(run("covariance", x=x), np.cov(wide, rowvar=False).reshape(size[1], size[1]), dtype)
        if size[0] > 1:
            close(run("zscore", x=x), (wide - wide.mean(0)) / wide.std(0), dtype)
            close(run("correlation", x=x), np.corrcoef(wide, rowvar=False).reshape(size[1], size[1]), dtype)
    got = call("stats", "minmax", x=x)
    assert np.array_equal(got["low"], x.min(0)) and np.array_equal(got["high"], x.max(0))


def test_no_observations() -> None:
    x = np.zeros((0, 3))
    assert np.isnan(run("means", x=x)).all() and np.isnan(run("variances", x=x)).all()
    assert run("covariance", x=np.zeros((4, 0))).shape == (0, 0)


@pytest.mark.parametrize("n", [0, 1, 7, 100, 5000])
@pytest.mark.parametrize("bins", [1, 8, 100])
def test_histogram(n: int, bins: int) -> None:
    x = np.round(uniform(n, dtype=np.float64) * 64) / 64  # on edges, too
    x[: n // 50] = np.nan
    counts = run("histogram", x=x, counts=np.zeros(bins, np.int64), low=-2.0, high=2.0)
    inside = x[(x >= -2) & (x <= 2)]
    assert counts.sum() == inside.size
    assert np.abs(counts - np.histogram(inside, bins, (-2, 2))[0]).sum() <= (0 if bins in (1, 8) else inside.size / 50)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", [1, 2, 7, 64, 100])
def test_quantiles(n: int, dtype: Any) -> None:
    x, q = uniform(n, dtype=dtype), np.linspace(0, 1, 13).astype(dtype)
    close(run("quantiles", x=x, q=q), np.quantile(x.astype(np.float64), q.astype(np.float64)), dtype)
