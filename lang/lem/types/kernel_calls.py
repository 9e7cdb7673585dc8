"""Calls of kernels and tasks as statements: ``blur(x, y)``, ``y = blur(x)`` (LANGUAGE 7, 15, 16, 19).

Takes a call in sequential code; gives the typed call with the callee's arrays, scalars and dimensions in order, and the
temporaries that hold its results. Sizes that are not known to agree become conditions of the caller.
"""

from __future__ import annotations

from dataclasses import field

from lem.diagnostics.codes import E0301, E0306, E0307, E0313, E0314, E0321, E0331, E0401, E0405, E0406
from lem.names import Definition
from lem.source import Span
from lem.syntax import ast
from lem.types import (
    array_data,
    expressions,
    generics,
    integers,
    locals,
    parts,
    rebinding,
    stores,
    structs,
    subscripts,
    typed,
    views,
)
from lem.types.arguments import match_args
from lem.types.context import Ctx, Need
from lem.types.convert import NO_AXES, coerce, const, error, is_error
from lem.types.linear import Lin
from lem.types.prove import Residual
from lem.types.races import WHOLE
from lem.types.scope import Array, Broken, Local
from lem.types.solve_dims import CallDims, unify_call
from lem_runtime.abi import sizes
from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Param, Signature, axis_order
from lem_runtime.abi.sizes import Size


@dataclass(slots=True)
class Call:
    """A call being checked. `before`: statements that must stand before it, `after`: behind it."""

    span: Span
    callee: typed.Function
    fn: ast.Function
    node: ast.Call
    values: dict[str, Array | typed.Expr]
    arrays: dict[str, Array] = field(default_factory=dict)
    scalars: dict[str, typed.Expr] = field(default_factory=dict)
    named: dict[str, typed.Expr] = field(default_factory=dict)
    before: list[typed.Stmt] = field(default_factory=list)
    after: list[typed.Stmt] = field(default_factory=list)
    dim_exprs: dict[str, typed.Expr] = field(default_factory=dict)
    apart: list[tuple[typed.ArrayVar, typed.ArrayVar, str]] = field(default_factory=list)
    spawn: typed.Spawn | None = None
    renamed: list[tuple[ast.Name, Array]] = field(default_factory=list)


def check_statement(
    ctx: Ctx, node: ast.Call, found: Definition, targets: tuple[ast.Expr, ...], span: Span,
    spawn: typed.Spawn | None = None,
) -> list[typed.Stmt]:  # fmt: skip
    """A call of a kernel or task that stands alone or right of ``=``, spawned or not."""
    call = _started(ctx, node, found, span, spawn)
    made = None if call is None else _check_call(ctx, call, targets)
    if made is None:
        poison(ctx, targets)
        return []
    return made


def check_nested(ctx: Ctx, node: ast.Call, found: Definition) -> Array | typed.Expr | None:
    """The result of a call that stands in a statement, and runs before it. None when reported."""
    if not _may_run_ahead(ctx, node, found):
        return None
    call = _started(ctx, node, found, node.span, None)
    made = None if call is None else _check_call(ctx, call, ())
    if call is None or made is None or ctx.ahead is None:
        return None
    ctx.ahead += made
    (result,) = (call.arrays[p.name] for p in call.callee.signature.arguments if p.effect == "result")
    ctx.arrays[result.var] = result.sizes
    ctx.assign(result.var)
    return result if result.var.shape else typed.Load(node.span, typed.ValueType(result.var.dtype), result.var, ())


