"""Which argument of a call belongs to which parameter (LANGUAGE 35: by position, by name, defaults).

Takes a call and the parameters' names; gives the argument of each, or reports E0307.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lem.diagnostics.codes import E0307
from lem.diagnostics.suggest import nearest
from lem.source import Span
from lem.syntax import ast
from lem.types.context import Ctx


def match_args(
    ctx: Ctx,
    node: ast.Call,
    callee: str,
    params: Sequence[str],
    required: Collection[str],
    declared: Span | None = None,
    also_named: Collection[str] = (),
    word: str = "parameter",
) -> dict[str, ast.Expr] | None:
    """Arguments by parameter name; `also_named` can only be given by name (dimensions). `word`: what a
    parameter is called here. None when reported."""
    also = [(declared, f"`{callee}` is declared here")] if declared else []
    if len(node.args) > len(params):
        n = len(params)
        ctx.diags.error(
            E0307, node.args[n].span, f"`{callee}` takes {n} {'argument' if n == 1 else 'arguments'}, "
            f"found {len(node.args)}", also=also,
        )  # fmt: skip
        return None
    given: dict[str, ast.Expr] = dict(zip(params, node.args, strict=False))
    for keyword in node.keywords:
        if keyword.name not in params and keyword.name not in also_named:
            guess = nearest(keyword.name, [*params, *also_named])
            ctx.diags.error(
                E0307, keyword.name_span, f"`{callee}` has no {word} `{keyword.name}`", also=also,
                help=f"did you mean `{guess}`?" if guess else (),
            )  # fmt: skip
            return None
        if keyword.name in given:
            ctx.diags.error(
                E0307, keyword.name_span, f"`{keyword.name}` is given twice",
                also=[(given[keyword.name].span, "given here already")],
            )  # fmt: skip
            return None
        given[keyword.name] = keyword.value
    missing = [p for p in params if p in required and p not in given]
    if missing:
        names = ", ".join(f"`{p}`" for p in missing)
        ctx.diags.error(E0307, node.span, f"`{callee}` also needs {names}", also=also)
        return None
    return given
