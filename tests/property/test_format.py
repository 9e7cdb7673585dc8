"""Formatting changes the layout and nothing else, and what is formatted stays as it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lem.diagnostics import Diagnostics
from lem.source import SourceFile
from lem.syntax import ast
from lem.syntax.format import WIDTH, format_source
from tests.property.test_syntax_fuzz import PIECES
from tests.support import ROOT
from tests.support.syntax_gen import program, respaced, tree

FOLDERS = ("examples", "stdlib", "tests", "benchmarks")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.lem"))]
seeds = st.integers(0, 2**32)


def formatted(text: str) -> str | None:
    return format_source(SourceFile("made.lem", text), Diagnostics())


def check_formats(text: str) -> str:
    """Assert all that holds for the text of a right program."""
    before = tree(text)
    made = formatted(text)
    assert made is not None and before is not None
    after = tree(made)
    assert after is not None and ast.same(before, after)
    assert Counter(c.rstrip() for _, c in before.comments) == Counter(c for _, c in after.comments)
    assert formatted(made) == made
    assert made.endswith("\n") or not made
    assert not any(line.endswith((" ", "\t")) for line in made.splitlines()) or '"""' in made or "'''" in made
    return made


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_programs_of_this_repository(path: Path) -> None:
    text = path.read_bytes().decode()
    if tree(text) is None:
        assert formatted(text) is None
    else:
        check_formats(text)


def test_there_are_programs_of_both_kinds() -> None:
    texts = [path.read_bytes().decode() for path in FILES]
    assert sum(tree(text) is not None for text in texts) > 50 and any(tree(text) is None for text in texts)


@given(seeds)
def test_programs_made_from_the_grammar(seed: int) -> None:
    text = program(seed)
    assume(text is not None)
    check_formats(text or "")


@pytest.mark.long
@settings(max_examples=2000)
@given(seeds)
def test_many_programs_made_from_the_grammar(seed: int) -> None:
    text = program(seed)
    assume(text is not None)
    check_formats(text or "")


@given(st.sampled_from([p for p in FILES if p.parent.name in ("examples", "polybench", "syntax")]), seeds)
def test_layout_does_not_matter_for_the_meaning(path: Path, seed: int) -> None:
    text = respaced(path.read_bytes().decode(), seed)
    assume(text is not None)
    check_formats(text or "")


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join))
def test_any_text_is_formatted_or_refused(text: str) -> None:
    for candidate in (text, f"kernel k():\n    {text}\n", f"x = {text}\n"):
        if tree(candidate) is None:
            assert formatted(candidate) is None
        else:
            check_formats(candidate)


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name in ("examples", "lem_stdlib")], ids=lambda p: p.name)
def test_what_people_read_is_laid_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text, f"run: lem fmt {path.relative_to(ROOT)}"


def test_code_of_examples_fits_the_width() -> None:
    for path in (ROOT / "examples").glob("*.lem"):
        code = (formatted(path.read_text(encoding="utf-8")) or "").split('"""')[2]
        assert max(len(line.partition("#")[0]) for line in code.splitlines()) <= WIDTH, path
