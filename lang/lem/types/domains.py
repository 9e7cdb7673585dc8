"""Domains: what index and loop variables range over (LANGUAGE 3, 4).

Takes ``K``, ``K[1:-1]``, ``Z[p[r]:p[r + 1]]``, ``range(a, b, step)``, or for grids a number; gives a typed
:class:`Domain` and its bounds as linear forms, and binds the variable with its range as a fact.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0205, E0307, E0311, E0322, E0323
from lem.source import Span
from lem.syntax import ast
from lem.types import expressions, integers, typed
from lem.types.context import Ctx, Need
from lem.types.convert import NO_AXES, Literal, const, is_error
from lem.types.linear import Lin
from lem.types.prove import classify_bound
from lem.types.scope import Array, Broken, Dim, Index, Local
from lem_runtime.abi.dtypes import I64
from lem_runtime.abi.records import dataclass


@dataclass(slots=True)
class Range:
    """A checked domain with its bounds as forms (None: not an integer form)."""

    domain: typed.Domain
    lo: Lin
    hi: Lin

    @property
    def axes(self) -> frozenset[typed.ValueAxis]:
        by = self.domain.by
        return self.domain.lo.type.axes | self.domain.hi.type.axes | (by.type.axes if by is not None else NO_AXES)


def check_domain(ctx: Ctx, node: ast.Expr, who: str) -> Range | None:
    """The domain of a comprehension (`who` "for"), of `tiles` or of one variable of a `grid`."""
    if isinstance(node, ast.Name):
        dim = _dim(ctx, node)
        if dim is not None:
            return _whole(ctx, node.span, dim)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        dim = _dim(ctx, node.value)
        if dim is not None:
            return _sliced(ctx, node, dim)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        return check_range(ctx, node, is_loop=False)
    if isinstance(node, ast.Name) and isinstance(ctx.find(node.id), Array):
        _refuse_array(ctx, node)
        return None
    if who == "for" and not isinstance(node, ast.Name):
        ctx.diags.error(
            E0323, node.span, "a comprehension runs over a dimension, a slice of one, or `range(...)`",
            help=f"write `range({node.span.text})`",
        )  # fmt: skip
        return None
    return _counted(ctx, node, who)


def _dim(ctx: Ctx, node: ast.Name) -> Dim | None:
    entity = ctx.find(node.id)
    return entity if isinstance(entity, Dim) else None


def _refuse_array(ctx: Ctx, node: ast.Name) -> None:
    array = ctx.find(node.id)
    assert isinstance(array, Array)
    size = array.var.shape[0] if array.var.shape else None
    ctx.diags.error(
        E0323, node.span, f"`{node.id}` is an array, and an index variable runs over a dimension",
        help=f"write `{size}`, the size of its first axis" if isinstance(size, str) else (),
    )  # fmt: skip


def _counted(ctx: Ctx, node: ast.Expr, who: str) -> Range | None:
    """A plain number of steps: ``grid(8)``, ``tiles(2 * n)``."""
    x = ctx.expr(node)
    if is_error(x):
        return None
    if who == "for":
        ctx.diags.error(
            E0323, node.span, f"`{node.span.text}` is a number, not a dimension", help=f"write `range({node.span.text})`"
        )
        return None
    hi = expressions.to_int(ctx, x, "a size")
    if is_error(hi):
        return None
    return _made(ctx, node.span, const(node.span, 0, I64), hi, 1, None)


def _made(
    ctx: Ctx,
    span: Span,
    lo: typed.Expr,
    hi: typed.Expr,
    step: int,
    dim: str | None,
    low: Lin | None = None,
    high: Lin | None = None,
) -> Range:
    low = low if low is not None else integers.linear(ctx, lo)
    high = high if high is not None else integers.linear(ctx, hi)
    assert low is not None and high is not None
    return Range(typed.Domain(lo, hi, step, dim, span), low, high)


def _whole(ctx: Ctx, span: Span, dim: Dim) -> Range:
    hi = expressions.dim_expr(ctx, span, dim)
    name = dim.size if isinstance(dim.size, str) else None
    return _made(ctx, span, const(span, 0, I64), hi, 1, name)


def _sliced(ctx: Ctx, node: ast.Subscript, dim: Dim) -> Range | None:
    """A slice of a dimension: literal bounds clamp and may count from the end, computed ones must lie inside."""
    if len(node.items) != 1 or not isinstance(node.items[0], ast.Slice):
        ctx.diags.error(
            E0323, node.span, f"`{dim.name}` is a dimension: it can be sliced, not subscripted",
            help=f"write `{dim.name}[a:b]`",
        )  # fmt: skip
        return None
    cut = node.items[0]
    size = expressions.dim_expr(ctx, node.value.span, dim)
    checks: list[str] = []
    lo = _bound(ctx, cut.lo, size, dim, "lo", checks) if cut.lo else (const(node.span, 0, I64), None)
    hi = _bound(ctx, cut.hi, size, dim, "hi", checks) if cut.hi else (size, None)
    step = _literal_step(ctx, cut.step) if cut.step else 1
    if lo is None or hi is None or step is None:
        return None
    made = _made(ctx, node.span, lo[0], hi[0], step, dim.size if isinstance(dim.size, str) else None, lo[1], hi[1])
    made.domain.checks, made.domain.size = tuple(checks), size
    return made


def _bound(
    ctx: Ctx, node: ast.Expr, size: typed.Expr, dim: Dim, which: str, checks: list[str]
) -> tuple[typed.Expr, Lin | None] | None:
    """A bound of a slice with its form, which the code behind it may take to lie inside the dimension."""
    x = ctx.expr(node)
    if is_error(x):
        return None
    bound = expressions.to_int(ctx, x, "a bound")
    if is_error(bound):
        return None
    if isinstance(x, Literal):
        return _clamped(node.span, int(x.value), size, which), None
    form = integers.linear(ctx, bound)
    size_form = integers.linear(ctx, size)
    verdict = classify_bound(ctx.facts, form, size_form)
    if verdict.kind == "error":
        side = "below 0" if verdict.side == "low" else f"beyond {dim.name}"
        ctx.diags.error(
            E0311, node.span, f"`{node.span.text}` lies {side}" + (f": {verdict.example}" if verdict.example else ""),
            help="only literal bounds count from the end",
        )  # fmt: skip
        return None
    if verdict.kind == "run" or (verdict.kind == "call" and ctx.kind == "fn"):
        checks.append(which)
    elif verdict.kind == "call":
        text = node.span.text
        ctx.needs.extend(Need(r, f"the bound `{text}` of {dim.name} needs it", node.span) for r in verdict.conditions)
    if verdict.kind != "proven" and form is not None and size_form is not None:
        ctx.facts = ctx.facts.assume(form, size_form - form)
    return bound, form


def _clamped(span: Span, value: int, size: typed.Expr, which: str) -> typed.Expr:
    """A literal bound as Python has it; a bound that only makes the range empty is not clamped."""
    i64 = typed.ValueType(I64)
    if value >= 0:
        number = const(span, value, I64)
        return number if which == "lo" else typed.Binary(span, i64, "min", number, size)
    from_end = typed.Binary(span, i64, "sub", size, const(span, -value, I64))
    if which == "hi":
        return from_end
    return typed.Binary(span, i64, "max", from_end, const(span, 0, I64))


def _literal_step(ctx: Ctx, node: ast.Expr, ends: tuple[ast.Expr, ast.Expr] | None = None) -> int | None:
    """The step of a slice, or of a `range` between `ends` whose places are no loop's, one after the other."""
    x = ctx.expr(node)
    if is_error(x):
        return None
    value = x.value if isinstance(x, Literal) else None
    if not isinstance(value, int) or value <= 0:
        help = _without_step(node, value, ends) if ends and value != 0 else ()
        ctx.diags.error(E0323, node.span, f"a step is a literal above 0, found `{node.span.text}`", help=help)
        return None
    return value


