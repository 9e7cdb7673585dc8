"""Tile IR as text: takes a :class:`~lem.ir.core.Function` or `Module`, gives text that ``reader`` reads back.

A function is a header (what callers see, the sites, the names of axes and arrays) and its ops, one a line::

    kernel scale[N] {
      param x: f32[N] read
      param y: f32[N] out
      rule N = x, 0
      axes i: grid
      body
      %0: i64 = tile.const 0, i64
      %1: i64 = tile.dim N
      tile.grid (#i), (%0), (%1), (1) {
        ^(%i: i64{i})
        %2: f32{i} = tile.load @x[%i]
        tile.store @y[%i], %2
      }
    }

An op prints its fields in order, blocks last; fields at the end that hold their default are left out. ``%`` marks
values, ``#`` axes, ``@`` arrays; a second value of one name is ``%x.1``. A comment runs from ``;`` to the line's end.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, astuple, fields
from enum import Enum
from typing import Any

from lem.ir.accumulators import Accumulator, accumulator
from lem.ir.core import Affine, Array, Axis, Block, Function, Module, Op, TileType, Value, op_fields
from lem_runtime.abi import sizes
from lem_runtime.abi.artifact import Site
from lem_runtime.abi.dtypes import DTYPES, DType
from lem_runtime.abi.signature import Condition, DimRule, Param, Place, Signature, axis_order
from lem_runtime.abi.sizes import Size

_WORD = re.compile(r"[A-Za-z_][\w.]*\Z", re.ASCII)


def print_module(m: Module, *, locs: bool = False) -> str:
    """All functions of a module, in its order. `locs`: end lines with ``; line:column`` where an op has a place."""
    return "\n".join(print_function(f, locs=locs) for f in m.functions.values())


def print_function(fn: Function, *, locs: bool = False) -> str:
    return _Printer(fn, locs, named=True).text()


def value_names(fn: Function) -> dict[Value, str]:
    """The name that each value has in the text of `fn`."""
    p = _Printer(fn, False, named=True)
    p.text()
    return {v: f"%{name}" for v, name in p.values.of.items()}


def equal(a: Function | Module, b: Function | Module) -> bool:
    """Whether two functions (or modules) are the same up to the names of values, axes and temporaries, and `loc`."""
    if isinstance(a, Function) and isinstance(b, Function):
        return _Printer(a, False, named=False).text() == _Printer(b, False, named=False).text()
    if isinstance(a, Module) and isinstance(b, Module):
        same_names = list(a.functions) == list(b.functions)
        return same_names and all(equal(f, b.functions[n]) for n, f in a.functions.items())
    return False


def derived_arrays(sig: Signature) -> tuple[Array, ...]:
    """The arrays of a function that its signature implies; the text lists them only where they differ."""
    return tuple(
        Array(p.name, DTYPES[p.dtype], p.shape or (), "param", p.effect, p.reduce_op, layout=axis_order(p.layout))
        for p in sig.params
        if p.shape is not None or p.effect == "result"
    )


def derived_scalars(sig: Signature) -> tuple[tuple[str, DType], ...]:
    return tuple((p.name, DTYPES[p.dtype]) for p in sig.params if p.shape is None and p.effect != "result")


class _Names:
    """Printed names, each used once: the hint, then hint.1, hint.2; without a hint a number."""

    def __init__(self, keep_hints: bool) -> None:
        self.keep_hints = keep_hints
        self.of: dict[Any, str] = {}  # in the order of first mention
        self.counts: dict[str, int] = {}

    def __call__(self, thing: Any, hint: str) -> str:
        found = self.of.get(thing)
        if found is None:
            base = re.sub(r"\W", "_", hint.split(".")[0], flags=re.ASCII) if self.keep_hints else ""
            base = f"_{base}" if base[:1].isdigit() else base
            n = self.counts.get(base, 0)
            self.counts[base] = n + 1
            found = self.of[thing] = (f"{base}.{n}" if n else base) if base else str(n)
        return found


class _Printer:
    def __init__(self, fn: Function, locs: bool, named: bool) -> None:
        self.fn = fn
        self.locs = locs
        self.values = _Names(named)
        self.axes = _Names(named)
        self.arrays = _Names(named)
        for a in fn.arrays:
            self.arrays.of[a] = a.name
            self.arrays.counts[a.name] = 1
        self.lines: list[str] = []

    def text(self) -> str:
        self._block(self.fn.body, 1)
        body, self.lines = self.lines, []
        self._header()
        return "\n".join([*self.lines, "  body", *body, "}"]) + "\n"

    # --- ops

    def _block(self, block: Block, depth: int) -> None:
        pad = "  " * depth
        if block.args:
            self.lines.append(f"{pad}^({', '.join(self._typed(a) for a in block.args)})")
        for o in block.ops:
            self._op(o, depth)
        if block.yields:
            self.lines.append(f"{pad}yield {', '.join(self._value(v) for v in block.yields)}")

    def _op(self, o: Op, depth: int) -> None:
        shown = self._fields(o)
        results = ", ".join(self._typed(r) for r in o.results)
        line = "  " * depth + (f"{results} = " if results else "") + o.opname + (f" {shown}" if shown else "")
        note = f"  ; {o.loc.line}:{o.loc.col}" if self.locs and o.loc is not None else ""
        for i, block in enumerate(o.blocks):
            self.lines.append(("  " * depth + "} {" if i else line + " {") + ("" if i else note))
            self._block(block, depth + 1)
        self.lines.append("  " * depth + "}" if o.blocks else line + note)

    def _fields(self, o: Op) -> str:
        plain = [f for f in op_fields(type(o)) if not is_block_field(type(o), f)]
        defaults = {f.name: f.default for f in fields(o)}
        while plain and defaults[plain[-1]] is not MISSING and getattr(o, plain[-1]) == defaults[plain[-1]]:
            plain.pop()
        text = ""
        for name in plain:
            v = getattr(o, name)
            if is_subscripts(type(o), name):
                text += f"[{', '.join(self._affine(s) for s in v)}]"
            else:
                text += (", " if text else "") + self._attr(v, annotation(type(o), name))
        return text

    def _attr(self, v: Any, wanted: str) -> str:
        """A field. Strings that are words stand bare, where the field's annotation tells the reader what they are."""
        if isinstance(v, str) and wanted == "str" and _WORD.match(v):
            return v
        if isinstance(v, Affine):
            return f"[{self._affine(v)}]"
        return data(v, self._thing)

    def _thing(self, v: Any) -> str | None:
        if isinstance(v, Value):
            return self._value(v)
        if isinstance(v, Axis):
            return f"#{self.axes(v, v.name)}"
        if isinstance(v, Array):
            return self._array(v)
        return None

    def _array(self, a: Array) -> str:
        for axis in sorted(a.axes, key=lambda x: x.uid):
            self.axes(axis, axis.name)
        return f"@{self.arrays(a, a.name)}"

    def _value(self, v: Value) -> str:
        return f"%{self.values(v, v.name)}"

    def _typed(self, v: Value) -> str:
        return f"{self._value(v)}: {self._type(v.type)}"

    def _type(self, t: TileType) -> str:
        return f"{t.dtype}{self._axis_set(t.axes)}"

    def _axis_set(self, axes: Iterable[Axis]) -> str:
        for a in sorted(axes, key=lambda x: x.uid):
            self.axes(a, a.name)
        order = {a: n for n, a in enumerate(self.axes.of)}
        names = [self.axes.of[a] for a in sorted(axes, key=order.__getitem__)]
        return f"{{{', '.join(names)}}}" if names else ""

    def _affine(self, a: Affine) -> str:
        out = ""
        for coef, v in a.terms:
            term = self._value(v) if abs(coef) == 1 else f"{abs(coef)}*{self._value(v)}"
            out += (" - " if coef < 0 else " + ") + term if out else ("-" if coef < 0 else "") + term
        if a.const or not out:
            out += f" {'-' if a.const < 0 else '+'} {abs(a.const)}" if out else str(a.const)
        return out

    # --- header

    def _header(self) -> None:
        fn, sig, add = self.fn, self.fn.signature, self.lines.append
        add(f"{fn.kind} {word(fn.name)}{_list(map(word, sig.dims), '[]')} {{")
        if (sig.name, sig.kind) != (fn.name, fn.kind):
            add(f"  signature {sig.kind} {word(sig.name)}")
        if sig.place:
            add(f"  place{_place(sig.place)}")
        if sig.doc:
            add(f"  doc {json.dumps(sig.doc)}")
        self.lines += [f"  {_param(p)}" for p in sig.params]
        self.lines += [f"  {_rule(r)}" for r in sig.rules]
        self.lines += [f"  {_condition(c)}" for c in sig.conditions]
        self._own_names()
        self.lines += [f"  attr {word(k)} = {data(v)}" for k, v in fn.attrs.items()]
        self.lines += [f"  {_site(n, s)}" for n, s in enumerate(fn.sites)]
        if self.axes.of:
            add("  axes " + ", ".join(f"{name}: {a.kind}" for a, name in self.axes.of.items()))
        for a, name in self.arrays.of.items():
            if a not in fn.arrays:
                add(f"  {a.kind} @{name}: {_array(a)}{self._axis_set(a.axes)}")

    def _own_names(self) -> None:
        """Arrays and scalars, where the signature's are not all there is to say."""
        fn = self.fn
        if [_array(a) + a.name for a in fn.arrays] != [_array(a) + a.name for a in derived_arrays(fn.signature)]:
            self.lines += [f"  array {word(a.name)}: {_array(a)}" for a in fn.arrays] or ["  array none"]
        if fn.scalars != derived_scalars(fn.signature):
            self.lines += [f"  scalar {word(n)}: {t}" for n, t in fn.scalars] or ["  scalar none"]


