"""Calls that go straight from the interpreter into compiled code do what the way through Python does, errors included."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lem
from lem.dims import K, M, N
from lem.embed import joining
from tests.support.processes import started

ROOT = Path(__file__).resolve().parents[2]


@lem.kernel
def axpy(a: lem.f32, x: lem.f32[N], y: lem.inout[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = y[i] + a * x[i]


@lem.kernel("a: f64[M, K], b: f64[K], y: out f64[M], n: i32 = 0, flag: int = 1 where flag >= 0 and K % 2 == 0")
def gemv(a, b, y, n, flag):
    for i in grid(M):
        y[i] = sum(a[i, k] * b[k] for k in K) + f64(n) + f64(flag)


@lem.kernel
def take(x: lem.f32[N], k: lem.i64[M], y: lem.out[lem.f32[M]]) -> None:
    for i in lem.grid(M):
        y[i] = x[k[i]]


@lem.kernel
def parity(n: lem.i64, y: lem.out[lem.i64[N]]) -> None:
    s: lem.i64 = 0
    for k in range(n):
        s = s ^ k
    for i in lem.grid(N):
        y[i] = s


def is_direct(f: lem.Function) -> bool:
    joining.settled()
    return f.engine._direct is not None


def setup_module() -> None:
    axpy(0.0, np.ones(1, np.float32), np.ones(1, np.float32))
    gemv(np.ones((2, 2)), np.ones(2), np.ones(2), 0, 0)
    take(np.ones(1, np.float32), np.zeros(1, np.int64), np.ones(1, np.float32))
    joining.settled()


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython's objects are known")
def test_calls_are_direct_after_the_first() -> None:
    assert is_direct(axpy) and is_direct(gemv) and is_direct(take)


def outcome(call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Copies of the arrays afterwards, or the code of the error."""
    try:
        call(*args, **kwargs)
    except lem.Error as e:
        return e.code
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def arrays(dtype: str, ndim: int) -> st.SearchStrategy[Any]:
    """Arrays as callers have them: mostly what is wanted, else with other types, strides, flags, or no array at all."""
    size = st.sampled_from([0, 1, 2, 4, 4, 4, 5])

    def make(shape: list[int], how: str, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        if ndim and dtype == "i8":
            a = rng.integers(0, 3, shape).astype(dtype)
        else:
            a = rng.standard_normal(shape).astype(dtype)
        match how:
            case "other type":
                return a.astype("f4" if dtype != "f4" else "f8")
            case "gaps":
                return np.repeat(a, 2, axis=-1)[..., ::2] if ndim else a
            case "backwards":
                return a[..., ::-1]
            case "turned":
                return a.T
            case "read-only":
                a.flags.writeable = False
                return a
            case "big-endian":
                return a.astype(a.dtype.newbyteorder(">"))
            case "unaligned":
                raw = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype) if a.nbytes else a.reshape(-1)
                raw[:] = a.reshape(-1)
                return raw.reshape(a.shape)
            case "broadcast":
                return np.broadcast_to(a[..., :1], a.shape) if a.size else a
            case "subclass":
                return a.view(np.matrix) if ndim == 2 else a.view(np.recarray)
            case "list":
                return a.tolist()
            case "none":
                return None
        return a

    hows = ["plain"] * 8 + [
        "other type", "gaps", "backwards", "turned", "read-only", "big-endian", "unaligned", "broadcast", "subclass", "list",
        "none",
    ]  # fmt: skip
    return st.builds(make, st.lists(size, min_size=ndim, max_size=ndim), st.sampled_from(hows), st.integers(0, 9))


numbers = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, -(2**31) - 1, 2**63, 2**80, True, 1.5, float("nan"), 1e300, "1", None]),
    st.sampled_from([np.float32(2), np.float64(2), np.int32(3), np.int64(4), np.bool_(True)]),
)


def agree(f: lem.Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    def again() -> tuple[Any, ...]:
        """The arguments once more, each with its strides and flags; those that share memory go on sharing it."""
        return args

    saved = [a.copy() if isinstance(a, np.ndarray) else None for a in args]
    one = outcome(f, again(), kwargs)
    for a, old in zip(args, saved, strict=True):
        if old is not None and a.flags.writeable:
            a[...] = old
    two = outcome(lambda *a, **k: f.engine.call(f, a, k), again(), kwargs)
    assert type(one) is type(two), (one, two)
    if isinstance(one, str):
        assert one == two
        return
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=300, deadline=None)
@given(numbers, arrays("f4", 1), arrays("f4", 1))
def test_axpy_agrees_with_the_way_through_python(a: Any, x: Any, y: Any) -> None:
    agree(axpy, (a, x, y), {})


