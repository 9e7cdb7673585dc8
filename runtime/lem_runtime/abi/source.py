"""The one way the runtime asks for code. The compiler is one such source, a bundle another, a table (tests) a third."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.records import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What may be assumed about one call, as classes: new sizes do not recompile. The exception are a few small sizes
    (colours, coordinates, the window of a filter), for which more code is made beside that for any size.

    layouts: per array parameter (in signature order): "inner" (its last axis has stride 1; the first one of an array
             declared `.col`), "any".
    dims:    per dimension: "any" | "one" | "m16" (multiple of 16) | a number, "3".
    dtypes:  for generic kernels: type parameter to dtype name, sorted.
    """

    layouts: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()
    dtypes: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        parts = [*(f"{n}={t}" for n, t in self.dtypes), "layouts(" + ", ".join(self.layouts) + ")"]
        if any(d != "any" for d in self.dims):
            parts.append("dims(" + ", ".join(self.dims) + ")")
        return " ".join(parts)


def known_dims(dims: Sequence[str], facts: Facts) -> dict[str, int]:
    """The dimensions whose size the facts tell."""
    kinds = zip(dims, facts.dims, strict=False)
    return {d: 1 if kind == "one" else int(kind) for d, kind in kinds if kind == "one" or kind.isdigit()}


@dataclass(frozen=True, slots=True)
class Pending:
    """Code is being made; ask again."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """No code will come, and why."""

    reason: str
    code: str = "E0501"


class CodeSource(Protocol):
    """Delivers code for a function in a context. Never blocks a scheduler."""

    def request(self, function: str, facts: Facts, target: str) -> Artifact | Pending | Refusal: ...
