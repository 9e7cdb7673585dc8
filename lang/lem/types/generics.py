"""Kernels that are generic over dtypes, and which instance a call means (LANGUAGE 31).

Takes a call's arguments; gives the checked function to call: the kernel itself, or its instance ``axpy[f32]``.
"""

from __future__ import annotations

from collections.abc import Mapping

from lem.diagnostics.codes import E0301, E0324, E0325
from lem.names import Definition
from lem.syntax import ast
from lem.types import numbers, typed
from lem.types.context import Ctx, Session
from lem.types.convert import Adaptable, Literal
from lem.types.scope import Array
from lem_runtime.abi.dtypes import F64, I64, DType


def type_params(fn: ast.Function) -> list[tuple[str, str]]:
    """Type parameters with their bounds, in order."""
    return [(g.name, g.bound) for g in fn.generics if g.bound is not None]


def instance_name(session: Session, found: Definition, dtypes: Mapping[str, DType]) -> str:
    """The name of a function in the typed module: dotted for imported ones, with dtypes for instances."""
    fn = found.node
    assert isinstance(fn, ast.Function)
    own = found.scope is session.bound.scope
    name = fn.name.id if own else f"{found.scope.name}.{fn.name.id}"
    return f"{name}[{', '.join(str(t) for t in dtypes.values())}]" if dtypes else name


def callee_for(
    ctx: Ctx, node: ast.Call, found: Definition, fn: ast.Function, args: Mapping[str, Array | typed.Expr]
) -> typed.Function | None:
    """The checked function that a call means; None when anything was reported."""
    dtypes = _bind(ctx, node, fn, args)
    if dtypes is None:
        return None
    session = ctx.session
    name = instance_name(session, found, dtypes)
    around = [active for active, _ in session.active]
    if name in around:
        if fn.kind == "task":
            session.circles.setdefault(name, tuple(around[around.index(name) :]))
            known: typed.Function | None = session.handlers.declared(session, found, fn, name, dtypes)
            return known
        ctx.diags.error(
            E0324, node.span, f"`{fn.name.id}` is called while it is being checked", also=[(fn.name.span, "defined here")],
            help="only tasks may be recursive",
        )  # fmt: skip
        return None
    function: typed.Function | None = session.handlers.function(session, found, dtypes)
    if function is None and name in session.not_run:
        ctx.not_yet(f"`{fn.name.id}`, which needs {session.not_run[name][0]}", node.span)
    if function is not None:
        session.functions.setdefault(name, function)
    return function


def _bind(ctx: Ctx, node: ast.Call, fn: ast.Function, args: Mapping[str, Array | typed.Expr]) -> dict[str, DType] | None:
    """The dtypes of type parameters, from the arguments alone."""
    out: dict[str, DType] = {}
    for name, bound in type_params(fn):
        users = [(p, args[p.name.id]) for p in fn.params if p.type is not None and p.type.name == name and p.name.id in args]
        found: DType | None = None
        for _, arg in users:
            if isinstance(arg, Array):
                if found is not None and found != arg.var.dtype:
                    ctx.diags.error(
                        E0325, node.span, f"`{name}` would be both {found} and {arg.var.dtype}",
                        also=[(fn.name.span, "declared here")],
                    )  # fmt: skip
                    return None
                found = arg.var.dtype
        for _, arg in users:
            if found is None and isinstance(arg, typed.Expr) and not isinstance(arg, Literal | Adaptable):
                found = arg.type.dtype
        if found is None and users:
            found = F64 if bound == "float" or any(_is_float(a) for _, a in users) else I64
        if found is None:
            ctx.diags.error(E0325, node.span, f"no argument says what `{name}` is", also=[(fn.name.span, "declared here")])
            return None
        if found not in numbers.BOUNDS.get(bound, ()):
            ctx.diags.error(E0301, node.span, f"`{name}` is a {bound}, and this call makes it {found}",
                            also=[(fn.name.span, "declared here")])  # fmt: skip
            return None
        out[name] = found
    return out


def _is_float(arg: Array | typed.Expr) -> bool:
    return isinstance(arg, typed.Expr) and arg.type.dtype.is_float
