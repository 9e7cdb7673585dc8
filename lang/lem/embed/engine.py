"""What is behind a callable: its signature, and code for the calls it has had.

Takes a :class:`Source`, whatever gives the program (it is asked for at the first use: names that a decorated function uses
may be defined after it). Code is made once per set of facts of the calls: dtypes, and which arrays are contiguous; new sizes
compile nothing. Signatures and code are kept on disk by the text they were made from, so that a known function runs without
the compiler being loaded at all.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from lem import texts
from lem.diagnostics import CODES, Code, Diagnostic
from lem.diagnostics.codes import E0305, E0321, E0325
from lem.embed import arguments, errors, joining, modes, special, warned
from lem.embed.mistakes import UsageError
from lem.source import Span
from lem_runtime import (
    CallError,
    Direct,
    NotPlain,
    RunError,
    RunResult,
    Wrapper,
    detect,
    layouts_of,
    lem_dtype,
    open_default,
    print_lines,
    run,
    use_compiler,
)
from lem_runtime.abi.artifact import Artifact, BadArtifact, decode, encode, signature_from_json
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Signature, bind
from lem_runtime.abi.source import Facts, known_dims

if TYPE_CHECKING:
    from lem.embed.compiling import Compiler
    from lem_runtime import Store


STAGES = ("ir", "schedule", "loops", "llvm", "asm")  # what can be looked at


class Source(Protocol):
    """Where a callable comes from."""

    def key(self) -> str | None:
        """What its text and all that it uses from around it is, in short; None where that is not known."""

    def compiler(self) -> Compiler:
        """Its checked program. Raises :class:`errors.CompileError`."""

    def breakpoints(self) -> Iterable[warned.Breakpoint]:
        """Those in its body, and in what it calls."""


@dataclass(frozen=True, slots=True)
class Front:
    """What is known of a function without its program. type_params: of a generic one. key: see :class:`Source`."""

    signature: Signature
    type_params: tuple[str, ...]
    key: str | None


@dataclass(frozen=True, slots=True)
class Ran:
    """A call that has ended. code: where its code came from: "ready" (in memory), "disk", "compiled"."""

    artifact: Artifact
    given: arguments.Arguments
    result: RunResult
    code: str
    made_ns: int  # how long getting the code took


How = Callable[[Facts, arguments.Arguments], tuple[Signature, RunResult]]  # a way to run a call


class Engine:
    """The compiler's side of one callable. Used from several threads."""

    def __init__(self, name: str, kind: str, source: Source) -> None:
        self.kind = kind
        self._name = name
        self._source = source
        self._lock = threading.RLock()
        self._front: Front | None = None
        self._compiler: Compiler | None = None
        self._artifacts: dict[Facts, Artifact] = {}
        self._specials: dict[Facts, dict[tuple[str, ...], Artifact]] = {}  # for certain sizes, by the facts without them
        self._watched: dict[Facts, special.Watched | None] = {}
        self._watcher: special.Watcher | None = None
        self._direct: Direct | None = None
        self._joining: joining.Later | None = None  # the way to the code is to be compiled
        self._is_looked_over = False  # whether it was warned of what compiled code leaves out
        self.not_direct = ""  # why calls go through Python, where they always will
        self.origins: dict[Facts, str] = {}  # of the code: "compiled", or "disk" where it had been kept
        _all.add(self)

    @property
    def key(self) -> str | None:
        """What its text is in short; see :class:`Source`."""
        return self._source.key()

    @property
    def compiler(self) -> Compiler:
        """Its checked program, with all that it calls. Raises :class:`errors.CompileError`."""
        with self._lock:
            if self._compiler is None:
                self._compiler = self._source.compiler()
            return self._compiler

    def breakpoints(self) -> Iterable[warned.Breakpoint]:
        """See :class:`Source`."""
        return self._source.breakpoints()

    def front(self) -> Front:
        """From the disk where the text is known, else by checking it."""
        with self._lock:
            if self._front is None:
                key = self._source.key()
                store = open_default() if key is not None else None
                self._front = _front(store.get(f"pyf-{key}") if store else None, key)
                if self._front is None:
                    signature, type_params = self.compiler.signature()
                    self._front = Front(signature, type_params, key)
                    if store:
                        store.put(f"pyf-{key}", _written(self._front))
            return self._front

    def parameters(self) -> list[str]:
        """Names of what a call gives, where they were asked for already."""
        sig = self._front.signature if self._front is not None else None
        return [p.name for p in sig.arguments if p.effect != "result"] if sig is not None else []

    # -- calling
    def call(self, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run it; see :meth:`Function.__call__`. thing: what was called: plain calls like this one go straight to the code
        from then on."""
        return modes.run(self, thing, args, kwargs)

    def run_compiled(
        self, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seen: Callable[[Ran], None] | None = None
    ) -> Any:
        """The same, whatever mode there is around. seen: is told how the call went."""
        ran: list[tuple[Artifact, int]] = []

        def compiled(facts: Facts, given: arguments.Arguments) -> tuple[Signature, RunResult]:
            is_known, begin_ns = facts in self._artifacts, time.perf_counter_ns()
            artifact = self._special_for(facts, given) or self._artifact(facts)
            if not self._is_looked_over:
                warned.passed_by(self.breakpoints())
                self._is_looked_over = True
            ready_ns = time.perf_counter_ns()
            result = run(artifact, given.arrays, given.scalars, given.dims, on_prints=print_lines)
            ran.append((self._artifact(facts), result.n_workers))
            self._note(facts, result.dims)
            if seen is not None:
                code = "ready" if is_known else self.origins.get(facts, "ready")
                seen(Ran(artifact, given, result, code, ready_ns - begin_ns))
            return artifact.signature, result

        result = self.run_with(args, kwargs, compiled)
        for artifact, n_workers in ran:
            self._make_direct(thing, artifact)
            if self._direct is not None:
                self._direct.has_run(n_workers)
        return result

    def run_with(self, args: tuple[Any, ...], kwargs: dict[str, Any], how: How) -> Any:
        """Run it in some way; what goes wrong is raised as errors of lem's own."""
        if self.kind == "fn":
            label = f"`{self._name}` is code for one element: call it from a kernel"
            raise errors.CallError([Diagnostic(E0321, None, label, (), (), ())])
        try:
            front = self.front()
            given = arguments.sort(front.signature, args, kwargs)
            dtypes = arguments.dtypes_of(front.signature, front.type_params, given, lem_dtype)
            facts = Facts(layouts_of(front.signature, given.arrays), (), tuple(sorted(dtypes.items())))
            signature, result = how(facts, given)
            return arguments.returned(signature, result, given.like)
        except CallError as e:
            raise errors.CallError([self._report(e)]) from None
        except RunError as e:
            self._raise(e)

    # -- code for certain sizes; see `special`
    def _note(self, facts: Facts, known: Mapping[str, int]) -> None:
        """A call with these sizes went through Python."""
        watcher = special.watcher()
        if self._watcher is not watcher:  # at first, and in a process that was forked
            self._watcher, self._watched = watcher, {}
        if facts not in self._watched:
            self._watched[facts] = watcher.watch(self, facts, self._artifact(facts))
        watched = self._watched[facts]
        if watched is not None:
            watcher.met(watched, known)

    def _special_for(self, facts: Facts, given: arguments.Arguments) -> Artifact | None:
        """Code that knows the sizes of this call."""
        found = self._specials.get(facts)
        if not found:
            return None
        sig = self._artifact(facts).signature
        shapes = {n: a.shape for n, a in given.arrays.items() if hasattr(a, "shape")}
        try:
            known = bind(sig, shapes, given.scalars, given.dims)
        except (CallError, KeyError):
            return None  # the general code says what is wrong
        return found.get(special.small(sig.dims, known))

    def direct_calls(self, artifact: Artifact) -> tuple[int, dict[str, int]] | None:
        """How many calls went straight to this code, and the sizes of the last one."""
        direct = self._direct
        return direct.calls if direct is not None and direct.artifact is artifact else None

    def use_special(self, general: Artifact, facts: Facts, artifact: Artifact) -> None:
        """From now on calls with these sizes go to this code."""
        with self._lock:
            plain = replace(facts, dims=())
            self._artifacts[facts] = artifact
            self._specials.setdefault(plain, {})[facts.dims] = artifact
            if self._direct is not None and self._direct.artifact is general:
                self._direct.use_for(artifact, known_dims(artifact.signature.dims, facts))

    def kept(self, facts: Facts) -> Artifact | None:
        """Code for these facts from the disk."""
        store, name = self._place_on_disk(facts)
        kept = store.get(name) if store else None
        if kept is None:
            return None
        try:
            found = decode(kept)
        except BadArtifact:
            return None  # damaged, or of another version: made anew
        self.origins[facts] = "disk"
        return found

    def keep(self, facts: Facts, made: Artifact) -> None:
        """Put code that was made now on the disk."""
        self.origins[facts] = "compiled"
        store, name = self._place_on_disk(facts)
        if store:
            store.put(name, encode(made))

    def _place_on_disk(self, facts: Facts) -> tuple[Store | None, str]:
        """Where code for these facts is kept; nowhere where it is not known what the text is."""
        key = self.front().key
        store = open_default() if key is not None else None
        return store, "py-" + texts.digest(key or "", str(facts), detect().key, "cpu")

    def prepared(self, facts: Facts) -> Artifact:
        """Code for these facts, and the way of plain calls into it, made if they are not there yet."""
        artifact = self._artifact(facts)
        with contextlib.suppress(NotPlain):
            Wrapper(artifact).load()
        return artifact

    def _artifact(self, facts: Facts) -> Artifact:
        made = self._artifacts.get(facts)
        if made is None:
            with self._lock:
                made = self._artifacts.get(facts) or self._kept_or_compiled(facts)
                self._artifacts[facts] = made
        return made

    def _kept_or_compiled(self, facts: Facts) -> Artifact:
        """Code for these facts: from the disk, or made now and kept there."""
        found = self.kept(facts)
        if found is None:
            found = self.compiler.compile(facts)
            self.keep(facts, found)
        return found

    def _make_direct(self, thing: Any, artifact: Artifact) -> None:
        """Once, for the first code that is made: other layouts and dtypes go on through Python. After a fork once more."""
        if (under_way := self._joining) is not None:
            under_way.finish()
        if self.not_direct or (self._direct is not None and not self._direct.is_left):
            return
        with self._lock:  # one that another thread replaced would be freed while calls are in it
            if self._direct is not None:
                if self._direct.is_left:
                    self._direct.renew()
                    modes.join(thing, self._direct)
                return
            if self._joining is not None:
                return
            try:
                way = Wrapper(artifact)
            except NotPlain as e:
                self.not_direct = str(e)
                return
            if way.needs_compiler:
                self._joining = joining.Later(functools.partial(self._join_later, thing, artifact, way))
            else:
                self._join(thing, artifact, way)

    def _join(self, thing: Any, artifact: Artifact, way: Wrapper) -> None:
        direct = Direct(artifact, way, self._raise)
        modes.join(thing, direct)
        self._direct = direct

    def _join_later(self, thing: Any, artifact: Artifact, way: Wrapper) -> None:
        try:
            way.load()
            with self._lock:
                self._join(thing, artifact, way)
        except Exception as e:  # nobody is there to catch it, and calls run on through Python
            self.not_direct = f"{type(e).__name__}: {e}"
        finally:  # also after Ctrl-C in a second call: the next one tries again
            self._joining = None

    @property
    def is_direct(self) -> bool:
        """Whether plain calls go straight into compiled code."""
        return self._direct is not None

    def after_fork(self) -> None:
        """In a new process: whoever held the lock is not here."""
        self._lock = threading.RLock()
        self._joining = None

    # -- errors
    def _raise(self, e: RunError) -> NoReturn:
        indices, values = dict(getattr(e, "indices", {})), tuple(getattr(e, "values", ()))
        raise errors.Fault([self._report(e)], e.kernel, indices, values) from None

    def _report(self, e: CallError | RunError) -> Diagnostic:
        """With the place in the text, which is read again for it."""
        files = {f.name: f for f in self.compiler.files}
        found = files.get(e.place.file) if e.place is not None else None
        span = Span(found, e.place.start, e.place.end) if found is not None and e.place is not None else None
        return Diagnostic(CODES[e.code], span, e.message, (), (), (e.help,) if e.help else ())

    # -- looking inside
    def specializations(self) -> tuple[Facts, ...]:
        """The facts that code was made for so far."""
        return tuple(self._artifacts)

    @property
    def artifacts(self) -> tuple[tuple[Facts, Artifact], ...]:
        """The code that was made so far, in the order in which it was."""
        return tuple(self._artifacts.items())

    def inspect(self, what: str, dtypes: Mapping[str, str] | None = None) -> str:
        """See :meth:`Function.inspect`."""
        if what not in STAGES:
            raise UsageError(f"no stage is called {what!r}; there are {', '.join(STAGES)}")
        front = self.front()
        n_arrays = sum(p.is_array for p in front.signature.params)
        return self.compiler.show(Facts(("inner",) * n_arrays, (), self._types(front, dtypes or {}, what)), what)

    def _types(self, front: Front, given: Mapping[str, str], what: str) -> tuple[tuple[str, str], ...]:
        """What the generic names are: as given, else as in the first call."""
        first = next(iter(self._artifacts), None)
        known = {**(dict(first.dtypes) if first is not None else {}), **given}
        odd = next((t for t in known if t not in front.type_params), None)
        if odd is not None:
            raise self._refused(E0325, f"`{self._name}` has no generic type `{odd}`")
        odd = next((t for t in front.type_params if t in known and known[t] not in DTYPES), None)
        if odd is not None:
            raise self._refused(E0305, f"`{known[odd]}` is no type of lem", f"they are {', '.join(DTYPES)}")
        missing = [t for t in front.type_params if t not in known]
        if missing:
            text = ", ".join(f'"{t}": "f32"' for t in missing)
            help = f'say it, as in `{self._name}.inspect("{what}", dtypes={{{text}}})`, or call `{self._name}` first'
            raise self._refused(E0325, f"`{self._name}` is generic: nothing says yet what `{missing[0]}` is", help)
        return tuple(sorted(known.items()))

    def _refused(self, code: Code, label: str, *help: str) -> errors.CallError:
        return errors.CallError([Diagnostic(code, None, label, (), (), help)])


_all: weakref.WeakSet[Engine] = weakref.WeakSet()


def _after_fork() -> None:
    for engine in _all:
        engine.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ---------------------------------------------------------------- what a text is, on disk
def _written(front: Front) -> bytes:
    return json.dumps({"signature": asdict(front.signature), "type_params": front.type_params}).encode()


def _front(data: bytes | None, key: str | None) -> Front | None:
    if data is None:
        return None
    try:
        read = json.loads(data)
        return Front(signature_from_json(read["signature"]), tuple(read["type_params"]), key)
    except (ValueError, KeyError, TypeError):
        return None  # damaged: found out anew


def _compile_wrapper(text: str) -> bytes:
    from lem.embed import compiling

    return compiling.compile_text(text)


def _compile_core(text: str) -> bytes:
    from lem.embed import compiling

    return compiling.compile_text(text, is_core=True)


use_compiler(_compile_wrapper, _compile_core)

# What the first call would ask for, and what stays the same in a process: asked while it loads.
texts.compiler_stamp()
detect()

__all__ = ["STAGES", "Engine", "Front", "Source"]
