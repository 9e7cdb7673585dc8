"""One thread against several: a call once more, its work cut as finely as the compiler can, on two and on three threads.

What tests call is mostly so small that it stays on one thread. With the costs below at nothing every grid, product and
scatter is cut, and its bits must still be those of the whole (ARCHITECTURE, "What must hold").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from unittest.mock import patch

import numpy as np

from lem import pipeline
from lem.targets import cpu
from lem.targets.cpu import contraction, partial, spmd
from lem_runtime import detect
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.source import Facts
from tests.support.run import instance, program, run_kernel

THREADS = (2, 3)
SIZES = range(16, 200_000)  # elements of a call that is repeated: enough for several pieces, not for a long time
REPEATS = 2  # of each program and entry: every further one compiles, or tells nothing new

_repeated: Counter[tuple[str, str | None]] = Counter()


@contextmanager
def smallest_pieces() -> Iterator[None]:
    """Code that is compiled meanwhile cuts all that it can."""
    with (
        patch.object(spmd, "_DIRECT_COST", 0),
        patch.object(spmd, "_PIECE_COST", 1),
        patch.object(spmd, "_BLOCK_COST", 1),
        patch.object(contraction, "_SMALL_WORK", 0),
        patch.object(contraction, "_PIECES", 64),
        patch.object(partial, "_BLOCK", 64),
    ):
        yield


def run_in_pieces(text: str, entry: str | None = None, *, name: str = "test.lem", **given: Any) -> dict[str, Any]:
    """What `run_kernel` gives on one thread; some calls are made in small pieces too, and must give the same bits."""
    got = run_kernel(text, entry, name=name, **given)
    size = sum(v.size for v in (*given.values(), *got.values()) if isinstance(v, np.ndarray))
    if given.get("target", "cpu") == "cpu" and size in SIZES and _repeated[text, entry] < REPEATS:
        _repeated[text, entry] += 1
        for threads in THREADS:
            cut = run_kernel(text, entry, name=name, threads=threads, compiled=_in_pieces, **given)
            assert_same_bits(f"{name}:{entry or ''}, {threads} threads", got, cut)
    return got


def assert_same_bits(what: str, whole: Mapping[str, Any], cut: Mapping[str, Any]) -> None:
    for result, value in whole.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for field, v in parts:
            other = cut[result][field] if isinstance(value, dict) else cut[result]
            a, b = (np.ascontiguousarray(x) for x in (v, other))
            same = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
            assert same, f"{what}: `{result}` is {b}, on one thread {a}"


@lru_cache(maxsize=64)
def _in_pieces(text: str, entry: str, facts: Facts, name: str) -> Artifact:
    made, entry = instance(program(text, name), entry, dict(facts.dtypes))
    with smallest_pieces():
        return pipeline.compile_function(made, entry, facts, detect(), cpu.TARGET)
