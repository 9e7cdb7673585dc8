"""`sparse.lem` computes what SciPy's sparse matrices compute: ragged, empty and full rows, both widths of indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from tests.support.run import fault_of
from tests.support.stdlib import Array, call, check_examples, text_of, uniform

SIZES = [(0, 3), (3, 0), (1, 1), (7, 5), (40, 64), (100, 33)]
KINDS = [np.int32, np.int64]


def matrix(m: int, n: int, density: float, dtype: Any = np.float64) -> Any:
    made = sparse.random(m, n, density, format="csr", random_state=m + n, dtype=np.float64).astype(dtype)
    return made


def rows_of(a: Any, kind: Any) -> dict[str, Array]:
    return {"ptr": a.indptr.astype(kind), "col": a.indices.astype(kind), "data": a.data}


def close(got: Array, exact: Array) -> None:
    np.testing.assert_allclose(got, exact, rtol=1e-12, atol=1e-12)


def test_examples() -> None:
    check_examples("sparse")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_products(size: tuple[int, int], density: float, kind: Any) -> None:
    m, n = size
    a, x, z, b = matrix(m, n, density), uniform(n, dtype=float), uniform(m, dtype=float), uniform(n, 9, dtype=float)
    rows = rows_of(a, kind)
    close(call("sparse", "csr_matvec", **rows, x=x)["y"], a @ x)
    close(call("sparse", "csr_matmat", **rows, b=b)["c"], a @ b)
    close(call("sparse", "csr_matvec_t", **rows, x=z, y=np.ones(n))["y"], 1 + a.T @ z)
    places = a.tocoo()
    given = {"row": places.row.astype(kind), "col": places.col.astype(kind), "data": places.data}
    close(call("sparse", "coo_matvec", **given, x=x, y=np.ones(m))["y"], 1 + a @ x)


def test_a_column_that_does_not_exist_faults() -> None:
    a = matrix(9, 5, 0.5)
    rows = rows_of(a, np.int32)
    rows["col"][a.indptr[4]] = 5
    fault = fault_of(text_of("sparse"), "csr_matvec", **rows, x=np.ones(5))
    assert (fault.code, fault.indices, fault.values) == ("E0601", (4,), (5, 5))
