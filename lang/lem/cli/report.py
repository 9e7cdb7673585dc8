"""What a run gave, for a person or as JSON: summaries of results, the report per kernel, progress of long work."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lem.cli import output
from lem.cli.files import NARROW, Result
from lem_runtime import Progress as RunProgress
from lem_runtime import RunResult
from lem_runtime.abi import sizes
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.records import dataclass

_SHOW_AFTER_S = 0.7  # shorter work needs no progress


class Progress:
    """A line on stderr for work that lasts; a context manager that leaves the terminal as it was.

    kept: what the program printed, where nobody may see it yet (JSON holds it).
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.quiet = as_json or not output.is_person(sys.stderr)
        self.kept: list[str] = []
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, p: RunProgress) -> None:
        if self.quiet or p.elapsed_s < _SHOW_AFTER_S:
            return
        if self._bar is None:
            self._start(p.kernel)
        self._bar.update(self._task, total=p.pieces or None, completed=p.pieces_begun)

    def _start(self, kernel: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(kernel, total=None)
        self._bar.start()

    def prints(self, lines: list[str], n_printed: int) -> None:
        """Lines that the program printed."""
        more = [f"... and {n_printed - len(lines)} more lines"] if n_printed > len(lines) else []
        if self.as_json:
            self.kept = [*lines, *more]
            return
        for line in (*lines, *more):
            print(line)


# ---------------------------------------------------------------- results
def summary(r: Result) -> dict[str, Any]:
    """Shape, dtype, least, greatest and mean of a result; the last three are left out where there is nothing to count. Of
    one number: its value."""
    import numpy as np

    made: dict[str, Any] = {"dtype": r.dtype, "shape": list(r.array.shape)}
    if r.fields:
        return made | {"fields": {x.name: summary(x) for x in r.fields}}
    numbers = _numbers(r)
    if not numbers.ndim:
        return made | {"value": numbers.item()}
    if numbers.size and numbers.dtype.kind in "biuf":
        with np.errstate(all="ignore"):
            mean = float(numbers.mean(dtype="f8"))
        made |= {"min": numbers.min().item(), "max": numbers.max().item(), "mean": mean}
    return made


def _numbers(r: Result) -> Any:
    """The elements as numbers NumPy can compare: bf16 and f8 are held as their bits."""
    if r.dtype not in NARROW:
        return r.array
    from lem_runtime import numbers_of

    return numbers_of(r.array, r.dtype)


@dataclass(frozen=True, slots=True)
class Ran:
    """All that is known after a run. numbers: dimensions and integer scalars of the call; paths: what was written where."""

    artifact: Artifact
    result: RunResult
    results: Sequence[Result]
    paths: Mapping[str, str]
    numbers: Mapping[str, int]
    machine: str
    prepared_ms: float
    session_notes: Sequence[str] = ()

    @property
    def notes(self) -> list[str]:
        return [*self.session_notes, *self.artifact.notes, *self.result.notes]


def print_results(ran: Ran) -> None:
    for name, value in ran.result.scalars.items():
        print(f"{name} = {_scalar(value)}")
    for note in ran.notes:
        print(f"note: {note}", file=sys.stderr)
    for r in sorted(ran.results, key=lambda r: r.name in ran.paths):  # a person looks last for what was written
        kind = f"{r.name}: {r.dtype}" + (f"[{', '.join(map(str, r.array.shape))}]" if r.array.ndim else "")
        if r.name in ran.paths:
            print(f"{kind} written to {ran.paths[r.name]}")
        elif r.fields:
            print(kind)
            for x in r.fields:
                print(f"  {x.name}: {x.dtype}{_told(x)}")
        else:
            print(f"{kind}{_told(r)}")


def _scalar(value: Any) -> str:
    """A scalar result; a struct as its fields: `x=1.0 y=2.0`."""
    return " ".join(f"{n}={v}" for n, v in value.items()) if isinstance(value, dict) else str(value)


def _told(r: Result) -> str:
    s = summary(r)
    if "value" in s:
        return f" = {_numbers(r)}"  # all digits that its type has
    if "min" not in s:
        return "  no elements"
    return f"  min {_number(s['min'])}  max {_number(s['max'])}  mean {_number(s['mean'])}"


def _number(x: float) -> str:
    return f"{x:.6g}" if isinstance(x, float) else str(x)


# ---------------------------------------------------------------- the report
@dataclass(frozen=True, slots=True)
class Row:
    """One kernel of a run. flops and bytes are None where the program does not tell."""

    kernel: str
    calls: int
    seconds: float
    flops: float | None
    bytes: float | None


_Cost = tuple[float | None, float | None]


def rows(ran: Ran) -> list[Row]:
    """A row per called kernel, then one for the whole run."""
    artifact, result = ran.artifact, ran.result
    work: dict[str, list[_Cost]] = {}
    for w in artifact.work:
        flops, read, written = (_value(size, ran.numbers) for size in (w.flops, w.bytes_read, w.bytes_written))
        work.setdefault(w.label, []).append((flops, None if read is None or written is None else read + written))
    calls: dict[str, list[float]] = {}
    for m in result.marks:
        entry = calls.setdefault(artifact.sites[m.site].text.removeprefix("call of "), [0, 0.0])
        entry[0] += m.count
        entry[1] += m.total_ns / 1e9
    found = [Row(k, int(n), s, *_total(work.get(k, []))) for k, (n, s) in calls.items()]
    every = [part for parts in work.values() for part in parts]
    return [*found, Row(artifact.name, 1, result.elapsed_ns / 1e9, *_total(every))]


def _total(parts: Sequence[_Cost]) -> _Cost:
    """Flops and bytes of all parts; None where that of one part is not known, because a part of the work is no rate."""
    flops, n_bytes = ([part[i] for part in parts] for i in (0, 1))
    return _sum(flops), _sum(n_bytes)


def _sum(amounts: Sequence[float | None]) -> float | None:
    known = [a for a in amounts if a is not None]
    return math.fsum(known) if known and len(known) == len(amounts) else None


def _value(size: sizes.Size | None, known: Mapping[str, int]) -> float | None:
    try:
        return None if size is None else float(sizes.evaluate(size, known))
    except sizes.SizeError:
        return None


def print_report(ran: Ran) -> None:
    table = [("kernel", "calls", "time", "GFLOP/s", "GB/s")]
    for r in rows(ran):
        table.append((r.kernel, str(r.calls), duration(r.seconds), _rate(r.flops, r.seconds), _rate(r.bytes, r.seconds)))
    widths = [max(len(row[n]) for row in table) for n in range(5)]
    n = ran.result.n_workers
    threads = f"{n} thread{'s' if n != 1 else ''}"
    print(f"{ran.artifact.name} on cpu ({ran.machine}), {threads}; ready to run after {ran.prepared_ms:.0f} ms")
    for name, *numbers in table:
        cells = (f"{text:>{width}}" for text, width in zip(numbers, widths[1:], strict=True))
        print("  ".join((f"{name:<{widths[0]}}", *cells)))


def duration(seconds: float) -> str:
    """Three digits and a unit: `12.3 ms`."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}" if seconds < 1000 else f"{seconds:.0f} s"
    return f"{seconds * 1e9:.0f} ns"


def _rate(amount: float | None, seconds: float) -> str:
    return f"{amount / seconds / 1e9:.3g}" if amount and seconds else "-"


def print_json(ran: Ran) -> None:
    paths = {name: {"path": path} for name, path in ran.paths.items()}
    kernels = [
        {"kernel": r.kernel, "calls": r.calls, "seconds": r.seconds, "flops": r.flops, "bytes": r.bytes} for r in rows(ran)
    ]
    made = {
        "ok": True, "entry": ran.artifact.name, "outputs": {r.name: summary(r) | paths.get(r.name, {}) for r in ran.results},
        "scalars": ran.result.scalars, "prints": ran.result.prints, "dims": ran.result.dims,
        "seconds": ran.result.elapsed_ns / 1e9, "prepared_ms": ran.prepared_ms, "threads": ran.result.n_workers,
        "machine": ran.machine, "kernels": kernels, "notes": ran.notes,
    }  # fmt: skip
    output.print_json(_finite(made))


def _finite(value: Any) -> Any:
    """JSON has no infinities: they become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list) else value
