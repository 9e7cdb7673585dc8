"""What is known while the body of one function is checked: names in scope, facts in force, what was assigned, what was read
and written.

Takes nothing but its parts; every file of `types` that walks the tree gets a :class:`Ctx` first. A :class:`Session` is
what all functions of one compilation share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0310
from lem.names import Bound, ModuleScope
from lem.source import Span
from lem.syntax import ast
from lem.types import typed
from lem.types.convert import error
from lem.types.linear import Lin, Sym, Symbols
from lem.types.prove import Context, Residual
from lem.types.races import Access
from lem.types.scope import Dim, Entity, Held, Index, Local, Scopes
from lem_runtime.abi.dtypes import DType
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Place
from lem_runtime.abi.sizes import Size


@dataclass(frozen=True, slots=True)
class LocalType:
    """What is known of an unannotated local's type. adapts: only literals so far ("int", "float")."""

    type: typed.ValueType
    adapts: str
    span: Span


@dataclass(frozen=True, slots=True)
class Claim:
    """``unique(array)[subs]``: its elements differ where one of `subs` does."""

    array: typed.ArrayVar
    subs: tuple[Lin, ...]
    span: Span


@dataclass(slots=True)
class Grid:
    """The grid whose body is checked. `outer`: facts at the grid statement; `accesses`: what its elements touch; `claims`:
    tests of ``unique`` by what they are about, to be made before it."""

    span: Span
    outer: Context
    indices: tuple[Index, ...]
    accesses: list[Access] = field(default_factory=list)
    claims: dict[object, typed.CheckUnique] = field(default_factory=dict)


@dataclass(slots=True)
class Need:
    """A condition on sizes that some expression needs, to be checked at the call."""

    residual: Residual
    why: str
    span: Span


@dataclass(slots=True)
class Touch:
    """One read, write or update of an array, in program order. `loops`: the sequential loops around it, outermost first."""

    kind: str  # "read" "write" "update"
    span: Span
    loops: tuple[ast.Stmt, ...]
    is_guarded: bool
    access: Access
    grid: Grid | None


@dataclass(slots=True)
class Flow:
    """assigned: locals and results that certainly have a value here. live: whether this point can be reached at all."""

    assigned: frozenset[object] = frozenset()
    live: bool = True

    def join(self, other: Flow) -> Flow:
        if not self.live:
            return other
        if not other.live:
            return self
        return Flow(self.assigned & other.assigned)


