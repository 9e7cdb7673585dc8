"""The native core: grids in pieces, faults, cancellation, memory, prints, times; several callers; fork."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lem_runtime import native
from lem_runtime.abi import layout
from lem_runtime.loader import load
from lem_runtime.native import pool as text
from tests.support import kernels
from tests.support.llvm import compile_ir

ROOT = Path(__file__).parents[2]
PARALLEL_FOR, SCRATCH, ALLOC, FREE, PRINT, MARK = (layout.TABLE_OFFSET[n] for n in layout.TABLE)


def run_ir(body: str, n_units: int, threads: int, *, chunk: int = 4, words: int = 0, sites: int = 0) -> Outcome:
    """Compile a body, run it over `n_units` units; its frame holds the number of units and then `words` words."""
    ir = kernels.HELPERS + body + kernels.entry_around("body", 0, chunk)
    loaded = load(compile_ir(ir), native.externals())
    frame = (ctypes.c_int64 * (1 + words))(n_units)
    call = kernels.core().call(threads, sites)
    status = call.run(loaded.address("entry"), ctypes.addressof(frame))
    outcome = Outcome(status, list(frame)[1:], call)
    kernels.core().give_back(call)
    return outcome


class Outcome:
    def __init__(self, status: int, words: list[int], call: native.Call) -> None:
        self.status = status
        self.words = words
        self.fault = call.fault
        self.lines, self.n_lines = call.lines()
        self.times = call.site_times()
        self.marks = call.marks()
        self.n_shared_grids = call.n_shared_grids


def each_unit(code: str) -> str:
    """A body that runs `code` for each unit %i; `code` may branch to %next and %fail."""
    return f"""
define internal i32 @body(ptr %ctx, ptr %frame, i64 %lo, i64 %hi) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %i1, %next ]
{code}
next:
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %hi
  br i1 %more, label %loop, label %done
done:
  ret i32 0
fail:
  %st = call i32 @fault(ptr %ctx, i32 601, i32 0, i64 %i, i64 %i)
  ret i32 %st
}}
"""


COUNT = each_unit("""
  %at = add i64 %i, 1
  %p = getelementptr i64, ptr %frame, i64 %at
  %old = load i64, ptr %p
  %new = add i64 %old, 1
  store i64 %new, ptr %p
  br i1 false, label %fail, label %next
""")


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n_units", [0, 1, 4, 5, 1000])
def test_every_unit_runs_once(n_units: int, threads: int) -> None:
    outcome = run_ir(COUNT, n_units, threads, words=n_units)
    assert outcome.status == layout.DONE
    assert outcome.words == [1] * n_units


def test_chunk_below_one_counts_as_one() -> None:
    assert run_ir(COUNT, 10, 2, chunk=0, words=10).words == [1] * 10


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_smallest_fault_is_reported(threads: int) -> None:
    fails_at = each_unit("""
  %r = urem i64 %i, 97
  %bad = icmp eq i64 %r, 90
  br i1 %bad, label %fail, label %next
""")
    for _ in range(20):
        outcome = run_ir(fails_at, 2000, threads, chunk=3)
        assert outcome.status == layout.FAULTED
        assert outcome.fault is not None
        assert (outcome.fault.code, outcome.fault.order, outcome.fault.values) == ("E0601", 90, (90,))


def test_pieces_in_front_of_a_fault_run_and_late_ones_do_not() -> None:
    count_then_fail = each_unit("""
  %at = add i64 %i, 1
  %p = getelementptr i64, ptr %frame, i64 %at
  store i64 1, ptr %p
  %bad = icmp eq i64 %i, 500
  br i1 %bad, label %fail, label %next
""")
    outcome = run_ir(count_then_fail, 100_000, 3, chunk=1, words=100_000)
    assert outcome.words[:501] == [1] * 501
    assert sum(outcome.words) < 50_000


def test_nested_grid_runs_on_its_worker_with_its_own_scratch() -> None:
    # The outer body writes its number to scratch, runs an inner grid that also uses scratch, and looks again.
    inner = """
