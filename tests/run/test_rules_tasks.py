"""LANGUAGE 15, 16, 18 to 22, 38, 41: views, what calls may share, and the sequential meaning of tasks."""

from __future__ import annotations

import resource
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.diagnostics import Diagnostics
from lem.ir.printer import print_module
from lem.ir.reader import read_module
from lem.source import SourceFile
from tests.support.cli import Said, lem
from tests.support.programs import check_error, check_right
from tests.support.rules import run_both
from tests.support.run import TARGETS, fault_of, program, run_kernel

Array = np.ndarray[Any, Any]

COPY = """
kernel copy[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = x[i]
"""
ADD = """
kernel add[M, N](x: f32[M, N], y: inout f32[M, N]):
    for i, j in grid(M, N):
        y[i, j] += x[i, j]
"""


def counted(*shape: int) -> Array:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


# ---------------------------------------------------------------- 15: what a call writes is nobody else's

SHARE = (
    COPY
    + """
task main(a: inout f32[24], x: int, y: int, n: int):
    copy(a[x:x + n], a[y:y + n])
"""
)


@pytest.mark.parametrize(("x", "y", "n"), [(0, 4, 4), (4, 0, 4), (0, 12, 12), (3, 3, 0), (7, 5, 2)])
def test_rule_15_parts_that_touch_share_nothing(x: int, y: int, n: int) -> None:
    want = counted(24)
    want[y : y + n] = want[x : x + n].copy()
    assert np.array_equal(run_both(SHARE, a=counted(24), x=x, y=y, n=n)["a"], want)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("x", "y", "n"), [(0, 3, 4), (3, 0, 4), (5, 5, 1), (0, 0, 24)])
def test_rule_15_parts_that_overlap_fault(x: int, y: int, n: int, target: str) -> None:
    assert fault_of(SHARE, target=target, a=counted(24), x=x, y=y, n=n).code == "E0619"


STEPS = (
    COPY
    + """
task main(a: inout f32[60], x: int, y: int, n: int):
    copy(a[x:x + {s} * (n - 1) + 1:{s}], a[y:y + {t} * (n - 1) + 1:{t}])
"""
)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("s", "t"), [(2, 2), (2, 3), (4, 6), (6, 4), (1, 3), (5, 1), (4, 2)])
def test_rule_15_rows_with_gaps_are_compared_by_element(s: int, t: int, target: str) -> None:
    text = STEPS.format(s=s, t=t)
    for x, y, n in product((0, 1, 5, 8), (0, 2, 3, 9), (1, 3, 7)):
        left, right = set(range(x, x + s * n, s)), set(range(y, y + t * n, t))
        given: dict[str, Any] = {"a": counted(60), "x": x, "y": y, "n": n}
        if left & right:
            assert fault_of(text, target=target, **given).code == "E0619", given
            continue
        want = counted(60)
        want[y : y + t * n : t] = want[x : x + s * n : s]
        assert np.array_equal(run_both(text, **given)["a"], want)


def test_rule_15_columns_and_rows_meet_in_one_element() -> None:
    text = (
        COPY
        + """
task main(a: inout f32[6, 6], i: int, j: int):
    copy(a[i, 0:3], a[3:6, j])
"""
    )
    got = run_both(text, a=counted(6, 6), i=1, j=2)["a"]
    assert got[3:, 2].tolist() == counted(6, 6)[1, :3].tolist()
    for target in TARGETS:
        assert fault_of(text, target=target, a=counted(6, 6), i=4, j=2).code == "E0619"


def test_rule_15_views_of_views_are_parts_of_the_array() -> None:
    text = (
        ADD
        + """
task main(a: inout f32[8, 8], k: int):
    add(a[0:4, 1:7:2][1:3, 0:2], a[4:8, :][:, k:8:3][0:2, 0:2])
    add(a[0:4, :][k:2, :], a[2:6, :][k + 1:3, :])
"""
    )
    want = counted(8, 8)
    want[4:6, 0:4:3] += want[1:3, 1:5:2]
    want[3:5] += want[0:2]
    assert np.array_equal(run_both(text, a=counted(8, 8), k=0)["a"], want)


