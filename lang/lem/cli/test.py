"""``lem test``: run the `test` blocks of files and say what failed, where, and with which values."""

from __future__ import annotations

import argparse
import sys
import time

from lem import pipeline, texts
from lem.cli import output
from lem.cli.check import lem_files
from lem.cli.codes import Exit
from lem.cli.report import duration
from lem.cli.session import offer_compiler
from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.as_json import to_json
from lem.embed import testing
from lem_runtime.abi.records import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    file: str
    title: str
    seconds: float
    problem: Diagnostic | None
    prints: list[str]


@dataclass(frozen=True, slots=True)
class Broken:
    """A file whose tests could not be run. unread: it is no text."""

    file: str
    diags: Diagnostics
    unread: bool


def command(args: argparse.Namespace) -> int:
    offer_compiler()
    outcomes: list[Outcome] = []
    broken: list[Broken] = []
    for path in lem_files(args.files):
        diags = Diagnostics()
        source = texts.read_source(path, diags)
        program = pipeline.analyse(source, diags) if source is not None else None
        if program is None:
            broken.append(Broken(path, diags, source is None))
        if not args.json:
            output.show_reports(diags.items, n_dropped=diags.n_dropped)
        if program is not None:
            outcomes += _run_all(path, program, args)
    if args.json:
        output.print_json(_as_json(outcomes, broken))
    else:
        _sum_up(outcomes, broken, args.pick)
    return _exit(outcomes, broken, args.pick)


def _exit(outcomes: list[Outcome], broken: list[Broken], pick: str) -> Exit:
    if any(b.unread for b in broken) or (pick and not outcomes and not broken):
        return Exit.USAGE
    return Exit.PROGRAM if broken or any(o.problem for o in outcomes) else Exit.DONE


def _run_all(path: str, program: pipeline.Program, args: argparse.Namespace) -> list[Outcome]:
    made: list[Outcome] = []
    compiled: testing.Compiled = {}
    for fn in program.typed.tests:
        if args.pick in fn.name:
            started = time.perf_counter()
            problem, prints = testing.run_test(program, fn, compiled)
            made.append(Outcome(path, fn.name, time.perf_counter() - started, problem, prints))
            if not args.json:
                _say(made[-1])
    return made


def _say(o: Outcome) -> None:
    for line in o.prints:
        print(line)
    print(f"{'ok  ' if o.problem is None else 'FAIL'}  {o.file}: {o.title}  ({duration(o.seconds)})")
    if o.problem is not None:
        print(output.text_of([o.problem], sys.stdout) + "\n")


def _sum_up(outcomes: list[Outcome], broken: list[Broken], pick: str) -> None:
    bad = sum(o.problem is not None for o in outcomes)
    if not outcomes and not broken:
        print(f"no test has `{pick}` in its name" if pick else "no tests found")
        return
    files = f", {len(broken)} file{'s' if len(broken) != 1 else ''} with errors" if broken else ""
    print(f"{len(outcomes) - bad} passed, {bad} failed{files}")


def _as_json(outcomes: list[Outcome], broken: list[Broken]) -> dict[str, object]:
    return {
        "ok": not broken and all(o.problem is None for o in outcomes),
        "tests": [
            {
                "file": o.file, "test": o.title, "ok": o.problem is None, "seconds": o.seconds, "prints": o.prints,
                "problem": to_json(o.problem) if o.problem else None,
            }
            for o in outcomes
        ],
        "broken": [{"file": b.file, "diagnostics": [to_json(d) for d in b.diags.items]} for b in broken],
    }  # fmt: skip
