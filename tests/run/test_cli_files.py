"""Arrays from files and back: what is read is what is there, damaged files get one message, outputs appear whole."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lem.cli import files, reading
from lem.cli.files import FileProblem, Result

Array = np.ndarray[Any, Any]


def read(path: Path | str, name: str = "x", dtype: str = "f32", rank: int = 1) -> reading.Loaded:
    return reading.read_array(str(path), reading.Wanted(name, dtype, rank))


def refused(path: Path | str, **wanted: Any) -> str:
    with pytest.raises(FileProblem) as e:
        read(path, **wanted)
    assert e.value.code == "E0610"
    return f"{e.value.message} | {e.value.help}"


def results(**arrays: Array) -> list[Result]:
    from lem_runtime import lem_dtype

    return [Result(name, lem_dtype(a.dtype) or "", a) for name, a in arrays.items()]


def npy_bytes(array: Array) -> bytes:
    f = io.BytesIO()
    np.save(f, array)
    return f.getvalue()


# ---------------------------------------------------------------- what is written is read back
ARRAYS = {
    "f32": np.array([[1.5, -0.0], [np.inf, 1e-40]], np.float32),
    "f64": np.array([0.1, 1e300, -np.inf]),
    "f16": np.array([[0.1], [65504]], np.float16),
    "i8": np.array([-128, 127], np.int8),
    "u8": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "i64": np.array([-(2**63), 2**63 - 1]),
    "u64": np.array([2**64 - 1], np.uint64),
    "bool": np.array([True, False]),
}


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".csv"])
@pytest.mark.parametrize("dtype", sorted(ARRAYS))
def test_numbers_survive(tmp_path: Path, dtype: str, suffix: str) -> None:
    array = ARRAYS[dtype]
    path = tmp_path / f"a{suffix}"
    files.write_results({str(path): results(x=array)})
    loaded = read(path, dtype=dtype, rank=array.ndim)
    assert loaded.dtype == dtype
    assert loaded.array.shape == array.shape
    assert loaded.array.tobytes() == array.tobytes()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 2, 3, 4)])
def test_shapes_survive(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    files.write_results({str(path): results(x=np.ones(shape, np.float32))})
    assert read(path, rank=len(shape)).array.shape == shape


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_pictures_survive(tmp_path: Path, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    path = tmp_path / "a.png"
    files.write_results({str(path): results(x=picture)})
    loaded = read(path, dtype="u8", rank=3)
    assert loaded.dtype == "u8" and np.array_equal(loaded.array, picture.squeeze())


def test_grey_pictures_of_16_bits_survive(tmp_path: Path) -> None:
    picture = np.array([[0, 1, 65535], [256, 255, 4096]], np.uint16)
    path = tmp_path / "a.png"
    files.write_results({str(path): results(x=picture)})
    assert np.array_equal(read(path, dtype="u16", rank=2).array, picture)


def test_jpeg_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.JPG"
    files.write_results({str(path): results(x=np.full((16, 16, 3), 90, np.uint8))})
    array = read(path, dtype="u8", rank=3).array
    assert array.shape == (16, 16, 3) and abs(int(array.mean()) - 90) <= 2


def test_narrow_floats_go_through_safetensors(tmp_path: Path) -> None:
    bits = np.array([0x3F80, 0xC000], np.uint16)
    path = tmp_path / "a.safetensors"
    files.write_results({str(path): [Result("x", "bf16", bits)]})
    loaded = read(path, dtype="bf16")
    assert loaded.dtype == "bf16" and np.array_equal(loaded.array, bits)
    for suffix in (".npy", ".npz", ".csv"):
        with pytest.raises(FileProblem, match="bf16"):
            files.write_results({str(tmp_path / f"b{suffix}"): [Result("x", "bf16", bits)]})


def test_safetensors_is_the_format_of_the_package(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy")
    arrays = {"b": np.arange(3, dtype=np.uint8), "a": np.eye(2), "c": np.ones((2, 2), np.float32)}
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    files.write_results({str(ours): results(**arrays)})
    package.save_file(arrays, theirs)
    back = package.load_file(ours)
    for name, array in arrays.items():
        assert np.array_equal(back[name], array)
        assert np.array_equal(read(theirs, name).array, array)


def test_fortran_order_is_kept(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.save(tmp_path / "a.npy", array)
    loaded = read(tmp_path / "a.npy").array
    assert loaded.strides == array.strides and np.array_equal(loaded, array)


# ---------------------------------------------------------------- members
def test_members_are_picked_by_name_or_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(1), y=np.ones(2))
    assert read(path, "x").array.shape == (1,)
    assert read(f"{path}::y", "x").array.shape == (2,)
    assert "has no array `z`" in refused(path, name="z") and "it has x, y" in refused(path, name="z")
    np.savez(tmp_path / "one.npz", q=np.zeros(3))
    assert read(tmp_path / "one.npz", "x").array.shape == (3,)


def test_member_of_a_file_that_has_none(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(1))
    assert "holds one array" in refused(f"{tmp_path}/a.npy::x")


def test_colons_in_a_name_are_a_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a::b.npy", np.zeros(4))
    assert read(tmp_path / "a::b.npy").array.shape == (4,)


# ---------------------------------------------------------------- text
@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1,2\n3,4\n", (2, 2)),
        ("\ufeff1,2\n", (1, 2)),
        ("a,b\n1,2\n", (1, 2)),
        ("1\n2\n3", (3, 1)),
        ("1,2,3\r\n", (1, 3)),
        ("# made by hand\n1,2\n\n3,4  # the last\n", (2, 2)),
        (",a\n0,1\n", (1, 2)),
        ("a,b\n", (0, 2)),
        ("a\n", (0, 1)),
    ],  # fmt: skip
)
def test_tables(tmp_path: Path, text: str, shape: tuple[int, ...]) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert read(tmp_path / "a.csv", rank=2).array.shape == shape
    if 1 in shape:
        assert read(tmp_path / "a.csv", rank=1).array.shape == (max(shape) if 0 not in shape else 0,)


@pytest.mark.parametrize(
    ("text", "dtype", "said"),
    [
        ("1,2\n3\n", "f32", "line 2 has 1 column, not 2 as those before"),
        ("a,b\n1,2\n\n3,4,5\n", "f32", "line 4 has 3 columns, not 2 as those before"),
        ("1,2\n3,x\n", "f32", "line 2, column 2: `x` cannot be read as f32"),
        ("a,b\n1,2\n3,\n", "f32", "line 3, column 2 is empty"),
        ("1,,3\n4,5,6\n", "f32", "line 1, column 2 is empty"),
        ("1,300\n", "u8", "line 1, column 2: `300` cannot be read as u8"),
        ("1.5\n", "i32", "line 1, column 1: `1.5` cannot be read as i32"),
        ("1\nyes\n", "bool", "line 2, column 1: `yes` cannot be read as bool"),
        ("x;y\n1;2\n", "f32", "line 2, column 1: `1;2` cannot be read as f32 | columns of a .csv file are separated"),
        ("1\n", "bf16", "cannot be read as bf16"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str, dtype: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert said in refused(tmp_path / "a.csv", dtype=dtype, rank=2)


# ---------------------------------------------------------------- files that are not what they say
GOOD = npy_bytes(np.arange(10, dtype=np.float32))
OBJECTS = npy_bytes(np.array([{"a": 1}], dtype=object))
HUGE = GOOD.replace(b"(10,)", b"(" + b"9" * 14 + b",)")
TENSOR = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()


def tensor_file(header: bytes, data: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + data


DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "empty": (".npy", b"", "is empty"),
    "no npy": (".npy", b"hello world", "does not begin like a .npy file"),
    "pickle": (".npy", OBJECTS, "pickled Python objects"),
    "short magic": (".npy", GOOD[:7], "is damaged, or no .npy file"),
    "cut in the header": (".npy", GOOD[:50], "is damaged, or no .npy file"),
    "cut in the data": (".npy", GOOD[:-3], "it is cut off: 3 of its bytes are missing"),
    "huge promise": (".npy", HUGE, "it is cut off"),
    "npz as npy": (".npy", b"PK\3\4....", "name it .npz"),
    "no npz": (".npz", GOOD, "no .npz file"),
    "no png": (".png", b"\x89PNG\r\n\x1a\n" + bytes(40), "is damaged, or no .png file"),
    "text as jpg": (".jpg", b"<html>", "cannot identify"),
    "no header": (".safetensors", b"\1\0\0", "no safetensors header"),
    "header of anything": (".safetensors", tensor_file(b"[1, 2]", b""), "header is damaged"),
    "header too long": (".safetensors", (2**60).to_bytes(8, "little") + b"{}", "no safetensors header"),
    "deep header": (".safetensors", tensor_file(b"[" * 100_000, b""), "header is damaged"),
    "tensor cut off": (".safetensors", tensor_file(TENSOR, bytes(4)), "tensor `x` ends 4 bytes after the file"),
    "wrong size": (".safetensors", tensor_file(TENSOR.replace(b"[2]", b"[3]"), bytes(8)), "promises [3] elements"),
    "negative offset": (".safetensors", tensor_file(TENSOR.replace(b"[0,", b"[-4,"), bytes(8)), "header is damaged"),
    "unknown type": (".safetensors", tensor_file(TENSOR.replace(b"F32", b"F4X"), bytes(8)), "which are F4X"),
    "binary csv": (".csv", bytes(range(256)), "is damaged, or no .csv file"),
    "other format": (".tiff", b"II*", "no reader for .tiff"),
    "no format": ("", b"x", "the name tells no format"),
}


@pytest.mark.parametrize("what", sorted(DAMAGED))
def test_damaged_files_are_refused(tmp_path: Path, what: str) -> None:
    suffix, data, said = DAMAGED[what]
    path = tmp_path / f"file{suffix}"
    path.write_bytes(data)
    assert said in refused(path)


def test_every_cut_of_a_file_is_refused_or_read(tmp_path: Path) -> None:
    """Wherever a file ends, it is read or refused: no exception of a reader comes through."""
    for suffix in (".npy", ".npz", ".png", ".safetensors"):
        whole = tmp_path / f"whole{suffix}"
        files.write_results({str(whole): results(x=np.arange(12, dtype=np.uint8).reshape(3, 4))})
        data = whole.read_bytes()
        for n in range(0, len(data), max(1, len(data) // 40)):
            path = tmp_path / f"cut{suffix}"
            path.write_bytes(data[:n])
            with contextlib.suppress(FileProblem):  # a picture may lack its last bytes, which hold nothing
                got = read(path).array
                assert suffix == ".png" and np.array_equal(got, read(whole).array)


def test_other_byte_orders_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3, ">f4"))
    said = refused(tmp_path / "a.npy")
    assert "big-endian" in said and ".astype('<f4')" in said


def test_missing_files_and_folders(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", np.zeros(1))
    assert "does not exist" in refused(tmp_path / "scoers.npy") and "scores.npy" in refused(tmp_path / "scoers.npy")
    assert "is a folder" in refused(tmp_path)


def test_colours_of_16_bits_are_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes([0, 0, 0, 1, 0, 0, 0, 1, 16, 2, 0, 0, 0]))
    assert "16 bits per colour" in refused(path)


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", ".jpg"), ("YCbCr", ".jpg")])
def test_colours_that_would_be_taken_for_others(tmp_path: Path, mode: str, suffix: str) -> None:
    from PIL import Image

    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (8, 8), "red").convert(mode).save(path)
    if mode == "CMYK":
        assert "has the colours CMYK" in refused(path, dtype="u8", rank=3)
    else:  # how a .jpg holds its colours is an encoding
        assert read(path, dtype="u8", rank=3).array[0, 0, 0] > 240


# ---------------------------------------------------------------- writing
NOT_PICTURES: dict[str, Array] = {
    "floats": np.zeros((2, 2), np.float32),
    "two channels": np.zeros((2, 2, 2), np.uint8),
    "one axis": np.zeros(4, np.uint8),
    "nothing": np.zeros((0, 4), np.uint8),
}


@pytest.mark.parametrize("what", sorted(NOT_PICTURES))
def test_what_is_no_picture(tmp_path: Path, what: str) -> None:
    with pytest.raises(FileProblem, match="a picture"):
        files.write_results({str(tmp_path / "a.png"): results(x=NOT_PICTURES[what])})
    assert not list(tmp_path.iterdir())


def test_alpha_needs_png(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="alpha"):
        files.write_results({str(tmp_path / "a.jpg"): results(x=np.zeros((2, 2, 4), np.uint8))})


def test_all_outputs_appear_or_none(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.npy", tmp_path / "b.png"
    with pytest.raises(FileProblem):
        files.write_results({str(good): results(x=np.zeros(3)), str(bad): results(y=np.zeros(3))})
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"before")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        files.write_results({str(path): results(x=np.zeros(3))})
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"] and path.read_bytes() == b"before"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".safetensors", ".png", ".jpg"])
def test_a_full_disk_is_named(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / f"a{suffix}"
    kept.write_bytes(b"before")
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (os.open("/dev/full", os.O_WRONLY), str(tmp_path / "part")))
    with pytest.raises(FileProblem, match="no space left on device") as e:
        files.write_results({str(kept): results(x=np.ones((200, 300), np.uint8))})
    assert e.value.help == "make room, or write to another disk"
    assert [p.name for p in tmp_path.iterdir()] == [kept.name] and kept.read_bytes() == b"before"


def test_new_files_get_usual_rights(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    files.write_results({str(tmp_path / "a.npy"): results(x=np.zeros(3))})
    assert (tmp_path / "a.npy").stat().st_mode == (tmp_path / "other").stat().st_mode


def planned(*plan: tuple[str, int]) -> list[files.Planned]:
    return [files.Planned(f"y{n}", dtype, rank) for n, (dtype, rank) in enumerate(plan)]


def problem_of(path: str, *plan: tuple[str, int]) -> str:
    with pytest.raises(FileProblem) as e:
        files.check_writable(path, planned(*plan) or planned(("f32", 1)))
    assert e.value.code == "E0611"
    return f"{e.value.message} | {e.value.help}"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "file").write_bytes(b"")
    assert "no writer for .gif" in problem_of("a.gif")
    assert "the name tells no format" in problem_of("-")
    assert "does not exist" in problem_of(f"{tmp_path}/no/a.npy")
    assert "is not a folder" in problem_of(f"{tmp_path}/file/a.npy")
    assert "is a folder" in problem_of(f"{tmp_path}/folder.npy")
    assert "holds one array" in problem_of("a.npy", ("f32", 1), ("f32", 1))


def test_what_a_format_cannot_hold_is_refused_early(tmp_path: Path) -> None:
    assert ".csv holds one or two" in problem_of("a.csv", ("f32", 3))
    assert "f32 with 2 axes; a picture is" in problem_of("a.png", ("f32", 2))
    assert "u8 with 1 axis; a picture is" in problem_of("a.jpg", ("u8", 1))
    assert "write .safetensors" in problem_of("a.npy", ("bf16", 1))
    for path, plan in (("a.npz", [("f32", 1), ("u8", 2)]), ("a.png", [("u8", 3)]), ("a.jpg", [("", 2)])):
        files.check_writable(str(tmp_path / path), planned(*plan))
