"""``lem cache list|clear|path``: what is kept on disk."""

from __future__ import annotations

import argparse
import json
import time

from lem.cli import output
from lem.cli.codes import Exit
from lem_runtime import Store, StoreRefused


def command(args: argparse.Namespace) -> int:
    try:
        store = Store()
    except StoreRefused as e:
        output.fail("E0610", f"the cache cannot be used: {e}", as_json=args.json)
    if args.action == "path":
        print(json.dumps({"path": str(store.path)}) if args.json else store.path)
    elif args.action == "clear":
        n = store.clear()
        print(json.dumps({"removed": n}) if args.json else f"{n} entries removed from {store.path}")
    else:
        _list(store, args.json)
    return Exit.DONE


def _list(store: Store, as_json: bool) -> None:
    entries = store.entries()
    if as_json:
        print(json.dumps([{"key": e.key, "bytes": e.size_bytes, "used": e.used_at} for e in entries], indent=2))
        return
    for e in entries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(e.used_at))
        print(f"{e.key[:24]:<24}  {e.size_bytes:>10,} bytes  {when}")
    total = sum(e.size_bytes for e in entries)
    print(f"{len(entries)} entries, {total:,} bytes in {store.path}")
