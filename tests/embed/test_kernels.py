"""Python functions under ``@lem.kernel``: what they compute, and that they are the same programs as their ``.lem`` twins."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
import pytest

import lem
from lem.diagnostics import Diagnostics
from lem.dims import D, K, M, N, S
from lem.embed.program import item_of
from lem.source import SourceFile
from lem.syntax import ast, parse

SCALE = 0.5
N_STEPS = 3
NEGATIVE = -1.5


class Rows(lem.Dim): ...


@lem.fn
def relu(x: lem.f32) -> lem.f32:
    return max(x, 0.0)


@lem.fn
def gelu_like(x):
    t = relu(x) * SCALE  # a local of the same name as nothing else
    return t + 1.0


@lem.kernel
def matmul(a: lem.f32[M, K], b: lem.f32[K, N], c: lem.out[lem.f32[M, N]]) -> None:
    """The matrix product."""
    for i, j in lem.grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)


@lem.kernel
def layer(x: lem.f32[Rows, K], w: lem.f32[N, K], y: lem.out[lem.f32[Rows, N]], bias: lem.f32 = 0.25) -> None:
    for r, j in lem.grid(Rows, N):
        y[r, j] = gelu_like(bias + sum(x[r, k] * w[j, k] for k in K))


@lem.kernel
def attention(q: lem.f32[S, D], k: lem.f32[S, D], v: lem.f32[S, D], o: lem.out[lem.f32[S, D]]) -> None:
    for i in lem.grid(S):
        m: lem.f32 = -math.inf
        l: lem.f32 = 0
        acc: lem.f32[D] = 0
        for j in lem.tiles(S[: i + 1]):
            s = sum(q[i, d] * k[j, d] for d in D)
            top = max(m, max(s, over=j))
            p = math.exp(s - top)
            old = math.exp(m - top)
            l = l * old + sum(p, over=j)
            acc = acc * old + sum(p * v[j, :], over=j)
            m = top
        o[i, :] = acc / l


@lem.kernel
def split(x: lem.f32[N]) -> tuple[Annotated[lem.f32[N], "low"], Annotated[lem.f64, "total"]]:
    for i in lem.grid(N):
        low[i] = min(x[i], NEGATIVE)
    total = sum(lem.f64(x[i]) for i in N)


@lem.kernel("x: f32[2 * M], shift: int = 0 -> y: f32[M]")
def pairs(x, shift):
    for i in grid(M):
        y[i] = x[2 * i] + x[2 * i + 1] + f32(shift)


@lem.kernel("[T: number, N](x: T[N], y: out T[N]) where N >= 1")
def twice(x, y):
    for i in grid(N):
        y[i] = x[i] + T(x[i])


@lem.kernel
def histogram(x: lem.u8[N], h: lem.reduce_add[lem.i64[256]]) -> None:
    for i in lem.grid(N):
        h[x[i]] += 1


@lem.task
def power(x: lem.inout[lem.f32[N, N]], t: lem.inout[lem.f32[N, N]]) -> None:
    for step in range(N_STEPS):
        matmul(x, x, t)
        copy(t, x)


@lem.kernel
def copy(x: lem.f32[M, N], y: lem.out[lem.f32[M, N]]) -> None:
    for i, j in lem.grid(M, N):
        y[i, j] = x[i, j]


def f4(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def test_a_kernel_writes_where_the_array_lies() -> None:
    a, b, c = f4(5, 7), f4(7, 3), np.zeros((3, 5), np.float32).T
    assert matmul(a, b, c) is None
    np.testing.assert_allclose(c, a @ b, rtol=1e-5)
    assert matmul.__doc__ == "The matrix product."


def test_fns_constants_and_defaults_are_captured() -> None:
    x, w, y = f4(4, 6), f4(5, 6), np.zeros((4, 5), np.float32)
    layer(x, w, y)
    np.testing.assert_allclose(y, np.maximum(x @ w.T + 0.25, 0) * SCALE + 1, rtol=1e-5)
    layer(x, w, y=y, bias=0.0)
    np.testing.assert_allclose(y, np.maximum(x @ w.T, 0) * SCALE + 1, rtol=1e-5)


def test_flash_attention() -> None:
    q, k, v, o = f4(33, 8), f4(33, 8), f4(33, 8), np.zeros((33, 8), np.float32)
    attention(q, k, v, o)
    s = np.where(np.tri(33, dtype=bool), q @ k.T, -np.inf)
    p = np.exp(s - s.max(1, keepdims=True))
    np.testing.assert_allclose(o, p / p.sum(1, keepdims=True) @ v, rtol=1e-4, atol=1e-5)


def test_results_are_returned() -> None:
    x = f4(9)
    low, total = split(x)
    assert low.tolist() == np.minimum(x, np.float32(NEGATIVE)).tolist()
    assert total == pytest.approx(x.astype(np.float64).sum())
    assert pairs(np.arange(6, dtype=np.float32), 10).tolist() == [11, 15, 19]


def test_generic_functions_take_their_types_from_the_call() -> None:
    for dtype in ("f8", "f4", "i8", "i4"):
        y = np.zeros(3, dtype)
        twice(np.array([1, 2, 3], dtype), y)
        assert y.tolist() == [2, 4, 6]
    assert len(twice.specializations) == 4 and 'kernel "twice[f64]"' in twice.inspect()
    with pytest.raises(lem.CallError, match="N >= 1"):
        twice(np.zeros(0), np.zeros(0))


def test_updates_keep_what_the_array_holds() -> None:
    h = np.ones(256, np.int64)
    histogram(np.array([3, 3, 255], np.uint8), h)
    assert (h[3], h[255], h[0]) == (3, 2, 1)


def test_tasks_call_kernels_defined_later() -> None:
    x, t = f4(4, 4) * np.float32(0.5), np.zeros((4, 4), np.float32)
    want = x.astype(np.float64)
    for _ in range(N_STEPS):
        want = want @ want
    power(x, t)
    np.testing.assert_allclose(x, want, rtol=1e-3)


def test_new_sizes_compile_nothing() -> None:
    for n in (1, 2, 17, 64):
        c = np.zeros((n, n), np.float32)
        matmul(f4(n, 3), f4(3, n), c)
    before = len(matmul.specializations)
    for n in range(1, 40):
        c = np.zeros((n, n + 1), np.float32)
        matmul(f4(n, 5), f4(5, n + 1), c)
    assert len(matmul.specializations) == before


def test_zero_copy_from_other_libraries() -> None:
    class Tensor:
        """What another library's array offers."""

        def __init__(self, a: np.ndarray[Any, Any]) -> None:
            self.a = a

        def __dlpack__(self, **how: Any) -> Any:
            return self.a.__dlpack__()

        def __dlpack_device__(self) -> Any:
            return self.a.__dlpack_device__()

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return self.a

    a, b, c = f4(3, 4), f4(4, 2), np.zeros((3, 2), np.float32)
    matmul(Tensor(a), Tensor(b), Tensor(c))
    np.testing.assert_allclose(c, a @ b, rtol=1e-5)


