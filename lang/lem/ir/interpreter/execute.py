"""Runs one function on arrays: binds the call, makes what is missing, interprets the body, gathers what happened."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from lem.ir import ops
from lem.ir.core import Function, Module, walk_ops
from lem.ir.interpreter import control, elementwise, memory, reduction  # noqa: F401  (fill MEANINGS)
from lem.ir.interpreter.checks import Shadows
from lem.ir.interpreter.formats import Data, literal, storage
from lem.ir.interpreter.frame import (
    Frame,
    Number,
    Printed,
    Report,
    Run,
    RunFault,
    Stopped,
)
from lem_runtime.abi import signature
from lem_runtime.abi.records import dataclass

_PYTHON_CALLS = 1_000_000  # Python's own calls take no stack of the processor's


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """arrays: all array parameters and results by name (scalar results have no axes); dims: their values.

    fault: why the run stopped, or None. prints: in the order of the elements. reports: only from checked runs.
    """

    arrays: dict[str, Data]
    dims: dict[str, int]
    fault: RunFault | None
    prints: tuple[Printed, ...]
    reports: tuple[Report, ...]


def run(
    module: Module,
    name: str,
    arrays: Mapping[str, Data],
    scalars: Mapping[str, Number] | None = None,
    dims: Mapping[str, int] | None = None,
    *,
    block_sizes: int | Mapping[str, int] | None = None,
    checked: bool = False,
) -> RunOutcome:
    """Run function `name` on `arrays`, which are changed in place; missing `out` arrays and results are made (zeroed).

    dims: dimensions that the arrays do not tell. block_sizes: blocks of all `tiles` loops, or by the name of the loop's
    axis; 0 is one block. checked: also look for races and reads of what nobody wrote.
    Raises ``signature.CallError`` when the arguments do not fit, TypeError for an array of another dtype,
    :class:`~lem.ir.interpreter.frame.InterpreterError` when the IR breaks a promise.
    """
    fn = module.functions[name]
    numbers = _scalars(fn, scalars or {})
    held = dict(arrays)
    found = signature.bind(fn.signature, {n: a.shape for n, a in held.items()}, numbers, dict(dims or {}))
    _complete(fn, held, numbers, found)
    frame = first_frame(module, fn, held, numbers, found, block_sizes=block_sizes, checked=checked)
    state = frame.run
    fault: RunFault | None = None
    # Inactive elements compute too: what they overflow or divide by is nobody's concern.
    with np.errstate(all="ignore"), _room_for(module):
        try:
            frame.block(fn.body)
        except Stopped as e:
            fault = e.fault
    return RunOutcome(held, found, fault, tuple(state.prints), tuple(state.reports))


def first_frame(
    module: Module, fn: Function, arrays: Mapping[str, Data], scalars: Mapping[str, Number], dims: Mapping[str, int], *,
    block_sizes: int | Mapping[str, int] | None = None, checked: bool = False,
) -> Frame:  # fmt: skip
    """The frame of a call whose arguments are complete and fit."""
    reports: list[Report] = []
    state = Run(module, block_sizes, Shadows(reports) if checked else None, reports=reports)
    if state.shadows is not None:
        for a in fn.arrays:
            if a.effect in ("out", "result"):
                state.shadows.uninitialised(arrays[a.name])
    stored = {n: literal(scalars[n], t) for n, t in fn.scalars}
    return Frame(state, fn, {a: arrays[a.name] for a in fn.arrays}, stored, dims)


@contextmanager
def _room_for(module: Module) -> Iterator[None]:
    """Let tasks call each other as deep as the language does: Python's own limit is far lower, and a call of a task is
    several calls of ours."""
    before = sys.getrecursionlimit()
    if any(isinstance(o, ops.Depth) for fn in module.functions.values() for o in walk_ops(fn.body)):
        sys.setrecursionlimit(max(before, _PYTHON_CALLS))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _scalars(fn: Function, given: Mapping[str, Number]) -> dict[str, Number]:
    out: dict[str, Number] = {}
    for name, _ in fn.scalars:
        param = fn.signature.param(name)
        value: Any = given.get(name, param.default if param else None)
        if value is None:
            raise signature.CallError("E0608", f"`{name}` is missing", fn.signature.place)
        out[name] = value
    return out


def _complete(fn: Function, held: dict[str, Data], scalars: Mapping[str, Number], dims: Mapping[str, int]) -> None:
    """Make the arrays that may be missing, check the dtypes of the others."""
    known = {**{n: v for n, v in scalars.items() if isinstance(v, int)}, **dims}
    for a in fn.arrays:
        wanted = storage(a.dtype)
        if a.name not in held:
            if a.effect not in ("out", "result"):
                raise signature.CallError("E0608", f"`{a.name}` is missing", fn.signature.place)
            param = fn.signature.param(a.name)
            shape = signature.shape_of(param, known) if param and param.shape is not None else ()
            held[a.name] = np.zeros(shape, wanted)
        elif held[a.name].dtype != wanted:
            raise TypeError(f"`{a.name}` has dtype {held[a.name].dtype}, expected {wanted} for {a.dtype}")
