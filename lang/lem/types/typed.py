"""The typed tree: what `types` hands to `lower`. Names are resolved, dtypes and axes known, conversions explicit, every
subscript proven, checked at the call, or marked for a check where it runs. Structure (loops, breaks, fn calls) is still
the source's.

A :class:`ValueType` lists *value axes* only. Inside a grid every value may in addition depend on the element; that is
not tracked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from lem.source import Span
from lem_runtime.abi.dtypes import DType
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Signature, axis_order
from lem_runtime.abi.sizes import Size

# ---------------------------------------------------------------- what names stand for


@dataclass(eq=False, slots=True)
class ValueAxis:
    """An axis that values can carry besides the element's. One "whole" axis per dimension and function: `x[i, :]` and a
    local `acc: f32[D]` share it; the two of `a[:, :]` with one size are others, told apart by their place.

    kind: "range" (comprehension variable), "tiles" (block variable), "whole" (`:` or a local's axis)
    size: for "whole" axes the size as an expression; None otherwise (the clause or loop tells, or:)
    of: the array, and which of its axes, whose computed size a "whole" axis has.
    nth: which of how many axes with this size in one subscript.
    """

    name: str
    kind: str
    size: Size | None = None
    of: tuple[ArrayVar, int] | None = None
    nth: tuple[int, int] = (0, 1)


def same_size_apart(axes: frozenset[ValueAxis]) -> str:
    """A size that `axes` have on one axis of one value and on several of another, which nothing matches; "" for none."""
    several = [a for a in axes if a.nth[1] > 1]
    unlike = [a for a in several for b in axes if b.kind == a.kind and b.size == a.size and b.nth[1] != a.nth[1]]
    return min((a.name.rpartition(".")[0] for a in unlike), default="")


@dataclass(frozen=True, slots=True, repr=False)
class StructType(DType):
    """A struct as the type of one value. To all rules about numbers it is a type that is neither int, float nor bool.

    module: where it is defined: structs of two modules are two types, whatever their names.
    """

    module: str
    fields: tuple[tuple[str, DType], ...]

    def field(self, name: str) -> int | None:
        """Number of the field `name`."""
        return next((n for n, (field, _) in enumerate(self.fields) if field == name), None)


def leaves(dtype: DType) -> Iterator[tuple[str, DType]]:
    """The numbers a value is made of, in order, with the path to each: ("", f32) of an f32; ("x", f32), ("y", f32) of a
    point; ("at.x", f32), ... of a struct that holds one."""
    if not isinstance(dtype, StructType):
        yield "", dtype
        return
    for name, inner in dtype.fields:
        for path, leaf in leaves(inner):
            yield (f"{name}.{path}" if path else name), leaf


@dataclass(frozen=True, slots=True)
class ValueType:
    dtype: DType
    axes: frozenset[ValueAxis] = frozenset()

    def __str__(self) -> str:
        names = ", ".join(sorted(a.name for a in self.axes))
        return f"{self.dtype} over {{{names}}}" if names else str(self.dtype)


@dataclass(eq=False, slots=True)
class PartLocals:
    """Which part of which array a name stands for now: per axis of that array (of the one with most axes that it may be; one
    that has fewer has more of size 1) its first place, how many there are and how far apart; and `kept`, which of these
    axes the name still has, where that is always the same, else a local for each."""

    firsts: tuple[LocalVar, ...]
    counts: tuple[LocalVar, ...]
    steps: tuple[LocalVar, ...]
    kept: tuple[int, ...] | tuple[LocalVar, ...]

    def locals(self) -> tuple[LocalVar, ...]:
        return (*self.firsts, *self.counts, *self.steps, *(k for k in self.kept if isinstance(k, LocalVar)))


@dataclass(eq=False, slots=True)
class ArrayVar:
    """A parameter or array result (kind "param"), a temporary of sequential code ("temp"), an element's own small array
    ("local"), a part of another array ("view": of `base`), a name that :class:`Bind` lets stand for one array after the
    other ("name").

    shape: sizes over dimensions and int parameters where they are such; None for an axis of a temp, local or view whose
    size is computed (then the declaring :class:`MakeArray` or :class:`MakeView` tells).
    layout: as written (``signature.LAYOUTS``), of a view what is known; "" for a parameter is the caller's, for what is
    made here row by row.
    part: of a name that may stand for parts of arrays.
    """

    name: str
    dtype: DType
    shape: tuple[Size | None, ...]
    kind: str
    effect: str  # "read" "out" "inout" "reduce" "result"
    span: Span
    reduce_op: str = ""
    layout: str = ""
    base: ArrayVar | None = None
    part: PartLocals | None = None

    @property
    def root(self) -> ArrayVar:
        """The array whose elements these are."""
        return self if self.base is None else self.base.root

    @property
    def order(self) -> str:
        """ "row" or "col" where it is known that neighbours along the last or the first axis lie side by side; else ""."""
        return axis_order(self.layout) or ("row" if self.kind in ("temp", "local") else "")


@dataclass(eq=False, slots=True)
class LocalVar:
    """A scalar local, or an axis-typed one (`acc: f32[D]`: `type.axes` = {D}). In a grid it has the element's axes too."""

    name: str
    type: ValueType
    span: Span


@dataclass(eq=False, slots=True)
class IndexVar:
    """kind: "grid" (number of the element), "loop" (a range statement), "range"/"tiles" (then `axis` is its axis)."""

    name: str
    kind: str
    span: Span
    axis: ValueAxis | None = None


# ---------------------------------------------------------------- expressions


@dataclass(eq=False, slots=True)
class Expr:
    span: Span
    type: ValueType


@dataclass(eq=False, slots=True)
class Const(Expr):
    value: int | float | bool


@dataclass(eq=False, slots=True)
class DimSize(Expr):
    """Size of a dimension as an i64."""

    dim: str


@dataclass(eq=False, slots=True)
class ArraySize(Expr):
    """Size of one axis of an array as an i64."""

    array: ArrayVar
    axis: int


@dataclass(eq=False, slots=True)
class PartOf(Expr):
    """Where an array lies in the one whose elements it names, as an i64. what: "first" place, "count" of places, or "step"
    from one to the next on the `axis`-th axis of that array; "kept": which of its axes is the `axis`-th of this one."""

    array: ArrayVar
    what: str
    axis: int


@dataclass(eq=False, slots=True)
class Depth(Expr):
    """How many calls of tasks stand around this one, as an i64."""


@dataclass(eq=False, slots=True)
class ScalarRef(Expr):
    """A scalar parameter of the kernel or task."""

    name: str


@dataclass(eq=False, slots=True)
class LocalRef(Expr):
    """Also an fn's scalar parameter."""

    local: LocalVar


@dataclass(eq=False, slots=True)
class IndexRef(Expr):
    """An index or loop variable used as a number (i64)."""

    var: IndexVar


@dataclass(eq=False, slots=True)
class At:
    """A subscript that picks one place. `check`: must be tested where it runs: for its range (a gather), or, with a policy
    for what lies outside, that its axis has elements; else that is proven or covered by a condition of the signature."""

    index: Expr  # i64
    check: bool
    span: Span


@dataclass(eq=False, slots=True)
class Whole:
    """``:``"""

    axis: ValueAxis
    span: Span


@dataclass(eq=False, slots=True)
class Load(Expr):
    """boundary: "" "clamp" "wrap" "fill"."""

    array: ArrayVar
    subs: tuple[At | Whole, ...]
    boundary: str = ""
    fill: Expr | None = None


@dataclass(eq=False, slots=True)
class Having(Expr):
    """`x`, where `stmts` have named the parts of arrays that it speaks of: ``a[lo:hi][i]``."""

    stmts: tuple[Stmt, ...]
    x: Expr


@dataclass(eq=False, slots=True)
class MakeStruct(Expr):
    """``Body(x=1, y=2)``: a value per field, in the order of the struct."""

    values: tuple[Expr, ...]


@dataclass(eq=False, slots=True)
class Field(Expr):
    """``p.x``: the `index`-th field of a struct value. Of a :class:`Load` only the field is loaded."""

    x: Expr
    index: int


@dataclass(eq=False, slots=True)
class Unary(Expr):
    """op: names of ``ir.ops.UNARY``. `not` on bools is logical, on integers bitwise (`~`)."""

    op: str
    x: Expr


@dataclass(eq=False, slots=True)
class Binary(Expr):
    """op: names of ``ir.ops.ARITHMETIC``, operands of one dtype (the result's); y of shl/shr is any integer. check:
    floordiv/mod of integers whose divisor is not proven non-zero; shl/shr whose count is not proven >= 0."""

    op: str
    x: Expr
    y: Expr
    check: bool = False


@dataclass(eq=False, slots=True)
class Compare(Expr):
    """op: eq ne lt le gt ge. Chains have become Logic."""

    op: str
    x: Expr
    y: Expr


@dataclass(eq=False, slots=True)
class Logic(Expr):
    """Short-circuit: `y` is evaluated for elements where `x` does not decide. op: "and" "or"."""

    op: str
    x: Expr
    y: Expr


@dataclass(eq=False, slots=True)
class IfExpr(Expr):
    """``then if cond else orelse``: each side is evaluated for its elements only."""

    cond: Expr
    then: Expr
    orelse: Expr


@dataclass(eq=False, slots=True)
class Select(Expr):
    """``where(cond, x, y)``: both sides are evaluated."""

    cond: Expr
    x: Expr
    y: Expr


@dataclass(eq=False, slots=True)
class Fma(Expr):
    x: Expr
    y: Expr
    z: Expr


@dataclass(eq=False, slots=True)
class Cast(Expr):
    """To `type.dtype`, by value."""

    x: Expr


@dataclass(eq=False, slots=True)
class Bits(Expr):
    """To `type.dtype`, same bits."""

    x: Expr


@dataclass(eq=False, slots=True)
class TargetIs(Expr):
    """Whether the code is made for one of these targets: known when it is."""

    targets: tuple[str, ...]


@dataclass(eq=False, slots=True)
class CallFn(Expr):
    """A call of an fn with one result (or the `index`-th of several, see :class:`CallFnStmt`)."""

    fn: FnInstance
    args: tuple[Expr | ArrayVar, ...]


@dataclass(eq=False, slots=True)
class WholeArray(Expr):
    """An array as `print` shows it in a test; `type` is that of its elements."""

    array: ArrayVar


@dataclass(eq=False, slots=True)
class Domain:
    """lo, lo + step, ... < hi, all i64. `dim`: the dimension it is (a slice of), if any. A bound that must be tested in
    0..size where it runs is in `checks` ("lo", "hi"), and then there is a `size`; step > 0 but for range statements.
    `by`: the step of a range statement where it is no literal (`step` is 1 then); it is above 0, which is tested where it
    runs when "step" is in `checks`."""

    lo: Expr
    hi: Expr
    step: int
    dim: str | None
    span: Span
    checks: tuple[str, ...] = ()
    size: Expr | None = None
    by: Expr | None = None


@dataclass(eq=False, slots=True)
class Clause:
    var: IndexVar  # kind "range"
    domain: Domain


@dataclass(eq=False, slots=True)
class Reduce(Expr):
    """``sum(value for k in K for l in L if c)``. kind: sum prod max min any all mean argmax argmin."""

    kind: str
    value: Expr
    clauses: tuple[Clause, ...]
    conds: tuple[Expr, ...]


@dataclass(eq=False, slots=True)
class ReduceOver(Expr):
    """``sum(value, over=j)``: reduces an axis in scope."""

    kind: str
    value: Expr
    axis: ValueAxis


@dataclass(eq=False, slots=True)
class Scan(Expr):
    """``scan(f, value, over=axis, start=start)``: along the axis, `combine` of what came before (`state`) and of the value
    there (`item`); from the end where `reverse`. All have one dtype."""

    value: Expr
    axis: ValueAxis
    start: Expr
    state: LocalVar
    item: LocalVar
    combine: Expr
    reverse: bool


# ---------------------------------------------------------------- statements


@dataclass(eq=False, slots=True)
class Stmt:
    span: Span


@dataclass(eq=False, slots=True)
class SetLocal(Stmt):
    """`value` has the local's dtype and at most its axes."""

    local: LocalVar
    value: Expr


@dataclass(eq=False, slots=True)
class SetLocals(Stmt):
    """Tuple assignment: all right-hand sides are evaluated first."""

    locals: tuple[LocalVar, ...]
    values: tuple[Expr, ...]


@dataclass(eq=False, slots=True)
class CallFnStmt(Stmt):
    """``a, b = f(x)`` for an fn with several results; a target may be None."""

    locals: tuple[LocalVar | None, ...]
    fn: FnInstance
    args: tuple[Expr | ArrayVar, ...]


@dataclass(eq=False, slots=True)
class MakeArray(Stmt):
    """Declare a temp or local array. sizes: i64 expressions, one per axis."""

    array: ArrayVar
    sizes: tuple[Expr, ...]
    fill: Expr | None


@dataclass(eq=False, slots=True)
class Cut:
    """An axis of a view: places lo, lo + step, ... < hi of the base's axis (none where hi <= lo). A bound that must be
    tested in 0..size where it runs is in `checks` ("lo", "hi")."""

    lo: Expr
    hi: Expr
    step: int
    span: Span
    checks: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class MakeView(Stmt):
    """Name a part of `array.base`: per axis of the base one place (the view has no such axis) or a cut. `by_element`: each
    element names another one, so that it is no array by itself but a way to find places of the base."""

    array: ArrayVar
    parts: tuple[At | Cut, ...]
    by_element: bool = False


@dataclass(eq=False, slots=True)
class Bind(Stmt):
    """Let names stand for other arrays, all at once."""

    names: tuple[ArrayVar, ...]
    arrays: tuple[ArrayVar, ...]


@dataclass(eq=False, slots=True)
class Fill(Stmt):
    """Give all elements of `array` the values that those of `source`, of the same size, have; unless they are its own."""

    array: ArrayVar
    source: ArrayVar


@dataclass(eq=False, slots=True)
class Store(Stmt):
    """Also a scalar result: an array with no axes. The right-hand side is complete before the store."""

    array: ArrayVar
    subs: tuple[At | Whole, ...]
    value: Expr


@dataclass(eq=False, slots=True)
class Update(Stmt):
    """On `reduce` arrays. op: add max min or and."""

    op: str
    array: ArrayVar
    subs: tuple[At | Whole, ...]
    value: Expr


@dataclass(eq=False, slots=True)
class If(Stmt):
    """static: True/False when decided at compile time (`target is spu`, `T is f32`): then only one side was checked and
    the other is empty."""

    cond: Expr
    then: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]


