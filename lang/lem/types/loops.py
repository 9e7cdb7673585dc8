"""Loops as statements: ``grid``, ``tiles``, ``range``, ``while`` (LANGUAGE 5, 10, 11, 12).

Takes AST loops; gives typed loops, with the facts that their ranges give, and reports races between the elements of a grid.
"""

from __future__ import annotations

from lem.diagnostics.codes import E0202, E0307, E0310, E0319, E0322, E0323, E0402, E0403, E0409
from lem.syntax import ast
from lem.types import carried, claims, domains, expressions, flow, integers, subscripts, typed
from lem.types.context import Ctx, Flow, Grid
from lem.types.convert import const, is_error
from lem.types.linear import Lin, equal
from lem.types.races import Access, Conflict, find_conflicts
from lem.types.scope import Dim, Index
from lem.types.targets import named_targets
from lem_runtime.abi import sizes
from lem_runtime.abi.dtypes import I64


def check_for(ctx: Ctx, node: ast.ForStmt) -> list[typed.Stmt]:
    domain = node.domain
    name = domain.func.id if isinstance(domain, ast.Call) and isinstance(domain.func, ast.Name) else ""
    if isinstance(domain, ast.Call):
        match name:
            case "grid":
                return _check_grid(ctx, node, domain)
            case "tiles":
                return _check_tiles(ctx, node, domain)
            case "range":
                return _check_range(ctx, node, domain)
    how = _as_range(ctx, domain) or "write `for i in range(n):`, `for i in grid(N):` or `for k in tiles(K):`"
    ctx.diags.error(E0323, domain.span, "a loop runs over `grid(...)`, `tiles(...)` or `range(...)`", help=how)
    _skip(ctx, node)
    return []


def _as_range(ctx: Ctx, domain: ast.Expr) -> str | None:
    """How the loop is written that a dimension, or a slice of one, was given for."""
    whole = domain.value if isinstance(domain, ast.Subscript) else domain
    if not isinstance(whole, ast.Name) or not isinstance(ctx.find(whole.id), Dim):
        return None
    bounds = whole.id
    if isinstance(domain, ast.Subscript):
        cut = domain.items[0]
        if len(domain.items) != 1 or not isinstance(cut, ast.Slice) or cut.step is not None:
            return None
        lo, hi = (_from_front(whole.id, b) for b in (cut.lo, cut.hi))
        bounds = f"{lo}, {hi or whole.id}" if lo else hi or whole.id
    at_once = "" if ctx.grid is not None else f", or `grid({domain.span.text})` for all at once"
    return f"write `range({bounds})`{at_once}"


def _from_front(dim: str, bound: ast.Expr | None) -> str:
    """The bound of a slice as one of `range`: there a negative number does not count from the end."""
    text = bound.span.text if bound is not None else ""
    return f"{dim} - {text[1:]}" if text.startswith("-") and text[1:].isdecimal() else text


def _skip(ctx: Ctx, node: ast.ForStmt) -> None:
    """Check the body of a loop that was reported, with its variables poisoned."""
    with ctx.scope():
        for target in node.targets:
            domains.poison(ctx, target)
        _body(ctx, node, node.body)


def _body(ctx: Ctx, node: ast.Stmt, body: tuple[ast.Stmt, ...]) -> tuple[tuple[typed.Stmt, ...], list[Flow]]:
    """The body of a sequential loop. Gives the flows of its `break`s too."""
    ctx.loops = (*ctx.loops, node)
    ctx.break_flows.append([])
    facts_before = ctx.facts
    if flow.can_leave(body):
        ctx.facts = ctx.facts.under_unknown()
    out = ctx.block(body)
    ctx.facts = facts_before
    ctx.loops = ctx.loops[:-1]
    return out, ctx.break_flows.pop()


