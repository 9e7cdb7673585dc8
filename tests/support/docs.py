"""The documentation as tests: every fenced block of a page says what holds for it, and is held to it.

    ```lem check                     checking it reports nothing
    ```lem test                      and its tests pass
    ```lem run n=3                   and `lem run` with these arguments ends well
    ```lem error E0312               checking it reports E0312 and nothing else
    ```lem error E0601 run n=3       it checks, and running it with these arguments ends with E0601
    ```lem error E0617 test          it checks, and its tests end with E0617
    ```python run                    it runs, with the page's files beside it
    ```python shown                  it is Python, for a library or a device that not every machine has
    ```sh                            it is a command line, for what a test cannot do (installing)
    ```c file=NAME                   it is C, which a command of its page compiles
    ```console                       command lines after `$ ` (lem, python, cat, cc, ./PROGRAM, `echo $?`) and what they say
    ```text                          plain text: the shape of something, a grammar

``file=NAME`` makes a block the file NAME of its page, for the blocks below it. In what a command says, `...` stands for any
text and a duration for any duration. ``python -m tests docs --accept`` writes what the commands say into the pages.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

from lem.cli import main

from . import ROOT
from .cli import environment

_PAGES = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/**/*.md")
_ERROR = re.compile(r"^(?:error|warning)\[(E\d{4})\]", re.MULTILINE)
_DURATION = re.compile(r" *\b\d+(?:\.\d+)?(?:e\+\d+)? (?:ns|µs|ms|s)\b")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. words: its info string, without the file; line: of its opening fence."""

    page: Path
    line: int
    words: tuple[str, ...]
    file: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_console(self) -> bool:
        return self.words[:1] == ("console",)


@dataclass(frozen=True, slots=True)
class Command:
    """A command line of a console block and what the page says that it answers."""

    line: str
    answer: str


def pages() -> list[Path]:
    return sorted(path for pattern in _PAGES for path in ROOT.glob(pattern))


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if line.startswith("```"):
            body = [text for _, text in takewhile(lambda entry: entry[1].rstrip() != "```", lines)]
            words = line[3:].split()
            named = [word.removeprefix("file=") for word in words if word.startswith("file=")]
            rest = tuple(word for word in words if not word.startswith("file="))
            found.append(Block(page, number, rest, named[0] if named else "", "".join(f"{text}\n" for text in body)))
    return tuple(found)


# ---------------------------------------------------------------- programs
def hold(block: Block, folder: Path) -> None:
    """Assert what the block says of itself, in a folder with the files of the blocks before it."""
    for before in blocks(block.page) if block.page.exists() else ():
        if before.file and before.line < block.line:
            (folder / before.file).write_text(before.text, encoding="utf-8")
    match block.words:
        case ("lem", "check"):
            _lem_right(block, folder)
        case ("lem", "test"):
            _lem_right(block, folder, "test")
        case ("lem", "run", *given):
            _lem_right(block, folder, "run", *given)
        case ("lem", "error", code):
            _lem_wrong(block, folder, code, "check")
        case ("lem", "error", code, "test" | "run" as verb, *given):
            _lem_right(block, folder)
            _lem_wrong(block, folder, code, verb, *given)
        case ("python", "run"):
            status, said = _python([_saved(block, folder, "program.py")], folder)
            assert status == 0, said
        case ("python", "shown"):
            ast.parse(block.text)
        case ("sh",):
            done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        case ("text",):
            pass
        case ("c",):
            session = "".join(other.text for other in blocks(block.page) if other.is_console)
            assert block.file and f"$ cc {block.file} " in session, "no command compiles it"
        case _:
            raise AssertionError(f"no test knows a block of the kind `{' '.join(block.words)}`")


def _lem_right(block: Block, folder: Path, verb: str = "check", *given: str) -> None:
    status, said = _lem([verb, _saved(block, folder), *given], folder)
    assert status == 0 and not _ERROR.search(said), said
    assert verb != "test" or re.search(r"^[1-9]\d* passed, 0 failed", said, re.MULTILINE), said


