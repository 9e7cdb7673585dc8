"""LANGUAGE 29: running results along an axis. One chain in the order of the axis, so the bits are those of a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.programs import check_error, check_right
from tests.support.rules import run_both
from tests.support.run import TARGETS, fault_of

ROWS = """
kernel rows[M, N](x: {t}[M, N]) -> y: {to}[M, N]:
    for i in grid(M):
        y[i, :] = cumsum(x[i, :], over=N)
"""
COLUMNS = """
kernel columns[M, N](x: {t}[M, N]) -> y: {to}[M, N]:
    for j in grid(N):
        y[:, j] = cumsum(x[:, j], over=M)
"""
PLAIN = """
kernel plain[M, N](x: {t}[M, N]) -> y: {to}[M, N]:
    y[:, :] = cumsum(x[:, :], over=N)
"""
SIZES = [(1, 1), (5, 7), (40, 33), (3, 300), (130, 2), (0, 3), (3, 0)]
TYPES = {"f32": ("f32", "f4"), "f64": ("f64", "f8"), "f16": ("f32", "f2"), "i64": ("i64", "i8"), "u8": ("i32", "u1"),
         "i16": ("i32", "i2"), "u32": ("u32", "u4"), "bool": ("i64", "?")}  # fmt: skip
WIDE = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "i32": np.int32, "u32": np.uint32}


def numbers(m: int, n: int, dtype: Any) -> np.ndarray:
    x = np.random.default_rng(m * 1000 + n).standard_normal((m, n)) * 30
    return np.abs(x).astype(dtype) if np.dtype(dtype).kind in "ub" else x.astype(dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("t", TYPES)
@pytest.mark.parametrize(("text", "axis"), [(ROWS, 1), (COLUMNS, 0), (PLAIN, 1)], ids=["rows", "columns", "plain"])
def test_rule_29_cumsum_adds_one_after_the_other(text: str, axis: int, t: str, size: tuple[int, int]) -> None:
    to, numpy = TYPES[t]
    x = numbers(*size, numpy)
    got = run_both(text.format(t=t, to=to), x=x, threads=2)["y"]
    want = np.add.accumulate(x.astype(WIDE[to]), axis=axis) + WIDE[to](0)
    assert got.dtype == WIDE[to] and np.array_equal(got, want)


def test_rule_29_any_strides() -> None:
    x = np.asfortranarray(numbers(9, 20, np.float32))
    for text, axis in ((ROWS, 1), (COLUMNS, 0)):
        got = run_both(text.format(t="f32", to="f32"), x=x)["y"]
        assert np.array_equal(got, np.add.accumulate(x, axis=axis))


SCANS = """
fn larger(a, b):
    return max(a, b)

fn with_gaps(a: f32, b: f32) -> f32:
    if b < 0:
        return a
    return a * 0.5 + b

kernel peaks[M, N](x: f32[M, N], least: f32[M]) -> y: f32[M, N]:
    for i in grid(M):
        y[i, :] = scan(larger, x[i, :], over=N, start=least[i])

kernel peaks_ahead[M, N](x: f32[M, N], least: f32[M]) -> y: f32[M, N]:
    for i in grid(M):
        y[i, :] = scan(larger, x[i, :], over=N, start=least[i], reverse=True)

kernel smooth[M, N](x: f32[M, N]) -> y: f32[M, N]:
    for i in grid(M):
        y[i, :] = scan(with_gaps, x[i, :], over=N, start=0)
"""


@pytest.mark.parametrize("size", SIZES)
def test_rule_29_scan_takes_an_fn_a_start_and_a_direction(size: tuple[int, int]) -> None:
    x, least = numbers(*size, np.float32), numbers(1, size[0], np.float32)[0]
    both = np.concatenate([least[:, None], x], axis=1)
    got = run_both(SCANS, "peaks", x=x, least=least, threads=2)["y"]
    assert np.array_equal(got, np.maximum.accumulate(both, axis=1)[:, 1:])
    both = np.concatenate([x, least[:, None]], axis=1)[:, ::-1]
    got = run_both(SCANS, "peaks_ahead", x=x, least=least, threads=2)["y"]
    assert np.array_equal(got, np.maximum.accumulate(both, axis=1)[:, ::-1][:, : size[1]])


@pytest.mark.parametrize("size", SIZES)
def test_rule_29_the_fn_may_branch(size: tuple[int, int]) -> None:
    x = numbers(*size, np.float32)
    state = np.zeros(size[0], np.float32)
    want = np.zeros_like(x)
    for n in range(size[1]):
        fused = (state.astype(np.float64) * 0.5 + x[:, n]).astype(np.float32)
        state = want[:, n] = np.where(x[:, n] < 0, state, fused)
    assert np.array_equal(run_both(SCANS, "smooth", x=x, threads=2)["y"], want)


INSIDE = """
kernel longest[M, N](x: f32[M, N]) -> y: f32[M]:
    for i in grid(M):
        y[i] = max(cumsum(x[i, k], over=k) * 2 for k in {domain})
