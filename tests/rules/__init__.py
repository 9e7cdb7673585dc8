"""Programs for each rule of the language."""
