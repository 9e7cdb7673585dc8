"""Kernels for tests of the CPU target, and what runs them against the interpreter."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np

from lem_runtime.abi.machine import Machine
from tests.support.run import run_kernel

_NO_ACCESS = 0  # PROT_NONE of mman.h

LEVELS = {
    "x86-64": Machine("x86_64-unknown-linux-gnu", "x86-64", (), 128, 16, False, 32768, 1 << 19, 8 << 20, 2),
    "x86-64-v2": Machine("x86_64-unknown-linux-gnu", "x86-64-v2", (), 128, 16, False, 32768, 1 << 19, 8 << 20, 2),
    "x86-64-v3": Machine("x86_64-unknown-linux-gnu", "x86-64-v3", (), 256, 16, True, 32768, 1 << 19, 8 << 20, 2),
    "x86-64-v4": Machine("x86_64-unknown-linux-gnu", "x86-64-v4", (), 512, 32, True, 32768, 1 << 19, 8 << 20, 2),
    "aarch64": Machine("aarch64-unknown-linux-gnu", "generic", (), 128, 32, True, 32768, 1 << 19, 8 << 20, 2),
}


def strided(a: Any) -> Any:
    """The same array with gaps between all its elements."""
    if not isinstance(a, np.ndarray) or a.ndim == 0:
        return a
    wide = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def walled(a: Any) -> Any:
    """The same array, and behind its last element memory that ends the process when touched; all around an empty one."""
    if not isinstance(a, np.ndarray):
        return a
    if not a.size:
        return nowhere(a)
    page = mmap.PAGESIZE
    room = -(-a.nbytes // page) * page
    area = mmap.mmap(-1, room + page)
    behind = ctypes.addressof(ctypes.c_char.from_buffer(area, room))
    assert ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(behind), ctypes.c_size_t(page), _NO_ACCESS) == 0
    made = np.frombuffer(area, a.dtype, a.size, room - a.nbytes).reshape(a.shape)
    made[...] = a
    return made


def nowhere(a: Any) -> Any:
    """An empty array in memory that ends the process when it is touched: in front of it too."""
    if not isinstance(a, np.ndarray) or a.size:
        return a
    area = mmap.mmap(-1, 2 * mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(area))
    size = ctypes.c_size_t(2 * mmap.PAGESIZE)
    assert ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(begin), size, _NO_ACCESS) == 0
    return np.ndarray(a.shape, a.dtype, area, offset=mmap.PAGESIZE)


def assert_same(want: dict[str, Any], got: dict[str, Any], where: str) -> None:
    """Equal bits, but for the sign and payload of NaN."""
    for name, a in want.items():
        a, b = np.asarray(a), np.asarray(got[name])
        assert a.dtype == b.dtype, f"{where}: {name} is {b.dtype}, not {a.dtype}"
        np.testing.assert_array_equal(a, b, err_msg=f"{where}: {name}")


def check_run(text: str, **given: Any) -> dict[str, Any]:
    """One thread, two threads, arrays with gaps and arrays at the end of memory give the interpreter's bits."""
    want = run_kernel(text, target="interp", **given)
    assert_same(want, run_kernel(text, threads=1, **given), "one thread")
    assert_same(want, run_kernel(text, threads=2, **given), "two threads")
    assert_same(want, run_kernel(text, **{n: strided(a) for n, a in given.items()}), "strided")
    assert_same(want, run_kernel(text, copied=False, **{n: walled(a) for n, a in given.items()}), "walled")
    return want
