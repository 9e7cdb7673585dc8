"""Going through a kernel line by line gives what the interpreter gives for all elements together: programs of all rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.cli import trials
from lem.diagnostics import Diagnostics
from lem.embed import interpreting
from lem.ir import ops, walk_ops
from lem.source import SourceFile
from lem_runtime import RunError
from lem_runtime.abi.signature import CallError, Signature
from tests.rules.test_rules import PROGRAMS, Program

SIZES = ((3, 2, 4, 3, 2), (4, 4, 4, 4, 4))


def calls(program: pipeline.Program, name: str) -> Iterator[Any]:
    """Made-up arguments that suit a function."""
    for sizes in SIZES:
        for largest in (4, 1):
            made = trials.made_up(program.ir.functions[name].signature, sizes, largest)
            if not isinstance(made, str):
                yield made


def by_argument(signature: Signature, fields: dict[str, Any]) -> dict[str, Any]:
    """Copies; the fields of a struct as one argument."""
    out: dict[str, Any] = {}
    for p in signature.params:
        if p.name in fields:
            value = np.array(fields[p.name]) if p.is_array else fields[p.name]
            if p.struct:
                out.setdefault(p.argument, {})[p.field] = value
            else:
                out[p.name] = value
    return out


def outcome(program: pipeline.Program, name: str, call: Any, step: bool) -> Any:
    """Results, or the code and the element of what stopped it."""
    signature = program.ir.functions[name].signature
    arrays, scalars = by_argument(signature, call[0]), by_argument(signature, call[1])
    try:
        _, result = interpreting.run(program, name, arrays, scalars, call[2], {}, step=step)
    except (RunError, CallError) as e:
        return e.code, getattr(e, "indices", None)
    return arrays, result.outputs, result.scalars


def assert_alike(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_alike(a[key], b[key])
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_alike(x, y)
    elif isinstance(a, np.ndarray) and a.dtype.names:
        assert_alike({n: a[n] for n in a.dtype.names}, {n: b[n] for n in b.dtype.names})
    elif isinstance(a, (np.ndarray, float)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # sums of other axes round in another order
    else:
        assert a == b


@pytest.mark.parametrize("rule", sorted({p.rule for p in PROGRAMS}))
def test_steps_give_what_all_elements_together_give(rule: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.breakpointhook", lambda: None)
    for program in (p for p in PROGRAMS if p.rule == rule and p.kind != "refuse"):
        check(program)


def check(written: Program) -> None:
    program = pipeline.analyse(SourceFile("rule.lem", written.text), Diagnostics())
    assert program is not None
    for name in program.ir.functions:
        functions = program.ir.closure(name).functions.values()
        if any(isinstance(o, ops.While) for f in functions for o in walk_ops(f.body)):
            continue  # made-up inputs might never end it
        for call in calls(program, name):
            assert_alike(outcome(program, name, call, step=False), outcome(program, name, call, step=True))
