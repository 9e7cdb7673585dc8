"""Which kernels `lem check` has tried, and how that ended: a kernel is tried once, until it changes.

Takes a checked program; gives one :class:`Trial` for each of its kernels that has a `tiles` loop, run with other blocks,
and one for each variant of a kernel, run against the kernel's own body. What ran well, and what
could not be run, is kept on disk by the kernel's tile IR; only for what is new are ``trials``, and with them NumPy and the
interpreter, loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from lem import pipeline, texts
from lem.diagnostics import Diagnostic, Diagnostics
from lem.ir import printer, queries
from lem.types import typed
from lem.types.numbers import REPRESENTATIVE
from lem_runtime import Store, open_default
from lem_runtime.abi.records import dataclass

# Places in a printed function: a kernel that only moves in its file is the same kernel.
_PLACES = re.compile(r' at "(?:[^"\\]|\\.)*" \d+:\d+-\d+:\d+ \d+-\d+')


@dataclass(frozen=True, slots=True)
class Trial:
    """Of one kernel. problem: its result depends on the blocks, or is not that of its base. not_run: why no made-up input
    could be run. how: what it was tried with."""

    kernel: str
    problem: Diagnostic | None = None
    not_run: str = ""
    how: str = "with other blocks"


def trials_of(program: pipeline.Program) -> Iterator[Trial]:
    """The trials of the kernels of the program's own file."""
    store = open_default()
    for made, name, shown in _candidates(program):
        if queries.has_tiles(made.ir, name):
            yield _tried(store, made, name, shown)
        for variant in made.typed.functions[name].variants:
            yield _compared(store, made, name, shown, variant)


def _candidates(program: pipeline.Program) -> Iterator[tuple[pipeline.Program, str, str]]:
    """Kernels with the program that holds them and the name they have in their file; generic ones for usual types."""
    for name, f in program.typed.functions.items():
        if f.span.source is program.source and f.kind == "kernel" and "[" not in name:
            yield program, name, name
    for generic in program.typed.generics.values():
        dtypes = {param: REPRESENTATIVE[bound].name for param, bound in generic.params}
        made = pipeline.instantiate(program, generic.name, dtypes, Diagnostics())
        if made is not None:
            yield *made, generic.name


def _tried(store: Store | None, program: pipeline.Program, name: str, shown: str) -> Trial:
    def run() -> Trial:
        from lem.cli.trials import run_trial

        return run_trial(program, name, shown)

    return _once(store, "tried-" + _digest(program, name), Trial(shown), run)


def _compared(store: Store | None, program: pipeline.Program, name: str, shown: str, variant: typed.Variant) -> Trial:
    def run() -> Trial:
        from lem.cli.variant_trials import run_variant

        return run_variant(program, name, shown, variant)

    callee = variant.call.callee
    exact = [repr(program.typed.functions[n].attrs.get("decorators")) for n in (name, callee)]  # the targets, and `@within`
    key = "compared-" + _digest(program, name, callee, *exact)
    return _once(store, key, Trial(callee.partition("[")[0], how=f"against `{shown}`"), run)


def _digest(program: pipeline.Program, name: str, *more: str) -> str:
    code = _PLACES.sub("", printer.print_module(program.ir.closure(name)))
    return texts.digest(texts.compiler_stamp(), code, *more)


def _once(store: Store | None, key: str, trial: Trial, run: Callable[[], Trial]) -> Trial:
    """`trial`, which went as it did the last time; run where that is not known, or where something was wrong."""
    kept = store.get(key) if store else None
    if kept is not None:
        return replace(trial, not_run=kept.decode(errors="replace"))
    trial = run()
    if store and trial.problem is None:
        store.put(key, trial.not_run.encode())
    return trial


__all__ = ["Trial", "trials_of"]
