"""``dataclass`` as in the standard library, whose methods are written when they are first needed.

The compiler has some four hundred small classes of data, and a run needs few of them. The standard decorator compiles up to
seven methods for each class while it is imported, half a millisecond each: a fifth of the time that a cold first call took.
Here a class costs some thirty microseconds; ``__init__`` is compiled where more than a few objects are made, comparison and
``repr`` are shared by all classes. ``field``, ``fields``, ``replace`` and ``asdict`` of the standard library take them as
theirs.

Left out, because nothing here uses it: ``order``, ``unsafe_hash``, ``init=False``, ``InitVar``, ``weakref_slot``.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, FrozenInstanceError, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING or sys.version_info >= (3, 14):  # from then on annotations are no text that a class body holds
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True, repr=True):
        """Class decorator: as :func:`dataclasses.dataclass`."""
        if cls is None:
            return lambda c: _made(c, frozen, slots, eq, repr)
        return _made(cls, frozen, slots, eq, repr)


_FACTORY: Final = object()  # a parameter that was not given, of a field with a default_factory


def _made(cls: type, frozen: bool, slots: bool, eq: bool, repr: bool) -> type:
    own, defaults = _own(cls)
    before = _names(cls.__mro__[1:])
    is_keyword = {n: isinstance(defaults.get(n), Field) and defaults[n].kw_only is True for n in own}
    names = before | is_keyword  # a field declared again keeps its place
    if slots:
        cls = _with_slots(cls, own, defaults)
    else:
        for name, default in defaults.items():
            if isinstance(default, Field):
                if default.default is MISSING:
                    delattr(cls, name)
                else:
                    setattr(cls, name, default.default)
    kept = vars(cls)
    methods: dict[str, Any] = {"__init__": _lazy_init(cls)}
    if repr:
        methods["__repr__"] = _repr
    if eq:
        methods["__eq__"] = _eq
        methods["__hash__"] = _hash if frozen else None
    if frozen:
        methods |= {"__setattr__": _no_set, "__delattr__": _no_delete}
        if slots:
            methods |= {"__getstate__": _getstate, "__setstate__": _setstate}
    for name, method in methods.items():
        if name not in kept or (name == "__hash__" and kept[name] is None):  # Python sets that where a class has __eq__
            setattr(cls, name, method)
    cls.__dataclass_fields__ = _Fields(cls, own, defaults)  # type: ignore[attr-defined]
    if "__match_args__" not in kept:
        cls.__match_args__ = tuple(n for n, keyword in names.items() if not keyword)  # type: ignore[misc, attr-defined]
    cls.__dataclass_names__ = names  # type: ignore[attr-defined]
    return cls


def _own(cls: type) -> tuple[dict[str, str], dict[str, Any]]:
    """Annotations and defaults of the fields that a class itself declares."""
    annotations = vars(cls).get("__annotations__", {})
    own = {n: t for n, t in annotations.items() if not str(t).startswith(("ClassVar", "typing.ClassVar"))}
    return own, {n: vars(cls)[n] for n in own if n in vars(cls)}


def _names(mro: tuple[type, ...]) -> dict[str, bool]:
    """Fields of the bases, and which of them are given by keyword."""
    return next((vars(c)["__dataclass_names__"] for c in mro if "__dataclass_names__" in vars(c)), {})


def _with_slots(cls: type, own: dict[str, str], defaults: dict[str, Any]) -> type:
    """The class once more: slots are given when a class is made."""
    body = dict(vars(cls))
    taken = {s for c in cls.__mro__[1:] for s in vars(c).get("__slots__", ())}
    body["__slots__"] = tuple(n for n in own if n not in taken)
    for name in (*defaults, "__dict__", "__weakref__"):
        body.pop(name, None)
    made = type(cls)(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    return made


class _Fields:
    """``__dataclass_fields__``, made when somebody asks."""

    def __init__(self, owner: type, own: dict[str, str], defaults: dict[str, Any]) -> None:
        self.owner, self.own, self.defaults = owner, own, defaults

    def __get__(self, _: object, cls: type | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for base in reversed(self.owner.__mro__[1:]):
            if "__dataclass_fields__" in vars(base):
                found |= base.__dataclass_fields__  # type: ignore[attr-defined]
        for name, annotation in self.own.items():
            default = self.defaults.get(name, MISSING)
            made: Any = default if isinstance(default, Field) else field() if default is MISSING else field(default=default)
            made.name, made.type = name, annotation
            made._field_type = _A_FIELD
            made.kw_only = made.kw_only is True
            found[name] = made
        self.owner.__dataclass_fields__ = found  # type: ignore[attr-defined]
        return found


# By this the standard library knows a field from a class variable.
_A_FIELD: Final[Any] = vars(sys.modules["dataclasses"])["_FIELD"]


# ---------------------------------------------------------------- methods
_FEW: Final = 8  # objects of a class that are filled by a loop: compiling a method takes as long as a hundred of them


def _lazy_init(owner: type) -> Any:
    n_made = 0

    def __init__(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        nonlocal n_made
        if owner.__init__ is __init__:  # type: ignore[misc]
            n_made += 1
            if n_made <= _FEW and _filled(owner, self, args, kwargs):
                return
            owner.__init__ = _compiled_init(owner)  # type: ignore[misc]
        owner.__init__(self, *args, **kwargs)  # type: ignore[misc]

    return __init__


def _filled(cls: type, self: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Set all fields. False, with none set, where the arguments are not right: the compiled method says why."""
    setting: Any = cls.__setattr__
    if setting is not object.__setattr__ and setting is not _no_set:
        return False
    values: dict[str, Any] = {}
    n_given = n_named = 0
    for name, f in cls.__dataclass_fields__.items():  # type: ignore[attr-defined]
        if n_given < len(args) and not f.kw_only:
            values[name] = args[n_given]
            n_given += 1
        elif name in kwargs:
            values[name] = kwargs[name]
            n_named += 1
        elif f.default is not MISSING:
            values[name] = f.default
        elif f.default_factory is not MISSING:
            values[name] = f.default_factory()
        else:
            return False
    if n_named != len(kwargs) or n_given != len(args):
        return False
    for name, value in values.items():
        object.__setattr__(self, name, value)
    if hasattr(cls, "__post_init__"):
        self.__post_init__()  # type: ignore[attr-defined]
    return True


