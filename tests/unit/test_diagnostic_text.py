"""Messages as text: every picture here is one that a reader may meet."""

import time

from hypothesis import given
from hypothesis import strategies as st

from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.codes import E0101, E0103, E0301, E0312, E0402, E0406, E0610
from lem.diagnostics.text import layout, render, render_all, summary
from lem.source import SourceFile, Span

MATMUL = SourceFile(
    "examples/matmul.lem",
    '''"""Matrix product."""


kernel matmul[M, N, K](a: f32[M, K], b: f32[N, K], c: out f32[M, N]):
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)
''',
)


def span(source: SourceFile, text: str, nth: int = 0) -> Span:
    """The nth occurrence of `text`."""
    at = source.text.index(text)
    for _ in range(nth):
        at = source.text.index(text, at + 1)
    return Span(source, at, at + len(text))


def show(diag: Diagnostic, width: int = 100) -> str:
    """The message with a line end before it, as the expectations below are written."""
    return "\n" + render(diag, width=width) + "\n"


def test_two_lines_of_a_conflict_with_a_gap_between() -> None:
    b_k = span(MATMUL, "b[k")
    diag = Diagnostic(
        E0312,
        Span(MATMUL, b_k.end - 1, b_k.end),
        "`k` ranges over K, but axis 0 of `b` has size N",
        also=((span(MATMUL, "b: f32[N, K]"), "axis 0 of `b` has size N"),),
        help=("if `b` is stored transposed, write `b[j, k]`",),
    )
    assert (
        show(diag)
        == """
error[E0312]: index ranges over the wrong dimension
  --> examples/matmul.lem:6:35
   |
4  | kernel matmul[M, N, K](a: f32[M, K], b: f32[N, K], c: out f32[M, N]):
   |                                      ------------ axis 0 of `b` has size N
   :
6  |         c[i, j] = sum(a[i, k] * b[k, j] for k in K)
   |                                   ^ `k` ranges over K, but axis 0 of `b` has size N
   |
help: if `b` is stored transposed, write `b[j, k]`
"""
    )


def test_labels_that_fit_stand_beside_their_marks() -> None:
    source = SourceFile("a.lem", "f(first_argument, second)\n")
    diag = Diagnostic(E0301, span(source, "second"), "an f32", also=((span(source, "f("), "i32"),))
    assert (
        show(diag)
        == """
error[E0301]: types do not agree
  --> a.lem:1:19
   |
1  | f(first_argument, second)
   | -- i32            ^^^^^^ an f32
"""
    )


def test_labels_that_do_not_fit_hang_below() -> None:
    also = ((span(MATMUL, "a[i, k]"), "has axes i and k"), (span(MATMUL, "c[i, j]"), "has axes i and j"))
    assert (
        show(Diagnostic(E0301, span(MATMUL, "b[k, j]"), "has axes j and k", also))
        == """
error[E0301]: types do not agree
  --> examples/matmul.lem:6:33
   |
6  |         c[i, j] = sum(a[i, k] * b[k, j] for k in K)
   |         -------       -------   ^^^^^^^ has axes j and k
   |         |             |
   |         |             has axes i and k
   |         has axes i and j
"""
    )


def test_mark_inside_another_mark() -> None:
    also = ((span(MATMUL, "sum(a[i, k] * b[k, j] for k in K)"), "the sum"),)
    assert (
        show(Diagnostic(E0312, span(MATMUL, "b[k, j]"), "here", also))
        == """
error[E0312]: index ranges over the wrong dimension
  --> examples/matmul.lem:6:33
   |
6  |         c[i, j] = sum(a[i, k] * b[k, j] for k in K)
   |                   --------------^^^^^^^------------ the sum
   |                                 |
   |                                 here
"""
    )


def test_two_labels_at_one_place() -> None:
    source = SourceFile("a.lem", "reverse(x, x)\n")
    diag = Diagnostic(E0406, span(source, "x"), "written", also=((span(source, "x"), "read"),))
    assert (
        show(diag)
        == """
error[E0406]: arguments share elements
  --> a.lem:1:9
   |
1  | reverse(x, x)
   |         ^ written
   |         |
   |         read
"""
    )


