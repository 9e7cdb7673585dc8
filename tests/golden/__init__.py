"""Programs and the text of one layer."""
