"""Types as written: ``f32``, ``T``, ``i64[M, 2 * N]``; and sizes as data.

Takes :class:`ast.TypeExpr` and size expressions; gives dtypes and :data:`Size` values, or reports E0305.
"""

from __future__ import annotations

from collections.abc import Callable

from lem.diagnostics.codes import E0305, E0331
from lem.syntax import ast
from lem.types import constants, numbers, structs, typed
from lem.types.context import Ctx
from lem.types.scope import Dim, ScalarParam, TypeName
from lem_runtime.abi.dtypes import DType
from lem_runtime.abi.signature import LAYOUTS
from lem_runtime.abi.sizes import Size

_SIZE_OPS = {"+", "-", "*", "//", "%"}


def dtype_of(ctx: Ctx, node: ast.TypeExpr) -> DType | None:
    """The element type that a type names; None when reported."""
    entity = ctx.find(node.name)
    if isinstance(entity, TypeName):
        dtype: DType | None = entity.dtype
    else:
        dtype = structs.type_named(ctx.session, ctx.module, node.name)
    if dtype is None:
        structs.unknown_type(ctx, ctx.module, node)
        return None
    if dtype is numbers.ERROR:
        return None
    if dtype.kind == "quant":
        ctx.not_yet("quantised arrays", node.span)
        return None
    return dtype if _check_suffixes(ctx, node, dtype) else None


def layout_of(node: ast.TypeExpr) -> str:
    """The layout that a checked type names, or ""."""
    return node.suffixes[0].name if node.suffixes else ""


def _check_suffixes(ctx: Ctx, node: ast.TypeExpr, dtype: DType) -> bool:
    """Report suffixes that are no layout, or not of such a type."""
    for n, suffix in enumerate(node.suffixes):
        if suffix.name not in LAYOUTS:
            _unknown_suffix(ctx, suffix)
        elif suffix.args:
            ctx.diags.error(E0331, suffix.span, f"`.{suffix.name}` takes no arguments")
        elif node.sizes is None:
            ctx.diags.error(E0331, suffix.span, "a layout belongs to an array, and this is one value")
        elif suffix.name in ("aos", "soa") and not isinstance(dtype, typed.StructType):
            ctx.diags.error(
                E0331, suffix.span, f"`.{suffix.name}` says how fields of structs lie, and this is {dtype}",
                help="layouts of numbers are `.row` and `.col`",
            )  # fmt: skip
        elif n:
            ctx.diags.error(E0331, suffix.span, "an array has one layout", also=[(node.suffixes[0].span, "given here")])
        else:
            continue
        return False
    return True


def _unknown_suffix(ctx: Ctx, suffix: ast.TypeSuffix) -> None:
    help = "layouts are `.row` and `.col`, of structs also `.soa` and `.aos`"
    ctx.diags.error(E0305, suffix.span, f"`.{suffix.name}` is no layout", help=help)


def size_of(ctx: Ctx, node: ast.Expr) -> Size | None:
    """A size over dimensions and ``int`` parameters as data; None where it is anything else (nothing is reported)."""
    return size_over(node, lambda name: _named_size(ctx, name))


def size_over(node: ast.Expr, named: Callable[[ast.Name], Size | None]) -> Size | None:
    """A size over names that `named` knows."""
    match node:
        case ast.Number(value=int(value)):
            return value
        case ast.Name():
            return named(node)
        case ast.Unary(op="-"):
            x = size_over(node.operand, named)
            return None if x is None else -x if isinstance(x, int) else ("-", 0, x)
        case ast.Binary() if node.op in _SIZE_OPS:
            a, b = size_over(node.left, named), size_over(node.right, named)
            return None if a is None or b is None else _folded(node.op, a, b)
        case ast.Call(func=ast.Name(id="min" | "max" as op), args=(left, right)):
            a, b = size_over(left, named), size_over(right, named)
            return None if a is None or b is None else (op, a, b)
    return None


def _folded(op: str, a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int) and not (op in ("//", "%") and b == 0):
        return {"+": a + b, "-": a - b, "*": a * b}[op] if op in "+-*" else a // b if op == "//" else a % b
    return (op, a, b)


def _named_size(ctx: Ctx, node: ast.Name) -> Size | None:
    entity = ctx.find(node.id)
    if isinstance(entity, Dim):
        return entity.size
    if isinstance(entity, ScalarParam) and entity.dtype.is_int:
        return entity.name
    if entity is None:
        found = ctx.module.find(node.id)
        if found is not None and found.kind == "constant":
            value = constants.value_of(ctx.session, found)
            return value if isinstance(value, int) and not isinstance(value, bool) else None
    return None


def condition_of(ctx: Ctx, node: ast.Expr) -> Size | None:
    """A condition over sizes (a ``where`` clause) as data; None where it is anything else."""
    match node:
        case ast.Logic():
            parts = [condition_of(ctx, x) for x in node.operands]
            out = parts[0]
            for part in parts[1:]:
                out = None if out is None or part is None else (node.op, out, part)
            return out
        case ast.Unary(op="not"):
            x = condition_of(ctx, node.operand)
            return None if x is None else ("not", x)
        case ast.Compare():
            sides = [size_of(ctx, x) for x in (node.left, *node.rights)]
            pairs: list[Size] = []
            for op, a, b in zip(node.ops, sides, sides[1:], strict=False):
                if a is None or b is None or op not in ("==", "!=", "<", "<=", ">", ">="):
                    return None
                pairs.append((op, a, b))
            both = pairs[0]
            for pair in pairs[1:]:
                both = ("and", both, pair)
            return both
    return None
