"""``lem fmt``: files in place, ``--check``, ``--diff``, standard input, and files that it must leave alone."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest

from lem.cli import Exit
from tests.support import ROOT
from tests.support.cli import Said, lem

UGLY = "kernel  scale[N](x:f32[N],y:out f32[N]) :\n  for i in grid( N ) :\n      y[i]=x[i]*2.0 # twice\n"
NICE = "kernel scale[N](x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        y[i] = x[i] * 2.0  # twice\n"
WRONG = "kernel scale[N](x: f32[N]:\n    pass\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name, text in (("ugly", UGLY), ("nice", NICE), ("wrong", WRONG)):
        (tmp_path / f"{name}.lem").write_text(text)
    return tmp_path


def typed(monkeypatch: pytest.MonkeyPatch, data: bytes, *args: str) -> Said:
    """``lem fmt - ARGS`` with `data` on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "ascii"))
    return lem("fmt", "-", *args)


def test_files_are_formatted_in_place(here: Path) -> None:
    said = lem("fmt", "ugly.lem", "nice.lem", cwd=here)
    assert (said.code, said.out) == (Exit.DONE, "ugly.lem: formatted\n")
    assert said.err == "files: 1 formatted, 1 as it should be\n"
    assert (here / "ugly.lem").read_text() == NICE
    assert lem("fmt", "--check", "ugly.lem", cwd=here).code == Exit.DONE


def test_files_that_are_right_are_not_touched(here: Path) -> None:
    os.utime(here / "nice.lem", (1, 1))
    assert lem("fmt", "nice.lem", cwd=here).code == Exit.DONE
    assert (here / "nice.lem").stat().st_mtime == 1


def test_check_names_files_and_writes_nothing(here: Path) -> None:
    said = lem("fmt", "--check", "ugly.lem", "nice.lem", cwd=here)
    assert (said.code, said.out) == (Exit.PROGRAM, "ugly.lem: would change\n")
    assert (here / "ugly.lem").read_text() == UGLY


def test_diff_shows_the_change_and_writes_nothing(here: Path) -> None:
    said = lem("fmt", "--diff", "ugly.lem", cwd=here)
    assert said.code == Exit.DONE and said.out.startswith("--- ugly.lem\n+++ ugly.lem (formatted)\n@@ -1,3 +1,3 @@\n")
    assert "-  for i in grid( N ) :\n" in said.out and "+    for i in grid(N):\n" in said.out
    assert (here / "ugly.lem").read_text() == UGLY
    assert lem("fmt", "--diff", "--check", "ugly.lem", cwd=here).code == Exit.PROGRAM
    (here / "short.lem").write_text("x = 1")
    assert "\\ No newline at end of file" in lem("fmt", "--diff", "short.lem", cwd=here).out


def test_programs_with_errors_are_reported_and_left_alone(here: Path) -> None:
    said = lem("fmt", "wrong.lem", "ugly.lem", cwd=here)
    assert said.code == Exit.PROGRAM and "error[E0103]" in said.err and "--> wrong.lem:1:16" in said.err
    assert (here / "wrong.lem").read_text() == WRONG and (here / "ugly.lem").read_text() == NICE
    assert "1 formatted, 1 with errors" in said.err


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, UGLY.encode()) == Said(Exit.DONE, NICE, "")
    assert typed(monkeypatch, NICE.encode(), "--check") == Said(Exit.DONE, "", "")
    assert typed(monkeypatch, UGLY.encode(), "--check") == Said(Exit.PROGRAM, "<stdin>: would change\n", "")
    assert typed(monkeypatch, "# ä\n".encode()).out == "# ä\n"
    wrong = typed(monkeypatch, WRONG.encode())
    assert wrong.code == Exit.PROGRAM and wrong.out == "" and "--> <stdin>:1:16" in wrong.err
    assert typed(monkeypatch, b"\xff").code == Exit.USAGE
    assert typed(monkeypatch, b"").out == ""
    assert typed(monkeypatch, UGLY.encode(), "--json").json[0]["text"] == NICE


def test_standard_input_stands_alone(here: Path) -> None:
    said = lem("fmt", "-", "ugly.lem", cwd=here)
    assert said.code == Exit.USAGE and "stands alone" in said.err


def test_folders_but_not_what_is_installed_in_them(here: Path) -> None:
    for folder in ("src/deep", ".hidden", "env/lib"):
        (here / folder).mkdir(parents=True)
        (here / folder / "x.lem").write_text(UGLY)
    (here / "env" / "pyvenv.cfg").touch()
    (here / "wrong.lem").unlink()
    said = lem("fmt", ".", cwd=here)
    assert said.out == "./src/deep/x.lem: formatted\n./ugly.lem: formatted\n"
    assert (here / ".hidden" / "x.lem").read_text() == (here / "env" / "lib" / "x.lem").read_text() == UGLY


