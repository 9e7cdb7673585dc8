"""Temporaries that need no zeros: those whose elements are all written before one is read."""

from __future__ import annotations

import pytest

from lem.ir import ops
from lem.ir.overwritten import overwritten
from lem.pipeline import optimised
from tests.support.run import program


def names(body: str) -> list[str]:
    text = f"""
kernel fills[N, M](x: f32[N, M], y: out f32[N, M]):
    for i, j in grid(N, M):
        y[i, j] = x[i, j]

kernel part[N, M](x: f32[N, M], y: inout f32[N, M]):
    for i, j in grid(N[1:], M):
        y[i, j] = x[i, j]

kernel late[N, M](x: f32[N, M], p: i64[N], y: out f32[N, M]):
    if N > 1:
        for j in grid(M):
            y[0, j] = x[0, j]
    s = y[N - 1, 0] if N > 0 and M > 0 else f32(0)
    for i, j in grid(N, M):
        y[i, j] = x[i, j] + s

kernel f[N, M](x: f32[N, M], y: out f32[N, M], n: int):
    t: f32[N, M]
    p: i64[N] = 0
{body}
    for i, j in grid(N, M):
        y[i, j] = t[i, j]
"""
    module = optimised(program(text), "f", "cpu")
    return [o.array.name for o in overwritten(module.functions["f"], module) if isinstance(o, ops.Alloc) and o.fill is None]


@pytest.mark.parametrize(
    "body",
    [
        "    for i, j in grid(N, M):\n        t[i, j] = x[i, j]",
        "    for i, j in grid(N, M):\n        t[i, j] = x[i, j]\n        t[i, j] = t[i, j] + 1.0",
        "    fills(x, t)",
    ],
)
def test_written_first(body: str) -> None:
    assert names(body) == ["t"]


@pytest.mark.parametrize(
    "body",
    [
        "    for i, j in grid(N[1:], M):\n        t[i, j] = x[i, j]",
        "    for i, j in grid(N, M):\n        if x[i, j] > 0.0:\n            t[i, j] = x[i, j]",
        "    for i, j in grid(N, M):\n        t[N - 1 - i, j] = x[i, j]",
        "    if n > 0:\n        for i, j in grid(N, M):\n            t[i, j] = x[i, j]",
        "    part(x, t)",
        "    late(x, p, t)",  # it covers the array, and may read of it before
        "    for k in range(n):\n        for i, j in grid(N, M):\n            t[i, j] = x[i, j]",
    ],
)
def test_not_known_to_be_written_first(body: str) -> None:
    assert names(body) == []
