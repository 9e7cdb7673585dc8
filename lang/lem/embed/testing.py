"""Runs one `test` block: its statements in order, kernels compiled as for `lem run`, scalar expressions by the interpreter.

Takes the typed tree of the test; gives None, or the diagnostic of the first check, fault or bad call. Tests are small
and sequential, so walking the tree here costs nothing beside compiling the kernels that they call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from lem import ir, pipeline
from lem.diagnostics import CODES, Diagnostic, InternalError, Refused
from lem.embed.block_trials import depends_on_blocks
from lem.ir import interpreter
from lem.ir.interpreter import formats
from lem.lower import lower_function
from lem.source import Span
from lem.targets import cpu
from lem.types import typed
from lem_runtime import CallError, RunError, detect, dtype_of, facts_of, fill_text, numpy_dtype, run
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.dtypes import I64, DType
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Param, Signature
from lem_runtime.abi.source import Facts


class _Failed(Exception):
    """A check does not hold, or something that was called faulted."""

    def __init__(self, code: str, label: str, span: Span | None, help: str = "") -> None:
        super().__init__(label)
        self.diagnostic = Diagnostic(CODES[code], span, label, (), (), (help,) if help else ())


_EVALUATED = (typed.Expr, typed.At, typed.Cut, typed.Clause, typed.Domain, typed.MakeView, typed.Require)
Compiled = dict[tuple[str, Facts], Artifact]  # code of kernels, by name and facts


def run_test(program: pipeline.Program, fn: typed.Function, compiled: Compiled) -> tuple[Diagnostic | None, list[str]]:
    """What is wrong (None when every check of the test holds), and the lines that it printed. compiled: code that earlier
    tests of the program needed; what this one needs is added."""
    test = _Test(program, compiled)
    try:
        test.run(fn.body)
    except _Failed as failed:
        return failed.diagnostic, test.prints
    return None, test.prints


class _Loop(Exception):
    """break or continue on its way to its loop."""


class _Break(_Loop):
    pass


class _Continue(_Loop):
    pass


class _Test:
    def __init__(self, program: pipeline.Program, compiled: Compiled) -> None:
        self.program = program
        self.arrays: dict[typed.ArrayVar, np.ndarray[Any, Any]] = {}
        self.locals: dict[typed.LocalVar, Any] = {}
        self.indices: dict[typed.IndexVar, int] = {}
        self.artifacts = compiled
        self.prints: list[str] = []

    def run(self, stmts: Sequence[typed.Stmt]) -> None:
        for s in stmts:
            handler = getattr(self, "_" + type(s).__name__, None)
            if handler is None:
                raise InternalError("lem test", f"no meaning for {type(s).__name__} in a test")
            handler(s)

    # ------------------------------------------------------------ statements
    def _LetArray(self, s: typed.LetArray) -> None:
        self.arrays[s.array] = _data(s.data, s.array)

    def _MakeArray(self, s: typed.MakeArray) -> None:
        shape = tuple(int(self.value(e)) for e in s.sizes)
        made = np.zeros(shape, _numpy(s.array.dtype))
        if s.fill is not None:
            made[...] = self.value(s.fill)
        self.arrays[s.array] = made

    def _Bind(self, s: typed.Bind) -> None:
        self.arrays.update(zip(s.names, [self.arrays[a] for a in s.arrays], strict=True))

    def _MakeView(self, s: typed.MakeView) -> None:
        base = self.arrays[s.array.base]  # type: ignore[index]  # a view is of something
        places = [self._places(part, n, base.shape[n], s.array) for n, part in enumerate(s.parts)]
        self.arrays[s.array] = base[(*places, ...)]

    def _places(self, part: typed.At | typed.Cut, axis: int, size: int, view: typed.ArrayVar) -> int | slice:
        """The places of one axis of a view, all in range."""
        if isinstance(part, typed.At):
            index = int(self.value(part.index))
            if not 0 <= index < size:
                label = f"index {index} is outside axis {axis} of `{view.name}`, which has size {size}"
                raise _Failed("E0601", label, part.span)
            return index
        lo, hi = int(self.value(part.lo)), int(self.value(part.hi))
        for bound in (lo, hi):
            if not 0 <= bound <= size:
                raise _Failed("E0601", f"bound {bound} of a view is outside 0..{size}", part.span)
        return slice(lo, max(lo, hi), part.step)

    def _SetLocal(self, s: typed.SetLocal) -> None:
        self.locals[s.local] = self.value(s.value)

    def _SetLocals(self, s: typed.SetLocals) -> None:
        values = [self.value(v) for v in s.values]
        self.locals.update(zip(s.locals, values, strict=True))

    def _CallFnStmt(self, s: typed.CallFnStmt) -> None:
        used: dict[typed.ArrayVar, None] = {}
        call = replace(s, args=self._known(s.args, used))
        refs = [typed.LocalRef(s.span, local.type, local) for local in s.locals if local is not None]
        values = [self._evaluate(ref, tuple(used), s.span, (call,)) for ref in refs]
        self.locals.update(zip((ref.local for ref in refs), values, strict=True))

    def _Store(self, s: typed.Store) -> None:
        place = tuple(int(self.value(i.index)) if isinstance(i, typed.At) else slice(None) for i in s.subs)
        try:
            self.arrays[s.array][place] = self.value(s.value)
        except IndexError as e:
            raise _Failed("E0601", str(e), s.span) from None

    def _If(self, s: typed.If) -> None:
        self.run(s.then if self.value(s.cond) else s.orelse)

    def _While(self, s: typed.While) -> None:
        while self.value(s.cond):
            try:
                self.run(s.body)
            except _Break:
                return
            except _Continue:
                continue

    def _ForRange(self, s: typed.ForRange) -> None:
        for n in range(int(self.value(s.domain.lo)), int(self.value(s.domain.hi)), self._step(s.domain)):
            self.indices[s.var] = n
            try:
                self.run(s.body)
            except _Break:
                return
            except _Continue:
                continue

    def _step(self, domain: typed.Domain) -> int:
        if domain.by is None:
            return domain.step
        step = int(self.value(domain.by))
        if step < 1:
            raise _Failed("E0630", f"the step is {step}", domain.by.span)
        return step

    def _Break(self, s: typed.Break) -> None:
        raise _Break

    def _Continue(self, s: typed.Continue) -> None:
        raise _Continue

    def _Assert(self, s: typed.Assert) -> None:
        if not self.value(s.cond):
            raise _Failed("E0603", self._filled(s.message, s.values), s.span)

    def _Require(self, s: typed.Require) -> None:
        if not self.value(s.cond):
            raise _Failed(s.code, s.text.format(*(self.value(v) for v in s.values)), s.span)

    def _Sync(self, s: typed.Sync) -> None:
        """Every call has ended when the next statement runs."""

    def _Breakpoint(self, s: typed.Breakpoint) -> None:
        """`lem test` does not step."""

    def _Print(self, s: typed.Print) -> None:
        self.prints.append(self._filled(s.text, s.values))

    def _filled(self, text: str, values: Sequence[typed.Expr]) -> str:
        """`text` with its fields filled, as a compiled kernel prints it."""
        kinds = ["f32" if _is_single(v) else "" for v in values]
        return fill_text(text, [self._number(v) for v in values], kinds)

    def _CallKernel(self, s: typed.CallKernel) -> None:
        for cond, text in s.conditions:
            if not self.value(cond):
                raise _Failed("E0605", text, s.span)
        for a, b, text in s.apart:
            if np.shares_memory(self.arrays[a], self.arrays[b]):
                raise _Failed("E0619", text, s.span)
        try:
            self._call(s)
        except RunError as e:
            raise _Failed(_code(e.code), e.message, s.span) from None
        except CallError as e:
            raise _Failed(e.code, e.message, s.span, e.help) from None
        except Refused as e:
            raise _Failed(e.diagnostic.code.id, e.diagnostic.label, s.span, *e.diagnostic.help) from None

    def _call(self, s: typed.CallKernel) -> None:
        fn = self.program.typed.functions[s.callee]
        arrays = {a.name: self.arrays[v] for a, v in zip(fn.arrays, s.arrays, strict=True)}
        scalars = {name: self.value(e) for (name, _), e in zip(fn.scalars, s.scalars, strict=True)}
        named = {d: int(self.value(e)) for d, e in zip(fn.dims, s.dims, strict=True)}
        cells = {p.name: arrays.pop(p.name) for p in fn.signature.arguments if not p.is_array and p.name in arrays}
        wrong = depends_on_blocks(self.program, s.callee, arrays, scalars, named)
        if wrong is not None:
            raise _Failed("E0326", wrong.label, wrong.span, wrong.help[0])
        facts = Facts(facts_of(fn.signature, arrays, named).layouts)
        key = (s.callee, facts)
        if key not in self.artifacts:
            self.artifacts[key] = pipeline.compile_function(self.program, s.callee, facts, detect(), cpu.TARGET)
        result = run(self.artifacts[key], arrays, scalars, named, on_prints=self._printed)
        for name, cell in cells.items():
            cell[()] = result.scalars[name]

    def _printed(self, lines: list[str], n_printed: int) -> None:
        self.prints += lines
        if n_printed > len(lines):
            self.prints.append(f"... and {n_printed - len(lines)} more lines")

    def _Check(self, s: typed.Check) -> None:
        if s.fails is not None:
            self._check_fails(s)
        elif s.right is None:
            assert isinstance(s.left, typed.Expr)
            if not self.value(s.left):
                raise _Failed("E0617", "this is false", s.span)
        else:
            _compare_all(self._side(s.left), self._side(s.right), s.within, s.span)

    def _check_fails(self, s: typed.Check) -> None:
        assert s.call is not None
        try:
            self.run(s.before)
            self._CallKernel(s.call)
        except _Failed as failed:
            if failed.diagnostic.code.id == s.fails:
                return
            found = f"{failed.diagnostic.code.id}: {failed.diagnostic.label}"
            raise _Failed("E0617", f"expected {s.fails}, found {found}", s.span) from None
        raise _Failed("E0617", f"expected {s.fails}, but the call ended well", s.span)

    def _side(self, side: typed.Expr | typed.ArrayVar | None) -> _Side:
        if isinstance(side, typed.ArrayVar):
            return _Side(side.dtype, self.arrays[side])
        assert side is not None
        if isinstance(side, typed.ArrayData):
            return _Side(side.type.dtype, _stored(side.values, side.type.dtype).reshape(side.shape))
        return _Side(side.type.dtype, np.asarray(self.value(side)))

    # ------------------------------------------------------------ expressions
    def value(self, e: typed.Expr) -> Any:
        """A scalar expression's value as arrays hold it: lowered as a little kernel and given to the interpreter."""
        if isinstance(e, typed.Const):
            return formats.literal(e.value, e.type.dtype)[()]
        if isinstance(e, typed.LocalRef):
            return self.locals[e.local]
        used: dict[typed.ArrayVar, None] = {}
        known = self._known(e, used)
        return self._evaluate(known, tuple(used), e.span)

    def _number(self, e: typed.Expr) -> Any:
        """A scalar expression's value as a number: arrays hold bf16 and f8 as their bits."""
        if isinstance(e, typed.WholeArray):
            return self._array(e)
        return formats.wide(np.asarray(self.value(e)), e.type.dtype)[()]

    def _array(self, e: typed.WholeArray) -> Any:
        """An array of numbers, or of structs with named fields."""
        data = self.arrays[e.array]
        return data if isinstance(e.type.dtype, typed.StructType) else formats.wide(data, e.type.dtype)

    def _known(self, x: Any, used: dict[typed.ArrayVar, None]) -> Any:
        """`x` with locals and loop variables replaced by what they are now; arrays it reads are collected."""
        if isinstance(x, typed.LocalRef) and x.local in self.locals:
            return _constant(x.span, x.type.dtype, self.locals[x.local])
        if isinstance(x, typed.IndexRef) and x.var in self.indices:
            return typed.Const(x.span, x.type, self.indices[x.var])
        if isinstance(x, typed.ArraySize) and x.array in self.arrays:
            return typed.Const(x.span, x.type, self.arrays[x.array].shape[x.axis])
        if isinstance(x, typed.ArrayVar):
            if x in self.arrays:
                used[x] = None
            elif x.base is not None:  # a part that the expression itself names
                self._known(x.base, used)
            return x
        if isinstance(x, tuple) and not isinstance(x, Span):
            return tuple(self._known(y, used) for y in x)
        if is_dataclass(x) and isinstance(x, _EVALUATED):
            changed = {f.name: self._known(getattr(x, f.name), used) for f in fields(x) if f.name not in ("span", "type")}
            return replace(x, **changed)
        return x

    def _evaluate(
        self, e: typed.Expr, used: tuple[typed.ArrayVar, ...], span: Span, before: tuple[typed.Stmt, ...] = ()
    ) -> Any:
        """The value of `e` after the statements `before`."""
        given: dict[str, np.ndarray[Any, Any]] = {}
        for a in used:
            given |= _parts(a.name, a.dtype, self.arrays[a])
        params = tuple(
            Param(f"{a.name}.{path}" if path else a.name, leaf.name, self.arrays[a].shape, "read")
            for a in used for path, leaf in typed.leaves(a.dtype)
        )  # fmt: skip
        result = typed.ArrayVar("value of the expression", e.type.dtype, (), "param", "result", span)
        sig = Signature("check", "task", (), params, ())
        store = typed.Store(span, result, (), e)
        fn = typed.Function("check", "task", sig, (*used, result), (), (*before, store), span)
        lowered = lower_function(fn, {a: self.arrays[a].shape for a in used})
        out = np.zeros((), _numpy(e.type.dtype))
        given |= _parts(result.name, result.dtype, out)
        outcome = interpreter.run(ir.Module({"check": lowered}), "check", given, {}, {})
        if outcome.fault is not None:
            site = lowered.sites[outcome.fault.site]
            raise _Failed(site.code, fill_text(site.text, outcome.fault.values, site.kinds), span)
        return out[()]


