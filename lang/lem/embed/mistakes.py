"""What lem raises and warns of, as far as it needs nothing of the compiler: light, as all that ``import lem`` may load.

``errors.py`` adds the errors that come with a report.
"""

from __future__ import annotations


class Error(Exception):
    """Base of all errors of lem. code: of the first report, ``"E0312"``; nothing where there is none."""

    code = ""


class UsageError(Error, TypeError):
    """Something of lem was used in Python where it has no meaning: ``lem.grid(3)`` outside of a body, a decorator that
    stands above something else than a function."""


class LemWarning(UserWarning):
    """What lem warns of, at the place in the text that it is about."""


for _public in (Error, UsageError, LemWarning):
    _public.__module__ = "lem"  # as people write them, and as tracebacks show them

__all__ = ["Error", "LemWarning", "UsageError"]
