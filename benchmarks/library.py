"""Items of lem's library beside NumPy and SciPy, in one process, interleaved; prints medians and ratios.

    python benchmarks/library.py [--rounds 9] [--only sort,fft] [--threads N]

Every item is checked against its peer before anything is timed. Times are of the whole call from Python, arrays already
there; where an item works in place, both sides copy the input first. SciPy's own threads are left at one, as it has them.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).resolve().parent.parent / "stdlib" / "lem_stdlib"


@dataclass
class Case:
    """`lem` and the peers give the same array, up to `tolerance` relative to its largest element."""

    size: str
    lem: Callable[[], Any]
    peers: dict[str, Callable[[], Any]]
    tolerance: float = 0.0


def main() -> int:
    args = _arguments()
    if args.threads:
        for name in ("LEM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(args.threads)
    print(f"{'item':<12} {'size':<28} {'lem':>10}   peers")
    for name in args.only.split(",") if args.only else CASES:
        case = CASES[name]()
        _check(name, case)
        _print(name, case, _measure(case, args.rounds))
    return 0


def _arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--only", default="")
    p.add_argument("--threads", type=int, default=0)
    return p.parse_args()


# ---------------------------------------------------------------- measuring
def _check(name: str, case: Case) -> None:
    import numpy as np

    found = np.asarray(case.lem()).copy()
    for peer, call in case.peers.items():
        expected = np.asarray(call())
        error = np.abs(found.astype(complex) - expected).max(initial=0)
        if not error <= case.tolerance * np.abs(expected).max(initial=0):
            sys.exit(f"{name}: differs from {peer} by {error:.2g}")


def _measure(case: Case, rounds: int) -> dict[str, float]:
    calls = {"lem": case.lem, **case.peers}
    times: dict[str, list[float]] = {name: [] for name in calls}
    gc.disable()
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    gc.enable()
    return {name: statistics.median(t) for name, t in times.items()}


def _print(name: str, case: Case, medians: dict[str, float]) -> None:
    mine = medians.pop("lem")
    peers = "   ".join(f"{k} {v * 1e3:8.3f} ms" for k, v in medians.items())
    ratio = mine / min(medians.values())
    print(f"{name:<12} {case.size:<28} {mine * 1e3:7.3f} ms   {peers}   lem/best {ratio:.2f}", flush=True)


# ---------------------------------------------------------------- cases
def _library(module: str) -> Any:
    import lem

    return lem.load(LIBRARY / f"{module}.lem")


def _random() -> Any:
    import numpy as np

    return np.random.default_rng(0)


def sort() -> Case:
    import numpy as np

    x = _random().standard_normal(1_000_000, dtype=np.float32)
    mine, its = x.copy(), x.copy()
    merge_sort = _library("sort").merge_sort

    def with_lem() -> Any:
        mine[:] = x
        merge_sort(mine)
        return mine

    def with_numpy() -> Any:
        its[:] = x
        its.sort()
        return its

    return Case("1,000,000 f32", with_lem, {"numpy": with_numpy})


def sort_rows() -> Case:
    import numpy as np

    x = _random().standard_normal((2000, 500), dtype=np.float32)
    mine, its = x.copy(), x.copy()
    rows = _library("sort").sort_rows

    def with_lem() -> Any:
        mine[:] = x
        rows(mine)
        return mine

    def with_numpy() -> Any:
        its[:] = x
        its.sort(axis=1)
        return its

    return Case("2000 rows of 500 f32", with_lem, {"numpy": with_numpy})


def fft() -> Case:
    import numpy as np
    import scipy.fft

    n = 1 << 16
    re, im = _random().standard_normal((2, n))
    z = re + 1j * im
    my_re, my_im = re.copy(), im.copy()
    transform = _library("signal").fft

    def with_lem() -> Any:
        my_re[:], my_im[:] = re, im
        transform(my_re, my_im)
        return my_re

    peers = {"numpy": lambda: np.fft.fft(z).real, "scipy": lambda: scipy.fft.fft(z).real}
    return Case("65,536 complex f64", with_lem, peers, 1e-13)


def csr() -> Case:
    import numpy as np
    import scipy.sparse

    n, per_row = 100_000, 20
    rng = _random()
    ptr = np.arange(0, n * per_row + 1, per_row, dtype=np.int32)
    a = scipy.sparse.csr_array((rng.random(n * per_row), rng.integers(0, n, n * per_row, np.int32), ptr), (n, n))
    x, y = rng.random(n), np.zeros(n)
    product = _library("sparse").csr_matvec

    def with_lem() -> Any:
        product(a.indptr, a.indices, a.data, x, y)
        return y

    return Case("100,000 rows of 20 f64", with_lem, {"scipy": lambda: a @ x}, 1e-13)


def conv2d() -> Case:
    import numpy as np

    rng = _random()
    x = rng.standard_normal((4, 32, 56, 56), dtype=np.float32)
    weight, bias = rng.standard_normal((64, 32, 3, 3), dtype=np.float32), np.zeros(64, np.float32)
    y = np.zeros((4, 64, 56, 56), np.float32)
    convolve = _library("nn").conv2d

    def with_lem() -> Any:
        convolve(x, weight, bias, y, 1, 1)
        return y

    def with_numpy() -> Any:
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        return np.moveaxis(np.tensordot(windows, weight, ((1, 4, 5), (1, 2, 3))), -1, 1)

    return Case("4 x 32 x 56 x 56, 64 of 3 x 3", with_lem, {"numpy": with_numpy}, 1e-4)


def layernorm() -> Case:
    import numpy as np

    rng = _random()
    x = rng.standard_normal((2048, 768), dtype=np.float32)
    weight, bias = rng.standard_normal((2, 768), dtype=np.float32)
    y = np.zeros_like(x)
    norm = _library("nn").layernorm

    def with_lem() -> Any:
        norm(x, weight, bias, y)
        return y

    def with_numpy() -> Any:
        d = x - x.mean(axis=1, keepdims=True)
        spread = np.square(d).mean(axis=1, keepdims=True)
        return d / np.sqrt(spread + np.float32(1e-5)) * weight + bias

    return Case("2048 x 768 f32", with_lem, {"numpy": with_numpy}, 1e-5)


def _photo() -> Any:
    import numpy as np

    return _random().integers(0, 256, (1080, 1920)).astype(np.uint8)


def blur() -> Case:
    import numpy as np
    import scipy.ndimage

    photo = _photo()
    y = np.zeros_like(photo)
    gaussian = _library("image").gaussian_blur

    def with_lem() -> Any:
        gaussian(photo, y, 1.5, 4)
        return y

    peer = lambda: scipy.ndimage.gaussian_filter(photo, 1.5, mode="nearest", radius=4, output=np.float32)  # noqa: E731
    return Case("1080 x 1920 u8, 9 x 9", with_lem, {"scipy": peer}, 0.01)


def median() -> Case:
    import numpy as np
    import scipy.ndimage

    photo = _photo()
    y = np.zeros_like(photo)
    median3 = _library("image").median3

    def with_lem() -> Any:
        median3(photo, y)
        return y

    return Case("1080 x 1920 u8, 3 x 3", with_lem, {"scipy": lambda: scipy.ndimage.median_filter(photo, 3, mode="nearest")})


def histogram() -> Case:
    import numpy as np

    photo = _photo()
    counts = np.zeros(256, np.int64)
    count = _library("image").histogram

    def with_lem() -> Any:
        counts[:] = 0
        count(photo, counts)
        return counts

    return Case("1080 x 1920 u8", with_lem, {"numpy": lambda: np.bincount(photo.reshape(-1), minlength=256)})


def _matrix(n: int) -> Any:
    return _random().standard_normal((n, n))


def cholesky() -> Case:
    import numpy as np

    n = 1000
    half = _matrix(n)
    a = half @ half.T + n * np.eye(n)
    mine = a.copy()
    factor = _library("linalg").cholesky

    def with_lem() -> Any:
        mine[:] = a
        factor(mine)
        return np.tril(mine)

    return Case("1000 x 1000 f64", with_lem, {"numpy": lambda: np.tril(np.linalg.cholesky(a))}, 1e-12)


def lu() -> Case:
    import numpy as np
    import scipy.linalg

    a = _matrix(1000)
    mine, pivot = a.copy(), np.zeros(1000, np.int64)
    factor = _library("linalg").lu

    def with_lem() -> Any:
        mine[:] = a
        factor(mine, pivot)
        return mine

    return Case("1000 x 1000 f64", with_lem, {"scipy": lambda: scipy.linalg.lu_factor(a)[0]}, 1e-10)


CASES: dict[str, Callable[[], Case]] = {
    "sort": sort, "sort_rows": sort_rows, "fft": fft, "csr": csr, "conv2d": conv2d, "layernorm": layernorm, "blur": blur,
    "median": median, "histogram": histogram, "cholesky": cholesky, "lu": lu,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
