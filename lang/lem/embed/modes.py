"""How calls run where something else is asked for than speed: interpreted, recorded, or both.

While such a mode is on, calls that go straight into compiled code go through Python again, in every thread; the mode itself
holds for the thread (or task of asyncio) that turned it on.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from lem.embed.engine import Engine, Ran
    from lem_runtime import Direct

Seen = Callable[["Ran"], None]  # is told how a compiled call went
Run = Callable[[Seen], Any]  # runs one call


@runtime_checkable
class Way(Protocol):
    """Runs calls in its own way."""

    def run(self, engine: Engine, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


class Recorder(Protocol):
    """Sees calls, whatever the way they run."""

    def record(
        self, run: Run, seen: Seen, engine: Engine, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any: ...


_modes: ContextVar[tuple[Way | Recorder, ...]] = ContextVar("lem_modes", default=())  # the innermost last
_lock = threading.Lock()
_n_on = 0
_joined: weakref.WeakKeyDictionary[Any, Direct] = weakref.WeakKeyDictionary()


def run(engine: Engine, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One call: in the innermost way that is on in this thread, seen by all recorders."""
    modes = _modes.get() if _n_on else ()
    if not modes:
        return engine.run_compiled(thing, args, kwargs)
    way = next((m for m in reversed(modes) if isinstance(m, Way)), None)

    def plain(seen: Seen) -> Any:
        if way is not None:
            return way.run(engine, thing, args, kwargs)
        return engine.run_compiled(thing, args, kwargs, seen)

    call: Run = plain
    for m in reversed(modes):
        if not isinstance(m, Way):
            call = functools.partial(m.record, call, engine=engine, thing=thing, args=args, kwargs=kwargs)
    return call(lambda ran: None)


@contextmanager
def on(mode: Way | Recorder) -> Iterator[None]:
    """Calls inside run in this mode."""
    global _n_on
    with _lock:
        _n_on += 1
        for direct in _joined.values():
            direct.remove()
    token = _modes.set((*_modes.get(), mode))
    try:
        yield
    finally:
        _modes.reset(token)
        with _lock:
            _n_on -= 1
            if not _n_on:
                for thing, direct in list(_joined.items()):
                    direct.install(thing)


def join(thing: Any, direct: Direct) -> None:
    """Calls of `thing` go straight to the code, at once or when the last mode is off."""
    with _lock:
        _joined[thing] = direct
        if not _n_on:
            direct.install(thing)


def _after_fork() -> None:
    """Modes of other threads are not here, and their code is joined again when it is called."""
    global _lock, _n_on
    _lock = threading.Lock()
    _n_on = len(_modes.get())
    _joined.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
