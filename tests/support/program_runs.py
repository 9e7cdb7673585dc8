"""Ways to run a generated program, which must all end alike: the same bits, or the same fault of the same element.

What is compared with the interpreter are :class:`Way` values. One artifact serves one thread, two threads and arrays at
the end of memory; gaps between elements, a lower level of the processor and another schedule each need one of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lem import ir, pipeline
from lem.diagnostics import Diagnostics
from lem.diagnostics.text import render_all
from lem.ir import ops
from lem.schedule import Schedule
from lem.source import SourceFile
from lem.targets import cpu, llvm
from lem_runtime import KernelFault, facts_of, numpy_dtype, run, use_compiler
from lem_runtime.abi import signature as sig
from lem_runtime.abi.source import Facts
from lem_runtime.machine import LEVELS, detect, detect_with
from lem_runtime.values import numbers_of
from tests.support.cpu import strided, walled

MOST_FIXED = 40  # a size that code knows: among them some that are written out, and some that are not

use_compiler(lambda text: llvm.compile_ir(text, detect()))


@dataclass(frozen=True, slots=True)
class Ending:
    """What a run gave: results by name as numbers, or a fault (code, indices of the element)."""

    results: Mapping[str, Any]
    fault: tuple[str, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """level: of the processor ("" for the best). scattered: arrays have gaps. lanes: of every plain loop, 0 as proposed.
    fixed: the code knows the small sizes."""

    level: str = ""
    scattered: bool = False
    lanes: int = 0
    fixed: bool = False


def ways() -> list[Way]:
    """The plain way first; then each of the others that this machine has."""
    best = detect().cpu
    names = list(LEVELS)
    lower = [n for n in ("x86-64-v2", "x86-64-v3", "x86-64-v4") if best in names and names.index(n) < names.index(best)]
    return [Way(), Way(scattered=True), Way(lanes=1), Way(lanes=4), Way(fixed=True), *(Way(level=n) for n in lower)]


@dataclass(slots=True)
class Checked:
    """A program that the checker accepts, ready to be run."""

    module: ir.Module
    signature: sig.Signature
    given: Mapping[str, Any]
    dims: dict[str, int]

    @property
    def arrays(self) -> dict[str, Any]:
        return {n: np.array(a) for n, a in self.given.items() if isinstance(a, np.ndarray)}

    @property
    def scalars(self) -> dict[str, Any]:
        return {n: a for n, a in self.given.items() if not isinstance(a, np.ndarray)}


class Refused(Exception):
    """The checker refuses the program, or its signature the call."""


def checked(text: str, given: Mapping[str, Any]) -> Checked:
    """Raises :class:`Refused` with the rendered errors."""
    diags = Diagnostics()
    made = pipeline.analyse(SourceFile("test.lem", text), diags)
    if made is None:
        raise Refused(render_all(diags))
    module = pipeline.optimised(made, "main")
    signature = module.functions["main"].signature
    shapes = {n: a.shape for n, a in given.items() if isinstance(a, np.ndarray)}
    scalars = {n: a for n, a in given.items() if n not in shapes}
    try:
        return Checked(module, signature, given, sig.bind(signature, shapes, scalars, {}))
    except sig.CallError as e:
        raise Refused(e.message) from None


def interpreted(program: Checked) -> Ending:
    from lem.ir import interpreter

    held = program.arrays
    for p in program.signature.params:
        if p.shape is not None and p.name not in held:
            held[p.name] = np.zeros(sig.shape_of(p, program.dims), numpy_dtype(p.dtype))
        elif p.shape is None and p.is_written:
            held[p.name] = np.zeros((), numpy_dtype(p.dtype))
    with np.errstate(all="ignore"):
        outcome = interpreter.run(program.module, "main", held, program.scalars, program.dims)
    if outcome.fault is not None:
        return Ending({}, (outcome.fault.code, tuple(outcome.fault.indices)))
    return Ending({p.name: numbers_of(np.asarray(held[p.name]), p.dtype) for p in program.signature.params if p.is_written})


def compiled(program: Checked, way: Way) -> Iterator[tuple[str, Ending]]:
    """How runs of one artifact end, with what was special about each."""
    held: Callable[[Any], Any] = strided if way.scattered else np.array
    arrays = {n: held(a) for n, a in program.arrays.items()}
    sizes = [program.dims[d] for d in program.signature.dims] if way.fixed else []
    kinds = tuple(str(n) if n <= MOST_FIXED else "any" for n in sizes)
    facts = Facts(facts_of(program.signature, arrays, program.dims).layouts, kinds)
    machine = detect_with(way.level) if way.level else detect()
    plans = _with_lanes(program.module, facts, way.lanes) if way.lanes else None
    code = cpu.emit(program.module, "main", facts, machine, plans)

    def ending(made: Mapping[str, Any], threads: int) -> Ending:
        try:
            result = run(code, made, program.scalars, {}, threads=threads)
        except KernelFault as e:
            return Ending({}, (e.code, tuple(e.indices.values())))
        types = {p.name: p.dtype for p in program.signature.params}
        both = {**result.outputs, **result.scalars}
        return Ending({n: numbers_of(np.asarray(a), types[n]) for n, a in both.items()})

    yield "one thread", ending(arrays, 1)
    yield "two threads", ending({n: held(a) for n, a in program.arrays.items()}, 2)
    if not way.scattered:
        yield "at the end of memory", ending({n: walled(a) for n, a in program.arrays.items()}, 1)


def _with_lanes(module: ir.Module, facts: Facts, lanes: int) -> dict[str, Schedule]:
    """The proposed schedules with another number of lanes in grids that run as plain loops (1: no vectors)."""
    made = {}
    for name, plan in cpu.propose(module, facts, detect()).items():
        settings = {"vector": ""} if lanes == 1 else {"lanes": lanes, "rest": lanes}
        grids = tuple(g.as_spmd(settings) if g.strategy == "spmd" and g.name("vector") else g for g in plan.grids)
        made[name] = Schedule(plan.function, plan.target, grids)
    return made


def needs_fma(module: ir.Module) -> bool:
    """Does a product of floats reach a sum unrounded? Processors without FMA round it (LANGUAGE 30)."""
    return any(
        isinstance(o, ops.Fma)
        or (isinstance(o, ops.Contract) and o.result.dtype.is_float)
        or (isinstance(o, ops.Reduce) and o.acc.inputs == 2 and o.result.dtype.is_float)
        for fn in module.functions.values() for o in ir.walk_ops(fn.body)
    )  # fmt: skip


def check_program(text: str, given: Mapping[str, Any], way: Way) -> Ending:
    """Run a program by the interpreter and in one other way; assert that they end alike. Gives how."""
    program = checked(text, given)
    if way.level and not detect_with(way.level).has_fma and needs_fma(program.module):
        way = Way()
    want = interpreted(program)
    for what, got in compiled(program, way):
        same_ending(want, got, f"{way}, {what}")
    return want


def same_ending(want: Ending, got: Ending, where: str) -> None:
    """Equal faults; equal bits of numbers, but for the sign of zero and the sign and payload of NaN."""
    assert want.fault == got.fault, f"{where}: the interpreter ends with {want.fault}, this with {got.fault}"
    for name, a in want.results.items():
        a, b = np.asarray(a), np.asarray(got.results[name])
        assert a.shape == b.shape, f"{where}: {name} has shape {b.shape}, not {a.shape}"
        np.testing.assert_array_equal(a, b.astype(a.dtype), err_msg=f"{where}: {name}")
