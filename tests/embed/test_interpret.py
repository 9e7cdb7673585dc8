"""``lem.interpret()``: the same results without compiling, what is checked on the way, and stepping with a debugger."""

from __future__ import annotations

import contextlib
import io
import pdb
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

import lem
from lem.dims import D, K, M, N
from lem.embed import interpreting
from lem.ir.core import Module
from lem.ir.interpreter.frame import Report
from lem_runtime import KernelFault
from tests.support import ROOT

FACTOR = 2.0


@lem.fn
def relu(x: lem.f32) -> lem.f32:
    if x > 0.0:
        return x
    return 0.0 * x


@lem.kernel
def dense(x: lem.f32[M, K], w: lem.f32[K, N], y: lem.out[lem.f32[M, N]], bias: lem.f32 = 0.0) -> None:
    for i, j in lem.grid(M, N):
        s = sum(x[i, k] * w[k, j] for k in K)
        y[i, j] = relu(FACTOR * (s + bias))


@lem.kernel
def first_above(x: lem.f32[M, N], limit: lem.f32, at: lem.out[lem.i64[M]]) -> None:
    for i in lem.grid(M):
        at[i] = -1
        for j in range(N):
            if x[i, j] > limit:
                at[i] = j
                return


@lem.kernel
def soft(x: lem.f32[M, N], y: lem.out[lem.f32[M, N]]) -> None:
    t: lem.f32[M]
    for i in lem.grid(M):
        m: lem.f32 = -1000.0
        for j in lem.tiles(N, 3):
            m = max(m, max(x[i, j], over=j))
        t[i] = m
    for i in lem.grid(M):
        y[i, :] = exp(x[i, :] - t[i])


@lem.kernel
def count(x: lem.u8[N], h: lem.reduce_add[lem.i64[256]]) -> None:
    for i in lem.grid(N):
        h[x[i]] += 1


@lem.task
def twice(x: lem.f32[M, N], y: lem.out[lem.f32[M, N]]) -> None:
    t: lem.f32[M, N]
    soft(x, t)
    soft(t, y)


