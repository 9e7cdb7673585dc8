"""A program compiled ahead of time for the tests: made once per process, used by many."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from .cli import lem

PROGRAM = """\
kernel axpy[N](x: f32[N], y: inout f32[N], a: f32 = 2.0):
    for i in grid(N):
        y[i] = a * x[i] + y[i]


kernel pick[M, N](x: f32[M], idx: i32[N]) -> y: f32[N]:
    for i in grid(N):
        y[i] = x[idx[i]]


kernel transpose[M, N](a: f64[M, N]) -> b: f64[N, M]:
    for i, j in grid(N, M):
        b[i, j] = a[j, i]


task main[N](x: f32[N], idx: i32[N]) -> (y: f32[N], last: f32):
    y = pick(x, idx)
    axpy(x, y, a=3.0)
    last = y[N - 1]
    print("N is", N)
"""


@cache
def folder() -> Path:
    """A folder that lives as long as the process, with `program.lem`."""
    made = tempfile.TemporaryDirectory(prefix="lem-bundle-")
    _alive.append(made)
    (Path(made.name) / "program.lem").write_text(PROGRAM, encoding="utf-8")
    return Path(made.name)


_alive: list[tempfile.TemporaryDirectory[str]] = []


@cache
def bundle(cpu: str = "baseline,host", entry: str = "") -> Path:
    """The program as a bundle."""
    path = folder() / f"{cpu}{entry}.lemb".replace(":", "-")
    said = lem("build", f"program.lem{entry}", "--cpu", cpu, "-o", path, cwd=folder())
    assert said.code == 0, said.err
    return path
