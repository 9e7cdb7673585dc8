"""Views: parts of arrays that calls get, ``a[lo:hi, j]`` (LANGUAGE 15, 19, 20).

Takes a subscript with slices; gives a typed :class:`MakeView`, whose bounds are proven inside, covered by a condition of
the signature, or tested where the view is made, never clamped. A view of a view names elements of the same array, so
whether two arguments share an element is decided axis by axis of the array that both are parts of.
"""

from __future__ import annotations

from math import gcd

from lem.diagnostics.codes import E0306, E0311, E0323
from lem.syntax import ast
from lem.types import expressions, integers, rebinding, subscripts, typed
from lem.types.context import Ctx, Need
from lem.types.convert import Literal, const, is_error
from lem.types.linear import Lin
from lem.types.prove import classify_bound, classify_index
from lem.types.scope import Array, Stretch
from lem_runtime.abi.dtypes import I64

I64_TYPE = typed.ValueType(I64)


def check_cuts(ctx: Ctx, base: Array, node: ast.Subscript, out: list[typed.Stmt]) -> Array | None:
    """``base[lo:hi, j]``; what makes the view is added to `out`. None when anything was reported."""
    rank = len(base.var.shape)
    if len(node.items) != rank:
        n = len(node.items)
        ctx.diags.error(
            E0306, node.span, f"`{base.name}` has {rank} {'axis' if rank == 1 else 'axes'}, found {n} "
            f"{'subscript' if n == 1 else 'subscripts'}", also=[(base.span, f"`{base.name}` is declared here")],
            help="a whole axis is written `:`",
        )  # fmt: skip
        return None
    parts = [_part(ctx, base, axis, node) for axis in range(rank)]
    if any(p is None for p in parts):
        return None
    return make_view(ctx, base, [p for p in parts if p is not None], node, out)


Part = tuple[typed.At | typed.Cut, Stretch]


def _layout(base: typed.ArrayVar, parts: list[Part]) -> str:
    """What is known of the layout of a part: that of its array, where the inner axis stays and has no gaps."""
    if base.layout == "aos" or not base.order:
        return base.layout
    inner, _ = parts[0 if base.order == "col" else -1]
    return base.order if isinstance(inner, typed.Cut) and inner.step == 1 else ""


def make_view(ctx: Ctx, base: Array, parts: list[Part], node: ast.Expr, out: list[typed.Stmt]) -> Array:
    """The part of `base` that `parts` pick, one per axis; there from here on."""
    kept = [n for n, (part, _) in enumerate(parts) if isinstance(part, typed.Cut)]
    forms = tuple(parts[n][1].size for n in kept)
    shape = tuple(None if f is None else f.to_size() for f in forms)
    of = base.var
    layout = _layout(of, parts)
    var = typed.ArrayVar(node.span.text, of.dtype, shape, "view", of.effect, node.span, of.reduce_op, layout, of)
    out.append(typed.MakeView(node.span, var, tuple(p for p, _ in parts), by_element=not ctx.in_sequence))
    ctx.assign(var)
    box = list(box_of(base))
    places = base.kept if base.box else tuple(range(len(box)))
    for axis, (_, stretch) in zip(places, parts, strict=True):
        box[axis] = _within(box[axis], stretch)
    return Array(var, forms, tuple(box), tuple(places[n] for n in kept))


def box_of(array: Array) -> tuple[Stretch, ...]:
    """Which places an array names, per axis of the one whose elements these are."""
    return array.box or tuple(Stretch(Lin.of(0), s) for s in array.sizes)


def _within(outer: Stretch, inner: Stretch) -> Stretch:
    lo = None if outer.lo is None or inner.lo is None else outer.lo + inner.lo * outer.step
    return Stretch(lo, inner.size, outer.step * inner.step)


# ---------------------------------------------------------------- parts of one axis
def _part(ctx: Ctx, base: Array, axis: int, node: ast.Subscript) -> Part | None:
    item = node.items[axis]
    if isinstance(item, ast.Slice):
        return _cut(ctx, base, axis, item)
    return _fixed(ctx, base, axis, node)


def _fixed(ctx: Ctx, base: Array, axis: int, node: ast.Subscript) -> Part | None:
    """One place of an axis, which the view no longer has."""
    index = expressions.check_int(ctx, node.items[axis], "a subscript")
    if is_error(index):
        return None
    form = integers.linear(ctx, index)
    verdict = classify_index(ctx.facts, form, base.sizes[axis])
    if not subscripts.settle_verdict(ctx, verdict, base, axis, node, is_store=True):
        return None
    return typed.At(index, verdict.kind == "run", node.items[axis].span), Stretch(form, Lin.of(1))


def _cut(ctx: Ctx, base: Array, axis: int, item: ast.Slice) -> Part | None:
    step = 1
    if item.step is not None:
        found = ctx.expr(item.step)
        value = found.value if isinstance(found, Literal) else None
        if not isinstance(value, int) or value < 1:
            ctx.diags.error(E0323, item.step.span, f"a step is a literal above 0, found `{item.step.span.text}`")
            return None
        step = value
    size = typed.ArraySize(item.span, I64_TYPE, base.var, axis)
    checks: list[str] = []
    lo = _bound(ctx, base, axis, item.lo, size, "lo", checks) if item.lo else (const(item.span, 0, I64), Lin.of(0))
    hi = _bound(ctx, base, axis, item.hi, size, "hi", checks) if item.hi else (size, base.sizes[axis])
    if lo is None or hi is None:
        return None
    cut = typed.Cut(lo[0], hi[0], step, item.span, tuple(checks))
    return cut, Stretch(lo[1], _length(ctx, lo[1], hi[1], step), step)


