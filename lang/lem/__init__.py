"""lem: a tile-and-task programming language, one source for every processor.

In Python: ``@lem.kernel`` compiles the body of a function, which is then called with NumPy arrays::

    import lem
    from lem.dims import M, N, K

    @lem.kernel
    def matmul(a: lem.f32[M, K], b: lem.f32[K, N], c: lem.out[lem.f32[M, N]]) -> None:
        for i, j in lem.grid(M, N):
            c[i, j] = sum(a[i, k] * b[k, j] for k in K)

The names below are loaded when they are first used: importing lem costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lem.embed.ahead import compile as compile
    from lem.embed.annotations import Dim as Dim
    from lem.embed.annotations import bf16 as bf16
    from lem.embed.annotations import bool_ as bool_
    from lem.embed.annotations import check as check
    from lem.embed.annotations import clamp as clamp
    from lem.embed.annotations import cpu as cpu
    from lem.embed.annotations import cuda as cuda
    from lem.embed.annotations import f8e4m3 as f8e4m3
    from lem.embed.annotations import f8e5m2 as f8e5m2
    from lem.embed.annotations import f16 as f16
    from lem.embed.annotations import f32 as f32
    from lem.embed.annotations import f64 as f64
    from lem.embed.annotations import fill as fill
    from lem.embed.annotations import gpu as gpu
    from lem.embed.annotations import grid as grid
    from lem.embed.annotations import i8 as i8
    from lem.embed.annotations import i16 as i16
    from lem.embed.annotations import i32 as i32
    from lem.embed.annotations import i64 as i64
    from lem.embed.annotations import inout as inout
    from lem.embed.annotations import interp as interp
    from lem.embed.annotations import opencl as opencl
    from lem.embed.annotations import out as out
    from lem.embed.annotations import reduce_add as reduce_add
    from lem.embed.annotations import reduce_and as reduce_and
    from lem.embed.annotations import reduce_max as reduce_max
    from lem.embed.annotations import reduce_min as reduce_min
    from lem.embed.annotations import reduce_or as reduce_or
    from lem.embed.annotations import spawn as spawn
    from lem.embed.annotations import spu as spu
    from lem.embed.annotations import tiles as tiles
    from lem.embed.annotations import u8 as u8
    from lem.embed.annotations import u16 as u16
    from lem.embed.annotations import u32 as u32
    from lem.embed.annotations import u64 as u64
    from lem.embed.annotations import unique as unique
    from lem.embed.annotations import where as where
    from lem.embed.annotations import wrap as wrap
    from lem.embed.decorators import on as on
    from lem.embed.decorators import prefer as prefer
    from lem.embed.decorators import variant as variant
    from lem.embed.decorators import within as within
    from lem.embed.errors import CallError as CallError
    from lem.embed.errors import CompileError as CompileError
    from lem.embed.errors import Fault as Fault
    from lem.embed.function import Function as Function
    from lem.embed.function import fn as fn
    from lem.embed.function import kernel as kernel
    from lem.embed.function import task as task
    from lem.embed.function import test as test
    from lem.embed.interpret import interpret as interpret
    from lem.embed.mistakes import Error as Error
    from lem.embed.mistakes import LemWarning as LemWarning
    from lem.embed.mistakes import UsageError as UsageError
    from lem.embed.module import load as load
    from lem.embed.notebook import load_ipython_extension as load_ipython_extension
    from lem.embed.notebook import unload_ipython_extension as unload_ipython_extension
    from lem.embed.report import explain as explain
    from lem.embed.structs import aos as aos
    from lem.embed.structs import array as array
    from lem.embed.structs import soa as soa
    from lem.embed.structs import struct as struct
    from lem.embed.trace import trace as trace

__version__ = "0.1.0"

_HOME = {
    "annotations": (
        "Dim bool_ i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64 f8e4m3 f8e5m2 out inout reduce_add reduce_max reduce_min"
        " reduce_or reduce_and grid tiles clamp wrap fill unique where spawn check"
        " cpu gpu spu cuda opencl interp"
    ),
    "ahead": "compile",
    "decorators": "on prefer within variant",
    "errors": "CompileError CallError Fault",
    "mistakes": "Error LemWarning UsageError",
    "function": "Function kernel task fn test",
    "interpret": "interpret",
    "report": "explain",
    "structs": "struct array soa aos",
    "trace": "trace",
    "module": "load",
    "notebook": "load_ipython_extension unload_ipython_extension",
}
_MODULE_OF = {name: f"lem.embed.{module}" for module, names in _HOME.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        other = {"bool": "; an array of bools is `lem.bool_[N]`", "int": "; write `int`", "float": "; write `float`"}
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{other.get(name, '')}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