define internal i32 @inner(ptr %ctx, ptr %frame, i64 %lo, i64 %hi) {
  %f = call ptr @table(ptr %ctx, i64 SCRATCH)
  %p = call ptr %f(ptr %ctx, i64 64, i32 0)
  store i64 -1, ptr %p
  %o = atomicrmw add ptr %frame, i64 1 monotonic
  ret i32 0
}
"""
    outer = each_unit("""
  %f = call ptr @table(ptr %ctx, i64 SCRATCH)
  %p = call ptr %f(ptr %ctx, i64 64, i32 0)
  store i64 %i, ptr %p
  %sum_p = getelementptr i64, ptr %frame, i64 1
  %g = call ptr @table(ptr %ctx, i64 PARALLEL)
  %s = call i32 %g(ptr %ctx, ptr @inner, ptr %sum_p, i64 10, i64 3)
  %v = load i64, ptr %p
  %bad = icmp ne i64 %v, %i
  br i1 %bad, label %fail, label %next
""")
    ir = (inner + outer).replace("SCRATCH", str(SCRATCH)).replace("PARALLEL", str(PARALLEL_FOR))
    outcome = run_ir(ir, 50, 2, words=1)
    assert outcome.status == layout.DONE
    assert outcome.words == [50 * 4]


def test_scratch_is_aligned_grows_and_refuses_madness() -> None:
    ir = each_unit(f"""
  %f = call ptr @table(ptr %ctx, i64 {SCRATCH})
  %size = mul i64 %i, 5000
  %p = call ptr %f(ptr %ctx, i64 %size, i32 1)
  %n = ptrtoint ptr %p to i64
  %low = and i64 %n, 63
  %end = getelementptr i8, ptr %p, i64 %size
  %last = getelementptr i8, ptr %end, i64 -1
  %first = icmp eq i64 %i, 0
  %to = select i1 %first, ptr %p, ptr %last
  store i8 1, ptr %to
  %null = call ptr %f(ptr %ctx, i64 -1)
  %given = icmp ne ptr %null, null
  %huge = call ptr %f(ptr %ctx, i64 1152921504606846970)
  %given2 = icmp ne ptr %huge, null
  %crooked = icmp ne i64 %low, 0
  %b1 = or i1 %given, %crooked
  %bad = or i1 %b1, %given2
  br i1 %bad, label %fail, label %next
""")
    assert run_ir(ir, 60, 2).status == layout.DONE


def test_alloc_is_zeroed_aligned_and_freed() -> None:
    ir = each_unit(f"""
  %f = call ptr @table(ptr %ctx, i64 {ALLOC})
  %g = call ptr @table(ptr %ctx, i64 {FREE})
  %size = add i64 %i, 8
  %p = call ptr %f(ptr %ctx, i64 %size, i32 1)
  %q = call ptr %f(ptr %ctx, i64 64, i32 0)
  %n = ptrtoint ptr %p to i64
  %low = and i64 %n, 63
  %v = load i64, ptr %p
  %wrong = or i64 %low, %v
  store i64 -1, ptr %p
  store i64 -1, ptr %q
  call void %g(ptr %ctx, ptr %p)
  call void %g(ptr %ctx, ptr null)
  %none = call ptr %f(ptr %ctx, i64 -8, i32 1)
  %given = icmp ne ptr %none, null
  %bad0 = icmp ne i64 %wrong, 0
  %bad = or i1 %bad0, %given
  br i1 %bad, label %fail, label %next
""")  # q is left to the runtime
    assert run_ir(ir, 3000, 3).status == layout.DONE


@pytest.mark.parametrize("threads", [1, 3])
def test_large_blocks_are_kept_and_given_again(threads: int) -> None:
    """Zeroed where that is asked for, and never more of them than so many bytes."""
    ir = each_unit(f"""
  %f = call ptr @table(ptr %ctx, i64 {ALLOC})
  %g = call ptr @table(ptr %ctx, i64 {FREE})
  %part = mul i64 %i, 100000
  %size = add i64 %part, 200000
  %p = call ptr %f(ptr %ctx, i64 %size, i32 0)
  %end = add i64 %size, -8
  %p_end = getelementptr i8, ptr %p, i64 %end
  store i64 -1, ptr %p
  store i64 -1, ptr %p_end
  call void %g(ptr %ctx, ptr %p)
  %q = call ptr %f(ptr %ctx, i64 %size, i32 1)
  %q_end = getelementptr i8, ptr %q, i64 %end
  %v = load i64, ptr %q
  %v_end = load i64, ptr %q_end
  %low0 = ptrtoint ptr %q to i64
  %low = and i64 %low0, 63
  %w0 = or i64 %v, %v_end
  %w1 = or i64 %w0, %low
  call void %g(ptr %ctx, ptr %q)
  %bad = icmp ne i64 %w1, 0
  br i1 %bad, label %fail, label %next
