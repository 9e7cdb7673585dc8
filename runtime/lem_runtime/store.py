"""Content-addressed files on disk: artifacts and the native core, shared by all processes of a user.

Takes a key (any text that names the content) and bytes; gives the bytes back, or None. A file is written under another
name and then renamed, so a reader sees all of it or nothing, also when the writer is killed half way. Every file
carries a checksum; a damaged one counts as missing. A disk that is full, slow or read-only never fails a run.

File:   magic (8) | sha256 of the rest (32) | length of the key (4) | key | data
"""

from __future__ import annotations

import contextlib
import os
import platform
import stat
import sys
import time
from collections.abc import Iterator
from typing import Final

from lem_runtime.abi.hashing import sha256
from lem_runtime.abi.records import dataclass

_MAGIC: Final = b"LEMSTO\x00\x01"
_HEAD_BYTES: Final = len(_MAGIC) + 32 + 4
_TEMP: Final = "tmp-"
_STALE_S: Final = 3600.0
DEFAULT_LIMIT_BYTES: Final = 1 << 30


class StoreRefused(Exception):
    """The folder could be changed by somebody else, so nothing in it may be run. Callers go on without a store."""


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    size_bytes: int
    used_at: float  # seconds since the epoch


class Store:
    """A folder of entries, at most `limit_bytes` in all; the least recently used go first.

    Others use the same folder, so nobody knows its size from what he has written himself. Everybody looks again after each
    128th of the limit, and makes room while there is a 16th left: so it holds for eight who write at once.

    Raises :class:`StoreRefused` when the folder belongs to somebody else or others can write it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.path = os.fspath(path) if path is not None else default_path()
        self.limit_bytes = limit_bytes
        self._unseen_bytes = self.limit_bytes  # written since the last look at the folder; the first put looks
        self._make()

    def get(self, key: str) -> bytes | None:
        """What was put under `key`; None when it is missing or damaged (then it is removed)."""
        path = self._file(key)
        try:
            raw = _read(path)
        except IsADirectoryError:
            raw = b""
        except OSError:
            return None
        entry = _decode(raw)
        if entry is None or entry[0] != key:
            _remove(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # marks it as used
        return entry[1]

    def put(self, key: str, data: bytes) -> bool:
        """Keep `data` under `key`. False when the disk does not take it."""
        raw = _encode(key, data)
        if len(raw) > self.limit_bytes:
            return False
        path = self._file(key)
        name = f"{_TEMP}{_host()}-{os.getpid()}-{time.monotonic_ns():x}-{os.urandom(4).hex()}"
        temp = os.path.join(self.path, name)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            _write(temp, raw)
            os.replace(temp, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temp)
            return False
        self._account(len(raw))
        return True

    def entries(self) -> list[Entry]:
        """All sound entries, most recently used first. Reads only the keys, not the data."""
        found = []
        for path, info in self._files():
            key = _key_of(path)
            if key is not None and path == self._file(key):
                found.append(Entry(key, info.st_size, info.st_mtime))
        return sorted(found, key=lambda e: -e.used_at)

    def clear(self) -> int:
        """Remove every entry; how many there were."""
        n = 0
        for path, _ in self._files():
            n += _remove(path)
        self._remove_stale()
        return n

    @property
    def used_bytes(self) -> int:
        """Size of all entries on disk now."""
        return sum(info.st_size for _, info in self._files())

    def _make(self) -> None:
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            info = os.stat(self.path)
        except OSError:
            return  # no folder: every get misses, every put is refused
        if not stat.S_ISDIR(info.st_mode):
            raise StoreRefused(f"{self.path} is not a folder")
        if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
            raise StoreRefused(f"{self.path} belongs to another user")
        if os.name == "posix" and info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StoreRefused(f"{self.path} can be written by others (chmod go-w would repair it)")

    def _file(self, key: str) -> str:
        name = sha256(key.encode()).hexdigest()
        return os.path.join(self.path, name[:2], name)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        try:
            folders = [os.path.join(self.path, f) for f in os.listdir(self.path) if len(f) == 2]
        except OSError:
            return
        for folder in folders:
            try:
                paths = [os.path.join(folder, f) for f in os.listdir(folder)]
            except OSError:
                continue
            for path in paths:
                with contextlib.suppress(OSError):
                    yield path, os.stat(path)

    def _account(self, n_bytes: int) -> None:
        self._unseen_bytes += n_bytes
        if self._unseen_bytes > self.limit_bytes // 128:
            self._unseen_bytes = 0
            self._remove_stale()
            self._make_room()

    def _make_room(self) -> None:
        """When it is nearly full, remove the least recently used until an eighth is free."""
        files = sorted(self._files(), key=lambda f: f[1].st_mtime_ns)
        used = sum(info.st_size for _, info in files)
        if used <= self.limit_bytes - self.limit_bytes // 16:
            return
        for path, info in files:
            if used <= self.limit_bytes - self.limit_bytes // 8:
                break
            _remove(path)
            used -= info.st_size

    def _remove_stale(self) -> None:
        """Files of writers that died: of this host by their process, of others by their age."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.path):
                path = os.path.join(self.path, name)
                with contextlib.suppress(OSError):
                    if name.startswith(_TEMP) and _is_stale(path):
                        os.unlink(path)


def default_path() -> str:
    """LEM_CACHE_DIR, else the user's cache folder for this system."""
    told = os.environ.get("LEM_CACHE_DIR")
    if told:
        return told
    xdg = os.environ.get("XDG_CACHE_HOME")
    if xdg:
        return os.path.join(xdg, "lem")
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "lem")
    return os.path.join(home, ".cache", "lem")


_open: dict[str, Store] = {}  # by folder, so that one object knows what this process has written


def open_default() -> Store | None:
    """The user's store, or None when its folder is refused."""
    path = default_path()
    if path not in _open:
        try:
            _open[path] = Store(path)
        except StoreRefused:
            return None
    return _open[path]


def _encode(key: str, data: bytes) -> bytes:
    name = key.encode()
    body = len(name).to_bytes(4, "little") + name + data
    return _MAGIC + sha256(body).digest() + body


def _decode(raw: bytes) -> tuple[str, bytes] | None:
    if len(raw) < _HEAD_BYTES or raw[:8] != _MAGIC or sha256(raw[40:]).digest() != raw[8:40]:
        return None
    n = int.from_bytes(raw[40:44], "little")
    return raw[44 : 44 + n].decode("utf-8", "replace"), raw[44 + n :]


def _read(path: str) -> bytes:
    with open(path, "rb") as f:
        return f.read()


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as f:
        f.write(data)


def _key_of(path: str) -> str | None:
    try:
        with open(path, "rb") as f:
            head = f.read(_HEAD_BYTES)
            n = int.from_bytes(head[40:44], "little")
            name = f.read(min(n, 1 << 16))
    except OSError:
        return None
    return name.decode("utf-8", "replace") if head[:8] == _MAGIC and len(name) == n else None


def _remove(path: str) -> bool:
    """Whether it is gone. A folder in the place of an entry goes too, when it is empty: nothing of ours is in it."""
    try:
        os.unlink(path)
    except (IsADirectoryError, PermissionError):
        try:
            os.rmdir(path)
        except OSError:
            return False
    except OSError:
        return False
    return True


def _host() -> str:
    return sha256(platform.node().encode()).hexdigest()[:8]


def _is_stale(path: str) -> bool:
    _, host, pid, *_ = (*os.path.basename(path).split("-"), "", "")
    if os.name == "posix" and host == _host() and pid.isdecimal():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass
    return time.time() - os.stat(path).st_mtime > _STALE_S
