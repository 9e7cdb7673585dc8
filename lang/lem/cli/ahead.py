"""``lem build`` for later: a bundle (.lemb), which runs without the compiler, or a shared library and its header for C."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from lem import pipeline, texts
from lem.aot import bundle as bundles
from lem.aot import library
from lem.aot.c_names import identifier
from lem.aot.functions import Function
from lem.cli import compiler, files, inputs, output
from lem.cli.session import analysed, entries_of, find_entry, instance, other_file, split_entry
from lem.diagnostics import Diagnostics, Refused
from lem.diagnostics.suggest import nearest
from lem.source import SourceFile
from lem.targets import cpu
from lem_runtime import MACHINE_NAMES, c_host_text, core_text, detect, named_machine, wrapper_texts
from lem_runtime.abi import bundle
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.source import Facts

KINDS = ("bundle", "so", "h")


def wants(args: argparse.Namespace) -> bool:
    """Whether a command line asks for one of these."""
    asked = {kind.strip() for kind in (args.emit or "").split(",")}
    return not asked.isdisjoint(KINDS) or (not args.emit and not args.show and (args.output or "").endswith(".lemb"))


def command(args: argparse.Namespace) -> int:
    kinds = [kind.strip() for kind in (args.emit or "bundle").split(",") if kind.strip()]
    others = [kind for kind in kinds if kind not in KINDS]
    if others or args.show:
        output.fail("E0620", f"{', '.join(kinds)} cannot be made together with {others[0] if others else '--show'}")
    if args.any_layout:
        output.fail("E0620", "--any-layout says nothing here: a bundle has code for any strides, C for contiguous arrays")
    if "bundle" in kinds and len(set(kinds)) > 1:
        output.fail("E0620", f"{', '.join(kinds)} go to different files", help="build the bundle by itself")
    if "so" in kinds:
        compiler.find()  # before anything is compiled for nothing
    source = _source(args.file)
    functions = _functions(source, split_entry(args.file)[1], args.dtype)
    machines = _machines(args.cpu or _usual_machines())
    if "bundle" in kinds:
        _write_bundle(source, args.output or f"{_stem(source)}.lemb", functions, machines)
    else:
        _write_library(source, args.output or _stem(source), kinds, functions, machines)
    return 0


def _write_bundle(source: SourceFile, path: str, functions: list[Function], machines: list[Machine]) -> None:
    data = bundle.encode(bundles.make(functions, machines, bundles.Texts(core_text, wrapper_texts), detect().n_cores))
    write(source, path, data)
    cpus = ", ".join(dict.fromkeys(m.cpu for m in machines))
    print(f"{path}: {len(data):,} bytes, {_listed([f.name for f in functions])} for {cpus}")


def _write_library(
    source: SourceFile, path: str, kinds: Sequence[str], functions: list[Function], machines: list[Machine]
) -> None:
    """NAME.so and NAME.h, where they are asked for."""
    if len({m.triple for m in machines}) > 1:
        output.fail("E0620", "a shared library is for one architecture", help="build one for each")
    path = path.removesuffix(".so").removesuffix(".h")
    name = os.path.basename(path)
    prefix, program = identifier(name.removeprefix("lib") or name), os.path.basename(source.name)
    if name in ("", ".", ".."):
        output.fail("E0620", f"-o {path} names no file", help="name one without ending: -o NAME")
    said, cpus = _listed([f.name for f in functions]), ""
    header = library.header(name, prefix, program, functions)
    if "so" in kinds:
        best_first = library.levels(machines)
        host = {"core": core_text(best_first[0].triple.partition("-")[0].replace("arm64", "aarch64")), "host": c_host_text()}
        made = library.make(name, prefix, program, functions, best_first, host)
        data = compiler.link(name, made)
        write(source, f"{path}.so", data)
        cpus = ", ".join(m.cpu for m in reversed(best_first))
        print(f"{path}.so: {len(data):,} bytes, {said} for {cpus}")
    if "h" in kinds:
        write(source, f"{path}.h", header.encode())
        print(f"{path}.h: {said} as {prefix}_...")


def _source(argument: str) -> SourceFile:
    path, _ = split_entry(argument)
    diags = Diagnostics()
    source = texts.read_source(path, diags)
    if source is None:
        output.fail(diags.items[0].code.id, diags.items[0].label, help=other_file(path))
    return source


def _stem(source: SourceFile) -> str:
    return os.path.splitext(os.path.basename(source.name))[0] or "program"


def _functions(source: SourceFile, wanted: str, told: list[tuple[str, str]]) -> list[Function]:
    """The entry that is named, or all that can be called; what cannot be compiled now is left out, with a note."""
    program = analysed(source)
    entries = dict(entries_of(program))
    if wanted:
        entries = {wanted: find_entry(program, wanted, source.name)}
    unknown = next((t for t, _ in told if not any(t in e.type_params for e in entries.values())), None)
    if unknown is not None:
        output.fail("E0609", f"no kernel of `{source.name}` has a type parameter `{unknown}`")
    found = []
    for name, entry in entries.items():
        mine = inputs.told_dtypes(entry, [(t, dtype) for t, dtype in told if t in entry.type_params])
        missing = next((t for t in entry.type_params if t not in mine), None)
        if missing is not None and wanted:
            output.fail("E0325", f"`{name}` is generic over `{missing}`", help=f"give its type: --dtype {missing}=f32")
        if missing is not None:
            help = f"--dtype {missing}=f32 would make it"
            print(f"note: `{name}` is generic over `{missing}`, so it is left out ({help})", file=sys.stderr)
            continue
        made, instance_name = instance(program, entry, Facts((), (), tuple(sorted(mine.items()))))
        refused = _refusal(made, instance_name)
        if refused is not None and wanted:
            raise refused
        if refused is not None:
            print(f"note: {refused.diagnostic.label}, so `{name}` is left out", file=sys.stderr)
            continue
        found.append(Function(name, made, instance_name))
    if not found:
        output.fail("E0618", f"`{source.name}` has no kernel and no task to build")
    return found


def _refusal(program: pipeline.Program, name: str) -> Refused | None:
    """Why a function cannot run on the processors that code is made for."""
    try:
        pipeline.chosen(program, name, cpu.TARGET.name)
    except Refused as e:
        return e
    return None


def _usual_machines() -> str:
    """For any machine of this architecture and for this one. On x86-64 also for what most have that are neither: there
    products are fused with sums, so it gives the same bits as this machine."""
    baseline = named_machine("baseline")
    is_x86 = baseline is not None and baseline.triple.startswith("x86_64")
    return "baseline,x86-64-v3,host" if is_x86 else "baseline,host"


def _machines(names: str) -> list[Machine]:
    found = []
    for name in (part.strip() for part in names.split(",") if part.strip()):
        machine = named_machine(name)
        if machine is None:
            guess = nearest(name, MACHINE_NAMES)
            help = f"did you mean `{guess}`?" if guess else f"there are {', '.join(MACHINE_NAMES)}"
            output.fail("E0620", f"--cpu does not know `{name}`", help=help)
        found.append(machine)
    if not found:
        output.fail("E0620", "--cpu names no processor", help=f"there are {', '.join(MACHINE_NAMES)}")
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:6])
    return shown + (f" and {len(names) - 6} more" if names[6:] else "")


def write(source: SourceFile, path: str, data: bytes) -> None:
    """A file that is made, whole or not at all; never in the place of a program."""
    if os.path.exists(path) and (path.endswith(".lem") or os.path.samefile(path, source.name)):
        output.fail("E0611", f"-o {path} would overwrite a program", help="choose another name")
    try:
        files.write_bytes(path, data)
    except files.FileProblem as e:
        output.fail(e.code, e.message, help=e.help)
