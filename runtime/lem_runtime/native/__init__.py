"""The inner level: thread pool and function table as machine code, loaded once per process.

Takes a *provider*, a function that compiles LLVM IR text to an object (the compiler offers one with
:func:`use_compiler`; this package never imports it); the object is kept in the store, so later processes need no
compiler. Gives a :class:`Core`: it makes :class:`~lem_runtime.native.call.Call` objects, which run compiled entries.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import platform
import threading
import weakref
from collections.abc import Callable
from typing import Final

from lem_runtime import loader, machine, store
from lem_runtime.abi import ABI_VERSION, layout
from lem_runtime.abi.hashing import sha256
from lem_runtime.native import pool as text
from lem_runtime.native.call import Call

__all__ = ["Call", "Core", "NoCompiler", "core", "default_core", "default_threads", "use_compiler"]

Provider = Callable[[str], bytes]
_Worker = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
_OnPtr = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_KEPT_CALLS: Final = 4
_TABLE_SYMBOLS: Final = tuple(f"lem_{name}" for name in layout.TABLE)


class NoCompiler(Exception):
    """Nobody has offered a compiler, and the store holds no core made by an earlier run."""


class Core:
    """Function table and pool in this process. Safe to use from several threads."""

    def __init__(self, object_bytes: bytes) -> None:
        self._code = loader.load(object_bytes, externals())
        # Never unmapped: at the end of the process a worker may still be in it.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._code))
        self.table = (ctypes.c_uint64 * len(layout.TABLE))(*(self._code.address(s) for s in _TABLE_SYMBOLS))
        self.worker = _Worker(self._code.address("lem_worker"))
        self.pool_init = _OnPtr(self._code.address("lem_pool_init"))
        self.pool_stop = _OnPtr(self._code.address("lem_pool_stop"))
        self.call_end = _OnPtr(self._code.address("lem_call_end"))
        self.call_drop = _OnPtr(self._code.address("lem_call_drop"))
        self.trim = _OnPtr(self._code.address("lem_trim"))
        self.renew()
        _all_cores.add(self)

    def renew(self) -> None:
        """Start over with a new pool and no calls: after a fork the old one's threads do not exist."""
        self._lock = threading.Lock()
        self._pool: Pool | None = None
        self._idle: list[Call] = []

    def call(self, n_workers: int, n_sites: int) -> Call:
        """A call ready to run one entry with up to `n_workers` workers; give it back with :meth:`give_back`."""
        pool, n_workers = self._pool_of(n_workers)
        call = None
        with self._lock:
            for n, idle in enumerate(self._idle):
                if idle.n_workers == n_workers:
                    call = self._idle.pop(n)
                    break
        call = call or Call(self.call_drop, ctypes.addressof(self.table), n_workers)
        call.begin(pool.address, n_sites)
        return call

    def renew_call(self, call: Call, n_sites: int) -> None:
        """Make a call ready for its next run, after one that faulted."""
        self.call_end(call.address)
        pool, _ = self._pool_of(call.n_workers)
        call.begin(pool.address, n_sites)

    def give_back(self, call: Call) -> None:
        """End a call: what the kernel left allocated is freed, the rest is kept for the next call."""
        self.call_end(call.address)
        if call.has_big_scratch and self._pool is not None:
            self.trim(self._pool.address)
        with self._lock:
            if len(self._idle) < _KEPT_CALLS:
                self._idle.append(call)

    def stop(self) -> None:
        """End the workers."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()

    def _pool_of(self, n_workers: int) -> tuple[Pool, int]:
        with self._lock:
            if self._pool is None:
                self._pool = Pool(self)
            return self._pool, self._pool.grow(n_workers)


class Pool:
    """Worker threads inside the native loop. Python starts them; they hold no GIL."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._memory = ctypes.create_string_buffer(text.POOL_BYTES + 64)
        self.address = -(-ctypes.addressof(self._memory) // 64) * 64
        self._threads: list[threading.Thread] = []
        core.pool_init(self.address)

    def grow(self, n_workers: int) -> int:
        """Make sure of `n_workers` workers, the caller included; the number there is if no more can be started."""
        n_workers = max(1, min(n_workers, text.MAX_WORKERS))
        while len(self._threads) < n_workers - 1:
            index = len(self._threads) + 1
            thread = threading.Thread(target=self._live, args=(index,), name=f"lem-worker-{index}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system's limit of threads
                return index
            self._threads.append(thread)
        return n_workers

    def stop(self) -> None:
        """Ask the workers to end and wait a moment; one that is stuck in a kernel ends with the process."""
        self._core.pool_stop(self.address)
        for thread in self._threads:
            thread.join(timeout=0.5)

    def _live(self, index: int) -> None:
        self._core.worker(self.address, index)


def externals() -> dict[str, int]:
    """Addresses of the C library's functions that generated code may refer to."""
    libc = ctypes.CDLL(None)
    found = {}
    for name in text.EXTERNALS:
        try:
            found[name] = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0
        except AttributeError:
            continue  # the loader names it, should the object need it
    return found


def default_threads() -> int:
    """Workers of a call that does not say: LEM_THREADS, else the processors this process may use."""
    told = os.environ.get("LEM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) > 0 else machine.n_cores()


# --- one core per process

_lock = threading.Lock()
_cores: dict[str, Core] = {}
_all_cores: weakref.WeakSet[Core] = weakref.WeakSet()  # also those that somebody made for himself: a fork concerns all
_provider: list[Provider] = []
_core_provider: list[Provider] = []


def use_compiler(provider: Provider, core: Provider | None = None) -> None:
    """Offer a compiler from LLVM IR text to object bytes. core: what makes the core, asked once, when no store holds it; it
    may work quickly rather than well, for the core's code runs once per piece of a grid, or waits."""
    _provider[:] = [provider]
    _core_provider[:] = [core or provider]


def compile_text(text: str) -> bytes:
    """Object bytes of LLVM IR, from whoever offers a compiler. Raises :class:`NoCompiler`."""
    return (_provider[0] if _provider else _no_compiler)(text)


def default_core() -> Core:
    """The core of this process. Raises :class:`NoCompiler` or :class:`~lem_runtime.loader.LoadError`."""
    return core(_core_provider[0] if _core_provider else _no_compiler)


def core(provider: Provider) -> Core:
    """The core, made by `provider` when neither this process nor the store has it."""
    key = _key()
    with _lock:
        if key not in _cores:
            _cores[key] = _load(key, provider)
        return _cores[key]


@functools.cache
def _key() -> str:
    ir = text.core_text(_arch())
    return "core-" + sha256(f"{ABI_VERSION}\n{machine.detect().key}\n{ir}".encode()).hexdigest()


def _load(key: str, provider: Provider) -> Core:
    kept = store.open_default()
    data = kept.get(key) if kept else None
    if data is not None:
        try:
            return Core(data)
        except loader.LoadError:
            pass  # kept by another version of the compiler: make it anew
    data = provider(text.core_text(_arch()))
    made = Core(data)
    if kept:
        kept.put(key, data)
    return made


def _no_compiler(_: str) -> bytes:
    raise NoCompiler("the native core is not built yet, and no compiler is registered (lem_runtime.use_compiler)")


def _arch() -> str:
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for c in _all_cores:
        c.renew()


def _at_exit() -> None:
    for c in list(_all_cores):
        c.stop()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
