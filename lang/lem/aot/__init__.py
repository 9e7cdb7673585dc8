"""Ahead of time: a program as a file that runs where no compiler is, for Python (a bundle) or for C (a shared library).

Program + functions + machines -> compile_function for each, for contiguous and for any arrays -> bundle.make
                               -> the same for contiguous arrays alone, with C around it       -> library.make
"""
