"""Arrays: places in memory from subscripts, loads with their boundary policies, stores, updates, local arrays.

A place is split by scope: what does not change in the loop at hand becomes the base of a view, computed outside of it; the
rest is the index. Along the vector axis a place is contiguous, strided, or (gathers) different for every lane.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.ir import ops
from lem.ir.core import Affine, Array, Axis, Value
from lem.targets.cpu.context import ArrayRef
from lem.targets.cpu.element import Element, LocalRef, Tables
from lem.targets.cpu.pure import PURE_OPS
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import Buffer, Const, Expr
from lem_runtime.abi.dtypes import BOOL, DTYPES, I64, DType
from lem_runtime.abi.records import dataclass


@dataclass(slots=True, eq=False)
class Place:
    """buffer[index + lane * stride], or buffer[indices] when `indices` is set. inside: where it may be touched at all
    (boundary `fill`, and idle loads), None for everywhere. lanes: 0 when it is the same place for all lanes."""

    buffer: Buffer
    index: Expr
    lanes: int
    stride: Expr | None = None
    indices: Expr | None = None
    inside: Expr | None = None


@dataclass(slots=True, eq=False)
class _Sub:
    """One subscript: scalar part, distance of neighbouring lanes, part that differs freely by lane."""

    scalar: Expr
    step: Expr | None
    free: Expr | None


def ramp(w: Element, v: Value) -> tuple[Expr, Expr] | None:
    """(lane 0, distance of lanes) of an integer that grows evenly along the vector axis; None when it does not."""
    if w.vec is None or w.vec.axis not in v.axes:
        return w.eval(v), lb.const(0)
    axis = w.index_of.get(v)
    if axis is w.vec.axis:
        return w.vec.base, lb.const(w.vec.step)
    if axis is not None:  # its bounds may differ by lane, the index itself need not
        index = w.eval(v)
        return None if index.type.lanes else (index, lb.const(0))
    known = w.known.get(v)
    if known is None or not isinstance(known.op, ops.Binary | ops.Cast):
        return None
    if isinstance(known.op, ops.Cast):
        return ramp(w, known.op.x) if known.op.x.dtype == I64 == known.op.to else None
    if v.dtype != I64 or known.op.kind not in ("add", "sub", "mul"):
        return None
    a, b = ramp(w, known.op.x), ramp(w, known.op.y)
    if a is None or b is None or a[0].type.lanes or b[0].type.lanes:
        return None
    return _combine(w, known.op.kind, a, b)


def _combine(w: Element, kind: str, a: tuple[Expr, Expr], b: tuple[Expr, Expr]) -> tuple[Expr, Expr] | None:
    if kind != "mul":
        return w.put(lb.binary(kind, a[0], b[0])), w.put(lb.binary(kind, a[1], b[1]))
    for x, y in ((a, b), (b, a)):
        if isinstance(y[1], Const) and y[1].value == 0:
            return w.put(lb.mul(x[0], y[0])), w.put(lb.mul(x[1], y[0]))
    return None


def _ramp_or_same(w: Element, v: Value) -> tuple[Expr, Expr] | None:
    """The ramp of an integer; None where lanes differ in any other way. All may have the same although its type says that
    they differ: what is computed from the index of a loop that is only longer for some of them."""
    found = ramp(w, v)
    if found is None:
        found = w.eval(v), lb.const(0)
    return None if found[0].type.lanes else found


def _sub(w: Element, sub: Affine) -> _Sub:
    scalar: Expr = lb.const(sub.const)
    step: Expr | None = None
    free: Expr | None = None
    for coef, v in sub.terms:
        found = _ramp_or_same(w, v)
        if found is None:
            free = _plus(w, free, w.put(lb.mul(w.eval(v), coef)))
            continue
        scalar = w.put(lb.add(scalar, w.put(lb.mul(found[0], coef))))
        if not (isinstance(found[1], Const) and found[1].value == 0):
            step = _plus(w, step, lb.mul(found[1], coef))
    return _Sub(scalar, step, free)


def _plus(w: Element, a: Expr | None, b: Expr) -> Expr:
    return b if a is None else w.put(lb.add(a, b))


def _terms(w: Element, sub: Affine, stride: Expr) -> tuple[list[Expr], Expr | None, Expr | None]:
    """Scalar addends of a place, distance of lanes and free part, each times the stride of its axis."""
    addends: list[Expr] = [lb.mul(stride, sub.const)] if sub.const else []
    step: Expr | None = None
    free: Expr | None = None
    for coef, v in sub.terms:
        scale = w.put(lb.mul(stride, coef))
        found = _ramp_or_same(w, v)
        if found is None:
            free = _plus(w, free, w.put(lb.mul(w.eval(v), scale)))
            continue
        addends.append(w.put(lb.mul(found[0], scale)))
        if not (isinstance(found[1], Const) and found[1].value == 0):
            step = _plus(w, step, w.put(lb.mul(found[1], scale)))
    return addends, step, free


def place(
    w: Element, array: Array, subs: Sequence[Affine], boundary: str = "", idle: bool = False, in_range: bool = False
) -> Place:
    """Where `array[subs]` lies for the lanes at hand."""
    ref = w.ref(array)
    if isinstance(ref, LocalRef):
        return _local_place(w, ref, subs, idle)
    addends: list[Expr] = []
    step: Expr | None = None
    free: Expr | None = None
    inside: Expr | None = None
    for sub, size, stride in zip(subs, ref.sizes, ref.strides, strict=True):
        if boundary or idle:
            parts = _sub(w, sub)
            if not (in_range and parts.step is not None and parts.free is None):
                index, ok = _bounded(w, parts, size, boundary, idle)
                if ok is not None:
                    inside = ok if inside is None else w.put(lb.and_(inside, ok))
                scaled = w.put(lb.mul(index, stride))
                if scaled.type.lanes:
                    free = _plus(w, free, scaled)
                else:
                    addends.append(scaled)
                continue
        more, s, f = _terms(w, sub, stride)
        addends += more
        step = _plus(w, step, s) if s is not None else step
        free = _plus(w, free, f) if f is not None else free
    return _assemble(w, ref, addends, step, free, inside)


def _assemble(
    w: Element, ref: ArrayRef, addends: list[Expr], step: Expr | None, free: Expr | None, inside: Expr | None
) -> Place:
    buffer, index = _split(w, ref.buffer, addends)
    if free is not None:
        lanes = free.type.lanes
        total = lb.add(free, index) if not (isinstance(index, Const) and index.value == 0) else free
        if step is not None:
            total = lb.add(total, lb.mul(lb.iota(lanes), step))
        return Place(buffer, index, lanes, None, w.put(total), inside)
    lanes = w.vec.lanes if step is not None and w.vec is not None else 0
    return Place(buffer, index, lanes, step, None, inside)


def _split(w: Element, buffer: Buffer, addends: list[Expr]) -> tuple[Buffer, Expr]:
    """What is known outside of the innermost loop goes into a view; constants and the rest into the index."""
    inner = w.level
    while inner > 0 and w.scopes[inner].kind in ("masked", "branch", "guard"):
        inner -= 1
    fixed: Expr = lb.const(0)
    outer: list[Expr] = []
    index: Expr = lb.const(0)
    for a in addends:
        if isinstance(a, Const):
            fixed = lb.add(fixed, a)
        elif w.level_of(a) < inner:
            outer.append(a)
        else:
            index = w.put(lb.add(index, a))
    if outer:
        buffer = view(w, buffer, outer)
    return buffer, w.put(lb.add(index, fixed))


def view(w: Element, base: Buffer, addends: list[Expr]) -> Buffer:
    """`base` moved by a sum, made once in the scope where the sum is known."""
    total: Expr = lb.const(0)
    for a in sorted(addends, key=w.level_of):
        total = w.put(lb.add(total, a), "row")
    level = max(w.level_of(total), w.levels.get(base.uid, 0))
    key = ("view", base.uid, total.uid if isinstance(total, lp.Var) else 0)
    for scope in w.scopes[level::-1]:
        found = scope.named.get(key)
        if found is not None:
            return w.views[key]
    made = Buffer(base.name, base.dtype, base.space)
    scope = w.scopes[level]
    scope.block.stmts.append(lp.View(made, base, total))
    w.levels[made.uid] = level
    w.views[key] = made
    scope.named[key] = total
    return made


def _bounded(w: Element, sub: _Sub, size: Expr, boundary: str, idle: bool) -> tuple[Expr, Expr | None]:
    """A subscript after its boundary policy, and where it may be touched (only `fill` and idle loads restrict that)."""
    index = sub.scalar
    if sub.step is not None or sub.free is not None:
        lanes = sub.free.type.lanes if sub.free is not None else (w.vec.lanes if w.vec else 0)
        if sub.step is not None:
            index = lb.add(index, lb.mul(lb.iota(lanes), sub.step))
        if sub.free is not None:
            index = lb.add(index, sub.free)
    index = w.put(index)
    some = w.put(lb.compare("gt", size, 0)) if idle else None
    if boundary == "clamp":
        return w.put(lb.minimum(lb.maximum(index, 0), lb.sub(size, 1))), some
    if boundary == "wrap":
        return w.put(lb.binary("mod", index, size)), some
    ok = lb.and_(w.put(lb.compare("ge", index, 0)), w.put(lb.compare("lt", index, size)))
    return index, w.put(ok, "inside")


def _local_place(w: Element, ref: LocalRef, subs: Sequence[Affine], idle: bool = False) -> Place:
    """A place in an element's own array; in vectors each lane has its own copy."""
    index: Expr = lb.const(0)
    inside: Expr | None = None
    for sub, size, stride in zip(subs, ref.sizes, ref.strides, strict=True):
        at: Expr = lb.const(sub.const)
        for coef, v in sub.terms:
            at = w.put(lb.add(at, w.put(lb.mul(w.eval(v), coef))))
        index = w.put(lb.add(index, w.put(lb.mul(at, stride))))
        if idle:
            ok = lb.and_(w.put(lb.compare("ge", at, 0)), w.put(lb.compare("lt", at, size)))
            inside = w.put(ok if inside is None else lb.and_(inside, ok), "inside")
    if not ref.lanes:
        if index.type.lanes:
            return Place(ref.buffer, lb.const(0), index.type.lanes, None, index, inside)
        return Place(ref.buffer, index, 0, inside=inside)
    scaled = w.put(lb.mul(index, ref.lanes))
    if scaled.type.lanes:
        return Place(ref.buffer, lb.const(0), ref.lanes, None, w.put(lb.add(scaled, lb.iota(ref.lanes))), inside)
    return Place(ref.buffer, scaled, ref.lanes, lb.const(1), inside=inside)


