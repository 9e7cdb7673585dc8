"""Floor division and remainder of floats as a function of the module: exact, without ``fmod`` of a C library.

``x % y`` is exact (it has the divisor's sign, as in Python); ``x // y`` is made from it as NumPy does. The remainder is
found by subtracting multiples n * (y * 2^k) with n below 2^23 (2^52 for f64): each step is one FMA without rounding, and
where n is one too large the next line takes it back. A quotient beyond the range of the type is scaled by exponents.

Without FMA n stays below 2^12 (2^26): then its products with both halves of y * 2^k are exact, and so are the differences
(the first one leaves a multiple of a last place, the second one less than y * 2^k). There n is never rounded up, because a
product beyond the largest number would be infinite.
"""

from __future__ import annotations

from collections.abc import Callable

from lem.targets.cpu.text import llvm_type, suffix
from lem.targets.loops.core import TRUTH, VType
from lem_runtime.abi.dtypes import F32, I32, I64


def division_text(name: str, kind: str, vt: VType, intrinsics: set[str], has_fma: bool) -> str:
    """Definition of the function `name`: `kind` is "floordiv" or "mod"."""
    t, b, s = llvm_type(vt), llvm_type(vt.of(TRUTH.dtype)), suffix(vt)
    single = vt.dtype == F32
    i = llvm_type(vt.of(I32 if single else I64))
    mantissa, bias, step = (23, 127, 22 if has_fma else 11) if single else (52, 1023, 51 if has_fma else 25)
    scalar, whole = ("float", "i32") if single else ("double", "i64")

    def num(v: str) -> str:
        return f"splat ({scalar} {v})" if vt.lanes else v

    def int_(v: int) -> str:
        return f"splat ({whole} {v})" if vt.lanes else str(v)

    for fn, n in (("fabs", 1), ("copysign", 2)) + ((("fma", 3),) if has_fma else ()):
        intrinsics.add(f"declare {t} @llvm.{fn}.{s}({', '.join([t] * n)})")
    any_ = f"%go = or {b} %active, %active"
    if vt.lanes:
        any_ = f"%lanes = bitcast {b} %active to i{vt.lanes}\n  %go = icmp ne i{vt.lanes} %lanes, 0"
    whole_from = f"{float(1 << mantissa):.1f}"  # floats from here on are whole numbers
    inf, nan, big = "0x7FF0000000000000", "0x7FF8000000000000", f"{float(1 << step):.1f}"
    if has_fma:
        less = f"""%minus = fneg {t} %n
  %rest = call {t} @llvm.fma.{s}({t} %minus, {t} %scaled, {t} %r)"""
    else:
        upper = int_(-(1 << (12 if single else 27)))  # of 24 (53) bits the first 12 (26)
        less = f"""%is_up = fcmp ogt {t} %n, %quotient
  %n.less = fsub {t} %n, {num("1.0")}
  %n.down = select {b} %is_up, {t} %n.less, {t} %n
  %scaled.bits = bitcast {t} %scaled to {i}
  %high.bits = and {i} %scaled.bits, {upper}
  %high = bitcast {i} %high.bits to {t}
  %low = fsub {t} %scaled, %high
  %by.high = fmul {t} %n.down, %high
  %first = fsub {t} %r, %by.high
  %by.low = fmul {t} %n.down, %low
  %rest = fsub {t} %first, %by.low"""
    return f"""define internal {t} {name}({t} %x, {t} %y) nounwind noinline {{
start:
  %a = call {t} @llvm.fabs.{s}({t} %x)
  %d = call {t} @llvm.fabs.{s}({t} %y)
  br label %loop
loop:
  %r = phi {t} [ %a, %start ], [ %left, %next ]
  %not_yet = fcmp oge {t} %r, %d
  %finite = fcmp olt {t} %r, {num(inf)}
  %some = fcmp ogt {t} %d, {num("0.0")}
  %both = and {b} %not_yet, %finite
  %active = and {b} %both, %some
  {any_}
  br i1 %go, label %next, label %done
next:
  %q = fdiv {t} %r, %d
  %is_big = fcmp oge {t} %q, {num(big)}
  %q_bits = bitcast {t} %q to {i}
  %q_exp = lshr {i} %q_bits, {int_(mantissa)}
  %power = sub {i} %q_exp, {int_(step)}
  %power_bits = shl {i} %power, {int_(mantissa)}
  %factor = bitcast {i} %power_bits to {t}
  %scale = select {b} %is_big, {t} %factor, {t} {num("1.0")}
  %near.scaled = fmul {t} %d, %scale
  %is_inf = fcmp oeq {t} %q, {num(inf)}
  %lifted = fmul {t} %d, {num(f"{2.0**64:.1f}")}
  %lifted.bits = bitcast {t} %lifted to {i}
  %lifted.exp = lshr {i} %lifted.bits, {int_(mantissa)}
  %r.bits = bitcast {t} %r to {i}
  %r.exp = lshr {i} %r.bits, {int_(mantissa)}
  %apart = sub {i} %r.exp, %lifted.exp
  %shift = sub {i} %apart, {int_(step)}
  %shift1 = lshr {i} %shift, {int_(1)}
  %shift2 = sub {i} %shift, %shift1
  %biased1 = add {i} %shift1, {int_(bias)}
  %biased2 = add {i} %shift2, {int_(bias)}
  %up1.bits = shl {i} %biased1, {int_(mantissa)}
  %up2.bits = shl {i} %biased2, {int_(mantissa)}
  %up1 = bitcast {i} %up1.bits to {t}
  %up2 = bitcast {i} %up2.bits to {t}
  %lifted1 = fmul {t} %lifted, %up1
  %lifted2 = fmul {t} %lifted1, %up2
  %scaled = select {b} %is_inf, {t} %lifted2, {t} %near.scaled
  %quotient = fdiv {t} %r, %scaled
  %n.up = fadd {t} %quotient, {num(whole_from)}
  %n = fsub {t} %n.up, {num(whole_from)}
  {less}
  %below = fcmp olt {t} %rest, {num("0.0")}
  %again = fadd {t} %rest, %scaled
  %fixed = select {b} %below, {t} %again, {t} %rest
  %left = select {b} %active, {t} %fixed, {t} %r
  br label %loop
done:
  %no_divisor = fcmp oeq {t} %d, {num("0.0")}
  %infinite = fcmp oeq {t} %a, {num(inf)}
  %unordered = fcmp uno {t} %x, %y
  %bad1 = or {b} %no_divisor, %infinite
  %bad = or {b} %bad1, %unordered
  %size = select {b} %bad, {t} {num(nan)}, {t} %r
  %m = call {t} @llvm.copysign.{s}({t} %size, {t} %x)
  %nonzero = fcmp une {t} %m, {num("0.0")}
  %m_neg = fcmp olt {t} %m, {num("0.0")}
  %y_neg = fcmp olt {t} %y, {num("0.0")}
  %opposed = xor {b} %m_neg, %y_neg
  %adjust = and {b} %nonzero, %opposed
{_remainder(t, b, s, num) if kind == "mod" else _quotient(t, b, s, num, whole_from)}
}}
"""


