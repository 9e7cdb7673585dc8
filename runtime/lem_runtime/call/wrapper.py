"""The way from a Python call into compiled code, as text: one function per signature, in LLVM IR.

Takes a signature and the facts of its code; gives the text of ``lem_call``, which has the interpreter's own calling
convention (PEP 590). It looks at the arguments where they lie, fills the argument block on its stack and calls the entry. It
decides nothing: whatever is not plain (another type, strides that the code does not know, arrays that may overlap, a
condition that does not hold, names that are no parameters, work of seconds) goes to the function in Python that says what
is wrong or does it properly.

    call ──▶ type, dtype, axes, flags ──▶ sizes, conditions ──▶ no overlap ──▶ little work ──▶ entry ──▶ None
                │                              │                                    └─▶ GIL off ──▶ entry ──▶ GIL on ─┘
                └──────────────────────────────┴──── any "no" ──▶ the way through Python

Results (``->``) are made here: arrays of zeros by NumPy's C interface, numbers as Python's own.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import field
from typing import Final

from lem_runtime import values
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.dtypes import DTYPES
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Param, Signature
from lem_runtime.abi.sizes import Size, names_in
from lem_runtime.call import cpython as at
from lem_runtime.runner import LITTLE_WORK, SHORT_WORK

# Words of the state that a callable carries; dtypes of its arrays follow, then the names of its parameters.
SLOW, NONE, INCREF, NDARRAY, ENTRY, CTX, FAULT, STATUS, LONG, FLOAT, AS_LONG = range(11)
# One caller at a time is in the code, or looks at a fault, without the GIL: BUSY says so, and is written under the GIL only.
# ALONE_CTX: of a call with one worker, CTX: with all, null until there are more.
BUSY, ALONE_CTX, IS_ALONE, SAVE, RESTORE, WEAKREF, DECREF = range(11, 18)
# For results.
ZEROS, FROM_DOUBLE, FROM_LONG, FROM_UNSIGNED, TRUE, FALSE, TUPLE, SET_ITEM, CLEAR, DTYPE_0 = range(18, 28)
# Behind the names: code for certain sizes (null: there is none), how often calls went to code from here, then per dimension
# the size that this code is for (ANY_SIZE: any), then per dimension the size of the last call.
SPECIAL, CALLS, SIZES = range(3)
ANY_SIZE: Final = -1
_LARGEST_SIZE: Final = 1 << 31  # of an axis, so that products of two sizes cannot overflow
_LARGEST_RESULT: Final = 1 << 28  # bytes; whether there is memory for more is asked in Python


class NotPlain(Exception):
    """A signature whose calls all go through Python."""


def wrapper_text(artifact: Artifact, layouts: Sequence[str], head: int) -> str:
    """Text of the wrapper of an artifact whose arrays have `layouts` ("inner": contiguous last axis). Raises
    :class:`NotPlain`. head: bytes of an object's head."""
    sig = artifact.signature
    if any(p.struct or p.layout for p in sig.params):
        raise NotPlain("structs and layouts are looked at in Python")
    if "tile.print" in artifact.ir:
        raise NotPlain("it prints")
    if artifact.effort is None:
        raise NotPlain("how long it runs is not known")
    return _Wrapper(sig, layouts, head, artifact.effort).text()


@dataclass(slots=True)
class _Array:
    """An array argument while the text is written: names of its parts."""

    param: Param
    data: str
    sizes: list[str]
    strides: list[str]  # in bytes
    low: str = ""
    high: str = ""
    elements: list[str] = field(default_factory=list)  # strides in elements


