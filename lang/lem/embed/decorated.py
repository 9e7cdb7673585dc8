"""Where a decorated function's program comes from, and what it is in short: known functions need no compiler.

The key is made of the text of the function and of all that it uses from around it: other functions of lem, numbers, what its
annotations mean. It must change whenever the program would.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

from lem import texts
from lem.embed.around import surroundings
from lem.embed.function import Decorated, Function

if TYPE_CHECKING:
    from lem.embed.compiling import Compiler


class DecoratedSource:
    """See :class:`lem.embed.engine.Source`."""

    def __init__(self, decorated: Decorated) -> None:
        self._decorated = decorated

    def key(self) -> str | None:
        parts = list(_parts(self._decorated, set()))
        return None if any(p is None for p in parts) else texts.digest(texts.compiler_stamp(), *(p or "" for p in parts))

    def compiler(self) -> Compiler:
        from lem.embed import compiling, program

        function = self._decorated.function
        around = {function.__code__.co_filename: surroundings(function)}
        return compiling.Compiler(program.analysed(self._decorated), function.__name__, around)


def _parts(d: Decorated, seen: set[FunctionType]) -> Iterator[str | None]:
    """What a function's program depends on; a None where something cannot be told."""
    function = d.function
    if function in seen:
        return
    seen.add(function)
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    last = max(_lines(code), default=0)
    yield "".join(lines[code.co_firstlineno - 1 : last]) if lines else None
    yield from (code.co_filename, str(code.co_firstlineno), d.kind, d.signature or "", repr(function.__annotations__))
    around = surroundings(function)
    for name in sorted(_names(code)):
        thing = around.get(name)
        yield name
        if isinstance(thing, Function) and thing.decorated is not None:
            yield from _parts(thing.decorated, seen)
        elif isinstance(thing, (bool, int, float)):
            yield repr(thing)
        else:
            yield f"{type(thing).__qualname__} {getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of comprehensions in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _codes(const)


def _lines(code: CodeType) -> Iterator[int]:
    for part in _codes(code):
        yield from (end for _, end, _, _ in part.co_positions() if end is not None)


def _names(code: CodeType) -> set[str]:
    """Names that are looked up outside of the function."""
    return {name for part in _codes(code) for name in (*part.co_names, *part.co_freevars)}


__all__ = ["DecoratedSource"]
