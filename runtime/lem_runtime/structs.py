"""Struct arguments between callers and compiled code (LANGUAGE 34): one argument outside, a field each inside.

Takes what a caller gives for a struct parameter: a NumPy array with named fields (its fields are strided views: nothing
is copied), an array of complex numbers for a struct of `re` and `im`, or one array per field. Gives the fields by the
names of the signature (`b.x`). The other way: what a call wrote, as one value per argument, and a structured array of
fields that lie apart, for files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lem_runtime import values
from lem_runtime.abi.signature import CallError, Param, Signature

Array = np.ndarray[Any, Any]


def split(sig: Signature, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with each struct replaced by its fields. Raises :class:`CallError` where one does not have them."""
    out: dict[str, Any] = {}
    for name, value in given.items():
        fields = sig.fields(name)
        if not fields:
            out[name] = value
            continue
        parts = _in_order(fields, value) if isinstance(value, (tuple, list)) else value
        if is_complex(value) and [p.field for p in fields] == ["re", "im"]:
            parts = {"re": value.real, "im": value.imag}  # views, too
        _check_fields(fields, parts)
        for p in fields:
            out[p.name] = _checked(p, _at(parts, p.field))
    return out


def join(sig: Signature, by_field: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the names that callers use: of a struct the array they gave, else a value per field."""
    out: dict[str, Any] = {}
    for p in sig.params:
        if p.name not in by_field:
            continue
        if not p.struct:
            out[p.name] = by_field[p.name]
        elif isinstance(given.get(p.argument), np.ndarray):
            out[p.argument] = given[p.argument]
        else:
            out.setdefault(p.argument, {})[p.field] = by_field[p.name]
    return out


def is_complex(value: Any) -> bool:
    """Complex numbers of NumPy lie in memory as a struct of `re` and `im` does."""
    return isinstance(value, (np.ndarray, np.complexfloating)) and value.dtype.kind == "c"


def dtype_of(fields: Iterable[tuple[str, str]]) -> np.dtype[Any]:
    """The NumPy dtype of a struct with these paths and lem dtypes; every field aligned, so that none is ever copied."""
    tree: dict[str, Any] = {}
    for path, dtype in fields:
        *outer, last = path.split(".")
        inside = tree
        for name in outer:
            inside = inside.setdefault(name, {})
        inside[last] = values.numpy_dtype(dtype)
    return _made(tree)


def _made(tree: Mapping[str, Any]) -> np.dtype[Any]:
    made = {name: _made(x) if isinstance(x, dict) else x for name, x in tree.items()}
    return np.dtype({"names": list(made), "formats": list(made.values())}, align=True)


def joined(dtype: np.dtype[Any], parts: Mapping[str, Array]) -> Array:
    """One structured array of fields that lie apart: a copy."""
    first = next(iter(parts.values()))
    out = np.zeros(first.shape, dtype)
    for path, part in parts.items():
        _at(out, path)[...] = part
    return out


def field_dtypes(dtype: np.dtype[Any], path: str = "") -> Iterator[tuple[str, np.dtype[Any]]]:
    """Paths and dtypes of the innermost fields of a structured dtype, or of complex numbers."""
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        yield from ((path + name, part) for name in ("re", "im"))
    for name in dtype.names or ():
        inner = dtype[name]
        if inner.names is None:
            yield path + name, inner
        else:
            yield from field_dtypes(inner, f"{path}{name}.")


def _names(dtype: np.dtype[Any], path: str = "") -> list[str]:
    return [name for name, _ in field_dtypes(dtype, path)]


# ---------------------------------------------------------------- what was given
def _in_order(fields: Sequence[Param], given: Sequence[Any]) -> dict[str, Any]:
    if len(given) != len(fields):
        p = fields[0]
        raise CallError("E0607", f"`{p.argument}` is a `{p.struct}` of {len(fields)} fields, found {len(given)}", p.place)
    return {p.field: value for p, value in zip(fields, given, strict=True)}


def _check_fields(fields: Sequence[Param], given: Any) -> None:
    """Whether what was given has the fields of the struct, and no others."""
    p = fields[0]
    wanted = [f.field for f in fields]
    has = ", ".join(f"{f.field}: {f.dtype}" for f in fields)
    if isinstance(given, Mapping):
        found = list(_paths(given))
    elif isinstance(given, (np.ndarray, np.void)) and given.dtype.names is not None:
        found = _names(given.dtype)
    else:
        what = values.lem_dtype(given.dtype) or given.dtype if isinstance(given, np.ndarray) else type(given).__name__
        kind = "an array of " if p.is_array else "a "
        raise CallError(
            "E0607", f"`{p.argument}` is {kind}`{p.struct}`, found {what}", p.place,
            f"give an array with named fields ({has}), or one array per field" if p.is_array else f"give its fields: {has}",
        )  # fmt: skip
    for name in wanted:
        if name not in found:
            raise CallError("E0607", f"`{p.argument}` has no field `{name}`; a `{p.struct}` has {has}", p.place)
    for name in found:
        if name not in wanted:
            raise CallError("E0607", f"`{p.argument}` has a field `{name}`, and a `{p.struct}` has {has}", p.place)


def _paths(given: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in given.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{path}{name}.")
        elif isinstance(value, np.ndarray) and value.dtype.names is not None:
            yield from _names(value.dtype, f"{path}{name}.")
        else:
            yield path + name


def _at(given: Any, path: str) -> Any:
    """The field at a path; a mapping may also have the whole path as one key."""
    if isinstance(given, Mapping) and path in given:
        return given[path]
    head, _, rest = path.partition(".")
    inner = given[head]
    return _at(inner, rest) if rest else inner


def _checked(p: Param, value: Any) -> Any:
    """An array has the type of its field: the other checks speak of the whole argument."""
    if p.is_array and isinstance(value, np.ndarray) and not values.holds(value.dtype, p.dtype):
        found = values.lem_dtype(value.dtype) or value.dtype
        raise CallError("E0607", f"field `{p.field}` of `{p.argument}` is {p.dtype}, found {found}", p.place)
    return value
