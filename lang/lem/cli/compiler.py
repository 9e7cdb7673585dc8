"""The system's C compiler: `CC`, or cc. It joins objects and a C file to a shared library."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from lem.aot.library import Library
from lem.cli import output

_TIMEOUT_S = 300


def find() -> list[str]:
    """The command that calls it. Stops where there is none."""
    told = os.environ.get("CC", "")
    command = shlex.split(told) or ["cc"]
    if shutil.which(command[0]) is None:
        label = f"`{command[0]}`, which CC names, is not found" if told else "`cc` is not found, and CC names no other"
        output.fail("E0505", label, help="install gcc or clang; a bundle needs none: -o NAME.lemb")
    return command


def link(name: str, made: Library) -> bytes:
    """The shared library. Stops with what the compiler says where it fails."""
    with tempfile.TemporaryDirectory(prefix="lem-cc-") as folder:
        here = Path(folder)
        (here / "library.h").write_text(made.header, encoding="utf-8")
        (here / "library.c").write_text(made.source, encoding="utf-8")
        for n, data in enumerate(made.objects):
            (here / f"{n}.o").write_bytes(data)
        objects = [f"{n}.o" for n in range(len(made.objects))]
        parts = ["library.c", *objects, "-lpthread"]
        command = [*find(), *_OPTIONS, *_exports(here, f"{name}.so", made), "-o", "library.so", *parts]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as e:
            _fail(command[0], str(e))
        if done.returncode != 0:
            _fail(command[0], done.stderr or done.stdout)
        return (here / "library.so").read_bytes()


_OPTIONS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-fwrapv", "-fvisibility=hidden", "-w")


def _exports(folder: Path, name: str, made: Library) -> list[str]:
    """Others see the functions of the header alone: two libraries in one program have a core each."""
    if sys.platform == "darwin":
        (folder / "exports").write_text("".join(f"_{symbol}\n" for symbol in made.exports), encoding="ascii")
        return ["-Wl,-exported_symbols_list,exports"]
    symbols = "".join(f"{symbol}; " for symbol in made.exports)
    (folder / "exports").write_text(f"{{ global: {symbols}local: *; }};\n", encoding="ascii")
    # Workers are in its code to the end of the process, so it is never unloaded.
    return ["-Wl,--version-script=exports", "-Wl,-z,nodelete", "-Wl,-z,noexecstack", "-Xlinker", "-soname", "-Xlinker", name]


def _fail(command: str, said: str) -> NoReturn:
    lines = [line for line in said.strip().splitlines() if line.strip()][:8]
    label = f"`{command}` could not make the library"
    output.fail("E0505", label, note="\n".join(lines), help="it is called as GCC and Clang are; CC names another one")
