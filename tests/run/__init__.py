"""Programs and what they compute, on the interpreter and on every target present."""
