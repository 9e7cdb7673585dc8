"""LANGUAGE 42, DESIGN 2.5: `if target is spu:` is decided where code is made; both sides are checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lem import pipeline
from lem.cli import Exit
from lem.ir import ops
from lem.ir.core import walk_ops
from tests.support.cli import lem
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


# ---------------------------------------------------------------- variants: which body runs

PRODUCTS = """
kernel product[T: float, M, N, K](a: T[M, K], b: T[K, N], c: out T[M, N], plus: int):
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)

@variant(of=product, when=K == 1 and plus > 0)
kernel outer[T: float, M, N, K](a: T[M, K], b: T[K, N], c: out T[M, N], plus: int):
    for i, j in grid(M, N):
        c[i, j] = a[i, 0] * b[0, j] + T(plus)

@variant(of=product, on=cpu, when=M * N < 10)
kernel little[T: float, M, N, K](a: T[M, K], b: T[K, N], c: out T[M, N], plus: int):
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K) + 100

task main[M, N, K](a: f64[M, K], b: f64[K, N], c: out f64[M, N], plus: int):
    product(a, b, c, plus)
"""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(0, 3, 1), (1, 1, 1), (2, 3, 1), (5, 7, 1), (4, 8, 5), (3, 3, 0), (33, 17, 9)])
@pytest.mark.parametrize("plus", [0, 2])
def test_rule_42_the_first_variant_that_suits_runs(shape: tuple[int, int, int], plus: int, target: str) -> None:
    m, n, k = shape
    a, b = np.arange(m * k).reshape(m, k) + 0.0, np.arange(k * n).reshape(k, n) - 3.0
    more = plus if k == 1 and plus > 0 else 100 if target == "cpu" and m * n < 10 else 0
    got = run_kernel(PRODUCTS, "main", target=target, a=a, b=b, plus=plus)
    assert np.array_equal(got["c"], a @ b + more)


def test_rule_42_variants_are_chosen_for_each_type() -> None:
    a = np.ones((2, 1), np.float32)
    got = run_kernel(PRODUCTS, "product", a=a, b=a.T.copy(), plus=3)
    assert got["c"].dtype == np.float32 and got["c"].tolist() == [[4, 4], [4, 4]]


def test_rule_42_the_body_that_ran_is_reported(tmp_path: Path) -> None:
    (tmp_path / "p.lem").write_text(PRODUCTS)
    for k, ran in ((1, "outer"), (2, "product")):
        np.save(tmp_path / "a.npy", np.ones((4, k)))
        np.save(tmp_path / "b.npy", np.ones((k, 4)))
        told = lem("run", "p.lem", "a=a.npy", "b=b.npy", "plus=1", "--json", cwd=tmp_path).json
        rows = [row["kernel"] for row in told["kernels"]]
        assert f"{ran}[f64]" in rows and ("outer[f64]" in rows) == (k == 1)


ELSEWHERE = """
@on(gpu)
kernel far[N](x: inout f32[N]):
    for i in grid(N):
        x[i] = 1

task main[N](x: inout f32[N], n: int):
    if n > 0 and target is cpu:
        far(x)
"""


def test_rule_42_no_kernel_runs_where_it_may_not(tmp_path: Path) -> None:
    (tmp_path / "p.lem").write_text(ELSEWHERE)
    np.save(tmp_path / "x.npy", np.zeros(3, np.float32))
    for entry in ("p.lem:far", "p.lem"):
        said = lem("run", entry, "x=x.npy", *(["n=0"] if entry == "p.lem" else []), cwd=tmp_path)
        assert said.code == Exit.PROGRAM
        assert "error[E0501]" in said.err and "`far` is for cuda or opencl" in said.err and "p.lem:3:8" in said.err
    assert run_kernel(ELSEWHERE, "far", target="interp", x=np.zeros(3, np.float32))["x"].tolist() == [1, 1, 1]


def test_rule_42_a_variant_has_targets() -> None:
    check_error("""
kernel f[N](x: inout f32[N]):
    for i in grid(N):
        x[i] = 1

@on(cpu)
@variant(of=f, on=gpu)  #~ E0501: a variant for targets that its `@on` leaves out
kernel g[N](x: inout f32[N]):
    for i in grid(N):
        x[i] = 1
""")
