"""``random.bits(seed, *counters)``, ``random.uniform``, ``random.normal``: numbers that depend on seed and counters alone.

Takes calls per element, and the arrays of tests (LANGUAGE 37, 38); gives calls of the fns of the library module `random`,
which is written in lem and so the same on every target. Here is only what an fn cannot say: any number of counters, and a
type among the arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

from lem.diagnostics.codes import E0301, E0307
from lem.names import RANDOM
from lem.syntax import ast
from lem.types import expressions, fns, numbers, typed
from lem.types.context import Builtin, Ctx
from lem.types.convert import const, error, is_error, settle
from lem.types.scope import TypeName
from lem_runtime.abi.dtypes import F32, I64, U32, U64, DType

COUNTERS = 4  # words that the generator takes besides the seed
DTYPES = ("f16", "f32", "f64")


def _entry(kind: str, doc: str) -> Builtin:
    typed_call = "" if kind == "bits" else "T, "
    result = "u64" if kind == "bits" else "T"

    def check(ctx: Ctx, node: ast.Call) -> typed.Expr:
        return _check(ctx, node, kind)

    example = f"y[i] = random.{kind}({'' if kind == 'bits' else 'f32, '}7, i)"
    return Builtin(f"random.{kind}", f"random.{kind}({typed_call}seed, *counters) -> {result}", doc, example, check)


ENTRIES = (
    _entry("bits", "64 random bits for this seed and these counters, at most four."),
    _entry("uniform", "A random number, 0 <= x < 1, of type f16, f32 or f64; f32 where no type is given."),
    _entry("normal", "A random number of the standard normal distribution; f32 where no type is given."),
)


def _check(ctx: Ctx, node: ast.Call, kind: str) -> typed.Expr:
    args = list(node.args)
    dtype = dtype_first(ctx, args) if kind != "bits" else None
    if dtype is not None:
        args = args[1:]
    if node.keywords or not 1 <= len(args) <= 1 + COUNTERS:
        how = f"random.{kind}(seed, i)" if kind == "bits" else f"random.{kind}(f32, seed, i)"
        ctx.diags.error(
            E0307, node.span, f"`random.{kind}` takes a seed and at most {COUNTERS} counters", help=f"write `{how}`"
        )
        return error(node.span)
    if dtype is not None and dtype.name not in DTYPES:
        ctx.diags.error(E0301, node.args[0].span, f"random numbers are {', '.join(DTYPES)}, not {dtype}")
        return error(node.span)
    seed = settle(ctx.expr(args[0]))
    counters = [expressions.check_int(ctx, a, "a counter") for a in args[1:]]
    if not is_error(seed) and not seed.type.dtype.is_int:
        ctx.diags.error(E0301, seed.span, f"a seed is an integer, and this is {seed.type.dtype}")
        return error(node.span)
    if is_error(seed, *counters):
        return error(node.span)
    return element(ctx, node, kind, dtype or F32, seed, counters)


def dtype_first(ctx: Ctx, args: Sequence[ast.Expr]) -> DType | None:
    """The type that the first argument names, if it names one."""
    first = args[0] if args else None
    if not isinstance(first, ast.Name):
        return None
    entity = ctx.find(first.id)
    if isinstance(entity, TypeName):
        return entity.dtype
    return numbers.dtype_named(first.id) if entity is None and ctx.module.find(first.id) is None else None


def element(
    ctx: Ctx, node: ast.Call, kind: str, dtype: DType, seed: typed.Expr, counters: Sequence[typed.Expr]
) -> typed.Expr:
    """The number for a seed of any integer type and at most four i64 counters."""
    words = [_cast(c, U32) for c in counters]
    if len(counters) <= COUNTERS // 2:  # the upper halves of one or two counters have words of their own
        words += [const(node.span, 0, U32)] * (COUNTERS // 2 - len(words))
        words += [_cast(_shifted(c), U32) for c in counters]
    words += [const(node.span, 0, U32)] * (COUNTERS - len(words))
    name = kind if kind == "bits" else f"{kind}_{dtype}"
    return fns.call_library(ctx, node.span, RANDOM, name, (_cast(seed, U64), *words))


def _cast(x: typed.Expr, dtype: DType) -> typed.Expr:
    return typed.Cast(x.span, typed.ValueType(dtype, x.type.axes), x)


def _shifted(x: typed.Expr) -> typed.Expr:
    return typed.Binary(x.span, x.type, "shr", x, const(x.span, 32, I64))
