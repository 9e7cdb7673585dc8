"""What may stand above ``@lem.kernel``: ``@lem.on(lem.cpu)``, ``@lem.prefer``, ``@lem.within``, ``@lem.variant``.

Python runs them and lem reads their text, so they only see that they stand where they mean something; a variant makes
itself known to the kernel that it is one of.
"""

from __future__ import annotations

from collections.abc import Callable

from lem.embed.annotations import Target
from lem.embed.boundary import boundary
from lem.embed.function import Function
from lem.embed.mistakes import UsageError

_Hint = Callable[[Function], Function]


def on(*targets: Target) -> _Hint:
    """``@lem.on(lem.cpu, lem.gpu)``: the targets that it may run on."""
    return _hint("on")


def prefer(target: Target, *, when: object = True) -> _Hint:
    """``@lem.prefer(lem.gpu, when=N > 1000)``: a preference, never an order."""
    return _hint("prefer")


def within(*, rel: float) -> _Hint:
    """``@lem.within(rel=2e-2)``: the error that it may have, relative to the largest element."""
    return _hint("within")


def variant(*, of: Function, on: Target | tuple[Target, ...] | None = None, when: object = True) -> _Hint:
    """``@lem.variant(of=matmul, when=N % 32 == 0)``: another body for the kernel `of`. when: of sizes, or of parameters as
    text: ``"n > 3"``."""

    @boundary
    def known(function: Function) -> Function:
        made = _checked(function, "variant")
        if not isinstance(of, Function) or of.decorated is None:
            raise UsageError(f"`@lem.variant` of `{made.__name__}`: `of` is a function under @lem.kernel, of the same form")
        if of._engine is not None:
            raise UsageError(
                f"`{of.__name__}` was used before its variant `{made.__name__}`: define variants before any call"
            )
        assert made.decorated is not None
        of.decorated.variants.append(made.decorated)
        return made

    return known


def _hint(name: str) -> _Hint:
    return boundary(lambda function: _checked(function, name))


def _checked(function: object, name: str) -> Function:
    if not isinstance(function, Function) or function.decorated is None:
        raise UsageError(f"`@lem.{name}(...)` stands above `@lem.kernel` or `@lem.task`, and nowhere else")
    return function


DECORATORS: dict[object, str] = {on: "on", prefer: "prefer", within: "within", variant: "variant"}

__all__ = ["DECORATORS", "on", "prefer", "variant", "within"]
