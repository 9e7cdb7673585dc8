"""One checked kernel or task to one function of tile IR."""

from __future__ import annotations

from lem import ir
from lem.ir.core import Block
from lem.lower.state import State, arrays_of, flat_scalars
from lem.lower.statements import Statements
from lem.types import typed


def lower_function(fn: typed.Function) -> ir.Function:
    state = State(fn)
    for a in fn.arrays:
        state.arrays[a] = arrays_of(a, a.kind, a.effect)
    Statements(state).whole_function(fn.body)
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
