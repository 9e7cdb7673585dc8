"""What the places of a function say, as C: the text of a fault or a printed line, and the element that it happened in.

Takes the sites of an artifact; gives two functions and a table. They say what ``lem_runtime.faults`` says in Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter

from lem.aot.c_names import can_say, size, text
from lem_runtime.abi.artifact import Site

_KINDS = {"i64": "i", "u64": "u", "f64": "d", "f32": "f", "bool": "b"}
# The part of Python's format specifications that printf has: [[fill]align][sign][0][width][,][.precision][type].
_FORMAT = re.compile(r"(?:(.)?([<>^]))?([-+ ]?)(0?)(\d*)(,?)(?:\.(\d+))?([dxXoeEfFgG%]?)")


def functions(name: str, sites: Sequence[Site], known: Mapping[str, str]) -> str:
    """C text of `lem_text_NAME`, `lem_where_NAME` and `lem_places_NAME`. known: how dimensions and integers are written."""
    said = "".join(f"    case {n}: {_text(s)} break;\n" for n, s in enumerate(sites))
    where = "".join(_where(n, s, known) for n, s in enumerate(sites))
    places = ", ".join(_place(s) for s in sites) or "NULL"
    return f"""\
static void lem_text_{name}(struct lem_text *t, int32_t site, const int64_t *v) {{
    (void)t, (void)v;
    switch (site) {{
{said}    default: break;
    }}
}}

static bool lem_where_{name}(struct lem_text *t, int32_t site, int64_t order, const int64_t *k) {{
    bool lem_bad = false;
    (void)t, (void)order, (void)k, (void)lem_bad;
    switch (site) {{
{where}    default: return false;
    }}
}}

static const char *const lem_places_{name}[] = {{{places}}};
"""


def _text(site: Site) -> str:
    made = []
    for literal, field, spec, _ in Formatter().parse(site.text):
        if literal:
            made.append(f"lem_put(t, {text(literal)});")
        if field is not None:
            n = int(field)
            kind = _KINDS[site.kinds[n]] if n < len(site.kinds) else "i"
            made.append(_value(n, kind, spec or ""))
    return " ".join(made)


def _value(n: int, kind: str, spec: str) -> str:
    """A recorded value as a format specification of Python says; what C cannot do is shown plainly."""
    found = _FORMAT.fullmatch(spec)
    form = _c_format(found, kind) if spec and found is not None else None
    if found is None or form is None:
        return f"lem_put_word(t, v[{n}], '{kind}');"
    fill, align, _, zero, width, commas, _, letter = found.groups()
    scale = "100" if letter == "%" else "1"
    padding = f"{text(fill or ' ')}, '{align or '>'}', {width if width and not zero else 0}"
    return f"lem_put_as(t, v[{n}], '{kind}', \"{form}\", {scale}, {'true' if commas else 'false'}, {padding});"


def _c_format(found: re.Match[str], kind: str) -> str | None:
    """What printf is told; "" for the way in which floats are shown else; None where printf cannot do it."""
    _, _, sign, zero, width, _, precision, letter = found.groups()
    flags = f"{sign.strip('-')}{f'0{width}' if zero else ''}"
    if kind in "df" and not letter and not precision:
        return ""
    if letter in tuple("eEfFgG%") or kind in "df":
        last = {"%": "f%%", "": "g"}.get(letter, letter)
        return f"%{flags}.{precision or 6}{last}" if last[0] in "eEfFgG" else None
    if precision or (letter in tuple("xXo") and kind == "i"):
        return None
    return f"%{flags}ll{'u' if kind == 'u' and letter in ('', 'd') else letter or 'd'}"


def _where(n: int, site: Site, known: Mapping[str, str]) -> str:
    bounds = site.bounds
    if not site.axes or bounds is None or not all(can_say(x, known) for lo, hi, _ in bounds for x in (lo, hi)):
        return ""
    rows = ", ".join(f"{{{size(lo, known)}, {size(hi, known)}, {step}}}" for lo, hi, step in bounds)
    names = ", ".join(text(axis) for axis in site.axes)
    rank = len(site.axes)
    return f"""\
    case {n}: {{
        static const char *const names[] = {{{names}}};
        const int64_t bounds[][3] = {{{rows}}};
        return lem_indices(t, {text(site.kernel)}, {rank}, names, bounds, order, lem_bad);
    }}
"""


def _place(site: Site) -> str:
    p = site.place
    return "NULL" if p is None else text(f"{p.file}:{p.line}:{p.col}")


__all__ = ["functions"]
