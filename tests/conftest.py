"""What holds for every test: the tiers, hypothesis profiles, and a cache folder of this run's own.

Tests marked ``long`` form the long tier. They run with ``--all``, or a part of them with ``--long-slice=i/n``: a test
belongs to the slice that its name hashes to, so the slices of n commits together cover the tier. Without either option,
``-m`` decides as usual, and without ``-m`` the long tier is left out. Those marked ``campaign`` run with ``--all`` alone:
what they look for is new every time, so it should not decide about a change that has nothing to do with it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings

from tests.support import ROOT

_MADE_HERE = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lem")
    group.addoption("--quick", action="store_true", help="few generated examples; leaves out the long tier")
    group.addoption("--all", action="store_true", help="runs the long tier too, with many generated examples")
    group.addoption("--long-slice", metavar="i/n", type=_slice, help="adds slice i of n of the long tier")


def pytest_configure(config: pytest.Config) -> None:
    _choose_profile(config)
    # Golden files and imports of tests name files from the root; worker processes inherit both variables.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="lem-tests-"))
        config.stash[_MADE_HERE] = folder
        os.environ["LEM_CACHE_DIR"] = str(folder / "cache")
        os.environ["LEM_SPECIALIZE"] = "0"  # tests of it turn it on: others count what is compiled


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(_MADE_HERE, None):
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--all"):
        return
    part: tuple[int, int] | None = config.getoption("--long-slice")
    if part is None and config.getoption("-m"):
        return
    left_out = [
        item
        for item in items
        if item.get_closest_marker("campaign") or (item.get_closest_marker("long") and not _in_slice(item, part))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def pytest_report_header(config: pytest.Config) -> str:
    part: tuple[int, int] | None = config.getoption("--long-slice")
    tier = "all of it" if config.getoption("--all") else f"slice {part[0]}/{part[1]}" if part else "left out"
    return f"lem: {ROOT.name}, long tier: {tier}"


def _choose_profile(config: pytest.Config) -> None:
    # A machine shared by many test processes makes deadlines measure the neighbours.
    slow = [HealthCheck.too_slow]
    settings.register_profile("quick", max_examples=10, deadline=None, suppress_health_check=slow, derandomize=True)
    settings.register_profile("default", max_examples=40, deadline=None, suppress_health_check=slow)
    settings.register_profile("long", max_examples=400, deadline=None, suppress_health_check=slow)
    name = "long" if config.getoption("--all") else "quick" if config.getoption("--quick") else "default"
    settings.load_profile(name)


def _slice(text: str) -> tuple[int, int]:
    i, n = (int(part) for part in text.split("/"))
    if not 0 <= i < n:
        raise ValueError(f"expected i/n with 0 <= i < n, found {text}")
    return i, n


def _in_slice(item: pytest.Item, part: tuple[int, int] | None) -> bool:
    if part is None:
        return False
    i, n = part
    return crc32(item.nodeid.encode()) % n == i
