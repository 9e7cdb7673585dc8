"""LANGUAGE 42, DESIGN 2.5: `if target is spu:` is decided where code is made; both sides are checked."""

from __future__ import annotations

import numpy as np
import pytest

from lem import pipeline
from lem.ir import ops
from lem.ir.core import walk_ops
from tests.support.programs import check_error, check_right
from tests.support.run import TARGETS, program, run_kernel

CHOICE = """
fn number(x: f32) -> f32:
    return x + 1 if target is interp else x + 2

kernel elsewhere[N](x: inout f32[N]):
    for i in grid(N):
        x[i] = -1

kernel main[N](x: inout f32[N], y: out i64[N]):
    if target is gpu:
        elsewhere(x)
    for i in grid(N):
        x[i] = number(x[i])
        if target is cpu and i < 3:
            y[i] = 1
        elif target is not cpu:
            y[i] = 2
        else:
            y[i] = 3
"""


@pytest.mark.parametrize("target", TARGETS)
def test_rule_42_each_target_takes_its_side(target: str) -> None:
    check_right(CHOICE)
    got = run_kernel(CHOICE, "main", target=target, x=np.zeros(5, np.float32))
    assert got["x"].tolist() == [1 if target == "interp" else 2] * 5
    assert got["y"].tolist() == ([2] * 5 if target == "interp" else [1, 1, 1, 3, 3])


@pytest.mark.parametrize("target", ["cpu", "cuda", "opencl", "spu", "interp"])
def test_rule_42_what_is_not_taken_leaves_nothing_behind(target: str) -> None:
    module = pipeline.optimised(program(CHOICE), "main", target)
    assert ("elsewhere" in module.functions) == (target in ("cuda", "opencl"))
    code = [o for fn in module.functions.values() for o in walk_ops(fn.body)]
    assert not any(isinstance(o, ops.TargetIs) for o in code)


def test_rule_42_both_sides_are_checked_and_targets_have_names() -> None:
    check_error("""
kernel wrong[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        if target is spu:
            y[i] = x[i + N]  #~ E0311
        else:
            y[i] = x[i] + f64(1)  #~ E0309
        if target is spuu:  #~ E0503: `spuu` is no target
            y[i] = 1
        if target == 1:  #~ E0201: `target` is not defined
            y[i] = 1
""")
    check_error("""
kernel one_side[N](x: f32[N]) -> s: f32:  #~ E0408
    if target is cpu:
        s = 1
""")