def _loop_step(ctx: Ctx, node: ast.Expr) -> int | typed.Expr | None:
    """The step of a loop statement: a number that is known here, or one that is above 0 where it runs. Only what is written
    as a literal turns a loop around, so that no loop turns because more is proven of its step."""
    x = ctx.expr(node)
    by = x if is_error(x) else expressions.to_int(ctx, x, "a step")
    if is_error(by):
        return None
    form = integers.linear(ctx, by)
    assert form is not None
    if form.is_const and (form.const > 0 or (form.const < 0 and isinstance(x, Literal))):
        return form.const
    if ctx.facts.prove_ge0(-form):
        is_0 = form.is_const and form.const == 0
        label = "a step of 0 gets nowhere" if is_0 else f"`{node.span.text}` is never above 0"
        downwards = "a loop that runs down has a literal step: `range(n - 1, -1, -1)`"
        ctx.diags.error(E0323, node.span, label, help=() if is_0 else downwards)
        return None
    return by


def _without_step(node: ast.Expr, value: int | float | None, ends: tuple[ast.Expr, ast.Expr]) -> str | tuple[()]:
    """How a loop goes on where its step may not stand; `ends` are those of the range."""
    if value is not None:
        upwards = "there is no order here that a step could turn around: let it run upwards"
        return upwards if isinstance(value, int) else ()
    lo, hi, step = (_factor(e) for e in (*ends, node))
    length, place = (hi, f"k * {step}") if lo == "0" else (f"{hi} - {lo}", f"{lo} + k * {step}")
    return f"count the steps: `for k in range(({length} + {step} - 1) // {step})`, and `{place}` is the place"


