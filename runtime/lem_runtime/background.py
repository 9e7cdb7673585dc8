"""Runs a function on another thread while this one stays able to answer Ctrl-C and a clock.

A thread is kept for the next use, so that handing over costs some ten microseconds. Python delivers signals to the
main thread only between bytecodes, and a compiled kernel has none: hence the second thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """A function under way: wait for it with a limit, then ask for its result."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._done = threading.Lock()  # held until the result is there; cheaper than an Event
        self._done.acquire()
        self._is_done = False
        self._result: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result.append(self._function())
        except BaseException as e:  # handed to whoever waits
            self._error = e
        self._is_done = True
        self._done.release()

    def wait(self, seconds: float) -> bool:
        """True when the function has ended. A signal may raise out of this."""
        if not self._is_done and self._done.acquire(timeout=max(0.0, seconds)):
            self._done.release()
        return self._is_done

    def result(self) -> T:
        """What the function returned or raised."""
        if self._error is not None:
            raise self._error
        return self._result[0]


class _Courier:
    """A thread that runs one job after another; with a large stack of its own, or the usual one (0 bytes)."""

    def __init__(self, stack_bytes: int) -> None:
        self.jobs: SimpleQueue[Job[object]] = SimpleQueue()
        self._stack_bytes = stack_bytes
        with _stack_size:
            before = threading.stack_size(stack_bytes)
            try:
                threading.Thread(target=self._live, name="lem-call", daemon=True).start()
            finally:
                threading.stack_size(before)

    def _live(self) -> None:
        while True:
            job = self.jobs.get()
            job.run()
            del job  # or it would keep its arrays until the next one comes
            _idle.setdefault(self._stack_bytes, []).append(self)


_idle: dict[int, list[_Courier]] = {}
_stack_size = threading.Lock()  # the size of new stacks is one setting of the process


def start(function: Callable[[], T], stack_bytes: int = 0) -> Job[T]:
    """Run `function` on a thread of its own. `stack_bytes`: what its stack must have, where the usual is not enough.
    Memory is taken only as the stack grows."""
    job = Job(function)
    try:
        courier = _idle.get(stack_bytes, []).pop()
    except IndexError:
        courier = _Courier(stack_bytes)
    courier.jobs.put(job)  # type: ignore[arg-type]  # a courier does not look at results
    return job


def _after_fork() -> None:
    global _stack_size
    _stack_size = threading.Lock()  # another thread may have held it
    _idle.clear()  # threads do not survive a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
