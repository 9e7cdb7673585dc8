"""What a run gave, for a person or as JSON: summaries of results, the report per kernel, progress of long work."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from typing import Any

from lem.cli import output
from lem_runtime import Progress as RunProgress
from lem_runtime import RunResult
from lem_runtime.abi import sizes
from lem_runtime.abi.artifact import Artifact

_SHOW_AFTER_S = 0.7  # shorter work needs no progress


class Progress:
    """A line on stderr for work that lasts; a context manager that leaves the terminal as it was."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet or not output.is_person(sys.stderr)
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
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(p.kernel, total=None)
            self._bar.start()
        self._bar.update(self._task, total=p.pieces or None, completed=p.pieces_begun)

    def prints(self, lines: list[str], n_printed: int) -> None:
        """Lines that the program printed."""
        stream = sys.stderr if self.quiet and not sys.stdout.isatty() else sys.stdout
        for line in lines:
            print(line, file=stream)
        if n_printed > len(lines):
            print(f"... and {n_printed - len(lines)} more lines", file=stream)


# ---------------------------------------------------------------- results
def summary(array: Any) -> dict[str, Any]:
    """Shape, dtype, least, greatest and mean of a result."""
    from lem_runtime import lem_dtype

    made: dict[str, Any] = {"dtype": lem_dtype(array.dtype) or str(array.dtype), "shape": list(array.shape)}
    if array.size and array.dtype.kind in "biuf":
        wide = array.astype("f8") if array.dtype.kind in "bf" and array.dtype.itemsize < 4 else array
        made |= {"min": wide.min().item(), "max": wide.max().item(), "mean": float(wide.mean(dtype="f8"))}
    return made


def print_results(result: RunResult, outputs: dict[str, str], artifact: Artifact) -> None:
    for name, array in result.outputs.items():
        s = summary(array)
        shape = ", ".join(map(str, s["shape"]))
        if name in outputs:
            print(f"{name}: {s['dtype']}[{shape}] written to {outputs[name]}")
        else:
            stats = f"  min {s['min']:.6g}  max {s['max']:.6g}  mean {s['mean']:.6g}" if "min" in s else "  (empty)"
            print(f"{name}: {s['dtype']}[{shape}]{stats}")
    for name, value in result.scalars.items():
        print(f"{name} = {value}")
    for note in (*artifact.notes, *result.notes):
        print(f"note: {note}", file=sys.stderr)


# ---------------------------------------------------------------- the report
@dataclass(frozen=True, slots=True)
class Row:
    """One kernel of a run. flops and bytes are 0 where the program does not tell."""

    kernel: str
    calls: int
    seconds: float
    flops: float
    bytes: float


def rows(artifact: Artifact, result: RunResult) -> list[Row]:
    known = result.dims
    work: dict[str, list[float]] = {}
    for w in artifact.work:
        total = work.setdefault(w.label, [0.0, 0.0])
        total[0] += _value(w.flops, known)
        total[1] += _value(w.bytes_read, known) + _value(w.bytes_written, known)
    if result.marks:
        by_kernel: dict[str, list[float]] = {}
        for m in result.marks:
            entry = by_kernel.setdefault(m.label, [0, 0.0])
            entry[0] += m.count
            entry[1] += m.total_ns / 1e9
        made = [
            Row(k, int(n), s, *(work.get(k, [0.0, 0.0]) if int(n) == 1 else (0.0, 0.0))) for k, (n, s) in by_kernel.items()
        ]
        return made
    flops, n_bytes = (math.fsum(v[i] for v in work.values()) for i in (0, 1))
    return [Row(artifact.name, 1, result.elapsed_ns / 1e9, flops, n_bytes)]


def _value(size: sizes.Size, known: dict[str, int]) -> float:
    try:
        return float(sizes.evaluate(size, known))
    except sizes.SizeError:
        return 0.0


def print_report(artifact: Artifact, result: RunResult, prepared_ms: float) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{artifact.name} on cpu, {result.n_workers} threads"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for head in ("kernel", "calls", "time", "GFLOP/s", "GB/s"):
        table.add_column(head, justify="left" if head == "kernel" else "right")
    for r in rows(artifact, result):
        table.add_row(r.kernel, str(r.calls), _time(r.seconds), _rate(r.flops, r.seconds), _rate(r.bytes, r.seconds))
    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
    console.print(table)
    console.print(f"ready to run after {prepared_ms:.0f} ms (reading, compiling or loading); code: {artifact.machine}")


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _rate(amount: float, seconds: float) -> str:
    return f"{amount / seconds / 1e9:.3g}" if amount and seconds else "-"


def print_json(artifact: Artifact, result: RunResult, outputs: dict[str, str], prepared_ms: float) -> None:
    arrays = {n: summary(a) | ({"path": outputs[n]} if n in outputs else {}) for n, a in result.outputs.items()}
    kernels = [
        {"kernel": r.kernel, "calls": r.calls, "seconds": r.seconds, "flops": r.flops, "bytes": r.bytes}
        for r in rows(artifact, result)
    ]
    made = {
        "entry": artifact.name, "outputs": arrays, "scalars": result.scalars, "prints": result.prints,
        "dims": result.dims, "seconds": result.elapsed_ns / 1e9, "prepared_ms": prepared_ms,
        "threads": result.n_workers, "kernels": kernels, "notes": [*artifact.notes, *result.notes],
    }  # fmt: skip
    print(json.dumps(_finite(made), indent=2))


def _finite(value: Any) -> Any:
    """JSON has no infinities: they become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list) else value
