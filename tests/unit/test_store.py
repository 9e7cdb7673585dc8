"""The store on disk: entries come back whole or not at all, whoever else is writing or dying."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lem_runtime import store
from lem_runtime.store import Store, StoreRefused


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def _only_file(s: Store) -> Path:
    (path,) = [p for p in Path(s.path).rglob("*") if p.is_file()]
    return path


def test_what_was_put_comes_back(kept: Store) -> None:
    assert kept.get("a key/with: anything") is None
    assert kept.put("a key/with: anything", b"data")
    assert kept.put("empty", b"")
    assert kept.get("a key/with: anything") == b"data"
    assert kept.get("empty") == b""
    assert kept.put("a key/with: anything", b"newer")
    assert Store(kept.path).get("a key/with: anything") == b"newer"


def test_folder_is_private(kept: Store) -> None:
    assert Path(kept.path).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_damaged_entry_is_missing_and_removed(kept: Store, damage: str) -> None:
    kept.put("k", b"x" * 1000)
    path = _only_file(kept)
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[700] ^= 1
    path.write_bytes({"flip": bytes(raw), "cut": bytes(raw[:500]), "empty": b"", "foreign": b"hello" * 50}[damage])
    assert kept.get("k") is None
    assert not path.exists()


def test_folder_that_others_can_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(StoreRefused, match="by others"):
        Store(folder)
    monkeypatch.setenv("LEM_CACHE_DIR", str(folder))
    assert store.open_default() is None


def test_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StoreRefused, match="another user"):
        Store(tmp_path)


def test_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LEM_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.default_path() == str(tmp_path / "xdg" / "lem")
    monkeypatch.setenv("LEM_CACHE_DIR", str(tmp_path / "mine"))
    assert store.default_path() == str(tmp_path / "mine")


def test_least_recently_used_go_first(tmp_path: Path) -> None:
    small = Store(tmp_path / "cache", limit_bytes=10_000)
    for n in range(8):
        small.put(f"k{n}", bytes(1000))
        os.utime(small._file(f"k{n}"), (n, n))
    assert small.get("k0") is not None  # used: now the newest
    small.put("k8", bytes(1000))
    small.put("k9", bytes(1000))
    assert small.get("k0") is not None
    assert small.get("k1") is None
    assert small.get("k9") is not None
    assert small.used_bytes <= 10_000
    assert not small.put("huge", bytes(20_000))


def test_entries_and_clear(kept: Store) -> None:
    kept.put("one", b"1")
    kept.put("two", b"22")
    assert {e.key for e in kept.entries()} == {"one", "two"}
    assert kept.clear() == 2
    assert kept.entries() == []
    assert kept.get("one") is None


def test_disk_that_takes_nothing_breaks_nothing(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    blocked = Store(blocker / "below")
    assert not blocked.put("k", b"v")
    assert blocked.get("k") is None
    assert blocked.entries() == [] and blocked.clear() == 0


def test_full_disk_leaves_no_rest(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, data: bytes) -> None:
        with open(path, "wb") as f:
            f.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write", full)
    assert not kept.put("k", b"v" * 100)
    assert not [p for p in Path(kept.path).rglob("*") if p.is_file()]


_WRITER = """
import sys
from pathlib import Path
from lem_runtime.store import Store
kept = Store(Path(sys.argv[1]))
for n in range({rounds}):
    key = f"k{{n % 5}}"
    data = kept.get(key)
    assert data is None or (len(set(data)) == 1 and len(data) == 50_000), key
    assert kept.put(key, bytes([n % 256]) * 50_000)
"""


def test_eight_processes_at_once_see_whole_entries(kept: Store) -> None:
    command = [sys.executable, "-c", _WRITER.format(rounds=60), str(kept.path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(kept.entries()) == 5


def test_killed_writer_leaves_only_whole_entries_and_its_rest_is_cleaned(kept: Store) -> None:
    command = [sys.executable, "-c", _WRITER.format(rounds=10**9), str(kept.path)]
    for delay in (0.15, 0.2, 0.25):
        process = subprocess.Popen(command)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    rest = Path(kept.path) / f"tmp-{store._host()}-{process.pid}-0-00"
    rest.write_bytes(b"half an ent")
    for n in range(5):
        data = kept.get(f"k{n}")
        assert data is None or (len(set(data)) == 1 and len(data) == 50_000)
    assert Store(kept.path).put("k", b"v")
    assert not list(Path(kept.path).glob("tmp-*"))


def test_rest_of_another_host_stays_until_it_is_old(kept: Store) -> None:
    young, old = Path(kept.path) / "tmp-otherhos-1-0-00", Path(kept.path) / "tmp-otherhos-2-0-00"
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    kept.put("k", b"v")
    assert (young.exists(), old.exists()) == (True, False)
