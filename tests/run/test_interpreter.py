"""The interpreter on IR written by hand: what each kind of op means, and what goes wrong where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem.ir.core import OPS
from lem.ir.interpreter import MEANINGS, InterpreterError, block_dependence, run
from lem.ir.reader import read_module
from tests.support.ir_samples import CSR, sample
from tests.support.run import program

F32 = np.float32


def numbers(*shape: int, dtype: Any = F32, seed: int = 1) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def kernel(header: str, body: str) -> Any:
    return read_module(f"kernel f[N] {{\n{header}\n rule N = x, 0\n body\n{_PRE}{body}\n}}")


_PRE = "%z: i64 = tile.const 0, i64\n%one: i64 = tile.const 1, i64\n%n: i64 = tile.dim N\n"


# ---------------------------------------------------------------- kernels


def test_matmul_adds_chunks_of_256_ascending() -> None:
    a, b = numbers(3, 600), numbers(600, 5, seed=2)
    c = run(sample("matmul"), "matmul", {"a": a, "b": b}).arrays["c"]
    want = np.zeros((3, 5), F32)
    for lo in range(0, 600, 256):
        chain = np.zeros((3, 5), F32)
        for k in range(lo, min(lo + 256, 600)):
            # One f32 FMA: the product is exact in f64, and the double rounding of the sum does not matter here.
            chain = (a[:, k, None].astype(float) * b[k].astype(float) + chain).astype(F32)
        want = want + chain
    assert np.array_equal(c, want)


def test_softmax_rows_in_lanes() -> None:
    x = numbers(4, 70)
    y = run(sample("softmax"), "softmax", {"x": x}).arrays["y"]
    p = (x - x.max(axis=1, keepdims=True)) ** 2
    lanes = np.zeros((4, 32), F32)
    for at in range(0, 70, 32):
        part = p[:, at : at + 32]
        lanes[:, : part.shape[1]] += part
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    assert np.array_equal(y, p / lanes)


@pytest.mark.parametrize("n", [0, 1, 31, 33, 4096, 4097, 9000, 13000])
def test_long_sums_merge_chunks_pairwise(n: int) -> None:
    x = numbers(n)
    module = kernel(
        " param x: f32[N] read\n param s: f32 result\n param t: f32 result\n axes k: range",
        """%k: i64{k} = tile.range #k, %z, %n
        %x: f32{k} = tile.load @x[%k]
        %s: f32 = tile.reduce (%x), #k, sum.f32, lanes
        tile.store @s[], %s
        %t: f32 = tile.reduce (%x), #k, sum.f32, chain
        tile.store @t[], %t""",
    )
    out = run(module, "f", {"x": x}).arrays

    def pairwise(parts: list[Any]) -> Any:
        while len(parts) > 1:
            odd = parts[len(parts) - len(parts) % 2 :]
            parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)] + odd
        return parts[0] if parts else F32(0)

    def lanes(chunk: Any) -> Any:
        p = np.zeros(32, F32)
        for i, v in enumerate(chunk):
            p[i % 32] += v
        for half in (16, 8, 4, 2, 1):
            p = p[:half] + p[half : 2 * half]
        return p[0]

    def chain(chunk: Any) -> Any:
        total = F32(0)
        for v in chunk:
            total = total + v
        return total

    assert out["s"] == pairwise([lanes(x[i : i + 4096]) for i in range(0, n, 4096)])
    assert out["t"] == pairwise([chain(x[i : i + 256]) for i in range(0, n, 256)])


def _attention(q: Any, k: Any, v: Any) -> Any:
    s = q.astype(float) @ k.T.astype(float)
    out = np.zeros(q.shape)
    for i in range(len(q)):
        # The running maximum m restarts the sums whenever a block has a greater one (`keep`), so with blocks of any
        # size the result is that of the positions within 1 of the overall maximum's last restart.
        top = s[i, : i + 1].max()
        near = (top - s[i, : i + 1] <= 1).astype(float)
        out[i] = near @ v[: i + 1] / near.sum()
    return out


def test_attention_runs_ragged_tiles() -> None:
    q, k, v = (numbers(9, 4, seed=s) for s in (1, 2, 3))
    got = run(sample("attention"), "attention", {"q": q, "k": k, "v": v}, block_sizes=0).arrays["o"]
    assert np.allclose(got, _attention(q, k, v), atol=1e-5)


def test_blocks_do_not_matter_to_an_online_sum() -> None:
    text = """kernel f[N] {
  param x: f64[N] read
  param y: f64[N] out
  rule N = x, 0
  axes i: grid, j: tiles
  body
  %z: i64 = tile.const 0, i64
  %n: i64 = tile.dim N
  %two: i64 = tile.const 2, i64
  %none: f64 = tile.const 0.0, f64
  tile.grid (#i), (%z), (%n), (1) {
    ^(%i: i64{i})
    %lo: i64{i} = tile.binary floordiv, %i, %two
    %y: f64{i} = tile.tiles #j, %lo, %i, none, (%none) {
      ^(%j: i64{i, j}, %y0: f64{i})
      %x: f64{i, j} = tile.load @x[%j]
      %s: f64{i} = tile.reduce (%x), #j, sum.f64, lanes
      %y1: f64{i} = tile.binary add, %y0, %s
      yield %y1
    }
    tile.store @y[%i], %y
  }
}
"""
    x = np.arange(200.0)
    want = [x[i // 2 : i].sum() for i in range(200)]
    for blocks in (None, 1, 7, 64, 0, {"j": 3}):
        assert np.array_equal(run(read_module(text), "f", {"x": x}, block_sizes=blocks).arrays["y"], want)


def test_results_that_depend_on_blocks_are_found() -> None:
    # The carried value is overwritten: what stays is the last block's sum.
    text = """kernel f[N] {
  param x: f32[N] read
  param y: f32[2] out
  rule N = x, 0
  axes i: grid, j: tiles
  body
  %z: i64 = tile.const 0, i64
  %n: i64 = tile.dim N
  %two: i64 = tile.const 2, i64
  %none: f32 = tile.const 0.0, f32
  tile.grid (#i), (%z), (%two), (1) {
    ^(%i: i64{i})
    %y: f32{i} = tile.tiles #j, %z, %n, none, (%none) {
      ^(%j: i64{j}, %y0: f32{i})
      %x: f32{j} = tile.load @x[%j]
      %s: f32 = tile.reduce (%x), #j, sum.f32, lanes
      %y1: f32{i} = tile.binary add, %y0, %s
      yield %y1
    }
    tile.store @y[%i], %y
  }
}
"""
    held = {"x": np.arange(10, dtype=F32)}
    assert block_dependence(read_module(text), "f", held) == ()
    wrong = read_module(text.replace("%y1: f32{i} = tile.binary add, %y0, %s", "%y1: f32 = tile.binary add, %s, %s"))
    assert [(d.array, d.size) for d in block_dependence(wrong, "f", held)] == [("y", 1), ("y", 3)]


def test_every_op_has_a_meaning() -> None:
    # Stepping through a body adds an op of its own, which no text has.
    assert {o for o in MEANINGS if o.__module__.startswith("lem.ir.")} == set(OPS.values())


def test_mandelbrot_stops_element_by_element() -> None:
    got = run(sample("mandelbrot"), "mandelbrot", {}, {"limit": 20}, {"H": 5, "W": 9}).arrays["count"]

    def escape(c: complex) -> int:
        z, n = 0j, 0
        while abs(z) ** 2 <= 4 and n < 20:
            z, n = z * z + c, n + 1
        return n

    want = [[escape(complex(x * 0.25 - 1.5, y * 0.25 - 1.5)) for x in range(9)] for y in range(5)]
    assert np.array_equal(got, want)


def test_stencil_clamps_at_the_ends() -> None:
    x = np.arange(6, dtype=F32) ** 2
    got = run(sample("stencil"), "blur", {"x": x}).arrays["y"]
    padded = np.pad(x, 1, mode="edge")
    assert np.array_equal(got, padded[:-2] + padded[1:-1] + padded[2:])


@pytest.mark.parametrize(("boundary", "mode"), [("wrap", "wrap"), ("fill, %m", "constant")])
def test_boundaries(boundary: str, mode: str) -> None:
    text = f"""kernel f[N] {{
  param x: f32[N] read
  param y: f32[N] out
  rule N = x, 0
  axes i: grid
  body
  %z: i64 = tile.const 0, i64
  %n: i64 = tile.dim N
  %m: f32 = tile.const -1.0, f32
  tile.grid (#i), (%z), (%n), (1) {{
    ^(%i: i64{{i}})
    %x: f32{{i}} = tile.load @x[2*%i - 3], {boundary}
    tile.store @y[%i], %x
  }}
}}
"""
    x = np.arange(1, 6, dtype=F32)
    kwargs = {"constant_values": -1} if mode == "constant" else {}
    padded = np.pad(x, 5, mode=mode, **kwargs)  # type: ignore[call-overload]
    got = run(read_module(text), "f", {"x": x}).arrays["y"]
    assert np.array_equal(got, [padded[5 + 2 * i - 3] for i in range(5)])


# ---------------------------------------------------------------- ragged rows, faults


def _csr() -> dict[str, Any]:
    ptr = np.array([0, 3, 3, 4, 7])
    col = np.array([0, 2, 4, 1, 0, 1, 4], np.int32)
    return {"ptr": ptr, "col": col, "val": numbers(7, dtype=float), "x": numbers(5, dtype=float, seed=2)}


def test_csr_rows_are_ragged() -> None:
    held = _csr()
    got = run(sample("csr"), "spmv", held).arrays["y"]
    terms = held["val"] * held["x"][held["col"]]
    assert np.allclose(got, [terms[a:b].sum() for a, b in zip(held["ptr"], held["ptr"][1:], strict=False)])


def test_fault_of_the_smallest_element_is_reported() -> None:
    held = _csr()
    held["col"][[3, 5, 6]] = [9, -1, 7]
    out = run(sample("csr"), "spmv", held)
    assert out.fault is not None
    assert (out.fault.code, out.fault.values, out.fault.indices, out.fault.order) == ("E0601", (9, 5), (2,), 2)
    assert out.fault.text.format(*out.fault.values) == "`col[z]` is 9, axis 0 of `x` has size 5"


def test_an_element_that_faulted_does_nothing_more() -> None:
    module = kernel(
        """ param x: i64[N] inout
        site 0 E0603 f "first" () (i) {0, N, 1}
        site 1 E0603 f "second" () (i) {0, N, 1}
        axes i: grid""",
        """tile.grid (#i), (%z), (%n), (1) {
          ^(%i: i64{i})
          %x: i64{i} = tile.load @x[%i]
          %two: i64 = tile.const 2, i64
          %a: bool{i} = tile.compare lt, %x, %n
          tile.assert %a, 0, ()
          %y: i64{i} = tile.load @x[%x]
          %b: bool{i} = tile.compare ne, %y, %two
          tile.assert %b, 1, ()
          tile.store @x[%i], %n
        }""",
    )
    x = np.array([0, 3, 99, 2])
    out = run(module, "f", {"x": x})
    assert out.fault is not None and (out.fault.text, out.fault.order) == ("second", 1)
    assert list(x) == [4, 3, 99, 4]


def test_a_subscript_that_was_not_proven_is_the_compilers_fault() -> None:
    text = CSR.replace("    tile.assert %inside, 0, (%c8, %C)\n", "")
    held = _csr()
    held["col"][0] = 5
    with pytest.raises(InterpreterError, match=r"x\[5\] has shape \(5,\)"):
        run(read_module(text), "spmv", held)


def test_inactive_elements_neither_read_outside_nor_store() -> None:
    module = kernel(
        " param x: i32[N] inout\n axes i: grid",
        """%two: i64 = tile.const 2, i64
        %zero: i32 = tile.const 0, i32
        tile.grid (#i), (%z), (%n), (1) {
          ^(%i: i64{i})
          %last: bool{i} = tile.compare ge, %i, %two
          %y: i32{i} = tile.if %last {
            %a: i32{i} = tile.load @x[%i - 2]
            %q: i32{i} = tile.binary floordiv, %a, %a
            yield %q
          } {
            yield %zero
          }
          tile.if %last {
            tile.store @x[%i], %y
          } {
          }
        }""",
    )
    x = np.array([3, -4, 0, 0], np.int32)
    assert run(module, "f", {"x": x}).fault is None
    assert list(x) == [3, -4, 1, 1]


# ---------------------------------------------------------------- steps, prints, updates


def test_mixed_calls_prints_and_updates() -> None:
    x, h = np.array([1, -2, 3, 0.5], F32), np.array([10, 20])
    out = run(sample("mixed"), "mixed", {"x": x, "h": h}, {"times": 3}, checked=True)
    assert list(out.arrays["h"]) == [12, 22]
    assert out.arrays["total"] == 8.5 / 8
    assert [(p.values, p.order) for p in out.prints] == [((2.0,), 1)]
    assert out.reports == ()


def test_condition_of_the_signature_is_checked() -> None:
    from lem_runtime.abi.signature import CallError

    with pytest.raises(CallError, match="must hold"):
        run(sample("mixed"), "mixed", {"x": np.zeros(3, F32), "h": np.zeros(0, np.int64)})
    with pytest.raises(TypeError, match="has dtype float64"):
        run(sample("stencil"), "blur", {"x": np.zeros(3)})


def test_scatter_adds_in_sixteen_parts() -> None:
    module = kernel(
        ' param x: f32[N] read\n param y: f32[1] reduce("add")\n axes i: grid',
        "tile.grid (#i), (%z), (%n), (1) {\n^(%i: i64{i})\n%x: f32{i} = tile.load @x[%i]\ntile.update add, @y[0], %x\n}",
    )
    x, y = numbers(100), np.array([5], F32)
    sums = [F32(5), *[F32(0)] * 15]
    for i, v in enumerate(x):
        sums[i // 7] += v
    want = sums[0]
    for v in sums[1:]:
        want += v
    run(module, "f", {"x": x, "y": y})
    assert y[0] == want


# ---------------------------------------------------------------- what checked runs find


def _reports(header: str, body: str, **held: Any) -> list[str]:
    return [str(r) for r in run(kernel(header, body), "f", held, checked=True).reports]


def test_two_writers_are_a_race() -> None:
    body = """tile.grid (#i), (%z), (%n), (1) {
      ^(%i: i64{i})
      %two: i64 = tile.const 2, i64
      %h: i64{i} = tile.binary floordiv, %i, %two
      tile.store @x[%h], %i
    }"""
    found = _reports(" param x: i64[N] inout\n axes i: grid", body, x=np.zeros(4, np.int64))
    assert found == ["elements 0, 1 meet at x[0] in f, and one of them writes"]


def test_reading_what_another_element_writes_is_a_race() -> None:
    body = """%m: i64 = tile.binary sub, %n, %one
    tile.grid (#i), (%z), (%m), (1) {
      ^(%i: i64{i})
      %v: i64{i} = tile.load @x[%i + 1]
      tile.store @x[%i], %v
    }"""
    found = _reports(" param x: i64[N] inout\n axes i: grid", body, x=np.zeros(4, np.int64))
    assert found == ["elements 0, 1 meet at x[1] in f, and one of them writes"]


def test_an_element_may_read_what_it_wrote() -> None:
    body = """tile.grid (#i), (%z), (%n), (1) {
      ^(%i: i64{i})
      tile.store @x[%i], %i
      %v: i64{i} = tile.load @x[%i]
      tile.store @x[%i], %v
    }"""
    assert _reports(" param x: i64[N] inout\n axes i: grid", body, x=np.zeros(4, np.int64)) == []


def test_reading_what_other_elements_update_is_a_race() -> None:
    header = ' param x: i64[N] reduce("add")\n axes i: grid'
    update = "tile.update add, @x[0], %i"
    grid = """tile.grid (#i), (%z), (%n), (1) {
      ^(%i: i64{i})
      BODY
    }"""
    read = "%v: i64{i} = tile.load @x[%i]"
    first = _reports(header, grid.replace("BODY", f"{update}\n{read}"), x=np.zeros(4, np.int64))
    assert first == ["element 0 and others meet at x[0] in f, and one of them writes"]
    second = _reports(header, grid.replace("BODY", f"{read}\n{update}"), x=np.zeros(4, np.int64))
    assert second == ["elements 0, 1 meet at x[0] in f, and one of them writes"]
    assert _reports(header, grid.replace("BODY", update), x=np.zeros(4, np.int64)) == []


def test_reports_name_elements_and_places_in_the_source() -> None:
    text = """
