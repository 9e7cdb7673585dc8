"""The native core as text: thread pool and function table of ``abi/layout.py``, written in LLVM IR.

Gives :func:`core_text`, which a compiler turns into an object once per processor kind; ``native/__init__.py`` loads
it. The offsets below are the contract between this text and that module.

How a grid is run (``parallel_for``). A *call* owns everything about one run of a kernel; the *pool* is shared.

    caller    takes `busy`; writes the job; opens `gate`; counts `generation` up; wakes sleepers; works; closes `gate`;
              waits until nobody is inside; gives `busy` back
    worker    sees a new generation; enters through the gate (an atomic count, only while open); works; leaves

Who comes late finds the gate closed, or enters a later job, which is as good: job fields change only while nobody is
inside. A caller that finds the pool busy, or that is itself inside a piece, runs its pieces alone: nobody ever waits
for another caller, so there is no deadlock. Pieces are handed out in ascending order by one counter; after a fault in
piece F all pieces before F have been started and finish, later ones are skipped, so the smallest fault is reported.
"""

from __future__ import annotations

import sys
from string import Template
from typing import Final

from lem_runtime.abi import layout

# The call: one per run of a kernel.
CALL_POOL: Final = 0
CALL_CTXS: Final = 8  # contexts of bodies, one per worker
CALL_N_WORKERS: Final = 16
CALL_BODY: Final = 24
CALL_FRAME: Final = 32
CALL_N_UNITS: Final = 40
CALL_CHUNK: Final = 48
CALL_N_PIECES: Final = 56
CALL_LOCK: Final = 64  # i32: prints, marks, allocations
CALL_BIG: Final = 68  # i32: some scratch arena has grown beyond KEEP_BYTES
CALL_EPOCH: Final = 72  # counts sequential stretches and grids, so that prints can be put in order
CALL_PRINTS: Final = 80
CALL_N_PRINTS: Final = 88  # lines kept
CALL_TOTAL_PRINTS: Final = 96
CALL_WORST_PRINT: Final = 104  # index of the last of the kept lines once they are MAX_PRINTS, -1: look for it
CALL_MARKS: Final = 112
CALL_N_MARKS: Final = 120
CALL_SITES: Final = 128  # per site: begins, ends, total ns
CALL_N_SITES: Final = 136
CALL_ALLOCS: Final = 144  # list of what has not been freed
CALL_GRIDS: Final = 152  # grids run by several workers
CALL_NEXT: Final = 192  # on cache lines of their own: all workers write here
CALL_STOP_AT: Final = 256
CALL_STATUS: Final = 264
CALL_ENTRY_ARENA: Final = 320
CALL_BODY_ARENA: Final = 384
CALL_BYTES: Final = 448

# The pool: one per process. pthread objects take 40 to 64 bytes where we looked; 256 is for systems we did not see.
POOL_MUTEX: Final = 0
POOL_WORK: Final = 256
POOL_DONE: Final = 512
POOL_GENERATION: Final = 768
POOL_SHUTDOWN: Final = 776
POOL_SLEEPERS: Final = 780
POOL_WAITING: Final = 784
POOL_JOB: Final = 792
POOL_PROCESSOR: Final = 800  # i32: where the caller of the last job ran when it began
POOL_BUSY: Final = 832
POOL_GATE: Final = 896
POOL_ARENAS: Final = 960
ARENA_BYTES: Final = 64  # ptr, capacity, ptr to free
MAX_WORKERS: Final = 1024
POOL_KEPT: Final = POOL_ARENAS + ARENA_BYTES * MAX_WORKERS  # ring of freed blocks: ptr to free, its bytes
KEPT_BLOCKS: Final = 16
POOL_KEPT_LOCK: Final = POOL_KEPT + 16 * KEPT_BLOCKS
POOL_KEPT_AT: Final = POOL_KEPT_LOCK + 8  # i64: where the next block goes
POOL_KEPT_BYTES: Final = POOL_KEPT_LOCK + 16  # i64: of all of them
POOL_BYTES: Final = POOL_KEPT_LOCK + 64

MAX_PRINTS: Final = 1000
PRINT_VALUES: Final = layout.PRINT_MAX_VALUES
PRINT_WORDS: Final = 5 + PRINT_VALUES  # epoch, order, number of the line, site, n, values
MAX_MARKS: Final = 65536
MARK_BYTES: Final = 16  # i32 site, i32 phase, i64 ns
SITE_BYTES: Final = 24
KEEP_BYTES: Final = 64 << 20  # scratch kept from call to call, per worker
# Blocks below this come from memory that the C library keeps; of larger ones the system takes the pages back, and gives
# each of them anew, filled with zeros, when it is touched first: that costs more than most kernels do with it.
KEPT_LEAST: Final = 64 << 10
KEPT_MOST: Final = 64 << 20  # bytes of all blocks that are kept, per process

EXTERNALS: Final = (
    "malloc", "calloc", "free", "sched_yield", "clock_gettime",
    "pthread_mutex_init", "pthread_mutex_lock", "pthread_mutex_unlock",
    "pthread_cond_init", "pthread_cond_wait", "pthread_cond_signal", "pthread_cond_broadcast",
    "memcpy", "memmove", "memset", "sched_getcpu", "sched_getaffinity", "sched_setaffinity",
)  # fmt: skip

_PAUSE: Final = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}


def core_text(arch: str) -> str:
    """LLVM IR of the core for "x86_64", "aarch64" or another architecture (which then spins without a hint)."""
    declaration, pause = _PAUSE.get(arch, ("", "fence seq_cst"))
    numbers = {k: v for k, v in globals().items() if k.isupper() and isinstance(v, int)}
    numbers |= {k: v for k, v in vars(layout).items() if k.startswith(("CTX_", "FAULT_"))}
    clock = 6 if sys.platform == "darwin" else 1  # CLOCK_MONOTONIC
    words = {"DECLARE_PAUSE": declaration, "PAUSE": pause, "CLOCK": clock, "SPINS": 2000}
    apart = _APART if sys.platform == "linux" else _TOGETHER
    parts = (_HEAD, _MEMORY, apart, _GRID, _WORKER, _REPORT)
    return "".join(Template(part).substitute(numbers | words) for part in parts)


