"""Turns an object file into callable memory, without LLVM: 0.3 ms instead of an import of 100 ms.

Takes the bytes of an ELF64 relocatable object and a table of the few outside names it may use; gives a
:class:`LoadedObject` that says where each symbol is and owns the memory. Code is written first and made executable
afterwards; no page is ever both writable and executable. Whatever is not ELF, or not on Linux, goes to the function
given to :func:`register_fallback` (the compiler offers LLVM's own linker there), else it is a :class:`LoadError`.

Memory, each part on pages of its own:   code + stubs | read-only data + address table | data
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from lem_runtime.elf import (
    ABSOLUTE,
    EM_AARCH64,
    EM_X86_64,
    UNDEFINED,
    LoadError,
    Object,
    Relocation,
    Section,
    parse,
)

__all__ = ["LoadError", "Loaded", "LoadedObject", "load", "register_fallback"]

_PAGE: Final = mmap.PAGESIZE
_STUB_BYTES: Final = 16
_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_HOST: Final = {"x86_64": EM_X86_64, "amd64": EM_X86_64, "aarch64": EM_AARCH64, "arm64": EM_AARCH64}


class Loaded(Protocol):
    """Code in memory. It stays there as long as this object lives."""

    def address(self, symbol: str) -> int: ...


Fallback = Callable[[bytes, Mapping[str, int]], Loaded]
_fallbacks: list[Fallback] = []


def register_fallback(fallback: Fallback) -> None:
    """Offer another loader for objects or systems this one does not know; the last one offered is used."""
    _fallbacks[:] = [fallback]


def load(object_bytes: bytes, externals: Mapping[str, int] | None = None) -> Loaded:
    """Load an object; `externals` gives the address of every undefined name it may use. Raises :class:`LoadError`."""
    outside = externals or {}
    is_elf = object_bytes[:4] == b"\x7fELF"
    if is_elf and sys.platform.startswith("linux"):
        obj = parse(object_bytes)
        host = _HOST.get(platform.machine().lower())
        if obj.machine != host:
            raise LoadError(f"object is for ELF machine {obj.machine}, this processor is {platform.machine()}")
        return LoadedObject(obj, outside)
    if _fallbacks:
        return _fallbacks[0](object_bytes, outside)
    what = "an ELF object cannot be loaded on this system" if is_elf else "not an ELF object"
    raise LoadError(f"{what}, and no other loader is registered (lem_runtime.loader.register_fallback)")


class LoadedObject:
    """An object in executable memory; the memory goes when this object goes."""

    def __init__(self, obj: Object, externals: Mapping[str, int]) -> None:
        image = Image(obj, externals)
        self._map = mmap.mmap(-1, image.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        # The exported buffer pins the mapping; both end together with this object.
        self._pin = (ctypes.c_char * image.size).from_buffer(self._map)
        base = ctypes.addressof(self._pin)
        self._map[:] = image.linked(base)
        for start, end, protection in image.protections():
            _protect(base + start, end - start, protection)
        if obj.machine == EM_AARCH64:
            _clear_instruction_cache(base, image.size)
        self._addresses = image.exports(base)
        self.size_bytes = image.size

    def address(self, symbol: str) -> int:
        """Where a global symbol of the object lies. Raises :class:`LoadError`."""
        try:
            return self._addresses[symbol]
        except KeyError:
            raise LoadError(f"object defines no `{symbol}`") from None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names that the object defines."""
        return tuple(self._addresses)


