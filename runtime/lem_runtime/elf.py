"""Reads an ELF64 relocatable object into plain data, trusting none of its numbers.

Takes the bytes of a little-endian object for x86-64 or aarch64; gives sections, symbols and relocations as tuples for
:mod:`lem_runtime.loader`. Anything out of bounds, or that a position-independent LLVM object does not contain, is a
:class:`LoadError`. Numbers follow the System V ABI (gABI chapters 4 and 5).
"""

from __future__ import annotations

import struct
from typing import Final

from lem_runtime.abi.records import dataclass

EM_X86_64: Final = 62
EM_AARCH64: Final = 183
SHN_UNDEF: Final = 0
SHN_ABS: Final = 0xFFF1

_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS, _SHT_REL = 2, 4, 8, 9
_SHT_ARRAYS = frozenset({14, 15, 16})  # init, fini, preinit: code that would have to run at load
_SHF_WRITE, _SHF_ALLOC, _SHF_EXEC, _SHF_TLS = 1, 2, 4, 0x400
_STT_SECTION = 3
_MAX_BYTES = 1 << 28  # all sections together: a damaged header must not allocate the machine's memory

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_SYM = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QIIq")


class LoadError(Exception):
    """An object cannot be loaded: damaged, of another machine, or with something the loader does not know."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section that occupies memory. `data` is None for zero-filled ones."""

    name: str
    size: int
    align: int
    data: bytes | None
    is_code: bool
    is_written: bool


@dataclass(frozen=True, slots=True)
class Symbol:
    """`section` is an index of ``Object.sections``, SHN_UNDEF or SHN_ABS (as section -1 and -2)."""

    name: str
    section: int
    value: int
    is_global: bool


@dataclass(frozen=True, slots=True)
class Relocation:
    section: int  # index of ``Object.sections`` that is patched
    offset: int
    kind: int
    symbol: int
    addend: int


@dataclass(frozen=True, slots=True)
class Object:
    machine: int
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: tuple[Relocation, ...]


UNDEFINED: Final = -1
ABSOLUTE: Final = -2
_DROPPED: Final = -3  # defined in a section that is not loaded (debug data)


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int

    @property
    def is_loaded(self) -> bool:
        # Nothing unwinds through generated code, so unwind tables are dead weight.
        return bool(self.flags & _SHF_ALLOC) and not self.name.startswith(".eh_frame") and self.size > 0


def parse(data: bytes) -> Object:
    """Sections, symbols and relocations of an object. Raises :class:`LoadError`."""
    try:
        return _parse(data)
    except struct.error as e:
        raise LoadError(f"object is damaged: {e}") from None


def _parse(data: bytes) -> Object:
    machine, headers = _headers(data)
    loaded = [n for n, h in enumerate(headers) if h.is_loaded]
    place = {n: i for i, n in enumerate(loaded)}
    if sum(headers[n].size + headers[n].align for n in loaded) > _MAX_BYTES:
        raise LoadError(f"object asks for more than {_MAX_BYTES >> 20} MiB")
    sections = tuple(_section(data, headers[n]) for n in loaded)
    tables = [n for n, h in enumerate(headers) if h.type == _SHT_SYMTAB]
    if len(tables) > 1:
        raise LoadError("object has two symbol tables")
    symbols = _symbols(data, headers, tables[0], place) if tables else ()
    relocations: list[Relocation] = []
    for h in headers:
        if h.type == _SHT_REL and h.info in place:
            raise LoadError("relocations without addends are not known here")
        if h.type == _SHT_RELA and h.info in place:
            relocations += _relocations(data, h, place[h.info], sections, len(symbols))
    return Object(machine, sections, symbols, tuple(relocations))


