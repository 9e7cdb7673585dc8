"""Trial runs for ``lem check``: does a variant of a kernel give what the kernel's own body gives (DESIGN 2.5)?

Takes a checked program; runs both bodies on made-up inputs of small sizes for which the variant is there, by the
interpreter, whatever target the variant is for. Gives what differs by more than rounding and more than `@within` of one of
them allows (LANGUAGE 32), or why the variant could not be tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import islice, product
from typing import Any

from lem import ir, lower, pipeline
from lem.cli.trials import SIZES, Inputs, endless, made_up
from lem.cli.tried import Trial
from lem.diagnostics import CODES, Diagnostic
from lem.ir import interpreter
from lem.source import Span
from lem.types import typed
from lem_runtime.abi import signature as sig

_LARGEST_SIZE = 256
_N_CALLS = 6  # compared for each variant


def run_variant(program: pipeline.Program, name: str, shown: str, variant: typed.Variant) -> Trial:
    """Compare a variant of the kernel `name`, which its program calls `shown`, with the kernel's own body."""
    base = program.typed.functions[name]
    callee = program.typed.functions[variant.call.callee]
    trial = Trial(_shown(callee), how=f"against `{shown}`")
    if endless(program, name):
        return replace(trial, not_run="there is a `while` loop, which made-up inputs might never end")
    own, other = _with_body(program, base, base.own_body), _with_body(program, base, (variant.call,))
    first = ""
    n_calls = 0
    for inputs in islice(_suitable(program, base, variant), _N_CALLS):
        meant = _run(own, name, inputs)
        if meant.fault is not None:
            first = first or meant.fault.text.format(*meant.fault.values)
            continue
        n_calls += 1
        label = _difference(program, base, callee, inputs, meant, _run(other, name, inputs))
        if label:
            return replace(trial, problem=_problem(base, callee, label))
    if n_calls:
        return trial
    return replace(trial, not_run=first or "no made-up sizes and scalars are those that it is for")


def _suitable(program: pipeline.Program, base: typed.Function, variant: typed.Variant) -> Iterator[Inputs]:
    """Made-up calls of the kernel for which the variant is there. The numbers in its condition say what to try."""
    span = variant.cond.span
    probe = _with_body(program, base, (typed.Assert(span, variant.suits, "", ()),))
    told = sorted({n for n in _numbers(variant.suits) if 0 < n <= _LARGEST_SIZE})
    near = dict.fromkeys(n + d for n in told for d in (0, 1, -1, n) if 0 < n + d <= _LARGEST_SIZE)
    for sizes, number, largest in product((*SIZES, *((n,) * 6 for n in near)), (2, *near, 0, -1), (4, 1)):
        made = made_up(base.signature, sizes, largest, number)
        if not isinstance(made, str) and _run(probe, base.name, made).fault is None:
            yield made


def _numbers(x: Any) -> Iterator[int]:
    """The integers that a condition names."""
    if isinstance(x, typed.Const) and isinstance(x.value, int):
        yield int(x.value)
    elif isinstance(x, tuple):
        for y in x:
            yield from _numbers(y)
    elif is_dataclass(x) and not isinstance(x, Span):
        for f in fields(x):
            yield from _numbers(getattr(x, f.name))


def _with_body(program: pipeline.Program, fn: typed.Function, body: tuple[typed.Stmt, ...]) -> ir.Module:
    """The program with another body for a kernel."""
    made = lower.lower_function(replace(fn, body=body, variants=(), own_body=()))
    return ir.Module({**program.ir.functions, fn.name: made}).closure(fn.name)


def _run(module: ir.Module, name: str, inputs: Inputs) -> interpreter.RunOutcome:
    arrays, scalars, dims = inputs
    return interpreter.run(module, name, {n: a.copy() for n, a in arrays.items()}, scalars, dims)


def _difference(
    program: pipeline.Program, base: typed.Function, variant: typed.Function, inputs: Inputs,
    meant: interpreter.RunOutcome, got: interpreter.RunOutcome,
) -> str:  # fmt: skip
    """What is wrong with a variant's results, if anything."""
    where, name = _call(base, inputs), _shown(base)
    if got.fault is not None:
        said = got.fault.text.format(*got.fault.values)
        return f"it stops where `{name}` does not{where}: {said}"
    for a in program.ir.functions[base.name].arrays:
        if a.effect == "read":
            continue
        error = interpreter.difference(got.arrays[a.name], meant.arrays[a.name], a.dtype)
        if not error <= max(interpreter.rounding(a.dtype), _within(base), _within(variant)):
            return f"`{a.name}` differs by {error:.2g} of its greatest element from that of `{name}`{where}"
    return ""


def _call(base: typed.Function, inputs: Inputs) -> str:
    """The sizes and scalars of a call, in words."""
    arrays, scalars, named = inputs
    sizes = sig.bind(base.signature, {n: a.shape for n, a in arrays.items()}, scalars, named)
    told = [f"{n} = {v}" for n, v in {**sizes, **scalars}.items()]
    return f" with {', '.join(told)}" if told else ""


def _shown(fn: typed.Function) -> str:
    return fn.name.partition("[")[0]


def _within(fn: typed.Function) -> float:
    decorators = fn.attrs.get("decorators")
    text = decorators.get("within", "") if isinstance(decorators, Mapping) else ""
    found = re.search(r"rel\s*=\s*([^\s,)]+)", text)
    return float(found[1]) if found else 0.0


def _problem(base: typed.Function, variant: typed.Function, label: str) -> Diagnostic:
    help = "let both compute the same, or let `when` leave such calls out; `@within(rel=...)` allows more than rounding"
    also = ((base.name_span, "a variant of this kernel"),)
    return Diagnostic(CODES["E0506"], variant.name_span, label, also, (), (help,))


__all__ = ["run_variant"]