def annotation(cls: type[Op], name: str) -> str:
    """The annotation of an op's field, as written."""
    return next(str(f.type) for f in fields(cls) if f.name == name)


def is_block_field(cls: type[Op], name: str) -> bool:
    return annotation(cls, name).startswith(("Block", "tuple[Block"))


def is_subscripts(cls: type[Op], name: str) -> bool:
    return annotation(cls, name).startswith("tuple[Affine")


def word(name: str) -> str:
    """A name as the reader takes it: bare, or quoted where it is not a word."""
    return name if _WORD.match(name) else json.dumps(name)


def number(v: float | int) -> str:
    if isinstance(v, float) and not math.isfinite(v):
        return "nan" if math.isnan(v) else ("inf" if v > 0 else "-inf")
    return repr(v)


def data(v: Any, thing: Any = lambda v: None) -> str:
    """Plain data: none, true, 1, 0.5, "text", dtypes, enum values, accumulators, (tuples), [lists], {maps}."""
    known = thing(v)
    if known is not None:
        return str(known)
    if v is None or isinstance(v, bool):
        return {None: "none", True: "true", False: "false"}[v]
    if isinstance(v, int | float):
        return number(v)
    if isinstance(v, str):
        return json.dumps(v)
    if isinstance(v, DType):
        return v.name
    if isinstance(v, Enum):
        return str(v.value)
    if isinstance(v, Accumulator):
        short = v.name in _ACCUMULATORS and v == accumulator(v.name, v.state[0])
        return str(v) if short else "acc" + data(tuple(getattr(v, f.name) for f in fields(v)))
    if isinstance(v, tuple | list):
        return _list((data(x, thing) for x in v), "()" if isinstance(v, tuple) else "[]")
    if isinstance(v, Mapping):
        return _list((f"{data(k)}: {data(x)}" for k, x in v.items()), "{}")
    raise TypeError(f"{type(v).__name__} has no text form in tile IR")


