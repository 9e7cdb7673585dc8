"""Where a decorated function's program comes from, and what it is in short: known functions need no compiler.

The key is made of the text of the function and of all that it uses from around it: other functions of lem, numbers, what its
annotations mean. It must change whenever the program would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING

from lem import texts
from lem.embed import records, warned
from lem.embed.around import plain_number, surroundings, text_around
from lem.embed.function import Decorated, Function
from lem.embed.structs import StructType

if TYPE_CHECKING:
    from lem.embed.compiling import Compiler


_WORD = re.compile(r"[^\W\d]\w*")


class DecoratedSource:
    """See :class:`lem.embed.engine.Source`."""

    def __init__(self, decorated: Decorated) -> None:
        self._decorated = decorated

    def key(self) -> str | None:
        parts = list(_parts(self._decorated, set()))
        return None if any(p is None for p in parts) else texts.digest(texts.compiler_stamp(), *(p or "" for p in parts))

    def breakpoints(self) -> Iterator[warned.Breakpoint]:
        return _breakpoints(self._decorated, set())

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
    lines = text_around(function)
    last = max(_lines(code), default=0)
    yield "".join(lines[code.co_firstlineno - 1 : last]) if lines else None
    yield from (code.co_filename, str(code.co_firstlineno), d.kind, d.signature or "", repr(function.__annotations__))
    around = surroundings(function)
    yield from _structs(d, "".join(lines[code.co_firstlineno - 1 : last]), around)
    for name in sorted(_names(code)):
        yield name
        yield from _thing(around.get(name), seen)
    for module in _modules(code, around):
        for name in sorted(_names(code) & set(vars(module))):
            yield name
            yield from _thing(vars(module)[name], seen)
    for variant in d.variants:
        yield from _parts(variant, seen)


def _breakpoints(d: Decorated, seen: set[FunctionType]) -> Iterator[warned.Breakpoint]:
    """Those of a function and of the functions of lem that it names."""
    function = d.function
    if function in seen:
        return
    seen.add(function)
    for part in _codes(function.__code__):
        yield from warned.in_code(part, function.__module__)
    around, names = surroundings(function), _names(function.__code__)
    scopes = (around, *(vars(m) for m in _modules(function.__code__, around)))
    for thing in (scope.get(name) for scope in scopes for name in sorted(names)):
        if isinstance(thing, Function) and thing.decorated is not None:
            yield from _breakpoints(thing.decorated, seen)
        elif isinstance(thing, Function):
            yield from thing.engine.breakpoints()
    for variant in d.variants:
        yield from _breakpoints(variant, seen)


def _structs(d: Decorated, text: str, around: Mapping[str, object]) -> Iterator[str | None]:
    """The structs and numbers that a function names: also in its annotations and in types that are text."""
    written = f"{text} {d.signature or ''} {d.function.__annotations__}"
    for name in sorted(set(_WORD.findall(written))):
        thing = plain_number(around.get(name))
        if isinstance(thing, (bool, int, float)):  # a size, too, may be one
            yield f"{name} {thing!r}"
        inner = vars(thing).values() if isinstance(thing, ModuleType) and thing.__name__ not in ("lem", "math") else ()
        for struct in (thing, *inner):
            if isinstance(struct, StructType):
                yield f"{name} {struct.__name__} {_described(struct)}"


def _described(struct: StructType) -> str:
    try:
        return repr(list(records.leaves_of(struct)))
    except (NameError, TypeError, AttributeError):
        return ""  # no program, which is said where it is read


def _thing(thing: object, seen: set[FunctionType]) -> Iterator[str | None]:
    """What a name stands for, as far as a program can depend on it."""
    thing = plain_number(thing)
    if isinstance(thing, Function):
        if thing.decorated is not None:
            yield from _parts(thing.decorated, seen)
        else:
            yield thing.engine.key  # of a file of lem
    elif isinstance(thing, (bool, int, float)):
        yield repr(thing)
    else:
        yield f"{type(thing).__qualname__} {getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def _modules(code: CodeType, around: Mapping[str, object]) -> Iterator[ModuleType]:
    """Modules that a function names, and those that it may reach through them by ``package.m.f``."""
    names = _names(code)
    todo = [m for n in sorted(names) if isinstance(m := around.get(n), ModuleType) and m.__name__ not in ("lem", "math")]
    seen: list[ModuleType] = []
    while todo:
        module = todo.pop()
        if all(module is not m for m in seen):
            seen.append(module)
            yield module
            inner = (vars(module).get(n) for n in sorted(names))
            todo += [m for m in inner if isinstance(m, ModuleType)]


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
