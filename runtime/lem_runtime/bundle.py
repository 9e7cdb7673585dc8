"""Programs compiled ahead of time: from a file to callables, without a compiler.

Takes the path of a bundle (``abi/bundle.py``); gives :class:`Bundled`, which is a source of code like the compiler is, or,
for Python, a :class:`Module` whose attributes are called. Of the code in the file, that for the best processor is taken
that this machine can stand in for.

    file -> decode, check -> sections that this machine can run -> artifact for the arrays of a call -> run, as all code
"""

from __future__ import annotations

import os
import platform
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from lem_runtime import machine, native
from lem_runtime.abi import ABI_VERSION, bundle
from lem_runtime.abi.artifact import Artifact, BadArtifact, decode
from lem_runtime.abi.bundle import BundleError, Section
from lem_runtime.abi.signature import CallError, Place
from lem_runtime.abi.source import Facts, Refusal
from lem_runtime.binding import layouts_of
from lem_runtime.call import convention
from lem_runtime.call.callables import begin, callable_type
from lem_runtime.call.direct import Direct, Wrapper
from lem_runtime.call.wrapper import NotPlain
from lem_runtime.faults import RunError
from lem_runtime.native.objects import offer_objects
from lem_runtime.runner import run

_MAX_BYTES: Final = 1 << 30  # no program is larger


class Bundled:
    """What a file holds for this machine.

    signatures: of all that can be called, by name. machine: name of the processor whose code is taken.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises :class:`BundleError` where the file is damaged, of another version, or for another machine; OSError
        where it cannot be read."""
        self.path = os.fspath(path)
        try:
            self._fill(bundle.decode(_read(self.path)))
        except BundleError as e:
            raise BundleError(e.code, f"`{self.path}`: {e.message}", e.help) from None

    def _fill(self, found: bundle.Bundle) -> None:
        if found.abi != ABI_VERSION:
            age = "a newer" if found.abi > ABI_VERSION else "an older"
            text = f"it was made for {age} version of lem_runtime (ABI {found.abi}, here {ABI_VERSION})"
            raise BundleError(bundle.OTHER_VERSION, text, "build it anew")
        self.signatures = bundle.signatures_of(found)
        try:
            self._take(found)
        except (KeyError, TypeError, ValueError, AttributeError):  # right checksums, and still no sense
            raise BundleError(bundle.DAMAGED, "what it says of its sections makes no sense") from None

    def _take(self, found: bundle.Bundle) -> None:
        code = found.of_kind("code", "cpu")
        fitting = [s for s in code if _can_run(s)]
        if not fitting:
            raise _no_code(code)
        fitting.sort(key=_rank, reverse=True)  # the best first; the sort is stable, so special layouts stay in front
        self.machine = str(fitting[0].about["cpu"])
        self._code: dict[str, list[Section]] = {}
        for s in fitting:
            name = str(s.about["function"])
            if len(s.about["layouts"]) != sum(p.is_array for p in self.signatures[name].params):
                raise ValueError
            self._code.setdefault(name, []).append(s)
        missing = next((name for name in self.signatures if name not in self._code), None)
        if missing is not None:
            raise BundleError(bundle.DAMAGED, f"it has no code of `{missing}`")
        natives = sorted((s for s in found.of_kind("native", "cpu") if _can_run(s)), key=_rank)
        offer_objects({str(s.about["text"]): s.data for s in natives})
        self._artifacts: dict[int, Artifact] = {}  # by the identity of the section

    def request(self, function: str, facts: Facts, target: str = "cpu") -> Artifact | Refusal:
        """Code of a function for these layouts (see :class:`~lem_runtime.abi.source.CodeSource`)."""
        if function not in self.signatures:
            return Refusal(f"`{self.path}` has no `{function}`; it has {', '.join(self.signatures)}", "E0618")
        for s in self._code[function] if target == "cpu" else ():
            if all(want in ("any", has) for want, has in zip(s.about["layouts"], facts.layouts, strict=True)):
                return self._artifact(s)
        return Refusal(f"`{self.path}` has no code of `{function}` for {facts} on {target}")

    def _artifact(self, s: Section) -> Artifact:
        made = self._artifacts.get(id(s))
        if made is None:
            try:
                made = self._artifacts[id(s)] = decode(s.data)
            except BadArtifact as e:
                raise BundleError(bundle.DAMAGED, f"`{self.path}`: {s}: {e}") from None
        return made


def _read(path: str) -> bytes:
    with open(path, "rb") as f:
        data = f.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise BundleError(bundle.DAMAGED, f"it is larger than {_MAX_BYTES >> 30} GiB, so it is no lem bundle")
    return data


def _can_run(s: Section) -> bool:
    return machine.can_run(s.about["triple"], s.about["cpu"], tuple(s.about["features"]))


def _rank(s: Section) -> tuple[int, int]:
    """How good code is: by the level it is made for, then by what it uses beyond."""
    levels = list(machine.LEVELS)
    cpu = s.about["cpu"]
    return (levels.index(cpu) if cpu in levels else 0, len(s.about["features"]))


