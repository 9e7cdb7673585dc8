"""Turn the grammar into the tables that run: `lem.lark` in, `tables.json` out. Run when the grammar changes, never by users.

The LALR(1) analysis is lark's (strict: any conflict is an error). Two changes make its automaton cheap to run:

- *Chains collapse.* ``expr: or_test``, ``or_test: and_test``, ... only hand a value up. A state reached over such a
  chain is merged with the states further up, so a name between two commas costs one step and not fifteen.
- *A state that can only reduce is never entered*: the shift (or goto) that leads to it names the rule at once.

What `tables.json` holds is described by :class:`lem.syntax.tables.Tables`. This is the only module that imports lark.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any

from lem_runtime.abi.records import dataclass

HERE = Path(__file__).parent
STARTS = ("module", "expression", "type_text")

Chain = tuple[int, ...]  # a state of ours: states of lark's, the later ones reached over rules that only pass a value


@dataclass(slots=True)
class Rule:
    """One alternative. `keep`: for each argument of the action, its place in the alternative, or -1 for an absent part."""

    lhs: str
    symbols: list[str]
    action: str
    keep: list[int]

    @property
    def is_chain(self) -> bool:
        return self.action == "" and len(self.symbols) == 1 and _is_nonterminal(self.symbols[0])


@dataclass(slots=True)
class Automaton:
    """States, each with `rows` (terminal to action) and `gotos` (nonterminal to state or to state-then-rule)."""

    chains: list[Chain] = field(default_factory=list)
    rows: list[dict[str, tuple[str, int]]] = field(default_factory=list)  # ("shift", state) or ("reduce", rule)
    gotos: list[dict[str, int]] = field(default_factory=list)
    accepting: list[int] = field(default_factory=list)  # at the end of the text these are done


def grammar_hash(grammar: str) -> str:
    """What ties the tables to their grammar."""
    return hashlib.sha256(grammar.encode()).hexdigest()[:16]


def build(grammar: str) -> dict[str, Any]:
    """The content of `tables.json` for the text of a grammar."""
    from lark import Lark

    lark = Lark(grammar, parser="lalr", lexer="basic", strict=True, start=list(STARTS), maybe_placeholders=True)
    rules = [_rule(rule) for rule in lark.rules]
    number = {rule: i for i, rule in enumerate(lark.rules)}
    table = lark.parser.parser._parse_table
    states: dict[int, dict[str, tuple[str, int]]] = {}
    for state, row in table.states.items():
        states[state] = {
            name: ("shift", arg) if str(action) == "Shift" else ("reduce", number[arg])
            for name, (action, arg) in row.items()
        }
    automaton = _collapse(states, rules, [table.start_states[start] for start in STARTS], set(table.end_states.values()))
    literals = {t.pattern.value: t.name for t in lark.terminals if type(t.pattern).__name__ == "PatternStr"}
    return _encode(grammar_hash(grammar), rules, automaton, literals)


def _rule(rule: Any) -> Rule:
    """A rule of lark's as ours: filtered punctuation dropped, absent `[parts]` marked with -1."""
    keep: list[int] = []
    at = 0
    for absent in rule.options.empty_indices or [False] * len(rule.expansion):
        if absent:
            keep.append(-1)
            continue
        symbol = rule.expansion[at]
        if not (symbol.is_term and symbol.filter_out):
            keep.append(at)
        at += 1
    action = str(rule.alias or "")
    if not action and len(keep) != 1:
        raise ValueError(f"an alternative of {rule.origin.name} keeps {len(keep)} parts and names no action")
    return Rule(str(rule.origin.name), [str(s.name) for s in rule.expansion], action, keep)


def _is_nonterminal(name: str) -> bool:
    return name.lstrip("_")[:1].islower()


def _collapse(
    states: dict[int, dict[str, tuple[str, int]]], rules: list[Rule], starts: list[int], ends: set[int]
) -> Automaton:
    """Walk all reachable states, merging each with those that rules without action would lead to."""
    out = Automaton()
    ids: dict[Chain, int] = {}

    def enter(chain: Chain) -> int:
        if chain not in ids:
            ids[chain] = len(out.chains)
            out.chains.append(chain)
        return ids[chain]

    for start in starts:
        enter((start,))
    for chain in out.chains:  # grows while we walk
        if chain[0] in ends:
            out.accepting.append(len(out.rows))
        row: dict[str, tuple[str, int]] = {}
        # Sorted, because lark's order changes from run to run and the file must not.
        for terminal in sorted(t for t in states[chain[0]] if not _is_nonterminal(t)):
            action = _resolve(states, rules, chain, terminal)
            if action is not None:
                row[terminal] = ("shift", enter((action[1],))) if action[0] == "shift" else action
        out.rows.append(row)
        gotos = {}
        for state in chain:
            for symbol in sorted(s for s in states[state] if _is_nonterminal(s)):
                gotos[symbol] = enter(_chain_from(states, rules, state, symbol))
        out.gotos.append(gotos)
    return out


