"""Reductions: ``sum(x[i, k] for k in K if c)`` binds axes and reduces them, ``sum(x, over=j)`` reduces one in scope.

One entry each (LANGUAGE 4, 10, 28). The order of additions is not decided here: it follows from the typed program.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0301, E0307, E0316
from lem.source import Span
from lem.syntax import ast
from lem.types import domains, expressions, integers, numbers, structs, subscripts, typed
from lem.types.builtins.elementwise import check_extreme
from lem.types.context import Builtin, Ctx
from lem.types.convert import Literal, cast, const, error, is_error, settle
from lem.types.scope import Array, Index
from lem_runtime.abi.dtypes import F64, I64, DType

TEXTS = {
    "sum": "The sum; 0 of nothing. Bools count as 0 and 1.",
    "prod": "The product; 1 of nothing.",
    "max": "The largest; of nothing the least value of the type. `max(a, b)` chooses between values.",
    "min": "The smallest; of nothing the greatest value of the type. `min(a, b)` chooses between values.",
    "any": "Whether one is true; of nothing false.",
    "all": "Whether all are true; of nothing true.",
    "mean": "The sum divided by the count; nan of nothing.",
    "argmax": "Where the largest is: the first of equals, an i64 in the domain's own coordinates.",
    "argmin": "Where the smallest is: the first of equals, an i64 in the domain's own coordinates.",
}


def _entry(kind: str) -> Builtin:
    def check(ctx: Ctx, node: ast.Call) -> typed.Expr:
        return _check(ctx, node, kind)

    value = "x[k] > 0" if kind in ("any", "all") else "x[k]"
    return Builtin(
        kind, f"{kind}(value for k in K), {kind}(value, over=axis)", TEXTS[kind], f"y = {kind}({value} for k in K)", check
    )


ENTRIES = tuple(_entry(kind) for kind in TEXTS)


def _check(ctx: Ctx, node: ast.Call, kind: str) -> typed.Expr:
    if len(node.args) == 1 and isinstance(node.args[0], ast.Comprehension) and not node.keywords:
        return _comprehension(ctx, node, node.args[0], kind)
    over = [k for k in node.keywords if k.name == "over"]
    if len(node.args) == 1 and len(over) == 1 and len(node.keywords) == 1:
        return _over(ctx, node, kind, over[0].value)
    if kind in ("max", "min") and len(node.args) >= 2 and not node.keywords:
        return check_extreme(ctx, node, kind)
    return _neither(ctx, node, kind)


def _neither(ctx: Ctx, node: ast.Call, kind: str) -> typed.Expr:
    if len(node.args) != 1 or node.keywords:
        ctx.diags.error(
            E0307, node.span, f"`{kind}` takes one value and what to reduce it over",
            help=f"write `{kind}(x[k] for k in K)` or `{kind}(x, over=k)`",
        )  # fmt: skip
        return error(node.span)
    arg = node.args[0]
    array = ctx.find(arg.id) if isinstance(arg, ast.Name) else None
    if isinstance(array, Array) and array.var.shape:
        return _whole_array(ctx, node, kind, array)
    x = ctx.expr(arg)
    if is_error(x):
        return error(node.span)
    names = sorted(a.name for a in x.type.axes)
    shown = f"the value has {', '.join(f'`{n}`' for n in names)}" if names else "the value is one number"
    help = (
        f"write `{kind}({node.args[0].span.text}, over={names[0]})`"
        if names
        else (f"bind an index variable: `{kind}(... for k in K)`")
    )
    ctx.diags.error(E0316, node.span, f"nothing says what `{kind}` runs over; {shown}", help=help)
    return error(node.span)


def _whole_array(ctx: Ctx, node: ast.Call, kind: str, array: Array) -> typed.Expr:
    """``sum(x)``, as NumPy says all axes at once."""
    clauses = [f"for {k} in {size}" for k, size in zip("klmn", array.var.shape, strict=False) if isinstance(size, str)]
    rank = len(array.var.shape)
    form = f"{array.name}[{', '.join('klmn'[:rank])}] {' '.join(clauses)}" if len(clauses) == rank else "... for k in K"
    ctx.diags.error(
        E0316, node.span, f"nothing says what `{kind}` runs over; `{array.name}` is a whole array",
        help=f"bind its indices: `{kind}({form})`",
    )  # fmt: skip
    return error(node.span)


def _gives_one_place(ctx: Ctx, span: Span, n_axes: int, kind: str) -> bool:
    """Report `argmax` and `argmin` over several axes: they give the place along one."""
    if n_axes == 1 or kind not in ("argmax", "argmin"):
        return True
    best = kind[3:]
    ctx.diags.error(
        E0307, span, f"`{kind}` gives the place along one axis, and this runs over {n_axes}",
        help=f"reduce the others inside: `{kind}({best}(x[i, j] for j in N) for i in M)`",
    )  # fmt: skip
    return False


def _comprehension(ctx: Ctx, node: ast.Call, comp: ast.Comprehension, kind: str) -> typed.Expr:
    if not _gives_one_place(ctx, node.span, len(comp.clauses), kind):
        return error(node.span)
    outer = ctx.facts, ctx.axes, ctx.mask
    ctx.branches += 1  # the domain may be empty
    with ctx.scope(), ctx.not_ahead():
        clauses = [_clause(ctx, c) for c in comp.clauses]
        conds = []
        for cond_node in comp.conds:
            cond = expressions.check_condition(ctx, cond_node, "`if`")
            conds.append(cond)
            ctx.mask |= cond.type.axes
            ctx.facts = integers.assume(ctx, ctx.facts, cond)
        value = error(node.span) if any(c is None for c in clauses) else ctx.expr(comp.value)
    ctx.branches -= 1
    ctx.facts, ctx.axes, ctx.mask = outer
    made = [c for c in clauses if c is not None]
    if is_error(value, *conds) or len(made) < len(clauses):
        return error(node.span)
    ready = _operand(ctx, value, kind)
    if is_error(ready):
        return error(node.span)
    bound = frozenset(c.var.axis for c in made if c.var.axis)
    axes = ready.type.axes.union(*(c.type.axes for c in conds))
    for clause in made:
        axes |= clause.domain.lo.type.axes | clause.domain.hi.type.axes
    ty = typed.ValueType(_result(kind, ready.type.dtype), axes - bound)
    reduced = typed.Reduce(node.span, ty, kind, ready, tuple(made), tuple(conds))
    return _narrowed(reduced, value, kind)


def _clause(ctx: Ctx, clause: ast.For) -> typed.Clause | None:
    target = domains.one_target(ctx, clause.targets, "a `for` in a comprehension")
    made = domains.check_domain(ctx, clause.domain, "for")
    if made is None or target is None:
        for name in clause.targets:
            domains.poison(ctx, name)
        return None
    index = domains.bind(ctx, target, "range", made)
    if index is None:
        return None
    assert index.var.axis is not None
    ctx.axes |= {index.var.axis}
    return typed.Clause(index.var, made.domain)


def _over(ctx: Ctx, node: ast.Call, kind: str, over: ast.Expr) -> typed.Expr:
    value = ctx.expr(node.args[0])
    names = over.items if isinstance(over, ast.TupleExpr) else (over,)
    if is_error(value) or not _gives_one_place(ctx, node.span, len(names), kind):
        return error(node.span)
    out = value
    for name in names:
        axis = axis_named(ctx, name, value, f"reduce with a variable of its own: `{kind}(... for k in K)`")
        if axis is None:
            return error(node.span)
        ready = _operand(ctx, out, kind)
        if is_error(ready):
            return error(node.span)
        ty = typed.ValueType(_result(kind, ready.type.dtype), ready.type.axes - {axis})
        out = _narrowed(typed.ReduceOver(node.span, ty, kind, ready, axis), out, kind)
    return out


def axis_named(ctx: Ctx, node: ast.Expr, value: typed.Expr, instead: str) -> typed.ValueAxis | None:
    """The axis that `over=` names, if the value has it. instead: what to do where it names one of the grid."""
    entity = ctx.find(node.id) if isinstance(node, ast.Name) else None
    axis: typed.ValueAxis | None = None
    if isinstance(entity, Index):
        axis = entity.var.axis
        if axis is None:
            what = "a variable of the grid" if entity.var.kind == "grid" else "a loop variable"
            ctx.diags.error(
                E0316, node.span, f"`{entity.name}` is {what}: in this place it is one number",
                also=[(entity.span, "bound here")], help=instead,
            )  # fmt: skip
            return None
    else:
        axis = subscripts.axis_of_size(ctx, node)
    if axis is not None and axis in value.type.axes:
        return axis
    if axis is not None and any(a.nth[1] > 1 and a.size == axis.size for a in value.type.axes):
        ctx.diags.error(
            E0316, node.span, f"the value has several axes of size `{axis.name}`", also=[(value.span, "they are told apart "
            "by their place")], help="bind an index variable for each: `x[i, j] for j in N`",
        )  # fmt: skip
        return None
    names = ", ".join(f"`{n}`" for n in sorted(a.name for a in value.type.axes))
    ctx.diags.error(
        E0316, node.span, f"the value does not have the axis `{node.span.text}`",
        also=[(value.span, f"this has {names}" if names else "this is one number")],
        help=f"an axis is named without quotes: `over={node.value}`" if isinstance(node, ast.String) else (),
    )  # fmt: skip
    return None


def _operand(ctx: Ctx, x: typed.Expr, kind: str) -> typed.Expr:
    """The value in the type that the reduction is done in."""
    soft = isinstance(x, Literal)
    x = settle(x)
    dtype = x.type.dtype
    if kind in ("any", "all"):
        if dtype.is_bool:
            return x
        ctx.diags.error(E0301, x.span, f"`{kind}` takes bools, and this is {dtype}", help=f"write `{x.span.text} != 0`")
        return error(x.span)
    if dtype.is_bool:
        if kind in ("sum", "mean"):
            return cast(x, I64 if kind == "sum" else F64)
        instead = {"max": "use `any`", "min": "use `all`", "prod": "use `all`"}
        help = instead.get(kind, f"convert, and the first of equals is found: `{kind}(i32({x.span.text}) ...)`")
        ctx.diags.error(E0301, x.span, f"`{kind}` takes numbers, and this is bool", help=help)
        return error(x.span)
    if structs.refuse_struct(ctx, f"`{kind}`", x):
        return error(x.span)
    if not (dtype.is_int or dtype.is_float):
        ctx.diags.error(E0301, x.span, f"`{kind}` does not take {dtype}")
        return error(x.span)
    if kind == "mean" and dtype.is_int:
        if soft or numbers.holds(F64, dtype):
            return cast(x, F64)
        ctx.diags.error(E0301, x.span, f"the mean of {dtype} has no exact type", help=f"write `f64({x.span.text})`")
        return error(x.span)
    return cast(x, numbers.compute_type(dtype))


def _result(kind: str, dtype: DType) -> DType:
    return I64 if kind in ("argmax", "argmin") else dtype


def _narrowed(reduced: typed.Expr, value: typed.Expr, kind: str) -> typed.Expr:
    """max and min choose, so they keep a narrow type; of nothing they give the least value of *that* type."""
    dtype = value.type.dtype
    if kind not in ("max", "min") or reduced.type.dtype == dtype or isinstance(value, Literal):
        return reduced
    if dtype.is_int:
        other, limit = ("max", dtype.min_int) if kind == "max" else ("min", dtype.max_int)
        bound = const(reduced.span, limit, reduced.type.dtype)
        reduced = typed.Binary(reduced.span, reduced.type, other, reduced, bound)
    return cast(reduced, dtype)
