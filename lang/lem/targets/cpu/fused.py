"""`x * y + z` rounded once on processors without FMA, as functions of the module.

Only for what a program says itself (`fma`, and so `math`, whose error bounds stand on it): products that the compiler fuses
are rounded twice there.

f32 is computed in f64, where the product is exact; the sum is rounded to odd, so that the last rounding sees on which side
of a tie it lay. f64 adds the product as two numbers (Dekker 1971) in the order of Boldo and Melquiond (Emulation of FMA and
correctly rounded sums, 2008), again with one sum rounded to odd. That holds while nothing leaves the format: lanes with
very large, very small, infinite or NaN operands are computed one by one in integers of 512 bits.
"""

from __future__ import annotations

from lem.targets.cpu.text import llvm_type, suffix
from lem.targets.loops.core import TRUTH, VType
from lem_runtime.abi.dtypes import F32, F64, I64

SLOW = "@lem.fma.slow"
_AT_ONCE = f"""  %one = call double {SLOW}(double %x, double %y, double %z)
  ret double %one"""


def fma_text(name: str, vt: VType, intrinsics: set[str]) -> str:
    """Definition of the function `name` for a type."""
    return _single(name, vt) if vt.dtype == F32 else _double(name, vt, intrinsics)


def _num(vt: VType, value: str) -> str:
    return f"splat (double {value})" if vt.lanes else value


def _to_odd(sum_: str, rest: str, out: str, vt: VType) -> str:
    """`out`: sum_ + rest rounded to odd, where sum_ is their rounded sum and `rest` its error (NaN: none)."""
    t, i, b = llvm_type(vt.of(F64)), llvm_type(vt.of(I64)), llvm_type(vt.of(TRUTH.dtype))
    one, zero = ("splat (i64 1)", "splat (i64 0)") if vt.lanes else ("1", "0")
    return f"""  {out}.bits = bitcast {t} {sum_} to {i}
  {out}.low = and {i} {out}.bits, {one}
  {out}.even = icmp eq {i} {out}.low, {zero}
  {out}.inexact = fcmp one {t} {rest}, {_num(vt, "0.0")}
  {out}.moves = and {b} {out}.even, {out}.inexact
  {out}.up = fcmp ogt {t} {rest}, {_num(vt, "0.0")}
  {out}.positive = icmp sge {i} {out}.bits, {zero}
  {out}.apart = xor {b} {out}.up, {out}.positive
  {out}.step = select {b} {out}.apart, {i} {_minus_one(vt)}, {i} {one}
  {out}.moved = add {i} {out}.bits, {out}.step
  {out}.chosen = select {b} {out}.moves, {i} {out}.moved, {i} {out}.bits
  {out} = bitcast {i} {out}.chosen to {t}"""


def _minus_one(vt: VType) -> str:
    return "splat (i64 -1)" if vt.lanes else "-1"


def _two_sum(a: str, b: str, s: str, t: str) -> str:
    """`s` and `s`.rest: a + b rounded, and what that lost (Knuth)."""
    return f"""  {s} = fadd {t} {a}, {b}
  {s}.b = fsub {t} {s}, {a}
  {s}.a = fsub {t} {s}, {s}.b
  {s}.eb = fsub {t} {b}, {s}.b
  {s}.ea = fsub {t} {a}, {s}.a
  {s}.rest = fadd {t} {s}.ea, {s}.eb"""


def _single(name: str, vt: VType) -> str:
    t, w = llvm_type(vt), llvm_type(vt.of(F64))
    return f"""define internal {t} {name}({t} %x, {t} %y, {t} %z) nounwind noinline {{
  %a = fpext {t} %x to {w}
  %b = fpext {t} %y to {w}
  %c = fpext {t} %z to {w}
  %p = fmul {w} %a, %b
{_two_sum("%p", "%c", "%s", w)}
{_to_odd("%s", "%s.rest", "%odd", vt)}
  %out = fptrunc {w} %odd to {t}
  ret {t} %out
}}
"""


def _split(x: str, t: str, vt: VType) -> str:
    """`x`.hi + `x`.lo == x, each of 26 bits (Veltkamp)."""
    return f"""  {x}.c = fmul {t} {x}, {_num(vt, "134217729.0")}
  {x}.d = fsub {t} {x}.c, {x}
  {x}.hi = fsub {t} {x}.c, {x}.d
  {x}.lo = fsub {t} {x}, {x}.hi"""


