"""What the door from Python costs: a call, the import, the first call. Prints medians next to peers that are installed.

    python benchmarks/python_door.py [--rounds 15] [--peers] [--json]

A call: three f32[8] arrays, the same saxpy everywhere, medians over interleaved rounds of 20,000 calls; also above an empty
Python function. The import and the first calls run in processes of their own, interleaved: `import numpy` alone beside
`import numpy, lem`, and simple kernels with an empty and with a warm cache on disk: the first one of the process, for which
the compiler is loaded where the cache is empty, and the next one. Peers load theirs when they are imported: both are shown,
and `lem, loaded` is lem in a program that has loaded the compiler beforehand too.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
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
from lem.embed import joining

CALLS = 20_000

# Peers in processes of their own: a text that makes kernels, one for each number k.
PEERS = {
    "numba": """
import numba
def make(k):
    @numba.njit(fastmath=True)
    def call(x, y, z):
        for i in range(x.shape[0]):
            z[i] = y[i] + np.float32(k) * x[i]
    return call
""",
    "jax": """
import jax
x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
def make(k):
    function = jax.jit(lambda x, y: y + np.float32(k) * x)
    return lambda x, y, z: function(x, y).block_until_ready()
""",
    "torch": """
import torch
x, y, z = (torch.ones(8) for _ in range(3))
def make(k):
    return torch.compile(lambda x, y, z: torch.add(y, x, alpha=k, out=z))
""",
    "taichi": """
import taichi as ti
ti.init(arch=ti.cpu, log_level=ti.ERROR)
array = ti.types.ndarray(dtype=ti.f32, ndim=1)
def make(k):
    @ti.kernel
    def call(x: array, y: array, z: array):
        for i in x:
            z[i] = y[i] + k * x[i]
    return call
""",
    "lem": """
import lem
from lem.dims import N
def make(k):
    @lem.kernel
    def call(x: lem.f32[N], y: lem.f32[N], z: lem.out[lem.f32[N]]) -> None:
        for i in lem.grid(N):
            z[i] = y[i] + k * x[i]
    return call
""",
}
PEERS["lem, loaded"] = "import lem.embed.compiling, llvmlite.binding" + PEERS["lem"]
PEER = """
import sys, time, statistics
import numpy as np
x, y, z = (np.ones(8, np.float32) for _ in range(3))
times = [time.perf_counter()]
{text}
times.append(time.perf_counter())
for k in (2.0, 3.0):
    call = make(k)
    call(x, y, z)
    times.append(time.perf_counter())
rounds = []
for _ in range(7):
    t = time.perf_counter()
    for _ in range(1000):
        call(x, y, z)
    rounds.append((time.perf_counter() - t) / 1000)
print("result", *(b - a for a, b in zip(times, times[1:])), statistics.median(rounds))
"""

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
    p.add_argument("--peers", action="store_true", help="also a first call and a call of numba, jax, torch and taichi")
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    rows: dict[str, Any] = {"calls_ns": calls(args.rounds), "import_ms": imports(args.rounds)}
    rows["first_call_ms"] = first_calls(args.rounds)
    rows["peers"] = peers(min(args.rounds, 5)) if args.peers else {}
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
    if rows["peers"]:
        print("each in a process that has imported numpy, nothing kept on disk")
        print(f"  {'':<16}{'import':>12}{'first kernel':>16}{'together':>12}{'next kernel':>14}{'a call':>14}")
    for name, (loading, first, following, call) in rows["peers"].items():
        columns = f"{loading:9.1f} ms{first:13.1f} ms{loading + first:9.1f} ms{following:11.1f} ms"
        print(f"  {name:<16}{columns}{call:11.2f} us")
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
    joining.settled()  # from here on calls of lem go straight into its code
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


def peers(rounds: int) -> dict[str, tuple[float, ...]]:
    """Of each that is installed, with nothing kept on disk: import, first and next kernel in ms, and a call in us."""
    runs: dict[str, list[list[float]]] = {}
    for name in PEERS:
        if importlib.util.find_spec(name.partition(",")[0]) is None:
            print(f"{name} is not installed: skipped", file=sys.stderr)
        else:
            runs[name] = []
    for _ in range(rounds):
        for name in runs:
            with tempfile.TemporaryDirectory() as folder:
                nowhere = {"TORCHINDUCTOR_CACHE_DIR": folder, "TI_OFFLINE_CACHE": "0", "LEM_CACHE_DIR": folder}
                file = os.path.join(folder, "peer.py")
                with open(file, "w", encoding="utf-8") as f:
                    f.write(PEER.replace("{text}", PEERS[name]))
                told = next(line for line in _python("", nowhere, file).splitlines() if line.startswith("result "))
                runs[name].append([float(word) for word in told.split()[1:]])
    medians = {name: [statistics.median(column) for column in zip(*of, strict=True)] for name, of in runs.items()}
    return {name: (*(1e3 * s for s in m[:3]), 1e6 * m[3]) for name, m in medians.items()}


def _python(code: str, env: dict[str, str], file: str = "") -> str:
    call = [sys.executable, file] if file else [sys.executable, "-c", code]
    around = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # compiled modules are kept, as usual
    return subprocess.run(call, capture_output=True, text=True, check=True, env={**around, **env}).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
