"""What processor this is: levels, extra features, caches, and LEM_CPU that lowers the level."""

from __future__ import annotations

import time

import pytest

from lem_runtime import machine
from lem_runtime.machine import LEVELS, x86_level, x86_machine

V3 = frozenset().union(*(LEVELS[n] for n in ("x86-64", "x86-64-v2", "x86-64-v3")))
V4 = V3 | LEVELS["x86-64-v4"]
CACHES = (32768, 524288, 1 << 23)


@pytest.mark.parametrize(
    ("flags", "level"), [(frozenset(), 1), (LEVELS["x86-64-v2"], 2), (V3, 3), (V4, 4), (V4 - {"avx512vl"}, 3)]
)
def test_level_needs_all_of_its_features(flags: frozenset[str], level: int) -> None:
    assert x86_level(flags) == level


def test_level_needs_the_levels_below() -> None:
    assert x86_level(V4 - {"fma"}) == 2


def test_machine_of_a_level() -> None:
    m = x86_machine(V4, "t", "", CACHES, 8, "name")
    assert (m.cpu, m.vector_bits, m.n_vector_registers, m.has_fma) == ("x86-64-v4", 512, 32, True)
    m = x86_machine(V3, "t", "", CACHES, 8, "name")
    assert (m.cpu, m.vector_bits, m.n_vector_registers, m.has_fma) == ("x86-64-v3", 256, 16, True)
    assert m.features == ("+f16c", "+fma")


def test_wanted_level_lowers_and_never_raises() -> None:
    low = x86_machine(V4, "t", "x86-64-v2", CACHES, 8, "name")
    assert (low.cpu, low.vector_bits, low.has_fma, low.features) == ("x86-64-v2", 128, False, ())
    assert x86_machine(V3, "t", "x86-64-v4", CACHES, 8, "name").cpu == "x86-64-v3"
    assert x86_machine(V3, "t", "nonsense", CACHES, 8, "name").cpu == "x86-64-v3"


def test_this_machine_is_found_quickly_and_is_sane() -> None:
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        m = machine.detect_with("")
        best = min(best, time.perf_counter() - started)
    assert best < 0.02
    assert m.n_cores >= 1
    assert 4096 <= m.l1d_bytes <= m.l2_bytes <= m.l3_bytes
    assert m.vector_bits in (128, 256, 512)


def test_environment_lowers_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEM_CPU", "x86-64")
    machine.detect.cache_clear()
    try:
        found = machine.detect().cpu
    finally:
        monkeypatch.undo()
        machine.detect.cache_clear()
    assert found in ("x86-64", "generic")


def test_sizes_of_caches_are_read() -> None:
    assert [machine._bytes(t) for t in ("32K", "8M", "512", "", "odd")] == [32768, 8 << 20, 512, 0, 0]