def _may_run_ahead(ctx: Ctx, node: ast.Call, found: Definition) -> bool:
    """Whether a call may run before the statement that it stands in: it surely runs, once, and only gives its result."""
    fn = found.node
    assert isinstance(fn, ast.Function)
    if ctx.grid is not None or ctx.kind == "fn":
        where = "in a grid" if ctx.grid is not None else "in an fn"
        label = f"`{found.name}` is a {fn.kind}, and {where} only an fn can be called"
        help = "call it before or after the grid" if ctx.grid is not None else "call it from a kernel or a task"
    else:
        written = next((p.name.id for p in fn.params if p.effect), "")
        names = [r.name.id for r in fn.results if r.name is not None]
        label = f"`{found.name}` is a {fn.kind}, and its call is a statement of its own"
        help = ctx.instead or f"assign its result first: `y = {node.span.text}`"
        if len(names) != 1:
            label = f"`{found.name}` has {len(names) or 'no'} results, and this is one value"
            help = f"call it first: `{', '.join(names)}{' = ' if names else ''}{node.span.text}`"
        elif written:
            label = f"`{found.name}` writes `{written}` too, so its call is a statement of its own"
        elif ctx.ahead is not None:
            return True
    ctx.diags.error(E0321, node.func.span, label, also=[(found.span, f"`{found.name}` is defined here")], help=help)
    return False


def named_kernel(ctx: Ctx, node: ast.Expr) -> Definition | None:
    """The kernel or task that is called, if it is one. Reports nothing."""
    func = node.func if isinstance(node, ast.Call) else None
    found: Definition | None = None
    if isinstance(func, ast.Name) and ctx.find(func.id) is None:
        found = ctx.module.own.get(func.id) or ctx.module.imported.get(func.id)
    elif isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and ctx.find(func.value.id) is None:
        module = ctx.module.find(func.value.id)
        found = module.module.own.get(func.name) if module is not None and module.module is not None else None
    return found if found and isinstance(found.node, ast.Function) and found.node.kind != "fn" else None


def _started(ctx: Ctx, node: ast.Call, found: Definition, span: Span, spawn: typed.Spawn | None) -> Call | None:
    """A call with its arguments checked one by one."""
    fn = found.node
    assert isinstance(fn, ast.Function)
    if not _allowed(ctx, node, found, fn):
        return None
    given = match_args(
        ctx, node, found.name, [p.name.id for p in fn.params],
        [p.name.id for p in fn.params if p.default is None], fn.name.span,
        [g.name for g in fn.generics if g.bound is None],
    )  # fmt: skip
    if given is None:
        return None
    before: list[typed.Stmt] = []
    values = {p.name.id: _argument(ctx, p, given.get(p.name.id), before) for p in fn.params}
    dims = {k: expressions.check_int(ctx, v, "a dimension") for k, v in given.items() if k not in values}
    if any(v is None or (isinstance(v, typed.Expr) and is_error(v)) for v in (*values.values(), *dims.values())):
        return None
    given_values = {k: v for k, v in values.items() if v is not None}
    callee = generics.callee_for(ctx, node, found, fn, given_values)
    return None if callee is None else Call(span, callee, fn, node, given_values, named=dims, before=before, spawn=spawn)


def _allowed(ctx: Ctx, node: ast.Call, found: Definition, fn: ast.Function) -> bool:
    if ctx.grid is not None or ctx.kind == "fn":
        where = "in a grid" if ctx.grid is not None else "in an fn"
        label = f"`{found.name}` is a {fn.kind}, and {where} only an fn can be called"
        help = "call it before or after the grid"
    elif fn.kind == "task" and ctx.kind == "kernel":
        label = f"`{found.name}` is a task, and only tasks call tasks"
        help = "call it from a task"
    else:
        return True
    ctx.diags.error(E0321, node.func.span, label, also=[(fn.name.span, f"`{found.name}` is defined here")], help=help)
    return False


def poison(ctx: Ctx, targets: tuple[ast.Expr, ...]) -> None:
    for target in targets:
        if isinstance(target, ast.Name) and ctx.find(target.id) is None:
            ctx.scopes.add(Broken(target.id, target.span))


