"""What tile IR means: the interpreter, the oracle that every target is measured against.

Takes a module, the name of a function and NumPy arrays; runs the function on them, in place, and gives a RunOutcome. It
is plain before it is fast: a value is one array over all elements of a grid, conditions are masks, reductions follow
LANGUAGE 30 step by step. ``execute`` runs a function, ``frame`` holds a call's state, ``elementwise``, ``memory``,
``reduction`` and ``control`` say what each op means, ``formats`` knows the number formats, ``checks`` finds races and
reads of what nobody wrote, ``blocks`` results that depend on how `tiles` loops are cut.
"""

from __future__ import annotations

from lem.ir.interpreter.blocks import BlockDependence, block_dependence, difference, rounding
from lem.ir.interpreter.execute import RunOutcome, run
from lem.ir.interpreter.frame import MEANINGS, InterpreterError, Printed, Report, RunFault

__all__ = [
    "MEANINGS", "BlockDependence", "InterpreterError", "Printed", "Report", "RunFault", "RunOutcome",
    "block_dependence", "difference", "rounding", "run",
]  # fmt: skip
