"""Boundaries that a program writes out become policies of its loads: targets look for the rows and parts of rows in which
they cannot matter, where a subscript such as ``max(i - 1, 0)`` would make a gather.

Before:  %2 = tile.binary max, %1, %0    %3 = tile.load @x[%2]
After:   %3 = tile.load @x[%i - 1], clamp

HALF    ``max(e, 0)``, ``min(e, size - 1)`` or both are clamped, ``e % size`` is wrapped: every subscript of a load is in
        range as it stands, so the half that is not written, and the policy of the load's other subscripts, change nothing;
LINEAR  e is a sum of indices, sizes and numbers, each times one that 64 bits hold: what is a gather without its boundary
        stays one;
INNER   only along the array's inner axis, or the one before it where that may be the row of a picture: others cost nothing;
PRODUCT not in a grid with a product of matrices, whose operands are packed whatever their subscripts are.
Needs: verified IR. Keeps: every place that is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.ir import ops
from lem.ir.core import Affine, Array, Builder, Function, Op, Value, walk_ops
from lem.ir.rewrite import map_function
from lem_runtime.abi.dtypes import I64

_DEEP = 16  # operations that a sum is followed through
_SMALL = 1 << 20  # factors and numbers of a sum that cannot wrap around


def find_boundaries(fn: Function) -> Function:
    found = _Boundaries(fn)
    return map_function(fn, found.rule) if found.some else fn


class _Boundaries:
    def __init__(self, fn: Function) -> None:
        inside = list(walk_ops(fn.body))
        self.defs = {r: o for o in inside for r in o.results}
        self.dims: dict[str, Value] = {}  # one value for each dimension, whichever op names it
        self.indices = {a for o in inside if isinstance(o, ops.Grid) for a in o.body.args}
        self.indices |= {o.body.args[0] for o in inside if isinstance(o, ops.For)}
        self.bounded = self.indices_between_sizes(inside)
        self.sizes = {o.array: o.sizes for o in inside if isinstance(o, ops.Alloc)}
        for o in inside:
            if isinstance(o, ops.Dim):
                self.dims.setdefault(o.name, o.result)
        grids = [o for o in inside if isinstance(o, ops.Grid)]
        products = [list(walk_ops(g.body)) for g in grids if any(isinstance(o, ops.Contract) for o in walk_ops(g.body))]
        self.taken = {r for body in products for o in body for r in o.results}  # PRODUCT
        self.some = any(isinstance(o, ops.Binary) and o.kind in ("max", "min", "mod") for o in inside)

    def rule(self, o: Op, out: Builder) -> Sequence[Value] | None:
        if not isinstance(o, ops.Load) or o.boundary or o.idle or o.array.kind == "local" or o.result in self.taken:
            return None
        found = {n: p for n in range(o.array.rank) if (p := self.policy(o.array, n, o.subs[n])) is not None}
        policy = next((found[n][0] for n in sorted(found, reverse=True) if _is_inner(o.array, n)), None)
        if policy is None:
            return None
        subs = tuple(found[n][1] if n in found and found[n][0] == policy else s for n, s in enumerate(o.subs))
        if any(a.axes != b.axes for a, b in zip(subs, o.subs, strict=True)):
            return None
        return [out(o.rebuild(subs=subs, boundary=policy))]

    def indices_between_sizes(self, inside: Sequence[Op]) -> set[Value]:
        return {v for o in inside for v, lo, hi in _ranges(o) if self.is_size(lo) and self.is_size(hi)}

    def is_size(self, v: Value) -> bool:
        o = self.defs.get(v)
        return isinstance(o, ops.Dim) or (isinstance(o, ops.Const) and abs(o.value) < _SMALL)

    def policy(self, array: Array, n: int, sub: Affine) -> tuple[str, Affine] | None:
        """What a subscript does at the boundary, and the subscript without that."""
        size = self.size(array, n)
        if len(sub.terms) != 1 or sub.terms[0][0] != 1 or sub.const or size is None:
            return None
        v = sub.terms[0][1]
        o = self.defs.get(v)
        if isinstance(o, ops.Binary) and o.kind == "mod":
            wrapped = self.linear(o.x) if self.linear(o.y) == size else None
            return ("wrap", self.without(wrapped, size)) if wrapped is not None and wrapped.fits else None
        inside = self.unclamped(v, size)
        linear = self.linear(inside) if inside is not v else None
        return ("clamp", linear) if linear is not None and linear.fits else None

    def unclamped(self, v: Value, size: Affine) -> Value:
        """HALF"""
        last = size.plus(Affine((), 1), -1)
        o = self.defs.get(v)
        if isinstance(o, ops.Binary) and o.kind in ("max", "min") and v.dtype == I64:
            limit = Affine(()) if o.kind == "max" else last
            for x, y in ((o.x, o.y), (o.y, o.x)):
                if self.linear(y) == limit:
                    return self.unclamped(x, size)
        return v

    def without(self, x: Affine, size: Affine) -> Affine:
        """``(i - 1 + N) % N`` is ``(i - 1) % N``, where no sum wraps around."""
        if len(size.terms) != 1 or not self.is_small(x):
            return x
        ((_, dim),) = size.terms
        return x.plus(size, -x.coef_of(dim))

    def is_small(self, x: Affine) -> bool:
        """Is a sum one of sizes and of indices between sizes, far from what 64 bits hold?"""
        small = all(abs(c) < _SMALL for c in (x.const, *(c for c, _ in x.terms)))
        return small and all(v in self.bounded or isinstance(self.defs.get(v), ops.Dim) for v in x.values)

    def size(self, array: Array, n: int) -> Affine | None:
        """Of an axis of an array."""
        if array in self.sizes:
            return self.linear(self.sizes[array][n])
        size = array.shape[n]
        if isinstance(size, int):
            return Affine((), size)
        return Affine(((1, self.dims[size]),)) if isinstance(size, str) and size in self.dims else None

    def linear(self, v: Value, depth: int = _DEEP) -> Affine | None:
        """LINEAR"""
        o = self.defs.get(v)
        if v in self.indices or isinstance(o, ops.Range | ops.Scalar):
            return Affine(((1, v),)) if v.dtype == I64 else None
        if isinstance(o, ops.Dim):
            return Affine(((1, self.dims[o.name]),))
        if isinstance(o, ops.Const) and v.dtype == I64:
            return Affine((), int(o.value))
        if not isinstance(o, ops.Binary) or o.kind not in ("add", "sub", "mul") or v.dtype != I64 or not depth:
            return None
        x, y = self.linear(o.x, depth - 1), self.linear(o.y, depth - 1)
        if x is None or y is None:
            return None
        if o.kind != "mul":
            return x.plus(y, 1 if o.kind == "add" else -1)
        for a, b in ((x, y), (y, x)):
            if not a.terms:
                return Affine(()).plus(b, a.const)
        return None


def _ranges(o: Op) -> list[tuple[Value, Value, Value]]:
    """Indices that an op binds, with their bounds."""
    if isinstance(o, ops.Grid):
        return list(zip(o.body.args, o.lo, o.hi, strict=True))
    if isinstance(o, ops.For):
        return [(o.body.args[0], o.lo, o.hi)]
    return [(o.result, o.lo, o.hi)] if isinstance(o, ops.Range) else []


def _is_inner(array: Array, n: int) -> bool:
    """INNER"""
    return n == array.inner_axis or (array.rank >= 3 and n == array.rank - 2)
