"""What the checker accepts, and the typed trees it makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lem import pipeline, types
from lem.diagnostics import Diagnostics
from lem.names import BUILTINS, RANDOM_BUILTINS
from lem.source import SourceFile
from lem.types import typed
from lem.types.builtins import TABLE
from lem.types.convert import CONSTANTS
from lem_runtime.abi import sizes
from lem_runtime.abi.dtypes import DTYPES
from tests.support import ROOT
from tests.support.typing import bind_text, check_text, kernel, nodes, typed_module

EXAMPLES = sorted((ROOT / "examples").glob("*.lem"))
KERNELS = Path(__file__).with_name("kernels.lem").read_text(encoding="utf-8")


def find(fn: typed.Function, kind: type) -> list:  # type: ignore[type-arg]
    return [n for n in nodes(fn.body) if isinstance(n, kind)]


def conditions(fn: typed.Function) -> list[str]:
    return [sizes.show(c.shown or c.expr) for c in fn.signature.conditions]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_are_accepted(path: Path) -> None:
    assert typed_module(path.read_text(encoding="utf-8")).functions


def test_many_kernels_are_accepted() -> None:
    module = typed_module(KERNELS)
    assert not module.not_run
    assert {"atax", "durbin", "csr", "median", "two_pass", "useaxpy"} <= set(module.functions)
    assert "axpy" in module.generics and "axpy[f64]" in module.functions


def test_callees_come_first() -> None:
    names = list(typed_module(KERNELS).functions)
    assert names.index("norm2") < names.index("normalize")
    assert names.index("axpy[f64]") < names.index("useaxpy")


# ---------------------------------------------------------------- numbers
def expression_type(expr: str, **arrays: str) -> str:
    """Type of an expression over `x`, `y` ... of the given dtypes: as the checker says where a bool is stored."""
    params = ", ".join(f"{n}: {t}[N]" for n, t in arrays.items())
    _, diags = check_text(f"kernel k[N]({params}, o: out bool[N]):\n    for i in grid(N):\n        o[i] = {expr}\n")
    if not diags.items:
        return "bool"
    (found,) = diags.items
    return found.label.split("found ")[1].split(",")[0] if "found " in found.label else found.code.id


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        ("i8", "i8", "i32"), ("u8", "u32", "u32"), ("i32", "u32", "i64"), ("i8", "f32", "f32"), ("i32", "f64", "f64"),
        ("f16", "f16", "f32"), ("bf16", "f16", "f32"), ("f32", "f64", "f64"), ("i16", "bf16", "f32"),
        ("i32", "f32", "E0302"), ("i64", "f64", "E0302"), ("i64", "u64", "E0302"), ("u16", "i16", "i32"),
    ],
)  # fmt: skip
def test_smallest_common_type(a: str, b: str, result: str) -> None:
    assert expression_type("x[i] + y[i]", x=a, y=b) == result


@pytest.mark.parametrize(
    ("expr", "dtype", "result"),
    [
        ("x[i] * 2", "f32", "f32"), ("x[i] * 0.5", "f64", "f64"), ("x[i] + N", "f32", "f32"), ("x[i] + i", "i32", "i64"),
        ("x[i] << 2", "u8", "i32"), ("max(x[i], 3)", "u8", "u8"), ("where(x[i] > 1, x[i], 0)", "f16", "f16"),
        ("sum(x[k] for k in N)", "u8", "i32"), ("max(x[k] for k in N)", "i8", "i8"), ("-x[i]", "f16", "f32"),
        ("argmax(x[k] for k in N)", "f32", "i64"), ("mean(x[k] for k in N)", "i32", "f64"), ("x[i] ** 2", "f32", "f32"),
        ("x[i] if i > 0 else 0", "u16", "u16"), ("x[i] ** 0.5", "f32", "f32"), ("exp(x[i])", "bf16", "f32"),
        ("bits(x[i])", "f32", "u32"), ("from_bits(x[i])", "u64", "f64"), ("i32(x[i])", "f32", "i32"),
        ("sum(1 for k in N if x[k] > 0)", "f32", "i64"), ("x[i] > 0 and i < 3", "f32", "bool"), ("i * 2 + 1", "f32", "i64"),
        ("2 * 0.5", "f32", "a float"), ("fma(x[i], 2, 1)", "f32", "f32"), ("abs(x[i])", "i8", "i32"),
    ],
)  # fmt: skip
def test_type_of_expression(expr: str, dtype: str, result: str) -> None:
    assert expression_type(expr, x=dtype) == result


def test_local_takes_the_common_type_of_all_its_values() -> None:
    fn = kernel("""