def _argument(ctx: Ctx, param: ast.Param, node: ast.Expr | None, before: list[typed.Stmt]) -> Array | typed.Expr | None:
    """An argument: an array by name, or a value; None where the default stands."""
    if node is None:
        node = param.default
        assert node is not None
    is_array = param.type is not None and param.type.sizes is not None
    if not is_array:
        return ctx.expr(node)
    if isinstance(node, ast.Name):
        entity = ctx.find(node.id)
        if isinstance(entity, Array) and entity.var.shape:
            return entity if subscripts.has_value(ctx, node.span, entity) else error(node.span)
    kernel = named_kernel(ctx, node)
    if isinstance(node, ast.Call) and kernel is not None:
        result = check_nested(ctx, node, kernel)
        if result is None or isinstance(result, Array):
            return result or error(node.span)
        return _one_value(ctx, param, node)
    if isinstance(node, ast.Call) and ctx.kind == "test":
        name = ast.Name(node.span, f"data{len(ctx.scopes.stack[-1])}")
        data = array_data.check_let(ctx, name, node, node.span, array_data.shown(node))
        if data is not None:
            before.extend(data)
            made = ctx.find(name.id)
            return made if isinstance(made, Array) else error(node.span)
    if parts.is_part(ctx, node):
        assert isinstance(node, ast.Subscript)
        return parts.check_part(ctx, node, before) or error(node.span)
    return error(node.span) if is_error(ctx.expr(node)) else _one_value(ctx, param, node)


def _one_value(ctx: Ctx, param: ast.Param, node: ast.Expr) -> typed.Expr:
    ctx.diags.error(
        E0306, node.span, f"`{param.name.id}` is an array, and this is one value",
        also=[(param.name.span, "declared here")],
    )  # fmt: skip
    return error(node.span)


def _check_call(ctx: Ctx, call: Call, targets: tuple[ast.Expr, ...]) -> list[typed.Stmt] | None:
    """The call as statements; None when reported."""
    sig, fn = call.callee.signature, call.fn
    ok = True
    for param in sig.arguments:
        value = call.values.get(param.name)
        if isinstance(value, Array):
            ok &= _take_array(ctx, call, fn, param, value)
        elif value is not None:
            ok &= _take_scalar(ctx, call, fn, param, value)
    if not ok or not _check_aliases(ctx, call, fn, sig):
        return None
    bound = _unify(ctx, call, sig)
    if not _report_sizes(ctx, call, fn, sig, bound):
        return None
    dims = _dim_values(ctx, call, sig, bound)
    if dims is None or not _take_results(ctx, call, sig, dims, targets):
        return None
    _touch_arrays(ctx, call, sig)
    if call.renamed:  # the arguments are read under their old names
        targets_, arrays = zip(*call.renamed, strict=True)
        call.after.extend(rebinding.bind(ctx, call.span, targets_, arrays))
    order = [call.arrays[p.name].var for p in sig.arguments if p.name in call.arrays]
    scalars = tuple(call.scalars[name] for name, _ in call.callee.scalars)
    conditions = _conditions(ctx, call, sig, bound)
    made = typed.CallKernel(
        call.span, call.callee.name, tuple(order), scalars, tuple(dims.values()), conditions, tuple(call.apart), call.spawn
    )
    return [*call.before, made, *call.after]


