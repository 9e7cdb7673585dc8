"""A call as Python writes it, in the terms of a signature; and what it gives back.

Takes the arguments of a call; gives arrays where they lie, scalars, and dimensions by name. Arrays of NumPy are taken as
they are, those of other libraries through DLPack; nothing is copied or converted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import CallError, Param, Signature
from lem_runtime.call import libraries
from lem_runtime.runner import RunResult


@dataclass(slots=True)
class Arguments:
    """What a call gives."""

    arrays: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    scalars: dict[str, Any] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    like: str = "numpy"  # the library whose arrays results are to be


def sort(signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
    """Parameters by their kind. Raises :class:`CallError` for what does not fit."""
    params = [p for p in signature.arguments if p.effect != "result"]
    if len(args) > len(params):
        n, m = len(params), len(args)
        raise CallError("E0607", f"`{signature.name}` takes {n} argument{'s' if n != 1 else ''}, found {m}", signature.place)
    given = dict(zip((p.name for p in params), args, strict=False))
    out = Arguments()
    for name, value in kwargs.items():
        if name in given:
            raise CallError("E0607", f"`{name}` of `{signature.name}` is given twice", signature.place)
        if name in signature.dims:
            out.dims[name] = _dimension(signature, name, value)
        elif name == "like" and all(p.name != "like" for p in params):
            out.like = libraries.library_of(value)
        else:
            given[name] = value
    known = {p.name for p in params}
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        import difflib  # takes a while, and most programs never ask

        near = difflib.get_close_matches(unknown, (*(n for n in known if n not in given), *signature.dims), 1)
        takes = ", ".join((*(p.name for p in params), *signature.dims))
        help = f"did you mean `{near[0]}`?" if near else f"it takes {takes or 'no arguments'}"
        raise CallError("E0609", f"`{signature.name}` has no parameter `{unknown}`", signature.place, help)
    for p in params:
        if p.name not in given:
            if p.is_array or p.default is None:
                raise CallError("E0608", f"`{p.name}` of `{signature.name}` is missing", p.place)
        elif p.is_array:
            out.arrays[p.name] = _array(p, given[p.name])
        else:
            out.scalars[p.name] = _scalar(given[p.name])
    return out


def _dimension(signature: Signature, name: str, value: Any) -> int:
    """A dimension that is given by name: a whole number."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        found = f"{value!r} ({type(value).__name__})"
        raise CallError("E0607", f"dimension `{name}` is a whole number, found {found}", signature.place)
    return int(value)


def _scalar(value: Any) -> Any:
    """A number; an array of no axes, such as a result that is one number, is the number in it."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _array(p: Param, value: Any) -> Any:
    """The array itself; for other libraries a view of the same memory."""
    if isinstance(value, np.ndarray) or isinstance(value, Mapping):  # a mapping: one array per field of a struct
        return value
    return libraries.borrow(p, value)


def print_lines(lines: Sequence[str], n_printed: int) -> None:
    """Those of a run, also of one that faults: they say what came before. n_printed: how many there were in all."""
    for line in lines:
        print(line)
    if n_printed > len(lines):
        print(f"... and {n_printed - len(lines)} more lines")


def returned(signature: Signature, result: RunResult, like: str = "numpy") -> Any:
    """What a call in Python gives: nothing, its result, or a tuple of its results."""
    named = {**result.outputs, **result.scalars}
    values = tuple(named[p.name] for p in signature.arguments if p.effect == "result")
    if like != "numpy":
        dtypes = (p.dtype for p in signature.arguments if p.effect == "result")
        values = tuple(libraries.give(v, like, dtype) for v, dtype in zip(values, dtypes, strict=True))
    return None if not values else values[0] if len(values) == 1 else values