"""


@pytest.mark.parametrize(
    ("domain", "rows"),
    [
        ("N", lambda x, i: x[i]),
        ("N[2:]", lambda x, i: x[i, 2:]),
        ("range(i)", lambda x, i: x[i, :i]),
        ("range(i // 2, N)", lambda x, i: x[i, i // 2 :]),
        ("range(0, N, 3)", lambda x, i: x[i, ::3]),
    ],
)
def test_rule_29_in_a_comprehension_the_axis_is_its_domain(domain: str, rows: Any) -> None:
    for m, n in [(1, 3), (20, 20), (33, 70)]:
        x = numbers(m, n, np.float32)
        got = run_both(INSIDE.format(domain=domain), x=x, threads=2)["y"]
        want = [np.cumsum(rows(x, i), dtype=np.float32).max(initial=-np.inf) * np.float32(2) for i in range(m)]
        assert np.array_equal(got, np.array(want, np.float32))


def test_rule_29_ragged_rows_from_both_ends() -> None:
    text = """
kernel csr[R, Z](p: i64[R + 1], v: f64[Z], w: f64[Z]) -> y: f64[R]:
    for r in grid(R):
        y[r] = sum(cumsum(v[z], over=z, reverse=True) * w[z] for z in Z[p[r]:p[r + 1]])
"""
    rng = np.random.default_rng(5)
    p = np.concatenate([[0], np.cumsum(rng.integers(0, 9, 40))])
    v, w = rng.standard_normal((2, p[-1]))
    got = run_both(text, p=p, v=v, w=w, threads=2)["y"]
    for r in range(40):
        part = slice(p[r], p[r + 1])
        assert np.isclose(got[r], np.cumsum(v[part][::-1])[::-1] @ w[part])


def test_rule_29_scans_of_scans_and_two_axes() -> None:
    text = """
kernel table[M, N](x: f64[M, N]) -> y: f64[M, N]:
    y[:, :] = cumsum(cumsum(x[:, :], over=N), over=M)
"""
    x = numbers(13, 37, np.float64)
    assert np.array_equal(run_both(text, x=x)["y"], np.add.accumulate(np.add.accumulate(x, axis=1), axis=0))


def test_rule_29_in_a_tiles_loop_the_axis_is_the_block() -> None:
    text = """
kernel integral[M, N](x: f64[M, N], y: out f64[M, N]):
    for i in grid(M):
        before: f64 = 0
        for k in tiles(N, 16):
            y[i, k] = before + cumsum(x[i, k], over=k)
            before += sum(x[i, k], over=k)
"""
    x = np.arange(5 * 70.0).reshape(5, 70)
    assert np.array_equal(run_both(text, x=x)["y"], x.cumsum(1))


@pytest.mark.parametrize("target", TARGETS)
def test_rule_29_a_fault_in_the_fn_names_the_element(target: str) -> None:
    text = """
fn divided(a: i64, b: i64) -> i64:
    return a // b

kernel quotients[M, N](x: i64[M, N]) -> y: i64[M, N]:
    for i in grid(M):
        if x[i, 0] > 0:
            y[i, :] = scan(divided, x[i, :], over=N, start=1000000)
"""
    x = np.full((30, 5), 3)
    x[4] = 0  # inactive
    assert run_both(text, x=x)["y"][4].tolist() == [0] * 5
    x[[9, 20], 2] = 0
    fault = fault_of(text, target=target, x=x)
    assert (fault.code, fault.indices) == ("E0602", (9,))


def test_rule_29_what_cannot_be_scanned_is_refused() -> None:
    check_right(SCANS)
    check_error("""
fn one(a):
    return a

fn compared(a: f32, b: f32):
    return a < b

fn add(a, b):
    return a + b

