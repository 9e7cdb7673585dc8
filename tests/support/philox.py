"""Philox4x32-10 (LANGUAGE 37) once more, in NumPy: what the library's `random.lem` is held against.

Takes a seed and a shape. The words of element [i, j, ...] depend on the seed and on i, j, ... alone, never on the shape.
Algorithm and constants: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), and its
reference code Random123.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lem_runtime.abi.dtypes import DTYPES

Array = np.ndarray[Any, Any]

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)  # added to the key from round to round
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def words(counter: Sequence[Array], key: tuple[int, int]) -> tuple[Array, Array, Array, Array]:
    """Four u32 words (held as u64) for each of the counters, which are four arrays of u32 values."""
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) & _LOW for c in counter)
    k0, k1 = key
    for _ in range(_ROUNDS):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (second >> _HALF) ^ c1 ^ np.uint64(k0),
            second & _LOW,
            (first >> _HALF) ^ c3 ^ np.uint64(k1),
            first & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def uniform(dtype: str, seed: int, shape: Sequence[int]) -> Array:
    """Numbers in 0 <= x < 1 that lem's float type `dtype` holds: as many leading bits as its significand has."""
    seed &= 0xFFFFFFFFFFFFFFFF
    w0, w1, _, _ = words(_counters(shape), (seed & 0xFFFFFFFF, seed >> 32))
    bits = DTYPES[dtype].digits
    leading = ((w0 << _HALF) | w1) >> np.uint64(64 - bits)
    return np.ldexp(leading.astype(np.float64), -bits)


def _counters(shape: Sequence[int]) -> list[Array]:
    """One word per axis: the element's index; the axes before the last three share the first word."""
    folded = list(shape)
    while len(folded) > 4:
        folded[:2] = [folded[0] * folded[1]]
    indices = [i.reshape(shape) for i in np.indices(folded, np.uint64)]
    return indices + [np.zeros(shape, np.uint64)] * (4 - len(indices))
