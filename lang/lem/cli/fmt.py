"""``lem fmt``: lay out programs in one way, in place; or only say (``--check``) or show (``--diff``) what would change.

With ``--to`` it turns one `.lem` file into a Python module with ``@lem.kernel`` functions, or such a module into a file.
"""

from __future__ import annotations

import argparse
import difflib
import os
import stat
import sys
from dataclasses import field

from lem import texts
from lem.cli import files, output
from lem.cli.check import lem_files
from lem.cli.codes import Exit
from lem.diagnostics import CODES, Diagnostics
from lem.diagnostics.as_json import to_json
from lem.source import SourceFile
from lem.syntax.format import format_source
from lem.syntax.to_lem import to_lem
from lem.syntax.to_python import to_python
from lem_runtime.abi.records import dataclass

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
    if args.to:
        return _turn(args)
    if args.output:
        output.fail("E0620", "-o goes with --to", help="files are formatted in place; `lem fmt - < in.lem` writes to stdout")
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


# ---------------------------------------------------------------- the other spelling
def _turn(args: argparse.Namespace) -> int:
    """``--to python`` and ``--to lem``."""
    _check_turn(args)
    path = STDIN if args.files == ["-"] else args.files[0]
    made = Outcome(path)
    data = _stdin() if path == STDIN else texts.read_bytes(path, made.diags)
    made.source = None if data is None else texts.decoded(path, data, made.diags)
    text = _turned(made.source, args.to, made.diags) if made.source is not None else None
    if text is not None:
        made.after = text.encode()
        if args.output:
            _write(made, args.output)
    if text is None:
        made.exit_code = Exit.USAGE if made.source is None else Exit.PROGRAM
    if args.json:
        output.print_json({key: value for key, value in _as_json(made, with_text=True).items() if key != "changes"})
        return made.exit_code
    output.show_reports(made.diags.items, n_dropped=made.diags.n_dropped)
    if made.after is not None and not args.output:
        output.write_bytes(made.after)
    return made.exit_code


def _check_turn(args: argparse.Namespace) -> None:
    if len(args.files) != 1 or os.path.isdir(args.files[0]):
        output.fail("E0620", "--to takes one file", help=f"lem fmt --to {args.to} FILE")
    if args.check or args.diff:
        output.fail("E0620", "--to goes with neither --check nor --diff")
    same = args.output and os.path.exists(args.output) and args.files != ["-"] and os.path.exists(args.files[0])
    if same and os.path.samefile(args.output, args.files[0]):
        output.fail("E0620", f"`{args.output}` is the file that is read", help="name another one")


def _turned(source: SourceFile, to: str, diags: Diagnostics) -> str | None:
    if to == "lem":
        return to_lem(source, diags)
    return to_python(source, diags, lambda module: texts.library_source(module) is not None)


def _write(o: Outcome, path: str) -> None:
    assert o.after is not None
    try:
        files.write_bytes(path, o.after)
    except files.FileProblem as e:
        o.diags.error(CODES[e.code], None, e.message, help=e.help)
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
