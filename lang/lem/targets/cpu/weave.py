"""Where code goes: nested scopes of loop IR, and the rule that everything is computed as far out as it can be.

A :class:`Weaver` keeps the stack of open scopes (bodies of loops and branches). :meth:`put` names a pure expression in
the outermost scope in which all it needs is known, so invariant code leaves loops as it is written. A loop is appended to
its parent only when it is closed: until then the parent's end is its preheader.

Scopes: "root"; "loop", the body of a loop that runs only where it has a turn; "guard", what runs once before such a loop;
"turns", the body of any other loop; "masked", code for some lanes, in line; "branch", one side of an `if`. Pure code
leaves all but the branch; loads leave only a "loop", because in front of it they would run as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from lem.targets.cpu.context import Context
from lem.targets.loops import build as lb
from lem.targets.loops import core as lp
from lem.targets.loops.core import INDEX, Block, Const, Expr, Var
from lem_runtime.abi.records import dataclass


@dataclass(slots=True, eq=False)
class Scope:
    kind: str
    block: Block
    level: int
    mask: Expr | None = None  # lanes that are active; None: all
    named: dict[Any, Expr] = field(default_factory=dict)  # expressions that have a name here


class Weaver:
    """Writes loop IR for one function body. `cx.b` always appends to the innermost open scope."""

    def __init__(self, cx: Context) -> None:
        self.cx = cx
        self.b = cx.b
        self.scopes = [Scope("root", cx.b.here, 0)]
        self.levels: dict[int, int] = {}  # variable -> level of the scope that declares it; others: from outside, 0

    # -- scopes
    @property
    def top(self) -> Scope:
        return self.scopes[-1]

    @property
    def level(self) -> int:
        return self.scopes[-1].level

    @property
    def mask(self) -> Expr | None:
        return self.scopes[-1].mask

    @contextmanager
    def scope(self, kind: str, block: Block, mask: Expr | None = None) -> Iterator[Scope]:
        """Open `block`. mask: active lanes inside; None: as outside."""
        made = Scope(kind, block, self.level + 1, mask if mask is not None else self.mask)
        self.scopes.append(made)
        with self.b.into(block):
            try:
                yield made
            finally:
                popped = self.scopes.pop()
                assert popped is made
                self.on_close(made)

    def on_close(self, scope: Scope) -> None:
        """What was known only in `scope` is forgotten."""

    @contextmanager
    def at(self, level: int) -> Iterator[None]:
        """Write code for an outer scope, in front of whatever is open in it."""
        if level >= self.level:
            yield
            return
        inner = self.scopes[level + 1 :]
        del self.scopes[level + 1 :]
        hidden = self.hide(level)
        with self.b.into(self.scopes[level].block):
            try:
                yield
            finally:
                self.scopes.extend(inner)
                self.unhide(hidden)

    def hide(self, level: int) -> Any:
        """Forget what inner scopes bind, for a while."""
        return None

    def unhide(self, hidden: Any) -> None:
        pass

    # -- names
    def level_of(self, x: Expr) -> int:
        """The outermost level at which `x` can be computed."""
        if isinstance(x, Var):
            return self.level if x.mutable else self.levels.get(x.uid, 0)
        return max((self.level_of(p) for p in parts_of(x)), default=0)

    def barrier(self, level: int) -> int:
        """The innermost branch at or outside of `level`: pure code stays inside it."""
        while self.scopes[level].kind not in ("root", "branch"):
            level -= 1
        return level

    def load_floor(self) -> int:
        """The outermost level from which a load that stands here may run."""
        level = self.level
        while self.scopes[level].kind == "loop":
            level -= 1
        return level

    def put(self, x: Expr, name: str = "t", floor: int = 0) -> Expr:
        """Name a pure expression as far out as it may go, but not outside of level `floor`."""
        if isinstance(x, Const) or (isinstance(x, Var) and not x.mutable):
            return x
        level = max(self.level_of(x), floor)
        key = key_of(x)
        for scope in self.scopes[level::-1] if key is not None else ():
            if key in scope.named:
                return scope.named[key]
        return self.declare(x, name, level, key)

    def declare(self, x: Expr, name: str, level: int, key: Any = None) -> Var:
        var = Var(x.type, name)
        scope = self.scopes[level]
        scope.block.stmts.append(lp.Let(var, x))
        self.levels[var.uid] = level
        if key is not None:
            scope.named[key] = var
        return var

    def fix(self, x: Expr, name: str = "t") -> Expr:
        """Name an expression here and now (it reads memory or a mutable variable)."""
        if isinstance(x, Const) or (isinstance(x, Var) and not x.mutable):
            return x
        return self.declare(x, name, self.level)

    def var(self, value: Expr, name: str) -> Var:
        """A mutable variable, declared here."""
        made = self.b.var(value, name)
        self.levels[made.uid] = self.level
        return made

    # -- statements with scopes
    @contextmanager
    def loop(
        self, name: str, lo: Expr | int, hi: Expr | int, step: int = 1, kind: str = "turns", mask: Expr | None = None
    ) -> Iterator[Var]:
        """A counted loop; appended when it is closed."""
        var, body = Var(INDEX, name), Block()
        with self.scope(kind, body, mask) as made:
            self.levels[var.uid] = made.level
            yield var
        self.b.add(lp.For(var, lb.as_expr(lo), lb.as_expr(hi), step, body))

    @contextmanager
    def guarded_loop(self, name: str, lo: Expr | int, hi: Expr | int, step: int = 1) -> Iterator[Var]:
        """A counted loop with a place in front of it that runs only when the loop has a turn: loads may go there."""
        lo, hi = lb.as_expr(lo), lb.as_expr(hi)
        some = lb.compare("lt" if step > 0 else "gt", lo, hi)
        if isinstance(lo, Const) and isinstance(hi, Const):
            some = lb.const(lo.value < hi.value if step > 0 else lo.value > hi.value, lp.TRUTH.dtype)
        with self.if_any(some), self.loop(name, lo, hi, step, "loop") as var:
            yield var

    @contextmanager
    def if_any(self, some: Expr) -> Iterator[None]:
        """What the loops inside, which have a turn where `some` holds, read for all their turns stays here."""
        guard = Block()
        with self.scope("guard", guard):
            yield
        if not isinstance(some, Const):
            self.b.add(lp.If(some, guard, Block()))
        elif some.value:
            self.b.here.stmts.extend(guard.stmts)

    @contextmanager
    def branch(self, cond: Expr, mask: Expr | None = None, likely: bool | None = None) -> Iterator[lp.If]:
        """Code that runs when the scalar `cond` holds."""
        node = lp.If(cond, Block(), Block(), likely)
        with self.scope("branch", node.then, mask):
            yield node
        self.b.add(node)

    @contextmanager
    def while_(self, cond: Callable[[], Expr]) -> Iterator[None]:
        test, body = Block(), Block()
        with self.scope("turns", test):
            truth = cond()
        with self.scope("turns", body):
            yield
        self.b.add(lp.While(test, truth, body))


def parts_of(x: Expr) -> Iterator[Expr]:
    """Expressions that an expression is made of."""
    match x:
        case lp.Binary() | lp.Compare():
            yield from (x.x, x.y)
        case lp.Unary() | lp.Cast() | lp.Bits() | lp.Splat() | lp.TestLanes():
            yield x.x
        case lp.Fma():
            yield from (x.x, x.y, x.z)
        case lp.Select():
            yield from (x.cond, x.x, x.y)
        case lp.Extract():
            yield x.x
            if isinstance(x.lane, Expr):
                yield x.lane
        case lp.Insert():
            yield from (x.x, x.value)
            if isinstance(x.lane, Expr):
                yield x.lane
        case lp.Shuffle():
            yield from (x.x, x.y)
        case lp.Load():
            yield x.index
            yield from (p for p in (x.stride, x.mask, x.other) if p is not None)
        case lp.Gather():
            yield x.indices
            yield from (p for p in (x.mask, x.other) if p is not None)


_COMMUTING = frozenset({"add", "mul", "and", "or", "xor"})


def key_of(x: Expr) -> Any:
    """What makes two expressions the same; None for those that read memory or variables that change."""
    match x:
        case Var():
            return None if x.mutable else x.uid
        case Const():
            return ("const", x.type.dtype.name, x.type.lanes, repr(x.value))
        case lp.Iota():
            return ("iota", x.type.dtype.name, x.type.lanes)
        case lp.Slot():
            return ("slot", x.index)
        case lp.Load() | lp.Gather() | lp.CtxField() | lp.SameBuffer():
            return None
    parts = tuple(key_of(p) for p in parts_of(x))
    if any(p is None for p in parts):
        return None
    lane = getattr(x, "lane", None)
    extra = (getattr(x, "kind", None), getattr(x, "lanes", None), lane if isinstance(lane, int) else None)
    return (type(x).__name__, extra, x.type.dtype.name, x.type.lanes, *parts)
