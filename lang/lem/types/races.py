"""Do two elements of one grid meet in an array? Do the writes of a function cover one? (LANGUAGE 12, 13, 14)

Takes the accesses in a grid's body with the facts at each; gives the conflicts that cannot be excluded. Undecided counts
as a conflict. Stands beside `prove`: knows symbols and facts, no syntax.

PAIR   Two copies of the element's symbols, the facts of both accesses, equal subscripts, and one grid variable that
       differs while those before it agree: if every such system is infeasible, no two elements meet.
DIRECT A grid variable that is the only symbol of one's own in a subscript (`c[2 * i + 1]` in both accesses) is the same
       in both copies, without any proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lem.source import Span
from lem.types.facts import Context
from lem.types.linear import Lin, Sym, Symbols, Term, cofactor, equal, factors_of
from lem_runtime.abi.records import dataclass


class Whole:
    """A subscript that takes the whole axis (``:``)."""


WHOLE = Whole()


@dataclass(frozen=True, slots=True)
class UniqueOf:
    """``unique(idx)[subs]``: equal only where all of `subs` are. `array` identifies `idx`."""

    array: object
    subs: tuple[Lin, ...]


SubForm = Lin | Whole | UniqueOf | None  # None: anything (a gather)


@dataclass(frozen=True, slots=True, eq=False)
class Access:
    """One place in a grid's body that reads, writes or updates an array.

    array: identifies the array (compared with ``is``); `name` is for messages.
    kind:  "write", "read" or "update" (of a `reduce` array; updates never conflict with each other).
    ctx:   facts where it stands: domains of the grid's and all inner variables, conditions around it.
    """

    array: object
    name: str
    kind: str
    subs: tuple[SubForm, ...]
    ctx: Context
    span: Span


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two different elements meet. kind: "write-write" or "write-read" (then `first` is the write).

    example: "elements `i = 0` and `i = 1` both write `c[0]`", or None when there is none at hand.
    certain: the example happens at some sizes; otherwise it only could not be excluded.
    """

    kind: str
    first: Access
    second: Access
    example: str | None = None
    certain: bool = False


def find_conflicts(symbols: Symbols, outer: Context, grid: Sequence[Sym], accesses: Sequence[Access]) -> list[Conflict]:
    """Conflicts between different elements of the grid over `grid`, at most one per array, certain ones first.

    `outer`: the context of the grid statement, without its variables. Symbols made before the grid's own have the same
    value in all elements; all later ones (comprehension variables, array elements) are each element's own.
    """
    found: dict[int, Conflict] = {}
    # The same subscript under the same facts says nothing new, and code that repeats one is common.
    distinct: dict[object, Access] = {}
    for a in accesses:
        distinct.setdefault((id(a.array), a.kind, a.subs, a.ctx.facts, a.ctx.guards), a)
    for first, second in _pairs(list(distinct.values())):
        best = found.get(id(first.array))
        if best is None or not best.certain:
            conflict = _Pair(symbols, outer, grid, first, second).conflict()
            if conflict is not None and (best is None or _tells_more(conflict, best)):
                found[id(first.array)] = conflict
    return sorted(found.values(), key=lambda c: not c.certain)


def _pairs(accesses: Sequence[Access]) -> Iterator[tuple[Access, Access]]:
    """A write with each access of the same array, itself included; each pair once, write-write pairs first."""
    changes = [a for a in accesses if a.kind != "read"]
    for n, first in enumerate(changes):
        for second in changes[n:]:
            if first.array is second.array and not first.kind == second.kind == "update":
                yield first, second
    for first in changes:
        for second in accesses:
            if second.kind == "read" and first.array is second.array:
                yield first, second


def _tells_more(a: Conflict, b: Conflict) -> bool:
    return (a.certain, a.example is not None) > (b.certain, b.example is not None)


