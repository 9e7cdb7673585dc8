"""DESIGN 2.3, LANGUAGE 30: `tune(32, 64)` names sizes for a tuner; until it has chosen, the first one holds."""

from __future__ import annotations

import numpy as np

from lem import pipeline
from lem.ir.printer import print_module
from lem.ir.reader import read_module
from lem.schedule import legality
from lem.schedule.text import read, show
from lem.targets import cpu
from lem_runtime import detect
from lem_runtime.abi.source import Facts
from tests.support.programs import check_error, check_right
from tests.support.rules import run_both
from tests.support.run import program

SUMS = """
kernel sums[M, N](x: f32[M, N]) -> y: f32[M]:
    for i in grid(M, tile={tile}):
        total: f32 = 0
        for k in tiles(N, {block}, pipeline=2):
            total = total * 0.5 + sum(x[i, k], over=k)
        y[i] = total
"""


def test_rule_30_the_first_size_holds_until_a_tuner_chooses() -> None:
    tuned = SUMS.format(tile="tune(8, 16)", block="tune(32, 64)")
    check_right(tuned)
    x = np.random.default_rng(0).standard_normal((5, 200)).astype(np.float32)
    fixed = {block: run_both(SUMS.format(tile=8, block=block), x=x)["y"] for block in (32, 64)}
    got = run_both(tuned, x=x)["y"]
    assert np.array_equal(got, fixed[32]) and not np.array_equal(got, fixed[64])


def test_rule_30_the_choices_stand_in_the_ir_and_in_the_schedule() -> None:
    made = program(SUMS.format(tile="tune(8, 16)", block="tune(32, 64, 128)"))
    module = pipeline.optimised(made, "sums", "cpu")
    text = print_module(module)
    assert "(32, 64, 128)" in text and print_module(read_module(text)) == text
    plan = cpu.propose(module, Facts(("inner",) * 2), detect())["sums"]
    assert plan.grid(0).numbers("tune_i") == (8, 16) and plan.grid(0).numbers("tune_k") == (32, 64, 128)
    assert "tune_k=32x64x128" in show(plan) and read(show(plan)) == plan
    assert legality.check(plan, module.functions["sums"]) == []


def test_rule_30_sizes_to_choose_among_are_literals_above_0() -> None:
    check_error("""
kernel wrong[M, N](x: f32[M, N], y: out f32[M]):
    for i in grid(M, tile=tune()):  #~ E0307: `tune` takes the sizes to choose among
        y[i] = 0
    for i in grid(M, tile=tune(8, M)):  #~ E0307: `tune` takes the sizes to choose among
        y[i] = 0
    for i in grid(M):
        for k in tiles(N, tune(0, 8)):  #~ E0307: `tune` takes the sizes to choose among
            y[i] = 0
""")
