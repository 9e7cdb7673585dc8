"""How dimensions are found from arguments (LANGUAGE 7), at calls from outside and between kernels.

Takes the parameters of a signature; gives the rules by which the runtime binds dimensions. Takes the shapes of the
arguments of a call in a body; gives the callee's dimensions in the caller's symbols, and what must hold in addition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lem.types.facts import Context
from lem.types.linear import Lin, Symbols
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Condition, DimRule, Param, Signature, arguments_of
from lem_runtime.abi.sizes import Size


@dataclass(frozen=True, slots=True)
class Problem:
    """A size in a signature that no call can satisfy. `param` and `axis` say where; `text` is the label."""

    param: str
    axis: int
    text: str


@dataclass(frozen=True, slots=True)
class Solution:
    """rules:    in the order in which the runtime applies them.
    by_name:  dimensions that no input tells: only the caller's `out` array, or a name at the call.
    nonneg:   sizes that are not plain dimensions; every call has checked that they are >= 0, which is a fact for proofs.
    problems: sizes that are negative, or undefined, for every value.
    """

    rules: tuple[DimRule, ...]
    by_name: tuple[str, ...]
    nonneg: tuple[Size, ...]
    problems: tuple[Problem, ...]


def solve(dims: Sequence[str], params: Sequence[Param]) -> Solution:
    """Rules for `dims`: for each the first input where it stands alone, else the first whose size is linear in it with
    all else known before, else likewise among `out` arrays and results, else by name."""
    symbols = Symbols()
    params = arguments_of(params)  # dimensions are told by what a caller hands over
    names = {d: symbols.sym(d, "dim").lin for d in dims}
    scalars = [p.name for p in params if p.shape is None and _is_int(p)]
    names |= {n: symbols.sym(n, "param").lin for n in scalars}
    sizes_of = [(p, axis, size, symbols.from_size(size, names)) for p in params for axis, size in enumerate(p.shape or ())]
    known = set(scalars)
    rules: list[DimRule] = []
    by_name: list[str] = []
    for late in (False, True):
        mine = [(p, axis, form) for p, axis, _, form in sizes_of if form is not None and _is_late(p) == late]
        new = list(_rules_from(mine, [d for d in dims if d not in known], known, names))
        rules += new
        if not late:
            by_name = [d for d in dims if d not in known]
    rules += [DimRule(d, None) for d in dims if d not in known]
    nonneg = dict.fromkeys(size for _, _, size, _ in sizes_of if isinstance(size, tuple))
    problems = tuple(Problem(p.name, axis, t) for p, axis, s, form in sizes_of if (t := _wrong_with(s, form)))
    return Solution(tuple(rules), tuple(by_name), tuple(nonneg), problems)


def _is_int(p: Param) -> bool:
    return p.dtype == "int" or (p.dtype in DTYPES and DTYPES[p.dtype].is_int)


def _is_late(p: Param) -> bool:
    """May be missing at a call, or is made by it."""
    return p.effect in ("out", "result")


def _rules_from(
    axes: Sequence[tuple[Param, int, Lin]], wanted: list[str], known: set[str], names: Mapping[str, Lin]
) -> Iterator[DimRule]:
    """Rules for the dimensions in `wanted`, which are added to `known`: those that stand alone first."""
    for p, axis, form in axes:
        for dim in wanted:
            if dim not in known and form == names[dim]:
                known.add(dim)
                yield DimRule(dim, p.name, axis)
    found = True
    while found:
        found = False
        for p, axis, form in axes:
            rule = _linear_rule(p, axis, form, wanted, known, names)
            if rule is not None:
                known.add(rule.dim)
                found = True
                yield rule


def _linear_rule(
    p: Param, axis: int, form: Lin, wanted: list[str], known: set[str], names: Mapping[str, Lin]
) -> DimRule | None:
    unknown = {s.name for s in form.leaves() if s.name not in known}
    if len(unknown) != 1 or (dim := unknown.pop()) not in wanted:
        return None
    sym = names[dim].syms[0]
    scale = form.coef(sym)
    offset = form - names[dim] * scale
    if scale <= 0 or sym in offset.leaves():  # inside `N // 2` a dimension cannot be told
        return None
    return DimRule(dim, p.name, axis, offset.as_size(), scale)


def _wrong_with(size: Size, form: Lin | None) -> str:
    if _divides_by_zero(size):
        return "size divides by zero"
    if form is not None and Context().always_false(form):
        return "size is negative" if form.is_const else "size is negative for every value"
    return ""


def _divides_by_zero(size: Size) -> bool:
    if not isinstance(size, tuple):
        return False
    return (size[0] in ("//", "%") and size[2] == 0) or any(_divides_by_zero(s) for s in size[1:])


# ---------------------------------------------------------------- calls in bodies


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Axis `axis` of argument `param` has size `have`, the callee wants `want`. certain: they always differ."""

    param: str
    axis: int
    have: Lin
    want: Lin
    certain: bool

    def condition(self) -> Size | None:
        """``have == want`` as a condition of the caller; None when it speaks of more than sizes and scalars."""
        a, b = self.have.to_size(), self.want.to_size()
        return None if a is None or b is None else ("==", a, b)