# ---------------------------------------------------------------- range, while
def _check_range(ctx: Ctx, node: ast.ForStmt, call: ast.Call) -> list[typed.Stmt]:
    target = domains.one_target(ctx, node.targets, "`range`")
    made = domains.check_range(ctx, call, is_loop=True)
    if target is None or made is None:
        _skip(ctx, node)
        return []
    if not _plain(ctx, call, made):
        _skip(ctx, node)
        return []
    changed = flow.locals_of(ctx, flow.assigned_names(node.body))
    before, outer = ctx.flow, ctx.facts
    flow.forget(ctx, changed)
    with ctx.scope():
        index = domains.bind(ctx, target, "loop", made)
        if index is None:
            domains.poison(ctx, target)
        else:
            ctx.turns[node] = equal(index.value, made.lo) if _is_known(made) else None
        body, breaks = _body(ctx, node, node.body)
    ctx.facts = outer
    flow.forget(ctx, changed)
    ctx.flow = _after_range(ctx, made, before, breaks)
    return [] if index is None else [typed.ForRange(node.span, index.var, made.domain, body)]


def _is_known(made: domains.Range) -> bool:
    """Whether its bounds follow from sizes, scalars and other loops alone."""
    return all(s.kind != "fresh" for bound in (made.lo, made.hi) for s, _ in bound.terms)


def _plain(ctx: Ctx, call: ast.Call, made: domains.Range) -> bool:
    """Bounds of a loop statement are numbers of the element, without value axes."""
    if domains.no_axes(made):
        return True
    names = ", ".join(f"`{a.name}`" for a in sorted(made.axes, key=lambda a: a.name))
    ctx.diags.error(E0310, call.span, f"the bounds of a loop differ along {names}", help="reduce them first")
    return False


def _after_range(ctx: Ctx, made: domains.Range, before: Flow, breaks: list[Flow]) -> Flow:
    """What is assigned after the loop: of its body only when it certainly runs, which literal bounds tell."""
    runs = made.lo.is_const and made.hi.is_const and (made.hi.const - made.lo.const) * made.domain.step > 0
    if not runs:
        return Flow(before.assigned, before.live)
    after = ctx.flow
    for one in breaks:
        after = after.join(one)
    if not after.live:  # every way leaves the function, or goes on with the next round
        return Flow(before.assigned, before.live)
    return after


def check_while(ctx: Ctx, node: ast.While) -> list[typed.Stmt]:
    changed = flow.locals_of(ctx, flow.assigned_names(node.body))
    flow.forget(ctx, changed)
    before, outer = ctx.flow, ctx.facts
    with ctx.not_ahead("assign its result to a local, before the loop and again at the end of its body"):
        cond = expressions.check_condition(ctx, node.cond, "`while`")
    if cond.type.axes:
        names = ", ".join(f"`{a.name}`" for a in sorted(cond.type.axes, key=lambda a: a.name))
        ctx.diags.error(
            E0310, node.cond.span, f"the condition of `while` differs along {names}",
            help="reduce it first: `while any(c, over=...)`",
        )  # fmt: skip
    with ctx.assuming(integers.assume(ctx, outer, cond).under_unknown()):
        body, breaks = _body(ctx, node, node.body)
    flow.forget(ctx, changed)
    endless = isinstance(cond, typed.Const) and bool(cond.value) and not is_error(cond)
    if endless:
        after = Flow(before.assigned, False)
        for one in breaks:
            after = after.join(one)
        ctx.flow = after
    else:
        ctx.flow = before
    return [] if is_error(cond) else [typed.While(node.span, cond, body)]


