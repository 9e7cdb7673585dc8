"""The examples that are notebooks, made from the programs in ``examples/``; ``python -m tests.support.notebooks`` does it.

Each has the example's own body, either as a cell of lem (``%%lem``) or as ``lem fmt --to python`` spells it, and cells
that call it. They are kept without outputs, so that a change of the example is the only thing that changes them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from . import ROOT
from .doors import python_of

FOLDER = ROOT / "examples" / "notebooks"


@dataclass(frozen=True)
class Notebook:
    """form: "lem" or "python". cells: what follows the program; markdown where they begin with ``#``."""

    example: str
    form: str
    cells: tuple[str, ...]


NOTEBOOKS = (
    Notebook("matmul", "lem", (
        "# Call it with arrays of NumPy: nothing is copied.",
        "import numpy as np\n\na, b = np.random.default_rng(1).standard_normal((2, 64, 64), dtype=np.float32)\n"
        "c = np.zeros((64, 64), np.float32)\nmatmul(a, b, c)\nassert np.allclose(c, a @ b, atol=1e-4)",
        "# What lem knows of it.",
        "lem.explain(matmul)",
        "# Where time goes.",
        "with lem.trace() as t:\n    for _ in range(3):\n        matmul(a, b, c)\nt",
    )),
    Notebook("softmax", "python", (
        "# Call it with arrays of NumPy.",
        "import numpy as np\n\nx = np.random.default_rng(1).standard_normal((4, 100), dtype=np.float32)\n"
        "y = np.zeros_like(x)\nsoftmax(x, y)\nassert np.allclose(y.sum(axis=1), 1.0, atol=1e-5)",
        "# The same in the interpreter, which looks for mistakes on the way.",
        "with lem.interpret():\n    z = np.zeros_like(x)\n    softmax(x, z)\nassert np.allclose(y, z, atol=1e-6)\nsoftmax",
    )),
)  # fmt: skip


def program_of(n: Notebook) -> tuple[str, str]:
    """The example's documentation, and its program as a cell."""
    text = (ROOT / "examples" / f"{n.example}.lem").read_text(encoding="utf-8")
    text = re.sub(r"^test \"[^\n]*\n(?:[ \t]+[^\n]*\n|\n)*", "", text, flags=re.MULTILINE)
    found = re.match(r'"""(.*?)"""\n*', text, flags=re.DOTALL)
    assert found is not None
    doc, body = found.group(1).strip(), text[found.end() :].strip() + "\n"
    if n.form == "lem":
        return doc, f"%%lem\n{body}".rstrip()
    made, problems = python_of(body)
    assert made is not None, problems
    return doc, made.rstrip()


def made(n: Notebook) -> str:
    """The notebook's file."""
    doc, program = program_of(n)
    first = "import lem\n\n%load_ext lem" if n.form == "lem" else ""
    cells = [_cell(0, f"# {doc}"), *([_cell(1, first)] if first else []), _cell(2, program)]
    cells += [_cell(3 + k, text) for k, text in enumerate(n.cells)]
    book = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, text: str) -> dict[str, object]:
    lines = text.splitlines(keepends=True)
    if text.startswith("# "):
        words = "".join(lines) if number == 0 else text.removeprefix("# ")
        return {"cell_type": "markdown", "id": f"cell-{number}", "metadata": {}, "source": words.splitlines(keepends=True)}
    return {
        "cell_type": "code", "execution_count": None, "id": f"cell-{number}", "metadata": {}, "outputs": [], "source": lines,
    }  # fmt: skip


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for n in NOTEBOOKS:
        (FOLDER / f"{n.example}.ipynb").write_text(made(n), encoding="utf-8")


if __name__ == "__main__":
    main()
