"""One checked kernel or task to one function of tile IR."""

from __future__ import annotations

from collections.abc import Mapping

from lem import ir
from lem.ir.core import Block
from lem.lower.state import State, arrays_of, flat_scalars
from lem.lower.statements import Statements
from lem.types import typed
from lem_runtime.abi.dtypes import I64


def lower_function(fn: typed.Function, shapes: Mapping[typed.ArrayVar, tuple[int, ...]] | None = None) -> ir.Function:
    """`shapes`: of arrays that exist already, where these are known."""
    state = State(fn)
    for a in fn.arrays:
        state.arrays[a] = arrays_of(a, a.kind, a.effect)
    for a, shape in (shapes or {}).items():
        state.array_sizes[a] = tuple(state.const(n, I64) for n in shape)
    Statements(state).whole_function(fn.body, fn.at_end)
    body = Block((), (*state.prologue.ops, *state.builder.ops))
    return ir.Function(
        fn.name,
        fn.kind,
        fn.signature,
        tuple(part for a in fn.arrays for part in state.arrays[a]),
        tuple(flat_scalars(fn.scalars)),
        body,
        tuple(state.sites),
        dict(fn.attrs),
    )
