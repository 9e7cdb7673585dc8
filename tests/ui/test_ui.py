"""Every wrong program of this folder gets the reports it marks, in the words that stand beside it."""

from pathlib import Path

import pytest

from lem.diagnostics import CODES
from tests.support import ROOT
from tests.support.programs import marks
from tests.support.ui import check_ui, ui_id, ui_programs

PROGRAMS = ui_programs()


@pytest.mark.parametrize("path", PROGRAMS, ids=ui_id)
def test_wrong_program_gets_its_message(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    check_ui(path)


def test_marks_name_codes_that_exist() -> None:
    named = {mark.code for path in PROGRAMS for mark in marks(path.read_text(encoding="utf-8"))}
    assert named <= set(CODES)


def test_every_message_belongs_to_a_program() -> None:
    orphans = [path.name for path in Path(__file__).parent.rglob("*.stderr") if not path.with_suffix(".lem").exists()]
    assert not orphans
