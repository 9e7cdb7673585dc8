"""Subscripts: which place of an array is meant, and whether it is inside (LANGUAGE 1, 6, 8).

Takes ``x[i - 1, :]``; gives typed places (:class:`At`, :class:`Whole`) that are proven, covered by a condition of the
signature, or marked for a check where they run. Loads stand here; stores use :func:`check_place`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.diagnostics.codes import E0206, E0306, E0307, E0310, E0311, E0312, E0315, E0320, E0405
from lem.source import Span
from lem.syntax import ast
from lem.types import claims, expressions, integers, rebinding, type_exprs, typed
from lem.types.context import Ctx, Need, Touch
from lem.types.convert import NO_AXES, Literal, coerce, error, is_error
from lem.types.linear import ONE, Sym
from lem.types.numbers import ERROR
from lem.types.prove import Verdict, classify_index
from lem.types.races import WHOLE, Access, SubForm
from lem.types.scope import Array, Broken, Dim, Index, Local
from lem_runtime.abi import sizes
from lem_runtime.abi.records import dataclass

POLICIES = ("clamp", "wrap", "fill")


@dataclass(slots=True)
class Place:
    """A checked subscript list. `axes`: value axes of the place; `forms`: the subscripts for the race finder."""

    array: Array
    subs: tuple[typed.At | typed.Whole, ...]
    axes: frozenset[typed.ValueAxis]
    forms: tuple[SubForm, ...]
    span: Span


def check_subscript(ctx: Ctx, node: ast.Subscript) -> typed.Expr:
    """A load ``x[i, :]``, with or without a boundary policy around the array."""
    if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id in POLICIES:
        return _check_with_policy(ctx, node, node.value)
    if isinstance(node.value, ast.Call) and claims.is_claim(node.value):
        return _check_claimed(ctx, node, node.value)
    made: list[typed.Stmt] = []
    array = array_named(ctx, node.value, made)
    if array is None:
        _check_rest(ctx, node)
        return error(node.span)
    place = check_place(ctx, array, node)
    return error(node.span) if place is None else _having(made, load(ctx, node.span, place))


def _having(made: list[typed.Stmt], x: typed.Expr) -> typed.Expr:
    return typed.Having(x.span, x.type, tuple(made), x) if made and not is_error(x) else x


def _check_claimed(ctx: Ctx, node: ast.Subscript, call: ast.Call) -> typed.Expr:
    """``unique(idx)[i]``."""
    named = claims.named_array(ctx, call)
    array = array_named(ctx, named) if named is not None else None
    if array is None or named is None or not claims.is_index(ctx, named, array):
        _check_rest(ctx, node)
        return error(node.span)
    place = check_place(ctx, array, node)
    if place is None:
        return error(node.span)
    loaded = load(ctx, node.span, place)
    claims.note(ctx, call, loaded, place.forms)
    return loaded


def load(ctx: Ctx, span: Span, place: Place) -> typed.Expr:
    """Read a checked place."""
    var = place.array.var
    if var.effect == "reduce" and (rebinding.is_of_parameter(ctx, var) or _is_updated_here(ctx, var)):
        refuse_reduce(ctx, span, var)
        return error(span)
    touch(ctx, "read", place)
    return typed.Load(span, typed.ValueType(var.dtype, place.axes), var, place.subs)


def _is_updated_here(ctx: Ctx, var: typed.ArrayVar) -> bool:
    """Whether the grid around updates the temporary: then its value is not there yet."""
    return ctx.grid is not None and any(a.array is var and a.kind == "update" for a in ctx.grid.accesses)


def refuse_reduce(ctx: Ctx, span: Span, array: typed.ArrayVar) -> None:
    """Report that a `reduce` array is read."""
    ctx.diags.error(
        E0405, span, f"`{array.name}` is `reduce({array.reduce_op})`, and this reads it",
        also=[(array.span, "declared here")], help="read it after the grid that updates it has ended"
        if not rebinding.is_of_parameter(ctx, array) else "a parameter that is read and written is `inout`",
    )  # fmt: skip


def array_named(ctx: Ctx, node: ast.Expr, out: list[typed.Stmt] | None = None) -> Array | None:
    """The array that an expression names, or None (reported). In tasks that may be a part of one, where there is a place
    for the statements that make it: `out`."""
    if isinstance(node, ast.Name):
        entity = ctx.find(node.id)
        if isinstance(entity, Array):
            return entity if has_value(ctx, node.span, entity) else None
        if isinstance(entity, Broken):
            return None
        if entity is None:
            expressions.check_name(ctx, node)  # reports an unknown name, or something of the module
            if ctx.module.find(node.id) is None:
                return None
        if isinstance(entity, Local) and entity.var.type.dtype is ERROR:
            return None
        what = "a dimension" if isinstance(entity, Dim) else "one value"
        if entity is not None:
            ctx.diags.error(
                E0306, node.span, f"`{node.id}` is {what} and takes no subscript", also=[(entity.span, "declared here")]
            )
        return None
    if isinstance(node, ast.Subscript) and out is not None and ctx.kind in ("task", "test"):
        if ctx.session.handlers.is_part(ctx, node):
            return ctx.session.handlers.part(ctx, node, out)  # type: ignore[no-any-return]
    if isinstance(node, ast.Attribute | ast.Subscript):
        _refuse_view(ctx, node)
        return None
    x = ctx.expr(node)
    if not is_error(x):
        ctx.diags.error(E0306, node.span, "this is one value and takes no subscript")
    return None


def has_value(ctx: Ctx, span: Span, array: Array) -> bool:
    """Whether an array that sequential code made is there on every way to this place (LANGUAGE 36)."""
    made_here = array.var.kind in ("temp", "view", "name")
    if not made_here or not ctx.flow.live or array.var in ctx.flow.assigned:
        return True
    ctx.diags.error(
        E0206, span, f"`{array.name}` does not exist on every way to this place",
        also=[(array.span, f"`{array.name}` is made here")], help=f"make `{array.name}` before the branch or loop",
    )  # fmt: skip
    ctx.assign(array.var)  # said once
    return False


def _refuse_view(ctx: Ctx, node: ast.Attribute | ast.Subscript) -> None:
    """``x[i][j]`` and ``x.T[i, j]``: an element takes all its subscripts at once."""
    if isinstance(node, ast.Attribute):
        ctx.expr(node)
        return
    if array_named(ctx, node.value) is not None:
        ctx.diags.error(
            E0306, node.span, "a part of an array takes no further subscripts",
            help=f"give all of them at once: `{node.span.text.removesuffix(']')}, ...]`",
        )  # fmt: skip


def _check_rest(ctx: Ctx, node: ast.Subscript) -> None:
    """Report what is wrong inside the brackets of something that is no array."""
    for item in node.items:
        if not isinstance(item, ast.Slice):
            ctx.expr(item)


def check_place(ctx: Ctx, array: Array, node: ast.Subscript, policy: str = "", is_store: bool = False) -> Place | None:
    """The subscripts of one array. None when anything was reported."""
    rank = len(array.var.shape)
    if len(node.items) != rank:
        n = len(node.items)
        ctx.diags.error(
            E0306, node.span, f"`{array.name}` has {rank} {_plural('axis', rank)}, found {n} {_plural('subscript', n)}",
            also=[(array.span, f"`{array.name}` is declared here")], help="a whole axis is written `:`" if n < rank else (),
        )  # fmt: skip
        _check_rest(ctx, node)
        return None
    subs: list[typed.At | typed.Whole] = []
    forms: list[SubForm] = []
    axes = NO_AXES
    for axis, item in enumerate(node.items):
        if isinstance(item, ast.Slice):
            whole = _check_whole(ctx, array, axis, node, item, axes)
            if whole is None:
                return None
            subs.append(whole)
            forms.append(WHOLE)
            axes |= {whole.axis}
            continue
        at, form = _check_at(ctx, array, axis, node, policy, is_store)
        if at is None:
            return None
        subs.append(at)
        forms.append(form)
        axes |= at.index.type.axes
    return Place(array, tuple(subs), axes, tuple(forms), node.span)


def _plural(word: str, n: int) -> str:
    return word if n == 1 else {"axis": "axes"}.get(word, word + "s")


def _check_whole(
    ctx: Ctx, array: Array, axis: int, node: ast.Subscript, item: ast.Slice, axes: frozenset[typed.ValueAxis]
) -> typed.Whole | None:
    if item.lo or item.hi or item.step:
        ctx.diags.error(
            E0310, item.span, "a part of an axis needs an index variable",
            help="bind one over a slice of the dimension: `for k in K[1:-1]`",
        )  # fmt: skip
        return None
    wholes = [n for n, other in enumerate(node.items) if isinstance(other, ast.Slice)]
    made = whole_axis_of(ctx, array.var, axis, wholes)
    if made is None:
        ctx.diags.error(
            E0310, item.span, f"the size of axis {axis} of `{array.name}` is no dimension",
            help="bind an index variable: `for k in range(n)`",
        )  # fmt: skip
        return None
    if made in axes:
        ctx.diags.error(
            E0310, item.span, f"the value already has the axis `{made.name}`",
            help="bind an index variable for one of the two",
        )  # fmt: skip
        return None
    return typed.Whole(made, item.span)


def whole_axis_of(ctx: Ctx, array: typed.ArrayVar, axis: int, wholes: Sequence[int] = ()) -> typed.ValueAxis | None:
    """The whole axis that ``:`` on this axis of the array stands for, among `wholes` of the same subscript; None where its
    size may differ by element, or from one time to the next."""
    size = array.shape[axis]
    if size is None:
        if array.kind != "temp":
            return None
        made = ctx.whole_axis((array.name, array.span.start, axis), f"{array.name}.{axis}", None)
        made.of = array, axis  # of this pass of the check
        return made
    name = size if isinstance(size, str) and size in ctx.dims else sizes.show(size)
    alike = [n for n in wholes if array.shape[n] == size]
    if len(alike) < 2:
        return ctx.whole_axis(size, name, size)
    nth = alike.index(axis), len(alike)
    made = ctx.whole_axis((size, nth), f"{name}.{nth[0]}", size)
    made.nth = nth
    return made


def axis_of_size(ctx: Ctx, node: ast.Expr) -> typed.ValueAxis | None:
    """The whole axis that has a size; None where that is no dimension."""
    dim = ctx.find(node.id) if isinstance(node, ast.Name) else None
    if isinstance(dim, Dim) and dim.size is None and dim.of is not None:
        return whole_axis_of(ctx, *dim.of)
    size = type_exprs.size_of(ctx, node)
    return None if size is None else ctx.whole_axis(size, node.span.text, size)


def _check_at(
    ctx: Ctx, array: Array, axis: int, node: ast.Subscript, policy: str, is_store: bool
) -> tuple[typed.At | None, SubForm]:
    item = node.items[axis]
    x = ctx.expr(item)
    if isinstance(x, Literal) and isinstance(x.value, int) and x.value < 0 and not policy:
        size = _size_text(array, axis)
        ctx.diags.error(
            E0320, item.span, f"`{x.value}` is no place of axis {axis} of `{array.name}`",
            help=f"the last element is `{array.name}[{'..., ' * min(axis, 1)}{size} - {-x.value}]`",
        )  # fmt: skip
        return None, None
    index = expressions.to_int(ctx, x, "a subscript")
    if is_error(index):
        return None, None
    form = integers.linear(ctx, index)
    if policy:
        # A rim or a way round needs an element; `fill` does not.
        length = array.sizes[axis]
        has_some = policy == "fill" or (length is not None and ctx.facts.prove_le(1, length))
        return typed.At(index, not has_some, item.span), form
    verdict = classify_index(ctx.facts, form, array.sizes[axis], bare_dim=_bare_dim(ctx, index))
    if not settle_verdict(ctx, verdict, array, axis, node, is_store):
        return None, None
    # An fn has no signature that could carry a condition: what is not proven is checked where it runs.
    check = verdict.kind == "run" or (verdict.kind == "call" and ctx.kind == "fn")
    return typed.At(index, check, item.span), claims.as_subscript(ctx, array, axis, form)


def _bare_dim(ctx: Ctx, index: typed.Expr) -> Sym | None:
    """The dimension that a bare index variable ranges over."""
    if not isinstance(index, typed.IndexRef) or index.var.kind == "loop":
        return None
    dim = ctx.index_infos[index.var].domain.dim
    return ctx.dim_values[dim].only_sym if dim in ctx.dim_values else None


def _size_text(array: Array, axis: int) -> str:
    size = array.var.shape[axis]
    form = array.sizes[axis]
    return sizes.show(size) if size is not None else form.show() if form is not None else "n"


def settle_verdict(ctx: Ctx, verdict: Verdict, array: Array, axis: int, node: ast.Subscript, is_store: bool) -> bool:
    """Report an error verdict, note a condition. False when it was an error."""
    item = node.items[axis]
    text = item.span.text
    size = _size_text(array, axis)
    axis_text = f"axis {axis} of `{array.name}` has size {size}"
    if verdict.kind == "error" and verdict.side == "dim":
        index = ctx.find(text)
        dim = index.domain.dim if isinstance(index, Index) else None
        ctx.diags.error(
            E0312, item.span, f"`{text}` ranges over {dim}, but {axis_text}", also=[(array.span, axis_text)],
            help=_transposed(ctx, array, node) or f"say that they agree: `where {dim} == {size}`",
        )  # fmt: skip
        return False
    if verdict.kind == "error":
        example = f": {verdict.example}" if verdict.example else ""
        where = "below 0" if verdict.side == "low" else f"beyond `{array.name}`, whose axis {axis} has size {size}"
        ctx.diags.error(
            E0311, item.span, f"`{text}` reaches {where}{example}", also=[(array.span, axis_text)],
            help="run over fewer elements, or guard it with `if`" if is_store else
            f"start later or guard it, or say what lies outside: `clamp({array.name})[...]`, `fill({array.name}, 0)[...]`",
        )  # fmt: skip
        return False
    if verdict.kind == "call" and ctx.kind != "fn":
        ctx.needs.extend(Need(r, f"`{array.name}[...]` at `{text}` needs it", item.span) for r in verdict.conditions)
    return True


def _transposed(ctx: Ctx, array: Array, node: ast.Subscript) -> str:
    """Advice when the same variables fit the axes in another order."""
    found = [ctx.find(item.id) if isinstance(item, ast.Name) else None for item in node.items]
    dims = [index.domain.dim if isinstance(index, Index) else None for index in found]
    order: list[int] = []
    for size in array.var.shape:
        order.extend([n for n, dim in enumerate(dims) if dim is not None and dim == size and n not in order][:1])
    if len(order) == len(dims):
        return f"if `{array.name}` is stored transposed, write `{_reordered(array, node, order)}`"
    # Not all fit, but for two axes the exchange is what is most often meant.
    fits = any(dim is not None and dim == size for dim, size in zip(dims, reversed(array.var.shape), strict=True))
    if len(dims) == 2 and fits:
        return f"if `{array.name}` is stored transposed, write `{_reordered(array, node, [1, 0])}`"
    return ""


def _reordered(array: Array, node: ast.Subscript, order: list[int]) -> str:
    return f"{array.name}[{', '.join(node.items[n].span.text for n in order)}]"


def _check_with_policy(ctx: Ctx, node: ast.Subscript, call: ast.Call) -> typed.Expr:
    """``clamp(x)[i - 1]``, ``fill(x, 0)[i + r]``."""
    assert isinstance(call.func, ast.Name)
    policy = call.func.id
    wanted = 2 if policy == "fill" else 1
    if len(call.args) != wanted or call.keywords:
        how = "fill(x, 0)" if policy == "fill" else f"{policy}(x)"
        ctx.diags.error(E0307, call.span, f"`{policy}` is written `{how}[...]`")
        return error(node.span)
    made: list[typed.Stmt] = []
    array = array_named(ctx, call.args[0], made)
    outside: typed.Expr | None = None
    if policy == "fill":
        outside = ctx.expr(call.args[1])
        if array is not None:
            outside = coerce(ctx.diags, outside, array.var.dtype, f", the type of `{array.name}`")
    place = check_place(ctx, array, node, policy) if array is not None else None
    if place is None or (outside is not None and is_error(outside)):
        return error(node.span)
    loaded = load(ctx, node.span, Place(place.array, place.subs, place.axes, _anywhere(place), place.span))
    if is_error(loaded):
        return loaded
    axes = place.axes | (outside.type.axes if outside else NO_AXES)
    var = place.array.var
    return _having(made, typed.Load(node.span, typed.ValueType(var.dtype, axes), var, place.subs, policy, outside))


def _anywhere(place: Place) -> tuple[SubForm, ...]:
    """A policy may move the place: the race finder must take it for any place of the array."""
    return tuple(None if f is not WHOLE else f for f in place.forms)


def refuse_bare_policy(ctx: Ctx, node: ast.Call) -> typed.Expr:
    """``clamp(x)`` without a bracket after it."""
    ctx.diags.error(E0315, node.span, f"`{node.span.text}` needs its subscripts", help=f"write `{node.span.text}[i]`")
    return error(node.span)


def touch(ctx: Ctx, kind: str, place: Place) -> None:
    """Note that the code here reads, writes or updates a place."""
    var, forms = place.array.var, place.forms
    if var.kind == "local":
        return  # an element's own: no other element sees it
    if var.base is not None or var.kind == "name":  # some part of the arrays that it may be
        for owner in rebinding.owners(ctx, var):
            _touch(ctx, kind, owner, (None,) * len(owner.shape), place.span)
        return
    _touch(ctx, kind, var, forms, place.span)


def touch_all(ctx: Ctx, array: Array, span: Span) -> None:
    """Note that the code here may read every element of an array; of a part of one, in a grid, which axes it has whole."""
    if ctx.grid is None or not array.box:
        touch(ctx, "read", Place(array, (), NO_AXES, (None,) * len(array.var.shape), span))
        return
    forms = tuple(s.lo if s.lo is not None and s.size == ONE else WHOLE for s in array.box)
    for owner in rebinding.owners(ctx, array.var):
        _touch(ctx, "read", owner, forms if len(owner.shape) == len(forms) else (None,) * len(owner.shape), span)


def _touch(ctx: Ctx, kind: str, var: typed.ArrayVar, forms: tuple[SubForm, ...], span: Span) -> None:
    access = Access(var, var.name, kind, forms, ctx.facts, span)
    if ctx.grid is not None:
        ctx.grid.accesses.append(access)
    guarded = ctx.facts.is_guarded_since(ctx.start) or bool(ctx.branches)
    ctx.touches.setdefault(var, []).append(Touch(kind, span, ctx.loops, guarded, access, ctx.grid))


def scalar_place(array: Array, span: Span) -> Place:
    """The place of an array without axes (a scalar result)."""
    return Place(array, (), NO_AXES, (), span)