class Image:
    """Layout of an object in memory, and its bytes once the base address is known. Touches no memory itself."""

    def __init__(self, obj: Object, externals: Mapping[str, int]) -> None:
        self._obj = obj
        self._externals = externals
        self._patches = _PATCHES[obj.machine]
        self._check_names()
        self._stubs = self._slots(("call",), only_undefined=True)
        self._got = self._slots(("got", "got_page", "got_lo12"), only_undefined=False)
        self._starts = [0] * len(obj.sections)
        self._code_end = self._place(0, lambda s: s.is_code)
        self._stub_start = _align(self._code_end, 16)
        self._rodata = _align(self._stub_start + _STUB_BYTES * len(self._stubs), _PAGE)
        end = self._place(self._rodata, lambda s: not s.is_code and not s.is_written)
        self._got_start = _align(end, 8)
        self._data = _align(self._got_start + 8 * len(self._got), _PAGE)
        self.size = max(_align(self._place(self._data, lambda s: s.is_written), _PAGE), _PAGE)

    def protections(self) -> Iterable[tuple[int, int, int]]:
        """(start, end, protection) of the parts; empty parts are left out."""
        parts = (
            (0, self._rodata, _PROT_READ | _PROT_EXEC),
            (self._rodata, self._data, _PROT_READ),
            (self._data, self.size, _PROT_READ | _PROT_WRITE),
        )
        return [part for part in parts if part[0] < part[1]]

    def exports(self, base: int) -> dict[str, int]:
        """Addresses of the global symbols defined here."""
        return {
            s.name: base + self._starts[s.section] + s.value for s in self._obj.symbols if s.is_global and s.section >= 0
        }

    def linked(self, base: int) -> bytes:
        """All bytes, relocated for an image at `base`. Raises :class:`LoadError` where an address does not fit."""
        out = bytearray(self.size)
        for start, s in zip(self._starts, self._obj.sections, strict=True):
            if s.data is not None:
                out[start : start + s.size] = s.data
        values = [self._value(n, base) for n in range(len(self._obj.symbols))]
        for symbol, slot in self._got.items():
            at = self._got_start + 8 * slot
            out[at : at + 8] = values[symbol].to_bytes(8, "little")
        for symbol, slot in self._stubs.items():
            at = self._stub_start + _STUB_BYTES * slot
            out[at : at + _STUB_BYTES] = _stub(self._obj.machine, values[symbol])
        for r in self._obj.relocations:
            self._patch(out, base, r, values[r.symbol])
        return bytes(out)

    def _patch(self, out: bytearray, base: int, r: Relocation, value: int) -> None:
        role, n_bytes, encode = self._patches[r.kind]
        if role == "call" and r.symbol in self._stubs:
            value = base + self._stub_start + _STUB_BYTES * self._stubs[r.symbol]
        elif role.startswith("got"):
            value = base + self._got_start + 8 * self._got[r.symbol]
        at = self._starts[r.section] + r.offset
        if r.offset + n_bytes > self._obj.sections[r.section].size:
            raise LoadError("relocation lies outside its section")
        old = int.from_bytes(out[at : at + n_bytes], "little")
        new = encode(value + r.addend, base + at, old)
        out[at : at + n_bytes] = (new & ((1 << 8 * n_bytes) - 1)).to_bytes(n_bytes, "little")

    def _check_names(self) -> None:
        symbols = self._obj.symbols
        for r in self._obj.relocations:
            symbol = symbols[r.symbol]
            if r.kind not in self._patches:
                raise LoadError(f"relocation type {r.kind} (for `{symbol.name}`) is not known here")
            if r.symbol and symbol.section == UNDEFINED and symbol.name not in self._externals:
                raise LoadError(f"object needs `{symbol.name}`, which is not offered")
            if symbol.section < ABSOLUTE:
                raise LoadError(f"`{symbol.name}` lies in a section that is not loaded")

    def _slots(self, roles: tuple[str, ...], *, only_undefined: bool) -> dict[int, int]:
        slots: dict[int, int] = {}
        for r in self._obj.relocations:
            outside = self._obj.symbols[r.symbol].section in (UNDEFINED, ABSOLUTE)
            if self._patches[r.kind][0] in roles and (outside or not only_undefined):
                slots.setdefault(r.symbol, len(slots))
        return slots

    def _place(self, start: int, belongs: Callable[[Section], bool]) -> int:
        at = start
        for n, s in enumerate(self._obj.sections):
            if belongs(s):
                self._starts[n] = at = _align(at, s.align)
                at += s.size
        return at

    def _value(self, n: int, base: int) -> int:
        s = self._obj.symbols[n]
        if s.section >= 0:
            return base + self._starts[s.section] + s.value
        return s.value if s.section == ABSOLUTE else self._externals.get(s.name, 0)


# --- relocations: (value + addend, place, old bits) -> new bits


def _fits(x: int, bits: int, *, signed: bool = True) -> int:
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    if not low <= x < high:
        raise LoadError(f"address does not fit {bits} bits: {x:#x}")
    return x


def _absolute(v: int, p: int, old: int) -> int:
    return v


def _relative64(v: int, p: int, old: int) -> int:
    return v - p


def _relative32(v: int, p: int, old: int) -> int:
    return _fits(v - p, 32)


