"""The nearest known name for "did you mean ...?".

Takes a name and the names known where it stands; gives one of them or None. Every stage that reports an unknown name
asks here, so that all of them have the same idea of "near".
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["distance", "nearest"]


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` was most likely meant to be, or None when none is near enough to be offered.

    A name that differs in case only wins; otherwise the smallest edit distance within a limit that grows with the
    length. Of equally near ones the one with the longest common beginning is taken, then the first in alphabetical
    order, so that the answer does not depend on the order in which candidates come.
    """
    names = sorted({candidate for candidate in candidates if candidate and candidate != name})
    for candidate in names:
        if candidate.casefold() == name.casefold():
            return candidate
    best: tuple[int, int, str] | None = None
    for candidate in names:
        limit = _limit(max(len(name), len(candidate)))
        if abs(len(name) - len(candidate)) > limit:
            continue
        edits = distance(name, candidate)
        ranked = (edits, -_common_start(name, candidate), candidate)
        if edits <= limit and (best is None or ranked < best):
            best = ranked
    return None if best is None else best[2]


def distance(a: str, b: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.

    The "optimal string alignment" form of the Damerau-Levenshtein distance: no piece is edited twice.
    """
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, char in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (char != other))
            if i > 1 and j > 1 and char == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]


def _limit(length: int) -> int:
    """How many edits are still "near". Names of one or two letters are too short for a guess."""
    if length <= 2:
        return 0
    if length <= 5:
        return 1
    return 2 if length <= 8 else 3


def _common_start(a: str, b: str) -> int:
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n
