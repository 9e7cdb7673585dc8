"""Bind the names of a module to their definitions: what the file defines, what it imports, what is always there.

Takes an :class:`ast.Module`; gives a :class:`Bound`, whose scope answers "what does this name mean at module level".
Names of locals, dimensions and index variables depend on types and loops, so the `types` stage resolves those; both ask
:func:`unknown_name` to report what nobody knows. Stands between `syntax` and `types`.

Nearest definition wins (LANGUAGE 35): the file's own over its imports over the names of the library module ``math``. Only
what is asked for is read: ``math`` is parsed when a name is found nowhere nearer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import field

from lem import syntax
from lem.diagnostics import Diagnostics
from lem.diagnostics.codes import E0201, E0202, E0203, E0204, E0208
from lem.diagnostics.suggest import nearest
from lem.names import habits
from lem.source import SourceFile, Span, library_name
from lem.syntax import ast
from lem_runtime.abi.records import dataclass

__all__ = ["Bound", "Definition", "Loader", "ModuleScope", "bind", "unknown_name"]

Loader = Callable[[str], SourceFile | None]
_LITERALS = ("True", "False")  # keywords, and what `true` is meant to be
ALWAYS = "math"  # the library module whose names need no import
# What the compiler itself provides. To a reader these are names of `math` too: they can be imported from there.
BUILTINS = frozenset(
    "abs sqrt floor ceil trunc round isnan isinf copysign fma where bits from_bits clamp wrap fill unique"
    " sum prod max min any all mean argmax argmin cumsum scan inf nan pi".split()
)
RANDOM = "random"  # the library module that is known by its name without an import
RANDOM_BUILTINS = frozenset(("bits", "uniform", "normal"))  # they take any number of counters


@dataclass(eq=False, slots=True)
class Definition:
    """What a module-level name stands for.

    kind:  "function" "constant" "struct" (then `node` is its item), "module" (then `module` is it) or "broken" (an
           import that was reported) or "builtin" (imported from `math`; `original` is what it is called there).
    scope: the module that holds the item, where names inside it are looked up.
    """

    name: str
    kind: str
    span: Span
    scope: ModuleScope
    node: ast.Item | None = None
    module: ModuleScope | None = None
    original: str = ""


@dataclass(eq=False, slots=True)
class ModuleScope:
    """The names of one module: what it defines itself, and what it imports."""

    name: str
    tree: ast.Module
    session: _Session
    own: dict[str, Definition] = field(default_factory=dict)
    imported: dict[str, Definition] = field(default_factory=dict)

    def find(self, name: str) -> Definition | None:
        """The nearest definition of `name`."""
        found = self.own.get(name) or self.imported.get(name)
        if found is not None or self.name == ALWAYS:
            return found
        always = self.session.module(ALWAYS)
        return always.own.get(name) if always else None

    @property
    def is_library(self) -> bool:
        return self.tree.span.source.name == library_name(self.name)

    def member(self, name: str, span: Span) -> Definition | None:
        """What another module finds under `name` in this one: its own definitions alone, and what the compiler adds."""
        if name in self._added:
            return Definition(name, "builtin", span, self, original=name if self.name == ALWAYS else f"{self.name}.{name}")
        return self.own.get(name)

    @property
    def members(self) -> Iterable[str]:
        """All names that :meth:`member` knows, for suggestions."""
        return {*self.own, *self._added}

    @property
    def _added(self) -> frozenset[str]:
        """What the compiler adds to a module of the library; another `random`, of the person's own, stays as it is."""
        if self.name == ALWAYS:
            return BUILTINS
        return RANDOM_BUILTINS if self.name == RANDOM and self.is_library else frozenset()

    def visible(self) -> Iterable[str]:
        """All names that :meth:`find` knows, for suggestions."""
        always = self.session.module(ALWAYS) if self.name != ALWAYS else None
        return {*self.own, *self.imported, *(always.own if always else ())}


@dataclass(eq=False, slots=True)
class Bound:
    """A module with its names. `modules`: all that were read, by name."""

    tree: ast.Module
    scope: ModuleScope

    @property
    def name(self) -> str:
        return self.scope.name

    @property
    def modules(self) -> dict[str, ModuleScope]:
        return self.scope.session.done


def bind(tree: ast.Module, diags: Diagnostics, loader: Loader) -> Bound:
    """Bind the module-level names of `tree`. `loader` finds the text of a module, or None."""
    session = _Session(diags, loader)
    scope = session.enter(_module_name(tree.span.source), tree)
    return Bound(tree, scope)


def unknown_name(
    diags: Diagnostics, scope: ModuleScope, span: Span, name: str, near: Iterable[str] = (), otherwise: str = ""
) -> None:
    """Report E0201 with what lem says instead; else the nearest name among `near` (locals, builtins) and the module's;
    else the help `otherwise`."""
    if _is_misread_import(scope.session.diags, span.source, name):
        return  # the import has been reported, and this is no second mistake
    help = habits.name_help(name)
    guess = "" if help else nearest(name, {*near, *scope.visible(), *_LITERALS})
    help = f"did you mean `{guess}`?" if guess else help or otherwise
    diags.error(E0201, span, f"`{name}` is not defined", help=help or ())


