"""Which known name is offered for an unknown one."""

import pytest

from lem.diagnostics.suggest import distance, nearest


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("scael", ["scale", "scan", "x"], "scale"),
        ("lenght", ["length", "light"], "length"),
        ("Float", ["floor", "float"], "float"),
        ("maxx", ["max", "mean", "min"], "max"),
        ("softmx", ["softmax"], "softmax"),
        ("widht", ["width", "width2"], "width"),
        ("aa", ["ab", "ba"], None),
        ("x", ["y", "z"], None),
        ("n", ["N"], "N"),
        ("banana", ["apple", "cherry"], None),
        ("exp", ["exp"], None),
        ("exp", [], None),
        ("row_2", ["row_3", "row_1"], "row_1"),
    ],
)
def test_nearest(name: str, candidates: list[str], expected: str | None) -> None:
    assert nearest(name, candidates) == expected
    assert nearest(name, reversed(candidates)) == expected


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "xbcd", 2), ("ca", "abc", 3)],
)
def test_distance_counts_a_swap_once(a: str, b: str, edits: int) -> None:
    assert distance(a, b) == distance(b, a) == edits
