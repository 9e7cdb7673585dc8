"""What loads, stores and updates mean: subscripts become index arrays over the axes they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lem.ir import ops
from lem.ir.core import Affine, Array
from lem.ir.interpreter.formats import Data, narrow, storage, wide
from lem.ir.interpreter.frame import Frame, InterpreterError, Pending, meaning
from lem.ir.interpreter.tile import Tile
from lem.ir.updates import n_parts, neutral, shared_updates
from lem_runtime.abi.dtypes import DType


@meaning(ops.Alloc)
def _alloc(f: Frame, o: ops.Alloc) -> None:
    own = f.space.sort(o.array.axes)
    sizes = [max(0, int(f[s].data)) for s in o.sizes]
    f.space.fits(float(np.prod([*f.space.lengths(own), *sizes], dtype=float)))
    made = np.zeros([*f.space.lengths(own), *sizes], storage(o.array.dtype))
    if o.fill is not None:
        made[...] = f[o.fill].spread(own).reshape(*f[o.fill].spread(own).shape, *(1 for _ in sizes))
    f.arrays[o.array] = made
    if f.run.shadows is not None and o.fill is None:
        f.run.shadows.uninitialised(made)


@meaning(ops.View)
def _view(f: Frame, o: ops.View) -> None:
    base = f.arrays[o.base]
    places: list[int | slice] = []
    for start, size, step in zip(o.starts, o.sizes, o.steps, strict=True):
        lo = int(f[start].data)
        places.append(lo if size is None else slice(lo, lo + int(f[size].data) * step, step))
    view = f.arrays[o.array] = base[(*places, ...)]  # the dots: an element is a view too, not a number
    f.wholes[o.array] = f.whole(o.base)
    if f.run.shadows is not None:
        f.run.shadows.view(view, base, (*places, ...))


@meaning(ops.Name)
def _name(f: Frame, o: ops.Name) -> None:
    """It stands for nothing yet."""


@meaning(ops.Bind)
def _bind(f: Frame, o: ops.Bind) -> None:
    wholes = [f.whole(a) for a in o.arrays]
    f.arrays.update(zip(o.names, [f.arrays[a] for a in o.arrays], strict=True))
    f.wholes.update(zip(o.names, wholes, strict=True))


@meaning(ops.Size)
def _size(f: Frame, o: ops.Size) -> Tile:
    return Tile((), np.asarray(f.arrays[o.array].shape[o.axis], np.int64))


@meaning(ops.Same)
def _same(f: Frame, o: ops.Same) -> Tile:
    return Tile((), np.asarray(f.whole(o.x) is f.whole(o.y)))


@meaning(ops.Load)
def _load(f: Frame, o: ops.Load) -> Tile:
    array, place = f.arrays[o.array], _place(f, o.array, o.subs)
    fill = [f[o.fill]] if o.fill is not None else []
    axes, aligned = f.space.align(*place, *fill) if place or fill else ((), [])
    index = aligned[: len(place)]
    f.space.check_axes(axes)
    own = len(o.array.axes)
    inside = _inside(index, array.shape)
    if o.boundary == "" or f.run.shadows is not None:
        strict = o.boundary == "" and not o.idle and inside is not True
        _check(f, o, place, array, strict=strict, writes=False)
    if array.size == 0:
        data = np.zeros(np.broadcast_shapes(*(i.shape for i in index)), array.dtype)
    else:
        fold = _wrap if o.boundary == "wrap" else _clip
        data = array[tuple(i if n < own else fold(i, array.shape[n]) for n, i in enumerate(index))]
    if fill and inside is not True:
        data = np.where(inside, data, aligned[-1])
    elif o.idle and not o.boundary and inside is not True:
        data = np.where(inside, data, np.zeros((), array.dtype))
    return Tile(axes, np.asarray(data))


@meaning(ops.Store)
def _store(f: Frame, o: ops.Store) -> None:
    array, place, value = f.arrays[o.array], _place(f, o.array, o.subs), f[o.value]
    strict = _inside([p.data for p in place], array.shape) is not True
    _check(f, o, place, array, strict=strict, writes=True)
    mask = f.mask(a for t in (*place, value) for a in t.axes)
    _, (v, *index) = f.space.align(value, *place)
    if mask is not None:
        _, (kept, v, *index) = f.space.align(mask, value, *place)
        shape = np.broadcast_shapes(kept.shape, v.shape, *(i.shape for i in index))
        kept = np.broadcast_to(kept, shape)
        v, *index = (np.broadcast_to(a, shape)[kept] for a in (v, *index))
        if not index:  # an array without axes, in sequential code under the condition of a loop
            if not v.size:
                return
            v = v[0]
    else:
        v, *index = np.broadcast_arrays(v, *index) if index else [v]
    _remember(f, array, tuple(index))
    # Of several elements of one place (which front ends refuse) the last in order stays.
    array[tuple(index)] = v


@meaning(ops.Update)
def _update(f: Frame, o: ops.Update) -> None:
    array, place = f.arrays[o.array], _place(f, o.array, o.subs)
    strict = _inside([p.data for p in place], array.shape) is not True
    _check(f, o, place, array, strict=strict, writes=False, reads=False)
    numbers, (v, *index) = lanes(f, [f.whole_of(o.value, f[o.value]), *place])
    if not index:
        array, index = array.reshape(1), [np.zeros(len(v), np.int64)]
    if f.grid is not None and o.array.kind != "local":
        f.run.pending.append(Pending(o.array, o.kind, array, numbers, tuple(index), v))
    else:
        _remember(f, array, tuple(index))
        _update_in_order(o.kind, o.array.dtype, array, tuple(index), v)


def apply_pending(f: Frame, grid: ops.Grid, n_elements: int) -> None:
    """The updates of a grid that has ended: nobody reads their arrays before. See ``lem.ir.updates`` for the order."""
    pending, f.run.pending = f.run.pending, []
    shared = shared_updates(grid)
    parts = n_parts(n_elements, sum(f.arrays[a].size for a in shared))
    for array in dict.fromkeys(p.array for p in pending):
        mine = [p for p in pending if p.array is array]
        who = np.concatenate([p.elements for p in mine])
        order = np.argsort(who, kind="stable")  # of one element: as they were recorded, which is the program's order
        who = who[order]
        values = np.concatenate([p.values for p in mine])[order]
        index = tuple(np.concatenate(i)[order] for i in zip(*(p.index for p in mine), strict=True))
        kind, data, t = mine[0].kind, mine[0].data, array.dtype
        n = parts if array in shared else 1
        ends = np.searchsorted(who, np.arange(n + 1) * -(-n_elements // n))
        copies = [narrow(np.full(data.shape, neutral(kind, t), wide(data[:0], t).dtype), t) for _ in range(1, n)]
        for number, into in enumerate([data, *copies]):
            own = slice(ends[number], ends[number + 1] if number + 1 < n else None)
            _update_in_order(kind, t, into, tuple(i[own] for i in index), values[own])
        for copy in copies:
            data[...] = narrow(_UPDATES[kind](wide(data, t), wide(copy, t)), t)


_UPDATES = {"add": np.add, "max": np.maximum, "min": np.minimum, "or": np.bitwise_or, "and": np.bitwise_and}


def _update_in_order(kind: str, t: DType, array: Data, index: tuple[Data, ...], v: Data) -> None:
    if wide(v[:0], t).dtype == array.dtype:
        _UPDATES[kind].at(array, index, v)
        return
    for n, at in enumerate(zip(*index, strict=True)):  # no NumPy type: one by one, each rounded
        new = _UPDATES[kind](wide(np.asarray(array[at]), t), wide(v[n : n + 1], t)[0])
        array[at] = narrow(np.asarray(new), t)


# ---------------------------------------------------------------- places


def _place(f: Frame, array: Array, subs: Sequence[Affine]) -> list[Tile]:
    """Index of each side of the array that holds `array`: a local one has a side per axis of its grid first."""
    own = [Tile((a,), np.arange(f.space.domains[a].n)) for a in f.space.sort(array.axes)]
    return own + [f.affine(s) for s in subs]


def _clip(i: Data, n: int) -> Data:
    return np.clip(i, 0, n - 1)


def _wrap(i: Data, n: int) -> Data:
    return np.asarray(i % n)


def _inside(index: Sequence[Data], shape: Sequence[int]) -> Any:
    """Which places exist; True when all do, found without an array over all axes."""
    out: Any = True
    for i, n in zip(index, shape, strict=True):
        if i.size and (i.min() < 0 or i.max() >= n):
            out = np.logical_and(out, (i >= 0) & (i < n))
    return out


def lanes(f: Frame, tiles: Sequence[Tile]) -> tuple[Data, list[Data]]:
    """Each tile as one number per active element (and position of the tiles' axes), in grid order; and the numbers of
    the elements."""
    mask = f.mask(a for t in tiles for a in t.axes)
    axes = f.element_axes(*tiles, *([mask] if mask is not None else []))
    f.space.check_axes(axes)
    kept = f.lanes(axes, mask).reshape(-1) if mask is not None else slice(None)
    numbers = f.grid.numbers(axes, f.space) if f.grid else np.full([1] * len(axes), -1)
    everyone = np.broadcast_to(numbers, f.space.lengths(axes)).reshape(-1)[kept]
    return everyone, [f.lanes(axes, t).reshape(-1)[kept] for t in tiles]


def _check(
    f: Frame, o: ops.Load | ops.Store | ops.Update, place: list[Tile], data: Data, *, strict: bool, writes: bool,
    reads: bool = True,
) -> None:  # fmt: skip
    """Every place is in range where its op is active (`strict`: not known yet); and what checked runs look for."""
    shadows = f.run.shadows
    # What is read here may be meant for each position of an axis, and there is none: then nobody reads it.
    strict = strict and (writes or all(d.n for d in f.space.domains.values()))
    if not strict and shadows is None:
        return
    numbers, index = lanes(f, place)
    shape = data.shape
    for n, i in enumerate(index):
        bad = (i < 0) | (i >= shape[n])
        if strict and bad.any():
            where = tuple(int(x[bad][0]) for x in index)
            raise InterpreterError(f"{f.fn.name}: {o.array.name}[{', '.join(map(str, where))}] has shape {shape}")
    if shadows is not None and len(numbers):
        inside = np.broadcast_to(_inside(index, shape), numbers.shape)
        at = tuple(i[inside] for i in index)
        who = numbers[inside]
        shadows.access(f.fn.name, o.array, data, at, who, writes=writes, reads=reads, grid=f.grid, loc=o.loc)


def _remember(f: Frame, array: Data, index: tuple[Data, ...]) -> None:
    """Keep what a store overwrites, while the chunk may have to start again."""
    if f.space.can_split:
        f.run.undo.append((array, index, np.array(array[index])))
