"""What names stand for while one function is checked, and the nested scopes they live in.

Takes and gives :class:`Entity` values by name. Module-level names are the business of `names`; here are dimensions, type
parameters, scalars, arrays, locals and index variables. Used by every other file of `types`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from lem.source import Span
from lem.types import typed
from lem.types.linear import Lin
from lem_runtime.abi.dtypes import DType
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.sizes import Size


@dataclass(eq=False, slots=True)
class Dim:
    """A dimension. `size`: its own name; inside an fn the caller's size that it stands for, or, where that is computed,
    None: then it is the size of that axis of the array `of`."""

    name: str
    span: Span
    size: Size | None
    of: tuple[typed.ArrayVar, int] | None = None


@dataclass(eq=False, slots=True)
class TypeName:
    """A type parameter ``T``, bound to the dtype of this instance."""

    name: str
    span: Span
    dtype: DType


@dataclass(eq=False, slots=True)
class ScalarParam:
    """A scalar parameter of a kernel or task: never assigned."""

    name: str
    span: Span
    dtype: DType


@dataclass(frozen=True, slots=True)
class Stretch:
    """Places of one axis: lo, lo + step, ..., `size` of them. None: not known as a form."""

    lo: Lin | None
    size: Lin | None
    step: int = 1


@dataclass(eq=False, slots=True)
class Array:
    """An array. `sizes`: its sizes as linear forms where they are such (a temporary's may be any number).

    box: of a view: per axis of the array whose elements it names, which places (`kept`: the axes that it still has).
    block: of one of several blocks: which cut, and its number along each axis.
    """

    var: typed.ArrayVar
    sizes: tuple[Lin | None, ...]
    box: tuple[Stretch, ...] = ()
    kept: tuple[int, ...] = ()
    block: tuple[Blocks, tuple[Lin | None, ...]] | None = None

    @property
    def name(self) -> str:
        return self.var.name

    @property
    def span(self) -> Span:
        return self.var.span


@dataclass(eq=False, slots=True)
class Blocks:
    """An array cut into blocks: ``t = blocks(a, n0, n1)``. Per axis of the array the local that holds the size of a
    block (never more than the axis has), the size that was asked for as a form, and the local that holds how many blocks
    there are."""

    name: str
    span: Span
    array: Array
    sizes: tuple[Local, ...]
    asked: tuple[Lin | None, ...]
    counts: tuple[Local, ...]


Held = Lin | None | tuple["Held", ...]  # what an integer is, or the fields of a struct; None: nothing a proof could use


@dataclass(eq=False, slots=True)
class Local:
    """A local. `value`: what it holds now, as a linear form over values that never change (of a struct a form per field);
    replaced at each assignment and wherever control flow joins, so that a fact about an old value stays a fact about the
    old value.

    grid:    the grid it belongs to (one value per element), None for a scalar of the function.
    adapts:  "int" or "float" while only literals were assigned: it still takes the type of what it meets.
    outer_axes: axes in scope where it was declared: no value with another axis may be kept in it.
    """

    var: typed.LocalVar
    key: int
    grid: object | None
    value: Held
    outer_axes: frozenset[typed.ValueAxis]
    adapts: str = ""
    is_annotated: bool = False
    is_param: bool = False
    overwritten: Span | None = None  # set after a `tiles` loop that left only its last block's value here
    counts: Span | None = None  # set after a `tiles` loop whose blocks changed it by nothing of their own

    @property
    def form(self) -> Lin | None:
        """The value of an integer."""
        return self.value if isinstance(self.value, Lin) else None

    @property
    def name(self) -> str:
        return self.var.name

    @property
    def span(self) -> Span:
        return self.var.span


@dataclass(eq=False, slots=True)
class Index:
    """An index or loop variable. `value`: itself as a linear form; `domain`: what it ranges over."""

    var: typed.IndexVar
    value: Lin
    domain: typed.Domain

    @property
    def name(self) -> str:
        return self.var.name

    @property
    def span(self) -> Span:
        return self.var.span


@dataclass(eq=False, slots=True)
class Broken:
    """A name whose definition was reported as wrong: using it is no second mistake."""

    name: str
    span: Span


Entity = Dim | TypeName | ScalarParam | Array | Blocks | Local | Index | Broken


@dataclass(slots=True)
class Scopes:
    """A stack of scopes, innermost last.

    homes: which of them keep undeclared locals: the function's, a grid's, a `tiles` loop's, but no other loop's.
    ended: names whose scope is closed, for "is out of scope here".
    """

    stack: list[dict[str, Entity]] = field(default_factory=lambda: [{}])
    homes: list[bool] = field(default_factory=lambda: [True])
    ended: dict[str, Entity] = field(default_factory=dict)

    def find(self, name: str) -> Entity | None:
        for scope in reversed(self.stack):
            if name in scope:
                return scope[name]
        return None

    def add(self, entity: Entity, name: str | None = None) -> None:
        self.stack[-1][name or entity.name] = entity

    def add_local(self, local: Local) -> None:
        """A local that was made by assigning it: it stays known behind the loop that it was first assigned in."""
        home = max(n for n, is_home in enumerate(self.homes) if is_home)
        self.stack[home][local.name] = local

    def add_array(self, array: Array) -> None:
        """A name of arrays that was made by assigning it stays known like a local."""
        home = max(n for n, is_home in enumerate(self.homes) if is_home)
        self.stack[home][array.name] = array

    def add_broken(self, broken: Broken) -> None:
        """A name whose use was reported, for the rest of the innermost scope that keeps locals."""
        home = max(n for n, is_home in enumerate(self.homes) if is_home)
        self.stack[home][broken.name] = broken

    def push(self, is_home: bool = False) -> None:
        self.stack.append({})
        self.homes.append(is_home)

    def pop(self) -> None:
        self.ended.update(self.stack.pop())
        self.homes.pop()

    def names(self) -> Iterator[str]:
        for scope in self.stack:
            yield from scope
