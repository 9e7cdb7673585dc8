"""What a run can end with, as exceptions and text: faults, time up, interruption.

Takes the raw fault record or print line of a call and the artifact's sites; gives messages with values and indices.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence

from lem_runtime.abi import sizes
from lem_runtime.abi.artifact import Artifact, Site
from lem_runtime.abi.signature import Place, Scalar
from lem_runtime.native.call import FaultRecord, Line


class RunError(Exception):
    """A run did not come to its end. `code` is a diagnostic code, `place` where in the program, when that is known."""

    def __init__(self, code: str, message: str, kernel: str, place: Place | None = None, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.kernel = kernel
        self.place = place
        self.help = help


class KernelFault(RunError):
    """An element did what it must not: the smallest in the order of the grid.

    indices: names of the grid's variables with the element's values; empty in sequential code.
    """

    def __init__(
        self, code: str, message: str, kernel: str, site: Site | None, values: tuple[Scalar, ...],
        indices: Mapping[str, int],
    ) -> None:  # fmt: skip
        super().__init__(code, message, kernel, site.place if site else None)
        self.site = site
        self.values = values
        self.indices = dict(indices)


class TimeUp(RunError):
    """The time given for a run has passed (E0612)."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run (E0613): the kernel was stopped, outputs are undefined."""

    def __init__(self, message: str, kernel: str) -> None:
        super().__init__(message)
        self.code = "E0613"
        self.message = message
        self.kernel = kernel
        self.place: Place | None = None
        self.help = ""


def fault_of(artifact: Artifact, record: FaultRecord, known: Mapping[str, int]) -> KernelFault:
    """The exception for a fault record; `known`: dimensions and integer scalars of the call."""
    site = artifact.sites[record.site] if 0 <= record.site < len(artifact.sites) else None
    if site is None:
        return KernelFault(record.code, f"fault at unknown place {record.site}", artifact.name, None, (), {})
    values = read_values(record.values, site.kinds)
    indices = indices_of(site, record.order, known)
    message = fill_text(site.text, values, site.kinds)
    if record.code == "E0624":
        message = f"{message}{_way_to(artifact, site.kernel)}"
    where = element_text(site.kernel, indices)
    return KernelFault(record.code, f"{message}{f' (in {where})' if indices else ''}", site.kernel, site, values, indices)


_CALL = "call of "  # how the text of a call's site begins


def _way_to(artifact: Artifact, kernel: str) -> str:
    """By which calls the entry comes to a task, and from there to itself: the shortest chain, with the places."""
    calls: dict[str, list[tuple[str, Site]]] = {}
    for site in artifact.sites:
        if not site.code and site.text.startswith(_CALL):
            calls.setdefault(site.kernel, []).append((site.text.removeprefix(_CALL), site))
    there = _chain(calls, artifact.name, kernel) if artifact.name != kernel else []
    steps = [*there, *_chain(calls, kernel, kernel)]
    if not steps:
        return ""
    lines = [f"`{callee}` at {os.path.basename(p.file)}:{p.line}:{p.col}" for callee, site in steps if (p := site.place)]
    return f"; `{artifact.name}` calls {', which calls '.join(lines)}" if len(lines) == len(steps) else ""


def _chain(calls: Mapping[str, Sequence[tuple[str, Site]]], start: str, end: str) -> list[tuple[str, Site]]:
    """The fewest calls that lead from one function to another, or around to itself."""
    ways: list[list[tuple[str, Site]]] = [[call] for call in calls.get(start, ())]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        here = way[-1][0]
        if here == end:
            return way
        if here not in seen:
            seen.add(here)
            ways += [[*way, call] for call in calls.get(here, ())]
    return []


def line_text(artifact: Artifact, line: Line, known: Mapping[str, int]) -> str:
    """A printed line; one from a grid names its kernel and element."""
    if not 0 <= line.site < len(artifact.sites):
        return ""
    site = artifact.sites[line.site]
    text = fill_text(site.text, read_values(line.values, site.kinds), site.kinds)
    indices = indices_of(site, line.order, known)
    return f"{element_text(site.kernel, indices)}: {text}" if indices else text


def read_values(raw: Sequence[int], kinds: Sequence[str]) -> tuple[Scalar, ...]:
    """Words as the site's kinds say ("i64" where it says nothing)."""
    out: list[Scalar] = []
    for n, word in enumerate(raw):
        kind = kinds[n] if n < len(kinds) else "i64"
        if kind in ("f64", "f32"):
            out.append(struct.unpack("<d", struct.pack("<q", word))[0])
        elif kind == "u64":
            out.append(word & 0xFFFF_FFFF_FFFF_FFFF)
        else:
            out.append(bool(word & 0xFF) if kind == "bool" else word)
    return tuple(out)


def fill_text(text: str, values: Sequence[Scalar], kinds: Sequence[str]) -> str:
    """`text` with its ``{0}`` filled; values of kind "f32" are shown with the digits an f32 needs."""
    shown = [_Single(v) if n < len(kinds) and kinds[n] == "f32" else v for n, v in enumerate(values)]
    try:
        return text.format(*shown)
    except (IndexError, KeyError, ValueError, AttributeError):  # a format that does not suit its value
        return f"{text} {list(values)}" if values else text


def indices_of(site: Site, order: int, known: Mapping[str, int]) -> dict[str, int]:
    """The element's indices from its flattened number: last axis fastest. Empty when they cannot be told."""
    if order < 0 or not site.axes or site.bounds is None:
        return {}
    try:
        ranges = [(sizes.evaluate(lo, known), sizes.evaluate(hi, known), step) for lo, hi, step in site.bounds]
    except sizes.SizeError:
        return {}
    found: dict[str, int] = {}
    for name, (lo, hi, step) in reversed(list(zip(site.axes, ranges, strict=True))):
        n = max(-(-(hi - lo) // step), 1)
        found[name] = lo + order % n * step
        order //= n
    return dict(reversed(found.items()))


def element_text(kernel: str, indices: Mapping[str, int]) -> str:
    """``blur[i=3, j=4]``."""
    inside = ", ".join(f"{name}={value}" for name, value in indices.items())
    return f"{kernel}[{inside}]" if inside else kernel


class _Single(float):
    """An f32 held as a float: prints the shortest digits that give the same f32 back."""

    def __repr__(self) -> str:
        if self != self or self in (float("inf"), float("-inf")):
            return float.__repr__(self)
        packed = struct.pack("<f", float(self))
        short = next(s for s in (f"{float(self):.{d}g}" for d in range(1, 18)) if struct.pack("<f", float(s)) == packed)
        return repr(float(short))

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else repr(self)
