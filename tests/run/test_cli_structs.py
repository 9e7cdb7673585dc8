"""Structs on the command line (LANGUAGE 34, 44): records in .npy, fields apart in .npz and .safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.cli import Said, lem

Array = np.ndarray[Any, Any]

PROGRAM = """
struct Point:
    x: f32
    y: f32

struct Body:
    at: Point
    mass: f64
    n: i32

kernel move[N](a: Body[N], by: Point, b: out Body[N]) -> (total: f64, end: Point):
    for i in grid(N):
        b[i] = Body(Point(a[i].at.x + by.x, a[i].at.y + by.y), a[i].mass, a[i].n + 1)
    total = sum(a[i].mass for i in N)
    end = Point(by.x * 2, 0)
"""
POINT = np.dtype([("x", "f4"), ("y", "f4")])
BODY = np.dtype([("at", POINT), ("mass", "f8"), ("n", "i4")])


def bodies(n: int = 4) -> Array:
    made = np.zeros(n, BODY)
    made["at"]["x"], made["mass"], made["n"] = np.arange(n), 2, np.arange(n) * 10
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "move.lem").write_text(PROGRAM)
    np.save(tmp_path / "a.npy", bodies())
    return tmp_path


def move(folder: Path, *args: str) -> Said:
    return lem("run", "move.lem", *args, cwd=folder)


BY = ("by.x=1", "by.y=-0.5")


def assert_moved(b: Any) -> None:
    assert b["at"]["x"].tolist() == [1, 2, 3, 4] and b["at"]["y"].tolist() == [-0.5] * 4
    assert b["mass"].tolist() == [2] * 4 and b["n"].tolist() == [1, 11, 21, 31]


def nested(z: Any, prefix: str = "") -> dict[str, Any]:
    return {"at": {"x": z[f"{prefix}at.x"], "y": z[f"{prefix}at.y"]}, "mass": z[f"{prefix}mass"], "n": z[f"{prefix}n"]}


def test_rule_44_records_in_records_out(folder: Path) -> None:
    before = (folder / "a.npy").read_bytes()
    said = move(folder, "a=a.npy", *BY, "-o", "b=b.npy")
    assert said.code == 0 and "b: Body[4] written to b.npy" in said.out
    assert "field `mass` of `a` was copied" in said.err  # the record is packed: its f64 lies at odd places
    written = np.load(folder / "b.npy")
    assert_moved(written)
    assert written.dtype.names == ("at", "mass", "n") and (folder / "a.npy").read_bytes() == before
    again = move(folder, "a=b.npy", *BY)
    assert again.code == 0 and not again.err  # what lem writes is aligned


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_rule_34_fields_apart_in_one_file(folder: Path, suffix: str) -> None:
    assert move(folder, "a=a.npy", *BY, "-o", f"b=b.{suffix}").code == 0
    if suffix == "npz":
        assert_moved(nested(np.load(folder / "b.npz")))
    assert move(folder, f"a=b.{suffix}", "by.x=-1", "by.y=0.5", "-o", "b=c.npy").code == 0
    back = np.load(folder / "c.npy")
    assert back["at"]["x"].tolist() == [0, 1, 2, 3] and back["n"].tolist() == [2, 12, 22, 32]


def test_rule_34_fields_from_files_of_their_own(folder: Path) -> None:
    a = bodies()
    for name, part in (("x", a["at"]["x"]), ("y", a["at"]["y"]), ("mass", a["mass"]), ("n", a["n"])):
        np.save(folder / f"{name}.npy", part)
    given = ("a.at.x=x.npy", "a.at.y=y.npy", "a.mass=mass.npy", "a.n=n.npy")
    said = move(folder, *given, *BY, "-o", "b=b.npy")
    assert said.code == 0 and not said.err
    assert_moved(np.load(folder / "b.npy"))
    assert "`a.n` (i32[N]) is missing" in move(folder, *given[:3], *BY).err
    np.save(folder / "n.npy", a["mass"])
    assert "`a.n` is declared i32, but `n.npy` holds f64" in move(folder, *given, *BY).err
    np.save(folder / "n.npy", a["n"][1:])
    said = move(folder, *given, *BY)
    assert "field `n` of `a` is an array of shape [3], and field `at.x` an array of shape [4]" in said.err


def test_rule_44_what_is_not_written_is_summarised_by_field(folder: Path) -> None:
    said = move(folder, "a=a.npy", *BY)
    lines = said.out.splitlines()
    assert "b: Body[4]" in lines and "  at.x: f32  min 1  max 4  mean 2.5" in lines and "total: f64 = 8.0" in lines
    assert lines[lines.index("end: Point") + 1 :][:2] == ["  x: f32 = 2.0", "  y: f32 = 0.0"]
    told = lem("run", "move.lem", "a=a.npy", *BY, "--json", cwd=folder).json["outputs"]
    assert told["b"]["dtype"] == "Body" and told["b"]["shape"] == [4] and told["b"]["fields"]["n"]["max"] == 31
    assert told["end"]["fields"]["x"]["value"] == 2.0


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros(4, POINT), "`a` has no field `at.x`; a `Body` has at.x: f32, at.y: f32, mass: f64, n: i32"),
        (np.zeros(4, np.float32), "`a` is an array of `Body`, found f32"),
        (np.zeros(4, [("at", POINT), ("mass", "f4"), ("n", "i4")]), "field `mass` of `a` is f64, found f32"),
        (np.zeros(4, [("at", POINT), ("mass", "f8"), ("n", "i4"), ("q", "i4")]), "`a` has a field `q`"),
        (np.zeros((4, 1), BODY), "`a` has 1 axis, but an array of shape [4, 1] is given"),
    ],
)
def test_rule_34_files_that_do_not_hold_the_struct(folder: Path, array: Array, text: str) -> None:
    np.save(folder / "bad.npy", array)
    said = move(folder, "a=bad.npy", *BY)
    assert said.code != 0 and text in said.err and "`bad.npy` holds" in said.err


def test_rule_34_numbers_of_a_struct_are_given_by_field(folder: Path) -> None:
    assert "`by.y` (f32) is missing" in move(folder, "a=a.npy", "by.x=1").err
    assert "give its fields: by.x=... by.y=..." in move(folder, "a=a.npy", "by=1").err
    assert "`move` has no parameter or dimension `by.z`" in move(folder, "a=a.npy", *BY, "by.z=1").err
    assert "`by.x` is one f32; `no` is not a number" in move(folder, "a=a.npy", "by.x=no", "by.y=1").err
    assert "`a` is given whole and field by field" in move(folder, "a=a.npy", "a.n=a.npy", *BY).err
    assert "`a` (Body[N]) is missing" in move(folder, *BY).err
    assert "`b` is a result of `move`; it is not given" in move(folder, "a=a.npy", "b=a.npy", *BY).err


@pytest.mark.parametrize("suffix", ["png", "csv"])
def test_rule_44_formats_without_records_are_refused_early(folder: Path, suffix: str) -> None:
    said = move(folder, "a=a.npy", *BY, "-o", f"b=b.{suffix}")
    assert f"`b` is an array of `Body`, which .{suffix} cannot hold" in said.err
    (folder / "a.csv").write_text("1,2,3,4\n")
    assert said.code != 0 and move(folder, "a=a.csv", *BY).code != 0


def test_rule_38_tests_make_structs_and_compare_them(tmp_path: Path) -> None:
    (tmp_path / "t.lem").write_text(
        PROGRAM
        + """
kernel shift[N](b: inout Body[N], by: Point):
    for i in grid(N):
        b[i] = Body(Point(b[i].at.x + by.x, b[i].at.y + by.y), b[i].mass, b[i].n)

fn flip(p: Point) -> Point: return Point(p.y, p.x)

kernel first[N](b: Body[N]) -> p: Point where N > 0:
    p = b[0].at

test "right":
    b = zeros(Body, 3)
    step = Point(1, 2)
    shift(b, step)
    shift(b, flip(step))
    check b[1].at.x == 3
    check b[2].at == Point(3, 3)
    p = first(b)
    check p == Point(3, 3) within 1e-6
    t: Body[3] = Body(Point(3, 3), 0, 0)
    check b == t

test "wrong":
    t: Body[2] = Body(Point(0, 1), 0, 0)
    check zeros(Body, 2) == t within 0.1
"""
    )
    said = lem("test", "t.lem", cwd=tmp_path)
    assert "1 passed, 1 failed" in said.out
    assert "field `at`: field `y`: left is 0.0, right is 1.0 at [0] (and 1 more)" in said.out
