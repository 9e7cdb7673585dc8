"""Loop IR: *how* a scheduled function runs, as an imperative tree. Explicit loops, buffers, vectors, masks, threads.

Made by a target's lowering of tile IR, printed by ``printer``, turned into code by an emitter. Nothing here knows tile
IR. Expressions are trees without effects, evaluated where their statement stands; share a result by naming it with
:class:`Let`. Names of operations are those of the tile IR (``lem.ir.ops.elementwise``), with the same meaning, on
scalars and on vectors alike. Use the functions of ``build`` rather than the classes: they find the types and fold
constants.

Every index is an i64 in *elements* of the buffer. bool is one byte in memory, one bit in a value. f16, bf16, f8 values
only move, compare and are cast. Nodes are never changed once built (blocks grow while their builder is open).
"""

from __future__ import annotations

import itertools
from dataclasses import field

from lem_runtime.abi.dtypes import BOOL, I64, DType
from lem_runtime.abi.records import dataclass

_ids = itertools.count()


@dataclass(frozen=True, slots=True)
class VType:
    """A scalar (lanes 0) or a vector of `lanes` elements."""

    dtype: DType
    lanes: int = 0

    def __str__(self) -> str:
        return f"{self.dtype}x{self.lanes}" if self.lanes else str(self.dtype)

    def of(self, dtype: DType) -> VType:
        """The same shape with another element type."""
        return VType(dtype, self.lanes)

    @property
    def scalar(self) -> VType:
        return VType(self.dtype)


INDEX = VType(I64)
TRUTH = VType(BOOL)


@dataclass(slots=True, eq=False)
class Buffer:
    """Memory that code indexes by element. Bound by one statement; compared by identity.

    space: "arg" (a caller's array), "temp" (Alloc), "scratch" (this worker's), "stack" (StackBuffer), "name" (NameBuffer).
    """

    name: str
    dtype: DType
    space: str
    uid: int = field(default_factory=lambda: next(_ids))

    def __repr__(self) -> str:
        return f"{self.name}.{self.uid}"


@dataclass(slots=True, eq=False)
class Expr:
    """Base of expressions: no effects; `type` says what it gives."""

    type: VType


@dataclass(slots=True, eq=False)
class Var(Expr):
    """A named value. A mutable one is declared by a Let, which gives the first value, and changed by Set."""

    name: str
    mutable: bool = False
    uid: int = field(default_factory=lambda: next(_ids))

    def __repr__(self) -> str:
        return f"{self.name}.{self.uid}"


# ---- expressions -------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Const(Expr):
    """A literal in every lane; floats may be inf or nan."""

    value: int | float | bool


@dataclass(slots=True, eq=False)
class Slot(Expr):
    """The scalar in slot `index` of the argument block (only in a function of kind "entry")."""

    index: int


@dataclass(slots=True, eq=False)
class CtxField(Expr):
    """ "worker", "n_workers", or "frame": an address in this call's part of the stack. An i64."""

    name: str


@dataclass(slots=True, eq=False)
class Unary(Expr):
    kind: str
    x: Expr


@dataclass(slots=True, eq=False)
class Binary(Expr):
    kind: str
    x: Expr
    y: Expr


@dataclass(slots=True, eq=False)
class Compare(Expr):
    kind: str
    x: Expr
    y: Expr


@dataclass(slots=True, eq=False)
class Fma(Expr):
    """x * y + z, rounded once; on a processor without FMA only where it is `exact`."""

    x: Expr
    y: Expr
    z: Expr
    exact: bool = False


@dataclass(slots=True, eq=False)
class Select(Expr):
    """`cond` may be a scalar where the sides are vectors."""

    cond: Expr
    x: Expr
    y: Expr


@dataclass(slots=True, eq=False)
class Cast(Expr):
    """Conversion by value to `type.dtype` (LANGUAGE 26)."""

    x: Expr


@dataclass(slots=True, eq=False)
class Bits(Expr):
    """The same bits as another type of the same width."""

    x: Expr


@dataclass(slots=True, eq=False)
class Splat(Expr):
    """A scalar in every lane."""

    x: Expr


@dataclass(slots=True, eq=False)
class Iota(Expr):
    """0, 1, 2, ... of an integer type."""


@dataclass(slots=True, eq=False)
class Extract(Expr):
    """Lane `lane` (an i64 scalar, or a Python int) of a vector."""

    x: Expr
    lane: Expr | int


