"""Structs (LANGUAGE 34): the type that a definition stands for, making a value, reading a field.

Takes ``struct Body:`` items, calls ``Body(x=1, y=2)`` and attributes ``p.x``; gives :class:`typed.StructType` and typed
expressions, or reports. A struct is one value to the checker; ``lower`` takes it apart into one value per field.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0202, E0301, E0305, E0315, E0317, E0328, E0329, E0330
from lem.diagnostics.suggest import nearest
from lem.names import Definition, ModuleScope, habits
from lem.source import Span
from lem.syntax import ast
from lem.types import numbers, typed
from lem.types.arguments import match_args
from lem.types.context import Ctx, Session
from lem.types.convert import axes_of, coerce, const, error, is_error
from lem.types.numbers import ERROR
from lem.types.scope import Array
from lem_runtime.abi.dtypes import DTYPES, DType

OTHER_NAMES = {  # of types, in other languages
    "float32": "f32", "float64": "f64", "double": "f64", "float16": "f16", "bfloat16": "bf16", "int8": "i8",
    "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32",
    "uint64": "u64", "boolean": "bool", "half": "f16", "long": "i64", "size_t": "i64",
}  # fmt: skip
RESERVED = {"c64": "C64", "c128": "C128"}  # names kept for complex numbers, and the structs of the library


# ---------------------------------------------------------------- what a name of a type stands for
def type_named(session: Session, scope: ModuleScope, name: str) -> DType | None:
    """The type that `name` stands for in a module: a dtype, or a struct of this or (``nn.Body``) an imported module. None
    when it is no type; ERROR when its definition was reported."""
    dtype = numbers.dtype_named(name)
    if dtype is not None:
        return dtype
    found = _definition(scope, name)
    if found is None or found.kind == "module":
        return None
    if found.kind == "broken":
        return ERROR
    return struct_type(session, found) if found.kind == "struct" else None


def _definition(scope: ModuleScope, name: str) -> Definition | None:
    head, dot, member = name.partition(".")
    found = scope.find(head)
    if not dot or found is None or found.module is None:
        return found if not dot else None
    return found.module.own.get(member)


def unknown_type(reports: Session | Ctx, scope: ModuleScope, node: ast.TypeExpr) -> None:
    """Report a name that is no type."""
    diags = reports.diags
    if node.name in RESERVED:
        diags.error(
            E0305, node.span, f"`{node.name}` is a reserved name and no type yet",
            help=f"the library has a struct: `from complex import {RESERVED[node.name]}`",
        )  # fmt: skip
        return
    guess = suggest_type(node.name, scope)
    diags.error(E0305, node.span, f"`{node.name}` is not a type", help=f"did you mean `{guess}`?" if guess else ())


def suggest_type(name: str, scope: ModuleScope | None = None) -> str | None:
    """The lem name of what other languages call otherwise, or the nearest one."""
    if name.lower() in OTHER_NAMES:
        return OTHER_NAMES[name.lower()]
    structs = [n for n, d in scope.own.items() if d.kind == "struct"] if scope is not None else []
    return nearest(name, [*DTYPES, *numbers.ALIASES, *structs])


def struct_type(session: Session, found: Definition) -> DType:
    """The type of a struct's definition, checked once; ERROR when it was reported as wrong."""
    node = found.node
    assert isinstance(node, ast.Struct)
    known = session.structs.get(id(node))
    if known is not None:
        return known
    session.active_structs.append(node)
    fields = _fields(session, found.scope, node)
    session.active_structs.pop()
    name = node.name.id
    made = ERROR if fields is None else typed.StructType(name, "struct", 0, 0, name, found.scope.name, fields)
    session.structs[id(node)] = made
    return made


def _fields(session: Session, scope: ModuleScope, node: ast.Struct) -> tuple[tuple[str, DType], ...] | None:
    """The types of all fields; None when something was reported."""
    if numbers.dtype_named(node.name.id) or node.name.id in RESERVED:
        session.diags.error(
            E0329, node.name.span, f"`{node.name.id}` is a type of the language", help="take another name for the struct"
        )
        return None
    first: dict[str, ast.StructField] = {}
    made: list[tuple[str, DType]] = []
    for field in node.fields:
        name = field.name.id
        if name in first:
            session.diags.error(
                E0202, field.name.span, f"`{node.name.id}` already has a field `{name}`",
                also=[(first[name].name.span, "first declared here")],
            )  # fmt: skip
            continue
        first[name] = field
        dtype = _field_type(session, scope, node, field)
        if dtype is not ERROR:
            made.append((name, dtype))
    complete = len(made) == len(node.fields) and not session.is_misread(node)
    return tuple(made) if complete else None


def _field_type(session: Session, scope: ModuleScope, node: ast.Struct, field: ast.StructField) -> DType:
    """The type of one field; ERROR when reported."""
    written = field.type
    if written.sizes is not None or written.suffixes:
        what = "an array" if written.sizes is not None else "a layout"
        session.diags.error(
            E0329, written.span, f"a field is one value, and this is {what}",
            help=f"give `{node.name.id}` one field per number, or pass the array beside it",
        )  # fmt: skip
        return ERROR
    inner = _definition(scope, written.name)
    if inner is not None and any(inner.node is active for active in session.active_structs):
        through = "" if inner.node is node else f": `{written.name}` holds a `{node.name.id}`"
        session.diags.error(
            E0329, written.span, f"`{node.name.id}` would hold itself{through}",
            also=[(inner.span, f"`{written.name}` is defined here")],
            help="structs are values, not references: keep the index of the other one, an i64",
        )  # fmt: skip
        return ERROR
    dtype = type_named(session, scope, written.name)
    if dtype is None:
        unknown_type(session, scope, written)
        return ERROR
    if dtype.kind == "quant":
        session.diags.error(E0329, written.span, f"a field of {dtype} has no scale", help="quantise arrays of numbers")
        return ERROR
    return dtype


