"""Structs of Python as NumPy's records, and what they consist of, in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lem.embed import annotations as an
from lem.embed.mistakes import UsageError
from lem.embed.structs import StructType
from lem_runtime import dtype_of as numpy_dtype_of

_INTS = {"int": "i64", "float": "f64"}


def fields_of(cls: StructType) -> Iterator[tuple[str, Any]]:
    """Names and types of the fields, as Python evaluates them. Raises NameError, UsageError where one is no type of lem."""
    module, inner = cls.lem_names
    for name, written in vars(cls).get("__annotations__", {}).items():
        found = eval(written, dict(module), dict(inner)) if isinstance(written, str) else written
        if not isinstance(found, StructType) and (not isinstance(found, type) or found not in an.DTYPES):
            raise UsageError(f"field `{name}` of `{cls.__name__}` is {found!r}, and no type of lem")
        yield name, found


def leaves_of(cls: StructType, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths and types of the innermost fields: ``("at.x", "f64")``."""
    for name, found in fields_of(cls):
        if isinstance(found, StructType):
            yield from leaves_of(found, f"{path}{name}.")
        else:
            dtype = an.DTYPES[found]
            yield path + name, _INTS.get(dtype, dtype)


def dtype_of(cls: StructType) -> np.dtype[Any]:
    """See :attr:`StructType.dtype`."""
    return numpy_dtype_of(leaves_of(cls))


def made(cls: StructType, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """One value. Raises :class:`UsageError` where not every field is given once."""
    names = [name for name, _ in fields_of(cls)]
    given = dict(zip(names, args, strict=False))
    twice = given.keys() & kwargs.keys()
    given |= kwargs
    if len(args) > len(names) or twice or given.keys() != set(names):
        raise UsageError(f"a `{cls.__name__}` has the fields {', '.join(names)}, each given once")
    out = np.zeros((), dtype_of(cls))
    for name in names:
        try:
            out[name] = given[name]
        except (OverflowError, TypeError, ValueError) as e:
            raise UsageError(f"field `{name}` of a `{cls.__name__}`: {e}") from None
    return out[()]


__all__ = ["dtype_of", "fields_of", "leaves_of", "made"]
