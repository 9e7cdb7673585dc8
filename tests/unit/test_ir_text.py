"""The IR's text form: what is printed is read back, and bad text is refused with its line."""

from __future__ import annotations

import math

import pytest

from lem.ir import ops
from lem.ir.core import Axis, Block, Builder, Function, Value
from lem.ir.printer import equal, print_function, print_module
from lem.ir.reader import IRSyntaxError, read_function, read_module
from lem_runtime.abi.dtypes import F32, F64
from lem_runtime.abi.signature import DimRule, Param, Place, Signature
from tests.support.ir_samples import SAMPLES, STENCIL, sample


@pytest.mark.parametrize("name", SAMPLES)
def test_prints_as_it_was_written(name: str) -> None:
    assert print_module(sample(name)).strip() == SAMPLES[name].strip()


@pytest.mark.parametrize("name", SAMPLES)
def test_reads_back_equal(name: str) -> None:
    module = sample(name)
    assert equal(module, read_module(print_module(module)))


def test_equal_ignores_names_of_values_and_axes() -> None:
    other = STENCIL.replace("%s", "%total").replace("{i, r}", "{i, q}").replace("#r", "#q").replace("r: range", "q: range")
    assert equal(sample("stencil"), read_module(other.replace("%r: i64{r}", "%r: i64{q}")))
    assert not equal(sample("stencil"), read_module(STENCIL.replace("- 1]", "- 2]")))


def _function(*made: ops.Const) -> Function:
    sig = Signature("f", "kernel", ("N",), (Param("x", "f32", ("N",), "read"),), (DimRule("N", "x"),))
    return Function("f", "kernel", sig, (), (), Block((), made))


def test_equal_hints_get_different_names() -> None:
    consts = tuple(ops.Const(float(n), F32, results=(Value(ops.Const(0, F32).result.type, "x"),)) for n in range(3))
    text = print_function(_function(*consts))
    assert "%x: f32" in text and "%x.1: f32" in text and "%x.2: f32" in text
    assert print_function(read_function(text)) == text


@pytest.mark.parametrize("value", [0.1, -0.0, math.inf, -math.inf, math.nan, 1e300, 5e-324, 1, -7, 3.0])
def test_numbers_survive(value: float) -> None:
    text = print_function(_function(ops.Const(value, F64)))
    back = read_function(text).body.ops[0]
    assert isinstance(back, ops.Const)
    assert repr(back.value) == repr(value)


def test_places_of_ops_are_comments() -> None:
    place = Place("f.lem", 6, 39, 6, 45)
    fn = _function(ops.Const(1.0, F32, loc=place))
    assert "  ; 6:39" in print_function(fn, locs=True)
    assert equal(read_function(print_function(fn, locs=True)), fn)


def test_arrays_that_differ_from_the_signature_are_listed() -> None:
    fn = read_function('kernel f[] {\n  param p: pal8[3] read\n  array "p.codes": u8[3] read\n  body\n}\n')
    assert [a.name for a in fn.arrays] == ["p.codes"]
    assert "array p.codes: u8[3] read" in print_function(fn)


def test_generic_rule_for_new_axes() -> None:
    b = Builder()
    zero = b(ops.Const(0, ops.Const(0, F32).result.dtype))
    assert zero.axes == frozenset()
    assert repr(Axis("i", "grid", 7)) == "i#7"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("kernel f[] {\n  body\n  tile.nothing\n}", 3, "unknown op tile.nothing"),
        ("kernel f[] {\n  body\n  %0: f32 = tile.unary neg, %1\n}", 3, "%1 is not defined before it is used"),
        ("kernel f[] {\n  body\n  %0: f33 = tile.const 1.0, f32\n}", 3, "unknown type f33"),
        ("kernel f[] {\n  wrong\n  body\n}", 2, "unknown header line wrong"),
        ("kernel f[] {\n  body\n  %0: f32{i} = tile.const 1.0, f32\n}", 3, "i is not declared"),
        ("kernel f[] {\n  body\n  %0: f32 = tile.const 1.0\n}", 4, "tile.const lacks dtype"),
        ("kernel f[] {\n  body\n", 3, "expected word, found end of text"),
        ("kernel f[] {\n  body\n  $\n}", 3, "unexpected '$'"),
        ("kernel f[] {\n  body\n}\nkernel f[] {\n  body\n}\n", 7, "function f is defined twice"),
    ],
)
def test_bad_text_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(IRSyntaxError) as e:
        read_module(text)
    assert (e.value.line, e.value.message) == (line, message)
