"""Whole calls on the CPU: arrays in, results, faults, prints and times out; what does not fit is refused by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lem_runtime import KernelFault, Progress, Runner, RunResult, TimeUp
from lem_runtime.abi import layout
from lem_runtime.abi.artifact import Artifact, Site
from lem_runtime.abi.signature import CallError, DimRule, Param, Place, Scalar, Signature
from lem_runtime.binding import bind_call, facts_of, share_elements
from tests.support import kernels
from tests.support.kernels import SAXPY_SIGNATURE, artifact, entry_around
from tests.support.processes import started

ROOT = Path(__file__).parents[2]
PRINT, MARK = layout.TABLE_OFFSET["print"], layout.TABLE_OFFSET["mark"]


def run(code: Artifact, arrays: Mapping[str, Any], scalars: Mapping[str, Any] | None = None, **settings: Any) -> RunResult:
    return Runner(core=kernels.core()).run(code, arrays, scalars, **settings)


# --- results


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 5000])
def test_saxpy_writes_into_the_callers_array(n: int, threads: int) -> None:
    x, y = np.arange(n, dtype=np.float32), np.ones(n, dtype=np.float32)
    result = run(kernels.saxpy(), {"x": x, "y": y}, {"a": 2.0}, threads=threads)
    assert result.outputs["y"] is y
    np.testing.assert_array_equal(y, 2 * np.arange(n, dtype=np.float32) + 1)
    assert result.dims == {"N": n}


def test_strided_and_backward_views_are_passed_where_they_lie() -> None:
    x, y = np.arange(40, dtype=np.float32)[::-2], np.zeros((20, 3), dtype=np.float32)
    run(kernels.saxpy(), {"x": x, "y": y[:, 1]}, {"a": 1.0})
    np.testing.assert_array_equal(y[:, 1], x)
    assert not y[:, 0].any() and not y[:, 2].any()


def test_broadcast_input_has_stride_zero() -> None:
    y = np.zeros(100, dtype=np.float32)
    run(kernels.saxpy(), {"x": np.broadcast_to(np.float32(3), 100), "y": y}, {"a": 1.0})
    assert (y == 3).all()


# fill(N by name, v: i64) -> (y: i64[N], last: i64): slots v, y, N, stride, &last, N
FILL = """
define internal i32 @body(ptr %ctx, ptr %args, i64 %lo, i64 %hi) {
entry:
  %v = call i64 @slot(ptr %args, i64 0)
  %yi = call i64 @slot(ptr %args, i64 1)
  %ri = call i64 @slot(ptr %args, i64 4)
  %y = inttoptr i64 %yi to ptr
  %r = inttoptr i64 %ri to ptr
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %i1, %loop ]
  %p = getelementptr i64, ptr %y, i64 %i
  %s = add i64 %v, %i
  store i64 %s, ptr %p
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %hi
  br i1 %more, label %loop, label %last
last:
  %n = call i64 @slot(ptr %args, i64 5)
  %end = icmp eq i64 %hi, %n
  br i1 %end, label %write, label %done
write:
  store i64 %s, ptr %r
  br label %done
