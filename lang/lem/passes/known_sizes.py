"""Put numbers in the place of dimensions that the facts of a call know.

Before:  %1 = tile.dim K    %2 = tile.range #k, %0, %1
After:   %1 = tile.const 3  %2 = tile.range #k, %0, %1

Loops over so few elements are written out by targets, and are no place for vectors; the order of sums is that of the
program all the same. Signature and arrays keep the dimensions' names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lem.ir import ops
from lem.ir.core import Builder, Function, Op, Value
from lem.ir.rewrite import map_function
from lem.passes.simplify import simplify
from lem_runtime.abi.dtypes import I64
from lem_runtime.abi.source import Facts, known_dims


def with_known_sizes(fn: Function, facts: Facts) -> Function:
    """`fn` for calls in which the facts hold."""
    known = known_dims(fn.signature.dims, facts)
    return simplify(put_sizes(fn, known)) if known else fn


def put_sizes(fn: Function, sizes: Mapping[str, int]) -> Function:
    def rule(o: Op, out: Builder) -> Sequence[Value] | None:
        if isinstance(o, ops.Dim) and o.name in sizes:
            return [out(ops.Const(sizes[o.name], I64))]
        return None

    return map_function(fn, rule)
