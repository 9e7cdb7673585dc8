"""Expressions: literals, names, operators, comparisons, conditional expressions.

Takes AST expressions and a :class:`Ctx`; gives typed expressions, or reports (LANGUAGE 2, 23 to 27). Calls stand in
``calls.py``, subscripts in ``subscripts.py``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from lem.diagnostics.codes import E0104, E0206, E0207, E0301, E0303, E0304, E0308, E0315, E0317, E0326
from lem.names import Definition, habits, unknown_name
from lem.source import Span
from lem.syntax import ast
from lem.types import constants, integers, numbers, typed
from lem.types.context import Ctx
from lem.types.convert import (
    CONSTANTS,
    Literal,
    adapt,
    adapts,
    agree,
    cast,
    choose,
    const,
    error,
    is_error,
    literal,
    loosen,
    settle,
    with_axes,
)  # fmt: skip
from lem.types.scope import Array, Broken, Dim, Index, Local, ScalarParam, TypeName
from lem.types.targets import named_targets
from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.sizes import Size

_ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floordiv", "%": "mod"}
_BITWISE = {"&": "and", "|": "or", "^": "xor"}
_SHIFTS = {"<<": "shl", ">>": "shr"}
_COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_UNARY: dict[str, Callable[[Any], Any]] = {"-": operator.neg, "+": operator.pos, "~": operator.invert}
_FOLD: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
}  # fmt: skip


# ---------------------------------------------------------------- leaves
def check_number(ctx: Ctx, node: ast.Number) -> typed.Expr:
    if isinstance(node.value, int) and node.value >= 1 << 64:
        ctx.diags.error(E0303, node.span, f"`{node.text}` is larger than every integer type")
        return error(node.span)
    return literal(node.span, node.value)


def check_bool(ctx: Ctx, node: ast.Bool) -> typed.Expr:
    return const(node.span, node.value, BOOL)


def check_error_expr(ctx: Ctx, node: ast.ErrorExpr) -> typed.Expr:
    return error(node.span)


def refuse_value(ctx: Ctx, node: ast.Expr) -> typed.Expr:
    """Text, lists, tuples and slices are no values of an element."""
    what = {
        ast.String: "text", ast.FString: "text", ast.ListExpr: "a list", ast.TupleExpr: "several values",
        ast.Slice: "a range", ast.FormatField: "text", ast.Comprehension: "a comprehension",
    }  # fmt: skip
    code = E0104 if isinstance(node, ast.ListExpr) else E0315
    help: str | tuple[()] = ()
    if isinstance(node, ast.ListExpr):
        is_test = ctx.kind == "test"
        help = "an array has its type: `i64([1, 2])`" if is_test else "an element's own array is declared: `v: f32[3] = 0`"
    ctx.diags.error(code, node.span, f"expected one value, found {what.get(type(node), 'this')}", help=help)
    return error(node.span)


def check_name(ctx: Ctx, node: ast.Name) -> typed.Expr:
    entity = ctx.find(node.id)
    match entity:
        case Broken():
            return error(node.span)
        case Dim():
            return loosen_dim(dim_expr(ctx, node.span, entity))
        case ScalarParam():
            return typed.ScalarRef(node.span, typed.ValueType(entity.dtype), entity.name)
        case Index():
            axes = frozenset({entity.var.axis}) if entity.var.axis else frozenset()
            return typed.IndexRef(node.span, typed.ValueType(I64, axes), entity.var)
        case Local():
            return read_local(ctx, node.span, entity)
        case Array():
            if not entity.var.shape and (entity.var.effect == "result" or entity.var.kind == "temp"):
                return read_result(ctx, node.span, entity)
            _refuse_whole(ctx, node, entity)
            return error(node.span)
        case TypeName():
            ctx.diags.error(E0315, node.span, f"`{node.id}` is a type", help=f"convert with `{node.id}(...)`")
            return error(node.span)
    return _check_module_name(ctx, node)


def _check_module_name(ctx: Ctx, node: ast.Name) -> typed.Expr:
    near = ctx.module.own.get(node.id) or ctx.module.imported.get(node.id)
    if near is None and node.id in CONSTANTS:
        return literal(node.span, CONSTANTS[node.id])
    if near is None and (node.id in ctx.session.handlers.builtins or numbers.dtype_named(node.id)):
        ctx.diags.error(E0315, node.span, f"`{node.id}` is a function", help=f"call it: `{node.id}(...)`")
        return error(node.span)
    if node.id in ctx.scopes.ended:
        return _out_of_scope(ctx, node)
    found = near or ctx.module.find(node.id)
    if found is None:
        report_unknown(ctx, node)
        return error(node.span)
    return value_of_definition(ctx, node.span, found)


def is_known(ctx: Ctx, name: str) -> bool:
    """Whether a name means anything here, now or in a scope that has ended."""
    handlers = ctx.session.handlers
    known = name in handlers.builtins or name in CONSTANTS or numbers.dtype_named(name) is not None
    return known or name in ctx.scopes.ended or ctx.find(name) is not None or ctx.module.find(name) is not None


def report_unknown(ctx: Ctx, node: ast.Name, otherwise: str = "") -> None:
    """E0201, once per name. `otherwise`: the help when no name is near."""
    near = {*ctx.scopes.names(), *ctx.session.handlers.builtins, *CONSTANTS}
    unknown_name(ctx.diags, ctx.module, node.span, node.id, near, otherwise)
    ctx.scopes.stack[0][node.id] = Broken(node.id, node.span)


def value_of_definition(ctx: Ctx, span: Span, found: Definition) -> typed.Expr:
    """A constant's value; other module-level names are no values."""
    if found.kind == "broken":
        return error(span)
    if found.original in CONSTANTS:
        return literal(span, CONSTANTS[found.original])
    if found.kind == "constant":
        value = constants.value_of(ctx.session, found)
        if value is None:
            return error(span)
        return const(span, value, BOOL) if isinstance(value, bool) else literal(span, value)
    what = found.kind
    if isinstance(found.node, ast.Function):
        what = found.node.kind
    ctx.diags.error(
        E0315, span, f"`{found.name}` is a {what}", help=f"call it: `{found.name}(...)`" if what in ("fn", "struct") else ()
    )
    return error(span)


