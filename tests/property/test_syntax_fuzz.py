"""Any text has a tree: nothing raises, spans nest, and one mistake in a right program stays one mistake."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lem import syntax
from lem.diagnostics import Diagnostics
from lem.diagnostics.text import render_all
from lem.source import SourceFile
from lem.syntax import ast
from lem.syntax.lexer import tokenize
from lem.syntax.show import show

GOLDEN = Path(__file__).parents[1] / "golden" / "syntax"
PROGRAMS = [(GOLDEN / f"{name}.lem").read_text(encoding="utf-8") for name in ("kernels", "tasks", "words", "layout")]
PIECES = """( ) [ ] { } : , = == + - * ** -> @ . ... ; $ \\ # ' " if elif else while for in is not and or return break pass
import from as
lambda def class kernel fn task struct test spawn sync check within on near where out reduce a b f32 grid 3 1e 0x
1_ 2.5 "s" f"{a}" f"{ \"\"\"""".split()
PIECES += ["\n", "\n    ", "\n        ", "\t", "\r\n", "\ufeff", "\0", "\u00a0"]

soup = st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join)


def check_tree(text: str) -> Diagnostics:
    """Parse, and assert what holds for every text."""
    diags = Diagnostics()
    tree = syntax.parse(SourceFile("fuzz.lem", text), diags)
    assert (tree.span.start, tree.span.end) == (0, len(text))
    for node in ast.walk(tree):
        for child in ast.children(node):
            assert node.span.start <= child.span.start <= child.span.end <= node.span.end, (node, child)
    has_error_nodes = any(isinstance(n, (ast.ErrorExpr, ast.ErrorStmt, ast.ErrorItem)) for n in ast.walk(tree))
    assert diags.has_errors or not has_error_nodes
    show(tree)
    render_all(diags)
    return diags


@given(st.text(max_size=60))
def test_any_text_has_a_tree(text: str) -> None:
    check_tree(text)


@given(st.binary(max_size=60))
def test_any_bytes_have_a_tree(data: bytes) -> None:
    check_tree(data.decode("latin-1"))


@given(soup)
def test_any_tokens_have_a_tree(text: str) -> None:
    check_tree(text)
    check_tree(f"kernel k():\n    {text}\n")


@given(st.sampled_from(PROGRAMS), st.data())
def test_damaged_program_has_a_tree(program: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(program) - 1))
        length = data.draw(st.integers(0, 3))
        program = program[:at] + data.draw(st.sampled_from(["", *PIECES])) + program[at + length :]
    check_tree(program)


@given(st.sampled_from(PROGRAMS), st.data())
def test_program_without_its_end_has_a_tree(program: str, data: st.DataObject) -> None:
    check_tree(program[: data.draw(st.integers(0, len(program)))])


@given(soup)
def test_any_expression_has_a_tree(text: str) -> None:
    source = SourceFile("arg", text)
    for node in ast.walk(syntax.parse_expr(source, Diagnostics())):
        assert 0 <= node.span.start <= node.span.end <= len(text)
    syntax.parse_type(source, Diagnostics())


def test_one_missing_token_is_mostly_one_error() -> None:
    """Not a law (a bracket or a quote that is gone can mean many things), but the rate must not get worse."""
    counts = [n for program in PROGRAMS[:2] for n in _errors_without_each_token(program)]
    assert sum(n <= 1 for n in counts) / len(counts) > 0.97
    assert max(counts) <= 8


def _errors_without_each_token(program: str) -> list[int]:
    from_lexer = tokenize(SourceFile("program.lem", program), Diagnostics())
    spans = [(start, end) for start, end in zip(from_lexer.starts, from_lexer.ends, strict=True) if end > start]
    return [check_tree(program[:start] + program[end:]).n_errors for start, end in spans[::3]]
