"""Kernels one element and one line at a time, for people with a debugger.

``shadow`` writes a function of Python for each function of lem: the same lines of the same file, the same names, ordinary
``for`` and ``if``, and where lem calculates a call of ``stepper``. That one lowers the statement to tile IR and hands it to
the interpreter, so that what a step calculates is what the language says. A debugger of Python sees nothing but frames
whose lines are the kernel's.
"""