def test_other_file_gets_its_own_block() -> None:
    library = SourceFile("lib/nn.lem", "\n" * 119 + "fn gelu(x: T) -> T:\n")
    user = SourceFile("net.lem", "y = gelu(1)\n")
    diag = Diagnostic(E0301, span(user, "1"), "found an i64", also=((span(library, "x: T"), "expected a float"),))
    assert (
        show(diag)
        == """
error[E0301]: types do not agree
   --> net.lem:1:10
    |
1   | y = gelu(1)
    |          ^ found an i64
    |
   ::: lib/nn.lem:120:9
    |
120 | fn gelu(x: T) -> T:
    |         ---- expected a float
"""
    )


def test_short_span_over_lines_marks_each_line() -> None:
    source = SourceFile("a.lem", "y = sum(\n    a[i]\n\n    for i in N)  \n")
    diag = Diagnostic(E0402, Span(source, 4, len(source.text)), "all of it")
    assert (
        show(diag)
        == """
error[E0402]: two elements write the same place
  --> a.lem:1:5
   |
1  | y = sum(
   |     ^^^^
2  |     a[i]
   |     ^^^^
   :
4  |     for i in N)
   |     ^^^^^^^^^^^ all of it
"""
    )


def test_long_span_over_lines_marks_its_ends() -> None:
    source = SourceFile("a.lem", "(\n" + "a +\n" * 20 + "b)\n")
    assert (
        show(Diagnostic(E0402, Span(source, 0, len(source.text)), "too much"))
        == """
error[E0402]: two elements write the same place
  --> a.lem:1:1
   |
1  | (
   | ^
   :
22 | b)
   | ^^ too much
"""
    )


def test_tabs_and_wide_characters_keep_marks_in_place() -> None:
    source = SourceFile("a.lem", '\tprint("図と表", e\u0301, wrong)\n')
    assert (
        show(Diagnostic(E0101, span(source, "wrong"), "here", ((span(source, "図と表"), "text"),)))
        == """
error[E0101]: syntax error
  --> a.lem:1:19
   |
1  |     print("図と表", e\u0301, wrong)
   |            ------      ^^^^^ here
   |            |
   |            text
"""
    )


def test_lines_and_names_of_megabytes_are_cut() -> None:
    source = SourceFile("a.lem", "x = " + "y" * 3_000_000 + " + z + " + "1" * 3_000_000 + "\n")
    started = time.perf_counter()
    name = "y" * 3_000_000
    long_name = Diagnostic(E0301, span(source, name), f"`{name}` is not defined", (), (), ("z" * 9999,))
    shown = show(Diagnostic(E0301, span(source, " z "), "here", ((span(source, "x"), "there"),))) + show(long_name)
    assert time.perf_counter() - started < 60 and len(shown) < 3000
    assert "| ... z + 111" in shown and "| there" in shown and "| ...yyyy" in shown


def test_control_characters_of_names_are_shown_as_escapes() -> None:
    diag = Diagnostic(E0610, None, "`a\x1b[31m.npy` does not exist", (), ("\x07", "two\nlines"), ("`\x00` is no name",))
    assert (
        show(diag)
        == r"""
error[E0610]: file cannot be read: `a\x1b[31m.npy` does not exist
note: \x07
note: two
      lines
help: `\x00` is no name
"""
    )


def test_control_characters_cannot_move_the_cursor() -> None:
    source = SourceFile("a.lem", "x\x1b[2J = 1\n")
    assert "\x1b" not in render(Diagnostic(E0101, span(source, "x"), "here"))


def test_empty_span_shows_one_mark() -> None:
    source = SourceFile("a.lem", "f(x\n")
    assert (
        show(Diagnostic(E0103, Span(source, 3, 3), "expected `)`"))
        == """
error[E0103]: string or bracket is not closed
  --> a.lem:1:4
   |
1  | f(x
   |    ^ expected `)`
"""
    )


def test_end_of_file_and_empty_file() -> None:
    for text in ("", "x\n"):
        source = SourceFile("a.lem", text)
        diag = Diagnostic(E0101, Span(source, len(text), len(text)), "nothing here")
        assert render(diag).endswith("| ^ nothing here")


