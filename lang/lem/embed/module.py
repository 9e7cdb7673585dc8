"""``.lem`` files in Python: ``lem.load("blur.lem")``, and ``import lem.importer`` for ``import blur``.

Takes a path; gives a module whose kernels and tasks are callables. It is read and checked when it is loaded, so what is
wrong in it is said at once; code is made at the first call of each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from lem import pipeline, texts
from lem.diagnostics import Diagnostics
from lem.embed import annotations as an
from lem.embed import errors, literals, warned, wording
from lem.embed.boundary import boundary
from lem.embed.compiling import Compiler
from lem.embed.engine import Engine
from lem.embed.function import Function
from lem.embed.mistakes import UsageError
from lem.embed.structs import StructType
from lem.names import Definition, ModuleScope
from lem.syntax import ast


class LemModule(ModuleType):
    """What a ``.lem`` file defines."""

    def __repr__(self) -> str:
        made = [f"struct {n}" for n, v in vars(self).items() if isinstance(v, StructType)]
        made += [f"{v.kind} {n}" for n, v in vars(self).items() if isinstance(v, Function)]
        origin = f" from {self.__file__!r}" if getattr(self, "__file__", None) else ""
        return f"<lem module {self.__name__}{origin}: {', '.join(made) or 'nothing to call'}>"

    def _repr_html_(self) -> str:
        heads = [_head(v) for v in vars(self).values() if isinstance(v, Function)]
        doc = f"<div>{wording.escaped(self.__doc__)}</div>" if self.__doc__ else ""
        return wording.block(f"<b>{wording.escaped(self.__name__)}</b>", doc, wording.program("\n".join(heads)))


def _head(function: Function) -> str:
    if function.kind == "fn":
        return f"fn {function.__name__}"
    compiler = function.engine.compiler
    return wording.signature_text(compiler.signature()[0], compiler.generics)


@boundary
def load(path: str | os.PathLike[str]) -> LemModule:
    """What a file defines, as attributes: kernels, tasks, fns, structs, constants. Raises :class:`errors.CompileError`."""
    if os.fspath(path).endswith(".lemb"):
        raise UsageError(f"`{os.fspath(path)}` is a bundle, which is loaded by `lem_runtime.load`")
    name = os.path.splitext(os.path.basename(os.fspath(path)))[0]
    made = LemModule(name)
    fill(made, os.fspath(path))
    return made


def library(name: str) -> LemModule:
    """A module of lem's library."""
    source, diags = texts.library_source(name), Diagnostics()
    program = pipeline.analyse(source, diags) if source is not None else None
    if program is None:
        raise errors.CompileError(diags.items)
    made = LemModule(name)
    define(made, program)
    return made


def fill(module: ModuleType, path: str) -> None:
    """Give a module what a file defines."""
    diags = Diagnostics()
    source = texts.read_source(path, diags)
    program = pipeline.analyse(source, diags) if source is not None else None
    if program is None:
        raise errors.CompileError(diags.items)
    warned.reported(diags.items, module.__name__)
    module.__file__ = path
    define(module, program)


def define(module: ModuleType, program: pipeline.Program) -> list[str]:
    """Give a module what a program defines: kernels, tasks, fns, structs, constants; their names."""
    module.__doc__ = program.bound.tree.doc
    structs = _Structs(program, module.__name__)
    names = []
    for item in program.bound.tree.items:
        if isinstance(item, ast.Function) and item.kind in ("kernel", "task", "fn"):
            setattr(module, item.name.id, _callable(program, item, module.__name__))
        elif isinstance(item, ast.Struct):
            setattr(module, item.name.id, structs.of(program.bound.scope.own[item.name.id]))
        elif isinstance(item, ast.Constant) and isinstance(value := literals.value_of(item.value), (bool, int, float)):
            setattr(module, item.name.id, value)
        else:
            continue
        names.append(item.name.id)
    return names


class _Structs:
    """The structs of a program as ``@lem.struct`` makes them: types of NumPy's records, and of annotations."""

    def __init__(self, program: pipeline.Program, module: str) -> None:
        self._program, self._module = program, module
        self._made: dict[ast.Item, StructType] = {}

    def of(self, found: Definition) -> StructType:
        item = found.node
        assert isinstance(item, ast.Struct)
        if item not in self._made:
            fields = {f.name.id: self._type(found.scope, f.type.name) for f in item.fields}
            made = StructType(item.name.id, (), {"__annotations__": fields, "__doc__": item.doc, "__module__": self._module})
            made.lem_names = {}, {}
            made.lem_program = self._program
            self._made[item] = made
        return self._made[item]

    def _type(self, scope: ModuleScope, name: str) -> Any:
        """What a field's type is in Python."""
        if name in _TYPES:
            return _TYPES[name]
        head, _, member = name.partition(".")
        found = scope.find(head)
        if found is not None and found.module is not None:
            found = found.module.own[member]
        assert found is not None  # the program is checked
        return self.of(found)


_TYPES = {name: python for python, name in an.DTYPES.items()}


class _FileSource:
    """One function of a file. See :class:`lem.embed.engine.Source`."""

    def __init__(self, program: pipeline.Program, name: str) -> None:
        self._program, self._name = program, name

    def key(self) -> str | None:
        files = (part for f in self._program.files for part in (f.name, f.text))
        return texts.digest(texts.compiler_stamp(), self._name, *files)

    def compiler(self) -> Compiler:
        return Compiler(self._program, self._name)

    def breakpoints(self) -> Iterator[warned.Breakpoint]:
        if any("breakpoint" in f.text for f in (self._program.source, *self._program.files)):
            found = self._program.bound.scope.own.get(self._name)
            yield from _breakpoints(found, set()) if found is not None else ()


def _breakpoints(found: Definition, seen: set[ast.Node]) -> Iterator[warned.Breakpoint]:
    """Those in a function of a file and in what it calls."""
    if found.node in seen or not isinstance(found.node, ast.Function):
        return
    seen.add(found.node)
    for call in ast.walk(found.node):
        if not isinstance(call, ast.Call):
            continue
        if isinstance(call.func, ast.Name) and call.func.id == "breakpoint":
            line = call.span.source.line_of(call.span.start)
            yield warned.Breakpoint(found.name, call.span.source.name, line, found.scope.name)
        called = _called(found.scope, call.func)
        if called is not None:
            yield from _breakpoints(called, seen)


def _called(scope: ModuleScope, func: ast.Expr) -> Definition | None:
    """What ``f(x)`` or ``nn.f(x)`` calls, where it is of lem."""
    if isinstance(func, ast.Name):
        return scope.find(func.id)
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        outer = scope.find(func.value.id)
        return outer.module.own.get(func.name) if outer is not None and outer.module is not None else None
    return None


def _callable(program: pipeline.Program, item: ast.Function, module: str) -> Function:
    name = item.name.id
    made = Function(name, item.kind, lambda: Engine(name, item.kind, _FileSource(program, name)))
    made.__doc__ = item.doc
    made.__module__ = module
    return made


__all__ = ["fill", "load"]
