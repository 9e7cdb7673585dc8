"""What is proven of a subscript, what is left for the call, and what is wrong."""

from __future__ import annotations

import time

import pytest

from lem.types.facts import Context
from lem.types.linear import Lin, Sym, Symbols, Term, compare_facts
from lem.types.prove import Verdict, classify_bound, classify_ge0, classify_index
from lem_runtime.abi.sizes import show


class Kernel:
    """i in M, j in N, r in R, a loop t below T; an int parameter w."""

    def __init__(self) -> None:
        self.symbols = Symbols()
        self.m, self.n, self.r_size, self.t_size = (self.symbols.sym(s, "dim") for s in "MNRT")
        self.w = self.symbols.sym("w", "param")
        self.start = Context().checked_at_call()
        self.i, self.j, self.r = (self.symbols.sym(s, "index") for s in "ijr")
        self.t = self.symbols.sym("t", "loop")
        self.ctx = self.start.assume_range(self.t, 0, self.t_size).assume_range(self.i, 0, self.m)
        self.ctx = self.ctx.assume_range(self.j, 0, self.n).assume_range(self.r, 0, self.r_size)

    def index(self, index: Term | None, size: Term | None, ctx: Context | None = None, bare: Sym | None = None) -> Verdict:
        return classify_index(
            ctx or self.ctx, None if index is None else Lin.of(index), None if size is None else Lin.of(size), bare_dim=bare
        )

    def left(self, index: Term, size: Term, ctx: Context | None = None) -> list[str]:
        v = self.index(index, size, ctx)
        assert v.kind == "call", v
        return [show(c.simple) for c in v.conditions]


@pytest.fixture
def k() -> Kernel:
    return Kernel()


def test_ranges_prove(k: Kernel) -> None:
    i, j, m, n = k.i.lin, k.j.lin, k.m.lin, k.n.lin
    for index, size in ((i, m), (m - 1 - i, m), (i * 2 + 1, m * 2), (i + j, m + n - 1), (i + 2, m + 2)):
        assert k.index(index, size).kind == "proven"


def test_slices_prove(k: Kernel) -> None:
    inner = k.start.assume_range(k.i, 1, k.m.lin - 1)
    assert all(k.index(k.i.lin + d, k.m, inner).kind == "proven" for d in (-1, 0, 1))
    assert k.index(k.i.lin + 2, k.m, inner).kind == "error"


def test_floor_by_a_constant_proves(k: Kernel) -> None:
    half, rest = k.symbols.div(k.i, 2), k.symbols.mod(k.i, 4)
    size = k.symbols.div(k.m.lin + 1, 2)
    assert half is not None and rest is not None and size is not None
    assert k.index(half, size).kind == "proven"
    assert k.index(half, k.m).kind == "proven"
    assert k.index(rest, 4).kind == "proven"
    pairs = k.symbols.div(k.m, 2)
    assert pairs is not None
    assert k.index(k.i.lin * 2 + 1, k.m, k.start.assume_range(k.i, 0, pairs)).kind == "proven"


def test_min_and_max_prove(k: Kernel) -> None:
    assert k.index(k.symbols.min(k.i.lin + 1, k.m.lin - 1), k.m).kind == "proven"
    assert k.index(k.symbols.max(k.i.lin - 1, 0), k.m).kind == "proven"
    assert k.index(k.symbols.max(k.i.lin + 1, 0), k.m).kind == "run"


def test_products_of_sizes(k: Kernel) -> None:
    area = k.symbols.mul(k.m, k.n)
    assert area is not None and area == k.symbols.mul(k.n, k.m)
    assert k.ctx.prove_ge0(area)
    assert k.index(k.i, area, k.ctx).kind == "proven"  # N >= 1 where j exists
    assert k.symbols.mul(k.i, k.j) is None


