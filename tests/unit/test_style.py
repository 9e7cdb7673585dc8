"""The house rules that tools can check: types and lint."""

import subprocess
import sys

from tests.support import ROOT


def test_types_are_complete_and_fit() -> None:
    _passes("mypy")


def test_lint_finds_nothing() -> None:
    _passes("ruff", "check", ".")


def _passes(tool: str, *args: str) -> None:
    done = subprocess.run([sys.executable, "-m", tool, *args], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
