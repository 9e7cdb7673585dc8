"""Runs compiled lem programs. Never imports the compiler; what the two share stands in :mod:`lem_runtime.abi`.

The names below are loaded when they are first used: importing this package costs next to nothing, and NumPy comes only
with the first run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lem_runtime.abi.bundle import BundleError as BundleError
    from lem_runtime.abi.signature import CallError as CallError
    from lem_runtime.binding import bind_call as bind_call
    from lem_runtime.binding import facts_of as facts_of
    from lem_runtime.binding import layouts_of as layouts_of
    from lem_runtime.bundle import Bundled as Bundled
    from lem_runtime.bundle import load as load
    from lem_runtime.call.callables import begin as begin
    from lem_runtime.call.callables import callable_type as callable_type
    from lem_runtime.call.convention import Arguments as Arguments
    from lem_runtime.call.convention import print_lines as print_lines
    from lem_runtime.call.convention import returned as returned
    from lem_runtime.call.convention import sort as sort
    from lem_runtime.call.direct import Direct as Direct
    from lem_runtime.call.direct import Wrapper as Wrapper
    from lem_runtime.call.texts import core_text as core_text
    from lem_runtime.call.texts import wrapper_texts as wrapper_texts
    from lem_runtime.call.wrapper import NotPlain as NotPlain
    from lem_runtime.faults import Interrupted as Interrupted
    from lem_runtime.faults import KernelFault as KernelFault
    from lem_runtime.faults import RunError as RunError
    from lem_runtime.faults import TimeUp as TimeUp
    from lem_runtime.faults import element_text as element_text
    from lem_runtime.faults import fill_text as fill_text
    from lem_runtime.faults import indices_of as indices_of
    from lem_runtime.loader import LoadError as LoadError
    from lem_runtime.loader import register_fallback as register_fallback
    from lem_runtime.machine import MACHINE_NAMES as MACHINE_NAMES
    from lem_runtime.machine import detect as detect
    from lem_runtime.machine import named_machine as named_machine
    from lem_runtime.native import NoCompiler as NoCompiler
    from lem_runtime.native import default_threads as default_threads
    from lem_runtime.native import use_compiler as use_compiler
    from lem_runtime.native.c_host import c_host_text as c_host_text
    from lem_runtime.runner import Mark as Mark
    from lem_runtime.runner import Progress as Progress
    from lem_runtime.runner import Runner as Runner
    from lem_runtime.runner import RunResult as RunResult
    from lem_runtime.runner import run as run
    from lem_runtime.store import Store as Store
    from lem_runtime.store import StoreRefused as StoreRefused
    from lem_runtime.store import open_default as open_default
    from lem_runtime.structs import dtype_of as dtype_of
    from lem_runtime.structs import field_dtypes as field_dtypes
    from lem_runtime.structs import join as join
    from lem_runtime.structs import joined as joined
    from lem_runtime.structs import split as split
    from lem_runtime.values import conversion as conversion
    from lem_runtime.values import lem_dtype as lem_dtype
    from lem_runtime.values import numbers_of as numbers_of
    from lem_runtime.values import numpy_dtype as numpy_dtype
    from lem_runtime.values import rounded as rounded

_HOME = {
    "CallError": "abi.signature", "bind_call": "binding", "facts_of": "binding", "layouts_of": "binding",
    "BundleError": "abi.bundle", "Bundled": "bundle", "load": "bundle",
    "core_text": "call.texts", "wrapper_texts": "call.texts",
    "Arguments": "call.convention", "print_lines": "call.convention", "returned": "call.convention",
    "sort": "call.convention",
    "Direct": "call.direct", "Wrapper": "call.direct", "NotPlain": "call.wrapper",
    "begin": "call.callables", "callable_type": "call.callables",
    "Interrupted": "faults", "KernelFault": "faults", "RunError": "faults", "TimeUp": "faults",
    "element_text": "faults", "fill_text": "faults", "indices_of": "faults",
    "LoadError": "loader", "register_fallback": "loader", "detect": "machine",
    "MACHINE_NAMES": "machine", "named_machine": "machine",
    "NoCompiler": "native", "default_threads": "native", "use_compiler": "native",
    "c_host_text": "native.c_host",
    "Mark": "runner", "Progress": "runner", "Runner": "runner", "RunResult": "runner", "run": "runner",
    "Store": "store", "StoreRefused": "store", "open_default": "store",
    "dtype_of": "structs", "field_dtypes": "structs", "join": "structs", "joined": "structs", "split": "structs",
    "lem_dtype": "values", "conversion": "values", "numbers_of": "values", "numpy_dtype": "values",
    "rounded": "values",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
