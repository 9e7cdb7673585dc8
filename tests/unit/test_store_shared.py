"""One store on disk and many who use it: it stays small, and nobody reads what was not put, whoever dies or damages it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem_runtime import store
from lem_runtime.store import Store
from tests.support.cli import environment, lem

LIMIT = 400_000

_USER = f"""
import random, sys
from pathlib import Path
from lem_runtime.store import Store

rng = random.Random(int(sys.argv[2]))
kept = Store(Path(sys.argv[1]), limit_bytes={LIMIT})
n_read = 0
for _ in range(400):
    n = rng.randrange(100)
    size = 100 + n * n  # up to 10 kB: all keys together are some 340 kB, and old values are replaced
    data = kept.get(f"key {{n}}")
    if data is None or rng.random() < 0.3:
        assert kept.put(f"key {{n}}", bytes([n]) * size + sys.argv[2].encode() * rng.randrange(1000))
    else:
        n_read += 1
        assert data[:size] == bytes([n]) * size and len(set(data[size:])) <= 1, n
print(n_read)
"""


def _start(program: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def test_eight_processes_hammer_a_small_store_that_stays_small(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    watched = Store(folder, limit_bytes=LIMIT)
    running = [_start(_USER, folder, n) for n in range(8)]
    largest = 0
    while any(process.poll() is None for process in running):
        largest = max(largest, watched.used_bytes)
        time.sleep(0.01)
    for process in running:
        said, errors = process.communicate(timeout=60)
        assert process.returncode == 0 and int(said) > 0, errors
    assert 0 < largest <= LIMIT + 8 * 11_000, "beyond what is being written at the moment"
    assert watched.used_bytes <= LIMIT
    assert not list(folder.glob("tmp-*"))


def test_store_stays_small_where_each_process_writes_little(tmp_path: Path) -> None:
    """Nobody may count only what he has written himself."""
    stores = [Store(tmp_path / "cache", limit_bytes=LIMIT) for _ in range(8)]
    for n in range(50):
        for who, one in enumerate(stores):
            one.put(f"{who} {n}", bytes(2000))
        assert stores[0].used_bytes <= LIMIT


_DIES = """
import os, sys
from lem_runtime import store

def half(path, data):
    with open(path, "wb") as f:
        f.write(data[: len(data) // 2])
        f.flush()
        print("now", flush=True)
        sys.stdin.read()
def stuck(*_):
    print("now", flush=True)
    sys.stdin.read()
if sys.argv[2] == "before the rename":
    os.replace = stuck
else:
    store._write = half
store.Store(sys.argv[1]).put("k", b"new" * 10_000)
"""


@pytest.mark.parametrize("moment", ["in the middle", "before the rename"])
@pytest.mark.parametrize("is_there", [True, False])
def test_writer_killed_at_the_worst_moment(moment: str, is_there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    if is_there:
        assert Store(folder).put("k", b"old")
    command = [sys.executable, "-c", _DIES, str(folder), moment]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(folder.glob("tmp-*")), "it had begun"
    kept = Store(folder)
    assert kept.get("k") == (b"old" if is_there else None)
    assert kept.put("k", b"newer") and kept.get("k") == b"newer"
    assert not list(folder.glob("tmp-*"))
    process.stdin.close()
    process.stdout.close()


def test_rest_of_the_dead_is_removed_also_by_who_lives_long(tmp_path: Path) -> None:
    kept = Store(tmp_path / "cache", limit_bytes=64_000)
    kept.put("first", b"1")
    rest = Path(kept.path) / f"tmp-{store._host()}-{2**22 + 1}-0-00"  # no system has a process of that number
    rest.write_bytes(bytes(1000))
    for n in range(10):
        kept.put(f"k{n}", bytes(1000))
    assert not rest.exists()


@given(st.data())
def test_damaged_entries_count_as_missing(tmp_path_factory: pytest.TempPathFactory, drawn: st.DataObject) -> None:
    kept = Store(tmp_path_factory.mktemp("cache") / "c")
    entries = {f"k{n}": bytes([n]) * drawn.draw(st.integers(0, 300)) for n in range(4)}
    for key, data in entries.items():
        kept.put(key, data)
    for path in sorted(p for p in Path(kept.path).rglob("*") if p.is_file()):
        raw = bytearray(path.read_bytes())
        match drawn.draw(st.sampled_from(("leave", "flip", "cut", "lengthen", "other", "folder", "gone"))):
            case "flip":
                raw[drawn.draw(st.integers(0, len(raw) - 1))] ^= drawn.draw(st.integers(1, 255))
                path.write_bytes(raw)
            case "cut":
                path.write_bytes(raw[: drawn.draw(st.integers(0, len(raw) - 1))])
            case "lengthen":
                path.write_bytes(raw + drawn.draw(st.binary(min_size=1, max_size=50)))
            case "other":
                path.write_bytes(Path(kept._file("k0")).read_bytes() if Path(kept._file("k0")).is_file() else b"")
            case "folder":
                path.unlink()
                path.mkdir()
            case "gone":
                path.unlink()
    assert all(e.key in entries for e in kept.entries())
    for key, data in entries.items():
        assert kept.get(key) in (None, data)
        assert kept.put(key, b"again" + data), "what is damaged is replaced"
        assert kept.get(key) == b"again" + data


def test_program_runs_whatever_has_happened_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEM_CACHE_DIR", str(tmp_path / "cache"))
    text = "kernel double[N](x: f32[N]) -> y: f32[N]:\n    for i in grid(N):\n        y[i] = 2 * x[i]\n"
    (tmp_path / "p.lem").write_text(text, encoding="utf-8")
    np.save(tmp_path / "x.npy", np.arange(5, dtype=np.float32))
    said = lem("run", "p.lem", "x=x.npy", cwd=tmp_path)
    assert said.code == 0
    rng = random.Random(5)
    for _ in range(4):
        files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
        assert len(files) >= 2, "a signature and code"
        for path in files:
            raw = bytearray(path.read_bytes())
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            path.write_bytes(raw[: rng.randrange(len(raw))] if rng.random() < 0.5 else raw)
        assert lem("run", "p.lem", "x=x.npy", cwd=tmp_path) == said
    listed = lem("cache", "list")
    assert listed.code == 0 and f"bytes in {os.environ['LEM_CACHE_DIR']}" in listed.out
