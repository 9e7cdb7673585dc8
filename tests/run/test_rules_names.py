"""LANGUAGE 17 to 20: names of parts and of `reduce` arrays that change, results that are renamed, fns over temporaries and
views, elements of parts that have no name."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import pytest

from tests.support.programs import check_error
from tests.support.rules import run_both
from tests.support.run import TARGETS, fault_of, run_kernel

Array = np.ndarray[Any, Any]
SIZES = (0, 1, 2, 5, 16, 33)

KERNELS = """
kernel copy[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = x[i]

kernel step[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = x[i] + 1

kernel next[N](x: f32[N]) -> y: f32[N]:
    for i in grid(N):
        y[i] = x[i] + 1

kernel total[N](x: f32[N]) -> s: f32:
    s = sum(x[i] for i in N)
"""


def counted(*shape: int) -> Array:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


# ---------------------------------------------------------------- 19: names of parts

HEADS = (
    KERNELS
    + """
task main[N](a: f32[N], n: int) -> (s: f32, t: f32, u: f32) where 0 <= n and n <= N:
    v = a[0:]
    s = 0
    for i in range(n):
        v = v[1:]
        r = total(v)
        s += r
    w = v[::2]
    t = total(w)
    u = total(w[::2])
"""
)


@pytest.mark.parametrize("size", SIZES)
def test_rule_19_a_part_may_shrink_step_by_step(size: int) -> None:
    a = counted(size)
    for n in {0, min(1, size), size // 2, size}:
        got = run_both(HEADS, a=a, n=n)
        heads = [a[i:].sum() for i in range(1, n + 1)]
        assert (got["s"], got["t"], got["u"]) == (sum(heads), a[n::2].sum(), a[n::4].sum())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_rule_19_halves_of_one_temporary_swap(size: int, steps: int) -> None:
    text = (
        KERNELS
        + """
task main[N](a: inout f32[N], steps: int):
    t: f32[2, N] = 0
    now = t[0, :]
    then = t[1, :]
    copy(a, now)
    for i in range(steps):
        spawn step(now, then)
        now, then = then, now
    copy(now, a)
"""
    )
    assert np.array_equal(run_both(text, a=counted(size), steps=steps)["a"], counted(size) + steps)


CUT = (
    KERNELS
    + """
task main(a: inout f32[4, 4], k: int):
    if k == 0:
        u = a[1, :]
    elif k == 1:
        u = a[:, 1]
    else:
        u = a[3, :]
    v = u[1:]
    copy(u[0:2], v[1:3])
"""
)


def test_rule_19_a_name_may_stand_for_a_row_or_a_column() -> None:
    for k, where in enumerate(((1, slice(None)), (slice(None), 1), (3, slice(None)))):
        want = counted(4, 4)
        want[where][2:4] = want[where][0:2]
        assert np.array_equal(run_both(CUT, a=counted(4, 4), k=k)["a"], want)


SHARE = (
    KERNELS
    + """
task main(a: inout f32[24], k: int, lo: int, n: int):
    u = a[0:12]
    v = a[12:]
    if k == 1:
        u = a[::2]
        v = a[1::2]
    if k == 2:
        u = a[::2][::3]
        v = a[3::4]
    if k == 3:
        u, v = v, u
    copy(u[lo:lo + n], v[0:n])
"""
)


@pytest.mark.parametrize("k", range(4))
@pytest.mark.parametrize(("lo", "n"), [(0, 4), (0, 1), (1, 3), (2, 0)])
def test_rule_15_elements_of_named_parts_are_compared_exactly(k: int, lo: int, n: int) -> None:
    places = np.arange(24)
    u, v = [
        (places[:12], places[12:]),
        (places[::2], places[1::2]),
        (places[::6], places[3::4]),
        (places[12:], places[:12]),
    ][k]
    source, target = u[lo : lo + n], v[:n]
    if set(source) & set(target):
        for where in TARGETS:
            assert fault_of(SHARE, target=where, a=counted(24), k=k, lo=lo, n=n).code == "E0619"
        return
    want = counted(24)
    want[target] = want[source]
    assert np.array_equal(run_both(SHARE, a=counted(24), k=k, lo=lo, n=n)["a"], want)


@pytest.mark.parametrize("target", TARGETS)
def test_rule_15_named_parts_that_overlap_fault(target: str) -> None:
    text = (
        KERNELS
        + """
task main(a: inout f32[24], x: int, s: int):
    u = a[0:8]
    v = a[x:x + 8]
    if s == 1:
        v = a[1:24:3]
        u = a[::2][0:8]
    copy(u, v)
"""
    )
    assert np.array_equal(run_both(text, a=counted(24), x=8, s=0)["a"][8:16], counted(8))
    for x, s in ((7, 0), (0, 0), (0, 1)):
        assert fault_of(text, target=target, a=counted(24), x=x, s=s).code == "E0619"


def test_rule_19_a_name_keeps_the_array_whose_part_it_stands_for() -> None:
    text = (
        KERNELS
        + """
task main[N](a: f32[N], steps: int) -> s: f32:
    x = a
    for i in range(steps):
        y = next(x)
        x = y[0:N]
    s = total(x[0:1])
"""
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run_kernel(text, a=np.zeros(1 << 20, np.float32), steps=500)["s"] == 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert run_both(text, a=counted(3), steps=4)["s"] == 4


def test_rule_19_names_of_parts_that_do_not_fit() -> None:
    check_error(
        KERNELS
        + """
task main[N](a: inout f32[N, N], b: f32[N], n: int):
    v = a[0, :]
    v = a[0:1, :]  #~ E0306: `v` names an array of f32 with 1 axis, and this is an array of f32 with 2 axes
    w = a[0, :]
    if n > 0:
        w = b[0:]
    step(b, w)  #~ E0401: `w` is only read
    b = a[0, :]  #~ E0401: `b` is a parameter and keeps what it got
"""
    )


@pytest.mark.parametrize("target", TARGETS)
def test_rule_19_bounds_of_parts_of_names_are_checked(target: str) -> None:
    text = (
        KERNELS
        + """
task main(a: f32[4], n: int) -> s: f32:
    v = a[0:]
    for i in range(n):
        v = v[1:]
    s = total(v)
"""
    )
    assert run_both(text, a=counted(4), n=4)["s"] == 0
    assert fault_of(text, target=target, a=counted(4), n=5).code == "E0601"


# ---------------------------------------------------------------- 13, 19: names of `reduce` arrays

COUNTS = """
kernel count[N, K](x: i64[N], h: reduce(+) i64[K]):
    for i in grid(N):
        h[x[i]] += 1

kernel put[K](h: i64[K], y: out i64[K]):
    for k in grid(K):
        y[k] = h[k]
"""


@pytest.mark.parametrize("size", SIZES)
def test_rule_13_reduce_arrays_may_be_renamed(size: int) -> None:
    text = (
        COUNTS
        + """
task main[N](x: i64[N], turns: int, a: out i64[3], b: out i64[3]):
    h: reduce(+) i64[3] = 0
    g: reduce(+) i64[3] = 10
    for t in range(turns):
        count(x, h)
        h, g = g, h
    put(h, a)
    put(g, b)
"""
    )
    x = np.arange(size) % 3
    once = np.bincount(x, minlength=3)
    for turns in (0, 1, 2, 3):
        h, g = np.zeros(3, int), np.full(3, 10)
        for _ in range(turns):
            h = h + once
            h, g = g, h
        got = run_both(text, x=x, turns=turns)
        assert np.array_equal(got["a"], h) and np.array_equal(got["b"], g)


def test_rule_13_a_name_of_reduce_arrays_names_no_other() -> None:
    check_error(
        COUNTS
        + """
task main(x: i64[4], out_: out i64[3], p: reduce(+) i64[3]):
    h: reduce(+) i64[3] = 0
    t: i64[3] = 0
    h = t  #~ E0405: `h` names `reduce(+)`, and `t` is one that is none
    u = p
    u = h
    put(u, out_)  #~ E0405: this reads it
"""
    )


# ---------------------------------------------------------------- 18: results of tasks

RESULTS = (
    KERNELS
    + """
task again[N](a: f32[N], k: int) -> y: f32[N]:
    copy(a, y)
    for i in range(k):
        y = next(y)
        if i == 5:
            return

task given[N](a: f32[2 * N], k: int) -> y: f32[N]:
    t: f32[N] = 7
    if k == 0:
        y = t
    if k == 1:
        y = a[N:]
    if k == 2:
        y = a[0:2 * N:2]
    if k == 4:
        y = a[1:]

task two[N](a: f32[N], k: int) -> (y: f32[N], z: f32[N]):
    copy(a, y)
    z = next(y)
    for i in range(k):
        y, z = z, y

task outer[N](a: f32[N], k: int) -> (y: f32[N], s: f32):
    y, z = two(a, k)
    z = next(z)
    y = z
    s = y[0:][0] if N > 0 else -1.0
"""
)


@pytest.mark.parametrize("size", SIZES)
def test_rule_18_a_result_of_a_task_may_take_another_array(size: int) -> None:
    a, b = counted(size), counted(2 * size)
    for k in (0, 1, 2, 4, 9):
        assert np.array_equal(run_both(RESULTS, "again", a=a, k=k)["y"], a + min(k, 6))
        got = run_both(RESULTS, "two", a=a, k=k)
        want = (a, a + 1) if k % 2 == 0 else (a + 1, a)
        assert np.array_equal(got["y"], want[0]) and np.array_equal(got["z"], want[1])
        assert np.array_equal(run_both(RESULTS, "outer", a=a, k=k)["y"], want[1] + 1)
    for k, want_y in enumerate((np.full(size, 7), b[size:], b[::2], np.zeros(size))):
        assert np.array_equal(run_both(RESULTS, "given", a=b, k=k)["y"], want_y)


@pytest.mark.parametrize("target", TARGETS)
def test_rule_18_what_a_result_takes_has_its_size(target: str) -> None:
    fault = fault_of(RESULTS, "given", target=target, a=counted(4), k=4)
    assert (fault.code, fault.values) == ("E0605", (3, 2))


def test_rule_18_a_call_does_not_write_over_what_it_reads() -> None:
    text = (
        KERNELS
        + """
task main[N](a: f32[N]) -> y: f32[N] where N >= 1:
    copy(a, y)
    {line}
"""
    )
    for line, want in (("y = next(y[0:])", counted(4) + 1),):
        assert np.array_equal(run_both(text.format(line=line), a=counted(4))["y"], want)
    check_error(
        KERNELS
        + """
task main[N](y: inout f32[N]):
    y = next(y[0:])  #~ E0406: `y` is read by this call
"""
    )


# ---------------------------------------------------------------- 17: fns over temporaries and views

FNS = """
fn dot[D](x: f64[D], y: f64[D]) -> f64:
    return sum(x[k] * y[k] for k in D)

fn odd[D](x: f64[D], y: f64[2 * D]) -> f64:
    s: f64[D] = 0
    s = s + x[:]
    return sum(s, over=D) + sum(y[2 * k + 1] for k in D[:]) + f64(D)

fn first(x, n: int):
    return sum(x[k] for k in range(n))

kernel fill[N](x: out f64[N], v: f64):
    for i in grid(N):
        x[i] = v + f64(i)
"""


@pytest.mark.parametrize("n", SIZES)
def test_rule_17_fns_take_temporaries_of_computed_size(n: int) -> None:
    text = (
        FNS
        + """
kernel main(p: i64[1], y: out f64[3, 3]):
    n = p[0]
    t: f64[n] = 2
    u: f64[n]
    w: f64[2 * n]
    fill(u, 1.0)
    fill(w, 0.0)
    t[:] = t[:] + 1.0
    for i, j in grid(3, 3):
        y[i, j] = dot(t, u) + f64(i) if j == 0 else odd(u, w) if j == 1 else first(u, n)
"""
    )
    u, w = np.arange(n) + 1.0, np.arange(2 * n) + 0.0
    want = np.zeros((3, 3))
    want[:, 0], want[:, 1], want[:, 2] = 3 * u.sum() + np.arange(3), u.sum() + w[1::2].sum() + n, u.sum()
    assert np.array_equal(run_both(text, "main", p=np.array([n]))["y"], want)


def test_rule_17_fns_take_names_and_views() -> None:
    text = (
        FNS
        + """
task main[N](a: f64[N], lo: int, hi: int) -> (s: f64, t: f64) where 0 <= lo and lo <= hi and hi <= N:
    v = a[lo:hi]
    s = dot(v, v)
    u = a[0:]
    for i in range(2):
        u = u[0:u.shape[0] // 2]
    t = dot(u, u) + first(u, u.shape[0])
"""
    )
    a = np.arange(13.0)
    got = run_both(text, a=a, lo=3, hi=8)
    assert (got["s"], got["t"]) == ((a[3:8] ** 2).sum(), (a[:3] ** 2).sum() + a[:3].sum())


def test_rule_17_fns_take_parts_without_a_name() -> None:
    text = (
        FNS
        + """
fn both[D](x: f64[D]) -> (f64, f64):
    return x[0], sum(x[k] for k in D)

kernel seq[N](a: f64[N, N], y: out f64[3]) where N >= 2:
    y[0] = dot(a[1, :], a[:, 0])
    first, rest = both(a[1:, 1])
    y[1] = first
    y[2] = rest

task main[N](a: f64[N, N], i: int) -> (s: f64, y: f64[3]) where i >= 0 and i < N and N >= 2:
    s = dot(a[i, 1:], a[1:, i])
    if i > 0 and dot(a[0, :], a[i, :]) > 0.0:
        s = -s
    seq(a, y)
"""
    )
    for n in (2, 5, 33):
        a = np.arange(n * n, dtype=float).reshape(n, n) - 3
        for i in (0, 1, n - 1):
            got = run_both(text, "main", a=a, i=i)
            s = a[i, 1:] @ a[1:, i]
            assert got["s"] == (-s if i > 0 and a[0] @ a[i] > 0 else s)
            assert got["y"].tolist() == [a[1] @ a[:, 0], a[1, 1], a[1:, 1].sum()]


PARTS_OF_ELEMENTS = """
fn dot[K](x: f64[K], y: f64[K]):
    return sum(x[k] * y[k] for k in K)

fn summed[K](x: f64[K]):
    s = 0.0
    for k in range(K):
        s += x[k]
    return s

fn edge[K](x: f64[K], k: int):
    return clamp(x)[k] + 10 * wrap(x)[k] + 100 * fill(x, 0.5)[k]

fn shifted[K](x: f64[K]):
    return dot(x[1:], x[:K - 1])

kernel rows[M, K](a: f64[M, K], b: f64[K], y: out f64[M]):
    for i in grid(M):
        y[i] = dot(a[i, :], b)

kernel product[M, K, N](a: f64[M, K], b: f64[K, N], y: out f64[M, N]):
    for i, j in grid(M, N):
        y[i, j] = dot(a[i, :], b[:, j])

kernel triangle[M, K](a: f64[M, K], y: out f64[M]) where K >= M:
    for i in grid(M):
        y[i] = summed(a[i, :i]) + dot(a[i, 0:i + 1:2], a[i, 0:i + 1:2])

kernel total[M, K](a: f64[M, K], b: f64[K]) -> s: f64:
    s = sum(dot(a[i, :], b) if i > 0 else summed(a[i, 1:]) for i in M)

kernel edges[M, K](a: f64[M, K], y: out f64[M, K]) where K >= 3:
    for i, k in grid(M, K):
        y[i, k] = edge(a[i, 1:K - 1], k - 1)

kernel part_of_part[M, K](a: f64[M, K], y: out f64[M]) where K >= 1:
    for i in grid(M):
        y[i] = shifted(a[i, :])

kernel normalised[M, K](a: inout f64[M, K]):
    for i in grid(M):
        a[i, :] = a[i, :] / sqrt(dot(a[i, :], a[i, :]))

kernel gathered[M, K, N](a: f64[M, K], idx: i32[N], y: out f64[N]):
    for i in grid(N):
        y[i] = dot(a[idx[i], :], a[idx[i], :])

kernel own[M](a: f64[M, 9], y: out f64[M]):
    for i in grid(M):
        v: f64[9] = 0
        for k in range(9):
            v[k] = a[i, k] * 2
        y[i] = dot(v[0:3], v[3:6]) + dot(v, a[i, :])
"""


@pytest.mark.parametrize(("m", "k"), [(0, 3), (1, 1), (3, 3), (5, 9), (17, 33), (16, 16)])
def test_rule_17_each_element_gives_parts_of_its_own(m: int, k: int) -> None:
    a = np.random.default_rng(m).integers(-9, 9, (m, k)).astype(float)
    b, c = np.arange(k) - 2.0, np.arange(k * 4.0).reshape(k, 4)

    def run(name: str, **given: np.ndarray) -> np.ndarray:
        return run_both(PARTS_OF_ELEMENTS, name, **given)["s" if name == "total" else "y"]

    assert np.array_equal(run("rows", a=a, b=b), a @ b)
    assert np.array_equal(run("product", a=a, b=c), a @ c)
    first = a[:1, 1:].sum()
    assert run("total", a=a, b=b) == (a @ b)[1:].sum() + first
    assert np.array_equal(run("part_of_part", a=a), (a[:, 1:] * a[:, :-1]).sum(1))
    if k >= m:
        want = [a[i, :i].sum() + (a[i, : i + 1 : 2] ** 2).sum() for i in range(m)]
        assert np.array_equal(run("triangle", a=a), want)
    if k >= 3:
        assert np.array_equal(run("edges", a=a), edges_of(a[:, 1:-1]))
    if k == 9:
        assert np.array_equal(run("own", a=a), ((2 * a[:, :3]) * (2 * a[:, 3:6])).sum(1) + (2 * a * a).sum(1))
    if m:
        idx = np.arange(7) * 5 % m
        assert np.array_equal(run("gathered", a=a, idx=idx.astype(np.int32)), (a[idx] ** 2).sum(1))
        got = run_both(PARTS_OF_ELEMENTS, "normalised", a=a + 0.5)["a"]
        assert np.allclose(got, (a + 0.5) / np.sqrt(((a + 0.5) ** 2).sum(1, keepdims=True)), rtol=1e-15)


def edges_of(x: np.ndarray) -> np.ndarray:
    """What ``edge`` gives of each row, from the place before the first to the one behind the last."""
    places, n = np.arange(-1, x.shape[1] + 1), x.shape[1]
    outside = np.where((places >= 0) & (places < n), x[:, places.clip(0, n - 1)], 0.5)
    return x[:, places.clip(0, n - 1)] + 10 * x[:, places % n] + 100 * outside


@pytest.mark.parametrize("target", TARGETS)
def test_rule_17_bounds_of_parts_are_checked_by_element(target: str) -> None:
    text = (
        FNS
        + """
kernel main[M, N](a: f64[M, N], n: i64[M], y: out f64[M]):
    for i in grid(M):
        y[i] = dot(a[i, :n[i]], a[i, :n[i]])
"""
    )
    a = np.ones((5, 4))
    assert run_both(text, "main", a=a, n=np.array([0, 4, 1, 2, 3]))["y"].tolist() == [0, 4, 1, 2, 3]
    fault = fault_of(text, "main", target=target, a=a, n=np.array([0, 4, 5, 2, 6]))
    assert (fault.code, fault.indices, fault.values) == ("E0601", (2,), (5, 4))


def test_rule_17_parts_take_part_in_races() -> None:
    check_error(
        FNS
        + """
kernel own[M, N](a: inout f64[M, N]) where N >= 1:
    for i in grid(M):
        a[i, 0] = dot(a[i, :], a[i, :])

kernel above[M, N](a: inout f64[M, N]) where N >= 1:
    for i in grid(M[1:]):
        a[i, 0] = dot(a[i - 1, :], a[i, :])  #~ E0403: element `i = 2` reads `a[1, 0]`
"""
    )


SIZES_OF_FN = (
    FNS
    + """
kernel main(p: i64[2], y: out f64[1]):
    n = p[0]
    t: f64[n] = 1
    u: f64[p[1]] = 2
    for i in grid(1):
        y[i] = dot(t, u) if n > 0 else -1.0
"""
)


@pytest.mark.parametrize("target", TARGETS)
def test_rule_17_computed_sizes_are_tested_where_the_call_runs(target: str) -> None:
    assert run_both(SIZES_OF_FN, "main", p=np.array([4, 4]))["y"] == [8]
    assert run_both(SIZES_OF_FN, "main", p=np.array([0, 7]))["y"] == [-1]
    fault = fault_of(SIZES_OF_FN, "main", target=target, p=np.array([4, 5]))
    assert (fault.code, fault.values) == ("E0605", (5, 4))


def test_rule_17_sizes_that_differ_are_refused() -> None:
    check_error("""
fn dot[D](x: f64[D], y: f64[D]) -> f64:
    return sum(x[k] * y[k] for k in D)

kernel main(p: i64[2], y: out f64[1]):
    n = p[0]
    t: f64[n] = 0
    u: f64[n + 1] = 0
    y[0] = dot(t, u)  #~ E0313: axis 0 of `u` has size p[0] + 1, and `y` needs p[0]
""")


@pytest.mark.parametrize("target", TARGETS)
def test_rule_17_places_in_temporaries_are_checked(target: str) -> None:
    text = (
        FNS
        + """
kernel main(p: i64[2], y: out f64[1]):
    n = p[0]
    t: f64[n] = 1
    for i in grid(1):
        y[i] = first(t, p[1])
"""
    )
    assert run_both(text, "main", p=np.array([4, 3]))["y"] == [3]
    assert fault_of(text, "main", target=target, p=np.array([4, 5])).code == "E0601"


# ---------------------------------------------------------------- 19: elements of parts that have no name

ELEMENTS = """
kernel scale[N](x: inout f64[N]):
    for i in grid(N):
        x[i] = 2 * x[i]

task main[M, N](a: inout f64[M, N], i: int) -> (s: f64, n: i64) where i >= 0 and i < M and M >= 2 and N >= 3:
    s = a[1:, 2][0] + a[i, :][N - 1] + a[i:, 1:][0, 0] + clamp(a[:, 0])[M + 3] + a[0:2, :][1:, 1:3][0, 1]
    t = blocks(a, 2, 2)
    s += t[0, 1][1, 0]
    n = 0
    while a[i, :][0] < 100.0 and n < 50:
        scale(a[i, :])
        n += 1
"""


@pytest.mark.parametrize("shape", [(2, 3), (3, 4), (8, 16), (5, 33)])
def test_rule_19_elements_of_parts_without_a_name(shape: tuple[int, int]) -> None:
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    for i in range(shape[0]):
        s = a[1, 2] + a[i, -1] + a[i, 1] + a[-1, 0] + a[1, 2] + a[1, 2]
        n = 50 if a[i, 0] == 0 else max(0, int(np.ceil(np.log2(100 / a[i, 0]))))
        got = run_both(ELEMENTS, a=a.copy(), i=i)
        assert (got["s"], got["n"]) == (s, n)


@pytest.mark.parametrize("target", TARGETS)
def test_rule_19_places_in_parts_without_a_name_are_checked(target: str) -> None:
    text = """
task main(a: f64[6], at: i64[2]) -> s: f64:
    lo = at[0]
    i = at[1]
    s = -1
    if i >= 0 and a[lo:][i] > 0.0:
        s = a[lo:][i]
"""
    assert run_both(text, a=np.arange(6.0), at=np.array([2, 3]))["s"] == 5
    assert run_both(text, a=np.arange(6.0), at=np.array([7, -1]))["s"] == -1
    for lo, i in ((7, 0), (-1, 0), (2, 4)):
        assert fault_of(text, target=target, a=np.arange(6.0), at=np.array([lo, i])).code == "E0601"


def test_rule_19_mistakes_with_elements_of_parts() -> None:
    check_error("""
task main(a: inout f64[6, 6]) -> s: f64:
    s = a[0:2, :][3, 0]  #~ E0311: reaches beyond
    s = a[0, :][1, 1]  #~ E0306: has 1 axis, found 2 subscripts
    s = a[0][1]  #~ E0306: a part of an array takes no further subscripts
    a[0, :][1] = 2.0  #~ E0409: a task stores no elements

kernel k(a: f64[6, 6]) -> s: f64:
    s = a[0, :][1]  #~ E0306: a part of an array takes no further subscripts
""")
