"""How much a call has to do, as a size expression."""

from __future__ import annotations

import pytest

from lem.ir.effort import effort
from lem.pipeline import optimised
from lem_runtime.abi.sizes import evaluate, show
from tests.support.run import program


def of(text: str) -> str:
    module = optimised(program(text), "f", "cpu")
    found = effort(module.functions["f"], module)
    return "?" if found is None else show(found)


def test_whole_numbers_and_loops_of_sequential_code_count() -> None:
    text = """
kernel f[N](n: int, y: out i64[N]):
    s = 0
    for k in range(n):
        if k % 3 == 0:
            s = k
    for i in grid(N):
        y[i] = s
"""
    assert of(text) == "2 * max(n, 0) + N"


def test_calls_count_in_the_sizes_of_the_caller() -> None:
    text = """
kernel twice[M](x: f32[M], y: out f32[M]):
    for i in grid(M):
        y[i] = x[i] + x[i]

kernel f[N](x: f32[N], y: out f32[N], times: int):
    for t in range(times):
        twice(x, y)
"""
    assert of(text) == "3 * N * max(times, 0)"


def test_reading_at_loaded_places_counts_more() -> None:
    text = "kernel f[N, M](x: f32[M], k: i64[N], y: out f32[N]):\n    for i in grid(N):\n        y[i] = x[{0}]\n"
    assert of(text.format("k[i]")) == "26 * N"  # two accesses, and a look at each bound of a place


@pytest.mark.parametrize(
    "body",
    [
        "        n = 0\n        while x[n] > 0.0:\n            n = n + 1\n        y[i] = n",
        "        s = 0\n        for j in range(p[i]):\n            s = s ^ j\n        y[i] = s",
    ],
)
def test_unknown_where_data_decides(body: str) -> None:
    assert of(f"kernel f[N](x: f32[N], p: i64[N], y: out i64[N]):\n    for i in grid(N):\n{body}\n") == "?"


def test_loops_that_do_not_run_make_up_for_nothing() -> None:
    text = """
kernel f[N](n: int, y: out i64[N]):
    s = 0
    for k in range(n):
        s = s ^ k
    for k in range(0 - n):
        s = s ^ k
    for i in grid(N):
        y[i] = s
"""
    module = optimised(program(text), "f", "cpu")
    found = effort(module.functions["f"], module)
    assert found is not None
    assert all(evaluate(found, {"n": n, "N": 3}) >= abs(n) for n in (10**9, -(10**9), 0))


def test_temporaries_count_with_their_sizes() -> None:
    text = """
kernel f[N](n: int, y: out i64[N]):
    t: i64[n] = 1
    for i in grid(N):
        y[i] = t[0] if n > 0 else 0
"""
    module = optimised(program(text), "f", "cpu")
    found = effort(module.functions["f"], module)
    assert found is not None and evaluate(found, {"n": 10**9, "N": 1}) >= 10**9


def test_tasks_that_call_themselves_are_unknown() -> None:
    assert of("task f[N](y: inout f32[N], n: int):\n    if n > 0:\n        f(y, n - 1)\n") == "?"
