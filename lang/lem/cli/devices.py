"""``lem devices``: what is here to run on."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from lem.cli import output
from lem.cli.codes import Exit
from lem_runtime import default_threads, detect

_WAITING = ("gpu", "spu")  # kinds of devices that have no target yet


def command(args: argparse.Namespace) -> int:
    m = detect()
    if args.json:
        output.print_json([{"kind": "cpu", "target": "cpu", "threads": default_threads(), **asdict(m)}])
        return Exit.DONE
    fma = "FMA" if m.has_fma else "no FMA: slower, and sums may differ in their last bits"
    print(f"cpu    {m.name or m.cpu}: {m.n_cores} cores, {default_threads()} threads by default")
    print(f"       code for {m.cpu} ({m.triple}): vectors of {m.vector_bits} bits, {fma}")
    print(f"       caches: L1d {size(m.l1d_bytes)}, L2 {size(m.l2_bytes)}, L3 {size(m.l3_bytes)}")
    for kind in _WAITING:
        print(f"{kind}    lem has no target for it yet")
    return Exit.DONE


def size(n_bytes: int) -> str:
    """A size as a person reads it: `512 KiB`."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.4g} {unit}"
    return f"{n_bytes} bytes"