_HEAD: Final = """\
; The native core of the lem runtime: see native/pool.py, from which this text is made.
$DECLARE_PAUSE
declare ptr @malloc(i64)
declare ptr @calloc(i64, i64)
declare void @free(ptr)
declare ptr @memset(ptr, i32, i64)
declare ptr @memmove(ptr, ptr, i64)
declare i32 @sched_yield()
declare i32 @clock_gettime(i32, ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)

; For a few instructions at a time. Yields, because the holder may have lost its processor.
define internal void @lock(ptr %p) {
entry:
  br label %try
try:
  %old = atomicrmw xchg ptr %p, i32 1 acquire
  %free = icmp eq i32 %old, 0
  br i1 %free, label %done, label %wait
wait:
  $PAUSE
  %y = call i32 @sched_yield()
  %now = load atomic i32, ptr %p monotonic, align 4
  %again = icmp eq i32 %now, 0
  br i1 %again, label %try, label %wait
done:
  ret void
}

define internal void @unlock(ptr %p) {
  store atomic i32 0, ptr %p release, align 4
  ret void
}
"""

_MEMORY: Final = """
define internal void @arena_trim(ptr %arena, i64 %limit) {
entry:
  %cap_p = getelementptr i8, ptr %arena, i64 8
  %raw_p = getelementptr i8, ptr %arena, i64 16
  %cap = load i64, ptr %cap_p
  %big = icmp ugt i64 %cap, %limit
  br i1 %big, label %drop, label %done
drop:
  %raw = load ptr, ptr %raw_p
  call void @free(ptr %raw)
  store ptr null, ptr %arena
  store i64 0, ptr %cap_p
  store ptr null, ptr %raw_p
  br label %done
done:
  ret void
}

define ptr @lem_scratch(ptr %ctx, i64 %bytes) {
entry:
  %arena_p = getelementptr i8, ptr %ctx, i64 $CTX_ARENA
  %arena = load ptr, ptr %arena_p
  %cap_p = getelementptr i8, ptr %arena, i64 8
  %raw_p = getelementptr i8, ptr %arena, i64 16
  %cap = load i64, ptr %cap_p
  %fits = icmp ult i64 %bytes, %cap
  br i1 %fits, label %have, label %check
have:
  %old = load ptr, ptr %arena
  ret ptr %old
check:
  %mad = icmp ugt i64 %bytes, 1152921504606846976
  br i1 %mad, label %fail, label %grow
grow:
  %more = add i64 %bytes, 4096
  %want = and i64 %more, -4096
  call void @arena_trim(ptr %arena, i64 0)
  %room = add i64 %want, 64
  %raw = call ptr @malloc(i64 %room)
  %none = icmp eq ptr %raw, null
  br i1 %none, label %fail, label %got
got:
  %n0 = ptrtoint ptr %raw to i64
  %n1 = add i64 %n0, 63
  %n2 = and i64 %n1, -64
  %p = inttoptr i64 %n2 to ptr
  store ptr %p, ptr %arena
  store i64 %want, ptr %cap_p
  store ptr %raw, ptr %raw_p
  %big = icmp ugt i64 %want, $KEEP_BYTES
  br i1 %big, label %note, label %done
note:
  %call_p = getelementptr i8, ptr %ctx, i64 $CTX_POOL
  %call = load ptr, ptr %call_p
  %big_p = getelementptr i8, ptr %call, i64 $CALL_BIG
  store atomic i32 1, ptr %big_p monotonic, align 4
  br label %done
done:
  ret ptr %p
fail:
  ret ptr null
}

; A freed block that has room for %want bytes and not much more, or null.
define internal ptr @kept_take(ptr %pool, i64 %want) {
entry:
  %lock_p = getelementptr i8, ptr %pool, i64 $POOL_KEPT_LOCK
  %quarter = lshr i64 %want, 2
  %most = add i64 %want, %quarter
  call void @lock(ptr %lock_p)
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %next ]
  %off = shl i64 %i, 4
  %off1 = add i64 %off, $POOL_KEPT
  %slot = getelementptr i8, ptr %pool, i64 %off1
  %room_p = getelementptr i8, ptr %slot, i64 8
  %room = load i64, ptr %room_p
  %fits0 = icmp uge i64 %room, %want
  %fits1 = icmp ule i64 %room, %most
  %fits = and i1 %fits0, %fits1
  br i1 %fits, label %found, label %next
next:
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, $KEPT_BLOCKS
  br i1 %more, label %loop, label %none
found:
  %raw = load ptr, ptr %slot
  store ptr null, ptr %slot
  store i64 0, ptr %room_p
  %total_p = getelementptr i8, ptr %pool, i64 $POOL_KEPT_BYTES
  %total = load i64, ptr %total_p
  %rest = sub i64 %total, %room
  store i64 %rest, ptr %total_p
  br label %none
none:
  %out = phi ptr [ null, %next ], [ %raw, %found ]
  call void @unlock(ptr %lock_p)
  ret ptr %out
}

; Keep a block for the next allocation, in the place of the oldest one; or free it, where all would be too much.
define internal void @kept_give(ptr %pool, ptr %raw, i64 %room) {
entry:
  %lock_p = getelementptr i8, ptr %pool, i64 $POOL_KEPT_LOCK
  %at_p = getelementptr i8, ptr %pool, i64 $POOL_KEPT_AT
  %total_p = getelementptr i8, ptr %pool, i64 $POOL_KEPT_BYTES
  call void @lock(ptr %lock_p)
  %at = load i64, ptr %at_p
  %at1 = add i64 %at, 1
  %at2 = urem i64 %at1, $KEPT_BLOCKS
  store i64 %at2, ptr %at_p
  %off = shl i64 %at, 4
  %off1 = add i64 %off, $POOL_KEPT
  %slot = getelementptr i8, ptr %pool, i64 %off1
  %room_p = getelementptr i8, ptr %slot, i64 8
  %old = load ptr, ptr %slot
  %old_room = load i64, ptr %room_p
  %total = load i64, ptr %total_p
  %without = sub i64 %total, %old_room
  %with = add i64 %without, %room
  %fits = icmp ule i64 %with, $KEPT_MOST
  %now = select i1 %fits, ptr %raw, ptr null
  %now_room = select i1 %fits, i64 %room, i64 0
  %now_total = select i1 %fits, i64 %with, i64 %without
  store ptr %now, ptr %slot
  store i64 %now_room, ptr %room_p
  store i64 %now_total, ptr %total_p
  call void @unlock(ptr %lock_p)
  call void @free(ptr %old)
  br i1 %fits, label %done, label %drop
drop:
  call void @free(ptr %raw)
  br label %done
done:
  ret void
}

; 64 bytes in front of the memory: ptr to free, previous, next, bytes of the block. What a faulting kernel leaves behind is
; freed by lem_call_end through this list.
define ptr @lem_alloc(ptr %ctx, i64 %bytes, i32 %zeroed) {
entry:
  %mad = icmp ugt i64 %bytes, 1152921504606846976
  br i1 %mad, label %fail, label %try
try:
  %room = add i64 %bytes, 128
  %any = icmp eq i32 %zeroed, 0
  %call_p = getelementptr i8, ptr %ctx, i64 $CTX_POOL
  %call = load ptr, ptr %call_p
  %pool_p = getelementptr i8, ptr %call, i64 $CALL_POOL
  %pool = load ptr, ptr %pool_p
  %large = icmp uge i64 %room, $KEPT_LEAST
  br i1 %large, label %look, label %fresh
look:
  %kept = call ptr @kept_take(ptr %pool, i64 %room)
  %was_kept = icmp ne ptr %kept, null
  br i1 %was_kept, label %again, label %fresh
again:
  %k0 = ptrtoint ptr %kept to i64
  %k1 = add i64 %k0, 127
  %k2 = and i64 %k1, -64
  %k = inttoptr i64 %k2 to ptr
  %k_room_p = getelementptr i8, ptr %k, i64 -40
  %k_room = load i64, ptr %k_room_p
  br i1 %any, label %got, label %clear
clear:
  %m = call ptr @memset(ptr %k, i32 0, i64 %bytes)
  br label %got
fresh:
  br i1 %any, label %plain, label %zeros
plain:
  %raw0 = call ptr @malloc(i64 %room)
  br label %made
zeros:
  %raw1 = call ptr @calloc(i64 1, i64 %room)
  br label %made
made:
  %raw2 = phi ptr [ %raw0, %plain ], [ %raw1, %zeros ]
  %none = icmp eq ptr %raw2, null
  br i1 %none, label %fail, label %got
got:
  %raw = phi ptr [ %kept, %again ], [ %kept, %clear ], [ %raw2, %made ]
  %has = phi i64 [ %k_room, %again ], [ %k_room, %clear ], [ %room, %made ]
  %n0 = ptrtoint ptr %raw to i64
  %n1 = add i64 %n0, 127
  %n2 = and i64 %n1, -64
  %p = inttoptr i64 %n2 to ptr
  %head = getelementptr i8, ptr %p, i64 -64
  %prev_p = getelementptr i8, ptr %p, i64 -56
  %next_p = getelementptr i8, ptr %p, i64 -48
  %room_p = getelementptr i8, ptr %p, i64 -40
  store ptr %raw, ptr %head
  store ptr null, ptr %prev_p
  store i64 %has, ptr %room_p
  %lock_p = getelementptr i8, ptr %call, i64 $CALL_LOCK
  %list_p = getelementptr i8, ptr %call, i64 $CALL_ALLOCS
  call void @lock(ptr %lock_p)
  %first = load ptr, ptr %list_p
  store ptr %first, ptr %next_p
  store ptr %p, ptr %list_p
  %alone = icmp eq ptr %first, null
  br i1 %alone, label %linked, label %link
link:
  %back = getelementptr i8, ptr %first, i64 -56
  store ptr %p, ptr %back
  br label %linked
linked:
  call void @unlock(ptr %lock_p)
  ret ptr %p
fail:
  ret ptr null
}

define void @lem_free(ptr %ctx, ptr %p) {
entry:
  %none = icmp eq ptr %p, null
  br i1 %none, label %done, label %go
go:
  %call_p = getelementptr i8, ptr %ctx, i64 $CTX_POOL
  %call = load ptr, ptr %call_p
  call void @release(ptr %call, ptr %p)
  br label %done
done:
  ret void
}

define internal void @release(ptr %call, ptr %p) {
entry:
  %lock_p = getelementptr i8, ptr %call, i64 $CALL_LOCK
  %list_p = getelementptr i8, ptr %call, i64 $CALL_ALLOCS
  %head = getelementptr i8, ptr %p, i64 -64
  %prev_p = getelementptr i8, ptr %p, i64 -56
  %next_p = getelementptr i8, ptr %p, i64 -48
  call void @lock(ptr %lock_p)
  %prev = load ptr, ptr %prev_p
  %next = load ptr, ptr %next_p
  %is_first = icmp eq ptr %prev, null
  %prev_next = getelementptr i8, ptr %prev, i64 -48
  %forward = select i1 %is_first, ptr %list_p, ptr %prev_next
  store ptr %next, ptr %forward
  %is_last = icmp eq ptr %next, null
  br i1 %is_last, label %unlinked, label %back
back:
  %next_prev = getelementptr i8, ptr %next, i64 -56
  store ptr %prev, ptr %next_prev
  br label %unlinked
unlinked:
  call void @unlock(ptr %lock_p)
  %raw = load ptr, ptr %head
  %room_p = getelementptr i8, ptr %p, i64 -40
  %room = load i64, ptr %room_p
  %large = icmp uge i64 %room, $KEPT_LEAST
  br i1 %large, label %keep, label %drop
keep:
  %pool_p = getelementptr i8, ptr %call, i64 $CALL_POOL
  %pool = load ptr, ptr %pool_p
  call void @kept_give(ptr %pool, ptr %raw, i64 %room)
  ret void
drop:
  call void @free(ptr %raw)
  ret void
}

; After a call: give back what is left over.
define void @lem_call_end(ptr %call) {
entry:
  %list_p = getelementptr i8, ptr %call, i64 $CALL_ALLOCS
  br label %loop
loop:
  %p = load ptr, ptr %list_p
  %none = icmp eq ptr %p, null
  br i1 %none, label %done, label %one
one:
  call void @release(ptr %call, ptr %p)
  br label %loop
done:
  %a = getelementptr i8, ptr %call, i64 $CALL_ENTRY_ARENA
  %b = getelementptr i8, ptr %call, i64 $CALL_BODY_ARENA
  call void @arena_trim(ptr %a, i64 $KEEP_BYTES)
  call void @arena_trim(ptr %b, i64 $KEEP_BYTES)
  ret void
}

; Before a call's memory goes: free all that it owns.
define void @lem_call_drop(ptr %call) {
entry:
  call void @lem_call_end(ptr %call)
  %a = getelementptr i8, ptr %call, i64 $CALL_ENTRY_ARENA
  %b = getelementptr i8, ptr %call, i64 $CALL_BODY_ARENA
  call void @arena_trim(ptr %a, i64 0)
  call void @arena_trim(ptr %b, i64 0)
  %prints_p = getelementptr i8, ptr %call, i64 $CALL_PRINTS
  %marks_p = getelementptr i8, ptr %call, i64 $CALL_MARKS
  %prints = load ptr, ptr %prints_p
  %marks = load ptr, ptr %marks_p
  call void @free(ptr %prints)
  call void @free(ptr %marks)
  store ptr null, ptr %prints_p
  store ptr null, ptr %marks_p
  ret void
}

; Give back large arenas of the workers, unless the pool is at work.
define void @lem_trim(ptr %pool) {
entry:
  %busy_p = getelementptr i8, ptr %pool, i64 $POOL_BUSY
  %pair = cmpxchg ptr %busy_p, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %loop ]
  %off = mul i64 %i, $ARENA_BYTES
  %off1 = add i64 %off, $POOL_ARENAS
  %arena = getelementptr i8, ptr %pool, i64 %off1
  call void @arena_trim(ptr %arena, i64 $KEEP_BYTES)
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, $MAX_WORKERS
  br i1 %more, label %loop, label %end
end:
  store atomic i32 0, ptr %busy_p release, align 4
  br label %done
done:
  ret void
}
"""

