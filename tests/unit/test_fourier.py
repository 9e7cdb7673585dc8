"""Elimination over the integers."""

from __future__ import annotations

from lem.types.fourier import System


def system(*rows: tuple[tuple[int, ...], int]) -> System:
    s = System()
    for coefs, const in rows:
        s.require(coefs, const)
    return s


def test_integers_between_thirds() -> None:
    """1 <= 3 x <= 2 has a rational solution and no integer one."""
    s = system(((3,), -1), ((-3,), 2))
    s.project([0])
    assert s.infeasible


def test_equalities_without_a_unit_coefficient() -> None:
    """6 x + 10 y + 15 z == 1 is solvable, 6 x + 10 y == 1 is not."""
    s = system(((6, 10, 15), -1), ((-6, -10, -15), 1))
    s.project([0, 1, 2])
    found = s.sample()
    assert found is not None and 6 * found[0] + 10 * found[1] + 15 * found[2] == 1
    s = system(((6, 10, 0), -1), ((-6, -10, 0), 1))
    s.project([0, 1])
    assert s.infeasible


def test_projection_says_what_is_left() -> None:
    """0 <= x < n, x + r >= n: r >= 1 and n >= 1."""
    s = system(((1, 0, 0), 0), ((-1, 1, 0), -1), ((1, -1, 1), 0))
    s.project([0])
    assert s.exact
    assert s.rows == {(0, 1, 0): -1, (0, 0, 1): -1}


def test_inexact_projections_are_known() -> None:
    """2 y <= x <= 3 y - 1 in y: some x have a rational y only."""
    s = system(((1, -2), 0), ((-1, 3), -1))
    s.project([1])
    assert not s.exact


def test_too_much_is_given_up() -> None:
    rows = [((1, i), i * i) for i in range(1, 30)] + [((-1, i), i * i) for i in range(1, 30)]
    s = system(*((c, k + 100) for c, k in rows))
    s.project([0, 1])
    assert s.gave_up or not s.infeasible
