"""Names that a Python function sees."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from types import FunctionType
from typing import Any


def surroundings(function: FunctionType) -> Mapping[str, Any]:
    """Names that a function sees, nearest first: enclosing functions, its module, Python's own."""
    found = {**vars(builtins), **function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # assigned later, and so not yet anything
            continue
    return found


__all__ = ["surroundings"]