def test_span_outside_the_text_is_shown_at_its_end() -> None:
    source = SourceFile("a.lem", "xy")
    assert render(Diagnostic(E0101, Span(source, 90, 95), "here")).endswith("1  | xy\n   |   ^ here")


def test_windows_line_ends_are_not_shown() -> None:
    source = SourceFile("a.lem", "a\r\nb\r\n")
    assert "\r" not in render(Diagnostic(E0101, Span(source, 0, 6), "both"))


def test_long_line_is_cut_around_its_mark() -> None:
    source = SourceFile("a.lem", "a + " * 100 + "wrong" + " + b" * 100 + "\n")
    assert (
        show(Diagnostic(E0101, span(source, "wrong"), "here"), width=40)
        == """
error[E0101]: syntax error
  --> a.lem:1:401
   |
1  | ...a + a + a + wrong + b + b + b...
   |                ^^^^^ here
"""
    )


def test_lines_never_exceed_the_width_by_source_text() -> None:
    source = SourceFile("a.lem", "x" * 300 + "図" * 300)
    for start in (0, 150, 299, 300, 301, 450, 599):
        for size in (0, 1, 40, 600 - start):
            diag = Diagnostic(E0101, Span(source, start, start + size), "")
            shown = render(diag, width=60).split("\n")
            assert len(shown[3].split("| ")[1].replace("図", "xx")) <= 55
            assert "^" in shown[4] and len(shown[4]) <= 60


def test_nothing_to_point_at() -> None:
    diag = Diagnostic(E0610, None, "`x.npy` does not exist", help=("look\nagain",), notes=("a fact",))
    assert (
        show(diag)
        == """
error[E0610]: file cannot be read: `x.npy` does not exist
note: a fact
help: look
      again
"""
    )


def test_no_line_ends_in_blanks() -> None:
    source = SourceFile("a.lem", "x   \n\n   y  \n")
    diag = Diagnostic(E0101, Span(source, 0, len(source.text)), "", ((Span(source, 5, 5), ""),), ("n",))
    assert all(line == line.rstrip() for line in render(diag).split("\n"))


def test_styles_are_spans_of_the_same_text() -> None:
    diag = Diagnostic(E0312, span(MATMUL, "b[k, j]"), "here", ((span(MATMUL, "a[i, k]"), "there"),), severity="warning")
    pieces = layout(diag)
    assert "".join(text for text, _ in pieces) == render(diag)
    assert pieces[0] == ("warning[E0312]", "warning")
    assert ("^^^^^^^", "primary") in pieces and ("-------", "secondary") in pieces
    assert "\x1b[" in render(diag, styled=True) and "\x1b[" not in render(diag)


def test_collection_ends_with_its_counts() -> None:
    diags = Diagnostics(limit=3)
    assert render_all(diags) == ""
    diags.error(E0101, span(MATMUL, "kernel"), "one")
    diags.warning(E0101, span(MATMUL, "kernel"), "two")
    diags.error(E0101, span(MATMUL, "kernel"), "three")
    assert summary(diags) == "2 errors, 1 warning"
    diags.error(E0101, span(MATMUL, "kernel"), "four")
    assert render_all(diags).endswith("three\n\n2 errors, 1 warning, 1 more not shown\n")
    assert "one\n\nwarning[E0101]: syntax error\n" in render_all(diags)


@given(
    st.text(alphabet=" \t\n\r\x00ab図e\u0301\u200d", max_size=80),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=4),
    st.integers(20, 60),
)
def test_any_text_and_spans_can_be_shown(text: str, places: list[tuple[int, int]], width: int) -> None:
    source = SourceFile("a.lem", text)
    spans = [Span(source, *place) for place in places]
    diag = Diagnostic(E0101, spans[0], "main", tuple((other, f"other {n}") for n, other in enumerate(spans[1:])))
    shown = render(diag, width=width)
    assert "^" in shown and "main" in shown
    assert all(f"other {n}" in shown for n in range(len(spans) - 1))
    assert not any(char in shown for char in "\t\r\x00")