# Linux wakes a thread where it ran last, or where it is woken from, and looks for an idle processor only where it thinks
# that there is one; two threads that take turns on one are always warm in its cache, which keeps them from being moved.
# So on two processors a worker could share its caller's for a second while the other one was idle (half of the speed).
_APART: Final = """
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
declare ptr @memcpy(ptr, ptr, i64)

; Note where the caller runs.
define internal void @note_processor(ptr %pool) {
  %at_p = getelementptr i8, ptr %pool, i64 $POOL_PROCESSOR
  %here = call i32 @sched_getcpu()
  store atomic i32 %here, ptr %at_p monotonic, align 4
  ret void
}

; Leave the caller's processor for another one that this thread may use; from there it may go anywhere again.
define internal void @move_apart(ptr %pool) {
entry:
  %mine = alloca [128 x i8], align 8
  %others = alloca [128 x i8], align 8
  %at_p = getelementptr i8, ptr %pool, i64 $POOL_PROCESSOR
  %there = load atomic i32, ptr %at_p monotonic, align 4
  %here = call i32 @sched_getcpu()
  %same = icmp eq i32 %here, %there
  %known = icmp ult i32 %here, 1024
  %ask = and i1 %same, %known
  br i1 %ask, label %look, label %done
look:
  %failed = call i32 @sched_getaffinity(i32 0, i64 128, ptr %mine)
  %ok = icmp eq i32 %failed, 0
  br i1 %ok, label %go, label %done
go:
  %copied = call ptr @memcpy(ptr %others, ptr %mine, i64 128)
  %n = zext i32 %here to i64
  %byte_n = lshr i64 %n, 3
  %byte_p = getelementptr i8, ptr %others, i64 %byte_n
  %bit_n = and i64 %n, 7
  %bit64 = shl i64 1, %bit_n
  %bit = trunc i64 %bit64 to i8
  %rest = xor i8 %bit, -1
  %byte = load i8, ptr %byte_p
  %without = and i8 %byte, %rest
  store i8 %without, ptr %byte_p
  %e1 = call i32 @sched_setaffinity(i32 0, i64 128, ptr %others)
  %e2 = call i32 @sched_setaffinity(i32 0, i64 128, ptr %mine)
  br label %done
done:
  ret void
}
"""

