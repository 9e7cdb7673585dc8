"""The test of ``unique(idx)``: that all elements of `idx` which name a place of some axis name different ones.

Takes the typed statement that stands before the grid; gives sequential code that marks the places as it meets them, in time
and memory of the array's and the axis' size.
"""

from __future__ import annotations

from lem import ir
from lem.ir import ops
from lem.ir.core import Affine, Block, TileType, Value
from lem.lower.state import State
from lem.types import typed
from lem_runtime.abi.dtypes import BOOL, I64

_SHOWN = 3  # subscripts in a message: a fault records four values, and one of them is the element


def require_unique(st: State, s: typed.CheckUnique) -> None:
    """Fault at the first element, in order, whose place an earlier one has named. Elements outside of the axis name none."""
    size = st.axis_size(s.target, s.axis)
    marks = ir.Array(f"{s.index.name}.named", BOOL, (None,), "temp", "inout")
    st.do(ops.Alloc(marks, (size,), st.const(False, BOOL), loc=st.place(s.span)))
    _visit(st, s, marks, size, ())


def _visit(st: State, s: typed.CheckUnique, marks: ir.Array, size: Value, at: tuple[Value, ...]) -> None:
    """The elements whose first subscripts are `at`."""
    if len(at) == len(s.index.shape):
        _meet(st, s, marks, size, at)
        return
    t = Value(TileType(I64), f"{s.index.name}.{len(at)}")
    with st.nested() as b:
        _visit(st, s, marks, size, (*at, t))
    end = st.axis_size(s.index, len(at))
    st.do(ops.For(st.const(0, I64), end, 1, (), b.block((t,)), loc=st.place(s.span)))


def _meet(st: State, s: typed.CheckUnique, marks: ir.Array, size: Value, at: tuple[Value, ...]) -> None:
    (index,) = st.arrays[s.index]
    element = st.emit(ops.Load(index, tuple(st.affine(t) for t in at), loc=st.place(s.span)))
    named = element if element.dtype == I64 else st.emit(ops.Cast(element, I64))
    low = st.emit(ops.Compare("ge", named, st.const(0, I64)))
    high = st.emit(ops.Compare("lt", named, size))
    is_place = st.emit(ops.Binary("and", low, high))
    place = (Affine(((1, named),)),)
    with st.nested() as b:
        is_new = st.emit(ops.Unary("not", st.emit(ops.Load(marks, place))))
        subs = at if len(at) <= _SHOWN else ()
        shown = ", ".join(f"{{{n}}}" for n in range(len(subs)))
        which = f"`{s.index.name}[{shown}]`" if subs else f"an element of `{s.index.name}`"
        text = f"{which} is {{{len(subs)}}}, and so is an earlier element"
        st.require(is_new, "E0621", text, s.span, (*subs, named))
        st.do(ops.Store(marks, place, st.const(True, BOOL)))
    st.do(ops.If(is_place, b.block(), Block((), ())))
