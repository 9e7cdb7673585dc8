"""The LALR(1) tables as the driver uses them: reads `tables.json` (made by `build_tables.py`), once per process.

Rows are decoded when they are first used: a program touches a part of the automaton, and starting lem must be quick.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any


class Rows(dict[int, dict[int, int]]):
    """State number to row; a row maps terminal (or nonterminal) numbers to what happens."""

    def __init__(self, texts: list[str], row_of: list[int]) -> None:
        super().__init__()
        self._texts = texts
        self._row_of = row_of
        self._decoded: dict[int, dict[int, int]] = {}

    def __missing__(self, state: int) -> dict[int, int]:
        number = self._row_of[state]
        row = self._decoded.get(number)
        if row is None:
            numbers = map(int, self._texts[number].split())
            row = self._decoded[number] = dict(zip(numbers, numbers, strict=True))
        self[state] = row
        return row


class Tables:
    """The automaton.

    `actions[state][terminal]` is: 0 <= x < n_states, shift and go to x; x >= n_states, shift and then reduce by rule
    x - n_states at once; x < 0, reduce by rule ~x. Absent: the terminal cannot come here.
    `gotos[state][nonterminal]` is the same without the last case.
    `rules[r]` is ``(nonterminal, number of symbols, action, keep)``; `keep` says which symbols are the arguments of the
    action, -1 for a part that is absent. An action "" hands its one argument up.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.terminals: list[str] = data["terminals"]
        self.number: dict[str, int] = {name: i for i, name in enumerate(self.terminals)}
        self.literals: dict[str, int] = data["literals"]
        self.rules: list[tuple[int, int, str, list[int]]] = [(r[0], r[1], r[2], r[3]) for r in data["rules"]]
        self.actions = Rows(data["rows"], data["row_of"])
        self.gotos = Rows(data["gotos"], data["goto_of"])
        self.n_states = len(data["row_of"])
        self.starts: dict[str, int] = data["starts"]
        self.accepting: frozenset[int] = frozenset(data["accepting"])
        self.grammar_hash: str = data["grammar"]


@cache
def tables() -> Tables:
    """The tables of this lem."""
    with open(os.path.join(os.path.dirname(__file__), "tables.json"), encoding="utf-8") as f:  # pathlib takes 5 ms to load
        return Tables(json.load(f))
