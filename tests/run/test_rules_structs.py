"""LANGUAGE 34, 17, 15: structs as values and in arrays, on the interpreter and the CPU, laid out as the caller has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lem_runtime import CallError
from lem_runtime.structs import dtype_of
from tests.support.rules import run_both
from tests.support.run import artifact, fault_of, program, run_kernel

Array = np.ndarray[Any, Any]

BODY = """
struct Body:
    x: f32
    y: f32
    mass: f64
"""
BODIES = np.dtype([("x", "f4"), ("y", "f4"), ("mass", "f8")], align=True)


def bodies(n: int) -> Array:
    made = np.zeros(n, BODIES)
    made["x"], made["y"], made["mass"] = np.arange(n), -np.arange(n) / 2, 1 + np.arange(n)
    return made


def apart(a: Array) -> dict[str, Array]:
    return {name: np.ascontiguousarray(a[name]) for name in a.dtype.names or ()}


# ---------------------------------------------------------------- values
def test_rule_34_made_by_name_and_in_order() -> None:
    text = (
        BODY
        + """
kernel make[N](x: f32[N], b: out Body[N]):
    for i in grid(N):
        b[i] = Body(mass=3, x=x[i], y=1.5) if i % 2 == 0 else Body(x[i], 2.5, mass=4)
"""
    )
    got = run_both(text, x=np.arange(5, dtype=np.float32))["b"]
    assert got["x"].tolist() == [0, 1, 2, 3, 4]
    assert got["y"].tolist() == [1.5, 2.5, 1.5, 2.5, 1.5] and got["mass"].tolist() == [3, 4, 3, 4, 3]


def test_rule_34_literals_take_the_type_of_their_field() -> None:
    text = """
struct Mixed:
    a: u8
    b: bool
    c: f16
    d: i64

kernel make(m: out Mixed[1]):
    m[0] = Mixed(a=255, b=True, c=0.1, d=-1)
"""
    got = run_both(text)["m"]
    assert [got[n].dtype.name for n in "abcd"] == ["uint8", "bool", "float16", "int64"]
    assert (got["a"][0], got["b"][0], got["c"][0], got["d"][0]) == (255, True, np.float16(0.1), -1)


def test_rule_34_locals_through_branches_and_loops() -> None:
    text = (
        BODY
        + """
kernel walk[N](n: i64[N], b: out Body[N]):
    for i in grid(N):
        p = Body(0, 0, 1)
        for t in range(n[i]):
            q = p
            if t % 3 == 1:
                p = Body(p.x + 1, p.y, p.mass)
            elif t % 3 == 2:
                continue
            else:
                p = Body(p.x, p.y - 1, q.mass * 2)
            if p.x > 3:
                break
        while p.y < 0.0:
            p = Body(p.x, p.y + 2, p.mass)
        b[i] = p
"""
    )

    def walk(n: int) -> tuple[float, float, float]:
        x, y, mass = 0.0, 0.0, 1.0
        for t in range(n):
            if t % 3 == 1:
                x += 1
            elif t % 3 == 2:
                continue
            else:
                y, mass = y - 1, mass * 2
            if x > 3:
                break
        while y < 0:
            y += 2
        return x, y, mass

    n = np.arange(20)
    got = run_both(text, n=n)["b"]
    assert list(zip(got["x"], got["y"], got["mass"], strict=True)) == [walk(int(k)) for k in n]


def test_rule_34_exchanged_in_one_assignment() -> None:
    text = (
        BODY
        + """
kernel swap(b: inout Body[2]):
    p, q = b[0], b[1]
    p, q = q, p
    b[0], b[1] = p, Body(q.x, q.y, p.mass)
"""
    )
    got = run_both(text, b=bodies(2))["b"]
    assert got.tolist() == [(1, -0.5, 2), (0, 0, 2)]


def test_rule_34_locals_with_axes() -> None:
    text = """
struct Pair:
    low: f32
    high: f32

kernel bounds[M, N](a: f32[M, N], p: out Pair[N]):
    for j in grid(N):
        best = Pair(inf, -inf)
        for i in range(M):
            best = Pair(min(best.low, a[i, j]), max(best.high, a[i, j]))
        p[j] = best

kernel rows[M, N](a: f32[M, N], p: out Pair[M, N]):
    for i in grid(M):
        both: Pair[N] = Pair(0, 1)
        both = Pair(both.low + a[i, :], both.high)
        p[i, :] = both
