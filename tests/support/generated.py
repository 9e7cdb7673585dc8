"""Parts of the documentation that are made from the code: between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

Each part takes nothing and gives Markdown. A test holds the pages to them; ``python -m tests docs --accept`` rewrites them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from lem import syntax
from lem.cli.arguments import VERBS
from lem.diagnostics import CODES, Diagnostics
from lem.source import SourceFile
from lem.syntax import ast
from lem.types import numbers
from lem.types.builtins import TABLE
from lem_runtime.abi.dtypes import DTYPES

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_STAGES = {
    "1": "syntax", "2": "names", "3": "types, shapes and axes", "4": "effects, races and tasks", "5": "targets",
    "6": "running",
}  # fmt: skip


def renewed(page: Path) -> str:
    """The text of a page with its generated parts made anew."""
    return _PART.sub(lambda m: f"{m[1]}{PARTS[m[2]]()}{m[3]}", page.read_text(encoding="utf-8"))


# ---------------------------------------------------------------- tables
def codes() -> str:
    """Every diagnostic code with its headline, by stage."""
    out: list[str] = []
    for digit, stage in _STAGES.items():
        found = [code for code in CODES.values() if code.id[2] == digit]
        out += [f"**E0{digit}: {stage}**\n", "| code | headline |", "|---|---|"]
        out += [f"| {code.id} | {code.headline} |" for code in found]
        out.append("")
    return "\n".join(out)


def promotion() -> str:
    """The type of ``a + b`` for all pairs of number types; `-` where the program has to convert."""
    names = [t.name for t in DTYPES.values() if t.is_int or t.is_float]
    rows = ["| `+` | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for a in names:
        cells = (numbers.arithmetic(DTYPES[a], DTYPES[b]) for b in names)
        rows.append(f"| **{a}** | " + " | ".join(str(t) if t else "-" for t in cells) + " |")
    return "\n".join(rows) + "\n"


def verbs() -> str:
    """What the command can do."""
    rows = [f"| `lem {verb.name}` | {verb.text} |" for verb in VERBS]
    return "\n".join(["| command | does |", "|---|---|", *rows]) + "\n"


# ---------------------------------------------------------------- the library
def builtins() -> str:
    """The functions that are always there and not written in lem."""
    rows = [f"| `{b.signature}` | {_cell(b.doc)} | `{_cell(b.example)}` |" for b in TABLE.values()]
    return "\n".join(["| function | what it gives | example |", "|---|---|---|", *rows]) + "\n"


def library() -> str:
    """The modules of the standard library, from their documentation strings."""
    return "\n".join(_module(name) for name in sorted(library_modules()))


def library_modules() -> dict[str, str]:
    """name -> text of each module of the standard library."""
    folder = files("lem_stdlib")
    return {e.name.removesuffix(".lem"): e.read_text("utf-8") for e in folder.iterdir() if e.name.endswith(".lem")}


def public_items(name: str) -> list[ast.Function | ast.Struct]:
    """What users of a module call: items with a documentation string. In `math` the parts of functions have one too, but
    no example."""
    items = [item for item in parsed(name).items if isinstance(item, ast.Function | ast.Struct) and item.doc]
    return [item for item in items if name != "math" or "Example" in (item.doc or "")]


def parsed(name: str) -> ast.Module:
    """The tree of a library module."""
    diags = Diagnostics()
    tree = syntax.parse(SourceFile(f"{name}.lem", library_modules()[name]), diags)
    assert not diags.has_errors
    return tree


def examples(name: str) -> list[str]:
    """The expressions that the documentation of a module's items says are true."""
    found: list[str] = []
    for item in public_items(name):
        found += re.findall(r"Example: `([^`]+ == [^`]+)`", item.doc or "")
    return found


def _module(name: str) -> str:
    tree = parsed(name)
    out = [f"## {name}\n", f"{_text(tree.doc or '')}\n"]
    for item in public_items(name):
        out += [f"**`{_head(item)}`**\n", f"{_text(item.doc or '')}\n"]
    return "\n".join(out)


def _head(item: ast.Function | ast.Struct) -> str:
    """A signature on one line."""
    if isinstance(item, ast.Struct):
        fields = ", ".join(f"{field.name.id}: {field.type.span.text}" for field in item.fields)
        return f"struct {item.name.id}({fields})"
    return re.sub(r"\( | (?=\))", lambda m: m[0].strip(), " ".join(item.head_span.text.removesuffix(":").split()))


def _text(doc: str) -> str:
    """A documentation string as Markdown: blocks that are indented deeper are code."""
    lines = doc.strip().splitlines()
    rest = [line for line in lines[1:] if line.strip()]
    depth = min((len(line) - len(line.lstrip()) for line in rest), default=0)
    return "\n".join(line[depth:] if n else line for n, line in enumerate(lines))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PARTS: dict[str, Callable[[], str]] = {
    "codes": codes, "promotion": promotion, "verbs": verbs, "builtins": builtins, "library": library,
}  # fmt: skip
