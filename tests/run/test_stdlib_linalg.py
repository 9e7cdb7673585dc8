"""`linalg.lem` computes what NumPy and SciPy compute, at ragged, round and degenerate sizes, in each float type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import linalg as reference

from tests.support.run import TARGETS, fault_of
from tests.support.stdlib import Array, call, check_examples, text_of, uniform

VECTORS = [0, 1, 7, 64, 100, 5000]
PRODUCTS = [(1, 1, 1), (2, 3, 5), (64, 64, 64), (33, 17, 300), (0, 4, 3), (3, 4, 0), (1, 50, 7)]
SYSTEMS = [(0, 2), (1, 1), (2, 0), (7, 3), (32, 16), (45, 33)]


def run(item: str, **given: Any) -> dict[str, Any]:
    return call("linalg", item, **given)


def close(got: Any, exact: Any, terms: int, dtype: Any = np.float32) -> None:
    """Within the rounding of a sum of `terms` products of the size of the largest."""
    exact = np.asarray(exact)
    assert np.shape(got) == exact.shape
    bound = 8 * np.finfo(dtype).eps * max(terms, 1) ** 0.5 * (1 + np.abs(exact).max(initial=0))
    assert np.abs(np.asarray(got, np.float64) - exact).max(initial=0) <= bound


def positive_definite(n: int, dtype: Any) -> Array:
    a = uniform(n, n, dtype=np.float64)
    return np.asarray(a @ a.T + n * np.eye(n), dtype)


def test_examples() -> None:
    check_examples("linalg")


# ---------------------------------------------------------------- vectors


@pytest.mark.parametrize("n", VECTORS)
def test_vectors(n: int) -> None:
    x, y = uniform(n), uniform(n, seed=1)
    wide = x.astype(np.float64)
    close(run("dot", x=x, y=y)["s"], wide @ y, n)
    close(run("axpy", alpha=0.5, x=x, y=y)["y"], 0.5 * wide + y, 1)
    close(run("norm1", x=x)["s"], np.abs(wide).sum(), n)
    close(run("norm2", x=x)["s"], np.linalg.norm(wide), n)
    assert run("norm_inf", x=x)["s"] == np.abs(x).max(initial=0)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_norm2_neither_overflows_nor_vanishes(scale: float) -> None:
    x = np.array([3.0, -4.0]) * scale
    assert run("norm2", x=x)["s"] == pytest.approx(5 * scale, rel=1e-15)


def test_norm2_of_what_is_no_number() -> None:
    assert run("norm2", x=np.array([1.0, -np.inf]))["s"] == np.inf
    assert np.isnan(run("norm2", x=np.array([1.0, np.nan, 2.0]))["s"])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_in_each_type(dtype: Any) -> None:
    x, y = uniform(77, dtype=dtype), uniform(77, dtype=dtype, seed=1)
    got = run("dot", x=x, y=y)["s"]
    assert np.asarray(got).dtype in (dtype, np.dtype(float))
    close(got, x.astype(np.float64) @ y, 77, dtype)


@pytest.mark.parametrize("size", [(0, 3), (1, 1), (7, 64), (20, 100)])
def test_outer_and_transpose(size: tuple[int, int]) -> None:
    m, n = size
    x, y, a = uniform(m), uniform(n, seed=1), uniform(m, n)
    assert np.array_equal(run("outer", x=x, y=y)["a"], np.outer(x, y))
    assert np.array_equal(run("transpose", a=a)["b"], a.T)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.bool_])
def test_transpose_of_whole_numbers(dtype: Any) -> None:
    a = np.arange(35).reshape(5, 7).astype(dtype)
    assert np.array_equal(run("transpose", a=a)["b"], a.T)


# ---------------------------------------------------------------- matrix products


@pytest.mark.parametrize("size", PRODUCTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matmul_in_every_storage(size: tuple[int, int, int], dtype: Any) -> None:
    m, n, k = size
    a, b = uniform(m, k, dtype=dtype), uniform(k, n, dtype=dtype, seed=1)
    at, bt = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    c = run("matmul", a=a, b=b)["c"]
    close(c, a.astype(np.float64) @ b, k, dtype)
    # One order of additions, whatever the storage (LANGUAGE 30).
    assert np.array_equal(run("matmul_nt", a=a, b=bt)["c"], c)
    assert np.array_equal(run("matmul_tn", a=at, b=b)["c"], c)
    assert np.array_equal(run("matmul_tt", a=at, b=bt)["c"], c)


def test_matmul_of_half_precision() -> None:
    a, b = uniform(20, 30, dtype=np.float16), uniform(30, 25, dtype=np.float16, seed=1)
    close(run("matmul", a=a, b=b)["c"], a.astype(np.float64) @ b, 1, np.float16)


@pytest.mark.parametrize("size", [(0, 2, 2, 2), (1, 1, 1, 1), (3, 7, 5, 4), (5, 16, 16, 16), (2, 33, 40, 70)])
def test_batched_matmul(size: tuple[int, int, int, int]) -> None:
    p, m, n, k = size
    a, b = uniform(p, m, k), uniform(p, k, n, seed=1)
    close(run("batched_matmul", a=a, b=b)["c"], a.astype(np.float64) @ b, k)


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (1, 1), (7, 5), (64, 64), (33, 1000)])
def test_matrix_and_vector(size: tuple[int, int]) -> None:
    m, n = size
    a, x, y = uniform(m, n), uniform(n), uniform(m, seed=1)
    close(run("gemv", a=a, x=x)["y"], a.astype(np.float64) @ x, n)
    close(run("gemv_t", a=a, x=y)["y"], a.T.astype(np.float64) @ y, m)


@pytest.mark.parametrize("size", [(0, 3), (1, 1), (7, 5), (64, 32), (50, 300)])
def test_syrk(size: tuple[int, int]) -> None:
    n, k = size
    a, c = uniform(n, k), uniform(n, n, seed=1)
    exact = np.where(np.tri(n, dtype=bool), -1.0 * a.astype(np.float64) @ a.T + 2.0 * c, c)
    close(run("syrk", a=a, c=c, alpha=-1.0, beta=2.0)["c"], exact, k)


# ---------------------------------------------------------------- triangular systems and factorisations


@pytest.mark.parametrize("size", SYSTEMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_triangular_systems(size: tuple[int, int], dtype: Any) -> None:
    m, n = size
    lower = np.linalg.cholesky(positive_definite(m, np.float64)).astype(dtype)
    b = uniform(m, n, dtype=dtype)
    above = lower + np.triu(uniform(m, m, dtype=dtype, seed=2), 1)  # is not read
    wide = lower.astype(np.float64)
    close(run("trsm", l=above, b=b)["b"], reference.solve_triangular(wide, b, lower=True) if m else b, m, dtype)
    close(run("trsm_t", l=above, b=b)["b"], reference.solve_triangular(wide, b, lower=True, trans=1) if m else b, m, dtype)
    right = np.ascontiguousarray(b.T)
    exact = reference.solve_triangular(wide, b, lower=True).T if m else right
    close(run("trsm_right", l=above, b=right)["b"], exact, m, dtype)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 32, 61])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_potrf(n: int, dtype: Any) -> None:
    a = positive_definite(n, dtype)
    got = run("potrf", a=a)["a"]
    close(np.tril(got), np.linalg.cholesky(a.astype(np.float64)), n, dtype)
    assert np.array_equal(np.triu(got, 1), np.triu(a, 1))


@pytest.mark.parametrize("item", ["potrf", "cholesky"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("a", "values"), [([[1, 2], [2, 1]], (1, -3.0)), ([[0]], (0, 0.0)), ([[np.nan]], (0, np.nan))])
def test_what_is_not_positive_definite_faults(item: str, target: str, a: Any, values: tuple[int, float]) -> None:
    fault = fault_of(text_of("linalg"), item, target=target, name="linalg.lem", a=np.array(a, float))
    assert fault.code == "E0603"
    np.testing.assert_equal(fault.values, values)


@pytest.mark.parametrize("n", [0, 1, 2, 9, 64, 65, 130])
@pytest.mark.parametrize("nb", [1, 7, 64, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cholesky(n: int, nb: int, dtype: Any) -> None:
    if n // nb > 30:
        return  # one element at a time
    a = positive_definite(n, dtype)
    got = run("cholesky", a=a, nb=nb)["a"]
    close(np.tril(got), np.linalg.cholesky(a.astype(np.float64)), n, dtype)
    assert np.array_equal(np.triu(got, 1), np.triu(a, 1))


@pytest.mark.parametrize("n", [0, 1, 2, 9, 64, 65, 130])
@pytest.mark.parametrize("nb", [1, 7, 64, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lu(n: int, nb: int, dtype: Any) -> None:
    if n // nb > 30:
        return
    a, b = uniform(n, n, dtype=dtype), uniform(n, 3, dtype=dtype, seed=1)
    got = run("lu", a=a, nb=nb)
    wide, pivot = reference.lu_factor(a.astype(np.float64)) if n else (a, np.zeros(0))
    assert np.array_equal(got["pivot"], pivot)
    assert np.abs(np.tril(got["a"], -1)).max(initial=0) <= 1
    lower, upper = np.tril(got["a"].astype(np.float64), -1) + np.eye(n), np.triu(got["a"].astype(np.float64))
    close(lower @ upper, exchanged(a, got["pivot"]), n, dtype)
    close(got["a"], wide, 30 * n * n, dtype)
    x = run("lu_solve", a=got["a"], pivot=got["pivot"], b=b)["b"]
    close(a.astype(np.float64) @ x, b, 30 * n * n, dtype)


def exchanged(a: Array, pivot: Array) -> Array:
    """The rows of `a` in the order that `pivot` leaves them in."""
    a = a.copy()
    for k, p in enumerate(pivot):
        a[[k, p]] = a[[p, k]]
    return a


def test_lu_of_a_singular_matrix_is_no_fault() -> None:
    a = np.outer([1.0, 2.0, 4.0], [1.0, 3.0, 5.0])
    got = run("lu", a=a, nb=2)
    assert got["pivot"].tolist() == [2, 1, 2]
    assert got["a"].tolist() == [[4, 12, 20], [0.5, 0, 0], [0.25, 0, 0]]


@pytest.mark.parametrize("item", ["cholesky", "lu"])
@pytest.mark.parametrize("n", [0, 5])
def test_blocks_of_nothing_are_refused(item: str, n: int) -> None:
    with pytest.raises(Exception, match="nb >= 1"):
        run(item, a=np.eye(n), nb=0)


@pytest.mark.parametrize("size", [(0, 0), (1, 0), (1, 1), (5, 1), (7, 7), (40, 13), (64, 64)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_qr(size: tuple[int, int], dtype: Any) -> None:
    m, n = size
    a = uniform(m, n, dtype=dtype)
    got = run("qr", a=a)
    q, r = got["q"].astype(np.float64), got["r"].astype(np.float64)
    assert np.array_equal(r, np.triu(r))
    close(q @ r, a, m, dtype)
    close(q.T @ q, np.eye(n), m, dtype)


def test_qr_of_dependent_columns() -> None:
    a = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [0.0, -1.0, -2.0]])
    got = run("qr", a=a)
    close(got["q"] @ got["r"], a, 4, np.float64)
    close(got["q"].T @ got["q"], np.eye(3), 4, np.float64)


# ---------------------------------------------------------------- norms


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (1, 1), (7, 5), (64, 64), (33, 1000)])
def test_norms_of_a_matrix(size: tuple[int, int]) -> None:
    m, n = size
    a = uniform(m, n)
    wide = a.astype(np.float64)
    close(run("matrix_norm1", a=a)["s"], np.abs(wide).sum(axis=0).max(initial=0), m)
    close(run("matrix_norm_inf", a=a)["s"], np.abs(wide).sum(axis=1).max(initial=0), n)
    close(run("norm_fro", a=a)["s"], np.sqrt((wide**2).sum()), m * n)
