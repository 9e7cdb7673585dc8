"""What this interpreter's objects look like in memory: offsets that compiled code reads, each tested before it is trusted.

Gives :func:`known`, the offsets, or None on an interpreter that lays its objects out otherwise: calls then take the way
through Python, which knows nothing of this; :func:`is_known_array` asks the same of NumPy. The fields after an object's
head keep their order in all versions; where the head ends differs (it is larger without a GIL), so everything counts from
``object.__basicsize__``.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import types
from typing import Any, Final

from lem_runtime.abi.records import dataclass

# Fields of a NumPy array after its head, in bytes (ndarraytypes.h, PyArrayObject_fields).
ARRAY_DATA: Final = 0
ARRAY_NDIM: Final = 8  # i32
ARRAY_SHAPE: Final = 16
ARRAY_STRIDES: Final = 24
ARRAY_DTYPE: Final = 40
ARRAY_FLAGS: Final = 48  # i32
IS_ALIGNED, IS_WRITEABLE = 0x100, 0x400

# Fields of a bound method after its head (classobject.h): what our callables begin with, so that they can be called as one.
METHOD_FUNCTION: Final = 0
METHOD_SELF: Final = 8
METHOD_WEAKREFS: Final = 16
METHOD_CALL: Final = 24
METHOD_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Known:
    """head: bytes of an object's head. call_method: address of the code that calls a bound method."""

    head: int
    call_method: int


@functools.cache
def known() -> Known | None:
    """The layout of objects, if it is one we know."""
    if sys.implementation.name != "cpython" or not _has_gil():
        return None
    if ctypes.sizeof(ctypes.c_void_p) != 8 or types.MethodType.__basicsize__ != object.__basicsize__ + METHOD_BYTES:
        return None
    head = object.__basicsize__
    method: Any = _Probe().method
    if read(id(method) + head + METHOD_SELF) != id(method.__self__):
        return None
    if read(id(method) + head + METHOD_FUNCTION) != id(method.__func__):
        return None
    return Known(head, read(id(method) + head + METHOD_CALL))


def why_unknown() -> str:
    """Why calls cannot go straight to their code here."""
    if not _has_gil():
        return "this interpreter has no GIL, and the direct way is for only one thread at a time"
    return "objects of this interpreter are not known"


def _has_gil() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class _Probe:
    def method(self) -> None:
        """Looked at, never called."""


def is_known_array(a: Any, head: int) -> bool:
    """Whether a NumPy array of two axes, aligned and writeable, is laid out as we think."""
    at = id(a) + head
    shape, strides = read(at + ARRAY_SHAPE), read(at + ARRAY_STRIDES)
    n_axes, flags = read(at + ARRAY_NDIM) & 0xFFFFFFFF, read(at + ARRAY_FLAGS) & 0xFFFFFFFF
    return (
        read(at + ARRAY_DATA) == a.ctypes.data
        and n_axes == 2
        and (read(shape), read(shape + 8)) == a.shape
        and (read(strides), read(strides + 8)) == a.strides
        and read(at + ARRAY_DTYPE) == id(a.dtype)
        and flags & (IS_ALIGNED | IS_WRITEABLE) == IS_ALIGNED | IS_WRITEABLE
    )


_ZEROS_IN_TABLE: Final = 183  # PyArray_Zeros (numpy/core/code_generators/numpy_api.py), there since NumPy 1.0


@functools.cache
def zeros_of_numpy() -> int | None:
    """Address of the C function that makes an array of zeros: axes, sizes, type (taken over), whether columns come first.
    None where it is not what we think."""
    import numpy as np

    core = getattr(np, "_core", None) or np.core
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    get = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    try:
        table = get(core._multiarray_umath._ARRAY_API, None)
    except (AttributeError, ValueError):
        return None
    address = read(table + 8 * _ZEROS_IN_TABLE)
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_int, ctypes.c_void_p, ctypes.py_object, ctypes.c_int)(address)
    dtype = np.dtype("f4")
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(dtype))
    made = make(2, (ctypes.c_int64 * 2)(3, 5), dtype, 0)
    is_right = type(made) is np.ndarray and made.shape == (3, 5) and made.dtype is dtype and not made.any()
    return address if is_right and made.flags.c_contiguous and made.flags.owndata else None


