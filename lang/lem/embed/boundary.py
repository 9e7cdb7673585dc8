"""Where lem's errors leave lem: a traceback shows the lines of the user's own, and the report."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lem.embed.mistakes import Error, LemWarning

_P = ParamSpec("_P")
_R = TypeVar("_R")


def trim(error: BaseException) -> None:
    """Forget the frames of lem that an error of a person's has come through. A ``raise`` by itself, which must follow in
    the same function, adds none for it. Of a mistake of lem's own every frame is kept."""
    if isinstance(error, (Error, LemWarning)):  # a warning, where the filters make errors of them
        error.__traceback__ = None


def boundary(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """For functions that people call."""

    @functools.wraps(function)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except Exception as e:
            trim(e)
            raise

    return called


__all__ = ["boundary", "trim"]