@dataclass(eq=False)
class Session:
    """What all functions of one compilation share: typed functions by instance name, fn instances, constants."""

    bound: Bound
    diags: Diagnostics
    handlers: Handlers
    functions: dict[str, typed.Function] = field(default_factory=dict)
    checked: dict[str, typed.Function | None] = field(default_factory=dict)
    active: list[tuple[str, Span]] = field(default_factory=list)
    circles: dict[str, tuple[str, ...]] = field(default_factory=dict)  # tasks that are called again, by way of which
    fns: dict[Any, Any] = field(default_factory=dict)
    fns_not_run: dict[Any, tuple[str, Span]] = field(default_factory=dict)
    active_fns: list[ast.Function] = field(default_factory=list)
    constants: dict[int, Any] = field(default_factory=dict)
    structs: dict[int, DType] = field(default_factory=dict)
    active_structs: list[ast.Struct] = field(default_factory=list)
    not_run: dict[str, tuple[str, Span]] = field(default_factory=dict)

    def is_misread(self, item: ast.Node) -> bool:
        """Whether the parser reported something in this item: what the checker could add would be about text that nobody
        wrote, so it adds nothing."""
        inside = item.span
        return any(
            d.code.id.startswith("E01") and d.span is not None and d.span.source is inside.source
            and inside.start <= d.span.start <= inside.end
            for d in self.diags.items
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Handlers:
    """The table of the checker: which function checks which node. Assembled in ``checker.py``, where it can be read."""

    expressions: Mapping[type, Callable[..., typed.Expr]]
    statements: Mapping[type, Callable[..., list[typed.Stmt]]]
    function: Callable[..., Any]
    header: Callable[..., Any]
    declared: Callable[..., Any]
    is_part: Callable[..., bool]
    part: Callable[..., Any]
    power: Callable[..., typed.Expr]
    nested: Callable[..., Any]
    builtins: Mapping[str, Builtin]


@dataclass(frozen=True, slots=True)
class Builtin:
    """One function that is always there. Hover, completion and the reference read `signature`, `doc` and `example`.

    check: ``(ctx, call) -> typed expression``; reports what is wrong with the call.
    """

    name: str
    signature: str
    doc: str
    example: str
    check: Callable[[Ctx, ast.Call], typed.Expr]


@dataclass(eq=False)
class Ctx:
    """The state of checking one function.

    kind: "kernel" "fn" "task" "test" or "const" (a default value, a `where` clause).
    returns: of an fn: the declared result types, or None where they are found from the returns.
    start:   facts at the start of the body: about sizes and scalars alone.
    skips_rest: a branch decided at compile time has left: what follows in its block is for other types.
    not_run: something that is part of the language and cannot run yet, where it was used first; it takes part as what was
             reported does, and all else is checked.
    expects_fault: the call at hand shall fail when it runs: what certainly fails is no mistake.
    mask:    value axes that the conditions around depend on.
    blocks:  axes of the `tiles` loops around, outermost first.
    ahead:   statements to run before the one at hand, for calls of kernels in it; None where what is checked may not run,
             or not once, and then `instead` says what to write.
    turns:   of each `range` statement, by what facts its first turn is told: that its variable has its first value.
             None where its bounds are known only when it runs.
    claims, elements: what ``unique`` says, by the symbol of the element it was said of, and these symbols by their loads.
    tested:  for claims about what the function never changes, the flag that says that they hold.
    """

    session: Session
    diags: Diagnostics
    module: ModuleScope
    kind: str
    name: str
    symbols: Symbols = field(default_factory=Symbols)
    scopes: Scopes = field(default_factory=Scopes)
    facts: Context = field(default_factory=Context)
    start: Context = field(default_factory=Context)
    flow: Flow = field(default_factory=Flow)
    grid: Grid | None = None
    loops: tuple[ast.Stmt, ...] = ()
    ahead: list[typed.Stmt] | None = None
    instead: str = ""
    turns: dict[ast.Stmt, tuple[Lin, ...] | None] = field(default_factory=dict)
    branches: int = 0
    axes: frozenset[typed.ValueAxis] = frozenset()
    mask: frozenset[typed.ValueAxis] = frozenset()
    wholes: dict[Any, typed.ValueAxis] = field(default_factory=dict)
    local_types: dict[int, LocalType] = field(default_factory=dict)
    rebound: frozenset[str] = frozenset()  # names that several statements assign
    renamed: set[str] = field(default_factory=set)  # array results of a task that are assigned other arrays
    name_facts: dict[object, Any] = field(default_factory=dict)  # of names of arrays that change: see `rebinding.py`
    facts_of_name: dict[typed.ArrayVar, Any] = field(default_factory=dict)
    block_forms: dict[tuple[object, ...], Lin] = field(default_factory=dict)
    infos: dict[typed.LocalVar, Local] = field(default_factory=dict)
    index_values: dict[typed.IndexVar, Lin] = field(default_factory=dict)
    index_infos: dict[typed.IndexVar, Index] = field(default_factory=dict)
    arrays: dict[typed.ArrayVar, tuple[Lin | None, ...]] = field(default_factory=dict)
    claims: dict[Sym, Claim] = field(default_factory=dict)
    elements: dict[typed.Load, Lin] = field(default_factory=dict)
    tested: dict[object, typed.LocalVar] = field(default_factory=dict)
    dims: dict[str, Dim] = field(default_factory=dict)
    dim_values: dict[str, Lin] = field(default_factory=dict)
    scalar_values: dict[str, Lin] = field(default_factory=dict)
    scalar_types: dict[str, DType] = field(default_factory=dict)
    struct_params: dict[str, Held] = field(default_factory=dict)
    results: dict[str, typed.ArrayVar] = field(default_factory=dict)
    needs: list[Need] = field(default_factory=list)
    touches: dict[typed.ArrayVar, list[Touch]] = field(default_factory=dict)
    returns: tuple[DType, ...] | None = None
    return_values: list[tuple[typed.Expr, ...]] = field(default_factory=list)
    exits: list[tuple[Flow, Span]] = field(default_factory=list)
    subscripted: set[str] | None = None
    break_flows: list[list[Flow]] = field(default_factory=list)
    masked_loops: list[frozenset[typed.ValueAxis]] = field(default_factory=list)
    needs_restart: bool = False
    skips_rest: bool = False
    expects_fault: bool = False
    pending_reads: bool = False
    not_run: tuple[str, Span] | None = None
    params: list[typed.LocalVar | typed.ArrayVar] = field(default_factory=list)
    owner: ast.Function | None = None

    # ------------------------------------------------------------ walking
    def expr(self, node: ast.Expr) -> typed.Expr:
        """Check an expression."""
        made = self.session.handlers.expressions[type(node)](self, node)
        return made if self.axes_match(node.span, made.type.axes) else error(node.span)

    def axes_match(self, span: Span, axes: frozenset[typed.ValueAxis]) -> bool:
        """Whether axes that meet belong together by their names alone; E0310 where they do not."""
        size = typed.same_size_apart(axes) if len(axes) > 2 else ""
        if size:
            self.diags.error(
                E0310, span, f"one axis of size `{size}` meets several",
                help=f"say which belong together by index variables: `for i, j in grid({size}, {size}):`",
            )  # fmt: skip
        return not size

    def block(self, stmts: tuple[ast.Stmt, ...]) -> tuple[typed.Stmt, ...]:
        """Check statements in order. Facts won inside (after `assert`, after `if c: return`) end with the block."""
        facts = self.facts
        out: list[typed.Stmt] = []
        around = self.ahead
        for stmt in stmts:
            ahead: list[typed.Stmt] = []
            self.ahead = ahead
            made = self.session.handlers.statements[type(stmt)](self, stmt)
            out += [*ahead, *made]
            if self.skips_rest:
                break
        self.ahead = around
        self.facts = facts
        self.skips_rest = False
        return tuple(out)

    @contextmanager
    def not_ahead(self, instead: str = "") -> Iterator[None]:
        """Where code may not run, or again and again: no part of it can run before the statement."""
        outer = self.ahead, self.instead
        self.ahead, self.instead = None, instead
        try:
            yield
        finally:
            self.ahead, self.instead = outer

    @contextmanager
    def scope(self, is_home: bool = False) -> Iterator[None]:
        """A scope of names; `is_home`: undeclared locals end with it too."""
        self.scopes.push(is_home)
        try:
            yield
        finally:
            self.scopes.pop()

    @contextmanager
    def assuming(self, facts: Context) -> Iterator[None]:
        """`facts` in force instead of the present ones."""
        before = self.facts
        self.facts = facts
        try:
            yield
        finally:
            self.facts = before

    def find(self, name: str) -> Entity | None:
        return self.scopes.find(name)

    @property
    def in_sequence(self) -> bool:
        """Whether the code runs once, not per element."""
        return self.grid is None and self.kind != "fn"

    def assign(self, what: object) -> None:
        """`what` (a local or a scalar result) has a value from here on."""
        self.flow = Flow(self.flow.assigned | {what}, self.flow.live)

    def leave(self) -> None:
        """Nothing after this point is reached (`return`, `break`, `continue`)."""
        self.flow = Flow(self.flow.assigned, False)

    def not_yet(self, reason: str, span: Span) -> None:
        """The function uses something that is part of the language and cannot run yet."""
        self.not_run = self.not_run or (reason, span)

    # ------------------------------------------------------------ axes
    def whole_axis(self, key: Any, name: str, size: Size | None) -> typed.ValueAxis:
        """The one whole axis of a dimension (or size) in this function."""
        axis = self.wholes.get(key)
        if axis is None:
            axis = self.wholes[key] = typed.ValueAxis(name, "whole", size)
        return axis


def place_of(span: Span) -> Place:
    """A span as data for the signature and for faults."""
    line, col = span.source.place_of(span.start)
    end_line, end_col = span.source.place_of(span.end)
    return Place(span.source.name, line, col, end_line, end_col, span.start, span.end)