def _lem_wrong(block: Block, folder: Path, code: str, verb: str, *given: str) -> None:
    status, said = _lem([verb, _saved(block, folder), *given], folder)
    found = set(_ERROR.findall(said))
    assert status != 0 and found == {code}, f"expected {code} alone, found {sorted(found)}:\n{said}"


def _saved(block: Block, folder: Path, name: str = "program.lem") -> str:
    name = block.file or name
    (folder / name).write_text(block.text, encoding="utf-8")
    return name


# ---------------------------------------------------------------- command lines
def commands(block: Block) -> list[Command]:
    """The command lines of a console block. A line may go on after a backslash."""
    found: list[Command] = []
    lines = iter(block.text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            while line.endswith("\\"):
                line += "\n" + next(lines)
            found.append(Command(line[2:], ""))
        else:
            assert found, f"{block.id}: a console block begins with `$ `"
            last = found[-1]
            found[-1] = Command(last.line, f"{last.answer}{line}\n")
    return found


def run_session(page: Path, folder: Path) -> Iterator[tuple[Block, list[tuple[Command, str]]]]:
    """Each console block of a page, with what its commands say when they run in order; files appear on the way."""
    status = 0
    for block in blocks(page):
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        if not block.is_console:
            continue
        answers = []
        for command in commands(block):
            status, said = _run(command, folder, status)
            answers.append((command, said))
        yield block, answers


def _run(command: Command, folder: Path, status: int) -> tuple[int, str]:
    match shlex.split(command.line.replace("\\\n", " ")):
        case ["lem", *args]:
            return _lem(args, folder)
        case ["python", *args]:
            return _python(args, folder)
        case ["cat", name]:
            return 0, (folder / name).read_text(encoding="utf-8")
        case ["echo", "$?"]:
            return 0, f"{status}\n"
        case ["cc", *args]:
            return _process(["cc", *args], folder)
        case [program, *args] if program.startswith("./"):
            return _process([program, *args], folder)
    raise AssertionError(f"a console block runs lem, python, cat and cc, not `{command.line}`")


def needs_c_compiler(page: Path) -> bool:
    return any(line.startswith("$ cc ") for block in blocks(page) for line in block.text.splitlines())


def _lem(args: list[str], folder: Path) -> tuple[int, str]:
    """Exit code and all that the command says, in the order in which a terminal shows it."""
    said = io.StringIO()
    before = Path.cwd()
    try:
        os.chdir(folder)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = int(main(args))
    finally:
        os.chdir(before)
    assert status != 70 and "Traceback" not in said.getvalue(), said.getvalue()
    return status, said.getvalue()


def _python(args: list[str], folder: Path) -> tuple[int, str]:
    return _process([sys.executable, *args], folder)


def _process(call: list[str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(call, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    return done.returncode, done.stdout.decode()


def answers_alike(written: str, said: str) -> bool:
    """Whether a command said what the page says, but for durations and what `...` stands for."""
    pattern = re.escape(_without_durations(written)).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, _without_durations(said), re.DOTALL) is not None


def _without_durations(text: str) -> str:
    return _DURATION.sub(" <time>", "\n".join(line.rstrip() for line in text.rstrip().splitlines()))


def accept(page: Path, block: Block, answers: list[tuple[Command, str]]) -> None:
    """Write into the page what the commands of one block said."""
    made = "".join(f"$ {command.line}\n{_kept(command, said)}" for command, said in answers)
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(f"console\n{block.text}```", f"console\n{made}```", 1), encoding="utf-8")


def _kept(command: Command, said: str) -> str:
    if answers_alike(command.answer, said):
        return command.answer
    return "".join(f"{line.rstrip()}\n" for line in said.rstrip().splitlines())


# ---------------------------------------------------------------- links
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> list[tuple[int, str]]:
    """The numbered lines of a page that stand outside of blocks."""
    fenced, found = False, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        is_fence = line.startswith("```")
        fenced ^= is_fence
        if not (fenced or is_fence):
            found.append((number, line))
    return found


def links(page: Path) -> list[str]:
    """The targets of links, outside of blocks and code."""
    text = "\n".join(line for _, line in prose(page))
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", text))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings of a page as GitHub names them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found)
