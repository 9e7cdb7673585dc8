"""The process that makes code for certain sizes while the general code runs elsewhere (see ``embed/special.py``).

Takes the IR of a kernel as text, as its artifact carries it, with facts; answers with an artifact. What goes wrong in here
is nobody's fault but ours, and the general code goes on. Ends with its input.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from lem import processes
from lem.ir.reader import read_module
from lem.targets import cpu
from lem_runtime.abi.artifact import encode
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.source import Facts

_MOST_MEMORY = 8 << 30  # bytes of address space


def serve() -> None:
    """Answer requests; see :func:`lem.processes.serve`."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, resource.RLIM_INFINITY))
    with contextlib.suppress(AttributeError, OSError):
        os.nice(10)  # whoever waits for nothing does not slow the others down
    processes.serve(_answer, Exception)


def _answer(head: dict[str, Any], text: bytes) -> bytes:
    m, layouts, dims = head["machine"], tuple(head["layouts"]), tuple(head["dims"])
    machine = Machine(**{**m, "features": tuple(m["features"])})
    facts = Facts(layouts, dims, tuple((n, t) for n, t in head["dtypes"]))
    return encode(cpu.emit(read_module(text.decode()), head["name"], facts, machine))


__all__ = ["serve"]
