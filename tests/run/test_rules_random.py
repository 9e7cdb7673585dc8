"""LANGUAGE 37: random numbers depend on the seed and the counters alone; the same bits on every target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import philox
from tests.support.programs import check_code, check_error, check_right, run_right
from tests.support.rules import run_both
from tests.support.run import run_kernel
from tests.unit.test_philox import KNOWN

WORDS = """
import random

kernel words[N](c: u32[4, N], seed: u64) -> y: u32[4, N]:
    for i in grid(N):
        a, b, c2, d = random.words(seed, c[0, i], c[1, i], c[2, i], c[3, i])
        y[0, i] = a
        y[1, i] = b
        y[2, i] = c2
        y[3, i] = d
"""


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_rule_37_the_words_are_those_of_random123(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    for n in (1, 40):
        c = np.repeat(np.array(counter, np.uint32)[:, None], n, axis=1)
        y = run_both(WORDS, c=c, seed=key[0] | key[1] << 32)["y"]
        assert (y == np.array(expected, np.uint32)[:, None]).all()


KERNELS = """
kernel one[N](seed: int) -> y: {t}[N]:
    for i in grid(N):
        y[i] = random.{kind}({t}, seed, i)

kernel three[L, M, N](seed: i32) -> y: {t}[L, M, N]:
    for l, m, n in grid(L, M, N):
        y[l, m, n] = random.{kind}({t}, seed, l, m, n)
"""


@pytest.mark.parametrize("t", ["f16", "f32", "f64"])
def test_rule_37_uniform_numbers_are_those_of_the_reference(t: str) -> None:
    text = KERNELS.format(t=t, kind="uniform")
    for seed in (0, 7, -1, 2**40 + 3):
        assert np.array_equal(run_both(text, "one", seed=seed, N=1000, threads=2)["y"], philox.uniform(t, seed, (1000,)))
    assert np.array_equal(run_both(text, "three", seed=-5, L=3, M=4, N=50)["y"], philox.uniform(t, -5, (3, 4, 50)))


@pytest.mark.parametrize("t", ["f16", "f32", "f64"])
def test_rule_37_normal_numbers_are_those_of_box_and_muller(t: str) -> None:
    got = run_both(KERNELS.format(t=t, kind="normal"), "one", seed=11, N=40_000)["y"].astype(np.float64)
    w = philox.words([np.arange(40_000)] + [np.zeros(40_000)] * 3, (11, 0))
    if t == "f64":
        u, v = (((w[n] << np.uint64(32)) | w[n + 1]) >> np.uint64(11) for n in (0, 2))
        u, v = u * 2.0**-53, v * 2.0**-53
    else:
        u, v = (w[0] >> np.uint64(8)) * 2.0**-24, (w[2] >> np.uint64(8)) * 2.0**-24
    want = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v)
    assert np.allclose(got, want, rtol=0, atol={"f16": 2e-3, "f32": 3e-6, "f64": 1e-14}[t])
    assert abs(got.mean()) < 0.02 and abs(got.std() - 1) < 0.02 and np.isfinite(got).all()


def test_rule_37_bits_take_any_seed_and_up_to_four_counters() -> None:
    text = """
kernel bits[N](a: u64, b: i8) -> (y: u64[6, N]):
    for i in grid(N):
        y[0, i] = random.bits(a)
        y[1, i] = random.bits(a, i)
        y[2, i] = random.bits(a, i, 0)
        y[3, i] = random.bits(b, i, 1, 2, 3)
        y[4, i] = random.bits(7, i + 4294967296)
        y[5, i] = random.bits(7, i, 4294967296)
