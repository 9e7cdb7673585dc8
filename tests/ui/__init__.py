"""One test here is a wrong program with marks and its full rendered message."""
