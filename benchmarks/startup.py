"""How long the command takes, whole processes, medians: help, checking a program of 100 lines, a run that is cached.

    python benchmarks/startup.py [--runs 9]

Prints the time on the clock and on the processor beside each goal; bare Python and `import numpy` (which every run needs)
stand there to compare with. Where the clock shows much more than the processor, other work was in the way. The exit code
is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
LEM = (sys.executable, "-m", "lem")
LINES = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    n_runs = parser.parse_args().runs
    late = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, command, goal in cases(Path(folder)):
            seconds, busy = measured(command, Path(folder), n_runs)
            late += goal is not None and seconds > goal
            said = "" if goal is None else f"   goal {goal:.2f} s{'' if seconds <= goal else '   MISSED'}"
            print(f"{name:<34} {seconds:6.3f} s ({busy:.3f} s busy){said}", flush=True)
    return 1 if late else 0


def cases(folder: Path) -> list[tuple[str, Sequence[str], float | None]]:
    """Name, command and goal of each; goals of issue 2."""
    np.save(folder / "x.npy", np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32))
    (folder / "long.lem").write_text(long_program())
    softmax = str(ROOT / "examples" / "softmax.lem")
    softmax_run = [*LEM, "run", softmax, "x=x.npy", "-o", "y=y.npy"]
    return [
        ("python", [sys.executable, "-c", "pass"], None),
        ("python, import numpy", [sys.executable, "-c", "import numpy"], None),
        ("lem --help", [*LEM, "--help"], 0.15),
        (f"lem check ({LINES} lines)", [*LEM, "check", "long.lem"], 0.40),
        ("lem run, compiling", [*softmax_run, "--no-cache"], None),
        ("lem run, cached", softmax_run, 0.35),
    ]


def long_program() -> str:
    """The kernels of the examples, as often as fill a file of about a hundred lines."""
    lines = ['"""A program of a hundred lines."""', ""]
    for n in range(LINES):
        for name in ("attention", "matmul", "heat"):
            text = (ROOT / "examples" / f"{name}.lem").read_text()
            kernel = text[text.index("kernel ") :].split("\n\n\n")[0].rstrip().split("\n")
            if len(lines) + len(kernel) > LINES:
                return "\n".join(lines) + "\n"
            word = kernel[0].split()[1].partition("[")[0]
            lines += [kernel[0].replace(word, f"{word}{n}", 1), *kernel[1:], ""]
    return "\n".join(lines) + "\n"


def measured(command: Sequence[str], folder: Path, n_runs: int) -> tuple[float, float]:
    """Median seconds on the clock and on all processors; the first run, which may write caches, is not counted."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"LEM_CACHE_DIR": str(folder / "cache")}
    clock: list[float] = []
    busy: list[float] = []
    for _ in range(n_runs + 1):
        started, before = time.perf_counter(), os.times()
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        after = os.times()
        clock.append(time.perf_counter() - started)
        busy.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(clock[1:]), statistics.median(busy[1:])


if __name__ == "__main__":
    sys.exit(main())
