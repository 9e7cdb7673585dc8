"""How fast lem reads source: lines per second from text to syntax tree, on generated dense kernels.

`python benchmarks/parse_speed.py [--lark]` prints the median of several runs; with `--lark` also what lark's own driver
needs for the same tokens and the same grammar, without building nodes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lem import syntax
from lem.diagnostics import Diagnostics
from lem.source import SourceFile
from lem.syntax.lexer import tokenize
from lem.syntax.tables import tables

KERNEL = """\
@on(cpu, gpu)
kernel step{n}[B, S, D](q: f32[B, S, D], k: f32[B, S, D], v: f32[B, S, D], o: out f32[B, S, D], scale: f32):
    \"\"\"One step of many.\"\"\"
    for b, i in grid(B, S, tile=(16, 64)):
        m: f32 = -inf
        acc: f32[D] = 0
        for j in tiles(S[:i + 1], 64):                 # blocks up to the diagonal
            s = scale * sum(q[b, i, d] * k[b, j, d] for d in D)
            top = max(m, max(s, over=j)) if i > 0 else 0.0
            p = exp(s - top) * where(j <= i, 1.0, 0.0)
            old = exp(m - top) + 1e-6 * f32(i + 2 * b - 1)
            acc = acc * old + sum(p * v[b, j, :], over=j)
            if top > m and not (i == 0 or b == S - 1):
                m = clamp(q)[b, i - 1, 0] + fill(k, 0)[b, i + 1, 2]
        o[b, i, :] = acc / (m + 1.0)

"""


def program(n_lines: int) -> str:
    """About `n_lines` lines of dense kernel code."""
    per_kernel = KERNEL.count("\n")
    return "".join(KERNEL.format(n=i) for i in range(max(1, n_lines // per_kernel)))


def median_seconds(run: Callable[[], object], n_runs: int = 7) -> float:
    times = []
    for _ in range(n_runs):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def lark_run(text: str) -> Callable[[], object]:
    """Lark's LALR driver on the tokens of our lexer."""
    from lark import Lark, Token
    from lark.lexer import Lexer

    source = SourceFile("benchmark", text)

    class Ours(Lexer):
        def __init__(self, _conf: Any) -> None:
            pass

        def lex(self, _state: Any, _parser_state: Any = None) -> Iterator[Token]:
            tokens = tokenize(source, Diagnostics())
            for i, kind in enumerate(tokens.kinds[:-1]):
                yield Token(tables().terminals[kind], tokens.text(i), tokens.starts[i])

    grammar = (Path(syntax.__file__).parent / "lem.lark").read_text(encoding="utf-8")
    lark = Lark(grammar, parser="lalr", lexer=Ours, start="module", maybe_placeholders=True)
    return lambda: lark.parse(text)


def main() -> None:
    text = program(1000)
    n_lines = text.count("\n")
    n_tokens = len(tokenize(SourceFile("benchmark", text), Diagnostics()).kinds)
    print(f"{n_lines} lines, {n_tokens / n_lines:.1f} tokens per line")

    def parse() -> None:
        diags = Diagnostics()
        syntax.parse(SourceFile("benchmark", text), diags)
        assert not diags.has_errors, diags.items

    runs = {
        "lex": lambda: tokenize(SourceFile("benchmark", text), Diagnostics()),
        "lex, parse, build the tree": parse,
    }
    if "--lark" in sys.argv:
        runs["lark's driver, same tokens, no nodes"] = lark_run(text)
    for name, run in runs.items():
        seconds = median_seconds(run)
        print(f"{name:40} {seconds * 1e3:7.1f} ms  {n_lines / seconds:9,.0f} lines/s")


if __name__ == "__main__":
    main()
