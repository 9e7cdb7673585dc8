"""Programs as people write them: what made some of them many times slower than they need be, seen in plans and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.ir import ops
from lem.ir.core import walk_ops
from lem.targets import cpu
from lem_runtime import KernelFault
from lem_runtime.abi.source import Facts
from tests.support.cpu import LEVELS, check_run
from tests.support.run import program, run_kernel

MACHINE = LEVELS["x86-64-v3"]


def shown(text: str, entry: str, stage: str) -> str:
    module = pipeline.optimised(program(text), entry)
    facts = Facts(("inner",) * sum(p.is_array for p in module.functions[entry].signature.params))
    return cpu.show(module, entry, facts, MACHINE, stage)


def loops_around(loops: str, name: str) -> list[list[str]]:
    """For each loop over `name`, what the loops around it run over."""
    found: list[list[str]] = []
    around: list[tuple[int, str]] = []
    for line in loops.splitlines():
        depth, words = len(line) - len(line.lstrip()), line.split()
        if not words:
            continue
        while around and around[-1][0] >= depth:
            around.pop()
        if words[0] == "for":
            if words[1].split("_")[0] == name:
                found.append([n for _, n in around])
            around.append((depth, words[1].split("_")[0]))
    return found


# ---- checks made once --------------------------------------------------------------------------------------------

BUTTERFLY = """
kernel butterfly[N](re: inout f32[N], im: inout f32[N], h: int) where h > 0 and N % (2 * h) == 0:
    for g, k in grid(N // (2 * h), h):
        a = 2 * h * g + k
        b = a + h
        tr = 0.5 * re[b] - 0.25 * im[b]
        ti = 0.5 * im[b] + 0.25 * re[b]
        re[b] = re[a] - tr
        im[b] = im[a] - ti
        re[a] = re[a] + tr
        im[a] = im[a] + ti
"""


def test_a_check_that_was_made_is_not_made_again() -> None:
    """Each subscript once, before anything is stored: so elements that fault can be asked again, and vectors run."""
    fn = pipeline.optimised(program(BUTTERFLY), "butterfly").functions["butterfly"]
    body = next(o.body for o in fn.body.ops if isinstance(o, ops.Grid))
    assert sum(isinstance(o, ops.Assert) for o in body.ops) == 2
    assert "vector=k" in shown(BUTTERFLY, "butterfly", "schedule")


@pytest.mark.parametrize("h", [1, 2, 3, 8, 40])
def test_butterflies_have_the_same_bits(h: int) -> None:
    re, im = np.random.default_rng(h).standard_normal((2, 6 * h)).astype(np.float32)
    check_run(BUTTERFLY, re=re, im=im, h=h)


TWICE = """
kernel twice[N, M](x: f32[N], at: i64[M], y: inout f32[M], deep: int):
    for i in grid(M):
        s = x[at[i]]
        y[i] = s
        if y[i] > 0:
            for k in range(deep):
                s += x[at[i]] + y[i]
        y[i] = s + x[at[i]]
"""


def test_checks_stay_where_blocks_need_them() -> None:
    fn = pipeline.optimised(program(TWICE), "twice").functions["twice"]
    body = next(o.body for o in fn.body.ops if isinstance(o, ops.Grid))
    assert sum(isinstance(o, ops.Assert) for o in body.ops) == 1
    assert any(isinstance(o, ops.Assert) for o in walk_ops(body) if o not in body.ops)
    x, at = np.arange(5, dtype=np.float32), np.array([4, 0, 3, 3])
    check_run(TWICE, x=x, at=at, y=np.zeros(4, np.float32), deep=3)
    with pytest.raises(KernelFault, match="5"):
        run_kernel(TWICE, x=x, at=np.array([1, 5, 2, 9]), y=np.zeros(4, np.float32), deep=3)


# ---- branches ----------------------------------------------------------------------------------------------------

WORDS = """
kernel words[N](s: u8[N]) -> n: i64:
    n = sum(1 if s[i] != 32 and (i == 0 or s[i - 1] == 32) else 0 for i in N)
"""


def test_a_side_that_gives_a_constant_is_no_branch() -> None:
    """Whether one of 32 characters is a space cannot be foreseen."""
    assert "any(no)" not in shown(WORDS, "words", "loops")
    assert run_kernel(WORDS, s=np.frombuffer(b" a bc  def g" * 7, np.uint8))["n"] == 28


# ---- updates -----------------------------------------------------------------------------------------------------

CHANNELS = """
kernel channels[H, W](x: u8[H, W, 3], h: reduce(+) i32[3, 256], s: reduce(+) f32[3]):
    for i, j, c in grid(H, W, 3):
        h[c, i64(x[i, j, c])] += 1
        s[c] += f32(x[i, j, c])
"""


def test_updates_along_few_places_need_no_vectors() -> None:
    """Three lanes of sixteen, each updating behind a branch of its own, are slower than three elements."""
    assert "vector=-" in shown(CHANNELS, "channels", "schedule")
    assert "x64" not in shown(CHANNELS, "channels", "loops")


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (5, 7), (40, 50), (300, 200)])
def test_channels_have_the_same_bits(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    got = check_run(CHANNELS, x=x, h=np.zeros((3, 256), np.int32), s=np.zeros(3, np.float32))
    for c in range(3):
        np.testing.assert_array_equal(got["h"][c], np.bincount(x[..., c].ravel(), minlength=256))


# ---- loops that carry lines --------------------------------------------------------------------------------------

WINDOWED = """
kernel windowed[S, D](q: f32[S, D], k: f32[S, D], v: f32[S, D], o: out f32[S, D], w: int) where w > 0:
    for i in grid(S):
        m: f32 = -inf
        l: f32 = 0
        acc: f32[D] = 0
        for j in tiles(S[max(i - w, 0):i + 1]):
            s = sum(q[i, d] * k[j, d] for d in D)
            top = max(m, max(s, over=j))
            p = exp(s - top)
            old = exp(m - top)
            l = l * old + sum(p, over=j)
            acc = acc * old + sum(p * v[j, :], over=j)
            m = top
        o[i, :] = acc / l
"""

RECURRENT = """
kernel recurrent[B, T, D](x: f64[B, T, D], w: f64[D], y: out f64[B, D], n: int) where n >= 0 and n <= T:
    for b in grid(B):
        state: f64[D] = 0
        for t in range(n):
            gate = sum(x[b, t, d] * w[d] for d in D)
            state = state * gate + x[b, t, :]
        y[b, :] = state
"""


@pytest.mark.parametrize(
    ("text", "entry", "loop", "inner"), [(WINDOWED, "windowed", "block", "D"), (RECURRENT, "recurrent", "t", "D")]
)
def test_loops_run_once_for_the_line_that_they_carry(text: str, entry: str, loop: str, inner: str) -> None:
    around = loops_around(shown(text, entry, "loops"), loop)
    assert around and all(inner not in names for names in around)


@pytest.mark.parametrize(("s", "d", "w"), [(1, 1, 1), (7, 3, 2), (70, 33, 20), (300, 5, 200)])
def test_windowed_attention(s: int, d: int, w: int) -> None:
    q, k, v = np.random.default_rng(s).standard_normal((3, s, d)).astype(np.float32)
    got = check_run(WINDOWED, q=q, k=k, v=v, w=w)["o"]
    scores: Any = q.astype(float) @ k.T
    i = np.arange(s)
    scores[(i[:, None] < i) | (i[:, None] - w > i)] = -np.inf
    weights = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(got, weights / weights.sum(1, keepdims=True) @ v, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_recurrences(n: int) -> None:
    x, w = np.random.default_rng(n).standard_normal((3, 5, 37)), np.linspace(-1, 1, 37) / 10
    check_run(RECURRENT, x=x, w=w, n=n)


# ---- rows without vectors ----------------------------------------------------------------------------------------

SHARES = """
kernel shares[M, N, D](a: f32[M, D], b: f32[M, N, D], c: out f32[M, N]):
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, e] * a[i, e] for e in D) * sum(b[i, j, f] * a[i, f] for f in D)
"""

COSINE = """
kernel cosine[M, N, D](a: f32[M, D], b: f32[N, D], c: out f32[M, N]):
    for i, j in grid(M, N):
        dot = sum(a[i, d] * b[j, d] for d in D)
        c[i, j] = dot / sqrt(sum(a[i, e] * a[i, e] for e in D) * sum(b[j, f] * b[j, f] for f in D))
