"""Copies part of a value into a scratch panel, element by element computed on the way: casts, scales, masks.

A panel holds ``outer`` rows of ``inner`` neighbours, `ld` elements apart. :func:`pack_along` reads vectors along the inner
side; :func:`pack_across` reads vectors along the outer side and turns squares of them around in registers, for
sources that are contiguous the other way. Rows may be written up to the next multiple of the vector length, and
:func:`pack_across` writes whole squares: panels have room for that. What lies there is never used for a result.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem import ir
from lem.targets.cpu.points import Points, Span
from lem.targets.loops import build as lb
from lem.targets.loops.core import Buffer, Expr
from lem_runtime.abi.dtypes import I32


def pack_along(at: Points, value: ir.Value, outer: Span, inner: Span, into: Buffer, ld: Expr, lanes: int) -> None:
    """``into[o * ld + i] = value`` with vectors along the inner side."""
    b = at.b
    whole = b.let(lb.mul(lb.floordiv(inner.count, lanes), lanes), "whole")
    with b.for_("o", 0, outer.count) as o, at.scope():
        at.go_to(outer, o)
        at.hoist([value])
        row = b.let(lb.mul(o, ld), "row")

        def part(i: Expr, mask: Expr | None) -> None:
            with at.scope():
                at.run_along(inner, i, lanes, mask)
                b.store(into, lb.add(row, i), at.vector(value, lanes))

        with b.for_("i", 0, whole, lanes) as i:
            part(i, None)
        with b.if_(lb.compare("lt", whole, inner.count)):
            part(whole, lanes_below(b, lb.sub(inner.count, whole), lanes))


def pack_across(at: Points, value: ir.Value, outer: Span, inner: Span, into: Buffer, ld: Expr, lanes: int) -> None:
    """``into[o * ld + i] = value`` with vectors along the outer side."""
    b = at.b
    whole = b.let(lb.mul(lb.floordiv(outer.count, lanes), lanes), "whole")
    last = b.let(lb.sub(inner.count, 1), "last")
    with b.for_("i", 0, inner.count, lanes) as i:
        rows = []
        for n in range(lanes):
            row = at.fork()
            row.go_to(inner, b.let(lb.minimum(lb.add(i, n), last), "p"))
            row.hoist([value])
            rows.append(row)

        def square(o: Expr, mask: Expr | None) -> None:
            read = []
            for row in rows:
                with row.scope():
                    row.run_along(outer, o, lanes, mask)
                    read.append(row.vector(value, lanes))
            for n, x in enumerate(turned(b, read)):
                b.store(into, lb.add(lb.mul(lb.add(o, n), ld), i), x)

        with b.for_("o", 0, whole, lanes) as o:
            square(o, None)
        with b.if_(lb.compare("lt", whole, outer.count)):
            square(whole, lanes_below(b, lb.sub(outer.count, whole), lanes))


def lanes_below(b: lb.Build, count: Expr, lanes: int) -> Expr:
    """A mask of the first `count` lanes."""
    return b.let(lb.compare("lt", lb.iota(lanes, I32), lb.splat(b.let(lb.cast(count, I32), "count"), lanes)), "mask")


def turned(b: lb.Build, rows: Sequence[Expr]) -> list[Expr]:
    """The columns of a square of vectors: swap ever smaller blocks across the diagonal."""
    out = list(rows)
    n = len(out)
    half = n // 2
    while half:
        for i in range(n):
            if i & half:
                continue
            x, y = out[i], out[i + half]
            upper = [lane if not lane & half else n + lane - half for lane in range(n)]
            lower = [lane + half if not lane & half else n + lane for lane in range(n)]
            out[i] = b.let(lb.shuffle(x, y, upper), "u")
            out[i + half] = b.let(lb.shuffle(x, y, lower), "l")
        half //= 2
    return out
