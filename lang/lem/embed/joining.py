"""Joins callables with machine code on a thread of its own, so that a first call does not wait until the way to the code is
compiled.

A first call runs through Python; what later calls take instead (see ``lem_runtime/call/wrapper.py``) is made when a moment
has passed in which no other kernel was called for the first time, so that those do not wait either. A second call that comes
before sees to it itself: a thread that has to share the interpreter with a loop of calls gets nowhere. The thread ends when
there is nothing left to do, and the process waits for it: code that LLVM is in must not be torn down, and the next process
finds all of it on the disk.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

_QUIET_S = 0.05  # twice what a small kernel takes to compile
_LOOK_S = 0.005

_lock = threading.Lock()
_thread: threading.Thread | None = None
_last = 0.0  # when something was put off
_hurry = threading.Event()


class Later:
    """A job that raises nothing, and is done soon. Jobs run one after another, in their order."""

    def __init__(self, job: Callable[[], None]) -> None:
        global _thread, _last
        self._job = job
        self._done = threading.Event()
        with _lock:
            _jobs.append(self)
            _last = time.monotonic()
            if _thread is None:
                _thread = threading.Thread(target=_work, name="lem-join", daemon=False)
                try:
                    _thread.start()
                except RuntimeError:  # no more threads, or the program ends: who needs it does it
                    _thread = None

    def finish(self) -> None:
        """Do it here and now, or wait for the thread that is at it."""
        with _lock:
            is_mine = self in _jobs
            if is_mine:
                _jobs.remove(self)
        if is_mine:
            self.run()
        else:
            self._done.wait()

    def run(self) -> None:
        try:
            self._job()
        finally:
            self._done.set()


_jobs: deque[Later] = deque()


def settled() -> None:
    """Wait until nothing is left to do: for tests and measurements."""
    while (thread := _thread) is not None:
        _hurry.set()
        thread.join()


def _work() -> None:
    global _thread
    while True:
        while (left := _last + _QUIET_S - time.monotonic()) > 0 and _jobs and threading.main_thread().is_alive():
            if _hurry.wait(min(left, _LOOK_S)):
                break
        with _lock:
            if not _jobs:
                _hurry.clear()
                _thread = None
                return
            job = _jobs.popleft()
        job.run()
        del job  # or what it joins would live until the next one comes


def _after_fork() -> None:
    global _lock, _thread, _hurry
    _lock, _thread, _hurry = threading.Lock(), None, threading.Event()
    _jobs.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = ["Later", "settled"]
