"""Arrays of torch, jax and others: the same memory, shown by its address, for arguments and for results.

torch and jax are large, so these tests run where they are installed: ``pip install 'lemlang[interop]'``.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import pytest

import lem
from lem.dims import M, N
from lem.embed import engine
from tests.support import ROOT


@lem.kernel
def add_one(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = x[i] + 1.0


@lem.kernel
def turned(x: lem.f32[M, N]) -> tuple[Annotated[lem.f32[N, M], "y"], Annotated[lem.f32, "total"]]:
    for j, i in lem.grid(N, M):
        y[j, i] = x[i, j]
    total = sum(x[i, j] for i in M for j in N)


@lem.kernel
def narrow(x: lem.bf16[N]) -> Annotated[lem.bf16[N], "y"]:
    for i in lem.grid(N):
        y[i] = lem.bf16(x[i] * 2.0)


@lem.kernel("x: f32[N], like: f32 -> y: f32[N]")
def taken(x, like):
    for i in grid(N):
        y[i] = x[i] + like


@contextmanager
def watching() -> Iterator[dict[str, int]]:
    """The address of each array of the last call, by the parameter's name."""
    addresses: dict[str, int] = {}
    run = engine.run

    def watched(artifact: Any, arrays: Any, *rest: Any, **named: Any) -> Any:
        result = run(artifact, arrays, *rest, **named)
        addresses.clear()
        addresses.update((n, a.ctypes.data) for n, a in (*arrays.items(), *result.outputs.items()))
        return result

    engine.run = watched
    try:
        yield addresses
    finally:
        engine.run = run


@pytest.fixture
def addresses() -> Iterator[dict[str, int]]:
    with watching() as found:
        yield found


# ---------------------------------------------------------------- torch
def test_torch_tensors_are_used_where_they_lie(addresses: dict[str, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, y = torch.arange(6.0), torch.zeros(6)
    add_one(x, y)
    assert addresses == {"x": x.data_ptr(), "y": y.data_ptr()}
    assert y.tolist() == [1, 2, 3, 4, 5, 6]  # written through
    every_other = torch.zeros(12)
    add_one(x, every_other[1::2])
    assert every_other[1::2].tolist() == y.tolist() and every_other[::2].sum() == 0
    assert addresses["y"] == every_other.data_ptr() + 4


def test_results_are_torch_tensors_where_asked_for(addresses: dict[str, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.ones(2, 3)
    for like in (torch, x):
        y, total = turned(x, like=like)
        assert isinstance(y, torch.Tensor) and y.shape == (3, 2) and total == 6.0
        assert y.data_ptr() == addresses["y"]
    assert isinstance(turned(x)[0], np.ndarray)


def test_narrow_floats_of_torch_are_lent_as_bits(addresses: dict[str, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.tensor([1.0, 2.5], dtype=torch.bfloat16)
    y = narrow(x, like=torch)
    assert y.dtype == torch.bfloat16 and y.tolist() == [2.0, 5.0]
    assert (addresses["x"], addresses["y"]) == (x.data_ptr(), y.data_ptr())


def test_torch_tensors_that_keep_gradients_are_refused() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(lem.CallError, match=r"`x` does not give its memory to others: .*detach"):
        add_one(torch.ones(2, requires_grad=True), torch.ones(2))


# ---------------------------------------------------------------- jax
def test_jax_arrays_are_used_where_they_lie_and_never_written() -> None:
    """In a process of its own: jax warns whoever forks after it was imported."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    call = [sys.executable, "-m", "tests.embed.jax_program"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


# ---------------------------------------------------------------- any library
class Array:
    """What an array of another library offers."""

    __module__ = "otherlib"

    def __init__(self, a: np.ndarray[Any, Any], device: int = 1) -> None:
        self.a, self.device = a, device

    def __dlpack__(self, **how: Any) -> Any:
        return self.a.__dlpack__(**how)

    def __dlpack_device__(self) -> Any:
        return (self.device, 0)


@pytest.fixture
def otherlib(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("otherlib")
    made.from_dlpack = lambda a: Array(np.from_dlpack(a))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "otherlib", made)
    return made


def test_any_library_with_dlpack_lends_and_takes(otherlib: ModuleType, addresses: dict[str, int]) -> None:
    x = Array(np.ones((2, 2), np.float32))
    y, _ = turned(x, like=x)
    assert isinstance(y, Array) and y.a.ctypes.data == addresses["y"]
    assert addresses["x"] == x.a.ctypes.data and addresses["y"] % 64 == 0


def test_what_cannot_be_lent_is_said() -> None:
    x, y = np.ones(2, np.float32), np.zeros(2, np.float32)
    with pytest.raises(lem.CallError, match="`x` lies on another device"):
        add_one(Array(x, device=2), y)
    with pytest.raises(lem.CallError, match="expects an array of f32, found list"):
        add_one([1.0, 2.0], y)
    x.flags.writeable = False
    with pytest.raises(lem.CallError, match="arrays of otherlib cannot be written"):
        add_one(y, Array(x))
    with pytest.raises(lem.CallError, match="`like=` takes a library whose arrays know DLPack.*found math"):
        turned(np.ones((1, 1), np.float32), like=__import__("math"))


@pytest.mark.parametrize("where", ["__dlpack__", "__dlpack_device__"])
def test_whatever_a_library_raises_is_an_error_of_the_call(where: str) -> None:
    def gone(self: Array, **how: Any) -> Any:
        raise IndexError("it was given away\nSee https://otherlib.example")

    broken = type("Broken", (Array,), {where: gone, "__module__": "otherlib"})
    with pytest.raises(lem.CallError, match=r"`x` does not give its memory to others: it was given away\n") as caught:
        add_one(broken(np.ones(2, np.float32)), np.zeros(2, np.float32))
    assert "otherlib.example" not in str(caught.value)


def test_a_parameter_may_be_called_like() -> None:
    assert taken(np.ones(2, np.float32), like=2.0).tolist() == [3, 3]
