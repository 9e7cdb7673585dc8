"""The compiler as a callable uses it: a program and one function of it. Loaded when something is not known yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lem import pipeline
from lem.diagnostics import Diagnostics, Refused
from lem.embed import errors
from lem.ir import printer
from lem.source import SourceFile
from lem.targets import cpu, llvm
from lem_runtime import detect
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.signature import Signature
from lem_runtime.abi.source import Facts

_STAGES = {"schedule": "schedule", "loops": "loops", "llvm": "ll", "asm": "asm"}


class Compiler:
    """One function of a checked program."""

    def __init__(self, program: pipeline.Program, name: str, around: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.program, self._name = program, name
        self.around = around or {}  # by file: names that Python knows around the function, for debuggers

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """The texts that places of its reports speak of."""
        return (self.program.source, *self.program.files)

    def signature(self) -> tuple[Signature, tuple[str, ...]]:
        """Of the function, and the names of its types where it is generic."""
        generic = self.program.typed.generics.get(self._name)
        if generic is not None:
            return generic.signature, tuple(name for name, _ in self.generics)
        if self._name not in self.program.typed.functions and self.program.typed.tests:
            return self.program.typed.tests[0].signature, ()
        return self.program.typed.functions[self._name].signature, ()

    @property
    def generics(self) -> tuple[tuple[str, str], ...]:
        """Names of its types, where it is generic, with their bounds."""
        found = self.program.typed.generics.get(self._name)
        return found.params if found is not None else ()

    def compile(self, facts: Facts) -> Artifact:
        """Code for these facts. Raises :class:`errors.CompileError` where the dtypes do not suit a generic function, or
        this processor is none that the function is for."""
        program, name = self.instance(facts)
        try:
            return pipeline.compile_function(program, name, facts, detect(), cpu.TARGET)
        except Refused as e:
            raise errors.CompileError([e.diagnostic]) from None

    def show(self, facts: Facts, what: str) -> str:
        """The text of one of ``engine.STAGES``."""
        program, name = self.instance(facts)
        module = pipeline.optimised(program, name, cpu.TARGET.name)
        if what == "ir":
            return printer.print_module(module)
        return cpu.TARGET.show(module, name, facts, detect(), _STAGES[what])

    def instance(self, facts: Facts) -> tuple[pipeline.Program, str]:
        """The program with this function for these dtypes, and its name there. Raises :class:`errors.CompileError`."""
        if not facts.dtypes:
            return self.program, self._name
        diags = Diagnostics()
        made = pipeline.instantiate(self.program, self._name, dict(facts.dtypes), diags)
        if made is None:
            raise errors.CompileError(diags.items)
        return made


def compile_text(text: str, *, is_core: bool = False) -> bytes:
    """Object code of LLVM IR, for the runtime's own core and wrappers."""
    return llvm.compile_quickly(text, detect()) if is_core else llvm.compile_ir(text, detect())


def _elsewhere(what: str, text: str, machine: Machine, passes: tuple[str, ...]) -> bytes:
    from lem.targets import llvm_workers

    return llvm_workers.made_alone(what, text, machine, passes)


llvm.use_where_unusable(_elsewhere)

__all__ = ["Compiler", "compile_text"]
