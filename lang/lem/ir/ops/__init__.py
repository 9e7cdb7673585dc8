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
    TargetIs,
    Unary,
)
from lem.ir.ops.memory import Alloc, Bind, Load, Name, Same, Size, Store, Update, View
from lem.ir.ops.reduction import Contract, Order, Range, Reduce, Scan

__all__ = [
    "ARITHMETIC", "COMPARISONS", "UNARY", "Alloc", "Assert", "Binary", "Bind", "Bits", "Call", "Cast", "Compare", "Const",
    "Contract", "Depth", "Dim", "Fma", "For", "Grid", "If", "Load", "Name", "Order", "Print", "Range", "Reduce", "Same",
    "Scalar", "Scan", "Select", "Size", "Store", "Sync", "TargetIs", "Tiles",
    "Unary", "Update", "View", "While",
]  # fmt: skip
