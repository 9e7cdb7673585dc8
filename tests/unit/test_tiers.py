"""Which tests of the long tier a run takes."""

from types import SimpleNamespace
from typing import cast

import pytest

from tests import conftest

SHORT = ["a.py::short"]
LONG = [f"a.py::long_{n}" for n in range(40)]


class _Item(str):
    """As much of a test as the choice looks at."""

    nodeid = property(str)

    def get_closest_marker(self, wanted: str) -> str | None:
        return "long" if wanted == "long" and self in LONG else None


def taken(**options: object) -> list[str]:
    """Names of the tests that are left of SHORT and LONG under the given options."""
    hook = SimpleNamespace(pytest_deselected=lambda items: None)
    config = SimpleNamespace(hook=hook, getoption=lambda name: options.get(name.lstrip("-").replace("-", "_")))
    items = [_Item(name) for name in SHORT + LONG]
    conftest.pytest_collection_modifyitems(cast(pytest.Config, config), cast(list[pytest.Item], items))
    return [str(name) for name in items]


def test_long_tier_is_left_out_unless_asked_for() -> None:
    assert taken() == SHORT
    assert taken(quick=True) == SHORT
    assert taken(all=True) == SHORT + LONG
    assert taken(m="long") == SHORT + LONG  # pytest itself leaves out the others


def test_slices_share_the_long_tier_without_overlap() -> None:
    slices = [taken(long_slice=(i, 4)) for i in range(4)]
    assert all(part[: len(SHORT)] == SHORT for part in slices)
    long_parts = [part[len(SHORT) :] for part in slices]
    assert sorted(name for part in long_parts for name in part) == sorted(LONG)
    assert all(long_parts)


@pytest.mark.parametrize("text", ["4/4", "-1/4", "x", "1"])
def test_slice_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        conftest._slice(text)