def _out_of_scope(ctx: Ctx, node: ast.Name) -> typed.Expr:
    entity = ctx.scopes.ended[node.id]
    if isinstance(entity, Local) and entity.grid is ctx.grid:
        label = f"`{node.id}` ended with the loop that made it"
        help = f"give `{node.id}` a value before the loop"
    elif isinstance(entity, Local):
        label = f"`{node.id}` belongs to the elements of another grid"
        help = "store it in an array (a temporary, say), or compute it again"
    else:
        label = f"`{node.id}` ended with its loop"
        help = "use it inside the loop, or keep its value in a local"
    ctx.diags.error(E0207, node.span, label, also=[(entity.span, f"`{node.id}` is bound here")], help=help)
    ctx.scopes.stack[0][node.id] = Broken(node.id, node.span)
    return error(node.span)


def read_local(ctx: Ctx, span: Span, local: Local) -> typed.Expr:
    """The value of a local; E0206 where it may not have one."""
    if ctx.flow.live and local not in ctx.flow.assigned:
        ctx.diags.error(
            E0206, span, f"`{local.name}` has no value on every way to this place",
            also=[(local.span, f"`{local.name}` is assigned here")],
            help=f"give `{local.name}` a value before the branch or loop",
        )  # fmt: skip
        ctx.assign(local)  # said once
        return error(span)
    if local.var.type.dtype is numbers.ERROR or not _outlives_blocks(ctx, span, local):
        return error(span)
    ref = typed.LocalRef(span, local.var.type, local.var)
    if local.adapts:
        ctx.pending_reads = True
        return loosen(ref)
    return ref


