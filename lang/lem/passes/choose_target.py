"""Decide what depends on the target: the first thing that is done to a function when code is made of it.

Before:  %1 = tile.target_is ("cuda", "opencl")    tile.if %1 {..A..} {..B..}
After:   ..B.. (for "cpu")

Needs:  verified IR.    Keeps:  what the function does on that target.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.ir import ops
from lem.ir.core import Builder, Function, Op, Value
from lem.ir.rewrite import map_block
from lem.passes.simplify import simplify
from lem_runtime.abi.dtypes import BOOL


def choose_target(fn: Function, target: str) -> Function:
    def decide(o: Op, out: Builder) -> Sequence[Value] | None:
        return [out(ops.Const(target in o.targets, BOOL))] if isinstance(o, ops.TargetIs) else None

    body = map_block(fn.body, decide)
    return fn if body is fn.body else simplify(fn.with_body(body))
