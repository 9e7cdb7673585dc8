"""Print where a real photograph lies on this machine: one that scikit-learn ships (427 x 640 pixels, CC BY 2.0).

lem run examples/sharpen.lem image="$(python examples/photo.py)" -o result=sharp.png
python examples/photo.py flower
"""

import sys
from importlib.util import find_spec
from pathlib import Path


def main(name: str = "china") -> int:
    found = find_spec("sklearn")  # does not run the package, so this answers at once
    for folder in (found.submodule_search_locations or []) if found else []:
        photo = Path(folder, "datasets", "images", f"{name}.jpg")
        if photo.is_file():
            print(photo)
            return 0
    print(f"no photograph `{name}` here; pip install -e '.[examples]' brings `china` and `flower`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
