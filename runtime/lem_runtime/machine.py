"""Finds out what processor this is, without LLVM and in a few milliseconds.

Takes what the system says (/proc and /sys on Linux, sysctl on macOS); gives an :class:`abi.machine.Machine`. The CPU is
named by a level ("x86-64-v3") and not by a model, so that objects can be shared between machines. LEM_CPU lowers the
level, for tests and for objects that shall run elsewhere; it never raises it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import sys
from dataclasses import replace
from typing import Final

from lem_runtime.abi.machine import Machine

# x86-64 psABI, table "Micro-Architecture Levels", with the names that /proc/cpuinfo uses.
LEVELS: Final[dict[str, frozenset[str]]] = {
    "x86-64": frozenset(),
    "x86-64-v2": frozenset({"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}),
    "x86-64-v3": frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    "x86-64-v4": frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
}
# What lem's code generator can use beyond a level: name in /proc/cpuinfo, name in LLVM, lowest level with which it is
# offered (with LEM_CPU=x86-64-v2 nobody wants AVX through the back door).
_EXTRA: Final = (
    ("avx512_bf16", "+avx512bf16", 4),
    ("avx512_fp16", "+avx512fp16", 4),
    ("avx512_vnni", "+avx512vnni", 4),
    ("avx_vnni", "+avxvnni", 3),
    ("f16c", "+f16c", 3),
    ("fma", "+fma", 3),
)
_ARM_EXTRA: Final = (("asimddp", "+dotprod"), ("asimdhp", "+fullfp16"), ("bf16", "+bf16"), ("i8mm", "+i8mm"))
_CACHES: Final = (32 << 10, 512 << 10, 8 << 20)  # where the system does not say: L1d, L2, L3


@functools.cache
def detect() -> Machine:
    """This machine; the answer is kept (LEM_CPU is read once)."""
    return detect_with(os.environ.get("LEM_CPU", ""))


def detect_with(wanted: str) -> Machine:
    """This machine at no more than level `wanted`; the best there is when that is empty or not a level."""
    arch = _arch()
    flags, name = _cpuinfo()
    l1, l2, l3 = _caches()
    if arch == "x86_64":
        return x86_machine(flags, _triple(arch), wanted, (l1, l2, l3), n_cores(), name)
    is_arm = arch == "aarch64"
    extra = tuple(sorted(llvm for linux, llvm in _ARM_EXTRA if linux in flags)) if is_arm else ()
    return Machine(_triple(arch), "generic", extra, 128, 32 if is_arm else 16, is_arm, l1, l2, l3, n_cores(), name)


def x86_machine(
    flags: frozenset[str], triple: str, wanted: str, caches: tuple[int, int, int], cores: int, name: str
) -> Machine:
    """The machine that `flags` of /proc/cpuinfo describe, lowered to `wanted`."""
    names = list(LEVELS)
    level = x86_level(flags)
    if wanted in names:
        level = min(level, names.index(wanted) + 1)
    extra = tuple(sorted(llvm for linux, llvm, least in _EXTRA if linux in flags and level >= least))
    wide = level >= 4
    bits = 512 if wide else 256 if level >= 3 else 128
    return Machine(triple, names[level - 1], extra, bits, 32 if wide else 16, level >= 3, *caches, cores, name)


def named_machine(name: str) -> Machine | None:
    """A machine by its name, not this one: "x86-64-v3", "aarch64" (of this system), "host", or "baseline", which every
    machine of the last fifteen years is that has the host's architecture. None for another name.

    What code for a named level looks like does not depend on where it was made: sizes of caches are those of no machine.
    """
    host = detect()
    arch = "x86_64" if name in LEVELS else name
    if name == "host":
        return host
    if name == "baseline":
        return named_machine("x86-64-v2" if host.triple.startswith("x86_64") else "aarch64")
    if name in LEVELS:
        flags = frozenset().union(*LEVELS.values())
        made = x86_machine(flags, _triple(arch), name, _CACHES, host.n_cores, "")
        return replace(made, features=())
    if name == "aarch64":
        return Machine(_triple(arch), "generic", (), 128, 32, True, *_CACHES, host.n_cores)
    return None


MACHINE_NAMES: Final = ("baseline", "host", *LEVELS, "aarch64")


@functools.cache
def can_run(triple: str, cpu: str, features: tuple[str, ...]) -> bool:
    """Whether this machine runs code made for another one."""
    host = detect()
    if triple != host.triple or not set(features) <= set(host.features):
        return False
    levels = list(LEVELS)
    if cpu in levels and host.cpu in levels:
        return levels.index(cpu) <= levels.index(host.cpu)
    return cpu == host.cpu


def x86_level(flags: frozenset[str]) -> int:
    """1 to 4."""
    level = 0
    for needed in LEVELS.values():
        if not needed <= flags:
            break
        level += 1
    return level


def n_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _arch() -> str:
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def _triple(arch: str) -> str:
    if sys.platform == "darwin":
        return f"{'arm64' if arch == 'aarch64' else arch}-apple-darwin"
    if sys.platform == "win32":
        return f"{arch}-pc-windows-msvc"
    return f"{arch}-unknown-linux-gnu"


def _cpuinfo() -> tuple[frozenset[str], str]:
    """Flags under their Linux names, and the model's name."""
    if sys.platform == "darwin":
        return _mac_cpuinfo()
    text = _read("/proc/cpuinfo")
    first = text.split("\n\n", 1)[0]
    fields = dict(re.findall(r"^([^\t:]+?)\s*: (.*)$", first, re.MULTILINE))
    flags = fields.get("flags") or fields.get("Features") or ""
    return frozenset(flags.split()), fields.get("model name", "") or platform.processor()