def _take_array(ctx: Ctx, call: Call, fn: ast.Function, param: Param, value: Array) -> bool:
    declared = _declared(fn, param)
    if value.var.dtype != _dtype(call, param):
        ctx.diags.error(
            E0301, _arg_span(call, fn, param), f"`{param.name}` is {param.dtype}, and `{value.name}` is {value.var.dtype}",
            also=[(declared, "declared here")],
        )  # fmt: skip
        return False
    assert param.shape is not None
    if len(param.shape) != len(value.var.shape):
        ctx.diags.error(
            E0306, _arg_span(call, fn, param),
            f"`{param.name}` has {len(param.shape)} axes, and `{value.name}` has {len(value.var.shape)}",
            also=[(declared, "declared here")],
        )  # fmt: skip
        return False
    if param.is_written and value.var.effect == "read":
        ctx.diags.error(
            E0401, _arg_span(call, fn, param), f"`{call.callee.name}` writes this, and `{value.name}` is only read",
            also=[(value.var.root.span, "declared here"), (declared, f"`{param.name}` is `{param.effect}`")],
            help=f"declare it `{value.var.root.name}: out ...` or `inout`",
        )  # fmt: skip
        return False
    if not _has_layout(value.var, param):
        root = value.var.root
        first = f"declare `{root.name}` as `.{param.layout}` too, or " if root is value.var else ""
        ctx.diags.error(
            E0331, _arg_span(call, fn, param), f"`{param.name}` is `.{param.layout}`, and {_layout_text(value.var)}",
            also=[(declared, "declared here"), (root.span, f"`{root.name}` is declared here")],
            help=f"{first}copy it to a temporary that is `.{param.layout}`",
        )  # fmt: skip
        return False
    call.arrays[param.name] = value
    return True


def _has_layout(var: typed.ArrayVar, param: Param) -> bool:
    """Whether an array is known to have the layout that a parameter declares."""
    if not param.layout or not var.shape or var.layout == param.layout:
        return True
    wanted = axis_order(param.layout)
    # With one axis, first and last are the same.
    return wanted != "" and (var.order == wanted or (len(var.shape) == 1 and var.order != ""))


def _layout_text(var: typed.ArrayVar) -> str:
    if var.layout:
        return f"`{var.name}` is `.{var.layout}`"
    if var.kind == "view":
        return f"`{var.name}` is a part whose neighbours lie apart"
    if var.kind == "name":
        return f"`{var.name}` may name an array of any layout"
    return f"`{var.name}` lies row by row" if var.order else f"the layout of `{var.name}` is the caller's"


def _take_scalar(ctx: Ctx, call: Call, fn: ast.Function, param: Param, value: typed.Expr) -> bool:
    dtype = _dtype(call, param)
    ready = coerce(ctx.diags, value, dtype, f", for `{param.name}`", (_declared(fn, param), f"`{param.name}` is {dtype}"))
    call.scalars[param.name] = ready
    return not is_error(ready)


def _dtype(call: Call, param: Param) -> DType:
    """The type that the callee declares: names of structs alone do not tell, every module may have its own."""
    arrays = ((a.name, a.dtype) for a in call.callee.arrays)
    return next(dtype for name, dtype in (*arrays, *call.callee.scalars) if name == param.name)


def _declared(fn: ast.Function, param: Param) -> Span:
    for p in fn.params:
        if p.name.id == param.name:
            return p.name.span
    return fn.name.span


def _arg_span(call: Call, fn: ast.Function, param: Param) -> Span:
    names = [p.name.id for p in fn.params]
    for keyword in call.node.keywords:
        if keyword.name == param.name:
            return keyword.value.span
    at = names.index(param.name) if param.name in names else len(call.node.args)
    return call.node.args[at].span if at < len(call.node.args) else call.span


def _check_aliases(ctx: Ctx, call: Call, fn: ast.Function, sig: Signature) -> bool:
    """A written array shares no element with another argument (LANGUAGE 15). What is not decided here, the call tests."""
    given = [p for p in sig.arguments if p.name in call.arrays]
    for n, param in enumerate(given):
        for other in given[n + 1 :]:
            if not (param.is_written or other.is_written):
                continue
            a, b = call.arrays[param.name], call.arrays[other.name]
            shared = views.share(ctx, a, b)
            if shared == "always":
                _report_alias(ctx, call, fn, *((other, param) if param.is_written else (param, other)))
                return False
            if shared == "maybe":
                written, read = (param, other) if param.is_written else (other, param)
                text = f"`{written.name}` is `{written.effect}` and shares elements with `{read.name}`"
                call.apart.append((a.var, b.var, text))
    return True


