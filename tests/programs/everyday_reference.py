"""What the programs of `everyday/` compute, in plain NumPy and Python, written from what they are for.

Each function takes its inputs under the names of the program's parameters and gives the results by name.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Values = dict[str, Any]
_WORD = 2**32


def components(mask: Array) -> Values:
    """The largest place (y * W + x) of each connected part, -1 outside of all of them. Found by flooding."""
    h, w = mask.shape
    label = np.full((h, w), -1, np.int32)
    for start in range(h * w - 1, -1, -1):
        todo = [(start // w, start % w)]
        while todo:
            y, x = todo.pop()
            if 0 <= y < h and 0 <= x < w and mask[y, x] and label[y, x] < 0:
                label[y, x] = start
                todo += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return {"label": label}


def common_subsequence(a: Array, b: Array, nb: int) -> Values:
    row = [0] * (len(b) + 1)
    for x in a:
        above, row = row, [0]
        for j, y in enumerate(b):
            row.append(above[j] + 1 if x == y else max(above[j + 1], row[j]))
    return {"length": row[-1]}


def blocked_scan(x: Array, nb: int) -> Values:
    return {"y": np.cumsum(x)}


def multigrid(u: Array, f: Array, h: float) -> Values:
    """One cycle, of which each step is a matrix: damped Jacobi, full weighting, linear interpolation."""
    n = len(u)
    if n <= 3:
        return {"u": np.array([u[0], (u[0] + u[2] + h * h * f[1]) / 2, u[2]]) if n == 3 else u}
    inner = np.eye(n)[1:-1]
    a = (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)) / (h * h)

    def smooth(v: Array) -> Array:
        for _ in range(2):
            v = v + inner.T @ inner @ (f - a @ v) * (h * h / 3)
        return v

    u = smooth(u)
    m = (n + 1) // 2
    up = np.maximum(0, 1 - abs(np.arange(n)[:, None] / 2 - np.arange(m)))
    down = up.T / 2
    down[[0, -1]] = 0
    coarse = multigrid(np.zeros(m), down @ inner.T @ inner @ (f - a @ u), 2 * h)["u"]
    return {"u": smooth(u + up @ coarse)}


def life_in_bits(x: Array, steps: int) -> Values:
    if x.size == 0:
        return {"x": x}
    cells = np.unpackbits(x.view(np.uint8), axis=1, bitorder="little")
    for _ in range(steps):
        around = sum(np.roll(cells, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
        cells = ((around == 3) | ((around == 2) & (cells == 1))).astype(np.uint8)
    return {"x": np.packbits(cells, axis=1, bitorder="little").view(np.uint64)}


def murmur3(x: Array, seed: int) -> Values:
    return {"h": np.array([_murmur3(row.tolist(), seed) for row in x], np.uint32)}


def _murmur3(words: list[int], h: int) -> int:
    def turned(v: int, n: int) -> int:
        return (v << n | v >> (32 - n)) % _WORD

    for word in words:
        h ^= turned(word * 0xCC9E2D51 % _WORD, 15) * 0x1B873593 % _WORD
        h = (turned(h, 13) * 5 + 0xE6546B64) % _WORD
    h ^= 4 * len(words)
    h = (h ^ h >> 16) * 0x85EBCA6B % _WORD
    h = (h ^ h >> 13) * 0xC2B2AE35 % _WORD
    return h ^ h >> 16


def strassen(a: Array, b: Array) -> Values:
    return {"c": a @ b}


def median5(x: Array) -> Values:
    y = np.zeros_like(x)
    if x.size:
        around = np.lib.stride_tricks.sliding_window_view(np.pad(x, 2, mode="edge"), (5, 5))
        y[:] = np.median(around, axis=(2, 3))
    return {"y": y}


def csr_transpose(ptr: Array, col: Array, val: Array, C: int) -> Values:
    row = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    order = np.argsort(col, kind="stable")
    counts = np.bincount(col, minlength=C)
    return {"tptr": np.concatenate([[0], np.cumsum(counts)]), "tcol": row[order], "tval": val[order]}


def segmented_scan(x: Array, start: Array) -> Values:
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = x[i] if i == 0 or start[i] else y[i - 1] + x[i]
    return {"y": y}


def inverses(a: Array) -> Values:
    ok = np.array([bool(m.any()) for m in a], bool)
    inv = np.full(a.shape, np.nan)
    inv[ok] = np.linalg.inv(a[ok])
    return {"inv": inv, "ok": ok}


def sha256(x: Array, k: Array, start: Array) -> Values:
    digests = [struct.unpack(">8I", hashlib.sha256(row.tobytes()).digest()) for row in x]
    return {"y": np.array(digests, np.uint32)}


def morphology(x: Array, se: Array) -> Values:
    def least(v: Array, sign: int) -> Array:
        if not v.size:
            return v
        around = np.pad(v, [(n // 2, n // 2) for n in se.shape], mode="edge")
        windows = sign * np.lib.stride_tricks.sliding_window_view(around, se.shape)
        return np.asarray(sign * np.where(se, windows, 255).min((2, 3)))

    low = least(x.astype(np.int64), 1)
    high = least(low, -1)
    return {name: v.astype(np.uint8) for name, v in (("lo", low), ("hi", high), ("tophat", np.maximum(x - high, 0)))}


def nms(b: Values, score: Array, t: float) -> Values:
    boxes = list(zip(*(b[f] for f in ("x0", "y0", "x1", "y1")), strict=True))

    def area(x0: float, y0: float, x1: float, y1: float) -> float:
        return max(x1 - x0, 0.0) * max(y1 - y0, 0.0)

    def overlap(i: int, j: int) -> float:
        p, q = boxes[i], boxes[j]
        both = area(max(p[0], q[0]), max(p[1], q[1]), min(p[2], q[2]), min(p[3], q[3]))
        return both / (area(*p) + area(*q) - both)

    kept: list[int] = []
    for i in np.argsort(-score, kind="stable"):
        if all(overlap(i, j) <= t for j in kept):
            kept.append(i)
    return {"keep": np.isin(np.arange(len(score)), kept)}


def kalman(z: Array, q: float, r: float) -> Values:
    xs = np.zeros((*z.shape, 2))
    moves = np.array([[1.0, 1.0], [0.0, 1.0]])
    for b, series in enumerate(z):
        x, p = np.zeros(2), 10.0 * np.eye(2)
        for t, seen in enumerate(series):
            x, p = moves @ x, moves @ p @ moves.T + q * np.eye(2)
            gain = p[:, 0] / (p[0, 0] + r)
            x, p = x + gain * (seen - x[0]), p - np.outer(gain, p[0])
            xs[b, t] = x
    return {"xs": xs}
