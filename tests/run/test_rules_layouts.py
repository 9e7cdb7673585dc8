"""LANGUAGE 34, DESIGN 2.3: any strides without a layout; `.row`, `.col`, `.soa`, `.aos` where the type says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lem import pipeline
from lem.ir.printer import equal, print_function
from lem.ir.reader import read_function
from lem.targets import cpu
from lem_runtime import CallError, detect, run
from lem_runtime.abi.source import Facts
from lem_runtime.structs import dtype_of
from tests.support.cli import lem
from tests.support.rules import run_both
from tests.support.run import artifact, program, run_kernel

Array = np.ndarray[Any, Any]
F32 = np.float32


def uniform(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(F32)


# ---------------------------------------------------------------- no layout: any strides
PLANE = """
kernel plane[M, N](a: f32[M, N], b: f32[M, N], c: out f32[M, N]) -> s: f32[N]:
    for i, j in grid(M, N):
        c[i, j] = 2 * a[i, j] + b[i, j]
    for j in grid(N):
        s[j] = sum(a[i, j] for i in M)
"""
VIEWS = {
    "plain": lambda x: x,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "upside down": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "every third": lambda x: np.repeat(np.repeat(x, 3, 0), 2, 1)[::3, ::2],
    "one row for all": lambda x: np.broadcast_to(x[:1], x.shape),
    "one element for all": lambda x: np.broadcast_to(x[0, 0], x.shape),
}


@pytest.mark.parametrize("how", VIEWS)
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (33, 64), (64, 3)])
def test_any_strides_are_read(size: tuple[int, int], how: str) -> None:
    a, b = VIEWS[how](uniform(*size)), uniform(size[0], size[1])
    for target in ("interp", "cpu"):
        got = run_kernel(PLANE, target=target, a=a, b=b, copied=False)
        assert np.array_equal(got["c"], 2 * a + b)
        np.testing.assert_allclose(got["s"], a.astype(np.float64).sum(axis=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("how", ["plain", "transposed", "upside down", "every third"])
def test_any_strides_are_written(how: str) -> None:
    a, b = uniform(9, 11), uniform(9, 11)
    for target in ("interp", "cpu"):
        c = VIEWS[how](np.zeros((9, 11), F32))
        assert run_kernel(PLANE, target=target, a=a, b=b, c=c, copied=False)["c"] is c
        assert np.array_equal(c, 2 * a + b)


def test_elements_that_are_one_are_not_written() -> None:
    one_row = np.lib.stride_tricks.as_strided(np.zeros(7, F32), (5, 7), (0, 4))
    with pytest.raises(CallError, match="`c` is `out`, but elements of the array share memory"):
        run_kernel(PLANE, a=uniform(5, 7), b=uniform(5, 7), c=one_row, copied=False)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
def test_arrays_of_size_0(shape: tuple[int, int]) -> None:
    got = run_both(PLANE, a=np.zeros(shape, F32), b=np.zeros(shape, F32))
    assert got["c"].shape == shape and got["s"].tolist() == [0] * shape[1]


def test_axes_of_size_1_have_any_stride() -> None:
    wide = np.zeros((1, 6, 9), F32)
    wide[0, :, 4] = np.arange(6)
    got = run_both(PLANE, a=wide[:, :, 4], b=np.ones((1, 6), F32))
    assert got["c"].tolist() == [[1, 3, 5, 7, 9, 11]]


@pytest.mark.parametrize("left", ["plain", "transposed", "every third", "upside down"])
@pytest.mark.parametrize("right", ["plain", "transposed", "one row for all"])
def test_products_of_any_strides(left: str, right: str) -> None:
    text = """
kernel product[M, N, K](a: f32[M, K], b: f32[K, N], c: out f32[M, N]):
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)
"""
    a, b = VIEWS[left](uniform(37, 300)), VIEWS[right](uniform(300, 53))
    for target in ("interp", "cpu"):
        got = run_kernel(text, target=target, a=a, b=b, copied=False)["c"]
        assert np.array_equal(got, run_kernel(text, a=np.array(a, order="C"), b=np.array(b, order="C"))["c"])


# ---------------------------------------------------------------- .col and .row
COLUMNS = """
kernel columns[M, N](a: f32[M, N].col, s: out f32[N]) -> t: f32[M, N].col:
    u: f32[M, N].col = 1
    for i, j in grid(M, N):
        u[i, j] = u[i, j] + 2 * a[i, j]
    for j in grid(N):
        s[j] = sum(u[i, j] for i in M)
    for i, j in grid(M, N):
        t[i, j] = u[i, j]
