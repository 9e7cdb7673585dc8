"""The tools of passes: rebuilding, renaming, cloning, uses."""

from __future__ import annotations

from collections.abc import Sequence

from lem.ir import ops
from lem.ir.core import Builder, Op, Value, walk_ops
from lem.ir.printer import equal, print_function
from lem.ir.rewrite import (
    arrays_read,
    arrays_written,
    clone,
    definitions,
    free_values,
    map_function,
    uses,
)
from lem.ir.verifier import verify
from tests.support.ir_samples import SAMPLES, sample


def _double(o: Op, out: Builder) -> Sequence[Value] | None:
    """x * y becomes x * y + 0 ... in two ops."""
    if isinstance(o, ops.Binary) and o.kind == "mul":
        zero = out(ops.Const(0.0, o.x.dtype))
        return [out(ops.Fma(o.x, o.y, zero))]
    return None


def test_rule_replaces_ops_in_nested_blocks() -> None:
    fn = sample("mandelbrot").functions["mandelbrot"]
    made = map_function(fn, _double)
    kinds = [o.kind for o in walk_ops(made.body) if isinstance(o, ops.Binary)]
    assert "mul" not in kinds and verify(made) == []


def test_a_rule_that_keeps_everything_gives_the_same_ops() -> None:
    for name in SAMPLES:
        fn = sample(name).functions[name if name in sample(name).functions else list(sample(name).functions)[-1]]
        made = map_function(fn, lambda o, out: None)
        assert [id(o) for o in made.body.ops] == [id(o) for o in fn.body.ops]


def test_clone_shares_no_value_and_means_the_same() -> None:
    fn = sample("attention").functions["attention"]
    for fresh in (False, True):
        made = fn.with_body(clone(fn.body, fresh=fresh))
        assert equal(made, fn) and verify(made) == []
        assert definitions(made.body).keys().isdisjoint(definitions(fn.body))


def test_clone_beside_the_original_is_well_formed_when_fresh() -> None:
    fn = sample("mixed").functions["mixed"]
    copy = clone(fn.body, fresh=True)
    both = fn.with_body(type(fn.body)((), (*fn.body.ops, *copy.ops)))
    assert verify(both, sample("mixed")) == [], print_function(both)


def test_uses_and_free_values() -> None:
    fn = sample("stencil").functions["blur"]
    grid = fn.body.ops[-1]
    assert isinstance(grid, ops.Grid)
    lo, three, n = (o.result for o in fn.body.ops[:3])
    assert free_values(grid.body) == (lo, three)
    assert uses(fn.body)[n] == [grid]
    assert [o.opname for o in uses(fn.body)[lo]] == ["tile.grid", "tile.range"]


def test_arrays_read_and_written() -> None:
    fn = sample("mixed").functions["mixed"]
    assert {a.name for a in arrays_written(fn.body)} == {"t", "v", "h", "total"}
    assert {a.name for a in arrays_read(fn.body)} == {"x", "v", "h", "t"}
