"""Tools that passes are made of: who uses what, renaming, cloning, and rebuilding a block op by op.

Everything takes IR and gives new IR; nothing is changed in place. What passes promise each other: a value keeps its
identity while its defining op keeps its meaning, so only what changes needs renaming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from lem.ir.core import Affine, Array, Axis, Block, Builder, Function, Op, TileType, Value, map_operands, op_fields

Rule = Callable[[Op, Builder], Sequence[Value] | None]


def map_block(block: Block, rule: Rule, new: Mapping[Value, Value] | None = None) -> Block:
    """`block` with every op, inner ones first, given to `rule`; the same objects where nothing changes.

    `rule(op, out)` sees the op with its operands already renamed and its blocks already rebuilt. It returns None to keep
    the op as it is, or adds what replaces the op to `out` and returns the values that stand for the op's results from
    here on (an empty sequence when it has none). A replacement has the type of what it replaces; to change types, build
    the op with ``rebuild`` and give its fresh result. `new`: a renaming to begin with.

        def fold(o: Op, out: Builder) -> Sequence[Value] | None:
            if isinstance(o, ops.Unary) and o.kind == "neg" and o.x in constants:
                return [out(ops.Const(-constants[o.x], o.x.dtype))]
            return None
    """
    known = dict(new or {})
    out = Builder()
    for o in block.ops:
        blocks = {b: map_block(b, rule, known) for b in o.blocks}
        seen = _with(o, known, blocks)
        replaced = rule(seen, out)
        if replaced is None:
            out.add(seen)
            continue
        for old, value in zip(o.results, replaced, strict=True):
            known[old] = known.get(value, value)
    yields = tuple(known.get(v, v) for v in block.yields)
    if _same(tuple(out.ops), block.ops) and _same(yields, block.yields):
        return block
    return Block(block.args, tuple(out.ops), yields)


def map_function(fn: Function, rule: Rule) -> Function:
    return fn.with_body(map_block(fn.body, rule))


def rename(o: Op, new: Mapping[Value, Value]) -> Op:
    """`o` and what is nested in it with values renamed; results keep their identity."""
    return _with(o, new, {b: rename_block(b, new) for b in o.blocks}) if new else o


def rename_block(block: Block, new: Mapping[Value, Value]) -> Block:
    if not new:
        return block
    return Block(block.args, tuple(rename(o, new) for o in block.ops), tuple(new.get(v, v) for v in block.yields))


def _with(o: Op, new: Mapping[Value, Value], blocks: Mapping[Block, Block]) -> Op:
    """`o` with operands renamed and blocks exchanged; the same object where nothing changes."""
    changed = {}
    for name in op_fields(type(o)):
        old = getattr(o, name)
        value = _blocks_in(map_operands(old, new), blocks)
        if value is not old and not (isinstance(old, tuple) and _same(old, value)):
            changed[name] = value
    return o.rebuild(**changed, results=o.results) if changed else o


def _same(a: Any, b: Any) -> bool:
    """Whether two fields hold the same values (affine subscripts are equal by value, the rest is or is not the same)."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return a is b or (isinstance(a, Affine | int | float | str) and a == b)


def _blocks_in(v: Any, blocks: Mapping[Block, Block]) -> Any:
    if isinstance(v, Block):
        return blocks.get(v, v)
    if isinstance(v, tuple) and any(isinstance(b, Block) for b in v):
        return tuple(_blocks_in(b, blocks) for b in v)
    return v


class Cloner:
    """Deep copies with fresh values: what is defined inside is new, what is free is renamed by `new` or kept.

    `axes`, `arrays`: renamings of those, to which axes and arrays made inside are added when `fresh` is set (a copy that
    stands in the scope of the original needs it; one that replaces it does not).
    """

    def __init__(
        self,
        new: Mapping[Value, Value] | None = None,
        axes: Mapping[Axis, Axis] | None = None,
        arrays: Mapping[Array, Array] | None = None,
        *,
        fresh: bool = False,
    ) -> None:
        self.values = dict(new or {})
        self.axes = dict(axes or {})
        self.arrays = dict(arrays or {})
        self.fresh = fresh

    def block(self, b: Block) -> Block:
        args = tuple(self._define(a) for a in b.args)
        body = tuple(self.op(o) for o in b.ops)
        return Block(args, body, tuple(self.values.get(v, v) for v in b.yields))

    def op(self, o: Op) -> Op:
        self._refresh(o)
        made = {name: self._field(getattr(o, name)) for name in op_fields(type(o))}
        return o.rebuild(**made, results=tuple(self._define(r) for r in o.results))

    def _define(self, v: Value) -> Value:
        found = self.values[v] = Value(TileType(v.dtype, self._set(v.axes)), v.name)
        return found

    def _set(self, axes: Iterable[Axis]) -> frozenset[Axis]:
        return frozenset(self.axes.get(a, a) for a in axes)

    def _refresh(self, o: Op) -> None:
        for name in op_fields(type(o)):
            held = getattr(o, name)
            if self.fresh and name in ("axis", "axes") and opens_axis(o):
                for a in held if isinstance(held, tuple) else (held,):
                    self.axes[a] = Axis(a.name, a.kind)
            elif makes_array(o) and name == "array" and (self.fresh or self._set(held.axes) != held.axes):
                self.arrays[held] = Array(
                    held.name, held.dtype, held.shape, held.kind, held.effect, held.reduce_op, self._set(held.axes),
                    held.layout,
                )  # fmt: skip

    def _field(self, v: Any) -> Any:
        if isinstance(v, Axis):
            return self.axes.get(v, v)
        if isinstance(v, Array):
            return self.arrays.get(v, v)
        if isinstance(v, Block):
            return self.block(v)
        if isinstance(v, tuple):
            return tuple(self._field(x) for x in v)
        return map_operands(v, self.values)


