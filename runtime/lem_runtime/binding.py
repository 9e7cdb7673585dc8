"""Fits the arguments of a call to a signature and packs them as compiled code wants them.

Takes arrays, scalars and named dimensions; gives a :class:`Bound`: the argument block, the arrays it points into and
those that are results. Every misfit is a :class:`~lem_runtime.abi.signature.CallError` that names the parameter.
Arrays are passed where they lie; the only copies are of a read-only argument and of fields of structs whose elements are not
aligned, and they are noted.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

import numpy as np

from lem_runtime import structs, values
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import CallError, Param, Scalar, Signature, bind, shape_of
from lem_runtime.abi.source import Facts

Array = np.ndarray[Any, Any]
_MAX_BYTES = (1 << 63) - 1
_NOTICEABLE_BYTES = 1 << 24
_ALIGNMENT = 64
_SHARED_WORK = 10_000  # limit of NumPy's exact test for shared elements
_UNIQUE_LIMIT = 1 << 22  # elements counted one by one where strides alone do not decide


@dataclass(slots=True)
class Bound:
    """A call that fits. `block` is the argument block; the rest keeps alive what it points to.

    given:   the arrays as the caller named them; `arrays` has the fields of structs by their own names.
    copied:  arrays of the caller that are written, with the aligned copies that the code writes instead.
    """

    sig: Signature
    dims: dict[str, int]
    known: dict[str, int]  # dimensions and integer scalars, for size expressions
    given: Mapping[str, Any]
    arrays: dict[str, Array]
    cells: dict[str, ctypes.Array[ctypes.c_char]]  # scalar results
    block: ctypes.Array[ctypes.c_char]
    notes: list[str] = field(default_factory=list)
    copied: list[tuple[Array, Array]] = field(default_factory=list)

    @property
    def address(self) -> int:
        return ctypes.addressof(self.block)

    def outputs(self) -> dict[str, Any]:
        """Arrays that the call has written; a struct's are the array given, or one array per field."""
        for theirs, ours in self.copied:
            theirs[...] = ours
        written = {p.name: self.arrays[p.name] for p in self.sig.params if p.is_array and p.is_written}
        return structs.join(self.sig, written, self.given)

    def scalars(self) -> dict[str, Any]:
        """Scalar results; a struct is its fields by name."""
        found = {p.name: values.decode(self.cells[p.name].raw, p.dtype) for p in self.sig.params if p.name in self.cells}
        return structs.join(self.sig, found, {})


def bind_call(
    artifact: Artifact, arrays: Mapping[str, Any], scalars: Mapping[str, Any], dims: Mapping[str, int] | None = None
) -> Bound:
    """Check and pack one call: arrays and scalars by argument, a struct's as ``structs.split`` takes them. Raises
    :class:`CallError`."""
    sig = artifact.signature
    _check_names(sig, arrays, scalars)
    given = dict(arrays)
    arrays, scalars = structs.split(sig, arrays), structs.split(sig, scalars)
    given_scalars = _scalars(sig, scalars)
    notes: list[str] = []
    copied: list[tuple[Array, Array]] = []
    taken = {p.name: _array(p, arrays[p.name], notes, copied) for p in sig.params if p.is_array and p.name in arrays}
    sizes = bind(sig, {n: a.shape for n, a in taken.items()}, given_scalars, dims)
    _check_layouts(sig, arrays)
    known = {n: v for n, v in given_scalars.items() if isinstance(v, int) and not isinstance(v, bool)} | sizes
    _allocate(sig, taken, known, given)
    _check_overlap(sig, taken)
    _check_facts(artifact, taken, sizes)
    cells = {
        p.name: ctypes.create_string_buffer(values.encode(scalars[p.name], p.dtype) if p.name in scalars else bytes(8), 8)
        for p in sig.params
        if not p.is_array and p.is_written
    }
    block = _pack(sig, taken, given_scalars, cells, sizes)
    return Bound(sig, sizes, known, given, taken, cells, block, notes, copied)


def facts_of(sig: Signature, arrays: Mapping[str, Any], dims: Mapping[str, int]) -> Facts:
    """The facts that hold for these arguments; arrays not given will be allocated as their types say."""
    layouts = layouts_of(sig, arrays)
    kinds = tuple("one" if dims[d] == 1 else "m16" if dims[d] % 16 == 0 else "any" for d in sig.dims)
    return Facts(layouts, kinds)