def _length(ctx: Ctx, lo: Lin | None, hi: Lin | None, step: int) -> Lin | None:
    """How many places lie in lo, lo + step, ... < hi."""
    if lo is None or hi is None:
        return None
    span = hi - lo if ctx.facts.prove_le(lo, hi) else ctx.symbols.max(hi - lo, 0)
    return ctx.symbols.div(span + (step - 1), step)


def _bound(
    ctx: Ctx, base: Array, axis: int, node: ast.Expr, size: typed.Expr, which: str, checks: list[str]
) -> tuple[typed.Expr, Lin | None] | None:
    """A bound with its form; literal ones below 0 count from the end. Every bound lies in 0..size: none is clamped."""
    x = ctx.expr(node)
    bound = expressions.to_int(ctx, x, "a bound")
    if is_error(bound):
        return None
    of_axis = base.sizes[axis]
    if isinstance(x, Literal) and x.value < 0:
        bound = typed.Binary(node.span, I64_TYPE, "add", size, bound)
        form = None if of_axis is None else of_axis + int(x.value)
    else:
        form = integers.linear(ctx, bound)
    verdict = classify_bound(ctx.facts, form, of_axis)
    if verdict.kind == "error":
        side = "below 0" if verdict.side == "low" else f"beyond axis {axis} of `{base.name}`"
        ctx.diags.error(
            E0311, node.span, f"`{node.span.text}` lies {side}" + (f": {verdict.example}" if verdict.example else ""),
            also=[(base.span, f"`{base.name}` is declared here")], help="a view is never clamped: cut inside of the array",
        )  # fmt: skip
        return None
    if verdict.kind == "run":
        checks.append(which)
    elif verdict.kind == "call":
        text = f"the bound `{node.span.text}` of a view of `{base.name}` needs it"
        ctx.needs.extend(Need(r, text, node.span) for r in verdict.conditions)
    if verdict.kind != "proven" and form is not None and of_axis is not None:
        _rely_on(ctx, verdict.kind, form, of_axis - form)
    return bound, form


def _rely_on(ctx: Ctx, kind: str, *facts: Lin) -> None:
    """What the call or the test at this place makes sure of holds from here on."""
    if kind == "run":
        ctx.facts = ctx.facts.assume(*facts)
    elif len(ctx.facts.facts) == ctx.facts.n_call and not ctx.facts.is_guarded:
        # Only where no condition stands around: there the call checks it, so that it holds everywhere.
        ctx.facts = ctx.facts.assume(*facts).checked_at_call()


# ---------------------------------------------------------------- shared elements
def share(ctx: Ctx, a: Array, b: Array) -> str:
    """Whether two arrays have a common element: "never", "always", or "maybe"."""
    x, y = a.var.root, b.var.root
    if x is not y:
        has_parts = any(v.kind == "name" and ctx.facts_of_name[v].is_part for v in (x, y))
        alike = x.dtype == y.dtype and (has_parts or len(x.shape) == len(y.shape))
        shared = alike and "name" in (x.kind, y.kind) and rebinding.roots_of(ctx, x) & rebinding.roots_of(ctx, y)
        return "maybe" if shared else "never"
    if a.block is not None and b.block is not None and a.block[0] is b.block[0]:
        pairs = list(zip(a.block[1], b.block[1], strict=True))
        if any(x is not None and y is not None and ctx.facts.prove_ne(x, y) for x, y in pairs):
            return "never"
        if all(x is not None and y is not None and ctx.facts.prove_eq(x, y) for x, y in pairs):
            return "always"
    axes = [_meet(ctx, x, y) for x, y in zip(box_of(a), box_of(b), strict=True)]
    return "never" if "never" in axes else "maybe" if "maybe" in axes else "always"


def _meet(ctx: Ctx, a: Stretch, b: Stretch) -> str:
    """The same of one axis. Two stretches that are written alike are taken to have elements."""
    if a == b and a.lo is not None:
        return "always"
    if a.lo is None or b.lo is None or a.size is None or b.size is None:
        return "maybe"
    prove_le, apart = ctx.facts.prove_le, b.lo - a.lo
    last_a, last_b = a.lo + (a.size - 1) * a.step, b.lo + (b.size - 1) * b.step
    if any(prove_le(s, 0) for s in (a.size, b.size)):
        return "never"
    if prove_le(last_a + 1, b.lo) or prove_le(last_b + 1, a.lo):
        return "never"
    common = gcd(a.step, b.step)
    if apart.is_const and apart.const % common:
        return "never"
    if common > 1 or a.step != 1 or b.step != 1:
        return "maybe"
    full = all(prove_le(1, s) for s in (a.size, b.size))
    return "always" if full and prove_le(b.lo, last_a) and prove_le(a.lo, last_b) else "maybe"