"""
    y = run_both(text, a=2**63 + 5, b=-3, N=33)["y"]
    i, zero = np.arange(33), np.zeros(33)

    def bits(seed: int, *counter: object) -> np.ndarray:
        w = philox.words([np.asarray(c) + zero for c in counter], (seed & 0xFFFFFFFF, seed >> 32))  # type: ignore[arg-type]
        return (w[0] << np.uint64(32)) | w[1]

    assert np.array_equal(y[0], bits(2**63 + 5, 0, 0, 0, 0))
    assert np.array_equal(y[1], bits(2**63 + 5, i, 0, 0, 0)) and np.array_equal(y[2], y[1])
    assert np.array_equal(y[3], bits(2**64 - 3, i, 1, 2, 3))
    assert np.array_equal(y[4], bits(7, i, 0, 1, 0)) and np.array_equal(y[5], bits(7, i, 0, 0, 1))


def test_rule_37_without_a_type_numbers_are_f32_and_a_type_may_be_generic() -> None:
    text = """
kernel noisy[T: float, N](x: T[N]) -> y: T[N]:
    for i in grid(N):
        y[i] = x[i] + random.uniform(T, 1, i)

kernel plain[N]() -> y: f32[N]:
    for i in grid(N):
        y[i] = random.uniform(1, i) if i > 2 else random.normal(1, i)
"""
    check_right(text)
    x = np.zeros(9)
    assert np.array_equal(run_both(text, "noisy", x=x)["y"], philox.uniform("f64", 1, (9,)))
    assert np.array_equal(run_kernel(text, "plain", N=9)["y"][3:], philox.uniform("f32", 1, (9,))[3:])


def test_rule_38_arrays_of_tests_have_the_numbers_of_kernels() -> None:
    run_right(
        KERNELS.format(t="f32", kind="normal").replace("seed: i32", "seed: int")
        + """
kernel six[A, B, C, D, E, F]() -> y: f32[A, B, C, D, E, F]:
    for a, b, c, d in grid(A, B, C, D):
        for e in range(E):
            for f in range(F):
                y[a, b, c, d, e, f] = random.uniform(f32, 4, (a * B + b) * C + c, d, e, f)

test "the same":
    check one(5, N=20) == random.normal(f32, 5, 20)
    check three(5, L=2, M=3, N=4) == random.normal(f32, 5, 2, 3, 4)
    check six(A=2, B=3, C=2, D=3, E=2, F=3) == random.uniform(f32, 4, 2, 3, 2, 3, 2, 3)
    check random.uniform(f32, 1) < 1.0
""",
        "test", (),
    )  # fmt: skip


def test_rule_37_wrong_calls_are_refused() -> None:
    check_error("""
kernel wrong[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = random.uniform(f32)  #~ E0307: takes a seed and at most 4 counters
        y[i] = random.uniform(f32, 1, i, i, i, i, i)  #~ E0307: takes a seed and at most 4 counters
        y[i] = random.uniform(bf16, 1, i)  #~ E0301: random numbers are f16, f32, f64
        y[i] = random.uniform(f32, x[i], i)  #~ E0301: a seed is an integer, and this is f32
        y[i] = random.normal(f32, 1, x[i])  #~ E0301: a counter is an integer, and this is f32
        y[i] = random.unifrom(f32, 1, i)  #~ E0208: `random` does not define `unifrom`
        y[i] = random.uniform(f64, 1, i)  #~ E0309

test "wrong":
    x = random.uniform(u8, 1, 4, 4)  #~ E0301: random numbers are f16, f32, f64, not u8
""")


def test_rule_35_the_module_may_be_imported_and_a_file_beside_hides_it(tmp_path: Path) -> None:
    check_right("""
from random import uniform, bits
import random as r

kernel k[N](y: out f32[N], z: out u64[N]):
    for i in grid(N):
        y[i] = uniform(f32, 1, i) + r.normal(1, i)
        z[i] = bits(1, i)
""")
    (tmp_path / "random.lem").write_text("fn uniform(x: f32) -> f32:\n    return x\n")
    mine = "import random\n\nkernel k[N](y: out f32[N]):\n    for i in grid(N):\n        y[i] = random.uniform(2.0)\n"
    check_right(mine, str(tmp_path / "mine.lem"))
    check_code(mine.replace("2.0", "f32, 1, i"), "E0307", str(tmp_path / "mine.lem"))
