"""The object loader: code runs, data is where it should be, pages are protected, and damage is an error."""

from __future__ import annotations

import ctypes
import platform
import random
import struct

import pytest

from lem_runtime import elf, loader
from lem_runtime.loader import Image, LoadError, load
from tests.support.llvm import compile_ir

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 processor")

PROGRAM = """
@table = internal constant [4 x i64] [i64 10, i64 20, i64 30, i64 40]
@cell = global i64 5
@zeros = internal global [100 x i64] zeroinitializer
@pointer = internal constant ptr @cell
@elsewhere = external global i64
declare i64 @labs(i64)

define i64 @pick(i64 %n) {
  %p = getelementptr i64, ptr @table, i64 %n
  %v = load i64, ptr %p
  ret i64 %v
}
define i64 @bump() {
  %p = load volatile ptr, ptr @pointer
  %v = load i64, ptr %p
  %w = add i64 %v, 1
  store i64 %w, ptr %p
  %z = getelementptr i64, ptr @zeros, i64 99
  %old = load i64, ptr %z
  %sum = add i64 %w, %old
  ret i64 %sum
}
define i64 @outside(i64 %n) {
  %a = call i64 @labs(i64 %n)
  %b = call i64 @pick(i64 1)
  %c = load i64, ptr @elsewhere
  %d = add i64 %a, %b
  %e = add i64 %d, %c
  ret i64 %e
}
"""
_ELSEWHERE = ctypes.c_int64(1000)


def _externals() -> dict[str, int]:
    labs = ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p).value or 0
    return {"labs": labs, "elsewhere": ctypes.addressof(_ELSEWHERE)}


def _call(loaded: loader.Loaded, name: str, *args: int) -> int:
    kinds = [ctypes.c_int64] * len(args)
    return int(ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(loaded.address(name))(*args))


def test_code_reads_its_constants_and_writes_its_data() -> None:
    loaded = load(compile_ir(PROGRAM), _externals())
    assert [_call(loaded, "pick", n) for n in range(4)] == [10, 20, 30, 40]
    assert [_call(loaded, "bump") for _ in range(3)] == [6, 7, 8]
    assert ctypes.c_int64.from_address(loaded.address("cell")).value == 8


def test_outside_functions_and_data_are_reached() -> None:
    assert _call(load(compile_ir(PROGRAM), _externals()), "outside", -3) == 3 + 20 + 1000


def test_two_copies_do_not_share_data() -> None:
    one, two = (load(compile_ir(PROGRAM), _externals()) for _ in range(2))
    assert (_call(one, "bump"), _call(one, "bump"), _call(two, "bump")) == (6, 7, 6)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(LoadError, match="labs"):
        load(compile_ir(PROGRAM), {"elsewhere": 8})
    with pytest.raises(LoadError, match="no `missing`"):
        load(compile_ir(PROGRAM), _externals()).address("missing")


def test_no_page_is_writable_and_executable() -> None:
    loaded = load(compile_ir(PROGRAM), _externals())
    rights = {name: _rights(loaded.address(name)) for name in ("pick", "cell")}
    assert rights == {"pick": "r-x", "cell": "rw-"}


def _rights(address: int) -> str:
    with open("/proc/self/maps", encoding="ascii") as f:
        for line in f:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            if start <= address < end:
                return line.split()[1][:3]
    raise AssertionError("not mapped")


def test_vector_constants_keep_their_alignment() -> None:
    ir = """
@c = internal constant <4 x float> <float 1.0, float 2.0, float 3.0, float 4.0>, align 16
define i64 @low() {
  %n = ptrtoint ptr @c to i64
  %l = and i64 %n, 15
  ret i64 %l
}
"""
    assert _call(load(compile_ir(ir)), "low") == 0


def test_thread_local_data_is_refused() -> None:
    with pytest.raises(LoadError):
        load(compile_ir("@t = thread_local global i64 1\ndefine i64 @f() {\n %v = load i64, ptr @t\n ret i64 %v\n}"))


def test_object_of_another_machine_is_refused() -> None:
    other = ARM if platform.machine() == "x86_64" else X86
    with pytest.raises(LoadError, match="ELF machine"):
        load(compile_ir("define void @f() {\n ret void\n}", other))


