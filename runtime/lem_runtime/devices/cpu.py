"""The processor this program runs on, as a device: launches run on the native pool, in the background.

Takes artifacts for "cpu"; a launch gives arguments in the order of the signature's parameters, then its dimensions.
Scalar results are not part of this protocol: a caller passes a view of one element. Arrays of the caller can be used
where they lie with :meth:`CpuDevice.adopt`.
"""

from __future__ import annotations

import ctypes
import itertools
import struct
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

from lem_runtime import background, binding, faults, native, values
from lem_runtime.abi import layout
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.signature import Param
from lem_runtime.devices import Arg, Buffer, Completion, GridSlice, Kernel, Limits, Ticket, View
from lem_runtime.faults import RunError
from lem_runtime.runner import Entry, load_entry

_ALIGN = 64


class CpuDevice:
    """Buffers are ordinary memory; a copy is done before it returns, a launch is not."""

    def __init__(self, threads: int | None = None, core: native.Core | None = None) -> None:
        self._core = core or native.default_core()
        self._threads = threads or native.default_threads()
        self._numbers = itertools.count(1)
        self._memory: dict[int, tuple[int, Any]] = {}  # number of a buffer to its address and what keeps it alive
        self._entries: dict[int, Entry] = {}
        self._running: dict[int, native.Call] = {}
        self._running_lock = threading.Lock()  # a call must not be cancelled once it serves another launch
        self._done: SimpleQueue[Completion] = SimpleQueue()

    @property
    def limits(self) -> Limits:
        return Limits(binding.available_bytes() or 1 << 62, self._threads)

    def load(self, artifact: Artifact) -> Kernel:
        kernel = Kernel(next(self._numbers), artifact)
        self._entries[kernel.number] = load_entry(artifact)
        return kernel

    def alloc(self, n_bytes: int) -> Buffer:
        raw = ctypes.create_string_buffer(n_bytes + _ALIGN)
        return self._keep(-(-ctypes.addressof(raw) // _ALIGN) * _ALIGN, n_bytes, raw)

    def adopt(self, array: binding.Array) -> Buffer:
        """The memory of a contiguous array as a buffer: nothing is copied."""
        if not array.flags.c_contiguous:
            raise ValueError("only a contiguous array can be a buffer")
        return self._keep(array.ctypes.data, array.nbytes, array)

    def free(self, buffer: Buffer) -> None:
        self._address(buffer)
        del self._memory[buffer.number]

    def copy(self, src: Buffer, dst: Buffer) -> Ticket:
        ctypes.memmove(self._address(dst), self._address(src), min(src.n_bytes, dst.n_bytes))
        ticket = Ticket(next(self._numbers))
        self._done.put(Completion(ticket, time.monotonic_ns()))
        return ticket

    def launch(self, kernel: Kernel, args: Sequence[Arg], part: GridSlice) -> Ticket:
        artifact = kernel.artifact
        if part != GridSlice() and not artifact.is_single_grid:
            raise ValueError(f"`{artifact.name}` is not one grid, so it cannot be cut")
        block = self._pack(artifact, args)
        alive = [self._memory[a.buffer.number] for a in args if isinstance(a, View)]
        entry = self._entries[kernel.number]
        ticket = Ticket(next(self._numbers))
        call = self._core.call(self._threads, len(artifact.sites))
        self._running[ticket.number] = call

        def work() -> None:
            status = call.run(entry.address, ctypes.addressof(block), part.lo, part.hi)
            fault = _fault(artifact, status, call, args)
            with self._running_lock:
                del self._running[ticket.number]
            self._core.give_back(call)
            alive.clear()
            self._done.put(Completion(ticket, time.monotonic_ns(), fault))

        background.start(work)
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Ask a launch to stop; one that has ended is not disturbed."""
        with self._running_lock:
            call = self._running.get(ticket.number)
            if call is not None:
                call.cancel()

    def poll(self) -> list[Completion]:
        found = []
        while True:
            try:
                found.append(self._done.get_nowait())
            except Empty:
                return found

    def read(self, buffer: Buffer) -> bytes:
        """The bytes of a buffer, for whoever shows or tests them."""
        return ctypes.string_at(self._address(buffer), buffer.n_bytes)

    def _keep(self, address: int, n_bytes: int, owner: Any) -> Buffer:
        buffer = Buffer(next(self._numbers), n_bytes)
        self._memory[buffer.number] = (address, owner)
        return buffer

    def _address(self, buffer: Buffer) -> int:
        try:
            return self._memory[buffer.number][0]
        except KeyError:
            raise ValueError("buffer was freed before") from None

    def _pack(self, artifact: Artifact, args: Sequence[Arg]) -> ctypes.Array[ctypes.c_char]:
        sig = artifact.signature
        if len(args) != len(sig.params) + len(sig.dims):
            raise ValueError(f"`{sig.name}` takes {len(sig.params)} parameters and {len(sig.dims)} dimensions")
        parts = [self._slot(p, a) for p, a in zip(sig.params, args, strict=False)]
        parts += [values.encode(_plain(a), "i64") for a in args[len(sig.params) :]]
        raw = b"".join(parts)
        return ctypes.create_string_buffer(raw, max(8, len(raw)))

    def _slot(self, p: Param, arg: Arg) -> bytes:
        if not isinstance(arg, View):
            if p.is_array or p.is_written:
                raise ValueError(f"`{p.name}` must be a view")
            return values.encode(arg, p.dtype)
        size = DTYPES[p.dtype].size_bytes
        _check_bounds(p, arg, size)
        address = self._address(arg.buffer) + arg.offset * size
        if not p.is_array:
            return struct.pack("<Q", address)
        return struct.pack(f"<Q{2 * len(arg.shape)}q", address, *arg.shape, *arg.strides)


def _check_bounds(p: Param, view: View, size: int) -> None:
    """A view must lie within its buffer: a mistake here would be somebody else's memory."""
    if p.shape is not None and not len(p.shape) == len(view.shape) == len(view.strides):
        raise ValueError(f"`{p.name}` has {len(p.shape)} axes")
    if 0 in view.shape:
        return
    steps = [s * (n - 1) for n, s in zip(view.shape, view.strides, strict=True)]
    low = view.offset + sum(s for s in steps if s < 0)
    high = view.offset + sum(s for s in steps if s > 0) + 1
    if low < 0 or high * size > view.buffer.n_bytes:
        raise ValueError(f"`{p.name}` reaches outside its buffer")


def _plain(arg: Arg) -> int:
    if isinstance(arg, bool) or not isinstance(arg, int):
        raise ValueError("a dimension must be an int")
    return arg


def _fault(artifact: Artifact, status: int, call: native.Call, args: Sequence[Arg]) -> RunError | None:
    if status == layout.DONE:
        return None
    record = call.fault
    if record is None or status == layout.CANCELLED:
        return RunError("E0613", f"`{artifact.name}` was cancelled", artifact.name)
    sig = artifact.signature
    names = [p.name for p in sig.params] + list(sig.dims)
    known = {n: a for n, a in zip(names, args, strict=True) if isinstance(a, int) and not isinstance(a, bool)}
    return faults.fault_of(artifact, record, known)
