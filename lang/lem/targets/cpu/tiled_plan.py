"""What the strategy "tiled" keeps in scratch: answers about the ops of one block, before any code is written.

Elementwise values cost nothing until they are read, and are computed again by each op that reads them. One that costs
more to compute than to load, and has several readers, is kept.
"""

from __future__ import annotations

from collections.abc import Container

from lem import ir
from lem.ir import ops
from lem.ir.core import defined_in
from lem.schedule.products import is_simple
from lem.schedule.tilings import Tiling

_CHEAP_TILE = 2  # ops that are cheaper than storing and loading an element of a tile
_CHEAP_COLUMN = 3  # ops that may be repeated row by row, though columns are computed by vectors
_CHEAP_STEP = 4  # ops in the step of a reduction, whose code is written several times


def to_keep(t: Tiling, block: ir.Block) -> set[ir.Value]:
    """Elementwise results of a block that are worth their memory."""
    readers = _readers(block)
    costs = _costs(t, block)
    keep: set[ir.Value] = set()
    final: dict[ir.Value, set[object]] = {}
    for op in reversed(block.ops):
        if not is_simple(op):
            continue
        v = op.result
        found: set[object] = set()
        for reader in readers.get(v, []):
            below = isinstance(reader, ir.Op) and is_simple(reader) and reader.result not in keep
            found |= final[reader.result] if below and isinstance(reader, ir.Op) else {_name_of(reader)}
            if isinstance(reader, ops.Tiles):
                found.add((_name_of(reader), "again"))
        final[v] = found
        if not isinstance(op, ops.Load) and _is_worth(t, v, costs[v], found, readers.get(v, [])):
            keep.add(v)
    return keep


def _name_of(reader: object) -> object:
    return id(reader) if isinstance(reader, ir.Op) else reader


def _is_worth(t: Tiling, v: ir.Value, cost: int, found: set[object], readers: list[object]) -> bool:
    axes, row = t.tile_axes(v), t.row.axis
    if row not in axes or len(axes) > 2:
        return False
    if len(axes) == 1:
        wider = any(isinstance(o, ir.Op) and o.results and len(t.tile_axes(o.results[0])) > 1 for o in readers)
        return cost > _CHEAP_COLUMN and (wider or len(found) > 1)
    if any(isinstance(o, ops.Reduce) for o in readers) and cost > _CHEAP_STEP:
        return True
    return cost > _CHEAP_TILE and len(found) > 1


def _readers(block: ir.Block) -> dict[ir.Value, list[object]]:
    """Ops that read a value, nested ones as the op of this block they stand in; yields as their number."""
    out: dict[ir.Value, list[object]] = {}
    for op in block.ops:
        inside = [o for b in op.blocks for o in ir.walk_ops(b)]
        used = {v for o in (op, *inside) for v in o.operands} | {v for b in op.blocks for v in b.yields}
        for v in used:
            out.setdefault(v, []).append(op)
    for n, v in enumerate(block.yields):
        out.setdefault(v, []).append(("yield", n))
    return out


def _costs(t: Tiling, block: ir.Block) -> dict[ir.Value, int]:
    """Ops that run per element of a value, each time it is computed (those of fewer axes run once for many)."""
    out: dict[ir.Value, int] = {}
    for op in block.ops:
        if is_simple(op):
            axes = t.tile_axes(op.result)
            same = (out.get(v, 0) for v in op.operands if t.tile_axes(v) == axes)
            out[op.result] = 0 if isinstance(op, ops.Load) else min(1000, 1 + sum(same))
    return out


def is_invariant(t: Tiling, v: ir.Value, body: ir.Block) -> bool:
    """Is `v` the same each time `body` runs? It may be written inside of it."""
    inside = defined_in(body)
    stack, seen = [v], {v}
    while stack:
        x = stack.pop()
        if x not in inside:
            continue
        op = t.defs.get(x)
        if isinstance(op, ops.Range):
            continue
        if op is None or not (is_simple(op) or isinstance(op, ops.Dim | ops.Scalar)):
            return False
        stack += [y for y in op.operands if y not in seen]
        seen.update(op.operands)
    return True


def leaves(t: Tiling, v: ir.Value, kept: Container[ir.Value]) -> set[ir.Value]:
    """Kept values that computing `v` reads."""
    out: set[ir.Value] = set()
    stack, seen = [v], {v}
    while stack:
        x = stack.pop()
        if x in kept:
            out.add(x)
            continue
        op = t.defs.get(x)
        if op is not None:
            stack += [y for y in op.operands if y not in seen]
            seen.update(op.operands)
    return out
