"""Fold what is known, share what is equal: constants, exact identities, common subexpressions, decided branches.

Before:  %1 = tile.mul %x, 1    %2 = tile.add %i, 3    %3 = tile.add %i, 3    tile.if true {..A..}
After:   (%x)                   %2 = tile.add %i, 3    (%2)                   ..A..

EXACT   a rule holds for every value of the type, NaN, infinities and signed zeros included;
SCOPE   an op may take the place of a later equal one in its own block or in blocks nested there, never the reverse;
READS   loads are shared only while nothing in between may write.
Needs: verified IR. Keeps: all effects in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lem.ir import ops
from lem.ir.core import Affine, Array, Axis, Block, Effect, Function, Op, Value, map_operands, op_fields
from lem_runtime.abi.dtypes import BOOL, DType

_INT: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "max": max,
    "min": min,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def simplify(fn: Function) -> Function:
    return fn.with_body(_Simplifier().block(fn.body, {}))


class _Simplifier:
    def __init__(self) -> None:
        self.new: dict[Value, Value] = {}
        self.consts: dict[Value, int | float | bool] = {}
        self.defs: dict[Value, Op] = {}

    def block(self, block: Block, known: dict[Any, Value]) -> Block:
        known = dict(known)  # SCOPE
        out: list[Op] = []
        self.ops_into(block.ops, known, out)
        return Block(block.args, tuple(out), tuple(self.now(v) for v in block.yields))

    def now(self, v: Value) -> Value:
        return self.new.get(v, v)

    def ops_into(self, ops_: tuple[Op, ...], known: dict[Any, Value], out: list[Op]) -> None:
        for op in ops_:
            op = self._renamed(op)
            if isinstance(op, ops.If) and op.cond in self.consts:
                side = op.then if self.consts[op.cond] else op.orelse
                self.ops_into(side.ops, known, out)
                self.new.update(zip(op.results, (self.now(v) for v in side.yields), strict=True))
                continue
            same = self._identity(op)
            if same is not None:
                self.new[op.result] = same
                continue
            op = self._folded(op)
            key = self._key(op)
            if key is not None and key in known:
                self.new[op.result] = known[key]
                continue
            if op.blocks:
                op = self._nested(op, known)
            if _writes(op):  # READS
                for k in [k for k in known if k[0] is ops.Load]:
                    del known[k]
            out.append(op)
            for r in op.results:
                self.defs[r] = op
            if key is not None:
                known[key] = op.result
            if isinstance(op, ops.Const):
                self.consts[op.result] = op.value

    def _renamed(self, op: Op) -> Op:
        if not any(v in self.new for v in op.operands):
            return op
        changed = {f: map_operands(getattr(op, f), self.new) for f in op_fields(type(op))}
        return replace(op, **changed)

    def _nested(self, op: Op, known: dict[Any, Value]) -> Op:
        # Loads from before a loop do not hold in it when its body writes; simplest and safe: none go in.
        inner = known if isinstance(op, ops.If) else {k: v for k, v in known.items() if k[0] is not ops.Load}
        changes: dict[str, Any] = {}
        for f in op_fields(type(op)):
            v = getattr(op, f)
            if isinstance(v, Block):
                changes[f] = self.block(v, inner)
        return replace(op, **changes)

    def _key(self, op: Op) -> Any:
        if op.effect not in (Effect.NONE, Effect.READ) or len(op.results) != 1 or isinstance(op, ops.Range):
            return None
        return (type(op), *(_plain(getattr(op, f)) for f in op_fields(type(op))))

    # ------------------------------------------------------------ rules
    def _identity(self, op: Op) -> Value | None:
        """The value that `op` is equal to, if a rule says so. Axes must not be lost: the value has the op's."""
        found = self._equal(op)
        return found if found is not None and found.type == op.result.type else None

    def _equal(self, op: Op) -> Value | None:
        if isinstance(op, ops.Cast) and op.x.dtype == op.to:
            return op.x  # cast to its own type
        if isinstance(op, ops.Select):
            if op.cond in self.consts:
                return op.x if self.consts[op.cond] else op.y
            return op.x if op.x is op.y else None  # where(c, x, x) == x
        if not isinstance(op, ops.Binary):
            return None
        x, y = self.consts.get(op.x), self.consts.get(op.y)
        whole = op.x.dtype.is_int
        if op.kind == "mul":  # x * 1 == x, exact for floats too
            return op.x if _is(y, 1) else op.y if _is(x, 1) else None
        if op.kind == "div":
            return op.x if _is(y, 1) else None
        if op.kind in ("add", "sub") and whole and _is(y, 0):  # x + 0 == x; not for floats: -0.0 + 0 is 0
            return op.x
        if op.kind == "add" and whole and _is(x, 0):
            return op.y
        if op.kind in ("and", "or") and op.x.dtype == BOOL:
            neutral = op.kind == "and"
            return op.x if y is neutral else op.y if x is neutral else None
        return None

    def _folded(self, op: Op) -> Op:
        value = self._value_of(op)
        if value is None:
            return op
        return ops.Const(value, op.result.dtype, loc=op.loc, results=op.results)

    def _value_of(self, op: Op) -> int | float | bool | None:
        args = [self.consts.get(v) for v in op.operands]
        if not args or any(a is None for a in args):
            return None
        dtype = op.operands[0].dtype
        if isinstance(op, ops.Compare):
            return _COMPARE[op.kind](args[0], args[1])
        if isinstance(op, ops.Binary) and (dtype.is_int or dtype == BOOL) and op.kind in _INT:
            return _wrap(_INT[op.kind](args[0], args[1]), dtype)  # type: ignore[arg-type]
        if isinstance(op, ops.Binary) and dtype.is_int and op.kind in ("floordiv", "mod") and args[1] != 0:
            a, b = args
            return _wrap(a // b if op.kind == "floordiv" else a % b, dtype)  # type: ignore[operator,arg-type]
        if isinstance(op, ops.Unary):
            return _unary(op, args[0], dtype)
        if isinstance(op, ops.Cast) and dtype.is_int and op.to.is_int:
            return _wrap(int(args[0]), op.to)  # type: ignore[arg-type]
        if isinstance(op, ops.Cast) and dtype.is_int and op.to.is_float and abs(int(args[0])) < 1 << op.to.digits:  # type: ignore[arg-type]
            return float(args[0])  # type: ignore[arg-type]
        return None


def _is(value: int | float | bool | None, n: int) -> bool:
    return value is not None and not isinstance(value, bool) and value == n


def _unary(op: ops.Unary, x: Any, dtype: DType) -> int | float | bool | None:
    if op.kind == "neg":
        return float(-x) if dtype.is_float else _wrap(-x, dtype)
    if op.kind == "not" and dtype == BOOL:
        return not x
    if op.kind == "abs" and dtype.is_float:
        return abs(float(x))
    return None


def _wrap(value: int | bool, dtype: DType) -> int | bool:
    """Two's complement of the type's width."""
    if dtype == BOOL:
        return bool(value)
    value = int(value) & ((1 << dtype.bits) - 1)
    return value - (1 << dtype.bits) if dtype.is_signed and value > dtype.max_int else value


def _writes(op: Op) -> bool:
    if op.effect is Effect.WRITE:
        return True
    return any(_writes(o) for b in op.blocks for o in b.ops)


def _plain(v: Any) -> Any:
    """An attribute or operand as something to compare by."""
    if isinstance(v, float):
        return ("float", repr(v))
    if isinstance(v, (Value, Axis, Array)):
        return v
    if isinstance(v, bool):
        return ("bool", v)
    if isinstance(v, Affine):
        return ("affine", v.const, frozenset((c, t) for c, t in v.terms))
    return tuple(_plain(x) for x in v) if isinstance(v, tuple) else v
