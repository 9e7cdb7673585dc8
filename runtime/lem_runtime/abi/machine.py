"""A processor as data: what code generation and prediction ask about it. Detection is the runtime's business."""

from __future__ import annotations

from dataclasses import asdict

from lem_runtime.abi.records import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """One CPU as code is generated for it.

    triple:   LLVM target triple, e.g. "x86_64-unknown-linux-gnu"
    cpu:      LLVM CPU name; a level such as "x86-64-v3" rather than a model, so that objects can be shared
    features: extra LLVM features ("+f16c", ...), sorted
    vector_bits: width of the vectors code should use (128, 256, 512)
    n_vector_registers: 16 on AVX2, 32 on AVX-512 and NEON
    """

    triple: str
    cpu: str
    features: tuple[str, ...]
    vector_bits: int
    n_vector_registers: int
    has_fma: bool
    l1d_bytes: int
    l2_bytes: int
    l3_bytes: int
    n_cores: int
    name: str = ""

    @property
    def key(self) -> str:
        """What generated code depends on, as text for cache keys. Not the number of cores, not the name."""
        d = asdict(self)
        d.pop("n_cores")
        d.pop("name")
        return repr(sorted(d.items()))
