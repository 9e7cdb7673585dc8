"""Code for the small sizes of calls that come again and again: colours, coordinates, the window of a filter.

The code that is made first suits any sizes. A thread of its own looks at what calls go straight to such code, ten times a
second at first and later less often; where the same small sizes were seen several times, and a call has enough to do, a
process of its own makes code that knows them. Until that is there, and for all other sizes, the general code runs on. The
results have the same bits (LANGUAGE 30).

    call ──▶ general code ──▶ notes its sizes        watcher: the same small sizes again? ──▶ disk, or lem.worker ──▶ in use

At most ``MOST`` sizes per function, dtypes and layouts. ``LEM_SPECIALIZE=0`` turns it off.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from typing import TYPE_CHECKING

from lem_runtime import detect
from lem_runtime.abi import sizes as size_exprs
from lem_runtime.abi.artifact import Artifact, BadArtifact, decode
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.source import Facts

if TYPE_CHECKING:
    from lem.embed.engine import Engine
    from lem.processes import Process

MOST = 3  # sizes that code is made for, per function and facts
LARGEST = 16  # of a size that code knows
MOST_STEPS = 64  # that loops over all these sizes have together: they are written out
SEEN = 3  # times that the same small sizes are met before code is made for them
LEAST_WORK = 20_000  # operations of a call that is worth it: some microseconds
_FIRST_S, _LAST_S = 0.1, 2.0  # between two looks, at first and when nothing happens
_WITHIN_S = 60.0  # for making one


def small(dims: tuple[str, ...], known: Mapping[str, int]) -> tuple[str, ...]:
    """The part of the facts that small sizes make, the smallest ones first; nothing where no size is small."""
    taken: set[str] = set()
    steps = 1
    for d in sorted(reversed(dims), key=lambda d: known[d]):  # of equal ones the last, which is more often an inner one
        steps *= max(known[d], 1)
        if 1 <= known[d] <= LARGEST and steps <= MOST_STEPS:
            taken.add(d)
    return tuple(str(known[d]) if d in taken else "any" for d in dims) if taken else ()


@dataclass(slots=True)
class Watched:
    """General code that is watched. n_calls: that it had when it was looked at last. made: what was asked for."""

    engine: weakref.ref[Engine]
    facts: Facts
    artifact: Artifact
    n_calls: int = 0
    last: tuple[str, ...] = ()
    n_seen: int = 0
    made: set[tuple[str, ...]] = field(default_factory=set)

    def met(self, known: Mapping[str, int]) -> tuple[str, ...]:
        """Note the sizes of a call; gives the facts that code should be made for now, if any."""
        kinds = small(self.artifact.signature.dims, known)
        self.n_seen = self.n_seen + 1 if kinds == self.last else 1
        self.last = kinds
        if not kinds or self.n_seen < SEEN or kinds in self.made or len(self.made) >= MOST:
            return ()
        if self.artifact.effort is None or self._work(known) < LEAST_WORK:
            return ()
        self.made.add(kinds)
        return kinds

    def _work(self, known: Mapping[str, int]) -> float:
        try:
            return size_exprs.evaluate(self.artifact.effort or 0, known)
        except size_exprs.SizeError:  # of numbers that only a call tells
            return LEAST_WORK


class Watcher:
    """The thread that looks, and makes what is worth it. One per process, started when there is something to watch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: list[Watched] = []
        self._wanted: list[tuple[Watched, tuple[str, ...]]] = []
        self._thread: threading.Thread | None = None
        self._is_busy = False

    def watch(self, engine: Engine, facts: Facts, artifact: Artifact) -> Watched | None:
        """From now on look at what calls the engine's code has. None where there is nothing to gain."""
        if not artifact.signature.dims or artifact.effort is None or os.environ.get("LEM_SPECIALIZE", "") == "0":
            return None
        made = Watched(weakref.ref(engine), facts, artifact)
        with self._changed:
            self._watched.append(made)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lem-specialise", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return made

    def met(self, watched: Watched, known: Mapping[str, int]) -> None:
        """A call went through Python, with these sizes."""
        with self._changed:
            kinds = watched.met(known)
            if kinds:
                self._wanted.append((watched, kinds))
                self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Until nothing is asked for and nothing is being made."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._wanted and not self._is_busy, timeout_s)

    # -- the thread
    def _run(self) -> None:
        pause = _FIRST_S
        while True:
            with self._changed:
                if not self._wanted:
                    self._changed.wait(pause)
                is_new = self._look()
                wanted, self._wanted = self._wanted, []
                self._is_busy = bool(wanted)
            pause = _FIRST_S if is_new or wanted else min(2 * pause, _LAST_S)
            if wanted:
                self._make(wanted)
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()

    def _look(self) -> bool:
        """Whether any code had calls since the last time."""
        found = False
        self._watched = [w for w in self._watched if w.engine() is not None and len(w.made) < MOST]
        for w in self._watched:
            engine = w.engine()
            calls = engine.direct_calls(w.artifact) if engine is not None else None
            if calls is None or calls[0] == w.n_calls:
                continue
            found, w.n_calls = True, calls[0]
            kinds = w.met(calls[1])
            if kinds:
                self._wanted.append((w, kinds))
        return found

    def _make(self, wanted: list[tuple[Watched, tuple[str, ...]]]) -> None:
        from lem.processes import Process

        process: Process | None = None
        try:
            for w, kinds in wanted:
                engine, facts = w.engine(), replace(w.facts, dims=kinds)
                if engine is None:
                    continue
                artifact = engine.kept(facts)
                if artifact is None:
                    if process is None or not process.is_alive:
                        if process is not None:
                            process.stop()
                        process = Process("lem.worker", quiet=True)
                        if not process.is_up():
                            return
                    artifact = _made(process, w.artifact, facts)
                    if artifact is not None:
                        engine.keep(facts, artifact)
                if artifact is not None:
                    engine.use_special(w.artifact, facts, artifact)
        except OSError:
            pass  # no other process can be started: the general code goes on
        finally:
            if process is not None:
                process.stop()


def _made(process: Process, general: Artifact, facts: Facts) -> Artifact | None:
    """By the other process; None where it could not: the general code goes on."""
    from lem.processes import Failed

    head = {"name": general.name, "machine": asdict(detect()), "layouts": facts.layouts, "dims": facts.dims,
            "dtypes": facts.dtypes}  # fmt: skip
    with contextlib.suppress(Failed, BadArtifact):
        return decode(process.ask(head, general.ir.encode(), _WITHIN_S))
    return None


_watcher = Watcher()


def watcher() -> Watcher:
    """That of this process."""
    return _watcher


def settled(timeout_s: float = 30.0) -> bool:
    """Wait until all that was asked for so far is made; False when the time is over."""
    return _watcher.wait(timeout_s)


def _after_fork() -> None:
    """The thread is not here: who is called from now on is watched anew."""
    global _watcher
    _watcher = Watcher()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = ["settled", "small", "watcher"]
