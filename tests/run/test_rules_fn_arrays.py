"""LANGUAGE 17: an fn takes read-only arrays; their sizes may be computed from dimensions that are known by then."""

from __future__ import annotations

import numpy as np

from tests.support.programs import check_code, check_right
from tests.support.rules import run_both

HALVES = """
fn paired[D, R](x: f32[D], w: f32[2 * D + 1], k: f32[R, D - 1], i: i64) -> f32:
    return x[i] + w[2 * i] * w[2 * D] + sum(k[r, i] for r in R) if i < D - 1 else w[2 * i]

kernel halves[D, R](x: f32[D], w: f32[2 * D + 1], k: f32[R, D - 1]) -> y: f32[D]:
    for i in grid(D):
        y[i] = paired(x, w, k, i)
"""


def test_rule_17_sizes_of_an_fns_arrays_may_be_computed() -> None:
    check_right(HALVES)
    rng = np.random.default_rng(0)
    for d in (1, 5, 40):
        x, w, k = (rng.standard_normal(s).astype(np.float32) for s in (d, 2 * d + 1, (3, d - 1)))
        y = run_both(HALVES, x=x, w=w, k=k)["y"]
        want = x[:-1] + w[0 : 2 * d - 2 : 2] * w[2 * d] + k.sum(0)
        assert np.allclose(y[:-1], want, atol=1e-5) and y[-1] == w[2 * d - 2]


def test_rule_17_sizes_that_do_not_agree_and_results_that_are_arrays_are_refused() -> None:
    kernel = "kernel halves[D, R](x: f32[D], w: f32[2 * D{more}]"
    check_code(HALVES.replace(kernel.format(more=" + 1"), kernel.format(more="")), "E0313")
    check_code("fn row[N](x: f32[N]) -> f32[N]:\n    return x[:]\n", "E0315")
