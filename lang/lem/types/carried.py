"""What a `tiles` loop leaves in the locals that it carries from block to block (LANGUAGE 11).

Takes the body of the loop as it was parsed; marks the locals that hold something of the last block only, and those that
count blocks: reading them after the loop is an error. A struct is looked at field by field, as far as its fields are
written: `m = Best(max(m.x, ...), m.n + 1)`.

A *part* is what one assignment sets: `m.x`, a field; `m.*`, the whole of `m`, be it a struct or a number. An expression
names `m.x`, a field, or `m`, all there is of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lem.syntax import ast
from lem.types import typed
from lem.types.context import Ctx
from lem.types.scope import Local
from lem_runtime.abi.records import dataclass


@dataclass(frozen=True, slots=True)
class _Assigned:
    """A part and what its new value is made of. `keeps`: it may also keep the old one (under a condition, in a loop)."""

    part: str
    made_of: frozenset[str]
    keeps: bool

    @property
    def name(self) -> str:
        return self.part.partition(".")[0]


Needs = dict[str, set[str]]  # what new values of a part, or of all of a name, are made of


def mark(ctx: Ctx, changed: list[Local], loop: ast.ForStmt) -> None:
    """Mark the locals in `changed` that depend on how the work is cut into blocks."""
    assigned = list(_assignments(ctx, loop.body))
    needs: Needs = {}
    for a in assigned:
        for place in (a.part, a.name):
            needs.setdefault(place, set()).update(a.made_of, {a.part} if a.keeps else ())
    block = {t.id for t in loop.targets}
    updated = {a.part for a in assigned if _uses(a.made_of, a.part)}
    counting = {part for part in updated if block.isdisjoint(_closure(needs, part))}
    for local in changed:
        for part in _parts(local):
            made_of = _closure(needs, part)
            if not _uses(made_of, part):
                local.overwritten = loop.targets[0].span
            elif part in counting or any(_uses(made_of, counter) for counter in counting):
                local.counts = loop.targets[0].span


def _parts(local: Local) -> list[str]:
    struct = local.var.type.dtype
    names = [name for name, _ in struct.fields] if isinstance(struct, typed.StructType) else ["*"]
    return [f"{local.name}.{name}" for name in names]


def _uses(made_of: Iterable[str], part: str) -> bool:
    """Whether something made of these names uses the old value of the part."""
    name, _, field = part.partition(".")
    if field == "*":
        return any(used.partition(".")[0] == name for used in made_of)
    return not {part, name, f"{name}.*"}.isdisjoint(made_of)


def _closure(needs: Needs, part: str) -> set[str]:
    """All that new values of a part are made of, by way of whatever."""
    reached: set[str] = set()
    todo = [part]
    while todo:
        place = todo.pop()
        whole = f"{place.partition('.')[0]}.*" if "." in place else place
        for found in (*needs.get(place, ()), *needs.get(whole, ())):
            if found not in reached:
                reached.add(found)
                todo.append(found)
    return reached


# ---------------------------------------------------------------- assignments
def _assignments(ctx: Ctx, stmts: Iterable[ast.Stmt], keeps: bool = False) -> Iterator[_Assigned]:
    for stmt in stmts:
        match stmt:
            case ast.Assign():
                for target in stmt.targets:
                    if isinstance(target, ast.Name):
                        yield from _set(ctx, target.id, stmt.value, frozenset(), keeps)
            case ast.AugAssign(target=ast.Name(id=name)):
                yield _Assigned(f"{name}.*", _used(stmt.value) | {name}, True)
            case ast.Declare(value=ast.Expr() as value):
                yield from _set(ctx, stmt.name.id, value, frozenset(), keeps)
            case ast.If():
                yield from _assignments(ctx, (*stmt.then, *stmt.orelse), True)
            case ast.While() | ast.ForStmt():
                yield from _assignments(ctx, stmt.body, True)


def _set(ctx: Ctx, name: str, value: ast.Node, chosen_by: frozenset[str], keeps: bool) -> Iterator[_Assigned]:
    """``name = value``: of a struct that is made here field by field, of a choice both sides."""
    if isinstance(value, ast.IfExpr):
        by = chosen_by | _used(value.cond)
        yield from _set(ctx, name, value.then, by, keeps)
        yield from _set(ctx, name, value.orelse, by, keeps)
        return
    fields = _fields_made(ctx, value)
    if fields is None:
        yield _Assigned(f"{name}.*", _used(value) | chosen_by, keeps)
        return
    for field, part in fields:
        yield _Assigned(f"{name}.{field}", _used(part) | chosen_by, keeps)


def _fields_made(ctx: Ctx, value: ast.Node) -> list[tuple[str, ast.Expr]] | None:
    """Fields and values of ``Best(x=..., n=...)``; None for anything else."""
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return None
    found = ctx.module.own.get(value.func.id) or ctx.module.imported.get(value.func.id)
    if found is None or not isinstance(found.node, ast.Struct):
        return None
    names = [field.name.id for field in found.node.fields]
    return [*zip(names, value.args, strict=False), *((k.name, k.value) for k in value.keywords)]


def _used(value: ast.Node) -> frozenset[str]:
    """The names in an expression, and the fields where only a field of a name is used."""
    out: set[str] = set()
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            out.add(f"{node.value.id}.{node.name}")
            continue
        if isinstance(node, ast.Name):
            out.add(node.id)
        stack.extend(ast.children(node))
    return frozenset(out)
