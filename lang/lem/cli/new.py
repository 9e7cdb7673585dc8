"""``lem new``: a folder with a program, its test, a README and a CI file; all of it, or nothing."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from keyword import iskeyword
from pathlib import Path
from typing import NoReturn

from lem.cli import files, output
from lem.cli.codes import Exit

_PROGRAM = '''\
"""Scaled sums: y = a * x + y.

    lem run {module}.lem a=2 x=x.npy y=y.npy -o y=result.npy
    lem test {module}.lem
"""


kernel add_scaled[N](a: f32, x: f32[N], y: inout f32[N]):
    for i in grid(N):
        y[i] = a * x[i] + y[i]


test "each element is scaled and added":
    x = f32([1.0, 2.0, 3.0])
    y = f32([10.0, 20.0, 30.0])
    add_scaled(2.0, x, y)
    check y == f32([12.0, 24.0, 36.0])
'''

_README = """\
# {name}

A program in lem: `{module}.lem` holds a kernel and the tests of it.

```console
lem check .         # names, types, shapes, races: everything that can be said without running
lem test .          # the test blocks
lem fmt .           # one layout for all
```

Run it on files of numbers (`x.npy` and `y.npy`, one axis of f32 each, of the same length):

```console
lem run {module}.lem a=2 x=x.npy y=y.npy -o y=result.npy
```

lem comes from Python's package index: `pip install lemlang`.
"""

_WORKFLOW = """\
name: lem

on: [push, pull_request]

jobs:
  lem:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install lemlang
      - run: lem check .
      - run: lem test .
      - run: lem fmt --check .
"""

FILES = {
    "{module}.lem": _PROGRAM,
    "README.md": _README,
    ".github/workflows/lem.yml": _WORKFLOW,
}


def command(args: argparse.Namespace) -> int:
    folder = args.name.rstrip("/" + os.sep) or args.name
    name = os.path.basename(folder)
    module = _module_name(name)
    if os.path.lexists(folder):
        _refuse(folder, "is there already, and nothing is overwritten", "choose another name, or remove it first")
    parent = os.path.dirname(folder) or "."
    if not os.path.isdir(parent):
        _refuse(folder, f"the folder `{parent}` does not exist", f"make it: mkdir -p {parent}")
    try:
        texts = {path.format(module=module): text.format(name=name, module=module) for path, text in FILES.items()}
        _make(folder, parent, texts)
    except OSError as e:
        _refuse(folder, files.reason(e), "")
    print(f"made {folder}: {', '.join(path.format(module=module) for path in FILES)}")
    print(f"next: cd {folder} && lem test .")
    return Exit.DONE


def _module_name(name: str) -> str:
    """The name of the program: that of the folder, in a form that `import` takes."""
    module = re.sub(r"[-. ]", "_", name)
    if not (module.isidentifier() and module.isascii()) or iskeyword(module) or module == "math":
        label = f"`{name}` cannot name a program"
        output.fail("E0620", label, help="take letters, digits and `-`, a letter first, and no word of the language")
    return module


def _make(folder: str, parent: str, texts: dict[str, str]) -> None:
    """All files in a folder beside it, which then gets its name."""
    staged = tempfile.mkdtemp(prefix=".lem-new-", dir=parent)
    try:
        os.chmod(staged, 0o777 & ~_mask())
        for path, text in texts.items():
            target = Path(staged, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
        os.rename(staged, folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _refuse(folder: str, why: str, help: str) -> NoReturn:
    output.fail("E0611", f"`{folder}`: {why}", help=help)
