"""Every example from one body in both forms: the ``.lem`` file, and what ``lem fmt --to python`` makes of it.

Both are called with the same made-up arguments and have to give the same bits, or the same error.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lem
from lem.cli import trials
from tests.support import ROOT
from tests.support.doors import python_of

EXAMPLES = sorted((ROOT / "examples").glob("*.lem"))
SIZES = ((7, 5, 9, 3, 8, 6), (16,) * 6, (64, 16, 3, 4, 4, 4))


def decorated(path: Path, folder: Path) -> ModuleType:
    """The example as a module of Python."""
    made, problems = python_of(path.read_text(encoding="utf-8"))
    assert made is not None, problems
    file = folder / f"{path.stem}.py"
    file.write_text(made, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(function: lem.Function, made: Any) -> Any:
    """Results and what the arrays hold afterwards, or the error's code."""
    arrays, scalars, dims = made
    held = {n: np.array(a) for n, a in arrays.items()}
    try:
        result = function(**held, **scalars, **dims)
    except lem.Error as e:
        return e.code
    results = result if isinstance(result, tuple) else (result,)
    return {**{n: a.tobytes() for n, a in held.items()}, **{str(n): np.asarray(r).tobytes() for n, r in enumerate(results)}}


def arguments(signature: Any, sizes: tuple[int, ...], largest: int) -> Any:
    """Made-up arguments, with arrays for `out` parameters."""
    made = trials.made_up(signature, sizes, largest)
    if isinstance(made, str):
        return None
    arrays, scalars, dims = made
    known = {d: sizes[n % len(sizes)] for n, d in enumerate(signature.dims)}
    known |= {n: v for n, v in scalars.items() if isinstance(v, int)}
    for p in signature.params:
        if p.effect == "out" and p.is_array:
            arrays[p.name] = np.zeros(trials.sig.shape_of(p, known), trials.numpy_dtype(p.dtype))
    return arrays, scalars, {n: v for n, v in dims.items() if not any(r.dim == n for r in signature.rules)}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_is_the_same_program_in_python(path: Path, tmp_path: Path) -> None:
    written, turned = lem.load(path), decorated(path, tmp_path)
    kernels = [f for f in vars(written).values() if isinstance(f, lem.Function) and f.kind != "fn"]
    assert kernels
    n_run = 0
    for kernel in kernels:
        other = getattr(turned, kernel.__name__)
        other.check()
        for sizes in SIZES:
            made = arguments(kernel.engine.front().signature, sizes, 1)
            if made is not None:
                assert outcome(kernel, made) == outcome(other, made), kernel.__name__
                n_run += 1
    for test in vars(turned).values():
        if isinstance(test, lem.Function) and test.kind == "test":
            test()
    assert n_run, "no made-up arguments suit it"
