"""Arrays from files and back: .npy .npz .png .jpg .csv .safetensors (LANGUAGE 44).

Takes a path and the parameter it is for; gives a NumPy array with nothing converted. Writing goes through a temporary
file in the same folder and a rename, so that a half-written output never stands under its name.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

READABLE = (".npy", ".npz", ".png", ".jpg", ".jpeg", ".csv", ".safetensors")
WRITABLE = (".npy", ".npz", ".png", ".jpg", ".jpeg", ".csv", ".safetensors")


class FileProblem(Exception):
    """A file cannot be used. `code` is E0610 (reading) or E0611 (writing)."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help


# ---------------------------------------------------------------- reading
def read_array(path: str, name: str, dtype: str = "", rank: int | None = None) -> np.ndarray[Any, Any]:
    """The array in `path`. `name` picks a member of .npz and .safetensors; `dtype` (a lem name) is what text becomes.

    `rank` lets a one-column .csv be a vector. Raises :class:`FileProblem`.
    """
    path, _, member = path.partition("::")
    suffix = Path(path).suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        raise FileProblem("E0610", f"`{path}`: no reader for `{suffix or 'no extension'}`", "use " + " ".join(READABLE))
    if not os.path.exists(path):
        raise FileProblem("E0610", f"`{path}` does not exist", _similar_file(path))
    try:
        return reader(path, member or name, dtype, rank)
    except FileProblem:
        raise
    except ImportError as e:
        raise FileProblem("E0610", f"`{path}`: reading {suffix} needs the package `{e.name}`") from None
    except MemoryError:
        raise FileProblem("E0614", f"`{path}`: not enough memory to read it") from None
    except Exception as e:  # a damaged file can fail in any way inside a reader that is not ours
        reason = getattr(e, "strerror", None) or str(e) or type(e).__name__
        raise FileProblem("E0610", f"`{path}`: {reason}") from None


def _similar_file(path: str) -> str:
    from lem.diagnostics.suggest import nearest

    folder = os.path.dirname(path) or "."
    try:
        guess = nearest(os.path.basename(path), os.listdir(folder))
    except OSError:
        return ""
    return f"did you mean `{os.path.join(os.path.dirname(path), guess)}`?" if guess else ""


def _read_npy(path: str, name: str, dtype: str, rank: int | None) -> np.ndarray[Any, Any]:
    import numpy as np

    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise FileProblem("E0610", f"`{path}` holds several arrays; name it .npz")
    return array


def _read_npz(path: str, name: str, dtype: str, rank: int | None) -> np.ndarray[Any, Any]:
    import numpy as np

    with np.load(path, allow_pickle=False) as members:
        names = list(members.files)
        if name in names:
            return np.asarray(members[name])
        if len(names) == 1:
            return np.asarray(members[names[0]])
    raise FileProblem("E0610", f"`{path}` has no array `{name}`", f"it has {', '.join(names)}: write {path}::NAME")


def _read_picture(path: str, name: str, dtype: str, rank: int | None) -> np.ndarray[Any, Any]:
    import numpy as np
    from PIL import Image

    with Image.open(path) as opened:
        picture: Image.Image = opened
        if picture.mode == "P":  # a palette is an encoding, not a colour space: decode it
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        return np.array(picture)


def _read_csv(path: str, name: str, dtype: str, rank: int | None) -> np.ndarray[Any, Any]:
    import numpy as np

    from lem_runtime import numpy_dtype

    with open(path, encoding="utf-8-sig") as f:
        first = f.readline()
    header = 0 if _is_numbers(first) else 1
    made = np.loadtxt(path, delimiter=",", skiprows=header, dtype=numpy_dtype(dtype) if dtype else float, ndmin=2)
    return made[:, 0].copy() if rank == 1 and made.shape[1] == 1 else made.reshape(-1) if rank == 1 else made


def _is_numbers(line: str) -> bool:
    try:
        [float(cell) for cell in line.strip().split(",")]
    except ValueError:
        return False
    return True


def _read_safetensors(path: str, name: str, dtype: str, rank: int | None) -> np.ndarray[Any, Any]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as tensors:
        names = list(tensors.keys())
        pick = name if name in names else names[0] if len(names) == 1 else None
        if pick is None:
            raise FileProblem("E0610", f"`{path}` has no tensor `{name}`", f"it has {', '.join(names)}")
        return tensors.get_tensor(pick)  # type: ignore[no-any-return]


