"""The numbers that are part of the language's meaning: how sums are cut and how wide an unwritten block is.

Read by the interpreter and by every target; changing one changes results (LANGUAGE 30), so they stand in one place.
"""

from __future__ import annotations

from typing import Final

TILES_BLOCK: Final = 64  # block of a `tiles` loop that names none

CONTRACT_CHUNK: Final = 256  # 30a: one ascending chain of FMAs; chunk results are added ascending
CHAIN_CHUNK: Final = 256  # 30c: one ascending chain; chunks merged pairwise
LANES_CHUNK: Final = 4096  # 30b: chunk of 32 interleaved partial results; chunks merged pairwise
LANES: Final = 32

UPDATE_PARTS: Final = 16  # parts of a grid whose elements update shared places, at most (see ``updates``)
