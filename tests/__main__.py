"""Run the tests as CI does: ``python -m tests [--quick | --all] [golden --accept] [docs --accept] [pytest arguments]``.

Types and lint are tests too (``unit/test_style.py``), so this is one pytest run, and its summary is printed last.

    python -m tests                     every folder, and one slice of the long tier, chosen by the commit
    python -m tests --quick             under a minute: few generated examples, nothing of the long tier
    python -m tests --all               everything
    python -m tests golden --accept     rewrite the expectations in golden/ and ui/
    python -m tests docs --accept       rewrite what commands answer in the documentation, and its generated parts
    python -m tests tests/unit -k text  whatever else pytest understands
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import ROOT

_N_SLICES = 8  # so that eight commits in a row cover the long tier, on average
_MOST_PROCESSES = 8  # each one loads LLVM


def main(args: list[str]) -> int:
    os.chdir(ROOT)
    if args[:1] == ["golden"]:
        args = _accepting(["tests/golden", "tests/ui"], args[1:])
    elif args[:1] == ["docs"]:
        args = _accepting(["tests/run/test_docs.py"], args[1:])
    elif "--quick" not in args and "--all" not in args:
        args = [f"--long-slice={_slice_of_this_commit()}/{_N_SLICES}", *args]
    return int(pytest.main(["-rs", *_processes(args), *args]))


def _accepting(paths: list[str], args: list[str]) -> list[str]:
    """Run the tests in `paths`; with ``--accept`` they rewrite what they expect, one after the other."""
    if "--accept" in args:
        os.environ["LEM_ACCEPT"] = "1"
        args = ["-n0", *(arg for arg in args if arg != "--accept")]
    return [*(path for path in paths if (ROOT / path).exists()), *args]


def _processes(args: list[str]) -> list[str]:
    chosen = any(arg.startswith(("-n", "--numprocesses", "--pdb")) for arg in args)
    return [] if chosen else ["-n", str(min(os.cpu_count() or 1, _MOST_PROCESSES))]


def _slice_of_this_commit() -> int:
    """A number that changes from commit to commit; 0 where there is no history to ask."""
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(answer.stdout.strip()[:8], 16) % _N_SLICES


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
