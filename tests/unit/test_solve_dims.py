"""Which argument tells which dimension, at calls from outside and between kernels."""

from __future__ import annotations

import pytest

from lem.types.facts import Context
from lem.types.linear import Lin, Symbols, compare_facts
from lem.types.solve_dims import CallDims, decide, solve, unify_call
from lem_runtime.abi.signature import CallError, Condition, DimRule, Param, Signature, bind
from lem_runtime.abi.sizes import Size, show


def array(name: str, *shape: Size, effect: str = "read") -> Param:
    return Param(name, "f32", shape, effect)


def scalar(name: str, dtype: str = "i64") -> Param:
    return Param(name, dtype, None, "read")


def signature(dims: str, *params: Param, conditions: tuple[Condition, ...] = ()) -> Signature:
    names = tuple(dims.split())
    return Signature("f", "kernel", names, params, solve(names, params).rules, conditions)


def test_alone_in_an_input_comes_first() -> None:
    s = solve(["N"], [array("y", "N", effect="out"), array("v", ("*", 2, "N")), array("x", 3, "N")])
    assert s.rules == (DimRule("N", "x", 1),)
    assert s.by_name == ()


def test_linear_sizes_are_solved() -> None:
    s = solve(["D", "R"], [array("x", ("*", 2, "D")), array("y", ("+", "R", 1))])
    assert s.rules == (DimRule("D", "x", 0, 0, 2), DimRule("R", "y", 0, 1, 1))
    assert s.nonneg == (("*", 2, "D"), ("+", "R", 1))


def test_what_is_known_before_may_be_used() -> None:
    sig = signature("M K w2", array("both", ("+", "M", "K")), array("one", "M"), scalar("w"), array("z", ("+", "w2", "w")))
    assert bind(sig, {"both": (7,), "one": (3,), "z": (9,)}, {"w": 4}) == {"M": 3, "K": 4, "w2": 5}
    with pytest.raises(CallError):
        bind(sig, {"both": (2,), "one": (3,), "z": (9,)}, {"w": 4})


def test_out_arrays_come_last_then_names() -> None:
    s = solve(["H", "W"], [array("y", "H", ("//", "W", 2), effect="out")])
    assert s.rules == (DimRule("H", "y", 0), DimRule("W", None))
    assert s.by_name == ("H", "W")


def test_floats_tell_no_sizes() -> None:
    assert solve(["N"], [scalar("w", "f32"), array("x", ("+", "N", "w"))]).by_name == ("N",)


def test_impossible_sizes() -> None:
    s = solve(["N"], [array("x", "N"), array("y", ("-", -1, "N")), array("z", ("//", "N", 0)), array("v", -3)])
    assert [(p.param, p.text) for p in s.problems] == [
        ("y", "size is negative for every value"),
        ("z", "size divides by zero"),
        ("v", "size is negative"),
    ]


class Caller:
    def __init__(self) -> None:
        self.symbols = Symbols()
        self.n, self.m = self.symbols.sym("N", "dim").lin, self.symbols.sym("M", "dim").lin
        self.ctx = Context().checked_at_call()

    def call(self, sig: Signature, **shapes: tuple[Lin | None, ...]) -> CallDims:
        return unify_call(self.symbols, self.ctx, sig, shapes, {})


def test_call_in_a_body() -> None:
    c = Caller()
    sig = signature("K L", array("a", "K", "L"), array("b", "L", ("*", 2, "K")))
    good = c.call(sig, a=(c.n, c.m), b=(c.m, c.n * 2))
    assert good.dims == {"K": c.n, "L": c.m} and not good.mismatches
    (open_,) = c.call(sig, a=(c.n, c.m), b=(c.n, c.n * 2)).mismatches
    condition = open_.condition()
    assert not open_.certain and condition is not None and show(condition) == "N == M"
    (wrong,) = c.call(sig, a=(c.n, c.m), b=(c.m + 1, c.n * 2)).mismatches
    assert wrong.certain and (wrong.param, wrong.axis) == ("b", 0)


def test_call_needs_divisibility() -> None:
    c = Caller()
    (m,) = c.call(signature("D", array("x", ("*", 2, "D"))), x=(c.n,)).mismatches
    condition = m.condition()
    assert condition is not None and show(condition) == "N == 2 * (N // 2)"
    (m,) = c.call(signature("D", array("x", ("*", 2, "D"))), x=(c.n * 2 + 1,)).mismatches
    assert m.certain


def test_sizes_known_only_when_it_runs() -> None:
    c = Caller()
    got = c.call(signature("D", array("x", "D"), array("y", "D")), x=(None,), y=(c.n,))
    assert got.unchecked == (("x", 0), ("y", 0)) and got.dims == {"D": None}


def test_conditions_of_the_callee() -> None:
    c = Caller()
    where = (Condition(("==", ("%", "K", 2), 0), "where"), Condition((">=", "K", 1), "x[0]"), Condition(("<", "K", 0), "?"))
    sig = signature("K", array("x", "K"), conditions=where)
    got = c.call(sig, x=(c.n * 2,)).open_conditions
    assert [(o.condition.why, o.certain) for o in got] == [("x[0]", False), ("?", True)]
    assert got[0].expr == (">=", ("*", 2, "N"), 1)


def test_decide() -> None:
    c = Caller()
    ctx = c.ctx.assume(*compare_facts(">", c.n, 3))
    names = {"N": c.n, "M": c.m}

    def ask(cond: Size) -> str:
        return decide(c.symbols, ctx, cond, names)

    assert ask((">=", "N", 4)) == "holds"
    assert ask(("<", "N", 4)) == "fails"
    assert ask(("or", ("<", "M", 4), ("!=", "N", 2))) == "holds"
    assert ask(("and", ("<", "M", 4), ("!=", "N", 2))) == "unknown"
    assert ask(("not", ("==", ("max", "N", 2), "N"))) == "fails"


def test_a_condition_is_shown_without_its_empty_ranges() -> None:
    needs = Condition(("or", ("<=", "M", 0), ("<=", "R", 1)), "`x[i + r]` needs it", shown=("<=", "R", 1))
    sig = signature("M R", array("x", "M"), array("w", "R"), conditions=(needs,))
    assert bind(sig, {"x": (0,), "w": (3,)}, {}) == {"M": 0, "R": 3}
    with pytest.raises(CallError, match=r"^`R <= 1` must hold \(`x\[i \+ r\]` needs it\); here R = 3$"):
        bind(sig, {"x": (5,), "w": (3,)}, {})
