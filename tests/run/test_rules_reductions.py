"""LANGUAGE 27, 28 and 30: every reduction over every type, of nothing, of one, of ragged lengths, by rows, by columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.programs import check_error
from tests.support.rules import run_both
from tests.support.run import TARGETS, fault_of

INTEGERS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
FLOATS = ("f32", "f64", "f16", "bf16", "f8e4m3", "f8e5m2")
STORED = {"f32": "f4", "f64": "f8", "f16": "f2", "bf16": "u2", "f8e4m3": "u1", "f8e5m2": "u1"}
WIDE = {"i8": "i32", "i16": "i32", "u8": "i32", "u16": "i32", "f16": "f32", "bf16": "f32", "f8e4m3": "f32", "f8e5m2": "f32"}
SIZES = (0, 1, 5, 33, 300)

PROGRAM = """
kernel reduced[M, N](x: {t}[M, N], total: out {w}[M], product: out {w}[M], most: out {t}[M], least: out {t}[M],
                     some: out bool[M], every: out bool[M], average: out {f}[M], columns: out {w}[N], deepest: out {t}[N]):
    for i in grid(M):
        total[i] = sum(x[i, k] for k in N)
        product[i] = prod(x[i, k] for k in N)
        most[i] = max(x[i, k] for k in N)
        least[i] = min(x[i, k] for k in N if k != 3)
        some[i] = any(x[i, k] > 1 for k in N)
        every[i] = all(x[i, k] > 1 for k in N)
        average[i] = mean({f}(x[i, k]) for k in N)
    for j in grid(N):
        columns[j] = sum(x[i, j] for i in M)
        deepest[j] = min(x[i, j] for i in M)
"""


def numbers(t: str, m: int, n: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(m * n)
    if t in ("f32", "f64", "f16"):
        return (rng.standard_normal((m, n)) * 3).astype(STORED[t])
    if t in STORED:
        return rng.integers(0, 70, (m, n)).astype(STORED[t])
    signed = t.startswith("i")
    return rng.integers(-5 if signed else 0, 6, (m, n)).astype(t.replace("i", "int") if signed else t.replace("u", "uint"))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("t", (*INTEGERS, *FLOATS))
def test_rule_28_reductions_of_every_type(t: str, n: int) -> None:
    x = numbers(t, 3, n)
    wide = WIDE.get(t, t)
    got = run_both(PROGRAM.format(t=t, w=wide, f="f64" if t in ("f64", "i64", "u64", "i32", "u32") else "f32"), x=x)
    if t in ("bf16", "f8e4m3", "f8e5m2"):
        return  # NumPy has no such numbers: that both ways agree is what is tested
    exact = x.astype(np.float64)
    assert np.allclose(got["total"].astype(np.float64), exact.sum(1), rtol=1e-3, atol=1e-2)
    assert got["some"].tolist() == (x > 1).any(1).tolist() and got["every"].tolist() == (x > 1).all(1).tolist()
    if n == 0:
        limits = np.finfo(x.dtype) if t in STORED else np.iinfo(x.dtype)
        least, most = (-np.inf, np.inf) if t in STORED else (limits.min, limits.max)
        assert got["most"].tolist() == [least] * 3 and got["least"].tolist() == [most] * 3
        assert np.isnan(got["average"]).all() and got["product"].tolist() == [1] * 3
        return
    assert np.array_equal(got["most"], x.max(1)) and np.array_equal(got["deepest"], x.min(0))
    assert np.allclose(got["average"], exact.mean(1), rtol=1e-3, atol=1e-3)
    assert np.allclose(got["columns"].astype(np.float64), exact.sum(0), rtol=1e-3, atol=1e-2)


ARGS = """
kernel places[M, N](x: {t}[M, N], first: out i64[M], last: out i64[M], tops: out i64[N]):
    for i in grid(M):
        first[i] = argmax(x[i, k] for k in N)
        last[i] = argmin(x[i, k] for k in N[0:])
    for j in grid(N):
        tops[j] = argmax(x[i, j] for i in M)
"""


@pytest.mark.parametrize("n", (1, 5, 33, 300))
@pytest.mark.parametrize("t", (*INTEGERS, *FLOATS))
def test_rule_28_argmax_of_every_type(t: str, n: int) -> None:
    x = numbers(t, 4, n)
    got = run_both(ARGS.format(t=t), x=x)
    if t not in ("bf16", "f8e4m3", "f8e5m2"):
        assert np.array_equal(got["first"], x.argmax(1)) and np.array_equal(got["last"], x.argmin(1))
        assert np.array_equal(got["tops"], x.argmax(0))


@pytest.mark.parametrize("target", TARGETS)
def test_rule_28_argmax_of_nothing_faults(target: str) -> None:
    assert fault_of(ARGS.format(t="f32"), target=target, x=np.zeros((2, 0), np.float32)).code == "E0616"


def test_rule_27_sums_and_means_of_bools() -> None:
    text = """
kernel f[N](x: f32[N]) -> (n: i64, share: f64, both: bool):
    n = sum(x[k] > 0 for k in N)
    share = mean(x[k] > 0 for k in N)
    both = any(x[k] > 0 for k in N) and not all(x[k] > 0 for k in N)
"""
    for n in SIZES[1:]:
        x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
        got = run_both(text, x=x)
        assert got["n"] == (x > 0).sum() and got["share"] == (x > 0).mean()


def test_rule_28_refuses_reductions_that_say_no_axis() -> None:
    check_error("""
kernel f[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = max(x[i])  #~ E0316
kernel g[N](x: f32[N], y: out bool[N]):
    for i in grid(N):
        y[i] = any(x[k] for k in N)  #~ E0301: takes bools
kernel h[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = sum(x[i], over=i)  #~ E0316: variable of the grid
""")


FORMS = """
kernel forms[M, N](x: {t}[M, N], b: bool[M, N], a: out i64[M], c: out bool[M], d: out bool[M], e: out f32[M], g: out i64[M]):
    for i in grid(M):
        v = x[i, :]
        a[i] = argmax(v, over=N)
        c[i] = any(b[i, j] for j in N if x[i, j] > 0)
        d[i] = all(b[i, :], over=N)
        e[i] = mean(f32(x[i, j] * x[k, j]) for k in M for j in N if b[k, j])
        g[i] = argmin(x[i, j] for j in N[1:] if x[i, j] < 100)
"""


@pytest.mark.parametrize(("t", "numpy"), [("f32", "f4"), ("f64", "f8"), ("f16", "f2"), ("i8", "i1"), ("u16", "u2")])
def test_rule_28_axes_filters_and_several_domains_in_one_element(t: str, numpy: str) -> None:
    rng = np.random.default_rng(4)
    x, b = np.abs(rng.standard_normal((6, 37)) * 10).astype(numpy), rng.random((6, 37)) < 0.9
    b[2] = True
    got = run_both(FORMS.format(t=t), x=x, b=b, threads=2)
    assert np.array_equal(got["a"], x.argmax(axis=1)) and np.array_equal(got["g"], x[:, 1:].argmin(axis=1) + 1)
    assert np.array_equal(got["c"], (b & (x > 0)).any(axis=1)) and np.array_equal(got["d"], b.all(axis=1))
    products = x[:, None, :].astype(np.float64) * x
    assert np.allclose(got["e"], [p[b].mean() for p in products], rtol=1e-2)
