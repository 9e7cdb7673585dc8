"""One mistake gets one report, and the report says what helps: each test a fault that a reader met."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lem import pipeline
from lem.diagnostics import Diagnostics
from lem.source import SourceFile
from tests.support.cli import lem
from tests.support.programs import check_error, check_right
from tests.support.rules import run_both


def reports(text: str) -> list[str]:
    diags = Diagnostics()
    pipeline.analyse(SourceFile("test.lem", text), diags)
    return [f"{d.code.id}: {d.label} {' '.join(d.help)}" for d in diags.items]


# ---------------------------------------------------------------- one mistake, one report


def test_a_local_of_two_types_is_one_mistake() -> None:
    check_error("""
kernel f[N](x: f32[N], k: i32, y: out f32[N]):
    for i in grid(N):
        v = k
        if x[i] > 0.0:
            v = x[i]  #~ E0302: `v` is i32, and this is f32
        y[i] = v
        y[i] = v + 1
""")


def test_a_scalar_that_a_grid_assigns_is_one_mistake() -> None:
    check_error("""
kernel f[N](x: f32[N], n: i64, y: out f32[N]):
    m = n
    k = 0.0
    for i in grid(N):
        m = x[i]  #~ E0407
        k += x[i]  #~ E0407
        y[i] = m + k

kernel g[N](x: f32[N]) -> s: f32:
    s = 0
    for i in grid(N):
        s = x[i] if x[i] > s else s  #~ E0407
""")


# ---------------------------------------------------------------- E0403: what all elements read

SHORTEST = """
kernel shortest[N](d: inout f64[N, N]):
    for k in range(N):
        for i, j in grid(N, N):
            d[i, j] = min(d[i, j], d[i, k] + d[k, j])
"""


def test_rule_12_a_row_and_a_column_that_all_read_are_offered_as_copies() -> None:
    (report,) = reports(SHORTEST)
    assert "declare `column: f64[N] = 0`, before the grid `for i in grid(N): column[i] = d[i, k]`" in report
    assert "declare `row: f64[N] = 0`, before the grid `for j in grid(N): row[j] = d[k, j]`" in report


@pytest.mark.parametrize("n", [0, 1, 5, 16, 33])
def test_rule_12_what_is_offered_is_right(n: int) -> None:
    text = """
kernel shortest[N](d: inout f64[N, N]):
    column: f64[N] = 0
    row: f64[N] = 0
    for k in range(N):
        for i in grid(N):
            column[i] = d[i, k]
        for j in grid(N):
            row[j] = d[k, j]
        for i, j in grid(N, N):
            d[i, j] = min(d[i, j], column[i] + row[j])
"""
    check_right(text)
    d = np.random.default_rng(n).integers(1, 50, (n, n)).astype(float)
    want = d.copy()
    for k in range(n):
        want = np.minimum(want, want[:, k : k + 1] + want[k])
    assert np.array_equal(run_both(text, d=d)["d"], want)


def test_rule_12_one_element_that_all_read_is_kept_before_the_grid() -> None:
    (report,) = reports("""
kernel f[N](d: inout f64[N, N], k: int):
    for i in grid(N):
        d[i, i] = d[i, i] / d[k, k]
""")
    assert "keep the element before the grid, `pivot = d[k, k]`" in report


def test_rule_12_a_neighbour_is_no_copy() -> None:
    (report,) = reports("""
kernel f[N](d: inout f64[N]):
    for i in grid(N[1:]):
        d[i] = d[i - 1]
""")
    assert "read one array and write another" in report


# ---------------------------------------------------------------- E0327: parameters with one value left


@pytest.mark.parametrize("body", ["y[i] = x[i + r]", "y[i] = x[i + r] + x[i - r]"])
def test_rule_1_a_parameter_with_one_value_left_is_warned_of(body: str) -> None:
    text = f"kernel f[N](x: f32[N], y: out f32[N], r: int) where N >= 1:\n    for i in grid(N):\n        {body}\n"
    (report,) = reports(text)
    assert report.startswith("E0327: calls need `r <= 0` and `r >= 0`, which leaves only `r == 0`")


def test_rule_1_a_parameter_with_a_range_is_fine() -> None:
    assert not reports("kernel f(x: f32[9], r: int) -> s: f32:\n    s = x[r]\n")
    (report,) = reports("kernel f(x: f32[9], r: int) -> s: f32 where r >= 8:\n    s = x[r]\n")
    assert "which leaves only `r == 8`" in report


# ---------------------------------------------------------------- E0624: the chain of calls


def test_rule_41_the_chain_of_calls_is_told(tmp_path: Path) -> None:
    (tmp_path / "deep.lem").write_text("""task even(n: int) -> s: bool:
    s = True
    if n != 0:
        s = odd(n - 1)