_TOGETHER: Final = """
define internal void @note_processor(ptr %pool) {
  ret void
}

define internal void @move_apart(ptr %pool) {
  ret void
}
"""

_GRID: Final = """
; Take pieces in ascending order until none is left, one faults, or the call is cancelled.
define internal void @run_pieces(ptr %call, ptr %ctx) {
entry:
  %body_p = getelementptr i8, ptr %call, i64 $CALL_BODY
  %frame_p = getelementptr i8, ptr %call, i64 $CALL_FRAME
  %n_p = getelementptr i8, ptr %call, i64 $CALL_N_UNITS
  %chunk_p = getelementptr i8, ptr %call, i64 $CALL_CHUNK
  %pieces_p = getelementptr i8, ptr %call, i64 $CALL_N_PIECES
  %next_p = getelementptr i8, ptr %call, i64 $CALL_NEXT
  %stop_p = getelementptr i8, ptr %call, i64 $CALL_STOP_AT
  %status_p = getelementptr i8, ptr %call, i64 $CALL_STATUS
  %cancel_p = getelementptr i8, ptr %ctx, i64 $CTX_CANCEL
  %body = load ptr, ptr %body_p
  %frame = load ptr, ptr %frame_p
  %n = load i64, ptr %n_p
  %chunk = load i64, ptr %chunk_p
  %pieces = load i64, ptr %pieces_p
  %cancel = load ptr, ptr %cancel_p
  br label %loop
loop:
  %piece = atomicrmw add ptr %next_p, i64 1 monotonic
  %have = icmp slt i64 %piece, %pieces
  br i1 %have, label %check, label %done
check:
  %stop = load atomic i64, ptr %stop_p monotonic, align 8
  %late = icmp sgt i64 %piece, %stop
  br i1 %late, label %done, label %poll
poll:
  %flag = load atomic i32, ptr %cancel monotonic, align 4
  %go = icmp eq i32 %flag, 0
  br i1 %go, label %work, label %cancelled
work:
  %lo = mul i64 %piece, %chunk
  %left = sub i64 %n, %lo
  %short = icmp slt i64 %left, %chunk
  %step = select i1 %short, i64 %left, i64 %chunk
  %hi = add i64 %lo, %step
  %s = call i32 %body(ptr %ctx, ptr %frame, i64 %lo, i64 %hi)
  %ok = icmp eq i32 %s, 0
  br i1 %ok, label %loop, label %ended
ended:
  %is_fault = icmp eq i32 %s, 1
  %at = select i1 %is_fault, i64 %piece, i64 -1
  br label %stop_here
cancelled:
  br label %stop_here
stop_here:
  %bad = phi i32 [ %s, %ended ], [ 2, %cancelled ]
  %from = phi i64 [ %at, %ended ], [ -1, %cancelled ]
  %o1 = atomicrmw umax ptr %status_p, i32 %bad monotonic
  %o2 = atomicrmw min ptr %stop_p, i64 %from monotonic
  br label %loop
done:
  ret void
}

define i32 @lem_parallel_for(ptr %ctx, ptr %body, ptr %frame, i64 %n, i64 %chunk0) {
entry:
  %depth_p = getelementptr i8, ptr %ctx, i64 $CTX_DEPTH
  %depth = load i64, ptr %depth_p
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %clamp, label %empty
empty:
  ret i32 0
clamp:
  %c1 = call i64 @llvm.smax.i64(i64 %chunk0, i64 1)
  %chunk = call i64 @llvm.smin.i64(i64 %c1, i64 %n)
  %outer = icmp eq i64 %depth, 0
  br i1 %outer, label %first, label %inner
inner:
  %si = call i32 @nested(ptr %ctx, ptr %body, ptr %frame, i64 %n, i64 %chunk)
  ret i32 %si
first:
  %so = call i32 @grid(ptr %ctx, ptr %body, ptr %frame, i64 %n, i64 %chunk)
  ret i32 %so
}

declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)

; Inside a piece: run on this worker, with a scratch arena of its own, so that the outer body keeps its memory.
define internal i32 @nested(ptr %ctx, ptr %body, ptr %frame, i64 %n, i64 %chunk) noinline {
entry:
  %child = alloca [8 x i64], align 64
  %arena = alloca [3 x i64], align 16
  br label %copy
copy:
  %i = phi i64 [ 0, %entry ], [ %i1, %copy ]
  %from = getelementptr i64, ptr %ctx, i64 %i
  %to = getelementptr i64, ptr %child, i64 %i
  %word = load i64, ptr %from
  store volatile i64 %word, ptr %to
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, 8
  br i1 %more, label %copy, label %set
set:
  %cap_p = getelementptr i8, ptr %arena, i64 8
  %raw_p = getelementptr i8, ptr %arena, i64 16
  store ptr null, ptr %arena
  store i64 0, ptr %cap_p
  store ptr null, ptr %raw_p
  %arena_p = getelementptr i8, ptr %child, i64 $CTX_ARENA
  store ptr %arena, ptr %arena_p
  %cancel_p = getelementptr i8, ptr %ctx, i64 $CTX_CANCEL
  %cancel = load ptr, ptr %cancel_p
  br label %loop
loop:
  %lo = phi i64 [ 0, %set ], [ %hi, %next ]
  %flag = load atomic i32, ptr %cancel monotonic, align 4
  %go = icmp eq i32 %flag, 0
  br i1 %go, label %work, label %end
work:
  %left = sub i64 %n, %lo
  %step = call i64 @llvm.smin.i64(i64 %left, i64 %chunk)
  %hi = add i64 %lo, %step
  %s = call i32 %body(ptr %child, ptr %frame, i64 %lo, i64 %hi)
  %ok = icmp eq i32 %s, 0
  br i1 %ok, label %next, label %end
next:
  %rest = icmp slt i64 %hi, %n
  br i1 %rest, label %loop, label %end
end:
  %status = phi i32 [ 2, %loop ], [ %s, %work ], [ 0, %next ]
  call void @arena_trim(ptr %arena, i64 0)
  ret i32 %status
}

; A grid of a sequential stretch: with the pool's help when it is free and there is more than one piece.
define internal i32 @grid(ptr %ctx, ptr %body, ptr %frame, i64 %n, i64 %chunk) noinline {
entry:
  %call_p = getelementptr i8, ptr %ctx, i64 $CTX_POOL
  %call = load ptr, ptr %call_p
  %epoch_p = getelementptr i8, ptr %call, i64 $CALL_EPOCH
  %body_p = getelementptr i8, ptr %call, i64 $CALL_BODY
  %frame_p = getelementptr i8, ptr %call, i64 $CALL_FRAME
  %n_p = getelementptr i8, ptr %call, i64 $CALL_N_UNITS
  %chunk_p = getelementptr i8, ptr %call, i64 $CALL_CHUNK
  %pieces_p = getelementptr i8, ptr %call, i64 $CALL_N_PIECES
  %next_p = getelementptr i8, ptr %call, i64 $CALL_NEXT
  %stop_p = getelementptr i8, ptr %call, i64 $CALL_STOP_AT
  %status_p = getelementptr i8, ptr %call, i64 $CALL_STATUS
  %workers_p = getelementptr i8, ptr %call, i64 $CALL_N_WORKERS
  %ctxs_p = getelementptr i8, ptr %call, i64 $CALL_CTXS
  %pool_p = getelementptr i8, ptr %call, i64 $CALL_POOL
  %e0 = load i64, ptr %epoch_p
  %e1 = add i64 %e0, 1
  store i64 %e1, ptr %epoch_p
  %before = sub i64 %n, 1
  %whole = sdiv i64 %before, %chunk
  %pieces = add i64 %whole, 1
  store ptr %body, ptr %body_p
  store ptr %frame, ptr %frame_p
  store i64 %n, ptr %n_p
  store i64 %chunk, ptr %chunk_p
  store i64 %pieces, ptr %pieces_p
  store atomic i64 0, ptr %next_p monotonic, align 8
  store atomic i64 9223372036854775807, ptr %stop_p monotonic, align 8
  store atomic i32 0, ptr %status_p monotonic, align 4
  %workers = load i64, ptr %workers_p
  %mine = load ptr, ptr %ctxs_p
  %pool = load ptr, ptr %pool_p
  %many_workers = icmp sgt i64 %workers, 1
  %many_pieces = icmp sgt i64 %pieces, 1
  %share = and i1 %many_workers, %many_pieces
  br i1 %share, label %ask, label %alone
ask:
  %busy_p = getelementptr i8, ptr %pool, i64 $POOL_BUSY
  %pair = cmpxchg ptr %busy_p, i32 0, i32 1 acquire monotonic
  %won = extractvalue { i32, i1 } %pair, 1
  br i1 %won, label %shared, label %alone
alone:
  call void @run_pieces(ptr %call, ptr %mine)
  br label %end
shared:
  %grids_p = getelementptr i8, ptr %call, i64 $CALL_GRIDS
  %g0 = load i64, ptr %grids_p
  %g1 = add i64 %g0, 1
  store i64 %g1, ptr %grids_p
  call void @post(ptr %pool, ptr %call)
  call void @run_pieces(ptr %call, ptr %mine)
  call void @settle(ptr %pool)
  store atomic i32 0, ptr %busy_p release, align 4
  br label %end
end:
  %e2 = add i64 %e1, 1
  store i64 %e2, ptr %epoch_p
  %status = load atomic i32, ptr %status_p monotonic, align 4
  %faulted = icmp eq i32 %status, 1
  br i1 %faulted, label %tidy, label %out
tidy:
  call void @drop_lines_behind(ptr %call, ptr %ctx, i64 %e1)
  br label %out
out:
  ret i32 %status
}

; Other workers may have run elements that come after the one that faults: what those printed is not shown. Lines that were
; too many to be kept come after all that were.
define internal void @drop_lines_behind(ptr %call, ptr %ctx, i64 %epoch) {
entry:
  %fault_p = getelementptr i8, ptr %ctx, i64 $CTX_FAULT
  %fault = load ptr, ptr %fault_p
  %order_p = getelementptr i8, ptr %fault, i64 $FAULT_ORDER
  %order = load i64, ptr %order_p
  %count_p = getelementptr i8, ptr %call, i64 $CALL_N_PRINTS
  %total_p = getelementptr i8, ptr %call, i64 $CALL_TOTAL_PRINTS
  %lines_p = getelementptr i8, ptr %call, i64 $CALL_PRINTS
  %worst_p = getelementptr i8, ptr %call, i64 $CALL_WORST_PRINT
  %count = load i64, ptr %count_p
  %lines = load ptr, ptr %lines_p
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %next ]
  %kept = phi i64 [ 0, %entry ], [ %kept1, %next ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %look, label %end
look:
  %from_n = mul i64 %i, $PRINT_WORDS
  %from = getelementptr i64, ptr %lines, i64 %from_n
  %at_p = getelementptr i64, ptr %from, i64 1
  %stretch = load i64, ptr %from
  %at = load i64, ptr %at_p
  %here = icmp eq i64 %stretch, %epoch
  %behind = icmp sgt i64 %at, %order
  %drop = and i1 %here, %behind
  br i1 %drop, label %next, label %keep
keep:
  %to_n = mul i64 %kept, $PRINT_WORDS
  %to = getelementptr i64, ptr %lines, i64 %to_n
  %bytes = mul i64 $PRINT_WORDS, 8
  %moved = call ptr @memmove(ptr %to, ptr %from, i64 %bytes)
  br label %next
next:
  %one = phi i64 [ 0, %look ], [ 1, %keep ]
  %kept1 = add i64 %kept, %one
  %i1 = add i64 %i, 1
  br label %loop
end:
  %dropped = icmp slt i64 %kept, %count
  br i1 %dropped, label %fewer, label %done
fewer:
  store i64 %kept, ptr %count_p
  store i64 %kept, ptr %total_p
  store i64 -1, ptr %worst_p
  br label %done
done:
  ret void
}

; Open the gate for a job and wake who sleeps.
define internal void @post(ptr %pool, ptr %call) {
entry:
  %job_p = getelementptr i8, ptr %pool, i64 $POOL_JOB
  %gate_p = getelementptr i8, ptr %pool, i64 $POOL_GATE
  %gen_p = getelementptr i8, ptr %pool, i64 $POOL_GENERATION
  %sleepers_p = getelementptr i8, ptr %pool, i64 $POOL_SLEEPERS
  %mutex = getelementptr i8, ptr %pool, i64 $POOL_MUTEX
  %work = getelementptr i8, ptr %pool, i64 $POOL_WORK
  store ptr %call, ptr %job_p
  call void @note_processor(ptr %pool)
  store atomic i64 4611686018427387904, ptr %gate_p seq_cst, align 8
  %g = atomicrmw add ptr %gen_p, i64 1 seq_cst
  %asleep = load atomic i32, ptr %sleepers_p seq_cst, align 4
  %any = icmp sgt i32 %asleep, 0
  br i1 %any, label %wake, label %done
wake:
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %b = call i32 @pthread_cond_broadcast(ptr %work)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %done
done:
  ret void
}

; Close the gate and wait until nobody is inside: a little while awake, then asleep.
define internal void @settle(ptr %pool) {
entry:
  %gate_p = getelementptr i8, ptr %pool, i64 $POOL_GATE
  %waiting_p = getelementptr i8, ptr %pool, i64 $POOL_WAITING
  %mutex = getelementptr i8, ptr %pool, i64 $POOL_MUTEX
  %done_c = getelementptr i8, ptr %pool, i64 $POOL_DONE
  %old = atomicrmw and ptr %gate_p, i64 -4611686018427387905 seq_cst
  br label %spin
spin:
  %i = phi i64 [ 0, %entry ], [ %i1, %again ]
  %inside = load atomic i64, ptr %gate_p seq_cst, align 8
  %out = icmp eq i64 %inside, 0
  br i1 %out, label %done, label %again
again:
  $PAUSE
  %i1 = add i64 %i, 1
  %patient = icmp ult i64 %i1, $SPINS
  br i1 %patient, label %spin, label %sleep
sleep:
  store atomic i32 1, ptr %waiting_p seq_cst, align 4
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  br label %look
look:
  %now = load atomic i64, ptr %gate_p seq_cst, align 8
  %empty = icmp eq i64 %now, 0
  br i1 %empty, label %awake, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr %done_c, ptr %mutex)
  br label %look
awake:
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  store atomic i32 0, ptr %waiting_p seq_cst, align 4
  br label %done
done:
  ret void
}
"""

