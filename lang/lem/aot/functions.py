"""The functions of a program that are compiled ahead of time, with the layouts of arrays that each gets code for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from lem import pipeline
from lem.targets import cpu, llvm
from lem_runtime.abi.artifact import Artifact, Site
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Place, Signature
from lem_runtime.abi.source import Facts

T = TypeVar("T")
_PLACE = re.compile(r' at "((?:[^"\\]|\\.)*)"(?= \d+:\d+-\d+:\d+)')  # as tile IR prints it


@dataclass(frozen=True, slots=True)
class Function:
    """One thing that can be called. name: what callers call it; instance: of a generic kernel, its name in `program`."""

    name: str
    program: pipeline.Program
    instance: str

    @property
    def signature(self) -> Signature:
        return portable(self.program.typed.functions[self.instance].signature)

    def compile(self, layouts: tuple[str, ...], machine: Machine) -> Artifact:
        """Code for arrays with these layouts."""
        made = portable(pipeline.compile_function(self.program, self.instance, Facts(layouts), machine, cpu.TARGET))
        return replace(made, ir=_PLACE.sub(lambda m: f' at "{_short(m[1])}"', made.ir))

    def compile_as(self, symbol: str, layouts: tuple[str, ...], machine: Machine) -> tuple[bytes, tuple[Site, ...]]:
        """An object whose entry has another name, and its places: several of them can be linked together."""
        module = pipeline.optimised(self.program, self.instance, cpu.TARGET.name)
        made = cpu.make(module, self.instance, Facts(layouts), machine)
        own = re.escape(cpu.lower.symbol(self.instance))
        renamed = re.sub(rf"@{own}(?![\w.])", f"@{symbol}", made.text)
        return llvm.compile_ir(renamed, machine), portable(made.lowered.sites)


def contiguous(signature: Signature) -> tuple[str, ...]:
    """Layouts of arrays as a call makes them: contiguous; fields within records are not."""
    return tuple("any" if p.layout == "aos" else "inner" for p in signature.params if p.is_array)


def layouts_of(signature: Signature) -> Iterator[tuple[str, ...]]:
    """Every set of layouts that gets code of its own, the special one first: together they take all calls."""
    special = contiguous(signature)
    yield special
    if any(layout != "any" for layout in special):
        yield ("any",) * len(special)


def portable(value: T) -> T:
    """A signature or artifact whose places name files without their folders: it is used elsewhere, and its bytes do not
    depend on where it was made."""
    if isinstance(value, Place):
        return replace(value, file=_short(value.file))
    if isinstance(value, tuple):
        return tuple(portable(x) for x in value)  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {f.name: portable(getattr(value, f.name)) for f in fields(value)}
        return replace(value, **found)
    return value


def _short(file: str) -> str:
    return file if file.startswith("lem_stdlib/") else os.path.basename(file)
