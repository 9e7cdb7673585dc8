"""Every diagnostic code with its headline. Codes follow the stages and are never reused.

E01 syntax, E02 names, E03 types, shapes and axes, E04 effects, races and tasks, E05 targets, E06 running.
A headline stands alone: lower case, no final period. ``explain/<code>.md`` holds the page of a code.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """One diagnostic code, for example ``E0312``."""

    id: str
    headline: str


CODES: dict[str, Code] = {}


def _code(id: str, headline: str) -> Code:
    code = CODES[id] = Code(id, headline)
    return code


# --- E01 syntax
E0101 = _code("E0101", "syntax error")
E0102 = _code("E0102", "indentation does not match")
E0103 = _code("E0103", "string or bracket is not closed")
E0104 = _code("E0104", "this part of Python is not part of lem")
E0105 = _code("E0105", "missing colon")
E0106 = _code("E0106", "bad number")
E0107 = _code("E0107", "character does not belong in a program")
E0108 = _code("E0108", "nested too deeply")
E0109 = _code("E0109", "`=` where a comparison is meant")
E0110 = _code("E0110", "empty block")
E0111 = _code("E0111", "no spelling in the other form")

# --- E02 names
E0201 = _code("E0201", "unknown name")
E0202 = _code("E0202", "name defined twice")
E0203 = _code("E0203", "module not found")
E0204 = _code("E0204", "modules import each other")
E0205 = _code("E0205", "name is already bound here")
E0206 = _code("E0206", "read before it is assigned")
E0207 = _code("E0207", "name is out of scope here")
E0208 = _code("E0208", "module has no such name")
E0209 = _code("E0209", "not a constant")

# --- E03 types, shapes, axes
E0301 = _code("E0301", "types do not agree")
E0302 = _code("E0302", "no common type")
E0303 = _code("E0303", "literal does not fit its type")
E0304 = _code("E0304", "condition is not a bool")
E0305 = _code("E0305", "unknown type")
E0306 = _code("E0306", "wrong number of subscripts")
E0307 = _code("E0307", "wrong arguments")
E0308 = _code("E0308", "`/` on two integers")
E0309 = _code("E0309", "narrowing needs a written conversion")
E0310 = _code("E0310", "axes do not fit")
E0311 = _code("E0311", "index is out of range")
E0312 = _code("E0312", "index ranges over the wrong dimension")
E0313 = _code("E0313", "sizes do not agree")
E0314 = _code("E0314", "dimension cannot be determined")
E0315 = _code("E0315", "not a per-element value here")
E0316 = _code("E0316", "reduction has no axis")
E0317 = _code("E0317", "operator does not take these types")
E0318 = _code("E0318", "not all paths return a value")
E0319 = _code("E0319", "statement does not belong here")
E0320 = _code("E0320", "subscript cannot be negative")
E0321 = _code("E0321", "not callable here")
E0322 = _code("E0322", "grid is not well formed")
E0323 = _code("E0323", "loop is not well formed")
E0324 = _code("E0324", "function calls itself")
E0325 = _code("E0325", "generic type cannot be determined")
E0326 = _code("E0326", "depends on how the work is cut into blocks")
E0327 = _code("E0327", "call holds only for some sizes")
E0328 = _code("E0328", "no such field")
E0329 = _code("E0329", "struct is not well formed")
E0330 = _code("E0330", "field of a struct is assigned")
E0331 = _code("E0331", "layout does not fit")

# --- E04 effects, races, tasks
E0401 = _code("E0401", "parameter is read-only")
E0402 = _code("E0402", "two elements write the same place")
E0403 = _code("E0403", "an element reads what another element writes")
E0404 = _code("E0404", "read before it is written")
E0405 = _code("E0405", "`reduce` array is only updated here")
E0406 = _code("E0406", "arguments share elements")
E0407 = _code("E0407", "scalar of the kernel assigned in a grid")
E0408 = _code("E0408", "result is not assigned")
E0409 = _code("E0409", "not part of a task")
E0410 = _code("E0410", "`out` is never written")
E0411 = _code("E0411", "claim of `unique` cannot be tested")

# --- E05 targets
E0501 = _code("E0501", "target cannot run this")
E0502 = _code("E0502", "not implemented yet")
E0503 = _code("E0503", "unknown target")
E0504 = _code("E0504", "variant has another signature")
E0505 = _code("E0505", "C compiler is needed")
E0506 = _code("E0506", "variant gives another result")

# --- E06 running
E0601 = _code("E0601", "index out of range")
E0602 = _code("E0602", "division by zero")
E0603 = _code("E0603", "assertion failed")
E0604 = _code("E0604", "negative shift")
E0605 = _code("E0605", "condition of the signature does not hold")
E0606 = _code("E0606", "argument has the wrong shape")
E0607 = _code("E0607", "argument has the wrong type")
E0608 = _code("E0608", "argument is missing")
E0609 = _code("E0609", "unknown argument")
E0610 = _code("E0610", "file cannot be read")
E0611 = _code("E0611", "file cannot be written")
E0612 = _code("E0612", "time is up")
E0613 = _code("E0613", "interrupted")
E0614 = _code("E0614", "out of memory")
E0615 = _code("E0615", "size is negative or too large")
E0616 = _code("E0616", "reduction over nothing")
E0617 = _code("E0617", "check failed")
E0618 = _code("E0618", "nothing to run")
E0619 = _code("E0619", "arguments share elements")
E0620 = _code("E0620", "command line is not understood")
E0621 = _code("E0621", "same element named twice")
E0622 = _code("E0622", "internal error")
E0623 = _code("E0623", "argument has the wrong layout")
E0624 = _code("E0624", "tasks call each other too deep")
E0625 = _code("E0625", "bundle is damaged")
E0626 = _code("E0626", "bundle is of another version")
E0627 = _code("E0627", "bundle is for another machine")
E0628 = _code("E0628", "element is read before it is written")
E0629 = _code("E0629", "two elements of a grid meet")
E0630 = _code("E0630", "step of a loop is not above 0")
