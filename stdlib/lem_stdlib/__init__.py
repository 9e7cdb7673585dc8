"""The lem library, written in lem: one ``.lem`` module per topic, found through ``importlib.resources``."""
