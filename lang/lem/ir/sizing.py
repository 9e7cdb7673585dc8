"""Arithmetic on size expressions (``abi.sizes``) that keeps them short: sums of products in one normal form.

Takes and gives sizes; used by ``queries``, whose results travel in artifacts and are shown to people.
"""

from __future__ import annotations

from collections.abc import Mapping

from lem_runtime.abi.sizes import Size

# A size as a sum: {the factors of a product, sorted: how often it stands}. What is no sum or product is one factor.
_Sum = dict[tuple[Size, ...], int]


def add(a: Size, b: Size) -> Size:
    return _size(_plus(_sum(a), _sum(b), 1))


def sub(a: Size, b: Size) -> Size:
    return _size(_plus(_sum(a), _sum(b), -1))


def mul(a: Size, b: Size) -> Size:
    return _size(_product(_sum(a), _sum(b)))


def floor_div(a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int) and b:
        return a // b
    return a if b == 1 else ("//", a, b)


def mod(a: Size, b: Size) -> Size:
    return a % b if isinstance(a, int) and isinstance(b, int) and b else ("%", a, b)


def ceil_div(a: Size, n: int) -> Size:
    return a if n == 1 else floor_div(add(a, n - 1), n)


def smaller(a: Size, b: Size) -> Size:
    """min, decided where the two differ by a number."""
    apart = sub(a, b)
    return ("min", a, b) if not isinstance(apart, int) else a if apart <= 0 else b


def larger(a: Size, b: Size) -> Size:
    apart = sub(a, b)
    return ("max", a, b) if not isinstance(apart, int) else a if apart >= 0 else b


def substitute(expr: Size, names: Mapping[str, Size]) -> Size:
    """`expr` with names replaced."""
    if isinstance(expr, str):
        return names.get(expr, expr)
    if isinstance(expr, tuple):
        return (expr[0], *(substitute(e, names) for e in expr[1:]))
    return expr


def _sum(a: Size) -> _Sum:
    if isinstance(a, int):
        return {(): a} if a else {}
    if isinstance(a, tuple) and a[0] in ("+", "-"):
        return _plus(_sum(a[1]), _sum(a[2]), 1 if a[0] == "+" else -1)
    if isinstance(a, tuple) and a[0] == "*":
        return _product(_sum(a[1]), _sum(a[2]))
    return {(a,): 1}


def _plus(a: _Sum, b: _Sum, sign: int) -> _Sum:
    out = dict(a)
    for factors, n in b.items():
        out[factors] = out.get(factors, 0) + sign * n
    return {factors: n for factors, n in out.items() if n}


def _product(a: _Sum, b: _Sum) -> _Sum:
    out: _Sum = {}
    for x, n in a.items():
        for y, m in b.items():
            out = _plus(out, {tuple(sorted((*x, *y), key=repr)): n * m}, 1)
    return out


def _size(terms: _Sum) -> Size:
    """A sum as an expression: positive products first, the plain number last."""
    out: Size | None = None
    for factors, n in sorted(terms.items(), key=lambda t: (not t[0], t[1] < 0)):
        product: Size = abs(n)
        for k, f in enumerate(factors):
            product = f if k == 0 and product == 1 else ("*", product, f)
        if out is None:
            out = product if n > 0 else -product if isinstance(product, int) else ("-", 0, product)
        else:
            out = ("+" if n > 0 else "-", out, product)
    return 0 if out is None else out