# ---------------------------------------------------------------- tiles
def _check_tiles(ctx: Ctx, node: ast.ForStmt, call: ast.Call) -> list[typed.Stmt]:
    if ctx.kind in ("task", "test"):
        ctx.diags.error(E0409, call.span, f"a {ctx.kind} has no `tiles` loops", help="write a kernel that does this")
        return []
    target = domains.one_target(ctx, node.targets, "`tiles`")
    hints = _tiles_arguments(ctx, call)
    made = domains.check_domain(ctx, call.args[0], "tiles") if call.args else None
    if target is None or made is None or hints is None:
        if not call.args:
            ctx.diags.error(E0307, call.span, "`tiles` needs the dimension it cuts", help="write `tiles(K)`")
        _skip(ctx, node)
        return []
    if not _plain(ctx, call, made) or made.domain.step != 1:
        if made.domain.step != 1:
            ctx.diags.error(E0323, call.args[0].span, "`tiles` cuts a range without gaps", help="use a step of 1")
        _skip(ctx, node)
        return []
    changed = flow.locals_of(ctx, flow.assigned_names(node.body))
    before, outer, axes = ctx.flow, ctx.facts, ctx.axes
    flow.forget(ctx, changed)
    with ctx.scope(is_home=True):
        index = domains.bind(ctx, target, "tiles", made)
        if index is None:
            domains.poison(ctx, target)
        elif index.var.axis is not None:
            ctx.axes |= {index.var.axis}
        body, _ = _body(ctx, node, node.body)
    ctx.facts, ctx.axes = outer, axes
    flow.forget(ctx, changed)
    ctx.flow = Flow(before.assigned, before.live)
    carried.mark(ctx, changed, node)
    block, pipeline, choices = hints
    return [] if index is None else [typed.ForTiles(node.span, index.var, made.domain, block, body, pipeline, choices)]


def _tiles_arguments(ctx: Ctx, call: ast.Call) -> tuple[typed.Expr | None, int, tuple[int, ...]] | None:
    """Block size (the first of the choices), pipeline depth, and choices of the block size."""
    if len(call.args) > 2:
        ctx.diags.error(E0307, call.args[2].span, "`tiles` takes a dimension and a block size")
        return None
    block: typed.Expr | None = None
    choices: tuple[int, ...] = ()
    if len(call.args) == 2 and _is_tuning(call.args[1]):
        found = _choices(ctx, call.args[1])
        if found is None:
            return None
        choices, block = found, const(call.args[1].span, found[0], I64)
    elif len(call.args) == 2:
        block = expressions.check_int(ctx, call.args[1], "a block size")
        if is_error(block):
            return None
        form = integers.linear(ctx, block)
        if form is not None and form.is_const and form.const < 1:
            ctx.diags.error(E0323, call.args[1].span, "a block has at least 1 element")
            return None
    pipeline = 1
    for keyword in call.keywords:
        if keyword.name != "pipeline" or not isinstance(keyword.value, ast.Number):
            ctx.diags.error(E0307, keyword.span, "`tiles` takes `pipeline=n` with a literal n, and nothing else by name")
            return None
        pipeline = int(keyword.value.value)
    return block, pipeline, choices


