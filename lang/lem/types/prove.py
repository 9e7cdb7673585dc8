"""What one subscript, bound or size needs: nothing, a condition on the call, a check where it runs, or an error.

Takes a form, the size of its axis and the facts in force (`facts`); gives a :class:`Verdict` with, for errors, the
clause that shows the reader a case. Reports nothing itself (LANGUAGE 1, 3).
"""

from __future__ import annotations

from lem.types.facts import Context, Residual, relevant
from lem.types.linear import Lin, Sym, Term
from lem_runtime.abi.records import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one subscript.

    kind: "proven"; "call" (holds when `conditions` hold, checked once at the call); "error" (see `side`); "run" (to be
          checked where it runs).
    side: of an error: "low" (below 0), "high" (at or beyond the size), "dim" (a bare variable over a dimension that is
          not known to fit the axis: E0312); of "call" and "run" the side that is not proven, "both" if neither is.
    example: for errors, a clause that shows it: "`i - 1` is -1 when `i` is 0"; "" when none was found.
    """

    kind: str
    conditions: tuple[Residual, ...] = ()
    side: str = ""
    example: str = ""


__all__ = ["Context", "Residual", "Verdict", "classify_bound", "classify_ge0", "classify_index", "show_case"]

PROVEN = Verdict("proven")


def classify_index(ctx: Context, index: Lin | None, size: Lin | None, *, bare_dim: Sym | None = None) -> Verdict:
    """Is 0 <= index < size? `index` None: not linear (a gather); `size` None: not linear. `bare_dim`: the dimension
    that the subscript ranges over, when it is a bare index variable over (a slice of) a dimension."""
    if index is None:
        return Verdict("run", side="both")
    high = None if size is None else size - index - 1
    return _classify(ctx, index, index, high, bare_dim)


def classify_bound(ctx: Context, bound: Lin | None, size: Lin | None) -> Verdict:
    """Is 0 <= bound <= size? For computed bounds of slices (LANGUAGE 3)."""
    if bound is None:
        return Verdict("run", side="both")
    return _classify(ctx, bound, bound, None if size is None else size - bound, None)


def classify_ge0(ctx: Context, value: Lin | None) -> Verdict:
    """Is value >= 0? For sizes of temporaries and counts."""
    if value is None:
        return Verdict("run", side="low")
    return _merge([_one_side(ctx, "low", value, value)])


def _classify(ctx: Context, index: Lin, low: Lin, high: Lin | None, bare_dim: Sym | None) -> Verdict:
    sides = [_one_side(ctx, "low", index, low)]
    if high is None:
        sides.append(Verdict("run", side="high"))
    else:
        sides.append(_one_side(ctx, "high", index, high))
        if sides[1].kind != "proven" and bare_dim is not None and not ctx.is_impossible():
            return Verdict("error", side="dim")
    return _merge(sides)


def _merge(sides: list[Verdict]) -> Verdict:
    """The verdict of several sides together: an error anywhere is one, then a check at run time, then the call."""
    for kind in ("error", "run", "call"):
        found = [v for v in sides if v.kind == kind]
        if kind == "error" and found:
            return found[0]
        if found:
            open_sides = [v for v in sides if v.kind != "proven"]
            side = "both" if len(open_sides) > 1 else open_sides[0].side
            return Verdict(kind, tuple(c for v in found for c in v.conditions), side)
    return PROVEN


def _one_side(ctx: Context, side: str, index: Lin, goal: Lin) -> Verdict:
    if ctx.prove_ge0(goal):
        return PROVEN
    if ctx.always_false(goal):
        return Verdict("error", side=side, example=show_case(ctx, index, goal))
    left = ctx.residual(goal)
    if left is None:
        return Verdict("run", side=side)
    if left.never:
        return Verdict("error", side=side, example=show_case(ctx, index, goal))
    return Verdict("call", (left,), side)


# ---------------------------------------------------------------- examples


def show_case(ctx: Context, index: Lin, goal: Lin) -> str:
    """A case in which `goal` < 0, as a clause about `index`: "`i + 1` is `N` when `i` is `N - 1`"; "" if none."""
    variables = [s for s in index.syms if s.kind in ("index", "loop")]
    at = _extreme(ctx, variables, goal) or _small_case(ctx, variables, goal)
    if not variables or at is None or len(at) > 4:
        return ""
    value = index.replace(at)
    where = " and ".join(f"`{s.name}` is {_quoted(Lin.of(v))}" for s, v in at.items())
    return f"`{index}` is {_quoted(value)} when {where}"


def _quoted(value: Lin) -> str:
    return str(value.const) if value.is_const else f"`{value}`"


def _extreme(ctx: Context, variables: list[Sym], goal: Lin) -> dict[Sym, Term] | None:
    """The corner of the variables' ranges, in terms of sizes, at which `goal` is certainly negative."""
    corner: dict[Sym, Term] = {}
    for v in variables:
        sign = 1 if goal.coef(v) > 0 else -1
        bounds = [f for f in ctx.about(v) if f.coef(v) == sign and all(s is v or s.lin.speaks_only_of() for s in f.syms)]
        if not bounds:
            return None
        corner[v] = (v.lin * sign - bounds[0]) * sign
    ranges, _ = ctx.exists()
    return corner if ctx.assume(*ranges).always_false(goal.replace(corner)) else None


def _small_case(ctx: Context, variables: list[Sym], goal: Lin) -> dict[Sym, Term] | None:
    values = ctx.sample(-goal - 1)
    if values is None:
        return None
    sizes = [s for f in (goal, *relevant(ctx, (goal,))) for s in f.syms if s.kind in ("dim", "param")]
    return {s: values[s] for s in dict.fromkeys((*variables, *sizes)) if s in values}
