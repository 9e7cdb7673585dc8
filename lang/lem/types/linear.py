"""Linear forms over integer symbols: what the checker knows of a size, a subscript or a bound.

Takes names of dimensions, ``int`` parameters, index and loop variables; gives :class:`Lin` values
(``2 * i + d - 1``) that ``prove`` reasons about, and turns those over sizes and scalars into size expressions for the
signature. Stands below the rest of ``types``: knows no syntax and reports nothing.

A *fact* is a ``Lin`` that is known to be ``>= 0``; an equality is a pair of facts, see :func:`equal`. What is not
linear becomes a derived symbol with facts of its own (``n // 2``, ``M * N``, ``min(a, b)``), or an unknown
(``n // w``): :class:`Symbols` makes each one once, so equal expressions are the same symbol.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Union

from lem_runtime.abi import sizes
from lem_runtime.abi.sizes import Size

_uids = itertools.count()

SIZE_KINDS = frozenset({"dim", "param"})  # what a condition of the signature may speak of


class Sym:
    """An integer unknown. Compared by identity.

    kind:  "dim" (a dimension: never negative), "param" (an ``int`` parameter), "index" (grid or comprehension
           variable), "loop" (variable of a range statement), "fresh" (known only when it runs, or a derived symbol).
    uid:   grows in order of creation; `races` takes symbols made before the grid's own as shared by all elements.
    defn:  for derived symbols ``(op, a, b)`` with op in ``// * min max``; None for all others.
    facts: what always holds of it, as forms >= 0; the prover adds them by itself.
    home:  what made it, for derived symbols.
    """

    __slots__ = ("name", "kind", "uid", "defn", "facts", "lin", "home")

    def __init__(self, name: str, kind: str, defn: tuple[str, Lin, Lin] | None = None, home: Symbols | None = None) -> None:
        self.name = name
        self.kind = kind
        self.uid = next(_uids)
        self.defn = defn
        self.home = home
        self.lin = Lin(((self, 1),), 0)
        self.facts: tuple[Lin, ...] = (self.lin,) if kind == "dim" else ()

    def __repr__(self) -> str:
        return self.name

    @property
    def is_unknown(self) -> bool:
        """A value that is known only when the program runs (an array element, a reassigned local)."""
        return self.kind == "fresh" and self.defn is None

    def as_size(self) -> Size:
        """Its source text as a size expression, whatever kind it is; for messages."""
        if self.defn is None:
            return self.name
        return (self.defn[0], self.defn[1].as_size(), self.defn[2].as_size())


Term = Union["Lin", Sym, int]


class Lin:
    """``const + sum(coef * sym)``: immutable, compared by value. Coefficients are never 0; terms stand by `uid`."""

    __slots__ = ("terms", "const", "_hash")

    def __init__(self, terms: tuple[tuple[Sym, int], ...], const: int) -> None:
        self.terms = terms
        self.const = const
        self._hash = hash((terms, const))

    @staticmethod
    def of(value: Term) -> Lin:
        """A form from an int, a symbol or a form."""
        if isinstance(value, Lin):
            return value
        return value.lin if isinstance(value, Sym) else Lin((), value)

    @staticmethod
    def from_dict(coefs: Mapping[Sym, int], const: int) -> Lin:
        return Lin(tuple(sorted(((s, c) for s, c in coefs.items() if c), key=_by_uid)), const)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Lin):
            return self.const == other.const and self.terms == other.terms
        return NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return self.show()

    def __add__(self, other: Term) -> Lin:
        if isinstance(other, int):
            return Lin(self.terms, self.const + other)
        return self._plus(Lin.of(other), 1)

    def __sub__(self, other: Term) -> Lin:
        if isinstance(other, int):
            return Lin(self.terms, self.const - other)
        return self._plus(Lin.of(other), -1)

    def __radd__(self, other: int) -> Lin:
        return self + other

    def __rsub__(self, other: int) -> Lin:
        return -self + other

    def __neg__(self) -> Lin:
        return Lin(tuple((s, -c) for s, c in self.terms), -self.const)

    def __mul__(self, factor: int) -> Lin:
        if factor == 0:
            return ZERO
        return Lin(tuple((s, c * factor) for s, c in self.terms), self.const * factor)

    __rmul__ = __mul__

    def _plus(self, other: Lin, sign: int) -> Lin:
        coefs = dict(self.terms)
        for s, c in other.terms:
            coefs[s] = coefs.get(s, 0) + sign * c
        return Lin.from_dict(coefs, self.const + sign * other.const)

    @property
    def is_const(self) -> bool:
        return not self.terms

    @property
    def syms(self) -> tuple[Sym, ...]:
        return tuple(s for s, _ in self.terms)

    @property
    def only_sym(self) -> Sym | None:
        """The symbol that this form is, if it is nothing but one."""
        return self.terms[0][0] if len(self.terms) == 1 and self.terms[0][1] == 1 and not self.const else None

    def coef(self, sym: Sym) -> int:
        return next((c for s, c in self.terms if s is sym), 0)

    def replace(self, new: Mapping[Sym, Term]) -> Lin:
        """With symbols replaced by forms, all at once. Derived symbols are not looked into: see `Symbols.rename`."""
        if not any(s in new for s, _ in self.terms):
            return self
        out = Lin((), self.const)
        for s, c in self.terms:
            out = out + Lin.of(new.get(s, s)) * c
        return out

    def leaves(self) -> Iterator[Sym]:
        """Symbols that are not derived, those inside derived ones included."""
        for s, _ in self.terms:
            if s.defn is None:
                yield s
            else:
                yield from s.defn[1].leaves()
                yield from s.defn[2].leaves()

    def speaks_only_of(self, kinds: Collection[str] = SIZE_KINDS) -> bool:
        return all(s.kind in kinds for s in self.leaves())

    def to_size(self) -> Size | None:
        """As a size expression; None when anything but dimensions and ``int`` parameters occurs."""
        return self.as_size() if self.speaks_only_of() else None

    def as_size(self) -> Size:
        """As a size expression over the names of all symbols; for messages. Positive terms stand first."""
        out: Size | None = None
        for s, c in sorted(self.terms, key=lambda t: t[1] < 0):
            term = s.as_size() if abs(c) == 1 else ("*", abs(c), s.as_size())
            if out is None:
                out = term if c > 0 else ("-", 0, term) if c == -1 else ("*", c, s.as_size())
            else:
                out = ("+" if c > 0 else "-", out, term)
        if out is None:
            return self.const
        if self.const == 0:
            return out
        if self.terms and all(c < 0 for _, c in self.terms) and self.const > 0:  # `3 - n`, not `0 - n + 3`
            return ("-", self.const, (-self).__add__(self.const).as_size())
        return ("+" if self.const > 0 else "-", out, abs(self.const))

    def show(self) -> str:
        """As source text: ``2 * i + d - 1``."""
        text = sizes.show(self.as_size())
        return "-" + text[4:] if text.startswith("0 - ") and " " not in text[4:] else text


def _by_uid(term: tuple[Sym, int]) -> int:
    return term[0].uid


ZERO = Lin((), 0)
ONE = Lin((), 1)


# ---------------------------------------------------------------- facts from comparisons


def equal(a: Term, b: Term) -> tuple[Lin, Lin]:
    """The two facts that say a == b."""
    d = Lin.of(a) - b
    return (d, -d)


_NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def compare_facts(op: str, a: Term, b: Term, negate: bool = False) -> tuple[Lin, ...]:
    """Facts that ``a op b`` (or its opposite) gives; nothing for ``!=``, which is no conjunction."""
    op = _NEGATED[op] if negate else op
    d = Lin.of(b) - a
    match op:
        case "<":
            return (d - 1,)
        case "<=":
            return (d,)
        case ">":
            return (-d - 1,)
        case ">=":
            return (-d,)
        case "==":
            return (d, -d)
    return ()


def condition(fact: Lin) -> Size:
    """``fact >= 0`` as a readable condition: ``N >= 1``, ``w <= 0``, ``i < N``, ``2 * R <= N + 3``."""
    plus = Lin(tuple(t for t in fact.terms if t[1] > 0), 0)
    minus = Lin(tuple((s, -c) for s, c in fact.terms if c < 0), 0)
    if not minus.terms:
        return (">=", plus.as_size(), -fact.const)
    if not plus.terms:
        return ("<=", minus.as_size(), fact.const)
    if fact.const == -1:
        return ("<", minus.as_size(), plus.as_size())
    if fact.const < 0:
        return ("<=", (minus - fact.const).as_size(), plus.as_size())
    return ("<=", minus.as_size(), (plus + fact.const).as_size())


# ---------------------------------------------------------------- making symbols


class Symbols:
    """Makes symbols for one function. Derived symbols are made once per expression."""

    def __init__(self) -> None:
        self._derived: dict[tuple[str, Lin, Lin], Sym] = {}
        self._quotients: dict[tuple[Lin, Lin], Sym] = {}

    def sym(self, name: str, kind: str) -> Sym:
        """A new symbol, different from all others, of the same name or not."""
        return Sym(name, kind)

    def unknown(self, name: str, lo: int | None = None, hi: int | None = None) -> Sym:
        """A value known only when it runs, within lo .. hi (both inclusive: the range of its dtype, say)."""
        s = Sym(name, "fresh")
        low = () if lo is None else (s.lin - lo,)
        high = () if hi is None else (hi - s.lin,)
        s.facts = low + high
        return s

    def div(self, a: Term, b: Term) -> Lin | None:
        """``a // b`` for a constant b > 0, or for one size (or product of sizes) b: what is known of the quotient then
        holds where b >= 1, and nothing runs on where it is not. None otherwise."""
        a, b = Lin.of(a), Lin.of(b)
        if not b.is_const:
            return self._div_by_size(a, b)
        if b.const <= 0:
            return None
        c = b.const
        if all(k % c == 0 for _, k in a.terms):
            return Lin(tuple((s, k // c) for s, k in a.terms), a.const // c)
        # The part that divides exactly leaves the division: (4 * n + m + 9) // 4 == n + 2 + (m + 1) // 4.
        whole = Lin(tuple((s, k // c) for s, k in a.terms if k // c), a.const // c)
        rest = a - whole * c
        q = self._derive("//", rest, b)
        if not q.facts:
            q.facts = (rest - q.lin * c, q.lin * c + (c - 1) - rest)
        return whole + q

    def _div_by_size(self, a: Lin, b: Lin) -> Lin | None:
        if b.only_sym is None or not (b.speaks_only_of() and _never_negative(b.only_sym)):
            return None
        q = self._derive("//", a, b)
        if not q.facts:
            whole = self.mul(q, b)
            assert whole is not None  # `b` is a size
            q.facts = (a - whole, whole + b - 1 - a)
        return q.lin

    def quotient(self, a: Term, b: Term) -> Lin | None:
        """``a // b``; of sizes, by a `b` that is no constant, an unknown, the same one whenever the same sizes are divided,
        so that a grid over ``(H - R) // stride + 1`` fits an array of that size."""
        a, b = Lin.of(a), Lin.of(b)
        if b.is_const or not (self._is_size(a) and self._is_size(b)):
            return self.div(a, b)
        if (a, b) not in self._quotients:
            self._quotients[a, b] = self.unknown(sizes.show(("//", a.as_size(), b.as_size())))
        return self._quotients[a, b].lin

    def _is_size(self, form: Lin) -> bool:
        """Does it speak of sizes and scalars alone, quotients of these included?"""
        known = set(self._quotients.values())
        return all(s.kind in SIZE_KINDS or s in known for s in form.leaves())

    def mod(self, a: Term, b: Term) -> Lin | None:
        """``a % b`` where :meth:`div` knows the quotient; None otherwise."""
        a, b = Lin.of(a), Lin.of(b)
        if not b.is_const and self._is_size(a):
            return None
        q = self.div(a, b)
        whole = None if q is None else self.mul(q, b)
        return None if whole is None else a - whole

    def mul(self, a: Term, b: Term) -> Lin | None:
        """``a * b``: exact when one side is a constant. Products with a form over sizes and scalars are multiplied out
        into derived symbols ``M * N``, ``i * N``; any other product is None (not linear)."""
        a, b = Lin.of(a), Lin.of(b)
        if a.is_const or b.is_const:
            return b * a.const if a.is_const else a * b.const
        if not (self._is_size(a) or self._is_size(b)):
            return None
        out = Lin((), a.const * b.const) + Lin(a.terms, 0) * b.const + Lin(b.terms, 0) * a.const
        for s, c in a.terms:
            for t, d in b.terms:
                out = out + Lin.of(self._product(s, t)) * (c * d)
        return out

    def _product(self, a: Sym, b: Sym) -> Sym:
        factors = sorted([*factors_of(a), *factors_of(b)], key=lambda s: s.uid)
        out = factors[0]
        for f in factors[1:]:
            left = out
            out = self._derive("*", left.lin, f.lin)
            if not out.facts and _never_negative(left) and _never_negative(f):
                # All that is always true and linear; `facts` adds m * n >= n where m >= 1 is known.
                out.facts = (out.lin,)
        return out

    def min(self, a: Term, b: Term) -> Lin:
        return self._choice("min", Lin.of(a), Lin.of(b))

    def max(self, a: Term, b: Term) -> Lin:
        return self._choice("max", Lin.of(a), Lin.of(b))

    def _choice(self, op: str, a: Lin, b: Lin) -> Lin:
        d = a - b
        if d.is_const:
            return a if (d.const <= 0) == (op == "min") else b
        m = self._derive(op, a, b)
        if not m.facts:
            m.facts = (a - m, b - m) if op == "min" else (m.lin - a, m.lin - b)
        return m.lin

    def _derive(self, op: str, a: Lin, b: Lin) -> Sym:
        key = (op, a, b)
        if key not in self._derived:
            self._derived[key] = Sym("", "fresh", key, self)
            self._derived[key].name = sizes.show(self._derived[key].as_size())
        return self._derived[key]

    def from_size(self, size: Size, names: Mapping[str, Term]) -> Lin | None:
        """A size expression (no conditions) as a form; None when it is not linear or names something unknown."""
        if isinstance(size, int):
            return Lin((), size)
        if isinstance(size, str):
            return Lin.of(names[size]) if size in names else None
        a, b = self.from_size(size[1], names), self.from_size(size[2], names)
        if a is None or b is None:
            return None
        match size[0]:
            case "+":
                return a + b
            case "-":
                return a - b
            case "*":
                return self.mul(a, b)
            case "//":
                return self.quotient(a, b)
            case "%":
                return self.mod(a, b)
            case "min":
                return self.min(a, b)
            case "max":
                return self.max(a, b)
        return None

    def facts_of(self, cond: Size, names: Mapping[str, Term], negate: bool = False) -> tuple[Lin, ...]:
        """Facts that a condition over sizes (a ``where`` clause) gives, or its opposite; parts that give none are left
        out."""
        if not isinstance(cond, tuple):
            return ()
        op = cond[0]
        if op == "not":
            return self.facts_of(cond[1], names, not negate)
        if op == ("or" if negate else "and"):
            return self.facts_of(cond[1], names, negate) + self.facts_of(cond[2], names, negate)
        if op not in _NEGATED:
            return ()
        a, b = self.from_size(cond[1], names), self.from_size(cond[2], names)
        return () if a is None or b is None else compare_facts(op, a, b, negate)

    def rename(self, form: Lin, new: Mapping[Sym, Term]) -> Lin:
        """`form` with symbols replaced, those inside derived symbols too."""
        out = Lin((), form.const)
        for s, c in form.terms:
            out = out + self._renamed(s, new) * c
        return out

    def _renamed(self, s: Sym, new: Mapping[Sym, Term]) -> Lin:
        if s in new:
            return Lin.of(new[s])
        if s.defn is None:
            return s.lin
        op, a, b = s.defn
        x, y = self.rename(a, new), self.rename(b, new)
        if x == a and y == b:
            return s.lin
        made = {"//": self.div, "*": self.mul, "min": self.min, "max": self.max}[op](x, y)
        # A renamed product may leave the sizes it was made of: then nothing is known of it but its name.
        return Sym(s.name, "fresh").lin if made is None else made


def factors_of(s: Sym) -> list[Sym]:
    """What a product is made of; any other symbol is its own only factor."""
    if s.defn is None or s.defn[0] != "*":
        return [s]
    return [f for side in s.defn[1:] for t in side.syms for f in factors_of(t)]


def cofactor(product: Sym, factor: Sym) -> Lin:
    """The product of all other factors, `factor` left out once."""
    rest = factors_of(product)
    rest.remove(factor)
    assert product.home is not None
    out: Lin | None = ONE
    for f in rest:
        out = None if out is None else product.home.mul(out, f)
    assert out is not None
    return out


def _never_negative(s: Sym) -> bool:
    return s.lin in s.facts
