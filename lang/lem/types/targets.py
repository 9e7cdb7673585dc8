"""Names of targets in programs: ``@on(gpu)``, ``spawn f(x) on cpu``, ``if target is spu`` (LANGUAGE 42).

Takes the expression that should name one; gives the targets that are meant, or reports.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0503
from lem.diagnostics.suggest import nearest
from lem.syntax import ast
from lem.types.context import Ctx
from lem_runtime.abi.targets import KINDS, TARGETS, targets_of


def named_targets(ctx: Ctx, node: ast.Expr) -> tuple[str, ...] | None:
    """The targets that ``gpu`` or ``opencl`` stands for; None when reported."""
    found = targets_of(node.id) if isinstance(node, ast.Name) else ()
    if found:
        return found
    text = node.span.text
    known = list(dict.fromkeys([*KINDS, *TARGETS]))
    guess = nearest(text, known)
    ctx.diags.error(
        E0503, node.span, f"`{text}` is no target",
        help=f"did you mean `{guess}`?" if guess else f"targets are {', '.join(known)}",
    )  # fmt: skip
    return None
