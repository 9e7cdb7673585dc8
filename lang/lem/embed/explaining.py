"""``lem.explain(f)``: what lem knows of a callable, as a report for a person.

Takes a callable; gives an :class:`Explanation`, which prints as text and shows as HTML in a notebook. It runs nothing; a
function that was not called yet is checked, and its schedule is the one for contiguous arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from typing import Any

from lem import pipeline
from lem.embed import literals, wording
from lem.embed.compiling import Compiler
from lem.embed.engine import Engine
from lem.embed.function import Function
from lem.ir import queries
from lem.source import Span
from lem.syntax import ast
from lem.types import typed
from lem_runtime import detect
from lem_runtime.abi import sizes
from lem_runtime.abi.artifact import Work
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Place
from lem_runtime.abi.source import Facts, known_dims

_READ = {"read": "read", "inout": "inout: read and written", "reduce": "reduce: updated, and keeps what it holds"}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines, each a name and what is said of it."""

    title: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What lem knows of a callable. Prints as a report.

    constants: names from around the function that became constants, with their values. arrays: what is done with each.
    conditions: what every call must hold, and which expression needs it. work: operations and bytes of each step, as
    expressions of sizes. specializations: what code was made for. is_direct: whether plain calls go straight into it.
    """

    name: str
    kind: str
    signature: str
    place: str
    constants: dict[str, Any]
    functions: tuple[str, ...]
    arrays: dict[str, str]
    conditions: dict[str, str]
    work: tuple[tuple[str, str], ...]
    schedule: str
    specializations: tuple[Facts, ...]
    is_direct: bool
    calls: str
    sections: tuple[Section, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        lines = [self.signature, f"  {self.place}"]
        for s in self.sections:
            width = max((len(name) for name, _ in s.lines), default=0)
            lines += ["", s.title]
            for name, text in s.lines:
                first, *rest = text.splitlines() or [""]
                lines.append(f"  {name.ljust(width)}  {first}".rstrip())
                lines += [f"  {' ' * width}  {line}".rstrip() for line in rest]
        return "\n".join(lines)

    def __repr__(self) -> str:
        n = len(self.specializations)
        return f"<lem.Explanation of {self.kind} {self.name}: {n} specialisation{'s' if n != 1 else ''}; print it>"

    def _repr_html_(self) -> str:
        parts = [wording.program(self.signature), f'<div class="d">{wording.escaped(self.place)}</div>']
        for s in self.sections:
            parts.append(f"<b>{wording.escaped(s.title)}</b>" + wording.table(("", ""), s.lines))
        return wording.block(*parts)


def explain(function: Function) -> Explanation:
    """See :func:`lem.explain`."""
    engine = function.engine
    compiler = engine.compiler
    program, name = compiler.program, function.__name__
    if function.kind == "fn":
        return _of_fn(function, program)
    sig, type_params = compiler.signature()
    made = engine.artifacts
    if made or not type_params:
        facts = made[0][0] if made else Facts(("inner",) * sum(p.is_array for p in sig.params))
        program, name = compiler.instance(facts)
    fn = program.typed.functions.get(name)
    constants = _constants(function, program)
    arrays = {p.name: _effect(p.name, p.effect, fn) for p in sig.arguments if p.is_array}
    conditions = {c.text: f"{c.why}{_at(c.place)}" for c in sig.conditions}
    work = tuple((w.label, _work_text(w)) for w in _work(engine, program, name)) if fn is not None else ()
    schedule = _schedule(engine) if fn is not None else ""
    calls = _calls(engine)
    sections = (
        Section("generic: code is made at the first call with each type", tuple(_generics(compiler, made))),
        Section("constants: captured at the first use, as they were then" if function.decorated else "constants",
                tuple((n, repr(v)) for n, v in constants.items())),
        Section("uses", tuple((n, k) for n, k in _functions(program, function.__name__))),
        Section("arrays", tuple(arrays.items())),
        Section("every call must hold", tuple(conditions.items())),
        Section("work per call", work),
        Section("schedule" + ("" if made else ", for contiguous arrays"), (("", schedule),) if schedule else ()),
        Section("specialisations", tuple(_made(engine))),
        Section("calls", (("", calls),)),
    )  # fmt: skip
    return Explanation(
        function.__name__, function.kind, wording.signature_text(sig, compiler.generics), _place(sig.place), constants,
        tuple(n for n, _ in _functions(program, function.__name__)), arrays, conditions, work, schedule,
        engine.specializations(), engine.is_direct, calls, tuple(s for s in sections if s.lines),
    )  # fmt: skip


def _of_fn(function: Function, program: pipeline.Program) -> Explanation:
    """An fn has no calls of its own."""
    item = next(i for i in program.bound.tree.items if isinstance(i, ast.Function) and i.name.id == function.__name__)
    constants = _constants(function, program)
    calls = "it is code for one element: kernels call it, and it is inlined there"
    used = _functions(program, function.__name__)
    sections = (
        Section("constants", tuple((n, repr(v)) for n, v in constants.items())),
        Section("uses", used),
        Section("calls", (("", calls),)),
    )
    written = ", ".join(f"{p.name.id}{f': {p.type.span.text}' if p.type else ''}" for p in item.params)
    return Explanation(
        function.__name__, "fn", f"fn {function.__name__}({written})", _at(_place_of(item.span)).strip(" ()"), constants,
        tuple(n for n, _ in used), {}, {}, (), "", (), False, calls, tuple(s for s in sections if s.lines),
    )  # fmt: skip


# ---------------------------------------------------------------- what the program says
def _generics(compiler: Compiler, made: Sequence[tuple[Facts, Any]]) -> Iterator[tuple[str, str]]:
    """The names of types, and what they have been so far."""
    for name, bound in compiler.generics:
        known = dict.fromkeys(dict(facts.dtypes)[name] for facts, _ in made)
        yield name, f"{_BOUNDS.get(bound, bound)}; so far {', '.join(known)}" if known else _BOUNDS.get(bound, bound)


_BOUNDS = {"float": "any float", "int": "any integer", "number": "any float or integer", "any": "any type"}


def _constants(function: Function, program: pipeline.Program) -> dict[str, Any]:
    """Names that became constants: of a decorated function those around it that its text uses."""
    return {i.name.id: literals.value_of(i.value) for i in program.bound.tree.items if isinstance(i, ast.Constant)}


def _functions(program: pipeline.Program, name: str) -> tuple[tuple[str, str], ...]:
    """Functions that are called from it, directly or not, of its own module."""
    items = {i.name.id: i for i in program.bound.tree.items if isinstance(i, ast.Function)}
    seen: dict[str, str] = {}
    todo = [name]
    while todo:
        item = items.get(todo.pop())
        for node in ast.walk(item) if item is not None else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in items:
                called = items[node.func.id]
                if called.name.id not in seen and called.name.id != name:
                    kind = "fn, inlined" if called.kind == "fn" else called.kind
                    seen[called.name.id] = f"{kind}{_at(_place_of(called.name.span))}"
                    todo.append(called.name.id)
    return tuple(seen.items())


def _effect(name: str, effect: str, fn: typed.Function | None) -> str:
    if effect not in ("out", "result"):
        return _READ[effect]
    if fn is None:
        return f"{effect}: written"
    covers: Any = fn.attrs.get("covers", ())
    first = fn.first_reads.get(name)
    if first is not None:
        return f"out, treated as inout: `{first.text}` may read it before it is written{_at(_place_of(first))}"
    if name in covers:
        return f"{effect}: every element is written"
    kept = "hold what they held" if effect == "out" else "are 0"
    return f"{effect}: written; elements that are not, {kept}"


# ---------------------------------------------------------------- what the compiler makes of it
def _work(engine: Engine, program: pipeline.Program, name: str) -> tuple[Work, ...]:
    if engine.artifacts:
        return engine.artifacts[0][1].work
    module = pipeline.optimised(program, name, "cpu")
    return queries.work(module.functions[name], module)


def _work_text(w: Work) -> str:
    if w.flops is None or w.bytes_read is None or w.bytes_written is None:
        return "not known before it runs"
    flops, read, written = (sizes.show(s) for s in (w.flops, w.bytes_read, w.bytes_written))
    what = "no floating-point operations" if flops == "0" else f"{flops} floating-point operations"
    return f"{what}; reads {read} bytes, writes {written}"


def _schedule(engine: Engine) -> str:
    text = engine.artifacts[0][1].schedule if engine.artifacts else engine.inspect("schedule")
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _made(engine: Engine) -> list[tuple[str, str]]:
    out = []
    for n, (facts, artifact) in enumerate(engine.artifacts):
        origin = {"disk": "from the disk cache", "compiled": "compiled here"}.get(engine.origins.get(facts, ""), "")
        known = known_dims(artifact.signature.dims, facts)
        where = "; calls with " + ", ".join(f"{d} = {size}" for d, size in known.items()) if known else ""
        made = f"{replace(facts, dims=())}{where}; {len(artifact.code):,} bytes for {detect().cpu}; {origin}"
        out.append((f"{n + 1}", made))
    return out


def _calls(engine: Engine) -> str:
    if engine.is_direct:
        return "plain calls go straight into compiled code (arrays of NumPy, laid out as in the first call)"
    if engine.not_direct:
        return f"through Python: {engine.not_direct}"
    if engine.artifacts:
        return "through Python the first time; from the second call on straight into compiled code"
    return "not decided before the first call"


def _place_of(span: Span) -> Place:
    line, col = span.source.place_of(span.start)
    return Place(span.source.name, line, col, line, col)


def _at(place: Place | None) -> str:
    return f" ({_place(place)})" if place is not None else ""


def _place(place: Place | None) -> str:
    return f"{place.file}:{place.line}" if place is not None else ""


__all__ = ["Explanation", "Section", "explain"]
