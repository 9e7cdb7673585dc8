"""The bytes a compiled kernel sees: context, argument block, fault record, function table. The one page of the ABI.

Entry (C calling convention, no unwinding, no thread-local or static mutable data)::

    i32 entry(ctx: ptr, args: ptr, lo: i64, hi: i64)      0 = done, 1 = fault recorded, 2 = cancelled

`args` is a block of 8-byte slots, in the order of ``Signature.params`` (there a struct is its fields, one after the
other), then one slot per dimension:

    array   ptr, size[rank], stride[rank]      strides in elements, may be 0 or negative
    scalar  value in the low bytes, zero-extended (f32: its 4 bytes; bool: 0 or 1)
    result scalar   ptr to its element
    dim     i64

`lo, hi` select units of the flattened outer grid when the function consists of one grid (``Artifact.is_single_grid``);
``hi = -1`` means everything. A function of several steps is called with ``0, -1``; where tasks may call each other in
circles, a task hands those that it calls their depth and the lowest address that their frames may reach.

Context: one per worker and call, 64-byte aligned, fields at these byte offsets.

    0   cancel    ptr to i32     not 0: stop soon; polled by unbounded loops and once per grid chunk
    8   fault     ptr to the fault record of this call
    16  table     ptr to the function table
    24  worker    i64            0 .. n_workers - 1
    32  n_workers i64
    40  pool      ptr            the runtime's own
    48  arena     ptr            the runtime's own: this worker's scratch
    56  depth     i64            the runtime's own: 0 in the entry, more inside a body of parallel_for

Function table: function pointers, 8 bytes each, in the order of ``TABLE``.

    parallel_for(ctx, body, frame, n_units, chunk) -> i32   runs body(worker ctx, frame, lo, hi) over [0, n_units) in
                                        pieces of at most `chunk` units; returns the worst status. Pieces before a
                                        fault (in unit order) still run, so the smallest element is the one reported.
    scratch(ctx, bytes) -> ptr          64-byte aligned, this worker's; a later call on the same worker may return the
                                        same memory: one call per body. null: out of memory
    alloc(ctx, bytes, zeroed) -> ptr    64-byte aligned, zeroed if asked (i32), lives until freed; null: out of memory
    free(ctx, ptr)                      what is not freed when the entry returns (a fault) is freed by the runtime
    print(ctx, site, order, n, values)  queue a line: `n` 8-byte values, at most 32 (site, n: i32; order: i64)
    mark(ctx, site, phase)              a called kernel begins (0) or ends (1), for reports (i32, i32)

Fault record: 192 bytes. The first fault stops its worker's piece; of several the smallest `order` stays. A writer
takes `lock` with an atomic exchange (spinning), compares, writes, releases.

    0   lock   i32      4  code   i32  (0: none; E0601 is 601)     8  site  i32    12  n_values i32
    16  order  i64  (flattened element number, -1 in sequential code)
    24  values i64[16]  (index values and offending values, as the site says)
"""

from __future__ import annotations

from typing import Final

CTX_CANCEL: Final = 0
CTX_FAULT: Final = 8
CTX_TABLE: Final = 16
CTX_WORKER: Final = 24
CTX_N_WORKERS: Final = 32
CTX_POOL: Final = 40
CTX_ARENA: Final = 48
CTX_DEPTH: Final = 56
CTX_BYTES: Final = 64

TABLE: Final = ("parallel_for", "scratch", "alloc", "free", "print", "mark")
TABLE_OFFSET: Final = {name: 8 * i for i, name in enumerate(TABLE)}

FAULT_LOCK: Final = 0
FAULT_CODE: Final = 4
FAULT_SITE: Final = 8
FAULT_N_VALUES: Final = 12
FAULT_ORDER: Final = 16
FAULT_VALUES: Final = 24
FAULT_MAX_VALUES: Final = 16
FAULT_BYTES: Final = 192

PRINT_MAX_VALUES: Final = 32

# What tasks that call each other may use of a stack; who runs them (`Artifact.is_deep`) provides half as much again.
TASK_STACK_BYTES: Final = 160 << 20

DONE: Final = 0
FAULTED: Final = 1
CANCELLED: Final = 2