""")
    assert run_ir(ir, 400, threads).status == layout.DONE
    pool, _ = kernels.core()._pool_of(threads)
    kept = ctypes.c_int64.from_address(pool.address + text.POOL_KEPT_BYTES).value
    assert 0 < kept <= text.KEPT_MOST


@pytest.mark.parametrize("threads", [1, 3])
def test_prints_come_in_the_order_of_the_grid(threads: int) -> None:
    ir = each_unit(f"""
  %f = call ptr @table(ptr %ctx, i64 {PRINT})
  %v = alloca i64
  store i64 %i, ptr %v
  call void %f(ptr %ctx, i32 7, i64 %i, i32 1, ptr %v)
  br i1 false, label %fail, label %next
""")
    outcome = run_ir(ir, 3000, threads, chunk=1)
    assert outcome.n_lines == 3000
    assert [(line.site, line.order, line.values) for line in outcome.lines] == [(7, n, (n,)) for n in range(1000)]


@pytest.mark.parametrize("n_lines", [40, 3000])
def test_lines_of_elements_behind_a_fault_are_not_shown(n_lines: int) -> None:
    """Element 30 waits until another worker has run the last one, and faults."""
    slow = (
        each_unit(f"""
  %v = alloca i64
  store i64 %i, ptr %v
  %print = call ptr @table(ptr %ctx, i64 {PRINT})
  call void %print(ptr %ctx, i32 0, i64 %i, i32 1, ptr %v)
  %is30 = icmp eq i64 %i, 30
  %is_last = icmp eq i64 %i, {n_lines - 1}
  %word = getelementptr i64, ptr %frame, i64 1
  br i1 %is_last, label %tell, label %ask
tell:
  store atomic i64 1, ptr %word seq_cst, align 8
  br label %ask
ask:
  br i1 %is30, label %wait, label %next
wait:
  %told = load atomic i64, ptr %word seq_cst, align 8
  %yes = icmp ne i64 %told, 0
  br i1 %yes, label %fail, label %wait
""")
        .replace("  %v = alloca i64\n", "")
        .replace("entry:\n", "entry:\n  %v = alloca i64\n")
    )
    outcome = run_ir(slow, n_lines, 3, chunk=1, words=1)
    assert outcome.fault is not None and outcome.fault.order == 30
    assert [line.order for line in outcome.lines] == list(range(31))
    assert outcome.n_lines == 31


def test_sequential_prints_keep_their_place_around_a_grid() -> None:
    ir = f"""
define internal i32 @body(ptr %ctx, ptr %frame, i64 %lo, i64 %hi) {{
  %f = call ptr @table(ptr %ctx, i64 {PRINT})
  call void %f(ptr %ctx, i32 1, i64 %lo, i32 0, ptr null)
  ret i32 0
}}
define i32 @entry(ptr %ctx, ptr %args, i64 %lo, i64 %hi) {{
  %f = call ptr @table(ptr %ctx, i64 {PRINT})
  %g = call ptr @table(ptr %ctx, i64 {PARALLEL_FOR})
  call void %f(ptr %ctx, i32 0, i64 -1, i32 0, ptr null)
  %a = call i32 %g(ptr %ctx, ptr @body, ptr %args, i64 3, i64 1)
  call void %f(ptr %ctx, i32 2, i64 -1, i32 0, ptr null)
  %b = call i32 %g(ptr %ctx, ptr @body, ptr %args, i64 2, i64 1)
  ret i32 0
}}
"""
    loaded = load(compile_ir(kernels.HELPERS + ir), native.externals())
    call = kernels.core().call(2, 0)
    assert call.run(loaded.address("entry"), 0) == layout.DONE
    assert [line.site for line in call.lines()[0]] == [0, 1, 1, 1, 2, 1, 1]
    kernels.core().give_back(call)


def test_marks_give_counts_and_times() -> None:
    ir = each_unit(f"""
  %f = call ptr @table(ptr %ctx, i64 {MARK})
  call void %f(ptr %ctx, i32 1, i32 0)
  call void %f(ptr %ctx, i32 1, i32 1)
  br i1 false, label %fail, label %next
