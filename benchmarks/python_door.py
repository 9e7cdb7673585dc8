"""What the door from Python costs: a call, the import, the first call. Prints medians next to peers that are installed.

    python benchmarks/python_door.py [--rounds 15] [--json]

A call: three f32[8] arrays, the same saxpy everywhere, medians over interleaved rounds of 20,000 calls; also above an empty
Python function. The import and the first calls run in processes of their own, interleaved: `import numpy` alone beside
`import numpy, lem`, and simple kernels with an empty and with a warm cache on disk: the first one of the process, for which
the compiler is loaded where the cache is empty, and the next one.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import lem
from lem.dims import N

CALLS = 20_000

FIRST = """
import time
import numpy as np
import lem
from lem.dims import N
@lem.kernel
def saxpy(x: lem.f32[N], y: lem.f32[N], z: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        z[i] = y[i] + 2.0 * x[i]
x, y, z = (np.ones(8, np.float32) for _ in range(3))
@lem.kernel
def other(x: lem.f32[N], y: lem.f32[N], z: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        z[i] = y[i] * 2.0 + x[i]
times = [time.perf_counter()]
for kernel in (saxpy, other):
    kernel(x, y, z)
    times.append(time.perf_counter())
print(times[1] - times[0], times[2] - times[1])
"""


@lem.kernel
def saxpy(x: lem.f32[N], y: lem.f32[N], z: lem.out[lem.f32[N]]) -> None:
    for i in lem.grid(N):
        z[i] = y[i] + 2.0 * x[i]


def empty(x: Any, y: Any, z: Any) -> None:
    pass


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    rows = {"calls_ns": calls(args.rounds), "import_ms": imports(args.rounds), "first_call_ms": first_calls(args.rounds)}
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    print("one call on three f32[8] arrays")
    for name, ns in rows["calls_ns"].items():
        print(f"  {name:<24}{ns:9.0f} ns   {ns - rows['calls_ns']['empty function']:+9.0f} above an empty function")
    for title in ("import_ms", "first_call_ms"):
        print(title.replace("_", " ").removesuffix(" ms"))
        for name, ms in rows[title].items():
            print(f"  {name:<24}{ms:9.1f} ms")
    return 0


# ---------------------------------------------------------------- one call
def calls(rounds: int) -> dict[str, float]:
    x, y, z = (np.ones(8, np.float32) for _ in range(3))
    candidates: dict[str, Callable[..., Any]] = {"empty function": empty, "lem": saxpy}
    candidates["numpy.add(x, y, out)"] = np.add
    candidates["ctypes"] = _ctypes()
    numba = _numba()
    if numba is not None:
        candidates["numba"] = numba
    else:
        print("numba is not installed: skipped", file=sys.stderr)
    for call in candidates.values():
        call(x, y, z)
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            started = time.perf_counter_ns()
            for _ in range(CALLS):
                call(x, y, z)
            times[name].append((time.perf_counter_ns() - started) / CALLS)
    return {name: statistics.median(t) for name, t in times.items()}


def _ctypes() -> Callable[..., Any]:
    """The least that ctypes costs: three pointers handed to a function of the C library that does next to nothing."""
    function = ctypes.CDLL(None).memcmp
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

    def call(x: Any, y: Any, z: Any) -> None:
        function(x.ctypes.data, y.ctypes.data, 1)

    return call


def _numba() -> Callable[..., Any] | None:
    try:
        import numba
    except ImportError:
        return None

    @numba.njit(fastmath=True)  # type: ignore[untyped-decorator]
    def saxpy(x, y, z):  # type: ignore[no-untyped-def]
        for i in range(x.shape[0]):
            z[i] = y[i] + np.float32(2) * x[i]

    return saxpy  # type: ignore[no-any-return]


# ---------------------------------------------------------------- processes of their own
def imports(rounds: int) -> dict[str, float]:
    texts = {"import numpy": "import numpy", "import numpy, lem": "import numpy, lem; lem.kernel"}
    times: dict[str, list[float]] = {name: [] for name in texts}
    for _ in range(rounds):
        for name, text in texts.items():
            code = f"import time; t = time.perf_counter(); {text}; print(time.perf_counter() - t)"
            times[name].append(float(_python(code, {})) * 1e3)
    found = {name: statistics.median(t) for name, t in times.items()}
    return found | {"lem above numpy": found["import numpy, lem"] - found["import numpy"]}


def first_calls(rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "first.py")
        with open(file, "w", encoding="utf-8") as f:
            f.write(FIRST)
        for n in range(rounds):
            cache = {"LEM_CACHE_DIR": os.path.join(folder, f"cache{n}")}
            for state in ("cold cache", "warm cache"):
                for which, seconds in zip(("first kernel", "next kernel"), _python("", cache, file).split(), strict=True):
                    times.setdefault(f"{state}, {which}", []).append(float(seconds) * 1e3)
    return {name: statistics.median(t) for name, t in times.items()}


def _python(code: str, env: dict[str, str], file: str = "") -> str:
    call = [sys.executable, file] if file else [sys.executable, "-c", code]
    around = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # compiled modules are kept, as usual
    return subprocess.run(call, capture_output=True, text=True, check=True, env={**around, **env}).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
