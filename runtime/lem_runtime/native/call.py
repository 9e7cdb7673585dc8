"""One run of a compiled entry: its contexts, fault record, queue of prints and times, in one piece of memory.

Takes an entry's address and its argument block; gives the status, and afterwards the fault, the printed lines and the
times as plain data. The layout stands in ``native/pool.py`` and ``abi/layout.py``.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Final

from lem_runtime.abi import layout
from lem_runtime.abi.records import dataclass
from lem_runtime.native import pool as at

_FAULT: Final = at.CALL_BYTES
_CANCEL: Final = _FAULT + layout.FAULT_BYTES
_ENTRY_CTX: Final = _CANCEL + 64
_BODY_CTXS: Final = _ENTRY_CTX + layout.CTX_BYTES
_Entry = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_LINE: Final = struct.Struct(f"<{at.PRINT_WORDS}q")
_MARK: Final = struct.Struct("<iiq")


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """What a kernel wrote before it stopped. `values` are raw 8-byte words; the site says how to read them."""

    code: str
    site: int
    order: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A queued print: raw words, to be formatted with the text of its site."""

    site: int
    order: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SiteTime:
    """How often a called kernel began and ended, and for how long it ran."""

    site: int
    begins: int
    ends: int
    total_ns: int  # meaningful when begins == ends


class Call:
    """Memory of one run, used again by later runs. One thread at a time."""

    def __init__(self, drop: Callable[[int], object], table: int, n_workers: int) -> None:
        self._drop = drop
        self.n_workers = n_workers
        size = _BODY_CTXS + layout.CTX_BYTES * n_workers
        self._memory = ctypes.create_string_buffer(size + 64)
        self.address = -(-ctypes.addressof(self._memory) // 64) * 64
        self._view = memoryview(self._memory).cast("B")[self.address - ctypes.addressof(self._memory) :]
        self._cancel = ctypes.c_int32.from_address(self.address + _CANCEL)
        self._sites: ctypes.Array[ctypes.c_char] | None = None
        self._n_sites = 0
        for n in range(n_workers + 1):
            ctx = _ENTRY_CTX + layout.CTX_BYTES * n
            worker = max(0, n - 1)
            self._put(ctx + layout.CTX_CANCEL, self.address + _CANCEL)
            self._put(ctx + layout.CTX_FAULT, self.address + _FAULT)
            self._put(ctx + layout.CTX_TABLE, table)
            self._put(ctx + layout.CTX_WORKER, worker)
            self._put(ctx + layout.CTX_N_WORKERS, n_workers)
            self._put(ctx + layout.CTX_POOL, self.address)
            self._put(ctx + layout.CTX_DEPTH, min(n, 1))

    def __del__(self) -> None:
        self._drop(self.address)

    def begin(self, pool: int, n_sites: int) -> None:
        """Forget the last run. `pool` may be another one than then."""
        put = self._put
        for field in (at.CALL_EPOCH, at.CALL_N_PRINTS, at.CALL_TOTAL_PRINTS, at.CALL_N_MARKS, at.CALL_GRIDS):
            put(field, 0)
        for field in (at.CALL_NEXT, at.CALL_N_PIECES, at.CALL_LOCK):
            put(field, 0)
        put(at.CALL_WORST_PRINT, -1)
        put(at.CALL_POOL, pool)
        put(at.CALL_CTXS, self.address + _BODY_CTXS)
        put(at.CALL_N_WORKERS, self.n_workers)
        self._view[_FAULT:_ENTRY_CTX] = bytes(_ENTRY_CTX - _FAULT)
        self._sites = ctypes.create_string_buffer(max(1, n_sites * at.SITE_BYTES))
        self._n_sites = n_sites
        put(at.CALL_SITES, ctypes.addressof(self._sites))
        put(at.CALL_N_SITES, n_sites)
        # The entry and worker 0 have arenas of this call; the other workers' belong to the pool.
        put(_ENTRY_CTX + layout.CTX_ARENA, self.address + at.CALL_ENTRY_ARENA)
        put(_BODY_CTXS + layout.CTX_ARENA, self.address + at.CALL_BODY_ARENA)
        for n in range(1, self.n_workers):
            put(_BODY_CTXS + layout.CTX_BYTES * n + layout.CTX_ARENA, pool + at.POOL_ARENAS + at.ARENA_BYTES * n)

    @property
    def context(self) -> int:
        """Address of the context that an entry takes."""
        return self.address + _ENTRY_CTX

    def run(self, entry: int, args: int, lo: int = 0, hi: int = -1) -> int:
        """Call an entry and wait, without the GIL. Returns its status (``layout.DONE`` ...)."""
        return int(_Entry(entry)(self.address + _ENTRY_CTX, args, lo, hi))

    def cancel(self) -> None:
        """Ask the run to stop; from any thread."""
        self._cancel.value = 1

    @property
    def is_cancelled(self) -> bool:
        return self._cancel.value != 0

    @property
    def has_big_scratch(self) -> bool:
        """A worker's scratch has grown large; the flag is taken back."""
        (big,) = struct.unpack_from("<i", self._view, at.CALL_BIG)
        struct.pack_into("<i", self._view, at.CALL_BIG, 0)
        return bool(big)

    @property
    def progress(self) -> tuple[int, int]:
        """(pieces begun, pieces) of the grid that runs now, or ran last."""
        n = self._get(at.CALL_N_PIECES)
        return min(self._get(at.CALL_NEXT), n), n

    @property
    def n_shared_grids(self) -> int:
        """Grids of this run in which other workers took part."""
        return self._get(at.CALL_GRIDS)

    @property
    def fault(self) -> FaultRecord | None:
        code, site, n = struct.unpack_from("<iii", self._view, _FAULT + layout.FAULT_CODE)
        if code == 0:
            return None
        order = self._get(_FAULT + layout.FAULT_ORDER)
        n = max(0, min(n, layout.FAULT_MAX_VALUES))
        values = struct.unpack_from(f"<{n}q", self._view, _FAULT + layout.FAULT_VALUES)
        return FaultRecord(f"E{code:04d}", site, order, values)

    def lines(self) -> tuple[list[Line], int]:
        """Printed lines in the order of the program, and how many there were in all."""
        n, total = self._get(at.CALL_N_PRINTS), self._get(at.CALL_TOTAL_PRINTS)
        if n == 0:
            return [], total
        raw = ctypes.string_at(self._get(at.CALL_PRINTS), n * _LINE.size)
        rows = sorted(_LINE.iter_unpack(raw))  # stretch, element, time: the first three words
        return [Line(r[3], r[1], r[5 : 5 + r[4]]) for r in rows], total

    def site_times(self) -> list[SiteTime]:
        """Sites that were marked, in their order."""
        assert self._sites is not None
        rows = struct.iter_unpack("<3q", self._sites.raw[: self._n_sites * at.SITE_BYTES])
        return [SiteTime(n, *row) for n, row in enumerate(rows) if row[0] or row[1]]

    def marks(self) -> list[tuple[int, int, int]]:
        """(site, phase, monotonic ns) of the first 65,536 marks."""
        n = self._get(at.CALL_N_MARKS)
        if n == 0:
            return []
        return list(_MARK.iter_unpack(ctypes.string_at(self._get(at.CALL_MARKS), n * _MARK.size)))

    def _put(self, offset: int, value: int) -> None:
        struct.pack_into("<q", self._view, offset, value)

    def _get(self, offset: int) -> int:
        (value,) = struct.unpack_from("<q", self._view, offset)
        return int(value)
