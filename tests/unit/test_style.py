"""The house rules that tools can check: types, lint, and an opening docstring in every module."""

import ast
import subprocess
import sys

from tests.support import ROOT


def test_types_are_complete_and_fit() -> None:
    _passes("mypy")


def test_lint_finds_nothing() -> None:
    _passes("ruff", "check", ".")


def test_code_is_laid_out_by_the_formatter() -> None:
    _passes("ruff", "format", "--check", ".")


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for root in ("lang", "runtime", "stdlib", "tests")
        for path in sorted((ROOT / root).rglob("*.py"))
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert not silent, f"without a docstring at the top: {silent}"


def _passes(tool: str, *args: str) -> None:
    done = subprocess.run([sys.executable, "-m", tool, *args], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