kernel wrong[M, N](x: f32[M, N], b: bool[N], y: inout f32[M, N], s: out f32[M]):
    for i in grid(M):
        y[i, :] = cumsum(x[i, :], over=i)  #~ E0316: `i` is a variable of the grid
        y[i, :] = cumsum(x[i, :], over=M)  #~ E0316: the value does not have the axis `M`
        y[i, :] = cumsum(x[i, :])  #~ E0307: `cumsum` needs `over=`
        s[i] = cumsum(x[i, k] for k in N)  #~ E0307: `cumsum` needs `over=`
        y[i, :] = cumsum(x[i, :], over=N, reverse=1)  #~ E0307: `reverse` is `True` or `False`
        y[i, :] = scan(add, x[i, :], over=N)  #~ E0307: `scan` needs `start=`
        y[i, :] = scan(one, x[i, :], over=N, start=0)  #~ E0307: `scan` needs an fn of two values
        y[i, :] = scan(compared, x[i, :], over=N, start=0)  #~ E0301: `compared` gives bool
        y[i, :] = scan(x, x[i, :], over=N, start=0)  #~ E0315: `x` is a whole array
        y[i, :] = scan(sum, x[i, :], over=N, start=0)  #~ E0321: `sum` is no fn
        y[i, :] = scan(add, b[:], over=N, start=0)  #~ E0301: `scan` takes numbers, and this is bool
        y[i, :] = scan(add, x[i, :], over=N, start=x[i, :])  #~ E0310: the start has the axis `N`
        s[i] = sum(cumsum(x[i, k], over=k) for k in N if b[k])  #~ E0310: the condition around differs along `k`
        s[i] = sum(cumsum(x[i, k], over=k) if b[k] else 0 for k in N)  #~ E0310: the condition around differs along `k`
        s[i] = cumsum(x[i, :], over=N)  #~ E0310
""")


LINEAR = """
struct Step:
    by: f64
    plus: f64

fn after(f: Step, g: Step) -> Step:
    return Step(f.by * g.by, f.plus * g.by + g.plus)

kernel recurrence[M, N](a: f64[M, N], b: f64[M, N]) -> y: f64[M, N]:
    for i in grid(M):
        y[i, :] = scan(after, Step(a[i, :], b[i, :]), over=N, start=Step(1, 0)).plus

kernel backwards[M, N](a: f64[M, N], b: f64[M, N]) -> y: f64[M, N]:
    for j in grid(N):
        steps = scan(after, Step(0.5, b[:, j]), over=M, start=Step(1, a[0, j]), reverse=True)
        y[:, j] = steps.plus + steps.by
"""


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (33, 40), (3, 300), (2, 0)])
def test_rule_29_several_values_go_through_a_struct(size: tuple[int, int]) -> None:
    """x = a x + b along an axis: composed steps, which are associative where single numbers are not."""
    rng = np.random.default_rng(sum(size))
    a, b = rng.uniform(-1, 1, size), rng.standard_normal(size)
    got = run_both(LINEAR, "recurrence", a=a, b=b)["y"]
    want, x = np.zeros(size), np.zeros(size[0])
    for k in range(size[1]):
        x = a[:, k] * x + b[:, k]
        want[:, k] = x
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_rule_29_a_struct_is_scanned_backwards() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((6, 5)), rng.standard_normal((6, 5))
    want, x, by = np.zeros((6, 5)), a[0], 1.0
    for k in reversed(range(6)):
        x, by = 0.5 * x + b[k], 0.5 * by
        want[k] = x + by
    np.testing.assert_allclose(run_both(LINEAR, "backwards", a=a, b=b)["y"], want, rtol=1e-12)


def test_rule_29_fields_of_different_widths() -> None:
    """The largest so far, and where it was."""
    text = """
struct Best:
    x: f32
    at: i64

fn better(a: Best, b: Best) -> Best:
    return b if b.x > a.x else a

kernel records[M, N](x: f32[M, N], best: out Best[M, N]):
    for i in grid(M):
        for j in tiles(N, 64):
            best[i, j] = scan(better, Best(x[i, j], j), over=j, start=Best(-inf, -1))
"""
    x = numbers(7, 50, np.float32)
    got = run_both(text, x=x)["best"]
    assert np.array_equal(got["x"], np.maximum.accumulate(x, axis=1))
    assert np.array_equal(got["at"], [[np.argmax(row[: n + 1]) for n in range(50)] for row in x])


def test_rule_29_structs_that_do_not_fit() -> None:
    check_error("""
struct Pair:
    x: f32
    y: f32

fn both(a: Pair, b: Pair) -> f32:
    return a.x + b.y

kernel wrong[N](x: f32[N], y: out f32[N]):
    p = scan(both, Pair(x[:], 0), over=N, start=Pair(0, 0))  #~ E0301: `both` gives f32, and the scan is over Pair
    q = scan(both, Pair(x[:], 0), over=N, start=0)  #~ E0301: expected the struct Pair, found a number
    y[:] = cumsum(Pair(x[:], 0), over=N)  #~ E0301: `cumsum` takes numbers, and this is Pair
""")
