"""Compiled code and everything the runtime must know about it, as data that encodes to bytes and back.

No pickle: a JSON header, the object's bytes, and a checksum against damage.
"""

from __future__ import annotations

import json
from dataclasses import asdict, field
from typing import Any

from lem_runtime.abi import ABI_VERSION, sizes
from lem_runtime.abi.hashing import sha256
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Condition, DimRule, Param, Place, Signature
from lem_runtime.abi.sizes import Size

_MAGIC = b"LEMART\x00\x01"


class BadArtifact(Exception):
    """Bytes are damaged, truncated, or of another version."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the program that can fault, print or call; compiled code refers to it by number.

    text:  what went wrong, with ``{0}`` .. ``{3}`` for the recorded values, e.g.
           "`idx[i]` is {0}, axis 0 of `x` has size {1}".
    kinds: how each recorded value is shown: "i64", "u64", "f64", "bool" (floats are widened to f64 before recording).
    axes:  names of the grid's index variables, outermost first; with `bounds` the element's indices are recovered from
           the flattened number. Empty in sequential code.
    bounds: per axis (lo, hi, step) as size expressions; None when they are not plain sizes.
    """

    code: str
    kernel: str
    text: str
    place: Place | None = None
    kinds: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    bounds: tuple[tuple[Size, Size, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Static cost of one step (a grid or a called kernel) as size expressions; None where unknown."""

    label: str
    flops: Size | None
    bytes_read: Size | None
    bytes_written: Size | None


@dataclass(frozen=True, slots=True)
class Artifact:
    """One function compiled for one target and one set of facts.

    effort: operations of one call, those on whole numbers and memory included; None where only running it tells.
    `units` (single-grid functions): number of units that `lo, hi` count, as a size expression.
    """

    name: str
    target: str
    signature: Signature
    entry: str
    code: bytes
    sites: tuple[Site, ...] = ()
    work: tuple[Work, ...] = ()
    effort: Size | None = None
    is_single_grid: bool = False
    units: Size = 0
    facts: str = ""
    schedule: str = ""
    ir: str = ""
    machine: str = ""
    notes: tuple[str, ...] = ()
    abi_version: int = ABI_VERSION
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def is_deep(self) -> bool:
        """Whether tasks in it call each other in circles: it needs a large stack, and tests that it is enough."""
        return any(site.code == "E0624" for site in self.sites)


def encode(a: Artifact) -> bytes:
    """Bytes of an artifact: magic, checksum, header length, header, code."""
    header = asdict(a)
    header.pop("code")
    head = json.dumps(header, separators=(",", ":")).encode()
    body = len(head).to_bytes(8, "little") + head + a.code
    return _MAGIC + sha256(body).digest() + body


def decode(data: bytes) -> Artifact:
    """The artifact that :func:`encode` wrote. Raises :class:`BadArtifact`."""
    if len(data) < 48 or data[:8] != _MAGIC:
        raise BadArtifact("not a compiled lem artifact, or of another version")
    body = data[40:]
    if sha256(body).digest() != data[8:40]:
        raise BadArtifact("checksum does not match: the file is damaged")
    n = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + n])
    if header["abi_version"] != ABI_VERSION:
        raise BadArtifact(f"made for ABI {header['abi_version']}, this is ABI {ABI_VERSION}")
    return _from_header(header, body[8 + n :])


def _from_header(h: dict[str, Any], code: bytes) -> Artifact:
    return Artifact(
        name=h["name"], target=h["target"], signature=signature_from_json(h["signature"]), entry=h["entry"],
        code=code, sites=tuple(_site(s) for s in h["sites"]),
        work=tuple(
            Work(w["label"], *(sizes.from_json(w[k]) for k in ("flops", "bytes_read", "bytes_written")))
            for w in h["work"]
        ),
        effort=sizes.from_json(h["effort"]), is_single_grid=h["is_single_grid"], units=sizes.from_json(h["units"]),
        facts=h["facts"], schedule=h["schedule"], ir=h["ir"], machine=h["machine"], notes=tuple(h["notes"]),
        abi_version=h["abi_version"], extra=h["extra"],
    )  # fmt: skip


def _place(p: Any) -> Place | None:
    return None if p is None else Place(**p)


def _site(s: dict[str, Any]) -> Site:
    bounds = s["bounds"]
    return Site(
        s["code"], s["kernel"], s["text"], _place(s["place"]), tuple(s["kinds"]), tuple(s["axes"]),
        None if bounds is None else tuple((sizes.from_json(b[0]), sizes.from_json(b[1]), b[2]) for b in bounds),
    )  # fmt: skip


def signature_from_json(s: dict[str, Any]) -> Signature:
    """A :class:`Signature` from what ``dataclasses.asdict`` and JSON made of it."""
    params = tuple(
        Param(
            p["name"], p["dtype"], None if p["shape"] is None else tuple(sizes.from_json(x) for x in p["shape"]),
            p["effect"], _place(p["place"]), p["default"], p["reduce_op"], p["struct"],
            p["layout"],
        )
        for p in s["params"]
    )  # fmt: skip
    rules = tuple(DimRule(r["dim"], r["param"], r["axis"], sizes.from_json(r["offset"]), r["scale"]) for r in s["rules"])
    conditions = tuple(
        Condition(sizes.from_json(c["expr"]), c["why"], _place(c["place"]), sizes.from_json(c.get("shown")))
        for c in s["conditions"]
    )
    return Signature(s["name"], s["kind"], tuple(s["dims"]), params, rules, conditions, _place(s["place"]), s["doc"])