# ---- loads -------------------------------------------------------------------------------------------------------


def demand_load(w: Element, o: ops.Load) -> None:
    """As far out as its subscripts allow, but never where it would run without being needed."""
    pinned = w.reads_written(o)
    level = w.level if pinned else max(w.depth(o), w.load_floor())
    with w.at(level):
        w.memo[o.result] = load(w, o)


def load(w: Element, o: ops.Load) -> Expr:
    """Read here and now."""
    other = w.eval(o.fill) if o.fill is not None else _zero(o.array.dtype) if o.idle else None
    at = place(w, o.array, o.subs, o.boundary, o.idle, o in w.interior)
    mask = w.mask if at.lanes else None
    if at.inside is not None:
        inside = lb.splat(at.inside, at.lanes)
        mask = inside if mask is None else w.put(lb.and_(mask, inside))
    if at.indices is not None:
        value = lb.gather(at.buffer, at.indices, mask=mask)
    else:
        value = lb.load(at.buffer, at.index, at.lanes, stride=at.stride, mask=mask)
    got = w.fix(value, o.array.name)
    if other is None or at.inside is None:
        return got
    return w.fix(lb.select(at.inside, got, other), o.array.name)


def _zero(dtype: DType) -> Const:
    return lb.const(False if dtype == BOOL else 0.0 if dtype.is_float else 0, dtype)


