"""The syntax stage, point by point; whole programs stand in ``golden/syntax`` and ``ui/syntax``."""

import json
import time
from pathlib import Path

import pytest

from lem import syntax
from lem.diagnostics import Diagnostics
from lem.diagnostics.text import render_all
from lem.source import SourceFile
from lem.syntax import ast, build_tables, mistakes, tables
from lem.syntax.mistakes import MISTAKES, Entry, Mistake, Spot
from lem.syntax.show import show
from tests.support.programs import marks, match
from tests.support.ui import UI, compare, ui_id, ui_programs

SYNTAX = Path(syntax.__file__).parent


def parse(text: str) -> tuple[ast.Module, Diagnostics]:
    diags = Diagnostics()
    return syntax.parse(SourceFile("test.lem", text), diags), diags


def expr(text: str) -> ast.Expr:
    diags = Diagnostics()
    tree = syntax.parse_expr(SourceFile("test", text), diags)
    assert not diags.items, render_all(diags)
    return tree


def codes(text: str) -> list[str]:
    return [item.code.id for item in parse(text)[1].items]


# ---------------------------------------------------------------- tables
def test_tables_belong_to_the_grammar() -> None:
    # The analysis is strict: a conflict in the grammar fails here as well.
    grammar = (SYNTAX / "lem.lark").read_text(encoding="utf-8")
    shipped = (SYNTAX / "tables.json").read_text(encoding="utf-8")
    assert json.loads(shipped)["grammar"] == build_tables.grammar_hash(grammar)
    assert shipped == build_tables.as_text(build_tables.build(grammar)), "run `python -m lem.syntax.build_tables`"


def test_tables_load_fast() -> None:
    text = (SYNTAX / "tables.json").read_text(encoding="utf-8")
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        tables.Tables(json.loads(text))
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.005


# ---------------------------------------------------------------- expressions
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a - b - c", "(Binary - (Binary - a b) c)"),
        ("a ** b ** c", "(Binary ** a (Binary ** b c))"),
        ("-a ** -b", "(Unary - (Binary ** a (Unary - b)))"),
        ("a | b ^ c & d << e + f * g", "(Binary | a (Binary ^ b (Binary & c (Binary << d (Binary + e (Binary * f g))))))"),
        ("not a == b or c and d", "(Logic or [(Unary not (Compare a [==] [b])) (Logic and [c d])])"),
        ("a or b or (c or d)", "(Logic or [a b (Logic or [c d])])"),
        ("a if b else c if d else e", "(IfExpr a b (IfExpr c d e))"),
        ("a < b <= c is not d not in e", "(Compare a [< <= 'is not' 'not in'] [b c d e])"),
        ("a.b(c)[d].e", "(Attribute (Subscript (Call (Attribute a b) [c]) [d]) e)"),
        ("a[:, b:]", "(Subscript a [(Slice) (Slice b)])"),
        ("a[::c]", "(Subscript a [(Slice - - c)])"),
        ("f(a, b=c,)", "(Call f [a] [(Keyword b c)])"),
        ("()", "(TupleExpr)"),
        ("(a,)", "(TupleExpr [a])"),
        ("sum(a for i, j in N for k in M if b if c)", "(Call sum [(Comprehension a [(For [i j] N) (For [k] M)] [b c])])"),
        ("'a' \"b\" r'\\n'", "'ab\\\\n'"),
    ],
)  # fmt: skip
def test_expression_has_the_tree_python_gives_it(text: str, shown: str) -> None:
    assert show(expr(text), width=200) == shown + "\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("1_000", 1000), ("0x_fF", 255), ("0o17", 15), ("0b1_0", 2), ("00", 0),
        ("1.", 1.0), (".5", 0.5), ("1e-5", 1e-5), ("1_0.2_5e1_0", 10.25e10),
    ],
)  # fmt: skip
def test_number_has_its_value(text: str, value: int | float) -> None:
    tree = expr(text)
    assert isinstance(tree, ast.Number) and tree.text == text
    assert tree.value == value and type(tree.value) is type(value)


@pytest.mark.parametrize("text", ["1__0", "0x", "012", "1.2.3", "1e", "3x", "1_", "1e999", "9" * 500, "\u0663"])
def test_bad_number_is_reported_once(text: str) -> None:
    assert len(codes(f"A = {text}\n")) == 1


def test_format_fields_have_exact_spans() -> None:
    tree = expr('f"a{b[1]:>8}{ c !r}"')
    assert isinstance(tree, ast.FString)
    fields = [part for part in tree.parts if isinstance(part, ast.FormatField)]
    assert [(f.value.span.text, f.format, f.conversion) for f in fields] == [("b[1]", ">8", ""), ("c", "", "r")]


@pytest.mark.parametrize(
    "text", ['f"{"', 'f"}"', 'f"{a"', 'f"{}"', 'f"{a +}"', 'f"{a!x}"', 'f"{a:{b}}"', '"\\x1"', '"\\ud800"']
)
def test_bad_string_is_reported_once(text: str) -> None:
    assert len(codes(f"A = {text}\n")) == 1


