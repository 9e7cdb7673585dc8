"""The last two axes of a grid as one line: colours of pixels, coordinates of points. Whatever gaps arrays have, the bits
are the interpreter's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.schedule import GridPlan, legality
from lem.schedule.propose import propose
from lem.targets import cpu
from lem_runtime import detect
from lem_runtime.abi.source import Facts
from tests.support.cpu import assert_same, check_run
from tests.support.run import program, run_kernel

BRIGHT = """
kernel bright[H, W, C](x: u8[H, W, C], k: f32, y: out u8[H, W, C]):
    for i, j, c in grid(H, W, C):
        y[i, j, c] = u8(f32(x[i, j, c]) * k)
"""
BOX = """
kernel box[H, W, C](x: u8[H, W, C], y: out u8[H, W, C]):
    for i, j, c in grid(H, W, C):
        s = sum(i32(clamp(x)[i + a, j + b, c]) for a in range(-1, 2) for b in range(-1, 2))
        y[i, j, c] = u8(s // 9)
"""
FILTER = """
kernel filter[H, W, C, R](x: f32[H, W, C], w: f32[R], y: out f32[H, W, C]):
    for i, j, c in grid(H, W, C):
        s = sum(fill(x, 0)[i, j + r - R // 2, c] * w[r] for r in R)
        y[i, j, c] = s if x[i, j, c] > 0 else wrap(x)[i - 1, j - 3, c]
"""
POINTS = """
kernel points[N, D](x: inout f64[N, D], v: f64[N, D], m: f64[N + 1, D + 2]):
    for i, d in grid(N, D):
        x[i, d] = x[i, d] + v[i, d] * m[i + 1, d + 1]
"""
JOINED = {"bright": BRIGHT, "box": BOX, "filter": FILTER, "points": POINTS}

APART = {
    "a number": "y[i, j, c] = x[i, j, c] + f32(c)",
    "a weight of its own": "y[i, j, c] = x[i, j, c] * w[c]",
    "mirrored": "y[i, j, c] = x[i, j, C - 1 - c]",
    "a condition": "y[i, j, c] = x[i, j, c] if j > 2 else 0.0",
    "a boundary of colours": "y[i, j, c] = clamp(x)[i, j, c + 1]",
    "of another length": "y[i, j, c] = clamp(z)[i, j, c]",
    "a row of its own": "y[i, j, c] = x[i, j, c] + z[i, j, 0]",
    "across": "y[i, j, c] = clamp(x)[i, c, j]",
}


def given(name: str, h: int, w: int, c: int) -> dict[str, Any]:
    rng = np.random.default_rng(h + 10 * w + 100 * c)
    if name == "points":
        x, v, m = rng.random((h * w, c)), rng.random((h * w, c)), rng.random((h * w + 1, c + 2))
        return {"x": x, "v": v, "m": m}
    if name == "filter":
        x = rng.normal(size=(h, w, c)).astype(np.float32)
        return {"x": x, "w": rng.random(5, np.float32), "y": np.zeros_like(x)}
    x = rng.integers(0, 256, (h, w, c), np.uint8)
    return {"x": x, "y": np.zeros_like(x)} | ({"k": np.float32(1.3)} if name == "bright" else {})


def gaps(a: Any) -> Any:
    """The same array in a wider one: neighbours lie side by side, rows do not follow each other."""
    if not isinstance(a, np.ndarray) or a.ndim < 2:
        return a
    wide = np.zeros((*a.shape[:-1], a.shape[-1] + 3), a.dtype)
    view = wide[..., : a.shape[-1]]
    view[...] = a
    return view


def schedule(text: str, facts: Facts | None = None) -> GridPlan:
    fn = program(text)
    name = list(fn.ir.functions)[-1]
    made = pipeline.optimised(fn, name)
    layouts = Facts(("inner",) * sum(p.is_array for p in made.functions[name].signature.params))
    return cpu.propose(made, facts or layouts, detect())[name].grids[0]


@pytest.mark.parametrize("name", JOINED)
def test_both_axes_are_one_line(name: str) -> None:
    assert schedule(JOINED[name]).name("joined") == ("i" if name == "points" else "j")


SIZES = [(1, 1, 1), (2, 3, 3), (3, 70, 3), (2, 9, 1), (5, 4, 40), (0, 4, 3), (3, 0, 3), (3, 4, 0)]
# A boundary of nothing faults.
CASES = [(name, sizes) for name in JOINED for sizes in SIZES if name != "filter" or 0 not in sizes]


@pytest.mark.parametrize(("name", "sizes"), CASES)
def test_same_bits_with_and_without_gaps(name: str, sizes: tuple[int, int, int]) -> None:
    arrays = given(name, *sizes)
    want = check_run(JOINED[name], **arrays)
    assert_same(want, run_kernel(JOINED[name], **{n: gaps(a) for n, a in arrays.items()}), "gaps in all")
    first = next(iter(arrays))
    assert_same(want, run_kernel(JOINED[name], **{**arrays, first: gaps(arrays[first])}), f"gaps in {first}")


@pytest.mark.parametrize("why", APART)
def test_rows_that_differ_stay_apart(why: str) -> None:
    text = f"""
kernel apart[H, W, C, D](x: f32[H, W, C], w: f32[C], z: f32[H, W, D], y: out f32[H, W, C]) where D >= 1:
    for i, j, c in grid(H, W, C):
        {APART[why]}
"""
    plan = schedule(text)
    assert not plan.name("joined")
    forced = plan.with_(joined="j", vector="c")
    module = pipeline.optimised(program(text), "apart")
    whole = propose(module.functions["apart"], Facts(("inner",) * 4), detect(), "cpu")
    assert "runs as one line" in "; ".join(legality.check(type(whole)("apart", "cpu", (forced,)), module.functions["apart"]))


def test_arrays_whose_neighbours_may_lie_apart_are_not_one_line() -> None:
    assert not schedule(BRIGHT, Facts(("inner", "any"))).name("joined")


def test_a_plan_with_other_vectors_has_no_line() -> None:
    plan = schedule(BRIGHT)
    assert plan.name("joined") and plan.with_(lanes=8).name("joined")
    assert not plan.with_(vector="").name("joined")
    assert not plan.with_(tile=(4, 64)).name("joined")


BLOCKS = """
kernel scale[M, N](x: inout f64[M, N]):
    for i, j in grid(M, N):
        x[i, j] = 2.0 * x[i, j]


task scaled[M, N](x: inout f64[M, N], n: int) where n >= 1:
    b = blocks(x, 4, n)
    for i in range(b.rows):
        for j in range(b.cols):
            spawn scale(b[i, j])
"""


@pytest.mark.parametrize("n", [1, 3])
def test_rows_next_to_each_other_are_no_line_where_their_elements_lie_apart(n: int) -> None:
    """The last block of columns has one, and rows that lie as far apart as it is wide: those of an array of Fortran's."""
    around = np.arange(12.0 * 7).reshape(12, 7)
    x = around[1:-1].T
    want = around.copy()
    want[1:-1] *= 2.0
    run_kernel(BLOCKS, "scaled", copied=False, x=x, n=n)
    assert (around == want).all()