done:
  ret i32 0
}
"""


def _fill_signature(default: int | None = None) -> Signature:
    params = (
        Param("v", "i64", None, "read", default=default),
        Param("y", "i64", ("N",), "result"),
        Param("last", "i64", None, "result"),
    )
    return Signature("fill", "kernel", ("N",), params, (DimRule("N", "y"),))


def _fill(default: int | None = None) -> Artifact:
    return artifact(FILL + entry_around("body", 5), _fill_signature(default))


def test_results_are_allocated_and_scalars_read_back() -> None:
    result = run(_fill(), {}, {"v": 7}, dims={"N": 50})
    np.testing.assert_array_equal(result.outputs["y"], np.arange(7, 57))
    assert result.scalars == {"last": 56}


def test_default_values_are_used() -> None:
    assert run(_fill(default=-3), {}, {}, dims={"N": 2}).scalars == {"last": -2}


def test_results_of_several_runs_are_independent() -> None:
    one, two = run(_fill(), {}, {"v": 1}, dims={"N": 3}), run(_fill(), {}, {"v": 5}, dims={"N": 3})
    assert (one.outputs["y"].tolist(), two.outputs["y"].tolist()) == ([1, 2, 3], [5, 6, 7])


def test_several_python_threads_run_at_once() -> None:
    wrong: list[str] = []

    def work(seed: int) -> None:
        for n in range(40):
            x, y = np.full(999, seed, dtype=np.float32), np.full(999, n, dtype=np.float32)
            run(kernels.saxpy(), {"x": x, "y": y}, {"a": 3.0}, threads=3)
            if not (y == 3 * seed + n).all():
                wrong.append(f"{seed} {n}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    work(9)
    for t in threads:
        t.join(60)
    assert not wrong


# --- calls that do not fit


def _refused(code: str, arrays: Mapping[str, Any], scalars: Mapping[str, Any], **settings: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        bind_call(kernels.saxpy(), arrays, scalars, **settings)
    assert caught.value.code == code, caught.value
    return caught.value


def test_misfits_are_named() -> None:
    x, y = np.ones(4, np.float32), np.ones(4, np.float32)
    good = {"x": x, "y": y}
    error = _refused("E0607", {"x": x.astype(np.float64), "y": y}, {"a": 1.0})
    assert error.message == "`x` expects f32, found f64"
    assert error.help == "convert it: x.astype('float32')"
    _refused("E0607", {"x": [1, 2], "y": y}, {"a": 1.0})
    _refused("E0607", {"x": x.astype(">f4"), "y": y}, {"a": 1.0})
    _refused("E0607", {"x": x.astype(complex), "y": y}, {"a": 1.0})
    for strange in (x.astype(complex), x.astype("M8[s]"), x.astype("m8[h]"), np.array(["a", "b"]), np.array([b"a"])):
        advice = (_refused("E0607", {"x": strange, "y": y}, {"a": 1.0}).help or "").removeprefix("convert it: ")
        made = eval(advice.partition(" (")[0], {"np": np, "x": strange})
        assert made.dtype == np.float32
    _refused("E0607", good, {"a": True})
    _refused("E0607", good, {"a": "1"})
    _refused("E0607", {**good, "a": x}, {})
    _refused("E0607", {"x": x}, {"a": 1.0, "y": 3.0})
    _refused("E0608", {"x": x}, {"a": 1.0})
    _refused("E0608", good, {})
    _refused("E0609", {**good, "z": x}, {"a": 1.0})
    _refused("E0609", good, {"a": 1.0}, dims={"K": 3})
    _refused("E0606", {"x": x, "y": np.ones(5, np.float32)}, {"a": 1.0})
    _refused("E0606", {"x": x.reshape(2, 2), "y": y}, {"a": 1.0})


def test_read_only_output_is_refused() -> None:
    y = np.ones(4, np.float32)
    y.flags.writeable = False
    assert "read-only" in _refused("E0607", {"x": np.ones(4, np.float32), "y": y}, {"a": 1.0}).message


def test_unaligned_input_is_copied_and_noted_and_unaligned_output_refused() -> None:
    crooked = np.frombuffer(bytearray(17), dtype=np.uint8)[1:].view(np.float32)
    records = np.zeros(4, dtype=np.dtype([("a", "u1"), ("b", "<f4")]))["b"]
    for odd in (crooked, records):
        y = np.ones(4, np.float32)
        result = run(kernels.saxpy(), {"x": odd, "y": y}, {"a": 1.0})
        assert result.notes == ["`x` was copied: its elements are not aligned in memory"]
        _refused("E0607", {"x": y, "y": odd}, {"a": 1.0})


def test_shared_elements_are_refused_exactly() -> None:
    base = np.ones(20, np.float32)
    error = _refused("E0619", {"x": base[:10], "y": base[5:15]}, {"a": 1.0})
    assert "`y`" in error.message and "`x`" in error.message
    bind_call(kernels.saxpy(), {"x": base[::2], "y": base[1::2]}, {"a": 1.0})
    bind_call(kernels.saxpy(), {"x": base[:10], "y": base[10:]}, {"a": 1.0})
    table = np.ones((6, 6), np.float32)
    assert not share_elements(table[:3, :3], table[3:, 3:])
    assert share_elements(table[:, 2], table[2, :])


def test_output_whose_elements_coincide_is_refused() -> None:
    x = np.ones(4, np.float32)
    _refused("E0619", {"x": x, "y": np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (4,), (0,))}, {"a": 1.0})
    window = np.lib.stride_tricks.as_strided(np.ones(8, np.float32), (4, 4), (4, 4))
    table = Signature("t", "kernel", ("N",), (Param("y", "f32", ("N", "N"), "inout"),), (DimRule("N", "y"),))
    with pytest.raises(CallError, match="share memory"):
        bind_call(_named(table), {"y": window}, {})
    interleaved = np.lib.stride_tricks.as_strided(np.ones(40, np.float32), (5, 5), (12, 16))  # 3 * 4 = 4 * 3
    with pytest.raises(CallError, match="share memory"):
        bind_call(_named(table), {"y": interleaved}, {})
    nested = np.lib.stride_tricks.as_strided(np.ones(40, np.float32), (2, 2), (8, 12))  # 0 2 3 5: all different
    bind_call(_named(table), {"y": nested}, {})


def _named(sig: Signature, facts: str = "") -> Artifact:
    return Artifact(sig.name, "cpu", sig, "entry", b"", facts=facts)


def test_sizes_that_cannot_be_had_are_refused() -> None:
    for n, code in ((1 << 62, "E0615"), (1 << 50, "E0614")):
        with pytest.raises(CallError) as caught:
            bind_call(_fill(), {}, {"v": 1}, {"N": n})
        assert caught.value.code == code


def test_code_for_special_layouts_meets_no_others() -> None:
    sig = SAXPY_SIGNATURE
    x, y = np.ones(32, np.float32), np.ones(32, np.float32)
    special = _named(sig, "layouts(inner, inner) dims(m16)")
    bind_call(special, {"x": x, "y": y}, {"a": 1.0})
    with pytest.raises(CallError, match="contiguous"):
        bind_call(special, {"x": x[::2], "y": y[:16]}, {"a": 1.0})
    with pytest.raises(CallError, match="other sizes"):
        bind_call(special, {"x": x[:9], "y": y[:9]}, {"a": 1.0})
    assert str(facts_of(sig, {"x": x[::2], "y": y[:16]}, {"N": 16})) == "layouts(any, inner) dims(m16)"
    assert str(facts_of(sig, {"x": x, "y": y}, {"N": 31})) == "layouts(inner, inner)"


@pytest.mark.parametrize(
    ("dtype", "value", "word"),
    [
        ("bool", True, 1), ("i8", -1, 0xFF), ("u8", 255, 255), ("i16", -2, 0xFFFE), ("i64", -1, (1 << 64) - 1),
        ("u64", (1 << 64) - 1, (1 << 64) - 1), ("f32", 1.5, 0x3FC00000), ("f32", 2, 0x40000000), ("f16", 1.0, 0x3C00),
        ("bf16", 1.0, 0x3F80), ("bf16", 1.00390625, 0x3F80), ("bf16", 1.01171875, 0x3F82), ("bf16", 4e38, 0x7F80),
        ("f8e4m3", 448.0, 0x7E), ("f8e4m3", 1000.0, 0x7F), ("f8e4m3", -1.0, 0xB8), ("f8e5m2", 1e9, 0x7C),
        ("f32", 1e300, 0x7F800000), ("f64", 1.0, 0x3FF0000000000000), ("i32", np.int32(5), 5),
    ],
)  # fmt: skip
def test_scalars_lie_in_the_low_bytes(dtype: str, value: Scalar, word: int) -> None:
    sig = Signature("s", "kernel", (), (Param("v", dtype, None, "read"),), ())
    bound = bind_call(_named(sig), {}, {"v": value})
    assert int.from_bytes(bound.block.raw[:8], "little") == word


@pytest.mark.parametrize(("dtype", "value"), [("u8", 256), ("i8", -129), ("i32", 1.0), ("i32", True), ("bool", 1)])
def test_scalars_that_do_not_fit_are_refused(dtype: str, value: Scalar) -> None:
    sig = Signature("s", "kernel", (), (Param("v", dtype, None, "read"),), ())
    with pytest.raises(CallError) as caught:
        bind_call(_named(sig), {}, {"v": value})
    assert caught.value.code == "E0607"


# --- faults, prints, times

FAULTS = """
define internal i32 @body(ptr %ctx, ptr %args, i64 %lo, i64 %hi) {
entry:
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %i1, %next ]
  %r = urem i64 %i, 500
  %bad = icmp eq i64 %r, 321
  br i1 %bad, label %fail, label %next
