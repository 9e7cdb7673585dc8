"""Runs compiled lem programs. Never imports the compiler; what the two share stands in :mod:`lem_runtime.abi`."""
