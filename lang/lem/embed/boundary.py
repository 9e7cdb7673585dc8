"""Where lem's errors leave lem: a traceback shows the lines of the user's own, and the report."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lem.embed.mistakes import Error, LemWarning

_P = ParamSpec("_P")
_R = TypeVar("_R")


def trim(error: BaseException) -> None:
    """Forget the frames of lem that an error of a person's has come through, also where they pressed Ctrl-C or left the
    debugger. A ``raise`` by itself, which must follow in the same function, adds none for it. Of a mistake of lem's own
    every frame is kept."""
    debugger = sys.modules.get("bdb")
    has_left = debugger is not None and isinstance(error, debugger.BdbQuit)
    if has_left or isinstance(error, (Error, LemWarning, KeyboardInterrupt)):  # a warning, where filters make errors of them
        error.__traceback__ = None


def boundary(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """For functions that people call."""

    @functools.wraps(function)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except (Exception, KeyboardInterrupt) as e:
            trim(e)
            raise

    return called


__all__ = ["boundary", "trim"]