def test_rule_15_overlap_that_is_known_is_refused() -> None:
    check_error(
        COPY
        + """
kernel known(x: f32[9], y: inout f32[9]):
    copy(y[0:4], y[3:7])  #~ E0406: `y[0:4]` is `x` and shares elements with `y[3:7]`
    copy(y, y[0:9])  #~ E0406

task again(y: inout f32[9], k: int):
    copy(y[k:k + 2], y[k:k + 2])  #~ E0406
    copy(y[0:9:2], y[1:9:2])  #~ E0313
"""
    )


def test_rule_15_parts_that_never_meet_need_no_test() -> None:
    check_right(
        COPY
        + """
kernel known[N](y: inout f32[2 * N]):
    copy(y[:N], y[N:])
    copy(y[N:], y[:N])
    copy(y[0:2 * N:2], y[1:2 * N:2])
"""
    )


# ---------------------------------------------------------------- 19: a view is checked, never clamped


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("lo", "hi", "values"), [(-1, 2, (-1, 8)), (0, 9, (9, 8)), (9, 9, (9, 8)), (3, -1, (-1, 8))])
def test_rule_19_bounds_of_views_are_checked(lo: int, hi: int, values: tuple[int, int], target: str) -> None:
    text = (
        COPY
        + """
kernel pick(at: i64[2], x: f32[8], y: out f32[8]):
    copy(x[at[0]:at[1]], y[at[0]:at[1]])
"""
    )
    fault = fault_of(text, "pick", target=target, at=np.array([lo, hi]), x=counted(8), y=counted(8))
    assert (fault.code, fault.values) == ("E0601", values)


def test_rule_19_bounds_in_reverse_name_nothing() -> None:
    text = (
        COPY
        + """
kernel pick(at: i64[2], x: f32[8], y: inout f32[8]):
    copy(x[at[0]:at[1]], y[at[0]:at[1]])
"""
    )
    for lo, hi in ((5, 2), (8, 0), (8, 8), (0, 0)):
        got = run_both(text, "pick", at=np.array([lo, hi]), x=counted(8), y=counted(8) + 1)["y"]
        assert np.array_equal(got, counted(8) + 1)


@pytest.mark.parametrize("target", TARGETS)
def test_rule_19_fixed_places_of_views_are_checked(target: str) -> None:
    text = (
        COPY
        + """
kernel pick(at: i64[1], x: f32[4, 3], y: out f32[3]):
    copy(x[at[0], :], y)
"""
    )
    assert np.array_equal(run_both(text, "pick", at=np.array([2]), x=counted(4, 3))["y"], counted(4, 3)[2])
    for bad in (-1, 4):
        fault = fault_of(text, "pick", target=target, at=np.array([bad]), x=counted(4, 3))
        assert (fault.code, fault.values) == ("E0601", (bad, 4))


def test_rule_19_literal_bounds_below_0_count_from_the_end() -> None:
    text = (
        COPY
        + """
task main[N](a: f32[N], b: inout f32[N]):
    copy(a[1:-1], b[:-2])
"""
    )
    got = run_both(text, a=counted(7), b=np.zeros(7, np.float32))["b"]
    assert got.tolist() == [1, 2, 3, 4, 5, 0, 0]


def test_rule_19_sizes_of_views_are_tested_where_the_call_runs() -> None:
    text = (
        COPY
        + """
task main(at: i64[2], a: f32[9], b: inout f32[9]):
    copy(a[:at[0]], b[:at[1]])
"""
    )
    assert run_both(text, at=np.array([3, 3]), a=counted(9), b=counted(9) + 1)["b"].tolist()[:4] == [0, 1, 2, 4]
    for target in TARGETS:
        given = {"at": np.array([3, 4]), "a": counted(9), "b": counted(9)}
        assert fault_of(text, target=target, **given).code == "E0605"