@lem.kernel
def positive(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    t: lem.f32[N]
    for i in lem.grid(N):
        if x[i] > 0.0:
            t[i] = x[i]
    for i in lem.grid(N):
        y[i] = t[i]


@lem.kernel
def take(x: lem.f32[N], k: lem.i64[M], y: lem.out[lem.f32[M]]) -> None:
    for i in lem.grid(M):
        print(f"x {k[i]}")
        y[i] = x[k[i]]


@lem.kernel
def total(x: lem.f32[N]) -> Annotated[lem.f64, "s"]:
    s = 0.0
    for i in range(N):
        s += lem.f64(x[i])


def f4(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


CALLS = [
    (dense, lambda: (f4(3, 4), f4(4, 2), np.zeros((3, 2), np.float32), 0.5)),
    (first_above, lambda: (f4(5, 4), 0.5, np.zeros(5, np.int64))),
    (soft, lambda: (f4(2, 7), np.zeros((2, 7), np.float32))),
    (count, lambda: (np.array([1, 1, 7], np.uint8), np.ones(256, np.int64))),
    (twice, lambda: (f4(2, 4), np.zeros((2, 4), np.float32))),
]


@pytest.mark.parametrize("step", [False, True], ids=["whole", "stepped"])
@pytest.mark.parametrize(("function", "make"), CALLS, ids=[f.__name__ for f, _ in CALLS])
def test_interpreted_calls_give_what_compiled_calls_give(function: lem.Function, make: Any, step: bool) -> None:
    compiled, interpreted = make(), make()
    function(*compiled)
    with lem.interpret(step=step):
        function(*interpreted)
    for a, b in zip(compiled, interpreted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("step", [False, True], ids=["whole", "stepped"])
def test_results_and_direct_calls_are_interpreted_too(step: bool) -> None:
    x = np.array([1.5, 2.5], np.float32)
    assert total(x) == total(x) == 4.0
    made = total.specializations
    with lem.interpret(step=step):
        assert total(x) == 4.0
    assert total.specializations == made and total(x) == 4.0


def test_nothing_is_compiled_and_it_decorates() -> None:
    @lem.kernel
    def copy(x: lem.f32[D], y: lem.out[lem.f32[D]]) -> None:
        for i in lem.grid(D):
            y[i] = x[i]

    @lem.interpret()
    def run(x: Any) -> Any:
        y = np.zeros_like(x)
        copy(x, y)
        return y

    assert run(f4(3)).tolist() == f4(3).tolist() and not copy.specializations


@pytest.mark.parametrize("step", [False, True], ids=["whole", "stepped"])
def test_reads_of_what_nobody_wrote_are_raised(step: bool) -> None:
    with lem.interpret(step=step), pytest.raises(lem.Fault, match=r"`t\[1\]` is read before anything writes it") as e:
        positive(np.array([1, -1], np.float32), np.zeros(2, np.float32))
    assert (e.value.code, e.value.indices) == ("E0628", {"i": 1}) and "y[i] = t[i]" in str(e.value)


def test_elements_that_meet_are_named() -> None:
    module = take.engine.compiler.program.ir
    with pytest.raises(KernelFault, match=r"take and take meet at `y\[5\]`|take\[.*meet at `y\[5\]`") as e:
        interpreting._raise_report(Module(module.functions), Report("race", "take", "y", (5,), ((0,), (2,))))
    assert e.value.code == "E0629"


@pytest.mark.parametrize("step", [False, True], ids=["whole", "stepped"])
def test_faults_and_prints_name_the_element(step: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with lem.interpret(step=step), pytest.raises(lem.Fault, match="index 5 is outside axis 0 of `x`") as e:
        take(f4(3), np.array([0, 5]), np.zeros(2, np.float32))
    assert (e.value.code, e.value.indices) == ("E0601", {"i": 1})
    with lem.interpret(step=step):
        take(f4(3), np.array([0, 2]), np.zeros(2, np.float32))
    assert capsys.readouterr().out.endswith("take[i=0]: x 0\ntake[i=1]: x 2\n")


@pytest.mark.parametrize("way", [contextlib.nullcontext, lem.interpret, lambda: lem.interpret(step=True)])
def test_what_was_printed_before_a_fault_is_shown(way: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with way(), pytest.raises(lem.Fault):
        take(f4(3), np.array([0, 2, 5, 0]), np.zeros(4, np.float32))
    assert capsys.readouterr().out == "".join(f"take[i={i}]: x {k}\n" for i, k in enumerate((0, 2, 5)))


def test_wrong_arguments_are_refused_in_the_same_words() -> None:
    x, y = f4(2, 3), np.zeros((2, 3), np.float32)
    with lem.interpret(), pytest.raises(lem.CallError, match="shares elements"):
        soft(x, x)
    y.flags.writeable = False
    with lem.interpret(), pytest.raises(lem.CallError, match="read-only"):
        soft(x, y)


# ---------------------------------------------------------------- stepping
PROGRAM = """
import numpy as np
import lem
from lem.dims import M, N

LIMIT = 1.0

@lem.fn
def half(x: lem.f32) -> lem.f32:
    return 0.5 * x

@lem.kernel
def f(x: lem.f32[M, N], y: lem.out[lem.f32[M]]) -> None:
    for i in lem.grid(M):
        s = sum(x[i, j] for j in N)
        if s > LIMIT:
            breakpoint()
        t = half(s)
        y[i] = t

x, y = np.arange(6, dtype=np.float32).reshape(3, 2), np.zeros(3, np.float32)
with lem.interpret():
    f(x, y)
print(y)
f(x, y)
print(y)
"""


def debugged(tmp_path: Path, program: str, commands: str) -> str:
    """What a person sees who types these commands into Python's debugger."""
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], input=commands, capture_output=True, text=True, cwd=ROOT, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_breakpoint_stops_at_the_element_and_shows_its_values(tmp_path: Path) -> None:
    seen = debugged(tmp_path, PROGRAM, "p i, s, x[i], LIMIT\nn\np t\nc\np i\nc\n")
    assert "program.py(18)f()\n-> t = half(s)\n(Pdb) (1, np.float32(5.0), array([2., 3.], dtype=float32), 1.0)" in seen
    assert "program.py(19)f()\n-> y[i] = t\n(Pdb) np.float32(2.5)" in seen
    assert "(Pdb) 2\n" in seen  # the next element that stops
    assert seen.endswith("[0.5 2.5 4.5]\n[0.5 2.5 4.5]\n")  # compiled code does not stop


def test_a_step_enters_an_fn_and_never_lem(tmp_path: Path) -> None:
    seen = debugged(tmp_path, PROGRAM, "s\ns\np x\nw\nn\nn\nn\nn\nc\nc\n")
    assert "--Call--\n> " in seen and "program.py(9)half()\n-> def half" in seen and "(Pdb) np.float32(2.5)" not in seen
    assert "(10)half()\n-> return 0.5 * x\n(Pdb) np.float32(5.0)\n" in seen
    assert "embed" not in seen and "interpreter" not in seen


def test_what_a_person_assigns_is_calculated_with(tmp_path: Path) -> None:
    seen = debugged(tmp_path, PROGRAM, "!s = 100\nc\nc\n")
    assert seen.endswith("[ 0.5 50.   4.5]\n[0.5 2.5 4.5]\n")


def test_a_line_of_a_lem_file_is_a_line(tmp_path: Path) -> None:
    text = "kernel f[N](x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        breakpoint()\n        y[i] = x[i]\n"
    (tmp_path / "soft.lem").write_text(text, encoding="utf-8")
    program = f"""
import lem, numpy as np
soft = lem.load({str(tmp_path / "soft.lem")!r})
with lem.interpret():
    soft.f(np.ones(1, np.float32), np.zeros(1, np.float32))
"""
    seen = debugged(tmp_path, program, "p i\nc\n")
    assert "soft.lem(4)f()\n-> y[i] = x[i]\n(Pdb) 0\n" in seen


def test_a_debuggers_own_breakpoint_stops_in_a_kernel() -> None:
    out = io.StringIO()
    line = relu.decorated.function.__code__.co_firstlineno + 2 if relu.decorated else 0
    debugger = pdb.Pdb(stdin=io.StringIO("c\np x\nc\n"), stdout=out, nosigint=True)
    debugger.set_break(__file__, line)

    def call() -> None:
        with lem.interpret():
            dense(f4(1, 2), f4(2, 1), np.zeros((1, 1), np.float32))

    before = sys.gettrace()
    try:
        debugger.runcall(call)
    finally:
        debugger.clear_all_breaks()
        sys.settrace(before)
    assert "-> if x > 0.0:" in out.getvalue() and "np.float32(" in out.getvalue()


def test_the_users_own_hook_is_called_in_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: seen.append(dict(sys._getframe(1).f_locals)))

    @lem.kernel
    def f(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
        for i in lem.grid(N):
            s = x[i]
            breakpoint()
            y[i] = s

    with lem.interpret():
        f(np.array([3, 4], np.float32), np.zeros(2, np.float32))
    assert [(v["i"], float(v["s"])) for v in seen] == [(0, 3.0), (1, 4.0)]


def test_loops_step_by_numbers_of_the_program() -> None:
    @lem.kernel
    def marked(y: lem.inout[lem.i64[N]], first: int, step: int) -> None:
        for j in range(first * first, N, step):
            y[j] += 1

    expected = np.zeros(20, np.int64)
    expected[9::3] = 1
    for way in (contextlib.nullcontext(), lem.interpret(), lem.interpret(step=True)):
        with way:
            y = np.zeros(20, np.int64)
            marked(y, 3, 3)
            assert np.array_equal(y, expected)
            with pytest.raises(lem.Fault, match="the step is -2"):
                marked(y, 3, -2)


@lem.kernel
def summed(x: lem.f32[N]) -> Annotated[lem.f32, "s"]:
    s = sum(x[i] for i in N)


@lem.kernel
def doubled(x: lem.f32[N]) -> Annotated[lem.f32[N], "y"]:
    for i in lem.grid(N):
        y[i] = 2 * x[i]


@lem.task
def calls(x: lem.f32[N]) -> Annotated[lem.f32, "s"]:
    s = 1
    s += summed(doubled(x)) + summed(x)


def test_calls_in_expressions_step_too() -> None:
    for way in (contextlib.nullcontext(), lem.interpret(), lem.interpret(step=True)):
        with way:
            assert calls(np.array([1, 2], np.float32)) == 10


@pytest.mark.filterwarnings("error")
def test_a_number_that_is_too_large_is_inf_without_a_warning() -> None:
    @lem.kernel
    def f(y: lem.out[lem.f16[1]], a: lem.f16) -> None:
        y[0] = a

    y = np.zeros(1, np.float16)
    with lem.interpret():
        f(y, 1e6)
    assert y[0] == np.inf
