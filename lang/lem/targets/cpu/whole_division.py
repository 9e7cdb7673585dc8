"""Floor division and remainder of integers in vectors as a function of the module: through f64, for no processor divides
vectors of integers, and one lane after the other is many times slower.

The quotient as f64, rounded to the nearest whole number n, is right or one too large: its error is below 1/4, also where
it is x times the rounded 1/d of a divisor that all lanes share. So x - n * d, which is exact, lies between -d and d, and
its sign says which. Integers become f64 and back by adding 1.5 * 2^52, whose last place is 1. Of 64-bit integers all this
holds where their size is below 2^50; lanes beyond are divided one by one, which is what happens to a vector that has one.
"""

from __future__ import annotations

from lem.targets.cpu.text import llvm_type
from lem.targets.loops.core import TRUTH, VType
from lem_runtime.abi.dtypes import F64, I64

_MAGIC = 1.5 * 2.0**52
_MAGIC_BITS = 0x4338 << 48
_LIMIT = 1 << 50


def whole_division_text(name: str, kind: str, vt: VType, slow: str, is_shared: bool) -> str:
    """Definition of the function `name`: `kind` is "floordiv" or "mod", `vt` a vector of 32-bit or 64-bit integers, `slow`
    the lines that divide %x by %y lane by lane and end in a `ret`. is_shared: the divisor is one number for all lanes."""
    t, d, b = llvm_type(vt), llvm_type(vt.of(F64)), llvm_type(vt.of(TRUTH.dtype))
    lanes, wide, scalar = vt.lanes, llvm_type(vt.of(I64)), llvm_type(VType(vt.dtype))
    narrow = vt.dtype.bits < 64
    params = f"{t} %x, {scalar} %y0" if is_shared else f"{t} %x, {t} %y"
    splat = f"""  %y1 = insertelement {t} poison, {scalar} %y0, i32 0
  %y = shufflevector {t} %y1, {t} poison, <{lanes} x i32> zeroinitializer
"""
    extend = "sitofp" if vt.dtype.is_signed else "uitofp"
    if narrow:
        doubles = f"  %xd = {extend} {t} %x to {d}\n  %dd = {extend} {t} %safe to {d}\n"
    else:
        doubles = "".join(
            f"""  %{v}.up = add {t} %{x}, splat (i64 {_MAGIC_BITS})
  %{v}.big = bitcast {t} %{v}.up to {d}
  %{v} = fsub {d} %{v}.big, splat (double {_MAGIC:.1f})
"""
            for v, x in (("xd", "x"), ("dd", "safe"))
        )
    if is_shared:
        quotient = f"""  %d0 = extractelement {d} %dd, i32 0
  %r0 = fdiv double 1.0, %d0
  %r1 = insertelement {d} poison, double %r0, i32 0
  %by = shufflevector {d} %r1, {d} poison, <{lanes} x i32> zeroinitializer
  %q = fmul {d} %xd, %by
"""
    else:
        quotient = f"  %q = fdiv {d} %xd, %dd\n"
    return f"""define internal {t} {name}({params}) nounwind noinline {{
{splat if is_shared else ""}{"" if narrow else _test(vt, slow)}  %none = icmp eq {t} %y, zeroinitializer
  %safe = select {b} %none, {t} splat ({scalar} 1), {t} %y
{doubles}{quotient}  %q.up = fadd {d} %q, splat (double {_MAGIC:.1f})
  %n = fsub {d} %q.up, splat (double {_MAGIC:.1f})
  %product = fmul {d} %n, %dd
  %rest = fsub {d} %xd, %product
  %sign = fmul {d} %rest, %dd
  %wrong = fcmp olt {d} %sign, zeroinitializer
{_whole(kind, d, b, wide)}  %whole = sub {wide} %bits, splat (i64 {_MAGIC_BITS})
{_result(kind, t, b, wide, narrow)}}}
"""


def _test(vt: VType, slow: str) -> str:
    """Are all lanes small? Signed ones lie around 0, so they are moved up first."""
    t, b, lanes = llvm_type(vt), llvm_type(vt.of(TRUTH.dtype)), vt.lanes
    signed = vt.dtype.is_signed
    moved = "".join(f"  %{v}.from = add {t} %{v}, splat (i64 {_LIMIT})\n" for v in "xy" if signed)
    small = "".join(
        f"  %{v}.ok = icmp ult {t} %{v}{'.from' if signed else ''}, splat (i64 {(1 + signed) * _LIMIT})\n" for v in "xy"
    )
    return f"""{moved}{small}  %ok = and {b} %x.ok, %y.ok
  %ok.bits = bitcast {b} %ok to i{lanes}
  %all = icmp eq i{lanes} %ok.bits, -1
  br i1 %all, label %fast, label %slow
slow:
{slow}fast:
"""


def _whole(kind: str, d: str, b: str, wide: str) -> str:
    """What is wanted, as f64 plus 1.5 * 2^52."""
    if kind == "floordiv":
        return f"  %bits = bitcast {d} %q.up to {wide}\n"
    return f"""  %more = select {b} %wrong, {d} %dd, {d} zeroinitializer
  %mod = fadd {d} %rest, %more
  %mod.up = fadd {d} %mod, splat (double {_MAGIC:.1f})
  %bits = bitcast {d} %mod.up to {wide}
"""


def _result(kind: str, t: str, b: str, wide: str, narrow: bool) -> str:
    lines = f"  %out.wide = trunc {wide} %whole to {t}\n" if narrow else ""
    out = "%out.wide" if narrow else "%whole"
    if kind == "mod":
        return f"{lines}  ret {t} {out}\n"
    return f"""{lines}  %down = sext {b} %wrong to {t}
  %out = add {t} {out}, %down
  ret {t} %out
"""