def _no_code(sections: Sequence[Section]) -> BundleError:
    here = machine.detect()
    kinds = dict.fromkeys(f"{_system(s.about['triple'])} ({s.about['cpu']})" for s in sections)
    has = f"it has code for {', '.join(kinds)}" if kinds else "it has no code for processors"
    text = f"{has}; this machine is {_system(here.triple)} ({here.cpu})"
    names = ",".join(dict.fromkeys((*(str(s.about["cpu"]) for s in sections if s.about["cpu"] in machine.LEVELS), here.cpu)))
    name = names if here.cpu in machine.LEVELS else platform.machine()
    return BundleError(bundle.OTHER_MACHINE, text, f"build it for this one too: --cpu {name}")


def _system(triple: str) -> str:
    """`x86_64 linux` of `x86_64-unknown-linux-gnu`."""
    arch, _, rest = str(triple).partition("-")
    known = (("linux", "linux"), ("darwin", "macos"), ("windows", "windows"))
    return f"{arch} {next((name for word, name in known if word in rest), rest)}"


# ---------------------------------------------------------------- for Python
class _Methods:
    """A kernel or task of a bundle. Calling it is as calling one under ``@lem.kernel``."""

    def __init__(self, name: str, source: Bundled) -> None:
        signature = source.signatures[name]
        self.__name__ = self.__qualname__ = name
        self.__doc__ = signature.doc or None
        self.signature = signature
        self._source = source
        self._lock = threading.Lock()
        self._direct: Direct | None = None
        self._is_indirect = False
        begin(self)
        _all.add(self)

    def after_fork(self) -> None:
        """In a new process: whoever held the lock is not here."""
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it on NumPy arrays, or any with ``__dlpack__``: they are read and written where they lie.

        Dimensions that no argument tells are given by name. Results (``->``) are returned: one, or a tuple.
        Raises :class:`CallError`, :class:`KernelFault`; Ctrl-C interrupts.
        """
        try:
            given = convention.sort(self.signature, args, kwargs)
            made = self._source.request(self.__name__, Facts(layouts_of(self.signature, given.arrays)))
            if isinstance(made, Refusal):
                raise CallError(made.code, made.reason)
            result = run(made, given.arrays, given.scalars, given.dims, on_prints=convention.print_lines)
        except CallError as e:
            _raise(e)
        except RunError as e:
            _raise(e)
        except native.NoCompiler:
            text = f"`{self._source.path}`: its native core is that of another version of lem_runtime"
            raise BundleError(bundle.OTHER_VERSION, text, "build it anew") from None
        self._make_direct(made)
        if self._direct is not None:
            self._direct.has_run(result.n_workers)
        return convention.returned(self.signature, result, given.like)

    def _make_direct(self, artifact: Artifact) -> None:
        """Once, for the code of the first call: calls like it then go straight to the code. After a fork once more."""
        if self._is_indirect or (self._direct is not None and not self._direct.is_left):
            return
        with self._lock:
            if self._direct is not None:
                if self._direct.is_left:
                    self._direct.renew()
                    self._direct.install(self)
                return
            try:
                self._direct = Direct(artifact, Wrapper(artifact), _raise)
                self._direct.install(self)
            except (NotPlain, native.NoCompiler):
                self._is_indirect = True

    def __repr__(self) -> str:
        return f"<lem {self.signature.kind} {self.__name__} of {self._source.path}>"


_all: weakref.WeakSet[_Methods] = weakref.WeakSet()


def _after_fork() -> None:
    for thing in _all:
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _raise(e: CallError | RunError) -> NoReturn:
    """With the code and the place in the program, which the message does not say."""
    e.add_note(f"error[{e.code}]{_at(e.place)}")
    if e.help:
        e.add_note(f"help: {e.help}")
    raise e from None


def _at(place: Place | None) -> str:
    return f" at {place.file}:{place.line}:{place.col}" if place is not None else ""


if TYPE_CHECKING:

    class Function(_Methods):
        """A kernel or task of a bundle."""

else:
    # Its objects are called by machine code once that is known to do, which a plain class would keep from them.
    Function = callable_type("lem_runtime.Function", vars(_Methods))


class Module:
    """The kernels and tasks of a bundle, as attributes, and by name: ``module["step"]``. It has nothing else, so that no
    name of a program is taken."""

    __slots__ = ("__functions", "__source")

    def __init__(self, source: Bundled) -> None:
        self.__source = source
        self.__functions = {name: Function(name, source) for name in source.signatures}

    def __getattr__(self, name: str) -> Function:
        if name in self.__functions:
            return self.__functions[name]
        text = f"`{self.__source.path}` has no `{name}`; it has {', '.join(self.__functions)}"
        raise AttributeError(text, name=name, obj=self)

    def __getitem__(self, name: str) -> Function:
        if name not in self.__functions:
            raise KeyError(name)
        return self.__functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__functions)

    def __len__(self) -> int:
        return len(self.__functions)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self.__functions})

    def __repr__(self) -> str:
        return f"<lem bundle {self.__source.path} ({self.__source.machine}): {', '.join(self.__functions)}>"


def load(path: str | os.PathLike[str]) -> Module:
    """The kernels and tasks of a bundle, ready to be called; the compiler need not be installed.

    Raises :class:`BundleError` where the file is damaged, of another version, or for another machine; OSError where it
    cannot be read.
    """
    return Module(Bundled(path))


__all__ = ["Bundled", "Function", "Module", "load"]