def _page21(v: int, p: int, old: int) -> int:
    """ADRP: distance in pages of 4 KiB, 21 bits, the low two in bits 29..30, the others in 5..23."""
    return _adr_bits(_fits((v >> 12) - (p >> 12), 21), old)


def _adr21(v: int, p: int, old: int) -> int:
    return _adr_bits(_fits(v - p, 21), old)


def _adr_bits(n: int, old: int) -> int:
    return (old & 0x9F00001F) | (n & 3) << 29 | (n >> 2 & 0x7FFFF) << 5


def _branch26(v: int, p: int, old: int) -> int:
    n = v - p
    if n & 3:
        raise LoadError("branch to an address that is not a multiple of 4")
    return (old & 0xFC000000) | (_fits(n >> 2, 26) & 0x3FFFFFF)


def _low12(shift: int) -> Callable[[int, int, int], int]:
    """Bits 0..11 of the address, in units of the access, in bits 10..21 of ADD, LDR or STR."""

    def encode(v: int, p: int, old: int) -> int:
        n = v & 0xFFF
        if n & ((1 << shift) - 1):
            raise LoadError(f"data at {v:#x} is not aligned for an access of {1 << shift} bytes")
        return (old & 0xFFC003FF) | (n >> shift) << 10

    return encode


Patch = tuple[str, int, Callable[[int, int, int], int]]  # role, bytes patched, encoding
_PATCHES: Final[dict[int, dict[int, Patch]]] = {
    EM_X86_64: {
        1: ("value", 8, _absolute),  # R_X86_64_64
        2: ("value", 4, _relative32),  # PC32
        4: ("call", 4, _relative32),  # PLT32
        9: ("got", 4, _relative32),  # GOTPCREL
        10: ("value", 4, lambda v, p, old: _fits(v, 32, signed=False)),  # 32
        11: ("value", 4, lambda v, p, old: _fits(v, 32)),  # 32S
        24: ("value", 8, _relative64),  # PC64
        41: ("got", 4, _relative32),  # GOTPCRELX
        42: ("got", 4, _relative32),  # REX_GOTPCRELX
    },
    EM_AARCH64: {
        257: ("value", 8, _absolute),  # R_AARCH64_ABS64
        260: ("value", 8, _relative64),  # PREL64
        261: ("value", 4, _relative32),  # PREL32
        274: ("value", 4, _adr21),  # ADR_PREL_LO21
        275: ("value", 4, _page21),  # ADR_PREL_PG_HI21
        277: ("value", 4, _low12(0)),  # ADD_ABS_LO12_NC
        278: ("value", 4, _low12(0)),  # LDST8_ABS_LO12_NC
        282: ("call", 4, _branch26),  # JUMP26
        283: ("call", 4, _branch26),  # CALL26
        284: ("value", 4, _low12(1)),  # LDST16
        285: ("value", 4, _low12(2)),  # LDST32
        286: ("value", 4, _low12(3)),  # LDST64
        299: ("value", 4, _low12(4)),  # LDST128
        311: ("got_page", 4, _page21),  # ADR_GOT_PAGE
        312: ("got_lo12", 4, _low12(3)),  # LD64_GOT_LO12_NC
    },
}


def _stub(machine: int, address: int) -> bytes:
    """A jump to anywhere: outside functions lie further away than a call instruction reaches."""
    if machine == EM_X86_64:
        code = b"\xff\x25\x02\x00\x00\x00\x66\x90"  # jmp [rip + 2]; two bytes of padding
    else:
        code = (0x58000050).to_bytes(4, "little") + (0xD61F0200).to_bytes(4, "little")  # ldr x16, .+8; br x16
    return code + address.to_bytes(8, "little")


def _align(n: int, to: int) -> int:
    return -(-n // to) * to


_libc: list[Any] = []


def _protect(address: int, size: int, protection: int) -> None:
    if not _libc:
        _libc.append(ctypes.CDLL(None, use_errno=True))
        _libc[0].mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if _libc[0].mprotect(address, size, protection) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise LoadError(f"the system refuses executable memory: {reason}")


def _clear_instruction_cache(address: int, size: int) -> None:
    """aarch64 keeps separate caches. Linux flushes when a fresh page becomes executable; libgcc's call makes it sure."""
    try:
        ctypes.CDLL("libgcc_s.so.1").__clear_cache(ctypes.c_void_p(address), ctypes.c_void_p(address + size))
    except (OSError, AttributeError):
        return
