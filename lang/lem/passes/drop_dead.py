"""Remove operations whose results nobody reads, and carried values and branch results nobody needs.

Before:  %1 = tile.load @a[%i]    %2 = tile.neg %1    tile.store @b[%i], %1
After:   %1 = tile.load @a[%i]                        tile.store @b[%i], %1

KEEP-EFFECT  an op that writes, faults or prints stays, and so does all that it reads;
KEEP-LOOP    a loop stays when anything in it stays or when one of its results is read. A while loop always stays: that
             it ends is not known.
Needs: verified IR. Keeps: every op with an effect and all that it reads.
"""

from __future__ import annotations

from dataclasses import replace

from lem.ir import ops
from lem.ir.core import Block, Effect, Function, Op, Value


def drop_dead_ops(fn: Function) -> Function:
    return fn.with_body(_block(fn.body, set(fn.body.yields)))


def _block(block: Block, wanted: set[Value]) -> Block:
    """`block` without what is not needed for `wanted` (which grows by what the block needs from outside)."""
    kept: list[Op] = []
    for op in reversed(block.ops):
        slim = _op(op, wanted)
        if slim is not None:
            wanted.update(slim.operands)
            kept.append(slim)
    return Block(block.args, tuple(reversed(kept)), block.yields)


def _op(op: Op, wanted: set[Value]) -> Op | None:
    if isinstance(op, ops.If):
        return _if(op, wanted)
    if isinstance(op, (ops.For, ops.Tiles)):
        return _loop(op, wanted)
    if isinstance(op, ops.While):
        return _while(op, wanted)
    if isinstance(op, ops.Grid):
        body = _block(op.body, wanted)
        return replace(op, body=body) if body.ops else None
    # KEEP-EFFECT: effects are roots.
    if op.effect in (Effect.WRITE, Effect.FAULT) or not wanted.isdisjoint(op.results):
        return op
    return None


def _if(op: ops.If, wanted: set[Value]) -> Op | None:
    keep = [n for n, r in enumerate(op.results) if r in wanted]
    sides = []
    for b in (op.then, op.orelse):
        yields = tuple(b.yields[n] for n in keep)
        wanted.update(yields)
        sides.append(_block(Block((), b.ops, yields), wanted))
    if not keep and not sides[0].ops and not sides[1].ops:
        return None
    return replace(op, then=sides[0], orelse=sides[1], results=tuple(op.results[n] for n in keep))


def _loop(op: ops.For | ops.Tiles, wanted: set[Value]) -> Op | None:
    keep = _needed_carried(op.results, op.body, 1, wanted, None)
    block = _narrow(op.body, 1, keep)
    wanted.update(block.yields)
    body = _block(block, wanted)
    if not keep and not _has_effect(body):
        return None
    init = tuple(op.init[n] for n in keep)
    return replace(op, init=init, body=body, results=tuple(op.results[n] for n in keep))


def _while(op: ops.While, wanted: set[Value]) -> Op:
    keep = _needed_carried(op.results, op.body, 0, wanted, op.test)
    block = _narrow(op.body, 0, keep)
    test = Block(tuple(op.test.args[n] for n in keep), op.test.ops, op.test.yields)
    wanted.update(test.yields)
    test = _block(test, wanted)
    wanted.update(block.yields)
    body = _block(block, wanted)
    init = tuple(op.init[n] for n in keep)
    return replace(op, init=init, test=test, body=body, results=tuple(op.results[n] for n in keep))


def _narrow(block: Block, first: int, keep: list[int]) -> Block:
    """A loop's body with only the carried values `keep`."""
    args = (*block.args[:first], *(block.args[first + n] for n in keep))
    return Block(args, block.ops, tuple(block.yields[n] for n in keep))


def _needed_carried(
    results: tuple[Value, ...], body: Block, first: int, wanted: set[Value], test: Block | None
) -> list[int]:
    """Numbers of carried values that are read outside, or inside for something other than their own next value."""
    needed = {n for n, r in enumerate(results) if r in wanted}
    while True:
        used: set[Value] = set(wanted)
        used.update(body.yields[n] for n in needed)
        _block(Block(body.args, body.ops, tuple(body.yields[n] for n in needed)), used)
        if test is not None:
            used.update(test.yields)
            _block(test, used)
        more = {n for n in range(len(results)) if body.args[first + n] in used}
        if test is not None:
            more |= {n for n in range(len(results)) if test.args[n] in used}
        if more <= needed:
            return sorted(needed)
        needed |= more


def _has_effect(block: Block) -> bool:
    return any(
        op.effect in (Effect.WRITE, Effect.FAULT) or isinstance(op, ops.While) or any(_has_effect(b) for b in op.blocks)
        for op in block.ops
    )