"""
    a = np.random.default_rng(1).standard_normal((5, 7)).astype(np.float32)
    got = run_both(text, "bounds", a=a)["p"]
    assert np.array_equal(got["low"], a.min(axis=0)) and np.array_equal(got["high"], a.max(axis=0))
    got = run_both(text, "rows", a=a)["p"]
    assert np.array_equal(got["low"], a) and np.all(got["high"] == 1)


def test_rule_34_structs_in_structs() -> None:
    text = """
struct Point:
    x: f32
    y: f32

struct Disc:
    at: Point
    radius: f32

fn moved(d: Disc, by: Point) -> Disc:
    return Disc(Point(d.at.x + by.x, d.at.y + by.y), d.radius)

kernel move[N](d: Disc[N], by: Point, e: out Disc[N], x: out f32[N]):
    for i in grid(N):
        e[i] = moved(d[i], by)
        x[i] = moved(d[i], d[i].at).at.x
"""
    d = np.zeros(3, dtype_of([("at.x", "f32"), ("at.y", "f32"), ("radius", "f32")]))
    d["at"]["x"], d["at"]["y"], d["radius"] = [1, 2, 3], [4, 5, 6], 9
    got = run_both(text, d=d, by={"x": 10.0, "y": 20.0})
    assert got["e"]["at.x"].tolist() == [11, 12, 13] and got["e"]["at.y"].tolist() == [24, 25, 26]
    assert got["e"]["radius"].tolist() == [9, 9, 9] and got["x"].tolist() == [2, 4, 6]


# ---------------------------------------------------------------- fns
def test_rule_17_fns_take_and_give_structs() -> None:
    text = (
        BODY
        + """
fn length(b: Body) -> f32:
    return sqrt(b.x * b.x + b.y * b.y)

fn scaled(b: Body, by: f32) -> Body:
    if by < 0:
        return Body(0, 0, b.mass)
    return Body(b.x * by, b.y * by, b.mass)

fn split(b: Body) -> (Body, f32):
    return Body(b.x, 0, b.mass), b.y

fn heavier(a, b):
    return a if a.mass > b.mass else b

kernel use[N](a: Body[N], b: out Body[N], r: out f32[N]):
    for i in grid(N):
        half, y = split(scaled(a[i], f32(0.5) if i % 2 == 0 else -1))
        b[i] = heavier(half, Body(9, 9, 2))
        r[i] = length(a[i]) + y
"""
    )
    a = bodies(6)
    got = run_both(text, a=a)
    by = np.where(np.arange(6) % 2 == 0, 0.5, 0).astype(np.float32)
    heavy = a["mass"] > 2
    assert np.array_equal(got["b"]["x"], np.where(heavy, a["x"] * by, 9))
    assert np.array_equal(got["b"]["y"], np.where(heavy, 0, 9))
    want = np.hypot(a["x"].astype(np.float64), a["y"]) + a["y"] * by
    np.testing.assert_allclose(got["r"], want, rtol=1e-6)


def test_rule_17_fns_read_arrays_of_structs() -> None:
    text = (
        BODY
        + """
fn pull(b: Body[N], x: f32)[N] -> f64:
    return sum(b[j].mass for j in N if b[j].x < x)

kernel use[N](a: Body[N], r: out f64[N]):
    for i in grid(N):
        r[i] = pull(a, a[i].x)
""".replace("fn pull(b: Body[N], x: f32)[N]", "fn pull[N](b: Body[N], x: f32)")
    )
    a = bodies(5)
    assert run_both(text, a=a)["r"].tolist() == [0, 1, 3, 6, 10]


# ---------------------------------------------------------------- arrays
@pytest.mark.parametrize("n", [0, 1, 7, 64, 1000])
def test_rule_34_the_callers_layout_is_the_layout(n: int) -> None:
    text = (
        BODY
        + """
kernel drift[N](a: Body[N], b: inout Body[N], dt: f32):
    for i in grid(N):
        b[i] = Body(b[i].x + a[i].x * dt, b[i].y + a[i].y * dt, b[i].mass + a[i].mass)
