"""What expressions give, rule by rule of the language: types, integers, conversions, reductions, the order of sums.

Each program runs on the interpreter and on the CPU, and is compared with NumPy or with the rule spelled out in Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lem.ir.core import walk_ops
from lem.ir.ops import Contract, Reduce
from tests.support.run import TARGETS, fault_of, program, run_kernel

Array = np.ndarray[Any, Any]
NUMPY = {"i8": np.int8, "u8": np.uint8, "i32": np.int32, "u32": np.uint32, "i64": np.int64, "u64": np.uint64}
both = pytest.mark.parametrize("target", TARGETS)


def run(text: str, target: str, **given: Any) -> dict[str, Any]:
    return run_kernel(text, target=target, **given)


def values(n: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    return np.random.default_rng(n + seed).standard_normal(n).astype(dtype)


# ---------------------------------------------------------------- 24-26: widths, integers, conversions
@both
def test_rule_24_narrow_types_compute_wide(target: str) -> None:
    text = """
kernel f[N](a: i8[N], b: i8[N], h: f16[N], y: out i32[N], z: out f16[N], m: out i8[N]):
    for i in grid(N):
        y[i] = a[i] * b[i] + a[i]
        z[i] = h[i] * h[i] + h[i]
        m[i] = max(a[i], b[i])
"""
    a, b = np.array([127, -128, 100, 3], np.int8), np.array([127, -128, 2, -4], np.int8)
    h = np.array([1.5, 1e-3, 200, 0.1], np.float16)
    got = run(text, target, a=a, b=b, h=h)
    wide = h.astype(np.float64)
    assert got["y"].tolist() == (a.astype(np.int32) * b + a).tolist()
    assert np.array_equal(got["z"], (wide * wide + wide).astype(np.float32).astype(np.float16))
    assert got["m"].tolist() == np.maximum(a, b).tolist()


@both
def test_rule_25_integers(target: str) -> None:
    text = """
kernel f[N](a: i32[N], b: i32[N], s: i32[N], y: out i32[N, 6]):
    for i in grid(N):
        y[i, 0] = a[i] // b[i]
        y[i, 1] = a[i] % b[i]
        y[i, 2] = a[i] << s[i]
        y[i, 3] = a[i] >> s[i]
        y[i, 4] = a[i] * a[i] + b[i]
        y[i, 5] = ~a[i] ^ (a[i] & b[i] | 5)
"""
    low = -(2**31)
    a, b = np.array([7, -7, 7, -7, low, 2**31 - 1, 0]), np.array([2, 2, -2, -2, -1, 1, 9])
    s = np.array([0, 31, 32, 40, 1, 33, 5])

    def wrap(v: int) -> int:
        return (v - low) % 2**32 + low

    want = []
    for x, y, n in zip(a.tolist(), b.tolist(), s.tolist(), strict=True):
        shifted = wrap(x << n) if n < 32 else 0
        want.append([wrap(x // y), x % y, shifted, x >> n, wrap(x * x + y), ~x ^ (x & y | 5)])
    given = {"a": a.astype(np.int32), "b": b.astype(np.int32), "s": s.astype(np.int32)}
    assert run(text, target, **given)["y"].tolist() == want
    for name, code in (("b", "E0602"), ("s", "E0604")):
        bad: dict[str, Any] = dict(given, **{name: np.array([1, 1, 1, 0 if name == "b" else -1, 1, 1, 1], np.int32)})
        fault = fault_of(text, target=target, **bad)
        assert (fault.code, fault.indices) == (code, (3,))


@both
@pytest.mark.parametrize("count", ["i32", "i64", "u64", "u8", "i8"])
@pytest.mark.parametrize("value", ["i32", "u32", "i64", "u64", "u8"])
def test_a_shift_has_the_type_of_what_is_shifted(value: str, count: str, target: str) -> None:
    wide = {"u8": "i32"}.get(value, value)
    text = f"""
kernel f[N](x: {value}[N], s: {count}[N], left: out {wide}[N], right: out {wide}[N]):
    for i in grid(N):
        left[i] = x[i] << s[i]
        h = x[i] + 0
        h >>= s[i]
        right[i] = h