_WORKER: Final = """
define void @lem_pool_init(ptr %pool) {
  %mutex = getelementptr i8, ptr %pool, i64 $POOL_MUTEX
  %work = getelementptr i8, ptr %pool, i64 $POOL_WORK
  %done = getelementptr i8, ptr %pool, i64 $POOL_DONE
  %a = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %b = call i32 @pthread_cond_init(ptr %work, ptr null)
  %c = call i32 @pthread_cond_init(ptr %done, ptr null)
  ret void
}

define void @lem_pool_stop(ptr %pool) {
  %shut_p = getelementptr i8, ptr %pool, i64 $POOL_SHUTDOWN
  %mutex = getelementptr i8, ptr %pool, i64 $POOL_MUTEX
  %work = getelementptr i8, ptr %pool, i64 $POOL_WORK
  store atomic i32 1, ptr %shut_p seq_cst, align 4
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %b = call i32 @pthread_cond_broadcast(ptr %work)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

; The life of worker `index` (1 and up; 0 is whoever calls). Returns when the pool stops.
define void @lem_worker(ptr %pool, i64 %index) {
entry:
  %gen_p = getelementptr i8, ptr %pool, i64 $POOL_GENERATION
  %shut_p = getelementptr i8, ptr %pool, i64 $POOL_SHUTDOWN
  %sleepers_p = getelementptr i8, ptr %pool, i64 $POOL_SLEEPERS
  %gate_p = getelementptr i8, ptr %pool, i64 $POOL_GATE
  %job_p = getelementptr i8, ptr %pool, i64 $POOL_JOB
  %waiting_p = getelementptr i8, ptr %pool, i64 $POOL_WAITING
  %mutex = getelementptr i8, ptr %pool, i64 $POOL_MUTEX
  %work_c = getelementptr i8, ptr %pool, i64 $POOL_WORK
  %done_c = getelementptr i8, ptr %pool, i64 $POOL_DONE
  br label %idle
idle:
  %seen = phi i64 [ -1, %entry ], [ %now, %enter ], [ %now, %leave ], [ %now, %tell ]
  br label %spin
spin:
  %i = phi i64 [ 0, %idle ], [ %i1, %again ]
  %g0 = load atomic i64, ptr %gen_p acquire, align 8
  %new0 = icmp ne i64 %g0, %seen
  br i1 %new0, label %go, label %again
again:
  $PAUSE
  %i1 = add i64 %i, 1
  %patient = icmp ult i64 %i1, $SPINS
  br i1 %patient, label %spin, label %sleep
sleep:
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %s0 = atomicrmw add ptr %sleepers_p, i32 1 seq_cst
  br label %look
look:
  %g1 = load atomic i64, ptr %gen_p seq_cst, align 8
  %new1 = icmp ne i64 %g1, %seen
  %shut1 = load atomic i32, ptr %shut_p seq_cst, align 4
  %stop1 = icmp ne i32 %shut1, 0
  %up = or i1 %new1, %stop1
  br i1 %up, label %awake, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr %work_c, ptr %mutex)
  br label %look
awake:
  %s1 = atomicrmw sub ptr %sleepers_p, i32 1 seq_cst
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %go
go:
  %now = load atomic i64, ptr %gen_p acquire, align 8
  %shut = load atomic i32, ptr %shut_p seq_cst, align 4
  %stop = icmp ne i32 %shut, 0
  br i1 %stop, label %end, label %place
place:
  call void @move_apart(ptr %pool)
  br label %enter
enter:
  %gate = load atomic i64, ptr %gate_p acquire, align 8
  %bit = and i64 %gate, 4611686018427387904
  %closed = icmp eq i64 %bit, 0
  br i1 %closed, label %idle, label %try
try:
  %gate1 = add i64 %gate, 1
  %pair = cmpxchg ptr %gate_p, i64 %gate, i64 %gate1 acq_rel monotonic
  %in = extractvalue { i64, i1 } %pair, 1
  br i1 %in, label %inside, label %enter
inside:
  %call = load ptr, ptr %job_p
  %n_p = getelementptr i8, ptr %call, i64 $CALL_N_WORKERS
  %n = load i64, ptr %n_p
  %wanted = icmp slt i64 %index, %n
  br i1 %wanted, label %work, label %leave
work:
  %ctxs_p = getelementptr i8, ptr %call, i64 $CALL_CTXS
  %ctxs = load ptr, ptr %ctxs_p
  %off = mul i64 %index, $CTX_BYTES
  %ctx = getelementptr i8, ptr %ctxs, i64 %off
  call void @run_pieces(ptr %call, ptr %ctx)
  br label %leave
leave:
  %before = atomicrmw sub ptr %gate_p, i64 1 seq_cst
  %last = icmp eq i64 %before, 1
  %waiting = load atomic i32, ptr %waiting_p seq_cst, align 4
  %asleep = icmp ne i32 %waiting, 0
  %both = and i1 %last, %asleep
  br i1 %both, label %tell, label %idle
tell:
  %l2 = call i32 @pthread_mutex_lock(ptr %mutex)
  %b2 = call i32 @pthread_cond_signal(ptr %done_c)
  %u2 = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %idle
end:
  ret void
}
"""

