"""Run the LALR(1) tables over tokens: each reduction calls the action of its alternative, which builds the node at once.

Takes :class:`Tokens`; gives a tree, always. An error is reported once per line (`mistakes.py` knows what to say) and
the line is then read again with the smallest part replaced that makes it fit: one token mended, one element between
commas, the right side of an assignment or the head of a block, and at last the whole line. What stands in a replaced
part becomes an `ErrorExpr`, `ErrorStmt` or `ErrorItem`; everything around it keeps its tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lem.diagnostics import Diagnostics, InternalError
from lem.source import SourceFile, Span
from lem.syntax import ast
from lem.syntax.actions import MANY_ELIFS, Actions
from lem.syntax.depth import cut_deep, cut_deep_parts
from lem.syntax.lexer import (
    BROKEN,
    BROKEN_LINE,
    COLON,
    DEDENT,
    END,
    INDENT,
    LONG_LINE,
    NAME,
    NEWLINE,
    SOFT_WORDS,
    Tokens,
    tokenize,
)
from lem.syntax.mistakes import Edit, Spot, diagnose, is_shadow
from lem.syntax.tables import tables

MAX_RECOVERIES = 200  # a text with more mistakes is not a program: the rest is not looked at
_LAYOUT = frozenset((NEWLINE, INDENT, DEDENT))
_SOFT_KINDS = frozenset(tables().literals[word] for word in SOFT_WORDS)

Picker = Callable[[list[Any]], list[Any]]
# How a rule makes its value: hand one part up; begin a list; lengthen a list; call an action.
_PASS, _ONE, _TWO, _MORE, _BUILD, _BUILD_ONE = range(6)


class GaveUp(Exception):
    """More mistakes than it makes sense to recover from. Never leaves this package."""


def parse_tokens(tokens: Tokens, diags: Diagnostics, start: str) -> Any:
    """The tree of a token list for one of the grammar's starts."""
    driver = _Driver(tokens, diags)
    tree = driver.run(start)
    elifs = driver.actions.elif_starts
    suspects = tokens.deep + elifs if len(elifs) > MANY_ELIFS else tokens.deep
    if suspects:
        cut_deep_parts(tree, suspects, diags)
    return tree


def parse_part(source: SourceFile, diags: Diagnostics, start: int, end: int, rule: str = "expression") -> Any:
    """The expression (or other start) in ``source.text[start:end]``; an `ErrorExpr` where that is none."""
    tokens = tokenize(source, diags, start, end)
    tree = _Driver(tokens, diags).run(rule)
    if len(tokens.kinds) > LONG_LINE and isinstance(tree, ast.Expr):
        cut_deep(tree, diags)
    return tree


class _Rules(dict[int, tuple[int, int, int, Any, Any]]):
    """By number: ``(nonterminal, size, how, what, keep)`` with the action looked up, when a rule is first used: a short text
    needs few of them."""

    def __init__(self, rules: list[tuple[int, int, str, list[int]]], actions: Actions) -> None:
        super().__init__()
        self._rules, self._actions = rules, actions

    def __missing__(self, number: int) -> tuple[int, int, int, Any, Any]:
        made = self[number] = self._prepared(*self._rules[number])
        return made

    def _prepared(self, lhs: int, size: int, action: str, keep: list[int]) -> tuple[int, int, int, Any, Any]:
        if action == "":
            return lhs, size, _PASS, keep[0] - size, None
        if action == "one":
            return lhs, size, _ONE, keep[0] - size, None
        if action == "two":
            return lhs, size, _TWO, None, None
        if action == "more":
            return lhs, size, _MORE, None, None
        build = getattr(self._actions, action)
        if size == 1 and keep == [0]:
            return lhs, size, _BUILD_ONE, build, None
        return lhs, size, _BUILD, build, None if keep == list(range(size)) else keep