# ---- stores ------------------------------------------------------------------------------------------------------


def effect_store(w: Element, o: ops.Store) -> None:
    axes = w.open_axes(frozenset().union(*(s.axes for s in o.subs)) | o.value.axes)
    w.settle(o.array, o.value)
    if not axes:
        store(w, o)
        return
    keep_conflicting(w, o)
    vector = _vector_axis(w, o, axes) if w.vec is None else None
    if vector is not None and w.wants_scalar(o.value, frozenset(axes)):
        vector = None
    w.over_all(axes, vector, w.lanes_along(o.array.dtype), lambda: store(w, o))


def store(w: Element, o: ops.Store) -> None:
    value = w.eval(o.value)
    at = place(w, o.array, o.subs)
    write(w, at, value)


def write(w: Element, at: Place, value: Expr) -> None:
    if at.indices is not None:
        w.b.scatter(at.buffer, at.indices, value, w.mask)
    elif at.lanes:
        w.b.store(at.buffer, at.index, lb.splat(value, at.lanes), stride=at.stride, mask=w.mask)
    elif value.type.lanes:  # one place for all lanes: elements of one grid never write one place, so all agree
        lane = lb.const(0) if w.mask is None else w.first_active()
        w.b.store(at.buffer, at.index, lb.extract(value, lane))
    else:
        w.b.store(at.buffer, at.index, value)


def _vector_axis(w: Element, o: ops.Store, axes: Sequence[Axis]) -> Axis:
    """The axis along which the store is contiguous, else the last one."""
    for sub in reversed(o.subs):
        for coef, v in sub.terms:
            axis = w.index_of.get(v)
            if axis in axes and coef == 1:
                return axis  # type: ignore[return-value]
        if sub.axes:
            break
    return axes[-1]


