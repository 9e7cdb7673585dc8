"""DESIGN 2.3, LANGUAGE 30: `tune(32, 64)` names sizes for a tuner; until it has chosen, the first one holds."""

from __future__ import annotations

import numpy as np
import pytest

from lem import pipeline
from lem.ir import ops
from lem.ir.core import walk_ops
from lem.ir.printer import print_module
from lem.ir.reader import read_module
from lem.schedule import GridPlan, legality
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


# ---------------------------------------------------------------- hints by target

CUTS = """
kernel scale[M, N](x: f32[M, N]) -> y: f32[M, N]:
    for i, j in grid(M, N, tile={cpu: (4, 128), gpu: (tune(8, 16), 16), opencl: (1, 2)}):
        y[i, j] = 2 * x[i, j]

kernel product[M, N](x: f32[M, N]) -> y: f32[M, M]:
    for i, j in grid(M, M, tile=(20, 33)):
        y[i, j] = sum(x[i, k] * x[j, k] for k in N)

kernel wave[M, N](x: f32[M, N]) -> y: f32[M]:
    for i in grid(M, tile={cuda: 128}):
        y[i] = max(x[i, k] for k in N)
"""


def _plan(name: str) -> tuple[GridPlan, list[str]]:
    module = pipeline.optimised(program(CUTS), name, "cpu")
    plan = cpu.propose(module, Facts(("inner",) * 2), detect())[name]
    assert read(show(plan)) == plan
    return plan.grid(0), legality.check(plan, module.functions[name], cpu.STRATEGY_NAMES)


def test_rule_42_tile_sizes_of_the_target_are_used_and_kept() -> None:
    scale, wrong = _plan("scale")
    assert not wrong and scale.numbers("asked") == (4, 128) and scale.numbers("tile") == (4, 128)
    product, wrong = _plan("product")
    assert not wrong and product.numbers("asked") == (20, 33)
    assert (product.strategy, product.number("mb"), product.number("nb")) == ("contraction", 20, 33)
    wave, wrong = _plan("wave")
    assert not wrong and not wave.numbers("asked") and not wave.numbers("tile")


def test_rule_42_the_hints_of_all_targets_stand_in_the_ir() -> None:
    text = print_module(program(CUTS).ir)
    assert '(("cpu", ((4), (128))), ("cuda", ((8, 16), (16))), ("opencl", ((1), (2))))' in text
    assert print_module(read_module(text)) == text
    module = pipeline.optimised(program(CUTS), "scale", "cuda")
    (grid,) = [o for o in walk_ops(module.functions["scale"].body) if isinstance(o, ops.Grid)]
    assert grid.tile == (8, 16) and grid.choices == ((8, 16), (16,)) and not grid.by_target


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (3, 129), (5, 128), (41, 70), (64, 256)])
def test_rule_42_tile_sizes_change_no_result(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).integers(-9, 9, shape).astype(np.float32)
    for threads in (1, 2):
        assert np.array_equal(run_both(CUTS, "scale", threads=threads, x=x)["y"], 2 * x)
        assert np.array_equal(run_both(CUTS, "product", threads=threads, x=x)["y"], x @ x.T)
        assert np.array_equal(run_both(CUTS, "wave", threads=threads, x=x)["y"], x.max(axis=1, initial=-np.inf))


def test_rule_42_wrong_tile_sizes() -> None:
    check_error("""
kernel wrong[M, N](y: out f32[M, N]):
    for i, j in grid(M, N, tile={cpu: 8}):  #~ E0322: 1 tile sizes for 2 variables
        y[i, j] = 0
    for i, j in grid(M, N, tile={cpx: (8, 8)}):  #~ E0503: `cpx` is no target
        y[i, j] = 0
    for i, j in grid(M, N, tile={cpu: (8, 8), cpu: (4, 4)}):  #~ E0202: `cpu` is already given
        y[i, j] = 0
""")


def test_rule_30_pipelining_is_kept_in_the_schedule() -> None:
    module = pipeline.optimised(program(SUMS.format(tile="8", block="32")), "sums", "cpu")
    plan = cpu.propose(module, Facts(("inner",) * 2), detect())["sums"]
    assert plan.grid(0).number("pipeline_k") == 2 and legality.check(plan, module.functions["sums"]) == []
