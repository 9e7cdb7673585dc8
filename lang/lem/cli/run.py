"""``lem run``: bind files and numbers to parameters by name, run, write results, say what happened."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any, NoReturn

from lem.cli import files, output, report
from lem.cli.codes import Exit
from lem.cli.session import Session, open_session
from lem.diagnostics.suggest import nearest
from lem_runtime import (
    CallError,
    Interrupted,
    KernelFault,
    LoadError,
    NoCompiler,
    RunError,
    RunResult,
    TimeUp,
    facts_of,
    lem_dtype,
    run,
)
from lem_runtime.abi import signature
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.signature import Param, Signature
from lem_runtime.abi.source import Facts


class _Inputs:
    """What the command line binds: arrays, scalars, and dimensions given by name."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.scalars: dict[str, int | float | bool] = {}
        self.dims: dict[str, int] = {}
        self.paths: dict[str, str] = {}


def command(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    session = open_session(args.file, use_cache=not args.no_cache, as_json=args.json)
    sig = session.entry.signature
    outputs = _output_paths(args, sig)
    inputs = _inputs(args, session)
    _protect_inputs(outputs, inputs, args.json)
    facts = _facts(session, inputs, args.json)
    artifact = session.artifact(facts)
    ready = time.perf_counter()
    result = _run(args, session, artifact, inputs)
    _write(outputs, result, args.json)
    prepared_ms = (ready - started) * 1e3
    if args.json:
        report.print_json(artifact, result, outputs, prepared_ms)
    else:
        report.print_results(result, outputs, artifact)
        if args.report:
            report.print_report(artifact, result, prepared_ms)
    return Exit.DONE


# ---------------------------------------------------------------- what goes in
def _inputs(args: argparse.Namespace, session: Session) -> _Inputs:
    sig = session.entry.signature
    found = _Inputs()
    for text in args.values:
        name, equals, value = text.partition("=")
        if not equals:
            output.fail("E0620", f"`{text}` is not of the form name=value", as_json=args.json)
        param = sig.param(name)
        if name in found.arrays or name in found.scalars or name in found.dims:
            output.fail("E0620", f"`{name}` is given twice", as_json=args.json)
        if param is not None and param.effect not in ("out", "result"):
            _bind(found, param, value, session, args.json)
        elif name in sig.dims:
            found.dims[name] = _int(name, value, args.json)
        else:
            _refuse(sig, name, param, value, args)
    return found


def _bind(found: _Inputs, param: Param, value: str, session: Session, as_json: bool) -> None:
    if not param.is_array:
        found.scalars[param.name] = _scalar(param, value, as_json)
        return
    dtype = "" if param.dtype in session.entry.type_params else param.dtype
    try:
        found.arrays[param.name] = files.read_array(value, param.name, dtype, len(param.shape or ()))
    except files.FileProblem as e:
        output.fail(e.code, f"{param.name}={value}: {e.message}", help=e.help, as_json=as_json)
    found.paths[param.name] = value


def _refuse(sig: Signature, name: str, param: Param | None, value: str, args: argparse.Namespace) -> None:
    if param is not None:
        output.fail(
            "E0609", f"`{name}` is a result of `{sig.name}`; it is not given", place=param.place,
            help=f"to write it to a file: -o {name}={value}", as_json=args.json,
        )  # fmt: skip
    known = [p.name for p in sig.inputs] + list(sig.dims)
    guess = nearest(name, known)
    output.fail(
        "E0609", f"`{sig.name}` has no parameter or dimension `{name}`", place=sig.place,
        help=f"did you mean `{guess}`?" if guess else f"it takes {', '.join(known) or 'nothing'}", as_json=args.json,
    )  # fmt: skip


def _int(name: str, text: str, as_json: bool) -> int:
    try:
        return int(text.replace("_", ""), 0) if not text.lstrip("-").isdecimal() else int(text)
    except ValueError:
        output.fail("E0607", f"dimension `{name}` is a whole number, not `{text}`", as_json=as_json)


def _scalar(param: Param, text: str, as_json: bool) -> int | float | bool:
    """A number or bool as written on the command line; the runtime checks that the type can hold it."""
    try:
        if param.dtype == "bool":
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if param.dtype[0] in "iu":
            return int(text, 0) if not text.lstrip("+-").isdecimal() else int(text)
        return float(text)
    except (ValueError, KeyError):
        output.fail(
            "E0607", f"`{param.name}` expects {param.dtype}, found `{text}`", place=param.place, as_json=as_json
        )


def _facts(session: Session, inputs: _Inputs, as_json: bool) -> Facts:
    """Facts of this call; for a generic kernel also its dtypes. Misfits are reported here, before compiling."""
    sig = session.entry.signature
    dtypes = _dtypes(session, inputs, as_json)
    for p in sig.inputs:
        given = p.name in inputs.arrays or p.name in inputs.scalars
        if not given and p.default is None:
            what = f"`{p.name}` ({_described(p)}) is missing"
            form = f"{p.name}=FILE" if p.is_array else f"{p.name}=NUMBER"
            output.fail("E0608", what, place=p.place, help=f"give it: {form}", as_json=as_json)
        if p.name in inputs.arrays:
            _check_dtype(p, inputs, dict(dtypes), as_json)
    scalars = {p.name: p.default for p in sig.params if p.default is not None} | inputs.scalars
    try:
        dims = signature.bind(sig, {n: a.shape for n, a in inputs.arrays.items()}, scalars, inputs.dims)
    except CallError as e:
        _fail_call(e, as_json)
    facts = facts_of(sig, inputs.arrays, dims)
    return Facts(facts.layouts, (), dtypes)


def _dtypes(session: Session, inputs: _Inputs, as_json: bool) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for p in session.entry.signature.params:
        if p.dtype in session.entry.type_params and p.name in inputs.arrays:
            dtype = lem_dtype(inputs.arrays[p.name].dtype)
            if dtype is not None:
                found.setdefault(p.dtype, dtype)
    for t in session.entry.type_params:
        if t not in found:
            output.fail("E0325", f"type `{t}` cannot be told from the arguments", as_json=as_json)
    return tuple(sorted(found.items()))


def _check_dtype(p: Param, inputs: _Inputs, dtypes: dict[str, str], as_json: bool) -> None:
    array = inputs.arrays[p.name]
    want = dtypes.get(p.dtype, p.dtype)
    have = lem_dtype(array.dtype)
    if have != want:
        output.fail(
            "E0607", f"`{p.name}` expects {want}, but `{inputs.paths[p.name]}` holds {have or array.dtype}",
            place=p.place, help=f"convert the file first (nothing is converted silently), or declare `{p.name}` as {have}",
            as_json=as_json,
        )  # fmt: skip


def _described(p: Param) -> str:
    from lem_runtime.abi import sizes

    return p.dtype + ("" if p.shape is None else f"[{', '.join(sizes.show(s) for s in p.shape)}]")


# ---------------------------------------------------------------- running
def _run(args: argparse.Namespace, session: Session, artifact: Artifact, inputs: _Inputs) -> RunResult:
    progress = report.Progress(args.json)
    try:
        with progress:
            return run(
                artifact, inputs.arrays, inputs.scalars, inputs.dims,
                threads=args.threads, timeout_s=args.timeout, on_progress=progress.show, on_prints=progress.prints,
            )  # fmt: skip
    except CallError as e:
        _fail_call(e, args.json)
    except KernelFault as e:
        _fail_run(e, session, Exit.FAULT, args.json)
    except TimeUp as e:
        _fail_run(e, session, Exit.TIMEOUT, args.json)
    except Interrupted:
        raise
    except RunError as e:
        _fail_run(e, session, Exit.FAULT, args.json)
    except (NoCompiler, LoadError) as e:
        output.fail("E0501", str(e), exit_code=Exit.INTERNAL, as_json=args.json)


def _fail_call(e: CallError, as_json: bool) -> NoReturn:
    output.fail(e.code, e.message, place=e.place, help=e.help, as_json=as_json)


def _fail_run(e: RunError, session: Session, code: int, as_json: bool) -> NoReturn:
    known = e.code if isinstance(e.code, str) else f"E{int(e.code):04d}"
    output.fail(
        known, e.message, place=e.place, sources=session.files, help=e.help, note="no output was written",
        exit_code=code, as_json=as_json,
    )  # fmt: skip


# ---------------------------------------------------------------- what comes out
def _output_paths(args: argparse.Namespace, sig: Signature) -> dict[str, str]:
    """name -> path; ``-o path`` alone names the only result."""
    writable = [p.name for p in sig.params if p.is_array and p.is_written]
    found: dict[str, str] = {}
    for text in args.outputs:
        name, equals, path = text.partition("=")
        if not equals:
            if len(writable) != 1:
                listed = ", ".join(writable) or "no array"
                label = f"-o {text}: `{sig.name}` gives {listed}"
                output.fail("E0620", label, help="name one: -o NAME=PATH", as_json=args.json)
            name, path = writable[0], text
        if name not in writable:
            guess = nearest(name, writable)
            output.fail(
                "E0609", f"-o {text}: `{sig.name}` has no result `{name}`", place=sig.place,
                help=f"did you mean `{guess}`?" if guess else f"it has {', '.join(writable) or 'none'}", as_json=args.json,
            )  # fmt: skip
        try:
            files.check_writable(path)
        except files.FileProblem as e:
            output.fail(e.code, e.message, help=e.help, as_json=args.json)
        found[name] = path
    return found


def _protect_inputs(outputs: dict[str, str], inputs: _Inputs, as_json: bool) -> None:
    for name, path in outputs.items():
        for given, source in inputs.paths.items():
            source = source.partition("::")[0]
            if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
                output.fail("E0611", f"-o {name}={path} would overwrite the input of `{given}`", as_json=as_json)


def _write(outputs: dict[str, str], result: RunResult, as_json: bool) -> None:
    by_path: dict[str, dict[str, Any]] = {}
    for name, path in outputs.items():
        by_path.setdefault(path, {})[name] = result.outputs[name]
    for path, arrays in by_path.items():
        try:
            files.write_arrays(path, arrays)
        except files.FileProblem as e:
            output.fail(e.code, e.message, help=e.help, as_json=as_json)

