"""Whether a call gives other results when its `tiles` loops are cut in other ways (LANGUAGE 11): by the interpreter.

Takes a checked program and the arguments of one call; gives None, or what differs. ``lem check`` asks it with made-up
arguments, tests with those of their calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lem import ir, pipeline
from lem.diagnostics import CODES, Diagnostic
from lem.ir import interpreter, ops, queries
from lem.source import Span
from lem_runtime.abi.signature import Place

_MOST_NUMBERS = 100_000  # in the arrays of a real call that is tried again in other blocks


def depends_on_blocks(
    program: pipeline.Program, name: str, arrays: Mapping[str, Any], scalars: Mapping[str, Any], dims: Mapping[str, int]
) -> Diagnostic | None:
    """What is wrong with a call of kernel `name` when its `tiles` loops are cut in other ways. Large calls are let be."""
    if not queries.has_tiles(program.ir, name) or sum(a.size for a in arrays.values()) > _MOST_NUMBERS:
        return None
    found = interpreter.block_dependence(program.ir, name, arrays, scalars, dims)
    return _problem(program, name, found[0]) if found else None


def _problem(program: pipeline.Program, name: str, found: interpreter.BlockDependence) -> Diagnostic:
    functions = program.ir.closure(name).functions.values()
    loop = next(o for f in functions for o in ir.walk_ops(f.body) if isinstance(o, ops.Tiles))
    cut = "as one block" if found.size == 0 else f"in blocks of {found.size}"
    label = f"`{name}` run with this cut {cut}: `{found.array}` differs by {found.error:.2g} of its greatest element"
    span = _span(program, loop.loc) or program.typed.functions[name].span
    help = "combine what is carried with values reduced over the whole block, in the same way as inside of the block"
    return Diagnostic(CODES["E0326"], span, label, (), (), (help,))


def _span(program: pipeline.Program, place: Place | None) -> Span | None:
    """A place as a span of the program's texts."""
    source = next((s for s in (program.source, *program.files) if place is not None and s.name == place.file), None)
    return Span(source, place.start, place.end) if source is not None and place is not None else None


__all__ = ["depends_on_blocks"]