def keep_conflicting(w: Element, o: ops.Store) -> None:
    """A stored value that reads other places of the array it goes to is computed completely before the first store."""
    if not reads_elsewhere(w, o.value, o.array, o.subs):
        return
    w.materialise(o.value)


def reads_elsewhere(w: Element, v: Value, array: Array, subs: Sequence[Affine]) -> bool:
    """Does code still to be written for `v` read `array` at other places than `subs`?"""
    seen: set[Value] = set()
    stack = [v]
    while stack:
        x = stack.pop()
        known = w.known.get(x)
        if x in seen or known is None or x in w.memo or x in w.kept:
            continue
        seen.add(x)
        if isinstance(known.op, ops.Load) and known.op.array is array:
            if known.op.boundary or tuple(known.op.subs) != tuple(subs):
                return True
        if array in w.unsettled.get(x, ()) and not isinstance(known.op, ops.Load) and type(known.op) not in PURE_OPS:
            return True  # a reduction or a branch reads more than one place
        stack.extend(known.op.operands)
        for b in known.op.blocks:
            stack.extend(b.yields)
    return False


# ---- updates -----------------------------------------------------------------------------------------------------


def effect_update(w: Element, o: ops.Update) -> None:
    w.settle(o.array, None)
    axes = w.open_axes(frozenset().union(*(s.axes for s in o.subs)) | o.value.axes)
    w.over_all(axes, None, 0, lambda: update(w, o))


def update(w: Element, o: ops.Update) -> None:
    """One place after the other, in the order of elements: lanes may share a place."""
    value = w.eval(o.value)
    at = place(w, o.array, o.subs)
    lanes = at.lanes or value.type.lanes or (w.vec.lanes if w.vec is not None else 0)
    if not lanes:
        _update_one(w, o.kind, at.buffer, at.index, value)
        return
    if at.indices is None and at.lanes and _is_one(at.stride):
        # Neighbouring lanes own neighbouring places: no two share one.
        old = w.fix(lb.load(at.buffer, at.index, lanes, mask=w.mask), "old")
        w.b.store(at.buffer, at.index, combined(o.kind, old, lb.splat(value, lanes)), mask=w.mask)
        return
    indices = at.indices
    if indices is None:
        indices = w.put(lb.add(lb.splat(at.index, lanes), lb.mul(lb.iota(lanes), at.stride or 0)))
    value = lb.splat(value, lanes)
    for lane in range(lanes):
        if w.mask is None:
            _update_one(w, o.kind, at.buffer, lb.extract(indices, lane), lb.extract(value, lane))
            continue
        with w.branch(lb.extract(w.mask, lane)):
            _update_one(w, o.kind, at.buffer, lb.extract(indices, lane), lb.extract(value, lane))


def _is_one(x: Expr | None) -> bool:
    return isinstance(x, Const) and x.value == 1


def _update_one(w: Element, kind: str, buffer: Buffer, index: Expr, value: Expr) -> None:
    index = w.fix(index, "at")
    old = w.fix(lb.load(buffer, index), "old")
    w.b.store(buffer, index, combined(kind, old, value))


def combined(kind: str, x: Expr, y: Expr) -> Expr:
    """What an update leaves. Floats too narrow for arithmetic are computed wide, and rounded."""
    dtype = x.type.dtype
    wide = DTYPES[dtype.compute] if dtype.is_float else dtype
    return lb.cast(lb.binary(kind, lb.cast(x, wide), lb.cast(y, wide)), dtype)


# ---- local arrays ------------------------------------------------------------------------------------------------


def effect_alloc(w: Element, o: ops.Alloc) -> None:
    """One small array per element; lanes lie side by side."""
    sizes = [w.eval(s) for s in o.sizes]
    lanes = w.vec.lanes if w.vec is not None and w.vec.axis in o.array.axes else 0
    strides: list[Expr] = []
    count: Expr = lb.const(1)
    for size in reversed(sizes):
        strides.insert(0, count)
        count = w.put(lb.mul(count, size))
    buffer = w.buffer(o.array.name, o.array.dtype, w.put(lb.mul(count, max(lanes, 1)), "count"))
    w.locals[o.array] = LocalRef(buffer, tuple(sizes), tuple(strides), lanes, w.level)
    if o.fill is None:
        return
    fill = w.eval(o.fill)
    with w.loop("place", 0, count) as n:
        w.b.store(buffer, lb.mul(n, max(lanes, 1)), lb.splat(fill, lanes))


def register(tables: Tables) -> None:
    tables.demand[ops.Load] = demand_load
    tables.effects[ops.Store] = effect_store
    tables.effects[ops.Update] = effect_update
    tables.effects[ops.Alloc] = effect_alloc
