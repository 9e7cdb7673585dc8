"""How matrix products are cut for a processor: the register tile of a micro-kernel, and blocks around it.

Takes element types and a machine, gives sizes. Used by the cost model that proposes schedules and by the code that follows
them; results never depend on what stands here.
"""

from __future__ import annotations

import math

from lem.ir.constants import CONTRACT_CHUNK
from lem.schedule.core import Setting
from lem_runtime.abi.dtypes import DType
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass

_TILED_ROWS = 96


@dataclass(frozen=True, slots=True)
class RegisterTile:
    """mr rows by nv vectors of `lanes`."""

    dtype: DType
    mr: int
    nv: int
    lanes: int

    @property
    def nr(self) -> int:
        return self.nv * self.lanes


def register_tile(dtype: DType, machine: Machine) -> RegisterTile:
    """The largest tile whose accumulators, one row of B and one element of A stay in registers.

    16 registers: 6 x 2 vectors (12 accumulators, 2 of B, 1 or 2 of A). 32 registers: 14 x 2 with wide vectors, which
    leaves the loads of B to be repeated least; 8 x 3 with 128 bits, where a row of B is short.
    """
    lanes = max(1, machine.vector_bits // dtype.bits)
    if machine.n_vector_registers < 32:
        return RegisterTile(dtype, 6, 2, lanes)
    return RegisterTile(dtype, 14, 2, lanes) if machine.vector_bits >= 512 else RegisterTile(dtype, 8, 3, lanes)


def row_counts(tile: RegisterTile) -> tuple[int, ...]:
    """Heights of the kernels that a product needs: the full one, and smaller ones for what is left below."""
    small = [n for n in (1, 2, 4, 8) if n < tile.mr]
    return (tile.mr, *reversed(small))


def contraction_settings(dtype: DType, machine: Machine) -> dict[str, Setting]:
    """What the cost model proposes: rows of A in half of L2, columns so that a panel of B stays near."""
    tile = register_tile(dtype, machine)
    size = tile.dtype.size_bytes
    mc = max(tile.mr, machine.l2_bytes // 4 // (CONTRACT_CHUNK * size) // tile.mr * tile.mr)
    nb = max(tile.nr, machine.l2_bytes // (CONTRACT_CHUNK * size) // tile.nr * tile.nr)
    return {"mb": 4 * tile.mr, "nb": min(nb, 32 * tile.nr), "mc": min(mc, 24 * tile.mr)}


def tiled_settings(dtype: DType, machine: Machine) -> dict[str, Setting]:
    """What the cost model proposes for "tiled": so many rows that packing what they share pays, in whole register tiles
    and whole vectors."""
    tile = register_tile(dtype, machine)
    step = math.lcm(tile.mr, tile.lanes)
    return {"rows": step * max(1, round(_TILED_ROWS / step))}
