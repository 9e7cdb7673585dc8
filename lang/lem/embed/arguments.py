"""What the arguments of a Python call say of a generic function's types; the rest of a call is the runtime's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lem_runtime import Arguments, CallError, numpy_dtype, returned, sort
from lem_runtime.abi.signature import Signature


def dtypes_of(signature: Signature, type_params: Sequence[str], given: Arguments, lem_dtype: Any) -> dict[str, str]:
    """What the arguments say of a generic function's types: ``{"T": "f32"}``."""
    out: dict[str, tuple[str, str]] = {}  # the argument that says it, and what
    for p in signature.params:
        a = given.arrays.get(p.name)
        if p.dtype in type_params and isinstance(a, np.ndarray):
            name = lem_dtype(a.dtype)
            if name is None:
                raise CallError("E0607", f"`{p.name}` holds {a.dtype}, which lem does not know", p.place)
            by, known = out.setdefault(p.dtype, (p.name, name))
            if known != name and numpy_dtype(known) != a.dtype:  # u16 holds bf16
                raise CallError(
                    "E0607", f"`{p.name}` expects {known}, which `{by}` says that `{p.dtype}` is, found {name}", p.place,
                    help=f"convert it: {p.name}.astype('{numpy_dtype(known)}')",
                )  # fmt: skip
    missing = next((t for t in type_params if t not in out), None)
    if missing is not None:
        raise CallError("E0325", f"no argument says what `{missing}` of `{signature.name}` is", signature.place)
    return {name: dtype for name, (_, dtype) in out.items()}


__all__ = ["Arguments", "dtypes_of", "returned", "sort"]
