"""Run a program's text on the interpreter or on a target, for tests: everything a person's `lem run` goes through."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from lem import pipeline
from lem.diagnostics import Diagnostics
from lem.diagnostics.text import render_all
from lem.source import SourceFile
from lem_runtime.abi import signature as sig
from lem_runtime.abi.source import Facts


@lru_cache(maxsize=256)
def program(text: str, name: str = "test.lem") -> pipeline.Program:
    """The checked program; fails the test with the rendered errors."""
    diags = Diagnostics()
    made = pipeline.analyse(SourceFile(name, text), diags)
    assert made is not None, render_all(diags)
    return made
