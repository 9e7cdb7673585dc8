"""Tile IR: see ``core`` for its values, ``ops`` for its ops, ``printer``/``reader`` for its text form."""

from lem.ir.core import (
    OPS,
    Affine,
    Array,
    Axis,
    Block,
    Builder,
    Effect,
    Function,
    Module,
    Op,
    TileType,
    Value,
    walk_ops,
)

__all__ = [
    "OPS", "Affine", "Array", "Axis", "Block", "Builder", "Effect", "Function", "Module", "Op", "TileType", "Value",
    "walk_ops",
]  # fmt: skip
