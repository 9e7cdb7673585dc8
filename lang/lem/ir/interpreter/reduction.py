"""What ranges, scans, reductions and contractions mean, in the order that LANGUAGE 30 fixes.

A position counts from the start of the element's own domain (of the block, in a `tiles` loop). Chunks of a reduction run
side by side: every step of all chunks and all elements is one array operation.

LANES (30b): chunks of 4,096. Inside, position p goes to partial result p % 32, each started from the accumulator's
    beginning; then ``p[l] = merge(p[l], p[l + 16])`` for l < 16, the same with 8, 4, 2 and 1.
CHAIN (30c): chunks of 256, each one ascending chain from the beginning.
Both: chunk results are merged pairwise: (0, 1), (2, 3), ... level by level; an odd one at the end passes on unchanged.
Contractions (30a): chunks of 256, each one ascending chain of FMAs from zero; chunk results are added ascending.
"""

from __future__ import annotations

import numpy as np

from lem.ir import ops
from lem.ir.accumulators import Accumulator
from lem.ir.constants import CHAIN_CHUNK, CONTRACT_CHUNK, LANES, LANES_CHUNK
from lem.ir.core import Axis
from lem.ir.interpreter.elementary import evaluate
from lem.ir.interpreter.formats import Data, fma, narrow, storage, wide
from lem.ir.interpreter.frame import Frame, meaning
from lem.ir.interpreter.tile import OpenAxis, Tile
from lem_runtime.abi.dtypes import DType

State = list[Data]


