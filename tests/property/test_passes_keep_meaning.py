"""Random kernels before and after each pass: the interpreter gives the same bits, and a second run changes nothing.

Only ``fuse_fma`` may change results, by the rounding of the products that it fuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from lem.ir.core import Function, Module
from lem.ir.interpreter import RunOutcome, run
from lem.ir.printer import equal, print_function
from lem.ir.verifier import verify
from lem.passes.drop_dead import drop_dead_ops
from lem.passes.fuse_fma import fuse_fma
from lem.passes.simplify import simplify
from tests.support.ir_gen import Generated, programs

_quiet = list(HealthCheck)
few = settings(max_examples=25, deadline=None, suppress_health_check=_quiet)
many = settings(max_examples=1500, deadline=None, suppress_health_check=_quiet)
EXACT = (simplify, drop_dead_ops)
PASSES = (*EXACT, fuse_fma)


def check(p: Generated) -> None:
    # Each pass leaves nothing for itself. What is dropped may well leave something to the pass before: a branch that is
    # decided can go only when nothing reads the array it would have made.
    fn = p.module.functions["f"]
    before = outcome(fn, p)
    for one in PASSES:
        made = one(fn)
        assert verify(made) == [], f"{one.__name__}:\n{print_function(made)}"
        assert equal(one(made), made), f"{one.__name__} changes its own result:\n{print_function(made)}"
        if one in EXACT:
            assert_same(before, outcome(made, p), one.__name__)
            fn = made


def outcome(fn: Function, p: Generated) -> RunOutcome:
    return run(Module({"f": fn}), "f", p.arrays(), p.scalars)


def assert_same(a: RunOutcome, b: RunOutcome, name: str) -> None:
    assert (a.fault is None) == (b.fault is None), name
    if a.fault is not None and b.fault is not None:
        assert (a.fault.code, a.fault.order, a.fault.values) == (b.fault.code, b.fault.order, b.fault.values), name
        return
    for array, data in a.arrays.items():
        np.testing.assert_array_equal(bits(data), bits(b.arrays[array]), f"{name}: {array}")


def bits(data: Any) -> Any:
    """The bits, with all NaNs made one: which one an operation gives is left open."""
    if data.dtype.kind != "f":
        return data
    return np.where(np.isnan(data), np.float64(np.nan).astype(data.dtype), data).view(f"i{data.dtype.itemsize}")


@few
@given(programs())
def test_passes_keep_meaning(p: Generated) -> None:
    check(p)


@few
@given(programs(faults=True))
def test_passes_keep_faults(p: Generated) -> None:
    check(p)


@pytest.mark.long
@many
@given(programs(faults=True, max_ops=25))
def test_passes_keep_meaning_long(p: Generated) -> None:
    check(p)
