"""LLVM in several processes at once: its own code runs under one lock, and takes most of the time of a compile.

    with workers(n):      llvm.compile_ir, from any thread ──▶ whoever is free: this process, or one of n - 1 others

A worker is a Python that loads llvmlite and nothing of the compiler but its door (:mod:`lem.targets.llvm`). Requests come
from its standard input, and it ends with that; what kills it (LLVM ends the process on some errors) becomes an
:class:`InternalError` with the text. Nothing is pickled: a request is JSON and text, an answer JSON and bytes.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar

from lem import processes
from lem.diagnostics import InternalError
from lem.processes import Failed, Process
from lem.targets import llvm
from lem_runtime.abi.machine import Machine

T = TypeVar("T")
_WORTH_S = 0.5  # work that is left from which on other processes, which take some 0.2 s to start, are a gain


def all_of(jobs: Sequence[Callable[[], T]], n: int) -> list[T]:
    """The results of all jobs, which compile, in their order, by at most `n` processes; only by this one where starting
    others would gain nothing. The error of the first that fails."""
    n = min(n, len(jobs))
    done: list[T] = []
    if n > 1:
        started = time.monotonic()
        done.append(jobs[0]())
        if (time.monotonic() - started) * (len(jobs) - 1) < _WORTH_S:
            n = 1
    rest = jobs[len(done) :]
    if n < 2:
        return [*done, *(job() for job in rest)]
    with workers(n), ThreadPoolExecutor(n + 1) as threads:  # one more: it prepares a text while the others wait for LLVM
        running = [threads.submit(job) for job in rest]
        try:
            return [*done, *(r.result() for r in running)]
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


@contextlib.contextmanager
def workers(n: int) -> Iterator[None]:
    """While this lasts, texts are compiled by `n` processes, this one among them. A process counts once it is up."""
    free: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
    free.put(None)  # this process
    others = [_Worker() for _ in range(n - 1)]
    starts = [threading.Thread(target=_announce, args=(w, free), daemon=True) for w in others]
    for s in starts:
        s.start()

    def made_somewhere(what: str, text: str, machine: Machine, passes: tuple[str, ...]) -> bytes:
        worker = free.get()
        try:
            return (worker.made if worker else llvm.made_here)(what, text, machine, passes)
        finally:
            if worker is None or worker.is_alive:
                free.put(worker)

    try:
        with llvm.handed_to(made_somewhere):
            yield
    finally:
        for w in others:
            w.stop()
        for s in starts:
            s.join()


def made_alone(what: str, text: str, machine: Machine, passes: tuple[str, ...]) -> bytes:
    """By a process of its own: for one that may not use LLVM itself. See :data:`llvm.Door`."""
    worker = _Worker()
    try:
        if not worker.is_up():
            raise InternalError("llvm", "the process that compiles could not be started", text)
        return worker.made(what, text, machine, passes)
    finally:
        worker.stop()


def _announce(worker: _Worker, free: queue.SimpleQueue[_Worker | None]) -> None:
    if worker.is_up():
        free.put(worker)


class _Worker(Process):
    def __init__(self) -> None:
        super().__init__("lem.targets.llvm_workers")

    def made(self, what: str, text: str, machine: Machine, passes: tuple[str, ...]) -> bytes:
        """See :data:`llvm.Door`."""
        try:
            return self.ask({"what": what, "machine": asdict(machine), "passes": passes}, text.encode())
        except Failed as e:
            raise InternalError("llvm", str(e), text) from None


def serve() -> None:
    """What a worker does until its input ends."""
    llvm.version()
    processes.serve(_answer, InternalError)


def _answer(head: dict[str, Any], text: bytes) -> bytes:
    m = head["machine"]
    machine = Machine(**{**m, "features": tuple(m["features"])})
    return llvm.made_here(head["what"], text.decode(), machine, tuple(head["passes"]))


__all__ = ["all_of", "made_alone", "serve", "workers"]
