"""The CPU target gives the interpreter's bits: for any number of threads, any size, arrays with gaps, any schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.targets import cpu
from lem.targets.cpu.lower import lower_module
from lem.targets.loops.printer import show_module
from lem_runtime import KernelFault, detect, run
from lem_runtime.abi.source import Facts
from tests.support.cpu import assert_same, check_run
from tests.support.cpu_programs import PROGRAMS, f4
from tests.support.run import artifact, entry_of, program, run_kernel


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_bits_as_the_interpreter(name: str) -> None:
    text, cases = PROGRAMS[name]
    for given in cases:
        check_run(text, **given)


SCHEDULES: dict[str, list[dict[str, Any]]] = {
    "stencil5": [{"lanes": 4, "rest": 2}, {"vector": "y", "lanes": 8, "rest": 8}, {"vector": ""}, {"tile": (3, 64)}],
    "clamp3": [{"lanes": 8, "rest": 4}, {"vector": "y", "lanes": 8, "rest": 4}, {"vector": ""}],
    "rowsum": [{"vector": "i", "lanes": 8, "rest": 8}, {"vector": ""}],
    "colsum": [{"lanes": 16, "rest": 4}, {"vector": ""}],
    "softmax": [{"vector": "i", "lanes": 8, "rest": 8}],
    "fnax": [{"vector": "i", "lanes": 4, "rest": 4}],
    "tilesrag": [{"vector": "i", "lanes": 8, "rest": 8}],
    "att": [{"vector": "i", "lanes": 4, "rest": 4}, {"vector": ""}],
    "local": [{"lanes": 8, "rest": 8}, {"vector": ""}],
    "mandel": [{"lanes": 8, "rest": 8}, {"vector": ""}, {"vector": "y", "lanes": 8, "rest": 8}],
    "branchy": [{"lanes": 16, "rest": 4}, {"vector": ""}],
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_schedule_changes_a_bit(name: str) -> None:
    text, cases = PROGRAMS[name]
    made = program(text)
    entry = entry_of(made)
    module, machine = pipeline.optimised(made, entry), detect()
    facts = Facts(("inner",) * sum(p.is_array for p in module.functions[entry].signature.params))
    proposed = cpu.propose(module, facts, machine)[entry]
    wants = [run_kernel(text, target="interp", **given) for given in cases]
    for settings in SCHEDULES[name]:
        plan = proposed.grids[0].as_spmd(settings)
        forced = type(proposed)(proposed.function, proposed.target, (plan, *proposed.grids[1:]))
        code = cpu.emit(module, entry, facts, machine, {entry: forced})
        for given, want in zip(cases, wants, strict=True):
            arrays = {n: np.array(a) for n, a in given.items() if isinstance(a, np.ndarray)}
            dims = {n: a for n, a in given.items() if n in made.typed.functions[entry].signature.dims}
            scalars = {n: a for n, a in given.items() if n not in arrays and n not in dims}
            result = run(code, arrays, scalars, dims, threads=1)
            assert_same(want, {**result.outputs, **result.scalars}, str(plan))


ROWS = """
kernel sums[M, N](ptr: i64[M + 1], x: f64[N], y: out f64[M]):
    for r in grid(M):
        s = 0.0
        for k in range(ptr[r], ptr[r + 1]):
            s += x[k]
        y[r] = s

kernel dots[M, N](ptr: i64[M + 1], at: i64[N], x: f64[N], y: out f64[M]):
    for r in grid(M):
        y[r] = sum(x[k] * x[at[k]] for k in N[ptr[r]:ptr[r + 1]])

kernel wide[M, N, K](ptr: i64[M + 1], at: i64[N], x: f64[K, K], y: out f64[M, K]):
    for r, j in grid(M, K):
        y[r, j] = sum(x[at[k], j] for k in N[ptr[r]:ptr[r + 1]])

kernel costly[M, N](ptr: i64[M + 1], x: f64[N], y: out f64[M]):
    for r in grid(M):
        s = 0.0
        for k in range(ptr[r], ptr[r + 1]):
            s += sin(x[k])
        y[r] = s

kernel scaled[M, N](ptr: i64[M + 1], x: f64[N], y: out f64[M]) -> total: f64:
    total = sum(x[k] for k in N)
    for r in grid(M):
        y[r] = sum(x[k] * x[N - 1 - k] for k in N[ptr[r]:ptr[r + 1]]) / total

