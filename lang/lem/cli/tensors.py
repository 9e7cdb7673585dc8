"""The safetensors format, read and written here: eight bytes, a JSON header, raw little-endian elements.

Takes files; gives arrays with lem's name of their dtype (NumPy has none for bf16 and f8). Nothing in a file is trusted:
every offset is compared with what is there. Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

from lem_runtime.abi.records import dataclass

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_DTYPES = {
    "BOOL": "bool", "I8": "i8", "I16": "i16", "I32": "i32", "I64": "i64", "U8": "u8", "U16": "u16", "U32": "u32",
    "U64": "u64", "F16": "f16", "BF16": "bf16", "F32": "f32", "F64": "f64", "F8_E4M3": "f8e4m3", "F8_E5M2": "f8e5m2",
}  # fmt: skip
_NAMES = {lem: theirs for theirs, lem in _DTYPES.items()}


class Damaged(Exception):
    """The file is not what it says it is."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a header. `begin`, `end`: bytes after the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(f: IO[bytes]) -> tuple[dict[str, Tensor], int]:
    """The tensors of a file, and where the bytes after the header begin. Raises :class:`Damaged`."""
    size = f.seek(0, 2)
    f.seek(0)
    n = int.from_bytes(f.read(8), "little")
    if size < 8 or n > min(size - 8, _MAX_HEADER_BYTES):
        raise Damaged("no safetensors header, or a truncated one")
    try:
        header = json.loads(f.read(n).decode())
        found = {name: _tensor(name, entry) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged("the safetensors header is damaged") from None
    for name, t in found.items():
        if t.end > size - 8 - n:
            raise Damaged(f"it is cut off: tensor `{name}` ends {t.end - (size - 8 - n)} bytes after the file")
    return found, 8 + n


def _tensor(name: str, entry: dict[str, Any]) -> Tensor:
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(isinstance(x, int) and not isinstance(x, bool) and x >= 0 for x in (begin, end, *shape)) or begin > end:
        raise ValueError(name)
    return Tensor(str(entry["dtype"]), shape, begin, end)


def read(f: IO[bytes], t: Tensor, base: int) -> tuple[Array, str]:
    """One tensor and the lem name of its dtype. Raises :class:`Damaged`."""
    import numpy as np

    from lem_runtime import numpy_dtype

    name = _DTYPES.get(t.dtype)
    if name is None:
        raise Damaged(f"lem has no type for its elements, which are {t.dtype}")
    dtype = numpy_dtype(name).newbyteorder("<")
    if math.prod(t.shape) * dtype.itemsize != t.end - t.begin:
        raise Damaged(f"the header promises {list(t.shape)} elements of {t.dtype} in {t.end - t.begin} bytes")
    f.seek(base + t.begin)
    array = np.frombuffer(bytearray(f.read(t.end - t.begin)), dtype).reshape(t.shape)
    return array.astype(dtype.newbyteorder("="), copy=False), name


def write(f: IO[bytes], arrays: Sequence[tuple[str, str, Array]]) -> None:
    """Name, dtype (lem's name) and elements of each; large elements first, so that all are aligned."""
    import numpy as np

    header: dict[str, Any] = {}
    at = 0
    ordered = sorted(arrays, key=lambda a: (-a[2].itemsize, a[0]))
    for name, dtype, array in ordered:
        header[name] = {"dtype": _NAMES[dtype], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    f.write(len(head).to_bytes(8, "little") + head)
    for _, _, array in ordered:
        f.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
