"""What a command line binds: arrays from files, numbers, dimensions; each by name, each checked against its parameter.

Takes ``name=value`` texts and an entry's signature; gives :class:`Inputs`, or stops with a report that points at the
parameter. Everything that can be refused before compiling is refused here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, NoReturn, TypeVar

from lem.cli import output, reading
from lem.cli.files import NARROW, FileProblem
from lem.cli.session import Entry, Prepared
from lem.diagnostics.suggest import nearest
from lem_runtime import CallError, conversion, facts_of, rounded, split
from lem_runtime.abi import signature, sizes
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Param, Place, Signature
from lem_runtime.abi.source import Facts

N = TypeVar("N", int, float, bool)


@dataclass(slots=True)
class Inputs:
    """A struct stands under its name, as a dict of its fields where they were given one by one."""

    arrays: dict[str, Any] = field(default_factory=dict)
    scalars: dict[str, Any] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    loaded: dict[str, reading.Loaded] = field(default_factory=dict)  # where each array came from
    dtypes: dict[str, str] = field(default_factory=dict)  # of a generic kernel's type parameters


def bind(session: Prepared, values: Sequence[str], type_params: Sequence[tuple[str, str]]) -> Inputs:
    """Read and check all that was given. Stops with a report where something does not fit."""
    sig = session.entry.signature
    found = Inputs(dtypes=told_dtypes(session.entry, type_params))
    given: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name and equals):
            _refuse_form(text, sig)
        if name in given:
            output.fail("E0620", f"`{name}` is given twice: {given[name]} and {value}")
        given[name] = value
    # Names first: an unknown one should not wait for a large file to be read.
    _check_names(sig, given)
    for name, value in given.items():
        _take(found, session, name, value)
    _infer_dtypes(session.entry, found)
    for p in sig.inputs:
        if p.name in found.arrays:
            _check_dtype(sig, p, found)
        elif p.name in given and p.dtype in found.dtypes:
            found.scalars[p.name] = _scalar(p, found.dtypes[p.dtype], given[p.name])
    return found


def facts(session: Prepared, found: Inputs) -> Facts:
    """What may be assumed about this call; shapes, dimensions and conditions are checked on the way."""
    sig = session.entry.signature
    scalars = {p.name: p.default for p in sig.params if p.default is not None} | found.scalars
    try:
        dims = signature.bind(sig, {n: a.shape for n, a in split(sig, found.arrays).items()}, scalars, found.dims)
    except CallError as e:
        fail_call(e, found)
    return Facts(facts_of(sig, found.arrays, dims).layouts, (), tuple(sorted(found.dtypes.items())))


def fail_call(e: CallError, found: Inputs) -> NoReturn:
    """Report a call that does not fit. Where shapes clash, what the files hold stands below."""
    holds = [f"`{x.path}` holds {x.holds}" for x in found.loaded.values()]
    note = ", ".join(holds) if e.code == "E0606" else ""
    output.fail(e.code, e.message, place=e.place, also=e.also, help=e.help, note=note)


# ---------------------------------------------------------------- names
def _check_names(sig: Signature, given: dict[str, str]) -> None:
    for name, value in given.items():
        param = sig.param(name)
        if param is not None and param.effect in ("out", "result"):
            output.fail(
                "E0609", f"`{name}` is a result of `{sig.name}`; it is not given", place=param.place,
                help=f"to write it to a file: -o {param.argument}={value}",
            )  # fmt: skip
        if param is None and name not in sig.dims:
            _refuse_name(sig, name)
        if param is not None and param.struct and param.argument in given:
            output.fail("E0620", f"`{param.argument}` is given whole and field by field", place=param.place)
    missing = [p for a in sig.inputs for p in _missing(sig, a, given)]
    if missing:
        _refuse_missing(sig, missing)


def _missing(sig: Signature, a: Param, given: Mapping[str, str]) -> Sequence[Param]:
    """What is still to be given of an argument: nothing, itself, or some fields of a struct."""
    if a.name in given or a.default is not None:
        return ()
    fields = sig.fields(a.name)
    absent = [f for f in fields if f.name not in given]
    is_whole = not fields or (a.is_array and len(absent) == len(fields))
    return (a,) if is_whole else absent


def _refuse_form(text: str, sig: Signature) -> NoReturn:
    single = [p.name for p in sig.inputs if p.is_array]
    name = single[0] if len(single) == 1 else "NAME"
    output.fail("E0620", f"`{text}` is not of the form name=value", help=f"say what it is for: {name}={text}")


def _refuse_name(sig: Signature, name: str) -> NoReturn:
    known = [p.name for a in sig.inputs for p in (a, *sig.fields(a.name)) if p.is_array or p.dtype in DTYPES]
    known += sig.dims
    guess = nearest(name, known)
    takes = f"it takes {', '.join(known)}" if known else "it takes nothing"
    label = f"`{sig.name}` has no parameter or dimension `{name}`"
    output.fail("E0609", label, place=sig.place, help=f"did you mean `{guess}`?" if guess else takes)


def _refuse_missing(sig: Signature, missing: Sequence[Param]) -> NoReturn:
    first, *rest = missing
    form = " ".join(f"{p.name}={'FILE' if p.is_array else 'NUMBER'}" for p in missing)
    also: list[tuple[Place | None, str]] = [(p.place, f"`{p.name}` is missing too") for p in rest]
    label = f"`{first.name}` ({described(first)}) is missing"
    output.fail("E0608", label, place=first.place, also=also, help=f"give {form}")


def described(p: Param) -> str:
    """The type of a parameter as it is written: `f32[M, N]`."""
    return p.dtype + ("" if p.shape is None else f"[{', '.join(sizes.show(s) for s in p.shape)}]")


# ---------------------------------------------------------------- values
def _take(found: Inputs, session: Prepared, name: str, value: str) -> None:
    sig = session.entry.signature
    param = sig.param(name)
    if param is None:
        found.dims[name] = _dimension(name, value)
    elif param.is_array:
        loaded = found.loaded[name] = _read(found, session, param, value)
        _put(found.arrays, param, loaded.array)
    elif fields := sig.fields(name):
        label = f"`{name}` is a `{param.dtype}`; `{value}` is none"
        output.fail("E0607", label, place=param.place, help=f"give its fields: {' '.join(f'{p.name}=...' for p in fields)}")
    elif param.dtype in DTYPES:  # of a type parameter's one the type is known when all files are read
        _put(found.scalars, param, _scalar(param, param.dtype, value))


def _put(values: dict[str, Any], param: Param, value: Any) -> None:
    if param.struct:
        values.setdefault(param.argument, {})[param.field] = value
    else:
        values[param.name] = value


def _read(found: Inputs, session: Prepared, param: Param, path: str) -> reading.Loaded:
    """The array that a file holds for a parameter."""
    name = param.name
    dtype = found.dtypes.get(param.dtype, "") if param.dtype in session.entry.type_params else param.dtype
    if _real(path) is not None and not os.path.exists(path):
        label = f"`{name}` is {described(param)}, so it takes a file; `{path}` is none"
        output.fail("E0607", label, place=param.place, help=f"write {name}=FILE.npy")
    fields = tuple(f.field for f in session.entry.signature.fields(name))
    wanted = reading.Wanted(param.field or name, dtype, len(param.shape or ()), fields)
    try:
        return reading.read_array(path, wanted)
    except FileProblem as e:
        output.fail(e.code, e.message, help=e.help)


def _dimension(name: str, text: str) -> int:
    number = _whole(text)
    if number is None:
        output.fail("E0607", f"dimension `{name}` is a whole number, not `{text}`")
    if number < 0:
        output.fail("E0615", f"dimension `{name}` cannot be {number}")
    return number


def _scalar(param: Param, dtype: str, text: str) -> int | float | bool:
    """A number or bool as written on the command line; what the type can hold, or a report."""
    t = DTYPES[dtype]
    if t.is_bool:
        return _known(param, dtype, _BOOLS.get(text.lower()), text, "true or false")
    if not t.is_int:
        return _float(param, dtype, _known(param, dtype, _real(text), text, "a number"), text)
    number = _known(param, dtype, _whole(text), text, "a whole number")
    if not t.min_int <= number <= t.max_int:
        label = f"`{param.name}` is {dtype}, which holds {t.min_int} to {t.max_int}, not {number}"
        output.fail("E0607", label, place=param.place)
    return number


def _float(param: Param, dtype: str, value: float, text: str) -> float:
    """A number too large for its type would become infinity without a word."""
    held = float(rounded(value, dtype)) if DTYPES[dtype].is_float else value
    if not math.isfinite(held) and not any(word in text.lower() for word in ("inf", "nan")):
        label = f"`{param.name}` is {dtype}, which holds {text} as {held}"
        output.fail("E0607", label, place=param.place, help=f"if that is meant, write {param.name}={held}")
    return value


def _known(param: Param, dtype: str, value: N | None, text: str, kind: str) -> N:
    if value is None:
        label = f"`{param.name}` is one {dtype}; `{text}` is not {kind}"
        output.fail("E0607", label, place=param.place)
    return value


_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def _whole(text: str) -> int | None:
    """A whole number: decimal, or with 0x, 0o, 0b; `_` between digits."""
    try:
        return int(text) if text.lstrip("+-").isdecimal() else int(text, 0)
    except ValueError:
        return None


def _real(text: str) -> float | None:
    """A number: decimal, inf, nan, or hexadecimal as C writes it."""
    try:
        return float.fromhex(text) if "0x" in text.lower() else float(text)
    except (ValueError, OverflowError):
        return None


# ---------------------------------------------------------------- types of elements
def told_dtypes(entry: Entry, told: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, dtype in told:
        if name not in entry.type_params:
            known = ", ".join(entry.type_params)
            has = f"its type parameters are {known}" if known else "it has none"
            output.fail("E0609", f"`{entry.name}` has no type parameter `{name}`; {has}", place=entry.signature.place)
        if dtype not in DTYPES:
            guess = nearest(dtype, DTYPES)
            output.fail("E0305", f"there is no type `{dtype}`", help=f"did you mean `{guess}`?" if guess else "")
        found[name] = dtype
    return found


def _infer_dtypes(entry: Entry, found: Inputs) -> None:
    """A type parameter is what the first array declared with it holds, where the command line does not say."""
    for p in entry.signature.inputs:
        loaded = found.loaded.get(p.name)
        if p.dtype in entry.type_params and loaded is not None:
            if loaded.dtype is None:
                label = f"`{p.name}` is declared {p.dtype}, but `{loaded.path}` holds {_foreign(loaded)}"
                output.fail("E0607", label, place=p.place)
            found.dtypes.setdefault(p.dtype, loaded.dtype)
    for t in entry.type_params:
        if t not in found.dtypes:
            output.fail(
                "E0325", f"type `{t}` of `{entry.name}` cannot be told from the arguments", place=entry.signature.place,
                help=f"give it: --dtype {t}=f32",
            )  # fmt: skip


def _check_dtype(sig: Signature, p: Param, found: Inputs) -> None:
    fields = sig.fields(p.name)
    if not fields:
        _check_plain(p, found)
        return
    for f in fields:
        if f.name in found.loaded:
            _check_plain(f, found)
    try:
        split(sig, {p.name: found.arrays[p.name]})
    except CallError as e:
        _fail_fields(p, found, e.message, e.help)
    for f in fields:  # u16 in a file is no bf16, though NumPy holds both alike
        if p.name in found.loaded and (holds := found.loaded[p.name].fields.get(f.field)) != f.dtype:
            _fail_fields(p, found, f"field `{f.field}` of `{p.name}` is {f.dtype}, found {holds}")


def _fail_fields(p: Param, found: Inputs, label: str, help: str = "") -> NoReturn:
    """Report that a file does not hold the structs that are wanted."""
    loaded = found.loaded.get(p.name)
    output.fail("E0607", label, place=p.place, help=help, note=f"`{loaded.path}` holds {loaded.holds}" if loaded else "")


def _check_plain(p: Param, found: Inputs) -> None:
    """A file must hold what its parameter, or the field that it is given for, is."""
    loaded = found.loaded[p.name]
    want = found.dtypes.get(p.dtype, p.dtype)
    if loaded.dtype == want:
        return
    holds = loaded.dtype or _foreign(loaded)
    label = f"`{p.name}` is declared {want}, but `{loaded.path}` holds {holds}"
    helps = []
    if loaded.dtype is not None and not p.struct and p.dtype in DTYPES:
        helps.append(f"declare `{p.name}` as {loaded.dtype}, and write {want}(...) where it is used")
    if loaded.path.endswith(".npy") and want not in NARROW and not loaded.fields:
        how, what = conversion(f"np.load({loaded.path!r})", loaded.array.dtype, want)
        first = "or convert" if helps else "convert"
        made = f": np.save('new.npy', {how})" if how else ""
        helps.append(f"{first} the file (lem never does){made}" + (f" ({what})" if what else ""))
    output.fail("E0607", label, place=p.place, help=helps)


def _foreign(loaded: reading.Loaded) -> str:
    return f"structs {loaded.holds}" if loaded.fields else f"{loaded.array.dtype}, which lem does not have"
