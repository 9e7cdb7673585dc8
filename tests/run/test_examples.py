"""The example programs compute what NumPy computes: on a real photograph, at ragged sizes, at round ones, at nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tests.support.pieces import run_in_pieces as run_kernel

Array = np.ndarray[Any, Any]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TARGETS = ["cpu", "interp"]


@cache
def example(name: str) -> str:
    return (EXAMPLES / f"{name}.lem").read_text()


@cache
def photograph() -> Array:
    datasets = pytest.importorskip("sklearn.datasets")
    return np.asarray(datasets.load_sample_image("china.jpg"), np.uint8)


def uniform(*shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


# ---------------------------------------------------------------- sharpen


def sharpened(image: Array, amount: float) -> Array:
    """Before rounding, in f64."""
    weights = np.array([1, 2, 3, 2, 1]) / 9.0
    h, w, _ = image.shape
    blurred = np.zeros(image.shape)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            rows, columns = np.clip(np.arange(h) + dy, 0, h - 1), np.clip(np.arange(w) + dx, 0, w - 1)
            blurred += weights[dy + 2] * weights[dx + 2] * image[rows][:, columns]
    return image + amount * (image - blurred)


def assert_picture(got: Array, exact: Array) -> None:
    """Each pixel is the exact value rounded to nearest, either way where it lies next to a half."""
    assert got.dtype == np.uint8
    assert np.abs(got - np.clip(exact, 0, 255)).max(initial=0) <= 0.5 + 1e-3


def test_sharpen_a_photograph() -> None:
    image = photograph()
    got = run_kernel(example("sharpen"), image=image, amount=1.5)["result"]
    assert_picture(got, sharpened(image, 1.5))
    assert got.std() > image.std()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 32), (17, 61)])
def test_sharpen_at_any_size(size: tuple[int, int], target: str) -> None:
    image = np.ascontiguousarray(photograph()[100 : 100 + size[0], 200 : 200 + size[1]])
    assert_picture(run_kernel(example("sharpen"), target=target, image=image)["result"], sharpened(image, 1.0))


def test_sharpen_leaves_a_flat_picture_alone() -> None:
    image = np.full((9, 7, 3), 200, np.uint8)
    assert np.array_equal(run_kernel(example("sharpen"), image=image, amount=3.0)["result"], image)


# ---------------------------------------------------------------- rows and products


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 64), (5, 1000), (0, 4)])
def test_softmax(size: tuple[int, int], target: str) -> None:
    x = 30 * uniform(*size)
    got = run_kernel(example("softmax"), "softmax", target=target, x=x)["y"]
    np.testing.assert_allclose(got, softmax(x.astype(np.float64), axis=1), rtol=5e-6, atol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 5), (64, 64, 64), (33, 17, 300), (3, 0, 4), (3, 4, 0)])
def test_matmul(size: tuple[int, int, int], target: str) -> None:
    m, n, k = size
    a, b = uniform(m, k), uniform(k, n)
    got = run_kernel(example("matmul"), "matmul", target=target, a=a, b=b)["c"]
    exact = a.astype(np.float64) @ b
    assert got.shape == (m, n)
    assert np.abs(got - exact).max(initial=0) <= 1e-6 * max(k, 1)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1, 1, 1), (1, 2, 64, 16), (2, 3, 37, 20), (1, 1, 200, 8)])
def test_attention(size: tuple[int, int, int, int], target: str) -> None:
    q, k, v = (uniform(*size) + np.float32(i) for i in range(3))
    scale = float(np.float32(size[3] ** -0.5))
    got = run_kernel(example("attention"), target=target, q=q, k=k, v=v, scale=scale)["o"]
    scores = scale * np.einsum("bhid,bhjd->bhij", q.astype(np.float64), k)
    scores[:, :, ~np.tri(size[2], dtype=bool)] = -np.inf
    np.testing.assert_allclose(got, softmax(scores, axis=-1) @ v, rtol=2e-5, atol=2e-5)


# ---------------------------------------------------------------- heat


def heated(u: Array, steps: int, alpha: float) -> Array:
    u = u.copy()
    for _ in range(steps):
        around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        u[1:-1, 1:-1] += alpha * (around - 4.0 * u[1:-1, 1:-1])
    return u


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 3), (16, 32), (19, 31)])
def test_heat(size: tuple[int, int], target: str) -> None:
    u = uniform(*size, dtype=np.float64)
    before = u.copy()
    got = run_kernel(example("heat"), "heat", target=target, u=u, steps=7, alpha=0.15)["u"]
    np.testing.assert_allclose(got, heated(before, 7, 0.15), rtol=1e-12, atol=1e-12)


def test_heat_of_a_photograph_flattens_it() -> None:
    u = photograph()[:200, :150, 0].astype(np.float64)
    before = u.copy()
    got = run_kernel(example("heat"), "heat", u=u, steps=50)["u"]
    np.testing.assert_allclose(got, heated(before, 50, 0.2), rtol=1e-9)
    assert got.std() < before.std()


def test_heat_main_holds_the_rim() -> None:
    u = uniform(12, 20, dtype=np.float64)
    held = u.copy()
    held[[0, -1]], held[:, [0, -1]] = 50.0, 50.0
    got = run_kernel(example("heat"), "main", u=u, steps=30, rim=50.0)["u"]
    np.testing.assert_allclose(got, heated(held, 30, 0.2), rtol=1e-11)


# ---------------------------------------------------------------- mandelbrot


def escape_counts(h: int, w: int, limit: int) -> Array:
    """Steps until |z|**2 >= 256, in f64."""
    c = (-0.75 + 2.5 * (np.arange(w) - 0.5 * w) / h) + 1j * (2.5 * (0.5 * h - np.arange(h)) / h)[:, None]
    z, n = np.zeros_like(c), np.zeros(c.shape, int)
    for _ in range(limit):
        alive = (z.real**2 + z.imag**2) < 256.0
        z = np.where(alive, z * z + c, z)
        n += alive
    return n


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1), (20, 33), (48, 64)])
def test_mandelbrot_is_black_inside_only(size: tuple[int, int], target: str) -> None:
    h, w = size
    image = run_kernel(example("mandelbrot"), target=target, H=h, W=w, limit=100)["image"]
    assert image.shape == (h, w, 3)
    counts = escape_counts(h, w, 100)
    # f32 and f64 disagree on a few points of the border; far from it they do not.
    assert np.all(image[counts < 60].max(axis=-1, initial=0) > 0)
    black = (image == 0).all(axis=-1)
    assert np.mean(black != (counts == 100)) <= 0.02


# ---------------------------------------------------------------- nbody

VEC = np.dtype([("x", "f8"), ("y", "f8"), ("z", "f8")])
BODY = np.dtype([("at", VEC), ("v", VEC), ("mass", "f8")])


def crowd(n: int) -> Array:
    bodies = np.zeros(n, BODY)
    rng = np.random.default_rng(n)
    for axis in "xyz":
        bodies["at"][axis], bodies["v"][axis] = rng.standard_normal(n), 0.3 * rng.standard_normal(n)
    bodies["mass"] = rng.uniform(0.5, 1.5, n)
    return bodies


def moved(bodies: Array, dt: float, steps: int, softening: float) -> tuple[Array, Array]:
    at, v = (np.stack([bodies[part][axis] for axis in "xyz"], axis=1) for part in ("at", "v"))
    for _ in range(steps):
        at = at + 0.5 * dt * v
        toward = at[None, :] - at[:, None]
        r2 = (toward**2).sum(axis=2) + softening**2
        with np.errstate(divide="ignore"):
            pull = np.where(r2 > 0, bodies["mass"] / r2**1.5, 0)
        v = v + dt * (pull[:, :, None] * toward).sum(axis=1)
        at = at + 0.5 * dt * v
    return at, v


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("n", "steps"), [(0, 3), (1, 2), (2, 5), (9, 4), (33, 3)])
def test_nbody(n: int, steps: int, target: str) -> None:
    bodies = crowd(n)
    given = bodies.copy()
    got = run_kernel(example("nbody"), "main", target=target, bodies=bodies, dt=0.01, steps=steps, softening=0.1)
    at, v = moved(given, 0.01, steps, 0.1)
    for n_axis, axis in enumerate("xyz"):
        np.testing.assert_allclose(got["bodies"]["at"][axis], at[:, n_axis], rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(got["bodies"]["v"][axis], v[:, n_axis], rtol=1e-11, atol=1e-12)
    assert np.array_equal(got["bodies"]["mass"], given["mass"])


def test_nbody_keeps_its_energy_and_halving_the_step_quarters_the_error() -> None:
    """Two bodies on a circle about each other, for one turn."""
    pair = np.zeros(2, BODY)
    pair["mass"], pair["at"]["x"], pair["v"]["y"] = 1, [-0.5, 0.5], [-(0.5**0.5), 0.5**0.5]
    turn = np.pi * 2**0.5
    errors = []
    for steps in (200, 400):
        got = run_kernel(example("nbody"), "main", bodies=pair, dt=turn / steps, steps=steps)
        errors.append(np.hypot(got["bodies"]["at"]["x"] - pair["at"]["x"], got["bodies"]["at"]["y"]).max())
        assert got["drift"] < 1e-3
    assert errors[0] < 0.01 and 3.5 < errors[0] / errors[1] < 4.5


# ---------------------------------------------------------------- wave


def membrane(h: int, w: int, steps: int, courant: float, width: float) -> Array:
    y, x = np.arange(h)[:, None] / max(h - 1, 1), np.arange(w) / max(w - 1, 1)
    now = np.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) / width**2)
    now[[0, -1]] = now[:, [0, -1]] = 0
    before = now.copy()
    for _ in range(steps):
        after = np.zeros_like(now)
        around = now[:-2, 1:-1] + now[2:, 1:-1] + now[1:-1, :-2] + now[1:-1, 2:]
        after[1:-1, 1:-1] = 2 * now[1:-1, 1:-1] - before[1:-1, 1:-1] + courant**2 * (around - 4 * now[1:-1, 1:-1])
        before, now = now, after
    return now


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (16, 32), (19, 31)])
def test_wave(size: tuple[int, int], target: str) -> None:
    got = run_kernel(example("wave"), "main", target=target, H=size[0], W=size[1], steps=7, courant=0.5, width=0.2)
    np.testing.assert_allclose(got["u"], membrane(*size, 7, 0.5, 0.2), atol=1e-13)
    assert np.ptp(got["energy"]) <= 1e-13 * max(got["energy"].max(), 1)


# ---------------------------------------------------------------- knn


@pytest.mark.parametrize("target", TARGETS)
def test_knn_on_handwritten_digits(target: str) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    x, label = digits.data.astype(np.float32), digits.target.astype(np.int32)
    train, query = slice(0, 300), slice(300, 340)
    given = {"train": x[train], "label": label[train], "query": x[query], "k": 3, "n_labels": 10}
    guess = run_kernel(example("knn"), "knn", target=target, **given)["guess"]
    other = neighbors.KNeighborsClassifier(3, algorithm="brute").fit(x[train], label[train]).predict(x[query])
    assert np.mean(guess == other) >= 0.95  # the two break ties in another order
    assert np.mean(guess == label[query]) > 0.85


# ---------------------------------------------------------------- tasks over blocks


def heavy(n: int) -> Array:
    """A symmetric matrix with a heavy diagonal."""
    a = uniform(n, n, dtype=np.float64)
    return a + a.T + 4 * n * np.eye(n)


BLOCKED = [(0, 4), (1, 1), (7, 3), (16, 4), (33, 8), (10, 50)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("n", "nb"), BLOCKED)
def test_cholesky_over_blocks(n: int, nb: int, target: str) -> None:
    a = heavy(n)
    got = run_kernel(example("cholesky"), "cholesky", target=target, a=a, nb=nb)["a"]
    np.testing.assert_allclose(np.tril(got), np.linalg.cholesky(a), atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("n", "nb"), BLOCKED)
def test_lu_over_blocks(n: int, nb: int, target: str) -> None:
    a = heavy(n) + np.triu(uniform(n, n, dtype=np.float64))
    got = run_kernel(example("lu"), "lu", target=target, a=a, nb=nb)["a"]
    np.testing.assert_allclose((np.tril(got, -1) + np.eye(n)) @ np.triu(got), a, atol=1e-11)


def aligned(x: Array, y: Array) -> int:
    h = np.zeros((len(x) + 1, len(y) + 1), int)
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            h[i + 1, j + 1] = max(0, h[i, j] + (2 if a == b else -1), h[i, j + 1] - 2, h[i + 1, j] - 2)
    return int(h.max())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("nb", [1, 5, 16, 100])
@pytest.mark.parametrize("size", [(1, 1), (0, 3), (24, 17)])
def test_smith_waterman_over_blocks(size: tuple[int, int], nb: int, target: str) -> None:
    rng = np.random.default_rng(sum(size))
    x, y = (rng.choice(np.frombuffer(b"ACGT", np.uint8), n) for n in size)
    y[3:12] = x[8:17][: len(y[3:12])] if len(y) > 12 else y[3:12]
    assert run_kernel(example("smith_waterman"), target=target, entry="align", x=x, y=y, nb=nb)["best"] == aligned(x, y)
