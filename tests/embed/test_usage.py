"""Lem used in Python where it has no meaning: errors of lem's own, at the line that is wrong, without frames of lem."""

from __future__ import annotations

import functools
import importlib
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lem
from lem.dims import M, N


@lem.kernel
def take(x: lem.f32[N], k: lem.i64[M], y: lem.out[lem.f32[M]]) -> None:
    for i in lem.grid(M):
        y[i] = x[k[i]]


@lem.kernel("[T: float, N](x: T[N], y: out T[N])")
def doubled(x, y):  # type: ignore[no-untyped-def]
    for i in grid(N):  # type: ignore[name-defined]  # noqa: F821
        y[i] = 2 * x[i]


def plain(x: Any) -> None: ...


def wrapped() -> Any:
    @functools.wraps(plain)
    def inner(x: Any) -> None: ...

    return inner


async def later(x: lem.f32[N]) -> None: ...


class Bound:
    def method(self, x: lem.f32[N]) -> None: ...


Any_ = Callable[..., Any]
kernel: Any = lem.kernel  # what type checkers refuse
MISUSES: dict[str, tuple[Any_, str]] = {
    "grid": (lambda: lem.grid(3), r"`grid\(...\)` has a meaning only in the body"),
    "where": (lambda: lem.where(True, 1, 2), r"`where\(...\)` has a meaning only"),
    "a bundle as a file": (lambda: lem.load("made.lemb"), "`made.lemb` is a bundle, which is loaded by `lem_runtime.load`"),
    "workers": (lambda: lem.compile(workers="2"), "`workers` is a number of processes, found str"),  # type: ignore[arg-type]
    "a test with parameters": (lambda: lem.test("t")(plain), "`plain` has parameters"),
    "a dimension": (lambda: sum(k for k in N), r"`for k in N` has a meaning only in the body"),
    "a part of one": (lambda: list(N[1:-1]), r"`N\[...\]` has a meaning only in the body"),
    "a dtype": (lambda: lem.f32(3), r"`f32\(...\)` has a meaning only"),
    "a class": (lambda: kernel(Bound), "`Bound` is a class: `@lem.kernel` stands above a function"),
    "a lambda": (lambda: kernel(lambda x: x), "a `lambda` has no body that lem reads"),
    "a method": (lambda: kernel(Bound.method), "`Bound.method` has a `self`: a kernel is no method"),
    "a staticmethod": (lambda: kernel(staticmethod(plain)), "`plain` is changed by another decorator first"),
    "a wrapper": (lambda: kernel(wrapped()), "`plain` is changed by another decorator first"),
    "async": (lambda: kernel(later), "`later` is `async`"),
    "a builtin": (lambda: kernel(print), "stands above a function written in Python, found builtin"),
    "a number": (lambda: lem.task(3), "`@lem.task` stands above a function written in Python, found int"),  # type: ignore[call-overload]
    "a kernel": (lambda: lem.fn(take), "`take` is a kernel of lem already"),
    "an option": (lambda: kernel(fast=True), "takes the signature as text, or nothing, found `fast=`"),
    "two texts": (lambda: kernel("x: f32[N]", "y"), "takes the signature as text, or nothing, found 2 arguments"),
    "a test's option": (lambda: lem.test(name="x"), "`@lem.test` takes its title as text"),  # type: ignore[call-overload]
    "text, then a class": (lambda: kernel("x: f32[N]")(Bound), "`Bound` is a class"),
    "on": (lambda: lem.on(lem.cpu)(plain), r"`@lem.on\(...\)` stands above `@lem.kernel`"),  # type: ignore[arg-type]
    "variant": (lambda: lem.variant(of=plain)(take), "`of` is a function under @lem.kernel"),  # type: ignore[arg-type]
    "a struct": (lambda: lem.struct(3), "`@lem.struct` stands above a class, found int"),  # type: ignore[type-var]
    "a stage": (lambda: take.inspect("tiles"), "no stage is called 'tiles'; there are ir, schedule"),
    "explain": (lambda: lem.explain(plain), "`lem.explain` takes a kernel, task or fn of lem, found function"),  # type: ignore[arg-type]
    "compile": (lambda: lem.compile(plain), "`lem.compile` takes kernels, tasks and modules, found function"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_an_error_of_lem_without_frames_of_lem(name: str) -> None:
    misuse, says = MISUSES[name]
    with pytest.raises(lem.UsageError, match=says) as caught:
        misuse()
    assert isinstance(caught.value, lem.Error) and isinstance(caught.value, TypeError)
    assert {f.filename for f in traceback.extract_tb(caught.value.__traceback__)} == {__file__}
    assert traceback.format_exception_only(caught.value)[0].startswith("lem.UsageError: ")


def test_errors_travel_between_processes() -> None:
    y = np.zeros(1, np.float32)
    for call, kind in (
        (lambda: take(y, np.array([7]), y.copy()), lem.Fault),
        (lambda: take(y, 3), lem.CallError),  # type: ignore[call-arg]
        (lambda: lem.load("nowhere.lem"), lem.CompileError),
        (lambda: lem.grid(3), lem.UsageError),
    ):
        with pytest.raises(kind) as caught:
            call()
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), str(again), again.code) == (kind, str(caught.value), caught.value.code)
        if isinstance(again, lem.Fault):
            assert (again.kernel, again.indices) == ("take", {"i": 0})


