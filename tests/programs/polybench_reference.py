"""What the kernels of PolyBench/C compute, in plain NumPy: inputs of any size, and the reference for them.

Each function takes its inputs under the names of the lem program's parameters, never changes them, and gives the results
by name. The code follows the C kernels of PolyBench/C 4.2, row by row where those go element by element; nothing here was
derived from the lem programs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Values = dict[str, Any]
Reference = Callable[..., Values]


# ---------------------------------------------------------------- products


def two_mm(a: Array, b: Array, c: Array, d: Array, alpha: float, beta: float) -> Values:
    return {"d": (alpha * (a @ b)) @ c + beta * d}


def three_mm(a: Array, b: Array, c: Array, d: Array) -> Values:
    return {"g": (a @ b) @ (c @ d)}


def atax(a: Array, x: Array) -> Values:
    return {"y": a.T @ (a @ x)}


def bicg(a: Array, p: Array, r: Array) -> Values:
    return {"s": a.T @ r, "q": a @ p}


def doitgen(a: Array, c4: Array) -> Values:
    return {"a": a @ c4}


def gemm(a: Array, b: Array, c: Array, alpha: float, beta: float) -> Values:
    return {"c": beta * c + alpha * (a @ b)}


def gemver(a: Array, u1: Array, v1: Array, u2: Array, v2: Array, y: Array, z: Array, alpha: float, beta: float) -> Values:
    full = a + np.outer(u1, v1) + np.outer(u2, v2)
    x = beta * (full.T @ y) + z
    return {"a": full, "x": x, "w": alpha * (full @ x)}


def gesummv(a: Array, b: Array, x: Array, alpha: float, beta: float) -> Values:
    return {"y": alpha * (a @ x) + beta * (b @ x)}


def mvt(a: Array, x1: Array, x2: Array, y1: Array, y2: Array) -> Values:
    return {"x1": x1 + a @ y1, "x2": x2 + a.T @ y2}


def symm(a: Array, b: Array, c: Array, alpha: float, beta: float) -> Values:
    full = np.tril(a) + np.tril(a, -1).T
    return {"c": beta * c + alpha * (full @ b)}


def syrk(a: Array, c: Array, alpha: float, beta: float) -> Values:
    return {"c": np.tril(beta * c + alpha * (a @ a.T)) + np.triu(c, 1)}


def syr2k(a: Array, b: Array, c: Array, alpha: float, beta: float) -> Values:
    return {"c": np.tril(beta * c + alpha * (a @ b.T + b @ a.T)) + np.triu(c, 1)}


def trmm(a: Array, b: Array, alpha: float) -> Values:
    unit = np.tril(a, -1) + np.eye(len(a))
    return {"b": alpha * (unit.T @ b)}


# ---------------------------------------------------------------- solvers


def cholesky(a: Array) -> Values:
    a = a.copy()
    for i in range(len(a)):
        for j in range(i):
            a[i, j] = (a[i, j] - a[i, :j] @ a[j, :j]) / a[j, j]
        a[i, i] = np.sqrt(a[i, i] - a[i, :i] @ a[i, :i])
    return {"a": a}


def _decomposed(a: Array) -> Array:
    a = a.copy()
    for i in range(len(a)):
        for j in range(i):
            a[i, j] = (a[i, j] - a[i, :j] @ a[:j, j]) / a[j, j]
        for j in range(i, len(a)):
            a[i, j] -= a[i, :i] @ a[:i, j]
    return a


def lu(a: Array) -> Values:
    return {"a": _decomposed(a)}


def ludcmp(a: Array, b: Array) -> Values:
    a = _decomposed(a)
    y, x = np.zeros_like(b), np.zeros_like(b)
    for i in range(len(a)):
        y[i] = b[i] - a[i, :i] @ y[:i]
    for i in reversed(range(len(a))):
        x[i] = (y[i] - a[i, i + 1 :] @ x[i + 1 :]) / a[i, i]
    return {"a": a, "x": x, "y": y}


def trisolv(l: Array, b: Array) -> Values:  # noqa: E741 (the program's name)
    x = np.zeros_like(b)
    for i in range(len(b)):
        x[i] = (b[i] - l[i, :i] @ x[:i]) / l[i, i]
    return {"x": x}


def durbin(r: Array) -> Values:
    n = len(r)
    y = np.zeros_like(r)
    if n == 0:
        return {"y": y}
    y[0] = alpha = -r[0]
    beta = 1.0
    for k in range(1, n):
        beta = (1 - alpha * alpha) * beta
        alpha = -(r[k] + r[:k][::-1] @ y[:k]) / beta
        y[:k] = y[:k] + alpha * y[:k][::-1]
        y[k] = alpha
    return {"y": y}


def gramschmidt(a: Array) -> Values:
    a, (_, n) = a.copy(), a.shape
    r, q = np.zeros((n, n)), np.zeros_like(a)
    for k in range(n):
        r[k, k] = np.sqrt(np.sum(a[:, k] * a[:, k]))
        q[:, k] = a[:, k] / r[k, k]
        for j in range(k + 1, n):
            r[k, j] = q[:, k] @ a[:, j]
            a[:, j] = a[:, j] - q[:, k] * r[k, j]
    return {"a": a, "r": r, "q": q}


# ---------------------------------------------------------------- tables


def correlation(data: Array) -> Values:
    n, m = data.shape
    mean = data.sum(axis=0) / n
    stddev = np.sqrt(((data - mean) ** 2).sum(axis=0) / n)
    stddev = np.where(stddev <= 0.1, 1.0, stddev)
    data = (data - mean) / (np.sqrt(float(n)) * stddev)
    corr = data.T @ data
    corr[np.arange(m), np.arange(m)] = 1.0
    return {"data": data, "corr": corr}


def covariance(data: Array) -> Values:
    n, _ = data.shape
    data = data - data.sum(axis=0) / n
    return {"data": data, "cov": (data.T @ data) / np.float64(n - 1)}


def floyd_warshall(path: Array) -> Values:
    path = path.copy()
    for k in range(len(path)):
        path = np.minimum(path, path[:, k : k + 1] + path[k : k + 1, :])
    return {"path": path}


def nussinov(seq: Array) -> Values:
    n = len(seq)
    bases = [int(base) for base in seq]
    table = [[0] * n for _ in range(n)]
    for i in reversed(range(n)):
        for j in range(i + 1, n):
            best = max(table[i][j - 1], table[i + 1][j])
            match = int(bases[i] + bases[j] == 3) if i < j - 1 else 0
            best = max(best, table[i + 1][j - 1] + match)
            for k in range(i + 1, j):
                best = max(best, table[i][k] + table[k + 1][j])
            table[i][j] = best
    return {"table": np.array(table, np.int32).reshape(n, n)}


# ---------------------------------------------------------------- stencils


def adi(u: Array, steps: int) -> Values:
    u, n = u.copy(), len(u)
    v, p, q = (np.zeros_like(u) for _ in range(3))
    for _ in range(steps if n > 2 else 0):
        dx, dt = 1.0 / n, 1.0 / steps
        mul = 2.0 * dt / (dx * dx)
        mul2 = dt / (dx * dx)
        a, b, d, e = -mul / 2, 1 + mul, -mul2 / 2, 1 + mul2
        inner = slice(1, n - 1)
        v[0, inner], p[inner, 0], q[inner, 0] = 1.0, 0.0, 1.0
        for j in range(1, n - 1):
            p[inner, j] = -a / (a * p[inner, j - 1] + b)
            right = -d * u[j, : n - 2] + (1 + 2 * d) * u[j, inner] - d * u[j, 2:]
            q[inner, j] = (right - a * q[inner, j - 1]) / (a * p[inner, j - 1] + b)
        v[n - 1 :, inner] = 1.0
        for j in range(n - 2, 0, -1):
            v[j, inner] = p[inner, j] * v[j + 1, inner] + q[inner, j]
        u[inner, 0], p[inner, 0], q[inner, 0] = 1.0, 0.0, 1.0
        for j in range(1, n - 1):
            p[inner, j] = -d / (d * p[inner, j - 1] + e)
            right = -a * v[: n - 2, j] + (1 + 2 * a) * v[inner, j] - a * v[2:, j]
            q[inner, j] = (right - d * q[inner, j - 1]) / (d * p[inner, j - 1] + e)
        u[inner, n - 1 :] = 1.0
        for j in range(n - 2, 0, -1):
            u[inner, j] = p[inner, j] * u[inner, j + 1] + q[inner, j]
    return {"u": u}


def deriche(image: Array, alpha: float) -> Values:
    """In f64: the recursion is stable, so f32 stays near it."""
    exact = image.astype(np.float64)
    decay = np.exp(-alpha)
    k = (1 - decay) ** 2 / (1 + 2 * alpha * decay - np.exp(2 * alpha))
    forward = (k, k * decay * (alpha - 1))
    backward = (k * decay * (alpha + 1), -k * np.exp(-2 * alpha))
    feedback = (2.0**-alpha, -np.exp(-2 * alpha))
    for _ in range(2):  # along the last axis, then, transposed, along the other
        exact = (_recursive(exact, forward, feedback, now=True)
                 + _recursive(exact[:, ::-1], backward, feedback, now=False)[:, ::-1]).T  # fmt: skip
    return {"out_image": exact}


def _recursive(x: Array, taps: tuple[float, float], feedback: tuple[float, float], now: bool) -> Array:
    """y[j] = taps . x at (j, j - 1) or, not `now`, at (j - 1, j - 2), plus feedback . y at (j - 1, j - 2)."""
    width = x.shape[1]
    xs, y = np.pad(x, ((0, 0), (2, 0))), np.zeros((len(x), width + 2))
    late = 0 if now else 1
    for j in range(2, width + 2):
        fed = feedback[0] * y[:, j - 1] + feedback[1] * y[:, j - 2]
        y[:, j] = taps[0] * xs[:, j - late] + taps[1] * xs[:, j - late - 1] + fed
    return y[:, 2:]


def fdtd_2d(ex: Array, ey: Array, hz: Array, fict: Array) -> Values:
    ex, ey, hz = ex.copy(), ey.copy(), hz.copy()
    for pulse in fict:
        ey[:1, :] = pulse
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])
    return {"ex": ex, "ey": ey, "hz": hz}


def heat_3d(a: Array, b: Array, steps: int) -> Values:
    a, b = a.copy(), b.copy()
    for _ in range(steps):
        for u, after in ((a, b), (b, a)):
            mid = u[1:-1, 1:-1, 1:-1]
            after[1:-1, 1:-1, 1:-1] = (
                0.125 * (u[2:, 1:-1, 1:-1] - 2.0 * mid + u[:-2, 1:-1, 1:-1])
                + 0.125 * (u[1:-1, 2:, 1:-1] - 2.0 * mid + u[1:-1, :-2, 1:-1])
                + 0.125 * (u[1:-1, 1:-1, 2:] - 2.0 * mid + u[1:-1, 1:-1, :-2])
                + mid
            )
    return {"a": a, "b": b}


def jacobi_1d(a: Array, b: Array, steps: int) -> Values:
    a, b = a.copy(), b.copy()
    for _ in range(steps):
        for u, after in ((a, b), (b, a)):
            after[1:-1] = 0.33333 * (u[:-2] + u[1:-1] + u[2:])
    return {"a": a, "b": b}


def jacobi_2d(a: Array, b: Array, steps: int) -> Values:
    a, b = a.copy(), b.copy()
    for _ in range(steps):
        for u, after in ((a, b), (b, a)):
            around = u[1:-1, :-2] + u[1:-1, 2:] + u[2:, 1:-1] + u[:-2, 1:-1]
            after[1:-1, 1:-1] = 0.2 * (u[1:-1, 1:-1] + around)
    return {"a": a, "b": b}


def seidel_2d(a: Array, steps: int) -> Values:
    rows: list[list[float]] = a.tolist()
    inner = range(1, len(rows) - 1)
    for _ in range(steps):
        for i in inner:
            for j in inner:
                rows[i][j] = sum(rows[i + di][j + dj] for di in (-1, 0, 1) for dj in (-1, 0, 1)) / 9.0
    return {"a": np.array(rows).reshape(a.shape)}
