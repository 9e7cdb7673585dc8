"""Statements but for loops and stores: branches, `return`, `assert`, `print`, what stands alone.

Takes AST statements; gives typed statements, keeping track of what is assigned and reachable (LANGUAGE 2, 36, 39).
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.diagnostics.codes import E0301, E0307, E0310, E0318, E0319, E0321
from lem.names import Definition
from lem.source import Span
from lem.syntax import ast
from lem.types import calls, expressions, flow, fns, integers, kernel_calls, spawns, typed
from lem.types.context import Ctx
from lem.types.convert import coerce, error, is_error, settle
from lem.types.scope import Array, Held, Local
from lem_runtime.abi import layout
from lem_runtime.abi.dtypes import DType


# ---------------------------------------------------------------- branches
def check_if(ctx: Ctx, node: ast.If) -> list[typed.Stmt]:
    cond = expressions.check_condition(ctx, node.cond, "`if`")
    if isinstance(cond, typed.Const) and not is_error(cond) and not isinstance(node.cond, ast.Bool):
        return _decided(ctx, node, cond)
    if ctx.kind == "fn" and cond.type.axes:
        cond.type = typed.ValueType(cond.type.dtype)
    changed = flow.locals_of(ctx, flow.assigned_names((*node.then, *node.orelse)))
    before, before_flow, mask = flow.values(changed), ctx.flow, ctx.mask
    ctx.mask = mask | cond.type.axes
    ctx.branches += 1
    outer = ctx.facts
    with ctx.assuming(integers.assume(ctx, outer, cond)):
        then = ctx.block(node.then)
    then_flow, then_values = ctx.flow, flow.values(changed)
    _restore(ctx, before)
    ctx.flow = before_flow
    else_facts = integers.assume(ctx, outer, cond, False)
    with ctx.assuming(else_facts):
        orelse = ctx.block(node.orelse)
    else_flow, else_values = ctx.flow, flow.values(changed)
    ctx.branches -= 1
    # What follows relies on the condition when only one side comes through. The forms in `cond` speak of the values
    # before the branches, which is what they must do.
    _restore(ctx, before)
    if not then_flow.live:
        ctx.facts = else_facts
    elif not else_flow.live:
        ctx.facts = integers.assume(ctx, outer, cond)
    flow.merge(ctx, changed, then_values, then_flow.live, else_values, else_flow.live)
    ctx.flow = then_flow.join(else_flow)
    ctx.mask = mask
    if is_error(cond):
        return []
    return [typed.If(node.span, cond, then, orelse)]


def _restore(ctx: Ctx, values: dict[Local, Held]) -> None:
    for local, value in values.items():
        local.value = value


def _decided(ctx: Ctx, node: ast.If, cond: typed.Const) -> list[typed.Stmt]:
    """A branch decided at compile time (``T is f32``): the other side is not looked at."""
    taken = node.then if cond.value else node.orelse
    out: list[typed.Stmt] = []
    for stmt in taken:
        out.extend(ctx.session.handlers.statements[type(stmt)](ctx, stmt))
        if ctx.skips_rest:
            break
    ctx.skips_rest = not ctx.flow.live
    return out


# ---------------------------------------------------------------- leaving
def check_break(ctx: Ctx, node: ast.Break) -> list[typed.Stmt]:
    if not ctx.break_flows:
        where = "a grid has no order in which it could stop" if ctx.grid else "there is no loop around"
        ctx.diags.error(E0319, node.span, f"`break` without a loop: {where}", help="`continue` ends one element of a grid"
                        if ctx.grid else ())  # fmt: skip
        return []
    if not _unmasked(ctx, node.span, "break"):
        return []
    ctx.break_flows[-1].append(ctx.flow)
    ctx.leave()
    return [typed.Break(node.span)]


def check_continue(ctx: Ctx, node: ast.Continue) -> list[typed.Stmt]:
    if not ctx.break_flows and ctx.grid is None:
        ctx.diags.error(E0319, node.span, "`continue` without a loop around")
        return []
    if not _unmasked(ctx, node.span, "continue"):
        return []
    ctx.leave()
    return [typed.Continue(node.span)]


def _result_names(ctx: Ctx) -> list[str]:
    known = (entity for scope in ctx.scopes.stack for entity in scope.values() if isinstance(entity, Array))
    return [array.name for array in known if array.var.effect == "result"]


def _unmasked(ctx: Ctx, span: Span, word: str) -> bool:
    if not ctx.mask:
        return True
    names = ", ".join(f"`{a.name}`" for a in sorted(ctx.mask, key=lambda a: a.name))
    ctx.diags.error(
        E0310, span, f"`{word}` under a condition that differs along {names}",
        help="reduce the condition first: `if any(c, over=...)`",
    )  # fmt: skip
    return False


def check_return(ctx: Ctx, node: ast.Return) -> list[typed.Stmt]:
    if ctx.kind == "fn":
        return _return_values(ctx, node)
    if node.value is not None:
        signature = "results are named in the signature and assigned: `-> y: f32`, then `y = ...`"
        named = " and ".join(f"`{name} = ...`" for name in _result_names(ctx))
        ctx.diags.error(
            E0319, node.span, f"a {ctx.kind} returns no value here",
            help=f"assign it to the result: {named}" if named else signature,
        )  # fmt: skip
        return []
    if not _unmasked(ctx, node.span, "return"):
        return []
    if ctx.grid is None:
        ctx.exits.append((ctx.flow, node.span))
    ctx.leave()
    return [typed.Return(node.span, ())]


def _return_values(ctx: Ctx, node: ast.Return) -> list[typed.Stmt]:
    if node.value is None:
        ctx.diags.error(E0318, node.span, "an fn returns a value", help="write `return ...`")
        ctx.leave()
        return []
    before: list[typed.Stmt] = []
    parts = node.value.items if isinstance(node.value, ast.TupleExpr) else (node.value,)
    values = _handed_on(ctx, node.value, before) or [ctx.expr(p) for p in parts]
    ctx.leave()
    if is_error(*values):
        ctx.return_values.append(())
        return []
    if ctx.returns is not None:
        if len(values) != len(ctx.returns):
            ctx.diags.error(
                E0301, node.value.span, f"expected {len(ctx.returns)} values, found {len(values)}",
                also=_signature_note(ctx),
            )  # fmt: skip
            return []
        values = [
            coerce(ctx.diags, v, t, f", which `{ctx.name}` returns", _result_note(ctx, n, t))
            for n, (v, t) in enumerate(zip(values, ctx.returns, strict=True))
        ]
        if is_error(*values):
            return []
    ctx.return_values.append(tuple(values))
    return [*before, typed.Return(node.span, tuple(settle(v) for v in values))]


def _handed_on(ctx: Ctx, node: ast.Expr, before: list[typed.Stmt]) -> list[typed.Expr] | None:
    """``return f(x)`` where `f` returns several values: they go through locals."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or ctx.find(node.func.id) is not None:
        return None
    found = ctx.module.own.get(node.func.id) or ctx.module.imported.get(node.func.id)
    if found is None or not isinstance(found.node, ast.Function) or found.node.kind != "fn" or len(found.node.results) < 2:
        return None
    made = fns.instantiate_call(ctx, node, found, before)
    if made is None:
        return [error(node.span)]
    types = [fns.result_type(made[0], n, made[1]) for n in range(len(made[0].results))]
    held = tuple(typed.LocalVar(f"value{n}", t, node.span) for n, t in enumerate(types))
    before.append(typed.CallFnStmt(node.span, held, *made))
    return [typed.LocalRef(node.span, v.type, v) for v in held]


