"""What lowering to loop IR knows about a function while it runs: arrays, values, sites, and where code goes.

A strategy is a function ``lower(cx: Context, grid: ops.Grid, plan: GridPlan) -> None`` that appends loop IR for one
grid to ``cx.b``, registered in ``lower.STRATEGIES``. It stands in sequential code when it is called: everything it finds
in ``cx.values`` and ``cx.refs`` is a scalar variable, constant or buffer, which the body of a ParallelFor may use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field

from lem import ir
from lem.ir import ops
from lem.targets.loops import build as lb
from lem.targets.loops.core import Buffer, Expr, Var
from lem_runtime.abi.artifact import Site
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.sizes import Size
from lem_runtime.abi.source import Facts


@dataclass(frozen=True, slots=True)
class ArrayRef:
    """An array of the tile IR in memory: base, sizes and strides (in elements) per axis, as scalars."""

    buffer: Buffer
    sizes: tuple[Expr, ...]
    strides: tuple[Expr, ...]  # Const 1 for the last axis where the facts say so

    def index(self, subs: Sequence[Expr]) -> Expr:
        """Element number of a place (scalars or vectors)."""
        total: Expr = lb.const(0)
        for sub, stride in zip(subs, self.strides, strict=True):
            total = lb.add(total, lb.mul(sub, stride))
        return total


@dataclass(slots=True)
class Context:
    """State of lowering one function. `sites`: those of the whole artifact; grows when the target needs places of its own
    (out of memory)."""

    fn: ir.Function
    module: ir.Module
    facts: Facts
    machine: Machine
    sites: list[Site]
    b: lb.Build = field(default_factory=lb.Build)
    values: dict[ir.Value, Expr] = field(default_factory=dict)
    refs: dict[ir.Array, ArrayRef] = field(default_factory=dict)
    wholes: dict[ir.Array, Buffer] = field(default_factory=dict)  # memory that views are parts of
    slice: tuple[Var, Var] | None = None  # lo, hi of the entry when the function is a single grid
    units: Size | None = None  # set by units_of() for a single grid
    n_parallel: int = 0
    site_base: int = 0  # number of this function's first site among those of the artifact
    prefix: str = ""  # of the names of functions made for parallel bodies
    overwritten: frozenset[ir.Op] = frozenset()  # `Alloc` ops whose memory needs no zeros
    dims: dict[str, Expr] = field(default_factory=dict)
    scalars: dict[str, Expr] = field(default_factory=dict)
    depth: Expr = field(default_factory=lambda: lb.const(0))
    stack_end: Expr = field(default_factory=lambda: lb.const(-1))  # lowest address for frames of tasks; -1: nobody looks

    def named(self, op: ops.Dim | ops.Scalar | ops.Depth) -> Expr:
        """A dimension, a scalar parameter, or how many calls of tasks stand around this one."""
        if isinstance(op, ops.Depth):
            return self.depth
        return self.dims[op.name] if isinstance(op, ops.Dim) else self.scalars[op.name]

    def whole(self, array: ir.Array) -> Buffer:
        """The memory that an array is a part of, or is."""
        found = self.wholes.get(array)
        return self.refs[array].buffer if found is None else found

    def value(self, v: ir.Value) -> Expr:
        """The scalar that a value of sequential code has become."""
        return self.values[v]

    def no_memory_site(self, what: str = "temporaries") -> int:
        """Number of the site that an out-of-memory fault of this function names: `what` there is no memory for."""
        text = f"not enough memory for {what}"
        for n, site in enumerate(self.sites):
            if (site.code, site.kernel, site.text) == ("E0614", self.fn.name, text):
                return n
        self.sites.append(Site("E0614", self.fn.name, text, self.fn.signature.place))
        return len(self.sites) - 1

    @property
    def has_names(self) -> bool:
        """Whether temporaries may get other names: then they live as long as one of these."""
        return any(isinstance(o, ops.Name) for o in self.fn.body.ops)

    def no_stack_site(self) -> int:
        """Number of a site for a task whose callers have filled the stack."""
        text = f"{{0}} calls deep, `{self.fn.name}` finds the stack full"
        self.sites.append(Site("E0624", self.fn.name, text, self.fn.signature.place, ("i64",)))
        return len(self.sites) - 1

    @contextmanager
    def parallel(self, label: str, n_units: Expr, chunk: Expr, direct: Expr | None = None) -> Iterator[tuple[Expr, Expr]]:
        """Open the body of a parallel step over units [lo, hi); respects the slice a single-grid function is asked for.

        Everything it uses from outside must be named (Let) before.
        """
        self.n_parallel += 1
        name = f"{self.prefix}.{''.join(c if c.isalnum() else '_' for c in label) or 'grid'}{self.n_parallel}"
        if self.slice is None:
            with self.b.parallel(name, n_units, chunk, direct) as (lo, hi):
                yield lo, hi
            return
        first, last = self.slice
        whole = lb.compare("lt", last, 0)
        start = self.b.let(lb.select(whole, lb.const(0), first), "first")
        count = self.b.let(lb.select(whole, n_units, lb.sub(last, first)), "count")
        with self.b.parallel(name, count, chunk, direct) as (lo, hi):
            yield self.b.let(lb.add(lo, start), "lo"), self.b.let(lb.add(hi, start), "hi")