"""
    kind = np.dtype(NUMPY[wide])
    shifts = [0, 1, 31, 32, 63, 64, 100]
    x = np.array([-3, 200, -1, 7, -(2**62), -1, 5], np.int64).astype(NUMPY[value])
    given: dict[str, Any] = {"x": x, "s": np.array(shifts, NUMPY[count])}
    got = run(text, target, **given)
    exact = [int(v) << n for v, n in zip(x.tolist(), shifts, strict=True)]
    low = [v % 2 ** (8 * kind.itemsize) for v in exact]
    assert got["left"].tolist() == np.array(low, np.uint64).astype(kind).tolist()
    assert got["right"].tolist() == [int(v) >> n for v, n in zip(x.tolist(), shifts, strict=True)]
    if count.startswith("i"):
        fault = fault_of(text, target=target, **{**given, "s": np.array([0, 1, 1, -2, 1, 1, 1], NUMPY[count])})
        assert (fault.code, fault.indices, fault.values) == ("E0604", (3,), (-2,))


@both
def test_rule_26_conversions(target: str) -> None:
    text = """
kernel f[N](x: f64[N], n: i64[N], a: out i8[N], b: out u8[N], c: out i64[N], d: out u8[N], e: out f32[N]):
    for i in grid(N):
        a[i] = i8(x[i])
        b[i] = u8(x[i])
        c[i] = i64(x[i])
        d[i] = u8(n[i])
        e[i] = f32(n[i])
"""
    x = np.array([1.9, -1.9, 300, -300, np.nan, np.inf, -np.inf, 1e30, 0.5])
    n = np.array([255, 256, -1, 2**62 + 2**37 + 1, 16777217, 16777219, -5, 2**63 - 1, 0], np.int64)

    def saturate(low: int, high: int) -> list[int]:
        return [0 if math.isnan(v) else int(max(low, min(high, v))) for v in x]

    got = run(text, target, x=x, n=n)
    assert got["a"].tolist() == saturate(-128, 127)
    assert got["b"].tolist() == saturate(0, 255)
    assert got["c"].tolist() == [min(v, 2**63 - 1) for v in saturate(-(2**63), 2**63)]
    assert np.array_equal(got["d"], n.astype(np.uint8))
    assert np.array_equal(got["e"], n.astype(np.float32))


@both
def test_rule_27_booleans(target: str) -> None:
    text = """
kernel f[N](x: i64[N], y: out bool[N], z: out i64[1]):
    for i in grid(N):
        y[i] = (0 < x[i] <= 5 or not x[i] > -5) ^ (x[i] % 2 == 0)
    z[0] = sum(y[i] for i in N)
"""
    x = np.arange(-9, 9)
    want = ((x > 0) & (x <= 5) | (x <= -5)) ^ (x % 2 == 0)
    got = run(text.replace("y: out bool[N]", "y: inout bool[N]"), target, x=x, y=np.zeros(18, bool))
    assert np.array_equal(got["y"], want) and got["z"][0] == want.sum()


# ---------------------------------------------------------------- 28: reductions
REDUCTIONS = """
kernel f[M, N](x: f32[M, N], k: i8[M, N], f: out f32[M, 5], n: out i64[M, 4], b: out bool[M, 2], q: out i8[M, 2]):
    for i in grid(M):
        f[i, 0] = sum(x[i, j] for j in N)
        f[i, 1] = prod(x[i, j] for j in N)
        f[i, 2] = max(x[i, j] for j in N)
        f[i, 3] = min(x[i, j] for j in N if x[i, j] > 0)
        f[i, 4] = mean(x[i, j] for j in N if k[i, j] > 0 if x[i, j] > -10)
        n[i, 0] = sum(k[i, j] for j in N)
        n[i, 1] = sum(x[i, j] > 0 for j in N)
        n[i, 2] = sum(j for j in N[1::2])
        n[i, 3] = sum(1 for j in N for l in range(j))
        b[i, 0] = any(x[i, j] > 1 for j in N)
        b[i, 1] = all(x[i, j] > -1 for j in N)
        q[i, 0] = max(k[i, j] for j in N)
        q[i, 1] = min(k[i, j] for j in N if k[i, j] > 3)
"""


@both
@pytest.mark.parametrize("n", [0, 1, 7, 16, 33])
def test_rule_28_reductions(target: str, n: int) -> None:
    x = values(3 * n).reshape(3, n)
    k = (x * 5).astype(np.int8)
    got = run(REDUCTIONS, target, x=x, k=k)
    wide = x.astype(np.float64)
    with np.errstate(all="ignore"):
        kept = [wide[i][(k[i] > 0) & (x[i] > -10)] for i in range(3)]
        means = [row.sum() / len(row) if len(row) else np.nan for row in kept]
        want = [wide.sum(1), wide.prod(1), wide.max(1, initial=-np.inf),
                np.where(x > 0, wide, np.inf).min(1, initial=np.inf), np.array(means)]  # fmt: skip
    np.testing.assert_allclose(got["f"], np.stack(want, 1), rtol=2e-5, atol=1e-6)
    whole = [k.sum(1, dtype=np.int64), (x > 0).sum(1), [sum(range(n)[1::2])] * 3, [n * (n - 1) // 2] * 3]
    assert got["n"].tolist() == np.stack(whole, 1).tolist()
    assert got["b"].tolist() == np.stack([(x > 1).any(1), (x > -1).all(1)], 1).tolist()
    low = np.where(k > 3, k, 127).min(1, initial=127)
    assert got["q"].tolist() == np.stack([k.max(1, initial=-128), low], 1).tolist()


ARG = """
kernel f[M, N](x: f32[M, N], y: out i64[M, 4]):
    for i in grid(M):
        y[i, 0] = argmax(x[i, j] for j in N)
        y[i, 1] = argmin(x[i, j] for j in N[1:])
        y[i, 2] = argmax(x[i, j + 2] for j in range(-2, N - 2, 3))
        y[i, 3] = argmin(x[i, j] for j in N if x[i, j] > -1)
