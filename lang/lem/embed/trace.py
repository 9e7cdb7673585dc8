"""``with lem.trace() as t:`` records the calls inside: what ran, on which arrays, for how long, and with which code.

Calls go through Python while they are recorded, so the shortest take a few microseconds more than without; the time of a
call is that of its code alone. Importing this loads nothing.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from lem.embed import modes, wording
from lem.embed.mistakes import Error
from lem_runtime import lem_dtype
from lem_runtime.abi import sizes
from lem_runtime.abi.records import dataclass

if TYPE_CHECKING:
    from lem.embed.engine import Engine, Ran

_HEAD = ("call", "arguments", "time", "GFLOP/s", "GB/s", "threads", "code", "straight")
_NUMBERS = frozenset({2, 3, 4, 5})


@dataclass(frozen=True, slots=True)
class Call:
    """One call. arguments: dtype and shape of each array. elapsed_ns: of its code, without Python's part; flops, bytes: by
    the static count, None where that is not known. code: "ready" (in memory), "disk" (the cache), "compiled" (took made_ns),
    "interpreted". is_direct: whether a plain call goes straight into the code when it is not recorded. error: code of what
    it raised."""

    name: str
    kind: str
    arguments: dict[str, str]
    start_ns: int
    elapsed_ns: int
    flops: int | None
    bytes: int | None
    threads: int
    code: str
    made_ns: int
    is_direct: bool
    error: str = ""
    thread: int = 0

    @property
    def gflops(self) -> float | None:
        """Billions of operations per second."""
        return self.flops / self.elapsed_ns if self.flops and self.elapsed_ns else None

    @property
    def gbytes(self) -> float | None:
        """Billions of bytes per second, read and written."""
        return self.bytes / self.elapsed_ns if self.bytes and self.elapsed_ns else None

    def row(self) -> tuple[str, ...]:
        arguments = ", ".join(f"{n} {t}" for n, t in self.arguments.items())
        if self.error:
            return (self.name, arguments, "", "", "", "", f"raised {self.error}", "")
        code = f"{self.code} in {_time(self.made_ns)}" if self.made_ns and self.code != "ready" else self.code
        rates = tuple("" if r is None else f"{r:.3g}" for r in (self.gflops, self.gbytes))
        return (
            self.name,
            arguments,
            _time(self.elapsed_ns),
            *rates,
            str(self.threads),
            code,
            "yes" if self.is_direct else "no",
        )


class Trace:
    """The calls that were recorded, in the order in which they ended. Prints as a table."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._open: list[AbstractContextManager[None]] = []

    def __enter__(self) -> Trace:
        entered = modes.on(self)
        entered.__enter__()
        self._open.append(entered)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._open.pop().__exit__(*exc)

    def record(
        self, run: modes.Run, seen: modes.Seen, engine: Engine, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """One call. See :class:`lem.embed.modes.Recorder`."""
        start = time.perf_counter_ns()
        ran: list[Ran] = []

        def compiled(how: Ran) -> None:
            ran.append(how)
            seen(how)

        try:
            result = run(compiled)
        except Error as e:
            self.calls.append(_other(engine, thing, args, kwargs, start, error=e.code))
            raise
        self.calls.append(_done(engine, thing, start, ran[0]) if ran else _other(engine, thing, args, kwargs, start))
        return result

    # ------------------------------------------------------------ showing
    def __str__(self) -> str:
        if not self.calls:
            return "no calls"
        return wording.plain_table(_HEAD, [c.row() for c in self.calls], _NUMBERS) + f"\n{self._total()}"

    def __repr__(self) -> str:
        return f"<lem.Trace: {self._total()}>"

    def _repr_html_(self) -> str:
        return wording.block(wording.table(_HEAD, [c.row() for c in self.calls], _NUMBERS), wording.escaped(self._total()))

    def _total(self) -> str:
        n = len(self.calls)
        return f"{n} call{'s' if n != 1 else ''}, {_time(sum(c.elapsed_ns for c in self.calls))}"

    def to_chrome(self) -> str:
        """The trace as JSON that ``chrome://tracing`` and Perfetto open."""
        events = [
            {
                "name": c.name, "cat": c.kind, "ph": "X", "pid": os.getpid(), "tid": c.thread,
                "ts": c.start_ns / 1e3, "dur": c.elapsed_ns / 1e3,
                "args": {
                    **c.arguments, "threads": c.threads, "code": c.code, "flops": c.flops, "bytes": c.bytes,
                    **({"error": c.error} if c.error else {}),
                },
            }
            for c in self.calls
        ]  # fmt: skip
        return json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_chrome` to a file, whole or not at all."""
        unfinished = f"{os.fspath(path)}.{os.getpid()}.part"
        with open(unfinished, "w", encoding="utf-8") as f:
            f.write(self.to_chrome())
        os.replace(unfinished, path)


def trace() -> Trace:
    """Records calls of kernels and tasks: ``with lem.trace() as t: ...``, then ``print(t)``, ``t.calls``, ``t.save(path)``.

    Calls of other threads are not recorded. Calls under ``lem.interpret()`` are recorded as "interpreted".
    """
    return Trace()


# ---------------------------------------------------------------- a call
def _done(engine: Engine, thing: Any, start: int, ran: Ran) -> Call:
    scalars = {n: v for n, v in ran.given.scalars.items() if isinstance(v, int)}
    known = {**scalars, **ran.result.dims}
    work = ran.artifact.work
    flops = _sum([w.flops for w in work], known)
    moved = _sum([b for w in work for b in (w.bytes_read, w.bytes_written)], known)
    shown = {n: _array(a) for n, a in {**ran.given.arrays, **ran.result.outputs}.items()}
    return Call(
        thing.__name__, engine.kind, shown, start, ran.result.elapsed_ns, flops, moved, ran.result.n_workers, ran.code,
        ran.made_ns, engine.is_direct or not engine.not_direct, thread=threading.get_ident(),
    )  # fmt: skip


def _other(
    engine: Engine, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any], start: int, *, error: str = ""
) -> Call:
    """A call that was interpreted, or one that failed."""
    named = {**dict(zip(_names(engine, len(args)), args, strict=False)), **kwargs}
    shown = {n: _array(a) for n, a in named.items() if hasattr(a, "shape") and hasattr(a, "dtype")}
    code = "" if error else "interpreted"
    elapsed = time.perf_counter_ns() - start
    return Call(
        thing.__name__, engine.kind, shown, start, elapsed, None, None, 0 if error else 1, code, 0, False, error,
        threading.get_ident(),
    )  # fmt: skip


def _names(engine: Engine, n: int) -> list[str]:
    """Of the parameters, as far as they are known."""
    names = engine.parameters()
    return [*names, *(str(k) for k in range(len(names), n))]


def _array(a: Any) -> str:
    if isinstance(a, dict):
        return "{" + ", ".join(f"{n} {_array(part)}" for n, part in a.items()) + "}"
    name = lem_dtype(a.dtype) if hasattr(a.dtype, "name") else None
    return f"{name or a.dtype}[{', '.join(map(str, a.shape))}]"


def _sum(expressions: list[sizes.Size | None], known: dict[str, int]) -> int | None:
    total = 0
    for e in expressions:
        if e is None:
            return None
        try:
            total += sizes.evaluate(e, known)
        except sizes.SizeError:
            return None
    return total


def _time(ns: int) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns} ns"


__all__ = ["Call", "Trace", "trace"]
