"""Programs as people type them, and what ``lem fmt`` makes of them: ``format/*.lem`` with the result in ``.formatted``."""

from pathlib import Path

import pytest

from lem.diagnostics import Diagnostics
from lem.source import SourceFile
from lem.syntax.format import format_source
from tests.support.ui import compare

FOLDER = Path(__file__).parent / "format"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.lem")), ids=lambda path: str(path.stem))
def test_program_is_laid_out(path: Path) -> None:
    diags = Diagnostics()
    text = format_source(SourceFile(path.name, path.read_text(encoding="utf-8")), diags)
    assert text is not None, [item.label for item in diags.items]
    compare(text, path.with_suffix(".formatted"))