def test_rights_links_and_line_ends_are_kept(here: Path) -> None:
    ugly = here / "ugly.lem"
    ugly.write_bytes(UGLY.replace("\n", "\r\n").encode())
    ugly.chmod(0o750)
    (here / "link.lem").symlink_to("ugly.lem")
    assert lem("fmt", "link.lem", cwd=here).out == "link.lem: formatted\n"
    assert ugly.read_bytes() == NICE.replace("\n", "\r\n").encode()
    assert stat.S_IMODE(ugly.stat().st_mode) == 0o750 and (here / "link.lem").is_symlink()


def test_only_line_ends_or_a_mark_change(here: Path) -> None:
    (here / "mark.lem").write_bytes(b"\xef\xbb\xbf" + NICE.encode())
    assert "only its line ends" in lem("fmt", "--diff", "mark.lem", cwd=here).out
    assert lem("fmt", "mark.lem", cwd=here).out == "mark.lem: formatted\n"
    assert (here / "mark.lem").read_text() == NICE


def test_files_that_cannot_be_read_or_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "no_text.lem").write_bytes(b"\xff")
    said = lem("fmt", "missing.lem", "no_text.lem", "ugly.lem", cwd=here)
    assert said.code == Exit.USAGE and said.err.count("error[E0610]") == 2
    assert (here / "ugly.lem").read_text() == NICE

    def refuse(source: str, target: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    (here / "ugly.lem").write_text(UGLY)
    said = lem("fmt", "ugly.lem", cwd=here)
    assert said.code == Exit.USAGE and "error[E0611]" in said.err and said.out == ""
    assert (here / "ugly.lem").read_text() == UGLY and not list(here.glob(".*.part"))


def test_json(here: Path) -> None:
    said = lem("fmt", "--check", "--json", "ugly.lem", "nice.lem", "wrong.lem", cwd=here)
    assert said.code == Exit.PROGRAM
    assert [(o["ok"], o["changes"], len(o["diagnostics"])) for o in said.json] == [
        (True, True, 0), (True, False, 0), (False, False, 1)
    ]  # fmt: skip


# ---------------------------------------------------------------- the other spelling
PYTHON = """\
import lem
from lem.dims import N


@lem.kernel
def scale(x: lem.f32[N], y: lem.out[lem.f32[N]]):
    for i in grid(N):
        y[i] = x[i] * 2.0  # twice
"""


def test_to_python_and_back(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lem("fmt", "--to", "python", "ugly.lem", cwd=here) == Said(Exit.DONE, PYTHON, "")
    assert lem("fmt", "--to", "python", "ugly.lem", "-o", "made.py", cwd=here) == Said(Exit.DONE, "", "")
    assert (here / "made.py").read_text() == PYTHON
    assert lem("fmt", "--to", "lem", "made.py", cwd=here) == Said(Exit.DONE, NICE, "")
    assert (here / "ugly.lem").read_text() == UGLY
    assert typed(monkeypatch, UGLY.encode(), "--to", "python").out == PYTHON
    assert lem("fmt", "--to", "lem", "--json", "made.py", cwd=here).json["text"] == NICE


def test_turning_what_cannot_be_turned(here: Path) -> None:
    (here / "app.py").write_text("print(3)\n")
    said = lem("fmt", "--to", "lem", "app.py", "-o", "made.lem", cwd=here)
    assert said.code == Exit.PROGRAM and "error[E0111]" in said.err and "--> app.py:1:1" in said.err
    assert said.out == "" and not (here / "made.lem").exists()
    assert lem("fmt", "--to", "python", "wrong.lem", cwd=here).code == Exit.PROGRAM
    assert lem("fmt", "--to", "python", "missing.lem", cwd=here).code == Exit.USAGE
    assert "E0611" in lem("fmt", "--to", "python", "nice.lem", "-o", "missing/x.py", cwd=here).err


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("--to python nice.lem ugly.lem", "--to takes one file"),
        ("--to python .", "--to takes one file"),
        ("--to python nice.lem --check", "neither --check nor --diff"),
        ("--to python nice.lem -o nice.lem", "is the file that is read"),
        ("--to ruby nice.lem", "does not know `ruby`"),
        ("nice.lem -o made.lem", "-o goes with --to"),
    ],
)
def test_command_lines_that_do_not_fit(here: Path, line: str, label: str) -> None:
    said = lem("fmt", *line.split(), cwd=here)
    assert said.code == Exit.USAGE and label in said.err and (here / "nice.lem").read_text() == NICE


def test_examples_are_formatted() -> None:
    said = lem("fmt", "--check", "examples", cwd=ROOT)
    assert (said.code, said.out) == (Exit.DONE, ""), "`lem fmt examples` lays them out"
