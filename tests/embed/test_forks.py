"""Children of ``os.fork``: kernels that the parent called go the same way there, whatever its threads were at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

HEAD = """
import os, sys, threading, time, warnings
import numpy as np
import lem
from lem.dims import N
from lem.embed import joining
from lem.embed.engine import Engine
warnings.simplefilter("ignore")

@lem.kernel
def axpy(a: lem.f32, x: lem.f32[N], y: lem.inout[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] += a * x[i]

@lem.kernel
def pick(x: lem.f32[N], k: lem.i64[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = x[k[i]]

through_python = []
plain = Engine.call
def call(self, thing, args, kwargs):
    through_python.append(thing.__name__)
    return plain(self, thing, args, kwargs)
Engine.call = call

def used(n):
    x, y = np.ones(n, np.float32), np.zeros(n, np.float32)
    axpy(2.0, x, y)
    axpy(1.0, x, y)
    assert (y == 3).all(), y

def faults():
    try:
        pick(np.ones(3, np.float32), np.array([0, 9, 0]), np.zeros(3, np.float32))
    except lem.Fault as e:
        return e.indices
    raise AssertionError

def check():
    used(100)
    pick(np.ones(3, np.float32), np.array([0, 2, 0]), np.zeros(3, np.float32))
    joining.settled()
    assert faults() == {"i": 1}  # a fault makes the direct call anew
    used(200_000)                # all workers
    used(200_000)
    del through_python[:]
    used(100)
    used(200_000)
    assert faults() == {"i": 1}
    assert through_python == [], through_python

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as e:
            print(repr(e), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "stuck"
"""


PROGRAMS = {
    "a child": """
check()
assert child(check) == 0
check()
""",
    "a child of a child of a child": """
check()
def deeper(n):
    check()
    assert n == 0 or child(lambda: deeper(n - 1)) == 0
    check()
assert child(lambda: deeper(2)) == 0
""",
    "threads of the parent in short and in long calls": """
check()
stop = threading.Event()
def go(n):
    while not stop.is_set():
        try:
            used(n)
        except AssertionError:
            print("wrong", file=sys.stderr)
threads = [threading.Thread(target=go, args=(n,)) for n in (50, 3_000, 200_000)]
for t in threads:
    t.start()
try:
    for _ in range(20):
        assert child(check) == 0
finally:
    stop.set()
    for t in threads:
        t.join()
check()
""",
    "a thread of the parent that compiles": """
check()
from lem.targets import llvm
entered = threading.Event()
leave = threading.Event()
real = llvm._optimised
def slow(*args, **named):
    if threading.current_thread() is not threading.main_thread() and not entered.is_set():
        entered.set()
        leave.wait(60)
    return real(*args, **named)
llvm._optimised = slow
other = threading.Thread(target=lambda: (new(np.ones(3, np.float32)[::1], np.zeros(6, np.float32)[::2])))
@lem.kernel
def new(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = x[i] * SALT

SALT = time.time()
@lem.kernel
def newer(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = x[i] * SALT + 1.0
other.start()
assert entered.wait(60)
def compiles():
    check()
    y = np.zeros(3, np.float32)
    for f in (new, newer):  # one that is just being compiled there, and another
        f(np.ones(3, np.float32), y)
    assert (y == np.float32(SALT) + 1).all()
assert child(compiles) == 0
leave.set()
other.join()
""",
    "a thread of the parent that interprets": """
check()
entered, leave = threading.Event(), threading.Event()
def interpreted():
    with lem.interpret():
        entered.set()
        leave.wait(60)
other = threading.Thread(target=interpreted)
other.start()
assert entered.wait(60)
assert child(check) == 0
leave.set()
other.join()
check()
""",
    "a fork inside of lem.interpret": """
check()
with lem.interpret():
    def inside():
        del through_python[:]
        used(3)
        assert through_python
    assert child(inside) == 0
    pid = os.fork()
    if pid:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
if not pid:
    check()
    os._exit(0)
check()
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_forked_children_call_as_their_parents_do(name: str, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(HEAD + PROGRAMS[name], encoding="utf-8")
    env = {**os.environ, "LEM_THREADS": "2"}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=120, env=env)
    assert done.returncode == 0, done.stderr
