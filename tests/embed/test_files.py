"""``.lem`` files in Python: loaded by path, and imported like modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lem
from tests.support import ROOT

BLUR = '''"""Averages."""

kernel blur[N](x: f32[N], y: out f32[N]):
    """Of three neighbours."""
    for i in grid(N):
        y[i] = (clamp(x)[i - 1] + x[i] + clamp(x)[i + 1]) / 3.0

kernel largest[T: number, N](x: T[N]) -> top: T:
    top = max(x[i] for i in N)

task twice[N](x: f32[N], y: out f32[N]):
    t: f32[N]
    blur(x, t)
    blur(t, y)
'''


def test_load_gives_callables(tmp_path: Path) -> None:
    path = tmp_path / "soft.lem"
    path.write_text(BLUR, encoding="utf-8")
    soft = lem.load(path)
    x, y = np.array([3, 0, 0, 6], np.float32), np.zeros(4, np.float32)
    for _ in range(3):
        soft.blur(x, y)
    assert y.tolist() == [2, 1, 2, 4]
    soft.twice(x, y)
    assert soft.largest(np.array([1, 5, 2])) == 5 and soft.largest(x) == 6.0
    assert (soft.__doc__, soft.blur.__doc__) == ("Averages.", "Of three neighbours.")
    assert repr(soft.blur) == "<lem kernel blur: 1 specialisation>"


def test_load_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "bad.lem"
    path.write_text("kernel f[N](y: out f32[N]):\n    for i in grid(N):\n        y[i] = x\n", encoding="utf-8")
    with pytest.raises(lem.CompileError, match="`x` is not defined") as e:
        lem.load(path)
    assert e.value.code == "E0201"
    with pytest.raises(lem.CompileError, match="no such file"):
        lem.load(tmp_path / "none.lem")


def test_import_finds_lem_files(tmp_path: Path) -> None:
    (tmp_path / "soft.lem").write_text(BLUR, encoding="utf-8")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "pack" / "inner.lem").write_text(BLUR, encoding="utf-8")
    (tmp_path / "math.lem").write_text("this is no program", encoding="utf-8")
    program = """
import lem.importer
import math
import numpy as np
import soft
from pack import inner
y = np.zeros(2, np.float32)
inner.blur(np.array([3, 0], np.float32), y)
print(soft.blur, y, math.pi > 3, soft.__name__)
"""
    call = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "<lem kernel blur: not compiled yet> [2. 1.] True soft\n"
