"""Wrong programs in files: ``tests/ui/**/*.lem`` with marks, and the full rendered message beside each in ``.stderr``.

The marks pin code, line and part of the label; the text pins every word and every column. With ``LEM_ACCEPT=1`` in the
environment (``python -m tests golden --accept``) the texts are rewritten; read the difference as carefully as code.
"""

from __future__ import annotations

import os
from pathlib import Path

from lem.diagnostics.text import render_all

from . import ROOT
from .programs import check_error

UI = ROOT / "tests" / "ui"


def ui_programs(folder: Path = UI) -> list[Path]:
    """The wrong programs below a folder; a name that starts with ``_`` is a module that others import."""
    return sorted(path for path in folder.rglob("*.lem") if not path.name.startswith("_"))


def ui_id(path: Path) -> str:
    """A short name for a test: the path below ``tests/ui`` without its ending."""
    return path.relative_to(UI).with_suffix("").as_posix()


def check_ui(path: Path) -> None:
    """Check a wrong program against its marks and its ``.stderr``. The current folder must be the repository's root,
    because the file's name stands in the message and imports are looked for beside it."""
    name = path.relative_to(ROOT).as_posix()
    diags = check_error(path.read_text(encoding="utf-8"), name)
    compare(render_all(diags), path.with_suffix(".stderr"))


def compare(actual: str, golden: Path) -> None:
    """Assert that `actual` is what the file `golden` holds, or write it there when expectations are being accepted."""
    if accepting():
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(actual, encoding="utf-8")
        return
    hint = "`python -m tests golden --accept` writes it"
    assert golden.exists(), f"{golden.relative_to(ROOT)} is missing; {hint}:\n\n{actual}"
    assert actual == golden.read_text(encoding="utf-8"), f"{golden.relative_to(ROOT)} differs; if it should, {hint}"


def accepting() -> bool:
    """Whether expectations are rewritten in this run."""
    return os.environ.get("LEM_ACCEPT", "") not in ("", "0")
