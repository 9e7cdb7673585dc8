"""lem in C's words: names that C takes, element types, size expressions, literals of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lem_runtime.abi import sizes
from lem_runtime.abi.sizes import Size

C_TYPES: Final = {
    "bool": "bool", "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t",
    "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "f32": "float", "f64": "double",
    "f16": "uint16_t", "bf16": "uint16_t", "f8e4m3": "uint8_t", "f8e5m2": "uint8_t",
}  # fmt: skip

_RESERVED: Final = frozenset(
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const const_cast constexpr "
    "continue default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline "
    "int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register "
    "reinterpret_cast restrict return short signed sizeof static static_assert static_cast struct switch template this "
    "thread_local throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while "
    "xor xor_eq concept requires consteval constinit co_await co_return co_yield char8_t char16_t char32_t decltype "
    "NULL EOF BUFSIZ INFINITY NAN errno stdin stdout stderr linux unix main puts printf malloc free memcpy memset".split()
)


class Names:
    """Gives each name a form of its own that C takes: `b.x` is `b_x`, `double` is `double_`."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def of(self, name: str) -> str:
        made = identifier(name)
        while made in self._taken:
            made += "_"
        self._taken.add(made)
        return made


def identifier(name: str) -> str:
    """A name as C can spell it. Ours begin with `lem_`, those of the C library end with `_t` or are reserved."""
    made = "".join(f"u{ord(c):x}" if not c.isascii() else c if c.isalnum() else "_" for c in name)
    made = made.strip("_") or "x"
    if made[0].isdigit() or made.startswith("lem_"):
        made = f"p_{made}"
    return f"{made}_" if made in _RESERVED or made.endswith("_t") else made


def text(value: str) -> str:
    """A literal of a text, in UTF-8."""
    made = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in value.encode(errors="replace"))
    return f'"{made}"'


def comment(value: str) -> str:
    return value.replace("*/", "* /").replace("/*", "/ *")


_BINARY: Final = {word: word for word in ("+", "-", "*", "==", "!=", "<", "<=", ">", ">=")} | {"and": "&&", "or": "||"}


def size(expr: Size, known: Mapping[str, str]) -> str:
    """A size expression or condition. known: how each of its names is written. It may set the variable `lem_bad`."""
    if isinstance(expr, int):
        return f"INT64_C({int(expr)})"
    if isinstance(expr, str):
        return known[expr]
    op, *parts = expr
    made = [size(part, known) for part in parts]
    if op == "not":
        return f"!{made[0]}"
    if op in _BINARY:
        return f"({made[0]} {_BINARY[op]} {made[1]})"
    if op in ("min", "max"):
        return f"lem_{op}({made[0]}, {made[1]})"
    return f"lem_{'div' if op == '//' else 'mod'}({made[0]}, {made[1]}, &lem_bad)"


def can_say(expr: Size, known: Mapping[str, str]) -> bool:
    return sizes.names_in(expr) <= set(known)


__all__ = ["C_TYPES", "Names", "can_say", "comment", "identifier", "size", "text"]
