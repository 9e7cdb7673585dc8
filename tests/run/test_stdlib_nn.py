"""`nn.lem` computes what its formulas say, in f64 by NumPy and SciPy, at ragged, round and degenerate sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special
from scipy.signal import correlate

from tests.support.run import fault_of, run_kernel
from tests.support.stdlib import Array, call, check_examples, text_of, uniform

ROWS = [(0, 3), (1, 1), (7, 5), (3, 64), (64, 100), (2, 5000)]
FLOATS = [np.float16, np.float32, np.float64]


def run(item: str, **given: Any) -> Any:
    """The one result of an item."""
    (result,) = call("nn", item, **given).values()
    return result


def close(got: Array, exact: Array, dtype: Any = np.float32, ulps: float = 64) -> None:
    """Within some units in the last place of the largest value, at least of 1."""
    assert got.shape == exact.shape and got.dtype == dtype
    bound = ulps * np.finfo(dtype).eps * max(1.0, np.abs(exact).max(initial=0))
    assert np.abs(got - exact).max(initial=0) <= bound


def test_examples() -> None:
    check_examples("nn")


# ---------------------------------------------------------------- activations

EXACT: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "gelu": lambda x: x * special.ndtr(x),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", EXACT)
def test_activations(name: str, dtype: Any) -> None:
    kind = {np.float16: "f16", np.float32: "f32", np.float64: "f64"}[dtype]
    head = f"import nn\nkernel f[N](x: {kind}[N], y: out {kind}[N]):\n"
    text = head + f"    for i in grid(N):\n        y[i] = nn.{name}(x[i])\n"
    x = np.concatenate([np.linspace(-30, 30, 301), [0, -0.0, np.inf]]).astype(dtype)
    got = run_kernel(text, x=x)["y"]
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(got, EXACT[name](x.astype(np.float64)), rtol=8 * eps, atol=2 * eps)


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", ROWS)
def test_softmax(size: tuple[int, int], dtype: Any) -> None:
    x = (10 * uniform(*size)).astype(dtype)
    close(run("softmax", x=x), special.softmax(x.astype(np.float64), axis=1), dtype, 4)
    close(run("logsoftmax", x=x), special.log_softmax(x.astype(np.float64), axis=1), dtype, 4)


def test_scores_of_any_size() -> None:
    x = np.array([[1e30, 1e30, -1e30, 0], [-3e38, -3e38, -3e38, -3e38]], np.float32)
    assert np.array_equal(run("softmax", x=x), np.array([[0.5, 0.5, 0, 0], [0.25] * 4], np.float32))


@pytest.mark.parametrize("size", ROWS)
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_cross_entropy(size: tuple[int, int], kind: Any) -> None:
    n, k = size
    x, label = 5 * uniform(n, k), np.random.default_rng(n).integers(0, k, n).astype(kind)
    exact = -special.log_softmax(x.astype(np.float64), axis=1)[np.arange(n), label]
    close(run("cross_entropy", x=x, label=label), exact)


def test_label_outside_of_the_classes_faults() -> None:
    fault = fault_of(text_of("nn"), "cross_entropy", x=uniform(3, 4), label=np.array([0, 4, -1]))
    assert (fault.code, fault.indices) == ("E0601", (1,))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", ROWS)
def test_normalisation(size: tuple[int, int], dtype: Any) -> None:
    x, weight, bias = uniform(*size, dtype=dtype) + dtype(3), uniform(size[1], dtype=dtype), uniform(size[1], dtype=dtype)
    wide = x.astype(np.float64)
    spread = wide.var(axis=1, keepdims=True)
    exact = (wide - wide.mean(axis=1, keepdims=True)) / np.sqrt(spread + 1e-5) * weight + bias
    close(run("layernorm", x=x, weight=weight, bias=bias), exact, dtype)
    exact = wide / np.sqrt((wide**2).mean(axis=1, keepdims=True) + 1e-6) * weight
    close(run("rmsnorm", x=x, weight=weight), exact, dtype)


# ---------------------------------------------------------------- dense layers


@pytest.mark.parametrize("size", [(0, 2, 3), (1, 1, 1), (2, 3, 0), (7, 5, 9), (64, 64, 64), (33, 50, 300)])
@pytest.mark.parametrize("name", ["linear", "linear_relu", "linear_gelu", "linear_silu"])
def test_dense_layers(name: str, size: tuple[int, int, int]) -> None:
    n, m, k = size
    x, weight, bias = uniform(n, k), uniform(m, k, seed=1), uniform(m)
    activation = EXACT.get(name.removeprefix("linear_"), lambda y: y)
    close(run(name, x=x, weight=weight, bias=bias), activation(x.astype(np.float64) @ weight.T + bias))


@pytest.mark.parametrize("size", [(0, 3, 4), (1, 1, 1), (5, 7, 0), (64, 100, 33)])
def test_embedding(size: tuple[int, int, int]) -> None:
    n, v, d = size
    table, index = uniform(v, d), np.random.default_rng(1).integers(0, v, n)
    assert np.array_equal(run("embedding", table=table, index=index), table[index])


# ---------------------------------------------------------------- images


def convolved(x: Array, weight: Array, bias: Array, stride: int, pad: int) -> Array:
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    whole = [[correlate(image, w.astype(np.float64), mode="valid")[0] for w in weight] for image in padded]
    return (np.array(whole) + bias[:, None, None])[:, :, ::stride, ::stride]


@pytest.mark.parametrize(
    "images, filters, stride, pad",
    [
        ((1, 1, 1, 1), (1, 1, 1, 1), 1, 0),
        ((2, 3, 7, 9), (4, 3, 3, 3), 1, 1),
        ((2, 3, 7, 9), (4, 3, 3, 2), 2, 0),
        ((1, 2, 10, 8), (5, 2, 5, 4), 3, 2),
        ((1, 16, 16, 16), (32, 16, 3, 3), 1, 1),
        ((1, 3, 20, 33), (7, 3, 1, 1), 1, 0),
    ],
)
def test_conv2d(images: tuple[int, ...], filters: tuple[int, ...], stride: int, pad: int) -> None:
    x, weight, bias = uniform(*images), uniform(*filters, seed=1), uniform(filters[0])
    got = run("conv2d", x=x, weight=weight, bias=bias, stride=stride, pad=pad)
    close(got, convolved(x, weight, bias, stride, pad))


def test_conv2d_of_no_images_and_no_channels() -> None:
    bias = uniform(4)
    assert run("conv2d", x=uniform(0, 3, 5, 5), weight=uniform(4, 3, 3, 3), bias=bias).shape == (0, 4, 3, 3)
    got = run("conv2d", x=uniform(1, 0, 5, 5), weight=uniform(4, 0, 3, 3), bias=bias)
    assert np.array_equal(got, np.broadcast_to(bias[:, None, None], (1, 4, 3, 3)))


@pytest.mark.parametrize("images", [(1, 1, 2, 2), (2, 3, 7, 9), (1, 2, 16, 64), (0, 2, 4, 4)])
@pytest.mark.parametrize("window", [(1, 1), (2, 1), (2, 2), (2, 3)])
def test_pooling(images: tuple[int, ...], window: tuple[int, int]) -> None:
    size, stride = window
    x = uniform(*images)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    assert np.array_equal(run("max_pool2d", x=x, size=size, stride=stride), windows.max(axis=(4, 5)))
    close(run("avg_pool2d", x=x, size=size, stride=stride), windows.astype(np.float64).mean(axis=(4, 5)), ulps=1)


# ---------------------------------------------------------------- attention


def attended(q: Array, k: Array, v: Array, scale: float, causal: bool) -> Array:
    """q: (..., S, D), k: (..., L, D), v: (..., L, E)."""
    scores = scale * q.astype(np.float64) @ np.swapaxes(k, -1, -2)
    n, m = scores.shape[-2:]
    if causal:
        scores[..., ~np.tri(n, m, m - n, dtype=bool)] = -np.inf
    return np.asarray(special.softmax(scores, axis=-1) @ v)


@pytest.mark.parametrize("size", [(1, 1, 1, 1, 1, 1), (2, 3, 5, 5, 7, 4), (1, 2, 64, 64, 16, 16), (1, 1, 33, 100, 20, 8)])
def test_attention(size: tuple[int, ...]) -> None:
    b, h, n, m, d, e = size
    q, k, v = 2 * uniform(b, h, n, d), uniform(b, h, m, d, seed=1), uniform(b, h, m, e, seed=2)
    close(run("attention", q=q, k=k, v=v, scale=0.5), attended(q, k, v, 0.5, causal=False))
    close(run("attention_causal", q=q, k=k, v=v, scale=0.5), attended(q, k, v, 0.5, causal=True))


@pytest.mark.parametrize(
    "size", [(1, 1, 1, 1, 1, 1, 1), (2, 2, 3, 5, 7, 4, 6), (1, 2, 4, 1, 100, 32, 32), (1, 1, 2, 40, 40, 16, 8)]
)
def test_grouped_attention_is_attention_with_repeated_keys(size: tuple[int, ...]) -> None:
    b, g, r, n, m, d, e = size
    q, k, v = 2 * uniform(b, g, r, n, d), uniform(b, g, m, d, seed=1), uniform(b, g, m, e, seed=2)
    got = run("attention_grouped", q=q, k=k, v=v, scale=0.5)
    close(got, attended(q, k[:, :, None], v[:, :, None], 0.5, causal=True))


def test_more_queries_than_keys_is_refused() -> None:
    with pytest.raises(Exception, match="L >= S"):
        call("nn", "attention_causal", q=uniform(1, 1, 3, 2), k=uniform(1, 1, 2, 2), v=uniform(1, 1, 2, 2), scale=1.0)


def test_attention_in_half_precision() -> None:
    q, k, v = (uniform(1, 2, 40, 16, seed=n, dtype=np.float16) for n in range(3))
    close(run("attention_causal", q=q, k=k, v=v, scale=0.25), attended(q, k, v, 0.25, causal=True), np.float16, 4)


@pytest.mark.parametrize("size", [(1, 1, 1, 2), (2, 3, 5, 8), (1, 2, 64, 32), (0, 1, 3, 4)])
@pytest.mark.parametrize("start", [0, 100])
def test_rope(size: tuple[int, ...], start: int) -> None:
    x = uniform(*size)
    d = size[3] // 2
    angle = (start + np.arange(size[2]))[:, None] * 10000.0 ** (-np.arange(d) / d)
    a, b = x[..., :d].astype(np.float64), x[..., d:]
    exact = np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], axis=-1)
    close(run("rope", x=x, start=start), exact, ulps=200)
