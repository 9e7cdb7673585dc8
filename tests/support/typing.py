"""Typed modules from program text, and what must hold of every typed tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import lem_stdlib
from lem import names, syntax, types
from lem.diagnostics import Diagnostics
from lem.diagnostics.text import render_all
from lem.source import SourceFile
from lem.types import convert, numbers, typed

LIBRARY = Path(lem_stdlib.__file__).parent


def load_module(name: str) -> SourceFile | None:
    """A module of the library by name."""
    path = LIBRARY / f"{name}.lem"
    return SourceFile(f"{name}.lem", path.read_text(encoding="utf-8")) if path.exists() else None


def bind_text(text: str, diags: Diagnostics) -> names.Bound:
    return names.bind(syntax.parse(SourceFile("test.lem", text), diags), diags, load_module)


def check_text(text: str) -> tuple[typed.Module, Diagnostics]:
    """The typed module of a program, and what was reported."""
    diags = Diagnostics()
    return types.check(bind_text(text, diags), diags), diags


def typed_module(text: str) -> typed.Module:
    """The typed module of a program that must be right, with its invariants checked."""
    module, diags = check_text(text)
    assert not diags.items, render_all(diags)
    for fn in (*module.functions.values(), *module.tests):
        problems = list(wrong_nodes(fn.body))
        assert not problems, f"{fn.name}: {problems}"
    return module


def kernel(text: str) -> typed.Function:
    """The last function of a right program."""
    return list(typed_module(text).functions.values())[-1]


def nodes(root: Any) -> Iterator[Any]:
    """All typed nodes below statements, fns that are called included."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, tuple | list):
            todo.extend(node)
        elif is_dataclass(node) and type(node).__module__.startswith("lem.types") and id(node) not in seen:
            seen.add(id(node))
            yield node
            todo.extend(getattr(node, f.name) for f in fields(node))


def wrong_nodes(root: Any) -> Iterator[str]:
    """What contradicts the contract of the typed tree."""
    for node in nodes(root):
        if isinstance(node, convert.Literal | convert.Adaptable):
            yield f"a value without a final type: {node.span.text!r}"
        if isinstance(node, typed.Expr) and node.type.dtype is numbers.ERROR:
            yield f"an expression that was reported: {node.span.text!r}"
        yield from _wrong_types(node)


def _wrong_types(node: Any) -> Iterator[str]:
    match node:
        case typed.Binary():
            if not node.type.dtype == node.x.type.dtype == node.y.type.dtype:
                yield f"{node.op} on {node.x.type.dtype} and {node.y.type.dtype} gives {node.type.dtype}"
            if not node.type.dtype.is_bool and numbers.compute_type(node.type.dtype) != node.type.dtype:
                yield f"{node.op} is computed in {node.type.dtype}"
        case typed.Compare():
            if node.x.type.dtype != node.y.type.dtype:
                yield f"{node.op} compares {node.x.type.dtype} and {node.y.type.dtype}"
        case typed.IfExpr():
            if not node.type.dtype == node.then.type.dtype == node.orelse.type.dtype:
                yield f"a conditional of {node.then.type.dtype} and {node.orelse.type.dtype}"
        case typed.Select():
            if not node.type.dtype == node.x.type.dtype == node.y.type.dtype:
                yield f"where of {node.x.type.dtype} and {node.y.type.dtype}"
        case typed.SetLocal():
            if node.value.type.dtype != node.local.type.dtype or not node.value.type.axes <= node.local.type.axes:
                yield f"{node.local.name} is {node.local.type}, its value {node.value.type}"
        case typed.Store() | typed.Update():
            if node.value.type.dtype != node.array.dtype:
                yield f"{node.array.name} holds {node.array.dtype}, stored is {node.value.type.dtype}"
        case typed.At():
            if node.index.type.dtype.name != "i64":
                yield f"a subscript is {node.index.type.dtype}"
        case typed.If() | typed.While() | typed.Assert():
            if not node.cond.type.dtype.is_bool:
                yield f"a condition is {node.cond.type.dtype}"
        case typed.CallFn():
            for param, arg in zip(node.fn.params, node.args, strict=True):
                if isinstance(param, typed.LocalVar) and isinstance(arg, typed.Expr):
                    if param.type.dtype != arg.type.dtype:
                        yield f"{node.fn.name}: `{param.name}` is {param.type.dtype}, given {arg.type.dtype}"
