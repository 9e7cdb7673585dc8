"""Programs made from the grammar itself: every alternative of `lem.lark` comes up, whatever it is for.

The texts are ugly on purpose: odd blanks, line ends inside brackets, comments anywhere, several ways to indent.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from lem import syntax
from lem.diagnostics import Diagnostics
from lem.source import SourceFile
from lem.syntax import ast, build_tables
from lem.syntax.lexer import DEDENT, INDENT, NEWLINE, tokenize

GRAMMAR = Path(build_tables.__file__).with_name("lem.lark")
_WORDS = {
    "NAME": ["x", "i", "N", "f32", "grid", "kernel", "test", "check", "on", "spawn", "sync", "lem", "reduce", "where", "é"],
    "NUMBER": ["0", "1", "2.5", "1e-5", "0x1F", "1_000", ".5", "3."],
    "STRING": ['"s"', "'it'", 'r"\\d"', '"""two\n  lines"""', '"# no comment"', '""'],
    "FSTRING": ['f"{x}"', 'f"{x:.3f} {i!r}"', 'f"{{}}"', 'f"{x=}"'],
}
_BROKEN = frozenset(("BROKEN", "BROKEN_LINE"))
_Alternative = tuple[str, ...]


class _Grammar:
    """Alternatives of each nonterminal, and the least depth that each symbol needs."""

    def __init__(self) -> None:
        from lark import Lark

        lark = Lark(GRAMMAR.read_text(encoding="utf-8"), parser="lalr", lexer="basic", start="module")
        self.words = {t.name: t.pattern.value for t in lark.terminals if type(t.pattern).__name__ == "PatternStr"}
        self.alternatives: dict[str, list[_Alternative]] = {}
        for rule in lark.rules:
            symbols = tuple(str(s.name) for s in rule.expansion)
            if not _BROKEN.intersection(symbols):
                self.alternatives.setdefault(str(rule.origin.name), []).append(symbols)
        self.depth: dict[str, int] = {}
        changed = True
        while changed:
            changed = False
            for lhs, alternatives in self.alternatives.items():
                least = min(self.depth_of(symbols) for symbols in alternatives) + 1
                if least < self.depth.get(lhs, 999):
                    self.depth[lhs] = least
                    changed = True

    def depth_of(self, symbols: _Alternative) -> int:
        return max((self.depth.get(s, 999) if s in self.alternatives else 0 for s in symbols), default=0)


@cache
def _grammar() -> _Grammar:
    return _Grammar()


def derived(symbol: str, rng: random.Random, budget: int) -> list[str]:
    """Terminals that `symbol` can become; with little `budget` left the short ways are taken."""
    grammar = _grammar()
    if symbol not in grammar.alternatives:
        return [symbol]
    alternatives = grammar.alternatives[symbol]
    possible = [a for a in alternatives if grammar.depth_of(a) < budget]
    least = min(map(grammar.depth_of, alternatives))
    chosen = rng.choice(possible or [a for a in alternatives if grammar.depth_of(a) == least])
    return [terminal for part in chosen for terminal in derived(part, rng, budget - 1)]


def written(words: list[str], rng: random.Random) -> str:
    """Words and layout tokens (``_NEWLINE``, ``_INDENT``, ``_DEDENT``) as text, laid out by somebody without taste."""
    step = rng.choice((" ", "  ", "    ", "\t"))
    out: list[str] = []
    depth = n_brackets = 0
    at_line_start = True
    for word in words:
        if word in ("_INDENT", "_DEDENT"):
            depth += 1 if word == "_INDENT" else -1
        elif word == "_NEWLINE":
            between = ("", "", "", "\n", "\n\n\n", "# alone\n", f"\n{step * depth}# alone\n\n", f"{step}# odd\n")
            out.append(rng.choice(("", "", " ", "  # behind", "# behind")) + "\n" + rng.choice(between))
            at_line_start = True
        else:
            out.append(step * depth if at_line_start else _gap(rng, n_brackets))
            at_line_start = False
            out.append(word)
            n_brackets += (word in "([{") - (word in ")]}")
    return "".join(out)


def _gap(rng: random.Random, n_brackets: int) -> str:
    if n_brackets:
        return rng.choice((" ", " ", " ", "   ", "\n", "\n        ", " # between\n ", "\n# between\n# and\n  "))
    return rng.choice((" ", " ", " ", "  ", " \\\n  "))


def program(seed: int) -> str | None:
    """A program that parses; None where the grammar's rules alone were not enough (an assignment to a call, ...)."""
    rng = random.Random(seed)
    terminals = derived("module", rng, rng.choice((8, 14, 20, 26)))
    if len(terminals) > 400:
        return None
    spelled = _grammar().words
    words = [rng.choice(_WORDS[t]) if t in _WORDS else spelled.get(t, t) for t in terminals]
    text = written(words, rng)
    return text if tree(text) else None


def respaced(text: str, seed: int) -> str | None:
    """The same program as a text, laid out by chance; None where chance gave it another meaning (``check - x``)."""
    tokens = tokenize(SourceFile("made.lem", text), Diagnostics())
    layout = {NEWLINE: "_NEWLINE", INDENT: "_INDENT", DEDENT: "_DEDENT"}
    words = [layout.get(kind) or tokens.text(i) for i, kind in enumerate(tokens.kinds)]
    made = written(words[:-1], random.Random(seed))
    read = tree(made)
    return made if read is not None and ast.same(read, tree(text)) else None


def tree(text: str) -> ast.Module | None:
    """The tree of a text; None if it does not parse."""
    diags = Diagnostics()
    module = syntax.parse(SourceFile("made.lem", text), diags)
    return None if diags.has_errors else module
