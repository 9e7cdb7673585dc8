"""Runs one artifact on the CPU: a whole call, from arrays to results.

Takes an artifact, arrays and scalars by parameter name; gives a :class:`RunResult`, or raises what the call ended with:
``CallError`` (arguments do not fit), ``KernelFault``, ``TimeUp``, ``Interrupted``. The entry runs on another thread
with all workers of the pool, so that this one answers Ctrl-C and the clock: it sets the cancel flag, which kernels poll.
A call that is known to be over in a moment runs right here: handing it over would cost more.

    bind and check -> load the object (once) -> run in the background, watch -> read results, prints, times
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from lem_runtime import background, faults, loader, native
from lem_runtime.abi import layout, sizes
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.hashing import sha256
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import CallError
from lem_runtime.binding import Bound, bind_call
from lem_runtime.faults import Interrupted, RunError, TimeUp

_POLL_S = 0.05
LITTLE_WORK = 50_000  # operations: some 20 microseconds at most, for which neither other workers nor the GIL are worth it
SHORT_WORK = 20_000_000  # operations: twenty milliseconds at most, after which Ctrl-C is answered early enough
_GRACE_S = 5.0  # how long a cancelled kernel may take to notice before it is left behind
_KEPT_OBJECTS = 256


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a run under way: pieces of the current grid that were begun, and how many it has (0: no grid yet)."""

    kernel: str
    elapsed_s: float
    pieces_begun: int
    pieces: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A called kernel: how often it ran and for how long, summed over its calls."""

    label: str
    site: int
    count: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run gave.

    outputs:  arrays of `out`, `inout` and `reduce` parameters and array results, by name (the caller's own, if given); an
              array of structs that was made by the call is a dict of one array per field
    scalars:  scalar results by name; a struct is a dict
    prints:   formatted lines in the order of the program, at most 1,000 of `n_printed`
    """

    outputs: dict[str, Any]
    scalars: dict[str, Any]
    prints: list[str] = field(default_factory=list)
    n_printed: int = 0
    marks: list[Mark] = field(default_factory=list)
    dims: dict[str, int] = field(default_factory=dict)
    elapsed_ns: int = 0
    n_workers: int = 1
    n_shared_grids: int = 0
    notes: list[str] = field(default_factory=list)


OnProgress = Callable[[Progress], None]
OnPrints = Callable[[list[str], int], None]


class Runner:
    """Runs artifacts with settings that stay the same from call to call. Safe to use from several threads."""

    def __init__(self, *, threads: int | None = None, core: native.Core | None = None) -> None:
        self.threads = threads
        self._core = core

    def run(
        self,
        artifact: Artifact,
        arrays: Mapping[str, Any],
        scalars: Mapping[str, Any] | None = None,
        dims: Mapping[str, int] | None = None,
        *,
        threads: int | None = None,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
        on_prints: OnPrints | None = None,
    ) -> RunResult:
        """Run `artifact`; see the module for what it raises. `on_prints` gets the lines also when the run fails."""
        held = _held(arrays)  # before anybody looks where their elements lie
        bound = bind_call(artifact, arrays, scalars or {}, dims)
        entry = load_entry(artifact)
        core = self._core or native.default_core()
        work = _work(artifact, bound.known)
        n_workers = threads or self.threads or (1 if work < LITTLE_WORK else native.default_threads())
        call = core.call(n_workers, len(artifact.sites))
        watch = _Watch(artifact, call, bound, timeout_s, on_progress, is_short=work < SHORT_WORK)
        started = time.perf_counter_ns()
        try:
            # The loaded code, the arrays and the call belong to the function, so that they outlive a stuck kernel.
            status = watch.until_done(lambda: (call.run(entry.address, bound.address), entry, bound, held)[0])
            elapsed = time.perf_counter_ns() - started
            lines, n_printed = _prints(artifact, call, bound)
            if on_prints is not None and n_printed:
                on_prints(lines, n_printed)
            if watch.is_interrupted or (watch.is_timed_out and status != layout.DONE):
                raise watch.error()
            raise_for(status, artifact, call, bound)
            return RunResult(
                bound.outputs(), bound.scalars(), lines, n_printed, _marks(artifact, call), bound.dims, elapsed,
                call.n_workers, call.n_shared_grids, bound.notes,
            )  # fmt: skip
        finally:
            if watch.has_ended:
                core.give_back(call)


def run(
    artifact: Artifact,
    arrays: Mapping[str, Any],
    scalars: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    *,
    threads: int | None = None,
    timeout_s: float | None = None,
    on_progress: OnProgress | None = None,
    on_prints: OnPrints | None = None,
) -> RunResult:
    """Run one artifact with the default settings: :meth:`Runner.run`."""
    return Runner().run(
        artifact, arrays, scalars, dims,
        threads=threads, timeout_s=timeout_s, on_progress=on_progress, on_prints=on_prints,
    )  # fmt: skip


