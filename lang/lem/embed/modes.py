"""How calls run where something else is asked for than speed: interpreted, or recorded.

While such a mode is on, calls that go straight into compiled code go through Python again, in every thread; the mode itself
holds for the thread (or task of asyncio) that turned it on.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from lem.embed.engine import Engine
    from lem_runtime import Direct

Call = Callable[[], Any]


class Mode(Protocol):
    """Runs a call in its own way."""

    def run(self, engine: Engine, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


_mode: ContextVar[Mode | None] = ContextVar("lem_mode", default=None)
_lock = threading.Lock()
_n_on = 0
_joined: weakref.WeakKeyDictionary[Any, Direct] = weakref.WeakKeyDictionary()


def current() -> Mode | None:
    """The mode of this thread."""
    return _mode.get() if _n_on else None


@contextmanager
def on(mode: Mode) -> Iterator[None]:
    """Calls inside run in this mode."""
    global _n_on
    with _lock:
        _n_on += 1
        for direct in _joined.values():
            direct.remove()
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)
        with _lock:
            _n_on -= 1
            if not _n_on:
                for thing, direct in list(_joined.items()):
                    direct.install(thing)


@contextmanager
def outside(mode: Mode | None) -> Iterator[None]:
    """Calls inside run as `mode` (the one before) says: for a mode that hands calls on."""
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


def join(thing: Any, direct: Direct) -> None:
    """Calls of `thing` go straight to the code, at once or when the last mode is off."""
    with _lock:
        _joined[thing] = direct
        if not _n_on:
            direct.install(thing)
