"""The verbs beside ``run``: check, test, build, explain, cache, devices, doctor, help."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lem.cli import Exit
from lem.cli.arguments import VERBS
from lem.diagnostics import CODES
from tests.support import ROOT
from tests.support.cli import Said, lem

RIGHT = """\
kernel scale[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = x[i] * 2.0


test "doubles":
    x = f32([1.0, 2.0])
    y = zeros(f32, 2)
    scale(x, y)
    check y == f32([2.0, 4.0])
"""
WRONG = RIGHT.replace("x[i] * 2.0", "z[i] * 2.0")
FAILS = RIGHT.replace("4.0", "5.0")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name, text in (("right", RIGHT), ("wrong", WRONG), ("fails", FAILS)):
        (tmp_path / f"{name}.lem").write_text(text)
    return tmp_path


def on(folder: Path, line: str) -> Said:
    return lem(*line.split(), cwd=folder)


# ---------------------------------------------------------------- help and mistakes of the command line
def test_help(here: Path) -> None:
    text = on(here, "--help").out
    assert all(f"  {verb.name} " in text for verb in VERBS) and "exit codes:" in text
    assert on(here, "help").out == on(here, "-h").out == text
    nothing = on(here, "")
    assert (nothing.code, nothing.out) == (Exit.USAGE, text)
    for verb in VERBS:
        said = on(here, f"{verb.name} --help")
        assert said.code == 0 and said.out.startswith(f"usage: lem {verb.name}")
        assert on(here, f"help {verb.name}").out == said.out
        assert all(len(line) <= 120 for line in said.out.splitlines())


def test_version(here: Path) -> None:
    assert on(here, "--version").out.startswith("lem 0.")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chekc right.lem", "did you mean `lem check`?"),
        ("frobnicate", "there are run, check"),
        ("right.lem", "to run it: lem run right.lem"),
        ("--jsno", "no option `--jsno` before the verb"),
        ("check", "`lem check` needs FILE"),
        ("help frobnicate", "there is no verb `frobnicate`"),
        ("check right.lem --josn", "did you mean `--json`?"),
        ("cache", "`lem cache` needs list|clear|path"),
        ("cache empty", "`lem cache` does not know `empty`"),
        ("cache list all", "`all` is one word too many"),
        ("explain Python", "`lem explain` lists all codes"),
        ("build right.lem -o", "-o needs a value after it"),
        ("build right.lem --emit llvm", "there are ast, ir, schedule"),
        ("build right.lem --emit as", "--emit does not know `as`"),
        ("build right.lem --show lower", "expected after=STAGE"),
        ("build right.lem --show after=lowr", "did you mean `lower`?"),
        ("build right.lem --dtype f32", "such as T=f32"),
        ("build right.lem --dtype T=f32", "no type parameter `T`"),
    ],
)
def test_command_lines_that_are_not_understood(here: Path, line: str, said: str) -> None:
    told = on(here, line)
    assert told.code == Exit.USAGE and told.err.count("error[") == 1 and said in told.err, told.err


# ---------------------------------------------------------------- check
def test_check_says_what_is_right_and_what_is_wrong(here: Path) -> None:
    said = on(here, "check right.lem wrong.lem")
    assert said.code == Exit.PROGRAM
    assert said.out == "right.lem: ok (1 kernel, 1 test)\n"
    assert "--> wrong.lem:3:16" in said.err and said.err.count("error[") == 1


def test_check_takes_folders(here: Path) -> None:
    (here / "below").mkdir()
    (here / "below" / "more.lem").write_text(RIGHT)
    assert on(here, "check below").out == "below/more.lem: ok (1 kernel, 1 test)\n"
    told = on(here, "check . --json")
    assert [r["ok"] for r in told.json] == [True, True, True, False] and told.code == Exit.PROGRAM
    (here / "empty").mkdir()
    assert "holds no .lem file" in on(here, "check empty").err


def test_check_of_missing_files(here: Path) -> None:
    said = on(here, "check nope.lem right.lem")
    assert said.code == Exit.USAGE and "nope.lem" in said.err and "right.lem: ok" in said.out


def test_check_shows_conditions_of_a_call(here: Path) -> None:
    (here / "c.lem").write_text(
        "kernel k[N](x: f32[N], y: out f32[N], n: int):\n    for i in grid(N):\n        y[i] = x[n]\n"
    )
    said = on(here, "check c.lem")
    assert said.code == 0 and "every call needs n >= 0" in said.out


def test_examples_are_right() -> None:
    said = lem("check", "examples", cwd=ROOT)
    assert said.code == 0 and said.err == "" and len(said.out.splitlines()) >= 6


BLOCKS = """\
kernel sums[M, N](x: f32[M, N], y: out f32[M]):
    for i in grid(M):
        s: f32 = 0
        for j in tiles(N, 4):
            s = s + sum(x[i, j], over=j)
        y[i] = s


test "sums":
    x = f32([[1, 2, 3, 4, 5, 6]])
    y = zeros(f32, 1)
    sums(x, y)
"""


def test_rule_11_check_and_test_cut_loops_in_other_ways(here: Path) -> None:
    (here / "blocks.lem").write_text(BLOCKS)
    assert on(here, "check blocks.lem").out == "blocks.lem: ok (1 kernel, 1 test)\n"
    assert on(here, "test blocks.lem").code == 0
    (here / "blocks.lem").write_text(BLOCKS.replace("sum(x[i, j], over=j)", "max(x[i, j], over=j)"))
    told = on(here, "check blocks.lem")
    assert told.code == Exit.PROGRAM and "--> blocks.lem:4:9" in told.err
    assert "error[E0326]" in told.err and "`sums` run with this cut in blocks of 1: `y` differs" in told.err
    tested = on(here, "test blocks.lem")
    assert tested.code == Exit.PROGRAM and "error[E0326]" in tested.out and "1 failed" in tested.out


def test_rule_11_generic_kernels_are_tried_too(here: Path) -> None:
    generic = BLOCKS.split("\n\n\n")[0].replace("[M, N](x: f32", "[T: float, M, N](x: T").replace("sum(x", "min(x")
    (here / "blocks.lem").write_text(generic.replace("out f32", "out T").replace("s: f32", "s: T"))
    assert "error[E0326]" in on(here, "check blocks.lem").err


def test_rule_11_check_says_what_it_could_not_try(here: Path) -> None:
    never = BLOCKS.replace("        y[i] = s\n", '        assert s > 1e6, "too small"\n        y[i] = s\n')
    (here / "blocks.lem").write_text(never)
    assert "sums: not tried with other blocks: made-up inputs do not suit it: too small" in on(here, "check blocks.lem").out
    endless = BLOCKS.replace("        y[i] = s\n", "        while s < 0:\n            s = s * 0.5\n        y[i] = s\n")
    (here / "blocks.lem").write_text(endless)
    assert "not tried with other blocks: it has a `while` loop" in on(here, "check blocks.lem").out


# ---------------------------------------------------------------- test
def test_tests_pass_or_show_both_values(here: Path) -> None:
    said = on(here, "test right.lem")
    assert said.code == 0 and said.out.startswith("ok    right.lem: doubles") and said.out.endswith("1 passed, 0 failed\n")
    said = on(here, "test right.lem fails.lem wrong.lem")
    assert said.code == Exit.PROGRAM and said.out.endswith("1 passed, 1 failed, 1 file with errors\n")
    assert "error[E0617]: check failed" in said.out and "left is 4.0, right is 5.0 at [1]" in said.out


def test_tests_as_json(here: Path) -> None:
    told = on(here, "test right.lem fails.lem wrong.lem --json").json
    assert [t["ok"] for t in told["tests"]] == [True, False] and not told["ok"]
    assert told["tests"][1]["problem"]["code"] == "E0617" and told["broken"][0]["file"] == "wrong.lem"


def test_tests_are_picked_by_name(here: Path) -> None:
    assert on(here, "test . -k doub").out.count(": doubles") == 2
    nothing = on(here, "test right.lem -k halves")
    assert nothing.code == Exit.USAGE and "no test has `halves`" in nothing.out


def test_every_statement_of_a_test(here: Path) -> None:
    (here / "t.lem").write_text(STATEMENTS)
    said = on(here, "test t.lem")
    assert said.code == 0, said.out + said.err
    assert "\nsum is 6\nok    t.lem: statements  (" in said.out


STATEMENTS = (
    RIGHT
    + """

fn ordered(a: i64, b: i64) -> (i64, i64):
    return min(a, b), max(a, b)


kernel total[N](x: i64[N]) -> s: i64:
    s = sum(x[i] for i in N)


kernel pick[N](x: i64[N], idx: i64[N]) -> v: i64:
    v = x[1 + idx[N - 1]]


test "statements":
    a = iota(i64, 4)
    s = total(a)
    print(f"sum is {s}")
    check s == 6
    n = 0
    for i in range(5):
        if i == 3:
            break
        n += i
    while n < 10:
        n = n * 2
    check n == 12
    assert n > 1
    check fails "E0601": pick(a, a)
    check total(zeros(i64, 0)) == 0
    low, high = ordered(n, a[3])
    check low == 3
    check high == n
    u = random.uniform(f32, 1, 50, 3)
    check u == u
    check 1.0 == 1.0 + 1e-9 within 1e-6
"""
)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("check 1 == 2", "left is 1, right is 2"),
        ("check 1.0 == 1.1 within 1e-3", "allowed 0.0011"),
        ("check not true_value(1)", "this is false"),
        ("assert y[0] > 1.0", "`y[0] > 1.0` does not hold"),
        ('check fails "E0601": scale(x, y)', "expected E0601, but the call ended well"),
        ("check y == f32([0.0, nan])", "left is 0.0, right is nan at [1]"),
    ],
)
def test_checks_that_fail(here: Path, check: str, said: str) -> None:
    head = RIGHT[: RIGHT.index("test")] + "fn true_value(n: int) -> bool:\n    return n == 1\n\n\n"
    (here / "t.lem").write_text(f'{head}test "t":\n    x = zeros(f32, 2)\n    y = zeros(f32, 2)\n    {check}\n')
    told = on(here, "test t.lem")
    assert told.code == Exit.PROGRAM and said in told.out, told.out + told.err


SHOWN = """
struct Point:
    x: f32
    n: i64


test "shown":
    a = f32([[0.1, 2.5], [nan, 1]])
    b = bf16([1, 3])
    p = zeros(Point, 2)
    print(a)
    print("b is", b, f"and {p}, a[0, 0] = {a[0, 0]}, {p[1]}")
    assert a[0, 0] > 0.5, f"{a[0, 0]} is small"
"""


def test_tests_print_arrays_and_the_digits_of_f32(here: Path) -> None:
    (here / "t.lem").write_text(SHOWN)
    told = on(here, "test t.lem")
    want = "[[0.1 2.5]\n [nan 1. ]]\nb is [1. 3.] and [(0., 0) (0., 0)], a[0, 0] = 0.1, Point(x=0.0, n=0)\n"
    assert told.out.startswith(want) and "0.1 is small" in told.err + told.out, told.out + told.err


NARROW = """
kernel rounded[N](x: f32[N], y: out T[N]):
    for i in grid(N):
        y[i] = x[i]


test "numbers":
    y = zeros(T, 2)
    rounded(f32([1.0, 2.6]), y)
    z = y[0]
    print(f"{z} {z * 2.0} {y[1] > 2.0}")
    check y == T([1.0, 2.6])
    check z == T(1.0)
    check f32(T(3.0)) == 3.0
"""


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f8e4m3", "f8e5m2"])
def test_tests_see_the_numbers_of_narrow_formats(here: Path, dtype: str) -> None:
    (here / "t.lem").write_text(re.sub(r"\bT\b", dtype, NARROW))
    told = on(here, "test t.lem")
    assert told.code == Exit.DONE and told.out.startswith("1.0 2.0 True\n"), told.out + told.err


# ---------------------------------------------------------------- build
def test_build_shows_every_layer(here: Path) -> None:
    said = on(here, "build right.lem --emit ast,ir,schedule,loops,ll,asm")
    assert said.code == 0, said.err
    heads = [line.split()[1] for line in said.out.splitlines() if line.startswith("==== ")]
    assert heads == ["ast", "ir", "schedule", "loops", "ll", "asm"]
    assert "tile.load" in said.out and "define" in said.out and not list(here.glob("*.o"))


@pytest.mark.parametrize(("stage", "word"), [("parse", "Function kernel"), ("lower", "tile."), ("fuse_fma", "tile.")])
def test_build_shows_boundaries(here: Path, stage: str, word: str) -> None:
    said = on(here, f"build right.lem --show after={stage}")
    assert said.code == 0 and word in said.out and "====" not in said.out


def test_build_writes_an_object(here: Path) -> None:
    said = on(here, "build right.lem")
    assert said.code == 0 and said.out.startswith("scale.o: ")
    assert (here / "scale.o").read_bytes()[:4] == b"\x7fELF"
    assert on(here, "build right.lem:scale --emit obj,ir -o other.o --any-layout").code == 0
    assert (here / "other.o").read_bytes()[:4] == b"\x7fELF"
    assert on(here, "build right.lem --emit ll -o text.ll").out == ""
    assert "define" in (here / "text.ll").read_text()


def test_build_of_wrong_programs_writes_nothing(here: Path) -> None:
    for line in ("build wrong.lem", "build wrong.lem --emit ir"):
        assert on(here, line).code == Exit.PROGRAM
    assert on(here, "build wrong.lem --emit ast").code == 0
    assert on(here, "build nope.lem").code == Exit.USAGE
    assert "does not exist" in on(here, "build right.lem -o no/scale.o").err
    assert not list(here.rglob("*.o"))


def test_build_never_overwrites_a_program(here: Path) -> None:
    os.link(here / "right.lem", here / "again.o")
    texts = [(here / name).read_bytes() for name in ("right.lem", "wrong.lem")]
    for line in ("--emit ast -o right.lem", "-o ./right.lem", "--emit ir -o wrong.lem", "-o again.o"):
        said = on(here, f"build right.lem {line}")
        assert said.code == Exit.USAGE and "would overwrite a program" in said.err
    assert [(here / name).read_bytes() for name in ("right.lem", "wrong.lem")] == texts


def test_build_of_a_generic_kernel(here: Path) -> None:
    (here / "g.lem").write_text("kernel g[T: float, N](y: out T[N]):\n    for i in grid(N):\n        y[i] = T(1)\n")
    assert "give its type: --dtype T=f32" in on(here, "build g.lem --emit ir").err
    assert "f64" in on(here, "build g.lem --emit ir --dtype T=f64").out
    assert on(here, "build g.lem --dtype T=f64").out.startswith("g-f64.o: ")


# ---------------------------------------------------------------- the rest
def test_every_code_has_its_page(here: Path) -> None:
    for code in CODES:
        assert on(here, f"explain {code}").out.startswith(f"# {code}: ")
    assert on(here, "explain e0312").out.startswith("# E0312")
    assert [line.split()[0] for line in on(here, "explain").out.splitlines()] == list(CODES)
    unknown = on(here, "explain E0399")
    assert unknown.code == Exit.USAGE and "there is no code `E0399`" in unknown.err


def test_cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEM_CACHE_DIR", str(here / "cache"))
    assert on(here, "cache path").out == f"{here}/cache\n" and on(here, "cache path --json").json["path"] == f"{here}/cache"
    assert on(here, "cache list").out == f"0 entries, 0 bytes in {here}/cache\n"
    (here / "fill.lem").write_text("kernel f[N](y: out f32[N]):\n    for i in grid(N):\n        y[i] = 1.0\n")
    assert on(here, "run fill.lem N=3").code == 0
    kept = on(here, "cache list").out
    assert " code " in kept and " signature " in kept
    assert len(on(here, "cache list --json").json) >= 2
    assert "removed from" in on(here, "cache clear").out and on(here, "cache list --json").json == []


def test_a_cache_that_others_can_write_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "shared").mkdir(mode=0o777)
    (here / "shared").chmod(0o777)
    monkeypatch.setenv("LEM_CACHE_DIR", str(here / "shared"))
    assert "can be written by others" in on(here, "cache list").err
    (here / "fill.lem").write_text("kernel f[N](y: out f32[N]):\n    for i in grid(N):\n        y[i] = 1.0\n")
    said = on(here, "run fill.lem N=3")
    assert said.code == 0 and said.err.startswith("note: compiled code is not kept: ")
    assert not list((here / "shared").iterdir())
    assert len(on(here, "run fill.lem N=3 --json").json["notes"]) == 1
    assert on(here, "run fill.lem N=3 --no-cache").err == "", "it was asked for"


def test_devices_and_doctor(here: Path) -> None:
    assert on(here, "devices").out.startswith("cpu ")
    assert on(here, "devices --json").json[0]["kind"] == "cpu"
    said = on(here, "doctor")
    assert said.code == 0 and all(line.startswith("ok ") for line in said.out.splitlines())
    assert all(check["ok"] for check in on(here, "doctor --json").json)


def test_photo_of_the_examples() -> None:
    pytest.importorskip("sklearn")
    done = subprocess.run([sys.executable, "examples/photo.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and Path(done.stdout.strip()).is_file()
    done = subprocess.run([sys.executable, "examples/photo.py", "nope"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "no photograph `nope`" in done.stderr
