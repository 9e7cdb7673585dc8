"""``python -m lem``: the same as the command ``lem``."""

import sys

from lem.cli import main

if __name__ == "__main__":
    sys.exit(main())