def _outlives_blocks(ctx: Ctx, span: Span, local: Local) -> bool:
    """Report E0326 where a local is read that a `tiles` loop left with something of its last block only, or with the
    number of its blocks."""
    if local.counts is not None:
        ctx.diags.error(
            E0326, span, f"`{local.name}` depends on the number of blocks",
            also=[(local.counts, "each block of this loop changes something it is made of, whatever is in the block")],
            help=f"combine it with something of the block, for example {_combined(local, 'sum')}",
        )  # fmt: skip
        local.counts = None
        return False
    if local.overwritten is None:
        return True
    ctx.diags.error(
        E0326, span, f"`{local.name}` holds what the last block left",
        also=[(local.overwritten, "the blocks of this loop overwrite it")],
        help=f"combine the old value with the block, for example {_combined(local, 'max')}",
    )  # fmt: skip
    local.overwritten = None
    return False


def _combined(local: Local, how: str) -> str:
    """A local, or a field of it, combined with something of a block, for a message."""
    struct, name = local.var.type.dtype, local.name
    old = f"{name}.{struct.fields[0][0]}" if isinstance(struct, typed.StructType) else name
    new = f"max({old}, ...)" if how == "max" else f"{old} + sum(..., over=...)"
    if old != name:
        return f"`{name} = {struct}({new}, ...)`"
    return f"`{name} = {new}`" if how == "max" else f"`{name} += sum(..., over=...)`"


def read_result(ctx: Ctx, span: Span, array: Array) -> typed.Expr:
    """A scalar result read back: an array without axes."""
    if ctx.flow.live and array.var not in ctx.flow.assigned:
        ctx.diags.error(
            E0206, span, f"`{array.name}` has no value on every way to this place",
            help=f"assign `{array.name}` before it is read",
        )  # fmt: skip
        return error(span)
    return typed.Load(span, typed.ValueType(array.var.dtype), array.var, ())


def loosen_dim(e: typed.Expr) -> typed.Expr:
    """A size: it takes the type of what it meets."""
    if isinstance(e, typed.Const):
        return Literal(e.span, e.type, e.value)
    return loosen(e)


def dim_expr(ctx: Ctx, span: Span, dim: Dim) -> typed.Expr:
    """A dimension as an i64 value."""
    if dim.size is not None:
        return size_expr(ctx, span, dim.size)
    assert dim.of is not None
    return typed.ArraySize(span, typed.ValueType(I64), *dim.of)


def size_expr(ctx: Ctx, span: Span, size: Size) -> typed.Expr:
    """A size expression of the signature as an i64 value."""
    if isinstance(size, int):
        return const(span, size, I64)
    if isinstance(size, str):
        if size in ctx.dim_values:
            return typed.DimSize(span, typed.ValueType(I64), size)
        return cast(typed.ScalarRef(span, typed.ValueType(ctx.scalar_types.get(size, I64)), size), I64)
    x, y = size_expr(ctx, span, size[1]), size_expr(ctx, span, size[2])
    op = {"min": "min", "max": "max"}.get(size[0]) or _ARITHMETIC[size[0]]
    return typed.Binary(span, typed.ValueType(I64), op, x, y, check=op in ("floordiv", "mod") and not _is_positive(y))


def size_condition(ctx: Ctx, span: Span, cond: Size) -> typed.Expr:
    """A condition of the signature as a bool."""
    bools = typed.ValueType(BOOL)
    if not isinstance(cond, tuple):
        return const(span, bool(cond), BOOL)
    op = str(cond[0])
    if op == "not":
        return typed.Unary(span, bools, "not", size_condition(ctx, span, cond[1]))
    if op in ("and", "or"):
        return typed.Logic(span, bools, op, *(size_condition(ctx, span, c) for c in cond[1:]))
    return typed.Compare(span, bools, _COMPARISONS[op], size_expr(ctx, span, cond[1]), size_expr(ctx, span, cond[2]))


def _is_positive(e: typed.Expr) -> bool:
    return isinstance(e, typed.Const) and e.value > 0


