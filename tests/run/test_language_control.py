"""What statements do, rule by rule of the language: guards, loops and their exits, fns, sequential code, results.

Each program runs on the interpreter and on the CPU, and is compared with the same loops in Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.run import TARGETS, fault_of, run_kernel

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.parametrize("target", TARGETS)


def run(text: str, target: str, **given: Any) -> dict[str, Any]:
    """On the CPU with one and with two threads, which must give the same bits."""
    got = run_kernel(text, target=target, **given)
    if target == "cpu":
        again = run_kernel(text, target=target, threads=2, **given)
        for name, value in got.items():
            assert np.asarray(value).tobytes() == np.asarray(again[name]).tobytes(), name
    return got


def ints(*shape: int, low: int = -20, high: int = 20) -> Array:
    return np.random.default_rng(sum(shape) + 1).integers(low, high, shape).astype(np.int64)


def floats(*shape: int, dtype: Any = np.float32) -> Array:
    return (ints(*shape) / 8).astype(dtype)


SIZES = [0, 1, 7, 16, 33]


# ---------------------------------------------------------------- 1-3: indices and guards
GATHER = """
kernel gather[N, M](x: f32[N], idx: i64[M], y: out f32[M]):
    for i in grid(M):
        y[i] = x[idx[i]]
"""


def test_rule_1_gathers_are_checked_where_they_run(target: str) -> None:
    x, idx = floats(9), np.array([3, 8, 0, 2], np.int64)
    assert np.array_equal(run(GATHER, target, x=x, idx=idx)["y"], x[idx])
    idx = np.array([3, 0, 9, -1], np.int64)
    fault = fault_of(GATHER, target=target, x=x, idx=idx)
    assert (fault.code, fault.indices, fault.values) == ("E0601", (2,), (9, 9))


GUARDED = """
kernel guarded[N, M](x: f32[N], idx: i64[M], y: out f32[M]):
    for i in grid(M):
        k = idx[i]
        a = x[k] if k >= 0 and k < N else -1.0
        b: f32 = 0
        if 0 <= k < N and x[k] > 0:
            b = x[k]
        elif k < 0 or x[k % N] < 0:
            b = -2
        y[i] = a + b