"""


@pytest.mark.parametrize("size", [(1, 1), (0, 3), (3, 0), (37, 53), (64, 2), (1, 9), (9, 1)])
def test_columns(size: tuple[int, int]) -> None:
    a = np.asfortranarray(uniform(*size))
    got = run_both(COLUMNS, a=a)
    assert np.array_equal(got["t"], 1 + 2 * a) and got["t"].flags.f_contiguous
    np.testing.assert_allclose(got["s"], (1 + 2 * a).sum(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-4)


def test_part_of_columns_is_columns() -> None:
    whole = np.asfortranarray(uniform(40, 30))
    got = run_kernel(COLUMNS, a=whole[3:33, ::2], copied=False)
    assert np.array_equal(got["t"], 1 + 2 * whole[3:33, ::2])


def test_the_order_of_a_sum_follows_the_type_not_the_strides() -> None:
    """Along the first axis of a `.col` array as along the last of a plain one; the same for every layout given."""
    along = """
kernel f[M, N](a: f32[M, N].col, s: out f32[N]):
    for j in grid(N):
        s[j] = sum(a[i, j] for i in M)
"""
    rows = along.replace("f32[M, N].col", "f32[N, M]").replace("a[i, j]", "a[j, i]")
    a = np.asfortranarray(uniform(5000, 3))
    assert run_both(along, a=a)["s"].tobytes() == run_both(rows, a=a.T)["s"].tobytes()
    assert run_both(rows, a=np.asfortranarray(a.T))["s"].tobytes() == run_both(rows, a=a.T)["s"].tobytes()


def test_vectors_run_along_the_inner_axis() -> None:
    made = program(COLUMNS)
    plans = cpu.propose(pipeline.optimised(made, "columns"), Facts(("inner",) * 3), detect())["columns"].grids
    assert [dict(plan.settings).get("vector") for plan in plans] == ["i", "", "i"]


@pytest.mark.parametrize("layouts", [("", "", ".col"), (".col", ".col", ".col"), (".row", ".col", ""), (".col", "", ".row")])
@pytest.mark.parametrize("size", [(37, 53, 300), (1, 5, 3), (128, 128, 64)])
def test_products_in_every_layout(layouts: tuple[str, str, str], size: tuple[int, int, int]) -> None:
    x, y, z = layouts
    text = f"""
kernel product[M, N, K](a: f32[M, K]{x}, b: f32[K, N]{y}, c: out f32[M, N]{z}):
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K) + 1
"""
    m, n, k = size
    a, b = uniform(m, k), uniform(k, n)
    as_col = {".col": np.asfortranarray}
    got = run_both(text, a=as_col.get(x, np.asarray)(a), b=as_col.get(y, np.asarray)(b))["c"]
    plain = text.replace(".col", "").replace(".row", "")
    assert np.array_equal(got, run_both(plain, a=a, b=b)["c"])
    assert got.flags.f_contiguous or z != ".col"


@pytest.mark.parametrize(
    ("layout", "array", "text"),
    [
        (".col", np.zeros((4, 5), F32), "`a` is `.col`, so neighbours along its first axis lie side by side; its elements "
         "lie 5, 1 apart along its axes"),
        (".col", np.zeros((4, 5, 2), F32)[:, :, 0].T, "its elements lie 2, 10 apart"),
        (".row", np.zeros((4, 5), F32, "F"), "`a` is `.row`, so neighbours along its last axis lie side by side; its "
         "elements lie 1, 4 apart along its axes"),
        (".row", np.zeros((4, 5), F32)[:, ::-1], "its elements lie 5, -1 apart"),
        (".row", np.broadcast_to(F32(1), (4, 5)), "its elements lie 0, 0 apart"),
    ],
)  # fmt: skip
def test_other_strides_are_refused_at_the_call(layout: str, array: Array, text: str) -> None:
    kernel = f"""
kernel f[M, N](a: f32[M, N]{layout}, s: out f32[M, N]):
    for i, j in grid(M, N):
        s[i, j] = a[i, j]
"""
    with pytest.raises(CallError) as e:
        run(artifact(kernel, "f", Facts(("inner", "inner"))), {"a": array})
    assert e.value.code == "E0623" and text in str(e.value) and "rearrange it: np.as" in e.value.help


def test_calls_between_layouts() -> None:
    text = """
kernel doubled[M, N](a: f32[M, N].col) -> b: f32[M, N].col:
    for i, j in grid(M, N):
        b[i, j] = 2 * a[i, j]

kernel any_of[M, N](a: f32[M, N]) -> b: f32[M, N]:
    for i, j in grid(M, N):
        b[i, j] = a[i, j] + 1

kernel rows[M, N](a: f32[M, N].row) -> s: f32[M]:
    for i in grid(M):
        s[i] = sum(a[i, j] for j in N)

kernel main[M, N](a: f32[M, N].col, c: out f32[M, N]) -> s: f32[M]:
    t: f32[M, N].col
    for i, j in grid(M, N):
        t[i, j] = a[i, j]
    b = doubled(t)
    b2 = doubled(b)
    d = any_of(b2)
    s = rows(d)
    for i, j in grid(M, N):
        c[i, j] = d[i, j] + b[i, j]
