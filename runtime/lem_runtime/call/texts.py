"""What the runtime itself wants compiled, besides the artifacts: asked for by whoever compiles ahead of time."""

from __future__ import annotations

from collections.abc import Sequence

from lem_runtime.abi.artifact import Artifact
from lem_runtime.call import cpython, wrapper
from lem_runtime.native import pool


def core_text(arch: str) -> str:
    """Text of the native core for "x86_64" or "aarch64", in LLVM IR."""
    return pool.core_text(arch)


def wrapper_texts(artifact: Artifact, layouts: Sequence[str]) -> list[str]:
    """The text by which Python calls an artifact directly; none where such calls go through Python."""
    known = cpython.known()
    if known is None:
        return []
    try:
        return [wrapper.wrapper_text(artifact, layouts, known.head)]
    except wrapper.NotPlain:
        return []


__all__ = ["core_text", "wrapper_texts"]
