"""``lem test``: run the `test` blocks of files and say what failed, where, and with which values."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass

from lem import pipeline, texts
from lem.cli import output, testing
from lem.cli.check import lem_files
from lem.cli.codes import Exit
from lem.cli.session import offer_compiler
from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.as_json import to_json
from lem.diagnostics.text import render


@dataclass(frozen=True, slots=True)
class Outcome:
    file: str
    title: str
    seconds: float
    problem: Diagnostic | None


def command(args: argparse.Namespace) -> int:
    offer_compiler()
    outcomes: list[Outcome] = []
    n_broken = 0
    for path in lem_files(args.files, args.json):
        diags = Diagnostics()
        source = texts.read_source(path, diags)
        program = pipeline.analyse(source, diags) if source is not None else None
        if program is None:
            output.show_diagnostics(diags)
            n_broken += 1
            continue
        for fn in program.typed.tests:
            if args.pick in fn.name:
                outcomes.append(_run(path, program, fn.name))
                if not args.json:
                    _say(outcomes[-1])
    _sum_up(outcomes, n_broken, args.json)
    return Exit.PROGRAM if n_broken or any(o.problem for o in outcomes) else Exit.DONE


def _run(path: str, program: pipeline.Program, title: str) -> Outcome:
    fn = next(t for t in program.typed.tests if t.name == title)
    started = time.perf_counter()
    problem = testing.run_test(program, fn)
    return Outcome(path, title, time.perf_counter() - started, problem)


def _say(o: Outcome) -> None:
    print(f"{'ok  ' if o.problem is None else 'FAIL'}  {o.file}: {o.title}  ({o.seconds * 1e3:.0f} ms)")
    if o.problem is not None:
        print(render(o.problem, styled=output.is_person(sys.stdout)).rstrip() + "\n")


def _sum_up(outcomes: list[Outcome], n_broken: int, as_json: bool) -> None:
    bad = sum(o.problem is not None for o in outcomes)
    if as_json:
        made = [
            {"file": o.file, "test": o.title, "ok": o.problem is None, "seconds": o.seconds,
             "problem": to_json(o.problem) if o.problem else None}
            for o in outcomes
        ]  # fmt: skip
        print(json.dumps(made, indent=2))
        return
    broken = f", {n_broken} files with errors" if n_broken else ""
    print(f"{len(outcomes) - bad} passed, {bad} failed{broken}")
