"""Fold what is known, share what is equal: constants, exact identities, common subexpressions, decided branches.

Before:  %1 = tile.mul %x, 1    %2 = tile.add %i, 3    %3 = tile.add %i, 3    tile.if true {..A..}
After:   (%x)                   %2 = tile.add %i, 3    (%2)                   ..A..

EXACT   a rule holds for every value of the type, NaN, infinities and signed zeros included;
AXES    what takes the place of an op has the op's type: an identity never loses an axis;
SCOPE   an op may take the place of a later equal one in its own block or in blocks nested there, never the reverse;
READS   loads are shared only while nothing in between may write their array; none is carried into a loop;
CHECKS  a check goes where its own block has made it already: what stands in nested blocks keeps its checks beside it.
Needs: verified IR. Keeps: all effects in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lem.ir import ops
from lem.ir.core import Array, Block, Effect, Function, Op, Value, map_operands, op_fields
from lem_runtime.abi.dtypes import BOOL, DType

Known = dict[Any, Value]  # ops by what they compute
Held = set[tuple[Value, tuple[Value, ...]]]  # conditions that were checked, and what was


def simplify(fn: Function) -> Function:
    return fn.with_body(_Simplifier().block(fn.body, {}))


class _Simplifier:
    def __init__(self) -> None:
        self.new: dict[Value, Value] = {}  # what stands for a value that is gone
        self.consts: Consts = {}

    def block(self, block: Block, known: Known) -> Block:
        out: list[Op] = []
        self.ops_into(block.ops, dict(known), set(), out)  # SCOPE
        return Block(block.args, tuple(out), tuple(self.new.get(v, v) for v in block.yields))

    def ops_into(self, ops_: tuple[Op, ...], known: Known, held: Held, out: list[Op]) -> None:
        for op in ops_:
            op = self._renamed(op)
            side = self._decided(op)
            if side is not None:
                self.ops_into(side.ops, known, held, out)
                self.new.update((r, self.new.get(v, v)) for r, v in zip(op.results, side.yields, strict=True))
                continue
            if isinstance(op, ops.Assert):
                if self._holds(op, held):
                    continue
            elif op.block_names:
                op = self._nested(op, known)
            else:
                done = self._simpler(op, known)
                if done is None:
                    continue
                op = done
            gone = _written(op)
            for key in [k for k in known if k[0] is ops.Load and gone.reaches(k[1])]:  # READS
                del known[key]
            out.append(op)

    def _decided(self, op: Op) -> Block | None:
        """The side of a branch that is always taken, if it can stand alone."""
        if not isinstance(op, ops.If) or op.cond not in self.consts:
            return None
        side = op.then if self.consts[op.cond] else op.orelse
        stands = all(r.type == v.type for r, v in zip(op.results, side.yields, strict=True))
        return side if stands else None  # AXES: the results have those of the other side, too

    def _holds(self, op: ops.Assert, held: Held) -> bool:
        """Has the block made this check? Notes it otherwise."""
        check = op.cond, op.values[:1]
        found = self.consts.get(op.cond) is True or check in held  # CHECKS
        held.add(check)
        return found

    def _simpler(self, op: Op, known: Known) -> Op | None:
        """`op`, or what it folds to; None when a value that is there already stands for it."""
        rule = _IDENTITIES.get(type(op))
        same = rule(op, self.consts) if rule is not None else None
        if same is not None and same.type == op.result.type:  # AXES
            self.new[op.result] = same
            return None
        value = _folded(op, self.consts)
        if value is not None:
            op = ops.Const(value, op.result.dtype, loc=op.loc, results=op.results)
        key = _key(op)
        if key is None:
            return op
        same = known.get(key)
        if same is not None:
            self.new[op.result] = same
            return None
        known[key] = op.result
        if isinstance(op, ops.Const):
            self.consts[op.result] = op.value
        return op

    def _renamed(self, op: Op) -> Op:
        if not any(v in self.new for v in op.operands):
            return op
        changed = {f: map_operands(getattr(op, f), self.new) for f in op.operand_names}
        return replace(op, **changed)

    def _nested(self, op: Op, known: Known) -> Op:
        if isinstance(op, ops.If):
            then = self.block(op.then, known)
            # Elements that take different sides run both, one after the other.
            gone = _written_below(then)
            inner = {k: v for k, v in known.items() if k[0] is not ops.Load or not gone.reaches(k[1])}
            return replace(op, then=then, orelse=self.block(op.orelse, inner))
        inner = {k: v for k, v in known.items() if k[0] is not ops.Load}  # READS
        changed: dict[str, Any] = {f: self.block(getattr(op, f), inner) for f in op.block_names}
        return replace(op, **changed)


# ---------------------------------------------------------------- what is equal
def _key(op: Op) -> Any:
    """What an op computes, to compare by; None for what must stay by itself. Keys of loads begin with Load, array."""
    if op.effect is not Effect.NONE and op.effect is not Effect.READ or isinstance(op, ops.Range | ops.Size | ops.Same):
        return None
    if isinstance(op, ops.Const):  # 0.0, -0.0 and nan are told apart by how they print
        return (ops.Const, repr(op.value), op.dtype.name)
    return (type(op), *[getattr(op, f) for f in op_fields(type(op))])


class _Written(set[Array]):
    """Arrays that some code may write; a part of an array that is written may be anywhere (`is_anything`)."""

    is_anything = False

    def reaches(self, array: Array) -> bool:
        return self.is_anything or array in self or (array.kind in ("view", "name") and bool(self))


def _written(op: Op) -> _Written:
    out = _Written()
    if isinstance(op, (ops.Store, ops.Update, ops.Alloc)):
        out.add(op.array)
    elif isinstance(op, ops.Call):
        out.update(op.arrays)
        out.is_anything = any(a.kind in ("view", "name") for a in op.arrays)
    elif isinstance(op, ops.Bind):
        out.is_anything = True
    for b in op.blocks:
        _add_written(out, b)
    return out


def _written_below(block: Block) -> _Written:
    out = _Written()
    _add_written(out, block)
    return out


def _add_written(out: _Written, block: Block) -> None:
    for o in block.ops:
        more = _written(o)
        out |= more
        out.is_anything = out.is_anything or more.is_anything


# ---------------------------------------------------------------- identities
Consts = dict[Value, int | float | bool]


def _same_cast(op: ops.Cast, consts: Consts) -> Value | None:
    return op.x if op.x.dtype == op.to else None  # to its own type


def _same_select(op: ops.Select, consts: Consts) -> Value | None:
    known = consts.get(op.cond)
    if known is not None:
        return op.x if known else op.y  # where(true, x, y) == x
    return op.x if op.x is op.y else None  # where(c, x, x) == x


def _same_binary(op: ops.Binary, consts: Consts) -> Value | None:
    x, y = consts.get(op.x), consts.get(op.y)
    if x is None and y is None:
        return None
    if op.kind == "mul":  # x * 1 == x
        return op.x if _is(y, 1) else op.y if _is(x, 1) else None
    if op.kind == "div":  # x / 1 == x
        return op.x if _is(y, 1) else None
    if op.kind in ("add", "sub") and op.x.dtype.is_int:  # x + 0 == x; not for floats: -0.0 + 0.0 == 0.0
        return op.x if _is(y, 0) else op.y if _is(x, 0) and op.kind == "add" else None
    if op.kind in ("and", "or") and op.x.dtype == BOOL:  # x and true == x, x or false == x
        neutral = op.kind == "and"
        return op.x if y is neutral else op.y if x is neutral else None
    return None


def _is(value: int | float | bool | None, n: int) -> bool:
    return value is not None and not isinstance(value, bool) and value == n


_IDENTITIES: dict[type[Op], Callable[[Any, Consts], Value | None]] = {
    ops.Cast: _same_cast,
    ops.Select: _same_select,
    ops.Binary: _same_binary,
}


# ---------------------------------------------------------------- constants
def _folded(op: Op, consts: Consts) -> int | float | bool | None:
    """The value of an op on constants, where it is exact."""
    rule = _FOLDS.get(type(op))
    if rule is None:
        return None
    args = [consts.get(v) for v in op.operands]
    return None if any(a is None for a in args) else rule(op, *args)


def _fold_compare(op: ops.Compare, x: Any, y: Any) -> bool:
    return _COMPARE[op.kind](x, y)


def _fold_binary(op: ops.Binary, x: Any, y: Any) -> int | bool | None:
    dtype = op.x.dtype
    if dtype.is_float or op.kind not in _INT or (op.kind in ("floordiv", "mod") and y == 0):
        return None
    return _wrap(_INT[op.kind](x, y), dtype)


def _fold_unary(op: ops.Unary, x: Any) -> int | float | bool | None:
    dtype = op.x.dtype
    if op.kind == "neg":
        return -float(x) if dtype.is_float else _wrap(-x, dtype)
    if op.kind == "abs":
        return abs(float(x)) if dtype.is_float else _wrap(abs(x), dtype)
    if op.kind == "not":
        return not x if dtype == BOOL else _wrap(~x, dtype)
    return None


def _fold_cast(op: ops.Cast, x: Any) -> int | float | bool | None:
    if op.to.is_int and not op.x.dtype.is_float:
        return _wrap(int(x), op.to)
    if op.to.is_float and not op.x.dtype.is_float and abs(int(x)) < 1 << op.to.digits:
        return float(x)
    return None


_INT: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
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
_FOLDS: dict[type[Op], Callable[..., int | float | bool | None]] = {
    ops.Compare: _fold_compare,
    ops.Binary: _fold_binary,
    ops.Unary: _fold_unary,
    ops.Cast: _fold_cast,
}


def _wrap(value: int | bool, dtype: DType) -> int | bool:
    """Two's complement of the type's width."""
    if dtype == BOOL:
        return bool(value)
    value = int(value) & ((1 << dtype.bits) - 1)
    return value - (1 << dtype.bits) if dtype.is_signed and value > dtype.max_int else value
