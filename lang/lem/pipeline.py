"""From source text to an Artifact, one line per stage, in the order the data flows. Read this page first.

    SourceFile -> syntax.parse -> names.bind -> types.check -> lower.to_ir          analyse(): once per module
    ir.Function -> choose_target, OPTIMIZE -> schedule.propose -> target.emit -> Artifact
                                                                                    compile_function(): per context

A stage never raises for a person's mistake: it reports into `diags` and gives the best tree it can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lem import ir, lower, names, syntax, types
from lem.diagnostics import Diagnostic, Diagnostics, InternalError, Refused
from lem.diagnostics.codes import E0501
from lem.ir import printer, verifier
from lem.passes.boundaries import find_boundaries
from lem.passes.choose_target import choose_target
from lem.passes.drop_dead import drop_dead_ops
from lem.passes.fuse_fma import fuse_fma
from lem.passes.hoist_sums import hoist_sums
from lem.passes.simplify import simplify
from lem.source import SourceFile
from lem.targets.base import Target
from lem.texts import module_loader
from lem.types import typed
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.source import Facts


@dataclass(frozen=True, slots=True)
class Stage:
    run: Callable[[ir.Function], ir.Function]
    why: str

    @property
    def name(self) -> str:
        return self.run.__name__


OPTIMIZE = (
    Stage(simplify, why="inlined functions and written-out checks repeat themselves"),
    Stage(find_boundaries, why="a boundary that is written out is one that most elements do not reach"),
    Stage(drop_dead_ops, why="a product that nothing else reads is one that may be fused"),
    Stage(fuse_fma, why="where products round is fixed here, for every target alike"),
    Stage(hoist_sums, why="what a column shares is not summed up for each of its elements"),
    Stage(drop_dead_ops, why="fusion and hoisting leave the old ops behind"),
)


@dataclass(frozen=True, slots=True)
class Program:
    """A checked module: its names, its typed tree (tests, generics), its tile IR, and all the files that went into it."""

    source: SourceFile
    bound: names.Bound
    typed: typed.Module
    ir: ir.Module
    files: tuple[SourceFile, ...] = ()


# ---------------------------------------------------------------- once per module
def analyse(source: SourceFile, diags: Diagnostics, loader: names.Loader | None = None) -> Program | None:
    """Turn source into verified tile IR; None when `diags` holds an error."""
    return analyse_tree(source, syntax.parse(source, diags), diags, loader)


def analyse_tree(
    source: SourceFile, tree: syntax.ast.Module, diags: Diagnostics, loader: names.Loader | None = None
) -> Program | None:
    """The same from a tree, whichever front end made it; `source`: where its first item stands."""
    bound = names.bind(tree, diags, loader or module_loader(source))
    checked = types.check(bound, diags)
    if diags.has_errors:
        return None
    module = lowered(checked, diags)
    if diags.has_errors:
        return None
    return Program(source, bound, checked, module, tuple(s.tree.span.source for s in bound.modules.values()))


def lowered(module: typed.Module, diags: Diagnostics) -> ir.Module:
    """Verified tile IR of every function of a typed module; without those that `diags` reports as nested too deeply."""
    made = lower.to_ir(module, diags)
    for fn in made.functions.values():
        verifier.check(fn, "lower")
    return made


def check_source(source: SourceFile) -> Diagnostics:
    """Everything that can be said about a program without running it."""
    diags = Diagnostics()
    analyse(source, diags)
    return diags


def instantiate(program: Program, name: str, dtypes: Mapping[str, str], diags: Diagnostics) -> tuple[Program, str] | None:
    """The program with one more instance of a generic kernel, and the instance's name; None when `diags` holds an error."""
    module = replace(program.typed, functions=dict(program.typed.functions))
    made = types.instantiate(program.bound, module, name, dtypes, diags)
    if made is None or diags.has_errors:
        return None
    tile_ir = lowered(module, diags)
    return None if diags.has_errors else (replace(program, typed=module, ir=tile_ir), made.name)


# ---------------------------------------------------------------- once per function and context
def optimise(fn: ir.Function) -> ir.Function:
    """All target-independent passes. What comes out is verified; only when that fails are the passes run again, with
    each result verified, so that the wrong one is named."""
    try:
        made = fn
        for stage in OPTIMIZE:
            made = stage.run(made)
        verifier.check(made, OPTIMIZE[-1].name)
        return made
    except Exception:
        for stage in OPTIMIZE:
            fn = run_stage(stage, fn)
        return fn


def run_stage(stage: Stage, fn: ir.Function) -> ir.Function:
    """One pass, its result verified."""
    try:
        made = stage.run(fn)
    except InternalError:
        raise
    except Exception as e:  # a pass that raises is our fault: say which one, and keep its input
        raise InternalError(stage.name, f"{type(e).__name__}: {e}", printer.print_function(fn)) from e
    verifier.check(made, stage.name)
    return made


def chosen(program: Program, name: str, target: str) -> ir.Module:
    """The function `name` and what it calls on a target, with every ``target is ...`` decided. Raises :class:`Refused` where
    one of them is not for this target; the interpreter, which says what all of them mean, runs each."""
    known = {n: choose_target(fn, target) for n, fn in program.ir.closure(name).functions.items()}
    module = ir.Module(known).closure(name)
    for n in module.functions:
        fn = program.typed.functions.get(n)
        allowed = fn.attrs.get("on") if fn is not None else None
        if fn is not None and isinstance(allowed, tuple) and target not in (*allowed, "interp"):
            raise Refused(_not_for(fn, allowed, target))
    return module


def _not_for(fn: typed.Function, allowed: tuple[str, ...], target: str) -> Diagnostic:
    places = f"{', '.join(allowed[:-1])} or {allowed[-1]}" if len(allowed) > 1 else allowed[0]
    label = f"`{fn.name}` is for {places}, and no such device is here: this is {target}"
    help = f"name `{target}` in its `@on` too, or write a body for it with `@variant(of={fn.name}, on={target})`"
    return Diagnostic(E0501, fn.name_span, label, (), (), (help,))


def optimised(program: Program, name: str, target: str = "interp") -> ir.Module:
    """The function `name` and what it calls on a target, after all passes."""
    return ir.Module({n: optimise(fn) for n, fn in chosen(program, name, target).functions.items()})


def compile_function(program: Program, name: str, facts: Facts, machine: Machine, target: Target) -> Artifact:
    """Turn one function into code for one context; called as often as contexts differ."""
    module = optimised(program, name, target.name)
    return target.emit(module, name, facts, machine)
