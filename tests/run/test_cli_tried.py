"""``lem check`` tries a kernel with other blocks once, until it changes; what is wrong is said every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lem.cli import trials
from tests.support.cli import lem

GOOD = """
kernel total[M, N](x: f32[M, N], y: out f32[M]):
    for i in grid(M):
        s: f32 = 0
        for j in tiles(N):
            s += sum(x[i, j], over=j)
        y[i] = s
"""
WRONG = GOOD.replace("sum(x[i, j], over=j)", "max(x[i, j], over=j)")
ENDLESS = GOOD.replace("        y[i] = s\n", "        while s > 9.0:\n            s = s - 1.0\n        y[i] = s\n")


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names of the kernels that were run, in order; with a cache of this test's own."""
    names: list[str] = []
    run = trials.run_trial

    def noted(*args: object) -> object:
        names.append(str(args[2]))
        return run(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(trials, "run_trial", noted)
    monkeypatch.setenv("LEM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return names


def test_a_kernel_is_tried_once_until_it_changes(tried: list[str]) -> None:
    Path("a.lem").write_text(GOOD, encoding="utf-8")
    assert lem("check", "a.lem").code == 0 and tried == ["total"]
    assert lem("check", "a.lem").code == 0 and tried == ["total"]
    Path("b.lem").write_text("# the same kernel\n" + GOOD, encoding="utf-8")
    assert lem("check", "b.lem").code == 0 and tried == ["total"]
    Path("a.lem").write_text(GOOD.replace("s += sum", "s += 2.0 * sum"), encoding="utf-8")
    assert lem("check", "a.lem").code == 0 and tried == ["total"] * 2


def test_what_is_wrong_is_said_every_time(tried: list[str]) -> None:
    Path("a.lem").write_text(WRONG, encoding="utf-8")
    for n in (1, 2):
        said = lem("check", "a.lem")
        assert said.code == 1 and "E0326" in said.err and tried == ["total"] * n


def test_what_cannot_be_tried_is_said_every_time(tried: list[str]) -> None:
    Path("a.lem").write_text(ENDLESS, encoding="utf-8")
    for _ in (1, 2):
        said = lem("check", "a.lem")
        assert said.code == 0 and "not tried with other blocks: it has a `while` loop" in said.out
    assert tried == ["total"]
