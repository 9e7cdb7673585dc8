"""Reads arrays: .npy .npz .png .jpg .csv .safetensors (LANGUAGE 44).

Takes a path, with ``::member`` where a file holds several arrays; gives a NumPy array with nothing converted. A damaged
file can say anything about itself: sizes are compared with the file before memory is asked for, and nothing is unpickled.
"""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lem.cli import tensors
from lem.cli.files import NARROW, SUFFIXES, FileProblem, reason, suffix_of
from lem.diagnostics.suggest import nearest
from lem_runtime.abi.records import dataclass

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file is read for: its parameter's name (which picks a member), dtype ("" if any) and number of axes. fields:
    of a struct, the paths of its fields: a file of several arrays may hold them apart."""

    name: str
    dtype: str
    rank: int
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """dtype: lem's name of the elements' type; None when lem has no such type. path: without the member.

    fields: of structs (one array with named fields, or a dict of one array per field) the dtype of each.
    """

    array: Any
    dtype: str | None
    path: str
    fields: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def holds(self) -> str:
        """What the file holds, for messages: `f32[3, 4]`, or `(x: f32, y: f32)[5]`."""
        if not self.fields:
            return f"{self.dtype}{list(self.array.shape)}"
        first = next(iter(self.array.values())) if isinstance(self.array, dict) else self.array
        shown = ", ".join(f"{name}: {dtype or 'another type'}" for name, dtype in self.fields.items())
        return f"({shown}){list(first.shape)}"


class _Damaged(Exception):
    """The file is not what its name or its header says."""


def read_array(argument: str, wanted: Wanted) -> Loaded:
    """The array that ``PATH`` or ``PATH::member`` names. Raises :class:`FileProblem`."""
    path, member = _split(os.path.expanduser(argument))
    suffix = suffix_of(path)
    _check_readable(path, suffix)
    if member and suffix not in _WITH_MEMBERS:
        raise FileProblem("E0610", f"`{path}` holds one array and no `{member}`", f"leave out ::{member}")
    try:
        array, dtype = (_read_apart(path, wanted) if not member else None) or _READERS[suffix](
            path, member or wanted.name, wanted
        )
    except FileProblem:
        raise
    except ImportError:
        raise FileProblem("E0610", f"`{path}`: a picture needs the package pillow", "pip install pillow") from None
    except MemoryError:
        raise FileProblem("E0614", f"`{path}`: there is not enough memory to read it") from None
    except (tensors.Damaged, _Damaged) as e:
        raise FileProblem("E0610", f"`{path}`: {e}") from None
    except Exception as e:  # a damaged file can fail in any way inside a reader that is not ours
        raise FileProblem("E0610", f"`{path}` is damaged, or no {suffix} file: {reason(e)}") from None
    if isinstance(array, dict):
        for name, (part, _) in array.items():
            _check_order(f"{path}::{name}", part)
        parts = {name: part for name, (part, _) in array.items()}
        return Loaded(parts, None, path, {name: of or _dtype_of(part) for name, (part, of) in array.items()})
    _check_order(path, array)
    return Loaded(array, dtype or _dtype_of(array), path, _fields_of(array))


def _split(argument: str) -> tuple[str, str]:
    if os.path.exists(argument):
        return argument, ""
    path, _, member = argument.partition("::")
    return path, member


def _check_readable(path: str, suffix: str) -> None:
    if not path:
        raise FileProblem("E0610", "no file is named")
    if not os.path.exists(path):
        raise FileProblem("E0610", f"`{path}` does not exist", similar_file(path))
    if os.path.isdir(path):
        raise FileProblem("E0610", f"`{path}` is a folder", "name a file in it")
    if suffix not in _READERS:
        what = f"no reader for {suffix}" if suffix else "the name tells no format"
        raise FileProblem("E0610", f"`{path}`: {what}", "the formats are " + " ".join(SUFFIXES))
    if not os.path.isfile(path):
        raise FileProblem("E0610", f"`{path}` is not a plain file")
    try:
        with open(path, "rb") as f:
            empty = not f.read(1)
    except OSError as e:
        raise FileProblem("E0610", f"`{path}`: {reason(e)}") from None
    if empty:
        raise FileProblem("E0610", f"`{path}` is empty")


def similar_file(path: str, suffix: str = "") -> str:
    """A help that names the file which may have been meant; "" when none is near."""
    folder, base = os.path.split(path)
    try:
        names = [n for n in os.listdir(folder or ".") if n.endswith(suffix) and os.path.isfile(os.path.join(folder, n))]
    except OSError:
        return ""
    # Endings are alike in many files, so what stands before them decides; the same name with another ending is nearest.
    stems = {Path(n).stem: n for n in names}
    stem = Path(base).stem if Path(base).stem in stems else nearest(Path(base).stem, stems)
    return f"did you mean `{os.path.join(folder, stems[stem])}`?" if stem is not None else ""


def _check_order(path: str, array: Array) -> None:
    """Swapping bytes would change no value, but a copy as large as the file should be somebody's decision."""
    if not array.dtype.isnative:
        other = "big" if array.dtype.newbyteorder("=").byteorder in "=<" else "little"
        raise FileProblem(
            "E0610", f"`{path}` holds {other}-endian numbers ({array.dtype.str}), in the byte order of other machines",
            f"save it anew: np.save({os.path.basename(path)!r}, a.astype({array.dtype.newbyteorder('=').str!r}))",
        )  # fmt: skip


