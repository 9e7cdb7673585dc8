"""What the command says: reports to stderr with colours where a person reads them, JSON where a program does."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from lem import texts
from lem.cli.codes import Exit
from lem.diagnostics import CODES, Diagnostic, Diagnostics, InternalError
from lem.diagnostics.as_json import to_json
from lem.diagnostics.text import render, render_all
from lem.source import SourceFile, Span
from lem_runtime.abi.signature import Place


class Stop(Exception):
    """Everything has been said; end with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def is_person(stream: Any) -> bool:
    """Whether a person reads `stream` in a terminal that shows colours."""
    return bool(stream.isatty()) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def show_diagnostics(diags: Diagnostics, as_json: bool = False) -> None:
    """All reports of a run of the checker: text on stderr, or one JSON array on stdout."""
    if as_json:
        print(json.dumps([to_json(d) for d in diags.items], indent=2))
    elif diags.items:
        print(render_all(diags, styled=is_person(sys.stderr), width=_width()), file=sys.stderr)


def fail(
    code: str,
    label: str,
    *,
    place: Place | None = None,
    sources: Sequence[SourceFile] = (),
    help: str = "",
    note: str = "",
    exit_code: int = Exit.USAGE,
    as_json: bool = False,
) -> NoReturn:
    """One report outside the checker (a file, the command line, a fault at run time), then the end."""
    helps, notes = ((help,) if help else ()), ((note,) if note else ())
    diag = Diagnostic(CODES[code], span_of(place, sources), label, (), notes, helps)
    if as_json:
        print(json.dumps({"error": to_json(diag)}, indent=2))
    else:
        print(render(diag, styled=is_person(sys.stderr), width=_width()).rstrip(), file=sys.stderr)
    raise Stop(exit_code)


def span_of(place: Place | None, sources: Sequence[SourceFile]) -> Span | None:
    """A place as a span of the text it came from, read again if need be; None when the text is not to be had."""
    if place is None:
        return None
    source = next((s for s in sources if s.name == place.file), None)
    if source is None:
        source = _text_of(place.file)
    if source is None or place.end > len(source.text):
        return None
    return Span(source, place.start, place.end)


def _text_of(file: str) -> SourceFile | None:
    if file.startswith("lem_stdlib/"):
        return texts.library_source(file.removeprefix("lem_stdlib/").removesuffix(".lem"))
    return texts.read_source(file, Diagnostics())


def interrupted(e: KeyboardInterrupt) -> None:
    text = getattr(e, "message", "") or "interrupted"
    print(f"\n{text}; nothing was written", file=sys.stderr)


def forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def internal_error(e: Exception) -> None:
    """Say that the fault is ours, and keep what is needed to find it."""
    stage = e.stage if isinstance(e, InternalError) else "the command"
    message = e.message if isinstance(e, InternalError) else f"{type(e).__name__}: {e}"
    kept = "".join(traceback.format_exception(e))
    if isinstance(e, InternalError) and e.ir:
        kept += f"\nIR before it:\n{e.ir}\n"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="lem-internal-", suffix=".txt", delete=False) as f:
            f.write(kept)
            where = f.name
    except OSError:
        where = ""
    print(f"internal error in {stage}: {message.splitlines()[0] if message else ''}", file=sys.stderr)
    print("this is a fault of lem, not of your program", file=sys.stderr)
    if where:
        print(f"the details are in {where}: please report them", file=sys.stderr)


def _width() -> int:
    import shutil

    return max(60, min(140, shutil.get_terminal_size((100, 24)).columns))