def _is_misread_import(diags: Diagnostics, source: SourceFile, name: str) -> bool:
    """Whether the parser reported an import that names it."""
    lines = (
        source.line_text(source.line_of(d.span.start))
        for d in diags.items
        if d.code.id.startswith("E01") and d.span is not None and d.span.source is source
    )
    return any(line.startswith(("import ", "from ")) and name in re.findall(r"\w+", line) for line in lines)


def _module_name(source: SourceFile) -> str:
    stem = source.name.replace("\\", "/").rsplit("/", 1)[-1]
    return stem.removesuffix(".lem")


class _Session:
    """Modules read while one module is bound; `active` are those whose imports are being followed, for cycles."""

    def __init__(self, diags: Diagnostics, loader: Loader) -> None:
        self.diags = diags
        self.loader = loader
        self.done: dict[str, ModuleScope] = {}
        self.missing: set[str] = set()
        self.active: list[tuple[str, Span | None]] = []

    def module(self, name: str, wanted_by: Span | None = None) -> ModuleScope | None:
        """The module `name`, read if it was not yet; None when there is none. `wanted_by`: the import that asks."""
        if name in self.done or name in self.missing:
            return self.done.get(name)
        source = self.loader(name)
        if source is None:
            self.missing.add(name)
            return None
        return self.enter(name, syntax.parse(source, self.diags), wanted_by)

    def enter(self, name: str, tree: ast.Module, wanted_by: Span | None = None) -> ModuleScope:
        scope = ModuleScope(name, tree, self)
        self.done[name] = scope
        self.active.append((name, wanted_by))
        for item in tree.items:
            self._define(scope, item)
        for item in tree.items:
            if isinstance(item, ast.Import):
                self._import(scope, item)
        self.active.pop()
        return scope

    def _define(self, scope: ModuleScope, item: ast.Item) -> None:
        kinds = {ast.Function: "function", ast.Constant: "constant", ast.Struct: "struct"}
        kind = kinds.get(type(item))
        if kind is None:
            return
        assert isinstance(item, (ast.Function, ast.Constant, ast.Struct))
        name = item.name
        first = scope.own.get(name.id)
        if first is not None:
            self.diags.error(
                E0202, name.span, f"`{name.id}` is already defined in this module",
                also=[(first.span, "first defined here")],
            )  # fmt: skip
            return
        scope.own[name.id] = Definition(name.id, kind, name.span, scope, item)

    def _import(self, scope: ModuleScope, item: ast.Import) -> None:
        names = [name for name, _ in self.active]
        if item.module in names:
            at = names.index(item.module)
            # Told where the circle starts, which is most often the file that is being worked on.
            start = next((span for _, span in self.active[at + 1 : at + 2] if span is not None), item.span)
            chain = " -> ".join([*names[at:], item.module])
            self.diags.error(
                E0204, start, f"this import leads back to `{item.module}`: {chain}",
                also=[] if start == item.span else [(item.span, f"`{item.module}` is imported again here")],
                help="move what both need into a third module",
            )  # fmt: skip
            self._poison(scope, item)
            return
        module = self.module(item.module, item.span)
        if module is None:
            self.diags.error(
                E0203, item.span, f"there is no `{item.module}.lem` beside this file or in the library",
                help=self._near_module(item.module),
            )  # fmt: skip
            self._poison(scope, item)
            return
        if not item.names:
            local = item.alias or item.module.rsplit(".", 1)[-1]
            self._add(scope, Definition(local, "module", item.span, scope, item, module))
        for wanted in item.names:
            self._import_name(scope, module, wanted)

    def _poison(self, scope: ModuleScope, item: ast.Import) -> None:
        """Make the names of a failed import known, so that their uses are no second mistake."""
        names = [(n.alias or n.name, n.span) for n in item.names]
        for name, span in names or [(item.alias or item.module.rsplit(".", 1)[-1], item.span)]:
            self._add(scope, Definition(name, "broken", span, scope))

    def _import_name(self, scope: ModuleScope, module: ModuleScope, wanted: ast.ImportName) -> None:
        found = module.member(wanted.name, wanted.span)
        if found is None:
            guess = nearest(wanted.name, module.members)
            self.diags.error(
                E0208, wanted.span, f"`{module.name}` does not define `{wanted.name}`",
                help=f"did you mean `{guess}`?" if guess else (),
            )  # fmt: skip
            # Known, but as nothing: its uses are no second mistake.
            self._add(scope, Definition(wanted.alias or wanted.name, "broken", wanted.span, module))
            return
        local = wanted.alias or wanted.name
        made = Definition(local, found.kind, wanted.span, found.scope, found.node, found.module, found.original)
        self._add(scope, made)

    def _add(self, scope: ModuleScope, new: Definition) -> None:
        first = scope.imported.get(new.name)
        if first is not None and (first.node is not new.node or first.original != new.original):
            self.diags.error(
                E0202, new.span, f"`{new.name}` is already imported", also=[(first.span, "first imported here")]
            )
            return
        scope.imported[new.name] = new

    def _near_module(self, name: str) -> str:
        if habits.is_python_module(name):
            return f"lem has no modules of Python; {habits.name_help('numpy')}"
        guess = nearest(name, [*self.done, ALWAYS])
        return f"did you mean `{guess}`?" if guess else "check the name, and the folder of the file"
