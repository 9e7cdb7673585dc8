"""The syntax tree: what a person wrote, nothing decided yet. Both front ends (``.lem`` files, Python functions) build it.

Nodes are compared by identity (stages hang facts on them through dictionaries); :func:`same` compares trees.
Every node has `span`. Fields hold nodes, tuples of nodes, strings, numbers or None, so that :func:`children`, the
printer (``show.py``) and the formatter work without knowing each class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, TypeVar, dataclass_transform

from lem.source import Span
from lem_runtime.abi.records import dataclass

_T = TypeVar("_T")


@dataclass_transform(eq_default=False)
def _node(cls: type[_T]) -> type[_T]:
    """Every node below is declared alike. No generated `repr`: it would print whole trees, and importing would cost more."""
    return dataclass(slots=True, eq=False, repr=False)(cls)


@_node
class Node:
    span: Span

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.span!r}>"


# ---------------------------------------------------------------- expressions
@_node
class Expr(Node):
    pass


@_node
class Name(Expr):
    id: str


@_node
class Number(Expr):
    """A literal. `text` as written (``1_000``, ``0x1f``, ``1e-5``); `value` is an int or a float."""

    text: str
    value: int | float


@_node
class Bool(Expr):
    value: bool


@_node
class String(Expr):
    value: str


@_node
class FString(Expr):
    """``f"x = {x:.3f}"``: `parts` are :class:`String` and :class:`FormatField`."""

    parts: tuple[Expr, ...]


@_node
class FormatField(Expr):
    value: Expr
    format: str  # what stands after the colon, "" if nothing
    conversion: str  # "" or "r" or "s"; "=" fields are desugared into text and value


@_node
class Unary(Expr):
    op: str  # "-" "+" "~" "not"
    operand: Expr


@_node
class Binary(Expr):
    op: str  # + - * / // % ** & | ^ << >> @
    left: Expr
    right: Expr
    op_span: Span


@_node
class Logic(Expr):
    """``a and b and c``: one node for a run of the same word."""

    op: str  # "and" "or"
    operands: tuple[Expr, ...]


@_node
class Compare(Expr):
    """``a <= b < c``; also ``is``/``is not`` (only ``target is spu``)."""

    left: Expr
    ops: tuple[str, ...]  # == != < <= > >= is "is not" in "not in"
    rights: tuple[Expr, ...]


@_node
class IfExpr(Expr):
    then: Expr
    cond: Expr
    orelse: Expr


@_node
class Call(Expr):
    func: Expr
    args: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]


@_node
class Keyword(Node):
    name: str
    value: Expr
    name_span: Span


@_node
class Subscript(Expr):
    """``x[i, :, a:b]``; also a type in expression position such as ``f32[3]``."""

    value: Expr
    items: tuple[Expr, ...]  # each an expression or a Slice


@_node
class Slice(Expr):
    lo: Expr | None
    hi: Expr | None
    step: Expr | None


@_node
class Attribute(Expr):
    value: Expr
    name: str
    name_span: Span


@_node
class TupleExpr(Expr):
    items: tuple[Expr, ...]


@_node
class ListExpr(Expr):
    """Only inside array literals of tests: ``f32([[1, 2], [3, 4]])``; refused elsewhere by the checker."""

    items: tuple[Expr, ...]


@_node
class For(Node):
    """One ``for k in K`` clause of a comprehension."""

    targets: tuple[Name, ...]
    domain: Expr


@_node
class Comprehension(Expr):
    """``a[i, k] * b[k, j] for k in K if c``: only as the sole argument of a reduction call."""

    value: Expr
    clauses: tuple[For, ...]
    conds: tuple[Expr, ...]


@_node
class Choice(Node):
    name: str
    value: Expr
    name_span: Span


@_node
class Choices(Expr):
    """``{cpu: (6, 64), gpu: (128, 128)}``: a hint by target; only as the value of `tile=`."""

    items: tuple[Choice, ...]


@_node
class ErrorExpr(Expr):
    """Stands where an expression could not be parsed; already reported."""


# ---------------------------------------------------------------- types as written
@_node
class TypeExpr(Node):
    """``[out|inout|reduce(op)] name[type args][sizes].layout``, e.g. ``out f32[M, N].col``, ``pal8.block(32, 32)[M, K]``.

    `name` may be dotted (``nn.Body``). `sizes` is None for a scalar. `suffixes` keeps ``.col``, ``.block(32, 32)``
    in order as ``(name, args)`` pairs, on either side of the brackets.
    """

    name: str
    sizes: tuple[Expr, ...] | None
    suffixes: tuple[TypeSuffix, ...]


@_node
class TypeSuffix(Node):
    name: str
    args: tuple[Expr, ...]


# ---------------------------------------------------------------- statements
@_node
class Stmt(Node):
    pass


@_node
class Assign(Stmt):
    """``a = e``, ``a, b = e``, ``c[i, j] = e``. Chained assignment is refused by the parser."""

    targets: tuple[Expr, ...]  # several for tuple assignment
    value: Expr | Spawn


@_node
class AugAssign(Stmt):
    target: Expr
    op: str  # "+" for "+=", ...
    value: Expr


@_node
class Declare(Stmt):
    """``acc: f32[D] = 0``, ``t: reduce(+) f32[K] = 0``, ``t: f64[M, N]``."""

    name: Name
    effect: str  # "" or "reduce"
    reduce_op: str  # "+", "max", ... when effect is "reduce"
    type: TypeExpr
    value: Expr | None


@_node
class ExprStmt(Stmt):
    value: Expr | Spawn


@_node
class Spawn(Node):
    """``spawn f(x) [on D] [near a] [priority n] [for energy|time]``: alone or right of ``=``."""

    call: Expr
    on: Expr | None
    near: Expr | None
    priority: Expr | None
    objective: str


@_node
class Sync(Stmt):
    pass


@_node
class If(Stmt):
    cond: Expr
    then: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]  # an elif is an If alone in here


@_node
class While(Stmt):
    cond: Expr
    body: tuple[Stmt, ...]


@_node
class ForStmt(Stmt):
    """``for i, j in grid(M, N):``, ``for k in tiles(K, 64):``, ``for t in range(T):``; which one is `domain`'s callee."""

    targets: tuple[Name, ...]
    domain: Expr
    body: tuple[Stmt, ...]