next:
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %hi
  br i1 %more, label %loop, label %done
done:
  ret i32 0
fail:
  %st = call i32 @fault(ptr %ctx, i32 602, i32 0, i64 %i, i64 -5)
  ret i32 %st
}
"""
PLACE = Place("f.lem", 3, 5, 3, 9)


def _square(name: str) -> Signature:
    return Signature(name, "kernel", ("N", "M"), (), ())


def _in_square(code: str, text: str, kinds: tuple[str, ...]) -> Site:
    return Site(code, "square", text, PLACE, kinds, ("i", "j"), ((1, "N", 2), (0, "M", 1)))


@pytest.mark.parametrize("threads", [1, 4])
def test_fault_names_the_smallest_element(threads: int) -> None:
    site = _in_square("E0602", "`{0}` // 0", ("i64",))
    code = artifact(FAULTS + entry_around("body", 0, 8), _square("square"), (site,))
    for _ in range(10):
        with pytest.raises(KernelFault) as caught:
            run(code, {}, dims={"N": 2000, "M": 100}, threads=threads)
        fault = caught.value
        assert (fault.code, fault.values, fault.place, fault.kernel) == ("E0602", (-5,), PLACE, "square")
        assert fault.indices == {"i": 1 + 2 * 3, "j": 21}  # 321 = 3 * 100 + 21
        assert fault.message == "`-5` // 0 (in square[i=7, j=21])"


PRINTS = f"""
define internal i32 @body(ptr %ctx, ptr %args, i64 %lo, i64 %hi) {{
entry:
  %v = alloca [2 x i64]
  %w = getelementptr i64, ptr %v, i64 1
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %i1, %loop ]
  store i64 %i, ptr %v
  %x = sitofp i64 %i to double
  %half = fdiv double %x, 2.0
  store double %half, ptr %w
  %f = call ptr @table(ptr %ctx, i64 {PRINT})
  call void %f(ptr %ctx, i32 0, i64 %i, i32 2, ptr %v)
  %g = call ptr @table(ptr %ctx, i64 {MARK})
  call void %g(ptr %ctx, i32 0, i32 0)
  call void %g(ptr %ctx, i32 0, i32 1)
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %hi
  br i1 %more, label %loop, label %done
done:
  ret i32 0
}}
"""


def test_printed_lines_name_their_element_and_keep_its_order() -> None:
    site = _in_square("", "{0} {1:.2f}", ("i64", "f64"))
    code = artifact(PRINTS + entry_around("body", 0, 1), _square("square"), (site,))
    seen: list[tuple[list[str], int]] = []
    result = run(code, {}, dims={"N": 1200, "M": 2}, threads=3, on_prints=lambda lines, n: seen.append((lines, n)))
    assert result.n_printed == 1200 and len(result.prints) == 1000
    assert result.prints[:3] == ["square[i=1, j=0]: 0 0.00", "square[i=1, j=1]: 1 0.50", "square[i=3, j=0]: 2 1.00"]
    assert seen == [(result.prints, 1200)]
    (mark,) = result.marks
    assert (mark.label, mark.count) == ("square", 1200) and mark.total_ns > 0


def test_values_of_f32_are_shown_with_their_own_digits() -> None:
    from lem_runtime.faults import fill_text

    third = float(np.float32(1) / np.float32(3))
    assert fill_text("{0} {1}", [third, 0.1], ["f32", "f64"]) == "0.33333334 0.1"
    assert fill_text("{0:.3f}", [third], ["f32"]) == "0.333"
    assert fill_text("{0} {9}", [1], ["i64"]) == "{0} {9} [1]"


# --- endless loops, time, interruption

ENDLESS = f"""
define internal i32 @body(ptr %ctx, ptr %args, i64 %lo, i64 %hi) {{
entry:
  %p = getelementptr i8, ptr %ctx, i64 {layout.CTX_CANCEL}
  %c = load ptr, ptr %p
  br label %loop
loop:
  %v = load atomic i32, ptr %c monotonic, align 4
  %stop = icmp ne i32 %v, 0
  br i1 %stop, label %out, label %loop
out:
  ret i32 2
}}
"""


def endless() -> Artifact:
    return artifact(ENDLESS + entry_around("body", 0, 1), Signature("endless", "kernel", ("N",), (), ()))


@pytest.mark.parametrize("threads", [1, 2])
def test_time_limit_ends_an_endless_loop(threads: int) -> None:
    began = time.monotonic()
    with pytest.raises(TimeUp) as caught:
        run(endless(), {}, dims={"N": 9}, threads=threads, timeout_s=0.1)
    assert time.monotonic() - began < 10  # without a poll it would never end
    assert caught.value.code == "E0612" and "`endless`" in caught.value.message


def test_progress_is_told_while_it_runs() -> None:
    told: list[Progress] = []
    with pytest.raises(TimeUp):
        run(endless(), {}, dims={"N": 9}, threads=2, timeout_s=0.3, on_progress=told.append)
    assert told and told[-1].pieces == 9 and told[-1].pieces_begun == 2


def test_error_in_a_progress_function_stops_the_kernel() -> None:
    def bad(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(endless(), {}, dims={"N": 9}, on_progress=bad)


def test_ctrl_c_ends_an_endless_loop() -> None:
    program = """
