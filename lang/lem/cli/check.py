"""``lem check``: everything that can be said about programs without inputs of one's own."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

from lem import pipeline, texts
from lem.cli import output
from lem.cli.codes import Exit
from lem.cli.tried import Trial, trials_of
from lem.diagnostics import Diagnostics
from lem.diagnostics.as_json import to_json
from lem_runtime.abi.signature import Signature


def command(args: argparse.Namespace) -> int:
    reports: list[dict[str, object]] = []
    code = Exit.DONE
    for path in lem_files(args.files):
        diags = Diagnostics()
        source = texts.read_source(path, diags)
        program = pipeline.analyse(source, diags) if source is not None else None
        tried = list(trials_of(program)) if program is not None else []
        for trial in tried:
            if trial.problem is not None:
                p = trial.problem
                diags.error(p.code, p.span, p.label, also=p.also, help=p.help)
        if program is None or diags.has_errors:
            code = max(code, Exit.USAGE if source is None else Exit.PROGRAM)
        if args.json:
            reports.append(_as_json(path, diags, program, tried))
        else:
            output.show_reports(diags.items, n_dropped=diags.n_dropped)
            if program is not None and not diags.has_errors:
                _say_ok(path, program, tried)
    if args.json:
        output.print_json(reports)
    return code


def lem_files(arguments: Sequence[str]) -> list[str]:
    """The .lem files that arguments name; folders stand for all below them. Stops when one names nothing."""
    found: list[str] = []
    for a in arguments:
        if a.endswith(".py"):
            help = "run its `@lem.test` functions with pytest; `lem fmt --to lem` makes a .lem file of it"
            output.fail("E0620", f"`{a}` is a module of Python, and this takes .lem files", help=help)
        if not os.path.isdir(a):
            found.append(a)
            continue
        below = sorted(_below(a))
        if not below:
            output.fail("E0610", f"`{a}` holds no .lem file")
        found += below
    return list(dict.fromkeys(found))


def _below(folder: str) -> Iterator[str]:
    """The .lem files below a folder; not those of hidden folders and of Python environments, which are not one's own."""
    for place, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and not _is_environment(os.path.join(place, f))]
        yield from (os.path.join(place, name) for name in names if name.endswith(".lem"))


def _is_environment(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def _signatures(program: pipeline.Program) -> list[Signature]:
    mine = program.source.name
    plain = [f.signature for f in program.typed.functions.values() if f.span.source.name == mine and "[" not in f.name]
    return plain + [g.signature for g in program.typed.generics.values()]


def _say_ok(path: str, program: pipeline.Program, tried: Sequence[Trial]) -> None:
    found = _signatures(program)
    counts = [(sum(s.kind == kind for s in found), kind) for kind in ("kernel", "task")]
    counts.append((len(program.typed.tests), "test"))
    said = ", ".join(f"{n} {kind}{'s' if n != 1 else ''}" for n, kind in counts if n)
    print(f"{path}: ok ({said or 'nothing to run'})")
    for s in found:
        for c in s.conditions:
            print(f"  {s.name}: every call needs {c.text} ({c.why})")
    for name, why, _ in program.typed.not_run:
        print(f"  {name}: checked for syntax and names only; it cannot run yet: {why}")
    for t in tried:
        if t.not_run:
            print(f"  {t.kernel}: not tried {t.how}: {t.not_run}")


def _as_json(path: str, diags: Diagnostics, program: pipeline.Program | None, tried: Sequence[Trial]) -> dict[str, object]:
    functions = []
    if program is not None:
        for s in _signatures(program):
            conditions = [{"needs": c.text, "why": c.why} for c in s.conditions]
            functions.append({"name": s.name, "kind": s.kind, "conditions": conditions})
    return {
        "file": path, "ok": program is not None and not diags.has_errors, "diagnostics": [to_json(d) for d in diags.items],
        "not_shown": diags.n_dropped, "functions": functions,
        "not_tried": [{"kernel": t.kernel, "why": t.not_run} for t in tried if t.not_run],
    }  # fmt: skip
