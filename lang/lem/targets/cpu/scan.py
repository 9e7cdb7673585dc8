"""Scans: running results along an axis, kept in memory for whoever reads them.

A scan is written where it stands: loops over its other open axes (the last of them by vectors, where no vector is in use)
and inside one loop over its own axis, position after position, that carries the states in variables. So its order is that
of LANGUAGE 29 whatever the vectors around it are. What reads it later finds the results in memory, along any axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lem.ir import ops
from lem.targets.cpu.element import Element, Kept, Tables, fold_lanes
from lem.targets.loops import build as lb
from lem.targets.loops.core import Expr


def effect_scan(w: Element, o: ops.Scan) -> None:
    others = [a for a in w.open_axes(o.results[0].axes) if a is not o.axis]
    vector = others[-1] if others and w.vec is None else None
    # Neighbouring lanes lie side by side.
    axes = (*others, o.axis) if vector is None else (*others[:-1], o.axis, vector)
    kept = [w.keep(axes, r.dtype, w.lanes_for(r), r.name or "scan") for r in o.results]
    w.over_all(others, vector, w.lanes_along(o.results[0].dtype), lambda: _chain(w, o, kept))
    w.kept.update(zip(o.results, kept, strict=True))


def _chain(w: Element, o: ops.Scan, kept: list[Kept]) -> None:
    """All positions of the scan's axis, for what is bound now."""
    args = o.body.args
    states = [w.var(lb.splat(w.eval(i), w.lanes_for(r)), r.name or "state") for i, r in zip(o.init, o.results, strict=True)]
    whole = w.mask  # what is inactive from the start may hold anything
    with _positions(w, o):
        for arg, state in zip(args, states, strict=False):
            w.memo[arg] = w.fix(state, arg.name or "state")
        for arg, x in zip(args[len(states) :], o.xs, strict=True):
            w.memo[arg] = w.fix(w.eval(x), arg.name or "x")
        w.run(o.body)
        new = [w.fix(lb.splat(w.eval(y), s.type.lanes)) for y, s in zip(o.body.yields, states, strict=True)]
        if w.mask is not None and w.mask is not whole:
            new = [lb.select(w.mask, a, w.memo[b]) if a.type.lanes else a for a, b in zip(new, args, strict=False)]
        for state, place, value in zip(states, kept, new, strict=True):
            w.b.set(state, value)
            w.store_kept(place, value)


@contextmanager
def _positions(w: Element, o: ops.Scan) -> Iterator[None]:
    """A loop over the positions of the axis, the last one first where the scan runs in reverse. Lanes that have fewer are
    masked where theirs end."""
    lo, hi, step = w.domain(o.axis)
    ragged = bool(lo.type.lanes or hi.type.lanes)
    counts = w.put(lb.maximum(lb.ceildiv(lb.sub(hi, lo), step), 0), "counts")
    if ragged and w.mask is not None:
        counts = w.put(lb.select(w.mask, counts, lb.const(0)), "counts")
    longest = w.fix(fold_lanes("max", counts, w.put), "longest") if ragged else counts
    with w.guarded_loop(o.axis.name, 0, longest) as turn:
        p: Expr = w.put(lb.sub(lb.sub(longest, 1), turn), "p") if o.reverse else turn
        base = w.put(lb.add(lo, lb.mul(p, step)), o.axis.name)
        if not ragged:
            with w.valid_only(w.domains[o.axis], base), w.bind(o.axis, base, p, 0, step):
                yield
            return
        active = w.fix(lb.compare("lt", p, counts), "active")
        mask = w.fix(lb.and_(w.mask, active) if w.mask is not None else active, "active")
        with w.scope("masked", w.b.here, mask), w.bind(o.axis, base, p, 0, step):
            yield


def register(tables: Tables) -> None:
    tables.effects[ops.Scan] = effect_scan