task odd(n: int) -> s: bool:
    s = even(n - 1)

task main(n: int) -> s: bool:
    s = even(n)
""")
    said = lem("run", "deep.lem", "n=20001", cwd=tmp_path)
    chain = "`main` calls `even` at deep.lem:10:5, which calls `odd` at deep.lem:4:9, which calls `even` at deep.lem:7:5"
    assert "error[E0624]" in said.err and "`even` -> `odd` -> `even`, 10001 calls deep; " + chain in said.err


# ---------------------------------------------------------------- arrays that have no name


def test_rule_38_literal_arrays_are_called_as_they_are_written() -> None:
    kernel = "kernel f[N](x: f32[N], y: f32[N]) -> s: f32:\n    s = sum(x[i] * y[i] for i in N)\n\n"
    (report,) = reports(kernel + 'test "t":\n    s = f(f32([1, 2]), f32([1, 2, 3]))\n')
    assert "axis 0 of `f32([1, 2, 3])` has size 3" in report
    (report,) = reports(kernel + 'test "t":\n    s = f(f32([1, 2]), f32([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))\n')
    assert "axis 0 of `f32(...)` has size 12" in report


# ---------------------------------------------------------------- complex results


@pytest.mark.parametrize(("struct", "dtype"), [("C64", np.complex64), ("C128", np.complex128)])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_rule_44_complex_results_are_complex_numbers(struct: str, dtype: type, n: int, tmp_path: Path) -> None:
    (tmp_path / "c.lem").write_text(f"""import complex
from complex import {struct}

kernel main[N](z: {struct}[N], w: inout {struct}[N]) -> y: {struct}[N]:
    for i in grid(N):
        y[i] = complex.mul(z[i], z[i])
        w[i] = complex.conj(w[i])
""")
    z = (np.arange(n) + 1j * np.arange(n)[::-1]).astype(dtype)
    np.save(tmp_path / "z.npy", z)
    said = lem("run", "c.lem", "z=z.npy", "w=z.npy", "-o", "y=y.npy", "-o", "w=w.npz", cwd=tmp_path)
    assert said.code == 0, said.err
    y, w = np.load(tmp_path / "y.npy"), np.load(tmp_path / "w.npz")["w"]
    assert y.dtype == w.dtype == dtype and np.array_equal(y, z * z) and np.array_equal(w, z.conj())
    assert lem("run", "c.lem", "z=y.npy", "w=w.npz", cwd=tmp_path).code == 0


# ---------------------------------------------------------------- many values in one text


def test_rule_39_a_text_shows_all_of_its_values(tmp_path: Path) -> None:
    fields = "{x[i]} {x[i]:.1f} {n[i]:03d} {n[i]:x} {n[i]} {i} {N} {x[i] > 0.0} {2.0 * x[i]} {n[i] + 1}"
    text = f"""
kernel shows[N](x: f64[N], n: i32[N], y: out f64[N]):
    for i in grid(N):
        print(f"{fields}")
        y[i] = x[i]

kernel asserts[N](x: f64[N], n: i32[N], y: out f64[N]):
    for i in grid(N):
        assert x[i] < 2.0, f"{fields}"
        y[i] = x[i]
"""
    (tmp_path / "f.lem").write_text(text)
    np.save(tmp_path / "x.npy", np.array([1.5, 2.5]))
    np.save(tmp_path / "n.npy", np.array([7, -20], np.int32))
    said = lem("run", "f.lem:shows", "x=x.npy", "n=n.npy", cwd=tmp_path)
    first, second = "1.5 1.5 007 7 7 0 2 True 3.0 8", "2.5 2.5 -20 -14 -20 1 2 True 5.0 -19"
    assert said.out.splitlines()[:2] == [f"shows[i=0]: {first}", f"shows[i=1]: {second}"]
    said = lem("run", "f.lem:asserts", "x=x.npy", "n=n.npy", cwd=tmp_path)
    assert said.code == 3 and f"{second} (in asserts[i=1])" in said.err


@pytest.mark.parametrize(("statement", "most"), [("assert x[i] > 0.0, f'{}'", 16), ("print(f'{}')", 32)])
def test_rule_39_a_text_has_a_largest_number_of_values(statement: str, most: int) -> None:
    shown = statement.replace("{}", "{x[i]}" * (most + 1))
    (report,) = reports(f"kernel f[N](x: f32[N]):\n    for i in grid(N):\n        {shown}\n")
    assert f"{most + 1} values, and at most {most} can be shown at once" in report
