"""Scheduled tile IR to Artifact, one folder per target; ``base`` says what a target is, ``llvm`` is the door to llvmlite."""
