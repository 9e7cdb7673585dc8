"""The checker's table and its entry points.

Takes a :class:`Bound` module; gives a :class:`typed.Module`. The table says which function checks which node: reading it
is the quickest way into this folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0301
from lem.diagnostics.depth import bounded
from lem.names import Bound, Definition
from lem.syntax import ast
from lem.types import (
    assign,
    checks,
    constants,
    declare,
    expressions,
    fns,
    functions,
    generics,
    kernel_calls,
    loops,
    numbers,
    parts,
    powers,
    shapes,
    statements,
    stores,
    structs,
    type_exprs,
    typed,
)
from lem.types.builtins import TABLE
from lem.types.context import Ctx, Handlers, Session
from lem.types.convert import const
from lem.types.scope import Array, Dim
from lem_runtime.abi.dtypes import DTYPES, DType
from lem_runtime.abi.signature import Signature

HANDLERS = Handlers(
    expressions={
        ast.Name: expressions.check_name,
        ast.Number: expressions.check_number,
        ast.Bool: expressions.check_bool,
        ast.Unary: expressions.check_unary,
        ast.Binary: expressions.check_binary,
        ast.Logic: expressions.check_logic,
        ast.Compare: expressions.check_compare,
        ast.IfExpr: expressions.check_if_expr,
        ast.Call: parts.check_call,
        ast.Attribute: shapes.check_attribute,
        ast.Subscript: shapes.check_subscript,
        ast.ErrorExpr: expressions.check_error_expr,
        **dict.fromkeys(
            (ast.String, ast.FString, ast.FormatField, ast.TupleExpr, ast.ListExpr, ast.Slice, ast.Comprehension),
            expressions.refuse_value,
        ),
    },
    statements={
        ast.Assign: assign.check_assign,
        ast.AugAssign: stores.check_aug_assign,
        ast.Declare: declare.check_declare,
        ast.ExprStmt: statements.check_expr_stmt,
        ast.Sync: statements.check_sync,
        ast.If: statements.check_if,
        ast.While: loops.check_while,
        ast.ForStmt: loops.check_for,
        ast.Break: statements.check_break,
        ast.Continue: statements.check_continue,
        ast.Return: statements.check_return,
        ast.Pass: statements.check_pass,
        ast.Assert: statements.check_assert,
        ast.Check: checks.check_check,
        ast.ErrorStmt: statements.check_error_stmt,
    },
    function=functions.check_function,
    header=functions.check_header,
    declared=functions.declared,
    is_part=parts.is_part,
    part=parts.check_part,
    power=powers.power,
    nested=kernel_calls.check_nested,
    builtins=TABLE,
)


def check(bound: Bound, diags: Diagnostics) -> typed.Module:
    """Check every item of a module; what it imports is checked as far as it is called."""
    session = Session(bound, diags, HANDLERS)
    made = typed.Module(bound.name, session.functions, {})
    fns_left: list[Definition] = []
    for definition in bound.scope.own.values():
        with bounded(diags, definition.name, definition.span):
            if definition.kind == "constant":
                constants.value_of(session, definition)
            elif definition.kind == "struct":
                structs.struct_type(session, definition)
            elif isinstance(definition.node, ast.Function):
                if definition.node.kind == "fn":
                    fns_left.append(definition)
                else:
                    _check_item(session, made, definition, definition.node)
    made.tests = tuple(_check_tests(session, bound))
    for definition in fns_left:
        with bounded(diags, definition.name, definition.span):
            _check_fn_alone(session, definition)
    made.not_run = tuple((name, reason, span) for name, (reason, span) in session.not_run.items())
    return made


def _check_item(session: Session, made: typed.Module, found: Definition, fn: ast.Function) -> None:
    """A kernel or task of the module; one that is generic over dtypes is tried with one dtype per bound."""
    params = generics.type_params(fn)
    dtypes = {name: numbers.REPRESENTATIVE.get(bound, DTYPES["f32"]) for name, bound in params}
    function = functions.check_function(session, found, dtypes)
    if function is None:
        return
    if params:
        made.generics[fn.name.id] = typed.Generic(fn.name.id, tuple(params), _generic_signature(fn, function.signature))
    else:
        session.functions.setdefault(function.name, function)


def _generic_signature(fn: ast.Function, sig: Signature) -> Signature:
    """The signature of an instance with type parameters in place of their dtypes."""
    names = {g.name for g in fn.generics if g.bound is not None}
    written = {p.name.id: p.type.name for p in fn.params if p.type is not None}
    written |= {r.name.id: r.type.name for r in fn.results if r.name is not None}
    params = tuple(replace(p, dtype=written[p.name]) if not p.struct and written[p.name] in names else p for p in sig.params)
    return Signature(fn.name.id, sig.kind, sig.dims, params, sig.rules, sig.conditions, sig.place, sig.doc)


def _check_tests(session: Session, bound: Bound) -> list[typed.Function]:
    out: list[typed.Function] = []
    for item in bound.tree.items:
        if isinstance(item, ast.Test):
            with bounded(session.diags, item.title, item.span):
                function = functions.check_test(session, bound.scope, item, f'test "{item.title}"')
                if function is not None:
                    out.append(function)
    return out


def _check_fn_alone(session: Session, found: Definition) -> None:
    """An fn that nothing calls is checked for the types it declares, with one dtype per bound. What may be `any` type may
    be a struct that only a call could name."""
    fn = found.node
    assert isinstance(fn, ast.Function)
    if any(g.bound == "any" for g in fn.generics):
        return
    if session.is_misread(fn) or any(key[0] == id(fn) for key in session.fns) or any(p.type is None for p in fn.params):
        return
    ctx = Ctx(session, session.diags, found.scope, "kernel", fn.name.id, owner=fn)
    types = {g.name: numbers.REPRESENTATIVE.get(g.bound, DTYPES["f32"]) for g in fn.generics if g.bound is not None}
    for generic in fn.generics:
        if generic.bound is None:
            ctx.scopes.add(Dim(generic.name, generic.span, generic.name))
            ctx.dim_values[generic.name] = ctx.symbols.sym(generic.name, "dim").lin
    args = [_sample(ctx, p, types) for p in fn.params]
    if all(a is not None for a in args):
        fns.instance(ctx, fn.name.span, found, fn, [a for a in args if a is not None])
    if ctx.not_run is not None:
        session.not_run[fn.name.id] = ctx.not_run


def _sample(ctx: Ctx, param: ast.Param, types: Mapping[str, DType]) -> fns.Arg | None:
    """Some argument of the declared type."""
    assert param.type is not None
    dtype = types.get(param.type.name) or type_exprs.dtype_of(ctx, param.type)
    if dtype is None:
        return None
    if param.type.sizes is None:
        return const(param.name.span, False if dtype.is_bool else 0, dtype)
    shape = tuple(type_exprs.size_of(ctx, s) for s in param.type.sizes)
    var = typed.ArrayVar(param.name.id, dtype, shape, "param", "read", param.name.span)
    forms = tuple(None if s is None else ctx.symbols.from_size(s, ctx.dim_values) for s in shape)
    return Array(var, forms)


def instantiate(
    bound: Bound, module: typed.Module, name: str, dtypes: Mapping[str, str], diags: Diagnostics
) -> typed.Function | None:
    """The instance of a generic kernel for dtypes by type parameter, added to `module.functions` with what it calls;
    None when it was reported as wrong."""
    found = bound.scope.own.get(name)
    if found is None or not isinstance(found.node, ast.Function):
        return None
    if not _suits(found.node, dtypes, diags):
        return None
    session = Session(bound, diags, HANDLERS, functions=module.functions)
    session.checked.update(module.functions)
    wanted = {param: DTYPES[dtypes[param]] for param, _ in generics.type_params(found.node)}
    function = None
    with bounded(diags, name, found.span):
        function = functions.check_function(session, found, wanted)
    if function is not None:
        module.functions.setdefault(function.name, function)
    return function


def _suits(fn: ast.Function, dtypes: Mapping[str, str], diags: Diagnostics) -> bool:
    """Whether the dtypes of a call are of the kinds that a generic kernel says; else it is reported."""
    for name, bound in generics.type_params(fn):
        if DTYPES[dtypes[name]] not in numbers.BOUNDS[bound]:
            diags.error(E0301, fn.name.span, f"`{name}` is {_A[bound]}, and this call makes it {dtypes[name]}")
            return False
    return True


_A = {"float": "a float", "int": "an integer", "number": "a number"}

__all__ = ["check", "instantiate"]