@dataclass(slots=True)
class _Pair:
    """Two accesses by two elements; the second one's symbols are copies."""

    symbols: Symbols
    outer: Context
    grid: Sequence[Sym]
    first: Access
    second: Access

    def conflict(self) -> Conflict | None:
        if not self.grid:
            return None
        recovered = self._recovered()
        if len(recovered) == len(self.grid):
            return None
        copies = self._copies()
        meet = self._both(copies)
        for differ in self._different(copies, recovered):
            ctx = meet.assume(*differ)
            # The last of the facts in `differ` says that the elements are not the same: refuting it is cheapest, since
            # only what is connected to it matters.
            if not meet.assume(*differ[:-1]).always_false(differ[-1]):
                return self._report(ctx, differ, copies)
        return None

    def _recovered(self) -> set[Sym]:
        """Grid variables that must agree by DIRECT, repeated with those already found as known."""
        known: set[Sym] = set()
        equations = [(a, b) for one, two in zip(self.first.subs, self.second.subs, strict=False) for a, b in _same(one, two)]
        found = True
        while found:
            found = False
            for a, b in equations:
                own = {s for s in a.syms if any(self._is_own(t) and t not in known for t in s.lin.leaves())}
                if a == b and len(own) == 1 and own <= set(self.grid):
                    known |= own
                    found = True
        return known

    def _is_own(self, s: Sym) -> bool:
        """Has a value of its own in each element."""
        return s.uid >= min(g.uid for g in self.grid) and s.kind not in ("dim", "param")

    def _copies(self) -> dict[Sym, Term]:
        own: dict[Sym, Term] = {}
        forms = (*self.second.ctx.since(self.outer), *(f for sub in self.second.subs for f in _forms(sub)))
        queue = [*self.grid, *(s for f in forms for s in f.leaves())]
        while queue:
            s = queue.pop()
            if s in own or not self._is_own(s):
                continue
            copy = own[s] = Sym(s.name + "'", s.kind)
            queue += [t for f in s.facts for t in f.leaves()]
            if s.kind == "fresh":
                copy.facts = tuple(f.replace({s: copy}) for f in s.facts)
        return own

    def _both(self, copies: Mapping[Sym, Term]) -> Context:
        """The facts of both elements, and that they are at one place."""
        renamed = [self.symbols.rename(f, copies) for f in self.second.ctx.since(self.outer)]
        at_one_place = [
            fact
            for one, two in zip(self.first.subs, self.second.subs, strict=False)
            for a, b in _same(one, two)
            for fact in equal(a, self.symbols.rename(b, copies))
        ]
        return self.first.ctx.assume(*renamed, *at_one_place)

    def _different(self, copies: Mapping[Sym, Term], recovered: set[Sym]) -> Iterator[tuple[Lin, ...]]:
        """All ways in which two elements differ, first difference first: that of the variable with the largest factors,
        since in ``i * N + j`` equal places say nothing of `j` before `i` is known."""
        same: list[Lin] = [fact for g in self.grid if g in recovered for fact in equal(g, copies[g])]
        for g in sorted(self.grid, key=self._n_factors, reverse=True):
            if g not in recovered:
                gap = Lin.of(copies[g]) - g
                yield (*same, gap - 1)
                if self.first is not self.second:  # the same access: elements can be swapped
                    yield (*same, -gap - 1)
                same += equal(g, copies[g])

    def _n_factors(self, g: Sym) -> int:
        """Of the longest product in the first access that `g` is in."""
        forms = (f for sub in self.first.subs for f in _forms(sub))
        return max((len(factors) for f in forms for s in f.syms if g in (factors := factors_of(s))), default=0)

    def _report(self, ctx: Context, differ: tuple[Lin, ...], copies: Mapping[Sym, Term]) -> Conflict:
        kind = "write-read" if self.second.kind == "read" else "write-write"
        subs = [*self.first.subs, *self.second.subs]
        facts = (*differ, *ctx.since(self.first.ctx), *self.first.ctx.since(self.outer))
        # Better an example inside of the array: a subscript that is tested where it runs may have any value.
        inside = [f for sub in self.first.subs for f in _forms(sub)]
        values = ctx.sample(*inside, *facts) or ctx.sample(*facts)
        if values is None or any(s is None for s in subs):
            return Conflict(kind, self.first, self.second)
        guarded = any(a.ctx.is_guarded_since(self.outer) for a in (self.first, self.second))
        unknown = any(s.is_unknown for a in (self.first, self.second) for sub in a.subs for f in _forms(sub)
                      for s in f.leaves())  # fmt: skip
        # Elements of two index arrays may be equal or not.
        pairs = zip(self.first.subs, self.second.subs, strict=False)
        unknown |= any(isinstance(a, UniqueOf) and not _same(a, b) for a, b in pairs)
        certain = not guarded and not unknown
        return Conflict(kind, self.first, self.second, self._tell(values, copies, kind, certain), certain)

    def _tell(self, values: Mapping[Sym, int], copies: Mapping[Sym, Term], kind: str, certain: bool) -> str:
        one = ", ".join(f"{g.name} = {values.get(g, 0)}" for g in self.grid)
        two = ", ".join(f"{g.name} = {values.get(_sym(copies[g]), 0)}" for g in self.grid)
        place = ", ".join(self._shown(s, values) for s in self.first.subs)
        place = f"`{self.first.name}[{place}]`" if place else f"`{self.first.name}`"
        may = "" if certain else "may "
        if kind == "write-write":
            verb = "update" if self.first.kind == self.second.kind == "update" else "write"
            return f"elements `{one}` and `{two}` {may or 'both '}{'both ' if may else ''}{verb} {place}"
        return f"element `{two}` {may}read{'' if may else 's'} {place}, which element `{one}` writes"

    def _shown(self, sub: SubForm, values: Mapping[Sym, int]) -> str:
        if isinstance(sub, Lin):
            value = self.symbols.rename(sub, dict(values))
            return str(value.const) if value.is_const else "…"
        return ":" if isinstance(sub, Whole) else "…"


