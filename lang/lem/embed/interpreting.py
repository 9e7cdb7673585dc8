"""One call by the meaning of the language: what ``lem.interpret`` does with it.

Takes the checked program and the arguments as the runtime wants them; binds them as a run of compiled code would, so that
what does not fit is said in the same words, and gives the same result. Loaded at the first call.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from lem import ir, pipeline
from lem.embed.stepping import debugger, stepper, walk
from lem.ir import interpreter, ops
from lem.ir.interpreter.execute import first_frame
from lem.ir.interpreter.formats import storage
from lem.ir.interpreter.frame import Printed, Report, RunFault
from lem.types import typed
from lem_runtime import KernelFault, RunResult, bind_call, element_text, fill_text, indices_of, print_lines, split
from lem_runtime.abi.artifact import Artifact, Site
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.signature import Place, Signature

_MOST_LINES = 1_000
_CODES = {"uninitialised": "E0628", "race": "E0629"}


def run(
    program: pipeline.Program, name: str, arrays: Mapping[str, Any], scalars: Mapping[str, Any], dims: Mapping[str, int],
    around: Mapping[str, Mapping[str, Any]], *, step: bool | None = None,
) -> tuple[Signature, RunResult]:  # fmt: skip
    """Run function `name`. around: names that a debugger knows in each file. step: see ``lem.interpret``. Raises what
    ``lem_runtime.run`` raises."""
    module = pipeline.chosen(program, name, "interp")
    fn = module.functions[name]
    bound = bind_call(Artifact(name, "interp", fn.signature, "", b""), arrays, scalars, dims)
    held = {n: a.view(storage(DTYPES[param.dtype])) for n, a in bound.arrays.items() if (param := fn.signature.param(n))}
    for n, cell in bound.cells.items():
        held[n] = np.frombuffer(memoryview(cell), storage(fn.array(n).dtype), 1).reshape(())
    given = split(fn.signature, scalars)
    numbers = {n: _number(fn.signature, n, given) for n, _ in fn.scalars}
    if step is None:
        step = debugger.is_attached() or _has_breakpoint(program, name)
    if step:
        prints = _stepped(program, module, name, (held, numbers, bound.dims), around)
    else:
        prints = _whole(program, name, (held, numbers, bound.dims), bound.known)
    return fn.signature, RunResult(bound.outputs(), bound.scalars(), prints[:_MOST_LINES], len(prints), dims=bound.dims)


_Call = tuple[dict[str, Any], dict[str, Any], dict[str, int]]  # arrays, scalars, dimensions


def _number(signature: Signature, name: str, given: Mapping[str, Any]) -> Any:
    param = signature.param(name)
    value = given.get(name, param.default if param is not None else None)
    return value.item() if isinstance(value, np.generic) else value


def _has_breakpoint(program: pipeline.Program, name: str) -> bool:
    """Whether the function, or any that it calls, says ``breakpoint()``."""
    functions = program.typed.functions
    return any(walk.has(functions[n].body, typed.Breakpoint) for n in program.ir.closure(name).functions)


# ---------------------------------------------------------------- all elements together
def _whole(program: pipeline.Program, name: str, call: _Call, known: Mapping[str, int]) -> list[str]:
    """Runs it, prints its lines, and gives them."""
    module = pipeline.optimised(program, name)
    outcome = interpreter.run(module, name, *call, checked=True)
    lines = [_line(module, p, known) for p in outcome.prints[:_MOST_LINES]]
    print_lines(lines, len(outcome.prints))
    if outcome.reports:
        _raise_report(module, outcome.reports[0])
    if outcome.fault is not None:
        _raise_fault(module, outcome.fault)
    return lines


def _line(module: ir.Module, printed: Printed, known: Mapping[str, int]) -> str:
    site = module.functions[printed.kernel].sites[printed.site]
    text, where = fill_text(site.text, printed.values, site.kinds), indices_of(site, printed.order, known)
    return f"{element_text(site.kernel, where)}: {text}" if where else text


# ---------------------------------------------------------------- one element and one line at a time
def _stepped(
    program: pipeline.Program, module: ir.Module, name: str, call: _Call, around: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Runs it; it prints while it runs."""
    session = stepper.Session(program.typed, around, debugger.stop())
    session.tracer = sys.gettrace()
    sys.settrace(None)
    frame = first_frame(module, module.functions[name], *call, checked=True)
    stepping = stepper.Stepper(session, program.typed.functions[name], frame)
    try:
        with np.errstate(all="ignore"):
            stepping.run()
    except stepper.Found as e:
        _raise_report(module, e.report)
    except stepper.Wrong as e:
        _raise_fault(module, e.fault, e.site)
    finally:
        sys.settrace(session.tracer)
    return []


# ---------------------------------------------------------------- what went wrong
def _raise_fault(module: ir.Module, fault: RunFault, site: Site | None = None) -> NoReturn:
    site = site or module.functions[fault.kernel].sites[fault.site]
    where = dict(zip(site.axes, fault.indices, strict=False))
    text = fill_text(fault.text, fault.values, site.kinds)
    more = f" (in {element_text(site.kernel, where)})" if where else ""
    raise KernelFault(fault.code, text + more, site.kernel, site, fault.values, where)


def _raise_report(module: ir.Module, found: Report) -> NoReturn:
    """A race, or a read of what nobody wrote."""
    axes = _axes_around(module.functions[found.kernel], found)
    elements = [dict(zip(axes, e, strict=False)) for e in found.elements]
    where = elements[0] if elements else {}
    place = f"`{found.array}[{', '.join(map(str, found.place))}]`" if found.place else f"`{found.array}`"
    if found.kind == "race":
        others = " and ".join(element_text(found.kernel, e) for e in elements[1:]) or "another element"
        text = f"{element_text(found.kernel, where)} and {others} meet at {place}, and one of them writes"
    else:
        text = f"{place} is read before anything writes it"
        text += f" (in {element_text(found.kernel, where)})" if where else ""
    site = Site(_CODES[found.kind], found.kernel, text, found.loc or _NOWHERE)
    raise KernelFault(site.code, text, found.kernel, site, found.place, where)


def _axes_around(fn: ir.Function, found: Report) -> tuple[str, ...]:
    """Names of the variables of the grid in which something was found."""
    for grid in ir.walk_ops(fn.body):
        if isinstance(grid, ops.Grid) and any(o.loc == found.loc for o in ir.walk_ops(grid.body)):
            return tuple(a.name for a in grid.axes)
    return ()


_NOWHERE = Place("", 1, 1, 1, 1)
