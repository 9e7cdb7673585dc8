"""The tests of lem; one folder per kind (STYLE "Tests"), run with ``python -m tests``."""
