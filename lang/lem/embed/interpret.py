"""``with lem.interpret():`` runs calls by the meaning of the language, checked and without compiling anything.

Every call is looked over while it runs: reads of what nobody wrote, and elements of a grid that meet, are raised with the
element and the place. Where a kernel says ``breakpoint()``, or a debugger is attached, it runs one element and one line at
a time (see ``stepping``); else all elements of a grid together, which is a hundred times faster.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from lem.embed import modes

if TYPE_CHECKING:
    from lem.embed.arguments import Arguments
    from lem.embed.engine import Engine
    from lem_runtime import RunResult
    from lem_runtime.abi.signature import Signature
    from lem_runtime.abi.source import Facts

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Interpret:
    """A context manager and a decorator; see :func:`interpret`."""

    def __init__(self, step: bool | None) -> None:
        self.step = step
        self._open: list[AbstractContextManager[None]] = []

    def __enter__(self) -> Interpret:
        entered = modes.on(self)
        entered.__enter__()
        self._open.append(entered)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._open.pop().__exit__(*exc)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def interpreted(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with Interpret(self.step):
                return function(*args, **kwargs)

        return interpreted

    def run(self, engine: Engine, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call. See :class:`lem.embed.modes.Way`."""
        from lem.embed import interpreting

        def how(facts: Facts, given: Arguments) -> tuple[Signature, RunResult]:
            program, name = engine.compiler.instance(facts)
            around = engine.compiler.around
            return interpreting.run(program, name, given.arrays, given.scalars, given.dims, around, step=self.step)

        return engine.run_with(args, kwargs, how)


def interpret(*, step: bool | None = None) -> Interpret:
    """Calls of kernels and tasks inside run in the interpreter: ``with lem.interpret(): ...``, or as a decorator.

    They are checked while they run: raises :class:`lem.Fault` also for reads of elements that nobody wrote (E0628) and for
    elements of a grid that meet (E0629). ``breakpoint()`` in a body stops there. step: one element and line at a time,
    always or never; else where there is a ``breakpoint()``, or a debugger is attached.
    """
    return Interpret(step)


__all__ = ["Interpret", "interpret"]