def _compiled_init(cls: type) -> Any:
    known: dict[str, Any] = {"_set": object.__setattr__, "_FACTORY": _FACTORY}
    positional: list[str] = []
    keyword: list[str] = []
    body: list[str] = []
    frozen = vars(cls).get("__setattr__") is _no_set
    for name, f in cls.__dataclass_fields__.items():  # type: ignore[attr-defined]
        value, param = name, name
        if f.default is not MISSING:
            known[f"_d_{name}"] = f.default
            param = f"{name}=_d_{name}"
        elif f.default_factory is not MISSING:
            known[f"_f_{name}"] = f.default_factory
            param = f"{name}=_FACTORY"
            value = f"_f_{name}() if {name} is _FACTORY else {name}"
        (keyword if f.kw_only else positional).append(param)
        place = getattr(cls, name, None)
        if not frozen:
            body.append(f"self.{name} = {value}")
        elif type(place).__name__ == "member_descriptor":
            known[f"_s_{name}"] = place.__set__  # type: ignore[union-attr]
            body.append(f"_s_{name}(self, {value})")
        else:
            body.append(f"_set(self, '{name}', {value})")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    params = ", ".join(["self", *positional, *(["*", *keyword] if keyword else [])])
    lines = "\n  ".join(body or ["pass"])
    exec(f"def __init__({params}):\n  {lines}", known)  # noqa: S102  # text made from names of fields alone
    made = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


_keys: dict[type, Any] = {}  # of each class: what gives the tuple that an object is compared by


def _key(cls: type) -> Any:
    names = [f.name for f in cls.__dataclass_fields__.values() if f.compare]  # type: ignore[attr-defined]
    if len(names) > 1:
        made: Any = attrgetter(*names)
    elif names:
        made = lambda x: (getattr(x, names[0]),)  # noqa: E731
    else:
        made = lambda _: ()  # noqa: E731
    _keys[cls] = made
    return made


def _eq(self: Any, other: object) -> Any:
    cls = self.__class__
    if other.__class__ is not cls:
        return NotImplemented
    key = _keys.get(cls) or _key(cls)
    return key(self) == key(other)


def _hash(self: Any) -> int:
    cls = self.__class__
    return hash((_keys.get(cls) or _key(cls))(self))


_shown: set[int] = set()  # objects whose text is being made: some hold themselves


def _repr(self: Any) -> str:
    name = self.__class__.__qualname__
    if id(self) in _shown:
        return "..."
    _shown.add(id(self))
    try:
        parts = [f"{f.name}={getattr(self, f.name)!r}" for f in self.__dataclass_fields__.values() if f.repr]
    finally:
        _shown.discard(id(self))
    return f"{name}({', '.join(parts)})"


def _no_set(self: Any, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, n) for n in self.__dataclass_names__]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__dataclass_names__, state, strict=True):
        object.__setattr__(self, name, value)


__all__ = ["dataclass"]
