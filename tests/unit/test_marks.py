"""Marks in wrong programs: what a test can trust them to notice."""

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0201, E0312
from lem.source import SourceFile, Span
from tests.support.programs import Mark, marks, match

TEXT = """a = b  #~ E0201: not known
c = d
    #~^ E0312
    #~^^ E0201 : `d`
#~ test: ir after=x
"""


def test_marks_are_read() -> None:
    assert marks(TEXT) == [Mark(1, "E0201", "not known"), Mark(2, "E0312", ""), Mark(2, "E0201", "`d`")]


def test_each_mark_stands_for_one_report() -> None:
    source = SourceFile("a.lem", TEXT)
    diags = Diagnostics()
    diags.error(E0201, Span(source, 4, 5), "`b` is not known")
    diags.error(E0201, Span(source, 4, 5), "`b` is not known either")
    diags.error(E0312, Span(source, 4, 5), "elsewhere")
    unmet, unmarked = match(marks(TEXT), diags)
    assert [mark.line for mark in unmet] == [2, 2]
    assert [diag.label for diag in unmarked] == ["`b` is not known either", "elsewhere"]


def test_report_without_a_place_meets_a_mark_by_its_code() -> None:
    diags = Diagnostics()
    diags.error(E0201, None, "not known")
    assert match([Mark(7, "E0201", "")], diags) == ([], [])
