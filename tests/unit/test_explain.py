"""The pages of the codes: each code has one, and the programs in it do what it says."""

import re
from importlib.resources import files

import pytest

from lem.diagnostics import CODES
from lem.diagnostics.explain import Program, page, programs, suggest
from tests.support.programs import check_code, check_right, run_code, run_right

# Codes that no single program can show: a command line, two files, or a machine that fails.
SHOWN_OTHERWISE = {
    *("E0111", "E0204", "E0501", "E0502", "E0505", "E0606", "E0611", "E0612", "E0613", "E0614", "E0620", "E0622", "E0623"),
    *("E0625", "E0626", "E0627"),
    "E0506",  # found by the trials of `lem check`
    *("E0628", "E0629"),  # only looked for under lem.interpret()
}

ALL = [(code, n, program) for code in CODES for n, program in enumerate(programs(page(code) or ""))]


def _names(programs: list[tuple[str, int, Program]]) -> list[str]:
    return [f"{code}-{n}-{program.kind}" for code, n, program in programs]


CHECKED = [entry for entry in ALL if entry[2].mode == "check"]
RUN = [entry for entry in ALL if entry[2].mode != "check"]


@pytest.mark.parametrize(("code", "n", "program"), CHECKED, ids=_names(CHECKED))
def test_program_is_judged_as_its_page_says(code: str, n: int, program: Program) -> None:
    if program.code is None:
        check_right(program.text)
    else:
        check_code(program.text, program.code)


@pytest.mark.parametrize(("code", "n", "program"), RUN, ids=_names(RUN))
def test_program_runs_as_its_page_says(code: str, n: int, program: Program) -> None:
    if program.code is None:
        run_right(program.text, program.mode, program.args)
    else:
        check_right(program.text)
        run_code(program.text, program.code, program.mode, program.args)


@pytest.mark.parametrize("code", CODES)
def test_page_has_title_reason_and_both_programs(code: str) -> None:
    text = page(code)
    assert text is not None and text.startswith(f"# {code}: {CODES[code].headline}\n\n")
    kinds = [(program.kind, program.code) for program in programs(text)]
    if code in SHOWN_OTHERWISE:
        assert not kinds and "```" in text
    else:
        assert kinds == [("wrong", code), ("right", None)]
    if code != "E0108":  # whose program is one absurd line
        assert max(map(len, text.splitlines())) <= 120


def test_no_page_without_a_code() -> None:
    names = {entry.name for entry in files("lem.diagnostics.explain").iterdir() if entry.name.endswith(".md")}
    assert names == {f"{code}.md" for code in CODES}


def test_pages_name_only_codes_that_exist() -> None:
    for code in CODES:
        assert set(re.findall(r"E\d{4}", page(code) or "")) <= set(CODES)


def test_fences_are_closed_and_known() -> None:
    for code in CODES:
        fences = [line for line in (page(code) or "").splitlines() if line.startswith("```")]
        opened, closed = fences[::2], fences[1::2]
        assert set(closed) <= {"```"} and len(opened) == len(closed)
        assert all(re.match(r"```(lem (wrong E\d{4}|right)( (run|test)\b.*)?|console|text)$", line) for line in opened)


def test_codes_are_found_as_people_type_them() -> None:
    assert page("e0312") == page("0312") == page(" E0312 ") == page("E0312")
    assert page("E9999") is None and page("") is None and page("../E0312") is None
    assert suggest("E0321")[0] == "E0321" and suggest("312")[0] == "E0312"
    assert suggest("nonsense") == []


def test_programs_are_read_with_their_mode() -> None:
    text = "```lem wrong E0601 run n=3 m=4\na\n  b\n```\n```console\nx\n```\n```lem right\n```\n"
    assert programs(text) == [
        Program("wrong", "E0601", "run", ("n=3", "m=4"), "a\n  b\n"),
        Program("right", None, "check", (), ""),
    ]
