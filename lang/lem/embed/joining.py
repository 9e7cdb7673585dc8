"""Joins callables with machine code on a thread of its own, so that no call waits until the way to it is compiled.

A first call runs through Python; what later calls take instead (see ``lem_runtime/call/wrapper.py``) is made when a moment
has passed in which no other kernel was called for the first time, so that those do not wait either. The
thread ends when there is nothing left to do, and the process waits for it: code that LLVM is in must not be torn down, and
the next process finds all of it on the disk.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

_QUIET_S = 0.05  # twice what a small kernel takes to compile
_LOOK_S = 0.005

_jobs: deque[Callable[[], None]] = deque()
_lock = threading.Lock()
_thread: threading.Thread | None = None
_last = 0.0  # when something was put off
_hurry = threading.Event()


def later(job: Callable[[], None]) -> None:
    """Run `job`, which raises nothing, soon. Jobs run one after another, in their order."""
    global _thread, _last
    with _lock:
        _jobs.append(job)
        _last = time.monotonic()
        if _thread is None:
            _thread = threading.Thread(target=_work, name="lem-join", daemon=False)
            try:
                _thread.start()
            except RuntimeError:  # no more threads, or the program ends: calls go on through Python
                _jobs.clear()
                _thread = None


def settled() -> None:
    """Wait until nothing is left to do: for tests and measurements."""
    while (thread := _thread) is not None:
        _hurry.set()
        thread.join()


def _work() -> None:
    global _thread
    while True:
        with _lock:
            if not _jobs:
                _hurry.clear()
                _thread = None
                return
            job = _jobs.popleft()
        while (left := _last + _QUIET_S - time.monotonic()) > 0 and threading.main_thread().is_alive():
            if _hurry.wait(min(left, _LOOK_S)):
                break
        job()
        del job  # or what it joins would live until the next one comes


def _after_fork() -> None:
    global _lock, _thread, _hurry
    _lock, _thread, _hurry = threading.Lock(), None, threading.Event()
    _jobs.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = ["later", "settled"]
