"""The type of objects that Python calls and that can be joined with compiled code. Imports no NumPy: decorating is cheap.

A callable begins like a bound method of a Python function, so that at first calling it runs that function; ``direct`` then
points it to a wrapper, which falls back to the same function. Where objects look otherwise than we know, callables are of a
plain Python class and stay that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lem_runtime.call import cpython


class CallableBase:
    """What :func:`callable_type` gives where objects cannot be called directly: the slow way is the only one."""


def callable_type(name: str, methods: Mapping[str, Any]) -> type:
    """A type with these methods, whose objects are called as ``methods["__call__"](self, ...)`` and can be made direct."""
    known = cpython.known()
    if known is None:
        own = {word: method for word, method in methods.items() if word not in ("__dict__", "__weakref__")}
        return type(name, (CallableBase,), own)
    made = cpython.new_callable_type(name, n_fields=1)
    for word, method in methods.items():
        if word not in ("__call__", "__dict__", "__weakref__"):
            setattr(made, word, method)
    made.__slow_call__ = methods["__call__"]  # type: ignore[attr-defined]
    return made


def begin(thing: Any) -> None:
    """Make a new object of a :func:`callable_type` callable, through Python."""
    known = cpython.known()
    if known is None or isinstance(thing, CallableBase):
        return
    at = id(thing) + known.head
    cpython.write(at + cpython.METHOD_FUNCTION, id(type(thing).__slow_call__))  # kept by the type
    cpython.write(at + cpython.METHOD_SELF, id(thing))  # itself: not counted, or it would live for ever
    cpython.write(at + cpython.METHOD_CALL, known.call_method)


__all__ = ["CallableBase", "begin", "callable_type"]
