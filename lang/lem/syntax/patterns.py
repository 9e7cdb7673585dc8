"""Regular expressions that are compiled at their first use.

They read `.lem` text. A program whose kernels stand in Python loads the modules that hold them and reads no such text, and
compiling the lexer's alone took a tenth of its first call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator


class Pattern:
    """What ``re.compile`` gives, later. text: the expression, or what makes it."""

    match: Callable[..., re.Match[str] | None]
    search: Callable[..., re.Match[str] | None]
    finditer: Callable[..., Iterator[re.Match[str]]]
    sub: Callable[..., str]

    def __init__(self, text: str | Callable[[], str], flags: int = 0) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> object:
        """Only asked for what is not there yet: later uses cost no more than those of a compiled expression."""
        if name not in ("match", "search", "finditer", "sub"):
            raise AttributeError(name)
        made = re.compile(self._text if isinstance(self._text, str) else self._text(), self._flags)
        self.match, self.search, self.finditer, self.sub = made.match, made.search, made.finditer, made.sub
        return getattr(self, name)


__all__ = ["Pattern"]
