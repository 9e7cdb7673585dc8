"""Generated programs, graphs and bytes."""
