"""Vectors of floats to integers, saturated, with NaN as 0 (LANGUAGE 26), where LLVM's own conversion takes one lane after
the other: on x86, for all types."""

from __future__ import annotations

from collections.abc import Callable

from lem.targets.cpu.text import llvm_type
from lem.targets.loops.core import TRUTH, VType
from lem_runtime.abi.dtypes import I32


def truncated(op: Callable[[str], str], x: str, src: VType, dst: VType) -> str:
    """The operand `x` of type `src` as `dst`. op: names what an instruction gives."""
    signed, bits = dst.dtype.is_signed, dst.dtype.bits
    least = -(1 << (bits - 1)) if signed else 0
    most = least + (1 << bits) - 1
    return (_clamped if bits < 32 else _chosen)(_Writer(op, src), x, src, dst, least, most)


class _Writer:
    def __init__(self, op: Callable[[str], str], src: VType) -> None:
        self.op, self.src = op, src

    def limit(self, n: int) -> str:
        return f"splat ({llvm_type(VType(self.src.dtype))} {n}.0)"

    def choose(self, test: str, x: str, y: str, t: str, yes: str, no: str) -> str:
        """`yes` in lanes where ``x test y``, else `no`, of type `t`."""
        cond = self.op(f"fcmp {test} {llvm_type(self.src)} {x}, {y}")
        return self.op(f"select {llvm_type(self.src.of(TRUTH.dtype))} {cond}, {t} {yes}, {t} {no}")


def _clamped(w: _Writer, x: str, src: VType, dst: VType, least: int, most: int) -> str:
    """Both ends are floats: what is beyond them becomes them first."""
    t, wide = llvm_type(src), llvm_type(src.of(I32))
    if least:
        x = w.choose("ord", x, x, t, x, "zeroinitializer")
    for test, n in (("ogt", least), ("olt", most)):  # NaN is not greater than 0
        x = w.choose(test, x, w.limit(n), t, x, w.limit(n))
    return w.op(f"trunc {wide} {w.op(f'fptosi {t} {x} to {wide}')} to {llvm_type(dst)}")


def _chosen(w: _Writer, x: str, src: VType, dst: VType, least: int, most: int) -> str:
    """The greatest integer need not be a float: lanes that have no integer, and hold anything, are replaced."""
    d, number = llvm_type(dst), llvm_type(VType(dst.dtype))
    made = w.op(f"fpto{'s' if least else 'u'}i {llvm_type(src)} {x} to {d}")
    made = w.choose("oge", x, w.limit(most + 1), d, f"splat ({number} {most})", made)
    made = w.choose("olt", x, w.limit(least), d, f"splat ({number} {least})", made)
    return w.choose("uno", x, x, d, "zeroinitializer", made)