"""


@both
@pytest.mark.parametrize("n", [2, 7, 33])
def test_rule_28_argmax_is_the_first_in_its_own_coordinates(target: str, n: int) -> None:
    x = np.round(values(4 * n).reshape(4, n) * 2) / 2
    x[3, n // 2 :] = -np.inf
    x[:, 0] = np.maximum(x[:, 0], 0)
    want = []
    for row in x:
        third = int(np.argmax(row[::3])) * 3 - 2
        want.append([np.argmax(row), np.argmin(row[1:]) + 1, third, np.argmin(np.where(row > -1, row, np.inf))])
    assert run(ARG, target, x=x.astype(np.float32))["y"].tolist() == want


@both
def test_rule_28_argmax_skips_what_the_filter_leaves_out(target: str) -> None:
    text = """
kernel f[N](x: f32[N], ok: bool[N]) -> k: i64:
    k = argmax(x[j] for j in N if ok[j])
"""
    x, ok = np.full(5, -np.inf, np.float32), np.array([False, False, True, True, False])
    assert run(text, target, x=x, ok=ok)["k"] == 2
    assert fault_of(text, target=target, x=x, ok=~ok & False).code == "E0616"
    assert fault_of(text, target=target, x=x[:0], ok=ok[:0]).code == "E0616"


@both
def test_rule_28_nan_wins_and_ties_give_the_first(target: str) -> None:
    text = """
kernel f[N](x: f32[N]) -> (m: f32, k: i64):
    m = max(x[j] for j in N)
    k = argmax(x[j] for j in N)
"""
    got = run(text, target, x=np.array([1, np.nan, 5, np.nan], np.float32))
    assert math.isnan(got["m"]) and got["k"] == 1
    assert run(text, target, x=np.array([1, 5, 5], np.float32))["k"] == 1


# ---------------------------------------------------------------- 30: the order of sums
def f32(x: float) -> np.float32:
    return np.float32(x)


def chained(terms: list[Callable[[np.float32], np.float32]]) -> np.float32:
    total = f32(0)
    for step in terms:
        total = step(total)
    return total


def pairwise(parts: list[np.float32]) -> np.float32:
    while len(parts) > 1:
        odd = parts[len(parts) - len(parts) % 2 :]
        parts = [a + b for a, b in zip(parts[0::2], parts[1::2], strict=False)] + odd
    return parts[0] if parts else f32(0)


def lanes(x: Array) -> np.float32:
    """30b: chunks of 4,096; 32 interleaved partial results, merged as a tree."""
    chunks = []
    for at in range(0, len(x), 4096):
        part = [chained([lambda s, v=v: s + v for v in x[at : at + 4096][lane::32]]) for lane in range(32)]  # type: ignore[misc]
        for half in (16, 8, 4, 2, 1):
            part = [part[n] + part[n + half] for n in range(half)]
        chunks.append(part[0])
    return pairwise(chunks)


def chain(x: Array) -> np.float32:
    """30c: chunks of 256, each one ascending chain."""
    parts = [chained([lambda s, v=v: s + v for v in x[at : at + 256]]) for at in range(0, len(x), 256)]  # type: ignore[misc]
    return pairwise(parts)


def fma(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
    """Exact: the product of two f32 fits f64; rounding twice is ruled out by the values used here (multiples of 2**-12)."""
    return np.float32(np.float64(a) * np.float64(b) + np.float64(c))


def contracted(x: Array, y: Array) -> np.float32:
    """30a: chunks of 256, one chain of FMAs each; added ascending."""
    parts = []
    for at in range(0, len(x), 256):
        pairs = zip(x[at : at + 256], y[at : at + 256], strict=True)
        parts.append(chained([lambda s, a=a, b=b: fma(a, b, s) for a, b in pairs]))  # type: ignore[misc]
    total = parts[0]
    for p in parts[1:]:
        total = total + p
    return total


@both
@pytest.mark.parametrize("n", [1, 33, 300, 4097])
def test_rule_30b_rows_sum_in_lanes(target: str, n: int) -> None:
    text = """