kernel k[N](x: f32[N], y: out f64[N]):
    for i in grid(N):
        s = 0
        for t in range(3):
            s = s + x[i]
        if s > 1:
            s = f64(x[i])
        y[i] = s
""")
    (s,) = {n for n in nodes(fn.body) if isinstance(n, typed.LocalVar)}
    assert str(s.type) == "f64"


def test_literals_alone_make_an_i64_or_f64() -> None:
    fn = kernel("kernel k(y: out f64[2]):\n    n = 1\n    v = 1\n    v = 0.5\n    y[n] = v\n")
    assert {str(n.type) for n in nodes(fn.body) if isinstance(n, typed.LocalVar)} == {"i64", "f64"}


# ---------------------------------------------------------------- indices
def test_conditions_of_sizes_are_left_for_the_call() -> None:
    fn = kernel("kernel k[N](x: f32[N], n: int) -> s: f32:\n    t: f32[n + 1] = 0\n    s = t[n] + x[0]\n")
    assert conditions(fn) == ["n >= 0", "N >= 1"]


def test_gathers_are_checked_where_they_run() -> None:
    fn = kernel("kernel k[N, M](x: f32[N], j: i64[M], y: out f32[M]):\n    for i in grid(M):\n        y[i] = x[j[i]]\n")
    loads = {n.array.name: n for n in find(fn, typed.Load)}
    assert loads["x"].subs[0].check and not loads["j"].subs[0].check


def test_range_of_a_dtype_proves() -> None:
    fn = kernel("kernel k[N](x: u8[N], h: reduce(+) i64[256]):\n    for i in grid(N):\n        h[x[i]] += 1\n")
    assert not find(fn, typed.Update)[0].subs[0].check


def test_a_grid_over_a_quotient_fits_an_array_of_that_size() -> None:
    head = "kernel k[N](x: f32[N], y: out f32[(N - w) // step + 1], w: int, step: int):\n"
    fn = kernel(head + "    n = (N - w) // step + 1\n    for i in grid(n):\n        y[i] = 1.0\n")
    assert not find(fn, typed.Store)[0].subs[0].check
    other = kernel(head + "    for i in grid(N // step):\n        y[i] = 1.0\n")
    assert find(other, typed.Store)[0].subs[0].check


def test_guards_and_locals_are_seen_through() -> None:
    fn = kernel("""
