"""Each rule of the language by small programs: what it accepts, what it refuses, and what stops when it runs.

One file per rule. Its programs are separated by lines ``#~ accept: why`` (checks clean, and its tests hold),
``#~ refuse: why`` (gets exactly the reports that its marks name) and ``#~ stops E0601: why`` (checks clean, and its first
test ends with that code). ``run/test_rules_*.py`` runs more of each rule on every target.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from lem import pipeline
from lem.diagnostics import Diagnostics
from lem.diagnostics.text import render_all
from lem.embed import testing
from lem.source import SourceFile
from tests.support.programs import check_error
from tests.support.run import TARGETS

assert TARGETS  # importing it offers the compiler

HERE = Path(__file__).parent
_HEAD = re.compile(r"^#~ (accept|refuse|stops (E\d{4})): (.+)$", re.MULTILINE)

# Rules that no program alone can show: a test that accepts and one that refuses, by file and name.
ELSEWHERE = {
    33: (
        ("rules/test_rules.py", "test_rule_33_quantised_arrays_are_checked"),
        ("rules/test_rules.py", "test_rule_33_quantised_arrays_do_not_run_yet"),
    ),
    44: (
        ("run/test_cli_structs.py", "test_rule_44_records_in_records_out"),
        ("run/test_cli_structs.py", "test_rule_44_formats_without_records_are_refused_early"),
    ),
}
MISSING: set[int] = set()


@dataclass(frozen=True)
class Program:
    rule: int
    kind: str  # "accept" | "refuse" | "stops"
    code: str
    why: str
    text: str


def _programs() -> list[Program]:
    out = []
    for path in sorted(HERE.glob("[0-9][0-9]_*.lem")):
        parts = _HEAD.split(path.read_text(encoding="utf-8"))
        assert not parts[0].strip(), f"{path.name}: text before the first program"
        for kind, code, why, text in zip(parts[1::4], parts[2::4], parts[3::4], parts[4::4], strict=True):
            out.append(Program(int(path.name[:2]), kind.split()[0], code or "", why, text.lstrip("\n")))
    return out


PROGRAMS = _programs()


def _id(p: Program) -> str:
    return f"rule_{p.rule:02}_{p.kind.removesuffix('s')}s_{re.sub(r'[^a-z0-9]+', '_', p.why.lower()).strip('_')}"


@pytest.mark.parametrize("program", PROGRAMS, ids=_id)
def test_program(program: Program) -> None:
    if program.kind == "refuse":
        check_error(program.text)
        return
    diags = Diagnostics()
    made = pipeline.analyse(SourceFile("rule.lem", program.text), diags)
    assert made is not None and not diags.items, f"{program.text}\n{render_all(diags)}"
    assert made.typed.tests and not made.typed.not_run, f"nothing runs: {made.typed.not_run}"
    for fn in made.typed.tests:
        problem, _ = testing.run_test(made, fn, {})
        found = problem.code.id if problem else ""
        assert found == program.code, f"expected {program.code or 'no fault'}, found {problem}\n\n{program.text}"


QUANTISED = """
kernel f[N](x: pal8[N]) -> y: f32[N]:
    for i in grid(N):
        y[i] = f32(x[i])
"""


def test_rule_33_quantised_arrays_are_checked() -> None:
    diags = Diagnostics()
    assert pipeline.analyse(SourceFile("rule.lem", QUANTISED), diags) is not None and not diags.items


def test_rule_33_quantised_arrays_do_not_run_yet() -> None:
    made = pipeline.analyse(SourceFile("rule.lem", QUANTISED), Diagnostics())
    assert made is not None
    ((name, reason, _),) = made.typed.not_run
    assert (name, reason) == ("f", "quantised arrays")


@pytest.mark.parametrize("rule", sorted(ELSEWHERE))
def test_rules_that_are_shown_elsewhere_are(rule: int) -> None:
    for path, name in ELSEWHERE[rule]:
        assert f"def {name}(" in (HERE.parent / path).read_text(encoding="utf-8"), name


def test_every_rule_accepts_and_refuses() -> None:
    accepts = {p.rule for p in PROGRAMS if p.kind == "accept"}
    refuses = {p.rule for p in PROGRAMS if p.kind != "accept"}
    every = set(range(1, 45)) - set(ELSEWHERE)
    assert every <= accepts | MISSING, f"nothing accepted: {sorted(every - accepts)}"
    assert every <= refuses | MISSING, f"nothing refused: {sorted(every - refuses)}"
    assert not MISSING & accepts, "strike these off the list"