@pytest.mark.parametrize("text", ['f"{a}"\n', '"a" f"{b}"\nA = 1\n', 'struct S:\n    f"{a}"\n    x: f32\n'])
def test_fstring_is_no_docstring(text: str) -> None:
    tree, diags = parse(text)
    assert [item.code.id for item in diags.items] == ["E0101"]
    assert tree.doc is None and not any(isinstance(item, ast.Struct) and item.doc for item in tree.items)


def test_type_text_gives_effect_and_type() -> None:
    diags = Diagnostics()
    effect, op, type = syntax.parse_type(SourceFile("arg", "reduce(max) nn.T.block(2)[M, 3].col"), diags)
    assert not diags.items
    assert (effect, op) == ("reduce", "max")
    assert show(type) == "(TypeExpr nn.T [M 3] [(TypeSuffix block [2]) (TypeSuffix col)])\n"


# ---------------------------------------------------------------- text
@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only\n", "\ufeffA = 1\n", "A = 1", "A = 1\r\nB = 2\r\n", "\fA = 1\n", "A = \\\n  1\n"]
)
def test_layout_of_text_is_accepted(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    "text", ["A = 1\0\n", "A\u00a0= 1\n", "A = 1 \u2212 2\n", "A = \\ 1\n", "A\r= 1\n", "\u200bA = 1\n"]
)
def test_odd_character_is_reported_once(text: str) -> None:
    assert codes(text) == ["E0107"]


def test_names_are_compared_as_python_does() -> None:
    tree, diags = parse("\ufb01 = 1\nb = fi\n")
    assert not diags.items
    assert show(tree.items[0]) == "(Constant fi 1)\n"


def test_comments_are_kept_with_their_places() -> None:
    text = "# a\nA = (1,  # b\n  2)\n"
    assert parse(text)[0].comments == ((0, "# a"), (text.index("# b"), "# b"))


# ---------------------------------------------------------------- depth
@pytest.mark.parametrize(
    "text",
    [
        "A = " + "-" * 5000 + "1\n",
        "A = " + "1 + " * 5000 + "1\n",
        "A = " + "f(" * 3000 + "1" + ")" * 3000 + "\n",
        "A = " + "1 if a else " * 2000 + "1\n",
        "fn f(x):\n" + "".join(" " * (i + 1) + "if x:\n" for i in range(400)) + " " * 401 + "pass\n",
        "fn f(x):\n    if x: pass\n" + "    elif x: pass\n" * 500,
        "fn f(x):\n    " + "x" + ".y" * 3000 + "\n",
        "A = " + " and ".join("a" * 500) + "\n",
        "A = " + " < ".join("a" * 500) + "\n",
    ],
)  # fmt: skip
def test_deep_nesting_is_one_error_and_leaves_a_flat_tree(text: str) -> None:
    tree, diags = parse(text)
    assert [item.code.id for item in diags.items] == ["E0108"]
    show(tree)
    assert ast.same(tree, tree)


def test_brackets_alone_are_not_depth() -> None:
    assert codes("A = " + "(" * 3000 + "1" + ")" * 3000 + "\n") == []


def test_a_hundred_terms_and_forty_blocks_are_fine() -> None:
    for sign in (" + ", " and ", " < "):
        assert codes("A = " + sign.join(["1"] * 95) + "\n") == []
    blocks = "".join("    " * (i + 1) + "if x:\n" for i in range(40))
    assert codes(f"fn f(x):\n{blocks}{'    ' * 41}return x\n") == []


# ---------------------------------------------------------------- mistakes
@pytest.mark.parametrize("entry", MISTAKES, ids=lambda entry: entry.recognise.__name__.strip("_"))
def test_mistake_is_recognised_by_its_example(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    spoke: list[str] = []

    def noting(each: Entry) -> Entry:
        def recognise(spot: Spot) -> Mistake | None:
            mistake = each.recognise(spot)
            if mistake is not None:
                spoke.append(each.example)
            return mistake

        return Entry(each.example, recognise)

    monkeypatch.setattr(mistakes, "MISTAKES", tuple(noting(each) for each in MISTAKES))
    diags = parse(entry.example)[1]
    assert len(diags.items) == 1, render_all(diags)
    assert spoke[0] == entry.example


@pytest.mark.parametrize("path", ui_programs(UI / "syntax"), ids=ui_id)
def test_wrong_program_gets_its_message_from_the_parser_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    diags = Diagnostics()
    syntax.parse(SourceFile(f"tests/ui/{ui_id(path)}.lem", text), diags)
    assert match(marks(text), diags) == ([], []), render_all(diags)
    compare(render_all(diags), path.with_suffix(".stderr"))


def test_broken_item_still_says_its_name() -> None:
    tree = parse("kernel f(3):\n    pass\n")[0]
    item = tree.items[0]
    assert isinstance(item, ast.ErrorItem) and item.name is not None and item.name.id == "f"
    assert item.name.span.text == "f"


def test_hopeless_text_ends_with_one_broken_item() -> None:
    tree, diags = parse("x y\n" * 1000)
    assert len(tree.items) == 1 and isinstance(tree.items[0], ast.ErrorItem)
    assert len(diags.items) == diags.limit
