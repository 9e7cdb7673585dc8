"""Arrays written out, which only tests have (LANGUAGE 38).

Takes ``x = f32([[1, 2], [3, 4]])``, ``zeros(f32, 2, 3)``, ``iota(f32, 6)``, ``random.uniform(f32, 1, 2, 3)``; gives their
contents as data, or as what each element is.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0301, E0305, E0307, E0313
from lem.names import RANDOM
from lem.source import Span
from lem.syntax import ast
from lem.types import expressions, integers, numbers, rebinding, structs, typed
from lem.types.builtins import randoms
from lem.types.context import Ctx
from lem.types.convert import Literal, adapt, const, is_error
from lem.types.linear import Lin
from lem.types.numbers import ERROR
from lem.types.scope import Array, Broken
from lem_runtime.abi.dtypes import I64, DType

_SHORT = 24  # characters of a literal that a message repeats
MAKERS = ("zeros", "iota")


def check_let(ctx: Ctx, target: ast.Name, call: ast.Call, span: Span, shown: str = "") -> list[typed.Stmt] | None:
    """``x = <array data>``; None when the right-hand side is something else. shown: what messages call it."""
    made = array_data(ctx, call)
    if made is None:
        return None
    dtype, data = made
    taken = ctx.find(target.id)
    if data is None or dtype is None:
        ctx.scopes.add(Broken(target.id, target.span))
        return []
    var = typed.ArrayVar(shown or target.id, dtype, data.shape, "temp", "inout", target.span)
    array = Array(var, tuple(Lin.of(n) for n in data.shape))
    let = typed.LetArray(span, var, data)
    if rebinding.is_rebound(ctx, target.id) or (taken is not None and not isinstance(taken, Broken)):
        return [let, *rebinding.bind(ctx, span, (target,), (array,))]
    ctx.scopes.add(array, target.id)
    ctx.assign(var)
    return [let]


def shown(call: ast.Call) -> str:
    """What messages call array data that has no name: as it is written, where that is short."""
    text = call.span.text
    return text if len(text) <= _SHORT and "\n" not in text else f"{call.func.span.text}(...)"


def array_data(ctx: Ctx, call: ast.Call) -> tuple[DType | None, typed.ArrayData | None] | None:
    """The dtype and contents that a call stands for; None when it is no array data, parts None when reported."""
    func = call.func
    if isinstance(func, ast.Attribute):
        whole = isinstance(func.value, ast.Name) and func.value.id == RANDOM and ctx.find(RANDOM) is None
        return _made(ctx, call, func.name) if whole and _is_data(ctx, call, func.name) else None
    if not isinstance(func, ast.Name) or ctx.find(func.id) is not None:
        return None
    if func.id in MAKERS and ctx.module.own.get(func.id) is None:
        return _made(ctx, call, func.id)
    dtype = numbers.dtype_named(func.id)
    if dtype is not None and len(call.args) == 1 and isinstance(call.args[0], ast.ListExpr):
        return dtype, _literal(ctx, call.args[0], dtype)
    return None


def _is_data(ctx: Ctx, call: ast.Call, kind: str) -> bool:
    """Whether ``random.uniform(...)`` makes an array: a type stands first, and a size is among the rest."""
    named = randoms.dtype_first(ctx, call.args) is not None
    return kind in ("uniform", "normal") and named and len(call.args) != 2


def _made(ctx: Ctx, call: ast.Call, kind: str) -> tuple[DType | None, typed.ArrayData | None]:
    """``zeros(f32, M, N)``, ``iota(f32, N)``, ``random.uniform(f32, seed, M, N)``."""
    first = 1 if kind in MAKERS else 2
    if len(call.args) < first or call.keywords:
        how = f"{kind}(f32, 4, 5)" if kind in MAKERS else f"random.{kind}(f32, seed, 4, 5)"
        ctx.diags.error(E0307, call.span, f"array data is written `{how}`")
        return None, None
    name = call.args[0]
    dtype = _element_type(ctx, name, kind)
    if dtype is None:
        ctx.diags.error(E0305, name.span, f"`{name.span.text}` is not a type", help="the element type stands first")
        return None, None
    rest = [_whole_number(ctx, a) for a in call.args[1:]]
    if any(n is None for n in rest):
        return dtype, None
    values = [n for n in rest if n is not None]
    shape = tuple(values[first - 1 :])
    if any(n < 0 for n in shape):
        ctx.diags.error(E0313, call.span, "a size is negative")
        return dtype, None
    if kind in MAKERS:
        return dtype, typed.ArrayData(call.span, typed.ValueType(dtype), kind, shape, ())
    return dtype, _random(ctx, call, kind, dtype, values[0], shape)


def _random(ctx: Ctx, call: ast.Call, kind: str, dtype: DType, seed: int, shape: tuple[int, ...]) -> typed.ArrayData | None:
    """Each element is the number that a kernel gets with the element's indices as counters; where there are more than four,
    the first ones are counted as one."""
    if dtype.name not in randoms.DTYPES:
        ctx.diags.error(E0301, call.args[0].span, f"random numbers are {', '.join(randoms.DTYPES)}, not {dtype}")
        return None
    i64 = typed.ValueType(I64)
    vars = tuple(typed.IndexVar(f"i{n}", "grid", call.span) for n in range(len(shape)))
    counters: list[typed.Expr] = [typed.IndexRef(call.span, i64, v) for v in vars]
    while len(counters) > randoms.COUNTERS:
        n = shape[len(shape) - len(counters) + 1]
        rows = typed.Binary(call.span, i64, "mul", counters[0], const(call.span, n, I64))
        counters[:2] = [typed.Binary(call.span, i64, "add", rows, counters[1])]
    element = randoms.element(ctx, call, kind, dtype, const(call.span, seed, I64), counters)
    if is_error(element):
        return None
    return typed.ArrayData(call.span, typed.ValueType(dtype), "elements", shape, (), vars, element)


def _element_type(ctx: Ctx, node: ast.Expr, kind: str) -> DType | None:
    """The type that stands first; of structs there are zeros alone."""
    if not isinstance(node, ast.Name | ast.Attribute):
        return None
    dtype = structs.type_named(ctx.session, ctx.module, node.span.text)
    return dtype if dtype is not ERROR and (kind == "zeros" or not isinstance(dtype, typed.StructType)) else None


def _whole_number(ctx: Ctx, node: ast.Expr) -> int | None:
    """An integer known while the test is checked: a literal, a constant, a local assigned from them."""
    x = expressions.check_int(ctx, node, "a size")
    if is_error(x):
        return None
    form = integers.linear(ctx, x)
    if form is None or not form.is_const:
        ctx.diags.error(E0313, node.span, "sizes in tests are known before they run", help="write a number")
        return None
    return int(form.const)


def _literal(ctx: Ctx, node: ast.ListExpr, dtype: DType) -> typed.ArrayData | None:
    shape: list[int] = []
    probe: ast.Expr = node
    while isinstance(probe, ast.ListExpr):
        shape.append(len(probe.items))
        if not probe.items:
            break
        probe = probe.items[0]
    values = _values(ctx, node, dtype, shape, 0)
    return None if values is None else typed.ArrayData(node.span, typed.ValueType(dtype), "literal", tuple(shape), values)


def _values(ctx: Ctx, node: ast.ListExpr, dtype: DType, shape: list[int], axis: int) -> tuple[object, ...] | None:
    if axis >= len(shape) or len(node.items) != shape[axis]:
        ctx.diags.error(E0313, node.span, f"this row has {len(node.items)} items, the first one {shape[axis]}")
        return None
    out: list[object] = []
    for item in node.items:
        if axis + 1 < len(shape):
            if not isinstance(item, ast.ListExpr):
                ctx.diags.error(E0313, item.span, "expected a row like the others, found one value")
                return None
            row = _values(ctx, item, dtype, shape, axis + 1)
            if row is None:
                return None
            out.append(row)
            continue
        value = _element(ctx, item, dtype)
        if value is None:
            return None
        out.append(value)
    return tuple(out)


def _element(ctx: Ctx, node: ast.Expr, dtype: DType) -> int | float | bool | None:
    if isinstance(node, ast.ListExpr):
        ctx.diags.error(E0313, node.span, "expected one value like the others, found a row")
        return None
    x = ctx.expr(node)
    if is_error(x):
        return None
    if isinstance(x, Literal) and not dtype.is_bool:
        x = adapt(ctx.diags, x, dtype)
        if is_error(x):
            return None
    if not isinstance(x, typed.Const) or (dtype.is_bool != isinstance(x.value, bool)):
        ctx.diags.error(E0301, node.span, f"expected a {dtype} known before the test runs")
        return None
    return x.value
