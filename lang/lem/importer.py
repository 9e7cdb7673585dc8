"""``import lem.importer``, and from then on ``import blur`` finds ``blur.lem`` where it would find ``blur.py``.

Modules of Python come first, so nothing that worked before changes. A package's folders are searched for ``from pkg import
blur`` as well. Errors are :class:`lem.CompileError` with the rendered report.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from lem.embed import module


class _Loader(importlib.abc.Loader):
    def __init__(self, path: str) -> None:
        self.path = path

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return module.LemModule(spec.name)

    def exec_module(self, made: ModuleType) -> None:
        module.fill(made, self.path)


class _Finder(importlib.abc.MetaPathFinder):
    """Asked last."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        name = fullname.rpartition(".")[2]
        for folder in path if path is not None else sys.path:
            file = os.path.join(folder or os.curdir, f"{name}.lem")
            if os.path.isfile(file):
                return importlib.util.spec_from_file_location(fullname, file, loader=_Loader(file))
        return None


if not any(isinstance(f, _Finder) for f in sys.meta_path):
    sys.meta_path.append(_Finder())
