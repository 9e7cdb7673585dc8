"""Linear forms: arithmetic, derived symbols, text."""

from __future__ import annotations

from lem.types.linear import Lin, Symbols, compare_facts, condition
from lem_runtime.abi.sizes import show


def test_text_is_source() -> None:
    s = Symbols()
    i, d, n = s.sym("i", "index"), s.sym("d", "index"), s.sym("N", "dim")
    assert str(i.lin * 2 + d - 1) == "2 * i + d - 1"
    assert str(n.lin - 1 - i) == "N - i - 1"
    assert str(-i.lin) == "-i"
    assert str(3 - n.lin) == "3 - N"
    assert str(Lin.of(-4)) == "-4"
    half = s.div(n, 2)
    assert half is not None
    assert str(half * 2 + 1) == "2 * (N // 2) + 1"
    assert str(s.mod(n, 2)) == "N - 2 * (N // 2)"
    assert str(s.min(n, i.lin + 1)) == "min(N, i + 1)"


def test_conditions_read_well() -> None:
    s = Symbols()
    n, w = s.sym("N", "dim"), s.sym("w", "param")
    texts = {"N >= 1": n.lin - 1, "w <= 0": -w.lin, "w < N": n.lin - w - 1, "2 * w <= N + 3": n.lin + 3 - w.lin * 2}
    assert {show(condition(f)) for f in texts.values()} == set(texts)


def test_equal_forms_are_equal() -> None:
    s = Symbols()
    n, m = s.sym("N", "dim"), s.sym("N", "dim")
    assert n.lin + 1 - 1 == n.lin and hash(n.lin + 1) == hash(1 + n.lin)
    assert n.lin != m.lin
    assert n.lin * 0 == Lin.of(0)


def test_derived_symbols_are_made_once() -> None:
    s = Symbols()
    n, m = s.sym("N", "dim"), s.sym("M", "dim")
    assert s.div(n.lin + 1, 2) == s.div(1 + n.lin, 2)
    assert s.mul(n.lin + 1, m) == s.mul(m, n.lin + 1)
    assert s.mul(s.mul(n, m) or 0, n) == s.mul(n, s.mul(n, m) or 0)
    assert s.div(n.lin * 4 + 9, 4) == n.lin + 2
    assert s.div(n, 0) is None and s.div(n, m.lin - 1) is None
    assert s.div(n, m) == s.div(n, m) is not None


def test_quotients_of_equal_sizes_are_equal() -> None:
    s = Symbols()
    n, w, i = s.sym("N", "dim"), s.sym("w", "param"), s.sym("i", "index")
    windows = s.quotient(n.lin - 1, w)
    assert windows is not None and windows == s.quotient(-1 + n.lin, w) and windows != s.quotient(n, w)
    assert s.quotient(windows - 1, w) == s.quotient(windows - 1, w) is not None
    assert s.quotient(n, 2) == s.div(n, 2)
    assert s.quotient(i, w) is None and s.quotient(i, n) == s.div(i, n) and windows.to_size() is None


def test_sizes_become_forms_and_back() -> None:
    s = Symbols()
    names = {"N": s.sym("N", "dim").lin, "w": s.sym("w", "param").lin}
    for size in (("+", "N", 1), ("//", "N", 2), ("-", ("*", 2, "N"), "w"), ("min", "N", "w"), 3, "N"):
        form = s.from_size(size, names)
        assert form is not None and form.to_size() == size
    assert s.from_size(("+", "N", "K"), names) is None
    assert (names["N"] + s.sym("i", "index")).to_size() is None


def test_facts_of_conditions() -> None:
    s = Symbols()
    names = {"N": s.sym("N", "dim").lin}
    n = names["N"]
    cond = ("and", (">=", "N", 4), ("<", "N", 9))
    assert s.facts_of(cond, names) == (n - 4, 8 - n)
    assert s.facts_of(("not", ("or", ("<", "N", 4), (">", "N", 8))), names) == (n - 4, 8 - n)
    assert s.facts_of(("or", ("<", "N", 4), (">", "N", 8)), names) == ()
    assert compare_facts("<", n, 3, negate=True) == (n - 3,)


def test_renaming_reaches_derived_symbols() -> None:
    s = Symbols()
    i, j = s.sym("i", "index"), s.sym("j", "index")
    half = s.div(i, 2)
    assert half is not None
    assert s.rename(half + i, {i: j}) == j.lin + (s.div(j, 2) or 0)
