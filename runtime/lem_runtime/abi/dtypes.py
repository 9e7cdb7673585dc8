"""Element types: one table, used by the compiler, the artifacts and the runtime.

Takes a name (``"f32"``), gives a :class:`DType`. Formats with no arithmetic of their own (f16, bf16, f8) say what they
compute in (LANGUAGE 24).
"""

from __future__ import annotations

from lem_runtime.abi.records import dataclass


@dataclass(frozen=True, slots=True)
class DType:
    """An element type. Compared by value; printed by its name.

    kind:   "bool" | "int" | "uint" | "float" | "quant"
    bits:   storage width (bool is stored in 8).
    digits: for floats, bits of significand including the hidden one; for integers, value bits without the sign.
    """

    name: str
    kind: str
    bits: int
    digits: int
    compute: str  # name of the type arithmetic is done in

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    @property
    def size_bytes(self) -> int:
        return self.bits // 8

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        """Signed or unsigned integer (not bool)."""
        return self.kind in ("int", "uint")

    @property
    def is_signed(self) -> bool:
        return self.kind == "int"

    @property
    def is_bool(self) -> bool:
        return self.kind == "bool"

    @property
    def min_int(self) -> int:
        return -(1 << (self.bits - 1)) if self.kind == "int" else 0

    @property
    def max_int(self) -> int:
        return (1 << (self.bits - 1)) - 1 if self.kind == "int" else (1 << self.bits) - 1


DTYPES: dict[str, DType] = {
    t.name: t
    for t in (
        DType("bool", "bool", 8, 1, "bool"),
        DType("i8", "int", 8, 7, "i32"),
        DType("i16", "int", 16, 15, "i32"),
        DType("i32", "int", 32, 31, "i32"),
        DType("i64", "int", 64, 63, "i64"),
        DType("u8", "uint", 8, 8, "i32"),
        DType("u16", "uint", 16, 16, "i32"),
        DType("u32", "uint", 32, 32, "u32"),
        DType("u64", "uint", 64, 64, "u64"),
        DType("f16", "float", 16, 11, "f32"),
        DType("bf16", "float", 16, 8, "f32"),
        DType("f8e4m3", "float", 8, 4, "f32"),
        DType("f8e5m2", "float", 8, 3, "f32"),
        DType("f32", "float", 32, 24, "f32"),
        DType("f64", "float", 64, 53, "f64"),
        DType("pal8", "quant", 8, 0, "f32"),
        DType("pal16", "quant", 16, 0, "f32"),
    )
}

BOOL, I8, I16, I32, I64 = (DTYPES[n] for n in ("bool", "i8", "i16", "i32", "i64"))
U8, U16, U32, U64 = (DTYPES[n] for n in ("u8", "u16", "u32", "u64"))
F16, BF16, F32, F64 = (DTYPES[n] for n in ("f16", "bf16", "f32", "f64"))
F8E4M3, F8E5M2, PAL8, PAL16 = (DTYPES[n] for n in ("f8e4m3", "f8e5m2", "pal8", "pal16"))
