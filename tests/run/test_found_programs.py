"""Programs that generated ones and the library once showed to be wrong, each cut down to what mattered and named for it.

The interpreter's result is compared with NumPy, that of the CPU (threads, gaps, the end of memory) with the interpreter.
"""

from __future__ import annotations

import numpy as np
import pytest

from lem import pipeline
from lem.targets import cpu
from lem_runtime import KernelFault, facts_of, run
from lem_runtime.machine import detect
from tests.support.cpu import check_run
from tests.support.run import TARGETS, fault_of, program, run_kernel

FAR = 1000000000000


def test_a_decided_branch_keeps_the_axes_of_the_other_side() -> None:
    text = """
kernel f[M, K](x: f32[M], y: f32[K], z: out f32[M, K], s: out i64[K]):
    for i in grid(M):
        z[i, :] = (x[i] if True else y[:]) + 1.0
    for k in grid(K):
        s[k] = sum(1 if False and y[j] > 0 else k for j in K)
"""
    x = np.arange(3, dtype=np.float32)
    got = check_run(text, x=x, y=np.ones(5, np.float32))
    assert np.array_equal(got["z"], np.broadcast_to(x[:, None] + 1, (3, 5)))
    assert got["s"].tolist() == [0, 5, 10, 15, 20]


def test_literals_of_narrow_floats_are_rounded() -> None:
    text = """
kernel f() -> (a: f32, b: f32, c: f32, d: f32, e: f32):
    a = bf16(0.1)
    b = f16(0.1)
    c = f8e4m3(0.3)
    d = f8e5m2(-0.3)
    e = bf16(1e-40)
"""
    got = check_run(text)
    assert [float(got[name]) for name in "abcd"] == [0.10009765625, 0.0999755859375, 0.3125, -0.3125]
    assert float(got["e"]) == 2.0**-133


def test_code_that_moves_out_of_a_block_does_not_free_its_temporaries() -> None:
    text = """
kernel f[N, K](ok: bool[N], y: out i64[N]):
    for t in range(N):
        n = 0
        while n < 2:
            n += 1
            w: i64[3] = 5
            w[1] = sum(1 for k in K for l in range(2) if not ok[t])
            y[t] = w[0] + w[1]
"""
    assert check_run(text, K=4, ok=np.array([True, False, True]))["y"].tolist() == [5, 13, 5]


def test_a_loop_that_needs_no_axis_of_its_type_stays_where_the_axis_is() -> None:
    text = """
kernel f[M, N](x: f32[M], w: f32[3], y: out f32[M, N]):
    for i, j in grid(M, N):
        n = 0
        while n < 2 and w[0] > 0:
            n += 1
        y[i, j] = w[(i + n) % 3] + x[i]
"""
    got = check_run(text, x=np.zeros(4, np.float32), w=np.array([1, 2, 3], np.float32), N=20)
    assert got["y"][:, 7].tolist() == [3, 1, 2, 3]


@pytest.mark.parametrize("turns", ["n[r]", "m"])
def test_a_loop_without_turns_reads_nothing(turns: str) -> None:
    text = f"""
kernel f[M, N](n: i32[M], idx: i32[M], x: f32[N], y: out f32[M], m: int = 0):
    for r in grid(M):
        s: f32 = 0
        for k in range({turns}):
            s += x[idx[r]]
        y[r] = s
"""
    # The indices that no turn uses lie far outside of `x`.
    n = (np.arange(37) % 3).astype(np.int32)
    used = (n > 0) & (turns == "n[r]")
    idx = np.where(used, np.arange(37) % 5, 1 << 30).astype(np.int32)
    x = np.arange(5, dtype=np.float32)
    got = check_run(text, n=n, idx=idx, x=x)
    assert np.array_equal(got["y"], np.where(used, n * x[np.where(used, idx, 0)], 0))


