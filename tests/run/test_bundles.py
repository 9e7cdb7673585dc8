"""Programs compiled ahead of time: made by the command, run by the command and by Python without a compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lem_runtime import BundleError, CallError, KernelFault, load
from lem_runtime.abi import bundle as format
from lem_runtime.machine import detect, named_machine
from tests.support.bundles import PROGRAM, bundle
from tests.support.cli import Said, environment, lem

_X = np.arange(4, dtype=np.float32)
_IDX = np.array([3, 2, 1, 0], np.int32)
is_x86 = detect().triple.startswith("x86_64")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", _X)
    np.save(tmp_path / "idx.npy", _IDX)
    np.save(tmp_path / "wrong.npy", np.array([3, 9, 1, 0], np.int32))
    (tmp_path / "p.lemb").write_bytes(bundle().read_bytes())
    return tmp_path


# ---------------------------------------------------------------- making
def test_same_program_gives_the_same_bytes_in_any_folder(tmp_path: Path) -> None:
    (tmp_path / "program.lem").write_text(PROGRAM, encoding="utf-8")
    assert lem("build", tmp_path / "program.lem", "--cpu", "baseline,host", "-o", tmp_path / "again.lemb").code == 0
    assert (tmp_path / "again.lemb").read_bytes() == bundle().read_bytes()


def test_build_says_what_it_made(tmp_path: Path) -> None:
    (tmp_path / "p.lem").write_text(PROGRAM, encoding="utf-8")
    said = lem("build", "p.lem", "--emit", "bundle", cwd=tmp_path)
    assert said.code == 0 and "`axpy`, `pick`, `transpose`, `main` for " in said.out
    assert list(load(tmp_path / "p.lemb")) == ["axpy", "pick", "transpose", "main"]
    cpus = {s.about["cpu"] for s in format.decode((tmp_path / "p.lemb").read_bytes()).of_kind("code", "cpu")}
    assert cpus == ({"x86-64-v2", "x86-64-v3", detect().cpu} if is_x86 else {"generic"})


def test_one_entry_and_its_processors_are_chosen() -> None:
    found = format.decode(bundle("x86-64-v3,x86-64-v4,aarch64", ":pick").read_bytes())
    assert list(format.signatures_of(found)) == ["pick"]
    assert [s.about["cpu"] for s in found.of_kind("code", "cpu")] == ["x86-64-v3"] * 2 + ["x86-64-v4"] * 2 + ["generic"] * 2
    natives = found.of_kind("native", "cpu")
    assert {s.about["triple"].partition("-")[0] for s in natives} == {"x86_64", "aarch64"}


def test_named_machines_are_the_same_everywhere() -> None:
    v3 = named_machine("x86-64-v3")
    assert v3 is not None and (v3.cpu, v3.features, v3.vector_bits) == ("x86-64-v3", (), 256)
    assert named_machine("x86-64-v9") is None and named_machine("host") is detect()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--cpu", "x86-64-v5"], "--cpu does not know `x86-64-v5`"),
        (["--cpu", ","], "--cpu names no processor"),
        (["--any-layout"], "a bundle has code for any strides"),
        (["--dtype", "T=f32"], "no kernel of `p.lem` has a type parameter `T`"),
        (["--emit", "bundle,ir"], "cannot be made together with ir"),
    ],
)
def test_what_makes_no_sense_is_refused(args: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "p.lem").write_text(PROGRAM, encoding="utf-8")
    said = lem("build", "p.lem", "-o", "p.lemb", *args, cwd=tmp_path)
    assert said.code == 2 and says in said.err and not (tmp_path / "p.lemb").exists()


def test_cpu_is_for_bundles(tmp_path: Path) -> None:
    (tmp_path / "p.lem").write_text(PROGRAM, encoding="utf-8")
    assert "E0620" in lem("build", "p.lem:pick", "--emit", "ir", "--cpu", "host", cwd=tmp_path).err


def test_generic_kernels_need_their_types(tmp_path: Path) -> None:
    text = "kernel copy[T: number, N](x: T[N]) -> y: T[N]:\n    for i in grid(N):\n        y[i] = x[i]\n"
    (tmp_path / "g.lem").write_text(text + PROGRAM, encoding="utf-8")
    said = lem("build", "g.lem", "-o", "g.lemb", cwd=tmp_path)
    assert said.code == 0 and "`copy` is generic over `T`, so it is left out" in said.err
    assert "E0325" in lem("build", "g.lem:copy", "-o", "g.lemb", cwd=tmp_path).err
    assert lem("build", "g.lem", "--dtype", "T=i16", "-o", "g.lemb", cwd=tmp_path).code == 0
    assert load(tmp_path / "g.lemb").copy(np.array([1, 2], np.int16)).tolist() == [1, 2]


# ---------------------------------------------------------------- lem run
def ran(files: Path, *args: str) -> Said:
    return lem("run", *args, cwd=files)


def test_run_takes_a_bundle_as_a_program(files: Path) -> None:
    (files / "p.lem").write_text(PROGRAM, encoding="utf-8")
    given = ("x=x.npy", "idx=idx.npy")
    assert ran(files, "p.lemb", *given) == ran(files, "p.lem", *given)
    said = ran(files, "p.lemb:pick", *given, "-o", "y.npy")
    assert said.code == 0 and np.load(files / "y.npy").tolist() == [3, 2, 1, 0]


def test_fault_in_a_bundle_says_where(files: Path) -> None:
    said = ran(files, "p.lemb:pick", "x=x.npy", "idx=wrong.npy")
    assert said.code == 3 and "error[E0601]: index out of range: index 9 is outside axis 0 of `x`" in said.err
    assert "(in pick[i=1])" in said.err and "at program.lem, line 8, column 18" in said.err


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("p.lemb:pik", "E0618", "did you mean `pick`?"),
        ("none.lemb", "E0610", "no such file"),
        ("cut.lemb", "E0625", "cut short"),
    ],
)
def test_bundle_that_cannot_be_used_is_reported(files: Path, what: str, code: str, says: str) -> None:
    (files / "cut.lemb").write_bytes(bundle().read_bytes()[:-5])
    said = ran(files, what)
    assert said.code == 2 and code in said.err and says in said.err


def test_run_loads_no_compiler(files: Path) -> None:
    program = "import sys\nfrom lem.cli import main\nassert main(sys.argv[1:]) == 0\n"
    program += "assert not {'llvmlite', 'lark', 'lem.pipeline', 'lem.ir', 'lem.syntax'} & set(sys.modules)\n"
    command = [sys.executable, "-c", program, "run", "p.lemb", "x=x.npy", "idx=idx.npy"]
    env = environment(LEM_CACHE_DIR=str(files / "new"))
    done = subprocess.run(command, cwd=files, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- lem_runtime.load
_ALONE = """
import os
import sys
import numpy as np
import lem_runtime