def _refuse_whole(ctx: Ctx, node: ast.Name, array: Array) -> None:
    shape = array.var.shape
    whole, one = f"{node.id}[{', '.join(':' for _ in shape)}]", f"{node.id}[{some_indices(ctx, array)}]"
    if ctx.in_sequence and ctx.grid is None and shape and len(set(shape)) == len(shape):
        help = f"for all of them write `{whole}`"
    elif array.var.kind == "local" and all(isinstance(size, str) for size in shape) and len(set(shape)) == len(shape):
        help = f"write `{whole}` for all of its elements, `{one}` for one"
    else:
        help = f"write its element: `{one}`"
    ctx.diags.error(E0315, node.span, f"`{node.id}` is a whole array, and a value of one element is needed", help=help)


def some_indices(ctx: Ctx, array: Array) -> str:
    """Index variables that fit the array's axes, for a message."""
    out = []
    for axis, size in enumerate(array.var.shape):
        fit = [i.name for i in ctx.grid.indices if i.domain.dim == size] if ctx.grid else []
        taken = [f for f in fit if f not in out]
        out.append(taken[0] if taken else "ijkl"[axis % 4])
    return ", ".join(out)


# ---------------------------------------------------------------- operators
def check_unary(ctx: Ctx, node: ast.Unary) -> typed.Expr:
    if node.op == "not":
        x = check_condition(ctx, node.operand, "`not`")
        return typed.Unary(node.span, x.type, "not", x) if not is_error(x) else x
    x = ctx.expr(node.operand)
    if is_error(x):
        return error(node.span)
    if isinstance(x, Literal):
        return _fold_unary(ctx, node, x)
    dtype = x.type.dtype
    if node.op == "~":
        if not (dtype.is_int or dtype.is_bool):
            return _no_operator(ctx, node.span, "~", x)
        wide = cast(x, numbers.compute_type(dtype))
        return loosen(typed.Unary(node.span, wide.type, "not", wide), x)
    if not (dtype.is_int or dtype.is_float):
        return _no_operator(ctx, node.span, node.op, x)
    wide = cast(x, numbers.compute_type(dtype))
    if node.op == "+":
        return loosen(wide, x)
    return loosen(typed.Unary(node.span, wide.type, "neg", wide), x)


def _fold_unary(ctx: Ctx, node: ast.Unary, x: Literal) -> typed.Expr:
    if node.op == "~" and isinstance(x.value, float):
        return _no_operator(ctx, node.span, "~", x)
    return literal(node.span, _UNARY[node.op](x.value))


def check_binary(ctx: Ctx, node: ast.Binary) -> typed.Expr:
    if node.op == "@":
        return refuse_product(ctx, node.span, node.op_span, node.left, node.right)
    if node.op in ("%", "+") and isinstance(node.left, ast.String):
        ctx.diags.error(E0315, node.left.span, "expected one value, found text", help=habits.name_help("str"))
        return error(node.span)
    a, b = ctx.expr(node.left), ctx.expr(node.right)
    return binary(ctx, node.span, node.op, node.op_span, a, b)


def refuse_product(ctx: Ctx, span: Span, op_span: Span, left: ast.Expr, right: ast.Expr) -> typed.Expr:
    """``a @ b``: said before the operands are looked at, which are whole arrays and no second mistake."""
    a, b = (left.id, right.id) if isinstance(left, ast.Name) and isinstance(right, ast.Name) else ("a", "b")
    ctx.diags.error(
        E0317, op_span, "`@` has no index variables to say which axis is summed",
        help=f"write the sum, per element of a grid: `sum({a}[i, k] * {b}[k, j] for k in K)`",
    )  # fmt: skip
    return error(span)


def binary(ctx: Ctx, span: Span, op: str, op_span: Span, a: typed.Expr, b: typed.Expr) -> typed.Expr:
    """``a op b`` for two checked operands."""
    if is_error(a, b):
        return error(span)
    if isinstance(a, Literal) and isinstance(b, Literal):
        folded = _fold(span, op, a, b)
        if folded is not None:
            return folded
    if op == "**":
        return ctx.session.handlers.power(ctx, span, a, b)
    if op in _ARITHMETIC:
        return arithmetic(ctx, span, op, op_span, a, b)
    return _bitwise(ctx, span, op, op_span, a, b)


