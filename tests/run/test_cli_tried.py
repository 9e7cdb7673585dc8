"""``lem check`` tries a kernel with other blocks, and its variants, once until they change; what is wrong is always said."""

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


# ---------------------------------------------------------------- variants
BASE = """
kernel total[T: float, N](x: T[N], n: int) -> s: T:
    s = T(n) * sum(x[i] for i in N)


"""
VARIANT = "kernel other[T: float, N](x: T[N], n: int) -> s: T:\n    s = sum(x[i] for i in N) * T(n)\n"


def checked(variant: str) -> tuple[int, str, str]:
    Path("a.lem").write_text(BASE + variant, encoding="utf-8")
    said = lem("check", "a.lem")
    return said.code, said.out, said.err


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize("when", ["", ", when=N == 40", ", when=N % 32 == 0 and n > 9", ", on=spu", ", on=cpu, when=N > 3"])
def test_a_variant_that_gives_another_result_is_reported(when: str) -> None:
    variant = f"@variant(of=total{when})\n{VARIANT}"
    assert checked(variant)[0] == 0
    assert "not tried" not in checked(variant)[1]
    for _ in (1, 2):
        code, _, err = checked(variant.replace("sum(x[i] for", "sum(abs(x[i]) for"))
        assert code == 1 and "error[E0506]" in err and "from that of `total` with N = " in err


@pytest.mark.usefixtures("tried")
def test_results_of_a_variant_may_differ_by_what_is_allowed() -> None:
    rough = f"@variant(of=total)\n{VARIANT}".replace("* T(n)", "* T(n) * T(1.01)")
    assert checked(rough)[0] == 1
    assert checked("@within(rel=2e-2)\n" + rough)[0] == 0


@pytest.mark.usefixtures("tried")
def test_a_variant_that_stops_is_reported() -> None:
    stops = f'@variant(of=total)\n{VARIANT}    assert N < 4, "too many"\n'
    code, _, err = checked(stops)
    assert code == 1 and "it stops where `total` does not with N = " in err and "too many" in err


@pytest.mark.usefixtures("tried")
def test_a_variant_that_cannot_be_tried_is_told() -> None:
    for _ in (1, 2):
        code, out, _ = checked(f"@variant(of=total, when=N > 10**6)\n{VARIANT}")
        assert code == 0 and "other: not tried against `total`: no made-up sizes" in out
