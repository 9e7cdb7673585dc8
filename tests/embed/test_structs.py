"""Structs and tests of a Python module: ``@lem.struct``, ``@lem.test``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lem
from lem.dims import N
from tests.embed import typed_program
from tests.support import ROOT


@lem.struct
class Vec:
    """A place."""

    x: lem.f64
    y: lem.f64


@lem.struct
class Body:
    at: Vec
    mass: lem.f32
    n: int


@lem.fn
def sum_of(a: Vec, b: Vec) -> Vec:
    return Vec(a.x + b.x, y=a.y + b.y)


@lem.kernel
def shift(b: lem.inout[Body[N]], by: Vec) -> None:  # type: ignore[type-arg]
    for i in lem.grid(N):
        b[i] = Body(sum_of(b[i].at, by), b[i].mass, b[i].n + 1)


@lem.kernel("(b: Body[N]) -> c: Vec")
def center(b):
    """With a signature that is text, and a local array of structs."""
    places: Vec[N]
    for i in grid(N):  # noqa: F821
        places[i] = b[i].at
    c = Vec(sum(places[i].x for i in N), sum(places[i].y for i in N))


@lem.kernel
def records(b: lem.aos[Body, N], x: lem.out[lem.f64[N]]) -> None:
    for i in lem.grid(N):
        x[i] = b[i].at.x


def bodies() -> np.ndarray:
    b = np.zeros(2, Body)
    b["at"]["x"] = [1, 2]
    return b


def test_kernels_take_arrays_of_structs_and_single_ones() -> None:
    b = bodies()
    shift(b, Vec(10, 20))
    assert b["at"]["x"].tolist() == [11, 12] and b["at"]["y"].tolist() == [20, 20] and b["n"].tolist() == [1, 1]
    c = center(b)
    assert (c["x"], c["y"]) == (23, 40)
    with lem.interpret():
        shift(b, (1.0, 0.0))
    assert b["at"]["x"].tolist() == [12, 13]


def test_a_layout_stands_in_the_annotation() -> None:
    x = np.zeros(2)
    records(bodies(), x)
    assert x.tolist() == [1, 2]
    parts = {"at": {"x": np.ones(2), "y": np.ones(2)}, "mass": np.ones(2, np.float32), "n": np.ones(2, np.int64)}
    with pytest.raises(lem.CallError, match="aos|record"):
        records(parts, x)


def test_annotations_may_be_evaluated(tmp_path: Path) -> None:
    """Without ``from __future__ import annotations``, and from another module."""
    (tmp_path / "points.py").write_text("import lem\n@lem.struct\nclass P:\n    x: lem.f32\n", encoding="utf-8")
    (tmp_path / "uses.py").write_text(
        "import lem, points, numpy as np\nfrom lem.dims import N\n"
        "@lem.kernel\ndef f(p: points.P[N].soa, q: lem.out[points.P[N]]) -> None:\n"
        "    for i in lem.grid(N):\n        q[i] = points.P(p[i].x + 1.0)\n"
        "q = np.zeros(2, points.P)\nf({'x': np.ones(2, np.float32)}, q)\nprint(q['x'].tolist(), points.P, points.P[N])\n",
        encoding="utf-8",
    )
    run = [sys.executable, "uses.py"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.stdout == "[2.0, 2.0] <lem struct P> P[...]\n", done.stderr
    (tmp_path / "points.py").write_text(
        "import lem\n@lem.struct\nclass P:\n    x: lem.f64  # another size: Python looks at that\n", encoding="utf-8"
    )  # the code that was kept is of another program
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert "field `x` of `p` is f64, found f32" in done.stderr


def test_structs_of_one_name_are_told_apart() -> None:
    def made() -> tuple[lem.Function, type]:
        @lem.struct
        class Vec:
            z: lem.f64

        @lem.kernel
        def f(a: lem.array[Vec, N], b: lem.out[lem.f64[N]]) -> None:
            for i in lem.grid(N):
                b[i] = doubled(Vec(a[i].z + 1.0).z).y

        return f, Vec

    f, inner = made()
    b = np.zeros(1)
    f(np.ones(1, inner), b)
    assert b.tolist() == [4]


@lem.fn
def doubled(x: lem.f64) -> Vec:
    return Vec(0.0, 2.0 * x)


@lem.struct
class Wrong:
    x: lem.f64 = 0  # type: ignore[assignment]
    y: str


@lem.kernel
def uses_wrong(w: lem.array[Wrong, N]) -> None:
    for i in lem.grid(N):
        print(w[i].x)


def test_what_is_no_struct_is_said_where_it_stands() -> None:
    with pytest.raises(lem.CompileError) as e:
        uses_wrong.check()
    assert "a struct has fields, one `name: type` per line" in str(e.value) and "`str` is no type of lem" in str(e.value)
    with pytest.raises(TypeError, match="a `Vec` has the fields x, y, each given once"):
        Vec(1)  # type: ignore[call-arg]


# ---------------------------------------------------------------- tests
@lem.kernel("(x: f32[N]) -> y: f32[N]")
def twice(x):
    for i in grid(N):  # noqa: F821
        y[i] = 2.0 * x[i]


@lem.kernel("(x: f32[N], k: int) -> y: f32")
def at(x, k):
    y = x[k]


@lem.test("doubles")
def doubles() -> None:
    a = twice(f32([1, 2]))  # noqa: F821
    check(a == f32([2, 4]))  # noqa: F821
    for k in range(2):
        check(a[k] == 2.02 * f32(k + 1), within=0.1)  # noqa: F821
    check(at(a, 7), fails="E0605")  # noqa: F821
    print("done")


@lem.test("does not hold")
def wrong() -> None:
    if 1 < 2:
        check(twice(f32([1, 2])) == f32([2, 5]))  # noqa: F821


@lem.test
def misspelt() -> None:
    check(1 == 1, wihtin=2)  # noqa: F821


def test_a_test_is_called(capfd: pytest.CaptureFixture[str]) -> None:
    doubles()
    assert capfd.readouterr().out == "done\n"
    assert repr(doubles) == "<lem test doubles: call it to run it>" and "doubles" in str(lem.explain(doubles))
    with pytest.raises(lem.Fault, match="left is 4.0, right is 5.0") as e:
        wrong()
    assert e.value.code == "E0617" and "test_structs.py" in str(e.value)
    with pytest.raises(lem.CompileError, match="`check` takes one condition or call"):
        misspelt()
    with pytest.raises(lem.CallError, match="is a test: it takes no arguments"):
        doubles(1)
    with pytest.raises(ValueError, match="a test is not compiled"):
        doubles.inspect()


def test_pytest_runs_the_tests_of_a_module(tmp_path: Path) -> None:
    text = "import lem\n@lem.test('t')\ndef test_good():\n    check(1 < 2)\n"
    text += "@lem.test('u')\ndef test_bad():\n    check(1 > 2)\n"
    (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert "1 failed, 1 passed" in done.stdout and "check(1 > 2)" in done.stdout, done.stdout


def test_the_command_says_how_tests_of_python_are_run() -> None:
    run = [sys.executable, "-m", "lem", "test", __file__]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2 and "is a module of Python" in done.stderr and "with pytest" in done.stderr, done


def test_the_typed_program_has_structs() -> None:
    typed_program.test_moved()  # mypy reads it in tests/embed/test_door.py


# ---------------------------------------------------------------- of files
PARTICLES = """
from places import At

