"""What a body does to its arrays, against what the signature says (LANGUAGE 13, 14, 18), and the conditions it needs.

Takes the reads and writes noted while the body was checked; reports what contradicts the signature; gives the conditions
for the call and, per `out` array, whether all of it is written and whether it may be read first.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0327, E0404, E0408, E0410
from lem.source import Span
from lem.syntax import ast
from lem.types import typed
from lem.types.context import Ctx, Touch, place_of
from lem.types.races import Access, SubForm, covers_whole_array
from lem_runtime.abi import sizes
from lem_runtime.abi.signature import Condition


def check_results(ctx: Ctx, diags: Diagnostics, arrays: Sequence[typed.ArrayVar]) -> None:
    """Report `out` arrays that are read first or never written, and results that are not assigned."""
    for var in arrays:
        touches = ctx.touches.get(var, [])
        if var.effect == "out":
            _check_out(ctx, diags, var, touches)
        elif var.effect == "result" and var.shape and not touches:
            diags.error(E0408, var.span, f"`{var.name}` is never written", help=f"store its elements: `{var.name}[i] = ...`")
        elif var.effect == "result" and not var.shape:
            _check_scalar_result(ctx, diags, var)


def _check_out(ctx: Ctx, diags: Diagnostics, var: typed.ArrayVar, touches: Sequence[Touch]) -> None:
    if not any(t.kind == "write" for t in touches):
        diags.error(
            E0410, var.span, f"`{var.name}` is `out`, and nothing is stored into it",
            help="store into it, or drop the `out`",
        )  # fmt: skip
        return
    if touches[0].kind == "read" and not _may_follow_write(ctx, touches):
        diags.error(
            E0404, touches[0].span, f"`{var.name}` is `out`, and nothing was written to it yet",
            also=[(var.span, f"`{var.name}` is declared here")], help=f"declare it `{var.name}: inout ...`",
        )  # fmt: skip


def _may_follow_write(ctx: Ctx, touches: Sequence[Touch]) -> bool:
    """Whether the first read in the text can come after a write when it runs: in a loop that also writes, it is guarded,
    or the loop's first turn does not come to it."""
    first = touches[0]
    shared = [loop for loop in first.loops if any(loop in t.loops for t in touches if t.kind == "write")]
    return any(first.is_guarded or _may_skip_first_turn(ctx, first, loop) for loop in shared)


def _may_skip_first_turn(ctx: Ctx, read: Touch, loop: ast.Stmt) -> bool:
    """Whether loops inside of this one may be empty in its first turn."""
    inner = read.loops[read.loops.index(loop) + 1 :]
    if any(ctx.turns.get(each, ()) is None for each in inner):
        return True
    start = ctx.turns.get(loop)
    return start is not None and read.access.ctx.assume(*start).is_impossible()


def _check_scalar_result(ctx: Ctx, diags: Diagnostics, var: typed.ArrayVar) -> None:
    ends = [(f, s) for f, s in ctx.exits]
    if ctx.flow.live:
        ends.append((ctx.flow, var.span))
    for at, span in ends:
        if at.live and var not in at.assigned:
            where = "on every way to the end" if span == var.span else "before this `return`"
            diags.error(
                E0408, span, f"`{var.name}` is not assigned {where}",
                also=[] if span == var.span else [(var.span, "declared here")],
                help=f"assign `{var.name}` first: a loop may run zero times, a condition may never hold",
            )  # fmt: skip
            return


def conditions(ctx: Ctx, diags: Diagnostics) -> tuple[Condition, ...]:
    """Conditions for the call, each once; with a warning where one leaves only a few sizes."""
    out: dict[object, Condition] = {}
    for need in ctx.needs:
        residual = need.residual
        if residual.exact in out:
            continue
        shown = residual.simple if residual.simple != residual.exact else None
        out[residual.exact] = Condition(residual.exact, need.why, place_of(need.span), shown)
        if residual.bounded_dim:
            diags.warning(
                E0327, need.span, f"this needs `{sizes.show(residual.simple)}`",
                help=_LESS,
            )  # fmt: skip
    _warn_of_pinned(ctx, diags)
    return tuple(out.values())


_LESS = "say what lies outside with `clamp`, `wrap` or `fill`, run over fewer elements, or guard it with `if`"


def _warn_of_pinned(ctx: Ctx, diags: Diagnostics) -> None:
    """Report `int` parameters that are bounded from both sides to one value, or to none."""
    for name, form in ctx.scalar_values.items():
        needs = [(need, bound) for need in ctx.needs if (bound := _bound_of(need.residual.simple, name))]
        for need, (kind, most) in needs:
            if kind != "<=":
                continue
            lows = [(n, least) for n, (other, least) in needs if other == ">=" and least >= most]
            if not lows and not ctx.start.prove_le(most, form):
                continue
            only = f"only `{name} == {most}`" if not lows or lows[0][1] == most else f"no `{name}` at all"
            both = f"`{sizes.show(need.residual.simple)}`" + (f" and `{name} >= {lows[0][1]}`" if lows else "")
            also = [(n.span, f"this needs `{name} >= {least}`") for n, least in lows[:1] if n.span != need.span]
            label = f"calls need {both}, which leaves {only}"
            diags.warning(E0327, need.span, label, also=also, help=_LESS)
            break


def _bound_of(cond: sizes.Size, name: str) -> tuple[str, int] | None:
    """`name` ``<=`` or ``>=`` a literal."""
    if not isinstance(cond, tuple) or cond[0] not in ("<=", ">=", "==") or cond[1] != name or not isinstance(cond[2], int):
        return None
    return str(cond[0]), cond[2]


def facts_about_arrays(ctx: Ctx, arrays: Sequence[typed.ArrayVar]) -> dict[str, object]:
    """covers: `out` arrays and results whose every element is certainly written. reads_first: `out` arrays of which an
    element may be read before it is written: they are transferred like `inout`."""
    covers, reads_first = [], []
    for var in arrays:
        if var.effect not in ("out", "result"):
            continue
        touches = ctx.touches.get(var, [])
        writes = [t.access for t in touches if t.kind == "write"]
        if writes and covers_whole_array(ctx.symbols, ctx.start, ctx.arrays[var], writes):
            covers.append(var.name)
        if first_read(ctx, var) is not None:
            reads_first.append(var.name)
    return {"covers": tuple(covers), "reads_first": tuple(reads_first)}


def first_read(ctx: Ctx, var: typed.ArrayVar) -> Span | None:
    """A read that is not known to come after a write of what it reads: all of the array was written before it in the text,
    or this very place by the same element."""
    before: list[Access] = []
    own: set[tuple[int, tuple[SubForm, ...]]] = set()  # places that their element has certainly written, by grid
    for touch in ctx.touches.get(var, []):
        place = (id(touch.grid), touch.access.subs)
        if touch.kind == "write":
            before.append(touch.access)
            if not touch.is_guarded and None not in touch.access.subs:
                own.add(place)
        elif touch.kind == "read" and place not in own:
            if not covers_whole_array(ctx.symbols, ctx.start, ctx.arrays[var], before):
                return touch.span
    return None
