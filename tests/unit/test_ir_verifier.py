"""The verifier: samples are well formed, and each broken one is refused for the right reason."""

from __future__ import annotations

import pytest

from lem.diagnostics import InternalError
from lem.ir.reader import read_module
from lem.ir.verifier import check, verify_module
from tests.support.ir_samples import ATTENTION, CSR, MATMUL, MIXED, PEAKS, SAMPLES, SOFTMAX, STENCIL, sample


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_well_formed(name: str) -> None:
    assert verify_module(sample(name)) == []


BROKEN = [
    (MATMUL, "@c[%i, %j], %2", "@c[%i, %i], %2", "tile.store: %2 has axis j, the place in @c does not"),
    (MATMUL, "%2: f32{i, j}", "%2: f32{i}", "results are (f32{i}), but (f32{i, j}) follows"),
    (MATMUL, "@a[%i, %k]", "@a[%i]", "@a has 2 axes, 1 subscripts"),
    (MATMUL, "tile.store @c[%i, %j], %2", "tile.store @a[%i, %j], %2", "stores to @a, which is declared read"),
    (MATMUL, "(1, 1)", "(1, 0)", "steps are (1, 0)"),
    (SOFTMAX, "tile.dim N", "tile.dim Q", "no dimension Q"),
    (SOFTMAX, "tile.binary sub, %x, %top", "tile.binary minus, %x, %top", "unknown binary op minus"),
    (SOFTMAX, "j: range", "j: grid", "range opens a grid axis"),
    (STENCIL, "tile.const 3, i64", "tile.const true, i64", "True is no i64"),
    (STENCIL, "clamp", "mirror", "unknown boundary mirror"),
    (ATTENTION, "yield %top, %l1, %acc1", "yield %top, %l1, %pv, %acc1", "4 yields"),
    (ATTENTION, "tile.reduce (%p), #j", "tile.reduce (%k), #d", "results are (f32{i}), but (f32{j})"),
    (PEAKS, "yield %next, %beaten", "yield %next", "2 states and 1 operands, 3 arguments and 1 yields"),
    (PEAKS, "yield %next, %beaten", "yield %next, %top.1", "state is i64, i64, f32"),
    (PEAKS, "%item: f32{i})", "%item: f32)", "operand %x is f32{i, j}, and f32 at one position"),
    (PEAKS, "(%x), #j", "(%i), #j", "no operand has axis j"),
    (PEAKS, "(%least, %0), true", "(%x, %0), true", "state %top is f32{i}, but starts as f32{i, j}"),
    (CSR, "tile.assert %inside, 0", "tile.assert %inside, 1", "site 1 of 1"),
    (MIXED, "tile.call step", "tile.call stop", "no function stop in the module"),
    (MIXED, "(@t), (), (%N)", "(@x), (), (%N)", "step writes @x, but @x is read-only"),
    (MIXED, "inout{i}", "inout", "@v has element axes {}, the grid has {i}"),
    (MIXED, "tile.update add, @h[%b]", "tile.update add, @t[%b]", "updates f32 with i64"),
    (MIXED, "%w: f32{i} = tile.load @v[0]", "%w: f32{i} = tile.load @h[0]", "reads @h, which is only updated"),
    (MIXED, 'h: i64[B] reduce("add")', "h: i64[B] out", "updates @h, which is declared out"),
]


@pytest.mark.parametrize(("text", "old", "new", "complaint"), BROKEN)
def test_broken_ir_is_refused(text: str, old: str, new: str, complaint: str) -> None:
    assert old in text
    found = verify_module(read_module(text.replace(old, new)))
    assert any(complaint in f for f in found), found


def _function(body: str, axes: str = "i: grid, j: grid, k: range", header: str = "") -> list[str]:
    text = f"kernel f[N] {{\n param x: f32[N] inout\n rule N = x, 0\n{header} axes {axes}\n body\n{body}\n}}"
    return verify_module(read_module(text))


_PRE = "%z: i64 = tile.const 0, i64\n%n: i64 = tile.dim N\n"


def test_grids_do_not_nest() -> None:
    inner = "tile.grid (#j), (%z), (%n), (1) {\n^(%j: i64{j})\n}"
    found = _function(_PRE + f"tile.grid (#i), (%z), (%n), (1) {{\n^(%i: i64{{i}})\n{inner}\n}}")
    assert any("grids do not nest" in f for f in found)


def test_axis_does_not_escape_its_block() -> None:
    body = (
        _PRE
        + """%t: bool = tile.const true, bool
        %r: i64{k} = tile.if %t {
          %k: i64{k} = tile.range #k, %z, %n
          yield %k
        } {
          %k.1: i64{k} = tile.range #k, %z, %n
          yield %k.1
        }"""
    )
    assert any("axis k, which is not open here" in f for f in _function(body))


def test_value_does_not_escape_its_block() -> None:
    body = (
        _PRE
        + """tile.grid (#i), (%z), (%n), (1) {
          ^(%i: i64{i})
          %c: f32 = tile.const 1.0, f32
        }
        tile.store @x[0], %c"""
    )
    assert any("operand %c is not defined here" in f for f in _function(body))


def test_grid_sees_no_axes_from_outside() -> None:
    body = (
        _PRE
        + """%k: i64{k} = tile.range #k, %z, %n
        %x: f32{k} = tile.load @x[%k]
        tile.grid (#i), (%z), (%n), (1) {
          ^(%i: i64{i})
          %s: f32 = tile.reduce (%x), #k, sum.f32, lanes
        }"""
    )
    assert any("axes that are not open here: k" in f for f in _function(body))


def test_axis_is_opened_once() -> None:
    body = _PRE + "%k: i64{k} = tile.range #k, %z, %n\n%l: i64{k} = tile.range #k, %z, %n"
    assert any("axis k is opened again" in f for f in _function(body))
    assert _function(body, axes="k: whole") == []


def test_reduction_over_ragged_axis_needs_its_bounds_axes() -> None:
    body = (
        _PRE
        + """tile.grid (#i), (%z), (%n), (1) {
          ^(%i: i64{i})
          %t: f32 = tile.const 0.0, f32
          %s: f32 = tile.tiles #j, %z, %i, none, (%t) {
            ^(%j: i64{j}, %s0: f32)
            %x: f32{j} = tile.load @x[%j]
            %s1: f32 = tile.reduce (%x), #j, sum.f32, lanes
            yield %s1
          }
        }"""
    )
    assert any("the domain of axis j depends on {i}, no operand does" in f for f in _function(body, "i: grid, j: tiles"))


def test_arithmetic_on_narrow_types_is_refused() -> None:
    body = "%a: bf16 = tile.const 1.0, bf16\n%b: bf16 = tile.binary add, %a, %a\n%c: bf16 = tile.binary max, %a, %a"
    assert _function(body) == ["f: tile.binary %b: add on bf16, which computes in f32"]


def test_check_names_the_stage() -> None:
    module = read_module(MATMUL.replace("(1, 1)", "(1, -1)"))
    with pytest.raises(InternalError, match="internal error in fuse: matmul: tile.grid: steps") as e:
        check(module.functions["matmul"], "fuse")
    assert "tile.contract" in e.value.ir