@dataclass(frozen=True, slots=True)
class OpenCondition:
    """A condition of the callee that is not known to hold. expr: in the caller's sizes and scalars, None when it speaks
    of more than these. certain: it never holds."""

    condition: Condition
    expr: Size | None
    certain: bool


@dataclass(frozen=True, slots=True)
class CallDims:
    """dims: the callee's dimensions in the caller's symbols (None: known only when it runs, or not at all).
    mismatches: sizes that are not known to agree. unchecked: (parameter, axis) whose sizes are known only when it runs.
    """

    dims: dict[str, Lin | None]
    mismatches: tuple[Mismatch, ...]
    unchecked: tuple[tuple[str, int], ...]
    open_conditions: tuple[OpenCondition, ...]


def unify_call(
    symbols: Symbols,
    ctx: Context,
    callee: Signature,
    shapes: Mapping[str, Sequence[Lin | None]],
    scalars: Mapping[str, Lin | None],
    named: Mapping[str, Lin | None] | None = None,
) -> CallDims:
    """Bind `callee`'s dimensions at a call in a body. `shapes`: per array argument its sizes in the caller's symbols;
    `scalars`: ``int`` arguments likewise; `named`: dimensions given by name."""
    names = {n: v for n, v in scalars.items() if v is not None}
    dims: dict[str, Lin | None] = {d: None for d in callee.dims}
    for d, value in (named or {}).items():
        dims[d] = value
    for rule in callee.rules:
        axes = shapes.get(rule.param or "")
        if rule.dim not in (named or {}) and dims[rule.dim] is None and axes is not None:
            known = names | {d: v for d, v in dims.items() if v is not None}
            dims[rule.dim] = _apply(symbols, rule, axes[rule.axis] if rule.axis < len(axes) else None, known)
    names |= {d: v for d, v in dims.items() if v is not None}
    mismatches: list[Mismatch] = []
    unchecked: list[tuple[str, int]] = []
    for p in callee.params:
        for axis, (size, have) in enumerate(zip(p.shape or (), shapes.get(p.name, ()), strict=False)):
            want = symbols.from_size(size, names)
            if want is None or have is None:
                unchecked.append((p.name, axis))
            elif not ctx.prove_eq(have, want):
                mismatches.append(Mismatch(p.name, axis, have, want, ctx.prove_ne(have, want)))
    still_open = _open_conditions(symbols, ctx, callee, names)
    return CallDims(dims, tuple(mismatches), tuple(unchecked), tuple(still_open))


def _apply(symbols: Symbols, rule: DimRule, size: Lin | None, names: Mapping[str, Lin]) -> Lin | None:
    offset = symbols.from_size(rule.offset, names)
    return None if size is None or offset is None else symbols.div(size - offset, rule.scale)


def _open_conditions(symbols: Symbols, ctx: Context, callee: Signature, names: Mapping[str, Lin]) -> Iterator[OpenCondition]:
    for c in callee.conditions:
        answer = decide(symbols, ctx, c.expr, names)
        if answer != "holds":
            yield OpenCondition(c, in_caller(c.expr, names), answer == "fails")


def in_caller(expr: Size, names: Mapping[str, Lin]) -> Size | None:
    """`expr` with names replaced by the caller's sizes; None when one is no expression over sizes and scalars."""
    if isinstance(expr, int):
        return expr
    if isinstance(expr, str):
        return names[expr].to_size() if expr in names else None
    parts = [in_caller(e, names) for e in expr[1:]]
    return None if any(p is None for p in parts) else (expr[0], *parts)


def decide(symbols: Symbols, ctx: Context, cond: Size, names: Mapping[str, Lin]) -> str:
    """ "holds", "fails" or "unknown": a condition over sizes, with `names` in the caller's symbols."""
    if isinstance(cond, int):
        return "holds" if cond else "fails"
    if not isinstance(cond, tuple):
        return "unknown"
    op = cond[0]
    if op == "not":
        return {"holds": "fails", "fails": "holds", "unknown": "unknown"}[decide(symbols, ctx, cond[1], names)]
    if op in ("and", "or"):
        sides = [decide(symbols, ctx, c, names) for c in cond[1:]]
        settles = "fails" if op == "and" else "holds"
        if settles in sides:
            return settles
        return sides[0] if sides[0] == sides[1] else "unknown"
    a, b = symbols.from_size(cond[1], names), symbols.from_size(cond[2], names)
    return "unknown" if a is None or b is None else _compare(ctx, op, a, b)


def _compare(ctx: Context, op: str, a: Lin, b: Lin) -> str:
    match op:
        case "==" | "!=":
            yes, no = ctx.prove_eq(a, b), ctx.prove_ne(a, b)
            if op == "!=":
                yes, no = no, yes
        case "<=":
            yes, no = ctx.prove_le(a, b), ctx.prove_lt(b, a)
        case "<":
            yes, no = ctx.prove_lt(a, b), ctx.prove_le(b, a)
        case ">=":
            yes, no = ctx.prove_le(b, a), ctx.prove_lt(a, b)
        case ">":
            yes, no = ctx.prove_lt(b, a), ctx.prove_le(a, b)
        case _:
            return "unknown"
    return "holds" if yes else "fails" if no else "unknown"
