"""Joins a callable with the code of one artifact: loads its wrapper, and raises what the kernel reports."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from lem_runtime import loader, native, store, values
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.hashing import sha256
from lem_runtime.binding import bind_call
from lem_runtime.call import cpython, wrapper
from lem_runtime.faults import RunError
from lem_runtime.machine import detect
from lem_runtime.runner import Entry, load_entry, raise_for

_FOR_RESULTS = {
    wrapper.FROM_DOUBLE: "PyFloat_FromDouble", wrapper.FROM_LONG: "PyLong_FromLongLong",
    wrapper.FROM_UNSIGNED: "PyLong_FromUnsignedLongLong", wrapper.TUPLE: "PyTuple_New", wrapper.SET_ITEM: "PyTuple_SetItem",
    wrapper.CLEAR: "PyErr_Clear",
}  # fmt: skip


_WORD = (1 << 64) - 1


class Wrapper:
    """The way from a call in Python to one artifact, in memory when :meth:`load` was called. Its object is kept on disk, so
    that later processes need no compiler."""

    def __init__(self, artifact: Artifact) -> None:
        """Raises :class:`wrapper.NotPlain` where calls have to go through Python."""
        known = cpython.known()
        if known is None or not cpython.is_known_array(np.zeros((3, 5))[:, 1:3], known.head):
            raise wrapper.NotPlain(cpython.why_unknown())
        has_results = any(p.effect == "result" and p.is_array for p in artifact.signature.params)
        zeros = cpython.zeros_of_numpy() if has_results else 0
        if zeros is None:
            raise wrapper.NotPlain("NumPy's C interface is not known")
        self.known, self.zeros = known, zeros
        self._text = wrapper.wrapper_text(artifact, _layouts(artifact), known.head)
        self._key = "wrap-" + sha256(f"{detect().key}\n{self._text}".encode()).hexdigest()

    @property
    def needs_compiler(self) -> bool:
        """Whether it is neither in memory nor on the disk."""
        if self._key not in _loaded and (kept := store.open_default()) and (data := kept.get(self._key)):
            _loaded[self._key] = loader.load(data, {})
        return self._key not in _loaded

    def load(self) -> loader.Loaded:
        """Raises :class:`native.NoCompiler`, LoadError."""
        if self.needs_compiler:
            data = native.compile_text(self._text)
            if kept := store.open_default():
                kept.put(self._key, data)
            _loaded[self._key] = loader.load(data, {})
        return _loaded[self._key]


_loaded: dict[str, loader.Loaded] = {}


class Direct:
    """A callable joined with the code of one artifact. Keep it as long as the callable may be called."""

    def __init__(self, artifact: Artifact, way: Wrapper, on_error: Callable[[RunError], NoReturn]) -> None:
        """way: of this artifact. Raises :class:`native.NoCompiler`, LoadError."""
        sig, known = artifact.signature, way.known
        self._artifact, self._on_error, self._known = artifact, on_error, known
        self._code = way.load()
        self._entry = load_entry(artifact)
        self._core = native.default_core()
        self._fault = self.raise_fault
        self._dtypes = [np.dtype(values.numpy_dtype(p.dtype)) for p in sig.params if p.is_array]
        words = [0] * wrapper.DTYPE_0
        words[wrapper.SLOW] = known.call_method
        words[wrapper.NONE] = id(None)
        words[wrapper.INCREF] = cpython.address_of(ctypes.pythonapi.Py_IncRef)
        words[wrapper.NDARRAY] = id(np.ndarray)
        words[wrapper.ENTRY] = self._entry.address
        words[wrapper.SAVE] = cpython.address_of(ctypes.pythonapi.PyEval_SaveThread)
        words[wrapper.RESTORE] = cpython.address_of(ctypes.pythonapi.PyEval_RestoreThread)
        words[wrapper.WEAKREF] = cpython.address_of(ctypes.pythonapi.PyWeakref_NewRef)
        words[wrapper.DECREF] = cpython.address_of(ctypes.pythonapi.Py_DecRef)
        words[wrapper.ZEROS] = way.zeros
        for word, name in _FOR_RESULTS.items():
            words[word] = cpython.address_of(getattr(ctypes.pythonapi, name))
        words[wrapper.TRUE], words[wrapper.FALSE] = id(True), id(False)
        words[wrapper.FAULT] = id(self._fault)
        words[wrapper.LONG], words[wrapper.FLOAT] = id(int), id(float)
        words[wrapper.AS_LONG] = cpython.address_of(ctypes.pythonapi.PyLong_AsLongLongAndOverflow)
        self._names = [sys.intern(p.name) for p in sig.params]
        words[wrapper.DTYPE_0 :] = [*(id(d) for d in self._dtypes), *(id(name) for name in self._names)]
        self._sizes_at = len(words)
        words += [0] * (wrapper.SIZES + 2 * len(sig.dims))
        self._special: Entry | None = None  # kept as long as it may be called
        self._state = (ctypes.c_uint64 * len(words))(*words)
        self._things: weakref.WeakSet[Any] = weakref.WeakSet()
        self.renew()
        _all.add(self)

    def renew(self) -> None:
        """Take calls of the core's pool: at first, and in a process that was forked."""
        self.is_left = False  # after a fork, until it is renewed: no call may go straight to the code
        self._lock = threading.Lock()
        self._alone = self._core.call(1, len(self._artifact.sites))
        self._all: native.Call | None = None  # with all workers, who are started for the first call that wants them
        self._state[wrapper.ALONE_CTX] = self._alone.context
        self._state[wrapper.CTX] = self._alone.context if native.default_threads() == 1 else 0
        self._state[wrapper.BUSY] = 0

    def leave(self) -> None:
        """In a process that was forked: the calls belong to a pool whose threads are not here, and who was in the code then
        may have left what it owns half changed, so it is never freed."""
        self.remove()
        self.is_left = True
        _left_behind.extend((self._alone, self._all))

    def install(self, thing: Any) -> None:
        """From now on calls of `thing` go straight to the code."""
        at = id(thing) + self._known.head
        cpython.write(at + cpython.METHOD_BYTES + 8, ctypes.addressof(self._state))
        cpython.write(at + cpython.METHOD_CALL, self._code.address("lem_call"))
        self._things.add(thing)

    @property
    def artifact(self) -> Artifact:
        """Of the code for any sizes."""
        return self._artifact

    @property
    def calls(self) -> tuple[int, dict[str, int]]:
        """How many calls went straight to the code, and the sizes of the last one."""
        at, dims = self._sizes_at, self._artifact.signature.dims
        last = self._state[at + wrapper.SIZES + len(dims) : at + wrapper.SIZES + 2 * len(dims)]
        return self._state[at + wrapper.CALLS], dict(zip(dims, last, strict=True))

    def use_for(self, artifact: Artifact, sizes: Mapping[str, int]) -> bool:
        """From now on calls with these sizes go to another code, which does the same; only the first such code is taken,
        and none that tells its faults by other numbers. Whether it is."""
        if self._special is not None or artifact.sites != self._artifact.sites:
            return False
        self._special = load_entry(artifact)
        at = self._sizes_at
        for k, dim in enumerate(self._artifact.signature.dims):
            self._state[at + wrapper.SIZES + k] = sizes.get(dim, wrapper.ANY_SIZE) & _WORD
        self._state[at + wrapper.SPECIAL] = self._special.address  # last: a call may come at any time
        return True

    def has_run(self, n_workers: int) -> None:
        """A call has gone through Python: when it had many workers, such calls go straight to the code from now on."""
        if self._all is not None or n_workers == 1:
            return
        with self._lock:  # a call that is replaced would be freed while somebody may be in it
            if self._all is None:
                self._all = self._core.call(native.default_threads(), len(self._artifact.sites))
                self._state[wrapper.CTX] = self._all.context

    def remove(self) -> None:
        """Calls go through Python again."""
        for thing in self._things:
            cpython.write(id(thing) + self._known.head + cpython.METHOD_CALL, self._known.call_method)

    def raise_fault(self, *args: Any) -> NoReturn:
        """What the kernel recorded, as the exception that ``run`` raises for it, handed to whoever shows errors."""
        call = self._alone if self._all is None or self._state[wrapper.IS_ALONE] else self._all
        try:
            error = self._error(call, args)
        finally:
            self._core.renew_call(call, len(self._artifact.sites))
            self._state[wrapper.BUSY] = 0
        try:
            self._on_error(error)
        except Exception as e:
            e.__traceback__ = None  # it begins where the kernel was called: a `raise` by itself adds no frame
            raise

    def _error(self, call: native.Call, args: tuple[Any, ...]) -> RunError:
        params = [p for p in self._artifact.signature.params if p.effect != "result"]
        given = dict(zip((p.name for p in params), args, strict=True))
        arrays = {p.name: given[p.name] for p in params if p.is_array}
        scalars = {p.name: given[p.name] for p in params if not p.is_array and given[p.name] is not None}  # None: left out
        status = int(self._state[wrapper.STATUS])
        try:
            raise_for(status, self._artifact, call, bind_call(self._artifact, arrays, scalars))
        except RunError as e:
            return e
        raise AssertionError("a kernel that is done has no error")


def _layouts(artifact: Artifact) -> list[str]:
    """Of the arrays, from the printed facts."""
    n = sum(p.is_array for p in artifact.signature.params)
    _, found, rest = artifact.facts.partition("layouts(")
    return [part.strip() for part in rest.partition(")")[0].split(",")] if found else ["any"] * n


_all: weakref.WeakSet[Direct] = weakref.WeakSet()
_left_behind: list[native.Call | None] = []


def _after_fork() -> None:
    for direct in _all:
        direct.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = ["Direct", "Wrapper"]
