"""Names of arrays that change: ``a, b = b, a``, ``x = step(x)``, ``u = a`` (LANGUAGE 19).

A name that is assigned more than once in a task is a name of its own, which arrays are bound to: those that the task made
or those that it got, whole or in part. What it may stand for is collected over the passes of the check (``passes.py``):
whose elements it may be, whether all of them may be written, on which axes their sizes are not known to agree. A name of
parts carries along, in locals, which part it stands for, so that shared elements are found exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field

from lem.diagnostics.codes import E0205, E0301, E0306, E0331, E0401, E0405
from lem.source import Span
from lem.syntax import ast
from lem.types import typed
from lem.types.context import Ctx
from lem.types.scope import Array, Broken, ScalarParam
from lem_runtime.abi.dtypes import BOOL, I64
from lem_runtime.abi.records import dataclass

I64_TYPE = typed.ValueType(I64)
Root = tuple[str, int]  # name and place of an array: the same in every pass


@dataclass(slots=True)
class NameFacts:
    """What a name may stand for. Of parts: the most axes that one of their arrays has, which of them they may keep, and how
    they may be laid out."""

    roots: set[Root] = field(default_factory=set)
    varying: set[int] = field(default_factory=set)
    is_read_only: bool = False
    is_part: bool = False
    n_axes: int = 0
    kept: set[tuple[int, ...]] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)

    def known(self) -> tuple[object, ...]:
        """Grows with what is found."""
        sets = (self.roots, self.varying, self.kept, self.orders)
        return self.is_read_only, self.is_part, self.n_axes, *(len(s) for s in sets)


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
    return name in ctx.rebound or name in ctx.renamed


def root_of(var: typed.ArrayVar) -> Root:
    return var.name, var.span.start


def roots_of(ctx: Ctx, var: typed.ArrayVar) -> set[Root]:
    """Arrays that an array without a base may be."""
    return ctx.facts_of_name[var].roots if var.kind == "name" else {root_of(var)}


def is_of_parameter(ctx: Ctx, var: typed.ArrayVar) -> bool:
    """Whether an array's elements may be a parameter's."""
    return any(owner.kind == "param" for owner in owners(ctx, var))


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
    bound = tuple(n.var for n in made), tuple(a.var for a in arrays)
    return [*_note_parts(span, *bound), typed.Bind(span, *bound)]


def _note_parts(span: Span, names: Sequence[typed.ArrayVar], arrays: Sequence[typed.ArrayVar]) -> list[typed.Stmt]:
    """Let the locals of names of parts say which these are; all at once, as the names are bound."""
    locals_: list[typed.LocalVar] = []
    values: list[typed.Expr] = []
    for name, array in zip(names, arrays, strict=True):
        if name.part is None:
            continue
        locals_ += name.part.locals()
        for what in ("first", "count", "step"):
            values += [typed.PartOf(span, I64_TYPE, array, what, n) for n in range(len(name.part.firsts))]
        dynamic = any(isinstance(k, typed.LocalVar) for k in name.part.kept)
        values += [typed.PartOf(span, I64_TYPE, array, "kept", n) for n in range(len(name.shape)) if dynamic]
    return [typed.SetLocals(span, tuple(locals_), tuple(values))] if locals_ else []


def _name_for(ctx: Ctx, target: ast.Name, array: Array) -> Array | None:
    """The name that a target is, made where it is new; None when it cannot be rebound."""
    found = ctx.find(target.id)
    if found is None or isinstance(found, Broken):
        return _new_name(ctx, target, array, ctx.name_facts.setdefault(id(target), NameFacts()))
    if isinstance(found, Array) and found.var.kind == "name":
        return found
    if isinstance(found, Array) and is_result(ctx, found):
        rename(ctx, found)
        return None
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


# ---------------------------------------------------------------- results of tasks
def is_result(ctx: Ctx, array: Array) -> bool:
    """Whether an array is a result of this task, which is a name like that of a local: it stands for what is returned."""
    return ctx.kind == "task" and array.var.effect == "result" and bool(array.var.shape) and array.var.base is None


def rename(ctx: Ctx, array: Array) -> None:
    """Let the name of a result stand for other arrays too. The caller's array is what it stands for first, and gets what it
    stands for in the end."""
    ctx.renamed.add(array.name)
    ctx.needs_restart = True


def name_results(ctx: Ctx) -> tuple[list[typed.Stmt], list[tuple[Array, typed.ArrayVar]]]:
    """Names for the results that are renamed, bound where the body begins."""
    found = [e for e in map(ctx.find, sorted(ctx.renamed)) if isinstance(e, Array)]
    named = []
    for array in found:
        target = ast.Name(array.span, array.name)
        name = _new_name(ctx, target, array, ctx.name_facts.setdefault(("result", array.name), NameFacts()))
        _fits(ctx, name, target, array)
        ctx.assign(name.var)
        named.append((name, array.var))
    out = [s for name, var in named for s in (*_note_parts(var.span, (name.var,), (var,)),
                                              typed.Bind(var.span, (name.var,), (var,)))]  # fmt: skip
    return out, named


def give_back(ctx: Ctx, named: Sequence[tuple[Array, typed.ArrayVar]]) -> tuple[typed.Stmt, ...]:
    """What each name of a result stands for in the end, in the caller's array. Two of them may have been exchanged: then
    all are copied before one is written."""
    out: list[typed.Stmt] = [s for name, result in named for s in _require_sizes(ctx, name, result)]
    sources = [name.var for name, _ in named]
    if len(named) > 1:
        copies = [typed.ArrayVar(r.name, r.dtype, r.shape, "temp", "inout", r.span, layout=r.layout) for _, r in named]
        for copy, source in zip(copies, sources, strict=True):
            sizes = tuple(typed.ArraySize(copy.span, I64_TYPE, source, n) for n in range(len(copy.shape)))
            out += [typed.MakeArray(copy.span, copy, sizes, None), typed.Fill(copy.span, copy, source)]
        sources = copies
    out += [typed.Fill(r.span, r, source) for (_, r), source in zip(named, sources, strict=True)]
    return tuple(out)


def _require_sizes(ctx: Ctx, name: Array, result: typed.ArrayVar) -> list[typed.Stmt]:
    out: list[typed.Stmt] = []
    for axis, (have, want) in enumerate(zip(name.sizes, ctx.arrays[result], strict=True)):
        if have is not None and want is not None and ctx.start.prove_eq(have, want):
            continue
        sizes = [typed.ArraySize(result.span, I64_TYPE, var, axis) for var in (name.var, result)]
        same = typed.Compare(result.span, typed.ValueType(BOOL), "eq", *sizes)
        text = f"axis {axis} of the result `{result.name}` has size {{1}}, and what it stands for in the end has {{0}}"
        out.append(typed.Require(result.span, same, "E0605", text, tuple(sizes)))
    return out


def _new_name(ctx: Ctx, target: ast.Name, array: Array, facts: NameFacts) -> Array:
    of = array.var
    effect = of.effect if of.effect == "reduce" else "read" if facts.is_read_only else "inout"
    forms = tuple(None if n in facts.varying else form for n, form in enumerate(array.sizes))
    shape = tuple(None if form is None else form.to_size() for form in forms)
    layout = of.layout
    if facts.is_part:
        layout = next(iter(facts.orders)) if len(facts.orders) == 1 else ""
    part = _part_locals(target, facts) if facts.is_part and ctx.kind != "test" else None
    var = typed.ArrayVar(target.id, of.dtype, shape, "name", effect, target.span, of.reduce_op, layout, part=part)
    name = Array(var, forms)
    ctx.facts_of_name[var] = facts
    ctx.arrays[var] = forms
    ctx.scopes.add_array(name)
    return name


def _part_locals(target: ast.Name, facts: NameFacts) -> typed.PartLocals:
    def made(what: str, n: int) -> tuple[typed.LocalVar, ...]:
        return tuple(typed.LocalVar(f"{target.id}.{what}{k}", I64_TYPE, target.span) for k in range(n))

    (one, *others) = facts.kept
    kept: tuple[int, ...] | tuple[typed.LocalVar, ...] = made("axis", len(one)) if others else one
    return typed.PartLocals(made("first", facts.n_axes), made("count", facts.n_axes), made("step", facts.n_axes), kept)


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
    facts = ctx.facts_of_name[have]
    if not (_updated_alike(ctx, name, target, array) and _laid_out_alike(ctx, facts, name, target, array)):
        return False
    before = facts.known()
    facts.roots |= roots_of(ctx, new.root)
    facts.is_read_only |= new.effect == "read"
    _note_part(ctx, facts, array)
    for axis, (old, size) in enumerate(zip(name.sizes, array.sizes, strict=True)):
        if old is None or size is None or not ctx.facts.prove_eq(old, size):
            facts.varying.add(axis)
    if before != facts.known():
        ctx.needs_restart = True
    return True


def _note_part(ctx: Ctx, facts: NameFacts, array: Array) -> None:
    """Which part of which array the name may stand for by this."""
    var, root = array.var, array.var.root
    of = ctx.facts_of_name.get(root)
    facts.is_part |= var.base is not None or (of is not None and of.is_part)
    facts.n_axes = max(facts.n_axes, len(root.shape) if of is None else of.n_axes)
    own = array.kept if array.box else tuple(range(len(var.shape)))
    places = {tuple(range(len(root.shape)))} if of is None else of.kept
    facts.kept |= {tuple(place[n] for n in own) for place in places}
    facts.orders.add(var.layout if var.layout in ("aos", "soa") else var.order)


def _updated_alike(ctx: Ctx, name: Array, target: ast.Name, array: Array) -> bool:
    """A name of `reduce` arrays stands for such arrays alone: others are read and written at any time."""
    have, new = name.var, array.var
    if (have.effect == "reduce") == (new.effect == "reduce") and have.reduce_op == new.reduce_op:
        return True
    ctx.diags.error(
        E0405, target.span, f"`{name.name}` names {_effect_of(have)}, and `{array.name}` is {_effect_of(new, 'one')}",
        also=[(name.span, f"`{name.name}` begins here"), (array.span, f"`{array.name}` is declared here")],
        help="take another name",
    )  # fmt: skip
    return False


def _effect_of(var: typed.ArrayVar, what: str = "arrays") -> str:
    return f"`reduce({var.reduce_op})`" if var.effect == "reduce" else f"{what} that {'is' if what == 'one' else 'are'} none"


def _laid_out_alike(ctx: Ctx, facts: NameFacts, name: Array, target: ast.Name, array: Array) -> bool:
    """Whole arrays of one name have one layout; of parts it need not be known."""
    have, new = name.var, array.var
    if have.layout == new.layout or new.base is not None or facts.is_part or new.part is not None:
        return True
    ctx.diags.error(
        E0331, target.span,
        f"`{name.name}` names arrays that are {_laid_out(have)}, and `{array.name}` is {_laid_out(new)}",
        also=[(name.span, f"`{name.name}` begins here"), (array.span, f"`{array.name}` is declared here")],
        help="declare both with one layout, or take another name",
    )  # fmt: skip
    return False


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
    out += [*_note_parts(span, (made.var,), (array.var,)), typed.Bind(span, (made.var,), (array.var,))]
    return made
