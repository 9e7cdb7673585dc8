"""No call waits for the way into compiled code: it is made on a thread of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lem
from lem.dims import N
from lem.embed import engine, joining
from lem_runtime import native
from lem_runtime.call import direct
from tests.support import ROOT

pytestmark = pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython's objects are known")


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The way depends on the signature alone: other tests may have made it."""
    joining.settled()
    monkeypatch.setenv("LEM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(direct, "_loaded", {})
    yield
    joining.settled()


def made() -> lem.Function:
    """A kernel whose code, and way to it, no cache has."""
    salt = time.time_ns() % 1_000_003

    @lem.kernel
    def add(a: lem.f64, b: lem.i8, x: lem.i64[N], y: lem.out[lem.i64[N]]) -> None:
        for i in lem.grid(N):
            y[i] = x[i] + salt + i64(b) + i64(a)  # type: ignore[name-defined]  # noqa: F821

    return add


def test_the_first_call_leaves_the_way_to_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, go_on = engine._compile_wrapper, threading.Event()
    asked: list[threading.Thread] = []

    def slow(text: str) -> bytes:
        asked.append(threading.current_thread())
        assert go_on.wait(60)
        return usual(text)

    monkeypatch.setattr(native, "_provider", [slow])
    kernels, x, y = [made() for _ in range(3)], np.arange(3), np.zeros(3, np.int64)
    try:
        for f in kernels:
            f(1.0, 0, x, y)
            assert (y - y[0]).tolist() == [0, 1, 2] and not f.engine.is_direct
            assert lem.explain(f).calls.startswith("through Python the first time")
    finally:
        go_on.set()
    joining.settled()
    assert all(f.engine.is_direct for f in kernels) and threading.main_thread() not in asked
    kernels[0](1.0, 3, x, y)
    assert (y - y[0]).tolist() == [0, 1, 2]


def test_the_second_call_does_not_wait_for_a_quiet_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_QUIET_S", 60.0)
    f, x, y = made(), np.arange(3), np.zeros(3, np.int64)
    f(1.0, 0, x, y)
    assert not f.engine.is_direct
    f(1.0, 0, x, y)
    assert f.engine.is_direct and "straight into" in lem.explain(f).calls
    threads = [threading.Thread(target=lambda: made()(1.0, 0, x, y)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def test_ctrl_c_in_a_second_call_leaves_it_to_the_third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_QUIET_S", 60.0)
    usual, n_asked = engine._compile_wrapper, 0

    def interrupted(text: str) -> bytes:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 1:
            raise KeyboardInterrupt
        return usual(text)

    monkeypatch.setattr(native, "_provider", [interrupted])
    f, x, y = made(), np.arange(3), np.zeros(3, np.int64)
    f(1.0, 0, x, y)
    with pytest.raises(KeyboardInterrupt):
        f(1.0, 0, x, y)
    for _ in range(2):
        f(1.0, 0, x, y)
    assert f.engine.is_direct and (y - y[0]).tolist() == [0, 1, 2]


def test_a_way_that_cannot_be_compiled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str) -> bytes:
        raise OSError("no room")

    monkeypatch.setattr(native, "_provider", [broken])
    f, x, y = made(), np.arange(3), np.zeros(3, np.int64)
    for n in range(3):
        f(1.0, n, x, y)
        joining.settled()
        assert (y - y[0]).tolist() == [0, 1, 2]
    assert lem.explain(f).calls == "through Python: OSError: no room"


def test_a_program_may_end_at_once(tmp_path: Path) -> None:
    kernels = "\n".join(
        f"""
@lem.kernel("{", ".join(f"x{k}: f32[N]" for k in range(n + 1))}, y: out f32[N]")
def f{n}({", ".join(f"x{k}" for k in range(n + 1))}, y):
    for i in lem.grid(N):
        y[i] = x0[i] + {n}
f{n}({"x, " * (n + 1)}y)
assert y[0] == {n + 1}
"""
        for n in range(6)
    )
    path = tmp_path / "program.py"
    path.write_text(f"import numpy as np, lem\nx, y = np.ones(3, np.float32), np.ones(3, np.float32)\n{kernels}", "utf-8")
    env = {"LEM_CACHE_DIR": str(tmp_path / "cache"), "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=120, env=env)
    assert (done.returncode, done.stderr) == (0, "")