def test_mixed_radix(k: Kernel) -> None:
    flat, area = k.symbols.mul(k.i, k.n), k.symbols.mul(k.m, k.n)
    assert flat is not None and area is not None
    assert k.index(flat + k.j, area, k.ctx).kind == "proven"
    assert k.index(flat + k.j + 1, area, k.ctx).kind != "proven"
    place = k.symbols.sym("p", "index")
    ctx = k.start.assume_range(place, 0, area)
    row, column = k.symbols.quotient(place, k.n), k.symbols.mod(place, k.n)
    assert k.index(row, k.m, ctx).kind == k.index(column, k.n, ctx).kind == "proven"
    assert k.index(row, k.m.lin - 1, ctx).kind != "proven"


def test_conditions_on_products_end(k: Kernel) -> None:
    """What is asked of a product's factors is not asked of the product again."""
    area = k.symbols.mul(k.m, k.n)
    assert area is not None
    ctx = k.start.assume(k.m.lin * 4 - area)
    assert not ctx.prove_ge0(k.m.lin - 1) and not ctx.prove_ge0(4 - k.n.lin)
    assert ctx.assume(k.m.lin - 1).prove_ge0(area - k.n)


def test_conditions_guard(k: Kernel) -> None:
    assert k.index(k.i.lin - 1, k.m, k.ctx.assume(*compare_facts(">", k.i, 0))).kind == "proven"
    assert k.index(k.i.lin - 1, k.m, k.ctx.assume_ne(k.i, 0)).kind == "proven"
    either = k.ctx.assume_any(compare_facts("==", k.i, 1), compare_facts(">", k.i, 3))
    assert k.index(k.i.lin - 1, k.m, either).kind == "proven"
    assert k.index(k.i.lin - 2, k.m, either).kind == "run"


def test_what_is_left_for_the_call(k: Kernel) -> None:
    assert k.left(k.i.lin + k.r, k.m) == ["R <= 1"]
    assert k.left(k.i.lin + k.w, k.m) == ["w >= 0", "w <= 0"]
    assert k.left(0, k.n, k.start) == ["N >= 1"]
    assert k.left(3, k.n, k.start) == ["N >= 4"]
    assert k.left(k.w, k.n, k.start) == ["w >= 0", "w < N"]
    assert k.left(k.t, k.m) == ["T <= M"]


def test_empty_ranges_need_nothing(k: Kernel) -> None:
    (c,) = k.index(k.i.lin + k.r, k.m, k.start.assume_range(k.i, 0, k.m).assume_range(k.r, 0, k.r_size)).conditions
    assert show(c.exact) == "M <= 0 or R <= 1"
    assert c.bounded_dim == "R"
    (c,) = k.index(3, k.n, k.start.assume_range(k.i, 0, k.m)).conditions
    assert (show(c.exact), c.bounded_dim) == ("M <= 0 or N >= 4", "")


def test_conditions_on_scalars_stay(k: Kernel) -> None:
    """Under `if w > 5:`, unlike under a `where` clause."""
    guarded = k.start.assume(*compare_facts(">", k.w, 5))
    assert k.left(k.w, k.n, guarded) == ["w <= 5 or w < N"]
    assert k.left(k.w, k.n, guarded.checked_at_call()) == ["w < N"]


def test_wrong_for_every_size(k: Kernel) -> None:
    low, high = k.index(k.i.lin - 1, k.m), k.index(k.i.lin + 1, k.m)
    assert (low.kind, low.side, low.example) == ("error", "low", "`i - 1` is -1 when `i` is 0")
    assert (high.kind, high.side, high.example) == ("error", "high", "`i + 1` is `M` when `i` is `M - 1`")
    assert k.index(k.n, k.n).kind == "error"
    assert k.index(k.i.lin * 2, k.m, k.ctx.assume(*compare_facts(">", k.m, 1))).kind != "proven"


def test_example_with_numbers(k: Kernel) -> None:
    diagonal = k.start.assume_range(k.i, 0, k.m).assume_range(k.j, k.i, k.i.lin + 1)
    v = k.index(k.i.lin + k.j + 1, k.m.lin + k.m - 1, diagonal)
    assert v.kind == "error"
    assert v.example == "`i + j + 1` is 1 when `i` is 0 and `j` is 0 and `M` is 1"


