"""What stands around a Python function: the names that it sees, and the text that it is written in."""

from __future__ import annotations

import builtins
import linecache
from collections.abc import Mapping
from types import CodeType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np


def plain_number(thing: Any) -> Any:
    """A number of NumPy as the one of Python that is as large; other things as they are."""
    return thing.item() if isinstance(thing, (np.number, np.bool_)) else thing


def surroundings(function: FunctionType) -> Mapping[str, Any]:
    """Names that a function sees, nearest first: enclosing functions, its module, Python's own."""
    found = {**vars(builtins), **function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # assigned later, and so not yet anything
            continue
    return found


_read: WeakKeyDictionary[FunctionType, list[str]] = WeakKeyDictionary()


def remember(function: FunctionType) -> None:
    """Read the text of a function while it is surely what was run: a file may change before the first call."""
    code = function.__code__
    linecache.checkcache(code.co_filename)  # of before a reload
    lines = lines_of(code.co_filename, function.__globals__, code)
    if lines:
        _read[function] = lines


def text_around(function: FunctionType) -> list[str]:
    """The lines of the text that a function stands in; none where Python does not know it."""
    code = function.__code__
    return _read.get(function) or lines_of(code.co_filename, function.__globals__, code)


def lines_of(path: str, names: Mapping[str, Any], code: CodeType | None) -> list[str]:
    """The lines of a text as Python's tracebacks know them: of a file, a cell, a prompt, ``python -c`` (where Python keeps
    it by the code alone)."""
    lines = linecache.getlines(path, dict(names))
    if not lines and code is not None and hasattr(linecache, "_getlines_from_code"):  # since Python 3.13
        lines = linecache._getlines_from_code(code)
    return lines


__all__ = ["lines_of", "plain_number", "remember", "surroundings", "text_around"]
