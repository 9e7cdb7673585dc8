"""Results of calls that go straight into compiled code are those of the way through Python: values, types, faults."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lem
from lem.dims import M, N
from lem.embed import joining
from tests.embed.test_direct import is_direct

MIDDLING = 1 << 18  # elements, for which the GIL is given up


@lem.kernel("x: f32[N], a: f32 -> y: f32[N + 1]")
def longer(x, a):
    for i in lem.grid(N):
        y[i] = a * x[i]


@lem.kernel("x: f64[N, M], k: i64 -> (y: f64[M, N], s: f64, n: i32, some: bool, far: u64, near: i8, half: f32)")
def many(x, k):
    s = sum(x[i, j] for i in N for j in M)
    n = i32(k)
    some = s > 1.0
    far = u64(k) + 9223372036854775808
    near = i8(k % 100)
    half = f32(s) * f32(0.5)
    for j, i in lem.grid(M, N):
        y[j, i] = x[i, j]


@lem.kernel("x: f32[N], p: i64[M] -> y: f32[M]")
def taken(x, p):
    for i in lem.grid(M):
        y[i] = x[p[i]]


def setup_module() -> None:
    longer(np.ones(1, np.float32), 1.0)
    many(np.ones((1, 1)), 1)
    taken(np.ones(1, np.float32), np.zeros(1, np.int64))
    joining.settled()


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython's objects are known")
def test_calls_are_direct_after_the_first() -> None:
    assert is_direct(longer) and is_direct(many) and is_direct(taken)


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape and a.flags.writeable
        assert a.strides == b.strides or a.size == 0  # then they say nothing
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b or (a != a and b != b)


def both(f: lem.Function, *args: Any) -> None:
    """The same by both ways, or the same error."""
    found: list[Any] = []
    for call in (f, lambda *a: f.engine.call(f, a, {})):
        try:
            found.append(call(*args))
        except lem.Error as e:
            found.append((type(e).__name__, e.code, str(e)))
    same(*found)


sizes = st.sampled_from([0, 1, 2, 3, 7, 16, 33])


@settings(max_examples=100, deadline=None)
@given(sizes, st.floats(width=32))
def test_an_array(n: int, a: float) -> None:
    both(longer, np.arange(n, dtype=np.float32), a)
    both(longer, np.arange(2 * n, dtype=np.float32)[::2], a)


@settings(max_examples=100, deadline=None)
@given(sizes, sizes, st.integers(-(2**62), 2**62))
def test_arrays_and_numbers(n: int, m: int, k: int) -> None:
    both(many, np.arange(n * m, dtype=np.float64).reshape(n, m), k)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 4), max_size=5))
def test_faults(places: list[int]) -> None:
    both(taken, np.arange(4, dtype=np.float32), np.array(places, np.int64))


def test_results_are_arrays_of_their_own() -> None:
    x = np.ones(4, np.float32)
    a, b = longer(x, 1.0), longer(x, 2.0)
    assert a[0] == 1 and b[0] == 2 and not np.shares_memory(a, b)
    assert a[4] == 0, "what is not written is 0"


def test_no_reference_and_no_memory_leaks() -> None:
    x, p, bad = np.ones(1000, np.float32), np.zeros(1000, np.int64), np.full(1000, 5000, np.int64)
    square = np.ones((3, 3))
    things = (x, p, square, None, True, x.dtype, square.dtype, np.ndarray)
    gc.collect()
    before = [sys.getrefcount(t) for t in things]
    for _ in range(3000):
        taken(x, p)
        many(square, 3)
    for _ in range(300):
        with pytest.raises(lem.Fault):
            taken(x, bad)
    gc.collect()
    after = [sys.getrefcount(t) for t in things]
    assert all(abs(b - a) < 250 for a, b in zip(before, after, strict=True)), (before, after)


def test_a_result_frees_its_memory() -> None:
    import tracemalloc

    x = np.ones(100_000, np.float32)
    longer(x, 1.0)
    tracemalloc.start()
    try:
        for _ in range(50):
            longer(x, 1.0)
        assert tracemalloc.get_traced_memory()[0] < 4_000_000
    finally:
        tracemalloc.stop()


def test_more_work_from_several_threads() -> None:
    wrong: list[Any] = []

    def work(a: int) -> None:
        x = np.full(MIDDLING, a, np.float32)
        for _ in range(30):
            y = longer(x, 2.0)
            if not (y[:-1] == 2 * a).all() or y[-1] != 0:
                wrong.append(a)

    threads = [threading.Thread(target=work, args=(a,)) for a in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_first_calls_from_many_threads() -> None:
    """Each new kernel is made direct, and given all workers, by whoever comes first; nobody's code is taken away."""
    x = np.arange(MIDDLING, dtype=np.float32)
    wrong: list[int] = []
    for _ in range(6):
        f = lem.kernel("x: f32[N], a: f32 -> y: f32[N + 1]")(longer.decorated.function)  # type: ignore[union-attr]
        begin = threading.Barrier(6)

        def work(f: lem.Function = f, begin: threading.Barrier = begin) -> None:
            begin.wait()
            for n in range(20):
                if f(x, 3.0)[7] != 21 or f(x[:n], 2.0)[: max(n, 1)].sum() != n * (n - 1):
                    wrong.append(n)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert is_direct(f)
    assert not wrong


def test_a_large_result_goes_through_python() -> None:
    @lem.kernel("n: int -> s: i64[2 * N] where N > 0")
    def zeros(n):
        for i in lem.grid(N):
            s[i] = n

    zeros(1, N=4)
    assert zeros(3, N=5).tolist() == [3] * 5 + [0] * 5
    with pytest.raises(lem.CallError) as caught:
        zeros(3, N=1 << 50)
    assert caught.value.code == "E0614"


@lem.kernel("x: f64[N], a: f64 = 0.5, k: i16 = -3, up: u8 = 200, p: i64 = 0 -> y: f64[N] where k < 5")
def defaults(x, a, k, up, p):
    for i in lem.grid(N):
        y[i] = a * x[i] + f64(k) + f64(up) + x[p]


def test_names_and_numbers_left_out() -> None:
    x = np.arange(5.0)
    defaults(x)
    assert is_direct(defaults)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((x,), {}), ((x, 2.0), {}), ((x, 2.0, 4), {}), ((x, 2.0, 4, 7), {}), ((x,), {"k": 2}), ((x,), {"up": 0, "a": 1.0}),
        ((), {"x": x}), ((), {"k": -32768, "x": x, "a": 0.0}), ((x, 2.0), {"k": 4, "up": 255}), ((x,), {"k": 5}),
        ((x, 1.0), {"a": 2.0}), ((x,), {"x": x}), ((x,), {"b": 1}), ((), {}), ((), {"a": 1.0}), ((x, 1.0, 1, 1, 1, 1), {}),
        ((x,), {"k": 40000}), ((x,), {"up": -1}), ((x,), {"a": None}), ((x,), {"p": 9}), ((x, 1.0), {"p": -1}),
        ((x,), {"N": 5}), ((x,), {"N": 6}), ((x,), {"".join(["u", "p"]): 3}), ((x,), {"like": "numpy"}),
    ]  # fmt: skip
    for args, kwargs in calls:
        found: list[Any] = []
        for call in (defaults, lambda *a, **k: defaults.engine.call(defaults, a, k)):
            try:
                found.append(call(*args, **kwargs))
            except lem.Error as e:
                found.append((type(e).__name__, e.code, str(e)))
        same(*found)
