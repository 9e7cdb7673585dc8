"""A program as a bundle: signatures, code for each machine, and what the runtime would else ask a compiler for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from lem import __version__
from lem.aot.functions import Function, layouts_of
from lem.targets import llvm
from lem.targets.llvm_workers import all_of
from lem_runtime.abi import bundle
from lem_runtime.abi.artifact import Artifact, encode
from lem_runtime.abi.bundle import Bundle, Section
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """What the runtime wants compiled besides: its core, by architecture, and how Python calls an artifact."""

    core: Callable[[str], str]
    wrappers: Callable[[Artifact, Sequence[str]], list[str]]


def make(functions: Sequence[Function], machines: Sequence[Machine], texts: Texts, n_processes: int = 1) -> Bundle:
    """The bundle of some functions of one program. The same input gives the same bytes, by however many processes."""
    signatures = {f.name: f.signature for f in functions}
    machines = list({(m.triple, m.cpu, m.features): m for m in machines}.values())
    wishes = [(f, m, layouts) for m in machines for f in functions for layouts in layouts_of(f.signature)]
    artifacts = all_of([partial(f.compile, layouts, m) for f, m, layouts in wishes], n_processes)
    code, wanted = [], []
    for (f, m, layouts), artifact in zip(wishes, artifacts, strict=True):
        code.append(bundle.code_section(f.name, "cpu", m, layouts, encode(artifact)))
        wanted += texts.wrappers(artifact, layouts)
    natives = [s for m in _least(machines) for s in _natives([texts.core(_arch(m)), *wanted], m)]
    return Bundle((bundle.signatures_section(signatures), *code, *natives), made_by=f"lem {__version__}")


def _natives(texts: Sequence[str], machine: Machine) -> Iterator[Section]:
    for text in dict.fromkeys(texts):
        yield bundle.native_section(text, machine, llvm.compile_ir(text, machine))


def _least(machines: Sequence[Machine]) -> list[Machine]:
    """Of each system the machine that can do least: what is made for it runs on all of the others. It is little code, with
    nothing to gain from wider vectors."""
    found: dict[str, Machine] = {}
    for m in machines:
        least = found.setdefault(m.triple, m)
        if (m.cpu, len(m.features)) < (least.cpu, len(least.features)):  # "x86-64" < "x86-64-v2" < ...
            found[m.triple] = m
    return list(found.values())


def _arch(machine: Machine) -> str:
    return machine.triple.partition("-")[0].replace("arm64", "aarch64")
