"""The innermost loop of matrix products: a register tile of `mr` rows by `nv` vectors, one FMA chain per element.

A row of A is contiguous along k; row r starts at ``r * a_stride``. Step k of B is `nv` vectors side by side at
``k * b_stride``. So packed panels and arrays in place are read by the same code, which is emitted once. All chains
start at zero and go up: what a chunk of LANGUAGE 30a asks for.
"""

from __future__ import annotations

from lem.schedule.register_tiles import RegisterTile
from lem.targets.loops import build as lb
from lem.targets.loops.core import Buffer, Expr, Var


def product(
    b: lb.Build, tile: RegisterTile, rows: int, a: Buffer, a_stride: Expr, at: Buffer, b_stride: Expr, n: Expr,
    height: Expr, unroll: int = 1,
) -> list[list[Var]]:  # fmt: skip
    """Append the chains over k in 0 .. n; gives accumulators [row][vector].

    a: starts at row 0, step 0. at: B, starts at step 0. height: rows that exist; the last one stands in for others, so
    that nothing below it is read.
    """
    last = b.let(lb.sub(height, 1), "last")
    starts = [b.view(a, lb.mul(a_stride, lb.minimum(last, r) if r else lb.const(0)), f"a{r}") for r in range(rows)]
    zero = lb.const(0.0 if tile.dtype.is_float else 0, tile.dtype, tile.lanes)
    sums = [[b.var(zero, f"c{r}_{v}") for v in range(tile.nv)] for r in range(rows)]

    def step(k: Expr) -> None:
        row = b.let(lb.mul(k, b_stride), "row")
        ys = [b.let(lb.load(at, lb.add(row, v * tile.lanes), tile.lanes), f"b{v}") for v in range(tile.nv)]
        for r in range(rows):
            x = b.let(lb.splat(lb.load(starts[r], k), tile.lanes), "x")
            for v in range(tile.nv):
                b.set(sums[r][v], multiply_add(x, ys[v], sums[r][v]))

    even: Expr = n
    if unroll > 1:
        even = b.let(lb.mul(lb.floordiv(n, unroll), unroll), "even")
        with b.for_("k", 0, even, unroll) as k:
            for u in range(unroll):
                step(b.let(lb.add(k, u), "k"))
    with b.for_("k", even if unroll > 1 else lb.const(0), n) as k:
        step(k)
    return sums


def multiply_add(x: Expr, y: Expr, z: Expr) -> Expr:
    """One step of a chain: rounded once for floats, wrapping for integers."""
    return lb.fma(x, y, z) if z.type.dtype.is_float else lb.add(lb.mul(x, y), z)


def keep(b: lb.Build, sums: list[list[Var]], into: Buffer, stride: int) -> None:
    """Store a register tile to `into`, `stride` elements from row to row."""
    for r, row in enumerate(sums):
        for v, x in enumerate(row):
            b.store(into, r * stride + v * x.type.lanes, x)