kernel f[M, N](x: f32[M, N], y: out f32[M]):
    for i in grid(M):
        y[i] = sum(x[i, j] for j in N)
"""
    x = values(2 * n).reshape(2, n)
    assert run(text, target, x=x)["y"].tolist() == [lanes(row) for row in x]


@both
@pytest.mark.parametrize("n", [1, 33, 300, 1000])
def test_rule_30c_columns_sum_in_chains(target: str, n: int) -> None:
    text = """
kernel f[M, N](x: f32[N, M], y: out f32[M]):
    for i in grid(M):
        y[i] = sum(x[j, i] for j in N)
"""
    x = values(2 * n).reshape(n, 2)
    assert run(text, target, x=x)["y"].tolist() == [chain(column) for column in x.T]


@both
@pytest.mark.parametrize("n", [1, 33, 300, 1000])
def test_rule_30a_products_of_matrices_are_chains_of_fmas(target: str, n: int) -> None:
    text = """
kernel f[M, N, K](a: f32[M, K], b: f32[K, N], c: out f32[M, N]):
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)
"""
    a = (np.round(values(2 * n) * 64) / 64).astype(np.float32).reshape(2, n)
    b = (np.round(values(3 * n, seed=1) * 64) / 64).astype(np.float32).reshape(n, 3)
    want = [[contracted(a[i], b[:, j]) for j in range(3)] for i in range(2)]
    assert run(text, target, a=a, b=b)["c"].tolist() == want


ORDERS = [
    ("x[i, k] for k in K", "LANES"),
    ("x[k, i] for k in K", "CHAIN"),
    ("x[i, k] * v[k] for k in K", "LANES"),
    ("x[i, k] * x[k, i] for k in K", "CHAIN"),
    ("x[k, i] * x[k, j] for k in K", "CONTRACT"),
    ("x[i, k] * x[j, k] for k in K", "CONTRACT"),
    ("0.5 * x[i, k] * x[k, j] for k in K", "CONTRACT"),
    ("(x[i, k] if x[i, k] > 0 else 0.0) for k in K", "LANES"),
    ("x[i, k + 1] for k in range(K - 1)", "LANES"),
    ("x[i, K - 1 - k] for k in K", "CHAIN"),
    ("x[i, 2 * k] for k in range(K // 2)", "CHAIN"),
    ("x[i, p[k]] for k in K", "CHAIN"),
    ("clamp(x)[i, k - 1] for k in K", "LANES"),
    ("x[i, k] for k in K if v[k] > 0", "LANES"),
    ("x[i, k] for k in K if x[k, i] > 0", "CHAIN"),
    ("v[k] for l in K for k in K", "LANES"),
    ("f32(p[k]) for k in K", "LANES"),
    ("1.5 for k in K", "LANES"),
]


@pytest.mark.parametrize(("sum_of", "order"), ORDERS)
def test_rule_30_the_order_follows_from_the_program(sum_of: str, order: str) -> None:
    text = f"""
kernel f[K](x: f32[K, K], v: f32[K], p: i64[K], y: out f64[K, K]):
    for i, j in grid(K, K):
        y[i, j] = f64(sum({sum_of}))
"""
    found = [o for o in walk_ops(program(text).ir.functions["f"].body) if isinstance(o, (Reduce, Contract))]
    assert "CONTRACT" if isinstance(found[0], Contract) else found[0].order.name == order


@both
def test_rule_30_range_loops_keep_their_order(target: str) -> None:
    text = """
kernel f[N](x: f32[N]) -> s: f32:
    t: f32 = 0
    for i in range(N):
        t += x[i]
    s = t
"""
    x = values(1000)
    assert run(text, target, x=x)["s"] == chained([lambda s, v=v: s + v for v in x])  # type: ignore[misc]


@both
def test_rule_30_a_dot_product_steps_with_fma(target: str) -> None:
    text = """
kernel f[N](x: f32[N], y: f32[N]) -> s: f32:
    s = sum(x[i] * y[i] for i in N)
"""
    x, y = ((np.round(values(100, seed=s) * 64) / 64).astype(np.float32) for s in (0, 1))
    part = [chained([lambda s, a=a, b=b: fma(a, b, s) for a, b in zip(x[n::32], y[n::32], strict=True)])  # type: ignore[misc]
            for n in range(32)]  # fmt: skip
    for half in (16, 8, 4, 2, 1):
        part = [part[n] + part[n + half] for n in range(half)]
    assert run(text, target, x=x, y=y)["s"] == part[0]
