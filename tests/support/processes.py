"""Processes that a test starts, interrupts and never leaves behind."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def started(call: Sequence[str], **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that answers Ctrl-C, even where the tests themselves were started in the background and so ignore it;
    killed when the test is done with it in any way."""
    process = subprocess.Popen(call, text=True, preexec_fn=_answer_interrupts, **settings)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _answer_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
