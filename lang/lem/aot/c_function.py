"""One kernel or task as a function of C: its declaration, and a body that checks a call and runs it.

    int relax_smooth(int64_t N, const float *u, float rate, float *v);       0, or the number of an error code

Dimensions come first, then the parameters in their order. Arrays are contiguous, as their layout says. What Python checks
at a call (``abi/signature.py``, ``binding.py``), the body checks with the same words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lem.aot.c_names import C_TYPES, Names, comment, size, text
from lem_runtime.abi import sizes
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.signature import Param, Signature


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter in C. fields: of an array of records, which is one argument; else the parameter itself."""

    name: str
    shown: str
    param: Param
    fields: tuple[Param, ...]
    record: str = ""

    @property
    def is_pointer(self) -> bool:
        return self.param.is_array or self.param.is_written

    @property
    def declared(self) -> str:
        const = "" if self.param.is_written else "const "
        ty = self.record or C_TYPES[self.param.dtype]
        return f"{const}{ty} *{self.name}" if self.is_pointer else f"{ty} {self.name}"

    @property
    def size_bytes(self) -> str:
        return f"(int64_t)sizeof({self.record or C_TYPES[self.param.dtype]})"


class CFunction:
    """A function of a program in C. symbol: how C calls it."""

    def __init__(self, symbol: str, signature: Signature) -> None:
        self.symbol, self.sig = symbol, signature
        names = Names()
        self.dims = {d: names.of(d) for d in signature.dims}
        self.arguments = list(self._arguments(names))
        self.by_param = {p.name: a for a in self.arguments for p in a.fields}

    def _arguments(self, names: Names) -> Iterator[Argument]:
        seen: set[str] = set()
        for p in self.sig.params:
            if p.struct and p.layout == "aos":
                if p.argument not in seen:
                    seen.add(p.argument)
                    fields = self.sig.fields(p.argument)
                    record = f"struct {self.symbol}_{names.of(p.argument + '_record')}"
                    yield Argument(names.of(p.argument), p.argument, p, fields, record)
            else:
                yield Argument(names.of(p.name), p.name, p, (p,))

    @cached_property
    def known(self) -> dict[str, str]:
        """Names that size expressions use, as C writes them."""
        ints = {p.name: f"(int64_t){self.by_param[p.name].name}" for p in self._ints}
        return {**ints, **self.dims}

    @property
    def _ints(self) -> list[Param]:
        return [p for p in self.sig.params if not p.is_array and not p.is_written and DTYPES[p.dtype].is_int]

    @property
    def numbered(self) -> dict[str, str]:
        """The same where they are handed on in an array `k`."""
        return {name: f"k[{n}]" for n, name in enumerate(self.known)}

    # -- the header
    @property
    def declaration(self) -> str:
        params = [f"int64_t {d}" for d in self.dims.values()] + [a.declared for a in self.arguments]
        return f"int {self.symbol}({', '.join(params) or 'void'})"

    def header(self) -> str:
        """Comment and declaration, behind the records that it needs."""
        lines = [f"{self.sig.kind} {self.sig.name}"]
        lines += [line.strip() for line in self.sig.doc.strip().splitlines()]
        lines += [f"  {d}  dimension" for d in self.dims.values()]
        lines += [f"  {a.name}  {self._described(a)}" for a in self.arguments]
        lines += [f"needs {c.text}: {c.why}" for c in self.sig.conditions]
        body = "".join(f" * {comment(line)}\n" for line in lines)
        return f"{self._records()}/*\n{body} */\n{self.declaration};\n"

    def _described(self, a: Argument) -> str:
        p = a.param
        shape = f"[{', '.join(sizes.show(s) for s in p.shape)}]" if p.shape else ""
        effect = {"read": "", "result": ", written", "out": ", written", "inout": ", read and written"}
        how = effect.get(p.effect, f", {p.effect}({p.reduce_op})")
        dtype = p.struct if a.record else p.dtype
        default = f" (in lem: {p.default} where it is not given)" if p.default is not None else ""
        layout = ", the first axis contiguous" if p.layout == "col" else ""
        bits = ", as its bits" if p.dtype in ("f16", "bf16", "f8e4m3", "f8e5m2") and not a.record else ""
        return f"{dtype}{shape}{bits}{layout}{how}{default}"

    def _records(self) -> str:
        made = ""
        for a in self.arguments:
            if a.record:
                made += _record(a.record, [(p.field.split("."), C_TYPES[p.dtype]) for p in a.fields])
        return made

    # -- the body
    def body(self, codes: str) -> str:
        """The definition. codes: an expression for the ``struct lem_code`` of this processor, NULL where there is none."""
        lines = [
            f"const struct lem_code *lem_c = {codes};",
            "bool lem_bad = false;",
            f"const int64_t lem_k[] = {{{', '.join(self.known.values()) or '0'}}};",
            "if (!lem_c) return lem_no_code();",
            *self._check_dims(),
            *(line for a in self.arguments for line in self._check_argument(a)),
            *self._check_conditions(),
            *self._check_overlap(),
            *self._cleared(),
            *self._packed(),
            "(void)lem_bad;",
            "return lem_run(lem_c, lem_args, lem_k);",
        ]
        inside = "".join(f"    {line}\n" for line in lines)
        return f"LEM_API {self.declaration} {{\n{inside}}}\n"

    def _check_dims(self) -> Iterator[str]:
        for dim, name in self.dims.items():
            label = text(f"dimension `{dim}` would be %lld")
            yield f"if ({name} < 0) return lem_fail(615, {label}, (long long){name});"

    def _check_argument(self, a: Argument) -> Iterator[str]:
        if not a.is_pointer:
            return
        shape = a.param.shape or ()
        rows = ", ".join(size(s, self.known) for s in shape) or "1"
        yield f"const int64_t lem_s_{a.name}[] = {{{rows}}};"
        yield f"int64_t lem_n_{a.name} = 0;"
        if shape:
            yield f"if (lem_bad) return lem_fail(615, {text(f'a size of `{a.shown}` divides by zero')});"
        for axis, s in enumerate(shape):
            label = text(f"axis {axis} of `{a.shown}` would have size {sizes.show(s).replace('%', '%%')} = %lld")
            value = f"lem_s_{a.name}[{axis}]"
            if not isinstance(s, str):
                yield f"if ({value} < 0) return lem_fail(615, {label}, (long long){value});"
        label = text(f"`{a.shown}` would have too many elements")
        call = f"lem_bytes({len(shape)}, lem_s_{a.name}, {a.size_bytes}, &lem_n_{a.name})"
        yield f"if (!{call}) return lem_fail(615, {label});"
        yield f"if (!{a.name} && lem_n_{a.name}) return lem_fail(608, {text(f'`{a.shown}` is NULL')});"

    def _check_conditions(self) -> Iterator[str]:
        for c in self.sig.conditions:
            told = [n for n in sorted(sizes.names_in(c.expr if c.shown is None else c.shown)) if n in self.known]
            label = f"`{c.text}` must hold ({c.why})".replace("%", "%%")
            label += f"; here {', '.join(f'{n} = %lld' for n in told)}" if told else ""
            values = "".join(f", (long long){self.known[n]}" for n in told)
            yield f"if (!{size(c.expr, self.known)} || lem_bad) return lem_fail(605, {text(label)}{values});"

    def _check_overlap(self) -> Iterator[str]:
        pointers = [a for a in self.arguments if a.is_pointer]
        for n, a in enumerate(pointers):
            for b in pointers[n + 1 :]:
                if a.param.is_written or b.param.is_written:
                    w, other = (a, b) if a.param.is_written else (b, a)
                    label = text(f"`{w.shown}` is `{w.param.effect}` and shares elements with `{other.shown}`")
                    call = f"lem_overlap({a.name}, lem_n_{a.name}, {b.name}, lem_n_{b.name})"
                    yield f"if ({call}) return lem_fail(619, {label});"

    def _cleared(self) -> Iterator[str]:
        for a in self.arguments:
            if a.param.effect == "result":
                yield f"if (lem_n_{a.name}) memset({a.name}, 0, (size_t)lem_n_{a.name});"

    def _packed(self) -> Iterator[str]:
        n_words = sum(1 + 2 * len(p.shape or ()) for p in self.sig.params) + len(self.dims)
        yield f"uint64_t lem_args[{max(1, n_words)}], *lem_at = lem_args;"
        for p in self.sig.params:
            a = self.by_param[p.name]
            if not a.is_pointer:
                yield f"lem_at = lem_scalar(lem_at, &{a.name}, sizeof {a.name});"
                continue
            place, scale = a.name, "1"
            if a.record:
                place = f"(const char *){a.name} + offsetof({a.record}, {'.'.join(_members(p))})"
                scale = f"(int64_t)(sizeof({a.record}) / sizeof({C_TYPES[p.dtype]}))"
            is_col = "true" if p.layout == "col" else "false"
            yield f"lem_at = lem_array(lem_at, {place}, {len(p.shape or ())}, lem_s_{a.name}, {is_col}, {scale});"
        for name in self.dims.values():
            yield f"lem_at = lem_scalar(lem_at, &{name}, sizeof {name});"
        yield "(void)lem_at;"


def _members(p: Param) -> list[str]:
    return [Names().of(word) for word in p.field.split(".")]


def _record(record: str, fields: list[tuple[list[str], str]]) -> str:
    """The definition of a record, structs within it inside."""
    return f"{record} {{\n{_inside(fields, 1)}}};\n\n"


def _inside(fields: list[tuple[list[str], str]], depth: int) -> str:
    pad, made = "    " * depth, ""
    inner: dict[str, list[tuple[list[str], str]]] = {}
    for (first, *rest), ty in fields:
        inner.setdefault(first, []).append((rest, ty))
    for first, rows in inner.items():
        name = Names().of(first)
        if not rows[0][0]:
            made += f"{pad}{rows[0][1]} {name};\n"
        else:
            made += f"{pad}struct {{\n{_inside(rows, depth + 1)}{pad}}} {name};\n"
    return made


__all__ = ["Argument", "CFunction"]
