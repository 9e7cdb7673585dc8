"""One checked kernel or task to one function of tile IR."""

from __future__ import annotations

from lem import ir
from lem.ir.core import Block
from lem.lower.state import State
from lem.lower.statements import Statements
from lem.types import typed


def lower_function(fn: typed.Function) -> ir.Function:
    state = State(fn)
    for a in fn.arrays:
        state.arrays[a] = ir.Array(a.name, a.dtype, a.shape, a.kind, a.effect, a.reduce_op)
    Statements(state).whole_function(fn.body)
    body = Block((), (*state.prologue.ops, *state.builder.ops))
    return ir.Function(
        fn.name,
        fn.kind,
        fn.signature,
        tuple(state.arrays[a] for a in fn.arrays),
        fn.scalars,
        body,
        tuple(state.sites),
        dict(fn.attrs),
    )
