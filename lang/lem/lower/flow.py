"""What typed statements do to the code around them: how they may leave it, which locals they set, which they read.

Pure questions about the typed tree, asked by ``statements``. Locals that are read are counted once per statement and
kept: fns are inlined many times, and every branch and loop asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.types import typed

Stmts = Sequence[typed.Stmt]
Exits = frozenset[type[typed.Stmt]]
_NONE: Exits = frozenset()
_ONE = {kind: frozenset({kind}) for kind in (typed.Break, typed.Continue, typed.Return)}
_INNER = frozenset({typed.Break, typed.Continue})
_LOOPS = (typed.While, typed.ForRange, typed.ForTiles)


# ---------------------------------------------------------------- exits
def always_exits(stmts: Stmts) -> bool:
    """Whether every path through `stmts` ends in break, continue or return."""
    for s in stmts:
        if isinstance(s, (typed.Break, typed.Continue, typed.Return)):
            return True
        if isinstance(s, typed.If) and always_exits(s.then) and always_exits(s.orelse):
            return True
    return False


def exits_of(s: typed.Stmt) -> Exits:
    """Kinds of exit that leave `s` for a construct around it."""
    if isinstance(s, (typed.Break, typed.Continue, typed.Return)):
        return _ONE[type(s)]
    if isinstance(s, typed.If):
        return exits_in((*s.then, *s.orelse))
    if isinstance(s, _LOOPS):
        return exits_in(s.body) - _INNER
    return _NONE  # a grid keeps its exits to itself


def exits_in(stmts: Stmts) -> Exits:
    """Kinds of exit that leave `stmts`; for a loop's body: exits that belong to the loop, and returns."""
    out = _NONE
    for s in stmts:
        out |= exits_of(s)
    return out


# ---------------------------------------------------------------- locals
def locals_set(stmts: Stmts) -> dict[typed.LocalVar, None]:
    """Locals assigned anywhere below, in order (grids keep theirs)."""
    out: dict[typed.LocalVar, None] = {}

    def visit(s: typed.Stmt) -> None:
        if isinstance(s, typed.SetLocal):
            out[s.local] = None
        elif isinstance(s, (typed.SetLocals, typed.CallFnStmt)):
            out.update((v, None) for v in s.locals if v is not None)
        elif isinstance(s, typed.If):
            for x in (*s.then, *s.orelse):
                visit(x)
        elif isinstance(s, _LOOPS):
            for x in s.body:
                visit(x)

    for s in stmts:
        visit(s)
    return out


def parts_bound(stmts: Stmts) -> list[typed.PartLocals]:
    """What names of parts carry along, of names that are bound anywhere below."""
    out: list[typed.PartLocals] = []
    for s in stmts:
        if isinstance(s, typed.Bind):
            out += [name.part for name in s.names if name.part is not None]
        elif isinstance(s, typed.If):
            out += parts_bound((*s.then, *s.orelse))
        elif isinstance(s, _LOOPS):
            out += parts_bound(s.body)
    return out


class Reads:
    """How often each local is read in some statements (not inside fns that they call)."""

    def __init__(self) -> None:
        self._kept: dict[typed.Stmt, dict[typed.LocalVar, int]] = {}

    def of(self, stmts: Stmts) -> dict[typed.LocalVar, int]:
        out: dict[typed.LocalVar, int] = {}
        for s in stmts:
            for local, n in self._of_one(s).items():
                out[local] = out.get(local, 0) + n
        return out

    def _of_one(self, s: typed.Stmt) -> dict[typed.LocalVar, int]:
        found = self._kept.get(s)
        if found is None:
            found = self._kept[s] = _count(s)
        return found


def _count(tree: object) -> dict[typed.LocalVar, int]:
    counts: dict[typed.LocalVar, int] = {}
    stack: list[object] = [tree]
    while stack:
        x = stack.pop()
        if isinstance(x, (tuple, list)):
            stack.extend(x)
        elif type(x) is typed.LocalRef:
            counts[x.local] = counts.get(x.local, 0) + 1
        else:
            stack.extend(getattr(x, name) for name in _parts(x))
    return counts


def _parts(node: object) -> tuple[str, ...]:
    """Fields of a node that may hold expressions or statements; none for what is no node."""
    found = _PARTS.get(type(node))
    if found is None:
        is_node = isinstance(node, (typed.Expr, typed.Stmt, typed.At, typed.Clause, typed.Domain))
        slots = [n for c in type(node).__mro__ for n in getattr(c, "__slots__", ())] if is_node else []
        found = _PARTS[type(node)] = tuple(n for n in slots if n not in ("span", "type"))
    return found


_PARTS: dict[type, tuple[str, ...]] = {}
