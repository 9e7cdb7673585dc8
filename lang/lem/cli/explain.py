"""``lem explain E0312``: the page of a code."""

from __future__ import annotations

import argparse
import sys

from lem.cli import output
from lem.cli.codes import Exit
from lem.diagnostics import explain


def command(args: argparse.Namespace) -> int:
    code = args.code.upper()
    text = explain.page(code)
    if text is None:
        near = explain.suggest(code)
        output.fail("E0620", f"there is no code `{args.code}`", help=f"near it: {', '.join(near)}" if near else "")
    if output.is_person(sys.stdout):
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text.replace("```lem wrong", "```python").replace("```lem right", "```python")))
    else:
        print(text.rstrip())
    return Exit.DONE
