"""Checking a body as often as its locals' types need.

A local without annotation has the common type of all it is assigned (LANGUAGE 23), which is known only at the end of the
body. So a body is checked with what is known; when a later assignment widens a type that earlier code relied on, the pass
is thrown away, reports and all, and made again with the wider type. Types only widen, so this ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from lem.diagnostics import Diagnostics
from lem.types.context import Ctx, LocalType
from lem_runtime.abi.dtypes import DType

Result = TypeVar("Result")

MOST_PASSES = 8  # widening has fewer steps than this; beyond it the last pass stands


def check_until_stable(
    diags: Diagnostics,
    make: Callable[[Diagnostics, dict[int, LocalType]], Ctx],
    walk: Callable[[Ctx], Result],
) -> tuple[Ctx, Result]:
    """Run `walk` on fresh contexts until no local's type changes; only the last pass's reports reach `diags`."""
    known: dict[int, LocalType] = {}
    for _ in range(MOST_PASSES):
        scratch = Diagnostics(limit=diags.limit)
        ctx = make(scratch, known)
        result = walk(ctx)
        known = ctx.local_types
        if not (ctx.needs_restart or ctx.pending_reads):
            break
        known = {key: LocalType(t.type, "", t.span) for key, t in known.items()}
    hand_over(scratch, diags)
    return ctx, result


def hand_over(scratch: Diagnostics, diags: Diagnostics, dtypes: Mapping[str, DType] | None = None) -> None:
    """Move what was reported into `diags`; the same report about another instance is not repeated. dtypes: of the instance,
    which its errors say."""
    known = {(d.code, d.span, d.label) for d in diags.items}
    here = (f"here {', '.join(f'`{name}` is {t}' for name, t in dtypes.items())}",) if dtypes else ()
    for item in scratch.items:
        if (item.code, item.span, item.label) in known:
            continue
        is_error = item.severity == "error"
        report = diags.error if is_error else diags.warning
        notes = (*item.notes, *here) if is_error else item.notes
        report(item.code, item.span, item.label, also=item.also, note=notes, help=item.help)
    diags.n_dropped += scratch.n_dropped
