"""What holds of linear forms under the facts in force (LANGUAGE 1).

Takes facts (ranges of variables, conditions in force, ``where`` clauses) in a :class:`Context`; answers whether a form
is never negative, and otherwise what of it remains to be checked at the call. Integer Fourier-Motzkin, bounded:
"unknown" is always an allowed answer, a wrong "yes" never. `prove` turns the answers into what a subscript needs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce

from lem.types.fourier import System
from lem.types.linear import ONE, SIZE_KINDS, ZERO, Lin, Sym, Symbols, Term, cofactor, condition, equal, factors_of
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.sizes import Size

FALSE = Lin((), -1)  # a fact that nothing satisfies

# A proof by cases (min, max, `!=`) looks at no more than this many splits in a row.
MAX_SPLITS = 3

# Sizes that are tried in products when an example is looked for, in as many products of sizes at most.
SMALL_SIZES = (2, 3, 1)
MAX_SIZES = 3

Alternatives = tuple[tuple[Lin, ...], ...]


@dataclass(frozen=True, slots=True)
class Residual:
    """A condition over sizes and ``int`` parameters that is left for the call.

    simple: what to print (``Condition.shown``): ``R <= 1``. It is what `exact` says where no range around is empty.
    exact:  what to check (``Condition.expr``): ``M <= 0 or R <= 1``. Also true when the element does not exist: size 0
            is legal.
    never:  no size fits: whenever the element exists, some index is wrong; `simple` is then 0 (false).
    bounded_dim: name of a dimension that `simple` bounds from above by a constant (`lem check` warns), or "".
    """

    simple: Size
    exact: Size
    never: bool = False
    bounded_dim: str = ""


class Context:
    """An immutable set of facts. Extending one gives a new one, so a scope is a Python variable::

        inner = ctx.assume(*compare_facts("<", i, n))     # under `if i < n:`

    Facts of symbols themselves (a dimension is >= 0, a derived symbol's definition) need not be assumed.

    facts:   forms known to be >= 0, oldest first: those of an outer context are a prefix.
    n_call:  how many of the facts, from the front, are checked at every call (sizes that are not negative, ``where``);
             all later ones hold only where the code in force runs.
    choices: alternatives of which at least one holds; used where a proof needs cases.
    guards:  number of conditions around that no facts describe completely (``if flag[i]:``, what follows a
             data-dependent ``break``, a ``while``). Under one, an element that would be wrong may never exist: then no
             condition on the call is derived, and only what is wrong for every value is certain.
    """

    __slots__ = ("facts", "choices", "guards", "n_call", "_by_sym", "_best", "_proofs", "_exists")

    def __init__(
        self, facts: tuple[Lin, ...] = (), choices: tuple[Alternatives, ...] = (), guards: int = 0, n_call: int = 0
    ) -> None:
        self.facts = facts
        self.choices = choices
        self.guards = guards
        self.n_call = n_call
        self._by_sym: dict[Sym, list[Lin]] | None = None
        self._best: dict[tuple[tuple[Sym, int], ...], int] = {}
        self._proofs: dict[Lin, bool] = {}
        self._exists: tuple[list[Lin], list[Lin]] | None = None

    # ------------------------------------------------------------ extending

    def assume(self, *facts: Lin) -> Context:
        """With more facts, each a form known to be >= 0."""
        new = tuple(f for f in facts if f.terms or f.const < 0)
        return Context(self.facts + new, self.choices, self.guards, self.n_call) if new else self

    def assume_eq(self, a: Term, b: Term) -> Context:
        return self.assume(*equal(a, b))

    def assume_ne(self, a: Term, b: Term) -> Context:
        """With a != b: strict where a <= b or a >= b is known, else as two cases."""
        d = Lin.of(a) - b
        if self.prove_ge0(d):
            return self.assume(d - 1)
        if self.prove_ge0(-d):
            return self.assume(-d - 1)
        return self.assume_any((d - 1,), (-d - 1,))

    def assume_any(self, *alternatives: Sequence[Lin]) -> Context:
        """With a disjunction: all facts of at least one of the alternatives hold. Guards: see `guards`."""
        choices = (*self.choices, tuple(tuple(a) for a in alternatives))
        return Context(self.facts, choices, self.guards + 1, self.n_call)

    def assume_range(self, var: Sym, lo: Term, hi: Term, step: int = 1) -> Context:
        """With `var` one of lo, lo + step, ... < hi (for step < 0: > hi)."""
        first = Lin.of(var) - lo if step > 0 else Lin.of(lo) - var
        last = Lin.of(hi) - var - 1 if step > 0 else Lin.of(var) - hi - 1
        if abs(step) == 1:
            return self.assume(first, last)
        turn = Sym(f"turn of {var.name}", "index")
        return self.assume(*equal(first, turn.lin * abs(step)), turn.lin, last)

    def under_unknown(self) -> Context:
        """Under one more condition that gives no, or not all, facts."""
        return Context(self.facts, self.choices, self.guards + 1, self.n_call)

    def checked_at_call(self) -> Context:
        """With everything assumed so far marked as checked by every call: for the facts of a signature."""
        return Context(self.facts, self.choices, 0, len(self.facts))

    @property
    def is_guarded(self) -> bool:
        return self.guards > 0

    def since(self, outer: Context) -> tuple[Lin, ...]:
        """Facts added to `outer` on the way to this context."""
        return self.facts[len(outer.facts) :]

    def is_guarded_since(self, outer: Context) -> bool:
        return self.guards > outer.guards

    # ------------------------------------------------------------ asking

    def prove_ge0(self, goal: Term) -> bool:
        """True when `goal` >= 0 for all integers that agree with the facts. Never wrongly True."""
        goal = Lin.of(goal)
        known = self._proofs.get(goal)
        if known is None:
            known = self._proofs[goal] = self._is_fact(goal) or _refutes(self, (-goal - 1,), MAX_SPLITS)
        return known

    def prove_le(self, a: Term, b: Term) -> bool:
        return self.prove_ge0(Lin.of(b) - a)

    def prove_lt(self, a: Term, b: Term) -> bool:
        return self.prove_ge0(Lin.of(b) - a - 1)

    def prove_eq(self, a: Term, b: Term) -> bool:
        d = Lin.of(a) - b
        return d == Lin((), 0) or (self.prove_ge0(d) and self.prove_ge0(-d))

    def prove_ne(self, a: Term, b: Term) -> bool:
        """True when a == b contradicts the facts."""
        facts = equal(a, b)
        return facts[0].is_const and facts[0].const != 0 or _refutes(self, facts, MAX_SPLITS)

    def is_impossible(self) -> bool:
        """True when the facts contradict each other: the code in force never runs."""
        return _refutes(self, self.facts, MAX_SPLITS)

    def always_false(self, goal: Term) -> bool:
        """True when `goal` < 0 wherever the facts hold."""
        return self.prove_ge0(-Lin.of(goal) - 1)

    def residual(self, goal: Term) -> Residual | None:
        """What must hold of sizes and scalars so that `goal` >= 0 for every element; None when that cannot be said
        exactly: behind a guard, or where values are involved that are known only when they run."""
        if self.is_guarded:
            return None
        wrong = -Lin.of(goal) - 1
        left = _projection([*relevant(self, (wrong,), through=_is_element), wrong])
        if left is None:
            return None
        ranges, conditions = self.exists()
        where_it_runs = Context((*self._call_facts(), *conditions, *ranges))
        left = [f for f in left if not where_it_runs.prove_ge0(f)]
        return _residual(left, where_it_runs, ranges, conditions)

    def exists(self) -> tuple[list[Lin], list[Lin]]:
        """What must hold of sizes and scalars for the code in force to run at all, beyond what every call has checked:
        that the ranges around it are not empty (``M >= 1``), and conditions around it that speak of nothing else.
        Variables whose range depends on run-time values are left out."""
        if self._exists is None:
            known = Context(self._call_facts())
            conditions = [f for f in self.facts[self.n_call :] if _over_sizes(f) and not known.prove_ge0(f)]
            known = known.assume(*conditions)
            ranges: list[Lin] = []
            for group in _groups(self.facts):
                for f in _projection(group) or ():
                    if not known.prove_ge0(f):
                        known = known.assume(f)
                        ranges.append(f)
            self._exists = (ranges, conditions)
        return self._exists

    def _call_facts(self) -> tuple[Lin, ...]:
        return tuple(f for f in self.facts[: self.n_call] if _over_sizes(f))

    def sample(self, *facts: Lin) -> dict[Sym, int] | None:
        """Small values of all symbols involved in `facts`, which hold together with those in force; or None."""
        involved = [*relevant(self, facts), *facts]
        sizes = dict.fromkeys(s for f in involved for p in f.syms for s in factors_of(p) if p is not s and _is_size(s))
        if not sizes or len(sizes) > MAX_SIZES:
            return _sample(involved)
        # With numbers for the sizes in them, products are linear.
        home = next(p.home for f in involved for p in f.syms if p.home is not None)
        for values in itertools.product(SMALL_SIZES, repeat=len(sizes)):
            at = dict(zip(sizes, values, strict=True))
            found = _sample([home.rename(f, at) for f in involved])
            if found is not None:
                return {**found, **at}
        return None

    # ------------------------------------------------------------ inside

    def _is_fact(self, goal: Lin) -> bool:
        """Cheap: `goal` is one of the facts, or weaker by a constant."""
        if not goal.terms:
            return goal.const >= 0
        if not self._best:
            for f in self.facts:
                self._best[f.terms] = min(f.const, self._best.get(f.terms, f.const))
        best = self._best.get(goal.terms)
        return best is not None and best <= goal.const

    def about(self, sym: Sym) -> list[Lin]:
        """Facts that mention `sym`, in products too."""
        if self._by_sym is None:
            self._by_sym = {}
            for f in self.facts:
                for s in _mentioned(f):
                    self._by_sym.setdefault(s, []).append(f)
        return self._by_sym.get(sym, [])


def _sample(involved: Sequence[Lin]) -> dict[Sym, int] | None:
    cols = _columns(involved)
    system = _system(involved, cols)
    system.project(range(len(cols)))
    values = system.sample()
    if values is None:
        return None
    found = {s: values.get(c, 0) for s, c in cols.items()}
    # The facts of min, max and products only bound them: a sample may have missed their meaning.
    right = all(s.defn is None or _value(s, found) in (None, v) for s, v in found.items())
    return found if right else None


def _is_size(s: Sym) -> bool:
    return s.kind in SIZE_KINDS


def _value(s: Sym, values: Mapping[Sym, int]) -> int | None:
    """What a derived symbol is, by its definition; None when its operands have no values."""
    if s.defn is None:
        return values.get(s)
    operands: list[int] = []
    for side in s.defn[1:]:
        terms = [(_value(t, values), c) for t, c in side.terms]
        if any(v is None for v, _ in terms):
            return None
        operands.append(side.const + sum(v * c for v, c in terms if v is not None))
    a, b = operands
    return {"//": a // b if b else 0, "*": a * b, "min": min(a, b), "max": max(a, b)}[s.defn[0]]


# ---------------------------------------------------------------- refuting


def _refutes(ctx: Context, facts: Sequence[Lin], splits: int) -> bool:
    """True when `facts` contradict what is known in `ctx`."""
    involved = [*relevant(ctx, facts), *facts]
    if _is_infeasible(involved):
        return True
    more = _product_facts(ctx, facts, involved) if splits == MAX_SPLITS else []
    if more and _is_infeasible([*involved, *more]):
        return True
    return splits > 0 and _refutes_by_cases(ctx, facts, involved, splits)


def _refutes_by_cases(ctx: Context, facts: Sequence[Lin], involved: Sequence[Lin], splits: int) -> bool:
    syms = dict.fromkeys(s for f in involved for s in f.syms)
    for n, choice in enumerate(ctx.choices):
        if any(s in syms for case in choice for f in case for s in f.syms):
            rest = Context(ctx.facts, ctx.choices[:n] + ctx.choices[n + 1 :], ctx.guards, ctx.n_call)
            return all(_refutes(rest.assume(*case), (*facts, *case), splits - 1) for case in choice)
    for s in syms:
        if s.defn is not None and s.defn[0] in ("min", "max"):
            cases = [equal(s, side) for side in s.defn[1:]]
            if not any(ctx._is_fact(c[0]) and ctx._is_fact(c[1]) for c in cases):
                return all(_refutes(ctx.assume(*case), (*facts, *case), splits - 1) for case in cases)
    return False


def _product_facts(ctx: Context, facts: Sequence[Lin], involved: Sequence[Lin]) -> list[Lin]:
    """What no linear fact says of the products among `involved`: each fact about one factor holds times what it is
    multiplied by, where that is not negative. ``i <= M - 1`` gives ``i * N <= M * N - N``, ``m >= 1`` gives ``m * n >= n``
    (one step of the reformulation-linearization technique of H. Sherali and W. Adams, 1990)."""
    out: dict[Lin, None] = {}
    for (a, times), home in _multiplied(involved).items():
        if not times.speaks_only_of() or not _follows(ctx, facts, times):
            continue
        about = [f for f in (*facts, *ctx.about(a), *a.facts) if f.coef(a)]
        if _follows(ctx, facts, a.lin - 1):
            about.append(a.lin - 1)
        for f in about:
            product = home.mul(f, times)
            if product is not None:
                out[product] = None
    return list(out)


def _multiplied(involved: Iterable[Lin]) -> dict[tuple[Sym, Lin], Symbols]:
    """Factors of products with what they are multiplied by: in one term, and in all terms of a form together (``i`` by
    ``W - R + 1`` in ``i * W - i * R + i``), with either sign."""
    out: dict[tuple[Sym, Lin], Symbols] = {}
    for f in involved:
        whole: dict[Sym, Lin] = {}
        for s, c in f.terms:
            for a in dict.fromkeys(factors_of(s)):
                times = cofactor(s, a) if a is not s else ONE
                whole[a] = whole.get(a, ZERO) + times * c
                if s.home is not None and a is not s:
                    out[a, times] = s.home
        for a, times in whole.items():
            if len(times.terms) > 1 or (times.terms and times.const):
                home = next(s.home for s in f.syms if s is not a and s.home is not None and a in factors_of(s))
                out[a, times] = out[a, -times] = home
    return out


def _follows(ctx: Context, facts: Sequence[Lin], goal: Lin) -> bool:
    """Is `goal` >= 0 by linear facts alone?"""
    wrong = -goal - 1
    return _is_infeasible([*relevant(ctx, (*facts, wrong)), *facts, wrong])


def relevant(ctx: Context, facts: Iterable[Lin], through: Callable[[Sym], bool] | None = None) -> list[Lin]:
    """Facts of `ctx`, and of the symbols themselves, that are connected to `facts` by common symbols. `through`: a
    predicate of symbols; connections by other symbols do not count."""
    found: dict[Lin, None] = {}
    seen: set[Sym] = set()
    queue = [s for f in facts for s in _mentioned(f)]
    while queue:
        s = queue.pop()
        if s in seen:
            continue
        seen.add(s)
        if through is not None and not through(s):
            continue
        for f in (*ctx.about(s), *s.facts):
            if f not in found:
                found[f] = None
                queue += _mentioned(f)
    constants = [f for f in ctx.facts if not f.terms]  # contradictions: `assume` drops all others
    return [*found, *constants]


def _mentioned(f: Lin) -> Iterable[Sym]:
    """The symbols of a form, and the factors of those that are products."""
    return dict.fromkeys(t for s in f.syms for t in (s, *factors_of(s)))


def _columns(facts: Iterable[Lin]) -> dict[Sym, int]:
    cols: dict[Sym, int] = {}
    for f in facts:
        for s, _ in f.terms:
            cols.setdefault(s, len(cols))
    return cols


def _system(facts: Iterable[Lin], cols: dict[Sym, int]) -> System:
    system = System()
    n = len(cols)
    for f in facts:
        row = [0] * n
        for s, c in f.terms:
            row[cols[s]] = c
        system.require(tuple(row), f.const)
    return system


def _is_infeasible(facts: Sequence[Lin]) -> bool:
    cols = _columns(facts)
    system = _system(facts, cols)
    system.project(range(len(cols)))
    return system.infeasible


# ---------------------------------------------------------------- what is left for the call


def _over_sizes(f: Lin) -> bool:
    return f.speaks_only_of()


def _is_element(s: Sym) -> bool:
    """Differs from element to element, or is unknown: not a size, a scalar parameter, or derived from these alone."""
    return not s.lin.speaks_only_of()


def _groups(facts: Iterable[Lin]) -> list[list[Lin]]:
    """The facts that mention variables, grouped by the variables they have in common."""
    groups: list[tuple[set[Sym], list[Lin]]] = []
    for f in facts:
        mine = {s for s in f.syms if _is_element(s)}
        if not mine:
            continue
        own = [f]
        for group in [g for g in groups if g[0] & mine]:
            groups.remove(group)
            mine |= group[0]
            own = [*group[1], *own]
        groups.append((mine, own))
    return [[*own, *(f for s in mine for f in s.facts)] for mine, own in groups]


def _projection(facts: Sequence[Lin]) -> list[Lin] | None:
    """What `facts` say about sizes and scalars; exactly, else None. ``[FALSE]`` when they contradict each other."""
    if any(s.is_unknown for f in facts for s in f.leaves()):
        return None
    cols = _columns(facts)
    # The facts of `//` define it; those of min, max and products only bound it.
    if any(_is_element(s) and s.defn is not None and s.defn[0] != "//" for s in cols):
        return None
    system = _system(facts, cols)
    system.project([c for s, c in cols.items() if _is_element(s)])
    if system.infeasible:
        return [FALSE]
    if not system.exact:
        return None
    syms = list(cols)
    return [Lin.from_dict(dict(zip(syms, row, strict=True)), const) for row, const in system.rows.items()]


def _residual(wrong_if: list[Lin], where_it_runs: Context, ranges: list[Lin], conditions: list[Lin]) -> Residual:
    """The opposite of the conjunction `wrong_if`, needed where `ranges` are not empty and `conditions` hold."""
    needed: list[Lin] = []
    for n, f in enumerate(wrong_if):
        if not where_it_runs.assume(*needed, *wrong_if[n + 1 :]).prove_ge0(f):
            needed.append(f)
    right = [-f - 1 for f in needed]
    skipped, empty = _beyond(conditions, right), _beyond(ranges, right)
    if not right:
        return Residual(0, _any([*empty, *skipped]), never=True)
    texts = [*skipped, *(condition(f) for f in right)]
    bounded = ""
    if len(texts) == 1 and len(right[0].terms) == 1:
        s, c = right[0].terms[0]
        bounded = s.name if c < 0 and s.kind == "dim" else ""
    return Residual(_any(texts), _any([*empty, *texts]), bounded_dim=bounded)


def _beyond(facts: list[Lin], right: list[Lin]) -> list[Size]:
    """The opposites of `facts` that say more than `right`: `R <= 0 or R <= 1` is `R <= 1`."""
    opposites = (-f - 1 for f in facts)
    return [condition(f) for f in opposites if not any(Context((f,)).prove_ge0(g) for g in right)]


def _any(conditions: Sequence[Size]) -> Size:
    return reduce(lambda a, b: ("or", a, b), conditions) if conditions else 0
