"""The door itself: what importing costs, and that type checkers accept what is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT


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