# ---------------------------------------------------------------- generic kernels
def test_a_generic_kernel_is_explained_before_its_first_call() -> None:
    report = str(lem.explain(doubled))
    assert report.startswith("kernel doubled[T: float, N](x: T[N], y: out T[N])\n")
    assert "code is made at the first call with each type" in report and "T  any float" in report
    with pytest.raises(lem.CallError, match=r'doubled\.inspect\("asm", dtypes=\{"T": "f32"\}\)') as caught:
        doubled.inspect("asm")
    assert caught.value.code == "E0325"
    assert "f64" in doubled.inspect("ir", dtypes={"T": "f64"})
    with pytest.raises(lem.CallError, match="`doubled` has no generic type `U`"):
        doubled.inspect("ir", dtypes={"U": "f64"})
    with pytest.raises(lem.CallError, match="`float32` is no type of lem"):
        doubled.inspect("ir", dtypes={"T": "float32"})
    with pytest.raises(lem.CompileError, match="`T` is a float, and this call makes it i32"):
        doubled.inspect("ir", dtypes={"T": "i32"})
    doubled(np.ones(2, np.float32), np.zeros(2, np.float32))
    assert "T  any float; so far f32" in str(lem.explain(doubled))
    assert "f32" in doubled.inspect("ir")


@lem.kernel("[T: number, N](x: T[N], y: out T[N])")
def halved(x, y):  # type: ignore[no-untyped-def]
    for i in grid(N):  # type: ignore[name-defined]  # noqa: F821
        y[i] = x[i] / 2


def test_errors_of_an_instance_say_what_the_generic_names_are() -> None:
    with pytest.raises(lem.CompileError, match="`/` on two integers") as caught:
        halved(np.ones(2, np.int32), np.ones(2, np.int32))
    assert "note: here `T` is i32" in str(caught.value)
    with pytest.raises(lem.CallError, match="`y` expects f32, which `x` says that `T` is, found f64") as call:
        halved(np.ones(2, np.float32), np.ones(2))
    assert "convert it: y.astype('float32')" in str(call.value)
    with pytest.raises(lem.CompileError, match="`T` is a float, and this call makes it i64"):
        doubled(np.ones(2, np.int64), np.ones(2, np.int64))


# ---------------------------------------------------------------- text
TEXT = """
@lem.struct
class Pair:
    a: lem.f32
    b: lem.f32

@lem.kernel
def summed(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        p = Pair(x[i], 1.0)
        y[i] = p.a + p.b
"""


def test_functions_without_text_say_what_to_do() -> None:
    names: dict[str, Any] = {"lem": lem, "N": N}
    exec(TEXT, names)
    with pytest.raises(lem.CompileError) as caught:
        names["summed"].check()
    assert caught.value.code == "E0610"
    assert "Python does not know the text of `summed` (line 7 of `<string>`)" in str(caught.value)
    assert "lem.load" in str(caught.value) and "linecache.cache[name]" in str(caught.value)


def test_text_that_linecache_knows_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import linecache

    names: dict[str, Any] = {"lem": lem, "N": N}
    lines = TEXT.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<made>", (len(TEXT), None, lines, "<made>"))
    exec(compile(TEXT, "<made>", "exec"), names)
    y = np.zeros(2, np.float32)
    names["summed"](np.ones(2, np.float32), y)
    assert y.tolist() == [2, 2]
    # Since Python 3.13.1 what stands in `python -c` and in prompts is kept by its code.
    known = {"summed", "<module>"}

    def lines_of(code: Any) -> list[str]:
        return lines if code.co_filename == "<asked>" and code.co_name in known else []

    monkeypatch.setattr(linecache, "_getlines_from_code", lines_of, raising=False)
    exec(compile(TEXT, "<asked>", "exec"), names)
    y[:] = 0
    names["summed"](np.ones(2, np.float32), y)
    assert y.tolist() == [2, 2]


