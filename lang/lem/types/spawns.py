"""``spawn``: calls that may run beside what follows (LANGUAGE 19, 22, 42).

Takes ``[y =] spawn f(x) [on D] [near a] [priority n] [for energy]``; gives the typed call, its hints checked and kept.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0319, E0501
from lem.names import Definition
from lem.source import Span
from lem.syntax import ast
from lem.types import calls, expressions, kernel_calls, subscripts, typed, variants
from lem.types.context import Ctx
from lem.types.convert import is_error
from lem.types.targets import named_targets


def check_spawn(ctx: Ctx, node: ast.Spawn, targets: tuple[ast.Expr, ...], span: Span) -> list[typed.Stmt]:
    """A spawned call of a kernel or task."""
    if ctx.kind not in ("task", "test"):
        ctx.diags.error(
            E0319, node.span, f"`spawn` belongs to tasks, and this is a {ctx.kind}",
            help="a plain call runs the kernel as a step of this one" if ctx.kind == "kernel" else (),
        )  # fmt: skip
        return []
    call = node.call
    found = calls.find_callee(ctx, call) if isinstance(call, ast.Call) else None
    if not isinstance(call, ast.Call):
        return []  # the parser has asked for a call
    if not isinstance(found, Definition) or not isinstance(found.node, ast.Function) or found.node.kind == "fn":
        if found is not None:
            ctx.diags.error(
                E0319, node.span, f"`spawn` starts a kernel or a task, and `{call.func.span.text}` is neither",
                help="call it without `spawn`",
            )  # fmt: skip
        kernel_calls.poison(ctx, targets)
        return []
    spawn = _hints(ctx, node, found.node)
    if spawn is None:
        kernel_calls.poison(ctx, targets)
        return []
    return kernel_calls.check_statement(ctx, call, found, targets, span, spawn)


def _hints(ctx: Ctx, node: ast.Spawn, callee: ast.Function) -> typed.Spawn | None:
    made = typed.Spawn()
    if node.on is not None:
        meant = named_targets(ctx, node.on)
        if meant is None or not _can_run(ctx, node.on, meant, callee):
            return None
        made.on = meant
    if node.near is not None:
        array = subscripts.array_named(ctx, node.near)
        if array is None:
            return None
        made.near = array.var
    if node.priority is not None:
        made.priority = expressions.check_int(ctx, node.priority, "a priority")
        if is_error(made.priority):
            return None
    made.objective = node.objective  # the parser takes `energy` and `time` alone
    return made


def _can_run(ctx: Ctx, node: ast.Expr, meant: tuple[str, ...], callee: ast.Function) -> bool:
    """Whether what is spawned may run there at all, by its own ``@on``."""
    allowed = variants.allowed_targets(callee)
    if allowed is not None and not set(allowed) & set(meant):
        decorator = next(d for d in callee.decorators if d.name in ("on", "variant"))
        ctx.diags.error(
            E0501, node.span, f"`{callee.name.id}` does not run on `{node.span.text}`",
            also=[(decorator.span, "it runs there")], help="leave the hint out, or widen the `@on`",
        )  # fmt: skip
        return False
    return True
