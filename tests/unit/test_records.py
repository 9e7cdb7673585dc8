"""The decorator that puts off its work gives what the standard library's gives."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field
from typing import Any, ClassVar

import pytest

from lem_runtime.abi.records import dataclass

COUNT: list[int] = []


def both(**how: Any) -> Any:
    """A family of classes by each decorator."""
    out = []
    for decorate in (dataclasses.dataclass, dataclass):

        @decorate(**how)
        class Base:
            kind: ClassVar[str] = "base"
            a: int
            b: str = "x"

            def double(self) -> int:
                return 2 * self.a

        @decorate(**how)
        class More(Base):
            c: list[int] = field(default_factory=list)
            b: str = "y"
            d: float = field(default=1.5, kw_only=True)
            e: int = field(default=0, compare=False, repr=False)

            def __post_init__(self) -> None:
                COUNT.append(self.a)

        @decorate(**how)
        class Odd:
            x: int

            def __eq__(self, other: object) -> bool:
                return True

            def __repr__(self) -> str:
                return "odd"

        out.append((Base, More, Odd))
    return out


WAYS = [
    {"frozen": f, "slots": s, "eq": e, "repr": r} for f in (0, 1) for s in (0, 1) for e in (0, 1) for r in (0, 1)
]  # fmt: skip


def answers(classes: tuple[Any, ...]) -> list[Any]:
    """What the classes do, errors included."""
    Base, More, Odd = classes

    def said(f: Any) -> Any:
        try:
            return f()
        except Exception as e:
            return type(e).__name__, str(e).replace("test_records.", "")

    one, two = Base(1), More(1, "q", [3], d=2.5, e=7)
    shown = Base.__repr__ is not object.__repr__
    told: list[Any] = [
        [(f.name, f.type, f.kw_only, f.compare) for c in classes for f in dataclasses.fields(c)],
        [c.__match_args__ for c in classes], [dataclasses.asdict(x) for x in (one, two)], dataclasses.astuple(two),
        (one.a, one.b, one.double(), two.c, two.d, two.e, More(2).c, More(2).b, More.kind),
        dataclasses.asdict(dataclasses.replace(two, a=5, d=0.0)), said(lambda: dataclasses.replace(two, z=5)),
        one == Base(1), one == Base(2), two == More(1, "q", [3], d=2.5, e=8), one == two, one != Base(1), one == 3,
        said(lambda: hash(one) == hash(Base(1))), isinstance(said(lambda: hash(More(1))), tuple),
        repr(Odd(1)) if shown else "", Odd(1) == 3,
        (repr(one), repr(two)) if shown else (), said(lambda: setattr(one, "a", 4)),
        bool(said(lambda: setattr(one, "new", 4))),

        said(lambda: delattr(one, "a")), hasattr(one, "__dict__"), getattr(Base, "__slots__", None),

        getattr(More, "__slots__", None), Base.__hash__ is None, Odd.__hash__ is None,
        said(lambda: copy.copy(one).b), said(lambda: copy.deepcopy(two).c), dataclasses.is_dataclass(one),
    ]  # fmt: skip
    del COUNT[:]
    More(8)
    told.append(list(COUNT))
    for args, named in (((), {}), ((1, 2, 3, 4, 5, 6), {}), ((1,), {"a": 2}), ((1,), {"z": 2}), ((1, "b", [2], 3, 4), {})):
        told.append([said(lambda c=c, args=args, named=named: c(*args, **named))[0] for c in (Base, More)])
    told.append([(x.a, x.b, x.c, x.d, x.e) for x in (More(1, "q", [3], 9), More(1, d=2.0, c=[4]), More(b="r", a=3, e=5))])
    return told


@pytest.mark.parametrize("how", WAYS, ids=lambda w: "-".join(k for k, v in w.items() if v) or "plain")
def test_as_the_standard_library(how: dict[str, int]) -> None:
    theirs, ours = both(**how)
    for _ in range(10):  # the first few objects are filled in another way than the others
        for a, b in zip(answers(theirs), answers(ours), strict=True):
            assert a == b


def test_matching() -> None:
    _, (Base, More, _) = both(frozen=True, slots=True)
    match More(1, "q", [3]):
        case More(a, b, [c]):
            assert (a, b, c) == (1, "q", 3)
    match Base(1):
        case Base(a=2):
            raise AssertionError
        case Base(1, "x"):
            pass


@dataclass(frozen=True, slots=True)
class Kept:
    a: int
    b: tuple[int, ...] = ()


def test_pickling_and_an_object_that_holds_itself() -> None:
    assert pickle.loads(pickle.dumps(Kept(1, (2,)))) == Kept(1, (2,))

    @dataclass
    class Ring:
        next: Any = None

    ring = Ring()
    ring.next = ring
    assert repr(ring).endswith("Ring(next=...)")
