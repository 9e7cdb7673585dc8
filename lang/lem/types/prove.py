"""What holds of linear forms under the facts in force: the decision procedure behind every subscript (LANGUAGE 1).

Takes facts (ranges of variables, conditions in force, ``where`` clauses) in a :class:`Context`; answers whether a form
is never negative, and otherwise what of it remains to be checked at the call. Integer Fourier-Motzkin, bounded:
"unknown" is always an allowed answer, a wrong "yes" never.
"""

from __future__ import annotations

from dataclasses import dataclass

from lem_runtime.abi.sizes import Size

from lem.types.linear import Lin, Sym, Term


class Context:
    """An immutable set of facts. Extending one gives a new one, so a scope is a Python variable::

        inner = ctx.assume(*compare_facts("<", i, n))     # under `if i < n:`

    Facts of symbols themselves (a dimension is >= 0, a derived symbol's definition) need not be assumed.

    guarded: the code in force runs under a condition that no fact describes (`if flag[i]:`, after a data-dependent
             `break`, in a `while`): then nothing wrong is certain, and no condition on the call may be derived.
    """

    def assume(self, *facts: Lin) -> Context:
        """With more facts, each a form known to be >= 0."""
        raise NotImplementedError

    def assume_eq(self, a: Term, b: Term) -> Context:
        raise NotImplementedError

    def assume_ne(self, a: Term, b: Term) -> Context:
        """With a != b, as far as it can be used: where one of a <= b, a >= b is known, that becomes strict."""
        raise NotImplementedError

    def assume_range(self, var: Sym, lo: Term, hi: Term, step: int = 1) -> Context:
        """With `var` one of lo, lo + step, ... < hi (for step < 0: > hi)."""
        raise NotImplementedError

    def under_unknown(self) -> Context:
        """With `guarded` set: under a condition that gives no (complete) facts."""
        raise NotImplementedError

    def since(self, outer: Context) -> tuple[Lin, ...]:
        """Facts added to `outer` on the way to this context."""
        raise NotImplementedError

    def guarded_since(self, outer: Context) -> bool:
        raise NotImplementedError

    def prove_ge0(self, goal: Term) -> bool:
        """True when `goal` >= 0 for all integers that agree with the facts. Never wrongly True."""
        raise NotImplementedError

    def prove_le(self, a: Term, b: Term) -> bool:
        raise NotImplementedError

    def prove_lt(self, a: Term, b: Term) -> bool:
        raise NotImplementedError

    def prove_eq(self, a: Term, b: Term) -> bool:
        raise NotImplementedError

    def prove_ne(self, a: Term, b: Term) -> bool:
        raise NotImplementedError

    def is_impossible(self) -> bool:
        """True when the facts contradict each other: the code in force never runs."""
        raise NotImplementedError

    def always_false(self, goal: Term) -> bool:
        """True when `goal` < 0 wherever the facts hold."""
        raise NotImplementedError

    def residual(self, goal: Term) -> Residual | None:
        """What must hold of sizes and scalars for `goal` >= 0 to hold everywhere; None when that cannot be said."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Residual:
    """A condition over sizes and ``int`` parameters that is left for the call.

    simple: what to print: ``R <= 1``. It is what `exact` says whenever the element exists at all.
    exact:  what to check: ``M <= 0 or R <= 1``. Also true when the element does not exist, because size 0 is legal.
    never:  no size fits: whenever the element exists, some index is wrong (then `simple` says "does not exist").
    bounded_dim: name of a dimension that `simple` bounds from above by a constant (`lem check` warns), or "".
    """

    simple: Size
    exact: Size
    never: bool = False
    bounded_dim: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one subscript.

    kind: "proven"; "call" (holds when `conditions` hold, checked once at the call); "error" (see `side`); "run" (to be
          checked where it runs).
    side: of an error: "low" (below 0), "high" (at or beyond the size), "dim" (a bare variable over a dimension that is
          not known to fit the axis: E0312); of "call" and "run" the side that is not proven, "both" if neither is.
    example: for errors, a clause that shows it: "`i - 1` is -1 when `i` is 0"; "" when none was found.
    """

    kind: str
    conditions: tuple[Residual, ...] = ()
    side: str = ""
    example: str = ""


def classify_index(ctx: Context, index: Lin | None, size: Lin | None, *, bare_dim: Sym | None = None) -> Verdict:
    """Is 0 <= index < size? `index` None: not linear (a gather); `size` None: not linear. `bare_dim`: the dimension
    that the subscript ranges over, when it is a bare index variable over (a slice of) a dimension."""
    raise NotImplementedError


def classify_bound(ctx: Context, bound: Lin | None, size: Lin | None) -> Verdict:
    """Is 0 <= bound <= size? For computed bounds of slices (LANGUAGE 3)."""
    raise NotImplementedError


def classify_ge0(ctx: Context, value: Lin | None) -> Verdict:
    """Is value >= 0? For sizes of temporaries and counts."""
    raise NotImplementedError
