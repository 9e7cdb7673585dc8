"""Run the command in this process, as a person would type it: exit code and all that it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lem.cli import main

PATHS = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout."""
        assert not self.err, self.err
        return json.loads(self.out)


def lem(*args: object, cwd: Path | None = None) -> Said:
    """``lem ARGS`` in the folder `cwd`. Exit code 70 and tracebacks are never right, so they fail the test here."""
    out, err = io.StringIO(), io.StringIO()
    with _inside(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(arg) for arg in args])
    said = Said(int(code), out.getvalue(), err.getvalue())
    assert code != 70 and "Traceback" not in said.err, said.err
    return said


def environment(**more: str) -> dict[str, str]:
    """For a process of its own that runs in another folder."""
    return {**os.environ, "PYTHONPATH": PATHS, **more}


@contextlib.contextmanager
def _inside(folder: Path | None) -> Iterator[None]:
    before = Path.cwd()
    try:
        os.chdir(folder or before)
        yield
    finally:
        os.chdir(before)
