"""Sizes as values of tasks: ``a.shape[0]``, ``t.rows``, ``m, n = a.shape`` (LANGUAGE 21).

Takes an attribute or a subscript of one; gives sizes as i64 values, of an array its own, of blocks how many there are.
Kernels have dimensions for that.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0307, E0311, E0315
from lem.source import Span
from lem.syntax import ast
from lem.types import calls, subscripts, typed
from lem.types.context import Ctx
from lem.types.convert import Literal, error, is_error
from lem.types.scope import Array, Blocks
from lem_runtime.abi.dtypes import I64

I64_TYPE = typed.ValueType(I64)
NAMES = ("shape", "rows", "cols")


def check_subscript(ctx: Ctx, node: ast.Subscript) -> typed.Expr:
    """``a.shape[0]``, or an element."""
    if not is_shape(ctx, node.value):
        return subscripts.check_subscript(ctx, node)
    assert isinstance(node.value, ast.Attribute)
    sizes = sizes_of(ctx, node.value)
    if sizes is None:
        return error(node.span)
    which = ctx.expr(node.items[0]) if len(node.items) == 1 and not isinstance(node.items[0], ast.Slice) else None
    value = which.value if isinstance(which, Literal) else None
    if not isinstance(value, int):
        if which is None or not is_error(which):
            ctx.diags.error(E0307, node.span, "an axis of a shape is picked by a literal", help="write `.shape[0]`")
        return error(node.span)
    if not 0 <= value < len(sizes):
        n = len(sizes)
        ctx.diags.error(E0311, node.span, f"there {'is 1 axis' if n == 1 else f'are {n} axes'}, counted from 0")
        return error(node.span)
    return sizes[value]


def is_shape(ctx: Ctx, node: ast.Expr) -> bool:
    return isinstance(node, ast.Attribute) and node.name == "shape" and _has_sizes(ctx, node)


def _has_sizes(ctx: Ctx, node: ast.Attribute) -> bool:
    """Whether an attribute asks an array or blocks for sizes, which only tasks do."""
    if ctx.kind in ("kernel", "fn") or node.name not in NAMES or not isinstance(node.value, ast.Name):
        return False
    return isinstance(ctx.find(node.value.id), Array | Blocks)


def check_attribute(ctx: Ctx, node: ast.Attribute) -> typed.Expr:
    """``t.rows`` and ``t.cols`` of blocks over two axes, or an attribute of something else."""
    if not _has_sizes(ctx, node):
        return calls.check_attribute(ctx, node)
    sizes = sizes_of(ctx, node)
    if sizes is None:
        return error(node.span)
    if node.name == "shape":
        ctx.diags.error(E0315, node.span, "a shape is one number per axis", help=f"pick one: `{node.span.text}[0]`")
        return error(node.span)
    if len(sizes) != 2:
        ctx.diags.error(E0315, node.span, f"`.{node.name}` counts the blocks of two axes, and here are {len(sizes)}",
                        help=f"write `{node.value.span.text}.shape[0]`")  # fmt: skip
        return error(node.span)
    return sizes[0 if node.name == "rows" else 1]


def sizes_of(ctx: Ctx, node: ast.Attribute) -> list[typed.Expr] | None:
    """The numbers of a shape; None when reported."""
    entity = ctx.find(node.value.id) if isinstance(node.value, ast.Name) else None
    if isinstance(entity, Blocks):
        return [typed.LocalRef(node.span, I64_TYPE, count.var) for count in entity.counts]
    array = subscripts.array_named(ctx, node.value)
    if array is None:
        return None
    if node.name != "shape":
        ctx.diags.error(
            E0315, node.span, f"`.{node.name}` counts blocks, and `{array.name}` is an array",
            help=f"write `{array.name}.shape[{0 if node.name == 'rows' else 1}]`",
        )  # fmt: skip
        return None
    return sizes_of_array(node.span, array)


def sizes_of_array(span: Span, array: Array) -> list[typed.Expr]:
    return [typed.ArraySize(span, I64_TYPE, array.var, n) for n in range(len(array.var.shape))]
