"""The innermost loop of matrix products: a register tile of `mr` rows by `nv` vectors, one FMA chain per element.

A row of A is contiguous along k; row r starts at ``r * a_stride``. Step k of B is `nv` vectors side by side at
``k * b_stride``. So packed panels and arrays in place are read by the same code, which is emitted once; except that whole
tiles of packed rows, where the time goes, have a loop of their own: rows that lie a known distance apart need one register,
others one each, which there are not (14 loads of pointers beside 28 products, a fifth of the time). All chains start at zero
and go up: what a chunk of LANGUAGE 30a asks for.
"""

from __future__ import annotations

from collections.abc import Callable

from lem.schedule.register_tiles import RegisterTile
from lem.targets.loops import build as lb
from lem.targets.loops.core import Buffer, Expr, Var


def product(
    b: lb.Build, tile: RegisterTile, rows: int, a: Buffer, a_stride: Expr, at: Buffer, b_stride: Expr, n: Expr,
    height: Expr, unroll: int = 1, packed: Expr | None = None, packed_stride: int = 0,
) -> list[list[Var]]:  # fmt: skip
    """Append the chains over k in 0 .. n; gives accumulators [row][vector].

    a: starts at row 0, step 0. at: B, starts at step 0. height: rows that exist; the last one stands in for others, so
    that nothing below it is read. packed: given for a whole tile; where it holds, rows lie `packed_stride` apart.
    """
    zero = lb.const(0.0 if tile.dtype.is_float else 0, tile.dtype, tile.lanes)
    sums = [[b.var(zero, f"c{r}_{v}") for v in range(tile.nv)] for r in range(rows)]

    def chains(row: Callable[[int], tuple[Buffer, Expr]]) -> None:
        """row: where one starts, and what is added to k there."""
        starts = [row(r) for r in range(rows)]
        line = b.var(0, "line")  # moves on by b_stride: cheaper than a product in every step

        def step(k: Expr) -> None:
            here = b.let(line, "here")
            ys = [b.let(lb.load(at, lb.add(here, v * tile.lanes), tile.lanes), f"b{v}") for v in range(tile.nv)]
            for r, (start, offset) in enumerate(starts):
                x = b.let(lb.splat(lb.load(start, lb.add(k, offset)), tile.lanes), "x")
                for v in range(tile.nv):
                    b.set(sums[r][v], multiply_add(x, ys[v], sums[r][v]))
            b.set(line, lb.add(here, b_stride))

        even: Expr = lb.const(0)
        if unroll > 1:
            even = b.let(lb.mul(lb.floordiv(n, unroll), unroll), "even")
            with b.for_("k", 0, even, unroll) as k:
                for u in range(unroll):
                    step(b.let(lb.add(k, u), "k"))
        with b.for_("k", even, n) as k:
            step(k)

    def apart(r: int) -> tuple[Buffer, Expr]:
        below = lb.minimum(b.let(lb.sub(height, 1), "last"), r) if r else lb.const(0)
        return b.view(a, lb.mul(a_stride, below), f"a{r}"), lb.const(0)

    if packed is None:
        chains(apart)
        return sums
    with b.if_(packed, likely=True) as node:
        chains(lambda r: (a, lb.const(r * packed_stride)))
    with b.orelse(node):
        chains(apart)
    return sums


def multiply_add(x: Expr, y: Expr, z: Expr) -> Expr:
    """One step of a chain: rounded once for floats, wrapping for integers."""
    return lb.fma(x, y, z) if z.type.dtype.is_float else lb.add(lb.mul(x, y), z)


def keep(b: lb.Build, sums: list[list[Var]], into: Buffer, stride: int) -> None:
    """Store a register tile to `into`, `stride` elements from row to row."""
    for r, row in enumerate(sums):
        for v, x in enumerate(row):
            b.store(into, r * stride + v * x.type.lanes, x)


def ragged_product(
    b: lb.Build, tile: RegisterTile, rows: int, a: Buffer, a_stride: Expr, at: Buffer, b_stride: Expr, height: Expr,
    lows: list[Expr] | None, highs: list[Expr],
) -> list[list[Var]]:  # fmt: skip
    """As :func:`product`, with the chain of row r over k in lows[r] .. highs[r] only (lows None: from 0).

    What all rows share runs together; what comes before and after it runs row by row, so that no product enters a chain
    it does not belong to: 0 * inf would spoil it.
    """
    last = b.let(lb.sub(height, 1), "last")
    starts = [b.view(a, lb.mul(a_stride, lb.minimum(last, r) if r else lb.const(0)), f"a{r}") for r in range(rows)]
    zero = lb.const(0.0 if tile.dtype.is_float else 0, tile.dtype, tile.lanes)
    sums = [[b.var(zero, f"c{r}_{v}") for v in range(tile.nv)] for r in range(rows)]

    def step(k: Expr, members: range) -> None:
        line = b.let(lb.mul(k, b_stride), "line")
        ys = [b.let(lb.load(at, lb.add(line, v * tile.lanes), tile.lanes), f"b{v}") for v in range(tile.nv)]
        for r in members:
            x = b.let(lb.splat(lb.load(starts[r], k), tile.lanes), "x")
            for v in range(tile.nv):
                b.set(sums[r][v], multiply_add(x, ys[v], sums[r][v]))

    first: Expr = lb.const(0)
    if lows is not None:
        for low in lows:
            first = b.let(lb.maximum(first, low), "first")
        for r, low in enumerate(lows):
            with b.for_("k", low, b.let(lb.minimum(highs[r], first))) as k:
                step(k, range(r, r + 1))
    end: Expr = highs[0]
    for high in highs[1:]:
        end = b.let(lb.minimum(end, high), "end")
    end = b.let(lb.maximum(first, end), "end")
    with b.for_("k", first, end) as k:
        step(k, range(rows))
    for r, high in enumerate(highs):
        with b.for_("k", end, high) as k:
            step(k, range(r, r + 1))
    return sums
