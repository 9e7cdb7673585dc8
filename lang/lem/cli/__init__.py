"""The command ``lem``: a thin shell over ``pipeline`` and the runtime. One file per verb; nothing is decided here.

Exit codes: 0 done; 1 the program is wrong, or a test failed; 2 the command line or an input does not fit; 3 the program
faulted while running; 70 an error of lem itself; 124 time is up; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lem.cli.codes import Exit

__all__ = ["Exit", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code is returned (the console script passes it to the system)."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        # Late, so that Ctrl-C while modules load is answered too.
        from lem.cli import arguments, output

        return output.guarded(lambda: arguments.dispatch(args), as_json="--json" in args)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        return Exit.INTERRUPTED