@settings(max_examples=300, deadline=None)
@given(arrays("f8", 2), arrays("f8", 1), arrays("f8", 1), st.lists(numbers, max_size=2), st.booleans())
def test_gemv_agrees_with_the_way_through_python(a: Any, b: Any, y: Any, more: list[Any], by_name: bool) -> None:
    kwargs = {"flag": more.pop()} if by_name and len(more) == 2 else {}
    agree(gemv, (a, b, y, *more), kwargs)


@settings(max_examples=200, deadline=None)
@given(arrays("f4", 1), arrays("i8", 1), arrays("f4", 1))
def test_take_agrees_with_the_way_through_python(x: Any, k: Any, y: Any) -> None:
    agree(take, (x, k, y), {})


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 5), st.sampled_from([1, -1, 2]))
def test_overlapping_views_agree(first: int, second: int, n: int, step: int) -> None:
    base = np.arange(24, dtype=np.float32)
    x, y = base[first : first + n * abs(step)][::step], base[second : second + n * abs(step)][::step]
    agree(axpy, (2.0, x, y), {})


def test_calls_with_too_few_or_too_many_arguments() -> None:
    x = np.ones(4, np.float32)
    for args in ((), (1.0,), (1.0, x), (1.0, x, x.copy(), x), (x, x, x)):
        agree(axpy, args, {})
    agree(axpy, (1.0, x), {"y": x.copy()})
    agree(axpy, (1.0, x, x.copy()), {"z": 1})


# ---------------------------------------------------------------- what surrounds a call
def test_no_reference_leaks() -> None:
    x, y = np.ones(4, np.float32), np.ones(4, np.float32)
    things = (x, y, axpy, None, x.dtype)
    bad = np.array([0, 9])

    def calls(n: int) -> None:
        for _ in range(7 * n):
            axpy(1.0, x, y)
        for _ in range(n):
            try:
                take(x, bad, np.ones(2, np.float32))
            except lem.Fault:
                pass
            try:
                axpy(1.0, x, x)
            except lem.CallError:
                pass
        gc.collect()

    calls(2)  # what is loaded for the first errors refers to None some hundred times
    before = [sys.getrefcount(t) for t in things]
    calls(300)
    after = [sys.getrefcount(t) for t in things]
    assert all(abs(b - a) < 250 for a, b in zip(before, after, strict=True)), (before, after)


