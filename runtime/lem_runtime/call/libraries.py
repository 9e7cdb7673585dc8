"""Arrays of other libraries: torch, jax, cupy and whoever else speaks DLPack. Nothing is copied, nothing is imported.

Takes an array of such a library and gives NumPy's view of the same memory, or says why there is none; takes a result of
lem's and gives it to a library. Libraries are found among what the program has imported.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from lem_runtime import values
from lem_runtime.abi.signature import CallError, Param

_CPU = 1  # kDLCPU of the DLPack standard
_BITS = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}  # types that NumPy does not have
_NARROW = {"bf16": "bfloat16", "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2"}


def borrow(p: Param, value: Any) -> Any:
    """NumPy's view of an array of another library. Raises :class:`CallError` where the CPU cannot have it."""
    if not hasattr(value, "__dlpack__") or isinstance(value, np.generic):
        where = " on a GPU" if hasattr(value, "__cuda_array_interface__") else ""
        found = f"{type(value).__name__}{where}"
        raise CallError("E0607", f"`{p.name}` expects an array of {p.dtype}, found {found}", p.place, _made_of(p, value))
    try:
        device = int(value.__dlpack_device__()[0]) if hasattr(value, "__dlpack_device__") else _CPU
    except Exception as e:  # of the other library's own making, such as jax's of an array that was given away
        raise _refused(p, value, e) from None
    if device != _CPU:
        raise CallError(
            "E0607", f"`{p.name}` lies on another device, and this kernel runs on the CPU", p.place, "copy it to the host"
        )
    try:
        view = np.from_dlpack(_as_bits(value))
    except Exception as e:
        plain = _plain(value)
        if plain is None:
            raise _refused(p, value, e) from None
        view = plain
    return _writable(p, value, view) if p.is_written and not view.flags.writeable else view


def _refused(p: Param, value: Any, why: Exception) -> CallError:
    """An array that its library does not lend."""
    text = next(iter(str(why).splitlines()), "") or type(why).__name__
    is_traced = name_of(value) == "jax" and "Tracer" in type(value).__name__
    help = "call it outside of what jax traces (`jax.jit`, `jax.grad`)" if is_traced else ""
    return CallError("E0607", f"`{p.name}` does not give its memory to others: {text}", p.place, help)


def _made_of(p: Param, value: Any) -> str:
    """How to make an array of a list."""
    if not isinstance(value, (list, tuple)):
        return ""
    if p.is_written:
        return f"the kernel writes it: give an array, such as `{p.name} = np.zeros(...)`"
    dtype = _numpy_name(p.dtype)
    return f"make one: `np.array({p.name}, {dtype!r})`" if dtype else f"make one: `np.array({p.name})`"


def _numpy_name(dtype: str) -> str:
    try:
        return str(values.numpy_dtype(dtype))
    except KeyError:  # a generic name
        return ""


def _as_bits(value: Any) -> Any:
    """A tensor of a type that NumPy does not have, as its bits."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        bits = _BITS.get(str(value.dtype).removeprefix("torch."))
        return value if bits is None else value.view(getattr(torch, bits))
    return value


def _plain(value: Any) -> Any:
    """What ``numpy.asarray`` gives, for arrays of the types of ml_dtypes: jax lends these so."""
    if str(getattr(value, "dtype", "")) not in _BITS or not hasattr(value, "unsafe_buffer_pointer"):
        return None
    plain = np.asarray(value)
    return plain if plain.ctypes.data == value.unsafe_buffer_pointer() else None


def _writable(p: Param, value: Any, view: Any) -> Any:
    """The same memory as one that may be written: older exchanges cannot say that it may."""
    library = name_of(value)
    if library != "jax":
        plain = np.asarray(value)
        if plain.flags.writeable and plain.ctypes.data == view.ctypes.data:
            return plain
    raise CallError(
        "E0607", f"`{p.name}` is `{p.effect}`, and arrays of {library} cannot be written", p.place,
        "give an array of NumPy, or let the kernel return a result (`-> y: ...`, called with `like=`)",
    )  # fmt: skip


# ---------------------------------------------------------------- results
def name_of(value: Any) -> str:
    """The library of an array, a tensor or the library itself: "torch"."""
    name = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
    root = name.partition(".")[0]
    return "jax" if root == "jaxlib" else root


def library_of(like: Any) -> str:
    """The library that ``like=`` names, which can take results. Raises :class:`CallError`."""
    library = name_of(like)
    if library in ("numpy", "cupy") or hasattr(_module(library), "from_dlpack"):
        return library
    found = repr(like) if isinstance(like, str) else library
    help = f"import it and write `like={like}`" if isinstance(like, str) and like.isidentifier() else ""
    text = f"`like=` takes a library whose arrays know DLPack, or an array of it; found {found}"
    raise CallError("E0607", text, None, help)


def give(value: Any, library: str, dtype: str) -> Any:
    """A result as an array of a library: the same memory (cupy copies it to the GPU). Numbers stay what they are."""
    if library == "numpy" or np.isscalar(value):
        return value
    if isinstance(value, dict):
        return {field: give(part, library, "") for field, part in value.items()}
    module = _module(library)
    if library == "cupy":
        return module.asarray(value)
    made = module.from_dlpack(value)
    return made.view(getattr(module, _NARROW[dtype])) if dtype in _NARROW else made


def _module(library: str) -> Any:
    return sys.modules.get("jax.numpy" if library == "jax" else library)
