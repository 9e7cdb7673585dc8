"""What every target is: one value that says what it can hold and how it makes an Artifact."""

from __future__ import annotations

from collections.abc import Callable

from lem import ir
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.source import Facts

Emit = Callable[[ir.Module, str, Facts, Machine], Artifact]
ShowStage = Callable[[ir.Module, str, Facts, Machine, str], str]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a target cannot hold, as data. dtypes: element types of arrays and values."""

    dtypes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Target:
    """name:   as in ``abi/targets.py``
    emit:   (module of one function and all it calls, its name, facts, machine) -> artifact
    stages: what `show` can print between tile IR and the artifact, in order
    show:   (module, name, facts, machine, stage) -> text
    """

    name: str
    limits: Limits
    emit: Emit
    stages: tuple[str, ...]
    show: ShowStage
