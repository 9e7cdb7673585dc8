"""In which order the elements of a grid update a `reduce` array: what LANGUAGE 13 and 30 fix, for every target alike.

Takes a grid; says which of its arrays elements share, and into how many parts the grid is then cut. Elements that have a
place for themselves update it in place. Else the flattened grid is cut into :func:`n_parts` contiguous parts of equal
length (the last one may be shorter). Each part combines its elements in order: the first one into the array itself, the
others into copies that start at the neutral element. Then the copies are combined into the array, in ascending order. An
element's own updates keep the order of the program.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.ir import ops
from lem.ir.accumulators import greatest, least
from lem.ir.constants import UPDATE_PARTS
from lem.ir.core import Affine, Array, Value, walk_ops
from lem_runtime.abi.dtypes import DType

_E4M3 = 448.0  # the largest number of the format that has no infinities


def shared_updates(grid: ops.Grid) -> tuple[Array, ...]:
    """Arrays that the grid updates and of which two elements may update the same place, in order of first mention."""
    places: dict[Array, set[tuple[Affine, ...]]] = {}
    for o in walk_ops(grid.body):
        if isinstance(o, ops.Update) and o.array.kind != "local":
            places.setdefault(o.array, set()).add(o.subs)
    return tuple(a for a, subs in places.items() if len(subs) > 1 or not _owns(grid.body.args, next(iter(subs))))


def _owns(indices: Sequence[Value], subs: Sequence[Affine]) -> bool:
    """Does every element have this place for itself? Sufficient: each grid variable stands alone in a subscript."""
    alone = {s.terms[0][1] for s in subs if len(s.terms) == 1 and s.terms[0][0] != 0}
    return all(i in alone for i in indices)


def n_parts(n_elements: int, n_places: int) -> int:
    """Parts of a grid of `n_elements` whose shared arrays have `n_places` together: so few that the copies cost no more
    than the elements."""
    return max(1, min(UPDATE_PARTS, n_elements // max(1, n_places)))


def neutral(kind: str, t: DType) -> int | float | bool:
    """What an update with it leaves every value as it is, the sign of zero included."""
    match kind:
        case "add":
            return -0.0 if t.is_float else 0
        case "max":
            return -_E4M3 if t.name == "f8e4m3" else least(t)
        case "min":
            return _E4M3 if t.name == "f8e4m3" else greatest(t)
        case "or":
            return False if t.is_bool else 0
        case _:
            return True if t.is_bool else -1 if t.is_signed else t.max_int


__all__ = ["n_parts", "neutral", "shared_updates"]
