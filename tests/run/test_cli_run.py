"""``lem run`` from the command line to files: what is bound, what is written, what is said, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lem.cli import Exit
from tests.support.cli import Said, lem

Array = np.ndarray[Any, Any]

SCALE = """\
kernel scale[N](x: f32[N], y: out f32[N], factor: f32 = 2.0, shift: int = 0):
    for i in grid(N):
        y[i] = x[i] * factor + f32(shift)
"""
PAIR = """\
kernel pair[N](x: f32[N], lo: out f32[N], hi: inout f32[N]):
    for i in grid(N):
        lo[i] = x[i] - 1.0
        hi[i] = hi[i] + x[i]
"""
GENERIC = """\
kernel double[T: number, N](x: T[N], y: out T[N]):
    for i in grid(N):
        y[i] = x[i] + x[i]
"""
FILL = "kernel fill_with[N](y: out f32[N], value: f32 = 1.0):\n    for i in grid(N):\n        y[i] = value\n"
x123 = np.array([1, 2, 3], np.float32)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name, text in (("scale", SCALE), ("pair", PAIR), ("generic", GENERIC), ("fill", FILL)):
        (tmp_path / f"{name}.lem").write_text(text)
    np.save(tmp_path / "x.npy", x123)
    return tmp_path


def run(folder: Path, line: str) -> Said:
    return lem("run", *line.split(), cwd=folder)


def refused(folder: Path, line: str, code: str, exit: Exit = Exit.USAGE) -> str:
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    said = run(folder, line)
    assert said.code == exit and f"error[{code}]" in said.err and said.err.count("error[") == 1, said.err
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before
    return said.err


# ---------------------------------------------------------------- what works
def test_result_is_written_or_summarised(here: Path) -> None:
    said = run(here, "scale.lem x=x.npy")
    assert (said.code, said.out, said.err) == (0, "y: f32[3]  min 2  max 6  mean 4\n", "")
    said = run(here, "scale.lem x=x.npy -o y=y.npy")
    assert (said.code, said.out) == (0, "y: f32[3] written to y.npy\n")
    assert np.array_equal(np.load(here / "y.npy"), 2 * x123)


@pytest.mark.parametrize(
    "line",
    [
        "scale.lem x=x.npy factor=-1 shift=4 -o y=y.npy",
        "scale.lem -o y=y.npy x=x.npy shift=4 factor=-1.0",
        "scale.lem x=x.npy -o y.npy factor=-1e0 --threads 1 shift=0x4",
        "--timeout 100 scale.lem:scale factor=-0x1p0 x=x.npy --no-cache shift=+4 -oy=y.npy N=3",
    ],
)
def test_options_stand_anywhere(here: Path, line: str) -> None:
    said = run(here, line)
    assert said.code == 0, said.err
    assert np.array_equal(np.load(here / "y.npy"), 4 - x123)


def test_inout_starts_from_the_file_and_leaves_it(here: Path) -> None:
    np.save(here / "hi.npy", x123)
    said = run(here, "pair.lem x=x.npy hi=hi.npy -o hi=new.npy")
    assert said.code == 0 and said.out.splitlines() == ["lo: f32[3]  min 0  max 2  mean 1", "hi: f32[3] written to new.npy"]
    assert np.array_equal(np.load(here / "hi.npy"), x123) and np.array_equal(np.load(here / "new.npy"), 2 * x123)


def test_several_results_in_one_file(here: Path) -> None:
    for other in ("both.npz", "./both.npz"):
        said = run(here, f"pair.lem x=x.npy hi=x.npy -o lo=both.npz -o hi={other}")
        assert said.code == 0, said.err
        with np.load(here / "both.npz") as both:
            assert np.array_equal(both["lo"], x123 - 1) and np.array_equal(both["hi"], 2 * x123)


def test_dtype_of_a_generic_kernel_comes_from_its_argument(here: Path) -> None:
    for dtype in (np.int32, np.float64):
        np.save(here / "t.npy", x123.astype(dtype))
        assert run(here, "generic.lem x=t.npy -o y=y.npy").code == 0
        assert np.load(here / "y.npy").dtype == dtype
    said = refused(here, "generic.lem x=t.npy --dtype T=f32", "E0607")
    assert "holds f64" in said and "help: convert the file (lem never does)" in said
    assert "no type parameter `S`" in refused(here, "generic.lem x=t.npy --dtype S=f32", "E0609")
    assert "no type `f23`" in refused(here, "generic.lem x=t.npy --dtype T=f23", "E0305")


def test_scalars_of_a_generic_kernel_have_the_type_of_its_arrays(here: Path) -> None:
    (here / "times.lem").write_text(
        "kernel times[T: number, N](x: T[N], a: T, y: out T[N]):\n    for i in grid(N):\n        y[i] = x[i] * a\n"
    )
    np.save(here / "i.npy", x123.astype(np.int64))
    assert run(here, "times.lem x=x.npy a=2.5").out == "y: f32[3]  min 2.5  max 7.5  mean 5\n"
    assert run(here, "times.lem a=9007199254740993 x=i.npy -o y=y.npy").code == 0
    assert np.load(here / "y.npy")[0] == 2**53 + 1, "an integer is not read as a float"
    assert "`a` is one i64; `2.5` is not a whole number" in refused(here, "times.lem x=i.npy a=2.5", "E0607")


@pytest.mark.parametrize("array", [x123[:0], x123[::-1], np.zeros(1, np.float32)], ids=["empty", "reversed", "one"])
def test_small_arrays(here: Path, array: Array) -> None:
    np.save(here / "s.npy", array)
    assert run(here, "scale.lem x=s.npy -o y=y.npy").code == 0
    assert np.array_equal(np.load(here / "y.npy"), 2 * array)


def test_fortran_order(here: Path) -> None:
    (here / "t.lem").write_text(
        "kernel t[M, N](x: f64[M, N], y: out f64[M, N]):\n    for i, j in grid(M, N):\n        y[i, j] = x[i, j] * 2.0\n"
    )
    a = np.arange(12.0).reshape(3, 4)
    np.save(here / "f.npy", np.asfortranarray(a))
    assert run(here, "t.lem x=f.npy -o y=y.npy").code == 0
    assert np.array_equal(np.load(here / "y.npy"), 2 * a)


def test_dimensions_by_name_and_special_numbers(here: Path) -> None:
    assert run(here, "fill.lem N=4 value=nan").out == "y: f32[4]  min nan  max nan  mean nan\n"
    assert run(here, "fill.lem N=4 value=-inf").out == "y: f32[4]  min -inf  max -inf  mean -inf\n"
    assert run(here, "fill.lem N=0").out == "y: f32[0]  no elements\n"
    assert run(here, "fill.lem N=0x10").out == "y: f32[16]  min 1  max 1  mean 1\n"


def test_json_says_what_the_text_says(here: Path) -> None:
    told = run(here, "scale.lem x=x.npy -o y=y.npy --json --report").json
    assert told["ok"] and told["entry"] == "scale" and told["dims"] == {"N": 3}
    assert told["outputs"]["y"] == {"dtype": "f32", "shape": [3], "min": 2.0, "max": 6.0, "mean": 4.0, "path": "y.npy"}
    assert told["kernels"][0]["kernel"] == "scale" and told["kernels"][0]["seconds"] > 0
    told = run(here, "fill.lem N=2 value=inf --json").json
    assert told["outputs"]["y"]["max"] == "inf"


def test_report_names_kernels_and_threads(here: Path) -> None:
    said = run(here, "scale.lem x=x.npy --report --threads 1")
    head, columns, row, result = said.out.splitlines()
    assert head.startswith("scale on cpu (") and ", 1 thread; ready to run after" in head
    assert columns.split() == ["kernel", "calls", "time", "GFLOP/s", "GB/s"]
    assert row.split()[:2] == ["scale", "1"]
    assert result.startswith("y: f32[3]")


def test_report_of_a_task_has_a_row_per_kernel(here: Path) -> None:
    (here / "task.lem").write_text(FILL + "\ntask main[N](y: inout f32[N]):\n    fill_with(y, 1.0)\n    fill_with(y, 2.0)\n")
    rows = run(here, "task.lem y=x.npy --report").out.splitlines()[2:4]
    assert [row.split()[:2] for row in rows] == [["fill_with", "2"], ["main", "1"]]


def test_a_temporary_that_is_too_large_is_named(here: Path) -> None:
    (here / "big.lem").write_text(
        "kernel big[N](n: int, y: out f32[N]):\n    table: f64[n, n] = 0\n    for i in grid(N):\n"
        "        y[i] = f32(table[i, i]) if i < n else 0.0\n"
    )
    assert run(here, "big.lem n=2 N=3").code == 0
    assert "not enough memory for the temporary `table`" in refused(here, "big.lem n=3000000 N=3", "E0614", Exit.FAULT)


def test_scalar_results_are_shown_as_values(here: Path) -> None:
    (here / "total.lem").write_text(
        "kernel total[N](x: f32[N]) -> (s: f32, n: i64):\n    s = sum(x[i] for i in N)\n    n = N\n\n"
        "task main[N](x: f32[N]) -> s: f32:\n    n: i64 = 0\n    s, n = total(x)\n"
    )
    assert run(here, "total.lem:total x=x.npy").out == "s: f32 = 6.0\nn: i64 = 3\n"
    told = run(here, "total.lem:total x=x.npy --json -o s=s.npy").json
    assert told["outputs"]["s"] == {"dtype": "f32", "shape": [], "value": 6.0, "path": "s.npy"}
    assert np.load(here / "s.npy") == np.float32(6)
    rows = run(here, "total.lem x=x.npy --report").out.splitlines()[2:4]
    assert [row.split()[0] for row in rows] == ["total", "main"] and "-" not in rows[1].split(), "all its work is known"


def test_prints_come_before_results(here: Path) -> None:
    (here / "p.lem").write_text(SCALE.replace("    for", '    print(f"N is {N}")\n    for'))
    assert run(here, "p.lem x=x.npy").out.splitlines()[0] == "N is 3"
    assert run(here, "p.lem x=x.npy --json").json["prints"] == ["N is 3"]


def test_known_programs_are_not_compiled_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(here, "scale.lem x=x.npy").code == 0

    def fails(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr("lem.pipeline.analyse", fails)
    monkeypatch.setattr("lem.pipeline.compile_function", fails)
    np.save(here / "x2.npy", np.ones(1000, np.float32))
    assert run(here, "scale.lem x=x2.npy").code == 0


def test_a_changed_program_is_compiled_again(here: Path) -> None:
    assert "mean 4" in run(here, "scale.lem x=x.npy").out
    (here / "scale.lem").write_text(SCALE.replace("= 2.0", "= 3.0"))
    assert "mean 6" in run(here, "scale.lem x=x.npy").out


def test_a_changed_import_is_compiled_again(here: Path) -> None:
    (here / "uses.lem").write_text(
        "from part import f\n\nkernel k[N](x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        y[i] = f(x[i])\n"
    )
    for factor, mean in (("2.0", "mean 4"), ("3.0", "mean 6")):
        (here / "part.lem").write_text(f"fn f(x: f32) -> f32:\n    return x * {factor}\n")
        assert mean in run(here, "uses.lem x=x.npy").out


def test_damaged_cache_entries_are_made_anew(here: Path) -> None:
    assert run(here, "scale.lem x=x.npy").code == 0
    for path in Path(os.environ["LEM_CACHE_DIR"]).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-7] + b"damaged")
    assert run(here, "scale.lem x=x.npy").out == "y: f32[3]  min 2  max 6  mean 4\n"


# ---------------------------------------------------------------- what does not fit
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("scale.lem", "E0608", "give x=FILE"),
        ("scale.lem x", "E0620", "x=x"),
        ("scale.lem x.npy", "E0620", "say what it is for: x=x.npy"),
        ("scale.lem x=x.npy factro=3", "E0609", "did you mean `factor`?"),
        ("scale.lem x=x.npy y=y.npy", "E0609", "-o y=y.npy"),
        ("scale.lem x=x.npy x=x.npy", "E0620", "given twice"),
        ("scale.lem x=3", "E0607", "it takes a file"),
        ("scale.lem x=x.npy factor=", "E0607", "is not a number"),
        ("scale.lem x=", "E0610", "no file is named"),
        ("scale.lem x=x.npy -o y=", "E0611", "no file is named"),
        ("scale.lem =x.npy", "E0620", "`=x.npy` is not of the form name=value"),
        ("scale.lem x=x.npy factor=1e39", "E0607", "`factor` is f32, which holds 1e39 as inf"),
        ("scale.lem x=x.npy factor=-1e999", "E0607", "if that is meant, write factor=-inf"),
        ("scale.lem x=x.npy factor=two", "E0607", "`two` is not a number"),
        ("scale.lem x=x.npy shift=1.5", "E0607", "`1.5` is not a whole number"),
        ("scale.lem x=x.npy shift=9223372036854775808", "E0607", "holds -9223372036854775808 to"),
        ("scale.lem x=x.npy N=4", "E0606", "has size 3, not N = 4"),
        ("scale.lem x=x.npy N=three", "E0607", "`three`"),
        ("scale.lem x=x.npy -o z=z.npy", "E0609", "it has y"),
        ("scale.lem x=x.npy -o y=x.npy", "E0611", "would overwrite the input"),
        ("scale.lem x=x.npy -o y=./x.npy", "E0611", "would overwrite the input"),
        ("scale.lem x=x.npy -o y=a.npy -o y=b.npy", "E0620", "already written to a.npy"),
        ("scale.lem x=x.npy -o y=y.png", "E0611", "a picture is"),
        ("scale.lem x=x.npy -o y=nowhere/y.npy", "E0611", "does not exist"),
        ("scale.lem x=x.npy -o -", "E0611", "the name tells no format"),
        ("scale.lem x=x.npy --threads none", "E0620", "at least 1"),
        ("scale.lem x=x.npy --timeout -1", "E0620", "above 0"),
        ("scale.lem x=x.npy --reprot", "E0620", "did you mean `--report`?"),
        ("pair.lem x=x.npy hi=x.npy -o both.npz", "E0620", "gives `lo` and `hi`"),
        ("pair.lem x=x.npy hi=x.npy -o lo=a.npy -o hi=a.npy", "E0611", "holds one array"),
        ("pair.lem x=x.npy hi=x.npy -o lo=a.npy -o hi=./a.npy", "E0611", "holds one array"),
        ("fill.lem", "E0314", "give it by name: N=..."),
        ("fill.lem N=-1", "E0615", "cannot be -1"),
        ("fill.lem N=1000000000000000", "E0614", "needs"),
        ("fill.lem N=9999999999999999999", "E0615", "9999999999999999999"),
        ("scale.lem:scael x=x.npy", "E0618", "did you mean `scale`?"),
        ("scal.lem x=x.npy", "E0610", "did you mean `scale.lem`?"),
        ("scale x=x.npy", "E0610", "did you mean `scale.lem`?"),
        (". x=x.npy", "E0610", "is a directory"),
        ("x=x.npy scale.lem", "E0620", "where the program is expected"),
        ("", "E0620", "no program is named"),
    ],
)
def test_command_lines_that_do_not_fit(here: Path, line: str, code: str, said: str) -> None:
    assert said in refused(here, line, code)


def test_files_that_are_no_programs(here: Path) -> None:
    (here / "empty.lem").write_text("")
    (here / "binary.lem").write_bytes(b"\xff\xfe\x00")
    (here / "two.lem").write_text(SCALE + "\n\n" + FILL)
    (here / "tests.lem").write_text('test "t":\n    check 1 == 1\n')
    assert "no kernel and no task" in refused(here, "empty.lem", "E0618")
    assert "lem test tests.lem" in refused(here, "tests.lem", "E0618")
    assert "not UTF-8" in refused(here, "binary.lem", "E0610")
    assert "name one: two.lem:scale" in refused(here, "two.lem x=x.npy", "E0618")


def test_what_cannot_run_yet_says_so(here: Path) -> None:
    (here / "later.lem").write_text(SCALE.replace("x: f32[N]", "x: pal8[N]"))
    assert "cannot run yet" in refused(here, "later.lem x=x.npy", "E0502", Exit.PROGRAM)


def test_errors_of_the_program_are_all_shown(here: Path) -> None:
    (here / "wrong.lem").write_text(SCALE.replace("x[i]", "z[i]").replace("f32(shift)", "f32(shfit)"))
    said = run(here, "wrong.lem x=x.npy")
    assert said.code == Exit.PROGRAM and said.err.count("error[") == 2 and said.err.endswith("2 errors\n")
    told = run(here, "wrong.lem x=x.npy --json").json
    assert told["exit"] == 1 and len(told["diagnostics"]) == 2


def test_byte_order_and_types_lem_does_not_have(here: Path) -> None:
    np.save(here / "big.npy", x123.astype(">f4"))
    np.save(here / "complex.npy", x123.astype(complex))
    np.save(here / "dates.npy", x123.astype("M8[s]"))
    np.save(here / "text.npy", np.array(["a", "b"]))
    assert "big-endian" in refused(here, "scale.lem x=big.npy", "E0610")
    assert "holds structs (re: f64, im: f64)" in refused(here, "scale.lem x=complex.npy", "E0607")
    assert "which lem does not have" in refused(here, "scale.lem x=dates.npy", "E0607")
    assert "which lem does not have" in refused(here, "scale.lem x=text.npy", "E0607")
    np.save(here / "times.npy", x123.astype("m8[s]"))
    for name in ("dates", "times", "text"):  # what is advised can be done
        said = refused(here, f"scale.lem x={name}.npy", "E0607")
        advice = re.search(r"lem never does\): (np\.save\(.*\)) \(", said)
        assert advice is not None, said
        subprocess.run([sys.executable, "-c", f"import numpy as np; {advice[1]}"], cwd=here, check=True)
        assert lem("run", "scale.lem", "x=new.npy", cwd=here).code == 0
    said = refused(here, "generic.lem x=dates.npy", "E0607")
    assert "`dates.npy` holds datetime64[s], which lem does not have" in said and "--dtype" not in said


def test_number_of_axes(here: Path) -> None:
    np.save(here / "square.npy", np.ones((2, 2), np.float32))
    np.save(here / "scalar.npy", np.float32(1))
    assert "`x` has 1 axis, but an array of shape [2, 2] is given" in refused(here, "scale.lem x=square.npy", "E0606")
    assert "but a single number is given" in refused(here, "scale.lem x=scalar.npy", "E0606")


def test_names_are_any_text(here: Path) -> None:
    (here / "größe ☃.lem").write_text(SCALE)
    np.save(here / "ein gabe=1.npy", x123)
    said = lem("run", "größe ☃.lem", "x=ein gabe=1.npy", "-o", "y=ergebnis ü.npy", cwd=here)
    assert said.code == 0 and (here / "ergebnis ü.npy").exists()


def test_time_is_up_as_json(here: Path) -> None:
    (here / "endless.lem").write_text(
        "kernel spin[N](y: inout i64[N]):\n    for i in grid(N):\n        while y[i] < 1:\n            y[i] = 0\n"
    )
    np.save(here / "y0.npy", np.zeros(4, np.int64))
    said = run(here, "endless.lem y=y0.npy --timeout 0.1 --json")
    assert said.code == said.json["exit"] == Exit.TIMEOUT
    assert said.json["diagnostics"][0]["label"] == "`spin` ran for more than 0.1 s"
