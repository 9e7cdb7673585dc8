"""Run a program's text on the interpreter or on a target, for tests: everything a person's `lem run` goes through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lem import pipeline
from lem.diagnostics import Diagnostics
from lem.diagnostics.text import render_all
from lem.source import SourceFile
from lem.targets import cpu, llvm
from lem_runtime import KernelFault, detect, facts_of, join, lem_dtype, numpy_dtype, run, split, use_compiler
from lem_runtime.abi import signature as sig
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.source import Facts

TARGETS = ("interp", "cpu")

use_compiler(lambda text: llvm.compile_ir(text, detect()))


@dataclass(frozen=True, slots=True)
class Fault:
    """Where and why a program stopped: code, the element's indices (none in sequential code), what the site recorded."""

    code: str
    indices: tuple[int, ...]
    values: tuple[int | float | bool, ...]


class Stopped(Exception):
    """A program on the interpreter faulted."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(f"{fault.code}: {text}")
        self.fault = fault


@lru_cache(maxsize=256)
def program(text: str, name: str = "test.lem") -> pipeline.Program:
    """The checked program; fails the test with the rendered errors."""
    diags = Diagnostics()
    made = pipeline.analyse(SourceFile(name, text), diags)
    assert made is not None, render_all(diags)
    return made


def entry_of(made: pipeline.Program) -> str:
    """`main`, or the only kernel or task that the file defines."""
    mine = [n for n, f in made.typed.functions.items() if f.span.source is made.source]
    names = [*mine, *made.typed.generics]
    assert "main" in names or len(names) == 1, f"say which of {names}"
    return "main" if "main" in names else names[0]


@lru_cache(maxsize=256)
def artifact(text: str, entry: str, facts: Facts, name: str = "test.lem") -> Artifact:
    made, entry = instance(program(text, name), entry, dict(facts.dtypes))
    return pipeline.compile_function(made, entry, facts, detect(), cpu.TARGET)


def instance(made: pipeline.Program, entry: str, dtypes: Mapping[str, str]) -> tuple[pipeline.Program, str]:
    if entry not in made.typed.generics:
        return made, entry
    diags = Diagnostics()
    found = pipeline.instantiate(made, entry, dtypes, diags)
    assert found is not None, render_all(diags)
    return found


def run_kernel(
    source_text: str,
    entry: str | None = None,
    *,
    target: str = "cpu",
    threads: int = 1,
    name: str = "test.lem",
    copied: bool = True,
    compiled: Callable[[str, str, Facts, str], Artifact] = artifact,
    **given: Any,
) -> dict[str, Any]:
    """Results by name (arrays; scalar results as Python numbers). `given`: arrays, scalars, dimensions by name.

    Arrays are copied first unless `copied` is False. `target` is "cpu" or "interp"; `compiled` makes the code for "cpu".
    """
    made = program(source_text, name)
    entry = entry or entry_of(made)
    generic = made.typed.generics.get(entry)
    signature = generic.signature if generic else made.typed.functions[entry].signature
    arrays = {n: np.array(v, copy=True, order="K") if copied else v for n, v in given.items() if isinstance(v, np.ndarray)}
    dtypes = _dtypes(signature, dict(generic.params) if generic else {}, arrays)
    columns = {n: v for n, v in given.items() if isinstance(v, dict) and (p := signature.param(n)) and p.is_array}
    arrays |= {n: {f: np.array(a, copy=True, order="K") if copied else a for f, a in v.items()} for n, v in columns.items()}
    scalars = {n: v for n, v in given.items() if n not in arrays and n not in signature.dims}
    named = {n: v for n, v in given.items() if n in signature.dims}
    full = {p.name: p.default for p in signature.params if p.default is not None} | scalars
    dims = sig.bind(signature, {n: a.shape for n, a in split(signature, arrays).items()}, split(signature, full), named)
    if target == "interp":
        return _interpret(made, entry, dtypes, arrays, scalars, dims)
    facts = Facts(facts_of(signature, arrays, dims).layouts, (), tuple(sorted(dtypes.items())))
    result = run(compiled(source_text, entry, facts, name), arrays, scalars, named, threads=threads)
    return {**result.outputs, **result.scalars}


def fault_of(source_text: str, entry: str | None = None, *, target: str = "cpu", **given: Any) -> Fault:
    """The fault that a program ends with; the test fails when it ends well."""
    try:
        run_kernel(source_text, entry, target=target, **given)
    except Stopped as e:
        return e.fault
    except KernelFault as e:
        return Fault(e.code, tuple(e.indices.values()), tuple(e.values))
    raise AssertionError(f"no fault:\n{source_text}")


def _dtypes(signature: sig.Signature, params: Mapping[str, str], arrays: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for p in signature.params:
        if p.dtype in params and p.name in arrays:
            found[p.dtype] = lem_dtype(arrays[p.name].dtype) or ""
    return found


def _interpret(
    made: pipeline.Program, entry: str, dtypes: Mapping[str, str], arrays: dict[str, Any], scalars: Mapping[str, Any],
    dims: dict[str, int],
) -> dict[str, Any]:  # fmt: skip
    from lem.ir import interpreter

    made, entry = instance(made, entry, dtypes)
    module = pipeline.optimised(made, entry)
    fn = module.functions[entry]
    # The defaults of this instance: those of the generic signature have been rounded to the type it was tried with.
    scalars = {p.name: p.default for p in fn.signature.params if p.default is not None} | dict(scalars)
    given, arrays, scalars = arrays, split(fn.signature, arrays), split(fn.signature, scalars)
    known = {n: v for n, v in scalars.items() if isinstance(v, int)} | dims
    full = dict(arrays)
    for p in fn.signature.params:
        if p.shape is not None and p.name not in full:
            full[p.name] = np.zeros(sig.shape_of(p, known), numpy_dtype(p.dtype))
        elif p.shape is None and p.is_written:
            full[p.name] = np.zeros((), numpy_dtype(p.dtype))
    outcome = interpreter.run(module, entry, full, dict(scalars), dims)
    if outcome.fault is not None:
        raise Stopped(Fault(outcome.fault.code, outcome.fault.indices, outcome.fault.values), outcome.fault.text)
    written = {p.name: full[p.name] if p.is_array else full[p.name][()] for p in fn.signature.params if p.is_written}
    return join(fn.signature, written, given)