def _double(name: str, vt: VType, intrinsics: set[str]) -> str:
    t, b, s = llvm_type(vt), llvm_type(vt.of(TRUTH.dtype)), suffix(vt)
    intrinsics.add(f"declare {t} @llvm.fabs.{s}({t})")
    huge, tiny = "0x7DD0000000000000", "0x0400000000000000"  # 2**990, 2**-959
    all_ = f"""  %lanes = bitcast {b} %safe to i{vt.lanes}
  %go = icmp eq i{vt.lanes} %lanes, -1""" if vt.lanes else "  %go = or i1 %safe, %safe"  # fmt: skip
    return f"""define internal {t} {name}({t} %x, {t} %y, {t} %z) nounwind noinline {{
start:
  %p = fmul {t} %x, %y
  %plain = fadd {t} %p, %z
{_split("%x", t, vt)}
{_split("%y", t, vt)}
  %hh = fmul {t} %x.hi, %y.hi
  %e1 = fsub {t} %hh, %p
  %hl = fmul {t} %x.hi, %y.lo
  %e2 = fadd {t} %e1, %hl
  %lh = fmul {t} %x.lo, %y.hi
  %e3 = fadd {t} %e2, %lh
  %ll = fmul {t} %x.lo, %y.lo
  %p.rest = fadd {t} %e3, %ll
{_two_sum("%z", "%p.rest", "%u", t)}
{_two_sum("%p", "%u", "%v", t)}
{_two_sum("%u.rest", "%v.rest", "%w", t)}
{_to_odd("%w", "%w.rest", "%odd", vt)}
  %sum = fadd {t} %v, %odd
  %nil = fcmp oeq {t} %sum, {_num(vt, "0.0")}
  %fast = select {b} %nil, {t} %plain, {t} %sum
  %ax = call {t} @llvm.fabs.{s}({t} %x)
  %ay = call {t} @llvm.fabs.{s}({t} %y)
  %az = call {t} @llvm.fabs.{s}({t} %z)
  %ap = call {t} @llvm.fabs.{s}({t} %p)
  %x.fits = fcmp olt {t} %ax, {_num(vt, huge)}
  %y.fits = fcmp olt {t} %ay, {_num(vt, huge)}
  %z.fits = fcmp olt {t} %az, {_num(vt, huge)}
  %p.fits = fcmp olt {t} %ap, {_num(vt, huge)}
  %p.large = fcmp ogt {t} %ap, {_num(vt, tiny)}
  %x.nil = fcmp oeq {t} %x, {_num(vt, "0.0")}
  %y.nil = fcmp oeq {t} %y, {_num(vt, "0.0")}
  %p.nil = or {b} %x.nil, %y.nil
  %p.good = or {b} %p.large, %p.nil
  %s1 = and {b} %x.fits, %y.fits
  %s2 = and {b} %z.fits, %p.fits
  %s3 = and {b} %s1, %s2
  %safe = and {b} %s3, %p.good
{all_}
  br i1 %go, label %quick, label %slow
quick:
  ret {t} %fast
slow:
{_lane_by_lane(vt) if vt.lanes else _AT_ONCE}
}}
"""


def _lane_by_lane(vt: VType) -> str:
    t, n = llvm_type(vt), vt.lanes
    return f"""  br label %lane
lane:
  %k = phi i32 [ 0, %slow ], [ %next, %lane ]
  %r = phi {t} [ %fast, %slow ], [ %r.next, %lane ]
  %xk = extractelement {t} %x, i32 %k
  %yk = extractelement {t} %y, i32 %k
  %zk = extractelement {t} %z, i32 %k
  %one = call double {SLOW}(double %xk, double %yk, double %zk)
  %r.next = insertelement {t} %r, double %one, i32 %k
  %next = add i32 %k, 1
  %more = icmp ult i32 %next, {n}
  br i1 %more, label %lane, label %done
done:
  ret {t} %r.next"""


def _parts(x: str) -> str:
    """`x` as mantissa `.m` (an integer) and exponent `.e`: |x| == m * 2**e."""
    return f"""  {x}.bits = bitcast double {x} to i64
  {x}.top = lshr i64 {x}.bits, 52
  {x}.field = and i64 {x}.top, 2047
  {x}.low = and i64 {x}.bits, 4503599627370495
  {x}.normal = icmp ne i64 {x}.field, 0
  {x}.hidden = select i1 {x}.normal, i64 4503599627370496, i64 0
  {x}.m = or i64 {x}.low, {x}.hidden
  {x}.f1 = select i1 {x}.normal, i64 {x}.field, i64 1
  {x}.e = sub i64 {x}.f1, 1075
  {x}.special = icmp eq i64 {x}.field, 2047
  {x}.nil = icmp eq i64 {x}.m, 0
  {x}.odd = or i1 {x}.special, {x}.nil"""


