"""Check small programs given as text: the one place of the tests that knows how the front end is called.

A wrong program marks its own lines: ``y[i] = x[j]  #~ E0312: ranges over`` says that its line gets E0312 with a label
that contains "ranges over"; ``#~^ E0312`` on a line of its own speaks of the line above, ``#~^^`` of the one before it.
Every mark must be met and every report must be marked.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest

from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.text import render_all
from lem.source import SourceFile

_MARK = re.compile(r"#~(\^*)\s*(E\d{4})(?:\s*:\s*(.*?))?\s*$")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a wrong program says about itself: this line gets this code, with a label that contains `text`."""

    line: int
    code: str
    text: str

    def meets(self, diag: Diagnostic) -> bool:
        # A report without a place belongs to no line, so its code and label alone decide.
        here = diag.span is None or diag.span.source.line_of(diag.span.start) == self.line
        return here and diag.code.id == self.code and self.text in diag.label


def diagnose(text: str, name: str = "test.lem") -> Diagnostics:
    """What the front end reports on a program; the test is skipped where there is no front end to ask."""
    return _check_source()(SourceFile(name, text))


def check_right(text: str, name: str = "test.lem") -> None:
    """Assert that a program is accepted without an error or a warning."""
    diags = diagnose(text, name)
    assert not diags.items, f"a right program was refused:\n\n{text}\n{render_all(diags)}"


def check_error(text: str, name: str = "test.lem") -> Diagnostics:
    """Assert that a program gets exactly the reports that its marks name; gives them back for closer looks."""
    expected = marks(text)
    assert expected, "the program has no mark such as `#~ E0312: ranges over`"
    diags = diagnose(text, name)
    unmet, unmarked = match(expected, diags)
    problems = [f"line {mark.line}: no {mark.code} with a label containing {mark.text!r}" for mark in unmet]
    problems += [f"{diag.span}: {diag.code.id} is not marked: {diag.label}" for diag in unmarked]
    assert not problems, "\n".join([*problems, "", "what was reported:", "", render_all(diags)])
    return diags


def check_code(text: str, code: str, name: str = "test.lem") -> Diagnostics:
    """Assert that every report on a program has this code, and that there is one; for programs without marks."""
    diags = diagnose(text, name)
    found = {diag.code.id for diag in diags.items}
    assert found == {code}, f"expected {code} alone, found {sorted(found)}:\n\n{text}\n{render_all(diags)}"
    return diags


def run_right(text: str, mode: str, args: tuple[str, ...]) -> None:
    """Assert that ``lem run`` or ``lem test`` (`mode`) on a program ends well."""
    status, said = _command(text, mode, args)
    assert status == 0, f"exit status {status}:\n\n{text}\n{said}"


def run_code(text: str, code: str, mode: str, args: tuple[str, ...]) -> None:
    """Assert that ``lem run`` or ``lem test`` (`mode`) on a program ends with this code, and with no other."""
    status, said = _command(text, mode, args)
    found = set(re.findall(r"^error\[(E\d{4})\]", said, re.MULTILINE))
    assert status != 0 and found == {code}, f"expected {code}, found {sorted(found)}:\n\n{text}\n{said}"


def marks(text: str) -> list[Mark]:
    """The marks in a program, in order."""
    found: list[Mark] = []
    for line, content in enumerate(text.splitlines(), 1):
        if m := _MARK.search(content):
            found.append(Mark(line - len(m[1]), m[2], m[3] or ""))
    return found


def match(expected: list[Mark], diags: Diagnostics) -> tuple[list[Mark], list[Diagnostic]]:
    """The marks that no report meets, and the reports that no mark names; each mark stands for one report."""
    unmet = list(expected)
    unmarked: list[Diagnostic] = []
    for diag in diags.items:
        mark = next((mark for mark in unmet if mark.meets(diag)), None)
        if mark is None:
            unmarked.append(diag)
        else:
            unmet.remove(mark)
    return unmet, unmarked


def _check_source() -> Callable[[SourceFile], Diagnostics]:
    # Imported late: the tests of single layers must run while the pipeline cannot be imported.
    if importlib.util.find_spec("lem.pipeline") is None:
        pytest.skip("this checkout has no pipeline")
    return cast(Callable[[SourceFile], Diagnostics], importlib.import_module("lem.pipeline").check_source)


def _command(text: str, mode: str, args: tuple[str, ...]) -> tuple[int, str]:
    """Exit status of ``lem <mode> program.lem <args>``, and all that it said."""
    if not hasattr(importlib.import_module("lem.cli"), "main"):
        pytest.skip("this checkout has no command line")
    with TemporaryDirectory() as folder:
        Path(folder, "program.lem").write_text(text, encoding="utf-8")
        call = [sys.executable, "-c", "import sys, lem.cli; sys.exit(lem.cli.main())", mode, "program.lem", *args]
        # A process of its own: the command line may set up signals and threads, and here it fails on purpose.
        done = subprocess.run(call, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    # The search path may hold relative entries, and the command runs in another folder.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)}
