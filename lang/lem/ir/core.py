"""Tile IR: what the program computes, target-independent. Values, axes, arrays, ops, blocks, functions, modules.

Built by ``lower``; read by ``passes``, ``schedule``, ``targets`` and the interpreter. Nothing here knows memory layout,
threads or tile sizes. Functions and ops are immutable; a pass builds new ones.

A :class:`Value` has a dtype and a set of axes: it is a (possibly ragged) box of numbers with *named* sides. Grid
variables, comprehension variables, blocks of a ``tiles`` loop and whole axes are all :class:`Axis`; operands align by
axis, never by position. In sequential code (outside grids) values have no axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from enum import Enum
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from lem_runtime.abi.artifact import Site
from lem_runtime.abi.dtypes import BOOL, DType
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Signature
from lem_runtime.abi.sizes import Size

_ids = itertools.count()


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A named side of values. Compared by identity.

    kind: "grid" (an element axis), "range" (bound by a comprehension), "tiles" (a block of a tiles loop),
          "whole" (a ``:`` or the axis of a local; one per dimension and function, so equal names align).
    """

    name: str
    kind: str
    uid: int = field(default_factory=lambda: next(_ids))

    def __repr__(self) -> str:
        return f"{self.name}#{self.uid}"


@dataclass(frozen=True, slots=True)
class TileType:
    dtype: DType
    axes: frozenset[Axis] = frozenset()

    def __str__(self) -> str:
        names = ", ".join(sorted(a.name for a in self.axes))
        return f"{self.dtype}{{{names}}}" if names else str(self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """Result of one op, or argument of one block. `name` is a hint for printing."""

    type: TileType
    name: str = ""
    uid: int = field(default_factory=lambda: next(_ids))

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def axes(self) -> frozenset[Axis]:
        return self.type.axes

    def __repr__(self) -> str:
        return f"%{self.name or self.uid}"


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """An array that code loads from and stores to.

    kind:  "param" (also a result), "temp" (made by Alloc in sequential code), "local" (made by Alloc in a grid: one per
           element, small), "view" (part of another array, named by View in sequential code), "name" (declared by Name:
           stands for the whole array that Bind has given it last).
    shape: sizes as data for params; for the others None per axis where the size is a computed value (then Alloc.sizes
           or View.sizes tells).
    effect: "read" "out" "inout" "reduce" "result"; "inout" for temps and locals, that of their array for views.
    axes:   of a "local": the grid's axes. Each element has its own copy, so all that is loaded from it has these axes
            though no subscript names them.
    layout: "row" or "col" where the program says so: along which axis neighbours lie side by side, the last or the first.
    """

    name: str
    dtype: DType
    shape: tuple[Size | None, ...]
    kind: str
    effect: str
    reduce_op: str = ""
    axes: frozenset[Axis] = frozenset()
    layout: str = ""
    uid: int = field(default_factory=lambda: next(_ids))

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def inner_axis(self) -> int:
        """The axis along which neighbours lie side by side; of an argument without a layout only if its facts say so."""
        return 0 if self.layout == "col" else self.rank - 1

    def __repr__(self) -> str:
        return f"@{self.name}"


@dataclass(frozen=True, slots=True)
class Affine:
    """A subscript: ``const + sum(coef * value)`` over i64 values. A gather is one term whose value was loaded."""

    terms: tuple[tuple[int, Value], ...]
    const: int = 0

    @property
    def values(self) -> tuple[Value, ...]:
        return tuple(v for _, v in self.terms)

    @property
    def axes(self) -> frozenset[Axis]:
        return frozenset().union(*(v.axes for _, v in self.terms)) if self.terms else frozenset()

    @property
    def fits(self) -> bool:
        """Are the constant and all factors numbers that an i64 holds? What wraps around is no linear form."""
        return all(abs(c) < 1 << 63 for c in (self.const, *(c for c, _ in self.terms)))

    def rename(self, new: Mapping[Value, Value]) -> Affine:
        return Affine(tuple((c, new.get(v, v)) for c, v in self.terms), self.const)

    def coef_of(self, value: Value) -> int:
        return sum(c for c, v in self.terms if v is value)

    def plus(self, other: Affine, factor: int) -> Affine:
        """``self + factor * other``"""
        coefs = {v: c for c, v in self.terms}
        for c, v in other.terms:
            coefs[v] = coefs.get(v, 0) + factor * c
        return Affine(tuple((c, v) for v, c in coefs.items() if c), self.const + factor * other.const)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Nested code: arguments, ops in order, and what it hands back."""

    args: tuple[Value, ...]
    ops: tuple[Op, ...]
    yields: tuple[Value, ...] = ()


class Effect(Enum):
    NONE = "none"  # may be dropped, moved, repeated
    READ = "read"  # reads an array: must not move over a write to it
    WRITE = "write"
    FAULT = "fault"  # may stop the program: must stay under its mask, in order
    CONTROL = "control"  # has blocks: its effect is theirs


OpT = TypeVar("OpT", bound="Op")
OPS: dict[str, type[Op]] = {}
_FRESH: tuple[Value, ...] = (Value(TileType(BOOL), "fresh"),)  # default of Op.results: make them from result_types


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def op(name: str) -> Callable[[type[OpT]], type[OpT]]:
    """Class decorator: a frozen dataclass registered under `name` for the reader."""

    def wrap(cls: type[OpT]) -> type[OpT]:
        made = dataclass(frozen=True, eq=False)(cls)
        made.opname = name
        held = {f.name: str(f.type) for f in fields(made)}
        made.operand_names = tuple(n for n in op_fields(made) if "Value" in held[n] or "Affine" in held[n])
        made.block_names = tuple(n for n in op_fields(made) if "Block" in held[n])
        OPS[name] = made
        return made

    return wrap


@dataclass(frozen=True, eq=False)
class Op:
    """Base of all ops. Fields: Value, tuple[Value] and Affine operands; Block nested code; the rest attributes (the
    annotations tell which). `results` are made on construction from :meth:`result_types`, unless given (cloning,
    reading)."""

    opname: ClassVar[str] = "op"
    operand_names: ClassVar[tuple[str, ...]] = ()  # fields that hold values: alone, in tuples, or in affine forms
    block_names: ClassVar[tuple[str, ...]] = ()  # fields that hold nested code
    effect: ClassVar[Effect] = Effect.NONE
    loc: Any = field(default=None, kw_only=True)  # a Place, or None
    results: tuple[Value, ...] = field(default=_FRESH, kw_only=True)

    def __post_init__(self) -> None:
        if self.results is _FRESH:
            object.__setattr__(self, "results", tuple([Value(t) for t in self.result_types()]))

    def result_types(self) -> tuple[TileType, ...]:
        return ()

    def verify(self) -> Iterator[str]:
        return iter(())

    @property
    def result(self) -> Value:
        (r,) = self.results
        return r

    @property
    def operands(self) -> tuple[Value, ...]:
        # Asked for by every pass and every check, so it is found once; the fields never change.
        found: tuple[Value, ...] | None = self.__dict__.get("_operands")
        if found is None:
            out: list[Value] = []
            for f in self.operand_names:
                _collect(getattr(self, f), out)
            found = self.__dict__["_operands"] = tuple(out)
        return found

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple([getattr(self, f) for f in self.block_names]) if self.block_names else ()

    def rebuild(self, **changes: Any) -> Self:
        """The same op with fields changed and *fresh results* of the types that follow."""
        return replace(self, **{"results": _FRESH, **changes})


_field_cache: dict[type, tuple[str, ...]] = {}


def op_fields(cls: type[Op]) -> tuple[str, ...]:
    """Names of an op's own fields (without loc and results), in order."""
    found = _field_cache.get(cls)
    if found is None:
        found = _field_cache[cls] = tuple(f.name for f in fields(cls) if f.name not in ("loc", "results"))
    return found


def _collect(v: Any, out: list[Value]) -> None:
    if isinstance(v, Value):
        out.append(v)
    elif isinstance(v, Affine):
        out.extend(v.values)
    elif isinstance(v, tuple):
        for item in v:
            _collect(item, out)


def map_operands(v: Any, new: Mapping[Value, Value]) -> Any:
    """A field with its values renamed; blocks are left alone."""
    if isinstance(v, Value):
        return new.get(v, v)
    if isinstance(v, Affine):
        return v.rename(new)
    if isinstance(v, tuple) and not isinstance(v, Block):
        return tuple(map_operands(item, new) for item in v)
    return v


def union_axes(values: Iterable[Value]) -> frozenset[Axis]:
    """Axes of an elementwise op on `values`."""
    out: frozenset[Axis] = frozenset()
    for v in values:
        out |= v.type.axes
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A kernel or task in tile IR.

    arrays:  parameters (and array results), in signature order. scalars: scalar parameters, in signature order.
    Scalar results are rank-0 arrays with effect "result", stored by the body.
    calls:   names of functions that Call ops name; they stand in the same module.
    """

    name: str
    kind: str  # "kernel" | "task"
    signature: Signature
    arrays: tuple[Array, ...]
    scalars: tuple[tuple[str, DType], ...]
    body: Block
    sites: tuple[Site, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dims(self) -> tuple[str, ...]:
        return self.signature.dims

    def with_body(self, body: Block) -> Function:
        return replace(self, body=body)

    def array(self, name: str) -> Array:
        return next(a for a in self.arrays if a.name == name)


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    functions: Mapping[str, Function]

    def closure(self, name: str) -> Module:
        """The function `name` and all that it calls, itself last."""
        from_here: dict[str, Function] = {}
        seen: set[str] = set()  # tasks may call each other in circles

        def visit(n: str) -> None:
            if n in seen:
                return
            seen.add(n)
            for o in walk_ops(self.functions[n].body):
                callee = getattr(o, "callee", None)
                if callee is not None:
                    visit(callee)
            from_here[n] = self.functions[n]

        visit(name)
        return Module(from_here)


def walk_ops(block: Block) -> Iterator[Op]:
    """All ops of a block and below it, in order, parents first."""
    for o in block.ops:
        yield o
        for b in o.blocks:
            yield from walk_ops(b)


def defined_in(block: Block) -> set[Value]:
    """Values that a block and what is nested in it define."""
    out = set(block.args)
    for o in block.ops:
        out.update(o.results)
        for b in o.blocks:
            out |= defined_in(b)
    return out


class Builder:
    """Appends ops to a list: ``b = Builder(); x = b(ops.Binary("add", l, r))``; ``b.block(args, yields)`` closes it."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def add(self, o: Op) -> Op:
        self.ops.append(o)
        return o

    def __call__(self, o: Op) -> Value:
        """Append an op with one result and give that result."""
        self.ops.append(o)
        return o.result

    def block(self, args: Sequence[Value] = (), yields: Sequence[Value] = ()) -> Block:
        return Block(tuple(args), tuple(self.ops), tuple(yields))
