"""Kernels, tasks and tests as a whole: signature, body, and what follows from the body for the signature.

Takes an :class:`ast.Function` (with dtypes for its type parameters) or :class:`ast.Test`; gives a typed
:class:`Function`, whose signature carries the rules for dimensions and the conditions that the body needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0202, E0301, E0304, E0305, E0314
from lem.names import Definition, ModuleScope
from lem.source import Span
from lem.syntax import ast
from lem.types import (
    claims,
    decorators,
    effects,
    expressions,
    generics,
    numbers,
    passes,
    rebinding,
    structs,
    subscripts,
    type_exprs,
    typed,
    variants,
)
from lem.types.context import Ctx, LocalType, Session, place_of
from lem.types.convert import NO_AXES, Literal, coerce, const, is_error, settle
from lem.types.linear import Lin
from lem.types.scope import Array, Broken, Dim, Entity, ScalarParam, TypeName
from lem.types.solve_dims import solve
from lem_runtime.abi import sizes
from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.signature import Condition, Param, Scalar, Signature
from lem_runtime.abi.sizes import Size


class Header:
    """The checked signature of one function while its body is checked."""

    def __init__(self) -> None:
        self.params: list[Param] = []
        self.arrays: list[typed.ArrayVar] = []
        self.scalars: list[tuple[str, DType]] = []
        self.conditions: list[Condition] = []
        self.before: list[typed.Stmt] = []
        self.renamed: list[tuple[Array, typed.ArrayVar]] = []


def check_function(session: Session, found: Definition, dtypes: Mapping[str, DType]) -> typed.Function | None:
    """Check one kernel or task, once per set of dtypes. None when it was reported as wrong or cannot run yet."""
    fn = found.node
    assert isinstance(fn, ast.Function)
    name = generics.instance_name(session, found, dtypes)
    if name in session.checked:
        return session.checked[name]
    session.checked[name] = None
    if session.is_misread(fn):
        return None
    session.active.append((name, fn.name.span))
    try:
        session.checked[name] = _check(session, found.scope, fn, name, dtypes)
    finally:
        session.active.pop()
    return session.checked[name]


def _check(
    session: Session, module: ModuleScope, fn: ast.Function, name: str, dtypes: Mapping[str, DType]
) -> typed.Function | None:
    scratch = Diagnostics(limit=session.diags.limit)
    headers: list[Header] = []
    rebound = rebinding.rebound_names(fn.body)
    name_facts: dict[object, rebinding.NameFacts] = {}
    wholes: dict[object, typed.ValueAxis] = {}
    renamed: set[str] = set()

    def make(diags: Diagnostics, known: dict[int, LocalType]) -> Ctx:
        ctx = Ctx(session, diags, module, fn.kind, fn.name.id, wholes=wholes, local_types=known, owner=fn)
        if fn.kind == "task":
            ctx.rebound, ctx.name_facts, ctx.renamed = rebound, name_facts, renamed
        headers.append(check_header(ctx, fn, dtypes))
        ctx.scopes.push(is_home=True)
        headers[-1].before, headers[-1].renamed = rebinding.name_results(ctx)
        return ctx

    ctx, body = passes.check_until_stable(scratch, make, lambda ctx: ctx.block(fn.body))
    header = headers[-1]
    for _, result in header.renamed:
        somewhere = (None,) * len(result.shape)
        subscripts.touch(ctx, "write", subscripts.Place(Array(result, ()), (), NO_AXES, somewhere, result.span))
    if not scratch.has_errors and ctx.not_run is None:
        effects.check_results(ctx, scratch, header.arrays)
    types = {g: dtypes[g] for g, bound in generics.type_params(fn) if bound in numbers.BOUNDS}
    if not _can_run(session, scratch, ctx, name, types):
        return None
    made = _finish(session, ctx, fn, name, header, body)
    return made if made is None or fn.kind != "kernel" else _with_variants(session, ctx, fn, made, dtypes)


def _with_variants(
    session: Session, ctx: Ctx, fn: ast.Function, made: typed.Function, dtypes: Mapping[str, DType]
) -> typed.Function:
    """The kernel with the choice among its variants in front of its body."""
    found = variants.of_kernel(session, ctx, fn, made.name, dtypes, made.arrays)
    known = [made, *(session.functions[v.call.callee] for v in found)]
    for fact, hold in (("covers", all), ("reads_first", any)):
        names = dict.fromkeys(name for f in known for name in f.attrs[fact])  # type: ignore[attr-defined]
        made.attrs[fact] = tuple(n for n in names if hold(n in f.attrs[fact] for f in known))  # type: ignore[operator]
    if not found:
        return made
    return replace(made, body=variants.choosing(found, made.body), variants=tuple(found), own_body=made.body)


def _can_run(session: Session, scratch: Diagnostics, ctx: Ctx, name: str, dtypes: Mapping[str, DType] | None = None) -> bool:
    """Hand over what was reported; whether the function is right and uses nothing that cannot run yet."""
    passes.hand_over(scratch, session.diags, dtypes)
    if ctx.not_run is not None and not scratch.has_errors:
        session.not_run[name] = ctx.not_run
    return ctx.not_run is None and not scratch.has_errors


def declared(
    session: Session, found: Definition, fn: ast.Function, name: str, dtypes: Mapping[str, DType]
) -> typed.Function | None:
    """What callers see of a task while its body is being checked: its signature. None when that is wrong, which the check
    under way reports."""
    scratch = Diagnostics(limit=session.diags.limit)
    ctx = Ctx(session, scratch, found.scope, fn.kind, fn.name.id, owner=fn)
    header = check_header(ctx, fn, dtypes)
    dims = tuple(g.name for g in fn.generics if g.bound is None)
    solution = solve(dims, header.params)
    if scratch.has_errors or solution.problems:
        return None
    signature = Signature(
        name, fn.kind, dims, tuple(header.params), solution.rules, tuple(header.conditions), place_of(fn.name.span)
    )
    return typed.Function(
        name, fn.kind, signature, tuple(header.arrays), tuple(header.scalars), (), fn.span, dims, {}
    )  # fmt: skip


# Calls of tasks inside each other. Every level takes some hundred bytes of stack, which is watched too.
DEEPEST = 10_000


def _bounded(ctx: Ctx, fn: ast.Function, circle: tuple[str, ...], needed: Sequence[Condition]) -> tuple[typed.Stmt, ...]:
    """What a task that calls itself tests when it begins: how deep it is, and what its body needs (its own calls were
    checked before that was known)."""
    span, i64 = fn.name.span, typed.ValueType(I64)
    depth = typed.Depth(span, i64)
    shallow = typed.Compare(span, typed.ValueType(BOOL), "lt", depth, const(span, DEEPEST, I64))
    chain = " -> ".join(f"`{name}`" for name in (*circle, circle[0]))
    out: list[typed.Stmt] = [typed.Require(span, shallow, "E0624", f"{chain}, {{0}} calls deep", (depth,))]
    for condition in needed:
        text = f"`{sizes.show(condition.shown or condition.expr)}` does not hold ({condition.why})"
        out.append(typed.Require(span, expressions.size_condition(ctx, span, condition.expr), "E0605", text))
    return tuple(out)


def _finish(
    session: Session, ctx: Ctx, fn: ast.Function, name: str, header: Header, body: tuple[typed.Stmt, ...]
) -> typed.Function | None:
    dims = tuple(g.name for g in fn.generics if g.bound is None)
    solution = solve(dims, header.params)
    for problem in solution.problems:
        span = next((p.name.span for p in fn.params if p.name.id == problem.param), fn.name.span)
        session.diags.error(E0314, span, problem.text)
    if solution.problems:
        return None
    needed = effects.conditions(ctx, session.diags)
    if name in session.circles:
        body = (*_bounded(ctx, fn, session.circles[name], needed), *body)
    signature = Signature(
        name, fn.kind, dims, tuple(header.params), solution.rules, (*header.conditions, *needed),
        place_of(fn.name.span), fn.doc or "",
    )  # fmt: skip
    first_reads = {a.name: effects.first_read(ctx, a) for a in header.arrays if a.effect == "out"}
    attrs: dict[str, object] = {"decorators": {d.name: d.span.text for d in fn.decorators}}
    targets = variants.allowed_targets(fn)
    if targets is not None:
        attrs["on"] = targets
    body = (*header.before, *claims.nothing_tested(ctx), *body)
    return typed.Function(
        name, fn.kind, signature, tuple(header.arrays), tuple(header.scalars), body, fn.span, dims,
        {**attrs, **effects.facts_about_arrays(ctx, header.arrays)},
        rebinding.give_back(ctx, header.renamed) if header.renamed else (),
        {n: span for n, span in first_reads.items() if span is not None},
    )  # fmt: skip


# ---------------------------------------------------------------- signature
def check_header(ctx: Ctx, fn: ast.Function, dtypes: Mapping[str, DType]) -> Header:
    """Bind what the signature declares; sizes may use ``int`` parameters that stand further right."""
    header = Header()
    for generic in fn.generics:
        entity: Entity
        if generic.bound is None:
            entity = Dim(generic.name, generic.span, generic.name)
            ctx.dims[generic.name] = entity
            ctx.dim_values[generic.name] = ctx.symbols.sym(generic.name, "dim").lin
        elif generic.bound in numbers.BOUNDS:
            entity = TypeName(generic.name, generic.span, dtypes[generic.name])
        else:
            ctx.diags.error(E0305, generic.span, f"`{generic.bound}` is no bound", help="bounds are float, int, number, any")
            entity = Broken(generic.name, generic.span)
        _declare(ctx, entity)
    for param in fn.params:
        if param.type is None:
            _declare(ctx, Broken(param.name.id, param.name.span))  # the parser has asked for the type
        elif param.type.sizes is None:
            _scalar_param(ctx, header, param, param.type)
    for param in fn.params:
        if param.type is not None and param.type.sizes is not None:
            _array_param(ctx, header, param, param.type, param.type.sizes)
    order = {p.name.id: n for n, p in enumerate(fn.params)}
    header.params.sort(key=lambda p: order[p.argument])
    for result in fn.results:
        _result(ctx, header, result)
    if fn.where is not None:
        _where(ctx, header, fn.where)
    decorators.check_decorators(ctx, fn)
    if variants.allowed_targets(fn) == ():
        variants.refuse_nowhere(ctx, fn)
    ctx.facts = ctx.facts.checked_at_call()
    ctx.start = ctx.facts
    return header


def _declare(ctx: Ctx, entity: Entity) -> None:
    taken = ctx.find(entity.name)
    if taken is not None:
        ctx.diags.error(
            E0202, entity.span, f"`{entity.name}` is declared twice in this signature",
            also=[(taken.span, "first declared here")],
        )  # fmt: skip
        entity = Broken(entity.name, entity.span)
    ctx.scopes.add(entity)


def _scalar_param(ctx: Ctx, header: Header, param: ast.Param, node: ast.TypeExpr) -> None:
    name, span = param.name.id, param.name.span
    dtype = type_exprs.dtype_of(ctx, node)
    if dtype is None:
        _declare(ctx, Broken(name, span))
        return
    if param.effect:
        ctx.diags.error(
            E0305, span, f"a scalar parameter is only read, and this is `{param.effect}`",
            help=f"return it: `-> {name}: {dtype}`, or take an array `{dtype}[1]`",
        )  # fmt: skip
    _declare(ctx, ScalarParam(name, span, dtype))
    ctx.scalar_types[name] = dtype
    if dtype.is_int:
        sym = ctx.symbols.sym(name, "param")
        ctx.scalar_values[name] = sym.lin
        if dtype.bits < 64:
            ctx.facts = ctx.facts.assume(sym.lin - dtype.min_int, -sym.lin + dtype.max_int)
    header.scalars.append((name, dtype))
    if isinstance(dtype, typed.StructType):
        if param.default is not None:
            ctx.diags.error(E0301, param.default.span, "a struct has no default")
        header.params += _params_of(name, dtype, None, "read", span)
        return
    header.params.append(Param(name, dtype.name, None, "read", place_of(span), _default(ctx, param, dtype)))


def _default(ctx: Ctx, param: ast.Param, dtype: DType) -> Scalar | None:
    if param.default is None:
        return None
    x = ctx.expr(param.default)
    if is_error(x):
        return None
    x = coerce(ctx.diags, x, dtype, f", and `{param.name.id}` is {dtype}", (param.name.span, "declared here"))
    if is_error(x):
        return None
    x = settle(x)
    if not isinstance(x, typed.Const):
        ctx.diags.error(E0301, param.default.span, "a default is a literal or a constant")
        return None
    return x.value


def _array_param(ctx: Ctx, header: Header, param: ast.Param, node: ast.TypeExpr, sizes: tuple[ast.Expr, ...]) -> None:
    if param.default is not None:
        ctx.diags.error(E0301, param.default.span, "an array has no default")
    effect = param.effect or "read"
    made = _array(ctx, param.name, node, sizes, effect, param.reduce_op)
    if made is not None:
        _add_array(header, made)


def _add_array(header: Header, var: typed.ArrayVar) -> None:
    shape = tuple(s for s in var.shape if s is not None)
    header.arrays.append(var)
    header.params += _params_of(var.name, var.dtype, shape, var.effect, var.span, var.reduce_op, var.layout)


def _params_of(
    name: str,
    dtype: DType,
    shape: tuple[Size, ...] | None,
    effect: str,
    span: Span,
    reduce_op: str = "",
    layout: str = "",
) -> list[Param]:
    """The parameter that a name declares; of a struct, one per field."""
    struct = dtype.name if isinstance(dtype, typed.StructType) else ""
    names = [(f"{name}.{path}" if path else name, leaf.name) for path, leaf in typed.leaves(dtype)]
    place = place_of(span)
    return [Param(part, leaf, shape, effect, place, None, reduce_op, struct, layout) for part, leaf in names]


def _array(
    ctx: Ctx, name: ast.Name, node: ast.TypeExpr, sizes: tuple[ast.Expr, ...], effect: str, reduce_op: str = ""
) -> typed.ArrayVar | None:
    dtype = type_exprs.dtype_of(ctx, node)
    shape = [_size(ctx, s) for s in sizes]
    if dtype is None or any(s is None for s in shape):
        _declare(ctx, Broken(name.id, name.span))
        return None
    span = name.span.to(node.span)
    if effect == "reduce" and isinstance(dtype, typed.StructType):
        structs.refuse_reduce(ctx, node, reduce_op, dtype)
    layout = type_exprs.layout_of(node)
    var = typed.ArrayVar(name.id, dtype, tuple(shape), "param", effect, span, reduce_op, layout)
    forms = tuple(_form(ctx, s) for s in shape if s is not None)
    array = Array(var, forms)
    _declare(ctx, array)
    ctx.arrays[var] = forms
    # A negative size faults at the call, so the body may rely on sizes that are not.
    ctx.facts = ctx.facts.assume(*(f for f in forms if f is not None and not f.is_const))
    return var


def _form(ctx: Ctx, size: Size) -> Lin | None:
    names: dict[str, Lin] = {**ctx.dim_values, **ctx.scalar_values}
    return ctx.symbols.from_size(size, names)


def _size(ctx: Ctx, node: ast.Expr) -> Size | None:
    """A size in the signature: an expression over dimensions, ``int`` parameters and constants."""
    size = type_exprs.size_of(ctx, node)
    if size is not None:
        return size
    if isinstance(node, ast.Name) and not expressions.is_known(ctx, node.id):
        help = f"declare the dimension in brackets: `{ctx.kind} {ctx.name}[{node.id}](...)`"
        expressions.report_unknown(ctx, node, help)
        return None
    made_of = "a size is made of dimensions, `int` parameters and literals with `+ - * // %`, `min`, `max`"
    x = ctx.expr(node)
    if not is_error(x) and not x.type.dtype.is_int:
        found = "a float" if isinstance(x, Literal) else str(x.type.dtype)
        ctx.diags.error(E0301, node.span, f"a size is an integer, and this is {found}", note=made_of)
    elif not is_error(x):
        ctx.diags.error(E0314, node.span, made_of)
    return None


def _result(ctx: Ctx, header: Header, result: ast.Result) -> None:
    if result.name is None:
        ctx.diags.error(
            E0305, result.span, f"the result of a {ctx.kind} has a name", help=f"write `-> y: {result.type.span.text}`"
        )
        return
    made = _array(ctx, result.name, result.type, result.type.sizes or (), "result")
    if made is not None:
        _add_array(header, made)


def _where(ctx: Ctx, header: Header, node: ast.Expr) -> None:
    """The ``where`` clause: a condition at the call, a fact in the body."""
    for part in node.operands if isinstance(node, ast.Logic) and node.op == "and" else (node,):
        cond = type_exprs.condition_of(ctx, part)
        if cond is None:
            x = expressions.check_condition(ctx, part, "`where`")
            if not is_error(x):
                ctx.diags.error(
                    E0304, part.span, "a `where` clause compares sizes: dimensions, `int` parameters and literals"
                )
            continue
        header.conditions.append(Condition(cond, "`where` clause", place_of(part.span)))
        names: dict[str, Lin] = {**ctx.dim_values, **ctx.scalar_values}
        ctx.facts = ctx.facts.assume(*ctx.symbols.facts_of(cond, names))


# ---------------------------------------------------------------- tests
def check_test(session: Session, module: ModuleScope, test: ast.Test, name: str) -> typed.Function | None:
    """Check one test block. None when it was reported as wrong or cannot run yet."""
    if session.is_misread(test):
        return None
    scratch = Diagnostics(limit=session.diags.limit)
    wholes: dict[object, typed.ValueAxis] = {}
    rebound = rebinding.rebound_names(test.body)
    name_facts: dict[object, rebinding.NameFacts] = {}

    def make(diags: Diagnostics, known: dict[int, LocalType]) -> Ctx:
        return Ctx(
            session, diags, module, "test", test.title, wholes=wholes, local_types=known, rebound=rebound,
            name_facts=name_facts,
        )  # fmt: skip

    ctx, body = passes.check_until_stable(scratch, make, lambda ctx: ctx.block(test.body))
    if not _can_run(session, scratch, ctx, name):
        return None
    signature = Signature(test.title, "test", (), (), (), (), place_of(_title_span(test)))
    return typed.Function(test.title, "test", signature, (), (), body, test.span)


def _title_span(test: ast.Test) -> Span:
    first = test.span.source.text.find(":", test.span.start)
    return Span(test.span.source, test.span.start, first if first > 0 else test.span.end)