_REPORT: Final = """
; Is line a in front of line b? By stretch, then element, then time.
define internal i1 @in_front(ptr %a, ptr %b) {
entry:
  %a1p = getelementptr i64, ptr %a, i64 1
  %a2p = getelementptr i64, ptr %a, i64 2
  %b1p = getelementptr i64, ptr %b, i64 1
  %b2p = getelementptr i64, ptr %b, i64 2
  %a0 = load i64, ptr %a
  %a1 = load i64, ptr %a1p
  %a2 = load i64, ptr %a2p
  %b0 = load i64, ptr %b
  %b1 = load i64, ptr %b1p
  %b2 = load i64, ptr %b2p
  %lt0 = icmp slt i64 %a0, %b0
  %eq0 = icmp eq i64 %a0, %b0
  %lt1 = icmp slt i64 %a1, %b1
  %eq1 = icmp eq i64 %a1, %b1
  %lt2 = icmp slt i64 %a2, %b2
  %t1 = select i1 %eq1, i1 %lt2, i1 %lt1
  %t0 = select i1 %eq0, i1 %t1, i1 %lt0
  ret i1 %t0
}

; Index of the line that goes first when a better one comes.
define internal i64 @last_line(ptr %lines, i64 %count) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 1, %entry ], [ %i1, %loop ]
  %best = phi i64 [ 0, %entry ], [ %best1, %loop ]
  %ib = mul i64 %i, $PRINT_WORDS
  %bb = mul i64 %best, $PRINT_WORDS
  %ip = getelementptr i64, ptr %lines, i64 %ib
  %bp = getelementptr i64, ptr %lines, i64 %bb
  %later = call i1 @in_front(ptr %bp, ptr %ip)
  %best1 = select i1 %later, i64 %i, i64 %best
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %count
  br i1 %more, label %loop, label %done
done:
  ret i64 %best1
}

; Keeps the first MAX_PRINTS lines in the order of the program, whatever the order in which workers come, and counts all.
define void @lem_print(ptr %ctx, i32 %site, i64 %order, i32 %n, ptr %values) {
entry:
  %line = alloca [$PRINT_WORDS x i64], align 16
  %call_p = getelementptr i8, ptr %ctx, i64 $CTX_POOL
  %call = load ptr, ptr %call_p
  %lock_p = getelementptr i8, ptr %call, i64 $CALL_LOCK
  %epoch_p = getelementptr i8, ptr %call, i64 $CALL_EPOCH
  %total_p = getelementptr i8, ptr %call, i64 $CALL_TOTAL_PRINTS
  %count_p = getelementptr i8, ptr %call, i64 $CALL_N_PRINTS
  %lines_p = getelementptr i8, ptr %call, i64 $CALL_PRINTS
  %worst_p = getelementptr i8, ptr %call, i64 $CALL_WORST_PRINT
  call void @lock(ptr %lock_p)
  %total = load i64, ptr %total_p
  %total1 = add i64 %total, 1
  store i64 %total1, ptr %total_p
  ; a line of sequential code ends one stretch and begins another
  %sequential = icmp slt i64 %order, 0
  %up = zext i1 %sequential to i64
  %e0 = load i64, ptr %epoch_p
  %e1 = add i64 %e0, %up
  %e2 = add i64 %e1, %up
  store i64 %e2, ptr %epoch_p
  %w1 = getelementptr i64, ptr %line, i64 1
  %w2 = getelementptr i64, ptr %line, i64 2
  %w3 = getelementptr i64, ptr %line, i64 3
  %w4 = getelementptr i64, ptr %line, i64 4
  %w5 = getelementptr i64, ptr %line, i64 5
  %site64 = zext i32 %site to i64
  %n64 = zext i32 %n to i64
  %few = call i64 @llvm.umin.i64(i64 %n64, i64 $PRINT_VALUES)
  store i64 %e1, ptr %line
  store i64 %order, ptr %w1
  store i64 %total, ptr %w2
  store i64 %site64, ptr %w3
  store i64 %few, ptr %w4
  br label %copy
copy:
  %i = phi i64 [ 0, %entry ], [ %i1, %value ]
  %more = icmp ult i64 %i, %few
  br i1 %more, label %value, label %room
value:
  %from = getelementptr i64, ptr %values, i64 %i
  %to = getelementptr i64, ptr %w5, i64 %i
  %v = load i64, ptr %from
  store volatile i64 %v, ptr %to
  %i1 = add i64 %i, 1
  br label %copy
room:
  %lines0 = load ptr, ptr %lines_p
  %none = icmp eq ptr %lines0, null
  br i1 %none, label %make, label %place
make:
  %size = mul i64 $MAX_PRINTS, $PRINT_WORDS
  %made = call ptr @calloc(i64 %size, i64 8)
  store ptr %made, ptr %lines_p
  %no = icmp eq ptr %made, null
  br i1 %no, label %done, label %place
place:
  %lines = load ptr, ptr %lines_p
  %count = load i64, ptr %count_p
  %free = icmp ult i64 %count, $MAX_PRINTS
  br i1 %free, label %append, label %full
append:
  %count1 = add i64 %count, 1
  store i64 %count1, ptr %count_p
  store i64 -1, ptr %worst_p
  br label %write
full:
  %known = load i64, ptr %worst_p
  %unknown = icmp slt i64 %known, 0
  br i1 %unknown, label %search, label %compare
search:
  %found = call i64 @last_line(ptr %lines, i64 $MAX_PRINTS)
  store i64 %found, ptr %worst_p
  br label %compare
compare:
  %worst = phi i64 [ %known, %full ], [ %found, %search ]
  %wo = mul i64 %worst, $PRINT_WORDS
  %wp = getelementptr i64, ptr %lines, i64 %wo
  %better = call i1 @in_front(ptr %line, ptr %wp)
  br i1 %better, label %replace, label %done
replace:
  store i64 -1, ptr %worst_p
  br label %write
write:
  %slot = phi i64 [ %count, %append ], [ %worst, %replace ]
  %so = mul i64 %slot, $PRINT_WORDS
  %sp = getelementptr i64, ptr %lines, i64 %so
  br label %move
move:
  %j = phi i64 [ 0, %write ], [ %j1, %move ]
  %jf = getelementptr i64, ptr %line, i64 %j
  %jt = getelementptr i64, ptr %sp, i64 %j
  %jv = load i64, ptr %jf
  store volatile i64 %jv, ptr %jt
  %j1 = add i64 %j, 1
  %rest = icmp ult i64 %j1, $PRINT_WORDS
  br i1 %rest, label %move, label %done
done:
  call void @unlock(ptr %lock_p)
  ret void
}

declare i64 @llvm.umin.i64(i64, i64)

; Total time of a site is the sum of its ends less the sum of its begins, right also when calls overlap.
define void @lem_mark(ptr %ctx, i32 %site, i32 %phase) {
entry:
  %ts = alloca [2 x i64], align 16
  %call_p = getelementptr i8, ptr %ctx, i64 $CTX_POOL
  %call = load ptr, ptr %call_p
  %lock_p = getelementptr i8, ptr %call, i64 $CALL_LOCK
  %sites_p = getelementptr i8, ptr %call, i64 $CALL_SITES
  %n_p = getelementptr i8, ptr %call, i64 $CALL_N_SITES
  %marks_p = getelementptr i8, ptr %call, i64 $CALL_MARKS
  %count_p = getelementptr i8, ptr %call, i64 $CALL_N_MARKS
  %r = call i32 @clock_gettime(i32 $CLOCK, ptr %ts)
  %frac_p = getelementptr i64, ptr %ts, i64 1
  %sec = load i64, ptr %ts
  %frac = load i64, ptr %frac_p
  %sec_ns = mul i64 %sec, 1000000000
  %ns = add i64 %sec_ns, %frac
  call void @lock(ptr %lock_p)
  %site64 = zext i32 %site to i64
  %n = load i64, ptr %n_p
  %known = icmp ult i64 %site64, %n
  br i1 %known, label %sum, label %note
sum:
  %sites = load ptr, ptr %sites_p
  %off = mul i64 %site64, $SITE_BYTES
  %row = getelementptr i8, ptr %sites, i64 %off
  %ends = icmp ne i32 %phase, 0
  %column = zext i1 %ends to i64
  %tally_p = getelementptr i64, ptr %row, i64 %column
  %tally = load i64, ptr %tally_p
  %tally1 = add i64 %tally, 1
  store i64 %tally1, ptr %tally_p
  %minus = sub i64 0, %ns
  %step = select i1 %ends, i64 %ns, i64 %minus
  %time_p = getelementptr i64, ptr %row, i64 2
  %time = load i64, ptr %time_p
  %time1 = add i64 %time, %step
  store i64 %time1, ptr %time_p
  br label %note
note:
  %count = load i64, ptr %count_p
  %room = icmp ult i64 %count, $MAX_MARKS
  br i1 %room, label %get, label %done
get:
  %marks0 = load ptr, ptr %marks_p
  %none = icmp eq ptr %marks0, null
  br i1 %none, label %make, label %write
make:
  %made = call ptr @calloc(i64 $MAX_MARKS, i64 $MARK_BYTES)
  store ptr %made, ptr %marks_p
  %no = icmp eq ptr %made, null
  br i1 %no, label %done, label %write
write:
  %marks = load ptr, ptr %marks_p
  %mo = mul i64 %count, $MARK_BYTES
  %mp = getelementptr i8, ptr %marks, i64 %mo
  %phase_p = getelementptr i8, ptr %mp, i64 4
  %at_p = getelementptr i8, ptr %mp, i64 8
  store i32 %site, ptr %mp
  store i32 %phase, ptr %phase_p
  store i64 %ns, ptr %at_p
  %count1 = add i64 %count, 1
  store i64 %count1, ptr %count_p
  br label %done
done:
  call void @unlock(ptr %lock_p)
  ret void
}
"""