def _signature_note(ctx: Ctx) -> list[tuple[Span, str]]:
    return [(ctx.owner.results[0].span, "declared here")] if ctx.owner and ctx.owner.results else []


def _result_note(ctx: Ctx, n: int, dtype: DType) -> tuple[Span, str] | None:
    if ctx.owner is None or n >= len(ctx.owner.results):
        return None
    return ctx.owner.results[n].span, f"`{ctx.name}` returns {dtype}"


def check_pass(ctx: Ctx, node: ast.Pass) -> list[typed.Stmt]:
    return []


def check_sync(ctx: Ctx, node: ast.Sync) -> list[typed.Stmt]:
    if ctx.kind not in ("task", "test"):
        ctx.diags.error(E0319, node.span, "`sync` waits for tasks, and only tasks and tests spawn them")
        return []
    return [typed.Sync(node.span)]


def check_error_stmt(ctx: Ctx, node: ast.ErrorStmt) -> list[typed.Stmt]:
    return []


# ---------------------------------------------------------------- assert, print
def check_assert(ctx: Ctx, node: ast.Assert) -> list[typed.Stmt]:
    cond = expressions.check_condition(ctx, node.cond, "`assert`")
    condition = " ".join(node.cond.span.text.split())
    text = f"`{condition}` does not hold".replace("{", "{{").replace("}", "}}")
    values: tuple[typed.Expr, ...] = ()
    if node.message is not None:
        found = format_text(ctx, node.message)
        if found is None:
            return []
        text, values = found
        _check_count(ctx, node.message.span, values, layout.FAULT_MAX_VALUES)
    if is_error(cond):
        return []
    ctx.facts = integers.assume(ctx, ctx.facts, cond)
    return [typed.Assert(node.span, cond, text, values)]


