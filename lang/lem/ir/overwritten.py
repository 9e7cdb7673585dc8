"""Which temporaries need no zeros: all of their elements are written before anything reads one.

Takes a function; gives the `Alloc` ops whose array is filled by its own fill, or by the first op after it that mentions
the array: a grid that stores each of its elements at the element's own indices, or a call of a kernel that covers it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lem.ir import ops
from lem.ir.core import Affine, Array, Block, Function, Module, Op, Value, op_fields, walk_ops


def overwritten(fn: Function, module: Module) -> frozenset[Op]:
    """The `Alloc` ops of `fn` in sequential code whose memory may hold anything at first."""
    return frozenset(_in_block(fn.body, module, _constants(fn)))


def _constants(fn: Function) -> dict[Value, object]:
    return {o.result: o.value for o in walk_ops(fn.body) if isinstance(o, ops.Const)}


def _in_block(block: Block, module: Module, constants: dict[Value, object]) -> Iterator[Op]:
    for n, o in enumerate(block.ops):
        if isinstance(o, ops.Alloc):
            first = next((later for later in block.ops[n + 1 :] if _mentions(later, o.array)), None)
            if o.fill is not None or (first is not None and _writes_all(first, o, module, constants)):
                yield o
        elif not isinstance(o, ops.Grid):
            for inner in o.blocks:
                yield from _in_block(inner, module, constants)


def _mentions(o: Op, array: Array) -> bool:
    named = (getattr(o, f) for f in op_fields(type(o)))
    direct = any(array is v or (isinstance(v, tuple) and any(array is x for x in v)) for v in named)
    return direct or any(_mentions(inner, array) for b in o.blocks for inner in b.ops)


def _writes_all(o: Op, made: ops.Alloc, module: Module, constants: dict[Value, object]) -> bool:
    if isinstance(o, ops.Call):
        return _call_covers(o, made.array, module)
    if not isinstance(o, ops.Grid):
        return False
    whole = all(constants.get(lo) == 0 for lo in o.lo) and o.hi == made.sizes and set(o.step) <= {1}
    first = next(inner for inner in o.body.ops if _mentions(inner, made.array))
    return whole and isinstance(first, ops.Store) and first.subs == tuple(Affine(((1, i),)) for i in o.body.args)


def _call_covers(o: ops.Call, array: Array, module: Module) -> bool:
    callee = module.functions[o.callee]
    given = [p for p, a in zip(callee.arrays, o.arrays, strict=True) if a is array]
    if len(given) != 1 or given[0].name in callee.attrs.get("reads_first", ()):
        return False
    return given[0].name in callee.attrs.get("covers", ())