def test_rule_19_mistakes_in_views() -> None:
    check_error(
        COPY
        + """
task main[N](a: f32[N, N], b: inout f32[N], r: f32, k: int):
    copy(a[0:2], b)  #~ E0306: `a` has 2 axes, found 1 subscript
    copy(a[0, 0:N:k], b)  #~ E0323: a step is a literal above 0
    copy(a[0, r:], b)  #~ E0301: a bound is an integer
    copy(a[0, :N + 1], b)  #~ E0311: lies beyond axis 1
    copy(a[0, -N - 1:], b)  #~ E0311: lies below 0
    copy(b, a[0, :])  #~ E0401: writes this
    copy(c[0:2], b)  #~ E0201
    copy(k[0:2], b)  #~ E0306: `k` is one value
"""
    )


# ---------------------------------------------------------------- 16: kernels pass views too


def test_rule_16_a_kernel_passes_parts_of_its_arrays_and_temporaries() -> None:
    text = (
        COPY
        + """
kernel rotate[N](x: f32[N], k: int) -> y: f32[N] where k >= 0 and k <= N:
    t: f32[2 * N] = 0
    copy(x, t[:N])
    copy(x, t[N:])
    copy(t[k:k + N], y)
"""
    )
    for n, k in ((5, 2), (5, 0), (5, 5), (0, 0)):
        assert np.array_equal(run_both(text, "rotate", x=counted(n), k=k)["y"], np.roll(counted(n), -k))


def test_rule_16_reads_after_a_call_see_what_it_wrote_through_a_view() -> None:
    text = (
        COPY
        + """
kernel twice(x: f32[4], y: inout f32[4]) -> s: f32:
    before = y[1]
    copy(x[0:2], y[1:3])
    s = 100 * before + y[1]
"""
    )
    assert run_both(text, "twice", x=counted(4) + 5, y=counted(4))["s"] == 105


# ---------------------------------------------------------------- 19, 22: spawn, futures, sync

SUM = """
kernel total[N](x: f64[N]) -> s: f64:
    s = sum(x[i] for i in N)

kernel scale[N](x: f64[N], by: f64, y: out f64[N]):
    for i in grid(N):
        y[i] = by * x[i]
"""


def test_rule_19_spawned_calls_mean_that_they_run_in_order() -> None:
    text = (
        SUM
        + """
task main[N](x: f64[N], y: out f64[N]) -> s: f64:
    a = spawn total(x)
    spawn scale(x, a, y) on cpu priority 3
    b = spawn total(y) near y for energy
    sync
    s = a + b
"""
    )
    x = np.arange(5.0)
    got = run_both(text, x=x)
    assert got["y"].tolist() == (10 * x).tolist() and got["s"] == 110


def test_rule_19_loops_on_a_future_converge() -> None:
    text = (
        SUM
        + """
task main[N](x: f64[N], y: inout f64[N], most: f64) -> (left: f64, turns: i64):
    turns = 0
    left = spawn total(y)
    while left > most:
        spawn scale(x, left / 4, y)
        left = spawn total(y)
        turns += 1
"""
    )
    got = run_both(text, x=np.full(2, 0.5), y=np.full(2, 8.0), most=0.1)
    assert (got["left"], got["turns"]) == (0.0625, 4)


def test_rule_19_a_future_may_be_spawned_again_under_its_name() -> None:
    text = (
        SUM
        + """
task main[N](x: f64[N], y: inout f64[N], most: f64) -> turns: i64:
    turns = 0
    left = spawn total(y)
    while left > most:
        spawn scale(x, left / 4, y)
        left = spawn total(y)
        turns += 1
"""
    )
    assert run_both(text, x=np.full(2, 0.5), y=np.full(2, 8.0), most=0.1)["turns"] == 4


