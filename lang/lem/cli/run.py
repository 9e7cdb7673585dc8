"""``lem run``: bind files and numbers to parameters by name, run, write results, say what happened."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from lem.cli import files, inputs, output, report
from lem.cli.codes import Exit
from lem.cli.session import Prepared, open_session, split_entry
from lem.diagnostics.suggest import nearest
from lem_runtime import CallError, Interrupted, KernelFault, LoadError, NoCompiler, RunError, RunResult, TimeUp, run, split
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.signature import Param, Signature


def command(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    file, values = _words(args.words)
    session = _open(args, file)
    sig = session.entry.signature
    paths = _output_paths(args, sig)
    bound = inputs.bind(session, values, args.dtype)
    _protect_inputs(paths, bound)
    artifact = session.artifact(inputs.facts(session, bound))
    ready = time.perf_counter()
    result = _run(args, session, artifact, bound)
    given = artifact.signature
    results = [_result(given, p, result.outputs[p.name]) for p in given.arguments if _is_result(p)]
    _write(paths, results)
    numbers = _numbers(sig, bound) | result.dims
    prepared_ms = (ready - started) * 1e3
    ran = report.Ran(artifact, result, results, paths, numbers, session.cpu, prepared_ms, session.notes)
    if args.json:
        report.print_json(ran)
    else:
        if args.report:
            report.print_report(ran)
        report.print_results(ran)
    return Exit.DONE


def _open(args: argparse.Namespace, file: str) -> Prepared:
    """A text, or a bundle. What belongs to the other one is loaded only where it is needed."""
    path, wanted = split_entry(file)
    if not path.endswith(".lemb"):
        return open_session(file, use_cache=not args.no_cache)
    from lem.cli import bundled

    return bundled.open_bundle(path, wanted)


def _numbers(sig: Signature, bound: inputs.Inputs) -> dict[str, int]:
    """The integer scalars of the call, given or left to their defaults."""
    values = {p.name: bound.scalars.get(p.name, p.default) for p in sig.arguments if not p.is_array}
    return {name: value for name, value in values.items() if isinstance(value, int) and not isinstance(value, bool)}


def _words(words: list[str]) -> tuple[str, list[str]]:
    """The program, and what it is given."""
    if not words:
        output.fail("E0620", "no program is named", help="lem run FILE.lem name=value ...")
    file, *values = words
    if "=" in file and not os.path.exists(file):
        output.fail("E0620", f"`{file}` stands where the program is expected", help="lem run FILE.lem name=value ...")
    return file, values


def _is_result(p: Param) -> bool:
    return p.is_array and p.is_written


def _result(sig: Signature, p: Param, value: Any) -> files.Result:
    fields = sig.fields(p.name)
    if not fields:
        return files.Result(p.name, p.dtype, value)
    parts = split(sig, {p.name: value})
    made = tuple(files.Result(f.field, f.dtype, parts[f.name]) for f in fields)
    return files.Result(p.name, p.dtype, made[0].array, made)


# ---------------------------------------------------------------- running
def _run(args: argparse.Namespace, session: Prepared, artifact: Artifact, bound: inputs.Inputs) -> RunResult:
    progress = report.Progress(args.json)
    try:
        with progress:
            return run(
                artifact, bound.arrays, bound.scalars, bound.dims,
                threads=args.threads, timeout_s=args.timeout, on_progress=progress.show, on_prints=progress.prints,
            )  # fmt: skip
    except CallError as e:
        inputs.fail_call(e, bound)
    except TimeUp as e:
        _fail_run(e, session, Exit.TIMEOUT, progress)
    except (KernelFault, RunError) as e:
        _fail_run(e, session, Exit.FAULT, progress)
    except Interrupted:
        raise
    except (NoCompiler, LoadError) as e:
        output.fail("E0501", str(e), exit_code=Exit.INTERNAL)


def _fail_run(e: RunError, session: Prepared, code: int, progress: report.Progress) -> NoReturn:
    told = session.told(e.place)
    place = None if told else e.place or session.entry.signature.place
    output.fail(
        e.code, e.message, place=place, sources=session.files, help=e.help, exit_code=code, prints=progress.kept,
        note=f"{told}; no output was written" if told else "no output was written",
    )  # fmt: skip


# ---------------------------------------------------------------- what comes out
def _output_paths(args: argparse.Namespace, sig: Signature) -> dict[str, str]:
    """name -> path; ``-o path`` alone names the only result."""
    writable = [p.name for p in sig.arguments if _is_result(p)]
    found: dict[str, str] = {}
    for text in args.outputs:
        name, equals, path = text.partition("=")
        if not equals:
            name, path = _only_result(sig, writable, text), text
        if name not in writable:
            guess = nearest(name, writable)
            has = f"it has {', '.join(writable)}" if writable else "it has none that is an array"
            help = f"did you mean `{guess}`?" if guess else has
            output.fail("E0609", f"-o {text}: `{sig.name}` has no result `{name}`", place=sig.place, help=help)
        if name in found:
            output.fail("E0620", f"-o {text}: `{name}` is already written to {found[name]}")
        found[name] = os.path.expanduser(path)
    for path in found.values():
        planned = [_planned(sig, name) for name, other in found.items() if _is_same(other, path)]
        try:
            files.check_writable(path, planned)
        except files.FileProblem as e:
            output.fail(e.code, e.message, help=e.help)
    return found


def _is_same(a: str, b: str) -> bool:
    """Whether two paths name one file, which may not exist yet."""
    return a == b or os.path.realpath(a) == os.path.realpath(b)


def _planned(sig: Signature, name: str) -> files.Planned:
    param = sig.param(name)
    assert param is not None and param.shape is not None
    fields = tuple(f.dtype for f in sig.fields(name))
    return files.Planned(name, param.dtype if fields or param.dtype in DTYPES else "", len(param.shape), fields)


def _only_result(sig: Signature, writable: list[str], path: str) -> str:
    if len(writable) == 1:
        return writable[0]
    gives = " and ".join(f"`{name}`" for name in writable) or "no array"
    help = f"say which: -o {writable[0]}={path}" if writable else ""
    output.fail("E0620", f"-o {path}: `{sig.name}` gives {gives}", help=help)


def _protect_inputs(paths: Mapping[str, str], bound: inputs.Inputs) -> None:
    for name, path in paths.items():
        for given, loaded in bound.loaded.items():
            if os.path.exists(path) and os.path.samefile(path, loaded.path):
                label = f"-o {name}={path} would overwrite the input of `{given}`"
                output.fail("E0611", label, help="input files are never changed: choose another name")


def _write(paths: Mapping[str, str], results: list[files.Result]) -> None:
    by_path: dict[str, list[files.Result]] = {}
    for r in results:
        if r.name in paths:
            path = next((path for path in by_path if _is_same(path, paths[r.name])), paths[r.name])
            by_path.setdefault(path, []).append(r)
    try:
        files.write_results(by_path)
    except files.FileProblem as e:
        output.fail(e.code, e.message, help=e.help, note="no output was written")