def _fields_of(array: Array) -> dict[str, str | None]:
    """The dtypes of the fields of a structured array, or of complex numbers."""
    from lem_runtime import field_dtypes, lem_dtype

    return {name: lem_dtype(dtype) for name, dtype in field_dtypes(array.dtype)}


def _dtype_of(array: Array) -> str | None:
    from lem_runtime import lem_dtype

    return lem_dtype(array.dtype)


# ---------------------------------------------------------------- structs whose fields lie apart
def _read_apart(path: str, wanted: Wanted) -> tuple[Any, str] | None:
    """The fields of a struct that are arrays of their own in a file: `b.x`, or `x` where the file holds nothing else. None
    where it is not so: then the file holds one array."""
    suffix = suffix_of(path)
    if not wanted.fields or suffix not in _WITH_MEMBERS:
        return None
    names = _MEMBERS[suffix](path)
    for prefix in (f"{wanted.name}.", ""):
        found = {f: prefix + f for f in wanted.fields if prefix + f in names}
        if found and wanted.name not in names:
            return {f: _READERS[suffix](path, member, wanted) for f, member in found.items()}, ""
    return None


def _npz_members(path: str) -> set[str]:
    if not zipfile.is_zipfile(path):
        raise _Damaged("it is no .npz file, or a truncated one")
    with zipfile.ZipFile(path) as z:
        return {name.removesuffix(".npy") for name in z.namelist()}


def _safetensors_members(path: str) -> set[str]:
    with open(path, "rb") as f:
        return set(tensors.read_header(f)[0])


# ---------------------------------------------------------------- the formats
def _read_npy(path: str, name: str, wanted: Wanted) -> tuple[Array, str]:
    with open(path, "rb") as f:
        return _npy(f, os.path.getsize(path)), ""


def _npy(f: IO[bytes], n_bytes: int) -> Array:
    """The array in an open .npy of `n_bytes` bytes."""
    import numpy as np

    head = f.read(8)
    if head[:6] != b"\x93NUMPY":
        is_zip = head[:2] == b"PK"
        raise _Damaged("it holds several arrays; name it .npz" if is_zip else "it does not begin like a .npy file")
    f.seek(0)
    version = np.lib.format.read_magic(f)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(f)
    if dtype.hasobject:
        raise _Damaged("it holds pickled Python objects, which lem never loads")
    missing = math.prod(shape) * dtype.itemsize - (n_bytes - f.tell())
    if missing > 0:
        raise _Damaged(f"it is cut off: {missing} of its bytes are missing")
    f.seek(0)
    return np.asarray(np.lib.format.read_array(f, allow_pickle=False))


def _read_npz(path: str, name: str, wanted: Wanted) -> tuple[Array, str]:
    if not zipfile.is_zipfile(path):
        raise _Damaged("it is no .npz file, or a truncated one")
    with zipfile.ZipFile(path) as z:
        members = {info.filename.removesuffix(".npy"): info for info in z.infolist()}
        picked = members[_pick(path, name, tuple(members), "array")]
        with z.open(picked) as f:
            return _npy(f, picked.file_size), ""


def _read_safetensors(path: str, name: str, wanted: Wanted) -> tuple[Array, str]:
    with open(path, "rb") as f:
        found, base = tensors.read_header(f)
        return tensors.read(f, found[_pick(path, name, tuple(found), "tensor")], base)


def _pick(path: str, name: str, names: Sequence[str], what: str) -> str:
    """The member of that name, or the only one there is."""
    if name in names:
        return name
    if len(names) == 1:
        return names[0]
    shown = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
    help = f"it has {shown}: write {path}::NAME" if names else ""
    raise FileProblem("E0610", f"`{path}` has no {what} `{name}`", help)


