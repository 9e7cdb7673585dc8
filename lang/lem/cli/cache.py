"""``lem cache list|clear|path``: what is kept on disk."""

from __future__ import annotations

import argparse
import time

from lem.cli import output
from lem.cli.codes import Exit
from lem_runtime import Store, StoreRefused


def command(args: argparse.Namespace) -> int:
    try:
        store = Store()
    except StoreRefused as e:
        output.fail("E0610", f"the cache cannot be used: {e}")
    if args.action == "path":
        _say(args, {"path": str(store.path)}, str(store.path))
    elif args.action == "clear":
        n = store.clear()
        _say(args, {"removed": n}, f"{n} {_entries(n)} removed from {store.path}")
    else:
        _list(store, args.json)
    return Exit.DONE


def _say(args: argparse.Namespace, value: dict[str, object], text: str) -> None:
    if args.json:
        output.print_json(value)
    else:
        print(text)


def _entries(n: int) -> str:
    return "entry" if n == 1 else "entries"


_KINDS = {
    "art": "code", "py": "code", "front": "signature", "pyf": "signature", "core": "core", "wrap": "wrapper",
    "tried": "trial",
}  # fmt: skip


def _list(store: Store, as_json: bool) -> None:
    entries = store.entries()
    if as_json:
        output.print_json([{"key": e.key, "bytes": e.size_bytes, "used": e.used_at} for e in entries])
        return
    for e in entries:
        kind, _, name = e.key.partition("-")
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(e.used_at))
        print(f"{when}  {_KINDS.get(kind, kind):<9}  {e.size_bytes:>10,} bytes  {name[:12]}")
    total = sum(e.size_bytes for e in entries)
    print(f"{len(entries)} {_entries(len(entries))}, {total:,} bytes in {store.path}")
