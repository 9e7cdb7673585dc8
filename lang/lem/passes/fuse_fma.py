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

from dataclasses import replace
from typing import Any

from lem.ir import ops
from lem.ir.accumulators import accumulator
from lem.ir.core import Block, Function, Op, Value


def fuse_fma(fn: Function) -> Function:
    uses: dict[Value, int] = {}
    _count_uses(fn.body, uses)
    return fn.with_body(_block(fn.body, uses))


def _count_uses(block: Block, uses: dict[Value, int]) -> None:
    for op in block.ops:
        for v in op.operands:
            uses[v] = uses.get(v, 0) + 1
        for b in op.blocks:
            _count_uses(b, uses)
    for v in block.yields:
        uses[v] = uses.get(v, 0) + 1


def _block(block: Block, uses: dict[Value, int]) -> Block:
    products: dict[Value, ops.Binary] = {}  # SAME: of this block only
    out: list[Op] = []
    gone: set[Op] = set()
    for op in block.ops:
        if isinstance(op, ops.Binary):
            if op.kind == "mul" and op.x.dtype.is_float and uses.get(op.result) == 1:  # ONCE
                products[op.result] = op
            elif op.kind in ("add", "sub"):
                out += _fused(op, products, gone)
                continue
        elif isinstance(op, ops.Reduce):
            op = _dot(op, products, gone)
        elif op.block_names:
            changed: dict[str, Any] = {f: _block(getattr(op, f), uses) for f in op.block_names}
            op = replace(op, **changed)
        out.append(op)
    return Block(block.args, tuple(op for op in out if op not in gone) if gone else tuple(out), block.yields)


def _fused(op: ops.Binary, products: dict[Value, ops.Binary], gone: set[Op]) -> list[Op]:
    """What stands for a sum or difference: the fused op, or itself."""
    left = products.get(op.x)
    product = left or products.get(op.y)
    if product is None:
        return [op]
    gone.add(product)
    a, b, c = product.x, product.y, op.y if left else op.x
    before: list[Op] = []
    if op.kind == "sub":
        before.append(ops.Unary("neg", c if left else a, loc=op.loc))
        a, c = (a, before[0].result) if left else (before[0].result, c)
    return [*before, ops.Fma(a, b, c, loc=op.loc, results=op.results)]


def _dot(op: ops.Reduce, products: dict[Value, ops.Binary], gone: set[Op]) -> ops.Reduce:
    product = products.get(op.xs[0])
    if product is None or op.acc.name != "sum":
        return op
    gone.add(product)
    acc = accumulator("dot", op.acc.dtype)
    return ops.Reduce((product.x, product.y), op.axis, acc, op.order, loc=op.loc, results=op.results)
