"""Loop IR expressions to LLVM text: one short method per node, appending lines and giving the operand's text.

Used by ``emit``. No fast-math flag is ever set: which products and sums are one FMA is decided in tile IR, so that main
loops, tails and every tuned version agree bit for bit. Undefined behaviour of LLVM's division, shifts and conversions is
closed here, for inactive lanes too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lem.diagnostics import InternalError
from lem.targets.cpu import fused
from lem.targets.cpu.division import division_text
from lem.targets.cpu.text import literal, llvm_memory, llvm_scalar, llvm_type, suffix
from lem.targets.cpu.truncation import truncated
from lem.targets.cpu.whole_division import whole_division_text
from lem.targets.loops import core as lp
from lem.targets.loops import narrow
from lem.targets.loops.bounds import Bounds
from lem.targets.loops.core import Expr, Var, VType
from lem.targets.loops.rounding import rounded
from lem_runtime.abi import layout
from lem_runtime.abi.dtypes import F32, F64, I32, I64
from lem_runtime.abi.records import dataclass

# Intrinsics this target may declare. A misspelled one would silently become an external function, so there is no other way
# to one than through this list. None of them becomes a call into a library on the processors lem supports.
INTRINSICS = frozenset(
    "fabs abs floor ceil trunc roundeven sqrt copysign fma smax smin umax umin fptosi.sat fptoui.sat masked.load "
    "masked.store prefetch cttz".split()
)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the processor does in one instruction; the rest is code of our own, never a call into a library."""

    fma: bool
    f16: bool  # conversions between f16 and f32
    rounding: bool  # floor, ceil, trunc, nearest even
    saturates: bool  # vectors of floats to integers, with NaN as 0


@dataclass(slots=True, eq=False)
class Ready(Expr):
    """An operand that has its text already."""

    text: str


