"""Reductions that only some axes of a grid need, computed by a grid of their own in front of it.

Before:  grid (i, j):  y[i, j] = x[i, j] - sum(x[k, j] for k)     the sum of a column for every element of it
After:   grid (j):     t[j] = sum(x[k, j] for k)
         grid (i, j):  y[i, j] = x[i, j] - t[j]

OUTER   what the first axes of a grid determine stays: whoever runs the grid computes it once per row;
WHOLE   where a product of matrices covers the grid, that goes too, for what is left is then the end of a product;
ALWAYS  only what each element computes whatever it finds: in the grid's own block, without checks, from arrays that the
        grid does not write. A grid without elements along the other axes reads nothing, and so does the one in front.
Needs: verified IR. Keeps: every bit, for an op's order is its own.
"""

from __future__ import annotations

from dataclasses import replace

from lem.ir import ops
from lem.ir.core import Affine, Array, Block, Function, Op, Value, walk_ops
from lem.ir.rewrite import Cloner

_PURE = (ops.Binary, ops.Unary, ops.Compare, ops.Select, ops.Cast, ops.Fma, ops.Bits, ops.Const, ops.Dim, ops.Scalar,
         ops.Range, ops.Load, ops.Reduce, ops.Contract)  # fmt: skip
_SHORT = 8
Summing = ops.Reduce | ops.Contract


def hoist_sums(fn: Function) -> Function:
    inside = list(walk_ops(fn.body))
    taken = {a.name for a in fn.arrays} | {o.array.name for o in inside if isinstance(o, ops.Alloc)}
    consts = {o.result: o.value for o in inside if isinstance(o, ops.Const)}
    body = _block(fn.body, taken, consts)
    return fn if body is fn.body else fn.with_body(body)


def _block(block: Block, names: set[str], consts: dict[Value, int | float | bool]) -> Block:
    """Sequential code: grids stand in it and in the blocks of its loops and branches."""
    out: list[Op] = []
    for o in block.ops:
        if isinstance(o, ops.Grid):
            out += _Hoist(o, names, consts).run()
        elif o.blocks:
            changed = {f: _block(getattr(o, f), names, consts) for f in o.block_names}
            same = all(changed[f] is getattr(o, f) for f in changed)
            out.append(o if same else replace(o, **changed))  # type: ignore[arg-type]
        else:
            out.append(o)
    return block if out == list(block.ops) else Block(block.args, tuple(out), block.yields)


class _Hoist:
    def __init__(self, grid: ops.Grid, names: set[str], consts: dict[Value, int | float | bool]) -> None:
        self.grid, self.names, self.consts = grid, names, consts
        self.ops = list(grid.body.ops)  # what is left of them
        self.defs = {r: o for o in grid.body.ops for r in o.results}
        self.written = {o.array for o in walk_ops(grid.body) if isinstance(o, ops.Store | ops.Update | ops.Alloc)}
        self.front: list[Op] = []

    def run(self) -> list[Op]:
        inside = list(walk_ops(self.grid.body))
        hidden = any(a.kind in ("view", "name") for a in self.written)  # what else it writes is not said
        if hidden or any(isinstance(o, ops.Assert | ops.Print) for o in inside):  # ALWAYS
            return [self.grid]
        covered = any(isinstance(o, ops.Contract) and o.result.axes == set(self.grid.axes) for o in self.grid.body.ops)
        for n, o in enumerate(self.grid.body.ops):
            moved = self.moved(o) if isinstance(o, Summing) and self.is_wanted(o, covered) else None
            if moved is not None:
                self.ops[n] = self.defs[o.results[0]] = moved
        if not self.front:
            return [self.grid]
        return [*self.front, replace(self.grid, body=Block(self.grid.body.args, tuple(self.ops), self.grid.body.yields))]

    def is_wanted(self, o: Summing, covered: bool) -> bool:
        own, axes = o.result.axes, list(self.grid.axes)
        n = len(own)
        if not own or n == len(axes) or not own <= set(axes):
            return False
        return covered or own != set(axes[:n])  # OUTER, WHOLE

    def moved(self, o: Summing) -> Op | None:
        """What the element does instead; the grid in front is in `front` then."""
        grid = self.grid
        own = [n for n, a in enumerate(grid.axes) if a in o.result.axes]
        args = tuple(grid.body.args[n] for n in own)
        needed = self.needs(o, set(args))
        if needed is None or any(grid.step[n] != 1 or self.consts.get(grid.lo[n]) != 0 for n in own):
            return None
        array = Array(self.name(o), o.result.dtype, (None,) * len(own), "temp", "inout")
        place = tuple(Affine(((1, a),)) for a in args)
        body = Block(args, (*needed, ops.Store(array, place, o.result, loc=o.loc)), ())
        lo = tuple(grid.lo[n] for n in own)
        hi = tuple(self.limit(n, own, o) for n in own)
        axes, steps = tuple(grid.axes[n] for n in own), tuple(1 for _ in own)
        made = ops.Grid(axes, lo, hi, steps, body, label=grid.label, loc=grid.loc, results=())
        sizes = tuple(self.add(ops.Binary("max", a, b, loc=o.loc)) for a, b in zip(lo, hi, strict=True))
        self.front += [ops.Alloc(array, sizes, None, loc=o.loc), Cloner(fresh=True).op(made)]
        return ops.Load(array, place, loc=o.loc, results=(o.result,))

    def needs(self, o: Summing, args: set[Value]) -> list[Op] | None:
        """Ops of the block that make `o`, in order; None where one of them must stay."""
        found: set[Op] = {o}
        todo: list[Op] = [o]
        while todo:
            for v in todo.pop().operands:
                maker = self.defs.get(v)
                if v in self.grid.body.args and v not in args:
                    return None
                if maker is None or maker in found:
                    continue
                found.add(maker)
                todo.append(maker)
        fits = all(isinstance(p, _PURE) for p in found)
        reads = [p.array for p in found if isinstance(p, ops.Load)]
        if not fits or any(a in self.written or a.kind in ("local", "name", "view") for a in reads):
            return None
        return [p for p in self.ops if p in found] if self.is_long(found) else None

    def is_long(self, found: set[Op]) -> bool:
        """Is it worth its memory? Short sums of literal length are not."""
        ranges = [p for p in found if isinstance(p, ops.Range)]
        lengths = [(self.consts.get(p.lo), self.consts.get(p.hi)) for p in ranges]
        return any(a is None or b is None or b - a > _SHORT for a, b in lengths)

    def limit(self, n: int, own: list[int], o: Summing) -> Value:
        """The end of an axis; its start where the grid has no elements along one of the others."""
        grid, end = self.grid, self.grid.hi[n]
        for other in range(len(grid.axes)):
            if other not in own:
                some = self.add(ops.Compare("lt", grid.lo[other], grid.hi[other], loc=o.loc))
                end = self.add(ops.Select(some, end, grid.lo[n], loc=o.loc))
        return end

    def add(self, o: Op) -> Value:
        self.front.append(o)
        return o.result

    def name(self, o: Summing) -> str:
        wanted = o.result.name or "sums"
        name = next(n for n in (wanted, *(f"{wanted}{i}" for i in range(1, 1 << 20))) if n not in self.names)
        self.names.add(name)
        return name
