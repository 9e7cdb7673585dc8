"""``lem build``: what a program becomes, layer by layer: its tree, tile IR, schedule, loop IR, LLVM text, assembly, object.

Takes a file and the kinds to show; prints texts (under headings, where there are several) and writes the object file.
"""

from __future__ import annotations

import argparse
import re
from functools import cached_property
from typing import NoReturn

from lem import ir, pipeline, syntax, texts
from lem.cli import ahead, inputs, output
from lem.cli.codes import Exit
from lem.cli.session import Entry, analysed, find_entry, instance, other_file, split_entry
from lem.diagnostics import Diagnostics
from lem.diagnostics.suggest import nearest
from lem.ir import printer
from lem.source import SourceFile
from lem.syntax import show
from lem.targets import cpu
from lem_runtime import detect
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.source import Facts

KINDS = ("ast", "ir", "schedule", "loops", "ll", "asm", "obj")


def command(args: argparse.Namespace) -> int:
    if ahead.wants(args):
        return ahead.command(args)
    if args.cpu:
        output.fail("E0620", "--cpu is for what runs elsewhere", help="a bundle (-o NAME.lemb) or a library (--emit so,h)")
    path, wanted = split_entry(args.file)
    diags = Diagnostics()
    source = texts.read_source(path, diags)
    if source is None:
        output.fail(diags.items[0].code.id, diags.items[0].label, help=other_file(path))
    asked = _stage(args.show) if args.show else ""
    kinds = _kinds(args.emit or ("" if asked else "obj"))
    build = _Build(source, wanted, args.dtype, args.any_layout)
    shown = [(f"after {asked}", build.after(asked))] if asked else []
    shown += [(kind, build.text(kind)) for kind in kinds if kind != "obj"]
    to_file = args.output if "obj" not in kinds else None
    if shown:
        _show(build, shown, to_file)
    if "obj" in kinds:
        _write_object(build, args.output)
    return Exit.DONE


# ---------------------------------------------------------------- what is asked for
def _kinds(emit: str) -> list[str]:
    kinds = [kind.strip() for kind in emit.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in KINDS:
            _refuse("--emit", kind, (*KINDS, *ahead.KINDS))
    return list(dict.fromkeys(kinds))


def _stage(show: str) -> str:
    word, equals, stage = show.partition("=")
    if word != "after" or not equals:
        output.fail("E0620", f"--show {show}: expected after=STAGE", help=f"the stages are {', '.join(stages())}")
    if stage not in stages():
        _refuse("--show after=", stage, stages())
    return stage


def _refuse(option: str, word: str, known: tuple[str, ...]) -> NoReturn:
    guess = nearest(word, known)
    help = f"did you mean `{guess}`?" if guess else f"there are {', '.join(known)}"
    output.fail("E0620", f"{option} does not know `{word}`", help=help)


def stages() -> tuple[str, ...]:
    """What can be shown, in the order of the pipeline; a pass that runs again has a number."""
    return ("parse", "lower", *pass_names())


def pass_names() -> tuple[str, ...]:
    names = [stage.name for stage in pipeline.OPTIMIZE]
    nth = [names[: n + 1].count(name) for n, name in enumerate(names)]
    return tuple(name if n == 1 else f"{name}:{n}" for name, n in zip(names, nth, strict=True))


# ---------------------------------------------------------------- the layers
@dataclass
class _Build:
    """One program on its way; a layer is made when it is asked for."""

    source: SourceFile
    wanted: str
    dtypes: list[tuple[str, str]]
    any_layout: bool

    def text(self, kind: str) -> str:
        if kind == "ast":
            return self.tree
        if kind == "ir":
            return printer.print_module(pipeline.optimised(self.program, self.entry.name, cpu.TARGET.name))
        module = pipeline.optimised(self.program, self.entry.name, cpu.TARGET.name)
        return cpu.TARGET.show(module, self.entry.name, self.facts, detect(), kind)

    def after(self, stage: str) -> str:
        """The program after a stage of :func:`stages`."""
        if stage == "parse":
            return self.tree
        functions = dict(self.program.ir.closure(self.entry.name).functions)
        names = pass_names()
        n_passes = names.index(stage) + 1 if stage in names else 0
        if n_passes:
            functions = dict(pipeline.chosen(self.program, self.entry.name, cpu.TARGET.name).functions)
        for step in pipeline.OPTIMIZE[:n_passes]:
            functions = {name: pipeline.run_stage(step, fn) for name, fn in functions.items()}
        return printer.print_module(ir.Module(functions))

    def code(self) -> bytes:
        artifact = pipeline.compile_function(self.program, self.entry.name, self.facts, detect(), cpu.TARGET)
        return artifact.code

    @cached_property
    def tree(self) -> str:
        diags = Diagnostics()
        module = syntax.parse(self.source, diags)
        if diags.has_errors:
            raise output.Stop(Exit.PROGRAM, diags.items, n_dropped=diags.n_dropped)
        return show.show(module)

    @cached_property
    def _found(self) -> tuple[pipeline.Program, Entry]:
        """The program with the instance that is built, and the entry under its name there."""
        program = analysed(self.source)
        entry = find_entry(program, self.wanted, self.source.name)
        dtypes = inputs.told_dtypes(entry, self.dtypes)
        for t in entry.type_params:
            if t not in dtypes:
                output.fail("E0325", f"`{entry.name}` is generic over `{t}`", help=f"give its type: --dtype {t}=f32")
        program, name = instance(program, entry, Facts((), (), tuple(sorted(dtypes.items()))))
        return program, Entry(name, program.typed.functions[name].signature)

    @property
    def program(self) -> pipeline.Program:
        return self._found[0]

    @property
    def entry(self) -> Entry:
        return self._found[1]

    @property
    def facts(self) -> Facts:
        """Plain arrays, as `lem run` reads them from files, or whatever strides there are."""
        layout = "any" if self.any_layout else "inner"
        return Facts(tuple(layout for p in self.entry.signature.params if p.is_array))


# ---------------------------------------------------------------- where it goes
def _show(build: _Build, shown: list[tuple[str, str]], path: str | None) -> None:
    parts = [body.rstrip("\n") + "\n" for _, body in shown]
    if len(shown) > 1:
        parts = [f"{f'==== {title} ':=<80}\n{part}" for (title, _), part in zip(shown, parts, strict=True)]
    if path is None:
        print("\n".join(parts), end="")
    else:
        ahead.write(build.source, path, "\n".join(parts).encode())


def _write_object(build: _Build, path: str | None) -> None:
    code = build.code()
    path = path or f"{_plain(build.entry.name)}.o"
    ahead.write(build.source, path, code)
    print(f"{path}: {len(code):,} bytes of code of `{build.entry.name}` for {detect().cpu}")


def _plain(entry: str) -> str:
    """The name of an entry as a file name that no shell minds: `copy[f32]` gives `copy-f32`."""
    return re.sub(r"[^\w.]+", "-", entry).strip("-")