"""
    )
    a = bodies(n)
    want = {"x": a["x"] * np.float32(1.5), "y": a["y"] * np.float32(1.5), "mass": a["mass"] * 2}
    together = run_both(text, a=a, b=bodies(n), dt=0.5)["b"]
    beside = run_both(text, a=apart(a), b=apart(bodies(n)), dt=0.5)["b"]
    mixed = run_both(text, a=apart(a), b=bodies(n), dt=0.5)["b"]
    assert together.dtype == BODIES and isinstance(beside, dict)
    for name, values in want.items():
        assert np.array_equal(together[name], values)
        assert np.array_equal(beside[name], values) and np.array_equal(mixed[name], values)


def test_rule_34_fields_are_views_and_nothing_is_copied() -> None:
    text = (
        BODY
        + """
kernel clear[N](b: inout Body[N]):
    for i in grid(N):
        b[i] = Body(0, b[i].y, 1)
"""
    )
    wide = np.zeros(10, BODIES)
    wide["x"], wide["y"] = 5, 6
    b = wide[::-2]
    got = run_kernel(text, b=b, copied=False)["b"]
    assert got is b
    assert wide["x"].tolist() == [5, 0] * 5 and wide["mass"].tolist() == [0, 1] * 5 and np.all(wide["y"] == 6)


def test_rule_34_fields_that_are_not_aligned_are_copied_with_a_note() -> None:
    from lem_runtime import run
    from lem_runtime.abi.source import Facts

    text = (
        BODY
        + """
kernel heavier[N](b: inout Body[N]):
    for i in grid(N):
        b[i] = Body(b[i].x, b[i].y, b[i].mass + 1)
"""
    )
    packed = np.zeros(5, np.dtype([("x", "f4"), ("mass", "f8"), ("y", "f4")]))
    packed["x"], packed["mass"] = 3, np.arange(5)
    result = run(artifact(text, "heavier", Facts(("any",) * 3)), {"b": packed})
    assert packed["mass"].tolist() == [1, 2, 3, 4, 5] and np.all(packed["x"] == 3)
    assert result.outputs["b"] is packed
    assert [n for n in result.notes if "field `mass` of `b` was copied and copied back" in n]


def test_rule_34_one_field_of_an_element_loads_one_field() -> None:
    text = (
        BODY
        + """
kernel masses[N](b: Body[N], m: out f64[N]):
    for i in grid(N):
        m[i] = b[i].mass
"""
    )
    from lem import ir
    from lem.ir import ops

    fn = program(text).ir.functions["masses"]
    loads = [op for op in ir.walk_ops(fn.body) if isinstance(op, ops.Load)]
    assert [load.array.name for load in loads] == ["b.mass"]
    assert run_both(text, b=bodies(3))["m"].tolist() == [1, 2, 3]


def test_rule_34_fields_are_in_the_text_of_the_ir() -> None:
    from lem.ir.printer import equal, print_function
    from lem.ir.reader import read_function

    fn = program(SCALE).ir.functions["scale"]
    text = print_function(fn)
    assert "param a.mass: f64[N] read of Body" in text and "param by.x: f32 read of Body" in text
    assert equal(read_function(text), fn) and read_function(text).signature == fn.signature


def test_rule_34_boundaries_gathers_and_whole_axes() -> None:
    text = (
        BODY
        + """
kernel near[N](b: Body[N], idx: i64[N], c: out Body[N], s: out f64[N]):
    for i in grid(N):
        left = clamp(b)[i - 1]
        outside = fill(b, Body(100, 200, 300))[i + 1]
        c[i] = Body(left.x, outside.y, b[idx[i]].mass)
        s[i] = sum(b[:].mass, over=N) + wrap(b)[i + 1].mass
"""
    )
    got = run_both(text, b=bodies(4), idx=np.array([3, 2, 1, 0]))
    assert got["c"]["x"].tolist() == [0, 0, 1, 2]
    assert got["c"]["y"].tolist() == [-0.5, -1, -1.5, 200] and got["c"]["mass"].tolist() == [4, 3, 2, 1]
    assert got["s"].tolist() == [12, 13, 14, 11]


@pytest.mark.parametrize("target", ["interp", "cpu"])
def test_rule_34_a_gather_outside_names_the_array(target: str) -> None:
    text = (
        BODY
        + """
kernel pick[N](b: Body[N], idx: i64[N], m: out f64[N]):
    for i in grid(N):
        m[i] = b[idx[i]].mass
"""
    )
    fault = fault_of(text, target=target, b=bodies(3), idx=np.array([0, 3, 1]))
    assert (fault.code, fault.indices, fault.values) == ("E0601", (1,), (3, 3))


def test_rule_16_temporaries_of_structs_and_calls() -> None:
    text = (
        BODY
        + """
