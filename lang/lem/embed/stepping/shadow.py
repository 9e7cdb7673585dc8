"""A function of lem as a function of Python with the same lines: what a debugger walks through.

Takes typed statements; gives the code of a function and the nodes that its calls speak of by number::

    for i in grid(N):              for i in _lem_.grid(0, locals()):
        s: f32 = 0                     s = _lem_.run(1, locals())
        for k in range(3):             for k in _lem_.span(2, locals()):
            s += x[i, k]                   s = _lem_.run(3, locals())
        y[i] = s                       _lem_.run(4, locals())

Calculates nothing and knows no values.
"""

from __future__ import annotations

import ast as python
from collections.abc import Sequence
from types import CodeType

from lem.lower import flow
from lem.source import Span
from lem.types import typed

LEM, LOCALS = "_lem_", "_locals_"  # what the code calls the stepper, and `locals`
Node = typed.Stmt | typed.Expr


class Shadow:
    """The code of one function; `nodes`: what the numbers in it stand for."""

    def __init__(self, name: str, params: Sequence[str], body: Sequence[typed.Stmt], span: Span) -> None:
        self.nodes: list[Node] = []
        self._loops: list[str] = []  # around the statement at hand: "grid" or "loop"
        self._span = span
        lines = self._block(body)
        arguments = python.arguments(
            posonlyargs=[], args=[python.arg(p) for p in _distinct(params)], kwonlyargs=[], kw_defaults=[], defaults=[]
        )
        whole = python.FunctionDef(name=name, args=arguments, body=lines, decorator_list=[])
        _place(whole, span)
        self._tree = whole

    def code(self) -> CodeType:
        """Defines the function, under the name that it has in lem."""
        return compile(python.Module(body=[self._tree], type_ignores=[]), self._span.source.name, "exec")

    # ------------------------------------------------------------ statements
    def _block(self, stmts: Sequence[typed.Stmt]) -> list[python.stmt]:
        made: list[python.stmt] = []
        for s in stmts:
            for line in self._statement(s):
                _place(line, s.span)
                made.append(line)
        return made or [python.Pass()]

    def _statement(self, s: typed.Stmt) -> list[python.stmt]:
        match s:
            case typed.If() if not s.cond.type.axes:
                test = self._call("test", s)
                orelse = self._block(s.orelse) if s.orelse else []
                return [python.If(test=test, body=self._block(s.then), orelse=orelse)]
            case typed.While():
                return self._loop(s, python.While(test=self._call("test", s), body=[], orelse=[]))
            case typed.ForRange():
                return self._loop(s, self._for([s.var.name], "span", s))
            case typed.ForTiles():
                return self._loop(s, self._for([s.var.name], "tiles", s))
            case typed.ForGrid():
                return self._loop(s, self._for([v.name for v in s.vars], "grid", s))
            case typed.Break():
                return [python.Break()]
            case typed.Continue():
                return [python.Continue()]
            case typed.Return():
                return self._return(s)
            case typed.Breakpoint():
                return [python.Expr(python.Call(_name("breakpoint"), [], []))]
        return [self._leaf(s)]

    def _leaf(self, s: typed.Stmt) -> python.stmt:
        """What has no lines of its own in it: one call, which gives the names it sets."""
        call, names = self._call("run", s), names_set(s)
        if not names:
            return python.Expr(call)
        targets = [python.Name(n, python.Store()) for n in names]
        target: python.expr = targets[0] if len(targets) == 1 else python.Tuple(list(targets), python.Store())
        return python.Assign(targets=[target], value=call)

    def _for(self, names: list[str], method: str, s: typed.Stmt) -> python.For:
        targets: list[python.expr] = [python.Name(n, python.Store()) for n in names]
        target = targets[0] if len(targets) == 1 else python.Tuple(targets, python.Store())
        return python.For(target=target, iter=self._call(method, s), body=[], orelse=[])

    def _loop(
        self, s: typed.While | typed.ForRange | typed.ForTiles | typed.ForGrid, made: python.For | python.While
    ) -> list[python.stmt]:
        self._loops.append("grid" if isinstance(s, typed.ForGrid) else "loop")
        made.body = self._block(s.body)
        self._loops.pop()
        if "grid" not in self._loops or typed.Return not in flow.exits_of(s):
            return [made]
        # A return in a loop of an element leaves them all: each asks when it has ended.
        left = python.Attribute(_name(LEM), "left", python.Load())
        return [made, python.If(test=left, body=[self._onwards()], orelse=[])]

    def _return(self, s: typed.Return) -> list[python.stmt]:
        if "grid" not in self._loops:
            return [python.Return(self._call("give", s) if s.values else None)]
        return [python.Expr(self._call("leave", s)), self._onwards()]

    def _onwards(self) -> python.stmt:
        """On with the next element, or out of the loop around us on the way there."""
        return python.Continue() if self._loops[-1] == "grid" else python.Break()

    def _call(self, method: str, node: Node) -> python.Call:
        self.nodes.append(node)
        names = python.Call(_name(LOCALS), [], [])
        number = python.Constant(len(self.nodes) - 1)
        return python.Call(python.Attribute(_name(LEM), method, python.Load()), [number, names], [])


def names_set(s: typed.Stmt) -> list[str]:
    """Names that a statement gives a (new) meaning, in the order in which they are handed over."""
    return [v.name for v in variables_set(s)]


def variables_set(s: typed.Stmt) -> list[typed.LocalVar | typed.ArrayVar]:
    """The same as what the names stand for; without those that only the compiler knows."""
    return [v for v in _all_set(s) if v.name.isidentifier()]


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of parameters; some that the compiler made are no words of Python, or there twice."""
    return [n if n.isidentifier() and n not in names[:k] else f"_{k}" for k, n in enumerate(names)]


def _all_set(s: typed.Stmt) -> list[typed.LocalVar | typed.ArrayVar]:
    if isinstance(s, (typed.MakeArray, typed.MakeView)):
        return [s.array]
    if isinstance(s, typed.Bind):
        return list(s.names)
    if isinstance(s, typed.Store):
        return [s.array] if not s.array.shape and not s.subs else []  # a scalar result is a number by its name
    return list(flow.locals_set((s,)))


def _name(name: str) -> python.Name:
    return python.Name(name, python.Load())


def _place(node: python.stmt, span: Span) -> None:
    """Give a statement and what is in it its place, but for what has one already: statements of a body."""
    line, col = span.source.place_of(span.start)
    end_line, end_col = span.source.place_of(span.end)
    if end_line != line:  # a call counts as on the last line of what is called, and would be a step of its own there
        end_col = len(span.source.line_text(line)) + 1
    for part in python.walk(node):
        if isinstance(part, (python.stmt, python.expr, python.arg)) and not hasattr(part, "lineno"):
            part.lineno, part.col_offset = line, col - 1
            part.end_lineno, part.end_col_offset = line, end_col - 1


__all__ = ["LEM", "LOCALS", "Shadow", "variables_set"]