def _sym(term: Term) -> Sym:
    sym = Lin.of(term).only_sym
    assert sym is not None  # copies are symbols
    return sym


def _same(one: SubForm, two: SubForm) -> list[tuple[Lin, Lin]]:
    """Forms that agree when two subscripts do."""
    if isinstance(one, Lin) and isinstance(two, Lin):
        return [(one, two)]
    if isinstance(one, UniqueOf) and isinstance(two, UniqueOf) and one.array is two.array:
        return list(zip(one.subs, two.subs, strict=True))
    return []


def _forms(sub: SubForm) -> tuple[Lin, ...]:
    if isinstance(sub, Lin):
        return (sub,)
    return sub.subs if isinstance(sub, UniqueOf) else ()


# ---------------------------------------------------------------- coverage

# Subtracting the writes from the array branches; beyond this many pieces the answer is "not proven".
MAX_PIECES = 200


def covers_whole_array(symbols: Symbols, outer: Context, shape: Sequence[Lin | None], writes: Sequence[Access]) -> bool:
    """True when `writes` (of one or several grids, or sequential code; all to one array) together reach every element
    of an array of this shape. `outer`: context at the start of the function: facts about sizes only.

    What must hold for a place to be written is found by solving the subscripts for the variables; the array minus all
    these sets must be empty.
    """
    places: list[Sym] = []
    ctx = outer
    for n, size in enumerate(shape):
        place = Sym(f"place {n}", "index")
        places.append(place)
        ctx = ctx.assume(place.lin) if size is None else ctx.assume_range(place, 0, size)
    reached = [needs for w in writes if (needs := _needs(symbols, outer, places, w)) is not None]
    budget = [MAX_PIECES]
    return _is_covered(ctx, sorted(reached, key=len), budget)


def _is_covered(ctx: Context, reached: Sequence[Sequence[Lin]], budget: list[int]) -> bool:
    """No place that agrees with `ctx` is outside all of `reached`."""
    budget[0] -= 1
    if budget[0] < 0:
        return False
    if not reached:
        return ctx.is_impossible()
    inside = ctx
    for need in reached[0]:
        if not inside.prove_ge0(need):
            if not _is_covered(inside.assume(-need - 1), reached[1:], budget):
                return False
            inside = inside.assume(need)
    return True


def _needs(symbols: Symbols, outer: Context, places: Sequence[Sym], write: Access) -> list[Lin] | None:
    """Facts about `places` under which `write` reaches them; None when that cannot be said."""
    if write.ctx.is_guarded_since(outer):
        return None
    facts = list(write.ctx.since(outer))
    at: dict[Sym, Term] = {}
    needs: list[Lin] = []
    divisible: list[Lin] = []
    for place, sub in zip(places, write.subs, strict=True):
        if isinstance(sub, Whole):
            continue
        if not isinstance(sub, Lin):
            return None
        solved = _solve_sub(symbols, symbols.rename(sub, at), place, places, at, facts)
        if solved is None:
            return None
        rest, divisors = solved
        needs += [f for f in equal(rest, 0) if f.terms or f.const < 0]
        divisible += [c - 1 for c in divisors]
    _choose_others(symbols, facts, at)
    needs += [symbols.rename(f, at) for f in facts]
    if any(s.kind not in ("dim", "param") and s not in places for f in needs for s in f.leaves()):
        return None
    # What is known of a quotient holds where its divisor is not 0: that comes before anything that speaks of it.
    return [*divisible, *needs]


