"""Exit codes of the command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    PROGRAM = 1  # errors in the program, failed tests or checks
    USAGE = 2  # the command line, or an input file, does not fit
    FAULT = 3  # the program faulted while it ran
    INTERNAL = 70
    TIMEOUT = 124
    INTERRUPTED = 130
