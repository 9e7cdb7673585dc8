"""What a kernel or task takes and gives, as data: the compiler writes it, the runtime binds calls with it.

Takes the shapes and scalars of a call; gives the value of every dimension, or a :class:`CallError` that names the
parameter at fault (LANGUAGE 7, 15, 43). Pure; no arrays are touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from lem_runtime.abi import sizes
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.sizes import Size

Scalar = int | float | bool

LAYOUTS = ("row", "col", "soa", "aos")


def axis_order(layout: str) -> str:
    """What a layout says of the axes of the array (of each field): "row", "col", or "" for nothing."""
    return {"row": "row", "soa": "row", "col": "col"}.get(layout, "")


@dataclass(frozen=True, slots=True)
class Place:
    """A range of source text, for messages: lines and columns from 1, `end_col` exclusive."""

    file: str
    line: int
    col: int
    end_line: int
    end_col: int
    start: int = 0  # character offsets, so that a renderer that has the text can use its spans
    end: int = 0


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter or named result; of a struct parameter `b`, one of its fields: `b.x`.

    effect: "read" | "out" | "inout" | "reduce" | "result" (a fresh array or scalar given back)
    shape:  None for a scalar, else one size per axis.
    struct: of a field: name of the struct. Compiled code knows fields only, each an array with strides of its own (so
            interleaved fields and fields apart are the same to it); callers and messages know the struct.
    layout: what the array must be, and is where lem makes it: "row" (neighbours along the last axis), "col" (along the
            first), of structs also "soa" (each field by itself like "row") and "aos" (all fields in one record); "": the
            caller's.
    """

    name: str
    dtype: str
    shape: tuple[Size, ...] | None
    effect: str
    place: Place | None = None
    default: Scalar | None = None
    reduce_op: str = ""
    struct: str = ""
    layout: str = ""

    @property
    def argument(self) -> str:
        """What a caller calls it: `b` of the field `b.x`, else its name."""
        return self.name.partition(".")[0] if self.struct else self.name

    @property
    def field(self) -> str:
        """The path to a field within its struct: `x`, or `at.x` in a struct that holds one; "" of any other parameter."""
        return self.name.partition(".")[2] if self.struct else ""

    @property
    def is_array(self) -> bool:
        return self.shape is not None

    @property
    def inner_axis(self) -> int:
        """The axis along which neighbours lie side by side, where the array is as its layout says (or plain)."""
        return 0 if self.layout == "col" else len(self.shape or ()) - 1

    @property
    def is_written(self) -> bool:
        return self.effect != "read"


@dataclass(frozen=True, slots=True)
class DimRule:
    """How a dimension is found. In order of the signature's `rules`; the first one that applies binds.

    `dim = (size of axis `axis` of the argument `param` - offset) // scale`, with `scale` > 0 dividing exactly; `offset`
    may use names bound before. With `param` None the dimension is given by name at the call.
    """

    dim: str
    param: str | None
    axis: int = 0
    offset: Size = 0
    scale: int = 1


@dataclass(frozen=True, slots=True)
class Condition:
    """Must hold at every call. `why` is a phrase (``x[i + r]`` needs it; ``where`` clause ...).

    shown: what a reader needs to know of `expr`, where that also allows for empty ranges: `R <= 1` of
           `M <= 0 or R <= 1`. None: all of it.
    """

    expr: Size
    why: str
    place: Place | None = None
    shown: Size | None = None

    @property
    def text(self) -> str:
        """The condition as a reader sees it."""
        return sizes.show(self.expr if self.shown is None else self.shown)


@dataclass(frozen=True)  # without slots: what follows from the fields is kept
class Signature:
    name: str
    kind: str  # "kernel" | "task"
    dims: tuple[str, ...]
    params: tuple[Param, ...]  # in source order, results last
    rules: tuple[DimRule, ...]
    conditions: tuple[Condition, ...] = ()
    place: Place | None = None
    doc: str = ""

    def param(self, name: str) -> Param | None:
        """What a caller or compiled code calls `name`: an argument or a field."""
        return next((p for p in (*self.params, *self.arguments) if p.name == name), None)

    @cached_property
    def arguments(self) -> tuple[Param, ...]:
        """The parameters as a caller sees them: a struct is one, with the struct's name as its dtype."""
        return arguments_of(self.params)

    def fields(self, argument: str) -> tuple[Param, ...]:
        """The fields of a struct argument; none of any other."""
        return tuple(p for p in self.params if p.struct and p.argument == argument)

    @cached_property
    def inputs(self) -> tuple[Param, ...]:
        """What a caller must hand over: everything but `out` arrays and results."""
        return tuple(p for p in self.arguments if p.effect not in ("out", "result"))


