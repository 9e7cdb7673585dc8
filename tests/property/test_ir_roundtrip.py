"""Random kernels: they verify, their text reads back equal, copies are equal, and how a run is cut does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from lem.ir.core import Builder, Module, Op, walk_ops
from lem.ir.interpreter import RunOutcome, run, tile
from lem.ir.ops import Grid
from lem.ir.printer import equal, print_module
from lem.ir.reader import read_module
from lem.ir.rewrite import clone, map_function
from lem.ir.verifier import verify_module
from tests.support.ir_gen import Generated, programs

_few = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@_few
@given(programs())
def test_generated_kernels_verify(p: Generated) -> None:
    assert verify_module(p.module) == []


@_few
@given(programs())
def test_text_reads_back(p: Generated) -> None:
    text = print_module(p.module)
    back = read_module(text)
    assert print_module(back) == text and equal(back, p.module) and verify_module(back) == []


@_few
@given(programs())
def test_copies_are_equal_and_well_formed(p: Generated) -> None:
    fn = p.module.functions["f"]
    copy = fn.with_body(clone(fn.body, fresh=True))
    assert equal(fn, copy) and verify_module(Module({"f": copy})) == []

    def again(o: Op, out: Builder) -> Any:
        return [out(o.rebuild())] if len(o.results) == 1 and not o.blocks else None

    rebuilt = map_function(fn, again)
    assert equal(fn, rebuilt) and verify_module(Module({"f": rebuilt})) == []


def _same(a: RunOutcome, b: RunOutcome) -> None:
    assert (a.fault is None) == (b.fault is None)
    if a.fault is not None and b.fault is not None:
        assert (a.fault.order, a.fault.indices) == (b.fault.order, b.fault.indices)
        return
    for name in a.arrays:
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name], name)


@_few
@given(programs(faults=True))
def test_running_few_elements_at_a_time_changes_nothing(p: Generated) -> None:
    whole = run(p.module, "f", p.arrays(), p.scalars)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile, "LIMIT_BYTES", 64)
        _same(run(p.module, "f", p.arrays(), p.scalars), whole)


@_few
@given(programs())
def test_each_element_alone_gives_its_result(p: Generated) -> None:
    """One grid over one element, for each element, is the whole grid: masks never leak between elements."""
    grids = [o for o in walk_ops(p.module.functions["f"].body) if isinstance(o, Grid)]
    assume(len(grids) == 1)
    whole = run(p.module, "f", p.arrays(), p.scalars).arrays
    m, n = whole["c"].shape
    for i in range(m):
        alone = run(_only(p.module, i), "f", p.arrays(), p.scalars).arrays
        for name in ("c", "d", "e", "g"):
            np.testing.assert_array_equal(alone[name][i], whole[name][i], name)


def _only(m: Module, row: int) -> Module:
    """The kernel with its grid over one row."""
    text = print_module(m)
    head, _, rest = text.partition("tile.grid (#i, #j), (")
    zero, _, rest = rest.partition(", ")
    inner_zero, _, rest = rest.partition("), (")
    _, _, rest = rest.partition(", ")
    here = f"%row: i64 = tile.const {row}, i64\n%row1: i64 = tile.const {row + 1}, i64\n"
    return read_module(f"{head}{here}tile.grid (#i, #j), (%row, {inner_zero}), (%row1, {rest}")


@_few
@given(programs())
def test_generated_kernels_have_no_races(p: Generated) -> None:
    reports = run(p.module, "f", p.arrays(), p.scalars, checked=True).reports
    assert [r for r in reports if r.kind == "race"] == []
