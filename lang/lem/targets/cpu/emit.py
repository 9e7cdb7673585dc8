"""Loop IR to a module of LLVM text: statements, functions, and the calls of the kernel ABI.

Takes a loop IR module and the codes of its sites; gives text for ``targets.llvm``. The body of a ParallelFor becomes a
function of its own; what it uses from outside travels in a frame on the caller's stack. Mutable variables are stack
slots that the first pass of the optimiser turns into registers. Every function ends in one place, which frees what it
allocated. The only outside names are none at all: the runtime is reached through the context's function table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from lem.diagnostics import InternalError
from lem.targets.cpu.text import llvm_memory, llvm_scalar, llvm_type
from lem.targets.cpu.values import Abilities, Ready, Values
from lem.targets.loops import core as lp
from lem.targets.loops.bounds import Bounds
from lem.targets.loops.core import INDEX, Block, Buffer, Expr, Stmt, Var
from lem_runtime.abi import layout
from lem_runtime.abi.dtypes import F64, I64
from lem_runtime.abi.machine import Machine

_ALIGN = 64
_UNROLLED_TEST = 24  # a loop's test of at most so many statements is repeated at the bottom, which saves a jump

_FAULT_FEW = 4  # so many values of a fault are passed one by one, more of them as a block
_FAULT_ARGS = "ptr %ctx, i32 %code, i32 %site, i64 %order, i32 %n"
_FAULT_HEAD = f""") cold noinline nounwind {{
start:
  %at = getelementptr i8, ptr %ctx, i64 {layout.CTX_FAULT}
  %rec = load ptr, ptr %at
  br label %spin
spin:
  %was = atomicrmw xchg ptr %rec, i32 1 acquire
  %free = icmp eq i32 %was, 0
  br i1 %free, label %held, label %spin
held:
  %code.at = getelementptr i8, ptr %rec, i64 {layout.FAULT_CODE}
  %order.at = getelementptr i8, ptr %rec, i64 {layout.FAULT_ORDER}
  %old.code = load i32, ptr %code.at
  %old.order = load i64, ptr %order.at
  %empty = icmp eq i32 %old.code, 0
  %smaller = icmp slt i64 %order, %old.order
  %ours = or i1 %empty, %smaller
  br i1 %ours, label %write, label %done
write:
  store i32 %code, ptr %code.at
  store i64 %order, ptr %order.at
  %site.at = getelementptr i8, ptr %rec, i64 {layout.FAULT_SITE}
  store i32 %site, ptr %site.at
  %n.at = getelementptr i8, ptr %rec, i64 {layout.FAULT_N_VALUES}
  store i32 %n, ptr %n.at
  %a.at = getelementptr i8, ptr %rec, i64 {layout.FAULT_VALUES}"""
_FAULT_TAIL = """
done:
  store atomic i32 0, ptr %rec release, align 4
  ret void
}
"""
_FAULT = f"""define internal void @lem.fault({_FAULT_ARGS}, i64 %a, i64 %b, i64 %c, i64 %d{_FAULT_HEAD}
  store i64 %a, ptr %a.at
  %b.at = getelementptr i8, ptr %a.at, i64 8
  store i64 %b, ptr %b.at
  %c.at = getelementptr i8, ptr %a.at, i64 16
  store i64 %c, ptr %c.at
  %d.at = getelementptr i8, ptr %a.at, i64 24
  store i64 %d, ptr %d.at
  br label %done{_FAULT_TAIL}"""
# Volatile, or LLVM would call `memcpy`: code refers to nothing outside of it.
_FAULT_BLOCK = f"""define internal void @lem.fault.block({_FAULT_ARGS}, ptr %values{_FAULT_HEAD}
  br label %copy
copy:
  %i = phi i32 [ 0, %write ], [ %i1, %copy ]
  %from = getelementptr i64, ptr %values, i32 %i
  %to = getelementptr i64, ptr %a.at, i32 %i
  %v = load i64, ptr %from
  store volatile i64 %v, ptr %to
  %i1 = add i32 %i, 1
  %more = icmp ult i32 %i1, %n
  br i1 %more, label %copy, label %done{_FAULT_TAIL}"""


# A counted temporary begins with a line that holds how many names it has.
_RELEASE = f"""define internal void @lem.release(ptr %ctx, ptr %base) noinline nounwind {{
start:
  %none = icmp eq ptr %base, null
  br i1 %none, label %done, label %some
some:
  %had = load i64, ptr %base
  %left = sub i64 %had, 1
  store i64 %left, ptr %base
  %last = icmp eq i64 %left, 0
  br i1 %last, label %free, label %done
free:
  %table.at = getelementptr i8, ptr %ctx, i64 {layout.CTX_TABLE}
  %table = load ptr, ptr %table.at
  %fn.at = getelementptr i8, ptr %table, i64 {layout.TABLE_OFFSET["free"]}
  %fn = load ptr, ptr %fn.at
  call void %fn(ptr %ctx, ptr %base)
  br label %done
done:
  ret void
}}
"""


def emit_module(module: lp.Module, machine: Machine, codes: Sequence[int]) -> str:
    """LLVM text of a module. codes: number of the diagnostic (601 for E0601) of each site.

    Functions other than the last are internal: callees first, the entry of the artifact last.
    """
    shared = _Shared(machine, codes)
    entry = module.functions[-1]
    for fn in module.functions:
        shared.entry(fn, fn is entry)
    head = f'target triple = "{machine.triple}"\n'
    parts = [head, *shared.texts, *shared.helpers.values()]
    if shared.uses_fault:
        parts.append(_FAULT)
    if shared.uses_fault_block:
        parts.append(_FAULT_BLOCK)
    if shared.uses_release:
        parts.append(_RELEASE)
    parts.extend(sorted(shared.intrinsics))
    return "\n".join(parts) + "\n"


def abilities(machine: Machine) -> Abilities:
    """What a processor does in one instruction."""
    if not machine.triple.startswith("x86_64"):
        return Abilities(machine.has_fma, True, True, True)
    is_v3 = machine.cpu in ("x86-64-v3", "x86-64-v4")
    return Abilities(machine.has_fma, is_v3 or "+f16c" in machine.features, is_v3 or machine.cpu == "x86-64-v2", False)


def has_mask_registers(machine: Machine) -> bool:
    return machine.triple.startswith("x86_64") and machine.cpu == "x86-64-v4"


class _Shared:
    """What the functions of one module have in common."""

    def __init__(self, machine: Machine, codes: Sequence[int]) -> None:
        self.machine = machine
        self.codes = codes
        self.texts: list[str] = []
        self.helpers: dict[str, str] = {}
        self.intrinsics: set[str] = set()
        self.bounds = Bounds()  # also of what bodies capture
        self.uses_fault = False
        self.uses_fault_block = False
        self.uses_release = False
        self.n_bodies = 0
        wide = machine.vector_bits >= 512
        self.attributes = "nounwind" + (f' "prefer-vector-width"="{machine.vector_bits}"' if wide else "")

    def values(self) -> Values:
        return Values(self.intrinsics, self.helpers, abilities(self.machine), self.bounds)

    def entry(self, fn: lp.Func, is_public: bool) -> None:
        f = _Function(self)
        lo, hi = f.open(f"@{fn.name}", "%args", is_public)
        f.v.names[fn.lo.uid], f.v.names[fn.hi.uid] = lo, hi
        f.block(fn.body)
        self.texts.append(f.close())

    def body(self, s: lp.ParallelFor, captured: Sequence[Var | Buffer]) -> str:
        """Make a function of a parallel body; give its name."""
        self.n_bodies += 1
        name = f"@{s.name}.body{self.n_bodies}"
        f = _Function(self)
        lo, hi = f.open(name, "%frame", False)
        f.v.names[s.lo.uid], f.v.names[s.hi.uid] = lo, hi
        most = max(self.bounds.of(s.n_units)[1], 0)
        self.bounds.note(s.lo, (0, most))
        self.bounds.note(s.hi, (0, most))
        for n, thing in enumerate(captured):
            place = f.v.op(f"getelementptr i8, ptr %frame, i64 {8 * n}")
            kind = "ptr" if isinstance(thing, Buffer) else _frame_type(thing)
            f.v.names[thing.uid] = f.v.op(f"load {kind}, ptr {place}")
        f.block(s.body)
        self.texts.append(f.close())
        return name


def _frame_type(var: Var) -> str:
    if var.type.lanes:
        raise InternalError("cpu emit", f"a vector ({var!r}) cannot be handed to a parallel body")
    return llvm_type(var.type)


class _Function:
    """One function while it is emitted."""

    def __init__(self, shared: _Shared) -> None:
        self.shared = shared
        self.v = shared.values()
        self.slots: list[str] = []  # allocas, in the entry block
        self.n_labels = 0
        self.here = "body"
        self.temps: list[str] = []  # slots of temporaries to free at the end
        self.counted: set[str] = set()  # those that hold counted ones
        self.head = ""
        self.temp_slots: dict[int, str] = {}
        self.again: tuple[Var, str] | None = None  # of the attempt around: where a fault leaves its lane, and goes to

    # -- frame of the text
    def open(self, name: str, second: str, is_public: bool) -> tuple[str, str]:
        linkage = "" if is_public else "internal "
        self.head = f"define {linkage}i32 {name}(ptr %ctx, ptr {second}, i64 %lo, i64 %hi) {self.shared.attributes} {{"
        zeros = "%zeros"
        self.v.zeros = zeros
        return "%lo", "%hi"

    def close(self) -> str:
        lines = self.v.lines
        lines.append("  store i32 0, ptr %status")
        lines.append("  br label %end")
        slots = ["  %status = alloca i32"]
        if any("%zeros" in line for line in lines):
            slots += ["  %zeros = alloca i64", "  store i64 0, ptr %zeros"]
        end = ["end:"]
        for slot in self.temps:
            end += self.free_lines(slot)
        end += ["  %result = load i32, ptr %status", "  ret i32 %result", "}"]
        return "\n".join([self.head, "start:", *slots, *self.slots, "  br label %body", "body:", *lines, *end]) + "\n"

    def free_lines(self, slot: str) -> list[str]:
        """Free what a slot holds, if anything; all names are the slot's own."""
        n = slot[1:]
        if slot in self.counted:
            return [f"  %{n}.p = load ptr, ptr {slot}", f"  call void @lem.release(ptr %ctx, ptr %{n}.p)"]
        table = self.table_lines("free", f"%{n}.fn")
        return [
            f"  %{n}.p = load ptr, ptr {slot}",
            f"  %{n}.some = icmp ne ptr %{n}.p, null",
            f"  br i1 %{n}.some, label %{n}.free, label %{n}.done",
            f"{n}.free:",
            *table,
            f"  call void %{n}.fn(ptr %ctx, ptr %{n}.p)",
            f"  br label %{n}.done",
            f"{n}.done:",
        ]

    def table_lines(self, fn: str, name: str) -> list[str]:
        return [
            f"  {name}.a = getelementptr i8, ptr %ctx, i64 {layout.CTX_TABLE}",
            f"  {name}.t = load ptr, ptr {name}.a",
            f"  {name}.s = getelementptr i8, ptr {name}.t, i64 {layout.TABLE_OFFSET[fn]}",
            f"  {name} = load ptr, ptr {name}.s",
        ]

    def table(self, fn: str) -> str:
        name = self.v.new()
        self.v.lines += self.table_lines(fn, name)
        return name

    def slot(self, llvm: str, align: int = 0) -> str:
        name = f"%s{len(self.slots)}"
        self.slots.append(f"  {name} = alloca {llvm}" + (f", align {align}" if align else ""))
        return name

    def line(self, text: str) -> None:
        self.v.lines.append("  " + text)

    def label(self, hint: str) -> str:
        self.n_labels += 1
        return f"{hint}{self.n_labels}"

    def start(self, label: str) -> None:
        self.v.lines.append(f"{label}:")
        self.here = label

    def branch(self, cond: str, yes: str, no: str, likely: bool | None = None) -> None:
        self.line(f"br i1 {cond}, label %{yes}, label %{no}")

    def e(self, x: Expr) -> str:
        return self.v.e(x)

    def scalar(self, x: Expr) -> str:
        """Operand with its type."""
        return f"{llvm_type(x.type)} {self.v.e(x)}"

    # -- statements
    def block(self, block: Block) -> None:
        for stmt in block.stmts:
            _TABLE[type(stmt)](self, stmt)

    def let(self, s: lp.Let) -> None:
        if s.var.mutable:
            value = self.scalar(s.value)
            name = self.v.names[s.var.uid] = self.slot(llvm_type(s.var.type))
            self.line(f"store {value}, ptr {name}")
        else:
            self.v.names[s.var.uid] = self.e(s.value)
            self.v.bounds.note_let(s.var, s.value)

    def set(self, s: lp.Set) -> None:
        self.line(f"store {self.scalar(s.value)}, ptr {self.v.names[s.var.uid]}")

    def arg_pointer(self, s: lp.ArgPointer) -> None:
        place = self.v.op(f"getelementptr i8, ptr %args, i64 {8 * s.index}")
        self.v.names[s.buffer.uid] = self.v.op(f"load ptr, ptr {place}")

    def stack_buffer(self, s: lp.StackBuffer) -> None:
        self.v.names[s.buffer.uid] = self.slot(f"[{s.count} x {llvm_memory(s.buffer.dtype)}]", _ALIGN)

    def view(self, s: lp.View) -> None:
        self.v.names[s.buffer.uid] = self.v.address(s.base, self.e(s.offset))

    def pick(self, s: lp.Pick) -> None:
        x, y = self.v.names[s.x.uid], self.v.names[s.y.uid]
        self.v.names[s.buffer.uid] = self.v.op(f"select i1 {self.e(s.cond)}, ptr {x}, ptr {y}")

    def bytes_of(self, buffer: Buffer, count: Expr) -> str:
        """Bytes of a part, rounded up to the alignment."""
        size = self.v.op(f"mul i64 {self.e(count)}, {buffer.dtype.size_bytes}")
        return self.v.op(f"and i64 {self.v.op(f'add i64 {size}, {_ALIGN - 1}')}, {-_ALIGN}")

    def scratch(self, s: lp.Scratch) -> None:
        offsets, total = [], "0"
        for buffer, count in zip(s.buffers, s.counts, strict=True):
            offsets.append(total)
            total = self.v.op(f"add i64 {total}, {self.bytes_of(buffer, count)}")
        base = self.v.op(f"call ptr {self.table('scratch')}(ptr %ctx, i64 {total})")
        self.check_memory(base, s.site)
        for buffer, offset in zip(s.buffers, offsets, strict=True):
            self.v.names[buffer.uid] = self.v.op(f"getelementptr i8, ptr {base}, i64 {offset}")

    def temp_slot(self, counted: bool) -> str:
        """A slot for a temporary that the end of the function frees, or lets go of."""
        slot = f"%temp{len(self.temps)}"
        self.temps.append(slot)
        self.slots += [f"  {slot} = alloca ptr", f"  store ptr null, ptr {slot}"]
        if counted:
            self.counted.add(slot)
            self.shared.uses_release = True
        return slot

    def let_go(self, slot: str) -> None:
        """Free what a slot holds; of a counted one only when nobody else holds it."""
        held = self.v.op(f"load ptr, ptr {slot}")
        self.line(f"call void {'@lem.release' if slot in self.counted else self.table('free')}(ptr %ctx, ptr {held})")
        self.line(f"store ptr null, ptr {slot}")

    def alloc(self, s: lp.Alloc) -> None:
        slot = self.temp_slot(s.counted)
        size = self.bytes_of(s.buffer, s.count)
        self.let_go(slot)  # in a loop: what the last turn has made goes first
        if s.counted:
            size = self.v.op(f"add i64 {size}, {_ALIGN}")
        base = self.v.op(f"call ptr {self.table('alloc')}(ptr %ctx, i64 {size}, i32 {int(s.zeroed)})")
        self.check_memory(base, s.site)
        self.line(f"store ptr {base}, ptr {slot}")
        self.temp_slots[s.buffer.uid] = slot
        if s.counted:
            self.line(f"store i64 1, ptr {base}")
            base = self.v.op(f"getelementptr i8, ptr {base}, i64 {_ALIGN}")
        self.v.names[s.buffer.uid] = base

    def free(self, s: lp.Free) -> None:
        self.let_go(self.temp_slots[s.buffer.uid])

    def name_buffer(self, s: lp.NameBuffer) -> None:
        self.v.names[s.buffer.uid] = self.slot("ptr")
        self.v.wholes[s.buffer.uid] = self.slot("ptr")
        self.temp_slots[s.buffer.uid] = self.temp_slot(counted=True)

    def rebind(self, s: lp.Rebind) -> None:
        """All sources are read and held before any name lets go of what it had."""
        places = [self.v.address(b, "0") for b in s.sources]
        wholes = [self.v.whole(b) for b in s.wholes]
        owners = [self.owner(b) for b in s.wholes]
        for owner in owners:
            if owner != "null":
                self.guarded(self.v.op(f"icmp ne ptr {owner}, null"), lambda o=owner: self.hold(o))  # type: ignore[misc]
        for name, place, whole, owner in zip(s.names, places, wholes, owners, strict=True):
            slot = self.temp_slots[name.uid]
            self.let_go(slot)
            self.line(f"store ptr {owner}, ptr {slot}")
            self.line(f"store ptr {place}, ptr {self.v.names[name.uid]}")
            self.line(f"store ptr {whole}, ptr {self.v.wholes[name.uid]}")

    def owner(self, buffer: Buffer) -> str:
        """What holds the memory of a buffer: a temporary's own head, or null for a caller's array."""
        slot = self.temp_slots.get(buffer.uid)
        return "null" if slot is None else self.v.op(f"load ptr, ptr {slot}")

    def hold(self, owner: str) -> None:
        more = self.v.op(f"add i64 {self.v.op(f'load i64, ptr {owner}')}, 1")
        self.line(f"store i64 {more}, ptr {owner}")

    def check_memory(self, pointer: str, site: int) -> None:
        none = Ready(lp.TRUTH, self.v.op(f"icmp eq ptr {pointer}, null"))
        self.fault(lp.Fault(none, site, lp.Const(INDEX, -1)))

    def store(self, s: lp.Store) -> None:
        lanes = s.value.type.lanes
        if s.stride is not None and lanes:
            self.store_lanes(s, self.v.strided(s.buffer, s.index, s.stride, lanes))
            return
        place = self.v.address(s.buffer, self.e(s.index))
        memory, value = self.v.to_memory(self.e(s.value), s.value.type)
        align = s.buffer.dtype.size_bytes
        if s.mask is None:
            self.store_parts(memory, value, place, align)
        elif lanes:
            kind = memory[1:-1].split(" x ")
            letter = {"float": "f32", "double": "f64"}.get(kind[1], kind[1])
            mask = self.e(s.mask)
            if letter in ("i8", "i16", "i32") and has_mask_registers(self.shared.machine):
                mask = self.v.kept_mask(mask, lanes)
            self.v.call(
                "masked.store", f"v{kind[0]}{letter}.p0", "void", (memory, value), ("ptr", place), ("i32", str(align)),
                (f"<{lanes} x i1>", mask),
            )  # fmt: skip
        else:
            self.guarded(self.e(s.mask), lambda: self.line(f"store {memory} {value}, ptr {place}, align {align}"))

    def store_parts(self, memory: str, value: str, place: str, align: int) -> None:
        """Store a vector register by register, lowest address first.

        LLVM splits a wide store from the top; falling addresses stall the store buffer where rows come from memory (a
        5-point stencil on a Xeon: 1.77 ms against 1.33 ms).
        """
        lanes = int(memory[1:].split(" x ")[0]) if memory.startswith("<") else 1
        per_register = self.shared.machine.vector_bits // (8 * align)
        if lanes <= per_register or lanes % per_register:
            self.line(f"store {memory} {value}, ptr {place}, align {align}")
            return
        element = memory[1:-1].split(" x ")[1]
        for first in range(0, lanes, per_register):
            picked = ", ".join(f"i32 {first + n}" for n in range(per_register))
            part = self.v.op(
                f"shufflevector {memory} {value}, {memory} poison, <{per_register} x i32> <{picked}>"
            )  # fmt: skip
            to = self.v.op(f"getelementptr {element}, ptr {place}, i64 {first}")
            self.line(f"store <{per_register} x {element}> {part}, ptr {to}, align {align}")

    def guarded(self, cond: str, then: Callable[[], None]) -> None:
        yes, after = self.label("yes"), self.label("after")
        self.branch(cond, yes, after)
        self.start(yes)
        then()
        self.line(f"br label %{after}")
        self.start(after)

    def store_lanes(self, s: Any, places: Sequence[str]) -> None:
        """One scalar store per lane, in order, each behind its own branch where there is a mask."""
        memory, value = self.v.to_memory(self.e(s.value), s.value.type)
        mask = self.e(s.mask) if s.mask is not None else ""
        element, align = llvm_memory(s.buffer.dtype), s.buffer.dtype.size_bytes
        for lane, place in enumerate(places):
            one = self.v.op(f"extractelement {memory} {value}, i64 {lane}")
            text = f"store {element} {one}, ptr {place}, align {align}"
            if mask:
                active = self.v.op(f"extractelement <{len(places)} x i1> {mask}, i64 {lane}")
                self.guarded(active, lambda text=text: self.line(text))  # type: ignore[misc]
            else:
                self.line(text)

    def scatter(self, s: lp.Scatter) -> None:
        t = s.indices.type
        if not t.lanes:
            self.store(lp.Store(s.buffer, s.indices, s.value, None, s.mask))
            return
        indices, places = self.e(s.indices), []
        for lane in range(t.lanes):
            one = self.v.op(f"extractelement {llvm_type(t)} {indices}, i64 {lane}")
            if t.dtype != I64:
                one = self.v.op(f"{'sext' if t.dtype.is_signed else 'zext'} {llvm_scalar(t.dtype)} {one} to i64")
            places.append(self.v.address(s.buffer, one))
        self.store_lanes(s, places)

    def atomic(self, s: lp.AtomicUpdate) -> None:
        dtype = s.buffer.dtype
        kind = s.kind if s.kind not in ("max", "min") or dtype.is_signed else f"u{s.kind}"
        place = self.v.address(s.buffer, self.e(s.index))
        _, value = self.v.to_memory(self.e(s.value), s.value.type)
        self.v.op(f"atomicrmw {kind} ptr {place}, {llvm_memory(dtype)} {value} monotonic")

    # -- control
    def for_(self, s: lp.For) -> None:
        lo, hi = self.e(s.lo), self.e(s.hi)
        body, after = self.label("loop"), self.label("done")
        test = "slt" if s.step > 0 else "sgt"
        self.branch(self.v.op(f"icmp {test} i64 {lo}, {hi}"), body, after)
        before = self.here
        self.start(body)
        var = self.v.new()
        position = len(self.v.lines)
        self.v.lines.append("")
        self.v.names[s.var.uid] = var
        self.v.bounds.note_for(s)
        self.block(s.body)
        following = self.v.op(f"add nsw i64 {var}, {s.step}")
        self.v.lines[position] = f"  {var} = phi i64 [ {lo}, %{before} ], [ {following}, %{self.here} ]"
        self.branch(self.v.op(f"icmp {test} i64 {following}, {hi}"), body, after)
        self.start(after)

    def while_(self, s: lp.While) -> None:
        body, after = self.label("while"), self.label("done")
        repeat = len(s.test.stmts) <= _UNROLLED_TEST
        top = body if repeat else self.label("test")
        if not repeat:
            self.line(f"br label %{top}")
            self.start(top)
        self.block(s.test)
        self.branch(self.e(s.cond), body, after)
        self.start(body)
        self.block(s.body)
        if repeat:
            self.block(s.test)
            self.branch(self.e(s.cond), body, after)
        else:
            self.line(f"br label %{top}")
        self.start(after)

    def if_(self, s: lp.If) -> None:
        cond = self.e(s.cond)
        yes, after = self.label("then"), self.label("after")
        no = self.label("else") if s.orelse.stmts else after
        self.branch(cond, yes, no, s.likely)
        self.start(yes)
        self.block(s.then)
        self.line(f"br label %{after}")
        if s.orelse.stmts:
            self.start(no)
            self.block(s.orelse)
            self.line(f"br label %{after}")
        self.start(after)

    def finish(self, status: str) -> None:
        self.line(f"store i32 {status}, ptr %status")
        self.line("br label %end")

    def return_(self, s: lp.Return) -> None:
        self.finish(str(s.status))
        self.start(self.label("dead"))

    def fault(self, s: lp.Fault) -> None:
        self.shared.uses_fault = True
        cond, lanes = self.e(s.cond), s.cond.type.lanes
        which = ""
        if lanes:
            which = self.v.op(f"bitcast <{lanes} x i1> {cond} to i{lanes}")
            cond = self.v.op(f"icmp ne i{lanes} {which}, 0")
        bad, fine = self.label("fault"), self.label("fine")
        self.branch(cond, bad, fine, False)
        self.start(bad)
        lane = self.first_lane(which, lanes) if lanes else "0"
        order = self.e(s.order)
        if lanes and s.order_step is not None:
            order = self.v.op(f"add i64 {order}, {self.v.op(f'mul i64 {lane}, {self.e(s.order_step)}')}")
        values = [self.as_slot(self.at_lane(x, lane)) for x in s.values]
        args = f"ptr %ctx, i32 {self.shared.codes[s.site]}, i32 {s.site}, i64 {order}, i32 {len(values)}"
        if len(values) > _FAULT_FEW:
            self.shared.uses_fault_block = True
            self.line(f"call void @lem.fault.block({args}, ptr {self.value_block(values)})")
        else:
            rest = "".join(f", i64 {v}" for v in [*values, "0", "0", "0", "0"][:_FAULT_FEW])
            self.line(f"call void @lem.fault({args}{rest})")
        if self.again is not None and s.order_step is not None:
            self.line(f"store i64 {lane}, ptr {self.v.names[self.again[0].uid]}")
            self.line(f"br label %{self.again[1]}")
        else:
            self.finish(str(layout.FAULTED))
        self.start(fine)

    def attempt(self, s: lp.Attempt) -> None:
        again, done = self.label("again"), self.label("done")
        outer, self.again = self.again, (s.lane, again)
        self.block(s.body)
        self.again = outer
        self.line(f"br label %{done}")
        self.start(again)
        self.block(s.again)
        self.finish(str(layout.FAULTED))
        self.start(done)

    def first_lane(self, which: str, lanes: int) -> str:
        bits = max(lanes, 8)
        wide = which if bits == lanes else self.v.op(f"zext i{lanes} {which} to i{bits}")
        found = self.v.call("cttz", f"i{bits}", f"i{bits}", (f"i{bits}", wide), ("i1", "false"))
        return found if bits == 64 else self.v.op(f"zext i{bits} {found} to i64")

    def at_lane(self, x: Expr, lane: str) -> Expr:
        """The value of one lane."""
        return lp.Extract(x.type.scalar, x, Ready(INDEX, lane)) if x.type.lanes else x

    def as_slot(self, x: Expr) -> str:
        """A scalar as 64 bits for a report: floats widened to f64, integers extended."""
        t = x.type.dtype
        if t.is_float:
            wide = self.e(x if t == F64 else lp.Cast(lp.VType(F64), x))
            return self.v.op(f"bitcast double {wide} to i64")
        value = self.e(x)
        if t.bits == 64:
            return value
        return self.v.op(f"{'sext' if t.is_signed else 'zext'} {llvm_scalar(t)} {value} to i64")

    def poll(self, s: lp.Poll) -> None:
        if s.every == 1:
            self.check_cancel()
            return
        count = self.slot("i32")
        self.slots.append(f"  store i32 {s.every}, ptr {count}")
        left = self.v.op(f"sub i32 {self.v.op(f'load i32, ptr {count}')}, 1")
        self.line(f"store i32 {left}, ptr {count}")

        def look() -> None:
            self.line(f"store i32 {s.every}, ptr {count}")
            self.check_cancel()

        self.guarded(self.v.op(f"icmp eq i32 {left}, 0"), look)

    def check_cancel(self) -> None:
        flag = self.v.op(f"load ptr, ptr {self.v.op(f'getelementptr i8, ptr %ctx, i64 {layout.CTX_CANCEL}')}")
        value = self.v.op(f"load atomic i32, ptr {flag} monotonic, align 4")
        stop, go = self.label("stop"), self.label("go")
        self.branch(self.v.op(f"icmp ne i32 {value}, 0"), stop, go, False)
        self.start(stop)
        self.finish(str(layout.CANCELLED))
        self.start(go)

    def print_(self, s: lp.Print) -> None:
        if s.cond is not None:
            self.guarded(self.e(s.cond), lambda: self.print_(lp.Print(s.site, s.order, s.values)))
            return
        n = len(s.values)
        block = self.value_block([self.as_slot(x) for x in s.values])
        fn = self.table("print")
        self.line(f"call void {fn}(ptr %ctx, i32 {s.site}, i64 {self.e(s.order)}, i64 {n}, ptr {block})")

    def value_block(self, values: Sequence[str]) -> str:
        """A pointer to values for a report, one after the other."""
        block = self.slot(f"[{max(len(values), 1)} x i64]")
        for k, value in enumerate(values):
            place = self.v.op(f"getelementptr i64, ptr {block}, i64 {k}")
            self.line(f"store i64 {value}, ptr {place}")
        return block

    def mark(self, s: lp.Mark) -> None:
        self.line(f"call void {self.table('mark')}(ptr %ctx, i32 {s.site}, i32 {s.phase})")

    def prefetch(self, s: lp.Prefetch) -> None:
        place = self.v.address(s.buffer, self.e(s.index))
        self.v.call(
            "prefetch", "p0", "void", ("ptr", place), ("i32", str(int(s.write))), ("i32", str(s.locality)), ("i32", "1")
        )

    def parallel(self, s: lp.ParallelFor) -> None:
        captured = list(free_in(s))
        name = self.shared.body(s, captured)
        frame = self.slot(f"[{max(len(captured), 1)} x i64]")
        for n, thing in enumerate(captured):
            place = self.v.op(f"getelementptr i8, ptr {frame}, i64 {8 * n}")
            if isinstance(thing, Buffer):
                self.line(f"store ptr {self.v.names[thing.uid]}, ptr {place}")
            else:
                self.line(f"store {_frame_type(thing)} {self.e(thing)}, ptr {place}")
        units = self.e(s.n_units)
        if s.direct is None:
            self.run_pool(s, name, frame, units)
            return
        some, alone, pool, after = (self.label(name) for name in ("some", "alone", "pool", "after"))
        # What the body reads before its first unit is only there where it has one.
        self.branch(self.v.op(f"icmp sgt i64 {units}, 0"), some, after, True)
        self.start(some)
        self.branch(self.e(s.direct), alone, pool)
        self.start(alone)
        self.status(self.v.op(f"call i32 {name}(ptr %ctx, ptr {frame}, i64 0, i64 {units})"))
        self.line(f"br label %{after}")
        self.start(pool)
        self.run_pool(s, name, frame, units)
        self.line(f"br label %{after}")
        self.start(after)

    def run_pool(self, s: lp.ParallelFor, name: str, frame: str, units: str) -> None:
        fn, chunk = self.table("parallel_for"), self.e(s.chunk)
        self.status(self.v.op(f"call i32 {fn}(ptr %ctx, ptr {name}, ptr {frame}, i64 {units}, i64 {chunk})"))

    def status(self, code: str) -> None:
        """End with a called function's status unless it is DONE."""
        stop, go = self.label("stop"), self.label("go")
        self.branch(self.v.op(f"icmp ne i32 {code}, 0"), stop, go, False)
        self.start(stop)
        self.finish(code)
        self.start(go)

    def call(self, s: lp.Call) -> None:
        block = self.slot(f"[{max(len(s.args), 1)} x i64]")
        for n, arg in enumerate(s.args):
            place = self.v.op(f"getelementptr i8, ptr {block}, i64 {8 * n}")
            if isinstance(arg, tuple):
                self.line(f"store ptr {self.v.address(arg[0], self.e(arg[1]))}, ptr {place}")
                continue
            value = self.e(arg)
            if arg.type.dtype.bits < 64:
                self.line(f"store i64 0, ptr {place}")
            memory, value = self.v.to_memory(value, arg.type)
            self.line(f"store {memory} {value}, ptr {place}")
        lo, hi = self.e(s.lo), self.e(s.hi)
        self.status(self.v.op(f"call i32 @{s.callee}(ptr %ctx, ptr {block}, i64 {lo}, i64 {hi})"))


# ---- free variables of a parallel body ---------------------------------------------------------------------------


def free_in(s: lp.ParallelFor) -> Iterator[Var | Buffer]:
    """Variables and buffers that a parallel body uses from outside, in order of first use."""
    known = {s.lo.uid, s.hi.uid}
    seen: dict[int, Var | Buffer] = {}
    _visit(s.body, known, seen)
    for uid, thing in seen.items():
        if uid not in known:
            yield thing


def _visit(node: Any, known: set[int], seen: dict[int, Var | Buffer]) -> None:
    if isinstance(node, (Var, Buffer)):
        seen.setdefault(node.uid, node)
    elif isinstance(node, Block):
        for stmt in node.stmts:
            _visit(stmt, known, seen)
    elif isinstance(node, (Expr, Stmt)):
        _declare(node, known)
        for f in _fields(type(node)):
            _visit(getattr(node, f), known, seen)
    elif isinstance(node, tuple):
        for item in node:
            _visit(item, known, seen)


def _declare(node: Any, known: set[int]) -> None:
    match node:
        case lp.Let(var=var) | lp.For(var=var):
            known.add(var.uid)
        case lp.ArgPointer(buffer=buffer) | lp.StackBuffer(buffer=buffer) | lp.Alloc(buffer=buffer):
            known.add(buffer.uid)
        case lp.View(buffer=buffer) | lp.Pick(buffer=buffer) | lp.NameBuffer(buffer=buffer):
            known.add(buffer.uid)
        case lp.Scratch(buffers=buffers):
            known.update(b.uid for b in buffers)
        case lp.ParallelFor(lo=lo, hi=hi):
            known.update((lo.uid, hi.uid))


_field_names: dict[type, tuple[str, ...]] = {}


def _fields(cls: type) -> tuple[str, ...]:
    found = _field_names.get(cls)
    if found is None:
        found = _field_names[cls] = tuple(f.name for f in fields(cls) if f.name != "type")
    return found


_TABLE: dict[type[Stmt], Callable[[_Function, Any], None]] = {
    lp.Let: _Function.let,
    lp.Set: _Function.set,
    lp.ArgPointer: _Function.arg_pointer,
    lp.StackBuffer: _Function.stack_buffer,
    lp.Scratch: _Function.scratch,
    lp.Alloc: _Function.alloc,
    lp.Free: _Function.free,
    lp.View: _Function.view,
    lp.NameBuffer: _Function.name_buffer,
    lp.Rebind: _Function.rebind,
    lp.Pick: _Function.pick,
    lp.Store: _Function.store,
    lp.Scatter: _Function.scatter,
    lp.AtomicUpdate: _Function.atomic,
    lp.For: _Function.for_,
    lp.While: _Function.while_,
    lp.If: _Function.if_,
    lp.Fault: _Function.fault,
    lp.Attempt: _Function.attempt,
    lp.Poll: _Function.poll,
    lp.Print: _Function.print_,
    lp.Mark: _Function.mark,
    lp.Prefetch: _Function.prefetch,
    lp.ParallelFor: _Function.parallel,
    lp.Call: _Function.call,
    lp.Return: _Function.return_,
}
