"""What Python prints of an error of lem's: lines of the user's own and the report, no frame of lem."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import numpy as np
import lem
from lem.dims import M, N

@lem.kernel
def take(x: lem.f32[N], k: lem.i64[M], y: lem.out[lem.f32[M]]) -> None:
    for i in lem.grid(M):
        y[i] = x[k[i]]

@lem.kernel
def wrong(x: lem.f32[N]) -> None:
    for i in lem.grid(M):
        y[i] = x[k[i]]

x, y, good, bad = np.ones(3, np.float32), np.zeros(2, np.float32), np.array([0, 1]), np.array([0, 7])
if sys.argv[2] == "direct":
    take(x, good, y)
    take(x, good, y)
with lem.interpret() if sys.argv[2] == "interpreted" else lem.trace() if sys.argv[2] == "traced" else open(__file__):
    exec(compile(sys.argv[1], "typed", "exec"))
"""


@pytest.mark.parametrize(
    ("call", "how"),
    [
        ("take(x, bad, y)", "first"),
        ("take(x, bad, y)", "direct"),
        ("take(x, bad, y)", "interpreted"),
        ("take(x, bad, y)", "traced"),
        ("take(x, y, y)", "first"),
        ("take(x, y, z=3)", "direct"),
        ("wrong(x)", "first"),
        ("wrong.check()", "first"),
        ("wrong.inspect()", "first"),
        ("lem.explain(wrong)", "first"),
        ("lem.compile(wrong)", "first"),
        ("lem.load('nothing.lem')", "first"),
    ],
)
def test_a_traceback_shows_no_frame_of_lem(call: str, how: str, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run([sys.executable, str(path), call, how], capture_output=True, text=True, timeout=120)
    frames = [line.strip() for line in done.stderr.splitlines() if line.startswith("  File ")]
    assert [f.split('"')[1] for f in frames] == [str(path), "typed"], done.stderr
    assert "error[E0" in done.stderr


STOPPED = """
import os, signal, sys, threading
import numpy as np
import lem

@lem.kernel
def endless(y: lem.out[lem.i64[1]], k: int) -> None:
    while k != 0:
        y[0] = k

threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
endless(np.zeros(1, np.int64), 1)
"""

LEFT = """
import numpy as np
import lem

@lem.kernel
def stops(y: lem.out[lem.i64[1]]) -> None:
    breakpoint()
    y[0] = 1

with lem.interpret():
    stops(np.zeros(1, np.int64))
"""


@pytest.mark.parametrize(
    ("text", "typed", "name"), [(STOPPED, "", "lem_runtime.faults.Interrupted"), (LEFT, "q\n", "bdb.BdbQuit")]
)
def test_who_stops_a_kernel_sees_no_frame_of_lem(text: str, typed: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], input=typed, capture_output=True, text=True, timeout=120)
    frames = [line.strip() for line in done.stderr.splitlines() if line.startswith("  File ")]
    assert [f.split('"')[1] for f in frames] == [str(path)], done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith(name)