class _Watch:
    """Waits for a call: answers Ctrl-C, the clock, and whoever wants to see progress."""

    def __init__(
        self, artifact: Artifact, call: native.Call, bound: Bound, timeout_s: float | None, on_progress: OnProgress | None,
        *, is_short: bool,
    ) -> None:  # fmt: skip
        self._name = artifact.name
        self._stack_bytes = layout.TASK_STACK_BYTES * 3 // 2 if artifact.is_deep else 0
        self._call = call
        self._timeout_s = timeout_s
        self._on_progress = on_progress
        self._is_short = is_short
        self.is_timed_out = False
        self.is_interrupted = False
        self.has_ended = True  # False while the kernel may be running: then nothing of the call may be used again

    def until_done(self, function: Callable[[], int]) -> int:
        """Status of the call. Raises :class:`TimeUp` or :class:`Interrupted` itself only when it does not stop."""
        no_signal = self._is_short or threading.current_thread() is not threading.main_thread()
        if no_signal and self._timeout_s is None and self._on_progress is None and not self._stack_bytes:
            return function()  # no signal comes to this thread before it ends, and nobody waits for news
        started = time.monotonic()
        job: background.Job[int] | None = None
        self.has_ended = False
        try:
            job = background.start(lambda: self._to_the_end(function), self._stack_bytes)
            while not job.wait(self._next_look(started)):
                self._look(started)
                if self.is_timed_out:
                    break
        except KeyboardInterrupt:
            self.is_interrupted = True
            self._call.cancel()
        except BaseException:  # from on_progress: the kernel must not go on behind our back
            self._call.cancel()
            self._wait_for_end(job)
            raise
        if self.is_timed_out or self.is_interrupted:
            self._wait_for_end(job)
        if job is None:
            raise self.error()
        return job.result()

    def _to_the_end(self, function: Callable[[], int]) -> int:
        try:
            return function()
        finally:
            self.has_ended = True

    def _next_look(self, started: float) -> float:
        if self._timeout_s is None:
            return _POLL_S
        return min(_POLL_S, max(0.0, started + self._timeout_s - time.monotonic()))

    def _look(self, started: float) -> None:
        elapsed = time.monotonic() - started
        if self._timeout_s is not None and elapsed >= self._timeout_s:
            self.is_timed_out = True
            self._call.cancel()
        elif self._on_progress is not None:
            begun, pieces = self._call.progress
            self._on_progress(Progress(self._name, elapsed, begun, pieces))

    def _wait_for_end(self, job: background.Job[int] | None) -> None:
        if job is None:  # interrupted in the moment of the start: whatever runs sees the cancel flag
            return
        try:
            if job.wait(_GRACE_S):
                return
        except KeyboardInterrupt:  # a second Ctrl-C: the user will not wait
            self.is_interrupted = True
        if not job.wait(0):
            raise self.error(" and does not answer; it goes on in the background")

    def error(self, more: str = "") -> TimeUp | Interrupted:
        if self.is_interrupted:
            return Interrupted(f"`{self._name}` was interrupted{more}", self._name)
        return TimeUp("E0612", f"`{self._name}` ran for more than {self._timeout_s:g} s{more}", self._name)


def raise_for(status: int, artifact: Artifact, call: native.Call, bound: Bound) -> None:
    """What a kernel that ended with `status` recorded, as an exception; nothing when it is done."""
    if status == layout.DONE:
        return
    record = call.fault
    if record is not None:
        raise faults.fault_of(artifact, record, bound.known)
    text = "stopped without being asked to" if status == layout.CANCELLED else "reported a fault without saying which"
    raise RunError("E0622", f"`{artifact.name}` {text} (status {status})", artifact.name, artifact.signature.place)


def _prints(artifact: Artifact, call: native.Call, bound: Bound) -> tuple[list[str], int]:
    lines, total = call.lines()
    return [faults.line_text(artifact, line, bound.known) for line in lines], total


def _marks(artifact: Artifact, call: native.Call) -> list[Mark]:
    return [
        Mark(artifact.sites[t.site].kernel, t.site, t.begins, t.total_ns) for t in call.site_times() if t.begins == t.ends
    ]


# --- loaded objects, kept by what they contain


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry in memory; the code stays as long as this object."""

    code: loader.Loaded
    address: int


_entries: OrderedDict[int, tuple[Artifact, Entry]] = OrderedDict()  # by the identity of artifacts, which are kept for it
_objects: OrderedDict[bytes, loader.Loaded] = OrderedDict()
_objects_lock = threading.Lock()


def load_entry(artifact: Artifact) -> Entry:
    """The artifact's entry; its object is loaded once per process. Raises :class:`~lem_runtime.loader.LoadError`."""
    found = _entries.get(id(artifact))
    if found is not None and found[0] is artifact:
        return found[1]
    if artifact.target != "cpu":
        raise CallError("E0501", f"`{artifact.name}` is compiled for {artifact.target}, not for this processor")
    key = sha256(artifact.code).digest()
    with _objects_lock:
        loaded = _objects.get(key)
        if loaded is None:
            loaded = _objects[key] = loader.load(artifact.code, _libc())
            if len(_objects) > _KEPT_OBJECTS:
                _objects.popitem(last=False)
        else:
            _objects.move_to_end(key)
        entry = Entry(loaded, loaded.address(artifact.entry))
        _entries[id(artifact)] = artifact, entry
        if len(_entries) > _KEPT_OBJECTS:
            _entries.popitem(last=False)
    return entry


def _held(arrays: Mapping[str, Any]) -> list[weakref.ref[Any]]:
    """Weak references to the arrays given: while there is one, NumPy refuses to resize an array, which other threads might
    try. (It does resize one whose buffer is exported.)"""
    found = []
    for given in arrays.values():
        for a in given.values() if isinstance(given, Mapping) else (given,):
            if isinstance(a, np.ndarray):
                found.append(weakref.ref(a))
    return found


def _work(artifact: Artifact, known: Mapping[str, int]) -> float:
    """Operations of a call; infinity where only running it tells."""
    if artifact.effort is None:
        return math.inf
    try:
        return sizes.evaluate(artifact.effort, known)
    except sizes.SizeError:
        return math.inf


def _libc() -> dict[str, int]:
    """LLVM may write a copy or a fill of memory as a call; a kernel may refer to nothing else outside."""
    return {name: address for name, address in native.externals().items() if name.startswith("mem")}


def _after_fork() -> None:
    global _objects_lock
    _objects_lock = threading.Lock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