def _read_picture(path: str, name: str, wanted: Wanted) -> tuple[Array, str]:
    import numpy as np
    from PIL import Image

    with open(path, "rb") as f:
        head = f.read(26)
    # IHDR: bits per sample at 24, colour type at 25 (PNG specification, 11.2.1).
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10" and head[25:26] != b"\0":
        raise FileProblem("E0610", f"`{path}` has 16 bits per colour, of which the reader keeps 8", "save it as .npy (u16)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as opened:
            picture: Image.Image = opened
            if picture.mode == "P":  # a palette is an encoding, not a colour space: decode it
                picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
            if picture.mode not in _COLOURS:
                help = "convert it to RGB with a picture program, or save its numbers as .npy"
                raise FileProblem("E0610", f"`{path}` has the colours {picture.mode}, which lem does not read", help)
            array = np.array(picture)
    # Some versions of the library give 16-bit grey as i32.
    return array.astype(np.uint16) if array.dtype == np.int32 and picture.mode == "I" else array, ""


def _read_csv(path: str, name: str, wanted: Wanted) -> tuple[Array, str]:
    import numpy as np

    from lem_runtime import numpy_dtype

    if wanted.fields:
        raise FileProblem("E0610", f"`{path}`: .csv holds numbers, and `{name}` is an array of `{wanted.dtype}`", "use .npy")
    if wanted.dtype in NARROW:
        raise FileProblem("E0610", f"`{path}`: .csv cannot be read as {wanted.dtype}", "use .safetensors")
    with open(path, encoding="utf-8-sig") as f:
        names = f.readline()
        header = int(_is_header(names))
    dtype = numpy_dtype(wanted.dtype) if wanted.dtype else np.dtype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "input contained no data": an empty array is one
        try:
            made = np.loadtxt(path, delimiter=",", skiprows=header, dtype=dtype, ndmin=2, encoding="utf-8-sig")
        except ValueError as e:
            raise _table_problem(path, header, dtype) or _Damaged(reason(e)) from None
    if header and made.size == 0:
        made = made.reshape(0, len(names.split(",")))  # the names tell how many columns have no rows
    if wanted.rank == 1 and (1 in made.shape or made.size == 0):
        made = made.reshape(-1)
    return made, ""


def _is_header(line: str) -> bool:
    """Whether a first line names columns: a line with one number in it is data, so that no number is left out silently."""
    return bool(line.strip()) and not any(_is_number(cell, float) for cell in line.split(","))


def _is_number(cell: str, kind: Callable[[str], object]) -> bool:
    try:
        kind(cell.strip())
    except (ValueError, OverflowError):
        return False
    return True


def _table_problem(path: str, header: int, dtype: np.dtype[Any]) -> FileProblem | None:
    """What is wrong with a table that could not be read, with the line as an editor counts it."""
    columns = 0
    with open(path, encoding="utf-8-sig", errors="replace") as f:
        for n, line in enumerate(f, 1):
            cells = line.partition("#")[0].strip().split(",")
            if n <= header or cells == [""]:
                continue
            columns = columns or len(cells)
            if len(cells) != columns:
                said = f"line {n} has {len(cells)} column{'s' if len(cells) != 1 else ''}, not {columns} as those before"
                return FileProblem("E0610", f"`{path}`: {said}")
            for column, cell in enumerate(cells, 1):
                if not _is_number(cell, int if dtype.kind == "b" else dtype.type):
                    return _wrong_cell(f"`{path}`: line {n}, column {column}", cell.strip(), dtype)
    return None


def _wrong_cell(where: str, cell: str, dtype: np.dtype[Any]) -> FileProblem:
    from lem_runtime import lem_dtype

    if not cell:
        return FileProblem("E0610", f"{where} is empty")
    help = "columns of a .csv file are separated by commas" if any(sign in cell for sign in "; \t") else ""
    shown = cell if len(cell) <= 40 else f"{cell[:37]}..."
    return FileProblem("E0610", f"{where}: `{shown}` cannot be read as {lem_dtype(dtype)}", help)


_COLOURS = ("1", "L", "LA", "RGB", "RGBA", "I", "I;16", "F")  # modes of pillow whose numbers mean what they seem to
_MEMBERS: dict[str, Callable[[str], set[str]]] = {".npz": _npz_members, ".safetensors": _safetensors_members}
_WITH_MEMBERS = tuple(_MEMBERS)
_READERS: dict[str, Callable[[str, str, Wanted], tuple[Array, str]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".png": _read_picture,
    ".jpg": _read_picture,
    ".jpeg": _read_picture,
    ".csv": _read_csv,
    ".safetensors": _read_safetensors,
}
