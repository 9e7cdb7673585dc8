"""How callables and reports look in a notebook. Loaded when one is shown."""

from __future__ import annotations

from lem.embed import errors, text, wording
from lem.embed.compiling import Compiler
from lem.embed.function import Function
from lem.source import Span
from lem.syntax import ast


def function_html(function: Function) -> str:
    """The signature, the program in colours, and what was made of it; or what is wrong with it."""
    try:
        compiler = function.engine.compiler
    except errors.CompileError as e:
        return wording.block(wording.program(_written(function)), error_block(e))
    items = compiler.program.bound.tree.items
    item = next(i for i in items if isinstance(i, ast.Function) and i.name.id == function.__name__)
    head = "" if function.kind == "fn" or function.decorated is None else _signature(compiler)
    n = len(function.specializations)
    made = "not compiled yet" if not n else f"{n} specialisation{'s' if n > 1 else ''}"
    return wording.block(
        f"<code>{wording.highlighted(head)}</code>" if head else "",
        wording.program(_lines(item.span)),
        f'<span class="d">{made}</span>' if function.kind != "fn" else "",
    )


def _signature(compiler: Compiler) -> str:
    return wording.signature_text(compiler.signature()[0], compiler.generics)


def _lines(span: Span) -> str:
    """A function to the end of its last line, with the comment that may stand there."""
    end = span.source.text.find("\n", span.end)
    return span.source.text[span.start : end if end >= 0 else None]


def _written(function: Function) -> str:
    """The text of a decorated function that is no program."""
    if function.decorated is None:
        return ""
    try:
        written = text.find(function.decorated.function)
    except text.NoText:
        return ""
    return written.file.span(written.node).text


def error_block(e: errors.Reported) -> str:
    return f'<pre class="e">{wording.escaped(str(e).strip())}</pre>'
