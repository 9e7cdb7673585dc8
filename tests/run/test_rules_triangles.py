"""LANGUAGE 5: a linear guard around a grid's whole body makes a triangle, and only the triangle is visited."""

from __future__ import annotations

import numpy as np
import pytest

from lem_runtime import detect
from tests.support.programs import check_error
from tests.support.rules import run_both
from tests.support.run import TARGETS, fault_of
from tests.support.visits import visits

KERNEL = """
kernel part[M, N](x: f32[M, N], r: int, y: inout f32[M, N]):
    for i, j in grid({grid}):
        if {guard}:
            y[i, j] = x[i, j] * 2 + 1
"""
GUARDS = [
    "j <= i", "i < j", "j >= i", "i - j > 3", "j + 1 <= i - 1", "i + j < M", "i + j >= 2 * M - 9", "2 * j <= i",
    "3 * j + 1 > 2 * i", "j < 5", "j >= 7", "i >= 4", "1 <= j <= i", "j <= i and i < 9", "j <= i + r",
    "i - r <= j and j <= i + r",
    "j == i", "j < min(i, 6)", "j <= r", "not (j > i)", "j <= i and x[i, j] > 0", "i != j", "x[i, j] > 0", "j <= i // 2",
    "j >= i - 9223372036854775807", "j < i * r", "j <= i and (i + j) % 2 == 0", "j <= i or j == 3",
]  # fmt: skip
SIZES = [(1, 1), (5, 40), (40, 5), (33, 70), (0, 4), (4, 0), (67, 66)]


def chosen(guard: str, m: int, n: int, r: int, x: np.ndarray) -> np.ndarray:
    cells = [(i, j) for i in range(m) for j in range(n) if eval(guard, {"M": m, "N": n, "i": i, "j": j, "r": r, "x": x})]
    mask = np.zeros((m, n), bool)
    for cell in cells:
        mask[cell] = True
    return mask


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("guard", GUARDS)
def test_rule_5_guarded_elements_and_no_others_run(guard: str, size: tuple[int, int]) -> None:
    m, n = size
    x = np.random.default_rng(m + n).standard_normal(size).astype(np.float32)
    for r in (2, -3) if "r" in guard.replace("or", "") else (2,):
        mask = chosen(guard, m, n, r, x)
        y = run_both(KERNEL.format(grid="M, N", guard=guard), x=x, r=r, y=np.zeros(size, np.float32), threads=2)["y"]
        assert np.array_equal(y, np.where(mask, x * 2 + 1, 0))


@pytest.mark.parametrize("guard", ["j <= i", "i < j", "j <= i + 3 and j > 2"])
@pytest.mark.parametrize("grid", ["M[1:-2], N[2:]", "range(0, M, 3), range(1, N, 2)", "M[::2], N[3:-3]"])
def test_rule_5_starts_and_steps(grid: str, guard: str) -> None:
    x = np.random.default_rng(1).standard_normal((50, 61)).astype(np.float32)
    starts = {"M[1:-2], N[2:]": (slice(1, -2), slice(2, None)), "M[::2], N[3:-3]": (slice(None, None, 2), slice(3, -3))}
    rows, columns = starts.get(grid, (slice(0, None, 3), slice(1, None, 2)))
    inside = np.zeros((50, 61), bool)
    inside[rows, columns] = True
    mask = chosen(guard, 50, 61, 0, x) & inside
    y = run_both(KERNEL.format(grid=grid, guard=guard), x=x, r=0, y=np.zeros((50, 61), np.float32))["y"]
    assert np.array_equal(y, np.where(mask, x * 2 + 1, 0))


@pytest.mark.parametrize(
    "guard", ["j <= i", "i < j", "j >= i", "2 * j <= i", "i + j < M", "i - r <= j and j <= i + r", "not (j > i)", "i >= 90"]
)
def test_rule_5_only_the_triangle_is_visited(guard: str) -> None:
    m, n, r = 100, 300, 5
    inside = int(chosen(guard, m, n, r, np.zeros((m, n))).sum())
    found = visits(KERNEL.format(grid="M, N", guard=guard), {"M": m, "N": n}, {"r": r})
    # Each row may fill up its last vector.
    assert inside <= found <= inside + m * detect().vector_bits // 32
    everything = visits(KERNEL.format(grid="M, N", guard="x[i, j] > 0"), {"M": m, "N": n}, {"r": r})
    assert everything >= m * n


def test_rule_5_elements_with_vectors_inside_are_not_visited_either() -> None:
    text = """
kernel dots[M, K](x: f32[M, K], y: inout f32[M, M]):
    for i, j in grid(M, M):
        if j <= i:
            y[i, j] = sum(x[i, k] * x[j, k] * x[i, k] for k in K)
"""
    x = np.random.default_rng(2).standard_normal((40, 77)).astype(np.float32)
    y = run_both(text, x=x, y=np.full((40, 40), -1, np.float32), threads=2)["y"]
    assert np.allclose(np.tril(y), np.tril((x * x) @ x.T), atol=1e-3) and (y[np.triu_indices(40, 1)] == -1).all()
    assert visits(text, {"M": 40, "K": 77}) == 40 * 41 // 2


def test_rule_5_what_follows_a_continue_is_a_guarded_body() -> None:
    text = """
kernel lower[M](x: f32[M, M], y: inout f32[M, M]):
    for i, j in grid(M, M):
        if j > i:
            continue
        y[i, j] = x[i, j]
"""
    x = np.random.default_rng(3).standard_normal((70, 70)).astype(np.float32)
    assert np.array_equal(run_both(text, x=x, y=np.zeros((70, 70), np.float32))["y"], np.tril(x))
    assert visits(text, {"M": 70}) <= 70 * 71 // 2 + 70 * detect().vector_bits // 32


@pytest.mark.parametrize("target", TARGETS)
def test_rule_39_in_a_triangle_the_smallest_element_faults_first(target: str) -> None:
    text = """
kernel quotients[M](x: i64[M, M], y: inout i64[M, M]):
    for i, j in grid(M, M):
        if j <= i:
            y[i, j] = 100 // x[i, j]
"""
    x = np.ones((60, 60), np.int64)
    x[[3, 30, 59, 12], [40, 7, 2, 50]] = 0
    fault = fault_of(text, target=target, x=x, y=np.zeros((60, 60), np.int64))
    assert (fault.code, fault.indices) == ("E0602", (30, 7))


def test_rule_5_ranges_that_depend_on_each_other_are_written_as_guards() -> None:
    check_error("""
kernel lower[M](y: inout f32[M, M]):
    for i, j in grid(M, range(i)):  #~ E0322: the range depends on `i`
        y[i, j] = 0
""")
