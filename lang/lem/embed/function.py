"""The decorators, and what they make of a Python function. Light: the compiler is loaded when it is first needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import field
from types import FunctionType
from typing import TYPE_CHECKING, Any, overload

from lem.embed.boundary import boundary, trim
from lem.embed.mistakes import UsageError
from lem_runtime import begin, callable_type
from lem_runtime.abi.records import dataclass

if TYPE_CHECKING:
    from lem.embed.engine import Engine


@dataclass(frozen=True, slots=True)
class Decorated:
    """A function of Python and what its decorator says. signature: where it was given as text, of a test its title.
    variants: other bodies of a kernel."""

    function: FunctionType
    kind: str
    signature: str | None
    variants: list[Decorated] = field(default_factory=list)


class _Methods:
    """A kernel, task, fn or test of lem, written in Python. All but fns can be called."""

    kind: str
    decorated: Decorated | None = None  # where it comes from a function of Python

    def __init__(self, name: str, kind: str, make: Callable[[], Engine]) -> None:
        self.__name__ = self.__qualname__ = name
        self.kind = kind
        self._make = make
        self._engine: Engine | None = None
        begin(self)

    @property
    def engine(self) -> Engine:
        """The compiler's side of it, made when it is first needed."""
        if self._engine is None:
            self._engine = self._make()
        return self._engine

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it on NumPy arrays, or any with ``__dlpack__``: they are read and written where they lie.

        Dimensions that no argument tells are given by name. Results (``->``) are returned: one, or a tuple; as arrays of
        NumPy, or of the library that ``like=`` names (``like=torch``, or ``like=x`` for that of `x`).
        Raises :class:`lem.CompileError`, :class:`lem.CallError`, :class:`lem.Fault`; Ctrl-C interrupts.
        """
        __tracebackhide__ = True  # pytest and IPython begin at the caller
        try:
            return self.engine.call(self, args, kwargs)
        except (Exception, KeyboardInterrupt) as e:
            trim(e)
            raise

    @boundary
    def check(self) -> None:
        """Check it without running anything. Raises :class:`lem.CompileError`."""
        self.engine.compiler  # noqa: B018  # made where it is not there yet

    @property
    def specializations(self) -> tuple[Any, ...]:
        """The facts (dtypes, contiguous arrays) that code was made for so far."""
        return self._engine.specializations() if self._engine is not None else ()

    @boundary
    def inspect(self, what: str = "ir", *, dtypes: Mapping[str, str] | None = None) -> str:
        """What the compiler makes of it: "ir", "schedule", "loops", "llvm" or "asm", for contiguous arguments.

        dtypes: of a generic function, ``{"T": "f32"}``; else those of its first call. Raises :class:`lem.CallError` where
        nothing says what they are, :class:`lem.UsageError` for other words.
        """
        return self.engine.inspect(what, dtypes)

    def __reduce__(self) -> str:
        """By its name, as functions of Python are pickled: other processes import the module that defines it."""
        return self.__qualname__

    def __repr__(self) -> str:
        n = len(self.specializations)
        made = "not compiled yet" if not n else f"{n} specialisation{'s' if n > 1 else ''}"
        if self.kind == "fn":
            made = "inlined where kernels call it"
        if self.kind == "test":
            made = "call it to run it"
        return f"<lem {self.kind} {self.__name__}: {made}>"

    def _repr_html_(self) -> str:
        from lem.embed import showing

        return showing.function_html(self)  # type: ignore[arg-type]  # it is a Function, see below


if TYPE_CHECKING:

    class Function(_Methods):
        """A kernel, task or fn of lem, written in Python. Kernels and tasks can be called."""

else:
    # Its objects are called by machine code once that is made, which a plain class would keep from them.
    Function = callable_type("lem.Function", vars(_Methods))


_Decorator = Callable[[Callable[..., Any]], Function]


@boundary
def _decorate(kind: str, what: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    if options or len(what) > 1:
        found = f"`{next(iter(options))}=`" if options else f"{len(what)} arguments"
        raise UsageError(f"`@lem.{kind}` takes {_TAKES.get(kind, 'the signature as text')}, or nothing, found {found}")
    text = what[0] if what else None
    if isinstance(text, str) or text is None:
        return boundary(lambda function: _decorated(function, kind, text))
    return _decorated(text, kind, None)


_TAKES = {"test": "its title as text"}


def _checked(function: Any, kind: str, signature: str | None) -> FunctionType:
    """The function that a decorator stands above. Raises :class:`UsageError` for what is none of the kind that lem reads."""
    name = getattr(function, "__qualname__", None) or type(function).__name__
    if isinstance(function, Function):
        raise UsageError(f"`{name}` is a {function.kind} of lem already: one decorator makes it one")
    if isinstance(function, type):
        raise UsageError(f"`{name}` is a class: `@lem.{kind}` stands above a function (and `@lem.struct` above a class)")
    if isinstance(function, (staticmethod, classmethod)) or hasattr(function, "__wrapped__"):
        raise UsageError(f"`{name}` is changed by another decorator first: `@lem.{kind}` stands right above its `def`")
    if not isinstance(function, FunctionType):
        raise UsageError(f"`@lem.{kind}` stands above a function written in Python, found {type(function).__name__}")
    if function.__name__ == "<lambda>":
        raise UsageError(f"a `lambda` has no body that lem reads: write a `def` under `@lem.{kind}`")
    if function.__code__.co_flags & _ASYNC:
        raise UsageError(f"`{name}` is `async`: a {kind} runs to its end when it is called; write a plain `def`")
    first = function.__code__.co_varnames[:1]
    if signature is None and first in (("self",), ("cls",)):
        raise UsageError(f"`{name}` has a `{first[0]}`: a {kind} is no method; define it outside of the class")
    if kind == "test" and function.__code__.co_argcount + function.__code__.co_kwonlyargcount > 0:
        raise UsageError(f"`{name}` has parameters, and nobody would give a test of lem arguments")
    return function


_ASYNC = 0x80 | 0x200  # CO_COROUTINE, CO_ASYNC_GENERATOR of `inspect`, which takes long to import


def _decorated(thing: Any, kind: str, signature: str | None) -> Function:
    function = _checked(thing, kind, signature)
    # Who decorates will call: what a call needs is loaded now, so that the first one does not wait for it. No compiler.
    from lem.embed import around, engine
    from lem.embed import decorated as text

    around.remember(function)
    decorated = Decorated(function, kind, signature)

    def make() -> Engine:
        if kind == "test":
            from lem.embed import test_engine

            return test_engine.TestEngine(function.__name__, kind, text.DecoratedSource(decorated))
        return engine.Engine(function.__name__, kind, text.DecoratedSource(decorated))

    made = Function(function.__name__, kind, make)
    made.decorated = decorated
    functools.update_wrapper(made, function)
    return made


@overload
def kernel(what: Callable[..., Any], /) -> Function: ...
@overload
def kernel(what: str | None = None, /) -> _Decorator: ...
@boundary
def kernel(*what: Any, **options: Any) -> Any:
    """``@lem.kernel``: the body is a kernel's; ``@lem.kernel("a: f32[2 * M]")`` gives its signature as text."""
    return _decorate("kernel", what, options)


@overload
def task(what: Callable[..., Any], /) -> Function: ...
@overload
def task(what: str | None = None, /) -> _Decorator: ...
@boundary
def task(*what: Any, **options: Any) -> Any:
    """``@lem.task``: the body of the function is a task, which calls kernels and other tasks."""
    return _decorate("task", what, options)


@overload
def fn(what: Callable[..., Any], /) -> Function: ...
@overload
def fn(what: str | None = None, /) -> _Decorator: ...
@boundary
def fn(*what: Any, **options: Any) -> Any:
    """``@lem.fn``: the body of the function is code for one element, called from kernels."""
    return _decorate("fn", what, options)


@overload
def test(what: Callable[..., Any], /) -> Function: ...
@overload
def test(what: str | None = None, /) -> _Decorator: ...
@boundary
def test(*what: Any, **options: Any) -> Any:
    """``@lem.test("what it shows")``: the body is a test block. A call runs it and raises :class:`lem.Fault` where a check
    does not hold; pytest finds it by its name."""
    return _decorate("test", what, options)


test.__test__ = False  # type: ignore[attr-defined]  # pytest: this is no test itself