@dataclass(slots=True, eq=False)
class Insert(Expr):
    """`x` with lane `lane` replaced by the scalar `value`."""

    x: Expr
    lane: Expr | int
    value: Expr


@dataclass(slots=True, eq=False)
class Shuffle(Expr):
    """Lanes picked by number from `x` followed by `y` (of the same type); -1: any value."""

    x: Expr
    y: Expr
    lanes: tuple[int, ...]


@dataclass(slots=True, eq=False)
class TestLanes(Expr):
    """A scalar bool: "any" or "all" lanes of a bool vector."""

    kind: str
    x: Expr


@dataclass(slots=True, eq=False)
class Load(Expr):
    """``buffer[index]``; as a vector ``buffer[index + lane * stride]``. stride None: 1.

    mask: lanes that may touch memory; the others give `other` (None: zero). Reads memory: keep it in a Let.
    """

    buffer: Buffer
    index: Expr
    stride: Expr | None = None
    mask: Expr | None = None
    other: Expr | None = None


@dataclass(slots=True, eq=False)
class Gather(Expr):
    """``buffer[indices]``, lane by lane; `mask` and `other` as in Load."""

    buffer: Buffer
    indices: Expr
    mask: Expr | None = None
    other: Expr | None = None


@dataclass(slots=True, eq=False)
class SameBuffer(Expr):
    """Whether two buffers begin at the same place."""

    x: Buffer
    y: Buffer


# ---- statements --------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Stmt:
    """Base of statements."""


@dataclass(slots=True, eq=False)
class Block:
    """Statements in order. A variable or buffer is known from its declaration to the end of its block."""

    stmts: list[Stmt] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Let(Stmt):
    """Name a value: once for an immutable variable, as the first value of a mutable one."""

    var: Var
    value: Expr


@dataclass(slots=True, eq=False)
class Set(Stmt):
    var: Var
    value: Expr


@dataclass(slots=True, eq=False)
class ArgPointer(Stmt):
    """Bind an "arg" buffer to the pointer in slot `index` of the argument block."""

    buffer: Buffer
    index: int


@dataclass(slots=True, eq=False)
class StackBuffer(Stmt):
    """`count` elements on the stack, 64-byte aligned, one instance per call of the function however often it runs."""

    buffer: Buffer
    count: int


@dataclass(slots=True, eq=False)
class Scratch(Stmt):
    """Worker-local memory for several buffers at once (the ABI has one call per body). Each part is 64-byte aligned and
    `counts` elements long; contents are undefined. Out of memory: a fault at `site`."""

    buffers: tuple[Buffer, ...]
    counts: tuple[Expr, ...]
    site: int


@dataclass(slots=True, eq=False)
class Alloc(Stmt):
    """A temporary of `count` elements, 64-byte aligned; freed by Free, when this statement runs again, or when the function
    ends in any way. Out of memory: a fault at `site`. counted: names may hold it too, and what lets go of it last frees it.
    zeroed: else it holds anything, and all of it is written before it is read."""

    buffer: Buffer
    count: Expr
    site: int
    counted: bool = False
    zeroed: bool = True


@dataclass(slots=True, eq=False)
class Free(Stmt):
    buffer: Buffer


@dataclass(slots=True, eq=False)
class NameBuffer(Stmt):
    """Declare `buffer`, of the space "name": it is the memory that Rebind has given it last."""

    buffer: Buffer


@dataclass(slots=True, eq=False)
class Rebind(Stmt):
    """Let names be other memory, all at once: ``a, b = b, a``. Sources: counted temporaries, arguments, names, or parts of
    these; `wholes`: what they are parts of, or themselves."""

    names: tuple[Buffer, ...]
    sources: tuple[Buffer, ...]
    wholes: tuple[Buffer, ...]


@dataclass(slots=True, eq=False)
class View(Stmt):
    """Bind `buffer` to the memory of `base` from element `offset` on (e.g. a row: its address is computed once)."""

    buffer: Buffer
    base: Buffer
    offset: Expr


@dataclass(slots=True, eq=False)
class Pick(Stmt):
    """Bind `buffer` to the memory of `x` where `cond` (a scalar bool) holds, else to that of `y`."""

    buffer: Buffer
    cond: Expr
    x: Buffer
    y: Buffer


@dataclass(slots=True, eq=False)
class Store(Stmt):
    """``buffer[index (+ lane * stride)] = value`` for lanes in `mask`."""

    buffer: Buffer
    index: Expr
    value: Expr
    stride: Expr | None = None
    mask: Expr | None = None


