"""What stands in annotations and bodies under ``@lem.kernel``: element types, dimensions, effects, loops.

For type checkers these are ordinary generic classes: an ``a: lem.f32[M, K]`` has elements that calculate, ``for k in K``
runs over a dimension. lem reads the text of a function and never runs it, so at run time they only know their names.
Imports nothing but the standard library: this is all that ``import lem`` costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Generic, NoReturn, TypeVar, Unpack, overload

from lem.embed.boundary import boundary
from lem.embed.mistakes import UsageError

if TYPE_CHECKING:
    from typing_extensions import TypeVarTuple

    # A default, so that `lem.f32` alone is a type too: a single number.
    _Sizes = TypeVarTuple("_Sizes", default=Unpack[tuple[()]])
else:
    from typing import TypeVarTuple

    _Sizes = TypeVarTuple("_Sizes")
_T = TypeVar("_T")


def _outside(what: str) -> NoReturn:
    raise UsageError(f"`{what}` has a meaning only in the body of a function under @lem.kernel, @lem.task or @lem.fn")


class _Named(type):
    """Classes that are printed as a person writes them."""

    def __repr__(cls) -> str:
        return f"lem.{cls.__name__}"


# ---------------------------------------------------------------- numbers
class Value:
    """An element, or what is calculated from elements. Never made: the compiler reads the text."""

    if TYPE_CHECKING:

        def __add__(self, other: object) -> Value: ...
        def __radd__(self, other: object) -> Value: ...
        def __sub__(self, other: object) -> Value: ...
        def __rsub__(self, other: object) -> Value: ...
        def __mul__(self, other: object) -> Value: ...
        def __rmul__(self, other: object) -> Value: ...
        def __truediv__(self, other: object) -> Value: ...
        def __rtruediv__(self, other: object) -> Value: ...
        def __floordiv__(self, other: object) -> Value: ...
        def __rfloordiv__(self, other: object) -> Value: ...
        def __mod__(self, other: object) -> Value: ...
        def __rmod__(self, other: object) -> Value: ...
        def __pow__(self, other: object) -> Value: ...
        def __rpow__(self, other: object) -> Value: ...
        def __and__(self, other: object) -> Value: ...
        def __rand__(self, other: object) -> Value: ...
        def __or__(self, other: object) -> Value: ...
        def __ror__(self, other: object) -> Value: ...
        def __xor__(self, other: object) -> Value: ...
        def __rxor__(self, other: object) -> Value: ...
        def __lshift__(self, other: object) -> Value: ...
        def __rlshift__(self, other: object) -> Value: ...
        def __rshift__(self, other: object) -> Value: ...
        def __rrshift__(self, other: object) -> Value: ...
        def __neg__(self) -> Value: ...
        def __pos__(self) -> Value: ...
        def __invert__(self) -> Value: ...
        def __lt__(self, other: object) -> bool: ...
        def __le__(self, other: object) -> bool: ...
        def __gt__(self, other: object) -> bool: ...
        def __ge__(self, other: object) -> bool: ...
        def __index__(self) -> int: ...


class Number(Value, Generic[*_Sizes], metaclass=_Named):
    """Base of the element types: ``f32`` is one number, ``f32[M, N]`` an array, ``f32(x)`` a conversion."""

    if TYPE_CHECKING:

        def __init__(self, value: object = 0) -> None: ...
        def __getitem__(self, index: object) -> Value: ...
        def __setitem__(self, index: object, value: object) -> None: ...
        def __iter__(self) -> Iterator[Value]: ...
        def __set__(self, struct: object, value: object) -> None: ...  # a struct's field is made from what converts to it

    else:

        @boundary
        def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
            _outside(f"{cls.__name__}(...)")

        def __class_getitem__(cls, sizes: Any) -> Any:
            return cls


def _dtype(name: str) -> Any:
    return _Named(name, (Number,), {"__module__": "lem", "__doc__": f"The element type `{name}`."})


if TYPE_CHECKING:

    class i8(Number[*_Sizes]): ...

    class i16(Number[*_Sizes]): ...

    class i32(Number[*_Sizes]): ...

    class i64(Number[*_Sizes]): ...

    class u8(Number[*_Sizes]): ...

    class u16(Number[*_Sizes]): ...

    class u32(Number[*_Sizes]): ...

    class u64(Number[*_Sizes]): ...

    class f16(Number[*_Sizes]): ...

    class bf16(Number[*_Sizes]): ...

    class f32(Number[*_Sizes]): ...

    class f64(Number[*_Sizes]): ...

    class f8e4m3(Number[*_Sizes]): ...

    class f8e5m2(Number[*_Sizes]): ...

    class bool_(Number[*_Sizes]): ...

else:
    i8, i16, i32, i64 = _dtype("i8"), _dtype("i16"), _dtype("i32"), _dtype("i64")
    u8, u16, u32, u64 = _dtype("u8"), _dtype("u16"), _dtype("u32"), _dtype("u64")
    f16, bf16, f32, f64 = _dtype("f16"), _dtype("bf16"), _dtype("f32"), _dtype("f64")
    f8e4m3, f8e5m2, bool_ = _dtype("f8e4m3"), _dtype("f8e5m2"), _dtype("bool_")

DTYPES: dict[Any, str] = {
    i8: "i8", i16: "i16", i32: "i32", i64: "i64", u8: "u8", u16: "u16", u32: "u32", u64: "u64",
    f16: "f16", bf16: "bf16", f32: "f32", f64: "f64", f8e4m3: "f8e4m3", f8e5m2: "f8e5m2", bool_: "bool",
    int: "int", float: "float", bool: "bool",
}  # fmt: skip


# ---------------------------------------------------------------- dimensions
class _DimType(_Named):
    """A dimension is a class, so that it can stand in ``f32[M, N]``; in a body it is iterated, sliced, calculated with."""

    if TYPE_CHECKING:

        def __iter__(cls) -> Iterator[Value]: ...
        def __getitem__(cls, part: object) -> Iterator[Value]: ...

    else:

        @boundary
        def __iter__(cls):
            _outside(f"for k in {cls.__name__}")

        @boundary
        def __getitem__(cls, part):
            _outside(f"{cls.__name__}[...]")

    def _size(cls, other: object) -> Any:
        return cls  # the size itself is read from the text

    def __lt__(self, other: object) -> bool:
        return True  # in `when=N > 1000`, which is read from the text, too

    __gt__ = __le__ = __ge__ = __lt__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __rfloordiv__ = __mod__ = _size

    def __repr__(cls) -> str:
        return cls.__name__


class Dim(metaclass=_DimType):
    """A dimension: ``class Batch(lem.Dim): ...`` makes one, ``from lem.dims import M, N`` finds those of one letter."""


# ---------------------------------------------------------------- targets
class Target:
    """Where a function may run: a kind (``cpu``, ``gpu``, ``spu``) or one target."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"lem.{self.name}"


