"""`image.lem` computes what SciPy's filters compute, rounded once, on pictures of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.support.stdlib import Array, call, check_examples

SIZES = [(0, 3), (1, 1), (1, 7), (7, 5), (16, 64), (33, 100)]


def run(item: str, **given: Any) -> Any:
    """The one result of an item."""
    (result,) = call("image", item, **given).values()
    return result


def picture(*size: int) -> Array:
    return np.random.default_rng(sum(size)).integers(0, 256, size).astype(np.uint8)


def assert_rounded(got: Array, exact: Array) -> None:
    """Each pixel is the exact value rounded to nearest, either way where it lies next to a half."""
    assert got.dtype == np.uint8 and got.shape == exact.shape
    assert np.abs(got - np.clip(exact, 0, 255)).max(initial=0) <= 0.5 + 1e-3


def test_examples() -> None:
    check_examples("image")


@pytest.mark.parametrize("size", SIZES)
def test_gray(size: tuple[int, int]) -> None:
    image = picture(*size, 3)
    assert_rounded(run("gray", image=image), image @ np.array([0.299, 0.587, 0.114]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [0, 1, 4])
def test_box_blur(size: tuple[int, int], radius: int) -> None:
    image = picture(*size)
    exact = image.astype(np.float64)
    for axis in (0, 1):
        exact = ndimage.uniform_filter1d(exact, 2 * radius + 1, axis, mode="nearest") if image.size else exact
    assert_rounded(run("box_blur", image=image, radius=radius), exact)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sigma, radius", [(0.5, 2), (2.0, 6)])
def test_gaussian_blur(size: tuple[int, int], sigma: float, radius: int) -> None:
    image = picture(*size)
    exact = image.astype(np.float64)
    for axis in (0, 1):
        exact = ndimage.gaussian_filter1d(exact, sigma, axis, mode="nearest", radius=radius) if image.size else exact
    assert_rounded(run("gaussian_blur", image=image, sigma=sigma, radius=radius), exact)


@pytest.mark.parametrize("size", SIZES)
def test_median3(size: tuple[int, int]) -> None:
    image = picture(*size)
    assert np.array_equal(run("median3", image=image), ndimage.median_filter(image, 3, mode="nearest"))


@pytest.mark.parametrize("size", SIZES)
def test_sobel_and_threshold(size: tuple[int, int]) -> None:
    image = picture(*size)
    wide = image.astype(np.float64)
    steep = np.hypot(*(ndimage.sobel(wide, axis, mode="nearest") for axis in (0, 1)))
    got = run("sobel", image=image)
    np.testing.assert_allclose(got, steep, rtol=1e-6)
    assert np.array_equal(run("threshold", x=got, least=300.0), np.where(got >= 300, 255, 0))


@pytest.mark.parametrize("size", SIZES)
def test_sharpen(size: tuple[int, int]) -> None:
    image = picture(*size)
    wide = np.pad(image.astype(np.float64), 1, mode="edge") if image.size else np.zeros((2, 5))
    around = (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) / 4
    assert_rounded(run("sharpen", image=image, amount=0.75), image + 0.75 * (image - around))


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("new", [(0, 2), (1, 1), (7, 5), (20, 64)])
def test_resize(size: tuple[int, int], new: tuple[int, int]) -> None:
    image = picture(*size)
    centres = [(np.arange(n) + 0.5) * (old / max(n, 1)) for n, old in zip(new, size, strict=True)]
    exact = image[np.ix_(*(np.floor(c).astype(int) for c in centres))]
    assert np.array_equal(run("resize_nearest", image=image, H2=new[0], W2=new[1]), exact)
    rows, columns = np.meshgrid(*(c - 0.5 for c in centres), indexing="ij")
    smooth = ndimage.map_coordinates(image.astype(np.float64), [rows, columns], order=1, mode="nearest")
    got = run("resize_bilinear", image=image, H2=new[0], W2=new[1])
    assert np.abs(got - smooth).max(initial=0) <= 0.5 + 0.01  # coordinates are f32


@pytest.mark.parametrize("size", SIZES)
def test_histogram_adds_to_what_is_there(size: tuple[int, int]) -> None:
    image, counts = picture(*size), np.arange(256)
    assert np.array_equal(run("histogram", image=image, counts=counts), counts + np.bincount(image.ravel(), minlength=256))


@pytest.mark.parametrize("size", SIZES)
def test_equalise(size: tuple[int, int]) -> None:
    image = picture(*size) // 4 + 60
    below = np.bincount(image.ravel(), minlength=256).cumsum()
    first = below[image.min()] if image.size else 0
    exact = 255 * (below[image] - first) / (image.size - first) if image.size > first else image
    assert_rounded(run("equalise", image=image), exact)


def test_equalise_leaves_a_flat_picture_alone() -> None:
    image = np.full((5, 9), 7, np.uint8)
    assert np.array_equal(run("equalise", image=image), image)