kernel mirrored[N](a: Body[N]) -> b: Body[N]:
    for i in grid(N):
        b[i] = Body(-a[i].x, a[i].y, a[i].mass)

kernel heaviest[N](a: Body[N]) -> best: Body where N > 0:
    best = a[0]
    for i in range(1, N):
        if a[i].mass > best.mass:
            best = a[i]

kernel main[N](a: Body[N], out_: out Body[N]) -> top: Body where N > 0:
    t: Body[N + 1] = Body(7, 8, 9)
    for i in grid(N):
        t[i] = a[i]
    m = mirrored(t)
    top = heaviest(m)
    for i in grid(N):
        out_[i] = Body(m[i].x, m[i + 1].y, top.mass)
""".replace("out_", "c")
    )
    got = run_both(text, "main", a=bodies(4))
    assert got["c"]["x"].tolist() == [0, -1, -2, -3] and got["c"]["y"].tolist() == [-0.5, -1, -1.5, 8]
    assert got["c"]["mass"].tolist() == [9] * 4
    assert {n: float(v) for n, v in got["top"].items()} == {"x": -7, "y": 8, "mass": 9}


def test_rule_16_small_arrays_of_an_element() -> None:
    text = (
        BODY
        + """
kernel sort3[N](a: Body[N], b: out Body[N]):
    for i in grid(N):
        v: Body[3] = Body(0, 0, 0)
        for k in range(3):
            v[k] = wrap(a)[i + k]
        if v[0].mass > v[2].mass:
            v[0], v[2] = v[2], v[0]
        b[i] = Body(v[0].x, v[1].x, v[2].mass)
"""
    )
    got = run_both(text, a=bodies(5))["b"]
    assert got["x"].tolist() == [0, 1, 2, 0, 1] and got["mass"].tolist() == [3, 4, 5, 4, 5]


def test_rule_34_print_shows_the_fields() -> None:
    from lem_runtime import run
    from lem_runtime.abi.source import Facts

    text = (
        BODY
        + """
kernel show(b: Body[1]):
    print("first", b[0])
    print(f"{b[0]:.2f}!")
"""
    )
    result = run(artifact(text, "show", Facts(("any",) * 3)), {"b": bodies(1)})
    assert result.prints == ["first Body(x=0.0, y=0.0, mass=1.0)", "Body(x=0.00, y=0.00, mass=1.00)!"]


# ---------------------------------------------------------------- calls that do not fit
SCALE = (
    BODY
    + """
kernel scale[N](a: Body[N], b: inout Body[N], by: Body):
    for i in grid(N):
        b[i] = Body(a[i].x * by.x, b[i].y, by.mass)
"""
)


def refused(**changed: Any) -> CallError:
    given: dict[str, Any] = {"a": bodies(3), "b": bodies(3), "by": (1.0, 2.0, 3.0)} | changed
    with pytest.raises(CallError) as e:
        run_kernel(SCALE, copied=False, **given)
    return e.value


def test_rule_34_wrong_arguments_are_told_by_field() -> None:
    assert "`a` is an array of `Body`, found f32" in str(refused(a=np.zeros(3, np.float32)))
    assert "`a` has no field `mass`" in str(refused(a=np.zeros(3, [("x", "f4"), ("y", "f4")])))
    assert "`a` has a field `z`" in str(refused(a=np.zeros(3, [(n, "f4") for n in ("x", "y", "mass", "z")])))
    assert "field `mass` of `a` is f64, found f32" in str(refused(a=np.zeros(3, [(n, "f4") for n in ("x", "y", "mass")])))
    assert "field `y` of `b` is an array of shape [4], and field `x` an array of shape [3]" in str(
        refused(b=apart(bodies(3)) | {"y": np.zeros(4, np.float32)})
    )
    assert "`by` is a `Body` of 3 fields, found 2" in str(refused(by=(1.0, 2.0)))
    assert "field `x` of `by` expects f32, found 'no'" in str(refused(by={"x": "no", "y": 0.0, "mass": 1.0}))
    assert all(refused(a=x).code == "E0607" for x in (np.zeros(3, np.float32), np.zeros(3, [("x", "f4")])))


def test_rule_34_shapes_are_told_of_the_whole_argument() -> None:
    e = refused(b=bodies(4))
    assert e.code == "E0606" and "axis 0 of `b` has size 4, not N = 3" in str(e)


def test_rule_15_fields_of_one_array_are_apart_and_elements_are_not_shared() -> None:
    wide = np.zeros(6, np.dtype([("p", BODIES), ("q", BODIES)]))
    wide["p"]["x"] = 2
    got = run_kernel(SCALE, a=wide["p"], b=wide["q"], by=(3.0, 0.0, 5.0), copied=False)["b"]
    assert np.all(wide["q"]["x"] == 6) and np.all(wide["q"]["mass"] == 5) and got["x"][0] == 6
    b = bodies(6)
    assert "`b` is `inout` and shares elements with `a`" in str(refused(a=b[1:4], b=b[2:5]))
    x = np.zeros(3, np.float32)
    assert "fields `x` and `y` of `b` share elements" in str(refused(b={"x": x, "y": x, "mass": np.zeros(3)}))
    run_kernel(SCALE, a={"x": x, "y": x, "mass": np.zeros(3)}, b=bodies(3), by=(1.0, 1.0, 1.0), copied=False)


def test_rule_15_a_field_may_be_passed_beside_the_rest() -> None:
    text = (
        BODY
        + """
