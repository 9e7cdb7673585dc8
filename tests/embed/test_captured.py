"""What a body may use from around it: functions and numbers of other modules, of Python and of lem."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lem
import lem.importer  # so that `.lem` files are found
from lem.dims import N
from lem_stdlib import nn

SOFT = """
import nn

RATE = 0.5

fn half(x: f32) -> f32:
    return RATE * nn.relu(x)

kernel copy[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = half(x[i])
"""

OTHER = """
import lem
from lem.dims import N

SCALE = 3.0

@lem.fn
def helper(x: lem.f32) -> lem.f32:
    return SCALE * x

@lem.fn
def outer(x: lem.f32) -> lem.f32:
    return helper(x) + 1.0

@lem.kernel
def copy(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = 10.0 * x[i]
"""

MAIN = """
import lem
import cap_other
import cap_soft
from cap_soft import half
from lem.dims import N

SCALE = 2.0

@lem.fn
def helper(x: lem.f32) -> lem.f32:
    return SCALE * x + 100.0

@lem.kernel
def both(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = cap_other.outer(x[i]) + helper(x[i]) + cap_other.SCALE

@lem.kernel
def from_lem(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = half(x[i]) + cap_soft.half(x[i]) + cap_soft.RATE

@lem.task
def pipeline(x: lem.f32[N], y: lem.inout[lem.f32[N]], z: lem.inout[lem.f32[N]]) -> None:
    cap_other.copy(x, y)
    cap_soft.copy(y, z)
"""


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "cap_soft.lem").write_text(SOFT, encoding="utf-8")
    (tmp_path / "cap_other.py").write_text(OTHER, encoding="utf-8")
    (tmp_path / "cap_main.py").write_text(MAIN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("cap_main")
    for name in ("cap_main", "cap_other", "cap_soft"):
        sys.modules.pop(name, None)


def run(kernel: Any, x: float = 2.0) -> float:
    y = np.zeros(1, np.float32)
    kernel(np.array([x], np.float32), y)
    return float(y[0])


def test_functions_of_other_modules_keep_their_own_names(main: ModuleType) -> None:
    # `helper` and `SCALE` mean one thing in each module
    assert run(main.both) == (3.0 * 2 + 1) + (2.0 * 2 + 100) + 3.0


def test_functions_and_numbers_of_lem_files(main: ModuleType) -> None:
    assert run(main.from_lem) == 1 + 1 + 0.5 and run(main.from_lem, -2.0) == 0.5
    assert main.half.kind == "fn" and main.cap_soft.RATE == 0.5


def test_tasks_call_kernels_of_other_modules(main: ModuleType) -> None:
    x, y, z = (np.ones(2, np.float32) for _ in range(3))
    main.pipeline(x, y, z)
    assert (y.tolist(), z.tolist()) == ([10, 10], [5, 5])


@pytest.mark.parametrize("step", [False, True])
def test_they_are_interpreted_as_well(main: ModuleType, step: bool) -> None:
    with lem.interpret(step=step):
        assert run(main.both) == 114.0 and run(main.from_lem) == 2.5


def test_a_changed_file_is_another_program(main: ModuleType, tmp_path: Path) -> None:
    """What is kept on disk belongs to the texts of all that is used."""
    assert run(main.from_lem) == 2.5 and run(main.both) == 114.0
    for name in ("cap_main", "cap_other", "cap_soft"):
        del sys.modules[name]
    (tmp_path / "cap_soft.lem").write_text(SOFT.replace("RATE = 0.5", "RATE = 0.25"), encoding="utf-8")
    (tmp_path / "cap_other.py").write_text(OTHER.replace("SCALE = 3.0", "SCALE = 30.0"), encoding="utf-8")
    importlib.invalidate_caches()
    again = importlib.import_module("cap_main")
    assert run(again.from_lem) == 0.5 + 0.5 + 0.25 and run(again.both) == 61 + 104 + 30


def test_what_cannot_be_captured_is_said_where_it_stands(main: ModuleType) -> None:
    main.cap_other.helper.decorated.function.__globals__["SCALE"] = "no number"
    with pytest.raises(lem.CompileError, match="`SCALE` is of Python's type str: a body captures numbers") as e:
        main.cap_other.copy.check()
        main.cap_other.outer.check()
    assert "cap_other.py:9" in str(e.value)


def plain(x: float) -> float:
    return x


@lem.kernel
def uses_plain(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = plain(x[i])


@lem.kernel
def uses_numpy(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = np.sinc(x[i])


@pytest.mark.parametrize(("kernel", "name"), [(uses_plain, "plain"), (uses_numpy, "np.sinc")])
def test_functions_of_python_are_no_part_of_a_body(kernel: lem.Function, name: str) -> None:
    with pytest.raises(lem.CompileError, match=f"`{name}` is a function of Python: a body captures numbers"):
        kernel.check()


@lem.kernel
def double(x: lem.inout[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        x[i] = 2.0 * x[i]


@lem.task
def spawns(x: lem.inout[lem.f32[N]]) -> None:
    spawn(double(x))  # noqa: F821
    spawn(double(x), priority=2, objective="energy")  # noqa: F821


@lem.task
def spawns_wrongly(x: lem.inout[lem.f32[N]]) -> None:
    spawn(double(x), when=3)  # noqa: F821


def test_spawn_is_spelled_as_a_call() -> None:
    x = np.ones(2, np.float32)
    spawns(x)
    assert x.tolist() == [4, 4]
    with pytest.raises(lem.CompileError, match="`spawn` takes one call, and says how to run it") as e:
        spawns_wrongly.check()
    assert e.value.code == "E0104"


@lem.kernel
def with_library(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = nn.relu(x[i])


def test_the_library_is_a_package_of_python() -> None:
    assert run(with_library, -2.0) == 0.0 and run(with_library, 2.0) == 2.0
    assert repr(nn).startswith("<lem module nn: ") and not hasattr(nn, "no_such_thing")


@pytest.mark.parametrize("value", [np.float32(2.5), np.float16(2.5), np.float64(2.5), np.int8(-3), np.uint64(7)])
def test_numbers_of_numpy_are_captured(value: Any) -> None:
    k = value

    @lem.kernel
    def f(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
        for i in lem.grid(N):
            y[i] = k * x[i]

    assert run(f) == 2.0 * float(value)
    assert lem.explain(f).constants == {"k": value.item()}


def test_numbers_of_numpy_are_part_of_the_program() -> None:
    """Of two closures with different ones, none takes the code of the other from the disk."""

    def scaled(k: Any) -> Any:
        @lem.kernel
        def f(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
            for i in lem.grid(N):
                y[i] = k * x[i]

        return f

    assert [run(scaled(np.float32(k))) for k in (2, 3)] == [4.0, 6.0]


class Settings:
    rate = 2.0


TABLE = np.ones(3)


@lem.kernel
def uses_class(x: lem.inout[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        x[i] = Settings.rate


@lem.kernel
def uses_array(x: lem.inout[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        x[i] = TABLE[i]


@pytest.mark.parametrize(
    ("kernel", "says"),
    [(uses_class, "`Settings` is a class of Python"), (uses_array, "`TABLE` is an array: .*give the array as an argument")],
)
def test_what_a_body_cannot_have_is_called_what_it_is(kernel: lem.Function, says: str) -> None:
    with pytest.raises(lem.CompileError, match=says):
        kernel.check()


def test_a_captured_number_that_no_type_holds_is_told() -> None:
    k = 10**400

    @lem.kernel
    def f(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
        for i in lem.grid(N):
            y[i] = k * x[i]

    with pytest.raises(lem.CompileError, match="`k` is not an f32"):
        f.check()


width = 3


def test_a_number_in_a_size_is_that_number() -> None:
    """And no dimension of that name, which would take any size."""

    @lem.kernel
    def f(x: lem.f32[N, width], y: lem.out[lem.f32[N, 2 * width]]) -> None:  # type: ignore[valid-type]
        for i, j in lem.grid(N, width):
            y[i, j] = x[i, j]
            y[i, j + width] = -x[i, j]

    y = np.zeros((1, 6), np.float32)
    f(np.ones((1, 3), np.float32), y)
    assert y.tolist() == [[1, 1, 1, -1, -1, -1]] and lem.explain(f).constants == {"width": 3}
    with pytest.raises(lem.CallError, match="axis 1 of `x` has size 4, not 3"):
        f(np.ones((1, 4), np.float32), y)


def test_a_number_in_a_size_is_part_of_the_program() -> None:
    def first(size: int) -> Any:
        names: dict[str, Any] = {"lem": lem, "size": size}
        text = "@lem.kernel\ndef f(x: lem.inout[lem.f32[size]]) -> None:\n    x[0] = 1.0\n"
        linecache.cache["<sized>"] = (len(text), None, text.splitlines(True), "<sized>")
        exec(compile(text, "<sized>", "exec"), names)
        return names["f"]

    for size in (2, 3):
        first(size)(np.ones(size, np.float32))
