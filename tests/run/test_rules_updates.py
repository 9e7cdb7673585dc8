"""LANGUAGE 13 and 30: arrays that a grid only updates. In any order where that gives the same; sums of floats in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem.ir.updates import n_parts
from tests.support.programs import check_error, check_right
from tests.support.rules import run_both
from tests.support.run import run_kernel

HISTOGRAM = """
kernel histogram[N, K](x: i64[N], w: {t}[N], h: reduce({op}) {t}[K]):
    for i in grid(N):
        {update}
"""
UPDATES = {
    "+": ("h[x[i]] += w[i]", np.add),
    "max": ("h[x[i]] = max(h[x[i]], w[i])", np.maximum),
    "min": ("h[x[i]] = min(w[i], h[x[i]])", np.minimum),
    "|": ("h[x[i]] |= w[i]", np.bitwise_or),
    "&": ("h[x[i]] &= w[i]", np.bitwise_and),
}
SIZES = [(0, 4), (1, 1), (1000, 7), (37, 1000), (3001, 100)]


def data(n: int, k: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + k)
    w = rng.standard_normal(n) * 20 if np.dtype(dtype).kind == "f" else rng.integers(0, 100, n)
    return rng.integers(0, k, n), w.astype(dtype)


def in_parts(x: np.ndarray, w: np.ndarray, h: np.ndarray) -> np.ndarray:
    """The order that `lem.ir.updates` states, written out."""
    n = n_parts(len(x), len(h))
    length = -(-len(x) // n)
    copies = [h.copy()] + [np.full_like(h, -0.0) for _ in range(1, n)]
    for i in range(len(x)):
        copies[i // length][x[i]] += w[i]
    out = copies[0]
    for copy in copies[1:]:
        out = out + copy
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_rule_13_sums_of_floats_combine_parts_in_order(dtype: str, size: tuple[int, int]) -> None:
    update, _ = UPDATES["+"]
    numpy = np.float32 if dtype == "f32" else np.float64
    x, w = data(*size, numpy)
    h = np.full(size[1], 0.5, numpy)
    got = run_both(HISTOGRAM.format(t=dtype, op="+", update=update), x=x, w=w, h=h)["h"]
    assert got.tobytes() == in_parts(x, w, h).tobytes()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "numpy"), [("u8", np.uint8), ("i16", np.int16), ("i64", np.int64), ("u32", np.uint32)])
@pytest.mark.parametrize("op", UPDATES)
def test_rule_13_integers_update_in_any_order(op: str, dtype: str, numpy: Any, size: tuple[int, int]) -> None:
    update, ufunc = UPDATES[op]
    x, w = data(*size, numpy)
    h = np.full(size[1], 3, numpy)
    expected = h.copy()
    ufunc.at(expected, x, w)
    assert np.array_equal(run_both(HISTOGRAM.format(t=dtype, op=op, update=update), x=x, w=w, h=h)["h"], expected)


@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("dtype", ["f16", "f32", "f64"])
def test_rule_13_extremes_keep_what_the_array_held(dtype: str, op: str) -> None:
    numpy = {"f16": np.float16, "f32": np.float32, "f64": np.float64}[dtype]
    x, w = data(3001, 100, numpy)
    h = np.full(100, np.nan, numpy)
    h[1:] = 0
    expected = h.copy()
    with np.errstate(all="ignore"):
        UPDATES[op][1].at(expected, x, w)
    got = run_both(HISTOGRAM.format(t=dtype, op=op, update=UPDATES[op][0]), x=x, w=w, h=h)["h"]
    assert np.array_equal(got, expected, equal_nan=True)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f8e4m3", "f8e5m2"])
@pytest.mark.parametrize("op", ["+", "max", "min"])
def test_rule_13_narrow_floats_round_at_each_update(op: str, dtype: str) -> None:
    numpy = {"f16": np.float16, "bf16": np.uint16}.get(dtype, np.uint8)
    rng = np.random.default_rng(1)
    x, w = rng.integers(0, 7, 500), rng.integers(0, 100, 500).astype(numpy)
    run_both(HISTOGRAM.format(t=dtype, op=op, update=UPDATES[op][0]), x=x, w=w, h=np.zeros(7, numpy))


@pytest.mark.parametrize(
    "body",
    [
        "h[x[i]] += w[i]\n        h[(x[i] + 1) % K] += 2 * w[i]",
        "for t in range(3):\n            h[(x[i] + t) % K] += w[i] * f32(t)",
        "if w[i] > 0:\n            h[x[i]] += w[i]\n        else:\n            h[0] += 1",
        "h[x[i]] += w[:]",
        "h[:] += w[i]",
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (300, 7), (37, 1000)])
def test_rule_13_an_element_updates_in_the_order_of_its_code(size: tuple[int, int], body: str) -> None:
    x, w = data(*size, np.float32)
    text = HISTOGRAM.format(t="f32", op="+", update=body)
    h = np.full(size[1], 0.1, np.float32)
    one = run_both(text, x=x, w=w, h=h)["h"]
    assert one.tobytes() == run_kernel(text, threads=2, x=x, w=w, h=h)["h"].tobytes()


def test_rule_13_grids_of_several_axes_and_any_strides() -> None:
    text = """
