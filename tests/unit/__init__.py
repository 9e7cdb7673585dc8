"""One test here is a function and a few values."""