def layouts_of(sig: Signature, arrays: Mapping[str, Any]) -> tuple[str, ...]:
    """The part of the facts that the arrays alone tell: which of them are contiguous along their last axis."""
    arrays = structs.split(sig, arrays)
    return tuple(_fact(p, arrays.get(p.name)) for p in sig.params if p.is_array)


def _check_names(sig: Signature, arrays: Mapping[str, Array], scalars: Mapping[str, Any]) -> None:
    by_name = {p.name: p for p in sig.arguments}
    for name in (*arrays, *scalars):
        p = by_name.get(name)
        if p is None:
            raise CallError("E0609", f"`{sig.name}` has no parameter `{name}`", sig.place)
        if p.is_array != (name in arrays):
            expected = "an array" if p.is_array else "a single value"
            raise CallError("E0607", f"`{name}` must be {expected} of {p.dtype}", p.place)
    for p in sig.inputs:
        if p.name not in arrays and p.name not in scalars and p.default is None:
            raise CallError("E0608", f"`{p.name}` of `{sig.name}` is missing", p.place)


def _scalars(sig: Signature, given: Mapping[str, Any]) -> dict[str, Scalar]:
    out: dict[str, Scalar] = {}
    for p in sig.params:
        if p.is_array or (p.name not in given and p.default is None):
            continue
        value = given.get(p.name, p.default)
        if isinstance(value, np.generic):
            value = value.item()
        try:
            values.encode(value, p.dtype)
        except OverflowError:
            raise CallError("E0607", f"{_called(p)} is {p.dtype}, which cannot hold {value}", p.place) from None
        except (TypeError, ValueError):
            text = f"{_called(p)} expects {p.dtype}, found {value!r} ({type(value).__name__})"
            help = f"give the number in it: {p.name}.item()" if hasattr(value, "item") else ""
            raise CallError("E0607", text, p.place, help) from None
        out[p.name] = value
    return out


def _called(p: Param) -> str:
    """A parameter as a caller knows it."""
    return f"field `{p.field}` of `{p.argument}`" if p.struct else f"`{p.name}`"


def _array(p: Param, a: Any, notes: list[str], copied: list[tuple[Array, Array]]) -> Array:
    """An array as compiled code takes it: itself, or an aligned copy."""
    _check_array(p, a)
    if _is_regular(a):
        return a  # type: ignore[no-any-return]
    if p.is_written and not p.struct:
        raise CallError(
            "E0607", f"`{p.name}` is `{p.effect}`, but its elements are not aligned in memory", p.place,
            "give a plain array and copy the result",
        )  # fmt: skip
    made = np.array(a, order="C")
    if p.is_written:
        copied.append((a, made))
    # Fields of different widths without padding between them are common, and nothing that a caller did on purpose.
    back = " and copied back" if p.is_written else ""
    advice = " (np.dtype(..., align=True) avoids that)" if p.struct else ""
    notes.append(f"{_called(p)} was copied{back}: its elements are not aligned in memory{advice}")
    return made


def _check_array(p: Param, a: Any) -> None:
    if not isinstance(a, np.ndarray):
        raise CallError("E0607", f"{_called(p)} expects an array of {p.dtype}, found {type(a).__name__}", p.place)
    if type(a) is not np.ndarray and hasattr(a, "mask"):
        raise CallError(
            "E0607", f"{_called(p)} is a masked array, and lem knows no masks", p.place,
            f"pass what is in it: {p.argument}.filled(0), or {p.argument}.data",
        )  # fmt: skip
    if not values.holds(a.dtype, p.dtype):
        found = values.lem_dtype(a.dtype) or str(a.dtype)
        raise CallError(
            "E0607", f"`{p.name}` expects {p.dtype}, found {found}", p.place,
            _conversion(p, a.dtype),
        )  # fmt: skip
    if not a.dtype.isnative:
        raise CallError(
            "E0607", f"{_called(p)} has the byte order of another machine", p.place,
            f"convert it: {p.argument}.astype({p.argument}.dtype.newbyteorder('='))",
        )  # fmt: skip
    if p.is_written and not a.flags.writeable:
        raise CallError("E0607", f"{_called(p)} is `{p.effect}`, but the array given is read-only", p.place)


def _check_layouts(sig: Signature, arrays: Mapping[str, Array]) -> None:
    """Arrays given for parameters that declare a layout have it. Nothing is rearranged silently."""
    for p in sig.params:
        a = arrays.get(p.name)
        if a is None or a.ndim == 0 or not p.layout:
            continue
        if p.layout == "aos":
            fields = [arrays[f.name] for f in sig.fields(p.argument)]
            if not _are_records(fields):
                raise CallError("E0623", f"`{p.argument}` is `.aos`, and its fields lie apart", p.place,
                                "give one array with named fields")  # fmt: skip
        elif not _is_inner(p, a):
            raise _wrong_layout(p, a)


