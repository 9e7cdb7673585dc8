"""Types, dimensions, axes, effects: from a bound module to the typed tree.

``check(bound, diags)`` gives a :class:`lem.types.typed.Module`; ``instantiate`` one more instance of a generic kernel.
``typed.py`` is what comes out; ``checker.py`` holds the table of what is checked where.
"""

from lem.types.checker import check, instantiate

__all__ = ["check", "instantiate"]