def arguments_of(params: Sequence[Param]) -> tuple[Param, ...]:
    """Parameters with the fields of each struct taken together."""
    out: dict[str, Param] = {}
    for p in params:
        out.setdefault(p.argument, replace(p, name=p.argument, dtype=p.struct, struct="") if p.struct else p)
    return tuple(out.values())


class CallError(Exception):
    """A call does not fit its signature. `code` is a diagnostic code, `place` the parameter or condition at fault; `also`
    the other half of the conflict: places with what they say."""

    def __init__(
        self, code: str, message: str, place: Place | None = None, help: str = "",
        also: Sequence[tuple[Place | None, str]] = (),
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place
        self.help = help
        self.also = tuple(also)


def bind(
    sig: Signature,
    shapes: Mapping[str, Sequence[int]],
    scalars: Mapping[str, Scalar],
    named: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Value of every dimension of `sig`, with all sizes and conditions checked.

    `shapes`: shape of each array handed over, a struct's by its name or field by field (`out` arrays may be missing: they
    are allocated from the result); `scalars`: values of the scalar parameters; `named`: dimensions given by name. Raises
    :class:`CallError`.
    """
    known: dict[str, int] = {n: v for n, v in scalars.items() if isinstance(v, int) and not isinstance(v, bool)}
    shapes = _by_argument(sig, shapes)
    _check_ranks(sig, shapes)
    dims: dict[str, int] = {}
    told: dict[str, str] = {}
    for dim, value in (named or {}).items():
        if dim not in sig.dims:
            raise CallError("E0609", f"`{sig.name}` has no dimension or parameter `{dim}`", sig.place)
        dims[dim] = known[dim] = value
        told[dim] = "given by name"
    for rule in sig.rules:
        if rule.dim not in dims and rule.param is not None and rule.param in shapes:
            dims[rule.dim] = known[rule.dim] = _solve(sig, rule, shapes[rule.param], known)
            told[rule.dim] = f"axis {rule.axis} of `{rule.param}`"
    _check_all_told(sig, dims)
    _check_shapes(sig, shapes, known, told)
    _check_conditions(sig, known)
    return dims


def _check_all_told(sig: Signature, dims: Mapping[str, int]) -> None:
    missing = [d for d in sig.dims if d not in dims]
    if missing:
        names = ", ".join(f"`{d}`" for d in missing)
        raise CallError(
            "E0314", f"dimension{'s' if missing[1:] else ''} {names} of `{sig.name}` cannot be told from the arguments",
            sig.place, f"give {'them' if missing[1:] else 'it'} by name: {' '.join(f'{d}=...' for d in missing)}",
        )  # fmt: skip
    for dim in sig.dims:
        if not 0 <= dims[dim] < 1 << 63:
            raise CallError("E0615", f"dimension `{dim}` would be {dims[dim]}", sig.place)


def shape_of(param: Param, known: Mapping[str, int]) -> tuple[int, ...]:
    """The sizes an array parameter must have. Raises :class:`CallError` for a negative or undefined size."""
    out = []
    for axis, size in enumerate(param.shape or ()):
        try:
            n = sizes.evaluate(size, known)
        except sizes.SizeError as e:
            raise CallError("E0615", f"size of axis {axis} of `{param.name}`: {e}", param.place) from None
        if n < 0:
            raise CallError("E0615", f"axis {axis} of `{param.name}` would have size {sizes.show(size)} = {n}", param.place)
        out.append(n)
    return tuple(out)


def _by_argument(sig: Signature, shapes: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    """Shapes by the names that callers use; all fields of a struct have one shape."""
    out: dict[str, Sequence[int]] = {}
    fields = {p.name: p for p in sig.params if p.struct}
    first: dict[str, Param] = {}
    for name, shape in shapes.items():
        p = fields.get(name)
        if p is None:
            out[name] = shape
            continue
        seen = out.setdefault(p.argument, shape)
        if tuple(seen) != tuple(shape):
            raise CallError(
                "E0606", f"field `{p.field}` of `{p.argument}` is {_shaped(shape)}, "
                f"and field `{first[p.argument].field}` {_shaped(seen)}", p.place,
            )  # fmt: skip
        first.setdefault(p.argument, p)
    return out


def _check_ranks(sig: Signature, shapes: Mapping[str, Sequence[int]]) -> None:
    for p in sig.arguments:
        if p.shape is not None and p.name in shapes and len(shapes[p.name]) != len(p.shape):
            raise CallError(
                "E0606",
                f"`{p.name}` has {_axes(len(p.shape))}, but {_shaped(shapes[p.name])} is given",
                p.place,
            )


def _solve(sig: Signature, rule: DimRule, shape: Sequence[int], known: Mapping[str, int]) -> int:
    param = sig.param(rule.param or "")
    place = param.place if param else sig.place
    size = shape[rule.axis]
    try:
        rest = size - sizes.evaluate(rule.offset, known)
    except sizes.SizeError as e:
        raise CallError("E0314", f"dimension `{rule.dim}`: {e}", place) from None
    if rest % rule.scale:
        written = sizes.show(param.shape[rule.axis]) if param and param.shape else "?"
        raise CallError(
            "E0606", f"axis {rule.axis} of `{rule.param}` has size {size}, which is not of the form {written}", place
        )
    return rest // rule.scale


def _check_shapes(
    sig: Signature, shapes: Mapping[str, Sequence[int]], known: Mapping[str, int], told: Mapping[str, str]
) -> None:
    for p in sig.arguments:
        if p.shape is None:
            continue
        want = shape_of(p, known)
        if p.name not in shapes:
            continue
        for axis, (n, w) in enumerate(zip(shapes[p.name], want, strict=True)):
            if n != w:
                raise _clash(sig, p, axis, n, w, known, told)


def _clash(
    sig: Signature, p: Param, axis: int, n: int, want: int, known: Mapping[str, int], told: Mapping[str, str]
) -> CallError:
    """One axis has another size than its parameter says; names where the sizes come from."""
    size = (p.shape or ())[axis]
    also: list[tuple[Place | None, str]] = []
    given: list[str] = []
    for dim in sorted(sizes.names_in(size)):
        rule = next((r for r in sig.rules if r.dim == dim and r.param is not None), None)
        param = sig.param(rule.param or "") if rule is not None else None
        if dim not in told:
            given.append(f"{dim} = {known[dim]}")
        elif param is not None and param is not p and told[dim].startswith("axis"):
            also.append((param.place, f"{dim} is {known[dim]}: {told[dim]}"))
        else:
            given.append(f"{dim} = {known[dim]}: {told[dim]}" if len(sizes.names_in(size)) > 1 else f"{dim}: {told[dim]}")
    wanted = sizes.show(size) if isinstance(size, int) else f"{sizes.show(size)} = {want}"
    reason = f" ({', '.join(given)})" if given else ""
    return CallError("E0606", f"axis {axis} of `{p.name}` has size {n}, not {wanted}{reason}", p.place, "", also)


def _axes(n: int) -> str:
    return "no axes" if n == 0 else "1 axis" if n == 1 else f"{n} axes"


def _shaped(shape: Sequence[int]) -> str:
    return f"an array of shape {list(shape)}" if len(shape) else "a single number"


def _check_conditions(sig: Signature, known: Mapping[str, int]) -> None:
    for c in sig.conditions:
        try:
            ok = bool(sizes.evaluate(c.expr, known))
        except sizes.SizeError as e:
            raise CallError("E0605", f"{c.why}: {e}", c.place or sig.place) from None
        if not ok:
            told = c.expr if c.shown is None else c.shown
            values = ", ".join(f"{n} = {known[n]}" for n in sorted(sizes.names_in(told)) if n in known)
            raise CallError("E0605", f"`{c.text}` must hold ({c.why}); here {values}", c.place or sig.place)