# ---------------------------------------------------------------- values
def construct(ctx: Ctx, node: ast.Call, found: Definition) -> typed.Expr:
    """``Body(x=1, y=2)``: a value for every field, by name or in order."""
    struct = struct_type(ctx.session, found)
    assert isinstance(found.node, ast.Struct)
    if isinstance(struct, typed.StructType):
        return construct_type(ctx, node, struct, found.node)
    for arg in (*node.args, *(k.value for k in node.keywords)):
        ctx.expr(arg)
    return error(node.span)


def construct_type(ctx: Ctx, node: ast.Call, struct: typed.StructType, item: ast.Struct | None = None) -> typed.Expr:
    """The same for a type that is known: ``T(1, 2)`` in an fn whose `T` is a struct in this call. `item`: its definition."""
    names = [name for name, _ in struct.fields]
    given = match_args(ctx, node, struct.name, names, names, item.name.span if item else None, word="field")
    if given is None:
        return error(node.span)
    declared = {f.name.id: f.name.span for f in item.fields} if item else {}
    values = tuple(
        coerce(
            ctx.diags, ctx.expr(given[name]), dtype, f", for the field `{name}`",
            (declared[name], f"`{name}` is {dtype}") if name in declared else None,
        )
        for name, dtype in struct.fields
    )  # fmt: skip
    if is_error(*values):
        return error(node.span)
    return typed.MakeStruct(node.span, typed.ValueType(struct, axes_of(*values)), values)


def field_of(ctx: Ctx, node: ast.Attribute) -> typed.Expr:
    """``p.x``, ``b[i].x``: the field of a struct value."""
    if isinstance(node.value, ast.Name) and isinstance(array := ctx.find(node.value.id), Array) and array.var.shape:
        return _field_of_array(ctx, node, array)
    x = ctx.expr(node.value)
    if is_error(x):
        return error(node.span)
    struct = x.type.dtype
    if not isinstance(struct, typed.StructType):
        ctx.diags.error(
            E0315, node.name_span, f"numbers have no `.{node.name}`", also=[(x.span, f"this is {struct}")],
            help=habits.attribute_help(node.name) or (),
        )  # fmt: skip
        return error(node.span)
    index = struct.field(node.name)
    if index is None:
        guess = nearest(node.name, [name for name, _ in struct.fields])
        has = ", ".join(f"`{name}`" for name, _ in struct.fields)
        ctx.diags.error(
            E0328, node.name_span, f"`{struct}` has no field `{node.name}`", also=[(x.span, f"this is {struct}")],
            help=f"did you mean `{guess}`?" if guess else f"its fields are {has}",
        )  # fmt: skip
        return error(node.span)
    return typed.Field(node.span, typed.ValueType(struct.fields[index][1], x.type.axes), x, index)


def _field_of_array(ctx: Ctx, node: ast.Attribute, array: Array) -> typed.Expr:
    index = ", ".join("ijkl"[n % 4] for n in range(len(array.var.shape)))
    ctx.diags.error(
        E0315, node.span, f"`{array.name}` is a whole array, and a field belongs to one element",
        also=[(array.span, "declared here")], help=f"write `{array.name}[{index}].{node.name}`",
    )  # fmt: skip
    return error(node.span)


def zero(span: Span, dtype: DType) -> typed.Expr:
    """0, in every field."""
    if not isinstance(dtype, typed.StructType):
        return const(span, False if dtype.is_bool else 0, dtype)
    return typed.MakeStruct(span, typed.ValueType(dtype), tuple(zero(span, inner) for _, inner in dtype.fields))


def refuse_field_target(ctx: Ctx, target: ast.Attribute) -> None:
    """Report ``p.x = 1``: structs do not change, a new one is made."""
    field = field_of(ctx, target)
    if is_error(field) or not isinstance(field, typed.Field):
        return
    struct = field.x.type.dtype
    assert isinstance(struct, typed.StructType)
    whole = target.value.span.text
    rest = ", ".join(f"{n}=..." if n == target.name else f"{n}={whole}.{n}" for n, _ in struct.fields)
    ctx.diags.error(
        E0330, target.span, f"a `{struct}` keeps its fields", also=[(field.x.span, f"this is {struct}")],
        help=f"make a new one: `{whole} = {struct}({rest})`",
    )  # fmt: skip


def refuse_struct(ctx: Ctx, who: str, *values: typed.Expr) -> bool:
    """Report the first struct among values that have to be numbers; False when there is none."""
    for x in values:
        struct = x.type.dtype
        if isinstance(struct, typed.StructType):
            fields = ", ".join(f"`{x.span.text}.{name}`" for name, _ in struct.fields[:3])
            ctx.diags.error(E0301, x.span, f"{who} takes numbers, and this is {struct}", help=f"take its fields: {fields}")
            return True
    return False


def refuse_reduce(ctx: Ctx, node: ast.TypeExpr, op: str, struct: DType) -> None:
    """Report `reduce(+) Body[N]`: structs are not added."""
    ctx.diags.error(
        E0317, node.span, f"`reduce({op})` does not take {struct}",
        help="update one array per field: `x: reduce(+) f32[N]`",
    )  # fmt: skip