_READERS: dict[str, Callable[[str, str, str, int | None], np.ndarray[Any, Any]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".png": _read_picture,
    ".jpg": _read_picture,
    ".jpeg": _read_picture,
    ".csv": _read_csv,
    ".safetensors": _read_safetensors,
}


# ---------------------------------------------------------------- writing
def check_writable(path: str) -> None:
    """Refuse an output path early, before anything is computed. Raises :class:`FileProblem`."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITABLE:
        raise FileProblem("E0611", f"`{path}`: no writer for `{suffix or 'no extension'}`", "use " + " ".join(WRITABLE))
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileProblem("E0611", f"`{path}`: the folder `{folder}` does not exist")
    if os.path.isdir(path):
        raise FileProblem("E0611", f"`{path}` is a folder")
    if not os.access(folder, os.W_OK):
        raise FileProblem("E0611", f"`{path}`: the folder `{folder}` cannot be written")


def write_arrays(path: str, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write named arrays to one file; formats that hold one array take exactly one. Raises :class:`FileProblem`."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".safetensors") and len(arrays) != 1:
        names = ", ".join(arrays)
        raise FileProblem("E0611", f"`{path}` holds one array, not {names}", "use .npz, or one -o per array")
    try:
        with _replacing(path) as f:
            _WRITERS[suffix](f, arrays, suffix)
    except FileProblem:
        raise
    except ImportError as e:
        raise FileProblem("E0611", f"`{path}`: writing {suffix} needs the package `{e.name}`") from None
    except OSError as e:
        raise FileProblem("E0611", f"`{path}`: {e.strerror or e}") from None


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends well, and is gone when it does not."""
    folder, base = os.path.split(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{base}.", suffix=".part", dir=folder or ".")
    try:
        with os.fdopen(handle, "wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _write_npy(f: IO[bytes], arrays: dict[str, np.ndarray[Any, Any]], suffix: str) -> None:
    import numpy as np

    np.save(f, next(iter(arrays.values())), allow_pickle=False)


def _write_npz(f: IO[bytes], arrays: dict[str, np.ndarray[Any, Any]], suffix: str) -> None:
    import numpy as np

    np.savez(f, allow_pickle=False, **arrays)


def _write_picture(f: IO[bytes], arrays: dict[str, np.ndarray[Any, Any]], suffix: str) -> None:
    import numpy as np
    from PIL import Image

    (name, array), = arrays.items()
    flat = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if flat.dtype == np.bool_:
        flat = flat.astype(np.uint8) * 255
    if flat.dtype != np.uint8 or flat.ndim not in (2, 3) or (flat.ndim == 3 and flat.shape[2] not in (3, 4)):
        raise FileProblem(
            "E0611", f"`{name}` is {array.dtype} of shape {array.shape}; a picture is u8 [H, W], [H, W, 3] or [H, W, 4]",
            "write .npy, or convert in the kernel with u8(...)",
        )
    if 0 in flat.shape:
        raise FileProblem("E0611", f"`{name}` has shape {array.shape}; a picture cannot be empty")
    if suffix != ".png" and flat.ndim == 3 and flat.shape[2] == 4:
        raise FileProblem("E0611", f"`{name}` has an alpha channel, which .jpg cannot hold", "write .png")
    kind = "PNG" if suffix == ".png" else "JPEG"
    Image.fromarray(np.ascontiguousarray(flat)).save(f, format=kind, **({"quality": 95} if kind == "JPEG" else {}))


def _write_csv(f: IO[bytes], arrays: dict[str, np.ndarray[Any, Any]], suffix: str) -> None:
    import numpy as np

    (name, array), = arrays.items()
    if array.ndim > 2:
        raise FileProblem("E0611", f"`{name}` has {array.ndim} axes; .csv holds one or two", "write .npy")
    whole = array.dtype.kind in "iub"
    fmt = "%d" if whole else "%.9g" if array.dtype.itemsize <= 4 else "%.17g"
    np.savetxt(f, array.reshape(array.shape[0], -1) if array.ndim == 2 else array.reshape(-1, 1), fmt=fmt, delimiter=",")


def _write_safetensors(f: IO[bytes], arrays: dict[str, np.ndarray[Any, Any]], suffix: str) -> None:
    import numpy as np
    from safetensors.numpy import save

    f.write(save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))


_WRITERS: dict[str, Callable[[IO[bytes], dict[str, np.ndarray[Any, Any]], str], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".png": _write_picture,
    ".jpg": _write_picture,
    ".jpeg": _write_picture,
    ".csv": _write_csv,
    ".safetensors": _write_safetensors,
}
