"""Remove operations whose results nobody reads, and carried values and branch results nobody needs.

Before:  %1 = tile.load @a[%i]    %2 = tile.neg %1    tile.store @b[%i], %1
After:   %1 = tile.load @a[%i]                        tile.store @b[%i], %1

KEEP-EFFECT  an op that writes, faults or prints stays, and so does all that it reads;
KEEP-LOOP    a while loop stays: that it ends is not known;
KEEP-AROUND  what stays keeps all constructs around it, with their conditions and bounds.
Everything else stays only where a result is needed: first all that is needed is marked, from the roots backwards, each
value once; then the rest is left out.
Needs: verified IR. Keeps: every op with an effect and all that it reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lem.ir import ops
from lem.ir.core import Block, Effect, Function, Op, Value

Loop = ops.For | ops.While | ops.Tiles


def drop_dead_ops(fn: Function) -> Function:
    needed = _Needed(fn.body)
    return fn.with_body(_without(fn.body, needed))


class _Needed:
    """What has to stay: values and ops, found from the roots backwards."""

    def __init__(self, body: Block) -> None:
        self.values: set[Value] = set()
        self.ops: set[Op] = set()
        self._sources: dict[Value, tuple[Op, tuple[Value, ...]]] = {}  # defining op, and values that flow into this one
        self._around: dict[Op, Op] = {}
        self._todo: list[Value] = []
        roots = self._index(body, None)
        for o in roots:
            self._need_op(o)
        while self._todo:
            o, more = self._sources[self._todo.pop()]
            self._need_op(o)
            self._need(more)

    def _index(self, block: Block, around: Op | None) -> list[Op]:
        """Note where values come from; gives the ops that must stay whatever is read."""
        roots: list[Op] = []
        for o in block.ops:
            if around is not None:
                self._around[o] = around
            # KEEP-EFFECT, KEEP-LOOP
            if o.effect is Effect.WRITE or o.effect is Effect.FAULT or isinstance(o, ops.While):
                roots.append(o)
            blocks = o.blocks
            if not blocks:
                for r in o.results:
                    self._sources[r] = o, ()
                continue
            self._index_results(o)
            for b in blocks:
                roots += self._index(b, o)
        return roots

    def _index_results(self, o: Op) -> None:
        if isinstance(o, ops.If):
            for r, a, b in zip(o.results, o.then.yields, o.orelse.yields, strict=True):
                self._sources[r] = o, (a, b)
        elif isinstance(o, Loop):
            first = _n_indices(o)
            for n, (r, start, end) in enumerate(zip(o.results, o.init, o.body.yields, strict=True)):
                args = [b.args[first + n] for b in o.blocks]
                for v in (r, *args):
                    self._sources[v] = o, (start, end)
            for index in o.body.args[:first]:
                self._sources[index] = o, ()
        else:
            for r in o.results:  # a scan: one state may go into all others
                self._sources[r] = o, tuple(v for b in o.blocks for v in b.yields)
            for v in (a for b in o.blocks for a in b.args):
                self._sources[v] = o, ()

    def _need_op(self, o: Op) -> None:
        at: Op | None = o
        while at is not None and at not in self.ops:
            self.ops.add(at)
            # What a loop carries and a branch hands on is needed one by one; conditions and bounds are.
            self._need(at.operands if not isinstance(at, Loop) else _bounds(at))
            at = self._around.get(at)  # KEEP-AROUND

    def _need(self, values: Iterable[Value]) -> None:
        for v in values:
            if v not in self.values:
                self.values.add(v)
                self._todo.append(v)


def _n_indices(o: Loop) -> int:
    return 0 if isinstance(o, ops.While) else 1


def _bounds(o: Loop) -> tuple[Value, ...]:
    if isinstance(o, ops.While):
        return o.test.yields
    block = (o.block,) if isinstance(o, ops.Tiles) and o.block is not None else ()
    return (o.lo, o.hi, *block)


def _without(block: Block, needed: _Needed) -> Block:
    """`block` with what is needed of its ops; the same object where all is."""
    kept = [_slim(o, needed) if o.blocks else o for o in block.ops if o in needed.ops]
    if len(kept) == len(block.ops) and all(a is b for a, b in zip(kept, block.ops, strict=True)):
        return block
    return Block(block.args, tuple(kept), block.yields)


def _slim(o: Op, needed: _Needed) -> Op:
    """An op with blocks, with only the results and carried values that are needed."""
    if isinstance(o, ops.If):
        keep = [n for n, r in enumerate(o.results) if r in needed.values]
        then, orelse = (_part(b, 0, keep, needed) for b in (o.then, o.orelse))
        if len(keep) == len(o.results) and then is o.then and orelse is o.orelse:
            return o
        return replace(o, then=then, orelse=orelse, results=tuple(o.results[n] for n in keep))
    if isinstance(o, Loop):
        return _slim_loop(o, needed)
    assert isinstance(o, ops.Grid | ops.Scan)
    body = _without(o.body, needed)
    return o if body is o.body else replace(o, body=body)


def _slim_loop(o: Loop, needed: _Needed) -> Op:
    first = _n_indices(o)
    keep = [
        n for n, r in enumerate(o.results)
        if r in needed.values or any(b.args[first + n] in needed.values for b in o.blocks)
    ]  # fmt: skip
    body = _part(o.body, first, keep, needed)
    init, results = tuple(o.init[n] for n in keep), tuple(o.results[n] for n in keep)
    whole = len(keep) == len(o.results)
    if isinstance(o, ops.While):
        args = o.test.args if whole else tuple(o.test.args[n] for n in keep)
        test = _without(o.test, needed)
        if not whole:
            test = Block(args, test.ops, test.yields)
        return o if whole and test is o.test and body is o.body else replace(
            o, init=init, test=test, body=body, results=results
        )  # fmt: skip
    return o if whole and body is o.body else replace(o, init=init, body=body, results=results)


def _part(block: Block, first: int, keep: list[int], needed: _Needed) -> Block:
    """A block with only the results `keep`, and the arguments of the same numbers after the `first` ones."""
    slim = _without(block, needed)
    if len(keep) == len(block.yields):
        return slim
    args = (*block.args[:first], *(block.args[first + n] for n in keep)) if block.args else ()
    return Block(args, slim.ops, tuple(block.yields[n] for n in keep))
