"""The door itself: what importing costs, and that type checkers accept what is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lem
from lem.dims import N
from tests.support import ROOT
from tests.support.cli import environment


def _python(text: str) -> str:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_and_decorating_loads_no_compiler() -> None:
    text = """
import sys
import lem
from lem.dims import N
@lem.kernel
def f(x: lem.f32[N]) -> None: ...
print(sorted({"llvmlite", "lark", "rich", "lem.pipeline", "lem.types", "lem.syntax"} & set(sys.modules)))
"""
    assert _python(text) == "[]\n"


def test_every_public_name_is_there() -> None:
    assert _python("import lem; print(all(getattr(lem, name) is not None for name in dir(lem)))") == "True\n"


def test_a_typed_program_passes_mypy_in_strict_mode() -> None:
    path = Path(__file__).with_name("typed_program.py")
    call = [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(path)]
    env = {**os.environ, "MYPYPATH": os.pathsep.join(str(ROOT / part) for part in ("lang", "runtime", "stdlib"))}
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=300, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_typed_program_runs() -> None:
    call = [sys.executable, "-m", "tests.embed.typed_program"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0 and done.stdout.startswith("12.0 "), done.stderr


PROCESSES = """
import multiprocessing, pickle
import numpy as np
import lem
from lem.dims import N

@lem.kernel
def double(x: lem.f64[N], y: lem.out[lem.f64[N]]) -> None:
    for i in lem.grid(N):
        y[i] = 2.0 * x[i]

def work(f, n):
    y = np.zeros(n)
    f(np.ones(n), y)
    return y.sum()

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(double)) is double
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(*pool.starmap(work, [(double, 3), (double, 4)]))
"""


def test_kernels_go_to_other_processes(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROCESSES)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=120, env=environment())
    assert (done.stdout, done.returncode) == ("6.0 8.0\n", 0), done.stderr


def test_a_method_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`.*Box.fill` has a `self`: a kernel is no method"):

        class Box:
            @lem.kernel
            def fill(self, x: lem.out[lem.f32[N]]) -> None:
                for i in lem.grid(N):
                    x[i] = 1.0
