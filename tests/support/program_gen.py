"""Random well-typed programs of lem, as source text with arguments to run them on: a Hypothesis strategy.

``programs()`` gives :class:`Program` values. A program has a kernel `main`, perhaps kernels that it calls and fns; it
never leaves its arrays (unless `faults`), always ends and races nowhere, so two ways of running it must agree, and the
checker must accept it. ``ir_gen`` does the same for tile IR; what stands here also meets the checker and the lowering.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from tests.support import program_data as data
from tests.support.program_exprs import (
    FLOATS,
    NARROW,
    NUMBERS,
    STORED,
    Dim,
    Expressions,
    Fn,
    Index,
    Kernel,
    Local,
    Param,
)  # fmt: skip

MOST_ELEMENTS = 4_000  # of a grid


@dataclass(frozen=True, slots=True)
class Program:
    """A program and the one call of `main` that it was made for."""

    text: str
    given: dict[str, Any]

    def __repr__(self) -> str:
        shown = {n: getattr(a, "shape", a) for n, a in self.given.items()}
        return f"Program({shown}):\n{self.text}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis shows it: as text that can be copied, without the elements of arrays."""
        printer.text(repr(self))


@st.composite
def programs(draw: st.DrawFn, *, faults: bool = False, most: int = 3) -> Program:
    """most: statements in one block. faults: some programs leave their arrays, divide by zero, shift by a negative."""
    return _Programs(draw, faults, most).program()