def test_a_callable_can_be_freed() -> None:
    @lem.kernel
    def local(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
        for i in lem.grid(N):
            y[i] = x[i]

    class Held:
        """Something in its dictionary."""

    local(np.ones(2, np.float32), np.ones(2, np.float32))
    joining.settled()
    local.held = Held()  # type: ignore[attr-defined]
    local.itself = local  # type: ignore[attr-defined]  # a circle, which only the collector finds
    gone, held = weakref.ref(local), weakref.ref(local.held)  # type: ignore[attr-defined]
    assert gc.is_tracked(local)
    del local
    gc.collect()
    assert gone() is None and held() is None
    others = [lem.kernel(outcome) for _ in range(1000)]  # in the same memory, as likely as not
    assert gone() is None and len({id(f) for f in others}) == 1000


def test_threads_call_the_same_kernel_at_once() -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        x = np.full(16, seed, np.float32)
        for n in range(500):
            y = np.zeros(16, np.float32)
            axpy(float(n), x, y)
            if y[0] != seed * n:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(1, 6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


MIDDLING = 1 << 18  # elements: enough work to give up the GIL for, too little to be handed to another thread
LONG = 1 << 23


@pytest.mark.parametrize("n", [MIDDLING, LONG])
def test_more_work_gives_the_same(n: int) -> None:
    x, y = np.ones(n, np.float32), np.zeros(n, np.float32)
    axpy(1.0, x, y)
    assert y.sum() == n


def test_threads_with_more_work_and_faults() -> None:
    """The GIL is given up meanwhile, so calls overlap: each sees its own numbers and its own fault."""
    wrong: list[Any] = []

    def add(seed: int) -> None:
        x = np.full(MIDDLING, seed, np.float32)
        for n in range(40):
            y = np.zeros(MIDDLING, np.float32)
            axpy(float(n), x, y)
            if not (y == seed * n).all():
                wrong.append(("axpy", seed, n))

    def gather(seed: int) -> None:
        x = np.ones(1, np.float32)
        for n in range(40):
            m = 7 if n % 2 else MIDDLING
            k = np.zeros(m, np.int64)
            k[seed] = 1000 + seed
            try:
                take(x, k, np.zeros(m, np.float32))
            except lem.Fault as e:
                if e.indices != {"i": seed} or str(1000 + seed) not in str(e):
                    wrong.append(("take", seed, str(e)))
            else:
                wrong.append(("take", seed, "no fault"))

    threads = [threading.Thread(target=f, args=(s,)) for s in range(1, 4) for f in (add, gather)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[0]


def test_other_threads_run_meanwhile() -> None:
    """Python goes on in one thread while another one is in a kernel: counted, so that no clock is asked."""
    x, y = np.ones(MIDDLING, np.float32), np.zeros(MIDDLING, np.float32)
    counts, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            counts[0] += 1
            time.sleep(0)  # gives up the GIL itself

    def busy(n: int) -> int:
        before = counts[0]
        for _ in range(n):
            axpy(1.0, x, y)
        return counts[0] - before

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # no thread loses the GIL: it can only give it up
    counter = threading.Thread(target=count)
    try:
        counter.start()
        # On a machine that is shared the other thread may get no processor for a while.
        assert any(busy(200) > 0 for _ in range(50))
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        counter.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_can_call() -> None:
    child = os.fork()
    if child == 0:
        y = np.zeros(4, np.float32)
        axpy(2.0, np.ones(4, np.float32), y)
        axpy(2.0, np.ones(4, np.float32), y)
        os._exit(0 if y.tolist() == [4.0] * 4 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@lem.kernel
def slowly(n: lem.i64, y: lem.inout[lem.i64[N]]) -> None:
    for t in range(n):
        for i in lem.grid(N):
            y[i] = y[i] ^ t


@pytest.mark.parametrize("n", [2000, 20_000])
def test_an_array_in_use_cannot_be_resized(n: int) -> None:
    """Other threads run while a kernel does; memory must not be taken away from under it. Both ways through the door."""
    slowly(1, np.zeros(300, np.int64))
    y = np.zeros(300, np.int64)
    running = threading.Event()
    refused = [0]

    def resize() -> None:
        while running.is_set():
            try:
                y.resize(601 - y.size, refcheck=False)  # 300, 301, 300, ... between two calls
            except ValueError:
                refused[0] += 1

    running.set()
    other = threading.Thread(target=resize)
    other.start()
    try:
        while refused[0] < 2:
            slowly(n, y)
    finally:
        running.clear()
        other.join()
    assert y.size in (300, 301)


INTERRUPTED = """
import numpy as np
from tests.embed.test_direct import parity
y = np.zeros(3, np.int64)
for n in (3, 4):
    parity(n, y)  # the second call is direct
print("ready", flush=True)
try:
    parity(1 << 62, y)
except KeyboardInterrupt:
    parity(5, y)
    print("interrupted", y[0])
"""


def test_ctrl_c_reaches_a_call_that_would_be_direct() -> None:
    with started([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "interrupted 4\n")


WITHOUT_A_GIL = """
import sys
sys._is_gil_enabled = lambda: False  # as free-threaded Pythons say
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import lem
from lem.dims import N

@lem.kernel
def square(x: lem.f64[N], y: lem.out[lem.f64[N]]) -> None:
    for i in lem.grid(N):
        y[i] = x[i] * x[i]

def run(n):
    y = np.zeros(n)
    square(np.full(n, 3.0), y)
    return float(y.sum())

with ThreadPoolExecutor(8) as pool:
    assert list(pool.map(run, [1, 10, 100, 3_000, 40_000] * 20)) == [9.0, 90.0, 900.0, 27_000.0, 360_000.0] * 20
try:
    square(3, 4)
except lem.CallError as e:
    assert e.code == "E0607"
report = lem.explain(square)
assert not report.is_direct and report.calls.startswith("through Python: "), report.calls
print(report.calls)
"""


def test_calls_go_through_python_where_there_is_no_gil(tmp_path: Path) -> None:
    """The direct way counts references and reads objects as only one thread at a time may."""
    path = tmp_path / "program.py"
    path.write_text(WITHOUT_A_GIL, encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "only one thread at a time" in done.stdout
