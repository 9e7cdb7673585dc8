"""What is behind a callable: its program, and code for the calls it has had.

Takes whatever gives the program (it is asked for at the first use: names that a decorated function uses may be defined after
it), and compiles it once per set of facts of its calls: dtypes, and which arrays are contiguous. New sizes compile nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from lem import pipeline, texts
from lem.diagnostics import CODES, Diagnostic, Diagnostics
from lem.diagnostics.codes import E0321
from lem.embed import arguments, errors
from lem.ir import printer
from lem.source import Span
from lem.targets import cpu, llvm
from lem_runtime import (
    CallError,
    Direct,
    NotPlain,
    RunError,
    RunResult,
    detect,
    layouts_of,
    lem_dtype,
    open_default,
    run,
    use_compiler,
)
from lem_runtime.abi import signature as sig
from lem_runtime.abi.artifact import Artifact, BadArtifact, decode, encode
from lem_runtime.abi.source import Facts

_STAGES = {"schedule": "schedule", "loops": "loops", "llvm": "ll", "asm": "asm"}


@dataclass(slots=True)
class _Instance:
    """The function for one set of dtypes (the only one, where it is not generic), and the code made of it so far."""

    program: pipeline.Program
    name: str
    signature: sig.Signature
    artifacts: dict[Facts, Artifact] = field(default_factory=dict)


class Engine:
    """The compiler's side of one callable. Used from several threads.

    analysed: gives the program that defines `name`; may raise :class:`errors.CompileError`.
    """

    def __init__(self, name: str, kind: str, analysed: Callable[[], pipeline.Program]) -> None:
        self.kind = kind
        self._name = name
        self._analysed = analysed
        self._lock = threading.RLock()
        self._program: pipeline.Program | None = None
        self._instances: dict[tuple[tuple[str, str], ...], _Instance] = {}
        self._direct: Direct | None = None
        self._is_indirect = False

    # -- reading
    def program(self) -> pipeline.Program:
        """The checked program, with all that it calls. Raises :class:`errors.CompileError`."""
        with self._lock:
            if self._program is None:
                self._program = self._analysed()
            return self._program

    # -- calling
    def call(self, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run it; see :meth:`Function.__call__`. thing: what was called: plain calls like this one go straight to the code
        from then on."""
        if self.kind == "fn":
            label = f"`{self._name}` is code for one element: call it from a kernel"
            raise errors.CallError([Diagnostic(E0321, None, label, (), (), ())])
        try:
            instance, given = self._bound(args, kwargs)
            artifact = self._artifact(instance, Facts(layouts_of(instance.signature, given.arrays)))
            result = run(artifact, given.arrays, given.scalars, given.dims)
        except CallError as e:
            raise errors.CallError([self._report(e)]) from None
        except RunError as e:
            self._raise(e)
        self._make_direct(thing, instance, artifact)
        return _returned(instance.signature, result)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[_Instance, arguments.Arguments]:
        program = self.program()
        generic = program.typed.generics.get(self._name)
        if generic is None:
            instance = self._instance(())
            return instance, arguments.sort(instance.signature, args, kwargs)
        given = arguments.sort(generic.signature, args, kwargs)
        dtypes = arguments.dtypes_of(generic.signature, [name for name, _ in generic.params], given, lem_dtype)
        return self._instance(tuple(sorted(dtypes.items()))), given

    def _instance(self, dtypes: tuple[tuple[str, str], ...]) -> _Instance:
        with self._lock:
            if dtypes not in self._instances:
                program, name = self.program(), self._name
                if dtypes:
                    diags = Diagnostics()
                    made = pipeline.instantiate(program, name, dict(dtypes), diags)
                    if made is None:
                        raise errors.CompileError(diags.items)
                    program, name = made
                self._instances[dtypes] = _Instance(program, name, program.typed.functions[name].signature)
            return self._instances[dtypes]

    def _artifact(self, instance: _Instance, facts: Facts) -> Artifact:
        made = instance.artifacts.get(facts)
        if made is None:
            with self._lock:
                made = instance.artifacts.get(facts) or _compiled(instance, facts)
                instance.artifacts[facts] = made
        return made

    def _raise(self, e: RunError) -> NoReturn:
        indices, values = dict(getattr(e, "indices", {})), tuple(getattr(e, "values", ()))
        raise errors.Fault([self._report(e)], e.kernel, indices, values) from None

    def _make_direct(self, thing: Any, instance: _Instance, artifact: Artifact) -> None:
        """Once, for the first code that is made: other layouts and dtypes go on through Python."""
        if self._direct is not None or self._is_indirect:
            return
        try:
            self._direct = Direct(artifact, self._raise)
            self._direct.install(thing)
        except NotPlain:
            self._is_indirect = True

    def _report(self, e: CallError | RunError) -> Diagnostic:
        span = None
        if e.place is not None:
            files = {f.name: f for f in self.program().files}
            found = files.get(e.place.file)
            span = Span(found, e.place.start, e.place.end) if found is not None else None
        return Diagnostic(CODES[e.code], span, e.message, (), (), (e.help,) if e.help else ())

    # -- looking inside
    def specializations(self) -> tuple[Facts, ...]:
        """The facts that code was made for so far."""
        return tuple(
            replace(facts, dtypes=dtypes)
            for dtypes, instance in self._instances.items()
            for facts in instance.artifacts
        )

    def inspect(self, what: str = "ir") -> str:
        """See :meth:`Function.inspect`."""
        if self._name in self.program().typed.generics:
            instance = next(iter(self._instances.values()), None)
            if instance is None:
                raise ValueError(f"`{self._name}` is generic: call it once, so that its types are known")
        else:
            instance = self._instance(())
        module = pipeline.optimised(instance.program, instance.name)
        if what == "ir":
            return printer.print_module(module)
        if what not in _STAGES:
            raise ValueError(f"no stage is called {what!r}; there are ir, {', '.join(_STAGES)}")
        n_arrays = sum(p.is_array for p in instance.signature.params)
        return cpu.TARGET.show(module, instance.name, Facts(("inner",) * n_arrays), detect(), _STAGES[what])


def _returned(signature: sig.Signature, result: RunResult) -> Any:
    for line in result.prints:
        print(line)
    named = {**result.outputs, **result.scalars}
    values = tuple(named[p.name] for p in signature.params if p.effect == "result")
    return None if not values else values[0] if len(values) == 1 else values


def _compiled(instance: _Instance, facts: Facts) -> Artifact:
    """Code for these facts: from the disk, or made now and kept there."""
    machine = detect()
    code = printer.print_module(instance.program.ir.closure(instance.name), locs=True)
    key = "py-" + texts.digest(texts.compiler_stamp(), code, str(facts), machine.key, "cpu")
    store = open_default()
    kept = store.get(key) if store else None
    if kept is not None:
        try:
            return decode(kept)
        except BadArtifact:
            pass  # damaged, or of another version: made anew
    made = pipeline.compile_function(instance.program, instance.name, facts, machine, cpu.TARGET)
    if store:
        store.put(key, encode(made))
    return made


use_compiler(lambda code: llvm.compile_ir(code, detect()))