kernel f[M, N](x: f32[M, N], y: out f32[M, N]):
    t: f32[M, N]
    for i, j in grid(M, N[1:]):
        t[i, j] = x[i, j]
    for i, j in grid(M, N):
        y[i, j] = t[i, j]
"""
    (report,) = run(program(text).ir, "f", {"x": numbers(2, 3)}, checked=True).reports
    assert str(report) == "t[0, 0] in f is read before it is written (element (0, 0))"
    assert report.loc is not None and (report.loc.line, report.loc.col, report.loc.end_col) == (7, 19, 26)


def test_reading_what_nobody_wrote_is_reported() -> None:
    header = " param x: i64[N] out\n axes i: grid\n temp @t: i64[N] inout\n local @v: i64[2] inout{i}"
    body = """%two: i64 = tile.const 2, i64
    tile.alloc @t, (%n), none
    tile.store @t[0], %one
    %a: i64 = tile.load @t[0]
    %b: i64 = tile.load @t[1]
    tile.grid (#i), (%z), (%n), (1) {
      ^(%i: i64{i})
      tile.alloc @v, (%two), none
      tile.store @v[0], %i
      %c: i64{i} = tile.load @v[0]
      %d: i64{i} = tile.load @v[1]
      %e: i64{i} = tile.load @x[%i]
    }"""
    assert _reports(header, body, x=np.zeros(3, np.int64)) == [
        "t[1] in f is read before it is written",
        "v[1] in f is read before it is written (element 0)",
        "x[0] in f is read before it is written (element 0)",
    ]


def test_large_intermediates_cut_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    from lem.ir.interpreter import tile

    x, h = numbers(40, 70), np.arange(2)
    whole = run(sample("softmax"), "softmax", {"x": x}).arrays["y"]
    mixed = run(sample("mixed"), "mixed", {"x": x[0], "h": h.copy()}).arrays
    monkeypatch.setattr(tile, "LIMIT_BYTES", 2000)
    assert np.array_equal(run(sample("softmax"), "softmax", {"x": x}).arrays["y"], whole)
    again = run(sample("mixed"), "mixed", {"x": x[0], "h": h.copy()}).arrays
    assert all(np.array_equal(again[n], mixed[n]) for n in mixed)


def test_views_are_the_array_itself() -> None:
    a = np.arange(10, dtype=F32).reshape(2, 5)
    out = run(sample("views"), "views", {"a": a}, checked=True)
    want = np.arange(10, dtype=F32).reshape(2, 5)
    want[:, 1:4:2] /= 2
    assert np.array_equal(out.arrays["a"], want) and out.reports == ()
