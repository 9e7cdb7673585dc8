"""What the command says: reports to stderr with colours where a person reads them, one JSON value where a program does.

A verb that cannot go on raises :class:`Stop` with its reports; :func:`guarded` shows them, once, and gives the exit code.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TextIO

from lem import texts
from lem.cli.codes import Exit
from lem.diagnostics import CODES, Diagnostic, Diagnostics, InternalError, Refused
from lem.diagnostics.as_json import to_json
from lem.diagnostics.text import render_all
from lem.source import SourceFile, Span
from lem_runtime.abi.signature import Place


class Stop(Exception):
    """The command ends here with these reports. `more`: what JSON tells besides them."""

    def __init__(self, code: int, reports: Iterable[Diagnostic] = (), **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.reports = list(reports)
        self.more = more


def fail(
    code: str,
    label: str,
    *,
    place: Place | None = None,
    sources: Sequence[SourceFile] = (),
    also: Iterable[tuple[Place | None, str]] = (),
    help: str | Sequence[str] = (),
    note: str = "",
    exit_code: int = Exit.USAGE,
    prints: Sequence[str] = (),
) -> NoReturn:
    """One report outside the checker (a file, the command line, a fault at run time), then the end."""
    helps = ((help,) if help else ()) if isinstance(help, str) else tuple(help)
    texts_read = list(sources)  # each file is read once, so that places in it are drawn together
    span = span_of(place, texts_read)
    others = [(other, text) for at, text in also if (other := span_of(at, texts_read)) is not None]
    report = Diagnostic(CODES[code], span, label, tuple(others), (note,) if note else (), helps)
    raise Stop(exit_code, [report], **({"prints": list(prints)} if prints else {}))


def guarded(work: Callable[[], int], *, as_json: bool) -> int:
    """The exit code of `work`, with whatever it ended with shown: no traceback ever reaches a person."""
    _be_lenient()
    try:
        code = work()
        sys.stdout.flush()
        return code
    except Stop as e:
        end = e
    except Refused as e:
        end = Stop(Exit.PROGRAM, [e.diagnostic])
    except KeyboardInterrupt as e:
        end = _interrupted(e)
    except BrokenPipeError:  # the reader of our output went away: nothing to tell anybody
        _forget_stdout()
        return Exit.DONE
    except OSError as e:
        end = _unsaid(e) if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO) and e.filename is None else _internal(e)
    except Exception as e:
        end = _internal(e)
    show_stop(end, as_json)
    return end.code


def show_stop(stop: Stop, as_json: bool) -> None:
    if as_json:
        reports = [to_json(d) for d in stop.reports]
        print_json({"ok": False, "exit": int(stop.code), "diagnostics": reports, **stop.more})
    else:
        show_reports(stop.reports)


def show_reports(reports: Sequence[Diagnostic], *, n_dropped: int = 0) -> None:
    """Reports as text on stderr."""
    if not reports:
        return
    sys.stdout.flush()  # what was said before stands before it, also where both go to one file
    print(text_of(reports, sys.stderr, n_dropped=n_dropped), file=sys.stderr)


def text_of(reports: Sequence[Diagnostic], stream: TextIO, *, n_dropped: int = 0) -> str:
    """Reports as `stream` shows them; the line that counts them only where there are several."""
    diags = Diagnostics(items=list(reports), n_dropped=n_dropped)
    text = render_all(diags, styled=is_person(stream), width=_width()).rstrip("\n")
    return text if len(reports) > 1 or n_dropped else text.rpartition("\n\n")[0]


def print_json(value: Any) -> None:
    """The one JSON value of a run. Numbers that JSON does not know (nan, inf) become text."""
    print(json.dumps(value, indent=2, allow_nan=False))


def write_bytes(data: bytes) -> None:
    """A text on stdout as it is, whatever the terminal can show."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(data.decode())
    else:
        buffer.write(data)


def is_person(stream: TextIO) -> bool:
    """Whether a person reads `stream` in a terminal that shows colours."""
    return bool(stream.isatty()) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def span_of(place: Place | None, sources: list[SourceFile]) -> Span | None:
    """A place as a span of the text it came from, read if need be; None when the text is not to be had."""
    if place is None:
        return None
    source = next((s for s in sources if s.name == place.file), None)
    if source is None:
        source = _text_of(place.file)
        if source is None:
            return None
        sources.append(source)
    return Span(source, place.start, place.end) if place.end <= len(source.text) else None


def _text_of(file: str) -> SourceFile | None:
    if file.startswith("lem_stdlib/"):
        return texts.library_source(file.removeprefix("lem_stdlib/").removesuffix(".lem"))
    return texts.read_source(file, Diagnostics())


def _width() -> int:
    return max(60, min(140, shutil.get_terminal_size((120, 24)).columns))


# ---------------------------------------------------------------- how a run can end
def _interrupted(e: KeyboardInterrupt) -> Stop:
    text = getattr(e, "message", "") or "the command was stopped"
    return Stop(Exit.INTERRUPTED, [Diagnostic(CODES["E0613"], None, f"{text}; nothing was written")])


def _unsaid(e: OSError) -> Stop:
    """The command's own output goes to a disk that is full."""
    _forget_stdout()
    return Stop(Exit.USAGE, [Diagnostic(CODES["E0611"], None, f"stdout: {os.strerror(e.errno or 0).lower()}")])


def _internal(e: Exception) -> Stop:
    """Say that the fault is ours, and keep what is needed to find it."""
    stage = e.stage if isinstance(e, InternalError) else "the command"
    message = e.message if isinstance(e, InternalError) else f"{type(e).__name__}: {e}"
    kept = "".join(traceback.format_exception(e))
    if isinstance(e, InternalError) and e.ir:
        kept += f"\nIR before it:\n{e.ir}\n"
    where = _keep(kept)
    label = f"in {stage}: {message.splitlines()[0] if message else type(e).__name__}"
    note = "this is a fault of lem, not of your program"
    helps = (f"the details are in {where}: please report them",) if where else ()
    return Stop(Exit.INTERNAL, [Diagnostic(CODES["E0622"], None, label, (), (note,), helps)], details=where)


def _keep(text: str) -> str:
    try:
        with tempfile.NamedTemporaryFile("w", prefix="lem-internal-", suffix=".txt", delete=False, errors="replace") as f:
            f.write(text)
            return f.name
    except OSError:
        return ""


def _be_lenient() -> None:
    """A name of a file, or a sign of ours, that the terminal cannot show becomes an escape and not an exception; what is
    said to a closed stream is said to nobody."""
    if sys.stdout is None or sys.stderr is None:
        nobody = open(os.devnull, "w")  # lives as long as the process
        sys.stdout, sys.stderr = sys.stdout or nobody, sys.stderr or nobody
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass
