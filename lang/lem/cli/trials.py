"""Trial runs for ``lem check``: does a result depend on how `tiles` loops are cut (LANGUAGE 11)?

Takes a checked program; runs each of its kernels that has such loops on made-up inputs of small, ragged sizes, with
blocks of 1, of 3 and whole, by the interpreter. Gives for each kernel what differs, or why it could not be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from lem import ir, pipeline
from lem.cli.tried import Trial
from lem.embed.block_trials import depends_on_blocks
from lem.ir import interpreter, ops
from lem.ir.interpreter import formats
from lem_runtime import numpy_dtype
from lem_runtime.abi import signature as sig
from lem_runtime.abi.dtypes import DTYPES

SIZES = ((7, 5, 9, 3, 8, 6), (6,) * 6, (16,) * 6, (1, 2, 1, 3, 2, 1))  # of the dimensions, in their order
_LARGEST_INTS = (4, 1)  # of made-up integers, exclusive: they may be indices
_SCALARS: Mapping[str, Any] = {"bool": True, "float": 0.75}

Inputs = tuple[dict[str, Any], dict[str, Any], dict[str, int]]  # arrays, scalars, dimensions of a call


def run_trial(program: pipeline.Program, name: str, shown: str) -> Trial:
    """Try the kernel `name`, which its program calls `shown`."""
    if endless(program, name):
        return Trial(shown, not_run="it has a `while` loop, which made-up inputs might never end")
    first = ""
    for sizes, largest in product(SIZES, _LARGEST_INTS):
        made = made_up(program.ir.functions[name].signature, sizes, largest)
        if isinstance(made, str):
            first = first or made
            continue
        arrays, scalars, dims = made
        outcome = interpreter.run(program.ir, name, {n: a.copy() for n, a in arrays.items()}, scalars, dims)
        if outcome.fault is None:
            return Trial(shown, depends_on_blocks(program, name, arrays, scalars, dims))
        first = first or outcome.fault.text.format(*outcome.fault.values)
    return Trial(shown, not_run=f"made-up inputs do not suit it: {first}")


def endless(program: pipeline.Program, name: str) -> bool:
    """Whether a kernel might not end."""
    functions = program.ir.closure(name).functions.values()
    return any(isinstance(o, ops.While) for f in functions for o in ir.walk_ops(f.body))


def made_up(signature: sig.Signature, sizes: tuple[int, ...], largest: int, number: int = 2) -> Inputs | str:
    """A call with these sizes, or why there is none. number: what integer scalars are that have no default."""
    dims = {d: sizes[n % len(sizes)] for n, d in enumerate(signature.dims)}
    scalars = {p.name: _scalar(p, number) for p in signature.params if not p.is_array and p.effect == "read"}
    rng = np.random.default_rng(1)
    known = {**dims, **{n: v for n, v in scalars.items() if isinstance(v, int)}}
    arrays = {}
    try:
        for p in signature.params:
            if p.shape is not None and p.effect not in ("out", "result"):
                shape = sig.shape_of(p, known)
                arrays[p.name] = _array(rng, p.dtype, shape, largest)
        sig.bind(signature, {n: a.shape for n, a in arrays.items()}, scalars, _named(signature, dims))
    except sig.CallError as e:
        return e.message
    return arrays, scalars, _named(signature, dims)


def _named(signature: sig.Signature, dims: Mapping[str, int]) -> dict[str, int]:
    """Dimensions that no array of the call tells."""
    told = {p.name for p in signature.inputs if p.is_array}
    bound = {r.dim for r in signature.rules if r.param in told}
    return {d: n for d, n in dims.items() if d not in bound}


def _scalar(p: sig.Param, number: int) -> Any:
    t = DTYPES[p.dtype]
    if p.default is not None:
        return p.default
    return max(number, 0 if t.name.startswith("u") else number) if t.is_int else _SCALARS["bool" if t.is_bool else "float"]


def _array(rng: np.random.Generator, dtype: str, shape: tuple[int, ...], largest: int) -> Any:
    t = DTYPES[dtype]
    if t.is_float:
        return formats.cast(rng.standard_normal(shape), DTYPES["f64"], t)
    return rng.integers(0, 2 if t.is_bool else largest, shape).astype(numpy_dtype(dtype))
