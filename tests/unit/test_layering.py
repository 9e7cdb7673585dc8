"""STYLE "Who may import whom", read from the imports themselves.

Every module of ``lang/`` and ``runtime/`` is parsed, never imported. An import under ``TYPE_CHECKING`` counts for the
order of the layers (a type that is named is a dependency) and not for cycles (nothing runs).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support import ROOT

# What each part of lem may import from lem besides itself. Everything may use `lem_runtime.abi`.
_FRONT = ("source", "diagnostics", "syntax", "names", "types")
_BACK = ("source", "diagnostics", "ir", "passes", "schedule", "targets")
_STAGES = (*_FRONT, "lower", *_BACK)
_TOOLS = ("texts", "pipeline", "aot", "embed", "tune", "worker", "ide", "lsp", "cli")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "source": (),
    "diagnostics": ("source",),
    "syntax": ("source", "diagnostics"),
    "names": ("source", "diagnostics", "syntax"),
    "types": ("source", "diagnostics", "syntax", "names"),
    "lower": (*_FRONT, "ir"),
    "ir": ("source", "diagnostics"),
    "passes": ("source", "diagnostics", "ir"),
    "schedule": ("source", "diagnostics", "ir", "passes"),
    "targets": ("processes", *_BACK),
    "processes": (),
    "texts": ("", "source", "diagnostics"),
    "pipeline": ("texts", *_STAGES),
    "aot": ("", "texts", *_STAGES, "pipeline"),
    "embed": ("", "texts", "processes", *_STAGES, "pipeline", "worker"),
    "tune": ("texts", *_STAGES, "pipeline", "worker"),
    "worker": ("", "texts", "processes", *_STAGES, "pipeline"),
    "ide": ("texts", *_FRONT, "ir", "pipeline"),
    "lsp": ("", "source", "diagnostics", "ide"),
    "cli": ("", *_STAGES, *_TOOLS),
    "dims": ("embed",),
    "importer": ("embed",),
    "": ("embed",),  # `lem` itself: its version, and (late) what Python code uses
    "__main__": ("cli",),
}

# Who may use what `lem_runtime/__init__.py` exports, besides `lem_runtime.abi`.
RUNTIME_USERS = ("lem.cli", "lem.embed")

# The one door of each third-party package.
DOORS: dict[str, tuple[str, ...]] = {
    "lark": ("lem.syntax",),
    "llvmlite": ("lem.targets.llvm",),
    "rich": ("lem.cli",),
    "PIL": ("lem.cli",),
    "safetensors": ("lem.cli",),
    "typing_extensions": ("lem.embed",),  # for type checkers alone: it is never imported
    "pyopencl": ("lem_runtime.devices.opencl",),
    "cupy": ("lem_runtime.devices.cuda",),
    "numpy": (
        *("lem.ir.interpreter", "lem.embed", "lem.tune", "lem.worker", "lem.cli"),
        *("lem.passes", "lem.schedule", "lem.targets", "lem.pipeline", "lem_runtime"),
    ),
}

# Imports of lem's own modules inside functions, each with the reason why it is not at the top of its file.
LAZY: dict[tuple[str, str], str] = {
    ("lem", "lem.embed"): "`import lem` stays within its time budget; the compiler loads at the first kernel",
    ("lem.embed.special", "lem.processes"): "most programs start no other process, and `subprocess` takes long to load",
    ("lem.embed.compiling", "lem.targets.llvm_workers"): "only a child forked from a thread's compile starts a process",
    ("lem.targets.cpu.lower", "lem.targets.cpu"): "a tenth of the compiler is for products, and most kernels have none",
    ("lem.cli", "lem"): "a command loads only what it uses, so `lem --help` answers at once; nothing imports cli",
    ("lem.cli", "lem_runtime"): "the same",
}

# Of the standard library of some versions of Python.
_OF_OTHER_VERSIONS = {"_sha256", "_sha2"}

TARGET_NAMES = ("cpu", "cuda", "opencl", "spu", "interp")


@dataclass(frozen=True, slots=True)
class Import:
    """`module` imports `target`, at line `line` of its file."""

    module: str
    target: str
    line: int
    in_function: bool
    types_only: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


# ---------------------------------------------------------------- the rules
def test_stages_import_only_what_stands_before_them() -> None:
    def breaks(found: Import) -> bool:
        here, there = _part(found.module), _part(found.target)
        return here != there and there not in MAY_IMPORT.get(here, ())

    _assert_none(i for i in _imports() if _inside(i.module, "lem") and _inside(i.target, "lem") and breaks(i))


def test_every_part_of_lem_has_a_place_in_the_order() -> None:
    unplaced = {_part(module) for module in _modules() if _inside(module, "lem")} - set(MAY_IMPORT)
    assert not unplaced, f"say in MAY_IMPORT what these may import: {sorted(unplaced)}"


def test_compiler_sees_only_the_abi_of_the_runtime() -> None:
    def breaks(found: Import) -> bool:
        exported = found.target == "lem_runtime" and any(_inside(found.module, user) for user in RUNTIME_USERS)
        return not exported and not _inside(found.target, "lem_runtime.abi")

    _assert_none(i for i in _imports() if _inside(i.module, "lem") and _inside(i.target, "lem_runtime") and breaks(i))


def test_runtime_never_imports_the_compiler() -> None:
    _assert_none(i for i in _imports() if _inside(i.module, "lem_runtime") and _inside(i.target, "lem"))


def test_abi_imports_the_standard_library_only() -> None:
    def breaks(found: Import) -> bool:
        return not _is_standard(found.target) and not _inside(found.target, "lem_runtime.abi")

    _assert_none(i for i in _imports() if _inside(i.module, "lem_runtime.abi") and breaks(i))


def test_each_third_party_package_has_one_door() -> None:
    def breaks(found: Import) -> bool:
        doors = DOORS.get(found.target.split(".")[0], ())
        return not any(_inside(found.module, door) for door in doors)

    third_party = (i for i in _imports() if not _is_standard(i.target) and not _is_own(i.target))
    _assert_none(i for i in third_party if breaks(i))


def test_targets_do_not_import_their_siblings() -> None:
    def breaks(found: Import) -> bool:
        here, there = _target(found.module), _target(found.target)
        return here is not None and there is not None and here != there

    _assert_none(i for i in _imports() if breaks(i))


def test_functions_import_own_modules_only_through_listed_doors() -> None:
    def listed(found: Import) -> bool:
        return any(_inside(found.module, user) and _inside(found.target, door) for user, door in LAZY)

    # Standard and third-party modules may load late (time, optional packages): they cannot hide a cycle of ours.
    _assert_none(i for i in _imports() if i.in_function and _is_own(i.target) and not listed(i))


def test_no_two_modules_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for found in _imports():
        if not found.in_function and not found.types_only and found.target in _modules():
            graph.setdefault(found.module, set()).add(found.target)
    cycle = _cycle(graph)
    assert cycle is None, f"import cycle: {' -> '.join(cycle or ())}"


# ---------------------------------------------------------------- the rules are not empty
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import lem.ir.core as core", ["lem.ir.core"]),
        ("from lem.source import Span", ["lem.source"]),
        ("from lem.diagnostics import codes, Diagnostic", ["lem.diagnostics.codes", "lem.diagnostics"]),
        ("from . import codes", ["lem.diagnostics.codes"]),
        ("from .codes import Code", ["lem.diagnostics.codes"]),
        ("from ..source import Span", ["lem.source"]),
        ("def f():\n    import rich.console", ["rich.console"]),
        ("if TYPE_CHECKING:\n    from lem.source import Span", ["lem.source"]),
    ],
)
def test_reader_resolves_each_form_of_import(text: str, expected: list[str]) -> None:
    assert [i.target for i in _read("lem.diagnostics.text", False, ast.parse(text))] == expected


def test_reader_sees_functions_and_type_checking() -> None:
    text = "import a\ndef f():\n    import b\nif TYPE_CHECKING:\n    import c\nclass C:\n    import d"
    found = {i.target: (i.in_function, i.types_only) for i in _read("lem.x", False, ast.parse(text))}
    assert found == {"a": (False, False), "b": (True, False), "c": (False, True), "d": (False, False)}


def test_cycle_is_found() -> None:
    assert _cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert _cycle({"a": {"b", "c"}, "b": {"c"}}) is None


# ---------------------------------------------------------------- reading imports
@cache
def _modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for root in (ROOT / "lang", ROOT / "runtime"):
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def _imports() -> tuple[Import, ...]:
    found: list[Import] = []
    for module, path in _modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        found.extend(_read(module, path.name == "__init__.py", tree))
    return tuple(found)


def _read(module: str, is_package: bool, tree: ast.AST) -> Iterator[Import]:
    def visit(node: ast.AST, in_function: bool, types_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in dict.fromkeys(_targets(module, is_package, node)):
                yield Import(module, target, node.lineno, in_function, types_only)
        in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types_only |= isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, in_function, types_only)

    return visit(tree, False, False)


def _targets(module: str, is_package: bool, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The modules that a statement imports: ``from a import b`` is ``a.b`` where that is a module, else ``a``."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parts = module.split(".")
        parts = parts[: len(parts) - node.level + is_package]
        base = ".".join([*parts, base] if base else parts)
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner in _modules() else base


def _cycle(graph: dict[str, set[str]]) -> list[str] | None:
    """A closed walk through `graph`, its first node repeated at its end; None when there is none."""
    done: set[str] = set()

    def search(node: str, path: list[str]) -> list[str] | None:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return None
        for following in sorted(graph.get(node, ())):
            if found := search(following, [*path, node]):
                return found
        done.add(node)
        return None

    return next((found for start in sorted(graph) if (found := search(start, []))), None)


# ---------------------------------------------------------------- questions about names
def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _part(module: str) -> str:
    """The part of lem that a module belongs to: "ir" for ``lem.ir.core``, "" for ``lem`` itself."""
    return module.split(".")[1] if "." in module else ""


def _target(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["lem", "targets"] and len(parts) > 2 and parts[2] in TARGET_NAMES else None


def _is_own(module: str) -> bool:
    return module.split(".")[0] in ("lem", "lem_runtime", "lem_stdlib")


def _is_standard(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names | _OF_OTHER_VERSIONS


def _assert_none(found: Iterator[Import]) -> None:
    broken = [str(i) for i in found]
    assert not broken, "\n".join(["these imports break the rule:", *broken])