@_node
class Break(Stmt):
    pass


@_node
class Continue(Stmt):
    pass


@_node
class Return(Stmt):
    value: Expr | None


@_node
class Pass(Stmt):
    pass


@_node
class Assert(Stmt):
    cond: Expr
    message: Expr | None


@_node
class Check(Stmt):
    """``check a == b within 1e-6`` and ``check fails "E0601": call`` (then `fails` is the code). Tests only."""

    cond: Expr
    within: Expr | None
    fails: str | None


@_node
class ErrorStmt(Stmt):
    """Stands where a statement could not be parsed; already reported. `body`: the block under a broken header."""

    body: tuple[Stmt, ...] = ()


# ---------------------------------------------------------------- items
@_node
class Item(Node):
    pass


@_node
class Import(Item):
    """``import nn`` or ``from math import exp as e``: `names` is empty for a plain import."""

    module: str
    names: tuple[ImportName, ...]
    alias: str | None


@_node
class ImportName(Node):
    name: str
    alias: str | None


@_node
class Constant(Item):
    """``EPS = 1e-5`` at module level."""

    name: Name
    value: Expr


@_node
class GenericParam(Node):
    """``M`` (a dimension: `bound` None) or ``T: float`` (a dtype)."""

    name: str
    bound: str | None  # "float" "int" "number" "any"


@_node
class Param(Node):
    name: Name
    effect: str  # "" (read) "out" "inout" "reduce"
    reduce_op: str
    type: TypeExpr | None  # None only for an fn's generic parameter
    default: Expr | None


@_node
class Result(Node):
    """One result: ``y: f32[M]`` (named) or ``f32`` (an fn's, `name` None)."""

    name: Name | None
    type: TypeExpr


@_node
class Decorator(Node):
    """``@on(cpu, gpu)``, ``@prefer(gpu, when=c)``, ``@within(rel=2e-2)``, ``@variant(of=f, on=spu)``."""

    name: str
    args: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]


@_node
class Function(Item):
    """A ``kernel``, ``fn`` or ``task``."""

    kind: str  # "kernel" "fn" "task"
    name: Name
    generics: tuple[GenericParam, ...]
    params: tuple[Param, ...]
    results: tuple[Result, ...]
    where: Expr | None
    body: tuple[Stmt, ...]
    doc: str | None
    decorators: tuple[Decorator, ...]
    head_span: Span  # from the keyword to the colon


@_node
class Struct(Item):
    name: Name
    fields: tuple[StructField, ...]
    doc: str | None


@_node
class StructField(Node):
    name: Name
    type: TypeExpr


@_node
class Test(Item):
    """``test "name":``"""

    title: str
    body: tuple[Stmt, ...]


@_node
class ErrorItem(Item):
    """Stands where a top-level item could not be parsed; already reported.

    `name` is what it would have defined, as far as one can tell, so that its uses are not reported as well.
    """

    name: Name | None = None
    body: tuple[Stmt, ...] = ()


@_node
class Module(Node):
    doc: str | None
    items: tuple[Item, ...]
    comments: tuple[tuple[int, str], ...] = ()  # (offset, text with its "#"), in order; for the formatter


# ---------------------------------------------------------------- generic walks
def children(node: Node) -> Iterator[Node]:
    """Direct child nodes, in source order of the fields."""
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Node):
                    yield item


def walk(node: Node) -> Iterator[Node]:
    """`node` and everything below it, parents first."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(list(children(top))))


def same(a: Any, b: Any) -> bool:
    """Whether two trees are equal but for their spans and the way numbers were written."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple) and not isinstance(a, Span):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Node):
        skip = {"span", "op_span", "name_span", "head_span", "text", "comments"}
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if f.name not in skip)
    return bool(a == b)
