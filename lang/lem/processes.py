"""Another Python that answers requests: for compiling, which may end the process that does it.

    process = Process("module")     process.is_up()     process.ask(head, body) ...     process.stop()

Requests come from its standard input, and it ends with that. Nothing is pickled: a request is JSON and bytes, an answer JSON
and bytes. Light: loads nothing of the compiler.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any


class Failed(Exception):
    """What the other process said, or that it ended."""


class Process:
    """One request at a time."""

    def __init__(self, start: str, *, quiet: bool = False) -> None:
        """start: the module whose ``serve()`` answers. quiet: what it writes to standard error is lost."""
        code = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {start} import serve; serve()"
        command = [sys.executable, "-c", code, json.dumps(sys.path)]
        errors = subprocess.DEVNULL if quiet else None
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_up(self) -> bool:
        """Wait until it takes requests; False when it could not be started."""
        return self._from.readline() == b"ready\n"

    def ask(self, head: Mapping[str, Any], body: bytes, within_s: float | None = None) -> bytes:
        """The answer. Raises :class:`Failed` with what went wrong; the process is killed where it takes longer."""
        watch = threading.Timer(within_s, self._process.kill) if within_s is not None else None
        if watch is not None:
            watch.daemon = True
            watch.start()
        try:
            self._to.write(json.dumps({**head, "bytes": len(body)}).encode() + b"\n" + body)
            self._to.flush()
            answer = json.loads(self._from.readline())
            found = self._from.read(answer["bytes"])
        except (OSError, ValueError):
            raise Failed(f"the process that compiled it ended ({self._process.wait()})") from None
        finally:
            if watch is not None:
                watch.cancel()
        if answer["error"]:
            raise Failed(found.decode())
        return found

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._to.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        self._from.close()


def serve(answer: Callable[[dict[str, Any], bytes], bytes], *failures: type[Exception]) -> None:
    """What the other process does until its input ends. `failures` of `answer` are told, others end the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever prints must not speak to who asks
    with contextlib.suppress(BrokenPipeError):  # who asked has ended
        answers.write(b"ready\n")
        answers.flush()
        for line in requests:
            head = json.loads(line)
            body = requests.read(head["bytes"])
            try:
                error, found = False, answer(head, body)
            except failures as e:
                error, found = True, str(getattr(e, "message", e)).encode()
            answers.write(json.dumps({"error": error, "bytes": len(found)}).encode() + b"\n" + found)
            answers.flush()


__all__ = ["Failed", "Process", "serve"]
