"""The file of a bundle: what is written is read back; what is not known is passed over; what is not right is refused."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from lem_runtime import Bundled, BundleError
from lem_runtime.abi import ABI_VERSION, bundle
from lem_runtime.abi.bundle import Bundle, Section
from lem_runtime.abi.signature import Signature
from tests.support.bundles import bundle as built

SMALL = Bundle(
    (bundle.signatures_section({"f": Signature("f", "kernel", (), (), ())}), Section("code", "cpu", {"cpu": "x"}, b"code")),
    made_by="lem 0",
)


def refused(path: Path, data: bytes) -> BundleError:
    path.write_bytes(data)
    with pytest.raises(BundleError) as found:
        Bundled(path)
    assert found.value.message.startswith(f"`{path}`: ")
    return found.value


def test_what_was_written_is_read_back() -> None:
    data = bundle.encode(SMALL)
    assert bundle.decode(data) == SMALL
    assert bundle.encode(bundle.decode(data)) == data
    assert list(bundle.signatures_of(SMALL)) == ["f"]


def test_sections_of_other_targets_are_passed_over(tmp_path: Path) -> None:
    found = bundle.decode(built().read_bytes())
    more = (Section("code", "spu", {"function": "axpy"}, b"\0spu"), Section("poem", "", {}, b"roses"))
    path = tmp_path / "more.lemb"
    path.write_bytes(bundle.encode(replace(found, sections=(more[0], *found.sections, more[1]))))
    assert list(Bundled(path).signatures) == ["axpy", "pick", "transpose", "main"]
    assert bundle.decode(path.read_bytes()).of_kind("code", "spu")[0].data == b"\0spu"


def test_other_versions_are_refused_by_name(tmp_path: Path) -> None:
    data, path = bundle.encode(SMALL), tmp_path / "x.lemb"
    newer = refused(path, data[:8] + struct.pack("<I", 2) + data[12:])
    assert (newer.code, "its format is 2; this lem_runtime reads 1" in newer.message) == ("E0626", True)
    for abi, word in ((ABI_VERSION + 1, "a newer"), (ABI_VERSION - 1, "an older")):
        error = refused(path, bundle.encode(replace(SMALL, abi=abi)))
        assert error.code == "E0626" and f"{word} version of lem_runtime" in error.message


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    data, path = bytearray(bundle.encode(SMALL)), tmp_path / "x.lemb"
    assert "cut short: it has 63 bytes" in refused(path, data[:63]).message
    assert "cut short: it has 100 of" in refused(path, data[:100]).message
    assert "instead of" in refused(path, data + b"\n").message
    assert "no lem bundle" in refused(path, b"kernel f():\n").message
    assert "no lem bundle" in refused(path, b"").message
    assert "checksum of its code for x does not match" in refused(path, data[:-1] + b"?").message
    assert "directory cannot be read" in refused(path, data[:64] + b"?" + data[65:]).message
    assert "its checksum does not match" in refused(path, data[:12] + b"\1" + data[13:]).message


def test_code_for_other_machines_is_refused_with_both_named(tmp_path: Path) -> None:
    about = {"function": "f", "layouts": [], "triple": "sparc64-unknown-linux-gnu", "cpu": "niagara", "features": []}
    other = replace(SMALL, sections=(SMALL.sections[0], Section("code", "cpu", about, b"")))
    error = refused(tmp_path / "x.lemb", bundle.encode(other))
    assert error.code == "E0627" and "it has code for sparc64 linux (niagara); this machine is" in error.message


@pytest.mark.parametrize(
    "about", [{}, {"triple": 3}, {"layouts": 3}, {"function": "g"}, {"layouts": ["any"] * 9}, {"cpu": []}]
)
def test_right_checksums_of_nonsense_are_no_reason_to_crash(about: dict[str, object], tmp_path: Path) -> None:
    found = bundle.decode(built("baseline").read_bytes())
    changed = [replace(s, about={**s.about, **about} if about else {}) if s.kind == "code" else s for s in found.sections]
    refused(tmp_path / "x.lemb", bundle.encode(replace(found, sections=tuple(changed))))


def test_directory_is_described_as_documented() -> None:
    """What the reference says of the file, read by hand."""
    data = built().read_bytes()
    magic, version, zero, size, n_directory, checksum = struct.unpack("<8sIIQQ32s", data[:64])
    assert (magic, version, zero, size) == (b"\x89LEMB\r\n\x1a", 1, 0, len(data))
    assert hashlib.sha256(data[:32] + data[64:]).digest() == checksum
    directory = json.loads(data[64 : 64 + n_directory])
    assert set(directory) == {"abi", "made_by", "sections"}
    for row in directory["sections"]:
        start = 64 + n_directory + row["offset"]
        assert hashlib.sha256(data[start : start + row["size"]]).hexdigest() == row["sha256"]
        assert set(row) == {"kind", "target", "about", "offset", "size", "sha256"}
    assert {row["kind"] for row in directory["sections"]} == {"signatures", "code", "native"}
