"""LANGUAGE 9: `unique(idx)` claims that all elements of `idx` differ; tested before the grid runs, by place of the axis."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.programs import check_right
from tests.support.rules import run_both
from tests.support.run import TARGETS, fault_of

PLACE = """
kernel place[N, M](x: f32[N], idx: {t}[N], y: inout f32[M]):
    for i in grid(N):
        y[unique(idx)[i]] = x[i]
"""
NUMPY = {
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
    "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
}  # fmt: skip


def place(t: str) -> str:
    text = PLACE.format(t=t)
    return text.replace("unique(idx)[i]", "i64(unique(idx)[i])") if t == "u64" else text


@pytest.mark.parametrize("t", NUMPY)
def test_rule_9_elements_that_differ_are_placed(t: str) -> None:
    idx = np.random.default_rng(1).permutation(120)[:100].astype(NUMPY[t])
    x = np.arange(100, dtype=np.float32)
    want = np.full(120, -1, np.float32)
    want[idx] = x
    got = run_both(place(t), x=x, idx=idx, y=np.full(120, -1, np.float32), threads=2)["y"]
    assert np.array_equal(got, want)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("t", NUMPY)
def test_rule_9_two_equal_elements_fault_before_the_grid(t: str, target: str) -> None:
    idx = np.array([3, 0, 4, 1, 0, 3], NUMPY[t])
    fault = fault_of(place(t), target=target, x=np.zeros(6, np.float32), idx=idx, y=np.zeros(6, np.float32))
    assert (fault.code, fault.indices, fault.values) == ("E0621", (), (4, 0))


@pytest.mark.parametrize("target", TARGETS)
def test_rule_9_elements_outside_of_the_axis_fault_where_they_are_used(target: str) -> None:
    def run(idx: list[int], text: str) -> str:
        x, y = np.zeros(len(idx), np.float32), np.zeros(4, np.float32)
        return fault_of(text, target=target, x=x, idx=np.array(idx), y=y).code

    assert run([0, 7, 7], place("i64")) == "E0601"
    guarded = place("i64").replace("        y[", "        if idx[i] >= 0:\n            y[")
    assert run([-1, 2, -1, 2], guarded) == "E0621"
    y = run_both(guarded, x=np.ones(4, np.float32), idx=np.array([-1, 2, -1, 0]), y=np.zeros(4, np.float32))["y"]
    assert y.tolist() == [1, 0, 1, 0]


def test_rule_9_a_local_keeps_the_claim_and_an_element_may_read_what_it_writes() -> None:
    text = """
kernel twice[N](idx: i32[N], y: inout f32[N]):
    for i in grid(N):
        j = unique(idx)[i]
        y[j] = y[j] * 2.0 + y[unique(idx)[i]]
        y[unique(idx)[i]] += 1.0
"""
    check_right(text)
    idx = np.random.default_rng(2).permutation(50).astype(np.int32)
    got = run_both(text, idx=idx, y=np.arange(50, dtype=np.float32))["y"]
    assert np.array_equal(got, np.arange(50) * 3 + 1)


def test_rule_9_a_claim_may_be_one_subscript_of_several_and_have_several_itself() -> None:
    rows = """
kernel rows[M, N, K](x: f32[M, N], idx: u16[M], y: inout f32[K, N]):
    for i, j in grid(M, N):
        y[unique(idx)[i], j] = x[i, j]
"""
    cells = """
kernel cells[M, N, K](x: f32[M, N], idx: i64[M, N], y: inout f32[K]):
    for i, j in grid(M, N):
        y[unique(idx)[i, j]] = x[i, j]
"""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((7, 5)).astype(np.float32)
    idx = rng.permutation(9)[:7].astype(np.uint16)
    want = np.zeros((9, 5), np.float32)
    want[idx] = x
    assert np.array_equal(run_both(rows, x=x, idx=idx, y=np.zeros((9, 5), np.float32))["y"], want)
    flat = rng.permutation(40)[:35].reshape(7, 5)
    one = np.zeros(40, np.float32)
    one[flat] = x
    assert np.array_equal(run_both(cells, x=x, idx=flat, y=np.zeros(40, np.float32))["y"], one)
    flat[6, 2] = flat[1, 3]
    for target in TARGETS:
        fault = fault_of(cells, target=target, x=x, idx=flat, y=np.zeros(40, np.float32))
        assert (fault.code, fault.values) == ("E0621", (6, 2, flat[1, 3]))


CHANGES = """
kernel rounds[N](T: int, idx: {effect} i64[N], y: inout f32[N]):
    for t in range(T):
        for i in grid(N):
            y[unique(idx)[i]] += f32(i)
        {change}
"""


@pytest.mark.parametrize("target", TARGETS)
def test_rule_9_the_claim_is_remembered_only_while_the_array_is_unchanged(target: str) -> None:
    kept = CHANGES.format(effect="", change="y[0] += 1.0")
    idx, y = np.array([2, 0, 1]), np.zeros(3, np.float32)
    assert run_both(kept, T=4, idx=idx, y=y)["y"].tolist() == [8, 8, 0]
    changed = CHANGES.format(effect="inout", change="idx[t] = 0")
    assert run_both(changed, T=1, idx=idx, y=y)["y"].tolist() == [1, 2, 0]
    assert fault_of(changed, target=target, T=2, idx=idx, y=y).code == "E0621"


def test_rule_9_an_empty_grid_and_an_empty_index_are_fine() -> None:
    y = run_both(place("i64"), x=np.zeros(0, np.float32), idx=np.zeros(0, np.int64), y=np.ones(3, np.float32))["y"]
    assert y.tolist() == [1, 1, 1]