kernel shift[N](b: inout Body[N], by: f32[N]):
    for i in grid(N):
        b[i] = Body(b[i].x + by[i], b[i].y, b[i].mass)
"""
    )
    both = np.zeros(4, np.dtype([("body", BODIES), ("by", "f4")], align=True))
    both["by"] = np.arange(4)
    run_kernel(text, b=both["body"], by=both["by"], copied=False)
    assert both["body"]["x"].tolist() == [0, 1, 2, 3]
    with pytest.raises(CallError, match="`b` is `inout` and shares elements with `by`"):
        run_kernel(text, b=both["body"], by=both["body"]["y"], copied=False)


# ---------------------------------------------------------------- tasks
PAIR = """
struct P:
    x: f32
    n: i64
"""
PAIRS = dtype_of([("x", "f32"), ("n", "i64")])


def pairs(n: int) -> Array:
    made = np.zeros(n, PAIRS)
    made["x"], made["n"] = 3 + np.arange(n), 1
    return made


def test_rule_19_tasks_pass_parts_of_arrays_of_structs() -> None:
    text = (
        PAIR
        + """
kernel g[N](a: P[N], b: inout P[N], q: P):
    for i in grid(N):
        b[i] = P(a[i].x + q.x, b[i].n + q.n)

kernel best[N](a: P[N]) -> p: P where N > 0:
    p = a[0]

kernel copied[N](a: P[N]) -> b: P[N]:
    for i in grid(N):
        b[i] = a[i]