def test_bare_variable_on_another_axis(k: Kernel) -> None:
    assert k.index(k.i, k.n, bare=k.m).side == "dim"
    assert k.index(k.i, k.m.lin + 1, bare=k.m).kind == "proven"
    assert k.index(k.i, k.n, k.ctx.assume(*compare_facts("<", k.i, k.n)), bare=k.m).kind == "proven"
    assert k.index(k.i, k.n, k.ctx.assume(*compare_facts("<=", k.m, k.n)), bare=k.m).kind == "proven"


def test_unknown_conditions_leave_a_check(k: Kernel) -> None:
    under = k.ctx.under_unknown()
    assert k.index(k.i.lin - 1, k.m, under).kind == "run"
    assert k.index(3, k.n, under).kind == "run"
    assert k.index(k.n, k.n, under).kind == "error"  # wrong whenever it runs


def test_gathers_are_checked_where_they_run(k: Kernel) -> None:
    assert k.index(None, k.n).kind == "run"
    byte = k.symbols.unknown("x[i]", 0, 255)
    assert k.index(byte, 256).kind == "proven"
    assert k.index(byte, k.n).kind == "run"
    assert k.index(byte.lin - 256, k.n).kind == "error"
    assert k.index(k.i, None).side == "high"


def test_rows_of_a_sparse_matrix(k: Kernel) -> None:
    """`for z in Z[p[i]:p[i + 1]]`: the bounds are checked where they run and are facts then."""
    lo, hi = k.symbols.unknown("p[i]"), k.symbols.unknown("p[i + 1]")
    size = k.symbols.sym("Z", "dim")
    assert classify_bound(k.ctx, lo.lin, size.lin).kind == "run"
    bounds = [f for b in (lo, hi) for f in (b.lin, size.lin - b)]
    z = k.symbols.sym("z", "index")
    row = k.ctx.assume(*bounds).assume_range(z, lo, hi)
    assert k.index(z, size, row, bare=size).kind == "proven"
    assert k.index(z.lin + 1, size, row).kind == "run"


def test_bounds_and_sizes(k: Kernel) -> None:
    assert classify_bound(k.ctx, k.i.lin + 1, k.m.lin).kind == "proven"
    v = classify_bound(k.start, k.w.lin, k.n.lin)
    assert [show(c.simple) for c in v.conditions] == ["w >= 0", "w <= N"]
    assert [show(c.simple) for c in classify_ge0(k.start, k.n.lin - 2).conditions] == ["N >= 2"]
    assert classify_ge0(k.start, None).kind == "run"


def test_steps(k: Kernel) -> None:
    pairs = k.start.assume_range(k.i, 0, k.m, 2)
    assert k.index(k.i.lin + 1, k.m, pairs).kind == "run"  # wrong for odd M only
    rest = k.symbols.mod(k.m, 2)
    assert rest is not None
    assert k.index(k.i.lin + 1, k.m, pairs.assume_eq(rest, 0)).kind == "proven"
    down = k.start.assume_range(k.t, k.n.lin - 1, -1, -1)
    assert k.index(k.t, k.n, down).kind == "proven"


def test_contradictions(k: Kernel) -> None:
    nowhere = k.ctx.assume(*compare_facts("<", k.m, 0))
    assert nowhere.is_impossible() and not k.ctx.is_impossible()
    assert k.ctx.assume(Lin((), -1)).is_impossible()


def test_proofs_are_quick(k: Kernel) -> None:
    """A convolution's subscripts: the budget is well under a millisecond each; ten times that fails."""
    n = 0
    start = time.perf_counter()
    while n < 60:
        fresh = Kernel()
        fresh.index(fresh.i.lin * 2 + fresh.r, fresh.m.lin * 2 + fresh.r_size - 1)
        n += 1
    assert (time.perf_counter() - start) / n < 1
