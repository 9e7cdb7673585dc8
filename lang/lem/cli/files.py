"""Writes results: .npy .npz .png .jpg .csv .safetensors (LANGUAGE 44). Also what reading and writing share.

Takes named arrays and paths. Every file is first written whole under another name in its folder; only when all of them
are complete do they take their places, so no half-written output ever stands under its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lem.cli import tensors
from lem_runtime.abi.records import dataclass

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SUFFIXES = (".npy", ".npz", ".png", ".jpg", ".jpeg", ".csv", ".safetensors")
_SEVERAL = (".npz", ".safetensors")  # formats that hold several arrays
_LONGEST_REASON = 160  # a reader that is not ours may quote half a damaged file
NARROW = ("bf16", "f8e4m3", "f8e5m2")  # NumPy has no such types: only .safetensors can say what the bits mean


class FileProblem(Exception):
    """A file cannot be used. `code` is E0610 (reading), E0611 (writing) or E0614 (memory)."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help


@dataclass(frozen=True, slots=True)
class Result:
    """An array to be written. dtype: lem's name, which NumPy's may not tell (bf16 is held as u16).

    fields: of an array of structs, one for each field, by its path; then `array` is the first, which tells the shape.
    """

    name: str
    dtype: str
    array: Array
    fields: tuple[Result, ...] = ()


def suffix_of(path: str) -> str:
    return Path(path).suffix.lower()


def reason(e: BaseException) -> str:
    """Why something failed, in a few words without a capital."""
    text = str(getattr(e, "strerror", None) or str(e).strip().partition("\n")[0] or type(e).__name__)
    text = text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


# ---------------------------------------------------------------- before anything is computed
@dataclass(frozen=True, slots=True)
class Planned:
    """A result that is going to be written. dtype: "" where only the arguments tell. fields: of structs, their dtypes."""

    name: str
    dtype: str
    rank: int
    fields: tuple[str, ...] = ()


def check_writable(path: str, planned: Sequence[Planned]) -> None:
    """Refuse an output path, or what cannot be written there, early. Raises :class:`FileProblem`."""
    suffix = suffix_of(path)
    if not path:
        raise FileProblem("E0611", "no file is named", "write -o name=path")
    if suffix not in SUFFIXES:
        what = f"no writer for {suffix}" if suffix else "the name tells no format"
        raise FileProblem("E0611", f"`{path}`: {what}", "the formats are " + " ".join(SUFFIXES))
    if len(planned) > 1 and suffix not in _SEVERAL:
        raise FileProblem("E0611", f"`{path}` is named twice, and {suffix} holds one array", "write .npz or .safetensors")
    _check_place(path)
    for p in planned:
        _check_format(suffix, p)


def _check_place(path: str) -> None:
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        why = "is not a folder" if os.path.exists(folder) else "does not exist"
        raise FileProblem("E0611", f"`{path}`: the folder `{folder}` {why}", f"make it: mkdir -p {folder}")
    if os.path.isdir(path):
        raise FileProblem("E0611", f"`{path}` is a folder", "name a file in it")
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileProblem("E0611", f"`{path}` is not a plain file")
    if not os.access(folder, os.W_OK):
        raise FileProblem("E0611", f"`{path}`: the folder `{folder}` cannot be written")


def _check_format(suffix: str, p: Planned) -> None:
    """Whether a format can hold such an array at all; sizes may refuse it later."""
    if p.fields and suffix not in (".npy", *_SEVERAL):
        what = f"`{p.name}` is an array of `{p.dtype}`, which {suffix} cannot hold"
        raise FileProblem("E0611", what, "write .npy or .npz")
    for dtype in p.fields:
        _check_format(suffix, Planned(p.name, dtype, p.rank))
    if p.dtype in NARROW and suffix != ".safetensors":
        raise FileProblem("E0611", f"`{p.name}` is {p.dtype}, which {suffix} cannot hold", "write .safetensors")
    if suffix == ".csv" and p.rank > 2:
        raise FileProblem("E0611", f"`{p.name}` has {p.rank} axes; .csv holds one or two", "write .npy")
    if suffix in (".png", ".jpg", ".jpeg") and (p.rank not in (2, 3) or p.dtype not in ("", "u8", "u16", "bool")):
        raise _no_picture(p.name, f"{p.dtype} with {p.rank} ax{'i' if p.rank == 1 else 'e'}s")


