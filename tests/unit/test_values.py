"""Which of lem's types the types of other libraries are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lem_runtime.values import holds, lem_dtype, numpy_dtype

# ml_dtypes and jax: known by their names alone, so that neither need be there.
NARROW = {"bfloat16": "bf16", "float8_e4m3fn": "f8e4m3", "float8_e5m2": "f8e5m2"}


@pytest.mark.parametrize(("name", "dtype"), [("float32", "f32"), ("bool", "bool"), ("uint16", "u16"), *NARROW.items()])
def test_types_go_by_their_names(name: str, dtype: str) -> None:
    other = SimpleNamespace(name=name)
    assert lem_dtype(other) == dtype  # type: ignore[arg-type]
    assert holds(other, dtype)  # type: ignore[arg-type]


def test_what_holds_bits_is_a_number_by_itself() -> None:
    assert lem_dtype(numpy_dtype("bf16")) == "u16" and holds(np.dtype("uint16"), "bf16")
    assert lem_dtype(np.dtype("complex64")) is None