class _Driver:
    def __init__(self, tokens: Tokens, diags: Diagnostics) -> None:
        self.tokens = tokens
        self.diags = diags
        self.tables = tables()
        self.actions = Actions(tokens, diags, lambda start, end: parse_part(tokens.source, diags, start, end))
        self.rules = _Rules(self.tables.rules, self.actions)
        self.states: list[int] = []
        self.values: list[Any] = []
        self.firsts: list[int] = []  # number of the first token of each symbol on the stack
        self.n_recoveries = 0
        self.attempts: dict[int, int] = {}  # how often the line that starts at this offset was mended
        self.start_rule = "module"

    # ------------------------------------------------------------ the hot loop
    def run(self, start: str) -> Any:
        """Shift and reduce until the start symbol stands alone."""
        self.start_rule = start
        tokens, source, rules = self.tokens, self.tokens.source, self.rules
        kinds, starts, ends = tokens.kinds, tokens.starts, tokens.ends
        rows, gotos, n_states = self.tables.actions, self.tables.gotos, self.tables.n_states
        states, values, firsts = self.states, self.values, self.firsts
        states.append(self.tables.starts[start])
        new_tuple = tuple.__new__
        at = 0
        while True:
            act = rows[states[-1]].get(kinds[at])
            if act is None:
                if self._reads_otherwise(at):
                    continue
                if kinds[at] == END and states[-1] in self.tables.accepting:
                    return values[-1]
                try:
                    at = self._recover(at)
                except GaveUp:
                    return self._given_up()
                continue
            if act >= 0:
                values.append(at)
                firsts.append(at)
                at += 1
                if act < n_states:
                    states.append(act)
                    continue
                states.append(-1)  # never looked at: the rule takes it off at once
                lhs, size, how, what, keep = rules[act - n_states]
            else:
                lhs, size, how, what, keep = rules[~act]
            while True:
                if size == 1:
                    states.pop()
                    first = firsts[-1]
                    if how == _BUILD_ONE:
                        values[-1] = what(new_tuple(Span, (source, starts[first], ends[at - 1])), values[-1])
                    elif how == _ONE:
                        values[-1] = [values[-1]]
                    elif how == _BUILD:
                        values[-1] = self._build(first, at, what, keep, values[-1:])
                elif size:
                    first = firsts[-size]
                    if how == _BUILD:
                        parts = values[-size:]
                        if keep is not None:
                            parts = [parts[k] if k >= 0 else None for k in keep]
                        value = what(new_tuple(Span, (source, starts[first], ends[at - 1])), *parts)
                    elif how == _PASS:
                        value = values[what]
                    elif how == _MORE:
                        value = values[-size]
                        value.append(values[-1])
                    elif how == _ONE:
                        value = [values[what]]
                    else:
                        value = [values[-3], values[-1]]
                    del values[-size:], firsts[-size:], states[-size:]
                    values.append(value)
                    firsts.append(first)
                else:
                    values.append(self._build(at, at, what, keep, []))
                    firsts.append(at)
                to = gotos[states[-1]][lhs]
                if to < n_states:
                    states.append(to)
                    break
                states.append(-1)
                lhs, size, how, what, keep = rules[to - n_states]

    def _build(self, first: int, at: int, what: Any, keep: list[int] | None, parts: list[Any]) -> Any:
        """The rare shapes: alternatives of one or no symbol with parts absent."""
        tokens = self.tokens
        start = tokens.starts[first]
        span = Span(tokens.source, start, max(start, tokens.ends[at - 1]) if at else start)
        return what(span, *([parts[k] if k >= 0 else None for k in keep] if keep is not None else parts))

    def _reads_otherwise(self, at: int) -> bool:
        """lem's words are keywords only in their places: try the other reading of a word that does not fit."""
        kind = self.tokens.kinds[at]
        if kind in _SOFT_KINDS:
            other = NAME
        elif kind == NAME and self.tokens.text(at) in SOFT_WORDS:
            other = self.tables.literals[self.tokens.text(at)]
        else:
            return False
        if other not in self.tables.actions[self.states[-1]]:
            return False
        self.tokens.kinds[at] = other
        return True

    # ------------------------------------------------------------ recovery
    def _recover(self, at: int) -> int:
        """Report what is wrong at token `at`, mend the tokens, wind back; the token to go on with."""
        self.n_recoveries += 1
        if self.start_rule != "module" or self.n_recoveries > MAX_RECOVERIES:
            self._report(at, *self._line(at))
            raise GaveUp
        first, last = self._line(at)
        edit = self._report(at, first, last)
        key = self.tokens.starts[first]
        attempt = self.attempts[key] = self.attempts.get(key, 0) + 1
        if edit is not None and attempt <= 3:
            self._replace(edit.first, edit.last, edit.kinds)
            if edit.matching_dedent:
                self._delete_dedent(edit.first)
            return self._wind_back(min(first, edit.first))
        if attempt <= 5:
            part = self._part_in_brackets(at, first, last) if attempt <= 4 else None
            part = part or self._part_of_line(at, first, last)
            self.attempts[key] = max(attempt, 4)
            if part is not None:
                self._replace(*part, (BROKEN,))
                return self._wind_back(first)
        return self._break_line(first, last)

    def _line(self, at: int) -> tuple[int, int]:
        """First token and NEWLINE of the line that token `at` is on; a layout token out of place is its own line."""
        kinds = self.tokens.kinds
        if kinds[at] in (INDENT, DEDENT, END):
            return at, at
        first = at
        while first and kinds[first - 1] not in _LAYOUT:
            first -= 1
        last = at
        while kinds[last] not in (NEWLINE, END):
            last += 1
        return first, last

    def _report(self, at: int, first: int, last: int) -> Edit | None:
        """Say what is wrong, unless something was said about this line; how to mend it, if that is known."""
        tokens = self.tokens
        expected = self._expected()
        spot = Spot(tokens, at, first, last, expected)
        mistake = diagnose(spot)
        start, end = tokens.starts[first], tokens.source.text.find("\n", tokens.ends[last])
        is_known = any(start <= offset and (offset <= end or end < 0) for offset in tokens.reported)
        if not is_known and start not in self.attempts and not is_shadow(spot):
            self.diags.error(
                mistake.code, mistake.span, mistake.label, also=mistake.also, note=mistake.note, help=mistake.help
            )
            tokens.reported.append(mistake.span.start)
        return mistake.edit

    def _expected(self) -> frozenset[int]:
        """The terminals that could come next (not those that only lead to a dead end)."""
        row = self.tables.actions[self.states[-1]]
        return frozenset(kind for kind in row if self._accepts(self.states, kind))

    def _accepts(self, states: list[int], kind: int) -> bool:
        """Whether `kind` can be shifted after reductions; nothing is built."""
        stack = list(states)
        n_states = self.tables.n_states
        while True:
            act = self.tables.actions[stack[-1]].get(kind)
            if act is None or act >= 0:
                return act is not None
            rule = ~act
            while rule >= 0:
                lhs, size = self.tables.rules[rule][:2]
                if size:
                    del stack[-size:]
                to = self.tables.gotos[stack[-1]][lhs]
                stack.append(to)
                rule = to - n_states

    def _wind_back(self, first: int) -> int:
        """Take from the stack all that was read from token `first` on; reading goes on there."""
        while self.firsts and self.firsts[-1] >= first:
            self._pop()
        return first

    def _pop(self) -> None:
        self.states.pop()
        self.values.pop()
        self.firsts.pop()

    def _replace(self, first: int, last: int, kinds: tuple[int, ...]) -> None:
        """Tokens first..last-1 become tokens of `kinds`: the first takes their text, the others are empty."""
        tokens = self.tokens
        before = tokens.ends[first - 1] if first else 0
        start, end = (tokens.starts[first], tokens.ends[last - 1]) if last > first else (before, before)
        tokens.kinds[first:last] = kinds
        tokens.starts[first:last] = [start if i == 0 else end for i in range(len(kinds))]
        tokens.ends[first:last] = [end] * len(kinds)

    def _delete_dedent(self, at: int) -> None:
        """Delete the DEDENT that belongs to an INDENT which stood before token `at`."""
        depth = 1
        kinds = self.tokens.kinds
        while depth and kinds[at] != END:
            depth += (kinds[at] == INDENT) - (kinds[at] == DEDENT)
            at += 1
        if depth == 0:
            self._replace(at - 1, at, ())

    def _part_in_brackets(self, at: int, first: int, last: int) -> tuple[int, int] | None:
        """The tokens between two commas, or comma and bracket, around token `at`."""
        spot = Spot(self.tokens, at, first, last, frozenset())
        opener = spot.opener()
        if opener is None:
            return None
        begin = end = opener + 1
        depth = 0
        while end < last:
            text = self.tokens.text(end)
            if depth == 0 and (text == "," or text in (")", "]", "}")):
                if end >= at:
                    return begin, end
                begin = end + 1
            depth += (text in ("(", "[", "{")) - (text in (")", "]", "}"))
            end += 1
        return None

    def _part_of_line(self, at: int, first: int, last: int) -> tuple[int, int] | None:
        """The right side of an assignment, the condition of an `if` or `while`, the domain of a `for`."""
        tokens = self.tokens
        head = tokens.text(first)
        is_block = tokens.kinds[last - 1] == COLON
        begin = None
        if head in ("if", "elif", "while", "return", "assert"):
            begin = first + 1
        elif head == "for":
            begin = next((i + 1 for i in range(first, min(at, last)) if tokens.text(i) == "in"), None)
        elif not is_block:
            begin = next((i + 1 for i in range(first + 1, min(at, last)) if tokens.text(i) in _ASSIGNS), None)
        end = last - is_block
        if begin is None or at < begin or end <= begin or tokens.kinds[begin:end] == [BROKEN]:
            return None
        return begin, end

    def _break_line(self, first: int, last: int) -> int:
        """The whole line, or what was begun before it and hangs on it (decorators), becomes one broken statement or item."""
        tokens = self.tokens
        self._wind_back(first)
        while not self._accepts(self.states, BROKEN_LINE) and self.firsts:
            first = self.firsts[-1]
            self._pop()
        if not self._accepts(self.states, BROKEN_LINE):
            raise InternalError("parse", "the grammar has no place for a broken line")
        if tokens.kinds[last] == NEWLINE:
            has_block = tokens.kinds[last + 1] == INDENT
            if first == last:
                last += 1  # an empty line of tokens: its end must go, or nothing would change
            self._replace(first, last, (BROKEN_LINE, COLON) if has_block else (BROKEN_LINE,))
        elif tokens.kinds[last] == END:
            self._replace(first, last, (BROKEN_LINE, NEWLINE))
        else:
            self._replace(first, last + 1, ())
        self.attempts[tokens.starts[first]] = 9
        return first

    def _given_up(self) -> Any:
        source = self.tokens.source
        begin, end = self.tokens.starts[0], self.tokens.ends[-1]
        span = Span(source, min(begin, end), end)
        if self.start_rule == "expression":
            return ast.ErrorExpr(span)
        if self.start_rule == "type_text":
            return "", "", ast.TypeExpr(span, "", None, ())
        whole = Span(source, 0, len(source.text))
        return ast.Module(whole, None, (ast.ErrorItem(whole),), tuple(self.tokens.comments))


_ASSIGNS = frozenset(("=", "+=", "-=", "*=", "/=", "//=", "%=", "**=", "&=", "|=", "^=", "<<=", ">>=", "@="))