def _report_alias(ctx: Ctx, call: Call, fn: ast.Function, other: Param, written: Param) -> None:
    a, b = call.arrays[other.name], call.arrays[written.name]
    if a.var is b.var:
        label, also = f"`{a.name}` is both `{other.name}` and `{written.name}`, which is written", []
    else:
        label = f"`{a.name}` is `{other.name}` and shares elements with `{b.name}`, which is `{written.name}` and is written"
        also = [(_arg_span(call, fn, written), f"`{written.name}`"), (_arg_span(call, fn, other), f"`{other.name}`")]
    ctx.diags.error(E0406, call.node.span, label, also=also, help="give it another array: a temporary, say")


# ---------------------------------------------------------------- sizes
def _unify(ctx: Ctx, call: Call, sig: Signature) -> CallDims:
    shapes = {name: a.sizes for name, a in call.arrays.items()}
    scalars = {n: integers.linear(ctx, e) for n, e in call.scalars.items() if e.type.dtype.is_int}
    named = {n: integers.linear(ctx, e) for n, e in call.named.items()}
    return unify_call(ctx.symbols, ctx.facts, sig, shapes, scalars, named)


def _report_sizes(ctx: Ctx, call: Call, fn: ast.Function, sig: Signature, bound: CallDims) -> bool:
    ok = True
    for m in bound.mismatches:
        param = sig.param(m.param)
        assert param is not None
        array = call.arrays[m.param]
        if m.certain and not ctx.expects_fault:
            ok = False
            ctx.diags.error(
                E0313, _arg_span(call, fn, param),
                f"axis {m.axis} of `{array.name}` has size {m.have.show()}, and `{call.callee.name}` wants {m.want.show()}",
                also=[(_declared(fn, param), f"`{m.param}` is declared here")],
            )  # fmt: skip
            continue
        cond = m.condition()
        if cond is not None and _certainly_runs(ctx):
            residual = Residual(cond, cond)
            ctx.needs.append(Need(residual, f"the call of `{call.callee.name}` needs it", call.span))
    for still in bound.open_conditions:
        if still.certain and not ctx.expects_fault:
            ok = False
            condition = still.condition
            ctx.diags.error(
                E0313, call.span, f"`{sizes.show(condition.expr)}` does not hold here ({condition.why})",
                also=[(fn.name.span, f"`{call.callee.name}` is defined here")],
            )  # fmt: skip
    return ok


def _certainly_runs(ctx: Ctx) -> bool:
    """Whether what the call needs may be asked of the caller's own callers: it stands under no condition."""
    return not ctx.facts.is_guarded_since(ctx.start) and not ctx.branches


def _conditions(ctx: Ctx, call: Call, sig: Signature, bound: CallDims) -> tuple[tuple[typed.Expr, str], ...]:
    """Conditions of the callee that are not known to hold: passed on to the caller's callers where they speak of its
    sizes alone, else checked where the call runs."""
    out: list[tuple[typed.Expr, str]] = []
    for still in bound.open_conditions:
        condition, size = still.condition, still.expr
        if still.certain and not ctx.expects_fault:
            continue
        why = f"`{call.callee.name}` needs `{sizes.show(condition.expr)}` ({condition.why})"
        if size is not None and ctx.kind == "kernel" and _certainly_runs(ctx):
            ctx.needs.append(Need(Residual(size, size), why, call.span))
        else:
            made = _condition_expr(ctx, call, condition.expr)
            if made is not None:
                out.append((made, why))
    open_sizes = [(m.param, m.axis) for m in bound.mismatches if m.condition() is None or not _certainly_runs(ctx)]
    tested = [_size_condition(ctx, call, sig, name, axis) for name, axis in (*open_sizes, *bound.unchecked)]
    out += [t for t in tested if t is not None]
    return tuple(out)


