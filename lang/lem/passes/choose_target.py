"""Decide what depends on the target: the first thing that is done to a function when code is made of it.

Before:  %1 = tile.target_is ("cuda", "opencl")    tile.if %1 {..A..} {..B..}
After:   ..B.. (for "cpu")

Tile sizes that a grid has by target become those of this one.

Needs:  verified IR.    Keeps:  what the function does on that target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lem.ir import ops
from lem.ir.core import Builder, Function, Op, Value
from lem.ir.rewrite import map_block
from lem.passes.simplify import simplify
from lem_runtime.abi.dtypes import BOOL


def choose_target(fn: Function, target: str) -> Function:
    def decide(o: Op, out: Builder) -> Sequence[Value] | None:
        if isinstance(o, ops.Grid) and o.by_target:
            out.add(_with_hint(o, target))
            return []
        return [out(ops.Const(target in o.targets, BOOL))] if isinstance(o, ops.TargetIs) else None

    body = map_block(fn.body, decide)
    return fn if body is fn.body else simplify(fn.with_body(body))


def _with_hint(o: ops.Grid, target: str) -> ops.Grid:
    """A grid with the tile sizes that are meant for the target; none where only others are named."""
    sizes = dict(o.by_target).get(target, ())
    choices = sizes if any(len(s) > 1 for s in sizes) else ()
    return replace(o, tile=tuple(s[0] for s in sizes), choices=choices, by_target=())
