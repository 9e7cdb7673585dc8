"""Decorators: ``@on``, ``@prefer``, ``@within``, ``@variant``, each once and with what belongs to it.

Takes the AST of a function, in the scope of its header; reports what has no meaning, so that no wish is silently lost.
"""

from __future__ import annotations

from collections.abc import Callable

from lem.diagnostics.codes import E0201, E0202, E0307
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
    base = ctx.module.find(of.id) if isinstance(of, ast.Name) else None
    if base is None or not isinstance(base.node, ast.Function) or base.node.kind != "kernel":
        ctx.diags.error(E0201, of.span, f"`{of.span.text}` is no kernel of this module")
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
        if keyword.name == "when":
            expressions.check_condition(ctx, keyword.value, "`when`")
