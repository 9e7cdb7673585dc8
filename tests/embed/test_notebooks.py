"""lem in IPython and in notebooks: cells of lem, how things look, and the examples that are notebooks."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lem
from lem.dims import N
from tests.support import ROOT, notebooks

interactiveshell = pytest.importorskip("IPython.core.interactiveshell", reason="IPython is not installed")

CELL = '''%%lem
RATE = 0.5

fn half(x: f32) -> f32:
    return RATE * x

kernel halve[N](x: f32[N], y: out f32[N]):
    """Half of it."""
    for i in grid(N):
        y[i] = half(x[i])  # <here>
'''


@lem.kernel
def double(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = 2.0 * x[i]  # <twice>


@lem.kernel
def wrong(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = z[i]


@pytest.fixture
def shell() -> Iterator[Any]:
    made = interactiveshell.InteractiveShell()
    made.run_cell("%load_ext lem")
    made.run_cell("import numpy as np")
    yield made
    made.reset(new_session=False)


def run(shell: Any, cell: str) -> Any:
    """Runs a cell; gives its value, or the exception."""
    result = shell.run_cell(cell)
    return result.error_in_exec or result.error_before_exec or result.result


def test_a_cell_defines_names(shell: Any) -> None:
    assert run(shell, CELL) is None
    assert run(shell, "y = np.zeros(2, np.float32)\nhalve(np.ones(2, np.float32), y)\ny.tolist()") == [0.5, 0.5]
    assert run(shell, "RATE, half.kind, halve.__doc__") == (0.5, "fn", "Half of it.")


def test_a_cell_can_be_one_module(shell: Any) -> None:
    assert run(shell, CELL.replace("%%lem", "%%lem blur")) is None
    assert repr(run(shell, "blur")) == "<lem module blur: fn half, kernel halve>"
    assert isinstance(run(shell, "halve"), NameError)


def test_what_is_wrong_is_shown_in_the_cell(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    e = run(shell, CELL.replace("half(x[i])", "hall(x[i])"))
    assert isinstance(e, lem.CompileError) and e.code == "E0201"
    shown = capsys.readouterr().out
    assert ":10:16" in shown and "hall(x[i])" in shown and "/embed/" not in shown
    assert isinstance(run(shell, "%%lem a b\nX = 1\n"), lem.CompileError)


def test_errors_of_calls_show_no_frames_of_lem(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, CELL)
    run(shell, "def call(y):\n    halve(y, y)\ncall(np.ones(2, np.float32))")
    shown = capsys.readouterr().out
    assert "halve(y, y)" in shown and "lem.CallError" in shown and "<lem cell" in shown and "engine.py" not in shown


def test_warnings_are_shown(shell: Any) -> None:
    bounded = (
        "%%lem\nkernel f[N, R](x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        y[i] = sum(x[i + r] for r in R)\n"
    )
    with pytest.warns(lem.LemWarning, match="E0327"):
        run(shell, bounded)


def test_the_magic_can_be_taken_back(shell: Any) -> None:
    shell.run_cell("%unload_ext lem")
    assert "lem" not in shell.magics_manager.magics["cell"]


# ---------------------------------------------------------------- how things look
def test_kernels_show_their_signature_and_program() -> None:
    page = double._repr_html_()
    assert '<span class="k">kernel</span> double[N]' in page and "# &lt;twice&gt;" in page and "not compiled yet" in page
    assert '<span class="n">2.0</span>' in page and '<span class="k">for</span>' in page


def test_a_kernel_that_is_wrong_shows_the_report() -> None:
    page = wrong._repr_html_()
    assert "def" in page and "`z` is not defined" in page and 'class="e"' in page


def test_errors_have_a_short_form() -> None:
    with pytest.raises(lem.CompileError) as e:
        wrong.check()
    assert repr(e.value).startswith("<lem.CompileError E0201: unknown name at ") and "test_notebooks.py:" in repr(e.value)
    assert repr(double) == "<lem kernel double: not compiled yet>"


def test_modules_say_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "soft.lem").write_text('"""Of <things>."""\n' + CELL.removeprefix("%%lem\n"), encoding="utf-8")
    soft = lem.load(tmp_path / "soft.lem")
    assert repr(soft) == f"<lem module soft from '{tmp_path / 'soft.lem'}': fn half, kernel halve>" and soft.RATE == 0.5
    page = soft._repr_html_()
    assert "halve[N](x: " in page and "Of &lt;things&gt;." in page
    soft.halve(np.ones(1, np.float32), np.zeros(1, np.float32))


# ---------------------------------------------------------------- examples
@pytest.mark.parametrize("book", notebooks.NOTEBOOKS, ids=lambda n: n.example)
def test_a_notebook_is_made_from_its_example(book: notebooks.Notebook) -> None:
    path = notebooks.FOLDER / f"{book.example}.ipynb"
    assert path.read_text(encoding="utf-8") == notebooks.made(book), "`python -m tests.support.notebooks` writes it"


@pytest.mark.parametrize("book", notebooks.NOTEBOOKS, ids=lambda n: n.example)
def test_a_notebook_runs(book: notebooks.Notebook, tmp_path: Path) -> None:
    """In a process of its own, as Jupyter would."""
    for package in ("nbclient", "nbformat", "ipykernel"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    program = (
        "import sys, nbclient, nbformat\n"
        "book = nbformat.read(sys.argv[1], as_version=4)\n"
        "nbclient.NotebookClient(book, timeout=120).execute()\n"
        "shown = [d for c in book.cells for o in c.get('outputs', ()) for d in o.get('data', ())]\n"
        "print('text/html' in shown)\n"
    )
    call = [sys.executable, "-c", program, str(notebooks.FOLDER / f"{book.example}.ipynb")]
    env = {**os.environ, "IPYTHONDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=300, env=env)
    assert done.returncode == 0 and done.stdout == "True\n", done.stderr[-3000:]