task half[N](a: P[N], b: inout P[N], depth: int):
    if N < 2 or depth == 0:
        g(a, b, P(1, 2))
        return
    spawn half(a[0:N // 2], b[0:N // 2], depth - 1)
    spawn half(a[N // 2:N], b[N // 2:N], depth - 1)

task main[N](p: P[N], r: inout P[N]) -> (first: P, c: P[N]) where N > 0:
    half(p, r, 3)
    q = P(10, 1)
    t: P[N] = q
    spawn g(p, t, q)
    sync
    g(t[0:N:2], r[0:N:2], P(0, 0))
    first = best(r)
    c = copied(r)
"""
    )
    p, r = pairs(10), np.zeros(10, PAIRS)
    got = run_both(text, "main", p=p, r=r)
    want = p["x"] + 1
    want[::2] = (p["x"] + 10)[::2]
    assert np.array_equal(got["r"]["x"], want) and got["r"]["n"].tolist() == [2] * 10
    assert got["first"]["x"] == got["r"]["x"][0] and np.array_equal(got["c"]["x"], got["r"]["x"])


def test_rule_19_names_of_arrays_of_structs_change() -> None:
    text = (
        PAIR
        + """
kernel step[N](a: P[N], b: inout P[N]):
    for i in grid(N):
        b[i] = P(a[i].x + 1, a[i].n + i)

kernel doubled[N](a: P[N]) -> b: P[N]:
    for i in grid(N):
        b[i] = P(a[i].x * 2, a[i].n)

task main[N](p: inout P[N], steps: int):
    a: P[N] = P(0, 0)
    b: P[N] = P(5, 5)
    for t in range(steps):
        step(a, b)
        a, b = b, a
    a = doubled(a)
    step(a, p)
"""
    )
    for steps in range(4):
        got = run_both(text, "main", p=pairs(3), steps=steps)["p"]
        assert got.tolist() == [(2 * steps + 1, (steps + 1) * i) for i in range(3)]


def test_rule_19_a_future_may_be_a_struct() -> None:
    text = (
        PAIR
        + """
kernel g[N](b: inout P[N], q: P):
    for i in grid(N):
        b[i] = P(b[i].x + q.x, b[i].n + q.n)

kernel best[N](a: P[N]) -> p: P where N > 0:
    p = a[0]

kernel made[N](a: P[N]) -> (c: P[N], m: f32):
    m = 0
    for i in grid(N):
        c[i] = P(a[i].x * 2, 7)
    m = max(a[i].x for i in N)

task main[N](r: inout P[N]) -> s: f32 where N > 0:
    p = spawn best(r)
    spawn g(r, p)
    q = spawn best(r)
    s = q.x + p.x
    if q.x > 1:
        g(r, P(q.x, p.n))
    c, m = spawn made(r)
    d = spawn best(c)
    spawn g(r, d)
    s = s + m
    print("d", d)
"""
    )
    got = run_both(text, "main", r=pairs(4))
    assert got["s"] == 24 and got["r"].tolist() == [(36, 10), (37, 10), (38, 10), (39, 10)]


# ---------------------------------------------------------------- proofs
def test_rule_1_fields_are_known_as_locals_are() -> None:
    """A subscript, and an element's own place, may go through the fields of a struct."""
    from lem import ir
    from lem.ir import ops

    text = """
struct Cell:
    i: i64
    j: i64

kernel turned[M, N](x: f32[M, N], y: out f32[N, M]):
    for i, j in grid(M, N):
        c = Cell(i, j)
        d = Cell(c.j, c.i)
        y[d.i, d.j] = x[c.i, c.j]

kernel guarded[N](x: f32[N], c: Cell, y: out f32[N]):
    for i in grid(N):
        v: f32 = 0
        if 0 <= c.i and c.i < N:
            v = x[c.i]
        q = Cell(i - 1, i + 1)
        if i % 2 == 0:
            q = Cell(i - 1, 5)
        if q.i >= 0:
            v = v + x[q.i]
        y[i] = v

kernel moved[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        q = Cell(i, 0)
        if q.i < 2:
            q = Cell(q.i + 1, q.j)
        y[i] = x[q.i]
"""

    def n_tests(name: str) -> int:
        return sum(isinstance(op, ops.Assert) for op in ir.walk_ops(program(text).ir.functions[name].body))

    assert [n_tests(name) for name in ("turned", "guarded", "moved")] == [0, 0, 1]
    x = np.arange(12, dtype=np.float32)
    assert np.array_equal(run_both(text, "turned", x=x.reshape(3, 4))["y"], x.reshape(3, 4).T)
    want = np.where(np.arange(12) > 0, x - 1, 0) + 7
    assert np.array_equal(run_both(text, "guarded", x=x, c=(7, 0))["y"], want)
    assert np.array_equal(run_both(text, "guarded", x=x, c=(12, 0))["y"], want - 7)
    assert run_both(text, "moved", x=x)["y"].tolist() == [1, 2, *range(2, 12)]
    fault = fault_of(text, "moved", x=x[:1])
    assert (fault.code, fault.indices, fault.values) == ("E0601", (0,), (1, 1))


def test_rule_3_bounds_of_a_slice_from_a_struct() -> None:
    text = """
struct Row:
    lo: i64
    hi: i64

kernel product[R, Z, N](rows: Row[R], col: i64[Z], v: f32[Z], x: f32[N], y: out f32[R]):
    for r in grid(R):
        y[r] = sum(v[k] * x[col[k]] for k in Z[rows[r].lo:rows[r].hi])
"""
    rows = np.zeros(3, dtype_of([("lo", "i64"), ("hi", "i64")]))
    rows["lo"], rows["hi"] = [0, 2, 2], [2, 2, 5]
    v, col, x = np.arange(5, dtype=np.float32), np.array([0, 3, 1, 1, 2]), np.array([1, 10, 100, 1000], np.float32)
    assert run_both(text, rows=rows, col=col, v=v, x=x)["y"].tolist() == [1000, 0, 450]
    rows["hi"][2] = 6
    assert fault_of(text, rows=rows, col=col, v=v, x=x).code == "E0601"
