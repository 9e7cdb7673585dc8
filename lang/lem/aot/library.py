"""A program as a shared library for C: a header, the C around the compiled code, and the objects that are linked with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lem import __version__
from lem.aot import c_text
from lem.aot.c_function import CFunction
from lem.aot.c_names import Names, comment, identifier, text
from lem.aot.functions import Function, contiguous
from lem.diagnostics import CODES
from lem.targets import llvm
from lem_runtime.abi import ABI_VERSION
from lem_runtime.abi.artifact import Site
from lem_runtime.abi.machine import Machine

# What a compiler's `__builtin_cpu_supports` is asked before code for a level runs. The others of a level come with these.
_LEVELS = {
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma", "bmi2"),
    "x86-64-v3": ("avx2", "fma", "bmi", "bmi2"),
    "x86-64-v2": ("sse4.2", "popcnt", "ssse3"),
}


@dataclass(frozen=True, slots=True)
class Library:
    """source: of the one C file, which includes the header as library.h; exports: symbols that others see; objects: of
    machine code, to be linked with it."""

    header: str
    source: str
    exports: tuple[str, ...]
    objects: tuple[bytes, ...]


def levels(machines: Sequence[Machine]) -> list[Machine]:
    """The machines that a library has code for, the best first: levels alone, because that is what it asks a processor."""
    made = {m.cpu: replace(m, features=()) for m in machines}
    return sorted(made.values(), key=lambda m: m.cpu, reverse=True)  # "x86-64-v4" > "x86-64-v3" > ...


class _Writer:
    def __init__(self, prefix: str, functions: Sequence[Function]) -> None:
        self.prefix = prefix
        names = Names((f"{prefix}_message", f"{prefix}_set_threads"))
        self.functions = [(f, CFunction(names.of(f"{prefix}_{f.name}"), f.signature)) for f in functions]
        self.exports = [f"{prefix}_message", f"{prefix}_set_threads", "lem_version", *(c.symbol for _, c in self.functions)]

    # -- the header
    def header(self, name: str, program: str) -> str:
        guard = f"LEM_{identifier(name).upper()}_H"
        declared = "\n".join(c.header() for _, c in self.functions)
        return f"""\
/* Kernels and tasks of {comment(program)}, compiled by lem {__version__}.
 *
 * Each function returns 0, or the number of an error code: 601 is E0601, and `lem explain E0601` shows its page. Then
 * {self.prefix}_message says what was wrong, and arrays that are written hold anything. Arrays are contiguous, with
 * the last axis innermost where nothing else is said; one that is written shares no memory with another one. Functions may
 * be called from several threads.
 */
#ifndef {guard}
#define {guard}

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* What was wrong with the last call of this thread that did not return 0. */
const char *{self.prefix}_message(void);

/* Threads that work on a call, whoever calls; 0: LEM_THREADS of the environment, else all processors. Results do not depend
 * on it. */
void {self.prefix}_set_threads(int n);

/* "lem 0.1.0 (ABI 3)" */
const char *lem_version(void);

{declared}
#ifdef __cplusplus
}}
#endif

#endif
"""

    # -- the source
    def source(self, host: str, machines: Sequence[Machine]) -> tuple[str, list[bytes]]:
        parts: list[str] = []
        objects: list[bytes] = []
        codes: set[str] = {"E0605", "E0608", "E0614", "E0615", "E0619", "E0622", "E0627"}
        for n, (f, c) in enumerate(self.functions):
            written: dict[tuple[Site, ...], str] = {}
            rows = []
            for m, machine in enumerate(machines):
                symbol = f"lem_f{n}_m{m}"
                code, sites = f.compile_as(symbol, contiguous(f.signature), machine)
                objects.append(code)
                codes |= {s.code for s in sites if s.code in CODES}
                if sites not in written:
                    written[sites] = symbol
                    parts.append(c_text.functions(symbol, sites, c.numbered))
                parts.append(f"extern lem_entry {symbol};\n")
                said, is_deep = written[sites], "true" if any(s.code == "E0624" for s in sites) else "false"
                shown = f"lem_text_{said}, lem_where_{said}, lem_places_{said}"
                rows.append(f"    {{{text(f.name)}, {symbol}, {is_deep}, {len(sites)}, {shown}}},\n")
            parts.append(f"static const struct lem_code lem_codes_{n}[] = {{\n{''.join(rows)}}};\n")
            parts.append(c.body(f"lem_choice() < 0 ? NULL : &lem_codes_{n}[lem_choice()]"))
        head = (
            f'{host}\n#include <stddef.h>\n#include "library.h"\n\n{_headlines(codes)}\n{_choice(machines)}\n{self._own()}'
        )
        return "\n".join([head, *parts]), objects

    def _own(self) -> str:
        return f"""\
#define LEM_API __attribute__((visibility("default")))

LEM_API const char *{self.prefix}_message(void) {{ return lem_message; }}
LEM_API void {self.prefix}_set_threads(int n) {{ lem_threads(n); }}
LEM_API const char *lem_version(void) {{ return "lem {__version__} (ABI {ABI_VERSION})"; }}
"""


def _headlines(codes: set[str]) -> str:
    rows = "".join(f"    case {int(code[1:])}: return {text(CODES[code].headline)};\n" for code in sorted(codes))
    return f"""\
static const char *lem_headline(int code) {{
    switch (code) {{
{rows}    default: return "fault";
    }}
}}
"""


def _choice(machines: Sequence[Machine]) -> str:
    """Which of the machines this processor can stand in for, the best first; -1: none."""
    rows = ""
    for n, m in enumerate(machines):
        asked = " && ".join(f'__builtin_cpu_supports("{f}")' for f in _LEVELS.get(m.cpu, ())) or "1"
        rows += f"    if ({asked}) return {n};\n"
    least = text(f"this library has code for {', '.join(m.cpu for m in machines)}; this processor is older")
    return f"""\
static int lem_find_choice(void) {{
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
{rows}    return -1;
}}

static int lem_choice(void) {{
    static int found;  /* 0: not looked yet; threads that look at once find the same */
    int known = __atomic_load_n(&found, __ATOMIC_RELAXED);
    if (!known) __atomic_store_n(&found, known = lem_find_choice() + 2, __ATOMIC_RELAXED);
    return known - 2;
}}

static int lem_no_code(void) {{ return lem_fail(627, "%s", {least}); }}
"""


def make(
    name: str, prefix: str, program: str, functions: Sequence[Function], machines: Sequence[Machine],
    texts: Mapping[str, str],
) -> Library:  # fmt: skip
    """The library `name` of some functions of one program. prefix: of all that it exports. texts: "core", in LLVM IR, and
    "host", the C that runs it. machines: see :func:`levels`."""
    writer = _Writer(prefix, functions)
    source, objects = writer.source(texts["host"], machines)
    core = llvm.compile_ir(texts["core"], machines[-1])
    return Library(writer.header(name, program), source, tuple(writer.exports), (core, *objects))


def header(name: str, prefix: str, program: str, functions: Sequence[Function]) -> str:
    """The header alone."""
    return _Writer(prefix, functions).header(name, program)


__all__ = ["Library", "header", "levels", "make"]
