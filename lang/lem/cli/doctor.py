"""``lem doctor``: whether this installation works, and what it consists of."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata

from lem import __version__
from lem.cli import output
from lem.cli.codes import Exit
from lem_runtime import detect
from lem_runtime.abi.machine import Machine

_PACKAGES = ("numpy", "llvmlite", "rich", "pillow", "safetensors", "lark")


def command(args: argparse.Namespace) -> int:
    checks: list[tuple[str, Callable[[], str]]] = [
        ("lem", lambda: f"{__version__} in {os.path.dirname(os.path.dirname(__file__))}"),
        ("python", lambda: f"{platform.python_version()} ({sys.executable})"),
        ("packages", _packages),
        ("processor", lambda: _processor(detect())),
        ("cache", _cache),
        ("compile and run", _trial),
    ]
    found, bad = [], 0
    for name, check in checks:
        try:
            text, ok = check(), True
        except Exception as e:  # a broken installation can fail in any way; saying how is what this verb is for
            text, ok = f"{type(e).__name__}: {e}", False
        bad += not ok
        found.append({"check": name, "ok": ok, "text": text})
        if not args.json:
            print(f"{'ok  ' if ok else 'FAIL'}  {name}: {text}")
    if args.json:
        output.print_json(found)
    return Exit.INTERNAL if bad else Exit.DONE


def _packages() -> str:
    said = []
    for name in _PACKAGES:
        try:
            said.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            said.append(f"{name} (not installed)")
    return ", ".join(said)


def _processor(m: Machine) -> str:
    return f"{m.cpu} with {m.n_cores} cores, vectors of {m.vector_bits} bits"


def _cache() -> str:
    from lem_runtime import Store

    store = Store()
    entries = store.entries()
    return f"{len(entries)} entries, {sum(e.size_bytes for e in entries):,} bytes in {store.path}"


_TRIAL = """\
kernel axpy[N](a: f32, x: f32[N], y: inout f32[N]):
    for i in grid(N):
        y[i] = a * x[i] + y[i]
"""


def _trial() -> str:
    """Compile a small kernel without the cache, run it, and compare."""
    import time

    import numpy as np

    from lem import pipeline
    from lem.cli.session import offer_compiler
    from lem.diagnostics import Diagnostics
    from lem.source import SourceFile
    from lem.targets import cpu
    from lem_runtime import run
    from lem_runtime.abi.source import Facts

    offer_compiler()
    started = time.perf_counter()
    program = pipeline.analyse(SourceFile("trial.lem", _TRIAL), Diagnostics())
    if program is None:
        raise RuntimeError("the trial program was refused")
    artifact = pipeline.compile_function(program, "axpy", Facts(("inner", "inner")), detect(), cpu.TARGET)
    compiled_ms = (time.perf_counter() - started) * 1e3
    x, y = np.arange(1000, dtype=np.float32), np.ones(1000, np.float32)
    run(artifact, {"x": x, "y": y}, {"a": 2.0})
    if not np.array_equal(y, 2 * x + 1):
        raise RuntimeError("a small kernel gave wrong numbers")
    return f"a small kernel compiled in {compiled_ms:.0f} ms and gave the right numbers"
