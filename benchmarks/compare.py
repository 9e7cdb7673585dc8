"""lem beside NumPy and Numba on five programs, in one process, interleaved; prints medians and ratios.

    python benchmarks/compare.py [--rounds 15] [--only matmul,softmax] [--threads N] [--json]

Every program is checked against the NumPy result before anything is timed. Numba uses `parallel=True` and `fastmath=True`
(it may reorder sums; lem does not), NumPy its own BLAS. Times are of the whole call from Python, arrays already there.
Set LEM_THREADS, NUMBA_NUM_THREADS and the BLAS thread count alike to compare on fewer processors (`--threads` does).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"


@dataclass
class Case:
    """`flops` and `bytes` of one run, for the rates in the table; `tolerance` relative to the largest value."""

    name: str
    peers: dict[str, Callable[[], Any]]
    flops: float
    bytes: float
    tolerance: float
    norm: str = "max"  # of the difference: "max", or "mean" where single elements may differ


def main() -> int:
    args = _arguments()
    if args.threads:
        for name in ("LEM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(args.threads)
    import numpy as np  # after the thread counts are set

    np.seterr(all="ignore")
    wanted = args.only.split(",") if args.only else list(CASES)
    rows = []
    for name in wanted:
        case = CASES[name]()
        _check(case)
        rows.append(_measure(case, args.rounds))
        if not args.json:
            _print(rows[-1])
    if args.json:
        print(json.dumps(rows, indent=2))
    return 0


def _arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--only", default="")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--json", action="store_true")
    return p.parse_args()


# ---------------------------------------------------------------- measuring
def _check(case: Case) -> None:
    import numpy as np

    expected = np.asarray(case.peers["numpy"](), dtype=np.float64).copy()
    for name, call in case.peers.items():
        found = np.asarray(call(), dtype=np.float64)
        difference = np.abs(found - expected)
        error = getattr(np, case.norm)(difference) / max(1e-30, getattr(np, case.norm)(np.abs(expected)))
        if not error <= case.tolerance:
            sys.exit(f"{case.name}: {name} differs from NumPy by {error:.2g} (allowed {case.tolerance:.2g})")


def _measure(case: Case, rounds: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {name: [] for name in case.peers}
    gc.disable()
    for warm in case.peers.values():
        warm()
    for _ in range(rounds):
        for name, call in case.peers.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    gc.enable()
    medians = {name: statistics.median(t) for name, t in times.items()}
    best = min(v for k, v in medians.items() if k != "lem")
    return {
        "case": case.name, "seconds": medians, "lem_over_best": medians["lem"] / best,
        "gflops": case.flops / medians["lem"] / 1e9, "gbytes": case.bytes / medians["lem"] / 1e9,
    }  # fmt: skip


def _print(row: dict[str, Any]) -> None:
    cells = "  ".join(f"{k} {v * 1e3:8.2f} ms" for k, v in row["seconds"].items())
    rates = f"{row['gflops']:6.1f} GFLOP/s {row['gbytes']:6.1f} GB/s"
    print(f"{row['case']:<12} {cells}   lem/best {row['lem_over_best']:.2f}   lem: {rates}", flush=True)


# ---------------------------------------------------------------- lem
def _lem(file: Path, entry: str = "", **given: Any) -> Callable[[], Any]:
    """A call of an example with these arguments; gives its first array result."""
    import numpy as np

    from lem import pipeline, texts
    from lem.diagnostics import Diagnostics
    from lem.diagnostics.text import render_all
    from lem.targets import cpu, llvm
    from lem_runtime import Runner, detect, facts_of, numpy_dtype, use_compiler
    from lem_runtime.abi import signature as sig

    machine = detect()
    use_compiler(lambda text: llvm.compile_ir(text, machine))
    diags = Diagnostics()
    source = texts.read_source(str(file), diags)
    program = pipeline.analyse(source, diags) if source else None
    if program is None:
        sys.exit(render_all(diags))
    entry = entry or next(n for n, f in program.typed.functions.items() if f.span.source is source)
    s = program.typed.functions[entry].signature
    arrays = {n: v for n, v in given.items() if isinstance(v, np.ndarray)}
    named = {n: v for n, v in given.items() if n in s.dims}
    scalars = {n: v for n, v in given.items() if n not in arrays and n not in named}
    known = {p.name: p.default for p in s.params if p.default is not None} | scalars
    dims = sig.bind(s, {n: a.shape for n, a in arrays.items()}, known, named)
    for p in s.params:
        if p.shape is not None and p.name not in arrays:
            arrays[p.name] = np.zeros(sig.shape_of(p, {**known, **dims}), numpy_dtype(p.dtype))
    artifact = pipeline.compile_function(program, entry, facts_of(s, arrays, dims), machine, cpu.TARGET)
    runner = Runner()
    out = next(p.name for p in s.params if p.is_array and p.is_written)

    def call() -> Any:
        return runner.run(artifact, arrays, scalars, named).outputs[out]

    return call


def _numba() -> Any:
    try:
        import numba
    except ImportError:
        print("numba is not installed: left out", file=sys.stderr)
        return None
    return numba


# ---------------------------------------------------------------- cases
def matmul() -> Case:
    import numpy as np

    n = 1024
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((n, n), dtype=np.float32), rng.standard_normal((n, n), dtype=np.float32)
    c = np.empty((n, n), np.float32)
    peers: dict[str, Callable[[], Any]] = {
        "lem": _lem(EXAMPLES / "matmul.lem", "matmul", a=a, b=b),
        "numpy": lambda: np.matmul(a, b, out=c),
    }
    numba = _numba()
    if numba:
        product = numba.njit(lambda x, y: np.dot(x, y))
        peers["numba"] = lambda: product(a, b)
    return Case("matmul", peers, 2.0 * n**3, 3 * 4.0 * n * n, 1e-4)


def softmax() -> Case:
    import numpy as np

    m, n = 4096, 2048
    x = np.random.default_rng(0).standard_normal((m, n), dtype=np.float32)

    def with_numpy() -> Any:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        e /= e.sum(axis=1, keepdims=True)
        return e

    peers: dict[str, Callable[[], Any]] = {"lem": _lem(EXAMPLES / "softmax.lem", "softmax", x=x), "numpy": with_numpy}
    numba = _numba()
    if numba:

        @numba.njit(parallel=True, fastmath=True)  # type: ignore[untyped-decorator]
        def rows(x, y):  # type: ignore[no-untyped-def]
            for i in numba.prange(x.shape[0]):
                top = x[i, 0]
                for j in range(x.shape[1]):
                    top = max(top, x[i, j])
                total = np.float32(0)
                for j in range(x.shape[1]):
                    y[i, j] = np.exp(x[i, j] - top)
                    total += y[i, j]
                scale = np.float32(1) / total
                for j in range(x.shape[1]):
                    y[i, j] *= scale
            return y

        y = np.empty_like(x)
        peers["numba"] = lambda: rows(x, y)
    return Case("softmax", peers, 5.0 * m * n, 8.0 * m * n, 1e-5)


def attention() -> Case:
    import numpy as np

    b, h, s, d = 1, 8, 1024, 64
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((b, h, s, d), dtype=np.float32) for _ in range(3))
    scale = np.float32(1 / np.sqrt(d))
    hidden = np.triu(np.ones((s, s), bool), 1)

    def with_numpy() -> Any:
        scores = np.matmul(q, k.swapaxes(-1, -2))
        scores *= scale
        scores[..., hidden] = -np.inf
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return np.matmul(scores, v)

    peers: dict[str, Callable[[], Any]] = {
        "lem": _lem(EXAMPLES / "attention.lem", "attention", q=q, k=k, v=v, scale=float(scale)),
        "numpy": with_numpy,
    }
    numba = _numba()
    if numba:

        @numba.njit(parallel=True, fastmath=True)  # type: ignore[untyped-decorator]
        def blocks(q, k, v, o, scale):  # type: ignore[no-untyped-def]
            n_b, n_h, n_s, n_d = q.shape
            rows = 64
            n_blocks = (n_s + rows - 1) // rows
            for unit in numba.prange(n_b * n_h * n_blocks):
                at = unit % n_blocks
                head = (unit // n_blocks) % n_h
                batch = unit // (n_blocks * n_h)
                lo, hi = at * rows, min(n_s, (at + 1) * rows)
                scores = np.dot(q[batch, head, lo:hi], k[batch, head, :hi].T)
                for i in range(hi - lo):
                    top = np.float32(-np.inf)
                    for j in range(lo + i + 1):
                        scores[i, j] *= scale
                        top = max(top, scores[i, j])
                    total = np.float32(0)
                    for j in range(lo + i + 1):
                        scores[i, j] = np.exp(scores[i, j] - top)
                        total += scores[i, j]
                    inverse = np.float32(1) / total
                    for j in range(lo + i + 1):
                        scores[i, j] *= inverse
                    for j in range(lo + i + 1, hi):
                        scores[i, j] = 0
                o[batch, head, lo:hi] = np.dot(scores, v[batch, head, :hi])
            return o

        o = np.empty_like(q)
        peers["numba"] = lambda: blocks(q, k, v, o, scale)
    return Case("attention", peers, 2.0 * b * h * s * (s + 1) * d, 16.0 * b * h * s * d, 1e-4)


def heat() -> Case:
    import numpy as np

    h = w = 1024
    steps = 20
    start = np.random.default_rng(0).random((h, w))
    alpha = 0.1

    mine = start.copy()
    call = _lem(EXAMPLES / "heat.lem", "heat", u=mine, steps=steps, alpha=alpha)

    def with_lem() -> Any:
        mine[...] = start
        return call()

    def with_numpy() -> Any:
        u = start.copy()
        for _ in range(steps):
            middle = u[1:-1, 1:-1]
            around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
            u[1:-1, 1:-1] = middle + alpha * (around - 4 * middle)
        return u

    peers: dict[str, Callable[[], Any]] = {"lem": with_lem, "numpy": with_numpy}
    numba = _numba()
    if numba:

        @numba.njit(parallel=True, fastmath=True)  # type: ignore[untyped-decorator]
        def steps_of(u, next_u, n, alpha):  # type: ignore[no-untyped-def]
            for _ in range(n):
                for i in numba.prange(1, u.shape[0] - 1):
                    for j in range(1, u.shape[1] - 1):
                        around = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                        next_u[i, j] = u[i, j] + alpha * (around - 4 * u[i, j])
                u, next_u = next_u, u
            return u

        first, second = start.copy(), start.copy()

        def with_numba() -> Any:
            first[...] = start
            second[...] = start
            return steps_of(first, second, steps, alpha)

        peers["numba"] = with_numba
    return Case("heat", peers, 7.0 * h * w * steps, 16.0 * h * w * steps, 1e-10)


def mandelbrot() -> Case:
    import numpy as np

    h, w, limit = 600, 800, 200
    x0, x1, y0, y1 = -2.2, 1.0, -1.2, 1.2

    def with_numpy() -> Any:
        cx = (x0 + (x1 - x0) * (np.arange(w) + 0.5) / w).astype(np.float32)[None, :]
        cy = (y0 + (y1 - y0) * (np.arange(h) + 0.5) / h).astype(np.float32)[:, None]
        c = (cx + 1j * cy).astype(np.complex64)
        z = np.zeros_like(c)
        n = np.zeros(c.shape, np.int32)
        live = np.ones(c.shape, bool)
        for _ in range(limit):
            z[live] = z[live] * z[live] + c[live]
            n[live] += 1
            live &= z.real * z.real + z.imag * z.imag <= 4
        return n

    call = _lem(HERE / "escape.lem", "iterations", H=h, W=w, limit=limit)
    peers: dict[str, Callable[[], Any]] = {"lem": call, "numpy": with_numpy}
    numba = _numba()
    if numba:

        @numba.njit(parallel=True, fastmath=True)  # type: ignore[untyped-decorator]
        def escape(n, limit, x0, x1, y0, y1):  # type: ignore[no-untyped-def]
            h, w = n.shape
            for i in numba.prange(h):
                for j in range(w):
                    cx = np.float32(x0 + (x1 - x0) * (j + 0.5) / w)
                    cy = np.float32(y0 + (y1 - y0) * (i + 0.5) / h)
                    x = np.float32(0)
                    y = np.float32(0)
                    count = 0
                    while count < limit and x * x + y * y <= np.float32(4):
                        x, y = x * x - y * y + cx, np.float32(2) * x * y + cy
                        count += 1
                    n[i, j] = count
            return n

        n = np.empty((h, w), np.int32)
        peers["numba"] = lambda: escape(n, limit, x0, x1, y0, y1)
    # Points on the rim are chaotic: a last bit decides whether they leave. The count of such points is what is allowed.
    return Case("mandelbrot", peers, 0.0, 4.0 * h * w, 0.01, norm="mean")


CASES: dict[str, Callable[[], Case]] = {
    "matmul": matmul, "softmax": softmax, "attention": attention, "heat": heat, "mandelbrot": mandelbrot,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
