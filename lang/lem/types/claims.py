"""``unique(idx)[i]``: the claim that all elements of an index array differ (LANGUAGE 9).

Takes the claim where it is written; gives the element as a value that the race finder knows to differ where the
subscripts do, and the statements that test the claim before the grid runs.

A claim is about places: it is tested for each size of axis that the elements are used on. Elements outside of such an axis
name no place; they fault where they are used.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0301, E0307, E0411
from lem.syntax import ast
from lem.types import integers, typed
from lem.types.context import Claim, Ctx, Grid
from lem.types.convert import error
from lem.types.linear import Lin
from lem.types.races import SubForm, UniqueOf
from lem.types.scope import Array
from lem_runtime.abi.dtypes import BOOL


def is_claim(node: ast.Expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "unique"


def refuse_bare(ctx: Ctx, node: ast.Call) -> typed.Expr:
    """``unique(idx)`` without a bracket after it."""
    ctx.diags.error(
        E0411, node.span, "`unique` says something of the elements that stand in its brackets",
        help=f"write `{node.span.text}[i]`",
    )  # fmt: skip
    return error(node.span)


def named_array(ctx: Ctx, call: ast.Call) -> ast.Expr | None:
    """What ``unique(idx)`` speaks of; None, reported, where it cannot stand."""
    if len(call.args) != 1 or call.keywords:
        ctx.diags.error(E0307, call.span, "`unique` takes one array of indices", help="write `unique(idx)[i]`")
        return None
    if ctx.grid is None:
        where = "in an fn" if ctx.kind == "fn" else "outside of a grid"
        ctx.diags.error(
            E0411, call.span, f"the elements of a grid are said to differ, and this stands {where}",
            help=f"write `{call.args[0].span.text}[...]`",
        )  # fmt: skip
        return None
    return call.args[0]


def is_index(ctx: Ctx, node: ast.Expr, array: Array) -> bool:
    if array.var.dtype.is_int:
        return True
    ctx.diags.error(
        E0301, node.span, f"`unique` takes an array of integers, and `{array.name}` is {array.var.dtype}",
        also=[(array.span, "declared here")],
    )  # fmt: skip
    return False


def note(ctx: Ctx, call: ast.Call, loaded: typed.Expr, forms: tuple[SubForm, ...]) -> None:
    """`loaded` is an element that the claim speaks of; `forms`: its subscripts."""
    subs = tuple(f for f in forms if isinstance(f, Lin))
    if not isinstance(loaded, typed.Load) or len(subs) < len(forms):
        return
    element = integers.unknown(ctx, loaded.span.text, loaded.type.dtype)
    assert element.only_sym is not None
    ctx.elements[loaded] = element
    ctx.claims[element.only_sym] = Claim(loaded.array, subs, call.span)


def as_subscript(ctx: Ctx, array: Array, axis: int, form: Lin | None) -> SubForm:
    """What the race finder is told of a subscript; where it is an element of a claim, that claim is to be tested for this
    axis before the grid."""
    sym = form.only_sym if form is not None else None
    claim = ctx.claims.get(sym) if sym is not None else None
    if claim is None:
        return form
    assert ctx.grid is not None
    key = (claim.array, array.var.shape[axis] if array.var.shape[axis] is not None else (array.var, axis))
    ctx.grid.claims.setdefault(key, typed.CheckUnique(claim.span, claim.array, array.var, axis))
    return UniqueOf(claim.array, claim.subs)


def tests_before(ctx: Ctx, grid: Grid) -> list[typed.Stmt]:
    """The statements that test the claims of a grid; once in a call for an array that nothing in it can change."""
    out: list[typed.Stmt] = []
    for key, test in grid.claims.items():
        changed = next((a for a in grid.accesses if a.array is test.index and a.kind != "read"), None)
        if changed is not None:
            ctx.diags.error(
                E0411, test.span, f"the grid itself changes `{test.index.name}`, and the claim is tested before it",
                also=[(changed.span, f"`{test.index.name}` is changed here")],
                help="change it in a grid of its own",
            )  # fmt: skip
        elif test.index.effect != "read":
            out.append(test)
        else:
            flag = ctx.tested.setdefault(key, typed.LocalVar(f"{test.index.name}.differs", typed.ValueType(BOOL), test.span))
            known = typed.LocalRef(test.span, flag.type, flag)
            noted = typed.SetLocal(test.span, flag, typed.Const(test.span, flag.type, True))
            out.append(typed.If(test.span, known, (), (test, noted)))
    return out


def nothing_tested(ctx: Ctx) -> list[typed.Stmt]:
    """What stands at the start of a function: none of its claims was tested yet."""
    return [typed.SetLocal(flag.span, flag, typed.Const(flag.span, flag.type, False)) for flag in ctx.tested.values()]