@dataclass(eq=False, slots=True)
class While(Stmt):
    cond: Expr
    body: tuple[Stmt, ...]


@dataclass(eq=False, slots=True)
class ForRange(Stmt):
    """Sequential; `domain.step` may be negative (then it runs down while > hi), or `domain.by` says what it is."""

    var: IndexVar  # kind "loop"
    domain: Domain
    body: tuple[Stmt, ...]


@dataclass(eq=False, slots=True)
class ForTiles(Stmt):
    var: IndexVar  # kind "tiles"
    domain: Domain  # step 1
    block: Expr | None
    body: tuple[Stmt, ...]
    pipeline: int = 1
    choices: tuple[int, ...] = ()  # of the block, for a tuner; `block` is the first


@dataclass(eq=False, slots=True)
class ForGrid(Stmt):
    vars: tuple[IndexVar, ...]
    domains: tuple[Domain, ...]
    tile: tuple[int | None, ...]  # () when not written; None where the compiler chooses
    body: tuple[Stmt, ...]
    choices: tuple[tuple[int, ...], ...] = ()  # of each tile size, for a tuner; () or one tuple per variable
    by_target: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = ()  # targets, with the choices on each


@dataclass(eq=False, slots=True)
class CheckUnique(Stmt):
    """Fault unless all elements of the integer array `index` that name a place of `target`'s axis `axis` differ."""

    index: ArrayVar
    target: ArrayVar
    axis: int


