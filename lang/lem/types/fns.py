"""Calls of an ``fn``: its types from the arguments, its body checked once per kind of call (LANGUAGE 17, 31).

Takes a call and the definition of the fn; gives a typed :class:`CallFn`. An fn is code for one element: values that have
axes are mapped over, so instances differ by dtypes only. One that takes arrays is checked for the very arrays it is given.
"""

from __future__ import annotations

from dataclasses import field, replace

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0208, E0301, E0306, E0313, E0314, E0315, E0318, E0324, E0325
from lem.names import Definition, ModuleScope
from lem.source import Span
from lem.syntax import ast
from lem.types import integers, numbers, passes, structs, subscripts, type_exprs, typed
from lem.types.arguments import match_args
from lem.types.context import Ctx, LocalType, Session
from lem.types.convert import NO_AXES, Adaptable, Literal, adapts, agree, coerce, const, error, is_error, settle
from lem.types.linear import Lin
from lem.types.numbers import ERROR
from lem.types.prove import Context
from lem.types.scope import Array, Dim, Local, TypeName
from lem_runtime.abi.dtypes import BOOL, F64, I64, DType
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.sizes import Size, show

Arg = typed.Expr | Array


@dataclass(frozen=True, slots=True)
class BoundDim:
    """A size of the caller that a dimension of an fn stands for, or that an array needs: as an expression and as a form,
    where it is such; the axis of an array that has it."""

    size: Size | None
    form: Lin | None
    array: typed.ArrayVar | None = None
    axis: int = 0

    @property
    def shown(self) -> str:
        if self.size is not None:
            return show(self.size)
        return self.form.show() if self.form is not None else "that is not known here"

    def is_known_to_be(self, other: BoundDim, facts: Context) -> bool:
        if (self.array, self.axis) == (other.array, other.axis) or (self.size is not None and self.size == other.size):
            return True
        return self.form is not None and other.form is not None and facts.prove_eq(self.form, other.form)


@dataclass(slots=True)
class Binding:
    """What the generic names of an fn stand for in one call."""

    session: Session
    scope: ModuleScope  # of the fn
    types: dict[str, DType] = field(default_factory=dict)
    type_args: dict[str, list[typed.Expr]] = field(default_factory=dict)
    dims: dict[str, BoundDim] = field(default_factory=dict)
    key: tuple[object, ...] = ()  # of the instance
    before: list[typed.Stmt] | None = None  # tests of sizes that are not known, where there is a place for them
    spans: dict[str, Span] = field(default_factory=dict)  # of the arguments, by parameter

    def dtype_of(self, node: ast.TypeExpr) -> DType | None:
        """The type that the fn's signature names; None when it is none, ERROR when that was reported."""
        return self.types.get(node.name) or structs.type_named(self.session, self.scope, node.name)


def call_fn(ctx: Ctx, node: ast.Call, found: Definition) -> typed.Expr:
    """A call of an fn with one result."""
    parts: list[typed.Stmt] = []
    made = instantiate_call(ctx, node, found, parts)
    if made is None:
        return error(node.span)
    instance, args = made
    if len(instance.results) != 1:
        ctx.diags.error(
            E0315, node.span, f"`{found.name}` returns {len(instance.results)} values",
            help=f"assign them: `a, b = {node.span.text}`",
        )  # fmt: skip
        return error(node.span)
    call = typed.CallFn(node.span, result_type(instance, 0, args), instance, args)
    return typed.Having(node.span, call.type, tuple(parts), call) if parts else call


def result_type(instance: typed.FnInstance, n: int, args: tuple[typed.Expr | typed.ArrayVar, ...]) -> typed.ValueType:
    """Type of the `n`-th result of a call: mapped over all axes of the arguments."""
    axes = NO_AXES.union(*(a.type.axes for a in args if isinstance(a, typed.Expr)))
    return typed.ValueType(instance.results[n].dtype, axes)


def call_library(ctx: Ctx, span: Span, module: str, name: str, values: tuple[typed.Expr, ...]) -> typed.Expr:
    """A call that the checker itself makes, of an fn of the library; values that are of the types of its parameters."""
    found = ctx.module.session.module(module)
    definition = found.own.get(name) if found else None
    if definition is None or not isinstance(definition.node, ast.Function):
        ctx.diags.error(
            E0208, span, f"`{name}` of the library's `{module}` is needed here, and another module hides it",
            help=f"give the file `{module}.lem` beside this one another name",
        )  # fmt: skip
        return error(span)
    made = instance(ctx, span, definition, definition.node, list(values))
    return error(span) if made is None else typed.CallFn(span, result_type(made[0], 0, made[1]), *made)


