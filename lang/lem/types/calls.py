"""Calls in expressions: conversions, builtins, fns. Kernels and tasks are called by statements, see ``kernel_calls.py``.

Takes ``f(x)``; finds what `f` is, nearest definition first (LANGUAGE 35); gives the typed result, or reports.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0208, E0307, E0315, E0321
from lem.diagnostics.suggest import nearest
from lem.names import RANDOM, Definition, ModuleScope, habits, unknown_name
from lem.source import Span
from lem.syntax import ast
from lem.types import expressions, fns, numbers, structs, typed
from lem.types.context import Builtin, Ctx
from lem.types.convert import CONSTANTS, Literal, adapt, cast, const, error, is_error
from lem.types.scope import Array, Broken, TypeName
from lem_runtime.abi.dtypes import DTYPES, DType

# Part of the language, known by name, and not yet run.
LATER = {
    "quantize": "quantised arrays",
    "dequantize": "quantised arrays",
}  # fmt: skip


def check_call(ctx: Ctx, node: ast.Call) -> typed.Expr:
    """A call as a value."""
    callee = find_callee(ctx, node)
    match callee:
        case None:
            _check_given(ctx, node)
            return error(node.span)
        case typed.StructType():
            return structs.construct_type(ctx, node, callee)
        case DType():
            return convert_to(ctx, node, callee)
        case Builtin():
            return callee.check(ctx, node)
    assert isinstance(callee, Definition)
    if callee.kind == "struct":
        return structs.construct(ctx, node, callee)
    assert isinstance(callee.node, ast.Function)
    if callee.node.kind == "fn":
        return fns.call_fn(ctx, node, callee)
    return _call_kernel(ctx, node, callee)


def _check_given(ctx: Ctx, node: ast.Call) -> None:
    """Report what is wrong with arguments of something unknown: it might take arrays, types and text."""
    for arg in node.args:
        names = [n.id for n in ast.walk(arg) if isinstance(n, ast.Name)]
        if isinstance(arg, ast.Comprehension | ast.ListExpr | ast.String | ast.FString):
            continue
        if not any(isinstance(ctx.find(n), Array | TypeName) or n in DTYPES for n in names):
            ctx.expr(arg)


def find_callee(ctx: Ctx, node: ast.Call) -> Definition | Builtin | DType | None:
    """What is called; None when reported."""
    func = node.func
    if isinstance(func, ast.Attribute):
        return _in_module(ctx, func)
    if not isinstance(func, ast.Name):
        x = ctx.expr(func)
        if not is_error(x):
            ctx.diags.error(E0321, func.span, "this is a value, and only functions are called")
        return None
    entity = ctx.find(func.id)
    if isinstance(entity, TypeName):
        return entity.dtype
    if isinstance(entity, Broken):
        return None
    if entity is not None:
        what = "an array" if isinstance(entity, Array) else "a value"
        ctx.diags.error(
            E0321, func.span, f"`{func.id}` is {what}, and only functions are called",
            also=[(entity.span, f"`{func.id}` is declared here")],
            help=f"an element is written `{func.id}[i]`" if isinstance(entity, Array) else (),
        )  # fmt: skip
        return None
    return _module_level(ctx, func)


def _module_level(ctx: Ctx, func: ast.Name) -> Definition | Builtin | DType | None:
    name = func.id
    near = ctx.module.own.get(name) or ctx.module.imported.get(name)
    if near is None:
        table = ctx.session.handlers.builtins
        if name in table:
            return table[name]
        dtype = numbers.dtype_named(name)
        if dtype is not None:
            return dtype
        if name in LATER:
            ctx.not_yet(LATER[name], func.span)
            return None
        if name in CONSTANTS:
            ctx.diags.error(E0321, func.span, f"`{name}` is a number")
            return None
    found = near or ctx.module.find(name)
    if found is None:
        if structs.suggest_type(name) and name.lower() in structs.OTHER_NAMES:
            ctx.diags.error(
                E0321, func.span, f"`{name}` is not a function", help=f"did you mean `{structs.suggest_type(name)}`?"
            )
            return None
        unknown_name(ctx.diags, ctx.module, func.span, name, {*ctx.session.handlers.builtins, *DTYPES})
        return None
    return _callable(ctx, func.span, found)


def _callable(ctx: Ctx, span: Span, found: Definition) -> Definition | Builtin | None:
    if found.kind == "builtin" and found.original in ctx.session.handlers.builtins:
        return ctx.session.handlers.builtins[found.original]
    if found.kind in ("function", "struct"):
        return found
    if found.kind == "broken":
        return None
    ctx.diags.error(
        E0321, span, f"`{found.name}` is a {found.kind}, and only functions are called",
        also=[(found.span, f"`{found.name}` is defined here")],
        help=f"name what you mean of it: `{found.name}.f(...)`" if found.kind == "module" else (),
    )  # fmt: skip
    return None


def fn_named(ctx: Ctx, node: ast.Expr) -> Definition | None:
    """The fn that is handed on by its name, as to ``scan``; None when reported."""
    found: Definition | Builtin | DType | None = None
    if isinstance(node, ast.Attribute):
        found = _in_module(ctx, node)
    elif isinstance(node, ast.Name) and ctx.find(node.id) is None:
        found = _module_level(ctx, node)
    elif not is_error(ctx.expr(node)):
        ctx.diags.error(E0321, node.span, "this is a value, and an fn is needed here", help="give the name of an fn")
        return None
    if isinstance(found, Definition) and isinstance(found.node, ast.Function) and found.node.kind == "fn":
        return found
    if found is not None:
        ctx.diags.error(
            E0321, node.span, f"`{node.span.text}` is no fn", help="define one that does this, and give its name",
            also=[(found.span, "defined here")] if isinstance(found, Definition) else (),
        )  # fmt: skip
    return None


def _in_module(ctx: Ctx, func: ast.Attribute) -> Definition | Builtin | None:
    """``nn.relu(x)``."""
    found = definition_of_attribute(ctx, func)
    return None if found is None else _callable(ctx, func.name_span, found)


def definition_of_attribute(ctx: Ctx, node: ast.Attribute) -> Definition | None:
    """What ``module.name`` stands for; None when reported."""
    if not isinstance(node.value, ast.Name) or ctx.find(node.value.id) is not None:
        ctx.diags.error(
            E0315, node.span, f"arrays and values have no `.{node.name}`", help=habits.attribute_help(node.name) or ()
        )
        return None
    found = ctx.module.find(node.value.id)
    always = ctx.module.session.module(RANDOM) if found is None and node.value.id == RANDOM else None
    if always is not None:
        return _member(ctx, node, always)
    if found is None:
        unknown_name(ctx.diags, ctx.module, node.value.span, node.value.id, ctx.scopes.names())
        return None
    if found.kind == "broken":
        return None
    if found.module is None:
        ctx.diags.error(E0315, node.span, f"`{found.name}` is not a module and has no attributes")
        return None
    return _member(ctx, node, found.module)


def _member(ctx: Ctx, node: ast.Attribute, module: ModuleScope) -> Definition | None:
    assert isinstance(node.value, ast.Name)
    member = module.member(node.name, node.name_span)
    if member is None:
        guess = nearest(node.name, module.members)
        ctx.diags.error(
            E0208, node.name_span, f"`{node.value.id}` does not define `{node.name}`",
            help=f"did you mean `{guess}`?" if guess else (),
        )  # fmt: skip
    return member


def check_attribute(ctx: Ctx, node: ast.Attribute) -> typed.Expr:
    """``p.x``, a field of a struct; ``nn.EPS`` as a value."""
    if not _is_of_module(ctx, node) and not _is_of_array(ctx, node):
        return structs.field_of(ctx, node)
    found = definition_of_attribute(ctx, node)
    return error(node.span) if found is None else expressions.value_of_definition(ctx, node.span, found)


def _is_of_module(ctx: Ctx, node: ast.Attribute) -> bool:
    """Whether what stands before the dot is the name of a module (or unknown), and no value."""
    if not isinstance(node.value, ast.Name) or ctx.find(node.value.id) is not None:
        return False
    found = ctx.module.find(node.value.id)
    return found is None or found.kind in ("module", "broken")


def _is_of_array(ctx: Ctx, node: ast.Attribute) -> bool:
    """Whether an array is asked for something that belongs to it as a whole, and that no struct in it has."""
    entity = ctx.find(node.value.id) if isinstance(node.value, ast.Name) else None
    if not isinstance(entity, Array):
        return False
    struct = entity.var.dtype
    return not isinstance(struct, typed.StructType) or struct.field(node.name) is None


def _call_kernel(ctx: Ctx, node: ast.Call, found: Definition) -> typed.Expr:
    """A kernel with one number as its result."""
    made = ctx.session.handlers.nested(ctx, node, found)
    if isinstance(made, Array):
        ctx.diags.error(
            E0315, node.span, f"`{found.name}` gives a whole array, and this is one value",
            also=[(found.span, f"`{found.name}` is defined here")], help=f"give it a name first: `y = {node.span.text}`",
        )  # fmt: skip
        return error(node.span)
    return made or error(node.span)


def convert_to(ctx: Ctx, node: ast.Call, dtype: DType) -> typed.Expr:
    """``f32(x)``: by value (LANGUAGE 26)."""
    if len(node.args) != 1 or node.keywords:
        ctx.diags.error(E0307, node.span, f"`{dtype}` converts one value")
        return error(node.span)
    if isinstance(node.args[0], ast.ListExpr):
        ctx.diags.error(
            E0315, node.args[0].span, "an array literal is written in tests alone, right of `=`",
        )  # fmt: skip
        return error(node.span)
    x = ctx.expr(node.args[0])
    if is_error(x):
        return error(node.span)
    if dtype.kind == "quant":
        ctx.not_yet("quantised values", node.span)
        return error(node.span)
    if structs.refuse_struct(ctx, f"`{dtype}`", x):
        return error(node.span)
    if isinstance(x, Literal):
        return _literal_to(ctx, node, x, dtype)
    made = cast(x, dtype)
    made_span = typed.Cast(node.span, made.type, made.x) if isinstance(made, typed.Cast) else made
    return made_span


def _literal_to(ctx: Ctx, node: ast.Call, x: Literal, dtype: DType) -> typed.Expr:
    """``f32(0.5)``, ``i32(2.7)``: a constant of that type; an integer literal has to fit, as anywhere."""
    if dtype.is_bool:
        return const(node.span, x.value != 0, dtype)
    if dtype.is_int and isinstance(x.value, float):
        return typed.Cast(node.span, typed.ValueType(dtype), typed.Const(x.span, x.type, x.value))
    adapted = adapt(ctx.diags, x, dtype)
    if is_error(adapted) or not isinstance(adapted, typed.Const):
        return error(node.span)
    return const(node.span, adapted.value, dtype)