def format_text(ctx: Ctx, node: ast.Expr) -> tuple[str, tuple[typed.Expr, ...]] | None:
    """An f-string as a text with numbered fields and their values."""
    if isinstance(node, ast.String):
        return node.value.replace("{", "{{").replace("}", "}}"), ()
    if not isinstance(node, ast.FString):
        x = _shown_value(ctx, node)
        if is_error(x):
            return None
        shown: list[typed.Expr] = []
        return _shown(x, "", shown), tuple(shown)
    text = ""
    values: list[typed.Expr] = []
    for part in node.parts:
        if isinstance(part, ast.String):
            text += part.value.replace("{", "{{").replace("}", "}}")
        elif isinstance(part, ast.FormatField):
            x = _shown_value(ctx, part.value)
            if is_error(x) or not _check_format(ctx, part, x):
                return None
            text += _shown(x, part.format, values)
    return text, tuple(values)


def _check_format(ctx: Ctx, node: ast.FormatField, x: typed.Expr) -> bool:
    """A field's format is one that Python has for such a value."""
    dtype = settle(x).type.dtype
    if not node.format or isinstance(x, typed.WholeArray) or isinstance(dtype, typed.StructType):
        return True
    try:
        format(True if dtype.is_bool else 1 if dtype.is_int else 1.5, node.format)
    except ValueError:
        span = node.span
        ctx.diags.error(
            E0307, span, f"`{node.format}` is no format for {dtype}", help="formats are those of Python: `{x:.3f}`, `{n:5d}`"
        )
        return False
    return True


def _shown_value(ctx: Ctx, node: ast.Expr) -> typed.Expr:
    """What a field shows: one value, in a test an array too."""
    entity = ctx.find(node.id) if ctx.kind == "test" and isinstance(node, ast.Name) else None
    if isinstance(entity, Array) and entity.var.shape:
        return typed.WholeArray(node.span, typed.ValueType(entity.var.dtype), entity.var)
    return ctx.expr(node)


