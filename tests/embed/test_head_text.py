# ruff: noqa: F821
# mypy: ignore-errors
"""Signatures as text: what is wrong in them is told where they stand in the Python file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lem

HERE = Path(__file__).read_text(encoding="utf-8").splitlines()


def unclosed():
    @lem.kernel("x: f32[N, y: out f32[N]")  # at `[N, y`
    def f(x, y):
        pass

    return f


def parts():
    @lem.kernel(
        "[T: float, N]"  # in a line of its own
        r"(x: T[N], y: out Q[N])"  # at `Q[N]`
    )
    def f(x, y):
        y[:] = x[:]

    return f


def lines():
    @lem.kernel(
        """
        x: f32[N],
        y: out f32[N] where M > 3
        """
    )
    def f(x, y):
        y[:] = x[:]

    return f


def tail():
    @lem.kernel("x: f32[N] -> y: f32[N + 1")  # at `[N + 1`
    def f(x):
        y[:] = x[:]

    return f


def head():
    @lem.kernel("x: f32[N], y: out f32[N]")  # at `x: f32[N]`
    def f(x, y):
        for i in grid(N):
            y[i] = x[i + 1]

    return f


def twice():
    @lem.kernel("x: f32[N], y: out f32[N]")
    def f(x):
        y[:] = x[:]

    return f


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a bracket": (unclosed, "[N, y"),
    "one of several parts": (parts, "Q[N]"),
    "one of several lines": (lines, "M > 3"),
    "a result": (tail, "[N + 1"),
    "names that differ": (twice, "f(x):"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_signature_is_told_in_its_file(name: str) -> None:
    make, where = WRONG[name]
    with pytest.raises(lem.CompileError) as e:
        make().check()
    span = e.value.diagnostics[0].span
    assert span.source.name == __file__
    assert span.source.text[span.start :].startswith(where)
    assert len(e.value.diagnostics) == 1


def test_what_a_body_does_wrong_shows_the_parameter() -> None:
    with pytest.raises(lem.CompileError, match="`i \\+ 1` reaches beyond `x`") as e:
        head().check()
    ((span, _),) = e.value.diagnostics[0].also
    assert span.text == "x: f32[N]" and HERE[span.source.line_of(span.start) - 1].endswith("# at `x: f32[N]`")


def test_wrong_arguments_are_told_at_the_parameter() -> None:
    @lem.kernel("x: f32[2 * N], n: int -> y: f32[N] where N > 1 and n > 0")
    def f(x, n):
        for i in grid(N):
            y[i] = x[2 * i]

    x = np.ones(4, np.float32)
    for args, where in (((np.ones(4), 1), "x: f32[2 * N]"), ((x[:2], 1), "N > 1"), ((x, 1.5), "n"), ((x, 0), "n > 0")):
        with pytest.raises(lem.CallError) as e:
            f(*args)
        span = e.value.diagnostics[0].span
        assert span.source.name == __file__
        assert span.text == where


def test_text_that_a_program_made_is_shown_by_itself() -> None:
    text = ", ".join(f"{name}: f3[N]" for name in "xy")

    @lem.kernel(text)
    def f(x, y):
        pass

    with pytest.raises(lem.CompileError, match=r"signature of f:1:13[\s\S]*`f3` is not a type"):
        f.check()


def test_parameters_without_a_type_are_told() -> None:
    @lem.kernel
    def f(x, y: lem.f32) -> None:
        pass

    with pytest.raises(lem.CompileError, match=r"`x` has no type, and this is a kernel[\s\S]*give the signature as text"):
        f.check()
    with pytest.raises(lem.CompileError):
        f(np.ones(3), 1.0)


def test_a_kernel_called_f_is_shown_behind_its_def() -> None:
    @lem.kernel
    def f(x: lem.f32) -> None:
        pass

    with pytest.raises(lem.CallError) as e:
        f(1.0, 2.0)
    span = e.value.diagnostics[0].span
    assert span.source.text[span.start :].startswith("f(x: lem.f32)")
