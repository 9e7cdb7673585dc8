"""What each alternative of the grammar builds: one method per alias in `lem.lark`, called by the driver.

A method takes the span of the whole alternative and then its kept parts in order: the number of a token for a terminal,
a node or a list for a nonterminal, None for a part in brackets that is absent. Rules that the grammar cannot say
(an assignable target, one ``on`` per spawn, ...) are checked here and reported.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from lem.diagnostics import Code, Diagnostics
from lem.diagnostics.codes import E0101, E0104, E0106
from lem.source import Span
from lem.syntax import ast, strings
from lem.syntax.lexer import Tokens
from lem.syntax.patterns import Pattern
from lem.syntax.tables import tables

Typed = tuple[str, str, ast.TypeExpr]  # effect, operation of a reduce, type

# Words behind a type's point that say how it is laid out; any other word there is part of a dotted name (`nn.Body`).
LAYOUTS = frozenset(("col", "row", "aos", "soa", "block", "panel", "frac"))
REDUCE_WORDS = ("max", "min")
MANY_ELIFS = 40  # an elif stands inside the one before it, in the tree
MAX_DIGITS = 400
_SPELLING = {number: text for text, number in tables().literals.items()}
_ITEM_NAME = Pattern(r"\b(?:kernel|fn|task|struct|def)[ \t]+([^\W\d]\w*)")
_WHAT = {
    ast.Call: "a call", ast.Number: "a number", ast.String: "a string", ast.FString: "a string",
    ast.Bool: "a truth value", ast.ListExpr: "a list", ast.Compare: "a comparison", ast.IfExpr: "a conditional expression",
    ast.TupleExpr: "a tuple",
}  # fmt: skip


class Actions:
    """Builds nodes from the tokens of one text."""

    def __init__(self, tokens: Tokens, diags: Diagnostics, parse_part: strings.ParsePart) -> None:
        self.tokens = tokens
        self.source = tokens.source
        self.diags = diags
        self.parse_part = parse_part
        self.elif_starts: list[int] = []
        self.n_reported = 0  # so many of `tokens.reported` are in `reported_lines`
        self.reported_lines: set[int] = set()

    def text(self, token: int) -> str:
        return self.source.text[self.tokens.starts[token] : self.tokens.ends[token]]

    def token_span(self, token: int) -> Span:
        return Span(self.source, self.tokens.starts[token], self.tokens.ends[token])

    def error(
        self, code: Code, span: Span, label: str, *, help: str = "", note: str = "", also: Sequence[tuple[Span, str]] = ()
    ) -> None:
        """Report, unless something was said about this line: what is left out there makes the rest look wrong."""
        reported = self.tokens.reported
        self.reported_lines.update(map(self.source.line_of, reported[self.n_reported :]))
        self.n_reported = len(reported)
        if self.source.line_of(span.start) not in self.reported_lines:
            self.tokens.reported.append(span.start)
            self.diags.error(code, span, label, help=help or (), note=note or (), also=also)

    # ------------------------------------------------------------ starts and items
    def module(self, span: Span, doc: ast.Expr | None, items: list[ast.Item] | None) -> ast.Module:
        whole = Span(self.source, 0, len(self.source.text))
        return ast.Module(whole, self._doc(doc), tuple(items or ()), tuple(self.tokens.comments))

    def _doc(self, doc: ast.Expr | None) -> str | None:
        """The text at the top of a module or struct."""
        if isinstance(doc, ast.FString):
            self.error(E0101, doc.span, "expected a plain string, found an f-string", note="this text is read, never run")
        return doc.value if isinstance(doc, ast.String) else None

    def constant(self, span: Span, name: ast.Name, value: ast.Expr) -> ast.Constant:
        return ast.Constant(span, name, value)

    def struct(
        self, span: Span, _word: int, name: ast.Name, doc: ast.Expr | None, fields: list[ast.StructField | None]
    ) -> ast.Struct:
        return ast.Struct(span, name, tuple(f for f in fields if f is not None), self._doc(doc))

    def field(self, span: Span, name: ast.Name, type: ast.TypeExpr) -> ast.StructField:
        return ast.StructField(span, name, type)

    def no_field(self, span: Span, _token: int) -> None:
        return None

    def test(self, span: Span, _word: int, title: int, body: list[ast.Stmt]) -> ast.Test:
        return ast.Test(span, strings.value_of(self.token_span(title), self.diags), self._with_checks(tuple(body)))

    def error_item(self, span: Span, token: int, body: list[ast.Stmt] | None = None) -> ast.ErrorItem:
        name = None
        if m := _ITEM_NAME.search(self.text(token)):
            start = self.tokens.starts[token]
            name = ast.Name(Span(self.source, start + m.start(1), start + m.end(1)), m[1])
        return ast.ErrorItem(span, name, tuple(body or ()))

    def import_module(self, span: Span, module: str, alias: int | None = None) -> ast.Import:
        return ast.Import(span, module, (), None if alias is None else self.text(alias))

    def import_names(self, span: Span, module: str, names: list[ast.ImportName]) -> ast.Import:
        return ast.Import(span, module, tuple(names), None)

    def imported(self, span: Span, name: int, alias: int | None = None) -> ast.ImportName:
        return ast.ImportName(span, self.text(name), None if alias is None else self.text(alias))

    def dotted(self, span: Span, name: int) -> str:
        return self.text(name)

    def dotted_more(self, span: Span, head: str, name: int) -> str:
        return f"{head}.{self.text(name)}"

    # ------------------------------------------------------------ kernels, tasks, functions
    def function(
        self,
        span: Span,
        decorators: list[ast.Decorator] | None,
        word: int,
        signature: tuple[ast.Name, list[ast.GenericParam], list[ast.Param]],
        results: list[ast.Result] | None,
        where: ast.Expr | None,
        colon: int,
        body: list[ast.Stmt],
    ) -> ast.Function:
        name, generics, params = signature
        kind = self.text(word)
        for param in params:
            if param.type is None and kind != "fn":
                label = f"expected `:` and a type after `{param.name.id}`"
                note = f"only the parameters of an fn may have no type, this is a {kind}"
                self.error(E0101, param.name.span, label, note=note)
        doc, statements = self._split_doc(body)
        head = Span(self.source, self.tokens.starts[word], self.tokens.ends[colon])
        return ast.Function(
            span, kind, name, tuple(generics), tuple(params), tuple(results or ()), where, statements, doc,
            tuple(decorators or ()), head,
        )  # fmt: skip

    def _split_doc(self, body: list[ast.Stmt]) -> tuple[str | None, tuple[ast.Stmt, ...]]:
        first = body[0]
        if isinstance(first, ast.ExprStmt) and isinstance(first.value, ast.String):
            return first.value.value, tuple(body[1:])
        return None, tuple(body)

    def decorator(self, span: Span, name: int, arguments: list[Any] | None = None) -> ast.Decorator:
        args, keywords = self._arguments(arguments or [])
        return ast.Decorator(span, self.text(name), args, keywords)

    def signature(
        self, span: Span, name: ast.Name, generics: list[ast.GenericParam] | None, params: list[ast.Param] | None
    ) -> tuple[ast.Name, list[ast.GenericParam], list[ast.Param]]:
        return name, generics or [], params or []

    def generic(self, span: Span, name: int, bound: int | None = None) -> ast.GenericParam:
        return ast.GenericParam(span, self.text(name), None if bound is None else self.text(bound))

    def param(self, span: Span, name: ast.Name, typed: Typed | None, default: ast.Expr | None) -> ast.Param:
        effect, reduce_op, type = typed or ("", "", None)
        return ast.Param(span, name, effect, reduce_op, type, default)

    def result(self, span: Span, name: ast.Name, type: ast.TypeExpr) -> ast.Result:
        return ast.Result(span, name, type)

    def fn_result(self, span: Span, type: ast.TypeExpr) -> ast.Result:
        return ast.Result(span, None, type)

    def where(self, span: Span, _word: int, condition: ast.Expr) -> ast.Expr:
        return condition

    # ------------------------------------------------------------ types
    def typed(self, span: Span, type: ast.TypeExpr) -> Typed:
        return "", "", type

    def typed_effect(self, span: Span, effect: int, type: ast.TypeExpr) -> Typed:
        return self.text(effect), "", type

    def typed_reduce(self, span: Span, _word: int, op: int, type: ast.TypeExpr) -> Typed:
        text = self.text(op)
        if text not in ("+", "|", "&", *REDUCE_WORDS):
            label = f"expected `+`, `max`, `min`, `|` or `&`, found `{text}`"
            self.error(E0101, self.token_span(op), label)
        return "reduce", text, type

    def type_name(self, span: Span, name: int) -> ast.TypeExpr:
        return ast.TypeExpr(span, self.text(name), None, ())

    def type_dot(self, span: Span, type: ast.TypeExpr, name: int) -> ast.TypeExpr:
        word = self.text(name)
        if word in LAYOUTS or type.sizes is not None or type.suffixes:
            suffix = ast.TypeSuffix(self.token_span(name), word, ())
            return ast.TypeExpr(span, type.name, type.sizes, (*type.suffixes, suffix))
        return ast.TypeExpr(span, f"{type.name}.{word}", None, ())

    def type_suffix(self, span: Span, type: ast.TypeExpr, name: int, args: list[ast.Expr] | None) -> ast.TypeExpr:
        suffix = ast.TypeSuffix(Span(self.source, self.tokens.starts[name], span.end), self.text(name), tuple(args or ()))
        return ast.TypeExpr(span, type.name, type.sizes, (*type.suffixes, suffix))

    def type_sizes(self, span: Span, type: ast.TypeExpr, sizes: list[ast.Expr]) -> ast.TypeExpr:
        if type.sizes is not None:
            again = Span(self.source, type.span.end, span.end)
            self.error(E0101, again, "sizes are given twice", help="write all sizes in one pair of brackets")
            return ast.TypeExpr(span, type.name, type.sizes, type.suffixes)
        return ast.TypeExpr(span, type.name, tuple(sizes), type.suffixes)

    # ------------------------------------------------------------ statements
    def expr_stmt(self, span: Span, value: ast.Expr | ast.Spawn) -> ast.ExprStmt:
        return ast.ExprStmt(span, value)

    def assign(self, span: Span, target: ast.Expr, value: ast.Expr | ast.Spawn) -> ast.Assign:
        if isinstance(target, ast.TupleExpr) and target.items:
            return ast.Assign(span, tuple([self._target(item) for item in target.items]), value)
        return ast.Assign(span, (self._target(target),), value)

    def aug_assign(self, span: Span, target: ast.Expr, op: int, value: ast.Expr) -> ast.AugAssign:
        return ast.AugAssign(span, self._target(target), self.text(op)[:-1], value)

    def _target(self, expr: ast.Expr) -> ast.Expr:
        if isinstance(expr, (ast.Name, ast.Subscript, ast.Attribute, ast.ErrorExpr)):
            return expr
        what = _WHAT.get(type(expr), "an expression")
        is_element = isinstance(expr, ast.Call) and isinstance(expr.func, ast.Name) and expr.args
        help = "subscripts stand in square brackets: `y[i] = ...`" if is_element else ""
        self.error(E0101, expr.span, f"expected a name or an element to assign to, found {what}", help=help)
        return ast.ErrorExpr(expr.span)

    def declare(self, span: Span, name: ast.Name, typed: Typed, value: ast.Expr | None) -> ast.Declare:
        effect, reduce_op, type = typed
        if effect in ("out", "inout"):
            self.error(E0101, type.span, f"`{effect}` is for parameters, a local has no effect")
            effect = ""
        return ast.Declare(span, name, effect, reduce_op, type, value)

    def pass_(self, span: Span) -> ast.Pass:
        return ast.Pass(span)

    def break_(self, span: Span) -> ast.Break:
        return ast.Break(span)

    def continue_(self, span: Span) -> ast.Continue:
        return ast.Continue(span)

    def return_(self, span: Span, value: ast.Expr | None) -> ast.Return:
        return ast.Return(span, value)

    def assert_(self, span: Span, cond: ast.Expr, message: ast.Expr | None) -> ast.Assert:
        return ast.Assert(span, cond, message)

    def sync(self, span: Span, _word: int) -> ast.Sync:
        return ast.Sync(span)

    def check(self, span: Span, _word: int, cond: ast.Expr, _within: int | None, within: ast.Expr | None) -> ast.Check:
        return ast.Check(span, cond, within, None)

    def check_fails(self, span: Span, _check: int, _fails: int, code: int, cond: ast.Expr) -> ast.Check:
        return ast.Check(span, cond, None, strings.value_of(self.token_span(code), self.diags))

    def if_(self, span: Span, cond: ast.Expr, then: list[ast.Stmt], orelse: list[ast.Stmt] | None) -> ast.If:
        return ast.If(span, cond, tuple(then), tuple(orelse or ()))

    def elif_(self, span: Span, cond: ast.Expr, then: list[ast.Stmt], orelse: list[ast.Stmt] | None) -> list[ast.Stmt]:
        self.elif_starts.append(span.start)
        return [ast.If(span, cond, tuple(then), tuple(orelse or ()))]

    def while_(self, span: Span, cond: ast.Expr, body: list[ast.Stmt]) -> ast.While:
        return ast.While(span, cond, tuple(body))

    def for_(self, span: Span, targets: list[ast.Name], domain: ast.Expr, body: list[ast.Stmt]) -> ast.ForStmt:
        return ast.ForStmt(span, tuple(targets), domain, tuple(body))

    def error_stmt(self, span: Span, _token: int, body: list[ast.Stmt] | None = None) -> ast.ErrorStmt:
        return ast.ErrorStmt(span, tuple(body or ()))

    def _with_checks(self, body: tuple[ast.Stmt, ...]) -> tuple[ast.Stmt, ...]:
        """In a test, ``check(a == b, within=t)`` is the statement in its Python spelling (LANGUAGE 22)."""
        out: list[ast.Stmt] = []
        for stmt in body:
            for part in ("then", "orelse", "body"):
                if isinstance(stmt, (ast.If, ast.While, ast.ForStmt)) and hasattr(stmt, part):
                    setattr(stmt, part, self._with_checks(getattr(stmt, part)))
            out.append(_check_call(stmt) or stmt)
        return tuple(out)

    # ------------------------------------------------------------ spawn
    def spawn(self, span: Span, _word: int, call: ast.Expr) -> ast.Spawn:
        if not isinstance(call, (ast.Call, ast.ErrorExpr)):
            self.error(E0101, call.span, "expected a call after `spawn`", help="write `spawn f(...)`")
        return ast.Spawn(span, call, None, None, None, "")

    def spawn_on(self, span: Span, spawn: ast.Spawn, word: int, value: ast.Expr) -> ast.Spawn:
        return self._tail(span, spawn, word, "on", value)

    def spawn_near(self, span: Span, spawn: ast.Spawn, word: int, value: ast.Expr) -> ast.Spawn:
        return self._tail(span, spawn, word, "near", value)

    def spawn_priority(self, span: Span, spawn: ast.Spawn, word: int, value: ast.Expr) -> ast.Spawn:
        return self._tail(span, spawn, word, "priority", value)

    def spawn_for(self, span: Span, spawn: ast.Spawn, objective: int) -> ast.Spawn:
        text = self.text(objective)
        if text not in ("energy", "time"):
            self.error(E0101, self.token_span(objective), f"expected `energy` or `time`, found `{text}`")
            text = ""
        if spawn.objective:
            self.error(E0101, self.token_span(objective), "the objective is given twice")
        spawn.span, spawn.objective = span, text
        return spawn

    def _tail(self, span: Span, spawn: ast.Spawn, word: int, part: str, value: ast.Expr) -> ast.Spawn:
        if getattr(spawn, part) is not None:
            self.error(E0101, self.token_span(word), f"`{part}` is given twice")
        spawn.span = span
        setattr(spawn, part, value)
        return spawn

    # ------------------------------------------------------------ operators
    def binary(self, span: Span, left: ast.Expr, op: int, right: ast.Expr) -> ast.Binary:
        op_span = self.token_span(op)
        return ast.Binary(span, op_span.text, left, right, op_span)

    def unary(self, span: Span, op: int, operand: ast.Expr) -> ast.Unary:
        return ast.Unary(span, self.text(op), operand)

    def not_(self, span: Span, operand: ast.Expr) -> ast.Unary:
        return ast.Unary(span, "not", operand)

    def or_(self, span: Span, operands: list[ast.Expr]) -> ast.Logic:
        return ast.Logic(span, "or", tuple(operands))

    def and_(self, span: Span, operands: list[ast.Expr]) -> ast.Logic:
        return ast.Logic(span, "and", tuple(operands))

    def compare_op(self, span: Span, *words: int) -> str:
        return " ".join(_SPELLING[self.tokens.kinds[word]] for word in words)  # not the text: `=` may stand for `==`

    def link(self, span: Span, left: ast.Expr, op: str, right: ast.Expr) -> list[Any]:
        return [left, op, right]

    def links(self, span: Span, links: list[Any], op: str, right: ast.Expr) -> list[Any]:
        links += (op, right)
        return links

    def compare(self, span: Span, links: list[Any]) -> ast.Compare:
        return ast.Compare(span, links[0], tuple(links[1::2]), tuple(links[2::2]))

    def if_expr(self, span: Span, then: ast.Expr, cond: ast.Expr, orelse: ast.Expr) -> ast.IfExpr:
        return ast.IfExpr(span, then, cond, orelse)

    # ------------------------------------------------------------ what follows a value
    def attribute(self, span: Span, value: ast.Expr, name: int) -> ast.Attribute:
        name_span = self.token_span(name)
        return ast.Attribute(span, value, name_span.text, name_span)

    def subscript(self, span: Span, value: ast.Expr, items: list[ast.Expr]) -> ast.Subscript:
        return ast.Subscript(span, value, tuple(items))

    def slice(self, span: Span, lo: ast.Expr | None, hi: ast.Expr | None, step: ast.Expr | None) -> ast.Slice:
        return ast.Slice(span, lo, hi, step)

    def call(self, span: Span, func: ast.Expr, arguments: list[Any] | None) -> ast.Call:
        if not arguments:
            return ast.Call(span, func, (), ())
        args, keywords = self._arguments(arguments)
        return ast.Call(span, func, args, keywords)

    def call_one(self, span: Span, func: ast.Expr, arg: ast.Comprehension) -> ast.Call:
        return ast.Call(span, func, (arg,), ())

    def _arguments(self, arguments: list[Any]) -> tuple[tuple[ast.Expr, ...], tuple[ast.Keyword, ...]]:
        """Arguments by position and by name; the former stand first."""
        n = len(arguments)
        while n and isinstance(arguments[n - 1], ast.Keyword):
            n -= 1
        for i, argument in enumerate(arguments[:n]):
            if isinstance(argument, ast.Keyword):
                late = next(a for a in arguments[i:n] if not isinstance(a, ast.Keyword))
                self.error(
                    E0101, late.span, "expected no argument by position after one by name",
                    also=[(argument.span, "this one is by name")],
                )  # fmt: skip
                args = tuple(a for a in arguments if not isinstance(a, ast.Keyword))
                return args, tuple(a for a in arguments if isinstance(a, ast.Keyword))
        return tuple(arguments[:n]), tuple(arguments[n:])

    def keyword(self, span: Span, name: ast.Name, value: ast.Expr) -> ast.Keyword:
        return ast.Keyword(span, name.id, value, name.span)

    def keyword_choices(self, span: Span, name: ast.Name, items: list[ast.Choice]) -> ast.Keyword:
        at = Span(self.source, self.source.text.index("{", name.span.end), span.end)
        if name.id != "tile":
            self.error(E0104, at, "found a dict", note="only `tile=` takes a choice by target: `tile={cpu: (6, 64)}`")
            return ast.Keyword(span, name.id, ast.ErrorExpr(at), name.span)
        return ast.Keyword(span, name.id, ast.Choices(at, tuple(items)), name.span)

    def choice(self, span: Span, name: int, value: ast.Expr) -> ast.Choice:
        name_span = self.token_span(name)
        return ast.Choice(span, name_span.text, value, name_span)

    def comprehension(
        self, span: Span, value: ast.Expr, clauses: list[ast.For], conds: list[ast.Expr] | None = None
    ) -> ast.Comprehension:
        return ast.Comprehension(span, value, tuple(clauses), tuple(conds or ()))

    def for_clause(self, span: Span, targets: list[ast.Name], domain: ast.Expr) -> ast.For:
        return ast.For(span, tuple(targets), domain)

    # ------------------------------------------------------------ atoms
    def name(self, span: Span, token: int) -> ast.Name:
        text = self.source.text[span.start : span.end]
        # Python compares names in this form too, and bodies must mean the same there.
        return ast.Name(span, text if text.isascii() else unicodedata.normalize("NFKC", text))

    def number(self, span: Span, token: int) -> ast.Expr:
        text = span.text
        if len(text) > MAX_DIGITS:
            self.error(E0106, span, f"expected at most {MAX_DIGITS} digits, found {len(text)}")
            return ast.ErrorExpr(span)
        if text[:2].lower() in ("0x", "0o", "0b"):
            return ast.Number(span, text, int(text, 0))
        if text.replace("_", "").isdigit():
            return ast.Number(span, text, int(text))
        value = float(text)
        if value == float("inf"):
            self.error(E0106, span, "no number format holds a value this large", help="write `inf`")
            return ast.ErrorExpr(span)
        return ast.Number(span, text, value)

    def true(self, span: Span) -> ast.Bool:
        return ast.Bool(span, True)

    def false(self, span: Span) -> ast.Bool:
        return ast.Bool(span, False)

    def empty_tuple(self, span: Span) -> ast.TupleExpr:
        return ast.TupleExpr(span, ())

    def tuple_(self, span: Span, first: ast.Expr, rest: list[ast.Expr] | None) -> ast.TupleExpr:
        return ast.TupleExpr(span, (first, *(rest or ())))

    def list_(self, span: Span, items: list[ast.Expr] | None = None) -> ast.ListExpr:
        return ast.ListExpr(span, (*(items or ()),))

    def error_expr(self, span: Span, _token: int) -> ast.ErrorExpr:
        return ast.ErrorExpr(span)

    def string(self, span: Span, _token: int) -> ast.String:
        return ast.String(span, strings.value_of(span, self.diags))

    def fstring(self, span: Span, _token: int) -> ast.FString:
        return ast.FString(span, strings.parts_of(span, self.parse_part, self.diags))

    def string_more(self, span: Span, head: ast.String | ast.FString, token: int) -> ast.Expr:
        tail = self.string(self.token_span(token), token)
        if isinstance(head, ast.FString):
            return ast.FString(span, strings.joined((*head.parts, tail)))
        return ast.String(span, head.value + tail.value)

    def fstring_more(self, span: Span, head: ast.String | ast.FString, token: int) -> ast.FString:
        parts = head.parts if isinstance(head, ast.FString) else (head,)
        tail = self.fstring(self.token_span(token), token)
        return ast.FString(span, strings.joined((*parts, *tail.parts)))


def _check_call(stmt: ast.Stmt) -> ast.Check | None:
    """``check(cond)``, ``check(cond, within=t)`` and ``check(cond, fails="E0601")`` as the statement they mean."""
    match stmt:
        case ast.ExprStmt(value=ast.Call(func=ast.Name(id="check"), args=(cond,), keywords=())):
            return ast.Check(stmt.span, cond, None, None)
        case ast.ExprStmt(value=ast.Call(func=ast.Name(id="check"), args=(cond,), keywords=(keyword,))):
            if keyword.name == "within":
                return ast.Check(stmt.span, cond, keyword.value, None)
            if keyword.name == "fails" and isinstance(keyword.value, ast.String):
                return ast.Check(stmt.span, cond, None, keyword.value.value)
    return None
