"""``lem.explain`` and ``lem.trace``: what they say of callables and calls."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

import lem
from lem.dims import K, M, N
from lem.embed import joining

FACTOR = 2.5
LOWEST = -math.inf
N_ROUNDS = 3


@lem.fn
def scaled(x: lem.f32) -> lem.f32:
    return FACTOR * x


@lem.kernel
def told(x: lem.f32[N]) -> None:
    for i in lem.grid(N):
        if i == 0:
            print("first", x[i])


@lem.kernel
def dense(x: lem.f32[M, K], w: lem.f32[K, N], y: lem.out[lem.f32[M, N]], bias: lem.f32 = 0.0) -> None:
    for i, j in lem.grid(M, N):
        y[i, j] = scaled(bias + sum(x[i, k] * w[k, j] for k in K))


@lem.kernel("x: f32[N], keep: f32, y: out f32[N]")
def mostly(x, keep, y):
    for i in grid(N):
        if x[i] > keep:
            y[i] = x[i]
    for i in grid(N):
        y[i] = max(y[i] + 1.0, LOWEST)


@lem.kernel
def shifted(x: lem.f32[N], y: lem.out[lem.f32[M]]) -> None:
    for i in lem.grid(M):
        y[i] = x[i + 1]


@lem.kernel("[T: number, N](x: T[N], y: out T[N])")
def twice(x, y):
    for i in grid(N):
        y[i] = x[i] + x[i]


@lem.task
def rounds(x: lem.inout[lem.f32[N]], t: lem.inout[lem.f32[N]]) -> None:
    for r in range(N_ROUNDS):
        twice(x, t)
        twice(t, x)


@lem.kernel
def total(x: lem.f32[N]) -> Annotated[lem.f32, "s"]:
    s = sum(x[i] for i in N)


def f4(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


# ---------------------------------------------------------------- explain
def test_explain_says_what_was_captured_and_what_is_called() -> None:
    report = lem.explain(dense)
    assert report.constants == {"FACTOR": 2.5} and report.functions == ("scaled",)
    assert report.signature == "kernel dense[M, K, N](x: f32[M, K], w: f32[K, N], y: out f32[M, N], bias: f32 = 0.0)"
    assert "test_reports.py:" in report.place and "FACTOR  2.5" in str(report)
    assert lem.explain(mostly).constants == {"LOWEST": -math.inf}
    assert lem.explain(rounds).constants == {"N_ROUNDS": 3} and lem.explain(rounds).functions == ("twice",)


def test_explain_says_why_an_out_array_is_read() -> None:
    assert lem.explain(dense).arrays == {"x": "read", "w": "read", "y": "out: every element is written"}
    text = lem.explain(mostly).arrays["y"]
    assert text.startswith("out, treated as inout: `y[i]` may read it before it is written (") and "test_reports.py:" in text


def test_explain_says_which_expression_needs_a_condition() -> None:
    ((condition, why),) = lem.explain(shifted).conditions.items()
    assert "M" in condition and "`i + 1`" in why and "test_reports.py:" in why


def test_explain_counts_work_and_shows_code() -> None:
    before = lem.explain(dense)
    assert (
        "dense",
        "2 * K * M * N + 2 * M * N floating-point operations; reads 4 * K * M + 4 * K * N bytes, writes 4 * M * N",
    ) in before.work
    dense(f4(2, 3), f4(3, 2), f4(2, 2))
    assert "straight into" in lem.explain(dense).calls
    joining.settled()
    after = lem.explain(dense)
    assert "grid 0 (i, j)" in after.schedule and len(after.specializations) == 1
    assert after.is_direct and "straight into compiled code" in after.calls
    assert "1  layouts(inner, inner, inner);" in str(after)


def test_explain_says_why_calls_go_through_python() -> None:
    total(f4(3))
    joining.settled()
    report = lem.explain(total)
    assert report.is_direct and "kernel total[N](x: f32[N]) -> s: f32" in str(report)
    told(f4(3))
    report = lem.explain(told)
    assert not report.is_direct and report.calls == "through Python: it prints"


def test_explain_of_what_was_not_called_or_has_no_calls() -> None:
    generic = lem.explain(twice)
    assert "twice[T: number, N]" in generic.signature
    assert "inlined" in str(lem.explain(scaled)) and lem.explain(scaled).constants == {"FACTOR": 2.5}
    with pytest.raises(TypeError, match="kernel, task or fn"):
        lem.explain(len)  # type: ignore[arg-type]


def test_explain_shows_in_a_notebook() -> None:
    report = lem.explain(dense)
    page = report._repr_html_()
    assert '<span class="k">kernel</span> dense' in page and "<td>FACTOR</td><td>2.5</td>" in page
    assert "<lem.Explanation of kernel dense:" in repr(report)


# ---------------------------------------------------------------- trace
def test_trace_records_calls() -> None:
    x, w, y = f4(8, 4), f4(4, 8), f4(8, 8)
    dense(x, w, y)
    with lem.trace() as t:
        dense(x, w, y)
        s = total(x[0])
        told(x[0])
    first, second, third = t.calls
    assert s == 4.0 and (y == 10).all()
    assert (first.name, first.arguments) == ("dense", {"x": "f32[8, 4]", "w": "f32[4, 8]", "y": "f32[8, 8]"})
    assert first.flops == 2 * 4 * 64 + 2 * 64 and first.bytes == 4 * (32 + 32 + 64) and first.code == "ready"
    assert first.is_direct and second.is_direct and not third.is_direct and first.elapsed_ns > 0 and first.threads >= 1
    assert first.gflops == pytest.approx(first.flops / first.elapsed_ns)
    dense(x, w, y)
    assert len(t.calls) == 3  # over is over


def test_trace_says_where_code_came_from() -> None:
    @lem.kernel
    def fresh(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
        for i in lem.grid(N):
            y[i] = x[i] - 41.0

    with lem.trace() as t:
        fresh(f4(2), f4(2))
        fresh(f4(3), f4(3))
        fresh(np.ones(6, np.float32)[::2], f4(3))
    assert [c.code for c in t.calls][1] == "ready" and t.calls[0].code in ("compiled", "disk")
    assert t.calls[0].made_ns > 0 and t.calls[2].code != "ready"


def test_trace_records_what_fails_and_what_is_interpreted() -> None:
    with lem.trace() as t, pytest.raises(lem.CallError):
        dense(f4(2, 3), f4(2, 3), f4(2, 2))
    assert t.calls[0].error == "E0606" and "raised E0606" in str(t)
    with lem.interpret(), lem.trace() as u:
        assert total(f4(3)) == 3.0
    assert u.calls[0].code == "interpreted" and "interpreted" in u._repr_html_()


def test_interpreted_calls_are_recorded_whichever_with_stands_outside() -> None:
    with lem.trace() as outer:
        with lem.interpret(), lem.trace() as inner:
            assert total(x=f4(3)) == 3.0
            with pytest.raises(lem.CallError):
                total(f4(3).astype(np.float64))
        assert total(f4(3)) == 3.0
    assert [(c.code, c.arguments, c.error) for c in inner.calls] == [
        ("interpreted", {"x": "f32[3]"}, ""),
        ("", {"x": "f64[3]"}, "E0607"),
    ]
    assert [c.code for c in outer.calls[:2]] == ["interpreted", ""]
    assert outer.calls[2].code in ("ready", "disk", "compiled") and len(outer.calls) == 3


def test_trace_prints_and_is_kept(tmp_path: Path) -> None:
    with lem.trace() as t:
        dense(f4(2, 3), f4(3, 2), f4(2, 2))
    assert str(t).splitlines()[0].split() == ["call", "arguments", "time", "GFLOP/s", "GB/s", "threads", "code", "straight"]
    assert repr(t).startswith("<lem.Trace: 1 call, ") and str(lem.trace()) == "no calls"
    t.save(tmp_path / "run.json")
    (event,) = json.loads((tmp_path / "run.json").read_text())["traceEvents"]
    assert (event["name"], event["ph"], event["args"]["x"]) == ("dense", "X", "f32[2, 3]")
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