def instantiate_call(
    ctx: Ctx, node: ast.Call, found: Definition, out: list[typed.Stmt]
) -> tuple[typed.FnInstance, tuple[typed.Expr | typed.ArrayVar, ...]] | None:
    """The instance for a call, and its arguments converted; what makes those that are parts of arrays is added to `out`.
    None when anything was reported."""
    fn = found.node
    assert isinstance(fn, ast.Function)
    names = [p.name.id for p in fn.params]
    required = [p.name.id for p in fn.params if p.default is None]
    given = match_args(ctx, node, found.name, names, required, fn.name.span)
    if given is None:
        return None
    args: list[Arg] = []
    spans: dict[str, Span] = {}
    for param in fn.params:
        arg = given.get(param.name.id, param.default)
        assert arg is not None
        args.append(_argument(ctx, param, arg, out))
        spans[param.name.id] = arg.span
    if any(isinstance(a, typed.Expr) and is_error(a) for a in args):
        return None
    return instance(ctx, node.span, found, fn, args, out, spans)


def _argument(ctx: Ctx, param: ast.Param, node: ast.Expr, out: list[typed.Stmt]) -> Arg:
    """An argument: a value, or an array where the parameter is one or says nothing."""
    wants_array = param.type is not None and param.type.sizes is not None
    entity = ctx.find(node.id) if isinstance(node, ast.Name) else None
    if isinstance(entity, Array) and entity.var.shape and (wants_array or param.type is None):
        return _of_some_size(ctx, entity) if subscripts.has_value(ctx, node.span, entity) else error(node.span)
    if wants_array and ctx.session.handlers.is_part(ctx, node):
        return _part(ctx, node, out)
    x = ctx.expr(node)
    if wants_array and not is_error(x):
        ctx.diags.error(E0306, node.span, f"`{param.name.id}` is an array, and this is one value")
        return error(node.span)
    # "Passed to a function a dimension is i64": only literals still take the parameter's type.
    return settle(x) if isinstance(x, Adaptable) else x


def _part(ctx: Ctx, node: ast.Expr, out: list[typed.Stmt]) -> Arg:
    """``dot(a[i, :], b)``"""
    part = ctx.session.handlers.part(ctx, node, out)
    return error(node.span) if part is None else _of_some_size(ctx, part)


def _of_some_size(ctx: Ctx, array: Array) -> Array:
    """The array, with a form for every size: for the fn they do not change."""
    known = (s if s is not None else ctx.symbols.unknown(f"{array.name}.{n}", 0).lin for n, s in enumerate(array.sizes))
    return replace(array, sizes=tuple(known))


def instance(
    ctx: Ctx,
    span: Span,
    found: Definition,
    fn: ast.Function,
    args: list[Arg],
    out_before: list[typed.Stmt] | None = None,
    spans: dict[str, Span] | None = None,
) -> tuple[typed.FnInstance, tuple[typed.Expr | typed.ArrayVar, ...]] | None:
    if ctx.session.is_misread(fn):
        return None
    if fn.results and any(r.type.sizes is not None for r in fn.results):
        ctx.diags.error(
            E0315, fn.results[0].span, "an fn is code for one element, and returns values of one element",
            help="write a kernel that makes the array: `kernel f(...) -> y: ...`",
        )  # fmt: skip
        return None
    spans = spans or {p.name.id: span for p in fn.params}
    binding = Binding(ctx.session, found.scope, before=out_before, spans=spans)
    if not all(_bind_param(ctx, fn, p, a, binding) for p, a in zip(fn.params, args, strict=True)):
        return None
    if not _bind_types(ctx, span, fn, binding):
        return None
    out: list[typed.Expr | typed.ArrayVar] = []
    for param, arg in zip(fn.params, args, strict=True):
        if isinstance(arg, Array):
            out.append(arg.var)
            subscripts.touch_all(ctx, arg, span)
            continue
        converted = _convert(ctx, fn, param, arg, binding)
        if is_error(converted):
            return None
        out.append(converted)
    key = binding.key = _key(fn, out, binding)
    session = ctx.session
    if any(active is fn for active in session.active_fns):
        ctx.diags.error(
            E0324, span, f"`{fn.name.id}` is called while it is being inlined", also=[(fn.name.span, "defined here")],
            help="an fn is inlined, so it cannot be recursive: use a loop",
        )  # fmt: skip
        return None
    if key not in session.fns:
        session.fns[key] = None
        session.active_fns.append(fn)
        try:
            session.fns[key] = _check_instance(ctx, found, fn, tuple(out), args, binding)
        finally:
            session.active_fns.pop()
    instance = session.fns[key]
    if key in session.fns_not_run:
        ctx.not_yet(*session.fns_not_run[key])
    return None if instance is None else (instance, tuple(out))


