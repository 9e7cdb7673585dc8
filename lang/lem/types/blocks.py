"""Arrays cut into blocks: ``t = blocks(a, n0, n1)``, ``t[i, j]``, ``t.shape`` (LANGUAGE 21).

Takes the call; gives a :class:`Blocks` entity, whose block sizes and counts are locals with a value of their own, so that
what is proven of a count (``for k in range(t.rows)``) holds of every block. A block is a view, ragged at the end.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0205, E0306, E0307, E0315, E0320, E0323
from lem.source import Span
from lem.syntax import ast
from lem.types import expressions, integers, typed, views
from lem.types.context import Ctx
from lem.types.convert import const, error, is_error
from lem.types.linear import Lin
from lem.types.prove import classify_index
from lem.types.scope import Array, Blocks, Broken, Local, Stretch
from lem_runtime.abi.dtypes import BOOL, I64

I64_TYPE = typed.ValueType(I64)


def is_blocks(ctx: Ctx, node: ast.Expr) -> bool:
    """Whether an expression is a call of the builtin `blocks`."""
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "blocks"
    return named and ctx.find("blocks") is None and ctx.module.own.get("blocks") is None


def refuse(ctx: Ctx, node: ast.Call) -> typed.Expr:
    """Blocks where a value is expected."""
    ctx.diags.error(
        E0315, node.span, "the blocks of an array are no value",
        help=f"give them a name: `t = {node.span.text}`, then `t[i, j]` is one of them",
    )  # fmt: skip
    return error(node.span)


def check_blocks(ctx: Ctx, array: Array, node: ast.Call, target: ast.Name, out: list[typed.Stmt]) -> list[typed.Stmt]:
    """``t = blocks(array, n0, n1)``: one size per axis."""
    made = _cut(ctx, array, node, target, out)
    taken = ctx.find(target.id)
    if taken is not None and not isinstance(taken, Broken):
        ctx.diags.error(
            E0205, target.span, f"`{target.id}` has another meaning here", also=[(taken.span, "declared here")],
            help="take another name for the blocks",
        )  # fmt: skip
        return []
    ctx.scopes.add(made or Broken(target.id, target.span))
    return out if made is not None else []


def _cut(ctx: Ctx, array: Array, node: ast.Call, target: ast.Name, out: list[typed.Stmt]) -> Blocks | None:
    sizes = [expressions.check_int(ctx, a, "the size of a block") for a in node.args[1:]]
    if is_error(*sizes):
        return None
    rank = len(array.var.shape)
    if len(sizes) != rank:
        ctx.diags.error(
            E0307, node.span, f"`{array.name}` has {rank} {'axis' if rank == 1 else 'axes'}, and {len(sizes)} "
            f"{'size is' if len(sizes) == 1 else 'sizes are'} given", also=[(array.span, "declared here")],
            help=f"write `blocks({array.name}, {', '.join('n' + str(k) for k in range(rank))})`",
        )  # fmt: skip
        return None
    axes = [_axis(ctx, array, axis, size, target, out) for axis, size in enumerate(sizes)]
    made = [a for a in axes if a is not None]
    if len(made) < rank:
        return None
    widths, asked, counts = zip(*made, strict=True)
    return Blocks(target.id, target.span, array, widths, asked, counts)


def _axis(
    ctx: Ctx, array: Array, axis: int, size: typed.Expr, target: ast.Name, out: list[typed.Stmt]
) -> tuple[Local, Lin | None, Local] | None:
    """The size of a block along one axis, no more than the axis has; what was asked for; how many blocks there are."""
    span = size.span
    given = integers.linear(ctx, size)
    if given is not None and ctx.facts.prove_le(given, 0):
        ctx.diags.error(E0323, span, "a block has at least 1 element")
        return None
    if given is None or not ctx.facts.prove_le(1, given):
        ok = typed.Compare(span, typed.ValueType(BOOL), "ge", size, const(span, 1, I64))
        out.append(typed.Require(span, ok, "E0615", "a block would have size {0}", (size,)))
    # No larger than the axis: then no sum of sizes can pass the largest integer.
    whole = typed.ArraySize(span, I64_TYPE, array.var, axis)
    at_least_1 = _op(span, "max", whole, const(span, 1, I64))
    of_axis = array.sizes[axis]
    width = _local(ctx, f"{target.id}.size{axis}", span, None, out, _op(span, "min", size, at_least_1))
    up = _op(span, "add", whole, _op(span, "sub", _ref(width), const(span, 1, I64)))
    n = None if given is None or of_axis is None else _count(ctx, of_axis, given)
    count = _local(ctx, f"{target.id}.count{axis}", span, n, out, _op(span, "floordiv", up, _ref(width)))
    return width, given, count


def _count(ctx: Ctx, of_axis: Lin, asked: Lin) -> Lin:
    """How many blocks an axis has: the same form for equal cuts, whatever array was cut."""
    exact = ctx.symbols.div(of_axis + (asked - 1), asked)
    return exact if exact is not None else _shared(ctx, ("count", of_axis, asked), "number of blocks", 0)


def _shared(ctx: Ctx, key: tuple[object, ...], name: str, least: int) -> Lin:
    """One unknown for what is the same number wherever it is asked for."""
    found = ctx.block_forms.get(key)
    if found is None:
        found = ctx.block_forms[key] = ctx.symbols.unknown(name, least).lin
    return found


def _local(ctx: Ctx, name: str, span: Span, value: Lin | None, out: list[typed.Stmt], expr: typed.Expr) -> Local:
    """A hidden local that keeps its value."""
    var = typed.LocalVar(name, I64_TYPE, span)
    form = value if value is not None else ctx.symbols.unknown(name, 0).lin
    local = Local(var, id(var), None, form, ctx.axes)
    ctx.infos[var] = local
    ctx.scopes.add(local)
    ctx.assign(local)
    out.append(typed.SetLocal(span, var, expr))
    return local


def _ref(local: Local) -> typed.Expr:
    return typed.LocalRef(local.span, I64_TYPE, local.var)


def _op(span: Span, op: str, x: typed.Expr, y: typed.Expr) -> typed.Expr:
    return typed.Binary(span, I64_TYPE, op, x, y)


# ---------------------------------------------------------------- using them
def check_block(ctx: Ctx, node: ast.Subscript, cut: Blocks, out: list[typed.Stmt]) -> Array | None:
    """``t[i, j]``: a view; the last ones along an axis may be smaller."""
    rank = len(cut.counts)
    if len(node.items) != rank or any(isinstance(i, ast.Slice) for i in node.items):
        ctx.diags.error(
            E0306, node.span, f"`{cut.name}` has {rank} {'axis' if rank == 1 else 'axes'} of blocks, and one number picks "
            "each", also=[(cut.span, f"`{cut.name}` is made here")],
        )  # fmt: skip
        return None
    parts: list[views.Part] = []
    numbers: list[Lin | None] = []
    for axis, item in enumerate(node.items):
        index = expressions.check_int(ctx, item, "the number of a block")
        if is_error(index) or not _inside(ctx, cut, axis, item, index, out):
            return None
        number = integers.linear(ctx, index)
        numbers.append(number)
        parts.append(_part(ctx, cut, axis, item.span, index, number))
    array = views.make_view(ctx, cut.array, parts, node, out)
    array.block = cut, tuple(numbers)
    return array


def _inside(ctx: Ctx, cut: Blocks, axis: int, item: ast.Expr, index: typed.Expr, out: list[typed.Stmt]) -> bool:
    """Whether there is such a block: proven, tested where it runs, or wrong for every size."""
    count = cut.counts[axis]
    verdict = classify_index(ctx.facts, integers.linear(ctx, index), count.form)
    if verdict.kind == "error":
        side = "is below 0" if verdict.side == "low" else f"is beyond the last block of axis {axis}"
        example = f": {verdict.example}" if verdict.example else ""
        ctx.diags.error(
            E0320, item.span, f"`{item.span.text}` {side}{example}", also=[(cut.span, f"`{cut.name}` is made here")],
            help=f"there are `{cut.name}.shape[{axis}]` blocks",
        )  # fmt: skip
        return False
    if verdict.kind != "proven":
        bools = typed.ValueType(BOOL)
        low = typed.Compare(item.span, bools, "ge", index, const(item.span, 0, I64))
        high = typed.Compare(item.span, bools, "lt", index, _ref(count))
        text = f"block {{0}} is outside axis {axis} of `{cut.name}`, which has {{1}}"
        inside = typed.Logic(item.span, bools, "and", low, high)
        out.append(typed.Require(item.span, inside, "E0601", text, (index, _ref(count))))
    return True


def _part(ctx: Ctx, cut: Blocks, axis: int, span: Span, index: typed.Expr, number: Lin | None) -> views.Part:
    """The places of one axis: from number * size on, up to the end of the block or the axis."""
    width = cut.sizes[axis]
    whole = typed.ArraySize(span, I64_TYPE, cut.array.var, axis)
    lo = _op(span, "mul", index, _ref(width))
    hi = _op(span, "min", _op(span, "add", lo, _ref(width)), whole)
    # A block as large as the axis is the only one: the first place is the same, whichever size is used.
    asked = cut.asked[axis]
    first = None if number is None or asked is None else ctx.symbols.mul(number, asked)
    return typed.Cut(lo, hi, 1, span), Stretch(first, _length(ctx, cut, axis, number))


def _length(ctx: Ctx, cut: Blocks, axis: int, number: Lin | None) -> Lin | None:
    """How long a block is along an axis: the same form for the same block of equal cuts, whatever array was cut."""
    size, asked = cut.array.sizes[axis], cut.asked[axis]
    if number is None or size is None or asked is None:
        return None
    return _shared(ctx, ("length", size, asked, number), f"length of block {number}", 1)
