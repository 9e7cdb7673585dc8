"""All thirty kernels of PolyBench/C, written in lem, against NumPy: round, ragged and degenerate sizes.

Each program runs on the interpreter and on the CPU, with one thread and with two; all three give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.programs import polybench_reference as reference
from tests.support.run import run_kernel

Array = np.ndarray[Any, Any]
Values = dict[str, Any]
PROGRAMS = Path(__file__).resolve().parents[1] / "programs" / "polybench"
LOOPS = PROGRAMS.parent / "polybench_loops"
SIZES = (0, 1, 2, 7, 16, 33)

F64 = 1e-13  # a handful of roundings, relative to the largest value of the result
SOLVER = 1e-11  # errors grow along the recurrence
F32 = 1e-4  # the filter feeds back: an error of one rounding is carried on some twenty times


@dataclass(frozen=True)
class Case:
    inputs: Callable[[int], Values]
    expected: Callable[..., Values]
    within: float  # max |a - b| <= within * max |b|; 0 is exact


def uniform(*shape: int, dtype: Any = np.float64) -> Array:
    return np.random.default_rng(sum(shape)).uniform(-1.0, 1.0, shape).astype(dtype)


def arrays(n: int, **shapes: str) -> Values:
    """Arrays of the given axes: i, j, k, l, m are n or near it, so that a size taken for another shows."""
    near = {"i": n, "j": n + 1, "k": max(n - 1, 0), "l": n + 2, "m": n + 3}
    if n == 16:
        near = dict.fromkeys(near, n)
    return {name: uniform(*(near[axis] for axis in axes)) + i / 8 for i, (name, axes) in enumerate(shapes.items())}


def definite(n: int) -> Array:
    """Symmetric, and far from singular."""
    a = uniform(n, n)
    return a @ a.T + n * np.eye(n)


def dominant(n: int) -> Array:
    """Its factors exist without pivoting."""
    return uniform(n, n) + n * np.eye(n)


def distances(n: int) -> Array:
    return np.random.default_rng(n).integers(1, 1000, (n, n)).astype(np.int32)


SCALE: Values = {"alpha": 1.5, "beta": -1.25}

CASES = {
    "2mm": Case(lambda n: arrays(n, a="ik", b="kj", c="jl", d="il") | SCALE, reference.two_mm, F64),
    "3mm": Case(lambda n: arrays(n, a="ik", b="kj", c="jm", d="ml"), reference.three_mm, F64),
    "adi": Case(lambda n: {"u": uniform(n, n), "steps": 5}, reference.adi, SOLVER),
    "atax": Case(lambda n: arrays(n, a="ij", x="j"), reference.atax, F64),
    "bicg": Case(lambda n: arrays(n, a="ij", p="j", r="i"), reference.bicg, F64),
    "cholesky": Case(lambda n: {"a": definite(n)}, reference.cholesky, SOLVER),
    "correlation": Case(lambda n: arrays(n, data="il"), reference.correlation, F64),
    "covariance": Case(lambda n: arrays(n, data="il"), reference.covariance, F64),
    "deriche": Case(lambda n: {"image": uniform(n, n + 4, dtype=np.float32), "alpha": 0.25}, reference.deriche, F32),
    "doitgen": Case(lambda n: arrays(n, a="jik", c4="kk"), reference.doitgen, F64),
    "durbin": Case(lambda n: {"r": uniform(n) / (1 + n)}, reference.durbin, SOLVER),
    "fdtd-2d": Case(lambda n: arrays(n, ex="ij", ey="ij", hz="ij") | {"fict": uniform(6)}, reference.fdtd_2d, F64),
    "floyd-warshall": Case(lambda n: {"path": distances(n)}, reference.floyd_warshall, 0),
    "gemm": Case(lambda n: arrays(n, a="ik", b="kj", c="ij") | SCALE, reference.gemm, F64),
    "gemver": Case(lambda n: arrays(n, a="ii", u1="i", v1="i", u2="i", v2="i", y="i", z="i") | SCALE, reference.gemver, F64),
    "gesummv": Case(lambda n: arrays(n, a="ii", b="ii", x="i") | SCALE, reference.gesummv, F64),
    "gramschmidt": Case(lambda n: {"a": uniform(n + 5, n)}, reference.gramschmidt, SOLVER),
    "heat-3d": Case(lambda n: arrays(n, a="iii", b="iii") | {"steps": 4}, reference.heat_3d, F64),
    "jacobi-1d": Case(lambda n: arrays(n, a="i", b="i") | {"steps": 6}, reference.jacobi_1d, F64),
    "jacobi-2d": Case(lambda n: arrays(n, a="ii", b="ii") | {"steps": 6}, reference.jacobi_2d, F64),
    "lu": Case(lambda n: {"a": dominant(n)}, reference.lu, SOLVER),
    "ludcmp": Case(lambda n: {"a": dominant(n), "b": uniform(n)}, reference.ludcmp, SOLVER),
    "mvt": Case(lambda n: arrays(n, a="ii", x1="i", x2="i", y1="i", y2="i"), reference.mvt, F64),
    "nussinov": Case(lambda n: {"seq": (np.arange(n) ** 2 % 7 % 4).astype(np.uint8)}, reference.nussinov, 0),
    "seidel-2d": Case(lambda n: {"a": uniform(n, n), "steps": 3}, reference.seidel_2d, F64),
    "symm": Case(lambda n: arrays(n, a="ii", b="ij", c="ij") | SCALE, reference.symm, F64),
    "syr2k": Case(lambda n: arrays(n, a="ij", b="ij", c="ii") | SCALE, reference.syr2k, F64),
    "syrk": Case(lambda n: arrays(n, a="ij", c="ii") | SCALE, reference.syrk, F64),
    "trisolv": Case(lambda n: {"l": dominant(n), "b": uniform(n)}, reference.trisolv, SOLVER),
    "trmm": Case(lambda n: arrays(n, a="ii", b="ij") | {"alpha": 1.5}, reference.trmm, F64),
}

ELEMENT_BY_ELEMENT = {"adi", "ludcmp", "seidel-2d"}  # sequential code: the interpreter takes seconds for large ones


@cache
def program(name: str) -> str:
    return (PROGRAMS / f"{name}.lem").read_text()


def entry(name: str) -> str | None:
    return "main" if "task main" in program(name) else None


def test_every_program_is_here() -> None:
    assert len(CASES) == 30
    assert sorted(CASES) == sorted(path.stem for path in PROGRAMS.glob("*.lem"))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # 0 / 0 in tables without rows
def test_polybench(name: str, n: int) -> None:
    case = CASES[name]
    given = case.inputs(n)
    got = run_kernel(program(name), entry(name), **given)
    for result, exact in case.expected(**given).items():
        assert_near(got[result], exact, case.within)
    others = [("cpu", 2)] if n > 16 and name in ELEMENT_BY_ELEMENT else [("cpu", 2), ("interp", 1)]
    for target, threads in others:
        again = run_kernel(program(name), entry(name), target=target, threads=threads, **given)
        for result, exact in got.items():
            assert bits(again[result]) == bits(exact), f"{result} on {target}, threads={threads}"


@pytest.mark.parametrize("n", [1, 2, 7, 16])
@pytest.mark.parametrize("name", sorted(path.stem for path in LOOPS.glob("*.lem")))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_polybench_in_the_loops_of_c(name: str, n: int) -> None:
    """The same results where sums, rows and columns are spelled as loops over elements."""
    case, text = CASES[name], (LOOPS / f"{name}.lem").read_text()
    given = case.inputs(n)
    for target in ("cpu", "interp"):
        got = run_kernel(text, target=target, **given)
        for result, exact in case.expected(**given).items():
            if result in got:
                assert_near(got[result], exact, case.within)


def bits(a: Array) -> bytes:
    """Its bytes; any NaN is as good as another."""
    return np.where(np.isnan(a), np.nan, a).astype(a.dtype).tobytes()


def assert_near(got: Array, exact: Array, within: float) -> None:
    assert got.shape == exact.shape
    assert np.array_equal(np.isnan(got), np.isnan(exact))
    error = np.nanmax(np.abs(got - exact), initial=0.0)
    assert error <= within * np.nanmax(np.abs(exact), initial=0.0)