_MAC_NAMES: Final = {
    "sse3": "pni", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "avx1.0": "avx", "lahf": "lahf_lm", "lzcnt": "abm",
}  # fmt: skip


def _mac_cpuinfo() -> tuple[frozenset[str], str]:
    words = " ".join(_sysctl_text(f"machdep.cpu.{k}") for k in ("features", "leaf7_features", "extfeatures")).lower()
    flags = {_MAC_NAMES.get(w, w) for w in words.split()}
    if _sysctl_int("hw.optional.arm.FEAT_DotProd"):
        flags |= {"asimddp", "asimdhp"}
    return frozenset(flags), _sysctl_text("machdep.cpu.brand_string")


def _caches() -> tuple[int, int, int]:
    if sys.platform == "darwin":
        found = [_sysctl_int(n) for n in ("hw.l1dcachesize", "hw.l2cachesize", "hw.l3cachesize")]
    else:
        found = _linux_caches("/sys/devices/system/cpu/cpu0/cache")
    l1, l2, l3 = (size or default for size, default in zip(found, _CACHES, strict=True))
    return l1, l2, max(l3, l2)


def _linux_caches(folder: str) -> list[int]:
    sizes = [0, 0, 0]
    for n in range(8):
        level, kind, size = (_read(f"{folder}/index{n}/{f}").strip() for f in ("level", "type", "size"))
        if level in ("1", "2", "3") and kind != "Instruction":
            sizes[int(level) - 1] = _bytes(size)
    return sizes


def _bytes(text: str) -> int:
    m = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(m[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[m[2]] if m else 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def _sysctl(name: str, size: int) -> bytes:
    try:
        call = ctypes.CDLL(None).sysctlbyname
    except (OSError, AttributeError):
        return b""
    buffer, n = ctypes.create_string_buffer(size), ctypes.c_size_t(size)
    failed = call(name.encode(), buffer, ctypes.byref(n), None, ctypes.c_size_t(0))
    return b"" if failed else buffer.raw[: n.value]


def _sysctl_text(name: str) -> str:
    return _sysctl(name, 4096).rstrip(b"\0").decode("utf-8", "replace")


def _sysctl_int(name: str) -> int:
    return int.from_bytes(_sysctl(name, 8), "little")