import sys
from lem_runtime import Interrupted
from tests.unit.test_runner import endless, run, kernels
code = endless(); kernels.core()
print("ready", flush=True)
try:
    run(code, {}, dims={"N": 9}, threads=2)
except Interrupted as e:
    print(e.code, e.message)
    sys.exit(7)
"""
    with started([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
        assert (process.returncode, out) == (7, "E0613 `endless` was interrupted\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_runs_kernels() -> None:
    program = """
import os, warnings
import numpy as np
warnings.simplefilter("ignore")
from tests.unit.test_runner import kernels, run
def ok():
    y = np.zeros(5000, np.float32)
    run(kernels.saxpy(), {"x": np.ones(5000, np.float32), "y": y}, {"a": 2.0}, threads=3)
    return (y == 2).all()
assert ok()
child = os.fork()
if child == 0:
    os._exit(0 if ok() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and ok()
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


# --- the core's way into a process


def test_core_is_compiled_once_and_then_comes_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lem_runtime import native
    from tests.support.llvm import compile_ir

    monkeypatch.setenv("LEM_CACHE_DIR", str(tmp_path / "cache"))
    asked: list[str] = []

    def provider(text: str) -> bytes:
        asked.append(text)
        return compile_ir(text)

    for _ in range(2):
        monkeypatch.setattr(native, "_cores", {})
        native.core(provider)
        native.core(provider)
    assert len(asked) == 1
    monkeypatch.setattr(native, "_cores", {})
    monkeypatch.setattr(native, "_provider", [])
    monkeypatch.setattr(native, "_core_provider", [])
    native.default_core()
    monkeypatch.setenv("LEM_CACHE_DIR", str(tmp_path / "other"))
    monkeypatch.setattr(native, "_cores", {})
    with pytest.raises(native.NoCompiler):
        native.default_core()


def test_importing_the_package_loads_neither_numpy_nor_llvm() -> None:
    program = "import sys, lem_runtime; lem_runtime.detect(); print([m for m in ('numpy', 'llvmlite') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


def test_same_code_is_loaded_once() -> None:
    from lem_runtime.runner import load_entry

    assert load_entry(kernels.saxpy()).code is load_entry(kernels.saxpy()).code