m = lem_runtime.load("p.lemb")
x, y = np.arange(4, dtype=np.float32), np.ones(4, np.float32)
for n in range(1, 4):
    assert m.axpy(x, y, 0.5) is None
    assert np.array_equal(y, 1 + 0.5 * n * x)
assert m.axpy._direct is not None or lem_runtime.call.cpython.known() is None  # machine code calls machine code
got, last = m.main(x, np.array([3, 2, 1, 0], np.int32))
assert np.array_equal(got, x[::-1] + 3 * x) and last == 9
a = np.arange(12.0).reshape(3, 4)
assert np.array_equal(m.transpose(a), a.T)
assert np.array_equal(m.transpose(a[:, ::2]), a[:, ::2].T)  # strides that the special code does not take
assert not {"lem", "llvmlite", "lark", "rich"} & {name.partition(".")[0] for name in sys.modules}
child = os.fork()
if child == 0:  # after its first call there, the child goes straight to the code again
    m.axpy(x, y, 0.5)
    run, lem_runtime.bundle.run = lem_runtime.bundle.run, None
    m.axpy(x, y, 0.5)
    os._exit(0 if np.array_equal(y, 1 + 2.5 * x) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_python_runs_a_bundle_without_the_compiler(files: Path) -> None:
    env = environment(LEM_CACHE_DIR=str(files / "new"))
    done = subprocess.run([sys.executable, "-c", _ALONE], cwd=files, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "N is 4\n"


def test_functions_of_a_module_are_found_by_name() -> None:
    m = load(bundle())
    assert list(m) == ["axpy", "pick", "transpose", "main"] and len(m) == 4 and "pick" in m
    assert m["pick"] is m.pick and "pick" in dir(m) and m.pick.signature.dims == ("M", "N")
    with pytest.raises(AttributeError, match="has no `pik`; it has axpy, pick"):
        m.pik  # noqa: B018
    with pytest.raises(KeyError):
        m["pik"]


def test_errors_of_a_call_have_code_and_place() -> None:
    m = load(bundle())
    with pytest.raises(KernelFault, match="index 9 is outside axis 0 of `x`, which has size 4") as fault:
        m.pick(_X, np.array([3, 9], np.int32))
    assert fault.value.indices == {"i": 1} and fault.value.__notes__ == ["error[E0601] at program.lem:8:18"]
    with pytest.raises(CallError, match="`idx` expects i32, found f32") as call:
        m.pick(_X, _X)
    assert call.value.__notes__[0].startswith("error[E0607] at program.lem:6")
    with pytest.raises(CallError, match="takes 2 arguments, found 3"):
        m.pick(_X, _IDX, 3)


def test_arrays_of_other_libraries_are_taken_where_they_lie() -> None:
    class Foreign:
        def __init__(self, array: np.ndarray) -> None:
            self.array = array

        def __dlpack__(self, **more: object) -> object:
            return self.array.__dlpack__(**more)

        def __dlpack_device__(self) -> object:
            return self.array.__dlpack_device__()

    y = np.ones(4, np.float32)
    load(bundle()).axpy(Foreign(_X), Foreign(y), a=1.0)
    assert y.tolist() == [1, 2, 3, 4]


_BEST = "import lem_runtime; print(lem_runtime.load('p.lemb'))"


@pytest.mark.skipif(not is_x86, reason="levels of x86-64")
@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_best_code_that_the_machine_runs_is_taken(level: str, tmp_path: Path) -> None:
    best = min(level, detect().cpu)
    (tmp_path / "p.lemb").write_bytes(bundle("x86-64-v4,x86-64,x86-64-v3,x86-64-v2,aarch64", ":pick").read_bytes())
    env = environment(LEM_CPU=level)
    done = subprocess.run([sys.executable, "-c", _BEST], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert f"({best})" in done.stdout, done.stderr


@pytest.mark.skipif(not is_x86, reason="levels of x86-64")
def test_other_machines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="E0627.*code for aarch64 linux .generic.; this machine is x86_64 linux"):
        load(bundle("aarch64", ":pick"))
    (tmp_path / "p.lemb").write_bytes(bundle("x86-64-v3", ":pick").read_bytes())
    command = [sys.executable, "-c", _BEST]
    env = environment(LEM_CPU="x86-64-v2")
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert "code for x86_64 linux (x86-64-v3); this machine is x86_64 linux (x86-64-v2)" in done.stderr


def test_core_of_another_version_is_refused(tmp_path: Path) -> None:
    found = format.decode(bundle().read_bytes())
    kept = tuple(s for s in found.sections if s.kind != "native")
    (tmp_path / "p.lemb").write_bytes(format.encode(format.Bundle(kept)))
    program = "import lem_runtime, numpy\nlem_runtime.load('p.lemb').axpy(*numpy.ones((2, 4), 'f4'))"
    env = environment(LEM_CACHE_DIR=str(tmp_path / "new"))
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert "E0626: `p.lemb`: its native core is that of another version of lem_runtime" in done.stderr


_SUM = """
import sys, numpy as np, lem_runtime
y = np.arange(100, dtype="f4") / 7
for _ in range(9):
    lem_runtime.load("p.lemb").axpy(y.copy(), y, 0.3)
print(y.tobytes().hex())
"""


@pytest.mark.skipif(detect().cpu < "x86-64-v4" or not is_x86, reason="two levels with FMA")
def test_code_for_every_processor_with_fma_gives_the_same_bits(tmp_path: Path) -> None:
    (tmp_path / "p.lemb").write_bytes(bundle("x86-64-v3,x86-64-v4,host", ":axpy").read_bytes())
    said = set()
    for level in ("x86-64-v3", "x86-64-v4"):
        env = environment(LEM_CPU=level)
        command = [sys.executable, "-c", _SUM]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1
