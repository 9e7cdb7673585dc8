"""Programs in lem, and what they compute written in NumPy; `tests/run` compares the two."""