def test_a_loop_with_bounds_of_its_own_reads_what_its_element_has() -> None:
    text = """
kernel f[M, Z, N](ptr: i32[M + 1], col: i32[Z], x: f32[N], y: out f32[M]):
    for r in grid(M):
        s: f32 = 0
        for k in range(ptr[r], ptr[r + 1]):
            s += x[col[k]]
        y[r] = s
"""
    # The last rows are short and end where `col` ends: what stands beyond it is no index.
    ptr = np.concatenate([[0, 40], 40 + np.arange(18) // 6]).astype(np.int32)
    col = (np.arange(ptr[-1]) % 7).astype(np.int32)
    x = np.arange(7, dtype=np.float32)
    got = check_run(text, ptr=ptr, col=col, x=x)["y"]
    assert got.tolist() == [x[col[a:b]].sum() for a, b in zip(ptr, ptr[1:], strict=False)]


@pytest.mark.parametrize("n", [1, 3, 40])
def test_a_branch_along_an_axis_may_reduce_over_it(n: int) -> None:
    text = """
kernel f[M, N](x: f32[M, N], ok: bool[N], y: out f32[M, N], z: out i64[M, N]):
    for i in grid(M):
        y[i, :] = (sum(x[i, :], over=N) if all(ok[:], over=N) else max(x[i, :], over=N)) if ok[:] else -5.0
        z[i, :] = sum(j for j in N if ok[j]) if ok[:] else argmax(x[i, :], over=N)
"""
    rng = np.random.default_rng(n)
    x, ok = (rng.integers(-8, 9, (4, n)) / 4).astype(np.float32), np.arange(n) % 3 != 1
    got = check_run(text, x=x, ok=ok)
    row = x.sum(1) if ok.all() else x.max(1)
    assert np.array_equal(got["y"], np.where(ok, row[:, None], np.float32(-5)))
    assert np.array_equal(got["z"], np.where(ok, np.flatnonzero(ok).sum(), x.argmax(1)[:, None]))


@pytest.mark.parametrize(
    "place", ["i64(a)", "b ^ 1", f"abs(i64({FAR}))", f"(N ^ 1) * {FAR}", f"sum(k ^ {FAR} for k in range(1))"]
)
def test_what_is_the_same_for_all_elements_is_not_read_before_its_check(place: str) -> None:
    text = f"""
kernel f[M, N](x: f32[N], a: u64, b: int, y: out f32[M, N]):
    for i, j in grid(M, N):
        y[i, j] = x[{place}] + sum(x[k ^ b] for k in range(1))
"""
    given = {"x": np.ones(7, np.float32), "a": 1 << 40, "b": 1 << 40, "M": 3}
    for target in TARGETS:
        fault = fault_of(text, target=target, **given)
        assert (fault.code, fault.indices) == ("E0601", (0, 0))


def test_a_branch_with_checks_stays_with_its_element() -> None:
    text = """
kernel f[M, K](x: bool[M, 4, 1], p: i64[4], y: out i64[4, K]):
    for i, j in grid(4, K):
        y[i, j] = where(all(True if i >= 1 else x[k, p[i], 0] for k in M[2:-1]), 1, 2)
"""
    x = np.ones((6, 4, 1), bool)
    x[3, 2, 0] = False
    assert check_run(text, x=x, p=np.array([2, 0, 0, 9]), K=3)["y"].tolist() == [[2] * 3, *[[1] * 3] * 3]
    for target in TARGETS:
        fault = fault_of(text, target=target, x=x, p=np.array([7, 0, 0, 9]), K=3)
        assert (fault.code, fault.indices) == ("E0601", (0, 0))


@pytest.mark.parametrize(("effect", "store"), [("inout", "y[i, j] ="), ("reduce(+)", "y[i, j % 2] +=")])
def test_an_empty_grid_reads_nothing(effect: str, store: str) -> None:
    """Not even what is the same for all elements, and read before the first of them."""
    text = f"""
kernel f[M, N](x: f32[N, M], at: i64[M], y: {effect} f32[M, N]):
    for i, j in grid(M[:-1], N):
        {store} clamp(x)[j + 5, at[i64({FAR})] % 50]
"""
    for target in TARGETS:
        run_kernel(text, target=target, x=np.ones((3, 1), np.float32), at=np.ones(1, int), y=np.ones((1, 3), np.float32))


@pytest.mark.parametrize("m", [1, 5, 17])
def test_a_reduction_reads_what_the_loop_before_it_stored(m: int) -> None:
    """In the part that is left behind full vectors too, which is the same code once more."""
    text = """
kernel f[M](x: f64[M, 9], y: out f64[M]):
    for i in grid(M):
        v: f64[9] = 0
        for k in range(9):
            v[k] = x[i, k] * 2
        y[i] = sum(v[k] * v[k] for k in range(9))
"""
    x = np.arange(m * 9, dtype=float).reshape(m, 9)
    assert check_run(text, x=x)["y"].tolist() == (4 * x * x).sum(1).tolist()


def test_what_no_position_of_an_axis_reads_is_not_read() -> None:
    text = """
kernel f[N, K](x: f32[K], y: out f32[N]):
    for i in grid(N):
        y[i] = sum(x[2] for k in K)
"""
    assert check_run(text, x=np.zeros(0, np.float32), N=3)["y"].tolist() == [0, 0, 0]
    assert check_run(text, x=np.full(3, 2, np.float32), N=2)["y"].tolist() == [6, 6]


def test_large_unsigned_numbers_are_no_small_negative_ones_when_divided() -> None:
    text = """
kernel f[M, N](x: u64[N], y: out u64[M, N]):
    for i, j in grid(M, N):
        y[i, j] = x[j] % (u64(i) | 1)
"""
    x = np.array([2, (1 << 64) - 2], np.uint64)
    assert check_run(text, x=x, M=5)["y"].tolist() == [[int(v) % (i | 1) for v in x] for i in range(5)]


@pytest.mark.parametrize("first", [0, 4, 5, 66, 499])
@pytest.mark.parametrize("value", ["x[at[i]]", "x[at[i]] // k[i]"])
def test_elements_left_of_an_interior_fault_before_those_inside(first: int, value: str) -> None:
    """From the first one on that reads behind `x`, all do; and those behind it divide by zero."""
    text = f"""
kernel f[N](x: i32[N], at: i64[N], k: i32[N], y: out i32[N]):
    for i in grid(N):
        y[i] = {value} + fill(x, 2)[i - 5]
"""
    x, at = np.ones(500, np.int32), np.where(np.arange(500) < first, 0, 500)
    k = np.where(np.arange(500) > first, 0, 1).astype(np.int32)
    for target in TARGETS:
        fault = fault_of(text, target=target, x=x, at=at, k=k)
        assert (fault.code, fault.indices) == ("E0601", (first,)), target


@pytest.mark.parametrize("bad", [((30, 0), (3, 2)), ((30, 4), (3, 4)), ((17, 1), (16, 4))])
def test_elements_of_a_product_fault_in_the_order_of_the_grid(bad: tuple[tuple[int, int], ...]) -> None:
    """Also where blocks of its rows would run along the first axis."""
    text = """
kernel f[N, H, K, J](x: f32[N, K], w: f32[H, K, J], at: i64[N, H], y: out f32[N, H, J]):
    for i, h in grid(N, H):
        y[i, h, :] = sum(x[i, k] * w[h, k, :] for k in K) + x[at[i, h], 0]
"""
    at = np.zeros((40, 5), int)
    for element in bad:
        at[element] = 40
    for target in TARGETS:
        fault = fault_of(text, target=target, x=np.ones((40, 8), np.float32), w=np.ones((5, 8, 16), np.float32), at=at)
        assert (fault.code, fault.indices) == ("E0601", min(bad)), target


def test_a_fused_product_that_is_too_large_does_not_meet_an_infinity_as_one() -> None:
    text = """
kernel f[N](x: f64[N], z: f64[N], y: out f64[N]):
    for i in grid(N):
        y[i] = fma(x[i], 36.0, z[i])
"""
    got = check_run(text, x=np.array([-1e308, 1e308, 1e308]), z=np.array([np.inf, -np.inf, np.nan]))
    assert np.array_equal(got["y"], [np.inf, -np.inf, np.nan], equal_nan=True)


@pytest.mark.parametrize("dtype", ["i8", "u16", "i32", "f16", "bf16", "f8e4m3"])
@pytest.mark.parametrize("where", ["i == 2", "i < 1"])
def test_one_lane_that_is_stored_as_a_narrower_number_writes_nothing_beside_it(dtype: str, where: str) -> None:
    text = f"""
kernel f(x: i64[4], k: i64, y: inout {dtype}[5]):
    for i in grid(4):
        if {where}:
            y[i] = {dtype}(max(x[i], k))
    for i in grid(1):
        y[i + 4] = {dtype}(max(x[i + 1], k))
"""
    stored = {"i8": np.int8, "u16": np.uint16, "i32": np.int32, "f16": np.float16, "bf16": np.uint16}.get(dtype, np.uint8)
    got = check_run(text, x=np.array([-1, 6, -2, 5]), k=9, y=np.full(5, 1, stored))["y"]
    changed = np.flatnonzero(np.asarray(got) != np.ones(1, stored)).tolist()
    assert changed == [2 if "==" in where else 0, 4]


@pytest.mark.parametrize("read", ["x[k % M, i]", "clamp(x)[k // 2, i]", "fill(x, 1)[i, k * k]", "x[k % M, (k * k + i) % N]"])
def test_what_all_lanes_have_alike_in_a_loop_of_different_lengths(read: str) -> None:
    text = f"""
kernel f[M, N](x: i64[M, N], n: i32[N], y: out i64[N]):
    for i in grid(N):
        y[i] = sum({read} for k in range(n[i]))
"""
    check_run(text, x=np.arange(7 * 37).reshape(7, 37), n=(np.arange(37) * 5 % 11).astype(np.int32))


def test_an_element_prints_its_lines_once_and_none_after_a_fault() -> None:
    text = """
kernel f[N](x: i64[N], at: i64[N], y: out i64[N]):
    for i in grid(N):
        print(x[i])
        y[i] = x[at[i]]
        y[i] = x[at[i] - 1]
"""
    made = program(text)
    lines: list[str] = []
    given = {"x": np.arange(20), "at": np.array([1, 1, 1, 0, 1, 30, *[1] * 14]), "y": np.zeros(20, np.int64)}
    facts = facts_of(made.typed.functions["f"].signature, given, {"N": 20})
    artifact = pipeline.compile_function(made, "f", facts, detect(), cpu.TARGET)
    with pytest.raises(KernelFault) as e:
        run(artifact, given, {}, threads=1, on_prints=lambda found, n: lines.extend(found))
    assert e.value.indices == {"i": 3}
    assert lines == [f"f[i={i}]: {i}" for i in range(4)]


@pytest.mark.parametrize("over", ["K", "M"])
def test_a_loop_that_carries_a_row_reduces_what_no_turn_changes(over: str) -> None:
    text = f"""
kernel f[R, K, M](x: i64[{over}], r: i64[R], w: u8[K], m: u8[M], y: out i64[R], z: out i64[R, K]):
    for i in grid(R):
        q: i64[K] = r[i]
        for t in range(3):
            q = q * 2 + sum(1 if x[k] > r[i] else 0 for k in {over}) + sum(x[:] > 2, over={over})
        y[i] = sum(q, over=K)
        z[i, :] = q
"""
    given = {"w": np.zeros(5, np.uint8), "m": np.zeros(40, np.uint8), "r": np.arange(20)}
    x = np.arange(5 if over == "K" else 40)
    got = check_run(text, x=x, **given)
    q = given["r"]
    for _ in range(3):
        q = q * 2 + np.array([(x > v).sum() for v in given["r"]]) + (x > 2).sum()
    assert got["y"].tolist() == (5 * q).tolist() and np.array_equal(got["z"], np.repeat(q[:, None], 5, 1))


@pytest.mark.parametrize("k", [0, 3])
def test_a_check_for_positions_that_there_are_none_of_is_not_done(k: int) -> None:
    text = """
kernel f[K, R](a: i64, x: i32[K], w: u8[R]) -> y: i32:
    y = min(x[sum(a for l in range(-1) if j < 1)] for i in K for j in R[i:i])
"""
    assert check_run(text, a=5, x=np.arange(k, dtype=np.int32), w=np.ones(5, np.uint8))["y"] == np.iinfo(np.int32).max


@pytest.mark.parametrize("value", ["100 // n[i]", "1 << n[i] - 1", "half(100, n[i])", "argmax(n[j] for j in range(n[i]))"])
def test_a_comprehension_without_turns_checks_nothing(value: str) -> None:
    """What it would calculate in each turn may be the same for all of them, and is not to be had where there is none."""
    text = f"""
fn half(a: i64, b: i64) -> i64:
    return a // b

kernel f[N](n: i64[N], y: out i64[N]):
    for i in grid(N):
        y[i] = sum({value} for l in range(2) for k in range(n[i]))
"""
    check_run(text, n=np.arange(40) * 7 % 5)
    for target in TARGETS:
        fault = fault_of(text.replace("range(n[i]))\n", "range(1))\n"), target=target, n=np.arange(40) % 7)
        assert fault.indices == (0,)


def test_a_comprehension_over_nothing_reads_nothing() -> None:
    text = """
kernel f[N, K](at: i64[N], w: i64[K], x: i64[N], y: out i64[N]):
    for i in grid(N):
        y[i] = sum(w[k] * x[at[i]] for k in K)
"""
    given = {"at": np.full(20, FAR), "x": np.arange(20)}
    assert not check_run(text, w=np.arange(0), **given)["y"].any()
    for target in TARGETS:
        assert fault_of(text, target=target, w=np.arange(1), **given).indices == (0,)


def test_of_positions_of_one_element_the_same_one_is_reported_everywhere() -> None:
    text = """
kernel f[N, M](x: bool[N], at: i64[N], w: u8[M], y: out bool[N]):
    y[:] = any(x[k + at[:]] for k in M)
"""
    given = {"x": np.ones(9, bool), "at": np.array([0, 7, 20, 9, 5, 0, 1, -1, 2]), "w": np.zeros(5, np.uint8)}
    values = {fault_of(text, target=target, **given).values for target in TARGETS}
    assert len(values) == 1


def test_a_whole_axis_that_is_summed_where_it_is_vectors_hides_their_mask() -> None:
    text = """
kernel f[N, R](x: bool[N, N], on: bool[R], at: i64[R], y: out i64[2, R]):
    for i in grid(2):
        y[i, :] = sum(i64(any(x[at[0], k] for k in N)) if on[:] else 0, over=R)
"""
    x = np.arange(17 * 17).reshape(17, 17) % 19 == 0
    for r in (1, 5, 16, 37):
        check_run(text, x=x, on=np.arange(r) % 3 != 0, at=np.full(r, r % 17))


def test_a_choice_for_positions_that_there_are_none_of_checks_nothing() -> None:
    text = """
kernel f[N, R](x: f32[R], at: i64[R], w: u8[N], y: out bool[N, R]):
    for i in grid(N):
        y[i, :] = not (x[:] == x[:] <= 1 or at[0] == i)
"""
    for r in (0, 3):
        check_run(text, x=np.ones(r, np.float32), at=np.ones(r, np.int64), w=np.zeros(5, np.uint8))


def test_a_gather_in_one_clause_is_checked_before_it_is_read_in_another() -> None:
    text = """
kernel f[K](at: i64[3], x: f32[2], w: f32[K], y: out f32[20]):
    for i in grid(20):
        y[i] = sum(x[at[k]] / w[l] for k in range(3) for l in K)
"""
    for at in ([0, FAR, 1], [FAR, FAR, FAR]):
        for target in TARGETS:
            assert fault_of(
                text, target=target, at=np.array(at), x=np.ones(2, np.float32), w=np.ones(5, np.float32)
            ).indices == (0,)
    assert (check_run(text, at=np.array([0, 1, 1]), x=np.ones(2, np.float32), w=np.ones(5, np.float32))["y"] == 15).all()


def test_what_a_check_in_a_comprehension_without_turns_would_read_is_not_read() -> None:
    """A place that a condition of the signature or another check gives only where there is a turn."""
    gathers = """
kernel f[M, N, K](a: i64[M], b: i64[N], x: f64[N], w: f64[K], y: out f64[M]):
    for i in grid(M):
        y[i] = sum(w[k] * x[b[a[i]]] for k in K)
"""
    far = np.full(33, FAR)
    assert not check_run(gathers, a=far, b=far[:7], x=np.ones(7), w=np.ones(0))["y"].any()
    assert (check_run(gathers, a=np.full(33, 3), b=np.arange(7), x=np.ones(7), w=np.ones(2))["y"] == 2).all()
    for target in TARGETS:
        assert fault_of(gathers, target=target, a=np.arange(33), b=np.arange(7), x=np.ones(7), w=np.ones(2)).indices == (7,)
    fixed = """
kernel f[M, N, R](at: i64[M], z: i64[N], w: f32[R], y: out i64[M]):
    for i in grid(M):
        y[i] = sum(1 for k in N if k < at[sum(1 for q in R if isnan(w[1 << 40]))])
"""
    assert not check_run(fixed, at=np.zeros(33, np.int64), z=np.zeros(0, np.int64), w=np.zeros(3, np.float32))["y"].any()


def test_a_sum_in_a_comprehension_without_turns_reads_nothing() -> None:
    head = "kernel f[N, R](z: i64[N], w: f64[R]"
    value = "sum(f64(k) * sum(w[1 << 40] for q in R) for k in N)"
    text = f"{head}, y: out f64[40]):\n    for i in grid(40):\n        y[i] = f64(i) + {value}\n"
    given = {"z": np.zeros(0, np.int64), "w": np.ones(4)}
    assert check_run(text, **given)["y"].sum() == 780
    assert check_run(f"{head}) -> s: f64:\n    s = {value}\n", **given)["s"] == 0


@pytest.mark.parametrize(
    "value",
    ["min(x[100] for k in K)", "max(cumsum(w[k] + x[100], over=k) for k in K)", "min(w[k] for k in K if x[100] > 0)",
     "sum(1 for k in K for l in range(x[100]))", "min(x[at[0]] + x[100 + j] for j in range(3) for k in K)"],
)  # fmt: skip
def test_sequential_code_reads_nothing_for_a_comprehension_over_nothing(value: str) -> None:
    for effect in ("", "inout "):
        text = f"""
kernel f[N, K](x: {effect}i64[N], at: i64[1], w: i64[K]) -> r: i64:
    r = {value}
    {"if N > 0:" if effect else ""}
    {"    x[0] = r" if effect else ""}
"""
        given = {"x": np.arange(3), "at": np.full(1, FAR)}
        empty = {"min": np.iinfo(np.int64).max, "max": np.iinfo(np.int64).min, "sum": 0}
        assert check_run(text, w=np.arange(0), **given)["r"] == empty[value[:3]]


@pytest.mark.parametrize(
    "value",
    ["x[sum(True for l in range(3) if m[l] < 5 if far[100] > 2)]", f"sum(far[{FAR} + l] for l in range(3))",
     f"max(far[{FAR} + l] * m[l] for l in range(3)) * sum(far[{FAR} + l] * m[l] for l in range(3))"],
)  # fmt: skip
def test_reductions_do_not_leave_a_comprehension_or_loop_that_may_have_no_turn(value: str) -> None:
    text = f"""
kernel f[N, M, K](far: i64[N], x: i64[4], m: i64[3], w: i64[K], r: u8[M], y: out i64[M], z: out i64[M]):
    for i in grid(M):
        y[i] = sum({value} for k in K)
        s = 0
        for k in range(K):
            s += {value}
        z[i] = s
"""
    given = {"far": np.arange(3), "x": np.arange(4), "m": np.arange(3), "r": np.zeros(20, np.uint8)}
    got = check_run(text, w=np.arange(0), **given)
    assert not got["y"].any() and not got["z"].any()


@pytest.mark.parametrize("value", ["x[at[i]]", "x[at[i]] * x[at[i] + 1]", "clamp(e)[at[i]]", "x[i64(x[at[i]])]"])
def test_elements_without_a_turn_of_their_own_read_nothing(value: str) -> None:
    text = f"""
kernel f[N, M, E](n: i64[N], at: i64[N], x: f64[M], e: f64[E], y: out f64[N]):
    for i in grid(N):
        y[i] = sum({value} + f64(k) for k in range(n[i]))
"""
    given = {"x": np.arange(9.0), "e": np.zeros(0)}
    turns = np.arange(40) % 3 * ("clamp" not in value)
    y = check_run(text, n=turns, at=np.where(turns > 0, 3, FAR), **given)["y"]
    assert not y[turns == 0].any() and (y[turns > 0] > 0).all()
    turns[7] = 1
    for target in TARGETS:
        assert fault_of(text, target=target, n=turns, at=np.where(np.arange(40) == 7, FAR, 3), **given).indices == (7,)


def test_an_own_array_is_not_read_for_a_comprehension_without_turns() -> None:
    text = """
kernel f[N, K](s: i64[N], w: i64[K], y: out i64[N]):
    for i in grid(N):
        t: i64[4]
        for q in range(4):
            t[q] = q + i
        y[i] = sum(w[k] * t[s[i]] for k in K)
"""
    s = np.full(37, FAR)
    assert not check_run(text, s=s, w=np.arange(0))["y"].any()
    assert (check_run(text, s=s % 4, w=np.ones(2, np.int64))["y"] == 2 * (s % 4 + np.arange(37))).all()


@pytest.mark.parametrize("value", ["x[100] if m[i] > 0 else 0", f"x[{FAR}] + m[i] if m[i] > 0 else i"])
def test_a_choice_does_not_leave_a_loop_that_may_have_no_turn(value: str) -> None:
    text = f"""
kernel f[N, M, K](x: i64[N], m: i64[M], w: i64[K], y: out i64[M], z: out i64[M]):
    for i in grid(M):
        s = 0
        for k in range(K):
            s += {value}
        y[i] = s
        s = 0
        for k in range(K):
            if m[i] > 0:
                s = x[100]
        z[i] = s
"""
    got = check_run(text, x=np.arange(3), m=np.ones(20, np.int64), w=np.arange(0))
    assert not got["y"].any() and not got["z"].any()


def test_a_row_of_which_a_guard_leaves_nothing_reads_nothing() -> None:
    text = """
kernel f[N, M, K](x: f64[K], s: i64[M], y: inout f64[N, M]):
    for i, j in grid(N, M):
        if j < i and i < K:
            y[i, j] = x[2] + x[s[0]]
"""
    for n, k in ((3, 0), (1, 1), (1, 5), (20, 3), (0, 0)):
        check_run(text, x=np.arange(float(k)), s=np.full(7, 0 if n > 1 and k else FAR), y=np.zeros((n, 7)))


def test_a_clause_whose_length_is_a_sum_over_a_ragged_one_is_not_kept_in_memory() -> None:
    text = """
kernel f[M](lengths: i64[M], at: u8[7], x: i64[M], y: out i64[M]):
    for i in grid(M):
        y[i] = sum(x[at[k]] for j in range(M) for k in range(sum(l for l in range(lengths[j])) % 3))
"""
    check_run(text, lengths=np.array([0, 2, 3, 5, 1]), at=np.arange(7, dtype=np.uint8) % 5, x=np.arange(5) * 3 + 1)
