"""No text whatsoever makes the checker raise: right programs with mistakes of every kind, and texts that are no programs.

What passes the checker is also lowered, verified and optimised, as ``lem check`` and ``lem build --emit ir`` do.
"""

from __future__ import annotations

import json
import re
import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lem import pipeline
from lem.diagnostics import Diagnostics, explain
from lem.diagnostics.as_json import all_to_json
from lem.diagnostics.codes import CODES
from lem.diagnostics.text import render_all
from lem.source import SourceFile
from tests.support import ROOT

_TOKEN = re.compile(r"\w+|\n[ ]*|[ ]+|->|\*\*|//|[<>=!+*/%&|^-]=|<<|>>|\S", re.ASCII)
_WORDS = """f32 f64 f16 bf16 i8 i32 i64 u8 u64 bool f8e4m3 pal8 int float any number out inout reduce grid tiles range clamp
wrap fill where unique sum prod max min any all mean argmax cumsum scan exp sqrt abs over for in if else while break
continue return kernel task fn test struct check within fails print assert spawn sync on cpu gpu target is and or not True
False inf nan pi import from as M N K i j k x y 0 1 2 -1 0.5 1e400 0x1F 18446744073709551616 "E0601" ( ) [ ] { } : , = += ==
!= < <= + - * / // % ** & | ^ ~ << >> . -> @ ; _""".split()
_SECONDS = 5.0  # one text, on a busy machine; what takes longer hangs


@cache
def programs() -> tuple[str, ...]:
    """Right and wrong programs to start from."""
    folders = ("tests/golden", "tests/ui", "examples")
    found = [p.read_text(encoding="utf-8") for f in folders for p in sorted((ROOT / f).rglob("*.lem"))]
    for code in CODES:
        found += [program.text for program in explain.programs(explain.page(code) or "")]
    return tuple(text for text in found if len(text) < 4000)


def check(text: str) -> None:
    """Assert that checking ends, soon, with reports or a program that compiles as far as tile IR."""
    started = time.perf_counter()
    diags = Diagnostics()
    program = pipeline.analyse(SourceFile("fuzz.lem", text), diags)
    assert (program is None) == diags.has_errors
    render_all(diags)
    json.dumps(all_to_json(diags))
    for fn in program.ir.functions.values() if program is not None else ():
        pipeline.optimise(fn)
    assert time.perf_counter() - started < _SECONDS


def mutated(draw: st.DrawFn, text: str) -> str:
    tokens = _TOKEN.findall(text) or [""]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(tokens) - 1))
        other = draw(st.integers(0, len(tokens) - 1))
        match draw(st.sampled_from(("delete", "double", "swap", "copy", "word", "rename", "line"))):
            case "delete":
                del tokens[at]
            case "double":
                tokens.insert(at, tokens[at])
            case "swap":
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case "copy":
                tokens[at] = tokens[other]
            case "word":
                tokens.insert(at, draw(st.sampled_from(_WORDS)))
            case "rename":
                old, new = tokens[at], draw(st.sampled_from(_WORDS))
                tokens = [new if t == old and t.isidentifier() else t for t in tokens]
            case "line":
                lines = "".join(tokens).split("\n")
                n = draw(st.integers(0, len(lines) - 1))
                lines.insert(draw(st.integers(0, len(lines))), lines.pop(n) if draw(st.booleans()) else lines[n])
                tokens = _TOKEN.findall("\n".join(lines)) or [""]
        tokens = tokens or [""]
    return "".join(tokens)


@st.composite
def damaged_programs(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(programs()))
    if draw(st.integers(0, 3)) == 0:  # two programs, so that names of one meet uses of the other
        text += "\n" + draw(st.sampled_from(programs()))
    return mutated(draw, text)


@st.composite
def kernels_of_words(draw: st.DrawFn) -> str:
    """A kernel whose body is made of statements that look right from afar."""
    body = draw(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(_LINES)), min_size=1, max_size=8))
    head = "kernel k[M, N](x: f32[M, N], y: out f32[M, N], n: int, idx: i64[M]):"
    return "\n".join([head, *(" " * 4 * depth + line for depth, line in body)])


_LINES = """\
for i, j in grid(M, N):
for i in grid(M[1:-1]):
for k in range(n):
for k in tiles(N):
while n < 3:
if i < n:
else:
y[i, j] = x[i, j]
y[i, :] = exp(x[i, :])
y[i, j] = sum(x[i, k] * x[k, j] for k in N)
y[i, j] = max(x[i, k], over=k)
a = x[idx[i], j]
a: f32 = 0
a: f32[N] = 0
t: f64[M, N]
t[i, j] = a
a += x[i, j]
n = n // k
a, b = b, a
return
break
continue
y[i, j] = clamp(x)[i + k, j - 1] if j > 0 else fill(x, 0)[i, -n]
k(x, y, n, idx)
print(f"{a} {i:>{n}}")
assert a > 0, "a"
y[unique(idx)[i], j] = 1
return sum(y)""".splitlines()


@given(damaged_programs())
def test_damaged_programs_are_checked(text: str) -> None:
    check(text)


@given(kernels_of_words())
def test_kernels_of_words_are_checked(text: str) -> None:
    check(text)


@given(st.text(max_size=80))
def test_texts_are_checked(text: str) -> None:
    check(text)


@pytest.mark.long
@settings(max_examples=2000)
@given(damaged_programs() | kernels_of_words())
def test_many_programs_are_checked(text: str) -> None:
    check(text)
