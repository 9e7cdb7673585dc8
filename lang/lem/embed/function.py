"""The decorators, and what they make of a Python function. Light: the compiler is loaded when it is first needed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import field
from types import FunctionType
from typing import TYPE_CHECKING, Any, overload

from lem.embed.annotations import NotInLem
from lem.embed.boundary import boundary, trim
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
        except Exception as e:
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
    def inspect(self, what: str = "ir") -> str:
        """What the compiler makes of it: "ir", "schedule", "loops", "llvm" or "asm", for contiguous arguments.

        Of a generic function: for the dtypes of its first call. Raises ValueError for other words.
        """
        return self.engine.inspect(what)

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


def _decorate(kind: str, what: Callable[..., Any] | str | None) -> Any:
    if isinstance(what, str) or what is None:
        return lambda function: _decorated(function, kind, what)
    return _decorated(what, kind, None)


def _decorated(function: Any, kind: str, signature: str | None) -> Function:
    # Who decorates will call: what a call needs is loaded now, so that the first one does not wait for it. No compiler.
    from lem.embed import decorated as text
    from lem.embed import engine

    if signature is None and function.__code__.co_varnames[:1] in (("self",), ("cls",)):
        first = function.__code__.co_varnames[0]
        raise NotInLem(f"`{function.__qualname__}` has a `{first}`: a {kind} is no method; define it outside of the class")
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
def kernel(what: Callable[..., Any] | str | None = None, /) -> Any:
    """``@lem.kernel``: the body is a kernel's; ``@lem.kernel("a: f32[2 * M]")`` gives its signature as text."""
    return _decorate("kernel", what)


@overload
def task(what: Callable[..., Any], /) -> Function: ...
@overload
def task(what: str | None = None, /) -> _Decorator: ...
def task(what: Callable[..., Any] | str | None = None, /) -> Any:
    """``@lem.task``: the body of the function is a task, which calls kernels and other tasks."""
    return _decorate("task", what)


@overload
def fn(what: Callable[..., Any], /) -> Function: ...
@overload
def fn(what: str | None = None, /) -> _Decorator: ...
def fn(what: Callable[..., Any] | str | None = None, /) -> Any:
    """``@lem.fn``: the body of the function is code for one element, called from kernels."""
    return _decorate("fn", what)


@overload
def test(what: Callable[..., Any], /) -> Function: ...
@overload
def test(what: str | None = None, /) -> _Decorator: ...
def test(what: Callable[..., Any] | str | None = None, /) -> Any:
    """``@lem.test("what it shows")``: the body is a test block. A call runs it and raises :class:`lem.Fault` where a check
    does not hold; pytest finds it by its name."""
    return _decorate("test", what)


test.__test__ = False  # type: ignore[attr-defined]  # pytest: this is no test itself
