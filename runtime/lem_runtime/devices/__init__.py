"""What a device is to the rest of the runtime: a place where bytes live and kernels run.

One small protocol that every driver implements (``cpu``, ``null``, and those of accelerators), and the data it speaks.
Calls return at once; :meth:`Device.poll` says later what finished, and how. Nothing here imports a driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Scalar
from lem_runtime.faults import RunError


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device can hold. `n_workers`: pieces of a grid it runs side by side."""

    memory_bytes: int
    n_workers: int


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes on a device. `number` is the driver's name for them and is never used again after `free`."""

    number: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class View:
    """An array argument: elements of a buffer. `offset` and `strides` count elements."""

    buffer: Buffer
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0


Arg = View | Scalar


@dataclass(frozen=True, slots=True)
class GridSlice:
    """Units of the flattened outer grid; ``hi = -1`` means all. Only single-grid functions can be cut."""

    lo: int = 0
    hi: int = -1


@dataclass(frozen=True, slots=True)
class Kernel:
    """An artifact loaded on a device."""

    number: int
    artifact: Artifact


@dataclass(frozen=True, slots=True)
class Ticket:
    """A copy or launch under way."""

    number: int


@dataclass(frozen=True, slots=True)
class Completion:
    """A copy or launch that has ended. `fault` is None when all went well; `at_ns` is on the monotonic clock."""

    ticket: Ticket
    at_ns: int
    fault: RunError | None = None


class Device(Protocol):
    """A place where bytes live and kernels run. Calls return at once; `poll` says what finished, and how.

    `alloc` raises MemoryError; `load` raises LoadError; use of a freed buffer raises ValueError.
    """

    @property
    def limits(self) -> Limits: ...
    def load(self, artifact: Artifact) -> Kernel: ...
    def alloc(self, n_bytes: int) -> Buffer: ...
    def free(self, buffer: Buffer) -> None: ...
    def copy(self, src: Buffer, dst: Buffer) -> Ticket: ...
    def launch(self, kernel: Kernel, args: Sequence[Arg], part: GridSlice) -> Ticket: ...
    def cancel(self, ticket: Ticket) -> None: ...
    def poll(self) -> list[Completion]: ...
