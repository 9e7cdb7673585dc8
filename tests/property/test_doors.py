"""A program that is turned into Python and back is the same program, with the same comments, or it is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lem.diagnostics import Diagnostics
from lem.source import SourceFile
from lem.syntax import ast
from lem.syntax.format import format_python
from tests.property.test_format import FILES
from tests.support import ROOT
from tests.support.doors import lem_of, python_of
from tests.support.syntax_gen import program, respaced, tree

RIGHT = [path for path in FILES if tree(path.read_bytes().decode()) is not None]
# Programs that show what is wrong with a `check` outside tests: there is nothing like it in Python.
# And a page of several programs whose kernels have one name: read as one, a variant stands above the last of them.
REFUSED = {"tests/ui/types/belongs.lem", "tests/rules/42_names_of_targets.lem"}
PLAIN = [path for path in RIGHT if path.parent.name in ("examples", "polybench", "syntax", "format")]
seeds = st.integers(0, 2**32)


def check_doors(text: str, *, may_refuse: bool = False) -> None:
    python, reports = python_of(text)
    if python is None:
        assert may_refuse and {report.code.id for report in reports} == {"E0111"}, reports
        return
    back, reports = lem_of(python)
    before, after = tree(text), tree(back or "")
    assert before is not None and after is not None and ast.same(before, after), reports
    assert Counter(c.rstrip() for _, c in before.comments) == Counter(c for _, c in after.comments)
    assert format_python(SourceFile("made.py", python), Diagnostics()) == python


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: str(path.relative_to(ROOT)))
def test_programs_of_this_repository(path: Path) -> None:
    check_doors(path.read_bytes().decode(), may_refuse=path.relative_to(ROOT).as_posix() in REFUSED)


@given(seeds)
def test_programs_made_from_the_grammar(seed: int) -> None:
    text = program(seed)
    assume(text is not None)
    check_doors(text or "", may_refuse=True)


@pytest.mark.long
@settings(max_examples=2000)
@given(seeds)
def test_many_programs_made_from_the_grammar(seed: int) -> None:
    text = program(seed)
    assume(text is not None)
    check_doors(text or "", may_refuse=True)


@given(st.sampled_from(PLAIN), seeds)
def test_layout_does_not_matter(path: Path, seed: int) -> None:
    text = respaced(path.read_bytes().decode(), seed)
    assume(text is not None)
    check_doors(text or "")