def _key(fn: ast.Function, args: list[typed.Expr | typed.ArrayVar], binding: Binding) -> tuple[object, ...]:
    kinds = tuple(a if isinstance(a, typed.ArrayVar) else a.type.dtype for a in args)
    return (id(fn), kinds, tuple(sorted(binding.types.items(), key=lambda t: t[0])))


# ---------------------------------------------------------------- generic names
def _bind_param(ctx: Ctx, fn: ast.Function, param: ast.Param, arg: Arg, binding: Binding) -> bool:
    """Note what an argument says about the fn's dimensions and type parameters."""
    if param.type is None:
        return True
    generic = {g.name: g for g in fn.generics}
    name = param.type.name
    if isinstance(arg, typed.Expr):
        if name in generic and generic[name].bound is not None:
            binding.type_args.setdefault(name, []).append(arg)
        return True
    if name in generic:
        binding.types.setdefault(name, arg.var.dtype)
        if binding.types[name] != arg.var.dtype:
            ctx.diags.error(E0301, arg.span, f"`{name}` is {binding.types[name]} and {arg.var.dtype} in one call")
            return False
    elif binding.dtype_of(param.type) != arg.var.dtype:
        ctx.diags.error(
            E0301, binding.spans[param.name.id], f"`{fn.name.id}` takes an array of {name}, found {arg.var.dtype}",
            also=[(param.type.span, "declared here")],
        )  # fmt: skip
        return False
    return _bind_sizes(ctx, fn, param, arg, binding)


def _bind_sizes(ctx: Ctx, fn: ast.Function, param: ast.Param, arg: Array, binding: Binding) -> bool:
    assert param.type is not None and param.type.sizes is not None
    wanted = param.type.sizes
    if len(wanted) != len(arg.var.shape):
        ctx.diags.error(
            E0306, binding.spans[param.name.id],
            f"`{param.name.id}` has {_axes(len(wanted))}, `{arg.name}` has {len(arg.var.shape)}",
            also=[(param.type.span, "declared here")],
        )  # fmt: skip
        return False
    dims = {g.name for g in fn.generics if g.bound is None}
    for axis, size in enumerate(wanted):
        have = BoundDim(arg.var.shape[axis], arg.sizes[axis], arg.var, axis)
        if isinstance(size, ast.Name) and size.id in dims:
            want = binding.dims.setdefault(size.id, have)
        else:
            found = type_exprs.size_over(size, lambda name: name.id if name.id in binding.dims else None)
            if found is None:
                ctx.diags.error(
                    E0314, size.span, "a size is made of literals, and of dimensions that an axis further left has alone",
                    help=f"give that dimension by a parameter before `{param.name.id}`",
                )  # fmt: skip
                return False
            forms = {name: dim.form for name, dim in binding.dims.items() if dim.form is not None}
            want = BoundDim(_in_caller(binding, found), ctx.symbols.from_size(found, forms))
        if not want.is_known_to_be(have, ctx.facts) and not _tested(ctx, binding, param, size, want, have):
            needs = f"axis {axis} of `{arg.name}` has size {have.shown}, and `{param.name.id}` needs {want.shown}"
            ctx.diags.error(E0313, binding.spans[param.name.id], needs, also=[(size.span, "declared here")])
            return False
    return True


def _axes(n: int) -> str:
    return "1 axis" if n == 1 else f"{n} axes"


def _tested(ctx: Ctx, binding: Binding, param: ast.Param, size: ast.Expr, want: BoundDim, have: BoundDim) -> bool:
    """Test sizes where the call runs, which only then are known; those of two dimensions are known to agree, or they do
    not."""
    known = want.size is not None and have.size is not None
    differ = want.form is not None and have.form is not None and ctx.facts.prove_ne(want.form, have.form)
    if known or differ or binding.before is None or have.array is None:
        return False
    span, i64 = have.array.span, typed.ValueType(I64)
    found = type_exprs.size_over(size, lambda name: name.id)
    values = (typed.ArraySize(span, i64, have.array, have.axis), _size_expr(binding, span, found))
    same = typed.Compare(span, typed.ValueType(BOOL), "eq", *values)
    text = f"axis {have.axis} of `{have.array.name}` has size {{0}}, and `{param.name.id}` needs {{1}}"
    binding.before.append(typed.Require(span, same, "E0605", text, values))
    return True