@dataclass(eq=False, slots=True)
class Break(Stmt):
    pass


@dataclass(eq=False, slots=True)
class Continue(Stmt):
    """Of the innermost loop; directly in a grid body: ends the element."""


@dataclass(eq=False, slots=True)
class Return(Stmt):
    """In a grid: ends the element. In an fn: `values`."""

    values: tuple[Expr, ...]


@dataclass(eq=False, slots=True)
class Assert(Stmt):
    cond: Expr
    message: str
    values: tuple[Expr, ...]  # shown in the message as {0} .. {3}


@dataclass(eq=False, slots=True)
class Require(Stmt):
    """A test of the language's own: fault with `code` where `cond` is false, `values` shown as in :class:`Assert`."""

    cond: Expr
    code: str
    text: str
    values: tuple[Expr, ...] = ()


@dataclass(eq=False, slots=True)
class Breakpoint(Stmt):
    """Where a debugger stops, if the program is stepped through; compiled code does not know it."""


@dataclass(eq=False, slots=True)
class Print(Stmt):
    """`text` with {0}, {1:.3f} ... for the values."""

    text: str
    values: tuple[Expr, ...]


@dataclass(eq=False, slots=True)
class Spawn:
    """How a call is spawned: targets it is meant for (none: any), an array to run near to, priority, and what to save:
    "energy", "time" or "" (as always)."""

    on: tuple[str, ...] = ()
    near: ArrayVar | None = None
    priority: Expr | None = None
    objective: str = ""


