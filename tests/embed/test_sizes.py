"""New sizes never compile: code is made per element types and per which arrays are contiguous, and that is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lem
from lem.dims import K, M, N
from lem.embed import compiling


@lem.kernel
def product(a: lem.f32[M, K], b: lem.f32[K, N], c: lem.out[lem.f32[M, N]]) -> None:
    for i, j in lem.grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)


def shapes(n: int, axes: int) -> list[tuple[int, ...]]:
    """Random ones, among them zeros, ones and large ratios."""
    rng = np.random.default_rng(4)
    small = rng.integers(0, 24, (n, axes))
    small[rng.random(small.shape) < 0.1] = 1
    small[:, 0] *= rng.integers(1, 9, n)
    return [tuple(int(s) for s in row) for row in small]


def test_a_thousand_shapes_are_one_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    compile = compiling.Compiler.compile

    def counted(self: compiling.Compiler, facts: Any) -> Any:
        made.append(facts)
        return compile(self, facts)

    monkeypatch.setattr(compiling.Compiler, "compile", counted)
    rng = np.random.default_rng(0)
    for m, k, n in shapes(1000, 3):
        a, b = rng.integers(-3, 4, (m, k)).astype(np.float32), rng.integers(-3, 4, (k, n)).astype(np.float32)
        c = np.full((m, n), 9, np.float32)
        product(a, b, c)
        np.testing.assert_array_equal(c, a @ b)
    assert len(made) <= 1, "none where the cache on disk has it"
    assert len(product.specializations) == 1
    product(np.ones((4, 6), np.float32)[:, ::2], np.ones((3, 2), np.float32), np.ones((4, 2), np.float32))
    assert len(product.specializations) == 2 and len(made) <= 2