"""


def test_what_a_row_shares_is_computed_once_per_row() -> None:
    loops = shown(SHARES, "shares", "loops")
    assert "vector=-" in shown(SHARES, "shares", "schedule")
    assert loops_around(loops, "e") and all("j" not in names for names in loops_around(loops, "e"))
    assert any("j" in names for names in loops_around(loops, "f"))


@pytest.mark.parametrize(("m", "n", "d"), [(0, 3, 2), (3, 0, 2), (1, 1, 1), (1, 300, 3), (300, 1, 3), (40, 50, 70)])
def test_cosines(m: int, n: int, d: int) -> None:
    rng = np.random.default_rng(m)
    check_run(COSINE, a=rng.standard_normal((m, d)).astype(np.float32), b=rng.standard_normal((n, d)).astype(np.float32))
    check_run(SHARES, a=rng.standard_normal((m, d)).astype(np.float32), b=rng.standard_normal((m, n, d)).astype(np.float32))


# ---- sums that some axes of a grid share -------------------------------------------------------------------------

COLUMNS = """
kernel columns[M, N](x: f32[M, N], y: out f32[M, N]):
    for i, j in grid(M, N):
        m = max(x[k, j] for k in M)
        y[i, j] = exp(x[i, j] - m) / sum(exp(x[k, j] - m) for k in M)
"""

FIRST = """
kernel first[M, N](x: f64[M, N], y: out f64[M, N]):
    for i, j in grid(M, N):
        y[i, j] = x[i, j] * sum(x[0, k] * x[k % M, j] for k in N)
"""

OWN = """
kernel own[M, N](x: inout f64[M, N]):
    for t in range(3):
        for i, j in grid(M, N):
            x[i, j] = 0.5 * x[i, j] + 1.0
        s = sum(x[i, j] for i in M for j in N)
        if s > 0.0:
            y: f64[M, N]
            for i, j in grid(M, N):
                y[i, j] = x[i, j] / sum(abs(x[k, j]) for k in M)
            for i, j in grid(M, N):
                x[i, j] = y[i, j]
"""


def test_columns_are_summed_once() -> None:
    """Not once per element: the loops over rows stand in grids of their own, each with one loop over what it sums."""
    loops = shown(COLUMNS, "columns", "loops")
    assert loops.count("parallel") == 3
    assert "contraction" in shown(COSINE, "cosine", "schedule")


@pytest.mark.parametrize(("m", "n"), [(0, 5), (5, 0), (1, 1), (3, 70), (70, 3), (300, 33)])
def test_sums_of_columns(m: int, n: int) -> None:
    x = np.random.default_rng(n).standard_normal((m, n))
    got = check_run(COLUMNS, x=x.astype(np.float32))["y"]
    if m:
        e = np.exp(x - x.max(0))
        np.testing.assert_allclose(got, e / e.sum(0), rtol=1e-4, atol=1e-7)
    check_run(OWN, x=x)
    check_run(FIRST, x=x)