def _solve_sub(
    symbols: Symbols, sub: Lin, place: Sym, places: Sequence[Sym], at: dict[Sym, Term], facts: Sequence[Lin]
) -> tuple[Lin, list[Lin]] | None:
    """Values of the variables in `sub`, added to `at`, with which it is `place`; gives what must be 0 besides, and the
    sizes that were divided by. The largest coefficient takes the quotient, the next one the quotient of the rest
    (``2 * i + d``: i = p // 2, d = p % 2; ``i * N + j``: i = p // N, j = p % N)."""
    digits = _digits(sub, places)
    if digits is None:
        return None
    rest: Lin | None = place.lin - sub
    for s, c in digits:
        rest = _plus_times(symbols, rest, s.lin, c)
    divisors: list[Lin] = []
    for n, (s, c) in enumerate(digits):
        if rest is None:
            return None
        if n + 1 < len(digits) and c.is_const and abs(c.const) == 1:
            value: Lin | None = _least(s, facts)  # `i + k`: k may stay at its least, i does the rest
            at_next = digits[n + 1 :]
            if value is None or any(t in value.syms for t, _ in at_next):
                return None
        elif c.is_const:
            value = symbols.div(rest if c.const > 0 else -rest, abs(c.const))
        else:
            value = symbols.div(rest, c)
            divisors.append(c)
        if value is None:
            return None
        at[s] = value
        rest = _plus_times(symbols, rest, -value, c)
    return None if rest is None else (rest, divisors)


def _digits(sub: Lin, places: Sequence[Sym]) -> list[tuple[Sym, Lin]] | None:
    """The variables of a subscript that no subscript before it has told, with their coefficients, those that count most
    first; None when it is made of more."""
    found: list[tuple[int, int, Sym, Lin]] = []
    for term, c in sub.terms:
        if all(s.kind in ("dim", "param") or s in places for s in term.lin.leaves()):
            continue
        factors = factors_of(term)
        own = [s for s in factors if s.kind not in ("dim", "param")]
        if len(own) > 1 or own[0].defn is not None or own[0].is_unknown:
            return None
        weight = Lin.of(c) if len(factors) == 1 else cofactor(term, own[0]) * c
        found.append((len(factors), abs(c), own[0], weight))
    if len({s for _, _, s, _ in found}) < len(found):
        return None
    return [(s, c) for _, _, s, c in sorted(found, key=lambda t: (-t[0], -t[1]))]


def _plus_times(symbols: Symbols, x: Lin | None, s: Lin, c: Lin) -> Lin | None:
    """``x + s * c``, where that can be said."""
    product = symbols.mul(s, c)
    return None if x is None or product is None else x + product


def _choose_others(symbols: Symbols, facts: Sequence[Lin], at: dict[Sym, Term]) -> None:
    """Variables that the subscripts do not use: what an equality says, else the first of their range."""
    for s in dict.fromkeys(s for f in facts for s in f.leaves() if s.kind in ("index", "loop")):
        if s not in at:
            value = _by_equality(symbols, s, facts) or _least(s, facts)
            if value is not None:
                at[s] = symbols.rename(value, at)
    for s in list(at):  # a value may use a variable that was chosen later
        at[s] = symbols.rename(Lin.of(at[s]), at)


def _by_equality(symbols: Symbols, s: Sym, facts: Sequence[Lin]) -> Lin | None:
    """The value of `s` if one of the equalities among `facts` tells it: the turn of a range with a step."""
    for f in facts:
        c = f.coef(s)
        if c > 0 and -f in facts and s not in (f - s.lin * c).leaves():
            return symbols.div(s.lin * c - f, c)
    return None


def _least(s: Sym, facts: Iterable[Lin]) -> Lin | None:
    """A lower bound of `s` that may be reached."""
    return next((s.lin - f for f in facts if f.coef(s) == 1 and s not in (f - s.lin).leaves()), None)
