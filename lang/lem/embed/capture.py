"""What a body's names stand for in Python: other functions of lem, constants, dimensions, lem's own words.

Takes the tree of a body and the function it belongs to; rewrites names to what the compiler calls them and gives the items
that the module needs beside it. Names of parameters and locals are the body's own and are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, fields
from types import ModuleType
from typing import Any

import numpy as np

from lem.embed import annotations as an
from lem.embed.around import plain_number
from lem.embed.function import Function
from lem.embed.structs import StructType
from lem.source import Span
from lem.syntax import ast
from lem_runtime.abi.records import dataclass


@dataclass(slots=True)
class Captured:
    """What a body uses from around it, in the order of first use."""

    functions: dict[str, Function] = field(default_factory=dict)
    structs: dict[str, StructType] = field(default_factory=dict)
    constants: dict[str, tuple[int | float | bool, Span]] = field(default_factory=dict)
    dims: dict[str, Span] = field(default_factory=dict)
    others: dict[Span, str] = field(default_factory=dict)  # what is there and cannot be used, by the place that names it


def capture(
    body: tuple[ast.Stmt, ...], params: set[str], around: Mapping[str, Any], out: Captured, above: tuple[ast.Node, ...] = ()
) -> None:
    """Rewrite `body`, and the decorators `above` it, in place; adds what they use to `out`. params: names that its head
    binds."""
    own = params | set(_assigned(body))
    known = {name: thing for name, thing in around.items() if name not in own}
    members: dict[str, Any] = {}
    for part in (*body, *above):
        for node in ast.walk(part):
            _rewrite_children(node, known, members, out)
    for part in (*body, *above):
        for node in ast.walk(part):
            if isinstance(node, ast.TypeExpr):
                _retype(out, node, around)
            elif isinstance(node, ast.Name) and (node.id in known or node.id in members):
                _note(out, node, members[node.id] if node.id in members else known[node.id])


def _assigned(body: tuple[ast.Stmt, ...]) -> Iterator[str]:
    """Names that the body itself binds."""
    for stmt in body:
        for node in ast.walk(stmt):
            match node:
                case ast.Assign(targets=targets):
                    yield from (t.id for t in targets if isinstance(t, ast.Name))
                case ast.AugAssign(target=ast.Name(id=name)):
                    yield name
                case ast.Declare(name=ast.Name(id=name)):
                    yield name
                case ast.ForStmt(targets=targets):
                    yield from (t.id for t in targets)
                case ast.Comprehension(clauses=clauses):
                    yield from (t.id for c in clauses for t in c.targets)


# ---------------------------------------------------------------- lem.exp(x) and math.exp(x) are exp(x), m.f is one name
def _rewrite_children(node: ast.Node, known: Mapping[str, Any], members: dict[str, Any], out: Captured) -> None:
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, ast.Attribute):
            setattr(node, f.name, _plain(value, known, members, out))
        elif isinstance(value, tuple) and any(isinstance(v, ast.Attribute) for v in value):
            plain = (_plain(v, known, members, out) if isinstance(v, ast.Attribute) else v for v in value)
            setattr(node, f.name, tuple(plain))


def _plain(node: ast.Attribute, known: Mapping[str, Any], members: dict[str, Any], out: Captured) -> ast.Expr:
    """``lem.exp`` as ``exp``; a function or number of another module as one name, which is noted in `members`."""
    root = _module(node.value, known)
    if root is None:
        return node
    if _is_namespace(root):
        return ast.Name(node.span, node.name.rstrip("_") if node.name == "bool_" else node.name)
    thing = plain_number(getattr(root, node.name, None))
    if not isinstance(thing, (Function, StructType, bool, int, float)):
        if thing is not None:
            out.others[node.value.span] = _unusable(node.span.text, thing)
        return node
    name = f"{node.value.span.text}.{node.name}"
    members[name] = thing
    return ast.Name(node.span, name)


def _module(node: ast.Expr, known: Mapping[str, Any]) -> ModuleType | None:
    """The module that an expression names: ``m``, or ``package.m``."""
    if isinstance(node, ast.Name):
        found = known.get(node.id)
    elif isinstance(node, ast.Attribute):
        outer = _module(node.value, known)
        found = getattr(outer, node.name, None) if outer is not None else None
    else:
        return None
    return found if isinstance(found, ModuleType) else None


def _is_namespace(thing: Any) -> bool:
    """The modules whose names are lem's own."""
    return thing is math or (isinstance(thing, ModuleType) and thing.__name__ == "lem")


def capture_types(nodes: Iterable[ast.Node], around: Mapping[str, Any], out: Captured) -> None:
    """The types of a head, as those of a body."""
    for outer in nodes:
        for node in ast.walk(outer):
            if isinstance(node, ast.TypeExpr):
                _retype(out, node, around)


def _retype(out: Captured, node: ast.TypeExpr, around: Mapping[str, Any]) -> None:
    """``acc: lem.f32[D]``, ``s: State[D]`` in a body or a head: rewritten, and noted where it is a struct."""
    root, *members = node.name.split(".")
    if members and _is_namespace(around.get(root)):
        node.name = ".".join(members)
        return
    thing = around.get(root)
    for name in members:
        thing = getattr(thing, name, None) if isinstance(thing, ModuleType) else None
    if isinstance(thing, StructType):
        out.structs.setdefault(node.name, thing)
    elif isinstance(thing, type) and thing in an.DTYPES:
        node.name = an.DTYPES[thing]


# ---------------------------------------------------------------- what a name stands for
def _note(out: Captured, node: ast.Name, thing: Any) -> None:
    thing = plain_number(thing)
    if isinstance(thing, type) and issubclass(thing, an.Dim):
        out.dims.setdefault(node.id, node.span)
    elif isinstance(thing, StructType):
        out.structs.setdefault(node.id, thing)
    elif isinstance(thing, Function):
        out.functions.setdefault(node.id, thing)
    elif isinstance(thing, type) and thing in an.DTYPES:
        node.id = an.DTYPES[thing] if issubclass(thing, an.Value) else node.id
    elif getattr(thing, "__module__", "") == an.__name__ and getattr(thing, "__name__", "") in an.WORDS:
        node.id = thing.__name__
    elif isinstance(thing, (bool, int, float)):
        out.constants.setdefault(node.id, (thing, node.span))
    else:
        out.others.setdefault(node.span, _unusable(node.id, thing))  # a member may have been noted before


def _unusable(name: str, thing: Any) -> str:
    """Help for who uses something of Python that a body cannot have."""
    can = "numbers, dimensions, structs, and functions under @lem.kernel, @lem.task or @lem.fn"
    if isinstance(thing, np.ndarray):
        return f"`{name}` is an array: a body captures {can}; give the array as an argument"
    what = f"of Python's type {type(thing).__name__}"
    if callable(thing):
        what = "a class of Python" if isinstance(thing, type) else "a function of Python"
    return f"`{name}` is {what}: a body captures {can}"