def opens_axis(o: Op) -> bool:
    return o.opname in ("tile.range", "tile.tiles", "tile.grid")


def makes_array(o: Op) -> bool:
    return o.opname in ("tile.alloc", "tile.view", "tile.name")


def clone(block: Block, new: Mapping[Value, Value] | None = None, *, fresh: bool = False) -> Block:
    """A copy of `block` that shares no value it defines with the original."""
    return Cloner(new, fresh=fresh).block(block)


def uses(block: Block) -> dict[Value, list[Op]]:
    """Ops that use each value, in order; an op also counts as using what its blocks yield."""
    found: dict[Value, list[Op]] = {}
    for o in block.ops:
        for v in o.operands:
            found.setdefault(v, []).append(o)
        for b in o.blocks:
            for v, users in uses(b).items():
                found.setdefault(v, []).extend(users)
            for v in b.yields:
                found.setdefault(v, []).append(o)
    return found


def definitions(block: Block) -> dict[Value, Op]:
    """The op that defines each value, in `block` and below; arguments of blocks are not in it."""
    found: dict[Value, Op] = {}
    for o in block.ops:
        for r in o.results:
            found[r] = o
        for b in o.blocks:
            found |= definitions(b)
    return found


def free_values(block: Block) -> tuple[Value, ...]:
    """Values that `block` uses and does not define, in the order of their first use."""
    found: dict[Value, None] = {}
    inner: set[Value] = set()
    for kind, v in _mentions(block):
        if kind == "def":
            inner.add(v)
        elif v not in inner:
            found[v] = None
    return tuple(found)


def free_of(o: Op) -> tuple[Value, ...]:
    """Values that an op uses, its blocks included."""
    found = dict.fromkeys(o.operands)
    for b in o.blocks:
        found |= dict.fromkeys(free_values(b))
    return tuple(found)


def _mentions(block: Block) -> Iterator[tuple[str, Value]]:
    for a in block.args:
        yield "def", a
    for o in block.ops:
        for v in o.operands:
            yield "use", v
        for b in o.blocks:
            yield from _mentions(b)
        for r in o.results:
            yield "def", r
    for v in block.yields:
        yield "use", v


def arrays_read(block: Block) -> set[Array]:
    return {a for o in block.ops for a in _touched(o)[0]} | {a for o in block.ops for b in o.blocks for a in arrays_read(b)}


def arrays_written(block: Block) -> set[Array]:
    """Arrays that `block` stores to, updates or hands to a call (a callee's effects are not looked up)."""
    mine = {a for o in block.ops for a in _touched(o)[1]}
    return mine | {a for o in block.ops for b in o.blocks for a in arrays_written(b)}


def _touched(o: Op) -> tuple[Sequence[Array], Sequence[Array]]:
    if o.opname == "tile.load":
        return (o.array,), ()  # type: ignore[attr-defined]
    if o.opname in ("tile.store", "tile.alloc"):
        return (), (o.array,)  # type: ignore[attr-defined]
    if o.opname == "tile.bind":
        return o.arrays, (*o.names, *o.arrays)  # type: ignore[attr-defined]
    if o.opname == "tile.view":  # what is done to the part may stand anywhere behind it
        return (o.base,), (o.base,)  # type: ignore[attr-defined]
    if o.opname == "tile.update":
        return (o.array,), (o.array,)  # type: ignore[attr-defined]
    if o.opname == "tile.call":
        return o.arrays, o.arrays  # type: ignore[attr-defined]
    return (), ()