class _Wrapper:
    def __init__(self, sig: Signature, layouts: Sequence[str], head: int, effort: Size) -> None:
        self.sig, self.layouts, self.head, self.effort = sig, layouts, head, effort
        self.lines: list[str] = []
        self.n = 0
        self.arrays: list[_Array] = []
        self.objects: list[str] = []  # of the arrays
        self.results: list[_Array] = []
        self.made: list[str] = []  # objects of the result arrays
        self.scalars: dict[str, str] = {}  # name -> 64 bits of the block
        self.names: dict[str, str] = {}  # dimensions and integers, for sizes

    # -- small parts
    def op(self, text: str) -> str:
        self.n += 1
        self.lines.append(f"  %v{self.n} = {text}")
        return f"%v{self.n}"

    def load(self, base: str, offset: int, ty: str = "i64") -> str:
        place = self.op(f"getelementptr i8, ptr {base}, i64 {offset}")
        return self.op(f"load {ty}, ptr {place}")

    def state(self, word: int, ty: str = "ptr") -> str:
        return self.load("%state", 8 * word, ty)

    def set_state(self, word: int, value: str) -> None:
        place = self.op(f"getelementptr i8, ptr %state, i64 {8 * word}")
        self.lines.append(f"  store i64 {value}, ptr {place}")

    def need(self, cond: str) -> None:
        """Go on where `cond` holds, else through Python."""
        self.n += 1
        self.lines += [f"  br i1 {cond}, label %ok{self.n}, label %slow", f"ok{self.n}:"]

    # -- the function
    def text(self) -> str:
        params = [p for p in self.sig.params if p.effect != "result"]
        results = [p for p in self.sig.params if p.effect == "result"]  # they stand last
        self.lines += ["define ptr @lem_call(ptr %self, ptr %args, i64 %nargsf, ptr %kwnames) nounwind {", "start:"]
        self.lines.append("  %overflow = alloca i32")
        n_words = sum(1 + 2 * len(p.shape or ()) for p in self.sig.params) + len(self.sig.dims)
        self.lines.append(f"  %block = alloca [{max(1, n_words)} x i64], align 16")
        self.lines.append(f"  %given = alloca [{max(1, len(params))} x ptr], align 16")
        self.lines += [f"  %value{n} = alloca i64" for n in range(len(params))]
        self.lines += [f"  %shape{n} = alloca [{max(1, len(p.shape or ()))} x i64]" for n, p in enumerate(results)]
        self.lines += [f"  %cell{n} = alloca i64" for n in range(len(results))]
        self.lines.append(f"  %state.at = getelementptr i8, ptr %self, i64 {self.head + at.METHOD_BYTES + 8}")
        self.lines.append("  %state = load ptr, ptr %state.at")
        self.sort(len(params))
        for k, p in enumerate(params):
            arg = self.load("%given", 8 * k, "ptr")
            if p.is_array:
                self.need(self.op(f"icmp ne ptr {arg}, null"))
                self.array(p, arg)
            elif p.default is None:
                self.need(self.op(f"icmp ne ptr {arg}, null"))
                self.scalar(p, arg)
            else:
                self.optional(p, arg, k)
        self.dimensions()
        for condition in self.sig.conditions:
            self.need(self.op(f"icmp ne i64 {self.size(condition.expr)}, 0"))
        self.overlaps()
        effort = self.amount(self.effort)
        self.need(self.op(f"fcmp olt double {effort}, {SHORT_WORK:.1f}"))
        self.need(self.op(f"icmp eq i64 {self.state(BUSY, 'i64')}, 0"))
        for p in results:
            if p.is_array:
                self.result_sizes(p)
            elif p.dtype not in ("f32", "f64") and not DTYPES[p.dtype].is_int and p.dtype != "bool":
                raise NotPlain(f"a result of {p.dtype}")
        self.run(params, results, effort)
        return "\n".join(self.lines) + "\n"

    def sort(self, n_params: int) -> None:
        """Arguments by parameter in %given, null where there is none: by position, then by name (names are interned)."""
        n_arrays = sum(p.is_array for p in self.sig.params)
        n = self.op("and i64 %nargsf, 9223372036854775807")
        self.need(self.op(f"icmp ule i64 {n}, {n_params}"))
        for k in range(n_params):
            is_given = self.op(f"icmp ugt i64 {n}, {k}")
            self.lines += [f"  br i1 {is_given}, label %take{k}, label %leave{k}", f"take{k}:"]
            value = self.load("%args", 8 * k, "ptr")
            self.lines += [f"  br label %set{k}", f"leave{k}:", f"  br label %set{k}", f"set{k}:"]
            value = self.op(f"phi ptr [ {value}, %take{k} ], [ null, %leave{k} ]")
            to = self.op(f"getelementptr i8, ptr %given, i64 {8 * k}")
            self.lines.append(f"  store ptr {value}, ptr {to}")
        none = self.op("icmp eq ptr %kwnames, null")
        names = f"%state.names = getelementptr i8, ptr %state, i64 {8 * (DTYPE_0 + n_arrays)}"
        self.lines += [f"  {names}", f"  br i1 {none}, label %sorted, label %keywords", "keywords:"]
        n_names = self.load("%kwnames", self.head)
        self.lines += ["  br label %name", "name:", "  %j = phi i64 [ 0, %keywords ], [ %j1, %named ]"]
        more = self.op(f"icmp slt i64 %j, {n_names}")
        self.lines += [f"  br i1 {more}, label %look, label %sorted", "look:"]
        items = self.op(f"getelementptr i8, ptr %kwnames, i64 {self.head + 8}")
        word = self.op(f"load ptr, ptr {self.op(f'getelementptr ptr, ptr {items}, i64 %j')}")
        at_j = self.op(f"add i64 %j, {n}")
        value = self.op(f"load ptr, ptr {self.op(f'getelementptr ptr, ptr %args, i64 {at_j}')}")
        self.lines += ["  br label %find", "find:", "  %k = phi i64 [ 0, %look ], [ %k1, %other ]"]
        self.lines += [f"  %in = icmp slt i64 %k, {n_params}", "  br i1 %in, label %compare, label %slow", "compare:"]
        known = self.op(f"load ptr, ptr {self.op('getelementptr ptr, ptr %state.names, i64 %k')}")
        self.lines += ["  %k1 = add i64 %k, 1", f"  %hit = icmp eq ptr {known}, {word}"]
        self.lines += ["  br i1 %hit, label %found, label %other", "other:", "  br label %find", "found:"]
        to = self.op("getelementptr ptr, ptr %given, i64 %k")
        twice = self.op(f"icmp ne ptr {self.op(f'load ptr, ptr {to}')}, null")
        self.lines += [f"  br i1 {twice}, label %slow, label %named", "named:", f"  store ptr {value}, ptr {to}"]
        self.lines += ["  %j1 = add i64 %j, 1", "  br label %name", "sorted:"]

    def optional(self, p: Param, arg: str, k: int) -> None:
        """A number that may be left out."""
        assert p.default is not None
        missing = self.op(f"icmp eq ptr {arg}, null")
        (default,) = struct.unpack("<q", values.encode(p.default, p.dtype))
        self.lines += [f"  br i1 {missing}, label %default{k}, label %told{k}", f"told{k}:"]
        self.scalar(p, arg)
        self.lines += [f"  store i64 {self.scalars[p.name]}, ptr %value{k}", f"  br label %both{k}"]
        self.lines += [f"default{k}:", f"  store i64 {default}, ptr %value{k}", f"  br label %both{k}", f"both{k}:"]
        self.scalars[p.name] = word = self.op(f"load i64, ptr %value{k}")
        if p.name in self.names:
            bits, signed = DTYPES[p.dtype].bits, DTYPES[p.dtype].is_signed
            narrow = word if bits == 64 else self.op(f"trunc i64 {word} to i{bits}")
            wide = word if bits == 64 else self.op(f"{'sext' if signed else 'zext'} i{bits} {narrow} to i64")
            self.names[p.name] = wide

    def run(self, params: Sequence[Param], results: Sequence[Param], effort: str) -> None:
        little = self.op(f"fcmp olt double {effort}, {LITTLE_WORK:.1f}")
        all_ctx = self.state(CTX)
        self.need(self.op(f"or i1 {little}, {self.op(f'icmp ne ptr {all_ctx}, null')}"))
        self.make_results(results)
        words: list[str] = []
        arrays = iter(self.arrays)
        for p in params:
            if p.is_array:
                a = next(arrays)
                words += [self.op(f"ptrtoint ptr {a.data} to i64"), *a.sizes, *a.elements]
            else:
                words.append(self.scalars[p.name])
        arrays = iter(self.results)
        for n, p in enumerate(results):
            if p.is_array:
                a = next(arrays)
                words += [self.op(f"ptrtoint ptr {a.data} to i64"), *a.sizes, *a.elements]
            else:
                self.lines.append(f"  store i64 0, ptr %cell{n}")
                words.append(self.op(f"ptrtoint ptr %cell{n} to i64"))
        words += [self.names[d] for d in self.sig.dims]
        for k, word in enumerate(words):
            place = self.op(f"getelementptr i64, ptr %block, i64 {k}")
            self.lines.append(f"  store i64 {word}, ptr {place}")
        entry = self.entry(len(params))
        self.lines += [f"  br i1 {little}, label %alone, label %all", "alone:"]
        status_alone = self.op(f"call i32 {entry}(ptr {self.state(ALONE_CTX)}, ptr %block, i64 0, i64 -1)")
        done = self.op(f"icmp eq i32 {status_alone}, 0")
        self.lines += [f"  br i1 {done}, label %{'free' if self.results else 'done'}, label %faulted", "all:"]
        self.set_state(BUSY, "1")
        # NumPy does not resize an array that somebody refers to weakly; other threads might try while the GIL is given up.
        held = [self.op(f"call ptr {self.state(WEAKREF)}(ptr {a}, ptr null)") for a in self.objects]
        thread = self.op(f"call ptr {self.state(SAVE)}()")
        status_all = self.op(f"call i32 {entry}(ptr {all_ctx}, ptr %block, i64 0, i64 -1)")
        self.lines.append(f"  call void {self.state(RESTORE)}(ptr {thread})")
        self.lines += [f"  call void {self.state(DECREF)}(ptr {ref})" for ref in held]
        done = self.op(f"icmp eq i32 {status_all}, 0")
        self.lines += [f"  br i1 {done}, label %free, label %faulted", "free:"]
        self.set_state(BUSY, "0")
        self.lines += ["  br label %done", "done:"]
        self.lines += [f"  ret ptr {self.answer(results)}", "faulted:"]
        status = self.op(f"phi i32 [ {status_alone}, %alone ], [ {status_all}, %all ]")
        is_alone = self.op("phi i64 [ 1, %alone ], [ 0, %all ]")
        self.set_state(STATUS, self.op(f"sext i32 {status} to i64"))
        self.set_state(IS_ALONE, is_alone)
        self.set_state(BUSY, "1")  # until the fault is read
        self.lines += [f"  call void {self.state(DECREF)}(ptr {made})" for made in self.made]
        none = self.state(NONE)
        for k in range(len(params)):
            place = self.op(f"getelementptr ptr, ptr %given, i64 {k}")
            value = self.op(f"load ptr, ptr {place}")
            shown = self.op(f"select i1 {self.op(f'icmp eq ptr {value}, null')}, ptr {none}, ptr {value}")
            self.lines.append(f"  store ptr {shown}, ptr {place}")
        method, call = self.state(FAULT), self.state(SLOW)
        error = self.op(f"call ptr {call}(ptr {method}, ptr %given, i64 {len(params)}, ptr null)")
        self.lines += [f"  ret ptr {error}", "slow:"]
        call = self.state(SLOW)
        answer = self.op(f"call ptr {call}(ptr %self, ptr %args, i64 %nargsf, ptr %kwnames)")
        self.lines += [f"  ret ptr {answer}", "}"]

    def entry(self, n_params: int) -> str:
        """The code for the sizes of this call, where there is such, else that for any; notes the sizes."""
        entry, dims = self.state(ENTRY), self.sig.dims
        at = DTYPE_0 + sum(p.is_array for p in self.sig.params) + len(self.sig.params)
        self.set_state(at + CALLS, self.op(f"add i64 {self.state(at + CALLS, 'i64')}, 1"))
        special = self.state(at + SPECIAL)
        suits = self.op(f"icmp ne ptr {special}, null")
        for k, dim in enumerate(dims):
            self.set_state(at + SIZES + len(dims) + k, self.names[dim])
            wanted = self.state(at + SIZES + k, "i64")
            same = self.op(f"icmp eq i64 {wanted}, {self.names[dim]}")
            any_size = self.op(f"icmp eq i64 {wanted}, {ANY_SIZE}")
            suits = self.op(f"and i1 {suits}, {self.op(f'or i1 {same}, {any_size}')}")
        return self.op(f"select i1 {suits}, ptr {special}, ptr {entry}")

    # -- results
    def result_sizes(self, p: Param) -> None:
        assert p.shape is not None
        sizes = [self.size(e) for e in p.shape]
        n_bytes = f"{float(DTYPES[p.dtype].size_bytes)!r}"
        for n in sizes:
            self.need(self.op(f"icmp ult i64 {n}, {_LARGEST_SIZE}"))
            n_bytes = self.op(f"fmul double {n_bytes}, {self.op(f'sitofp i64 {n} to double')}")
        self.need(self.op(f"fcmp olt double {n_bytes}, {_LARGEST_RESULT:.1f}"))
        self.results.append(_Array(p, "", sizes, []))

    def make_results(self, results: Sequence[Param]) -> None:
        """Arrays of zeros (NumPy gives up the GIL for large ones). Without memory, the way through Python says so."""
        if self.results:
            self.set_state(BUSY, "1")
        numbers = [n for n, p in enumerate(results) if p.is_array]
        for k, (n, a) in enumerate(zip(numbers, self.results, strict=True)):
            for axis, size in enumerate(a.sizes):
                place = self.op(f"getelementptr i64, ptr %shape{n}, i64 {axis}")
                self.lines.append(f"  store i64 {size}, ptr {place}")
            dtype = self.state(DTYPE_0 + len(self.arrays) + k)
            self.lines.append(f"  call void {self.state(INCREF)}(ptr {dtype})")  # which the next call takes
            made = self.op(f"call ptr {self.state(ZEROS)}(i32 {len(a.sizes)}, ptr %shape{n}, ptr {dtype}, i32 0)")
            none = self.op(f"icmp eq ptr {made}, null")
            self.lines += [f"  br i1 {none}, label %poor{k}, label %rich{k}", f"poor{k}:"]
            self.lines += [f"  call void {self.state(DECREF)}(ptr {m})" for m in self.made]
            self.set_state(BUSY, "0")
            self.lines += [f"  call void {self.state(CLEAR)}()", "  br label %slow", f"rich{k}:"]
            self.made.append(made)
            a.data = self.load(made, self.head + at.ARRAY_DATA, "ptr")
            stride = "1"
            for size in reversed(a.sizes):
                a.elements.insert(0, stride)
                stride = self.op(f"mul i64 {stride}, {size}")

    def answer(self, results: Sequence[Param]) -> str:
        """What the call gives back: None, an object, or a tuple."""
        if not results:
            none = self.state(NONE)
            self.lines.append(f"  call void {self.state(INCREF)}(ptr {none})")
            return none
        made = iter(self.made)
        objects = [next(made) if p.is_array else self.number(p, f"%cell{n}") for n, p in enumerate(results)]
        if len(objects) == 1:
            return objects[0]
        row = self.op(f"call ptr {self.state(TUPLE)}(i64 {len(objects)})")
        for n, o in enumerate(objects):
            self.op(f"call i32 {self.state(SET_ITEM)}(ptr {row}, i64 {n}, ptr {o})")
        return row

    def number(self, p: Param, cell: str) -> str:
        """A scalar result as an object of Python."""
        dtype = DTYPES[p.dtype]
        if p.dtype == "bool":
            bit = self.op(f"trunc i8 {self.op(f'load i8, ptr {cell}')} to i1")
            chosen = self.op(f"select i1 {bit}, ptr {self.state(TRUE)}, ptr {self.state(FALSE)}")
            self.lines.append(f"  call void {self.state(INCREF)}(ptr {chosen})")
            return chosen
        if not dtype.is_int:
            x = self.op(f"load {'double' if p.dtype == 'f64' else 'float'}, ptr {cell}")
            x = x if p.dtype == "f64" else self.op(f"fpext float {x} to double")
            return self.op(f"call ptr {self.state(FROM_DOUBLE)}(double {x})")
        x = self.op(f"load i{dtype.bits}, ptr {cell}")
        if dtype.bits < 64:
            x = self.op(f"{'sext' if dtype.is_signed else 'zext'} i{dtype.bits} {x} to i64")
        return self.op(f"call ptr {self.state(FROM_LONG if dtype.is_signed else FROM_UNSIGNED)}(i64 {x})")

    # -- arguments
    def array(self, p: Param, arg: str) -> None:
        assert p.shape is not None
        self.need(self.op(f"icmp eq ptr {self.load(arg, self.head - 8, 'ptr')}, {self.state(NDARRAY)}"))
        dtype = self.state(DTYPE_0 + len(self.arrays))
        self.need(self.op(f"icmp eq ptr {self.load(arg, self.head + at.ARRAY_DTYPE, 'ptr')}, {dtype}"))
        n_axes = self.load(arg, self.head + at.ARRAY_NDIM, "i32")
        self.need(self.op(f"icmp eq i32 {n_axes}, {len(p.shape)}"))
        wanted = at.IS_ALIGNED | (at.IS_WRITEABLE if p.is_written else 0)
        flags = self.op(f"and i32 {self.load(arg, self.head + at.ARRAY_FLAGS, 'i32')}, {wanted}")
        self.need(self.op(f"icmp eq i32 {flags}, {wanted}"))
        data = self.load(arg, self.head + at.ARRAY_DATA, "ptr")
        shape = self.load(arg, self.head + at.ARRAY_SHAPE, "ptr")
        strides = self.load(arg, self.head + at.ARRAY_STRIDES, "ptr")
        a = _Array(p, data, [], [])
        size = DTYPES[p.dtype].size_bytes
        for k in range(len(p.shape)):
            a.sizes.append(self.load(shape, 8 * k))
            self.need(self.op(f"icmp ult i64 {a.sizes[k]}, {_LARGEST_SIZE}"))
            a.strides.append(self.load(strides, 8 * k))
            odd = self.op(f"and i64 {a.strides[k]}, {size - 1}")
            self.need(self.op(f"icmp eq i64 {odd}, 0"))
            a.elements.append(self.op(f"ashr i64 {a.strides[k]}, {size.bit_length() - 1}"))
        if self.layouts[len(self.arrays)] == "inner" and p.shape:
            self.need(self.op(f"icmp eq i64 {a.strides[-1]}, {size}"))
        self.arrays.append(a)
        self.objects.append(arg)
        self.extent(a, size)

    def extent(self, a: _Array, size: int) -> None:
        """Addresses that an array reaches over; of a written one also that no two of its elements share a place."""
        low = high = self.op(f"ptrtoint ptr {a.data} to i64")
        inner = str(size)
        for n, stride in reversed(list(zip(a.sizes, a.strides, strict=True))):
            reach = self.op(f"mul i64 {self.op(f'sub i64 {n}, 1')}, {stride}")
            down = self.op(f"icmp slt i64 {stride}, 0")
            low = self.op(f"select i1 {down}, i64 {self.op(f'add i64 {low}, {reach}')}, i64 {low}")
            high = self.op(f"select i1 {down}, i64 {high}, i64 {self.op(f'add i64 {high}, {reach}')}")
            if a.param.is_written:
                length = self.op(f"select i1 {down}, i64 {self.op(f'sub i64 0, {stride}')}, i64 {stride}")
                apart = self.op(f"icmp uge i64 {length}, {inner}")
                self.need(self.op(f"or i1 {apart}, {self.op(f'icmp ule i64 {n}, 1')}"))
                inner = self.op(f"mul i64 {length}, {n}")
        a.low, a.high = low, self.op(f"add i64 {high}, {size}")

    def scalar(self, p: Param, arg: str) -> None:
        dtype = DTYPES[p.dtype]
        ty = self.load(arg, self.head - 8, "ptr")
        if p.dtype in ("f32", "f64"):
            self.need(self.op(f"icmp eq ptr {ty}, {self.state(FLOAT)}"))
            number = self.load(arg, self.head, "double")
            if p.dtype == "f64":
                self.scalars[p.name] = self.op(f"bitcast double {number} to i64")
                return
            bits = self.op(f"bitcast float {self.op(f'fptrunc double {number} to float')} to i32")
            self.scalars[p.name] = self.op(f"zext i32 {bits} to i64")
            return
        if not dtype.is_int or p.dtype == "u64":
            raise NotPlain(f"a scalar of {p.dtype}")
        self.need(self.op(f"icmp eq ptr {ty}, {self.state(LONG)}"))
        value = self.op(f"call i64 {self.state(AS_LONG)}(ptr {arg}, ptr %overflow)")
        self.need(self.op(f"icmp eq i32 {self.op('load i32, ptr %overflow')}, 0"))
        if dtype.bits < 64:
            self.need(self.op(f"icmp sge i64 {value}, {dtype.min_int}"))
            self.need(self.op(f"icmp sle i64 {value}, {dtype.max_int}"))
        self.names[p.name] = value
        self.scalars[p.name] = self.op(f"and i64 {value}, {(1 << dtype.bits) - 1}") if dtype.bits < 64 else value

    # -- sizes
    def dimensions(self) -> None:
        """Each dimension from the array that binds it, then every axis compared with what the signature says."""
        by_name = {a.param.name: a for a in self.arrays}
        for dim in self.sig.dims:
            rule = next((r for r in self.sig.rules if r.dim == dim and r.param is not None), None)
            if rule is None or rule.param not in by_name or rule.offset != 0 or rule.scale != 1:
                raise NotPlain(f"how `{dim}` is found")
            self.names[dim] = by_name[rule.param].sizes[rule.axis]
        for a in self.arrays:
            assert a.param.shape is not None
            for have, want in zip(a.sizes, a.param.shape, strict=True):
                self.need(self.op(f"icmp eq i64 {have}, {self.size(want)}"))

    def size(self, expr: Size) -> str:
        """A size expression of the signature, or a condition as 0 or 1."""
        if isinstance(expr, int):
            return str(int(expr))
        if isinstance(expr, str):
            if expr not in self.names:
                raise NotPlain(f"`{expr}` is not known to the wrapper")
            return self.names[expr]
        op, *parts = expr
        a, *b = (self.size(p) for p in parts)
        if op == "not":
            return self.op(f"zext i1 {self.op(f'icmp eq i64 {a}, 0')} to i64")
        if op in _PLAIN:
            return self.op(f"{_PLAIN[op]} i64 {a}, {b[0]}")
        if op in _COMPARE:
            return self.op(f"zext i1 {self.op(f'icmp {_COMPARE[op]} i64 {a}, {b[0]}')} to i64")
        if op in ("min", "max"):
            first = self.op(f"icmp {'slt' if op == 'min' else 'sgt'} i64 {a}, {b[0]}")
            return self.op(f"select i1 {first}, i64 {a}, i64 {b[0]}")
        if op in ("//", "%") and isinstance(parts[1], int) and parts[1] > 0:
            return self.floor(op, a, parts[1])
        raise NotPlain(f"a size with `{op}` of {', '.join(sorted(names_in(expr)))}")

    def amount(self, expr: Size) -> str:
        """A size expression as a double: products of sizes and of the caller's numbers can be larger than an integer."""
        if isinstance(expr, int):
            return f"{float(expr)!r}" if abs(expr) < 1 << 53 else self.op(f"sitofp i64 {expr} to double")
        if isinstance(expr, tuple) and expr[0] in _PLAIN_FLOAT:
            return self.op(f"{_PLAIN_FLOAT[expr[0]]} double {self.amount(expr[1])}, {self.amount(expr[2])}")
        return self.op(f"sitofp i64 {self.size(expr)} to double")

    def floor(self, op: str, a: str, by: int) -> str:
        rest = self.op(f"srem i64 {a}, {by}")
        below = self.op(f"icmp slt i64 {rest}, 0")
        if op == "%":
            return self.op(f"select i1 {below}, i64 {self.op(f'add i64 {rest}, {by}')}, i64 {rest}")
        return self.op(f"add i64 {self.op(f'sdiv i64 {a}, {by}')}, {self.op(f'sext i1 {below} to i64')}")

    def overlaps(self) -> None:
        """A written array reaches over no place of another one; whether that matters is decided in Python."""
        for n, a in enumerate(self.arrays):
            for b in self.arrays[n + 1 :]:
                if a.param.is_written or b.param.is_written:
                    before = self.op(f"icmp ule i64 {a.high}, {b.low}")
                    behind = self.op(f"icmp ule i64 {b.high}, {a.low}")
                    self.need(self.op(f"or i1 {before}, {behind}"))


_PLAIN = {"+": "add", "-": "sub", "*": "mul", "and": "and", "or": "or"}
_PLAIN_FLOAT = {"+": "fadd", "-": "fsub", "*": "fmul"}
_COMPARE = {"==": "eq", "!=": "ne", "<": "slt", "<=": "sle", ">": "sgt", ">=": "sge"}

__all__ = ["NotPlain", "wrapper_text"]
