"""Variants of kernels: which body a call runs (``@variant(of=f, on=cpu, when=N % 32 == 0)``).

Takes the definition of a kernel; gives the variants of it in its module, in the order of the text, each with the call that
runs it instead and the condition of its choice: it is for the target at hand, its `when` holds, and so does what its own
signature asks for. The first one that may run runs, else the kernel's own body. The order is the text's and the conditions
are over sizes and scalars, so every run of a program chooses alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0324, E0501
from lem.names import Definition, ModuleScope
from lem.source import Span
from lem.syntax import ast
from lem.types import expressions, generics, typed
from lem.types.context import Ctx, Session
from lem.types.convert import is_error
from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.targets import targets_of

BOOL_TYPE = typed.ValueType(BOOL)


def allowed_targets(fn: ast.Function) -> tuple[str, ...] | None:
    """Targets that a function may run on, by its ``@on`` and ``@variant(on=...)``; None where neither says."""
    out: tuple[str, ...] | None = None
    for decorator in {d.name: d for d in reversed(fn.decorators)}.values():  # the first of each: another one was reported
        named = decorator.args if decorator.name == "on" else tuple(_argument(decorator, "on"))
        here = tuple(t for node in named if isinstance(node, ast.Name) for t in targets_of(node.id))
        if decorator.name in ("on", "variant") and here:
            out = here if out is None else tuple(t for t in here if t in out)
    return out


def refuse_nowhere(ctx: Ctx, fn: ast.Function) -> None:
    """Report a variant for targets that its ``@on`` leaves out."""
    on, variant = (next(d for d in fn.decorators if d.name == name) for name in ("on", "variant"))
    ctx.diags.error(
        E0501, variant.span, f"`{fn.name.id}` is a variant for targets that its `@on` leaves out",
        also=[(on.span, "it runs there")], help="name the targets once",
    )  # fmt: skip


def of_kernel(
    session: Session, ctx: Ctx, fn: ast.Function, name: str, dtypes: Mapping[str, DType],
    arrays: Sequence[typed.ArrayVar],
) -> list[typed.Variant]:  # fmt: skip
    """The variants of a kernel, whose instance for `dtypes` is called `name` and has these arrays."""
    out: list[typed.Variant] = []
    for found, decorator in _definitions(ctx.module, fn):
        assert isinstance(found.node, ast.Function)
        if generics.instance_name(session, found, dtypes) in (active for active, _ in session.active):
            session.diags.error(
                E0324, found.node.name.span, f"`{found.name}` is a variant of `{name}`, and calls it",
                also=[(fn.name.span, "defined here")], help="the call might choose it again: call a kernel without variants",
            )  # fmt: skip
            continue
        function = session.handlers.function(session, found, dtypes)
        parts = _conditions(session, found, decorator, function, dtypes) if function is not None else None
        if parts is not None:
            session.functions.setdefault(function.name, function)
            suits, there = _all(decorator.span, parts[1:]), _all(decorator.span, parts)
            out.append(typed.Variant(suits, there, _call(fn.name.span, function, tuple(arrays))))
    return out


def choosing(variants: Sequence[typed.Variant], body: tuple[typed.Stmt, ...]) -> tuple[typed.Stmt, ...]:
    """The body of a kernel behind the choice of a variant."""
    for variant in reversed(variants):
        body = (typed.If(variant.call.span, variant.cond, (variant.call,), body),)
    return body


def _definitions(module: ModuleScope, base: ast.Function) -> Iterator[tuple[Definition, ast.Decorator]]:
    for found in module.own.values():
        if not isinstance(found.node, ast.Function) or found.node.kind != "kernel" or found.node is base:
            continue
        for decorator in found.node.decorators:
            of = next(iter(_argument(decorator, "of")), None)
            known = module.own.get(of.id) if decorator.name == "variant" and isinstance(of, ast.Name) else None
            if known is not None and known.node is base:
                yield found, decorator


def _argument(decorator: ast.Decorator, name: str) -> Iterator[ast.Expr]:
    return (k.value for k in decorator.keywords if k.name == name)


def _conditions(
    session: Session, found: Definition, decorator: ast.Decorator, function: typed.Function, dtypes: Mapping[str, DType]
) -> list[typed.Expr] | None:
    """When the variant runs: its target first, then what else; None where its decorator is wrong, which was reported."""
    fn = found.node
    assert isinstance(fn, ast.Function)
    diags = Diagnostics(limit=session.diags.limit)
    ctx = Ctx(session, diags, found.scope, "kernel", fn.name.id, owner=fn)
    session.handlers.header(ctx, fn, dtypes)
    span = decorator.span
    targets = allowed_targets(fn)
    parts: list[typed.Expr] = [_all(span, ()) if targets is None else typed.TargetIs(span, BOOL_TYPE, targets)]
    parts += [expressions.check_condition(ctx, node, "`when`") for node in _argument(decorator, "when")]
    parts += [expressions.size_condition(ctx, span, c.expr) for c in function.signature.conditions]
    return None if diags.has_errors or is_error(*parts) else parts


def _all(span: Span, parts: Sequence[typed.Expr]) -> typed.Expr:
    out: typed.Expr = typed.Const(span, BOOL_TYPE, True)
    for n, part in enumerate(parts):
        out = typed.Logic(span, BOOL_TYPE, "and", out, part) if n else part
    return out


def _call(span: Span, variant: typed.Function, arrays: tuple[typed.ArrayVar, ...]) -> typed.CallKernel:
    """The call of a variant with all that the kernel got: both signatures are the same."""
    scalars = tuple(typed.ScalarRef(span, typed.ValueType(dtype), name) for name, dtype in variant.scalars)
    dims = tuple(typed.DimSize(span, typed.ValueType(I64), dim) for dim in variant.dims)
    return typed.CallKernel(span, variant.name, arrays, scalars, dims)