@dataclass(eq=False, slots=True)
class Sync(Stmt):
    """Wait for all that the task has spawned."""


@dataclass(eq=False, slots=True)
class CallKernel(Stmt):
    """Run a kernel or task to its end. In the order of the callee's arrays (results last), scalars and dims. `conditions`
    of the callee's signature that are not known to hold in the caller, as bool expressions with a text. `apart`: pairs of
    arrays that may share no element, where only the call can tell, with a text. `spawn`: how it was spawned; its scalar
    results are read where they are needed."""

    callee: str
    arrays: tuple[ArrayVar, ...]
    scalars: tuple[Expr, ...]
    dims: tuple[Expr, ...]
    conditions: tuple[tuple[Expr, str], ...] = ()
    apart: tuple[tuple[ArrayVar, ArrayVar, str], ...] = ()
    spawn: Spawn | None = None


@dataclass(eq=False, slots=True)
class ArrayData(Expr):
    """Tests only: fresh array contents. kind: "literal" (values nested tuples), "zeros", "iota", "elements" (each is
    `element`, an expression of its indices `vars`); type.axes is empty, `shape` tells."""

    kind: str
    shape: tuple[int, ...]
    values: tuple[object, ...]
    vars: tuple[IndexVar, ...] = ()
    element: Expr | None = None


