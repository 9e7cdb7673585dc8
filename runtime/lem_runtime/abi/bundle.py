"""A program compiled ahead of time, in one file: what it can be called with, and its code for several processors.

Takes a :class:`Bundle`, gives its bytes, the same for the same content; and back, where every byte is checked before
anything is believed. docs/reference/bundles.md describes the file for other readers.

File:   head (64 bytes) | directory (JSON) | the data of the sections, one after the other
Head:   magic (8) | format (u32) | zero (u32) | size of the file (u64) | size of the directory (u64) | SHA-256 of the rest

A section says what it is by `kind` and `target`; a reader passes over what it does not know. Kinds of today:

    signatures      all that can be called: names and signatures, as JSON
    code            an artifact (``abi/artifact.py``) of one function, for one processor and one set of layouts
    native          an object that the runtime itself needs, such as its core; named by the text it is made from
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from typing import Any, Final

from lem_runtime.abi import ABI_VERSION
from lem_runtime.abi.artifact import signature_from_json
from lem_runtime.abi.hashing import sha256
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Signature

FORMAT: Final = 1
_MAGIC: Final = b"\x89LEMB\r\n\x1a"  # as PNG's: text tools that change line ends, or drop a bit, spoil it
_HEAD: Final = struct.Struct("<8sIIQQ32s")
_CHECKED: Final = _HEAD.size - 32  # bytes of the head that the checksum covers

DAMAGED, OTHER_VERSION, OTHER_MACHINE = "E0625", "E0626", "E0627"


class BundleError(Exception):
    """A bundle cannot be used. `code` is a diagnostic code: E0625 damaged, E0626 another version, E0627 another machine."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.help = code, message, help
        if help:
            self.add_note(f"help: {help}")


@dataclass(frozen=True, slots=True)
class Section:
    """about: what else there is to know of the data, as plain JSON."""

    kind: str
    target: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    data: bytes = b""

    def __str__(self) -> str:
        of = f" of `{self.about['function']}`" if "function" in self.about else ""
        return f"{self.kind}{of}" + (f" for {self.about.get('cpu', self.target)}" if self.target else "")


@dataclass(frozen=True, slots=True)
class Bundle:
    """abi: version of the contract that its code was made for. made_by: the compiler, for people."""

    sections: tuple[Section, ...]
    abi: int = ABI_VERSION
    made_by: str = ""

    def of_kind(self, kind: str, target: str = "") -> tuple[Section, ...]:
        """The sections of a kind, for one target."""
        return tuple(s for s in self.sections if (s.kind, s.target) == (kind, target))


# ---------------------------------------------------------------- sections
def signatures_section(signatures: Mapping[str, Signature]) -> Section:
    rows = [{"name": name, "signature": asdict(signature)} for name, signature in signatures.items()]
    return Section("signatures", data=_json(rows))


def signatures_of(bundle: Bundle) -> dict[str, Signature]:
    """All that can be called, by name. Raises :class:`BundleError`."""
    found: dict[str, Signature] = {}
    for section in bundle.of_kind("signatures"):
        try:
            found |= {row["name"]: signature_from_json(row["signature"]) for row in json.loads(section.data)}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BundleError(DAMAGED, "its signatures cannot be read") from None
    return found


def code_section(function: str, target: str, machine: Machine, layouts: Sequence[str], data: bytes) -> Section:
    """data: the bytes of an artifact; layouts: of its arrays, as in :class:`~lem_runtime.abi.source.Facts`."""
    return Section("code", target, {"function": function, "layouts": list(layouts), **machine_about(machine)}, data)


def native_section(text: str, machine: Machine, data: bytes) -> Section:
    """data: the object that a compiler makes of `text`, for `machine` and every one above it."""
    return Section("native", "cpu", {"text": digest(text), **machine_about(machine)}, data)


def machine_about(machine: Machine) -> dict[str, Any]:
    return {"triple": machine.triple, "cpu": machine.cpu, "features": list(machine.features)}


def digest(text: str) -> str:
    """What a text is named by."""
    return sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------- bytes
def encode(bundle: Bundle) -> bytes:
    """The file of a bundle."""
    rows, at = [], 0
    for s in bundle.sections:
        rows.append({
            "kind": s.kind, "target": s.target, "about": dict(s.about), "offset": at, "size": len(s.data),
            "sha256": sha256(s.data).hexdigest(),
        })  # fmt: skip
        at += len(s.data)
    directory = _json({"abi": bundle.abi, "made_by": bundle.made_by, "sections": rows})
    body = directory + b"".join(s.data for s in bundle.sections)
    head = _HEAD.pack(_MAGIC, FORMAT, 0, _HEAD.size + len(body), len(directory), bytes(32))[:_CHECKED]
    return head + sha256(head + body).digest() + body


def decode(data: bytes) -> Bundle:
    """The bundle of a file. Raises :class:`BundleError`: for whatever :func:`encode` did not write, or not just so."""
    n_directory = _check_head(data)
    is_whole = sha256(data[:_CHECKED] + data[_HEAD.size :]).digest() == data[_CHECKED : _HEAD.size]
    try:
        directory = json.loads(data[_HEAD.size : _HEAD.size + n_directory])
        sections = [(_section(row, data[_HEAD.size + n_directory :]), row["sha256"]) for row in directory["sections"]]
        made = Bundle(tuple(s for s, _ in sections), int(directory["abi"]), str(directory["made_by"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BundleError(DAMAGED, "its directory cannot be read: the file is damaged") from None
    for s, checksum in sections:
        if sha256(s.data).hexdigest() != checksum:
            raise BundleError(DAMAGED, f"checksum of its {s} does not match: the file is damaged")
    if not is_whole:
        raise BundleError(DAMAGED, "its checksum does not match: the file is damaged")
    return made


def _check_head(data: bytes) -> int:
    """Size of the directory, when the head is one we can read."""
    if data[:8] != _MAGIC[: len(data[:8])] or not data:
        raise BundleError(DAMAGED, "it is no lem bundle", "lem build FILE.lem -o FILE.lemb makes one")
    if len(data) < _HEAD.size:
        raise BundleError(DAMAGED, f"the file is cut short: it has {len(data):,} bytes")
    _, version, _, size, n_directory, _ = _HEAD.unpack_from(data)
    if version > FORMAT:
        raise BundleError(OTHER_VERSION, f"its format is {version}; this lem_runtime reads {FORMAT}", "use a newer one")
    if len(data) < size:
        raise BundleError(DAMAGED, f"the file is cut short: it has {len(data):,} of {size:,} bytes")
    if len(data) > size:
        raise BundleError(DAMAGED, f"the file is damaged: it has {len(data):,} bytes instead of {size:,}")
    return int(n_directory)


def _section(row: Mapping[str, Any], data: bytes) -> Section:
    kind, target, about, start, size = (row[key] for key in ("kind", "target", "about", "offset", "size"))
    if not (isinstance(kind, str) and isinstance(target, str) and isinstance(about, dict)):
        raise TypeError
    if not (0 <= start <= start + size <= len(data)):
        raise ValueError
    return Section(kind, target, about, data[start : start + size])


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