def _shown(x: typed.Expr, format: str, values: list[typed.Expr]) -> str:
    """The field that shows `x`, which is added to `values`; a struct shows as it is made: `Body(x={0}, y={1})`."""
    struct = x.type.dtype
    if isinstance(struct, typed.StructType) and not isinstance(x, typed.WholeArray):
        fields = (
            (name, typed.Field(x.span, typed.ValueType(dtype, x.type.axes), x, n))
            for n, (name, dtype) in enumerate(struct.fields)
        )
        return f"{struct}({', '.join(f'{name}={_shown(field, format, values)}' for name, field in fields)})"
    values.append(settle(x))
    return "{" + str(len(values) - 1) + (f":{format}" if format else "") + "}"


def check_print(ctx: Ctx, node: ast.Call, span: Span) -> list[typed.Stmt]:
    """``print(f"x = {x[i]}", y)``: arguments are joined by a space."""
    if node.keywords:
        ctx.diags.error(E0307, node.keywords[0].span, "`print` takes no named arguments")
        return []
    texts: list[str] = []
    values: list[typed.Expr] = []
    for arg in node.args:
        found = format_text(ctx, arg)
        if found is None:
            return []
        texts.append(_renumbered(found[0], len(values)))
        values.extend(found[1])
    for value in values:
        if value.type.axes:
            ctx.diags.error(E0310, value.span, "`print` shows one value, and this has an axis", help="reduce it first")
            return []
    _check_count(ctx, span, values, layout.PRINT_MAX_VALUES)
    return [typed.Print(span, " ".join(texts), tuple(values))]


def _check_count(ctx: Ctx, span: Span, values: Sequence[typed.Expr], most: int) -> None:
    """What the code reports of an element has a fixed size. The fields of a struct count one by one."""
    if len(values) > most:
        ctx.diags.error(
            E0307, span, f"{len(values)} values, and at most {most} can be shown at once", help="show fewer of them"
        )


def check_breakpoint(ctx: Ctx, node: ast.Call, span: Span) -> list[typed.Stmt]:
    if node.args or node.keywords:
        ctx.diags.error(E0307, span, "`breakpoint` takes no arguments", help="write `breakpoint()`")
        return []
    return [typed.Breakpoint(span)]


def _renumbered(text: str, first: int) -> str:
    """Field numbers moved up by `first`."""
    if first == 0:
        return text
    out, at = "", 0
    while at < len(text):
        if text[at] == "{" and text[at : at + 2] != "{{":
            end = at + 1
            while text[end].isdigit():
                end += 1
            out += "{" + str(int(text[at + 1 : end]) + first)
            at = end
        else:
            step = 2 if text[at : at + 2] in ("{{", "}}") else 1
            out += text[at : at + step]
            at += step
    return out


# ---------------------------------------------------------------- what stands alone
def check_expr_stmt(ctx: Ctx, node: ast.ExprStmt) -> list[typed.Stmt]:
    value = node.value
    if isinstance(value, ast.Spawn):
        return spawns.check_spawn(ctx, value, (), node.span)
    if isinstance(value, ast.String):
        return []  # a docstring of a block
    if isinstance(value, ast.Call):
        name = value.func.id if isinstance(value.func, ast.Name) else ""
        if name == "print" and ctx.find("print") is None and ctx.module.own.get("print") is None:
            return check_print(ctx, value, node.span)
        if name == "breakpoint" and ctx.find(name) is None and ctx.module.own.get(name) is None:
            return check_breakpoint(ctx, value, node.span)
        callee = calls.find_callee(ctx, value)
        if callee is None:
            return []
        if isinstance(callee, Definition) and isinstance(callee.node, ast.Function) and callee.node.kind != "fn":
            return kernel_calls.check_statement(ctx, value, callee, (), node.span)
    if isinstance(value, ast.Name) and isinstance(ctx.find(value.id), Array):
        x = error(node.span)
    else:
        x = ctx.expr(value)
        if is_error(x):
            return []
    ctx.diags.error(
        E0321 if isinstance(value, ast.Name) else E0319, node.span, "this value is not used",
        help="assign it, or store it: `y[i] = ...`",
    )  # fmt: skip
    return []
