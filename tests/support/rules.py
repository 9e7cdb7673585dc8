"""Run small programs on the interpreter and on the CPU, which have to agree bit for bit: for tests of rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.support.run import run_kernel


def _pairs(meant: dict[str, Any], got: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Arrays of both results by name; those of structs field by field."""
    for name, value in meant.items():
        if isinstance(value, np.ndarray) and value.dtype.names:  # padding between fields may hold anything
            assert value.dtype == got[name].dtype
            fields = value.dtype.names
            yield from _pairs(*({f"{name}.{f}": r[name][f] for f in fields} for r in (meant, got)))
        elif isinstance(value, dict):
            assert value.keys() == got[name].keys()
            yield from ((f"{name}.{n}", a, b) for n, a, b in _pairs(value, got[name]))
        else:
            yield name, np.asarray(value), np.asarray(got[name])


def run_both(text: str, entry: str | None = None, *, threads: int = 1, **given: Any) -> dict[str, Any]:
    """Results by name; asserts that both ways of running agree."""
    meant = run_kernel(text, entry, target="interp", **given)
    got = run_kernel(text, entry, target="cpu", threads=threads, **given)
    assert meant.keys() == got.keys()
    for name, a, b in _pairs(meant, got):
        assert a.dtype == b.dtype and a.shape == b.shape, name
        assert a.tobytes() == b.tobytes(), f"{name}: the interpreter gives\n{a}\nthe CPU\n{b}"
    return got
