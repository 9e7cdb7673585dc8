"""`signal.lem` computes what NumPy and SciPy compute, at ragged, round and degenerate sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import signal

from tests.support.run import fault_of
from tests.support.stdlib import Array, call, check_examples, text_of, uniform

FLOATS = [np.float32, np.float64]


def run(item: str, **given: Any) -> Any:
    """The one result of an item."""
    (result,) = call("signal", item, **given).values()
    return result


def close(got: Array, exact: Array, dtype: Any, terms: int) -> None:
    assert got.shape == exact.shape
    bound = 8 * np.finfo(dtype).eps * max(terms, 1) ** 0.5 * max(1.0, np.abs(exact).max(initial=0))
    assert np.abs(got - exact).max(initial=0) <= bound


def spectrum(z: Array) -> Array:
    return np.fft.fft(z) if z.size else z


def test_examples() -> None:
    check_examples("signal")


# ---------------------------------------------------------------- Fourier transforms


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", [0, 1, 2, 4, 8, 32, 64, 128, 2048, 65536])
def test_fft_and_back(n: int, dtype: Any) -> None:
    re, im = uniform(n, dtype=dtype), uniform(n, dtype=dtype, seed=1)
    exact = spectrum(re + 1j * im.astype(np.float64))
    got = call("signal", "fft", re=re, im=im)
    close(got["re"] + 1j * got["im"].astype(np.float64), exact, dtype, n)
    back = call("signal", "ifft", **got)
    close(back["re"], re, dtype, n)
    close(back["im"], im, dtype, n)


@pytest.mark.parametrize("n", [3, 12, 1000])
def test_fft_of_another_size_is_refused(n: int) -> None:
    assert fault_of(text_of("signal"), "fft", re=uniform(n), im=uniform(n)).code == "E0603"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 64, 100, 257])
def test_dft(n: int, dtype: Any) -> None:
    re, im = uniform(n, dtype=dtype), uniform(n, dtype=dtype, seed=1)
    got = call("signal", "dft", re=re, im=im)
    close(got["to_re"] + 1j * got["to_im"].astype(np.float64), spectrum(re + 1j * im.astype(np.float64)), dtype, n)


def test_a_pure_tone_has_one_line() -> None:
    n = 256
    got = call("signal", "fft", re=np.cos(2 * np.pi * 5 * np.arange(n) / n), im=np.zeros(n))
    power = got["re"] ** 2 + got["im"] ** 2
    assert power[[5, n - 5]] == pytest.approx((n / 2) ** 2)
    assert np.delete(power, [5, n - 5]).max() < 1e-20


# ---------------------------------------------------------------- convolution and filters


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n, k", [(1, 1), (7, 1), (7, 2), (7, 7), (64, 9), (100, 16), (1000, 31)])
def test_convolution(n: int, k: int, dtype: Any) -> None:
    x, h = uniform(n, dtype=dtype), uniform(k, dtype=dtype, seed=1)
    for mode in ("full", "same", "valid"):
        close(run(f"convolve_{mode}", x=x, h=h), signal.convolve(x.astype(np.float64), h, mode, "direct"), dtype, k)
    close(run("fir", x=x, h=h), signal.lfilter(h.astype(np.float64), 1.0, x), dtype, k)


def test_convolution_of_nothing() -> None:
    x, h = uniform(0), uniform(3)
    assert np.array_equal(run("convolve_full", x=x, h=h), np.zeros(2))
    assert run("convolve_same", x=x, h=h).shape == run("fir", x=x, h=h).shape == (0,)


def test_a_filter_longer_than_its_signal() -> None:
    x, h = uniform(3), uniform(8, seed=1)
    close(run("convolve_full", x=x, h=h), np.convolve(x.astype(np.float64), h), np.float32, 8)
    close(run("fir", x=x, h=h), signal.lfilter(h.astype(np.float64), 1.0, x), np.float32, 8)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n, m", [(1, 0), (1, 1), (1, 5), (7, 1), (7, 13), (64, 100), (100, 7), (1000, 777)])
def test_resample(n: int, m: int, dtype: Any) -> None:
    x = uniform(n, dtype=dtype)
    exact = np.interp(np.linspace(0, n - 1, m), np.arange(n), x)
    close(run("resample", x=x, M=m), exact, dtype, 1)
