"""Fuse a product with the sum it feeds, once, for every target: `a * b + c` rounds once.

Before:  %1 = tile.mul %a, %b    %2 = tile.add %1, %c
After:   %2 = tile.fma %a, %b, %c

Which products are fused is part of a program's numbers (LANGUAGE 30), so it is decided here from the program alone and
never by a target's compiler. The table:

    a * b + c == fma(a, b, c)       the product on the left goes first
    c + a * b == fma(a, b, c)
    a * b - c == fma(a, b, -c)
    c - a * b == fma(-a, b, c)
    sum(a * b, over=k) steps with fma(a, b, s)      the accumulator `sum` becomes `dot`

ONCE    only products that nothing else reads: error-free transformations (`p = a * b; e = fma(a, b, -p)`) stay as written.
SAME    product and sum stand in the same block, so that the product is needed exactly where the sum is.
Needs: verified IR without dead ops.    Keeps: everything but the rounding of fused products.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from lem.ir import ops
from lem.ir.accumulators import accumulator
from lem.ir.core import Block, Function, Op, Value, walk_ops


def fuse_fma(fn: Function) -> Function:
    uses: Counter[Value] = Counter()
    for op in walk_ops(fn.body):
        uses.update(op.operands)
        for b in op.blocks:
            uses.update(b.yields)
    return fn.with_body(_block(fn.body, uses))


def _block(block: Block, uses: Counter[Value]) -> Block:
    from_here: dict[Value, ops.Binary] = {}
    out: list[Op] = []
    gone: set[Value] = set()
    for op in block.ops:
        fused = _fused(op, from_here, uses)
        if fused is not None:
            made, product = fused
            gone.add(product)
            out.extend(made)
            continue
        if isinstance(op, ops.Binary) and op.kind == "mul" and op.x.dtype.is_float and uses[op.result] == 1:
            from_here[op.result] = op
        out.append(_dot(op, from_here, gone) or _nested(op, uses))
    return Block(block.args, tuple(op for op in out if not (op.results and op.results[0] in gone)), block.yields)


def _dot(op: Op, products: dict[Value, ops.Binary], gone: set[Value]) -> Op | None:
    if not isinstance(op, ops.Reduce) or op.acc.name != "sum" or op.xs[0] not in products:
        return None
    product = products[op.xs[0]]
    gone.add(product.result)
    acc = accumulator("dot", op.acc.dtype)
    return ops.Reduce((product.x, product.y), op.axis, acc, op.order, loc=op.loc, results=op.results)


def _nested(op: Op, uses: Counter[Value]) -> Op:
    changes: dict[str, Any] = {name: _block(getattr(op, name), uses) for name in _block_fields(op)}
    if not changes:
        return op
    return replace(op, **changes)


def _block_fields(op: Op) -> list[str]:
    return [n for n in ("then", "orelse", "test", "body") if isinstance(getattr(op, n, None), Block)]


def _fused(op: Op, products: dict[Value, ops.Binary], uses: Counter[Value]) -> tuple[list[Op], Value] | None:
    if not isinstance(op, ops.Binary) or op.kind not in ("add", "sub"):
        return None
    for product, other, side in ((op.x, op.y, "left"), (op.y, op.x, "right")):
        p = products.get(product)
        if p is None:
            continue
        a, c, before = p.x, other, list[Op]()
        if op.kind == "sub":
            neg = ops.Unary("neg", c if side == "left" else a, loc=op.loc)
            before.append(neg)
            a, c = (a, neg.result) if side == "left" else (neg.result, c)
        return [*before, ops.Fma(a, p.y, c, loc=op.loc, results=op.results)], product
    return None
