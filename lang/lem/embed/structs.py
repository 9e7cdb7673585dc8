"""``@lem.struct``: a class whose annotations are the fields of a struct, and the arrays of it in annotations.

Light, as all that ``import lem`` may load: lem reads the text of the class when a kernel uses it. In Python such a class
stands for NumPy's records: ``np.zeros(5, Body)`` is an array of them, ``Body(...)`` one.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, TypeVarTuple, dataclass_transform

from lem.embed import annotations as an
from lem.embed.around import lines_of
from lem.embed.boundary import boundary
from lem.embed.mistakes import UsageError

if TYPE_CHECKING:
    import numpy as np

_Sizes = TypeVarTuple("_Sizes")
_T = TypeVar("_T")


class StructType(type):
    """A class under ``@lem.struct``, or a struct of a ``.lem`` file. lem_place: file and a line of its text; lem_lines: the
    text that it stands in; lem_names: those of the module that it stands in, and of the function."""

    lem_place: tuple[str, int]
    lem_lines: list[str]
    lem_program: Any = None  # of a struct of a ``.lem`` file: the checked program that defines it
    lem_names: tuple[Mapping[str, Any], Mapping[str, Any]]

    def __getitem__(cls, sizes: Any) -> StructArray:
        return StructArray(cls)

    @property
    def dtype(cls) -> np.dtype[Any]:
        """What it is in NumPy: named fields, each aligned."""
        from lem.embed import records

        return records.dtype_of(cls)

    @boundary
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """One value, as a record of NumPy."""
        from lem.embed import records

        return records.made(cls, args, kwargs)

    def __repr__(cls) -> str:
        return f"<lem struct {cls.__name__}>"


class StructArray:
    """``Body[N]`` in an annotation; ``Body[N].soa`` and ``Body[N].aos`` say how its fields lie."""

    def __init__(self, struct: StructType) -> None:
        self.struct = struct

    @property
    def soa(self) -> StructArray:
        """One array per field."""
        return self

    @property
    def aos(self) -> StructArray:
        """One record after the other."""
        return self

    def __repr__(self) -> str:
        return f"{self.struct.__name__}[...]"


class array(Generic[_T, *_Sizes], metaclass=an._Named):
    """``lem.array[Body, N]`` is ``Body[N]`` for type checkers, which take no sizes after a class of their own."""

    if TYPE_CHECKING:

        def __getitem__(self, index: object) -> _T: ...
        def __setitem__(self, index: object, value: object) -> None: ...

    else:

        def __class_getitem__(cls, sizes: Any) -> Any:
            return cls


class soa(array[_T, *_Sizes]):
    """``lem.soa[Body, N]``: one array per field."""


class aos(array[_T, *_Sizes]):
    """``lem.aos[Body, N]``: one record after the other."""


LAYOUTS: dict[Any, str] = {array: "", soa: "soa", aos: "aos"}


@dataclass_transform(frozen_default=True)
@boundary
def struct(cls: type[_T]) -> type[_T]:
    """``@lem.struct class Body: x: lem.f32``: a struct, for annotations and bodies of kernels, tasks and fns."""
    if not isinstance(cls, type):
        raise UsageError(f"`@lem.struct` stands above a class, found {type(cls).__name__}")
    frame = sys._getframe(2)  # this function's own boundary stands between
    names = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
    made: Any = StructType(cls.__name__, cls.__bases__, names)
    made.lem_place = frame.f_code.co_filename, frame.f_lineno
    linecache.checkcache(frame.f_code.co_filename)  # of before a reload
    made.lem_lines = lines_of(frame.f_code.co_filename, frame.f_globals, frame.f_code)
    inner = {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)
    made.lem_names = frame.f_globals, {**inner, cls.__name__: made}
    return made  # type: ignore[no-any-return]  # it is the same class to those who use it


__all__ = ["LAYOUTS", "StructArray", "StructType", "aos", "array", "soa", "struct"]