def _fold(span: Span, op: str, a: Literal, b: Literal) -> typed.Expr | None:
    """The value of an operator on two literals; None where it has none (division by zero, `1 / 2`)."""
    x, y = a.value, b.value
    reals = isinstance(x, float) or isinstance(y, float)
    if op in "&|^" and reals:
        return None
    try:
        if op == "/":
            return literal(span, x / y) if reals else None
        if op == "**":
            value = x**y
        elif op in ("<<", ">>"):
            if reals or not 0 <= y < 64:
                return None
            value = int(x) << int(y) if op == "<<" else int(x) >> int(y)
        else:
            value = _FOLD[op](x, y)
    except (ZeroDivisionError, OverflowError):
        return None
    if isinstance(value, complex) or (isinstance(value, int) and not -(1 << 63) <= value < 1 << 64):
        return None
    return literal(span, value)


def arithmetic(ctx: Ctx, span: Span, op: str, op_span: Span, a: typed.Expr, b: typed.Expr) -> typed.Expr:
    """``+ - * / // %`` on two checked operands."""
    for x in (a, b):
        if not (x.type.dtype.is_int or x.type.dtype.is_float):
            return _no_operator(ctx, op_span, op, x)
    if op == "/" and a.type.dtype.is_int and b.type.dtype.is_int:
        return _int_division(ctx, span, op_span, a, b)
    both = agree(ctx.diags, op_span, a, b, f"`{op}`", wide=True)
    if both is None:
        return error(span)
    x, y, dtype = both
    check = op in ("//", "%") and dtype.is_int and not _is_nonzero(ctx, y)
    made = typed.Binary(span, with_axes(dtype, x, y), _ARITHMETIC[op], x, y, check)
    return loosen(made, a, b)


def _is_nonzero(ctx: Ctx, y: typed.Expr) -> bool:
    form = integers.linear(ctx, y)
    return form is not None and ctx.facts.prove_ne(form, 0)


def _int_division(ctx: Ctx, span: Span, op_span: Span, a: typed.Expr, b: typed.Expr) -> typed.Expr:
    ctx.diags.error(
        E0308, op_span, "both sides are integers",
        help=[f"to round down, write `{a.span.text} // {b.span.text}`",
              f"for a fraction, convert: `f32({a.span.text}) / {b.span.text}`"],
    )  # fmt: skip
    return error(span)


def _bitwise(ctx: Ctx, span: Span, op: str, op_span: Span, a: typed.Expr, b: typed.Expr) -> typed.Expr:
    shift = op in _SHIFTS
    for x in (a, b):
        if not (x.type.dtype.is_int or (x.type.dtype.is_bool and not shift)):
            return _no_operator(ctx, op_span, op, x)
    # A count says how far, and holds no value of the result: it keeps a type of its own.
    apart = shift and not adapts(a) and not adapts(b)
    both = _wide_sides(a, b) if apart else agree(ctx.diags, op_span, a, b, f"`{op}`", wide=True)
    if both is None:
        return error(span)
    x, y, dtype = both
    check = False
    if shift:
        count = integers.linear(ctx, y)
        check = count is None or not ctx.facts.prove_ge0(count)
        if isinstance(y, typed.Const) and y.value < 0:
            ctx.diags.error(E0317, y.span, "a shift cannot have a negative count", help="shift the other way")
            return error(span)
    made = typed.Binary(span, with_axes(dtype, x, y), (_SHIFTS if shift else _BITWISE)[op], x, y, check)
    return loosen(made, a, b)


def _wide_sides(a: typed.Expr, b: typed.Expr) -> tuple[typed.Expr, typed.Expr, DType]:
    dtype = numbers.compute_type(a.type.dtype)
    return cast(a, dtype), cast(b, numbers.compute_type(b.type.dtype)), dtype