struct Particle:
    at: At
    mass: f32
    alive: bool

struct Pair:
    a: Particle
    n: int

fn moment(p: Particle) -> f64:
    return p.mass * p.at.x

kernel moved[N](p: Particle[N], dx: f64, q: out Particle[N]):
    for i in grid(N):
        q[i] = Particle(At(p[i].at.x + dx, p[i].at.y), p[i].mass, p[i].alive)
"""


def test_structs_of_a_file_are_those_of_python(tmp_path: Path) -> None:
    (tmp_path / "places.lem").write_text("struct At:\n    x: f64\n    y: f64\n")
    (tmp_path / "particles.lem").write_text(PARTICLES)
    m: Any = lem.load(tmp_path / "particles.lem")
    Particle = m.Particle  # noqa: N806
    assert "struct Particle, struct Pair, fn moment, kernel moved" in repr(m) and repr(Particle) == "<lem struct Particle>"
    assert Particle.dtype.names == ("at", "mass", "alive") and m.Pair.dtype["a"] == Particle.dtype
    p, q = np.zeros(3, Particle), np.zeros(3, Particle)
    p[1] = Particle(at=(1.0, 2.0), mass=3.0, alive=True)
    m.moved(p, 2.0, q)
    assert q["at"]["x"].tolist() == [2, 3, 2] and q[1]["mass"] == 3

    @lem.kernel
    def summed(p: m.Particle[N], s: lem.reduce_add[lem.f64[1]]) -> None:
        for i in lem.grid(N):
            s[0] += m.moment(p[i])

    @lem.kernel("x: f64[N], p: inout m.Particle[N]")
    def made(x, p):  # type: ignore[no-untyped-def]
        for i in grid(N):  # type: ignore[name-defined]  # noqa: F821
            p[i] = m.Particle(p[i].at, 2.0, x[i] > 0.0)

    s = np.zeros(1)
    summed(q, s)
    assert s[0] == 9
    made(np.arange(3.0), q)
    assert q["alive"].tolist() == [False, True, True] and q["mass"].tolist() == [2, 2, 2]
    with pytest.raises(lem.UsageError, match="a `Particle` has the fields at, mass, alive, each given once"):
        Particle(1.0)
