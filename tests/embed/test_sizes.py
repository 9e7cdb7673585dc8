"""New sizes never compile: code is made per element types and per which arrays are contiguous, and that is counted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lem
from lem.dims import K, M, N
from lem.embed import compiling
from lem.targets import llvm_workers


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


def test_several_kernels_are_compiled_before_they_are_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(llvm_workers, "_WORTH_S", 0.0)
    file = tmp_path / "ten.lem"
    kernel = "kernel k{n}[N](x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        y[i] = x[i] * {n}.0\n\n\n"
    generic = "kernel any[T: float, N](x: T[N], y: out T[N]):\n    for i in grid(N):\n        y[i] = x[i]\n"
    file.write_text("".join(kernel.format(n=n) for n in range(10)) + generic)
    module = lem.load(file)
    lem.compile(module, product, workers=2)
    assert [len(getattr(module, f"k{n}").specializations) for n in range(10)] == [1] * 10
    assert module.any.specializations == ()
    lem.compile(module.any, dtypes={"T": "f64"})
    assert len(module.any.specializations) == 1
    monkeypatch.setattr(compiling.Compiler, "compile", None)  # nobody compiles from here on
    x, y = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)
    for n in range(10):
        getattr(module, f"k{n}")(x, y)
        assert (y == x * n).all()
        assert getattr(module, f"k{n}").engine.is_direct or sys.implementation.name != "cpython"
