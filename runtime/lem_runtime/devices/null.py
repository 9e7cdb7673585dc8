"""A device that runs nothing and finishes at once: schedulers are tested on it.

Buffers are sizes only. Time is a counter, one tick per completion, so that a test sees the same numbers every time.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem_runtime.abi.artifact import Artifact
from lem_runtime.devices import Arg, Buffer, Completion, GridSlice, Kernel, Limits, Ticket


class NullDevice:
    """Keeps count of what it was asked to do."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits(memory_bytes=1 << 40, n_workers=1)
        self.launched: list[tuple[Kernel, tuple[Arg, ...], GridSlice]] = []
        self.n_copied_bytes = 0
        self._live: dict[int, int] = {}  # number of a buffer to its size
        self._last = 0
        self._now_ns = 0
        self._done: list[Completion] = []

    def load(self, artifact: Artifact) -> Kernel:
        return Kernel(self._number(), artifact)

    def alloc(self, n_bytes: int) -> Buffer:
        if sum(self._live.values()) + n_bytes > self.limits.memory_bytes:
            raise MemoryError(f"{n_bytes} bytes")
        buffer = Buffer(self._number(), n_bytes)
        self._live[buffer.number] = n_bytes
        return buffer

    def free(self, buffer: Buffer) -> None:
        if self._live.pop(buffer.number, None) is None:
            raise ValueError("buffer was freed before")

    def copy(self, src: Buffer, dst: Buffer) -> Ticket:
        if src.number not in self._live or dst.number not in self._live:
            raise ValueError("copy of a freed buffer")
        self.n_copied_bytes += min(src.n_bytes, dst.n_bytes)
        return self._finish()

    def launch(self, kernel: Kernel, args: Sequence[Arg], part: GridSlice) -> Ticket:
        self.launched.append((kernel, tuple(args), part))
        return self._finish()

    def cancel(self, ticket: Ticket) -> None:
        """Everything has finished already."""

    def poll(self) -> list[Completion]:
        done, self._done = self._done, []
        return done

    def _finish(self) -> Ticket:
        ticket = Ticket(self._number())
        self._now_ns += 1
        self._done.append(Completion(ticket, self._now_ns))
        return ticket

    def _number(self) -> int:
        self._last += 1
        return self._last
