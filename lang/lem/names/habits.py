"""Names that people bring from Python, NumPy, Triton and CUDA, with what lem says instead.

Takes an unknown name or attribute; gives the words of a help, or "". Plain data: `names` and `types` ask here before they
guess by spelling, because `len` is meant where it is written and is no misspelling of something of lem.
"""

from __future__ import annotations

__all__ = ["attribute_help", "is_python_module", "name_help"]

_ALWAYS_THERE = "functions of numbers are always there: write `exp(x)`, with no module before it"
_SIZE = "sizes have names: write the dimension of the signature, such as `N`"
_LOOP = "loop over an index: `for i in range(n):`"
_PRODUCT = "a product is a sum: `sum(a[i, k] * b[k, j] for k in K)`"
_OWN_NUMBER = "the number of an element is the grid's own variable: `for i in grid(N):`"
_LOCAL_ARRAY = "an array of the body is declared: `t: f32[N] = 0`"
_FILES = "arrays come from the command line: `lem run FILE.lem x=x.npy -o y=y.npy`"
_TEXT = 'text with values is an f-string: `print(f"x is {x}")`'

_MODULES = ("np", "numpy", "jnp", "jax", "torch", "tl", "triton", "scipy", "cupy", "cp", "tf", "tensorflow", "numba")

_NAMES: dict[str, str] = {
    **dict.fromkeys(_MODULES, _ALWAYS_THERE),
    "len": _SIZE,
    **dict.fromkeys(("enumerate", "zip", "map", "filter", "reversed"), _LOOP),
    **dict.fromkeys(("dot", "matmul", "einsum"), _PRODUCT),
    **dict.fromkeys(("program_id", "threadIdx", "blockIdx", "get_global_id", "prange"), _OWN_NUMBER),
    **dict.fromkeys(("zeros", "ones", "empty", "full", "zeros_like"), _LOCAL_ARRAY),
    **dict.fromkeys(("open", "input", "load"), _FILES),
    "arange": "the numbers 0, 1, ... are an index variable: `for i in grid(N):`, then `i`",
    "maximum": "write `max(a, b)`",
    "minimum": "write `min(a, b)`",
    "power": "write `x ** y`",
    "spawn": "the call follows, and its hints follow that: `spawn f(x) on cpu priority 2`",
    "str": _TEXT,
    "format": _TEXT,
}

_REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "mean", "argmax", "argmin")
_ATTRIBUTES: dict[str, str] = {
    **{name: f"say what it runs over: `{name}(x[i, k] for k in K)`" for name in _REDUCTIONS},
    **dict.fromkeys(("T", "transpose", "swapaxes"), "the subscripts say which axis is which: write `x[j, i]`"),
    **dict.fromkeys(("shape", "size", "ndim", "rows", "cols"), _SIZE),
    **dict.fromkeys(("astype", "to", "float", "half", "int"), "a conversion is a call: `f32(x)`"),
    **dict.fromkeys(("dot", "matmul"), _PRODUCT),
    "format": _TEXT,
}


def name_help(name: str) -> str:
    """What to write instead of a name that lem does not have."""
    return _NAMES.get(name, "")


def attribute_help(name: str) -> str:
    """What to write instead of ``x.name``."""
    return _ATTRIBUTES.get(name, "")


def is_python_module(name: str) -> bool:
    """Whether an import means a package of Python."""
    return name.partition(".")[0] in _MODULES