_ACCUMULATORS = ("sum", "prod", "max", "min", "any", "all", "dot", "argmax", "argmin")


def _list(items: Iterable[str], brackets: str) -> str:
    return brackets[0] + ", ".join(items) + brackets[1]


def _shape(shape: tuple[Size | None, ...]) -> str:
    return _list(("?" if s is None else sizes.show(s) for s in shape), "[]")


def _effect(effect: str, reduce_op: str) -> str:
    return f"{effect}({json.dumps(reduce_op)})" if reduce_op else effect


def _array(a: Array) -> str:
    layout = f" {a.layout}" if a.layout else ""
    return f"{a.dtype}{_shape(a.shape)}{layout} {_effect(a.effect, a.reduce_op)}"


def _param(p: Param) -> str:
    shape = "" if p.shape is None else _shape(p.shape)
    default = "" if p.default is None else f" = {data(p.default)}"
    shape += f" {p.layout}" if p.layout else ""
    struct = f" of {word(p.struct)}" if p.struct else ""
    return f"param {word(p.name)}: {p.dtype}{shape} {_effect(p.effect, p.reduce_op)}{struct}{default}{_place(p.place)}"


def _rule(r: DimRule) -> str:
    found = "?" if r.param is None else f"{word(r.param)}, {r.axis}"
    rest = f", {sizes.show(r.offset)}, {r.scale}" if (r.offset, r.scale) != (0, 1) else ""
    return f"rule {word(r.dim)} = {found}{rest}"


def _condition(c: Condition) -> str:
    shown = "" if c.shown is None else f", {sizes.show(c.shown)}"
    return f"where {sizes.show(c.expr)}, {json.dumps(c.why)}{shown}{_place(c.place)}"


def _site(n: int, s: Site) -> str:
    text = f"site {n} {word(s.code)} {word(s.kernel)} {json.dumps(s.text)}"
    text += f" {_list(s.kinds, '()')} {_list(map(word, s.axes), '()')}"
    if s.bounds is not None:
        text += " " + _list((f"{sizes.show(lo)}, {sizes.show(hi)}, {step}" for lo, hi, step in s.bounds), "{}")
    return text + _place(s.place)


def _place(p: Place | None) -> str:
    if p is None:
        return ""
    file, line, col, end_line, end_col, start, end = astuple(p)
    return f" at {json.dumps(file)} {line}:{col}-{end_line}:{end_col} {start}-{end}"
