"""Programs as people write them, of every part of the language, against NumPy: round, ragged and degenerate sizes.

Each runs on the interpreter and on the CPU, with one thread and with two; all three give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.programs import everyday_reference as reference
from tests.support.run import TARGETS, run_kernel

Array = np.ndarray[Any, Any]
Values = dict[str, Any]
PROGRAMS = Path(__file__).resolve().parents[1] / "programs" / "everyday"
SIZES = (0, 1, 2, 3, 7, 16, 33)


@dataclass(frozen=True)
class Case:
    entry: str
    inputs: Callable[[int], Values]
    expected: Callable[..., Values]
    within: float = 0.0  # max |a - b| <= within * max(1, max |b|)


def uniform(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).uniform(-1.0, 1.0, shape)


def integers(low: int, high: int, *shape: int, dtype: Any = np.uint8) -> Array:
    return np.random.default_rng(sum(shape)).integers(low, high, shape, dtype)


def points(n: int) -> Values:
    """As many as a cycle can halve down to 3: 2, 3, 5, 9, ..."""
    n = 2 ** min(n, 7) + 1 if n else 0
    return {"u": uniform(n), "f": uniform(n + 1)[:n], "h": 1.0 / max(n - 1, 1)}


def sparse(n: int) -> Values:
    a = uniform(n, n + 1)
    there = a > 0.4
    ptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
    return {"ptr": ptr, "col": np.nonzero(there)[1].astype(np.int64), "val": a[there], "C": n + 1}


def matrices(n: int) -> Values:
    return {"a": np.concatenate([uniform(n, 4, 4), np.zeros((1, 4, 4))])}


def boxes(n: int) -> Values:
    low, size, score = uniform(n, 2), uniform(2, n, 1)[..., 0] + 1.1, uniform(n + 1)[:n]
    sides = {"x0": low[:, 0], "y0": low[:, 1], "x1": low[:, 0] + size[0], "y1": low[:, 1] + size[1]}
    return {"b": {name: np.ascontiguousarray(side) for name, side in sides.items()}, "score": score, "t": 0.3}


def roots(degree: int, count: int) -> Array:
    """The first 32 bits of the fractions of the roots of the first primes."""
    primes = [p for p in range(2, 312) if all(p % d for d in range(2, p))][:count]
    tops = [p * 2 ** (32 * degree) for p in primes]
    return np.array([_root(top, degree) % 2**32 for top in tops], np.uint32)


def _root(top: int, degree: int) -> int:
    low, high = 0, 2**40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= top else (low, middle)
    return low


CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)

CASES = {
    "blocked_scan": Case("prefix", lambda n: {"x": uniform(n), "nb": 5}, reference.blocked_scan, 1e-13),
    "common_subsequence": Case(
        "lcs", lambda n: {"a": integers(65, 69, n), "b": integers(65, 69, n + 3), "nb": 4}, reference.common_subsequence
    ),
    "components": Case("main", lambda n: {"mask": uniform(n, n + 2) < 0.2}, reference.components),
    "csr_transpose": Case("transpose", sparse, reference.csr_transpose),
    "inverses": Case("inverse", matrices, reference.inverses, 1e-9),
    "kalman": Case("kalman", lambda n: {"z": uniform(n, n + 2), "q": 0.01, "r": 0.5}, reference.kalman, 1e-11),
    "life_in_bits": Case(
        "life", lambda n: {"x": integers(0, 2**64 - 1, n, 2, dtype=np.uint64), "steps": 3}, reference.life_in_bits
    ),
    "median5": Case("median5x5", lambda n: {"x": integers(0, 256, n, n + 1)}, reference.median5),
    "morphology": Case("opening", lambda n: {"x": integers(0, 256, n, n + 1), "se": CROSS}, reference.morphology),
    "multigrid": Case("vcycle", points, reference.multigrid, 1e-11),
    "murmur3": Case(
        "murmur3", lambda n: {"x": integers(0, 2**32 - 1, 3, n, dtype=np.uint32), "seed": 42}, reference.murmur3
    ),
    "nms": Case("suppress", boxes, reference.nms),
    "segmented_scan": Case(
        "segmented", lambda n: {"x": uniform(n), "start": uniform(n + 1)[:n] < -0.4}, reference.segmented_scan, 1e-14
    ),
    "sha256": Case(
        "sha256", lambda n: {"x": integers(0, 256, 3, 5 * n), "k": roots(3, 64), "start": roots(2, 8)}, reference.sha256
    ),
    "strassen": Case("strassen", lambda n: {"a": uniform(n, n), "b": uniform(n, n, 1)[..., 0]}, reference.strassen, 1e-13),
}


def test_every_program_is_here() -> None:
    assert sorted(CASES) == sorted(path.stem for path in PROGRAMS.glob("*.lem"))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", CASES)
def test_everyday_program(name: str, n: int) -> None:
    case, text = CASES[name], (PROGRAMS / f"{name}.lem").read_text()
    given = case.inputs(n)
    got = run_kernel(text, case.entry, **given)
    for result, exact in case.expected(**given).items():
        assert_near(np.asarray(got[result]), np.asarray(exact), case.within)
    for target in TARGETS:
        again = run_kernel(text, case.entry, target=target, threads=2, **given)
        for result in got:
            assert np.array_equal(again[result], got[result], equal_nan=np.asarray(got[result]).dtype.kind == "f"), result


def assert_near(got: Array, exact: Array, within: float) -> None:
    assert got.shape == exact.shape
    if got.dtype.kind != "f" or not within:
        assert got.tolist() == exact.tolist()
        return
    assert np.array_equal(np.isnan(got), np.isnan(exact))
    error = np.nanmax(np.abs(got - exact), initial=0.0)
    assert error <= within * max(1.0, np.nanmax(np.abs(exact), initial=0.0))