def _no_operator(ctx: Ctx, span: Span, op: str, x: typed.Expr) -> typed.Expr:
    dtype: DType | str = x.type.dtype
    if isinstance(dtype, typed.StructType):
        help = f"take its fields, for example `{x.span.text}.{dtype.fields[0][0]}`, or write an fn that does it"
    elif dtype == BOOL and op not in "&|^~":
        help = "use `and`, `or`, `not`, or convert with `i32(...)`"
    elif op == "^" and isinstance(dtype, DType) and dtype.is_float:
        help = "a power is `x ** y`; for its bits take `bits(x, u32)`"
    elif op in ("&", "|", "^", "~", "<<", ">>"):
        help = "convert to an integer first, or take the bits with `bits(x, u32)`"
    else:
        help = ""
    ctx.diags.error(E0317, span, f"`{op}` does not take {dtype}", also=[(x.span, f"this is {dtype}")], help=help or ())
    return error(span)


# ---------------------------------------------------------------- conditions
def check_condition(ctx: Ctx, node: ast.Expr, who: str) -> typed.Expr:
    """A bool, for `who` ("`if`"); E0304 for anything else."""
    x = ctx.expr(node)
    if is_error(x) or x.type.dtype.is_bool:
        return x
    literal = x.value if isinstance(x, Literal) else None
    help = f"write `{literal != 0}`" if literal is not None else f"say what is compared: `{node.span.text} != 0`"
    if isinstance(x.type.dtype, typed.StructType):
        help = f"ask one of its fields: `{node.span.text}.{x.type.dtype.fields[0][0]}`"
    ctx.diags.error(E0304, node.span, f"{who} takes a bool, and this is {_type_text(x)}", help=help)
    return error(node.span)


def _type_text(x: typed.Expr) -> str:
    return "a number" if isinstance(x, Literal) else str(x.type.dtype)


def check_compare(ctx: Ctx, node: ast.Compare) -> typed.Expr:
    """A chain ``a < b <= c`` becomes ``a < b and b <= c``."""
    if node.ops[0] in ("is", "is not"):
        return _check_is(ctx, node)
    if node.ops[0] in ("in", "not in") and isinstance(node.rights[0], ast.TupleExpr):
        each = (" == ", " or ") if node.ops[0] == "in" else (" != ", " and ")
        some = each[1].join(f"{node.left.span.text}{each[0]}{item.span.text}" for item in node.rights[0].items[:3])
        ctx.diags.error(E0317, node.span, f"`{node.ops[0]}` is not an operator on numbers", help=f"write `{some}`")
        return error(node.span)
    operands = [ctx.expr(node.left), *(ctx.expr(r) for r in node.rights)]
    out: typed.Expr | None = None
    for op, a, b in zip(node.ops, operands, operands[1:], strict=False):
        one = _compare_two(ctx, node, op, a, b)
        if is_error(one):
            return one
        out = one if out is None else typed.Logic(node.span, with_axes(BOOL, out, one), "and", out, one)
    assert out is not None
    return out


def _compare_two(ctx: Ctx, node: ast.Compare, op: str, a: typed.Expr, b: typed.Expr) -> typed.Expr:
    if op not in _COMPARISONS:
        ctx.diags.error(E0317, node.span, f"`{op}` is not an operator on numbers", help="write `any(x == y[k] for k in K)`")
        return error(node.span)
    if is_error(a, b):
        return error(node.span)
    if any(isinstance(x.type.dtype, typed.StructType) for x in (a, b)):
        return _no_operator(ctx, node.span, op, a if isinstance(a.type.dtype, typed.StructType) else b)
    bools = a.type.dtype.is_bool, b.type.dtype.is_bool
    if any(bools) and not (all(bools) and op in ("==", "!=")):
        return _no_operator(ctx, node.span, op, a if bools[0] else b)
    span = a.span.to(b.span)
    both = agree(ctx.diags, span, a, b, f"`{op}`", wide=True)
    if both is None:
        return error(node.span)
    return typed.Compare(span, with_axes(BOOL, a, b), _COMPARISONS[op], both[0], both[1])


