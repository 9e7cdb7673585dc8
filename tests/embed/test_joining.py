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


def test_calls_go_on_through_python_while_the_way_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, go_on, asked = engine._compile_wrapper, threading.Event(), threading.Event()

    def slow(text: str) -> bytes:
        asked.set()
        assert go_on.wait(60)
        return usual(text)

    monkeypatch.setattr(native, "_provider", [slow])
    f, x, y = made(), np.arange(3), np.zeros(3, np.int64)
    try:
        for n in range(3):
            f(1.0, n, x, y)
            assert (y - y[0]).tolist() == [0, 1, 2]
        assert asked.wait(60) and not f.engine.is_direct
        assert "on another thread" in lem.explain(f).calls
    finally:
        go_on.set()
    joining.settled()
    assert f.engine.is_direct and "straight into" in lem.explain(f).calls
    f(1.0, 3, x, y)
    assert (y - y[0]).tolist() == [0, 1, 2]


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
