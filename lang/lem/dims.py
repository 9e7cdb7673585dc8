"""Dimensions of one letter, so that a kernel needs no class of its own: ``from lem.dims import M, N, K``.

``lem.dims("Rows Columns")`` makes others by name, for those who use no type checker; with one, write
``class Rows(lem.Dim): ...``.
"""

from __future__ import annotations

import sys
from types import ModuleType, new_class
from typing import Any

from lem.embed.annotations import Dim


class A(Dim): ...


class B(Dim): ...


class C(Dim): ...


class D(Dim): ...


class E(Dim): ...


class F(Dim): ...


class G(Dim): ...


class H(Dim): ...


class I(Dim): ...  # noqa: E742


class J(Dim): ...


class K(Dim): ...


class L(Dim): ...


class M(Dim): ...


class N(Dim): ...


class O(Dim): ...  # noqa: E742


class P(Dim): ...


class Q(Dim): ...


class R(Dim): ...


class S(Dim): ...


class T(Dim): ...


class U(Dim): ...


class V(Dim): ...


class W(Dim): ...


class X(Dim): ...


class Y(Dim): ...


class Z(Dim): ...


class _Dims(ModuleType):
    def __call__(self, names: str) -> Any:
        """Dimensions by name: one, or a tuple of them where several are named."""
        made = tuple(new_class(name, (Dim,)) for name in names.replace(",", " ").split())
        return made[0] if len(made) == 1 else made


sys.modules[__name__].__class__ = _Dims
