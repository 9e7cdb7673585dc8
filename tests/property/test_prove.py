"""The prover against brute force on small boxes: it never proves what is false, and what it leaves for the call is right."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from lem.types.facts import Context
from lem.types.linear import Lin, Sym, Symbols, condition
from lem.types.prove import classify_index
from lem_runtime.abi import sizes

SMALL = range(-4, 5)
N_SYMS = 3


@st.composite
def systems(draw: st.DrawFn) -> tuple[list[Sym], list[Lin], Lin]:
    """Some symbols, facts about them, a goal."""
    syms = [Sym(n, "index") for n in "xyz"[:N_SYMS]]
    coef = st.integers(-3, 3)

    def form() -> Lin:
        return Lin.from_dict({s: draw(coef) for s in syms}, draw(st.integers(-6, 6)))

    return syms, [form() for _ in range(draw(st.integers(0, 4)))], form()


def points(syms: list[Sym]) -> itertools.product[tuple[int, ...]]:
    return itertools.product(SMALL, repeat=len(syms))


def value(form: Lin, syms: list[Sym], at: tuple[int, ...]) -> int:
    return form.replace(dict(zip(syms, at, strict=True))).const


@settings(max_examples=150, deadline=None)
@given(systems())
def test_never_proves_a_falsehood(system: tuple[list[Sym], list[Lin], Lin]) -> None:
    syms, facts, goal = system
    box = [f for s in syms for f in (s.lin - SMALL[0], SMALL[-1] - s.lin)]
    ctx = Context().assume(*facts, *box)
    holding = [p for p in points(syms) if all(value(f, syms, p) >= 0 for f in facts)]
    values = [value(goal, syms, p) for p in holding]
    if ctx.prove_ge0(goal):
        assert all(v >= 0 for v in values)
    if ctx.always_false(goal):
        assert all(v < 0 for v in values)
    if ctx.prove_ne(goal, 0):
        assert 0 not in values
    if ctx.is_impossible():
        assert not holding


@settings(max_examples=100, deadline=None)
@given(systems())
def test_proves_what_holds_when_coefficients_are_one(system: tuple[list[Sym], list[Lin], Lin]) -> None:
    """Elimination is complete where it is exact: boxes, and unit coefficients in the goal."""
    syms, _, goal = system
    goal = Lin.from_dict({s: max(-1, min(1, c)) for s, c in goal.terms}, goal.const)
    ctx = Context().assume(*(f for s in syms for f in (s.lin - SMALL[0], SMALL[-1] - s.lin)))
    assert ctx.prove_ge0(goal) == all(value(goal, syms, p) >= 0 for p in points(syms))


@settings(max_examples=100, deadline=None)
@given(systems())
def test_samples_hold(system: tuple[list[Sym], list[Lin], Lin]) -> None:
    syms, facts, goal = system
    found = Context().assume(*facts).sample(goal)
    if found is not None:
        assert all(f.replace(dict(found)).const >= 0 for f in (*facts, goal) if set(f.syms) <= set(found))


@settings(max_examples=60, deadline=None)
@given(st.integers(-6, 6), st.integers(1, 4), st.integers(-9, 9), st.booleans())
def test_floor_and_remainder_are_theirs(a: int, c: int, bound: int, remainder: bool) -> None:
    symbols = Symbols()
    x = symbols.sym("x", "param")
    q = symbols.mod(x, c) if remainder else symbols.div(x.lin * 2 + a, c)
    assert q is not None
    ctx = Context().assume(x.lin + 4, 4 - x.lin)
    holds = all((v % c if remainder else (2 * v + a) // c) >= bound for v in SMALL)
    assert not ctx.prove_ge0(q - bound) or holds


@st.composite
def subscripts(draw: st.DrawFn) -> tuple[Lin, Lin, list[Sym], list[Sym], Context]:
    """A subscript over i in M, j in lo..hi (of sizes and a parameter), an axis, its sizes, its variables, its context."""
    symbols = Symbols()
    m, n, w = symbols.sym("M", "dim"), symbols.sym("N", "dim"), symbols.sym("w", "param")
    i, j = symbols.sym("i", "index"), symbols.sym("j", "index")
    pick = st.sampled_from([m.lin, n.lin, m.lin - 1, n.lin + 1, w.lin, Lin((), 2), Lin((), 3), i.lin, i.lin + 1])
    lo = draw(st.sampled_from([Lin((), 0), Lin((), 1), w.lin, i.lin]))
    ctx = Context().checked_at_call().assume_range(i, 0, m).assume_range(j, lo, draw(pick))
    if draw(st.booleans()):
        ctx = ctx.assume(w.lin - draw(st.integers(-1, 2)))
    if draw(st.booleans()):
        ctx = ctx.assume(draw(st.sampled_from([i.lin - 1, j.lin - i - 1, n.lin - 1 - i, j.lin - 1])))
    coef = st.sampled_from([0, 1, 1, -1, 2])
    index = Lin.from_dict({i: draw(coef), j: draw(coef), w: draw(st.sampled_from([0, 0, 1]))}, draw(st.integers(-2, 2)))
    if draw(st.booleans()):
        half = symbols.div(index, 2)
        assert half is not None
        index = half
    return index, draw(st.sampled_from([m.lin, n.lin, m.lin + n, Lin((), 3)])), [m, n, w], [i, j], ctx


def evaluate(form: Lin, at: dict[Sym, int]) -> int:
    total = form.const
    for s, c in form.terms:
        if s.defn is None:
            total += c * at[s]
        else:
            a, b = (evaluate(side, at) for side in s.defn[1:])
            total += c * (a // b)
    return total


@settings(max_examples=120, deadline=None)
@given(subscripts())
def test_verdicts_agree_with_brute_force(case: tuple[Lin, Lin, list[Sym], list[Sym], Context]) -> None:
    index, size, params, variables, ctx = case
    verdict = classify_index(ctx, index, size)
    wrong_somewhere = {"exists": False, "all": True}
    for dims in itertools.product(range(4), range(4), range(-2, 4)):
        known = dict(zip(params, dims, strict=True))
        names = {s.name: v for s, v in known.items()}
        exists = fits = False
        always = True
        for at in itertools.product(range(-2, 6), repeat=2):
            values = known | dict(zip(variables, at, strict=True))
            if all(evaluate(f, values) >= 0 for f in ctx.facts):
                exists = True
                ok = 0 <= evaluate(index, values) < evaluate(size, values)
                fits, always = fits or ok, always and ok
        if verdict.kind == "proven":
            assert always
        if verdict.kind == "call":
            assert all(sizes.evaluate(c.exact, names) for c in verdict.conditions) == always
            if all(sizes.evaluate(c.simple, names) for c in verdict.conditions):
                assert always
        if verdict.kind == "error" and exists:
            wrong_somewhere["exists"] = True
            wrong_somewhere["all"] &= not always
    assert wrong_somewhere["all"]


@settings(max_examples=60, deadline=None)
@given(systems())
def test_conditions_mean_their_fact(system: tuple[list[Sym], list[Lin], Lin]) -> None:
    syms, _, fact = system
    for at in itertools.islice(points(syms), 0, None, 7):
        names = {s.name: v for s, v in zip(syms, at, strict=True)}
        assert bool(sizes.evaluate(condition(fact), names)) == (value(fact, syms, at) >= 0)
        assert sizes.evaluate(fact.as_size(), names) == value(fact, syms, at)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_cases_and_products_prove_no_falsehood(data: st.DataObject) -> None:
    symbols = Symbols()
    x, y, m = symbols.sym("x", "index"), symbols.sym("y", "param"), symbols.sym("M", "dim")
    syms = [x, y, m]
    coef, const = st.integers(-2, 2), st.integers(-3, 3)

    def form() -> Lin:
        return Lin.from_dict({s: data.draw(coef) for s in syms}, data.draw(const))

    product = symbols.mul(m.lin + data.draw(st.integers(0, 2)), y.lin + data.draw(const))
    chosen = data.draw(st.sampled_from([symbols.min, symbols.max]))(form(), form())
    assert product is not None
    box = [f for s in syms for f in (s.lin - SMALL[0], SMALL[-1] - s.lin)]
    options = [(form(),), (form(), form())]
    ctx = Context().assume(form(), *box).assume_any(*options)
    goal = chosen * data.draw(coef) + product * data.draw(coef) + form()
    proven, refuted = ctx.prove_ge0(goal), ctx.always_false(goal)
    for at in itertools.product(SMALL, SMALL, range(5)):
        values = dict(zip(syms, at, strict=True))
        if all(full(f, values) >= 0 for f in ctx.facts) and any(all(full(f, values) >= 0 for f in o) for o in options):
            assert not proven or full(goal, values) >= 0
            assert not refuted or full(goal, values) < 0


def full(form: Lin, at: dict[Sym, int]) -> int:
    """Value of a form with derived symbols of all kinds."""
    total = form.const
    for s, c in form.terms:
        if s.defn is None:
            total += c * at[s]
        else:
            a, b = (full(side, at) for side in s.defn[1:])
            total += c * {"*": a * b, "min": min(a, b), "max": max(a, b)}[s.defn[0]]
    return total
