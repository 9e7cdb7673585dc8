"""What stands above ``@lem.kernel``: targets, preferences, accuracy, variants; and how a spawned call is run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import lem
from lem.diagnostics import Diagnostics
from lem.dims import N
from lem.embed.program import item_of
from lem.source import SourceFile
from lem.syntax import ast, parse
from tests.support.doors import lem_of, python_of

PROGRAM = """
LARGE = 4

@on(cpu, gpu)
@within(rel=1e-3)
@prefer(gpu, when=N > 1000 and k > 2)
kernel scale[N](x: inout f32[N], k: int):
    for i in grid(N):
        x[i] = x[i] * f32(k)


@variant(of=scale, on=cpu, when=k == LARGE + 1)
kernel scale5[N](x: inout f32[N], k: int):
    for i in grid(N):
        x[i] = 0.5


@variant(of=scale, on=cpu, when=N > LARGE)
kernel scale_many[N](x: inout f32[N], k: int):
    for i in grid(N):
        x[i] = 0.25


task both[N](x: inout f32[N], y: inout f32[N]):
    spawn scale(x, 3) on cpu near x priority 3 for energy
    spawn scale(y, 5) on cpu
"""


def ones(n: int) -> np.ndarray:
    return np.ones(n, np.float32)


@pytest.fixture
def program(tmp_path: Path) -> ModuleType:
    made, problems = python_of(PROGRAM)
    assert made is not None, problems
    (tmp_path / "hinted.py").write_text(made, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("hinted", tmp_path / "hinted.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_fmt_writes_runs(program: ModuleType) -> None:
    x, y, z = ones(2), ones(2), ones(5)
    program.scale(x, 3)
    program.scale(y, 5)
    program.scale(z, 3)
    assert (x[0], y[0], z[0]) == (3, 0.5, 0.25)
    x, y = ones(2), ones(2)
    program.both(x, y)
    assert (x[0], y[0]) == (3, 0.5)


def test_conditions_on_parameters_are_text_in_python() -> None:
    made, _ = python_of(PROGRAM)
    assert made is not None and 'when="N > 1000 and k > 2"' in made and "when=N > LARGE)" in made
    back, problems = lem_of(made)
    assert back is not None, problems
    assert "when=k == LARGE + 1" in back and '"' not in back
    below = "@variant(of=g)\nkernel f[N](x: out f32[N]):\n    x[:] = 1\n\nkernel g[N](x: out f32[N]):\n    x[:] = 2\n"
    made, problems = python_of(below)
    assert made is None and "`g` is defined below" in problems[0].label


@lem.on(lem.gpu)
@lem.kernel
def away(x: lem.inout[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        x[i] = 2.0


@lem.kernel
def base(x: lem.inout[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        x[i] = 2.0


@lem.variant(of=base)
@lem.kernel
def other(x: lem.inout[lem.f64[N]]) -> None:
    for i in lem.grid(N):
        x[i] = 2.0


@lem.on()
@lem.within(rel=-1.0)
@lem.kernel
def misused(x: lem.inout[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        x[i] = 2.0


def test_they_are_checked_as_in_a_file() -> None:
    with pytest.raises(lem.CompileError, match="`away` is for cuda or opencl, and no such device is here"):
        away(ones(1))
    with pytest.raises(lem.CompileError, match="`base` is .*f32") as e:
        base.check()
    assert e.value.code == "E0504"
    with pytest.raises(lem.CompileError) as e:
        misused.check()
    assert "`@on` names targets" in str(e.value) and "`@within` takes a relative error" in str(e.value)


def test_a_decorator_in_the_wrong_place_is_refused_at_once() -> None:
    def plain(x: lem.f32[N]) -> None: ...

    with pytest.raises(TypeError, match=r"`@lem.on\(...\)` stands above `@lem.kernel`"):
        lem.on(lem.cpu)(plain)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`of` is a function under @lem.kernel"):
        lem.variant(of=plain)(away)  # type: ignore[arg-type]


def test_a_variant_that_comes_too_late_is_refused(program: ModuleType) -> None:
    program.scale(ones(1), 3)
    with pytest.raises(TypeError, match="`scale` was used before its variant `away`"):
        lem.variant(of=program.scale)(away)


def test_the_trees_are_the_same() -> None:
    diags = Diagnostics()
    assert away.decorated is not None
    made, _ = item_of(away.decorated, diags)
    text = "@on(gpu)\nkernel away[N](x: inout f32[N]):\n    for i in grid(N):\n        x[i] = 2.0\n"
    assert ast.same(made, parse(SourceFile("a.lem", text), diags).items[0])
