"""Regular expressions that are compiled at their first use.

Most of the lexer's are for words that few programs use and for mistakes; compiling them all took 8 of the 130 ms of the
first kernel of a process.
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
