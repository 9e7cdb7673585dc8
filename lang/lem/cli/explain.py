"""``lem explain E0312``: the page of a code; without one, all codes."""

from __future__ import annotations

import argparse
import sys

from lem.cli import output
from lem.cli.codes import Exit
from lem.diagnostics import CODES, explain


def command(args: argparse.Namespace) -> int:
    if args.code is None:
        for known in CODES.values():
            print(f"{known.id}  {known.headline}")
        return Exit.DONE
    text = explain.page(args.code)
    if text is None:
        near = explain.suggest(args.code)
        help = f"near it: {', '.join(near)}" if near else "`lem explain` lists all codes"
        output.fail("E0620", f"there is no code `{args.code}`", help=help)
    if output.is_person(sys.stdout):
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text.replace("```lem wrong", "```python").replace("```lem right", "```python")))
    else:
        print(text.rstrip())
    return Exit.DONE
