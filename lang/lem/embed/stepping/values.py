"""What a person sees of a value while stepping, and what they made of it.

A number is a NumPy number of its type, a value with axes an array that prints their names, a struct its fields.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from lem.ir.core import Axis
from lem.ir.interpreter.formats import narrow, wide
from lem.ir.interpreter.tile import Tile
from lem.types import typed
from lem_runtime.abi.dtypes import DType


class Along(np.ndarray[Any, Any]):
    """An array that says which axes it has."""

    axes: tuple[str, ...] = ()

    def __array_finalize__(self, other: Any) -> None:
        self.axes = getattr(other, "axes", ()) if np.ndim(other) == self.ndim else ()

    def __repr__(self) -> str:
        return f"{np.asarray(self)!r} over {', '.join(self.axes)}" if self.axes else repr(np.asarray(self))


def shown(tile: Tile, dtype: DType, element: Collection[Axis]) -> Any:
    """A value as Python has it. element: axes of the grid, along which there is this element alone."""
    data = wide(tile.data, dtype)
    kept = [n for n, a in enumerate(tile.axes) if a not in element]
    data = data.reshape([data.shape[n] for n in kept])
    if not kept:
        return data[()]
    made = data.copy().view(Along)
    made.axes = tuple(tile.axes[n].name for n in kept)
    return made


def joined(dtype: DType, parts: Sequence[Any]) -> Any:
    """Numbers as the value they make together."""
    if not isinstance(dtype, typed.StructType):
        return parts[0]
    out: dict[str, Any] = {}
    for (path, _), part in zip(typed.leaves(dtype), parts, strict=True):
        out[path.replace(".", "_")] = part
    return SimpleNamespace(**out)


def changed(given: Any, was: Tile, dtype: DType) -> Tile | None:
    """What a person assigned in the debugger, as a value like the one before; None where it is none."""
    try:
        data = np.asarray(given)
        if dtype.is_float != (data.dtype.kind == "f") and data.dtype.kind not in "iub":
            return None
        return Tile(was.axes, narrow(np.broadcast_to(data, was.data.shape).copy(), dtype))
    except (TypeError, ValueError):
        return None
