"""How ``breakpoint()`` in a kernel stops: with Python's own debugger, which neither steps into lem nor shows it."""

from __future__ import annotations

import bdb
import builtins
import os
import pdb
import sys
from fnmatch import fnmatch
from types import FrameType, TracebackType
from typing import Any

_OURS = ("lem", "lem.*", "lem_runtime", "lem_runtime.*")


class Debugger(pdb.Pdb):
    """Python's debugger without the frames between a call and the kernel that is called."""

    def __init__(self) -> None:
        super().__init__(skip=_OURS)

    def get_stack(self, f: FrameType | None, t: TracebackType | None) -> tuple[list[tuple[FrameType, int]], int]:
        stack, at = super().get_stack(f, t)
        here = stack[at][0] if stack else None
        kept = [entry for entry in stack if entry[0] is here or not _is_ours(entry[0])]
        return kept, next((n for n, entry in enumerate(kept) if entry[0] is here), 0)


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return any(fnmatch(name, pattern) for pattern in _OURS)


def stop() -> Any:
    """What ``breakpoint`` is in the code of a kernel: the user's own hook where there is one."""
    own = sys.breakpointhook is not sys.__breakpointhook__ or os.environ.get("PYTHONBREAKPOINT")
    return builtins.breakpoint if own else _stop


def _stop() -> None:
    Debugger().set_trace(sys._getframe(1))


def is_attached() -> bool:
    """Whether a debugger follows this thread, which may want to stop at lines of kernels."""
    tracer = sys.gettrace()
    return isinstance(getattr(tracer, "__self__", None), bdb.Bdb) or (tracer is not None and "pydevd" in sys.modules)
