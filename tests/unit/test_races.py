"""Races between elements of a grid, and which writes cover an array."""

from __future__ import annotations

import pytest

from lem.source import SourceFile, Span
from lem.types.facts import Context
from lem.types.linear import Lin, Sym, Symbols, compare_facts
from lem.types.races import WHOLE, Access, Conflict, SubForm, UniqueOf, covers_whole_array, find_conflicts

SPAN = Span(SourceFile("t.lem", "x"), 0, 1)


class Grid:
    """A grid over i in M, j in N, with whatever else a test needs."""

    def __init__(self) -> None:
        self.symbols = Symbols()
        self.m, self.n, self.k = (self.symbols.sym(s, "dim") for s in "MNK")
        self.w = self.symbols.sym("w", "param")
        self.outer = Context().checked_at_call()
        self.i, self.j = self.symbols.sym("i", "index"), self.symbols.sym("j", "index")
        self.body = self.outer.assume_range(self.i, 0, self.m).assume_range(self.j, 0, self.n)

    def access(self, kind: str, *subs: SubForm | Sym | int, ctx: Context | None = None) -> Access:
        forms = tuple(Lin.of(s) if isinstance(s, (Sym, int)) else s for s in subs)
        return Access("c", "c", kind, forms, ctx or self.body, SPAN)

    def conflicts(self, *accesses: Access, only_i: bool = False) -> list[Conflict]:
        return find_conflicts(self.symbols, self.outer, [self.i] if only_i else [self.i, self.j], accesses)

    def covers(self, shape: list[Lin], *writes: Access) -> bool:
        return covers_whole_array(self.symbols, self.outer, shape, writes)


@pytest.fixture
def g() -> Grid:
    return Grid()


def test_each_element_writes_its_own_place(g: Grid) -> None:
    assert not g.conflicts(g.access("write", g.j, g.i.lin + 1))
    assert not g.conflicts(g.access("write", g.i.lin + g.j, g.j.lin - g.w))
    assert not g.conflicts(g.access("write", g.i.lin * 2, g.j, WHOLE), g.access("read", g.i.lin * 2, g.j, 0))


def test_one_variable_missing(g: Grid) -> None:
    (c,) = g.conflicts(g.access("write", g.i))
    assert (c.kind, c.certain) == ("write-write", True)
    assert c.example == "elements `i = 0, j = 0` and `i = 0, j = 1` both write `c[0]`"


def test_neighbour_is_read(g: Grid) -> None:
    (c,) = g.conflicts(g.access("write", g.i), g.access("read", g.i.lin - 1), only_i=True)
    assert (c.kind, c.example) == ("write-read", "element `i = 1` reads `c[0]`, which element `i = 0` writes")
    assert not g.conflicts(g.access("write", g.i), g.access("read", g.i), only_i=True)


def test_mixed_radix_is_recovered(g: Grid) -> None:
    d = g.symbols.sym("d", "index")
    two = g.body.assume_range(d, 0, 2)
    assert not g.conflicts(g.access("write", g.i.lin * 2 + d, ctx=two), only_i=True)
    three = g.body.assume_range(d, 0, 3)
    assert g.conflicts(g.access("write", g.i.lin * 2 + d, ctx=three), only_i=True)


def test_mixed_radix_of_sizes(g: Grid) -> None:
    rows, columns = g.symbols.mul(g.i, g.n), g.symbols.mul(g.j, g.m)
    area = g.symbols.mul(g.m, g.n)
    assert rows is not None and columns is not None and area is not None
    for form in (rows + g.j, columns + g.i):
        assert not g.conflicts(g.access("write", form))
        assert g.covers([area], g.access("write", form))
        assert not g.covers([area + 1], g.access("write", form))
        assert not g.covers([g.k.lin], g.access("write", form))
    (c,) = g.conflicts(g.access("write", rows - g.i + g.j))
    assert c.certain and c.example == "elements `i = 0, j = 1` and `i = 1, j = 0` both write `c[1]`"


def test_the_place_is_the_element(g: Grid) -> None:
    """``c[p // N, p % N]``"""
    area = g.symbols.mul(g.m, g.n)
    assert area is not None
    ctx = g.outer.assume_range(g.i, 0, area)
    row, column = g.symbols.quotient(g.i, g.n), g.symbols.mod(g.i, g.n)
    assert not g.conflicts(g.access("write", row, column, ctx=ctx), only_i=True)
    assert g.conflicts(g.access("write", row, ctx=ctx), only_i=True)


def test_red_and_black(g: Grid) -> None:
    """Even elements are written, odd ones read."""
    even = g.outer.assume_range(g.i, 0, g.m, 2)
    write = g.access("write", g.i, ctx=even)
    assert not g.conflicts(write, g.access("read", g.i.lin + 1, ctx=even), only_i=True)
    assert g.conflicts(write, g.access("read", g.i.lin + 2, ctx=even), only_i=True)


def test_disjoint_halves(g: Grid) -> None:
    read = g.access("read", g.i.lin + g.m)
    assert not g.conflicts(g.access("write", g.i), read, only_i=True)


