"""``lem.explain``, as ``import lem`` has it: what it needs is loaded when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lem.embed.boundary import boundary
from lem.embed.function import Function
from lem.embed.mistakes import UsageError

if TYPE_CHECKING:
    from lem.embed.explaining import Explanation


@boundary
def explain(function: Function) -> Explanation:
    """What lem knows of a kernel, task or fn: signature, captured constants, conditions, effects, work, schedule, code.

    The result prints as a report (and shows as one in a notebook); its attributes hold the parts. Runs nothing. Raises
    :class:`lem.CompileError` where the function is no correct program, :class:`lem.UsageError` for what is none of lem's.
    """
    from lem.embed import explaining

    if not isinstance(function, Function):
        raise UsageError(f"`lem.explain` takes a kernel, task or fn of lem, found {type(function).__name__}")
    return explaining.explain(function)
