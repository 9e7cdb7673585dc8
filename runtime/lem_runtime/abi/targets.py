"""Names of device kinds and targets, mapped once (LANGUAGE 42)."""

from __future__ import annotations

KINDS: dict[str, tuple[str, ...]] = {"cpu": ("cpu",), "gpu": ("cuda", "opencl"), "spu": ("spu",)}
TARGETS: dict[str, str] = {
    "cpu": "native object file (ELF, Mach-O or COFF)",
    "cuda": "PTX text",
    "opencl": "OpenCL C text",
    "spu": "SPU program",
    "interp": "tile IR text",
}


def targets_of(name: str) -> tuple[str, ...]:
    """Targets that a kind or target name stands for; empty when unknown."""
    return KINDS.get(name) or ((name,) if name in TARGETS else ())