MODULE = """{above}
import lem
from lem.dims import N

@lem.struct
class Step:
    by: lem.f32

@lem.kernel
def moved(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        s = Step({by})
        y[i] = x[i] + s.by
"""


def test_a_module_that_is_imported_again_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "changing.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path.write_text(MODULE.format(above="", by="1.0"))
    changing = importlib.import_module("changing")
    x, y = np.ones(1, np.float32), np.zeros(1, np.float32)
    changing.moved(x, y)
    assert y[0] == 2
    for n, above in ((2, "# a line more\n"), (30, ""), (4, "")):
        path.write_text(MODULE.format(above=above, by=f"{n}.0"))
        importlib.invalidate_caches()
        importlib.reload(changing)
        path.write_text("# saved once more, before the first call: what was imported counts\n")
        changing.moved(x, y)
        assert y[0] == 1 + n
    monkeypatch.delitem(sys.modules, "changing")


def test_doctests_hold_kernels(tmp_path: Path) -> None:
    text = [line for line in TEXT.replace("\n    ", "\n...     ").replace("\n@lem", "\n>>> @lem").splitlines() if line]
    shown = "\n".join(line if line.startswith((">>>", "...")) else f"... {line}" for line in text)
    path = tmp_path / "shown.py"
    path.write_text(
        f'"""\n>>> import lem, numpy as np\n>>> from lem.dims import N\n{shown}\n>>> y = np.zeros(2, np.float32)\n'
        '>>> summed(np.ones(2, np.float32), y)\n>>> y.tolist()\n[2.0, 2.0]\n"""\n'
    )
    done = subprocess.run([sys.executable, "-m", "doctest", str(path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


# ---------------------------------------------------------------- warnings
@lem.fn
def stopped(x: lem.f32) -> lem.f32:
    breakpoint()
    return x


@lem.kernel
def stops(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        if x[i] > 0.5:
            breakpoint()
        y[i] = stopped(x[i])


def test_compiled_code_warns_once_of_the_breakpoints_that_it_passes_by() -> None:
    x, y = np.ones(4, np.float32), np.zeros(4, np.float32)
    with pytest.warns(lem.LemWarning) as caught:
        stops(x, y)
    lines = {stops.__wrapped__.__code__.co_firstlineno + 4, stopped.__wrapped__.__code__.co_firstlineno + 2}  # type: ignore[attr-defined]
    assert {w.filename for w in caught} == {__file__} and {w.lineno for w in caught} == lines
    assert "`breakpoint()` in `stops`; it stops in calls under `with lem.interpret():`" in str(caught[0].message)
    stops(x, y)  # pytest makes errors of warnings
    stops(x[::2], y[::2])


def test_breakpoints_in_files_of_lem_are_warned_of_too(tmp_path: Path) -> None:
    (tmp_path / "inner.lem").write_text("fn f(x: f32) -> f32:\n    breakpoint()\n    return x\n")
    head = "import inner\n\nkernel k[N](x: f32[N], y: out f32[N]):\n    for i in grid(N):\n"
    (tmp_path / "outer.lem").write_text(f"{head}        y[i] = inner.f(x[i])\n")
    k = lem.load(tmp_path / "outer.lem").k
    with pytest.warns(lem.LemWarning, match="in `f`") as caught:
        k(np.ones(2, np.float32), np.zeros(2, np.float32))
    assert [(Path(w.filename).name, w.lineno) for w in caught] == [("inner.lem", 2)]


def test_warnings_of_the_compiler_are_told_with_their_line() -> None:
    @lem.kernel("x: f32[N], w: f32[R] -> y: f32[N]")
    def blur(x, w):  # type: ignore[no-untyped-def]
        for i in grid(N):  # type: ignore[name-defined]  # noqa: F821
            y[i] = sum(x[i + r] * w[r] for r in R)  # type: ignore[name-defined]  # noqa: F821

    with pytest.warns(lem.LemWarning, match="E0327") as caught:
        blur.check()
    assert (caught[0].filename, caught[0].lineno) == (__file__, blur.__wrapped__.__code__.co_firstlineno + 3)  # type: ignore[attr-defined]


# ---------------------------------------------------------------- arguments
@lem.kernel
def scaled(x: lem.f32[N], k: lem.f32, y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = k * x[i]


@lem.kernel
def narrowed(x: lem.bf16[N], y: lem.out[lem.bf16[N]]) -> None:
    for i in lem.grid(N):
        y[i] = x[i]


ONES = np.ones(3, np.float32)
WRONG: dict[str, tuple[Any_, str]] = {
    "a name that is nearly right": (
        lambda: scaled(ONES, 1.0, yy=ONES.copy()),
        r"no parameter `yy`[\s\S]*did you mean `y`\?",
    ),
    "a name that is nothing like one": (lambda: scaled(ONES, q=1.0), r"no parameter `q`[\s\S]*it takes x, k, y, N"),
    "a list": (lambda: scaled([1, 2], 1.0, ONES.copy()), r"found list[\s\S]*make one: `np.array\(x, 'float32'\)`"),
    "a list to write": (lambda: scaled(ONES, 1.0, [1, 2]), r"found list[\s\S]*the kernel writes it: give an array"),
    "a mask": (lambda: scaled(np.ma.masked_array(ONES), 1.0, ONES.copy()), r"masked array[\s\S]*x.filled\(0\), or x.data"),
    "numbers for bits": (
        lambda: narrowed(ONES, np.zeros(3, np.uint16)),
        r"x.astype\(ml_dtypes.bfloat16\) \(`ml_dtypes` is a package; uint16 arrays hold the bits\)",
    ),
    "an array of one": (lambda: scaled(ONES, np.array([1.0]), ONES.copy()), r"give the number in it: k.item\(\)"),
    "a size that is no whole number": (lambda: scaled(ONES, 1.0, ONES.copy(), N=3.0), r"`N` is a whole number, found 3.0"),
    "a size that is a bool": (lambda: scaled(ONES, 1.0, ONES.copy(), N=True), r"`N` is a whole number, found True"),
    "no size": (lambda: scaled(ONES, 1.0, ONES.copy(), N=None), r"`N` is a whole number, found None"),
    "a library's name": (lambda: scaled(ONES, 1.0, ONES.copy(), like="torch"), r"found 'torch'[\s\S]*write `like=torch`"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_say_what_to_do(name: str) -> None:
    call, says = WRONG[name]
    for _ in range(2):  # the second time a call that would be direct
        with pytest.raises(lem.CallError, match=says):
            call()
        scaled(ONES, 1.0, ONES.copy())


def test_a_name_that_lem_spells_in_another_way_is_told() -> None:
    with pytest.raises(AttributeError, match=r"an array of bools is `lem.bool_\[N\]`"):
        lem.bool  # noqa: B018  # type: ignore[attr-defined]


def test_a_number_is_also_an_array_of_no_axes() -> None:
    """Such as a result that is one number: what one kernel gives, the next one takes."""

    @lem.kernel("x: f32[N] -> s: f32")
    def total(x):  # type: ignore[no-untyped-def]
        s = sum(x[i] for i in N)  # noqa: F841

    y = ONES.copy()
    for _ in range(3):
        scaled(ONES, total(ONES), y)
        assert y.tolist() == [3, 3, 3]
    scaled(ONES, 2.0, y, N=np.array(3))


@pytest.mark.parametrize("size", [-1, 1 << 63, 10**30])
def test_a_size_that_no_array_has_is_refused(size: int) -> None:
    @lem.kernel("[N](a: f32) -> s: f32")
    def unused(a):  # type: ignore[no-untyped-def]
        s = a  # noqa: F841

    with pytest.raises(lem.CallError) as e:
        unused(1.0, N=size)
    assert e.value.code == "E0615"


def test_an_annotation_in_quotes_that_python_cannot_read_is_told_like_another() -> None:
    @lem.kernel
    def f(x: lem.f32[N], y: "out f32[N]") -> None:  # type: ignore[valid-type]  # noqa: F722
        for i in lem.grid(N):
            y[i] = x[i]

    with pytest.raises(lem.CompileError) as e:
        f(np.ones(3, np.float32), np.ones(3, np.float32))
    assert '`"out f32[N]"` is no type of lem' in str(e.value) and "give the signature as text" in str(e.value)