def _is_tuning(node: ast.Expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tune"


def _choices(ctx: Ctx, node: ast.Expr) -> tuple[int, ...] | None:
    """``tune(32, 64)``: sizes that a tuner may choose among, the first one until it has; None when reported."""
    assert isinstance(node, ast.Call)
    sizes = [_literal_size(a) for a in node.args]
    if not sizes or None in sizes or node.keywords:
        label = "`tune` takes the sizes to choose among: literals above 0"
        ctx.diags.error(E0307, node.span, label, help="write `tune(32, 64)`")
        return None
    return tuple(s for s in sizes if s is not None)


def _literal_size(node: ast.Expr) -> int | None:
    return node.value if isinstance(node, ast.Number) and isinstance(node.value, int) and node.value >= 1 else None


# ---------------------------------------------------------------- grid
def _check_grid(ctx: Ctx, node: ast.ForStmt, call: ast.Call) -> list[typed.Stmt]:
    if not _grid_allowed(ctx, call):
        return []
    ranges = _grid_ranges(ctx, node, call)
    hint = _tile_hint(ctx, call, len(node.targets))
    if ranges is None or hint is None:
        _skip(ctx, node)
        return []
    before, outer = ctx.flow, ctx.facts
    with ctx.scope(is_home=True):
        indices = [domains.bind(ctx, t, "grid", r) for t, r in zip(node.targets, ranges, strict=True)]
        for target, index in zip(node.targets, indices, strict=True):
            if index is None:
                domains.poison(ctx, target)
        bound = tuple(i for i in indices if i is not None)
        grid = ctx.grid = Grid(call.span, outer, bound)
        breaks, ctx.break_flows = ctx.break_flows, []
        body = ctx.block(node.body)
        ctx.break_flows, ctx.grid = breaks, None
    ctx.facts = outer
    ctx.flow = Flow(before.assigned, before.live)
    _report_conflicts(ctx, grid, bound)
    tests = claims.tests_before(ctx, grid)
    if len(bound) < len(indices):
        return []
    tile, by_target = hint
    first = tuple(sizes[0] for sizes in tile)
    choices = tile if any(len(sizes) > 1 for sizes in tile) else ()
    spans = tuple(r.domain for r in ranges)
    return [*tests, typed.ForGrid(node.span, tuple(i.var for i in bound), spans, first, body, choices, by_target)]


def _grid_allowed(ctx: Ctx, call: ast.Call) -> bool:
    if ctx.grid is not None:
        ctx.diags.error(
            E0322, call.span, "a grid inside a grid", also=[(ctx.grid.span, "this is the outer one")],
            help="let one grid span both: `for i, j in grid(M, N):`; inside it loops are `range` or `tiles`",
        )  # fmt: skip
        return False
    if ctx.kind in ("task", "test"):
        ctx.diags.error(E0409, call.span, f"a {ctx.kind} has no grids", help="write a kernel that has, and call it")
        return False
    if ctx.kind == "fn":
        ctx.diags.error(E0319, call.span, "an fn is code for one element and has no grids", help="use `range`")
        return False
    return True


def _grid_ranges(ctx: Ctx, node: ast.ForStmt, call: ast.Call) -> list[domains.Range] | None:
    if len(call.args) != len(node.targets):
        span = node.targets[0].span.to(node.targets[-1].span)
        n, m = len(node.targets), len(call.args)
        ctx.diags.error(
            E0322, span, f"{n} {'variable' if n == 1 else 'variables'} for {m} {'range' if m == 1 else 'ranges'}",
            also=[(call.span, "of this grid")], help=_ranges_help(call),
        )  # fmt: skip
        return None
    own = {t.id for t in node.targets}
    out: list[domains.Range] = []
    for arg in call.args:
        used = next((n for n in ast.walk(arg) if isinstance(n, ast.Name) and n.id in own and ctx.find(n.id) is None), None)
        if used is not None:
            ctx.diags.error(
                E0322, used.span, f"the range depends on `{used.id}`, a variable of the same grid",
                help="run over the whole box and guard the body: `if j <= i:`",
            )  # fmt: skip
            return None
        made = domains.check_domain(ctx, arg, "grid")
        if made is None or not _plain(ctx, call, made):
            return None
        out.append(made)
    return out


def _ranges_help(call: ast.Call) -> str | tuple[()]:
    """For ``grid(x.shape)`` and ``grid((M, N))``, which is how shapes are written elsewhere."""
    packed = len(call.args) == 1 and isinstance(call.args[0], ast.TupleExpr | ast.Attribute)
    return "each range is an argument of its own, and a dimension: `grid(M, N)`" if packed else ()


Sizes = tuple[tuple[int, ...], ...]  # the choices for each variable, most often one; () where nothing is said


def _tile_hint(ctx: Ctx, call: ast.Call, n: int) -> tuple[Sizes, tuple[tuple[str, Sizes], ...]] | None:
    """``tile=(64, 128)``, ``tile=(tune(32, 64), 128)``, ``tile={cpu: (6, 64), gpu: (128, 128)}``: for every target, and by
    target. None when reported."""
    for keyword in call.keywords:
        if keyword.name != "tile":
            ctx.diags.error(E0307, keyword.name_span, f"`grid` takes `tile=`, not `{keyword.name}=`")
            return None
        if isinstance(keyword.value, ast.Choices):
            by_target = _by_target(ctx, keyword.value, n)
            return None if by_target is None else ((), by_target)
        sizes = _tile_sizes(ctx, keyword.value, n)
        return None if sizes is None else (sizes, ())
    return (), ()


def _by_target(ctx: Ctx, node: ast.Choices, n: int) -> tuple[tuple[str, Sizes], ...] | None:
    out: dict[str, Sizes] = {}
    broad: dict[str, Sizes] = {}  # of kinds: the name of a target is narrower, and wins
    given: dict[str, ast.Choice] = {}
    for item in node.items:
        targets, sizes = named_targets(ctx, ast.Name(item.name_span, item.name)), _tile_sizes(ctx, item.value, n)
        if item.name in given:
            first = [(given[item.name].name_span, "here")]
            ctx.diags.error(E0202, item.name_span, f"`{item.name}` is already given", also=first)
            return None
        given[item.name] = item
        if targets is None or sizes is None:
            return None
        (broad if len(targets) > 1 else out).update(dict.fromkeys(targets, sizes))
    return tuple(sorted({**broad, **out}.items()))


def _tile_sizes(ctx: Ctx, value: ast.Expr, n: int) -> Sizes | None:
    items = value.items if isinstance(value, ast.TupleExpr) else (value,)
    if len(items) != n:
        ctx.diags.error(E0322, value.span, f"{len(items)} tile sizes for {n} variables")
        return None
    sizes: list[tuple[int, ...]] = []
    for item in items:
        size = _literal_size(item)
        found = (size,) if size is not None else _choices(ctx, item) if _is_tuning(item) else ()
        if not found:
            if found is not None:
                ctx.diags.error(E0322, item.span, "a tile size is a literal above 0, or `tune(...)`")
            return None
        sizes.append(found)
    return tuple(sizes)


def _report_conflicts(ctx: Ctx, grid: Grid, indices: tuple[Index, ...]) -> None:
    syms = [i.value.only_sym for i in indices]
    accesses = _without_early_reads(ctx, grid)
    for conflict in find_conflicts(ctx.symbols, grid.outer, [s for s in syms if s is not None], accesses):
        _report_conflict(ctx, grid, conflict)


def _without_early_reads(ctx: Ctx, grid: Grid) -> list[Access]:
    """Report reads of `reduce` temporaries that stand before their update in the text; gives the other accesses."""
    updated = {id(a.array) for a in grid.accesses if a.kind == "update"}
    early = [a for a in grid.accesses if a.kind == "read" and id(a.array) in updated]
    for a in early:
        assert isinstance(a.array, typed.ArrayVar)
        subscripts.refuse_reduce(ctx, a.span, a.array)
    return [a for a in grid.accesses if a not in early]


def _ways_to_write(grid: Grid, write: Access) -> list[str]:
    """A sum, or, for a place that is looked up and not read in the grid, the claim that all places differ."""
    name = write.name
    add = f"to add up, declare `{name}` as `reduce(+)` and write `{name}[...] += value`, or `sum(... for ...)`"
    is_read = any(a.array is write.array and a.kind == "read" for a in grid.accesses)
    found = next((text for form in write.subs if isinstance(form, Lin) and (text := _element_text(form))), "")
    if is_read or not found:
        return [add]
    array, _, rest = found.partition("[")
    return [f"if no two elements write the same place, claim it: write `unique({array})[{rest}` for `{found}`", add]


def _computed(grid: Grid, *accesses: Access) -> str:
    """A subscript that each element calculates in a way that is not followed, `i ^ stride`; "" where there is none."""
    start = min((index.value.only_sym.uid for index in grid.indices if index.value.only_sym is not None), default=0)
    syms = (sym for a in accesses for form in a.subs if isinstance(form, Lin) for sym in form.leaves())
    return next((sym.name for sym in syms if sym.is_unknown and sym.uid > start and not sym.name.endswith("]")), "")


def _ways_to_write_computed(grid: Grid, write: Access, place: str) -> list[str]:
    """A claim about the places, where they can be calculated before, or an order; a sum where it is one."""
    order = "let one element follow the other: `range` in place of `grid`"
    reads = [a.subs for a in grid.accesses if a.array is write.array and a.kind == "read"]
    if reads:
        return [*_ways_to_write(grid, write), order] if all(subs == write.subs for subs in reads) else [order]
    if not any(isinstance(form, Lin) and form.only_sym is not None and form.show() == place for form in write.subs):
        return [order]
    indices = ", ".join(index.name for index in grid.indices)
    claim = (
        f"if no two elements write the same place, claim it: let a grid before this one fill an array, "
        f"`at[{indices}] = {place}`, and write `unique(at)[{indices}]` for `{place}`"
    )
    return [claim, order]


def _element_text(form: Lin) -> str:
    """The text of a subscript that is one element of an array, ``idx[i]``; "" for any other."""
    sym = form.only_sym
    return sym.name if sym is not None and sym.kind == "fresh" and sym.name.endswith("]") else ""


def _report_conflict(ctx: Ctx, grid: Grid, conflict: Conflict) -> None:
    first, second = conflict.first, conflict.second
    name = first.name
    place = "" if conflict.certain else _computed(grid, first, second)
    note = f"whether `{place}` is the same for two elements is not decided" if place else ()
    if conflict.kind == "write-write":
        label = conflict.example or "two elements of the grid may write the same place here"
        also = [] if second.span == first.span else [(second.span, "the other one is written here")]
        ways = _ways_to_write_computed(grid, first, place) if place else _ways_to_write(grid, first)
        ctx.diags.error(E0402, first.span, label, also=also, note=note, help=ways)
        return
    label = conflict.example or "another element of the grid may write what is read here"
    reads = {a.span.text: a for a in (second, *grid.accesses) if a.array is second.array and a.kind == "read"}
    copies = [text for read in reads.values() if (text := _copied(grid, read))] if _copied(grid, second) else []
    ctx.diags.error(
        E0403, second.span, label, also=[(first.span, f"`{name}` is written here")], note=note,
        help=copies or "read one array and write another, or use `range` if each step needs the one before it",
    )  # fmt: skip


def _copied(grid: Grid, read: Access) -> str:
    """The copy that makes a read of a row, a column or one element safe, which many elements of the grid share: the pivots
    of Floyd and Warshall, and of elimination. "" where the read is of another kind."""
    own = {index.value: index for index in grid.indices}
    syms = {sym for form in own for sym in form.leaves()}
    moving = [(axis, own[form]) for axis, form in enumerate(read.subs) if isinstance(form, Lin) and form in own]
    fixed = [form for form in read.subs if isinstance(form, Lin) and syms.isdisjoint(form.leaves())]
    text, array = read.span.text, read.array
    if _computed(grid, read) or not fixed or len(moving) + len(fixed) < len(read.subs):
        return ""
    if not isinstance(array, typed.ArrayVar):
        return ""
    if not moving:
        return f"keep the element before the grid, `pivot = {text}`, and read `pivot` instead of `{text}`"
    name = "kept" if len(read.subs) != 2 else "row" if moving[0][0] else "column"
    indices = ", ".join(index.name for _, index in moving)
    shape = [array.shape[axis] for axis, _ in moving]
    dims = ", ".join("n" if size is None else sizes.show(size) for size in shape)
    fill = f"`for {indices} in grid({dims}): {name}[{indices}] = {text}`"
    declared = f"declare `{name}: {array.dtype}[{dims}] = 0`"
    instead = f"then read `{name}[{indices}]` instead of `{text}`"
    return f"copy what many elements read: {declared}, before the grid {fill}, {instead}"