def _resolve(
    states: dict[int, dict[str, tuple[str, int]]], rules: list[Rule], chain: Chain, terminal: str
) -> tuple[str, int] | None:
    """What a merged state does on a terminal: what the first of its states does that does not just pass the value on."""
    for state in chain:
        action = states[state].get(terminal)
        if action is None or action[0] == "shift" or not rules[action[1]].is_chain or state == chain[-1]:
            return action
    return None


def _chain_from(states: dict[int, dict[str, tuple[str, int]]], rules: list[Rule], state: int, symbol: str) -> Chain:
    """The states that `symbol` leads to from `state`: the direct one, then those over rules that only pass it on."""
    chain = [states[state][symbol][1]]
    while True:
        passing = {arg for kind, arg in states[chain[-1]].values() if kind == "reduce" and rules[arg].is_chain}
        if len(passing) != 1:
            return tuple(chain)
        following = states[state][rules[passing.pop()].lhs][1]
        held = {s for q in chain for s in states[q] if _is_nonterminal(s)}
        if held & {s for s in states[following] if _is_nonterminal(s)}:
            return tuple(chain)  # after a later reduction one could not tell which of the two states goes on
        chain.append(following)


def _encode(digest: str, rules: list[Rule], automaton: Automaton, literals: dict[str, str]) -> dict[str, Any]:
    """Numbers for names, shared rows, and no states that only reduce."""
    terminals = sorted({t for row in automaton.rows for t in row} | set(literals.values()) | {"$END"})
    symbols = sorted({rule.lhs for rule in rules})
    n_states = len(automaton.chains)
    only: dict[int, int] = {}
    for state, row in enumerate(automaton.rows):
        actions = set(row.values())
        if len(actions) == 1 and not automaton.gotos[state]:
            kind, arg = next(iter(actions))
            if kind == "reduce":
                only[state] = arg

    number = {state: i for i, state in enumerate(state for state in range(n_states) if state not in only)}

    def target(state: int) -> int:
        return len(number) + only[state] if state in only else number[state]

    rows, row_of = _shared([_flat(automaton.rows[state], terminals, target) for state in number])
    gotos, goto_of = _shared([_flat_gotos(automaton.gotos[state], symbols, target) for state in number])
    return {
        "grammar": digest,
        "terminals": terminals,
        "literals": {text: terminals.index(name) for text, name in sorted(literals.items())},
        "rules": [[symbols.index(r.lhs), len(r.symbols), r.action, r.keep] for r in rules],
        "rows": rows,
        "row_of": row_of,
        "gotos": gotos,
        "goto_of": goto_of,
        "starts": {name: i for i, name in enumerate(STARTS)},
        "accepting": [number[state] for state in automaton.accepting],
    }


def _flat(row: dict[str, tuple[str, int]], terminals: list[str], target: Callable[[int], int]) -> list[int]:
    pairs = ((terminals.index(t), target(arg) if kind == "shift" else ~arg) for t, (kind, arg) in row.items())
    return [x for pair in sorted(pairs) for x in pair]


def _flat_gotos(row: dict[str, int], symbols: list[str], target: Callable[[int], int]) -> list[int]:
    return [x for pair in sorted((symbols.index(s), target(state)) for s, state in row.items()) for x in pair]


def _shared(rows: list[list[int]]) -> tuple[list[str], list[int]]:
    """Each different row once, as text that is decoded when it is first used, and which of them each state has."""
    unique: dict[str, int] = {}
    of = [unique.setdefault(" ".join(map(str, row)), len(unique)) for row in rows]
    return list(unique), of


def as_text(tables: dict[str, Any]) -> str:
    """One line per row, so that a change of the grammar can be seen in review."""
    lines = []
    for key, value in tables.items():
        if key in ("rules", "rows", "gotos"):
            inner = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in value)
            lines.append(f"{json.dumps(key)}: [\n  {inner}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> int:
    """``python -m lem.syntax.build_tables [--check]``: write the tables, or only say whether they are up to date."""
    text = as_text(build((HERE / "lem.lark").read_text(encoding="utf-8")))
    path = HERE / "tables.json"
    if "--check" in sys.argv[1:]:
        is_current = path.exists() and path.read_text(encoding="utf-8") == text
        print("tables.json is up to date" if is_current else "tables.json is out of date", file=sys.stderr)
        return 0 if is_current else 1
    path.write_text(text, encoding="utf-8")
    print(f"{path.name}: {len(text)} characters", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