def read(address: int) -> int:
    """The 8 bytes at an address."""
    return int(ctypes.c_uint64.from_address(address).value)


def address_of(function: Any) -> int:
    """Of a function of the C API."""
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


def write(address: int, value: int) -> None:
    ctypes.c_uint64.from_address(address).value = value


# ---------------------------------------------------------------- types made at run time
class _Member(ctypes.Structure):
    """PyMemberDef (structmember.h)."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("type", ctypes.c_int), ("offset", ctypes.c_ssize_t), ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]  # fmt: skip


class _GetSet(ctypes.Structure):
    """PyGetSetDef (descrobject.h)."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("get", ctypes.c_void_p), ("set", ctypes.c_void_p), ("doc", ctypes.c_char_p),
        ("closure", ctypes.c_void_p),
    ]  # fmt: skip


class _Slot(ctypes.Structure):
    """PyType_Slot (object.h)."""

    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    """PyType_Spec (object.h)."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("basicsize", ctypes.c_int), ("itemsize", ctypes.c_int), ("flags", ctypes.c_uint),
        ("slots", ctypes.c_void_p),
    ]  # fmt: skip


_TP_CALL, _TP_CLEAR, _TP_TRAVERSE, _TP_MEMBERS, _TP_GETSET = 50, 51, 71, 72, 73  # typeslots.h
_T_PYSSIZET, _READONLY = 19, 1
_DEFAULT, _HAVE_VECTORCALL, _HAVE_GC = 1 << 18, 1 << 11, 1 << 14
_kept: list[Any] = []  # what a type's description points to


def new_callable_type(name: str, n_fields: int) -> type:
    """A type whose objects begin like a bound method, have a dictionary, can be weakly referred to, and carry `n_fields`
    words of their own. Calling one runs the code whose address its METHOD_CALL field holds.

    The collector goes through its objects as through those of a class in Python: by the dictionary alone. What the first
    fields point to is not counted. (A type outside of the collector would neither free its dictionary nor end its weak
    references.)
    """
    head = object.__basicsize__
    offsets = {
        b"__vectorcalloffset__": head + METHOD_CALL,
        b"__weaklistoffset__": head + METHOD_WEAKREFS,
        b"__dictoffset__": head + METHOD_BYTES,
    }
    rows = [_Member(word, _T_PYSSIZET, at, _READONLY, None) for word, at in offsets.items()]
    members = (_Member * (len(rows) + 1))(*rows, _Member())
    api = ctypes.pythonapi
    dictionary = _GetSet(b"__dict__", address_of(api.PyObject_GenericGetDict), address_of(api.PyObject_GenericSetDict))
    getset = (_GetSet * 2)(dictionary, _GetSet())
    slots = (_Slot * 6)(
        _Slot(_TP_CALL, address_of(api.PyVectorcall_Call)), _Slot(_TP_MEMBERS, ctypes.addressof(members)),
        _Slot(_TP_GETSET, ctypes.addressof(getset)), _Slot(_TP_TRAVERSE, _slot_of(_Probe, _TP_TRAVERSE)),
        _Slot(_TP_CLEAR, _slot_of(_Probe, _TP_CLEAR)), _Slot(0, None),
    )  # fmt: skip
    size = head + METHOD_BYTES + 8 + 8 * n_fields
    spec = _Spec(name.encode(), size, 0, _DEFAULT | _HAVE_VECTORCALL | _HAVE_GC, ctypes.addressof(slots))
    make = ctypes.pythonapi.PyType_FromSpec
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p]
    made: type = make(ctypes.addressof(spec))
    _kept.append((members, getset, slots, spec))
    return made


def _slot_of(cls: type, slot: int) -> int:
    """The function that a class made in Python has in a slot."""
    get = ctypes.pythonapi.PyType_GetSlot
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
    return int(get(cls, slot) or 0)


__all__ = ["Known", "address_of", "is_known_array", "known", "new_callable_type", "read", "why_unknown", "write"]
