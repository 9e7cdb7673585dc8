"""What is behind ``@lem.test``: a call runs the statements of the test, as ``lem test`` does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from lem.diagnostics import Diagnostic
from lem.diagnostics.codes import E0607
from lem.embed import errors, testing
from lem.embed.engine import Engine, Source


class TestEngine(Engine):
    """See :class:`lem.embed.engine.Engine`. Its kernels are compiled, whatever mode there is around."""

    __test__ = False  # pytest: this is no test

    def __init__(self, name: str, kind: str, source: Source) -> None:
        super().__init__(name, kind, source)
        self.not_direct = "a test runs statement by statement"
        self._compiled: testing.Compiled = {}

    def call(self, thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run it. Raises :class:`errors.Fault` for the first check that does not hold."""
        if args or kwargs:
            raise errors.CallError(
                [Diagnostic(E0607, None, f"`{thing.__name__}` is a test: it takes no arguments", (), (), ())]
            )
        program = self.compiler.program
        problem, prints = testing.run_test(program, program.typed.tests[0], self._compiled)
        for line in prints:
            print(line, file=sys.stdout)
        if problem is not None:
            raise errors.Fault([problem], thing.__name__, {}, ())

    def inspect(self, what: str, dtypes: Mapping[str, str] | None = None) -> str:
        """There is no code of a test."""
        raise ValueError("a test is not compiled: inspect the kernels that it calls")


__all__ = ["TestEngine"]