def test_rule_19_a_future_has_a_value_only_where_it_was_spawned() -> None:
    check_error(
        SUM
        + """
task main[N](x: f64[N], n: int) -> s: f64:
    if n > 0:
        a = spawn total(x)
    s = a  #~ E0206: has no value on every way
"""
    )


def test_rule_19_spawn_and_sync_belong_to_tasks() -> None:
    check_error(
        SUM
        + """
fn twice(x: f64) -> f64:
    return 2 * x

kernel other[N](x: f64[N]) -> s: f64:
    s = spawn total(x)  #~ E0319: `spawn` belongs to tasks
    sync  #~ E0319: `sync` waits for tasks

task main(x: f64[4]) -> s: f64:
    s = spawn twice(2.0)  #~ E0319: `spawn` starts a kernel or a task
"""
    )


def test_rule_22_hints_are_checked() -> None:
    check_error(
        SUM
        + """
@on(cpu)
kernel here(x: inout f64[4]):
    x[0] = 1

task main(x: inout f64[4], p: f64):
    spawn here(x) on cpx  #~ E0503: `cpx` is no target
    spawn here(x) on gpu  #~ E0501: `here` does not run on `gpu`
    spawn here(x) near p  #~ E0306: `p` is one value
    spawn here(x) priority p  #~ E0301: a priority is an integer
"""
    )


def test_rule_22_hints_are_kept_in_the_ir() -> None:
    text = (
        SUM
        + """
task main(x: f64[4], y: inout f64[4], p: int):
    spawn scale(x, 2.0, y) on gpu near x priority p for time
"""
    )
    module = pipeline.optimised(program(text), "main")
    printed = print_module(module)
    (line,) = [line for line in printed.splitlines() if "tile.call" in line]
    assert line.endswith('true, ("cuda", "opencl"), @x, %2, time')
    assert print_module(read_module(printed)) == printed


# ---------------------------------------------------------------- 21: blocks

EACH = """
kernel fill[M, N](y: inout f32[M, N], v: f32):
    for i, j in grid(M, N):
        y[i, j] = 10 * y[i, j] + v

task main[M, N](a: inout f32[M, N], m: int, n: int) -> (rows: i64, cols: i64):
    t = blocks(a, m, n)
    rows = t.rows
    cols = t.shape[1]
    for i in range(t.rows):
        for j in range(t.cols):
            spawn fill(t[i, j], f32(i * t.cols + j))
"""


