"""Calls from Python without Python in between: from arguments to kernel in some hundred nanoseconds.

``cpython`` knows what objects look like, ``callables`` makes the type of what is called, ``wrapper`` writes the code for one
signature, ``direct`` joins them with a kernel. Calls that this code does not take (keywords, other layouts, long work) go
through Python, as all calls do at first.
"""