def test_row_of_the_pivot_is_read(g: Grid) -> None:
    """Textbook Floyd-Warshall: k is shared by all elements."""
    outer = Grid()
    k = outer.symbols.sym("k", "loop")
    i, j = outer.symbols.sym("i", "index"), outer.symbols.sym("j", "index")
    before = Context().assume_range(k, 0, outer.n)
    body = before.assume_range(i, 0, outer.n).assume_range(j, 0, outer.n)
    write, own = outer.access("write", i, j, ctx=body), outer.access("read", i, j, ctx=body)
    assert find_conflicts(outer.symbols, before, [i, j], [write, own, outer.access("read", i, k, ctx=body)])
    other = body.assume(*compare_facts(">", i, k)).assume(*compare_facts(">", j, k))
    write, own = outer.access("write", i, j, ctx=other), outer.access("read", i, j, ctx=other)
    assert not find_conflicts(outer.symbols, before, [i, j], [write, own, outer.access("read", i, k, ctx=other)])


def test_gathers_are_undecided(g: Grid) -> None:
    (c,) = g.conflicts(g.access("write", None), only_i=True)
    assert (c.certain, c.example) == (False, None)
    assert not g.conflicts(g.access("write", g.i, None), only_i=True)
    assert not g.conflicts(g.access("update", None), g.access("update", None))
    assert not g.conflicts(g.access("write", UniqueOf("idx", (g.i.lin,))), only_i=True)
    assert g.conflicts(g.access("write", UniqueOf("idx", (g.i.lin,))), g.access("read", g.i), only_i=True)


def test_a_guard_makes_an_example_uncertain(g: Grid) -> None:
    (c,) = g.conflicts(g.access("write", 0, ctx=g.body.under_unknown()), only_i=True)
    assert not c.certain and c.example == "elements `i = 0` and `i = 1` may both write `c[0]`"


def test_one_element_is_alone(g: Grid) -> None:
    first = g.body.assume(*compare_facts("==", g.i, 0))
    assert not g.conflicts(g.access("write", 0, ctx=first), only_i=True)


def test_values_of_an_element_are_its_own(g: Grid) -> None:
    p = g.symbols.unknown("p[i]", 0, 9)
    assert g.conflicts(g.access("write", p), only_i=True)
    assert not g.conflicts(g.access("write", g.i.lin * 10 + p), only_i=True)


def test_coverage(g: Grid) -> None:
    mn = [g.m.lin, g.n.lin]
    assert g.covers(mn, g.access("write", g.i, g.j))
    assert g.covers(mn, g.access("write", g.m.lin - 1 - g.i, g.j))
    assert g.covers(mn, g.access("write", g.i, WHOLE, ctx=g.outer.assume_range(g.i, 0, g.m)))
    assert g.covers(mn, g.access("write", g.i, WHOLE))  # nothing is written when N is 0: then there is nothing
    assert not g.covers([g.m.lin, g.k.lin], g.access("write", g.i, WHOLE))
    assert not g.covers(mn, g.access("write", g.i, g.i))
    assert not g.covers([g.m.lin + 1, g.n.lin], g.access("write", g.i, g.j))
    assert not g.covers(mn, g.access("write", g.i, g.j, ctx=g.body.under_unknown()))
    assert not g.covers([g.m.lin], g.access("write", None))
    assert g.covers([], g.access("write", ctx=g.outer))


def test_a_diagonal_covers_nothing(g: Grid) -> None:
    """What one subscript tells of a variable is asked of the next one: it does not tell it anew."""
    for shape in ([g.n.lin, g.m.lin], [g.m.lin, g.m.lin], [g.m.lin, Lin((), 2)]):
        assert not g.covers(shape, g.access("write", g.i, g.i))
    half = g.symbols.div(g.i, 2)
    assert not g.covers([g.m.lin, g.m.lin], g.access("write", g.i, half))


def test_coverage_by_several_writes(g: Grid) -> None:
    inner = g.outer.assume_range(g.i, 1, g.m.lin - 1)
    edges = [g.access("write", 0, ctx=g.outer), g.access("write", g.m.lin - 1, ctx=g.outer)]
    assert g.covers([g.m.lin], g.access("write", g.i, ctx=inner), *edges)
    assert not g.covers([g.m.lin], g.access("write", g.i, ctx=inner), edges[0])
    below = [g.body.assume(*compare_facts(op, g.j, g.i)) for op in ("<=", ">")]
    assert g.covers([g.m.lin, g.n.lin], *(g.access("write", g.i, g.j, ctx=c) for c in below))
    assert not g.covers([g.m.lin, g.n.lin], g.access("write", g.i, g.j, ctx=below[0]))


def test_coverage_by_steps(g: Grid) -> None:
    even, odd = (g.outer.assume_range(g.i, start, g.m, 2) for start in (0, 1))
    assert g.covers([g.m.lin], g.access("write", g.i, ctx=even), g.access("write", g.i, ctx=odd))
    assert not g.covers([g.m.lin], g.access("write", g.i, ctx=even))
    only_i = g.outer.assume_range(g.i, 0, g.m)
    pair = [g.access("write", g.i.lin * 2 + d, ctx=only_i) for d in (0, 1)]
    assert g.covers([g.m.lin * 2], *pair)
    assert not g.covers([g.m.lin * 2], pair[1])
    d = g.symbols.sym("d", "loop")
    assert g.covers([g.m.lin * 3], g.access("write", g.i.lin * 3 + d, ctx=only_i.assume_range(d, 0, 3)))
