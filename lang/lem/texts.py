"""Where program texts come from, and keys made of them. Light: a cached program runs without importing any stage.

Takes paths and module names; gives :class:`SourceFile` or a report. Keys name compiled code by everything it depends on.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator

from lem import __version__
from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0610
from lem.source import SourceFile, library_name
from lem_runtime.abi import ABI_VERSION
from lem_runtime.abi.hashing import sha256
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.source import Facts

MAX_SOURCE_BYTES = 16 * 1024 * 1024  # a file larger than this is no program


# ---------------------------------------------------------------- texts
def read_source(path: str, diags: Diagnostics) -> SourceFile | None:
    """The text of a file; None and a report when it cannot be read or is no text."""
    data = read_bytes(path, diags)
    return None if data is None else decoded(path, data, diags)


def read_bytes(path: str, diags: Diagnostics) -> bytes | None:
    """What a file holds, if it can be read and is no larger than a program can be."""
    try:
        with open(path, "rb") as f:
            data = f.read(MAX_SOURCE_BYTES + 1)  # never more: a device can go on for ever
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        diags.error(E0610, None, f"`{path}`: {reason.lower()}")
        return None
    if len(data) > MAX_SOURCE_BYTES:
        diags.error(E0610, None, f"`{path}` is larger than {MAX_SOURCE_BYTES >> 20} MiB, so it is no program")
        return None
    return data


def decoded(name: str, data: bytes, diags: Diagnostics) -> SourceFile | None:
    """Bytes as a text with plain line ends; None and a report when they are none."""
    try:
        return SourceFile(name, data.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as e:
        diags.error(E0610, None, f"`{name}` is not UTF-8 text: byte {e.start} is {data[e.start]:#04x}")
        return None


def module_loader(source: SourceFile) -> Callable[[str], SourceFile | None]:
    """Finds `import nn`: ``nn.lem`` beside the file, then the library (LANGUAGE 35)."""
    folder = os.path.dirname(source.name)

    def load(name: str) -> SourceFile | None:
        if not name.isidentifier():
            return None
        beside = os.path.join(folder, f"{name}.lem")
        if os.path.isfile(beside):
            return read_source(beside, Diagnostics())
        return library_source(name)

    return load


def library_source(name: str) -> SourceFile | None:
    """The text of a library module, or None."""
    from importlib.resources import files  # slow to import, and a cached program does not need it

    found = files("lem_stdlib") / f"{name}.lem"
    return SourceFile(library_name(name), found.read_text("utf-8")) if found.is_file() else None


# ---------------------------------------------------------------- cache keys
def source_key(files: tuple[SourceFile, ...], entry: str, facts: Facts, machine: Machine, target: str) -> str:
    """What an artifact depends on, when only the texts are known: lets a cached program run without being parsed."""
    parts = [__version__, str(ABI_VERSION), compiler_stamp(), entry, str(facts), machine.key, target]
    for f in files:
        parts += [f.name, f.text]
    return digest(*parts)


def digest(*parts: str) -> str:
    h = sha256()
    for p in parts:
        data = p.encode(errors="surrogatepass")  # names of files need not be text
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()


_stamp: list[str] = []


def compiler_stamp() -> str:
    """Changes when the compiler's own files or the library change: sizes and times of all of them."""
    if not _stamp:
        h = sha256()
        for package in ("lem", "lem_stdlib", "lem_runtime"):
            root = importlib.import_module(package).__path__[0]
            h.update("".join(sorted(_files_in(root))).encode(errors="surrogatepass"))
        _stamp.append(h.hexdigest())
    return _stamp[0]


def _files_in(folder: str) -> Iterator[str]:
    """A line about each file of the compiler below a folder."""
    with os.scandir(folder) as entries:
        for e in entries:
            if e.name.endswith((".py", ".lem", ".json", ".lark", ".ll")):
                s = e.stat()
                yield f"{e.path} {s.st_size} {s.st_mtime_ns}\n"
            elif e.name != "__pycache__" and e.is_dir():
                yield from _files_in(e.path)
