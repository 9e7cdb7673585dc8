"""Kernels over coordinates, colours and small matrices: the code for any sizes, that for the sizes of the calls, and peers.

    python benchmarks/small_sizes.py [--rounds 9]

One thread, f32, medians of interleaved rounds. "any sizes" is what the first calls run; "these sizes" is what another
process has made meanwhile (LEM_SPECIALIZE). NumPy is the usual way to write it there; Numba has loops, compiled for arrays
of any size.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("LEM_THREADS", "1")
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

TEXT = """
kernel distances[N, M, D](a: f32[N, D], b: f32[M, D], y: out f32[N, M]):
    for i, j in grid(N, M):
        y[i, j] = sum((a[i, k] - b[j, k]) * (a[i, k] - b[j, k]) for k in D)

kernel gray[H, W, C](x: f32[H, W, C], y: out f32[H, W]):
    for i, j in grid(H, W):
        y[i, j] = mean(x[i, j, :], over=C)

kernel products[B, N, K, M](a: f32[B, N, K], b: f32[B, K, M], y: out f32[B, N, M]):
    for s, i, j in grid(B, N, M):
        y[s, i, j] = sum(a[s, i, k] * b[s, k, j] for k in K)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    import numpy as np

    rng = np.random.default_rng(0)
    points, image = rng.random((1000, 3), dtype=np.float32), rng.random((1000, 1000, 3), dtype=np.float32)
    matrices = rng.random((100_000, 3, 3), dtype=np.float32)
    cases: dict[str, tuple[tuple[Any, ...], Any, Callable[..., Any]]] = {
        "distances": ((points, points), (1000, 1000), lambda a, b: ((a[:, None] - b) ** 2).sum(2)),
        "gray": ((image,), (1000, 1000), lambda x: x.mean(2)),
        "products": ((matrices, matrices), matrices.shape, lambda a, b: a @ b),
    }
    print(f"{'kernel':<12} {'any sizes':>10} {'these sizes':>12} {'numpy':>10} {'numba':>10}   these sizes / best of peers")
    for name, (args, shape, with_numpy) in cases.items():
        y = np.empty(shape, np.float32)
        ways = {"any": _lem(name, "0", args, y), "these": _lem(name, "1", args, y), "numpy": lambda: with_numpy(*args)}  # noqa: B023
        numba = _numba(name, args, y)
        if numba is not None:
            ways["numba"] = numba
        for way in ("any", "these", "numba"):
            if way in ways:
                y[...] = 0
                ways[way]()
                np.testing.assert_allclose(y, with_numpy(*args), rtol=1e-4)
        took = _measured(ways, rounds)
        best = min(t for way, t in took.items() if way in ("numpy", "numba"))
        cells = [f"{took[way] * 1e3:8.2f} ms" if way in took else "-" for way in ("any", "these", "numpy", "numba")]
        print(f"{name:<12} {cells[0]:>10} {cells[1]:>12} {cells[2]:>10} {cells[3]:>10}   {took['these'] / best:.2f}")
    return 0


def _lem(name: str, specialize: str, args: tuple[Any, ...], y: Any) -> Callable[[], Any]:
    """A kernel, called until the code that it is to run is there."""
    os.environ["LEM_SPECIALIZE"] = specialize
    import lem
    from lem.embed import special

    file = Path(tempfile.mkdtemp()) / f"small_{specialize}.lem"
    file.write_text(TEXT)
    kernel = getattr(lem.load(file), name)
    end = time.monotonic() + 30
    kernel(*args, y)
    while specialize == "1" and len(kernel.specializations) < 2 and time.monotonic() < end:
        kernel(*args, y)
        time.sleep(0.02)
    special.settled()
    assert len(kernel.specializations) == (2 if specialize == "1" else 1)
    return lambda: kernel(*args, y)


def _numba(name: str, args: tuple[Any, ...], y: Any) -> Callable[[], Any] | None:
    try:
        import numba
    except ImportError:
        print("numba is not installed: left out", file=sys.stderr)
        return None

    def distances(a: Any, b: Any, y: Any) -> None:
        for i in range(a.shape[0]):
            for j in range(b.shape[0]):
                s = numba.float32(0)
                for k in range(a.shape[1]):
                    s += (a[i, k] - b[j, k]) * (a[i, k] - b[j, k])
                y[i, j] = s

    def gray(x: Any, y: Any) -> None:
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                s = numba.float32(0)
                for k in range(x.shape[2]):
                    s += x[i, j, k]
                y[i, j] = s / numba.float32(x.shape[2])

    def products(a: Any, b: Any, y: Any) -> None:
        for s in range(a.shape[0]):
            for i in range(a.shape[1]):
                for j in range(b.shape[2]):
                    t = numba.float32(0)
                    for k in range(a.shape[2]):
                        t += a[s, i, k] * b[s, k, j]
                    y[s, i, j] = t

    compiled = numba.njit(fastmath=True)({"distances": distances, "gray": gray, "products": products}[name])
    compiled(*args, y)
    return lambda: compiled(*args, y)


def _measured(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Medians in seconds."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            begin = time.perf_counter()
            run()
            times[way].append(time.perf_counter() - begin)
    return {way: statistics.median(t) for way, t in times.items()}


if __name__ == "__main__":
    sys.exit(main())
