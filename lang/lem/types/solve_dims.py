"""How dimensions are found from arguments (LANGUAGE 7), at calls from outside and between kernels.

Takes the parameters of a signature; gives the rules by which the runtime binds dimensions. Takes the shapes of the
arguments of a call in a body; gives the callee's dimensions in the caller's symbols, and what must hold in addition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lem.types.facts import Context
from lem.types.linear import Lin, Symbols
from lem_runtime.abi.signature import Condition, DimRule, Param, Signature
from lem_runtime.abi.sizes import Size


@dataclass(frozen=True, slots=True)
class Problem:
    """A size in a signature that no call can satisfy. `param` and `axis` say where; `text` is the label."""

    param: str
    axis: int
    text: str


@dataclass(frozen=True, slots=True)
class Solution:
    """rules: in the order in which the runtime applies them. by_name: dimensions that no array argument tells (only the
    caller's `out` array or a name at the call). facts: sizes >= 0 that every call has checked, as size expressions."""

    rules: tuple[DimRule, ...]
    by_name: tuple[str, ...]
    problems: tuple[Problem, ...]


def solve(dims: Sequence[str], params: Sequence[Param]) -> Solution:
    """Rules for `dims`: for each the first input where it stands alone, else the first whose size is linear in it with
    all else known, else likewise among `out` arrays and results, else by name."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Axis `axis` of argument `param` has size `have`, the callee wants `want`. certain: they always differ."""

    param: str
    axis: int
    have: Lin
    want: Lin
    certain: bool

    def condition(self) -> Size | None:
        """``have == want`` as a condition of the caller; None when it speaks of more than sizes and scalars."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class CallDims:
    """dims: the callee's dimensions in the caller's symbols (None: known only when it runs, or not at all).
    mismatches: equalities that are not known to hold. open_conditions: of the callee, with True where certainly broken.
    """

    dims: dict[str, Lin | None]
    mismatches: tuple[Mismatch, ...]
    open_conditions: tuple[tuple[Condition, Size | None, bool], ...]


def unify_call(
    symbols: Symbols,
    ctx: Context,
    callee: Signature,
    shapes: Mapping[str, Sequence[Lin | None]],
    scalars: Mapping[str, Lin | None],
    named: Mapping[str, Lin | None] | None = None,
) -> CallDims:
    """Bind `callee`'s dimensions at a call in a body. `shapes`: per array argument its sizes in the caller's symbols;
    `scalars`: ``int`` arguments likewise; `named`: dimensions given by name."""
    raise NotImplementedError


def decide(symbols: Symbols, ctx: Context, cond: Size, names: Mapping[str, Lin]) -> str:
    """ "holds", "fails" or "unknown": a condition over sizes, with `names` in the caller's symbols."""
    raise NotImplementedError