def test_other_formats_go_to_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LoadError, match="not an ELF object"):
        load(b"MZ\x90\x00")
    monkeypatch.setattr(loader, "_fallbacks", [])
    mine = load(compile_ir(PROGRAM), _externals())
    loader.register_fallback(lambda data, outside: mine)
    assert load(b"\xcf\xfa\xed\xfe") is mine


def test_truncated_objects_are_errors() -> None:
    data = compile_ir(PROGRAM, X86)
    for n in range(0, len(data), 7):
        _link_or_refuse(data[:n])


def test_damaged_headers_are_errors_or_harmless() -> None:
    data = compile_ir(PROGRAM, X86)
    tables = struct.unpack_from("<Q", data, 40)[0]
    rng = random.Random(1)
    for _ in range(1500):
        bad = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            # headers, symbols and relocations; not the code, which a checksum protects
            at = rng.choice([rng.randrange(64), rng.randrange(tables, len(data)), rng.randrange(len(data))])
            bad[at] = rng.choice([0, 0xFF, 0x7F, rng.randrange(256)])
        _link_or_refuse(bytes(bad))


def _link_or_refuse(data: bytes) -> None:
    """Everything that `load` does short of giving the bytes to the processor."""
    try:
        image = Image(elf.parse(data), _externals())
        image.linked(1 << 40)
        image.exports(1 << 40)
    except LoadError:
        pass


# --- aarch64: the encodings are checked by decoding them, no such processor is needed


def _arm_image() -> tuple[Image, elf.Object, bytes, int]:
    obj = elf.parse(compile_ir(PROGRAM, ARM))
    image = Image(obj, {"labs": 0x7F0012345678, "elsewhere": 0x7F00AAAABBB0})
    base = 0x55AA_1234_5000 & ~0xFFF
    return image, obj, image.linked(base), base


def test_aarch64_page_and_offset_name_the_data() -> None:
    image, obj, bits, base = _arm_image()
    seen = 0
    for r in obj.relocations:
        if r.kind != 275:  # ADR_PREL_PG_HI21, followed by the low 12 bits in the next instruction
            continue
        at = image._starts[r.section] + r.offset
        value = image._value(r.symbol, base) + r.addend
        adrp = int.from_bytes(bits[at : at + 4], "little")
        pages = _signed((adrp >> 5 & 0x7FFFF) << 2 | adrp >> 29 & 3, 21)
        assert ((base + at) & ~0xFFF) + (pages << 12) == value & ~0xFFF
        seen += 1
    assert seen


def test_aarch64_calls_outside_go_through_a_stub() -> None:
    image, obj, bits, base = _arm_image()
    (r,) = [r for r in obj.relocations if r.kind in (282, 283) and obj.symbols[r.symbol].name == "labs"]
    at = image._starts[r.section] + r.offset
    branch = int.from_bytes(bits[at : at + 4], "little")
    stub = at + (_signed(branch & 0x3FFFFFF, 26) << 2)
    load_x16, jump = struct.unpack_from("<II", bits, stub)
    assert (load_x16, jump) == (0x58000050, 0xD61F0200)
    assert struct.unpack_from("<Q", bits, stub + 8)[0] == 0x7F0012345678


def test_aarch64_outside_data_goes_through_the_address_table() -> None:
    image, obj, bits, base = _arm_image()
    found = {r.kind: r for r in obj.relocations if obj.symbols[r.symbol].name == "elsewhere"}
    page, low = found[311], found[312]
    at = image._starts[page.section] + page.offset
    adrp = int.from_bytes(bits[at : at + 4], "little")
    pages = _signed((adrp >> 5 & 0x7FFFF) << 2 | adrp >> 29 & 3, 21)
    at_low = image._starts[low.section] + low.offset
    offset = (int.from_bytes(bits[at_low : at_low + 4], "little") >> 10 & 0xFFF) * 8
    slot = ((base + at) & ~0xFFF) + (pages << 12) + offset - base
    assert struct.unpack_from("<Q", bits, slot)[0] == 0x7F00AAAABBB0


def _signed(n: int, bits: int) -> int:
    return n - (1 << bits) if n >> (bits - 1) else n
