"""lem: a tile-and-task programming language, one source for every processor."""

__version__ = "0.1.0"
