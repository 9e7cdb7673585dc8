"""LANGUAGE 16: outside of grids code runs in the order in which it stands, and sees what grids, stores and calls before it
have written."""

from __future__ import annotations

import numpy as np

from tests.support.rules import run_both


def test_rule_16_a_loop_reads_again_what_its_grid_has_written() -> None:
    text = """
kernel rounds[N](T: int, y: inout f32[N]) -> s: f32:
    s = 0
    for t in range(T):
        for i in grid(N):
            y[i] += f32(i)
        y[0] += 1
        s += y[0] + sum(y[i] for i in N)
"""
    got = run_both(text, T=4, y=np.zeros(3, np.float32))
    assert got["y"].tolist() == [4, 4, 8] and got["s"] == 1 + 2 + 3 + 4 + 4 * 10


def test_rule_16_a_loop_reads_again_what_a_call_has_written() -> None:
    text = """
kernel bump[N](y: inout f32[N]):
    for i in grid(N):
        y[i] += 1

kernel main[N](y: inout f32[N], z: out f32[4]):
    for t in range(4):
        bump(y)
        z[t] = y[0]
"""
    assert run_both(text, "main", y=np.zeros(3, np.float32))["z"].tolist() == [1, 2, 3, 4]


def test_rule_16_a_whole_axis_value_keeps_what_it_read() -> None:
    text = """
kernel kept[N](y: inout f32[N], z: out f32[N]):
    v = y[:] + 1
    y[0] = 50
    z[:] = v
"""
    assert run_both(text, y=np.arange(3, dtype=np.float32))["z"].tolist() == [1, 2, 3]


def test_rule_6_axes_of_one_size_are_matched_by_place() -> None:
    text = """
kernel square[B, N](a: f32[N, N], x: f32[B, N, N, N], s: out f32[N, N], y: out f32[B, N, N, N]):
    s[:, :] = 2 * a[:, :]
    s[:, :] += a[:, :]
    for i in grid(B):
        v = x[i, :, :, :]
        y[i, :, :, :] = v * v if v > 2.0 else 0.0
        if v > 4.0:
            y[i, :, :, :] = -v
"""
    for n in (0, 1, 3, 17):
        a, x = (np.arange(b * n**k, dtype=np.float32).reshape((b,) * (k > 2) + (n,) * k) for b, k in ((1, 2), (2, 3)))
        got = run_both(text, a=a, x=x)
        assert np.array_equal(got["s"], 3 * a)
        assert np.array_equal(got["y"], np.where(x > 4, -x, np.where(x > 2, x * x, 0)))


def test_rule_16_calls_in_expressions_run_before_the_statement() -> None:
    text = """
kernel total[N](x: f64[N], a: f64) -> s: f64:
    s = a * sum(x[i] for i in N)

kernel doubled[N](x: f64[N]) -> y: f64[N]:
    for i in grid(N):
        y[i] = 2 * x[i]

kernel main[N](x: f64[N], y: out f64[N]) -> (s: f64, n: int):
    s = 0
    n = 0
    for k in range(3):
        s += total(x, total(doubled(x), 0.5)) - f64(k)
        y[:] = total(x, 1.0)
        if total(doubled(doubled(y)), 1.0) > 0:
            n += 1
"""
    x = np.arange(4.0)
    got = run_both(text, "main", x=x)
    assert got["s"] == 3 * 36 - 3 and got["n"] == 3 and got["y"].tolist() == [6, 6, 6, 6]