def _size_expr(binding: Binding, span: Span, size: Size | None) -> typed.Expr:
    """A size over the fn's dimensions as a value of the caller."""
    if isinstance(size, str):
        bound = binding.dims[size]
        assert bound.array is not None
        return typed.ArraySize(span, typed.ValueType(I64), bound.array, bound.axis)
    if not isinstance(size, tuple):
        return const(span, size or 0, I64)
    op = {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod"}.get(str(size[0]), str(size[0]))
    x, y = _size_expr(binding, span, size[1]), _size_expr(binding, span, size[2])
    return typed.Binary(span, typed.ValueType(I64), op, x, y, check=op in ("floordiv", "mod"))


def _in_caller(binding: Binding, size: Size) -> Size | None:
    """A size over the fn's dimensions as one of the caller."""
    if isinstance(size, int):
        return size
    if isinstance(size, str):
        return binding.dims[size].size
    a, b = _in_caller(binding, size[1]), _in_caller(binding, size[2])
    return None if a is None or b is None else (size[0], a, b)


def _bind_types(ctx: Ctx, span: Span, fn: ast.Function, binding: Binding) -> bool:
    """Each type parameter: the common type of its arguments; literals take the others' type."""
    for generic in fn.generics:
        if generic.bound is None:
            continue
        args = binding.type_args.get(generic.name, [])
        found = binding.types.get(generic.name)
        for arg in args:
            if isinstance(arg, Literal):
                continue
            merged = arg.type.dtype if found is None else numbers.common(found, arg.type.dtype)
            if merged is None:
                ctx.diags.error(
                    E0325, arg.span, f"`{generic.name}` would be both {found} and {arg.type.dtype}",
                    also=[(fn.name.span, "declared here")], help="convert one of the arguments",
                )  # fmt: skip
                return False
            found = merged
        if found is None and args:
            real = generic.bound == "float" or any(a.type.dtype == F64 for a in args)
            found = F64 if real else I64
        if found is None:
            declared = [(fn.name.span, "declared here")]
            ctx.diags.error(E0325, span, f"no argument says what `{generic.name}` is", also=declared)
            return False
        if found.is_float:
            found = numbers.compute_type(found)
        if generic.bound != "any" and found not in numbers.BOUNDS.get(generic.bound, ()):
            what = {"float": "floats", "int": "integers", "number": "numbers"}.get(generic.bound, generic.bound)
            culprit = next((a for a in args if a.type.dtype == found), args[0] if args else None)
            ctx.diags.error(
                E0301, culprit.span if culprit else span, f"`{fn.name.id}` takes {what}, and this is {found}",
                help=f"convert it: `f32({culprit.span.text})`" if culprit and generic.bound == "float" else (),
            )  # fmt: skip
            return False
        binding.types[generic.name] = found
    return True


def _convert(ctx: Ctx, fn: ast.Function, param: ast.Param, arg: typed.Expr, binding: Binding) -> typed.Expr:
    """An argument as its parameter's type."""
    if param.type is None:
        return settle(arg)
    dtype = binding.dtype_of(param.type)
    if dtype is None or dtype is ERROR:
        return settle(arg)  # reported where the fn is checked
    return coerce(ctx.diags, arg, dtype, f", for `{param.name.id}`", (param.name.span, f"`{param.name.id}` is {dtype}"))


# ---------------------------------------------------------------- the body
def _check_instance(
    ctx: Ctx,
    found: Definition,
    fn: ast.Function,
    args: tuple[typed.Expr | typed.ArrayVar, ...],
    given: list[Arg],
    binding: Binding,
) -> typed.FnInstance | None:
    declared = _declared_results(fn, binding)
    if declared is not None and ERROR in declared:
        return None
    return check_instance_body(ctx.session, ctx, found, fn, args, given, binding, declared)


def check_instance_body(
    session: Session,
    caller: Ctx | None,
    found: Definition,
    fn: ast.Function,
    args: tuple[typed.Expr | typed.ArrayVar, ...],
    given: list[Arg],
    binding: Binding,
    declared: tuple[DType, ...] | None,
) -> typed.FnInstance | None:
    """Check the body of an fn for these types; a second time where its result type has to be found first."""
    before = session.diags.n_errors
    for _ in range(3):
        want = declared

        def make(diags: Diagnostics, known: dict[int, LocalType]) -> Ctx:
            ctx = Ctx(session, diags, found.scope, "fn", fn.name.id, local_types=known, returns=want, owner=fn)  # noqa: B023
            _bind_names(ctx, caller, fn, args, given, binding)
            return ctx

        scratch = Diagnostics(limit=session.diags.limit)
        ctx, body = passes.check_until_stable(scratch, make, lambda ctx: ctx.block(fn.body))
        results = declared if declared is not None else _inferred_results(ctx, scratch, fn)
        if declared is not None or results is None:
            break
        declared = results
    if ctx.flow.live and results is not None:
        scratch.error(
            E0318, fn.name.span, f"the end of `{fn.name.id}` can be reached without a `return`",
            help="return a value after the last `if`",
        )  # fmt: skip
    passes.hand_over(scratch, session.diags)
    if ctx.not_run is not None:
        session.fns_not_run[binding.key] = ctx.not_run
    if results is None or session.diags.n_errors > before or scratch.has_errors:
        return None
    params = tuple(ctx.params)
    return typed.FnInstance(fn.name.id, params, tuple(typed.ValueType(t) for t in results), body, fn.span)


def _bind_names(
    ctx: Ctx,
    caller: Ctx | None,
    fn: ast.Function,
    args: tuple[typed.Expr | typed.ArrayVar, ...],
    given: list[Arg],
    binding: Binding,
) -> None:
    if caller is not None and any(isinstance(g, Array) for g in given):
        # Sizes inside the fn are the caller's sizes, so they speak of the caller's dimensions.
        ctx.symbols, ctx.facts, ctx.start = caller.symbols, caller.start, caller.start
        ctx.dim_values, ctx.scalar_values = dict(caller.dim_values), dict(caller.scalar_values)
        ctx.scalar_types, ctx.facts_of_name = dict(caller.scalar_types), caller.facts_of_name
    for generic in fn.generics:
        if generic.bound is not None:
            ctx.scopes.add(TypeName(generic.name, generic.span, binding.types[generic.name]))
        elif generic.name in binding.dims:
            bound = binding.dims[generic.name]
            of = (bound.array, bound.axis) if bound.array is not None else None
            ctx.scopes.add(Dim(generic.name, generic.span, bound.size, of))
    for param, arg, have in zip(fn.params, args, given, strict=True):
        if isinstance(have, Array):
            ctx.scopes.add(have, param.name.id)
            ctx.arrays[have.var] = have.sizes
            ctx.assign(have.var)
            ctx.params.append(have.var)
            continue
        assert isinstance(arg, typed.Expr)
        dtype = arg.type.dtype
        var = typed.LocalVar(param.name.id, typed.ValueType(dtype), param.name.span)
        value = integers.anything(ctx, param.name.id, dtype)
        local = Local(var, id(param.name), None, value, NO_AXES, is_annotated=True, is_param=True)
        ctx.scopes.add(local)
        ctx.infos[var] = local
        ctx.assign(local)
        ctx.params.append(var)


def _declared_results(fn: ast.Function, binding: Binding) -> tuple[DType, ...] | None:
    if not fn.results:
        return None
    out = []
    for result in fn.results:
        dtype = binding.dtype_of(result.type)
        if dtype is None:
            structs.unknown_type(binding.session, binding.scope, result.type)
        out.append(dtype or ERROR)
    return tuple(out)


def _inferred_results(ctx: Ctx, diags: Diagnostics, fn: ast.Function) -> tuple[DType, ...] | None:
    """Result types of an fn that does not declare them: the common types of what it returns."""
    rows = [r for r in ctx.return_values if r]
    if diags.has_errors:
        return None
    if not rows:
        diags.error(E0318, fn.name.span, f"`{fn.name.id}` returns nothing", help="an fn is a value: `return ...`")
        return None
    merged = list(rows[0])
    for row in rows[1:]:
        if len(row) != len(merged):
            diags.error(E0318, row[0].span, f"this returns {len(row)} values, another `return` {len(merged)}")
            return None
        for n, value in enumerate(row):
            both = agree(diags, value.span, merged[n], value, "what is returned")
            if both is None:
                return None
            merged[n] = const(value.span, 0, both[2]) if not (adapts(merged[n]) and adapts(value)) else merged[n]
    return tuple(settle(v).type.dtype for v in merged)
