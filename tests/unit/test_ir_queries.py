"""Questions asked of tile IR: work of each step, regions of each grid, the structure of contractions."""

from __future__ import annotations

from lem.ir.queries import Touch, contractions, grids, work
from lem.ir.reader import read_module
from lem.ir.sizing import add, ceil_div, larger, mul, smaller, sub, substitute
from lem.pipeline import optimised
from lem_runtime.abi.sizes import show
from tests.support.ir_samples import sample
from tests.support.run import program


def _work(name: str, function: str = "") -> list[tuple[str, str, str, str]]:
    module = sample(name)
    found = work(module.functions[function or name], module)
    return [(w.label, *("?" if n is None else show(n) for n in (w.flops, w.bytes_read, w.bytes_written))) for w in found]


def test_work_of_a_matrix_product() -> None:
    assert _work("matmul") == [("matmul(i, j)", "2 * K * M * N", "4 * K * M + 4 * K * N", "4 * M * N")]


def test_unknown_work_is_none_but_bytes_stay_bounded_by_the_arrays() -> None:
    assert _work("csr", "spmv") == [("spmv(r)", "?", "8 * R + 12 * Z + 8 * C", "8 * R")]


def test_ragged_axes_count_half_and_read_everything() -> None:
    ((_, flops, read, _),) = _work("attention")
    assert flops.startswith("4 * D * S * (S // 2)") and read == "12 * D * S"


def test_a_scan_works_at_each_position() -> None:
    assert _work("peaks") == [("peaks(i)", "M * N", "4 * M * N", "12 * M * N")]


def test_calls_and_sequential_code_are_steps() -> None:
    assert _work("mixed") == [
        ("mixed(i)", "2 * N", "4 * N + 8 * B", "4 * N + 8 * B"),
        ("step", "N * times", "4 * N * times", "4 * N * times"),
        ("mixed", "N", "4 * N", "4"),
    ]


def _region(t: Touch) -> list[object]:
    return [s and ([(c, a.name) for c, a in s.terms], s.lo, s.hi) for s in t.region]


def test_regions_are_affine_in_the_grid() -> None:
    (g,) = grids(sample("stencil").functions["blur"])
    assert g.bounds == ((0, "N", 1),)
    assert [(t.kind, t.array.name, _region(t)) for t in g.touches] == [
        ("read", "x", [([(1, "i")], -1, 2)]),
        ("write", "y", [([(1, "i")], 0, 1)]),
    ]


def test_gathers_may_be_anywhere() -> None:
    (g,) = grids(sample("csr").functions["spmv"])
    assert [_region(t) for t in g.touches if t.array.name == "x"] == [[None]]


def test_negative_coefficients_turn_the_region_around() -> None:
    text = """kernel f[N, R] {
  param x: f32[N] read
  param y: f32[N] out
  rule N = x, 0
  rule R = ?
  axes i: grid, r: range
  body
  %z: i64 = tile.const 0, i64
  %N: i64 = tile.dim N
  %R: i64 = tile.dim R
  tile.grid (#i), (%z), (%N), (1) {
    ^(%i: i64{i})
    %r: i64{r} = tile.range #r, %z, %R
    %x: f32{i, r} = tile.load @x[2*%i - 3*%r + %N], clamp
  }
}
"""
    (g,) = grids(read_module(text).functions["f"])
    ((span,),) = [t.region for t in g.touches]
    assert span is not None
    assert ([(c, a.name) for c, a in span.terms], show(span.lo), show(span.hi)) == (
        [(2, "i")],
        "N - 3 * R + 3",
        "N + 1",
    )


def test_contractions_name_free_axes() -> None:
    first, second = contractions(sample("attention").functions["attention"])
    names = [[a.name for a, _ in axes] for axes in (first.x_free, first.y_free, first.shared)]
    assert names == [["i"], ["j"], []] and first.length == "D"
    assert [a.name for a, _ in second.y_free] == ["d"] and second.grid is not None


def test_sizes_have_one_form() -> None:
    assert show(add(sub("K", 1), 1)) == "K"
    assert show(mul(add("M", 1), sub("M", 1))) == "M * M - 1"
    assert smaller(add("N", 2), "N") == "N" and larger("A", "B") == ("max", "A", "B")
    assert show(ceil_div(add("N", 1), 4)) == "(N + 4) // 4" and ceil_div(9, 4) == 3
    assert show(sub(0, "N")) == "0 - N"
    assert substitute(("+", "N", ("min", "M", 3)), {"M": 7}) == ("+", "N", ("min", 7, 3))


def test_a_sequential_loop_reads_what_its_index_goes_over() -> None:
    text = """
kernel f[N](x: f32[N], y: out f32[1]):
    s = f32(0)
    for i in range(N):
        s += x[i]
    for k in grid(1):
        y[k] = s
"""
    module = optimised(program(text), "f", "cpu")
    found = {w.label: w.bytes_read for w in work(module.functions["f"], module)}
    assert found["f"] is not None and show(found["f"]) == "4 * N"
