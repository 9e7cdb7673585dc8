"""More examples compute what NumPy computes: prices, groups, sparse products, cells, spectra, pictures, decoding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.special import ndtr, softmax

from tests.run.test_examples import TARGETS, example, photograph, uniform
from tests.support.pieces import run_in_pieces as run_kernel

# ---------------------------------------------------------------- prices, groups, sparse products


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [0, 1, 7, 100])
def test_black_scholes(n: int, target: str) -> None:
    rng = np.random.default_rng(n)
    spot, strike, years = (rng.uniform(lo, hi, n).astype(np.float32) for lo, hi in ((50, 150), (50, 150), (0.1, 3)))
    got = run_kernel(example("black_scholes"), target=target, spot=spot, strike=strike, years=years)
    s, k, t = (x.astype(np.float64) for x in (spot, strike, years))
    d1 = (np.log(s / k) + (0.02 + 0.045) * t) / (0.3 * np.sqrt(t))
    call = s * ndtr(d1) - k * np.exp(-0.02 * t) * ndtr(d1 - 0.3 * np.sqrt(t))
    np.testing.assert_allclose(got["call"], call, atol=1e-4)
    np.testing.assert_allclose(got["put"], call - s + k * np.exp(-0.02 * t), atol=1e-4)
    np.testing.assert_allclose(got["delta"], ndtr(d1), atol=1e-6)


def test_kmeans_tells_digits_apart() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    x = digits.data.astype(np.float32)
    first = np.stack([x[digits.target == d][:20].mean(0) for d in range(10)])
    got = run_kernel(example("kmeans"), x=x, centre=first, rounds=20)
    distances = ((x[:, None].astype(np.float64) - got["centre"]) ** 2).sum(-1)
    assert (distances.argmin(1) == got["group"]).mean() > 0.99  # the last round moved the means a little
    for c in range(10):
        np.testing.assert_allclose(got["centre"][c], x[got["group"] == c].mean(0), atol=1e-4)
    assert (got["group"] == digits.target).mean() > 0.7


@pytest.mark.parametrize("target", TARGETS)
def test_kmeans_of_two_heaps(target: str) -> None:
    x = np.array([[0, 0], [0, 2], [10, 10], [10, 12]], np.float32)
    far = np.array([[1, 1], [9, 9], [500, 500]], np.float32)  # nothing is near the third
    got = run_kernel(example("kmeans"), target=target, x=x, centre=far, rounds=3)
    assert got["group"].tolist() == [0, 0, 1, 1]
    assert got["centre"].tolist() == [[0, 1], [10, 11], [500, 500]]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [1, 7, 40])
def test_csr_finds_the_largest_eigenvalue(n: int, target: str) -> None:
    path = sparse.diags([np.ones(n - 1), 3 + np.arange(n) / n, np.ones(n - 1)], [-1, 0, 1], format="csr")
    given = {"ptr": path.indptr.astype(np.int32), "col": path.indices.astype(np.int32), "data": path.data.astype(np.float64)}
    got = run_kernel(example("csr"), target=target, **given, rounds=300)
    assert got["eigenvalue"] == pytest.approx(np.linalg.eigvalsh(path.toarray())[-1], rel=1e-3)
    np.testing.assert_allclose(path @ got["vector"], got["eigenvalue"] * got["vector"], atol=0.1)


# ---------------------------------------------------------------- life, spectra, pictures, decoding


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 32), (19, 23)])
def test_life(size: tuple[int, int], target: str) -> None:
    world = np.random.default_rng(sum(size)).integers(0, 2, size).astype(np.uint8)
    exact = world.astype(int)
    for _ in range(5):
        around = sum(np.roll(exact, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) - exact
        exact = ((around == 3) | ((around == 2) & (exact == 1))).astype(int)
    assert np.array_equal(run_kernel(example("life"), "life", target=target, world=world, steps=5)["world"], exact)


@pytest.mark.parametrize("size", [(64, 1), (256, 5)])
def test_spectrogram(size: tuple[int, int]) -> None:
    w, s = size
    sound = np.sin(np.arange((s + 1) * w // 2) * 0.4).astype(np.float32)
    fade = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(w) / w)
    pieces = np.stack([sound[at * w // 2 : at * w // 2 + w] for at in range(s)])
    exact = np.abs(np.fft.fft(fade * pieces)) ** 2
    got = run_kernel(example("fft"), sound=sound, W=w, S=s)["power"]
    assert np.abs(got - exact).max() <= 1e-5 * exact.max()


def test_equalise_brings_out_a_flat_photograph() -> None:
    image = (photograph()[:120, :160] // 4 + 90).astype(np.uint8)
    got = run_kernel(example("equalise"), image=image)["result"]
    grey = image @ np.array([0.299, 0.587, 0.114])
    clear = got @ np.array([0.299, 0.587, 0.114])
    assert clear.std() > 2.5 * grey.std()
    # Brightness keeps its order, but for what rounding and full colours do.
    assert np.corrcoef(np.argsort(np.argsort(grey.ravel())), clear.ravel())[0, 1] > 0.9


def test_pipeline_draws_the_outlines_of_a_photograph() -> None:
    image = np.ascontiguousarray(photograph()[100:220, 200:360])
    got = run_kernel(example("pipeline"), image=image)["edges"]
    grey = image @ np.array([0.299, 0.587, 0.114])
    smooth = ndimage.gaussian_filter(grey, 1.0, mode="nearest", radius=3)
    steep = np.hypot(ndimage.sobel(smooth, 0, mode="nearest"), ndimage.sobel(smooth, 1, mode="nearest"))
    clear = np.abs(steep - 120) > 8  # away from the limit rounding to whole greys decides nothing
    assert set(np.unique(got)) == {0, 255}
    assert np.array_equal(got[clear], np.where(steep >= 120, 255, 0)[clear])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(1, 1, 1, 1, 4), (2, 2, 4, 9, 8), (1, 2, 3, 100, 16)])
def test_decode(size: tuple[int, ...], target: str) -> None:
    b, g, r, n, d = size
    q, new_k, new_v = uniform(b, g, r, d), uniform(b, g, d), uniform(b, g, d) + 1
    k, v = uniform(b, g, n, d), uniform(b, g, n, d) * 2
    length = n // 2
    got = run_kernel(example("decode"), target=target, q=q, new_k=new_k, new_v=new_v, k=k, v=v, length=length)
    k[:, :, length], v[:, :, length] = new_k, new_v
    assert np.array_equal(got["k"], k) and np.array_equal(got["v"], v)
    scores = np.einsum("bgrd,bgjd->bgrj", q.astype(np.float64), k[:, :, : length + 1]) / np.sqrt(d)
    np.testing.assert_allclose(got["o"], softmax(scores, axis=-1) @ v[:, :, : length + 1], rtol=2e-5, atol=2e-5)