class Values:
    """Emits expressions of one function into `lines`."""

    def __init__(self, intrinsics: set[str], helpers: dict[str, str], abilities: Abilities, bounds: Bounds) -> None:
        self.lines: list[str] = []
        self.names: dict[int, str] = {}  # immutable variables and buffers: operand; mutable variables: their slot
        self.wholes: dict[int, str] = {}  # of names: the slot with the memory that they are a part of
        self.intrinsics = intrinsics
        self.helpers = helpers
        self.bounds = bounds
        self.has_fma, self.has_f16, self.has_rounding = abilities.fma, abilities.f16, abilities.rounding
        self.abilities, self.saturates = abilities, abilities.saturates
        self.n = 0
        self.zeros = ""  # pointer to zeroed bytes, for lanes that must not touch memory

    # -- plumbing
    def new(self) -> str:
        self.n += 1
        return f"%t{self.n}"

    def op(self, text: str) -> str:
        name = self.new()
        self.lines.append(f"  {name} = {text}")
        return name

    def e(self, x: Expr) -> str:
        """Operand of an expression."""
        return _TABLE[type(x)](self, x)

    def let(self, x: Expr) -> Expr:
        return x if isinstance(x, Ready) else Ready(x.type, self.e(x))

    def call(self, base: str, kinds: str, result: str, *args: tuple[str, str]) -> str:
        """Call the intrinsic `base` for types `kinds`; declares it on first use."""
        if base not in INTRINSICS:
            raise InternalError("cpu emit", f"llvm.{base} is not in the table of intrinsics")
        name = f"{base}.{kinds}"
        types = ", ".join(t for t, _ in args)
        self.intrinsics.add(f"declare {result} @llvm.{name}({types})")
        passed = ", ".join(f"{t} {v}" for t, v in args)
        if result == "void":
            self.lines.append(f"  call void @llvm.{name}({passed})")
            return ""
        return self.op(f"call {result} @llvm.{name}({passed})")

    # -- leaves
    def var(self, x: Var) -> str:
        try:
            name = self.names[x.uid]
        except KeyError:
            raise InternalError("cpu emit", f"variable {x!r} is used where it is not known") from None
        return self.op(f"load {llvm_type(x.type)}, ptr {name}") if x.mutable else name

    def const(self, x: lp.Const) -> str:
        text = literal(x.value, x.type.dtype)
        return f"splat ({llvm_scalar(x.type.dtype)} {text})" if x.type.lanes else text

    def slot(self, x: lp.Slot) -> str:
        p = self.op(f"getelementptr i8, ptr %args, i64 {8 * x.index}")
        if x.type.dtype.is_bool:
            return self.op(f"trunc i8 {self.op(f'load i8, ptr {p}')} to i1")
        return self.op(f"load {llvm_type(x.type)}, ptr {p}")

    def ctx_field(self, x: lp.CtxField) -> str:
        if x.name == "frame":
            return self.op("ptrtoint ptr %status to i64")
        offset = {"worker": layout.CTX_WORKER, "n_workers": layout.CTX_N_WORKERS}[x.name]
        return self.op(f"load i64, ptr {self.op(f'getelementptr i8, ptr %ctx, i64 {offset}')}")

    def same_buffer(self, x: lp.SameBuffer) -> str:
        return self.op(f"icmp eq ptr {self.whole(x.x)}, {self.whole(x.y)}")

    def whole(self, buffer: lp.Buffer) -> str:
        """The first address of a buffer; of a name that of what it stands for a part of."""
        slot = self.wholes.get(buffer.uid)
        return self.address(buffer, "0") if slot is None else self.op(f"load ptr, ptr {slot}")

    def splat(self, x: lp.Splat) -> str:
        t = llvm_type(x.type)
        one = self.op(f"insertelement {t} poison, {llvm_scalar(x.type.dtype)} {self.e(x.x)}, i64 0")
        return self.op(f"shufflevector {t} {one}, {t} poison, <{x.type.lanes} x i32> zeroinitializer")

    def iota(self, x: lp.Iota) -> str:
        scalar = llvm_scalar(x.type.dtype)
        return "<" + ", ".join(f"{scalar} {i}" for i in range(x.type.lanes)) + ">"

    # -- lanes
    def lane(self, lane: Expr | int) -> str:
        return str(lane) if isinstance(lane, int) else self.e(lane)

    def extract(self, x: lp.Extract) -> str:
        return self.op(f"extractelement {llvm_type(x.x.type)} {self.e(x.x)}, i64 {self.lane(x.lane)}")

    def insert(self, x: lp.Insert) -> str:
        value = f"{llvm_scalar(x.type.dtype)} {self.e(x.value)}"
        return self.op(f"insertelement {llvm_type(x.type)} {self.e(x.x)}, {value}, i64 {self.lane(x.lane)}")

    def shuffle(self, x: lp.Shuffle) -> str:
        t = llvm_type(x.x.type)
        mask = ", ".join("i32 poison" if n < 0 else f"i32 {n}" for n in x.lanes)
        first = self.e(x.x)
        second = first if x.y is x.x else self.e(x.y)
        return self.op(f"shufflevector {t} {first}, {t} {second}, <{len(x.lanes)} x i32> <{mask}>")

    def test_lanes(self, x: lp.TestLanes) -> str:
        n = x.x.type.lanes
        whole = self.op(f"bitcast <{n} x i1> {self.e(x.x)} to i{n}")
        return self.op(f"icmp ne i{n} {whole}, 0" if x.kind == "any" else f"icmp eq i{n} {whole}, -1")

    # -- arithmetic
    def unary(self, x: lp.Unary) -> str:
        t, v = llvm_type(x.type), self.e(x.x)
        dtype = x.x.type.dtype
        match x.kind:
            case "not":
                return self.op(f"xor {t} {v}, {self.const(lp.Const(x.type, True if dtype.is_bool else -1))}")
            case "neg":
                return self.op(f"fneg {t} {v}") if dtype.is_float else self.op(f"sub {t} {self.zero(x.type)}, {v}")
            case "abs":
                if dtype.is_float:
                    return self.call("fabs", suffix(x.type), t, (t, v))
                return self.call("abs", suffix(x.type), t, (t, v), ("i1", "false")) if dtype.is_signed else v
            case "isnan":
                wide = self.comparable(Ready(x.x.type, v))
                return self.op(f"fcmp uno {llvm_type(wide.type)} {wide.text}, {wide.text}")
            case "isinf":
                wide = self.comparable(Ready(x.x.type, v))
                f = llvm_type(wide.type)
                size = self.call("fabs", suffix(wide.type), f, (f, wide.text))
                return self.op(f"fcmp oeq {f} {size}, {self.const(lp.Const(wide.type, math.inf))}")
        if x.kind != "sqrt" and not self.has_rounding:
            return self.e(rounded(x.kind, Ready(x.x.type, v), self.let))
        name = "roundeven" if x.kind == "round" else x.kind
        return self.call(name, suffix(x.type), t, (t, v))

    def zero(self, t: VType) -> str:
        return "zeroinitializer" if t.lanes else literal(0, t.dtype)

    def comparable(self, x: Expr) -> Ready:
        """A value as comparisons take it: narrow floats widened, exactly."""
        if narrow.is_narrow(x.type.dtype):
            x = lp.Cast(x.type.of(F32), x)
        return Ready(x.type, self.e(x))

    def compare(self, x: lp.Compare) -> str:
        a = self.comparable(x.x)
        b = self.comparable(x.y)
        if a.type.dtype.is_float:
            kind = "fcmp " + ("une" if x.kind == "ne" else f"o{x.kind}")
        elif x.kind in ("eq", "ne"):
            kind = f"icmp {x.kind}"
        else:
            kind = f"icmp {'s' if a.type.dtype.is_signed else 'u'}{x.kind}"
        return self.op(f"{kind} {llvm_type(a.type)} {a.text}, {b.text}")

    def binary(self, x: lp.Binary) -> str:
        t, dtype = llvm_type(x.type), x.type.dtype
        a, b = self.e(x.x), self.e(x.y)
        if x.kind in ("max", "min"):
            return self.extreme(x.kind, x.type, a, b)
        if dtype.is_float:
            return self.float_binary(x, t, a, b)
        if x.kind in ("shl", "shr"):
            return self.shift(x, t, a, b)
        if x.kind in ("floordiv", "mod"):
            return self.divide(x, t, a, b)
        return self.op(f"{x.kind} {t} {a}, {b}")

    def float_binary(self, x: lp.Binary, t: str, a: str, b: str) -> str:
        if x.kind == "copysign":
            return self.call("copysign", suffix(x.type), t, (t, a), (t, b))
        if x.kind in ("floordiv", "mod"):
            name = f"@lem.{x.kind}.{suffix(x.type)}"
            if name not in self.helpers:
                self.helpers[name] = division_text(name, x.kind, x.type, self.intrinsics, self.has_fma)
            return self.op(f"call {t} {name}({t} {a}, {t} {b})")
        return self.op(f"f{x.kind} {t} {a}, {b}")

    def extreme(self, kind: str, vt: VType, a: str, b: str) -> str:
        """max or min; a NaN on either side wins. Select after compare is one maxps, which gives b when unordered."""
        t = llvm_type(vt)
        if not vt.dtype.is_float:
            sign = "s" if vt.dtype.is_signed else "u"
            if vt.dtype.is_bool:
                return self.op(f"{'or' if kind == 'max' else 'and'} {t} {a}, {b}")
            return self.call(f"{sign}{kind}", suffix(vt), t, (t, a), (t, b))
        truth = llvm_type(vt.of(lp.TRUTH.dtype))
        better = self.op(f"fcmp {'ogt' if kind == 'max' else 'olt'} {t} {a}, {b}")
        best = self.op(f"select {truth} {better}, {t} {a}, {t} {b}")
        nan = self.op(f"fcmp uno {t} {a}, {a}")
        return self.op(f"select {truth} {nan}, {t} {a}, {t} {best}")

    def shift(self, x: lp.Binary, t: str, a: str, b: str) -> str:
        """Counts of the width or more give 0, or -1 for a negative value shifted right."""
        width, signed = x.type.dtype.bits, x.type.dtype.is_signed
        name = "shl" if x.kind == "shl" else "ashr" if signed else "lshr"
        if isinstance(x.y, lp.Const) and 0 <= x.y.value < width:
            return self.op(f"{name} {t} {a}, {b}")
        top = self.const(lp.Const(x.type, width - 1))
        least = self.call("umin", suffix(x.type), t, (t, b), (t, top))
        shifted = self.op(f"{name} {t} {a}, {least}")
        if name == "ashr":
            return shifted
        truth = llvm_type(x.type.of(lp.TRUTH.dtype))
        inside = self.op(f"icmp ule {t} {b}, {top}")
        return self.op(f"select {truth} {inside}, {t} {shifted}, {t} {self.zero(x.type)}")

    def divide(self, x: lp.Binary, t: str, a: str, b: str) -> str:
        """Integer // and %, to the floor. Zero divisors (of inactive lanes) and MIN // -1 divide by 1 instead."""
        literal = int(x.y.value) if isinstance(x.y, lp.Const) and x.y.value > 0 else 0
        # There is no product of 64-bit integers with its upper half, which division by a literal needs, for vectors.
        if literal and (literal & (literal - 1) == 0 or not x.type.lanes or x.type.dtype.bits < 64):
            return self.divide_by_literal(x, t, a, b, literal)
        if x.type.lanes and x.type.dtype.bits in (32, 64):
            return self.divide_vector(x, t, a, b)
        return self.divide_lanes(x, t, a, b)

    def divide_vector(self, x: lp.Binary, t: str, a: str, b: str) -> str:
        """Through f64; lanes that are too large for it one by one."""
        shared = isinstance(x.y, lp.Splat | lp.Const)
        name = f"@lem.{x.kind}.{x.type.dtype.name}x{x.type.lanes}{'.shared' if shared else ''}"
        if name not in self.helpers:
            inner = Values(self.intrinsics, self.helpers, self.abilities, Bounds())
            result = inner.divide_lanes(x, t, "%x", "%y")
            slow = "".join(f"{line}\n" for line in (*inner.lines, f"  ret {t} {result}"))
            self.helpers[name] = whole_division_text(name, x.kind, x.type, slow, shared)
        if shared:
            b = f"{llvm_scalar(x.type.dtype)} {self.op(f'extractelement {t} {b}, i64 0')}"
        return self.op(f"call {t} {name}({t} {a}, {b if shared else f'{t} {b}'})")

    def divide_lanes(self, x: lp.Binary, t: str, a: str, b: str) -> str:
        """Each lane by itself: one instruction of the processor and what makes it the floor."""
        is_positive = self.is_natural(x.y) and self.bounds.of(x.y)[0] > 0
        truth, zero, one = llvm_type(x.type.of(lp.TRUTH.dtype)), self.zero(x.type), self.const(lp.Const(x.type, 1))
        if self.is_natural(x.x) and (is_positive or not x.type.dtype.is_signed):
            safe = b if is_positive else self.call("umax", suffix(x.type), t, (t, b), (t, one))
            return self.op(f"{'udiv' if x.kind == 'floordiv' else 'urem'} {t} {a}, {safe}")
        if is_positive:
            return self.floored(x, t, a, b)
        minus = self.const(lp.Const(x.type, -1))
        is_zero, is_minus = self.op(f"icmp eq {t} {b}, {zero}"), self.op(f"icmp eq {t} {b}, {minus}")
        odd = self.op(f"or {truth} {is_zero}, {is_minus}")
        safe = self.op(f"select {truth} {odd}, {t} {one}, {t} {b}")
        found = self.floored(x, t, a, safe)
        if x.kind == "mod":
            return found
        return self.op(f"select {truth} {is_minus}, {t} {self.op(f'sub {t} {zero}, {a}')}, {t} {found}")

    def is_natural(self, x: Expr) -> bool:
        """Is it known that no lane is below 0?"""
        return self.bounds.of(x)[0] >= 0

    def floored(self, x: lp.Binary, t: str, a: str, safe: str) -> str:
        """By a divisor that is neither 0 nor -1."""
        truth = llvm_type(x.type.of(lp.TRUTH.dtype))
        rest = self.op(f"srem {t} {a}, {safe}")
        wrong = self.wrong_side(x.type, t, rest, safe)
        if x.kind == "mod":
            return self.op(f"select {truth} {wrong}, {t} {self.op(f'add {t} {rest}, {safe}')}, {t} {rest}")
        quotient = self.op(f"sdiv {t} {a}, {safe}")
        less = self.op(f"sub {t} {quotient}, {self.const(lp.Const(x.type, 1))}")
        return self.op(f"select {truth} {wrong}, {t} {less}, {t} {quotient}")

    def wrong_side(self, vt: VType, t: str, rest: str, divisor: str) -> str:
        """The remainder is not zero and its sign is not the divisor's."""
        mixed = self.op(f"xor {t} {rest}, {divisor}")
        negative = self.op(f"icmp slt {t} {mixed}, {self.zero(vt)}")
        some = self.op(f"icmp ne {t} {rest}, {self.zero(vt)}")
        return self.op(f"and {llvm_type(vt.of(lp.TRUTH.dtype))} {negative}, {some}")

    def divide_by_literal(self, x: lp.Binary, t: str, a: str, b: str, value: int) -> str:
        is_power = value & (value - 1) == 0
        if is_power and x.kind == "floordiv":
            shift = self.const(lp.Const(x.type, value.bit_length() - 1))
            return self.op(f"{'ashr' if x.type.dtype.is_signed else 'lshr'} {t} {a}, {shift}")
        if is_power:
            return self.op(f"and {t} {a}, {self.const(lp.Const(x.type, value - 1))}")
        if self.is_natural(x.x):
            return self.op(f"{'udiv' if x.kind == 'floordiv' else 'urem'} {t} {a}, {b}")
        truth = llvm_type(x.type.of(lp.TRUTH.dtype))
        rest = self.op(f"srem {t} {a}, {b}")
        negative = self.op(f"icmp slt {t} {rest}, {self.zero(x.type)}")
        if x.kind == "mod":
            return self.op(f"select {truth} {negative}, {t} {self.op(f'add {t} {rest}, {b}')}, {t} {rest}")
        quotient = self.op(f"sdiv {t} {a}, {b}")
        down = self.op(f"sext {truth} {negative} to {t}")
        return self.op(f"add {t} {quotient}, {down}")

    def fma(self, x: lp.Fma) -> str:
        t = llvm_type(x.type)
        a, b, c = self.e(x.x), self.e(x.y), self.e(x.z)
        if self.has_fma:
            return self.call("fma", suffix(x.type), t, (t, a), (t, b), (t, c))
        if not x.exact or _is_minus_zero(x.z):
            return self.op(f"fadd {t} {self.op(f'fmul {t} {a}, {b}')}, {c}")
        name = f"@lem.fma.{suffix(x.type)}"
        if name not in self.helpers:
            self.helpers[name] = fused.fma_text(name, x.type, self.intrinsics)
            if x.type.dtype != F32 and fused.SLOW not in self.helpers:
                self.helpers[fused.SLOW] = fused.slow_text(self.intrinsics)
        return self.op(f"call {t} {name}({t} {a}, {t} {b}, {t} {c})")

    def select(self, x: lp.Select) -> str:
        truth, t = llvm_type(x.cond.type), llvm_type(x.type)
        return self.op(f"select {truth} {self.e(x.cond)}, {t} {self.e(x.x)}, {t} {self.e(x.y)}")

    # -- conversions
    def bits(self, x: lp.Bits) -> str:
        src, dst = llvm_type(x.x.type), llvm_type(x.type)
        if x.x.type.dtype.is_bool:
            return self.op(f"zext {src} {self.e(x.x)} to {dst}")
        if x.type.dtype.is_bool:
            return self.op(f"icmp ne {src} {self.e(x.x)}, {self.zero(x.x.type)}")
        return self.e(x.x) if src == dst else self.op(f"bitcast {src} {self.e(x.x)} to {dst}")

    def cast(self, x: lp.Cast) -> str:
        src, dst = x.x.type.dtype, x.type.dtype
        if narrow.is_narrow(src):
            wide = self.widen(x.x)
            return wide.text if dst == F32 else self.cast(lp.Cast(x.type, wide))
        if narrow.is_narrow(dst):
            return self.narrow(x.x, x.type)
        a, s, d = self.e(x.x), llvm_type(x.x.type), llvm_type(x.type)
        if dst.is_bool:
            return self.op(f"{'fcmp une' if src.is_float else 'icmp ne'} {s} {a}, {self.zero(x.x.type)}")
        if src.is_float and dst.is_float:
            return self.op(f"{'fpext' if dst.bits > src.bits else 'fptrunc'} {s} {a} to {d}")
        if src.is_float and x.type.lanes and not self.saturates:
            return truncated(self.op, a, x.x.type, x.type)
        if src.is_float:
            sign = "s" if dst.is_signed else "u"
            return self.call(f"fpto{sign}i.sat", f"{suffix(x.type)}.{suffix(x.x.type)}", d, (s, a))
        if dst.is_float:
            return self.op(f"{'si' if src.is_signed else 'ui'}tofp {s} {a} to {d}")
        if src.is_bool or dst.bits > src.bits:
            return self.op(f"{'sext' if src.is_signed else 'zext'} {s} {a} to {d}")
        return a if s == d else self.op(f"trunc {s} {a} to {d}")

    def widen(self, x: Expr) -> Ready:
        """A narrow float as f32."""
        code, t = self.e(x), llvm_type(x.type)
        wide = x.type.of(F32)
        if x.type.dtype.name == "f16" and self.has_f16:
            half = t.replace("i16", "half")
            return Ready(wide, self.op(f"fpext {half} {self.op(f'bitcast {t} {code} to {half}')} to {llvm_type(wide)}"))
        long = self.op(f"zext {t} {code} to {llvm_type(x.type.of(I32))}")
        return Ready(wide, self.e(narrow.widen(x, Ready(x.type.of(I32), long), self.let)))

    def narrow(self, x: Expr, to: VType) -> str:
        """Any number to a narrow float, rounded once."""
        src = x.type.dtype
        x = self.let(x)
        if src in (I64,) or src.name == "u64":
            x, src = narrow.int_to_f64_odd(x, self.let), F64
        elif src.is_int or src.is_bool:
            wide = F64 if src.bits == 32 else F32
            x, src = lp.Cast(x.type.of(wide), x), wide
        elif narrow.is_narrow(src):
            x, src = self.widen(x), F32
        if src == F64:
            x = narrow.to_odd(self.let(x), self.let)
        t = llvm_type(to)
        if to.dtype.name == "f16" and self.has_f16:
            half = t.replace("i16", "half")
            return self.op(f"bitcast {half} {self.op(f'fptrunc {llvm_type(x.type)} {self.e(x)} to {half}')} to {t}")
        code = self.e(narrow.narrow(self.let(x), to.dtype, self.let))
        return self.op(f"trunc {llvm_type(to.of(I32))} {code} to {t}")

    # -- memory
    def kept_mask(self, mask: str, lanes: int) -> str:
        """A mask that LLVM does not look into, in a mask register.

        LLVM 22.1 makes one plain store of a masked one that has a single lane for sure, and forgets that the number was to
        become a narrower one first (llvm/llvm-project#179489): it then writes over what lies behind.
        """
        bits, wide = f"i{lanes}", f"i{max(lanes, 8)}"
        x = self.op(f"bitcast <{lanes} x i1> {mask} to {bits}")
        x = self.op(f"zext {bits} {x} to {wide}") if wide != bits else x
        x = self.op(f'call {wide} asm "", "=^Yk,0"({wide} {x})')
        x = self.op(f"trunc {wide} {x} to {bits}") if wide != bits else x
        return self.op(f"bitcast {bits} {x} to <{lanes} x i1>")

    def address(self, buffer: lp.Buffer, index: str) -> str:
        try:
            base = self.names[buffer.uid]
        except KeyError:
            raise InternalError("cpu emit", f"buffer {buffer!r} is used where it is not known") from None
        if buffer.space == "name":
            base = self.op(f"load ptr, ptr {base}")
        return self.op(f"getelementptr {llvm_memory(buffer.dtype)}, ptr {base}, i64 {index}")

    def from_memory(self, raw: str, t: VType) -> str:
        """bool is a byte in memory."""
        if not t.dtype.is_bool:
            return raw
        memory = f"<{t.lanes} x i8>" if t.lanes else "i8"
        return self.op(f"icmp ne {memory} {raw}, {'zeroinitializer' if t.lanes else '0'}")

    def to_memory(self, value: str, t: VType) -> tuple[str, str]:
        """Memory type and operand of a value to store."""
        if not t.dtype.is_bool:
            return llvm_type(t), value
        memory = f"<{t.lanes} x i8>" if t.lanes else "i8"
        return memory, self.op(f"zext {llvm_type(t)} {value} to {memory}")

    def load(self, x: lp.Load) -> str:
        t, dtype = x.type, x.type.dtype
        align = dtype.size_bytes
        if x.stride is not None and t.lanes:
            return self.load_lanes(x, self.strided(x.buffer, x.index, x.stride, t.lanes))
        p = self.address(x.buffer, self.e(x.index))
        memory = f"<{t.lanes} x {llvm_memory(dtype)}>" if t.lanes else llvm_memory(dtype)
        if x.mask is None:
            return self.from_memory(self.op(f"load {memory}, ptr {p}, align {align}"), t)
        if not t.lanes:
            safe = self.op(f"select i1 {self.e(x.mask)}, ptr {p}, ptr {self.zeros}")
            return self.otherwise(x, self.from_memory(self.op(f"load {memory}, ptr {safe}, align {align}"), t))
        other = self.to_memory(self.e(x.other), t)[1] if x.other is not None else "zeroinitializer"
        kind = suffix(VType(dtype, t.lanes)) if not dtype.is_bool else f"v{t.lanes}i8"
        raw = self.call(
            "masked.load", f"{kind}.p0", memory, ("ptr", p), ("i32", str(align)), (f"<{t.lanes} x i1>", self.e(x.mask)),
            (memory, other),
        )  # fmt: skip
        return self.from_memory(raw, t)

    def otherwise(self, x: Any, value: str) -> str:
        """Lanes outside of the mask give `other`; without it they hold the zeros they read."""
        if x.other is None or x.mask is None:
            return value
        t = llvm_type(x.type)
        mask = self.e(x.mask)
        return self.op(f"select {llvm_type(x.mask.type)} {mask}, {t} {value}, {t} {self.e(x.other)}")

    def strided(self, buffer: lp.Buffer, index: Expr, stride: Expr, lanes: int) -> list[str]:
        """Addresses of lanes that lie `stride` apart."""
        at, step = self.e(index), self.e(stride)
        out = []
        for lane in range(lanes):
            out.append(self.address(buffer, at))
            if lane + 1 < lanes:
                at = self.op(f"add i64 {at}, {step}")
        return out

    def gather(self, x: lp.Gather) -> str:
        lanes = x.type.lanes
        indices, t = self.e(x.indices), llvm_type(x.indices.type)
        if not lanes:
            return self.load(lp.Load(x.type, x.buffer, Ready(x.indices.type, indices), None, x.mask, x.other))
        places = []
        for lane in range(lanes):
            one = self.op(f"extractelement {t} {indices}, i64 {lane}")
            if x.indices.type.dtype != I64:
                wide = "sext" if x.indices.type.dtype.is_signed else "zext"
                one = self.op(f"{wide} {llvm_scalar(x.indices.type.dtype)} {one} to i64")
            places.append(self.address(x.buffer, one))
        return self.load_lanes(x, places)

    def load_lanes(self, x: Any, places: list[str]) -> str:
        """One scalar load per lane. Lanes that must not touch memory read zeros kept for that: no branches."""
        t = x.type
        memory = llvm_memory(t.dtype)
        vector = f"<{t.lanes} x {memory}>"
        mask = self.e(x.mask) if x.mask is not None else ""
        out = "poison"
        for lane, place in enumerate(places):
            if mask:
                active = self.op(f"extractelement <{t.lanes} x i1> {mask}, i64 {lane}")
                place = self.op(f"select i1 {active}, ptr {place}, ptr {self.zeros}")
            one = self.op(f"load {memory}, ptr {place}, align {t.dtype.size_bytes}")
            out = self.op(f"insertelement {vector} {out}, {memory} {one}, i64 {lane}")
        return self.otherwise(x, self.from_memory(out, t))


_TABLE: dict[type[Expr], Callable[[Values, Any], str]] = {
    Ready: lambda v, x: x.text,
    Var: Values.var,
    lp.Const: Values.const,
    lp.Slot: Values.slot,
    lp.CtxField: Values.ctx_field,
    lp.SameBuffer: Values.same_buffer,
    lp.Splat: Values.splat,
    lp.Iota: Values.iota,
    lp.Extract: Values.extract,
    lp.Insert: Values.insert,
    lp.Shuffle: Values.shuffle,
    lp.TestLanes: Values.test_lanes,
    lp.Unary: Values.unary,
    lp.Binary: Values.binary,
    lp.Compare: Values.compare,
    lp.Fma: Values.fma,
    lp.Select: Values.select,
    lp.Cast: Values.cast,
    lp.Bits: Values.bits,
    lp.Load: Values.load,
    lp.Gather: Values.gather,
}


def _is_minus_zero(x: Expr) -> bool:
    """Adding it changes nothing: ``fma(x, y, -0.0)`` is a product that is rounded by itself."""
    x = x.x if isinstance(x, lp.Splat) else x
    return isinstance(x, lp.Const) and x.value == 0 and math.copysign(1.0, float(x.value)) < 0
