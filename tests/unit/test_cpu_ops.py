"""Every operation on every type: right on this machine, and no call into any library on the others."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from lem.ir.interpreter import formats
from lem.ir.ops import ARITHMETIC, COMPARISONS, UNARY
from lem.targets import llvm
from lem.targets.cpu.emit import emit_module
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops import narrow
from lem_runtime import elf
from lem_runtime.abi.dtypes import BOOL, DTYPES, DType
from tests.support.cpu import LEVELS, check_run

TYPES = [t for t in DTYPES.values() if t.kind != "quant"]
NARROW = ("f16", "bf16", "f8e4m3", "f8e5m2")
ONLY_FLOATS = {"div", "copysign", "sqrt", "floor", "ceil", "trunc", "round", "isnan", "isinf"}
ONLY_BITS = {"and", "or", "xor", "shl", "shr", "not"}


def applies(kind: str, t: DType) -> bool:
    if t.name in NARROW:
        return kind in COMPARISONS or kind in ("isnan", "isinf")
    if t.is_bool:
        return kind in ("and", "or", "xor", "not", "max", "min") or kind in COMPARISONS
    return not (kind in ONLY_FLOATS and not t.is_float) and not (kind in ONLY_BITS and t.is_float)


def module_of_everything(lanes: int) -> lp.Module:
    """One function per type that does everything to it that the tile IR can ask for."""
    return lp.Module([function_of(t, lanes) for t in TYPES])


def function_of(t: DType, lanes: int) -> lp.Func:
    b = lb.Build()
    x = lp.Buffer("x", t, "arg")
    b.add(lp.ArgPointer(x, 0))
    v, w = b.let(lb.load(x, 0, lanes), "v"), b.let(lb.load(x, 64, lanes, stride=lp.Slot(lp.INDEX, 1)), "w")
    made = [lb.unary(k, v) for k in UNARY if applies(k, t)]
    made += [lb.binary(k, v, w) for k in ARITHMETIC if applies(k, t)]
    made += [lb.compare(k, v, w) for k in COMPARISONS]
    made += [lb.cast(v, to) for to in TYPES]
    made += [lb.bits(v, to) for to in TYPES if to.bits == t.bits and not to.is_bool]
    if t.name in ("f32", "f64"):
        made.append(lb.fma(v, w, v))
    mask = lb.compare("lt", v, w)
    made.append(lb.select(mask, v, w))
    if lanes:
        made += [lb.load(x, 9, lanes, mask=mask), lb.gather(x, lb.iota(lanes), mask=mask), lb.any_lane(mask)]
    for n, value in enumerate(made):
        out = lp.Buffer("y", value.type.dtype, "arg")
        b.add(lp.ArgPointer(out, 2 + n % 3))
        b.store(out, 64 * n, value, mask=mask if value.type.lanes else None)
    b.add(lp.Fault(mask, 0, lb.const(0), (v, w), lb.const(1)))
    return lp.Func(f"do_{t.name}", lp.Var(lp.INDEX, "lo"), lp.Var(lp.INDEX, "hi"), b.root)


def undefined_names(level: str, lanes: int) -> list[str]:
    text = emit_module(module_of_everything(lanes), LEVELS[level], [601])
    # Only the last function of a module is visible; keep the others alive.
    code = llvm.compile_ir(text.replace("define internal i32 @do_", "define i32 @do_"), LEVELS[level])
    return sorted({s.name for s in elf.parse(code).symbols if s.section == elf.UNDEFINED and s.name})


@pytest.mark.parametrize("level", LEVELS)
def test_no_operation_calls_a_library(level: str) -> None:
    # In a child process: what LLVM cannot select ends the process.
    script = f"from tests.unit.test_cpu_ops import undefined_names as u; print(u({level!r}, 0) + u({level!r}, 8))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"


SPECIAL = {
    "f": [0.0, -0.0, 1.0, -1.5, 2.5, 3.5, 0.3, -7.25, 1e-40, 65504.0, 65520.0, 3e38, -3e38, np.inf, -np.inf, np.nan, 448.0,
          465.0, 1e-7, 6e-8, 2.0**24 + 1, 1e10, -1e10, 255.5, 256.0, 1e19, -1e19],
    "i": [0, 1, -1, 2, -2, 7, -7, 100, 127, -128],
}  # fmt: skip


def samples(t: DType) -> np.ndarray:
    rng = np.random.default_rng(1)
    dtype = {"f32": "f4", "f64": "f8", "f16": "f2", "bool": "?"}.get(t.name) or t.name[0] + str(t.bits // 8)
    if t.is_bool:
        return rng.random(40) < 0.5
    if t.is_float:
        with np.errstate(over="ignore"):
            special = np.array(SPECIAL["f"]).astype(dtype)
        return np.concatenate([special, (rng.standard_normal(30) * 100).astype(dtype)])
    info = np.iinfo(dtype)
    edges = np.array([info.min, info.max, info.max // 2], dtype)
    small = np.array([v for v in SPECIAL["i"] if info.min <= v <= info.max], dtype)
    return np.concatenate([edges, small, rng.integers(info.min, info.max, 20, dtype=dtype)])


NUMPY_TYPES = [t for t in TYPES if t.name not in ("bf16", "f8e4m3", "f8e5m2")]


@pytest.mark.parametrize("t", NUMPY_TYPES, ids=str)
def test_conversions_from_every_type(t: DType) -> None:
    outs = ", ".join(f"o_{u}: out {u}[N]" for u in NUMPY_TYPES)
    body = "".join(f"        o_{u}[i] = {u}(x[i])\n" for u in NUMPY_TYPES if u is not BOOL)
    body += "        o_bool[i] = x[i]\n" if t.is_bool else "        o_bool[i] = x[i] != 0\n"
    narrow = "".join(f"        n_{u}[i] = f32({u}(x[i]))\n" for u in ("bf16", "f8e4m3", "f8e5m2"))
    more = ", ".join(f"n_{u}: out f32[N]" for u in ("bf16", "f8e4m3", "f8e5m2"))
    check_run(f"kernel k[N](x: {t}[N], {outs}, {more}):\n    for i in grid(N):\n{body}{narrow}", x=samples(t))


WIDE = ("i32", "i64", "u32", "u64", "f32", "f64")


@pytest.mark.parametrize("name", WIDE)
def test_arithmetic(name: str) -> None:
    t = DTYPES[name]
    x = samples(t)
    pairs = np.array(list(itertools.product(x[:24], x[:24])), x.dtype)
    a, b = pairs[:, 0].copy(), pairs[:, 1].copy()
    infix = ["+", "-", "*", *(["/"] if t.is_float else ["&", "|", "^"])]
    texts = [f"x[i] {op} y[i]" for op in infix] + ["max(x[i], y[i])", "min(x[i], y[i])", "abs(x[i])", "-x[i]"]
    safe = "y[i]" if t.is_float else "(y[i] if y[i] != 0 else y[i] + 1)"
    texts += [f"x[i] // {safe}", f"x[i] % {safe}"]
    if t.is_float:
        texts += ["floor(x[i])", "ceil(x[i])", "trunc(x[i])", "round(x[i])", "sqrt(x[i])"]
    else:
        texts += ["x[i] << (y[i] & 127)", "x[i] >> (y[i] & 127)"]
    outs = ", ".join(f"o{n}: out {t}[N]" for n in range(len(texts)))
    tests = ["<", "<=", "==", "!="]
    flags = ", ".join(f"t{n}: out bool[N]" for n in range(len(tests)))
    body = "".join(f"        o{n}[i] = {e}\n" for n, e in enumerate(texts))
    body += "".join(f"        t{n}[i] = x[i] {op} y[i]\n" for n, op in enumerate(tests))
    check_run(f"kernel k[N](x: {t}[N], y: {t}[N], {outs}, {flags}):\n    for i in grid(N):\n{body}", x=a, y=b)


@pytest.mark.parametrize("name", NARROW)
def test_literals_of_narrow_floats_round_as_the_interpreter_rounds(name: str) -> None:
    t = DTYPES[name]
    rng = np.random.default_rng(0)
    ends = [0.0, -0.0, np.inf, -np.inf, 1e-45, 2.0**-6, 447.9, 448.0]
    beyond = [] if name == "f8e4m3" else [449.0, 65519.0, 65520.0, 3.39e38, 3.3961775292304e38]
    values = [*ends, *beyond, *(rng.standard_normal(500) * 10.0 ** rng.integers(-45, 2, 500)).tolist()]
    with np.errstate(over="ignore"):
        want = [formats.literal(v, t).view(f"u{t.bits // 8}").item() for v in values]
    assert [narrow.bits_of(v, t) for v in values] == want
