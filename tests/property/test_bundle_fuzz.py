"""A bundle that is not as it was written is refused, with a code and a reason, whatever has happened to it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem_runtime import Bundled, BundleError
from lem_runtime.abi import bundle
from tests.support.bundles import bundle as built
from tests.support.bundles import folder

CODES = {"E0625", "E0626"}


def _regions() -> list[tuple[str, int, int]]:
    """Name, start and end of every part of the file."""
    data = built("baseline", ":pick").read_bytes()
    n_directory = struct.unpack_from("<Q", data, 24)[0]
    parts = [("head", 0, 32), ("checksum", 32, 64), ("directory", 64, 64 + n_directory)]
    at = 64 + n_directory
    for n, s in enumerate(bundle.decode(data).sections):
        parts.append((f"{s.kind}-{n}", at, at + len(s.data)))
        at += len(s.data)
    assert at == len(data)
    return parts


def _refused(data: bytes) -> None:
    path = folder() / "fuzzed.lemb"
    path.write_bytes(data)
    with pytest.raises(BundleError) as found:
        Bundled(path)
    assert found.value.code in CODES and str(path) in found.value.message


@given(st.data())
def test_flipped_bytes_are_noticed_in_every_region(drawn: st.DataObject) -> None:
    data = bytearray(built("baseline", ":pick").read_bytes())
    for _, start, end in _regions():
        at = drawn.draw(st.integers(start, end - 1))
        mask = drawn.draw(st.integers(1, 255))
        data[at] ^= mask
        _refused(bytes(data))
        data[at] ^= mask


@given(st.data())
def test_cut_and_lengthened_files_are_noticed(drawn: st.DataObject) -> None:
    data = built("baseline", ":pick").read_bytes()
    _refused(data[: drawn.draw(st.integers(0, len(data) - 1))])
    _refused(data + drawn.draw(st.binary(min_size=1, max_size=100)))
    start = drawn.draw(st.integers(0, len(data) - 1))
    _refused(data[:start] + data[start + drawn.draw(st.integers(1, 100)) :])


@given(st.binary(max_size=200))
def test_anything_else_is_no_bundle(data: bytes) -> None:
    _refused(data)
    _refused(built("baseline", ":pick").read_bytes()[:64] + data)


def test_every_byte_of_head_and_directory_is_looked_at(tmp_path: Path) -> None:
    data = bytearray(built("baseline", ":pick").read_bytes())
    for at in range(_regions()[2][2]):
        data[at] ^= 0x10
        with pytest.raises(BundleError):
            bundle.decode(bytes(data))
        data[at] ^= 0x10
