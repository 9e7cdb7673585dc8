"""lem inside Python."""
