"""What branches, loops, grids, checks, lines and calls mean.

Conditions and bounds with axes become masks: a loop goes on while anybody is active, and those who are not keep what
they carry.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lem.ir import ops
from lem.ir.constants import TILES_BLOCK
from lem.ir.core import Axis, walk_ops
from lem.ir.interpreter.formats import show
from lem.ir.interpreter.frame import Frame, GridState, Printed, RunFault, Stopped, meaning
from lem.ir.interpreter.memory import apply_pending, lanes
from lem.ir.interpreter.tile import OpenAxis, Tile, TooLarge
from lem_runtime.abi import signature

_FIRST_CHUNK = 1 << 20  # elements of a grid that run together, before anything is known about their intermediates


@meaning(ops.If)
def _if(f: Frame, o: ops.If) -> tuple[Tile, ...]:
    cond = f.whole_of(o.cond, f[o.cond])
    if not cond.axes:
        return f.block(o.then if cond.data else o.orelse)
    other = Tile(cond.axes, ~cond.data)
    if not f.any_active(cond):
        with f.masked(other):
            return f.block(o.orelse)
    with f.masked(cond):
        then = f.block(o.then)
    if not f.any_active(other):
        return then
    with f.masked(other):
        orelse = f.block(o.orelse)
    return tuple(f.choose(cond, a, b) for a, b in zip(then, orelse, strict=True))


@meaning(ops.For)
def _for(f: Frame, o: ops.For) -> tuple[Tile, ...]:
    lo, carried = f[o.lo], tuple(f.get(o.init))
    count = f.lift(lambda lo, hi: np.maximum(-((lo - hi) // o.step), 0), lo, f[o.hi])
    for n in range(f.over_active(count, np.max, 0)):
        index = Tile(lo.axes, lo.data + n * o.step)
        going = Tile(count.axes, n < count.data) if count.axes else None
        with f.masked(going):
            carried = _carry(f, going, f.block(o.body, index, *carried), carried)
    return carried


@meaning(ops.While)
def _while(f: Frame, o: ops.While) -> tuple[Tile, ...]:
    carried = tuple(f.get(o.init))
    going: Tile | None = None
    while True:
        with f.masked(going):
            (cond,) = f.block(o.test, *carried)
            going = cond if going is None else f.lift(np.logical_and, going, cond)
        if not f.any_active(going):
            return carried
        with f.masked(going):
            carried = _carry(f, going, f.block(o.body, *carried), carried)


@meaning(ops.Tiles)
def _tiles(f: Frame, o: ops.Tiles) -> tuple[Tile, ...]:
    lo, hi, carried = f[o.lo], f[o.hi], tuple(f.get(o.init))
    with f.masked(f.lift(np.less, lo, hi)):
        if not f.any_active():
            return carried
        start, end = f.over_active(lo, np.min, 0), f.over_active(hi, np.max, 0)
    size = _block_size(f, o, end - start)
    # Where elements start at different places, blocks start at multiples of the size: see ops.Tiles.
    first = start if not lo.axes else start // size * size
    for begin in range(first, end, size):
        stop = min(begin + size, end)
        index = Tile((o.axis,), np.arange(begin, stop))
        f.space.open(o.axis, OpenAxis(stop - begin))
        going: Tile | None = None
        if lo.axes or hi.axes:
            f.space.domains[o.axis].mask = f.lift(lambda i, lo, hi: (lo <= i) & (i < hi), index, lo, hi)
            going = f.lift(lambda lo, hi, b=begin, s=stop: np.maximum(lo, b) < np.minimum(hi, s), lo, hi)
            if not f.any_active(going):
                continue
        with f.masked(going):
            carried = _carry(f, going, f.block(o.body, index, *carried), carried)
    return carried


def _block_size(f: Frame, o: ops.Tiles, whole: int) -> int:
    asked = f.run.block_sizes
    if asked is not None and not isinstance(asked, int):
        asked = asked.get(o.axis.name)
    if asked is not None:
        return max(1, asked or whole)
    return max(1, int(f[o.block].data)) if o.block is not None else TILES_BLOCK


def _carry(f: Frame, going: Tile | None, new: Sequence[Tile], old: Sequence[Tile]) -> tuple[Tile, ...]:
    if going is None or not going.axes:
        return tuple(new)
    return tuple(f.choose(going, a, b) for a, b in zip(new, old, strict=True))


# ---------------------------------------------------------------- grids


@meaning(ops.Grid)
def _grid(f: Frame, o: ops.Grid) -> None:
    lo, hi = [int(f[v].data) for v in o.lo], [int(f[v].data) for v in o.hi]
    lengths = tuple(max(0, -((a - b) // s)) for a, b, s in zip(lo, hi, o.step, strict=True))
    if 0 in lengths:
        return
    if f.run.shadows is not None:
        changed = {s.array for s in walk_ops(o.body) if isinstance(s, ops.Store | ops.Update) and s.array in f.arrays}
        f.run.shadows.enter_grid(f.arrays[a] for a in changed)
    n_printed = len(f.run.prints)
    start, chunk = 0, max(1, _FIRST_CHUNK // int(np.prod(lengths[1:], dtype=np.int64)))
    try:
        while start < lengths[0]:
            size = min(chunk, lengths[0] - start)
            f.grid = GridState(o.axes, tuple(lo), o.step, lengths, start)
            if _chunk_done(f, o, size):
                start += size
            else:
                chunk = max(1, size // 2)
        if f.run.pending:
            apply_pending(f, o, int(np.prod(lengths, dtype=np.int64)))
    finally:
        f.grid, f.dead, f.space.can_split = None, None, False
        if f.run.shadows is not None:
            f.run.shadows.leave_grid()
        f.run.undo.clear()
        f.run.pending.clear()
        f.run.prints[n_printed:] = sorted(f.run.prints[n_printed:], key=lambda p: p.order)


def _chunk_done(f: Frame, o: ops.Grid, size: int) -> bool:
    """Run `size` rows of the grid. False, with every store taken back, where their intermediates are too large."""
    assert f.grid is not None
    n_printed, n_pending = len(f.run.prints), len(f.run.pending)
    active, f.dead, f.fault = f.active, None, None
    f.run.undo.clear()
    f.space.can_split = size > 1
    indices = []
    for n, axis in enumerate(o.axes):
        length = size if n == 0 else f.grid.lengths[n]
        f.space.open(axis, OpenAxis(length))
        begin = f.grid.start if n == 0 else 0
        indices.append(Tile((axis,), f.grid.lo[n] + (begin + np.arange(length)) * o.step[n]))
    try:
        f.block(o.body, *indices)
    except TooLarge:
        for array, index, old in reversed(f.run.undo):
            array[index] = old
        del f.run.prints[n_printed:]
        del f.run.pending[n_pending:]
        f.active = active
        return False
    if f.fault is not None:
        fault = f.fault
        f.run.prints[n_printed:] = [p for p in f.run.prints[n_printed:] if p.order <= fault.order]
        raise Stopped(fault)
    return True


# ---------------------------------------------------------------- checks, lines, calls


@meaning(ops.Assert)
def _assert(f: Frame, o: ops.Assert) -> None:
    bad = f.whole_of(o.cond, f.lift(np.logical_not, f[o.cond]))
    with f.masked(bad):
        if not f.any_active():
            return
        failing = f.mask(bad.axes)
    assert failing is not None
    axes = f.element_axes(failing, *f.get(o.values))
    where = _first(f, axes, failing)
    site, values = f.fn.sites[o.site], f.records(o.values, axes, where)
    if f.grid is None:
        raise Stopped(RunFault(site.code, f.fn.name, o.site, site.text, values, (), -1))
    order = int(np.broadcast_to(f.grid.numbers(axes, f.space), f.space.lengths(axes))[where])
    if f.fault is None or order < f.fault.order:
        f.fault = RunFault(site.code, f.fn.name, o.site, site.text, values, f.grid.indices(order), order)
    # An element that faulted does nothing more; the others go on, in case a smaller one faults later.
    others = tuple(n for n, a in enumerate(failing.axes) if a not in f.grid.axes)
    fell = Tile(tuple(a for a in failing.axes if a in f.grid.axes), np.asarray(failing.data.any(axis=others)))
    f.dead = fell if f.dead is None else f.lift(np.logical_or, f.dead, fell)


def _first(f: Frame, axes: tuple[Axis, ...], failing: Tile) -> tuple[int, ...]:
    """Where the first failing position of the first element that has one lies among `axes`. Axes inside of the element
    count in the order in which the program has them, whichever of them was opened first this time."""
    order = sorted(range(len(axes)), key=lambda n: (axes[n].kind != "grid", n if axes[n].kind == "grid" else axes[n].uid))
    data = f.lanes(axes, failing).transpose(order)
    found = np.unravel_index(int(np.argmax(data)), data.shape)
    return tuple(int(found[order.index(n)]) for n in range(len(axes)))


@meaning(ops.Print)
def _print(f: Frame, o: ops.Print) -> None:
    numbers, columns = lanes(f, [f.whole_of(v, f[v]) for v in o.values])
    for n, order in enumerate(numbers):
        values = tuple(show(c[n], v.dtype) for c, v in zip(columns, o.values, strict=True))
        f.run.prints.append(Printed(f.fn.name, o.site, f.fn.sites[o.site].text, values, int(order)))


@meaning(ops.Depth)
def _depth(f: Frame, o: ops.Depth) -> Tile:
    return Tile((), np.asarray(f.depth, np.int64))


@meaning(ops.Sync)
def _sync(f: Frame, o: ops.Sync) -> None:
    """Every call has ended when the next op runs."""


@meaning(ops.Call)
def _call(f: Frame, o: ops.Call) -> None:
    callee = f.run.module.functions[o.callee]
    arrays = dict(zip(callee.arrays, (f.arrays[a] for a in o.arrays), strict=True))
    scalars = {n: f[v].data for (n, _), v in zip(callee.scalars, o.scalars, strict=True)}
    dims = {n: int(f[v].data) for n, v in zip(callee.dims, o.dims, strict=True)}
    numbers = {n: show(scalars[n], t) for n, t in callee.scalars}
    try:
        signature.bind(callee.signature, {a.name: d.shape for a, d in arrays.items()}, numbers, dims)
    except signature.CallError as e:
        raise Stopped(RunFault(e.code, f.fn.name, o.site, e.message, (), (), -1)) from None
    depth = f.depth + (callee.kind == "task")
    Frame(f.run, callee, arrays, scalars, dims, depth=depth).block(callee.body)
