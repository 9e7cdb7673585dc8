"""lem inside Python: a function under ``@lem.kernel`` becomes the same tree as a ``.lem`` file.

``text`` finds where a function stands and reads its body with lem's own parser; ``head`` reads its parameters from their
annotations; ``capture`` finds out what names from around it stand for; ``function`` makes a program of that and runs it.
``annotations`` holds what stands in a program for type checkers.
"""