def test_functions_inside_functions_see_what_is_around_them() -> None:
    factor = 3.0

    @lem.kernel
    def scaled(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
        for i in lem.grid(N):
            y[i] = factor * x[i]  # ü: columns count characters, not bytes

    y = np.zeros(2, np.float32)
    scaled(np.array([1, 2], np.float32), y)
    assert y.tolist() == [3, 6]


TWIN = '''
kernel matmul[M, K, N](a: f32[M, K], b: f32[K, N], c: out f32[M, N]):
    """The matrix product."""
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)
'''


def test_both_doors_give_the_same_tree() -> None:
    diags = Diagnostics()
    (lem_item,) = parse(SourceFile("twin.lem", TWIN), diags).items
    python_item, _ = item_of(matmul.decorated, diags)
    assert not diags.items
    assert ast.same(lem_item, python_item)


# ---------------------------------------------------------------- mistakes
@lem.kernel
def wrong_dimension(a: lem.f32[M, K], b: lem.f32[N, K], c: lem.out[lem.f32[M, N]]) -> None:
    for i, j in lem.grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)


@lem.kernel
def not_lem(x: lem.f32[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = [x[i]][0]


@lem.kernel
def no_type(x: list[N], y: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        y[i] = x[i]


@lem.kernel
def take(x: lem.f32[N], k: lem.i64[M], y: lem.out[lem.f32[M]]) -> None:
    for i in lem.grid(M):
        y[i] = x[k[i]]


@pytest.mark.parametrize(
    ("function", "code", "line"),
    [
        (wrong_dimension, "E0312", "c[i, j] = sum(a[i, k] * b[k, j] for k in K)"),
        (not_lem, "E0104", "y[i] = [x[i]][0]"),
        (no_type, "E0305", "def no_type(x: list[N]"),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_reports_point_into_the_python_file(function: lem.Function, code: str, line: str) -> None:
    with pytest.raises(lem.CompileError) as e:
        function.check()
    assert e.value.code == code and "test_kernels.py:" in str(e.value) and line in str(e.value)
    assert [d.code.id for d in e.value.diagnostics] == [code]


def test_wrong_arguments_are_named() -> None:
    a, b, c = f4(5, 7), f4(7, 3), np.zeros((5, 3), np.float32)
    for args, code in [((a, b), "E0608"), ((a, a, c), "E0606"), ((a.astype("f8"), b, c), "E0607"), ((a, b, c, c), "E0607")]:
        with pytest.raises(lem.CallError) as e:
            matmul(*args)
        assert e.value.code == code and "matmul" in str(e.value)
    with pytest.raises(lem.CallError, match="shares elements"):
        square = f4(4, 4)
        matmul(square, f4(4, 4), square)
    with pytest.raises(lem.CallError, match="from a kernel"):
        relu(1.0)


def test_a_fault_says_kernel_place_and_element() -> None:
    with pytest.raises(lem.Fault) as e:
        take(f4(3), np.array([0, 2, 5]), np.zeros(3, np.float32))
    assert (e.value.code, e.value.kernel, e.value.indices) == ("E0601", "take", {"i": 2})
    assert "y[i] = x[k[i]]" in str(e.value)
    y = np.zeros(1, np.float32)
    take(np.array([1.5], np.float32), np.array([0]), y)  # the process is as good as before
    assert y[0] == 1.5


def test_text_that_cannot_be_found_is_said() -> None:
    space: dict[str, Any] = {"lem": lem, "N": N}
    exec("@lem.kernel\ndef f(x: lem.f32[N]) -> None:\n    pass\n", space)
    with pytest.raises(lem.CompileError, match="Python does not know the text of `f`"):
        space["f"](f4(3))


def test_inspect_shows_each_stage() -> None:
    assert "kernel copy" in copy.inspect("ir") and "grid 0" in copy.inspect("schedule")
    assert "define" in copy.inspect("llvm") and "for " in copy.inspect("loops") and ".text" in copy.inspect("asm")
    with pytest.raises(lem.UsageError, match="no stage"):
        copy.inspect("wasm")
    assert "kernel copy" in repr(copy)


@lem.kernel
def weighted(x: lem.f32[N, M], y: lem.out[lem.f32[N]], k: lem.i32 = 1) -> None:
    for i in lem.grid(N):
        y[i] = sum(x[i, j] for j in M) * f32(k)


X, Y = np.ones((3, 4), np.float32), np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("args", "kwargs", "code"),
    [
        ((1.0, Y), {}, "E0607"), ((None, Y), {}, "E0607"), (([[1.0]], Y), {}, "E0607"), (({"a": X}, Y), {}, "E0607"),
        ((np.float32(1), Y), {}, "E0607"), ((np.zeros((), np.float32), Y), {}, "E0606"), ((Y, Y), {}, "E0606"),
        ((np.ones((2, 3, 4), np.float32), Y), {}, "E0606"), ((X, np.zeros((3, 1), np.float32)), {}, "E0606"),
        ((X, np.zeros(4, np.float32)), {}, "E0606"), ((X.astype("f8"), Y), {}, "E0607"), ((X.astype(">f4"), Y), {}, "E0607"),
        ((X.astype("c8"), Y), {}, "E0607"), ((np.array([[None]]), Y), {}, "E0607"), ((X.astype("M8[s]"), Y), {}, "E0607"),
        ((X, np.broadcast_to(np.float32(0), (3,))), {}, "E0607"), ((X, X[:, 0]), {}, "E0619"), ((X, Y, "a"), {}, "E0607"),
        ((X, Y, 1.5), {}, "E0607"), ((X, Y, 2**40), {}, "E0607"), ((X, Y), {"N": -1}, "E0615"), ((X, Y), {"N": 5}, "E0606"),
        ((X, Y), {"y": Y}, "E0607"), ((X, Y), {"z": 1}, "E0609"), ((X,), {}, "E0608"), ((X, Y, 1, 1), {}, "E0607"),
    ],
)  # fmt: skip
def test_mistakes_in_a_call_are_told(args: tuple[Any, ...], kwargs: dict[str, Any], code: str) -> None:
    for _ in range(2):  # the way through Python, and beside code that is there
        with pytest.raises(lem.CallError) as caught:
            weighted(*args, **kwargs)
        assert caught.value.code == code
        weighted(X, Y)
