"""Do results depend on how `tiles` loops are cut? Runs a function with blocks of 1, of a ragged size and whole.

LANGUAGE 11: blocks are unobservable, up to rounding. ``lem check`` and ``lem test`` ask this of generated inputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lem.ir import queries
from lem.ir.core import Module
from lem.ir.interpreter.execute import run
from lem.ir.interpreter.formats import Data, wide
from lem.ir.interpreter.frame import Number
from lem_runtime.abi.dtypes import DType
from lem_runtime.abi.records import dataclass

SIZES = (1, 3, 0)  # 0 is one block


@dataclass(frozen=True, slots=True)
class BlockDependence:
    """`array` differs by `error` (relative to its greatest element) between the default blocks and blocks of `size`."""

    array: str
    size: int
    error: float


def block_dependence(
    module: Module,
    name: str,
    arrays: Mapping[str, Data],
    scalars: Mapping[str, Number] | None = None,
    dims: Mapping[str, int] | None = None,
) -> tuple[BlockDependence, ...]:
    """Results that differ by more than rounding. `arrays` are left as they are. Runs that fault say nothing."""

    def results(size: int | None) -> dict[str, Data] | None:
        held = {n: np.array(a) for n, a in arrays.items()}
        out = run(module, name, held, scalars, dims, block_sizes=size)
        return out.arrays if out.fault is None else None

    base = results(None)
    if base is None or not queries.has_tiles(module, name):
        return ()
    found: list[BlockDependence] = []
    for size in SIZES:
        other = results(size) or {}
        for a in module.functions[name].arrays:
            if a.name in other and a.effect != "read":
                error = difference(other[a.name], base[a.name], a.dtype)
                if not error <= rounding(a.dtype):
                    found.append(BlockDependence(a.name, size, error))
    return tuple(found)


def rounding(t: DType) -> float:
    """How much of the greatest element reordered sums may differ: a thousand roundings; integers not at all."""
    return 1000 * 2.0**-t.digits if t.is_float and t.digits > 11 else 4 * 2.0**-t.digits if t.is_float else 0.0


def difference(a: Data, b: Data, t: DType) -> float:
    """max |a - b| / max |b| (LANGUAGE 32); NaN equals NaN, infinities equal themselves."""
    x, y = wide(a, t).astype(np.float64), wide(b, t).astype(np.float64)
    with np.errstate(all="ignore"):
        apart = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
        scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
    worst = float(apart.max(initial=0.0))
    return worst / float(scale) if scale else worst