def _check_is(ctx: Ctx, node: ast.Compare) -> typed.Expr:
    """``T is f32``: known now. ``target is spu``: known where code is made, so both sides of a choice are checked."""
    left, right = node.left, node.rights[0]
    if isinstance(left, ast.Name) and left.id == "target" and ctx.find("target") is None and len(node.ops) == 1:
        meant = named_targets(ctx, right)
        if meant is None:
            return error(node.span)
        made = typed.TargetIs(node.span, typed.ValueType(BOOL), meant)
        return made if node.ops[0] == "is" else typed.Unary(node.span, made.type, "not", made)
    have = type_of_name(ctx, left)
    want = type_of_name(ctx, right)
    if have is None or want is None or len(node.ops) > 1:
        ctx.diags.error(
            E0317, node.span, "`is` compares types and targets: `T is f32`, `target is gpu`", help="compare values with `==`"
        )
        return error(node.span)
    return const(node.span, (have == want) == (node.ops[0] == "is"), BOOL)


def type_of_name(ctx: Ctx, node: ast.Expr) -> DType | None:
    """The dtype that a name in expression position stands for."""
    if not isinstance(node, ast.Name):
        return None
    entity = ctx.find(node.id)
    if isinstance(entity, TypeName):
        return entity.dtype
    return numbers.dtype_named(node.id) if entity is None else None


def check_logic(ctx: Ctx, node: ast.Logic) -> typed.Expr:
    """``and``, ``or``: what stands right is evaluated, and may rely on it, only where the left does not decide."""
    outer, mask = ctx.facts, ctx.mask
    out: typed.Expr | None = None
    failed = False
    for n, operand in enumerate(node.operands):
        with ctx.not_ahead() if n else nullcontext():
            x = check_condition(ctx, operand, f"`{node.op}`")
        if is_error(x):
            failed = True
            continue
        ctx.facts = integers.assume(ctx, ctx.facts, x, node.op == "and")
        ctx.mask |= x.type.axes
        if out is None:
            out = x
        else:
            out = _fold_logic(node, out, x)
    ctx.facts, ctx.mask = outer, mask
    return error(node.span) if failed or out is None else out


def _fold_logic(node: ast.Logic, x: typed.Expr, y: typed.Expr) -> typed.Expr:
    if isinstance(x, typed.Const):  # decided at compile time: `T is f32 and ...`
        return y if bool(x.value) == (node.op == "and") else x
    return typed.Logic(x.span.to(y.span), with_axes(BOOL, x, y), node.op, x, y)


def check_if_expr(ctx: Ctx, node: ast.IfExpr) -> typed.Expr:
    cond = check_condition(ctx, node.cond, "`if`")
    mask = ctx.mask
    ctx.branches += 1
    ctx.mask |= cond.type.axes
    with ctx.assuming(integers.assume(ctx, ctx.facts, cond)), ctx.not_ahead():
        then = ctx.expr(node.then)
    with ctx.assuming(integers.assume(ctx, ctx.facts, cond, False)), ctx.not_ahead():
        orelse = ctx.expr(node.orelse)
    ctx.branches -= 1
    ctx.mask = mask
    if is_error(cond, then, orelse):
        return error(node.span)
    both = choose(ctx.diags, node.span, then, orelse)
    if both is None:
        return error(node.span)
    made = typed.IfExpr(node.span, with_axes(both[2], cond, then, orelse), cond, both[0], both[1])
    return loosen(made, then, orelse)


def check_int(ctx: Ctx, node: ast.Expr, who: str) -> typed.Expr:
    """An integer as i64, for `who` ("a subscript")."""
    return to_int(ctx, ctx.expr(node), who)


def to_int(ctx: Ctx, x: typed.Expr, who: str) -> typed.Expr:
    if is_error(x):
        return x
    dtype = x.type.dtype
    if dtype.is_int and (adapts(x) or numbers.holds(I64, dtype)):
        return settle(adapt(ctx.diags, x, I64)) if adapts(x) else cast(x, I64)
    found = "a float" if isinstance(x, Literal) else str(dtype)
    text = x.span.text
    help = (
        f"take its field: `{text}.{dtype.fields[0][0]}`"
        if isinstance(dtype, typed.StructType)
        else (f"convert it: `i64({text})`")
    )
    ctx.diags.error(E0301, x.span, f"{who} is an integer, and this is {found}", help=help)
    return error(x.span)
