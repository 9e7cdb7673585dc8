"""All ops of the tile IR. ``elementwise`` numbers, ``memory`` loads and stores, ``reduction``, ``control``."""

from lem.ir.ops.control import Assert, Call, Depth, For, Grid, If, Print, Sync, Tiles, While
from lem.ir.ops.elementwise import (
    ARITHMETIC,
    COMPARISONS,
    UNARY,
    Binary,
    Bits,
    Cast,
    Compare,
    Const,
    Dim,
    Fma,
    Scalar,
    Select,
    Unary,
)
from lem.ir.ops.memory import Alloc, Load, Store, Update, View
from lem.ir.ops.reduction import Contract, Order, Range, Reduce, Scan

__all__ = [
    "ARITHMETIC", "COMPARISONS", "UNARY", "Alloc", "Assert", "Binary", "Bits", "Call", "Cast", "Compare", "Const",
    "Contract", "Depth", "Dim", "Fma", "For", "Grid", "If", "Load", "Order", "Print", "Range", "Reduce", "Scalar", "Scan",
    "Select", "Store", "Sync", "Tiles", "Unary", "Update", "View", "While",
]  # fmt: skip
