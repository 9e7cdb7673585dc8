"""Run small programs on the interpreter and on the CPU, which have to agree bit for bit: for tests of rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.run import run_kernel


def run_both(text: str, entry: str | None = None, *, threads: int = 1, **given: Any) -> dict[str, Any]:
    """Results by name; asserts that both ways of running agree."""
    meant = run_kernel(text, entry, target="interp", **given)
    got = run_kernel(text, entry, target="cpu", threads=threads, **given)
    assert meant.keys() == got.keys()
    for name, value in meant.items():
        a, b = np.asarray(value), np.asarray(got[name])
        assert a.dtype == b.dtype and a.shape == b.shape, name
        assert a.tobytes() == b.tobytes(), f"{name}: the interpreter gives\n{a}\nthe CPU\n{b}"
    return got