@meaning(ops.Range)
def _range(f: Frame, o: ops.Range) -> Tile:
    count = f.lift(lambda lo, hi: np.maximum(-((lo - hi) // o.step), 0), f[o.lo], f[o.hi])
    n = f.over_active(count, np.max, 0)
    f.space.open(o.axis, OpenAxis(n))
    position = Tile((o.axis,), np.arange(n))
    if count.axes:
        f.space.domains[o.axis].mask = f.lift(np.less, position, count)
    return f.lift(lambda lo, p: lo + p * o.step, f[o.lo], position)


@meaning(ops.Reduce)
def _reduce(f: Frame, o: ops.Reduce) -> Tile:
    axes, xs, mask = _operands(f, [(f[x], x.dtype) for x in o.xs], o.axis)
    n = f.space.domains[o.axis].n
    f.space.check_axes(axes)
    if o.order is ops.Order.ANY:
        states = _in_any_order(o.acc, xs, mask)
    else:
        size = LANES_CHUNK if o.order is ops.Order.LANES else CHAIN_CHUNK
        unit = LANES if o.order is ops.Order.LANES else 1
        states = _in_chunks(o.acc, xs, mask, n, size, unit)
    done = evaluate(o.acc.finish, {f"s{i}": s for i, s in enumerate(states)})
    shape = np.broadcast_shapes(*(x.shape[:-1] for x in xs), () if mask is None else mask.shape[:-1])
    return Tile(axes, narrow(np.broadcast_to(done, shape), o.acc.dtype))


@meaning(ops.Scan)
def _scan(f: Frame, o: ops.Scan) -> tuple[Tile, ...]:
    domain = f.space.domains[o.axis]
    state, after = tuple(f.get(o.init)), []
    for position in reversed(range(domain.n)) if o.reverse else range(domain.n):
        going = None if domain.mask is None else _at(domain.mask, o.axis, position)
        with f.masked(going):
            new = f.block(o.body, *state, *(_at(f[x], o.axis, position) for x in o.xs))
        state = new if going is None else tuple(f.choose(going, a, b) for a, b in zip(new, state, strict=True))
        after.append(state)
    if o.reverse:
        after.reverse()
    axes = f.space.sort(o.results[0].axes)
    f.space.check_axes(axes)
    others = [a for a in axes if a is not o.axis]

    def along(n: int, start: Tile) -> Tile:
        """State `n` after each position."""
        lengths = f.space.lengths(others)
        one = [np.broadcast_to(s[n].spread(others), lengths) for s in after]
        data = np.stack(one, axis=axes.index(o.axis)) if one else np.zeros(f.space.lengths(axes), start.data.dtype)
        return Tile(axes, data)

    return tuple(along(n, start) for n, start in enumerate(f.get(o.init)))


def _at(tile: Tile, axis: Axis, position: int) -> Tile:
    """A tile at one position of an axis; where it has one value for all, that one."""
    if axis not in tile.axes:
        return tile
    n = tile.axes.index(axis)
    length = tile.data.shape[n]
    return Tile(tuple(a for a in tile.axes if a is not axis), np.take(tile.data, min(position, length - 1), axis=n))


@meaning(ops.Contract)
def _contract(f: Frame, o: ops.Contract) -> Tile:
    axes, (x, y), mask = _operands(f, [(f[o.x], o.x.dtype), (f[o.y], o.y.dtype)], o.axis)
    n = f.space.domains[o.axis].n
    n_chunks = max(1, -(-n // CONTRACT_CHUNK))
    f.space.fits(float(np.prod([float(f.space.domains[a].n) for a in axes])) * n_chunks)
    (x, y), valid = _cut([x, y], mask, n, n_chunks, min(n, CONTRACT_CHUNK))
    shape = np.broadcast_shapes(x.shape[:-1], y.shape[:-1], () if valid is None else valid.shape[:-1])
    total = np.zeros(shape, storage(o.dtype))
    for t in range(x.shape[-1]):
        step = fma(x[..., t], y[..., t], total) if o.dtype.is_float else total + x[..., t] * y[..., t]
        total = step if valid is None else np.where(valid[..., t], step, total)
    out = total[..., 0]
    for chunk in range(1, n_chunks):
        out = out + total[..., chunk]
    return Tile(axes, np.asarray(out))


def _operands(f: Frame, xs: list[tuple[Tile, DType]], axis: Axis) -> tuple[tuple[Axis, ...], State, Data | None]:
    """Operands with `axis` last, aligned on the other axes (which are returned), and which positions take part."""
    domain = f.space.domains[axis]
    tiles = [t for t, _ in xs] + ([domain.mask] if domain.mask is not None else [])
    axes = f.space.sort({a for t in tiles for a in t.axes} | {axis})
    at = axes.index(axis)
    data = [np.moveaxis(t.spread(axes), at, -1) for t in tiles]
    wides = [wide(d, t) for d, (_, t) in zip(data, xs, strict=False)]
    wides = [np.broadcast_to(w, (*w.shape[:-1], domain.n)) for w in wides]
    mask = np.broadcast_to(data[-1], (*data[-1].shape[:-1], domain.n)) if domain.mask is not None else None
    return axes[:at] + axes[at + 1 :], wides, mask


def _cut(xs: State, mask: Data | None, n: int, n_chunks: int, size: int) -> tuple[State, Data | None]:
    """The last side of each array as chunks of `size`, filled up with positions that take no part."""
    extra = n_chunks * size - n
    if extra and mask is None:
        mask = np.ones(n, bool)

    def cut(a: Data) -> Data:
        padded = np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, extra)]) if extra else a
        return padded.reshape(*a.shape[:-1], n_chunks, size)

    return [cut(x) for x in xs], None if mask is None else cut(mask)


def _begin(acc: Accumulator, shape: tuple[int, ...]) -> State:
    types = [np.dtype(np.float32) if t.compute == "f32" else storage(t) for t in acc.state]
    return [np.full(shape, i, t) for i, t in zip(acc.init, types, strict=True)]


def _step(acc: Accumulator, state: State, xs: State, valid: Data | None) -> State:
    names = {f"s{i}": s for i, s in enumerate(state)} | {f"x{i}": x for i, x in enumerate(xs)}
    new = [evaluate(e, names) for e in acc.step]
    return new if valid is None else [np.where(valid, a, b) for a, b in zip(new, state, strict=True)]


def _merge(acc: Accumulator, a: State, b: State) -> State:
    names = {f"a{i}": s for i, s in enumerate(a)} | {f"b{i}": s for i, s in enumerate(b)}
    return [evaluate(e, names) for e in acc.merge]


def _pairwise(acc: Accumulator, state: State) -> State:
    """Neighbours on the last side merged, level by level, until one is left."""
    while (n := state[0].shape[-1]) > 1:
        odd = [s[..., n - 1 :] for s in state] if n % 2 else None
        state = _merge(acc, [s[..., 0 : n - 1 : 2] for s in state], [s[..., 1:n:2] for s in state])
        if odd is not None:
            state = [np.concatenate(both, axis=-1) for both in zip(state, odd, strict=True)]
    return [s[..., 0] for s in state]


def _in_any_order(acc: Accumulator, xs: State, mask: Data | None) -> State:
    shape = np.broadcast_shapes(*(x.shape for x in xs), () if mask is None else mask.shape)
    if shape[-1] == 0:
        return _begin(acc, shape[:-1])
    return _pairwise(acc, _step(acc, _begin(acc, shape), xs, mask))


def _in_chunks(acc: Accumulator, xs: State, mask: Data | None, n: int, size: int, lanes: int) -> State:
    """Chunks of `size` positions, `lanes` partial results in each."""
    size = size if n > size else -(-n // lanes) * lanes
    if n == 0:
        return _begin(acc, np.broadcast_shapes(*(x.shape[:-1] for x in xs)))
    cut, valid = _cut(xs, mask, n, -(-n // size), size)
    rows = [a.reshape(*a.shape[:-1], size // lanes, lanes) for a in cut]
    kept = None if valid is None else valid.reshape(*valid.shape[:-1], size // lanes, lanes)
    shapes = [r.shape for r in rows] + ([] if kept is None else [kept.shape])
    whole = np.broadcast_shapes(*shapes)
    state = _begin(acc, (*whole[:-2], lanes))
    for r in range(size // lanes):
        state = _step(acc, state, [x[..., r, :] for x in rows], None if kept is None else kept[..., r, :])
    while lanes > 1:
        lanes //= 2
        state = _merge(acc, [s[..., :lanes] for s in state], [s[..., lanes:] for s in state])
    return _pairwise(acc, [s[..., 0] for s in state])
