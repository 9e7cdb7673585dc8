"""Decorators: ``@on``, ``@prefer``, ``@within``, ``@variant``, each once and with what belongs to it.

Takes the AST of a function, in the scope of its header; reports what has no meaning, so that no wish is silently lost.
"""

from __future__ import annotations

from collections.abc import Callable

from lem.diagnostics.codes import E0201, E0202, E0304, E0307, E0504
from lem.diagnostics.suggest import nearest
from lem.syntax import ast
from lem.types import expressions
from lem.types.context import Ctx
from lem.types.targets import named_targets


def check_decorators(ctx: Ctx, fn: ast.Function) -> None:
    """Report unknown decorators, repeated ones, and arguments that do not fit."""
    seen: dict[str, ast.Decorator] = {}
    for decorator in fn.decorators:
        name = decorator.name
        if name not in _CHECKS:
            guess = nearest(name, _CHECKS)
            known = ", ".join(f"`@{n}`" for n in _CHECKS)
            help = f"did you mean `@{guess}`?" if guess else f"there are {known}"
            ctx.diags.error(E0201, decorator.span, f"there is no decorator `@{name}`", help=help)
        elif name in seen:
            ctx.diags.error(E0202, decorator.span, f"`@{name}` is already given", also=[(seen[name].span, "here")])
        else:
            seen[name] = decorator
            _CHECKS[name](ctx, decorator)


def _on(ctx: Ctx, node: ast.Decorator) -> None:
    if not node.args or node.keywords:
        _misused(ctx, node, "names targets", "@on(cpu, gpu)")
    for arg in node.args:
        named_targets(ctx, arg)


def _prefer(ctx: Ctx, node: ast.Decorator) -> None:
    if len(node.args) != 1 or any(k.name != "when" for k in node.keywords):
        _misused(ctx, node, "names a target, and when", "@prefer(gpu, when=N > 1000)")
    for arg in node.args:
        named_targets(ctx, arg)
    _when(ctx, node)


def _within(ctx: Ctx, node: ast.Decorator) -> None:
    values = [k.value for k in node.keywords if k.name == "rel"]
    wrong = node.args or len(node.keywords) != 1 or len(values) != 1
    if wrong or not isinstance(values[0], ast.Number) or values[0].value <= 0:
        _misused(ctx, node, "takes a relative error, a number above 0", "@within(rel=2e-2)")


def _variant(ctx: Ctx, node: ast.Decorator) -> None:
    given = {k.name: k.value for k in node.keywords}
    if node.args or "of" not in given or not given.keys() <= {"of", "on", "when"}:
        _misused(ctx, node, "says of which kernel, on which target, and when", "@variant(of=matmul, on=gpu)")
        return
    of = given["of"]
    base = ctx.module.own.get(of.id) if isinstance(of, ast.Name) else None
    if base is None or not isinstance(base.node, ast.Function) or base.node.kind != "kernel":
        others = [n for n, d in ctx.module.own.items() if isinstance(d.node, ast.Function) and d.node.kind == "kernel"]
        guess = nearest(of.span.text, others)
        help = f"did you mean `{guess}`?" if guess else ()
        ctx.diags.error(E0201, of.span, f"`{of.span.text}` is no kernel of this module", help=help)
    elif ctx.owner is not None and _signature(ctx.owner) != _signature(base.node):
        ctx.diags.error(
            E0504, ctx.owner.head_span, f"this is {_shown(ctx.owner)}",
            also=[(base.node.head_span, f"`{base.node.name.id}` is {_shown(base.node)}")],
            help="a variant has another body, and the same parameters and results in the same order",
        )  # fmt: skip
    if "on" in given:
        named_targets(ctx, given["on"])
    _when(ctx, node)


_CHECKS: dict[str, Callable[[Ctx, ast.Decorator], None]] = {
    "on": _on, "prefer": _prefer, "within": _within, "variant": _variant,
}  # fmt: skip


def _misused(ctx: Ctx, node: ast.Decorator, what: str, example: str) -> None:
    ctx.diags.error(E0307, node.span, f"`@{node.name}` {what}", help=f"write `{example}`")


def _when(ctx: Ctx, node: ast.Decorator) -> None:
    for keyword in node.keywords:
        if keyword.name != "when":
            continue
        element = next((n for n in ast.walk(keyword.value) if isinstance(n, ast.Subscript)), None)
        if element is None:
            expressions.check_condition(ctx, keyword.value, "`when`")
            continue
        ctx.diags.error(
            E0304, element.span, "`when` is asked before the call: it compares sizes and scalars, and this reads an array",
            help="use dimensions: `when=M * N > 1000`",
        )  # fmt: skip


def _signature(fn: ast.Function) -> object:
    """All that a caller sees, with types as written."""
    params = [(p.name.id, p.effect, p.reduce_op, _text(p.type)) for p in fn.params]
    results = [(r.name.id if r.name is not None else "", _text(r.type)) for r in fn.results]
    return [(g.name, g.bound) for g in fn.generics], params, results


def _text(node: ast.TypeExpr | None) -> str:
    return "" if node is None else "".join(node.span.text.split())


def _shown(fn: ast.Function) -> str:
    dims = ", ".join(g.name if g.bound is None else f"{g.name}: {g.bound}" for g in fn.generics)
    params = ", ".join(f"{p.name.id}: {f'{p.effect} ' if p.effect else ''}{_text(p.type)}" for p in fn.params)
    results = ", ".join(f"{r.name.id if r.name is not None else ''}: {_text(r.type)}" for r in fn.results)
    return f"`{f'[{dims}]' if dims else ''}({params}){f' -> {results}' if results else ''}`"
