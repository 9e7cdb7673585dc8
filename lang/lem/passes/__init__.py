"""Tile IR to tile IR, target-independent, one file per pass. Their order stands in ``lem.pipeline``.

A pass takes a verified function and gives a new one; it can run twice with no further change. None may change a bit of
any result but :mod:`~lem.passes.fuse_fma`, which fixes where products are fused for every target alike.
"""