"""
    a = np.asfortranarray(uniform(12, 17))
    got = run_both(text, "main", a=a)
    assert np.array_equal(got["c"], (4 * a + 1) + 2 * a)
    np.testing.assert_allclose(got["s"], (4 * a + 1).sum(axis=1), rtol=1e-5, atol=1e-5)


def test_parts_keep_the_layout_where_the_inner_axis_stays() -> None:
    text = """
kernel doubled[M, N](a: f32[M, N].col, b: inout f32[M, N].col):
    for i, j in grid(M, N):
        b[i, j] = b[i, j] + 2 * a[i, j]

kernel line[N](a: f32[N].row, b: inout f32[N]):
    for i in grid(N):
        b[i] = b[i] + a[i]

kernel main[M, N](a: f32[M, N].col, c: inout f32[M, N].col):
    doubled(a[1:M, 0:N], c[0:M - 1, 0:N])
    line(a[:, 0], c[:, N - 1])
    line(a[:, 1], c[0, 0:M])
"""
    a, c = np.asfortranarray(uniform(5, 6)), np.asfortranarray(uniform(5, 6))
    want = c.copy()
    want[:4] += 2 * a[1:]
    want[:, 5] += a[:, 0]
    want[0, :5] += a[:, 1]
    assert np.array_equal(run_both(text, "main", a=a, c=c)["c"], want)


def test_names_change_between_arrays_of_one_layout() -> None:
    text = """
kernel step[M, N](a: f32[M, N].col, b: inout f32[M, N].col):
    for i, j in grid(M, N):
        b[i, j] = a[i, j] + f32(i)

kernel any_of[M, N](a: f32[M, N], b: inout f32[M, N]):
    for i, j in grid(M, N):
        b[i, j] = a[i, j] * 2

task main[M, N](p: inout f32[M, N], steps: int):
    a: f32[M, N].col = 1
    b: f32[M, N].col = 5
    for t in range(steps):
        step(a, b)
        a, b = b, a
    any_of(a, p)
"""
    for steps in range(4):
        got = run_both(text, "main", p=np.zeros((3, 5), F32), steps=steps)["p"]
        assert got.tolist() == [[2 + 2 * steps * i] * 5 for i in range(3)]


def test_layouts_are_in_the_text_of_the_ir() -> None:
    fn = program(COLUMNS).ir.functions["columns"]
    text = print_function(fn)
    assert "param a: f32[M, N] col read" in text and "temp @u: f32[M, N] col inout" in text
    assert equal(read_function(text), fn)


def test_rule_44_files_in_the_order_of_the_type(tmp_path: Path) -> None:
    (tmp_path / "columns.lem").write_text(COLUMNS)
    a = uniform(4, 6)
    np.save(tmp_path / "rows.npy", a)
    np.save(tmp_path / "a.npy", np.asfortranarray(a))
    said = lem("run", "columns.lem", "a=rows.npy", cwd=tmp_path)
    assert said.code != 0 and "error[E0623]" in said.err and "np.asfortranarray(a)" in said.err
    assert lem("run", "columns.lem", "a=a.npy", "-o", "t=t.npy", cwd=tmp_path).code == 0
    t = np.load(tmp_path / "t.npy")
    assert np.array_equal(t, 1 + 2 * a) and t.flags.f_contiguous


# ---------------------------------------------------------------- .soa and .aos
PAIRS = """
struct Pair:
    x: f32
    n: i64

kernel swap[N](a: Pair[N]{a}, b: out Pair[N]{b}):
    for i in grid(N):
        b[i] = Pair(f32(a[i].n), i64(a[i].x))
"""
PAIR = dtype_of([("x", "f32"), ("n", "i64")])


def pairs(n: int) -> Array:
    made = np.zeros(n, PAIR)
    made["x"], made["n"] = np.arange(n), 10 + np.arange(n)
    return made


@pytest.mark.parametrize("n", [0, 1, 6])
def test_rule_34_records_and_fields_apart_by_type(n: int) -> None:
    a = pairs(n)
    apart = {name: np.ascontiguousarray(a[name]) for name in ("x", "n")}
    got = run_kernel(PAIRS.format(a=".aos", b=".aos"), a=a)["b"]
    assert got.dtype == PAIR and got["x"].tolist() == a["n"].tolist() and got["n"].tolist() == list(range(n))
    got = run_both(PAIRS.format(a=".soa", b=".soa"), a=apart)["b"]
    assert isinstance(got, dict) and got["x"].tolist() == a["n"].tolist()


def test_rule_34_the_other_layout_is_refused() -> None:
    a = pairs(5)
    apart = {name: np.ascontiguousarray(a[name]) for name in ("x", "n")}
    with pytest.raises(CallError, match="`a` is `.aos`, and its fields lie apart") as e:
        run_kernel(PAIRS.format(a=".aos", b=""), a=apart)
    assert e.value.code == "E0623"
    with pytest.raises(CallError, match="field `x` of `a` is no array of its own: its elements lie 4 apart"):
        run_kernel(PAIRS.format(a=".soa", b=""), a=a)