def slow_text(intrinsics: set[str]) -> str:
    """One f64 at a time, in integers: the product 110 bits up, so that all of z that counts is a whole number too."""
    intrinsics.add("declare i512 @llvm.ctlz.i512(i512, i1)")
    for name in ("smax.i64", "smin.i64", "umin.i64"):
        intrinsics.add(f"declare i64 @llvm.{name}(i64, i64)")
    return f"""define internal double {SLOW}(double %x, double %y, double %z) nounwind noinline {{
start:
{_parts("%x")}
{_parts("%y")}
{_parts("%z")}
  %odd1 = or i1 %x.odd, %y.odd
  %odd = or i1 %odd1, %z.odd
  %p = fmul double %x, %y
  %plain = fadd double %p, %z
  br i1 %odd, label %simple, label %work
simple:
  %p.special = or i1 %x.special, %y.special
  %z.wins = xor i1 %p.special, true
  %takes = and i1 %z.special, %z.wins
  %zz = fadd double %z, %z
  %said = select i1 %takes, double %zz, double %plain
  ret double %said
work:
  %e = add i64 %x.e, %y.e
  %d = sub i64 %z.e, %e
  %dominates = icmp sge i64 %d, 110
  br i1 %dominates, label %only, label %align
only:
  ret double %z
align:
  %xm = zext i64 %x.m to i512
  %ym = zext i64 %y.m to i512
  %zm = zext i64 %z.m to i512
  %product = mul i512 %xm, %ym
  %high = shl i512 %product, 110
  %far = icmp slt i64 %d, -110
  %d.kept = select i1 %far, i64 -110, i64 %d
  %zm.kept = select i1 %far, i512 1, i512 %zm
  %by = add i64 %d.kept, 110
  %by.wide = zext i64 %by to i512
  %z.high = shl i512 %zm.kept, %by.wide
  %signs = xor i64 %x.bits, %y.bits
  %p.negative = icmp slt i64 %signs, 0
  %z.negative = icmp slt i64 %z.bits, 0
  %p.minus = sub i512 0, %high
  %z.minus = sub i512 0, %z.high
  %p.signed = select i1 %p.negative, i512 %p.minus, i512 %high
  %z.signed = select i1 %z.negative, i512 %z.minus, i512 %z.high
  %sum = add i512 %p.signed, %z.signed
  %empty = icmp eq i512 %sum, 0
  br i1 %empty, label %nothing, label %round
nothing:
  ret double %plain
round:
  %negative = icmp slt i512 %sum, 0
  %sum.minus = sub i512 0, %sum
  %m = select i1 %negative, i512 %sum.minus, i512 %sum
  %zeros = call i512 @llvm.ctlz.i512(i512 %m, i1 true)
  %zeros.n = trunc i512 %zeros to i64
  %top = sub i64 511, %zeros.n
  %unit = sub i64 %e, 110
  %q.top = add i64 %unit, %top
  %q.normal = sub i64 %q.top, 52
  %q = call i64 @llvm.smax.i64(i64 %q.normal, i64 -1074)
  %shift = sub i64 %q, %unit
  %is.right = icmp sgt i64 %shift, 0
  %right.1 = call i64 @llvm.smax.i64(i64 %shift, i64 1)
  %right = call i64 @llvm.smin.i64(i64 %right.1, i64 500)
  %right.wide = zext i64 %right to i512
  %left.1 = sub i64 0, %shift
  %left = call i64 @llvm.smax.i64(i64 %left.1, i64 0)
  %left.wide = zext i64 %left to i512
  %exact = shl i512 %m, %left.wide
  %down = lshr i512 %m, %right.wide
  %back = shl i512 %down, %right.wide
  %rest = sub i512 %m, %back
  %less = sub i512 %right.wide, 1
  %half = shl i512 1, %less
  %above = icmp ugt i512 %rest, %half
  %tie = icmp eq i512 %rest, %half
  %down.bit = trunc i512 %down to i1
  %tie.up = and i1 %tie, %down.bit
  %up = or i1 %above, %tie.up
  %up.n = zext i1 %up to i512
  %rounded = add i512 %down, %up.n
  %mantissa.wide = select i1 %is.right, i512 %rounded, i512 %exact
  %mantissa = trunc i512 %mantissa.wide to i64
  %field = add i64 %q, 1074
  %field.up = shl i64 %field, 52
  %bits = add i64 %mantissa, %field.up
  %size = call i64 @llvm.umin.i64(i64 %bits, i64 9218868437227405312)
  %sign = select i1 %negative, i64 -9223372036854775808, i64 0
  %out.bits = or i64 %size, %sign
  %out = bitcast i64 %out.bits to double
  ret double %out
}}
"""
