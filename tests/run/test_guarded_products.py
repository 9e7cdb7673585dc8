"""Matrix products under a guard: packed like whole ones, with the interpreter's bits, and nothing else touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.targets import cpu
from lem_runtime import detect
from lem_runtime.abi.source import Facts
from tests.support.rules import run_both
from tests.support.run import program

Array = np.ndarray[Any, Any]

TEXT = """
kernel plain[M, N, K](a: {t}[M, K], b: {t}[N, K], c: inout {t}[M, N], w: int):
    for i, j in grid(M, N):
        if {guard}:
            c[i, j] = sum(a[i, k] * b[j, k] for k in K)

kernel more[M, N, K](a: {t}[M, K], b: {t}[N, K], c: inout {t}[M, N], w: int):
    for i, j in grid(M, N):
        if not ({guard}):
            return
        c[i, j] = 3 * c[i, j] - sum(a[i, k] * b[j, k] for k in K) + 2 * sum(b[j, k] * b[j, k] * a[i, k] for k in K)
"""
GUARDS = {
    "j <= i": lambda i, j, w: j <= i,
    "j > i + 3": lambda i, j, w: j > i + 3,
    "2 * i < j": lambda i, j, w: 2 * i < j,
    "i <= j and j <= i + w": lambda i, j, w: (i <= j) & (j <= i + w),
    "i < j or j < i - 5": lambda i, j, w: (i < j) | (j < i - 5),
    "(i + j) % 3 == 0": lambda i, j, w: (i + j) % 3 == 0,
    "i == j": lambda i, j, w: i == j,
    "i >= w": lambda i, j, w: (i >= w) & (j >= 0),
    "j < w": lambda i, j, w: (j < w) & (i >= 0),
    "w > 2": lambda i, j, w: (w > 2) & (i == i) & (j == j),
}
SHAPES = [(0, 0, 3), (1, 1, 1), (1, 5, 0), (7, 3, 2), (14, 32, 5), (33, 65, 40), (61, 61, 300), (130, 97, 17)]


def given(shape: tuple[int, int, int], dtype: str) -> dict[str, Array]:
    m, n, k = shape
    rng = np.random.default_rng(m + n + k)
    a, b, c = rng.integers(-4, 5, (m, k)), rng.integers(-4, 5, (n, k)), rng.integers(-9, 10, (m, n))
    return {name: x.astype(dtype) for name, x in (("a", a), ("b", b), ("c", c))}


def strategy(text: str, name: str) -> str:
    module = pipeline.optimised(program(text), name, "cpu")
    return cpu.propose(module, Facts(("inner",) * 3), detect())[name].grid(0).strategy


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_only_what_the_guard_wants_is_stored(guard: str, dtype: str) -> None:
    text = TEXT.format(t={"f4": "f32", "f8": "f64", "i4": "i32"}[dtype], guard=guard)
    assert strategy(text, "plain") == strategy(text, "more") == "contraction"
    for n, shape in enumerate(SHAPES):
        args, w = given(shape, dtype), (0, 2, 5)[n % 3]
        i, j = np.indices(shape[:2])
        wanted = GUARDS[guard](i, j, w)
        a, b, c = args["a"], args["b"], args["c"]
        for threads in (1, 2):
            got = run_both(text, "plain", threads=threads, w=w, **{k: v.copy() for k, v in args.items()})["c"]
            assert np.array_equal(got, np.where(wanted, a @ b.T, c)), shape
            got = run_both(text, "more", threads=threads, w=w, **{k: v.copy() for k, v in args.items()})["c"]
            assert np.array_equal(got, np.where(wanted, 3 * c - a @ b.T + 2 * (a @ (b * b).T), c)), shape


@pytest.mark.parametrize("size", [(0, 4, 4), (2, 1, 3), (3, 20, 33), (2, 50, 300)])
def test_batches_have_guards_of_their_own(size: tuple[int, int, int]) -> None:
    text = """
kernel each[B, N, K](a: f32[B, N, K], c: inout f32[B, N, N]):
    for s, i, j in grid(B, N, N):
        if j <= i + s and s != 1:
            c[s, i, j] = sum(a[s, i, k] * a[s, j, k] for k in K)
"""
    a = np.random.default_rng(0).integers(-3, 4, size).astype(np.float32)
    c = np.full((size[0], size[1], size[1]), 7, np.float32)
    s, i, j = np.indices(c.shape)
    want = np.where((j <= i + s) & (s != 1), a @ a.transpose(0, 2, 1), c)
    assert strategy(text, "each") == "contraction"
    assert np.array_equal(run_both(text, "each", a=a, c=c)["c"], want)


@pytest.mark.parametrize("head", ["grid(N + 3, N)", "grid(N, N[2:])"])
def test_what_only_the_guard_keeps_inside_is_read_by_element(head: str) -> None:
    text = f"""
kernel part[N, K](a: f32[N, K], b: f32[N, K], c: inout f32[N, N]):
    for i, j in {head}:
        if i < N and i >= 0:
            c[i, j] = sum(a[i, k] * b[j, k] for k in K)
"""
    assert strategy(text, "part") == "spmd"
    for n in (2, 5, 33):
        args = given((n, n, 4), "f4")
        want = args["a"] @ args["b"].T
        if "2:" in head:
            want[:, :2] = args["c"][:, :2]
        assert np.array_equal(run_both(text, "part", **args)["c"], want)


def test_nan_and_infinity_stay_where_they_are() -> None:
    text = TEXT.format(t="f32", guard="j <= i")
    a, c = np.full((40, 3), np.inf, np.float32), np.full((40, 40), np.nan, np.float32)
    a[20:] = 1
    got = run_both(text, "plain", a=a, b=a, c=c, w=0)["c"]
    assert np.isnan(got[np.triu_indices(40, 1)]).all() and not np.isnan(got[np.tril_indices(40)]).any()