kernel k[M, N, K](w: f32[M, N], h: reduce(+) f32[N, K]):
    for i, j in grid(M, N):
        h[j, i % K] += w[i, j]
"""
    for m, n, k in [(1, 1, 1), (50, 60, 3), (64, 4, 2), (0, 3, 3)]:
        w = np.random.default_rng(0).standard_normal((m, n)).astype(np.float32)
        got = run_both(text, w=w, h=np.asfortranarray(np.ones((n, k), np.float32)), threads=2)["h"]
        expected = np.ones((n, k))
        for i in range(m):
            expected[:, i % k] += w[i]
        assert np.allclose(got, expected, atol=1e-4)


def test_rule_13_a_temporary_is_read_after_its_grid() -> None:
    text = """
kernel equalised[N](x: u8[N], y: out f32[N]):
    t: reduce(+) i64[256] = 0
    for i in grid(N):
        t[x[i]] += 1
    for i in grid(N):
        y[i] = f32(t[x[i]])
"""
    check_right(text)
    x = np.random.default_rng(3).integers(0, 256, 999).astype(np.uint8)
    assert np.array_equal(run_both(text, x=x)["y"], np.bincount(x, minlength=256)[x])


def test_rule_13_sequential_code_updates_at_once() -> None:
    text = """
kernel k[N](h: reduce(+) f32[N]):
    for t in range(3):
        h[0] += 0.1
    for i in grid(N):
        h[i] += 1
"""
    start = np.zeros(3, np.float32)
    step = np.float32(0.1)
    assert run_both(text, h=start)["h"].tolist() == [np.float32(step + step + step) + 1, 1, 1]


def test_rule_13_calls_pass_reduce_arrays_on() -> None:
    check_right("""
kernel add[N, K](x: i64[N], h: reduce(+) f32[K]):
    for i in grid(N):
        h[x[i]] += 1
kernel sum_of[K](h: f32[K]) -> s: f32:
    s = sum(h[k] for k in K)
kernel main[N, K](x: i64[N], h: reduce(+) f32[K]) -> s: f32:
    t: reduce(+) f32[K] = 0
    add(x, t)
    add(x, h)
    s = sum_of(t)
""")


def test_rule_13_refuses_reads_and_other_operations() -> None:
    check_error("""
kernel early[N, K](x: i64[N], y: out f32[N]):
    t: reduce(+) f32[N] = 0
    for i in grid(N):
        y[i] = t[i]  #~ E0405: `t` is `reduce(+)`, and this reads it
        t[i] += 1
kernel sum_of[K](h: f32[K]) -> s: f32:
    s = sum(h[k] for k in K)
kernel passes[K](h: reduce(+) f32[K]) -> s: f32:
    s = sum_of(h)  #~ E0405: and this reads it
kernel largest[N](h: reduce(max) f32[N]):
    for i in grid(N):
        h[i] = max(h[i], 1)
kernel mixes[N](h: reduce(+) f32[N]):
    largest(h)  #~ E0405: updates it with `max`
kernel scattered[N](x: i64[N], h: inout f32[N]):
    for i in grid(N):
        h[x[i]] += 1  #~ E0402: both write
""")