def _size_condition(ctx: Ctx, call: Call, sig: Signature, name: str, axis: int) -> tuple[typed.Expr, str] | None:
    """That an argument's axis has the size that the callee wants, to be tested where the call runs."""
    param = next((p for p in sig.arguments if p.name == name), None)
    if param is None or param.shape is None or param.effect == "result":  # a result is made with that size
        return None
    want = _callee_size(ctx, call, param.shape[axis])
    if want is None:
        return None
    have = typed.ArraySize(call.span, typed.ValueType(I64), call.arrays[name].var, axis)
    text = f"axis {axis} of `{name}` must have size {sizes.show(param.shape[axis])}"
    return typed.Compare(call.span, typed.ValueType(BOOL), "eq", have, want), text


def _condition_expr(ctx: Ctx, call: Call, cond: Size) -> typed.Expr | None:
    """A condition of the callee over the values that this call gives to its dimensions and scalars."""
    ops = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
    if not isinstance(cond, tuple):
        return None
    op = cond[0]
    bools = typed.ValueType(BOOL)
    if op in ("and", "or"):
        x, y = _condition_expr(ctx, call, cond[1]), _condition_expr(ctx, call, cond[2])
        return None if x is None or y is None else typed.Logic(call.span, bools, op, x, y)
    if op == "not":
        x = _condition_expr(ctx, call, cond[1])
        return None if x is None else typed.Unary(call.span, bools, "not", x)
    a, b = _callee_size(ctx, call, cond[1]), _callee_size(ctx, call, cond[2])
    return None if a is None or b is None else typed.Compare(call.span, bools, ops[op], a, b)


