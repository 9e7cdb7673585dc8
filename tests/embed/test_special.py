"""Code for the small sizes of calls that come again and again: made beside the general code, with the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lem
from lem.embed import special
from lem.embed.engine import Engine
from lem.processes import Process
from tests.support import ROOT

TEXT = """
kernel distances[N, M, D](a: f32[N, D], b: f32[M, D], y: out f32[N, M]):
    for i, j in grid(N, M):
        y[i, j] = sum((a[i, k] - b[j, k]) * (a[i, k] - b[j, k]) for k in D)

kernel picked[N, D](a: f32[N, D], at: i64[N], y: out f32[N]):
    for i in grid(N):
        y[i] = sum(a[at[i], k] for k in D)
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("LEM_SPECIALIZE", "1")
    monkeypatch.setenv("LEM_CACHE_DIR", str(tmp_path / "cache"))
    file = tmp_path / "points.lem"
    file.write_text(TEXT)
    yield lem.load(file)
    special.settled()


def points(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def call_often(f: Any, *args: Any, until: int = 2) -> None:
    """Call it until code for these sizes is in use."""
    end = time.monotonic() + 60
    while len(f.specializations) < until and time.monotonic() < end:
        f(*args)
        time.sleep(0.02)
    assert len(f.specializations) == until, "no code was made for the sizes"


def distances_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return ((a[:, None].astype(np.float64) - b[None]) ** 2).sum(2)


def test_small_sizes_get_code_of_their_own_and_the_same_bits(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f = module.distances
    inputs = {(n, d): (points(n, d), points(41, d, 1)) for n in (33, 300) for d in (1, 2, 3, 5, 16, 17)}
    general = {}
    for key, (a, b) in inputs.items():
        general[key] = np.empty((len(a), 41), np.float32)
        f(a, b, general[key])
    assert len(f.specializations) == 1
    a, b = inputs[300, 3]
    y = np.empty((300, 41), np.float32)
    call_often(f, a, b, y)
    assert f.specializations[1].dims == ("any", "any", "3")
    assert "calls with D = 3" in str(lem.explain(f))
    through_python: list[str] = []
    plain = Engine.call
    monkeypatch.setattr(Engine, "call", lambda self, thing, *rest: through_python.append(thing) or plain(self, thing, *rest))
    for key, (a, b) in inputs.items():
        y = np.full((len(a), 41), np.nan, np.float32)
        f(a, b, y)
        assert y.tobytes() == general[key].tobytes(), key
        np.testing.assert_allclose(y, distances_of(a, b), rtol=1e-5)
    assert not through_python
    big = points(2000, 3), points(3000, 3, 1), np.empty((2000, 3000), np.float32)
    f(*big)  # goes through Python
    np.testing.assert_allclose(big[2][:5], distances_of(big[0][:5], big[1]), rtol=1e-5)


def test_calls_through_python_are_counted_too(module: Any) -> None:
    a, b = points(300, 2), points(500, 2)
    wide = np.zeros((300, 1000), np.float32)[:, ::2]  # its columns are apart: other code, and through Python
    module.distances(a, b, np.empty((300, 500), np.float32))
    for _ in range(special.SEEN):
        module.distances(a, b, wide)
    assert special.settled()
    assert any(s.dims == ("any", "any", "2") for s in module.distances.specializations)
    wide[:] = -1
    module.distances(a, b, wide)
    np.testing.assert_allclose(wide, distances_of(a, b), rtol=1e-5)


def test_faults_of_such_code_say_the_same(module: Any) -> None:
    a, at, y = points(9000, 3), np.zeros(9000, np.int64), np.empty(9000, np.float32)
    call_often(module.picked, a, at, y)
    at[700] = 9000
    with pytest.raises(lem.Fault) as fault:
        module.picked(a, at, y)
    assert fault.value.indices == {"i": 700} and "axis 0 of `a`, which has size 9000" in str(fault.value)
    at[700] = 5
    module.picked(a, at, y)
    assert y[700] == a[5].sum(dtype=np.float32) or abs(y[700] - a[5].sum()) < 1e-6


def test_code_is_made_for_few_sizes_that_stay(module: Any) -> None:
    a = points(300, 3)
    module.distances(a, a, np.empty((300, 300), np.float32))
    engine = module.distances.engine
    (facts,) = engine.specializations()
    watched = special.Watched(weakref.ref(engine), facts, engine.prepared(facts))

    def met(n: int, d: int, times: int = 1) -> list[tuple[str, ...]]:
        found = [watched.met({"N": n, "M": 300, "D": d}) for _ in range(times)]
        return [kinds for kinds in found if kinds]

    assert not met(4, 3, 10), "four points are too little work"
    assert not any(met(300, 1 + k % 5) for k in range(100)), "no size is there again"
    assert not met(300, 17, 10), "no size is small"
    assert met(300, 3, 10) == [("any", "any", "3")]
    assert not met(400, 3, 10), "it is there"
    assert met(16, 16, 10) == [("any", "any", "16")]
    assert special.small(("A", "B", "C", "D"), {"A": 16, "B": 3, "C": 16, "D": 0}) == ("any", "3", "16", "any")
    assert met(300, 5, 10) == [("any", "any", "5")]
    assert not met(300, 6, 10), "no more than three"


def test_it_can_be_turned_off(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEM_SPECIALIZE", "0")
    a = points(300, 3)
    for _ in range(30):
        module.distances(a, a, np.empty((300, 300), np.float32))
        time.sleep(0.02)
    assert special.settled() and len(module.distances.specializations) == 1


def test_code_is_kept_on_the_disk(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = points(300, 3)
    y = np.empty((300, 300), np.float32)
    call_often(module.distances, a, a, y)
    monkeypatch.setattr(Process, "__init__", None)  # no process is started from here on
    again = lem.load(tmp_path / "points.lem")
    call_often(again.distances, a, a, y)
    assert set(again.distances.engine.origins.values()) == {"disk"}


def test_the_general_code_goes_on_where_none_can_be_made(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    ask = Process.ask

    def killed_first(self: Process, *args: Any) -> bytes:
        os.kill(self.pid, signal.SIGKILL)
        killed.append(self.pid)
        return ask(self, *args)

    monkeypatch.setattr(Process, "ask", killed_first)
    a = points(300, 3)
    y = np.empty((300, 300), np.float32)
    end = time.monotonic() + 30
    while not killed and time.monotonic() < end:
        module.distances(a, a, y)
        time.sleep(0.02)
    assert killed and special.settled()
    module.distances(a, a, y)
    np.testing.assert_allclose(y, distances_of(a, a), rtol=1e-5)
    assert len(module.distances.specializations) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_goes_on_with_it(module: Any, tmp_path: Path) -> None:
    program = f"""
import os, sys, time, warnings
import numpy as np
import lem
from lem.embed import special
warnings.simplefilter("ignore")
f = lem.load({str(tmp_path / "points.lem")!r}).distances
a = np.ones((300, 3), np.float32)
y = np.empty((300, 300), np.float32)
def often(n):
    end = time.monotonic() + 60
    while len(f.specializations) < n and time.monotonic() < end:
        f(a, a, y)
        time.sleep(0.02)
    assert len(f.specializations) == n, f.specializations
often(2)
child = os.fork()
if child == 0:
    f(a, a, y)
    a = np.ones((300, 2), np.float32)
    f(a, a, y)
    often(3)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    paths = os.pathsep.join(str(ROOT / part) for part in ("lang", "runtime", "stdlib"))
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=150, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
