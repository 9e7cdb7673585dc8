"""Programs and their syntax trees: ``syntax/*.lem`` with the text of the tree beside each in ``.ast``.

``recovery.lem`` shows what is left of a program with mistakes. ``LEM_ACCEPT=1`` rewrites the trees.
"""

from pathlib import Path

import pytest

from lem import syntax
from lem.diagnostics import Diagnostics
from lem.source import SourceFile
from lem.syntax.show import show
from tests.support.ui import compare

FOLDER = Path(__file__).parent / "syntax"
WITH_MISTAKES = {"recovery"}


def _read(path: Path) -> SourceFile:
    return SourceFile(path.name, path.read_bytes().decode())  # as bytes: line ends are part of what is tested


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.lem")), ids=lambda path: str(path.stem))
def test_program_has_its_tree(path: Path) -> None:
    diags = Diagnostics()
    tree = syntax.parse(_read(path), diags)
    assert diags.has_errors == (path.stem in WITH_MISTAKES), [item.label for item in diags.items]
    reports = "".join(f"# {item.code.id} at {item.span}: {item.label}\n" for item in diags.items)
    comments = "".join(f"# comment at {offset}: {text}\n" for offset, text in tree.comments)
    compare(show(tree) + reports + comments, path.with_suffix(".ast"))


def test_spans_are_exact() -> None:
    text = "fn f(x: f32[N]) -> f32:\n    y, z = -(a + b) * c[i, 1:2], 3\n    return max(x[k] for k in N)\n"
    tree = syntax.parse(SourceFile("spans.lem", text), Diagnostics())
    compare(show(tree, spans=True), FOLDER / "spans.ast")
