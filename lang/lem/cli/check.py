"""``lem check``: everything that can be said about programs without running them."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence

from lem import pipeline, texts
from lem.cli import output
from lem.cli.codes import Exit
from lem.diagnostics import Diagnostics
from lem.diagnostics.as_json import to_json
from lem_runtime.abi.signature import Signature


def command(args: argparse.Namespace) -> int:
    found = list(lem_files(args.files, args.json))
    reports, n_bad = [], 0
    for path in found:
        diags = Diagnostics()
        source = texts.read_source(path, diags)
        program = pipeline.analyse(source, diags) if source is not None else None
        n_bad += program is None
        if args.json:
            reports.append(_as_json(path, diags, program))
        else:
            output.show_diagnostics(diags)
            if program is not None:
                _say_ok(path, program)
    if args.json:
        print(json.dumps(reports, indent=2))
    return Exit.PROGRAM if n_bad else Exit.DONE


def lem_files(arguments: Sequence[str], as_json: bool) -> Iterator[str]:
    """The .lem files that arguments name; folders stand for all below them. Stops when one names nothing."""
    for a in arguments:
        if not os.path.isdir(a):
            yield a
            continue
        below = sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(a) for name in names if name.endswith(".lem")
        )
        if not below:
            output.fail("E0610", f"`{a}` holds no .lem file", as_json=as_json)
        yield from below


def _signatures(program: pipeline.Program) -> list[Signature]:
    mine = program.source.name
    plain = [f.signature for f in program.typed.functions.values() if f.span.source.name == mine and "[" not in f.name]
    return plain + [g.signature for g in program.typed.generics.values()]


def _say_ok(path: str, program: pipeline.Program) -> None:
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


def _as_json(path: str, diags: Diagnostics, program: pipeline.Program | None) -> dict[str, object]:
    functions = []
    if program is not None:
        for s in _signatures(program):
            conditions = [{"needs": c.text, "why": c.why} for c in s.conditions]
            functions.append({"name": s.name, "kind": s.kind, "conditions": conditions})
    return {
        "file": path, "ok": program is not None, "diagnostics": [to_json(d) for d in diags.items], "functions": functions,
    }  # fmt: skip
