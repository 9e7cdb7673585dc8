"""Random programs mean the same everywhere: the CPU gives the interpreter's bits, or the same fault of the same element.

Every program is run in one way beside the plain one of the interpreter; the ways take turns (`program_runs.ways`). What
was found wrong once stands, cut down, in ``run/test_found_programs.py``. Seeds are fixed, so that each part of the tests
gives the same programs on every machine; the long tier's parts are other programs.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, reject, seed, settings
from hypothesis import strategies as st

from tests.support.program_gen import Program, programs
from tests.support.program_runs import Refused, Way, check_program, ways

PARTS = 50  # of 40 programs each
LONG_PARTS = 250  # of 400 programs each
WAYS = ways()


def search(start: int, *, faults: bool) -> Callable[[], None]:
    """A test of as many programs as the profile says."""
    # A quick run is to find what breaks everything.
    n = settings().max_examples if settings().max_examples > 10 else 2

    @seed(start)
    @settings(max_examples=n, database=None, suppress_health_check=list(HealthCheck))
    @given(programs(faults=faults), st.sampled_from(WAYS))
    def test(program: Program, way: Way) -> None:
        try:
            check_program(program.text, program.given, way)
        except Refused as e:
            # What the checker sees and the generator does not: the only stores of an `out` array never run; a whole axis
            # stands where a subscript has it already.
            if not faults and not any(code in str(e) for code in ("E0410", "E0310")):
                raise
            reject()  # it leaves its arrays for all to see

    return test


@pytest.mark.parametrize("part", range(PARTS))
def test_programs_mean_the_same_everywhere(part: int) -> None:
    search(part, faults=part % 4 == 3)()


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(LONG_PARTS))
def test_many_programs_mean_the_same_everywhere(part: int) -> None:
    search(1000 + part, faults=part % 4 == 3)()
