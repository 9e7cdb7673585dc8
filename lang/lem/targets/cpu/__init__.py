"""Target "cpu": tile IR to an object file, through a schedule, loop IR and LLVM's text form.

ir.Module -> schedule.propose -> lower (loop IR) -> emit (LLVM text) -> llvm.compile_ir (object) -> abi.Artifact
"""

from __future__ import annotations

from collections.abc import Mapping

from lem import ir
from lem import schedule as schedules
from lem.diagnostics import InternalError
from lem.ir import ops, printer, queries
from lem.ir.effort import effort
from lem.passes.known_sizes import with_known_sizes
from lem.schedule import Schedule, Setting
from lem.schedule.products import find_form
from lem.schedule.register_tiles import contraction_settings, tiled_settings
from lem.schedule.tilings import find_tiling
from lem.targets import llvm
from lem.targets.base import Limits, Target
from lem.targets.cpu import lower
from lem.targets.cpu.emit import emit_module
from lem.targets.loops.printer import show_module
from lem_runtime.abi.artifact import Artifact, Site
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.source import Facts

_MOST_COLUMNS, _MOST_ROWS = 1 << 13, 1 << 11  # of what the source asks for: workers keep panels of this size

STAGES = ("schedule", "loops", "ll", "asm")


def want_contraction(
    fn: ir.Function, grid: ops.Grid, facts: Facts, machine: Machine
) -> tuple[str, Mapping[str, Setting]] | None:
    form = find_form(fn, grid)
    if form is None:
        return None
    settings = contraction_settings(form.products[0].op.dtype, machine)
    rows = schedules.asked(grid, form.m[0].axis) if len(form.m) == 1 else None
    columns = schedules.asked(grid, form.n.axis)
    if rows is not None:
        settings["mb"] = rows
    if columns is not None:
        settings["nb"] = min(columns, _MOST_COLUMNS)
    return "contraction", settings


def want_tiled(fn: ir.Function, grid: ops.Grid, facts: Facts, machine: Machine) -> tuple[str, Mapping[str, Setting]] | None:
    tiling = find_tiling(fn, grid)
    if tiling is None:
        return None
    rows = schedules.asked(grid, tiling.row.axis)
    return "tiled", tiled_settings(tiling.dtype, machine) if rows is None else {"rows": min(rows, _MOST_ROWS)}


SPECIAL = (want_contraction, want_tiled)
STRATEGY_NAMES = frozenset({"spmd", *lower.STRATEGIES})


@dataclass(frozen=True, slots=True)
class Made:
    """All stages of one function up to LLVM's text."""

    schedules: Mapping[str, Schedule]
    lowered: lower.Lowered
    text: str


def propose(module: ir.Module, facts: Facts, machine: Machine) -> dict[str, Schedule]:
    """A schedule for every function of a module."""
    last = list(module.functions)[-1]
    return {
        n: schedules.propose(fn, facts if n == last else Facts(("inner",) * _n_arrays(fn)), machine, "cpu", SPECIAL)
        for n, fn in module.functions.items()
    }


def _n_arrays(fn: ir.Function) -> int:
    return sum(p.is_array for p in fn.signature.params)


def make(module: ir.Module, name: str, facts: Facts, machine: Machine, given: Mapping[str, Schedule] | None = None) -> Made:
    """From tile IR to LLVM's text. given: schedules to use instead of proposed ones."""
    fn = with_known_sizes(module.functions[name], facts)
    module = ir.Module({n: f for n, f in module.functions.items() if n != name} | {name: fn})
    plans = {**propose(module, facts, machine), **(given or {})}
    for n, fn in module.functions.items():
        wrong = schedules.check(plans[n], fn, STRATEGY_NAMES)
        if wrong:
            raise InternalError("cpu schedule", "; ".join(wrong), schedules.show(plans[n]))
    lowered = lower.lower_module(module, name, facts, machine, plans)
    return Made(plans, lowered, emit_module(lowered.module, machine, [code_of(s) for s in lowered.sites]))


def code_of(site: Site) -> int:
    """E0601 is 601; places that only print or call have none."""
    return int(site.code[1:]) if site.code[1:].isdigit() else 0


def emit(
    module: ir.Module, name: str, facts: Facts, machine: Machine, given: Mapping[str, Schedule] | None = None
) -> Artifact:
    """The artifact of `name`, with the functions it calls inside."""
    fn = module.functions[name]
    made = make(module, name, facts, machine, given)
    return Artifact(
        name=name, target="cpu", signature=fn.signature, entry=lower.symbol(name),
        code=llvm.compile_ir(made.text, machine), sites=made.lowered.sites, work=queries.work(fn, module),
        effort=effort(fn, module), is_single_grid=made.lowered.units is not None, units=made.lowered.units or 0,
        facts=str(facts), schedule="".join(schedules.show(s) for s in made.schedules.values()),
        ir="\n".join(printer.print_function(f) for f in module.functions.values()), machine=machine.key,
    )  # fmt: skip


def show(module: ir.Module, name: str, facts: Facts, machine: Machine, stage: str) -> str:
    """Text of one of ``STAGES``."""
    made = make(module, name, facts, machine)
    match stage:
        case "schedule":
            return "".join(schedules.show(s) for s in made.schedules.values())
        case "loops":
            return show_module(made.lowered.module)
        case "ll":
            return made.text
        case "asm":
            return llvm.assembly(made.text, machine)
    raise ValueError(f"no stage is called {stage}")


LIMITS = Limits(frozenset(n for n, t in DTYPES.items() if t.kind != "quant"))
TARGET = Target("cpu", LIMITS, emit, STAGES, show)