"""


@pytest.mark.parametrize("m", [1, 33])
def test_rule_2_conditions_guard(target: str, m: int) -> None:
    x, idx = floats(9), ints(m)
    want = []
    for k in idx:
        a = x[k] if 0 <= k < 9 else np.float32(-1)
        b = x[k] if 0 <= k < 9 and x[k] > 0 else np.float32(-2) if k < 0 or x[k % 9] < 0 else np.float32(0)
        want.append(a + b)
    assert np.array_equal(run(GUARDED, target, x=x, idx=idx)["y"], np.array(want, np.float32))


FILTERED = """
kernel filtered[N, M](x: i64[N], d: i64[M], y: out i64[M], z: out i64[M]):
    for i in grid(M):
        y[i] = sum(x[k] // d[i] for k in N if d[i] != 0 if x[k] // d[i] > 1)
        z[i] = sum(x[k] * l for k in N for l in range(k) if x[k] > l if l != d[i])
"""


@pytest.mark.parametrize("n", SIZES)
def test_rule_2_filters_guard_what_follows(target: str, n: int) -> None:
    x, d = ints(n), np.array([0, 3, -2, 7], np.int64)
    got = run(FILTERED, target, x=x, d=d)
    assert got["y"].tolist() == [sum(int(v // e) for v in x if e != 0 and v // e > 1) for e in d]
    assert got["z"].tolist() == [sum(int(x[k]) * m for k in range(n) for m in range(k) if x[k] > m and m != e) for e in d]


def test_rule_2_what_follows_an_exit_has_its_negation(target: str) -> None:
    text = """
kernel f[N](x: i64[N], y: inout i64[N]):
    for i in grid(N):
        if x[i] == 0:
            continue
        y[i] = 100 // x[i]
        if x[i] < 0:
            return
        y[i] = y[i] + 1
"""
    x = np.array([0, 3, -7, 50, 0], np.int64)
    got = run(text, target, x=x, y=np.full(5, 9, np.int64))["y"]
    assert got.tolist() == [9, 34, -15, 3, 9]


SLICED = """
kernel sliced[N](x: i64[N], a: int, b: int, y: out i64[4]):
    y[0] = sum(x[k] for k in N[1:-1])
    y[1] = sum(x[k] for k in N[-3:])
    y[2] = sum(x[k] * k for k in N[::2])
    y[3] = sum(x[k] for k in N[a:b])
"""


@pytest.mark.parametrize("n", [1, 2, 7])
def test_rule_3_slices_of_dimensions(target: str, n: int) -> None:
    x = ints(n)
    got = run(SLICED, target, x=x, a=0, b=n)["y"]
    assert got.tolist() == [x[1:-1].sum(), x[-3:].sum(), (x * np.arange(n))[::2].sum(), x.sum()]


ROWS = """
kernel rows[R, Z](p: i64[R + 1], v: f64[Z], y: out f64[R]):
    for r in grid(R):
        y[r] = sum(v[z] for z in Z[p[r]:p[r + 1]])
"""


def test_rule_3_computed_bounds_are_checked(target: str) -> None:
    v = floats(10, dtype=np.float64)
    p = np.array([0, 3, 3, 10, 4], np.int64)
    got = run(ROWS, target, p=p, v=v)["y"]
    assert got.tolist() == [v[:3].sum(), 0, v[3:10].sum(), 0]
    fault = fault_of(ROWS, target=target, p=np.array([0, 3, 11, 10], np.int64), v=v)
    assert (fault.code, fault.indices, fault.values) == ("E0601", (1,), (11, 10))


# ---------------------------------------------------------------- 5: loops and their exits
EXITS = """
kernel exits[N](x: i64[N], limit: int, y: out i64[N], z: out i64[N]):
    for i in grid(N):
        total = 0
        last = -1
        for t in range(limit):
            if (x[i] + t) % 5 == 0:
                continue
            if t > x[i]:
                break
            total += t
            for u in range(t, 0, -2):
                if u == 3:
                    break
                if u == 4:
                    continue
                total += u * 10
                last = u
            if total > 500:
                z[i] = last
                y[i] = -total
                return
        while True:
            total -= 7
            if total < 10:
                break
            if total % 2 == 0:
                continue
            last += 1
        y[i] = total
        z[i] = last
"""


def exits(x: int, limit: int) -> tuple[int, int]:
    total, last = 0, -1
    for t in range(limit):
        if (x + t) % 5 == 0:
            continue
        if t > x:
            break
        total += t
        for u in range(t, 0, -2):
            if u == 3:
                break
            if u == 4:
                continue
            total += u * 10
            last = u
        if total > 500:
            return -total, last
    while True:
        total -= 7
        if total < 10:
            break
        if total % 2 == 0:
            continue
        last += 1
    return total, last


@pytest.mark.parametrize("limit", [0, 1, 20])
def test_rule_5_exits_from_nested_loops(target: str, limit: int) -> None:
    x = ints(40)
    got = run(EXITS, target, x=x, limit=limit)
    want = [exits(int(v), limit) for v in x]
    assert list(zip(got["y"].tolist(), got["z"].tolist(), strict=True)) == want


TRIANGLE = """
kernel triangle[N](a: inout i64[N, N]):
    for i, j in grid(N, N):
        if j <= i:
            a[i, j] = a[i, j] + i * 100 + j
"""


@pytest.mark.parametrize("n", SIZES)
def test_rule_5_a_linear_guard_makes_a_triangle(target: str, n: int) -> None:
    a = ints(n, n)
    i, j = np.indices((n, n))
    want = np.where(j <= i, a + 100 * i + j, a)
    assert np.array_equal(run(TRIANGLE, target, a=a)["a"], want)


SIEVE = """
kernel sieve[N](prime: out bool[N]):
    for i in grid(N):
        prime[i] = i >= 2
    for i in range(2, N):
        if i * i < N and prime[i]:
            for j in range(i * i, N, i):
                prime[j] = False
"""


@pytest.mark.parametrize("n", [0, 1, 4, 5, 100])
def test_rule_5_steps_of_loops_are_numbers_of_the_program(target: str, n: int) -> None:
    primes = [i >= 2 and all(i % d for d in range(2, i)) for i in range(n)]
    assert run(SIEVE, target, N=n)["prime"].tolist() == primes


STRIDES = """
fn total(lo: i64, hi: i64, step: i64) -> i64:
    t = 0
    for k in range(lo, hi, step):
        if k % 7 == 5:
            return t
        t += k
    return t

kernel strides[N](lo: i64[N], hi: i64[N], step: i64[N], whole: out i64[N], ended: out i64[N], left: out i64[N]):
    for i in grid(N):
        whole[i] = 0
        for k in range(lo[i], hi[i], step[i]):
            whole[i] += k
        t = 0
        for k in range(lo[i], hi[i], step[i]):
            if k % 3 == 1:
                continue
            if k > 40:
                break
            t += k
        ended[i] = t
        left[i] = total(lo[i], hi[i], step[i])
"""


def strides(lo: int, hi: int, step: int) -> tuple[int, int, int]:
    ended = left = 0
    for k in range(lo, hi, step):
        if k % 3 == 1:
            continue
        if k > 40:
            break
        ended += k
    for k in range(lo, hi, step):
        if k % 7 == 5:
            break
        left += k
    return sum(range(lo, hi, step)), ended, left


@pytest.mark.parametrize("n", SIZES)
def test_rule_5_each_element_has_a_step_of_its_own(target: str, n: int) -> None:
    lo, hi, step = ints(n), ints(n, high=70), ints(n, low=1, high=9)
    step[: n // 8] = 2**63 - 1  # a second turn would have no place
    got = run(STRIDES, target, lo=lo, hi=hi, step=step)
    expected = [strides(*map(int, row)) for row in zip(lo, hi, step, strict=True)]
    assert list(zip(got["whole"], got["ended"], got["left"], strict=True)) == expected


@pytest.mark.parametrize("step", [0, -1, -(2**63)])
def test_rule_5_a_step_that_is_not_above_0_stops_also_where_nothing_would_run(target: str, step: int) -> None:
    text = "kernel f(n: int, s: int) -> c: int:\n    c = 0\n    for i in range(0, n, s):\n        c += i\n"
    for n in (0, 10):
        fault = fault_of(text, target=target, n=n, s=step)
        assert (fault.code, fault.values) == ("E0630", (step,))
    lo = np.zeros(9, np.int64)
    steps = np.array([3, 1, 2, 5, step, 1, 0, 2, 2])
    fault = fault_of(STRIDES, target=target, lo=lo, hi=lo, step=steps)
    assert (fault.code, fault.indices, fault.values) == ("E0630", (4,), (step,))


FFT = """
kernel walsh[N](x: inout f64[N]) where N >= 1:
    half = 1
    while half < N:
        for k in range(0, N, 2 * half):
            for j in range(k, k + half):
                a, b = x[j], x[j + half]
                x[j] = a + b
                x[j + half] = a - b
        half *= 2
"""


def test_rule_5_blocks_that_double(target: str) -> None:
    x = floats(16).astype(np.float64)
    hadamard = np.array([[1.0]])
    while len(hadamard) < 16:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    assert np.array_equal(run(FFT, target, x=x.copy())["x"], hadamard @ x)
    assert fault_of(FFT, target=target, x=floats(6).astype(np.float64)).code == "E0601"


def test_rule_5_locals_first_assigned_in_a_loop(target: str) -> None:
    text = """
kernel f[N](x: i64[N], y: out i64[N]):
    for i in grid(N):
        n = 0
        while n < 3:
            m = x[i] + n
            if m % 2 == 0:
                k = m // 2
            else:
                k = -m
            n += 1
            w = k * n
            y[i] = w
"""
    x = ints(9)
    want = [3 * ((v + 2) // 2 if v % 2 == 0 else -(v + 2)) for v in x]
    assert run(text, target, x=x)["y"].tolist() == want


def test_rule_8_boundaries(target: str) -> None:
    text = """
kernel f[N](x: f32[N], idx: i64[N], y: out f32[N, 4]):
    for i in grid(N):
        y[i, 0] = clamp(x)[i - 2]
        y[i, 1] = wrap(x)[i + 3]
        y[i, 2] = fill(x, 0.5)[2 * i - 1]
        y[i, 3] = clamp(x)[idx[i]]
"""
    for n in (1, 7):
        x, idx, i = floats(n), ints(n), np.arange(n)
        got = run(text, target, x=x, idx=idx)["y"]
        far = 2 * i - 1
        filled = np.where((far >= 0) & (far < n), x[np.clip(far, 0, n - 1)], np.float32(0.5))
        want = [x[np.clip(i - 2, 0, n - 1)], x[(i + 3) % n], filled, x[np.clip(idx, 0, n - 1)]]
        assert np.array_equal(got, np.stack(want, 1))


# ---------------------------------------------------------------- 10-13: axes, tiles, updates
def test_rule_10_whole_axes_broadcast(target: str) -> None:
    text = """
kernel f[M, K](x: f32[M, K], y: out f32[M, K]):
    for i in grid(M):
        acc: f32[K] = 0
        for t in range(3):
            if t != 1:
                acc = acc + x[i, :]
        y[i, :] = 1.5
        if x[i, 0] > 0:
            y[i, :] = acc * 2.0 + sum(acc, over=K)
"""
    for m, k in ((1, 1), (5, 7), (3, 33)):
        x = floats(m, k)
        acc = x + x
        want = np.where(x[:, :1] > 0, acc * np.float32(2) + acc.sum(1, keepdims=True), np.float32(1.5))
        assert np.array_equal(run(text, target, x=x)["y"], want.astype(np.float32))


ONLINE = """
kernel online[M, S](x: f32[M, S], y: out f32[M], z: out f32[M]):
    for i in grid(M):
        m: f32 = -inf
        total: f32 = 0
        for j in tiles(S[:i + 1]):
            v = x[i, j]
            if any(v == 2.0, over=j):
                continue
            m = max(m, max(v, over=j))
            total = total + sum(v, over=j)
        y[i] = m
        z[i] = total
"""


@pytest.mark.parametrize("n", [1, 7, 33, 150])
def test_rule_11_tiles_carry_what_is_reduced(target: str, n: int) -> None:
    x = floats(n, n)
    x[x == 2] = 3
    got = run(ONLINE, target, x=x)
    i, j = np.indices((n, n))
    assert np.array_equal(got["y"], np.where(j <= i, x, -np.inf).max(1))
    assert np.array_equal(got["z"], np.where(j <= i, x, 0).sum(1, dtype=np.float64))


HISTOGRAM = """
kernel histogram[N](x: u8[N], h: reduce(+) i64[256], top: reduce(max) i32[1], bits: reduce(|) i64[2]):
    for i in grid(N):
        h[x[i]] += 1
        top[0] = max(top[0], i32(x[i]))
        if x[i] % 2 == 1:
            bits[i % 2] |= i64(x[i])
"""


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_rule_13_updates(target: str, n: int) -> None:
    x = ints(n, low=0, high=256).astype(np.uint8)
    h, top, bits = np.arange(256), np.full(1, 5, np.int32), np.zeros(2, np.int64)
    got = run(HISTOGRAM, target, x=x, h=h, top=top, bits=bits)
    assert np.array_equal(got["h"], h + np.bincount(x, minlength=256))
    assert got["top"][0] == max(5, x.max(initial=0))
    odd = np.where(x % 2 == 1, x, 0).astype(np.int64)
    assert got["bits"].tolist() == [int(np.bitwise_or.reduce(odd[b::2])) for b in (0, 1)]


# ---------------------------------------------------------------- 16-18: sequential code, fns, results
SEQUENTIAL = """
kernel seidel[N](x: inout f64[N], steps: int) -> (rounds: i64, last: f64):
    t: f64[N + 1] = 1.5
    n = 0
    gap = 1e9
    while n < steps:
        n += 1
        gap = 0.0
        for i in range(1, N - 1):
            new = 0.5 * (x[i - 1] + x[i + 1])
            gap = max(gap, abs(new - x[i]))
            if gap > 1e6:
                break
            x[i] = new
        if gap < 0.25:
            break
    for i in grid(N):
        t[i + 1] = x[i] + t[0]
    x[:] = 0.0
    for i in range(N):
        x[i] = t[i] + t[N]
    rounds = n
    last = gap
"""


def seidel(x: Array, steps: int) -> tuple[Array, int, float]:
    x = x.copy()
    n, gap = 0, 1e9
    while n < steps:
        n, gap = n + 1, 0.0
        for i in range(1, len(x) - 1):
            new = 0.5 * (x[i - 1] + x[i + 1])
            gap = max(gap, abs(new - x[i]))
            x[i] = new
        if gap < 0.25:
            break
    t = np.concatenate([[1.5], x + 1.5])
    return t[:-1] + t[-1], n, gap


@pytest.mark.parametrize("n", [1, 2, 9, 33])
@pytest.mark.parametrize("steps", [0, 50])
def test_rule_16_sequential_code(target: str, n: int, steps: int) -> None:
    x = floats(n, dtype=np.float64)
    got = run(SEQUENTIAL, target, x=x, steps=steps)
    want, rounds, gap = seidel(x, steps)
    assert np.array_equal(got["x"], want)
    assert (got["rounds"], got["last"]) == (rounds, gap)


def test_rule_16_early_return(target: str) -> None:
    text = """
kernel f[N](x: i64[N], y: inout i64[N]):
    for i in range(N):
        if x[i] < 0:
            y[0] = i
            return
        y[i] = x[i] * 2
    for i in grid(N):
        y[i] = y[i] + 1
"""
    y = np.zeros(4, np.int64)
    assert run(text, target, x=np.array([1, 2, 3, 4]), y=y)["y"].tolist() == [3, 5, 7, 9]
    assert run(text, target, x=np.array([1, 2, -3, 4]), y=y)["y"].tolist() == [2, 4, 0, 0]


def test_rule_16_sizes_of_temporaries_are_checked(target: str) -> None:
    text = """
kernel f[N](x: f32[N], n: int, y: out f32[N]):
    t: f32[n - 2] = 1
    for i in grid(N):
        y[i] = x[i] + sum(t[k] for k in range(n - 2))
"""
    x = floats(5)
    assert np.array_equal(run(text, target, x=x, n=4)["y"], x + 2)
    assert np.array_equal(run(text, target, x=x, n=2)["y"], x)
    assert fault_of(text, target=target, x=x, n=1).code == "E0615"


def test_rule_16_kernels_call_kernels(target: str) -> None:
    text = """
kernel scale[N](x: inout f32[N], by: f32):
    for i in grid(N):
        x[i] = x[i] * by

kernel main[N](x: inout f32[N], n: int):
    for t in range(n):
        if t % 2 == 0:
            scale(x, f32(t) + 1.0)
"""
    x = floats(9)
    assert np.array_equal(run(text, target, x=x, n=5)["x"], x * 15)


def test_rule_16_small_arrays_of_an_element(target: str) -> None:
    text = """
kernel median[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        v: f32[5] = 0
        for k in range(5):
            v[k] = clamp(x)[i + k - 2]
        for a in range(5):
            for b in range(4 - a):
                if v[b] > v[b + 1]:
                    t = v[b]
                    v[b] = v[b + 1]
                    v[b + 1] = t
        y[i] = v[2]
"""
    for n in (1, 33):
        x = floats(n)
        near = np.stack([x[np.clip(np.arange(n) + k, 0, n - 1)] for k in range(-2, 3)])
        assert np.array_equal(run(text, target, x=x)["y"], np.median(near, axis=0))


FNS = """
fn collatz(start: int, limit: int):
    steps = 0
    n = start
    top = n
    while n != 1:
        if steps == limit:
            return -1, top
        if n % 2 == 0:
            n = n // 2
            steps += 1
            continue
        n = 3 * n + 1
        top = max(top, n)
        steps += 1
    return steps, top

fn digit(number: int, k: int) -> int:
    n = number
    for t in range(k):
        n = n // 10
        if n == 0:
            return -t
    if n < 100:
        return n % 10
    return n

kernel f[N](x: i64[N], y: out i64[N, 3]):
    for i in grid(N):
        steps, top = collatz(x[i], 30)
        y[i, 0] = steps
        y[i, 1] = top
        y[i, 2] = sum(digit(x[i], k) for k in range(4)) + digit(digit(x[i], 0), 1)
"""


def collatz(n: int, limit: int) -> tuple[int, int]:
    steps, top = 0, n
    while n != 1:
        if steps == limit:
            return -1, top
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        top = max(top, n)
        steps += 1
    return steps, top


def digit(n: int, k: int) -> int:
    for t in range(k):
        n //= 10
        if n == 0:
            return -t
    return n % 10 if n < 100 else n


def test_rule_17_fns_return_from_loops(target: str) -> None:
    x = np.arange(1, 60, dtype=np.int64) * 7
    want = [[*collatz(int(v), 30), sum(digit(int(v), k) for k in range(4)) + digit(digit(int(v), 0), 1)] for v in x]
    assert run(FNS, target, x=x)["y"].tolist() == want


def test_rule_17_fns_read_arrays_and_check_bounds(target: str) -> None:
    text = """
fn part[N](a: f32[N], lo: int, hi: int) -> f32:
    return sum(a[k] for k in N[lo:hi])

kernel f[M](x: f32[M], w: f32[3], p: i64[M], y: out f32[M]):
    for i in grid(M):
        y[i] = part(x, 0, p[i]) + part(w, p[i] % 3, 3)
"""
    x, w, p = floats(4), floats(3), np.array([4, 0, 2, 1], np.int64)
    want = [x[: p[i]].sum() + w[p[i] % 3 :].sum() for i in range(4)]
    assert np.array_equal(run(text, target, x=x, w=w, p=p)["y"], np.array(want, np.float32))
    fault = fault_of(text, target=target, x=x, w=w, p=np.array([4, 5, 2, 1], np.int64))
    assert (fault.code, fault.indices) == ("E0601", (1,))


def test_rule_17_bounds_inside_fns_over_arrays_of_literal_size_are_tested(target: str) -> None:
    text = """
fn part[N](a: f32[N], lo: int, hi: int) -> f32:
    return sum(a[k] for k in N[lo:hi])

kernel f[M](w: f32[3], p: i64[M], y: out f32[M]):
    for i in grid(M):
        y[i] = part(w, 0, p[i])
"""
    w = floats(3)
    assert run(text, target, w=w, p=np.array([0, 3], np.int64))["y"].tolist() == [0, w.sum()]
    assert fault_of(text, target=target, w=w, p=np.array([0, 4], np.int64)).code == "E0601"


def test_rule_12_several_scalar_results_are_assigned_at_once(target: str) -> None:
    text = """kernel main[N](x: f32[N]) -> (s: f32, t: f32) where N > 0:
    s, t = x[0], x[N - 1]
    s, t = t, s + 1.0
"""
    got = run(text, target, x=np.array([3, 4, 5], np.float32))
    assert (got["s"], got["t"]) == (5, 4)


def test_rule_12_right_sides_are_complete_before_the_store(target: str) -> None:
    text = """
kernel f[N](x: inout f32[N, 4]):
    for i in grid(N):
        a, b = x[i, 0], x[i, 1]
        a, b = b, a + b
        x[i, :] = x[i, :] + sum(x[i, k] for k in range(4))
        x[i, 2] = a
        x[i, 3] = b
"""
    x = floats(7, 4)
    want = x + x.sum(1, keepdims=True)
    want[:, 2], want[:, 3] = x[:, 1], x[:, 0] + x[:, 1]
    assert np.array_equal(run(text, target, x=x)["x"], want)


# ---------------------------------------------------------------- 39: asserts
def test_rule_39_the_smallest_element_that_fails_is_reported(target: str) -> None:
    text = """
kernel f[N](x: i64[N], y: out i64[N]):
    for i in grid(N):
        assert x[i] != 7, "seven"
        y[i] = 10 // x[i]
"""
    x = np.full(50, 2, np.int64)
    x[[40, 21]] = 7
    x[30] = 0
    fault = fault_of(text, target=target, x=x)
    assert (fault.code, fault.indices) == ("E0603", (21,))
    x[12] = 0
    fault = fault_of(text, target=target, x=x)
    assert (fault.code, fault.indices) == ("E0602", (12,))


CHECKS_IN_TURNS = {
    "two": """
kernel f[N](a: i64[N], b: i64[N], y: out i64[N]):
    for i in grid(N):
        y[i] = 10 // a[i] + 10 // b[i]
""",
    "loop": """
kernel f[N](a: i64[N], b: i64[N], y: out i64[N]):
    for i in grid(N):
        t: i64 = 100
        for k in range(2):
            t = t // (a[i] if k == 0 else b[i])
        y[i] = t
""",
    "sum": """
kernel f[N](a: i64[N], b: i64[N], y: out i64[N]):
    for i in grid(N):
        y[i] = sum(10 // (a[i] if k == 0 else b[i]) for k in range(2))
""",
    "in place": """
kernel f[N](a: inout i64[N], b: i64[N]):
    for i in grid(N):
        a[i] = 10 // a[i]
        a[i] = 10 // (a[i] + b[i] - 9)
""",
}


@pytest.mark.parametrize("kind", CHECKS_IN_TURNS)
@pytest.mark.parametrize("late, early", [(3, 5), (0, 31), (62, 63), (15, 40), (99, 98)])
def test_rule_39_the_smallest_element_is_reported_whichever_check_it_fails(
    target: str, kind: str, late: int, early: int
) -> None:
    a, b = np.full(100, 1, np.int64), np.full(100, 1, np.int64)
    a[early] = 0  # fails at the first check that elements come to
    b[late] = 0 if kind != "in place" else -1
    assert fault_of(CHECKS_IN_TURNS[kind], target=target, a=a, b=b).indices == (min(late, early),)


# ---------------------------------------------------------------- 8: boundaries
@pytest.mark.parametrize("policy", ["clamp", "wrap"])
@pytest.mark.parametrize("shape", [(0, 0, 1), (2, 0, 3), (3, 2, 0)])
def test_rule_8_clamp_and_wrap_need_an_element(target: str, policy: str, shape: tuple[int, ...]) -> None:
    text = f"""
kernel one[A, B, C](x: f64[A, B, C]) -> r: f64:
    r = {policy}(x)[-1, 2, 0]
"""
    fault = fault_of(text, target=target, x=np.zeros(shape))
    assert fault.code == "E0601"
    assert run(text, target, x=np.full((1, 1, 1), 4.0))["r"] == 4.0


@pytest.mark.parametrize("policy", ["clamp", "wrap"])
def test_rule_8_elements_that_read_an_empty_axis_fault(target: str, policy: str) -> None:
    text = f"""
kernel each[M, N](x: f32[N], y: out f32[M]):
    for i in grid(M):
        y[i] = {policy}(x)[i - 1] if i > 3 else 1.0
"""
    assert fault_of(text, target=target, x=floats(0), M=50).indices == (4,)
    assert run(text, target, x=floats(0), M=4)["y"].tolist() == [1, 1, 1, 1]


def test_rule_8_fill_needs_none(target: str) -> None:
    text = """
kernel each[M, N](x: f32[N], y: out f32[M]):
    for i in grid(M):
        y[i] = fill(x, 7)[i - 1]
"""
    assert run(text, target, x=floats(0), M=3)["y"].tolist() == [7, 7, 7]