def _remainder(t: str, b: str, s: str, num: Callable[[str], str]) -> str:
    return f"""  %moved = fadd {t} %m, %y
  %mod = select {b} %adjust, {t} %moved, {t} %m
  %nil = call {t} @llvm.copysign.{s}({t} {num("0.0")}, {t} %y)
  %out = select {b} %nonzero, {t} %mod, {t} %nil
  ret {t} %out"""


def _quotient(t: str, b: str, s: str, num: Callable[[str], str], whole_from: str) -> str:
    return f"""  %whole = fsub {t} %x, %m
  %div0 = fdiv {t} %whole, %y
  %div1 = fsub {t} %div0, {num("1.0")}
  %div = select {b} %adjust, {t} %div1, {t} %div0
  %div.size = call {t} @llvm.fabs.{s}({t} %div)
  %near.up = fadd {t} %div.size, {num(whole_from)}
  %near.size = fsub {t} %near.up, {num(whole_from)}
  %nearest = call {t} @llvm.copysign.{s}({t} %near.size, {t} %div)
  %above = fcmp ogt {t} %nearest, %div
  %one.less = fsub {t} %nearest, {num("1.0")}
  %floored = select {b} %above, {t} %one.less, {t} %nearest
  %is.small = fcmp olt {t} %div.size, {num(whole_from)}
  %down = select {b} %is.small, {t} %floored, {t} %div
  %gap = fsub {t} %div, %down
  %far = fcmp ogt {t} %gap, {num("0.5")}
  %up = fadd {t} %down, {num("1.0")}
  %near = select {b} %far, {t} %up, {t} %down
  %plain = fdiv {t} %x, %y
  %nil = call {t} @llvm.copysign.{s}({t} {num("0.0")}, {t} %plain)
  %is_nil = fcmp oeq {t} %div, {num("0.0")}
  %value = select {b} %is_nil, {t} %nil, {t} %near
  %out = select {b} %no_divisor, {t} %plain, {t} %value
  ret {t} %out"""