def _no_picture(name: str, what: str) -> FileProblem:
    form = "u8[H, W], u8[H, W, 3] or u8[H, W, 4]"
    help = "write .npy, or let the kernel give u8(...), which keeps to 0 .. 255"
    return FileProblem("E0611", f"`{name}` is {what}; a picture is {form}", help)


# ---------------------------------------------------------------- writing
def write_results(by_path: Mapping[str, Sequence[Result]]) -> None:
    """Write each path's results; all files appear, or none does. Raises :class:`FileProblem`."""
    staged: list[tuple[str, str]] = []
    try:
        for path, results in by_path.items():
            staged.append((_stage(path, results), path))
        for temporary, path in staged:
            _rename(temporary, path)
    finally:
        for temporary, _ in staged:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_bytes(path: str, data: bytes, *, mode: int | None = None) -> None:
    """One file, whole or not at all. `mode`: its rights, if not those of a new file. Raises :class:`FileProblem`."""
    _check_place(path)
    temporary = _staged(path, lambda f: f.write(data))
    try:
        if mode is not None:
            os.chmod(temporary, mode)
        _rename(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _stage(path: str, results: Sequence[Result]) -> str:
    write = _WRITERS[suffix_of(path)]
    try:
        return _staged(path, lambda f: write(f, results))
    except ImportError as e:
        raise FileProblem("E0611", f"`{path}`: a picture needs the package pillow", "pip install pillow") from e


def _staged(path: str, write: Callable[[IO[bytes]], object]) -> str:
    """The name of a complete file in the folder of `path`, with the rights that a new file gets."""
    folder, base = os.path.split(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{base[:32]}.", suffix=".part", dir=folder or ".")
        with os.fdopen(handle, "wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
    except BaseException as e:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(e, OSError):
            raise _refused(path, e) from None
        raise
    return temporary


def _rename(temporary: str, path: str) -> None:
    try:
        os.replace(temporary, path)
    except OSError as e:
        raise _refused(path, e) from None


def _refused(path: str, e: OSError) -> FileProblem:
    help = "make room, or write to another disk" if e.errno == errno.ENOSPC else ""
    return FileProblem("E0611", f"`{path}`: {reason(e)}", help)


def _write_npy(f: IO[bytes], results: Sequence[Result]) -> None:
    import numpy as np

    _refuse_narrow(results, ".npy")
    # Through an object that is no file: NumPy writes to files itself, and then cannot say why that failed.
    np.save(_Stream(f), _whole(results[0]), allow_pickle=False)


@dataclass(frozen=True, slots=True)
class _Stream:
    """The one method of a file that NumPy needs."""

    file: IO[bytes]

    def write(self, data: bytes) -> int:
        return self.file.write(data)


def _whole(r: Result) -> Array:
    """The array as one: structs with named fields, of two floats `re` and `im` complex numbers."""
    if not r.fields:
        return r.array
    from lem_runtime import dtype_of, joined

    whole = joined(dtype_of((x.name, x.dtype) for x in r.fields), {x.name: x.array for x in r.fields})
    return whole.view(_COMPLEX[r.fields[0].dtype]) if is_complex(r) else whole


_COMPLEX = {"f32": "c8", "f64": "c16"}


def is_complex(r: Result) -> bool:
    """Whether the structs lie as NumPy's complex numbers."""
    names, dtypes = [x.name for x in r.fields], {x.dtype for x in r.fields}
    return names == ["re", "im"] and len(dtypes) == 1 and dtypes <= _COMPLEX.keys()


def _apart(results: Sequence[Result]) -> list[Result]:
    """The arrays of a file that holds several: of structs one per field, with the name of the array where others are
    there too."""
    out: list[Result] = []
    for r in results:
        prefix = f"{r.name}." if len(results) > 1 else ""
        out += [Result(prefix + x.name, x.dtype, x.array) for x in r.fields] if r.fields else [r]
    return out


def _write_npz(f: IO[bytes], results: Sequence[Result]) -> None:
    import numpy as np

    _refuse_narrow(results, ".npz")
    whole = [Result(r.name, "", _whole(r)) if is_complex(r) else r for r in results]
    np.savez(f, allow_pickle=False, **{r.name: r.array for r in _apart(whole)})


def _refuse_narrow(results: Sequence[Result], suffix: str) -> None:
    for r in results:
        _refuse_narrow(r.fields, suffix)
        if r.dtype in NARROW:
            raise FileProblem("E0611", f"`{r.name}` is {r.dtype}, which {suffix} cannot hold", "write .safetensors")


def _write_safetensors(f: IO[bytes], results: Sequence[Result]) -> None:
    tensors.write(f, [(r.name, r.dtype, r.array) for r in _apart(results)])


def _write_csv(f: IO[bytes], results: Sequence[Result]) -> None:
    import numpy as np

    _refuse_narrow(results, ".csv")
    name, array = results[0].name, results[0].array
    if array.ndim > 2:
        raise FileProblem("E0611", f"`{name}` has {array.ndim} axes; .csv holds one or two", "write .npy")
    # Enough digits to read the same number back.
    digits = {2: "%.5g", 4: "%.9g", 8: "%.17g"}
    fmt = "%d" if array.dtype.kind in "iub" else digits[array.dtype.itemsize]
    np.savetxt(f, array if array.ndim == 2 else array.reshape(-1, 1), fmt=fmt, delimiter=",")


def _write_png(f: IO[bytes], results: Sequence[Result]) -> None:
    _save_picture(f, _picture(results[0], ".png"), "PNG")


def _write_jpeg(f: IO[bytes], results: Sequence[Result]) -> None:
    _save_picture(f, _picture(results[0], ".jpg"), "JPEG", quality=95)


def _save_picture(f: IO[bytes], array: Array, kind: str, **options: int) -> None:
    from PIL import Image

    Image.fromarray(array).save(f, format=kind, **options)


def _picture(r: Result, suffix: str) -> Array:
    """The pixels as the picture library takes them: u8 (.png: also u16 grey), [H, W] or [H, W, channels]."""
    import numpy as np

    array = r.array[:, :, 0] if r.array.ndim == 3 and r.array.shape[2] == 1 else r.array
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    grey, colours = array.ndim == 2, array.shape[2] if array.ndim == 3 else 0
    fits = grey or colours in (3, 4) if array.dtype == np.uint8 else array.dtype == np.uint16 and grey and suffix == ".png"
    shape = ", ".join(map(str, r.array.shape))
    if not fits or r.dtype in NARROW:
        raise _no_picture(r.name, f"{r.dtype}[{shape}]")
    if 0 in array.shape:
        raise FileProblem("E0611", f"`{r.name}` is {r.dtype}[{shape}]: a picture cannot be empty", "write .npy")
    if suffix == ".jpg" and colours == 4:
        raise FileProblem("E0611", f"`{r.name}` has an alpha channel, which .jpg cannot hold", "write .png")
    return np.ascontiguousarray(array)


_WRITERS: dict[str, Callable[[IO[bytes], Sequence[Result]], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".png": _write_png,
    ".jpg": _write_jpeg,
    ".jpeg": _write_jpeg,
    ".csv": _write_csv,
    ".safetensors": _write_safetensors,
}