cpu, gpu, spu = Target("cpu"), Target("gpu"), Target("spu")
cuda, opencl, interp = Target("cuda"), Target("opencl"), Target("interp")


# ---------------------------------------------------------------- effects
class Effect:
    """What a kernel does with an array, as it stands in an annotation's metadata."""

    def __init__(self, name: str, op: str = "") -> None:
        self.name, self.op = name, op

    def __repr__(self) -> str:
        return f"{self.name}({self.op})" if self.op else self.name


out = Annotated[_T, Effect("out")]
inout = Annotated[_T, Effect("inout")]
reduce_add = Annotated[_T, Effect("reduce", "+")]
reduce_max = Annotated[_T, Effect("reduce", "max")]
reduce_min = Annotated[_T, Effect("reduce", "min")]
reduce_or = Annotated[_T, Effect("reduce", "|")]
reduce_and = Annotated[_T, Effect("reduce", "&")]


# ---------------------------------------------------------------- words of bodies
@overload
def grid(_0: object, /, *, tile: object = ...) -> Iterator[Value]: ...
@overload
def grid(_0: object, _1: object, /, *, tile: object = ...) -> Iterator[tuple[Value, Value]]: ...
@overload
def grid(_0: object, _1: object, _2: object, /, *, tile: object = ...) -> Iterator[tuple[Value, Value, Value]]: ...
@overload
def grid(
    _0: object, _1: object, _2: object, _3: object, /, *, tile: object = ...
) -> Iterator[tuple[Value, Value, Value, Value]]: ...
@boundary
def grid(*ranges: object, tile: object = None) -> Any:
    """``for i, j in grid(M, N):`` every element, in parallel."""
    _outside("grid(...)")


@boundary
def tiles(domain: object, size: object = None, *, pipeline: int = 0) -> Iterator[Value]:
    """``for k in tiles(K, 64):`` block after block; `k` is an axis as wide as the block."""
    _outside("tiles(...)")


@boundary
def clamp(array: Any) -> Any:
    """Subscripts outside of the array give its rim."""
    _outside("clamp(...)")


@boundary
def wrap(array: Any) -> Any:
    """Subscripts outside of the array go round."""
    _outside("wrap(...)")


@boundary
def fill(array: Any, value: object) -> Any:
    """Subscripts outside of the array give `value`."""
    _outside("fill(...)")


@boundary
def unique(indices: Any) -> Any:
    """All elements of `indices` differ: tested before the grid runs."""
    _outside("unique(...)")


@boundary
def where(cond: object, a: object, b: object) -> Value:
    """`a` where the condition holds, else `b`; both are evaluated."""
    _outside("where(...)")


@boundary
def spawn(call: object, *, on: Any = None, near: Any = None, priority: object = 0, objective: str = "time") -> Any:
    """``spawn(f(x), on=gpu)`` in a task: the call runs beside what follows."""
    _outside("spawn(...)")


@boundary
def check(holds: object, *, within: object = None, fails: str = "") -> None:
    """``check(a == b, within=1e-6)`` in a test."""
    _outside("check(...)")


WORDS = frozenset({"grid", "tiles", "clamp", "wrap", "fill", "unique", "where", "spawn", "check"})
