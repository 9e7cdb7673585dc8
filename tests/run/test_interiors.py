"""Boundary policies cost nothing where they cannot matter, and hold everywhere else: windows whose bounds a call gives."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lem import pipeline
from lem.ir import printer
from lem.targets import cpu
from lem_runtime import KernelFault
from lem_runtime.abi.source import Facts
from tests.support.cpu import LEVELS, check_run, nowhere
from tests.support.run import program, run_kernel

WINDOWS = {
    "centred": """
kernel centred[N, M, K](x: f32[N, M], w: f32[K], y: out f32[N, M]):
    for i, j in grid(N, M):
        y[i, j] = sum(w[k] * clamp(x)[i, j + k - K // 2] for k in K)
""",
    "boxed": """
kernel boxed[N, M](x: u8[N, M], y: out u8[N, M], r: int):
    for i, j in grid(N, M):
        y[i, j] = max(wrap(x)[i + a, j + b] for a in range(-r, r + 1) for b in range(-r, r + 1))
""",
    "looped": """
kernel looped[N, M](x: f64[N, M], y: out f64[N, M], r: int):
    for i, j in grid(N, M):
        s: f64 = 0
        for a in range(r, -r - 1, -1):
            s = 0.5 * s + fill(x, 1)[i, j + a]
        y[i, j] = s
""",
    "dilated": """
kernel dilated[N, K](x: f32[N], w: f32[K], y: out f32[N], d: int):
    for i in grid(N):
        y[i] = sum(w[k] * fill(x, 0)[i + d * k] for k in K)
""",
    "limited": """
kernel limited[N](x: f64[N], y: out f64[N], r: int):
    for i in grid(N):
        y[i] = sum(clamp(x)[i - k] for k in range(max(-r, -3), min(r, 3)))
""",
}


@pytest.mark.parametrize("name", WINDOWS)
def test_vectors_inside_read_without_looking_at_the_boundary(name: str) -> None:
    """Whole vectors read neighbours; only the masked ones at the ends of a row gather."""
    module = pipeline.optimised(program(WINDOWS[name]), name)
    facts = Facts(("inner",) * sum(p.is_array for p in module.functions[name].signature.params))
    loops = cpu.show(module, name, facts, LEVELS["x86-64-v3"], "loops")
    gathers = [line for line in loops.splitlines() if re.search(r"= \w+\[\[", line)]
    assert gathers and all(" if " in line for line in gathers), loops


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 40), (3, 200)])
@pytest.mark.parametrize("r", [-2, 0, 1, 2, 7, 60])
def test_windows_of_any_radius(shape: tuple[int, int], r: int) -> None:
    x = np.random.default_rng(r + 2).standard_normal(shape)
    window = np.arange(1, 2 * abs(r) + 2, dtype=np.float32)
    check_run(WINDOWS["centred"], x=x.astype(np.float32), w=window)
    check_run(WINDOWS["boxed"], x=(100 * x).astype(np.int64).astype(np.uint8), r=min(r, 7))
    check_run(WINDOWS["looped"], x=x, r=r)
    check_run(WINDOWS["limited"], x=x[0].copy(), r=r)
    check_run(WINDOWS["dilated"], x=x[0].astype(np.float32), w=window[:9], d=r)


@pytest.mark.parametrize("d", [1 << 20, 1 << 47, 1 << 60, 1 << 61, 1 << 62, (1 << 63) - 1, -(1 << 62), -(1 << 63)])
def test_distances_that_wrap_around_read_nothing_outside(d: int) -> None:
    x = np.arange(300, dtype=np.float32)
    for k in (1, 2, 3, 4, 5):
        check_run(WINDOWS["dilated"], x=x, w=np.ones(k, np.float32), d=d)
        check_run(WINDOWS["dilated"], x=x[:3], w=np.ones(k, np.float32), d=d)


BY_HAND = {
    "diff": ("clamp", "s[i] ^ s[max(i - 1, 0)]"),
    "after": ("clamp", "s[min(i + 3, N - 1)]"),
    "both": ("clamp", "s[min(max(i - d, 0), N - 1)]"),
    "outwards": ("clamp", "s[max(0, min(N - 1, 2 * i - d))]"),
    "around": ("wrap", "s[(i + 1) % N]"),
    "before": ("wrap", "s[(i - 1 + N) % N]"),
    "far": ("wrap", "s[(i + d) % N]"),
    "summed": ("wrap", "sum(i32(s[(i + k - 2 + 3 * N) % N]) for k in range(5)) & 255"),
    "other size": ("", "s[min(i, N - 2)] if N > 1 else 0"),
    "other limit": ("", "s[max(i, 1)] if N > 1 else 0"),
    "other array": ("", "t[i % N]"),
    "gather": ("", "s[max(min(at[i], N - 1), 0)]"),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_boundaries_that_are_written_out_cost_nothing_inside(name: str) -> None:
    policy, value = BY_HAND[name]
    text = f"""
kernel hand[N](s: u8[N], t: u8[2 * N], at: i64[N], d: int, y: out u8[N]):
    for i in grid(N):
        y[i] = u8({value})
"""
    loads = [
        line for line in printer.print_function(pipeline.optimised(program(text), "hand").functions["hand"]).splitlines()
    ]
    found = [line.rsplit(", ", 1)[-1] for line in loads if "tile.load" in line and line.endswith(("clamp", "wrap"))]
    assert found == [policy] * bool(policy)
    for n in (1, 2, 3, 17, 200):
        rng = np.random.default_rng(n)
        arrays = {"s": rng.integers(0, 256, n, np.uint8), "t": rng.integers(0, 256, 2 * n, np.uint8)}
        for d in (0, 1, -5, 2 * n, 1 << 62, -(1 << 62)):
            check_run(text, **arrays, at=rng.integers(-n, 2 * n, n), d=d, y=np.zeros(n, np.uint8))


def test_rows_and_columns_of_a_picture_are_bounded_by_hand() -> None:
    """And its colours are one line with them."""
    text = """
kernel blur[H, W, C](s: u8[H, W, C], y: out u8[H, W, C]):
    for i, j, c in grid(H, W, C):
        a = i32(s[i, max(j - 1, 0), c]) + i32(s[i, min(j + 1, W - 1), c])
        y[i, j, c] = u8((a + i32(s[max(i - 1, 0), j, c])) // 3)
"""
    module = pipeline.optimised(program(text), "blur")
    assert "joined=j" in cpu.show(module, "blur", Facts(("inner", "inner")), LEVELS["x86-64-v3"], "schedule")
    for shape in ((1, 1, 3), (3, 2, 3), (2, 40, 4)):
        s = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        check_run(text, s=s, y=np.zeros_like(s))


@pytest.mark.parametrize(
    "sub", ["i * BIG * BIG", "max(i * BIG * BIG, 0)", "(i * BIG * BIG) % N", "(i + 3 + MOST + MOST) % N"]
)
def test_factors_and_numbers_that_wrap_around(sub: str) -> None:
    text = f"""
kernel wide[N](s: u8[N], y: out u8[N]):
    for i in grid(N):
        y[i] = s[{sub.replace("BIG", str(1 << 40)).replace("MOST", str((1 << 63) - 1))}]
"""
    s = np.arange(1 if sub.startswith("i") else 40, dtype=np.uint8)
    check_run(text, s=s, y=np.zeros_like(s))


OF_NOTHING = {
    "wrap": "wrap(s)[p]",
    "clamp": "clamp(s)[p]",
    "by hand": "s[(p + 1) % N]",
    "clamped": "s[max(min(p, N - 1), 0)] if n > 0 else 0",
    "summed": "u8(sum(i32(s[(p + j) % N]) for j in K))",
    "summed, wrap": "u8(sum(i32(wrap(s)[p + j]) for j in K))",
    "perhaps summed": "u8(sum(i32(clamp(s)[j - p]) for j in range(p)))",
}


@pytest.mark.parametrize("name", OF_NOTHING)
def test_what_is_read_for_all_elements_is_not_read_before_an_empty_array_is_found(name: str) -> None:
    text = f"""
kernel nothing[N, M, K](s: u8[N], k: u8[K], p: int, y: out u8[M]):
    for i in grid(M):
        n = N
        assert N >= 1
        y[i] = {OF_NOTHING[name]}
"""
    if "clamped" != name:
        text = text.replace("        n = N\n        assert N >= 1\n", "")
    for m in (1, 20):
        with pytest.raises(KernelFault):
            empty = nowhere(np.zeros(0, np.uint8))
            run_kernel(text, copied=False, s=empty, k=np.zeros(3, np.uint8), p=2, y=np.zeros(m, np.uint8))