def _headers(data: bytes) -> tuple[int, list[_Header]]:
    if data[:4] != b"\x7fELF":
        raise LoadError("not an ELF object")
    if len(data) < _EHDR.size:
        raise LoadError("object is shorter than an ELF header")
    ident, kind, machine, _, _, _, start, _, _, _, _, entry_size, count, names = _EHDR.unpack_from(data)
    if ident[4:6] != b"\x02\x01":
        raise LoadError("not a 64-bit little-endian object")
    if kind != 1:
        raise LoadError("not a relocatable object")
    if machine not in (EM_X86_64, EM_AARCH64):
        raise LoadError(f"object is for ELF machine {machine}, not x86-64 or aarch64")
    if entry_size != _SHDR.size or start + count * entry_size > len(data) or names >= count:
        raise LoadError("section table is damaged")
    raw = [_SHDR.unpack_from(data, start + n * entry_size) for n in range(count)]
    strings = _span(data, raw[names][4], raw[names][5])
    headers = []
    for name, type_, flags, _, offset, size, link, info, align, _ in raw:
        h = _Header(_string(strings, name), type_, flags, offset, size, link, info, max(align, 1))
        if h.is_loaded and (flags & _SHF_TLS or type_ in _SHT_ARRAYS):
            raise LoadError(f"section `{h.name}` (thread-local data or start-up code) is not allowed")
        headers.append(h)
    return machine, headers


def _section(data: bytes, h: _Header) -> Section:
    if h.align & (h.align - 1) or h.align > 4096:
        raise LoadError(f"section `{h.name}` wants an alignment of {h.align}")
    is_code, is_written = bool(h.flags & _SHF_EXEC), bool(h.flags & _SHF_WRITE)
    if is_code and is_written:
        raise LoadError(f"section `{h.name}` is writable code")
    bits = None if h.type == _SHT_NOBITS else _span(data, h.offset, h.size)
    return Section(h.name, h.size, h.align, bits, is_code, is_written)


def _symbols(data: bytes, headers: list[_Header], table: int, place: dict[int, int]) -> tuple[Symbol, ...]:
    h = headers[table]
    bits = _span(data, h.offset, h.size)
    if h.size % _SYM.size or h.link >= len(headers):
        raise LoadError("symbol table is damaged")
    strings = _span(data, headers[h.link].offset, headers[h.link].size)
    out = []
    for name, info, _, section, value, size in _SYM.iter_unpack(bits):
        label = headers[section].name if info & 15 == _STT_SECTION and section < len(headers) else ""
        text = _string(strings, name) or label
        where = _symbol_section(text, section, place, len(headers))
        if where >= 0 and value + size > headers[section].size:
            raise LoadError(f"symbol `{text}` lies outside its section")
        out.append(Symbol(text, where, value, info >> 4 != 0))
    return tuple(out)


def _symbol_section(name: str, section: int, place: dict[int, int], n_sections: int) -> int:
    if section == SHN_UNDEF:
        return UNDEFINED
    if section == SHN_ABS:
        return ABSOLUTE
    if section >= n_sections:
        raise LoadError(f"symbol `{name}` lies in section {section}, which does not exist")
    return place.get(section, _DROPPED)


def _relocations(data: bytes, h: _Header, target: int, sections: tuple[Section, ...], n_symbols: int) -> list[Relocation]:
    bits = _span(data, h.offset, h.size)
    if h.size % _RELA.size:
        raise LoadError(f"relocations `{h.name}` are damaged")
    if sections[target].data is None:
        raise LoadError("relocation in zero-filled memory")
    out = []
    for offset, kind, symbol, addend in _RELA.iter_unpack(bits):
        if symbol >= n_symbols:
            raise LoadError(f"relocation `{h.name}` uses symbol {symbol}, which does not exist")
        if offset + 4 > sections[target].size:
            raise LoadError(f"relocation `{h.name}` lies outside its section")
        out.append(Relocation(target, offset, kind, symbol, addend))
    return out


def _span(data: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(data):
        raise LoadError("object is truncated")
    return data[offset : offset + size]


def _string(table: bytes, offset: int) -> str:
    if offset >= len(table):
        if offset == 0:
            return ""
        raise LoadError("name lies outside the string table")
    end = table.find(b"\0", offset)
    if end < 0:
        raise LoadError("name has no end")
    return table[offset:end].decode("utf-8", "replace")
