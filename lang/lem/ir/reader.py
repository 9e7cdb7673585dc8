"""Tile IR from text: the inverse of ``printer``. Takes text, gives a `Module` or `Function`, or an IRSyntaxError.

What it builds is well formed as data; whether it means something is the verifier's question.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

from lem.ir import ops as _all_ops  # noqa: F401  (fills OPS)
from lem.ir.accumulators import Accumulator, accumulator
from lem.ir.core import OPS, Affine, Array, Axis, Block, Function, Module, Op, TileType, Value, op_fields
from lem.ir.ops.reduction import Order
from lem.ir.printer import annotation, derived_arrays, derived_scalars, is_block_field, is_subscripts
from lem.ir.tokens import IRSyntaxError, Lexed, Token
from lem_runtime.abi.artifact import Site
from lem_runtime.abi.dtypes import DTYPES, DType
from lem_runtime.abi.signature import LAYOUTS, Condition, DimRule, Param, Place, Signature
from lem_runtime.abi.sizes import Size

__all__ = ["IRSyntaxError", "read_function", "read_module"]


def read_module(text: str) -> Module:
    p = _Parser(text)
    functions: dict[str, Function] = {}
    while not p.at("end"):
        fn = p.function()
        if fn.name in functions:
            p.fail(f"function {fn.name} is defined twice")
        functions[fn.name] = fn
    return Module(functions)


def read_function(text: str) -> Function:
    p = _Parser(text)
    fn = p.function()
    if not p.at("end"):
        p.fail("expected one function")
    return fn


class _Header:
    """What stands before `body`, as it is collected."""

    def __init__(self, kind: str, name: str, dims: tuple[str, ...]) -> None:
        self.kind, self.name, self.dims = kind, name, dims
        self.sig_kind, self.sig_name = kind, name
        self.place: Place | None = None
        self.doc = ""
        self.params: list[Param] = []
        self.rules: list[DimRule] = []
        self.conditions: list[Condition] = []
        self.arrays: list[Array] | None = None
        self.scalars: list[tuple[str, DType]] | None = None
        self.attrs: dict[str, Any] = {}
        self.sites: list[Site] = []

    def signature(self) -> Signature:
        return Signature(
            self.sig_name, self.sig_kind, self.dims, tuple(self.params), tuple(self.rules), tuple(self.conditions),
            self.place, self.doc,
        )  # fmt: skip


class _Parser(Lexed):
    def function(self) -> Function:
        self.values: dict[str, Value] = {}
        self.axes: dict[str, Axis] = {}
        self.arrays: dict[str, Array] = {}
        kind, name = self.take("word"), self.name()
        self.take("[")
        h = _Header(kind, name, tuple(self.listed("]", self.name)))
        self.take("{")
        while not self.accept("word", "body"):
            self._header_line(h)
        sig = h.signature()
        arrays = derived_arrays(sig) if h.arrays is None else tuple(h.arrays)
        self.arrays |= {a.name: a for a in arrays}
        body = self.block()
        scalars = derived_scalars(sig) if h.scalars is None else tuple(h.scalars)
        return Function(name, kind, sig, arrays, scalars, body, tuple(h.sites), h.attrs)

    # --- header

    def _header_line(self, h: _Header) -> None:
        key = self.take("word")
        line = getattr(self, f"_h_{key}", None)
        if line is None:
            self.i -= 1
            self.fail(f"unknown header line {key}")
        line(h)

    def _h_signature(self, h: _Header) -> None:
        h.sig_kind, h.sig_name = self.take("word"), self.name()

    def _h_place(self, h: _Header) -> None:
        h.place = self._place()

    def _h_doc(self, h: _Header) -> None:
        h.doc = json.loads(self.take("string"))

    def _h_param(self, h: _Header) -> None:
        name = self.name()
        self.take(":")
        dtype = self._dtype()
        shape = tuple(self.listed("]", self.size)) if self.accept("[") else None
        layout = self._layout()
        effect, reduce_op = self._effect()
        struct = self.name() if self.accept("word", "of") else ""
        default = self.datum() if self.accept("=") else None
        h.params.append(Param(name, dtype.name, shape, effect, self._place(), default, reduce_op, struct, layout))

    def _h_rule(self, h: _Header) -> None:
        dim = self.name()
        self.take("=")
        param: str | None = None
        offset: Size = 0
        axis, scale = 0, 1
        if not self.accept("?"):
            param = self.name()
            self.take(",")
            axis = self.integer()
        if self.accept(","):
            offset = self.size()
            self.take(",")
            scale = self.integer()
        h.rules.append(DimRule(dim, param, axis, offset, scale))

    def _h_where(self, h: _Header) -> None:
        expr = self.size()
        self.take(",")
        why = json.loads(self.take("string"))
        shown = self.size() if self.accept(",") else None
        h.conditions.append(Condition(expr, why, self._place(), shown))

    def _h_attr(self, h: _Header) -> None:
        key = self.name()
        self.take("=")
        h.attrs[key] = self.datum()

    def _h_site(self, h: _Header) -> None:
        if self.integer() != len(h.sites):
            self.fail("sites are numbered from 0")
        code, kernel, text = self.name(), self.name(), json.loads(self.take("string"))
        self.take("(")
        kinds = tuple(self.listed(")", lambda: self.take("word")))
        self.take("(")
        axes = tuple(self.listed(")", self.name))
        bounds = None
        if self.accept("{"):
            flat = self.listed("}", self.size)
            bounds = tuple((flat[n], flat[n + 1], flat[n + 2]) for n in range(0, len(flat), 3))
        h.sites.append(Site(code, kernel, text, self._place(), kinds, axes, bounds))

    def _h_axes(self, h: _Header) -> None:
        while True:
            name = self.take("number") if self.at("number") else self.take("word")
            self.take(":")
            self.axes[name] = Axis(name.split(".")[0] if not name.isdigit() else "", self.take("word"))
            if not self.accept(","):
                return

    def _h_array(self, h: _Header) -> None:
        h.arrays = h.arrays or []
        if not self.accept("word", "none"):
            h.arrays.append(self._array(self.name(), "param"))

    def _h_scalar(self, h: _Header) -> None:
        h.scalars = h.scalars or []
        if not self.accept("word", "none"):
            name = self.name()
            self.take(":")
            h.scalars.append((name, self._dtype()))

    def _h_temp(self, h: _Header, kind: str = "temp") -> None:
        name = self.take("array")[1:]
        self.arrays[name] = self._array(name.split(".")[0] if not name.isdigit() else "", kind)

    def _h_local(self, h: _Header) -> None:
        self._h_temp(h, "local")

    def _h_view(self, h: _Header) -> None:
        self._h_temp(h, "view")

    def _h_name(self, h: _Header) -> None:
        self._h_temp(h, "name")

    def _array(self, name: str, kind: str) -> Array:
        self.take(":")
        dtype = self._dtype()
        self.take("[")
        shape = tuple(self.listed("]", lambda: None if self.accept("?") else self.size()))
        layout = self._layout()
        effect, reduce_op = self._effect()
        return Array(name, dtype, shape, kind, effect, reduce_op, self._axis_set(), layout)

    def _layout(self) -> str:
        return self.take("word") if self.next.text in LAYOUTS else ""

    def _effect(self) -> tuple[str, str]:
        effect, reduce_op = self.take("word"), ""
        if self.accept("("):
            reduce_op = json.loads(self.take("string"))
            self.take(")")
        return effect, reduce_op

    def _place(self) -> Place | None:
        if not self.accept("word", "at"):
            return None
        file = json.loads(self.take("string"))
        n = [self.integer()]
        for mark in (":", "-", ":"):
            self.take(mark)
            n.append(self.integer())
        start = self.integer()
        self.take("-")
        return Place(file, n[0], n[1], n[2], n[3], start, self.integer())

    # --- body

    def block(self) -> Block:
        """Up to and with the closing brace."""
        args: list[Value] = []
        if self.accept("^"):
            self.take("(")
            args = self.listed(")", self._define)
        ops: list[Op] = []
        yields: tuple[Value, ...] = ()
        while not self.accept("}"):
            if self.accept("word", "yield"):
                yields = tuple(self._commas(self._value))
                self.take("}")
                break
            ops.append(self._op())
        return Block(tuple(args), tuple(ops), yields)

    def _commas(self, item: Callable[[], Any]) -> list[Any]:
        out = [item()]
        while self.accept(","):
            out.append(item())
        return out

    def _op(self) -> Op:
        # Results are defined only after the op is read: it cannot use them.
        results = self._commas(self._result) if self.at("value") else []
        if results:
            self.take("=")
        name = self.take("word")
        cls = OPS.get(name)
        if cls is None:
            self.i -= 1
            self.fail(f"unknown op {name}")
        made = self._fields(cls)
        for text, value in results:
            self._bind(text, value)
        return cls(**made, results=tuple(v for _, v in results))

    def _fields(self, cls: type[Op]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        plain = [f for f in op_fields(cls) if not is_block_field(cls, f)]
        for n, field in enumerate(plain):
            subscripts = is_subscripts(cls, field)
            if n and not subscripts and not self.accept(","):
                break
            if n == 0 and self.at("{"):
                break
            if subscripts:
                self.take("[")
                made[field] = tuple(self.listed("]", self._affine))
            else:
                made[field] = self._field(annotation(cls, field))
        for field in op_fields(cls):
            if is_block_field(cls, field):
                made[field] = self._nested(annotation(cls, field).startswith("tuple"))
        missing = [f for f in plain if f not in made and f in _required(cls)]
        if missing:
            self.fail(f"{cls.opname} lacks {', '.join(missing)}")
        return made

    def _nested(self, several: bool) -> Any:
        self.take("{")
        blocks = [self.block()]
        while several and self.accept("{"):
            blocks.append(self.block())
        return tuple(blocks) if several else blocks[0]

    def _field(self, wanted: str) -> Any:
        if wanted == "str" and self.at("word"):
            return self.take("word")
        return self.datum()

    def datum(self) -> Any:
        """Plain data, values, axes and arrays."""
        t = self.next
        if t.kind == "value":
            return self._value()
        if t.kind in ("number", "-") or (t.kind == "word" and t.text in ("inf", "nan")):
            return self._number()
        self.i += 1
        if t.kind == "string":
            return json.loads(t.text)
        if t.kind == "axis":
            return self._known(self.axes, t.text[1:], t)
        if t.kind == "array":
            return self._known(self.arrays, t.text[1:], t)
        if t.kind == "(":
            return tuple(self.listed(")", self.datum))
        if t.kind == "[":
            return self.listed("]", self.datum)
        if t.kind == "{":
            return dict(self.listed("}", self._pair))
        return self._word(t)

    def _pair(self) -> tuple[Any, Any]:
        key = self.datum()
        self.take(":")
        return key, self.datum()

    def _word(self, t: Token) -> Any:
        if t.text in _WORDS:
            return _WORDS[t.text]
        if t.text == "acc" and self.accept("("):
            return Accumulator(*self.listed(")", self.datum))
        name, _, dtype = t.text.partition(".")
        if t.kind == "word" and dtype in DTYPES:
            return accumulator(name, DTYPES[dtype])
        self.i -= 1
        self.fail(f"unexpected {t.text}")

    def _known(self, table: dict[str, Any], name: str, t: Token) -> Any:
        if name not in table:
            raise IRSyntaxError(t.line, f"{t.text} is not declared")
        return table[name]

    def _number(self) -> int | float:
        sign = -1 if self.accept("-") else 1
        t = self.next
        self.i += 1
        if t.kind == "number" and t.text.isdigit():
            return sign * int(t.text)
        if t.kind != "number" and t.text not in ("inf", "nan"):
            raise IRSyntaxError(t.line, f"expected a number, found {t.text}")
        return sign * float(t.text)

    def _value(self) -> Value:
        t = self.next
        self.take("value")
        if t.text not in self.values:
            raise IRSyntaxError(t.line, f"{t.text} is not defined before it is used")
        return self.values[t.text]

    def _result(self) -> tuple[str, Value]:
        text = self.take("value")
        self.take(":")
        dtype = self._dtype()
        hint = text[1:].split(".")[0]
        return text, Value(TileType(dtype, self._axis_set()), "" if hint.isdigit() else hint)

    def _define(self) -> Value:
        return self._bind(*self._result())

    def _bind(self, text: str, value: Value) -> Value:
        if text in self.values:
            self.fail(f"{text} is defined twice")
        self.values[text] = value
        return value

    def _axis_set(self) -> frozenset[Axis]:
        if not self.accept("{"):
            return frozenset()
        return frozenset(self.listed("}", self._axis_name))

    def _axis_name(self) -> Axis:
        t = self.next
        self.i += 1
        axis: Axis = self._known(self.axes, t.text, t)
        return axis

    def _dtype(self) -> DType:
        name = self.take("word")
        if name not in DTYPES:
            self.fail(f"unknown type {name}")
        return DTYPES[name]

    def _affine(self) -> Affine:
        terms: list[tuple[int, Value]] = []
        const, first = 0, True
        while first or self.at("+") or self.at("-"):
            sign = -1 if self.accept("-") else 1
            if sign == 1 and not first:
                self.take("+")
            first = False
            if self.at("value"):
                terms.append((sign, self._value()))
                continue
            n = sign * self.integer()
            if self.accept("*"):
                terms.append((n, self._value()))
            else:
                const += n
        return Affine(tuple(terms), const)


_WORDS: dict[str, Any] = {"none": None, "true": True, "false": False}
_WORDS |= {o.value: o for o in Order}
_WORDS |= DTYPES


def _required(cls: type[Op]) -> set[str]:
    return {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