""")
    outcome = run_ir(ir, 40_000, 2, sites=3)
    (only,) = outcome.times
    assert (only.site, only.begins, only.ends) == (1, 40_000, 40_000)
    assert 0 < only.total_ns < 10**11
    assert len(outcome.marks) == 65_536


SPIN = f"""
define internal i32 @body(ptr %ctx, ptr %frame, i64 %lo, i64 %hi) {{
entry:
  %p = getelementptr i8, ptr %ctx, i64 {layout.CTX_CANCEL}
  %c = load ptr, ptr %p
  br label %loop
loop:
  %v = load atomic i32, ptr %c monotonic, align 4
  %stop = icmp ne i32 %v, 0
  br i1 %stop, label %out, label %loop
out:
  ret i32 2
}}
"""


def test_cancel_ends_an_endless_grid() -> None:
    loaded = load(compile_ir(kernels.HELPERS + SPIN + kernels.entry_around("body", 0, 1)), native.externals())
    frame = (ctypes.c_int64 * 1)(100)
    call = kernels.core().call(2, 0)
    threading.Timer(0.05, call.cancel).start()
    started = time.monotonic()
    assert call.run(loaded.address("entry"), ctypes.addressof(frame)) == layout.CANCELLED
    assert time.monotonic() - started < 20
    kernels.core().give_back(call)


def test_several_callers_at_once_do_not_wait_for_each_other() -> None:
    failures: list[object] = []

    def work() -> None:
        for _ in range(50):
            outcome = run_ir(COUNT, 300, 3, words=300)
            if outcome.status != layout.DONE or outcome.words != [1] * 300:
                failures.append(outcome.words)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not failures
    assert not any(t.is_alive() for t in threads)


def test_workers_take_part() -> None:
    who = (
        each_unit(f"""
  %p = getelementptr i8, ptr %ctx, i64 {layout.CTX_WORKER}
  %w = load i64, ptr %p
  %at = add i64 %w, 1
  %q = getelementptr i64, ptr %frame, i64 %at
  %o = atomicrmw add ptr %q, i64 1 monotonic
  br label %spin
spin:
  %k = phi i64 [ 0, %loop ], [ %k1, %spin ]
  %k1 = add i64 %k, 1
  store volatile i64 %k1, ptr %q2
  %enough = icmp ugt i64 %k1, 20000
  br i1 %enough, label %out, label %spin
out:
  br i1 false, label %fail, label %next
""")
        .replace("ptr %q2", "ptr %frame0")
        .replace("entry:\n", "entry:\n  %frame0 = alloca i64\n")
    )
    outcome = run_ir(who, 2000, 2, chunk=1, words=2)
    assert sum(outcome.words) == 2000
    assert outcome.n_shared_grids == 1
    assert min(outcome.words) > 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
@pytest.mark.parametrize("n_processors", [1, 2])
def test_workers_that_leave_their_callers_processor_keep_their_mask(n_processors: int) -> None:
    """In a process of its own: a worker that begins where its caller runs, and may go elsewhere or may not."""
    code = f"""
import os, threading, time
from tests.unit.test_pool import COUNT, run_ir
mine = sorted(os.sched_getaffinity(0))[:{n_processors}]
os.sched_setaffinity(0, mine[:1])
assert run_ir(COUNT, 1000, 2, words=1000).words == [1] * 1000
worker = next(t.native_id for t in threading.enumerate() if t.name == "lem-worker-1")
os.sched_setaffinity(worker, mine)
for _ in range(200):
    assert run_ir(COUNT, 1000, 2, words=1000).words == [1] * 1000
time.sleep(0.2)
assert sorted(os.sched_getaffinity(worker)) == mine
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_a_pool_of_its_own() -> None:
    program = """
import os, warnings
warnings.simplefilter("ignore")
from tests.unit.test_pool import COUNT, run_ir
assert run_ir(COUNT, 500, 3, words=500).words == [1] * 500
child = os.fork()
if child == 0:
    ok = run_ir(COUNT, 500, 3, words=500).words == [1] * 500
    os._exit(0 if ok else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert run_ir(COUNT, 500, 3, words=500).words == [1] * 500
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_process_ends_although_workers_sleep() -> None:
    program = "from tests.unit.test_pool import COUNT, run_ir; run_ir(COUNT, 100, 4, words=100)"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 20