def _is_single(e: typed.Expr) -> bool:
    """Is this one number that an f32 holds?"""
    return e.type.dtype.is_float and e.type.dtype.bits <= 32 and not isinstance(e, typed.WholeArray)


# ---------------------------------------------------------------- structs: NumPy's named fields
def _numpy(dtype: DType) -> np.dtype[Any]:
    """The NumPy dtype of a value: of a struct one with its fields."""
    if not isinstance(dtype, typed.StructType):
        return numpy_dtype(dtype.name)
    return dtype_of((path, leaf.name) for path, leaf in typed.leaves(dtype))


def _constant(span: Span, dtype: DType, value: Any) -> typed.Expr:
    """A value that is known, as an expression."""
    if not isinstance(dtype, typed.StructType):
        return typed.Const(span, typed.ValueType(dtype), formats.wide(np.asarray(value), dtype)[()].item())
    parts = tuple(_constant(span, inner, value[name]) for name, inner in dtype.fields)
    return typed.MakeStruct(span, typed.ValueType(dtype), parts)


def _parts(name: str, dtype: DType, array: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that lowered code knows: the array itself, or its fields."""
    if not isinstance(dtype, typed.StructType):
        return {name: array}
    found: dict[str, np.ndarray[Any, Any]] = {}
    for field, inner in dtype.fields:
        found |= _parts(f"{name}.{field}", inner, array[field])
    return found


def _data(d: typed.ArrayData, array: typed.ArrayVar) -> np.ndarray[Any, Any]:
    dtype = _numpy(array.dtype)
    if d.kind == "zeros":
        return np.zeros(d.shape, dtype)
    if d.kind == "iota":
        return _stored(range(math.prod(d.shape)), array.dtype).reshape(d.shape)
    if d.element is not None:
        return _elements(d, d.element, array)
    return _stored(d.values, array.dtype).reshape(d.shape)


def _elements(d: typed.ArrayData, element: typed.Expr, array: typed.ArrayVar) -> np.ndarray[Any, Any]:
    """An array by what each element is: a kernel of one grid, run by the interpreter."""
    made = np.zeros(d.shape, numpy_dtype(array.dtype.name))
    result = typed.ArrayVar(array.name, array.dtype, d.shape, "param", "result", array.span)
    i64 = typed.ValueType(I64)
    subs = tuple(typed.At(typed.IndexRef(d.span, i64, v), False, d.span) for v in d.vars)
    body: typed.Stmt = typed.Store(d.span, result, subs, element)
    if d.vars:
        ends = [typed.Const(d.span, i64, n) for n in d.shape]
        domains = tuple(typed.Domain(typed.Const(d.span, i64, 0), end, 1, None, d.span) for end in ends)
        body = typed.ForGrid(d.span, d.vars, domains, (), (body,))
    sig = Signature("fill", "kernel", (), (Param(array.name, array.dtype.name, d.shape, "result"),), ())
    fn = typed.Function("fill", "kernel", sig, (result,), (), (body,), d.span)
    interpreter.run(ir.Module({"fill": lower_function(fn)}), "fill", {array.name: made})
    return made


def _stored(values: Sequence[Any], dtype: DType) -> np.ndarray[Any, Any]:
    """Written numbers as an array holds them; those of a narrow format are rounded to it."""
    if dtype.is_float:
        return formats.narrow(np.array(values, np.float64), dtype)
    return np.array(values, formats.storage(dtype))


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison. data: as arrays hold it."""

    dtype: DType
    data: np.ndarray[Any, Any]


def _compare_all(one: _Side, other: _Side, within: float | None, span: Span) -> None:
    """Structs are equal where all their fields are."""
    if not isinstance(one.dtype, typed.StructType) or one.dtype != other.dtype:
        _compare(one, other, within, span)
        return
    for name, dtype in one.dtype.fields:
        try:
            _compare_all(_Side(dtype, one.data[name]), _Side(dtype, other.data[name]), within, span)
        except _Failed as failed:
            raise _Failed(failed.diagnostic.code.id, f"field `{name}`: {failed.diagnostic.label}", span) from None


def _compare(one: _Side, other: _Side, within: float | None, span: Span) -> None:
    """LANGUAGE 32. Raises :class:`_Failed` with both values at the first place that differs too much."""
    if one.data.shape != other.data.shape:
        raise _Failed("E0617", f"shapes are {one.data.shape} and {other.data.shape}", span)
    if one.dtype != other.dtype:
        raise _Failed("E0617", f"types are {one.dtype} and {other.dtype}", span)
    left, right = formats.wide(one.data, one.dtype), formats.wide(other.data, other.dtype)
    if left.size == 0:
        return
    with np.errstate(all="ignore"):
        a, b = left.astype(np.float64), right.astype(np.float64)
        same = (left == right) | (np.isnan(a) & np.isnan(b))
        error = np.where(same, 0.0, np.abs(a - b))
        scale = np.nanmax(np.abs(b), initial=0.0) if left.ndim else max(1.0, abs(float(b)))
        bad = ~same if within is None else ~(same | (error <= within * scale))
    if not bad.any():
        return
    place = tuple(int(i) for i in np.argwhere(bad)[0]) if left.ndim else ()
    where = f" at {list(place)}" if place else ""
    more = int(bad.sum()) - 1
    others = f" (and {more} more)" if more else ""
    allowed = f", allowed {within * scale:.3g}" if within is not None else ""
    label = f"left is {left[place]!s}, right is {right[place]!s}{where}{others}; they differ by {error[place]:.3g}{allowed}"
    raise _Failed("E0617", label, span)


def _code(code: str | int) -> str:
    return code if isinstance(code, str) else f"E{int(code):04d}"