kernel k[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        j = i - 1
        if j < 0:
            y[i] = 0
            continue
        y[i] = x[j] + (x[i + 1] if i + 1 < N else 0)
""")
    assert not any(at.check for at in find(fn, typed.At)) and not conditions(fn)


def test_old_values_of_a_local_prove_nothing_of_new_ones() -> None:
    fn = kernel("""
kernel k[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        j = i
        while x[j] > 0:
            j += 1
        y[i] = x[j]
""")
    assert [n.subs[0].check for n in find(fn, typed.Load)] == [True, True]


def test_bounds_of_a_slice_are_facts_once_checked() -> None:
    fn = kernel("""
kernel csr[R, Z](p: i64[R + 1], col: i32[Z], v: f32[Z], x: f32[R], y: out f32[R]):
    for r in grid(R):
        y[r] = sum(v[z] * x[col[z]] for z in Z[p[r]:p[r + 1]])
""")
    (reduce,) = find(fn, typed.Reduce)
    assert set(reduce.clauses[0].domain.checks) == {"lo", "hi"}
    assert [n.array.name for n in find(fn, typed.Load) if n.subs[0].check] == ["x"]


def test_callee_conditions_become_the_callers() -> None:
    fn = kernel("""
kernel inner[N](x: f32[N], y: out f32[N]) where N % 16 == 0:
    y[:] = x[:]

kernel outer[M](x: f32[M], y: out f32[M]):
    inner(x, y)
""")
    assert conditions(fn) == ["M % 16 == 0"]


def test_dimension_given_by_name() -> None:
    module = typed_module("""
kernel ramp[N]() -> y: f32[N]:
    for i in grid(N):
        y[i] = f32(i)

task main():
    y = ramp(N=8)
    print(y[3])
""")
    (call,) = find(module.functions["main"], typed.CallKernel)
    assert [d.value for d in call.dims] == [8]


# ---------------------------------------------------------------- effects
def test_coverage_and_early_reads_are_told() -> None:
    module = typed_module("""
kernel whole[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = x[i]

kernel inside[N](x: f32[N], y: out f32[N]):
    for i in grid(N[1:-1]):
        y[i] = x[i]

kernel forward[N](b: f32[N], y: out f32[N]):
    for i in range(N):
        y[i] = b[i] - sum(y[j] for j in N[:i])
""")
    assert module.functions["whole"].attrs["covers"] == ("y",)
    assert module.functions["inside"].attrs["covers"] == ()
    assert module.functions["forward"].attrs["reads_first"] == ("y",)


# ---------------------------------------------------------------- structure
def test_types_decide_branches() -> None:
    module = typed_module("""
fn width[T: float](x: T) -> i32:
    if T is f32:
        return 32
    return 64

kernel k[N](x: f32[N], y: out i32[N]):
    for i in grid(N):
        y[i] = width(x[i])
""")
    (call,) = find(module.functions["k"], typed.CallFn)
    assert len(call.fn.body) == 1 and call.fn.body[0].values[0].value == 32


def test_small_array_of_an_element_and_local_with_axes() -> None:
    fn = kernel("""
kernel k[M, D](x: f32[M, D], y: out f32[M]):
    for i in grid(M):
        v: f32[3] = 0
        acc: f32[D] = 0
        v[1] = x[i, 0]
        acc = acc + x[i, :]
        y[i] = v[1] + sum(acc, over=D)
""")
    (made,) = find(fn, typed.MakeArray)
    assert made.array.kind == "local"
    (acc,) = {n for n in nodes(fn.body) if isinstance(n, typed.LocalVar)}
    assert [a.name for a in acc.type.axes] == ["D"]


def test_instances_are_made_on_demand() -> None:
    diags = Diagnostics()
    bound = bind_text("kernel neg[T: number, N](x: inout T[N]):\n    for i in grid(N):\n        x[i] = T(-x[i])\n", diags)
    module = types.check(bound, diags)
    made = types.instantiate(bound, module, "neg", {"T": "i64"}, diags)
    assert not diags.items and made is not None
    assert made.name == "neg[i64]" and module.functions["neg[i64]"] is made
    assert made.signature.params[0].dtype == "i64"


def test_what_cannot_run_yet_is_told_with_its_reason() -> None:
    module, diags = check_text("""
kernel first(b: pal8[4], y: out f32[4]):
    for i in grid(4):
        y[i] = b[i]
""")
    assert not diags.items
    assert [(name, why) for name, why, _ in module.not_run] == [("first", "quantised arrays")]


def test_what_cannot_run_yet_hides_no_mistake() -> None:
    module, diags = check_text("""
kernel first(b: pal8[4], y: out f32[4]):
    for i in grid(4):
        y[i] = b[i] + z
""")
    assert [d.code.id for d in diags.items] == ["E0201"] and not module.not_run


def test_a_struct_is_its_fields_to_compiled_code_and_one_argument_to_callers() -> None:
    module = typed_module("""
struct Body:
    x: f32
    n: i64

kernel first[N](b: Body[N], at: Body, y: out f32[N]):
    for i in grid(N):
        y[i] = b[i].x + at.x
""")
    sig = module.functions["first"].signature
    assert [(p.name, p.dtype, p.struct) for p in sig.params] == [
        ("b.x", "f32", "Body"), ("b.n", "i64", "Body"), ("at.x", "f32", "Body"), ("at.n", "i64", "Body"), ("y", "f32", ""),
    ]  # fmt: skip
    assert [(p.name, p.dtype, p.is_array) for p in sig.arguments] == [
        ("b", "Body", True), ("at", "Body", False), ("y", "f32", True),
    ]  # fmt: skip
    assert [r.param for r in sig.rules] == ["b"]


def test_structs_of_two_modules_are_two_types() -> None:
    first = typed.StructType("Body", "struct", 0, 0, "Body", "one", (("x", DTYPES["f32"]),))
    other = typed.StructType("Body", "struct", 0, 0, "Body", "two", (("x", DTYPES["f32"]),))
    assert first != other and first == dataclasses.replace(first)
    outer = typed.StructType("Pair", "struct", 0, 0, "Pair", "one", (("a", first), ("n", DTYPES["i64"])))
    assert [path for path, _ in typed.leaves(outer)] == ["a.x", "n"]


def test_tests_are_checked() -> None:
    module = typed_module("""
kernel twice[N](x: f32[N]) -> y: f32[N]:
    for i in grid(N):
        y[i] = 2 * x[i]

test "twice":
    x = f32([1, 2])
    y = twice(x)
    check y == f32([2, 4])
    check twice(zeros(f32, 3)) == zeros(f32, 3) within 1e-6
    check y[1] == 4.0
    check fails "E0606": twice(x)
""")
    (test,) = module.tests
    assert [type(s).__name__ for s in test.body].count("Check") == 4


def test_names_of_math_are_imported_whoever_provides_them() -> None:
    typed_module("""
import math
from math import sqrt as root, exp as e, pi as half_turn

kernel k[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = root(x[i]) + e(x[i]) + half_turn + math.abs(x[i]) + math.log(x[i])
""")


def test_names_knows_all_builtins() -> None:
    assert BUILTINS | {f"random.{name}" for name in RANDOM_BUILTINS} == {*TABLE, *CONSTANTS}


def test_library_is_read_only_where_it_is_used() -> None:
    diags = Diagnostics()
    plain = bind_text("kernel k[N](y: out f32[N]):\n    for i in grid(N):\n        y[i] = sqrt(2.0)\n", diags)
    types.check(plain, diags)
    assert "math" not in plain.modules
    used = bind_text("kernel k[N](y: out f32[N]):\n    for i in grid(N):\n        y[i] = exp(2.0 * pi / N)\n", diags)
    types.check(used, diags)
    assert "math" in used.modules


def _chain(first: str, link: str, last: str, n: int = 300) -> str:
    return first.format(0) + "".join(link.format(k, k + 1) for k in range(n)) + last.format(n)


FN = "fn f{}(x: f32) -> f32:\n    return "
KERNEL = "kernel k{}[N](y: out f32[N]):\n    "
CHAINS = {
    "fns": _chain("", FN + "f{}(x) + 1.0\n\n", FN + "x\n"),
    "kernels": _chain("", KERNEL + "k{}(y)\n\n", KERNEL + "y[:] = 1.0\n"),
    "constants": _chain("", "C{} = C{} + 1\n", "C{} = 1\n"),
    "returns": _chain(
        "kernel k[N](x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        y[i] = x[i]\n",
        "        if x[i] > {}.5:\n            return\n        y[i] = {}.5\n", "        y[i] = {}.0\n",
    ),
    "arguments": "kernel k(a: f32) -> y: f32:\n    y = max(" + ", ".join(["a"] * 3000) + ")\n",
}  # fmt: skip


@pytest.mark.parametrize("what", CHAINS)
def test_what_nests_through_definitions_is_reported_at_one(what: str) -> None:
    diags = pipeline.check_source(SourceFile("deep.lem", CHAINS[what]))
    assert {d.code.id for d in diags.items} == {"E0108"}, "a chain of three hundred is more than a stack holds"
    assert all(d.span is not None and len(d.span.text) < 10 for d in diags.items)
