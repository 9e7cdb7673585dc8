"""``lem fmt``: lay out programs in one way, in place; or only say (``--check``) or show (``--diff``) what would change."""

from __future__ import annotations

import argparse
import difflib
import os
import stat
import sys
from dataclasses import dataclass, field

from lem import texts
from lem.cli import files, output
from lem.cli.check import lem_files
from lem.cli.codes import Exit
from lem.diagnostics import CODES, Diagnostics
from lem.diagnostics.as_json import to_json
from lem.source import SourceFile
from lem.syntax.format import format_source

STDIN = "<stdin>"


@dataclass(slots=True)
class Outcome:
    """What became of one file. `before`, `after`: its bytes, and those in lem's layout (None: it has errors)."""

    file: str
    before: bytes = b""
    after: bytes | None = None
    source: SourceFile | None = None
    diags: Diagnostics = field(default_factory=Diagnostics)
    exit_code: Exit = Exit.DONE

    @property
    def changes(self) -> bool:
        return self.after is not None and self.after != self.before


def command(args: argparse.Namespace) -> int:
    if "-" in args.files and len(args.files) > 1:
        output.fail("E0620", "`-` stands for standard input, so it stands alone", help="lem fmt - < in.lem > out.lem")
    from_stdin = args.files == ["-"]
    is_dry = args.check or args.diff
    outcomes = []
    for path in [STDIN] if from_stdin else lem_files(args.files):
        outcome = formatted(path)
        if outcome.changes and not is_dry and not from_stdin:
            _replace(outcome)
        if args.check and outcome.changes:
            outcome.exit_code = Exit.PROGRAM
        outcomes.append(outcome)
        if not args.json:
            _show(outcome, args, from_stdin=from_stdin)
    if args.json:
        output.print_json([_as_json(o, with_text=from_stdin) for o in outcomes])
    elif not from_stdin:
        _sum_up(outcomes, is_dry=is_dry)
    return max(o.exit_code for o in outcomes)


def formatted(path: str) -> Outcome:
    """A file (or standard input) and what it should be; nothing is written."""
    made = Outcome(path)
    data = _stdin() if path == STDIN else texts.read_bytes(path, made.diags)
    made.source = None if data is None else texts.decoded(path, data, made.diags)
    if data is None or made.source is None:
        made.exit_code = Exit.USAGE
        return made
    text = format_source(made.source, made.diags)
    if text is None:
        made.exit_code = Exit.PROGRAM
        return made
    # Which line ends a file has is its owner's affair: those of its first line.
    has_windows_ends = data[: data.find(b"\n") + 1].endswith(b"\r\n")
    made.before = data
    made.after = text.replace("\n", "\r\n" if has_windows_ends else "\n").encode()
    return made


def _stdin() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin is not None else b""


def _replace(o: Outcome) -> None:
    """Write the file: whole or not at all, with the rights it had; a link stays a link."""
    assert o.after is not None
    path = os.path.realpath(o.file)
    try:
        files.write_bytes(path, o.after, mode=stat.S_IMODE(os.stat(path).st_mode))
    except (files.FileProblem, OSError) as e:
        label = e.message if isinstance(e, files.FileProblem) else f"`{o.file}`: {files.reason(e)}"
        o.diags.error(CODES["E0611"], None, label)
        o.after, o.exit_code = None, Exit.USAGE


# ---------------------------------------------------------------- what is said
def _show(o: Outcome, args: argparse.Namespace, *, from_stdin: bool) -> None:
    output.show_reports(o.diags.items, n_dropped=o.diags.n_dropped)
    if args.diff and o.changes:
        print(_diff(o), end="")
    elif args.check and o.changes:
        print(f"{o.file}: would change")
    elif from_stdin and o.after is not None and not args.diff and not args.check:
        output.write_bytes(o.after)
    elif o.changes and not from_stdin:
        print(f"{o.file}: formatted")


def _diff(o: Outcome) -> str:
    assert o.source is not None and o.after is not None
    before = o.source.text.splitlines(keepends=True)
    after = o.after.decode().replace("\r\n", "\n").splitlines(keepends=True)
    lines = list(difflib.unified_diff(before, after, o.file, o.file + " (formatted)"))
    ended = [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
    return "".join(ended) or f"{o.file}: only its line ends, or the mark at its start, would change\n"


def _sum_up(outcomes: list[Outcome], *, is_dry: bool) -> None:
    changed = sum(o.changes for o in outcomes)
    wrong = sum(o.after is None for o in outcomes)
    counts = [(changed, "would change" if is_dry else "formatted"), (len(outcomes) - changed - wrong, "as it should be")]
    counts.append((wrong, "with errors"))
    sys.stdout.flush()
    print("files: " + ", ".join(f"{n} {what}" for n, what in counts if n), file=sys.stderr)


def _as_json(o: Outcome, *, with_text: bool) -> dict[str, object]:
    made: dict[str, object] = {
        "file": o.file, "ok": o.after is not None, "changes": o.changes,
        "diagnostics": [to_json(d) for d in o.diags.items], "not_shown": o.diags.n_dropped,
    }  # fmt: skip
    return {**made, "text": o.after.decode() if o.after is not None else None} if with_text else made
