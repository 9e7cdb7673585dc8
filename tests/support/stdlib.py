"""Library modules under test: run an item, hold the CPU to the interpreter, run the examples that its text shows.

An example is a `test` block of the module, or `` Example: `exp(0.0) == 1.0` `` in the docstring of an fn.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from lem import pipeline
from lem.diagnostics.text import render_all
from lem.embed import testing
from tests.support.pieces import run_in_pieces
from tests.support.run import program, run_kernel

Array = np.ndarray[Any, Any]
SMALL = 300  # elements; the interpreter runs what is no larger
_EXAMPLE = re.compile(r"Example: `([^`]*)`")


@cache
def text_of(module: str) -> str:
    return (files("lem_stdlib") / f"{module}.lem").read_text()


def call(module: str, item: str, **given: Any) -> dict[str, Any]:
    """Results of a library item on the CPU; small calls must give the same bits on the interpreter, and in small pieces."""
    got = run_in_pieces(text_of(module), item, name=f"{module}.lem", **given)
    if sum(v.size for v in (*given.values(), *got.values()) if isinstance(v, np.ndarray)) <= SMALL:
        meant = run_kernel(text_of(module), item, target="interp", name=f"{module}.lem", **given)
        for name, value in got.items():
            same = np.array_equal(value, meant[name], equal_nan=np.asarray(value).dtype.kind == "f")
            assert same, f"{item}: `{name}` is {value} on the CPU, {meant[name]} on the interpreter"
    return got


def check_examples(module: str) -> None:
    """Every example holds, and every public item has one."""
    made = program(text_of(module) + _as_test(module), f"{module}.lem")
    shown = "".join(fn.span.text for fn in made.typed.tests)
    compiled: testing.Compiled = {}
    for fn in made.typed.tests:
        problem, _ = testing.run_test(made, fn, compiled)
        assert problem is None, render_all([problem])
    for name in items(made):
        assert re.search(rf"\b{name}\(", shown), f"{module}.{name} has no example"


def items(made: pipeline.Program) -> list[str]:
    """Public functions: those with a docstring; helpers have comments."""
    return [d.name for d in made.bound.scope.own.values() if d.kind == "function" and getattr(d.node, "doc", None)]


def _as_test(module: str) -> str:
    found = _EXAMPLE.findall(text_of(module))
    return '\n\ntest "docstrings":\n' + "".join(f"    check {e}\n" for e in found) if found else ""


def uniform(*shape: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    """Normal random numbers, the same for the same shape and seed."""
    return np.random.default_rng([*shape, seed]).standard_normal(shape).astype(dtype)
