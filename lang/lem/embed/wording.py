"""How signatures and sources read: as text, and as HTML with colours. Plain functions of plain values."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

from lem_runtime.abi import sizes
from lem_runtime.abi.signature import Param, Signature

STYLE = (
    "<style>.lem{font-size:90%;line-height:1.35}.lem pre{margin:.3em 0;padding:.5em .7em;background:rgba(127,127,127,.09);"
    "border-left:3px solid #6b7fd7;overflow-x:auto}.lem .k{color:#7c4dba;font-weight:600}.lem .t{color:#0b7285}"
    ".lem .n{color:#b35900}.lem .s{color:#2b7a3d}.lem .c{color:#868e96;font-style:italic}.lem .d{color:#868e96}"
    ".lem table{border-collapse:collapse;margin:.3em 0}.lem th,.lem td{text-align:left;padding:.15em .8em .15em 0;"
    "vertical-align:top;white-space:pre-wrap}"
    ".lem td.r,.lem th.r{text-align:right}.lem th{border-bottom:1px solid rgba(127,127,127,.4)}"
    ".lem .e{color:#c92a2a}</style>"
)


def signature_text(sig: Signature, generics: Sequence[tuple[str, str]] = ()) -> str:
    """A signature as a ``.lem`` file has it: ``kernel axpy[N](a: f32, x: f32[N], y: inout f32[N])``. generics: names of
    types with their bounds."""
    params = [p for p in sig.arguments if p.effect != "result"]
    results = [p for p in sig.arguments if p.effect == "result"]
    names = [*(f"{name}: {bound}" for name, bound in generics), *sig.dims]
    dims = f"[{', '.join(names)}]" if names else ""
    named = ", ".join(f"{p.name}: {type_text(p)}" for p in results)
    after = f" -> {f'({named})' if len(results) > 1 else named}" if results else ""
    inside = ", ".join(
        f"{p.name}: {effect_text(p)}{type_text(p)}{'' if p.default is None else f' = {p.default!r}'}" for p in params
    )
    return f"{sig.kind} {sig.name}{dims}({inside}){after}"


def type_text(p: Param) -> str:
    shape = "" if not p.shape else f"[{', '.join(sizes.show(s) for s in p.shape)}]"
    return f"{p.dtype}{shape}{f'.{p.layout}' if p.layout else ''}"


def effect_text(p: Param) -> str:
    """With a space after it, as it stands before a type; nothing for what is read."""
    if p.effect == "reduce":
        return f"reduce({p.reduce_op}) "
    return f"{p.effect} " if p.effect in ("out", "inout") else ""


# ---------------------------------------------------------------- HTML
def escaped(text: object) -> str:
    return html.escape(str(text))


_TOKEN = re.compile(
    r"(?P<c>\#[^\n]*)|(?P<s>[rf]?(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\"[^\"\n]*\"|'[^'\n]*'))"
    r"|(?P<n>\b\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?\b)|(?P<w>\b[^\W\d]\w*\b)"
)
_WORDS = frozenset(
    "kernel task fn struct test check within spawn sync def return for in if elif else while break continue pass assert and"
    " or not is import from as out inout reduce where grid tiles range True False None lambda with class".split()
)
_TYPES = frozenset("bool bool_ int float i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64 f8e4m3 f8e5m2".split())


def highlighted(text: str) -> str:
    """A program in colours."""
    out, at = [], 0
    for found in _TOKEN.finditer(text):
        kind, word = found.lastgroup, found.group()
        if kind == "w":
            kind = "k" if word in _WORDS else "t" if word in _TYPES else None
        out.append(html.escape(text[at : found.start()]))
        out.append(f'<span class="{kind}">{html.escape(word)}</span>' if kind else html.escape(word))
        at = found.end()
    return "".join(out) + html.escape(text[at:])


def block(*parts: str) -> str:
    """HTML of a report, with its own style."""
    return f'{STYLE}<div class="lem">{"".join(parts)}</div>'


def program(text: str) -> str:
    return f"<pre><code>{highlighted(text)}</code></pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], right: frozenset[int] = frozenset()) -> str:
    """right: columns of numbers."""

    def line(row: Sequence[Any], tag: str) -> str:
        ends = {n: ' class="r"' if n in right else "" for n in range(len(row))}
        cells = "".join(f"<{tag}{ends[n]}>{_breaks(escaped(c))}</{tag}>" for n, c in enumerate(row))
        return f"<tr>{cells}</tr>"

    top = line(head, "th") if any(head) else ""
    return f"<table>{top}{''.join(line(row, 'td') for row in rows)}</table>"


def _breaks(text: str) -> str:
    return text.replace("\n", "<br>")


def plain_table(head: Sequence[str], rows: Sequence[Sequence[Any]], right: frozenset[int] = frozenset()) -> str:
    """The same as text."""
    lines = [[str(c) for c in row] for row in (head, *rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        "  ".join(
            c.rjust(w) if n in right else c.ljust(w) for n, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
