"""A read gives what the array holds at that place of the program, in loops and around branches too (LANGUAGE 12, 16)."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.rules import run_both

VECTOR = {
    "an element as an accumulator": """
kernel k[N](x: f32[N], y: inout f32[2]):
    for i in range(N):
        y[0] = y[0] + x[i]
""",
    "a scalar result as an accumulator": """
kernel k[N](x: f32[N], y: f32[2]) -> s: f32:
    s = 0.0
    for i in range(N):
        s += x[i] * y[1]
""",
    "the element of the round before": """
kernel k[N](x: f32[N], y: inout f32[2]):
    for i in range(N):
        t = y[0] * 2.0
        y[0] = x[i]
        y[1] = y[1] + t
""",
    "a condition on an element that changes": """
kernel k[N](x: f32[N], y: inout f32[2]):
    while y[0] < 10.0:
        y[0] = y[0] + 1.0
""",
    "an inner loop writes, the outer one reads": """
kernel k[N](x: f32[N], y: inout f32[2]):
    for i in range(N):
        for j in range(2):
            y[1] = y[0] + x[i]
        y[0] = y[1]
""",
}

MATRIX = {
    "a grid writes, the loop around it reads": """
kernel k[M, N](y: inout f32[M, N]) -> s: f32 where M >= 1 and N >= 1:
    s = 0.0
    for t in range(3):
        for i, j in grid(M, N):
            y[i, j] = y[i, j] + 1.0
        s += y[0, 0]
""",
    "a called kernel writes, the loop around it reads": """
kernel more[M, N](y: inout f32[M, N]):
    for i, j in grid(M, N):
        y[i, j] = y[i, j] + 1.0

kernel k[M, N](y: inout f32[M, N]) -> s: f32 where M >= 1 and N >= 1:
    s = 0.0
    for t in range(3):
        more(y)
        s += y[0, 0]
""",
    "a sum over what changes": """
kernel k[M, N](y: inout f32[M, N]) -> s: f32 where M >= 1 and N >= 1:
    s = 0.0
    for t in range(3):
        s += sum(y[0, j] for j in N)
        y[0, 0] = s
""",
    "a row taken before a store": """
kernel k[M, N](y: inout f32[M, N]) -> x: f32[N] where M >= 1:
    row = y[0, :]
    y[0, :] = 5.0
    x[:] = row
""",
    "a row taken before a grid": """
kernel k[M, N](y: inout f32[M, N]) -> x: f32[N] where M >= 1:
    row = y[0, :]
    for j in grid(N):
        y[0, j] = 7.0
    x[:] = row
""",
    "a row taken before a loop": """
kernel k[M, N](y: inout f32[M, N]) -> x: f32[N] where M >= 1:
    row = y[0, :]
    for t in range(3):
        y[0, :] = y[0, :] + 1.0
    x[:] = row
""",
    "a row taken before a call": """
kernel more[M, N](y: inout f32[M, N]):
    for i, j in grid(M, N):
        y[i, j] = y[i, j] + 1.0

kernel k[M, N](y: inout f32[M, N]) -> x: f32[N] where M >= 1:
    row = y[0, :]
    more(y)
    x[:] = row
""",
    "an element takes its row before a loop": """
kernel k[M, N](y: inout f32[M, N]) -> x: f32[M, N]:
    for i in grid(M):
        row = y[i, :]
        for t in range(3):
            y[i, :] = y[i, :] + 1.0
        x[i, :] = row
""",
    "an element takes its row before a branch": """
kernel k[M, N](y: inout f32[M, N]) -> x: f32[M, N]:
    for i in grid(M):
        row = y[i, :]
        if i > 0:
            y[i, :] = row + 1.0
        x[i, :] = row
""",
    "an element takes its row before a branch in a loop": """
kernel k[M, N](y: inout f32[M, N]) -> x: f32[M, N]:
    for i in grid(M):
        for t in range(3):
            row = y[i, :] * 2.0
            if i > t:
                y[i, :] = row + x[i, :]
            x[i, :] = x[i, :] + row
""",
}


@pytest.mark.parametrize("text", VECTOR.values(), ids=VECTOR)
@pytest.mark.parametrize("n", [0, 1, 10])
def test_rule_16_single_elements_are_read_in_order(text: str, n: int) -> None:
    run_both(text, "k", x=np.arange(1, n + 1, dtype=np.float32), y=np.ones(2, np.float32))


@pytest.mark.parametrize("text", MATRIX.values(), ids=MATRIX)
@pytest.mark.parametrize("size", [(1, 1), (3, 4), (17, 19), (2, 0)])
def test_rule_12_rows_are_read_in_order(text: str, size: tuple[int, int]) -> None:
    if 0 in size and "N >= 1" in text:
        return
    y = np.arange(size[0] * size[1], dtype=np.float32).reshape(size)
    run_both(text, "k", y=y)