def _callee_size(ctx: Ctx, call: Call, size: Size) -> typed.Expr | None:
    """A size of the callee as a value of the caller."""
    if isinstance(size, int):
        return const(call.span, size, I64)
    if isinstance(size, str):
        return call.dim_exprs.get(size) or call.scalars.get(size)
    a, b = _callee_size(ctx, call, size[1]), _callee_size(ctx, call, size[2])
    if a is None or b is None:
        return None
    op = {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod", "min": "min", "max": "max"}[size[0]]
    return typed.Binary(call.span, typed.ValueType(I64), op, a, b)


def _dim_values(ctx: Ctx, call: Call, sig: Signature, bound: CallDims) -> dict[str, typed.Expr] | None:
    """The callee's dimensions as i64 values of the caller."""
    out = call.dim_exprs
    for dim in dict.fromkeys((*(r.dim for r in sig.rules), *sig.dims)):  # a rule uses what those before it found
        if dim in call.named:
            out[dim] = call.named[dim]
            continue
        form = bound.dims.get(dim)
        made = _form_expr(ctx, call, form) if form is not None else None
        made = made or _solved(ctx, call, sig, dim)
        if made is None:
            ctx.diags.error(
                E0314, call.node.span, f"no argument says how large `{dim}` is",
                help=f"give it by name: `{call.node.func.span.text}(..., {dim}=...)`",
            )  # fmt: skip
            return None
        out[dim] = made
    return {dim: out[dim] for dim in sig.dims}


def _solved(ctx: Ctx, call: Call, sig: Signature, dim: str) -> typed.Expr | None:
    """A dimension of the callee as its signature finds it: from the size of an argument that is known when it runs."""
    rule = next((r for r in sig.rules if r.dim == dim), None)
    array = call.arrays.get(rule.param or "") if rule is not None else None
    if rule is None or array is None:
        return None
    i64 = typed.ValueType(I64)
    size: typed.Expr = typed.ArraySize(call.span, i64, array.var, rule.axis)
    if rule.offset != 0:
        offset = _callee_size(ctx, call, rule.offset)
        if offset is None:
            return None
        size = typed.Binary(call.span, i64, "sub", size, offset)
    return size if rule.scale == 1 else typed.Binary(call.span, i64, "floordiv", size, const(call.span, rule.scale, I64))


def _form_expr(ctx: Ctx, call: Call, form: Lin) -> typed.Expr | None:
    """A linear form as an i64 expression of the caller; None where it speaks of values that have no name here."""
    size = form.to_size()
    if size is not None:
        return expressions.size_expr(ctx, call.span, size)
    out: typed.Expr = const(call.span, form.const, I64)
    i64 = typed.ValueType(I64)
    for sym, coef in form.terms:
        value = _holder(ctx, call, sym.lin)
        if value is None:
            return None
        term = value if coef == 1 else typed.Binary(call.span, i64, "mul", const(call.span, coef, I64), value)
        out = term if isinstance(out, typed.Const) and out.value == 0 else typed.Binary(call.span, i64, "add", out, term)
    return out


def _holder(ctx: Ctx, call: Call, form: Lin) -> typed.Expr | None:
    """A name of the caller that holds the value of a form right now."""
    size = form.to_size()
    if size is not None:
        return expressions.size_expr(ctx, call.span, size)
    for scope in reversed(ctx.scopes.stack):
        for entity in scope.values():
            if isinstance(entity, Local) and entity.value == form and entity in ctx.flow.assigned:
                return expressions.to_int(ctx, typed.LocalRef(call.span, entity.var.type, entity.var), "a size")
    for var, value in ctx.index_values.items():
        if value == form and ctx.find(var.name) is ctx.index_infos[var]:
            return typed.IndexRef(call.span, typed.ValueType(I64), var)
    return None


# ---------------------------------------------------------------- results
def _take_results(ctx: Ctx, call: Call, sig: Signature, dims: dict[str, typed.Expr], targets: tuple[ast.Expr, ...]) -> bool:
    """Make places for the callee's results, and name them as the caller wants."""
    results = [p for p in sig.arguments if p.effect == "result"]
    if targets and len(targets) != len(results):
        ctx.diags.error(
            E0307, call.span, f"`{call.callee.name}` has {len(results)} {'result' if len(results) == 1 else 'results'}, "
            f"and {len(targets)} {'is' if len(targets) == 1 else 'are'} assigned",
        )  # fmt: skip
        return False
    for n, param in enumerate(results):
        target = targets[n] if targets else None
        if not _take_result(ctx, call, param, target):
            return False
    return True


def _take_result(ctx: Ctx, call: Call, param: Param, target: ast.Expr | None) -> bool:
    dtype = _dtype(call, param)
    name = target.id if isinstance(target, ast.Name) else param.name
    span = target.span if target is not None else call.span
    if not param.shape:
        held = typed.ArrayVar(name, dtype, (), "temp", "inout", span)
        call.arrays[param.name] = Array(held, ())
        call.before.append(typed.MakeArray(span, held, (), None))
        if target is not None and call.spawn is not None and isinstance(target, ast.Name) and ctx.find(target.id) is None:
            ctx.scopes.add(call.arrays[param.name], target.id)  # a future: waited for where it is read
            ctx.assign(held)
        elif target is not None:
            value = typed.Load(span, typed.ValueType(dtype), held, ())
            call.after.extend(_assign_result(ctx, call.span, target, value))
        return True
    existing = ctx.find(target.id) if isinstance(target, ast.Name) else None
    if isinstance(existing, Array) and existing.var.kind != "name":
        return _into_existing(ctx, call, param, existing, span)
    if target is not None and not isinstance(target, ast.Name):
        ctx.diags.error(E0306, target.span, "an array result needs a name of its own")
        return False
    exprs = [_callee_size(ctx, call, s) for s in param.shape]
    if any(e is None for e in exprs):
        ctx.diags.error(E0314, call.span, f"the size of the result `{param.name}` is not known here")
        return False
    forms = tuple(integers.linear(ctx, e) for e in exprs if e is not None)
    shape = tuple(None if f is None else f.to_size() for f in forms)
    layout = param.layout if param.layout != "aos" else ""
    var = typed.ArrayVar(name, dtype, shape, "temp", "inout", span, layout=layout)
    array = Array(var, forms)
    sizes_here = tuple(e for e in exprs if e is not None)
    call.before.append(typed.MakeArray(span, var, sizes_here, structs.zero(span, dtype)))
    call.arrays[param.name] = array
    if isinstance(target, ast.Name) and rebinding.is_rebound(ctx, target.id):
        call.renamed.append((target, array))
    elif target is not None:
        ctx.scopes.add(array)
        ctx.arrays[var] = forms
        ctx.assign(var)
    return True


def _into_existing(ctx: Ctx, call: Call, param: Param, array: Array, span: Span) -> bool:
    """``y = f(x)`` where `y` is a result of the caller: the callee writes it in place."""
    same = array.var.dtype == _dtype(call, param) and len(array.var.shape) == len(param.shape or ())
    fits = same and _has_layout(array.var, param)
    if array.var.effect == "read" or not fits:
        ctx.diags.error(
            E0301, span, f"`{array.name}` is {array.var.dtype} with {len(array.var.shape)} axes and cannot take the result",
            also=[(array.span, "declared here")],
        )  # fmt: skip
        return False
    if any(views.share(ctx, a, array) != "never" for a in call.arrays.values()):
        if rebinding.is_result(ctx, array):
            rebinding.rename(ctx, array)
            return False
        ctx.diags.error(
            E0406, span, f"`{array.name}` is read by this call, and its result would be written over it",
            also=[(array.span, "declared here")], help="give the result another name, and use that from here on",
        )  # fmt: skip
        return False
    for axis, (size, have) in enumerate(zip(param.shape or (), array.sizes, strict=True)):
        expr = _callee_size(ctx, call, size)
        want = integers.linear(ctx, expr) if expr is not None else None
        if want is None or have is None or not ctx.facts.prove_eq(want, have):
            ctx.diags.error(
                E0313, span, f"axis {axis} of `{array.name}` is not known to have the size of the result",
                also=[(array.span, "declared here")],
            )  # fmt: skip
            return False
    call.arrays[param.name] = array
    return True


def _assign_result(ctx: Ctx, span: Span, target: ast.Expr, value: typed.Expr) -> list[typed.Stmt]:
    if isinstance(target, ast.Name):
        return locals.assign_name(ctx, span, target, value)
    if isinstance(target, ast.Subscript):
        array = subscripts.array_named(ctx, target.value)
        return [] if array is None else stores.store(ctx, span, array, target, value)
    ctx.diags.error(E0307, target.span, "a result needs a name")
    return []


def _touch_arrays(ctx: Ctx, call: Call, sig: Signature) -> None:
    """What the callee does to its arrays, the caller does."""
    kinds = {"read": ("read",), "out": ("write",), "result": ("write",), "inout": ("read", "write"), "reduce": ("update",)}
    for param in sig.arguments:
        array = call.arrays.get(param.name)
        if array is None:
            continue
        if array.var.effect == "reduce":
            _check_reduce(ctx, call, param, array)
        covers = param.effect in ("out", "result") and param.name in call.callee.attrs.get("covers", ())  # type: ignore[operator]
        forms = tuple(WHOLE if covers else None for _ in array.var.shape)
        for kind in kinds[param.effect]:
            subscripts.touch(ctx, kind, subscripts.Place(array, (), NO_AXES, forms, call.span))
        if not array.var.shape and array.var.effect == "result":
            ctx.assign(array.var)


def _check_reduce(ctx: Ctx, call: Call, param: Param, array: Array) -> None:
    """A `reduce` parameter goes only where it is updated in the same way; a temporary may also be read whole."""
    if param.effect == "reduce":
        if param.reduce_op != array.var.reduce_op:
            ctx.diags.error(
                E0405, call.span, f"`{array.name}` is `reduce({array.var.reduce_op})`, and `{call.callee.name}` "
                f"updates it with `{param.reduce_op}`", also=[(array.span, "declared here")],
            )  # fmt: skip
    elif rebinding.is_of_parameter(ctx, array.var) or param.effect != "read":
        subscripts.refuse_reduce(ctx, call.span, array.var)