def _are_records(fields: Sequence[Array]) -> bool:
    """Do the fields of an element lie in one record, and those of the next element behind it?"""
    first = min(fields, key=lambda f: f.ctypes.data)
    if first.size == 0:
        return True
    same = all(f.strides == first.strides for f in fields)
    end = max(f.ctypes.data + f.itemsize for f in fields)
    steps = [abs(s) for n, s in zip(first.shape, first.strides, strict=True) if n > 1]
    return same and (not steps or end - first.ctypes.data <= min(steps))


def _wrong_layout(p: Param, a: Array) -> CallError:
    steps = ", ".join(f"{s / a.itemsize:g}" for s in a.strides)
    found = f"its elements lie {steps} apart along its axes"
    if p.layout == "soa":
        label = f"field `{p.field}` of `{p.argument}` is no array of its own: {found}"
        return CallError("E0623", label, p.place, "give one array per field")
    first, rearrange = ("first", "np.asfortranarray") if p.layout == "col" else ("last", "np.ascontiguousarray")
    label = f"`{p.argument}` is `.{p.layout}`, so neighbours along its {first} axis lie side by side; {found}"
    return CallError("E0623", label, p.place, f"rearrange it: {rearrange}({p.argument})")


def _is_regular(a: Array) -> bool:
    """Every element lies at a whole number of elements from the first, and is aligned."""
    size = a.itemsize
    if a.size == 0:
        return True
    return a.ctypes.data % size == 0 and all(s % size == 0 for n, s in zip(a.shape, a.strides, strict=True) if n > 1)


def _fact(p: Param, a: Array | None) -> str:
    is_like = isinstance(a, np.ndarray) and a.ndim == len(p.shape or ())  # where not, that is said when the call is bound
    is_inner = _is_inner(p, a) if a is not None and is_like else p.layout != "aos"
    return "inner" if is_inner else "any"


def _is_inner(p: Param, a: Array) -> bool:
    """Do neighbours along the inner axis of a parameter lie side by side?"""
    n = p.inner_axis
    return a.ndim == 0 or a.size == 0 or a.shape[n] == 1 or a.strides[n] == a.itemsize


def _allocate(sig: Signature, taken: dict[str, Array], known: Mapping[str, int], given: dict[str, Any]) -> None:
    """Make the arrays that were not given, laid out as their types say; records are added to `given`, as one array."""
    for p in sig.params:
        if not p.is_array or p.name in taken:
            continue
        shape = shape_of(p, known)
        dtype = values.numpy_dtype(p.dtype)
        n_bytes = math.prod(shape) * dtype.itemsize
        text = " * ".join(map(str, shape))
        if n_bytes > _MAX_BYTES or any(n > _MAX_BYTES for n in shape):
            raise CallError("E0615", f"`{p.argument}` would have {text} elements", p.place)
        free = available_bytes() if n_bytes > _NOTICEABLE_BYTES else None  # asking takes as long as a small call
        if free is not None and n_bytes > free:
            raise CallError(
                "E0614", f"{_called(p)} ({text} of {p.dtype}) needs {_mib(n_bytes)}, available: {_mib(free)}", p.place
            )
        try:
            if p.layout == "aos":
                record = structs.dtype_of((f.field, f.dtype) for f in sig.fields(p.argument))
                given[p.argument] = np.zeros(shape, record)
                taken |= structs.split(sig, {p.argument: given[p.argument]})
            else:
                taken[p.name] = _zeros(shape, dtype, "F" if p.layout == "col" else "C")
        except (MemoryError, ValueError):
            raise CallError("E0614", f"{_called(p)} ({text} of {p.dtype}) needs {_mib(n_bytes)}", p.place) from None


def _zeros(shape: Sequence[int], dtype: np.dtype[Any], order: Literal["C", "F"]) -> Array:
    """Zeros that begin at a multiple of 64 bytes: other libraries take only such memory without copying it."""
    n_bytes = math.prod(shape) * dtype.itemsize
    raw = np.zeros(n_bytes + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + n_bytes].view(dtype).reshape(shape, order=order)


def available_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as f:
            for line in f:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        return None
    return None


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / (1 << 20):,.0f} MiB"


# --- arguments that share elements (LANGUAGE 15)


