"""What numbers mean: one line of array code per op."""

from __future__ import annotations

import numpy as np

from lem.ir import ops
from lem.ir.interpreter.elementary import BINARY, UNARY
from lem.ir.interpreter.formats import Data, cast, fma, literal, narrow, storage, wide
from lem.ir.interpreter.frame import Frame, meaning
from lem.ir.interpreter.tile import Tile, scalar


@meaning(ops.Const)
def _const(f: Frame, o: ops.Const) -> Tile:
    return Tile((), literal(o.value, o.dtype))


@meaning(ops.Dim)
def _dim(f: Frame, o: ops.Dim) -> Tile:
    return scalar(np.int64(f.dims[o.name]))


@meaning(ops.TargetIs)
def _target_is(f: Frame, o: ops.TargetIs) -> Tile:
    return scalar(np.bool_("interp" in o.targets))


@meaning(ops.Scalar)
def _scalar(f: Frame, o: ops.Scalar) -> Tile:
    return Tile((), f.scalars[o.name])


@meaning(ops.Unary)
def _unary(f: Frame, o: ops.Unary) -> Tile:
    t, to = o.x.dtype, o.result_types()[0].dtype
    return f.lift(lambda x: narrow(UNARY[o.kind](wide(x, t)), to), f[o.x])


@meaning(ops.Binary, ops.Compare)
def _binary(f: Frame, o: ops.Binary | ops.Compare) -> Tile:
    t, to = o.x.dtype, o.result_types()[0].dtype
    return f.lift(lambda x, y: narrow(BINARY[o.kind](wide(x, t), wide(y, t)), to), f[o.x], f[o.y])


@meaning(ops.Fma)
def _fma(f: Frame, o: ops.Fma) -> Tile:
    return f.lift(fma, f[o.x], f[o.y], f[o.z])


@meaning(ops.Select)
def _select(f: Frame, o: ops.Select) -> Tile:
    return f.choose(f[o.cond], f[o.x], f[o.y])


@meaning(ops.Cast)
def _cast(f: Frame, o: ops.Cast) -> Tile:
    return f.lift(lambda x: cast(x, o.x.dtype, o.to), f[o.x])


@meaning(ops.Bits)
def _bits(f: Frame, o: ops.Bits) -> Tile:
    def view(x: Data) -> Data:
        return np.ascontiguousarray(x).view(storage(o.to)).reshape(x.shape)

    return f.lift(view, f[o.x])
