"""The lem library, written in lem: one ``.lem`` module per topic, found through ``importlib.resources``.

In Python ``from lem_stdlib import signal`` gives a module of it, whose kernels are called and whose fns stand in bodies.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """A module of the library, loaded when it is first named."""
    from importlib.resources import files  # slow to import: kernels that use nothing of the library do without

    if name.startswith("_") or not (files(__name__) / f"{name}.lem").is_file():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lem.embed.module import library  # the compiler, which a program that only runs does not need

    found = globals()[name] = library(name)
    return found
