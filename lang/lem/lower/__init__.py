"""Typed tree to tile IR: locals become values, breaks and returns become flags, fns are inlined, sums get their order.

Takes a checked :class:`~lem.types.typed.Module`; gives a verified-shape :class:`~lem.ir.Module`. Nothing is decided here
that a person could see: types and proofs come from before, speed comes after.
"""

from lem import ir
from lem.diagnostics import Diagnostics
from lem.diagnostics.depth import bounded
from lem.lower.function import lower_function
from lem.types import typed


def to_ir(module: typed.Module, diags: Diagnostics) -> ir.Module:
    """Tile IR of every kernel and task of a module (tests are run from the typed tree)."""
    made: dict[str, ir.Function] = {}
    for name, fn in module.functions.items():
        with bounded(diags, name, fn.name_span):
            made[name] = lower_function(fn)
    return ir.Module(made)


__all__ = ["lower_function", "to_ir"]
