"""The pages behind ``lem explain E0312``: one ``<code>.md`` per code, beside this file.

Takes a code as a person typed it; gives the page, the nearest codes, or the programs in a page. The programs are fenced
blocks that say what they show, and tests run them, so a page cannot drift from the language::

    ```lem wrong E0312               checking it reports E0312 and nothing else
    ```lem right                     checking it reports nothing
    ```lem wrong E0601 run n=3       it checks, and running it with these arguments faults with E0601
    ```lem wrong E0617 test          it checks, and running its tests faults with E0617
    ```console                       a command line and its answer; shown, not run
"""

from __future__ import annotations

from importlib.resources import files
from itertools import takewhile

from lem.diagnostics.codes import CODES
from lem.diagnostics.suggest import distance
from lem_runtime.abi.records import dataclass

__all__ = ["Program", "page", "programs", "suggest"]


@dataclass(frozen=True, slots=True)
class Program:
    """One program of a page."""

    kind: str  # "wrong" | "right"
    code: str | None  # what a wrong program reports; None for a right one
    mode: str  # "check" | "run" | "test"
    args: tuple[str, ...]  # of the run, as on the command line: ("n=3",)
    text: str


def page(code: str) -> str | None:
    """The page of a code as Markdown, or None when there is no such code. Case and a missing ``E`` do not matter."""
    name = _normal(code)
    if name not in CODES:
        return None
    return files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")


def suggest(code: str) -> list[str]:
    """Up to three codes that may have been meant, nearest first."""
    name = _normal(code)
    ranked = sorted((distance(name, known), known) for known in CODES)
    return [known for edits, known in ranked if edits <= 2][:3]


def programs(page: str) -> list[Program]:
    """The fenced lem programs of a page, in order."""
    found: list[Program] = []
    lines = iter(page.splitlines())
    for line in lines:
        if line.startswith("```"):
            body = list(takewhile(lambda text: text.rstrip() != "```", lines))
            words = line[3:].split()
            if words[:2] in (["lem", "wrong"], ["lem", "right"]):
                found.append(_program(words, "".join(f"{text}\n" for text in body)))
    return found


def _program(words: list[str], text: str) -> Program:
    kind = words[1]
    rest = words[2:]
    code = rest.pop(0) if kind == "wrong" else None
    mode = rest.pop(0) if rest else "check"
    return Program(kind, code, mode, tuple(rest), text)


def _normal(code: str) -> str:
    name = code.strip().upper()
    return name if name.startswith("E") else f"E{name}"