def _factor(e: ast.Expr) -> str:
    text = e.span.text
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def check_range(ctx: Ctx, node: ast.Call, is_loop: bool) -> Range | None:
    """``range(n)``, ``range(a, b)``, ``range(a, b, step)``; of a loop statement, or of what runs in no order."""
    if not 1 <= len(node.args) <= 3 or node.keywords:
        ctx.diags.error(
            E0307, node.span, "`range` takes one to three numbers", help="write `range(n)` or `range(a, b, step)`"
        )
        return None
    step: int | typed.Expr | None = 1
    if len(node.args) == 3:
        lo_node, hi_node, by = node.args
        step = _loop_step(ctx, by) if is_loop else _literal_step(ctx, by, (lo_node, hi_node))
    ends = [expressions.check_int(ctx, a, "a bound of `range`") for a in node.args[:2]]
    if step is None or is_error(*ends):
        return None
    lo = const(node.span, 0, I64) if len(ends) == 1 else ends[0]
    made = _made(ctx, node.span, lo, ends[-1], step if isinstance(step, int) else 1, _range_dim(ends))
    if not isinstance(step, int):
        _goes_by(ctx, made.domain, step)
    return made


def _goes_by(ctx: Ctx, domain: typed.Domain, step: typed.Expr) -> None:
    """Note a step that is no literal, and that code behind it may take to be above 0."""
    form = integers.linear(ctx, step)
    assert form is not None
    domain.by = step
    if not ctx.facts.prove_ge0(form - 1):
        domain.checks = ("step",)
        ctx.facts = ctx.facts.assume(form - 1)


def _range_dim(ends: list[typed.Expr]) -> str | None:
    """``range(K)`` runs over all of K, and is one of its index variables in all but name."""
    return ends[0].dim if len(ends) == 1 and isinstance(ends[0], typed.DimSize) else None


def bind(ctx: Ctx, name: ast.Name, kind: str, made: Range) -> Index | None:
    """Add an index or loop variable to the scope, with its range as a fact; E0205 when the name is in use."""
    taken = ctx.find(name.id)
    if isinstance(taken, Broken):
        taken = None
    if taken is not None:
        ctx.diags.error(
            E0205, name.span, f"`{name.id}` is already {_what(taken)}",
            also=[(taken.span, f"`{name.id}` is bound here")], help="take another name",
        )  # fmt: skip
        return None
    axis = typed.ValueAxis(name.id, kind) if kind in ("range", "tiles") else None
    var = typed.IndexVar(name.id, kind, name.span, axis)
    sym = ctx.symbols.sym(name.id, "loop" if kind == "loop" else "index")
    index = Index(var, sym.lin, made.domain)
    ctx.scopes.add(index)
    ctx.index_values[var] = sym.lin
    ctx.index_infos[var] = index
    ctx.facts = ctx.facts.assume_range(sym, made.lo, made.hi, made.domain.step)
    return index


def _what(entity: object) -> str:
    if isinstance(entity, Dim):
        return "a dimension"
    if isinstance(entity, Index):
        return "an index variable in use here"
    return "a name of this function"


def one_target(ctx: Ctx, targets: tuple[ast.Name, ...], what: str, code_is_grid: bool = False) -> ast.Name | None:
    """The only variable of a loop that has one."""
    if len(targets) == 1:
        return targets[0]
    span = targets[0].span.to(targets[-1].span)
    ctx.diags.error(
        E0322 if code_is_grid else E0323, span, f"{what} has one variable, found {len(targets)}",
        help="write one `for` for each variable",
    )  # fmt: skip
    return None


def no_axes(made: Range) -> bool:
    return made.axes == NO_AXES


def poison(ctx: Ctx, name: ast.Name) -> None:
    """Make a variable known whose loop was reported, so that its uses are no second mistake: also where the name is that of
    a local, which has no value there."""
    taken = ctx.find(name.id)
    if taken is None or isinstance(taken, Local):
        ctx.scopes.add(Broken(name.id, name.span))
