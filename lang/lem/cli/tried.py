"""Which kernels `lem check` has tried with other blocks, and how that ended: a kernel is tried once, until it changes.

Takes a checked program; gives one :class:`Trial` for each of its kernels that has a `tiles` loop. What ran well, and what
could not be run, is kept on disk by the kernel's tile IR; only for what is new are ``trials``, and with them NumPy and the
interpreter, loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lem import pipeline, texts
from lem.diagnostics import Diagnostic, Diagnostics
from lem.ir import printer, queries
from lem.types.numbers import REPRESENTATIVE
from lem_runtime import Store, open_default
from lem_runtime.abi.records import dataclass

# Places in a printed function: a kernel that only moves in its file is the same kernel.
_PLACES = re.compile(r' at "(?:[^"\\]|\\.)*" \d+:\d+-\d+:\d+ \d+-\d+')


@dataclass(frozen=True, slots=True)
class Trial:
    """Of one kernel. problem: its result depends on the blocks. not_run: why no made-up input could be run."""

    kernel: str
    problem: Diagnostic | None = None
    not_run: str = ""


def block_trials(program: pipeline.Program) -> Iterator[Trial]:
    """One trial for each kernel of the program's own file that has a `tiles` loop."""
    store = open_default()
    for made, name, shown in _candidates(program):
        if queries.has_tiles(made.ir, name):
            yield _tried(store, made, name, shown)


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
    code = _PLACES.sub("", printer.print_module(program.ir.closure(name)))
    key = "tried-" + texts.digest(texts.compiler_stamp(), code)
    kept = store.get(key) if store else None
    if kept is not None:
        return Trial(shown, not_run=kept.decode(errors="replace"))
    from lem.cli.trials import run_trial

    trial = run_trial(program, name, shown)
    if store and trial.problem is None:
        store.put(key, trial.not_run.encode())
    return trial


__all__ = ["Trial", "block_trials"]
