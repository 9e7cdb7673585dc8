"""Philox4x32-10 gives the published numbers, and `uniform` depends on seed and index alone."""

import numpy as np
import pytest

from tests.support import philox

# Random123, examples/kat_vectors: counter, key, result.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]) -> None:
    got = philox.words([np.array([c]) for c in counter], key)
    assert tuple(int(w[0]) for w in got) == expected


def test_numbers_are_spread_and_independent() -> None:
    x = philox.uniform("f64", 7, (200, 300))
    assert 0.0 <= x.min() and x.max() < 1.0
    assert abs(x.mean() - 0.5) < 0.005 and abs(x.std() - 12**-0.5) < 0.005
    assert abs(np.corrcoef(x[:, 0], x[:, 1])[0, 1]) < 0.25


@pytest.mark.parametrize(("dtype", "bits"), [("f16", 11), ("f32", 24), ("f64", 53)])
def test_numbers_are_exact_and_below_one(dtype: str, bits: int) -> None:
    x = philox.uniform(dtype, 3, (4000,)).astype(np.float64)
    assert np.array_equal(np.floor(x * 2.0**bits), x * 2.0**bits) and x.max() < 1.0


def test_an_element_does_not_depend_on_the_shape() -> None:
    assert np.array_equal(philox.uniform("f32", 5, (3, 4)), philox.uniform("f32", 5, (10, 20))[:3, :4])
    assert np.array_equal(philox.uniform("f32", 5, (2, 3, 4, 5, 6))[1, 2], philox.uniform("f32", 5, (6, 4, 5, 6))[5])


def test_seeds_of_64_bits_and_empty_shapes() -> None:
    assert not np.array_equal(philox.uniform("f32", 1, (8,)), philox.uniform("f32", 1 + 2**32, (8,)))
    assert np.array_equal(philox.uniform("f32", -1, (8,)), philox.uniform("f32", 2**64 - 1, (8,)))
    assert philox.uniform("f32", 1, (0, 3)).shape == (0, 3)
    assert philox.uniform("f32", 1, ()).shape == ()