@dataclass(slots=True, eq=False)
class Scatter(Stmt):
    """``buffer[indices] = value``, lanes in order, for lanes in `mask`."""

    buffer: Buffer
    indices: Expr
    value: Expr
    mask: Expr | None = None


@dataclass(slots=True, eq=False)
class AtomicUpdate(Stmt):
    """``buffer[index] = buffer[index] KIND value`` as one step, scalar integers only: add max min or and."""

    kind: str
    buffer: Buffer
    index: Expr
    value: Expr


@dataclass(slots=True, eq=False)
class For(Stmt):
    """``for var in lo, lo + step .. < hi`` (step > 0), or down to ``> hi`` (step < 0). unroll: copies of the body per
    turn that code should have (a hint; 1 = as written)."""

    var: Var
    lo: Expr
    hi: Expr
    step: int
    body: Block
    unroll: int = 1


@dataclass(slots=True, eq=False)
class While(Stmt):
    """Run `test`, stop unless `cond` (a scalar bool named or computed there), run `body`, again."""

    test: Block
    cond: Expr
    body: Block


@dataclass(slots=True, eq=False)
class If(Stmt):
    """A branch on a scalar bool. likely: True, False or None (unknown)."""

    cond: Expr
    then: Block
    orelse: Block
    likely: bool | None = None


@dataclass(slots=True, eq=False)
class Fault(Stmt):
    """Where `cond` (scalar or vector bool) holds in some lane: record the first such lane, end with FAULTED.

    order: element number of lane 0 (i64; -1 in sequential code), lane l has order + l * order_step.
    values: at most four, scalars or vectors, of any type (floats are widened to f64, integers to 64 bits).
    """

    cond: Expr
    site: int
    order: Expr
    values: tuple[Expr, ...] = ()
    order_step: Expr | None = None


@dataclass(slots=True, eq=False)
class Attempt(Stmt):
    """Run `body`. A fault of several lanes at once in it does not end the function: its first lane is written to `lane`
    and `again` runs, which asks the lanes before that one once more, one by one. Then the function ends with FAULTED."""

    body: Block
    lane: Var
    again: Block


@dataclass(slots=True, eq=False)
class Poll(Stmt):
    """End with CANCELLED when the call was cancelled. every: look only each so many times (a counter in a register)."""

    every: int = 1


@dataclass(slots=True, eq=False)
class Print(Stmt):
    """Queue a line; scalar values, `cond` a scalar bool or None."""

    site: int
    order: Expr
    values: tuple[Expr, ...]
    cond: Expr | None = None


@dataclass(slots=True, eq=False)
class Mark(Stmt):
    site: int
    phase: int


@dataclass(slots=True, eq=False)
class Prefetch(Stmt):
    """Bring the cache line of ``buffer[index]`` nearer. May name an address outside of the buffer."""

    buffer: Buffer
    index: Expr
    write: bool = False
    locality: int = 3


@dataclass(slots=True, eq=False)
class ParallelFor(Stmt):
    """Run `body` for pieces [lo, hi) of the units 0 .. n_units, of at most `chunk` units each, on all workers.

    The emitter makes a function of the body; scalars and buffers from outside are handed over by value as they are when
    the statement starts (mutable variables cannot be changed in it). direct: a scalar bool; when it holds, the body runs
    on this thread as one piece. `body` declares its own Scratch.
    """

    name: str
    lo: Var
    hi: Var
    n_units: Expr
    chunk: Expr
    body: Block
    direct: Expr | None = None


@dataclass(slots=True, eq=False)
class Call(Stmt):
    """Call another function of the module (kind "entry") for its whole work. args: one per slot: a scalar, or a buffer
    with its element offset. A status other than DONE is handed on. lo, hi: what the callee gets as its `lo` and `hi`."""

    callee: str
    args: tuple[Expr | tuple[Buffer, Expr], ...]
    lo: Expr
    hi: Expr


@dataclass(slots=True, eq=False)
class Return(Stmt):
    """End the function with `status` (a Python int: DONE, FAULTED, CANCELLED)."""

    status: int = 0


@dataclass(slots=True, eq=False)
class Func:
    """A function ``i32 name(ctx, args, lo, hi)`` of the ABI. `lo`, `hi`: i64 variables known in the body."""

    name: str
    lo: Var
    hi: Var
    body: Block


@dataclass(slots=True, eq=False)
class Module:
    """Functions in order, callees first; the last one is what the artifact enters."""

    functions: list[Func]