def _check_overlap(sig: Signature, taken: Mapping[str, Array]) -> None:
    params = [p for p in sig.params if p.is_array]
    for n, p in enumerate(params):
        if p.is_written and _overlaps_itself(taken[p.name]):
            raise CallError("E0619", f"{_called(p)} is `{p.effect}`, but elements of the array share memory", p.place)
        for q in params[n + 1 :]:
            if (p.is_written or q.is_written) and share_elements(taken[p.name], taken[q.name]):
                raise _shared(*((p, q) if p.is_written else (q, p)))


def _shared(written: Param, other: Param) -> CallError:
    if written.argument == other.argument:
        return CallError(
            "E0619", f"fields `{written.field}` and `{other.field}` of `{written.argument}` share elements", written.place,
            "give each field an array of its own",
        )  # fmt: skip
    return CallError(
        "E0619",
        f"`{written.argument}` is `{written.effect}` and shares elements with `{other.argument}`",
        written.place,
        f"pass a copy: {other.argument}.copy()",
    )


def share_elements(a: Array, b: Array) -> bool:
    """Exact for strided and interleaved views as far as NumPy decides it in bounded time; then: may they?"""
    if not np.may_share_memory(a, b):
        return False
    try:
        return bool(np.shares_memory(a, b, max_work=_SHARED_WORK))  # type: ignore[arg-type]  # any int is fine
    except np.exceptions.TooHardError:
        return True


def _overlaps_itself(a: Array) -> bool:
    """Do two index tuples name the same memory? Strides that nest cannot; others are counted while that is cheap."""
    axes = sorted((abs(s), n) for n, s in zip(a.shape, a.strides, strict=True) if n > 1)
    reach = a.itemsize
    for stride, n in axes:
        if stride < reach:
            break
        reach += stride * (n - 1)
    else:
        return False
    if a.size == 0:
        return False
    if axes[0][0] == 0 or a.size > _UNIQUE_LIMIT:
        return True
    offsets = np.zeros((), dtype=np.int64)
    for stride, n in axes:
        offsets = (offsets[..., None] + np.arange(n, dtype=np.int64) * stride).reshape(-1)
    return bool(np.any(np.diff(np.sort(offsets)) < a.itemsize))


# --- facts and the argument block


def _check_facts(artifact: Artifact, taken: Mapping[str, Array], dims: Mapping[str, int]) -> None:
    """Code made for special layouts must not meet others: that would be wrong numbers without a word."""
    sig = artifact.signature
    layouts, kinds = _listed(artifact.facts, "layouts"), _listed(artifact.facts, "dims")
    params = [p for p in sig.params if p.is_array]
    for p, layout in zip(params, layouts, strict=False):
        if layout == "inner" and not _is_inner(p, taken[p.name]):
            which = "first" if p.layout == "col" else "last"
            raise CallError("E0607", f"this code of `{sig.name}` needs the {which} axis of `{p.name}` contiguous", p.place)
    for d, kind in zip(sig.dims, kinds, strict=False):
        wrong = dims[d] % 16 if kind == "m16" else kind != "any" and dims[d] != (1 if kind == "one" else int(kind))
        if wrong:
            raise CallError("E0606", f"this code of `{sig.name}` is for other sizes of `{d}` than {dims[d]}", sig.place)


def _listed(facts: str, word: str) -> list[str]:
    """Names in ``word(a, b)`` of the printed facts."""
    _, found, rest = facts.partition(f"{word}(")
    return [part.strip() for part in rest.partition(")")[0].split(",")] if found else []


def _pack(
    sig: Signature, taken: Mapping[str, Array], scalars: Mapping[str, Scalar],
    cells: Mapping[str, ctypes.Array[ctypes.c_char]], dims: Mapping[str, int],
) -> ctypes.Array[ctypes.c_char]:  # fmt: skip
    parts: list[bytes] = []
    for p in sig.params:
        if p.is_array:
            a = taken[p.name]
            strides = [s // a.itemsize for s in a.strides]
            parts.append(struct.pack(f"<Q{2 * a.ndim}q", a.ctypes.data, *a.shape, *strides))
        elif p.is_written:
            parts.append(struct.pack("<Q", ctypes.addressof(cells[p.name])))
        else:
            parts.append(values.encode(scalars[p.name], p.dtype))
    parts += [struct.pack("<q", dims[d]) for d in sig.dims]
    raw = b"".join(parts)
    return ctypes.create_string_buffer(raw, max(8, len(raw)))


def _conversion(p: Param, dtype: np.dtype[Any]) -> str:
    how, what = values.conversion(p.name, dtype, p.dtype)
    return what if not how else f"convert it: {how}" + (f" ({what})" if what else "")