class _Programs(Expressions):
    def __init__(self, draw: st.DrawFn, faults: bool, most: int) -> None:
        super().__init__(draw, faults)
        self.most = most
        self.indent = 1
        self.kept: set[str] = set()  # locals that may not be assigned here
        self.outputs: list[tuple[Param, str]] = []  # what the grid at hand stores to, and where
        self.loops = 0  # loops of the element around the statement at hand
        self.in_grid = False
        self.in_tiles = False
        self.exits = False  # an element of the grid at hand may end early

    # ------------------------------------------------------------ text
    def line(self, text: str) -> None:
        self.kernel.lines.append("    " * self.indent + text)

    def block(self, head: str, body: Callable[[], None]) -> None:
        """A statement with a block; what is bound in it ends with it."""
        self.line(head)
        n_locals, n_lines, n_temporaries = len(self.locals), len(self.kernel.lines), len(self.kernel.temporaries)
        self.indent += 1
        body()
        if len(self.kernel.lines) == n_lines:
            self.line("pass")
        self.indent -= 1
        del self.locals[n_locals:]
        del self.kernel.temporaries[n_temporaries:]

    # ------------------------------------------------------------ programs and kernels
    def program(self) -> Program:
        parts = [self.fn() for _ in range(self.some(2))] if self.rarely(2) else []
        if self.rarely(5):
            parts.append(self.helper())
        self.sequence(self.some(2, least=1))
        for _ in range(self.some(1)):
            self.result()
        parts.append(self.written())
        given = {p.name: p.value for p in self.kernel.params if p.value is not None}
        return Program("\n".join(parts), given)

    def written(self) -> str:
        """The text of the kernel at hand."""
        k = self.kernel
        for d in k.dims:  # each dimension has to be found from an argument
            if not any(p.shape and d in p.shape and p.effect != "out" for p in k.params):
                self.add(Param(self.name("z"), "u8", (d,), "", data.values("u8", [self.size(d)], "small", 0)))
        dims = f"[{', '.join(k.dims)}]" if k.dims else ""
        results = ", ".join(p.text for p in k.results)
        arrow = "" if not results else f" -> {results}" if len(k.results) == 1 else f" -> ({results})"
        return "\n".join([f"kernel {k.name}{dims}({', '.join(p.text for p in k.params)}){arrow}:", *k.lines, ""])

    def helper(self) -> str:
        """A kernel of its own, called by `main` with arrays of its own."""
        main, self.kernel = self.kernel, Kernel(self.name("part"))
        self.grid()
        text, made, self.kernel, self.locals = self.written(), self.kernel, main, []
        self.kernel.dims = list(made.dims)
        arguments = [self.add(replace(p, name=self.name("y"))) for p in made.params]
        self.line(f"{made.name}({', '.join(p.name for p in arguments)})")
        return text

    def result(self) -> None:
        dtype = self.one(NUMBERS)
        p = Param(self.name("r"), dtype, None)
        self.kernel.results.append(p)
        self.line(f"{p.name} = {self.expr(dtype, 2)}")

    def fn(self) -> str:
        """An fn of one type, or of any float."""
        dtype = self.one(NUMBERS)
        generic = dtype == "f32" and self.flip()
        made = Fn(self.name("fn_"), None if generic else dtype, self.some(3, least=1))
        kept, self.kernel, self.in_fn = self.kernel, Kernel(made.name), True
        self.locals = [Local(self.name("arg"), dtype) for _ in range(made.arity)]
        self.kept = {v.name for v in self.locals}
        head = f"fn {made.name}({', '.join(f'{v.name}: {dtype}' for v in self.locals)}) -> {dtype}:"
        for _ in range(self.some(2)):
            self.one(_FN_STATEMENTS)(self)
        if self.rarely(3):
            self.block(f"if {self.expr('bool', 1)}:", lambda: self.line(f"return {self.expr(dtype, 1)}"))
        self.line(f"return {self.expr(dtype, 2)}")
        text = "\n".join([head, *self.kernel.lines, ""])
        self.kernel, self.in_fn, self.locals, self.kept = kept, False, [], set()
        self.fns.append(made)
        if generic:
            text = re.sub(r"\bf32\b", "T", text).replace(f"fn {made.name}(", f"fn {made.name}[T: float](")
        return text

    # ------------------------------------------------------------ code of the kernel
    def sequence(self, n_grids: int) -> None:
        for _ in range(n_grids):
            for _ in range(self.some(2)):
                self.one(_SEQUENTIAL)(self)
            if self.rarely(5):
                index = Index(self.name("s"), 3)

                def body(index: Index = index) -> None:
                    with self.open(index, 1):
                        self.grid()

                self.block(f"for {index.name} in range({self.some(3, least=1)}):", body)
            else:
                self.grid()

    def grid(self) -> None:
        """One parallel step over one to three axes."""
        axes: list[tuple[Index, str]] = []
        elements = 1
        for name in ("i", "j", "l")[: self.some(3, least=1)]:
            index, text, size = self._axis(name)
            if axes and elements * max(1, size) > MOST_ELEMENTS:
                break
            elements *= max(1, size)
            axes.append((index, text))
        names = ", ".join(i.name for i, _ in axes)
        head = f"for {names} in grid({', '.join(text for _, text in axes)}):"
        saved = self.indices, self.points, set(self.kept), self.exits
        self.indices = [*self.indices, *(i for i, _ in axes)]
        self.points, self.in_grid, self.exits = elements, True, False
        self.kept = {v.name for v in self.locals}
        self.outputs = [self._output([i for i, _ in axes]) for _ in range(self.some(2, least=1))]
        self.block(head, self._element)
        for p, _ in self.outputs:
            p.place = None
            p.place_whole = None
        self.indices, self.points, self.kept, self.exits = saved
        self.in_grid, self.outputs = False, []

    def _axis(self, name: str) -> tuple[Index, str, int]:
        if self.rarely(6):
            n = self.some(4, least=1)
            return Index(name, n), str(n), n
        d = self.dim()
        if not self.rarely(3):
            return Index(name, d), d, self.size(d)
        low, high = self.some(2), self.some(2)
        step = self.one(["", "", ":2"])
        return Index(name, d, low, high), f"{d}[{low or ''}:{-high if high else ''}{step}]", self.size(d)

    def _element(self) -> None:
        """The code of one element: statements, then the stores."""
        guard = self._guard()
        if guard and self.flip():
            self.block(f"if {guard}:", self._statements_and_stores)
        else:
            self._statements_and_stores()

    def _guard(self) -> str | None:
        """A condition between the variables of the grid: a triangle, a band."""
        names = [i.name for i in self.indices]
        if len(names) < 2 or not self.rarely(4):
            return None
        a, b = names[-2], names[-1]
        return self.one([f"{b} <= {a}", f"{a} < {b}", f"{a} + 2 >= {b}", f"{a} != {b}"])

    def _statements_and_stores(self) -> None:
        self.statements()
        for p, place in self.outputs:
            self._store(p, place)

    def _store(self, p: Param, place: str) -> None:
        if p.effect.startswith("reduce"):
            self._update(p)
            return
        with self.carrying(p.place_whole, frozenset()):
            if self.rarely(6):
                self.exits = True
                self.block(f"if {self._plain('bool', 1)}:", lambda: self._stored(p, place))
            else:
                self._stored(p, place)

    def _stored(self, p: Param, place: str) -> None:
        self.line(f"{p.name}[{place}] = {self.expr(p.dtype, 3)}")

    def _update(self, p: Param) -> None:
        """An update of a `reduce` array somewhere."""
        assert p.shape is not None
        places = [self.subscript(d) for d in p.shape]
        if None in places:
            return
        place = f"{p.name}[{', '.join(map(str, places))}]"
        op = p.effect[7:-1]
        value = self.expr(p.dtype, 2)
        self.line(f"{place} = {op}({place}, {value})" if op in ("max", "min") else f"{place} {op}= {value}")

    def _output(self, axes: Sequence[Index]) -> tuple[Param, str]:
        """Something that this grid writes, every element a place of its own; or a `reduce` array."""
        if self.rarely(5):
            return self._reduced(), ""
        dtype = self.one(STORED)
        order = list(reversed(axes)) if self.rarely(4) else list(axes)
        shape: list[Dim] = []
        places: list[str] = []
        for i in order:
            form = self.one([0, 0, 0, 1, 2])
            shape.append([i.dim, f"{i.dim} + 1", f"2 * {i.dim}"][form])
            places.append([i.name, f"{i.name} + 1", f"2 * {i.name}"][form])
        whole: Dim | None = None
        if self.rarely(4):
            whole = self.dim()
            if self.affordable(whole):
                shape.append(whole)
                places.append(":")
            else:
                whole = None
        return self._made_output(dtype, tuple(shape), ", ".join(places), whole)

    def _made_output(self, dtype: str, shape: tuple[Dim, ...], place: str, whole: Dim | None) -> tuple[Param, str]:
        kind = self.one(["out", "out", "inout", "temporary"])
        p = Param(self.name("y"), dtype, shape, kind, place=place, place_whole=whole)
        if kind == "temporary":
            p.effect, p.is_temporary = "", True
            fill = self.literal(dtype)
            line = self.indent * "    " + f"{p.name}: {dtype}[{', '.join(map(str, shape))}] = {fill}"
            self.kernel.lines.append(line)
            self.kernel.temporaries.append(p)
            return p, place
        if kind == "inout":
            p.value = data.values(dtype, [self.size(d) for d in shape], self.one(data.MODES), self.some(9))
        return self.add(p), place

    def _reduced(self) -> Param:
        dtype = self.one(NUMBERS)
        op = self.one(["+", "max", "min", *([] if dtype in FLOATS else ["|", "&"])])
        shape: tuple[Dim, ...] = tuple(self.one([self.dim(), self.some(5, least=1)]) for _ in range(self.some(2, least=1)))
        value = data.values(dtype, [self.size(d) for d in shape], self.one(data.MODES), self.some(9))
        return self.add(Param(self.name("h"), dtype, shape, f"reduce({op})", value))

    # ------------------------------------------------------------ statements
    def _plain(self, dtype: str, depth: int) -> str:
        """A value without axes: a condition, a bound, what a plain local takes."""
        tiles = frozenset(i.name for i in self.indices if i.is_tile)
        with self.carrying(None, tiles):
            return self.expr(dtype, depth)

    def statements(self) -> None:
        for _ in range(self.some(self.most)):
            self.one(_ELEMENT)(self)

    def short(self) -> None:
        for _ in range(self.some(2, least=1)):
            self.one(_STRAIGHT if self.indent > 4 else _ELEMENT if self.in_grid else _INNER)(self)

    def new_local(self) -> None:
        dtype = self.one(STORED)
        name = self.name("v")
        self.line(f"{name}{self.one(['', f': {dtype}'])} = {self._plain(dtype, 3)}")
        self.locals.append(Local(name, dtype))

    def assign(self) -> None:
        found = [v for v in self.locals if v.name not in self.kept and not v.axes and not v.length]
        if not found:
            self.new_local()
            return
        v = self.one(found)
        if v.dtype in NUMBERS and self.flip():
            self.line(f"{v.name} {self.one('+-*')}= {self._plain(v.dtype, 2)}")
        else:
            self.line(f"{v.name} = {self._plain(v.dtype, 3)}")

    def swap(self) -> None:
        """Two locals at once."""
        found = [v for v in self.locals if v.name not in self.kept and not v.axes and not v.length]
        pairs = [(a, b) for a in found for b in found if a is not b and a.dtype == b.dtype]
        if not pairs:
            self.assign()
            return
        a, b = self.one(pairs)
        self.line(f"{a.name}, {b.name} = {self._plain(a.dtype, 2)}, {self._plain(a.dtype, 2)}")

    def branch(self) -> None:
        self.block(f"if {self._plain('bool', 2)}:", self.short)
        if self.rarely(3):
            self.block(f"elif {self._plain('bool', 2)}:", self.short)
        if self.flip():
            self.block("else:", self.short)

    def joined(self) -> None:
        """A local that both branches assign."""
        dtype, name = self.one(NUMBERS + NARROW), self.name("v")
        self.block(f"if {self._plain('bool', 2)}:", lambda: self.line(f"{name} = {self._plain(dtype, 2)}"))
        self.block("else:", lambda: self.line(f"{name} = {self._plain(dtype, 2)}"))
        self.locals.append(Local(name, dtype))

    def for_range(self) -> None:
        index, head = self._loop_range()
        self._loop(f"for {index.name} in range({head}):", index)

    def _loop_range(self) -> tuple[Index, str]:
        name = self.name("t")
        if self.in_fn or not self.rarely(3):
            last = self.one([str(self.some(4)), f"{self._plain('i64', 1)} % {self.some(5, least=1)}"])
            return Index(name, 5), self.one([last, f"0, {last}, 2", f"{last}, 0, -1"])
        d = self.dim()
        if self.size(d) > 40:
            return Index(name, 3), "3"
        low, high = self.some(1), self.some(1)
        ends = f"{low}, {d} - {high}" if low or high else d
        return Index(name, d, low, high), self.one([ends, f"{ends if ',' in ends else f'0, {d}'}, 2"])

    def _loop(self, head: str, index: Index | None, more: Sequence[str] = ()) -> None:
        def body() -> None:
            for text in more:
                self.line(text)
            if index is None:
                self.short()
            else:
                with self.open(index, 1):
                    self.short()
                    if self.rarely(4):
                        self.block(f"if {self._plain('bool', 1)}:", lambda: self.line(self.one(["break", "continue"])))
                        self.short()

        self.block(head, body)

    def while_(self) -> None:
        """A loop with a trip count that the data decides, and a bound."""
        n = self.name("n")
        self.line(f"{n} = 0")
        self.locals.append(Local(n, "i64"))
        kept = set(self.kept)
        self.kept.add(n)
        more = f" {self.one(['and', 'and', 'or'])} False" if self.rarely(9) else f" and {self._plain('bool', 2)}"
        self._loop(f"while {n} < {self.some(5, least=1)}{more}:", None, [f"{n} += 1"])
        self.kept = kept

    def leave(self) -> None:
        """The element ends early."""
        self.exits = True
        word = self.one(["return", "continue"])
        self.block(f"if {self._plain('bool', 2)}:", lambda: self._last_store_and(word))

    def _last_store_and(self, word: str) -> None:
        if self.flip():
            for p, place in self.outputs[:1]:
                self._store(p, place)
        self.line(word)

    def local_array(self) -> None:
        found = [v for v in self.locals if v.length and v.name not in self.kept]
        if not found or self.rarely(4):
            v = Local(self.name("w"), self.one(NUMBERS + NARROW), length=self.some(5, least=1))
            self.line(f"{v.name}: {v.dtype}[{v.length}] = {self.literal(v.dtype)}")
            self.locals.append(v)
        else:
            v = self.one(found)
        at = self.one([str(self.some(v.length - 1)), f"{self._plain('i64', 1)} % {v.length}"])
        self.line(f"{v.name}[{at}] = {self._plain(v.dtype, 2)}")
        if self.rarely(3):
            self._all_of(v)

    def _all_of(self, v: Local) -> None:
        """Fill a local array in a loop, and reduce it."""
        t = self.name("t")

        def body() -> None:
            with self.open(Index(t, v.length), v.length):
                self.line(f"{v.name}[{t}] = {self._plain(v.dtype, 2)}")

        self.block(f"for {t} in range({v.length}):", body)
        if v.dtype in ("f32", "f64", "i64"):  # others are reduced in a wider type
            of = self.name("v")
            self.line(f"{of} = {self.one(['sum', 'max', 'prod'])}({v.name}[{t}] for {t} in range({v.length}))")
            self.locals.append(Local(of, v.dtype))

    def row(self) -> None:
        """A local with a whole axis, and perhaps a loop that adds to it."""
        d = self.dim()
        if not self.affordable(d):
            return
        dtype, name = self.one(NUMBERS), self.name("q")
        with self.carrying(d, frozenset()):
            self.line(f"{name}: {dtype}[{d}] = {self.expr(dtype, 2)}")
        self.locals.append(Local(name, dtype, frozenset({d})))
        if self.rarely(3):
            t = self.name("t")

            def body() -> None:
                with self.open(Index(t, 3), 1), self.carrying(d, frozenset()):
                    self.line(f"{name} = {name} {self.one('+*-')} {self.expr(dtype, 2)}")

            self.block(f"for {t} in range({self.some(3)}):", body)
        self.new_local()

    def tiles(self) -> None:
        """A loop over blocks that carries reductions."""
        d = self.dim()
        if not self.affordable(d) or self.in_tiles or self.size(d) > 70:
            return
        ends = [i.name for i in self.indices if i.dim == d and not i.low and not i.high and i.name in "ijl"]
        domain = self.one([d, d, *(f"{d}[:{n} + 1]" for n in ends), *(f"{d}[{n}:]" for n in ends)])
        size = self.one(["", ", 4", ", 16", ", 64"])
        carried = [self._carried() for _ in range(self.some(2, least=1))]
        index = Index(self.name("b"), d, is_tile=True)
        kept, self.kept = self.kept, {v.name for v in self.locals}

        def body() -> None:
            with self.open(index, self.size(d)):
                for _ in range(self.some(2)):
                    self._block_local(index)
                for v in carried:
                    self._carry(v, index)

        self.in_tiles = True
        self.block(f"for {index.name} in tiles({domain}{size}):", body)
        self.in_tiles, self.kept = False, kept

    def _carried(self) -> Local:
        v = Local(self.name("v"), self.one(NUMBERS))
        self.line(f"{v.name}: {v.dtype} = {self.literal(v.dtype)}")
        self.locals.append(v)
        return v

    def _block_local(self, index: Index) -> None:
        """A local of the block, with its axis or without."""
        dtype, name = self.one(NUMBERS), self.name("v")
        self.line(f"{name} = {self.expr(dtype, 2)} + {self.load(dtype) or self.literal(dtype)}")
        self.locals.append(Local(name, dtype, frozenset({index.name})))

    def _carry(self, v: Local, index: Index) -> None:
        kind = self.one(["sum", "max", "min"])
        value = f"where({index.name} >= 0, {self.expr(v.dtype, 2)}, {self.literal(v.dtype)})"
        step = f"{kind}({value}, over={index.name})"
        self.line(f"{v.name} = {v.name} + {step}" if kind == "sum" else f"{v.name} = {kind}({v.name}, {step})")

    # ------------------------------------------------------------ sequential code
    def scalar_store(self) -> None:
        """One element of an array that the kernel may write."""
        found = [p for p in (*self.kernel.params, *self.kernel.temporaries) if p.effect == "inout" or p.is_temporary]
        if not found:
            self.new_local()
            return
        p = self.one(found)
        assert p.shape is not None
        if all(self.size(d) for d in p.shape):
            tests = " and ".join(f"{d} > 0" for d in p.shape)
            at = ", ".join(self.one(["0", f"{d} - 1"]) for d in p.shape)
            self.block(f"if {tests}:", lambda: self.line(f"{p.name}[{at}] = {self.expr(p.dtype, 2)}"))

    def whole_store(self) -> None:
        """A statement over a whole axis."""
        d = self.dim()
        p = self.add(Param(self.name("y"), self.one(STORED), (d,), "out"))
        with self.carrying(d, frozenset()):
            self.line(f"{p.name}[:] = {self.expr(p.dtype, 3)}")

    def recurrence(self) -> None:
        """A loop whose steps need the ones before."""
        d = self.dim()
        if self.size(d) > 70:
            return
        dtype = self.one(NUMBERS)
        value = data.values(dtype, [self.size(d)], self.one(("small", "normal")), self.some(9))
        p = self.add(Param(self.name("y"), dtype, (d,), "inout", value))
        t = Index(self.name("t"), d, 1, 0)

        def body() -> None:
            with self.open(t, 1):
                if self.rarely(3):
                    self.block(f"if {self.expr('bool', 1)}:", lambda: self.line(self.one(["continue", "break"])))
                self.line(f"{p.name}[{t.name}] = ({p.name}[{t.name} - 1] + {self.expr(dtype, 2)})")

        self.block(f"for {t.name} in range(1, {d}):", body)


Statement = Callable[[_Programs], None]
_STRAIGHT: tuple[Statement, ...] = (_Programs.new_local, _Programs.assign, _Programs.swap, _Programs.local_array)
_FN_STATEMENTS: tuple[Statement, ...] = (_Programs.new_local, _Programs.new_local, _Programs.joined)
_ELEMENT: tuple[Statement, ...] = (
    _Programs.new_local, _Programs.new_local, _Programs.assign, _Programs.branch, _Programs.joined, _Programs.for_range,
    _Programs.while_, _Programs.leave, _Programs.local_array, _Programs.row, _Programs.tiles, _Programs.swap,
)  # fmt: skip
_INNER: tuple[Statement, ...] = (*_STRAIGHT, _Programs.branch, _Programs.joined, _Programs.for_range, _Programs.while_)
_SEQUENTIAL: tuple[Statement, ...] = (
    _Programs.new_local, _Programs.whole_store, _Programs.scalar_store, _Programs.recurrence, _Programs.assign,
    _Programs.branch, _Programs.joined, _Programs.while_, _Programs.for_range,
)  # fmt: skip