@dataclass(eq=False, slots=True)
class LetArray(Stmt):
    """Tests only: ``x = f32([[1, 2], [3, 4]])``."""

    array: ArrayVar
    data: ArrayData


@dataclass(eq=False, slots=True)
class Check(Stmt):
    """Tests only. Two sides to compare (arrays or expressions; LANGUAGE 32), or a bool in `left` alone; `fails`: the code
    that `call`, or what stands `before` it, must end with."""

    left: Expr | ArrayVar | None
    right: Expr | ArrayVar | None
    within: float | None
    fails: str | None = None
    call: CallKernel | None = None
    before: tuple[Stmt, ...] = ()


# ---------------------------------------------------------------- functions


@dataclass(eq=False, slots=True)
class FnInstance:
    """An fn checked for the types of one kind of call. Inlined by `lower`."""

    name: str
    params: tuple[LocalVar | ArrayVar, ...]
    results: tuple[ValueType, ...]
    body: tuple[Stmt, ...]
    span: Span


@dataclass(eq=False, slots=True)
class Variant:
    """Another body for a kernel. `suits`: what its `when` and its own signature ask for, whatever the target; it runs
    where `cond` holds, which is that and its target."""

    suits: Expr
    cond: Expr
    call: CallKernel


@dataclass(eq=False, slots=True)
class Function:
    """A kernel, task or test, checked. `name` of an instance of a generic: ``axpy[f32]``."""

    name: str
    kind: str  # "kernel" "task" "test"
    signature: Signature
    arrays: tuple[ArrayVar, ...]  # params in signature order, then results (a scalar result has shape ())
    scalars: tuple[tuple[str, DType], ...]
    body: tuple[Stmt, ...]
    span: Span
    dims: tuple[str, ...] = ()
    attrs: dict[str, object] = field(default_factory=dict)  # decorators as they were written
    at_end: tuple[Stmt, ...] = ()  # after the body, however it ended
    first_reads: dict[str, Span] = field(default_factory=dict)  # of `out` arrays that may be read before they are written
    variants: tuple[Variant, ...] = ()  # of a kernel, in the order in which they are asked
    own_body: tuple[Stmt, ...] = ()  # of a kernel with variants: what `body` does when none of them runs

    @property
    def name_span(self) -> Span:
        place = self.signature.place
        return self.span if place is None else Span(self.span.source, place.start, place.end)


@dataclass(eq=False, slots=True)
class Generic:
    """A kernel that is generic over dtypes: instantiated on demand by ``types.instantiate``."""

    name: str
    params: tuple[tuple[str, str], ...]  # type parameter, bound
    signature: Signature  # dtypes of params may be type parameter names


@dataclass(eq=False, slots=True)
class Module:
    """functions: by instance name, callees first. not_run: items that are parsed and kept but cannot run yet, with why."""

    name: str
    functions: dict[str, Function]
    generics: dict[str, Generic]
    tests: tuple[Function, ...] = ()
    not_run: tuple[tuple[str, str, Span], ...] = ()