kernel fixed[M, N](first: i64[1], x: f64[N], y: out f64[M]):
    for r in grid(M):
        s = 0.0
        for k in range(first[0], N):
            s += x[k] * f64(r)
        y[r] = s
"""


@pytest.mark.parametrize(
    ("entry", "vector"), [("sums", ""), ("dots", ""), ("scaled", ""), ("wide", "j"), ("costly", "r"), ("fixed", "r")]
)
def test_rows_that_begin_anywhere_are_read_one_after_the_other(entry: str, vector: str) -> None:
    module = pipeline.optimised(program(ROWS), entry)
    facts = Facts(("inner",) * sum(p.is_array for p in module.functions[entry].signature.params))
    plan = cpu.propose(module, facts, detect())[entry].grids[0]
    assert dict(plan.settings)["vector"] == vector


WINDOWS = """
kernel filtered[N, K](x: f32[N + K], h: f32[K], y: out f32[N]):
    for i in grid(N):
        y[i] = sum(x[i + k] * h[k] for k in K)

kernel convolved[C, H, W, F, R, S](x: f32[C, H, W], w: f32[F, C, R, S], y: out f32[F, H, W]):
    for f, i, j in grid(F, H, W):
        y[f, i, j] = sum(fill(x, 0)[c, i + r, j + s] * w[f, c, r, s] for c in C for r in R for s in S)

kernel every_other[C, H, W, F, R, S](x: f32[C, 2 * H + R, 2 * W + S], w: f32[F, C, R, S], y: out f32[F, H, W]):
    for f, i, j in grid(F, H, W):
        y[f, i, j] = sum(x[c, 2 * i + r, 2 * j + s] * w[f, c, r, s] for c in C for r in R for s in S)

kernel rows[M, K](a: f32[M, K], x: f32[K], y: out f32[M]):
    for i in grid(M):
        y[i] = sum(a[i, k] * x[k] for k in K)
