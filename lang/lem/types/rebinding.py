"""Names of arrays that change: ``a, b = b, a``, ``x = step(x)``, ``u = a`` (LANGUAGE 19).

A name that is assigned more than once in a task is a name of its own, which arrays are bound to: whole ones, those that
the task made or those that it got. What it may stand for is collected over the passes of the check (``passes.py``): whose
elements it may be, whether all of them may be written, and on which axes their sizes are not known to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lem.diagnostics.codes import E0205, E0301, E0306, E0331, E0401
from lem.source import Span
from lem.syntax import ast
from lem.types import typed
from lem.types.context import Ctx, NotYet
from lem.types.scope import Array, Broken, ScalarParam

Root = tuple[str, int]  # name and place of an array: the same in every pass


@dataclass(slots=True)
class NameFacts:
    """What a name may stand for."""

    roots: set[Root] = field(default_factory=set)
    varying: set[int] = field(default_factory=set)
    is_read_only: bool = False


def rebound_names(stmts: Iterable[ast.Stmt]) -> frozenset[str]:
    """Names that are assigned by more than one statement."""
    seen: set[str] = set()
    again: set[str] = set()
    for stmt in stmts:
        for node in ast.walk(stmt):
            match node:
                case ast.Assign():
                    names = [t.id for t in node.targets if isinstance(t, ast.Name)]
                case ast.Declare():
                    names = [node.name.id]
                case _:
                    continue
            again.update(n for n in names if n in seen)
            seen.update(names)
    return frozenset(again)


def is_rebound(ctx: Ctx, name: str) -> bool:
    return name in ctx.rebound


def root_of(var: typed.ArrayVar) -> Root:
    return var.name, var.span.start


def roots_of(ctx: Ctx, var: typed.ArrayVar) -> set[Root]:
    """Arrays that an array without a base may be."""
    return ctx.facts_of_name[var].roots if var.kind == "name" else {root_of(var)}


def owners(ctx: Ctx, var: typed.ArrayVar) -> list[typed.ArrayVar]:
    """Parameters whose elements an array may name, or the array itself."""
    root = var.root
    if root.kind != "name":
        return [root]
    roots = roots_of(ctx, root)
    return [p for p in ctx.arrays if p.kind == "param" and root_of(p) in roots]


def bind(ctx: Ctx, span: Span, targets: Sequence[ast.Name], arrays: Sequence[Array]) -> list[typed.Stmt]:
    """Let names stand for arrays, all at once."""
    names = [_name_for(ctx, t, a) for t, a in zip(targets, arrays, strict=True)]
    if any(n is None for n in names):
        return []
    made = [n for n in names if n is not None]
    for name, target, array in zip(made, targets, arrays, strict=True):
        if not _fits(ctx, name, target, array):
            return []
    for name in made:
        ctx.assign(name.var)
    return [typed.Bind(span, tuple(n.var for n in made), tuple(a.var for a in arrays))]


def _name_for(ctx: Ctx, target: ast.Name, array: Array) -> Array | None:
    """The name that a target is, made where it is new; None when it cannot be rebound."""
    found = ctx.find(target.id)
    if found is None or isinstance(found, Broken):
        return _new_name(ctx, target, array, ctx.name_facts.setdefault(id(target), NameFacts()))
    if isinstance(found, Array) and found.var.kind == "name":
        return found
    if isinstance(found, ScalarParam) or (isinstance(found, Array) and found.var.kind == "param"):
        ctx.diags.error(
            E0401, target.span, f"`{target.id}` is a parameter and keeps what it got",
            also=[(found.span, "declared here")],
            help=f"the caller has its own name for it, which would not change: give it another one, `u = {target.id}`",
        )  # fmt: skip
        return None
    ctx.diags.error(
        E0205, target.span, f"`{target.id}` has another meaning here", also=[(found.span, "declared here")],
        help="take another name for the array",
    )  # fmt: skip
    return None


def _new_name(ctx: Ctx, target: ast.Name, array: Array, facts: NameFacts) -> Array:
    of = array.var
    effect = "read" if facts.is_read_only else "inout"
    forms = tuple(None if n in facts.varying else form for n, form in enumerate(array.sizes))
    shape = tuple(None if form is None else form.to_size() for form in forms)
    var = typed.ArrayVar(target.id, of.dtype, shape, "name", effect, target.span, layout=of.layout)
    name = Array(var, forms)
    ctx.facts_of_name[var] = facts
    ctx.arrays[var] = forms
    ctx.scopes.add_array(name)
    return name


def _fits(ctx: Ctx, name: Array, target: ast.Name, array: Array) -> bool:
    """Whether a name may stand for an array; notes what follows for the name."""
    have, new = name.var, array.var
    if have.dtype != new.dtype or len(have.shape) != len(new.shape):
        code = E0301 if have.dtype != new.dtype else E0306
        ctx.diags.error(
            code, target.span, f"`{name.name}` names {_kind(have)}, and this is {_kind(new)}",
            also=[(name.span, f"`{name.name}` begins here")], help="take another name",
        )  # fmt: skip
        return False
    if new.base is not None or new.effect == "reduce":
        raise NotYet("names that change, for parts of arrays and `reduce` arrays", target.span)
    if have.layout != new.layout:
        ctx.diags.error(
            E0331, target.span,
            f"`{name.name}` names arrays that are {_laid_out(have)}, and `{array.name}` is {_laid_out(new)}",
            also=[(name.span, f"`{name.name}` begins here"), (array.span, f"`{array.name}` is declared here")],
            help="declare both with one layout, or take another name",
        )  # fmt: skip
        return False
    facts = ctx.facts_of_name[have]
    before = len(facts.roots), len(facts.varying), facts.is_read_only
    facts.roots |= roots_of(ctx, new)
    facts.is_read_only |= new.effect == "read"
    for axis, (old, size) in enumerate(zip(name.sizes, array.sizes, strict=True)):
        if old is None or size is None or not ctx.facts.prove_eq(old, size):
            facts.varying.add(axis)
    if before != (len(facts.roots), len(facts.varying), facts.is_read_only):
        ctx.needs_restart = True
    return True


def _kind(var: typed.ArrayVar) -> str:
    n = len(var.shape)
    return f"an array of {var.dtype} with {n} {'axis' if n == 1 else 'axes'}"


def _laid_out(var: typed.ArrayVar) -> str:
    return f"`.{var.layout}`" if var.layout else "declared without a layout"


def held(ctx: Ctx, span: Span, name: str, array: Array, out: list[typed.Stmt]) -> Array:
    """An array that stays the one it is now, though its name may change."""
    if array.var.kind != "name":
        return array
    target = ast.Name(span, name)
    key = ctx.name_facts.setdefault(("held", span.start), NameFacts())
    made = _new_name(ctx, target, array, key)
    _fits(ctx, made, target, array)
    ctx.assign(made.var)
    out.append(typed.Bind(span, (made.var,), (array.var,)))
    return made


# ---------------------------------------------------------------- assignments of arrays
def check_assigned(ctx: Ctx, node: ast.Assign) -> list[typed.Stmt] | None:
    """``u = a`` and ``a, b = b, a`` for arrays in tasks; None when something else is assigned."""
    if ctx.kind not in ("task", "test") or ctx.grid is not None:
        return None
    values = node.value.items if isinstance(node.value, ast.TupleExpr) else (node.value,)
    found = [ctx.find(v.id) if isinstance(v, ast.Name) else None for v in values]
    arrays = [a for a in found if isinstance(a, Array) and a.var.shape]
    if not arrays or len(arrays) < len(found) or len(node.targets) != len(arrays):
        return None
    targets = [t for t in node.targets if isinstance(t, ast.Name)]
    if len(targets) < len(arrays):
        return None
    changes = is_rebound(ctx, targets[0].id) or arrays[0].var.root.kind == "name"
    if len(targets) == 1 and ctx.find(targets[0].id) is None and not changes:
        ctx.scopes.add(arrays[0], targets[0].id)  # one more name for the same array
        return []
    return bind(ctx, node.span, targets, arrays)