@pytest.mark.parametrize("shape", [(7, 5), (6, 4), (1, 1), (0, 3), (4, 0)])
@pytest.mark.parametrize("size", [(2, 3), (1, 1), (100, 4), (3, 2**62)])
def test_rule_21_blocks_are_ragged_at_the_end(shape: tuple[int, int], size: tuple[int, int]) -> None:
    want = np.zeros(shape, np.float32)
    n_rows, n_cols = -(-shape[0] // size[0]), -(-shape[1] // size[1])
    for i, j in product(range(n_rows), range(n_cols)):
        want[i * size[0] : (i + 1) * size[0], j * size[1] : (j + 1) * size[1]] = i * n_cols + j
    got = run_both(EACH, a=np.zeros(shape, np.float32), m=size[0], n=size[1])
    assert np.array_equal(got["a"], want) and (got["rows"], got["cols"]) == (n_rows, n_cols)


@pytest.mark.parametrize("target", TARGETS)
def test_rule_21_blocks_have_at_least_one_element_and_a_number(target: str) -> None:
    given: dict[str, Any] = {"target": target, "a": counted(4, 4)}
    assert fault_of(EACH, m=0, n=1, **given).code == "E0615"
    pick = (
        EACH.split("task")[0]
        + """
task pick(a: inout f32[4, 4], at: i64[1]):
    t = blocks(a, 2, 2)
    fill(t[0, at[0]], 1.0)
"""
    )
    for bad in (-1, 2):
        fault = fault_of(pick, "pick", at=np.array([bad]), **given)
        assert (fault.code, fault.values) == ("E0601", (bad, 2))


def test_rule_21_blocks_of_views_and_views_of_blocks() -> None:
    text = (
        EACH.split("task")[0]
        + """
task main(a: inout f32[6, 6]):
    t = blocks(a[1:, ::2], 2, 2)
    u = blocks(t[2, 1], 1, 1)
    fill(u[0, 0], 1.0)
    fill(t[0, 0][:, 1:], 2.0)
    m, n = a.shape
    fill(a[m - 1:, n - 1:], 3.0)
"""
    )
    want = np.zeros((6, 6), np.float32)
    want[5, 4], want[1:3, 2], want[5, 5] = 1, 2, 3
    assert np.array_equal(run_both(text, a=np.zeros((6, 6), np.float32))["a"], want)


def test_rule_21_mistakes_with_blocks() -> None:
    check_error(
        EACH.split("task")[0]
        + """
task main[N](a: inout f32[N, N], n: int):
    t = blocks(a, n)  #~ E0307: `a` has 2 axes, and 1 size is given
    u = blocks(a, n, 0)  #~ E0323: a block has at least 1 element
    v = blocks(a, n, n)
    fill(v[0], 1.0)  #~ E0306: one number picks each
    fill(v[v.rows, 0], 1.0)  #~ E0320: is beyond the last block
    fill(v[0, -1], 1.0)  #~ E0320: is below 0
    w = v.rows + a.rows  #~ E0315: `.rows` counts blocks
    x = v.shape  #~ E0315: a shape is one number per axis
    y = v.shape[2]  #~ E0311: there are 2 axes
    fill(blocks(a, n, n), 1.0)  #~ E0315: the blocks of an array are no value
    v = blocks(a, n, n)  #~ E0205: `v` has another meaning here
"""
    )


def test_rule_20_blocks_that_differ_need_no_test_for_shared_elements() -> None:
    text = (
        COPY
        + """
task main[N](a: inout f32[N], nb: int):
    t = blocks(a, nb)
    for i in range(1, t.shape[0]):
        copy(a[:4], a[4:8])
        copy(t[i - 1], t[i])
"""
    )
    diags = Diagnostics()
    typed = pipeline.analyse(SourceFile("test.lem", text), diags)
    assert typed is not None
    (loop,) = [s for s in typed.typed.functions["main"].body if type(s).__name__ == "ForRange"]
    calls = [s for s in loop.body if type(s).__name__ == "CallKernel"]  # type: ignore[attr-defined]
    assert [c.apart for c in calls] == [(), ()]


# ---------------------------------------------------------------- 19, 41: tasks that call themselves

HALVES = """
kernel fill[N](x: inout f32[N], v: f32):
    for i in grid(N):
        x[i] += v

task halves[N](x: inout f32[N], v: f32):
    fill(x, v)
    if N > 1:
        spawn halves(x[:N // 2], v + 1)
        spawn halves(x[N // 2:], v + 2)
"""


def halves(x: Array, v: float) -> None:
    x += v
    if len(x) > 1:
        halves(x[: len(x) // 2], v + 1)
        halves(x[len(x) // 2 :], v + 2)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_rule_19_a_task_may_call_itself_on_parts(n: int) -> None:
    want = np.zeros(n, np.float32)
    halves(want, 1.0)
    assert np.array_equal(run_both(HALVES, "halves", x=np.zeros(n, np.float32), v=1.0)["x"], want)


def test_rule_19_recursion_sees_the_strides_of_each_call() -> None:
    text = (
        HALVES.split("task")[0]
        + """
task columns[M, N](x: inout f32[M, N], v: f32):
    if M > 0 and N > 0:
        fill(x[:, 0], v)
        fill(x[0, :], v)
        columns(x[1:, 1:], 2 * v)
"""
    )
    got = run_both(text, "columns", x=np.zeros((3, 4), np.float32), v=1.0)["x"]
    assert got.tolist() == [[2, 1, 1, 1], [1, 4, 2, 2], [1, 2, 8, 4]]
    ones = run_both(text, "columns", x=np.zeros((1, 4), np.float32), v=1.0)["x"]
    assert ones.tolist() == [[2, 1, 1, 1]]


CIRCLE = """
task even(n: int) -> s: bool:
    s = True
    if n != 0:
        s = odd(n - 1)

task odd(n: int) -> s: bool:
    s = False
    if n != 0:
        s = even(n - 1)

task main(n: int) -> s: bool:
    s = even(n)
"""


def test_rule_41_tasks_may_call_each_other_10_000_deep() -> None:
    for n in (0, 1, 7, 9998, 9999):
        assert run_both(CIRCLE, n=n)["s"] == (n % 2 == 0)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [20_000, -1])
def test_rule_41_deeper_faults_and_names_the_circle(n: int, target: str) -> None:
    assert fault_of(CIRCLE, target=target, n=n).code == "E0624"
    sites = pipeline.optimised(program(CIRCLE), "main").functions["even"].sites
    assert sites[0].text == "`even` -> `odd` -> `even`, {0} calls deep"


def test_rule_41_a_full_stack_is_a_fault_too() -> None:
    n = 150
    args = ", ".join(f"a{k}: f64" for k in range(n))
    turned = ", ".join(f"a{(k + 1) % n} * 1.5" for k in range(n))
    calls = "".join(f"        r{k} = fat(n - 1, {turned})\n        s += r{k}\n" for k in range(60))
    text = f"task fat(n: int, {args}) -> s: f64:\n    s = a0\n    if n != 0:\n{calls}"
    fault = fault_of(text, "fat", n=-1, **{f"a{k}": 1.0 for k in range(n)})
    assert fault.code == "E0624" and fault.values[0] <= 10_000


def test_rule_41_each_call_is_checked_as_the_first_is() -> None:
    text = (
        COPY
        + """
task shrink[N](x: inout f32[N]):
    copy(x[0:1], x[2:3])
    shrink(x[1:])
"""
    )
    for target in TARGETS:
        assert fault_of(text, "shrink", target=target, x=counted(6)).code == "E0605"


def test_rule_41_kernels_do_not_call_themselves() -> None:
    check_error("""
kernel again[N](x: inout f32[N]):
    x[0] = 1
    again(x)  #~ E0324
""")


# ---------------------------------------------------------------- 31: tasks that are generic over types


def test_rule_31_tasks_are_generic_over_types() -> None:
    text = """
kernel scale[T: float, N](x: inout T[N], by: T):
    for i in grid(N):
        x[i] = x[i] * by

task powers[T: float, N](x: inout T[N], by: T):
    scale(x, by)
    if N > 1:
        powers(x[1:], by)

task main(x: inout f32[3], y: inout f64[4]):
    powers(x, 2.0)
    powers(y, 3.0)
"""
    got = run_both(text, x=np.ones(3, np.float32), y=np.ones(4))
    assert got["x"].tolist() == [2, 4, 8] and got["y"].tolist() == [3, 9, 27, 81]


# ---------------------------------------------------------------- 18, 19: results and names of arrays

STEP = (
    COPY
    + """
kernel step[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = clamp(x)[i - 1] + clamp(x)[i + 1]

kernel more[N](x: f32[N]) -> y: f32[N + 1]:
    for i in grid(N):
        y[i] = x[i] + 1
"""
)


def stepped(x: Array, times: int) -> Array:
    for _ in range(times):
        around = np.concatenate([x[:1], x, x[-1:]])
        x = around[:-2] + around[2:]
    return x


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_rule_19_buffers_swap_in_each_step(steps: int) -> None:
    text = (
        STEP
        + """
task main[N](a: inout f32[N], steps: int):
    t: f32[N] = 0
    u: f32[N] = 0
    copy(a, t)
    for s in range(steps):
        spawn step(t, u)
        t, u = u, t
    copy(t, a)
"""
    )
    assert np.array_equal(run_both(text, a=counted(6) ** 2, steps=steps)["a"], stepped(counted(6) ** 2, steps))


@pytest.mark.parametrize("steps", [0, 1, 4, 300])
def test_rule_18_a_result_may_replace_an_argument_of_its_call(steps: int) -> None:
    text = (
        STEP
        + """
task main[N](a: f32[N], steps: int) -> (s: f32, n: i64):
    x = a
    for i in range(steps):
        x = more(x)
    s = 0
    n = x.shape[0]
    if n > 0:
        s = x[0]
"""
    )
    got = run_both(text, a=counted(5), steps=steps)
    assert (got["s"], got["n"]) == (steps, 5 + steps)
    assert run_both(text, a=counted(0), steps=0)["n"] == 0


def test_rule_19_a_name_stands_for_what_it_was_given_last() -> None:
    text = (
        STEP
        + """
task main(a: inout f32[4], b: inout f32[4], c: out f32[4], k: int):
    u = a
    v = b
    if k > 0:
        u, v = v, u
    w = u
    u = more(v[1:])
    copy(w, c)
    copy(u, v)
"""
    )
    for k, old, new in ((0, "a", "b"), (1, "b", "a")):
        given = {"a": counted(4), "b": counted(4) + 10}
        got = run_both(text, k=k, **given)
        assert np.array_equal(got["c"], given[old]) and np.array_equal(got[old], given[old])
        assert got[new].tolist() == [*(given[new][1:] + 1), 0]


@pytest.mark.parametrize("target", TARGETS)
def test_rule_15_names_that_stand_for_one_array_share_it(target: str) -> None:
    text = (
        STEP
        + """
task main(a: inout f32[4], k: int):
    t: f32[4] = 0
    u = a
    if k == 1:
        u = t
    if k == 2:
        t = u
    step(t, u)
"""
    )
    assert run_both(text, a=counted(4), k=0)["a"].tolist() == [0, 0, 0, 0]
    for k in (1, 2):
        assert fault_of(text, target=target, a=counted(4), k=k).code == "E0619"


@pytest.mark.parametrize("target", TARGETS)
def test_rule_19_sizes_of_names_are_those_of_their_arrays(target: str) -> None:
    text = (
        STEP
        + """
task main(a: f32[4], b: f32[4], c: inout f32[5], k: int):
    u = a
    if k > 0:
        u = more(b)
    copy(u, c)
"""
    )
    assert run_both(text, a=counted(4), b=counted(4), c=counted(5), k=1)["c"].tolist() == [1, 2, 3, 4, 0]
    assert fault_of(text, target=target, a=counted(4), b=counted(4), c=counted(5), k=0).code == "E0605"


def test_rule_19_parameters_are_not_rebound() -> None:
    check_error(
        STEP
        + """
task main[N](a: inout f32[N], b: inout f32[N], g: f64[N], n: int):
    a, b = b, a  #~ E0401: `a` is a parameter and keeps what it got
    #~^ E0401: `b` is a parameter
    a = b  #~ E0401
    t: f32[N] = 0
    t = g  #~ E0301: `t` names an array of f32 with 1 axis, and this is an array of f64 with 1 axis
    n = t  #~ E0401
    u = a
    u = 3.0  #~ E0315: `u` is an array, and this is none
"""
    )


def test_rule_19_a_name_of_what_is_only_read_is_only_read() -> None:
    check_error(
        STEP
        + """
task main[N](a: f32[N], b: inout f32[N], n: int):
    u = b
    if n > 0:
        u = a
    step(b, u)  #~ E0401: `step` writes this, and `u` is only read
"""
    )


def test_rule_14_what_is_done_to_a_name_is_done_to_its_arrays() -> None:
    check_right(
        STEP
        + """
task main[N](a: f32[N], b: out f32[N], n: int):
    u = b
    t: f32[N] = 0
    for i in range(n):
        step(a, u)
        u, t = t, u
"""
    )
    check_error(
        STEP
        + """
task main[N](a: f32[N], b: out f32[N], n: int):  #~ E0410
    u = a
    t: f32[N] = 0
    for i in range(n):
        step(u, t)
        u = t
"""
    )


def test_rule_19_a_view_may_have_a_name() -> None:
    text = (
        STEP
        + """
task main[N](a: inout f32[N, 4], j: int) -> s: f32:
    v = a[1:, j]
    w = v[:2]
    copy(a[:2, 0], w)
    s = v[1] + w[0]
"""
    )
    got = run_both(text, a=counted(3, 4), j=2)
    assert got["a"][:, 2].tolist() == [2, 0, 4] and got["s"] == 4


def test_rule_21_blocks_stay_those_of_the_array_that_was_cut() -> None:
    text = (
        STEP
        + """
task main(a: inout f32[4], b: inout f32[4]):
    u = a
    t = blocks(u, 2)
    u = b
    copy(u[:2], t[1])
"""
    )
    got = run_both(text, a=counted(4), b=counted(4) + 10)
    assert got["a"].tolist() == [0, 1, 10, 11] and got["b"].tolist() == [10, 11, 12, 13]


def test_rule_19_what_no_name_stands_for_is_given_back() -> None:
    text = (
        STEP
        + """
task main[N](a: f32[N], steps: int) -> s: f32:
    x = a
    for i in range(steps):
        y = more(x)
        x = y
    s = x[0]
"""
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    got = run_kernel(text, a=np.zeros(1 << 20, np.float32), steps=500)  # 2 GB, if each stayed
    assert got["s"] == 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


# ---------------------------------------------------------------- 38: tests are tasks


def lem_test(folder: Path, text: str) -> Said:
    (folder / "tests.lem").write_text(text)
    return lem("test", folder / "tests.lem")


def test_rule_38_tests_are_tasks(tmp_path: Path) -> None:
    passed = lem_test(
        tmp_path,
        STEP
        + """
task fill[N](x: inout f32[N]):
    if N > 0:
        t: f32[1] = 7
        copy(t, x[:1])
        fill(x[1:])

test "names, views, blocks, spawn":
    a = f32([1, 2, 3, 4])
    b = zeros(f32, 4)
    spawn step(a, b)
    sync
    a, b = b, a
    check a == f32([3, 4, 6, 7])
    t = blocks(b, 3)
    check t.shape[0] == 2
    copy(a[1:3], t[0][:2])
    check b == f32([4, 6, 3, 4])
    b = more(b)
    check b.shape[0] == 5
    fill(b[1:])
    check b == f32([5, 7, 7, 7, 7])
    check fails "E0601": copy(t[b.shape[0]], a)
    check fails "E0619": copy(a[:2], a[i64(b[0]) - 4:i64(b[0]) - 2])
""",
    )
    assert passed.code == 0, passed.out + passed.err
    failed = lem_test(
        tmp_path,
        STEP
        + """
test "wrong":
    a = f32([1, 2, 3, 4])
    b = a
    b = more(a[1:])
    check b == a
""",
    )
    assert failed.code != 0 and "error[E0617]" in failed.out


# ---------------------------------------------------------------- 42: where a function may run


def test_rule_42_variants_and_preferences_are_checked_and_not_needed() -> None:
    text = """
kernel double[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = 2 * x[i]

@on(spu)
@prefer(spu, when=N > 10**3 and k > 2)
@within(rel=2e-2)
@variant(of=double, when=N % 32 == 0)
kernel double_spu[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = x[i] + x[i]

task main[N](x: f32[N], y: out f32[N]):
    spawn double(x, y)
"""
    check_right(text.replace(" and k > 2", ""))
    assert run_both(text.replace(" and k > 2", ""), x=counted(3))["y"].tolist() == [0, 2, 4]
    check_error(text.replace("k > 2)", "k > 2)  #~ E0201"))