"""


@pytest.mark.parametrize(("entry", "vector"), [("filtered", "i"), ("convolved", "j"), ("every_other", "j"), ("rows", "")])
def test_windows_are_filtered_side_by_side(entry: str, vector: str) -> None:
    """What is read along the elements needs no vectors along the window, which is short."""
    module = pipeline.optimised(program(WINDOWS), entry)
    facts = Facts(("inner",) * sum(p.is_array for p in module.functions[entry].signature.params))
    plan = cpu.propose(module, facts, detect())[entry].grids[0]
    assert dict(plan.settings)["vector"] == vector


ANY_ORDER = """
kernel dilated[H, W, R, S](x: u8[H, W], se: bool[R, S], y: out u8[H, W]):
    for i, j in grid(H, W):
        y[i, j] = max(clamp(x)[i + r - R // 2, j + s - S // 2] for r in R for s in S if se[r, s])

kernel counted[N, K](x: i32[N + K], h: i32[K], y: out i32[N]):
    for i in grid(N):
        y[i] = sum(x[i + k] * h[k] for k in K)

kernel largest[M, R, S](x: f32[M, R, S], y: out f32[M]):
    for i in grid(M):
        y[i] = max(x[i, r, s] for r in R for s in S)
"""


@pytest.mark.parametrize(("entry", "vector"), [("dilated", "j"), ("counted", "i"), ("largest", "")])
def test_windows_of_any_order_are_reduced_side_by_side(entry: str, vector: str) -> None:
    """`largest` reads along s but not along r: whichever of the two is seen first, its vectors go along s."""
    for attempt in range(8):  # Sets of axes are in the order of their addresses.
        module = pipeline.optimised(program(ANY_ORDER, f"{attempt}.lem"), entry)
        facts = Facts(("inner",) * sum(p.is_array for p in module.functions[entry].signature.params))
        plan = cpu.propose(module, facts, detect())[entry].grids[0]
        assert dict(plan.settings)["vector"] == vector


def test_the_same_program_becomes_the_same_code() -> None:
    texts = set()
    for attempt in range(8):
        module = pipeline.optimised(program(WINDOWS, f"{attempt}.lem"), "convolved")
        facts = Facts(("inner",) * 3)
        lowered = lower_module(module, "convolved", facts, detect(), cpu.propose(module, facts, detect()))
        texts.add(show_module(lowered.module))
    assert len(texts) == 1


@pytest.mark.parametrize("k", [0, 1, 2, 3, 17, 31, 32, 33, 64, 4096, 4100, 9001])
def test_windows_of_all_lengths_have_the_same_bits(k: int) -> None:
    rng = np.random.default_rng(k)
    x, h = rng.standard_normal(37 + k).astype(np.float32), rng.standard_normal(k).astype(np.float32)
    filtered, *_, dots = WINDOWS.split("\nkernel")[1:]
    got = check_run("kernel" + filtered, x=x, h=h)["y"]
    rows = np.lib.stride_tricks.sliding_window_view(x, k)[:37] if k else np.zeros((37, 0), np.float32)
    same = check_run("kernel" + dots, a=np.ascontiguousarray(rows), x=h)["y"]
    assert got.tobytes() == same.tobytes()


# ---- faults, lines -----------------------------------------------------------------------------------------------

GATHER = """
kernel pick[N, K](idx: i64[N], t: f32[K], y: out f32[N]):
    for i in grid(N):
        y[i] = t[idx[i]]
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [5, 100, 100_000])
def test_smallest_faulting_element_is_reported(n: int, threads: int) -> None:
    idx = np.zeros(n, "i8")
    idx[n // 2], idx[n - 1], idx[n // 2 + 1] = 7, -1, 9
    with pytest.raises(KernelFault) as e:
        run_kernel(GATHER, idx=idx, t=f4(3), threads=threads)
    assert e.value.code == "E0601"
    assert str(n // 2) in str(e.value) and "7" in str(e.value)


def test_inactive_elements_do_not_fault() -> None:
    text = """
kernel pick[N, K](idx: i64[N], t: f32[K], y: out f32[N]):
    for i in grid(N):
        y[i] = t[idx[i]] // f32(idx[i]) if idx[i] > 0 else 0.5
"""
    check_run(text, idx=np.array([-5, 0, 1, 2, -(2**62), 1, 0, 0, 0, 2]), t=f4(3))


def test_division_by_zero_faults_in_order() -> None:
    text = """
kernel d[M, N](x: i32[M, N], y: out i32[M, N]):
    for i, j in grid(M, N):
        y[i, j] = 100 // x[i, j]
"""
    x = np.ones((40, 50), "i4")
    x[30, 2] = x[31, 1] = 0
    with pytest.raises(KernelFault, match="30"):
        run_kernel(text, x=x, threads=2)


def test_prints_name_elements() -> None:
    text = """
kernel p[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        if x[i] > 2.0:
            print(f"{i}: {x[i]}")
        y[i] = x[i]
"""
    made = program(text)
    x = np.array([1, 3, 0, 4.5], "f4")
    code = artifact(text, entry_of(made), Facts(("inner", "inner")))
    assert [line.split("]")[-1].strip(": ") for line in run(code, {"x": x}).prints] == ["1: 3.0", "3: 4.5"]


def test_lines_of_small_grids_come_one_grid_after_the_other() -> None:
    text = """
kernel p[N](x: i64[N], h: reduce(+) i64[2], y: out i64[N]):
    for t in range(2):
        for i in grid(N):
            print("a", t, i)
            y[i] = x[i]
        for i in grid(N):
            print("b", t, i)
            h[i % 2] += x[i]
"""
    made = program(text)
    code = artifact(text, entry_of(made), Facts(("inner", "inner", "inner")))
    lines = run(code, {"x": np.arange(3), "h": np.zeros(2, np.int64)}).prints
    assert [line.split(": ")[1] for line in lines] == [f"{k} {t} {i}" for t in range(2) for k in "ab" for i in range(3)]


def test_cancelled_while_loop_stops() -> None:
    text = """
kernel spin[N](x: inout f32[N]):
    for i in grid(N):
        while x[i] < 2.0:
            x[i] = x[i] * 0.5
"""
    from lem_runtime import TimeUp

    code = artifact(text, "spin", Facts(("inner",)))
    with pytest.raises(TimeUp):
        run(code, {"x": f4(10)}, timeout_s=0.3)
