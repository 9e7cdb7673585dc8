"""Loop IR as text for people (``--emit loops``): Python-like, one statement a line, short names.

Takes a :class:`Module`, gives text. Variables of one name get numbers where the name alone would be ambiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lem.targets.loops import core as lp
from lem.targets.loops.core import Block, Buffer, Expr, Stmt, Var

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "and": "&", "or": "|"}
_INFIX |= {"xor": "^", "shl": "<<", "shr": ">>", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def show_module(module: lp.Module) -> str:
    """The text of all functions, callees first."""
    return "\n".join(show_function(f) for f in module.functions)


def show_function(fn: lp.Func) -> str:
    return _Printer().function(fn)


class _Printer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        self.counts: dict[str, int] = {}

    def function(self, fn: lp.Func) -> str:
        self.line(0, f"func {fn.name}({self.name(fn.lo)}, {self.name(fn.hi)}):")
        self.block(fn.body, 1)
        return "\n".join(self.lines) + "\n"

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def name(self, thing: Var | Buffer) -> str:
        found = self.names.get(thing.uid)
        if found is None:
            n = self.counts.get(thing.name, 0)
            self.counts[thing.name] = n + 1
            found = self.names[thing.uid] = f"{thing.name}_{n}" if n else thing.name
        return found

    def block(self, block: Block, depth: int) -> None:
        for stmt in block.stmts:
            _STMTS[type(stmt)](self, stmt, depth)
        if not block.stmts:
            self.line(depth, "pass")

    # -- expressions
    def e(self, x: Expr) -> str:
        return _EXPRS[type(x)](self, x)

    def atom(self, x: Expr) -> str:
        text = self.e(x)
        return f"({text})" if isinstance(x, (lp.Binary, lp.Compare)) and x.kind in _INFIX else text

    def infix(self, x: Any) -> str:
        if x.kind in _INFIX:
            return f"{self.atom(x.x)} {_INFIX[x.kind]} {self.atom(x.y)}"
        return f"{x.kind}({self.e(x.x)}, {self.e(x.y)})"

    def place(self, s: Any) -> str:
        stride = f" :: {self.e(s.stride)}" if s.stride is not None else ""
        return f"{self.name(s.buffer)}[{self.e(s.index)}{stride}]"

    def masked(self, s: Any) -> str:
        text = f" if {self.e(s.mask)}" if s.mask is not None else ""
        other = getattr(s, "other", None)
        return text + (f" else {self.e(other)}" if other is not None else "")

    # -- statements with parts
    def for_(self, s: lp.For, d: int) -> None:
        unroll = f"  # unroll {s.unroll}" if s.unroll != 1 else ""
        step = f", {s.step}" if s.step != 1 else ""
        self.line(d, f"for {self.name(s.var)} in range({self.e(s.lo)}, {self.e(s.hi)}{step}):{unroll}")
        self.block(s.body, d + 1)

    def while_(self, s: lp.While, d: int) -> None:
        self.line(d, "loop:")
        self.block(s.test, d + 1) if s.test.stmts else None
        self.line(d + 1, f"stop unless {self.e(s.cond)}")
        self.block(s.body, d + 1)

    def if_(self, s: lp.If, d: int) -> None:
        hint = "" if s.likely is None else "  # likely" if s.likely else "  # unlikely"
        self.line(d, f"if {self.e(s.cond)}:{hint}")
        self.block(s.then, d + 1)
        if s.orelse.stmts:
            self.line(d, "else:")
            self.block(s.orelse, d + 1)

    def attempt(self, s: lp.Attempt, d: int) -> None:
        self.line(d, "attempt:")
        self.block(s.body, d + 1)
        self.line(d, f"after a fault in lane {self.name(s.lane)}:")
        self.block(s.again, d + 1)

    def parallel(self, s: lp.ParallelFor, d: int) -> None:
        direct = f", direct if {self.e(s.direct)}" if s.direct is not None else ""
        piece = f"{self.name(s.lo)}, {self.name(s.hi)}"
        self.line(d, f"parallel {s.name} ({piece}) of {self.e(s.n_units)} by {self.e(s.chunk)}{direct}:")
        self.block(s.body, d + 1)

    def scratch(self, s: lp.Scratch, d: int) -> None:
        parts = ", ".join(f"{self.name(b)}: {b.dtype}[{self.e(n)}]" for b, n in zip(s.buffers, s.counts, strict=True))
        self.line(d, f"scratch {parts}  # site {s.site}")

    def fault(self, s: lp.Fault, d: int) -> None:
        step = f" + lane * {self.e(s.order_step)}" if s.order_step is not None else ""
        values = ", ".join(self.e(v) for v in s.values)
        self.line(d, f"fault {s.site}({values}) at {self.e(s.order)}{step} if {self.e(s.cond)}")

    def print_(self, s: lp.Print, d: int) -> None:
        cond = f" if {self.e(s.cond)}" if s.cond is not None else ""
        self.line(d, f"print {s.site}({', '.join(self.e(v) for v in s.values)}) at {self.e(s.order)}{cond}")

    def call(self, s: lp.Call, d: int) -> None:
        args = ", ".join(f"&{self.name(a[0])}[{self.e(a[1])}]" if isinstance(a, tuple) else self.e(a) for a in s.args)
        self.line(d, f"call {s.callee}({args})")


def _number(x: lp.Const) -> str:
    value = repr(x.value) if not isinstance(x.value, bool) else str(x.value)
    plain = x.type.dtype.name in ("i64", "bool")
    return value if plain else f"{value}:{x.type.dtype}"


def _lane(p: _Printer, lane: Expr | int) -> str:
    return str(lane) if isinstance(lane, int) else p.e(lane)


_EXPRS: dict[type[Expr], Callable[[_Printer, Any], str]] = {
    Var: lambda p, x: p.name(x),
    lp.Const: lambda p, x: _number(x),
    lp.Slot: lambda p, x: f"args[{x.index}]",
    lp.CtxField: lambda p, x: x.name,
    lp.Unary: lambda p, x: f"{x.kind}({p.e(x.x)})",
    lp.Binary: _Printer.infix,
    lp.Compare: _Printer.infix,
    lp.Fma: lambda p, x: f"fma({p.e(x.x)}, {p.e(x.y)}, {p.e(x.z)}{', exact' if x.exact else ''})",
    lp.Select: lambda p, x: f"where({p.e(x.cond)}, {p.e(x.x)}, {p.e(x.y)})",
    lp.Cast: lambda p, x: f"{x.type}({p.e(x.x)})",
    lp.Bits: lambda p, x: f"bits.{x.type}({p.e(x.x)})",
    lp.Splat: lambda p, x: f"splat({p.e(x.x)})",
    lp.Iota: lambda p, x: f"iota.{x.type}",
    lp.Extract: lambda p, x: f"{p.atom(x.x)}.lane({_lane(p, x.lane)})",
    lp.Insert: lambda p, x: f"insert({p.e(x.x)}, {_lane(p, x.lane)}, {p.e(x.value)})",
    lp.Shuffle: lambda p, x: f"shuffle({p.e(x.x)}, {p.e(x.y)}, {list(x.lanes)})",
    lp.TestLanes: lambda p, x: f"{x.kind}({p.e(x.x)})",
    lp.Load: lambda p, x: f"{p.place(x)}{p.masked(x)}",
    lp.SameBuffer: lambda p, x: f"&{p.name(x.x)} == &{p.name(x.y)}",
    lp.Gather: lambda p, x: f"{p.name(x.buffer)}[[{p.e(x.indices)}]]{p.masked(x)}",
}

_STMTS: dict[type[Stmt], Callable[[_Printer, Any, int], None]] = {
    lp.Let: lambda p, s, d: p.line(d, f"{'var ' if s.var.mutable else ''}{p.name(s.var)}: {s.var.type} = {p.e(s.value)}"),
    lp.Set: lambda p, s, d: p.line(d, f"{p.name(s.var)} = {p.e(s.value)}"),
    lp.ArgPointer: lambda p, s, d: p.line(d, f"{p.name(s.buffer)} = &args[{s.index}]: {s.buffer.dtype}[]"),
    lp.StackBuffer: lambda p, s, d: p.line(d, f"stack {p.name(s.buffer)}: {s.buffer.dtype}[{s.count}]"),
    lp.Scratch: _Printer.scratch,
    lp.Alloc: lambda p, s, d: p.line(
        d, f"alloc {p.name(s.buffer)}: {s.buffer.dtype}[{p.e(s.count)}]{' of zeros' * s.zeroed}  # site {s.site}"
    ),
    lp.Free: lambda p, s, d: p.line(d, f"free {p.name(s.buffer)}"),
    lp.Pick: lambda p, s, d: p.line(d, f"{p.name(s.buffer)} = {p.name(s.x)} if {p.e(s.cond)} else {p.name(s.y)}"),
    lp.NameBuffer: lambda p, s, d: p.line(d, f"name {p.name(s.buffer)}: {s.buffer.dtype}[]"),
    lp.Rebind: lambda p, s, d: p.line(d, f"{', '.join(map(p.name, s.names))} = {', '.join(map(p.name, s.sources))}"),
    lp.View: lambda p, s, d: p.line(d, f"{p.name(s.buffer)} = &{p.name(s.base)}[{p.e(s.offset)}]"),
    lp.Store: lambda p, s, d: p.line(d, f"{p.place(s)} = {p.e(s.value)}{p.masked(s)}"),
    lp.Scatter: lambda p, s, d: p.line(d, f"{p.name(s.buffer)}[[{p.e(s.indices)}]] = {p.e(s.value)}{p.masked(s)}"),
    lp.AtomicUpdate: lambda p, s, d: p.line(d, f"atomic {p.name(s.buffer)}[{p.e(s.index)}] {s.kind}= {p.e(s.value)}"),
    lp.For: _Printer.for_,
    lp.While: _Printer.while_,
    lp.If: _Printer.if_,
    lp.Fault: _Printer.fault,
    lp.Attempt: _Printer.attempt,
    lp.Poll: lambda p, s, d: p.line(d, "poll" if s.every == 1 else f"poll every {s.every}"),
    lp.Print: _Printer.print_,
    lp.Mark: lambda p, s, d: p.line(d, f"mark {s.site}, {s.phase}"),
    lp.Prefetch: lambda p, s, d: p.line(d, f"prefetch {p.name(s.buffer)}[{p.e(s.index)}]"),
    lp.ParallelFor: _Printer.parallel,
    lp.Call: _Printer.call,
    lp.Return: lambda p, s, d: p.line(d, f"return {s.status}"),
}
